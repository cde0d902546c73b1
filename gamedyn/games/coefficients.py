"""The numbers in a rule, transform or wrapper: frozen dataclasses of coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

import sympy as sp

NUMBERS = (float, Fraction, sp.Expr)


def map_coefficients(part: Any, fn: Callable[[Any], Any]) -> Any:
    """The dataclass with `fn` applied to every float, Fraction and SymPy coefficient, nested too; not to counts."""
    if not is_dataclass(part) or isinstance(part, type):
        return part
    changes = {}
    for f in fields(part):
        value = getattr(part, f.name)
        if isinstance(value, NUMBERS):
            changes[f.name] = fn(value)
        elif is_dataclass(value) and not isinstance(value, type):
            changes[f.name] = map_coefficients(value, fn)
        elif isinstance(value, tuple) and any(isinstance(v, NUMBERS) for v in value):
            changes[f.name] = tuple(fn(v) if isinstance(v, NUMBERS) else v for v in value)
    return replace(part, **changes)


def list_coefficients(part: Any) -> list[Any]:
    """Every float and SymPy coefficient, in the order of `map_coefficients`."""
    found: list[Any] = []

    def note(value: Any) -> Any:
        found.append(value)
        return value

    map_coefficients(part, note)
    return found


def free_symbols(parts: Any) -> dict[str, sp.Symbol]:
    """Name -> symbol of the symbols in the coefficients of some dataclasses."""
    values = [v for part in parts for v in list_coefficients(part) if isinstance(v, sp.Expr)]
    return {s.name: s for v in values for s in sorted(v.free_symbols, key=lambda s: s.name)}
