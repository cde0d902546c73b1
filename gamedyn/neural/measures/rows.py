"""Samples that a caller gives, as rows in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_rows", "divergence_from"]


def as_rows(what: str, x: Tensor | np.ndarray, dim: int | None = None, at_least: int = 1) -> Tensor:
    """(n, d) in float64, apart from any graph.

    Raises
    ------
    ValueError
        Another shape, fewer than `at_least` rows, or entries that are not finite.
    """
    rows = torch.as_tensor(x).detach().to(torch.float64)
    if rows.ndim != 2 or 0 in rows.shape or dim not in (None, rows.shape[1]):
        wanted = "d" if dim is None else dim
        raise ValueError(f"{what} have shape {tuple(rows.shape)}; it must be (n, {wanted}), one sample per row.")
    if len(rows) < at_least:
        raise ValueError(f"{what} are {len(rows)} rows; at least {at_least} are needed.")
    if lost := int((~rows.isfinite().all(1)).sum()):
        raise ValueError(f"{lost} of {len(rows)} rows of {what} are not finite. Has the run diverged?")
    return rows


def divergence_from(weights: Tensor, shares: Tensor) -> float:
    """KL(shares ‖ weights) = Σ pₖ log(pₖ / wₖ) of two distributions `(k,)`."""
    there = shares > 0
    return max(0.0, float((shares[there] * (shares[there] / weights[there]).log()).sum()))
