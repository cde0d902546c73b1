"""Equilibria of a game in formulas: the zeros of v(z) = (∇₁c₁, …, ∇ₙcₙ), exact where algebra reaches, with classes.

Affine fields are solved by linear algebra, polynomial ones (also rational ones, and polynomials times exponentials) by
elimination, which finds every real zero, manifolds of zeros included.  Everything else, and whatever takes too long, is
solved by Newton's method from many starts, then with the zeros found deflated: this proves that zeros exist
(Krawczyk's test), and nothing about zeros that it did not meet.  Branch and prune proves that too, in a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.chart import Chart, simplex_chart
from gamedyn.games.exact import column, is_affine
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number, fresh
from gamedyn.games.transformed import unwrap
from gamedyn.rules.method import map_numbers
from gamedyn.stability.equilibria.description import Describer, Zero
from gamedyn.stability.equilibria.domain import is_defined, is_real_nowhere
from gamedyn.stability.equilibria.equilibrium import Equilibrium, EquilibriumList, Manifold, in_order
from gamedyn.stability.equilibria.isolation import isolating_boxes
from gamedyn.stability.equilibria.numeric_search import NumericSearch
from gamedyn.stability.equilibria.polynomial_components import Piece, real_components
from gamedyn.stability.equilibria.polynomial_zeros import NotPolynomial, PositiveDimensional, affine_zeros, real_zeros
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["Equilibrium", "EquilibriumList", "Manifold", "equilibria"]

Box = Mapping[str, tuple[Any, Any]] | Sequence[tuple[Any, Any]] | tuple[Any, Any] | None
DEFAULT_BOX = (-3.0, 3.0)  # of Newton's starts, per coordinate


def equilibria(
    game: Any,
    box: Box = None,
    *,
    params: Mapping[str, Any] | None = None,
    tolerance: float = 1e-10,
    starts: int = 200,
    seed: int = 0,
    time_limit: float = 10.0,
    exhaustive: bool = False,
) -> EquilibriumList:
    """The zeros of v, each with its class, eigenvalues and two-timescale threshold.

    Parameters
    ----------
    game : game
        A game in formulas, possibly transformed.
    box : mapping name -> (low, high), sequence of d pairs (low, high), or one pair for all variables, optional
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
        Seconds for each of the algebraic stages, enforced on the main thread only, and for the exhaustive search.
    exhaustive : bool
        Where algebra does not find all zeros: split the box until each part provably holds no zero or one.  The result
        is `complete` in the box, or says how many parts stayed `undecided`.

    Returns
    -------
    EquilibriumList

    Raises
    ------
    ValueError
        If the box names no variable of the game or is empty, Newton's method is needed and a parameter is free, or an
        exhaustive search is asked for where v has no formula, or one without interval bounds.
    NotInThisWorld
        If the game is not given by formulas.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.equilibria.equilibria import equilibria
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
        return _Search(game, bounds, tolerance, starts, seed, time_limit, exhaustive).run()
    return _lifted(chart, bounds, _Search(chart.game, None, tolerance, starts, seed, time_limit, exhaustive).run())


def _lifted(chart: Chart, bounds: list[tuple[Any, Any]] | None, found: EquilibriumList) -> EquilibriumList:
    """The zeros along the simplices that lie inside the constraints (and the box), as points of the game."""
    items = [replace(e, point=chart.lift(e.point), isolation=None, manifold=_unnamed(e.manifold)) for e in found]
    kept = [e for e in items if chart.geometry.contains(e.point) and _in_box(e.point, bounds)]
    along = "equilibria inside the simplices, eigenvalues and classes along them; their faces are not searched"
    note = "; ".join(filter(None, [found.note, along]))
    return EquilibriumList(in_order(kept), complete=found.complete, method=found.method, note=note)


def _unnamed(manifold: Manifold | None) -> Manifold | None:
    """The manifold without formulas, which are in coordinates along the simplices."""
    return None if manifold is None else replace(manifold, equations=(), parametrization=None)


# the search --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Zeros before they are classified."""

    zeros: list[Zero]
    complete: bool
    method: str
    note: str = ""
    covered: bool = False
    undecided: int = 0


