"""Variance reduction: the rule itself where nothing is random, an unbiased correction where something is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.rules.stochastic import CorrectedField
from gamedyn.testing import check_operations, check_rule, check_superposition, check_worlds_agree

GAME = gd.zero_sum("x*y + x**2/5 - y**4/7", "x", "y", name="curved")
AFFINE = gd.zero_sum("x*y + x**2/5 - y**2/7", "x", "y", name="affine")
SUM = gd.zero_sum("a*x*y + b*x**2/2 - y**4/9", min="x", max="y", name="sum")
SAMPLES = {"a": [0.5, 1.0, 2.0], "b": [0.2, -0.1, 0.4]}

RULES = {
    "simultaneous": gd.Simultaneous(0.1),
    "extragradient": gd.Extragradient(0.1),
    "optimistic": gd.Optimistic(0.1),
    "alternating heavy ball": gd.alternating(gd.HeavyBall(0.1, -0.3)),
    "proximal point": gd.ProximalPoint(0.1),
    "alternating proximal point": gd.alternating(gd.ProximalPoint(0.1)),
    "linearized proximal point": gd.LinearizedProximalPoint(0.1),
    "lookahead": gd.lookahead(gd.Simultaneous(0.1), 2, 0.5),
    "scheduled": gd.scheduled(gd.Simultaneous(0.1), "lr", (0.1, 0.2)),
}


@pytest.mark.parametrize("name", RULES)
def test_it_conforms_in_every_world(name):
    outcomes = check_rule(gd.variance_reduced(RULES[name], 3)).outcomes
    not_passed = {check for check, text in outcomes.items() if text != "passed"}
    assert not_passed <= {"player permutation"}


@pytest.mark.parametrize("name", ["extragradient", "alternating heavy ball", "alternating proximal point"])
def test_a_step_without_a_fresh_snapshot_conforms_too(name):
    later = gd.variance_reduced(RULES[name], 3).at(1)
    check_operations(later)
    check_superposition(later)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("world", ["array", "neural"])
def test_on_a_deterministic_field_it_is_the_rule_itself(name, world):
    z0 = np.array([0.5, -0.3]) if world == "array" else torch.tensor([0.5, -0.3], dtype=torch.float64)
    ours = gd.simulate(gd.StepMap(gd.variance_reduced(RULES[name], 3), GAME), z0, 20)
    plain = gd.simulate(gd.StepMap(RULES[name], GAME), z0, 20)
    np.testing.assert_allclose(ours.z, plain.z, rtol=0, atol=1e-11)


def test_the_compiled_kernel_agrees():
    check_worlds_agree(gd.variance_reduced(gd.Extragradient(0.1), 3), GAME, [0.5, -0.3], worlds=["numba"])


@pytest.mark.parametrize(
    ("rule", "every", "rounds"),
    [
        (gd.Extragradient(0.3), 3, 3),
        (gd.Optimistic(0.2), 2, 2),
        (gd.scheduled(gd.Simultaneous(0.1), "lr", (0.1, 0.2)), 3, 3),
    ],
)
def test_a_period_contracts_as_the_rule_does_in_as_many_steps(rule, every, rounds):
    one = gd.spectral_radius(gd.StepMap(rule, AFFINE), [0.0, 0.0])  # of a period of the rule's own schedule
    found = gd.spectral_radius(gd.StepMap(gd.variance_reduced(rule, every), AFFINE), [0.0, 0.0])
    assert found == pytest.approx(one**rounds, rel=1e-9)


def test_the_period_is_common_to_the_snapshots_and_the_rule():
    assert gd.variance_reduced(gd.Simultaneous(0.1), 4).period == 4
    assert gd.variance_reduced(gd.scheduled(gd.Simultaneous(0.1), "lr", (0.1,) * 6), 4).period == 12
    assert gd.variance_reduced(gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1), 4).period is None


def test_memory_is_the_way_to_the_snapshot_and_the_full_gradient_there():
    oracle = gd.FiniteSum(SUM, SAMPLES, seed=2, sampling="independent")
    T = gd.StepMap(gd.variance_reduced(gd.Extragradient(0.1), 4), SUM, oracle=oracle)
    z0 = np.random.default_rng(0).normal(size=(2, 5))
    points = gd.simulate(T, z0, 11).z
    state = T.start(z0)
    for k in range(11):
        state = T(state, k)
        snapshot = points[k - k % 4]
        np.testing.assert_allclose(state[:2] + state[2:4], snapshot, rtol=0, atol=1e-14)
        np.testing.assert_allclose(state[4:6], gd.field(oracle.mean_game, snapshot), rtol=0, atol=1e-14)


def test_the_corrected_field_is_unbiased_and_exact_at_the_snapshot():
    z, w = np.array([0.5, -0.3]), np.array([0.1, 0.2])
    oracle = gd.FiniteSum(SUM, SAMPLES)
    mean = oracle.draw(0, "array").expected()
    fields = [CorrectedField(oracle.sample_field("array", j), z, mean(z)) for j in range(3)]
    values = [f(w) for f in fields]
    assert np.ptp(values, axis=0).max() > 0.05
    np.testing.assert_allclose(np.mean(values, axis=0), mean(w), rtol=0, atol=1e-15)
    for f in fields:
        np.testing.assert_allclose(f(z), mean(z), rtol=0, atol=1e-15)
        np.testing.assert_allclose(f.part(0, w) + f.part(1, w), f(w), rtol=0, atol=1e-15)
        np.testing.assert_allclose(f.only(1)(w), f.part(1, w), rtol=0, atol=1e-15)


def test_both_evaluations_of_a_difference_see_one_sample():
    a = np.array([1.0, 3.0])
    game = gd.zero_sum("a*x*y", min="x", max="y")
    oracle = gd.FiniteSum(game, {"a": a}, seed=3, sampling="independent")
    T = gd.StepMap(gd.variance_reduced(gd.Extragradient(0.1), 5), game, oracle=oracle)
    J, states = np.array([[0.0, 1.0], [-1.0, 0.0]]), [T.start(np.array([1.0, 0.5]))]
    for k in range(5):
        states.append(T(states[-1], k))
        z, start = states[-2][:2], states[0][:2]
        first, second = (a[oracle.indices(k, e)[0]] for e in (0, 1))
        w = z - 0.1 * J @ (first * (z - start) + 2 * start)
        expected = z - 0.1 * J @ (second * (w - start) + 2 * start)
        np.testing.assert_allclose(states[-1][:2], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sampling", ["same", "independent"])
@pytest.mark.parametrize("name", ["extragradient", "alternating heavy ball", "optimistic"])
def test_additive_noise_cancels(name, sampling):
    oracle = gd.AdditiveNoise(GAME, 0.5, seed=1, sampling=sampling)
    noisy = gd.simulate(gd.StepMap(gd.variance_reduced(RULES[name], 3), GAME, oracle=oracle), [0.5, -0.3], 20)
    clean = gd.simulate(gd.StepMap(RULES[name], GAME), [0.5, -0.3], 20)
    np.testing.assert_allclose(noisy.z, clean.z, rtol=0, atol=1e-11)


def test_a_snapshot_costs_one_full_gradient_and_an_evaluation_two():
    wrapped = gd.variance_reduced(gd.Extragradient(0.1), 3)
    assert gd.step_cost(wrapped.at(0)).gradients == 5
    assert gd.step_cost(wrapped).gradients * 3 == 5 + 4 + 4  # over a period
    assert gd.step_cost(wrapped.at(1)).gradients == 4


def test_it_refuses_where_the_correction_has_no_meaning():
    with pytest.raises(ValueError, match=r"variance_reduced\(alternating\(rule\), every\)"):
        gd.StepMap(gd.alternating(gd.variance_reduced(gd.Simultaneous(0.1), 3)), GAME).dim  # noqa: B018
    with pytest.raises(ValueError, match="every must be an integer >= 1"):
        gd.variance_reduced(gd.Simultaneous(0.1), 0)
    T = gd.StepMap(gd.Method(gd.variance_reduced(gd.Simultaneous(0.1), 3), gd.Adam()), GAME)
    with pytest.raises(gd.NotInThisWorld, match="Adam normalises after the sample is drawn"):
        T.start([0.5, -0.3])
