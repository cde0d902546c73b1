"""The step in the array world: printed scalar code while small, the tape on whole vectors beyond."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.maps.evaluate import ArrayEvaluator
from gamedyn.maps.printed import Printout, components, printout
from gamedyn.maps.printers import NotPrintable
from gamedyn.maps.trace import Trace
from gamedyn.rules.method import Method, coefficients, map_numbers

SCALAR_LIMIT = 64  # dimension d up to which a step is printed as scalar code
SCHEDULED = "_coefficient_"


def symbolic_coefficients(method: Method) -> Method:
    """The method of a schedule with its rule's coefficients as symbols, so that one trace serves every step."""
    count = iter(range(10**6))
    return method.with_rule(map_numbers(method.rule, lambda _: sp.Symbol(f"{SCHEDULED}{next(count)}", real=True)))


class ArrayStep:
    """A step on float64 arrays `(D,)` or `(D, batch)`.

    Parameters
    ----------
    key : str
        The fingerprint under which printouts are remembered, or empty.
    trace : callable
        Gives the trace; called where no printout is at hand.
    dim : int
        d, the dimension of the game.
    method : callable
        k -> the autonomous method of step k.
    params : mapping
        Values of symbols by name: scalars, or arrays `(batch,)`.
    """

    def __init__(
        self,
        key: str,
        trace: Callable[[], Trace],
        dim: int,
        method: Callable[[int], Method],
        params: Mapping[str, Any],
    ) -> None:
        self.key, self._trace, self.d, self._method, self.params = key, trace, dim, method, params

    @cached_property
    def printed(self) -> bool:
        """Whether the step runs as printed scalar code: small, and of functions that can be printed."""
        if self.d > SCALAR_LIMIT:
            return False
        try:
            return bool(self.printout.sizes)
        except NotPrintable:
            return False

    @cached_property
    def printout(self) -> Printout:
        """The source of the step, from the index on disk where it is remembered."""
        return printout(self.key, self._trace)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of the memory vectors."""
        return self.printout.sizes if self.printed else self._trace().sizes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the symbols that a step takes values for."""
        return self.printout.parameters if self.printed else tuple(p.name for p in self._trace().parameters())

    def values(self, k: int) -> list[Any]:
        """Values of the symbols at step k, in the order of `names`.

        Raises
        ------
        ValueError
            If one has no value.
        """
        own = self._scheduled(k)
        values = []
        for name in self.names:
            if name in own:
                values.append(own[name])
            elif name in self.params:
                value = self.params[name]
                values.append(np.asarray(float(value) if isinstance(value, sp.Expr) else value, dtype=float))
            else:
                raise ValueError(
                    f"the symbol '{name}' has no value; give params={{'{name}': ...}}, or bind it in the game"
                )
        return values

    def _scheduled(self, k: int) -> dict[str, np.ndarray]:
        if not any(name.startswith(SCHEDULED) for name in self.names):
            return {}
        table = {n: v for n, v in self.params.items() if not getattr(v, "ndim", 0)}
        numbers = (c.subs(table) if isinstance(c, sp.Expr) else c for c in coefficients(self._method(k).rule))
        return {f"{SCHEDULED}{j}": np.asarray(float(c)) for j, c in enumerate(numbers)}

    def batch(self, s: np.ndarray, values: list[Any]) -> tuple[int, ...]:
        """The batch shape of a state together with the parameters."""
        return np.broadcast_shapes(s.shape[1:], *(np.shape(v) for v in values))

    def enter(self, z: np.ndarray) -> np.ndarray:
        """The z that stands for a point of the game, where a transform changes variables."""
        trace = self._trace()
        (value,) = self._evaluator({trace.point: z}, self.values(0))([trace.entered])
        return _fill(value, self.d, z.shape[1:])

    def start(self, z: np.ndarray) -> np.ndarray:
        """(z, *memory) before the first step."""
        values = self.values(0)
        batch = self.batch(z, values)
        z = _fill(z, len(z), batch)
        if self.printed:
            with np.errstate(all="ignore"):
                return np.concatenate([z, components(self.printout.run_start(z, values), batch)])
        trace = self._trace()
        initial = self._evaluator({trace.inputs[0]: z}, values)(trace.initial)
        return np.concatenate([z, *(_fill(v, n, batch) for v, n in zip(initial, trace.sizes[1:], strict=True))])

    def step(self, s: np.ndarray, k: int) -> np.ndarray:
        """One step."""
        values = self.values(k)
        batch = self.batch(s, values)
        if self.printed:
            with np.errstate(all="ignore"):  # a diverging orbit is a result
                return components(self.printout.run_step(s, values), batch)
        trace = self._trace()
        outputs = self._evaluator(trace.split(s), values)(trace.outputs)
        return np.concatenate([_fill(v, n, batch) for v, n in zip(outputs, trace.sizes, strict=True)])

    def point(self, s: np.ndarray, k: int = 0) -> np.ndarray:
        """The reported point, where the rule reports another one than z."""
        trace = self._trace()
        (value,) = self._evaluator(trace.split(s), self.values(k))([trace.reported])
        return _fill(value, self.d, s.shape[1:])

    def run(self, s: np.ndarray, first: int, steps: int, scheduled: bool) -> np.ndarray:
        """Many steps by the compiled kernel."""
        rows = [self.values(first + k) for k in range(steps if scheduled else 1)]
        batch = self.batch(s, rows[0])
        wide = any(np.ndim(v) for v in rows[0])
        width = int(np.prod(batch)) if wide else 1
        table = np.array(
            [[np.broadcast_to(v, batch if wide else ()).ravel() for v in row] for row in rows], dtype=float
        )
        table = table.reshape(len(rows), len(self.names), width)
        state = np.ascontiguousarray(_fill(s, len(s), batch).reshape(len(s), -1))
        self.printout.module.run(state, np.ascontiguousarray(table), steps)
        return state.reshape(len(s), *batch)

    @cached_property
    def tangents(self) -> tuple[Any, Any]:
        """Directions and tangents of the step, on tape."""
        return self._trace().tangents()

    def jacobian(self, s: np.ndarray, k: int) -> np.ndarray:
        """DT `(D, D)` or `(D, D, batch)`."""
        trace, values = self._trace(), self.values(k)
        batch = self.batch(s, values)
        directions, tangents = self.tangents
        states = _fill(s, len(s), batch or (1,))
        evaluator = self._evaluator({n: v[:, None] for n, v in trace.split(states).items()}, values)
        eye, first = np.eye(trace.dim)[:, :, None], 0
        for node in directions:
            evaluator.values[node.index] = eye[first : first + node.size]
            first += node.size
        shape = (trace.dim, *(batch or (1,)))
        rows = [_fill(v, n, shape) for v, n in zip(evaluator(tangents), trace.sizes, strict=True)]
        jacobian = np.concatenate(rows)
        return jacobian if batch else jacobian[:, :, 0]

    def _evaluator(self, inputs: Mapping[Any, Any], values: list[Any]) -> ArrayEvaluator:
        evaluator = ArrayEvaluator(inputs)
        evaluator.params = dict(zip(self._trace().parameters(), values, strict=True))
        return evaluator


def _fill(value: Any, size: int, batch: tuple[int, ...]) -> np.ndarray:
    """A value `(size,)` or `(size, …)` spread over a batch, as a copy."""
    value = np.asarray(value, dtype=float)
    value = value.reshape(value.shape + (1,) * (1 + len(batch) - value.ndim))
    return np.broadcast_to(value, (size, *batch)).copy()
