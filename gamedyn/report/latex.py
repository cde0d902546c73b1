"""An analysis as a LaTeX fragment: formulas, matrices and a booktabs table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sympy as sp

from gamedyn.report import text
from gamedyn.report.local import MethodReport
from gamedyn.stability.stable_steps import StableSteps

if TYPE_CHECKING:
    from gamedyn.report.analyze import Analysis, PointReport

_SPECIAL = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}
_LONGEST = 90  # characters of a formula in a cell


def escape(line: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    return "".join(_SPECIAL.get(c, c) for c in line)


def analysis_latex(report: Analysis) -> str:
    """The fragment; it needs amsmath and booktabs, and a Unicode engine or inputenc for names."""
    lines = ["% needs \\usepackage{amsmath,booktabs}", *(f"% {line}" for line in report.objectives)]
    for p in report.points:
        lines += _point(p)
    if report.at is not None:
        lines += _table(report)
    return "\n".join(lines)


def value(x: Any, digits: int = 5) -> str:
    """A number in LaTeX, exact where short."""
    if isinstance(x, sp.Expr) and not x.has(sp.CRootOf, sp.Float) and (x.free_symbols or len(str(x)) <= 20):
        return sp.latex(x)
    return _power(text.decimal(x, digits))


def _power(number: str) -> str:
    return re.sub(r"e(-?\d+)$", r" \\cdot 10^{\1}", number)


def _matrix(m: Any) -> str:
    rows = (" & ".join(value(m[i, j]) for j in range(m.shape[1])) for i in range(m.shape[0]))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _point(p: PointReport) -> list[str]:
    e = p.equilibrium
    where = ", ".join(value(x) for x in e.point)
    spectrum = r",\; ".join(value(v) for v in e.eigenvalues)
    return [
        rf"\paragraph{{$({where})$: {escape(e.kind)}, flow {escape(e.flow)}.}}",
        r"\begin{align*}",
        rf"  J &= \underbrace{{{_matrix(p.symmetric)}}}_{{S}} + \underbrace{{{_matrix(p.antisymmetric)}}}_{{A}}, \\",
        rf"  \lambda(J) &= {spectrum}",
        r"\end{align*}",
    ]


def _table(report: Analysis) -> list[str]:
    lr = text.decimal(report.lr)
    head = [
        "method",
        r"$\rho(\eta)$",
        rf"$\rho({lr})$",
        "gradients",
        "per gradient",
        "stable steps",
        "best step",
        "best rate",
    ]
    rows = [" & ".join(_row(m)) + r" \\" for m in report.ranked()]
    return [
        r"\begin{tabular}{llrrrlll}",
        r"  \toprule",
        "  " + " & ".join(head) + r" \\",
        r"  \midrule",
        *(f"  {row}" for row in rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]


def _row(m: MethodReport) -> list[str]:
    if m.reason:
        return [escape(m.name), rf"\multicolumn{{7}}{{l}}{{{escape(m.reason)}}}"]
    formula = "" if m.formula is None else sp.latex(m.formula)
    price = f"{m.gradients:g}" if m.explicit else f"{m.solves} solve"
    best = ("", "") if m.best is None else (f"${value(m.best.step)}$", f"${value(m.best.rate)}$")
    return [
        escape(m.name),
        f"${formula}$" if 0 < len(formula) <= _LONGEST else "",
        "" if m.rho is None else text.fixed(m.rho),
        price,
        text.fixed(m.per_gradient) if m.per_gradient is not None else "",
        _steps(m.stable),
        *best,
    ]


def _steps(region: StableSteps | None) -> str:
    if region is None:
        return ""
    if region.kind == "conditions":
        shown = region.latex()
        return f"${shown}$" if len(shown) <= _LONGEST else "see text"
    chosen = region.stable if region.stable is not sp.S.EmptySet else region.neutral
    if chosen is sp.S.EmptySet:
        return "none"
    pieces = chosen.args if isinstance(chosen, sp.Union) else (chosen,)
    joined = r" \text{ or } ".join(_interval(piece, sp.latex(region.parameter)) for piece in pieces)
    return f"${joined}$" if chosen is region.stable else f"none (neutral ${joined}$)"


def _interval(piece: Any, h: str) -> str:
    if not isinstance(piece, sp.Interval):
        return rf"{h} \in {sp.latex(piece)}"
    left, right = ("<" if is_open else r"\le" for is_open in (piece.left_open, piece.right_open))
    high = "" if piece.end == sp.oo else f" {right} {value(piece.end)}"
    return f"{value(piece.start)} {left} {h}{high}"
