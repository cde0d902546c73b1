"""Pseudospectra, numerical range, Kreiss constant and transient growth against closed forms and dense oracles."""

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import minimize_scalar
from scipy.sparse.linalg import aslinearoperator

import gamedyn as gd
from gamedyn.stability.nonnormal.kreiss import kreiss_constant
from gamedyn.stability.nonnormal.numerical_range import numerical_range
from gamedyn.stability.nonnormal.pseudospectrum import pseudospectrum
from gamedyn.stability.nonnormal.resolvent import ProjectedResolvent, Resolvent
from gamedyn.stability.nonnormal.resolvent_peak import Peaks
from gamedyn.stability.nonnormal.transient import transient_growth
from gamedyn.testing.strategies import orthogonal


def grcar(n):
    """-1 below the diagonal, 1 on it and on three above."""
    return sum(np.eye(n, k=k) for k in range(4)) - np.eye(n, k=-1)


def sheared(N):
    """[[-1, N], [0, -1]]: exp(tM) = e^{-t}[[1, Nt], [0, 1]]."""
    return np.array([[-1.0, N], [0.0, -1.0]])


def close_call(m="2.001"):
    """A local minimax whose Schur complement m² - 4 is small, a little above its threshold τ* = 4."""
    game = gd.zero_sum("-2*x**2 + m*x*y - y**2/2", min="x", max="y").bind(m=sp.Rational(m))
    return gd.two_timescale(sp.Rational("4.02"))(game)


