"""The safe formula parser: what it reads, what it refuses, and that nothing typed is ever run."""

from __future__ import annotations

import builtins
import pickle
import string
import time

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from gamedyn.games.parser import FUNCTIONS, ParseError, parse_expression

x, y, z = sp.symbols("x y z", real=True)


def refuse(text: str, within: float = 0.5) -> ParseError:
    start = time.perf_counter()
    with pytest.raises(ParseError) as caught:
        parse_expression(text)
    assert time.perf_counter() - start < within
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x*y + 3*x**2", x * y + 3 * x**2),
        ("-x**2", -(x**2)),
        ("x**y**z", x ** (y**z)),
        ("x - y - z", x - y - z),
        ("x/y/z", x / (y * z)),
        ("--x", x),
        ("2**-1", sp.Rational(1, 2)),
        ("0.1", sp.Rational(1, 10)),
        ("1e-3*x", x / 1000),
        (".5 + 2. + 007", sp.Rational(19, 2)),
        ("1.25E2", sp.Integer(125)),
        ("0.1**64", sp.Rational(1, 10**64)),
        ("x**0.5", sp.sqrt(x)),
        ("x**(1/2)", sp.sqrt(x)),
        ("x**64", x**64),
        (" x\n + y\t", x + y),
        ("cos(pi)", sp.Integer(-1)),
        ("softplus(x)", sp.log(1 + sp.exp(x))),
        ("sigmoid(x)", 1 / (1 + sp.exp(-x))),
        ("softplus(0)", sp.log(2)),
        ("abs(-x)", sp.Abs(x)),
    ],
)
def test_reads_exactly(text: str, expected: sp.Expr) -> None:
    assert parse_expression(text) == expected


def test_no_float_is_left_in_the_result() -> None:
    assert not parse_expression("0.1*x + sin(2.5*y)**1.5 + 1e-7").atoms(sp.Float)


@pytest.mark.parametrize(
    "name", ["lambda", "from", "class", "e", "E", "I", "S", "N", "sin", "__import__", "_", "print"]
)
def test_names_are_fresh_real_symbols(name: str) -> None:
    assert parse_expression(name) == sp.Symbol(name, real=True)


def test_given_symbols_are_used_by_name() -> None:
    positive = sp.Symbol("a", positive=True)
    assert parse_expression("sqrt(s**2)", {"s": positive}) == positive
    assert parse_expression("s*t", {"s": positive}) == positive * sp.Symbol("t", real=True)


def test_symbols_mapping_is_left_as_it_was() -> None:
    given_symbols = {"x": x}
    parse_expression("x*y*z", given_symbols)
    assert given_symbols == {"x": x}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_listed_function_agrees_with_its_table_entry(name: str) -> None:
    t = sp.Symbol("t", positive=True)
    assert parse_expression(f"{name}(t)", {"t": t}) == FUNCTIONS[name](t)


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"], sp.Symbol("x")])
def test_text_that_is_not_str_is_a_type_error(text: object) -> None:
    with pytest.raises(TypeError, match="a formula is a str"):
        parse_expression(text)  # type: ignore[arg-type]


def test_wrong_symbols_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a sympy\.Symbol"):
        parse_expression("x", {"x": 1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="Rename the symbol"):
        parse_expression("x", {"pi": x})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x^2", r"write \*\* for powers"),
        ("x < y", "comparisons"),
        ("x == y", "comparison"),
        ("x != y", "comparisons"),
        ("x and y", "logic"),
        ("not x", "logic"),
        ("x if y else z", "conditions"),
        ("True", "logic"),
        ("x & y", "logic"),
        ("x.real", "attribute access"),
        ("x[0]", "subscripts"),
        ("[x for x in y]", "lists"),
        ("{x}", "sets"),
        ("'x'", "strings"),
        ("f'{x}'", "strings"),
        ("sin(x=1)", "named argument"),
        ("sin(*x)", "missing before '\\*'"),
        ("sin(x, y)", "one argument, got 2"),
        ("log(x, 2)", r"log\(x\)/log\(b\)"),
        ("sin()", "one argument, got 0"),
        ("f(x)", r"not a function to call; allowed are sin, .*write f\*\(\.\.\.\)"),
        ("pi(x)", "not a function"),
        ("eval(x)", "not a function"),
        ("Max(x)", "not a function"),
        ("lambda x: x", "anonymous function"),
        ("(x := 1)", "assignment"),
        ("x, y", "tuple"),
        ("(x, y)", "tuple"),
        ("()", "empty"),
        ("x // y", "integer division"),
        ("x % y", "'%' is not allowed"),
        ("x # y", "comment"),
        ("x; y", "one formula at a time"),
        ("x\0", "is not allowed"),
        ("x\\\ny", "is not allowed"),
        ("é", "ASCII"),
        ("\N{MATHEMATICAL ITALIC SMALL X}", "ASCII"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "ASCII"),
        ("x \N{MINUS SIGN} y", "write -"),
        ("x\N{SUPERSCRIPT TWO}", r"write \*\*2"),
        ("2x", r"between 2 and x; for a product write \*"),
        ("2(x)", "operator is missing"),
        ("(x)(y)", "operator is missing"),
        ("x y", "operator is missing"),
        ("0x10", "operator is missing"),
        ("1_000", "operator is missing"),
        ("1j", "operator is missing"),
        ("", "empty"),
        (" \t\n", "empty"),
    ],
)
def test_what_is_not_a_formula_is_named(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [("x*", 2), ("x*(y", 2), ("x + y)", 5), ("x*/y", 2), ("x + $", 4), ("(x + )", 5), ("x + 1/0", 6), ("y*foo(x)", 2)],
)
def test_the_place_is_reported_and_marked(text: str, position: int) -> None:
    error = refuse(text)
    assert error.position == position
    shown, caret = str(error).splitlines()[-2:]
    assert shown.strip() == text.strip()
    assert caret.index("^") - 4 == position


