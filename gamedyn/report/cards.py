"""Method cards: what the code says of a method, on one page, computed when asked for."""

from __future__ import annotations

import html
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.matrix_games import matching_pennies
from gamedyn.games.symbolic import SymbolicGame, zero_sum
from gamedyn.maps.stepmap import StepMap
from gamedyn.report import text
from gamedyn.report.local import MethodReport, local_game, report_method
from gamedyn.rules.method import Method, as_method, step_cost
from gamedyn.rules.named import coefficients, named
from gamedyn.rules.named import methods as known
from gamedyn.rules.rule import is_scheduled
from gamedyn.stability.regions.steps import stability_polynomial

__all__ = ["MethodCard", "cards_page", "method_card"]

WIDTH = 100
TERMS = 12  # of a polynomial, up to which it is written out
EVALUATIONS = 24  # gradients up to which a certificate takes seconds
CERTIFIED_STEP, CERTIFIED_MU, CERTIFIED_L, CERTIFIED_STEPS = 0.25, 0.1, 1.0, 3


HEAD = f"""# Method cards

Written by `gamedyn methods --cards`; every formula and number on this page comes from the code.

A step is priced in evaluations of all players' gradients; a Jacobian product counts as two. The stability polynomial
is that of the step on v(z) = λz; stable steps are those at which all its roots lie inside the unit disc, at the
rotation f = xy and at the potential game f = x²/2 - y²/2 (min over x, max over y). The certified worst case is that of
‖z_{CERTIFIED_STEPS} - z*‖²/‖z₀ - z*‖² over all {CERTIFIED_MU:g}-strongly monotone, {CERTIFIED_L:g}-Lipschitz fields
at the step {CERTIFIED_STEP:g}: the upper bound of a semidefinite program, and below it what the worst linear field
found attains. Where a best rate is attained by a whole interval of steps, one of them is shown. A dash says why there
is no answer.
"""


@dataclass(frozen=True)
class Part:
    """One piece of a method, as its docstring has it.

    Attributes
    ----------
    name, summary : str
    equations : tuple of str
    references : tuple of str
    """

    name: str
    summary: str
    equations: tuple[str, ...]
    references: tuple[str, ...]


