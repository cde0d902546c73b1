"""What the two players of a GAN minimise, on the logits of the discriminator.

    D(x) a logit, σ(D(x)) = 1 / (1 + exp(-D(x))) the probability that x is real
    softplus(a) = log(1 + exp(a)) = -log σ(-a)                                              (1)

A loss is a pair of functions of logits, so that a game evaluates D once for both players.  Written with softplus, a
confident discriminator gives a large finite cost instead of log 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from torch import Tensor

if TYPE_CHECKING:
    from gamedyn.neural.scene import Scene

__all__ = ["GANLoss", "needs_scene"]


@dataclass(frozen=True, repr=False)
class GANLoss:
    """A pair of costs, both minimised.

    A loss that needs more than this (the generator's cost from D(x), or from inner layers of D) is a subclass that
    overrides `generator_cost` or `discriminator_cost`, which are what a game calls.

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
    optimal_logit : callable, optional
        Densities p, q of the data and of G(z), of any one shape -> the D that minimises cost_D when it is free at
        every point; None if there is none, or none in closed form.  Where p = q = 0, also by underflow, every D is
        best and what comes back means nothing: nan for all but "hinge" and total variation, which give sign(0) = 0.
    layers : tuple of str
        Submodules of D whose outputs the costs ask for, as in `named_modules`.

    Examples
    --------
    >>> import torch
    >>> from gamedyn.neural.losses import non_saturating
    >>> blind = torch.zeros(4, 1)
    >>> round(float(non_saturating.generator(blind)), 6), round(float(non_saturating.discriminator(blind, blind)), 6)
    (0.693147, 1.386294)
    """

    name: str
    generator: Callable[[Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]
    optimum: str
    zero_sum: bool = False
    optimal_logit: Callable[[Tensor, Tensor], Tensor] | None = None
    layers: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"GANLoss({self.name}: {self.optimum})"

    def generator_cost(self, scene: Scene) -> Tensor:
        """What the generator pays on a sample, against one discriminator: a scalar."""
        return self.generator(scene.fake_logits)

    def discriminator_cost(self, scene: Scene) -> Tensor:
        """What that discriminator pays: a scalar."""
        shown = scene.shown_logits  # fake before real, as everywhere
        return self.discriminator(scene.real_logits, shown)


def needs_scene(fake: Tensor) -> NoReturn:
    """The `generator` of a loss whose generator pays for more than D(G(z)).

    Raises
    ------
    TypeError
        Always.
    """
    raise TypeError("this generator's cost is no function of D(G(z)) alone; call generator_cost(scene)")
