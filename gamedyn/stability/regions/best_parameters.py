"""The coefficients with the fastest asymptotic rate: found in floats, named exactly, and bounded from below by proof.

    minimise  ρ(DT(η, β, …))

Where ρ is least, eigenvalues usually meet: the optimum solves a few polynomial equations out of

    disc f = 0,  f(0) = 0,  res(f(ζ), g(±ζ)) = 0,  |ζ|² of a pair equal to another's or stationary            (1)

for the irreducible factors f, g of the characteristic polynomial. Those of (1) that hold at the numeric optimum are
solved exactly. That no parameters do better than a rate r is a question about a region: {ρ < r} = {ρ(DT/r) < 1}.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.maps.stepmap import StepMap
from gamedyn.stability.regions.least_radius import POINTS, least_radius
from gamedyn.stability.regions.modulus import dominant_modulus
from gamedyn.stability.regions.parameter_floats import Values, matrix_radii
from gamedyn.stability.regions.parameters import Problem, Ranges, has_coefficient, pose
from gamedyn.stability.regions.stable_region import MAX_DIMENSION, solve_region
from gamedyn.stability.regions.step_jacobian import ZETA
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["BestParameters", "best_parameters"]

MATCH = 1e-5  # how close a candidate is to the numeric optimum, relative to its size
SLACK = (
    1e-7  # by how much the rate of an exact candidate may exceed the numeric one: double eigenvalues are known to 1e-8
)
GAP = sp.Rational(1, 10**6)  # of the proven bound below a rate that is not rational


@dataclass(frozen=True, eq=False)
class BestParameters:
    """The parameters with the smallest spectral radius, and that radius.

    Attributes
    ----------
    values : dict of Symbol to Expr or float
    rate : Expr or float
    bound : Rational or None
        No parameters in the ranges have a rate below it, by proof; equal to `rate` where that is rational, a part in a
        million below it otherwise; None where nothing was proved in time.
    reason : str
        Why the values are floats, or nothing is proved.
    errors : tuple of float
        Of floats: by how much repeated searches disagree about each value, and about the rate; digits beyond are not
        shown.
    """

    values: dict[sp.Symbol, Any]
    rate: Any
    bound: sp.Rational | None = None
    reason: str = ""
    errors: tuple[float, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether values and rate are closed forms."""
        return all(isinstance(v, sp.Expr) for v in (*self.values.values(), self.rate))

    @property
    def is_proven(self) -> bool:
        """Whether the rate is known to be the best, up to a part in a million."""
        return self.bound is not None

    def __repr__(self) -> str:
        errors = self.errors or (0.0,) * (len(self.values) + 1)
        shown = ", ".join(f"{s} = {_shown(v, e)}" for (s, v), e in zip(self.values.items(), errors[:-1], strict=True))
        proof = (
            f"no rate below {self.bound if self.bound == self.rate else format(float(self.bound), '.7g')} exists"
            if self.bound is not None
            else ""
        )
        lines = [
            f"BestParameters ({'exact' if self.exact else 'numeric'}): {shown}; rate {_shown(self.rate, errors[-1])}"
        ]
        return "\n".join([*lines, *(f"  ({text})" for text in (proof, self.reason) if text)])


def _shown(x: Any, error: float) -> str:
    if not isinstance(x, sp.Expr):
        settled = int(np.log10(abs(x) / error)) if error > 0 and abs(x) > error else 8 if error == 0 else 1
        return f"{float(x):.{min(max(settled, 1), 8)}g}"
    return (
        str(x) if x.is_Integer else f"{x} [{float(x):.6g}]" if not x.has(sp.CRootOf) else f"{float(x):.8g} [algebraic]"
    )


