"""Published claims on stochastic bilinear games: f = (1/n) Σ xᵢyᵢ, one pair at a time (M19).

Chavdarova et al. (2019, arXiv:1904.08598) state that stochastic extragradient diverges there and SVRE does not;
the closed forms of the growth below are the project's own.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd


def pairs(n):
    """f = Σ aᵢ xᵢ yᵢ and the n samples a = e₁, …, eₙ."""
    x, y = [f"x{k}" for k in range(n)], [f"y{k}" for k in range(n)]
    game = gd.zero_sum(" + ".join(f"a{k}*x{k}*y{k}" for k in range(n)), min=x, max=y, name="pairs")
    return game, {f"a{k}": np.eye(n)[k] for k in range(n)}


def step_map(rule, n, sampling, seed=0):
    game, samples = pairs(n)
    return gd.StepMap(rule, game, oracle=gd.FiniteSum(game, samples, seed=seed, sampling=sampling))


def independent_samples(n, eta):
    """E‖z⁺‖²/‖z‖² of stochastic extragradient with independent samples."""
    return 1 + (eta**2 - (2 * eta**2 - eta**4) / n) / n


def one_sample(n, eta):
    """The same with one sample for both evaluations: a pair is drawn with probability 1/n and contracts."""
    return 1 - (eta**2 - eta**4) / n


FACTORS = {"independent": independent_samples, "same": one_sample}


def test_m19_the_catalogued_number_for_three_pairs():
    assert gd.mean_square_radius(step_map(gd.Extragradient(0.2), 3, "independent"), [0] * 6) == pytest.approx(
        1.004622, abs=5e-7
    )


@pytest.mark.parametrize("sampling", FACTORS)
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("eta", [0.05, 0.2, 0.7])
def test_m19_the_mean_square_operator_gives_the_closed_forms(n, eta, sampling):
    found = gd.mean_square_radius(step_map(gd.Extragradient(eta), n, sampling), [0] * (2 * n))
    assert found == pytest.approx(FACTORS[sampling](n, eta), abs=1e-12)


@given(st.integers(2, 4), st.floats(1e-2, 0.99))
def test_m19_independent_samples_expand_where_one_sample_contracts(n, eta):
    z = [0] * (2 * n)
    independent = gd.mean_square_radius(step_map(gd.Extragradient(eta), n, "independent"), z)
    assert independent == pytest.approx(independent_samples(n, eta), abs=1e-12)
    assert independent > 1 > gd.mean_square_radius(step_map(gd.Extragradient(eta), n, "same"), z)


def test_m19_a_single_pair_is_outside_the_claim():
    for sampling in FACTORS:
        found = gd.mean_square_radius(step_map(gd.Extragradient(0.2), 1, sampling), [0, 0])
        assert found == pytest.approx(1 - 0.2**2 + 0.2**4, abs=1e-12)


@pytest.mark.parametrize("sampling", FACTORS)
def test_m19_monte_carlo_agrees_within_four_standard_errors(sampling):
    n, eta, orbits = 3, 0.2, 200_000
    T = step_map(gd.Extragradient(eta), n, sampling, seed=6)
    z = np.random.default_rng(1).normal(size=2 * n)
    image = T(np.repeat(z[:, None], orbits, axis=1), 0)
    ratio = np.sum(image**2, axis=0) / (z @ z)
    error = ratio.std() / np.sqrt(orbits)
    assert abs(ratio.mean() - FACTORS[sampling](n, eta)) < 4 * error
    assert 4 * error < 0.1 * abs(FACTORS[sampling](n, eta) - 1)


@pytest.mark.parametrize("seed", range(6))
def test_m19_svre_converges_where_extragradient_with_independent_samples_diverges(seed):
    n, eta = 3, 0.5
    z0 = np.random.default_rng(seed).normal(size=(2 * n, 16))
    plain = step_map(gd.Extragradient(eta), n, "independent", seed)
    reduced = step_map(gd.variance_reduced(gd.Extragradient(eta), n), n, "independent", seed)
    size = np.linalg.norm(z0, axis=0)
    grown = np.linalg.norm(gd.simulate(plain, z0, 800, every=800).z[-1], axis=0) / size
    shrunk = np.linalg.norm(gd.simulate(reduced, z0, 1500, every=1500).z[-1], axis=0) / size
    assert grown.min() > 10
    assert shrunk.max() < 1e-3


@pytest.mark.parametrize("eta", [0.2, 0.5])
def test_m19_svre_with_one_epoch_between_snapshots_is_stable_in_mean_square(eta):
    n = 3
    reduced = step_map(gd.variance_reduced(gd.Extragradient(eta), n), n, "independent")
    assert gd.mean_square_radius(reduced, [0] * (2 * n)) < 1 < independent_samples(n, eta)


def test_svre_loses_mean_square_stability_when_snapshots_grow_old():
    # a finding, not a published number: independent samples, eta = 0.2, three pairs
    radius = {
        every: gd.mean_square_radius(
            step_map(gd.variance_reduced(gd.Extragradient(0.2), every), 3, "independent"), [0] * 6
        )
        for every in (3, 12, 30)
    }
    assert radius[3] == pytest.approx(0.98734, abs=1e-5)
    assert radius[12] == pytest.approx(0.97328, abs=1e-5)
    assert radius[30] == pytest.approx(1.18165, abs=1e-5)
