"""Open cells: a sample of every piece into which polynomials cut a box of parameters.

The polynomials are projected one variable after the other by leading coefficients, discriminants and pairwise
resultants. Over a cell of the projection their real roots in the last variable neither meet nor vanish, so that one
rational line carries a sample of every open cell above it (open cylindrical algebraic decomposition).

References
----------
.. [1] S. McCallum, An improved projection operation for cylindrical algebraic decomposition (1998).
.. [2] A. Strzebonski, Solving systems of strict polynomial inequalities, J. Symbolic Computation 29 (2000).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise

import sympy as sp
from sympy.polys.domains import QQ

from gamedyn.stability.regions.number_fields import Bounds, real_roots
from gamedyn.stability.time_limit import Clock

__all__ = ["integral", "irreducibles", "may_touch_zero", "open_cells"]

Point = tuple[sp.Rational, ...]


def irreducibles(expressions: Iterable[sp.Expr], symbols: Sequence[sp.Symbol]) -> list[sp.Poly]:
    """The irreducible factors over Q of some polynomials, each once, without numbers."""
    found: dict[sp.Poly, None] = {}
    for e in expressions:
        p = sp.Poly(e, *symbols, domain=QQ)
        if not p.is_zero and not p.is_ground:
            found.update((integral(f), None) for f, _ in p.factor_list()[1])
    return list(found)


def integral(f: sp.Poly) -> sp.Poly:
    """The multiple of f with coprime integer coefficients, the leading one positive."""
    primitive = f.clear_denoms()[1].primitive()[1]
    return (primitive if primitive.LC() > 0 else -primitive).set_domain(QQ)


def open_cells(
    polynomials: Sequence[sp.Poly], symbols: Sequence[sp.Symbol], bounds: Sequence[Bounds], clock: Clock
) -> Iterator[Point]:
    """One rational point in every open cell of a box on which no polynomial vanishes.

    Parameters
    ----------
    polynomials : sequence of sympy.Poly
        Over Q, in the symbols.
    symbols : sequence of Symbol
        The variables; the last one is projected first.
    bounds : sequence of (Expr, Expr)
        The range of every variable, an open interval with rational or infinite ends.
    clock : Clock
        Asked between sub-steps.

    Yields
    ------
    tuple of Rational
        In lexicographic order.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> circle = sp.Poly(x**2 + y**2 - 1, x, y, domain=QQ)
    >>> len(list(open_cells([circle], (x, y), [(-sp.oo, sp.oo)] * 2, Clock(5))))
    5
    """
    factors = irreducibles([p.as_expr() for p in polynomials], symbols)
    clock.check()
    if len(symbols) == 1:
        yield from ((x,) for x in _line_cells(factors, bounds[0]))
        return
    y, ends = symbols[-1], [sp.Poly(symbols[-1] - e, *symbols, domain=QQ) for e in bounds[-1] if e.is_finite]
    factors = list(dict.fromkeys([*factors, *ends]))
    for point in open_cells(_projection(factors, symbols, clock), symbols[:-1], bounds[:-1], clock):
        clock.check()
        at = dict(zip(symbols[:-1], point, strict=True))
        above = irreducibles([f.as_expr().xreplace(at) for f in factors], (y,))
        yield from ((*point, value) for value in _line_cells(above, bounds[-1]))


def _projection(factors: list[sp.Poly], symbols: Sequence[sp.Symbol], clock: Clock) -> list[sp.Poly]:
    y, rest = symbols[-1], symbols[:-1]
    shadows, rising = [], []
    for f in (sp.Poly(f.as_expr(), y) for f in factors):
        if f.degree() <= 0:
            shadows.append(f.as_expr())
            continue
        rising.append(f)
        shadows.append(f.LC())
        if f.degree() > 1:
            shadows.append(f.discriminant())
        clock.check()
    for f, g in combinations(rising, 2):
        shadows.append(sp.resultant(f.as_expr(), g.as_expr(), y))
        clock.check()
    return irreducibles(shadows, rest)


def _line_cells(factors: list[sp.Poly], bounds: Bounds) -> list[sp.Rational]:
    """One rational between every two neighbouring roots inside the bounds, and beside the outermost."""
    low, high = bounds
    gens = factors[0].gens if factors else (sp.Dummy("y"),)
    ends = [sp.Poly(gens[0] - e, *gens, domain=QQ) for e in bounds if e.is_finite]
    roots = _apart([f.as_expr() for f in dict.fromkeys([*factors, *ends])]) if factors or ends else []
    inside = [(a, b) for a, b in roots if a >= low and b <= high and (a, b) not in ((low, low), (high, high))]
    gaps = [(low, low), *inside, (high, high)]
    return [_between(a, b) for (_, a), (b, _) in pairwise(gaps)]


def _apart(expressions: list[sp.Expr]) -> list[tuple[sp.Rational, sp.Rational]]:
    """Intervals around the real roots of all polynomials, with gaps between them; rational roots are points."""
    width = sp.Rational(1)
    while True:
        found = sorted(
            (sp.Rational(a), sp.Rational(b)) for (a, b), _ in sp.polys.polytools.intervals(expressions, eps=width)
        )
        if all(b < c for (_, b), (c, _) in pairwise(found)):
            return found
        width /= 64


def _between(a: sp.Expr, b: sp.Expr) -> sp.Rational:
    """A rational with a small denominator between two rational or infinite numbers."""
    if a == -sp.oo:
        return sp.S.Zero if b == sp.oo else sp.ceiling(b) - 1
    if b == sp.oo:
        return sp.floor(a) + 1
    low, high = Fraction(int(a.p), int(a.q)), Fraction(int(b.p), int(b.q))
    middle, margin, denominator = (low + high) / 2, (high - low) / 4, 1
    while not low + margin < (x := Fraction(round(middle * denominator), denominator)) < high - margin:
        denominator *= 2
    return sp.Rational(x.numerator, x.denominator)


def may_touch_zero(
    f: sp.Poly, symbols: Sequence[sp.Symbol], bounds: Sequence[Bounds], positive: Sequence[sp.Expr] = ()
) -> bool:
    """Whether f may vanish without changing its sign, somewhere in a box at which other polynomials are positive.

    It can only where f and all its derivatives vanish.  There, some coordinate may be out of its range, or one of the
    positive polynomials vanish too (which is decided in the ring).  False is certain, True is not.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> box = [(-sp.oo, sp.oo)] * 2
    >>> may_touch_zero(sp.Poly(x**2 + y**2, x, y), (x, y), box), may_touch_zero(sp.Poly(x**2 - y, x, y), (x, y), box)
    (True, False)
    >>> may_touch_zero(sp.Poly(x**2 + y**2, x, y), (x, y), box, [x])
    False
    """
    ideal = [f.as_expr(), *(f.diff(s).as_expr() for s in symbols)]
    if 1 in sp.groebner(ideal, *symbols, order="grevlex", domain=QQ).exprs:
        return False
    t = sp.Dummy("t")
    for q in positive:
        if 1 in sp.groebner([*ideal, 1 - t * q], t, *symbols, order="grevlex", domain=QQ).exprs:
            return False
    for k, s in enumerate(symbols):
        basis = sp.groebner(ideal, *symbols[:k], *symbols[k + 1 :], s, order="lex", domain=QQ)
        eliminated = [g for g in basis.exprs if not g.free_symbols - {s}]
        if eliminated and not any(real_roots(m, bounds[k]) for m in irreducibles(eliminated[:1], (s,))):
            return False
    return True
