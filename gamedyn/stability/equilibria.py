"""Equilibria of a game in formulas: the zeros of v(z) = (∇₁c₁, …, ∇ₙcₙ), exact where algebra reaches, with classes.

Affine fields are solved by linear algebra, polynomial ones (also rational ones, and polynomials times exponentials) by
elimination, which finds every real zero; everything else, and whatever takes too long, by Newton's method from many
starts, which proves nothing about zeros that it did not meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.chart import Chart, simplex_chart
from gamedyn.games.exact import column, is_affine
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number, fresh
from gamedyn.games.transformed import unwrap
from gamedyn.rules.method import map_numbers
from gamedyn.stability.classify import classify_second_order, flow_class, timescale_threshold
from gamedyn.stability.newton_zeros import (
    compiled_field,
    jacobian_formula,
    newton_zeros,
    recognise,
    thin_singular,
    traced_field,
)
from gamedyn.stability.number_text import format_eigenvalues, format_number
from gamedyn.stability.polynomial_zeros import NotPolynomial, PositiveDimensional, affine_zeros, real_zeros
from gamedyn.stability.second_order import SecondOrder, second_order
from gamedyn.stability.spectrum_signs import eigenvalues
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["Equilibrium", "EquilibriumList", "equilibria"]

Box = Mapping[str, tuple[Any, Any]] | tuple[Any, Any] | None
DEFAULT_BOX = (-3.0, 3.0)  # of Newton's starts, per coordinate
_KINKS = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Piecewise, sp.Heaviside)
_ROWS = 20
_CELL = 60  # characters of a table's cell


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A zero of v.

    Attributes
    ----------
    point : tuple `(d,)`
        SymPy numbers if `exact`, floats otherwise.
    exact : bool
        Whether v(point) = 0 is proven.
    residual : float
        max |v_k(point)|; 0 if exact.
    eigenvalues : tuple
        Of J: SymPy numbers where they are radicals of degree at most 2, complex numbers otherwise.
    jacobian : Matrix or ndarray `(d, d)`
    kind : str
        "strict local Nash", "local minimax", "stable non-Nash", "local maximin", "stable", "unstable", "center",
        "degenerate" or "undecided"; see `gamedyn.stability.classify`.
    flow : str
        What the flow alone does: "stable", "unstable", "center", "degenerate" or "undecided".
    evidence : str
        The minors and eigenvalues that decide.
    tau : number or None
        Smallest τ₀ such that the flow is stable for every τ > τ₀, for two players of one variable each.
    """

    point: tuple[Any, ...]
    exact: bool
    residual: float
    eigenvalues: tuple[Any, ...]
    jacobian: Any
    kind: str
    flow: str
    evidence: str
    tau: Any = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([float(x) for x in self.point], dtype=dtype or float)

    def row(self) -> dict[str, str]:
        """The line of the table, as text."""
        return {
            "point": _cut(f"({', '.join(format_number(x) for x in self.point)})"),
            "class": self.kind,
            "flow": self.flow,
            "eigenvalues": _cut(format_eigenvalues(self.eigenvalues)),
            "residual": "exact" if self.exact else f"{self.residual:.1e}",
            "tau*": "-" if self.tau is None else format_number(self.tau),
        }

    def __repr__(self) -> str:
        r = self.row()
        threshold = "" if self.tau is None else f", tau* = {r['tau*']}"
        return (
            f"{r['point']}: {self.kind}, eigenvalues {r['eigenvalues']}, residual {r['residual']}{threshold}\n"
            f"  {self.evidence}"
        )


class EquilibriumList(tuple[Equilibrium, ...]):
    """Equilibria, in lexicographic order of their points.

    Attributes
    ----------
    complete : bool
        Whether these are proven to be all the real zeros of v (in the box, if one was given).
    method : str
        How they were found.
    note : str
        What the reader has to know: a continuum of zeros, a search cut short.
    """

    complete: bool
    method: str
    note: str

    def __new__(cls, items: Sequence[Equilibrium], *, complete: bool, method: str, note: str = "") -> EquilibriumList:
        self = super().__new__(cls, items)
        self.complete, self.method, self.note = complete, method, note
        return self

    def __repr__(self) -> str:
        known = "all real zeros" if self.complete else "others may exist"
        head = f"{len(self)} equilibri{'um' if len(self) == 1 else 'a'} by {self.method} ({known})"
        rows = [e.row() for e in self[:_ROWS]]
        lines = [head, *_table(rows)]
        if len(self) > _ROWS:
            lines.append(f"… and {len(self) - _ROWS} more")
        return "\n".join([*lines, f"note: {self.note}"] if self.note else lines)


