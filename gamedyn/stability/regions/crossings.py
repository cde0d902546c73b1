"""How a root meets the unit circle at a boundary point, where one root or one complex pair does so alone.

At a zero h of a critical polynomial the exact decision works in the number field of h, which is slow beyond degree
ten or so. The generic case needs less. Disjoint discs around the roots, from 50 digits, tell which root may be on the
circle, and an exact zero says that it is:

    f(+-1; h) = 0 and one disc contains +-1             => that root is +-1
    prod_{i<j} (1 - z_i z_j) = 0 and one pair may have z_i z_j = 1, the pair being complex conjugate    => |z_i| = 1

A disc of radius n |f(w)/f'(w)| around any w contains a root of f.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal

import mpmath
import sympy as sp

from gamedyn.stability.regions.number_fields import RealRoot, evaluate
from gamedyn.stability.regions.schur_cohn import is_self_reciprocal, jury_determinant

__all__ = ["simple_crossing"]

_DIGITS = 50
_RADIUS = mpmath.mpf("1e-35")
_APART = mpmath.mpf("1e-15")


def simple_crossing(f: sp.Poly, root: RealRoot) -> Literal["outside", "inside", "circle"] | None:
    """Where the roots of f are at h = root: one outside, all inside, or all inside but a simple root or pair on it.

    Parameters
    ----------
    f : sympy.Poly
        Polynomial in zeta over K[h], irreducible over K(h).
    root : RealRoot
        The step.

    Returns
    -------
    str or None
        None where the roots are too close to each other, or too many of them meet the circle at once.
    """
    with mpmath.workdps(_DIGITS):
        centres = _separated_roots(f, root)
        if centres is None:
            return None
        if any(abs(w) > 1 + _RADIUS for w in centres):
            return "outside"
        near = [w for w in centres if abs(w) >= 1 - _RADIUS]
        if not near:
            return "inside"
        real = [w for w in near if abs(mpmath.im(w)) <= _RADIUS]
        if not all(_is_zero(f.rep.eval(f.domain.convert(1 if mpmath.re(w) > 0 else -1)), f, root) for w in real):
            return None
        if len(real) == len(near):
            return "circle"
        reciprocal = sum(abs(a * b - 1) <= 4 * _RADIUS for a, b in combinations(centres, 2))
        alone = len(near) - len(real) == 2 and reciprocal == 1 and not is_self_reciprocal(f)
        return "circle" if alone and _is_zero(jury_determinant(f), f, root) else None


def _separated_roots(f: sp.Poly, root: RealRoot) -> list[Any] | None:
    """All roots at h = root within 1e-35, if they are at least 1e-15 apart and the degree does not drop."""
    x, base, n = root.digits(_DIGITS), f.domain.domain, f.degree()
    coefficients = [
        mpmath.polyval([evaluate(base.to_sympy(q), _DIGITS) for q in c.to_dense()] or [0], x) for c in f.rep.to_list()
    ]
    if abs(coefficients[0]) < _APART:
        return None
    try:
        centres = mpmath.polyroots(coefficients, maxsteps=60, extraprec=100)
    except mpmath.libmp.NoConvergence:
        return None
    if any(abs(a - b) < _APART for a, b in combinations(centres, 2)):
        return None
    for w in centres:
        value, slope = mpmath.polyval(coefficients, w, derivative=True)
        if slope == 0 or n * abs(value / slope) > _RADIUS / 2:
            return None
    return list(centres)


def _is_zero(value: Any, f: sp.Poly, root: RealRoot) -> bool:
    """Whether an element of K[h] vanishes at h = root, exactly."""
    m = root.minimal
    return bool(sp.Poly(f.domain.to_sympy(value), m.gen, domain=m.domain).rem(m).is_zero)
