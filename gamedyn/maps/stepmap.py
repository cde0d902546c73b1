"""One step of a method on a game, as a map of the extended state (z, *memory)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.linear import LinearField, linearize
from gamedyn.games.transformed import unwrap
from gamedyn.maps.evaluate import ArrayEvaluator, ExactEvaluator
from gamedyn.maps.fingerprint import fingerprint
from gamedyn.maps.trace import Trace, build_trace, run_step, start
from gamedyn.rules.method import Method, as_method, coefficients, map_numbers, with_parameter
from gamedyn.rules.rule import is_scheduled

State = Any  # ndarray (D,) or (D, batch), SymPy column (D, 1), or torch vector (D,), by world
SCALAR_LIMIT = 64  # extended dimension up to which a step is printed as scalar code; vectors beyond
COEFFICIENT = sp.Symbol("scheduled_coefficient", real=True)


class StepMap:
    """The map T of one step: s ↦ T(s) on the extended state s = (z, *memory).

    The world follows from the state: float64 arrays `(D,)` or `(D, batch)`, SymPy columns, or torch
    vectors on CPU or GPU.

    Parameters
    ----------
    method : Rule or Method
    game : game
        Any object of the game protocol.
    params : mapping, optional
        Values of the game's free parameters, and of symbols in the method: scalars, or arrays
        `(batch,)` in the array world.
    oracle : object, optional
        `oracle.draw(k)` gives the field of step k of a stochastic game; neural world only.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Extragradient(lr=0.5), gd.games.bilinear(1))
    >>> T.dim
    2
    >>> T.point(T(T.start([1.0, 0.0])))
    array([0.75, 0.5 ])
    """

    def __init__(self, method: Any, game: Any, *, params: Mapping[str, Any] | None = None, oracle: Any = None) -> None:
        self.method: Method = as_method(method)
        self.game = game
        self.params = dict(params or {})
        self.oracle = oracle
        self._layout: tuple[int, ...] | None = None

    # shape ---------------------------------------------------------------------------------------

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of every memory vector."""
        if self._layout is None:
            if "exact" in self.game.worlds:
                self._layout = self.trace.sizes
            else:
                self.start([0.0] * self.game.dim)
        assert self._layout is not None
        return self._layout

    @property
    def dim(self) -> int:
        """Length D of the extended state."""
        return sum(self.sizes)

    def with_parameter(self, name: str, value: Any) -> StepMap:
        """The same map with one coefficient of the method replaced."""
        return StepMap(with_parameter(self.method, name, value), self.game, params=self.params, oracle=self.oracle)

    def at(self, k: int) -> StepMap:
        """The autonomous map of step k; the map itself where the method has no schedule."""
        if not is_scheduled(self.method.rule):
            return self
        layers = [self.method.preconditioner] if self.method.preconditioner else []
        method = Method(self.method.rule.at(k), *layers, *self.method.transforms)
        return StepMap(method, self.game, params=self.params, oracle=self.oracle)

    @cached_property
    def trace(self) -> Trace:
        """The step on tape.  A scheduled coefficient is the symbol `scheduled_coefficient`."""
        return build_trace(self._traced_method, self.game)

    @cached_property
    def _traced_method(self) -> Method:
        rule = self.method.rule
        if not is_scheduled(rule):
            return self.method
        if not hasattr(rule, "parameter"):
            raise ValueError(f"{rule!r} has a schedule inside a wrapper; put `scheduled` outermost")
        layers = [self.method.preconditioner] if self.method.preconditioner else []
        return Method(replace(rule.rule, **{rule.parameter: COEFFICIENT}), *layers, *self.method.transforms)

    # states --------------------------------------------------------------------------------------

    def start(self, z: Any) -> State:
        """The extended state before the first step.

        Parameters
        ----------
        z : array `(d,)` or `(d, batch)`, SymPy column or list with SymPy entries, or torch vector
        """
        world, z = self._enter(z)
        if world == "exact":
            values = ExactEvaluator({self.trace.inputs[0]: list(z)})(self.trace.initial)
            return column([*z, *(e for v in values for e in v)])
        if world == "array":
            evaluator = self._array_evaluator({self.trace.inputs[0]: z})
            values = [z, *evaluator(self.trace.initial)]
            batch = z.shape[1:]
            return np.concatenate([_spread(v, n, batch) for v, n in zip(values, self.trace.sizes, strict=True)])
        parts = self._neural_start(z)
        self._layout = tuple(len(p) for p in parts)
        return _torch().cat(list(parts))

    def point(self, s: State) -> Any:
        """The point that the method reports, `(d,)` or `(d, batch)`."""
        world, s = _state_world(s)
        if world == "neural":
            report = getattr(self.method.rule, "report", None)
            parts = self._split(s)
            return parts[0] if report is None else report(parts[0], parts[1:])
        if world == "exact":
            (value,) = ExactEvaluator(self._inputs(list(s)))([self.trace.reported])
            return column(value)
        (value,) = self._array_evaluator(self._inputs(s))([self.trace.reported])
        return np.array(value)

    def __call__(self, s: State, k: int = 0) -> State:
        """One step; k is its number, for schedules and stochastic games."""
        world, s = _state_world(s)
        if len(s) != self.dim:
            raise ValueError(f"a state of this map has {self.dim} entries, got {len(s)}; make one with T.start(z)")
        if world == "exact":
            evaluator = ExactEvaluator(self._inputs(list(s)))
            outputs = evaluator([self._exact_node(o, k) for o in self.trace.outputs])
            return column([e for v in outputs for e in v])
        if world == "array":
            return self._array_step(s, k)
        return self._neural_step(s, k)

    def jacobian(self, s: State, k: int = 0) -> Any:
        """The Jacobian DT of one step on the extended state.

        Parameters
        ----------
        s : state, as from `start`

        Returns
        -------
        ndarray `(D, D)` or `(D, D, batch)`, SymPy matrix, or torch tensor `(D, D)`, by world.
        """
        world, s = _state_world(s)
        if world == "neural":
            return self._neural_jacobian(s, k)
        directions, tangents = self.tangents
        sizes = self.trace.sizes
        starts = np.cumsum([0, *sizes])
        if world == "exact":
            return self._exact_jacobian(s, k)
        values = self._inputs(s if s.ndim > 1 else s[:, None])
        evaluator = self._array_evaluator({n: v[:, None] for n, v in values.items()}, k)
        eye = np.eye(self.dim)[:, :, None]
        for node, first, n in zip(directions, starts, sizes, strict=False):
            evaluator.values[node.index] = eye[first : first + n]
        batch = s.shape[1:] or (1,)
        rows = [_spread(v, n, (self.dim, *batch)) for v, n in zip(evaluator(tangents), sizes, strict=True)]
        jacobian = np.concatenate(rows)
        return jacobian if s.ndim > 1 else jacobian[:, :, 0]

    def test_jacobian(self, z: Any, exact: bool = False) -> Any:
        """DT at an equilibrium by feeding the identity to one step on the test field; no autodiff.

        Parameters
        ----------
        z : `(d,)`, a point with v(z) = 0
        exact : bool
            In SymPy instead of float64.

        Raises
        ------
        NotInThisWorld
            If the method asks the test field for what it does not have.
        """
        if self.method.preconditioner is not None:
            raise NotInThisWorld("step", "test", "a preconditioner is nonlinear in the field; analyse .frozen(state)")
        base, transforms = unwrap(self.game)
        if "exact" not in base.worlds:
            raise NotInThisWorld("field", "test", "the game has no formulas; its Jacobian comes from gd.jacobian")
        source = base.field("exact") if exact else base.field("array", self._game_params())
        return linear_jacobian(self.method, linearize(source, z, exact), exact, transforms)

    # the exact world -------------------------------------------------------------------------------

    @cached_property
    def tangents(self) -> tuple[Any, Any]:
        """Directions and tangents of the step, on tape."""
        return self.trace.tangents()

    def _exact_jacobian(self, s: State, k: int) -> sp.ImmutableMatrix:
        directions, tangents = self.tangents
        tangents = [self._exact_node(t, k) for t in tangents]
        shared = ExactEvaluator(self._inputs(list(s)))
        columns = []
        for j in range(self.dim):
            evaluator = ExactEvaluator({})
            evaluator.values = dict(shared.values)
            first = 0
            for node in directions:
                evaluator.values[node.index] = [sp.Integer(first + i == j) for i in range(node.size)]
                first += node.size
            columns.append(sp.Matrix([e for v in evaluator(tangents) for e in v]))
        return sp.ImmutableMatrix(sp.Matrix.hstack(*columns))

    def _exact_node(self, node: Any, k: int) -> Any:
        self._refuse_preconditioner()
        if is_scheduled(self.method.rule):
            raise NotInThisWorld("schedule", "exact", "take the autonomous map of one step, T.at(k)")
        return node

    # the array world -------------------------------------------------------------------------------

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the symbols that need a value in the array world."""
        return tuple(p.name for p in self.trace.parameters() if p is not COEFFICIENT)

    def parameter_values(self, k: int = 0) -> list[Any]:
        """Values of the trace's symbols at step k, in its order.

        Raises
        ------
        ValueError
            If one has no value.
        """
        values = []
        for p in self.trace.parameters():
            if p is COEFFICIENT:
                values.append(float(getattr(self.method.rule.at(k), self.method.rule.parameter)))
            elif p.name in self.params:
                values.append(self.params[p.name])
            else:
                raise ValueError(
                    f"the symbol '{p.name}' has no value; give params={{'{p.name}': ...}}, or bind it in the game"
                )
        return [float(v) if isinstance(v, sp.Expr) else v for v in values]

    @cached_property
    def program(self) -> Any:
        """The step as scalar code."""
        from gamedyn.maps.scalar import scalarize

        return scalarize(self.trace.inputs, self.trace.outputs, self.trace.parameters())

    @cached_property
    def _numpy_step(self) -> Any:
        from gamedyn.maps.kernels import load_numpy
        from gamedyn.maps.printers import numpy_source

        return load_numpy(numpy_source(self.program))

    @cached_property
    def kernel(self) -> Any:
        """The Numba module whose `run(S, P, steps)` advances states `(D, batch)` in place."""
        from gamedyn.maps.kernels import load_numba, remember, remembered
        from gamedyn.maps.printers import numba_source

        key = fingerprint((self._traced_method, self.game))
        entry = remembered(key) if key and "trace" not in self.__dict__ else None
        if entry is None:
            source = numba_source(self.program)
            if key:
                remember(key, source, [p.name for p in self.trace.parameters()], self.trace.sizes)
        else:
            source = entry["source"]
        return load_numba(source)

    def _array_step(self, s: np.ndarray, k: int) -> np.ndarray:
        if self.dim > SCALAR_LIMIT:
            outputs = self._array_evaluator(self._inputs(s), k)(self.trace.outputs)
            return np.concatenate([_spread(v, n, s.shape[1:]) for v, n in zip(outputs, self.sizes, strict=True)])
        values = [np.asarray(v, dtype=float) for v in self.parameter_values(k)]
        batch = np.broadcast_shapes(s.shape[1:], *(v.shape for v in values))
        result = np.empty((len(s), *batch))
        with np.errstate(all="ignore"):  # a diverging orbit is a result
            for j, component in enumerate(self._numpy_step(s, values)):
                result[j] = component
        return result

    def _array_evaluator(self, values: Mapping[Any, Any], k: int = 0) -> ArrayEvaluator:
        evaluator = ArrayEvaluator(values)
        evaluator.params = dict(zip(self.trace.parameters(), self.parameter_values(k), strict=True))
        return evaluator

    def _inputs(self, s: Any) -> dict[Any, Any]:
        starts = np.cumsum([0, *self.trace.sizes])
        return {node: s[first : first + node.size] for node, first in zip(self.trace.inputs, starts, strict=False)}

    def _game_params(self) -> dict[str, Any]:
        return {n: v for n, v in self.params.items() if n in self.game.parameters}

    # the neural world ------------------------------------------------------------------------------

    @cached_property
    def _neural_method(self) -> Method:
        return map_numbers(self.method, _as_float)

    def _neural_field(self, k: int) -> Any:
        field = self._base_field if self.oracle is None else self.oracle.draw(k)
        return self._neural_method.field(field)

    @cached_property
    def _base_field(self) -> Any:
        return self.game.field("neural", self._game_params())

    def _neural_start(self, z: Any) -> tuple[Any, ...]:
        with _torch().no_grad():
            method = self._neural_method
            if is_scheduled(method.rule):
                layers = [method.preconditioner] if method.preconditioner else []
                method = Method(method.rule.at(0), *layers, *method.transforms)
            field = self._neural_field(0)
            parts = start(method, field, z)
        self._rule_memory = len(parts) - 1
        if method.preconditioner is not None:
            self._rule_memory -= len(method.preconditioner.init(field, z))
        return parts

    def _split(self, s: Any) -> tuple[Any, ...]:
        starts = np.cumsum([0, *self.sizes])
        return tuple(s[int(a) : int(a) + n] for a, n in zip(starts, self.sizes, strict=False))

    def step_parts(self, parts: Sequence[Any], k: int = 0) -> tuple[Any, ...]:
        """One neural step on (z, *memory) kept apart, without copying them into one vector."""
        method = self._neural_method
        if is_scheduled(method.rule):
            layers = [method.preconditioner] if method.preconditioner else []
            method = Method(method.rule.at(k), *layers, *method.transforms)
        z, memory, _ = run_step(method, self._neural_field(k), parts[0], tuple(parts[1:]), self._memory_count)
        return (z, *memory)

    def start_parts(self, z: Any) -> tuple[Any, ...]:
        """(z, *memory) before the first step in the neural world."""
        parts = self._neural_start(z)
        self._layout = tuple(len(p) for p in parts)
        return parts

    @property
    def _memory_count(self) -> int:
        if not hasattr(self, "_rule_memory"):
            self._neural_start(_torch().zeros(self.game.dim, dtype=_torch().float64))
        return self._rule_memory

    def _neural_step(self, s: Any, k: int) -> Any:
        grad = _torch().is_grad_enabled() and s.requires_grad
        with _torch().set_grad_enabled(grad):
            return _torch().cat(list(self.step_parts(self._split(s), k)))

    def _neural_jacobian(self, s: Any, k: int) -> Any:
        torch = _torch()
        s = s.detach().requires_grad_()
        with torch.enable_grad():
            image = self._neural_step(s, k)
            rows = [
                torch.autograd.grad(image[j], s, retain_graph=True, materialize_grads=True)[0]
                for j in range(len(image))
            ]
        return torch.stack(rows)

    # entering a world ------------------------------------------------------------------------------

    def _enter(self, z: Any) -> tuple[str, Any]:
        d = self.game.dim
        world, z = _state_world(z)
        if len(z) != d:
            raise ValueError(f"'{self.game.name}' has d = {d} coordinates, got a point with {len(z)}")
        if world == "array" and "array" not in self.game.worlds:
            return "neural", _torch().as_tensor(z)
        if world == "exact" and "exact" not in self.game.worlds:
            raise NotInThisWorld("step", "exact", "the game has no formulas; give a float or torch point")
        if world == "exact":
            self._refuse_preconditioner()
        return world, z

    def _refuse_preconditioner(self) -> None:
        if self.method.preconditioner is not None:
            raise NotInThisWorld("step", "exact", "a preconditioner is nonlinear in the field; analyse .frozen(state)")

    @property
    def is_exact(self) -> bool:
        """Whether no Python float occurs in the method or in the game's bound values."""
        base, transforms = unwrap(self.game)
        if "exact" not in base.worlds:
            return False
        layers = [self.method, *transforms]
        bound = list(getattr(base, "bound", {}).values())
        return not any(isinstance(c, float) for c in (*bound, *(c for layer in layers for c in coefficients(layer))))

    def __repr__(self) -> str:
        return f"StepMap({self.method!r} on {self.game.name}, d = {self.game.dim})"


