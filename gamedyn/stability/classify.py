"""Classes of equilibria: what the second derivatives of the costs and the spectrum of J = Dv say about a zero of v.

    strict local Nash    every own block  PᵢHᵢPᵢ > 0,  Hᵢ = ∇²cᵢ
    local minimax        f_yy < 0  and  f_xx - f_xy f_yy⁻¹ f_yx > 0       (zero-sum f, x leads)
    local maximin        f_xx > 0  and  f_yy - f_yx f_xx⁻¹ f_xy < 0       (zero-sum f, y leads)
    stable non-Nash      every Re λ(J) > 0, though some player could gain by deviating alone
    stable, unstable, center, degenerate, undecided      what the flow ż = -v(z) alone says

The first that holds names the point; an unstable strict Nash (general sum) and an unstable local minimax exist, so the
evidence always ends with the flow.  In a zero-sum game of 1 + 1 dimensions every stable point that is no strict Nash is
a local minimax or a local maximin; the latter are called "stable non-Nash", because the leader is the wrong player.

References
----------
.. [1] C. Jin, P. Netrapalli, M. Jordan, What is local optimality in nonconvex-nonconcave minimax optimization?,
   ICML 2020, arXiv:1902.00618.
.. [2] L. Adolphs et al., Local saddle point optimization: a curvature exploitation approach, AISTATS 2019,
   arXiv:1805.05751.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.stability.number_text import format_eigenvalues, format_number
from gamedyn.stability.second_order import SecondOrder, entries, modulus, second_order, tidy
from gamedyn.stability.spectrum_signs import definiteness, eigenvalues, is_exact, sign, spectrum_signs

__all__ = [
    "Classification",
    "classify",
    "classify_second_order",
    "is_local_minimax",
    "is_strict_local_nash",
    "timescale_threshold",
]


class Classification(NamedTuple):
    """The class of an equilibrium and what decides it."""

    kind: str
    evidence: str


def classify(game_or_field: Any, point: Sequence[Any], *, params: Mapping[str, Any] | None = None) -> Classification:
    """The class of an equilibrium, with the minors or eigenvalues that decide it.

    Parameters
    ----------
    game_or_field : game or Field
        A game supplies its exact world for exact points and its array world for floats.
    point : sequence of numbers, `(d,)`
        A zero of v.  SymPy numbers and integers are decided exactly, floats up to 1e-9 of the size of J.
    params : mapping, optional
        Parameter values, for a game.

    Returns
    -------
    Classification
        (kind, evidence); the kinds are those of the module's table, in that order of precedence.

    Raises
    ------
    ValueError
        If v does not vanish at `point`.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.classify import classify
    >>> print(*classify(gd.zero_sum("x*y", min="x", max="y"), [0, 0]), sep=": ")
    center: eigenvalues ±i: neutral rotation
    """
    data = second_order(game_or_field, point, params=params)
    if not data.vanishes:
        raise ValueError(
            f"v does not vanish at {tuple(point)}: v = {tuple(entries(data.value))}. "
            "Classes belong to equilibria; find them with equilibria(game)"
        )
    return classify_second_order(data)


def is_strict_local_nash(game: Any, z: Sequence[Any], *, params: Mapping[str, Any] | None = None) -> bool:
    """Whether v(z) = 0 and every player's own block PᵢHᵢPᵢ is positive definite.

    Raises
    ------
    NotInThisWorld
        If the game has no costs.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.classify import is_strict_local_nash
    >>> is_strict_local_nash(gd.zero_sum("x**2 + 3*x*y - y**2", min="x", max="y"), [0, 0])
    True
    """
    data = _with_costs(game, z, params)
    return data.vanishes and all(s == "positive" for s, _ in _own_blocks(data))


def is_local_minimax(
    game: Any, z: Sequence[Any], order: str = "min first", *, params: Mapping[str, Any] | None = None
) -> bool:
    """Whether z is a strict local minimax point of a two-player zero-sum game, to second order.

        min first:  f_yy < 0  and  f_xx - f_xy f_yy⁻¹ f_yx > 0
        max first:  f_xx > 0  and  f_yy - f_yx f_xx⁻¹ f_xy < 0     (local maximin)

    Parameters
    ----------
    game : game or Field
        Two players, costs f and -f (or -k f with k > 0).
    z : sequence of numbers, `(d,)`
        The point; False where v does not vanish.
    order : {"min first", "max first"}
        Who leads; the other answers.
    params : mapping, optional
        Parameter values, for a game.

    Raises
    ------
    ValueError
        If z is an equilibrium at which the game is not zero-sum (to second order), or `order` is neither.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.classify import is_local_minimax
    >>> g = gd.zero_sum("-x**2 + 5*x*y - y**2", min="x", max="y")
    >>> is_local_minimax(g, [0, 0]), is_local_minimax(g, [0, 0], order="max first")
    (True, False)
    """
    if order not in ("min first", "max first"):
        raise ValueError(f"order is {order!r}; give 'min first' (x leads) or 'max first' (y leads)")
    data = _with_costs(game, z, params)
    if not data.vanishes:
        return False
    flat = modulus(max(entries(data.hessians[0]), key=modulus)) == 0  # type: ignore[index]
    if len(data.players) != 2 or not (data.is_zero_sum or flat):
        raise ValueError("a local minimax point needs a zero-sum game of two players; ask is_strict_local_nash instead")
    return _leads(data, leader=0 if order == "min first" else 1)[0]


def timescale_threshold(data: SecondOrder) -> Any:
    """The smallest τ₀ >= 0 such that the flow is stable for every τ > τ₀ times the last player's speed.

        J = [[a, b], [c, d]],  J_τ = [[a, b], [τc, τd]]:   stable iff ad > bc and a + τd > 0

    Returns
    -------
    number or None
        max(0, -a/d); None where no τ₀ exists, where a sign is undecided, and for other sizes than 1 + 1.
    """
    if [p.size for p in data.players] != [1, 1]:
        return None
    J = data.jacobian
    a, d, size = J[0, 0], J[1, 1], data.size
    if sign(a * d - J[0, 1] * J[1, 0], size**2) != 1:
        return None
    signs = (sign(a, size), sign(d, size))
    zero = sp.S.Zero if is_exact(J) else 0.0
    if signs[1] == 1 and signs[0] is not None:
        return zero if signs[0] >= 0 else (sp.cancel(-a / d) if is_exact(J) else float(-a / d))
    return zero if signs == (1, 0) else None


def _with_costs(game: Any, z: Sequence[Any], params: Mapping[str, Any] | None) -> SecondOrder:
    data = second_order(game, z, params=params)
    if data.hessians is None:
        raise NotInThisWorld(
            "hvp", "exact", "the game is given by its field alone, and Nash and minimax points belong to costs"
        )
    return data


# the decision --------------------------------------------------------------------------------------


def classify_second_order(data: SecondOrder) -> Classification:
    """`classify` on second derivatives already computed."""
    flow, rotation = flow_class(data.jacobian)
    if data.hessians is None:
        return Classification(flow, rotation)
    blocks = _own_blocks(data)
    own = "; ".join(text for _, text in blocks)
    zero_sum = data.is_zero_sum
    if flow == "degenerate":
        return Classification(flow, f"{rotation}; {own}")
    if all(s == "positive" for s, _ in blocks):
        known = (
            " (as at every strict Nash of a zero-sum game)"
            if zero_sum
            else " (general sum: Nash implies nothing about it)"
        )
        return Classification("strict local Nash", f"{own}; flow {flow}{known}, {rotation}")
    leads = [_leads(data, leader=k) if zero_sum else (False, "") for k in (0, 1)]
    if leads[0][0]:
        return Classification("local minimax", f"{leads[0][1]}; not Nash: {own}; flow {flow}, {rotation}")
    maximin = f"local maximin: {leads[1][1]}; " if leads[1][0] else ""
    if flow == "stable" and any(s == "indefinite" for s, _ in blocks):
        return Classification(
            "stable non-Nash",
            f"{rotation}; {own}; {maximin}not minimax".removesuffix("" if zero_sum else "; not minimax"),
        )
    if leads[1][0]:
        return Classification("local maximin", f"{leads[1][1]}; not Nash: {own}; flow {flow}, {rotation}")
    return Classification(flow, f"{rotation}; {own}" if flow == "stable" else rotation)


def flow_class(jacobian: Any) -> tuple[str, str]:
    """What ż = -v(z) does near the point: ("stable" | "unstable" | "center" | "degenerate" | "undecided", evidence).

    A center has a pair of eigenvalues ±iω, no zero eigenvalue, and no eigenvalue with negative real part.
    """
    signs = spectrum_signs(jacobian)
    shown = format_eigenvalues(eigenvalues(jacobian))
    if signs.negative:
        return "unstable", f"eigenvalues {shown}"
    if signs.undecided:
        return "undecided", _conditions(jacobian)
    if signs.zero:
        return "degenerate", f"eigenvalues {shown}: {signs.zero} zero"
    if signs.imaginary:
        return "center", f"eigenvalues {shown}: neutral rotation"
    return "stable", f"eigenvalues {shown}"


def _conditions(jacobian: Any) -> str:
    if jacobian.shape == (2, 2) and is_exact(jacobian):
        trace, det = sp.factor(jacobian.trace()), sp.factor(jacobian.det())
        return f"stable iff tr J = {trace} > 0 and det J = {det} > 0"
    return "the sign of some real part is not decided; bind the parameters"


def _own_blocks(data: SecondOrder) -> list[tuple[str, str]]:
    assert data.hessians is not None
    result = []
    for p, H in zip(data.players, data.hessians, strict=True):
        state, number = definiteness(H[p.slice, p.slice])
        result.append((state, f"own block of {_label(p)} {_verdict(state, number, p.size)}"))
    return result


def _label(p: Player) -> str:
    """A player with one variable by that variable's name."""
    return p.variables[0] if p.size == 1 and p.variables else p.name


