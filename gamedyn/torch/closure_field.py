"""The joint gradient field of a closure over the parameters of existing networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.field import Element, Field, Seed
from gamedyn.maps.tape import Node, Tape
from gamedyn.torch.blocks import BlockField
from gamedyn.torch.evaluation import Closure, Passes
from gamedyn.torch.machine import Machine
from gamedyn.torch.parameters import ParameterBlocks
from gamedyn.torch.program import Program
from gamedyn.torch.solvers import Solve

__all__ = ["ClosureField"]


class ClosureField(Field):
    """v(w) = (∇₁c₁(w), …, ∇ₙcₙ(w)) of a closure, w the parameters of all players as one vector `(d,)`.

    Every operation writes w into the parameters, runs the closure once, differentiates what it returns, and puts the
    parameters back.  `GameOptimizer` does the same for a whole step at once and shares forward passes between its
    operations; this field is for questions about a game that is given by a closure.

    Parameters
    ----------
    groups : sequence of iterables of Parameter
        The parameters of each player.
    closure : callable
        closure() or closure(player=None) returns the costs, one scalar per player, and never calls backward.

    Attributes
    ----------
    passes : Passes
        Forward and backward passes so far.
    solves : list of Solve
        The equations solved so far.

    Examples
    --------
    >>> import torch
    >>> x, y = (torch.nn.Parameter(torch.tensor([v])) for v in (1.0, 2.0))
    >>> F = ClosureField([[x], [y]], lambda: ((x * y).sum(), -(x * y).sum()))
    >>> F(torch.tensor([3.0, 4.0])), x.item()
    (tensor([ 4., -3.]), 1.0)
    """

    world = "neural"
    differentiable = False  # a closure keeps no history of its parameters

    def __init__(self, groups: Sequence[Any], closure: Callable[..., Any]) -> None:
        self.parameters = ParameterBlocks([list(g) for g in groups])
        self.players = self.parameters.players
        self.closure = closure
        self.passes = Passes()
        self.solves: list[Solve] = []
        self._fields: dict[int, BlockField] = {}

    @property
    def initial(self) -> Tensor:
        """What the parameters hold now, as one vector `(d,)`."""
        return self.parameters.buffer.clone()

    def _run(self, build: Callable[..., Node], *vectors: Any) -> Any:
        """`build` on the tape that is being recorded, if a vector is one of its nodes; else on a new one, evaluated."""
        recorded = next((v.tape for v in vectors if isinstance(v, Node)), None)
        if recorded is not None:
            symbolic = self._fields[id(recorded)]
            return build(symbolic, *(v if isinstance(v, Node) else symbolic.constant(v) for v in vectors))
        symbolic = BlockField(self.players, Tape())
        self._fields[id(symbolic.tape)] = symbolic
        try:
            inputs = [symbolic.constant(v) for v in vectors]
            return self._evaluate(symbolic, build(symbolic, *inputs))
        finally:
            del self._fields[id(symbolic.tape)]

    def _evaluate(self, symbolic: BlockField, output: Node) -> Tensor:
        closure = Closure(self.closure, self.parameters, self.passes)
        program = Program(symbolic.tape, [output])
        machine = Machine(program, self.parameters, closure, symbols={}, constants=symbolic.constants)
        try:
            (value,) = machine.run({})
            with torch.no_grad():
                return torch.cat(machine.vectors(value))
        finally:
            self.parameters.restore()
            self.solves += machine.solves

    def mask(self, i: int, u: Element) -> Any:
        return self._run(lambda F, u: F.mask(i, u), u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Any:
        return self._run(lambda F, u: F.diagonal(weights, u), u)

    def __call__(self, z: Element) -> Any:
        return self._run(lambda F, z: F(z), z)

    def part(self, i: int, z: Element) -> Any:
        return self._run(lambda F, z: F.part(i, z), z)

    def grad(self, i: int, z: Element) -> Any:
        return self._run(lambda F, z: F.grad(i, z), z)

    def hvp(self, i: int, z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.hvp(i, z, u), z, u)

    def jvp(self, z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.jvp(z, u), z, u)

    def vjp(self, z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.vjp(z, u), z, u)

    def cross_jvp(self, z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.cross_jvp(z, u), z, u)

    def skew(self, z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.skew(z, u), z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Any:
        return self._run(lambda F, z, u: F.derivative(fn, z, u), z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Any:
        if callable(u):
            return self._run(lambda F, z: F.pullback(fn, z, u), z)
        return self._run(lambda F, z, u: F.pullback(fn, z, u), z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Any:
        return self._run(lambda F, r: F.invert(fn, r, linear=linear), rhs)

    def solve(self, z: Element, lr: Any, u: Element, cross: bool = False) -> Any:
        return self._run(lambda F, z, u: F.solve(z, lr, u, cross), z, u)

    def resolvent(self, lr: Any, z: Element) -> Any:
        return self._run(lambda F, z: F.resolvent(lr, z), z)
