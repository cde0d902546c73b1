"""Conformance: what every update rule, a user's own included, must satisfy.

Each check takes a rule or a method, returns None, and raises `AssertionError` saying what is wrong.  One
that cannot apply raises `NotInThisWorld` with the reason; `check_rule` runs all and lists both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.games.linear import LinearField
from gamedyn.games.symbolic import Game, zero_sum
from gamedyn.maps.stepmap import StepMap
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, as_method, map_numbers, with_parameter
from gamedyn.rules.rule import at
from gamedyn.testing.agreement import check_worlds_agree
from gamedyn.testing.scripted import Probe, ScriptedField


@dataclass(frozen=True)
class Report:
    """Outcome of `check_rule`: check -> "passed" or "does not apply: reason"."""

    rule: Any
    outcomes: dict[str, str]

    def __repr__(self) -> str:
        width = max(map(len, self.outcomes))
        return "\n".join([f"{self.rule!r}", *(f"  {name:{width}}  {text}" for name, text in self.outcomes.items())])


def check_rule(rule: Any, *, worlds: Sequence[str] = ("exact", "test", "array", "neural"), games: Any = None) -> Report:
    """Put a rule through every check.

    Parameters
    ----------
    rule : Rule or Method
        With numbers for its coefficients.
    worlds : sequence of str
        Worlds to compare; "numba" compiles, and is left out unless asked for.
    games : sequence of (game, z0, equilibrium), optional
        Where worlds are compared; by default a bilinear and a general-sum quadratic game.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        Listing every check that failed.

    Examples
    --------
    >>> import gamedyn as gd
    >>> check_rule(gd.Extragradient(0.1), worlds=("test", "array")).outcomes["zero step"]
    'passed'
    """
    checks: dict[str, Callable[[], None]] = {
        "protocol": lambda: check_protocol(rule),
        "operations": lambda: check_operations(rule),
        "superposition": lambda: check_superposition(rule),
        "zero step": lambda: check_zero_step(rule),
        "player permutation": lambda: _permutation_where_symmetric(rule),
        "memory": lambda: check_memory(rule),
    }
    for game, z0, equilibrium in default_games() if games is None else games:
        for world in worlds:
            checks[f"{world} world on {game.name}"] = partial(
                check_worlds_agree, rule, game, z0, equilibrium=equilibrium, worlds=[world]
            )
    outcomes, failures = {}, []
    for name, check in checks.items():
        try:
            check()
            outcomes[name] = "passed"
        except NotInThisWorld as reason:
            outcomes[name] = f"does not apply: {reason.reason}"
        except AssertionError as failure:
            failures.append(f"  {name}: {failure}")
        except Exception as error:  # whatever a user's rule raises
            failures.append(f"  {name}: raised {type(error).__name__}: {error}")
    if failures:
        raise AssertionError("\n".join([f"{rule!r} does not conform:", *failures]))
    return Report(rule, outcomes)


def default_games() -> list[tuple[Any, list[float], list[Any]]]:
    """(game, start, equilibrium): a bilinear game and a general-sum quadratic one with two unequal players."""
    bilinear = zero_sum("x*y", min="x", max="y", name="bilinear")
    costs = ["x**2/2 + x*y - x*w/2 + w**2/8", "y**2/4 + w**2/3 - y*w/5 - x*y/2 + x*w"]
    quadratic = Game(costs, players=[["x"], ["y", "w"]], name="quadratic")
    return [(bilinear, [0.75, -0.5], [0, 0]), (quadratic, [0.75, -0.5, 0.25], [0, 0, 0])]


# one step on a field, outside any step map -----------------------------------------------------------


def _autonomous(rule: Any, k: int = 0) -> Method:
    method = as_method(rule)
    layers = [method.preconditioner] if method.preconditioner else []
    return Method(at(method.rule, k), *layers, *method.transforms)


def _numeric(rule: Any, k: int = 0) -> Any:
    """The autonomous rule of step k with float coefficients, without its layers."""
    return map_numbers(_autonomous(rule, k), float).rule


def _refuse_preconditioner(method: Method, check: str) -> None:
    if method.preconditioner is not None:
        raise NotInThisWorld(check, "test", "a preconditioner is nonlinear in the field")


def _linear_field(sizes: Sequence[int], seed: int = 0) -> LinearField:
    rng = np.random.default_rng(seed)
    d, stops = sum(sizes), np.cumsum(sizes)
    players = [Player(f"p{i}", int(s) - n, int(s)) for i, (s, n) in enumerate(zip(stops, sizes, strict=True))]
    raw = [rng.normal(size=(d, d)) / d for _ in sizes]
    return LinearField(players, hessians=[m + m.T for m in raw])


def _linear_step(rule: Any, F: LinearField, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    method = map_numbers(_autonomous(rule), float)
    z, memory, _ = run_step(method, method.field(F), parts[0], tuple(parts[1:]), len(parts) - 1)
    return [z, *memory]


def _memory_count(rule: Any, F: LinearField) -> int:
    method = map_numbers(_autonomous(rule), float)
    return len(start(method, method.field(F), np.zeros((F.players[-1].stop, 1)))) - 1


# the checks ------------------------------------------------------------------------------------------


def check_protocol(rule: Any) -> None:
    """The rule is a frozen dataclass; `init` gives a tuple, `step` a point and a tuple of the same length."""
    method = _autonomous(rule)
    inner: Any = method.rule
    parameters = getattr(type(inner), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise AssertionError(f"{type(inner).__name__} must be a frozen dataclass: write @dataclass(frozen=True)")
    inner = _numeric(rule)
    F = _linear_field([2, 1])
    z = np.array([[0.5], [-0.25], [0.75]])
    memory = inner.init(F, z)
    if not isinstance(memory, tuple):
        raise AssertionError(f"init must return a tuple of vectors, got {type(memory).__name__}")
    result = inner.step(F, z, memory)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], tuple)):
        raise AssertionError("step must return (point, memory), memory a tuple")
    if len(result[1]) != len(memory):
        raise AssertionError(f"init gives {len(memory)} memory vectors, step {len(result[1])}")
    if np.shape(result[0]) != z.shape or any(np.shape(m) != z.shape for m in (*memory, *result[1])):
        raise AssertionError("points and memory vectors must have the joint dimension of z")


def check_operations(rule: Any, steps: int = 2) -> None:
    """The rule uses `+`, `-` and scalar `*` only, forms every new point by `F.point`, remembers no point."""
    F = ScriptedField()
    z = F.start()
    memory = _numeric(rule).init(F, z)
    for k in range(steps):
        z, memory = _numeric(rule, k).step(F, z, memory)
        if not isinstance(z, Probe) or not z.is_point:
            raise AssertionError("the new point did not come out of F.point; write F.point(...)")
        for k, m in enumerate(memory):
            if not isinstance(m, Probe) or not np.allclose(m.weight, 0, rtol=0, atol=1e-12):
                raise AssertionError(f"memory vector {k} contains a point; keep field values and velocities only")


def check_superposition(rule: Any, seed: int = 0) -> None:
    """On a linear field the step is linear in (z, *memory): T(2s - 3t) = 2T(s) - 3T(t)."""
    _refuse_preconditioner(as_method(rule), "superposition")
    F = _linear_field([2, 1], seed)
    rng = np.random.default_rng(seed + 1)
    parts = []
    for _ in range(1 + _memory_count(rule, F)):
        pair = rng.normal(size=(3, 2))
        parts.append(np.column_stack([pair, 2 * pair[:, 0] - 3 * pair[:, 1]]))
    for k, image in enumerate(_linear_step(rule, F, parts)):
        gap = np.max(np.abs(image[:, 2] - (2 * image[:, 0] - 3 * image[:, 1])))
        if not gap <= 1e-10 * (1 + np.max(np.abs(image))):
            raise AssertionError(
                f"on a linear field the step is not linear: part {k} of T(2s - 3t) is off by {gap:.3g}"
            )


def check_zero_step(rule: Any) -> None:
    """With lr = 0 the first step leaves z where it is."""
    method = _autonomous(rule)
    try:
        resting = with_parameter(method, "lr", 0.0)
    except ValueError as error:
        raise NotInThisWorld("zero step", "test", "the rule has no coefficient called lr") from error
    _refuse_preconditioner(method, "zero step")
    F = _linear_field([2, 1])
    z = np.array([[0.5], [-0.25], [0.75]])
    memory = start(resting, resting.field(F), z)[1:]
    gap = np.max(np.abs(_linear_step(resting, F, [z, *memory])[0] - z))
    if not gap <= 1e-13:
        raise AssertionError(f"lr = 0 must leave z where it is, but z moved by {gap:.3g}")


def check_player_permutation(rule: Any, seed: int = 0) -> None:
    """Relabelling the players of a game relabels the step: T'(Πs) = ΠT(s).

    Holds for rules that treat all players alike; fails for alternating updates and two time scales.
    """
    method = as_method(rule)
    _refuse_preconditioner(method, "player permutation")
    F = _linear_field([2, 1], seed)
    order = np.array([2, 0, 1])  # the second player first
    hessians = [F.hessians[1][np.ix_(order, order)], F.hessians[0][np.ix_(order, order)]]  # type: ignore[index]
    relabelled = LinearField([Player("p1", 0, 1), Player("p0", 1, 3)], hessians=hessians)
    rng = np.random.default_rng(seed + 1)
    parts = [rng.normal(size=(3, 1)) for _ in range(1 + _memory_count(rule, F))]
    here = [image[order] for image in _linear_step(rule, F, parts)]
    there = _linear_step(rule, relabelled, [p[order] for p in parts])
    gap = max(np.max(np.abs(a - b)) for a, b in zip(here, there, strict=True))
    if not gap <= 1e-11:
        raise AssertionError(f"relabelling the players changes the step by {gap:.3g}; the rule treats players apart")


class _Apart(LinearField):
    """A test field that says whether players were treated apart."""

    apart = False

    def only(self, i: int) -> Any:
        self.apart = True
        return super().only(i)

    def mask(self, i: int, u: Any) -> Any:
        self.apart = True
        return super().mask(i, u)


def _permutation_where_symmetric(rule: Any) -> None:
    base = _linear_field([2, 1])
    F = _Apart(base.players, hessians=base.hessians)
    F.apart = False
    _refuse_preconditioner(as_method(rule), "player permutation")
    _linear_step(rule, F, [np.ones((3, 1))] * (1 + _memory_count(rule, F)))
    if F.apart:
        raise NotInThisWorld("player permutation", "test", "the method treats players apart")
    check_player_permutation(rule)


def check_memory(rule: Any) -> None:
    """At an equilibrium z* ≠ 0 the memory of the start is 0 and T fixes (z*, 0)."""
    game = Game(["x**2/2 + x*y - x", "y**2/4 - x*y + y"], players=[["x"], ["y"]], name="shifted quadratic")
    T = StepMap(_autonomous(rule).rule, game)
    point = np.linalg.solve([[1.0, 1.0], [-1.0, 0.5]], [1.0, -1.0])
    s = T.start(point)
    if len(s) % 2:
        raise AssertionError("memory vectors must have the joint dimension of z")
    if not np.max(np.abs(s[2:]), initial=0.0) <= 1e-12:
        raise AssertionError(
            "the memory does not vanish at an equilibrium; keep field values and velocities, not points"
        )
    gap = np.max(np.abs(T(s) - s))
    if not gap <= 1e-12:
        raise AssertionError(f"the step moves an equilibrium by {gap:.3g}")
