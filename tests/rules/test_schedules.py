"""Schedules: around wrappers, inside wrappers, and in rules of one's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import gamedyn as gd

GAME = gd.zero_sum("x*y + x**2/5 - y**4/7", "x", "y")
STEPS = (0.1, 0.2, 0.05)


def by_hand(z, steps):
    """Alternating descent with the steps of each round, in NumPy."""
    z = np.array(z, dtype=float)
    for lr in steps:
        z[0] -= lr * gd.field(GAME, z)[0]
        z[1] -= lr * gd.field(GAME, z)[1]
    return z


@dataclass(frozen=True)
class Decaying:
    """Gradient descent whose step falls like 1/(k + 1), as a user would write it."""

    lr: float

    def at(self, k):
        return replace(self, lr=self.lr / (k + 1))

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        return F.point(z - self.lr * F(z)), memory


METHODS = {
    "around": gd.scheduled(gd.Alternating(0.0), "lr", STEPS),
    "inside": gd.alternating(gd.scheduled(gd.Simultaneous(0.0), "lr", STEPS)),
    "function": gd.scheduled(gd.Alternating(0.0), "lr", lambda k: STEPS[k % 3]),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("world", ["numpy", "numba", "torch"])
def test_a_schedule_may_stand_around_or_inside_a_wrapper(name, world):
    T = gd.StepMap(METHODS[name], GAME)
    if world == "torch":
        orbit = gd.simulate(T, torch.tensor([0.5, 0.2], dtype=torch.float64), 6)
    else:
        orbit = gd.simulate(T, [0.5, 0.2], 6, every=6, backend=world)
    np.testing.assert_allclose(orbit.z[-1], by_hand([0.5, 0.2], STEPS * 2), atol=1e-13)


@pytest.mark.parametrize("name", ["around", "inside"])
def test_a_periodic_schedule_in_a_wrapper_has_the_radius_of_its_period(name):
    T = gd.StepMap(METHODS[name], gd.games.bilinear(1))
    product = np.eye(2)
    for lr in STEPS:
        product = np.array([[1, 0], [lr, 1]]) @ np.array([[1, -lr], [0, 1]]) @ product
    assert gd.spectral_radius(T, [0, 0]) == pytest.approx(np.max(np.abs(np.linalg.eigvals(product))), abs=1e-12)


def test_a_rule_of_ones_own_may_have_a_schedule():
    T = gd.StepMap(Decaying(0.3), GAME)
    z = np.array([0.5, 0.2])
    for k in range(5):
        z = z - 0.3 / (k + 1) * gd.field(GAME, z)
    np.testing.assert_allclose(gd.simulate(T, [0.5, 0.2], 5).z[-1], z, atol=1e-14)
    np.testing.assert_allclose(gd.simulate(T, torch.tensor([0.5, 0.2], dtype=torch.float64), 5).z[-1], z, atol=1e-14)
    with pytest.raises(gd.NotInThisWorld, match="aperiodic"):
        gd.spectral_radius(T, [0, 0])


def test_two_schedules_nest():
    both = gd.scheduled(gd.scheduled(gd.HeavyBall(0.0, 0.0), "lr", (0.1, 0.2)), "momentum", (0.3, 0.0, 0.1))
    assert both.at(1) == gd.HeavyBall(0.2, 0.0)
    assert both.period == 6


def test_a_schedule_of_an_unknown_coefficient_is_named():
    with pytest.raises(ValueError, match="no coefficient 'momentum'"):
        gd.simulate(gd.StepMap(gd.scheduled(gd.Simultaneous(0.1), "momentum", (0.1,)), GAME), [1.0, 1.0], 2)


def test_an_empty_order_is_refused():
    with pytest.raises(ValueError, match="order"):
        gd.simulate(gd.StepMap(gd.Alternating(0.1, order=()), GAME), [1.0, 1.0], 1)
