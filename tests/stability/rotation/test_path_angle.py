"""The path-angle of Berard et al. against closed forms, in the array and the neural world."""

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.rotation.path_angle import path_angle

ALPHAS = np.linspace(0.5, 1.5, 11)
BESIDE = ([3.0, 0.0], [0.0, 0.15])  # the end is 0.15 beside the equilibrium


def linear(a: float, b: float):
    """J = aI + bS, S a quarter turn."""
    return gd.field_game([f"{a}*x + {b}*y", f"-{b}*x + {a}*y"], players=[["x"], ["y"]])


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (1.0, 0.0), (0.1, 1.0), (3.0, 4.0)])
def test_on_a_line_into_the_zero_the_cosine_is_constant_and_switches_sign_at_one(a, b):
    found = path_angle(linear(a, b), [3.0, -1.0], [0.0, 0.0], [0.2, 0.8, 1.2, 1.8])
    c = a / np.hypot(a, b)
    np.testing.assert_allclose(found.cosine, [c, c, -c, -c], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.sign_switches, [1.0], rtol=0, atol=1e-14)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 2 * np.pi), st.floats(0.05, 0.95))
def test_m47_the_cosine_into_an_exact_zero_depends_on_the_eigenvalue_alone(a, b, direction, alpha):
    a, b = round(a, 6), round(b, 6)
    assume(np.hypot(a, b) > 1e-3)
    start = [2 * np.cos(direction), 2 * np.sin(direction)]
    found = path_angle(linear(a, b), start, [0.0, 0.0], [alpha, 2 - alpha])
    c = a / np.hypot(a, b)
    np.testing.assert_allclose(found.cosine, [c, -c], rtol=0, atol=1e-12)
    assert len(found.sign_switches) == (c > 1e-9) or abs(c) <= 1e-9  # pure rotation: cosine 0, no switch to speak of


def test_m47_one_and_two_give_the_known_cosine():
    assert path_angle(linear(1, 2), [1.0, 0.0], [0.0, 0.0], [0.5]).cosine[0] == pytest.approx(0.447214, abs=5e-7)


def test_pure_rotation_into_the_zero_is_orthogonal_to_the_path():
    found = path_angle(gd.games.bilinear(1), [3.0, 1.0], [0.0, 0.0], [0.0, 0.5, 0.9, 1.5])
    np.testing.assert_allclose(found.cosine, 0.0, rtol=0, atol=1e-15)


def test_m47_a_bump_needs_an_end_that_is_not_exactly_the_equilibrium():
    exact = path_angle(linear(0, 1), [3.0, 0.0], [0.0, 0.0], ALPHAS)
    known = np.isfinite(exact.cosine)  # all but the zero itself
    np.testing.assert_allclose(exact.cosine[known], 0, rtol=0, atol=1e-15)
    for beside in (0.15, 0.015, 0.0015):  # however near: the bump gets narrower, not lower
        alphas = np.linspace(1 - 2 * beside, 1 + 2 * beside, 401)
        bump = path_angle(linear(0, 1), [3.0, 0.0], [0.0, beside], alphas).cosine
        assert bump.max() > 0.99
        assert np.all(np.diff(bump[:150]) > 0)
        assert np.all(np.diff(bump[250:]) < 0)


@pytest.mark.parametrize(
    ("a", "b", "known"),
    [
        (0, 1, [0.10, 0.12, 0.17, 0.24, 0.46, 1.00, 0.44, 0.24, 0.16, 0.12, 0.10]),
        (0.1, 1, [0.20, None, 0.26, None, 0.54, 0.99, 0.35, None, 0.06, None, 0.00]),
        (1, 0, [1.00, None, None, None, None, -0.05, None, None, None, None, -1.00]),
    ],
    ids=["rotation", "both", "attraction"],
)
def test_archetypes_at_an_end_beside_the_equilibrium(a, b, known):
    cosine = path_angle(linear(a, b), *BESIDE, ALPHAS).cosine
    for measured, value in zip(cosine, known, strict=True):
        assert value is None or abs(measured - value) <= 0.005  # two printed digits


