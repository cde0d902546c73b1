"""Printers of one scalar program: NumPy source (the reference, no compilation) and Numba source."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

from gamedyn.games.functions import NotPrintable
from gamedyn.maps.scalar import Assign, Program, Solve, Statement

__all__ = ["BLOCK", "NotPrintable", "ScalarPrinter", "numba_source", "numpy_source"]

BLOCK = 256  # orbits per block of the final-state kernel; the time loop runs inside the block


class ScalarPrinter(PythonCodePrinter):
    """SymPy expressions as Python source over `np` functions, floats written out."""

    _operators = {"And": "&", "Or": "|", "Not": "~"}

    def __init__(self, namespace: str = "np") -> None:
        super().__init__({"fully_qualified_modules": False, "strict": True})
        self.namespace = namespace

    def _print_Float(self, expr: Any) -> str:
        return repr(float(expr))

    def _print_Rational(self, expr: Any) -> str:
        return repr(float(expr))

    _print_Integer = _print_Rational
    _print_Half = _print_Rational
    _print_NumberSymbol = _print_Rational

    def _print_Infinity(self, expr: Any) -> str:
        return "np.inf"

    def _print_NegativeInfinity(self, expr: Any) -> str:
        return "-np.inf"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        base, exponent = expr.args
        text = self.parenthesize(base, 1000)
        if expr.is_number and not expr.has(sp.Symbol):
            return repr(float(expr))
        if exponent == sp.Rational(1, 2):
            return f"{self.namespace}.sqrt({self._print(base)})"
        if exponent == sp.Rational(-1, 2):
            return f"(1.0/{self.namespace}.sqrt({self._print(base)}))"
        if exponent == -1:
            return f"(1.0/{text})"
        if exponent.is_Integer and 2 <= abs(exponent) <= 6 and base.is_Symbol:
            product = "*".join([text] * abs(int(exponent)))
            return f"({product})" if exponent > 0 else f"(1.0/({product}))"
        if exponent.is_Integer:
            return f"{text}**({int(exponent)})"
        return f"{text}**({self._print(exponent)})"

    def _print_Function(self, expr: Any) -> str:
        name = type(expr).__name__
        if name not in FUNCTIONS:
            raise NotPrintable(f"'{name}' cannot be printed for arrays; the printers know {sorted(FUNCTIONS)}")
        return f"{self.namespace}.{FUNCTIONS[name]}({', '.join(self._print(a) for a in expr.args)})"

    def _print_Abs(self, expr: Any) -> str:
        return f"{self.namespace}.abs({self._print(expr.args[0])})"

    def _print_Max(self, expr: Any) -> str:
        return self._nested("maximum", list(expr.args))

    def _print_Min(self, expr: Any) -> str:
        return self._nested("minimum", list(expr.args))

    def _nested(self, name: str, args: list[Any]) -> str:
        if len(args) == 1:
            return self._print(args[0])
        return f"{self.namespace}.{name}({self._print(args[0])}, {self._nested(name, args[1:])})"

    def _print_Piecewise(self, expr: Any) -> str:
        text = "np.nan"
        for value, condition in reversed(expr.args):
            if condition == True:  # noqa: E712 - a SymPy truth value
                text = self._print(value)
            else:
                text = f"np.where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_And(self, expr: Any) -> str:
        return " & ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Or(self, expr: Any) -> str:
        return " | ".join(f"({self._print(a)})" for a in expr.args)


FUNCTIONS = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "sign": "sign", "sqrt": "sqrt", "Abs": "abs",
}  # fmt: skip
for _name in {*FUNCTIONS, *PythonCodePrinter._kf} - {
    "Abs",
    "Max",
    "Min",
}:  # the base class would print them from `math`
    setattr(ScalarPrinter, f"_print_{_name}", ScalarPrinter._print_Function)


def _assignments(body: list[Statement], printer: ScalarPrinter, indent: str, solve: str) -> list[str]:
    lines: list[str] = []
    for statement in body:
        if isinstance(statement, Assign):
            lines.append(f"{indent}{statement.name} = {printer.doprint(statement.value)}")
        else:
            lines += _newton(statement, printer, indent, solve)
    return lines


def _newton(s: Solve, printer: ScalarPrinter, indent: str, solve: str) -> list[str]:
    show, n = printer.doprint, len(s.w)
    lines = [f"{indent}{name} = {show(value)}" for name, value in zip(s.w, s.rhs, strict=True)]
    lines.append(f"{indent}for _ in range({s.iterations}):")
    inner = indent + "    "
    lines += _assignments(s.body, printer, inner, solve)
    residual = [f"({show(r)}) - ({show(e)})" for r, e in zip(s.rhs, s.image, strict=True)]
    if solve == "numpy":
        rows = ", ".join("[" + ", ".join(show(e) for e in row) + "]" for row in s.matrix)
        lines.append(f"{inner}step = solve_stacked([{rows}], [{', '.join(residual)}])")
    else:
        lines += [f"{inner}mat{n}[{r}, {c}] = {show(e)}" for r, row in enumerate(s.matrix) for c, e in enumerate(row)]
        lines += [f"{inner}vec{n}[{r}] = {text}" for r, text in enumerate(residual)]
        lines.append(f"{inner}solve_small(mat{n}, vec{n})")
        lines.append(f"{inner}step = vec{n}")
    lines += [f"{inner}{w} = {w} + step[{k}]" for k, w in enumerate(s.w)]
    lines += [f"{indent}{name} = {w}" for name, w in zip(s.names, s.w, strict=True)]
    return lines


def numpy_source(program: Program) -> str:
    """Source of `step(X, P)`: components of the extended state in, list of components out."""
    printer = ScalarPrinter()
    lines = ["def step(X, P):"]
    lines += [f"    {name} = X[{k}]" for k, name in enumerate(program.inputs)]
    lines += [f"    {name} = P[{k}]" for k, name in enumerate(program.parameters)]
    lines += _assignments(program.body, printer, "    ", "numpy")
    lines.append("    return [" + ", ".join(printer.doprint(e) for e in program.outputs) + "]")
    return "\n".join(lines) + "\n"


SOLVE_SMALL = """
@njit(cache=True, error_model="numpy")
def solve_small(a, b):
    n = b.shape[0]
    for k in range(n):
        pivot = k
        for r in range(k + 1, n):
            if abs(a[r, k]) > abs(a[pivot, k]):
                pivot = r
        if pivot != k:
            for c in range(n):
                a[k, c], a[pivot, c] = a[pivot, c], a[k, c]
            b[k], b[pivot] = b[pivot], b[k]
        for r in range(k + 1, n):
            f = a[r, k] / a[k, k]
            for c in range(k, n):
                a[r, c] -= f * a[k, c]
            b[r] -= f * b[k]
    for k in range(n - 1, -1, -1):
        for c in range(k + 1, n):
            b[k] -= a[k, c] * b[c]
        b[k] /= a[k, k]
