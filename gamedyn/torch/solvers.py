"""Equations in vectors per player: dense, conjugate gradients on a Schur complement, GMRES, Newton."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import SINGULAR

__all__ = ["DENSE_LIMIT", "Solve", "solve_cross", "solve_linear", "solve_nonlinear"]

DENSE_LIMIT = 64  # up to this dimension linear systems are solved densely
NEWTON_STEPS = 12
MOST_ITERATIONS = 1000
GROWN = 1e8  # growth of ‖r‖² at which conjugate gradients are not for this system

Image = Callable[[list[Any]], list[Tensor]]


@dataclass(frozen=True)
class Solve:
    """How an equation was solved.

    Attributes
    ----------
    solver : str
        "dense", "conjugate gradients", "GMRES", or "Newton" with one of them.
    iterations : int
        Of conjugate gradients or GMRES; for Newton's method, its steps.
    residual : float
        ‖A w - rhs‖ / ‖rhs‖ at the end, as the solver last knew it.
    """

    solver: str
    iterations: int
    residual: float


def _tolerance(given: float | None, like: Tensor) -> float:
    if given is not None:
        return given
    return 1e-12 if like.dtype == torch.float64 else 1e-6


def solve_linear(image: Image, rhs: Sequence[Tensor], tolerance: float | None) -> tuple[list[Tensor], Solve]:
    """The w with image(w) = rhs, for a linear image: dense up to `DENSE_LIMIT`, GMRES above."""
    sizes = [len(r) for r in rhs]
    flat = torch.cat(list(rhs))

    def apply(x: Tensor) -> Tensor:
        return torch.cat(image(list(x.split(sizes))))

    solution, solve = _solve(apply, flat, tolerance)
    return list(solution.split(sizes)), solve


def _solve(apply: Callable[[Tensor], Tensor], rhs: Tensor, tolerance: float | None) -> tuple[Tensor, Solve]:
    if len(rhs) <= DENSE_LIMIT:
        matrix = torch.stack([apply(e) for e in torch.eye(len(rhs), dtype=rhs.dtype, device=rhs.device)], dim=1)
        if not matrix.isfinite().all():
            return torch.full_like(rhs, torch.nan), Solve("dense", 0, float("nan"))
        try:
            solution = torch.linalg.solve(matrix, rhs)
        except torch.linalg.LinAlgError as error:
            raise NotInThisWorld("invert", "neural", SINGULAR) from error
        return solution, Solve("dense", 0, _relative(matrix @ solution - rhs, rhs))
    return _gmres(apply, rhs, _tolerance(tolerance, rhs))


def _gmres(apply: Callable[[Tensor], Tensor], rhs: Tensor, tolerance: float) -> tuple[Tensor, Solve]:
    import numpy as np
    from scipy.sparse.linalg import LinearOperator, gmres

    target = rhs.cpu().double().numpy()
    if not np.isfinite(target).all():
        return torch.full_like(rhs, torch.nan), Solve("GMRES", 0, float("nan"))

    def product(x: Any) -> Any:
        return apply(torch.as_tensor(x, dtype=rhs.dtype, device=rhs.device)).cpu().double().numpy()

    residuals: list[float] = []
    operator = LinearOperator((len(rhs), len(rhs)), matvec=product, dtype=np.float64)
    solution, _ = gmres(
        operator,
        target,
        rtol=tolerance,
        atol=0.0,
        restart=50,
        maxiter=20,
        callback=lambda r: residuals.append(float(r)),
        callback_type="pr_norm",
    )
    found = torch.as_tensor(solution, dtype=rhs.dtype, device=rhs.device)
    left = residuals[-1] if residuals else 0.0
    if left > 10 * tolerance:
        warnings.warn(f"GMRES stopped at a relative residual of {left:.1e}, above {tolerance:.0e}", stacklevel=2)
    return found, Solve("GMRES", len(residuals), left)


def solve_cross(
    image: Image, rhs: Sequence[Tensor], tolerance: float | None, opposite: Callable[[], bool]
) -> tuple[list[Tensor], Solve]:
    """(x, y) with x + B y = a, y + C x = b, where image(x, y) = (x + B y, y + C x).

    One player is eliminated: (I - B C) x = a - B b, y = b - C x.  In a zero-sum game C = -Bᵀ up to scales, so that
    I - BC is symmetric and positive definite, and conjugate gradients serve; else GMRES.

    Parameters
    ----------
    image : callable
        Takes None for a block of zeros and then forms half a product.
    rhs : (a, b)
    tolerance : float or None
    opposite : callable
        Whether the game is zero-sum; asked after the first product.
    """
    a, b = rhs
    if len(a) + len(b) <= DENSE_LIMIT:
        return solve_linear(image, rhs, tolerance)

    def B(y: Tensor) -> Tensor:
        return image([None, y])[0]

    def C(x: Tensor) -> Tensor:
        return image([x, None])[1]

    def complement(p: Tensor) -> tuple[Tensor, Tensor]:
        Cp = C(p)
        return p - B(Cp), Cp

    right = a - B(b)
    if opposite():
        x, Cx, solve = conjugate_gradients(complement, right, _tolerance(tolerance, a))
        if not solve.residual > _tolerance(tolerance, a):
            return [x, b - Cx], solve
    # not zero-sum, or only by the costs' values at this point: what conjugate gradients left, their residual says
    x, solve = _solve(lambda p: complement(p)[0], right, tolerance)
    return [x, b - C(x)], solve


def conjugate_gradients(
    apply: Callable[[Tensor], tuple[Tensor, Tensor]], rhs: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, Solve]:
    """x = A⁻¹ rhs for a symmetric positive definite A, by conjugate gradients from 0, and Cx for another linear map C.

    Stops at a residual of `tolerance` ‖rhs‖, or where a number is not finite.

    Parameters
    ----------
    apply : callable
        p -> (A p, C p); products with C that A is made of come along for nothing.
    rhs : Tensor `(size,)`
    tolerance : float

    References
    ----------
    .. [1] M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems (1952).
    """
    x, r, p = torch.zeros_like(rhs), rhs.clone(), rhs.clone()
    Cx: Tensor | None = None
    rho = start = float(torch.dot(r, r))
    count = 0
    while start * GROWN > rho > tolerance**2 * start and count < min(len(rhs) * 2, MOST_ITERATIONS):
        Ap, Cp = apply(p)
        alpha = rho / float(torch.dot(p, Ap))
        Cx = alpha * Cp if Cx is None else Cx.add_(Cp, alpha=alpha)
        x.add_(p, alpha=alpha)
        r.add_(Ap, alpha=-alpha)
        rho, before = float(torch.dot(r, r)), rho
        p.mul_(rho / before).add_(r)
        count += 1
    if start != start:
        x.fill_(torch.nan)
    return (
        x,
        apply(x)[1] if Cx is None else Cx,
        Solve("conjugate gradients", count, (rho / start) ** 0.5 if start else 0.0),
    )


def solve_nonlinear(
    linearised: Callable[[list[Tensor]], tuple[list[Tensor], Image]], rhs: Sequence[Tensor], tolerance: float | None
) -> tuple[list[Tensor], Solve]:
    """The w with image(w) = rhs by Newton's method from rhs.

    Parameters
    ----------
    linearised : callable
        w -> image(w) and its derivative there.
    rhs : sequence of Tensor
    tolerance : float or None
        Of the linear solves.
    """
    sizes = [len(r) for r in rhs]
    flat = torch.cat(list(rhs))
    w, best, steps, inner = flat.clone(), float("inf"), 0, "dense"
    smallest = 4 * torch.finfo(flat.dtype).eps
    while True:
        image, tangent = linearised(list(w.split(sizes)))
        left = torch.cat(image) - flat
        residual = _relative(left, flat)
        # rounding has taken over where a step does not halve a small residual
        stalled = residual > best / 2 and best < 1e3 * smallest
        settled = residual <= smallest and steps > 0  # a step much smaller than its point is a step all the same
        if settled or stalled or steps == NEWTON_STEPS or residual != residual:
            return list(w.split(sizes)), Solve(f"Newton, {inner}", steps, residual)
        best = min(best, residual)
        correction, solve = _solve(lambda u, t=tangent: torch.cat(t(list(u.split(sizes)))), left, tolerance)  # type: ignore[misc]
        w, inner, steps = w - correction, solve.solver, steps + 1


def _relative(left: Tensor, rhs: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(rhs))
    return float(torch.linalg.vector_norm(left)) / norm if norm else float(torch.linalg.vector_norm(left))
