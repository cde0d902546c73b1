"""Bimatrix games go in and out as arrays."""

from __future__ import annotations

import time

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd

R = sp.Rational


def test_payoffs_are_what_the_players_maximise():
    A, B = np.array([[3.0, 0.0], [5.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]])
    game = gd.games.bimatrix(A, B)
    x, y = np.array([0.3, 0.7]), np.array([0.6, 0.4])
    v = gd.field(game, np.concatenate([x, y]))
    np.testing.assert_allclose(v, np.concatenate([-A @ y, -B.T @ x]))
    values = dict(zip(game.symbols, [*x, *y], strict=True))
    assert [float(c.subs(values)) for c in game.costs] == pytest.approx([-x @ A @ y, -x @ B @ y])


def test_without_a_second_array_the_game_is_zero_sum():
    A, B = gd.games.payoff_arrays(gd.games.bimatrix([[1, 2, 3], [4, 5, 6]]))
    np.testing.assert_array_equal(B, -A)
    assert A.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_arrays_come_back_exactly():
    a = sp.Symbol("a", real=True)
    A, B = [[R(1, 3), a], [2, -1]], [[0, 1], [R(2, 7), 5]]
    first, second = gd.games.payoff_arrays(gd.games.bimatrix(A, B), exact=True)
    assert first == sp.ImmutableMatrix(A)
    assert second == sp.ImmutableMatrix(B)
    with pytest.raises(ValueError, match="bind them"):
        gd.games.payoff_arrays(gd.games.bimatrix(A, B))


def test_a_bilinear_game_in_formulas_has_payoff_arrays():
    game = gd.Game(["x1*y1 - 2*x2*y1", "-3*x2*y1 + x1*y1/2"], players=[["x1", "x2"], ["y1"]])
    A, B = gd.games.payoff_arrays(game)
    assert (A.tolist(), B.tolist()) == ([[-1], [2]], [[-0.5], [3]])


@pytest.mark.parametrize(
    ("costs", "players"),
    [
        (["x*y + x", "-x*y"], [["x"], ["y"]]),
        (["x*y + x**2", "-x*y"], [["x"], ["y"]]),
        (["x**2*y", "-x*y"], [["x"], ["y"]]),
        (["x*y + 1", "-x*y"], [["x"], ["y"]]),
        (["x*y", "y", "w"], [["x"], ["y"], ["w"]]),
    ],
)
def test_a_game_that_is_not_bilinear_has_no_arrays(costs, players):
    with pytest.raises(ValueError, match=r"not bilinear|two players"):
        gd.games.payoff_arrays(gd.Game(costs, players=players))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"shape \(1, 2\), B \(2, 1\)"):
        gd.games.bimatrix([[1, 2]], [[1], [2]])
    with pytest.raises(ValueError, match="strategies"):
        gd.games.bimatrix([[sp.Symbol("x1", real=True), 1]])


def test_round_trip_with_nashpy():
    nashpy = pytest.importorskip("nashpy")
    A, B = np.array([[0.0, -2.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]), None
    game = gd.games.bimatrix(A, B)
    theirs = nashpy.Game(*gd.games.payoff_arrays(game))
    (expected,) = [np.concatenate(e) for e in theirs.support_enumeration()]
    (ours,) = gd.equilibria(game)
    np.testing.assert_allclose([float(e) for e in ours.point], expected, atol=1e-12)
    np.testing.assert_array_equal(gd.games.bimatrix(*theirs.payoff_matrices).quadratics, game.quadratics)


def test_a_hundred_strategies_cost_seconds():
    began = time.perf_counter()
    A = np.random.default_rng(0).integers(-9, 10, size=(100, 100))
    game = gd.games.bimatrix(A)
    np.testing.assert_array_equal(gd.games.payoff_arrays(game)[0], A)
    uniform = np.full(200, 0.01)
    for method in (gd.Extragradient(1e-3), gd.Method(gd.Optimistic(1e-3), gd.entropic())):
        orbit = gd.simulate(gd.StepMap(method, game), uniform, steps=20).z
        np.testing.assert_allclose(orbit.reshape(-1, 2, 100).sum(axis=2), 1, atol=1e-12)
        assert np.max(np.abs(orbit[-1] - uniform)) > 1e-4
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("game", [gd.games.matching_pennies(), gd.games.rock_paper_scissors()], ids=lambda g: g.name)
def test_stated_equilibria_are_the_computed_ones(game):
    (found,) = gd.equilibria(game)
    assert (found.point,) == game.facts.equilibria


def test_every_projected_method_finds_mutual_defection():
    game = gd.games.prisoners_dilemma()
    for method in (gd.Simultaneous(0.1), gd.Extragradient(0.1), gd.Alternating(0.1)):
        z = gd.simulate(gd.StepMap(method, game), [0.99, 0.01, 0.9, 0.1], steps=200).z[-1]
        np.testing.assert_array_equal(z, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="temptation > reward"):
        gd.games.prisoners_dilemma(temptation=2)
