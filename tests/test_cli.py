"""The command line, run in this process; one run in a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import gamedyn as gd
from gamedyn.cli import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


def test_analyze_prints_the_screen_of_the_library(run):
    code, out, err = run("analyze", "x*y", "--methods", "Simultaneous,Extragradient")
    report = gd.analyze(gd.zero_sum("x*y", min="x", max="y"), methods=["Simultaneous", "Extragradient"])
    assert (code, out, err) == (0, f"{report}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-3*x**2 - y**2 + 4*x*y", "--min", "x", "--max", "y"],
        ["--min", "x", "--max", "y", "-3*x**2 - y**2 + 4*x*y"],
        ["--", "-3*x**2 - y**2 + 4*x*y"],
        ["-x**2 + 4*x*y - y**2 - 2*x**2", "--box", "-3,3"],
        ["--box=-3,3", "-3*x**2 - y**2 + 4*x*y"],
    ],
)
def test_a_formula_may_begin_with_a_minus(run, arguments):
    options = [] if "--" in arguments else ["--methods", "Simultaneous"]
    code, out, err = run("analyze", *options, *arguments)
    assert (code, err) == (0, "")
    assert "f = -3x² + 4xy - y²" in out
    assert "local minimax" in out


def test_json_is_json_only(run):
    code, out, err = run("analyze", "x*y", "--methods", "Simultaneous", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)["methods"]
    assert row["spectral_radius"]["formula"] == "sqrt(eta**2 + 1)"
    code, out, _ = run("compare", "x*y", "--methods", "Extragradient", "--z0", "1,-1", "--steps", "200", "--json")
    assert code == 0
    assert json.loads(out)["z0"] == [1.0, -1.0]


def test_latex_is_latex_only(run):
    code, out, _ = run("analyze", "x*y", "--methods", "Simultaneous", "--latex")
    assert code == 0
    assert out.startswith("%")
    assert out.rstrip().endswith(r"\end{tabular}")
    code, out, err = run("compare", "x*y", "--methods", "Extragradient", "--z0", "1,1", "--steps", "300", "--latex")
    race = gd.compare(gd.zero_sum("x*y", min="x", max="y"), ["Extragradient"], [1.0, 1.0], steps=300)
    assert (code, out, err) == (0, f"{race.latex()}\n", "")


def test_games_come_from_the_library_costs_or_fields(run):
    assert "strict local Nash" in run("analyze", "--game", "adolphs", "--methods", "Simultaneous")[1]
    code, out, _ = run(
        "analyze",
        "--cost",
        "x**2 + x*y",
        "--cost",
        "-x*y + y**2",
        "--player",
        "x",
        "--player",
        "y",
        "--methods",
        "Simultaneous",
    )
    assert code == 0
    assert "c2 = -xy + y²" in out
    code, out, _ = run(
        "analyze", "--field", "y", "--field", "-x", "--player", "x", "--player", "y", "--methods", "Simultaneous"
    )
    assert code == 0
    assert "center" in out


def test_parameters_are_bound(run):
    code, out, _ = run(
        "analyze", "x*y + a*x**2", "--min", "x", "--max", "y", "--param", "a=0.5", "--methods", "Simultaneous"
    )
    assert code == 0
    assert "1/2 ± i√3/2" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyze", "x^2"], "write ** for powers"),
        (["analyze", "x*z"], "--min x --max y"),
        (["analyze", "x*y", "--methods", "Newton"], "there is no method 'Newton'"),
        (["analyze"], "give one game"),
        (["analyze", "x*y", "--game", "forsaken"], "give one game"),
        (["analyze", "--game", "chess"], "there is no game 'chess'"),
        (["analyze", "--game", "quadratic"], "made from hessians and sizes"),
        (["compare", "--game", "zero_sum_quadratic"], "gamedyn.games.zero_sum_quadratic"),
        (["analyze", "x*y", "--lr", "-1"], "lr"),
        (["analyze", "x*y", "--lr", "fast"], "--lr"),
        (["analyze", "x*y", "--box", "1"], "--box"),
        (["analyze", "x*y", "--min", "x", "--max", "z"], "--param y=..."),
        (["analyze", "x*y", "--json", "--latex"], "--json and --latex"),
        (["compare", "x*y", "--json", "--latex"], "--json and --latex"),
        (["analyze", "x*y", "--param", "b=1"], "no parameter"),
        (["analyze", "x*y", "--param", "1"], "--param a=0.3"),
        (["compare", "x*y", "--z0", "1,one"], "--z0"),
        (["compare", "x*y", "--steps", "-3"], "steps"),
        (["compare", "x*y", "--lr", "0"], "lr=0.0 is no step size; give a positive number"),
        (["compare", "x*y", "--lr", "-0.1"], "lr=-0.1 is no step size; give a positive number"),
        (["analyze", "x*y", "--methods", "Extragradent"], "Did you mean Extragradient"),
        (["anlyze", "x*y"], "anlyze"),
        (["analyze", "x*y", "--colour"], "--colour"),
        (["analyze", "__import__('os').system('true')"], "gamedyn"),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("gamedyn: ")
    assert message in err


def test_without_arguments_the_help_is_printed(run):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out == run("--help")[1]
    assert out.count("\n") > 10


def test_lists_and_version(run):
    from gamedyn import __version__
    from gamedyn.rules.named import methods

    assert run("--version")[1] == f"gamedyn {__version__}\n"
    listed = run("methods")[1]
    assert all(name in listed for name in methods)
    assert {row["name"] for row in json.loads(run("methods", "--json")[1])} == set(methods)


def test_the_listed_games_are_those_that_the_command_line_can_build(run):
    listed = json.loads(run("games", "--json")[1])
    assert {"bilinear", "dirac_gan", "forsaken"} <= set(listed)
    for name, build in gd.games.names().items():
        try:
            build()
        except TypeError:
            assert name not in listed
        else:
            assert name in listed
    assert all(line.split()[0] in {"game", *listed} for line in run("games")[1].splitlines() if line[:1].isalpha())


def test_compare_writes_the_race(run, tmp_path):
    picture = tmp_path / "race.svg"
    code, out, _ = run(
        "compare", "x*y", "--methods", "Extragradient", "--z0", "1,1", "--steps", "50", "--plot", str(picture)
    )
    assert code == 0
    assert "Extragradient" in out
    assert picture.read_text().lstrip().startswith("<?xml")


def test_a_pipe_gets_plain_text_of_fixed_width():
    command = [
        sys.executable,
        "-c",
        "from gamedyn.cli import main; main()",
        "analyze",
        "x*y",
        "--methods",
        "Simultaneous",
    ]
    env = {**os.environ, "COLUMNS": "20", "FORCE_COLOR": "1", "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    page = done.stdout.decode("utf-8")
    assert "\x1b" not in page
    assert "√(1 + η²)" in page
    assert done.stderr == b""


def test_importing_the_package_loads_neither_rich_nor_typer():
    modules = "import sys, gamedyn.report.analyze, gamedyn.report.compare, gamedyn.report.latex"
    code = f"{modules}; print({{'rich', 'typer', 'matplotlib', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
