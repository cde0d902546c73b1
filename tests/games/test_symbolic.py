"""Games in formulas: parameters, exactness, boxes, and the fields of every world."""

import numpy as np
import pytest
import sympy as sp
import torch
from conformance_table import GAMES, STARTS, dirac_gan
from hypothesis import given
from hypothesis import strategies as st

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.linear import linearize
from gamedyn.games.symbolic import Game, field_game, zero_sum
from gamedyn.games.transformed import unwrap
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Extragradient, Simultaneous
from gamedyn.rules.transforms import consensus, two_timescale
from gamedyn.testing import strategies as gs


def test_zero_sum_players_minimise_opposite_costs():
    g = zero_sum("x*y + a*x**2", min="x", max="y")
    x, y = g.symbols
    assert g.costs[1] == -g.costs[0]
    assert g.parameters == ("a",)
    assert list(g.bind(a=2).field("exact").field_function.outputs) == [4 * x + y, -x]


def test_bound_values_win_and_params_win_over_them():
    g = zero_sum("a*x*y", min="x", max="y").bind(a=2)
    assert g.parameters == ()
    np.testing.assert_allclose(g.field("array")(np.array([1.0, 1.0])), [2, -2])
    np.testing.assert_allclose(g.field("array", {"a": 3})(np.array([1.0, 1.0])), [3, -3])


def test_floats_enter_the_exact_world_as_their_shortest_decimal():
    g = zero_sum("x*y", min="x", max="y")
    T = StepMap(Simultaneous(0.1), g)
    assert list(T(T.start([sp.Integer(1), sp.Integer(2)]))) == [sp.Rational(4, 5), sp.Rational(21, 10)]
    assert exact_number(0.1) == sp.Rational(1, 10)
    assert exact_number(sp.Float(0.25) * sp.Symbol("a")) == sp.Symbol("a") / 4