def test_the_excerpt_of_a_long_text_is_short_and_the_caret_stands_under_the_fault() -> None:
    error = refuse("x + " * 200 + "$" + " + x" * 200)
    shown, caret = str(error).splitlines()[-2:]
    assert len(shown.strip()) <= 60
    assert shown[caret.index("^")] == "$"


def test_the_error_survives_pickling_between_processes() -> None:
    error = pickle.loads(pickle.dumps(refuse("x + $")))
    assert (error.position, "^" in str(error)) == (4, True)


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "x/(y - y)",
        "0**-1",
        "0/0",
        "log(0)",
        "tan(pi/2)",
        "sqrt(-1)",
        "log(-1)",
        "asin(2)",
        "(-8)**(1/3)",
        "(-2)**x",
        "sqrt(-x**2)",
        "sqrt(1 - pi)",
        "log(sin(4))",
    ],
)
def test_infinite_and_complex_constants_are_refused(text: str) -> None:
    assert any(word in str(refuse(text)) for word in ("divides by zero", "not finite", "not real"))


@pytest.mark.parametrize(
    "text", ["log(1 + exp(-600))", "softplus(-50)", "1/(sqrt(2) - 1.41421356237309504880168872420969807856967)"]
)
def test_tiny_constants_are_not_taken_for_zero(text: str) -> None:
    assert parse_expression(text).is_positive


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000 + "x" + ")" * 50_000,
        "-" * 100_000 + "x",
        "(" * 51 + "x" + ")" * 51,
        "-" * 51 + "x",
        "(" * 3999,
        "-" * 3999 + "x",
        "**".join("x" * 60),
        "sin(" * 51 + "x" + ")" * 51,
        "+".join("x" * 1002),
        "x" * 4001,
        "9" * 4000,
    ],
)
def test_long_deep_and_large_text_is_refused_at_once(text: str) -> None:
    assert len(str(refuse(text, within=0.2))) < 300


@pytest.mark.parametrize("text", ["(" * 50 + "x" + ")" * 50, "-" * 50 + "x", "x" * 4000, "+".join("x" * 1000)])
def test_text_at_the_limits_is_read(text: str) -> None:
    assert isinstance(parse_expression(text), sp.Expr)


@pytest.mark.parametrize(
    "text",
    [
        "x**65",
        "x**-64.5",
        "10**10**10",
        "9**9**9",
        "2**64**64",
        "(2**64)**64",
        "0.1**64**64",
        "(0.1**64)**64",
        "1e999999",
        "1e-999999",
        "1e301",
        "1e300*10",
        "1e300 + 1",
        "1e200/1e-200",
        "*".join(["1e300"] * 500),
        "((((x + 1)**64)**64)**64)",
        "x**64*x",
        "(1e64*x)**64",
        "2**x*2**(1e40 - x)",
        "(2**(64*x))**(64/x)",
        "exp(exp(exp(1000)))",
        "exp(exp(600))",
        "2**exp(600)",
        "x**exp(5)",
        "1/(12345678901234567*12345678901234568)**(1/1000)",
        "3/(360*x)**1e-17",
        "((1e40 + 1)**(1/12))**(1/12)",
        "1e40**(y/1000)*1e40**(-y/1000 - 1/1000)",
        "abs(cosh((sqrt(x) + y)**64))",
    ],
)
def test_numeric_bombs_are_refused_at_once(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(x + y)**64*(x - y)**64*(x + 1)**64",
        "sin(1e200)",
        "exp(100)*exp(-x)",
        "*".join(f"(x{i} + 1)" for i in range(300)),
        "+".join(f"a{i}*x{i}" for i in range(300)),
        "tan(acos(" * 24 + "x" + "))" * 24,
        "softplus(y + x*" * 20 + "x" + ")" * 20,
        "abs(x - " * 30 + "y" + ")" * 30,
        "sqrt(1 + x*" * 20 + "y" + ")" * 20,
        "tanh(y + x*" * 20 + "x" + ")" * 20,
    ],
)
def test_large_formulas_are_built_quickly_and_not_expanded(text: str) -> None:
    start = time.perf_counter()
    expression = parse_expression(text)
    assert time.perf_counter() - start < 1.0
    assert sum(1 for _ in sp.preorder_traversal(expression)) < 10_000