@dataclass(frozen=True, eq=False)
class _Search:
    game: Any
    box: list[tuple[Any, Any]] | None
    tolerance: float
    starts: int
    seed: int
    seconds: float
    exhaustive: bool

    def run(self) -> EquilibriumList:
        z = fresh(self.game.dim, "z")
        v, why = self._formula(z)
        found = None
        if v is not None:
            found, why = self._by_algebra(v, z)
        describer = Describer(_exact_game(self.game), v, z, self.seconds)
        if found is None:
            found = self._by_newton(describer, why)
        inside = [x for x in found.zeros if self._inside(x.point) and self._feasible(x.point)]
        kept = [x for x in inside if self._defined(x.point)]
        left_out = any(x.piece is not None and x not in kept for x in found.zeros)
        unsaid = any(x.piece is not None and x not in inside for x in found.zeros) and found.method != "linear algebra"
        outside = "the nearest point of some manifold lies outside the box or constraints" if unsaid else ""
        undefined = _undefined_note(len(inside) - len(kept))
        note = "; ".join(filter(None, [found.note, outside, undefined, self._constraint_note()]))
        return EquilibriumList(
            in_order([describer.equilibrium(x) for x in kept]),
            complete=found.complete,
            method=found.method,
            note=note,
            covered=found.covered and not left_out,
            undecided=found.undecided,
        )

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
                points = real_zeros(v, z)
                zeros = [Zero(p, box) for p, box in zip(points, isolating_boxes(points), strict=True)]
                return _Found(zeros, True, "elimination"), ""
        except PositiveDimensional:
            return self._by_components(v, z)
        except NotPolynomial:
            return None, ""
        except OutOfTime:
            if free:
                return _Found([], False, "no method", f"symbols {sorted(map(str, free))} are free: bind them"), ""
            return None, f"elimination took more than {self.seconds:g} s"

    def _by_components(self, v: list[sp.Expr], z: Sequence[sp.Symbol]) -> tuple[_Found | None, str]:
        """Manifolds of zeros of a polynomial field, and the points beside them."""
        why = "the zeros of this polynomial v are not isolated (at least over the complex numbers)"
        try:
            with limited_time(self.seconds):
                points, pieces = real_components(v, z, self._centre())
        except (NotPolynomial, OutOfTime):
            return None, why
        if not pieces:
            zeros = [Zero(p, box) for p, box in zip(points, isolating_boxes(points), strict=True)]
            return _Found(zeros, True, "elimination"), ""
        zeros = [*map(Zero, points), *(Zero(p.point, piece=p) for p in pieces)]
        where = "the centre of the box" if self.box else "0"
        note = f"the zeros are not isolated: each manifold is shown by one point, near {where}"
        return _Found(zeros, False, "elimination", note, covered=True), ""

    def _affine(self, v: list[sp.Expr], z: Sequence[sp.Symbol], generic: bool) -> _Found:
        matrix = sp.Matrix(v).jacobian(sp.Matrix(z))
        offset = sp.Matrix(v).xreplace(dict.fromkeys(z, sp.S.Zero))
        points, dimension = affine_zeros(matrix, offset.applyfunc(sp.expand), self._centre())
        notes = []
        zeros = [Zero(p, box) for p, box in zip(points, isolating_boxes(points), strict=True)]
        if dimension:
            shown = "shown is" if all(map(self._inside, points)) else "the box does not contain"
            where = "the centre of the box" if self.box else "0"
            notes.append(f"the zeros form a flat of dimension {dimension}; {shown} the one nearest to {where}")
            zeros = [Zero(p, piece=_flat(matrix.row_join(offset), z, dimension, p)) for p in points]
        if generic:
            notes.append("for parameters that make no denominator and no pivot vanish")
        return _Found(zeros, dimension == 0, "linear algebra", "; ".join(notes), covered=True)

    def _by_newton(self, describer: Describer, why: str) -> _Found:
        if describer.v is not None:
            self.game.field("array")  # says which parameters have no value
        bounds = self.box or [(exact_number(a), exact_number(b)) for a, b in [DEFAULT_BOX] * self.game.dim]
        search = NumericSearch(describer, bounds, self.tolerance, self.starts, self.seed, self.seconds)
        where = "the box" if self.box else "[-3, 3] per coordinate"
        if self.exhaustive:
            found = search.exhaustive()
            known = found.undecided == 0
            within = "" if self.box or not known else "all zeros in [-3, 3] per coordinate"
            return _Found(
                found.zeros,
                known and self.box is not None,
                f"branch and prune in {where}",
                "; ".join(filter(None, [why, found.note, within])),
                undecided=found.undecided,
            )
        zeros, notes = search.newton()
        method = f"Newton from {self.starts} starts in {where}, seed {self.seed}"
        return _Found(zeros, False, method, "; ".join(filter(None, [why, *notes])))

    def _centre(self) -> list[Any]:
        return [(low + high) / 2 for low, high in self.box] if self.box else [sp.S.Zero] * self.game.dim

    def _inside(self, point: Sequence[Any]) -> bool:
        return _in_box(point, self.box)

    def _constraint_note(self) -> str:
        F = unwrap(self.game)[0].field("exact")
        z = column(fresh(self.game.dim, "z"))
        if F.point(z) == z:
            return ""
        return "zeros of v strictly inside the constraints; points held on the boundary are not searched"

    def _defined(self, point: Sequence[Any]) -> bool:
        """Whether the costs (or, without costs, v) are real and finite at a zero of the simplified v."""
        F = unwrap(self.game)[0].field("exact")
        try:
            with limited_time(self.seconds):
                return F.is_quadratic or is_defined(F.costs or F.field_function.outputs, F.symbols, point)
        except OutOfTime:
            return True

    def _feasible(self, point: Sequence[Any]) -> bool:
        """Whether the point lies strictly inside the game's own constraints, where they do not act."""
        return unwrap(self.game)[0].field("exact").geometry.contains(point)


