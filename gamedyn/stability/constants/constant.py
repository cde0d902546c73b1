"""One number of a game with its label: exact, certified between two bounds, or an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.number_text import format_number

__all__ = ["Constant"]

_DIGITS = 6
_LONG = 16  # characters of an exact number on one line


@dataclass(frozen=True, eq=False)
class Constant:
    """A number, what is known of it, and how.

    Attributes
    ----------
    low, high : float
        The number lies between them: proven if `kind` is "exact" or "certified", up to rounding if "numeric"; one of
        them is infinite if "estimate", since samples bound an extremum from one side only.
    kind : str
        "exact", "numeric" (exact up to rounding), "certified" or "estimate".
    value : Expr or float or None
        The number itself; None if certified.
    cautious : str
        Which end a theorem has to take: "low" or "high".
    note : str
        Where an estimate comes from, or what a bound leaves open.

    Examples
    --------
    >>> Constant.exact(sp.sqrt(2), cautious="high")
    sqrt(2) exact
    >>> Constant.certified(0.123456789, 0.2, cautious="low")
    certified [0.123456, 0.2]
    >>> float(Constant.certified(0.123456789, 0.2, cautious="low"))
    0.123456789
    """

    low: float
    high: float
    kind: str
    value: Any = None
    cautious: str = "low"
    note: str = ""

    @classmethod
    def exact(cls, value: Any, *, cautious: str, note: str = "") -> Constant:
        """A SymPy number, or a formula in free parameters, whose ends are then nan."""
        value = sp.sympify(value)
        if value.free_symbols:
            return cls(math.nan, math.nan, "exact", value, cautious, note)
        number = float(value.evalf(30))
        if not math.isfinite(number) or (value.is_Rational and sp.Rational(number) == value):
            return cls(number, number, "exact", value, cautious, note)
        return cls(math.nextafter(number, -math.inf), math.nextafter(number, math.inf), "exact", value, cautious, note)

    @classmethod
    def numeric(cls, value: float, *, cautious: str, note: str = "") -> Constant:
        """A float that linear algebra found."""
        return cls(float(value), float(value), "numeric", float(value), cautious, note)

    @classmethod
    def certified(cls, low: float, high: float, *, cautious: str, note: str = "") -> Constant:
        """A number between two proven bounds."""
        return cls(float(low), float(high), "certified", None, cautious, note)

    @classmethod
    def estimate(cls, value: float, *, cautious: str, note: str) -> Constant:
        """The extremum over samples: of an infimum it is at least the true one, of a supremum at most."""
        low, high = (-math.inf, value) if cautious == "low" else (value, math.inf)
        return cls(float(low), float(high), "estimate", float(value), cautious, note)

    @property
    def proven(self) -> bool:
        """Whether `low` and `high` hold for certain (up to rounding if numeric)."""
        return self.kind != "estimate"

    @property
    def gap(self) -> float:
        """high - low."""
        return self.high - self.low if self.high > self.low else 0.0

    def __float__(self) -> float:
        """The end that a theorem has to take; an estimate's value."""
        if self.kind == "estimate":
            return float(self.value)
        return self.low if self.cautious == "low" else self.high

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(float(self), dtype=dtype or float)

    @property
    def text(self) -> str:
        """The number with its label, in words."""
        if self.kind == "certified":
            return f"certified [{_outward(self.low, ROUND_FLOOR)}, {_outward(self.high, ROUND_CEILING)}]"
        label = {"exact": "exact", "numeric": "exact up to rounding", "estimate": "estimate"}[self.kind]
        return f"{self.short} {label}"

    @property
    def short(self) -> str:
        """The number alone, on few characters: exact if short, the cautious end if certified."""
        if self.value is not None:
            return _number(self.value)
        if self.cautious == "low":
            return f">={_outward(self.low, ROUND_FLOOR)}"
        return f"<={_outward(self.high, ROUND_CEILING)}"

    def __repr__(self) -> str:
        return f"{self.text} ({self.note})" if self.note else self.text


def _number(value: Any) -> str:
    if isinstance(value, sp.Expr) and value.is_infinite:
        return "inf" if value.is_extended_positive else "-inf"
    if isinstance(value, sp.Expr) and not value.has(sp.CRootOf) and len(str(value)) <= _LONG:
        return str(value)
    return format_number(value)


def _outward(x: float, rounding: str) -> str:
    """Six digits, rounded so that the bound still holds."""
    if not math.isfinite(x) or x == 0:
        return str(x) if x else "0"
    rounded = Context(prec=_DIGITS, rounding=rounding).plus(Decimal(repr(float(x))))
    return f"{float(rounded):.6g}"
