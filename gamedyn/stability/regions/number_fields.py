"""Real algebraic numbers: the roots that cut a parameter's range, and exact signs in the fields that they generate.

A number is the root of an irreducible polynomial m over K = Q or a real field Q(alpha), and an element of K[h]/(m)
stands for it. Zero is decided in that field; a nonzero element gets its sign from an evaluation with an error bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from sympy.polys.agca.extensions import ExtensionElement, FiniteExtension
from sympy.polys.domains import QQ
from sympy.polys.domains.domain import Domain

__all__ = ["POSITIVE", "Bounds", "RealNumberField", "RealRoot", "evaluate", "real_roots"]

Bounds = tuple[sp.Expr, sp.Expr]
POSITIVE: Bounds = (sp.S.Zero, sp.oo)

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
    """A real number h: the root `value` of `minimal`, a polynomial irreducible over its domain.

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


def real_roots(m: sp.Poly, bounds: Bounds = POSITIVE) -> list[RealRoot]:
    """Real roots, strictly inside an interval, of an irreducible polynomial over Q or over a real algebraic field.

    Over Q(alpha) and beyond degree 2 the candidates are the roots of the norm of m over Q; those at which m is
    certainly nonzero are left out.

    Parameters
    ----------
    m : sympy.Poly
    bounds : (Expr, Expr)
        The ends of the interval, rational or infinite.

    Examples
    --------
    >>> h = sp.Symbol("h")
    >>> [r.value for r in real_roots(sp.Poly(h**2 - 2, h, domain=QQ), (-sp.oo, sp.S.Zero))]
    [-sqrt(2)]
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
        roots = [r for r in candidates if _vanishes(m, r)]
    return [RealRoot(m, sp.sympify(r)) for r in roots if _inside(r, bounds)]


def _inside(r: sp.Expr, bounds: Bounds) -> bool:
    value, (low, high) = evaluate(r, 20), bounds
    return (low == -sp.oo or value > evaluate(low, 20)) and (high == sp.oo or value < evaluate(high, 20))


def _quadratic_roots(m: sp.Poly) -> list[sp.Expr]:
    _, b, c = (m.domain.to_sympy(x) for x in m.monic().rep.to_list())
    discriminant = sp.expand(b**2 - 4 * c)
    if evaluate(discriminant, 30) < 0:
        return []
    root = sp.sqrtdenest(sp.sqrt(discriminant))
    return [sp.expand((-b + s * root) / 2) for s in (-1, 1)]


def _biquadratic_roots(m: sp.Poly) -> list[sp.Expr]:
    """Real roots of h**4 + b h**2 + c in radicals, nothing for other polynomials."""
    a = m.monic().rep.to_list()
    if len(a) != 5 or a[1] or a[3]:
        return []
    squares = _quadratic_roots(sp.Poly([a[0], a[2], a[4]], m.gen, domain=QQ))
    return [s * sp.sqrtdenest(sp.sqrt(x)) for x in squares if evaluate(x, 30) > 0 for s in (-1, 1)]


def _vanishes(m: sp.Poly, r: sp.Expr) -> bool:
    with mpmath.workdps(120):
        x = evaluate(r, 120)
        terms = [evaluate(m.domain.to_sympy(c), 120) for c in m.rep.to_list()]
        return abs(mpmath.polyval(terms, x)) < mpmath.mpf(10) ** (-90) * mpmath.polyval([abs(t) for t in terms], x)
