"""All real zeros of a square polynomial system, exactly, by one univariate polynomial.

A zero-dimensional radical ideal in general position has the lexicographic basis (shape lemma)

    q(t) = 0,    z_k = p_k(t),    t one coordinate or a linear form of them,

so the real zeros are the real roots of q.  An ideal that is not radical becomes so by adding the squarefree parts of
its univariate eliminants (Seidenberg's lemma); then almost every linear form t works.

References
----------
.. [1] E. Becker, T. Mora, M. G. Marinari, C. Traverso, The shape of the shape lemma, ISSAC 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from gamedyn.stability.equilibria.plane_zeros import plane_zeros

__all__ = ["NotPolynomial", "PositiveDimensional", "affine_zeros", "real_zeros"]

Point = tuple[sp.Expr, ...]
_BEZOUT = 200  # product of degrees beyond which elimination is hopeless
_MATCH = sp.Float("1e-20", 40)
_WEIGHTS = ((1, 2, 3, 4, 5, 6, 7, 8), (1, -3, 9, -27, 5, -7, 11, 13), (2, 7, -5, 3, 17, -11, 19, 23))


class NotPolynomial(Exception):
    """The system is no polynomial system with algebraic coefficients, or too large for elimination."""


class PositiveDimensional(Exception):
    """The complex zeros are not isolated."""


@dataclass(frozen=True)
class _Shape:
    """q(t) and the coordinates p_k(t), all over the rationals."""

    q: sp.Poly
    coordinates: tuple[sp.Poly, ...]


def real_zeros(equations: Sequence[sp.Expr], z: Sequence[sp.Symbol]) -> list[Point]:
    """Every real zero of a system of d expressions in d variables.

    Exponentials and denominators that never vanish are divided out first; radicals among the coefficients become
    variables with their own equation.

    Parameters
    ----------
    equations : sequence of Expr, `(d,)`
        Zero at a zero.
    z : sequence of Symbol, `(d,)`
        Real symbols.

    Returns
    -------
    list of tuple of Expr
        Rational numbers, radicals of degree 2, otherwise `CRootOf`.

    Raises
    ------
    NotPolynomial
        If other functions of z occur, coefficients are not algebraic, or the Bezout number exceeds 200.
    PositiveDimensional
        If zeros are not isolated over the complex numbers.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> real_zeros([x**2 - 2, x - y], [x, y])
    [(-sqrt(2), -sqrt(2)), (sqrt(2), sqrt(2))]
    """
    pairs = [_numerator(e, z) for e in equations]
    denominators = [d for _, d in pairs]
    expressions, extra, radicals = _radicals_as_variables([n for n, _ in pairs])
    variables = [*z, *radicals]
    polynomials = _polynomials([*expressions, *extra], variables)
    points = None
    if len(variables) == len(polynomials) == 2:
        points = plane_zeros(polynomials)
    if points is None:
        _refuse_large(polynomials, variables)
        points = _zeros_by_shape(polynomials, variables)
    inside = [p for p in points if all(p[len(z) + k].evalf(20) > 0 for k in range(len(radicals)))]
    return [p[: len(z)] for p in inside if all(_nonzero(d, z, p) for d in denominators)]


def affine_zeros(matrix: sp.MatrixBase, offset: sp.MatrixBase, centre: Sequence[sp.Expr]) -> tuple[list[Point], int]:
    """The zeros of Az + b: all of them, or of a flat of zeros the one nearest to `centre`.

    Parameters
    ----------
    matrix, offset : Matrix `(d, d)`, `(d, 1)`
        A and b; symbols in them are taken as generic.
    centre : sequence of numbers, `(d,)`
        The point whose nearest zero stands for a flat of zeros.

    Returns
    -------
    points : list of tuple of Expr
        At most one.
    dimension : int
        Of the set of zeros.

    Examples
    --------
    >>> affine_zeros(sp.ones(2, 2), sp.Matrix([-1, -1]), [0, 0])
    ([(1/2, 1/2)], 1)
    """
    d = matrix.rows
    rank = matrix.rank(simplify=True)
    if rank == d:
        return [tuple(matrix.LUsolve(-offset).applyfunc(sp.cancel))], 0
    if matrix.row_join(offset).rank(simplify=True) > rank:
        return [], 0
    c = sp.Matrix(list(centre))
    nearest = c - matrix.pinv() * (matrix * c + offset)
    return [tuple(nearest.applyfunc(sp.simplify))], d - rank


# preparation -----------------------------------------------------------------------------------------


def numerators(equations: Sequence[sp.Expr], z: Sequence[sp.Symbol]) -> tuple[list[sp.Expr], list[sp.Symbol]]:
    """What vanishes with the equations, as polynomials in z and in the variables that stand for radicals (second)."""
    expressions, extra, radicals = _radicals_as_variables([_numerator(e, z)[0] for e in equations])
    polynomials = _polynomials([*expressions, *extra], [*z, *radicals], at_least=0)
    return [p.as_expr() for p in polynomials], radicals


def _numerator(e: sp.Expr, z: Sequence[sp.Symbol]) -> tuple[sp.Expr, sp.Expr]:
    """The polynomial whose zeros are those of e where the denominator (second) does not vanish."""
    if e.is_polynomial(*z):
        return e, sp.S.One
    numerator, denominator = sp.fraction(sp.factor(sp.together(e)))
    return _without_exponentials(numerator), _without_exponentials(denominator)


def _without_exponentials(e: sp.Expr) -> sp.Expr:
    return sp.Mul(*(a for a in sp.Mul.make_args(e) if not isinstance(a, sp.exp)))


def _radicals_as_variables(
    expressions: Sequence[sp.Expr],
) -> tuple[list[sp.Expr], list[sp.Expr], list[sp.Symbol]]:
    """b^(k/n) -> s^k with s^n = b: the expressions, the equations of the new variables, the variables (positive)."""
    found = {
        p
        for e in expressions
        for p in e.atoms(sp.Pow)
        if p.base.is_Rational and p.base > 0 and p.exp.is_Rational and not p.exp.is_Integer
    }
    degrees: dict[sp.Expr, int] = {}
    for p in found:
        degrees[p.base] = int(sp.ilcm(degrees.get(p.base, 1), p.exp.q))
    symbols = {b: sp.Dummy(f"s{k}", real=True) for k, b in enumerate(sorted(degrees))}
    table = {p: symbols[p.base] ** int(p.exp * degrees[p.base]) for p in found}
    if any(p.exp < 0 for p in found):
        raise NotPolynomial("a radical in a denominator")
    equations = [symbols[b] ** n - b for b, n in degrees.items()]
    return [sp.expand(e.xreplace(table)) for e in expressions], equations, [symbols[b] for b in degrees]


def _polynomials(
    expressions: Sequence[sp.Expr], variables: Sequence[sp.Symbol], at_least: int | None = None
) -> list[sp.Poly]:
    try:
        polynomials = [sp.Poly(e, *variables, domain="QQ") for e in expressions]
    except (sp.PolynomialError, sp.CoercionFailed) as error:
        raise NotPolynomial(str(error)) from None
    polynomials = [p for p in polynomials if not p.is_zero]
    if len(polynomials) < (len(variables) if at_least is None else at_least):
        raise PositiveDimensional
    return polynomials


def _refuse_large(polynomials: Sequence[sp.Poly], variables: Sequence[sp.Symbol]) -> None:
    degrees = sorted(max(1, p.total_degree()) for p in polynomials)
    if sp.prod(degrees[: len(variables)]) > _BEZOUT:
        raise NotPolynomial("the Bezout number is too large")


def _nonzero(denominator: sp.Expr, z: Sequence[sp.Symbol], point: Point) -> bool:
    value = denominator.xreplace(dict(zip(z, point, strict=False)))
    return bool(abs(value.evalf(40)) > _MATCH)


# elimination -----------------------------------------------------------------------------------------


def _zeros_by_shape(polynomials: list[sp.Poly], variables: list[sp.Symbol]) -> list[Point]:
    bases = {t: _basis(polynomials, variables, t) for t in variables}
    if any(b == [1] for b in bases.values()):
        return []
    eliminants = [sp.Poly(bases[t][-1], t, domain="QQ") for t in variables]
    shape = next(filter(None, (_shape(bases[t], variables, t) for t in reversed(variables))), None)
    if shape is None:
        radical = [*polynomials, *(e.sqf_part().as_expr() for e in eliminants)]
        shape = _general_shape(radical, variables)
    roots = [[r for r, _ in e.real_roots(multiple=False)] for e in eliminants]
    return [_lift(shape, t, roots) for t, _ in shape.q.real_roots(multiple=False)]


def _basis(polynomials: list[sp.Poly], variables: list[sp.Symbol], last: sp.Symbol) -> list[sp.Expr]:
    order = [*(s for s in variables if s != last), last]
    basis = sp.groebner(polynomials, *order, order="grevlex", domain="QQ")
    if basis.exprs == [1]:
        return [sp.S.One]
    if not basis.is_zero_dimensional:
        raise PositiveDimensional
    return list(basis.fglm("lex").exprs)


def _shape(basis: list[sp.Expr], variables: Sequence[sp.Symbol], t: sp.Symbol) -> _Shape | None:
    """z_k = p_k(t) read off a lexicographic basis, None if it has another form."""
    coordinates = {t: sp.Poly(t, t, domain="QQ")}
    for e in basis[:-1]:
        leading = [s for s in e.free_symbols if s != t]
        if len(leading) != 1 or sp.Poly(e, leading[0]).degree() != 1 or sp.diff(e, leading[0]).free_symbols:
            return None
        s = leading[0]
        coordinates[s] = sp.Poly(sp.expand(s - e / sp.diff(e, s)), t, domain="QQ")
    return _Shape(sp.Poly(basis[-1], t, domain="QQ"), tuple(coordinates[s] for s in variables))


def _general_shape(radical: list[sp.Poly], variables: list[sp.Symbol]) -> _Shape:
    t = sp.Dummy("t", real=True)
    for weights in _WEIGHTS:
        form = sum(w * s for w, s in zip(weights, variables, strict=False))
        shape = _shape(_basis([*radical, t - form], [*variables, t], t), variables, t)
        if shape is not None:
            return shape
    raise NotPolynomial("no linear form separates the zeros")


def _lift(shape: _Shape, t: sp.Expr, roots: list[list[sp.Expr]]) -> Point:
    """The zero over a real root of q: by substitution, or as the root of each eliminant that lies next to p_k(t)."""
    if not t.has(sp.CRootOf):
        return tuple(sp.sqrtdenest(sp.radsimp(sp.expand(p.as_expr().xreplace({p.gen: t})))) for p in shape.coordinates)
    digits = 40 + 4 * shape.q.degree()
    value = t.evalf(digits)
    point = []
    for p, candidates in zip(shape.coordinates, roots, strict=True):
        x = sum((c.evalf(digits) * value**k for (k,), c in p.terms()), sp.S.Zero)
        near = [r for r in candidates if abs(r.evalf(40) - x) < _MATCH]
        if len(near) != 1:
            raise NotPolynomial("roots too close to tell apart")
        point.append(near[0])
    return tuple(point)
