"""Coordinates along the simplices of a game.

    z = z₀ + Q w,   QᵀQ = I,   z₀ the centre of every simplex                (1)

In w the simplices have become free variables: zeros of the field in w are the points at which v has no part
along them, and the eigenvalues of QᵀJQ are those of the projected flow.  Q is orthonormal, so that gradients
in w are the projected gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.constraints import Simplex
from gamedyn.games.exact import column
from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.games.functions import exact_number
from gamedyn.games.geometry import Geometry
from gamedyn.games.symbolic import SymbolicGame
from gamedyn.games.transformed import unwrap

LARGEST = 40  # dimensions in which costs are rewritten symbolically


@dataclass(frozen=True, eq=False)
class Chart:
    """A game in coordinates along its simplices.

    Attributes
    ----------
    game : SymbolicGame
        In w, without simplices.
    origin : Matrix `(d, 1)`
        z₀.
    basis : Matrix `(d, r)`
        Q.
    geometry : Geometry
        The constraints of the game in z.
    """

    game: SymbolicGame
    origin: sp.ImmutableMatrix
    basis: sp.ImmutableMatrix
    geometry: Geometry

    def lift(self, w: Sequence[Any]) -> tuple[Any, ...]:
        """The point z of coordinates w; exact numbers where w is exact."""
        if all(isinstance(e, sp.Expr) for e in w):
            return tuple(sp.radsimp(sp.expand(e)) for e in self.origin + self.basis * column(w))
        return tuple(np.array(self.origin, dtype=float)[:, 0] + np.array(self.basis, dtype=float) @ np.array(w, float))

    def coordinates(self, z: Sequence[Any]) -> tuple[Any, ...]:
        """The coordinates w of a point z inside the constraints.

        Raises
        ------
        ValueError
            If z is on their boundary, or off them.
        """
        if all(isinstance(e, (sp.Expr, int)) and not (isinstance(e, sp.Expr) and e.has(sp.Float)) for e in z):
            point = column([exact_number(e) for e in z])
            self.geometry.along(point, point)
            return tuple(self.basis.T * (point - self.origin))
        values = np.array([float(e) for e in z])
        self.geometry.along(values, values)
        return tuple(np.array(self.basis, dtype=float).T @ (values - np.array(self.origin, dtype=float)[:, 0]))


def simplex_chart(game: Any) -> Chart | None:
    """The game in coordinates along its simplices; None if it has none.

    Raises
    ------
    NotInThisWorld
        If the game is transformed, has no formulas, has more than 40 variables, or a simplex that leaves a
        player without freedom or joins two players.
    """
    base, transforms = unwrap(game)
    simplices = [s for s in getattr(base, "constraints", ()) if isinstance(s, Simplex)]
    if not simplices:
        return None
    why = _refusal(base, transforms, simplices)
    if why:
        raise NotInThisWorld("coordinates", "simplex", why)
    origin, columns = _frame(base.dim, simplices)
    owners = [next(i for i, p in enumerate(base.players) if p.start <= k < p.stop) for k in _first_slots(columns)]
    order = sorted(range(len(columns)), key=lambda j: owners[j])
    basis = sp.ImmutableMatrix(sp.Matrix.hstack(*[columns[j] for j in order]))
    counts = [owners.count(i) for i in range(len(base.players))]
    symbols = tuple(sp.Dummy(f"w{k + 1}", real=True) for k in range(len(columns)))
    z = origin + basis * column(symbols)
    table = dict(zip(base.symbols, z, strict=True))
    costs = None if base.costs is None else tuple(sp.expand(c.xreplace(table)) for c in base.costs)
    components = None
    if base.components is not None:
        components = tuple(sp.expand(e) for e in basis.T * column([c.xreplace(table) for c in base.components]))
    players, start = [], 0
    for p, n in zip(base.players, counts, strict=True):
        players.append(Player(p.name, start, start + n, tuple(s.name for s in symbols[start : start + n])))
        start += n
    reduced = SymbolicGame(
        tuple(players), symbols, costs=costs, components=components, name=base.name, bound=base.bound
    )
    return Chart(reduced, origin, basis, Geometry(base.constraints, base.dim))


def _refusal(base: Any, transforms: Sequence[Any], simplices: Sequence[Simplex]) -> str:
    if transforms:
        return "a transformed field on a simplex has no coordinates along it; ask about the game itself"
    if "exact" not in base.worlds:
        return "the game has no formulas to rewrite along its simplices; measure with simulate"
    if base.dim > LARGEST:
        return f"costs are rewritten along simplices up to d = {LARGEST}, this game has d = {base.dim}"
    for s in simplices:
        inside = [p for p in base.players if all(p.start <= k < p.stop for k in s.slots)]
        if not inside:
            return "a simplex that joins the variables of two players is no constraint of either"
    covered = {k for s in simplices if len(s.slots) == 1 for k in s.slots}
    for p in base.players:
        if set(range(p.start, p.stop)) <= covered:
            return f"player '{p.name}' has one strategy, so nothing to choose; fix it in the formulas"
    return ""


def _frame(d: int, simplices: Sequence[Simplex]) -> tuple[sp.ImmutableMatrix, list[sp.ImmutableMatrix]]:
    """z₀ and the columns of Q: unit vectors of free coordinates, Helmert's contrasts on every simplex."""
    origin, columns = [sp.S.Zero] * d, []
    taken = {k for s in simplices for k in s.slots}
    for k in range(d):
        if k not in taken:
            columns.append(column([int(j == k) for j in range(d)]))
    for s in simplices:
        for k in s.slots:
            origin[k] = s.size / len(s.slots)
        for j in range(1, len(s.slots)):
            entries = [sp.S.Zero] * d
            for k in s.slots[:j]:
                entries[k] = 1 / sp.sqrt(j * (j + 1))
            entries[s.slots[j]] = -j / sp.sqrt(j * (j + 1))
            columns.append(column(entries))
    return column(origin), columns


def _first_slots(columns: Sequence[sp.ImmutableMatrix]) -> list[int]:
    return [next(k for k, e in enumerate(c) if e != 0) for c in columns]
