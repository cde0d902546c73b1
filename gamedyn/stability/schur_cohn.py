"""Roots of a real polynomial against the unit circle, decided exactly.

    f*(zeta) = zeta**n f(1/zeta)                                              (reversed polynomial)
    a_n**(n-1) prod_{i<j} (1 - z_i z_j) = det(X - Y)                          (Jury's inner determinant)

For a real f that is irreducible over Q(h), either f* = +-f, and then its roots come in pairs z, 1/z or lie at +-1, or
lc(f) f(1) f(-1) det(X - Y) is a nonzero polynomial in h. In both cases the number of roots inside, on and outside the
circle can change only at the zeros of a few polynomials in h, the *critical polynomials*. They are computed here,
together with the decision at one value of h, which is exact: zeros are decided in the number field Q(alpha)[h]/(m), and
numbers known to be nonzero get their sign from an evaluation with an error bound.

References
----------
.. [1] Schur (1917), Cohn (1922): roots inside the unit circle by reducing the degree.
.. [2] Jury (1974), Inners and Stability of Dynamic Systems.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import mpmath
import sympy as sp
from sympy.polys.agca.extensions import ExtensionElement, FiniteExtension
from sympy.polys.domains import QQ
from sympy.polys.domains.domain import Domain
from sympy.polys.matrices import DomainMatrix

__all__ = [
    "RealNumberField",
    "RealRoot",
    "circle_part",
    "critical_polynomials",
    "evaluate",
    "irreducible_factors",
    "is_self_reciprocal",
    "is_squarefree",
    "jury_determinant",
    "real_positive_roots",
    "trace_polynomial",
]

_DIGITS = (30, 60, 120, 240, 480, 960, 1920)


class _Extension(FiniteExtension):
    """K[h]/(m) for an irreducible m. SymPy's own quotient divides representatives, which fails in a field."""

    def convert(self, f: Any, base: Domain | None = None) -> Any:
        return f if isinstance(f, ExtensionElement) else super().convert(f, base)

    def exquo(self, f: Any, g: Any) -> Any:
        return f * g.inverse()

    def quo(self, f: Any, g: Any) -> Any:
        return f * g.inverse()

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    __hash__ = FiniteExtension.__hash__


@dataclass(frozen=True)
class RealRoot:
    """A real number h > 0: the root `value` of `minimal`, a polynomial irreducible over its domain.

    Parameters
    ----------
    minimal : sympy.Poly
        Polynomial in h over Q or a real field Q(alpha).
    value : sympy.Expr
        The root, in radicals where the degree is at most 2, otherwise as a ``CRootOf``.
    """

    minimal: sp.Poly
    value: sp.Expr

    def digits(self, n: int) -> mpmath.mpf:
        """The number to `n` significant digits."""
        return evaluate(self.value, n)

    def field(self) -> RealNumberField:
        """The smallest field over the domain of `minimal` that contains the number."""
        base = self.minimal.domain
        if self.minimal.degree() == 1:
            lead, constant = self.minimal.rep.to_list()
            return RealNumberField(base, -constant / lead, self.value)
        domain = _Extension(self.minimal)
        return RealNumberField(domain, domain.generator, self.value)


