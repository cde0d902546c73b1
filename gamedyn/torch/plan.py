"""One step of a method as a program, whatever the numbers of parameters and the step sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import sympy as sp

from gamedyn.games.field import Player
from gamedyn.maps.array_step import SCHEDULED, symbolic_coefficients
from gamedyn.maps.tape import Node, Tape
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, coefficients, map_numbers
from gamedyn.rules.rule import is_scheduled
from gamedyn.rules.wrappers import per_player
from gamedyn.torch.blocks import BlockField
from gamedyn.torch.program import Program

__all__ = ["Plan", "base_lr"]


class Plan:
    """The step of a method on n players, as tape.

    Parameters
    ----------
    method : Method
        With numbers for its coefficients.
    players : sequence of Player
    steps : {"own", "common", "apart"}
        The rule's step sizes as they are, multiplied by a common factor, or every player's field by one of its own.

    Attributes
    ----------
    z, memory : Node, tuple of Node
        Inputs of a step.
    first, later : Program
        The step from the start, with the memory that the rule begins with, and every other one.  Outputs: z and memory.
    """

    def __init__(self, method: Method, players: Sequence[Player], *, steps: str) -> None:
        self.scheduled = is_scheduled(method.rule)
        tape = Tape()
        base = BlockField(players, tape)
        traced = symbolic_coefficients(method.at(0)) if self.scheduled else method
        traced = map_numbers(traced, sp_number)
        if steps == "common":
            traced = traced.with_rule(_multiplied(traced.rule, sp.Symbol(f"{_SCALE}0", real=True), len(players)))
        if steps == "apart":
            names = [sp.Symbol(f"{_SCALE}{i}", real=True) for i in range(len(players))]
            traced = traced.with_rule(per_player(traced.rule, tuple(names)))
        field = traced.field(base)
        self.z = tape.input("z", len(players))
        initial = start(traced, field, self.z)[1:]
        state = 0 if traced.preconditioner is None else len(traced.preconditioner.init(field, self.z))
        self.rule_memory = len(initial) - state
        self.memory: tuple[Node, ...] = tuple(tape.input(f"m{k}", len(players)) for k in range(len(initial)))
        self.first = Program(tape, self._outputs(traced, field, initial))
        self.later = Program(tape, self._outputs(traced, field, self.memory)) if initial else self.first
        self.constants = base.constants

    def _outputs(self, method: Method, field: Any, memory: tuple[Node, ...]) -> tuple[Node, ...]:
        z, memory, _ = run_step(method, field, self.z, memory, self.rule_memory)
        return (z, *memory)


_SCALE = "_scale_"
_STEP_SIZES = ("lr", "extrapolation", "correction", "coupling", "ahead", "again")  # coefficients of v in a rule


def _multiplied(rule: Any, factor: sp.Expr, n: int) -> Any:
    """The rule with every step size multiplied by a factor, inside wrappers too; on its field where it has none."""
    inner: Any = rule
    changes: dict[str, Any] = {}
    while is_dataclass(inner) and not any(f.name == "lr" for f in fields(inner)):
        inner = getattr(inner, "rule", None)
    if inner is None or not is_dataclass(inner):
        return per_player(rule, (factor,) * n)
    for f in fields(inner):
        value = getattr(inner, f.name)
        if f.name in _STEP_SIZES and value is not None:
            changes[f.name] = sp_number(value) * factor
    return _rebuilt(rule, inner, replace(inner, **changes))  # type: ignore[type-var]  # an instance, never a class


def _rebuilt(rule: Any, old: Any, new: Any) -> Any:
    return new if rule is old else replace(rule, rule=_rebuilt(rule.rule, old, new))


def sp_number(value: Any) -> Any:
    """A coefficient as an exact number, at the door of the tape; symbols stay."""
    from gamedyn.games.functions import exact_number

    return exact_number(value)


def symbols(method: Method, k: int, scales: Sequence[float]) -> dict[str, float]:
    """Values of a plan's symbols at step k: coefficients of a schedule, and factors of the players."""
    values = {f"{_SCALE}{i}": float(s) for i, s in enumerate(scales)}
    if is_scheduled(method.rule):
        own = coefficients(method.at(k).rule)
        values.update({f"{SCHEDULED}{j}": float(c) for j, c in enumerate(own)})
    return values


def base_lr(method: Method) -> float | None:
    """The rule's own step size, looked up through wrappers; None where it has none."""
    rule: Any = method.rule
    while is_dataclass(rule):
        if any(f.name == "lr" for f in fields(rule)):
            return float(getattr(rule, "lr"))  # noqa: B009
        rule = getattr(rule, "rule", None)
    return None
