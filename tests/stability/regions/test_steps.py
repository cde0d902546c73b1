"""Spectral radii, stability polynomials, stable and best steps."""

from __future__ import annotations

import time

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.stable_steps import StableSteps
from gamedyn.stability.regions.steps import step_jacobian

XY = gd.games.bilinear(1)
ETA, LAMBDA, ZETA = sp.Symbol("eta", positive=True), sp.Symbol("lambda"), sp.Symbol("zeta")

POLYNOMIALS = {
    gd.Simultaneous(ETA): ZETA - (1 - ETA * LAMBDA),
    gd.Extragradient(ETA): ZETA - (1 - ETA * LAMBDA + ETA**2 * LAMBDA**2),
    gd.Optimistic(ETA): ZETA**2 - (1 - 2 * ETA * LAMBDA) * ZETA - ETA * LAMBDA,
    gd.PastExtragradient(ETA): ZETA**2 - (1 - 2 * ETA * LAMBDA) * ZETA - ETA * LAMBDA,
    gd.HeavyBall(ETA, sp.Symbol("beta")): ZETA**2 - (1 + sp.Symbol("beta") - ETA * LAMBDA) * ZETA + sp.Symbol("beta"),
    gd.ProximalPoint(ETA): (1 + ETA * LAMBDA) * ZETA - 1,
    gd.LinearizedProximalPoint(ETA): (1 + ETA * LAMBDA) * ZETA - 1,
    gd.lookahead(gd.Simultaneous(ETA), 2, sp.Rational(1, 2)): ZETA - (sp.Rational(1, 2) + (1 - ETA * LAMBDA) ** 2 / 2),
}


@pytest.mark.parametrize("rule", POLYNOMIALS, ids=lambda r: type(r).__name__)
def test_stability_polynomial_is_the_documented_one(rule):
    found = gd.stability_polynomial(rule).as_expr()
    quotient = sp.simplify(found / POLYNOMIALS[rule])
    assert quotient.is_number, quotient
    assert quotient != 0


@pytest.mark.parametrize("rule", POLYNOMIALS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("eigenvalue", [0.7 + 0j, 0.3 + 1.1j, 1.4j])
def test_stability_polynomial_predicts_the_spectrum_of_the_step(rule, eigenvalue):
    a, b = eigenvalue.real, eigenvalue.imag
    x, y = sp.symbols("x y")
    game = gd.field_game([a * x + b * y, a * y - b * x], players=[["x"], ["y"]])
    coefficients = {ETA: 0.2, sp.Symbol("beta"): -0.3}
    p = gd.stability_polynomial(rule).as_expr().subs(coefficients)
    roots = [
        r
        for value in (eigenvalue, eigenvalue.conjugate())
        for r in np.roots([complex(c) for c in sp.Poly(p.subs(LAMBDA, value), ZETA).all_coeffs()])
    ]
    momentum = {"beta": -0.3} if isinstance(rule, gd.HeavyBall) else {}
    T = gd.StepMap(rule, game, params={"eta": 0.2, **momentum})
    values = np.linalg.eigvals(T.jacobian(T.start([0.0, 0.0])))
    assert max(abs(v) for v in values) == pytest.approx(max(abs(r) for r in roots), rel=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        gd.Alternating(0.1),
        gd.Method(gd.Simultaneous(0.1), gd.consensus(1.0)),
        gd.Method(gd.Simultaneous(0.1), gd.unrolled(2, 0.1)),
    ],
    ids=["alternating", "consensus", "unrolled"],
)
def test_no_polynomial_for_methods_that_see_more_than_eigenvalues(method):
    with pytest.raises(gd.NotInThisWorld, match="eigenvalues alone"):
        gd.stability_polynomial(method)


