"""The spectral radius as a short function of the step, on the branch that a given step lies on."""

from __future__ import annotations

import sympy as sp

from gamedyn.stability.regions.modulus import numeric_roots
from gamedyn.stability.regions.steps import ZETA

_HIGHEST = 4  # degree, in ζ and in the step, of a factor whose |ζ|² is sought among products of two roots


def radius_near(p: sp.Poly, h: sp.Symbol, at: sp.Expr) -> sp.Expr | None:
    """ρ(h) = max |ζ|, p(ζ; h) = 0, near h = `at`, as radicals.

    Parameters
    ----------
    p : sympy.Poly
        Characteristic polynomial of a step in ζ, rational in h, no other symbols.
    h : Symbol
        The step, positive.
    at : Expr
        A value of the step; the dominant eigenvalue there decides which branch is shown.

    Returns
    -------
    Expr or None
        None where the dominant factor has degree > 4 in ζ, or |ζ|² is of degree > 2 over Q(h).

    Examples
    --------
    >>> h = sp.Symbol("h", positive=True)
    >>> radius_near(sp.Poly(ZETA**2 - (2 - h**2) * ZETA + 1, ZETA), h, sp.Rational(1, 10))
    1
    """
    numerator = sp.fraction(sp.together(p.as_expr()))[0]
    if numerator.free_symbols - {ZETA, h} or numerator.has(sp.Float, sp.CRootOf):
        return None
    whole = sp.Poly(numerator, ZETA, h, extension=True)
    if whole.domain not in (sp.ZZ, sp.QQ):  # factoring over Q(√2) may take minutes
        return None
    _, factors = whole.factor_list()
    candidates = [sp.Poly(f.as_expr(), ZETA) for f, _ in factors if f.has(ZETA)]
    sized = [(_size(f, h, at), f) for f in candidates if f.degree() > 0]
    if not sized:
        return sp.S.Zero
    size, f = max(sized, key=lambda pair: pair[0])
    found = _branch(f, h, at, size)
    if found is None or not all(_agrees(found, f, h, at * (1 + sp.Rational(k, 1000))) for k in (-1, 0, 1)):
        return None
    return found


def _size(f: sp.Poly, h: sp.Symbol, at: sp.Expr) -> float:
    at_step = sp.Poly(f.as_expr().subs(h, at), ZETA, extension=True)
    return max((abs(complex(r)) for r in numeric_roots(at_step)), default=0.0)


def _agrees(radius: sp.Expr, f: sp.Poly, h: sp.Symbol, at: sp.Expr) -> bool:
    value = complex(sp.N(radius.subs(h, at), 20))
    return abs(value - _size(f, h, at)) < 1e-9 * (1 + abs(value))


def _branch(f: sp.Poly, h: sp.Symbol, at: sp.Expr, size: float) -> sp.Expr | None:
    a = f.all_coeffs()
    if f.degree() == 1:
        return _positive(sp.cancel(a[1] / a[0]), h, at)
    if f.degree() == 2:
        discriminant = sp.expand(a[1] ** 2 - 4 * a[0] * a[2])
        if sp.N(discriminant.subs(h, at)) <= 0:
            return sp.sqrt(sp.expand(sp.cancel(a[2] / a[0])))
        lead, slope = _positive(a[0], h, at), _positive(a[1], h, at)
        return sp.simplify((slope + sp.sqrt(sp.factor(discriminant))) / (2 * lead))
    if f.degree() > _HIGHEST or sp.degree(f.as_expr(), h) > _HIGHEST:
        return None
    return _from_products(f, h, at, size)


def _positive(e: sp.Expr, h: sp.Symbol, at: sp.Expr) -> sp.Expr:
    """±e, whichever is positive at the step, numerator and denominator both positive."""
    parts = (sp.expand(-q) if sp.N(q.subs(h, at)) < 0 else sp.expand(q) for q in sp.fraction(sp.cancel(e)))
    return next(parts) / next(parts)


def _from_products(f: sp.Poly, h: sp.Symbol, at: sp.Expr, size: float) -> sp.Expr | None:
    """√r, where r = ζζ̄ is a root of degree <= 2 of the polynomial of all products of two roots of f."""
    r = sp.Dummy("r")
    partner = sp.expand(ZETA ** f.degree() * f.as_expr().subs(ZETA, r / ZETA))
    products = sp.resultant(f.as_expr(), partner, ZETA)
    for factor, _ in sp.factor_list(products, r, h)[1]:
        g = sp.Poly(factor, r)
        if g.degree() not in (1, 2):
            continue
        for root in _roots(g):
            value = complex(sp.N(root.subs(h, at), 20))
            if abs(value - size**2) < 1e-9 * (1 + size**2):
                return sp.sqrt(sp.expand(root))
    return None


def _roots(g: sp.Poly) -> list[sp.Expr]:
    """The roots of a polynomial of degree 1 or 2, the discriminant kept under one root sign."""
    a = g.all_coeffs()
    if g.degree() == 1:
        return [sp.cancel(-a[1] / a[0])]
    middle, under = sp.cancel(-a[1] / (2 * a[0])), sp.cancel((a[1] ** 2 - 4 * a[0] * a[2]) / (4 * a[0] ** 2))
    return [middle + sign * sp.sqrt(sp.expand(under)) for sign in (1, -1)]
