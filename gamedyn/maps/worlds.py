"""Which world a state belongs to, and the field of any game in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import DerivedField, Element, Field
from gamedyn.games.functions import exact_number
from gamedyn.games.transformed import unwrap
from gamedyn.maps.evaluate import ArrayEvaluator
from gamedyn.maps.tape import Node, Tape
from gamedyn.maps.trace import TraceField, transformed_trace_field

State = Any  # ndarray (D,) or (D, batch), SymPy column (D, 1), or torch vector (D,), by world


def state_world(s: Any) -> tuple[str, Any]:
    """The world that a state belongs to, and the state in that world's type."""
    if isinstance(s, sp.MatrixBase):
        return "exact", column(exact_number(e) for e in s)
    if type(s).__module__.startswith("torch"):
        return "neural", s
    if not isinstance(s, np.ndarray) and any(isinstance(e, sp.Expr) for e in s):
        return "exact", column(exact_number(e) for e in s)
    return "array", np.asarray(s, dtype=float)


def enter_point(F: Field, z: Any) -> Any:
    """The state of a field that stands for the point z of the game.

    Raises
    ------
    ValueError
        If no state stands for z: the point is not in the interior of the constraints.
    """
    s = F.enter(z)
    if s is not z:
        check_entered(z, s, F.leave(s))
    return s


def check_entered(z: Any, s: Any, back: Any) -> None:
    """Refuse a point z whose state s in the variables of a transform is not real, or does not lead back to it."""
    if isinstance(z, sp.MatrixBase):
        if sp.ImmutableMatrix(back).free_symbols | z.free_symbols:
            return
        z, s, back = (np.array([complex(sp.N(e, 20)) for e in m]) for m in (z, s, back))
        back = np.where(np.abs(s.imag) > 0, np.nan, back)
    single = str(z.dtype).endswith("32")
    gap = np.max(np.abs(_numpy(back) - _numpy(z)), initial=0.0)
    if not gap <= (1e-5 if single else 1e-9):
        raise ValueError(
            "the start is not in the interior of the constraints: a method on dual variables needs every coordinate "
            "strictly inside its bounds, and on a simplex the right sum; move the start inside"
        )


def _numpy(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else value.detach().cpu().double().numpy()


def world_field(game: Any, world: str, params: Mapping[str, Any] | None = None) -> Field:
    """The field of any game in a world; that of a transformed game on arrays runs on its tape."""
    base, transforms = unwrap(game)
    if world != "array" or not transforms or "exact" not in base.worlds:
        return game.field(world, params)
    return TracedField(game, params or {})


class TracedField(DerivedField):
    """The array field of a transformed game: v, Dv u and Dvᵀu evaluated on tape.

    Parameters
    ----------
    game : TransformedGame
    params : mapping
        Values of its parameters, scalars or arrays `(batch,)`.
    """

    def __init__(self, game: Any, params: Mapping[str, Any]) -> None:
        base, _ = unwrap(game)
        super().__init__(base.field("array", {n: v for n, v in params.items() if n in base.parameters}))
        tape = Tape()
        self.traced = transformed_trace_field(game, tape)
        d = self.players[-1].stop
        self.z, self.u = tape.input("z", d), tape.input("u", d)
        self.params = params

    def _evaluate(self, output: Node, z: Any, u: Any = None) -> np.ndarray:
        evaluator = ArrayEvaluator({self.z: np.asarray(z, dtype=float)})
        if u is not None:
            evaluator.values[self.u.index] = np.asarray(u, dtype=float)
        evaluator.params = ByName(self.params)
        (value,) = evaluator([output])
        return np.broadcast_to(value, np.broadcast_shapes(np.shape(value), np.shape(z))).copy()

    def __call__(self, z: Element) -> np.ndarray:
        return self._evaluate(self.traced(self.z), z)

    def enter(self, z: Element) -> np.ndarray:
        return self._evaluate(self.traced.enter(self.z), z)

    def leave(self, s: Element) -> np.ndarray:
        return self._evaluate(self.traced.leave(self.z), s)

    def point(self, z: Element) -> np.ndarray:
        return self._evaluate(self.traced.point(self.z), z)

    def along(self, z: Element, u: Element) -> np.ndarray:
        if self.traced.enter(self.z) is self.z:
            return self.base.along(z, u)
        return self._evaluate(self.traced.along(self.z, self.u), z, u)

    def jvp(self, z: Element, u: Element) -> np.ndarray:
        return self._evaluate(self.traced.jvp(self.z, self.u), z, u)

    def vjp(self, z: Element, u: Element) -> np.ndarray:
        return self._evaluate(self.traced.vjp(self.z, self.u), z, u)

    def grad(self, i: int, z: Element) -> np.ndarray:
        return self._evaluate(self.traced.grad(i, self.z), z)

    def hvp(self, i: int, z: Element, u: Element) -> np.ndarray:
        return self._evaluate(self.traced.hvp(i, self.z, self.u), z, u)


class ByName(dict[sp.Symbol, Any]):
    """Symbol -> value, looked up by the symbol's name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.named = values

    def __missing__(self, symbol: sp.Symbol) -> Any:
        if symbol.name not in self.named:
            raise ValueError(f"the symbol '{symbol.name}' has no value; give params={{'{symbol.name}': ...}}")
        return self.named[symbol.name]


__all__ = ["State", "TraceField", "TracedField", "state_world", "world_field"]
