"""Formulas that a user types, read without evaluating a line of Python.

    text  ->  tokens  ->  ``ast.parse``  ->  whitelisted walk  ->  SymPy expression

SymPy's own parsers run the text as Python code and are never called here. The text passes four gates instead, each of
them cheap and closed by default:

1. *tokens*: at most 4,000 characters; decimal numbers, ASCII names, ``+ - * / ** ( ) ,`` and nothing else;
2. *grammar*: operands and operators alternate, brackets match, nesting <= 50, at most 2,000 nodes. Behind this gate
   ``ast.parse`` reaches no limit of Python's parser;
3. *walk*: sums, products, powers, signs, and calls of one argument of the functions in `FUNCTIONS`;
4. *audit*: what SymPy makes of it is real, finite and of bounded size, and every constant lies within 1e-300 and
   1e300, so that neither SymPy nor a later evaluation in float64 can be made to work for ever.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

import sympy as sp

__all__ = ["FUNCTIONS", "ParseError", "parse_expression"]

MAX_CHARACTERS = 4_000
MAX_NESTING = 50
MAX_NODES = 2_000
MAX_EXPONENT = 64
MAX_SYMPY_NODES = 10_000
# SymPy simplifies f(argument) by asking whether the argument is real, zero, positive...; beyond a dozen nodes the
# answer can take exponential time, and f(argument) is kept as it was typed.
MAX_SIMPLIFIED_NODES = 15
# SymPy factors N**(p/q) prime by prime and may not return for q = 1000 (seen in SymPy 1.14).
MAX_ROOT_OF_NUMBER = 12
MAX_MAYBE_COMPLEX_NODES = 8
HUGE = sp.Integer(10) ** 300
# 2**x * 2**(64 - x) becomes 2**64 on its own: a smaller bound under symbolic exponents keeps such products cheap.
MAX_NUMBER_UNDER_SYMBOLIC_EXPONENT = sp.Integer(10) ** 50

_PLAIN = (sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.sinh, sp.cosh, sp.tanh, sp.exp, sp.log)
FUNCTIONS: Mapping[str, Callable[..., sp.Expr]] = MappingProxyType(
    {function.__name__: function for function in _PLAIN}
    | {
        "sqrt": sp.sqrt,
        "abs": sp.Abs,
        "Abs": sp.Abs,  # as SymPy prints it
        "softplus": lambda t: sp.log(1 + sp.exp(t)),
        "sigmoid": lambda t: 1 / (1 + sp.exp(-t)),
    }
)
"""What a formula may call, with one argument; softplus(t) = log(1 + exp(t)), sigmoid(t) = 1/(1 + exp(-t))."""

_FUNCTION_NAMES = ", ".join(name for name in FUNCTIONS if name != "Abs")
_WORDS_OF_LOGIC = frozenset(["and", "or", "not", "in", "is", "if", "else", "for", "True", "False", "None"])

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<operator>\*\*|//|[-+*/(),])|(?P<space>[ \t\r\n]+)"
)
_REMEDIES = {
    "^": "'^' is not a power here, write ** for powers",
    "//": "'//' (integer division) is not allowed, write / for a quotient",
    "#": "'#' (comment) is not allowed, give the formula alone",
    ";": "';' is not allowed, give one formula at a time",
    ":": "':' (anonymous function, slice or assignment) is not allowed, give the formula alone",
    "=": "'=' (assignment, comparison or named argument) is not allowed, give one side of the equation",
    ".": "'.' (attribute access) is not allowed, names are letters, digits and _",
    "\N{GREEK SMALL LETTER PI}": "names are ASCII letters, digits and _: write pi",
    **dict.fromkeys("\u2212\u2013", "the typographic minus is not allowed, write -"),
    **dict.fromkeys("\u00d7\u00b7\u22c5", "the typographic product is not allowed, write *"),
    **dict.fromkeys("\u00b2\u00b3", "superscripts are not allowed, write **2 or **3"),
    **dict.fromkeys("<>!", "comparisons (and factorials) are not allowed"),
    **dict.fromkeys("&|~", "logic is not allowed"),
    **dict.fromkeys("\"'`", "strings are not allowed, write names without quotes"),
    **dict.fromkeys("[]", "subscripts and lists are not allowed, write x1 for a component and ( ) for brackets"),
    **dict.fromkeys("{}", "sets, dictionaries and templates are not allowed, write ( ) for brackets"),
}


class ParseError(ValueError):
    """A text that is not a formula.

    Its message says what was found, what is allowed, and shows the place. `position` is the 0-based index of the
    offending character in the text, or None where the text as a whole is at fault.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def parse_expression(text: str, symbols: Mapping[str, sp.Symbol] | None = None) -> sp.Expr:
    """Read a formula such as ``x*y + a*x**2`` as an exact, real SymPy expression.

    Decimals become the rational of their text, ``0.1 -> 1/10``. Every name is a real symbol, ``lambda``, ``e``, ``E``
    and ``I`` included, except ``pi`` and the functions of `FUNCTIONS` when they are called. Nothing is executed.

    Parameters
    ----------
    text : str
        The formula, in Python's notation: ``+ - * /``, ``**`` for powers, brackets, ``sin(x)``.
    symbols : mapping of str to Symbol, optional
        Symbols to use for the names of this mapping, with their own assumptions. Other names get
        ``Symbol(name, real=True)``.

    Returns
    -------
    sympy.Expr
        Simplified only as far as SymPy does on its own; powers of sums are never expanded.

    Raises
    ------
    ParseError
        If the text is not a formula, or is too long, too deep or too large; the message shows the place.
    TypeError
        If `text` is not a str, or `symbols` maps to something else than symbols.

    Notes
    -----
    A literal exponent n needs |n| <= 64, also after SymPy has joined powers: ``(x**9)**9`` is refused. Constants that
    are not real (``sqrt(-1)``), not finite (``1/0``) or outside 1e-300 ... 1e300 are refused. ``exp(1)`` is printed by
    SymPy as ``E``, which reads back as a symbol.

    Examples
    --------
    >>> parse_expression("x*y + 0.1*lambda**2")
    lambda**2/10 + x*y
    >>> parse_expression("x^2")
    Traceback (most recent call last):
    ...
    gamedyn.games.parser.ParseError: '^' is not a power here, write ** for powers, at character 2:
        x^2
         ^
    """
    if not isinstance(text, str):
        raise TypeError(f"a formula is a str, got {type(text).__name__}. Pass text such as 'x*y + a*x**2'.")
    known = dict(symbols or {})
    for name, symbol in known.items():
        if not isinstance(symbol, sp.Symbol):
            raise TypeError(f"symbols[{name!r}] must be a sympy.Symbol, got {type(symbol).__name__}.")
    if "pi" in known:
        raise ValueError("symbols has the name 'pi', which is the number 3.14... in a formula. Rename the symbol.")
    if len(text) > MAX_CHARACTERS:
        _fail(f"the formula has {len(text)} characters, at most {MAX_CHARACTERS} are read; split it into parts", text)
    tokens = _read_tokens(text)
    _check_grammar(text, tokens)
    try:
        tree = ast.parse(_for_python(text, tokens), mode="eval")
        return _Builder(text, tokens, known).build(tree.body)
    except ParseError:
        raise
    except Exception as error:
        # A caller whose stack is nearly full (RecursionError), or a fault of SymPy in its own simplification.
        message = f"the formula is too involved for SymPy ({type(error).__name__}); split it into parts"
        raise ParseError(message) from error


