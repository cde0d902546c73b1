"""Arithmetic of intervals, every bound rounded outward.

IEEE arithmetic rounds + - * / and square roots correctly, so that the next float outside is a bound; elementary
functions, whose implementations err by less than 4 units in the last place, are given 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

__all__ = [
    "Interval",
    "add",
    "constant",
    "enclose",
    "integer_power",
    "multiple",
    "multiply",
    "product",
    "real_power",
    "reciprocal",
    "square_root",
    "widened",
]

Interval = tuple[np.ndarray, np.ndarray]  # low and high end, of one shape; nan where the formula may be undefined

_ULPS = 8 * np.finfo(float).eps  # what elementary functions may err by, relative
_TINY = np.finfo(float).tiny


# rounding ------------------------------------------------------------------------------------------------


def down(x: np.ndarray) -> np.ndarray:
    """The next float below."""
    return np.nextafter(x, -np.inf)


def up(x: np.ndarray) -> np.ndarray:
    """The next float above."""
    return np.nextafter(x, np.inf)


def widened(low: np.ndarray, high: np.ndarray, slack: float = 0.0) -> Interval:
    """What an elementary function returned, moved outward."""
    return low - (_ULPS * np.abs(low) + slack + _TINY), high + (_ULPS * np.abs(high) + slack + _TINY)


def enclose(e: sp.Expr) -> tuple[float, float]:
    """The two floats around a real number, or the float that it is.

    Raises
    ------
    ValueError
        If the number is not real and finite.
    """
    if not (e.is_finite and e.is_real):
        raise ValueError(f"interval bounds need finite real numbers, got {e}")
    value = float(e if e.is_Rational else e.evalf(40))
    if e.is_Rational and np.isfinite(value) and sp.Rational(value) == e:
        return value, value
    return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)


# arithmetic ----------------------------------------------------------------------------------------------


def constant(e: sp.Expr) -> Callable[..., Interval]:
    low, high = enclose(e)
    return lambda: (np.array(low), np.array(high))


def add(*terms: Interval) -> Interval:
    low, high = terms[0]
    for a, b in terms[1:]:
        low, high = _exact_zero(low + a, down), _exact_zero(high + b, up)
    return low, high


def _exact_zero(x: np.ndarray, direction: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A rounded sum moved outward; a sum that is 0 has not been rounded."""
    return np.where(x == 0, 0.0, direction(x))


def multiple(factor: sp.Expr) -> Callable[..., Interval]:
    """A formula times a number."""
    if factor == -1:
        return lambda x: (-x[1], -x[0])
    ends = np.array(enclose(factor))
    known = (ends[0], ends[1])
    if ends[0] < ends[1]:
        return lambda x: multiply(known, x)
    c = ends[0]

    def end(x: np.ndarray, direction: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.where(x == 0, 0.0, direction(x * c))

    return lambda x: (end(x[0], down), end(x[1], up)) if c > 0 else (end(x[1], down), end(x[0], up))


def product(*factors: Interval) -> Interval:
    return reduce(multiply, factors)


def multiply(left: Interval, right: Interval) -> Interval:
    """[a, b] [c, d].

    Examples
    --------
    >>> multiply((np.array([-1.0]), np.array([2.0])), (np.array([0.0]), np.array([0.0])))
    (array([0.]), array([0.]))
    """
    (a, b), (c, d) = left, right
    with np.errstate(all="ignore"):
        products = [_times(a, c), _times(a, d), _times(b, c), _times(b, d)]
    low = np.minimum(np.minimum(products[0], products[1]), np.minimum(products[2], products[3]))
    high = np.maximum(np.maximum(products[0], products[1]), np.maximum(products[2], products[3]))
    low, high = down(low), up(high)
    both = ((a >= 0) & (c >= 0)) | ((b <= 0) & (d <= 0))  # the product is not negative, whatever underflows
    opposed = ((a >= 0) & (d <= 0)) | ((b <= 0) & (c >= 0))
    null = ((a == 0) & (b == 0)) | ((c == 0) & (d == 0))
    return np.where(both | null, np.maximum(low, 0.0), low), np.where(opposed | null, np.minimum(high, 0.0), high)


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ab with 0 · inf = 0: an infinite end stands for finite numbers without bound."""
    zero = ((a == 0) | (b == 0)) & ~(np.isnan(a) | np.isnan(b))
    return np.where(zero, 0.0, a * b)


def reciprocal(x: Interval) -> Interval:
    low, high = x
    defined = (low > 0) | (high < 0)
    a, b = down(1.0 / high), up(1.0 / low)
    a, b = np.where(low > 0, np.maximum(a, 0.0), a), np.where(high < 0, np.minimum(b, 0.0), b)
    return np.where(defined, a, np.nan), np.where(defined, b, np.nan)


# powers --------------------------------------------------------------------------------------------------


def integer_power(n: int) -> Callable[..., Interval]:
    def power(x: Interval) -> Interval:
        low, high = x
        if n % 2:
            return _signed_power(low, n, down), _signed_power(high, n, up)
        far = np.maximum(np.abs(low), np.abs(high))
        near = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
        return _absolute_power(near, n, down), _absolute_power(far, n, up)

    return power


def _signed_power(x: np.ndarray, n: int, direction: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """xⁿ for odd n, rounded outward: of |x|ⁿ the other way where x < 0."""
    opposite = up if direction is down else down
    return np.where(x < 0, -_absolute_power(np.abs(x), n, opposite), _absolute_power(np.abs(x), n, direction))


def _absolute_power(x: np.ndarray, n: int, direction: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """xⁿ for x >= 0, by squaring, every product rounded in one direction."""
    result: Any = np.ones_like(x)
    square = x
    while n:
        if n % 2:
            result = _rounded(result * square, (result == 1) | (square == 1) | (x == 0), direction)
        n //= 2
        if n:
            square = _rounded(square * square, (square == 1) | (x == 0), direction)
    return result


def _rounded(x: np.ndarray, exact: np.ndarray, direction: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.where(exact, x, np.maximum(direction(x), 0.0))


def square_root(x: Interval) -> Interval:
    low, high = np.sqrt(x[0]), np.sqrt(x[1])  # nan where x may be negative
    a = np.maximum(down(low), 0.0)
    b = np.where(high == 0, 0.0, up(high))
    return a, np.where(np.isnan(a), np.nan, b)


def real_power(exponent: sp.Expr) -> Callable[..., Interval]:
    """x^p for x >= 0 and p > 0, increasing; p is the float below and above."""
    p, q = enclose(exponent)

    def power(x: Interval) -> Interval:
        low = np.minimum(np.power(x[0], p), np.power(x[0], q))
        high = np.maximum(np.power(x[1], p), np.power(x[1], q))
        a, b = widened(low, high)
        a = np.where(x[0] >= 0, np.maximum(a, 0.0), np.nan)
        return a, np.where(np.isnan(a), np.nan, b)

    return power
