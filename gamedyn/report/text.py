"""Numbers, expressions, matrices and tables as plain Unicode text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.printing.pretty.pretty_symbology import pretty_symbol, pretty_use_unicode
from sympy.printing.str import StrPrinter

from gamedyn.stability.regions.stable_steps import StableSteps

WIDTH = 100
DASH = "—"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SCAN = (1.001e-4, 0.999e2)  # ends of a numeric region that are only the ends of the scan


def symbol_name(name: str) -> str:
    """A symbol as it is read, `eta1` as η₁, whatever SymPy took this terminal for when it was loaded."""
    before = pretty_use_unicode(True)
    try:
        return pretty_symbol(name)
    finally:
        pretty_use_unicode(before)


class _Printer(StrPrinter):
    """SymPy's one-line printer with √, superscripts, Greek letters and no multiplication signs."""

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return symbol_name(expr.name)

    def _print_ImaginaryUnit(self, expr: sp.Expr) -> str:
        return "i"

    def _print_Exp1(self, expr: sp.Expr) -> str:
        return "e"

    def _print_Pi(self, expr: sp.Expr) -> str:
        return "π"

    def _print_Infinity(self, expr: sp.Expr) -> str:
        return "∞"

    def _print_Abs(self, expr: sp.Abs) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_exp(self, expr: sp.Expr) -> str:
        return f"exp({self._print(expr.args[0])})"

    def _print_CRootOf(self, expr: sp.CRootOf) -> str:
        return decimal(expr)

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        base, exponent = expr.as_base_exp() if expr.base is not sp.E else (sp.E, expr.exp)
        if expr.exp == sp.S.Half:
            inner = self._print(expr.base)
            return f"√{inner}" if expr.base.is_Atom and "/" not in inner else f"√({inner})"
        if expr.exp == -sp.S.Half:
            return f"1/{self._print(sp.sqrt(expr.base))}"
        if expr.exp.is_Integer and expr.exp > 0:
            return self.parenthesize(expr.base, 60, strict=False) + str(expr.exp).translate(_SUPERSCRIPTS)
        if expr.exp.is_Integer:
            inner = self.parenthesize(expr.base**-expr.exp, 55, strict=False)
            return f"1/{inner}"
        return f"{self.parenthesize(base, 60, strict=False)}^({self._print(exponent)})"

    def _print_Mul(self, expr: sp.Mul) -> str:
        text = super()._print_Mul(expr)
        text = re.sub(r"(√[^\W_]+)\*(?!√)", r"\1·", text)
        text = re.sub(r"(?<![^\W])(\d+)\*(?=\D)", r"\1", text)
        long = any(len(s) > 1 and s[1:2].isalpha() for s in map(symbol_name, (s.name for s in expr.free_symbols)))
        return text.replace("*", "·" if long else "")


def expression(e: Any, *, ascending: bool = False) -> str:
    """An expression on one line: √3/2, 1 - η² + η⁴ (ascending powers), |1 - 2η|.

    Examples
    --------
    >>> import sympy as sp
    >>> eta = sp.Symbol("eta", positive=True)
    >>> expression(sp.sqrt(eta**4 - eta**2 + 1), ascending=True), expression(2 * sp.sqrt(5) / 5)
    ('√(1 - η² + η⁴)', '2√5/5')
    """
    return _Printer({"order": "rev-lex" if ascending else None}).doprint(sp.sympify(e))


def decimal(x: Any, digits: int = 6) -> str:
    """A real or complex number to some significant digits, without trailing zeros; an em dash for None."""
    if x is None:
        return DASH
    z = complex(sp.N(x, digits + 12)) if isinstance(x, sp.Expr) else complex(x)
    if z.imag:
        size = abs(z.imag)
        sign = "-" if z.imag < 0 else "+" if z.real else ""
        return f"{decimal(z.real, digits) if z.real else ''}{sign}{'' if size == 1 else decimal(size, digits)}i"
    if abs(z.real) < 1e-15:
        return "0"
    text = f"{z.real:.{digits}g}"
    return re.sub(r"e([+-])0*", lambda m: "e" + m[1].replace("+", ""), text)


