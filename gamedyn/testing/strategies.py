"""Hypothesis strategies for games with known spectra.

Spectra are drawn first and matrices assembled from them with drawn rotations, so that every example has
known constants and shrinks towards a simple game.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.symbolic import Game, SymbolicGame, zero_sum

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError('gamedyn.testing.strategies needs Hypothesis: pip install "gamedyn[test]"') from error

__all__ = ["bilinear_games", "monotone_games", "points", "quadratic_games", "step_sizes", "strongly_monotone_games"]

DIGITS = 12  # decimals kept of a matrix entry, so that formulas stay readable and orthogonality holds to 1e-11


def _floats(low: float, high: float) -> Any:
    return st.floats(low, high, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@st.composite
def orthogonal(draw: Any, d: int) -> np.ndarray:
    """An orthogonal (d, d) matrix: a product of Givens rotations by drawn angles; angle 0 shrinks to the identity."""
    Q = np.eye(d)
    for i in range(d):
        for j in range(i + 1, d):
            c, s = np.cos(angle := draw(_floats(0.0, np.pi))), np.sin(angle)
            Q[[i, j]] = np.array([[c, -s], [s, c]]) @ Q[[i, j]]
    return Q


def _form(M: np.ndarray, left: Sequence[sp.Symbol], right: Sequence[sp.Symbol]) -> sp.Expr:
    """leftᵀ M right with decimals as rationals."""
    terms = (
        exact_number(round(float(M[i, j]), DIGITS)) * a * b for i, a in enumerate(left) for j, b in enumerate(right)
    )
    return sp.Add(*terms)


def _names(prefix: str, size: int) -> list[sp.Symbol]:
    return [sp.Symbol(f"{prefix}{k + 1}", real=True) for k in range(size)]


@st.composite
def bilinear_games(draw: Any, max_size: int = 3, low: float = 0.1, high: float = 2.0) -> SymbolicGame:
    """f = xᵀAy with A (n, n), 1 <= n <= `max_size`, singular values in [`low`, `high`].

    The equilibrium is 0, and the eigenvalues of J are ±i times the singular values.
    """
    n = draw(st.integers(1, max_size))
    sigma = draw(st.lists(_floats(low, high), min_size=n, max_size=n))
    A = draw(orthogonal(n)) @ np.diag(sigma) @ draw(orthogonal(n))
    x, y = _names("x", n), _names("y", n)
    return zero_sum(_form(A, x, y), min=x, max=y, name="bilinear")


@st.composite
def quadratic_games(draw: Any, max_players: int = 3, max_size: int = 2, bound: float = 2.0) -> SymbolicGame:
    """cᵢ = ½zᵀHᵢz, each Hᵢ = QΛQᵀ symmetric with eigenvalues in [-`bound`, `bound`]; general-sum, equilibrium 0."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_players))
    groups = [_names(f"x{i + 1}_", n) for i, n in enumerate(sizes)]
    z = [s for g in groups for s in g]
    costs = []
    for _ in sizes:
        Q = draw(orthogonal(len(z)))
        eigenvalues = draw(st.lists(_floats(-bound, bound), min_size=len(z), max_size=len(z)))
        costs.append(_form(Q @ np.diag(eigenvalues) @ Q.T, z, z) / 2)
    return Game(costs, players=groups, name="quadratic")


def monotone_games(max_size: int = 2, L: float = 2.0) -> Any:
    """Convex-concave quadratic zero-sum games with ‖J‖ <= `L`: symmetric part of J in [0, L/2], coupling <= L/2."""
    return _convex_concave(max_size, 0.0, L / 2, L / 2)


def strongly_monotone_games(mu: float = 0.1, L: float = 2.0, max_size: int = 2) -> Any:
    """Zero-sum quadratic games with ⟨Jz, z⟩ >= `mu`|z|² and ‖J‖ <= `L`.

    Parameters
    ----------
    mu, L : float
    max_size : int
        Largest number of variables of each player.

    Raises
    ------
    ValueError
        Unless 0 < mu < L.
    """
    if not 0 < mu < L:
        raise ValueError(f"strongly monotone games need 0 < mu < L, got mu={mu}, L={L}")
    margin = 1e-9 * (L - mu)  # more than rounding the entries takes away, unless mu and L are absurdly close
    half = (L - mu) / 2
    return _convex_concave(max_size, mu + margin, mu + half, half - margin)


@st.composite
def _convex_concave(draw: Any, max_size: int, low: float, high: float, coupling: float) -> SymbolicGame:
    n = draw(st.integers(1, max_size))
    x, y = _names("x", n), _names("y", n)
    blocks = []
    for _ in range(2):
        Q = draw(orthogonal(n))
        blocks.append(Q @ np.diag(draw(st.lists(_floats(low, max(low, high)), min_size=n, max_size=n))) @ Q.T)
    sigma = draw(st.lists(_floats(0.0, coupling), min_size=n, max_size=n))
    A = draw(orthogonal(n)) @ np.diag(sigma) @ draw(orthogonal(n))
    f = _form(blocks[0], x, x) / 2 + _form(A, x, y) - _form(blocks[1], y, y) / 2
    return zero_sum(f, min=x, max=y, name="convex-concave quadratic")


def points(d: int, bound: float = 1.0) -> Any:
    """Float arrays `(d,)` with entries in [-`bound`, `bound`]."""
    return st.lists(_floats(-bound, bound), min_size=d, max_size=d).map(np.array)


def step_sizes(low: float, high: float, away_from: Sequence[float] = (), margin: float = 1e-3) -> Any:
    """Step sizes in [`low`, `high`], at least `margin` away from every threshold.

    Raises
    ------
    ValueError
        If no step size is left.
    """
    edges = [low]
    for t in sorted(away_from):
        edges += [t - margin, t + margin]
    edges.append(high)
    pieces = [(max(a, low), min(b, high)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    pieces = [(a, b) for a, b in pieces if a <= b]
    if not pieces:
        raise ValueError(f"no step size in [{low}, {high}] is {margin} away from {list(away_from)}")
    return st.one_of(*(_floats(a, b) for a, b in pieces))