def test_spectral_radius_is_exact_only_without_floats():
    assert gd.spectral_radius(gd.StepMap(gd.Extragradient(sp.Rational(1, 2)), XY), [0, 0]) == sp.sqrt(13) / 4
    value = gd.spectral_radius(gd.StepMap(gd.Extragradient(0.5), XY), [0, 0])
    assert isinstance(value, float)
    assert value == pytest.approx(np.sqrt(13) / 4, rel=1e-15)


def test_spectral_radius_of_a_quadratic_in_four_dimensions_takes_no_isolation_of_complex_roots():
    f = "x1**2/2 + x2**2/3 + x1*x2/3 + 2*x1*y1 + x1*y2 - x2*y1 + 3*x2*y2 - y1**2/5 - y2**2/7"
    T = gd.StepMap(gd.Optimistic(sp.Rational(1, 10)), gd.zero_sum(f, min="x1,x2", max="y1,y2"))
    began = time.perf_counter()
    radius = float(gd.spectral_radius(T, [0] * 4))
    assert time.perf_counter() - began < 5
    floats = np.array(step_jacobian(T, [0] * 4), dtype=float)
    assert radius == pytest.approx(np.max(np.abs(np.linalg.eigvals(floats))), abs=1e-12)


def test_spectral_radius_of_a_free_symbol_without_closed_form_says_what_to_do():
    with pytest.raises(ValueError, match="stable_steps"):
        gd.spectral_radius(gd.StepMap(gd.Optimistic(ETA), XY), [0, 0])


def test_a_preconditioned_step_is_refused_with_the_remedy():
    T = gd.StepMap(gd.Method(gd.Extragradient(0.1), gd.Adam()), XY)
    with pytest.raises(gd.NotInThisWorld, match=r"Adam\.frozen"):
        gd.spectral_radius(T, [0, 0])


def test_a_frozen_preconditioner_is_analysed():
    adam = gd.Adam()
    state = (np.zeros(2), np.array([0.04, 0.25]), np.array([1e6, 1e6]))
    T = gd.StepMap(gd.Method(gd.Extragradient(0.1), adam.frozen(state)), XY)
    J = np.diag([1 / 0.2, 1 / 0.5]) @ np.array([[0, 1], [-1, 0]])
    expected = np.max(np.abs(np.linalg.eigvals(np.eye(2) - 0.1 * J + 0.01 * J @ J)))
    assert gd.spectral_radius(T, [0, 0]) == pytest.approx(expected, rel=1e-6)


def test_a_periodic_schedule_is_analysed_as_its_period():
    T = gd.StepMap(gd.scheduled(gd.Simultaneous(0.0), "lr", (0.1, -0.05)), XY)
    J = np.array([[0, 1], [-1, 0]])
    expected = np.max(np.abs(np.linalg.eigvals((np.eye(2) + 0.05 * J) @ (np.eye(2) - 0.1 * J))))
    assert gd.spectral_radius(T, [0, 0]) == pytest.approx(expected, rel=1e-12)


def test_an_aperiodic_schedule_has_no_spectral_radius():
    T = gd.StepMap(gd.scheduled(gd.Simultaneous(0.0), "lr", lambda k: 1 / (k + 1)), XY)
    with pytest.raises(gd.NotInThisWorld, match="aperiodic"):
        gd.spectral_radius(T, [0, 0])


RULES = [
    gd.Simultaneous(1),
    gd.Extragradient(1),
    gd.Optimistic(1),
    gd.HeavyBall(1, sp.Rational(1, 4)),
    gd.Alternating(1),
]


@given(st.sampled_from(RULES), st.integers(-6, 6), st.integers(-6, 6), st.integers(-6, 6), st.floats(0.02, 3))
def test_stable_steps_are_those_with_radius_below_one(rule, p, a, q, eta):
    assume(a != 0)
    x, y = sp.symbols("x y")
    game = gd.zero_sum(sp.Rational(p, 4) * x**2 + sp.Rational(a, 3) * x * y - sp.Rational(q, 4) * y**2, "x", "y")
    T = gd.StepMap(rule, game)
    radius = gd.spectral_radius(T.with_parameter("lr", eta), [0, 0])
    assume(abs(radius - 1) > 1e-3)
    assert gd.stable_steps(T, [0, 0]).contains(eta) == (radius < 1)


