"""Checks of numbers that a caller gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

__all__ = ["as_number", "require_count", "require_length"]


def as_number(what: str, value: Any) -> float:
    """An int or float as it is, a number of numpy or a tensor of one entry as the Python number, or TypeError."""
    if type(value) in (int, float):
        return value
    learned = isinstance(value, torch.Tensor) and value.requires_grad
    scalar = isinstance(value, torch.Tensor | np.ndarray | np.generic) and value.ndim == 0
    plain = value.item() if scalar and not learned else value
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise TypeError(f"{what} is {value!r}; give a number{', which no gradient reaches' if learned else ''}")
    return plain


def require_count(what: str, value: int) -> None:
    """An int of at least 1, or TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is {value!r}; it must be an int.")
    if value < 1:
        raise ValueError(f"{what} is {value}; it must be at least 1.")


def require_length(what: str, value: float, *, zero: bool = False) -> None:
    """A finite number above 0, or from 0 on where `zero` is allowed, or TypeError, ValueError."""
    number = as_number(what, value)
    if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
        raise ValueError(f"{what} is {value}; it must be finite and {'>= 0' if zero else '> 0'}.")
