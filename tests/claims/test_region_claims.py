"""Published claims as regions of parameters (M01, M02, M04-M10, M14, M16, M17, M21-M23)."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.best_parameters import best_parameters
from gamedyn.stability.regions.real_spectrum import real_spectrum
from gamedyn.stability.regions.stable_region import stable_region

XY = gd.games.bilinear(1)
ORIGIN = [0, 0]
OPEN = sp.Interval.open
ETA, ALPHA = sp.symbols("eta alpha", positive=True)


def ask(rule, *parameters, game=XY):
    return stable_region(gd.StepMap(rule, game), ORIGIN, list(parameters))


# M07, M08: momentum ------------------------------------------------------------------------------------


def test_m07_simultaneous_heavy_ball_is_stable_for_no_step_and_no_momentum():
    """The catalogue had this from a grid; the conditions prove it for every η > 0 and -1 < β < 1."""
    region = ask(gd.HeavyBall(1, 0), "lr", "momentum")
    assert region.is_empty
    sigma = sp.Symbol("sigma", positive=True)
    assert ask(gd.HeavyBall(1, 0), "lr", "momentum", game=gd.games.bilinear(sigma)).is_empty


def test_m08_alternating_heavy_ball_contracts_iff_momentum_is_negative_and_the_step_below_two_times_one_plus_it():
    region = ask(gd.alternating(gd.HeavyBall(1, 0)), "lr", "momentum")
    eta, beta = region.parameters
    assert set(region.conditions) == {sp.Lt(beta, 0), sp.Lt(eta, 2 * beta + 2)}
    assert region.slice(momentum=sp.Rational(-1, 2)).stable == OPEN(0, 1)


def test_m08_the_region_scales_with_the_singular_value():
    sigma = sp.Symbol("sigma", positive=True)
    region = ask(gd.alternating(gd.HeavyBall(1, 0)), "lr", "momentum", game=gd.games.bilinear(sigma))
    eta, beta = region.parameters
    assert set(region.conditions) == {sp.Lt(beta, 0), sp.Lt(eta, sp.factor(2 * (beta + 1) / sigma))}


def test_m08_prime_the_recalled_bound_fails_at_the_end_of_its_range():
    """The recalled theorem promises a rate below 1 up to η = 1/σ; at β = -1/2, η = 1 the rate is 1 exactly."""
    region = ask(gd.alternating(gd.HeavyBall(1, sp.Rational(-1, 2))), "lr")
    assert region.stable == OPEN(0, 1)
    assert region.neutral == sp.FiniteSet(1)


# M01, M02, M04-M06 -------------------------------------------------------------------------------------


def test_two_step_sizes_of_extragradient():
    region = ask(gd.Extragradient(1, 1), "lr", "extrapolation")
    eta, gamma = region.parameters
    assert region.conditions == (sp.Lt(eta, 2 * gamma / (1 + gamma**2)),)  # M04 at γ = η: η² < 1
    assert region.contains(lr=0.99, extrapolation=0.99)
    assert not region.contains(lr=1.01, extrapolation=1.01)


@pytest.mark.parametrize(("rule", "end"), [(gd.Extragradient(1), 1), (gd.Optimistic(1), 1 / sp.sqrt(3))])
def test_m04_m06_stable_steps_in_any_rotation(rule, end):
    sigma = sp.Symbol("sigma", positive=True)
    region = ask(rule, "lr", game=gd.games.bilinear(sigma))
    for s in (sp.Rational(1, 3), sp.Integer(2)):
        below, above = float(end / s) * 0.999, float(end / s) * 1.001
        assert region.contains(lr=below, sigma=s)
        assert not region.contains(lr=above, sigma=s)


def test_m05_the_proximal_point_is_stable_everywhere():
    assert ask(gd.ProximalPoint(1), "lr").stable == OPEN(0, sp.oo)


# M09 ---------------------------------------------------------------------------------------------------

TURNING = gd.field_game(["a*x + b*y", "a*y - b*x"], players=[["x"], ["y"]])  # eigenvalues a ± ib of J


def test_m09_an_euler_step_is_stable_iff_it_is_below_twice_the_damping_over_the_squared_modulus():
    region = ask(gd.Simultaneous(1), "lr", game=TURNING)
    (eta,) = region.parameters
    a, b = (p.symbol for p in region.others)
    # the paper's a < 0 belongs to the flow's matrix -J: h < 2|a|/|λ|², in particular for no h if a <= 0 here
    assert region.conditions == (sp.Lt(eta, 2 * a / (a**2 + b**2)),)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 3))
@settings(max_examples=30, deadline=None)
def test_m09_holds_inside_and_outside(a, b, h):
    inside = abs(1 - h * complex(a, b))
    if abs(inside - 1) > 1e-3:
        assert M09.contains(lr=h, a=a, b=b) == (inside < 1)


M09 = ask(gd.Simultaneous(1), "lr", game=TURNING)


def test_m09_the_flow_needs_only_damping():
    region = stable_region(TURNING, ORIGIN, ["a", "b"])
    assert region.conditions == (sp.Gt(region.parameters[0], 0),)


# M10, M14: transforms ----------------------------------------------------------------------------------


def test_m10_consensus_is_stable_iff_rho_is_below_one():
    region = ask(gd.Method(gd.Simultaneous(1), gd.consensus(1)), "lr", "gamma")
    eta, gamma = region.parameters
    assert region.conditions == (sp.Lt(eta, 2 * gamma / (1 + gamma**2)),)  # (1 - ηγ)² + η² < 1


def test_m14_lola_is_stable_iff_rho_is_below_one():
    region = ask(gd.Method(gd.Simultaneous(ETA), gd.lola(ALPHA)), "eta", "alpha")
    assert region.conditions == (sp.Lt(ETA, 4 * ALPHA / (1 + 4 * ALPHA**2)),)  # (1 - 2ηα)² + η² < 1


# M15: a line of equilibria -----------------------------------------------------------------------------


def test_m15_on_the_fixed_set_of_the_tandem_game_descent_is_neutral_at_best():
    region = ask_at([sp.Rational(1, 3), sp.Rational(2, 3)])
    assert region.stable is sp.S.EmptySet
    assert region.neutral == sp.Interval.Lopen(0, sp.Rational(1, 2))  # eigenvalues 1 and 1 - 4η


def ask_at(point):
    return stable_region(gd.StepMap(gd.Simultaneous(1), gd.games.tandem()), point, "lr")


# M16: unrolling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10])
def test_m16_unrolled_descent_is_stable_below_two_over_the_root_of_four_k_minus_one(steps):
    """While the pair is complex ρ² = 1 - (2K - 1)η² < 1 always; the window closes on the real branch, at ζ = -1."""
    region = ask(gd.Method(gd.Simultaneous(ETA), gd.unrolled(steps, ETA)), "eta")
    assert region.stable == OPEN(0, 2 / sp.sqrt(4 * steps - 1))
    assert region.stable.sup > sp.Rational(1, steps)  # beyond Kη = 1, where the published formula ends


def test_m16_without_unrolling_nothing_is_stable():
    assert ask(gd.Method(gd.Simultaneous(ETA), gd.unrolled(0, ETA)), "eta").is_empty


def test_m16_without_gradient_through_the_answers_one_step_is_neutral():
    region = ask(gd.Method(gd.Simultaneous(ETA), gd.stop_gradient_lookahead(1, ETA)), "eta")
    assert region.stable is sp.S.EmptySet
    assert region.neutral == OPEN(0, 2)


# M17: lookahead ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 5, 6, 10, 20, 31])
def test_m17_shares_that_contract_are_those_below_an_exact_end(k):
    # |1 - α + αw|² < 1 iff α < 2(1 - Re w)/|1 - w|², w = (1 + iη)^k
    w = sp.expand((1 + sp.I / 10) ** k)
    end = 2 * (1 - sp.re(w)) / sp.expand((1 - w) * sp.conjugate(1 - w))
    region = ask(gd.lookahead(gd.Simultaneous(sp.Rational(1, 10)), k, ALPHA), "alpha")
    assert region.stable == (OPEN(0, end) if end > 0 else sp.S.EmptySet)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_m17_region_in_share_and_step(k):
    region = ask(gd.lookahead(gd.Simultaneous(ETA), k, ALPHA), "alpha", "eta")
    w = sp.expand((1 + sp.I * ETA) ** k)
    end = 2 * (1 - sp.re(w)) / sp.expand((1 - w) * sp.conjugate(1 - w))
    (condition,) = region.conditions
    assert condition.lhs == ALPHA
    assert sp.cancel(condition.rhs - end) == 0


# M18: a proof that the best optimistic step is the best ------------------------------------------------


def test_m18_no_optimistic_step_beats_one_half():
    best = best_parameters(gd.StepMap(gd.Optimistic(1), XY), ORIGIN, "lr")
    assert list(best.values.values()) == [sp.Rational(1, 2)]
    assert best.is_proven
    assert np.sqrt(0.5) - float(best.bound) < 3e-6


# M20-M23: where the Dirac-GAN stops to turn ------------------------------------------------------------

GAMMA, SIGMA = sp.Symbol("gamma", positive=True), sp.Symbol("sigma", positive=True)
R1 = gd.games.dirac_gan(penalty=gd.games.R1(GAMMA))
NOISE = gd.games.dirac_gan(penalty=gd.games.InstanceNoise(SIGMA))
CONSENSUS = gd.games.dirac_gan(penalty=gd.games.Consensus(GAMMA))


@pytest.mark.parametrize(("game", "parameter"), [(R1, "gamma"), (NOISE, "sigma"), (CONSENSUS, "gamma")])
def test_m21_m23_every_regulariser_makes_the_flow_stable_whatever_its_weight(game, parameter):
    assert stable_region(game, ORIGIN, parameter).stable == OPEN(0, sp.oo)


def test_m20_without_one_the_flow_is_a_center_at_every_time_scale():
    region = stable_region(gd.games.dirac_gan(), ORIGIN, "tau")
    assert region.is_empty
    assert region.neutral == OPEN(0, sp.oo)


def test_m21_r1_is_critical_at_one():
    assert real_spectrum(R1, ORIGIN, "gamma") == sp.Interval(1, sp.oo)


def test_m22_instance_noise_is_critical_at_a_variance_of_two():
    assert real_spectrum(NOISE, ORIGIN, "sigma") == sp.Interval(sp.sqrt(2), sp.oo)


def test_m23_consensus_is_never_critical():
    assert real_spectrum(CONSENSUS, ORIGIN, "gamma") is sp.S.EmptySet


def test_m24_simultaneous_steps_need_a_penalty_and_alternating_ones_are_neutral_without():
    plain = gd.games.dirac_gan()
    assert ask(gd.Simultaneous(1), "lr", game=plain).is_empty
    assert ask(gd.Alternating(1), "lr", game=plain).neutral == OPEN(0, 4)
    penalised = ask(gd.Simultaneous(1), "lr", "gamma", game=R1)
    # ρ² = 1 - ηγ + η²/4 on the complex branch; ζ = -1 at 4 - 2ηγ + η²/4 = 0
    assert penalised.contains(lr=0.2, gamma=0.3)
    assert not penalised.contains(lr=1.3, gamma=0.3)
