"""From vector tape to straight-line scalar code: the common ground of all printers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from gamedyn.games.functions import VectorFunction
from gamedyn.maps.evaluate import CHOICES, COMPONENT, NEWTON_STEPS
from gamedyn.maps.tape import Inverse, Node, depends_on, forward, reachable

CSE_LIMIT = 20_000  # operations above which common subexpressions are not searched (it is quadratic)


@dataclass
class Assign:
    """name = value."""

    name: sp.Symbol
    value: sp.Expr

    def reads(self) -> set[sp.Symbol]:
        """Symbols that the statement uses."""
        return self.value.free_symbols


@dataclass
class Solve:
    """names = the w with image(w) = rhs, by `iterations` Newton steps from rhs.

    `body` computes `image` and the rows of `matrix` = D image from `w`.
    """

    names: list[sp.Symbol]
    w: list[sp.Symbol]
    rhs: list[sp.Expr]
    body: list[Statement]
    image: list[sp.Expr]
    matrix: list[list[sp.Expr]]
    iterations: int

    def reads(self) -> set[sp.Symbol]:
        """Symbols that the statement uses."""
        inner: set[sp.Symbol] = set().union(*(s.reads() for s in self.body)) if self.body else set()
        for e in (*self.rhs, *self.image, *(e for row in self.matrix for e in row)):
            inner |= e.free_symbols
        return inner


Statement = Assign | Solve


@dataclass
class Program:
    """Straight-line scalar code of a tape.

    Attributes
    ----------
    inputs : list of Symbol
        Components of the tape's inputs, in order.
    parameters : list of Symbol
        Free symbols of the coefficients, by name.
    body : list of Statement
    outputs : list of Expr
        Components of the tape's outputs, in order.
    """

    inputs: list[sp.Symbol]
    parameters: list[sp.Symbol]
    body: list[Statement] = field(default_factory=list)
    outputs: list[sp.Expr] = field(default_factory=list)


class Scalarizer:
    """Turns nodes into assignments; constants fold, unused components are dropped."""

    def __init__(self) -> None:
        self.components: dict[int, list[sp.Expr]] = {}
        self.statements: list[Statement] = []
        self.bound: dict[sp.Expr, sp.Symbol] = {}
        self.count = 0

    def fresh(self) -> sp.Symbol:
        """A new scalar name."""
        self.count += 1
        return sp.Symbol(f"t{self.count}", real=True)

    def bind(self, value: sp.Expr) -> sp.Expr:
        """The value itself if it is a number or a name, else a new name for it."""
        if value.is_Atom or (
            value.is_Mul and len(value.args) == 2 and value.args[0] is sp.S.NegativeOne and value.args[1].is_Symbol
        ):
            return value
        if value not in self.bound:
            self.bound[value] = self.fresh()
            self.statements.append(Assign(self.bound[value], value))
        return self.bound[value]

    def run(self, outputs: Sequence[Node]) -> None:
        """Emit the statements of every node that `outputs` need, bodies of equations apart."""
        inside = _only_inside(outputs)
        for node in reachable(outputs):
            if node.index not in self.components and node.index not in inside:
                self.components[node.index] = self.emit(node)

    def emit(self, node: Node) -> list[sp.Expr]:
        """The components of one node."""
        args = [self.components[a.index] for a in node.args]
        if node.op == "call":
            return self._call(node.data, args)
        if node.op == "zero":
            return [sp.S.Zero] * node.size
        if node.op == "basis":
            return [sp.Integer(k == node.data[1]) for k in range(node.size)]
        if node.op == "invert":
            return self._solve(node.data, args[0])
        if node.op == "diagonal":
            return [self.bind(w * a) for w, a in zip(node.data, args[0], strict=True)]
        if node.op == "dot":
            return [self.bind(sp.Add(*(a * b for a, b in zip(*args, strict=True))))] * node.size
        if node.op in CHOICES:
            return [self.bind(CHOICES[node.op](*parts)) for parts in zip(*args, strict=True)]
        return [self.bind(COMPONENT[node.op](node.data, *parts)) for parts in zip(*args, strict=True)]

    def _call(self, function: VectorFunction, args: list[list[sp.Expr]]) -> list[sp.Expr]:
        own = function.scalar(args, self.bind)
        if own is not None:
            return own
        replacements, reduced = shared_terms(function)
        table = {
            s: v for group, value in zip(function.inputs, args, strict=True) for s, v in zip(group, value, strict=True)
        }
        for name, value in replacements:
            table[name] = self.bind(value.xreplace(table))
        return [self.bind(e.xreplace(table)) for e in reduced]

    def _solve(self, body: Inverse, rhs: list[sp.Expr]) -> list[sp.Expr]:
        n, tape = len(rhs), body.w.tape
        columns = [forward([body.image], {body.w.index: tape.basis(n, k)})[0] for k in range(n)]
        targets = [body.image, *columns]
        moving = depends_on(targets, [body.w]) | _only_inside(targets)
        for node in reachable(targets):  # what does not depend on w is computed once, outside the loop
            if node.index not in moving and node.index not in self.components:
                self.components[node.index] = self.emit(node)
        w, names = [self.fresh() for _ in range(n)], [self.fresh() for _ in range(n)]
        outer, self.statements = self.statements, []
        known, bound = dict(self.components), dict(self.bound)
        self.components[body.w.index] = list(w)
        self.run(targets)
        image = self.components[body.image.index]
        matrix = [[self.components[c.index][r] for c in columns] for r in range(n)]
        block, self.statements = self.statements, outer
        self.components, self.bound = known, bound
        iterations = 1 if body.linear else NEWTON_STEPS
        self.statements.append(
            Solve(
                names,
                w,
                rhs,
                eliminate(block, [*image, *(e for row in matrix for e in row)]),
                image,
                matrix,
                iterations,
            )
        )
        return list(names)


def _only_inside(outputs: Sequence[Node]) -> set[int]:
    """Nodes that depend on the unknown of an equation, met inside bodies only."""
    unknowns = [n.data.w for n in reachable(outputs) if n.op == "invert"]
    inside: set[int] = set()
    for n in reachable(outputs):
        if n.op == "invert":
            inside |= depends_on([n.data.image], [n.data.w])
    return inside | {w.index for w in unknowns}


@lru_cache(maxsize=256)
def shared_terms(function: VectorFunction) -> tuple[list[tuple[sp.Symbol, sp.Expr]], list[sp.Expr]]:
    """A function's outputs with common subexpressions pulled out, and the bases of integer powers named."""
    outputs = list(function.outputs)
    if sum(e.count_ops() for e in outputs) > CSE_LIMIT:
        return [], outputs
    names = (sp.Dummy("c", real=True) for _ in iter(int, 1))
    found, reduced = sp.cse(outputs, symbols=names, order="none")
    replacements: list[tuple[sp.Symbol, sp.Expr]] = []
    bases: dict[sp.Expr, sp.Symbol] = {}

    def named(power: sp.Pow) -> sp.Expr:  # a named base is printed as a product, which is faster than a power
        if power.base not in bases:
            bases[power.base] = next(names)
            replacements.append((bases[power.base], power.base))
        return bases[power.base] ** power.exp

    def compound(e: sp.Expr) -> bool:
        return e.is_Pow and e.exp.is_Integer and e.exp != -1 and not e.base.is_Atom

    for symbol, value in found:
        value = value.replace(compound, named)  # may name bases, which come first
        replacements.append((symbol, value))
    return replacements, [e.replace(compound, named) for e in reduced]