def _fail(message: str, text: str, position: int | None = None) -> NoReturn:
    """Raise ParseError with at most 60 characters of the text and a caret under `position`."""
    at = position or 0
    first = max(0, min(at - 30, len(text) - 54))
    head, tail = ("..." if first else ""), ("..." if first + 54 < len(text) else "")
    excerpt = "".join(c if c.isprintable() else " " for c in text[first : first + 54])
    where = "" if position is None else f", at character {position + 1}"
    caret = "" if position is None else f"\n    {' ' * (len(head) + at - first)}^"
    raise ParseError(f"{message}{where}:\n    {head}{excerpt}{tail}{caret}", position)


class _Token(NamedTuple):
    kind: str  # "number", "name" or "operator"
    text: str
    start: int


def _read_tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match[0] == "//":
            found = "//" if match else text[at]
            allowed = "numbers, names of ASCII letters, digits and _, and + - * / ** ( )"
            _fail(_REMEDIES.get(found, f"{found!r} is not allowed: a formula has {allowed}"), text, at)
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return tokens


def _check_grammar(text: str, tokens: list[_Token]) -> None:
    """Operands and operators alternate, brackets match; bounds the depth and the size of the tree to come."""
    if not tokens:
        raise ParseError("the formula is empty. Write an expression such as x*y + a*x**2.")
    nodes, previous = 0, None
    pending = [0]  # per open bracket: signs and powers that wait for an operand, each one level of the tree
    opened: list[_Token] = []
    for token in tokens:
        after_operand = previous is not None and (previous.kind != "operator" or previous.text == ")")
        nodes += token.text not in (")", ",") and (token.text != "(" or after_operand)
        if token.kind != "operator" or token.text == "(":
            _check_operand(text, previous if after_operand else None, token)
            if token.text == "(":
                opened.append(token)
                pending.append(0)
        elif token.text == ")":
            if not opened:
                _fail("this ) closes nothing; remove it or add a (", text, token.start)
            if not after_operand and not (previous and previous.text == "("):
                _fail("something is missing before this )", text, token.start)
            opened.pop()
            pending.pop()
        elif not after_operand and token.text not in "+-":
            _fail(f"something is missing before {token.text!r}", text, token.start)
        elif token.text == "," and not opened:
            _fail("a comma makes a tuple here, but a formula is one expression; remove the comma", text, token.start)
        else:
            pending[-1] = pending[-1] + 1 if token.text == "**" or not after_operand else 0
        if sum(pending) + len(pending) - 1 > MAX_NESTING:
            _fail(f"brackets, signs and powers are nested deeper than {MAX_NESTING}; simplify", text, token.start)
        if nodes > MAX_NODES:
            _fail(f"the formula has more than {MAX_NODES} nodes; split it into parts", text, token.start)
        previous = token
    if previous is not None and previous.kind == "operator" and previous.text != ")":
        _fail(f"the formula ends after {previous.text!r}; complete it or remove {previous.text!r}", text, len(text))
    if opened:
        _fail("this ( is never closed; add a )", text, opened[-1].start)


