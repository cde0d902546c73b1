"""One step on the test field: fed with the identity, it is its own Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.linear import LinearField
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, map_numbers


def linear_jacobian(
    method: Method,
    F: LinearField,
    exact: bool,
    transforms: Sequence[Any] = (),
    door: Callable[[Any], Any] | None = None,
) -> Any:
    """The matrix of one step on a test field: the step fed with the identity."""
    d = F.players[-1].stop
    door = door or (exact_number if exact else as_float)
    method = map_numbers(method, door)
    field: Any = F
    for transform in transforms:
        field = map_numbers(transform, door).field(field)
    field = method.field(field)
    memory = start(method, field, sp.ImmutableMatrix(sp.zeros(d, 1)) if exact else np.zeros((d, 1)))
    count = len(memory)
    blocks = []
    for k in range(count):
        parts = [_block(d, j == k, exact) for j in range(count)]
        z, rest, _ = run_step(method, field, parts[0], tuple(parts[1:]), count - 1)
        rows = (z, *rest)
        blocks.append(sp.Matrix.vstack(*map(sp.Matrix, rows)) if exact else np.concatenate(rows))
    return sp.ImmutableMatrix(sp.Matrix.hstack(*blocks)) if exact else np.concatenate(blocks, axis=1)


def _block(d: int, unit: bool, exact: bool) -> Any:
    if exact:
        return sp.ImmutableMatrix(sp.eye(d) if unit else sp.zeros(d, d))
    return np.eye(d) if unit else np.zeros((d, d))


def as_float(value: Any) -> float:
    """A coefficient at the door of the float worlds.

    Raises
    ------
    ValueError
        If a symbol in it has no value.
    """
    if isinstance(value, sp.Expr) and value.free_symbols:
        names = sorted(s.name for s in value.free_symbols)
        raise ValueError(f"the method's coefficient {value} has no number for {names}; give one to step in floats")
    return float(value)
