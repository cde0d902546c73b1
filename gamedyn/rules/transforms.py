"""Transforms: they change the game or its field, and the rule runs on what results.

A transform is applied to a field and gives a field by the same protocol, so transforms nest and work
in every world that has the operations they ask for.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gamedyn.games.field import DerivedField, Element, Field, Scalar, total
from gamedyn.games.transformed import TransformedGame
from gamedyn.rules.checks import require_count, require_number, require_players
from gamedyn.rules.scaling import ScaledField


class Transform:
    """Base of transforms: a field to a field, and so a game to a game.

    One whose field has other variables than the game sets `changes_variables` and gives its field `enter`
    and `leave`: a step map then takes starting points of the game, and reports points of the game.
    """

    changes_variables = False

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

    Raises
    ------
    ValueError
        If tau is a number and not positive.

    References
    ----------
    .. [1] T. Fiez, L. Ratliff, Local convergence analysis of gradient descent ascent with finite
       timescale separation, ICLR 2021, arXiv:2009.14820.
    """

    tau: Scalar

    def __post_init__(self) -> None:
        require_number("two_timescale", "tau", self.tau, lambda t: t > 0, "a positive ratio, such as 2")

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return ScaledField(F, (*[1] * (len(F.players) - 1), self.tau))


@dataclass(frozen=True)
class consensus(Transform):
    """Descend as well on the squared norm of the field.

        v ↦ v + gamma ∇½‖v‖² = v + gamma Jᵀv        normalisation="half"
        v ↦ v + gamma ∇‖v‖² = v + 2 gamma Jᵀv       normalisation="full"

    One gradient and one Jacobian product, counted as three gradients.  Adds gamma JᵀJ (twice that) to the Jacobian
    at an equilibrium, so it damps rotation, and is attracted by every small ‖v‖, maxima of the costs included.

    Parameters
    ----------
    gamma : float or Symbol
        Weight γ of the squared norm.
    normalisation : {"half", "full"}
        Whether γ weighs ½‖v‖², as in [1]_, or ‖v‖², as in the comparisons of [2]_.

    References
    ----------
    .. [1] L. Mescheder, S. Nowozin, A. Geiger, The numerics of GANs, NeurIPS 2017, arXiv:1705.10461.
    .. [2] A. Letcher, On the impossibility of global convergence in multi-loss optimization, ICLR 2021,
       arXiv:2005.12649.
    """

    gamma: Scalar
    normalisation: str = "half"

    def __post_init__(self) -> None:
        if self.normalisation not in ("half", "full"):
            raise ValueError(f"consensus: normalisation={self.normalisation!r} is neither 'half' nor 'full'")

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return ConsensusField(F, self.gamma if self.normalisation == "half" else 2 * self.gamma)


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

        v ↦ v + strength s Aᵀv,  A = (J - Jᵀ)/2
        s = 1, or with `aligned`  s = sign(⟨v, Jᵀv⟩⟨Aᵀv, Jᵀv⟩/d + epsilon)

    One gradient and two Jacobian products, counted as five gradients.  On a potential game A = 0 and
    nothing changes; on a Hamiltonian game it is `consensus`.

    Parameters
    ----------
    strength : float or Symbol
        Weight λ of the adjustment.
    aligned : bool
        Whether the adjustment is turned away from unstable equilibria.  s = 1 near every equilibrium, where the
        products are of fourth order: the local rates are those of the other.
    epsilon : float
        Bias of the alignment towards +1; products are divided by the number of coordinates d.

    References
    ----------
    .. [1] D. Balduzzi et al., The mechanics of n-player differentiable games, ICML 2018, arXiv:1802.05642.
    .. [2] A. Letcher et al., Differentiable game mechanics, JMLR 20 (2019), arXiv:1905.04926.
    """

    strength: Scalar
    aligned: bool = False
    epsilon: Scalar = Fraction(1, 10)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        if self.aligned:
            return AlignedField(F, self.strength, self.epsilon)
        return SymplecticField(F, self.strength)


class SymplecticField(DerivedField):
    """v + λAᵀv, with Aᵀ = (Jᵀ - J)/2."""

    def __init__(self, base: Field, strength: Scalar) -> None:
        super().__init__(base)
        self.strength = strength

    def __call__(self, z: Element) -> Element:
        v = self.base(z)
        return v + self.strength * self.base.skew(z, v)


class AlignedField(DerivedField):
    """v + λ sAᵀv, s the sign of the alignment."""

    def __init__(self, base: Field, strength: Scalar, epsilon: Scalar) -> None:
        super().__init__(base)
        self.strength, self.epsilon = strength, epsilon

    def __call__(self, z: Element) -> Element:
        v, d = self.base(z), self.players[-1].stop
        uphill, turn = self.base.vjp(z, v), self.base.skew(z, v)
        s = self.sign(self.dot(v, uphill) * self.dot(turn, uphill) / d + self.epsilon)
        return v + self.strength * (s * turn)


@dataclass(frozen=True)
class hamiltonian_gradient(Transform):
    """Descend on the squared norm of the field alone.

        v ↦ ∇½‖v‖² = Jᵀv

    One gradient and one Jacobian product, counted as three gradients.  The transformed game is a potential game:
    no rotation is left, and every equilibrium, of whatever kind, attracts.

    Notes
    -----
    On f = xy with `Simultaneous`, ρ = |1 - η|.

    References
    ----------
    .. [1] J. Abernethy, K. A. Lai, A. Wibisono, Last-iterate convergence rates for min-max optimization, ALT 2021,
       arXiv:1906.02027.
    """

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return HamiltonianField(F)


class HamiltonianField(DerivedField):
    """Jᵀv."""

    def __call__(self, z: Element) -> Element:
        return self.base.vjp(z, self.base(z))


@dataclass(frozen=True)
class unrolled(Transform):
    """Some players descend on their cost after the others have answered.

        y₀ = y,  y_{j+1} = y_j - lr ∂c₂(x, y_j)/∂y
        cost of x:  c₁(x, y_steps(x, y)), differentiated through the answers

    The gradient comes from the adjoint of the unrolled steps: `steps` gradients, one gradient at the end
    and `steps` Hessian products.  The other players keep their own costs.

    With inner="preconditioned" the answers are the steps that the method's preconditioner P would make from the state
    in which it stands (for Adam the moments and counts at this evaluation), on a copy of that state:

        (dⱼ, sⱼ₊₁) = P(sⱼ, ∂c₂(x, yⱼ)/∂y),   yⱼ₊₁ = yⱼ - lr dⱼ

    and the gradient runs through the states as well.  What the preconditioner itself remembers does not move.

    Parameters
    ----------
    steps : int
        Steps of answer K >= 0; 0 changes nothing.
    lr : float or Symbol
        Step size of the answers.
    players : tuple of int
        Who looks ahead; by default the first player alone (the generator of a GAN).
    inner : {"gradient", "preconditioned"}
        Plain gradient steps, or the preconditioner's, of which a method has one:
        ``Method(rule, Adam(), unrolled(10, lr=1e-4, inner="preconditioned"))``.

    Raises
    ------
    ValueError
        If `steps` is no integer >= 0, `inner` neither word, or, with the game, `players` names players that it does
        not have; at an evaluation, if the steps are to be preconditioned and the method has no preconditioner.
    TypeError
        If `steps` is no number, or `players` does not list player numbers.
    NotInThisWorld
        In the exact and the test world, if the steps are to be preconditioned by anything but a `frozen` state.

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
    inner: str = "gradient"

    def __post_init__(self) -> None:
        _check_answers(self)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return UnrolledField(F, self.steps, self.lr, self.players, self.inner)


