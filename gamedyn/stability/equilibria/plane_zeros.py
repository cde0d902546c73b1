"""All real zeros of two polynomials in two variables, by resultants.

    Res_y(p, q)(x) = 0,   Res_x(p, q)(y) = 0        at every common zero (x, y)

Each pair of a real root of the one and a real root of the other is a zero, or none.  It is none where p or q is
farther from 0 than the digits of the roots allow; it is a zero where Krawczyk's test in 50 digits proves one in a box
that holds no other pair.  Where neither is proven, as at most zeros with singular Jacobian, another method is asked.

References
----------
.. [1] D. Cox, J. Little, D. O'Shea, Ideals, Varieties, and Algorithms, 4th ed., Springer (2015), section 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from gamedyn.stability.spectrum_signs import evaluated

__all__ = ["plane_zeros"]

_DIGITS = 50
_RELATIVE = "1e-40"  # error of the roots' digits, with room to spare
_RADIUS = "1e-25"


def plane_zeros(polynomials: Sequence[sp.Poly]) -> list[tuple[sp.Expr, sp.Expr]] | None:
    """The real zeros of two polynomials over the rationals, None where some pair of roots is not decided.

    Parameters
    ----------
    polynomials : sequence of Poly, `(2,)`
        In the same two variables, without common factor.

    Returns
    -------
    list of (Expr, Expr), or None
        Rational numbers, radicals of degree 2, otherwise `CRootOf`.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> plane_zeros([sp.Poly(x**2 - 2, x, y), sp.Poly(x - y, x, y)])
    [(-sqrt(2), -sqrt(2)), (sqrt(2), sqrt(2))]
    """
    p, q = (f.clear_denoms()[1] for f in polynomials)
    x, y = p.gens
    candidates = []
    for kept, eliminated in ((x, y), (y, x)):
        if max(f.degree(eliminated) for f in (p, q)) == 0:
            return None
        resultant = sp.resultant(p.as_expr(), q.as_expr(), eliminated)
        if not resultant.has(kept):
            return [] if resultant != 0 else None
        candidates.append([r for r, _ in sp.Poly(resultant, kept, domain="QQ").real_roots(multiple=False)])
    found = []
    test = _Pair(p, q)
    numbers = [[_digits(r) for r in roots] for roots in candidates]
    for a, first in zip(candidates[0], numbers[0], strict=True):
        for b, second in zip(candidates[1], numbers[1], strict=True):
            decided = test.is_zero([first, second])
            if decided is None:
                return None
            if decided:
                found.append((a, b))
    return found


class _Pair:
    """Decides whether a pair of real roots is a common zero."""

    def __init__(self, p: sp.Poly, q: sp.Poly) -> None:
        x, y = p.gens
        self.functions = [list(f.terms()) for f in (p, q)]
        self.slopes = [[list(f.diff(s).terms()) for s in (x, y)] for f in (p, q)]

    def is_zero(self, values: list[Any]) -> bool | None:
        """Whether two numbers, known to some 50 digits, are a zero; None if that is not decided."""
        from mpmath import mp, mpf

        with mp.workdps(_DIGITS):
            error = mpf(_RELATIVE)
            for terms in self.functions:
                parts = [int(c) * values[0] ** i * values[1] ** j for (i, j), c in terms]
                degree = 1 + max(i + j for (i, j), _ in terms)
                if abs(sum(parts)) > error * degree * sum(map(abs, parts)):
                    return False
            return self._holds_a_zero(values) or None

    def _holds_a_zero(self, values: list[Any]) -> bool:
        """Krawczyk's test in intervals of mpmath."""
        from mpmath import iv, mp, mpf

        iv.dps = _DIGITS
        radius = mpf(_RADIUS) * (1 + max(map(abs, values)))
        middle = [iv.mpf(v) for v in values]
        box = [iv.mpf([v - radius, v + radius]) for v in values]
        v = [_bounds(t, middle) for t in self.functions]
        J = [[_bounds(t, box) for t in row] for row in self.slopes]
        (e, f), (g, h) = ([mpf(entry.mid) for entry in row] for row in J)
        det = e * h - f * g
        if abs(det) <= mp.eps * (abs(e * h) + abs(f * g)):
            return False
        Y = [[iv.mpf(h / det), iv.mpf(-f / det)], [iv.mpf(-g / det), iv.mpf(e / det)]]
        reach = iv.mpf([-radius, radius])
        for k in range(2):
            row = [Y[k][0] * J[0][j] + Y[k][1] * J[1][j] for j in range(2)]
            gap = [(1 if j == k else 0) - row[j] for j in range(2)]
            image = -(Y[k][0] * v[0] + Y[k][1] * v[1]) + (gap[0] + gap[1]) * reach
            if not (image.a > -radius and image.b < radius):
                return False
        return True


def _digits(r: sp.Expr) -> Any:
    from mpmath import mp, mpf

    with mp.workdps(_DIGITS):
        return mpf(int(r.p)) / mpf(int(r.q)) if r.is_Rational else mpf(sp.Float(evaluated(r), _DIGITS)._mpf_)


def _bounds(terms: Sequence[tuple[tuple[int, int], sp.Expr]], point: Sequence[Any]) -> Any:
    from mpmath import iv

    total = iv.mpf(0)
    for (i, j), c in terms:
        total += int(c) * point[0] ** i * point[1] ** j
    return total
