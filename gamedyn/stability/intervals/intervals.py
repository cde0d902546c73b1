"""Interval arithmetic: bounds of a formula over a box that hold in spite of rounding.

    [a, b] + [c, d] = [a + c, b + d]       [a, b] [c, d] = [min, max of ac, ad, bc, bd]         (1)

Every bound is moved outward after every operation, by one unit in the last place after those that IEEE arithmetic
rounds correctly, and by 8 after the elementary functions, whose implementations err by less than 4.  The bounds of a
formula are therefore true; how tight they are depends on how often it names a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.intervals.interval_arithmetic import (
    Interval,
    add,
    constant,
    integer_power,
    multiple,
    product,
    real_power,
    reciprocal,
    square_root,
)
from gamedyn.stability.intervals.interval_functions import FUNCTIONS, exp

__all__ = ["Interval", "IntervalFunction"]

_KNOWN = ("+", "-", "*", "/", "powers", *sorted(f.__name__ for f in FUNCTIONS))


class IntervalFunction:
    """Bounds of formulas over boxes, many boxes at once.

    Parameters
    ----------
    expressions : sequence of Expr
        The m formulas: + - * /, powers, exp, log, sqrt, sin, cos, tan, sinh, cosh, tanh, atan, asinh, erf, Abs, sign,
        Heaviside, Max and Min.
    symbols : sequence of Symbol
        Their d variables.

    Raises
    ------
    ValueError
        If a formula has a symbol that is no variable, or a function that has no bounds here.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> low, high = IntervalFunction([x * y, x**2], [x, y])(np.array([[-1.0], [0.0]]), np.array([[2.0], [3.0]]))
    >>> [(round(float(a), 9), round(float(b), 9)) for a, b in zip(low[:, 0], high[:, 0])]
    [(-3.0, 6.0), (0.0, 4.0)]
    """

    def __init__(self, expressions: Sequence[sp.Expr], symbols: Sequence[sp.Symbol]) -> None:
        self.size, self.dim = len(expressions), len(symbols)
        self._index: dict[Any, int] = {s: k for k, s in enumerate(symbols)}
        self._steps: list[tuple[Callable[..., Interval], tuple[int, ...]]] = []
        self._outputs = [self._compile(sp.sympify(e)) for e in expressions]

    def __call__(self, low: np.ndarray, high: np.ndarray) -> Interval:
        """Bounds over n boxes.

        Parameters
        ----------
        low, high : ndarray `(d, n)`
            Ends of the boxes.

        Returns
        -------
        low, high : ndarray `(m, n)`
            For every z in the box, low <= e(z) <= high; -inf and inf where a formula may be unbounded or undefined.

        Raises
        ------
        ValueError
            If the arrays do not have d rows and one shape, or low > high somewhere.
        """
        low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        if low.ndim != 2 or low.shape != high.shape or len(low) != self.dim:
            raise ValueError(f"boxes need low and high of shape ({self.dim}, n), got {low.shape} and {high.shape}")
        if not (low <= high).all():
            raise ValueError("a box needs low <= high in every coordinate")
        registers: list[Interval] = list(zip(low, high, strict=True))
        with np.errstate(all="ignore"):  # overflow to inf and nan are answers here
            for operation, arguments in self._steps:
                registers.append(operation(*(registers[k] for k in arguments)))
        lows, highs = np.empty((self.size, low.shape[1])), np.empty((self.size, low.shape[1]))
        for k, place in enumerate(self._outputs):
            a, b = registers[place]
            unknown = np.isnan(a) | np.isnan(b)
            lows[k], highs[k] = np.where(unknown, -np.inf, a), np.where(unknown, np.inf, b)
        return lows, highs

    def _compile(self, e: sp.Expr) -> int:
        """The register that holds e."""
        if e not in self._index:
            operation, arguments = self._operation(e)
            places = tuple(self._compile(a) for a in arguments)
            self._steps.append((operation, places))
            self._index[e] = self.dim + len(self._steps) - 1
        return self._index[e]

    def _operation(self, e: sp.Expr) -> tuple[Callable[..., Interval], tuple[sp.Expr, ...]]:
        if e.is_number:
            return constant(e), ()
        if isinstance(e, sp.Symbol):
            raise ValueError(f"'{e}' is no variable of the box; bind it to a number first")
        if isinstance(e, sp.Add):
            return add, e.args
        if isinstance(e, sp.Mul):
            factor, rest = e.as_independent(*e.free_symbols)
            return (product, e.args) if factor == 1 else (multiple(factor), (rest,))
        if isinstance(e, sp.Pow):
            return _power_operation(e)
        if e.func in FUNCTIONS:
            return FUNCTIONS[e.func], e.args if e.func is not sp.Heaviside else e.args[:1]
        raise ValueError(f"interval bounds of {e.func.__name__} are not known; known are {', '.join(_KNOWN)}")


def _power_operation(e: sp.Expr) -> tuple[Callable[..., Interval], tuple[sp.Expr, ...]]:
    base, exponent = e.args
    if exponent.is_Integer:
        if exponent == -1:
            return reciprocal, (base,)
        return (reciprocal, (base**-exponent,)) if exponent < 0 else (integer_power(int(exponent)), (base,))
    if exponent == sp.Rational(1, 2):
        return square_root, (base,)
    if exponent.is_number:
        if exponent.is_negative:
            return reciprocal, (base**-exponent,)
        return real_power(exponent), (base,)
    return exp, (exponent * sp.log(base),)
