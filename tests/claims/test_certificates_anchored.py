"""Certificates of anchored methods against their published bounds on |v(z_k)|² or |z_k - T z_k|²."""

from __future__ import annotations

import pytest

import gamedyn as gd
from gamedyn.claims import CertifiedField, Cocoercive, Monotone
from gamedyn.claims.iterates import numeric_methods
from gamedyn.claims.solve import worst_case

PRINTED = 1e-5  # relative: the printed figures carry six digits, the solver about eight


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_m45d_accelerated_proximal_point_residual_is_one_over_n_squared(steps):
    """Published with PEPit for ten steps; |x_n - y_n|², the measure printed there, is lr² |v(x_n)|²."""
    certificate = gd.certify(gd.AcceleratedProximalPoint(1.0), steps=steps, metric="residual")
    assert certificate.value == pytest.approx(1 / steps**2, rel=PRINTED)
    assert certificate.lower == pytest.approx(1 / steps**2, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_m45e_fast_extragradient_residual_stays_below_four_over_k_squared(steps):
    """At one step the worst case is half the bound; from two steps on it is the bound up to the solver."""
    certificate = gd.certify(gd.FEG(1.0), L=1.0, steps=steps, metric="residual")
    assert certificate.value <= 4 / steps**2 * (1 + 1e-6)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_fast_extragradient_keeps_its_bound_on_negatively_comonotone_games(steps):
    """FEG takes the signed comonotonicity, certify its absolute value: 4/((1/L - 2 rho)² k²)."""
    certificate = gd.certify(gd.FEG(1.0, rho=-0.25), rho=0.25, L=1.0, steps=steps, metric="residual")
    assert certificate.lower <= certificate.value <= 16 / steps**2 * (1 + 1e-5)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_m45f_extra_anchored_gradient_with_a_constant_step_stays_below_its_bound(steps):
    certificate = gd.certify(gd.EAGC(1 / 8), L=1.0, steps=steps, metric="residual")
    assert certificate.lower <= certificate.value <= 260 / (steps + 1) ** 2


@pytest.mark.parametrize("lipschitz", [1.0, 2.0])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_extra_anchored_gradient_with_a_varying_step_stays_below_its_bound(steps, lipschitz):
    certificate = gd.certify(gd.EAGV(0.618 / lipschitz, lipschitz), L=lipschitz, steps=steps, metric="residual")
    assert certificate.lower <= certificate.value <= 27 * lipschitz**2 / ((steps + 1) * (steps + 2))


def moved_by(rule, operator, steps):
    """The worst |z_N - T z_N|² of the Halpern iteration of a step T, over |z_0 - z*|²."""
    methods = numeric_methods(gd.halpern(rule), steps)

    def pose():
        F = CertifiedField(operator)
        z, memory = F.z0, methods[0].rule.init(F, F.z0)
        for method in methods:
            z, memory = method.rule.step(F, z, memory)
        return F, z - rule.step(F, z, rule.init(F, z))[0]

    return worst_case(pose, "CLARABEL")


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("lr", [0.5, 1.0, 2.0])
def test_halpern_of_descent_on_a_cocoercive_field_stays_below_four_over_k_squared(lr, steps):
    """The bound for nonexpansive steps, attained at lr = 2 beta, where a step is nonexpansive and no more."""
    solution = moved_by(gd.Simultaneous(lr), Cocoercive(1.0), steps)
    assert solution.checked
    assert solution.value <= 4 / (steps + 1) ** 2 * (1 + 1e-6)
    certificate = gd.certify(gd.halpern(gd.Simultaneous(lr)), beta=1.0, steps=steps, metric="residual")
    assert lr**2 * certificate.value == pytest.approx(solution.value, rel=1e-6)
    if lr == 2.0:
        assert lr**2 * certificate.lower == pytest.approx(4 / (steps + 1) ** 2, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("lr", [0.5, 2.0])
def test_halpern_of_the_proximal_step_on_a_monotone_field_is_faster_than_four_over_k_squared(lr, steps):
    """A proximal step is firmly nonexpansive; the worst case found is 4/(k+2)², below the bound 4/(k+1)²."""
    solution = moved_by(gd.ProximalPoint(lr), Monotone(), steps)
    assert solution.checked
    assert solution.value == pytest.approx(4 / (steps + 2) ** 2, rel=PRINTED)
    assert solution.value < 4 / (steps + 1) ** 2
