"""The flow ż = -v against closed-form solutions, forward and backward in time."""

import numpy as np
import pytest
import sympy as sp
import torch

import gamedyn as gd
from gamedyn.dynamics.flow import flow

BILINEAR = gd.games.bilinear(1)


def test_the_bilinear_game_rotates_exactly():
    found = flow(BILINEAR, [1.0, 0.0], 20.0)
    exact = np.stack([np.cos(found.t), np.sin(found.t)], axis=1)  # ẋ = -y, ẏ = x
    np.testing.assert_allclose(found.z, exact, rtol=0, atol=1e-8)
    assert found.t[0] == 0.0
    assert found.t[-1] == 20.0
    assert found.status == "reached"


def test_backward_in_time_is_the_way_back():
    game = gd.zero_sum("x**2/2 + 3*x*y + x**4/7 - y**2/2", min="x", max="y")
    there = flow(game, [1.0, -0.5], 2.0)
    back = flow(game, there.z[-1], there.t[::-1])
    np.testing.assert_allclose(back.z[::-1], there.z, rtol=0, atol=1e-6)
    assert flow(BILINEAR, [1.0, 0.0], -1.0).t[-1] == -1.0


def test_a_linear_game_decays_like_its_matrix_exponential():
    game = gd.zero_sum("x**2 + 4*x*y - y**2", min="x", max="y")  # J = 2I + 4S
    found = flow(game, [1.0, 0.0], [0.0, 0.3, 1.7])
    exact = np.exp(-2 * found.t)[:, None] * np.stack([np.cos(4 * found.t), np.sin(4 * found.t)], axis=1)
    np.testing.assert_allclose(found.z, exact, rtol=0, atol=1e-9)


def test_a_batch_is_its_orbits_one_by_one():
    starts = np.array([[1.0, 0.2, -3.0], [0.0, 0.5, 2.0]])
    batch = flow(BILINEAR, starts, [0.0, 1.0, 5.0])
    assert batch.z.shape == (3, 2, 3)
    assert batch.status.shape == (3,)
    for k in range(3):
        np.testing.assert_array_equal(batch.z[:, :, k], flow(BILINEAR, starts[:, k], [0.0, 1.0, 5.0]).z)


def test_a_blow_up_in_finite_time_is_a_status_and_leaves_the_others_alone():
    game = gd.Game(["-x**4/4", "y**2/2"], players=[["x"], ["y"]])  # ẋ = x³ from 1 is infinite at t = 1/2
    found = flow(game, [[1.0, 0.0], [1.0, 1.0]], [0.0, 0.25, 1.0])
    assert list(found.status) == ["diverged", "reached"]
    assert found.z[1, 0, 0] == pytest.approx(1 / np.sqrt(0.5), abs=1e-8)
    assert np.isnan(found.z[2, :, 0]).all()
    np.testing.assert_allclose(found.z[:, 1, 1], np.exp(-found.t), atol=1e-9)


def test_exponential_escape_and_hopeless_starts_diverge():
    game = gd.zero_sum("-x**2/2 + x*y + y**2/2", min="x", max="y")
    assert flow(game, [1.0, 1.0], 100.0).status == "diverged"
    steep = gd.Game(["-x**4/4", "y**2/2"], players=[["x"], ["y"]])
    lost = flow(steep, [1e200, 1.0], 1.0)
    assert lost.status == "diverged"
    np.testing.assert_array_equal(lost.z[0], [1e200, 1.0])
    assert np.isnan(lost.z[1:]).all()


def test_worlds_agree():
    game = gd.zero_sum("x**2/2 + 3*x*y + sin(x*y) - y**2/3", min="x", max="y")
    array = flow(game, [1.0, -0.5], [0.0, 0.4, 1.0])
    neural = flow(game, torch.tensor([1.0, -0.5], dtype=torch.float64), [0.0, 0.4, 1.0])
    np.testing.assert_allclose(neural.z, array.z, rtol=0, atol=1e-11)


def test_callable_and_transformed_games_and_parameters():
    torch_game = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    np.testing.assert_allclose(flow(torch_game, [1.0, 0.0], [0.0, np.pi]).z[-1], [-1.0, 0.0], atol=1e-8)
    fast = gd.two_timescale(4)(BILINEAR)  # ẋ = -y, ẏ = 4x
    np.testing.assert_allclose(flow(fast, [1.0, 0.0], [0.0, np.pi]).z[-1], [1.0, 0.0], atol=1e-8)
    scaled = gd.zero_sum("a*x*y", min="x", max="y")
    np.testing.assert_allclose(flow(scaled, [1.0, 0.0], [0.0, np.pi], params={"a": 2}).z[-1], [1.0, 0.0], atol=1e-8)


def test_small_steps_of_every_method_follow_the_flow():
    game = gd.zero_sum("x**2/2 + 3*x*y - y**2/2", min="x", max="y")
    exact = flow(game, [1.0, 1.0], [0.0, 1.0]).z[-1]
    errors = []
    for steps in (100, 200):
        map_ = gd.StepMap(gd.Simultaneous(lr=1 / steps), game)
        errors.append(np.linalg.norm(gd.simulate(map_, [1.0, 1.0], steps).z[-1] - exact))
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)  # Euler is of first order


def test_a_stiff_method_gives_the_same():
    game = gd.zero_sum("500*x**2 + x*y - y**2/2", min="x", max="y")
    one, other = (flow(game, [1.0, 1.0], [0.0, 1.0], method=m).z[-1] for m in ("DOP853", "LSODA"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("t", [0.0, [0.0], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_what_gives_no_times_is_refused(t):
    with pytest.raises(ValueError, match="strict order"):
        flow(BILINEAR, [1.0, 0.0], t)


def test_boxes_and_exact_points_are_refused():
    with pytest.raises(ValueError, match="is constrained"):
        flow(BILINEAR.constrained({"x": (-1, 1)}), [1.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="float starting point"):
        flow(BILINEAR, [sp.Integer(1), sp.Integer(0)], 1.0)


def test_a_flow_starts_at_numbers():
    with pytest.raises(ValueError, match="not finite"):
        gd.flow(gd.games.bilinear(1), [float("nan"), 0], 1.0)
