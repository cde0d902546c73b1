"""Published claims on f = xy, with their numbers (M01-M10, M13, M16)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import gamedyn as gd

ETA = sp.Symbol("eta", positive=True)
XY = gd.games.bilinear(1)
ORIGIN = [0, 0]


def radius(method, game=XY, z=ORIGIN):
    return gd.spectral_radius(gd.StepMap(method, game), z)


def multipliers(method, game=XY, z=(0.0, 0.0)):
    T = gd.StepMap(method, game)
    return np.linalg.eigvals(T.jacobian(T.start(list(z))))


# M01 -------------------------------------------------------------------------------------------------


def test_m01_simultaneous_gda_has_radius_sqrt_one_plus_eta_squared():
    assert sp.simplify(radius(gd.Simultaneous(ETA)) - sp.sqrt(1 + ETA**2)) == 0
    assert gd.stable_steps(gd.StepMap(gd.Simultaneous(1), XY), ORIGIN).stable is sp.S.EmptySet


@given(st.floats(1e-3, 10))
def test_m01_holds_for_every_step(eta):
    assert radius(gd.Simultaneous(eta)) == pytest.approx(np.sqrt(1 + eta**2), rel=1e-12)


# M02, M03 --------------------------------------------------------------------------------------------


def test_m02_alternating_gda_is_neutral_below_two():
    region = gd.stable_steps(gd.StepMap(gd.Alternating(1), XY), ORIGIN)
    assert region.stable is sp.S.EmptySet
    assert region.neutral == sp.Interval.open(0, 2)


@given(st.floats(1e-2, 1.999))
def test_m02_both_multipliers_lie_on_the_circle_below_two(eta):
    assert np.abs(multipliers(gd.Alternating(eta))) == pytest.approx([1, 1], abs=1e-7)


@given(st.floats(2.001, 10))
def test_m02_alternating_gda_diverges_above_two_at_the_stated_rate(eta):
    expected = (eta**2 - 2 + eta * np.sqrt(eta**2 - 4)) / 2
    assert radius(gd.Alternating(eta)) == pytest.approx(expected, rel=1e-9)


def test_m02_at_two_and_a_half_the_radius_is_four():
    assert radius(gd.Alternating(sp.Rational(5, 2))) == 4


def test_m03_alternating_gda_conserves_its_energy():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(2, 3)) / 3
    eta_x, eta_y = 0.3, 0.2
    # different steps per player: a unit step on a field whose second player runs at eta_y/eta_x
    method = gd.Method(gd.Alternating(eta_x), gd.two_timescale(eta_y / eta_x))
    z = gd.simulate(gd.StepMap(method, gd.games.bilinear(A)), rng.normal(size=5), steps=300).z
    x, y = z[:, :2], z[:, 2:]
    energy = (x**2).sum(1) / eta_x + (y**2).sum(1) / eta_y - np.einsum("ti,ij,tj->t", x, A, y)
    assert np.ptp(energy) <= 1e-12 * abs(energy[0])
    wrong_sign = (x**2).sum(1) / eta_x + (y**2).sum(1) / eta_y + np.einsum("ti,ij,tj->t", x, A, y)
    assert np.ptp(wrong_sign) > 1e-3 * abs(energy[0])


# M04, M05, M06 ---------------------------------------------------------------------------------------


def test_m04_extragradient_radius_region_and_best_step():
    assert sp.simplify(radius(gd.Extragradient(ETA)) ** 2 - ((1 - ETA**2) ** 2 + ETA**2)) == 0
    T = gd.StepMap(gd.Extragradient(1), XY)
    region = gd.stable_steps(T, ORIGIN)
    assert region.stable == sp.Interval.open(0, 1)
    best = gd.best_step(T, ORIGIN, region=region)
    assert (best.step, best.rate) == (1 / sp.sqrt(2), sp.sqrt(3) / 2)


@given(st.floats(0.01, 3), st.floats(0.01, 3))
def test_m04_extragradient_contracts_a_rotation_iff_step_times_speed_is_below_one(eta, sigma):
    assume(abs(eta * sigma - 1) > 1e-3)
    game = gd.zero_sum(sigma * sp.Symbol("x") * sp.Symbol("y"), min="x", max="y")
    assert (radius(gd.Extragradient(eta), game) < 1) == (eta * sigma < 1)


def test_m05_proximal_point_contracts_for_every_step():
    assert sp.simplify(radius(gd.ProximalPoint(ETA)) - 1 / sp.sqrt(1 + ETA**2)) == 0
    assert gd.stable_steps(gd.StepMap(gd.ProximalPoint(1), XY), ORIGIN).stable == sp.Interval.open(0, sp.oo)


def test_m06_optimistic_region_and_best_step():
    T = gd.StepMap(gd.Optimistic(1), XY)
    region = gd.stable_steps(T, ORIGIN)
    assert region.stable == sp.Interval.open(0, 1 / sp.sqrt(3))
    best = gd.best_step(T, ORIGIN, region=region)
    assert (best.step, best.rate) == (sp.Rational(1, 2), 1 / sp.sqrt(2))


@given(st.floats(0.01, 0.499))
def test_m06_optimistic_radius_up_to_one_half(eta):
    assert radius(gd.Optimistic(eta)) ** 2 == pytest.approx((1 + np.sqrt(1 - 4 * eta**2)) / 2, rel=1e-9)


@given(st.floats(0.01, 2))
def test_m06_optimistic_contracts_iff_step_below_one_over_root_three(eta):
    assume(abs(eta - 1 / np.sqrt(3)) > 1e-3)
    assert (radius(gd.Optimistic(eta)) < 1) == (eta < 1 / np.sqrt(3))


def test_m06_past_extragradient_has_the_stability_polynomial_of_optimistic():
    assert gd.stability_polynomial(gd.PastExtragradient(ETA)) == gd.stability_polynomial(gd.Optimistic(ETA))


# M07, M08, M08' --------------------------------------------------------------------------------------


@given(st.floats(0.01, 2), st.floats(-0.98, 0.98))
def test_m07_simultaneous_heavy_ball_never_contracts_a_rotation(eta, beta):
    assert radius(gd.HeavyBall(eta, beta)) >= 1


def negative_momentum(eta):
    return gd.alternating(gd.HeavyBall(eta, sp.Rational(-1, 2)))


def test_m08_alternating_negative_momentum_has_the_stated_polynomial():
    T = gd.StepMap(gd.alternating(gd.HeavyBall(ETA, sp.Symbol("beta"))), XY)
    zeta, beta = sp.symbols("zeta beta")
    p = T.jacobian(T.start(sp.Matrix([0, 0]))).charpoly(zeta).as_expr()
    assert sp.expand(p - ((zeta - 1) ** 2 * (zeta - beta) ** 2 + ETA**2 * zeta**3)) == 0


@pytest.mark.parametrize(("eta", "published"), [("1/10", 0.998518), ("1/2", 0.962544)])
def test_m08_alternating_negative_momentum_radii(eta, published):
    assert float(radius(negative_momentum(sp.Rational(eta)))) == pytest.approx(published, abs=5e-7)


def test_m08_alternating_negative_momentum_is_stable_exactly_below_one():
    T = gd.StepMap(negative_momentum(1), XY)
    region = gd.stable_steps(T, ORIGIN)
    assert region.stable == sp.Interval.open(0, 1)
    best = gd.best_step(T, ORIGIN, region=region)
    published = np.max(np.abs(multipliers(negative_momentum(0.87))))
    assert published == pytest.approx(0.88498, abs=5e-6)  # printed to five digits, at a step from a grid
    assert best.rate <= published
    assert best.step == pytest.approx(0.87, abs=5e-3)


@given(st.floats(0.01, 2))
def test_m08_alternating_negative_momentum_contracts_iff_step_below_one(eta):
    assume(abs(eta - 1) > 1e-3)
    assert (np.max(np.abs(multipliers(negative_momentum(eta)))) < 1) == (eta < 1)


@cache
def best_negative_momentum():
    return float(gd.best_step(gd.StepMap(negative_momentum(1), XY), ORIGIN).rate)


@given(st.floats(0.01, 2))
def test_m08_no_step_is_better_than_the_best_one(eta):
    assert np.max(np.abs(multipliers(negative_momentum(eta)))) >= best_negative_momentum() - 1e-9


def test_m08_prime_finding_the_published_bound_fails_close_to_step_one():
    """Theorem 6 as recalled: rate max(1/2, 1 - eta²/16) for every eta <= 1.  It does not hold."""

    def slack(eta):
        return max(0.5, 1 - eta**2 / 16) - float(radius(negative_momentum(eta))) ** 2

    assert all(slack(e) >= 0 for e in (0.1, 0.3, 0.5, 0.7, 0.9, 0.96))
    assert slack(0.97) < 0
    assert radius(negative_momentum(1)) == 1
    zeta = sp.Symbol("zeta")
    T = gd.StepMap(negative_momentum(1), XY)
    assert T.jacobian(T.start(sp.Matrix([0, 0]))).charpoly(zeta).as_expr().subs(zeta, -1) == 0


# M09, M10 --------------------------------------------------------------------------------------------


@given(st.floats(0.05, 3), st.floats(-5, 5), st.floats(0.01, 5))
def test_m09_euler_step_bound_from_an_eigenvalue(a, b, factor):
    """|1 + h lambda| < 1 iff h < 2|a|/|lambda|², for the flow's eigenvalue lambda = -a + ib."""
    assume(abs(factor - 1) > 1e-3)
    bound = (1 / a) * 2 / (1 + (b / a) ** 2)
    x, y = sp.symbols("x y")
    game = gd.field_game([a * x + b * y, a * y - b * x], players=[["x"], ["y"]])
    assert (radius(gd.Simultaneous(bound * factor), game) < 1) == (factor < 1)


