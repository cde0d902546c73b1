"""The real zeros of a polynomial system whose complex zeros are not isolated: points, and manifolds.

    V(g₁, …, fh, …) = V(g₁, …, f, …) ∪ V(g₁, …, h, …)                                        (1)

Bases are split at their reducible elements until none is left.  A part whose dimension is 0 is a list of points.  A
part of dimension k is a manifold where some real point of it is smooth: the Jacobian of its equations has rank d - k
there.  Such a point is looked for among the critical points of the distance to a centre, of which every connected
component has one; if none is smooth, the real zeros lie where the rank drops, which is a smaller system.  Parts of
lower dimension that (1) does not reveal are those on which some minor of order d - k + 1 of the Jacobian does not
vanish.

References
----------
.. [1] D. Cox, J. Little, D. O'Shea, Ideals, Varieties, and Algorithms, 4th ed., Springer (2015), chapters 4 and 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.equilibria.polynomial_zeros import (
    NotPolynomial,
    Point,
    PositiveDimensional,
    numerators,
    real_zeros,
)
from gamedyn.stability.spectrum_signs import evaluated, sign

__all__ = ["Piece", "real_components"]

_MOST = 40  # parts looked at
_SHIFTS = ((0, 0, 0, 0, 0, 0, 0, 0), (3, 5, 7, 11, 13, 17, 19, 23), (-8, 6, -5, 9, 4, -7, 12, 10))  # in 1/37
_SMALL = 1e-20


@dataclass(frozen=True, eq=False)
class Piece:
    """A manifold of zeros.

    Attributes
    ----------
    dimension : int
    equations : tuple of Expr
        In z; none where it is known by its points only.
    parametrization : tuple of Expr or None
        The coordinates in s1, …, sk.
    point : tuple
        Of it, near the centre: the nearest one, up to rounding to fractions where there is a parametrization, or
        beside it where the nearest one lies on another piece as well.
    """

    dimension: int
    equations: tuple[sp.Expr, ...]
    parametrization: tuple[sp.Expr, ...] | None
    point: Point


def real_components(
    equations: Sequence[sp.Expr], z: Sequence[sp.Symbol], centre: Sequence[sp.Expr]
) -> tuple[list[Point], list[Piece]]:
    """Isolated points and manifolds that together are all the real zeros.

    A point that is isolated among the real zeros, but on a part of larger dimension over the complex numbers and with
    multiplicity, may be missing from the points; it satisfies the equations of that part.

    Parameters
    ----------
    equations : sequence of Expr
        Polynomials in z with rational coefficients, or fractions of such.
    z : sequence of Symbol, `(d,)`
        Real symbols.
    centre : sequence of numbers, `(d,)`
        Samples are taken near it.

    Returns
    -------
    points : list of tuple of Expr
    pieces : list of Piece

    Raises
    ------
    NotPolynomial
        If the system has another form, or resists: no smooth point is found, or there are more than 40 parts.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> points, pieces = real_components([x * (x * y - 1), y * (x * y - 1)], [x, y], [0, 0])
    >>> points, [(p.dimension, p.equations, p.parametrization, p.point) for p in pieces]
    ([(0, 0)], [(1, (x*y - 1,), (1/s1, s1), (1, 1))])
    """
    polynomials, radicals = numerators(equations, z)
    if radicals:
        raise NotPolynomial("the zeros are not isolated, and coefficients are radicals")
    search = _Search(tuple(z), tuple(sp.sympify(c) for c in centre))
    points, pieces = search.zeros(polynomials)
    denominators = [sp.fraction(sp.together(e))[1] for e in equations]
    good = [_off_crossings(p, [q for q in pieces if q is not p], z) for p in pieces]
    good = [p for p in good if all(d.is_number or _value(d, z, p.point) != 0 for d in denominators)]
    alone = [p for p in points if all(d.is_number or _value(d, z, p) != 0 for d in denominators)]
    return _without_covered(alone, good, z), good


def _off_crossings(piece: Piece, others: list[Piece], z: Sequence[sp.Symbol]) -> Piece:
    """The piece with a point that lies on no other, if its parametrization leads to one."""

    def crosses(point: Point) -> bool:
        return any(all(_vanishes(e, z, point) for e in other.equations) for other in others)

    if piece.parametrization is None or not crosses(piece.point):
        return piece
    parameters = sp.symbols(f"s1:{piece.dimension + 1}", real=True)
    at = [piece.point[next(k for k, e in enumerate(piece.parametrization) if e == s)] for s in parameters]
    for k in range(1, 9):
        table = {s: x + sp.Rational(k, j + 2) for j, (s, x) in enumerate(zip(parameters, at, strict=True))}
        point = tuple(sp.cancel(e.xreplace(table)) for e in piece.parametrization)
        if all(e.is_finite for e in point) and not crosses(point):
            return replace(piece, point=point)
    return piece


def _without_covered(points: list[Point], pieces: list[Piece], z: Sequence[sp.Symbol]) -> list[Point]:
    kept: list[Point] = []
    for p in points:
        on_piece = any(all(_vanishes(e, z, p) for e in piece.equations) for piece in pieces)
        if not on_piece and p not in kept:
            kept.append(p)
    return kept


def _value(e: sp.Expr, z: Sequence[sp.Symbol], point: Point) -> float:
    value = complex(evaluated(e.xreplace(dict(zip(z, point, strict=True)))))
    return 0.0 if abs(value) < _SMALL else abs(value)


def _vanishes(e: sp.Expr, z: Sequence[sp.Symbol], point: Point) -> bool:
    value = e.xreplace(dict(zip(z, point, strict=True)))
    return sign(value) in (0, None)


@dataclass(eq=False)
class _Search:
    z: tuple[sp.Symbol, ...]
    centre: tuple[sp.Expr, ...]
    seen: int = 0

    def zeros(self, system: Sequence[sp.Expr]) -> tuple[list[Point], list[Piece]]:
        points: list[Point] = []
        pieces: list[Piece] = []
        for basis in self._parts(system):
            k = dimension(basis)
            if k == 0:
                points += real_zeros(basis.exprs, self.z)
                continue
            piece = self._piece(basis, k)
            pieces += [piece] if piece else []
            hidden = self._lower(basis, k) if piece else self._singular(basis, k)
            for more in hidden:
                further = self.zeros(more)
                points += further[0]
                pieces += further[1]
        return points, pieces

    # parts ---------------------------------------------------------------------------------------------

    def _parts(self, system: Sequence[sp.Expr]) -> list[sp.GroebnerBasis]:
        """Bases without reducible elements, none of which lies in another."""
        stack, leaves = [list(system)], []
        while stack:
            self.seen += 1
            if self.seen > _MOST:
                raise NotPolynomial(f"the zeros fall into more than {_MOST} parts")
            basis = sp.groebner(stack.pop(), *self.z, order="grevlex", domain="QQ")
            if basis.exprs == [1]:
                continue
            factors = next(filter(None, (_split(e) for e in basis.exprs)), None)
            if factors is None:
                leaves.append(basis)
            else:
                stack += [[*basis.exprs, f] for f in factors if _may_vanish(f)]
        leaves.sort(key=dimension, reverse=True)
        kept: list[sp.GroebnerBasis] = []
        for leaf in leaves:
            if not any(self._inside(leaf, other) for other in kept):
                kept.append(leaf)
        return kept

    def _inside(self, small: sp.GroebnerBasis, large: sp.GroebnerBasis) -> bool:
        """Whether V(small) lies in V(large): every equation of `large` is in the radical of `small`."""
        w = sp.Dummy("w")
        return all(
            small.contains(e) or sp.groebner([*small.exprs, 1 - w * e], w, *self.z, domain="QQ").exprs == [1]
            for e in large.exprs
        )

    def _jacobian(self, basis: sp.GroebnerBasis) -> sp.Matrix:
        return sp.Matrix(basis.exprs).jacobian(sp.Matrix(self.z))

    def _lower(self, basis: sp.GroebnerBasis, k: int) -> list[list[sp.Expr]]:
        """Systems of the parts of lower dimension: where some minor of order d - k + 1 does not vanish."""
        w = sp.Dummy("w")
        found = []
        for minor in _minors(self._jacobian(basis), len(self.z) - k + 1):
            if basis.contains(minor):
                continue
            outside = sp.groebner([*basis.exprs, 1 - w * minor], w, *self.z, order="lex", domain="QQ")
            if outside.exprs != [1]:
                found.append([e for e in outside.exprs if not e.has(w)])
        return found

    def _singular(self, basis: sp.GroebnerBasis, k: int) -> list[list[sp.Expr]]:
        """The system of the points at which the rank is below d - k."""
        minors = [m for m in _minors(self._jacobian(basis), len(self.z) - k) if not basis.contains(m)]
        if not minors:
            raise NotPolynomial("the zeros are not isolated and have multiplicity everywhere")
        return [[*basis.exprs, *minors]]

    # a smooth point ----------------------------------------------------------------------------------------

    def _piece(self, basis: sp.GroebnerBasis, k: int) -> Piece | None:
        """The manifold, None if no real point of it is smooth."""
        parameters = sp.symbols(f"s1:{k + 1}", real=True)
        form = parametrize(basis.exprs, self.z, parameters)
        if form is not None:
            return Piece(k, tuple(basis.exprs), form, self._nearest(form, parameters))
        jacobian = self._jacobian(basis)
        smooth = [p for p in self._critical(basis, k, jacobian) if self._rank(jacobian, p) == len(self.z) - k]
        if not smooth:
            return None
        return Piece(k, tuple(basis.exprs), None, min(smooth, key=self._distance))

    def _distance(self, point: Point) -> float:
        return float(sum(complex(evaluated(a - c)).real ** 2 for a, c in zip(point, self.centre, strict=True)))

    def _critical(self, basis: sp.GroebnerBasis, k: int, jacobian: sp.Matrix) -> list[Point]:
        """Real points at which the distance to a centre is critical, or the rank of the Jacobian drops."""
        for shift in _SHIFTS:
            offset = [s - c - sp.Rational(m, 37) for s, c, m in zip(self.z, self.centre, shift, strict=False)]
            minors = _minors(jacobian.col_join(sp.Matrix([offset])), len(self.z) - k + 1)
            try:
                return real_zeros([*basis.exprs, *minors], self.z)
            except PositiveDimensional:  # a circle around its centre
                continue
        raise NotPolynomial("no centre has finitely many nearest points")

    def _rank(self, jacobian: sp.Matrix, point: Point) -> int:
        numbers = evaluated(jacobian.xreplace(dict(zip(self.z, point, strict=True))))
        return int(np.linalg.matrix_rank(np.array(numbers.tolist(), dtype=float), tol=1e-12))

    def _nearest(self, form: tuple[sp.Expr, ...], parameters: Sequence[sp.Symbol]) -> Point:
        """The point of a parametrization that is nearest to the centre, its parameters rounded to short fractions."""
        gap = [e - c for e, c in zip(form, self.centre, strict=True)]
        square = sp.Add(*(e**2 for e in gap))
        slope = sp.lambdify(parameters, [sp.diff(square, s) for s in parameters], "numpy")
        value = sp.lambdify(parameters, square, "numpy")
        best, least = None, np.inf
        for start in (*np.eye(len(parameters)), *-np.eye(len(parameters)), np.full(len(parameters), 0.5)):
            s, found = _descend(value, slope, np.array(start, dtype=float))
            if found < least - 1e-9:
                best, least = s, found
        if best is None:
            raise NotPolynomial("the parametrization has no finite value")
        table = {s: _short(float(x)) for s, x in zip(parameters, best, strict=True)}
        point = tuple(sp.cancel(e.xreplace(table)) for e in form)
        if not all(e.is_finite for e in point):
            raise NotPolynomial("the parametrization has no finite value")
        return point


def _descend(value: Any, slope: Any, s: np.ndarray) -> tuple[np.ndarray, float]:
    """Gradient descent with backtracking: the answer only says where to look."""
    step = 0.1
    with np.errstate(all="ignore"):
        now = float(value(*s))
        for _ in range(500):
            g = np.array(slope(*s), dtype=float)
            trial = s - step * g
            after = float(value(*trial))
            if after < now:
                s, now, step = trial, after, 2 * step
            else:
                step /= 4
            if not np.isfinite(g).all() or step * np.abs(g).max() < 1e-10:
                break
    return s, now if np.isfinite(now) else np.inf


def _short(x: float) -> sp.Rational:
    simple = sp.Rational(round(12 * x), 12)
    return simple if abs(float(simple) - x) < 1e-4 else sp.Rational(round(1e6 * x), 10**6)


def parametrize(
    equations: Sequence[sp.Expr], z: Sequence[sp.Symbol], parameters: Sequence[sp.Symbol]
) -> tuple[sp.Expr, ...] | None:
    """The coordinates as functions of the parameters, if each equation can be solved for a variable of its own.

    A variable whose coefficient is not constant is solved for only if coefficient and rest never vanish together.

    Examples
    --------
    >>> x, y, s = sp.symbols("x y s", real=True)
    >>> parametrize([x - y**2], [x, y], [s]), parametrize([x**2 + y**2 - 1], [x, y], [s])
    ((s**2, s), None)
    """
    left = [sp.expand(e) for e in equations]
    table: dict[sp.Symbol, sp.Expr] = {}
    while left:
        found = next(filter(None, (_solvable(e, z) for e in left)), None)
        if found is None:
            return None
        e, s, solution = found
        table = {a: sp.cancel(b.xreplace({s: solution})) for a, b in table.items()} | {s: solution}
        left = [sp.numer(sp.cancel(f.xreplace({s: solution}))) for f in left if f is not e]
        left = [sp.expand(f) for f in left if f != 0]
    free = [s for s in z if s not in table]
    if len(free) != len(parameters):
        return None
    names = dict(zip(free, parameters, strict=True))
    return tuple(table.get(s, s).xreplace(names) for s in z)


def _solvable(e: sp.Expr, z: Sequence[sp.Symbol]) -> tuple[sp.Expr, sp.Symbol, sp.Expr] | None:
    for constant in (True, False):
        for s in z:
            p = sp.Poly(e, s)
            if p.degree() != 1:
                continue
            slope, rest = p.nth(1), p.nth(0)
            if slope.is_number if constant else sp.groebner([slope, rest], *z, domain="QQ").exprs == [1]:
                return e, s, sp.cancel(-rest / slope)
    return None


def dimension(basis: sp.GroebnerBasis) -> int:
    """Of the complex zeros: the largest set of variables of which no leading monomial is made."""
    leading = [{k for k, e in enumerate(p.monoms(order=basis.order)[0]) if e} for p in basis.polys]
    d = len(basis.gens)
    for size in range(d, -1, -1):
        if any(all(m - set(u) for m in leading) for u in combinations(range(d), size)):
            return size
    return 0


def _split(e: sp.Expr) -> list[sp.Expr] | None:
    """The distinct irreducible factors of what is no such factor itself."""
    factors = sp.factor_list(e)[1]
    if len(factors) == 1 and factors[0][1] == 1 and _may_vanish(e):
        return None
    return [f for f, _ in factors]


def _may_vanish(f: sp.Expr) -> bool:
    """False only for what is positive or negative everywhere by the signs of even monomials, or has no real root."""
    p = sp.Poly(f)
    if len(p.gens) == 1:
        return bool(p.count_roots() > 0)
    even = all(k % 2 == 0 for m in p.monoms() for k in m)
    constant = p.nth(*([0] * len(p.gens)))
    return not (even and constant != 0 and len({sp.sign(c) for c in p.coeffs()}) == 1)


def _minors(matrix: sp.Matrix, size: int) -> list[sp.Expr]:
    if size > min(matrix.shape) or size < 1:
        return []
    found = (
        sp.expand(matrix.extract(list(r), list(c)).det(method="berkowitz"))
        for r in combinations(range(matrix.rows), size)
        for c in combinations(range(matrix.cols), size)
    )
    return [m for m in dict.fromkeys(found) if m != 0]
