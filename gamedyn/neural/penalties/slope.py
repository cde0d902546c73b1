"""The steepest place of a network that can be found, beside the bound from its layers.

    max over found x of ‖∂f(x)‖₂  <=  L  <=  Π over layers,   Σ over branches that are added          (1)

Neither side is close to L in general; together they say whether a network that is meant to be 1-Lipschitz is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from gamedyn.neural.penalties.lipschitz import LayerBound, NoBound, bound_of, refuse_moving

__all__ = ["Lipschitz", "largest_slope"]

HAIR = 1e-9  # far above the rounding of a sum of thousands of terms, far below what bends a network
AGREEMENT = 1e-7  # of the slopes at a point and beside it, where there is no kink


@dataclass(frozen=True, eq=False, repr=False)
class Lipschitz:
    """A bracket of a network's Lipschitz constant.

    Attributes
    ----------
    lower : float
        The largest slope ‖∂f(x)‖₂ found.
    upper : float
        The bound from the layers; inf where there is none.
    at : ndarray `(d,)`
        Where the largest slope was found.
    on_points : float
        The largest slope at the points given.
    points, steps : int
        How many were given, and steps of ascent.
    layers : tuple of LayerBound
    why : str
        Why there is no bound; empty where there is one.
    """

    lower: float
    upper: float
    at: np.ndarray
    on_points: float
    points: int
    steps: int
    layers: tuple[LayerBound, ...] = ()
    why: str = ""

    def __repr__(self) -> str:
        lines = [
            f"Lipschitz constant: {self.lower:.5g} <= L <= {self.upper:.5g}",
            f"  below: slope at a point of norm {np.linalg.norm(self.at):.3g}, after {self.steps} steps of ascent; "
            f"at the {self.points} given at most {self.on_points:.5g}",
            f"  above: {self.why or 'product over layers, sums over branches'}",
        ]
        shown = [row for row in self.layers if row.constant != 1.0][:20]
        lines += [f"    {row.name or 'the whole':<24} {row.kind:<18} {row.constant:.5g}" for row in shown]
        if hidden := [row.constant for row in self.layers if row not in shown]:
            lines.append(f"    {len(hidden)} others{'' if any(c != 1.0 for c in hidden) else ', 1 each'}")
        return "\n".join(lines)


def largest_slope(
    module: nn.Module,
    points: Tensor,
    *,
    steps: int = 50,
    starts: int = 16,
    box: tuple[float, float] | None = None,
    constants: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Lipschitz:
    """The steepest place found, a lower bound of the Lipschitz constant, beside the bound from the layers.

        x ← P(x + r ∇‖∂f(x)‖₂ / ‖∇‖∂f(x)‖₂‖), kept where the slope has grown; r doubles then, and halves otherwise

    Where the slope has no gradient, as between the kinks of a ReLU network, the direction is random.  At a kink the
    derivative that automatic differentiation gives may be larger than any slope of the function, so every slope is
    taken a hair, 1e-9, beside the point.

    Parameters
    ----------
    module : nn.Module
        From rows `(n, d)` to rows; one backward pass per output and evaluation.
    points : Tensor `(n, d)`
        Where the search starts: data, samples, points between them.
    steps, starts : int
        Steps of ascent, and from how many of the steepest points.
    box : (float, float), optional
        P clips every coordinate to it; by default the search is free.
    constants : mapping, optional
        As in `lipschitz_bound`.
    seed : int
        Of the random directions.

    Returns
    -------
    Lipschitz

    Raises
    ------
    ValueError
        Points that are no rows or not finite, or layers in training whose output depends on more than one row.

    Examples
    --------
    >>> from gamedyn.neural.networks import mlp
    >>> f = mlp((2, 1), seed=3)
    >>> found = largest_slope(f, torch.zeros(1, 2))
    >>> abs(found.lower - found.upper) < 1e-12
    True
    """
    if points.ndim < 2 or not len(points) or steps < 0 or starts < 1:
        raise ValueError(
            f"largest_slope needs rows of points (n, ...), steps >= 0 and starts >= 1; got {tuple(points.shape)}, "
            f"{steps} and {starts}"
        )
    for name, layer in module.named_modules():
        refuse_moving(layer, name)
    if lost := int((~points.isfinite()).flatten(1).any(1).sum()):
        raise ValueError(f"{lost} of {len(points)} points are not finite; give largest_slope finite ones")
    f = copy.deepcopy(module).double().requires_grad_(False)
    x = points.detach().double()
    slopes = torch.cat([_slopes(f, _beside(chunk))[0] for chunk in x.split(1024)])
    best = slopes.topk(min(starts, len(x))).indices
    at, lower = _ascend(f, x[best], steps=steps, box=box, generator=torch.Generator().manual_seed(seed))
    on_points = float(slopes.max())
    if lower <= on_points:  # a box may have moved the starts away from the steepest point
        at, lower = x[slopes.argmax()], on_points
    exact = float(_slopes(f, at[None])[0])
    if abs(exact - lower) <= AGREEMENT * lower:  # no kink
        on_points = exact if on_points == lower else on_points
        lower = exact
    found = Lipschitz(lower, math.inf, at.flatten().cpu().numpy(), on_points, len(x), steps)
    try:
        upper, rows = bound_of(module, points.shape[1:], constants or {})
    except NoBound as error:
        return replace(found, why=str(error))
    return replace(found, upper=upper, layers=tuple(rows))


def _ascend(
    f: nn.Module, x: Tensor, *, steps: int, box: tuple[float, float] | None, generator: torch.Generator
) -> tuple[Tensor, float]:
    low, high = (-math.inf, math.inf) if box is None else box
    x = x.clamp(low, high)
    slope, uphill = _slopes(f, _beside(x), gradient=True)
    radius = torch.full_like(slope, 0.1 * float(x.abs().max().clamp(min=1.0)))
    wide = (-1, *[1] * (x.ndim - 1))
    for _ in range(steps):
        random = torch.randn(x.shape, generator=generator).to(x)
        flat = uphill.flatten(1).norm(dim=1) == 0
        direction = torch.where(flat.view(wide), random, uphill)
        direction = direction / direction.flatten(1).norm(dim=1).view(wide)
        trial = (x + radius.view(wide) * direction).clamp(low, high)
        new, new_uphill = _slopes(f, _beside(trial), gradient=True)
        better = new > slope
        x, uphill = (torch.where(better.view(wide), a, b) for a, b in ((trial, x), (new_uphill, uphill)))
        slope = torch.where(better, new, slope)
        # a random direction that fails says less about the radius than the gradient
        radius = radius * torch.where(better, 2.0, torch.where(flat, 0.9, 0.5))
    k = slope.argmax()
    return x[k], float(slope[k])


def _beside(x: Tensor) -> Tensor:
    """Points a hair away, all in one direction that no kink of a network has reason to follow."""
    direction = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(x)
    return x + HAIR * (1 + x.abs()) * direction


def _slopes(f: nn.Module, x: Tensor, gradient: bool = False) -> tuple[Tensor, Tensor]:
    """‖∂f(x)‖₂ `(n,)` of every row, and its gradient in x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        columns = f(x.clone()).flatten(1).unbind(1)
        rows = [
            torch.autograd.grad(y.sum(), x, create_graph=gradient, retain_graph=True, materialize_grads=True)[0]
            for y in columns
        ]
        jacobian = torch.stack([row.flatten(1) for row in rows], 1)
        slopes = jacobian[:, 0].norm(dim=1) if len(rows) == 1 else torch.linalg.matrix_norm(jacobian, 2)
        if not gradient or not slopes.requires_grad:  # a linear map has the same slope everywhere
            return slopes.detach(), torch.zeros_like(x)
        (uphill,) = torch.autograd.grad(slopes.sum(), x, materialize_grads=True)
    return slopes.detach(), torch.nan_to_num(uphill)