@dataclass(frozen=True)
class MethodCard:
    """What is known of a named method; `print` it.

    Attributes
    ----------
    name : str
    coefficients : tuple of (str, number)
        Besides the step size, with their defaults, at which everything here is computed.
    parts : tuple of Part
        The rule, what it wraps, the preconditioner and the transforms, from the outside in.
    polynomial : Expr or None
        Stability polynomial in ζ on v(z) = λz; None where the step is no function of λ alone.
    rotation, potential : MethodReport
        On f = xy (λ = ±i) and on f = x²/2 - y²/2 (λ = 1).
    pennies : MethodReport or None
        At (1/2, 1/2) of matching pennies, for methods on dual variables, which need constraints.
    gradients : Rational
        Per step, in evaluations of all players' gradients; a Jacobian product counts as two.
    solves : int
        Implicit equations and linear systems per step.
    memory : int
        Vectors kept besides z.
    certified : str
        The certified worst case, or the reason why there is none.
    """

    name: str
    coefficients: tuple[tuple[str, Any], ...]
    parts: tuple[Part, ...]
    polynomial: Any
    rotation: MethodReport
    potential: MethodReport
    pennies: MethodReport | None
    gradients: sp.Rational
    solves: int
    memory: int
    certified: str

    @property
    def call(self) -> str:
        """How the method is written."""
        given = "".join(f", {k}={v:g}" if isinstance(v, float) else f", {k}={v}" for k, v in self.coefficients)
        return f'gd.named("{self.name}", lr=η{given})'

    def rows(self) -> list[tuple[str, str]]:
        """(property, value), in reading order."""
        solves = "" if not self.solves else f" and {self.solves} solve" + ("s" if self.solves > 1 else "")
        polynomial = "—" if self.polynomial is None else _polynomial(self.polynomial)
        on_games = [("stable steps, rotation λ = ±i", self.rotation), ("stable steps, potential λ = 1", self.potential)]
        if self.pennies is not None:
            on_games = [("stable steps, matching pennies", self.pennies)]
        return [
            ("cost of a step", f"{self.gradients} gradient{'' if self.gradients == 1 else 's'}{solves}"),
            ("memory", f"{self.memory} vector{'' if self.memory == 1 else 's'} besides z"),
            ("stability polynomial", polynomial),
            *((label, _steps(report)) for label, report in on_games),
            ("certified worst case", self.certified),
        ]

    def __str__(self) -> str:
        lines = [self.name, f"  {self.call}", ""]
        for part in self.parts:
            lines += textwrap.wrap(f"{part.name}: {part.summary}", WIDTH, initial_indent="  ", subsequent_indent="    ")
            lines += [*(f"      {line}" for line in part.equations), ""]
        width = max(len(name) for name, _ in self.rows())
        for name, value in self.rows():
            head, rest = f"  {name:{width}}  ", " " * (width + 4)
            lines += textwrap.wrap(value, WIDTH, initial_indent=head, subsequent_indent=rest)
        for reference in self._references():
            lines += textwrap.wrap(reference, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    __repr__ = __str__

    def _references(self) -> list[str]:
        return list(dict.fromkeys(r for part in self.parts for r in part.references))

    def markdown(self) -> str:
        """The card as a section of a page."""
        lines = [f"## {self.name}", "", f"`{self.call}`", ""]
        for part in self.parts:
            equations = ["```text", *part.equations, "```"] if part.equations else []
            lines += [f"**{part.name}.** {part.summary}", "", *equations, *([""] if equations else [])]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self.rows()]
        lines += ["", *(f"- {r}" for r in self._references())]
        return "\n".join(lines).rstrip() + "\n"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def method_card(name: str) -> MethodCard:
    """The card of a named method, computed.

    Parameters
    ----------
    name : str
        A key of `gd.methods`.

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> card = method_card("Extragradient")
    >>> card.gradients, card.solves, card.memory
    (2, 0, 0)
    >>> dict(card.rows())["stable steps, rotation λ = ±i"]
    '0 < η < 1; best η = √2/2 = 0.70711, ρ = √3/2 = 0.86603'
    """
    method = as_method(named(name, lr=sp.Rational(1, 10)))
    cost = step_cost(method)
    x, y = sp.symbols("x y", real=True)
    rotation = zero_sum(x * y, min="x", max="y", name="rotation")
    potential = zero_sum((x**2 - y**2) / 2, min="x", max="y", name="potential")
    at_rotation, at_potential = (
        report_method(name, name, local_game(game, (sp.S.Zero, sp.S.Zero)), 0.1) for game in (rotation, potential)
    )
    dual = any(getattr(t, "changes_variables", False) for t in method.transforms)
    pennies = matching_pennies()
    return MethodCard(
        name=name,
        coefficients=tuple((k, v) for k, v in coefficients(name).items() if v is not None),
        parts=tuple(_part(p) for p in _pieces(method)),
        polynomial=_polynomial_of(name),
        rotation=at_rotation,
        potential=at_potential,
        pennies=report_method(name, name, local_game(pennies, (sp.S.Half,) * 4), 0.1) if dual else None,
        gradients=cost.gradients,
        solves=cost.solves,
        memory=_memory(name, pennies if dual else rotation),
        certified=_certified(name),
    )


def cards_page(names: Any = None) -> str:
    """All cards as one Markdown page.

    Parameters
    ----------
    names : iterable of str, optional
        By default every method in `gd.methods`.
    """
    chosen = list(known) if names is None else list(names)
    return "\n".join([HEAD, *(method_card(name).markdown() for name in chosen)])


# the pieces ----------------------------------------------------------------------------------------------


def _pieces(method: Method) -> Iterator[Any]:
    """Every rule, wrapper, preconditioner and transform of a method, from the outside in."""
    for part in method.parts:
        while part is not None:
            yield part
            part = next(
                (v for f in fields(part) if is_dataclass(v := getattr(part, f.name)) and hasattr(v, "step")), None
            )


