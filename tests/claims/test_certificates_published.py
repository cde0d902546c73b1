"""Certificates reproduce published worst cases: M44, M45 and the figures that PEPit prints."""

from __future__ import annotations

import numpy as np
import pytest

import gamedyn as gd
from gamedyn.claims import Monotone

PRINTED = 1e-5  # relative: the printed figures carry six digits, the solver about eight
MU, L = 0.1, 1.0


# M44: strongly monotone Lipschitz games ------------------------------------------------------------


def test_m44_one_extragradient_step_contracts_to_the_printed_worst_case():
    certificate = gd.certify(gd.Extragradient(0.25), mu=MU, L=L, steps=1, metric="distance")
    assert certificate.value == pytest.approx(0.952198, rel=PRINTED)
    assert certificate.interpolation == "necessary"
    assert certificate.checked
    bound = 1 - (MU / L + (MU / L) ** 2 / 16) / 4  # the claim's, with γ = μ on games without coupling
    assert certificate.value <= bound


def test_m44_gradient_descent_at_its_best_step_has_ratio_one_minus_mu_squared():
    certificate = gd.certify(gd.Simultaneous(MU / L**2), mu=MU, L=L)
    assert certificate.value == pytest.approx(1 - MU**2 / L**2, rel=PRINTED)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)


@pytest.mark.parametrize("lr", [0.02, 0.3])
def test_gradient_descent_in_closed_form(lr):
    """1 - 2ημ + η²L², attained by the normal matrix with real part mu and modulus L."""
    certificate = gd.certify(gd.Simultaneous(lr), mu=MU, L=L)
    assert certificate.value == pytest.approx(1 - 2 * lr * MU + lr**2 * L**2, rel=1e-6)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)


def test_three_extragradient_steps_are_bracketed_within_a_thousandth():
    certificate = gd.certify(gd.Extragradient(0.3), mu=MU, L=L, steps=3, metric="distance")
    assert certificate.lower <= certificate.value <= certificate.lower + 1e-3
    assert certificate.gap == certificate.value - certificate.lower


# M45: last iterates on monotone Lipschitz games --------------------------------------------------

EXTRAGRADIENT = [
    (0.5, 1, 0.8125),
    (0.5, 2, 0.674098),
    (0.5, 5, 0.383012),
    pytest.param(0.5, 10, 0.181030, marks=pytest.mark.slow),
    (0.5**0.5, 1, 0.75),
    (0.5**0.5, 5, 0.284392),
]


@pytest.mark.parametrize(("lr", "steps", "printed"), EXTRAGRADIENT)
def test_m45a_extragradient_residual(lr, steps, printed):
    certificate = gd.certify(gd.Extragradient(lr), L=1.0, steps=steps, metric="residual")
    assert certificate.value == pytest.approx(printed, rel=PRINTED)
    assert certificate.value <= 1 / (lr**2 * (1 - lr**2) * (steps + 1)) * (1 + 1e-6)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize(("steps", "printed"), [(1, 1.11111), (2, 1.04938), (5, 0.748277), (10, 0.399074)])
def test_m45b_optimistic_residual(steps, printed):
    certificate = gd.certify(gd.Optimistic(1 / 3), L=1.0, steps=steps, metric="residual")
    assert certificate.value == pytest.approx(printed, rel=PRINTED)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize("steps", [2, 3, 5, 10])
@pytest.mark.parametrize("lr", [0.3, 2.0])
def test_m45c_proximal_point_last_step_is_attained_by_a_rotation(lr, steps):
    certificate = gd.certify(gd.ProximalPoint(lr), steps=steps, metric="last_step")
    worst = (1 - 1 / steps) ** (steps - 1) / steps
    assert certificate.value == pytest.approx(worst, rel=PRINTED)
    assert certificate.lower == pytest.approx(worst, rel=1e-7)
    assert certificate.interpolation == "exact"
    speed = 1 / (lr * np.sqrt(steps - 1))  # lr² a² = 1/(N - 1)
    assert abs(certificate.worst_jacobian) == pytest.approx(np.array([[0, speed], [speed, 0]]), abs=1e-3)


# figures printed with PEPit ----------------------------------------------------------------------


def test_proximal_point_ten_steps():
    certificate = gd.certify(gd.ProximalPoint(2.0), steps=10, metric="last_step")
    assert certificate.value == pytest.approx(0.038742, rel=PRINTED)


def test_optimistic_gradient_five_steps_on_any_constraint_set():
    certificate = gd.certify(gd.Optimistic(0.25), L=1.0, steps=5, metric="last_step", constrained=True)
    assert certificate.value == pytest.approx(0.0663141, rel=PRINTED)
    assert not certificate.checked  # normals of unknown sets are not bounded


def test_past_extragradient_five_steps_on_any_constraint_set():
    """The printed measure compares the iterates, not the look-ahead points."""
    certificate = gd.certify(gd.PastExtragradient(0.25), L=1.0, steps=5, metric="last_step", constrained=True)
    assert certificate.value == pytest.approx(0.0602664, rel=PRINTED)


def test_refined_conditions_give_the_printed_value_of_one_optimistic_step():
    """1.0625 = 1 + γ² at γ = 1/4, without constraints; both kinds of conditions give it."""
    refined = gd.certify(gd.Optimistic(0.25), operator=Monotone(L=1.0, refined=True), steps=1)
    assert refined.value == pytest.approx(1.0625, rel=PRINTED)
    assert not refined.checked