def _check_operand(text: str, before: _Token | None, token: _Token) -> None:
    """A number, a name or an opening bracket may follow an operand only as the bracket of a call."""
    if token.text in _WORDS_OF_LOGIC:
        _fail(f"{token.text!r} (logic, conditions, loops) is not allowed in a formula", text, token.start)
    if before is None or (token.text == "(" and before.text in FUNCTIONS):
        return
    word, here = _short(before.text), token.start
    if token.text == "(" and before.kind == "name":
        remedy = f"For a product write {word}*(...)"
        _fail(f"{word} is not a function to call; allowed are {_FUNCTION_NAMES}. {remedy}", text, before.start)
    _fail(f"an operator is missing between {word} and {_short(token.text)}; for a product write *", text, here)


def _short(word: str) -> str:
    return word if len(word) <= 24 else word[:21] + "..."


def _for_python(text: str, tokens: list[_Token]) -> str:
    """The text in which `ast.parse` can trip over nothing: positions are kept, values are read from the tokens later.

    Numbers become ``1`` padded with spaces (no limit on digits, no float), names become ``a`` (no keywords, no
    normalisation), line breaks become spaces; all of it in brackets, which allows leading spaces.
    """
    characters = [" "] * len(text)
    for token in tokens:
        if token.kind == "operator":
            characters[token.start : token.start + len(token.text)] = token.text
        else:
            characters[token.start] = "1" if token.kind == "number" else "a"
    return "(" + "".join(characters) + ")"