def best_parameters(
    T: StepMap, z: Any, parameters: Ranges | None = None, *, time_limit: float = 5.0
) -> BestParameters | None:
    """The values of several coefficients with the fastest asymptotic rate.

    Parameters
    ----------
    T : StepMap
    z : `(d,)`
        An equilibrium.
    parameters : str, sequence of str, or mapping of str to (low, high), optional
        At most three; names and ranges as in `stable_region`. Those of "lr" and "momentum" that the method has, if left
        out.
    time_limit : float
        Seconds for the search in floats, for the closed form, and again for the proof.

    Returns
    -------
    BestParameters or None
        None says either of two things: no parameters on the grid are stable, or ρ keeps falling towards an end of a
        range, so that no parameters attain the least rate. `stable_region` tells which: it is empty in the first case.

    Raises
    ------
    TypeError
        If T is no step map.
    ValueError
        For more than three parameters, or if other symbols have no values.

    Notes
    -----
    The search is a grid of the ranges, refined around its best points; a valley narrower than the grid can be missed
    where `bound` is None.

    References
    ----------
    .. [1] B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964).

    Examples
    --------
    Polyak's momentum on a potential with curvatures 1 and 4:

    >>> import gamedyn as gd
    >>> g = gd.Game(["x**2/2", "2*y**2"], players=["x", "y"])
    >>> best_parameters(gd.StepMap(gd.HeavyBall(1, 0), g), [0, 0])
    BestParameters (exact): eta = 4/9 [0.444444], momentum = 1/9 [0.111111]; rate 1/3 [0.333333]
      (no rate below 1/3 exists)
    """
    if not isinstance(T, StepMap):
        raise TypeError(f"best_parameters needs a step map, got {type(T).__name__}; write StepMap(rule, game)")
    problem = pose(T, z, _usual(T) if parameters is None else parameters)
    if len(problem.parameters) > len(POINTS):
        raise ValueError(f"at most {len(POINTS)} parameters at once, got {len(problem.parameters)}; bind the others")
    found = least_radius(_evaluator(problem, time_limit), problem.parameters, time_limit)
    if found is None:
        return None
    point, rate = found.point, found.rate
    symbols = [p.symbol for p in problem.parameters]
    numeric = BestParameters(
        dict(zip(symbols, map(float, point), strict=True)), rate, None, problem.reason, found.errors
    )
    if not problem.exact or problem.dim > MAX_DIMENSION:
        return replace(numeric, reason=problem.reason or f"dimension {problem.dim} > {MAX_DIMENSION}")
    try:
        with limited_time(time_limit):
            best = _named(problem, point, rate) or replace(numeric, reason="no closed form was found")
    except OutOfTime:
        best = replace(numeric, reason=f"no closed form within {time_limit:g} s")
    return replace(best, bound=_proven_bound(problem, best.rate, time_limit))


def _usual(T: StepMap) -> list[str]:
    names = [n for n in ("lr", "momentum") if has_coefficient(T, n)]
    if not names:
        raise ValueError(f"{T.method!r} has no lr and no momentum; name parameters=[...]")
    return names


def _evaluator(problem: Problem, time_limit: float) -> Values:
    """ρ in floats: of one matrix of formulas where it is small, which is much faster than a trace of the step."""
    if not problem.batched or problem.dim > MAX_DIMENSION:
        return problem.evaluate
    try:
        with limited_time(time_limit):
            matrix = problem.matrix
    except OutOfTime:
        return problem.evaluate
    return matrix_radii(matrix, [p.symbol for p in problem.parameters])


# --- exactly ----------------------------------------------------------------------------------------------------------


def _named(problem: Problem, point: np.ndarray, rate: float) -> BestParameters | None:
    """The best exact candidate next to the numeric optimum."""
    symbols = [p.symbol for p in problem.parameters]
    numerator = sp.fraction(sp.together(problem.characteristic))[0]
    _, factored = sp.Poly(numerator, ZETA, *symbols, extension=True).factor_list()
    factors = [sp.Poly(f.as_expr(), ZETA) for f, _ in factored if f.degree(ZETA) > 0 and f.as_expr() != ZETA]
    active = _active(_equations(factors, symbols), symbols, point)
    for values in _candidates(active, symbols, point):
        if not all(p.bounds[0] < values[p.symbol] < p.bounds[1] for p in problem.parameters):
            continue
        radius = dominant_modulus(sp.Poly(sp.expand(problem.characteristic.subs(values)), ZETA, extension=True))
        if radius is not None and float(radius) <= rate + SLACK:
            return BestParameters(values, sp.radsimp(sp.sqrtdenest(radius)))
    return None


