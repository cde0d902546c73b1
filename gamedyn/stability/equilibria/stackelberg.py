"""Differential Stackelberg points: the leader is at a strict minimum when the follower's best answer is counted in.

    v_f = 0,  D_ff c_f > 0,   so that  y = r(x),  r' = -(D_ff c_f)⁻¹ D_fl c_f,  solves  v_f(x, r(x)) = 0           (1)
    dc_l/dx = ∇_l c_l + r'ᵀ ∇_f c_l = 0                                                                            (2)
    d²c_l/dx² = (I, r')ᵀ ∇²c_l (I, r') - (I, r')ᵀ ∇²(wᵀ∇_f c_f) (I, r') > 0,   w = (D_ff c_f)⁻¹ ∇_f c_l            (3)

In a zero-sum game ∇_f c_l = 0 wherever v = 0, and (3) is the Schur complement of a local minimax point.  In general
sum it does not vanish there: a zero of v need not satisfy (2), and (3) has third derivatives of the follower's cost in
it.

References
----------
.. [1] T. Fiez, B. Chasnov, L. Ratliff, Implicit learning dynamics in Stackelberg games: equilibria characterization,
   convergence analysis, and empirical study, ICML 2020, arXiv:1906.01217.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.games.functions import exact_number, fresh
from gamedyn.stability.second_order import SecondOrder, entries, second_order, tidy
from gamedyn.stability.spectrum_signs import definiteness, is_exact, sign

__all__ = ["follower_answer", "is_differential_stackelberg", "require_length", "total_second_derivative"]

_STATIONARY = 1e3  # slack of float signs: points are zeros up to 1e-6 of the size of J


def is_differential_stackelberg(
    game: Any, z: Sequence[Any], leader: int = 0, *, params: Mapping[str, Any] | None = None
) -> bool:
    """Whether z is a differential Stackelberg point of a two-player game.

    Parameters
    ----------
    game : game
        Two players with costs.
    z : sequence of numbers, `(d,)`
        Any point: v need not vanish there, since the leader's own gradient need not.
    leader : {0, 1}
        Who moves first.
    params : mapping, optional
        Parameter values.

    Raises
    ------
    ValueError
        If the game has not two players, or `leader` is neither.
    NotInThisWorld
        If the game has no costs, or (3) needs third derivatives and the game has no formulas.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.equilibria.stackelberg import is_differential_stackelberg
    >>> cournot = gd.Game(["-x*(3 - x - y)", "-y*(3 - x - y)"], players=["x", "y"])
    >>> nash, led = [1, 1], ["3/2", "3/4"]
    >>> import sympy as sp
    >>> [is_differential_stackelberg(cournot, [sp.Rational(a) for a in z]) for z in (nash, led)]
    [False, True]
    """
    if leader not in (0, 1):
        raise ValueError(f"leader is {leader!r}; give 0 (the first player leads) or 1")
    require_length(game, z)
    data = second_order(game, z, params=params)
    if data.hessians is None:
        raise NotInThisWorld(
            "hvp", "exact", "the game is given by its field alone, and Stackelberg points belong to costs"
        )
    if len(data.players) != 2:
        raise ValueError(f"a Stackelberg point needs a leader and a follower; the game has {len(data.players)} players")
    follow = data.players[1 - leader].slice
    assert data.gradients is not None
    answer = follower_answer(data, leader)
    if answer is None or not _vanishes(data.gradients[1 - leader], follow, data):
        return False
    if not all(_is_small(x, data) for x in _total_gradient(data, leader, answer)):
        return False
    second = total_second_derivative(data, leader, answer)
    if second is None:
        second = _plain_second(data, leader, answer) - _bend(game, z, data, leader, answer, params)
    return definiteness(_symmetric(second))[0] == "positive"


def require_length(game: Any, z: Sequence[Any]) -> None:
    """ValueError if the point of a game or field has another number of coordinates."""
    d = game.players[-1].stop
    if len(z) != d:
        name = "the field" if isinstance(game, Field) else f"'{game.name}'"
        raise ValueError(f"{name} has d = {d} coordinates, got a point with {len(z)}")


def follower_answer(data: SecondOrder, leader: int) -> Any:
    """r' `(n_f, n_l)` of (1), None where the follower's curvature is not positive definite."""
    assert data.hessians is not None
    lead, follow = (data.players[k].slice for k in (leader, 1 - leader))
    H = data.hessians[1 - leader]
    if definiteness(H[follow, follow])[0] != "positive":
        return None
    return -_solve(H[follow, follow], H[follow, lead])


def total_second_derivative(data: SecondOrder, leader: int, answer: Any) -> Any:
    """(3) where the follower's part of ∇c_l vanishes; None elsewhere, where third derivatives enter."""
    assert data.gradients is not None
    if not _vanishes(data.gradients[leader], data.players[1 - leader].slice, data):
        return None
    return _plain_second(data, leader, answer)


