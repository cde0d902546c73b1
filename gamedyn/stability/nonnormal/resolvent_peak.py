"""The largest resolvent norm on a vertical line or on a circle, over the whole of it.

    h(s) = max ‖(zI - M)⁻¹‖  over  Re z = s  (a flow),  |z| = 1 + s  (a map)                     (1)

σ is a singular value of zI - M for some z on the curve iff a matrix of size 2d has an eigenvalue there:

    flow   [M - sI   σI  ]  has an eigenvalue iy,        map   [M  σI]     [I    0 ]
           [-σI   sI - M*]                                     [0   I] - w [σI   M*]  has one with |w| = 1

(for the map with M and σ divided by 1 + s). So a value is the global minimum of σ_min(zI - M) once the matrix of a
slightly smaller σ has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gamedyn.stability.nonnormal.resolvent import Resolvent

__all__ = ["Peaks"]

MARGIN = 1e-7  # relative; the global maximum is at most this much higher
ON_CURVE = 1e-6  # how far off the curve an eigenvalue of the pencil counts as on it, relative
ROUNDS = 30


class Peaks:
    """h(s) and where it is attained, for one matrix.

    Parameters
    ----------
    matrix : array `(d, d)`
    kind : {"flow", "map"}

    Notes
    -----
    log h is convex in s for a flow and in log(1 + s) for a map beyond the spectrum (the three lines and the three
    circles theorem), and h falls.

    References
    ----------
    .. [1] S. Boyd, V. Balakrishnan, A regularity result for the singular values of a transfer matrix and a
       quadratically convergent algorithm for computing its L∞-norm, Systems & Control Letters 15 (1990).
    .. [2] N. A. Bruinsma, M. Steinbuch, A fast algorithm to compute the H∞-norm of a transfer function matrix, Systems
       & Control Letters 14 (1990).
    """

    def __init__(self, matrix: np.ndarray, kind: str) -> None:
        self.matrix, self.kind = matrix, kind
        self.resolvent = Resolvent(matrix)
        self.is_real = np.isrealobj(matrix)
        values = self.resolvent.eigenvalues
        reach = values.real if kind == "flow" else np.abs(values)
        nearest = values[np.argsort(-reach)[:12]]
        self._seeds = nearest.imag if kind == "flow" else np.angle(nearest)

    def __call__(self, s: float) -> tuple[float, complex]:
        """h(s) and the z at which it is attained; h = inf on an eigenvalue."""
        places = np.append(self._seeds, 0.0)
        places = np.unique(np.abs(places)) if self.is_real else np.unique(places)
        best, place = self._least(s, places)
        for _ in range(ROUNDS):
            if best <= self.resolvent.floor:
                return np.inf, complex(self._point(s, place))
            crossings = self._crossings(s, best * (1 - MARGIN))
            if not len(crossings):
                break
            middles = (crossings + np.append(crossings[1:], self._next(crossings))) / 2
            value, where = self._least(s, np.concatenate([crossings, middles]))
            if value >= best * (1 - MARGIN / 10):
                break
            best, place = value, where
        self._seeds = np.append(self._seeds[-40:], place)  # the next curve is often near this one
        return 1 / best, complex(self._point(s, place))

    def _point(self, s: float, place: Any) -> Any:
        return s + 1j * place if self.kind == "flow" else (1 + s) * np.exp(1j * place)

    def _least(self, s: float, places: np.ndarray) -> tuple[float, float]:
        sigma = self.resolvent.smallest(self._point(s, places))
        k = int(np.argmin(sigma))
        return float(sigma[k]), float(places[k])

    def _next(self, crossings: np.ndarray) -> float:
        """The crossing after the last one: itself on a line, the first one a turn later on a circle."""
        return float(crossings[-1]) if self.kind == "flow" else float(crossings[0] + 2 * np.pi)

    def _crossings(self, s: float, sigma: float) -> np.ndarray:
        """Where the curve meets σ_min = sigma or another singular value of that size, ascending."""
        from scipy.linalg import eigvals

        M, one = self.matrix, np.eye(len(self.matrix))
        if self.kind == "flow":
            shifted = M - s * one
            values = np.linalg.eigvals(np.block([[shifted, sigma * one], [-sigma * one, -shifted.conj().T]]))
            near = np.abs(values.real) <= ON_CURVE * max(float(np.abs(values).max()), sigma)
            return np.sort(values.imag[near])
        M, sigma = M / (1 + s), sigma / (1 + s)
        left = np.block([[M, sigma * one], [0 * one, one]])
        right = np.block([[one, 0 * one], [sigma * one, M.conj().T]])
        with np.errstate(all="ignore"):
            values = eigvals(left, right)
        values = values[np.isfinite(values)]
        return np.sort(np.angle(values[np.abs(np.abs(values) - 1) <= ON_CURVE]))
