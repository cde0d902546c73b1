"""The least spectral radius in floats: a grid, zooms around its best points, and simplices in the valley found.

    minimise  ρ(DT(η, β, …))

ρ is continuous, with creases where eigenvalues of equal modulus cross and infinite slopes where eigenvalues meet, so
that methods with derivatives and grids along the axes stall at points that are no minima.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.regions.number_fields import Bounds
from gamedyn.stability.regions.parameter_floats import Values
from gamedyn.stability.regions.parameters import Parameter
from gamedyn.stability.time_limit import Clock

__all__ = ["Minimum", "least_radius"]

POINTS = {1: 801, 2: 61, 3: 21}  # grid points per axis of one zoom
STARTS = 6
POLISHED = 2  # of the zooms, the best
SIZES = (1e-1, 1e-2, 1e-4, 1e-6)  # of simplices, relative
ROUNDS = 8
SETTLED = 1e-13
CHECK = 1e-3  # by how much the restarts that measure the error are moved


@dataclass(frozen=True)
class Minimum:
    """A least spectral radius in floats.

    Attributes
    ----------
    point : ndarray `(n,)`
    rate : float
    errors : tuple of float
        By how much restarts disagree: about each coordinate, then about the rate.
    """

    point: np.ndarray
    rate: float
    errors: tuple[float, ...]


def least_radius(evaluate: Values, parameters: Sequence[Parameter], seconds: float) -> Minimum | None:
    """The best point of a grid, zoomed in on and polished; None where nothing is stable or ρ falls to an end.

    Parameters
    ----------
    evaluate : callable
        Arrays `(m,)`, one per parameter -> ρ `(m,)`.
    parameters : sequence of Parameter
        At most three.
    seconds : float
        After which no further simplex is started, but for those that measure the errors.
    """
    ranges, windows = [p.bounds for p in parameters], [p.window for p in parameters]
    per_axis = POINTS[len(ranges)]
    axes = [
        np.geomspace(low, high, per_axis) if bounds == (0, sp.oo) else np.linspace(low, high, per_axis)
        for bounds, (low, high) in zip(ranges, windows, strict=True)
    ]
    mesh = np.meshgrid(*axes, indexing="ij")
    values = evaluate(*(m.ravel() for m in mesh)).reshape(mesh[0].shape)
    found = []
    for index in _local_minima(values)[:STARTS]:
        centre = np.array([a[i] for a, i in zip(axes, index, strict=True)])
        width = np.array([a[min(i + 2, per_axis - 1)] - a[max(i - 2, 0)] for a, i in zip(axes, index, strict=True)])
        found.append(_zoom(evaluate, centre, width, ranges))
    found.sort(key=lambda pair: pair[1])
    clock = Clock(seconds)
    polished = [_polish(evaluate, *pair, ranges, clock) for pair in found[:POLISHED]]
    best = min(polished, key=lambda m: m.rate, default=None)
    if best is None or best.rate >= 1 - 1e-12:
        return None
    ends = any(_at_end(x, b, w) for x, b, w in zip(best.point, ranges, windows, strict=True))
    return None if ends else best


def _local_minima(values: np.ndarray) -> list[tuple[int, ...]]:
    """Grid points no worse than their neighbours, the best first."""
    finite = np.where(np.isfinite(values), values, np.inf)
    padded = np.pad(finite, 1, constant_values=np.inf)
    least = np.ones(values.shape, dtype=bool)
    for shift in product((-1, 0, 1), repeat=values.ndim):
        view = padded[tuple(slice(1 + s, 1 + s + n) for s, n in zip(shift, values.shape, strict=True))]
        least &= finite <= view
    least &= np.isfinite(values)
    return sorted(map(tuple, np.argwhere(least)), key=lambda i: float(finite[i]))


def _zoom(
    evaluate: Values, centre: np.ndarray, width: np.ndarray, ranges: Sequence[Bounds]
) -> tuple[np.ndarray, float]:
    """Grids around the best point so far, halved where it is well inside."""
    count = {1: 33, 2: 17, 3: 9}[len(centre)]
    limits = [
        (float(low) if low.is_finite else -np.inf, float(high) if high.is_finite else np.inf) for low, high in ranges
    ]
    best = np.inf
    for _ in range(160):
        axes = [c + w * np.linspace(-0.5, 0.5, count) for c, w in zip(centre, width, strict=True)]
        axes = [
            np.clip(a, low + 1e-12 * w, high - 1e-12 * w) for a, (low, high), w in zip(axes, limits, width, strict=True)
        ]
        mesh = [m.ravel() for m in np.meshgrid(*axes, indexing="ij")]
        values = evaluate(*mesh)
        k = int(np.argmin(values))
        if values[k] < best:
            best, centre = float(values[k]), np.array([m[k] for m in mesh])
            edge = any(
                abs(c - a[0]) < 1e-9 * w or abs(c - a[-1]) < 1e-9 * w
                for c, a, w in zip(centre, axes, width, strict=True)
            )
            if edge:
                continue
        width = width * 0.6
        if np.all(width < 1e-13 * np.maximum(1, np.abs(centre))):
            break
    return centre, best


def _polish(evaluate: Values, point: np.ndarray, rate: float, ranges: Sequence[Bounds], clock: Clock) -> Minimum:
    """Nelder and Mead's simplices around the best point so far, ever smaller, until a round of them gains nothing.

    They turn into the skew valleys with sharp floors that a grid along the axes cannot follow.
    """
    limits = np.array([[float(low), float(high)] for low, high in ranges]).T

    def value(x: np.ndarray) -> float:
        inside = np.all(x > limits[0]) and np.all(x < limits[1])
        return float(evaluate(*x[:, None])[0]) if inside else np.inf

    gain = np.inf
    for _ in range(ROUNDS):
        if gain <= SETTLED:
            break
        before = rate
        for size, turn in product(SIZES, (1, -1)):
            if clock.left <= 0:
                break
            found, least = _descend(value, point, turn * size)
            if least < rate:
                point, rate = found, least
        gain = before - rate
    ends = [_descend(value, point * (1 + shift), 4 * shift) for shift in (CHECK, -CHECK)]
    for found, least in ends:
        if least < rate:
            point, rate = found, least
    spread = np.max([np.abs(found - point) for found, _ in ends], axis=0)
    errors = (*map(float, spread), max(abs(least - rate) for _, least in ends))
    return Minimum(point, rate, errors)


def _descend(value: Callable[[np.ndarray], float], start: np.ndarray, size: float) -> tuple[np.ndarray, float]:
    """The end of one descent from a simplex with edges of a relative size."""
    from scipy.optimize import minimize

    edges = size * np.maximum(np.abs(start), 1e-9)
    simplex = np.vstack([start, start + np.diag(edges)])
    options = {"initial_simplex": simplex, "xatol": 1e-15, "fatol": 1e-16, "maxfev": 150 * len(start)}
    with np.errstate(all="ignore"):  # inf outside the ranges
        found: Any = minimize(value, start, method="Nelder-Mead", options=options)
    return np.asarray(found.x), float(found.fun)


def _at_end(x: float, bounds: Bounds, seen: tuple[float, float]) -> bool:
    return (bounds[1] == sp.oo and x >= seen[1] * 0.99) or (bounds[0] == -sp.oo and x <= seen[0] * 0.99)
