"""Signs of numbers, of symmetric matrices and of the real parts of a spectrum: exact where the entries are.

A sign is 1, 0, -1, or None where neither algebra nor 50 digits decide it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

__all__ = ["SpectrumSigns", "definiteness", "eigenvalues", "is_exact", "sign", "spectrum_signs"]

Sign = int | None
TOLERANCE = 1e-9  # of floats, relative to the size of the matrix that they belong to
_DIGITS = 50
_ZERO = sp.Float("1e-30", _DIGITS)
_ROOTED = 8  # rows up to which a matrix with roots in it is tried for a rational characteristic polynomial
_AXIS = 1e-20  # real parts of 50-digit eigenvalues below this may be zero


class SpectrumSigns(NamedTuple):
    """How many eigenvalues have Re λ > 0, λ = 0, λ = ±iω, Re λ < 0, and how many are undecided."""

    positive: int = 0
    zero: int = 0
    imaginary: int = 0
    negative: int = 0
    undecided: int = 0


def is_exact(m: Any) -> bool:
    """Whether a matrix or number is SymPy's."""
    return isinstance(m, (sp.MatrixBase, sp.Basic))


def sign(x: Any, size: float = 1.0) -> Sign:
    """The sign of a real number: exact for SymPy, up to 1e-9 `size` for floats.

    Examples
    --------
    >>> sign(sp.sqrt(2) * sp.sqrt(3) - sp.sqrt(6)), sign(sp.pi - 3), sign(-1e-12), sign(sp.Symbol("a", real=True))
    (0, 1, 0, None)
    """
    if not isinstance(x, sp.Expr):
        return 0 if abs(x) <= TOLERANCE * size else (1 if x > 0 else -1)
    known = _assumed_sign(x)
    if known is not None or x.free_symbols:
        return known if known is not None else _assumed_sign(sp.factor(x))
    value = sp.re(evaluated(x))
    if abs(value) > _ZERO:
        return 1 if value > 0 else -1
    return 0 if _is_zero(x) else None


def evaluated(x: Any) -> Any:
    """A number, or a matrix of numbers, to 50 digits; each root without radicals is refined only once."""
    return x.xreplace({r: _root_value(r) for r in x.atoms(sp.CRootOf)}).evalf(_DIGITS)


@lru_cache(maxsize=1024)
def _root_value(root: sp.CRootOf) -> sp.Expr:
    return root.evalf(2 * _DIGITS)


def _assumed_sign(x: sp.Expr) -> Sign:
    if x.has(sp.CRootOf):  # SymPy's assumptions would refine the root again and again
        return None
    return 0 if x.is_zero else 1 if x.is_positive else -1 if x.is_negative else None


def _is_zero(x: sp.Expr) -> bool:
    """x = 0, proven; algebraic numbers by reduction modulo the minimal polynomial of their one root."""
    if sp.expand(x) == 0:
        return True
    roots = list(x.atoms(sp.CRootOf))
    if not roots:
        return bool(sp.simplify(x) == 0)
    t = sp.Dummy("t")
    inside = x.xreplace({roots[0]: t})
    if len(roots) > 1 or not inside.is_polynomial(t):
        return False
    return bool(sp.rem(sp.Poly(inside, t), sp.Poly(roots[0].poly.as_expr(), *roots[0].poly.gens).replace(t)).is_zero)


def definiteness(m: Any) -> tuple[str, Any]:
    """Of a symmetric matrix: "positive", "semidefinite", "indefinite" (some negative eigenvalue) or "undecided".

    det(sI + M) has the elementary symmetric functions eₖ of the real eigenvalues as coefficients: M > 0 iff every
    eₖ > 0, M >= 0 iff every eₖ >= 0.

    Returns
    -------
    state : str
    number
        The entry of a 1x1 matrix, otherwise the smallest eigenvalue (a float, or the matrix's determinant where it
        contains symbols).
    """
    if not is_exact(m):
        smallest = float(np.linalg.eigvalsh((m + m.T) / 2)[0])
        state = {1: "positive", 0: "semidefinite", -1: "indefinite"}[sign(smallest, _size(m)) or 0]
        return state, smallest
    signs = [sign(e) for e in _symmetric_functions(m)]
    if any(s == -1 for s in signs):
        state = "indefinite"
    elif None in signs:
        state = "undecided"
    else:
        state = "positive" if all(s == 1 for s in signs) else "semidefinite"
    if m.rows == 1:
        return state, m[0, 0]
    return state, m.det() if m.free_symbols else float(np.linalg.eigvalsh(_floats(m))[0])


def _symmetric_functions(m: sp.MatrixBase) -> list[sp.Expr]:
    """e₁ = tr, …, eₙ = det of the eigenvalues; written out for small matrices, whose entries may be long."""
    if m.rows <= 2:
        return [m.trace(), m.det()][2 - m.rows :]
    return [c * (-1) ** (k + 1) for k, c in enumerate(m.charpoly().all_coeffs()[1:])]


def spectrum_signs(m: Any) -> SpectrumSigns:
    """Where the eigenvalues of a real matrix lie with respect to the imaginary axis.

    Trace and determinant decide 2x2 matrices.  A larger matrix with rational characteristic polynomial is decided by
    the irreducible factors of that polynomial: such a factor has a root on the axis only if it is s, or a
    polynomial in s².
    """
    if m.shape == (1, 1):
        return _count([sign(m[0, 0], _size(m))])
    if m.shape == (2, 2):
        return _planar(m)
    polynomial = _rational_polynomial(m)
    if polynomial is not None:
        return _add([_factor_signs(f, k) for f, k in polynomial.factor_list()[1]])
    if is_exact(m) and m.free_symbols:
        return SpectrumSigns(undecided=m.rows)
    return _numeric_signs(m)


