"""From a game to the class that a theorem speaks of: mu, L, cocoercivity, comonotonicity, the weak Minty constant.

    ⟨Δv, Δz⟩ >= mu |Δz|²        |Δv| <= L |Δz|                                     (1)
    ⟨Δv, Δz⟩ >= beta |Δv|²      (cocoercive beta > 0, rho-comonotone for any sign)   (2)
    ⟨v(z), z - z*⟩ >= -(rho/2) |v(z)|²      (weak Minty, rho >= 0)                   (3)

for all pairs of points of the box, or of the whole space where v is affine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.stability.constants.box_report import boxed
from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.constants.continuity import jump_text, jumps
from gamedyn.stability.constants.convergence_theorems import Theorem
from gamedyn.stability.constants.field_formula import FieldFormula, field_formula
from gamedyn.stability.constants.game_constants import GameConstants
from gamedyn.stability.constants.matrix_constants import matrix_comonotone, matrix_mu, matrix_norm
from gamedyn.stability.constants.sampled_constants import ball, estimated, sampled
from gamedyn.stability.intervals.interval_arithmetic import enclose
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.points import enter

__all__ = ["Constant", "GameConstants", "Theorem", "constants"]

_SECONDS = 5.0  # for every exact number; numeric linear algebra after that
_NEURAL, _BOXED = 8, 256  # samples by default


def constants(
    game: Any,
    box: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    z: Any = None,
    samples: int | None = None,
    seed: int = 0,
    radius: float | None = None,
    boxes: int = 4096,
) -> GameConstants:
    """The constants of a game: exact, certified on a box, or estimated from samples, and labelled so.

    Parameters
    ----------
    game : game, exact field, or matrix J `(d, d)`
        Affine fields have exact constants on the whole space; of a game on simplices, along them.
    box : mapping name -> (low, high), d pairs, or (low, high) for every variable, optional
        Where other formulas are bounded, by interval arithmetic with outward rounding.
    params : mapping, optional
        Values of the game's parameters.
    z : point `(d,)`, optional
        The solution z* of (3).  Without a box: the constants of the linear field Dv(z).  Of a neural game: where
        estimates are taken around.
    samples : int, optional
        Points of an estimate, 8 by default; of a box, points whose values join in, 256 by default.
    seed : int
        Of the samples.
    radius : float, optional
        Of the ball around z that a neural game is sampled in; 0.01 max(1, |z|) by default.
    boxes : int
        How many boxes a search looks at; more close the gaps.

    Returns
    -------
    GameConstants

    Raises
    ------
    ValueError
        If a formula is not affine and neither box nor z is given, a parameter is free that has to be bound, the box
        does not fit the game, v jumps or J is unbounded on it, or v does not vanish at the solution.

    References
    ----------
    .. [1] J. Diakonikolas, C. Daskalakis, M. Jordan, Efficient methods for structured nonconvex-nonconcave
       min-max optimization, AISTATS 2021, arXiv:2011.00364: the convention (3).

    Examples
    --------
    >>> import gamedyn as gd
    >>> constants(gd.zero_sum("x**2/2 + 2*x*y - y**2/2", min="x", max="y"))
    Constants of 'game', everywhere
      mu              1 exact
      L               sqrt(5) exact
      cocoercive      1/5 exact
      comonotone      1/5 exact
      weak Minty      0 exact
      curvature of x  1 exact
      curvature of y  1 exact
      norm of x, y    2 exact
      norm of y, x    2 exact
      holds     Simultaneous: mu > 0, η < 2 mu/L², 0 < η < 0.4 [Facchinei & Pang 2003, 12.1]
      holds     Simultaneous: beta > 0, η < 2 beta, 0 < η < 0.4 [Bauschke & Combettes 2017, 26.1]
      holds     Extragradient: monotone, η < 1/L, 0 < η < 0.447214 [Korpelevich 1976]
      holds     Optimistic: monotone, η < 1/(2L), 0 < η < 0.223607 [Malitsky & Tam 2020]
      holds     ProximalPoint: rho-comonotone, 0 < η [Bauschke et al. 2021]
      holds     FEG: rho-comonotone, rho > -1/(2L), η = 0.447214 [Lee & Kim 2021]
      holds     EG+: weak Minty, rho < 1/(4L), extrapolation 2η, η = 0.223607 [Diakonikolas et al. 2021]
    """
    try:
        formula = field_formula(game, params)
    except NotInThisWorld:
        if z is None:
            raise
        return _estimated(game, params, z, samples or _NEURAL, seed, radius)
    if formula.is_affine:
        return _linear(formula, formula.constant_jacobian, "everywhere", _has_zero(formula))
    if box is None and z is None:
        raise ValueError(
            f"J of '{formula.name}' is not the same everywhere, so its constants belong to a region: give "
            f"box=(low, high), or z=... for those of its linearization"
        )
    if formula.parameters:
        raise ValueError(f"{list(formula.parameters)} of '{formula.name}' have no value; bind them, or give params=")
    if box is None:
        return _local(formula, z)
    return boxed(formula, box, z, samples=samples or _BOXED, seed=seed, boxes=boxes)


def _linear(f: FieldFormula, J: sp.MatrixBase, where: str, has_zero: bool = True) -> GameConstants:
    comonotone, players = matrix_comonotone(J, _SECONDS), f.players
    blocks = {(i, j): J[p.slice, q.slice] for i, p in enumerate(players) for j, q in enumerate(players)}
    return GameConstants(
        name=f.name,
        where=where,
        mu=matrix_mu(J, _SECONDS),
        L=matrix_norm(J, _SECONDS),
        cocoercive=_positive_part(comonotone, 1),
        comonotone=comonotone,
        weak_minty=_positive_part(comonotone, -2) if has_zero else None,
        curvature=tuple(matrix_mu(blocks[i, i], _SECONDS) for i in range(len(players))),
        coupling={(i, j): matrix_norm(block, _SECONDS) for (i, j), block in blocks.items() if i != j},
        players=tuple(p.name for p in players),
        note="; ".join(filter(None, [f.note, "" if has_zero else "v has no zero"])),
    )


def _positive_part(c: Constant, factor: int) -> Constant:
    """max(0, factor · c): cocoercivity for 1, the weak Minty constant of a linear field for -2."""
    cautious = "low" if factor > 0 else "high"
    if c.kind == "exact":
        return Constant.exact(sp.Max(0, factor * c.value), cautious=cautious)
    return Constant.numeric(max(0.0, factor * c.low), cautious=cautious)


def _has_zero(f: FieldFormula) -> bool:
    """Whether an affine field vanishes somewhere, for generic values of its parameters."""
    offset = sp.Matrix(f.v).xreplace(dict.fromkeys(f.z, sp.S.Zero)).applyfunc(sp.expand)
    J = sp.Matrix(f.constant_jacobian)
    return bool(offset.is_zero_matrix) or J.row_join(offset).rank() == J.rank()


def _local(f: FieldFormula, z: Any) -> GameConstants:
    point = [exact_number(x) for x in z]
    if len(point) != f.dim:
        raise ValueError(f"'{f.name}' has d = {f.dim} coordinates, got a point with {len(point)}")
    for jump in jumps(f, *(np.array([e[k] for e in map(enclose, point)]) for k in (0, 1))):
        raise ValueError(f"{jump_text(f, jump)}, so there is no linearization at z; take another point")
    J = f.jacobian.xreplace(dict(zip(f.z, point, strict=True)))
    if J.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise ValueError(f"J of '{f.name}' is unbounded, or not defined, at z = {tuple(point)}; take another point")
    return _linear(f, J.applyfunc(sp.nsimplify if J.has(sp.Float) else sp.expand), "of the linearization at z")


def _estimated(game: Any, params: Any, z: Any, samples: int, seed: int, radius: float | None) -> GameConstants:
    """Where v is known by its values: extremes over a ball."""
    rng = np.random.default_rng(seed)
    field, point = (game, z) if isinstance(game, Field) else enter(game, z, params)
    size = float((point * point).sum()) ** 0.5
    radius = 0.01 * max(1.0, size) if radius is None else radius
    points = ball(point, radius, samples, rng)
    found = sampled(lambda p: GameJacobian.of(field, p), points, rng)
    note = f"{samples} sample{'s' * (samples > 1)}, seed {seed}"
    where = f"within {radius:.3g} of z" if samples > 1 else "at z"
    return estimated(found, getattr(game, "name", "the field"), where, note)
