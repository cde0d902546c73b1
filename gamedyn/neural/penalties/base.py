"""What a discriminator pays besides its loss, or must not leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN
    from gamedyn.neural.scene import Scene

__all__ = ["Penalty", "as_penalties"]


class Penalty:
    """A term of every discriminator's cost, or a set that its parameters stay in.

        cost_D ↦ cost_D + penalty(D),   or   θ_D ∈ K, kept by projection

    Subclasses are frozen dataclasses that define `cost`, or `project`; those that draw random points define `noise`.
    A penalty applied to a GAN, ``R1(0.1)(gan)``, gives the GAN with the penalty in addition: a game of its own, whose
    spectrum can be compared.
    """

    def noise(self, n: int, d: int, generator: torch.Generator) -> Tensor | None:
        """The random numbers of one sample of n rows in R^d: float32 on the CPU, first axis n; None for none."""
        return None

    def cost(self, scene: Scene, noise: Tensor | None) -> Tensor | None:
        """What the discriminator pays on a sample, a mean over rows; None if it pays nothing.

        Parameters
        ----------
        scene : Scene
            The sample as the discriminator sees it.
        noise : Tensor or None
            What `noise` drew for it.
        """
        return None

    def project(self, parameters: Sequence[Tensor]) -> list[Tensor] | None:
        """The nearest allowed parameters of a discriminator, tensor by tensor; None where everything is allowed."""
        return None

    def __call__(self, gan: GAN) -> GAN:
        """The GAN with this penalty in addition."""
        return gan.variant(penalty=(*gan.penalties, self))


def as_penalties(penalty: Penalty | Sequence[Penalty] | None) -> tuple[Penalty, ...]:
    """One, several or no penalties as a tuple.

    Raises
    ------
    TypeError
        If one of them is no `Penalty`.
    """
    given = () if penalty is None else (penalty,) if isinstance(penalty, Penalty) else penalty
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(p, Penalty) for p in given):
        raise TypeError(f"penalty is {penalty!r}; give a penalty such as R1(0.1), or a list of them")
    return tuple(given)
