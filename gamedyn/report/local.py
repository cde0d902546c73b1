"""One method at one equilibrium: how fast, for which steps, at what price."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from mpmath.libmp import NoConvergence

from gamedyn.games.affine import Quadratic
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.linear import LinearField, linearize
from gamedyn.games.symbolic import SymbolicGame
from gamedyn.games.transformed import TransformedGame, unwrap
from gamedyn.maps.linear_step import linear_jacobian
from gamedyn.maps.stepmap import StepMap
from gamedyn.report.radius import radius_near
from gamedyn.rules.method import Method, as_method, label, map_numbers, step_cost
from gamedyn.rules.named import coefficients as named_coefficients
from gamedyn.rules.named import methods as by_name
from gamedyn.rules.named import named
from gamedyn.rules.rule import is_scheduled, period
from gamedyn.stability.regions.modulus import dominant_modulus, numeric_roots
from gamedyn.stability.regions.stable_steps import StableSteps
from gamedyn.stability.regions.steps import ZETA, BestStep, best_step, stable_steps, step_jacobian, step_polynomial

NEUTRAL = 1e-9  # a float spectral radius closer to 1 than this decides nothing


@dataclass(frozen=True)
class MethodReport:
    """What one method does near one equilibrium.

    Attributes
    ----------
    name : str
    gradients : float
        Per step, in evaluations of all players' gradients; a Jacobian product counts as two.
    solves : int
        Implicit equations per step, not counted in `gradients`.
    formula : Expr or None
        ρ as a function of the step, on the branch of the step asked for.
    rho : float or None
        ρ(DT) at the step asked for.
    multiplier : complex or None
        The leading eigenvalue ζ of DT, |ζ| = ρ.
    stable : StableSteps or None
    best : BestStep or None
    verdict : str
        "converges", "neutral", "diverges", "undecided", or "" where there is no answer.
    reason : str
        Why there is no answer.
    settings : tuple of (str, number)
        Coefficients of a named method besides the step.
    """

    name: str
    gradients: float
    solves: int
    formula: Any = None
    rho: float | None = None
    multiplier: complex | None = None
    stable: StableSteps | None = None
    best: BestStep | None = None
    verdict: str = ""
    reason: str = ""
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def explicit(self) -> bool:
        """Whether gradients are the whole price of a step."""
        return self.solves == 0

    @property
    def per_gradient(self) -> float | None:
        """ρ^(1/gradients), None for a method that solves equations."""
        return self._per_gradient(self.rho)

    @property
    def best_per_gradient(self) -> float | None:
        """The same at the best step."""
        return None if self.best is None else self._per_gradient(float(self.best.rate))

    @property
    def turn(self) -> float | None:
        """Steps per turn, 2π/|arg ζ|; None where the leading eigenvalue does not turn."""
        if not self.multiplier:
            return None
        angle = abs(np.angle(self.multiplier))
        return None if angle < 1e-9 else float(2 * math.pi / angle)

    @property
    def e_folding(self) -> float | None:
        """Steps in which the distance shrinks or grows by the factor e, 1/|ln ρ|; None where it does neither."""
        if self.rho is None or abs(self.rho - 1) < NEUTRAL:
            return None
        return 0.0 if self.rho == 0 else 1 / abs(math.log(self.rho))

    def _per_gradient(self, rate: float | None) -> float | None:
        return None if rate is None or not self.explicit or self.gradients == 0 else rate ** (1 / self.gradients)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: expressions as text beside their floats."""
        best: dict[str, Any] | None = None
        if self.best is not None:
            rates = {"step": number(self.best.step), "rate": number(self.best.rate)}
            best = {**rates, "per_gradient": self.best_per_gradient}
        return {
            "name": self.name,
            "gradients": self.gradients,
            "solves": self.solves,
            "coefficients": {k: float(v) for k, v in self.settings},
            "spectral_radius": {"formula": None if self.formula is None else str(self.formula), "value": self.rho},
            "per_gradient": self.per_gradient,
            "steps_per_turn": self.turn,
            "e_folding_steps": self.e_folding,
            "stable_steps": None if self.stable is None else region_dict(self.stable),
            "best": best,
            "verdict": self.verdict or None,
            "reason": self.reason or None,
        }