"""


def numba_source(program: Program) -> str:
    """Source of `run(S, P, steps)`, which advances the states `(D, batch)` in place.

    `P` is `(steps or 1, parameters, batch or 1)`.  Orbits are taken in blocks that stay in the first
    cache; the innermost loop runs over the block, so that it is vectorised.
    """
    printer = ScalarPrinter()
    dim = len(program.inputs)
    solves = sorted({len(s.w) for s in program.body if isinstance(s, Solve)})
    lines = [
        "import numpy as np",
        "from numba import njit",
        "",
        f"DIM = {dim}",
        f"PARAMETERS = {len(program.parameters)}",
    ]
    if solves:
        lines.append(SOLVE_SMALL)
    lines += [
        "",
        '@njit(cache=True, error_model="numpy", fastmath={"contract"})',
        "def run(S, P, steps):",
        "    batch = S.shape[1]",
        "    wide = P.shape[2] > 1",
        "    many = P.shape[0] > 1",
        f"    B = np.empty(({dim}, {BLOCK}))",
    ]
    lines += [f"    mat{n} = np.empty(({n}, {n})); vec{n} = np.empty({n})" for n in solves]
    lines += [
        f"    for first in range(0, batch, {BLOCK}):",
        f"        width = min({BLOCK}, batch - first)",
        f"        for j in range({dim}):",
        "            for b in range(width):",
        "                B[j, b] = S[j, first + b]",
        "        for k in range(steps):",
        "            row = k if many else 0",
    ]
    # a scalar parameter is read once per block, so that the inner loop keeps it in a register
    for branch, wide in (("if wide", True), ("else", False)) if program.parameters else (("if True", False),):
        lines.append(f"            {branch}:")
        if not wide:
            lines += [f"                {name} = P[row, {j}, 0]" for j, name in enumerate(program.parameters)]
        lines.append("                for b in range(width):")
        if wide:
            lines += [
                f"                    {name} = P[row, {j}, first + b]" for j, name in enumerate(program.parameters)
            ]
        lines += [f"                    {name} = B[{j}, b]" for j, name in enumerate(program.inputs)]
        lines += _assignments(program.body, printer, " " * 20, "numba")
        lines += [f"                    y{j} = {printer.doprint(e)}" for j, e in enumerate(program.outputs)]
        lines += [f"                    B[{j}, b] = y{j}" for j in range(dim)]
    lines += [
        f"        for j in range({dim}):",
        "            for b in range(width):",
        "                S[j, first + b] = B[j, b]",
    ]
    return "\n".join(lines) + "\n"
