"""What a region of parameters is about: the matrix whose spectrum decides, and the ranges of its parameters.

    step   z+ = T(z; η, β, …)     stable iff every eigenvalue ζ of DT has |ζ| < 1
    flow   ż = -v(z; a, τ, …)     stable iff every eigenvalue λ of J = Dv has Re λ > 0

Both are one question, since ζ = (1 - λ)/(1 + λ) maps Re λ > 0 onto |ζ| < 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import sympy as sp

from gamedyn.games.chart import simplex_chart
from gamedyn.games.coefficients import free_symbols
from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.games.functions import exact_number
from gamedyn.games.transformed import require_game, unwrap
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Simultaneous
from gamedyn.rules.method import Method
from gamedyn.rules.rule import is_scheduled
from gamedyn.rules.transforms import two_timescale
from gamedyn.stability.jacobian import jacobian
from gamedyn.stability.points import as_point
from gamedyn.stability.regions.number_fields import POSITIVE, Bounds
from gamedyn.stability.regions.parameter_floats import float_jacobian, flow_abscissae, plain_radii, step_radii
from gamedyn.stability.regions.step_jacobian import (
    ZETA,
    free_names,
    refuse_preconditioner,
    require_equilibrium,
    scan_window,
    step_symbol,
    step_unit,
)

__all__ = ["Parameter", "Problem", "cayley", "has_coefficient", "pose", "scaled"]

SIGNED = {"momentum": (sp.S.NegativeOne, sp.S.One)}  # coefficients of methods that may be negative
Ranges = str | Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a region.

    Attributes
    ----------
    name : str
        As it was asked for: "lr", "tau", the name of a parameter of the game.
    symbol : Symbol
        What stands for it in answers.
    bounds : (Expr, Expr)
        Its range, an open interval with rational or infinite ends.
    unit : float
        What it is measured in where it is looked at in floats: 1/ρ(J) for a step size.
    """

    name: str
    symbol: sp.Symbol
    bounds: Bounds
    unit: float = 1.0

    @property
    def window(self) -> tuple[float, float]:
        """The part of its range that is looked at in floats; a positive one is taken on a geometric grid."""
        low, high = self.bounds
        if low == 0 and high == sp.oo:
            return scan_window(self.unit)
        start = float(low) if low.is_finite else min(-10.0, float(high) - 20.0 if high.is_finite else -10.0)
        stop = float(high) if high.is_finite else max(10.0, start + 20.0)
        margin = 1e-6 * (stop - start)
        return start + margin, stop - margin

    @property
    def work(self) -> sp.Dummy:
        """A symbol of its own with the assumptions of the range."""
        low, high = self.bounds
        sign = {"positive": True} if low >= 0 else {"negative": True} if high <= 0 else {"real": True}
        return sp.Dummy(self.symbol.name, **sign)


@dataclass(frozen=True, eq=False)
class Problem:
    """A matrix with parameters, and which of its eigenvalues count as stable.

    Attributes
    ----------
    kind : {"step", "flow"}
    parameters : tuple of Parameter
    build : callable
        () -> SymPy matrix `(D, D)` in the parameters' symbols and whatever else is free.
    evaluate : callable
        Arrays `(m,)`, one per parameter -> floats `(m,)`: ρ of a step, -min Re λ of a flow.
    title : str
        Of what, in error messages.
    dim : int
        D.
    exact : bool
        Whether the matrix can be formed without floats.
    reason : str
        Why not.
    batched : bool
        Whether `evaluate` takes many points at the price of few.
    """

    kind: Literal["step", "flow"]
    parameters: tuple[Parameter, ...]
    build: Callable[[], sp.MatrixBase]
    evaluate: Callable[..., np.ndarray]
    title: str
    dim: int
    exact: bool = True
    reason: str = ""
    batched: bool = True

    @cached_property
    def matrix(self) -> sp.MatrixBase:
        """DT or J."""
        return self.build()

    @cached_property
    def polynomial(self) -> sp.Expr:
        """The characteristic polynomial in ζ: of DT, or of J seen through ζ = (1 - λ)/(1 + λ)."""
        p = self.characteristic
        return p if self.kind == "step" else cayley(sp.Poly(p, ZETA)).as_expr()

    @cached_property
    def characteristic(self) -> sp.Expr:
        """The characteristic polynomial of the matrix, written in ζ."""
        try:
            return self.matrix.charpoly(ZETA).as_expr(ZETA)
        except TypeError:  # SymPy sorts the factors of blocks, and cannot where radicals meet parameters
            return (ZETA * sp.eye(self.matrix.rows) - self.matrix).det(method="berkowitz")

    def sliced(self, values: Mapping[Parameter, sp.Expr]) -> Problem:
        """The problem with some of its parameters fixed."""
        left = tuple(p for p in self.parameters if p not in values)
        table = {p.symbol: v for p, v in values.items()}

        def evaluate(*arrays: np.ndarray) -> np.ndarray:
            given = dict(zip(left, arrays, strict=True))
            full = [given[p] if p in given else np.full(len(arrays[0]), float(values[p])) for p in self.parameters]
            return self.evaluate(*full)

        return replace(self, parameters=left, build=lambda: self.matrix.subs(table), evaluate=evaluate)

    @property
    def limit(self) -> float:
        """What `evaluate` stays below where the problem is stable."""
        return 1.0 if self.kind == "step" else 0.0


