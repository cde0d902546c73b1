"""Stability of a step with free symbols: factored inequalities, solved for the step where its degree is at most 2.

    a_2 zeta**2 + a_1 zeta + a_0 stable  <=>  f(1) > 0, f(-1) > 0, a_2 - a_0 > 0        (a_2 > 0)

In general degree the quantities are those of Lienard and Chipart. Each is factored; a factor whose sign follows from
the assumptions on its symbols is dropped, an even power becomes f != 0, and what is left is solved for h.

References
----------
.. [1] Lienard and Chipart (1914): half of the Hurwitz determinants suffice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp
from sympy.logic.boolalg import Boolean

from gamedyn.stability.regions.schur_cohn import is_self_reciprocal

__all__ = [
    "Known",
    "drop_weaker",
    "hurwitz_quantities",
    "lienard_chipart",
    "quantities_of",
    "reduce_sign",
    "solve_for_step",
    "step_conditions",
]


def lienard_chipart(f: sp.Poly) -> list[sp.Expr]:
    """Quantities all positive iff every root of f is strictly inside the circle, for a_n > 0.

        b(s) = (1 - s)**n f((1 + s)/(1 - s)),   b_n > 0 (= (-1)**n f(-1)), b_0, b_2, ... > 0 (b_0 = f(1)),
        Hurwitz determinants Delta_(n-1), Delta_(n-3), ... > 0

    Parameters
    ----------
    f : sympy.Poly
        Real polynomial in zeta of degree n >= 1, symbols allowed in the coefficients.

    Returns
    -------
    list of sympy.Expr

    Examples
    --------
    >>> import sympy as sp
    >>> z, a = sp.symbols("zeta a")
    >>> lienard_chipart(sp.Poly(z**2 + a, z))
    [a + 1, a + 1, 2 - 2*a]
    """
    n, s = f.degree(), sp.Dummy("s")
    b = sp.Poly(sum(c * (1 + s) ** (n - i) * (1 - s) ** i for i, c in enumerate(f.all_coeffs())), s)
    return hurwitz_quantities([sp.expand(b.coeff_monomial(s**k)) for k in range(n + 1)])


def hurwitz_quantities(b: list[sp.Expr]) -> list[sp.Expr]:
    """Quantities all positive iff every root of b_0 + b_1 s + ... + b_n s**n has a negative real part.

        b_n > 0, b_0, b_2, ... > 0,   Delta_(n-1), Delta_(n-3), ... > 0

    Examples
    --------
    >>> import sympy as sp
    >>> hurwitz_quantities(list(sp.symbols("b:4")))
    [b3, b0, b2, -b0*b3 + b1*b2]
    """
    n, descending = len(b) - 1, b[::-1]
    values = [descending[0]] + [b[k] for k in range(0, n, 2)]
    for k in range(n - 1, 0, -2):
        entries = [[descending[j] if 0 <= (j := 2 * c - r + 1) <= n else 0 for c in range(k)] for r in range(k)]
        values.append(sp.expand(sp.Matrix(entries).det(method="berkowitz")))
    return values


@dataclass
class Known:
    """Expressions that other conditions already force to be positive."""

    positive: set[sp.Expr] = field(default_factory=set)

    def sign(self, e: sp.Expr) -> int:
        """1 or -1 where the sign is certain, otherwise 0 (unknown, or identically zero)."""
        if e.is_positive or e in self.positive or (e.is_nonnegative and self._forced(e)):
            return 1
        if e.is_negative or -e in self.positive or (e.is_nonpositive and self._forced(-e)):
            return -1
        return self._definite(e)

    def _forced(self, e: sp.Expr) -> bool:
        return e in self.positive or sp.factor(e) in self.positive

    def _definite(self, e: sp.Expr) -> int:
        """A quadratic in one symbol with a negative discriminant has the sign of its leading coefficient."""
        for x in sorted(e.free_symbols, key=str):
            if not e.is_polynomial(x) or sp.degree(e, x) != 2:
                continue
            c2, c1, c0 = sp.Poly(e, x).all_coeffs()
            if sp.factor(4 * c2 * c0 - c1**2).is_positive:
                return 1 if c2.is_nonnegative or c2 in self.positive else -1 if c2.is_nonpositive else 0
        return 0


def reduce_sign(q: sp.Expr, known: Known) -> tuple[sp.Expr, list[Boolean]]:
    """q > 0 without its square factors and without factors of known sign, and the f != 0 this needs."""
    constant, factors = sp.factor_list(q)
    sign = known.sign(sp.sympify(constant)) if constant != 0 else 0
    rest: sp.Expr = sp.Integer(sign)
    apart: list[Boolean] = []
    for f, k in factors:
        s = known.sign(f)
        if s:
            rest = rest * s**k
        elif k % 2:
            rest = rest * f
        elif f.is_nonzero is not True:
            apart.append(sp.Ne(f, 0))
    return rest, apart


def _linear(c1: sp.Expr, c0: sp.Expr, h: sp.Symbol, known: Known) -> Boolean | None:
    sign = known.sign(c1)
    if not sign:
        return None
    bound = sp.factor(-c0 / c1)
    if sign > 0:
        return sp.true if bound.is_nonpositive else sp.Gt(h, bound)
    return sp.false if bound.is_nonpositive else sp.Lt(h, bound)


def _quadratic(c: list[sp.Expr], h: sp.Symbol, known: Known) -> Boolean | None:
    c2, c1, c0 = c
    sign = known.sign(c2)
    if not sign:
        return None
    disc = sp.factor(c1**2 - 4 * c2 * c0)
    if disc.is_nonpositive:
        if sign < 0:
            return sp.false
        zeros = [sp.Ne(f, 0) for f, _ in sp.factor_list(disc)[1]]
        return sp.true if disc.is_negative else sp.Or(sp.And(*zeros), sp.Ne(h, sp.factor(-c1 / (2 * c2))))
    half = sp.sqrt(disc)
    low, high = (sp.simplify((-c1 - s * half) / (2 * c2)) for s in (sign, -sign))
    if known.sign(c0) == -sign:
        return sp.Lt(h, high) if sign < 0 else sp.Gt(h, high)
    if known.sign(c1) == known.sign(c0) == sign:
        return sp.true if sign > 0 else sp.false
    if sign < 0:
        return sp.And(sp.Gt(disc, 0), sp.Gt(h, low), sp.Lt(h, high))
    return sp.Or(sp.Lt(disc, 0), sp.Lt(h, low), sp.Gt(h, high))


def solve_for_step(q: sp.Expr, h: sp.Symbol, known: Known | None = None) -> Boolean:
    """The condition q > 0 on h > 0, solved where q has degree 1 or 2 in h and a leading sign that is certain.

    Parameters
    ----------
    q : sympy.Expr
        Polynomial in h.
    h : sympy.Symbol
        Positive symbol.
    known : optional
        Expressions already known to be positive.

    Returns
    -------
    Boolean
        ``h < ...``, ``h > ...``, an And or Or of these, or the factored ``q > 0`` itself.

    Examples
    --------
    >>> import sympy as sp
    >>> h, g = sp.symbols("h g", positive=True)
    >>> solve_for_step(2 * g - h * (1 + g**2), h)
    h < 2*g/(g**2 + 1)
    """
    known = known or Known()
    coefficients = sp.Poly(q, h).all_coeffs()
    solved: Boolean | None = None
    if len(coefficients) == 2:
        solved = _linear(coefficients[0], coefficients[1], h, known)
    elif len(coefficients) == 3:
        solved = _quadratic(coefficients, h, known)
    return sp.Gt(sp.factor(q), 0) if solved is None else solved


def quantities_of(f: sp.Poly, known: Known, kind: str = "step") -> tuple[list[sp.Expr], list[Boolean]]:
    """Quantities all positive iff f is stable, for a leading coefficient of either sign, and the f != 0 this needs.

    Every root inside the unit circle ("step"), or with a positive real part ("flow").
    """
    lead = f.LC()
    sign = known.sign(lead)
    f, apart = (f * sign, []) if sign else (f * lead, [sp.Ne(sp.factor(lead), 0)])
    if kind == "step":
        return lienard_chipart(f), apart
    descending = [(-1) ** k * sp.expand(c) for k, c in enumerate(f.all_coeffs())]  # (-1)**n f(-s)
    return hurwitz_quantities(descending[::-1]), apart


def drop_weaker(conditions: list[Boolean], h: sp.Symbol) -> list[Boolean]:
    """Drops what an upper bound on h implies: larger upper bounds, and that h is not at the bound."""
    bounds = [c for c in conditions if isinstance(c, sp.StrictLessThan) and c.lhs == h]
    weaker = {b for b in bounds for a in bounds if a != b and (b.rhs - a.rhs).is_positive}
    apart = {sp.Ne(h, b.rhs) for b in bounds}
    return [c for c in conditions if c not in weaker and not (isinstance(c, sp.Or) and apart & set(c.args))]


def step_conditions(factors: list[sp.Poly], h: sp.Symbol) -> tuple[Boolean, ...]:
    """Conditions on h > 0 and on the real free symbols that hold together iff every root is inside the circle.

    Parameters
    ----------
    factors : list of sympy.Poly
        Factors of the characteristic polynomial, in zeta, that are irreducible over the coefficients' field.
    h : sympy.Symbol
        The positive step.

    Returns
    -------
    tuple of Boolean
        ``(false,)`` if no step is stable whatever the symbols are; empty if every step is.

    Examples
    --------
    >>> import sympy as sp
    >>> h, g = sp.symbols("h g", positive=True)
    >>> z = sp.Symbol("zeta")
    >>> step_conditions([sp.Poly((z - 1 + g * h) ** 2 + h**2, z)], h)
    (h < 2*g/(g**2 + 1),)
    """
    known, pending, conditions = Known(), [], []
    for f in factors:
        if is_self_reciprocal(f):
            return (sp.false,)
        quantities, apart = quantities_of(f, known)
        pending += quantities
        conditions += apart
    reduced = [reduce_sign(q, known) for q in pending]
    for rest, _ in reduced:
        if h not in rest.free_symbols and not rest.is_number:
            known.positive.add(rest)
    for rest, apart in [reduce_sign(q, known) for q in pending] if known.positive else reduced:
        conditions += apart
        if h in rest.free_symbols:
            conditions.append(solve_for_step(rest, h, known))
        elif rest.is_number and not rest.is_positive:
            return (sp.false,)
    conditions += [sp.Gt(sp.factor(e), 0) for e in sorted(known.positive, key=sp.default_sort_key)]
    if sp.false in conditions:
        return (sp.false,)
    return tuple(drop_weaker([c for c in dict.fromkeys(conditions) if c != sp.true], h))
