"""Boxes of rational numbers that contain exactly one of a complete list of exact zeros."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sympy as sp

from gamedyn.stability.spectrum_signs import evaluated

__all__ = ["isolating_boxes"]

Box = tuple[tuple[sp.Rational, sp.Rational], ...]

_WIDTH = 12  # digits after the point, more where zeros are closer
_MOST = 40  # digits that 50-digit values allow


def isolating_boxes(points: Sequence[tuple[Any, ...]]) -> list[Box | None]:
    """A box for every point, such that no two values of a coordinate share an interval.

    Parameters
    ----------
    points : sequence of tuples `(d,)` of SymPy numbers
        All the zeros there are.

    Returns
    -------
    list of tuple of (low, high), or None
        Rational ends, equal where the coordinate is rational; None where a number has free symbols, or lies within
        1e-40 of another one.

    Examples
    --------
    >>> isolating_boxes([(sp.Rational(1, 2), sp.sqrt(2))])
    [((1/2, 1/2), (353553390593/250000000000, 11313708499/8000000000))]
    """
    if not points or any(x.free_symbols for p in points for x in p):
        return [None] * len(points)
    columns = [_intervals(list(dict.fromkeys(column))) for column in zip(*points, strict=True)]
    boxes: list[Box | None] = []
    for p in points:
        sides = [table[x] for table, x in zip(columns, p, strict=True)]
        boxes.append(None if any(s is None for s in sides) else tuple(s for s in sides if s is not None))
    return boxes


def _intervals(values: list[sp.Expr]) -> dict[sp.Expr, tuple[sp.Rational, sp.Rational] | None]:
    numbers = [sp.Rational(sp.re(evaluated(x))) if not x.is_Rational else x for x in values]
    ordered = sorted(numbers)
    gaps = [b - a for a, b in pairwise(ordered)]
    nearest = min(gaps, default=sp.S.One)
    digits = _WIDTH
    while digits <= _MOST and nearest * 10**digits < 8:
        digits += 1
    if digits > _MOST:
        return dict.fromkeys(values)
    scale = sp.Integer(10) ** digits
    return {
        x: (x, x) if x.is_Rational else (_over(sp.floor(n * scale) - 1, scale), _over(sp.floor(n * scale) + 2, scale))
        for x, n in zip(values, numbers, strict=True)
    }


def _over(numerator: sp.Integer, scale: sp.Integer) -> sp.Rational:
    return sp.Rational(numerator, scale)
