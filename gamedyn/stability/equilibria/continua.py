"""Manifolds among the zeros that Newton's method found: which zeros are isolated, and which belong together.

    J(z) n = 0   and   v = 0 again near z ± εn, at a distance of about ε along n, for every null direction n       (1)

and so on for 20 steps says that near z the zeros form a manifold whose dimension is that of the null space of J.  Two
zeros belong to the same one if a walk along null directions leads from the one to the other.  Both statements are
numerical, not proofs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Continuum", "continua"]

Batch = Callable[[np.ndarray], np.ndarray]

_SINGULAR = 1e-6  # of the largest singular value, or of 1
_REACH = 1e-2  # ε of (1), in half sides of the box
_STRIDE = 0.05  # of a walk, in half sides of the box
_STEPS = 200
_PARTS = 8
_CENTERING = 50
_FARTHER = 20
_FIRM = 1e-2
_SETTLED = 1e-7  # Newton's step at a zero


@dataclass(frozen=True, eq=False)
class Continuum:
    """A manifold of zeros.

    Attributes
    ----------
    dimension : int
    point : ndarray `(d,)`
        Of it, about the nearest to the centre of the box.
    members : int
        Zeros found that belong to it.
    """

    dimension: int
    point: np.ndarray
    members: int


def continua(
    value: Batch, jacobian: Batch, zeros: np.ndarray, box: np.ndarray, tolerance: float
) -> tuple[np.ndarray, list[Continuum]]:
    """The zeros `(m, d)` that lie on no manifold, and the manifolds.

    Parameters
    ----------
    value, jacobian : callable
        v and Dv on batches: `(d, n)` -> `(d, n)` and `(d, d, n)`.
    zeros : ndarray `(m, d)`
    box : ndarray `(d, 2)`
    tolerance : float
        Largest |v_k| of a zero.

    Examples
    --------
    >>> v = lambda z: z * (np.sum(z**2, axis=0) - 1)
    >>> J = lambda z: np.eye(2)[:, :, None] * (np.sum(z**2, axis=0) - 1) + 2 * z[:, None] * z[None]
    >>> zeros = np.array([[0.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> alone, (circle,) = continua(v, J, zeros, np.array([[-3.0, 3.0]] * 2), 1e-10)
    >>> alone.tolist(), circle.dimension, circle.members
    ([[0.0, 0.0]], 1, 2)
    """
    if not len(zeros):
        return zeros, []
    walk = _Walk(value, jacobian, box.mean(axis=1), 0.5 * float((box[:, 1] - box[:, 0]).min()), tolerance)
    dimensions = walk.dimensions(zeros)
    found: list[Continuum] = []
    degenerate = [zeros[dimensions == 0]]
    for k in sorted(set(dimensions[dimensions > 0])):
        left = zeros[dimensions == k]
        while len(left):
            nearest = left[np.argmin(np.linalg.norm(left - walk.centre, axis=1))]
            joined = walk.reach(left, nearest, k) if len(found) < _PARTS else np.ones(len(left), dtype=bool)
            if walk.goes_on(nearest, k):
                found.append(Continuum(int(k), walk.towards_centre(nearest, k), int(joined.sum())))
            else:  # a zero of order nine looks flat nearby
                degenerate.append(left[joined])
            left = left[~joined]
    alone = np.concatenate(degenerate)
    on_one = np.array([any(walk.touches(z, c.dimension) for c in found) for z in alone], dtype=bool)
    return alone[~on_one], found


@dataclass(frozen=True, eq=False)
class _Walk:
    value: Batch
    jacobian: Batch
    centre: np.ndarray
    scale: float
    tolerance: float

    def dimensions(self, zeros: np.ndarray) -> np.ndarray:
        """Of the manifold through every zero; 0 where it is isolated, or where (1) fails for some direction."""
        matrices = np.moveaxis(self.jacobian(zeros.T), 2, 0)
        finite = np.isfinite(matrices).all(axis=(1, 2))
        nullity = np.zeros(len(zeros), dtype=int)
        _, sizes, right = np.linalg.svd(matrices[finite])
        nullity[finite] = (sizes <= _SINGULAR * np.maximum(1.0, sizes[:, :1])).sum(axis=1)
        frames = np.zeros(matrices.shape)
        frames[finite] = right
        result = nullity.copy()
        for i in np.flatnonzero(nullity):
            if not self._is_tangent(zeros[i], frames[i][len(frames[i]) - nullity[i] :]):
                result[i] = 0
        return result

    def touches(self, zero: np.ndarray, k: int) -> bool:
        """Whether a manifold of dimension k passes through a zero with more null directions than that."""
        _, sizes, right = np.linalg.svd(self.jacobian(zero[:, None])[:, :, 0])
        directions = right[sizes <= _SINGULAR * max(1.0, sizes[0])]
        if len(directions) <= k:
            return False
        epsilon = _REACH * self.scale
        tried = np.concatenate([directions, -directions]) * epsilon
        ends, good = self.project(zero[:, None] + tried.T, k)
        return bool((good & (np.linalg.norm(ends.T - zero - tried, axis=1) <= 0.5 * epsilon)).any())

    def _is_tangent(self, zero: np.ndarray, directions: np.ndarray) -> bool:
        """(1) at one zero, for null directions `(k, d)` and one mixture of them."""
        epsilon = _REACH * self.scale
        weights = np.linspace(1.0, 2.0, len(directions))
        mixed = weights @ directions / np.linalg.norm(weights)
        tried = np.concatenate([directions, -directions, mixed[None]]) * epsilon
        ends, good = self.project(zero[:, None] + tried.T, len(directions))
        miss = np.linalg.norm(ends.T - zero - tried, axis=1)
        return bool(good.all() and (miss <= 0.5 * epsilon).all())

    def goes_on(self, zero: np.ndarray, k: int) -> bool:
        """Whether walks from a zero along every null direction, one way or the other, stay on zeros for 20 steps."""
        _, _, right = np.linalg.svd(self.jacobian(zero[:, None])[:, :, 0])
        directions = right[len(zero) - k :].T * _REACH * self.scale
        stays = self._stays(np.repeat(zero[:, None], 2 * k, axis=1), np.hstack([directions, -directions]), k)
        return bool((stays[:k] | stays[k:]).all())

    def _stays(self, z: np.ndarray, step: np.ndarray, k: int) -> np.ndarray:
        """Which walks from the columns of z, by steps as long as those given, stay on zeros."""
        epsilon = np.linalg.norm(step, axis=0)
        good = np.ones(z.shape[1], dtype=bool)
        for _ in range(_FARTHER):
            along = self._tangent(z, step, k)
            step = along * (epsilon / np.maximum(np.linalg.norm(along, axis=0), np.finfo(float).tiny))
            z, fits = self.project(z + step, k, iterations=8)
            good &= fits
            if not good.any():
                break
        return good

    def project(self, z: np.ndarray, k: int, iterations: int = 25) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton on columns `(d, n)` without the k smallest singular values; and which columns are zeros."""
        length = np.full(z.shape[1], np.inf)
        with np.errstate(all="ignore"):
            for _ in range(iterations):
                step = self._normal_step(z, k)
                length = np.abs(step).max(axis=0)
                z = z - np.where(np.isfinite(length), step, 0.0)
                if not (length > 1e-14 * (1 + np.abs(z).max(axis=0))).any():
                    break
            residual = np.abs(self.value(z)).max(axis=0)
        settled = length <= _SETTLED * (1 + np.abs(z).max(axis=0))
        return z, (residual <= 10 * self.tolerance) & settled & self._is_singular(z, k)

    def _normal_step(self, z: np.ndarray, k: int) -> np.ndarray:
        left, sizes, right = self._factors(z)
        r = len(z) - k
        inverse = 1 / np.maximum(sizes[:, :r], np.finfo(float).tiny)
        along = np.einsum("nji,jn->ni", left[:, :, :r], self.value(z))
        return np.einsum("nij,ni->jn", right[:, :r], inverse * along)

    def _factors(self, z: np.ndarray) -> Any:
        matrices = np.moveaxis(self.jacobian(z), 2, 0)
        return np.linalg.svd(np.where(np.isfinite(matrices), matrices, 0.0))

    def _is_singular(self, z: np.ndarray, k: int) -> np.ndarray:
        _, sizes, _ = self._factors(z)
        below = sizes <= 10 * _SINGULAR * np.maximum(1.0, sizes[:, :1])
        return below.sum(axis=1) == k

    def _tangent(self, z: np.ndarray, u: np.ndarray, k: int) -> np.ndarray:
        """The part of the columns u along the k null directions at z."""
        _, _, right = self._factors(z)
        null = right[:, len(z) - k :]
        return np.einsum("nij,ni->jn", null, np.einsum("nij,jn->ni", null, u))

    def _firmness(self, z: np.ndarray, k: int) -> float:
        """The smallest singular value of J off the null directions, relative to the largest one or 1."""
        _, sizes, _ = self._factors(z)
        return float(sizes[0, len(z) - k - 1] / max(1.0, sizes[0, 0]))

    def reach(self, points: np.ndarray, goal: np.ndarray, k: int) -> np.ndarray:
        """Which points `(m, d)` a walk along null directions brings to the goal."""
        z, stride = points.T.copy(), _STRIDE * self.scale
        arrived = np.zeros(z.shape[1], dtype=bool)
        walking = ~arrived
        for _ in range(_STEPS):
            gap = goal[:, None] - z
            distance = np.linalg.norm(gap, axis=0)
            arrived |= walking & (distance <= 1e-5 * self.scale)
            walking &= ~arrived
            if not walking.any():
                break
            w = np.flatnonzero(walking)
            along = self._tangent(z[:, w], gap[:, w], k)
            length = np.linalg.norm(along, axis=0)
            stuck = length <= 1e-3 * distance[w]
            step = along * np.minimum(1.0, stride / np.maximum(length, np.finfo(float).tiny))
            z[:, w], good = self.project(z[:, w] + step, k, iterations=8)
            walking[w] = good & ~stuck
        return arrived

    def towards_centre(self, point: np.ndarray, k: int) -> np.ndarray:
        """The point moved along the manifold while that brings it nearer to the centre."""
        z, pace = point[:, None], 0.5
        firm = min(_FIRM, self._firmness(z, k))  # beside a crossing with other zeros the class would mean nothing
        for _ in range(_CENTERING):
            step = self._tangent(z, self.centre[:, None] - z, k)
            trial, good = self.project(z + pace * step, k)
            nearer = np.linalg.norm(trial[:, 0] - self.centre) < np.linalg.norm(z[:, 0] - self.centre) - 1e-13
            if good[0] and nearer and self._firmness(trial, k) >= firm:
                z = trial
            else:
                pace /= 2
            if pace * np.linalg.norm(step) < 1e-12 * self.scale:
                break
        return z[:, 0]
