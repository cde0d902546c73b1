"""Tracing: one step of a method on one game, run on tape nodes instead of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from gamedyn.games.exact import ExactField
from gamedyn.games.field import Element, Field, Seed
from gamedyn.games.functions import exact_number
from gamedyn.games.transformed import unwrap
from gamedyn.maps.tape import Node, Tape, derivative_of, forward, pullback_of, reachable, reverse
from gamedyn.rules.method import Method, map_numbers
from gamedyn.rules.rule import report


class TraceField(Field):
    """The field whose values are tape nodes; each call is a node with fresh symbols for its argument.

    Parameters
    ----------
    source : ExactField
        Supplies the symbolic functions.
    tape : Tape
    """

    world = "trace"

    def __init__(self, source: ExactField, tape: Tape) -> None:
        self.source, self.tape = source, tape
        self.players = source.players

    @property
    def is_quadratic(self) -> bool:
        return self.source.is_quadratic

    @property
    def is_constrained(self) -> bool:
        return bool(self.source.geometry.sets)

    def mask(self, i: int, u: Element) -> Node:
        p = self.players[i]
        return self.tape.diagonal(tuple(sp.Integer(p.start <= k < p.stop) for k in range(u.size)), u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Node:
        return self.tape.diagonal(tuple(map(exact_number, weights)), u)

    def __call__(self, z: Element) -> Node:
        return self.tape.call(self.source.field_function, z)

    def part(self, i: int, z: Element) -> Node:
        return self.mask(i, self(z))

    def grad(self, i: int, z: Element) -> Node:
        return self.tape.call(self.source.gradient_function(i), z)

    def hvp(self, i: int, z: Element, u: Element) -> Node:
        return self.tape.call(self.source.hessian_function(i), z, u)

    def jvp(self, z: Element, u: Element) -> Node:
        return self.tape.call(self.source.field_function.tangent(0), z, u)

    def vjp(self, z: Element, u: Element) -> Node:
        return self.tape.call(self.source.field_function.cotangent(0), z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Node:
        return derivative_of(fn, z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Node:
        return pullback_of(fn, z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Node:
        return self.tape.invert(fn, rhs, linear or (self.is_quadratic and not self.source.geometry.sets))

    def maximum(self, u: Element, w: Element) -> Node:
        return self.tape.make("maximum", (u, w), None, u.size)

    def sign(self, u: Element) -> Node:
        return self.tape.make("sign", (u,), None, u.size)

    def dot(self, u: Element, w: Element) -> Node:
        return self.tape.dot(u, w)

    def point(self, z: Element) -> Node:
        return self.tape.call(self.source.geometry.project, z) if self.source.geometry.sets else z

    def primal(self, y: Element) -> Node:
        return self.tape.call(self.source.mirror_geometry().primal, y)

    def dual(self, z: Element) -> Node:
        return self.tape.call(self.source.mirror_geometry().dual, z)

    def centre(self, u: Element) -> Node:
        return self.tape.call(self.source.mirror_geometry().centre, u)


@dataclass(frozen=True, eq=False)
class Trace:
    """One step (z, *memory) ↦ (z₊, *memory₊) and the memory of the start, as tape.

    Attributes
    ----------
    inputs : tuple of Node
        z and the memory vectors.
    outputs : tuple of Node
        Their values after one step.
    initial : tuple of Node
        The memory before the first step, from z alone.
    reported : Node
        The point that the method reports.
    point, entered : Node
        A point of the game, and the z that stands for it; the same node unless a transform changes variables.
    """

    tape: Tape
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    initial: tuple[Node, ...]
    reported: Node
    point: Node
    entered: Node

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of the memory vectors."""
        return tuple(node.size for node in self.inputs)

    @property
    def dim(self) -> int:
        """Length D of the extended state."""
        return sum(self.sizes)

    def split(self, s: Any) -> dict[Node, Any]:
        """A state cut into the inputs' values."""
        values, first = {}, 0
        for node in self.inputs:
            values[node] = s[first : first + node.size]
            first += node.size
        return values

    def parameters(self, outputs: Sequence[Node] | None = None) -> tuple[sp.Symbol, ...]:
        """Free symbols of the functions and coefficients, by name."""
        free: set[Any] = set()
        for node in reachable(self.outputs + self.initial if outputs is None else outputs):
            if node.op == "call":
                free.update(node.data.parameters)
            elif isinstance(node.data, sp.Expr):
                free |= node.data.free_symbols
            elif node.op == "diagonal":
                free |= set().union(*(w.free_symbols for w in node.data))
        return tuple(sorted(free, key=lambda s: s.name))

    def tangents(self, names: str = "t") -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """Input directions and the resulting output tangents: the step's Jacobian product."""
        directions = tuple(self.tape.input(f"{names}{k}", node.size) for k, node in enumerate(self.inputs))
        seeds = {node.index: t for node, t in zip(self.inputs, directions, strict=True)}
        return directions, tuple(forward(self.outputs, seeds))

    def cotangents(self, names: str = "c") -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """Output covectors and the resulting input cotangents: the transposed product."""
        covectors = tuple(self.tape.input(f"{names}{k}", node.size) for k, node in enumerate(self.outputs))
        return covectors, tuple(reverse(self.outputs, covectors, self.inputs))