def fixed(x: float | None, digits: int = 6) -> str:
    """A rate with a fixed number of decimals, so that a column lines up at the point."""
    return DASH if x is None else f"{x:.{digits}f}" if abs(x) < 1e3 else f"{x:.{digits}g}"


def count(x: float | None) -> str:
    """A number of steps to three digits, whole from 100 on."""
    return DASH if x is None else f"{x:.3g}" if x < 100 else f"{x:.0f}" if x < 1e6 else f"{x:.2e}"


def exact_or_decimal(x: Any, limit: int = 14, digits: int = 5) -> str:
    """The exact form where it is short, a decimal otherwise."""
    if isinstance(x, sp.Expr) and not x.has(sp.CRootOf, sp.Float):
        text = min((expression(e) for e in (x, sp.factor_terms(x), sp.together(x))), key=len)
        if len(text) <= limit or x.free_symbols:
            return text
    return decimal(x, digits)


def with_decimal(x: Any, limit: int = 14, digits: int = 5) -> str:
    """`√3/2 = 0.86603`; the decimal alone where there is no short exact form, and integers alone."""
    text, number = exact_or_decimal(x, limit, digits), DASH
    if not (isinstance(x, sp.Expr) and x.free_symbols):
        number = decimal(x, digits)
    return text if number in (DASH, text) else f"{text} = {number}"


def point(z: Sequence[Any]) -> str:
    """A point, exact where short."""
    return f"({', '.join(exact_or_decimal(x, 18, 6) for x in z)})"


def eigenvalues(values: Sequence[Any]) -> str:
    """A spectrum on one line, conjugate pairs as a ± bi, exact forms followed by decimals."""
    exact, decimals = _pairs(values, exact=True), _pairs(values, exact=False)
    return exact if exact == decimals or not decimals else decimals if not exact else f"{exact} = {decimals}"


def _pairs(values: Sequence[Any], exact: bool) -> str:
    """The spectrum in one of the two notations; empty where the notation does not apply or is too long."""
    values = [sp.sympify(v) if exact else v for v in values]
    symbolic = any(isinstance(v, sp.Expr) and v.free_symbols for v in values)
    if exact and (symbolic or not any(v.has(sp.Float, sp.CRootOf) for v in values)):
        texts = _exact_pairs(values, symbolic)
        return ", ".join(texts) if symbolic or sum(map(len, texts)) <= 40 else ""
    return "" if exact or symbolic else ", ".join(_decimal_pairs([complex(sp.N(v, 20)) for v in values]))


def _exact_pairs(values: Sequence[sp.Expr], symbolic: bool) -> list[str]:
    if symbolic:
        return [expression(v) for v in values]
    texts = []
    for v in values:
        a, b = map(sp.radsimp, v.as_real_imag())
        if b.is_zero or sp.N(b, 20) == 0:
            texts.append(exact_or_decimal(a, 30))
        elif b > 0:
            real = "" if a == 0 else f"{exact_or_decimal(a, 20)} "
            texts.append(f"{real}±{' ' if real else ''}{_times_i(exact_or_decimal(b, 20))}")
    return texts


def _times_i(size: str) -> str:
    """A positive number times i: 2i, i/2, i√15, 2i√3."""
    match = re.fullmatch(r"(\d*)((?:[√/].*)?)", size)
    if match is None:
        return f"({size})i"
    number, rest = match.groups()
    return f"{'' if number == '1' else number}i{rest}"


def _decimal_pairs(values: Sequence[complex]) -> list[str]:
    texts = []
    for z in values:
        if abs(z.imag) <= 1e-12 * abs(z):
            texts.append(decimal(z.real))
        elif z.imag > 0:
            size = "" if abs(z.imag - 1) < 1e-12 else decimal(z.imag)
            texts.append(f"±{size}i" if abs(z.real) <= 1e-12 * abs(z) else f"{decimal(z.real)} ± {size}i")
    return texts


