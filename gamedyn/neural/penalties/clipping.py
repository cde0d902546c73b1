"""Weight clipping: a box around the discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gamedyn.neural.penalties.base import Penalty
from gamedyn.neural.penalties.gradient import refuse_negative

__all__ = ["WeightClipping"]


@dataclass(frozen=True)
class WeightClipping(Penalty):
    """The discriminator's parameters stay within ±c.

        θ_D ∈ [-c, c]ᵐ,    P(θ) = max(-c, min(c, θ))

    A constraint of the game, kept by projection after every step: ``field.point`` is P, and a rule that respects
    constraints ends each of its steps there.  It costs no gradient and leaves J as it is wherever no bound acts.
    It bounds the Lipschitz constant of D by the product of its layers' bounds, and D's capacity with it: with a small
    c the weights gather at ±c.  Biases and the weights of normalisation layers are clipped as well, as in [1]_.

    Parameters
    ----------
    c : float
        > 0; 0.01 in [1]_.

    Raises
    ------
    ValueError
        A c that is not positive or not finite.

    References
    ----------
    .. [1] M. Arjovsky, S. Chintala, L. Bottou, Wasserstein GAN, 2017, arXiv:1701.07875.

    Examples
    --------
    >>> import torch
    >>> WeightClipping(0.01).project([torch.tensor([-1.0, 0.005])])
    [tensor([-0.0100,  0.0050])]
    """

    c: float

    def __post_init__(self) -> None:
        refuse_negative(self)
        if self.c == 0:
            raise ValueError("WeightClipping: c is 0, which leaves only D = 0; give a positive number, as in 0.01")

    def project(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """P of each tensor, in its shape."""
        return [p.clamp(-self.c, self.c) for p in parameters]