def transformed_trace_field(game: Any, tape: Tape) -> Field:
    """The field of a game, transformed or not, on a tape."""
    base, transforms = unwrap(game)
    F: Field = TraceField(base.field("exact"), tape)
    for transform in transforms:
        F = map_numbers(transform, exact_number).field(F)
    return F


def build_trace(method: Method, game: Any) -> Trace:
    """Run one step of `method` on the tape.

    Parameters
    ----------
    method : Method
        Autonomous; its floats become exact rationals here.
    game : game
        Any game that supplies the exact world, transformed or not.

    Raises
    ------
    NotInThisWorld
        If the game has no formulas, or the method asks for what the field cannot give.
    """
    tape = Tape()
    F = transformed_trace_field(game, tape)
    method = map_numbers(method, exact_number)
    F = method.field(F)
    z = tape.input("z", F.players[-1].stop)
    initial_rule, initial_state, _ = _initial(method, F, z)
    memory = tuple(tape.input(f"m{k}", m.size) for k, m in enumerate((*initial_rule, *initial_state)))
    z_next, memory_next, reported = run_step(method, F, z, memory, len(initial_rule))
    point = tape.input("point", z.size)
    inputs, outputs, initial = (z, *memory), (z_next, *memory_next), (*initial_rule, *initial_state)
    return Trace(tape, inputs, outputs, initial, reported, point, F.enter(point))


def _initial(method: Method, F: Field, z: Element) -> tuple[tuple[Any, ...], tuple[Any, ...], Field]:
    """The rule's memory and the preconditioner's state at the start."""
    if method.preconditioner is None:
        return tuple(method.rule.init(F, z)), (), F
    field = method.preconditioner.field(F, method.preconditioner.init(F, z))
    memory = tuple(method.rule.init(field, z))
    return memory, tuple(field.state), field


def start(method: Method, F: Field, z: Element) -> tuple[Element, ...]:
    """(z, *memory) before the first step, in any world; F is already transformed."""
    memory, state, _ = _initial(method, F, z)
    return (z, *memory, *state)


def run_step(
    method: Method, F: Field, z: Element, memory: tuple[Element, ...], rule_memory: int
) -> tuple[Element, tuple[Element, ...], Element]:
    """One step in any world: the next point, the next memory and the point reported before the step."""
    own, state = memory[:rule_memory], memory[rule_memory:]
    field = F
    if method.preconditioner is not None:
        field = method.preconditioner.field(F, state)
    z_next, own_next = method.rule.step(field, z, own)
    state_next = tuple(field.state) if method.preconditioner is not None else ()  # type: ignore[attr-defined]
    return z_next, (*own_next, *state_next), report(method.rule, F.leave(z), own)