def _equations(factors: Sequence[sp.Poly], symbols: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """The left sides of (1)."""
    found: list[sp.Expr] = []
    for f in factors:
        a = f.all_coeffs()
        found.append(a[-1])
        if f.degree() >= 2:
            found += _with_slopes(f.discriminant(), symbols)
        if f.degree() == 2:
            found.append(a[1])
            found += [sp.numer(sp.together(sp.diff(a[2] / a[0], s))) for s in symbols]
    for f, g in combinations(factors, 2):
        a, b = f.all_coeffs(), g.all_coeffs()
        found += [sp.resultant(f.as_expr(), g.as_expr().subs(ZETA, s * ZETA), ZETA) for s in (1, -1)]
        if f.degree() == g.degree() == 2:
            found.append(a[2] * b[0] - b[2] * a[0])
        elif {f.degree(), g.degree()} == {1, 2}:
            pair, single = (a, b) if f.degree() == 2 else (b, a)
            found.append(pair[2] * single[0] ** 2 - single[1] ** 2 * pair[0])
    return found


def _with_slopes(e: sp.Expr, symbols: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """A discriminant, and the derivatives of its factors: two pairs of roots meet where a factor touches zero."""
    if len(symbols) == 1:
        return [e]
    factors = [f for f, _ in sp.factor_list(sp.numer(sp.together(e)))[1]]
    return [e, *(sp.diff(f, s) for f in factors for s in symbols)]


def _active(equations: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], point: np.ndarray) -> list[sp.Expr]:
    """The irreducible factors that vanish near the point, to first order, the shortest first."""
    at = dict(zip(symbols, map(sp.Float, point), strict=True))
    kept: dict[sp.Expr, None] = {}
    for e in equations:
        for f, _ in sp.factor_list(sp.numer(sp.together(e)))[1]:
            inside = [s for s in symbols if s in f.free_symbols]
            if not inside:
                continue
            value = abs(float(f.subs(at)))
            slope = max(abs(float(sp.diff(f, s).subs(at))) * max(1.0, abs(float(at[s]))) for s in inside)
            if value <= 1e-3 * slope or value < 1e-8:
                kept[f] = None
    return sorted(kept, key=sp.count_ops)


def _candidates(
    equations: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], point: np.ndarray
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Solutions, close to the point, of as many equations as there are parameters."""
    for chosen in combinations(equations[:8], len(symbols)):
        if set().union(*(e.free_symbols for e in chosen)) >= set(symbols):
            yield from _solutions(list(chosen), list(symbols), point)


def _solutions(
    equations: list[sp.Expr], symbols: list[sp.Symbol], point: np.ndarray
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    if len(symbols) == 1:
        yield from ({symbols[0]: r} for r in _near_roots(equations[0], symbols[0], float(point[0])))
        return
    try:
        basis = sp.groebner(equations, *symbols, order="lex").exprs
    except (sp.PolynomialError, sp.CoercionFailed):
        return
    last = [g for g in basis if g.free_symbols == {symbols[-1]}]
    if not last:
        return
    for root in _near_roots(last[0], symbols[-1], float(point[-1])):
        left = [sp.expand(e.subs(symbols[-1], root)) for e in equations]
        left = [e for e in left if e.free_symbols]
        for partial in _solutions(left[: len(symbols) - 1], symbols[:-1], point[:-1]) if left else ():
            yield {**partial, symbols[-1]: root}


def _near_roots(e: sp.Expr, s: sp.Symbol, near: float) -> list[sp.Expr]:
    """Roots in radicals of the factors of degree at most 2, and biquadratic ones, close to a number."""
    try:
        factors = sp.Poly(e, s, extension=True).factor_list()[1]
    except (sp.PolynomialError, sp.CoercionFailed, NotImplementedError):
        return []
    roots: list[sp.Expr] = []
    for f, _ in factors:
        if f.degree() <= 2 or (f.degree() == 4 and not any(n % 2 for (n,) in f.monoms())):
            roots += [sp.sqrtdenest(sp.radsimp(r)) for r in sp.roots(f)]
    close = [r for r in roots if r.is_real and abs(float(r) - near) <= MATCH * max(1.0, abs(near))]
    return sorted(close, key=sp.count_ops)


# --- by proof ---------------------------------------------------------------------------------------------------------


def _proven_bound(problem: Problem, rate: Any, time_limit: float) -> sp.Rational | None:
    """A rational r, at or just below the rate, with {ρ < r} empty."""
    if rate == 0:
        return sp.S.Zero
    exact = isinstance(rate, sp.Rational)
    r = rate if exact else sp.Rational(int(float(rate) * 10**6 * (1 - float(GAP))), 10**6)
    if r <= 0:
        return None
    smaller = replace(problem, build=lambda: problem.matrix / r)
    try:
        region = solve_region(smaller, time_limit)
    except (TimeoutError, ValueError):
        return None
    return r if region.is_empty else None
