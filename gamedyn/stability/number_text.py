"""Numbers on a few characters, for tables and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["format_eigenvalues", "format_number"]


def format_number(x: Any) -> str:
    """A number on a few characters: exact where short, six digits otherwise.

    Examples
    --------
    >>> import sympy as sp
    >>> format_number(sp.sqrt(2) - 2), format_number(sp.CRootOf(sp.Symbol("t") ** 5 - 3, 0)), format_number(1 / 3)
    ('-2 + sqrt(2)', '1.24573', '0.333333')
    """
    if isinstance(x, sp.Expr):
        if not x.has(sp.CRootOf) and (x.free_symbols or len(str(x)) <= 14):
            return str(x)
        x = complex(x.evalf(20)) if x.is_number else x
    if isinstance(x, (complex, np.complexfloating)):
        return _format_complex(complex(x))
    return f"{float(x):.6g}" if abs(float(x)) > 1e-15 else "0"


def _format_complex(x: complex, both: bool = False) -> str:
    real = "" if abs(x.real) <= 1e-12 * abs(x) else f"{x.real:.6g}"
    if abs(x.imag) <= 1e-12 * abs(x):
        return real or "0"
    size = "" if abs(abs(x.imag) - 1) < 1e-12 else f"{abs(x.imag):.6g}"
    return f"{real}{'±' if both else '-' if x.imag < 0 else '+' if real else ''}{size}i"


def format_eigenvalues(values: Sequence[Any]) -> str:
    """Eigenvalues on one line, conjugate pairs as a±bi.

    Examples
    --------
    >>> format_eigenvalues((1 - 2j, 1 + 2j, 3.0))
    '1±2i, 3'
    """
    if any(isinstance(v, sp.Expr) and v.free_symbols for v in values):
        return ", ".join(str(v) for v in values)
    numbers = [complex(sp.N(v, 20)) if isinstance(v, sp.Expr) else complex(v) for v in values]
    shown = []
    for v, x in zip(values, numbers, strict=True):
        if abs(x.imag) <= 1e-12 * abs(x):
            shown.append(format_number(v if isinstance(v, sp.Expr) else x.real))
        elif x.imag > 0:
            shown.append(_format_complex(x, both=True))
    return ", ".join(shown)
