"""Interval bounds of elementary functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.intervals.interval_arithmetic import Interval, widened

__all__ = ["FUNCTIONS", "exp"]

_RELATIVE = 8 * np.finfo(float).eps
_TURN = 1e-15  # absolute error of sin, cos and tan besides: near a zero they depend on the reduction of the argument
_LARGE_ANGLE = 1e6  # beyond, sin and cos are bounded by 1 alone


def _increasing(function: Any, least: float = -np.inf, largest: float = np.inf) -> Callable[..., Interval]:
    """An increasing function with its range."""

    def bounds(x: Interval) -> Interval:
        low, high = widened(function(x[0]), function(x[1]))
        return np.clip(low, least, largest), np.clip(high, least, largest)

    return bounds


exp = _increasing(np.exp, 0.0)


def _log(x: Interval) -> Interval:
    low, high = widened(np.log(x[0]), np.log(x[1]))
    defined = x[0] > 0
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def _cosh(x: Interval) -> Interval:
    far = np.maximum(np.abs(x[0]), np.abs(x[1]))
    near = np.where((x[0] <= 0) & (x[1] >= 0), 0.0, np.minimum(np.abs(x[0]), np.abs(x[1])))
    low, high = widened(np.cosh(near), np.cosh(far))
    return np.maximum(low, 1.0), high


def _holds(x: Interval, offset: float, period: float) -> np.ndarray:
    """Whether offset + k period may lie between the ends, for some integer k."""
    slack = 1e-13 + 1e-15 * np.maximum(np.abs(x[0]), np.abs(x[1]))
    first = np.ceil((x[0] - slack - offset) / period)
    return (first * period + offset <= x[1] + slack) | ~(np.maximum(np.abs(x[0]), np.abs(x[1])) < _LARGE_ANGLE)


def _wave(function: Any, top: float) -> Callable[..., Interval]:
    """sin or cos, whose largest value is taken at `top` and whose smallest at `top` + π."""

    def bounds(x: Interval) -> Interval:
        a, b = function(x[0]), function(x[1])
        low, high = widened(np.minimum(a, b), np.maximum(a, b), _TURN)
        low = np.where(_holds(x, top + np.pi, 2 * np.pi), -1.0, np.maximum(low, -1.0))
        high = np.where(_holds(x, top, 2 * np.pi), 1.0, np.minimum(high, 1.0))
        unknown = np.isnan(x[0]) | np.isnan(x[1])
        return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)

    return bounds


def _tan(x: Interval) -> Interval:
    a, b = np.tan(x[0]), np.tan(x[1])
    low, high = a - _TURN * (1 + a * a) - _RELATIVE * np.abs(a), b + _TURN * (1 + b * b) + _RELATIVE * np.abs(b)
    pole = _holds(x, np.pi / 2, np.pi)
    return np.where(pole, np.nan, low), np.where(pole, np.nan, high)


def _abs(x: Interval) -> Interval:
    a, b = np.abs(x[0]), np.abs(x[1])
    return np.where((x[0] <= 0) & (x[1] >= 0), 0.0, np.minimum(a, b)), np.maximum(a, b)


def _sign(x: Interval) -> Interval:
    return np.sign(x[0]), np.sign(x[1])


def _heaviside(x: Interval) -> Interval:
    """Of a step every value between its ends at 0, as in the derivative of Max."""
    return np.heaviside(x[0], 0.0), np.heaviside(x[1], 1.0)


def _largest(*terms: Interval) -> Interval:
    return reduce(lambda x, y: (np.maximum(x[0], y[0]), np.maximum(x[1], y[1])), terms)


def _smallest(*terms: Interval) -> Interval:
    return reduce(lambda x, y: (np.minimum(x[0], y[0]), np.minimum(x[1], y[1])), terms)


def _erf(x: Interval) -> Interval:
    from scipy.special import erf

    return _increasing(erf, -1.0, 1.0)(x)


FUNCTIONS: dict[Any, Callable[..., Interval]] = {
    sp.exp: exp,
    sp.log: _log,
    sp.sin: _wave(np.sin, np.pi / 2),
    sp.cos: _wave(np.cos, 0.0),
    sp.tan: _tan,
    sp.sinh: _increasing(np.sinh),
    sp.cosh: _cosh,
    sp.tanh: _increasing(np.tanh, -1.0, 1.0),
    sp.atan: _increasing(np.arctan, -2.0, 2.0),
    sp.asinh: _increasing(np.arcsinh),
    sp.erf: _erf,
    sp.Abs: _abs,
    sp.sign: _sign,
    sp.Heaviside: _heaviside,
    sp.Max: _largest,
    sp.Min: _smallest,
}