def cayley(p: sp.Poly) -> sp.Poly:
    """The polynomial of the ζ = (1 - λ)/(1 + λ), λ the roots of p: |ζ| < 1 iff Re λ > 0.

    A root λ = -1, which would go to infinity, becomes ζ = 2.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> cayley(sp.Poly(x**2 + 1, x))
    Poly(2*x**2 + 2, x, domain='ZZ')
    """
    x, n = p.gen, p.degree()
    plus, minus = sp.Poly(1 + x, x), sp.Poly(1 - x, x)
    total = sum((c * minus ** (n - k) * plus**k for k, c in enumerate(p.all_coeffs())), start=sp.Poly(0, x))
    return total * sp.Poly(x - 2, x) ** (n - total.degree())


def scaled(J: Any, players: Sequence[Any], tau: Any) -> Any:
    """diag(1, …, 1, τ) J, τ on the rows of the last player; players by slices or by sizes."""
    last = players[-1].size if isinstance(players[-1], Player) else int(players[-1])
    factors = [1] * (J.shape[0] - last) + [tau] * last
    if isinstance(J, sp.MatrixBase):
        return sp.diag(*factors) * J
    return np.array(factors, dtype=float)[:, None] * J


# --- posing it --------------------------------------------------------------------------------------------------------


def pose(source: Any, z: Any, parameters: Ranges) -> Problem:
    """The problem that a step map, a game or a matrix J poses at the point z, in the given parameters.

    Raises
    ------
    TypeError
        If the source is none of the three.
    ValueError
        If a parameter does not exist, bounds are no interval, or v does not vanish at z.
    NotInThisWorld
        For schedules and preconditioners.
    """
    ranges = _ranges(parameters)
    if isinstance(source, StepMap):
        return _pose_step(source, z, ranges)
    if isinstance(source, sp.MatrixBase):
        return _pose_matrix(source, ranges)
    try:
        require_game(source, "a region")
    except TypeError:
        raise TypeError(
            f"a region is that of a step map, a game or a SymPy matrix with the parameters as symbols, got "
            f"{type(source).__name__}; a matrix of numbers has no parameters (for the factor on the last player's rows "
            f"ask stable_timescales(J, players=...))"
        ) from None
    return _pose_flow(source, z, ranges)


def _ranges(parameters: Ranges) -> dict[str, Bounds | None]:
    if isinstance(parameters, (str, sp.Symbol)):
        parameters = [str(parameters)]
    pairs = parameters.items() if isinstance(parameters, Mapping) else [(n, None) for n in parameters]
    found = {str(n): None if b is None else _bounds(str(n), b) for n, b in pairs}
    if not found:
        raise ValueError('no parameters were given; name one or several, as in parameters=["lr", "momentum"]')
    return found


def _bounds(name: str, given: Any) -> Bounds:
    try:
        low, high = given
        ends = [sp.oo * s if e is None else exact_number(e) for e, s in ((low, -1), (high, 1))]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the range of {name} is {given!r}; give (low, high), None for an end without bound"
        ) from error
    ends = [e if e.is_infinite else sp.nsimplify(e) for e in ends]
    if not all(e.is_Rational or e.is_infinite for e in ends) or not ends[0] < ends[1]:
        raise ValueError(f"the range of {name} is {given!r}; give rational ends with low < high")
    return ends[0], ends[1]


def _parameter(name: str, symbol: sp.Symbol, bounds: Bounds | None) -> Parameter:
    if bounds is None:
        low = sp.S.Zero if symbol.is_nonnegative else -sp.oo
        bounds = (low, sp.S.Zero if symbol.is_nonpositive else sp.oo)
    elif (symbol.is_nonnegative and bounds[0] < 0) or (symbol.is_nonpositive and bounds[1] > 0):
        sign = "nonnegative" if symbol.is_nonnegative else "nonpositive"
        raise ValueError(f"the symbol {name} is {sign} in the formulas, its range {bounds} is not; use a real symbol")
    return Parameter(name, symbol, bounds)