def test_m10_consensus_and_symplectic_adjustment_coincide_on_xy():
    g = sp.Symbol("gamma", positive=True)
    expected = sp.sqrt((1 - ETA * g) ** 2 + ETA**2)
    for transform in (gd.consensus(g), gd.symplectic_adjustment(g)):
        assert sp.simplify(radius(gd.Method(gd.Simultaneous(ETA), transform)) ** 2 - expected**2) == 0


# M13 -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Competitive:
    """z+ = P(z - lr (I + lr J_off)⁻¹ v(z)), the update of competitive gradient descent."""

    lr: object

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        return F.point(z - self.lr * F.solve(z, self.lr, F(z), cross=True)), memory


def test_m13_competitive_gradient_is_the_proximal_point_on_xy():
    T = gd.StepMap(Competitive(ETA), XY)
    J = sp.Matrix([[0, 1], [-1, 0]])
    assert sp.simplify(T.jacobian(T.start(sp.Matrix([0, 0]))) - (sp.eye(2) + ETA * J).inv()) == sp.zeros(2)
    assert sp.simplify(radius(Competitive(ETA)) - 1 / sp.sqrt(1 + ETA**2)) == 0


# M16 -------------------------------------------------------------------------------------------------


def unrolled_gda(steps, eta, transform=gd.unrolled):
    return gd.Method(gd.Simultaneous(eta), transform(steps, lr=eta))


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_m16_unrolled_squared_radius_is_the_determinant_while_the_pair_is_complex(steps):
    T = gd.StepMap(unrolled_gda(steps, ETA), XY)
    determinant = T.jacobian(T.start(sp.Matrix([0, 0]))).det()
    assert sp.expand(determinant - (1 - (2 * steps - 1) * ETA**2)) == 0
    tenth = sp.Rational(1, 10)
    assert radius(unrolled_gda(steps, tenth)) ** 2 == determinant.subs(ETA, tenth)


