"""The spectral radius as an expression, where a closed form is at hand."""

from __future__ import annotations

import mpmath
import numpy as np
import sympy as sp
from sympy.polys.domains import QQ

__all__ = ["dominant_modulus", "numeric_roots"]

_DIGITS = 40
_HIGHEST = 4  # degree of a factor up to which a complex pair's |ζ|² is sought among the products of two roots


def numeric_roots(p: sp.Poly, digits: int = 20) -> list[sp.Expr]:
    """The distinct roots of a polynomial with numbers as coefficients, as decimals.

    A repeated root is known to a part of the digits only, and may keep the iteration from converging: the roots are
    those of the square-free factors.  Where the iteration fails even so, they are the eigenvalues of the companion
    matrix, in double precision.

    Examples
    --------
    >>> import sympy as sp
    >>> z = sp.Symbol("z")
    >>> [round(float(r), 12) for r in numeric_roots(sp.Poly((z - 2) ** 4, z))]
    [2.0]
    """
    found: list[sp.Expr] = []
    for f, _ in p.sqf_list()[1]:
        try:
            found += f.nroots(n=digits, maxsteps=200)
        except mpmath.libmp.NoConvergence:
            found += [sp.sympify(complex(r)) for r in np.roots([complex(c) for c in f.all_coeffs()])]
    return found


def _factor_modulus(f: sp.Poly) -> sp.Expr | None:
    """Largest modulus of the roots of one irreducible factor with real coefficients."""
    a = f.all_coeffs()
    if f.degree() == 1:
        return sp.Abs(sp.factor(a[1] / a[0]))
    if f.degree() == 2:
        disc = sp.factor(a[1] ** 2 - 4 * a[2] * a[0])
        complex_pair = sp.sqrt(sp.expand(sp.cancel(a[2] / a[0])))
        real_pair = (sp.Abs(a[1]) + sp.sqrt(disc)) / (2 * sp.Abs(a[0]))
        if disc.is_nonpositive:
            return complex_pair
        return real_pair if disc.is_nonnegative else sp.Piecewise((complex_pair, disc < 0), (real_pair, True))
    if f.free_symbols_in_domain or f.domain not in (sp.ZZ, QQ):
        return None
    return _root_modulus(f)


def _root_modulus(f: sp.Poly) -> sp.Expr | None:
    """Largest modulus of the roots of an irreducible factor over Q; None for a complex pair beyond degree 4."""
    # Decimals decide, and only real roots are isolated: to evaluate one complex CRootOf may take ten seconds.
    roots = numeric_roots(f, _DIGITS)
    top = max(map(sp.Abs, roots))
    if any(r.is_real and _reaches(sp.Abs(r), top) for r in roots):
        return _largest([sp.Abs(r) for r in f.real_roots()])
    return _pair_modulus(f, top) if f.degree() <= _HIGHEST else None


def _pair_modulus(f: sp.Poly, size: sp.Expr) -> sp.Expr | None:
    """√r, where r = ζζ̄ = size² is a real root of the polynomial of all products of two roots of f."""
    zeta, r = f.gens[0], sp.Dummy("r")
    partner = sp.expand(zeta ** f.degree() * f.as_expr().subs(zeta, r / zeta))
    products = sp.Poly(sp.resultant(f.as_expr(), partner, zeta), r)
    for factor, _ in products.factor_list()[1]:
        for root in factor.real_roots():
            if abs(sp.N(root, _DIGITS) / size**2 - 1) < sp.Float("1e-30", _DIGITS):
                return sp.sqrt(root)
    return None


def _largest(moduli: list[sp.Expr]) -> sp.Expr:
    """The largest of some numbers; of equal ones the shortest expression."""
    if len(moduli) == 1:
        return moduli[0]
    sizes = [sp.N(m, _DIGITS) for m in moduli]
    return min((m for m, size in zip(moduli, sizes, strict=True) if _reaches(size, max(sizes))), key=sp.count_ops)


def _reaches(size: sp.Expr, top: sp.Expr) -> bool:
    return bool(size >= top * (1 - sp.Float("1e-30", _DIGITS)))


def dominant_modulus(p: sp.Poly) -> sp.Expr | None:
    """The exact spectral radius max |zeta|, where a closed form is at hand.

    Parameters
    ----------
    p : sympy.Poly
        Real polynomial in zeta; symbols are taken with their assumptions.

    Returns
    -------
    sympy.Expr or None
        Radicals for factors of degree at most 2, ``CRootOf`` beyond if the coefficients are rational; ``Max`` of the
        factors' moduli if they contain symbols; None if a factor of degree 3 or more contains symbols, or if a
        complex pair is the largest of a factor of degree 5 or more.

    Examples
    --------
    >>> import sympy as sp
    >>> z, h = sp.symbols("zeta h", positive=True)
    >>> dominant_modulus(sp.Poly((z - 1) ** 2 + h**2, z))
    sqrt(h**2 + 1)
    """
    zeta = p.gens[0]
    numerator = sp.fraction(sp.together(p.as_expr()))[0]
    gens = (zeta, *sorted(numerator.free_symbols - {zeta}, key=str))
    _, factored = sp.Poly(numerator, *gens, extension=True).factor_list()
    moduli = []
    for f in (sp.Poly(f.as_expr(), zeta, extension=True) for f, _ in factored):
        if f.degree() > 0:
            modulus = _factor_modulus(f)
            if modulus is None:
                return None
            moduli.append(modulus)
    if not moduli:
        return sp.Integer(0)
    return sp.Max(*moduli) if any(m.free_symbols for m in moduli) else _largest(moduli)