def number(x: Any) -> dict[str, Any]:
    """An exact or decimal number as `{"exact": text or None, "value": float, complex pair or None}`."""
    is_exact = isinstance(x, sp.Expr) and not x.has(sp.Float)
    if isinstance(x, sp.Expr) and x.free_symbols:
        return {"exact": str(x), "value": None}
    z = complex(sp.N(x, 20)) if isinstance(x, sp.Expr) else complex(x)
    shown = str(x) if is_exact and not x.has(sp.CRootOf) else None
    return {"exact": shown, "value": z.real if z.imag == 0 else [z.real, z.imag]}


def region_dict(region: StableSteps) -> dict[str, Any]:
    """A set of steps as plain data: intervals as pairs of `number`s, ∞ as None."""

    def pieces(s: sp.Set) -> list[Any]:
        if s is sp.S.EmptySet:
            return []
        parts = s.args if isinstance(s, sp.Union) else (s,)
        return [_interval_dict(p) for p in parts]

    conditions = [str(c) for c in region.conditions]
    stable = None if region.kind == "conditions" else pieces(region.stable)
    return {"kind": region.kind, "stable": stable, "neutral": pieces(region.neutral), "conditions": conditions}


def _interval_dict(piece: sp.Set) -> Any:
    if isinstance(piece, sp.Interval):
        return [number(piece.start), None if piece.end == sp.oo else number(piece.end)]
    return [number(x) for x in piece] if isinstance(piece, sp.FiniteSet) else str(piece)


# the game near its equilibrium ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LocalGame:
    """The quadratic game that agrees with a game to second order at an equilibrium.

    The equilibrium becomes its origin, unless the game is played on simplices: these are kept where they are.

    Every step map has the same Jacobian there as on the game itself, resolvents are linear systems, and no nested
    expression is formed.

    Attributes
    ----------
    game : SymbolicGame or TransformedGame
    exact : bool
        Whether the coefficients are exact; floats otherwise.
    field : LinearField
        The Hessians and the Jacobian; its `cross` says why methods that differentiate costs have no analysis here.
    origin : list `(d,)`
        The equilibrium of the local game, in the world of the analysis.
    """

    game: Any
    exact: bool
    field: LinearField
    origin: list[Any]

    @property
    def is_numeric(self) -> bool:
        """Whether no parameter is left free."""
        return not self.game.parameters


def local_game(game: Any, z: tuple[Any, ...]) -> LocalGame:
    """The local game at the equilibrium z `(d,)`.

    Raises
    ------
    ValueError
        If z is no equilibrium of the untransformed game.
    """
    base, transforms = unwrap(game)
    source = base.field("exact")
    exact = all(isinstance(x, sp.Expr) and not x.has(sp.CRootOf, sp.Float) for x in z)
    if exact:
        field = linearize(source, sp.ImmutableMatrix(list(z)), exact=True)
        # Regions over Q(√2) take seconds each: floats there, exact where entries are rational or symbolic.
        exact = all(e.is_Rational or e.free_symbols for m in (field.hessians or [field.jacobian]) for e in m)
    if not exact:
        field = linearize(base.field("array"), np.array([float(x) for x in z]))
    thin = any(s.thin for s in base.constraints)
    point = sp.ImmutableMatrix([exact_number(x if exact else float(x)) for x in z]) if thin else None
    local = _quadratic_game(base, field, point)
    seen: Any = replace(local, constraints=base.constraints) if thin else local
    for transform in transforms:
        seen = TransformedGame.of(seen, map_numbers(transform, exact_number))
    origin = [0 if exact else 0.0] * base.dim if point is None else list(point if exact else map(float, z))
    return LocalGame(seen, exact, field, origin)