def _undefined_note(count: int) -> str:
    if not count:
        return ""
    return f"{count} zero{'s' if count > 1 else ''} of v left out, where the costs are not real and finite"


def _flat(system: sp.MatrixBase, z: Sequence[sp.Symbol], dimension: int, point: tuple[Any, ...]) -> Piece:
    """The flat of zeros of [A b] through a point."""
    rows = [r for r in system.rref(simplify=True)[0].tolist() if any(e != 0 for e in r)]
    equations = [sp.Add(*(a * s for a, s in zip(r[:-1], z, strict=True)), r[-1]) for r in rows]
    pivots = {z[next(k for k, a in enumerate(r) if a != 0)]: e for r, e in zip(rows, equations, strict=True)}
    names = dict(zip([s for s in z if s not in pivots], sp.symbols(f"s1:{dimension + 1}", real=True), strict=True))
    form = tuple(names[s] if s in names else sp.expand(s - pivots[s]).xreplace(names) for s in z)
    return Piece(dimension, tuple(equations), form, point)


def _in_box(point: Sequence[Any], box: list[tuple[Any, Any]] | None) -> bool:
    if box is None or any(isinstance(x, sp.Expr) and x.free_symbols for x in point):
        return True
    slack = 0 if isinstance(point[0], sp.Expr) else 1e-9
    return all(low - slack <= x <= high + slack for x, (low, high) in zip(point, box, strict=True))


def _by_solve(v: list[sp.Expr], z: Sequence[sp.Symbol]) -> _Found:
    """SymPy's own solver, for polynomial fields with free parameters."""
    try:
        solutions = sp.solve(v, list(z), dict=True)
    except NotImplementedError:
        solutions = []
    points = [tuple(s.get(x, x) for x in z) for s in solutions]
    isolated = [tuple(map(sp.simplify, p)) for p in points if not any(x.free_symbols & set(z) for x in p)]
    real = [p for p in isolated if not any(map(is_real_nowhere, p))]
    free = sorted({str(s) for e in v for s in e.free_symbols - set(z)})
    note = f"{', '.join(free)} left free: points may be complex for some values, and others may exist"
    return _Found([Zero(p) for p in real], False, "symbolic solving", note)


# boxes -----------------------------------------------------------------------------------


def _bounds(game: Any, box: Box) -> list[tuple[Any, Any]] | None:
    """(low, high) of every coordinate as exact numbers; None for no box."""
    if box is None:
        return None
    names = [n for p in game.players for n in p.variables]
    if not isinstance(box, Mapping):
        box = _named(names, tuple(box), game)
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


def _named(names: list[str], box: tuple[Any, ...], game: Any) -> dict[str, tuple[Any, Any]]:
    """One pair for all variables, or a pair for each of them in the order of the game, by their names."""
    pairs = [np.ndim(b) > 0 for b in box]
    if not any(pairs):
        return dict.fromkeys(names, box)
    if not all(pairs) or len(box) != len(names):
        raise ValueError(
            f"box is {box}; '{game.name}' has the variables {names}: give one pair (low, high) for all, "
            "a pair for each, or a mapping from names to pairs"
        )
    return dict(zip(names, box, strict=True))


def _exact_game(game: Any) -> Any:
    """The game with the floats of its transforms as the rationals that they print as."""
    base, transforms = unwrap(game)
    for t in transforms:
        base = map_numbers(t, exact_number)(base)
    return base
