"""Linear systems with torch vectors: dense while small, GMRES on products above."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import SINGULAR

if TYPE_CHECKING:
    from torch import Tensor

DENSE_LIMIT = 64  # up to this dimension linear systems are solved densely


def linear_solve(apply: Callable[[Tensor], Tensor], note: Callable[[float], None]) -> Callable[[Tensor], Tensor]:
    """r -> M⁻¹r for the linear map `apply`: dense up to DENSE_LIMIT, GMRES above, whose relative residual is noted.

    Differentiable in r.
    """
    import numpy as np
    import torch
    from scipy.sparse.linalg import LinearOperator, gmres

    def solve(r: Tensor) -> Tensor:
        d = r.shape[0]
        if r.ndim == 2:
            return torch.stack([_single(r[:, k], k, r) for k in range(r.shape[1])], dim=1)
        if d <= DENSE_LIMIT:
            with torch.no_grad():
                matrix = torch.stack([apply(e) for e in torch.eye(d, dtype=r.dtype, device=r.device)], dim=1)
            try:
                return torch.linalg.solve(matrix, r)
            except torch.linalg.LinAlgError as error:
                raise NotInThisWorld("invert", "neural", SINGULAR) from error
        if r.requires_grad:
            raise NotInThisWorld(
                "invert", "neural", f"differentiating a resolvent needs d <= {DENSE_LIMIT}, this game has d = {d}"
            )

        def product(x: Any) -> Any:
            with torch.no_grad():
                return apply(torch.as_tensor(x, dtype=r.dtype, device=r.device)).cpu().double().numpy()

        operator = LinearOperator((d, d), matvec=product, dtype=np.float64)
        rtol = 1e-12 if r.dtype == torch.float64 else 1e-6
        target = r.detach().cpu().double().numpy()
        solution, failed = gmres(operator, target, rtol=rtol, atol=0.0, restart=50, maxiter=20)
        size = np.linalg.norm(target)
        left = float(np.linalg.norm(operator @ solution - target) / size) if size else 0.0
        note(left)
        if failed:
            warnings.warn(f"GMRES stopped at a relative residual of {left:.1e}, above {rtol:.0e}", stacklevel=2)
        return torch.as_tensor(solution, dtype=r.dtype, device=r.device)

    def _single(column: Tensor, k: int, r: Tensor) -> Tensor:
        raise NotInThisWorld("invert", "neural", "linear systems are solved one state at a time; pass z of shape (d,)")

    return solve
