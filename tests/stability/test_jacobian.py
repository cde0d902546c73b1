"""The game Jacobian as an operator, against dense oracles."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gamedyn as gd

GAME = gd.Game(["x*y + x**4/4 + w*x", "-x*y + y**2*w", "sin(w)*x + y*w**2"], players=[["x"], ["y"], ["w"]])
POINT = [0.3, -0.7, 1.1]


def finite_difference(game, z, h=1e-6):
    z = np.asarray(z, dtype=float)
    columns = [(gd.field(game, z + h * e) - gd.field(game, z - h * e)) / (2 * h) for e in np.eye(len(z))]
    return np.stack(columns, axis=1)


def test_dense_jacobian_equals_finite_differences():
    assert gd.jacobian(GAME, POINT).to_dense() == pytest.approx(finite_difference(GAME, POINT), abs=1e-8)


def test_the_three_worlds_give_the_same_jacobian():
    array = gd.jacobian(GAME, POINT).to_dense()
    exact = gd.jacobian(GAME, [sp.Rational(str(c)) for c in POINT]).to_dense()
    neural = gd.jacobian(GAME, torch.tensor(POINT, dtype=torch.float64)).to_dense()
    assert np.array(exact.evalf(20), dtype=float) == pytest.approx(array, abs=1e-14)
    assert neural.numpy() == pytest.approx(array, abs=1e-14)


unit = arrays(np.float64, 3, elements=st.floats(-1, 1))


@given(unit, unit)
def test_adjoint_identity(u, w):
    for J in (gd.jacobian(GAME, POINT), gd.jacobian(GAME, POINT).symmetric, gd.jacobian(GAME, POINT).antisymmetric):
        assert np.dot(w, J @ u) == pytest.approx(np.dot(J.T @ w, u), abs=1e-13)


def test_symmetric_and_antisymmetric_parts_add_up():
    J = gd.jacobian(GAME, POINT)
    S, A = J.symmetric.to_dense(), J.antisymmetric.to_dense()
    assert S == pytest.approx(S.T, abs=0)
    assert A == pytest.approx(-A.T, abs=0)
    assert S + A == pytest.approx(J.to_dense(), abs=1e-15)


def test_scipy_operator_applies_the_same_matrix():
    J = gd.jacobian(GAME, POINT)
    operator = J.to_scipy()
    assert operator @ np.eye(3) == pytest.approx(J.to_dense(), abs=0)
    assert operator.rmatvec(np.ones(3)) == pytest.approx(J.to_dense().T @ np.ones(3), abs=1e-14)


def test_exact_eigenvalues_are_closed_forms_in_the_parameter():
    a = sp.Symbol("a", positive=True)
    game = gd.zero_sum(sp.Symbol("x") * sp.Symbol("y") + a * sp.Symbol("x") ** 2 / 2, "x", "y")
    values = gd.jacobian(game, [sp.Integer(0), sp.Integer(0)]).eigenvalues()
    assert {sp.simplify(v - (a / 2)) ** 2 for v in values} == {sp.simplify(a**2 / 4 - 1)}


def test_krylov_eigenvalues_agree_with_dense_beyond_the_dense_limit(monkeypatch):
    monkeypatch.setattr("gamedyn.stability.jacobian.DENSE_DIMENSION", 50)
    n = 60
    A = torch.tensor(np.random.default_rng(0).normal(size=(n, n)) / np.sqrt(n) / (1 + np.arange(n))[:, None])
    game = gd.callable_game([lambda z: z[:n] @ A @ z[n:], lambda z: -z[:n] @ A @ z[n:]], sizes=[n, n])
    J = gd.jacobian(game, torch.zeros(2 * n, dtype=torch.float64))
    krylov = J.eigenvalues(6, "LI")
    dense = np.linalg.eigvals(J.to_dense().numpy())
    expected = np.sort(np.abs(dense.imag))[::-1][:6]
    assert krylov.method.startswith("Krylov-Schur")
    assert np.abs(np.asarray(krylov).imag) == pytest.approx(expected, rel=1e-8)
    assert np.max(krylov.residuals) <= 1e-8 * expected[0]


def test_a_large_spectrum_needs_a_count():
    game = gd.callable_game([lambda z: (z**2).sum(), lambda z: (z**2).sum()], sizes=[400, 400])
    with pytest.raises(ValueError, match="say how many eigenvalues"):
        gd.jacobian(game, torch.zeros(800)).eigenvalues()


def test_a_dense_matrix_of_millions_is_refused_with_its_size():
    game = gd.callable_game([lambda z: (z**2).sum(), lambda z: (z**2).sum()], sizes=[50_000, 50_000])
    with pytest.raises(MemoryError, match=r"74\.5 GiB"):
        gd.jacobian(game, torch.zeros(100_000)).to_dense()


@pytest.mark.parametrize("call", [gd.field, gd.jacobian])
def test_a_point_of_wrong_length_is_named(call):
    with pytest.raises(ValueError, match="d = 3 coordinates, got a point with 2"):
        call(GAME, [1.0, 2.0])


def test_a_jacobian_is_taken_at_one_point():
    with pytest.raises(ValueError, match="one point"):
        gd.jacobian(GAME, np.zeros((3, 5)))


def test_unknown_ordering_is_refused():
    with pytest.raises(ValueError, match="LM"):
        gd.jacobian(GAME, POINT).eigenvalues(which="XX")


def diagonal(*values):
    names = [f"x{k}" for k in range(len(values))]
    return gd.Game([f"{v}*{n}**2/2" for v, n in zip(values, names, strict=True)], players=[[n] for n in names])


@pytest.mark.parametrize(("which", "first"), [("LM", -5), ("LR", 3), ("SR", -5), ("LI", None)])
def test_exact_eigenvalues_come_in_the_order_asked_for(which, first):
    values = gd.jacobian(diagonal(2, -5, 3), [sp.Integer(0)] * 3).eigenvalues(which=which)
    assert set(values) == {2, -5, 3}
    if first is not None:
        assert values[0] == first


def test_the_first_exact_eigenvalue_is_the_first_of_the_order():
    J = gd.jacobian(diagonal(2, 3), [sp.Integer(0)] * 2)
    assert tuple(J.eigenvalues(1, "SR")) == (2,)
    assert tuple(J.eigenvalues(1, "LM")) == (3,)


def test_an_exact_conjugate_pair_is_never_split():
    assert set(gd.jacobian(gd.games.bilinear(1), [sp.Integer(0)] * 2).eigenvalues(1)) == {sp.I, -sp.I}


def test_the_first_of_eigenvalues_with_free_symbols_is_not_known():
    game = gd.zero_sum("a*x**2/2 + x*y", "x", "y")
    with pytest.raises(ValueError, match="give the symbols values"):
        gd.jacobian(game, [sp.Integer(0)] * 2).eigenvalues(1)


def random_game(n=3):
    return gd.callable_game(
        [lambda z: (z[:n] * z[n:]).sum() + torch.randn(2 * n, dtype=z.dtype) @ z, lambda z: -(z[:n] * z[n:]).sum()],
        sizes=[n, n],
    )


@pytest.mark.parametrize("ask", [gd.jacobian, gd.rotation])
def test_a_random_cost_has_no_jacobian(ask):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="two evaluations of v"):
        ask(random_game(), torch.ones(6, dtype=torch.float64))


def test_parts_of_a_neural_jacobian_are_the_parts_of_its_matrix():
    J = gd.jacobian(GAME, torch.tensor(POINT, dtype=torch.float64))
    columns = torch.stack([J @ e for e in torch.eye(3, dtype=torch.float64)], dim=1)
    assert torch.allclose(J.to_dense(), columns, atol=1e-14)
    assert torch.allclose(J.T.to_dense(), columns.T, atol=1e-14)
    assert torch.allclose(J.symmetric.to_dense(), (columns + columns.T) / 2, atol=1e-14)
    assert torch.allclose(J.antisymmetric.T.to_dense(), (columns.T - columns) / 2, atol=1e-14)


def test_a_dense_neural_jacobian_takes_many_rows_at_a_time(monkeypatch):
    J = gd.jacobian(GAME, torch.tensor(POINT, dtype=torch.float64))
    monkeypatch.setattr(J, "product", None)  # no product with a column is left
    assert J.to_dense().numpy() == pytest.approx(gd.jacobian(GAME, POINT).to_dense(), abs=1e-14)


def test_a_block_is_the_matrix_of_one_player():
    game = gd.zero_sum("a**2*b + x*a*y + y**3*b", min=["a", "b"], max=["x", "y"])
    z = [0.3, -0.7, 1.1, 0.4]
    whole = gd.jacobian(game, z).to_dense()
    for point in (z, torch.tensor(z, dtype=torch.float64)):
        J = gd.jacobian(game, point)
        assert np.asarray(J.block(1).to_dense()) == pytest.approx(whole[2:, 2:], abs=1e-14)
        assert np.asarray(J.block(0, 1).to_dense()) == pytest.approx(whole[:2, 2:], abs=1e-14)
    exact = gd.jacobian(game, [sp.Integer(1)] * 4).block(0).to_dense()
    assert exact == sp.Matrix([[2, 2], [2, 0]])
    with pytest.raises(ValueError, match="no player 'z'"):
        gd.jacobian(game, z).block("z")


def test_a_block_of_players_of_different_sizes_is_refused():
    game = gd.zero_sum("a*x + b*x", min=["a", "b"], max="x")
    with pytest.raises(ValueError, match="2 x 1"):
        gd.jacobian(game, [0.0, 0.0, 0.0]).block(0, 1)


def test_a_point_where_v_is_not_finite_has_no_jacobian():
    game = gd.callable_game([lambda z: z[0].log(), lambda z: z[1] ** 2], sizes=[1, 1])
    with pytest.raises(ValueError, match=r"not finite.*player1"):
        gd.jacobian(game, torch.tensor([0.0, 1.0]))


def test_blocks_of_vectors_are_the_products_of_their_columns():
    J = gd.jacobian(GAME, torch.tensor(POINT, dtype=torch.float64))
    U = torch.tensor([[1.0, -0.3], [0.2, 0.5], [0.7, 2.0]], dtype=torch.float64)
    for part in (J, J.T, J.symmetric, J.antisymmetric, J.antisymmetric.T):
        assert torch.allclose(part @ U, torch.stack([part @ u for u in U.T], dim=1), atol=1e-14)
