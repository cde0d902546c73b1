"""A method: a rule (wrapped or not) over a preconditioner over transforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.coefficients import list_coefficients, map_coefficients
from gamedyn.games.field import DerivedField, Element, Field, Player, Seed
from gamedyn.games.linear import LinearField
from gamedyn.rules.checks import require_rule
from gamedyn.rules.preconditioners import Preconditioner
from gamedyn.rules.rule import at, has_field, is_scheduled, period, replace_in_rule
from gamedyn.rules.transforms import Transform


@dataclass(frozen=True, init=False)
class Method:
    """rule(preconditioner(transform(game))), written from the outside in.

    `Method(Extragradient(0.1), Adam(), unrolled(5, lr=0.1))` runs extragradient on the Adam direction of
    the unrolled game.  A plain rule is a method as it stands.

    Parameters
    ----------
    rule : Rule
        A rule, wrapped or not.
    layers : preconditioner and transforms
        At most one preconditioner, first; then transforms, the outermost first.

    Raises
    ------
    TypeError
        If the rule, or what a wrapper in it wraps, is no rule; if a layer is no preconditioner or transform, or the
        preconditioner is not the first layer.
    """

    rule: Any
    preconditioner: Any
    transforms: tuple[Any, ...]

    def __init__(self, rule: Any, *layers: Any) -> None:
        if isinstance(rule, Method):
            rule, layers = rule.rule, (*rule.parts[1:], *layers)
        require_rule(rule)
        preconditioner = layers[0] if layers and isinstance(layers[0], Preconditioner) else None
        transforms = layers[1:] if preconditioner is not None else layers
        for layer in transforms:
            if not isinstance(layer, Transform):
                raise TypeError(
                    f"{layer!r} is no transform; write Method(rule, preconditioner, transform, ...), "
                    f"with at most one preconditioner, first"
                )
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "preconditioner", preconditioner)
        object.__setattr__(self, "transforms", tuple(transforms))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The rule, the preconditioner if there is one, and the transforms: what `Method` was called with."""
        middle = () if self.preconditioner is None else (self.preconditioner,)
        return (self.rule, *middle, *self.transforms)

    def with_rule(self, rule: Any) -> Method:
        """The same layers over another rule."""
        return Method(rule, *self.parts[1:])

    def at(self, k: int) -> Method:
        """The autonomous method of step k; the method itself where it has no schedule."""
        return self.with_rule(at(self.rule, k)) if is_scheduled(self.rule) else self

    def field(self, F: Field) -> Field:
        """F seen through the transforms, the innermost (last) first."""
        for transform in reversed(self.transforms):
            F = transform.field(F)
        return F

    def __repr__(self) -> str:
        return " ∘ ".join(label(part) for part in self.parts)


def as_method(method: Any) -> Method:
    """A rule or a method, as a method.

    Raises
    ------
    TypeError
        If it, or what a wrapper in it wraps, has no `init` and `step`.
    """
    return method if isinstance(method, Method) else Method(method)


def label(part: Any) -> str:
    """A rule or layer in a few characters: its name and its numbers."""
    if isinstance(part, Method):
        return repr(part)
    if not is_dataclass(part):
        return str(part)
    inner = []
    for f in fields(part):
        value = getattr(part, f.name)
        if value is None or (f.default is not f.default_factory and value == f.default):
            continue
        inner.append(label(value) if is_dataclass(value) else f"{f.name}={_short(value)}")
    return f"{type(part).__name__}({', '.join(inner)})"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else getattr(value, "__name__", str(value))


# parameters of a method --------------------------------------------------------------------------


def map_numbers(part: Any, fn: Callable[[Any], Any]) -> Any:
    """The same method with `fn` applied to every float, Rational or symbolic coefficient (not to counts)."""
    if isinstance(part, Method):
        return Method(*(map_coefficients(p, fn) for p in part.parts))
    return map_coefficients(part, fn)


def coefficients(part: Any) -> list[Any]:
    """Every float, Rational or symbolic coefficient of a method."""
    parts = part.parts if isinstance(part, Method) else (part,)
    return [value for p in parts for value in list_coefficients(p)]


def with_parameter(method: Any, path: str, value: Any) -> Method:
    """The method with one coefficient replaced.

    Parameters
    ----------
    method : Rule or Method
    path : str
        A field of the rule, looked up through wrappers ("lr"), or of a layer ("unrolled.lr", "tau").
    value : number or Symbol

    Raises
    ------
    ValueError
        If no part of the method has that field, or several layers have it.
    """
    method = as_method(method)
    owner, _, name = path.rpartition(".")
    rule = replace_in_rule(method.rule, owner, name, value)
    if rule is not None:
        return method.with_rule(rule)
    layers = list(method.parts[1:])
    hits = [k for k, p in enumerate(layers) if has_field(p, owner, name)]
    if len(hits) != 1:
        names = [f"{type(p).__name__}.{f.name}" for p in (method.rule, *layers) for f in fields(p)]
        raise ValueError(f"'{path}' names {len(hits)} coefficients of {method!r}; it has {names}")
    layers[hits[0]] = replace(layers[hits[0]], **{name: value})
    return Method(method.rule, *layers)