def eliminate(body: list[Statement], outputs: Sequence[sp.Expr]) -> list[Statement]:
    """The statements that the outputs need, in order."""
    needed: set[sp.Symbol] = set().union(*(sp.sympify(e).free_symbols for e in outputs)) if outputs else set()
    kept: list[Statement] = []
    for statement in reversed(body):
        names = [statement.name] if isinstance(statement, Assign) else statement.names
        if needed.intersection(names):
            needed |= statement.reads()
            kept.append(statement)
    return kept[::-1]


def scalarize(inputs: Sequence[Node], outputs: Sequence[Node], parameters: Sequence[sp.Symbol]) -> Program:
    """The scalar program of a tape.

    Parameters
    ----------
    inputs, outputs : sequence of Node
    parameters : sequence of Symbol
        Free symbols, in the order in which the program takes them.
    """
    machine = Scalarizer()
    names: list[sp.Symbol] = []
    table = {p: sp.Symbol(f"p{k}", real=True) for k, p in enumerate(parameters)}
    for node in inputs:
        own = [sp.Symbol(f"x{len(names) + k}", real=True) for k in range(node.size)]
        machine.components[node.index] = list(own)
        names += own
    machine.run(outputs)
    results = [sp.sympify(e) for node in outputs for e in machine.components[node.index]]
    body = [_renamed(s, table) for s in eliminate(machine.statements, results)]
    return Program(names, list(table.values()), body, [e.xreplace(table) for e in results])


def _renamed(statement: Statement, table: dict[sp.Symbol, sp.Symbol]) -> Statement:
    """The statement with the user's parameter names replaced by ours."""
    if isinstance(statement, Assign):
        return Assign(statement.name, statement.value.xreplace(table))
    return Solve(
        statement.names,
        statement.w,
        [e.xreplace(table) for e in statement.rhs],
        [_renamed(s, table) for s in statement.body],
        [e.xreplace(table) for e in statement.image],
        [[e.xreplace(table) for e in row] for row in statement.matrix],
        statement.iterations,
    )
