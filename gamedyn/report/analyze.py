"""A game on one screen: equilibria, J = S + A, and what every method makes of it."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.transformed import require_game, unwrap
from gamedyn.report import text
from gamedyn.report.local import MethodReport, local_game, number, pick, report_method
from gamedyn.report.points import PointReport, point_report
from gamedyn.rules.named import CLASSICAL
from gamedyn.stability.constants.constants import GameConstants, constants
from gamedyn.stability.constants.field_properties import Property, is_monotone
from gamedyn.stability.equilibria.equilibria import Equilibrium, equilibria
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["Analysis", "PointReport", "analyze"]

INTEREST = ("strict local Nash", "local minimax", "stable", "stable non-Nash", "center", "local maximin", "unstable")
BOXES, SECONDS = 512, 3.0  # what the constants on a box, and each answer on the class of the game, may take
SHOWN = 4  # equilibria shown in full, the rest as lines of a table


@dataclass(frozen=True, eq=False)
class Analysis:
    """What `analyze` returns; `print` it.

    Attributes
    ----------
    name : str
    players : tuple of (str, tuple of str)
        Names and variables.
    objectives : tuple of str
        One line per cost, or per component of the field.
    points : tuple of PointReport
    at : int or None
        Index of the equilibrium that the methods are compared at; None if there is none.
    methods : tuple of MethodReport
        Ranked by the rate per gradient at the step `lr`, methods that solve equations last.
    lr : Expr
        Step of the comparison.
    found : str
        How the equilibria were found, and whether they are all.
    constants : GameConstants or None
        Everywhere for an affine game, on the box if one was given, else of the linearization at that equilibrium.
    monotone : Property or None
        Whether v is, with a violating pair of points if not.
    """

    name: str
    players: tuple[tuple[str, tuple[str, ...]], ...]
    objectives: tuple[str, ...]
    points: tuple[PointReport, ...]
    at: int | None
    methods: tuple[MethodReport, ...]
    lr: sp.Expr
    found: str
    complete: bool
    note: str = ""
    constants: GameConstants | None = None
    monotone: Property | None = None

    def __str__(self) -> str:
        lines = [*self.objectives, *textwrap.wrap(self.found, text.WIDTH), *self._class()]
        full = [k for k in range(len(self.points)) if len(self.points) <= SHOWN or k == self.at]
        for k in full:
            lines += ["", *self.points[k].lines()]
        if others := [p.equilibrium for k, p in enumerate(self.points) if k not in full]:
            cells = [[text.point(e.point), e.kind, e.flow, text.eigenvalues(e.eigenvalues)] for e in others]
            lines += ["", *text.table(["other points", "class", "flow", "eigenvalues of J"], cells, left=(0, 1, 2, 3))]
        if self.at is not None:
            lines += ["", *self._rates(), "", *self._steps(), "", *self._legend()]
        return "\n".join(map(text.clip, lines))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<pre style="line-height: 1.25">{html.escape(str(self))}</pre>'

    def ranked(self, best: bool = False) -> list[MethodReport]:
        """The methods by their rate per gradient, at the step `lr` or each at its best step; implicit ones last."""
        return sorted(self.methods, key=lambda m: _rank(m, best))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON: exact numbers as text beside their floats."""
        return {
            "name": self.name,
            "players": [{"name": name, "variables": list(variables)} for name, variables in self.players],
            "objectives": list(self.objectives),
            "equilibria": [p.to_dict() for p in self.points],
            "complete": self.complete,
            "found": self.found,
            "note": self.note,
            "constants": None if self.constants is None else self.constants.line(),
            "monotone": None if self.monotone is None else repr(self.monotone),
            "lr": number(self.lr),
            "at": self.at,
            "methods": [m.to_dict() for m in self.methods],
        }

    def latex(self) -> str:
        """Matrices and a booktabs table, as a fragment for a document that loads amsmath and booktabs."""
        from gamedyn.report.latex import analysis_latex

        return analysis_latex(self)

    def _class(self) -> list[str]:
        """Which theorems' class the game belongs to, in at most a few lines."""
        parts = [
            None if self.constants is None else self.constants.line(),
            None if self.monotone is None else repr(self.monotone),
        ]
        return [line for part in parts if part for line in textwrap.wrap(text.prose(part), text.WIDTH)]

    # the tables --------------------------------------------------------------------------------------------

    def _where(self) -> str:
        assert self.at is not None
        return "" if len(self.points) == 1 else f" at {text.point(self.points[self.at].equilibrium.point)}"

    def _rates(self) -> list[str]:
        if all(m.rho is None and not m.reason for m in self.methods):
            return ["Rates need numbers for the free parameters: bind(...)."]
        title = f"Methods{self._where()} at the step η = {text.decimal(self.lr)}"
        for limit in (24, 18, 12, 0):
            lines = self._rate_table(limit)
            if max(map(len, lines)) <= text.WIDTH:
                break
        return [title, *lines]

    def _rate_table(self, limit: int) -> list[str]:
        """The table with formulas of at most `limit` characters; without their column if there are none."""
        head = ["method", f"ρ near η = {text.decimal(self.lr)}", "ρ", "grads", "per grad", "turn", "e-fold", "verdict"]
        rows: list[list[str]] = []
        for m in self.ranked():
            if m.reason or m.rho is None:
                rows.append([m.name, f"{text.DASH} {m.reason or 'symbols are free'}"])
                continue
            formula = "" if m.formula is None else text.expression(m.formula, ascending=True)
            per_gradient = text.fixed(m.per_gradient) if m.explicit else ""
            shown = formula if len(formula) <= limit else ""
            periods = (text.count(m.turn), text.count(m.e_folding))
            rows.append([m.name, shown, text.fixed(m.rho), price(m), per_gradient, *periods, m.verdict])
        if any(len(row) > 2 and row[1] for row in rows):
            return text.table(head, rows, left=(0, 1, 7))
        rows = [row if len(row) == 2 else [row[0], *row[2:]] for row in rows]
        return text.table([head[0], *head[2:]], rows, left=(0, 6))

    def _steps(self) -> list[str]:
        head = ["method", "stable steps", "best step", "best ρ", "per grad"]
        rows: list[list[str]] = []
        for m in self.ranked(best=True):
            if m.reason:
                continue
            step, rate = (
                (text.DASH, text.DASH)
                if m.best is None
                else (text.with_decimal(m.best.step, 8), text.with_decimal(m.best.rate, 8))
            )
            per_gradient = text.fixed(m.best_per_gradient) if m.best is not None and m.explicit else ""
            rows.append([m.name, _short(text.steps(m.stable)), step, rate, per_gradient])
        return [f"Methods{self._where()} over all steps", *text.table(head, rows, left=(0, 1, 2, 3))] if rows else []

    def _legend(self) -> list[str]:
        settings = "; ".join(
            f"{m.name} {', '.join(f'{k} {v:g}' for k, v in m.settings)}" for m in self.methods if m.settings
        )
        parts = [
            "Ranked per gradient, by ρ^(1/grads); a Jacobian product counts as two; methods that solve equations "
            "come last. turn: steps per turn, 2π/|arg ζ|; e-fold: steps per factor e, 1/|ln ρ|.",
            f"Coefficients: {settings}." if settings else "",
        ]
        if any(m.stable is not None and m.stable.kind == "numeric" for m in self.methods):
            parts.append("Stable steps are numeric here, from a scan of 0.0001 < η < 100.")
        return [line for part in parts if part for line in textwrap.wrap(part, text.WIDTH)]


