"""Rotation measures, at a point and along orbits, against closed forms; intervals against their coverage."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring
from gamedyn.stability.rotation.curl_energy import circulation, curl_energy
from gamedyn.stability.rotation.hamiltonian_drift import hamiltonian_drift, quadratic_invariants
from gamedyn.stability.rotation.rotation import imaginary_share, mean_imaginary_share, rotation_angle
from gamedyn.stability.rotation.split_norms import SplitNorms, dense_norms, probed_norms
from gamedyn.testing.strategies import bilinear_games, points, quadratic_games


@pytest.fixture(scope="module")
def gan():
    """d = 91, beyond what `curl_energy` forms matrices for."""
    return GAN(mlp_generator(2, 2, (6,)), mlp_discriminator(2, (14,)), data=ring(n=64))


# at a point -----------------------------------------------------------------------------------------


@given(st.floats(0.1, 3), st.floats(-3, 3))
def test_a_linear_field_has_the_angle_of_its_eigenvalue(a, b):
    x, y = sp.symbols("x y")
    b = round(b, 6)
    game = gd.field_game([a * x + b * y, a * y - b * x], players=[["x"], ["y"]])
    r = gd.rotation(game, [0.0, 0.0])
    assert r.angle == pytest.approx(abs(np.arctan2(b, a)), abs=1e-9)
    np.testing.assert_allclose(r.angles, r.angle, atol=1e-9)
    assert r.antisymmetric_share == pytest.approx(abs(b) / np.hypot(a, b), abs=1e-12)
    assert r.antisymmetric_ratio == pytest.approx(abs(b) / a, rel=1e-12)
    assert r.mean_imaginary_share == pytest.approx(abs(b) / np.hypot(a, b), abs=1e-9)


def test_a_potential_game_does_not_rotate():
    game = gd.Game(["x**2 + x*y", "y**2 + x*y"], players=[["x"], ["y"]])
    r = gd.rotation(game, [0.4, 0.1])
    assert (r.antisymmetric_share, r.antisymmetric_ratio, r.angle, r.mean_imaginary_share) == (0, 0, 0, 0)


@given(bilinear_games())
def test_a_bilinear_game_does_nothing_but_rotate(game):
    r = gd.rotation(game, np.zeros(game.dim))
    assert r.antisymmetric_share == 1
    assert r.antisymmetric_ratio == np.inf
    np.testing.assert_allclose(r.imaginary_share, 1, atol=1e-9)
    assert r.angle == pytest.approx(np.pi / 2, abs=1e-8)


@given(quadratic_games())
def test_share_and_ratio_are_the_same_split_of_the_norm(game):
    J = gd.jacobian(game, np.zeros(game.dim)).to_dense()
    assume(np.linalg.norm(J + J.T) > 1e-6)
    r = gd.rotation(game, np.zeros(game.dim))
    A, S = (J - J.T) / 2, (J + J.T) / 2
    assert r.antisymmetric_share == pytest.approx(np.linalg.norm(A) / np.linalg.norm(J), abs=1e-12)
    assert r.antisymmetric_ratio == pytest.approx(np.linalg.norm(A) / np.linalg.norm(S), rel=1e-9)
    assert r.ratio_interval == (r.antisymmetric_ratio, r.antisymmetric_ratio)


def test_eigenvalues_that_are_zero_up_to_rounding_have_no_direction():
    values = [3 + 4j, 3 - 4j, -2.0, 0.0, 1e-15j]
    np.testing.assert_allclose(imaginary_share(values), [0.8, 0.8, 0, np.nan, np.nan])
    np.testing.assert_allclose(rotation_angle(values)[:3], [np.arctan2(4, 3), np.arctan2(4, 3), np.pi])
    assert np.isnan(rotation_angle(values)[3:]).all()
    assert mean_imaginary_share(values) == pytest.approx(1.6 / 3)
    assert np.isnan(mean_imaginary_share([0.0, 0.0]))
    assert np.isnan(mean_imaginary_share([]))


def test_the_share_of_a_network_is_the_mean_over_its_spectrum(gan):
    from gamedyn.neural import spectrum

    s = spectrum(gan, k=gan.dim)
    assert mean_imaginary_share(s.eigenvalues) == pytest.approx(s.imaginary_share, rel=1e-6)


def test_a_matrix_a_field_a_jacobian_and_a_game_have_the_same_rotation():
    game = gd.zero_sum("x**2/2 + 3*x*y - y**2", min="x", max="y")
    J = gd.jacobian(game, [0.0, 0.0])
    expected = repr(gd.rotation(game, [0.0, 0.0]))
    for M, z in ((J, None), (J.to_dense(), None), (game.field("array", {}), [0.0, 0.0]), (game, [0, 0])):
        assert repr(gd.rotation(M, z)) == expected
    assert repr(gd.rotation(sp.Matrix([[1, 3], [-3, 2]]))) == expected
    assert expected == (
        "Rotation(dense): |A|/|J| = 0.885, |A|/|S| = 1.9, mean |Im λ|/|λ| = 0.892, largest angle 63.1° of 2 eigenvalues"
    )


# random probes --------------------------------------------------------------------------------------


def test_random_probes_cover_the_dense_share():
    n = 400
    scale = torch.linspace(0.2, 2, n, dtype=torch.float64)

    def costs(z):
        x, y = z[:n], z[n:]
        f = (scale * x * y).sum() + 0.3 * (x**2).sum() - 0.3 * (y**2).sum()
        return [f, -f]

    r = gd.rotation(gd.callable_game(costs, sizes=[n, n]), torch.zeros(2 * n, dtype=torch.float64), k=4, probes=64)
    share = float(torch.sqrt((scale**2).sum() / ((scale**2).sum() + n * 0.36)))
    low, high = r.interval
    assert low <= share <= high
    assert high - low < 0.05
    low, high = r.ratio_interval
    assert low <= share / np.sqrt(1 - share**2) <= high


@pytest.mark.parametrize("rank", [1, 3, 15])
@pytest.mark.parametrize("probes", [8, 32])
def test_the_interval_covers_the_share_about_as_often_as_it_says(rank, probes):
    """2000 intervals of nominal 95 %: few planes of rotation, with skew samples, are the hard case."""
    rng = np.random.default_rng(rank)
    d, strength = 40, 1 / (1.0 + np.arange(rank))
    A = np.zeros((d, d))
    for k in range(rank):
        A[2 * k, 2 * k + 1], A[2 * k + 1, 2 * k] = strength[k], -strength[k]
    S = np.diag(0.7 * (np.arange(d) >= d - rank))
    true = dense_norms(A + S)
    u = rng.standard_normal((d, 2000, probes))
    skew, plain = (np.sum(np.tensordot(part, u, 1) ** 2, axis=0) for part in (A, S))
    intervals = [SplitNorms(a[None], s[None], np.ones(1)).interval for a, s in zip(skew, plain, strict=True)]
    low, high = np.array(intervals).T
    assert 0.91 <= np.mean((low <= true.share) & (true.share <= high)) <= 0.985
    assert np.all((low >= 0) & (high <= 1))


def test_probes_of_a_jacobian_average_to_its_norms():
    M = np.array([[1.0, 4.0, 0.0], [-2.0, 0.5, 1.0], [0.0, 3.0, -1.0]])
    J = gd.jacobian(
        gd.field_game([f"{a}*x + {b}*y + {c}*w" for a, b, c in M], players=[["x"], ["y"], ["w"]]), [0.0] * 3
    )
    exact, found = dense_norms(M), probed_norms(J, 20_000, 0)
    np.testing.assert_allclose(found.squares, exact.squares, rtol=0.05)
    assert sum(exact.squares) == pytest.approx(np.sum(M**2))


def test_probes_of_a_potential_game_find_no_rotation_and_those_of_a_hamiltonian_one_nothing_else():
    eye = gd.jacobian(gd.Game(["x**2", "y**2"], players=[["x"], ["y"]]), [0.0, 0.0])
    assert probed_norms(eye, 5, 0).interval == (0, 0)
    turn = gd.jacobian(gd.games.bilinear(1), [0.0, 0.0])
    assert probed_norms(turn, 5, 0).interval == (1, 1)
    assert probed_norms(turn, 5, 0).ratio_interval == (np.inf, np.inf)


# along an orbit -------------------------------------------------------------------------------------


def test_curl_energy_of_a_linear_field_is_that_of_its_matrix():
    game = gd.zero_sum("2*x*y + x**2/2 - y**2", min="x", max="y")
    found = curl_energy(game, gd.simulate(gd.StepMap(gd.Extragradient(0.1), game), [1.0, 1.0], steps=20))
    np.testing.assert_allclose(found.energy, 8.0)
    assert found.mean == pytest.approx(8)
    assert found.share == pytest.approx(np.sqrt(8 / 13))
    assert found.interval == (found.share, found.share)


def test_curl_energy_is_the_mean_over_time_and_not_over_records():
    game = gd.zero_sum("x**2*y/2", min="x", max="y")  # A = [[0, x], [-x, 0]]
    orbit = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    assert curl_energy(game, orbit).mean == pytest.approx((0 / 2 + 2 + 18 / 2) / 2)

    class Uneven:
        z, t = orbit, np.array([0.0, 1.0, 4.0])

    assert curl_energy(game, Uneven()).mean == pytest.approx(((0 + 2) / 2 + 3 * (2 + 18) / 2) / 4)


@given(points(2))
def test_the_curl_of_a_plane_field_is_twice_its_antisymmetric_entry(z):
    game = gd.zero_sum("x**2*y + sin(x*y)", min="x", max="y")
    found = curl_energy(game, np.array([z]))
    h = 1e-5
    v = lambda a, b: gd.field(game, np.array([z[0] + a, z[1] + b]))  # noqa: E731
    curl = (v(h, 0)[1] - v(-h, 0)[1] - v(0, h)[0] + v(0, -h)[0]) / (2 * h)
    assert 2 * found.energy[0] == pytest.approx(curl**2, rel=1e-6, abs=1e-8)


def test_a_networks_orbit_by_products_agrees_with_its_matrices(gan):
    start = gan.initial().double()
    orbit = [start + 0.1 * k * torch.ones_like(start) for k in range(3)]
    probed = curl_energy(gan, orbit, probes=400)
    dense = [gd.jacobian(gan, z).to_dense().numpy() for z in orbit]
    skew, whole = np.array([[np.sum((J - J.T) ** 2) / 4, np.sum(J**2)] for J in dense]).T
    np.testing.assert_allclose(probed.energy, skew, rtol=0.25)
    share = np.sqrt((skew @ [1, 2, 1]) / (whole @ [1, 2, 1]))
    low, high = probed.interval
    assert low <= share <= high
    assert high - low < 0.1
    assert "16 probes" in repr(curl_energy(gan, orbit[:1]))
    again = curl_energy(gan, orbit, probes=400)
    assert again.mean == probed.mean  # the seed decides


@settings(max_examples=10)
@given(quadratic_games(), st.integers(0, 3))
def test_circulation_of_a_linear_field_is_the_flux_of_its_curl(game, seed):
    loop = np.random.default_rng(seed).standard_normal((5, game.dim))
    J = gd.jacobian(game, np.zeros(game.dim)).to_dense()
    closed = np.vstack([loop, loop[:1]])
    flux = sum(b @ (J - J.T) @ (a - loop[0]) / 2 for a, b in zip(loop, np.diff(closed, axis=0), strict=True))
    found = circulation(game, loop)
    assert found.total == pytest.approx(flux, abs=1e-9)
    assert abs(found.share) <= 1 + 1e-12


def test_circulation_vanishes_in_a_potential_game_and_is_one_around_a_rotation():
    potential = gd.Game(["x**4 + x*y**2", "x*y**2 + y**2"], players=[["x"], ["y"]])
    loop = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])
    assert abs(circulation(potential, loop).share) < 1e-13
    bilinear = gd.games.bilinear(1)
    around = gd.flow(bilinear, [1.0, 0.0], np.linspace(0, 2 * np.pi, 2001))
    found = circulation(bilinear, around)
    assert found.share == pytest.approx(1, abs=1e-5)
    assert found.total == pytest.approx(-2 * np.pi, abs=1e-4)  # twice the area, against v
    backwards = circulation(bilinear, around.z[::-1])
    assert backwards.share == pytest.approx(-found.share, abs=1e-9)


def test_circulation_of_a_network(gan):
    start = gan.initial().double()
    rng = torch.Generator().manual_seed(0)
    loop = [start + 0.1 * torch.randn(len(start), generator=rng, dtype=torch.float64) for _ in range(4)]
    found = circulation(gan, loop)
    finer = circulation(gan, loop, nodes=12)
    assert found.total == pytest.approx(finer.total, abs=1e-3 * finer.effort)
    assert 0 < abs(finer.share) < 1


# what is conserved ----------------------------------------------------------------------------------


@given(bilinear_games(), st.integers(0, 5))
def test_a_hamiltonian_flow_conserves_half_the_square_of_the_field(game, seed):
    z0 = np.random.default_rng(seed).standard_normal(game.dim)
    drift = hamiltonian_drift(game, gd.flow(game, z0, np.linspace(0, 5, 11)))
    assert drift.largest < 1e-7
    assert abs(drift.rate) < 1e-8


@pytest.mark.parametrize("lr", [0.01, 0.1, 0.5])
def test_simultaneous_descent_multiplies_h_by_one_plus_the_square_of_the_step(lr):
    game = gd.games.bilinear(1)
    orbit = gd.simulate(gd.StepMap(gd.Simultaneous(lr), game), [1.0, 0.3], steps=50)
    drift = hamiltonian_drift(game, orbit)
    assert drift.rate == pytest.approx(np.log(1 + lr**2), rel=1e-9)
    assert drift.largest == pytest.approx((1 + lr**2) ** 50 - 1, rel=1e-9)


def test_the_rate_of_h_is_that_of_the_symmetric_part():
    game = gd.zero_sum("x*y + x**2/8 - y**2/8", min="x", max="y")  # S = I/4: H falls at twice that
    drift = hamiltonian_drift(game, gd.flow(game, [1.0, 0.0], 3.0))
    assert drift.rate == pytest.approx(-0.5, rel=1e-7)


@settings(max_examples=8)
@given(bilinear_games(max_size=2, low=0.2, high=0.9), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_m03_alternating_descent_conserves_the_quadratic_form_of_bailey_and_others(game, a, b):
    n = game.dim // 2
    a, b = round(a, 6), round(b, 6)
    A = gd.jacobian(game, np.zeros(game.dim)).to_dense()[:n, n:]
    T = gd.StepMap(gd.Alternating(a), gd.two_timescale(b / a)(game))
    orbit = gd.simulate(T, np.linspace(0.4, 1, game.dim), steps=300, backend="numpy")
    Q = np.block([[np.eye(n) / a, -A / 2], [-A.T / 2, np.eye(n) / b]]) * 2  # ‖x‖²/η₁ + ‖y‖²/η₂ - xᵀAy
    assert hamiltonian_drift(game, orbit, Q).largest < 1e-11
    other = Q * np.block([[np.ones((n, n)), -np.ones((n, n))], [-np.ones((n, n)), np.ones((n, n))]])
    assert hamiltonian_drift(game, orbit, other).largest > 1e-3  # y first has the other sign
    basis = quadratic_invariants(T, np.zeros(game.dim))
    left = Q - np.tensordot(np.tensordot(basis, Q, 2), basis, 1)
    assert np.linalg.norm(left) < 1e-8 * np.linalg.norm(Q)


def test_invariants_of_flows_and_maps_are_conserved_and_none_is_missed():
    rotation = quadratic_invariants(gd.games.bilinear(1), [0.0, 0.0])
    assert len(rotation) == 1
    np.testing.assert_allclose(rotation[0] / rotation[0][0, 0], np.eye(2), atol=1e-12)
    assert len(quadratic_invariants(gd.zero_sum("x*y + x**2", min="x", max="y"), [0.0, 0.0])) == 0
    saddle = quadratic_invariants(np.diag([1.0, -1.0]))  # xy
    np.testing.assert_allclose(abs(saddle[0]), [[0, np.sqrt(0.5)], [np.sqrt(0.5), 0]], atol=1e-12)
    two = np.diag([1.0, 2.0])
    turn = np.block([[0 * two, two], [-two, 0 * two]])
    assert len(quadratic_invariants(turn)) == 2  # one for each frequency
    assert len(quadratic_invariants(np.block([[0 * np.eye(2), np.eye(2)], [-np.eye(2), 0 * np.eye(2)]]))) == 4


def test_any_quantity_can_be_followed_and_a_centre_moved():
    game = gd.zero_sum("(x - 1)*(y + 2)", min="x", max="y")
    orbit = gd.flow(game, [3.0, -2.0], 4.0)
    assert hamiltonian_drift(game, orbit, np.eye(2), centre=[1, -2]).largest < 1e-8
    assert hamiltonian_drift(game, orbit, np.eye(2)).largest > 0.1
    drift = hamiltonian_drift(game, orbit, lambda z: z[0])
    assert drift.values[0] == 3
    assert np.isnan(hamiltonian_drift(game, np.array([[1.0, 0.0], [-1.0, 0.0]]), lambda z: z[0]).rate)


def test_h_of_a_network_falls_under_a_stable_flow(gan):
    start = gan.initial().double()
    drift = hamiltonian_drift(gan, [start, start])
    assert drift.rate == 0
    v = gd.field(gan, start)
    assert drift.values[0] == pytest.approx(float(v @ v) / 2, rel=1e-12)


# what is refused ------------------------------------------------------------------------------------


def test_what_follows_a_point_that_is_not_finite_is_left_out():
    game = gd.games.bilinear(1)
    orbit = np.array([[1.0, 0.0], [2.0, 0.0], [np.nan, 0.0], [4.0, 0.0]])
    assert len(hamiltonian_drift(game, orbit).values) == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g: gd.rotation(g, [0.0]), "d = 2"),
        (lambda g: gd.rotation(np.ones((2, 3))), "square"),
        (lambda g: gd.rotation(np.array([[1j]])), "complex"),
        (lambda g: gd.rotation(gd.jacobian(g, [0.0, 0.0]), [0.0, 0.0]), "leave out z"),
        (lambda g: probed_norms(gd.jacobian(g, [0.0, 0.0]), 1, 0), "at least 2"),
        (lambda g: curl_energy(g, np.zeros((3, 2)), probes=1), "at least 2"),
        (lambda g: curl_energy(g, np.zeros((3, 2, 4))), "a batch of 4"),
        (lambda g: curl_energy(g, np.zeros(2)), "an array .n, d."),
        (lambda g: curl_energy(g, np.zeros((3, 5))), "d = 2"),
        (lambda g: curl_energy(g, np.full((3, 2), np.nan)), "at least 1"),
        (lambda g: circulation(g, np.zeros((1, 2))), "at least 2"),
        (lambda g: circulation(g, np.zeros((2, 2)), nodes=0), "positive int"),
        (lambda g: hamiltonian_drift(g, np.zeros((2, 2)), np.array([[1, 2], [0, 1]])), "not symmetric"),
        (lambda g: hamiltonian_drift(g, np.zeros((2, 2)), np.eye(3)), "needs Q"),
        (lambda g: hamiltonian_drift(g.field("array", {}), np.zeros((2, 2)), params={"a": 1}), "already"),
        (lambda g: quadratic_invariants(np.eye(41)), "up to d = 40"),
        (lambda g: quadratic_invariants(np.eye(2), kind="jacobian"), "give -J"),
    ],
)
def test_bad_input_says_what_is_needed(call, said):
    with pytest.raises(ValueError, match=said):
        call(gd.games.bilinear(1))
