"""Proofs that a zero of v exists, is the only one in a box, or that a box holds none, in floating point.

    K(X) = m - Y v(m) + (I - Y J(X)) (X - m),    m = mid X,   Y ≈ J(m)⁻¹

Every zero of v in X lies in K(X).  If K(X) lies inside X there is exactly one; if K(X) and X are disjoint there is
none.  v(m) and J(X) are enclosed by interval arithmetic, and what rounding does to the products is added to the radius,
so both statements are theorems.

References
----------
.. [1] R. Krawczyk, Newton-Algorithmen zur Bestimmung von Nullstellen mit Fehlerschranken, Computing 4 (1969).
.. [2] A. Neumaier, Interval Methods for Systems of Equations, Cambridge University Press (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy as sp

from gamedyn.games.functions import partial_derivative
from gamedyn.stability.intervals.intervals import IntervalFunction

__all__ = ["Enclosure", "Krawczyk"]

_JUMPS = (sp.sign, sp.Heaviside, sp.Piecewise)
_RADII = tuple(10.0**-k for k in range(1, 12))
_TIGHTENINGS = 60
_ITERATIONS = 60
_TIGHT = 1e-8  # relative width of a box in which Newton's iterations cannot go astray
_U = np.finfo(float).eps
_TINY = np.finfo(float).tiny


class Enclosure(NamedTuple):
    """A box that holds exactly one zero: `low`, `high` tight around it; `outer` the larger box without a second one."""

    low: np.ndarray
    high: np.ndarray
    outer: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Krawczyk:
    """The operator K of one field.

    Attributes
    ----------
    value, jacobian : IntervalFunction
        Bounds of v `(d,)` and of the entries of J `(d·d,)`.
    dim : int
        d.
    """

    value: IntervalFunction
    jacobian: IntervalFunction
    dim: int

    @classmethod
    def of(cls, v: Sequence[sp.Expr], z: Sequence[sp.Symbol]) -> Krawczyk:
        """The operator of v, expressions in z.

        Raises
        ------
        ValueError
            If v has a function or a parameter that has no bounds, or may jump.

        Examples
        --------
        >>> import numpy as np, sympy as sp
        >>> x, y = sp.symbols("x y", real=True)
        >>> found = Krawczyk.of([x**2 - 2, y - x], [x, y]).enclose(np.array([1.41421, 1.41421]))
        >>> bool((found.low < 2**0.5).all() and (2**0.5 < found.high).all())
        True
        """
        if any(e.has(*_JUMPS) for e in v):
            raise ValueError("v may jump where a sign changes, and Krawczyk's test needs a continuous v")
        entries = [partial_derivative(e, s) if e.has(s) else sp.S.Zero for e in v for s in z]
        return cls(IntervalFunction(list(v), list(z)), IntervalFunction(entries, list(z)), len(z))

    def step(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """K(X) of boxes `(d, n)`; infinite where J(X) is unbounded or J(m) has no inverse.

        Returns
        -------
        low, high : ndarray `(d, n)`
        """
        m = 0.5 * low + 0.5 * high
        radius = np.nextafter(np.maximum(high - m, m - low), np.inf)
        v, v_radius = self._middle(*self.value(m, m), (self.dim,))
        J, J_radius = self._middle(*self.jacobian(low, high), (self.dim, self.dim))
        Y = _inverses(J)
        with np.errstate(all="ignore"):  # boxes on which nothing is known go through as nan
            step, step_radius = _product(Y, v[:, :, None], v_radius[:, :, None])
            P, P_radius = _product(Y, J, J_radius)
            gap = np.abs(np.eye(self.dim) - P) + P_radius + _U
            spread = (gap @ radius.T[:, :, None]) * (1 + 4 * (self.dim + 2) * _U)
            centre = m.T - step[:, :, 0]
            reach = (step_radius + spread)[:, :, 0] * (1 + 4 * _U) + 2 * _U * np.abs(centre) + _TINY
            unknown = ~np.isfinite(centre + reach).all(axis=1)
        reach[unknown], centre[unknown] = np.inf, 0.0
        return (centre - reach).T, (centre + reach).T

    def enclose(self, point: np.ndarray) -> Enclosure | None:
        """The tight box around the one zero near a point, None if nothing is proven.

        Parameters
        ----------
        point : ndarray `(d,)`
            An approximate zero.
        """
        radii = np.array(_RADII) * (1 + np.abs(point).max(initial=0.0))
        low, high = point[:, None] - radii, point[:, None] + radii
        below, above = self.step(low, high)
        proven = ((low < below) & (above < high)).all(axis=0)
        if not proven.any():
            return None
        k = int(np.argmax(proven))  # the largest box that is
        outer = (low[:, k], high[:, k])  # the others lie inside and hold the same zero
        return Enclosure(*self.tighten(below[:, proven].max(axis=1), above[:, proven].min(axis=1)), outer)

    def settle(self, low: np.ndarray, high: np.ndarray, outer: tuple[np.ndarray, np.ndarray]) -> Enclosure | None:
        """The tight box around the one zero of `outer`, known to lie in the box `(d,)`; None where it stays wide.

        X ∩ K(X) stalls on wide boxes.  A box around the limit of Newton's iterations that lies inside `outer` and holds
        a zero holds that one.
        """
        low, high = self.tighten(low, high)
        if not _is_tight(low, high):
            near = self.enclose(self.newton(low, high))
            if near is None or (near.low < outer[0]).any() or (near.high > outer[1]).any():
                return None
            low, high = np.maximum(low, near.low), np.minimum(high, near.high)
        return Enclosure(low, high, outer) if _is_tight(low, high) else None

    def newton(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Where Newton's iterations from the middle of a box `(d,)`, kept inside, come to rest; no proof."""
        m = 0.5 * low + 0.5 * high
        for _ in range(_ITERATIONS):
            v, _ = self._middle(*self.value(m[:, None], m[:, None]), (self.dim,))
            J, _ = self._middle(*self.jacobian(m[:, None], m[:, None]), (self.dim, self.dim))
            with np.errstate(all="ignore"):
                after = np.clip(m - _inverses(J)[0] @ v[0], low, high)
            if not np.isfinite(after).all() or (np.abs(after - m) <= 4 * _U * np.abs(m)).all():
                break
            m = after
        return m

    def tighten(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X ∩ K(X), repeated while it shrinks: of a box `(d,)` that is known to hold a zero."""
        for _ in range(_TIGHTENINGS):
            below, above = (k[:, 0] for k in self.step(low[:, None], high[:, None]))
            smaller = np.maximum(low, below), np.minimum(high, above)
            gained = (smaller[1] - smaller[0]).max() < 0.99 * (high - low).max()
            low, high = smaller
            if not gained:
                break
        return low, high

    def _middle(self, low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Midpoints and radii, boxes first; nan where a bound is infinite."""
        with np.errstate(all="ignore"):
            middle = 0.5 * low + 0.5 * high
            radius = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
        n = low.shape[1]
        return middle.T.reshape(n, *shape), radius.T.reshape(n, *shape)


def _is_tight(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a box `(d,)` shows where its zero is."""
    return bool((high - low <= _TIGHT * (1 + np.abs(low))).all())


def _inverses(J: np.ndarray) -> np.ndarray:
    """Approximate inverses of matrices `(n, d, d)`; nan where there is none."""
    Y = np.full_like(J, np.nan)
    good = np.isfinite(J).all(axis=(1, 2))
    try:
        Y[good] = np.linalg.inv(J[good])
    except np.linalg.LinAlgError:  # some are exactly singular
        for k in np.flatnonzero(good):
            try:
                Y[k] = np.linalg.inv(J[k])
            except np.linalg.LinAlgError:
                continue
    return Y


def _product(Y: np.ndarray, B: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Y[B ± radius] as midpoint and radius, rounding included: |fl(YB) - YB| <= γ |Y||B|."""
    size = np.abs(Y)
    gamma = 2 * (Y.shape[-1] + 2) * _U
    return Y @ B, (size @ radius) * (1 + gamma) + gamma * (size @ np.abs(B)) + _TINY
