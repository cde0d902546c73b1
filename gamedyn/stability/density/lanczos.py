"""The Lanczos and the Arnoldi process from one start vector, with full reorthogonalisation.

    A V = V H + v bᵀ      V orthonormal, V e₁ = u, H tridiagonal for a symmetric A              (1)

H is what the spectrum of A looks like from u: e₁ᵀp(H)e₁ = uᵀp(A)u for every polynomial p of degree up to m, and up to
2m - 1 where A is symmetric.  V lies on the device of the products and in their precision, m vectors of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["arnoldi", "lanczos"]

PASSES = 2  # of Gram-Schmidt: "twice is enough"


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """The tridiagonal matrix of a symmetric A.

    Parameters
    ----------
    product : callable
        u `(d,)` -> Au `(d,)`.
    start : Tensor `(d,)`
        u, not 0; it is scaled to length 1.
    steps : int
        m, at most d.

    Returns
    -------
    diagonal, side : ndarray `(m,)`, `(m,)`
        side[j] is the length left over after step j, the last one outside of H; fewer where the space became invariant.
    invariant : bool
        Whether it did: (1) is then exact for every function, not only polynomials.

    Examples
    --------
    >>> A = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    >>> diagonal, side, invariant = lanczos(lambda u: A @ u, torch.ones(3, dtype=torch.float64), 3)
    >>> np.linalg.eigvalsh(np.diag(diagonal) + np.diag(side[:2], 1) + np.diag(side[:2], -1)).round(6)
    array([1., 2., 4.])
    """
    H, invariant = arnoldi(product, start, steps)
    diagonal, side = np.diag(H).copy(), np.diag(H, -1).copy()
    return diagonal, side, invariant


def arnoldi(product: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> tuple[np.ndarray, bool]:
    """H with the row below it, `(m + 1, m)`; m < steps where the space became invariant, which is the second result.

    Raises
    ------
    ValueError
        If a product is not finite.
    """
    d = len(start)
    steps = min(steps, d)
    V = torch.empty((steps + 1, d), dtype=start.dtype, device=start.device)
    V[0] = start / start.norm()
    H = np.zeros((steps + 1, steps))
    eps, scale = torch.finfo(start.dtype).eps, 0.0
    for j in range(steps):
        w = product(V[j]).clone()  # a product may come in a buffer of its own
        scale = max(scale, float(w.norm()))
        if not np.isfinite(scale):
            raise ValueError("a product with the operator is not finite; its point may lie outside the domain of v")
        for _ in range(PASSES):
            h = V[: j + 1] @ w
            w.addmv_(V[: j + 1].T, h, alpha=-1)
            H[: j + 1, j] += h.double().cpu().numpy()
        left = float(w.norm())
        if left <= 50 * eps * scale or j + 1 == d:
            return H[: j + 2, : j + 1], True
        H[j + 1, j] = left
        V[j + 1] = w / left
    return H, False