@dataclass(frozen=True)
class stop_gradient_lookahead(Transform):
    """Some players descend on their cost at the point where the others would have answered.

        y_{j+1} = y_j - lr ∂c₂(x, y_j)/∂y
        field of x:  ∂c₁/∂x at (x, y_steps), the answers held fixed

    What many published "unrolled" implementations compute.  Cheaper than `unrolled` by its Hessian
    products, and another method: on f = xy one step of it is neutral where one unrolled step contracts.

    Parameters
    ----------
    steps, lr, players, inner
        As in `unrolled`, errors too.

    References
    ----------
    .. [1] L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, ICLR 2017, arXiv:1611.02163, whose gradient runs through the
       answers; this one does not.
    """

    steps: int
    lr: Scalar
    players: tuple[int, ...] = (0,)
    inner: str = "gradient"

    def __post_init__(self) -> None:
        _check_answers(self)

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return LookaheadField(F, self.steps, self.lr, self.players, self.inner)


def _check_answers(part: unrolled | stop_gradient_lookahead) -> None:
    owner = type(part).__name__
    object.__setattr__(part, "steps", require_count(owner, "steps", part.steps, 0))
    object.__setattr__(part, "players", require_players(owner, "players", part.players))
    if part.inner not in ("gradient", "preconditioned"):
        raise ValueError(f"{owner}: inner={part.inner!r} is neither 'gradient' nor 'preconditioned'")


