"""Regions of one and several parameters, against closed forms and against computed spectra."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.parameters import cayley
from gamedyn.stability.regions.stable_region import stable_region

XY = gd.games.bilinear(1)
ORIGIN = [0, 0]
A, B = sp.symbols("a b", real=True)
OPEN = sp.Interval.open
HALF = sp.Rational(1, 2)


def holds(region, values):
    """The conditions as they are printed, at a point."""
    table = {p.symbol: sp.nsimplify(values[p.symbol.name]) for p in (*region.problem.parameters, *region.others)}
    return all(bool(c.subs(table)) for c in region.conditions)


# one parameter -----------------------------------------------------------------------------------------


def test_a_parameter_of_the_game_may_be_negative():
    # J = [[1, a], [a, 1]]: eigenvalues 1 ± a
    game = gd.Game(["x**2/2 + a*x*y", "y**2/2 + a*x*y"], players=[["x"], ["y"]])
    region = stable_region(game, ORIGIN, "a")
    assert region.kind == "exact"
    assert region.stable == OPEN(-1, 1)
    assert region.neutral == sp.FiniteSet(-1, 1)


def test_windows_and_unions_come_back_as_such():
    J = sp.Matrix([[(A - 1) * (A + 2), 0], [0, 4 - A**2]])
    assert stable_region(J, parameters="a").stable == OPEN(1, 2)
    assert stable_region(sp.Matrix([[A**3 - A]]), parameters="a").stable == sp.Union(OPEN(-1, 0), OPEN(1, sp.oo))


def test_zero_may_be_a_boundary_inside_the_range():
    assert stable_region(sp.Matrix([[A, 1], [-1, A]]), parameters="a").stable == OPEN(0, sp.oo)
    assert stable_region(sp.Matrix([[A**2]]), parameters="a").stable == sp.Union(OPEN(-sp.oo, 0), OPEN(0, sp.oo))


def test_an_eigenvalue_minus_one_everywhere_is_unstable_everywhere():
    # ζ = (1 - λ)/(1 + λ) sends it to infinity
    assert stable_region(sp.diag(-1, A), parameters="a").is_empty
    assert stable_region(sp.diag(-1, A, -1), parameters="a").neutral is sp.S.EmptySet


def test_a_center_is_neutral_where_its_matrix_is_semisimple():
    assert stable_region(sp.Matrix([[0, A], [-A, 0]]), parameters="a").neutral == sp.S.Reals
    twice = sp.Matrix([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]])
    jordan = twice + A * sp.Matrix(4, 4, lambda i, j: int(j == i + 2))
    assert stable_region(jordan, parameters="a").neutral is sp.S.EmptySet


def test_a_given_range_bounds_the_answer():
    game = gd.Game(["x**2/2 + a*x*y", "y**2/2 + a*x*y"], players=[["x"], ["y"]])
    assert stable_region(game, ORIGIN, {"a": (-HALF, 3)}).stable == OPEN(-HALF, 1)
    assert stable_region(game, ORIGIN, {"a": (None, 0)}).stable == OPEN(-1, 0)


def test_momentum_is_looked_for_between_minus_one_and_one():
    T = gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY)
    assert stable_region(T, ORIGIN, "momentum").stable == OPEN(-HALF, 0)  # η = 1 < 2(1 + β)


def test_one_step_of_a_method_is_what_stable_steps_says():
    for rule in (gd.Extragradient(1), gd.Optimistic(1), gd.Alternating(1)):
        T = gd.StepMap(rule, XY)
        ours, known = stable_region(T, ORIGIN, "lr"), gd.stable_steps(T, ORIGIN)
        assert (ours.stable, ours.neutral) == (known.stable, known.neutral)


def test_the_point_may_move_with_the_parameter():
    # v = (x³ - a x...) has zeros x = ±√a; J = 3x² - a = 2a there
    game = gd.Game(["x**4/4 - a**2*x**2/2"], players=[["x"]])
    assert stable_region(game, [A], "a").stable == sp.Union(OPEN(-sp.oo, 0), OPEN(0, sp.oo))
    assert stable_region(game, [0], "a").stable is sp.S.EmptySet


def test_transformed_games_and_simplices_are_flows_too():
    gamma = sp.Symbol("gamma", real=True)
    assert stable_region(gd.consensus(gamma)(XY), ORIGIN, "gamma").stable == OPEN(0, sp.oo)
    pennies = gd.games.matching_pennies()
    centre = pennies.facts.equilibria[0]
    assert stable_region(pennies, centre, "tau").neutral == OPEN(0, sp.oo)


# several parameters ------------------------------------------------------------------------------------


def test_conditions_are_short_where_the_region_is():
    T = gd.StepMap(gd.Extragradient(1, 1), XY)
    region = stable_region(T, ORIGIN, ["lr", "extrapolation"])
    eta, gamma = region.parameters
    assert region.conditions == (sp.Lt(eta, 2 * gamma / (gamma**2 + 1)),)
    assert region.latex() == (
        r"\eta > 0 \;\wedge\; extrapolation > 0 \;\wedge\; \eta < \frac{2 extrapolation}{extrapolation^{2} + 1}"
    )


def test_the_boundary_lists_the_curves():
    region = stable_region(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY), ORIGIN, ["lr", "momentum"])
    eta, beta = region.parameters
    assert {sp.expand(f / sp.Poly(f, eta, beta).LC()) for f in region.boundary} == {eta - 2 * beta - 2, beta}


def test_slices_are_exact_sets():
    region = stable_region(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY), ORIGIN, ["lr", "momentum"])
    assert region.slice(momentum=-HALF).stable == OPEN(0, 1)
    assert region.slice(eta=1).stable == OPEN(-HALF, 0)
    assert region.slice(lr=1.0).stable == OPEN(-HALF, 0)


def test_a_region_of_two_pieces_keeps_its_product():
    region = stable_region(sp.Matrix([[A * B]]), parameters=["a", "b"])
    assert region.conditions == (sp.Gt(A * B, 0),)
    assert region.contains(a=-1, b=-2)
    assert not region.contains(a=-1, b=2)


def test_a_factor_that_touches_zero_is_not_dropped():
    hole = stable_region(sp.Matrix([[(A - 1) ** 2 + (B - 1) ** 2]]), parameters=["a", "b"])
    assert not hole.contains(a=1, b=1)
    assert hole.contains(a=1, b=1.001)
    line = stable_region(sp.Matrix([[(A - B) ** 2]]), parameters=["a", "b"])
    assert line.conditions == (sp.Ne(A - B, 0),)
    beside = stable_region(sp.diag((A - 1) ** 2 + (B - 1) ** 2, A), parameters=["a", "b"])
    assert not beside.contains(a=1, b=1)
    outside = stable_region(sp.diag((A + 1) ** 2 + B**2, A), parameters=["a", "b"])
    assert outside.conditions == (sp.Gt(A, 0),)  # the hole (-1, 0) is unstable anyway


def test_cells_carry_a_witness_of_every_piece():
    region = stable_region(sp.diag(1 - A**2 - B**2, 1), parameters=["a", "b"])
    inside = [point for point, stable in region.cells if stable]
    assert inside
    assert all(x**2 + y**2 < 1 for x, y in inside)
    assert any(not stable for _, stable in region.cells)
    assert region.is_empty is False


def test_nothing_stable_is_proved_by_the_cells():
    # eigenvalues a + b and -(a² + 1) - b²: never both positive
    region = stable_region(sp.diag(A + B, -(A**2) - B**2 - 1), parameters=["a", "b"])
    assert region.is_empty
    assert "nowhere" in repr(region)
    assert not region.contains(a=1, b=1)
    assert region.latex() == r"(a, b) \in \emptyset"


def test_symbols_that_were_not_asked_for_stay_in_the_conditions():
    game = gd.field_game(["a*x + b*y", "a*y - b*x"], players=[["x"], ["y"]])
    region = stable_region(gd.StepMap(gd.Simultaneous(1), game), ORIGIN, "lr")
    assert region.kind == "conditions"
    assert [p.name for p in region.others] == ["a", "b"]
    assert region.contains(lr=0.9, a=1, b=1)
    assert not region.contains(lr=1.1, a=1, b=1)
    with pytest.raises(ValueError, match="without a value"):
        region.contains(lr=0.9)


def test_three_parameters():
    mu = sp.Symbol("mu", positive=True)
    game = gd.zero_sum(mu * sp.Symbol("x") ** 2 / 2 + B * sp.Symbol("x") * sp.Symbol("y"), min="x", max="y")
    region = stable_region(gd.StepMap(gd.Simultaneous(1), game), ORIGIN, ["lr", "mu", "b"])
    # p = ζ² - (2 - ημ)ζ + 1 - ημ + η²b²: stable iff b ≠ 0 and η b² < μ and ημ < 2 + η²b²/2
    for lr, m, b in ((0.5, 1, 1), (1.5, 1, 1), (0.5, 1, 0), (3, 0.5, 0.3), (3.9, 0.55, 0.1)):
        expected = b != 0 and lr * b**2 < m and 4 - 2 * lr * m + lr**2 * b**2 > 0
        assert region.contains(lr=lr, mu=m, b=b) == expected
        assert holds(region, {"eta": lr, "mu": m, "b": b}) == expected


ROTATIONS = [sp.eye(2), sp.Matrix([[3, -4], [4, 3]]) / 5, sp.Matrix([[5, 12], [-12, 5]]) / 13]
METHODS = {
    "heavy ball": (gd.HeavyBall(1, 0), ("lr", "momentum")),
    "alternating heavy ball": (gd.alternating(gd.HeavyBall(1, 0)), ("lr", "momentum")),
    "optimistic": (gd.Optimistic(1, 1), ("lr", "correction")),
    "extragradient": (gd.Extragradient(1, 1), ("lr", "extrapolation")),
    "consensus": (gd.Method(gd.Simultaneous(1), gd.consensus(1)), ("lr", "gamma")),
    "two timescales": (gd.Method(gd.Simultaneous(1), gd.two_timescale(1)), ("lr", "tau")),
}


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_point_is_inside_iff_the_computed_spectral_radius_is_below_one(name, data):
    real, imaginary = data.draw(st.integers(-1, 3)), data.draw(st.integers(0, 3))
    Q = data.draw(st.sampled_from(ROTATIONS))
    spread = data.draw(st.integers(0, 2))  # eigenvalues real ± sqrt(spread² - imaginary²)
    J = Q * (sp.Matrix([[real + spread, imaginary], [-imaginary, real - spread]]) / 2) * Q.T
    x, y = sp.symbols("x y")
    v = J * sp.Matrix([x, y])
    rule, parameters = METHODS[name]
    try:
        T = gd.StepMap(rule, gd.field_game(list(v), players=[["x"], ["y"]]))
        region = stable_region(T, ORIGIN, parameters, time_limit=20)
    except gd.NotInThisWorld:
        return
    assert region.kind == "conditions"
    low = -0.95 if "momentum" in parameters else 0.02
    first = data.draw(st.lists(st.floats(0.02, 3), min_size=12, max_size=12))
    second = data.draw(st.lists(st.floats(low, 0.95), min_size=12, max_size=12))
    radii = region.problem.evaluate(np.array(first), np.array(second))  # of the traced step, on arrays
    for x, y, rho in zip(first, second, radii, strict=True):
        values = dict(zip(parameters, (x, y), strict=True))
        if abs(rho - 1) > 1e-3:
            assert region.contains(values) == (rho < 1)
            shown = {p.symbol.name: values[p.name] for p in region.problem.parameters}
            assert holds(region, shown) == (rho < 1)


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3), st.lists(st.floats(-2, 2), min_size=16, max_size=16))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_flow_is_inside_iff_every_computed_real_part_is_positive(p, q, w, points):
    J = sp.Matrix([[p + A, w, 1], [-w, q - B, A], [B, 0, 2]])
    region = stable_region(J, parameters=["a", "b"], time_limit=20)
    for a, b in zip(points[::2], points[1::2], strict=True):
        least = np.linalg.eigvals(np.array(J.subs({A: a, B: b}), dtype=float)).real.min()
        if abs(least) > 1e-3:
            assert region.contains(a=a, b=b) == (least > 0)


# numeric -----------------------------------------------------------------------------------------------


def test_beyond_the_limits_the_map_is_numeric_and_says_so():
    T = gd.StepMap(gd.HeavyBall(1, 0), gd.games.bilinear(np.diag([1.0, 0.5, 0.25])))
    assert T.dim == 12
    region = stable_region(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), T.game), [0] * 6, ["lr", "momentum"])
    assert region.kind == "numeric"
    assert "dimension 12 > 8" in repr(region)
    assert region.grid.values.shape == tuple(len(a) for a in region.grid.axes)
    assert region.contains(lr=0.9, momentum=-0.5)  # η σ < 2(1 + β) for σ = 1
    assert not region.contains(lr=1.1, momentum=-0.5)
    assert region.is_empty is None
    with pytest.raises(ValueError, match="grid"):
        region.latex()
    k = int(np.argmin(np.abs(region.grid.axes[1] + 0.5)))
    edge = region.grid.axes[0][np.flatnonzero(region.grid.stable[:, k])].max()
    assert edge == pytest.approx(2 * (1 + region.grid.axes[1][k]), rel=0.1)
    line = region.slice(momentum=-0.5)
    assert line.kind == "numeric"
    assert float(line.stable.sup) == pytest.approx(1, rel=1e-6)


def test_a_float_point_gives_a_numeric_answer():
    game = gd.Game(["x**2/2 + a*x*y", "y**2/2 + a*x*y"], players=[["x"], ["y"]])
    region = stable_region(game, [0.0, 0.0], "a")
    assert region.kind == "numeric"
    assert float(region.stable.inf) == pytest.approx(-1, abs=1e-8)
    assert float(region.stable.sup) == pytest.approx(1, abs=1e-8)


def test_games_without_formulas_are_mapped():
    def f(z):
        return z[0] ** 2 / 2 + z[0] * z[1] - z[1] ** 2 / 2

    game = gd.callable_game([f, lambda z: -f(z)], sizes=[1, 1])
    origin = torch.zeros(2, dtype=torch.float64)
    steps = stable_region(gd.StepMap(gd.Simultaneous(0.1), game), origin, "lr")
    assert float(steps.stable.sup) == pytest.approx(1, rel=1e-6)  # (1 - h)² + h² < 1
    flow = stable_region(game, origin, "tau")
    assert flow.kind == "numeric"
    assert flow.contains(tau=3)


def test_the_time_limit_holds():
    region = stable_region(gd.StepMap(gd.Optimistic(1, 1), XY), ORIGIN, ["lr", "correction"], time_limit=1e-4)
    assert region.kind == "numeric"
    assert "more than 0.0001 s" in repr(region)
    assert region.contains(lr=0.5, correction=0.5)


def test_entries_that_are_not_rational_are_mapped():
    region = stable_region(sp.Matrix([[sp.sin(A)]]), parameters={"a": (0, 4)})
    assert region.kind == "numeric"
    assert "not rational" in region.reason
    assert float(region.stable.sup) == pytest.approx(np.pi, rel=1e-8)


# bad input ---------------------------------------------------------------------------------------------


def test_bad_questions_say_what_to_ask():
    T = gd.StepMap(gd.HeavyBall(1, 0), XY)
    with pytest.raises(ValueError, match=r"HeavyBall\.lr"):
        stable_region(T, ORIGIN, ["lr", "gamma"])
    with pytest.raises(ValueError, match="tau"):
        stable_region(XY, ORIGIN, ["lr"])
    with pytest.raises(ValueError, match="low < high"):
        stable_region(T, ORIGIN, {"lr": (1, 1)})
    with pytest.raises(ValueError, match="rational"):
        stable_region(T, ORIGIN, {"lr": (0, sp.sqrt(2))})
    with pytest.raises(ValueError, match="no parameters"):
        stable_region(T, ORIGIN, [])
    with pytest.raises(ValueError, match="no equilibrium"):
        stable_region(T, [1, 0], ["lr"])
    with pytest.raises(ValueError, match="no parameter"):
        stable_region(sp.Matrix([[A]]), parameters="b")
    with pytest.raises(ValueError, match="square"):
        stable_region(sp.Matrix([[A, 1]]), parameters="a")
    with pytest.raises(ValueError, match="nonnegative"):
        stable_region(sp.Matrix([[sp.Symbol("g", positive=True)]]), parameters={"g": (-1, 1)})
    with pytest.raises(gd.NotInThisWorld, match="frozen"):
        stable_region(gd.StepMap(gd.Method(gd.Simultaneous(0.1), gd.Adam()), XY), ORIGIN, "lr")
    with pytest.raises(gd.NotInThisWorld, match="schedule"):
        stable_region(gd.StepMap(gd.scheduled(gd.Simultaneous(0.1), "lr", (0.1, 0.2)), XY), ORIGIN, "lr")


def test_bad_points_say_what_the_region_has():
    region = stable_region(gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), XY), ORIGIN, ["lr", "momentum"])
    with pytest.raises(ValueError, match="no parameters of the region"):
        region.contains(lr=1, beta=0)
    with pytest.raises(ValueError, match="momentum"):
        region.contains(lr=1)
    with pytest.raises(ValueError, match="contains"):
        region.slice(lr=1, momentum=0)
    assert not region.contains(lr=-1, momentum=-0.5)  # outside the ranges


def test_a_value_in_params_is_not_free():
    game = gd.zero_sum("a*x**2 + x*y", min="x", max="y")
    with pytest.raises(ValueError, match="leave it out"):
        stable_region(gd.StepMap(gd.Simultaneous(1), game, params={"a": 1}), ORIGIN, "a")


# the map between flows and steps -----------------------------------------------------------------------


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_cayley_maps_the_right_half_plane_into_the_circle(values):
    x = sp.Symbol("x")
    p = sp.Poly(sp.prod([x - v for v in values]), x)
    roots = [complex(r) for r in cayley(p).nroots(n=15, maxsteps=200)] if len(set(values)) == len(values) else []
    expected = sorted((1 - v) / (1 + v) if v != -1 else 2.0 for v in values)
    assume(roots)
    assert sorted(r.real for r in roots) == pytest.approx(expected, abs=1e-9)


def test_matrices_of_numbers_have_no_parameters():
    with pytest.raises(TypeError, match="SymPy matrix"):
        stable_region(np.eye(2), parameters="a")


def test_symbols_without_values_are_no_matter_of_time():
    game = gd.Game(["a*x**2/2 + x*y", "b*y**2/2 - x*y"], players=[["x"], ["y"]])
    with pytest.raises(ValueError, match=r"\['b'\] have no values"):
        stable_region(game, [0.0, 0.0], "a")


# time scales of steps ----------------------------------------------------------------------------------

SADDLE = gd.zero_sum("-3*x**2-y**2+4*x*y", min="x", max="y")


def test_a_step_map_has_a_time_scale():
    T = gd.StepMap(gd.Simultaneous(sp.Rational(1, 10)), SADDLE)
    region = stable_region(T, ORIGIN, "tau")
    named = stable_region(gd.StepMap(gd.Method(T.method, gd.two_timescale(2)), SADDLE), ORIGIN, "tau")
    assert region.stable == named.stable
    # ζ = 1 - hλ: J = [[-6, 4], [-4τ, 2τ]] has tr = 2τ - 6, det = 4τ
    for tau in (2, 3, sp.Rational(7, 2), 4, 5, 30):
        J = np.array([[-6, 4], [-4 * float(tau), 2 * float(tau)]])
        assert region.contains(tau=tau) == (np.abs(1 - 0.1 * np.linalg.eigvals(J)).max() < 1)
    assert region.contains(tau=5)


def test_the_time_scale_of_a_step_is_that_of_the_flow_for_small_steps():
    both = stable_region(gd.StepMap(gd.Simultaneous(1), SADDLE), ORIGIN, ["lr", "tau"])
    flow = stable_region(SADDLE, ORIGIN, "tau")
    for tau in (2, 4):
        assert both.contains(lr=sp.Rational(1, 1000), tau=tau) == flow.contains(tau=tau) == (tau > 3)


def test_the_time_scale_of_a_step_without_formulas_is_mapped():
    def f(z):
        return -3 * z[0] ** 2 - z[1] ** 2 + 4 * z[0] * z[1]

    game = gd.callable_game([f, lambda z: -f(z)], sizes=[1, 1])
    mapped = stable_region(gd.StepMap(gd.Simultaneous(0.1), game), torch.zeros(2, dtype=torch.float64), "tau")
    exact = stable_region(gd.StepMap(gd.Simultaneous(sp.Rational(1, 10)), SADDLE), ORIGIN, "tau")
    assert float(mapped.stable.inf) == pytest.approx(float(exact.stable.inf), rel=1e-6)


# scans --------------------------------------------------------------------------------------------------

STEEP = gd.zero_sum("1000000*x**2-1000000*y**2", min="x", max="y")


def test_scans_of_steep_fields_look_at_small_steps():
    T = gd.StepMap(gd.Simultaneous(1), STEEP)
    for found in (stable_region(T, [0.0, 0.0], "lr"), gd.stable_steps(T, [0.0, 0.0])):
        assert float(found.stable.sup) == pytest.approx(1e-6, rel=1e-6)


def test_a_scan_without_stable_steps_says_what_was_scanned():
    T = gd.StepMap(gd.Simultaneous(1), XY)
    assert "stable nowhere among the scanned values, 0.0001 <= eta <= 100" in repr(stable_region(T, [0.0, 0.0], "lr"))
