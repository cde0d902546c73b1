"""What an update rule is, and what a method does where the rule says nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

from gamedyn.games.field import Element, Field

Memory = tuple[Element, ...]


class Rule(Protocol):
    """An update rule: two functions over an abstract field.

    A user's rule is a frozen dataclass with these two methods and needs no base class.  It may combine
    what the field returns with `+`, `-` and scalar `*` only, writes every new point as `F.point(…)`,
    and keeps field values or velocities in its memory, never earlier points.

    Optional: `at(k)`, the autonomous rule of step k of a schedule; `report(z, memory)`, the point that the
    method reports.
    """

    def init(self, F: Field, z: Element) -> Memory:
        """The memory before the first step."""
        ...

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update: the next point and the next memory."""
        ...


def at(rule: Any, k: int) -> Any:
    """The autonomous rule of step k; wrappers pass the question on to the rule inside."""
    own = getattr(rule, "at", None)
    if own is not None:
        result = own(k)
        return autonomous(result) if is_scheduled(result) else result
    return replace(rule, rule=at(rule.rule, k)) if is_scheduled(rule) else rule


def is_scheduled(rule: Any) -> bool:
    """Whether the rule's coefficients, or those of a rule inside it, change from step to step."""
    inner = getattr(rule, "rule", None)
    return getattr(rule, "at", None) is not None or (inner is not None and is_scheduled(inner))


def period(rule: Any) -> int | None:
    """Steps after which a schedule repeats; None for a schedule that does not say, 1 without a schedule."""
    if not is_scheduled(rule):
        return 1
    if getattr(rule, "at", None) is None:
        return period(rule.rule)
    return getattr(rule, "period", None)


@dataclass(frozen=True)
class autonomous:
    """A rule with its schedule stopped: what `at(k)` of a rule returns if that again has an `at`."""

    stopped: Any

    def init(self, F: Field, z: Element) -> Memory:
        """The rule's memory."""
        return self.stopped.init(F, z)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        return self.stopped.step(F, z, memory)

    def report(self, z: Element, memory: Memory) -> Element:
        """The rule's report."""
        return report(self.stopped, z, memory)


def replace_in_rule(rule: Any, owner: str, name: str, value: Any) -> Any:
    """The rule with the field `name` replaced in it or in a rule that it wraps; None where there is none."""
    if has_field(rule, owner, name):
        return replace(rule, **{name: value})
    inner = getattr(rule, "rule", None)
    changed = None if inner is None else replace_in_rule(inner, owner, name, value)
    return None if changed is None else replace(rule, rule=changed)


def has_field(part: Any, owner: str, name: str) -> bool:
    """Whether a dataclass, of the class `owner` if that is given, has the field `name`."""
    return owner in ("", type(part).__name__) and is_dataclass(part) and any(f.name == name for f in fields(part))


def coefficient_names(rule: Any) -> list[str]:
    """The fields of a rule and of the rules that it wraps, the outermost first; without rules, counts and flags."""
    names: list[str] = []
    while rule is not None:
        names += [f.name for f in fields(rule) if _is_coefficient(f)] if is_dataclass(rule) else []
        rule = getattr(rule, "rule", None)
    return names


def _is_coefficient(f: Any) -> bool:
    """By its annotation: an int, bool or str shapes a step, so that no one trace serves every value."""
    words = set(re.findall(r"\w+", str(f.type)))
    return f.name != "rule" and (not words & {"int", "bool", "str"} or bool(words & {"float", "Scalar", "Any"}))


def reporter(rule: Any) -> Any:
    """The `report` of a rule, or of a rule inside wrappers that hand points and memory on; None where there is none."""
    own = getattr(rule, "report", None)
    if own is not None or not getattr(rule, "hands_on_report", False):
        return own
    return reporter(rule.rule)


def report(rule: Any, z: Element, memory: Memory) -> Element:
    """The point that the method reports; the iterate itself unless the rule says otherwise."""
    method = reporter(rule)
    return z if method is None else method(z, memory)


def refuse_report(wrapper: str, rule: Any) -> None:
    """Refuse a rule that reports an average, inside a wrapper that moves the point afterwards.

    Raises
    ------
    ValueError
    """
    if reporter(rule) is not None:
        raise ValueError(
            f"{wrapper} moves the point after the rule, which then reports the average of other points; "
            f"averages stand outermost: averaged({wrapper}(rule, ...))"
        )


@dataclass(frozen=True)
class Memoryless:
    """Base of rules whose next point depends on the present one alone."""

    def init(self, F: Field, z: Element) -> Memory:
        """No memory."""
        return ()


class Timed:
    """Base of rules whose coefficients depend on the step; subclasses define `at(k)`, and `period` if they repeat."""

    period: Any = None

    def at(self, k: int) -> Any:
        """The autonomous rule of step k."""
        raise NotImplementedError(f"{type(self).__name__} defines no at(k)")

    def init(self, F: Field, z: Element) -> Memory:
        """The memory of step 0."""
        return self.at(0).init(F, z)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update with the coefficients of step 0; a step map asks `at(k)` first."""
        return self.at(0).step(F, z, memory)
