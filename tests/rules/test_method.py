"""Composition, coefficients and cost of methods."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from conformance_table import GAMES, METHODS

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import ScalarField
from gamedyn.games.symbolic import Game
from gamedyn.maps.linear_step import linear_jacobian
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Extragradient, Optimistic, ProximalPoint, Simultaneous
from gamedyn.rules.method import Method, as_method, map_numbers, step_cost, with_parameter
from gamedyn.rules.preconditioners import Adam, RMSProp
from gamedyn.rules.transforms import (
    consensus,
    stop_gradient_lookahead,
    symplectic_adjustment,
    two_timescale,
    unrolled,
)
from gamedyn.rules.wrappers import Alternating, alternating, lookahead, scheduled

K = 4


@pytest.mark.parametrize(
    ("method", "gradients", "solves"),
    [
        (Simultaneous(0.1), 1, 0),
        (Extragradient(0.1), 2, 0),
        (Optimistic(0.1), 1, 0),
        (Alternating(0.1), 1, 0),
        (Alternating(0.1, steps=(1, 5)), 3, 0),
        (alternating(Extragradient(0.1)), 2, 0),
        (lookahead(Extragradient(0.1), 5, 0.5), 10, 0),
        (ProximalPoint(0.1), 0, 1),
        (Method(Simultaneous(0.1), consensus(0.1)), 3, 0),
        (Method(Simultaneous(0.1), symplectic_adjustment(0.1)), 5, 0),
        (Method(Simultaneous(0.1), unrolled(K, 0.1)), Fraction(3 * K, 2) + 1, 0),
        (Method(Simultaneous(0.1), stop_gradient_lookahead(K, 0.1)), Fraction(K, 2) + 1, 0),
    ],
)
def test_step_cost_counts_gradients_with_jacobian_products_as_two(method, gradients, solves):
    cost = step_cost(method)
    assert (cost.gradients, cost.solves) == (sp.Rational(gradients), solves)
    assert cost.explicit == (solves == 0)


def test_with_parameter_looks_through_wrappers_and_names_layers():
    method = Method(lookahead(Extragradient(0.1), 3, 0.5), unrolled(2, lr=0.2))
    assert with_parameter(method, "lr", 0.7).rule.rule.lr == 0.7
    assert with_parameter(method, "alpha", 0.9).rule.alpha == 0.9
    assert with_parameter(method, "unrolled.lr", 0.3).transforms[0].lr == 0.3
    assert with_parameter(Method(Simultaneous(0.1), two_timescale(2.0)), "tau", 5).transforms[0].tau == 5


def test_with_parameter_refuses_an_unknown_or_ambiguous_name():
    with pytest.raises(ValueError, match="names 0 coefficients"):
        with_parameter(Simultaneous(0.1), "momentum", 0.5)
    with pytest.raises(ValueError, match="names 2 coefficients"):
        with_parameter(Method(Simultaneous(0.1), unrolled(1, 0.1), stop_gradient_lookahead(1, 0.1)), "steps", 2)


@pytest.mark.parametrize("name", METHODS)
def test_map_numbers_reaches_coefficients_and_leaves_counts(name):
    seen = []
    same = map_numbers(METHODS[name], lambda v: seen.append(v) or v)
    assert as_method(same) == as_method(METHODS[name])
    assert seen
    assert not any(isinstance(v, int) for v in seen)


def test_methods_nest_and_keep_their_layers_in_order():
    inner = Method(Extragradient(0.1), Adam(), consensus(0.2))
    outer = Method(inner, unrolled(2, 0.1))
    assert outer.preconditioner == Adam()
    assert [type(t) for t in outer.transforms] == [consensus, unrolled]
    assert repr(Method(Simultaneous(0.1), consensus(0.25))) == "Simultaneous(lr=0.1) ∘ consensus(gamma=0.25)"


@pytest.mark.parametrize("layers", [(consensus(0.1), Adam()), (Adam(), RMSProp()), (3,)])
def test_a_preconditioner_stands_first_and_alone(layers):
    with pytest.raises(TypeError, match="is no transform"):
        Method(Simultaneous(0.1), *layers)


@pytest.mark.parametrize("thing", [Simultaneous, 0.1, "Extragradient", consensus(0.1)])
def test_what_is_no_rule_is_refused(thing):
    with pytest.raises(TypeError, match="is no rule"):
        as_method(thing)


def test_transforms_of_the_game_and_of_the_method_are_the_same():
    game, _ = GAMES["dirac-gan"]
    outside = StepMap(Simultaneous(0.1), consensus(0.4)(unrolled(2, 0.2)(game)))
    inside = StepMap(Method(Simultaneous(0.1), consensus(0.4), unrolled(2, 0.2)), game)
    z = np.array([0.75, -0.5])
    np.testing.assert_array_equal(outside(outside.start(z)), inside(inside.start(z)))


@pytest.mark.parametrize(
    "method",
    [
        Method(Simultaneous(0.1), two_timescale(3.0)),
        Method(Simultaneous(0.1), stop_gradient_lookahead(1, 0.1)),
        Method(Simultaneous(0.1), unrolled(1, 0.1)),
        Method(Simultaneous(0.1), consensus(0.1)),
        Method(Simultaneous(0.1), symplectic_adjustment(0.1)),
    ],
)
def test_methods_that_see_more_than_eigenvalues_have_no_stability_polynomial(method):
    with pytest.raises(NotInThisWorld):
        linear_jacobian(method, ScalarField(sp.Symbol("lambda")), exact=True)


def test_a_lone_player_has_nobody_to_unroll():
    game = Game(["x**2"], players=[["x"]])
    plain, ahead = (StepMap(m, game) for m in (Simultaneous(0.1), Method(Simultaneous(0.1), unrolled(3, 0.1))))
    assert ahead(ahead.start([1.0])) == plain(plain.start([1.0]))


def test_alternating_refuses_one_player_and_unfit_orders():
    with pytest.raises(ValueError, match="at least 2 players"):
        StepMap(Alternating(0.1), Game(["x**2"], players=[["x"]])).start([1.0])
    with pytest.raises(ValueError, match="do not fit 2 players"):
        StepMap(Alternating(0.1, order=(0, 2)), GAMES["bilinear"][0]).trace  # noqa: B018


def test_a_periodic_schedule_uses_its_values_in_turn():
    game, _ = GAMES["bilinear"]
    T = StepMap(scheduled(Simultaneous(0.1), "lr", (0.1, 0.2)), game)
    s = T.start([1.0, 0.5])
    for k in range(4):
        expected = StepMap(Simultaneous((0.1, 0.2)[k % 2]), game)(s)
        np.testing.assert_allclose(T(s, k), expected, rtol=1e-15)
        s = T(s, k)


def test_frozen_adam_is_the_diagonal_of_its_state():
    state = (np.zeros(2), np.array([0.04, 0.09]), np.array([1.0, 1.0]))
    weights = Adam(beta2=0.0, eps=1.0).frozen(state).weights
    assert weights == pytest.approx((1 / 1.2, 1 / 1.3))
