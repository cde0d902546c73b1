"""Oracles: the same stream in every world, resumed exactly, one draw per evaluation or per step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.games.random_field import AverageField, RandomField

BILINEAR = gd.zero_sum("x*y", min="x", max="y", name="bilinear")
CURVED = gd.zero_sum("x*y + x**2/5 - y**4/7", min="x", max="y", name="curved")
THREE = gd.Game(
    ["x**2/2 + x*y - x*w/2", "y**2/4 + w**2/3 - y*w/5 - x*y/2"], players=[["x"], ["y", "w"]], name="three coordinates"
)
SUM = gd.zero_sum("a*x*y + b*x**2/2 - y**4/9 + c*y", min="x", max="y", name="sum").bind(c=0.1)
SAMPLES = {"a": [0.5, 1.0, 2.0], "b": [0.2, -0.1, 0.4]}

METHODS = {
    "simultaneous": gd.Simultaneous(0.1),
    "extragradient": gd.Extragradient(0.1),
    "optimistic": gd.Optimistic(0.1),
    "alternating": gd.Alternating(0.1),
    "alternating heavy ball": gd.alternating(gd.HeavyBall(0.1, -0.3)),
    "lookahead": gd.lookahead(gd.Alternating(0.1), 2, 0.5),
    "scheduled": gd.scheduled(gd.Extragradient(0.1), "lr", (0.1, 0.05, 0.2)),
    "aperiodic": gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1 / (k + 1)),
    "adam": gd.Method(gd.Alternating(0.05), gd.Adam()),
    "consensus": gd.Method(gd.Simultaneous(0.1), gd.consensus(0.3)),
    "two time scales": gd.Method(gd.Extragradient(0.1), gd.two_timescale(2.0)),
    "linearized proximal": gd.LinearizedProximalPoint(0.1),
    "variance reduced": gd.variance_reduced(gd.Extragradient(0.1), 3),
}


def oracles(sampling):
    root = np.array([[0.2, 0.0], [0.1, 0.05]])
    return {
        "additive": (CURVED, gd.AdditiveNoise(CURVED, covariance=root @ root.T, seed=4, sampling=sampling)),
        "finite sum": (SUM, gd.FiniteSum(SUM, SAMPLES, seed=4, sampling=sampling)),
        "mini-batches": (SUM, gd.FiniteSum(SUM, SAMPLES, seed=4, batch_size=2, sampling=sampling)),
    }


CASES = [
    pytest.param(name, sampling, kind, id=f"{name}-{kind}-{sampling}")
    for name in METHODS
    for sampling in ("same", "independent")
    for kind in ("additive", "finite sum", "mini-batches")
]


# one stream -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "sampling", "kind"), CASES)
def test_array_and_neural_world_see_the_same_stream(name, sampling, kind):
    game, oracle = oracles(sampling)[kind]
    T = gd.StepMap(METHODS[name], game, oracle=oracle)
    s, t = T.start(np.array([0.7, -0.4])), T.start(torch.tensor([0.7, -0.4], dtype=torch.float64))
    start = s
    for k in range(6):
        s, t = T(s, k), T(t, k)
        np.testing.assert_allclose(s, t.numpy(), rtol=0, atol=1e-11)
    assert np.max(np.abs(s - start)) > 1e-2


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sampling", ["same", "independent"])
def test_an_orbit_resumes_to_the_last_bit(name, sampling):
    for game, oracle in oracles(sampling).values():
        T = gd.StepMap(METHODS[name], game, oracle=oracle)
        z0 = np.random.default_rng(0).uniform(-0.5, 0.5, size=(2, 5))
        whole = gd.simulate(T, z0, 11)
        half = gd.simulate(T, z0, 4)
        rest = gd.simulate(T, state=half.state, first=4, steps=7)
        np.testing.assert_array_equal(whole.z[4:], rest.z)
        np.testing.assert_array_equal(whole.state, rest.state)


def test_a_draw_is_a_function_of_seed_and_step():
    z = np.array([0.3, 0.2])
    for _, oracle in oracles("same").values():
        late = [oracle.draw(k, "array")(z) for k in range(4)][3]
        np.testing.assert_array_equal(oracle.draw(3, "array")(z), late)
    noise = gd.AdditiveNoise(BILINEAR, 1.0, seed=0)
    assert not np.allclose(noise.noise(0), noise.noise(1))
    assert not np.allclose(noise.noise(0), gd.AdditiveNoise(BILINEAR, 1.0, seed=1).noise(0))
    assert not np.allclose(noise.noise(0, 0), noise.noise(0, 1))


@pytest.mark.parametrize("kind", ["additive", "finite sum", "mini-batches"])
def test_each_orbit_of_a_batch_draws_its_own_and_more_orbits_leave_it_alone(kind):
    game, oracle = oracles("same")[kind]
    T = gd.StepMap(gd.Extragradient(0.1), game, oracle=oracle)
    alone = gd.simulate(T, np.full(2, 0.5), 20).z
    few = gd.simulate(T, np.full((2, 3), 0.5), 20).z
    many = gd.simulate(T, np.full((2, 40), 0.5), 20).z
    np.testing.assert_allclose(few[:, :, 0], alone, rtol=0, atol=1e-13)
    np.testing.assert_allclose(many[:, :, :3], few, rtol=0, atol=1e-13)
    assert np.unique(np.round(many[-1, 0], 12)).size > 20


def test_the_noise_has_the_stated_covariance():
    Q = np.array([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.4]])
    xi = gd.AdditiveNoise(THREE, covariance=Q, seed=2).noise(5, 1, (200_000,))
    error = np.sqrt((np.outer(np.diag(Q), np.diag(Q)) + Q**2) / 200_000)
    assert np.all(np.abs(xi @ xi.T / 200_000 - Q) < 5 * error)
    assert np.all(np.abs(xi.mean(axis=1)) < 5 * np.sqrt(np.diag(Q) / 200_000))


def test_samples_are_drawn_uniformly():
    drawn = gd.FiniteSum(SUM, SAMPLES, seed=9).indices(3, 0, (30_000,))
    counts = np.bincount(drawn.ravel(), minlength=3)
    assert np.all(np.abs(counts - 10_000) < 5 * np.sqrt(30_000 * 2 / 9))


# same and independent ---------------------------------------------------------------------------------


def by_hand(z, oracle, k, independent):
    """Extragradient with the noise of one step or of two evaluations, in NumPy."""
    J = np.array([[0.0, 1.0], [-1.0, 0.0]])
    w = z - 0.1 * (J @ z + oracle.noise(k, 0))
    return z - 0.1 * (J @ w + oracle.noise(k, 1 if independent else 0))


@pytest.mark.parametrize("sampling", ["same", "independent"])
def test_extragradient_sees_one_noise_per_step_or_one_per_evaluation(sampling):
    oracle = gd.AdditiveNoise(BILINEAR, 0.3, seed=7, sampling=sampling)
    T = gd.StepMap(gd.Extragradient(0.1), BILINEAR, oracle=oracle)
    z = np.array([1.0, -0.5])
    for k in range(3):
        following = by_hand(z, oracle, k, sampling == "independent")
        np.testing.assert_allclose(T(z, k), following, rtol=0, atol=1e-14)
        z = following


def test_the_players_of_an_alternating_step_see_their_own_evaluation_only_if_independent():
    for sampling, number in (("same", 0), ("independent", 1)):
        oracle = gd.AdditiveNoise(BILINEAR, 0.3, seed=7, sampling=sampling)
        x, y = gd.StepMap(gd.Alternating(0.1), BILINEAR, oracle=oracle)(np.array([1.0, -0.5]), 2)
        assert x == pytest.approx(1 - 0.1 * (-0.5 + oracle.noise(2, 0)[0]), abs=1e-14)
        assert y == pytest.approx(-0.5 - 0.1 * (-x + oracle.noise(2, number)[1]), abs=1e-14)


def test_a_derivative_or_an_equation_is_one_evaluation():
    oracle = gd.AdditiveNoise(CURVED, 0.3, seed=7, sampling="independent")
    F, z = oracle.draw(0, "neural"), torch.tensor([0.4, 0.3], dtype=torch.float64)
    with torch.no_grad():
        w = F.resolvent(0.1, z)
    assert F.evaluations == 1
    residual = w + 0.1 * (CURVED.field("neural")(w).detach() + torch.tensor(oracle.noise(0, 0))) - z
    assert float(residual.abs().max()) < 1e-13
    with torch.no_grad():
        F.vjp(z, F(z))
    assert F.evaluations == 3


def test_the_resolvent_of_an_affine_game_exists_in_the_array_world_for_every_orbit():
    game = gd.zero_sum("a*x*y + x**2/4", min="x", max="y")
    oracle = gd.FiniteSum(game, {"a": [0.5, 2.0]}, seed=1)
    z = np.random.default_rng(0).normal(size=(2, 6))
    w = gd.StepMap(gd.ProximalPoint(0.3), game, oracle=oracle)(z, 4)
    a = np.array([0.5, 2.0])[oracle.indices(4, 0, (6,))[:, 0]]
    assert len(set(a)) == 2
    np.testing.assert_allclose(w + 0.3 * np.array([a * w[1] + w[0] / 2, -a * w[0]]), z, rtol=0, atol=1e-13)


# expected and fixed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["array", "neural"])
def test_expected_is_the_mean_field(world):
    def at(F):
        return (F(torch.tensor(z)).detach().numpy()) if world == "neural" else F(z)

    z = np.array([0.3, -0.6])
    mean = np.mean([gd.field(SUM.bind(a=a, b=b), z) for a, b in zip(*SAMPLES.values(), strict=True)], axis=0)
    for sampling in ("same", "independent"):
        for kind in ("finite sum", "mini-batches"):
            found = oracles(sampling)[kind][1].draw(5, world).expected()
            np.testing.assert_allclose(at(found), mean, rtol=0, atol=1e-14)
        additive = oracles(sampling)["additive"][1].draw(5, world).expected()
        np.testing.assert_allclose(at(additive), gd.field(CURVED, z), rtol=0, atol=1e-14)
    np.testing.assert_allclose(gd.field(oracles("same")["finite sum"][1].mean_game, z), mean, rtol=0, atol=1e-14)


def test_fixed_holds_one_sample_and_a_deterministic_field_is_its_own():
    oracle = gd.AdditiveNoise(CURVED, 0.3, seed=7, sampling="independent")
    z = np.array([0.4, 0.3])
    F = oracle.draw(0, "array")
    f = F.fixed()
    np.testing.assert_array_equal(f(z), f(z))
    assert not np.allclose(f(z), F(z))
    assert not np.allclose(F.fixed()(z), f(z))
    for field in (CURVED.field("array"), gd.consensus(0.1).field(CURVED.field("array"))):
        assert field.fixed() is field
        assert field.expected() is field


def test_a_transform_passes_both_through_to_its_base():
    oracle = gd.AdditiveNoise(CURVED, 0.3, seed=7, sampling="independent")
    z, clean = np.array([0.4, 0.3]), CURVED.field("array")
    F = gd.consensus(0.5).field(oracle.draw(0, "array"))
    np.testing.assert_array_equal(F.expected()(z), gd.consensus(0.5).field(clean)(z))
    v = clean(z) + oracle.noise(0, 0)  # one sample for v and for Jᵀv
    np.testing.assert_allclose(F.fixed()(z), v + 0.5 * clean.vjp(z, v), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(F.only(1).expected()(z), gd.consensus(0.5).field(clean).part(1, z))


def test_an_average_has_the_average_of_every_product():
    fields = [SUM.field("array", {"a": a, "b": b}) for a, b in zip(*SAMPLES.values(), strict=True)]
    whole = AverageField(fields)
    fast = gd.FiniteSum(SUM, SAMPLES).draw(0, "array").expected()
    z, u = np.array([0.3, -0.6]), np.array([1.0, 2.0])
    for product in (
        lambda F: F(z),
        lambda F: F.part(1, z),
        lambda F: F.grad(1, z),
        lambda F: F.hvp(0, z, u),
        lambda F: F.jvp(z, u),
        lambda F: F.vjp(z, u),
        lambda F: F.solve(z, 0.1, u),
    ):
        np.testing.assert_allclose(product(whole), product(fast), rtol=0, atol=1e-14)
    np.testing.assert_allclose(whole.jvp(z, u), np.mean([f.jvp(z, u) for f in fields], axis=0), atol=1e-14)


def test_a_transformed_game_is_drawn_through_its_transforms():
    game = gd.consensus(0.5)(SUM)
    oracle = gd.FiniteSum(game, SAMPLES, seed=3)
    inside = gd.StepMap(gd.Extragradient(0.1), game, oracle=oracle)
    outside = gd.Method(gd.Extragradient(0.1), gd.consensus(0.5))
    plain = gd.StepMap(outside, SUM, oracle=gd.FiniteSum(SUM, SAMPLES, seed=3))
    z = np.array([0.3, -0.6])
    np.testing.assert_allclose(inside(z, 1), plain(z, 1), rtol=0, atol=1e-15)
    assert "consensus" in oracle.mean_game.name


def test_a_box_is_kept_by_every_random_step():
    game = BILINEAR.constrained({"x": (-0.2, 0.2)})
    oracle = gd.AdditiveNoise(game, 2.0, seed=0)
    orbit = gd.simulate(gd.StepMap(gd.Extragradient(0.5), game, oracle=oracle), np.zeros((2, 8)), 20)
    assert np.max(np.abs(orbit.z[:, 0])) == 0.2
    assert np.max(np.abs(orbit.z[:, 1])) > 1


def test_callables_can_be_noisy_too():
    game = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    oracle = gd.AdditiveNoise(game, 0.3, seed=7)
    T = gd.StepMap(gd.Extragradient(0.1), game, oracle=oracle)
    S = gd.StepMap(gd.Extragradient(0.1), BILINEAR, oracle=gd.AdditiveNoise(BILINEAR, 0.3, seed=7))
    found = gd.simulate(T, torch.tensor([0.5, 0.25], dtype=torch.float64), 5)
    np.testing.assert_allclose(found.z, gd.simulate(S, [0.5, 0.25], 5).z, rtol=0, atol=1e-12)


# a user's oracle and a symbol in the method -------------------------------------------------------------


@dataclass(frozen=True)
class Flipping:
    """The sign of the field flips with the step: an oracle as a user would write it."""

    game: object

    def draw(self, k, world="neural"):
        field = self.game.field(world)
        return gd.two_timescale(1.0).field(field) if k % 2 else AverageField([field, field])


def test_any_object_with_draw_is_an_oracle():
    T = gd.StepMap(gd.Simultaneous(0.1), BILINEAR, oracle=Flipping(BILINEAR))
    orbit = gd.simulate(T, [1.0, 0.0], 4)
    exact = gd.simulate(gd.StepMap(gd.Simultaneous(0.1), BILINEAR), [1.0, 0.0], 4)
    np.testing.assert_allclose(orbit.z, exact.z, atol=1e-15)


def test_a_symbol_in_the_method_takes_its_value_from_params():
    sp = pytest.importorskip("sympy")
    oracle = gd.AdditiveNoise(BILINEAR, 0.3)
    h, z = sp.Symbol("h", positive=True), np.array([1.0, 0.5])
    T = gd.StepMap(gd.Simultaneous(2 * h), BILINEAR, oracle=oracle, params={"h": 0.05})
    np.testing.assert_allclose(T(z), gd.StepMap(gd.Simultaneous(0.1), BILINEAR, oracle=oracle)(z), atol=1e-15)
    with pytest.raises(ValueError, match="takes one number"):
        gd.StepMap(gd.Simultaneous(h), BILINEAR, oracle=oracle, params={"h": np.array([0.1, 0.2])})(z)


# refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda T: T.jacobian(np.zeros(2)),
        lambda T: T.jacobian(torch.zeros(2, dtype=torch.float64)),
        lambda T: T.test_jacobian(np.zeros(2)),
        lambda T: gd.spectral_radius(T, [0.0, 0.0]),
        lambda T: gd.spectral_radius(T, [0, 0]),
        lambda T: gd.stable_steps(T, [0, 0]),
        lambda T: T.trace,
        lambda T: T(T.start([0, __import__("sympy").Integer(1)])),
    ],
    ids=["array jacobian", "neural", "test", "radius", "exact radius", "stable steps", "trace", "exact step"],
)
def test_a_random_step_has_no_jacobian_and_says_what_has(ask):
    T = gd.StepMap(gd.Extragradient(0.1), BILINEAR, oracle=gd.AdditiveNoise(BILINEAR, 0.1))
    with pytest.raises(gd.NotInThisWorld, match=r"the step is random.*mean_game.*mean_square_radius"):
        ask(T)


def test_a_random_step_is_not_compiled():
    T = gd.StepMap(gd.Simultaneous(0.1), BILINEAR, oracle=gd.AdditiveNoise(BILINEAR, 0.1))
    assert gd.simulate(T, np.zeros((2, 1000)), 400, every=400).backend == "numpy"
    for ask in (lambda: gd.simulate(T, [1.0, 0.0], 5, backend="numba"), lambda: T.kernel):
        with pytest.raises(gd.NotInThisWorld, match="deterministic map"):
            ask()


def test_what_only_a_trace_can_differentiate_is_refused_in_the_array_world():
    oracle = gd.AdditiveNoise(CURVED, 0.1)
    method = gd.Method(gd.Simultaneous(0.1), gd.unrolled(2, lr=0.1))
    with pytest.raises(gd.NotInThisWorld, match="StepMap without an oracle"):
        gd.StepMap(method, CURVED, oracle=oracle)(np.array([0.1, 0.2]))
    with pytest.raises(gd.NotInThisWorld, match="not affine"):
        gd.StepMap(gd.ProximalPoint(0.1), CURVED, oracle=oracle)(np.array([0.1, 0.2]))
    optimistic = gd.Method(gd.Optimistic(0.1), gd.unrolled(2, lr=0.1))
    for other in (method, optimistic, gd.ProximalPoint(0.1)):  # the neural world has what they need
        T = gd.StepMap(other, CURVED, oracle=oracle)
        image = T(T.start(torch.tensor([0.1, 0.2], dtype=torch.float64)), 1)
        assert len(image) == T.dim
        assert bool(torch.isfinite(image).all())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gd.AdditiveNoise(BILINEAR), "either sigma"),
        (lambda: gd.AdditiveNoise(BILINEAR, 0.1, covariance=np.eye(2)), "either sigma"),
        (lambda: gd.AdditiveNoise(BILINEAR, -1.0), "sigma must be"),
        (lambda: gd.AdditiveNoise(BILINEAR, [1.0, 2.0, 3.0]), "sigma must be"),
        (lambda: gd.AdditiveNoise(BILINEAR, covariance=np.eye(3)), r"matrix \(2, 2\)"),
        (lambda: gd.AdditiveNoise(BILINEAR, covariance=[[1, 2], [0, 1]]), "symmetric"),
        (lambda: gd.AdditiveNoise(BILINEAR, covariance=[[1, 2], [2, 1]]), "smallest eigenvalue is -1"),
        (lambda: gd.AdditiveNoise(BILINEAR, 0.1, seed=-1), "seed"),
        (lambda: gd.AdditiveNoise(BILINEAR, 0.1, sampling="none"), "sampling='none'"),
        (lambda: gd.AdditiveNoise(SUM, 0.1), "bind them first"),
        (lambda: gd.FiniteSum(SUM, {}), "free parameters"),
        (lambda: gd.FiniteSum(SUM, {"q": [1.0]}), "free parameters"),
        (lambda: gd.FiniteSum(SUM, {"a": [1.0]}), r"\['b'\] have neither samples nor a value"),
        (lambda: gd.FiniteSum(SUM, {"a": [1.0], "b": [1.0, 2.0]}), "one length"),
        (lambda: gd.FiniteSum(SUM, {"a": 1.0, "b": 2.0}), "one length"),
        (lambda: gd.FiniteSum(SUM, {"a": [np.nan], "b": [1.0]}), "not all finite"),
        (lambda: gd.FiniteSum(SUM, SAMPLES, batch_size=0), "batch_size"),
    ],
)
def test_bad_oracles_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_an_oracle_refuses_other_worlds_and_parameters_given_beside_it():
    oracle = gd.FiniteSum(SUM, SAMPLES)
    with pytest.raises(gd.NotInThisWorld, match="samples are numbers"):
        oracle.draw(0, "exact")
    with pytest.raises(ValueError, match="the oracle draws its fields"):
        gd.StepMap(gd.Simultaneous(0.1), SUM, oracle=oracle, params={"a": 1.0})
    with pytest.raises(ValueError, match="dimension 3"):
        gd.StepMap(gd.Simultaneous(0.1), BILINEAR, oracle=gd.AdditiveNoise(THREE, 0.1))([1.0, 0.0])
    assert "n = 3" in repr(oracle)
    assert "same sample" in repr(gd.AdditiveNoise(BILINEAR, 0.1))
    assert isinstance(oracle.draw(0, "array"), RandomField)


@pytest.mark.parametrize("rule", [gd.Extragradient(0.1), gd.exponential_average(gd.Optimistic(0.1), 0.9)])
def test_an_entropic_method_runs_on_a_noisy_game_and_reports_strategies(rule):
    game, method = gd.games.matching_pennies(), gd.Method(rule, gd.entropic())
    z0 = np.array([0.6, 0.4, 0.3, 0.7])
    orbit = gd.simulate(gd.StepMap(method, game, oracle=gd.AdditiveNoise(game, 0.05, seed=1)), z0, steps=20)
    plain = gd.simulate(gd.StepMap(method, game), z0, steps=20)
    assert orbit.z[0] == pytest.approx(z0, abs=1e-12)
    assert orbit.z.reshape(-1, 2, 2).sum(axis=2) == pytest.approx(np.ones((21, 2)), abs=1e-12)
    assert 1e-4 < np.abs(orbit.z[-1] - plain.z[-1]).max() < 0.2
    silent = gd.simulate(gd.StepMap(method, game, oracle=gd.AdditiveNoise(game, 0.0, seed=1)), z0, steps=20)
    assert silent.z == pytest.approx(plain.z, abs=1e-11)
