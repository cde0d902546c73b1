"""The kernel cache: cold, warm, corrupt, unwritable."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from gamedyn.games.symbolic import zero_sum
from gamedyn.maps import kernels
from gamedyn.maps.printed import Printout
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Simultaneous

SCRIPT = textwrap.dedent(
    """
    import sys, numpy as np
    from gamedyn.games.symbolic import zero_sum
    from gamedyn.maps import kernels
    from gamedyn.maps.printed import Printout
    from gamedyn.maps.stepmap import StepMap
    from gamedyn.rules.basic import Simultaneous
    module = kernels.load_numba(Printout.of(StepMap(Simultaneous(0.5), zero_sum("x*y", min="x", max="y")).trace).kernel)
    S = np.array([[1.0], [2.0]])
    module.run(S, np.zeros((1, 0, 1)), 1)
    stats = module.run.stats
    print(S.ravel().tolist(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
    """
)


def _process(cache):
    environment = {**os.environ, "GAMEDYN_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return result.stdout.strip(), result.stderr


def test_second_process_reads_the_compiled_kernel_and_survives_corruption(tmp_path):
    assert _process(tmp_path)[0] == "[0.0, 2.5] 0 1"
    assert _process(tmp_path)[0] == "[0.0, 2.5] 1 0"
    (stored,) = (tmp_path / "kernels").glob("gamedyn_kernel_*.py")
    stored.write_text("raise SystemExit('corrupt')")
    output, errors = _process(tmp_path)
    assert output.startswith("[0.0, 2.5]")
    assert "Traceback" not in errors
    for binary in (tmp_path / "kernels" / "__pycache__").glob("*.nb?"):
        binary.write_bytes(b"corrupt")
    output, errors = _process(tmp_path)
    assert output.startswith("[0.0, 2.5]")
    assert errors.count("is not usable") <= 1


def _source(lr):
    return Printout.of(StepMap(Simultaneous(lr), zero_sum("x*y", min="x", max="y")).trace).kernel


def test_unwritable_cache_costs_one_warning_and_computes_the_same(tmp_path, monkeypatch):
    blocked = tmp_path / "a file, not a directory"
    blocked.write_text("")
    monkeypatch.setenv("GAMEDYN_CACHE", str(blocked))
    source = _source(0.25)
    with pytest.warns(UserWarning, match="not usable") as caught:
        module = kernels.load_numba(source)
    assert len(caught) == 1
    S = np.array([[1.0], [2.0]])
    module.run(S, np.zeros((1, 0, 1)), 1)
    np.testing.assert_allclose(S.ravel(), [0.5, 2.25])
    assert kernels.load_numba(source) is module  # and not a second warning


def test_source_that_does_not_compile_leaves_no_module_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path))
    before = set(sys.modules)
    with pytest.warns(UserWarning, match="not usable"), pytest.raises(NameError):
        kernels.load_numba("DIM = undefined_name\n")
    assert not [m for m in set(sys.modules) - before if m.startswith("gamedyn_kernel")]


def test_remembered_printouts_come_back_and_damaged_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path))
    content = {"sizes": (2,), "parameters": ("a",), "start": "", "step": "source", "kernel": "other"}
    assert kernels.remembered("key") is None
    kernels.remember("key", content)
    assert kernels.remembered("key")["step"] == "source"
    (path,) = (tmp_path / "traces").iterdir()
    for text in ("{", "[]", path.read_text().replace('"source"', '"another"'), '{"printout": 3, "sha": 4}'):
        path.write_text(text)
        assert kernels.remembered("key") is None


SIMULATE = textwrap.dedent(
    """
    import gamedyn as gd
    T = gd.StepMap(gd.Optimistic(0.1), gd.zero_sum("a*x*y + x**4", min="x", max="y"), params={"a": 2.0})
    orbit = gd.simulate(T, [[0.5, 0.2], [0.1, 0.3]], 50, every=50, backend="numba")
    print(orbit.z[-1].tolist(), "trace" in vars(T))
    """
)


def test_a_second_process_simulates_without_tracing(tmp_path):
    env = {**os.environ, "GAMEDYN_CACHE": str(tmp_path)}
    outputs = [
        subprocess.run([sys.executable, "-c", SIMULATE], env=env, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert outputs[0].endswith("True\n")
    assert outputs[1] == outputs[0].replace("True", "False")


def test_writing_leaves_no_temporary_file(tmp_path):
    kernels.write_atomically(tmp_path / "deep" / "name.txt", "text")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["name.txt"]
