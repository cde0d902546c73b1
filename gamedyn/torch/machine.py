"""Evaluating a program at a closure: vectors per player, one forward pass per point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gamedyn.maps.tape import Node
from gamedyn.torch import lazy
from gamedyn.torch.compiled import Segment, run_segment, segments
from gamedyn.torch.evaluation import Closure, Evaluation
from gamedyn.torch.lazy import Block, Sum
from gamedyn.torch.parameters import ParameterBlocks
from gamedyn.torch.pool import Pool, pooled
from gamedyn.torch.program import Body, Program
from gamedyn.torch.solvers import Solve, solve_cross, solve_linear, solve_nonlinear

__all__ = ["Frame", "Machine"]

Value = list[Block]


class Frame:
    """Values of nodes and evaluations at points; inside an equation, on top of those around it."""

    def __init__(self, outer: Frame | None = None) -> None:
        self.outer = outer
        self.values: dict[int, Value] = {}
        self.points: dict[int, Evaluation] = {}

    def home(self, index: int) -> Frame:
        """The frame in which a node has its value."""
        frame: Frame | None = self
        while frame is not None:
            if index in frame.values:
                return frame
            frame = frame.outer
        raise KeyError(index)

    def __getitem__(self, node: Node) -> Value:
        value = self.values.get(node.index)
        return self.home(node.index).values[node.index] if value is None else value


class Machine:
    """One run of a program.

    Parameters
    ----------
    program : Program
    parameters : ParameterBlocks
    closure : Closure
    symbols : mapping
        Name of a symbol -> its value.
    constants : mapping
        Index of an input -> the vector `(d,)` that it stands for, a tensor or floats.
    tolerance : float or None
        Relative residual at which iterative solvers stop.
    """

    def __init__(
        self,
        program: Program,
        parameters: ParameterBlocks,
        closure: Closure,
        *,
        symbols: Mapping[str, float],
        constants: Mapping[int, Any],
        tolerance: float | None = None,
        backend: str | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.program, self.parameters, self.closure, self.tolerance = program, parameters, closure, tolerance
        self.numbers = program.numbers(*(symbols[s.name] for s in program.symbols))
        self.sizes = [p.size for p in parameters.players]
        self.constants = constants
        self.backend = backend
        self.pool = Pool() if pool is None else pool
        self.solves: list[Solve] = []
        self.frame = Frame()

    def run(self, inputs: Mapping[Node, Value]) -> list[Value]:
        """Values of the program's outputs.

        Parameters
        ----------
        inputs : mapping
            Input node -> one block per player: None (zero), a float (in every slot) or a `Sum`.
        """
        program, frame = self.program, self.frame
        for node, value in inputs.items():
            frame.values[node.index] = value
        for index, weights in self.constants.items():
            vector = torch.as_tensor(weights).to(self.parameters.buffer)
            frame.values[index] = [Sum.of(part) for part in vector.split(self.sizes)]
        with torch.no_grad(), pooled(self.pool):
            if self.backend is None:
                self._run_plain()
            else:
                self._run_compiled(self.backend)
        return [frame.values[o.index] for o in program.outputs]

    def _run_plain(self) -> None:
        values, n = self.frame.values, len(self.sizes)
        numbers, last = self.numbers, self.program.last
        nothing: Value = [None] * n
        # additions and scalings are most of a step and cost less than their dispatch, which stands here once
        for position, (node, op, args, players) in enumerate(self.program.code):
            if op == "add":
                a, b = (values.get(k, nothing) for k in args)
                values[node.index] = [lazy.add(a[i], b[i]) if i in players else None for i in range(n)]
            elif op == "scale" or op == "diagonal":
                (a,), c = (values.get(k, nothing) for k in args), numbers[node.index]
                values[node.index] = [
                    lazy.scale(c[i if op == "diagonal" else 0], a[i]) if i in players else None for i in range(n)
                ]
            else:
                self.evaluate(node, self.frame)
            if position in last:
                self._drop(position)

    def _run_compiled(self, backend: str) -> None:
        if self.program.segments is None:
            self.program.segments = segments(self.program)
        for part in self.program.segments:
            if isinstance(part, Segment):
                run_segment(part, self, self.frame, backend)
                for position in part.positions:
                    self._drop(position)
            else:
                position, node = part
                self.evaluate(node, self.frame)
                self._drop(position)

    def _drop(self, position: int) -> None:
        for index in self.program.last.get(position, ()):
            self.frame.values.pop(index, None)
            self.frame.points.pop(index, None)

    def evaluate(self, node: Node, frame: Frame) -> None:
        """Give the node its value in a frame, unless it has one."""
        values = frame.values
        if node.index in values:
            return
        if node.op == "call":
            value = self._call(node, frame)
        elif node.op == "invert":
            value = self._invert(node, frame)
        elif node.op == "dot":
            value = self._dot(node, frame)
        else:
            value = self._componentwise(node, frame)
        values[node.index] = value

    def _componentwise(self, node: Node, frame: Frame) -> Value:
        args = [self.value(a, frame) for a in node.args]
        demand = self.program.demand[node.index]
        return [self.operate(node, i, [a[i] for a in args]) if i in demand else None for i in range(len(self.sizes))]

    def value(self, node: Node, frame: Frame) -> Value:
        """A node's value; zero where nobody needs any of it, so that it was not computed."""
        return frame[node] if self.program.demand[node.index] else [None] * len(self.sizes)

    def operate(self, node: Node, i: int, args: Sequence[Block]) -> Block:
        """One player's block of a componentwise node."""
        op = node.op
        if op == "add":
            return lazy.add(args[0], args[1])
        if op == "diagonal":
            return lazy.scale(self.numbers[node.index][i], args[0])
        if op == "scale":
            return lazy.scale(self.numbers[node.index][0], args[0])
        if op == "zero":
            return None
        if op not in _OPERATIONS:
            raise KeyError(f"the tape operation {node!r} has no value on vectors")
        return _OPERATIONS[op](self.numbers.get(node.index, ()), *args)

    def _dot(self, node: Node, frame: Frame) -> Value:
        total = 0.0
        for a, b, size in zip(frame[node.args[0]], frame[node.args[1]], self.sizes, strict=True):
            if a is not None and b is not None:
                x, y = (lazy.combine(v, size, self.parameters.buffer) for v in (a, b))
                total += float(torch.dot(x, y))
        return [total] * len(self.sizes)

    def vectors(self, value: Value) -> list[Tensor]:
        """A value as one vector per player."""
        like = self.parameters.buffer
        return [lazy.combine(block, size, like) for block, size in zip(value, self.sizes, strict=True)]

    def _call(self, node: Node, frame: Frame) -> Value:
        along: list[list[Tensor | None]] = []
        for a in node.args[1:]:
            blocks = zip(frame[a], self.sizes, strict=True)
            like = self.parameters.buffer
            along.append([None if b is None else lazy.combine(b, size, like) for b, size in blocks])
        result: Value = [None] * len(self.sizes)
        if all(any(all(u is None for u in along[a - 1]) for a in args) for _, args in node.data.terms):
            return result
        evaluation = self._evaluation(node.args[0], frame)
        return evaluation.contract(node.data.terms, along, self.program.demand[node.index])

    def _evaluation(self, z: Node, frame: Frame) -> Evaluation:
        home = frame.home(z.index)
        if z.index not in home.points:
            home.points[z.index] = Evaluation(
                self.parameters,
                self.closure,
                self.vectors(home.values[z.index]),
                self.program.requests[z.index],
                self.program.uses[z.index] if home is self.frame else None,
            )
        return home.points[z.index]

    # equations ---------------------------------------------------------------------------------------

    def _invert(self, node: Node, frame: Frame) -> Value:
        body = self.program.bodies[node.index]
        rhs = self.vectors(frame[node.args[0]])
        if body.cross and len(self.sizes) == 2:
            solution, solve = solve_cross(self._image(body, frame), rhs, self.tolerance, lambda: self._opposite(frame))
        elif body.linear:
            solution, solve = solve_linear(self._image(body, frame), rhs, self.tolerance)
        else:
            solution, solve = solve_nonlinear(lambda w: self._linearised(body, frame, w), rhs, self.tolerance)
        self.solves.append(solve)
        return [Sum.of(x) for x in solution]

    def _opposite(self, frame: Frame) -> bool:
        """Whether every evaluation so far found the second cost to be minus the first."""
        points: list[Evaluation] = []
        outer: Frame | None = frame
        while outer is not None:
            points += outer.points.values()
            outer = outer.outer
        return bool(points) and all(p.opposite or _add_to_zero(p.costs) for p in points)

    def _image(self, body: Body, frame: Frame) -> Callable[[list[Tensor | None]], list[Tensor]]:
        def image(w: list[Tensor | None]) -> list[Tensor]:
            inner = self._enter(body.w, w, body.steps, frame)
            return self.vectors(inner[body.image])

        return image

    def _linearised(self, body: Body, frame: Frame, w: list[Tensor]) -> tuple[list[Tensor], Any]:
        inner = self._enter(body.w, w, body.steps, frame)

        def tangent(u: list[Tensor | None]) -> list[Tensor]:
            assert body.u is not None
            assert body.tangent is not None
            return self.vectors(self._enter(body.u, u, body.tangent_steps, inner)[body.tangent])

        return self.vectors(inner[body.image]), tangent

    def _enter(self, unknown: Node, value: Sequence[Tensor | None], steps: Sequence[Node], outer: Frame) -> Frame:
        frame = Frame(outer)
        frame.values[unknown.index] = [None if x is None else Sum.of(x) for x in value]
        for node in steps:
            self.evaluate(node, frame)
        return frame


def _add_to_zero(costs: Sequence[Tensor | None]) -> bool:
    if any(c is None for c in costs):
        return False
    return bool(sum(float(c) for c in costs if c is not None) == 0.0)


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0


_OPERATIONS: dict[str, Callable[..., Block]] = {
    "shift": lambda numbers, a: lazy.shift(a, numbers[0]),
    "mul": lambda _, a, b: lazy.multiply(a, b),
    "div": lambda _, a, b: lazy.divide(a, b),
    "pow": lambda numbers, a: lazy.power(a, numbers[0]),
    "exp_base": lambda numbers, a: lazy.apply(lambda x: torch.pow(numbers[0], x), lambda x: float(numbers[0] ** x), a),
    "maximum": lambda _, a, b: lazy.apply(torch.maximum, max, a, b),
    "larger": lambda _, a, b: lazy.apply(lambda x, y: (x > y).to(x.dtype), lambda x, y: float(x > y), a, b),
    "sign": lambda _, a: lazy.apply(torch.sign, _sign, a),
}
