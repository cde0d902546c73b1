"""The resolvent (zI - M)⁻¹: its norm at many points from one Schur form, and from below on a Krylov space.

‖(zI - M)⁻¹‖ = 1/σ_min(zI - M),    M = QTQ*,    σ_min(zI - M) = σ_min(zI - T)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ProjectedResolvent", "Resolvent"]

SMALL = 8  # up to here plain singular values are as fast
BLOCK = 32  # rows of a triangular solve whose couplings are one matrix product
CHUNK = 2**21  # entries of the vectors of all points that are worked on together
ITERATIONS = 120
TOLERANCE = 1e-8  # of σ_min², relative


class Resolvent:
    """σ_min(zI - M) for arrays of points z.

    Inverse Lanczos steps with the triangular factor, all points of a chunk at once: z enters on the diagonal alone, so
    that the couplings between blocks of rows are matrix products shared by all points. Points that have converged leave
    the working set. Costs 25 d³ once, then about 10 d² per point.

    Parameters
    ----------
    matrix : array `(d, d)`

    Notes
    -----
    Values below d · eps · ‖M‖ are rounding: the Schur form is that of a matrix so close to M.

    References
    ----------
    .. [1] S. H. Lui, Computation of pseudospectra by continuation, SIAM J. Sci. Comput. 18 (1997).
    .. [2] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005), chapter 39.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        from scipy.linalg import schur

        self.matrix = matrix
        self.T = schur(matrix, output="complex")[0] if len(matrix) > 1 else matrix.astype(complex)
        self.eigenvalues = np.diag(self.T).copy()
        norm = float(np.linalg.norm(matrix, 2))
        self.floor = len(matrix) * np.finfo(float).eps * norm
        self._tiny = max(np.finfo(float).eps * norm, 1e-280)

    def smallest(self, z: ArrayLike) -> np.ndarray:
        """σ_min(zI - M), of the shape of z."""
        points = np.asarray(z, dtype=complex)
        flat, d = points.ravel(), len(self.T)
        size = max(1, CHUNK // max(d, 1) ** (2 if d <= SMALL else 1))
        work = self._singular if d <= SMALL else self._lanczos
        parts = [work(flat[k : k + size]) for k in range(0, len(flat), size)]
        return np.concatenate(parts).reshape(points.shape) if parts else np.zeros(points.shape)

    def _singular(self, z: np.ndarray) -> np.ndarray:
        shifted = z[:, None, None] * np.eye(len(self.T)) - self.T
        return np.linalg.svd(shifted, compute_uv=False)[:, -1]

    def _lanczos(self, z: np.ndarray) -> np.ndarray:
        """1/√λ, λ the largest eigenvalue of R R*, R = (zI - T)⁻¹."""
        rng = np.random.default_rng(0)
        d, largest, active = len(self.T), np.zeros(len(z)), np.arange(len(z))
        start = rng.standard_normal((d, 2)) @ np.array([1, 1j])
        q = np.tile((start / np.linalg.norm(start))[:, None], len(z))
        before, beta = np.zeros_like(q), np.zeros(len(z))
        diagonal, beside = np.zeros((len(z), 0)), np.zeros((len(z), 0))
        with np.errstate(all="ignore"):  # overflow is σ = 0
            for _ in range(ITERATIONS):
                shift = self._shift(z[active])
                w = self._solve(shift, self._solve_adjoint(shift, q)) - beta * before
                alpha = np.sum(q.conj() * w, axis=0).real
                w -= alpha * q
                beta = np.linalg.norm(w, axis=0)
                diagonal = np.concatenate([diagonal, alpha[:, None]], axis=1)
                value, residual = _top(diagonal, beside, beta)
                largest[active] = value
                going = np.isfinite(value) & (residual > TOLERANCE * value)
                if not going.any():
                    break
                active, q, w, beta = active[going], q[:, going], w[:, going], beta[going]
                diagonal, beside = diagonal[going], np.concatenate([beside[going], beta[:, None]], axis=1)
                before, q = q, w / beta
            return np.where(np.isfinite(largest), 1 / np.sqrt(largest), 0.0)

    def _shift(self, z: np.ndarray) -> np.ndarray:
        """z - λⱼ, `(d, m)`, kept away from 0."""
        shift = z - self.eigenvalues[:, None]
        return np.where(np.abs(shift) < self._tiny, self._tiny, shift)

    def _solve(self, shift: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(zI - T)⁻¹b for every column with its own z."""
        x, d = b.copy(), len(self.T)
        for high in range(d, 0, -BLOCK):
            low = max(0, high - BLOCK)
            if high < d:
                x[low:high] += self.T[low:high, high:] @ x[high:]
            for j in range(high - 1, low - 1, -1):
                if j + 1 < high:
                    x[j] += self.T[j, j + 1 : high] @ x[j + 1 : high]
                x[j] /= shift[j]
        return x

    def _solve_adjoint(self, shift: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(zI - T)⁻*b."""
        x, d, adjoint, shift = b.copy(), len(self.T), self.T.conj().T, shift.conj()
        for low in range(0, d, BLOCK):
            high = min(d, low + BLOCK)
            if low:
                x[low:high] += adjoint[low:high, :low] @ x[:low]
            for j in range(low, high):
                if j > low:
                    x[j] += adjoint[j, low:j] @ x[low:j]
                x[j] /= shift[j]
        return x


def _top(diagonal: np.ndarray, beside: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalue of every tridiagonal matrix, and its residual in the whole space."""
    m, k = diagonal.shape
    value, residual = np.full(m, np.nan), np.full(m, np.nan)
    usable = np.isfinite(diagonal).all(axis=1) & np.isfinite(beside).all(axis=1) & np.isfinite(beta)
    tridiagonal = np.zeros((int(usable.sum()), k, k))
    rows = np.arange(k)
    tridiagonal[:, rows, rows] = diagonal[usable]
    tridiagonal[:, rows[1:], rows[:-1]] = beside[usable]
    values, vectors = np.linalg.eigh(tridiagonal)
    value[usable] = values[:, -1]
    residual[usable] = beta[usable] * np.abs(vectors[:, -1, -1])
    return value, residual


class ProjectedResolvent:
    """σ_min(zĨ - H̃) on a Krylov space: never below σ_min(zI - M).

        M V_k = V_{k+1} H̃,    ‖(zI - M)V_k y‖ = ‖(zĨ - H̃)y‖

    Parameters
    ----------
    operator : LinearOperator `(d, d)`
        Real.
    steps : int
        k, the products that are spent.
    seed : int
        Of the first vector.

    References
    ----------
    .. [1] K.-C. Toh, L. N. Trefethen, Calculation of pseudospectra by the Arnoldi iteration, SIAM J. Sci. Comput. 17
       (1996).
    """

    def __init__(self, operator: Any, steps: int, seed: int = 0) -> None:
        d = operator.shape[0]
        basis = np.zeros((d, steps + 1))
        hessenberg = np.zeros((steps + 1, steps))
        u = np.random.default_rng(seed).standard_normal(d)
        basis[:, 0] = u / np.linalg.norm(u)
        for j in range(steps):
            w = np.asarray(operator @ basis[:, j])
            for _ in range(2):  # twice is enough
                part = basis[:, : j + 1].T @ w
                hessenberg[: j + 1, j] += part
                w = w - basis[:, : j + 1] @ part
            size = float(np.linalg.norm(w))
            if size <= d * np.finfo(float).eps * np.abs(hessenberg).max(initial=1e-300):
                steps = j + 1  # an invariant space: the last row is 0
                break
            hessenberg[j + 1, j] = size
            basis[:, j + 1] = w / size
        self.hessenberg = hessenberg[: steps + 1, :steps]
        self.eigenvalues = np.linalg.eigvals(self.hessenberg[:-1])
        self.floor = d * np.finfo(float).eps * float(np.linalg.norm(self.hessenberg, 2))

    def smallest(self, z: ArrayLike) -> np.ndarray:
        """σ_min(zĨ - H̃), of the shape of z."""
        points = np.asarray(z, dtype=complex)
        flat, (rows, columns) = points.ravel(), self.hessenberg.shape
        size = max(1, CHUNK // (rows * columns))
        parts = [
            np.linalg.svd(flat[k : k + size, None, None] * np.eye(rows, columns) - self.hessenberg, compute_uv=False)
            for k in range(0, len(flat), size)
        ]
        return np.concatenate(parts)[:, -1].reshape(points.shape) if parts else np.zeros(points.shape)