@st.composite
def stable_matrices(draw, kind):
    """QᵀTQ, T triangular with a drawn stable spectrum and drawn couplings up to 4."""
    d = draw(st.integers(1, 5))
    entries = lambda low, high, n: draw(st.lists(st.floats(low, high), min_size=n, max_size=n))  # noqa: E731
    values = entries(-2.0, -0.01, d) if kind == "flow" else entries(-0.99, 0.99, d)
    T = np.diag(values)
    T[np.triu_indices(d, 1)] = entries(-4.0, 4.0, d * (d - 1) // 2)
    Q = draw(orthogonal(d))
    return Q.T @ T @ Q


# σ_min ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 8, 9, 33, 64])
def test_inverse_lanczos_gives_the_smallest_singular_value(n):
    rng = np.random.default_rng(n)
    matrix = rng.standard_normal((n, n)) + np.triu(rng.standard_normal((n, n)), 2)
    z = rng.standard_normal((3, 7)) * 2 + 1j * rng.standard_normal((3, 7))
    expected = np.linalg.svd(z[..., None, None] * np.eye(n) - matrix, compute_uv=False)[..., -1]
    np.testing.assert_allclose(Resolvent(matrix).smallest(z), expected, rtol=1e-7, atol=1e-13)


def test_a_point_on_an_eigenvalue_has_sigma_zero_up_to_rounding():
    R = Resolvent(np.diag(np.arange(20.0)) + np.eye(20, k=1))
    assert R.smallest(3.0) <= R.floor


def test_conjugate_halves_of_a_grid_are_what_direct_evaluation_gives():
    for resolution in (20, 21):
        P = pseudospectrum(grcar(12), resolution=resolution)
        np.testing.assert_allclose(P.sigma, P.smallest_singular_value(P.x + 1j * P.y[:, None]), rtol=1e-8)
    M = np.array([[1j, 2], [0, -1]])  # complex: no mirror image
    P = pseudospectrum(M, box=((-2, 2), (-2, 2)), resolution=9)
    np.testing.assert_allclose(P.sigma, P.smallest_singular_value(P.x + 1j * P.y[:, None]), rtol=1e-12)
    assert abs(P.sigma - P.sigma[::-1]).max() > 0.1


def test_sigma_of_a_normal_matrix_is_the_distance_to_the_spectrum():
    P = pseudospectrum(gd.games.bilinear(1), [0.0, 0.0], resolution=15)
    z = P.x + 1j * P.y[:, None]
    np.testing.assert_allclose(P.sigma, np.minimum(abs(z - 1j), abs(z + 1j)), atol=1e-14)


# Grcar ----------------------------------------------------------------------------------------------


def test_grcar_sigma_falls_exponentially_inside_the_symbol_curve_and_settles_outside():
    inside, outside = 0.8 + 2.2j, -1.5 + 0j  # winding number of f(t) - z: not 0, 0
    f = lambda t: 1 / t * -1 + 1 + t + t**2 + t**3  # noqa: E731
    t = np.exp(1j * np.linspace(0, 2 * np.pi, 20001))
    winding = [round(np.sum(np.diff(np.unwrap(np.angle(f(t) - z)))) / (2 * np.pi)) for z in (inside, outside)]
    assert winding[0] != 0
    assert winding[1] == 0
    sizes = (16, 32, 64)
    low, high = np.array([Resolvent(grcar(n)).smallest([inside, outside]) for n in sizes]).T
    assert low[1] < 0.1 * low[0]
    assert low[2] < 0.1 * low[1]
    assert high[2] > 0.9 * high[1]


def test_grcar_eigenvalues_of_the_matrix_and_its_transpose_differ_and_both_lie_in_a_tiny_pseudospectrum():
    n = 120
    G = grcar(n)
    P = pseudospectrum(G, resolution=2)
    one, other = np.linalg.eigvals(G), np.linalg.eigvals(G.T)
    apart = np.max(np.min(abs(one[:, None] - other), axis=1))
    assert apart > 1e-3  # "the" eigenvalues are not known to three digits
    assert np.all(P.contains(one, 1e-13))
    assert np.all(P.contains(other, 1e-13))
    assert not P.contains(np.max(other.real) + 1.0, 1e-3)


def test_an_eigenvalue_with_a_residual_lies_in_that_pseudospectrum():
    G, rng = grcar(50), np.random.default_rng(1)
    P = pseudospectrum(G, resolution=2)
    values, vectors = np.linalg.eig(G)
    for k in range(0, 50, 7):
        x = vectors[:, k] + 1e-5 * rng.standard_normal(50)
        value = values[k] + 1e-4
        residual = np.linalg.norm(G @ x - value * x) / np.linalg.norm(x)
        assert P.contains(value, residual)


def test_the_edge_is_attained_by_the_perturbation_made_of_singular_vectors():
    G, epsilon = grcar(20), 1e-3
    P = pseudospectrum(G, resolution=2)
    edge = P.edge(epsilon)
    sigma = lambda y: float(P.smallest_singular_value(edge + 1j * y))  # noqa: E731
    rough = min(np.linspace(0, 4, 401), key=sigma)
    least = minimize_scalar(sigma, bounds=(rough - 0.01, rough + 0.01), options={"xatol": 1e-12})
    assert least.fun == pytest.approx(epsilon, rel=1e-6)
    z = edge + 1j * least.x
    u, s, v = np.linalg.svd(z * np.eye(20) - G)
    E = s[-1] * np.outer(u[:, -1], v[-1])
    assert np.min(abs(np.linalg.eigvals(G + E) - z)) < 1e-6
    assert np.linalg.norm(E, 2) == pytest.approx(epsilon, rel=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(50):
        E = rng.standard_normal((20, 20))
        assert np.linalg.eigvals(G + epsilon * E / np.linalg.norm(E, 2)).real.max() <= edge + 1e-6


def test_edges_of_a_normal_matrix_are_those_of_the_spectrum_moved_by_epsilon():
    g = gd.games.bilinear(1)
    assert pseudospectrum(g, [0.0, 0.0], resolution=2).edge(0.2) == pytest.approx(-0.2)
    assert pseudospectrum(g, [0.0, 0.0], kind="flow", resolution=2).edge(0.2) == pytest.approx(0.2)
    T = gd.StepMap(gd.Extragradient(0.5), g)
    assert pseudospectrum(T, [0, 0], resolution=2).edge(0.1) == pytest.approx(abs(0.75 + 0.5j) + 0.1)


# projected ------------------------------------------------------------------------------------------


def test_a_krylov_space_sees_pseudospectra_from_inside_and_more_with_every_step():
    rng = np.random.default_rng(0)
    M = np.triu(rng.standard_normal((200, 200)), 1) / 10 + np.diag(np.linspace(-1, 1, 200))
    z = (np.linspace(-2, 2, 9) + 1j * np.linspace(0, 1, 5)[:, None]).ravel()
    true = Resolvent(M).smallest(z)
    before = np.full(len(z), np.inf)
    for steps in (5, 20, 60):
        found = ProjectedResolvent(aslinearoperator(M), steps).smallest(z)
        assert np.all(found >= true * (1 - 1e-9) - 1e-13)
        assert np.all(found <= before * (1 + 1e-9))
        before = found


def test_an_invariant_krylov_space_ends_the_recursion():
    found = ProjectedResolvent(aslinearoperator(np.diag([1.0, 1.0, 2.0, 2.0])), 4)
    np.testing.assert_allclose(np.sort(found.eigenvalues.real), [1, 2], atol=1e-12)
    assert found.smallest(1.5) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def large():
    """A torch game with d = 700: 350 copies of min -x²/2 + 2xy - y²/2·w with weights, v linear."""
    n = 350
    weights = torch.linspace(0.5, 2, n, dtype=torch.float64)

    def costs(z):
        x, y = z[:n], z[n:]
        f = (0.5 * x**2 + 3 * weights * x * y - 0.5 * weights * y**2).sum() + (x[1:] * x[:-1]).sum() / 4
        return [f, -20 * f]

    return gd.callable_game(costs, sizes=[n, n]), torch.zeros(2 * n, dtype=torch.float64)


def test_large_games_are_projected_and_agree_with_the_dense_matrix(large):
    game, z = large
    J = gd.jacobian(game, z).to_dense().numpy()
    P = pseudospectrum(game, z, krylov=40, resolution=12)
    assert P.is_projected
    assert "Krylov space of dimension 40" in repr(P)
    inside = P.contains(P.x + 1j * P.y[:, None], 1.0)
    true = Resolvent(J)
    assert inside.any()
    for x, y in np.argwhere(inside)[::20]:
        assert true.smallest(P.x[y] + 1j * P.y[x]) <= 1.0 + 1e-9
    W, S = numerical_range(game, z, angles=8), (J + J.T) / 2
    assert W.real_interval == pytest.approx(tuple(np.linalg.eigvalsh(S)[[0, -1]]), rel=1e-8)
    K = kreiss_constant(game, z, krylov=30)
    assert "lower bound on a Krylov space" in K.method
    grown = transient_growth(game, z, modes=12)
    assert "lower bound" in grown.method
    assert np.linalg.norm(grown.start) == pytest.approx(1, abs=1e-12)
    end = expm(-grown.time * J) @ grown.start
    np.testing.assert_allclose(end, grown.end, atol=1e-6 * grown.growth)
    with pytest.raises(ValueError, match="dense limit 600"):
        P.edge(0.1)


def test_a_large_unstable_operator_has_a_huge_lower_bound_and_is_called_unstable():
    M = np.diag(np.linspace(-1, -0.5, 700)) + np.eye(700, k=1) / 4
    M[0, 0] = 0.3
    K = kreiss_constant(M, krylov=80)
    assert K.lower > 1e4
    assert K.point.real == pytest.approx(0.3, abs=1e-3)
    assert "Ritz values are unstable" in K.method
    stable = kreiss_constant(M - 0.4 * np.eye(700), krylov=80)
    assert stable.lower < 10
    assert "unstable" not in stable.method


# numerical range ------------------------------------------------------------------------------------


def test_the_numerical_range_of_a_two_by_two_matrix_is_an_ellipse_around_its_eigenvalues():
    M = np.array([[1.0, 2.0], [0.0, 3.0]])  # foci 1, 3; minor axis 2, major √(4 + 4)
    W = numerical_range(M)
    np.testing.assert_allclose(abs(W.points - 1) + abs(W.points - 3), 2 * np.sqrt(2), atol=1e-12)
    assert W.imaginary_interval == pytest.approx((-1, 1))
    assert W.real_interval == pytest.approx((2 - np.sqrt(2), 2 + np.sqrt(2)))


@given(stable_matrices("flow"))
def test_the_numerical_range_contains_the_spectrum_and_every_quotient(M):
    W = numerical_range(M)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(M), 20)) + 1j * rng.standard_normal((len(M), 20))
    quotients = np.sum(x.conj() * (M @ x), axis=0) / np.sum(abs(x) ** 2, axis=0)
    for w in (*np.linalg.eigvals(M), *quotients):
        assert W.contains(w) is not False
    assert W.abscissa == pytest.approx(np.linalg.eigvalsh((M + M.T) / 2)[-1], abs=1e-12)
    low, high = W.radius
    assert low <= high <= low * 1.01 + 1e-12