def equilibria(
    game: Any,
    box: Box = None,
    *,
    params: Mapping[str, Any] | None = None,
    tolerance: float = 1e-10,
    starts: int = 200,
    seed: int = 0,
    time_limit: float = 10.0,
) -> EquilibriumList:
    """The zeros of v, each with its class, eigenvalues and two-timescale threshold.

    Parameters
    ----------
    game : game
        A game in formulas, possibly transformed.
    box : mapping name -> (low, high), or (low, high), optional
        Where to look; zeros outside are left out.  Without it, algebra looks everywhere and Newton's method starts in
        [-3, 3] per coordinate.
    params : mapping, optional
        Parameter values.  Parameters left free are possible where v is affine, or where SymPy solves quickly.
    tolerance : float
        Largest |v_k| of a zero found by Newton's method.
    starts : int
        Newton's random starts, besides the centre of the box.
    seed : int
        Of the starts.
    time_limit : float
        Seconds for each of the algebraic stages; enforced on the main thread only.

    Returns
    -------
    EquilibriumList

    Raises
    ------
    ValueError
        If the box names no variable of the game or is empty, or Newton's method is needed and a parameter is free.
    NotInThisWorld
        If the game is not given by formulas.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.equilibria import equilibria
    >>> equilibria(gd.zero_sum("-x**2 + 5*x*y - y**2", min="x", max="y"))
    1 equilibrium by linear algebra (all real zeros)
      point   class          flow    eigenvalues  residual  tau*
      (0, 0)  local minimax  center  ±4.58258i    exact     1
    """
    if "exact" not in game.worlds:
        raise NotInThisWorld(
            "equilibria", "/".join(game.worlds), "it needs v as a formula; train the game, or simulate it"
        )
    if params:
        game = game.bind(**params)
    if any(t.changes_variables for t in unwrap(game)[1]):
        raise NotInThisWorld("equilibria", "dual", "the variables are dual; ask for the equilibria of the game itself")
    bounds, chart = _bounds(game, box), simplex_chart(game)
    if chart is None:
        return _Search(game, bounds, tolerance, starts, seed, time_limit).run()
    return _lifted(chart, bounds, _Search(chart.game, None, tolerance, starts, seed, time_limit).run())


def _lifted(chart: Chart, bounds: list[tuple[Any, Any]] | None, found: EquilibriumList) -> EquilibriumList:
    """The zeros along the simplices that lie inside the constraints (and the box), as points of the game."""
    items = [replace(e, point=chart.lift(e.point)) for e in found]
    kept = [e for e in items if chart.geometry.contains(e.point) and _in_box(e.point, bounds)]
    along = "equilibria inside the simplices, eigenvalues and classes along them; their faces are not searched"
    note = "; ".join(filter(None, [found.note, along]))
    return EquilibriumList(sorted(kept, key=_order), complete=found.complete, method=found.method, note=note)


