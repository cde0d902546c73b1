"""Transforms that solve with blocks of the game Jacobian.

The first player leads, the others follow: J_ff is the block of the followers.  Systems are solved exactly in
SymPy, densely while small, and by products (GMRES) on networks.
"""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import DerivedField, Element, Field, Scalar
from gamedyn.rules.transforms import Transform


class FollowerField(DerivedField):
    """A field with a leader, player 0; the followers are all others, with J_ff + damping I for their curvature."""

    def __init__(self, base: Field, damping: Scalar) -> None:
        super().__init__(base)
        self.damping = damping

    def leader(self, u: Element) -> Element:
        """The leader's part."""
        return self.mask(0, u)

    def followers(self, u: Element) -> Element:
        """The followers' part."""
        return u - self.mask(0, u)

    def solve_followers(self, z: Element, u: Element, *, transposed: bool = False) -> Element:
        """J_ff⁻¹ (or J_ff⁻ᵀ) of the followers' part of u, zero for the leader."""
        product = self.base.vjp if transposed else self.base.jvp

        def block(w: Element) -> Element:
            own = self.followers(w)
            curved = self.followers(product(z, own))
            return self.leader(w) + (curved if self.damping == 0 else curved + self.damping * own)

        return self.base.invert(block, self.followers(u), linear=True)


@dataclass(frozen=True)
class follow_the_ridge(Transform):
    """The followers are moved along as the leader steps, so that they stay on their ridge.

        v_l ↦ v_l,   v_f ↦ v_f - J_ff⁻¹ J_fl v_l

    One gradient, one product and a linear system in the followers' curvature.  In a zero-sum game of two players it
    settles exactly at the local minimax points, without rotation; with two time scales the leader's own step enters
    the correction.

    Parameters
    ----------
    damping : float or Symbol
        Added to the followers' curvature, >= 0; networks, whose J_ff is nearly singular, need some.

    References
    ----------
    .. [1] Y. Wang, G. Zhang, J. Ba, On solving minimax optimization locally: a follow-the-ridge approach,
       ICLR 2020, arXiv:1910.07512.
    """

    damping: Scalar = 0

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return RidgeField(F, self.damping)


class RidgeField(FollowerField):
    """v - P_f J_ff⁻¹ J_fl v_l."""

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v - self.solve_followers(z, self.base.jvp(z, self.leader(v)))


@dataclass(frozen=True)
class stackelberg(Transform):
    """The leader descends on its cost with the followers' best answers differentiated.

        v_l ↦ ∇_l c_l - J_flᵀ J_ff⁻ᵀ ∇_f c_l,   v_f ↦ v_f

    Two gradients, one product and a linear system.  Its rest points are those at which the leader's total derivative
    vanishes: the differential Stackelberg equilibria among them.

    Parameters
    ----------
    damping : float or Symbol
        Added to the followers' curvature, >= 0; networks need some.

    References
    ----------
    .. [1] T. Fiez, B. Chasnov, L. Ratliff, Implicit learning dynamics in Stackelberg games, ICML 2020,
       arXiv:1906.01217.
    """

    damping: Scalar = 0

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return StackelbergField(F, self.damping)


class StackelbergField(FollowerField):
    """v - P_l Jᵀ J_ff⁻ᵀ ∇_f c_l."""

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        answer = self.solve_followers(z, self.base.grad(0, z), transposed=True)
        return v - self.leader(self.base.vjp(z, answer))


@dataclass(frozen=True)
class local_symplectic_surgery(Transform):
    """The field with its rotation cut out at every equilibrium.

        v ↦ ½(v + Jᵀ(JᵀJ + regularization I)⁻¹ Jᵀv)

    One gradient, one product and a linear system with two products per application.  With regularization 0 the
    Jacobian at an equilibrium is S, the symmetric part of J: only strict local Nash equilibria attract, and nothing
    turns.  The original lets the regularization vanish with ‖v‖.

    Parameters
    ----------
    regularization : float or Symbol
        λ >= 0; 0 needs an invertible J.

    References
    ----------
    .. [1] E. Mazumdar, M. I. Jordan, S. S. Sastry, On finding local Nash equilibria (and only local Nash equilibria)
       in zero-sum games (2019), arXiv:1901.00838.
    """

    regularization: Scalar = 0

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return SurgeryField(F, self.regularization)


class SurgeryField(DerivedField):
    """½(v + Jᵀ(JᵀJ + λI)⁻¹Jᵀv)."""

    def __init__(self, base: Field, regularization: Scalar) -> None:
        super().__init__(base)
        self.regularization = regularization

    def __call__(self, z: Element) -> Element:
        v, vjp, jvp = self.base(z), self.base.vjp, self.base.jvp
        if self.regularization == 0:
            return (v + vjp(z, self.base.invert(lambda w: jvp(z, w), v, linear=True))) / 2

        def normal(w: Element) -> Element:
            return vjp(z, jvp(z, w)) + self.regularization * w

        return (v + vjp(z, self.base.invert(normal, vjp(z, v), linear=True))) / 2
