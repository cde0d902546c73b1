"""The worst linear field of a class: found by the search, never outside the class, never beaten by sampling."""

from __future__ import annotations

import numpy as np
import pytest

import gamedyn as gd
from gamedyn.claims import Cocoercive, Monotone, NegativelyComonotone, WeakMinty, worst_linear
from gamedyn.claims.iterates import measured, numeric_methods
from gamedyn.claims.lower_bound import LinearFields, violation

CLASSES = {
    "monotone": Monotone(L=1.0),
    "strongly monotone": Monotone(mu=0.2, L=1.0),
    "cocoercive": Cocoercive(0.8),
    "cocoercive, strongly monotone": Cocoercive(0.8, mu=0.3),
    "comonotone": NegativelyComonotone(0.3, L=1.0),
    "weak Minty": WeakMinty(0.5, L=1.0),
}
METHODS = {
    "extragradient": gd.Extragradient(0.4),
    "optimistic": gd.Optimistic(0.3),
    "alternating": gd.Alternating(0.4),
    "two-timescale": gd.Method(gd.Simultaneous(0.2), gd.two_timescale(3.0)),
}


def growth(method, J, owners, steps, metric="distance"):
    """The metric of matrices `(2, 2, batch)`, by the SVD of every N-step matrix."""
    F = LinearFields(J, owners, 2)
    M = measured(metric, numeric_methods(method, steps), F, F.identity())
    return np.linalg.svd(np.moveaxis(M, 2, 0), compute_uv=False)[:, 0] ** 2


def normal_members(operator, count=61):
    a, b = np.meshgrid(np.linspace(-1.3, 1.3, count), np.linspace(-1.3, 1.3, count))
    J = np.array([[a.ravel(), -b.ravel()], [b.ravel(), a.ravel()]])
    return J[:, :, violation([*operator.pairs, *operator.at_equilibrium], J) <= 0]


def random_members(operator, count=6_000, seed=0):
    J = np.random.default_rng(seed).uniform(-1.2, 1.2, size=(2, 2, count))
    return J[:, :, violation([*operator.pairs, *operator.at_equilibrium], J) <= 0]


@pytest.mark.parametrize("operator", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("metric", ["distance", "residual"])
def test_no_sampled_matrix_of_the_class_is_worse(operator, method, metric):
    worst = worst_linear(method, operator, steps=3, metric=metric)
    for members in (normal_members(operator), random_members(operator)):
        assert members.shape[2] > 100
        for owners in ((0, 0), (0, 1), (1, 1)):
            assert growth(method, members, owners, 3, metric).max() <= worst.value * (1 + 1e-9)


@pytest.mark.parametrize("operator", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_worst_matrix_is_a_member_and_attains_the_value(operator, method):
    worst = worst_linear(method, operator, steps=3)
    J = worst.jacobian[:, :, None]
    assert violation([*operator.pairs, *operator.at_equilibrium], J)[0] <= 1e-12
    assert growth(method, J, worst.owners, 3)[0] == pytest.approx(worst.value, rel=1e-12)
    assert worst.normal_value <= worst.value


def test_membership_of_linear_fields_is_that_of_their_quadratic_forms():
    rng = np.random.default_rng(1)
    J = rng.uniform(-1.5, 1.5, size=(2, 2, 300))
    for mu, L in ((0.0, 1.0), (0.2, 1.3)):
        for k in range(300):
            inside = np.linalg.eigvalsh((J[:, :, k] + J[:, :, k].T) / 2)[0] >= mu and np.linalg.norm(J[:, :, k], 2) <= L
            assert inside == (violation(Monotone(mu=mu, L=L).pairs, J[:, :, [k]])[0] <= 0)


def test_alternation_against_an_idle_player_is_simultaneous_descent():
    """The worst field lives in one player's own variables, where alternating descent is plain descent."""
    worst = worst_linear(gd.Alternating(0.4), Monotone(L=1.0), steps=3)
    assert worst.owners in ((0, 0), (1, 1))
    assert worst.value == pytest.approx((1 + 0.4**2) ** 3, rel=1e-9)
    shared = growth(gd.Alternating(0.4), random_members(Monotone(L=1.0)), (0, 1), 3).max()
    assert shared < 1.3 < worst.value


def test_a_general_matrix_may_be_worse_than_every_normal_one():
    """One alternating step moves away on some cocoercive field, but on no normal one."""
    worst = worst_linear(gd.Alternating(0.2), Cocoercive(0.8), steps=1)
    assert worst.normal_value == pytest.approx(1, abs=1e-12)
    assert worst.value > 1.0005


def test_the_search_is_deterministic():
    first, second = (worst_linear(gd.Alternating(0.3), Monotone(L=1.0), steps=2) for _ in range(2))
    assert first.value == second.value
    assert np.array_equal(first.jacobian, second.jacobian)


def test_an_unbounded_class_is_searched_over_many_scales():
    """The worst last step of the proximal point is a rotation of speed 1/(lr √(N - 1)), at whatever scale."""
    for lr in (1e-2, 1.0, 1e2):
        worst = worst_linear(gd.ProximalPoint(lr), Monotone(), steps=5, metric="last_step")
        assert worst.value == pytest.approx(0.8**4 / 5, rel=1e-9)
        assert abs(worst.jacobian[1, 0]) == pytest.approx(1 / (2 * lr), rel=1e-3)