@dataclass(frozen=True)
class RealNumberField:
    """A real field K or K[h]/(m), the element that stands for h, and h as a number.

    `sign` is exact: an element is zero iff its representation is, and the sign of a nonzero one is read off an
    evaluation whose error bound excludes 0.
    """

    domain: Domain
    element: Any
    value: sp.Expr

    def sign(self, a: Any) -> int:
        """-1, 0 or 1."""
        if not a:
            return 0
        if self.domain == QQ:
            return 1 if a > 0 else -1
        for digits in _DIGITS:
            with mpmath.workdps(digits + 10):
                value, size = self._number(a, self.domain, digits + 10)
                if abs(value) > size * mpmath.mpf(10) ** (-digits):
                    return 1 if value > 0 else -1
        raise ArithmeticError(
            f"the sign of {self.domain.to_sympy(a)} at h = {self.value} needs more than {_DIGITS[-1]} digits; "
            "use simpler coefficients"
        )

    def _number(self, a: Any, domain: Domain, digits: int) -> tuple[mpmath.mpf, mpmath.mpf]:
        """The number and the sum of the absolute values of its terms, which bounds the rounding error."""
        if domain == QQ:
            value = mpmath.mpf(int(a.numerator)) / int(a.denominator)
            return value, abs(value)
        if isinstance(domain, FiniteExtension):
            inner, variable, coefficients = domain.domain, self.value, a.rep.to_list()
        else:
            inner, variable, coefficients = QQ, domain.ext.root, a.to_list()
        x = evaluate(variable, digits)
        total = size = mpmath.mpf(0)
        for coefficient in coefficients:
            value, bound = self._number(coefficient, inner, digits)
            total, size = total * x + value, size * abs(x) + bound
        return total, size

    def at(self, f: sp.Poly) -> sp.Poly:
        """f(zeta; h) with h replaced by this number: a polynomial in zeta over the field.

        Parameters
        ----------
        f : sympy.Poly
            Polynomial in zeta with coefficients in K[h].
        """
        coefficients = []
        for c in f.rep.to_list():
            value = self.domain.zero
            for q in c.to_dense():
                value = value * self.element + self.domain.convert(q, f.domain.domain)
            coefficients.append(value)
        return sp.Poly(coefficients, f.gen, domain=self.domain)


def evaluate(value: sp.Expr, digits: int) -> mpmath.mpf:
    """A real expression as a number of so many digits."""
    return mpmath.mpf(sp.Float(sp.N(value, digits), digits)._mpf_)


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
        Monic, irreducible over K, without h itself; the same polynomial is the same object up to equality.
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
                found.update((m.monic(), None) for m, _ in poly.factor_list()[1] if m.as_expr() != h)
        result.append(list(found))
    return result


def real_positive_roots(m: sp.Poly) -> list[RealRoot]:
    """Positive real roots of an irreducible polynomial over Q or over a real algebraic field.

    Over Q(alpha) and beyond degree 2 the candidates are the roots of the norm of m over Q; those at which m is
    certainly nonzero are left out.
    """
    if m.degree() == 1:
        roots = [m.domain.to_sympy(-m.rep.to_list()[1] / m.rep.to_list()[0])]
    elif m.degree() == 2:
        roots = _quadratic_roots(m)
    elif m.domain == QQ:
        roots = _biquadratic_roots(m) or m.real_roots()
    else:
        norm = m.lift()
        candidates = sp.Poly(norm, m.gen, domain=QQ).sqf_part().real_roots()
        roots = [r for r in candidates if evaluate(r, 20) > 0 and _vanishes(m, r)]
    return [RealRoot(m, sp.sympify(r)) for r in roots if evaluate(r, 20) > 0]


def _quadratic_roots(m: sp.Poly) -> list[sp.Expr]:
    _, b, c = (m.domain.to_sympy(x) for x in m.monic().rep.to_list())
    discriminant = sp.expand(b**2 - 4 * c)
    if evaluate(discriminant, 30) < 0:
        return []
    root = sp.sqrtdenest(sp.sqrt(discriminant))
    return [sp.expand((-b + s * root) / 2) for s in (-1, 1)]


def _biquadratic_roots(m: sp.Poly) -> list[sp.Expr]:
    """Positive roots of h**4 + b h**2 + c in radicals, nothing for other polynomials."""
    a = m.monic().rep.to_list()
    if len(a) != 5 or a[1] or a[3]:
        return []
    squares = _quadratic_roots(sp.Poly([a[0], a[2], a[4]], m.gen, domain=QQ))
    return [sp.sqrtdenest(sp.sqrt(s)) for s in squares if evaluate(s, 30) > 0]


def _vanishes(m: sp.Poly, r: sp.Expr) -> bool:
    with mpmath.workdps(120):
        x = evaluate(r, 120)
        terms = [evaluate(m.domain.to_sympy(c), 120) for c in m.rep.to_list()]
        return abs(mpmath.polyval(terms, x)) < mpmath.mpf(10) ** (-90) * mpmath.polyval([abs(t) for t in terms], x)
