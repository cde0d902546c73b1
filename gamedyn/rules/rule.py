"""What an update rule is, and what a method does where the rule says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gamedyn.games.field import Element, Field

Memory = tuple[Element, ...]


class Rule(Protocol):
    """An update rule: two functions over an abstract field.

    A user's rule is a frozen dataclass with these two methods and needs no base class.  It may combine
    what the field returns with `+`, `-` and scalar `*` only, writes every new point as `F.point(…)`,
    and keeps field values or velocities in its memory, never earlier points.

    Optional: `at(k)`, the autonomous rule of step k of a schedule; `constants(z0)`, what never changes
    along an orbit; `report(z, memory)`, the point that the method reports.
    """

    def init(self, F: Field, z: Element) -> Memory:
        """The memory before the first step."""
        ...

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update: the next point and the next memory."""
        ...


def at(rule: Any, k: int) -> Any:
    """The autonomous rule of step k; a rule without a schedule is its own."""
    method = getattr(rule, "at", None)
    return rule if method is None else method(k)


def report(rule: Any, z: Element, memory: Memory) -> Element:
    """The point that the method reports; the iterate itself unless the rule says otherwise."""
    method = getattr(rule, "report", None)
    return z if method is None else method(z, memory)


def is_scheduled(rule: Any) -> bool:
    """Whether the rule's coefficients change from step to step."""
    inner = getattr(rule, "rule", None)
    return getattr(rule, "at", None) is not None or (inner is not None and is_scheduled(inner))


@dataclass(frozen=True)
class Memoryless:
    """Base of rules whose next point depends on the present one alone."""

    def init(self, F: Field, z: Element) -> Memory:
        """No memory."""
        return ()