def analyze(
    game: Any,
    *,
    methods: Any = None,
    box: Any = None,
    lr: Any = 0.1,
    params: Mapping[str, Any] | None = None,
    at: int | None = None,
) -> Analysis:
    """Equilibria of a game, their classes and spectra, and the rates of methods there, on one screen.

    Parameters
    ----------
    game : game
        In formulas, possibly transformed.
    methods : sequence of names or methods, or mapping name -> name or method, optional
        Names are keys of `gamedyn.rules.named.methods` and run at the step `lr`; methods at their own.
    box : mapping name -> (low, high), or (low, high), optional
        Where equilibria are looked for.
    lr : float or Rational
        Step η > 0 of the comparison.
    params : mapping, optional
        Values of the game's parameters.
    at : int, optional
        Which equilibrium the methods are compared at; by default the most interesting one (a Nash point before a
        stable one before a center before an unstable one).

    Returns
    -------
    Analysis
        A method without an answer at the point says why in its row.

    Raises
    ------
    ValueError
        If `lr` is not positive, a name is unknown, `at` is out of range, or parameters left free make the equilibria
        unsolvable.
    TypeError
        If `game` is no game, or has no formulas, or a method is none.

    Examples
    --------
    >>> import gamedyn as gd
    >>> report = gd.analyze(gd.zero_sum("x*y", min="x", max="y"), methods=["Simultaneous", "Extragradient"])
    >>> [(m.name, m.formula, m.verdict) for m in report.ranked()]
    [('Extragradient', sqrt(eta**4 - eta**2 + 1), 'converges'), ('Simultaneous', sqrt(eta**2 + 1), 'diverges')]
    """
    require_game(game, "analyze")
    step = positive_step(lr)
    chosen = pick(CLASSICAL if methods is None else methods)
    if "exact" not in game.worlds:
        raise TypeError(
            f"analyze needs a game in formulas and '{game.name}' has none; use gd.jacobian and gd.rotation at a point"
        )
    game = game.bind(**params) if params else game
    found = equilibria(game, box)
    if game.parameters and not found:
        free = ", ".join(game.parameters)
        raise ValueError(
            f"'{game.name}' has no equilibrium in closed form with {free} free; bind({game.parameters[0]}=...)"
        )
    points = tuple(point_report(e) for e in found)
    if at is not None and not 0 <= at < len(points):
        raise ValueError(f"at={at} names no equilibrium: there are {len(points)}, counted from 0")
    at = at if at is not None else min(range(len(points)), key=lambda k: _interest(found[k]), default=None)
    reports: tuple[MethodReport, ...] = ()
    if at is not None:
        local = local_game(game, found[at].point)
        reports = tuple(
            sorted((report_method(n, m, local, step) for n, m in chosen.items()), key=lambda m: _rank(m, False))
        )
    F = unwrap(game)[0].field("exact")
    players = tuple((p.name, tuple(str(s) for s in F.symbols[p.slice])) for p in F.players)
    return Analysis(
        game.name,
        players,
        tuple(_objectives(game, F)),
        points,
        at,
        reports,
        step,
        _found(found),
        found.complete,
        found.note,
        _within_time(lambda: _constants(game, box, None if at is None else found[at].point)),
        _within_time(lambda: is_monotone(game)),
    )


