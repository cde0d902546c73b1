"""Roots of a real polynomial against the unit circle, decided exactly.

    f*(zeta) = zeta**n f(1/zeta)                                              (reversed polynomial)
    a_n**(n-1) prod_{i<j} (1 - z_i z_j) = det(X - Y)                          (Jury's inner determinant)

For a real f that is irreducible over Q(h), either f* = +-f, and then its roots come in pairs z, 1/z or lie at +-1, or
lc(f) f(1) f(-1) det(X - Y) is a nonzero polynomial in h. In both cases the number of roots inside, on and outside the
circle can change only at the zeros of a few polynomials in h, the *critical polynomials*. They are computed here,
together with the decision at one value of h, which is exact (:mod:`number_fields`).

References
----------
.. [1] Schur (1917), Cohn (1922): roots inside the unit circle by reducing the degree.
.. [2] Jury (1974), Inners and Stability of Dynamic Systems.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import sympy as sp
from sympy.polys.domains.domain import Domain
from sympy.polys.matrices import DomainMatrix

from gamedyn.stability.regions.number_fields import RealNumberField

__all__ = [
    "circle_part",
    "critical_polynomials",
    "irreducible_factors",
    "is_even_or_odd",
    "is_self_reciprocal",
    "is_squarefree",
    "jury_determinant",
    "trace_polynomial",
]


# --- one value of h ---------------------------------------------------------------------------------------------------


def _schur_stable(f: sp.Poly, field: RealNumberField) -> bool:
    """All roots strictly inside the circle, by a_i <- a_i - (a_0/a_n) a_(n-i) while |a_0| < |a_n|."""
    a = f.rep.to_list()
    while len(a) > 1:
        if field.sign(a[0] * a[0] - a[-1] * a[-1]) <= 0:
            return False
        k = a[-1] / a[0]
        a = [ai - k * aj for ai, aj in zip(a, reversed(a), strict=True)][:-1]
    return True


def _sign_changes(chain: list[sp.Poly], x: int, field: RealNumberField) -> int:
    signs = [s for s in (field.sign(f.rep.eval(field.domain.convert(x))) for f in chain) if s]
    return sum(s != t for s, t in pairwise(signs))


def _real_roots_in(q: sp.Poly, bound: int, field: RealNumberField) -> int:
    """Number of distinct real roots of q in (-bound, bound), q(+-bound) != 0 (Sturm)."""
    chain = [q, q.diff()]
    while not chain[-1].is_zero:
        chain.append(-chain[-2].rem(chain[-1]))
    return _sign_changes(chain[:-1], -bound, field) - _sign_changes(chain[:-1], bound, field)


def is_squarefree(f: sp.Poly) -> bool:
    """No repeated root, over any field."""
    return f.degree() < 2 or f.gcd(f.diff()).degree() <= 0


def trace_polynomial(f: sp.Poly) -> sp.Poly:
    """The q with f(zeta) = zeta**m q(zeta + 1/zeta), for a palindromic f of degree 2m.

    Roots of f on the circle are real roots of q in [-2, 2].
    """
    c = f.rep.to_list()
    m = f.degree() // 2
    domain, w = f.domain, f.gen
    one, x = sp.Poly([domain.one], w, domain=domain), sp.Poly([domain.one, domain.zero], w, domain=domain)
    previous, power = one + one, x
    q = sp.Poly([c[m]], w, domain=domain)
    for k in range(1, m + 1):
        q = q + power * sp.Poly([c[m - k]], w, domain=domain)
        previous, power = power, x * power - previous
    return q


def circle_part(f: sp.Poly, field: RealNumberField) -> sp.Poly | None:
    """The factor of f with the roots on the unit circle, or None if some root lies outside.

    Parameters
    ----------
    f : sympy.Poly
        Nonzero polynomial in zeta over `field`.
    field : RealNumberField
        The field of the coefficients, with its order.

    Returns
    -------
    sympy.Poly or None
        Monic, 1 if every root is strictly inside.
    """
    a = f.rep.to_list()
    while len(a) > 1 and not a[-1]:
        a.pop()
    f = sp.Poly(a, f.gen, domain=field.domain).monic()
    g = f.gcd(sp.Poly(a[::-1], f.gen, domain=field.domain)).monic()
    if not _schur_stable(f.quo(g), field):
        return None
    rest = g
    for x in (1, -1):
        linear = sp.Poly([field.domain.one, field.domain.convert(-x)], f.gen, domain=field.domain)
        while rest.degree() > 0 and rest.rem(linear).is_zero:
            rest = rest.quo(linear)
    if rest.degree() > 0:
        q = trace_polynomial(rest)
        q = q.quo(q.gcd(q.diff()))
        if _real_roots_in(q, 2, field) < q.degree():
            return None
    return g


# --- all values of h --------------------------------------------------------------------------------------------------


def irreducible_factors(p: sp.Poly, h: sp.Symbol, domain: Domain) -> list[tuple[sp.Poly, int]]:
    """Factors of p that contain zeta, other than zeta itself, over `domain`(h), with multiplicities.

    Parameters
    ----------
    p : sympy.Poly
        Polynomial in (zeta, h).
    h : sympy.Symbol
        The step.
    domain : Domain
        Q or a real algebraic field.

    Returns
    -------
    list of (sympy.Poly, int)
        Polynomials in zeta over `domain`[h].
    """
    zeta = p.gens[0]
    _, factors = sp.Poly(p, *p.gens, domain=domain).factor_list()
    kept = [(f, k) for f, k in factors if f.degree(zeta) > 0 and f.as_expr() != zeta]
    ring = domain[h]
    return [(sp.Poly(f.as_poly(zeta, h, domain=domain).eject(h), zeta, domain=ring), k) for f, k in kept]


def is_self_reciprocal(f: sp.Poly) -> bool:
    """f* = f or f* = -f. Together with z, 1/z is then a root: no such f is ever strictly stable."""
    a = f.rep.to_list()
    return a == a[::-1] or a == [-c for c in a[::-1]]


def is_even_or_odd(f: sp.Poly) -> bool:
    """f(-x) = f(x) or -f(x). Together with x, -x is then a root: never are all real parts positive."""
    return len({n % 2 for (n,) in f.monoms()}) == 1


def _toeplitz_minus_hankel(a: list[Any], ring: Domain) -> DomainMatrix:
    n = len(a) - 1
    rows = [[ring.zero] * (n - 1) for _ in range(n - 1)]
    for i in range(n - 1):
        for j in range(n - 1):
            upper = a[j - i] if j >= i else ring.zero
            power = i + j - (n - 2)
            rows[i][j] = upper - (a[n - power] if power >= 0 else ring.zero)
    return DomainMatrix(rows, (n - 1, n - 1), ring)


def jury_determinant(f: sp.Poly) -> Any:
    """det(X - Y) = a_n**(n-1) prod_{i<j} (1 - z_i z_j), an element of the domain of f.

    X is the upper triangular Toeplitz matrix of a_n, ..., a_2, and Y the Hankel matrix of a_0, ..., a_(n-2) below the
    antidiagonal. It vanishes iff two roots are reciprocal, in particular if a complex pair is on the circle.

    Examples
    --------
    >>> import sympy as sp
    >>> z, h = sp.symbols("zeta h")
    >>> jury_determinant(sp.Poly(3 * z**2 + z + h, z))
    -h + 3
    """
    if f.degree() < 2:
        return f.domain.one
    return _toeplitz_minus_hankel(f.rep.to_list(), f.domain).det()


def _value(f: sp.Poly, x: int) -> Any:
    return f.rep.eval(f.domain.convert(x))


def _own_critical(f: sp.Poly) -> list[Any]:
    if not is_self_reciprocal(f):
        return [f.rep.LC(), _value(f, 1), _value(f, -1), jury_determinant(f)]
    if f.degree() == 1:
        return [f.rep.LC()]
    q = trace_polynomial(f)
    collisions = [] if q.degree() < 2 else [q.rep.discriminant()]
    return [f.rep.LC(), _value(q, 2), _value(q, -2), *collisions]


def critical_polynomials(factors: list[sp.Poly], h: sp.Symbol, domain: Domain) -> list[list[sp.Poly]]:
    """Per factor, the irreducible polynomials in h at whose zeros its roots may reach or leave the circle.

    For factors that stay on the circle the zeros of their mutual resultants count as well: there, roots that are simple
    in each factor coincide.

    Parameters
    ----------
    factors : list of sympy.Poly
        From :func:`irreducible_factors`.
    h : sympy.Symbol
        The step.
    domain : Domain
        The field K of the coefficients.

    Returns
    -------
    list of list of sympy.Poly
        Monic, irreducible over K; the same polynomial is the same object up to equality.
    """
    raw = [_own_critical(f) for f in factors]
    reciprocal = [i for i, f in enumerate(factors) if is_self_reciprocal(f) and f.degree() > 1]
    for i, j in combinations(reciprocal, 2):
        common = trace_polynomial(factors[i]).rep.resultant(trace_polynomial(factors[j]).rep)
        raw[i].append(common)
    result = []
    for values in raw:
        found: dict[sp.Poly, None] = {}
        for value in values:
            poly = sp.Poly(domain[h].to_sympy(value), h, domain=domain)
            if poly.degree() > 0:
                found.update((m.monic(), None) for m, _ in poly.factor_list()[1])
        result.append(list(found))
    return result
