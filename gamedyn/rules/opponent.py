"""Transforms in which a player reckons with the step that the others are about to take.

J_off v, the change of every gradient as the others move;   χᵢ = Σ_{j≠i} Pᵢ∇²cⱼ Pⱼ∇cᵢ, the change of their moves
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from gamedyn.games.field import DerivedField, Element, Field, Scalar, total
from gamedyn.rules.transforms import Transform

TINY = 1e-30  # added to a squared norm that may vanish; a number in float32 as well


@dataclass(frozen=True)
class competitive(Transform):
    """The Nash equilibrium of the local bilinear game (competitive gradient descent, CGD).

        v ↦ (I + lr J_off)⁻¹ v,  J_off the blocks of J between players

    One gradient and a linear system, solved exactly, densely, or by products with J_off, by world and size.  On a
    bilinear game its step is the proximal one.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0 in the local game, by the original that of the rule.

    References
    ----------
    .. [1] F. Schäfer, A. Anandkumar, Competitive gradient descent, NeurIPS 2019, arXiv:1905.12103.
    """

    lr: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return CompetitiveField(F, self.lr)


class CompetitiveField(DerivedField):
    """(I + ηJ_off)⁻¹v."""

    def __init__(self, base: Field, lr: Scalar) -> None:
        super().__init__(base)
        self.lr = lr

    def __call__(self, z: Element) -> Element:
        return self.base.solve(z, self.lr, self.base(z), cross=True)


@dataclass(frozen=True)
class opponent_lookahead(Transform):
    """Every player's gradient where the others' next steps lead, to first order (LookAhead).

        v ↦ v - lr J_off v

    One gradient and one product, counted as three gradients.  On f = xy with the same lr it is `Extragradient`.
    The transform `stop_gradient_lookahead` takes the steps instead of expanding them; the wrapper `lookahead` is
    another method.

    Parameters
    ----------
    lr : float or Symbol
        Step size α > 0 that the others are expected to take.

    References
    ----------
    .. [1] C. Zhang, V. Lesser, Multi-agent learning with policy prediction, AAAI 2010.
    .. [2] A. Letcher et al., Stable opponent shaping in differentiable games, ICLR 2019, arXiv:1811.08469.
    """

    lr: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return ShapedField(F, self.lr, 0)


@dataclass(frozen=True)
class lola(Transform):
    """Learning with opponent-learning awareness: shape the others' next steps, to first order.

        v ↦ v - lr J_off v - lr weight χ

    Counted as six gradients for two players.  Its rest points are not those of the game.

    Parameters
    ----------
    lr : float or Symbol
        Step size α > 0 that the others are expected to take.
    weight : float or Symbol
        Share p in [0, 1] of the shaping term: 0 is `opponent_lookahead`, 1 LOLA.  Stable opponent shaping chooses
        it step by step (`sos`); a fixed one can be analysed.

    References
    ----------
    .. [1] J. Foerster et al., Learning with opponent-learning awareness, AAMAS 2018, arXiv:1709.04326.
    """

    lr: Scalar
    weight: Scalar = 1

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return ShapedField(F, self.lr, self.weight)


class ShapedField(DerivedField):
    """v - αJ_off v - αpχ."""

    def __init__(self, base: Field, lr: Scalar, weight: Scalar) -> None:
        super().__init__(base)
        self.lr, self.weight = lr, weight

    def shaping(self, z: Element) -> Element:
        """χ: how the others' moves change with one's own."""
        n = len(self.players)
        terms = []
        for i in range(n):
            slope = self.base.grad(i, z)
            moved = (self.base.hvp(j, z, self.mask(j, slope)) for j in range(n) if j != i)
            terms.append(self.mask(i, total(moved)) if n > 1 else 0 * slope)
        return total(terms)

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        ahead = v - self.lr * self.base.cross_jvp(z, v)
        if self.weight == 0:
            return ahead
        return ahead - self.lr * (self.weight * self.shaping(z))


@dataclass(frozen=True)
class sos(Transform):
    """Stable opponent shaping: as much of LOLA as keeps the rest points of the game.

        ξ₀ = v - lr J_off v;   v ↦ ξ₀ - lr p χ,   p = min(p₁, p₂)
        p₁ = 1 if ⟨-lr χ, ξ₀⟩ >= 0, else min(1, -a‖ξ₀‖²/⟨-lr χ, ξ₀⟩)
        p₂ = ‖v‖² if ‖v‖ < b, else 1

    Costs what `lola` costs.  Near an equilibrium p = ‖v‖² is of second order, so that local rates are those of
    `opponent_lookahead`.

    Parameters
    ----------
    lr : float or Symbol
        Step size α > 0 that the others are expected to take.
    a, b : float
        In (0, 1).

    References
    ----------
    .. [1] A. Letcher et al., Stable opponent shaping in differentiable games, ICLR 2019, arXiv:1811.08469.
    """

    lr: Scalar
    a: Scalar = Fraction(1, 2)
    b: Scalar = Fraction(1, 10)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return StableField(F, self.lr, self.a, self.b)


class StableField(ShapedField):
    """ξ₀ - αpχ with the p of stable opponent shaping."""

    def __init__(self, base: Field, lr: Scalar, a: Scalar, b: Scalar) -> None:
        super().__init__(base, lr, 1)
        self.a, self.b = a, b

    def __call__(self, z: Element) -> Element:
        v, chi = self.base(z), self.shaping(z)
        ahead = v - self.lr * self.base.cross_jvp(z, v)
        size = self.dot(v, v)
        inside = (self.sign(self.b * self.b + -1 * size) + 1) / 2  # 1 where ‖v‖ < b
        p2 = inside * size + (1 + -1 * inside)
        # min(p₁, p₂) without a division by ⟨χ, ξ₀⟩, which may be 0
        allowed = self.a * self.dot(ahead, ahead) + TINY
        wanted = p2 * (self.lr * self.dot(chi, ahead))
        p = p2 * (allowed / self.maximum(allowed, wanted))
        return ahead - self.lr * (p * chi)
