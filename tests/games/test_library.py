"""The named games say of themselves only what can be recomputed."""

from __future__ import annotations

import subprocess
import sys
import time
from decimal import Decimal

import numpy as np
import pytest
import sympy as sp
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import solve_ivp
from scipy.optimize import root

import gamedyn as gd
from gamedyn.games.minimax import decimals
from gamedyn.games.symbolic import SymbolicGame

GAMMA, SIGMA = sp.Symbol("gamma", positive=True), sp.Symbol("sigma", positive=True)
NEEDS_MATRICES = {
    "quadratic": lambda: gd.games.quadratic([[[2, 1], [1, 0]], [[0, -1], [-1, 2]]], sizes=[1, 1]),
    "bimatrix": lambda: gd.games.bimatrix([[2, 1], [0, 3]], [[1, 0], [2, -1]]),
    "zero_sum_quadratic": lambda: gd.games.zero_sum_quadratic([[2, 1], [1, 3]], [[1], [2]], [[1]]),
}
GAMES = {name: NEEDS_MATRICES.get(name, constructor)() for name, constructor in gd.games.names().items()}
LOSSES = ("gan", "non_saturating", "wgan")
PENALTIES = (
    gd.games.R1(0.3),
    gd.games.R2(1),
    gd.games.InstanceNoise(0.7),
    gd.games.Consensus(1),
    gd.games.Clip(1),
    gd.games.R1(GAMMA),
    gd.games.InstanceNoise(SIGMA),
    gd.games.Consensus(GAMMA),
)
DIRAC = {f"{loss}-{p}": gd.games.dirac_gan(loss, p) for loss in LOSSES for p in (None, *PENALTIES)}


def jacobian(game: SymbolicGame, point: tuple) -> sp.Matrix:
    """J at a point."""
    rows = sp.Matrix(game.field("exact").field_function.jacobian())
    return rows.xreplace(dict(zip(game.symbols, map(sp.sympify, point), strict=True))).applyfunc(sp.simplify)


def half_digit(number: sp.Expr) -> float:
    """Half a unit of the last digit of a decimal; 1e-12 of an exact number."""
    if isinstance(number, sp.Float):
        return 0.5 * 10.0 ** Decimal(str(number)).as_tuple().exponent
    return 1e-12 * (1 + abs(float(number)))


def printed(number: sp.Expr) -> float:
    """A decimal as printed: the binary number behind few digits is a little off."""
    return float(str(number)) if isinstance(number, sp.Float) else float(number)


def root_near(game: SymbolicGame, point: tuple[sp.Expr, ...]) -> np.ndarray:
    """Newton's method on v from `point`."""
    F, z = game.field("array"), np.array([float(p) for p in point])
    for _ in range(20):
        J = np.stack([F.jvp(z, e) for e in np.eye(len(z))], axis=1)
        z = z - np.linalg.solve(J, F(z))
    return z


def matched(stated: tuple[sp.Expr, ...], computed: np.ndarray) -> bool:
    """Whether the eigenvalues are the stated ones, to the digits stated."""
    left = list(computed)
    for value in stated:
        re, im = value.as_real_imag()
        near = min(left, key=lambda c: abs(c - complex(value)), default=np.inf)
        if abs(near.real - printed(re)) > half_digit(re) or abs(near.imag - printed(im)) > half_digit(im):
            return False
        left.remove(near)
    return not left


def is_spectrum(stated: tuple[sp.Expr, ...], J: sp.Matrix) -> bool:
    """Whether det(λI - J) = Π (λ - λₖ), exactly."""
    lam = sp.Symbol("lam")
    product = sp.prod([lam - e for e in stated])
    return sp.simplify(sp.expand(J.charpoly(lam).as_expr(lam) - product)) == 0


def is_exact(expressions: tuple[sp.Expr, ...]) -> bool:
    return not any(e.has(sp.Float) for e in expressions)