def test_the_numerical_abscissa_is_the_slope_of_the_norm_at_the_start():
    W = numerical_range(sheared(20))
    h = 1e-7
    assert (np.linalg.norm(expm(h * sheared(20)), 2) - 1) / h == pytest.approx(W.abscissa, rel=1e-4)
    assert W.abscissa == pytest.approx(9.0)
    assert W.grows_at_once
    assert not numerical_range(sheared(1)).grows_at_once


def test_a_monotone_game_has_its_numerical_range_on_the_right():
    g = gd.zero_sum("x**2/2 + 3*x*y - y**2", min="x", max="y")
    W = numerical_range(g, [0.0, 0.0])
    assert W.real_interval == pytest.approx((1, 2))
    assert not W.grows_at_once
    assert numerical_range(g, [0.0, 0.0], kind="flow").real_interval == pytest.approx((-2, -1))


# Kreiss constant ------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [4.0, 20.0, 1000.0])
def test_kreiss_constant_of_a_jordan_block_is_in_closed_form(N):
    K = kreiss_constant(sheared(N), tolerance=1e-6)
    exact = N / 4 + 1 / N
    assert K.lower <= exact * (1 + 1e-9)
    assert exact <= K.upper
    assert K.upper / K.lower <= 1 + 2e-6


@pytest.mark.parametrize("kind", ["flow", "map"])
def test_kreiss_bounds_hold_against_a_fine_grid_and_the_lower_one_is_attained(kind):
    M = grcar(12) - 1.75 * np.eye(12) if kind == "flow" else np.eye(12, k=1) * 1.5 + 0.2 * np.eye(12)
    K = kreiss_constant(M, kind=kind)
    distance = np.geomspace(1e-3, 30, 100)[:, None]
    around = np.linspace(-np.pi, np.pi, 101)
    z = distance + 3j * around if kind == "flow" else (1 + distance) * np.exp(1j * around)
    grid = np.max(distance / Resolvent(M).smallest(z))
    assert grid <= K.upper
    assert K.lower >= grid * (1 - 1e-3)
    s = K.point.real if kind == "flow" else abs(K.point) - 1
    at_point = s / np.linalg.svd(K.point * np.eye(12) - M, compute_uv=False)[-1]
    assert at_point == pytest.approx(K.lower, rel=1e-6)


