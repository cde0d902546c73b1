"""Where a game is defined: v may have zeros at which a cost is not real, since differentiation forgets domains.

c = log(x) + x,    c'(x) = 1/x + 1 = 0  at  x = -1,    log(-1) = iπ
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

__all__ = ["is_defined", "is_real_nowhere"]

_DIGITS = 30
_REAL = 1e-15  # imaginary part, relative, that evaluation with 30 digits may leave
_INFINITE = (sp.nan, sp.zoo, sp.oo, -sp.oo)


def is_defined(expressions: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], point: Sequence[Any]) -> bool:
    """Whether all expressions are real and finite at a point; True where free parameters leave it open.

    Parameters
    ----------
    expressions : sequence of Expr
        Costs, or the components of v.
    symbols : sequence of Symbol, `(d,)`
    point : sequence of numbers, `(d,)`
        SymPy numbers or floats.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> is_defined([sp.log(x) + x], [x], [-1]), is_defined([sp.log(x) + x], [x], [2.0])
    (False, True)
    """
    table = {s: sp.sympify(a) for s, a in zip(symbols, point, strict=True)}
    return all(_is_real(e.xreplace(table)) for e in expressions if not e.is_polynomial(*symbols))


def _is_real(value: sp.Expr) -> bool:
    if value.has(*_INFINITE):
        return False
    if value.free_symbols:
        return value.is_real is not False
    number = value.evalf(_DIGITS)
    if number.has(*_INFINITE):
        return False
    real, imaginary = number.as_real_imag()
    return not (imaginary.is_number and abs(imaginary) > _REAL * (1 + abs(real)))


def is_real_nowhere(x: sp.Expr) -> bool:
    """Whether a number with real parameters is real for none of their values, or for exceptional ones alone.

    Such are the numbers whose imaginary part is a rational function, or the root of one, that is not identically zero.

    Examples
    --------
    >>> a = sp.Symbol("a", real=True)
    >>> is_real_nowhere(sp.I * a / 6), is_real_nowhere(sp.sqrt(a)), is_real_nowhere(a / 3)
    (True, False, False)
    """
    if x.is_real is not None:
        return not x.is_real
    if any(not p.exp.is_integer and not p.base.is_nonnegative for p in x.atoms(sp.Pow)):
        return False  # a root that is real for some values
    square = sp.expand(x.as_real_imag()[1] ** 2)
    if not square.is_rational_function(*square.free_symbols):
        return False
    values = {s: sp.Rational(7 + 5 * k, 11) for k, s in enumerate(sorted(square.free_symbols, key=str))}
    return bool(abs(square.xreplace(values).evalf(_DIGITS)) > _REAL)
