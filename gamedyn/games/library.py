"""The library of named games (being written)."""

from __future__ import annotations

import numpy as np
import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.symbolic import SymbolicGame, zero_sum

__all__ = ["bilinear"]


def bilinear(A=1) -> SymbolicGame:
    M = sp.Matrix(np.atleast_2d(np.array(A, dtype=object))).applyfunc(exact_number)
    n, m = M.shape
    x = sp.symbols(f"x1:{n+1}", real=True) if n > 1 else [sp.Symbol("x", real=True)]
    y = sp.symbols(f"y1:{m+1}", real=True) if m > 1 else [sp.Symbol("y", real=True)]
    f = sum(M[i, j] * x[i] * y[j] for i in range(n) for j in range(m))
    return zero_sum(f, min=[s.name for s in x], max=[s.name for s in y], name="bilinear")