def test_rotation_peaks_at_the_foot_of_the_perpendicular_with_cosine_one():
    foot = 9 / 9.0225
    assert path_angle(linear(0, 1), *BESIDE, [foot]).cosine[0] == pytest.approx(1.0, abs=1e-14)


def test_reversing_a_rotation_turns_the_bump_over():
    there, back = (path_angle(linear(0, b), *BESIDE, ALPHAS).cosine for b in (1, -1))
    np.testing.assert_allclose(there, -back, rtol=0, atol=1e-15)


def test_a_repelling_game_has_no_switch_from_plus_to_minus():
    assert path_angle(linear(-1, 0), [3.0, 0.0], [0.0, 0.0], ALPHAS).sign_switches.size == 0


def test_norm_is_that_of_the_field_and_the_angle_at_a_zero_is_unknown():
    found = path_angle(linear(3, 4), [2.0, 0.0], [0.0, 0.0], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(found.norm, [10.0, 5.0, 0.0], rtol=0, atol=1e-14)
    assert np.isnan(found.cosine[2])
    assert not np.isnan(found.cosine[:2]).any()


def test_worlds_agree():
    game = gd.zero_sum("x**2/2 + 3*x*y + sin(x*y) - y**2/3", min="x", max="y")
    array = path_angle(game, [1.0, -2.0], [0.1, 0.2], ALPHAS)
    start, end = (torch.tensor(z, dtype=torch.float64) for z in ([1.0, -2.0], [0.1, 0.2]))
    neural = path_angle(game, start, end, ALPHAS)
    field = path_angle(game.field("neural"), start, end, ALPHAS)
    for other in (neural, field):
        np.testing.assert_allclose(other.cosine, array.cosine, rtol=0, atol=1e-13)
        np.testing.assert_allclose(other.norm, array.norm, rtol=1e-13)


def test_callable_games_and_transformed_games_have_a_path_angle():
    torch_game = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    np.testing.assert_allclose(
        path_angle(torch_game, *BESIDE, ALPHAS).cosine, path_angle(linear(0, 1), *BESIDE, ALPHAS).cosine, atol=1e-14
    )
    damped = gd.consensus(0.1)(gd.games.bilinear(1))  # v + γJᵀv = (0.1 I + S) z
    np.testing.assert_allclose(
        path_angle(damped, *BESIDE, ALPHAS).cosine, path_angle(linear(0.1, 1), *BESIDE, ALPHAS).cosine, atol=1e-14
    )


def test_parameters_and_exact_points():
    game = gd.zero_sum("a*x**2/2 + 2*x*y - a*y**2/2", min="x", max="y")
    found = path_angle(game, sp.Matrix([3, 0]), [sp.Integer(0), 0], [0.5], params={"a": 1})
    assert found.cosine[0] == pytest.approx(1 / np.sqrt(5), abs=1e-14)


def test_states_that_require_gradients_are_left_alone():
    start = torch.tensor([3.0, 0.0], dtype=torch.float64, requires_grad=True)
    found = path_angle(gd.games.bilinear(1), start, torch.tensor([0.0, 0.15], dtype=torch.float64), ALPHAS)
    assert found.cosine.max() > 0.99
    assert start.grad is None


def test_repr_names_the_extremes_and_the_switch():
    assert repr(path_angle(linear(1, 0), [3.0, 0.0], [0.0, 0.0], [0.5, 1.5])) == (
        "PathAngle(2 points): cosine 1 at α = 0.5, -1 at α = 1.5; from + to - 1"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0, 0.0], [1.0, 0.0]), "two different finite points"),
        (([1.0, 0.0], [np.nan, 0.0]), "two different finite points"),
        (([1.0, 0.0], [1.0]), "two states of one game"),
        (([1.0], [2.0]), "d = 2"),
        (([1.0, 0.0], [0.0, 0.0], [[0.1]]), "one array"),
        (([1.0, 0.0], [0.0, 0.0], []), "n > 0"),
        (([1.0, 0.0], [0.0, 0.0], [np.inf]), "finite numbers"),
        ((np.ones((2, 2)), np.zeros((2, 2))), "two points"),
    ],
)
def test_what_is_no_path_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        path_angle(gd.games.bilinear(1), *arguments)
