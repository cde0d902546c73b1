"""The arithmetic between two evaluations as one pure function of vectors and numbers, for `torch.compile`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from gamedyn.maps.tape import Node
from gamedyn.torch.lazy import Block, Sum
from gamedyn.torch.program import COMPONENTWISE, Program

__all__ = ["Segment", "run_segment", "segments"]

Slot = tuple[int, int]  # index of a node, player
Instruction = tuple[str, Slot, tuple[Slot, ...], Any]  # operation, result, arguments, number or where it is found


@dataclass
class Segment:
    """Consecutive componentwise nodes.

    Attributes
    ----------
    nodes : list of Node
    wanted : set of int
        Indices of the nodes whose values are needed elsewhere.
    positions : list of int
        Where they stand in the program.
    functions : dict
        Kinds of the inputs -> the function for them.
    """

    nodes: list[Node] = field(default_factory=list)
    wanted: set[int] = field(default_factory=set)
    positions: list[int] = field(default_factory=list)
    functions: dict[Any, Any] = field(default_factory=dict)


def segments(program: Program) -> list[Segment | tuple[int, Node]]:
    """The program's steps with runs of componentwise nodes put together, and what stands between them as it is."""
    found: list[Segment | tuple[int, Node]] = []
    home: dict[int, Segment] = {}
    for position, node in enumerate(program.steps):
        if node.op not in COMPONENTWISE:
            found.append((position, node))
            continue
        if not found or not isinstance(found[-1], Segment):
            found.append(Segment())
        segment = found[-1]
        assert isinstance(segment, Segment)
        segment.nodes.append(node)
        segment.positions.append(position)
        home[node.index] = segment
    for output in program.outputs:
        if output.index in home:
            home[output.index].wanted.add(output.index)
    for node in program.nodes:
        for a in node.args:
            if a.index in home and home[a.index] is not home.get(node.index):
                home[a.index].wanted.add(a.index)
    return found


class _Builder:
    """Sorts what a segment computes into numbers, found at once, and instructions on vectors.

    Numbers are ("number", k), the k-th scalar argument of the function; vectors are slots.
    """

    def __init__(self, kinds: Mapping[Slot, str]) -> None:
        self.kinds = dict(kinds)  # "zero", "number" or "vector"
        self.alias: dict[Slot, Slot] = {}
        self.instructions: list[Instruction] = []
        self.scalar_steps: list[tuple[Node, int]] = []

    def resolve(self, slot: Slot) -> Slot:
        return self.alias.get(slot, slot)

    def add(self, node: Node, i: int) -> None:
        slot, args = (node.index, i), [self.resolve((a.index, i)) for a in node.args]
        kinds = [self.kinds[a] for a in args]
        if (all(k == "zero" for k in kinds) and node.op in ("add", "scale", "diagonal", "mul", "sign")) or (
            node.op == "diagonal" and node.data[i] == 0
        ):
            self.kinds[slot] = "zero"
        elif "vector" not in kinds:
            self.scalar_steps.append((node, i))
            self.kinds[slot] = "number"
        elif node.op == "add" and "zero" in kinds:
            self.alias[slot] = args[1 - kinds.index("zero")]
        elif node.op == "diagonal" and node.data[i] == 1:
            self.alias[slot] = args[0]
        elif (node.op == "mul" and "zero" in kinds) or (node.op == "div" and kinds[0] == "zero"):
            self.kinds[slot] = "zero"
        else:
            self.kinds[slot] = "vector"
            self.instructions.append((node.op, slot, tuple(args), _number(node, i)))


def _number(node: Node, i: int) -> Any:
    """The coefficient of a node, or the place of one that changes between steps."""
    if node.data is None:
        return None
    coefficient = node.data[i] if node.op == "diagonal" else node.data
    if coefficient.free_symbols:
        return ("coefficient", node.index, i if node.op == "diagonal" else 0)
    return float(coefficient)


def _apply(op: str, args: Sequence[Tensor], number: Any) -> Tensor:
    if op == "add":
        return args[0] + args[1]
    if op in ("scale", "diagonal"):
        return args[0] * number
    if op == "shift":
        return args[0] + number
    if op == "mul":
        return args[0] * args[1]
    if op == "div":
        return args[0] / args[1]
    if op == "pow":
        return torch.sqrt(args[0]) if isinstance(number, float) and number == 0.5 else args[0] ** number
    if op == "exp_base":
        return torch.pow(number, args[0])
    if op == "maximum":
        return torch.maximum(args[0], args[1].to(args[0]) if args[1].ndim < args[0].ndim else args[1])
    return torch.sign(args[0])


