"""Certificates over every operator class: closed forms, PEPit's own operators, and beyond monotonicity."""

from __future__ import annotations

import pytest

import gamedyn as gd
from gamedyn.claims import CertificateError, Monotone, WeakMinty

MU, L = 0.1, 1.0


def test_certificates_on_pairs_agree_with_the_operators_of_pepit():
    from PEPit import PEP
    from PEPit.operators import (
        CocoerciveOperator,
        CocoerciveStronglyMonotoneOperatorCheap,
        LipschitzStronglyMonotoneOperatorCheap,
    )

    cases = [
        (LipschitzStronglyMonotoneOperatorCheap, {"mu": 0.1, "L": 1.0}),
        (CocoerciveOperator, {"beta": 0.8}),
        (CocoerciveStronglyMonotoneOperatorCheap, {"mu": 0.1, "beta": 0.8}),
    ]
    for declared, constants in cases:
        problem = PEP()
        v = problem.declare_function(declared, **constants)
        z0, star = problem.set_initial_point(), v.stationary_point()
        problem.set_initial_condition((z0 - star) ** 2 <= 1)
        z = z0
        for _ in range(2):
            z = z - 0.4 * v.gradient(z - 0.4 * v.gradient(z))
        problem.set_performance_metric((z - star) ** 2)
        value = problem.solve(verbose=0, solver="CLARABEL")
        assert gd.certify(gd.Extragradient(0.4), steps=2, **constants).value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("lr", [0.5, 1.0, 1.9])
def test_descent_on_a_cocoercive_field_never_moves_away_below_two_beta(lr):
    certificate = gd.certify(gd.Simultaneous(lr), beta=1.0, steps=3)
    assert certificate.value == pytest.approx(1, abs=1e-6)
    assert certificate.interpolation == "exact"


def test_descent_on_a_cocoercive_field_diverges_above_two_beta():
    certificate = gd.certify(gd.Simultaneous(2.5), beta=1.0, steps=3)
    assert certificate.value == pytest.approx(1.5**6, rel=1e-6)
    assert certificate.lower == pytest.approx(1.5**6, rel=1e-9)


def test_cocoercive_and_strongly_monotone_descent_in_closed_form():
    """max of 1 - 2η a + η²|λ|² over the disc with a >= mu: -2η + η²/β < 0, so a = mu on the circle."""
    lr, mu, beta = 0.5, 0.2, 1.0
    certificate = gd.certify(gd.Simultaneous(lr), mu=mu, beta=beta)
    assert certificate.value == pytest.approx(1 - 2 * lr * mu + lr**2 * mu / beta, rel=1e-6)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)
    assert certificate.interpolation == "necessary"


def test_proximal_point_contracts_every_strongly_monotone_field():
    certificate = gd.certify(gd.ProximalPoint(2.0), mu=0.3, steps=3)
    assert certificate.value == pytest.approx((1 + 2.0 * 0.3) ** -6, rel=1e-5)
    assert certificate.interpolation == "exact"


def test_proximal_point_on_negatively_comonotone_fields_needs_steps_above_two_rho():
    assert gd.certify(gd.ProximalPoint(2.5), rho=1.0, steps=2).value == pytest.approx(1, abs=1e-5)
    short = gd.certify(gd.ProximalPoint(1.5), rho=1.0)
    assert short.lower == pytest.approx(4, rel=1e-6)  # λ = -1/rho
    assert short.value == pytest.approx(4, rel=1e-5)
    with pytest.raises(CertificateError, match="unbounded"):
        gd.certify(gd.ProximalPoint(0.9), rho=1.0)  # I + lr J may be singular


def test_extragradient_never_leaves_a_minty_solution_up_to_lr_one_over_l():
    certificate = gd.certify(gd.Extragradient(0.9), operator=WeakMinty(rho=0.0, L=1.0), steps=2)
    assert certificate.value == pytest.approx(1, abs=1e-6)
    weak = gd.certify(gd.Extragradient(0.9), operator=WeakMinty(rho=0.5, L=1.0), steps=2)
    assert weak.value > weak.lower > 1.01


@pytest.mark.slow
def test_refined_conditions_are_no_weaker_than_those_on_pairs():
    plain = gd.certify(gd.Extragradient(0.5), mu=MU, L=L)
    refined = gd.certify(gd.Extragradient(0.5), operator=Monotone(mu=MU, L=L, refined=True))
    assert refined.lower - 1e-6 <= refined.value <= plain.value + 1e-6