# cost of a step ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class StepCost:
    """What one step costs.

    Attributes
    ----------
    gradients : Rational
        In units of one evaluation of all players' gradients; a Jacobian or Hessian product of all
        players counts as two, one player's part as its share.
    solves : int
        Implicit equations and linear systems solved, not counted as gradients.
    """

    gradients: sp.Rational
    solves: int

    @property
    def explicit(self) -> bool:
        """Whether the step needs no solve, so that `gradients` says it all."""
        return self.solves == 0


class CountingField(DerivedField):
    """A field that counts what is asked of it."""

    def __init__(self, base: Field) -> None:
        super().__init__(base)
        self.gradients = sp.Rational(0)
        self.solves = 0

    def _count(self, whole: int, share: bool = False) -> None:
        self.gradients += sp.Rational(whole, len(self.players) if share else 1)

    def __call__(self, z: Element) -> Element:
        self._count(1)
        return self.base(z)

    def part(self, i: int, z: Element) -> Element:
        self._count(1, share=True)
        return self.base.part(i, z)

    def grad(self, i: int, z: Element) -> Element:
        self._count(1, share=True)
        return self.base.grad(i, z)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        self._count(2, share=True)
        return self.base.hvp(i, z, u)

    def jvp(self, z: Element, u: Element) -> Element:
        self._count(2)
        return self.base.jvp(z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        self._count(2)
        return self.base.vjp(z, u)

    def cross_jvp(self, z: Element, u: Element) -> Element:
        self._count(2)
        return self.base.cross_jvp(z, u)

    def cross_vjp(self, z: Element, u: Element) -> Element:
        self._count(2)
        return self.base.cross_vjp(z, u)

    def skew(self, z: Element, u: Element) -> Element:
        self._count(4)
        return self.base.skew(z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        return self._differentiated(fn, z)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        image = self._differentiated(fn, z)
        return u(image) if callable(u) else u

    def _differentiated(self, fn: Callable[[Element], Element], z: Element) -> Element:
        before = self.gradients
        image = fn(z)
        self.gradients += 2 * (self.gradients - before)  # each gradient on the way gives one Hessian product
        return image

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        self.solves += 1
        return rhs

    def primal(self, y: Element) -> Element:
        return y

    def dual(self, z: Element) -> Element:
        return z

    def centre(self, u: Element) -> Element:
        return u

    def maximum(self, u: Element, w: Element) -> Element:
        return u

    def sign(self, u: Element) -> Element:
        return u

    def dot(self, u: Element, w: Element) -> Element:
        return u


class _Free(Preconditioner):
    """In the place of a preconditioner, whose steps ask for the gradients that plain ones ask for."""

    def advance(self, F: Field, state: Any, v: Element) -> tuple[Element, Any]:
        return v, state


def _any_number(value: Any) -> float:
    """A coefficient as a float; symbols count the same whatever they stand for."""
    return 0.5 if isinstance(value, sp.Expr) and value.free_symbols else float(value)


def step_cost(method: Any, n_players: int = 2) -> StepCost:
    """What one step of a method costs on a game of `n_players`, counted by running it.

    The mean over a period of a schedule; of a schedule that never repeats, its second step.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.step_cost(gd.Extragradient(0.1)).gradients
    2
    >>> gd.step_cost(gd.Method(gd.Simultaneous(0.1), gd.unrolled(5, lr=0.1))).gradients
    17/2
    """
    method = as_method(method)
    count = period(method.rule)
    costs = [_one_step(method.at(k), n_players) for k in ([1] if count is None else range(count))]
    return StepCost(sum((c.gradients for c in costs), sp.Rational(0)) / len(costs), max(c.solves for c in costs))


def _one_step(method: Method, n_players: int) -> StepCost:
    players = [Player(f"p{i}", i, i + 1) for i in range(n_players)]
    counter = CountingField(LinearField(players, hessians=[np.zeros((n_players, n_players))] * n_players))
    numeric = map_numbers(Method(method.rule, *method.transforms), _any_number)
    F = numeric.field(counter)
    if method.preconditioner is not None:
        F = F.informed(_Free(), ())
    z = np.ones((n_players, 1))
    memory = numeric.rule.init(F, z)
    counter.gradients, counter.solves = sp.Rational(0), 0
    numeric.rule.step(F, z, memory)
    return StepCost(sp.Rational(counter.gradients), counter.solves)