class DifferentiableField(DerivedField):
    """The field that a preconditioner is given whose steps are differentiated."""

    def root(self, u: Element) -> Element:
        # the slope of √ at 0 is infinite, and a coordinate that has seen no gradient (a dead unit) stands there: 0 · ∞;
        # 2⁻¹²⁶ is the smallest normal number in single precision
        return self.maximum(u, 0 * u + 2.0**-126) ** 0.5


class LookaheadField(DerivedField):
    """∂cᵢ at the answers of the other players, the answers held fixed."""

    def __init__(self, base: Field, steps: int, lr: Scalar, ahead: tuple[int, ...], inner: str = "gradient") -> None:
        super().__init__(base)
        if not all(0 <= i < len(base.players) for i in ahead):
            raise ValueError(f"players={ahead} names players that a game of {len(base.players)} does not have")
        self.steps, self.lr, self.ahead, self.inner = steps, lr, ahead, inner
        self._preconditioner: Any = None
        self._state: tuple[Element, ...] = ()

    def informed(self, preconditioner: Any, state: tuple[Element, ...]) -> Field:
        twin = copy.copy(self)
        twin.base = self.base.informed(preconditioner, state)
        twin._preconditioner, twin._state = preconditioner, state
        return twin

    def answer(self, i: int, z: Element) -> Element:
        """z after the others have taken their steps against a resting player i."""
        others = tuple(j for j in range(len(self.players)) if j != i)
        if not others or not self.steps:
            return z
        F, state = self.base.holding(i, z), self._present_state()
        smooth = DifferentiableField(self.base)
        for _ in range(self.steps):
            v = total(F.part(j, z) for j in others)
            if state is not None:
                v, state = self._preconditioner.move(smooth, state, v, others)
            z = self.point(z - self.lr * v)
        return z

    def _present_state(self) -> tuple[Element, ...] | None:
        """What the preconditioner of the answers remembers now; None for plain gradient steps."""
        if self.inner == "gradient":
            return None
        if self._preconditioner is not None:
            return self._state
        if self.world in ("exact", "test"):
            raise self.missing(
                "inner='preconditioned'",
                "the steps of a preconditioner are nonlinear in the field; give the method its .frozen(state), "
                "or take inner='gradient'",
            )
        raise ValueError(
            "inner='preconditioned' answers with the steps of the method's preconditioner, and there is none here; "
            "write Method(rule, Adam(), unrolled(..., inner='preconditioned')), or take inner='gradient'"
        )

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
