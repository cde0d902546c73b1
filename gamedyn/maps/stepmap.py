"""One step of a method on a game, as a map of the extended state (z, *memory)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gamedyn.games.coefficients import free_symbols
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import linearize
from gamedyn.games.transformed import require_game, unwrap
from gamedyn.maps.array_step import ArrayStep, symbolic_coefficients
from gamedyn.maps.exact_step import ExactStep
from gamedyn.maps.fingerprint import fingerprint
from gamedyn.maps.linear_step import linear_jacobian
from gamedyn.maps.neural_step import NeuralStep
from gamedyn.maps.random_step import RANDOM, RandomStep
from gamedyn.maps.trace import Trace, build_trace
from gamedyn.maps.worlds import State, check_entered, state_world
from gamedyn.rules.method import Method, as_method, coefficients, with_parameter
from gamedyn.rules.rule import is_scheduled, reporter

__all__ = ["State", "StepMap"]


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
        `oracle.draw(k)` gives the field of step k of a stochastic game in the neural world,
        `oracle.draw(k, "array")` in the array world.  The step is then random: it has no Jacobian, trace or
        kernel, and no exact world.

    Raises
    ------
    ValueError
        If `params` names what is neither a free parameter of the game nor a symbol of the method, or
        the two share a name.
    TypeError
        If `method` is no rule or method, or `game` no game.

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
        require_game(game, "StepMap")
        self.game = game
        self.params = dict(params or {})
        self.oracle = oracle
        symbols = free_symbols(self.method.parts)
        owned = [n for n in self.params if n in game.parameters]
        if oracle is not None and owned:
            raise ValueError(f"params names {owned} of the game, but the oracle draws its fields; bind them there")
        shared = sorted(set(symbols) & set(game.parameters))
        if shared:
            raise ValueError(
                f"{shared} name a symbol of the method and a parameter of '{game.name}'; rename one of them"
            )
        known = (*game.parameters, *symbols)
        unknown = [n for n in self.params if n not in known]
        if unknown:
            raise ValueError(f"params names {unknown}; free in this map are {list(known) or 'no symbols'}")

    # shape ---------------------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of z and of every memory vector."""
        return self.array.sizes if self._has_formulas else self.neural.sizes

    @property
    def dim(self) -> int:
        """Length D of the extended state."""
        return sum(self.sizes)

    def with_parameter(self, name: str, value: Any) -> StepMap:
        """The same map with one coefficient of the method replaced."""
        return self._with_method(with_parameter(self.method, name, value))

    def at(self, k: int) -> StepMap:
        """The autonomous map of step k; the map itself where the method has no schedule."""
        return self._with_method(self.method.at(k)) if self.is_scheduled else self

    def _with_method(self, method: Method) -> StepMap:
        symbols = free_symbols(method.parts)
        params = {n: v for n, v in self.params.items() if n in symbols or n in self.game.parameters}
        return StepMap(method, self.game, params=params, oracle=self.oracle)

    @property
    def is_scheduled(self) -> bool:
        """Whether the coefficients change from step to step."""
        return is_scheduled(self.method.rule)

    @property
    def changes_variables(self) -> bool:
        """Whether z stands for a point of the game that is not z itself."""
        return any(t.changes_variables for t in (*unwrap(self.game)[1], *self.method.transforms))

    @property
    def is_exact(self) -> bool:
        """Whether no Python float occurs in the method, the game's bound values or the parameters."""
        base, transforms = unwrap(self.game)
        if not self._has_formulas:
            return False
        numbers = [c for part in (self.method, *transforms) for c in coefficients(part)]
        return not any(
            isinstance(c, (float, np.ndarray)) for c in (*base.bound.values(), *self.params.values(), *numbers)
        )

    def _refuse_random(self, operation: str, world: str) -> None:
        if self.oracle is not None:
            raise NotInThisWorld(operation, world, RANDOM)

    @property
    def _has_formulas(self) -> bool:
        return "exact" in self.game.worlds

    # the step in each world --------------------------------------------------------------------------

    @cached_property
    def _traced_method(self) -> Method:
        return symbolic_coefficients(self.method.at(0)) if self.is_scheduled else self.method

    @cached_property
    def trace(self) -> Trace:
        """The step on tape; the coefficients of a schedule are symbols in it."""
        self._refuse_random("trace", "trace")
        return build_trace(self._traced_method, self.game)

    @cached_property
    def array(self) -> ArrayStep:
        """The step on float64 arrays."""
        if self.oracle is not None:
            layout = lambda: build_trace(self._traced_method, self.game).sizes  # noqa: E731
            return RandomStep(self.oracle, self.game.dim, self.method.at, self.params, layout)
        key = fingerprint((self._traced_method, self.game))
        return ArrayStep(key, lambda: self.trace, self.game.dim, self.method.at, self.params)

    @cached_property
    def exact(self) -> ExactStep:
        """The step on SymPy columns.

        Raises
        ------
        NotInThisWorld
            For a preconditioner, a schedule or an oracle.
        """
        self._refuse_random("step", "exact")
        if self.method.preconditioner is not None:
            raise NotInThisWorld("step", "exact", "a preconditioner is nonlinear in the field; analyse .frozen(state)")
        if self.is_scheduled:
            raise NotInThisWorld("schedule", "exact", "take the autonomous map of one step, T.at(k)")
        return ExactStep(self.trace, self.params)

    @cached_property
    def neural(self) -> NeuralStep:
        """The step on torch vectors."""
        return NeuralStep(self.game, self.method.at, self.params, self.oracle)

    @property
    def kernel(self) -> Any:
        """The Numba module whose `run(S, P, steps)` advances states `(D, batch)` in place."""
        return self.array.printout.module

    # the map -----------------------------------------------------------------------------------------

    def start(self, z: Any) -> State:
        """The extended state before the first step.

        Parameters
        ----------
        z : array `(d,)` or `(d, batch)`, SymPy column or list with SymPy entries, or torch vector

        Raises
        ------
        ValueError
            If z has another length than d, or an array has entries that are not finite.
        """
        world, z = state_world(z)
        if len(z) != self.game.dim:
            raise ValueError(f"'{self.game.name}' has d = {self.game.dim} coordinates, got a point with {len(z)}")
        if world == "array" and not np.all(np.isfinite(z)):
            bad = int(np.sum(~np.isfinite(z)))
            raise ValueError(
                f"a start needs finite numbers, {bad} of its {z.size} entries are not; leave such points out"
            )
        if world == "array" and not self._has_formulas:
            import torch

            world, z = "neural", torch.as_tensor(z)
        if world == "neural":
            import torch

            return torch.cat(list(self.neural.start_parts(z)))
        if not self._has_formulas:
            raise NotInThisWorld("step", "exact", "the game has no formulas; give a float or torch point")
        step: Any = self.exact if world == "exact" else self.array
        return step.start(self._entered(step, z))

    def _entered(self, step: Any, z: Any) -> Any:
        if not self.changes_variables:
            return z
        s = step.enter(z)
        check_entered(z, s, step.point(step.start(s)))
        return s

    def point(self, s: State) -> Any:
        """The point that the method reports, `(d,)` or `(d, batch)`."""
        world, s = state_world(s)
        report = reporter(self.method.rule)
        if world == "neural":
            parts = self.neural.split(s)
            z = self.neural.leave(parts[0]) if self.changes_variables else parts[0]
            return z if report is None else report(z, parts[1:])
        if world == "exact":
            return self.exact.point(s)
        plain = report is None and not self.changes_variables
        return s[: self.game.dim].copy() if plain else self.array.point(s)

    def __call__(self, s: State, k: int = 0) -> State:
        """One step; k is its number, for schedules and stochastic games."""
        world, s = state_world(s)
        if len(s) != self.dim:
            raise ValueError(f"a state of this map has {self.dim} entries, got {len(s)}; make one with T.start(z)")
        if world == "exact":
            return self.exact.step(s)
        return self.array.step(s, k) if world == "array" else self.neural.step(s, k)

    def jacobian(self, s: State, k: int = 0) -> Any:
        """The Jacobian DT of one step on the extended state.

        Parameters
        ----------
        s : state, as from `start`

        Raises
        ------
        NotInThisWorld
            If the step is random.

        Returns
        -------
        ndarray `(D, D)` or `(D, D, batch)`, SymPy matrix, or torch tensor `(D, D)`, by world.
        """
        world, s = state_world(s)
        self._refuse_random("jacobian", world)
        if world == "exact":
            return self.exact.jacobian(s)
        return self.array.jacobian(s, k) if world == "array" else self.neural.jacobian(s, k)

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
            If the method asks the test field for what it does not have, or the step is random.
        """
        self._refuse_random("jacobian", "test")
        if self.method.preconditioner is not None:
            raise NotInThisWorld("step", "test", "a preconditioner is nonlinear in the field; analyse .frozen(state)")
        base, transforms = unwrap(self.game)
        if not self._has_formulas:
            raise NotInThisWorld("field", "test", "the game has no formulas; its Jacobian comes from gd.jacobian")
        params = {n: v for n, v in self.params.items() if n in base.parameters}
        source = base.field("exact" if exact else "array", params)
        method = self.method.at(0) if self.is_scheduled else self.method
        return linear_jacobian(method, linearize(source, z, exact), exact, transforms)

    def start_parts(self, z: Any) -> tuple[Any, ...]:
        """(z, *memory) before the first step in the neural world, kept apart."""
        return self.neural.start_parts(z)

    def step_parts(self, parts: Sequence[Any], k: int = 0) -> tuple[Any, ...]:
        """One neural step on (z, *memory) kept apart, without copying them into one vector."""
        return self.neural.step_parts(parts, k)

    def __repr__(self) -> str:
        return f"StepMap({self.method!r} on {self.game.name}, d = {self.game.dim})"