@pytest.mark.parametrize("value", ["1", None, True, [1], float("nan"), float("inf")])
def test_what_is_no_finite_number_does_not_enter_the_exact_world(value):
    with pytest.raises((TypeError, ValueError)):
        exact_number(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Game(["x"], players=[["x"], ["y"]]), "1 costs for 2 players"),
        (lambda: Game(["x", "y"], players=[["x"], ["x"]]), "more than once"),
        (lambda: Game(["x", "y"], players=[["x"], []]), "at least one variable"),
        (lambda: field_game(["x"], players=[["x"], ["y"]]), "1 components for 2 variables"),
        (lambda: zero_sum("a*x*y", min="x", max="y").bind(b=1), "no parameter"),
        (lambda: zero_sum("a*x*y", min="x", max="y").field("array"), "without a value"),
        (lambda: zero_sum("x*y", min="x", max="y").constrained({"q": (0, 1)}), "box names"),
        (lambda: zero_sum("x*y", min="x", max="y").constrained({"x": (1, 1)}), "low < high"),
        (lambda: zero_sum("x*y", min="x", max="y").field("browser"), "does not exist"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises((ValueError, NotInThisWorld), match=message):
        make()


def test_the_box_clips_alike_in_every_world():
    g = zero_sum("x*y", min="x", max="y").constrained({"x": (-0.5, 0.5)})
    T = StepMap(Extragradient(1.0), g)
    array = T(T.start([0.25, 2.0]))
    exact = T(T.start([sp.Rational(1, 4), sp.Integer(2)]))
    neural = T(T.start(torch.tensor([0.25, 2.0], dtype=torch.float64)))
    w = np.clip(0.25 - 2.0, -0.5, 0.5), 2.0 + 0.25
    expected = [np.clip(0.25 - w[1], -0.5, 0.5), 2.0 + w[0]]
    for state in (array, [float(e) for e in exact], neural.numpy()):
        np.testing.assert_allclose(state, expected, atol=1e-15)


def test_a_field_game_has_no_costs_and_says_so():
    g = field_game(["y", "-x"], players=[["x"], ["y"]])
    for world, z in (("exact", sp.ImmutableMatrix([1, 2])), ("array", np.ones(2)), ("neural", torch.ones(2))):
        F = g.field(world)
        F(z)
        with pytest.raises(NotInThisWorld, match="without costs"):
            F.grad(0, z)
    T = StepMap(Simultaneous(0.5), g)
    np.testing.assert_allclose(T.test_jacobian([0, 0]), [[1, -0.5], [0.5, 1]])


def test_a_player_without_influence_has_gradient_zero_in_every_world():
    g = Game(["x**2", "3"], players=[["x"], ["y"]])
    T = StepMap(Simultaneous(0.25), g)
    np.testing.assert_allclose(T(T.start([1.0, 2.0])), [0.5, 2.0])
    np.testing.assert_allclose(T(T.start(torch.tensor([1.0, 2.0]))).numpy(), [0.5, 2.0])


@pytest.mark.parametrize("name", GAMES)
def test_jacobian_products_are_those_of_the_dense_jacobian_in_every_world(name):
    g, _ = GAMES[name]
    z = np.array(STARTS[0][: g.dim])
    F, N, E = g.field("array"), g.field("neural"), g.field("exact")
    J = np.array(E.field_function.jacobian(0), dtype=object)
    table = dict(zip(g.symbols, map(exact_number, z), strict=True))
    J = np.array([[float(e.xreplace(table)) for e in row] for row in J])
    for u in np.eye(g.dim):
        t, tu = torch.tensor(z), torch.tensor(u)
        np.testing.assert_allclose(F.jvp(z, u), J @ u, atol=1e-14)
        np.testing.assert_allclose(F.vjp(z, u), J.T @ u, atol=1e-14)
        np.testing.assert_allclose(N.jvp(t, tu).detach().numpy(), J @ u, atol=1e-14)
        np.testing.assert_allclose(N.vjp(t, tu).detach().numpy(), J.T @ u, atol=1e-14)
        np.testing.assert_allclose(F.solve(z, 0.3, u), np.linalg.solve(np.eye(g.dim) + 0.3 * J, u), atol=1e-13)
        for i in range(len(g.players)):
            np.testing.assert_allclose(N.hvp(i, t, tu).detach().numpy(), F.hvp(i, z, u), atol=1e-14)


def test_cross_solve_keeps_only_the_coupling_between_players():
    g, _ = GAMES["general-sum"]
    F = g.field("array")
    J = np.stack([F.jvp(np.zeros(3), e) for e in np.eye(3)], axis=1)
    for p in g.players:
        J[p.slice, p.slice] = 0
    u = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(
        F.solve(np.zeros(3), 0.3, u, cross=True), np.linalg.solve(np.eye(3) + 0.3 * J, u), atol=1e-14
    )


def test_test_field_is_refused_away_from_an_equilibrium_and_where_third_derivatives_enter():
    with pytest.raises(ValueError, match="needs an equilibrium"):
        linearize(dirac_gan().field("array"), [0.5, 0.5])
    g = Game(["x**2 + y", "y**2 + x*y**3"], players=[["x"], ["y"]])
    with pytest.raises(NotInThisWorld, match="third derivatives"):
        linearize(g.field("array"), [0.0, 0.0]).grad(0, np.eye(2))


def test_transformed_games_follow_the_same_protocol():
    g = zero_sum("a*x*y", min="x", max="y")
    t = consensus(0.5)(two_timescale(2.0)(g))
    assert unwrap(t)[0] is g
    assert [type(x).__name__ for x in t.transforms] == ["two_timescale", "consensus"]
    assert (t.dim, t.players, t.parameters, t.worlds) == (g.dim, g.players, g.parameters, g.worlds)
    assert t.bind(a=2).parameters == ()


@given(st.data())
def test_drawn_bilinear_games_are_rotations(data):
    g = data.draw(gs.bilinear_games(2))
    J = g.field("array")
    M = np.stack([J.jvp(np.zeros(g.dim), e) for e in np.eye(g.dim)], axis=1)
    np.testing.assert_allclose(M, -M.T, atol=1e-15)
    sigma = np.abs(np.linalg.eigvals(M))
    assert np.all(sigma > 0.1 - 1e-9)
    assert np.all(sigma < 2.0 + 1e-9)


@given(st.data())
def test_drawn_strongly_monotone_games_keep_their_constants(data):
    g = data.draw(gs.strongly_monotone_games(mu=0.2, L=1.5))
    F = g.field("array")
    M = np.stack([F.jvp(np.zeros(g.dim), e) for e in np.eye(g.dim)], axis=1)
    assert np.linalg.eigvalsh((M + M.T) / 2)[0] >= 0.2
    assert np.linalg.norm(M, 2) <= 1.5


@given(gs.monotone_games(), gs.quadratic_games(), gs.points(3, 2.0), gs.step_sizes(0.0, 2.0, away_from=(1.0,)))
def test_drawn_games_points_and_steps_are_what_they_say(monotone, quadratic, z, lr):
    F = monotone.field("array")
    M = np.stack([F.jvp(np.zeros(monotone.dim), e) for e in np.eye(monotone.dim)], axis=1)
    assert np.linalg.eigvalsh((M + M.T) / 2)[0] >= -1e-10
    assert quadratic.symbolic_field.is_quadratic
    assert not np.any(quadratic.field("array")(np.zeros(quadratic.dim)))
    assert np.all(np.abs(z) <= 2)
    assert abs(lr - 1.0) >= 1e-3 - 1e-15  # the edge 1.001 is a rounded number


def test_step_sizes_and_constants_that_cannot_exist_are_refused():
    with pytest.raises(ValueError, match="no step size"):
        gs.step_sizes(0.9995, 1.0005, away_from=(1.0,))
    with pytest.raises(ValueError, match="0 < mu < L"):
        gs.strongly_monotone_games(mu=2.0, L=1.0)


def test_costs_with_a_maximum_have_a_field_in_every_world():
    x, y = sp.symbols("x y", real=True)
    game = zero_sum(sp.Max(x, 0) ** 2 * y + sp.Max(x, y), "x", "y")
    for z, expected in (([2.0, 0.5], [3.0, -4.0]), ([-1.0, 0.5], [0.0, -1.0])):
        np.testing.assert_allclose(game.field("array")(np.array(z)), expected)
        np.testing.assert_allclose(game.field("neural")(torch.tensor(z, dtype=torch.float64)).detach(), expected)
        step = StepMap(Simultaneous(0.1), game)
        np.testing.assert_allclose(step(step.start(z)), np.array(z) - 0.1 * np.array(expected))


def test_binding_a_symbol_is_refused():
    with pytest.raises(ValueError, match="numbers"):
        zero_sum("a*x*y", "x", "y").bind(a=sp.Symbol("k"))
