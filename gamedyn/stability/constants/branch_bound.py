"""The smallest value of a function over a box, between a proven bound and a value that is taken.

Boxes are halved, the most promising first, until no box can hold a value below the best one met by more than the
tolerance; boxes that cannot are set aside with their bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Minimum", "minimum"]

Bound = Callable[[np.ndarray, np.ndarray], np.ndarray]
_AT_ONCE = 256


class Minimum(NamedTuple):
    """low <= the minimum <= high, the value at `point`; `boxes` were looked at, `closed` if the tolerance was met."""

    low: float
    high: float
    point: np.ndarray
    boxes: int
    closed: bool


def minimum(
    bound: Bound,
    value: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    *,
    active: Sequence[int],
    boxes: int,
    tolerance: float,
    scale: float = 0.0,
    starts: np.ndarray | None = None,
) -> Minimum:
    """The minimum over one box or the union of several.

    Parameters
    ----------
    bound : callable
        Boxes low, high `(d, n)` -> a number `(n,)` that no value inside is below.
    value : callable
        Points `(d, n)` -> proven upper bounds of their values `(n,)`.
    low, high : ndarray `(d,)` or `(d, n)`
    active : sequence of int
        The coordinates that matter, which are halved.
    boxes : int
        After so many the search ends.
    tolerance : float
        Relative to the larger of `scale` and the best value.
    starts : ndarray `(d, k)`, optional
        Points inside, besides the middles, whose values are taken.

    Examples
    --------
    >>> square = lambda z: z[0] ** 2
    >>> below = lambda a, b: np.where((a[0] <= 0) & (b[0] >= 0), 0.0, np.minimum(a[0] ** 2, b[0] ** 2))
    >>> box = np.array([-1.0]), np.array([2.0])
    >>> found = minimum(below, square, *box, active=[0], boxes=999, tolerance=1e-3, scale=1)
    >>> found.low, 0 <= found.high < 1e-3
    (0.0, True)
    """
    a, b = (np.array(e, dtype=float).reshape(len(e), -1) for e in (low, high))
    middle = a / 2 + b / 2
    tried = middle if starts is None else np.concatenate([middle, starts], axis=1)
    best, point = _best(value, tried, np.inf, middle[:, 0])
    widths = np.maximum((b - a).max(axis=1), np.finfo(float).tiny)[:, None]
    bounds = bound(a, b)
    count, aside = a.shape[1], np.inf
    while True:
        slack = tolerance * max(scale, abs(best) if np.isfinite(best) else 0.0)
        open_ = ~(bounds >= best - slack)
        aside = min(aside, bounds[~open_].min(initial=np.inf))
        a, b, bounds = a[:, open_], b[:, open_], bounds[open_]
        if not len(bounds) or count >= boxes or not len(active):
            break
        order = np.argsort(bounds, kind="stable")
        chosen, rest = order[:_AT_ONCE], order[_AT_ONCE:]
        halves = _halved(a[:, chosen], b[:, chosen], widths, active)
        best, point = _best(value, np.concatenate([halves[0] / 2 + halves[1] / 2, *halves], axis=1), best, point)
        parents = np.concatenate([bounds[chosen]] * 2)
        inside = np.maximum(bound(*halves), parents)
        a, b = (np.concatenate([e[:, rest], h], axis=1) for e, h in zip((a, b), halves, strict=True))
        bounds = np.concatenate([bounds[rest], inside])
        count += halves[0].shape[1]
    lowest = min(aside, bounds.min(initial=np.inf), best)
    return Minimum(float(lowest), float(best), point, count, not len(bounds))


def _best(
    value: Callable[[np.ndarray], np.ndarray], points: np.ndarray, best: float, point: np.ndarray
) -> tuple[float, np.ndarray]:
    values = value(points)
    k = int(np.argmin(np.where(np.isnan(values), np.inf, values)))
    return (float(values[k]), points[:, k]) if values[k] < best else (best, point)


def _halved(
    low: np.ndarray, high: np.ndarray, widths: np.ndarray, active: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Every box in two along its longest side, measured by the whole."""
    sides = ((high - low) / widths)[list(active)]
    k, n = np.array(active)[sides.argmax(axis=0)], np.arange(low.shape[1])
    cut = low[k, n] / 2 + high[k, n] / 2
    left, right = high.copy(), low.copy()
    left[k, n] = right[k, n] = cut
    return np.concatenate([low, right], axis=1), np.concatenate([left, high], axis=1)