# every game --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GAMES)
def test_stated_equilibria_are_zeros_of_the_field(name):
    game = GAMES[name]
    for point in game.facts.equilibria:
        if is_exact(point):
            value = game.field("exact")(sp.ImmutableMatrix(point))
            assert all(sp.simplify(e) == 0 for e in value)
        else:
            assert np.all(
                np.abs(root_near(game, point) - [printed(p) for p in point]) <= [half_digit(p) for p in point]
            )


@pytest.mark.parametrize("name", GAMES)
def test_stated_spectra_are_those_of_the_game_jacobian(name):
    game = GAMES[name]
    for point, spectrum in zip(game.facts.equilibria, game.facts.spectra, strict=False):
        if is_exact(point):
            assert is_spectrum(spectrum, jacobian(game, point))
        else:
            J = jacobian(game, root_near(game, point)).evalf(17)
            assert matched(spectrum, np.linalg.eigvals(np.array(J, dtype=float)))


def test_a_wrong_eigenvalue_is_noticed():
    assert matched((sp.I * 2, -sp.I * 2), np.array([2j, -2j]))
    assert not matched((sp.I * 2, -sp.I * 2), np.array([2j, -2.001j]))
    assert not matched((sp.I * 2,), np.array([2j, -2j]))
    assert not matched(decimals("0.44"), np.array([0.446]))
    assert matched(decimals("0.44"), np.array([0.4449]))
    assert not is_spectrum((sp.I * 2, -sp.I), sp.Matrix([[0, 2], [-2, 0]]))


@pytest.mark.parametrize("name", GAMES)
def test_every_game_has_a_source_and_every_spectrum_its_equilibrium(name):
    facts = GAMES[name].facts
    assert facts.source
    assert len(facts.spectra) in (0, len(facts.equilibria))
    assert all(len(s) == GAMES[name].dim for s in (*facts.equilibria, *facts.spectra))


