"""Eigenvalues of a Jacobian in numbers: all of them from its matrix, or the leading ones from products with it.

    Jx = λx,  yᴴJ = λyᴴ,      residual ‖Jx - λx‖,   κ(λ) = 1/|yᴴx|,   ‖x‖ = ‖y‖ = 1           (1)

The products are J's own, so x is a right eigenvector; left ones come from a second iteration, on Jᵀ.  Unless
told otherwise, every residual is computed from a product that is made for it, not taken from the iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gamedyn.stability.spectra.eigenvalues import Eigenvalues, leading

if TYPE_CHECKING:
    from torch import Tensor

    from gamedyn.stability.spectra.krylov import KrylovSchur, KrylovState

__all__ = ["dense_eigenvalues", "krylov_eigenvalues", "torch_products"]


class Products(Protocol):
    """What is asked of an operator, such as a `GameJacobian`: products in the vectors of its world."""

    dim: int
    world: str
    zero: Any
    product: Callable[[Any], Any]
    transposed: Callable[[Any], Any]


TOLERANCES = {"torch.float64": 1e-12, "torch.float32": 1e-6}  # of ‖Jx - λx‖ / ‖J‖
_SLACK = 3.0  # of a residual over the iteration's own estimate
_SAME = 1e-3  # relative distance up to which a left and a right eigenvalue may be the same


def dense_eigenvalues(matrix: np.ndarray, k: int | None, which: str, *, precision: float | None = None) -> Eigenvalues:
    """All eigenvalues of a real matrix, or the first k in an order, with residuals and conditions.

    Parameters
    ----------
    matrix : ndarray `(d, d)`
    k : int or None
    which : {"LM", "LR", "SR", "LI"}
    precision : float, optional
        Relative precision of the entries, by default that of their type.
    """
    from scipy.linalg import eig

    if not np.isfinite(matrix).all():
        raise ValueError("the Jacobian is not finite at this point, so it has no eigenvalues; take another point")
    values, left, right = eig(matrix.astype(float), left=True, right=True)
    order = leading(values, which, k)
    values, left, right = values[order], left[:, order], right[:, order]
    with np.errstate(divide="ignore"):
        conditions = 1 / np.abs(np.sum(left.conj() * right, axis=0))
    eps = precision or float(np.finfo(matrix.dtype).eps)
    return Eigenvalues(
        values,
        np.linalg.norm(matrix @ right - right * values, axis=0),
        conditions,
        float(np.linalg.norm(matrix, 2)),
        tolerance=1e3 * eps,
        method="dense",
        products=len(matrix),
        right=lambda i: right[:, i],
        left=lambda i: left[:, i],
    )


def krylov_eigenvalues(
    J: Products,
    k: int,
    which: str,
    *,
    tolerance: float | None = None,
    basis: int | None = None,
    restarts: int = 300,
    conditions: bool = False,
    verify: bool = True,
    start: Any = None,
    state: KrylovState | None = None,
    seed: int = 0,
    report: Callable[[KrylovSchur], None] | None = None,
) -> Eigenvalues:
    """The k leading eigenvalues from products; see `GameJacobian.eigenvalues` for the arguments."""
    from gamedyn.stability.spectra.krylov import KrylovSchur

    product, transposed, like = torch_products(J)
    wanted = TOLERANCES[str(like.dtype)] if tolerance is None else tolerance
    size = basis_size(J.dim, k, which) if basis is None else basis
    settings: dict[str, Any] = {"k": k, "which": which, "basis": size, "tolerance": wanted, "seed": seed}
    search = KrylovSchur(product, like, start=_vector(start, like), state=state, **settings)
    search.run(restarts, report)
    residuals = _residuals(product, search) if verify else search.estimates
    kappas, left, spent = None, None, 0
    if conditions:
        other = KrylovSchur(transposed, like, start=_sum_of_vectors(search), **settings).run(restarts)
        kappas, places = _conditions(search, other)
        left, spent = (lambda i: _array(other, places[i])), other.products
    limit = max(_SLACK * wanted, 1e2 * _eps(like))
    found = int((residuals <= limit * search.norm).sum())
    return Eigenvalues(
        search.values,
        residuals,
        kappas,
        search.norm,
        tolerance=limit,
        method=f"Krylov-Schur, {size} vectors of {str(like.dtype).removeprefix('torch.')}"
        + ("" if verify else ", residuals estimated"),
        note="" if found >= min(k, len(residuals)) else _missing(found, k, search.restarts),
        products=search.products + spent + verify * len(residuals),  # a pair takes two
        right=partial(_array, search),
        left=left,
        state=search.snapshot,
    )


def basis_size(d: int, k: int, which: str) -> int:
    """Vectors of the space by default: more for the ends of the real axis, where values lie closer together."""
    return min(d, max(3 * k + 20, 40) if which == "LM" else max(4 * k + 20, 60))


def _missing(found: int, k: int, restarts: int) -> str:
    return (
        f"{found} of {k} converged after {restarts} restarts; go on with state=, or give a larger basis, more restarts "
        f"or a larger tolerance"
    )


def torch_products(J: Products) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor]:
    """u -> Ju and u -> Jᵀu on torch vectors, and such a vector."""
    import torch

    if J.world == "neural":
        return J.product, J.transposed, J.zero
    return (
        lambda u: torch.from_numpy(np.asarray(J.product(u.numpy()))),
        lambda u: torch.from_numpy(np.asarray(J.transposed(u.numpy()))),
        torch.zeros(J.dim, dtype=torch.float64),
    )


def _vector(start: Any, like: Tensor) -> Tensor | None:
    import torch

    if start is None:
        return None
    vector = torch.as_tensor(start).to(like)
    if vector.shape != like.shape or not bool(vector.isfinite().all()):
        raise ValueError(f"start has shape {tuple(vector.shape)}; it must be a finite vector ({len(like)},)")
    return vector


def _residuals(product: Callable[[Tensor], Tensor], search: KrylovSchur) -> np.ndarray:
    """‖Ax - λx‖ of every pair, summed in double precision; the halves of a conjugate pair have the same."""
    found: list[float] = []
    for i, value in enumerate(search.values):
        if i and value.imag and value == np.conj(search.values[i - 1]):
            found.append(found[-1])
            continue
        x, y = search.vector(i)
        rest = product(x).double() - value.real * x.double()
        if y is None:
            found.append(float(rest.norm()))
            continue
        square = (rest + value.imag * y.double()).square().sum()
        rest = product(y).double() - value.real * y.double() - value.imag * x.double()
        found.append(float((square + rest.square().sum()).sqrt()))
    return np.array(found)


def _sum_of_vectors(search: KrylovSchur) -> Tensor:
    """A start for the transposed iteration: some of every eigenvector."""
    total = 0 * search.like
    for i in range(len(search.values)):
        x, y = search.vector(i)
        total += x if y is None else x + y
    return total


def _conditions(search: KrylovSchur, other: KrylovSchur) -> tuple[np.ndarray, list[int]]:
    """κ(λ) of each right eigenvector with the nearest left one, and which that is."""
    kappas, places = [], []
    for i, value in enumerate(search.values):
        distance = np.abs(other.values - np.conj(value))
        j = int(np.argmin(distance)) if len(distance) else 0
        places.append(j)
        if not len(distance) or distance[j] > _SAME * max(abs(value), 1e-3 * search.norm):
            kappas.append(float("nan"))
            continue
        inner = abs(np.vdot(_array(other, j), _array(search, i)))
        kappas.append(1 / inner if inner > 0 else float("inf"))
    return np.array(kappas), places


def _array(search: KrylovSchur, i: int) -> np.ndarray:
    """The i-th vector `(d,)`, complex."""
    x, y = (None if part is None else part.cpu().double().numpy() for part in search.vector(i))
    assert x is not None
    return x + 0j if y is None else x + 1j * y


def _eps(like: Tensor) -> float:
    import torch

    return float(torch.finfo(like.dtype).eps)