def linear_jacobian(method: Method, F: LinearField, exact: bool, transforms: Sequence[Any] = ()) -> Any:
    """The matrix of one step on a test field: the step fed with the identity."""
    d = F.players[-1].stop
    door = exact_number if exact else _as_float
    method = map_numbers(method, door)
    field: Any = F
    for transform in transforms:
        field = map_numbers(transform, door).field(field)
    field = method.field(field)
    memory = start(method, field, sp.ImmutableMatrix(sp.zeros(d, 1)) if exact else np.zeros((d, 1)))
    count = len(memory)
    blocks = []
    for k in range(count):
        parts = [_block(d, count, j == k, exact) for j in range(count)]
        z, rest, _ = run_step(method, field, parts[0], tuple(parts[1:]), count - 1)
        rows = (z, *rest)
        blocks.append(sp.Matrix.vstack(*map(sp.Matrix, rows)) if exact else np.concatenate(rows))
    return sp.ImmutableMatrix(sp.Matrix.hstack(*blocks)) if exact else np.concatenate(blocks, axis=1)


def _block(d: int, count: int, unit: bool, exact: bool) -> Any:
    if exact:
        return sp.ImmutableMatrix(sp.eye(d) if unit else sp.zeros(d, d))
    return np.eye(d) if unit else np.zeros((d, d))


def _spread(value: Any, size: int, batch: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(value, dtype=float)
    value = value.reshape(value.shape + (1,) * (1 + len(batch) - value.ndim))
    return np.broadcast_to(value, (size, *batch)).copy()


def _as_float(value: Any) -> float:
    if isinstance(value, sp.Expr) and value.free_symbols:
        names = sorted(s.name for s in value.free_symbols)
        raise ValueError(f"the method's coefficient {value} has no number for {names}; give one to step in floats")
    return float(value)


def _state_world(s: Any) -> tuple[str, Any]:
    """The world that a state belongs to, and the state in that world's type."""
    if isinstance(s, sp.MatrixBase):
        return "exact", column(exact_number(e) for e in s)
    if type(s).__module__.startswith("torch"):
        return "neural", s
    if not isinstance(s, np.ndarray) and any(isinstance(e, sp.Expr) for e in s):
        return "exact", column(exact_number(e) for e in s)
    return "array", np.asarray(s, dtype=float)


def _torch() -> Any:
    import torch

    return torch