def test_free_symbols_give_conditions():
    a, b = sp.symbols("a b", positive=True)
    x, y = sp.symbols("x y")
    game = gd.zero_sum(a * x**2 / 2 + b * x * y - a * y**2 / 2, "x", "y")
    region = gd.stable_steps(gd.StepMap(gd.Simultaneous(1), game), [0, 0])
    assert region.kind == "conditions"
    values = {s: v for s in region.conditions[0].free_symbols for n, v in (("a", 1), ("b", 2)) if s.name == n}
    assert region.contains(sp.Rational(39, 100), values)
    assert not region.contains(sp.Rational(41, 100), values)


def test_neutral_steps_need_a_full_eigenspace():
    two_rotations = gd.games.bilinear([[1, 0], [0, 1]])
    region = gd.stable_steps(gd.StepMap(gd.Alternating(1), two_rotations), [0, 0, 0, 0])
    assert region.neutral == sp.Interval.open(0, 2)


def test_beyond_the_exact_limits_the_map_is_labelled_numeric():
    game = gd.games.bilinear(np.diag([1.0, 0.5, 0.25]))
    T = gd.StepMap(gd.Optimistic(0.1), game)
    assert T.dim == 12
    region = gd.stable_steps(T, [0] * 6)
    assert region.kind == "numeric"
    assert float(region.stable.end) == pytest.approx(1 / np.sqrt(3), rel=1e-9)


def test_other_coefficients_can_be_set_free():
    T = gd.StepMap(gd.Method(gd.Simultaneous(sp.Rational(1, 2)), gd.consensus(1)), XY)
    region = gd.stable_steps(T, [0, 0], parameter="gamma")
    # rho² = (1 - g/2)² + 1/4 < 1
    assert region.stable == sp.Interval.open(2 - sp.sqrt(3), 2 + sp.sqrt(3))


def test_an_unknown_parameter_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Extragradient\.lr"):
        gd.stable_steps(gd.StepMap(gd.Extragradient(1), XY), [0, 0], parameter="momentum")


@given(st.integers(1, 8), st.integers(1, 8))
def test_best_step_of_gradient_descent_on_a_potential_game(low, high):
    assume(low < high)
    x, y = sp.symbols("x y")
    game = gd.Game([low * x**2 / 2, high * y**2 / 2], players=[["x"], ["y"]])
    best = gd.best_step(gd.StepMap(gd.Simultaneous(1), game), [0, 0])
    assert float(best.step) == pytest.approx(2 / (low + high), abs=1e-6)
    assert float(best.rate) == pytest.approx((high - low) / (high + low), abs=1e-6)


def test_no_best_step_where_nothing_is_stable():
    assert gd.best_step(gd.StepMap(gd.Simultaneous(1), XY), [0, 0]) is None


# a rounded neutral step is not stable ------------------------------------------------------------------


@pytest.mark.parametrize("d", [5, 6])
def test_alternating_steps_in_a_large_rotation_are_stable_nowhere(d):
    T = gd.StepMap(gd.Alternating(0.1), gd.games.bilinear(np.diag(np.arange(1.0, d + 1))))
    region = gd.stable_steps(T, [0] * 2 * d)
    assert region.kind == "numeric"
    assert region.stable is sp.S.EmptySet
    assert gd.best_step(T, [0] * 2 * d) is None


# points ------------------------------------------------------------------------------------------------

QUARTIC = "x**4/4 - x + x*y - y**2/2"  # v(1, 1) = (1, 0)
QUESTIONS = [gd.spectral_radius, gd.stable_steps, gd.best_step]


def callable_quartic():
    def f(z):
        return z[0] ** 4 / 4 - z[0] + z[0] * z[1] - z[1] ** 2 / 2

    return gd.callable_game([f, lambda z: -f(z)], sizes=[1, 1])