def has_total_gradient(data: SecondOrder, leader: int, answer: Any) -> bool:
    """Whether (2) fails."""
    return not all(_is_small(x, data) for x in _total_gradient(data, leader, answer))


def _total_gradient(data: SecondOrder, leader: int, answer: Any) -> list[Any]:
    assert data.gradients is not None
    lead, follow = (data.players[k].slice for k in (leader, 1 - leader))
    g = data.gradients[leader]
    own, other = (_part(g, lead), _part(g, follow))
    total = own + answer.T @ other
    return [tidy(x) for x in total] if is_exact(total) else list(np.ravel(total))


def _plain_second(data: SecondOrder, leader: int, answer: Any) -> Any:
    assert data.hessians is not None
    return _along(data.hessians[leader], data, leader, answer)


def _along(H: Any, data: SecondOrder, leader: int, answer: Any) -> Any:
    """(I, r')ᵀ H (I, r')."""
    lead, follow = (data.players[k].slice for k in (leader, 1 - leader))
    return H[lead, lead] + H[lead, follow] @ answer + answer.T @ H[follow, lead] + answer.T @ H[follow, follow] @ answer


def _bend(game: Any, z: Sequence[Any], data: SecondOrder, leader: int, answer: Any, params: Any) -> Any:
    """(I, r')ᵀ ∇²(wᵀ∇_f c_f) (I, r'): what the curvature of the best answer adds, by formulas."""
    assert data.hessians is not None
    assert data.gradients is not None
    follow = data.players[1 - leader].slice
    w = _solve(data.hessians[1 - leader][follow, follow], _part(data.gradients[leader], follow))
    F = game.field("exact", params)
    symbols = column(fresh(len(z), "z"))
    weights = [sp.S.Zero] * len(z)
    weights[follow] = [exact_number(x) for x in np.ravel(np.array(w, dtype=object))]
    slope = F.hvp(1 - leader, symbols, column(weights))
    third = slope.jacobian(symbols).xreplace(dict(zip(symbols, map(exact_number, z), strict=True)))
    if not is_exact(data.jacobian):
        third = np.array(third.evalf(30).tolist(), dtype=float)
    return _along(third, data, leader, answer)


def _part(g: Any, which: slice) -> Any:
    return g[which, :] if is_exact(g) else g[which]


def _vanishes(g: Any, which: slice, data: SecondOrder) -> bool:
    return all(_is_small(x, data) for x in entries(_part(g, which)))


def _is_small(x: Any, data: SecondOrder) -> bool:
    return sign(x, 1.0 if is_exact(data.jacobian) else data.size * _STATIONARY) in (0, None)


def _symmetric(m: Any) -> Any:
    return sp.ImmutableMatrix(((m + m.T) / 2).applyfunc(tidy)) if is_exact(m) else (m + m.T) / 2


def _solve(A: Any, B: Any) -> Any:
    if is_exact(A):
        return sp.ImmutableMatrix(sp.Matrix(A).LUsolve(sp.Matrix(B)).applyfunc(tidy))
    return np.linalg.solve(A, B)
