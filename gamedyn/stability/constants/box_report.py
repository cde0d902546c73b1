"""The constants of a game on a box: searches, what follows from one number for another, and labels."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import compile_numpy, exact_number
from gamedyn.stability.constants.box_constants import BoxConstants
from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.constants.continuity import jump_text, jumps, unbounded
from gamedyn.stability.constants.field_formula import FieldFormula, box_ends, outward
from gamedyn.stability.constants.game_constants import GameConstants
from gamedyn.stability.constants.sampled_constants import estimated, sampled
from gamedyn.stability.equilibria.krawczyk import Krawczyk
from gamedyn.stability.intervals.interval_arithmetic import enclose
from gamedyn.stability.intervals.intervals import IntervalFunction
from gamedyn.stability.jacobian import GameJacobian

__all__ = ["boxed", "check_regular"]

_ESTIMATED = 64  # sample points where formulas have no bounds


def boxed(f: FieldFormula, box: Any, z: Any, *, samples: int, seed: int, boxes: int) -> GameConstants:
    """Constants of v on a box, certified where interval arithmetic has every function of v, else estimates.

    Parameters
    ----------
    f : FieldFormula
    box : mapping or (low, high)
    z : point `(d,)` or None
        The solution of the weak Minty inequality.
    samples, seed : int
        Points inside whose values join in.
    boxes : int
        Budget of every search.
    """
    ends = box_ends(f, box)
    low, high = outward(ends)
    check_regular(f, low, high)
    rng = np.random.default_rng(seed)
    inside = _inside(ends)
    points = np.clip(low[:, None] + (high - low)[:, None] * rng.random((f.dim, samples)), *inside)
    try:
        search = BoxConstants(f, low, high, ends, points, boxes)
        _ = search.family
        IntervalFunction(list(f.v), f.z)
    except ValueError as unknown:
        return _sampled(f, points[:, :_ESTIMATED], seed, str(unknown))
    return _certified(search, z)


def check_regular(f: FieldFormula, low: np.ndarray, high: np.ndarray) -> None:
    """Refuse a box on which v jumps, or J (or a cost) has no bound.

    Raises
    ------
    ValueError
    """
    for jump in jumps(f, low, high):
        raise ValueError(f"{jump_text(f, jump)}, which J does not show: no L or mu exists; take a box on one side")
    for what, expressions in (("J", list(f.jacobian)), ("v", f.v), ("a cost", f.costs)):
        try:
            place = unbounded(expressions, f.z, low, high)
        except ValueError:  # a function without bounds: nothing is certified then
            continue
        if place is not None:
            where = ", ".join(f"{f.names[f.z.index(s)]} = {x:.6g}" for s, x in place.items())
            raise ValueError(
                f"{what} of '{f.name}' is unbounded, or not defined, on part of the box, near {where}; "
                f"take a smaller box"
            )


def _inside(ends: list[tuple[sp.Rational, sp.Rational]]) -> tuple[np.ndarray, np.ndarray]:
    """The ends rounded inward: samples belong to the box."""
    return np.array([[enclose(a)[1]] for a, _ in ends]), np.array([[enclose(b)[0]] for _, b in ends])


def _certified(search: BoxConstants, z: Any) -> GameConstants:
    f = search.formula
    (mu, _), L = search.mu, search.lipschitz
    cocoercive, comonotone = _monotonicity(search, mu, L)
    players = f.players
    single = len(players) == 1
    return GameConstants(
        name=f.name,
        where=f"on the box {_box_text(search)}",
        mu=mu,
        L=L,
        cocoercive=cocoercive,
        comonotone=comonotone,
        weak_minty=None if z is None else _weak_minty(search, z, comonotone),
        curvature=(mu,) if single else tuple(search.curvature(p.slice) for p in players),
        coupling={} if single else _coupling(search),
        players=tuple(p.name for p in players),
        note=f.note,
    )


def _coupling(search: BoxConstants) -> dict[tuple[int, int], Constant]:
    """Norms of the blocks of J between players; J_ji = ±J_ijᵀ, as in zero-sum games, has the same."""
    J, players = search.formula.jacobian, search.formula.players
    norms: dict[tuple[int, int], Constant] = {}
    for (i, p), (j, q) in itertools.permutations(enumerate(players), 2):
        block, twin = J[p.slice, q.slice], J[q.slice, p.slice].T
        same = any((block - sign * twin).applyfunc(sp.expand).is_zero_matrix for sign in (-1, 1))
        norms[i, j] = norms[j, i] if same and (j, i) in norms else search.norm(p.slice, q.slice)
    return norms


def _monotonicity(search: BoxConstants, mu: Constant, L: Constant) -> tuple[Constant, Constant]:
    """Cocoercivity and comonotonicity.

    mu <= L, beta <= 1/L and beta >= mu/L² always; beta = 1/L for monotone potential fields (Baillon & Haddad 1977).
    """
    point = search.pointwise
    low, high = point.low, point.high
    if mu.low >= 0:
        low = max(low, 0.0, _down(mu.low / L.high**2) if L.high > 0 else math.inf)
        high = min(high, _up(1 / L.low) if L.low > 0 else math.inf)
        if all(sp.expand(e) == 0 for e in search.formula.jacobian - search.formula.jacobian.T):
            low = max(low, _down(1 / L.high) if L.high > 0 else math.inf)
    elif low < 0:  # Jensen's inequality goes the other way
        low = search.averaged.low
    high = max(high, low)
    if mu.high < 0:
        cocoercive = Constant.exact(0, cautious="low", note="none: v is not monotone")
    else:
        cocoercive = Constant.certified(max(low, 0.0), max(high, 0.0), cautious="low")
    note = "" if math.isfinite(low) else "no lower bound was proven"
    return cocoercive, Constant.certified(low, high, cautious="low", note=note)


def _weak_minty(search: BoxConstants, z: Any, comonotone: Constant) -> Constant:
    """The smallest rho of ⟨v(z), z - z*⟩ >= -(rho/2)|v(z)|² on the box."""
    found = search.toward(solution_box(search.formula, z))
    low, high = max(0.0, -2 * found.high), max(0.0, -2 * max(found.low, comonotone.low))
    note = "" if math.isfinite(high) else "no upper bound was proven"
    return Constant.certified(low, max(low, high), cautious="high", note=note)


def solution_box(f: FieldFormula, z: Any) -> tuple[np.ndarray, np.ndarray]:
    """A box around z that holds a zero of v, proven: z itself, or what Krawczyk's test encloses.

    Raises
    ------
    ValueError
        If z has a wrong length, or no zero of v is proven near it.
    """
    point = [exact_number(x) for x in z]
    if len(point) != f.dim:
        raise ValueError(f"'{f.name}' has d = {f.dim} coordinates, got a solution with {len(point)}")
    table = dict(zip(f.z, point, strict=True))
    if all(sp.expand(e.xreplace(table)) == 0 for e in f.v):
        ends = np.array([enclose(x) for x in point])
        return ends[:, 0], ends[:, 1]
    found = Krawczyk.of(list(f.v), list(f.z)).enclose(np.array([float(x) for x in point]))
    if found is None or any(not a <= float(x) <= b for x, a, b in zip(point, *found.outer, strict=True)):
        raise ValueError(
            f"no zero of v is proven near {tuple(float(x) for x in point)}; the weak Minty constant belongs to a "
            f"solution: take a point of gd.equilibria, or leave z out"
        )
    return found.low, found.high


def _sampled(f: FieldFormula, points: np.ndarray, seed: int, why: str) -> GameConstants:
    entries = compile_numpy([f.z], [], list(f.jacobian))
    d, count = f.dim, points.shape[1]

    def jacobian(point: np.ndarray) -> GameJacobian:
        M = entries(point, []).reshape(d, d)
        return GameJacobian(lambda u: M @ u, lambda u: M.T @ u, d, "array", 0 * point, dense=lambda: M)

    found = sampled(jacobian, list(points.T), np.random.default_rng(seed))
    note = f"{count} samples, seed {seed}"
    return estimated(found, f.name, "on the box, by samples", note, f"not certified: {why}")


def _box_text(search: BoxConstants) -> str:
    ends = list(dict.fromkeys((str(a), str(b)) for a, b in search.ends))
    if len(ends) == 1:
        return f"[{ends[0][0]}, {ends[0][1]}]^{search.formula.dim}"
    sides = [f"[{a}, {b}]" for a, b in search.ends]
    return " x ".join(sides if len(sides) <= 4 else [*sides[:3], "…"])


def _down(x: float) -> float:
    return math.nextafter(x * (1 - 1e-15), -math.inf)


def _up(x: float) -> float:
    return math.nextafter(x * (1 + 1e-15), math.inf)