class _Builder:
    """Walks the tree; every branch that is not written here is refused, every result is audited."""

    def __init__(self, text: str, tokens: list[_Token], symbols: dict[str, sp.Symbol]) -> None:
        self.text = text
        self.words = {token.start: token.text for token in tokens}
        self.symbols = symbols
        self.at = 0  # where the audit stands
        # Per expression seen: nodes as a tree, and whether it is free of symbols. Keeps the audit linear.
        self.audited: dict[sp.Basic, tuple[int, bool]] = {}

    def build(self, node: ast.expr) -> sp.Expr:
        at = node.col_offset - 1  # the bracket that _for_python put in front
        match node:
            case ast.Constant():
                result = self._number(at)
            case ast.Name():
                result = self._symbol(self.words[at])
            case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
                operand = self.build(node.operand)
                result = -operand if isinstance(node.op, ast.USub) else operand
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                result = self._sum(node)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                result = self._product(node)
            case ast.BinOp(op=ast.Pow()):
                result = self._power(self.build(node.left), self.build(node.right), node.right.col_offset - 1)
            case ast.Call(func=ast.Name(), args=[argument], keywords=[]):
                result = self._call(self.words[at], self.build(argument), at)
            case ast.Call(func=ast.Name()):
                word = self.words[at]
                remedy = "; a logarithm to base b is log(x)/log(b)" if word == "log" else ""
                _fail(f"{word} takes one argument, got {len(node.args)}{remedy}", self.text, at)
            case ast.Tuple(elts=[]):
                _fail("these brackets are empty", self.text, at)
            case ast.Tuple():
                _fail("a comma makes a tuple here, but a formula is one expression; remove the comma", self.text, at)
            case _:
                _fail(f"{type(node).__name__} is not allowed in a formula", self.text, at)
        return self._audit(result, at)

    def _symbol(self, name: str) -> sp.Expr:
        if name == "pi":
            return sp.pi
        if name not in self.symbols:
            self.symbols[name] = sp.Symbol(name, real=True)
        return self.symbols[name]

    def _number(self, at: int) -> sp.Expr:
        mantissa, _, exponent = self.words[at].lower().partition("e")
        whole, _, decimals = mantissa.partition(".")
        power = exponent.lstrip("+-").lstrip("0") or "0"
        digits = (whole + decimals).lstrip("0") or "0"
        if len(power) > 3 or int(power) > 300 or len(digits) > 301 or len(decimals) > 300:
            _fail("a number must lie within 1e-300 and 1e300, with at most 300 digits", self.text, at)
        shift = (-int(power) if exponent.startswith("-") else int(power)) - len(decimals)
        return sp.Integer(int(digits)) * sp.Integer(10) ** shift

    def _sum(self, node: ast.expr) -> sp.Expr:
        """a + b - c: a loop over the left-leaning chain, as 1,000 terms are a tree of depth 1,000."""
        terms: list[sp.Expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            term = self.build(node.right)
            terms.append(-term if isinstance(node.op, ast.Sub) else term)
            node = node.left
        return sp.Add(self.build(node), *reversed(terms))

    def _product(self, node: ast.expr) -> sp.Expr:
        factors: list[sp.Expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
            factor = self.build(node.right)
            if isinstance(node.op, ast.Div):
                factor = self._power(factor, sp.S.NegativeOne, node.right.col_offset - 1)
            factors.append(factor)
            node = node.left
        return sp.Mul(self.build(node), *reversed(factors))

    def _power(self, base: sp.Expr, exponent: sp.Expr, at: int) -> sp.Expr:
        self._check_exponent(exponent, at)
        self._check_root(base, exponent, at)
        if base is sp.S.Zero and exponent.is_Rational and exponent < 0:
            _fail("this divides by zero", self.text, at)
        if not self._is_constant(exponent):
            if self._is_constant(base) and base.evalf(15) < 0:
                _fail("a negative number to a symbolic power is not real; use a positive base", self.text, at)
            if any(max(abs(n.p), n.q) > MAX_NUMBER_UNDER_SYMBOLIC_EXPONENT for n in base.atoms(sp.Rational)):
                _fail("a number above 1e50 to a symbolic power is not allowed; rescale the base", self.text, at)
        if exponent.is_Integer or self._size(base) + self._size(exponent) <= MAX_SIMPLIFIED_NODES:
            return base**exponent
        return sp.Pow(base, exponent, evaluate=False)

    def _check_exponent(self, exponent: sp.Expr, at: int) -> None:
        """|n| <= 64 for a constant, and for the factor of each term of a symbolic exponent."""
        for term in sp.Add.make_args(exponent):
            number = term if self._is_constant(term) else term.as_coeff_Mul()[0]
            if abs(number.evalf(15)) > MAX_EXPONENT:
                joined = "powers of powers and products of powers join"
                remedy = "lower the degree, or write exp(n*log(x))"
                _fail(f"an exponent is beyond {MAX_EXPONENT} ({joined}); {remedy}", self.text, at)

    def _check_root(self, base: sp.Expr, exponent: sp.Expr, at: int) -> None:
        """q <= 12 in N**(p/q), roots of roots included, for every number N that is a factor of the base."""
        numbers = [f for f in sp.Mul.make_args(base) if self._is_constant(f) and f.atoms(sp.Rational) - {1, -1}]
        inner = [p.exp.q for f in numbers for p in f.atoms(sp.Pow) if p.exp.is_Rational]
        outer = [term.as_coeff_Mul()[0].q for term in sp.Add.make_args(exponent)]
        if numbers and max(outer) * max(inner, default=1) > MAX_ROOT_OF_NUMBER:
            remedy = "write exp(log(n)/q) for n**(1/q)"
            _fail(f"a root of a number beyond the {MAX_ROOT_OF_NUMBER}th is not allowed; {remedy}", self.text, at)

    def _call(self, word: str, argument: sp.Expr, at: int) -> sp.Expr:
        if word == "sqrt":
            return self._power(argument, sp.S.Half, at)
        if word == "softplus":
            return self._call("log", 1 + self._call("exp", argument, at), at)
        if word == "sigmoid":
            return self._power(1 + self._call("exp", -argument, at), sp.S.NegativeOne, at)
        function, size = FUNCTIONS[word], self._size(argument)
        if word in ("sinh", "cosh", "tanh") and not argument.is_real:
            self._check_maybe_complex(word, argument, at)
        # Nested constants stay as typed: SymPy reduces asin(sin(c)) numerically, which fails for large c.
        if size <= MAX_SIMPLIFIED_NODES and not (self._is_constant(argument) and argument.has(sp.Function)):
            result = function(argument)
            # tan(x + pi/2) becomes cot(x), which could not be read back.
            if all(isinstance(part, (*_PLAIN, sp.Abs)) for part in result.atoms(sp.Function)):
                return result
        return function(argument, evaluate=False)

    def _check_maybe_complex(self, word: str, argument: sp.Expr, at: int) -> None:
        """SymPy expands t into real and imaginary part to find out whether sinh(t) is real: t must be short."""
        highest = max((abs(power.exp) for power in argument.atoms(sp.Pow) if power.exp.is_Integer), default=0)
        if self._size(argument) > MAX_MAYBE_COMPLEX_NODES or highest > 4:
            remedy = "keep roots and logarithms out of it, or declare symbols positive"
            _fail(f"{word} of a long expression that may be complex is not allowed; {remedy}", self.text, at)

    def _size(self, expression: sp.Basic) -> int:
        return self._measure(expression)[0]

    def _is_constant(self, expression: sp.Basic) -> bool:
        return self._measure(expression)[1]

    def _audit(self, result: sp.Expr, at: int) -> sp.Expr:
        self.at = at
        if self._size(result) > MAX_SYMPY_NODES:
            _fail(f"simplified, this has more than {MAX_SYMPY_NODES} nodes; split the formula", self.text, at)
        return result

    def _measure(self, expression: sp.Basic) -> tuple[int, bool]:
        """Nodes as a tree, and whether free of symbols; audits each part that was not seen before."""
        if expression not in self.audited:
            parts = [self._measure(part) for part in expression.args]
            constant = not expression.is_Symbol and all(part[1] for part in parts)
            self._check_part(expression, constant)
            self.audited[expression] = (1 + sum(part[0] for part in parts), constant)
        return self.audited[expression]

    def _check_part(self, part: sp.Basic, constant: bool) -> None:
        if part in (sp.zoo, sp.nan, sp.oo, -sp.oo):
            _fail("this is not finite (a division by zero, log(0), tan(pi/2), ...)", self.text, self.at)
        if part is sp.I:
            _fail("this is not real, and costs are real; check roots and logarithms", self.text, self.at)
        if isinstance(part, sp.Pow):
            self._check_exponent(part.exp, self.at)
            self._check_root(part.base, part.exp, self.at)
        if isinstance(part, sp.Rational):
            if max(abs(part.p), part.q) > HUGE:
                _fail("a number here is above 1e300, or its denominator is; rescale it", self.text, self.at)
        elif constant:
            self._check_constant(part)

    def _check_constant(self, constant: sp.Basic) -> None:
        # As many digits as 1 + 1e-300 needs; at 15 digits SymPy takes log(1 + 1e-20) for zero.
        value = constant.evalf(15, maxn=400) or constant.evalf(330, maxn=400)
        if not value.is_Float and not value.is_Rational:
            _fail("a constant here is not real, and costs are real; check roots and logarithms", self.text, self.at)
        if value.is_zero or value._prec == 1:
            _fail("a constant here cannot be told from zero; simplify it by hand", self.text, self.at)
        if not 1 / HUGE <= abs(value) <= HUGE:
            _fail("a constant here is outside 1e-300 and 1e300; rescale it", self.text, self.at)