@pytest.mark.parametrize("kind", ["flow", "map"])
def test_the_peak_on_a_curve_is_the_global_one(kind):
    rng = np.random.default_rng(2)
    for _ in range(10):
        M = rng.standard_normal((6, 6))
        values = np.linalg.eigvals(M)
        M = M - (values.real.max() + 0.05) * np.eye(6) if kind == "flow" else M / abs(values).max() * 0.95
        height, z = Peaks(M, kind)(0.02)
        line = np.linspace(-6, 6, 6001)
        curve = 0.02 + 1j * line if kind == "flow" else 1.02 * np.exp(1j * line)
        assert height >= np.max(1 / Resolvent(M).smallest(curve)) * (1 - 1e-6)
        assert 1 / Resolvent(M).smallest(z) == pytest.approx(height, rel=1e-6)


def test_a_contraction_has_kreiss_constant_one_and_an_unstable_matrix_an_infinite_one():
    assert kreiss_constant(sheared(1)).upper == 1
    assert kreiss_constant(np.diag([0.5, -1.0]), kind="map").upper == 1
    assert kreiss_constant([[0.1, 5.0], [0.0, -1.0]]).lower == np.inf
    assert kreiss_constant([[1.1, 5.0], [0.0, -1.0]], kind="map").lower == np.inf


