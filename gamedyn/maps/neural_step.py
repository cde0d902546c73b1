"""The step in the neural world: the rule run on torch vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import sympy as sp

from gamedyn.maps.linear_step import as_float
from gamedyn.maps.trace import run_step, start
from gamedyn.maps.worlds import enter_point
from gamedyn.rules.method import Method, map_numbers


class NeuralStep:
    """A step on flat torch vectors, on CPU or GPU.

    Parameters
    ----------
    game : game
    method : callable
        k -> the autonomous method of step k.
    params : mapping
        Values of the game's parameters and of symbols in the method.
    oracle : object or None
        `oracle.draw(k)` gives the field of step k.
    """

    def __init__(self, game: Any, method: Callable[[int], Method], params: Mapping[str, Any], oracle: Any) -> None:
        self.game, self._method, self.params, self.oracle = game, method, params, oracle
        self._counts: tuple[int, tuple[int, ...]] | None = None
        self._drawn: Any = None

    def method(self, k: int) -> Method:
        """The method of step k with float coefficients."""
        return map_numbers(self._method(k), self._number)

    def _number(self, value: Any) -> float:
        if isinstance(value, sp.Expr) and value.free_symbols:
            value = value.subs({s: self.params[s.name] for s in value.free_symbols if s.name in self.params})
        return as_float(value)

    @cached_property
    def _field(self) -> Any:
        return self.game.field("neural", {n: v for n, v in self.params.items() if n in self.game.parameters})

    def field(self, k: int, method: Method) -> Any:
        """The transformed field of step k."""
        self._drawn = self._field if self.oracle is None else self.oracle.draw(k)
        return method.field(self._drawn)

    @property
    def residual(self) -> float | None:
        """The relative residual of the matrix-free linear systems of the last step; None where there were none."""
        return getattr(self._drawn, "residual", None)

    def start_parts(self, z: Any) -> tuple[Any, ...]:
        """(z, *memory) before the first step, kept apart."""
        import torch

        with torch.no_grad():
            method = self.method(0)
            field = self.field(0, method)
            return self._count(method, field, enter_point(field, z))

    def _count(self, method: Method, field: Any, z: Any) -> tuple[Any, ...]:
        """(z, *memory) before the first step, whose layout is kept."""
        import torch

        with torch.no_grad():
            parts = start(method, field, z)
            state = () if method.preconditioner is None else method.preconditioner.init(field, z)
        self._counts = (len(parts) - 1 - len(state), tuple(len(p) for p in parts))
        return parts

    def leave(self, z: Any) -> Any:
        """The point of the game that z stands for."""
        return self.field(0, self._fixed).leave(z)

    def _layout(self) -> tuple[int, tuple[int, ...]]:
        if self._counts is None:
            import torch

            method = self.method(0)
            self._count(method, self.field(0, method), torch.zeros(self.game.dim, dtype=torch.float64))
        assert self._counts is not None
        return self._counts

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of the memory vectors."""
        return self._layout()[1]

    def split(self, s: Any) -> tuple[Any, ...]:
        """The state as (z, *memory)."""
        return tuple(s.split(list(self.sizes)))

    def step_parts(self, parts: Sequence[Any], k: int) -> tuple[Any, ...]:
        """One step on (z, *memory) kept apart, without copying them into one vector."""
        method = self.method(k) if self._changes else self._fixed
        z, memory, _ = run_step(method, self.field(k, method), parts[0], tuple(parts[1:]), self._layout()[0])
        return (z, *memory)

    @cached_property
    def _fixed(self) -> Method:
        return self.method(0)

    @cached_property
    def _changes(self) -> bool:
        return self._method(0) is not self._method(1)

    def step(self, s: Any, k: int) -> Any:
        """One step on the state as one vector."""
        import torch

        with torch.set_grad_enabled(torch.is_grad_enabled() and s.requires_grad):
            return torch.cat(list(self.step_parts(self.split(s), k)))

    def jacobian(self, s: Any, k: int) -> Any:
        """DT `(D, D)`, by rows."""
        import torch

        if s.ndim != 1:
            raise ValueError(f"the Jacobian of a torch step is taken at one state (D,), got shape {tuple(s.shape)}")
        s = s.detach().requires_grad_()
        with torch.enable_grad():
            image = self.step(s, k)
            rows = [torch.autograd.grad(e, s, retain_graph=True, materialize_grads=True)[0] for e in image]
        return torch.stack(rows)
