"""The Field protocol: everything that an update rule may ask of a game.

A rule never sees a game.  It sees a `Field` and combines what the field returns with `+`, `-` and
scalar `*`.  Each world (exact, trace, test, neural) writes a handful of primitives for its own kind
of vector; every other operation is derived from them here, once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

Element = Any  # a SymPy column, a trace node, a NumPy matrix or a torch vector, by world
Seed = Callable[[Element], Element]
Scalar = Any  # int, float, or a SymPy number or symbol


CONSTRAINED = (
    "with constraints it is the resolvent of v and their normal cone, not the projection of that of v; take an "
    "explicit method, or entropic()"
)


class Player(NamedTuple):
    """One player: its name, its variables and the slice of the joint state that it owns."""

    name: str
    start: int
    stop: int
    variables: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of coordinates that the player controls."""
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The player's coordinates within the joint state `(d,)`."""
        return slice(self.start, self.stop)


class NotInThisWorld(NotImplementedError):
    """An operation that a world does not have, with the reason.

    Parameters
    ----------
    operation, world, reason : str
        What was asked for, where, and why it is absent.
    """

    def __init__(self, operation: str, world: str, reason: str) -> None:
        self.operation, self.world, self.reason = operation, world, reason
        super().__init__(f"'{operation}' does not exist in the {world} world: {reason}")