def _part(piece: Any) -> Part:
    """The docstring of a piece, taken apart."""
    lines = inspect.cleandoc(type(piece).__doc__ or "").splitlines()
    summary = lines[0]
    equations: list[str] = []
    for line in lines[1:]:
        if equations and line and not line.startswith("    "):
            break
        if line.startswith("    ") or (equations and not line):
            equations.append(line[4:])
    return Part(type(piece).__name__, summary, tuple(_stripped(equations)), tuple(_references(lines)))


def _stripped(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    return [re.sub(r"\s+\(\d\)$", "", line).rstrip() for line in lines]  # without the equation's number


def _references(lines: list[str]) -> Iterator[str]:
    if "References" not in lines:
        return
    start = lines.index("References") + 2
    end = next((k for k in range(start, len(lines)) if k > start and re.match(r"-{3,}$", lines[k])), len(lines) + 1)
    block = "\n".join(lines[start : end - 1])
    for entry in re.split(r"^\.\. \[\d+\] ", block, flags=re.M):
        if entry.strip():
            yield " ".join(entry.split())


def _polynomial_of(name: str) -> Any:
    method = as_method(named(name, lr=sp.Symbol("eta", positive=True)))
    if is_scheduled(method.rule):
        return None
    try:
        return stability_polynomial(method).monic().as_expr()
    except (NotInThisWorld, ValueError):
        return None


def _polynomial(p: Any) -> str:
    eta, lam, zeta = sp.Symbol("eta", positive=True), sp.Symbol("lambda"), sp.Symbol("zeta")
    terms = len(sp.Add.make_args(sp.expand(p)))
    if terms > TERMS:
        return f"of degree {sp.degree(p, zeta)} in ζ and {sp.degree(sp.expand(p), lam)} in λ, {terms} terms"
    collected = sp.collect(sp.expand(sp.nsimplify(p)), zeta, evaluate=False)
    exponent = {k: sp.degree(k, zeta) if k != 1 else 0 for k in collected}
    pieces = []
    for power in sorted(collected, key=lambda k: -exponent[k]):
        coefficient = sp.expand(collected[power])
        shown = text.expression(coefficient.subs({eta: sp.Symbol("eta"), lam: sp.Symbol("lambda")}), ascending=True)
        factor = "" if exponent[power] == 0 else "ζ" if exponent[power] == 1 else f"ζ{_raised(exponent[power])}"
        if factor and coefficient == 1:
            pieces.append(factor)
        else:
            pieces.append(f"({shown}){factor}" if factor and coefficient.is_Add else f"{shown}{factor}")
    return " + ".join(pieces).replace("+ -", "- ")


def _raised(n: int) -> str:
    return str(n).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _steps(report: MethodReport) -> str:
    if report.stable is None:
        return f"— ({report.reason})" if report.reason else "—"
    shown = text.steps(report.stable)
    if report.best is None:
        return shown
    step, rate = text.with_decimal(report.best.step), text.with_decimal(report.best.rate)
    return f"{shown}; best η = {step}, ρ = {rate}"


def _memory(name: str, game: SymbolicGame) -> int:
    return len(StepMap(named(name, lr=0.1), game).sizes) - 1


def _certified(name: str) -> str:
    from gamedyn.claims import CertificateError, certify

    cost = step_cost(named(name))
    if CERTIFIED_STEPS * cost.gradients > EVALUATIONS:
        return f"— (more than {EVALUATIONS} gradients in {CERTIFIED_STEPS} steps)"
    try:
        certificate = certify(
            named(name, lr=CERTIFIED_STEP), mu=CERTIFIED_MU, L=CERTIFIED_L, steps=CERTIFIED_STEPS, metric="distance"
        )
    except NotInThisWorld as error:
        return f"— ({error.reason})"
    except CertificateError as error:
        return f"— (no certificate: the solver ended with '{error.status.partition(':')[0]}')"
    return f"≤ {certificate.value:.6f} (≥ {certificate.lower:.6f})"
