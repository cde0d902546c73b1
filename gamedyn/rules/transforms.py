"""Transforms: they change the game or its field, and the rule runs on what results.

A transform is applied to a field and gives a field by the same protocol, so transforms nest and work
in every world that has the operations they ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gamedyn.games.field import DerivedField, Element, Field, Scalar, total
from gamedyn.games.transformed import TransformedGame


class Transform:
    """Base of transforms: a field to a field, and so a game to a game."""

    def field(self, F: Field) -> Field:
        """The transformed field; written with the operations of F alone."""
        raise NotImplementedError(f"{type(self).__name__} defines no field(F)")

    def __call__(self, game: Any) -> TransformedGame:
        """The transformed game, by the same protocol."""
        return TransformedGame.of(game, self)


@dataclass(frozen=True)
class two_timescale(Transform):
    """The last player moves tau times as fast.

        v ↦ (v₁, …, vₙ₋₁, tau vₙ)

    Parameters
    ----------
    tau : float or Symbol
        Ratio τ > 0 of the last player's step to that of the others.

    References
    ----------
    .. [1] T. Fiez, L. Ratliff, Local convergence analysis of gradient descent ascent with finite
       timescale separation, ICLR 2021, arXiv:2009.14820.
    """

    tau: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return TwoTimescaleField(F, self.tau)


class TwoTimescaleField(DerivedField):
    """Every cost kept, the last one scaled by tau."""

    def __init__(self, base: Field, tau: Scalar) -> None:
        super().__init__(base)
        self.tau = tau

    def _scale(self, u: Element) -> Element:
        return u + (self.tau - 1) * self.mask(len(self.players) - 1, u)

    def __call__(self, z: Element) -> Element:
        return self._scale(self.base(z))

    def part(self, i: int, z: Element) -> Element:
        part = self.base.part(i, z)
        return self.tau * part if i == len(self.players) - 1 else part

    def grad(self, i: int, z: Element) -> Element:
        g = self.base.grad(i, z)
        return self.tau * g if i == len(self.players) - 1 else g

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        product = self.base.hvp(i, z, u)
        return self.tau * product if i == len(self.players) - 1 else product

    def jvp(self, z: Element, u: Element) -> Element:
        return self._scale(self.base.jvp(z, u))

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, self._scale(u))


@dataclass(frozen=True)
class consensus(Transform):
    """Descend as well on the squared norm of the field.

        v ↦ v + gamma Jᵀv = v + gamma ∇½‖v‖²

    One gradient and one Jacobian product, counted as three gradients.  Adds gamma JᵀJ to the Jacobian at
    an equilibrium, so it damps rotation, and is attracted by every small ‖v‖, maxima of the costs included.

    Parameters
    ----------
    gamma : float or Symbol
        Weight γ of ½‖v‖².

    References
    ----------
    .. [1] L. Mescheder, S. Nowozin, A. Geiger, The numerics of GANs, NeurIPS 2017, arXiv:1705.10461.
    """

    gamma: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return ConsensusField(F, self.gamma)


class ConsensusField(DerivedField):
    """v + γJᵀv."""

    def __init__(self, base: Field, gamma: Scalar) -> None:
        super().__init__(base)
        self.gamma = gamma

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v + self.gamma * self.base.vjp(z, v)


@dataclass(frozen=True)
class symplectic_adjustment(Transform):
    """Turn the field towards the equilibrium that it circles.

        v ↦ v + strength Aᵀv,  A = (J - Jᵀ)/2

    One gradient and two Jacobian products, counted as five gradients.  On a potential game A = 0 and
    nothing changes; on a Hamiltonian game it is `consensus`.  The sign is not aligned.

    Parameters
    ----------
    strength : float or Symbol
        Weight λ of the adjustment.

    References
    ----------
    .. [1] D. Balduzzi et al., The mechanics of n-player differentiable games, ICML 2018, arXiv:1802.05642.
    """

    strength: Scalar

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return SymplecticField(F, self.strength)


class SymplecticField(DerivedField):
    """v + λAᵀv, with Aᵀ = (Jᵀ - J)/2."""

    def __init__(self, base: Field, strength: Scalar) -> None:
        super().__init__(base)
        self.strength = strength

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v + self.strength * self.base.skew(z, v)


@dataclass(frozen=True)
class unrolled(Transform):
    """Some players descend on their cost after the others have answered.

        y₀ = y,  y_{j+1} = y_j - lr ∂c₂(x, y_j)/∂y
        cost of x:  c₁(x, y_steps(x, y)), differentiated through the answers

    The gradient comes from the adjoint of the unrolled steps: `steps` gradients, one gradient at the end
    and `steps` Hessian products.  The other players keep their own costs.

    Parameters
    ----------
    steps : int
        Steps of answer K >= 0; 0 changes nothing.
    lr : float or Symbol
        Step size of the answers.
    players : tuple of int
        Who looks ahead; by default the first player alone (the generator of a GAN).

    See Also
    --------
    stop_gradient_lookahead : the same answers, not differentiated.

    References
    ----------
    .. [1] L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, Unrolled generative adversarial networks,
       ICLR 2017, arXiv:1611.02163.
    """

    steps: int
    lr: Scalar
    players: tuple[int, ...] = (0,)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return UnrolledField(F, self.steps, self.lr, self.players)


@dataclass(frozen=True)
class stop_gradient_lookahead(Transform):
    """Some players descend on their cost at the point where the others would have answered.

        y_{j+1} = y_j - lr ∂c₂(x, y_j)/∂y
        field of x:  ∂c₁/∂x at (x, y_steps), the answers held fixed

    What many published "unrolled" implementations compute.  Cheaper than `unrolled` by its Hessian
    products, and another method: on f = xy one step of it is neutral where one unrolled step contracts.

    Parameters
    ----------
    steps, lr, players
        As in `unrolled`.
    """

    steps: int
    lr: Scalar
    players: tuple[int, ...] = (0,)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return LookaheadField(F, self.steps, self.lr, self.players)


class LookaheadField(DerivedField):
    """∂cᵢ at the answers of the other players, the answers held fixed."""

    def __init__(self, base: Field, steps: int, lr: Scalar, ahead: tuple[int, ...]) -> None:
        super().__init__(base)
        if int(steps) < 0:
            raise ValueError(f"a look-ahead needs steps >= 0, got {steps}")
        if not all(0 <= i < len(base.players) for i in ahead):
            raise ValueError(f"players={ahead} names players that a game of {len(base.players)} does not have")
        self.steps, self.lr, self.ahead = int(steps), lr, ahead

    def answer(self, i: int, z: Element) -> Element:
        """z after the others have taken their steps against a resting player i."""
        others = [j for j in range(len(self.players)) if j != i]
        for _ in range(self.steps if others else 0):
            z = self.point(z - self.lr * total(self.base.part(j, z) for j in others))
        return z

    def __call__(self, z: Element) -> Element:
        return total(self.part(i, z) for i in range(len(self.players)))

    def part(self, i: int, z: Element) -> Element:
        return self.base.part(i, self.answer(i, z) if i in self.ahead else z)


class UnrolledField(LookaheadField):
    """The game with costs cᵢ(answer(z)): gradients run back through the answers."""

    def part(self, i: int, z: Element) -> Element:
        return self.mask(i, self.grad(i, z)) if i in self.ahead else self.base.part(i, z)

    def grad(self, i: int, z: Element) -> Element:
        if i not in self.ahead:
            return self.base.grad(i, z)
        return self.pullback(lambda w: self.answer(i, w), z, lambda reached: self.base.grad(i, reached))

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self.derivative(lambda w: self.grad(i, w), z, u)
