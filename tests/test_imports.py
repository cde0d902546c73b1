"""What importing costs, and which way imports run."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gamedyn

PACKAGE = Path(gamedyn.__file__).parent
LAYERS = ("games", "rules", "maps", "stability", "dynamics", "claims")
ON_TOP = ("report", "neural", "plotting", "sweeps", "testing", "torch", "cli", "cli_gan", "__main__")
HEAVY = ("torch", "numba", "matplotlib", "scipy", "cvxpy", "xarray", "hypothesis", "rich", "typer")
FILES = sorted(PACKAGE.rglob("*.py"))


def _imports(path):
    """Every module that a file imports, inside functions included; type-checking imports apart."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped |= {id(n) for n in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield from [f"{node.module}.{a.name}" if node.module == "gamedyn" else node.module for a in node.names]


def _part(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])}


def _loaded_after(statement):
    code = f"{statement}\nimport sys\nprint(*sorted(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_importing_the_package_loads_no_heavy_library():
    assert _loaded_after("import gamedyn") == []


def test_rules_games_and_steps_load_no_heavy_library():
    statement = (
        "import gamedyn as gd\n"
        "T = gd.StepMap(gd.Extragradient(0.1), gd.zero_sum('x*y', min='x', max='y'))\n"
        "T.jacobian(T(T.start([1.0, 0.0])))"
    )
    assert _loaded_after(statement) == []


def test_strategies_without_hypothesis_name_the_extra():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import gamedyn.testing as t\n"
        "try:\n    t.strategies\n"
        "except ImportError as e:\n    print(e)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True
    )
    assert 'pip install "gamedyn[test]"' in result.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    part = _part(path)
    used = {m.split(".")[1] for m in _imports(path) if m.startswith("gamedyn.")}
    if part in LAYERS:
        above = set(LAYERS[LAYERS.index(part) + 1 :]) | set(ON_TOP)
        assert not used & above
    if part in ("report", "plotting", "sweeps", "cli", "cli_gan"):
        return
    assert "plotting" not in used - {part} or part == "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_package_never_imports_studies(path):
    assert not [m for m in _imports(path) if m.split(".")[0] == "studies"]


@pytest.mark.parametrize(
    "path", [p for p in sorted((PACKAGE / "rules").glob("*.py")) if p.stem != "method"], ids=lambda p: p.stem
)
def test_rules_import_no_arithmetic_library(path):  # method.py counts the cost of a step in exact fractions
    roots = {m.split(".")[0] for m in _imports(path)}
    assert not roots & {"numpy", "sympy", "torch", "scipy", "numba"}


def test_every_layer_is_a_package_that_exists():
    assert {"games", "rules", "maps"} <= {p.name for p in PACKAGE.iterdir() if p.is_dir()}
    assert {_part(p) for p in FILES} <= {*LAYERS, *ON_TOP, "__init__", "_version"}


def test_every_public_name_loads():
    heavy = {"plotting", "neural", "claims", "testing"}
    for name in gamedyn.__all__:
        if name not in heavy:
            getattr(gamedyn, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gamedyn.nothing  # noqa: B018
