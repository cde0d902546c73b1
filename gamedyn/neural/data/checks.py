"""Checks of numbers that a caller gives."""

from __future__ import annotations

import math

__all__ = ["require_count", "require_length"]


def require_count(what: str, value: int) -> None:
    """An int of at least 1, or TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is {value!r}; it must be an int.")
    if value < 1:
        raise ValueError(f"{what} is {value}; it must be at least 1.")


def require_length(what: str, value: float, *, zero: bool = False) -> None:
    """A finite number above 0, or from 0 on where `zero` is allowed, or ValueError."""
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{what} is {value}; it must be finite and {'>= 0' if zero else '> 0'}.")
