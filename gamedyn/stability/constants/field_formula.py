"""The field of a game as formulas: v, its variables, J, and the box that one asks about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.chart import simplex_chart
from gamedyn.games.exact import column, is_affine
from gamedyn.games.field import Field, NotInThisWorld, Player
from gamedyn.games.functions import exact_number, fresh, partial_derivative
from gamedyn.games.transformed import unwrap
from gamedyn.rules.method import map_numbers
from gamedyn.stability.intervals.interval_arithmetic import enclose

__all__ = ["FieldFormula", "box_ends", "field_formula", "outward"]


@dataclass(frozen=True, eq=False)
class FieldFormula:
    """v(z) as expressions.

    Attributes
    ----------
    v : tuple of Expr `(d,)`
    z : tuple of Symbol `(d,)`
    players : tuple of Player
    name : str
    names : tuple of str
        Of the variables.
    note : str
        What the reader has to know about the variables.
    costs : tuple of Expr
        What the players minimise, where known without parameters: z is a point of the game where they are real.
    """

    v: tuple[sp.Expr, ...]
    z: tuple[sp.Symbol, ...]
    players: tuple[Player, ...]
    name: str
    names: tuple[str, ...]
    note: str = ""
    costs: tuple[sp.Expr, ...] = ()

    @property
    def dim(self) -> int:
        """d."""
        return len(self.z)

    @cached_property
    def jacobian(self) -> sp.ImmutableMatrix:
        """J, differentiated entry by entry, not simplified."""
        rows = [[partial_derivative(e, s) if e.has(s) else sp.S.Zero for s in self.z] for e in self.v]
        return sp.ImmutableMatrix(rows)

    def is_real_at(self, point: Sequence[sp.Expr]) -> bool:
        """Whether costs and v are not known to be complex or infinite at a point."""
        table = dict(zip(self.z, point, strict=True))
        values = [e.xreplace(table) for e in (*self.costs, *self.v)]
        return not any(x.is_real is False or x.is_finite is False or x is sp.nan for x in values)

    @cached_property
    def is_affine(self) -> bool:
        """Whether J is the same everywhere."""
        return is_affine(column(self.v), column(self.z))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the symbols that are no variables."""
        free = set().union(*(e.free_symbols for e in self.v)) - set(self.z)
        return tuple(sorted(str(s) for s in free))

    @cached_property
    def constant_jacobian(self) -> sp.ImmutableMatrix:
        """J of an affine field, in short numbers."""
        return self.jacobian.applyfunc(lambda e: sp.cancel(sp.expand(e)))


def field_formula(game: Any, params: Mapping[str, Any] | None = None) -> FieldFormula:
    """The formulas of a game, of a transformed game, of an exact field, or of a matrix J, which means v = Jz.

    Floats become the rationals that they print as.  A game on simplices is taken along them.

    Raises
    ------
    NotInThisWorld
        If there are no formulas, or the variables are dual.
    ValueError
        If a matrix is not square.
    """
    if isinstance(game, (np.ndarray, sp.MatrixBase, list, tuple)):
        return _of_matrix(game)
    if isinstance(game, Field):
        return _of_field(game, "the field", [n for p in game.players for n in p.variables])
    if "exact" not in game.worlds:
        raise NotInThisWorld("formulas", "/".join(game.worlds), "v is known by its values alone")
    game = game.bind(**params) if params else game
    base, transforms = unwrap(game)
    if any(t.changes_variables for t in transforms):
        raise NotInThisWorld("formulas", "dual", "the variables are dual; ask about the game itself")
    chart = simplex_chart(game)
    if chart is not None:
        names = [n for p in chart.game.players for n in p.variables]
        return _of_field(chart.game.field("exact"), game.name, names, "along the simplices", _costs(chart.game))
    costs = _costs(base)
    for t in transforms:
        base = map_numbers(t, exact_number)(base)
    names = [n for p in game.players for n in p.variables]
    return _of_field(base.field("exact"), game.name, names, costs=costs)