def _pure(
    instructions: Sequence[Instruction], vectors: Sequence[Slot], scalars: Sequence[Any], outputs: Sequence[Slot]
) -> Callable[..., tuple[Tensor, ...]]:
    """The function (vectors, scalars) -> outputs; scalars are 0-dimensional tensors, so that no value is built in."""

    def segment(values: list[Tensor], numbers: list[Tensor]) -> tuple[Tensor, ...]:
        table: dict[Any, Tensor] = {}
        for k, slot in enumerate(vectors):
            table[slot] = values[k]
        for k, key in enumerate(scalars):
            table[key] = numbers[k]
        for op, slot, args, number in instructions:
            table[slot] = _apply(op, [table[a] for a in args], table[number] if isinstance(number, tuple) else number)
        return tuple(table[o] for o in outputs)

    # torch.compile limits how often one code object is compiled, so every segment has one of its own
    code = segment.__code__.replace(co_name=f"segment_{next(_COUNT)}")
    return FunctionType(code, segment.__globals__, code.co_name, segment.__defaults__, segment.__closure__)


_COUNT = itertools.count()


def run_segment(segment: Segment, machine: Any, frame: Any, backend: str) -> None:
    """Give the wanted nodes of a segment their values."""
    n = len(machine.sizes)
    inside = {node.index for node in segment.nodes}
    outer = {a.index: machine.value(a, frame) for node in segment.nodes for a in node.args if a.index not in inside}
    known: dict[Slot, Block] = {(index, i): block for index, value in outer.items() for i, block in enumerate(value)}
    key = tuple((slot, _kind(block)) for slot, block in sorted(known.items(), key=lambda item: item[0]))
    if key not in segment.functions:
        segment.functions[key] = _build(segment, dict(key), machine.program.demand, n, backend)
    builder, vectors, scalars, outputs, function = segment.functions[key]
    for node, i in builder.scalar_steps:
        args = [known.get(builder.resolve((a.index, i))) for a in node.args]
        known[node.index, i] = machine.operate(node, i, args)
    values = [known[slot].tensor() for slot in vectors]  # type: ignore[union-attr]
    numbers = []
    for k in scalars:
        value: Any = machine.numbers[k[1]][k[2]] if k[0] == "coefficient" else known.get(k) or 0.0
        numbers.append(torch.tensor(value, dtype=torch.float64))
    found = dict(zip(outputs, function(values, numbers), strict=True)) if outputs else {}
    for index in segment.wanted:
        blocks: list[Block] = []
        for i in range(n):
            slot = builder.resolve((index, i))
            blocks.append(Sum.of(found[slot]) if slot in found else known.get(slot))
        frame.values[index] = blocks


def _build(segment: Segment, kinds: Mapping[Slot, str], demand: Any, n: int, backend: str) -> Any:
    builder = _Builder(kinds)
    for node in segment.nodes:
        for i in range(n):
            if node.op == "zero" or i not in demand[node.index]:
                builder.kinds[node.index, i] = "zero"
            else:
                builder.add(node, i)
    computed = {slot for _, slot, _, _ in builder.instructions}
    wanted = {builder.resolve((index, i)) for index in segment.wanted for i in range(n)}
    outputs = sorted(slot for slot in wanted if slot in computed)
    used = {a for _, _, args, _ in builder.instructions for a in args} - computed
    vectors = sorted(a for a in used if builder.kinds[a] == "vector")
    scalars: list[Any] = sorted(a for a in used if builder.kinds[a] != "vector")
    scalars += sorted({number for *_, number in builder.instructions if isinstance(number, tuple)})
    function: Any = _pure(builder.instructions, vectors, scalars, outputs)
    if outputs:
        function = torch.compile(function, fullgraph=True, backend=backend, dynamic=False)
    return builder, vectors, scalars, outputs, function


def _kind(block: Block) -> str:
    return "zero" if block is None else "vector" if isinstance(block, Sum) else "number"
