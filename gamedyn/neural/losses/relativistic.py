"""Losses that ask whether data look more real than samples.

    cost_D = h(D(x), D(G(z))),   cost_G = h(D(G(z)), D(x))                                  (1)

The generator's cost is the discriminator's with the roles exchanged: it also wants data to look less real.  General
sum.  Only differences of D count, so D rests at any constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gamedyn.neural.losses.base import GANLoss, needs_scene

if TYPE_CHECKING:
    from gamedyn.neural.scene import Scene

__all__ = ["Relativistic", "relativistic", "relativistic_average", "relativistic_hinge"]


@dataclass(frozen=True, repr=False)
class Relativistic(GANLoss):
    """cost_G is cost_D with data and samples exchanged."""

    def generator_cost(self, scene: Scene) -> Tensor:
        fake = scene.fake_logits
        return self.discriminator(fake, scene.real_logits)


def _pairs(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(fake - real).mean()


def _averages(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()


def _margins(real: Tensor, fake: Tensor) -> Tensor:
    return torch.relu(1 - real + fake.mean()).mean() + torch.relu(1 + fake - real.mean()).mean()


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return p.log() - q.log()


def _loss(
    name: str,
    h: Callable[[Tensor, Tensor], Tensor],
    value: str,
    optimal_logit: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Relativistic:
    optimum = f"p_G = p_data, D constant, cost_D = cost_G = {value}"
    return Relativistic(name, needs_scene, h, optimum, optimal_logit=optimal_logit)


relativistic = _loss("relativistic", _pairs, "log 2", _log_ratio)
"""Pairs of data and samples; Jolicoeur-Martineau (2019), arXiv:1807.00734 (RSGAN).

    cost_D = -E log σ(D(x) - D(G(z))),   cost_G = -E log σ(D(G(z)) - D(x))

D = log(p/p_G) is best, up to a constant.  Row i of the data is compared with row i of the samples.
"""

relativistic_average = _loss("relativistic_average", _averages, "log 4")
"""Against the mean of the others; Jolicoeur-Martineau (2019) (RaSGAN).

    cost_D = -E log σ(D(x) - m_G) - E log(1 - σ(D(G(z)) - m)),   m = E D(x), m_G = E D(G(z))

The best D has no closed form unless p_G = p.  The means are those of the batch, so that the cost of two batches is
not the mean of their costs.
"""

relativistic_hinge = _loss("relativistic_hinge", _margins, "2")
"""The hinge loss against the mean of the others; Jolicoeur-Martineau (2019) (RaHingeGAN).

    cost_D = E max(0, 1 - (D(x) - m_G)) + E max(0, 1 + (D(G(z)) - m)),   m = E D(x), m_G = E D(G(z))

At p_G = p every D whose values lie within 1 of their mean is best.
"""