def test_a_function_outside_the_table_never_appears() -> None:
    assert not parse_expression("tan(x + pi/2)").atoms(sp.cot)


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('touch {}')",
        "open('{}', 'w')",
        "().__class__.__bases__[0].__subclasses__()",
        "[open('{}', 'w') for _ in (1,)]",
        "exec(x)",
        "eval(x)",
        "lambda: open('{}', 'w')",
    ],
)
def test_attacks_are_refused_and_leave_nothing_behind(attack: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("attack") / "ran"
    refuse(attack.format(target))
    assert not target.exists()


def test_no_text_reaches_eval_or_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_expression("x*y + sin(x)**2/3")  # SymPy's own lazy imports happen here

    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("text was executed")

    monkeypatch.setattr(builtins, "eval", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    monkeypatch.setattr(sp, "sympify", forbidden)
    monkeypatch.setattr("sympy.parsing.sympy_parser.parse_expr", forbidden)
    monkeypatch.setattr("sympy.parsing.sympy_parser.eval_expr", forbidden)
    assert parse_expression("x*y + sin(x)**2/3") == x * y + sp.sin(x) ** 2 / 3
    assert isinstance(refuse("__import__('os')"), ParseError)


def _parses_or_refuses(text: str) -> None:
    start = time.perf_counter()
    try:
        result = parse_expression(text)
    except ParseError as error:
        result = error
    assert isinstance(result, sp.Expr) or len(str(result)) < 500
    assert time.perf_counter() - start < 1.0


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(string.printable), max_size=200))
def test_any_printable_text_parses_or_is_a_parse_error(text: str) -> None:
    _parses_or_refuses(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=50))
def test_any_unicode_text_parses_or_is_a_parse_error(text: str) -> None:
    _parses_or_refuses(text)


_WORDS = [*FUNCTIONS, "x", "y", "pi", "lambda", "0", "1", "2", "0.5", "64", "1e9", *"+-*/(),", "**", "(", ")", "(", ")"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=40))
def test_any_text_of_valid_tokens_parses_or_is_a_parse_error(words: list[str]) -> None:
    _parses_or_refuses(" ".join(words)[:200])


_ATOMS = st.sampled_from([x, y, z, sp.Symbol("lambda", real=True), sp.pi]) | st.fractions(-9, 9).map(sp.Rational)


def _grow(parts: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    smooth = st.sampled_from(
        [sp.sin, sp.cos, sp.atan, sp.tanh, lambda t: sp.exp(sp.sin(t)), lambda t: sp.log(2 + t**2)]
    )
    power = st.integers(1, 5)
    return (
        st.builds(lambda a, b: a + b, parts, parts)
        | st.builds(lambda a, b: a * b, parts, parts)
        | st.builds(lambda a, n: a**n, parts, power)
        | st.builds(lambda a, b: a / (1 + b**2), parts, parts)
        | st.builds(lambda f, a: f(a), smooth, parts)
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(_ATOMS, _grow, max_leaves=8))
def test_what_sympy_prints_reads_back_to_an_equal_expression(expression: sp.Expr) -> None:
    if expression.has(sp.E) or any(abs(n.p) > 10**60 or n.q > 10**60 for n in expression.atoms(sp.Rational)):
        return  # E is a symbol to the parser; huge numbers are its own tests
    back = parse_expression(str(expression))
    # SymPy moves signs and rational factors into sums depending on the order of multiplication: equal, not identical.
    assert back == expression or sp.expand(back - expression) == 0 or _same_values(back, expression)


def _same_values(a: sp.Expr, b: sp.Expr) -> bool:
    """Whether two expressions agree to 40 digits at three points, for forms that expansion does not bring together."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    for k in (3, 5, 7):
        point = {s: sp.Rational(j + k, 11 * k + 2 * j) for j, s in enumerate(symbols)}
        x, y = (sp.N(e.subs(point), 60) for e in (a, b))
        if not abs(x - y) <= sp.Float("1e-40", 60) * (1 + abs(x)):
            return False
    return True
