"""For which steps does a step map settle? The set of h at which every root of p(zeta; h) is inside the circle.

    stable  = {h : |zeta| < 1 for every root of p(.; h)}
    neutral = {h : max |zeta| = 1, roots on the circle simple}

h > 0 unless other bounds are given. p is factored over Q(h) (or Q(alpha)(h)). The zeros of the factors' critical
polynomials (:mod:`schur_cohn`) cut the range of h into cells on which nothing changes: one rational sample decides a
cell, and every boundary point is decided by itself, in the number field that it generates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any, Literal

import mpmath
import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.domains.domain import Domain

from gamedyn.stability.regions.crossings import simple_crossing
from gamedyn.stability.regions.modulus import dominant_modulus
from gamedyn.stability.regions.number_fields import POSITIVE, Bounds, RealNumberField, RealRoot, evaluate, real_roots
from gamedyn.stability.regions.schur_cohn import (
    circle_part,
    critical_polynomials,
    irreducible_factors,
    is_self_reciprocal,
    is_squarefree,
)
from gamedyn.stability.regions.stable_steps import StableSteps
from gamedyn.stability.regions.step_conditions import step_conditions
from gamedyn.stability.regions.step_scan import polynomial_radius, scan_steps
from gamedyn.stability.time_limit import Clock, OutOfTime, limited_time

__all__ = [
    "StableSteps",
    "coefficient_field",
    "collect",
    "dominant_modulus",
    "polynomial_region",
    "samples",
    "sorted_roots",
]

SemisimpleCheck = Callable[[sp.Expr], bool]
Status = Literal["stable", "neutral", "unstable"]


# --- exact ------------------------------------------------------------------------------------------------------------


def _status(
    parts: list[sp.Poly | None], powers: list[int], h: sp.Expr, semisimple_check: SemisimpleCheck | None
) -> Status:
    """Combines the factors' circle parts at one h (None: a root outside)."""
    if any(g is None for g in parts):
        return "unstable"
    circles = [(g, k) for g, k in zip(parts, powers, strict=True) if g is not None and g.degree() > 0]
    if not circles:
        return "stable"
    simple = all(k == 1 for _, k in circles) and is_squarefree(
        math.prod((g for g, _ in circles[1:]), start=circles[0][0])
    )
    return "neutral" if simple or (semisimple_check is not None and semisimple_check(h)) else "unstable"


def _quick_place(f: sp.Poly, beside: sp.Poly | None, touched: bool, root: RealRoot) -> str | None:
    """ "outside", "inside" or "circle" for one factor at a boundary point; a factor not critical there is as beside."""
    if touched:
        return simple_crossing(f, root)
    return "outside" if beside is None else "circle" if beside.degree() > 0 else "inside"


def _boundary_status(
    factored: list[tuple[sp.Poly, int]],
    critical: list[list[sp.Poly]],
    beside: list[sp.Poly | None],
    root: RealRoot,
    semisimple_check: SemisimpleCheck | None,
) -> Status:
    """Status of a boundary point, `beside` being the factors' circle parts in the cell to its left."""
    factors, powers = [f for f, _ in factored], [k for _, k in factored]
    touched = [root.minimal in c for c in critical]
    places = [_quick_place(*item, root) for item in zip(factors, beside, touched, strict=True)]
    if "outside" in places:
        return "unstable"
    if None not in places and places.count("circle") <= 1:
        # One factor on the circle, its roots there simple: nothing to compare it with.
        if "circle" not in places:
            return "stable"
        simple = powers[places.index("circle")] == 1
        return "neutral" if simple or (semisimple_check is not None and semisimple_check(root.value)) else "unstable"
    field = root.field()
    parts: list[sp.Poly | None] = []
    for f in factors:
        here = field.at(f)
        parts.append(circle_part(here, field) if here.degree() == f.degree() else None)
        if parts[-1] is None:
            return "unstable"
    return _status(parts, powers, root.value, semisimple_check)


