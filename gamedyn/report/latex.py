"""An analysis or a comparison as a LaTeX fragment: formulas, matrices and a booktabs table."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import sympy as sp

from gamedyn.report import text
from gamedyn.report.local import MethodReport
from gamedyn.stability.regions.stable_steps import StableSteps

if TYPE_CHECKING:
    from gamedyn.report.analyze import Analysis, PointReport
    from gamedyn.report.compare import Comparison, Race

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


def comparison_latex(result: Comparison) -> str:
    """The fragment; it needs amsmath and booktabs."""
    start, target = (", ".join(value(float(x)) for x in z) for z in (result.z0, result.z_star))
    head = ["method", "predicted", "measured", "gradients", "per gradient", "turn", "e-fold", "distance", "status"]
    return "\n".join(
        [
            "% needs \\usepackage{amsmath,booktabs}",
            f"% {result.steps} steps from ({start}), distance to ({target})",
            "% predicted: spectral radius at the equilibrium; measured: contraction per step over the tail",
            *_tabular("lrrrrrrrl", head, [_race_row(r) for r in result.ranked()]),
            *(f"% {r.name}: {r.predicted.reason}" for r in result.races if r.predicted and r.predicted.reason),
        ]
    )


def _race_row(r: Race) -> list[str]:
    p = r.predicted
    last = float(r.distance[-1])
    counts = (None, None) if p is None else (p.turn, p.e_folding)
    return [
        escape(r.name),
        "" if p is None or p.rho is None else text.fixed(p.rho),
        "" if r.measured is None else text.fixed(r.measured),
        f"{r.gradients:g}" if not r.solves else f"{r.solves} solve",
        "" if r.measured_per_gradient is None else text.fixed(r.measured_per_gradient),
        *("" if n is None else rf"${sp.latex(sp.oo)}$" if n == float("inf") else text.decimal(n, 4) for n in counts),
        f"${_scientific(last)}$" if math.isfinite(last) else r"$\infty$",
        escape(r.status),
    ]


def value(x: Any, digits: int = 5) -> str:
    """A number in LaTeX, exact where short."""
    if isinstance(x, sp.Expr) and not x.has(sp.CRootOf, sp.Float) and (x.free_symbols or len(str(x)) <= 20):
        return sp.latex(x)
    return _power(text.decimal(x, digits))


def _power(number: str) -> str:
    return re.sub(r"e(-?\d+)$", r" \\cdot 10^{\1}", number)


def _scientific(x: float) -> str:
    mantissa, exponent = f"{x:.1e}".split("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"


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
    return _tabular("llrrrlll", head, [_row(m) for m in report.ranked()])


def _tabular(columns: str, head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"  \toprule",
        "  " + " & ".join(head) + r" \\",
        r"  \midrule",
        *("  " + " & ".join(row) + r" \\" for row in rows),
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
