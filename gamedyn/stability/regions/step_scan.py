"""Stable steps by scanning: the answer in floats where the exact one is out of reach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp

from gamedyn.stability.regions.stable_steps import StableSteps

__all__ = ["polynomial_radius", "scan_count", "scan_steps"]


def polynomial_radius(p: sp.Expr, zeta: sp.Symbol, h: sp.Symbol) -> Callable[[np.ndarray], np.ndarray]:
    """h of shape (m,) -> max |root|, shape (m,); inf where the leading coefficient vanishes or overflows."""
    rows = [np.array([float(sp.N(c, 17)) for c in sp.Poly(a, h).all_coeffs()]) for a in sp.Poly(p, zeta).all_coeffs()]
    degree = len(rows) - 1

    def radius(steps: np.ndarray) -> np.ndarray:
        if degree == 0:
            return np.zeros(steps.shape)
        with np.errstate(all="ignore"):
            a = np.array([np.polyval(row, steps) for row in rows])
            first = -a[1:] / a[0]
        usable = np.isfinite(first).all(axis=0)
        companion = np.zeros((int(usable.sum()), degree, degree))
        companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
        companion[:, 0, :] = first.T[usable]
        rho = np.full(steps.shape, np.inf)
        rho[usable] = np.abs(np.linalg.eigvals(companion)).max(axis=1)
        return rho

    return radius


def scan_count(search: tuple[float, float], batched: bool) -> int:
    """How many steps are scanned: 2000 on six decades, 400 where each costs a Jacobian, more on a longer range."""
    decades = np.log10(search[1] / search[0]) if search[0] > 0 else 0.0
    return round((2000 if batched else 400) * max(1.0, decades / 6))


def scan_steps(
    radius: Callable[[np.ndarray], np.ndarray],
    h: sp.Symbol,
    search: tuple[float, float],
    reason: str,
    samples: int = 2000,
) -> StableSteps:
    """The steps with radius < 1 among `samples` between the ends of `search`, the ends of the intervals bisected.

    Parameters
    ----------
    radius : callable
        h of shape `(m,)` -> spectral radius, shape `(m,)`.
    h : Symbol
        The step.
    search : (float, float)
        The smallest and the largest step looked at; the grid is geometric where both are positive, else even.
    reason : str
        Why the answer is not exact.
    samples : int
        Windows narrower than the gaps of the grid can be missed.
    """

    def stable(steps: np.ndarray) -> np.ndarray:
        # Rounding spreads a multiple root around its place but keeps the mean, so the largest modulus of a cluster
        # on the circle does not fall below 1 by more than a few units in the last place.
        return radius(steps) < 1 - 1e-12

    steps = np.geomspace(*search, samples) if search[0] > 0 else np.linspace(*search, samples)
    inside = stable(steps)
    edges = []
    for i in np.flatnonzero(inside[1:] != inside[:-1]):
        a, b = steps[i], steps[i + 1]
        while b - a > 1e-10 * max(abs(a), abs(b), 1e-6):
            middle = (a + b) / 2
            a, b = (middle, b) if stable(np.array([middle]))[0] == inside[i] else (a, middle)
        edges.append((a + b) / 2)
    ends = [search[0]] * bool(inside[0]) + edges + [search[1]] * bool(inside[-1])
    pairs = zip(ends[::2], ends[1::2], strict=True)
    found = sp.Union(*(sp.Interval.open(sp.Float(float(a)), sp.Float(float(b))) for a, b in pairs))
    scanned = f"{reason}; {samples} steps between {search[0]:g} and {search[1]:g}, neutral steps not looked for"
    return StableSteps("numeric", found, sp.S.EmptySet, (), scanned, h)