def _constants(game: Any, box: Any, point: Any) -> GameConstants:
    try:
        return constants(game)
    except ValueError:  # not affine: on a box, or at a point
        if box is not None:
            return constants(game, box, boxes=BOXES)
        short = all(not isinstance(x, sp.Expr) or not x.has(sp.CRootOf) for x in point)
        return constants(game, z=point if short else [float(x) for x in point])


def _within_time(answer: Callable[[], Any]) -> Any:
    """An answer that the page can do without: None where there is none, or not soon."""
    try:
        with limited_time(SECONDS):
            return answer()
    except (ValueError, TypeError, NotInThisWorld, OutOfTime):
        return None


def price(m: MethodReport) -> str:
    """Gradients per step, `8.5`, or what is solved instead, `1 solve`."""
    if m.explicit:
        return f"{m.gradients:g}"
    solves = f"{m.solves} solve{'s' if m.solves > 1 else ''}"
    return f"{m.gradients:g} + {solves}" if m.gradients else solves


def positive_step(lr: Any) -> sp.Expr:
    """A step size as an exact number.

    Raises
    ------
    ValueError
        If it is no positive number.
    """
    try:
        step = exact_number(lr)
    except (TypeError, ValueError, sp.SympifyError):
        raise ValueError(f"lr={lr!r} is no number; give a step size such as 0.1") from None
    if not (step.is_number and step.is_finite and step.is_positive):
        raise ValueError(f"lr={lr} is no step size; give a positive number such as 0.1")
    return step


def _rank(m: MethodReport, best: bool) -> tuple[Any, ...]:
    rate = (None if m.best is None else float(m.best.rate)) if best else m.rho
    per_gradient = m.best_per_gradient if best else m.per_gradient
    missing = bool(m.reason) or rate is None
    # Rates are compared to 12 digits, so that equal methods keep the order in which they were given.
    return (
        bool(m.reason),
        not m.explicit,
        missing,
        round((per_gradient if m.explicit else rate) or 0.0, 12) if not missing else 0.0,
    )


def _interest(e: Equilibrium) -> int:
    return INTEREST.index(e.kind) if e.kind in INTEREST else len(INTEREST)


def _found(found: Any) -> str:
    count = f"{len(found)} equilibri{'um' if len(found) == 1 else 'a'}" if found else "No equilibrium"
    known = "all real zeros of v" if found.complete else "others may exist"
    return f"{count} by {found.method} ({known})" + (f"; {text.prose(found.note)}" if found.note else "")


def _objectives(game: Any, F: Any) -> list[str]:
    """The game in formulas, one line per cost, long ones wrapped."""
    groups = [(p, ", ".join(text.expression(s) for s in F.symbols[p.slice])) for p in F.players]
    title = "" if game.name in ("game", "field game") else f"{game.name}: "
    if F.costs is None:
        lines = [
            f"v_{names} = {', '.join(text.expression(e) for e in F.field_function.outputs[p.slice])}"
            for p, names in groups
        ]
    elif len(F.costs) == 2 and sp.expand(F.costs[0] + F.costs[1]) == 0:
        lines = [f"min over {groups[0][1]}, max over {groups[1][1]}:  f = {text.expression(F.costs[0])}"]
    else:
        lines = [
            f"min over {names}:  c{k} = {text.expression(c)}"
            for k, ((_, names), c) in enumerate(zip(groups, F.costs, strict=True), 1)
        ]
    lines[0] = title + lines[0]
    return [
        line
        for whole in lines
        for line in textwrap.wrap(whole, text.WIDTH, subsequent_indent="    ", max_lines=6, placeholder=" …")
    ]


def _short(region: str, limit: int = 44) -> str:
    return region if len(region) <= limit else f"{text.DASH} (see stable_steps)"
