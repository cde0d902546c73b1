"""Published claims on two time scales: when does a faster last player stabilise a point (M26-M30)?"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.stability.regions.parameters import scaled
from gamedyn.stability.regions.real_spectrum import real_spectrum
from gamedyn.stability.regions.stable_region import stable_region
from gamedyn.stability.regions.timescales import stable_timescales, timescale_threshold

ORIGIN = [0, 0]
OPEN = sp.Interval.open


def test_m26_the_quadratic_of_fiez_and_ratliff_is_stable_iff_tau_is_above_two():
    J = sp.Matrix([[-4, 0, -4, 0], [0, 2, 0, 2], [4, 0, 2, 0], [0, -2, 0, 4]])
    game = gd.games.fiez_quadratic()
    assert gd.jacobian(game, sp.Matrix([0] * 4)).to_dense() == J
    found = stable_timescales(game, [0] * 4)
    assert found.kind == "exact"
    assert found.stable == OPEN(2, sp.oo)
    assert found.threshold == timescale_threshold(J, (2, 2)) == 2


def test_m26_the_threshold_is_the_same_at_every_scale_of_the_game():
    v = sp.Symbol("v", positive=True)
    region = stable_region(gd.games.fiez_quadratic(v), [0] * 4, ["tau", "v"])
    tau = region.parameters[0]
    assert region.conditions == (sp.Gt(tau, 2),)


def test_m26_floats_find_the_same_threshold():
    J = np.array([[-4.0, 0, -4, 0], [0, 2, 0, 2], [4, 0, 2, 0], [0, -2, 0, 4]])
    assert timescale_threshold(J, (2, 2)) == pytest.approx(2, abs=1e-12)


POINTS = {(-11.02974, -11.02974): 1, (-1.62165, -1.62165): 1, (10.57216, -8.95174): 0}


@pytest.mark.parametrize("published", POINTS)
def test_m27_thresholds_of_the_polynomial_game(published):
    game = gd.games.fiez_polynomial()
    found = gd.equilibria(game, box=(-13, 13))
    points = [np.array([float(x) for x in e.point]) for e in found]
    (point,) = [p for p in points if np.abs(p - published).max() < 5e-6]
    sets = stable_timescales(game, list(point))
    assert sets.threshold == pytest.approx(POINTS[published], abs=1e-6)
    J = gd.jacobian(game, point).to_dense()
    for tau in (0.5, 0.99, 1.01, 5.0):
        stable = np.linalg.eigvals(scaled(J, (1, 1), tau)).real.min() > 0
        assert stable == (tau > POINTS[published])


@pytest.mark.parametrize(
    ("point", "threshold"), [(ORIGIN, sp.Rational(85, 115)), ([sp.pi, sp.pi], sp.Rational(115, 85))]
)
def test_m28_thresholds_on_the_torus(point, threshold):
    found = stable_timescales(gd.games.torus(), point)
    assert found.stable == OPEN(threshold, sp.oo)
    assert found.threshold == threshold


def test_m28_the_published_decimals():
    assert float(sp.Rational(85, 115)) == pytest.approx(0.7391, abs=5e-5)
    assert float(sp.Rational(115, 85)) == pytest.approx(1.3529, abs=5e-5)


def test_m29_the_regularised_dirac_gan_is_stable_for_every_tau():
    mu = sp.Symbol("mu", positive=True)
    game = gd.games.dirac_gan(penalty=gd.games.R1(mu))
    assert stable_region(game, ORIGIN, ["tau", "mu"]).conditions == ()
    at = gd.games.dirac_gan(penalty=gd.games.R1(sp.Rational(3, 10)))
    assert stable_timescales(at, ORIGIN).threshold == 0


@pytest.mark.parametrize("mu", [sp.Rational(3, 10), sp.Integer(1), sp.Rational(5, 2)])
def test_m29_its_eigenvalues_are_complex_iff_tau_is_below_one_over_mu_squared(mu):
    game = gd.games.dirac_gan(penalty=gd.games.R1(mu))
    assert real_spectrum(game, ORIGIN, "tau") == sp.Interval(1 / mu**2, sp.oo)


def test_m29_the_published_decimal():
    assert float(1 / sp.Rational(3, 10) ** 2) == pytest.approx(11.11, abs=5e-3)


def test_m30_the_minimax_point_of_jin_attracts_iff_tau_is_above_one():
    found = stable_timescales(gd.games.jin_quadratic(), ORIGIN)
    assert found.stable == OPEN(1, sp.oo)
    assert found.neutral == sp.FiniteSet(1)