class Field:
    """The joint gradient field v(z) = (∇₁c₁, …, ∇ₙcₙ) and what a method may ask of it.

    For rules:       F(z)                 the field v(z)
                     F.only(i)            the field in which every player but i stands still
                     F.point(z)           projection onto the constraints
                     F.resolvent(lr, z)   the w with w + lr v(w) = z
    For transforms:  F.grad(i, z)         ∇cᵢ in all variables
                     F.hvp(i, z, u)       ∇²cᵢ(z) u
                     F.jvp, F.vjp         Dv(z) u and Dv(z)ᵀ u
                     F.solve(z, lr, u)    (I + lr Dv(z))⁻¹ u
                     F.mask(i, u)         Pᵢu: u with the slots of the other players set to 0
                     F.cross_jvp, F.cross_vjp, F.skew    products with the blocks between players, and with A
    For preconditioners and adaptive weights, componentwise (with `*`, `/`, `**` of vectors):
                     F.maximum(u, w), F.sign(u), F.root(u), and ⟨u, w⟩ in every slot, F.dot(u, w)
    Random fields:   F.expected()         the mean field; F itself where nothing is random
                     F.fixed()            F with one sample held from now on; F itself where nothing is random
                     F.primal(y), F.dual(z), F.centre(u)   mirror map ∇ψ*, ∇ψ, and the space of y

    `F.enter(z)` is the state that stands for a point z of the game, `F.leave(s)` the point that a state
    stands for; both are the identity unless a transform changes variables.

    A world subclasses it and supplies `mask`, `grad`, `hvp`, `derivative`, `pullback` and `invert`;
    what it cannot supply raises `NotInThisWorld`.
    """

    world = "abstract"
    differentiable = True  # whether torch's autograd sees through F(z); products are the field's own where it does not
    players: tuple[Player, ...]

    @property
    def is_quadratic(self) -> bool:
        """Whether every cost is known to be a polynomial of degree at most 2 (v is affine)."""
        return False

    @property
    def is_whole(self) -> bool:
        """Whether all players move; not where the field is one player's part."""
        return True

    @property
    def is_constrained(self) -> bool:
        """Whether `point` is more than the identity."""
        return False

    def check_second_order(self) -> None:
        """Refuse products with Jacobians and Hessians where a world would compute wrong ones."""

    # primitives, one implementation per world ------------------------------------------------

    def mask(self, i: int, u: Element) -> Element:
        """Pᵢu, the part of u that player i owns, zero elsewhere."""
        raise self.missing("mask", "it is not defined")

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        """diag(weights) u, for a constant positive diagonal."""
        raise self.missing("diagonal", "it is not defined")

    def grad(self, i: int, z: Element) -> Element:
        """∇cᵢ(z) in all variables, a vector of the joint dimension."""
        raise self.missing("grad", "the game is given by its field alone, without costs")

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        """∇²cᵢ(z) u."""
        raise self.missing("hvp", "the game is given by its field alone, without costs")

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        """Dfn(z) u for a map `fn` written with the operations of this field."""
        raise self.missing("derivative", "it is not defined")

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        """Dfn(z)ᵀ u for a map `fn` written with the operations of this field.

        `u` may be a function of fn(z), so that the image is computed once.
        """
        raise self.missing("pullback", "it is not defined")

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        """The w with fn(w) = rhs, fn close to the identity; `linear` says that fn is linear."""
        raise self.missing("invert", "it is not defined")

    def maximum(self, u: Element, w: Element) -> Element:
        """The larger of two vectors, component by component."""
        raise self.missing("maximum", "it is nonlinear in the field")

    def sign(self, u: Element) -> Element:
        """-1, 0 or 1 in every component."""
        raise self.missing("sign", "it is nonlinear in the field")

    def dot(self, u: Element, w: Element) -> Element:
        """⟨u, w⟩, written into every component."""
        raise self.missing("dot", "it is nonlinear in the field")

    def root(self, u: Element) -> Element:
        """√u in every component, u >= 0; where it is differentiated, with slope 0 at 0."""
        return u**0.5

    def point(self, z: Element) -> Element:
        """Projection of z onto the constraints; the identity where there are none."""
        return z

    def primal(self, y: Element) -> Element:
        """∇ψ*(y), ψ the entropy of the constraints: the strategy that the dual vector y stands for."""
        raise self.missing("primal", "it is not defined")

    def dual(self, z: Element) -> Element:
        """∇ψ(z) for z in the interior of the constraints; not differentiated."""
        raise self.missing("dual", "it is not defined")

    def centre(self, u: Element) -> Element:
        """The part of u that ∇ψ* sees: on a simplex, u minus its mean."""
        raise self.missing("centre", "it is not defined")

    def enter(self, z: Element) -> Element:
        """The state of the method that stands for the point z."""
        return z

    def leave(self, s: Element) -> Element:
        """The point that a state of the method stands for."""
        return s

    def along(self, z: Element, u: Element) -> Element:
        """The part of u along the constraints at a point z in their interior; of v(z), 0 at an equilibrium."""
        return u

    # derived operations ------------------------------------------------------------------------

    def expected(self) -> Field:
        """The mean of a random field, F itself where nothing is random.

        What a full gradient is in variance reduction.  Through a transform it is the transform of the mean
        field, which is the mean of the transforms only where the transform is linear in v.
        """
        return self

    def fixed(self) -> Field:
        """The field with one sample held from now on, F itself where every evaluation sees the same anyway.

        Two evaluations of `F.fixed()` differ by their points alone: what a control variate f(w) - f(z̃) needs.
        Under independent sampling each call of `fixed` draws, as one evaluation does.
        """
        return self

    def informed(self, preconditioner: Any, state: tuple[Element, ...]) -> Field:
        """The field as a preconditioner in this state evaluates it; F itself unless a transform makes its steps."""
        return self

    def holding(self, i: int, z: Element) -> Field:
        """The field at points that share player i's coordinates with z: what depends on these alone is done once."""
        return self

    def __call__(self, z: Element) -> Element:
        """v(z) = Σ Pᵢ∇cᵢ(z)."""
        return total(self.part(i, z) for i in range(len(self.players)))

    def part(self, i: int, z: Element) -> Element:
        """Pᵢ∇cᵢ(z), the same as `F.only(i)(z)`."""
        return self.mask(i, self.grad(i, z))

    def only(self, i: int) -> Field:
        """The field Pᵢv: player i moves, all others stand still."""
        return OnlyField(self, i)

    def jvp(self, z: Element, u: Element) -> Element:
        """Dv(z) u = Σ Pᵢ∇²cᵢ(z)u."""
        return total(self.mask(i, self.hvp(i, z, u)) for i in range(len(self.players)))

    def vjp(self, z: Element, u: Element) -> Element:
        """Dv(z)ᵀ u = Σ ∇²cᵢ(z)Pᵢu."""
        return total(self.hvp(i, z, self.mask(i, u)) for i in range(len(self.players)))

    def cross_jvp(self, z: Element, u: Element) -> Element:
        """J_off u = Σ PᵢDv(z)(u - Pᵢu), J_off the blocks of Dv between different players."""
        return total(self.mask(i, self.jvp(z, u - self.mask(i, u))) for i in range(len(self.players)))

    def cross_vjp(self, z: Element, u: Element) -> Element:
        """J_offᵀ u = Σ PᵢDv(z)ᵀ(u - Pᵢu)."""
        return total(self.mask(i, self.vjp(z, u - self.mask(i, u))) for i in range(len(self.players)))

    def skew(self, z: Element, u: Element) -> Element:
        """Aᵀu = (Dv(z)ᵀu - Dv(z)u)/2, A the antisymmetric part of Dv."""
        return (self.vjp(z, u) - self.jvp(z, u)) / 2

    def solve(self, z: Element, lr: Scalar, u: Element, cross: bool = False) -> Element:
        """(I + lr Dv(z))⁻¹ u; with `cross`, only the off-diagonal player blocks of Dv."""
        if cross:
            return self.invert(lambda w: w + lr * self.cross_jvp(z, w), u, linear=True)
        return self.invert(lambda w: w + lr * self.jvp(z, w), u, linear=True)

    def resolvent(self, lr: Scalar, z: Element) -> Element:
        """The w with w + lr v(w) = z."""
        if self.is_constrained:
            raise self.missing("resolvent", CONSTRAINED)
        return self.invert(lambda w: w + lr * self(w), z, linear=False)

    def missing(self, operation: str, reason: str) -> NotInThisWorld:
        """The exception that says that this world lacks `operation`."""
        return NotInThisWorld(operation, self.world, reason)


