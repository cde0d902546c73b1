"""Estimates of a field's constants from its Jacobian at sample points: where there are no formulas to bound.

Samples bound an infimum from above and a supremum from below; nothing is proven about the points between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.constants.game_constants import GameConstants
from gamedyn.stability.jacobian import DENSE_DIMENSION, GameJacobian

__all__ = ["Sampled", "ball", "estimated", "sampled"]

_PROBES = 16  # random directions in which ⟨u, Ju⟩/|Ju|² is looked at besides the extreme ones


class Sampled(NamedTuple):
    """The smallest λ_min(S), the largest ‖J‖ and the smallest ⟨u, Ju⟩/|Ju|² met, and at which sample mu was."""

    mu: float
    L: float
    ratio: float
    where: int


def estimated(found: Sampled, name: str, where: str, how: str, note: str = "") -> GameConstants:
    """Constants that rest on samples alone; `how` says on which."""
    return GameConstants(
        name=name,
        where=where,
        mu=Constant.estimate(found.mu, cautious="low", note=f"at most, {how}"),
        L=Constant.estimate(found.L, cautious="high", note=f"at least, {how}"),
        cocoercive=Constant.estimate(max(0.0, found.ratio), cautious="low", note=f"at most, {how}"),
        comonotone=Constant.estimate(found.ratio, cautious="low", note=f"at most, {how}"),
        weak_minty=None,
        curvature=(),
        coupling={},
        players=(),
        note=note,
    )


def ball(z: Any, radius: float, samples: int, rng: np.random.Generator) -> list[Any]:
    """z, and points around it in a ball, in z's own type: `samples` in all."""
    points, d = [z], len(z)
    for _ in range(samples - 1):
        u = rng.standard_normal(d)
        u *= radius * rng.random() ** (1 / d) / np.linalg.norm(u)
        points.append(z + _like(z, u))
    return points


def _like(z: Any, u: np.ndarray) -> Any:
    if isinstance(z, np.ndarray):
        return u
    import torch

    return torch.as_tensor(u, dtype=z.dtype, device=z.device)


def sampled(jacobian: Callable[[Any], GameJacobian], points: Sequence[Any], rng: np.random.Generator) -> Sampled:
    """The extremes over points: dense up to d = 600, by Lanczos iterations and probes beyond.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.games.bilinear(1)
    >>> s = sampled(lambda z: gd.jacobian(g, z), [np.zeros(2)], np.random.default_rng(0))
    >>> round(s.mu, 12), round(s.L, 12), abs(s.ratio) < 1e-12
    (0.0, 1.0, True)
    """
    found = []
    for z in points:
        J = jacobian(z)
        found.append(_dense(J) if J.dim <= DENSE_DIMENSION else _iterated(J, rng))
    mu, L, ratio = (np.array(column) for column in zip(*found, strict=True))
    return Sampled(float(mu.min()), float(L.max()), float(ratio.min()), int(mu.argmin()))


def _dense(J: GameJacobian) -> tuple[float, float, float]:
    M = J.to_dense()
    M = np.asarray(M if J.world == "array" else M.detach().cpu().double().numpy(), dtype=float)
    values, vectors = np.linalg.eigh((M + M.T) / 2)
    sigma = np.linalg.svd(M, compute_uv=False)
    if sigma[-1] > 1e-10 * sigma[0]:
        inverse = np.linalg.inv(M)
        return float(values[0]), float(sigma[0]), float(np.linalg.eigvalsh((inverse + inverse.T) / 2)[0])
    return float(values[0]), float(sigma[0]), _least_ratio(M @ vectors, vectors)


def _iterated(J: GameJacobian, rng: np.random.Generator) -> tuple[float, float, float]:
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator, symmetric = J.to_scipy(), J.symmetric.to_scipy()
    start = rng.standard_normal(J.dim)
    mu, vectors = eigsh(symmetric, k=1, which="SA", v0=start, tol=1e-6)
    square = LinearOperator(J.shape, matvec=lambda u: operator.rmatvec(operator @ u), dtype=np.float64)
    largest = eigsh(square, k=1, which="LA", v0=start, tol=1e-6, return_eigenvectors=False)
    directions = np.concatenate([vectors, rng.standard_normal((J.dim, _PROBES))], axis=1)
    images = np.stack([operator @ u for u in directions.T], axis=1)
    return float(mu[0]), float(np.sqrt(max(largest[0], 0.0))), _least_ratio(images, directions)


def _least_ratio(images: np.ndarray, directions: np.ndarray) -> float:
    """min ⟨u, Ju⟩/|Ju|² over columns u with images Ju; inf where all images vanish."""
    square = (images**2).sum(axis=0)
    seen = square > 1e-20 * square.max(initial=0.0)
    top = (images * directions).sum(axis=0)
    return float((top[seen] / square[seen]).min(initial=np.inf))
