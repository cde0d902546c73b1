"""The best coefficients: closed forms, proofs, and honest numbers where there are neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.stability.regions.best_parameters import best_parameters

XY = gd.games.bilinear(1)
ORIGIN = [0, 0]


def potential(low, high):
    return gd.Game([f"{low}*x**2/2", f"{high}*y**2/2"], players=["x", "y"])


@pytest.mark.parametrize(("low", "high"), [(1, 4), (1, 2), (1, 9)])
def test_polyak_momentum_is_the_best_on_a_potential(low, high):
    best = best_parameters(gd.StepMap(gd.HeavyBall(1, 0), potential(low, high)), ORIGIN)
    a, b = sp.sqrt(low), sp.sqrt(high)
    eta, beta = best.values.values()
    assert sp.simplify(eta - 4 / (a + b) ** 2) == 0
    assert sp.simplify(beta - ((b - a) / (b + a)) ** 2) == 0
    assert sp.simplify(best.rate - (b - a) / (b + a)) == 0
    assert best.exact
    assert best.is_proven
    assert 0 <= float(best.rate - best.bound) < 3e-6


def test_gradient_descent_meets_its_opposite_eigenvalues():
    best = best_parameters(gd.StepMap(gd.Simultaneous(1), potential(1, 3)), ORIGIN, "lr")
    assert list(best.values.values()) == [sp.Rational(1, 2)]
    assert (best.rate, best.bound) == (sp.Rational(1, 2), sp.Rational(1, 2))


def test_simultaneous_descent_on_a_strongly_monotone_game():
    # (1 - ημ)² + η² is least at η = μ/(1 + μ²), with ρ = 1/√(1 + μ²); here μ = 1/10
    best = best_parameters(gd.StepMap(gd.Simultaneous(1), gd.games.zhang_quadratic()), ORIGIN, "lr")
    assert list(best.values.values()) == [sp.Rational(10, 101)]
    assert sp.simplify(best.rate - 10 / sp.sqrt(101)) == 0


def test_the_best_optimistic_step_is_the_published_one():
    best = best_parameters(gd.StepMap(gd.Optimistic(1), XY), ORIGIN, "lr")
    assert list(best.values.values()) == [sp.Rational(1, 2)]
    assert best.rate == sp.sqrt(2) / 2
    assert best.bound == pytest.approx(np.sqrt(0.5), rel=3e-6)


def test_two_steps_of_optimistic_descent_are_best_when_equal():
    best = best_parameters(gd.StepMap(gd.Optimistic(1, 1), XY), ORIGIN, ["lr", "correction"])
    assert list(best.values.values()) == [sp.Rational(1, 2), sp.Rational(1, 2)]
    assert best.rate == sp.sqrt(2) / 2
    assert best.is_proven


def test_without_a_closed_form_the_answer_is_numeric_and_says_so():
    best = best_parameters(gd.StepMap(gd.Optimistic(1), gd.games.zhang_quadratic()), ORIGIN, "lr")
    assert not best.exact
    assert "no closed form" in repr(best)
    (step,) = best.values.values()
    nearby = [
        gd.spectral_radius(gd.StepMap(gd.Optimistic(step * s), gd.games.zhang_quadratic()), [0.0, 0.0])
        for s in (0.9, 1, 1.1)
    ]
    assert nearby[1] == min(nearby) == pytest.approx(best.rate, abs=1e-6)


def test_an_infimum_at_the_end_of_a_range_is_no_optimum():
    assert best_parameters(gd.StepMap(gd.ProximalPoint(1), XY), ORIGIN, "lr") is None
    assert best_parameters(gd.StepMap(gd.Extragradient(1, 1), XY), ORIGIN, ["lr", "extrapolation"]) is None


def test_nothing_is_best_where_nothing_is_stable():
    assert best_parameters(gd.StepMap(gd.HeavyBall(1, 0), XY), ORIGIN) is None


def test_a_step_that_ends_at_once_is_recognised():
    best = best_parameters(gd.StepMap(gd.Simultaneous(1), gd.Game(["2*x**2"], players=["x"])), [0], "lr")
    assert (best.rate, best.bound) == (0, 0)
    assert list(best.values.values()) == [sp.Rational(1, 4)]


def test_floats_give_floats():
    best = best_parameters(gd.StepMap(gd.HeavyBall(1, 0), potential(1, 4)), [0.0, 0.0])
    assert not best.exact
    assert not best.is_proven
    assert list(best.values.values()) == pytest.approx([4 / 9, 1 / 9], abs=1e-5)


def test_bad_questions_are_refused():
    with pytest.raises(TypeError, match="StepMap"):
        best_parameters(XY, ORIGIN)
    T = gd.StepMap(gd.Method(gd.HeavyBall(1, 0), gd.consensus(1), gd.two_timescale(1)), XY)
    with pytest.raises(ValueError, match="at most 3"):
        best_parameters(T, ORIGIN, ["lr", "momentum", "gamma", "tau"])


# skew valleys, where eigenvalues meet ------------------------------------------------------------------


def alternating_ball(eta, beta):
    """DT of alternating heavy ball on xy, on (x, x before, y, y before), written out by hand."""
    x = [1 + beta, -beta, -eta, 0]
    y = [eta * e + own for e, own in zip(x, [0, 0, 1 + beta, -beta], strict=True)]
    return sp.Matrix([x, [1, 0, 0, 0], y, [0, 0, 1, 0]])


def test_the_best_alternating_momentum_on_a_rotation_has_a_closed_form():
    best = best_parameters(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY), ORIGIN)
    eta, beta = best.values.values()
    assert sp.simplify(beta - (4 * sp.sqrt(3) - 7)) == 0
    assert sp.simplify(best.rate - (2 * sp.sqrt(3) - 3)) == 0
    assert best.is_proven
    z = sp.Symbol("z")
    r, last = best.rate, beta**2 / best.rate**3  # a threefold eigenvalue -r, and one inside; the determinant is β²
    assert last < r
    left = sp.Poly(alternating_ball(eta, beta).charpoly(z).as_expr() - (z + r) ** 3 * (z + last), z)
    assert all(abs(c.evalf(50)) < 1e-40 for c in left.all_coeffs())


def test_simultaneous_momentum_on_a_saddle_reaches_the_floor_of_its_valley():
    game = gd.zero_sum("x**2+3*x*y-y**2", min="x", max="y")
    best = best_parameters(gd.StepMap(gd.HeavyBall(1, 0), game), ORIGIN)
    assert sp.simplify(best.rate - (sp.sqrt(13) - 2) / 3) == 0
    assert best.is_proven


def test_numeric_answers_show_no_digit_that_is_not_settled():
    best = best_parameters(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY), [0.0, 0.0])
    assert not best.exact
    truth = (3**0.75 * (12 * np.sqrt(2) - 4 * np.sqrt(6)) / 9, 4 * np.sqrt(3) - 7, 2 * np.sqrt(3) - 3)
    shown = [float(part.split(" ")[-1]) for part in repr(best).splitlines()[0].replace(";", ",").split(",")]
    assert shown == pytest.approx(truth, rel=1e-6)
    assert len(best.errors) == 3
    loose = replace(best, errors=(1e-3, 1e-4, 1e-5))
    assert repr(loose).startswith("BestParameters (numeric): eta = 1.82, momentum = -0.072; rate 0.4641")


def test_the_method_says_which_of_step_and_momentum_are_looked_for():
    best = best_parameters(gd.StepMap(gd.Simultaneous(1), potential(1, 3)), ORIGIN)
    assert (*map(str, best.values), best.rate) == ("eta", sp.Rational(1, 2))


def test_steep_fields_have_small_steps():
    best = best_parameters(gd.StepMap(gd.Simultaneous(1), potential(10**7, 3 * 10**7)), ORIGIN)
    assert (*best.values.values(), best.rate) == (sp.Rational(1, 2 * 10**7), sp.Rational(1, 2))


@pytest.mark.parametrize("z", [[0, 0], [0.0, 0.0]])
def test_symbols_without_values_are_named(z):
    game = gd.zero_sum("a*x**2/2-a*y**2/2+x*y", min="x", max="y")
    with pytest.raises(ValueError, match=r"\['a'\] have no values"):
        best_parameters(gd.StepMap(gd.Simultaneous(1), game), z, ["lr"])