def sorted_roots(
    polynomials: Iterable[sp.Poly], bounds: Bounds, clock: Clock
) -> tuple[list[RealRoot], list[mpmath.mpf]]:
    """The real roots between the bounds in order, and as numbers accurate to a small part of the gaps between them.

    The polynomials are irreducible and distinct, so that no two share a root.
    """
    roots: list[RealRoot] = []
    for m in polynomials:
        clock.check()
        roots += real_roots(m, bounds)
    for digits in (30, 100, 400):
        with mpmath.workdps(digits):
            roots.sort(key=lambda r: r.digits(digits))
            values = [r.digits(digits) for r in roots]
            gap = mpmath.mpf(10) ** (5 - digits)
            if all(b - a > gap * max(abs(a), abs(b)) for a, b in pairwise(values)):
                return roots, values
    raise ArithmeticError("two cell boundaries agree to 400 digits; use simpler coefficients")


def _simple_rational(a: mpmath.mpf, b: mpmath.mpf) -> sp.Rational:
    """A rational with a small denominator in the middle half of (a, b)."""
    if mpmath.isinf(a) or mpmath.isinf(b):
        return sp.Rational(0 if a == -b else int(mpmath.floor(a)) + 1 if mpmath.isinf(b) else int(mpmath.ceil(b)) - 1)
    margin, middle = (b - a) / 4, (a + b) / 2
    denominator = 1
    while True:
        x = Fraction(int(mpmath.nint(middle * denominator)), denominator)
        if a + margin < mpmath.mpf(x.numerator) / x.denominator < b - margin:
            return sp.Rational(x.numerator, x.denominator)
        denominator *= 2


def samples(values: list[mpmath.mpf], bounds: Bounds) -> list[sp.Rational]:
    """One rational inside each cell that the boundary points cut out of the range."""
    with mpmath.workdps(410):
        low, high = (
            evaluate(end, 410) if end.is_finite else mpmath.mpf(str(end).replace("oo", "inf")) for end in bounds
        )
        return [_simple_rational(a, b) for a, b in pairwise([low, *values, high])]