def _of_matrix(matrix: Any) -> FieldFormula:
    J = matrix if isinstance(matrix, sp.MatrixBase) else sp.Matrix(np.asarray(matrix, dtype=object).tolist())
    if J.rows != J.cols:
        raise ValueError(f"a matrix J has to be square, got shape {J.shape}")
    z = fresh(J.rows, "z")
    v = J.applyfunc(exact_number) * sp.Matrix(z)
    names = tuple(f"z{k + 1}" for k in range(J.rows))
    return FieldFormula(tuple(v), z, (Player("z", 0, J.rows, names),), "the matrix", names)


def _costs(game: Any) -> tuple[tuple[sp.Symbol, ...], tuple[sp.Expr, ...]]:
    """Symbols and costs of a game in formulas, its numbers bound; none of a game given by its field."""
    values = {game.parameter_symbol(n): exact_number(x) for n, x in game.bound.items()}
    return game.symbols, tuple(exact_number(c.xreplace(values)) for c in game.costs or ())


def _of_field(
    F: Field,
    name: str,
    names: Sequence[str],
    note: str = "",
    costs: tuple[tuple[sp.Symbol, ...], tuple[sp.Expr, ...]] = ((), ()),
) -> FieldFormula:
    if F.world != "exact":
        raise NotInThisWorld("formulas", F.world, "v is known by its values alone; give the game, or an exact field")
    z = fresh(len(names), "z")
    v = tuple(exact_number(e) for e in F(column(z)))
    table = dict(zip(costs[0], z, strict=True)) if costs[1] else {}
    known = tuple(c for c in (c.xreplace(table) for c in costs[1]) if c.free_symbols <= set(z))
    return FieldFormula(v, z, tuple(F.players), name, tuple(names), note, known)


def box_ends(formula: FieldFormula, box: Any) -> list[tuple[sp.Rational, sp.Rational]]:
    """Ends of a box in exact numbers; floats become the rationals that they print as.

    Parameters
    ----------
    formula : FieldFormula
    box : mapping name -> (low, high), sequence of d pairs in the order of the variables, or (low, high) for all

    Raises
    ------
    ValueError
        If a variable is missing or unknown, or an interval is empty or infinite.
    """
    names = formula.names
    given = box if isinstance(box, Mapping) else _named(formula, tuple(box))
    if set(given) != set(names):
        raise ValueError(f"the box is for {sorted(given)}, but the variables of '{formula.name}' are {list(names)}")
    ends = []
    for n in names:
        pair = tuple(given[n])
        if len(pair) != 2 or not all(np.isfinite(float(e)) for e in pair) or not float(pair[0]) < float(pair[1]):
            raise ValueError(f"box of '{n}' is {pair}; give (low, high) with low < high, both finite")
        ends.append((_rational(pair[0], "floor"), _rational(pair[1], "ceiling")))
    return ends


def _named(formula: FieldFormula, box: tuple[Any, ...]) -> dict[str, Any]:
    """A box without names: one pair for every variable, or d pairs."""
    if not any(np.ndim(e) for e in box):
        return dict.fromkeys(formula.names, box)
    if len(box) != formula.dim or any(np.shape(e) != (2,) for e in box):
        raise ValueError(
            f"box={list(box)!r}: give one (low, high), {formula.dim} of them in the order {list(formula.names)}, "
            f"or a mapping from names to (low, high)"
        )
    return dict(zip(formula.names, box, strict=True))


def _rational(x: Any, side: str) -> sp.Rational:
    """The number itself if it is rational, otherwise one with 15 decimals outside the box."""
    x = exact_number(x)
    return x if x.is_Rational else sp.Rational(getattr(sp, side)(x * 10**15), 10**15)


def outward(ends: Sequence[tuple[sp.Rational, sp.Rational]]) -> tuple[np.ndarray, np.ndarray]:
    """The ends as floats, rounded outward, `(d,)` each."""
    return np.array([enclose(a)[0] for a, _ in ends]), np.array([enclose(b)[1] for _, b in ends])