def _quadratic_game(base: Any, field: LinearField, point: sp.ImmutableMatrix | None) -> SymbolicGame:
    """The game of the Hessians, around 0 or with the gradients of `base` at a point."""
    source = base.field("exact")
    symbols, d = source.symbols, base.dim
    if field.hessians is None:
        J = sp.Matrix(_exact(field.jacobian))
        offset = sp.zeros(d, 1) if point is None else sp.Matrix(source(point)) - J * sp.Matrix(point)
        return SymbolicGame(base.players, symbols, components=tuple(J * sp.Matrix(symbols) + offset), name=base.name)
    forms = []
    for i, H in enumerate(map(_exact, field.hessians)):
        slope = sp.zeros(d, 1) if point is None else sp.Matrix(source.grad(i, point)) - sp.Matrix(H) * sp.Matrix(point)
        forms.append(Quadratic(_rows(H), tuple(slope)))
    costs = tuple(q.cost(symbols) for q in forms)
    return SymbolicGame(base.players, symbols, costs=costs, name=base.name, quadratics=tuple(forms))


def _exact(m: Any) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(
        *m.shape, [sp.radsimp(exact_number(e)) for e in (m if isinstance(m, sp.MatrixBase) else m.ravel())]
    )


def _rows(m: sp.MatrixBase) -> tuple[tuple[sp.Expr, ...], ...]:
    return tuple(tuple(m[i, j] for j in range(m.cols)) for i in range(m.rows))


# one method -----------------------------------------------------------------------------------------------


class _NamedMap(StepMap):
    """A step map whose `lr` goes into the constructor of a named method, and so to every place that uses it."""

    def __init__(self, build: Callable[[Any], Any], lr: Any, game: Any) -> None:
        super().__init__(build(lr), game)
        self.build = build

    def with_parameter(self, name: str, value: Any) -> StepMap:
        if name == "lr":
            return _NamedMap(self.build, value, self.game)
        return super().with_parameter(name, value)


def step_map(method: Any, lr: Any, game: Any) -> StepMap:
    """The exact step map of a named method at the step lr, or of a method at its own step."""
    if isinstance(method, str):
        return _NamedMap(lambda h: map_numbers(as_method(named(method, lr=h)), exact_number), exact_number(lr), game)
    return StepMap(map_numbers(as_method(method), exact_number), game)


def describe(method: Any) -> str:
    """The name under which a method is listed."""
    return method if isinstance(method, str) else label(method)


def pick(chosen: Any) -> dict[str, Any]:
    """Methods by their shown names: from names, methods, or a mapping of own names to either.

    Raises
    ------
    ValueError
        If a name is unknown, or two methods would be listed under one name.
    TypeError
        If something is neither a name nor a method.
    """
    if isinstance(chosen, (str, Method)) or hasattr(chosen, "step"):
        chosen = [chosen]
    chosen = chosen if isinstance(chosen, Mapping) else list(chosen)
    for m in chosen.values() if isinstance(chosen, Mapping) else chosen:
        as_method(named(m) if isinstance(m, str) else m)
    pairs = list(chosen.items()) if isinstance(chosen, Mapping) else [(describe(m), m) for m in chosen]
    if not pairs:
        raise ValueError(f"no methods were given; name some of: {', '.join(by_name)}")
    names = [n for n, _ in pairs]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"methods {twice} are listed more than once; give a mapping of distinct names to methods")
    return dict(pairs)


def report_method(name: str, method: Any, local: LocalGame, lr: Any, *, rates_only: bool = False) -> MethodReport:
    """The report of one method; what has no answer in this world says why instead of raising.

    With `rates_only` the sets of stable steps and the best step are left out.
    """
    report = _guarded(name, method, local, lr, rates_only)
    if not isinstance(method, str):
        return report
    return replace(report, settings=tuple((k, v) for k, v in named_coefficients(method).items() if v is not None))


