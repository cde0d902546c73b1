"""Differential Stackelberg points: against the leader's reduced cost, differentiated directly."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.symbolic import Game, field_game, zero_sum
from gamedyn.stability.equilibria.classify import classify, is_local_minimax
from gamedyn.stability.equilibria.equilibria import equilibria
from gamedyn.stability.equilibria.stackelberg import is_differential_stackelberg

x, y = sp.symbols("x y", real=True)
small = st.integers(-3, 3)


def test_the_quantity_leader_of_a_duopoly_is_no_zero_of_the_field():
    g = Game(["-x*(3 - x - y)", "-y*(3 - x - y)"], players=["x", "y"])
    led, mirrored = [sp.Rational(3, 2), sp.Rational(3, 4)], [sp.Rational(3, 4), sp.Rational(3, 2)]
    assert is_differential_stackelberg(g, led)
    assert not is_differential_stackelberg(g, led, leader=1)
    assert is_differential_stackelberg(g, mirrored, leader=1)
    assert not is_differential_stackelberg(g, [1, 1])  # the Nash point: the leader would rather move on
    assert is_differential_stackelberg(g, [1.5, 0.75])


@given(small, small, small, small, small, small)
def test_the_second_derivative_is_that_of_the_reduced_cost(a, b, c, d, e, f):
    """c₁ arbitrary, c₂ = (y - r(x))² with r(x) = d x + e x²: the reduced cost is c₁(x, r(x))."""
    r = d * x + e * x**2
    leading = a * x**2 + b * x * y + c * y**2 + f * y - (f * d) * x  # stationary at 0 along y = r(x)
    g = Game([leading, sp.expand((y - r) ** 2) + x**3], players=["x", "y"])
    reduced = sp.expand(leading.subs(y, r))
    assert sp.diff(reduced, x).subs(x, 0) == 0
    assert is_differential_stackelberg(g, [0, 0]) == (sp.diff(reduced, x, 2).subs(x, 0) > 0)
    assert is_differential_stackelberg(g, [0.0, 0.0]) == is_differential_stackelberg(g, [0, 0])


@given(small, small, small)
def test_in_a_zero_sum_game_it_is_a_local_minimax_point(a, b, c):
    g = zero_sum(a * x**2 + b * x * y - c * y**2, min="x", max="y")
    assert is_differential_stackelberg(g, [0, 0]) == is_local_minimax(g, [0, 0])


def test_blocks_of_variables():
    g = Game(
        ["x1**2 + x2**2 - 3*x1*y1 + y1**2 + y2**2", "(y1 - x1)**2 + (y2 - x2)**2"], players=[["x1", "x2"], ["y1", "y2"]]
    )
    assert not is_differential_stackelberg(g, [0] * 4)  # along y = x the leader pays -x₁² + 2x₂²
    h = Game(
        ["x1**2 + x2**2 - x1*y1 + y1**2 + y2**2", "(y1 - x1)**2 + (y2 - x2)**2"], players=[["x1", "x2"], ["y1", "y2"]]
    )
    assert is_differential_stackelberg(h, [0] * 4)


def test_the_class_is_named_in_general_sum_games_and_listed_in_zero_sum_ones():
    g = Game(["-x**2 + 3*y**2", "(y - x)**2"], players=["x", "y"])
    (e,) = equilibria(g)
    assert e.kind == "differential Stackelberg"
    assert e.classes == ("differential Stackelberg", "unstable")
    assert "along the answers 4 > 0" in e.evidence
    (m,) = equilibria(zero_sum("-x**2 + 5*x*y - y**2", min="x", max="y"))
    assert m.kind == "local minimax"
    assert "differential Stackelberg" in m.classes


def test_a_zero_of_the_field_need_not_be_one_although_the_second_derivatives_look_so():
    g = Game(["x**2 + y", "(y - x)**2"], players=["x", "y"])  # along y = x the leader pays x² + x: not stationary at 0
    assert not is_differential_stackelberg(g, [0, 0])
    assert classify(g, [0, 0]).kind == "strict local Nash"
    (e,) = equilibria(g)
    assert "differential Stackelberg" not in e.classes


def test_bad_input():
    g = zero_sum("x*y", min="x", max="y")
    with pytest.raises(ValueError, match="leader"):
        is_differential_stackelberg(g, [0, 0], leader=2)
    with pytest.raises(ValueError, match="3 players"):
        is_differential_stackelberg(Game(["x**2", "y**2", "w**2"], players=["x", "y", "w"]), [0, 0, 0])
    with pytest.raises(NotInThisWorld, match="costs"):
        is_differential_stackelberg(field_game(["x", "y"], players=["x", "y"]), [0, 0])
    assert not is_differential_stackelberg(g, np.array([0.0, 0.0]))  # the follower has no curvature
