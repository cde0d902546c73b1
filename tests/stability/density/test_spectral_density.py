"""Spectral densities: rules are exact where they say so, intervals cover, and the bounds of a mass are bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.density.gauss_quadrature import GaussRule
from gamedyn.stability.density.lanczos import arnoldi, lanczos
from gamedyn.stability.density.spectral_density import RitzCloud, SpectralDensity, spectral_density


def orthogonal(d, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def with_spectrum(values, seed=0):
    Q = orthogonal(len(values), seed)
    return Q @ np.diag(values) @ Q.T


def rules_of(matrix, start, steps):
    A = torch.tensor(matrix)
    diagonal, side, invariant = lanczos(lambda u: A @ u, torch.tensor(start), steps)
    return GaussRule.of(diagonal, side, invariant=invariant)


def goe(d, seed):
    """S of a Gaussian matrix: a semicircle from -√2 to √2."""
    return np.random.default_rng((7, seed)).standard_normal((d, d)) / d**0.5


# --- one probe

spectra = st.lists(st.floats(-3, 3).map(lambda v: round(v, 3)), min_size=8, max_size=30, unique=True)


@given(spectra, st.integers(0, 10**6), st.integers(2, 6))
@settings(max_examples=25)
def test_the_first_moments_of_a_probe_are_exact(values, seed, m):
    A = with_spectrum(values, seed)
    u = np.random.default_rng(seed).standard_normal(len(values))
    u /= np.linalg.norm(u)
    rule = rules_of(A, u, m)
    assert rule.weights.sum() == pytest.approx(1, abs=1e-12)
    for k in range(2 * m):
        assert rule.weights @ rule.nodes**k == pytest.approx(u @ np.linalg.matrix_power(A, k) @ u, abs=1e-10 * 3**k)
    beyond = u @ np.linalg.matrix_power(A, 2 * m) @ u
    assert rule.weights @ rule.nodes ** (2 * m) < beyond  # the Gauss rule misses a positive part of the next one


@given(spectra, st.integers(0, 10**6), st.integers(1, 6), st.floats(-3, 3))
@settings(max_examples=25)
def test_the_mass_left_of_a_point_lies_between_the_bounds(values, seed, m, x):
    x = round(x, 3) + 0.0005  # never an eigenvalue
    values = np.array(values)
    Q = orthogonal(len(values), seed)
    u = np.random.default_rng(seed).standard_normal(len(values))
    u /= np.linalg.norm(u)
    low, high = rules_of(Q @ np.diag(values) @ Q.T, u, m).mass(x)
    assert low - 1e-9 <= ((Q.T @ u) ** 2)[values < x].sum() <= high + 1e-9
    assert low < high


def test_bounds_meet_where_the_space_is_invariant_but_for_the_mass_of_the_point():
    A = with_spectrum([-1.0] * 3 + [0.0] * 4 + [2.0] * 5)
    u = np.ones(12) / 12**0.5
    rule = rules_of(A, u, 10)
    assert len(rule.nodes) == 3
    assert rule.degree == np.inf
    np.testing.assert_allclose(rule.nodes, [-1, 0, 2], atol=1e-12)
    low, high = rule.mass(0.0)
    assert high - low == pytest.approx(rule.weights[1], abs=1e-12)
    assert rule.mass(-0.5) == pytest.approx((rule.weights[0],) * 2, abs=1e-12)


def test_a_rule_with_a_node_at_the_point_keeps_its_bounds():
    rule = GaussRule.of(np.zeros(3), np.array([1.0, 1.0, 1.0]))  # 0 is a node
    low, high = rule.mass(0.0)
    assert (low, high) == pytest.approx((0.25, 0.75), abs=1e-12)


def test_bounds_of_the_semicircle_close_with_the_steps():
    gaps = []
    for m in (4, 16, 64):
        rule = GaussRule.of(np.zeros(m), np.full(m, 0.5))  # Chebyshev polynomials of the second kind
        low, high = rule.mass(0.3)
        exact = 0.5 + (0.3 * (1 - 0.09) ** 0.5 + np.arcsin(0.3)) / np.pi
        assert low <= exact <= high
        gaps.append(high - low)
    assert gaps[2] < gaps[1] / 3 < gaps[0] / 9


def test_arnoldi_is_the_projection_on_the_krylov_space():
    A = torch.tensor(np.random.default_rng(0).standard_normal((30, 30)))
    u = torch.ones(30, dtype=torch.float64)
    H, invariant = arnoldi(lambda v: A @ v, u, 9)
    assert H.shape == (10, 9)
    assert not invariant
    unit = u / u.norm()
    for k in range(10):
        assert np.linalg.matrix_power(H[:9], k)[0, 0] == pytest.approx(
            float(unit @ torch.linalg.matrix_power(A, k) @ unit), rel=1e-9
        )
    full, invariant = arnoldi(lambda v: A @ v, u, 50)
    assert invariant
    np.testing.assert_allclose(
        np.sort(abs(np.linalg.eigvals(full[:30]))), np.sort(abs(np.linalg.eigvals(A))), rtol=1e-9
    )


# --- densities


def test_the_density_of_a_semicircle_is_found():
    s = spectral_density(goe(900, 0), probes=24, steps=40)
    curve = s.curve(np.linspace(-1.2, 1.2, 60))
    exact = np.sqrt(2 - curve.x**2) / np.pi
    # about 100 eigenvalues lie within one width: a standard error of 0.14 / 24**0.5 of the density
    assert np.abs(curve.density - exact).max() < 0.05
    assert np.mean((curve.low <= exact) & (exact <= curve.high)) > 0.8
    assert s.range == pytest.approx((-(2**0.5), 2**0.5), abs=0.03)
    whole = s.curve()
    assert np.trapezoid(whole.density, whole.x) == pytest.approx(1, abs=1e-4)


def test_intervals_cover_the_dense_values():
    d, seeds = 250, 40
    A = goe(d, 3) + 0.2 * np.eye(d)
    values = np.linalg.eigvalsh((A + A.T) / 2)
    hits = np.zeros(4)
    for seed in range(seeds):
        s = spectral_density(A, probes=6, steps=15, seed=seed)
        for k, (estimate, exact) in enumerate(
            [
                (s.trace, values.sum()),
                (s.moment(4), np.mean(values**4)),
                (s.root_mean_square, np.mean(values**2) ** 0.5),
                (s.mass(0.0), np.mean(values < 0)),
            ]
        ):
            hits[k] += estimate.low <= exact <= estimate.high
    assert (hits >= 33).all()  # 95 % of 40 is 38; fewer than 33 has a probability of 3e-3
    assert hits[3] >= 38  # bounds of the mass besides the spread


def test_the_histogram_of_the_dense_spectrum_is_that_of_the_rules():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(-1, 0.1, 250), rng.normal(2, 0.3, 500), [6.0]])
    s = spectral_density(with_spectrum(values), probes=10, steps=60)
    dense = spectral_density(with_spectrum(values[:600]))
    for x in (-0.5, 1.8, 2.5, 4.0):
        estimate = s.mass(x)
        assert estimate.low <= np.mean(values < x) <= estimate.high
        assert estimate.value == pytest.approx(np.mean(values < x), abs=0.05)
        assert dense.mass(x) == pytest.approx((np.mean(values[:600] < x),) * 3, abs=1e-12)
    assert s.range[1] == pytest.approx(6.0, abs=1e-6)  # a single eigenvalue outside


def test_small_operators_are_exact():
    game = gd.zero_sum("x**2 - 3*y**2 + x*y", min="x", max="y")
    s = spectral_density(game, [0.0, 0.0])
    assert s.range == pytest.approx((2, 6))
    assert s.trace == pytest.approx((8, 8, 8))
    assert "all eigenvalues" in repr(s)
    assert s.moment(9).value == pytest.approx((2**9 + 6**9) / 2)
    assert s.signs()[1].value == 1.0


def test_signs_leave_out_what_is_almost_zero():
    values = np.concatenate([np.full(500, 1e-9), np.full(150, -2.0), np.linspace(1, 3, 350)])
    s = spectral_density(with_spectrum(values), probes=12, steps=40)
    down, up = s.signs()
    assert down.low <= 0.15 <= down.high
    assert up.low <= 0.35 <= up.high
    assert s.mass(1e-3).value == pytest.approx(0.65, abs=0.05)


@pytest.mark.parametrize("which", ["player1", 0])
def test_a_players_block_is_its_hessian(which):
    n = 700
    scale = torch.linspace(-1, 2, n, dtype=torch.float64)

    def costs(z):
        x, y = z[:n], z[n:]
        return [(scale * x**2).sum() / 2 + (x[:5] * y).sum(), (y**2).sum() - (x[5:10] * y).sum()]

    game = gd.callable_game(costs, sizes=[n, 5])
    s = spectral_density(gd.jacobian(game, torch.zeros(n + 5, dtype=torch.float64)), part=which, probes=8, steps=40)
    assert (s.name, s.dim, s.products) == ("the block of 'player1'", n, 320)
    assert s.mass().low <= 1 / 3 <= s.mass().high
    other = spectral_density(game, torch.zeros(n + 5, dtype=torch.float64), part="player2")
    assert other.range == pytest.approx((2, 2))


def test_a_block_that_is_no_hessian_gives_its_symmetric_part():
    game = gd.field_game(["x1 + 4*x2", "3*x2", "y"], players=[["x1", "x2"], ["y"]])
    for z in ([0.0, 0.0, 0.0], [0, 0, 0]):
        s = spectral_density(game, z, part=0)
        assert s.name.startswith("the symmetric part of the block")
        assert s.range == pytest.approx(tuple(np.linalg.eigvalsh([[1, 2], [2, 3]])))


def test_float32_networks():
    from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring

    g = mlp_generator(4, 2, (20,), activation="tanh", seed=1)
    gan = GAN(g, mlp_discriminator(2, (12,), activation="tanh", seed=2), data=ring(n=64), evaluation_size=64)
    J = gd.jacobian(gan, gan.initial())
    s = spectral_density(J, probes=8, steps=30)
    matrix = J.dense_array()
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    assert s.range == pytest.approx((values[0], values[-1]), abs=1e-4)
    assert s.trace.low <= values.sum() <= s.trace.high


def test_one_seed_gives_one_result_and_another_seed_another():
    A = goe(100, 0)
    first, again, other = (spectral_density(A, probes=2, steps=5, seed=k).trace.value for k in (0, 0, 1))
    assert first == again != other


def test_probes_are_not_what_a_caller_draws_with_the_same_seed():
    A = np.random.default_rng(0).standard_normal((500, 500))  # whose first row would be the first probe
    s = spectral_density(A, probes=30, steps=2, seed=0)
    assert s.trace.low <= np.trace(A) <= s.trace.high
    assert abs(s.trace.value) < 500


# --- pictures


def test_the_cloud_of_a_normal_matrix_holds_its_outer_eigenvalues_and_its_moments():
    rng = np.random.default_rng(0)
    pairs = [np.array([[a, b], [-b, a]]) for a, b in zip(rng.uniform(0, 1, 60), rng.uniform(0, 1, 60), strict=True)]
    pairs.append(np.array([[3.0, 2.0], [-2.0, 3.0]]))
    A = np.zeros((122, 122))
    for k, pair in enumerate(pairs):
        A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = pair
    Q = orthogonal(122, 1)
    cloud = spectral_density(Q @ A @ Q.T, part="full", probes=10, steps=30)
    assert isinstance(cloud, RitzCloud)
    assert np.abs(cloud.values - (3 + 2j)).min() < 1e-8
    assert cloud.residuals[np.abs(cloud.values - (3 + 2j)).argmin()] < 1e-6
    assert cloud.shares.sum() == pytest.approx(1)
    assert cloud.weights.sum() == pytest.approx(10)
    assert cloud.trace.low <= np.trace(A) <= cloud.trace.high
    assert cloud.moment(2).low <= np.trace(A @ A) / 122 <= cloud.moment(2).high
    assert "heuristic picture" in repr(cloud)


def test_the_cloud_of_a_shift_shows_why_it_is_no_density():
    d = 200
    shift = np.diag(np.ones(d - 1), 1)  # nilpotent: every eigenvalue is 0, and no Ritz value has to be near it
    cloud = spectral_density(shift, part="full", probes=3, steps=20)
    assert np.abs(cloud.values).max() > 0.5
    assert cloud.moment(1).low <= 0 <= cloud.moment(1).high


# --- bad input


def test_bad_input_is_named():
    A = np.eye(3)
    with pytest.raises(ValueError, match="probes=1 must be an int of at least 2, so that"):
        spectral_density(A, probes=1)
    with pytest.raises(ValueError, match=r"steps=0 must be an int of at least 1"):
        spectral_density(A, steps=0)
    with pytest.raises(ValueError, match=r"'critic' is neither.*players are \['x', 'y'\]"):
        spectral_density(gd.zero_sum("x*y", min="x", max="y"), [0.0, 0.0], part="critic")
    with pytest.raises(ValueError, match="knows no players"):
        spectral_density(A, part=0)
    with pytest.raises(ValueError, match="give the point z"):
        spectral_density(gd.games.bilinear(1))
    with pytest.raises(ValueError, match="complex"):
        spectral_density(1j * A)
    s = spectral_density(goe(100, 0), probes=2, steps=3)
    with pytest.raises(ValueError, match=r"degree 5; for moment 6 take steps >= 4"):
        s.moment(6)
    with pytest.raises(ValueError, match="width=0"):
        s.curve(width=0)
    assert isinstance(s, SpectralDensity)
    J = gd.jacobian(gd.callable_game([lambda z: (z**2).sum()], sizes=[700]), torch.zeros(700))
    J.product = lambda u: u * torch.inf
    with pytest.raises(ValueError, match="not finite"):
        spectral_density(J, part="full")


def test_eigenvalues_at_exactly_zero_are_on_neither_side():
    density = gd.spectral_density(np.diag([0.0, 0, 0, 1, 1, 1]))
    assert density.mass(0.0).value == 0
    flat = gd.spectral_density(np.zeros((4, 4)))
    negative, positive = flat.signs()
    assert (negative.value, positive.value) == (0, 0)
