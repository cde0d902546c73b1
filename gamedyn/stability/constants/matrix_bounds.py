"""Proven bounds of what constants are made of, for sets of matrices M ± R, many at once.

    λ_min(S),     ‖J‖₂,     inf_u ⟨u, Ju⟩ / |Ju|²

LAPACK proposes eigenvectors V; what is proven is Gershgorin's bound of VᵀMV, with VᵀV ≈ I taken into account and every
rounding error of the products added (|fl(AB) - AB| <= (d + 2) u |A||B|).

References
----------
.. [1] S. Rump, Verification methods: rigorous results using floating-point arithmetic, Acta Numerica 19 (2010).
"""

from __future__ import annotations

import numpy as np

__all__ = ["norm", "ratio", "smallest_eigenvalue", "spread"]

Bounds = tuple[np.ndarray, np.ndarray]

_U = np.finfo(float).eps
_UP = 1 + 2e-14  # covers the rounding of sums of at most 80 positive terms
_TINY = np.finfo(float).tiny


def smallest_eigenvalue(middle: np.ndarray, radius: np.ndarray) -> Bounds:
    """λ_min of every symmetric matrix within M ± R lies between the bounds.

    Parameters
    ----------
    middle, radius : ndarray `(n, d, d)`
        M symmetric, R >= 0 entry by entry.

    Returns
    -------
    low, high : ndarray `(n,)`
        -inf and inf where an entry is not finite.

    Examples
    --------
    >>> low, high = smallest_eigenvalue(np.array([[[2.0, 1.0], [1.0, 2.0]]]), np.zeros((1, 2, 2)))
    >>> bool(low[0] <= 1 <= high[0]), bool(high[0] - low[0] < 1e-12)
    (True, True)
    """
    d, known = middle.shape[-1], _finite(middle, radius)
    M, R = np.where(known[:, None, None], middle, 0.0), np.where(known[:, None, None], radius, 0.0)
    V = np.linalg.eigh(M)[1]
    W = np.swapaxes(V, 1, 2)
    B, G = W @ (M @ V), W @ V
    sizes = np.abs(W) @ np.abs(M) @ np.abs(V)
    slack = ((2 * d + 6) * _U * sizes + _TINY) * _UP
    gram = ((d + 4) * _U * (np.abs(W) @ np.abs(V)) + _TINY) * _UP
    least_square, largest_square = _gershgorin(G, gram)[0], (np.abs(G) + gram).sum(axis=2).max(axis=1) * _UP
    alone, rayleigh = _gershgorin(B, slack)
    within, _ = _gershgorin(B, slack + np.abs(W) @ R @ np.abs(V) * _UP)
    reach = spread(R)
    low = np.maximum(
        _scaled(alone, least_square, largest_square) - reach * _UP, _scaled(within, least_square, largest_square)
    )
    high = -_scaled(-rayleigh, least_square, largest_square) + reach * _UP
    return _unless(known, low - 4 * _U * np.abs(low), high + 4 * _U * np.abs(high))


def _gershgorin(B: np.ndarray, slack: np.ndarray) -> Bounds:
    """A lower bound of λ_min(B ± slack), and the smallest diagonal entry with its slack, an upper one."""
    diagonal = np.diagonal(B, axis1=1, axis2=2)
    own = np.diagonal(slack, axis1=1, axis2=2)
    others = np.abs(B) * (1 - np.eye(B.shape[1])) + slack
    low = diagonal - others.sum(axis=2) * _UP
    return (low - _U * np.abs(low)).min(axis=1), (diagonal + own).min(axis=1)


