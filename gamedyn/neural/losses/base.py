"""What the two players of a GAN minimise, on the logits of the discriminator.

    D(x) a logit, σ(D(x)) = 1 / (1 + exp(-D(x))) the probability that x is real
    softplus(a) = log(1 + exp(a)) = -log σ(-a)                                              (1)

Every loss is a pair of functions of logits, so that a game evaluates D once for both players.  Written with
softplus, a confident discriminator gives a large finite cost instead of log 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import softplus

__all__ = ["LOSSES", "GANLoss", "as_loss", "non_saturating", "saturating"]


@dataclass(frozen=True, repr=False)
class GANLoss:
    """A pair of costs, both minimised.

    Parameters
    ----------
    name : str
        What `GAN(loss=...)` calls it.
    generator : callable
        D(G(z)) `(n, 1)` -> scalar.
    discriminator : callable
        D(x) `(n, 1)` and D(G(z)) `(n, 1)` -> scalar.
    optimum : str
        Where both players rest, and what they pay there.
    zero_sum : bool
        Whether cost_G + cost_D does not depend on the generator, so that the field v is that of a zero-sum game.

    Examples
    --------
    >>> blind = torch.zeros(4, 1)
    >>> round(float(non_saturating.generator(blind)), 6), round(float(non_saturating.discriminator(blind, blind)), 6)
    (0.693147, 1.386294)
    """

    name: str
    generator: Callable[[torch.Tensor], torch.Tensor]
    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    optimum: str
    zero_sum: bool = False

    def __repr__(self) -> str:
        return f"GANLoss({self.name}: {self.optimum})"


def _cross_entropy(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-E log σ(D(x)) - E log(1 - σ(D(G(z))))."""
    return softplus(-real).mean() + softplus(fake).mean()


def _probability_of_being_found_out(fake: torch.Tensor) -> torch.Tensor:
    """E log(1 - σ(D(G(z))))."""
    return -softplus(fake).mean()


def _surprise_of_being_believed(fake: torch.Tensor) -> torch.Tensor:
    """-E log σ(D(G(z)))."""
    return softplus(-fake).mean()


saturating = GANLoss(
    name="saturating",
    generator=_probability_of_being_found_out,
    discriminator=_cross_entropy,
    optimum="p_G = p_data, D = 0, cost_D = log 4, cost_G = -log 2",
    zero_sum=True,
)
"""The minimax game of Goodfellow et al. (2014), arXiv:1406.2661.

    cost_D = -E log σ(D(x)) - E log(1 - σ(D(G(z)))),   cost_G = E log(1 - σ(D(G(z))))

cost_G = -cost_D - E log σ(D(x)), and the generator does not move the last term: v is that of a zero-sum game.  At
the best D the generator's gradient is that of 2 JSD(p_data, p_G); it vanishes where D is sure.
"""

non_saturating = GANLoss(
    name="non_saturating",
    generator=_surprise_of_being_believed,
    discriminator=_cross_entropy,
    optimum="p_G = p_data, D = 0, cost_D = log 4, cost_G = log 2",
)
"""The generator's cost with the gradient that survives a sure discriminator; Goodfellow et al. (2014), section 3.

    cost_D = -E log σ(D(x)) - E log(1 - σ(D(G(z)))),   cost_G = -E log σ(D(G(z)))

The same equilibria as `saturating`, but not zero-sum: on one logit a the two generators' slopes are -σ(-a) here
and -σ(a) there, equal at D = 0 only.
"""

LOSSES: dict[str, GANLoss] = {loss.name: loss for loss in (saturating, non_saturating)}
"""The losses that `GAN(loss=...)` knows by name."""


def as_loss(loss: str | GANLoss) -> GANLoss:
    """A loss given by name or as it is.

    Raises
    ------
    ValueError, TypeError
        A name that is not in `LOSSES`, or neither a name nor a `GANLoss`.

    Examples
    --------
    >>> as_loss("saturating")
    GANLoss(saturating: p_G = p_data, D = 0, cost_D = log 4, cost_G = -log 2)
    """
    if isinstance(loss, GANLoss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(f"loss is {loss!r}; give a GANLoss or one of the names {', '.join(LOSSES)}.")
    if loss not in LOSSES:
        raise ValueError(f"There is no loss {loss!r}; use one of {', '.join(LOSSES)}, or a GANLoss of your own.")
    return LOSSES[loss]
