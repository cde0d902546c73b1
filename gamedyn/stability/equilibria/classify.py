"""Classes of equilibria: what the second derivatives of the costs and the spectrum of J = Dv say about a zero of v.

    strict local Nash    every own block  PᵢHᵢPᵢ > 0,  Hᵢ = ∇²cᵢ
    local minimax        f_yy < 0  and  f_xx - f_xy f_yy⁻¹ f_yx > 0       (zero-sum f, x leads)
    local maximin        f_xx > 0  and  f_yy - f_yx f_xx⁻¹ f_xy < 0       (zero-sum f, y leads)
    differential Stackelberg     the leader's cost along the follower's best answer has a strict minimum, to 2nd order
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
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.stability.equilibria.stackelberg import follower_answer, require_length, total_second_derivative
from gamedyn.stability.number_text import format_eigenvalues, format_number
from gamedyn.stability.regions import timescales
from gamedyn.stability.second_order import SecondOrder, entries, modulus, second_order, tidy
from gamedyn.stability.spectrum_signs import SpectrumSigns, definiteness, eigenvalues, is_exact, spectrum_signs

__all__ = [
    "Classification",
    "Decision",
    "classify",
    "classify_second_order",
    "decide",
    "is_local_minimax",
    "is_strict_local_nash",
    "timescale_threshold",
]

LARGEST = 8  # variables up to which a threshold is computed for every equilibrium


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
    >>> from gamedyn.stability.equilibria.classify import classify
    >>> print(*classify(gd.zero_sum("x*y", min="x", max="y"), [0, 0]), sep=": ")
    center: eigenvalues ±i: neutral rotation
    """
    require_length(game_or_field, point)
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
    >>> from gamedyn.stability.equilibria.classify import is_strict_local_nash
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
    >>> from gamedyn.stability.equilibria.classify import is_local_minimax
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

    Returns
    -------
    number or None
        See `gamedyn.stability.regions.timescales.timescale_threshold`; None beyond 8 variables, which
        `stable_timescales` is asked about by itself.
    """
    if len(data.players) < 2 or data.jacobian.shape[0] > LARGEST:
        return None
    return timescales.timescale_threshold(data.jacobian, data.players)


def _with_costs(game: Any, z: Sequence[Any], params: Mapping[str, Any] | None) -> SecondOrder:
    require_length(game, z)
    data = second_order(game, z, params=params)
    if data.hessians is None:
        raise NotInThisWorld(
            "hvp", "exact", "the game is given by its field alone, and Nash and minimax points belong to costs"
        )
    return data


# the decision --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """All that is decided about an equilibrium.

    Attributes
    ----------
    kind, evidence, flow : str
    classes : tuple of str
        Every class that holds.
    hyperbolic : bool or None
        Whether no eigenvalue lies on the imaginary axis.
    """

    kind: str
    evidence: str
    flow: str
    classes: tuple[str, ...]
    hyperbolic: bool | None


def classify_second_order(data: SecondOrder) -> Classification:
    """`classify` on second derivatives already computed."""
    found = decide(data)
    return Classification(found.kind, found.evidence)


def decide(data: SecondOrder) -> Decision:
    """The class with everything that goes with it."""
    signs = spectrum_signs(data.jacobian)
    on_axis = signs.zero + signs.imaginary
    hyperbolic = False if on_axis else None if signs.undecided else True
    flow, rotation = _flow(data.jacobian, signs)
    if data.hessians is None:
        return Decision(flow, rotation, flow, (flow,), hyperbolic)
    blocks = _own_blocks(data)
    zero_sum = data.is_zero_sum
    leads = [_leads(data, leader=k) if zero_sum else (False, "") for k in (0, 1)]
    led = _stackelberg(data) if not zero_sum else (leads[0][0], leads[0][1])
    holds = {
        "strict local Nash": all(s == "positive" for s, _ in blocks),
        "local minimax": leads[0][0],
        "differential Stackelberg": led[0],
        "local maximin": leads[1][0],
        "stable non-Nash": flow == "stable" and any(s == "indefinite" for s, _ in blocks),
        flow: True,
    }
    kind, evidence = _named(holds, flow, rotation, "; ".join(text for _, text in blocks), leads, led[1], zero_sum)
    return Decision(kind, evidence, flow, tuple(k for k, true in holds.items() if true), hyperbolic)


def _named(
    holds: dict[str, bool],
    flow: str,
    rotation: str,
    own: str,
    leads: list[tuple[bool, str]],
    led: str,
    zero_sum: bool,
) -> tuple[str, str]:
    """The first class that holds, and what decides it."""
    if flow == "degenerate":
        return flow, f"{rotation}; {own}"
    ending = f"not Nash: {own}; flow {flow}, {rotation}"
    if holds["strict local Nash"]:
        known = (
            " (as at every strict Nash of a zero-sum game)"
            if zero_sum
            else " (general sum: Nash implies nothing about it)"
        )
        return "strict local Nash", f"{own}; flow {flow}{known}, {rotation}"
    if holds["local minimax"]:
        return "local minimax", f"{leads[0][1]}; {ending}"
    if holds["differential Stackelberg"]:
        return "differential Stackelberg", f"{led}; {ending}"
    maximin = f"local maximin: {leads[1][1]}; " if holds["local maximin"] else ""
    if holds["stable non-Nash"]:
        verdict = f"{rotation}; {own}; {maximin}not minimax"
        return "stable non-Nash", verdict.removesuffix("" if zero_sum else "; not minimax")
    if holds["local maximin"]:
        return "local maximin", f"{leads[1][1]}; {ending}"
    return flow, f"{rotation}; {own}" if flow == "stable" else rotation


def _stackelberg(data: SecondOrder) -> tuple[bool, str]:
    """Whether the first of two players is at a minimum along the other's best answer, with second derivatives alone."""
    if len(data.players) != 2:
        return False, ""
    answer = follower_answer(data, 0)
    second = None if answer is None else total_second_derivative(data, 0, answer)
    if second is None:  # no unique answer; or the follower's move matters to the leader to first order
        return False, ""
    state, number = definiteness((second + second.T) / 2)
    leads, answers = (_label(p) for p in data.players)
    return state == "positive", (
        f"{answers} answers uniquely, second derivative for {leads} along the answers {format_number(number)} > 0"
    )


def flow_class(jacobian: Any) -> tuple[str, str]:
    """What ż = -v(z) does near the point: ("stable" | "unstable" | "center" | "degenerate" | "undecided", evidence).

    A center has a pair of eigenvalues ±iω, no zero eigenvalue, and no eigenvalue with negative real part.
    """
    return _flow(jacobian, spectrum_signs(jacobian))


def _flow(jacobian: Any, signs: SpectrumSigns) -> tuple[str, str]:
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
