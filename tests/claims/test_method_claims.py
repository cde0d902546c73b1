"""Published claims on opponent-aware, lookahead and second-order methods (M10-M12, M14, M15, M17, M18)."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd

ETA, ALPHA = sp.symbols("eta alpha", positive=True)
XY = gd.games.bilinear(1)
ORIGIN = [0, 0]


def radius(method, game=XY, z=ORIGIN):
    return gd.spectral_radius(gd.StepMap(method, game), z)


def step_matrix(method, game=XY, z=ORIGIN):
    T = gd.StepMap(method, game)
    return T.jacobian(T.start([sp.sympify(x) for x in z]))


# M10: the two normalisations of consensus ---------------------------------------------------------------


def test_m10_consensus_half_and_full_are_the_published_normalisations():
    gamma = sp.Symbol("gamma", positive=True)
    half = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.consensus(gamma)))
    full = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.consensus(gamma, "full")))
    assert (half - sp.Matrix([[1 - ETA * gamma, -ETA], [ETA, 1 - ETA * gamma]])).expand() == sp.zeros(2)
    assert (full - half.subs(gamma, 2 * gamma)).expand() == sp.zeros(2)


# M11 -------------------------------------------------------------------------------------------------


def hill():
    """One player on a maximum: f = -κx²/2."""
    return gd.Game(["-kappa*x**2/2"], players=[["x"]])


def test_m11_consensus_is_attracted_by_a_maximum_iff_gamma_is_above_one_over_kappa():
    gamma, kappa = sp.symbols("gamma kappa", positive=True)
    (multiplier,) = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.consensus(gamma)), hill(), [0])
    shift = sp.Symbol("kappa", real=True)
    assert sp.expand(multiplier.subs(shift, kappa) - (1 - ETA * (gamma * kappa**2 - kappa))) == 0


@given(st.floats(0.2, 3), st.floats(0.05, 0.95), st.booleans())
def test_m11_consensus_attracts_to_the_maximum_exactly_beyond_the_threshold(kappa, share, beyond):
    gamma = (1 + share if beyond else share) / kappa
    rho = radius(gd.Method(gd.Simultaneous(0.01), gd.consensus(gamma)), hill().bind(kappa=kappa), [0.0])
    assert (rho < 1) == beyond


def test_m11_symplectic_adjustment_is_gradient_descent_on_a_potential():
    plain = step_matrix(gd.Simultaneous(ETA), hill(), [0])
    adjusted = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.symplectic_adjustment(3)), hill(), [0])
    assert adjusted == plain


# M12 -------------------------------------------------------------------------------------------------


def test_m12_hamiltonian_gradient_descent_contracts_at_one_minus_eta():
    matrix = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.hamiltonian_gradient()))
    assert matrix == (1 - ETA) * sp.eye(2)
    assert radius(gd.Method(gd.Simultaneous(0.3), gd.hamiltonian_gradient())) == pytest.approx(0.7, abs=1e-14)


def test_m12_the_hamiltonian_field_is_a_potential_on_every_game():
    game = gd.hamiltonian_gradient()(gd.games.quartic())
    J = gd.jacobian(game, [0.4, -0.7]).to_dense()
    assert pytest.approx(J.T, abs=1e-12) == J


# M13 -------------------------------------------------------------------------------------------------


def test_m13_competitive_gradient_is_the_proximal_point_on_bilinear_games():
    game = gd.games.bilinear([[1, 2], [-3, 1]])
    z = [0] * 4
    competitive = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.competitive(ETA)), game, z)
    proximal = step_matrix(gd.ProximalPoint(ETA), game, z)
    assert (competitive - proximal).applyfunc(sp.simplify) == sp.zeros(4)
    assert radius(gd.Method(gd.Simultaneous(ETA), gd.competitive(ETA))) == 1 / sp.sqrt(1 + ETA**2)


# M14 -------------------------------------------------------------------------------------------------


def test_m14_opponent_lookahead_is_extragradient_on_xy():
    ahead = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.opponent_lookahead(ETA)))
    assert (ahead - step_matrix(gd.Extragradient(ETA))).expand() == sp.zeros(2)


def test_m14_lola_adds_twice_its_step_to_the_field_on_xy():
    matrix = step_matrix(gd.Method(gd.Simultaneous(ETA), gd.lola(ALPHA)))
    expected = sp.Matrix([[1 - 2 * ETA * ALPHA, -ETA], [ETA, 1 - 2 * ETA * ALPHA]])
    assert (matrix - expected).expand() == sp.zeros(2)


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_m14_lola_radius(eta, alpha):
    rho = radius(gd.Method(gd.Simultaneous(eta), gd.lola(alpha)))
    assert rho == pytest.approx(np.hypot(1 - 2 * eta * alpha, eta), rel=1e-12)


# M15 -------------------------------------------------------------------------------------------------


def resting_sum(transform, steps=4000):
    """x + y where the transformed descent rests on the tandem game."""
    T = gd.StepMap(gd.Method(gd.Simultaneous(0.1), transform), gd.games.tandem())
    orbit = gd.simulate(T, [0.3, -0.2], steps=steps, every=steps)
    assert str(orbit.status) == "converged"
    return float(orbit.z[-1].sum())


@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.1])
def test_m15_lola_rests_off_the_fixed_set_of_the_tandem_game(alpha):
    assert resting_sum(gd.lola(alpha)) == pytest.approx((1 - 2 * alpha) / (1 - 4 * alpha), abs=1e-8)


def test_m15_lola_pays_eight_ninths_at_one_tenth():
    total = resting_sum(gd.lola(0.1))
    assert total == pytest.approx(4 / 3, abs=1e-8)
    assert 2 * total**2 - 2 * total == pytest.approx(8 / 9, abs=1e-7)


def test_m15_opponent_lookahead_and_sos_rest_on_the_fixed_set():
    assert resting_sum(gd.opponent_lookahead(0.1)) == pytest.approx(1, abs=1e-8)
    assert resting_sum(gd.sos(0.1)) == pytest.approx(1, abs=1e-6)


def test_m15_the_exact_answers_of_the_opponent_give_another_rest_point_than_first_order_lola():
    # both players differentiate through the other's own gradient step: the unexpanded form of LOLA
    exact = resting_sum(gd.unrolled(1, 0.1, players=(0, 1)))
    assert exact == pytest.approx((1 / (1 - 0.2) - 0.2) / (1 - 0.2), abs=1e-8)
    assert exact == pytest.approx(1.3125, abs=1e-8)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_sos_is_lola_with_the_published_weight(x, y):
    game, alpha, a, b = gd.games.tandem(), 0.1, 0.5, 0.1
    v = gd.field(game, [x, y])
    fields = [gd.field(gd.lola(alpha, weight)(game), [x, y]) for weight in (0.0, 1.0)]
    ahead, chi = fields[0], (fields[0] - fields[1]) / alpha
    product = -alpha * chi @ ahead
    p1 = 1.0 if product >= 0 else min(1.0, -a * ahead @ ahead / product)
    p2 = v @ v if np.linalg.norm(v) < b else 1.0
    assert gd.field(gd.sos(alpha, a, b)(game), [x, y]) == pytest.approx(ahead - alpha * min(p1, p2) * chi, abs=1e-10)


# M17 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "published"), [(5, 0.98133), (6, 0.97012), (20, 0.57318), (31, 0.08796)])
def test_m17_lookahead_radii_at_one_tenth(k, published):
    assert radius(gd.lookahead(gd.Simultaneous(0.1), k, 0.5)) == pytest.approx(published, abs=5e-6)


@given(st.integers(1, 40), st.floats(0.05, 1), st.floats(0.02, 0.5))
def test_m17_lookahead_multipliers(k, alpha, eta):
    expected = abs(1 - alpha + alpha * (1 + 1j * eta) ** k)
    assert radius(gd.lookahead(gd.Simultaneous(eta), k, alpha)) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 80), st.floats(0.02, 0.3))
def test_m17_some_share_contracts_iff_the_real_part_of_the_inner_multiplier_is_below_one(k, eta):
    real = ((1 + 1j * eta) ** k).real
    if abs(real - 1) < 1e-3:
        return
    shares = np.geomspace(1e-6, 1, 200)
    best = min(abs(1 - a + a * (1 + 1j * eta) ** k) for a in shares)
    assert (best < 1) == (real < 1)


def test_m17_nested_lookahead_is_the_lookahead_of_the_lookahead():
    inner = gd.lookahead(gd.Simultaneous(0.1), 5, 0.5)
    zeta = 1 - 0.5 + 0.5 * (1 + 0.1j) ** 5
    expected = abs(1 - 0.5 + 0.5 * zeta**5)
    assert radius(gd.lookahead(inner, 5, 0.5)) == pytest.approx(expected, rel=1e-12)


# M18 -------------------------------------------------------------------------------------------------


def test_m18_lead_without_momentum_is_optimistic_on_xy():
    lead, optimistic = (gd.StepMap(rule, XY) for rule in (gd.LEAD(0.2), gd.Optimistic(0.2)))
    orbits = [gd.simulate(T, [1.0, 0.5], steps=60).z for T in (lead, optimistic)]
    assert orbits[0] == pytest.approx(orbits[1], abs=1e-12)
    assert radius(gd.LEAD(0.2)) == pytest.approx(0.978906, abs=5e-7)


def test_m18_the_best_lead_without_momentum_is_the_best_optimistic_step():
    best = gd.best_step(gd.StepMap(gd.LEAD(lr=sp.Integer(1), momentum=0), XY), ORIGIN)
    assert best.step == sp.Rational(1, 2)
    assert best.rate == sp.sqrt(2) / 2


@pytest.mark.slow
def test_m18_no_coupling_and_momentum_on_a_grid_beat_the_best_optimistic_step():
    grid = [
        radius(gd.LEAD(eta, beta, alpha))
        for eta in np.linspace(0.05, 1, 12)
        for beta in np.linspace(-0.6, 0.6, 9)
        for alpha in np.linspace(0.05, 1, 12)
    ]
    assert min(grid) >= np.sqrt(0.5) - 1e-9


# methods whose catalogue entries are formulas of their docstrings ----------------------------------------


@given(st.floats(0.05, 0.95), st.floats(0.05, 2.0))
def test_extragradient_with_two_steps_contracts_a_rotation_iff_inside_its_region(eta, gamma):
    rho = radius(gd.Extragradient(eta, extrapolation=gamma))
    assert rho == pytest.approx(np.hypot(1 - eta * gamma, eta), rel=1e-12)


def test_runge_kutta_contracts_a_rotation_up_to_two_root_two():
    region = gd.stable_steps(gd.StepMap(gd.RungeKutta4(1), XY), ORIGIN)
    assert region.stable == sp.Interval.open(0, 2 * sp.sqrt(2))
    x = sp.Rational(1, 2)
    assert sp.simplify(radius(gd.RungeKutta4(x)) ** 2 - (1 - x**6 / 72 + x**8 / 576)) == 0


@pytest.mark.parametrize("rule", [gd.Midpoint(ETA), gd.Heun(ETA)])
def test_second_order_integrators_spiral_out_of_a_rotation(rule):
    assert sp.simplify(radius(rule) ** 2 - (1 + ETA**4 / 4)) == 0


@given(st.floats(0.01, 2), st.floats(0, 0.99))
def test_nesterov_momentum_never_contracts_a_rotation(eta, beta):
    assert radius(gd.Nesterov(eta, beta)) > 1


def test_local_symplectic_surgery_leaves_the_symmetric_part_of_the_jacobian():
    game = gd.zero_sum("x**2 + 3*x*y - 2*y**2", min="x", max="y")
    J = gd.jacobian(gd.local_symplectic_surgery()(game), [0.0, 0.0]).to_dense()
    assert pytest.approx(gd.jacobian(game, [0.0, 0.0]).symmetric.to_dense(), abs=1e-12) == J


def test_stackelberg_gradient_is_the_total_derivative_of_the_leader():
    game = gd.Game(["x**2 + 2*x*y + y**2/2 - x", "y**2 + x*y + y"], players=[["x"], ["y"]])
    x, y = sp.symbols("x y", real=True)
    answer = -(x + 1) / 2
    total = sp.diff((x**2 + 2 * x * y + y**2 / 2 - x).subs(y, answer), x)
    at = {x: sp.Rational(3, 10), y: answer.subs(x, sp.Rational(3, 10))}
    got = gd.field(gd.stackelberg()(game), [float(at[x]), float(at[y])])
    assert got == pytest.approx([float(total.subs(at)), 0.0], abs=1e-12)


def test_jacobian_regularization_is_consensus_without_the_players_own_curvature():
    game = gd.zero_sum("x**2 + 3*x*y - 2*y**2", min="x", max="y")
    z = np.array([0.3, -0.4])
    J, v = gd.jacobian(game, z).to_dense(), gd.field(game, z)
    off = J - np.diag(np.diag(J))
    assert gd.field(gd.jacobian_regularization(0.5)(game), z) == pytest.approx(v + 0.5 * off.T @ v, abs=1e-12)


# schedules with signs ------------------------------------------------------------------------------------


def slingshot(step):
    swing = gd.per_player(gd.Simultaneous(1.0), (step, -step))
    return gd.scheduled(swing, "scales", ((step, -step), (-step, step)))


def test_negative_steps_make_simultaneous_descent_converge_on_xy():
    assert radius(slingshot(0.5)) == pytest.approx(0.75, abs=1e-12)
    assert gd.floquet_multipliers(gd.StepMap(slingshot(0.5), XY), [0.0, 0.0]) == pytest.approx([0.75, 0.75], abs=1e-6)
    orbit = gd.simulate(gd.StepMap(slingshot(1.0), XY), [1.0, -0.5], steps=4)
    assert np.abs(orbit.z[-1]).max() == 0.0  # the two-step map is nilpotent


def test_no_positive_schedule_of_period_two_converges_on_xy():
    rng = np.random.default_rng(0)
    for a1, b1, a2, b2 in rng.uniform(0.01, 1.5, (300, 4)):
        rule = gd.scheduled(gd.per_player(gd.Simultaneous(1.0), (a1, b1)), "scales", ((a1, b1), (a2, b2)))
        assert radius(rule) >= 1 - 1e-12