class DerivedField(Field):
    """A field computed from another one of the same world (a transform, `only`, a preconditioner).

    Subclasses define `__call__`; the Jacobian products follow by differentiating it.
    """

    def __init__(self, base: Field) -> None:
        self.base = base
        self.world, self.differentiable = base.world, base.differentiable
        self.players = base.players

    def check_second_order(self) -> None:
        self.base.check_second_order()

    @property
    def is_whole(self) -> bool:
        return self.base.is_whole

    @property
    def is_constrained(self) -> bool:
        return self.base.is_constrained

    def expected(self) -> Field:
        return self._over(self.base.expected())

    def fixed(self) -> Field:
        return self._over(self.base.fixed())

    def informed(self, preconditioner: Any, state: tuple[Element, ...]) -> Field:
        return self._over(self.base.informed(preconditioner, state))

    def _over(self, base: Field) -> Field:
        """The same field derived from another base."""
        if base is self.base:
            return self
        twin = copy.copy(self)
        twin.base = base
        return twin

    def mask(self, i: int, u: Element) -> Element:
        return self.base.mask(i, u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        return self.base.diagonal(weights, u)

    def maximum(self, u: Element, w: Element) -> Element:
        return self.base.maximum(u, w)

    def sign(self, u: Element) -> Element:
        return self.base.sign(u)

    def dot(self, u: Element, w: Element) -> Element:
        return self.base.dot(u, w)

    def point(self, z: Element) -> Element:
        return self.base.point(z)

    def primal(self, y: Element) -> Element:
        return self.base.primal(y)

    def dual(self, z: Element) -> Element:
        return self.base.dual(z)

    def centre(self, u: Element) -> Element:
        return self.base.centre(u)

    def enter(self, z: Element) -> Element:
        return self.base.enter(z)

    def leave(self, s: Element) -> Element:
        return self.base.leave(s)

    def along(self, z: Element, u: Element) -> Element:
        return self.base.along(z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        return self.base.invert(fn, rhs, linear=linear)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        return self.base.derivative(fn, z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        return self.base.pullback(fn, z, u)

    def grad(self, i: int, z: Element) -> Element:
        raise self.missing("grad", f"{type(self).__name__} gives a field, not costs")

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        raise self.missing("hvp", f"{type(self).__name__} gives a field, not costs")

    def part(self, i: int, z: Element) -> Element:
        return self.mask(i, self(z))

    def jvp(self, z: Element, u: Element) -> Element:
        return self.derivative(self, z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        return self.pullback(self, z, u)


class OnlyField(DerivedField):
    """Pᵢv: the field of a game in which only player i moves."""

    def __init__(self, base: Field, player: int) -> None:
        super().__init__(base)
        self.player = player

    @property
    def is_whole(self) -> bool:
        return False

    def __call__(self, z: Element) -> Element:
        return self.base.part(self.player, z)

    def grad(self, i: int, z: Element) -> Element:
        return self.base.grad(i, z)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self.base.hvp(i, z, u)

    def part(self, i: int, z: Element) -> Element:
        return self(z) if i == self.player else 0 * z

    def jvp(self, z: Element, u: Element) -> Element:
        return self.mask(self.player, self.base.jvp(z, u))

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, self.mask(self.player, u))

    def only(self, i: int) -> Field:
        return self if i == self.player else OnlyField(self, i)


def total(terms: Any) -> Element:
    """Sum of field elements (`sum` would start from the integer 0)."""
    terms = iter(terms)
    result = next(terms)
    for term in terms:
        result = result + term
    return result
