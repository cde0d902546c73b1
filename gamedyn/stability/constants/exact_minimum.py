"""Minima that algebra finds, of polynomials in one variable, and the parts that a symmetric matrix splits into."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from gamedyn.stability.spectrum_signs import evaluated

__all__ = ["connected", "exact_minimum"]

_DEGREE = 12


def exact_minimum(
    e: sp.Expr, z: Sequence[sp.Symbol], ends: Sequence[tuple[sp.Expr, sp.Expr]]
) -> tuple[sp.Expr, list[float | None]] | None:
    """The smallest value of a number, or of a polynomial with rational coefficients in one of the variables z.

        min over [a, b] = the least of e(a), e(b) and e at the zeros of e' between them

    Returns
    -------
    (value, point) or None
        The value as a number, and a point where it is taken, None for the coordinates that do not matter; None for
        other expressions.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> exact_minimum(5 * x**4 - 6 * x**2 + sp.Rational(1, 2), [x, y], [(-1, 2), (0, 1)])
    (-13/10, [-0.7745966692414834, None])
    """
    e = sp.expand(e)
    inside = [s for s in z if e.has(s)]
    if not inside:
        return (e, [None] * len(z)) if e.is_real and e.is_finite else None
    if len(inside) > 1 or not e.is_polynomial(inside[0]):
        return None
    s = inside[0]
    p = sp.Poly(e, s)
    if p.degree() > _DEGREE or not all(c.is_Rational for c in p.all_coeffs()):
        return None
    low, high = (sp.Rational(x) for x in ends[list(z).index(s)])
    candidates = [low, high, *_critical(p, low, high)]
    numbers = [evaluated(p.as_expr().xreplace({s: c})) for c in candidates]
    k = min(range(len(numbers)), key=lambda i: numbers[i])
    point = [None if t is not s else float(evaluated(candidates[k])) for t in z]
    return sp.expand(p.as_expr().xreplace({s: candidates[k]})), point


def _critical(p: sp.Poly, low: sp.Rational, high: sp.Rational) -> list[sp.Expr]:
    """Zeros of p' inside the interval: radicals where they are square roots."""
    derivative = p.diff()
    if derivative.degree() < 1:
        return []
    roots: list[sp.Expr] = []
    for factor, _ in derivative.factor_list()[1]:
        short = factor.degree() <= 2 or (factor.degree() == 4 and factor.nth(1) == factor.nth(3) == 0)
        found = sp.roots(factor.as_expr(), *factor.gens, multiple=True) if short else factor.real_roots(radicals=False)
        roots += [sp.sqrtdenest(r) for r in found if r.is_real]
    return [r for r in dict.fromkeys(roots) if low < evaluated(r) < high]


def connected(S: sp.MatrixBase) -> list[list[int]]:
    """Groups of indices between which every entry of a symmetric matrix is zero.

    Examples
    --------
    >>> connected(sp.Matrix([[1, 0, 2], [0, 3, 0], [2, 0, 4]]))
    [[0, 2], [1]]
    """
    left, groups = set(range(S.rows)), []
    while left:
        group, fresh = set(), {min(left)}
        while fresh:
            group |= fresh
            fresh = {j for i in fresh for j in left - group if sp.expand(S[i, j]) != 0}
        groups.append(sorted(group))
        left -= group
    return groups
