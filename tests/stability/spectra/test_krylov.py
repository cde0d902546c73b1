"""Leading eigenvalues from products: against dense oracles, on normal, non-normal and defective matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.spectra.eigenvalues import ILL_CONDITIONED, leading
from gamedyn.stability.spectra.krylov import KrylovSchur

ORDERS = ("LM", "LR", "SR", "LI")


def operator(matrix: np.ndarray, dtype: torch.dtype = torch.float64) -> GameJacobian:
    A = torch.tensor(matrix, dtype=dtype)
    return GameJacobian(lambda u: A @ u, lambda u: A.T @ u, len(A), "neural", torch.zeros(len(A), dtype=dtype))


def grcar(n: int) -> np.ndarray:
    """The Toeplitz matrix with -1 below and 1 on and three times above the diagonal: a classic of non-normality."""
    return np.eye(n) - np.eye(n, k=-1) + sum(np.eye(n, k=j) for j in (1, 2, 3))


def with_spectrum(values: np.ndarray, seed: int, skew: float) -> np.ndarray:
    """A real matrix with the given eigenvalues (pairs a ± ib for complex ones), non-normal by `skew`."""
    rng = np.random.default_rng(seed)
    blocks = []
    for v in values:
        blocks.append(np.array([[v.real, v.imag], [-v.imag, v.real]]) if v.imag else np.array([[v.real]]))
    n = sum(len(b) for b in blocks)
    T, at = np.triu(rng.standard_normal((n, n)), 2) * skew, 0
    for b in blocks:
        T[at : at + len(b), at : at + len(b)] = b
        at += len(b)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return Q @ T @ Q.T


def game_matrix(n: int, seed: int) -> np.ndarray:
    """A dense game Jacobian: a spread potential part, a rotation and some noise."""
    rng = np.random.default_rng(seed)
    S, A = np.diag(np.linspace(-1, 2, n) ** 3), rng.standard_normal((n, n)) / n**0.5
    return S + (A - A.T) / 2 + 0.1 * A


@pytest.mark.parametrize("which", ORDERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_leading_twenty_agree_with_the_dense_spectrum(which, seed):
    matrix = game_matrix(300, seed)
    found = operator(matrix).eigenvalues(20, which, conditions=True, basis=90)
    dense = np.linalg.eigvals(matrix)
    expected = dense[leading(dense, which, 20)]
    assert found.converged.all()
    assert found.backward_errors.max() <= 1e-8
    good = found.conditions <= ILL_CONDITIONED
    assert good.all()
    distance = np.abs(np.asarray(found)[:, None] - expected[None, :]).min(axis=1)
    assert (distance <= 1e-6 * np.abs(found.values)).all()
    assert np.asarray(found) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("which", ORDERS)
def test_single_precision_reaches_its_own_backward_error(which):
    matrix = game_matrix(300, 2)
    found = operator(matrix, torch.float32).eigenvalues(20, which, basis=90)
    assert found.converged.all()
    assert found.backward_errors.max() <= 1e-5
    dense = np.linalg.eigvals(matrix)
    assert np.asarray(found) == pytest.approx(dense[leading(dense, which, 20)], abs=1e-4)


eigenvalue = st.tuples(st.floats(-2, 2), st.floats(0.1, 2), st.booleans()).map(lambda t: complex(t[0], t[1] * t[2]))


@given(st.lists(eigenvalue, min_size=30, max_size=40), st.integers(0, 5), st.sampled_from(ORDERS))
@settings(max_examples=10, deadline=None)
def test_residuals_are_those_of_the_vectors_whatever_the_spectrum(values, seed, which):
    matrix = with_spectrum(np.array(values), seed, 0.3)
    found = operator(matrix).eigenvalues(6, which, basis=24, restarts=30)
    x = found.vectors
    assert np.linalg.norm(x, axis=0) == pytest.approx(np.ones(len(found)), abs=1e-12)
    assert np.linalg.norm(matrix @ x - x * found.values, axis=0) == pytest.approx(found.residuals, abs=1e-12)
    assert found.norm <= np.linalg.norm(matrix, 2) * (1 + 1e-6)
    sigma = [np.linalg.svd(matrix - v * np.eye(len(matrix)), compute_uv=False)[-1] for v in found.values]
    assert (np.array(sigma) <= found.residuals + 1e-13).all()  # each is in the ε-pseudospectrum, ε its residual


@pytest.mark.parametrize("which", ORDERS)
def test_on_a_grcar_matrix_eigenvalues_are_called_ill_conditioned_and_lie_in_the_pseudospectrum(which):
    matrix = grcar(120)
    found = operator(matrix).eigenvalues(10, which, conditions=True, basis=60)
    assert found.ill_conditioned.all()
    assert "ill-conditioned" in repr(found)
    assert found.backward_errors.max() <= 1e-8
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.linalg.svd(matrix - value * np.eye(120), compute_uv=False)[-1] <= residual + 1e-14


def test_conditions_are_those_of_left_and_right_eigenvectors():
    matrix = with_spectrum(np.array([*np.linspace(1, 3, 30), 4 + 1j, 5, 6 + 2j]), 1, 0.5)
    J = operator(matrix)
    found, dense = J.eigenvalues(5, conditions=True, basis=25), J.eigenvalues(5)
    assert np.asarray(found) == pytest.approx(np.asarray(dense), rel=1e-9)
    assert found.conditions == pytest.approx(dense.conditions, rel=1e-6)
    y = found.left_vectors
    assert np.linalg.norm(y.conj().T @ matrix - found.values[:, None] * y.conj().T, axis=1).max() < 1e-9


def test_a_defective_eigenvalue_has_an_infinite_condition():
    matrix = np.diag([5.0, 5.0, *np.linspace(0, 1, 30)])
    matrix[0, 1] = 1.0
    found = operator(matrix).eigenvalues(2)
    assert (found.conditions > 1e7).all()
    assert found.ill_conditioned.all()


def test_a_search_goes_on_from_its_state_without_losing_products():
    matrix = game_matrix(200, 3)
    J = operator(matrix)
    first = J.eigenvalues(8, "SR", basis=30, restarts=2)
    assert "go on with state=" in first.note
    second = J.eigenvalues(8, "SR", basis=30, state=first.state())
    whole = J.eigenvalues(8, "SR", basis=30)
    assert second.converged.all()
    assert second.note == ""
    assert second.products == pytest.approx(whole.products, abs=8 * 30)
    assert np.asarray(second) == pytest.approx(np.asarray(whole), abs=1e-9)


def test_a_state_of_other_settings_is_refused():
    J = operator(game_matrix(100, 0))
    state = J.eigenvalues(8, basis=40, restarts=1).state()
    with pytest.raises(ValueError, match="settings that the state was made with"):
        operator(game_matrix(90, 0)).eigenvalues(8, basis=40, state=state)


def test_a_start_near_the_eigenvectors_saves_products():
    matrix = game_matrix(300, 4)
    cold = operator(matrix).eigenvalues(10, basis=50)
    start = (cold.vectors.real + cold.vectors.imag).sum(axis=1)
    near = operator(matrix + 1e-4 * game_matrix(300, 5))
    warm, again = near.eigenvalues(10, basis=50, start=start), near.eigenvalues(10, basis=50)
    assert np.asarray(warm) == pytest.approx(np.asarray(again), abs=1e-8)
    assert warm.products < again.products


def test_an_invariant_space_is_left_by_a_new_direction():
    matrix = np.diag([3.0, 2.0, 1.0, *np.zeros(57)])
    start = np.zeros(60)
    start[0] = 1.0  # an eigenvector: the space closes after one step
    found = operator(matrix).eigenvalues(3, basis=20, start=start)
    assert np.asarray(found) == pytest.approx([3, 2, 1], abs=1e-10)


def test_a_zero_matrix_has_zero_eigenvalues():
    found = operator(np.zeros((50, 50))).eigenvalues(3, basis=10)
    assert np.asarray(found) == pytest.approx([0, 0, 0], abs=0)


def test_the_basis_keeps_semi_orthogonality_over_many_restarts():
    matrix = grcar(200)
    A = torch.tensor(matrix)
    search = KrylovSchur(lambda u: A @ u, torch.zeros(200, dtype=torch.float64), 10, "LM", 40, 1e-14)
    levels = []

    def measured(s: KrylovSchur) -> None:
        V = s.snapshot().basis
        levels.append(float((V @ V.T - torch.eye(len(V))).abs().max()))

    search.run(40, measured)
    assert len(levels) >= 10
    assert max(levels) < 1e-6


def test_products_that_are_not_finite_are_named():
    J = GameJacobian(lambda u: u / 0, lambda u: u / 0, 50, "neural", torch.zeros(50))
    with pytest.raises(ValueError, match="not finite"):
        J.eigenvalues(3, basis=10)


@pytest.mark.parametrize("start", [np.ones(3), np.full(50, np.nan)])
def test_a_start_of_wrong_length_or_with_holes_is_refused(start):
    with pytest.raises(ValueError, match=r"finite vector \(50,\)"):
        operator(np.eye(50)).eigenvalues(3, basis=10, start=start)


@pytest.mark.parametrize("k", [0, 51, 2.5, True])
def test_a_count_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match="from 1 to d = 50"):
        operator(np.eye(50)).eigenvalues(k)


def test_arrays_and_torch_points_have_the_same_leading_eigenvalues(monkeypatch):
    monkeypatch.setattr("gamedyn.stability.jacobian.DENSE_DIMENSION", 20)
    game = gd.games.bilinear(np.diag(np.arange(1.0, 41)))
    array = gd.jacobian(game, np.zeros(80)).eigenvalues(4)
    torched = gd.jacobian(game, torch.zeros(80, dtype=torch.float64)).eigenvalues(4)
    assert array.method.startswith("Krylov-Schur")
    assert np.abs(array) == pytest.approx([40, 40, 39, 39], rel=1e-9)
    assert np.asarray(torched) == pytest.approx(np.asarray(array), abs=1e-8)


@pytest.mark.parametrize("distinct", [7, 8])
def test_copies_of_an_eigenvalue_are_found_behind_an_invariant_space(distinct):
    values = np.repeat(np.arange(distinct + 1.0, 1.0, -1.0), 4)
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((200, 200)))
    matrix = Q @ np.diag([*values, *np.ones(200 - len(values))]) @ Q.T
    found = operator(matrix).eigenvalues(4, basis=40)
    assert np.asarray(found) == pytest.approx([distinct + 1.0] * 4, abs=1e-8)


def test_a_state_of_another_matrix_is_refused():
    matrix = game_matrix(100, 0)
    state = operator(matrix).eigenvalues(4, basis=20, restarts=2).state()
    with pytest.raises(ValueError, match="belongs to another operator"):
        operator(matrix + 1e-3 * game_matrix(100, 1)).eigenvalues(4, basis=20, state=state)
    with pytest.raises(ValueError, match=r"float64.*float32"):
        operator(matrix, torch.float32).eigenvalues(4, basis=20, state=state)
    with pytest.raises(TypeError, match=r"result\.state\(\)"):
        operator(matrix).eigenvalues(4, basis=20, state=3)


@pytest.mark.parametrize("basis", [-1, 0, 1, 6, 10.5])
def test_a_basis_too_small_is_refused(basis):
    with pytest.raises(ValueError, match="at least 7"):
        operator(game_matrix(50, 0)).eigenvalues(4, basis=basis)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 2.0])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(ValueError, match="between 0 and 1"):
        operator(game_matrix(50, 0)).eigenvalues(4, basis=20, tolerance=tolerance)


def test_estimates_may_stand_for_residuals():
    J = operator(game_matrix(200, 0))
    checked, estimated = J.eigenvalues(6, basis=40), J.eigenvalues(6, basis=40, verify=False)
    assert "estimated" in estimated.method
    assert estimated.products == checked.products - len(checked)
    assert np.asarray(estimated) == pytest.approx(np.asarray(checked), abs=0)
    assert estimated.residuals.max() <= 1e-12 * estimated.norm
