"""Whether a game is potential, Hamiltonian or monotone: proven, refuted by a witness, or left open.

potential     A = (J - Jᵀ)/2 = 0 everywhere        v is the gradient of one function
Hamiltonian   S = (J + Jᵀ)/2 = 0 everywhere        the flow keeps |v|: d/dt |v|²/2 = -vᵀSv
monotone      ⟨v(x) - v(y), x - y⟩ >= 0            S >= 0 on a convex set
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.stability.constants.continuity import jump_text, jumps
from gamedyn.stability.constants.field_formula import FieldFormula, field_formula
from gamedyn.stability.constants.monotone_search import monotone_answer
from gamedyn.stability.intervals.intervals import IntervalFunction
from gamedyn.stability.jacobian import jacobian
from gamedyn.stability.number_text import format_number

__all__ = ["Property", "is_hamiltonian", "is_monotone", "is_potential"]

_SMALL = 1e-6  # ‖Au‖/‖Ju‖ of probes up to which a part of J counts as zero
_PROBES = 8
_TRIED = 32


@dataclass(frozen=True, eq=False)
class Property:
    """An answer with its evidence; true only if proven.

    Attributes
    ----------
    name : str
        "potential", "Hamiltonian" or "monotone".
    answer : bool or None
        True proven, False refuted, None undecided.
    evidence : str
    witness : tuple or None
        What refutes: (i, j, point) of an entry that is not zero, or the pair of points (x, y) that violates
        monotonicity, in exact numbers; (u, point) of a probe where there are no formulas.

    Examples
    --------
    >>> import gamedyn as gd
    >>> p = is_potential(gd.games.bilinear(1))
    >>> bool(p), p.answer, p.witness
    (False, False, (0, 1, (0, 0)))
    """

    name: str
    answer: bool | None
    evidence: str
    witness: tuple[Any, ...] | None = None

    def __bool__(self) -> bool:
        return self.answer is True

    def __repr__(self) -> str:
        word = {True: self.name, False: f"not {self.name}", None: f"{self.name}: undecided"}[self.answer]
        return f"{word} ({self.evidence})"


def is_potential(game: Any, *, params: Mapping[str, Any] | None = None, z: Any = None, seed: int = 0) -> Property:
    """Whether A = 0 as a formula: all players descend one common function.

    Parameters
    ----------
    game : game, exact field, or matrix J
    params : mapping, optional
    z : point `(d,)`, optional
        Where probes are taken if there are no formulas; these can refute, never prove.
    seed : int
        Of the points and probes.

    Returns
    -------
    Property

    Examples
    --------
    >>> import gamedyn as gd
    >>> is_potential(gd.Game(["x**2 + x*y", "y**2 + x*y"], players=["x", "y"]))
    potential (every entry of A is zero)
    >>> is_potential(gd.zero_sum("x**2*y", min="x", max="y"))
    not potential (A_12 = 2*x is 2 at (1, 0))
    """
    return _vanishing("potential", "A", lambda J: (J - J.T) / 2, game, params, z, seed)


def is_hamiltonian(game: Any, *, params: Mapping[str, Any] | None = None, z: Any = None, seed: int = 0) -> Property:
    """Whether S = 0 as a formula: the flow rotates and keeps |v|.

    Parameters and result as in `is_potential`.

    Examples
    --------
    >>> import gamedyn as gd
    >>> is_hamiltonian(gd.games.bilinear(2))
    Hamiltonian (every entry of S is zero)
    """
    return _vanishing("Hamiltonian", "S", lambda J: (J + J.T) / 2, game, params, z, seed)


def is_monotone(
    game: Any,
    box: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    z: Any = None,
    samples: int = 256,
    boxes: int = 4096,
    seed: int = 0,
) -> Property:
    """Whether ⟨v(x) - v(y), x - y⟩ >= 0 for every pair of points, of a box if one is given.

    Parameters
    ----------
    game : game, exact field, or matrix J
    box : mapping name -> (low, high), d pairs, or (low, high), optional
        The whole space by default; pairs that violate monotonicity are then looked for in [-10, 10].
    params : mapping, optional
    z : point `(d,)`, optional
        Where the smallest eigenvalue of S is sampled if there are no formulas.
    samples, boxes, seed : int
        Points where a violating pair is looked for, and boxes of the proof.

    Returns
    -------
    Property
        The witness of False is a pair (x, y) in exact numbers, with ⟨v(x) - v(y), x - y⟩ < 0 proven; None if
        the exact minimum of the curvature is negative and no pair of short numbers shows it.

    Raises
    ------
    ValueError
        If a parameter of a game that is not affine is free.

    Examples
    --------
    >>> import gamedyn as gd
    >>> is_monotone(gd.games.bilinear(1))
    monotone (S >= 0 in exact numbers)
    >>> is_monotone(gd.zero_sum("x**4 + x*y - y**4", min="x", max="y"))
    monotone (all principal minors of S are >= 0 everywhere)
    >>> is_monotone(gd.zero_sum("-x**2/2 + x*y - y**2", min="x", max="y"))
    not monotone (<v(z) - v(w), z - w> = -1 at z = (1, 0), w = (0, 0))
    """
    try:
        formula = field_formula(game, params)
    except NotInThisWorld:
        if z is None:
            raise
        return _sampled_monotone(game, params, z)
    answer, evidence, pair = monotone_answer(formula, box, samples=samples, boxes=boxes, seed=seed)
    return Property("monotone", answer, evidence, pair)


def _vanishing(name: str, letter: str, part: Any, game: Any, params: Any, z: Any, seed: int) -> Property:
    try:
        formula = field_formula(game, params)
    except NotInThisWorld:
        if z is None:
            raise
        return _probed(name, letter, game, params, z, seed)
    undecided, everywhere = [], (np.full(formula.dim, -np.inf), np.full(formula.dim, np.inf))
    matrix = part(formula.jacobian)
    for i in range(formula.dim):
        for j in range(i, formula.dim):
            entry = sp.expand(matrix[i, j])
            if entry == 0 or (entry := sp.simplify(entry)) == 0:
                continue
            point = nonzero_point(entry, formula, seed)
            if point is None:
                undecided.append((i, j, entry))
                continue
            shown = entry.xreplace(dict(zip(formula.z, map(sp.Symbol, formula.names), strict=True)))
            value = format_number(entry.xreplace(dict(zip(formula.z, point, strict=True))))
            where = "" if entry.is_number else f" is {value} at ({', '.join(map(format_number, point))})"
            return Property(name, False, f"{letter}_{i + 1}{j + 1} = {_cut(shown)}{where}", (i, j, point))
    if undecided:
        i, j, entry = undecided[0]
        return Property(name, None, f"{letter}_{i + 1}{j + 1} = {_cut(entry)} was not simplified to zero")
    for jump in jumps(formula, *everywhere):
        return Property(name, None, f"every entry of {letter} is zero, but {jump_text(formula, jump)}")
    return Property(name, True, f"every entry of {letter} is zero")


def nonzero_point(entry: sp.Expr, formula: FieldFormula, seed: int) -> tuple[sp.Expr, ...] | None:
    """A simple point where an expression is not zero, proven by exact numbers or intervals."""
    rng = np.random.default_rng(seed)
    d = formula.dim
    points = [np.zeros(d), *np.eye(d), *rng.integers(-9, 10, (_TRIED, d)), *rng.integers(-9, 10, (_TRIED, d)) / 8]
    for p in points:
        point = tuple(sp.Rational(float(x)) for x in p)
        value = sp.expand(entry.xreplace(dict(zip(formula.z, point, strict=True))))
        if not formula.is_real_at(point):
            continue
        if value.free_symbols or value.is_Rational:
            if value.is_finite is not False and value != 0 and sp.simplify(value) != 0:
                return point
        elif value.is_finite and _is_off_zero(value):
            return point
    return None


def _is_off_zero(value: sp.Expr) -> bool:
    try:
        low, high = IntervalFunction([value], [sp.Dummy("t")])(np.zeros((1, 1)), np.zeros((1, 1)))
    except ValueError:
        return False
    return bool(low[0, 0] > 0 or high[0, 0] < 0)


def _cut(e: sp.Expr) -> str:
    text = str(e)
    return text if len(text) <= 60 else text[:57] + "..."


# without formulas --------------------------------------------------------------------------------------


def _probed(name: str, letter: str, game: Any, params: Any, z: Any, seed: int) -> Property:
    J = jacobian(game, z, params)
    whole, part = J.to_scipy(), (J.antisymmetric if letter == "A" else J.symmetric).to_scipy()
    rng = np.random.default_rng(seed)
    probes = rng.standard_normal((_PROBES, J.dim))
    sizes = [(float(np.linalg.norm(part @ u)), float(np.linalg.norm(whole @ u))) for u in probes]
    shares = [own / max(all_, 1e-300) for own, all_ in sizes]
    k = int(np.argmax(shares))
    evidence = f"|{letter}u|/|Ju| = {shares[k]:.3g} of {_PROBES} probes at z, seed {seed}"
    return Property(name, False if shares[k] > _SMALL else None, evidence, _witness(shares[k], probes[k], z))


def _witness(share: float, u: np.ndarray, z: Sequence[float]) -> tuple[Any, ...] | None:
    return (u, z) if share > _SMALL else None


def _sampled_monotone(game: Any, params: Any, z: Any) -> Property:
    from gamedyn.stability.constants.constants import constants

    found = constants(game, params=params, z=z, samples=1)
    mu, L = float(found.mu), float(found.L)
    evidence = f"smallest eigenvalue of S at z is {mu:.3g}, |J| = {L:.3g}"
    return Property("monotone", False if mu < -_SMALL * L else None, evidence)
