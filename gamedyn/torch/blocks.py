"""A method as a tape of player blocks: each player's parameters are one coordinate.

The rule runs once, on tape nodes with one entry per player.  What a closure can be asked for is a family of
symmetric tensors that is closed under differentiation,

    T(z; u₁, …, uₖ) = ∇ᵏ⁺¹c(z)[u₁, …, uₖ],   ∂T/∂z · u = T(z; u₁, …, uₖ, u),                   (1)

so transforms differentiate a closure's field on the tape, to any order, although a closure keeps no history of
its parameters.  Masks and scalings per player are diagonal there, whatever the number of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from gamedyn.games.field import Element, Field, Player, Scalar, Seed, total
from gamedyn.maps.tape import Inverse, Node, Tape, derivative_of, pullback_of

Term = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Contraction:
    """(z, a₁, a₂, …) ↦ Σ over terms of ∇ᵏ⁺¹(Σ wᵢcᵢ)(z) contracted with k of the arguments; eq. (1).

    Attributes
    ----------
    players : int
        Number n of players, the entries of every node.
    terms : tuple
        Per term the weights w of the costs and the positions of the arguments it is contracted with.
    arguments : int
        How many arguments there are, z included.
    """

    players: int
    terms: tuple[Term, ...]
    arguments: int = 1

    parameters = ()

    @property
    def size(self) -> int:
        """Number of entries of a value: one per player."""
        return self.players

    @property
    def linear(self) -> frozenset[int]:
        """Arguments in which every term is linear."""
        return frozenset.intersection(*(frozenset(args) for _, args in self.terms))

    def tangent(self, k: int) -> Contraction:
        """∂/∂(argument k), contracted with one more argument."""
        new = self.arguments
        if k == 0:
            terms = tuple((w, (*args, new)) for w, args in self.terms)
        else:
            terms = tuple((w, tuple(new if a == k else a for a in args)) for w, args in self.terms if k in args)
        return Contraction(self.players, terms, new + 1)

    cotangent = tangent  # the tensors are symmetric


class CrossInverse(Inverse):
    """The equation (I + lr J_off)w = rhs, J_off the off-diagonal player blocks of the Jacobian."""


class BlockField(Field):
    """The field whose values are tape nodes with one entry per player.

    Parameters
    ----------
    players : sequence of Player
    tape : Tape

    Attributes
    ----------
    constants : dict
        Index of an input node -> the vector `(d,)` that it stands for.
    """

    world = "neural"

    def __init__(self, players: Sequence[Player], tape: Tape) -> None:
        self.players, self.tape = tuple(players), tape
        self.constants: dict[int, Any] = {}

    def _unit(self, i: int) -> tuple[int, ...]:
        return tuple(int(k == i) for k in range(len(self.players)))

    def _contract(self, *terms: Term, at: Node, along: Sequence[Node] = ()) -> Node:
        function = Contraction(len(self.players), terms, 1 + len(along))
        return self.tape.call(function, at, *along)  # type: ignore[arg-type]

    def mask(self, i: int, u: Element) -> Node:
        return self.tape.diagonal(tuple(map(sp.Integer, self._unit(i))), u)

    def _others(self, i: int, u: Element) -> Node:
        return self.tape.diagonal(tuple(sp.Integer(1 - e) for e in self._unit(i)), u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Node:
        if len(weights) != self.players[-1].stop:
            raise ValueError(f"{len(weights)} weights for {self.players[-1].stop} parameters; give one per parameter")
        return u * self.constant(weights)

    def constant(self, vector: Any) -> Node:
        """The node of a given vector `(d,)`, a tensor or a sequence of floats."""
        node = self.tape.placeholder(len(self.players))
        self.constants[node.index] = vector if hasattr(vector, "dtype") else [float(x) for x in vector]
        return node

    def grad(self, i: int, z: Element) -> Node:
        return self._contract((self._unit(i), ()), at=z)

    def hvp(self, i: int, z: Element, u: Element) -> Node:
        return self._contract((self._unit(i), (1,)), at=z, along=(u,))

    def vjp(self, z: Element, u: Element) -> Node:
        terms = [(self._unit(i), (i + 1,)) for i in range(len(self.players))]
        along = [self.mask(i, u) for i in range(len(self.players))]
        if any(a.op == "zero" for a in along):
            return super().vjp(z, u)
        return self._contract(*terms, at=z, along=along)  # one backward pass for all players

    def cross_jvp(self, z: Element, u: Element) -> Node:
        return total(self.mask(i, self.hvp(i, z, self._others(i, u))) for i in range(len(self.players)))

    def skew(self, z: Element, u: Element) -> Node:
        if len(self.players) != 2:
            return super().skew(z, u)
        # the diagonal blocks of J are symmetric and cancel: cross blocks of c₁ - c₂ are all that is left
        x, y = (self._contract(((1, -1), (1,)), at=z, along=(self.mask(1 - i, u),)) for i in (0, 1))
        return (self.mask(1, y) - self.mask(0, x)) / 2

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Node:
        return derivative_of(fn, z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Node:
        return pullback_of(fn, z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Node:
        return self.tape.invert(fn, rhs, linear)

    def solve(self, z: Element, lr: Scalar, u: Element, cross: bool = False) -> Node:
        if not cross:
            return super().solve(z, lr, u)
        if u.op == "zero":
            return u
        w = self.tape.placeholder(u.size)
        return self.tape.make("invert", (u,), CrossInverse(w, w + lr * self.cross_jvp(z, w), True), u.size)

    def expected(self) -> Field:
        """Absent."""
        raise self.missing(
            "expected",
            "a closure gives a batch and not the mean of all; train with neural.GAN, whose oracle knows it",
        )

    def primal(self, y: Element) -> Node:
        """Absent."""
        raise self.missing("primal", "the parameters of networks have no constraints, so there is no mirror map")

    def dual(self, z: Element) -> Node:
        """Absent."""
        return self.primal(z)

    def maximum(self, u: Element, w: Element) -> Node:
        """The larger of u and w, componentwise."""
        return self.tape.make("maximum", (u, w), None, u.size)

    def sign(self, u: Element) -> Node:
        """The sign of every component."""
        return u if u.op == "zero" else self.tape.make("sign", (u,), None, u.size)

    def dot(self, u: Element, w: Element) -> Node:
        """⟨u, w⟩ over all players, in every slot."""
        return self.tape.zero(u.size) if "zero" in (u.op, w.op) else self.tape.make("dot", (u, w), None, u.size)
