"""Equilibria, classes and spectral radii of games on simplices are taken along the simplices."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.games.chart import simplex_chart
from gamedyn.games.field import NotInThisWorld

R = sp.Rational
RPS = gd.games.rock_paper_scissors()
COORDINATION = gd.games.bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]])


def tangent(d, blocks):
    """An orthonormal basis of the directions along simplices of the given sizes."""
    projector = np.zeros((d, d))
    first = 0
    for k in blocks:
        projector[first : first + k, first : first + k] = np.eye(k) - 1 / k
        first += k
    values, vectors = np.linalg.eigh(projector)
    return vectors[:, values > 0.5]


def test_an_interior_equilibrium_is_found_where_v_does_not_vanish():
    (e,) = gd.equilibria(COORDINATION)
    assert e.point == (R(2, 3), R(1, 3), R(1, 3), R(2, 3))
    assert e.exact
    v = gd.field(COORDINATION, [float(x) for x in e.point])
    assert np.max(np.abs(v)) > 0.5
    np.testing.assert_allclose([v[0] - v[1], v[2] - v[3]], 0, atol=1e-15)
    assert (e.kind, e.flow) == ("unstable", "unstable")
    assert e.eigenvalues == (R(-3, 2), R(3, 2))


@pytest.mark.parametrize(("game", "blocks"), [(RPS, (3, 3)), (COORDINATION, (2, 2))], ids=["rps", "coordination"])
def test_eigenvalues_are_those_of_the_projected_jacobian(game, blocks):
    (e,) = gd.equilibria(game)
    Q = tangent(game.dim, blocks)
    expected = np.linalg.eigvals(Q.T @ gd.jacobian(game, [float(x) for x in e.point]).to_dense() @ Q)
    ours = np.array([complex(x) for x in e.eigenvalues])
    np.testing.assert_allclose(np.sort_complex(ours.round(9)), np.sort_complex(expected.round(9)), atol=1e-8)


def test_rock_paper_scissors_is_a_center_along_its_simplices():
    (e,) = gd.equilibria(RPS)
    assert (e.point, e.kind) == ((R(1, 3),) * 6, "center")
    assert gd.classify(RPS, e.point).kind == "center"
    assert gd.classify(RPS, [1 / 3] * 6).kind == "center"


def test_no_interior_equilibrium_is_reported_as_none_with_a_note():
    found = gd.equilibria(gd.games.prisoners_dilemma())
    assert len(found) == 0
    assert "faces are not searched" in found.note


def test_a_search_box_keeps_points_of_the_game_inside():
    assert len(gd.equilibria(COORDINATION, box={"x1": (0.6, 0.7)})) == 1
    assert len(gd.equilibria(COORDINATION, box={"x1": (0, 0.5)})) == 0


def test_a_strict_nash_equilibrium_on_a_simplex_is_recognised():
    costs = ["x1**2 + x2**2 + x1*y1", "y1**2 + 2*y2**2 - x1*y1"]
    game = gd.Game(costs, players={"a": ["x1", "x2"], "b": ["y1", "y2"]}).constrained(simplex=["a", "b"])
    (e,) = gd.equilibria(game)
    assert gd.is_strict_local_nash(game, e.point)
    assert e.flow == "stable"
    x1, x2, y1, y2 = e.point
    assert (x1 + x2, y1 + y2) == (1, 1)
    assert sp.simplify(2 * x1 + y1 - 2 * x2) == 0
    assert sp.simplify(2 * y1 - x1 - 4 * y2) == 0


@pytest.mark.parametrize("rule", [gd.Extragradient(0.2), gd.Optimistic(0.2), gd.HeavyBall(0.1, 0.3)])
@pytest.mark.parametrize("layer", [(), (gd.entropic(),)], ids=["projected", "entropic"])
def test_spectral_radius_is_the_measured_rate_at_an_equilibrium_with_nonzero_v(rule, layer):
    costs = ["x1**2 + x2**2 + 2*x1*y1", "y1**2 + 2*y2**2 - 2*x1*y1"]
    game = gd.Game(costs, players={"a": ["x1", "x2"], "b": ["y1", "y2"]}).constrained(simplex=["a", "b"])
    (e,) = gd.equilibria(game)
    z = np.array([float(x) for x in e.point])
    assert np.max(np.abs(gd.field(game, z))) > 0.5
    T = gd.StepMap(gd.Method(rule, *layer), game)
    rho = gd.spectral_radius(T, z)
    distance = np.linalg.norm(gd.simulate(T, z + np.array([0.01, -0.01, 0.01, -0.01]), steps=400).z - z, axis=1)
    usable = (distance > 1e-12) & (distance < 1e-4)
    steps = np.arange(len(distance))[usable]
    slope = np.polyfit(steps, np.log(distance[usable]), 1)[0]
    assert len(steps) > 20
    assert np.exp(slope) == pytest.approx(rho, abs=5e-3)
    assert np.max(np.abs(np.linalg.eigvals(T.test_jacobian(z)))) == pytest.approx(rho, abs=1e-9)


def test_the_exact_radius_of_projected_extragradient_is_that_of_the_reduced_rotation():
    eta = sp.Symbol("eta", positive=True)
    T = gd.StepMap(gd.Extragradient(eta), gd.games.matching_pennies())
    rho = gd.spectral_radius(T, [R(1, 2)] * 4)
    for step in (R(1, 10), R(1, 3), R(2, 3)):  # the reduced rotation has σ = 2
        assert rho.subs(eta, step) == sp.sqrt(1 - 4 * step**2 + 16 * step**4)


def test_points_on_the_boundary_or_off_the_constraints_are_refused():
    T = gd.StepMap(gd.Extragradient(0.1), gd.games.prisoners_dilemma())
    with pytest.raises(ValueError, match="boundary"):
        gd.spectral_radius(T, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="boundary"):
        gd.stable_steps(T, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="boundary"):
        gd.classify(gd.games.prisoners_dilemma(), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="away from the constraints"):
        gd.spectral_radius(T, [0.5, 0.6, 0.5, 0.5])
    with pytest.raises(ValueError, match="no equilibrium"):
        gd.spectral_radius(T, [0.5, 0.5, 0.5, 0.5])
    half = gd.zero_sum("x*y", min="x", max="y").constrained({"x": (0, 1)})
    with pytest.raises(ValueError, match="boundary"):  # a kink: ρ differs from the right and from the left
        gd.spectral_radius(gd.StepMap(gd.Extragradient(0.1), half), [0, 0])


def test_questions_without_coordinates_along_the_simplex_say_why():
    with pytest.raises(NotInThisWorld, match="transformed"):
        gd.equilibria(gd.consensus(0.1)(RPS))
    with pytest.raises(NotInThisWorld, match="dual"):
        gd.equilibria(gd.entropic()(RPS))
    with pytest.raises(NotInThisWorld, match="d = 40"):
        gd.equilibria(gd.games.bimatrix(np.eye(30)))
    with pytest.raises(NotInThisWorld, match="two players"):
        gd.equilibria(gd.zero_sum("x*y", min="x", max="y").constrained(simplex=[("x", "y")]))
    with pytest.raises(NotInThisWorld, match="one strategy"):
        gd.equilibria(gd.games.bimatrix([[1, 2]]))


def test_coordinates_and_points_are_inverse_to_each_other():
    chart = simplex_chart(COORDINATION)
    z = (R(1, 5), R(4, 5), R(1, 2), R(1, 2))
    assert tuple(map(sp.nsimplify, chart.lift(chart.coordinates(z)))) == z
    np.testing.assert_allclose(chart.lift(chart.coordinates([0.2, 0.8, 0.5, 0.5])), [0.2, 0.8, 0.5, 0.5], atol=1e-15)
    assert chart.basis.T * chart.basis == sp.eye(2)


def test_reports_predict_the_measured_rate_on_simplices():
    report = gd.analyze(gd.games.matching_pennies(), methods=["Simultaneous", "Extragradient"])
    assert {m.name: m.verdict for m in report.ranked()} == {"Extragradient": "converges", "Simultaneous": "diverges"}
    methods = [gd.Extragradient(0.1), gd.Method(gd.Optimistic(0.3), gd.entropic())]
    table = gd.compare(gd.games.matching_pennies(), methods, z0=[0.6, 0.4, 0.3, 0.7], steps=300)
    for race in table.races:
        assert race.measured == pytest.approx(race.predicted.rho, abs=1e-5)