def _rational_polynomial(m: Any) -> sp.Poly | None:
    """The characteristic polynomial if its coefficients are rational, those of the matrix too or up to some roots."""
    if not is_exact(m) or m.free_symbols:
        return None
    if all(x.is_Rational for x in m):
        return m.charpoly()
    if m.rows > _ROOTED or not _is_short(m):
        return None
    coefficients = [sp.expand(c) for c in m.charpoly().all_coeffs()]
    return sp.Poly(coefficients, sp.Dummy("s")) if all(c.is_Rational for c in coefficients) else None


def _planar(m: Any) -> SpectrumSigns:
    size = _size(m)
    trace = sign(m[0, 0] + m[1, 1], size)
    det = sign(m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0], size**2)
    if det == -1:
        return SpectrumSigns(positive=1, negative=1)
    if trace is None or det is None:
        return SpectrumSigns(undecided=2)
    if det == 0:
        return _count([0, trace])
    return SpectrumSigns(imaginary=2) if trace == 0 else _count([trace, trace])


def _factor_signs(f: sp.Poly, multiplicity: int) -> SpectrumSigns:
    even = all(k % 2 == 0 for (k,) in f.monoms())
    signs = [_count([0])] if f.degree() == 1 and f.nth(0) == 0 else []
    for root in [] if signs else f.nroots(n=30, maxsteps=200):
        real = float(sp.re(root))
        if even and abs(real) < _AXIS:
            signs.append(SpectrumSigns(imaginary=1))
        else:
            signs.append(_count([1 if real > 0 else -1]))
    return _add(signs * multiplicity)


def _numeric_signs(m: Any) -> SpectrumSigns:
    values = eigenvalues(m)
    if is_exact(m):
        if sign(m.det()) != 0 and all(abs(complex(v).real) > TOLERANCE for v in values):
            return _count([1 if complex(v).real > 0 else -1 for v in values])
        values = tuple(complex(v) for v in values)
    size = _size(m)
    signs = []
    for v in values:
        if abs(v.real) > TOLERANCE * size:
            signs.append(_count([1 if v.real > 0 else -1]))
        elif is_exact(m):
            signs.append(SpectrumSigns(undecided=1))
        else:
            signs.append(SpectrumSigns(zero=1) if abs(v) <= TOLERANCE * size else SpectrumSigns(imaginary=1))
    return _add(signs)


def eigenvalues(m: Any) -> tuple[Any, ...]:
    """Eigenvalues by increasing real and imaginary part.

    Returns
    -------
    tuple
        SymPy numbers where the characteristic polynomial splits into factors of degree at most 2 over the entries'
        field and the entries are short; complex numbers otherwise; empty for symbols that do not split.
    """
    if not is_exact(m):
        return tuple(sorted((complex(v) for v in np.linalg.eigvals(m)), key=_key))
    if _is_short(m):
        radicals = _radical_eigenvalues(m)
        if radicals is not None:
            return radicals
    if m.free_symbols:
        return ()
    polynomial = _rational_polynomial(m)
    if polynomial is not None:
        roots = [r for f, k in polynomial.factor_list()[1] for r in f.nroots(n=30, maxsteps=200) * k]
        return tuple(sorted((complex(r) for r in roots), key=_key))
    return tuple(sorted((complex(v) for v in np.linalg.eigvals(_floats(m))), key=_key))


def _radical_eigenvalues(m: sp.MatrixBase) -> tuple[sp.Expr, ...] | None:
    s = sp.Dummy("s")
    if m.rows <= 2:
        factors = [(m.charpoly(s), 1)]
    elif all(x.is_Rational or x.free_symbols for x in m):
        factors = m.charpoly(s).factor_list()[1]
    else:
        polynomial = _rational_polynomial(m)
        if polynomial is None:
            return None
        factors = polynomial.factor_list()[1]
    if any(f.degree() > 2 for f, _ in factors):
        return None
    values = [r for f, k in factors for r in _quadratic_roots(f) * k]
    return tuple(values if m.free_symbols else sorted(values, key=lambda v: _key(complex(v.evalf(20)))))


def _quadratic_roots(f: sp.Poly) -> list[sp.Expr]:
    if f.degree() == 1:
        return [-f.nth(0) / f.nth(1)]
    half = -f.nth(1) / (2 * f.nth(2))
    inside = (
        sp.factor(half**2 - f.nth(0) / f.nth(2))
        if f.free_symbols
        else sp.radsimp(sp.expand(half**2 - f.nth(0) / f.nth(2)))
    )
    root = sp.sqrtdenest(sp.sqrt(inside))
    return [sp.expand(half - root), sp.expand(half + root)]


def _is_short(m: sp.MatrixBase) -> bool:
    return not m.has(sp.CRootOf) and all(x.count_ops() <= 40 for x in m)


def _floats(m: sp.MatrixBase) -> np.ndarray:
    return np.array(evaluated(sp.ImmutableMatrix(m)).tolist(), dtype=float)


def _size(m: Any) -> float:
    return 1.0 if is_exact(m) else max(1.0, float(np.abs(m).max()))


def _key(v: complex) -> tuple[float, float]:
    return (round(v.real, 9), round(v.imag, 9))


def _count(signs: list[Sign]) -> SpectrumSigns:
    return SpectrumSigns(signs.count(1), signs.count(0), 0, signs.count(-1), signs.count(None))


def _add(parts: list[SpectrumSigns]) -> SpectrumSigns:
    return SpectrumSigns(*(sum(column) for column in zip(*parts, strict=True))) if parts else SpectrumSigns()
