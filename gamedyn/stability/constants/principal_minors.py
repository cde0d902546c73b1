"""A proof that a symmetric matrix of formulas is positive semidefinite over a box: no principal minor is negative."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import sympy as sp

from gamedyn.stability.constants.exact_minimum import connected
from gamedyn.stability.intervals.intervals import IntervalFunction

__all__ = ["is_semidefinite"]

_LARGEST = 4  # rows of a part whose minors are bounded
_LONG = 400  # operations up to which a minor is expanded and factored


def is_semidefinite(S: sp.MatrixBase, z: Sequence[sp.Symbol], low: np.ndarray, high: np.ndarray) -> bool:
    """Whether interval bounds show S(z) >= 0 for every z of a box, which may be the whole space.

    This proves what a search for λ_min cannot: that a minimum is 0 and not a little below.

    Parameters
    ----------
    S : Matrix `(d, d)`
        Symmetric, of expressions in z.
    z : sequence of Symbol
    low, high : ndarray `(d,)`
        Infinite ends are fine.

    Raises
    ------
    ValueError
        If an entry has a function without bounds.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> S = sp.Matrix([[3 * x**2 + y**2, 2 * x * y], [2 * x * y, x**2 + 3 * y**2]])
    >>> is_semidefinite(S, [x, y], np.full(2, -np.inf), np.full(2, np.inf))
    True
    """
    minors = []
    for part in connected(S):
        if len(part) > _LARGEST:
            return False
        for size in range(1, len(part) + 1):
            for k in itertools.combinations(part, size):
                minors.append(_short(S.extract(list(k), list(k)).det(method="berkowitz"), z))
    return bool((IntervalFunction(minors, z)(low[:, None], high[:, None])[0] >= 0).all())


def _short(e: sp.Expr, z: Sequence[sp.Symbol]) -> sp.Expr:
    """A polynomial as factors, where even powers show."""
    return sp.factor(sp.expand(e)) if e.is_polynomial(*z) and e.count_ops() <= _LONG else e
