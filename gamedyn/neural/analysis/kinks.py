"""Kinks: what a game Jacobian leaves out where the field jumps.

    v(z + hu) - v(z - hu) = 2h J u + jumps of v on the way                                  (1)

v is made of first derivatives of the networks.  A ReLU's jumps where its input changes sign, so v jumps wherever that
happens at a row of the sample.  J is the derivative between such surfaces.  The more rows, the more and the smaller the
jumps: together they are a part of the change of v that does not vanish as rows grow, and that no derivative at z knows.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gamedyn.games.transformed import unwrap
from gamedyn.neural.networks import MinibatchDiscrimination
from gamedyn.neural.penalties import DRAGAN, R1, R2, GradientPenalty

__all__ = ["kinked_parts", "kinks"]

_IN_THE_SLOPE = (
    *(nn.ReLU, nn.LeakyReLU, nn.RReLU, nn.PReLU, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.SELU, nn.Threshold),
    *(nn.Softshrink, nn.Hardshrink, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, MinibatchDiscrimination),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d),
)
_IN_THE_CURVATURE = (nn.CELU, nn.ELU, nn.Softsign)  # of which v is made under a penalty on slopes
_ON_SLOPES = (R1, R2, GradientPenalty, DRAGAN)


def kinks(game: Any, z: Tensor | None = None, *, step: float = 1e-3, directions: int = 4, seed: int = 0) -> float:
    """How far J is from what v does over a step: about 0 for a smooth game.

        sqrt(Σ ‖J u - Δ‖² / Σ ‖Δ‖²),   Δ = (v(z + h u) - v(z - h u)) / 2h,   u ~ N(0, I)

    With h every coordinate moves by about as much as in one step of Adam of that learning rate.  A number that falls
    with h² is curvature; one that stays, or grows, is due to kinks.  With smooth activations (tanh, softplus, silu,
    gelu) and a smooth loss J is what the eigenvalues are said to be; otherwise a spectrum is that between kinks.

    Parameters
    ----------
    game : GAN
        Or a transformed one.
    z : Tensor, optional
        `(d,)`; by default the modules' present parameters.
    step : float
        h > 0.
    directions : int
        How many u; each costs two evaluations of v and a product with J.
    seed : int
        Of the u.

    Raises
    ------
    ValueError
        A step or a number of directions that is not positive, or a z of wrong length.

    Examples
    --------
    >>> from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring
    >>> def gan(name):
    ...     G, D = mlp_generator(4, 2, (16,), activation=name), mlp_discriminator(2, (16,), activation=name)
    ...     return GAN(G, D, data=ring(n=256, std=0.3))
    >>> kinks(gan("tanh")) < 1e-4, kinks(gan("leaky_relu")) > 0.05
    (True, True)
    """
    if not (math.isfinite(step) and step > 0) or isinstance(directions, bool) or directions < 1:
        raise ValueError(f"step is {step} and directions {directions}; give a finite step > 0 and directions >= 1")
    z = torch.as_tensor(unwrap(game)[0].initial() if z is None else z).detach().double()
    if z.shape != (game.dim,):
        raise ValueError(f"z has shape {tuple(z.shape)}; '{game.name}' needs a vector ({game.dim},)")
    F, generator = game.field("neural"), torch.Generator().manual_seed(seed)
    off = size = 0.0
    for _ in range(directions):
        u = torch.randn(len(z), generator=generator, dtype=torch.float64).to(z)
        change = (F(z + step * u) - F(z - step * u)).detach() / (2 * step)
        off += float((F.jvp(z, u).detach() - change).square().sum())
        size += float(change.square().sum())
    return math.sqrt(off / size) if size > 0 else math.sqrt(off)


def kinked_parts(game: Any) -> tuple[str, ...]:
    """What in a GAN makes v jump, as far as it shows in layers and settings: ``("ReLU in generator", ...)``."""
    gan = unwrap(game)[0]
    found = dict.fromkeys(
        f"{type(layer).__name__} in {net.role}"
        for net in getattr(gan, "networks", ())
        for layer in net.module.modules()
        if _has_kink(layer, gan.penalties if net.role != "generator" else ())
    )
    loss = getattr(gan, "loss", None)
    if loss is not None and "hinge" in loss.name:
        found["the loss"] = None
    if len(getattr(gan, "players", ())) > 2 and getattr(gan, "combine", None) == "hardest":
        found["the hardest discriminator"] = None
    return tuple(found)


def _has_kink(layer: nn.Module, penalties: tuple[Any, ...]) -> bool:
    if isinstance(layer, nn.ELU) and layer.alpha != 1:
        return True
    kinds = _IN_THE_SLOPE + (_IN_THE_CURVATURE if any(isinstance(p, _ON_SLOPES) for p in penalties) else ())
    return isinstance(layer, kinds)
