"""Fields that jump or have poles: no constant is claimed, no witness lies where the game is not real."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.games.exact import column
from gamedyn.games.functions import compile_numpy
from gamedyn.stability.constants.constants import constants
from gamedyn.stability.constants.continuity import jump_text, jumps, unbounded
from gamedyn.stability.constants.field_formula import field_formula
from gamedyn.stability.constants.field_properties import is_hamiltonian, is_monotone, is_potential

X, Y = sp.symbols("x y", real=True)


def zero_sum(f):
    return gd.zero_sum(f, min="x", max="y")


def found(v, low=-np.inf, high=np.inf):
    f = field_formula(gd.field_game(v, players=["x", "y"]))
    return [jump_text(f, j) for j in jumps(f, np.full(2, low), np.full(2, high))]


@pytest.mark.parametrize(
    ("v", "where"),
    [
        (sp.sign(X), "v jumps where x = 0"),
        (sp.sign(X - 2 * Y) * Y, "v jumps where x = 2*y"),
        (sp.Heaviside(Y - 1), "v jumps where y = 1"),
        (sp.Piecewise((X, X > 1), (X**2 + 1, True)), "v jumps where x = 1"),
        (sp.Abs(X) / X, "v jumps where x = 0"),
        (sp.sign(X) * sp.Piecewise((5, X > 0), (0, True)), "v jumps where x = 0"),
        (sp.sign(X**2 + Y**2 - 1), "v may jump where x**2 + y**2 - 1 = 0"),
        (sp.floor(X), "v may jump where sin(pi*x) = 0"),
    ],
)
def test_jumps_are_found(v, where):
    assert where in found([v + Y, Y - X])


@pytest.mark.parametrize(
    "v",
    [
        sp.Abs(X),
        X**2 * sp.sign(X),
        sp.sqrt(sp.Abs(X)) * sp.sign(X),
        sp.Piecewise((X**2, X > 1), (2 * X - 1, True)),
        sp.Max(X, Y) + sp.Min(X, 0),
        (X**2 + Y**2 - 1) * sp.sign(X**2 + Y**2 - 1),
    ],
)
def test_kinks_are_no_jumps(v):
    assert not found([v + Y, Y - X])


def test_a_box_on_one_side_excludes_the_jump():
    assert not found([sp.sign(X), Y], 0.5, 1)
    game = zero_sum("-abs(x) - y**2")
    assert constants(game, {"x": (1, 2), "y": (-1, 1)}).mu.value == 0
    assert is_monotone(game, {"x": (1, 2), "y": (-1, 1)}).answer is True


@pytest.mark.parametrize("cost", ["-abs(x) - y**2", "x*y - abs(x) - y**2", "-abs(x + y) - y**2"])
def test_a_jump_down_is_refuted_by_a_pair_across(cost):
    game = zero_sum(cost)
    answer = is_monotone(game, (-1, 1))
    assert answer.answer is False
    F, (x, y) = game.field("exact"), answer.witness
    assert (F(column(x)) - F(column(y))).dot(column(x) - column(y)) < 0
    assert all(-1 <= e <= 1 for p in (x, y) for e in p)


def test_a_jump_up_leaves_monotonicity_undecided_and_says_why():
    answer = is_monotone(zero_sum("abs(x) + x*y"))
    assert answer.answer is None
    assert "v jumps where x = 0" in answer.evidence


def test_a_jump_leaves_hamiltonian_and_potential_undecided():
    game = gd.Game(["abs(x) + x*y", "-x*y"], players=["x", "y"])
    assert is_hamiltonian(game).answer is None
    assert "v jumps where x = 0" in is_hamiltonian(game).evidence
    assert is_potential(gd.Game(["abs(x)", "y**2"], players=["x", "y"])).answer is None
    assert is_potential(gd.Game(["x*abs(x)", "y**2"], players=["x", "y"])).answer is True


def test_constants_refuse_a_jump_in_the_box_or_at_the_point():
    for cost in ("-abs(x) - y**2", "abs(x) + x*y"):
        with pytest.raises(ValueError, match="v jumps where x = 0"):
            constants(zero_sum(cost), (-1, 1))
        with pytest.raises(ValueError, match="no linearization at z"):
            constants(zero_sum(cost), z=[0, 1])
    assert constants(zero_sum("-abs(x) - y**2"), z=[1, 1]).mu.value == 0


@pytest.mark.parametrize("slope", [1, -1])
def test_a_kink_that_no_sample_meets_is_covered_by_the_bounds(slope):
    """J₁₁ = 2 -+ sign(x - 0.99999) is 1 or 3 on a 200000th of the box."""
    v = [2 * X - slope * sp.Abs(X - slope * sp.Rational(99999, 100000)) + Y, 3 * Y - X]
    c = constants(gd.field_game(v, players=["x", "y"]), (-1, 1))
    assert c.mu.low <= 1 <= c.mu.high
    assert c.mu.gap < 1e-3
    assert c.L.high >= np.linalg.norm([[3, 1], [-1, 3]], 2) - 1e-12
    assert c.L.gap < 1e-3


def test_bounds_of_a_kinked_game_contain_what_pairs_show():
    game = gd.field_game([X * sp.Abs(X) + Y, Y + sp.Abs(X - Y) - X], players=["x", "y"])
    c = constants(game, (-1, 1), boxes=512)
    f = field_formula(game)
    v = compile_numpy([f.z], [], list(f.v))
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 2, 4000))
    dv, dz = v(a, []) - v(b, []), a - b
    inner, square = (dv * dz).sum(axis=0), (dz**2).sum(axis=0)
    assert (inner >= c.mu.low * square - 1e-12).all()
    assert ((dv**2).sum(axis=0) <= c.L.high**2 * square + 1e-12).all()


# poles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "box", "near"),
    [
        ("1/x + x*y", (-1, 1), "x = 0;"),
        ("log(x) + x*y", (0, 1), "x = 0;"),
        ("sqrt(x) + x*y", (0, 1), "x = 0;"),
        ("tan(x) + x*y - y**2", (-2, 2), r"x = -?1\.57"),
        ("abs(x)**(3/2) - y**2", (-1, 1), "x = 0;"),
        ("1/(x - y) + x*y", (-1, 1), "x = "),
    ],
)
def test_an_unbounded_jacobian_is_refused_with_the_place(cost, box, near):
    with pytest.raises(ValueError, match=rf"J of 'game' is unbounded, or not defined, on part of the box, near {near}"):
        constants(zero_sum(cost), box)
    assert is_monotone(zero_sum(cost), box).answer is not True


def test_a_cost_that_is_not_real_is_refused():
    with pytest.raises(ValueError, match="a cost of 'game' is unbounded, or not defined"):
        constants(zero_sum("log(x) + x*y"), (-3, -1))
    with pytest.raises(ValueError, match="not defined, at z"):
        constants(zero_sum("1/x + x*y"), z=[0, 0])


def test_a_denominator_without_zeros_is_no_pole():
    assert unbounded([1 / (X**2 - X + 1)], [X, Y], np.full(2, -1.0), np.full(2, 2.0)) is None
    c = constants(zero_sum("1/(x**2 - x + 1) + x*y"), (-2, 2))
    assert c.mu.high == pytest.approx(-32 / 9, rel=1e-3)


def test_witnesses_lie_where_the_costs_are_real():
    answer = is_monotone(zero_sum("log(x) + x - y**2"))
    assert answer.answer is False
    assert all(p[0] > 0 for p in answer.witness)
    assert is_hamiltonian(zero_sum("log(x - 2) + x*y")).witness[2][0] > 2


def test_a_parameter_that_v_does_not_have_is_no_hindrance():
    assert is_monotone(zero_sum("a + x**3 - y**2"), (-1, 1)).answer is False
    assert constants(zero_sum("a + x**3 - y**2"), (-1, 1)).mu.value == -6


# small boxes, boxes without names, infinite constants ----------------------------------------------------


def test_a_sliver_of_negative_curvature_decides():
    answer = is_monotone(zero_sum("x**3/3 - y**2 + x*y"), (-1e-9, 1))
    assert answer.answer is False
    x, y = answer.witness
    assert all(e >= sp.Rational(-1, 10**9) for e in (*x, *y))


@pytest.mark.parametrize("cost", ["3", "x + y"])
def test_a_constant_field_has_infinite_constants_with_their_sign(cost):
    c = constants(zero_sum(cost))
    assert repr(c.cocoercive) == repr(c.comonotone) == "inf exact"
    assert constants(sp.Matrix([[0, 1], [0, 1]])).comonotone.text == "-inf exact"


def test_a_box_may_be_a_sequence_of_pairs():
    game = gd.games.forsaken()
    pairs, named = (constants(game, b, boxes=64) for b in ([(-1, 1), (0, 2)], {"x": (-1, 1), "y": (0, 2)}))
    assert pairs.where == named.where == "on the box [-1, 1] x [0, 2]"
    assert pairs.mu.low == named.mu.low
    with pytest.raises(ValueError, match="2 of them in the order"):
        constants(game, [(-1, 1), (0, 2), (1, 2)])
    with pytest.raises(ValueError, match="low < high"):
        constants(game, (1, 2, 3))
