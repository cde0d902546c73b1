"""Penalties on the gradients of players, in the cost of the same or of another player."""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import DerivedField, Element, Field, Scalar
from gamedyn.rules.transforms import Transform


@dataclass(frozen=True)
class jacobian_regularization(Transform):
    """Every player descends as well on the squared gradient norms of the others (JARE).

        vᵢ ↦ vᵢ + gamma ∇ᵢ Σ_{j≠i} ½‖vⱼ‖²,   that is  v ↦ v + gamma J_offᵀv

    One gradient and one Jacobian product, counted as three gradients.  Damps rotation as `consensus` does, without
    squaring the players' own curvatures.

    Parameters
    ----------
    gamma : float or Symbol
        Weight γ.

    References
    ----------
    .. [1] W. Nie, A. B. Patel, Towards a better understanding and regularization of GAN training dynamics,
       UAI 2019, arXiv:1806.09235.
    """

    gamma: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return CrossPenaltyField(F, self.gamma)


class CrossPenaltyField(DerivedField):
    """v + γJ_offᵀv."""

    def __init__(self, base: Field, gamma: Scalar) -> None:
        super().__init__(base)
        self.gamma = gamma

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v + self.gamma * self.base.cross_vjp(z, v)


@dataclass(frozen=True)
class gradient_penalty(Transform):
    """One player descends as well on the squared gradient norm of one player.

        v_payer ↦ v_payer + gamma ∇_payer ½‖v_of‖²

    One gradient and one Jacobian product, counted as three gradients.  With the defaults the first player (the
    generator of a GAN) pays for the gradient of the second; payer = of = 1 flattens the discriminator's own cost.
    Penalties on the slope of a discriminator in its input belong to the cost itself: `gd.games.R1`.

    Parameters
    ----------
    gamma : float or Symbol
        Weight γ.
    payer, of : int
        Whose cost is changed, and whose gradient is penalised.

    References
    ----------
    .. [1] V. Nagarajan, J. Z. Kolter, Gradient descent GAN optimization is locally stable, NeurIPS 2017,
       arXiv:1706.04156.
    """

    gamma: Scalar
    payer: int = 0
    of: int = 1

    def field(self, F: Field) -> Field:
        """The transformed field."""
        if not all(0 <= i < len(F.players) for i in (self.payer, self.of)):
            raise ValueError(
                f"gradient_penalty: payer={self.payer}, of={self.of} do not fit a game of {len(F.players)} players"
            )
        return PenaltyField(F, self.gamma, self.payer, self.of)


class PenaltyField(DerivedField):
    """v + γP_payer Jᵀ P_of v."""

    def __init__(self, base: Field, gamma: Scalar, payer: int, of: int) -> None:
        super().__init__(base)
        self.gamma, self.payer, self.of = gamma, payer, of

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v + self.gamma * self.mask(self.payer, self.base.vjp(z, self.mask(self.of, v)))