# the search --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Points before they are classified."""

    points: list[tuple[Any, ...]]
    complete: bool
    method: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class _Search:
    game: Any
    box: list[tuple[Any, Any]] | None
    tolerance: float
    starts: int
    seed: int
    seconds: float

    def run(self) -> EquilibriumList:
        z = fresh(self.game.dim, "z")
        v, why = self._formula(z)
        found = None
        if v is not None:
            found, why = self._by_algebra(v, z)
        if found is None:
            found = self._by_newton(v, z, why)
        numeric = cache(lambda: compiled_field(v, z) if v is not None else traced_field(self.game))
        formula = jacobian_formula(v, z) if v is not None else None
        kept = [p for p in found.points if self._inside(p) and self._feasible(p)]
        items = [self._equilibrium(p, numeric, formula) for p in kept]
        note = "; ".join(filter(None, [found.note, self._constraint_note()]))
        return EquilibriumList(sorted(items, key=_order), complete=found.complete, method=found.method, note=note)

    def _formula(self, z: Sequence[sp.Symbol]) -> tuple[list[sp.Expr] | None, str]:
        """v as expressions in z, or None with the reason."""
        try:
            with limited_time(self.seconds):
                return [exact_number(sp.expand(e)) for e in _exact_game(self.game).field("exact")(column(z))], ""
        except OutOfTime:
            return None, f"the formula of v took more than {self.seconds:g} s"
        except NotInThisWorld as error:
            return None, str(error)

    def _by_algebra(self, v: list[sp.Expr], z: Sequence[sp.Symbol]) -> tuple[_Found | None, str]:
        free = set().union(*(e.free_symbols for e in v)) - set(z)
        try:
            with limited_time(self.seconds):
                if is_affine(column(v), column(z)):
                    return self._affine(v, z, bool(free)), ""
                if free:
                    return _by_solve(v, z), ""
                return _Found(list(real_zeros(v, z)), True, "elimination"), ""
        except PositiveDimensional:
            return None, "the zeros of this polynomial v are not isolated (at least over the complex numbers)"
        except NotPolynomial:
            return None, ""
        except OutOfTime:
            if free:
                return _Found([], False, "no method", f"symbols {sorted(map(str, free))} are free: bind them"), ""
            return None, f"elimination took more than {self.seconds:g} s"

    def _affine(self, v: list[sp.Expr], z: Sequence[sp.Symbol], generic: bool) -> _Found:
        matrix = sp.Matrix(v).jacobian(sp.Matrix(z))
        offset = sp.Matrix(v).xreplace(dict.fromkeys(z, sp.S.Zero))
        centre = [(low + high) / 2 for low, high in self.box] if self.box else [0] * len(z)
        points, dimension = affine_zeros(matrix, offset.applyfunc(sp.expand), centre)
        notes = []
        if dimension:
            shown = "shown is" if all(map(self._inside, points)) else "the box does not contain"
            where = "the centre of the box" if self.box else "0"
            notes.append(f"the zeros form a flat of dimension {dimension}; {shown} the one nearest to {where}")
        if generic:
            notes.append("for parameters that make no denominator and no pivot vanish")
        return _Found(points, dimension == 0, "linear algebra", "; ".join(notes))

    def _by_newton(self, v: list[sp.Expr] | None, z: Sequence[sp.Symbol], why: str) -> _Found:
        value, jacobian = compiled_field(v, z) if v is not None else traced_field(self.game)
        if v is not None:
            self.game.field("array")  # says which parameters have no value
        box = self.box or [DEFAULT_BOX] * self.game.dim
        bounds = np.array([[float(low), float(high)] for low, high in box])
        zeros = newton_zeros(value, jacobian, bounds, starts=self.starts, seed=self.seed, tolerance=self.tolerance)
        zeros, thinned = thin_singular(zeros, jacobian, bounds.mean(axis=1))
        where = "the box" if self.box else "[-3, 3] per coordinate"
        notes = [
            why,
            thinned and "zeros with singular J form a continuum or are many; the one nearest to the centre is shown",
            v and column(v).has(*_KINKS) and "v has kinks, where J is one-sided and classes mean nothing",
        ]
        points = [self._recognised(p, v, z) for p in zeros]
        method = f"Newton from {self.starts} starts in {where}, seed {self.seed}"
        return _Found(points, False, method, "; ".join(n for n in notes if n))

    def _recognised(self, zero: np.ndarray, v: list[sp.Expr] | None, z: Sequence[sp.Symbol]) -> tuple[Any, ...]:
        try:
            with limited_time(self.seconds):
                return tuple(map(float, zero)) if v is None else recognise(zero, v, z)
        except OutOfTime:
            return tuple(map(float, zero))

    def _inside(self, point: Sequence[Any]) -> bool:
        return _in_box(point, self.box)

    def _constraint_note(self) -> str:
        F = unwrap(self.game)[0].field("exact")
        z = column(fresh(self.game.dim, "z"))
        if F.point(z) == z:
            return ""
        return "zeros of v strictly inside the constraints; points held on the boundary are not searched"

    def _feasible(self, point: Sequence[Any]) -> bool:
        """Whether the point lies strictly inside the game's own constraints, where they do not act."""
        return unwrap(self.game)[0].field("exact").geometry.contains(point)

    def _equilibrium(self, point: tuple[Any, ...], numeric: Any, formula: Any) -> Equilibrium:
        """The point with its class; `numeric` gives (v, Dv) on batches, `formula` Dv at an exact point, or None."""
        exact = all(isinstance(x, sp.Expr) for x in point)
        try:
            if formula is None:
                raise OutOfTime
            with limited_time(self.seconds):
                jacobian = formula(point) if exact else numeric()[1](np.array(point)[:, None])[:, :, 0]
                return _described(point, exact, second_order(_exact_game(self.game), point, jacobian=jacobian))
        except (OutOfTime, NotInThisWorld):  # the costs are out of reach here, the flow is not
            z = np.array([[float(x)] for x in point])
            value, jacobian = numeric()
            return _described(point, exact, SecondOrder(self.game.players, value(z)[:, 0], jacobian(z)[:, :, 0]))


