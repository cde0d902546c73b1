"""A state in a file: nothing is lost between saving and going on, and other files are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.spectra.krylov import KrylovSchur, KrylovState
from gamedyn.stability.spectra.krylov_store import load_state, save_state

D = 400


class Operator:
    """A rotation-like matrix of slow convergence, with its products counted."""

    def __init__(self, dtype=torch.float64):
        rng = np.random.default_rng(3)
        skew = rng.standard_normal((D, D)) / D**0.5
        matrix = np.diag(np.linspace(0.1, 2, D)) + 0.3 * (skew - skew.T)
        self.matrix = torch.tensor(matrix, dtype=dtype)
        self.products = 0

    def __call__(self, u):
        self.products += 1
        return self.matrix @ u


def search(operator, state=None, tolerance=1e-12):
    like = torch.zeros(D, dtype=operator.matrix.dtype)
    return KrylovSchur(operator, like, k=6, which="SR", basis=30, tolerance=tolerance, state=state)


class Killed(Exception):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.npz"


def saving(path, until):
    def report(s):
        save_state(path, s.snapshot())
        if s.restarts == until:
            raise Killed

    return report


def test_a_killed_iteration_goes_on_from_the_file_and_no_product_is_lost(path):
    whole_operator = Operator()
    whole = search(whole_operator).run()
    assert whole.restarts > 6
    operator = Operator()
    with pytest.raises(Killed):
        search(operator).run(report=saving(path, until=4))
    before = operator.products
    resumed = search(operator, load_state(path)).run()
    assert resumed.products == operator.products == whole_operator.products + 1 > before  # one checks the state
    assert resumed.restarts == whole.restarts
    np.testing.assert_allclose(resumed.values, whole.values, rtol=1e-12)
    dense = np.linalg.eigvals(operator.matrix.numpy())
    nearest = [np.abs(dense - v).min() for v in resumed.values]
    assert max(nearest) < 1e-9


def test_every_restart_leaves_a_file_that_leads_to_the_same_eigenvalues(path, tmp_path):
    whole = search(Operator()).run()
    for until in (1, 2, whole.restarts - 1):
        with pytest.raises(Killed):
            search(Operator()).run(report=saving(path, until))
        resumed = search(Operator(), load_state(path)).run()
        assert (resumed.products, resumed.restarts) == (whole.products + 1, whole.restarts)  # one checks the state
        np.testing.assert_allclose(resumed.values, whole.values, rtol=1e-12)


def test_a_process_that_dies_leaves_a_file_to_go_on_from(path):
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_krylov_store import Operator, save_state, search\n"
        "def report(s):\n"
        "    save_state(sys.argv[1], s.snapshot())\n"
        "    if s.restarts == 3: os._exit(9)\n"
        "search(Operator()).run(report=report)\n"
    )
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    dead = subprocess.run([sys.executable, "-c", code, str(path), here], env=environment, check=False)
    assert dead.returncode == 9
    state = load_state(path)
    assert state.restarts == 3
    operator, whole = Operator(), search(Operator()).run()
    resumed = search(operator, state).run()
    assert operator.products == whole.products - state.products + 1  # one checks that the state fits
    np.testing.assert_allclose(resumed.values, whole.values, rtol=1e-9)


def test_eigenvalues_of_a_jacobian_go_on_from_the_file(path):
    operator = Operator()
    matrix = operator.matrix.numpy()
    J = GameJacobian(lambda u: matrix @ u, lambda u: matrix.T @ u, D, "array", np.zeros(D))
    options = {"basis": 30}
    part = J.eigenvalues(4, "SR", restarts=2, **options)
    assert not part.converged.all()
    save_state(path, part.state())
    whole, resumed = J.eigenvalues(4, "SR", **options), J.eigenvalues(4, "SR", state=load_state(path), **options)
    np.testing.assert_allclose(resumed.values, whole.values, rtol=1e-9)
    assert resumed.converged.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_and_their_type_come_back_bit_for_bit(path, dtype):
    s = search(Operator(dtype), tolerance=1e-4).run(restarts=2)
    state = s.snapshot()
    save_state(path, state)
    again = load_state(path)
    assert again.basis.dtype == dtype
    assert torch.equal(again.basis, state.basis)
    np.testing.assert_array_equal(again.rayleigh, state.rayleigh)
    assert (again.products, again.restarts, again.norm) == (state.products, state.restarts, state.norm)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    old = KrylovState(torch.eye(3)[:2], np.ones((2, 1)), products=1)
    save_state(path, old)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_state(path, KrylovState(torch.eye(4)[:2], np.ones((2, 1)), products=2))
    assert load_state(path).products == 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_files_are_refused(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "missing.npz")
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"no state of a Krylov iteration.*remove it"):
        load_state(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="no state"):
        load_state(path)
    np.savez(path, basis=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="no state"):
        load_state(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="no state"):
        load_state(path)
    with open(path, "wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="no state"):
        load_state(path)


def test_damaged_files_are_refused(path):
    save_state(path, search(Operator()).run(restarts=1).snapshot())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_state(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    with pytest.raises(ValueError, match="damaged"):
        load_state(path)


def test_arrays_that_do_not_fit_together_are_refused(path):
    save_state(path, KrylovState(torch.zeros(3, 5), np.zeros((2, 1))))
    with pytest.raises(ValueError, match=r"shapes \(3, 5\), \(2, 1\)"):
        load_state(path)
    save_state(path, KrylovState(torch.eye(3)[:2], np.full((2, 1), np.nan)))
    with pytest.raises(ValueError, match="not finite"):
        load_state(path)
    with pytest.raises(TypeError, match="bfloat16"):
        save_state(path, KrylovState(torch.zeros(2, 3, dtype=torch.bfloat16), np.zeros((2, 1))))


def test_a_state_of_another_problem_is_refused_by_the_iteration(path):
    save_state(path, KrylovState(torch.eye(3)[:2], np.ones((2, 1))))
    with pytest.raises(ValueError, match="settings that the state was made with"):
        search(Operator(), load_state(path))
