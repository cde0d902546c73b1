"""The command line: `gamedyn analyze`, `compare`, `methods`, `games`, `gan`."""

from __future__ import annotations

import inspect
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from gamedyn._version import __version__
from gamedyn.cli_gan import WITH_VALUE, gan_app
from gamedyn.report.console import show_page

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(gan_app, name="gan")

_WITH_VALUE = {
    *WITH_VALUE,
    *("--game", "--min", "--max", "--player", "--cost", "--field", "--param", "--box", "--at"),
    *("--methods", "--lr", "--steps", "--z0", "--z-star", "--plot"),
}
_EXPECTED = (ValueError, TypeError, NotImplementedError, ArithmeticError, OSError, MemoryError)

Formula = Annotated[str | None, typer.Argument(metavar="[FORMULA]", help="payoff f: min over --min, max over --max")]
Min = Annotated[str | None, typer.Option("--min", help="variables of the minimising player: x or x1,x2")]
Max = Annotated[str | None, typer.Option("--max", help="variables of the maximising player")]
Named = Annotated[str | None, typer.Option("--game", help="a game of the library, see `gamedyn games`")]
Cost = Annotated[list[str] | None, typer.Option("--cost", help="a player's cost; once per player, with --player")]
Component = Annotated[
    list[str] | None, typer.Option("--field", help="a component of v; once per variable, with --player")
]
PlayerNames = Annotated[list[str] | None, typer.Option("--player", help="a player's variables: x or x1,x2")]
Methods = Annotated[str | None, typer.Option("--methods", help="names separated by commas, see `gamedyn methods`")]
Rate = Annotated[float, typer.Option("--lr", help="step size")]
Param = Annotated[list[str] | None, typer.Option("--param", help="a parameter's value: a=0.3")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON only")]
AsLatex = Annotated[bool, typer.Option("--latex", help="print LaTeX only")]


def _version(asked: bool) -> None:
    if asked:
        print(f"gamedyn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Why players that follow their own gradients circle, diverge or settle."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def analyze(
    formula: Formula = None,
    minimise: Min = None,
    maximise: Max = None,
    game: Named = None,
    cost: Cost = None,
    component: Component = None,
    player: PlayerNames = None,
    methods: Methods = None,
    lr: Rate = 0.1,
    param: Param = None,
    box: Annotated[str | None, typer.Option("--box", help="where to look for equilibria: -3,3")] = None,
    at: Annotated[int | None, typer.Option("--at", help="index of the equilibrium for the methods")] = None,
    as_json: AsJson = False,
    as_latex: AsLatex = False,
) -> None:
    """Equilibria, their spectra, and what every method makes of them."""
    from gamedyn.report.analyze import analyze as run

    _refuse_two_formats(as_json, as_latex)
    played = _game(formula, minimise, maximise, game, cost, component, player, param)
    limits = None if box is None else tuple(_numbers(box, "--box"))
    if limits is not None and len(limits) != 2:
        raise ValueError(f"--box {box!r} needs two numbers, low,high: --box -3,3")
    report = run(played, methods=_names(methods), lr=lr, box=limits, at=at)
    _show(report, as_json, report.latex() if as_latex else None)


@app.command()
def compare(
    formula: Formula = None,
    minimise: Min = None,
    maximise: Max = None,
    game: Named = None,
    cost: Cost = None,
    component: Component = None,
    player: PlayerNames = None,
    methods: Methods = None,
    lr: Rate = 0.1,
    param: Param = None,
    z0: Annotated[str | None, typer.Option("--z0", help="the start: 1,1")] = None,
    z_star: Annotated[str | None, typer.Option("--z-star", help="the equilibrium, found by default")] = None,
    steps: Annotated[int, typer.Option("--steps", help="steps of every method")] = 1000,
    as_json: AsJson = False,
    as_latex: AsLatex = False,
    plot: Annotated[str | None, typer.Option("--plot", help="write the race to this picture file")] = None,
) -> None:
    """Run methods side by side: predicted and measured rates."""
    from gamedyn.report.analyze import positive_step
    from gamedyn.report.compare import compare as run
    from gamedyn.rules.named import CLASSICAL

    _refuse_two_formats(as_json, as_latex)
    positive_step(lr)
    played = _game(formula, minimise, maximise, game, cost, component, player, param)
    start = None if z0 is None else _numbers(z0, "--z0")
    target = None if z_star is None else _numbers(z_star, "--z-star")
    result = run(played, _names(methods) or CLASSICAL, start, steps=steps, z_star=target, lr=lr)
    if plot is not None:
        _plot(result, plot)
    _show(result, as_json, result.latex() if as_latex else None)


@app.command()
def methods(
    as_json: AsJson = False,
    card: Annotated[str | None, typer.Option("--card", help="the card of one method", metavar="NAME")] = None,
    cards: Annotated[bool, typer.Option("--cards", help="all cards as a Markdown page")] = False,
    worlds: Annotated[
        bool, typer.Option("--worlds", help="methods against worlds, measured, as a Markdown page")
    ] = False,
) -> None:
    """The methods by name, with their coefficients and costs; the card of one, or of all."""
    if sum(map(bool, (as_json, card, cards, worlds))) > 1:
        raise ValueError("--json, --card, --cards and --worlds are different outputs; give one of them")
    if card is not None or cards or worlds:
        show_page(_method_pages(card, cards).rstrip("\n"))
        return
    from gamedyn.report.text import table
    from gamedyn.rules.method import step_cost
    from gamedyn.rules.named import coefficients, named
    from gamedyn.rules.named import methods as known

    rows = []
    for name in known:
        cost = step_cost(named(name))
        rows.append(
            (name, {k: v for k, v in coefficients(name).items() if v is not None}, float(cost.gradients), cost.solves)
        )
    if as_json:
        print(
            json.dumps(
                [dict(zip(("name", "coefficients", "gradients", "solves"), row, strict=True)) for row in rows], indent=2
            )
        )
        return
    cells = [[n, f"{g:g}", str(s), ", ".join(f"{k} {v:g}" for k, v in c.items())] for n, c, g, s in rows]
    show_page("\n".join(table(["method", "gradients", "solves", "coefficients"], cells, left=(0, 3))))


def _method_pages(card: str | None, cards: bool) -> str:
    if card is not None:
        from gamedyn.report.cards import method_card

        return str(method_card(card))
    if cards:
        from gamedyn.report.cards import cards_page

        return cards_page()
    from gamedyn.testing.worlds import worlds_page

    return worlds_page()


@app.command()
def games(as_json: AsJson = False) -> None:
    """The library of named games."""
    from gamedyn.games import library
    from gamedyn.report.text import clip, table

    known = {name: build for name, build in library.names().items() if not _needed(build)}
    first = {name: (build.__doc__ or "").strip().splitlines()[0] for name, build in known.items()}
    if as_json:
        print(json.dumps(first, indent=2, ensure_ascii=False))
        return
    rows = [[name, clip(line.rstrip("."), 70)] for name, line in first.items()]
    show_page("\n".join(table(["game", "what it is"], rows, left=(0, 1))))


# reading ------------------------------------------------------------------------------------------------------


def _game(
    formula: str | None, minimise: str | None, maximise: str | None, name: str | None, costs: list[str] | None,
    components: list[str] | None, players: list[str] | None, params: list[str] | None,
) -> Any:  # fmt: skip
    """The game that the options describe, parameters bound."""
    given = [k for k, v in (("a formula", formula), ("--game", name), ("--cost", costs), ("--field", components)) if v]
    if len(given) != 1:
        raise ValueError(f"give one game: a formula, --game NAME, --cost or --field; got {', '.join(given) or 'none'}")
    if name is not None:
        game = _from_library(name)
    elif formula is not None:
        game = _zero_sum(formula, minimise, maximise)
    else:
        from gamedyn.games.symbolic import Game, field_game

        if not players:
            raise ValueError("--cost and --field need --player VARIABLES, once per player, in order")
        game = Game(costs, players) if costs else field_game(components or [], players)
    values = dict(_binding(p) for p in params or [])
    return game.bind(**values) if values else game


def _zero_sum(formula: str, minimise: str | None, maximise: str | None) -> Any:
    from gamedyn.games.parser import parse_expression
    from gamedyn.games.symbolic import zero_sum

    if minimise is None and maximise is None:
        names = {s.name for s in parse_expression(formula).free_symbols}
        if names != {"x", "y"}:
            found = ", ".join(sorted(names)) or "(none)"
            raise ValueError(f"the formula has the symbols {found}; say who plays what: --min x --max y")
        minimise, maximise = "x", "y"
    if minimise is None or maximise is None:
        raise ValueError("give both --min and --max")
    return zero_sum(formula, min=minimise, max=maximise)


def _from_library(name: str) -> Any:
    from gamedyn.games import library

    known = library.names()
    needed = _needed(known[name]) if name in known else []
    if needed:
        raise ValueError(
            f"the game '{name}' is made from {' and '.join(needed)}, which the command line does not take; "
            f"build it in Python with gamedyn.games.{name}(...), or give its formula"
        )
    if name not in known:
        names = ", ".join(n for n, build in known.items() if not _needed(build))
        raise ValueError(f"there is no game '{name}'. The games are: {names}.")
    return known[name]()


def _needed(build: Callable[..., Any]) -> list[str]:
    """The arguments without which a game of the library cannot be built."""
    return [p.name for p in inspect.signature(build).parameters.values() if p.default is p.empty]


def _binding(pair: str) -> tuple[str, Any]:
    name, sign, value = pair.partition("=")
    if not sign or not name.strip().isidentifier():
        raise ValueError(f"--param {pair!r} is no binding; write --param a=0.3")
    from gamedyn.games.parser import parse_expression

    number = parse_expression(value)
    if number.free_symbols:
        raise ValueError(f"--param {pair!r} needs a number, such as a=0.3 or a=1/3")
    return name.strip(), number


def _numbers(line: str, option: str) -> list[float]:
    try:
        values = [float(part) for part in line.split(",")]
    except ValueError:
        raise ValueError(f"{option} {line!r} is no list of numbers; write {option} 1,1") from None
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{option} {line!r} needs finite numbers")
    return values


def _names(line: str | None) -> list[str] | None:
    return None if line is None else [part.strip() for part in line.split(",") if part.strip()]


# writing ------------------------------------------------------------------------------------------------------


def _refuse_two_formats(as_json: bool, as_latex: bool) -> None:
    if as_json and as_latex:
        raise ValueError("--json and --latex are two formats of one output; give one of them")


def _show(result: Any, as_json: bool, latex: str | None = None) -> None:
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    elif latex is not None:
        print(latex)
    else:
        show_page(str(result))


def _plot(result: Any, path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from gamedyn.plotting import style

    with style.context():
        display = result.plot()
        display.ax_.figure.savefig(path, bbox_inches="tight")


def _protect(arguments: list[str]) -> list[str]:
    """Formulas and numbers that begin with a minus, told apart from options.

    An argument that begins with a single minus is never an option here, except -h: as the value of an option it is
    joined to it, elsewhere it is moved behind `--`.
    """
    if "--" in arguments or not arguments:
        return arguments
    command, kept, moved = arguments[:1], [], []
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in _WITH_VALUE:
            value = next(rest, None)
            kept += [argument] if value is None else [f"{argument}={value}"]
        elif re.match(r"-[^-]", argument) and argument != "-h":
            moved.append(argument)
        else:
            kept.append(argument)
    return [*command, *kept, *(["--", *moved] if moved else [])]


def main(arguments: list[str] | None = None) -> None:
    """The entry point `gamedyn`: exits with 0, with 2 after one line on stderr, or with the code of the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (stream.encoding or "").lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8")
    try:
        code = app(
            _protect(list(sys.argv[1:] if arguments is None else arguments)), prog_name="gamedyn", standalone_mode=False
        )
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except typer.Abort:
        _fail("aborted")
    except Exception as error:
        usage = getattr(error, "format_message", None)  # what typer raises for wrong options
        if usage is None and not isinstance(error, _EXPECTED):
            raise
        _fail((str(error) or f"{type(error).__name__}, without a message") if usage is None else usage())
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> NoReturn:
    """One line on stderr, without the excerpt and the caret of a formula's error: the character number says as much.

    Advice to bind a parameter in Python becomes the option that does so.
    """
    line = re.sub(r":\n    .*", "", message, flags=re.DOTALL)
    line = re.sub(r"\bbind\((\w+)=\.\.\.\)(?: or params=\S+ \S+)?", r"--param \1=...", line)
    print(f"gamedyn: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(2)
