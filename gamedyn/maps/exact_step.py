"""The step in the exact world: the tape evaluated on SymPy expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.maps.evaluate import ExactEvaluator
from gamedyn.maps.trace import Trace


class ExactStep:
    """A traced step on SymPy columns.

    Parameters
    ----------
    trace : Trace
    params : mapping
        Values of symbols, by name; symbols without a value stay symbols.
    """

    def __init__(self, trace: Trace, params: Mapping[str, Any]) -> None:
        self.trace = trace
        many = [n for n, v in params.items() if getattr(v, "ndim", 0)]
        if many:
            raise NotInThisWorld("step", "exact", f"params {many} are arrays; the exact world takes one value each")
        self.table = {p: exact_number(params[p.name]) for p in trace.parameters() if p.name in params}

    def enter(self, z: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
        """The z that stands for a point of the game."""
        (value,) = ExactEvaluator({self.trace.point: list(z)})([self.trace.entered])
        return self._column(value)

    def start(self, z: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
        """(z, *memory) before the first step."""
        values = ExactEvaluator({self.trace.inputs[0]: list(z)})(self.trace.initial)
        return self._column([*z, *(e for v in values for e in v)])

    def step(self, s: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
        """One step."""
        outputs = ExactEvaluator(self.trace.split(list(s)))(self.trace.outputs)
        return self._column([e for v in outputs for e in v])

    def point(self, s: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
        """The reported point."""
        (value,) = ExactEvaluator(self.trace.split(list(s)))([self.trace.reported])
        return self._column(value)

    @cached_property
    def tangents(self) -> tuple[Any, Any]:
        """Directions and tangents of the step, on tape."""
        return self.trace.tangents()

    def jacobian(self, s: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
        """DT, one column per coordinate; the values of the step itself are computed once."""
        directions, tangents = self.tangents
        shared = ExactEvaluator(self.trace.split(list(s)))
        shared(self.trace.outputs)
        columns = []
        for j in range(self.trace.dim):
            evaluator = ExactEvaluator({})
            evaluator.values = dict(shared.values)
            first = 0
            for node in directions:
                evaluator.values[node.index] = [sp.Integer(first + i == j) for i in range(node.size)]
                first += node.size
            columns.append(sp.Matrix([e for v in evaluator(tangents) for e in v]))
        return sp.ImmutableMatrix(sp.Matrix.hstack(*columns)).xreplace(self.table)

    def _column(self, entries: list[sp.Expr]) -> sp.ImmutableMatrix:
        return column(entries).xreplace(self.table)