def collect(
    cells: Sequence[Any], points: Sequence[Any], roots: Sequence[RealRoot], wanted: Any, bounds: Bounds = POSITIVE
) -> sp.Set:
    """The union of the cells and boundary points with a given status."""
    ends = [bounds[0], *(r.value for r in roots), bounds[1]]
    # Labels 2k are the cells (ends[k], ends[k + 1]), labels 2k + 1 the points ends[k + 1].
    labels = [cells[0]]
    for point, cell in zip(points, cells[1:], strict=True):
        labels += [point, cell]
    parts = []
    for label, run in groupby(range(len(labels)), key=labels.__getitem__):
        indices = list(run)
        first, last = indices[0], indices[-1]
        if label == wanted:
            parts.append(sp.Interval(ends[(first + 1) // 2], ends[last // 2 + 1], first % 2 == 0, last % 2 == 0))
    return sp.Union(*parts)


def _exact_region(
    factored: list[tuple[sp.Poly, int]],
    h: sp.Symbol,
    domain: Domain,
    bounds: Bounds,
    clock: Clock,
    semisimple_check: SemisimpleCheck | None,
) -> StableSteps:
    factors, powers = [f for f, _ in factored], [k for _, k in factored]
    critical = critical_polynomials(factors, h, domain)
    roots, values = sorted_roots(dict.fromkeys(m for c in critical for m in c), bounds, clock)
    cells: list[list[sp.Poly | None]] = []
    statuses: list[Status] = []
    for x, end in zip(samples(values, bounds), [*values, None], strict=True):
        clock.check()
        field = RealNumberField(domain, domain.from_sympy(x), x)
        cells.append([circle_part(field.at(f), field) for f in factors])
        statuses.append(_status(cells[-1], powers, x, _twice(semisimple_check, x, end, bounds)))
    points: list[Status] = []
    for root, beside in zip(roots, cells, strict=False):
        clock.check()
        points.append(_boundary_status(factored, critical, beside, root, semisimple_check))
    stable = collect(statuses, points, roots, "stable", bounds)
    reason = _why_empty(factors) if stable is sp.S.EmptySet else ""
    return StableSteps("exact", stable, collect(statuses, points, roots, "neutral", bounds), (), reason, h)


def _twice(
    check: SemisimpleCheck | None, x: sp.Rational, end: mpmath.mpf | None, bounds: Bounds
) -> SemisimpleCheck | None:
    """The check at a sample and at a less simple number of its cell: at the first the matrix may be a special one."""
    if check is None:
        return None
    high = bounds[1] if end is None else sp.Rational(mpmath.nstr(end, 30))
    other = x + (sp.Rational(377, 987) if high == sp.oo else (high - x) * sp.Rational(377, 987))
    return lambda _: check(x) and check(other)


def _why_empty(factors: list[sp.Poly]) -> str:
    for f in factors:
        if is_self_reciprocal(f):
            return f"the roots of {f.as_expr()} come in pairs zeta, 1/zeta or lie at 1 or -1, whatever the step"
    return "at every step some root has modulus at least 1"


def _timed_region(
    numerator: sp.Expr,
    zeta: sp.Symbol,
    h: sp.Symbol,
    max_degree: int,
    bounds: Bounds,
    clock: Clock,
    semisimple_check: SemisimpleCheck | None,
) -> StableSteps | str:
    """The exact set, or a sentence saying why there is none."""
    domain = coefficient_field(numerator, zeta, h)
    if isinstance(domain, str):
        return domain
    factored = irreducible_factors(sp.Poly(numerator, zeta, h), h, domain)
    largest = max((f.degree() for f, _ in factored), default=0)
    if largest > max_degree:
        return f"an irreducible factor has degree {largest} > max_degree = {max_degree}"
    return _exact_region(factored, h, domain, bounds, clock, semisimple_check)


# --- free symbols -----------------------------------------------------------------------------------------------------


def _conditional_region(numerator: sp.Expr, zeta: sp.Symbol, h: sp.Symbol, max_degree: int) -> StableSteps:
    free = numerator.free_symbols - {zeta, h}
    if numerator.has(sp.Float):
        raise ValueError("floats beside free symbols have no exact conditions: write the numbers as sympy.Rational")
    real = {s: s if s.is_real else sp.Dummy(s.name, real=True) for s in free} | {h: sp.Dummy(h.name, positive=True)}
    work = numerator.xreplace(real)
    gens = (zeta, *sorted(work.free_symbols - {zeta}, key=str))
    _, factored = sp.Poly(work, *gens, extension=True).factor_list()
    factors = [sp.Poly(f.as_expr(), zeta) for f, _ in factored if f.degree(zeta) > 0 and f.as_expr() != zeta]
    largest = max((f.degree() for f in factors), default=0)
    if largest > max_degree:
        raise ValueError(
            f"a factor of degree {largest} with the free symbols {sorted(map(str, free))} exceeds max_degree="
            f"{max_degree}: give the symbols values, or raise max_degree"
        )
    back = {new: old for old, new in real.items()}
    conditions = tuple(c.xreplace(back) for c in step_conditions(factors, real[h]))
    reason = "no step is stable, whatever the values of the symbols" if sp.false in conditions else ""
    return StableSteps("conditions", _symbolic_set(conditions, h), sp.S.EmptySet, conditions, reason, h)


def _symbolic_set(conditions: tuple[Any, ...], h: sp.Symbol) -> sp.Set:
    if sp.false in conditions:
        return sp.S.EmptySet
    if all(isinstance(c, sp.StrictLessThan) and c.lhs == h for c in conditions):
        return sp.Interval.open(0, sp.Min(*(c.rhs for c in conditions)))
    return sp.ConditionSet(h, sp.And(*conditions), sp.Interval.open(0, sp.oo))


# --- the door ---------------------------------------------------------------------------------------------------------


def _numerator(p: sp.Poly, zeta: sp.Symbol, h: sp.Symbol) -> sp.Expr:
    numerator = sp.fraction(sp.together(p.as_expr()))[0]
    if numerator == 0 or not numerator.is_polynomial(zeta, h):
        raise ValueError(f"the coefficients must be rational functions of {h} and not all zero, got {p.as_expr()}")
    if sp.expand(numerator).has(sp.I):
        raise ValueError("the coefficients must be real: multiply p by its complex conjugate first")
    return numerator


def coefficient_field(numerator: sp.Expr, zeta: sp.Symbol, h: sp.Symbol) -> Domain | str:
    """Q or Q(alpha), or a sentence saying why there is none."""
    if numerator.has(sp.Float):
        return "the coefficients contain floats"
    domain = sp.Poly(numerator, zeta, h, extension=True).domain
    if domain in (sp.ZZ, QQ):
        return QQ
    if not domain.is_AlgebraicField:
        return "the coefficients are not algebraic numbers"
    if not domain.ext.root.is_real:
        raise ValueError("the coefficients must be real: multiply p by its complex conjugate first")
    return domain


def polynomial_region(
    p: sp.Poly,
    parameter: sp.Symbol,
    *,
    time_limit: float = 5.0,
    max_degree: int = 8,
    bounds: Bounds = POSITIVE,
    search: tuple[float, float] = (1e-4, 1e2),
    semisimple_check: SemisimpleCheck | None = None,
    fallback: Callable[[], StableSteps] | None = None,
) -> StableSteps:
    """The steps h at which every root of p is strictly inside the unit circle.

        rho(h) = max {|zeta| : p(zeta; h) = 0} < 1

    Parameters
    ----------
    p : sympy.Poly
        Characteristic polynomial of the step, in zeta; coefficients rational in h, real, with algebraic numbers and
        other (real) symbols allowed. Powers of zeta and factors free of zeta do not matter.
    parameter : sympy.Symbol
        The step h.
    bounds : (Expr, Expr)
        Rational or infinite ends of the range of h, which is open; (0, oo) where free symbols remain.
    time_limit : float
        Seconds for the exact answer; then the answer is numeric. Outside the main thread it is only checked between
        sub-steps.
    max_degree : int
        Largest degree in zeta of an irreducible factor that is treated exactly.
    search : (float, float)
        Range of steps for the numeric answer; a geometric grid where it is positive.
    semisimple_check : callable, optional
        ``check(h)`` says whether the eigenvalues on the circle of the *matrix* at the step h are semisimple. It is
        asked only where p has a repeated root on the circle: the polynomial cannot tell a Jordan block from the
        identity. A cell is asked at two interior points; single points of a cell are not looked for. Without it, a
        repeated root on the circle is not neutral.
    fallback : callable, optional
        The answer where the time is up; by default a scan of the roots of p.

    Returns
    -------
    StableSteps

    Raises
    ------
    TypeError
        If p is no ``sympy.Poly``.
    ValueError
        If a coefficient is not rational in h or not real, or if free symbols remain in a factor beyond `max_degree`.
    TimeoutError
        If free symbols remain and the conditions are not found in time.

    Examples
    --------
    >>> import sympy as sp
    >>> z, h = sp.symbols("zeta h", positive=True)
    >>> polynomial_region(sp.Poly((z - (1 - h**2)) ** 2 + h**2, z), h)
    StableSteps (exact): stable for 0 < h < 1
      neutral for h = 1
    """
    if not isinstance(p, sp.Poly):
        raise TypeError(f"p must be a sympy.Poly in zeta, got {type(p).__name__}: write sympy.Poly(expression, zeta)")
    zeta = p.gens[0]
    if zeta == parameter:
        raise ValueError(f"the first generator of p must be zeta, got {zeta}, which is the step itself")
    try:
        with limited_time(time_limit) as clock:
            numerator = _numerator(p, zeta, parameter)
            found = (
                _conditional_region(numerator, zeta, parameter, max_degree)
                if numerator.free_symbols - {zeta, parameter}
                else _timed_region(numerator, zeta, parameter, max_degree, bounds, clock, semisimple_check)
            )
    except OutOfTime:
        if fallback is not None:
            return fallback()
        if p.free_symbols_in_domain - {parameter}:
            raise TimeoutError(f"no conditions after {time_limit} s: give the free symbols values") from None
        numerator, found = _numerator(p, zeta, parameter), f"the exact set takes more than {time_limit} s"
    if isinstance(found, StableSteps):
        return found
    return scan_steps(polynomial_radius(numerator, zeta, parameter), parameter, search, found)
