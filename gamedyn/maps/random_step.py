"""The step of a stochastic game in the array world: the rule run on the field that the oracle draws.

A trace is that of one deterministic map, so nothing is traced, printed or compiled here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.maps.array_step import ArrayStep
from gamedyn.maps.linear_step import as_float
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, map_numbers
from gamedyn.rules.rule import report

RANDOM = (
    "the step is random; for the mean field take gd.StepMap(method, oracle.mean_game), for the moments of the "
    "random step gd.mean_square_radius and gd.stationary_covariance"
)
COMPILED = "a kernel is compiled from a deterministic map, and this step is random; use backend='numpy'"


class RandomStep(ArrayStep):
    """A random step on float64 arrays `(D,)` or `(D, batch)`.

    Parameters
    ----------
    oracle : object
        `oracle.draw(k, "array")` gives the field of step k.
    dim : int
        d, the dimension of the game.
    method : callable
        k -> the autonomous method of step k.
    params : mapping
        Values of symbols in the method: scalars.
    layout : callable
        () -> lengths of z and of the memory vectors, which are those of the deterministic step.
    """

    printed = False

    def __init__(
        self,
        oracle: Any,
        dim: int,
        method: Callable[[int], Method],
        params: Mapping[str, Any],
        layout: Callable[[], tuple[int, ...]],
    ) -> None:
        self.oracle, self.d, self._method, self.params, self._layout = oracle, dim, method, params, layout

    def method(self, k: int) -> Method:
        """The method of step k with float coefficients."""
        return map_numbers(self._method(k), self._number)

    def _number(self, value: Any) -> float:
        if isinstance(value, sp.Expr) and value.free_symbols:
            wide = [n for n in (s.name for s in value.free_symbols) if np.ndim(self.params.get(n, 0.0))]
            if wide:
                raise ValueError(f"with an oracle a symbol of the method takes one number, got arrays for {wide}")
            value = value.subs({s: self.params[s.name] for s in value.free_symbols if s.name in self.params})
        return as_float(value)

    def _field(self, k: int, method: Method) -> Field:
        F = method.field(self.oracle.draw(k, "array"))
        if F.players[-1].stop != self.d:
            raise ValueError(f"the oracle draws fields of dimension {F.players[-1].stop}, the game has d = {self.d}")
        return F

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of the memory vectors."""
        return self._layout()

    @cached_property
    def _rule_memory(self) -> int:
        """How many of the memory vectors are the rule's; the rest are the preconditioner's."""
        method = self.method(0)
        if method.preconditioner is None:
            return len(self.sizes) - 1
        state = method.preconditioner.init(self._field(0, method), np.zeros(self.d))
        return len(self.sizes) - 1 - len(state)

    def start(self, z: np.ndarray) -> np.ndarray:
        """(z, *memory) before the first step; fields in the memory are those of step 0."""
        method = self.method(0)
        with np.errstate(all="ignore"):
            return np.concatenate(start(method, self._field(0, method), np.array(z, dtype=float)))

    def step(self, s: np.ndarray, k: int) -> np.ndarray:
        """One step on the field of step k."""
        method = self.method(k)
        z, *memory = np.split(s, len(self.sizes))
        with np.errstate(all="ignore"):  # a diverging orbit is a result
            z, rest, _ = run_step(method, self._field(k, method), z, tuple(memory), self._rule_memory)
            return np.concatenate([z, *rest])

    def enter(self, z: np.ndarray) -> np.ndarray:
        """The state that stands for the point z, where a transform changes variables."""
        with np.errstate(all="ignore"):
            return self._field(0, self.method(0)).enter(np.array(z, dtype=float))

    def point(self, s: np.ndarray, k: int = 0) -> np.ndarray:
        """The reported point, where that is another one than z."""
        z, *memory = np.split(s, len(self.sizes))
        method = self.method(k)
        with np.errstate(all="ignore"):
            return report(method.rule, self._field(k, method).leave(z), tuple(memory[: self._rule_memory]))

    def run(self, s: np.ndarray, first: int, steps: int, scheduled: bool) -> np.ndarray:
        """No kernel: it would be that of a deterministic map."""
        raise NotInThisWorld("kernel", "numba", COMPILED)

    def jacobian(self, s: np.ndarray, k: int) -> np.ndarray:
        """Refused."""
        raise NotInThisWorld("jacobian", "array", RANDOM)

    @property
    def printout(self) -> Any:
        """Refused."""
        raise NotInThisWorld("kernel", "numba", COMPILED)
