"""A text that tells two (game, method) pairs apart, as the key of the kernel index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import sympy as sp


def fingerprint(thing: Any) -> str:
    """A complete description of a game or method made of this package's own classes.

    Returns
    -------
    str
        Empty where a part is foreign (a user's rule, a callable): its code may change under the same
        name, so it is traced anew in every process.
    """
    try:
        return _describe(thing)
    except TypeError:
        return ""


def _describe(thing: Any) -> str:
    if isinstance(thing, sp.Basic):
        return sp.srepr(thing)
    if thing is None or isinstance(thing, (bool, int, float, str, Fraction)):
        return repr(thing)
    if isinstance(thing, Mapping):
        return "{" + ",".join(f"{_describe(k)}:{_describe(v)}" for k, v in thing.items()) + "}"
    if isinstance(thing, (tuple, list)):
        return "(" + ",".join(_describe(v) for v in thing) + ")"
    if is_dataclass(thing) and type(thing).__module__.startswith("gamedyn."):
        parts = (
            f"{f.name}={_describe(getattr(thing, f.name))}" for f in fields(thing) if f.name not in ("facts", "name")
        )
        return f"{type(thing).__module__}.{type(thing).__qualname__}({','.join(parts)})"
    raise TypeError(f"no fingerprint of {type(thing).__name__}")