@given(st.integers(1, 6), st.floats(0.01, 0.999))
def test_m16_the_formula_holds_and_the_step_contracts_while_steps_times_eta_is_below_one(steps, share):
    eta = share / steps
    rho = np.max(np.abs(multipliers(unrolled_gda(steps, eta))))
    assert rho**2 == pytest.approx(1 - (2 * steps - 1) * eta**2, rel=1e-9)
    assert rho < 1


@given(st.integers(1, 6), st.floats(1.001, 3))
def test_m16_the_pair_is_real_and_the_formula_fails_beyond(steps, share):
    eta = share / steps
    values = multipliers(unrolled_gda(steps, eta))
    assume(abs(np.sum(values)) > 1e-3)  # a pair of opposite numbers has the formula's modulus again
    assert np.max(np.abs(values.imag)) == 0
    assert np.max(np.abs(values)) ** 2 > (1 - (2 * steps - 1) * eta**2) * (1 + 1e-6)


def test_m16_finding_the_formula_ends_where_the_pair_becomes_real():
    """For one unrolled step the pair is complex for eta < 1 only; at eta = 3/2 the radius is not |1 - eta²|^(1/2)."""
    eta = sp.Rational(3, 2)
    assert float(radius(unrolled_gda(1, eta))) > 1.2 > float(sp.sqrt(abs(1 - eta**2)))


@pytest.mark.parametrize(("steps", "published"), [(0, 1.004988), (1, 0.994987), (5, 0.953939), (10, 0.9)])
def test_m16_unrolled_radii_at_one_tenth(steps, published):
    assert radius(unrolled_gda(steps, 0.1)) == pytest.approx(published, abs=5e-7)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_m16_without_gradient_through_the_answers_one_step_is_neutral(steps):
    method = unrolled_gda(steps, ETA, gd.stop_gradient_lookahead)
    T = gd.StepMap(method, XY)
    assert sp.expand(T.jacobian(T.start(sp.Matrix([0, 0]))).det() - (1 - (steps - 1) * ETA**2)) == 0
    tenth = sp.Rational(1, 10)
    assert radius(unrolled_gda(steps, tenth, gd.stop_gradient_lookahead)) ** 2 == 1 - (steps - 1) * tenth**2