def _verdict(state: str, number: Any, size: int) -> str:
    relation = {"positive": "> 0", "semidefinite": ">= 0", "indefinite": "< 0", "undecided": "undecided"}[state]
    shown = format_number(number)
    if size == 1:
        return f"{shown} {relation}" if state in ("positive", "indefinite") else f"{shown}: {state}"
    return f"{state}, smallest eigenvalue {shown}"


def _leads(data: SecondOrder, leader: int) -> tuple[bool, str]:
    """Whether the zero-sum game has its follower's block and the leader's Schur complement definite."""
    assert data.hessians is not None
    lead, follow = data.players[leader].slice, data.players[1 - leader].slice
    own, other = data.hessians[leader], data.hessians[1 - leader]
    answer, _ = definiteness(other[follow, follow])
    if answer != "positive":
        return False, ""
    cross = own[lead, follow]
    schur = own[lead, lead] - cross @ _solve(own[follow, follow], own[follow, lead])
    state, number = definiteness(schur)
    leads, answers = (_label(data.players[k]) for k in (leader, 1 - leader))
    text = f"{answers} answers uniquely, Schur complement for {leads} {format_number(number)} > 0"
    return state == "positive", text


def _solve(A: Any, B: Any) -> Any:
    return (
        sp.ImmutableMatrix(sp.Matrix(A).LUsolve(sp.Matrix(B)).applyfunc(tidy)) if is_exact(A) else np.linalg.solve(A, B)
    )