def _in_box(point: Sequence[Any], box: list[tuple[Any, Any]] | None) -> bool:
    if box is None or any(isinstance(x, sp.Expr) and x.free_symbols for x in point):
        return True
    slack = 0 if isinstance(point[0], sp.Expr) else 1e-9
    return all(low - slack <= x <= high + slack for x, (low, high) in zip(point, box, strict=True))


def _described(point: tuple[Any, ...], exact: bool, data: SecondOrder) -> Equilibrium:
    kind, evidence = classify_second_order(data)
    residual = 0.0 if exact else float(np.max(np.abs(data.value)))
    flow, _ = flow_class(data.jacobian)
    spectrum = eigenvalues(data.jacobian)
    return Equilibrium(point, exact, residual, spectrum, data.jacobian, kind, flow, evidence, timescale_threshold(data))


def _by_solve(v: list[sp.Expr], z: Sequence[sp.Symbol]) -> _Found:
    """SymPy's own solver, for polynomial fields with free parameters."""
    try:
        solutions = sp.solve(v, list(z), dict=True)
    except NotImplementedError:
        solutions = []
    points = [tuple(s.get(x, x) for x in z) for s in solutions]
    isolated = [
        p for p in points if not any(x.free_symbols & set(z) for x in p) and not any(x.is_real is False for x in p)
    ]
    free = sorted({str(s) for e in v for s in e.free_symbols - set(z)})
    note = f"{', '.join(free)} left free: points may be complex for some values, and others may exist"
    return _Found([tuple(map(sp.simplify, p)) for p in isolated], False, "symbolic solving", note)


# boxes, tables, time -----------------------------------------------------------------------------------


def _bounds(game: Any, box: Box) -> list[tuple[Any, Any]] | None:
    """(low, high) of every coordinate as exact numbers; None for no box."""
    if box is None:
        return None
    names = [n for p in game.players for n in p.variables]
    if not isinstance(box, Mapping):
        box = dict.fromkeys(names, tuple(box))
    unknown = [n for n in box if n not in names]
    if unknown:
        raise ValueError(f"box names {unknown}, but the variables of '{game.name}' are {names}")
    bounds = []
    for n in names:
        ends = tuple(box.get(n, DEFAULT_BOX))
        if len(ends) != 2 or not exact_number(ends[0]) < exact_number(ends[1]):
            raise ValueError(f"box of '{n}' is {ends}; give (low, high) with low < high, both finite")
        bounds.append((exact_number(ends[0]), exact_number(ends[1])))
    return bounds


def _exact_game(game: Any) -> Any:
    """The game with the floats of its transforms as the rationals that they print as."""
    base, transforms = unwrap(game)
    for t in transforms:
        base = map_numbers(t, exact_number)(base)
    return base


def _order(e: Equilibrium) -> tuple[Any, ...]:
    if any(isinstance(x, sp.Expr) and x.free_symbols for x in e.point):
        return ()
    return tuple(round(float(x), 9) for x in e.point)


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _table(rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return []
    widths = {k: max(len(k), *(len(r[k]) for r in rows)) for k in rows[0]}
    return [
        "  " + "  ".join(r[k].ljust(w) for k, w in widths.items()).rstrip() for r in ({k: k for k in widths}, *rows)
    ]
