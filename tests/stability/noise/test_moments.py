"""Moments of random steps against closed forms, against single steps and against simulated batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.games.transformed import unwrap
from gamedyn.stability.noise.noise_response import Response, Sample, batches

BILINEAR = gd.games.bilinear(1)
DAMPED = gd.Game(
    ["x**2/2 + x*y - x*w/2 + w**2/8", "y**2/4 + w**2/3 - y*w/5 - x*y/2 + x*w"],
    players=[["x"], ["y", "w"]],
    name="damped",
)
ROOT = np.array([[0.3, 0.0, 0.0], [0.2, 0.2, 0.0], [-0.1, 0.1, 0.25]])
Q = ROOT @ ROOT.T  # the players' noises are correlated, so that it matters who shares a sample
SUM = gd.Game(
    ["a*x**2/2 + b*x*y + c*x", "a*y**2/2 - b*x*y + c*y/2"], players=[["x"], ["y"]], name="sum"
)  # c averages to 0, so that the mean rests at 0 and no sample does
SAMPLES = {"a": [0.5, 1.5, 1.0], "b": [2.0, 0.5, 0.5], "c": [1.0, -0.4, -0.6]}

METHODS = {
    "simultaneous": gd.Simultaneous(0.4),
    "extragradient": gd.Extragradient(0.4),
    "optimistic": gd.Optimistic(0.3),
    "past extragradient": gd.PastExtragradient(0.3),
    "alternating": gd.Alternating(0.4),
    "alternating twice": gd.Alternating(0.4, order=(1, 0), steps=(2, 1)),
    "heavy ball": gd.HeavyBall(0.3, 0.4),
    "alternating heavy ball": gd.alternating(gd.HeavyBall(0.3, -0.4)),
    "alternating extragradient": gd.alternating(gd.Extragradient(0.4)),
    "lookahead": gd.lookahead(gd.Extragradient(0.4), 2, 0.5),
    "proximal": gd.ProximalPoint(0.5),
    "linearized proximal": gd.LinearizedProximalPoint(0.5),
    "consensus": gd.Method(gd.Simultaneous(0.3), gd.consensus(0.2)),
    "two time scales": gd.Method(gd.Extragradient(0.3), gd.two_timescale(1.5)),
    "scheduled": gd.scheduled(gd.Extragradient(0.3), "lr", (0.3, 0.5)),
    "variance reduced": gd.variance_reduced(gd.Extragradient(0.3), 2),
}
SPREADING = [name for name in METHODS if name != "variance reduced"]
SAMPLINGS = ("same", "independent")


# closed forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [0.1, 0.7, 1.5])
def test_gradient_descent_on_a_parabola_has_variance_eta_over_two_minus_eta(lr):
    T = gd.StepMap(gd.Simultaneous(lr), gd.Game(["x**2/2"], players=[["x"]]))
    assert gd.stationary_covariance(T, [0], 1.0)[0, 0] == pytest.approx(lr / (2 - lr), rel=1e-13)


@pytest.mark.parametrize("lr", [0.1, 0.5, 0.8])
def test_extragradient_on_a_rotation_has_its_closed_forms(lr):
    T = gd.StepMap(gd.Extragradient(lr), BILINEAR)
    loss = 1 - ((1 - lr**2) ** 2 + lr**2)  # the step is a scaled rotation, so Σ is a multiple of I
    same, independent = lr**2 + lr**4, lr**2 + lr**4  # |-ηI + η²J|² = η² + η⁴ either way, J being a rotation
    for sampling, gain in (("same", same), ("independent", independent)):
        found = gd.stationary_covariance(T, [0, 0], 1.0, sampling=sampling)
        np.testing.assert_allclose(found, gain / loss * np.eye(2), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("lr", [0.2, 0.6])
def test_extragradient_on_a_parabola_tells_the_samplings_apart(lr):
    T = gd.StepMap(gd.Extragradient(lr), gd.Game(["x**2/2"], players=[["x"]]))
    loss = 1 - (1 - lr + lr**2) ** 2
    gains = {"same": (lr - lr**2) ** 2, "independent": lr**2 + lr**4}  # B = -η + η², or B₀ = η² and B₁ = -η
    for sampling, gain in gains.items():
        found = gd.stationary_covariance(T, [0], 1.0, sampling=sampling)[0, 0]
        assert found == pytest.approx(gain / loss, rel=1e-12)


def test_heavy_ball_has_its_closed_form_with_the_velocity():
    lr, beta = 0.3, 0.4
    T = gd.StepMap(gd.HeavyBall(lr, beta), gd.Game(["x**2/2"], players=[["x"]]))
    found = gd.stationary_covariance(T, [0], 1.0, full=True)
    # Σ = AΣAᵀ + η² [[1, 1], [1, 1]] with A = [[1-η, β], [-η, β]]; the variance of an AR(2) process
    position = lr**2 * (1 + beta) / ((1 - beta) * ((1 + beta) ** 2 - (1 + beta - lr) ** 2))
    velocity = 2 * position - 2 * position * (1 + beta - lr) / (1 + beta)
    assert found[0, 0] == pytest.approx(position, rel=1e-12)
    assert found[1, 1] == pytest.approx(velocity, rel=1e-12)


def test_a_scale_drawn_per_step_has_the_mean_square_radius_of_its_second_moment():
    a = np.array([0.2, 1.0, 3.0])
    game = gd.Game(["a*x**2/2"], players=[["x"]])
    T = gd.StepMap(gd.Simultaneous(0.5), game, oracle=gd.FiniteSum(game, {"a": a}))
    assert gd.mean_square_radius(T, [0]) == pytest.approx(np.mean((1 - 0.5 * a) ** 2), rel=1e-13)
    two = gd.StepMap(gd.Simultaneous(0.5), game, oracle=gd.FiniteSum(game, {"a": a}, batch_size=2))
    pairs = (a[:, None] + a) / 2
    assert gd.mean_square_radius(two, [0]) == pytest.approx(np.mean((1 - 0.5 * pairs) ** 2), rel=1e-13)


def test_extragradient_with_one_sample_per_step_is_biased_and_with_two_is_not():
    eta, a, c = 0.4, np.array([0.5, 1.5]), np.array([1.0, -1.0])
    game = gd.Game(["a*x**2/2 + c*x"], players=[["x"]])
    samples = {"a": a, "c": c}
    T = gd.StepMap(gd.Extragradient(eta), game, oracle=gd.FiniteSum(game, samples))
    drift = np.mean(eta**2 * a * c) / np.mean(eta * a - eta**2 * a**2)  # (1 - E A) μ = E c
    assert gd.stationary(T, [0]).mean[0] == pytest.approx(drift, rel=1e-12)
    assert abs(drift) > 0.1
    T = gd.StepMap(gd.Extragradient(eta), game, oracle=gd.FiniteSum(game, samples, sampling="independent"))
    assert gd.stationary(T, [0]).mean[0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("name", METHODS)
def test_without_noise_the_mean_square_radius_is_the_square_of_the_radius(name):
    T = gd.StepMap(METHODS[name], DAMPED)
    expected = gd.spectral_radius(T, [0.0, 0.0, 0.0]) ** 2
    assert gd.mean_square_radius(T, [0, 0, 0]) == pytest.approx(expected, rel=1e-7)
    noisy = gd.StepMap(METHODS[name], DAMPED, oracle=gd.AdditiveNoise(DAMPED, 0.1, sampling="independent"))
    assert gd.mean_square_radius(noisy, [0, 0, 0]) == pytest.approx(expected, rel=1e-7)


# single steps: the response is the step ----------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_response_to_a_drawn_sample_is_the_drawn_step(name, sampling):
    oracle = gd.FiniteSum(SUM, SAMPLES, seed=5, sampling=sampling)
    T = gd.StepMap(METHODS[name], SUM, oracle=oracle)
    samples, weights, mean = batches(oracle, np.zeros(2))
    rng = np.random.default_rng(0)
    for k in range(2):
        response = Response(T.at(k).method, (), mean.linear)
        moments = response.finite(samples, weights, mean, oracle.independent)
        count = response.evaluations() if oracle.independent else 1
        drawn = [int(oracle.indices(k, e)[0]) for e in range(count)]
        number = sum(j * 3 ** (count - 1 - e) for e, j in enumerate(drawn))
        s = rng.normal(size=T.dim)
        expected = moments.matrices[number] @ s + moments.constants[number]
        np.testing.assert_allclose(T(s, k), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_response_to_additive_noise_is_the_noisy_step(name, sampling):
    oracle = gd.AdditiveNoise(DAMPED, covariance=Q, seed=5, sampling=sampling)
    T, clean = gd.StepMap(METHODS[name], DAMPED, oracle=oracle), gd.StepMap(METHODS[name], DAMPED)
    response = Response(T.at(0).method, (), Sample.of(DAMPED.field("array"), np.zeros(3)).linear)
    s = np.random.default_rng(1).normal(size=(T.dim, 1))
    np.testing.assert_allclose(response.additive(Q, False).matrices[0] @ s, clean(s), rtol=0, atol=1e-13)
    # a covariance ξξᵀ of one known draw gives the outer product of what that draw adds to the step
    if sampling == "same":
        xi = oracle.noise(0)
        added = T(s[:, 0], 0) - clean(s[:, 0], 0)
        found = response.additive(np.outer(xi, xi), False).noise
        np.testing.assert_allclose(found, np.outer(added, added), rtol=0, atol=1e-12)
    else:
        wide = np.repeat(s, 40_000, axis=1)
        added = T(wide, 0) - clean(wide, 0)
        products = added[:, None] * added[None]
        error = 5 * products.std(axis=2) / np.sqrt(40_000) + 1e-14
        assert np.all(np.abs(products.mean(axis=2) - response.additive(Q, True).noise) < error)


# simulated batches ---------------------------------------------------------------------------------------


def simulated(T, orbits, steps, seed=0, world="array"):
    """The extended states `(D, orbits)` after many steps from states near the equilibrium."""
    z0 = 0.3 * np.random.default_rng(seed).normal(size=(T.game.dim, orbits))
    return np.asarray(gd.simulate(T, z0 if world == "array" else torch.tensor(z0), steps, every=steps).state)


def require_moments(states, mean, covariance):
    """Mean and covariance within 5 standard errors, estimated from the orbits themselves."""
    n = states.shape[1]
    offset = states - mean[:, None]
    assert np.all(np.abs(offset.mean(axis=1)) < 5 * offset.std(axis=1) / np.sqrt(n) + 1e-14)
    products = offset[:, None] * offset[None]
    error = 5 * products.std(axis=2) / np.sqrt(n) + 1e-14
    assert np.all(np.abs(products.mean(axis=2) - covariance) < error)
    assert np.all(5 * error[np.diag_indices(len(mean))] < 1.5 * np.diag(covariance) + 1e-12)  # the test has power


@pytest.mark.parametrize("name", SPREADING)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_additive_noise_spreads_as_predicted(name, sampling):
    oracle = gd.AdditiveNoise(DAMPED, covariance=Q, seed=11, sampling=sampling)
    T = gd.StepMap(METHODS[name], DAMPED, oracle=oracle)
    found = gd.stationary(T, [0, 0, 0])
    steps = int(np.ceil(np.log(1e-5) / np.log(found.radius))) * (2 if name == "scheduled" else 1)
    require_moments(simulated(T, 20_000, steps), found.full_mean, found.full_covariance)


@pytest.mark.parametrize("name", SPREADING)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_finite_sum_spreads_as_predicted(name, sampling):
    oracle = gd.FiniteSum(SUM, SAMPLES, seed=12, sampling=sampling)
    T = gd.StepMap(METHODS[name], SUM, oracle=oracle)
    found = gd.stationary(T, [0, 0])
    steps = int(np.ceil(np.log(1e-5) / np.log(found.radius))) * (2 if name == "scheduled" else 1)
    require_moments(simulated(T, 20_000, steps), found.full_mean, found.full_covariance)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_variance_reduction_leaves_no_spread(sampling):
    z, method = np.zeros((2, 200)), METHODS["variance reduced"]
    T = gd.StepMap(method, SUM, oracle=gd.FiniteSum(SUM, SAMPLES, seed=3, sampling=sampling))
    found = gd.stationary(T, [0, 0])
    assert np.max(np.abs(found.full_covariance)) < 1e-13
    assert found.radius < 0.9
    assert np.max(np.abs(gd.simulate(T, z + 1, 600, every=600).state)) < 1e-8
    assert np.trace(gd.stationary_covariance(gd.StepMap(method.rule, SUM, oracle=T.oracle), [0, 0])) > 0.05


def test_mini_batches_spread_as_predicted():
    oracle = gd.FiniteSum(SUM, SAMPLES, seed=12, batch_size=3, sampling="independent")
    T = gd.StepMap(gd.Extragradient(0.4), SUM, oracle=oracle)
    found = gd.stationary(T, [0, 0])
    require_moments(simulated(T, 20_000, 60), found.full_mean, found.full_covariance)
    single = gd.StepMap(gd.Extragradient(0.4), SUM, oracle=gd.FiniteSum(SUM, SAMPLES, sampling="independent"))
    assert np.trace(found.covariance) < 0.5 * np.trace(gd.stationary_covariance(single, [0, 0]))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_unrolled_answers_see_the_noise_as_predicted(sampling):
    oracle = gd.AdditiveNoise(DAMPED, covariance=Q, seed=11, sampling=sampling)
    T = gd.StepMap(gd.Method(gd.Simultaneous(0.4), gd.unrolled(2, lr=0.3)), DAMPED, oracle=oracle)
    found = gd.stationary(T, [0, 0, 0])
    require_moments(simulated(T, 20_000, 60, world="neural"), found.full_mean, found.full_covariance)
    plain = gd.StepMap(gd.Simultaneous(0.4), DAMPED, oracle=oracle)
    assert not np.allclose(found.covariance, gd.stationary_covariance(plain, [0, 0, 0]), rtol=0.05)


def test_a_transform_on_the_game_counts_as_one_on_the_method():
    inside = gd.StepMap(gd.Extragradient(0.3), gd.consensus(0.2)(DAMPED))
    outside = gd.StepMap(gd.Method(gd.Extragradient(0.3), gd.consensus(0.2)), DAMPED)
    assert unwrap(inside.game)[1]
    np.testing.assert_allclose(
        gd.stationary_covariance(inside, [0, 0, 0], Q, sampling="independent"),
        gd.stationary_covariance(outside, [0, 0, 0], Q, sampling="independent"),
        rtol=0,
        atol=1e-15,
    )


def test_on_a_nonlinear_game_the_covariance_is_the_leading_order_in_the_noise():
    game = gd.zero_sum("x*y + x**2/2 - y**2/3 + x**4/4 - y**4/4", min="x", max="y", name="nonlinear")
    gaps = []
    for sigma in (0.4, 0.04):
        T = gd.StepMap(gd.Extragradient(0.3), game, oracle=gd.AdditiveNoise(game, sigma, seed=1))
        predicted = gd.stationary_covariance(T, [0, 0])
        gaps.append(np.max(np.abs(np.cov(simulated(T, 30_000, 40)) - predicted)) / np.max(predicted))
    assert gaps[0] > 0.05
    assert gaps[1] < 0.03  # the standard error of a variance from 30,000 orbits is 0.008


# what is refused ----------------------------------------------------------------------------------------------


def test_no_stationary_covariance_at_or_beyond_radius_one_and_the_number_is_said():
    T = gd.StepMap(gd.Simultaneous(0.1), BILINEAR)
    with pytest.raises(ValueError, match=r"no stationary covariance: the mean-square radius is 1\.01"):
        gd.stationary_covariance(T, [0, 0], 1.0)
    with pytest.raises(ValueError, match=r"the mean-square radius is 1[,.]"):
        gd.stationary_covariance(gd.StepMap(gd.Alternating(0.5), BILINEAR), [0, 0], 1.0)


def test_third_derivatives_are_refused_where_a_sample_does_not_rest():
    game = gd.zero_sum("x*y + x**2/2 - y**2/2 + x**3/3 + c*x", min="x", max="y", name="cubic")
    oracle = gd.FiniteSum(game, {"c": [1.0, -1.0]})
    plain = gd.StepMap(gd.Extragradient(0.2), game, oracle=oracle)
    assert gd.mean_square_radius(plain, [0, 0]) < 1
    T = gd.StepMap(gd.Method(gd.Simultaneous(0.2), gd.consensus(0.1)), game, oracle=oracle)
    with pytest.raises(gd.NotInThisWorld, match="third derivatives"):
        gd.mean_square_radius(T, [0, 0])
    resting = gd.FiniteSum(game, {"c": [0.0, 0.0]})
    T = gd.StepMap(gd.Method(gd.Simultaneous(0.2), gd.consensus(0.1)), game, oracle=resting)
    assert gd.mean_square_radius(T, [0, 0]) < 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0, 0]), "give the noise"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0, 0], -1.0), "variance >= 0"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0, 0], np.eye(3)), r"\(2, 2\)"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0, 0], [[1, 2], [2, 1]]), "is -1"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [1, 0], 1.0), "no equilibrium"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0], 1.0), "d = 2"),
        (lambda: gd.stationary(gd.StepMap(gd.Extragradient(0.5), BILINEAR), [0, 0], 1, sampling="x"), "sampling="),
    ],
)
def test_bad_questions_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_what_has_no_moments_says_so():
    z = [0, 0]
    for method, message in (
        (gd.Method(gd.Simultaneous(0.1), gd.Adam()), "Adam"),
        (gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1 / (k + 1)), "aperiodic"),
    ):
        with pytest.raises(gd.NotInThisWorld, match=message):
            gd.mean_square_radius(gd.StepMap(method, BILINEAR), z, 1.0)
    net = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    with pytest.raises(gd.NotInThisWorld, match="no formulas"):
        gd.mean_square_radius(gd.StepMap(gd.Simultaneous(0.1), net), z)


def test_too_many_combinations_or_coordinates_are_refused_with_their_number():
    many = gd.Game(["a*x**2/2"], players=[["x"]])
    values = {"a": np.linspace(0.5, 1.5, 30)}
    T = gd.StepMap(
        gd.lookahead(gd.Extragradient(0.1), 2, 0.5), many, oracle=gd.FiniteSum(many, values, sampling="independent")
    )
    with pytest.raises(ValueError, match=r"30 outcomes per evaluation and 4 evaluations make 8.1e\+05"):
        gd.mean_square_radius(T, [0])
    T = gd.StepMap(gd.Simultaneous(0.1), many, oracle=gd.FiniteSum(many, values, batch_size=5))
    with pytest.raises(ValueError, match="batches of 5"):
        gd.mean_square_radius(T, [0])
    names = [[f"{side}{k}" for k in range(21)] for side in "xy"]
    pairs = " + ".join(f"{x}*{y}" for x, y in zip(*names, strict=True))
    wide = gd.zero_sum(f"a*({pairs})", min=names[0], max=names[1])
    T = gd.StepMap(gd.Extragradient(0.1), wide, oracle=gd.FiniteSum(wide, {"a": [0.5, 1.5]}))
    with pytest.raises(ValueError, match=r"D = 42 coordinates, more than 40"):
        gd.mean_square_radius(T, [0] * 42)
    noisy = gd.StepMap(gd.Extragradient(0.1), wide.bind(a=1))  # additive noise needs no operator on moments
    assert gd.stationary_covariance(noisy, [0] * 42, 1.0).shape == (42, 42)


def test_a_result_prints_itself():
    T = gd.StepMap(gd.Extragradient(0.5), BILINEAR)
    assert "mean-square radius 0.8125" in repr(gd.stationary(T, [0, 0], 1.0))


@pytest.mark.parametrize("layers", [(), (gd.entropic(),)])
def test_moments_under_constraints_are_refused(layers):
    T = gd.StepMap(gd.Method(gd.Extragradient(0.25), *layers), gd.games.matching_pennies())
    with pytest.raises(gd.NotInThisWorld, match="simulate a batch"):
        gd.stationary_covariance(T, [0.5] * 4, 0.02**2)