def _pose_step(T: StepMap, z: Any, ranges: Mapping[str, Bounds | None]) -> Problem:
    refuse_preconditioner(T)
    if is_scheduled(T.method.rule):
        raise NotInThisWorld(
            "stable_region", "analysis", "a schedule sets the coefficients; take the map of one step, T.at(k)"
        )
    require_equilibrium(T, z)
    known = _symbols(T.game, (*T.method.parts,), z)
    if "tau" in ranges and "tau" not in known and not has_coefficient(T, "tau"):
        T = StepMap(Method(T.method, two_timescale(sp.Integer(1))), T.game, params=T.params, oracle=T.oracle)
    free, chosen = T, []
    for name, bounds in ranges.items():
        if name in known:
            _require_open(name, T.params)
            chosen.append(_parameter(name, known[name], bounds))
            continue
        unset = free.with_parameter(name, sp.Integer(1))  # what is replaced takes no name away
        symbol = step_symbol(name, free_names(unset, () if hasattr(z, "requires_grad") else z))
        ends = bounds or SIGNED.get(name.rpartition(".")[2], POSITIVE)
        symbol = symbol if ends[0] >= 0 else sp.Symbol(symbol.name, real=True)
        free = free.with_parameter(name, symbol)
        unit = step_unit(T, z) if name.rpartition(".")[2] == "lr" else 1.0
        chosen.append(Parameter(name, symbol, ends, unit))
    formulas = "exact" in T.game.worlds
    reason = "no formulas" if not formulas else "" if _is_exact(z) else "the point has floats"
    evaluate = step_radii(free, z, chosen) if formulas else plain_radii(T, z, [p.name for p in chosen])
    build = lambda: _step_matrix(free, z)  # noqa: E731
    return Problem("step", tuple(chosen), build, evaluate, repr(T.method), T.dim, not reason, reason, formulas)


def has_coefficient(T: StepMap, name: str) -> bool:
    """Whether one coefficient of the method, and one only, goes by the name."""
    try:
        T.with_parameter(name, sp.Integer(1))
    except ValueError:
        return False
    return True


def _step_matrix(T: StepMap, z: Any) -> sp.MatrixBase:
    return T.jacobian(T.start(sp.ImmutableMatrix([exact_number(e) for e in z])))


def _pose_flow(game: Any, z: Any, ranges: Mapping[str, Bounds | None]) -> Problem:
    require_equilibrium(StepMap(Simultaneous(1), game), z)
    known = _symbols(game, (), z)
    chosen = []
    for name, bounds in ranges.items():
        if name not in known and name != "tau":
            have = [*known, "tau"]
            raise ValueError(
                f"'{game.name}' has no parameter '{name}'; a region of its flow can be asked for in {have}"
            )
        symbol = known.get(name, sp.Symbol("tau", positive=True))
        chosen.append(_parameter(name, symbol, bounds))
    tau = None if "tau" in known or "tau" not in ranges else next(p.symbol for p in chosen if p.name == "tau")
    if "exact" not in game.worlds:
        J, players = float_jacobian(game, z), game.players
        evaluate = flow_abscissae(lambda: scaled(sp.Matrix(J), players, tau), [p.symbol for p in chosen])
        return Problem("flow", tuple(chosen), lambda: J, evaluate, game.name, game.dim, False, "no formulas")
    chart = simplex_chart(game)
    seen, point = (game, z) if chart is None else (chart.game, chart.coordinates(z))

    def build() -> sp.MatrixBase:
        J = sp.Matrix(jacobian(seen, sp.ImmutableMatrix([exact_number(e) for e in point])).to_dense())
        return J if tau is None else scaled(J, game.players, tau)

    reason = "" if _is_exact(point) else "the point has floats"
    evaluate = flow_abscissae(build, [p.symbol for p in chosen])
    return Problem("flow", tuple(chosen), build, evaluate, game.name, seen.dim, not reason, reason)


def _pose_matrix(J: sp.MatrixBase, ranges: Mapping[str, Bounds | None]) -> Problem:
    if J.rows != J.cols:
        raise ValueError(f"a Jacobian is square, got a matrix of shape {J.shape}")
    known = {s.name: s for s in J.free_symbols}
    absent = [n for n in ranges if n not in known]
    if absent:
        raise ValueError(f"the matrix has no parameter {absent}; its symbols are {sorted(known)}")
    chosen = tuple(_parameter(n, known[n], b) for n, b in ranges.items())
    exact = J.applyfunc(exact_number)
    evaluate = flow_abscissae(lambda: exact, [p.symbol for p in chosen])
    return Problem("flow", chosen, lambda: exact, evaluate, "the matrix", J.rows)


def _symbols(game: Any, parts: Sequence[Any], z: Any) -> dict[str, sp.Symbol]:
    """What is free in a game, a method and a point, by name, with the assumptions of the formulas."""
    base, transforms = unwrap(game)
    found = {n: base.parameter_symbol(n) for n in base.parameters}
    found.update(free_symbols((*transforms, *parts)))
    if not hasattr(z, "requires_grad"):
        found.update({s.name: s for e in z if isinstance(e, sp.Expr) for s in e.free_symbols if s.name not in found})
    return found


def _require_open(name: str, params: Mapping[str, Any]) -> None:
    if name in params:
        raise ValueError(f"{name} has the value {params[name]} in the step map; leave it out of params to free it")


def _is_exact(z: Any) -> bool:
    return isinstance(as_point(z), sp.MatrixBase) and not any(sp.sympify(e).has(sp.Float) for e in z)
