"""Whether a step map settles: spectral radius, stability polynomial, stable and best steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import ScalarField
from gamedyn.maps.linear_step import linear_jacobian
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.rule import is_scheduled
from gamedyn.stability.regions.modulus import dominant_modulus, numeric_roots
from gamedyn.stability.regions.regions import polynomial_region
from gamedyn.stability.regions.semisimple import semisimple_check
from gamedyn.stability.regions.stable_steps import StableSteps
from gamedyn.stability.regions.step_jacobian import (
    ZETA,
    float_radius,
    free_map,
    free_names,
    refuse_preconditioner,
    require_equilibrium,
    scan_window,
    step_jacobian,
    step_polynomial,
    step_unit,
)
from gamedyn.stability.regions.step_scan import scan_count, scan_steps
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = [
    "ZETA",
    "BestStep",
    "best_step",
    "floquet_multipliers",
    "spectral_radius",
    "stability_polynomial",
    "stable_steps",
    "step_jacobian",
    "step_polynomial",
]

MAX_DIMENSION = 8  # extended dimension up to which regions are exact
SEARCH = (1e-4, 1e2)
TIME_LIMIT = 5.0  # seconds of algebra, all parts of it together


def spectral_radius(T: StepMap, z: Any) -> Any:
    """The largest modulus of the eigenvalues of DT at a fixed point.

    Exact where the game, the method and the point are (no Python float anywhere) and the dominant modulus has
    a closed form; a float otherwise.  Of a periodic schedule it is that of a whole period of steps.

    Parameters
    ----------
    T : StepMap
    z : `(d,)`
        An equilibrium: integers or SymPy numbers for an exact answer.

    Returns
    -------
    sympy.Expr or float

    Raises
    ------
    NotInThisWorld
        For a preconditioned method, whose normalised step has no Jacobian at an equilibrium, and for
        an aperiodic schedule.
    ValueError
        If an exact answer has no closed form because of free symbols, or v does not vanish at z.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.spectral_radius(gd.StepMap(gd.Simultaneous(1), gd.games.bilinear(1)), [0, 0])
    sqrt(2)
    """
    matrix = step_jacobian(T, z)
    if not isinstance(matrix, sp.MatrixBase):
        return _largest_modulus(matrix)
    p = sp.Poly(matrix.charpoly(ZETA).as_expr(ZETA), ZETA)
    radius = dominant_modulus(p)
    if radius is not None:
        return radius
    if p.free_symbols_in_domain:
        raise ValueError(
            f"the spectral radius of {T!r} has no closed form with {sorted(map(str, p.free_symbols_in_domain))} free; "
            f"give them values, or use stable_steps"
        )
    return max(abs(complex(r)) for r in numeric_roots(p, 30))


def floquet_multipliers(T: StepMap, z: Any) -> Any:
    """The eigenvalues of one period of steps at a fixed point.

        DT_{p-1} ⋯ DT₁ DT₀,  p the period of the schedule (1 without one)

    Parameters
    ----------
    T : StepMap
    z : `(d,)`
        An equilibrium.

    Returns
    -------
    ndarray `(D,)`
        Complex, by decreasing modulus; their p-th roots are multipliers per step.

    Raises
    ------
    NotInThisWorld
        For a preconditioned method and for an aperiodic schedule.

    Examples
    --------
    >>> import gamedyn as gd
    >>> swing = gd.scheduled(gd.Simultaneous(lr=0.1), "lr", (0.1, 0.3))
    >>> gd.floquet_multipliers(gd.StepMap(swing, gd.games.bilinear(1)), [0.0, 0.0]).round(6)
    array([0.97+0.4j, 0.97-0.4j])
    """
    matrix = np.array(step_jacobian(T, z), dtype=float)
    values = np.linalg.eigvals(matrix)
    return values[np.lexsort((-values.imag, -np.abs(values).round(12)))]


def stability_polynomial(T: Any) -> sp.Poly:
    """The characteristic polynomial in ζ of the method's step on the scalar field v(z) = λz.

    An eigenvalue λ of the game Jacobian contracts iff all roots ζ lie strictly inside the unit disc.
    The game of T plays no part.

    Parameters
    ----------
    T : StepMap, or a rule or method

    Returns
    -------
    sympy.Poly
        In ζ, with coefficients in λ and in the method's coefficients.

    Raises
    ------
    NotInThisWorld
        If the step is no function of J's eigenvalues alone (alternating updates, transposes, Hessians).

    Examples
    --------
    >>> import gamedyn as gd, sympy as sp
    >>> gd.stability_polynomial(gd.Extragradient(sp.Symbol("eta")))
    Poly(zeta - eta**2*lambda**2 + eta*lambda - 1, zeta, domain='ZZ[eta,lambda]')
    """
    from gamedyn.rules.method import as_method

    method = T.method if isinstance(T, StepMap) else as_method(T)
    if method.preconditioner is not None:
        raise NotInThisWorld(
            "stability_polynomial", "test", "a preconditioner is nonlinear in the field; use .frozen(state)"
        )
    matrix = linear_jacobian(method, ScalarField(sp.Symbol("lambda")), exact=True)
    p = sp.together(matrix.charpoly(ZETA).as_expr(ZETA))
    return sp.Poly(sp.fraction(p)[0], ZETA)


def stable_steps(T: StepMap, z: Any, parameter: str = "lr") -> StableSteps:
    """For which values of one coefficient the method settles at z.

    Parameters
    ----------
    T : StepMap
        Floats in it become the rationals of their shortest decimals.
    z : `(d,)`
        An equilibrium.  Exact numbers give an exact set; floats a numeric one.
    parameter : str
        The coefficient that is set free, as a positive symbol: "lr", "momentum", "unrolled.lr", "tau".

    Returns
    -------
    StableSteps
        Exact union of intervals; factored conditions where other symbols are free; a labelled numeric
        map beyond extended dimension 8 or 5 s.  Neutral steps are reported apart.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Optimistic(lr=0.1), gd.games.bilinear(1))
    >>> gd.stable_steps(T, [0, 0]).stable
    Interval.open(0, sqrt(3)/3)
    """
    refuse_preconditioner(T)
    require_equilibrium(T, z)
    if is_scheduled(T.method.rule):
        raise NotInThisWorld(
            "stable_steps", "analysis", "a schedule sets the coefficients; take the map of one step, T.at(k)"
        )
    if "exact" not in T.game.worlds:
        return _scanned(T, z, parameter, "no formulas")
    if T.dim > MAX_DIMENSION:
        return _scanned(T, z, parameter, f"extended dimension {T.dim} > {MAX_DIMENSION}")
    late = f"the exact set takes more than {TIME_LIMIT:g} s"
    try:
        with limited_time(TIME_LIMIT) as clock:
            p, h, matrix = step_polynomial(T, z, parameter)
    except OutOfTime:
        return _scanned(T, z, parameter, late)
    check = semisimple_check(matrix, h) if not p.free_symbols_in_domain - {h} else None
    return polynomial_region(
        p, h, time_limit=clock.left, semisimple_check=check, fallback=lambda: _scanned(T, z, parameter, late)
    )


def _scanned(T: StepMap, z: Any, parameter: str, reason: str) -> StableSteps:
    """The stable steps in floats, from ρ(DT) on a grid."""
    free, h = free_map(T, parameter)
    unbound = free_names(free, z) - {h.name, *T.params}
    if unbound:
        raise TimeoutError(f"no conditions: {reason}. Give the free symbols {sorted(unbound)} values")
    search = scan_window(step_unit(T, z) if parameter.rpartition(".")[2] == "lr" else 1.0)
    samples = scan_count(search, "exact" in T.game.worlds)
    return scan_steps(float_radius(T, z, parameter), h, search, reason, samples)


# the best step ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BestStep:
    """The coefficient with the smallest spectral radius, and that radius.

    Attributes
    ----------
    step, rate : sympy.Expr or float
        Exact where a closed form was found, floats otherwise.
    """

    step: Any
    rate: Any

    @property
    def exact(self) -> bool:
        """Whether both are closed forms."""
        return isinstance(self.step, sp.Expr) and isinstance(self.rate, sp.Expr)


def best_step(T: StepMap, z: Any, parameter: str = "lr", region: StableSteps | None = None) -> BestStep | None:
    """The stable step with the fastest asymptotic rate, or None where no step is stable.

    Parameters
    ----------
    T, z, parameter
        As in `stable_steps`.
    region : StableSteps, optional
        The stable set, if already known.

    Returns
    -------
    BestStep or None
        None as well if the radius keeps falling towards the end of an unbounded set (a resolvent).

    Notes
    -----
    The minimum over the stable intervals is bracketed on a grid and refined; its closed form, if any, is
    looked for among the zeros of the discriminant in ζ (where eigenvalues meet) and of the derivative of
    the squared radius.
    """
    region = stable_steps(T, z, parameter) if region is None else region
    if region.kind == "conditions" or region.stable is sp.S.EmptySet:
        return None
    require_equilibrium(T, z)
    found = _minimise(float_radius(T, z, parameter), region.stable)
    if found is None or region.kind != "exact":
        return None if found is None else BestStep(*found)
    try:
        with limited_time(TIME_LIMIT):
            p, h, _ = step_polynomial(T, z, parameter)
            return _closed_form(p, h, *found) or BestStep(*found)
    except OutOfTime:
        return BestStep(*found)


def _largest_modulus(matrix: np.ndarray) -> float:
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))


def _closed_form(p: sp.Poly, h: sp.Symbol, step: float, rate: float) -> BestStep | None:
    """The optimum as radicals, where one of the candidates is no worse than the numeric one."""
    for candidate in _candidates(p, h, step):
        radius = dominant_modulus(sp.Poly(sp.expand(p.as_expr().subs(h, candidate)), ZETA, extension=True))
        if radius is not None and float(radius) <= rate + 1e-9:
            return BestStep(candidate, sp.radsimp(sp.sqrtdenest(radius)))
    return None


def _minimise(radius: Callable[[np.ndarray], np.ndarray], stable: sp.Set) -> tuple[float, float] | None:
    from scipy.optimize import minimize_scalar

    best: tuple[float, float] | None = None
    for piece in stable.args if isinstance(stable, sp.Union) else (stable,):
        low = max(float(piece.start), 0.0)
        unbounded = piece.end == sp.oo
        high = SEARCH[1] if unbounded else float(piece.end)
        grid = np.linspace(low, high, 401)[1:-1] if not unbounded else np.geomspace(SEARCH[0], high, 400)
        values = radius(grid)
        k = int(np.argmin(values))
        if unbounded and k == len(grid) - 1:
            return None
        bracket = (grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)])
        result = minimize_scalar(
            lambda x: float(radius(np.array([x]))[0]), bounds=bracket, method="bounded", options={"xatol": 1e-12}
        )
        pair = (float(result.x), float(result.fun)) if result.fun < values[k] else (float(grid[k]), float(values[k]))
        best = pair if best is None or pair[1] < best[1] else best
    return best


def _candidates(p: sp.Poly, h: sp.Symbol, near: float) -> list[sp.Expr]:
    """Closed forms close to the numeric optimum, the simplest first."""
    if p.free_symbols_in_domain - {h}:
        return []
    conditions: list[sp.Expr] = []
    for factor, _ in sp.factor_list(sp.fraction(sp.together(p.as_expr()))[0], ZETA)[1]:
        f = sp.Poly(factor, ZETA)
        if f.degree() >= 2:
            conditions.append(f.discriminant())
        if f.degree() == 1:  # ζ = -b/a real: the modulus is least at 0, or where two branches meet
            conditions.append(f.all_coeffs()[1])
        if f.degree() == 2:  # a complex pair: |ζ|² = c/a
            a, _, c = f.all_coeffs()
            conditions.append(sp.numer(sp.together(sp.diff(c / a, h))))
    roots: set[sp.Expr] = set()
    for condition in conditions:
        condition = sp.Poly(sp.numer(sp.together(condition)), h, extension=True)
        if 1 <= condition.degree() <= 8:
            for g, _ in condition.factor_list()[1]:
                if g.degree() <= 2:
                    roots.update(sp.roots(g))
    close = [r for r in roots if r.is_real and abs(float(r) - near) < 1e-4 * max(1.0, near)]
    return sorted(close, key=sp.count_ops)