def prose(text: str) -> str:
    """SymPy's notation inside a sentence, in the notation of this page."""
    text = re.sub(r"sqrt\((\w+)\)", r"√\1", text).replace("sqrt(", "√(").replace(">=", "≥").replace("<=", "≤")
    text = re.sub(r"\*\*(\d+)", lambda m: m[1].translate(_SUPERSCRIPTS), text)
    return re.sub(r"(?<=\d)\*(?=[^\W\d]|√)", "", text).replace("*", "·")


def steps(region: StableSteps | None) -> str:
    """A set of steps: `0 < η < √3/3 = 0.577`, `η > 0`, `none`, `none (neutral 0 < η < 2)`."""
    if region is None:
        return DASH
    h = expression(region.parameter)
    if region.kind == "conditions":
        return " and ".join(prose(str(c)).replace(str(region.parameter), h) for c in region.conditions) or f"{h} > 0"
    if region.stable is not sp.S.EmptySet:
        return " or ".join(_interval(piece, h) for piece in _pieces(region.stable))
    if region.neutral is sp.S.EmptySet:
        return "none"
    return f"none (neutral {' or '.join(_interval(piece, h) for piece in _pieces(region.neutral))})"


def _pieces(s: sp.Set) -> tuple[sp.Set, ...]:
    return s.args if isinstance(s, sp.Union) else (s,)


def _interval(piece: sp.Set, h: str) -> str:
    if isinstance(piece, sp.FiniteSet):
        return f"{h} = " + ", ".join(exact_or_decimal(x) for x in piece)
    if not isinstance(piece, sp.Interval):
        return prose(str(piece))
    scanned = piece.start.is_Float
    low = None if scanned and piece.start <= _SCAN[0] else piece.start
    high = None if piece.end == sp.oo or (scanned and piece.end >= _SCAN[1]) else piece.end
    left, right = ("<" if piece.left_open else "≤"), ("<" if piece.right_open else "≤")
    if high is None:
        return f"{h} {'>' if piece.left_open else '≥'} {with_decimal(low, 10, 4)}" if low is not None else f"{h} > 0"
    start = f"{exact_or_decimal(low, 10, 4)} {left} " if low is not None else ""
    return f"{start}{h} {right} {with_decimal(high, 10, 4)}"


def matrix(m: Any) -> list[str]:
    """The lines of a small matrix, columns aligned."""
    rows = [[exact_or_decimal(m[i, j], 12, 5) for j in range(m.shape[1])] for i in range(m.shape[0])]
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    body = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    if len(body) == 1:
        return [f"[{body[0]}]"]
    left, right = ("⎡", *"⎢" * (len(body) - 2), "⎣"), ("⎤", *"⎥" * (len(body) - 2), "⎦")
    return [f"{a}{line}{b}" for a, line, b in zip(left, body, right, strict=True)]


def beside(*blocks: Sequence[str], gap: str = "    ") -> list[str]:
    """Blocks of lines side by side."""
    height = max(map(len, blocks))
    padded = []
    for block in blocks:
        lines = [*block, *[""] * (height - len(block))]
        width = max(map(len, lines))
        padded.append([line.ljust(width) for line in lines])
    return [gap.join(parts).rstrip() for parts in zip(*padded, strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Aligned columns, those in `left` flush left, under a rule; a row of two cells spans the rest of the line."""
    full = [row for row in rows if len(row) == len(head)]
    widths = [max(len(row[k]) for row in (head, *full)) for k in range(len(head))]
    if spans := [row[0] for row in rows if len(row) != len(head)]:
        widths[0] = max(widths[0], *map(len, spans))

    def line(row: Sequence[str]) -> str:
        if len(row) != len(head):
            return clip(f"{row[0].ljust(widths[0])}  {row[1]}", max(60, sum(widths) + 2 * (len(widths) - 1)))
        cells = [c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return [line(head), "─" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)]


def clip(text: str, width: int = WIDTH) -> str:
    """The text cut to a width."""
    return text if len(text) <= width else text[: width - 1] + "…"