def test_a_spectrum_on_the_border_has_a_lower_bound_only():
    K = kreiss_constant([[0.0, 4.0], [-1.0, 0.0]])  # projectors of norm (2 + 1/2)/2
    assert K.lower == pytest.approx(1.25, rel=1e-4)
    assert np.isnan(K.upper)
    assert "touches the border" in repr(K)


def test_a_spectrum_that_is_stable_only_up_to_rounding_is_called_so():
    G = grcar(200)
    K = kreiss_constant(G - (np.linalg.eigvals(G).real.max() + 0.1) * np.eye(200), tolerance=0.1)
    assert K.lower > 1e9
    assert np.isnan(K.upper)


# transient growth -----------------------------------------------------------------------------------


def test_growth_of_a_jordan_block_is_in_closed_form():
    N, t = 20.0, np.linspace(0, 5, 200001)
    norm = np.exp(-t) * (N * t / 2 + np.sqrt(1 + (N * t / 2) ** 2))
    found = transient_growth(sheared(N))
    assert found.growth == pytest.approx(norm.max(), rel=1e-9)
    assert found.time == pytest.approx(t[np.argmax(norm)], abs=1e-4)
    np.testing.assert_allclose(expm(found.time * sheared(N)) @ found.start, found.end, atol=1e-10)
    assert np.linalg.norm(found.end) == pytest.approx(found.growth, rel=1e-12)
    assert found.horizon is None


def test_growth_of_a_nilpotent_map_is_that_of_its_powers():
    M = 3 * np.eye(6, k=1)  # ‖Mᵏ‖ = 3ᵏ, k <= 5
    found = transient_growth(M, kind="map")
    assert (found.growth, found.time) == (pytest.approx(3.0**5), 5)
    assert isinstance(found.time, int)
    assert abs(found.start[-1]) == pytest.approx(1)


@given(stable_matrices("flow"))
def test_growth_of_a_flow_lies_between_its_bounds(M):
    _check_bounds(transient_growth(M), [np.linalg.norm(expm(t * M), 2) for t in np.geomspace(1e-2, 200, 60)])


@given(stable_matrices("map"))
def test_growth_of_a_map_lies_between_its_bounds(M):
    _check_bounds(
        transient_growth(M, kind="map"), [np.linalg.norm(np.linalg.matrix_power(M, k), 2) for k in range(150)]
    )


def _check_bounds(found, seen):
    assert found.horizon is None
    assert 1 <= found.lower <= found.growth * (1 + 1e-7)
    assert found.growth <= found.upper * (1 + 1e-7)
    assert found.growth <= found.abscissa_bound * (1 + 1e-7)
    assert max(seen) <= found.growth * (1 + 1e-4)


def test_a_two_timescale_game_and_extragradient_grow_fifty_fold_before_they_settle():
    game = close_call()
    flow = transient_growth(game, [0, 0])
    T = gd.StepMap(gd.Extragradient(lr=0.02), game)
    step = transient_growth(T, [0, 0])
    assert gd.spectral_radius(T, [0.0, 0.0]) < 0.9999
    for found in (flow, step):
        assert 50 < found.growth < found.upper < 100
        assert found.lower > 30
    orbit = gd.simulate(T, step.start, steps=step.time).z
    assert np.linalg.norm(orbit[-1]) == pytest.approx(step.growth, rel=1e-9)
    late = gd.simulate(T, step.start, steps=60_000, every=60_000).z[-1]
    assert np.linalg.norm(late) < 1e-2


def test_an_unstable_flow_grows_without_end_unless_the_time_has_one():
    M = np.array([[0.5, 1.0], [0.0, -1.0]])
    assert transient_growth(M).growth == np.inf
    assert transient_growth(M).start is None
    found = transient_growth(M, horizon=3.0)
    assert found.time == 3.0
    assert found.growth == pytest.approx(np.linalg.norm(expm(3 * M), 2), rel=1e-12)