def _guarded(name: str, method: Any, local: LocalGame, lr: Any, rates_only: bool) -> MethodReport:
    try:
        cost = step_cost(named(method, lr=lr) if isinstance(method, str) else method, len(local.game.players))
    except (NotInThisWorld, ValueError) as error:
        return MethodReport(name, math.nan, 0, reason=_why(error))
    price, solves = float(cost.gradients), cost.solves
    try:
        T = step_map(method, lr, local.game)
        if local.field.cross:
            linear_jacobian(T.method, local.field, local.exact, unwrap(local.game)[1])  # refuses with the reason
        return _report(MethodReport(name, price, solves), T, local, rates_only)
    except (NotInThisWorld, ValueError, ArithmeticError, NoConvergence, TimeoutError, np.linalg.LinAlgError) as error:
        return MethodReport(name, price, solves, reason=_why(error))


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error).splitlines()[0]


def _report(empty: MethodReport, T: StepMap, local: LocalGame, rates_only: bool) -> MethodReport:
    z, lr = local.origin, None if rates_only else _own_step(T)
    rho = multiplier = formula = region = best = None
    if is_scheduled(T.method.rule) and local.is_numeric:
        per_period = _leading(step_jacobian(T, z))  # refuses an aperiodic schedule with the reason
        rho = abs(per_period) ** (1 / (period(T.method.rule) or 1))
        return replace(empty, rho=rho, verdict=_verdict(rho, None, None))
    matrix = step_jacobian(T, z) if local.exact else T.test_jacobian(z)
    if local.is_numeric:
        multiplier = _leading(matrix)
        rho = abs(multiplier)
    if lr is not None:
        region = stable_steps(T, z)
        best = _rounded(T, z, best_step(T, z, region=region), region) if local.is_numeric else None
        if local.exact and local.is_numeric and region.kind == "exact":  # else the polynomial was out of reach in time
            p, h, _ = step_polynomial(T, z)
            formula = radius_near(p, h, lr)
    verdict = _verdict(rho, region, lr)
    return replace(empty, formula=formula, rho=rho, multiplier=multiplier, stable=region, best=best, verdict=verdict)


def _rounded(T: StepMap, z: list[Any], best: BestStep | None, region: StableSteps) -> BestStep | None:
    """The best step as the small fraction that it is, if that is no worse."""
    if best is None or best.exact or region.kind != "exact":
        return best
    step = sp.Rational(*Fraction(float(best.step)).limit_denominator(100).as_integer_ratio())
    if step <= 0 or abs(float(step) - float(best.step)) > 1e-6:
        return best
    p, h, _ = step_polynomial(T, z)
    at_step = sp.Poly(p.as_expr().subs(h, step), ZETA)
    if any(f.degree() > 2 for f, _ in at_step.factor_list()[1]):
        return best
    rate = dominant_modulus(at_step)
    return best if rate is None or float(rate) > float(best.rate) + 1e-9 else BestStep(step, sp.radsimp(rate))


def _own_step(T: StepMap) -> Any:
    """The method's `lr`, None where it has none."""
    rule: Any = T.method.rule
    while rule is not None:
        if hasattr(rule, "lr"):
            return rule.lr
        rule = getattr(rule, "rule", None)
    return None


def _leading(matrix: Any) -> complex:
    """The eigenvalue of largest modulus; of several, one that turns, in the upper half plane."""
    if isinstance(matrix, sp.MatrixBase):
        p = sp.Poly(matrix.charpoly(ZETA).as_expr(), ZETA, extension=True)
        values = np.array([complex(r) for r in numeric_roots(p)])
    else:
        values = np.linalg.eigvals(matrix)
    radius = np.max(np.abs(values))
    top = values[np.abs(values) >= radius * (1 - 1e-12)]
    leading = complex(max(top, key=lambda v: (round(abs(np.angle(v)), 9), v.imag)))
    return leading * (radius / abs(leading)) if leading else leading


def _verdict(rho: float | None, region: StableSteps | None, lr: Any) -> str:
    if rho is None:
        return ""
    if abs(rho - 1) > NEUTRAL:
        return "converges" if rho < 1 else "diverges"
    if region is not None and region.kind == "exact" and lr.is_Rational:
        return "converges" if region.contains(lr) else "neutral" if lr in region.neutral else "diverges"
    return "undecided"
