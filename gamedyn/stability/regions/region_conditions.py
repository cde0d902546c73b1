"""Stability in several parameters: the inequalities of Liénard and Chipart, without those that the others imply.

Their factors cut the box of parameters into open cells (:mod:`cells`), on each of which one rational point decides.
Factors of one sign on all stable cells are necessary conditions; a smallest choice of them that no unstable cell meets
is sufficient, up to points at which a factor touches zero without changing its sign. Where such points are possible, or
no choice of factors suffices (unions of pieces), the products themselves are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy.logic.boolalg import Boolean
from sympy.polys.domains import QQ

from gamedyn.stability.regions.cells import integral, irreducibles, may_touch_zero, open_cells
from gamedyn.stability.regions.number_fields import Bounds
from gamedyn.stability.regions.schur_cohn import is_even_or_odd, is_self_reciprocal
from gamedyn.stability.regions.step_conditions import Known, drop_weaker, quantities_of, reduce_sign, solve_for_step
from gamedyn.stability.time_limit import Clock, OutOfTime, limited_time

__all__ = ["Conditions", "region_conditions"]

Point = tuple[sp.Rational, ...]


@dataclass(frozen=True)
class Conditions:
    """Inequalities that hold together iff every root is inside the circle.

    Attributes
    ----------
    inequalities : tuple of Boolean
        q > 0 and q != 0 for polynomials q; `(false,)` where nothing is stable.
    solved : tuple of Boolean
        The same, solved for a parameter where its degree is at most 2 and its leading sign certain.
    boundary : tuple of Expr
        Irreducible polynomials whose zeros bound the region.
    cells : tuple of (point, bool) or None
        A rational point in every open cell and whether it is stable; None if they were not worked out.
    """

    inequalities: tuple[Boolean, ...]
    solved: tuple[Boolean, ...] = ()
    boundary: tuple[sp.Expr, ...] = ()
    cells: tuple[tuple[Point, bool], ...] | None = None


NOTHING = Conditions((sp.false,), (sp.false,))


def region_conditions(
    factors: Sequence[sp.Poly], symbols: Sequence[sp.Symbol], bounds: Sequence[Bounds], clock: Clock, kind: str = "step"
) -> Conditions:
    """Where in a box of parameters every root of every factor is stable.

    Parameters
    ----------
    factors : sequence of sympy.Poly
        In one variable, irreducible over the field of the parameters.
    symbols : sequence of Symbol
        The parameters, with the assumptions of their ranges; conditions are solved for the first ones.
    bounds : sequence of (Expr, Expr)
        Their ranges, open intervals.
    clock : Clock
        Half of what it has left is given to the cells.
    kind : {"step", "flow"}
        Stable is inside the unit circle, or with a positive real part.

    Examples
    --------
    >>> h, g = sp.symbols("h g", positive=True)
    >>> z = sp.Symbol("zeta")
    >>> box = [(sp.S.Zero, sp.oo)] * 2
    >>> region_conditions([sp.Poly((z - 1 + g * h) ** 2 + h**2, z)], (h, g), box, Clock(5)).solved
    (h < 2*g/(g**2 + 1),)
    """
    known = Known(_ranges(symbols, bounds))
    pending: list[sp.Expr] = []
    apart: list[Boolean] = []
    for f in factors:
        if is_self_reciprocal(f) if kind == "step" else is_even_or_odd(f):
            return NOTHING
        quantities, zeros = quantities_of(f, known, kind)
        pending += quantities
        apart += zeros
    products: dict[sp.Expr, None] = {}
    for q in pending:
        rest, zeros = reduce_sign(q, known)
        apart += [z for z in zeros if z != sp.true]
        if rest.is_number and not rest.is_positive:
            return NOTHING
        if not rest.is_number:
            products[rest] = None
    zeros = [c for c in dict.fromkeys(apart) if not known.sign(sp.factor(c.lhs - c.rhs))]
    try:
        with limited_time(clock.left / 2) as half:
            return _by_cells(list(products), zeros, symbols, bounds, half)
    except (OutOfTime, sp.CoercionFailed, sp.PolynomialError):
        clock.check()
    atoms = [f for q in products for f, k in sp.factor_list(q)[1] if k % 2]
    return _worded(list(products), zeros, symbols, known, tuple(dict.fromkeys(atoms)))


def _ranges(symbols: Sequence[sp.Symbol], bounds: Sequence[Bounds]) -> set[sp.Expr]:
    """What is positive inside the box."""
    positive = set()
    for s, (low, high) in zip(symbols, bounds, strict=True):
        positive |= {s - low} if low.is_finite else set()
        positive |= {high - s} if high.is_finite else set()
    return positive


def _by_cells(
    products: list[sp.Expr],
    zeros: list[Boolean],
    symbols: Sequence[sp.Symbol],
    bounds: Sequence[Bounds],
    clock: Clock,
) -> Conditions:
    order = tuple(reversed(symbols))  # the parameter that is solved for moves along the lines
    atoms = irreducibles([*products, *(c.lhs - c.rhs for c in zeros)], order)
    stable: list[list[int]] = []
    unstable: list[list[int]] = []
    cells: list[tuple[Point, bool]] = []
    terms = [[(atoms.index(f), k) for f, k in _factors(q, order)] for q in products]
    leads = [_lead(q, order) for q in products]
    for point in open_cells(atoms, order, list(reversed(bounds)), clock):
        signs = [_sign(f, point) for f in atoms]
        inside = all(_product(lead, term, signs) > 0 for lead, term in zip(leads, terms, strict=True))
        (stable if inside else unstable).append(signs)
        cells.append((point[::-1], inside))
    if not stable:
        return Conditions((sp.false,), (sp.false,), (), tuple(cells))
    constant = [k for k in range(len(atoms)) if len({signs[k] for signs in stable}) == 1]
    holding = [stable[0][k] * atoms[k].as_expr() for k in constant]
    chosen = _cover(constant, stable[0], unstable, atoms)
    if chosen is not None:
        doubtful = _doubtful(atoms, {k: stable[0][k] for k in chosen}, order, list(reversed(bounds)))
        chosen = [*chosen, *doubtful] if set(doubtful) <= set(constant) else None
    if chosen is None:
        holding = []
    else:
        products = [stable[0][k] * atoms[k].as_expr() for k in chosen]
        crossed = {atoms[k].as_expr() for k in range(len(atoms)) if k not in constant}
        zeros = [c for c in zeros if any(f.as_expr() in crossed for f in irreducibles([c.lhs - c.rhs], order))]
    boundary = tuple(dict.fromkeys(f.as_expr() for q in products for f in irreducibles([q], order)))
    definite = {q for q in holding if q.is_nonnegative}  # not zero: this holds wherever the conditions do
    known = Known(_ranges(symbols, bounds) | definite)
    found = _worded(products, zeros, symbols, known, boundary)
    return Conditions(found.inequalities, found.solved, boundary, tuple(cells))


def _doubtful(
    atoms: list[sp.Poly], chosen: dict[int, int], symbols: Sequence[sp.Symbol], bounds: Sequence[Bounds]
) -> list[int]:
    """Factors left out that may vanish somewhere where the chosen inequalities hold."""
    positive = [*_ranges(symbols, bounds), *(sign * atoms[k].as_expr() for k, sign in chosen.items())]
    bounds = [_tightened(s, b, positive) for s, b in zip(symbols, bounds, strict=True)]
    left = [k for k in range(len(atoms)) if k not in chosen]
    return [k for k in left if may_touch_zero(atoms[k], symbols, bounds, positive)]


def _tightened(s: sp.Symbol, bounds: Bounds, positive: Sequence[sp.Expr]) -> Bounds:
    """The range of s, cut by the inequalities that are linear in s alone."""
    low, high = bounds
    for q in positive:
        if q.free_symbols == {s} and sp.degree(q, s) == 1:
            slope, value = sp.Poly(q, s).all_coeffs()
            low, high = (sp.Max(low, -value / slope), high) if slope > 0 else (low, sp.Min(high, -value / slope))
    return low, high


def _factors(q: sp.Expr, symbols: Sequence[sp.Symbol]) -> list[tuple[sp.Poly, int]]:
    return [(integral(f), k) for f, k in sp.Poly(q, *symbols, domain=QQ).factor_list()[1]]


def _lead(q: sp.Expr, symbols: Sequence[sp.Symbol]) -> int:
    """The sign of q over that of the product of its factors, whose leading coefficients are positive."""
    return 1 if sp.Poly(q, *symbols, domain=QQ).LC() > 0 else -1


def _sign(f: sp.Poly, point: Point) -> int:
    return 1 if f(*point) > 0 else -1


def _product(lead: int, term: list[tuple[int, int]], signs: list[int]) -> int:
    for k, power in term:
        lead *= signs[k] ** power
    return lead


def _cover(constant: list[int], signs: list[int], unstable: list[list[int]], atoms: list[sp.Poly]) -> list[int] | None:
    """Factors that together are violated on every unstable cell, dispensable ones left out, complicated ones first."""
    violated = {k: {i for i, s in enumerate(unstable) if s[k] != signs[k]} for k in constant}
    everything = set(range(len(unstable)))
    if set().union(*violated.values()) != everything:
        return None
    chosen = list(constant)
    for k in sorted(constant, key=lambda k: (-atoms[k].total_degree(), -len(atoms[k].terms()))):
        rest = [j for j in chosen if j != k]
        if set().union(*(violated[j] for j in rest)) == everything:
            chosen = rest
    return chosen


# --- words ------------------------------------------------------------------------------------------------------------


def _worded(
    products: list[sp.Expr],
    zeros: list[Boolean],
    symbols: Sequence[sp.Symbol],
    known: Known,
    boundary: tuple[sp.Expr, ...],
) -> Conditions:
    exact = (*(sp.Gt(sp.factor(q), 0) for q in products), *zeros)
    free = [q for q in products if symbols[0] not in q.free_symbols]
    further = Known(
        known.positive | set(free) | {sp.factor(q) for q in free}
    )  # these are stated, and solved without it
    solved = [_solved(q, symbols, further) for q in products if q not in free]
    words = [c for c in (*solved, *(_solved(q, symbols, known) for q in free), *zeros) if c != sp.true]
    return Conditions(exact, tuple(drop_weaker(list(dict.fromkeys(words)), symbols[0])), boundary)


def _solved(q: sp.Expr, symbols: Sequence[sp.Symbol], known: Known) -> Boolean:
    """q > 0 as a bound on one of the parameters, on the first one that it can be solved for."""
    without = Known(known.positive - {sp.factor(q), sp.expand(q)})
    for s in symbols:
        if s not in q.free_symbols:
            continue
        answer = solve_for_step(q, s, without) if s.is_positive else _linear(q, s, without)
        if answer is not None and isinstance(answer, (sp.StrictLessThan, sp.StrictGreaterThan)) and answer.lhs == s:
            return answer
    return sp.Gt(sp.factor(q), 0)


def _linear(q: sp.Expr, s: sp.Symbol, known: Known) -> Boolean | None:
    """q > 0 for an s of either sign, q linear in s with a leading sign that is certain."""
    coefficients = sp.Poly(q, s).all_coeffs()
    sign = known.sign(coefficients[0]) if len(coefficients) == 2 else 0
    if not sign:
        return None
    bound = sp.factor(-coefficients[1] / coefficients[0])
    return sp.Gt(s, bound) if sign > 0 else sp.Lt(s, bound)