@pytest.mark.parametrize("name", GAMES)
def test_the_array_and_the_exact_field_agree(name):
    game = GAMES[name]
    z = [sp.Rational(k + 3, 7) * (-1) ** k for k in range(game.dim)]
    exact = np.array([float(e) for e in game.field("exact")(sp.ImmutableMatrix(z))])
    np.testing.assert_allclose(game.field("array")(np.array(z, dtype=float)), exact, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", [*GAMES, *(n for n in DIRAC if "gamma=gamma" not in n and "sigma=sigma" not in n)])
def test_the_array_and_the_neural_field_agree(name):
    game = {**GAMES, **DIRAC}[name]
    z = np.linspace(-0.4, 0.9, game.dim)
    neural = game.field("neural")(torch.tensor(z)).detach().numpy()
    np.testing.assert_allclose(neural, game.field("array")(z), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", sorted(set(GAMES) - {"polar"}))
def test_the_field_is_the_gradient_of_the_costs(name):
    game = GAMES[name]
    F, z, h = game.field("array"), np.linspace(0.3, 0.8, game.dim), 1e-6
    costs = sp.lambdify(game.symbols, game.costs)
    for p, c in zip(game.players, range(len(game.costs)), strict=True):
        for k in range(p.start, p.stop):
            e = h * np.eye(game.dim)[k]
            assert F(z)[k] == pytest.approx((costs(*(z + e))[c] - costs(*(z - e))[c]) / (2 * h), abs=1e-7)


def test_importing_the_library_loads_no_heavy_package():
    heavy = "'torch', 'numba', 'scipy', 'matplotlib'"
    code = f"import sys, gamedyn as gd; gd.games.bilinear; print([m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# quadratic games ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 2), (1, 4)])
def test_bilinear_field_is_the_coupling(shape):
    A = np.random.default_rng(0).normal(size=shape)
    z = np.random.default_rng(1).normal(size=(sum(shape), 5))
    x, y = z[: shape[0]], z[shape[0] :]
    np.testing.assert_allclose(gd.games.bilinear(A).field("array")(z), np.vstack([A @ y, -A.T @ x]), atol=1e-13)


def test_bilinear_with_ten_thousand_entries_builds_fast_and_evaluates_correctly():
    rng = np.random.default_rng(0)
    A, z, u = rng.normal(size=(100, 100)), rng.normal(size=200), rng.normal(size=200)
    start = time.process_time()
    game = gd.games.bilinear(A)
    F = game.field("array")
    value = F(z)
    text = repr(game)
    assert time.process_time() - start < 8  # seconds of a busy machine; minutes without the matrices
    assert len(text) < 200
    np.testing.assert_allclose(value, np.r_[A @ z[100:], -A.T @ z[:100]], atol=1e-12)
    np.testing.assert_allclose(F.jvp(z, u), np.r_[A @ u[100:], -A.T @ u[:100]], atol=1e-12)
    np.testing.assert_allclose(F.vjp(z, u), -F.jvp(z, u), atol=1e-12)
    np.testing.assert_allclose(F.hvp(1, z, u), -F.hvp(0, z, u), atol=1e-12)
    assert F.is_quadratic


def test_grouped_and_expanded_costs_are_the_same_polynomial(monkeypatch):
    A = [[1, sp.Rational(1, 2)], [0, -3]]
    expanded = gd.games.zero_sum_quadratic([[2, 1], [1, 4]], A, [[5, -1], [-1, 6]])
    monkeypatch.setattr("gamedyn.games.affine.EXPANDED", 0)
    grouped = gd.games.zero_sum_quadratic([[2, 1], [1, 4]], A, [[5, -1], [-1, 6]])
    assert grouped.costs[0] != expanded.costs[0]
    assert sp.expand(grouped.costs[0]) == expanded.costs[0]


def test_matrix_entries_may_be_parameters():
    a = sp.Symbol("a")
    game = gd.games.bilinear([[a, 1], [0, 2 * a]])
    assert game.parameters == ("a",)
    np.testing.assert_allclose(game.bind(a=3).field("array")(np.array([1.0, 1, 1, 1])), [4, 6, -3, -7])
    batch = game.field("array", {"a": np.array([3.0, 0.0])})(np.ones((4, 2)))
    np.testing.assert_allclose(batch.T, [[4, 6, -3, -7], [1, 0, 0, -1]])
    assert list(game.bind(a=3).field("exact")(sp.ImmutableMatrix([1, 1, 1, 1]))) == [4, 6, -3, -7]


def test_quadratic_game_has_the_row_blocks_of_its_hessians_as_jacobian():
    rng = np.random.default_rng(3)
    H = [M + M.T for M in rng.integers(-4, 5, size=(3, 4, 4))]
    b = rng.integers(-4, 5, size=(3, 4))
    game = gd.games.quadratic(H, sizes=[1, 2, 1], linear=b)
    rows = np.vstack([H[0][:1], H[1][1:3], H[2][3:]])
    z = rng.normal(size=4)
    np.testing.assert_allclose(game.field("array")(z), rows @ z + [b[0][0], *b[1][1:3], b[2][3]], atol=1e-12)
    np.testing.assert_array_equal(np.array(game.field("exact").field_function.jacobian(), dtype=int), rows)


@pytest.mark.parametrize("step", [gd.Simultaneous(0.1), gd.Extragradient(0.1), gd.alternating(gd.Simultaneous(0.1))])
def test_step_maps_of_matrix_games_and_of_formulas_agree(step):
    matrix = gd.games.zero_sum_quadratic([[2, 1], [1, 4]], [[1, 0], [2, -1]], [[5, -1], [-1, 6]])
    formula = gd.Game(matrix.costs, players=[["x1", "x2"], ["y1", "y2"]])
    z = np.array([0.3, -0.2, 0.7, 0.1])
    S, T = gd.StepMap(step, matrix), gd.StepMap(step, formula)
    np.testing.assert_allclose(S(S.start(z)), T(T.start(z)), atol=1e-14)
    np.testing.assert_allclose(S.jacobian(S.start(z)), T.jacobian(T.start(z)), atol=1e-13)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gd.games.bilinear([1, 2]), "shape"),
        (lambda: gd.games.bilinear([[1, float("nan")]]), "finite"),
        (lambda: gd.games.bilinear([[sp.Symbol("x1", real=True), 1]]), "variables of the game"),
        (lambda: gd.games.zero_sum_quadratic([[0, 1], [0, 0]], np.eye(2), np.eye(2)), "not symmetric"),
        (lambda: gd.games.zero_sum_quadratic(1, np.eye(2), np.eye(2)), "shape"),
        (lambda: gd.games.quadratic([np.eye(2)], sizes=[1, 1]), "one matrix"),
        (lambda: gd.games.quadratic([np.eye(2)] * 2, sizes=[1, 1], linear=[[1], [2]]), "length 2"),
        (lambda: gd.games.dirac_gan("lsgan"), "unknown"),
        (lambda: gd.games.dirac_gan(penalty=gd.games.R1(-1)), "negative"),
        (lambda: gd.games.dirac_gan(penalty=gd.games.Clip(0)), "positive"),
    ],
)
def test_bad_input_says_what_is_needed(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_number_in_place_of_a_penalty_is_refused():
    with pytest.raises(TypeError, match="R1"):
        gd.games.dirac_gan(penalty=0.3)


# the Dirac-GAN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRAC)
def test_dirac_spectra_are_exact_for_every_loss_and_penalty(name):
    game = DIRAC[name]
    (spectrum,) = game.facts.spectra
    assert all(sp.simplify(e) == 0 for e in game.field("exact")(sp.ImmutableMatrix([0, 0])))
    assert is_spectrum(spectrum, jacobian(game, (0, 0)))


def test_published_flow_eigenvalues_of_the_dirac_gan():
    """-J has ±i/2, ±i/2, ±i without penalty; the closed forms of the papers with one."""
    quarter = sp.Rational(1, 4)
    published = {
        (None, "gan"): (0, -quarter),
        (None, "non_saturating"): (0, -quarter),
        (None, "wgan"): (0, sp.Integer(-1)),
        (gd.games.R1(GAMMA), "gan"): (-GAMMA / 2, GAMMA**2 / 4 - quarter),
        (gd.games.InstanceNoise(SIGMA), "gan"): (-(SIGMA**2) / 4, SIGMA**4 / 16 - quarter),
        (gd.games.Consensus(GAMMA), "gan"): (-GAMMA / 4, -quarter),
    }
    for (penalty, loss), (centre, square) in published.items():
        first, second = (-e for e in gd.games.dirac_gan(loss, penalty).facts.spectra[0])
        assert sp.simplify((first + second) / 2 - centre) == 0
        assert sp.simplify(((first - second) / 2) ** 2 - square) == 0


def test_instance_noise_is_the_gaussian_expectation():
    nodes, weights = hermegauss(60)
    sigma, theta, psi = 0.7, 0.8, -1.1
    slope = lambda t: 1 / (1 + np.exp(t))  # noqa: E731 - f′
    mean = lambda values: weights @ values / weights.sum()  # noqa: E731
    fake = psi * (theta + sigma * nodes)
    expected = [
        mean(psi * slope(fake)),
        -mean((theta + sigma * nodes) * slope(fake)) + mean(sigma * nodes * slope(-psi * sigma * nodes)),
    ]
    game = gd.games.dirac_gan("gan", gd.games.InstanceNoise(sigma))
    np.testing.assert_allclose(game.field("array")(np.array([theta, psi])), expected, atol=1e-4)


def test_consensus_penalty_is_the_consensus_transform_with_both_terms():
    z = np.array([0.7, 1.3])
    plain = gd.games.dirac_gan().field("array")
    expected = plain(z) + plain.vjp(z, plain(z))
    np.testing.assert_allclose(
        gd.games.dirac_gan(penalty=gd.games.Consensus(1)).field("array")(z), expected, atol=1e-14
    )


def test_clip_projects_the_discriminator_only():
    F = gd.games.dirac_gan("wgan", gd.games.Clip(0.5)).field("array")
    np.testing.assert_array_equal(F.point(np.array([3.0, -2.0])), [3.0, -0.5])


def test_wgan_gp_does_not_converge():
    T = gd.StepMap(gd.Simultaneous(lr=0.01), gd.games.dirac_gan("wgan", gd.games.GradientPenalty(1, target=0.3)))
    s, tail = T.start(np.array([1.0, 1.0])), []
    for k in range(20_000):
        s = T(s)
        if k >= 15_000:
            tail.append(s[1])
    assert np.ptp(tail) == pytest.approx(0.7908, abs=5e-5)


def test_r1_time_scale_makes_the_spectrum_real_at_one_over_mu_squared():
    mu = 0.3
    J = np.array(jacobian(gd.games.dirac_gan(penalty=gd.games.R1(mu)), (0, 0)), dtype=float)
    for tau, oscillates in ((0.99 / mu**2, True), (1.01 / mu**2, False)):
        eigenvalues = np.linalg.eigvals(np.diag([1, tau]) @ J)
        assert np.all(eigenvalues.real > 0)
        assert (np.abs(eigenvalues.imag).max() > 0) == oscillates


# published games ---------------------------------------------------------------------------------------


def test_fiez_quadratic_has_the_published_jacobian():
    J = jacobian(gd.games.fiez_quadratic(), (0, 0, 0, 0))
    assert J.tolist() == [[-4, 0, -4, 0], [0, 2, 0, 2], [4, 0, 2, 0], [0, -2, 0, 4]]


@pytest.mark.parametrize(
    ("name", "point", "threshold"),
    [
        ("fiez_quadratic", (0, 0, 0, 0), 2),
        ("fiez_polynomial", ("-11.02974", "-11.02974"), 1),
        ("fiez_polynomial", ("-1.62165", "-1.62165"), 1),
        ("fiez_polynomial", ("10.57216", "-8.95174"), 0),
        ("torus", (0, 0), 0.85 / 1.15),
        ("torus", (sp.pi, sp.pi), 1.15 / 0.85),
        ("jin_quadratic", (0, 0), 1),
    ],
)
def test_time_scale_threshold(name, point, threshold):
    game = GAMES[name]
    if isinstance(point[0], str):
        point = tuple(root_near(game, decimals(*point)))
    J = np.array(jacobian(game, point).evalf(17), dtype=float)
    half = game.dim // 2

    def stable(tau: float) -> bool:
        return bool(np.linalg.eigvals(np.diag([1.0] * half + [tau] * half) @ J).real.min() > 0)

    assert stable(threshold + 1e-2)
    assert not stable(threshold - 1e-2)


def test_jin_quadratic_is_local_minimax_but_not_nash():
    (fxx, fxy), (_, minus_fyy) = jacobian(gd.games.jin_quadratic(), (0, 0)).tolist()
    assert fxx < 0 < minus_fyy
    assert fxx + fxy**2 / minus_fyy == sp.Rational(21, 2)


def test_jin_cosine_has_its_global_minimax_where_the_field_is_not_zero():
    game = gd.games.jin_cosine()
    f = sp.lambdify(game.symbols, game.costs[0])
    y = np.linspace(-2 * np.pi, 2 * np.pi, 4001)  # contains ±π
    best = np.array([f(x, y).max() for x in np.linspace(-1, 1, 201)])
    assert best.argmin() == 100
    assert best.min() == pytest.approx(1, abs=1e-12)
    for side in (1, -1):
        assert game.field("array")(np.array([0, side * np.pi]))[0] == pytest.approx(side * 0.2 * np.pi)


def test_jin_nonsmooth_maximised_function_has_a_kink():
    game = gd.games.jin_nonsmooth()
    f = sp.lambdify(game.symbols, game.costs[0])
    for x in np.linspace(-1, 1, 21):
        assert f(x, np.linspace(-1, 1, 201)).max() == pytest.approx(1 + 2 * abs(x), abs=1e-12)


def test_wang_missed_minimax_is_one_and_its_twin_is_none():
    for game, minimax in ((gd.games.wang_missed_minimax(), True), (gd.games.wang_spurious_attractor(), False)):
        (fxx, fxy), (_, minus_fyy) = jacobian(game, (0, 0)).tolist()
        assert (minus_fyy > 0 and fxx + fxy**2 / minus_fyy > 0) == minimax


def test_descent_on_wang_polynomial_ends_away_from_the_minimax_point():
    z, F = np.array([7.0, 5.0]), gd.games.wang_polynomial().field("array")
    for _ in range(1000):
        z = z - 0.05 * F(z)
    np.testing.assert_allclose(z, [1.69, 2.37], atol=5e-3)


@pytest.mark.parametrize("name", ["no_convergence", "market"])
def test_newton_finds_no_second_critical_point(name):
    F = GAMES[name].field("array")
    starts = np.random.default_rng(0).uniform(-2, 2, size=(100, 2))
    found = [r.x for r in (root(F, z, tol=1e-13) for z in starts) if np.abs(F(r.x)).max() < 1e-10]
    assert len(found) > 10
    assert np.abs(found).max() < 1e-8


def long_flow(game: SymbolicGame, z0: tuple[float, float], end: float) -> np.ndarray:
    """The last third of the flow's orbit."""
    F = game.field("array")
    times = np.linspace(2 * end / 3, end, 2000)
    return solve_ivp(lambda _, z: -F(z), (0, end), z0, t_eval=times, rtol=1e-9, atol=1e-11).y


def test_forsaken_flow_settles_on_the_outer_cycle():
    game = gd.games.forsaken()
    centre = np.array(game.facts.equilibria[0], dtype=float)[:, None]
    distance = np.linalg.norm(long_flow(game, (0.5, 0.5), 150) - centre, axis=0)
    assert distance.min() == pytest.approx(0.9226, abs=1e-4)
    assert distance.max() == pytest.approx(1.9172, abs=1e-4)


def test_almost_bilinear_flow_circles_at_four_thirds():
    radius2 = np.sum(long_flow(gd.games.almost_bilinear(0.01), (1.0, 0.5), 900) ** 2, axis=0)
    assert radius2.mean() == pytest.approx(4 / 3, abs=1e-3)


def test_polar_field_is_tangent_to_both_cycles():
    a, t = sp.Symbol("a", positive=True), sp.Symbol("t", real=True)
    F = gd.games.polar(a).field("exact")
    for r in (1, sp.Rational(3, 4)):
        z = sp.ImmutableMatrix([r * sp.cos(t), r * sp.sin(t)])
        assert sp.simplify((z.T * F(z))[0]) == 0


@pytest.mark.parametrize(("start", "end"), [(0.7, 0.0), (0.8, 1.0), (1.3, 1.0)])
def test_polar_cycles_attract_at_one_and_repel_at_three_quarters(start, end):
    radius = np.linalg.norm(long_flow(gd.games.polar(), (start, 0.0), 120), axis=0)
    assert radius[-1] == pytest.approx(end, abs=1e-6)


def test_adolphs_points_are_stable_non_nash_nash_and_unstable():
    game = gd.games.adolphs()
    for point, stable, nash in zip(game.facts.equilibria, (True, True, False), (False, True, False), strict=True):
        J = jacobian(game, point)
        assert all(sp.re(e).evalf() > 0 for e in J.eigenvals()) == stable
        assert (J[0, 0] > 0 and bool(J[1, 1] > 0)) == nash


@pytest.mark.parametrize(("index", "digits"), [(0, ("1", "2.6458")), (1, ("4.828", "3.913")), (2, ("1.876", "-3.533"))])
def test_adolphs_spectra_round_to_the_published_digits(index, digits):
    first, second = gd.games.adolphs().facts.spectra[index]
    numbers = (first, second) if first.is_real else first.as_real_imag()
    for number, decimal in zip(numbers, decimals(*digits), strict=True):
        assert abs(float(number) - printed(decimal)) <= half_digit(decimal)


def test_tandem_equilibria_form_the_line_where_efforts_sum_to_one():
    s = sp.Symbol("s", real=True)
    assert list(gd.games.tandem().field("exact")(sp.ImmutableMatrix([s, 1 - s]))) == [0, 0]


def test_quartic_damps_the_rotation():
    orbit = np.linalg.norm(long_flow(gd.games.quartic(), (1.0, 1.0), 60), axis=0)
    assert orbit[0] < np.sqrt(2)
    assert orbit[-1] < orbit[0]