def _scaled(bound: np.ndarray, least: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """bound/|u|² from below, when |u|² lies in [least, largest]."""
    with np.errstate(all="ignore"):
        value = np.where(bound >= 0, bound / largest, bound / least)
    return np.where(least > 0, value, -np.inf)


def norm(middle: np.ndarray, radius: np.ndarray) -> Bounds:
    """‖J‖₂ of every matrix within M ± R, `(n, p, q)`, from the largest eigenvalue of MᵀM.

    Examples
    --------
    >>> low, high = norm(np.array([[[0.0, 2.0], [-2.0, 0.0]]]), np.zeros((1, 2, 2)))
    >>> bool(low[0] <= 2 <= high[0]), bool(high[0] - low[0] < 1e-12)
    (True, True)
    """
    known = _finite(middle, radius)
    M, R = np.where(known[:, None, None], middle, 0.0), np.where(known[:, None, None], radius, 0.0)
    W = np.swapaxes(M, 1, 2)
    error = ((M.shape[1] + 2) * _U * (np.abs(W) @ np.abs(M)) + _TINY) * _UP
    square = W @ M
    low, high = smallest_eigenvalue(-(square + np.swapaxes(square, 1, 2)) / 2, error)
    reach = spread(R) * _UP
    below = np.sqrt(np.maximum(-high, 0.0)) * (1 - 2 * _U) - reach
    above = np.sqrt(np.maximum(-low, 0.0)) * (1 + 2 * _U) + reach
    return _unless(known, np.maximum(below - _U * np.abs(below), 0.0), above * (1 + _U))


def ratio(middle: np.ndarray, radius: np.ndarray) -> Bounds:
    """inf over u of ⟨u, Ju⟩/|Ju|² for every matrix J within M ± R, by u = Yw with Y ≈ M⁻¹ and JY = I + G.

        ⟨u, Ju⟩ = ⟨w, (Y + YᵀG) w⟩ (symmetric part),     (1 - ‖G‖)|w| <= |Ju| <= (1 + ‖G‖)|w|

    -inf below where ‖G‖ may reach 1: J may be singular.

    Examples
    --------
    >>> low, high = ratio(np.array([[[1.0, 2.0], [-2.0, 1.0]]]), np.zeros((1, 2, 2)))
    >>> bool(low[0] <= 0.2 <= high[0]), bool(high[0] - low[0] < 1e-12)
    (True, True)
    """
    d, known = middle.shape[-1], _finite(middle, radius)
    Y = _inverse(np.where(known[:, None, None], middle, np.eye(d)))
    known &= np.isfinite(Y).all(axis=(1, 2))
    Y = np.where(known[:, None, None], Y, np.eye(d))
    M, R = np.where(known[:, None, None], middle, np.eye(d)), np.where(known[:, None, None], radius, 0.0)
    size = np.abs(M) @ np.abs(Y)
    G, G_radius = M @ Y - np.eye(d), ((d + 4) * _U * (size + 1) + R @ np.abs(Y)) * _UP
    T = np.swapaxes(Y, 1, 2)
    form = Y + T @ G
    error = ((d + 5) * _U * (np.abs(Y) + np.abs(T) @ np.abs(G)) + np.abs(T) @ G_radius) * _UP
    low, high = smallest_eigenvalue((form + np.swapaxes(form, 1, 2)) / 2, (error + np.swapaxes(error, 1, 2)) / 2 * _UP)
    g = norm(G, G_radius)[1]
    far, near = (1 + g) ** 2 * (1 + 4 * _U), np.maximum(1 - g, 0.0) ** 2 * (1 - 4 * _U)
    with np.errstate(all="ignore"):
        below = np.where(low >= 0, low / far, low / near)
        above = np.where(high >= 0, high / near, high / far)
    known &= near > 0
    return _unless(known, below - _U * np.abs(below), above + _U * np.abs(above))


def spread(radius: np.ndarray) -> np.ndarray:
    """An upper bound of ‖E‖₂ for every |E| <= R: the root of ‖R‖₁‖R‖_∞."""
    product = radius.sum(axis=1).max(axis=1) * radius.sum(axis=2).max(axis=1)
    return np.sqrt(product) * _UP


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Approximate inverses; nan where there is none."""
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:  # one of them is exactly singular
        values = np.linalg.svd(matrices, compute_uv=False)
        regular = (values[:, -1] > 0)[:, None, None]
        return np.where(regular, np.linalg.pinv(matrices), np.nan)


def _finite(middle: np.ndarray, radius: np.ndarray) -> np.ndarray:
    return np.isfinite(middle).all(axis=(1, 2)) & np.isfinite(radius).all(axis=(1, 2))


def _unless(known: np.ndarray, low: np.ndarray, high: np.ndarray) -> Bounds:
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return np.where(known, low, -np.inf), np.where(known, high, np.inf)