GAMES_OFF = {
    "symbolic": (gd.zero_sum(QUARTIC, "x", "y"), [1, 1]),
    "symbolic, float point": (gd.zero_sum(QUARTIC, "x", "y"), [1.0, 1.0]),
    "transformed": (gd.two_timescale(2)(gd.zero_sum(QUARTIC, "x", "y")), [1, 1]),
    "bound beside free": (gd.zero_sum(QUARTIC + "+ a*(x - 1)**2", "x", "y"), [1, 1]),
    "callable": (callable_quartic(), torch.ones(2, dtype=torch.float64)),
}


@pytest.mark.parametrize("ask", QUESTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", GAMES_OFF)
def test_a_point_where_the_field_does_not_vanish_is_refused_whatever_the_step(name, ask):
    game, z = GAMES_OFF[name]
    with pytest.raises(ValueError, match="no equilibrium"):
        ask(gd.StepMap(gd.Simultaneous(1e-4), game), z)


def test_best_step_looks_at_the_point_even_where_the_region_is_given():
    T = gd.StepMap(gd.Simultaneous(1), gd.zero_sum("x**2/2 + x*y - y**2/2", "x", "y"))
    region = gd.stable_steps(T, [0, 0])
    with pytest.raises(ValueError, match="no equilibrium"):
        gd.best_step(T, [1, 0], region=region)


def test_an_equilibrium_written_to_four_digits_is_accepted():
    # v = 0 at x = y, x**3 + x = 1; J has entries up to 3 x**2 = 1.4
    game = gd.zero_sum(QUARTIC, "x", "y")
    T = gd.StepMap(gd.Simultaneous(0.1), game)
    radius = gd.spectral_radius(T, [0.6823, 0.6823])
    root = sp.CRootOf(sp.Poly(sp.Symbol("t") ** 3 + sp.Symbol("t") - 1), 0)
    assert radius == pytest.approx(gd.spectral_radius(T, [float(root)] * 2), abs=1e-4)


def test_rounding_counts_relative_to_the_size_of_the_jacobian():
    game = gd.zero_sum("500*(x - 1/3)**2 + x*y - 500*y**2", "x", "y")
    z = [1 / 3 + 1e-4, 3.3e-4]  # v = 0.1, J = 1000
    assert gd.spectral_radius(gd.StepMap(gd.Simultaneous(1e-3), game), z) < 1


def test_an_equilibrium_with_free_symbols_passes():
    a = sp.Symbol("a")
    T = gd.StepMap(gd.Simultaneous(1), gd.zero_sum("(x - a)**2/2 + x*y - a*y - y**2/2", "x", "y"))
    assert gd.stable_steps(T, [a, 0]).contains(0.9)
    assert not gd.stable_steps(T, [a, 0]).contains(1.1)


def test_a_callable_game_and_a_transformed_one_are_analysed_at_their_equilibria():
    def f(z):
        return z[0] ** 2 / 2 + z[0] * z[1] - z[1] ** 2 / 2

    game = gd.callable_game([f, lambda z: -f(z)], sizes=[1, 1])
    T = gd.StepMap(gd.Simultaneous(0.1), game)
    origin = torch.zeros(2, dtype=torch.float64)
    region = gd.stable_steps(T, origin)
    assert float(region.stable.end) == pytest.approx(1, rel=1e-8)  # (1 - h)**2 + h**2 < 1
    assert float(gd.best_step(T, origin, region=region).step) == pytest.approx(0.5, abs=1e-6)
    faster = gd.StepMap(gd.Simultaneous(1), gd.two_timescale(2)(XY))
    assert gd.spectral_radius(faster, [0, 0]) == sp.sqrt(3)


# names -------------------------------------------------------------------------------------------------


def test_a_parameter_of_the_game_called_eta_is_not_the_step():
    game = gd.zero_sum("eta*x**2/2 + x*y - eta*y**2/2", "x", "y")
    region = gd.stable_steps(gd.StepMap(gd.Simultaneous(1), game), [0, 0])
    assert region.parameter.name == "eta_1"
    (bound,) = [c for c in region.conditions if region.parameter in c.free_symbols]
    (eta,) = bound.free_symbols - {region.parameter}
    assert eta.name == "eta"
    assert region.contains(0.9, {eta: 1})
    assert not region.contains(1.1, {eta: 1})


def test_a_coefficient_of_the_method_called_eta_is_not_the_step():
    T = gd.StepMap(gd.Method(gd.Simultaneous(1), gd.consensus(sp.Symbol("eta"))), XY)
    region = gd.stable_steps(T, [0, 0])
    assert region.parameter.name == "eta_1"
    assert region.contains(0.9, {sp.Symbol("eta"): 1})  # h < 2g/(1 + g**2)
    assert not region.contains(0.9, {sp.Symbol("eta"): sp.Rational(1, 2)})


# time --------------------------------------------------------------------------------------------------


def long_lookahead():
    game = gd.zero_sum("x*y/2 - y**2/4", "x", "y")
    return gd.StepMap(gd.lookahead(gd.Alternating(sp.Rational(1, 10)), 40, sp.Rational(1, 2)), game)


def test_the_time_limit_holds_for_the_polynomial_too(monkeypatch):
    def endless(*_):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pass
        raise AssertionError("the polynomial was not interrupted")

    monkeypatch.setattr("gamedyn.stability.regions.steps.TIME_LIMIT", 0.2)
    monkeypatch.setattr("gamedyn.stability.regions.steps.step_polynomial", endless)
    T = gd.StepMap(gd.Extragradient(1), XY)
    region = gd.stable_steps(T, [0, 0])
    assert region.kind == "numeric"
    assert "more than 0.2 s" in region.reason
    assert float(region.stable.end) == pytest.approx(1, rel=1e-9)
    exact = StableSteps("exact", sp.Interval.open(0, 1), sp.S.EmptySet)
    best = gd.best_step(T, [0, 0], region=exact)  # the closed form is looked for in vain
    assert best.step == pytest.approx(1 / np.sqrt(2), abs=1e-6)


def test_a_scan_after_the_time_limit_agrees_with_matrix_powers(monkeypatch):
    monkeypatch.setattr("gamedyn.stability.regions.steps.TIME_LIMIT", 0.05)
    T = long_lookahead()
    region = gd.stable_steps(T, [0, 0])
    best = gd.best_step(T, [0, 0], region=region)

    def radius(h):
        step = np.array([[1, -h / 2], [h / 2, 1 - h / 2 - h * h / 4]])
        return np.abs(np.linalg.eigvals((np.eye(2) + np.linalg.matrix_power(step, 40)) / 2)).max()

    assert radius(float(best.step)) == pytest.approx(float(best.rate), rel=1e-9)
    for h in np.linspace(0.01, 3, 50):
        if abs(radius(h) - 1) > 1e-6:
            assert region.contains(h) == (radius(h) < 1)


def test_conditions_that_take_too_long_ask_for_values(monkeypatch):
    monkeypatch.setattr("gamedyn.stability.regions.steps.TIME_LIMIT", 1e-4)
    game = gd.zero_sum("a*x**2/2 + x*y - a*y**2/2", "x", "y")
    with pytest.raises(TimeoutError, match=r"\['a'\] values"):
        gd.stable_steps(gd.StepMap(gd.Simultaneous(1), game), [0, 0])


def test_the_steps_of_a_schedule_are_not_scanned():
    T = gd.StepMap(gd.scheduled(gd.Simultaneous(0.1), "lr", (0.1, 0.2)), XY)
    with pytest.raises(gd.NotInThisWorld, match="schedule"):
        gd.stable_steps(T, [0, 0])