def test_a_rotation_in_skewed_axes_grows_by_the_ratio_of_its_axes():
    found = transient_growth([[0.0, 4.0], [-1.0, 0.0]])  # an ellipse of axes 2 : 1
    assert found.growth == pytest.approx(2, rel=1e-9)
    assert found.time == pytest.approx(np.pi / 4, abs=1e-4)
    assert found.horizon is not None  # no time proves that nothing follows


# what is meant --------------------------------------------------------------------------------------


def test_a_game_a_jacobian_a_field_and_a_matrix_mean_the_same():
    g = gd.zero_sum("x**2/2 + 3*x*y - y**2", min="x", max="y")
    z = [0.3, -0.2]
    J = gd.jacobian(g, z)
    for M, at in ((g, z), (J, None), (g.field("array", {}), z), (gd.jacobian(g, [1, 2]), None)):
        assert numerical_range(M, at).real_interval == pytest.approx((1, 2))
        assert kreiss_constant(M, at).lower == 1
    for matrix in (
        J.to_dense(),
        torch.tensor(J.to_dense()),
        sp.Matrix([[1, 3], [-3, 2]]),
        aslinearoperator(J.to_dense()),
    ):
        assert numerical_range(matrix, kind="jacobian").real_interval == pytest.approx((1, 2))
        assert transient_growth(-matrix).growth == 1


def test_parameters_are_bound():
    g = gd.zero_sum("a*x**2/2 + x*y - a*y**2/2", min="x", max="y")
    assert numerical_range(g, [0.0, 0.0], {"a": 3}).abscissa == pytest.approx(3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pseudospectrum(np.ones((2, 3))), "square matrix"),
        (lambda: pseudospectrum([[np.nan, 1], [0, 1]]), "not finite"),
        (lambda: pseudospectrum(sp.Matrix([[sp.Symbol("q")]])), "free in the matrix"),
        (lambda: pseudospectrum(np.eye(2), kind="spiral"), "jacobian, flow, map"),
        (lambda: pseudospectrum(np.eye(2), box=((1, 0), (0, 1))), "x0 < x1"),
        (lambda: pseudospectrum(np.eye(2), resolution=1), "at least 2"),
        (lambda: pseudospectrum(np.eye(2)).contains(0, -1), "not negative"),
        (lambda: pseudospectrum(np.eye(2)).edge(0), "positive number"),
        (lambda: pseudospectrum(gd.games.bilinear(1)), "give the point z"),
        (lambda: pseudospectrum(np.eye(2), [0, 0]), "leave out z"),
        (lambda: pseudospectrum(gd.jacobian(gd.games.bilinear(1), [0.0, 0.0]), [0, 0]), "leave out z"),
        (lambda: pseudospectrum(gd.games.bilinear(1), [0.0, 0.0, 0.0]), "d = 2"),
        (lambda: pseudospectrum(gd.games.bilinear(1), [0, 0], kind="map"), "StepMap"),
        (lambda: pseudospectrum(gd.StepMap(gd.Extragradient(0.1), gd.games.bilinear(1))), "give the point"),
        (lambda: pseudospectrum(gd.StepMap(gd.Extragradient(0.1), gd.games.bilinear(1)), [1, 0]), "no equilibrium"),
        (
            lambda: pseudospectrum(gd.StepMap(gd.Extragradient(0.1), gd.games.bilinear(1)), [0, 0], kind="flow"),
            "its game",
        ),
        (lambda: numerical_range(np.eye(2), angles=6), "multiple of 4"),
        (lambda: kreiss_constant(np.eye(2), kind="jacobian"), "give -J"),
        (lambda: kreiss_constant(np.eye(2), tolerance=0), "positive"),
        (lambda: transient_growth(np.eye(2), horizon=-1), "positive time"),
        (lambda: transient_growth(np.eye(2), params={"a": 1}), "no parameters"),
    ],
)
def test_bad_input_says_what_is_needed(call, said):
    with pytest.raises(ValueError, match=said):
        call()
