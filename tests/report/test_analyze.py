"""The screen of `analyze`: its numbers recomputed, its shape, its data and its LaTeX."""

from __future__ import annotations

import json
import math
import re

import mpmath
import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.report import text
from gamedyn.report.analyze import analyze
from gamedyn.report.radius import radius_near
from gamedyn.rules.named import CLASSICAL, coefficients, methods, named
from gamedyn.stability.regions.steps import step_polynomial

ETA = sp.Symbol("eta", positive=True)


def xy():
    return gd.zero_sum("x*y", min="x", max="y")


@pytest.fixture(scope="module")
def rotation():
    return analyze(xy())


@pytest.fixture(scope="module")
def wang():
    return analyze(gd.zero_sum("-3*x**2 - y**2 + 4*x*y", min="x", max="y"))


@pytest.fixture(scope="module")
def forsaken():
    return analyze(gd.games.forsaken())


def by_name(report):
    return {m.name: m for m in report.methods}


FORMULAS = {  # the published ones: M01, M02, M04, M05, M06, M10, M16 (K = 5)
    "Simultaneous": sp.sqrt(1 + ETA**2),
    "Alternating": sp.Integer(1),
    "Extragradient": sp.sqrt((1 - ETA**2) ** 2 + ETA**2),
    "ProximalPoint": 1 / sp.sqrt(1 + ETA**2),
    "Optimistic": sp.sqrt((1 + sp.sqrt(1 - 4 * ETA**2)) / 2),
    "Consensus": sp.sqrt((1 - ETA) ** 2 + ETA**2),
    "SymplecticAdjustment": sp.sqrt((1 - ETA) ** 2 + ETA**2),
    "Unrolled": sp.sqrt(1 - 9 * ETA**2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_spectral_radius_on_the_bilinear_game_is_the_published_formula(rotation, name):
    m = by_name(rotation)[name]
    assert sp.simplify(m.formula - FORMULAS[name]) == 0
    assert m.rho == pytest.approx(float(FORMULAS[name].subs(ETA, sp.Rational(1, 10))), abs=1e-12)


def test_lookahead_and_negative_momentum_have_the_published_radii(rotation):
    assert by_name(rotation)["Lookahead"].rho == pytest.approx(abs(0.5 + 0.5 * (1 + 0.1j) ** 5), abs=1e-12)
    p = np.polyadd(np.polymul(np.poly([1, 1]), np.poly([-0.5, -0.5])), 0.01 * np.array([1, 0, 0, 0]))
    assert by_name(rotation)["AlternatingHeavyBall"].rho == pytest.approx(np.abs(np.roots(p)).max(), abs=1e-10)


def test_best_steps_on_the_bilinear_game_are_the_published_ones(rotation):
    table = by_name(rotation)
    assert (table["Extragradient"].best.step, table["Extragradient"].best.rate) == (sp.sqrt(2) / 2, sp.sqrt(3) / 2)
    assert (table["Optimistic"].best.step, table["Optimistic"].best.rate) == (sp.Rational(1, 2), sp.sqrt(2) / 2)
    assert table["Simultaneous"].best is None
    assert table["Optimistic"].stable.stable == sp.Interval.open(0, 1 / sp.sqrt(3))


def test_verdicts_on_the_bilinear_game(rotation):
    verdicts = {m.name: m.verdict for m in rotation.methods}
    assert verdicts.pop("Simultaneous") == "diverges"
    assert verdicts.pop("Alternating") == "neutral"
    assert set(verdicts.values()) == {"converges"}


@pytest.mark.parametrize("best", [False, True])
def test_methods_are_ranked_per_gradient_and_implicit_ones_come_last(rotation, best):
    ranked = rotation.ranked(best=best)
    assert ranked[-1].name == "ProximalPoint"
    assert ranked[-1].solves == 1
    rates = [m.best_per_gradient if best else m.per_gradient for m in ranked[:-1]]
    known = [r for r in rates if r is not None]
    assert known == sorted(known)
    assert rates[: len(known)] == known
    expected = {m.name: m.rho ** (1 / m.gradients) for m in ranked[:-1]}
    assert all(m.per_gradient == pytest.approx(expected[m.name]) for m in ranked[:-1])


def test_turn_and_e_folding_follow_from_the_leading_eigenvalue(rotation):
    m = by_name(rotation)["Simultaneous"]
    assert m.turn == pytest.approx(2 * math.pi / math.atan(0.1))
    assert m.e_folding == pytest.approx(1 / (0.5 * math.log(1.01)))
    assert by_name(rotation)["Alternating"].e_folding is None


def test_minimax_point_of_wang_is_unstable_for_the_flow_and_no_nash(wang):
    (p,) = wang.points
    e = p.equilibrium
    J = np.array([[-6.0, 4.0], [-4.0, 2.0]])
    assert np.array_equal(np.array(e.jacobian, dtype=float), J)
    assert e.kind == "local minimax"
    assert e.flow == "unstable"
    assert list(e.eigenvalues) == [-2, -2]
    assert e.tau == 3
    assert p.share == pytest.approx(np.linalg.norm(J - J.T) / 2 / np.linalg.norm(J))
    assert by_name(wang)["Simultaneous"].rho == pytest.approx(1.2, abs=1e-14)  # a double eigenvalue, to full precision
    assert by_name(wang)["Unrolled"].best.rate == 0


def test_forsaken_point_is_stable_and_no_nash(forsaken):
    (p,) = forsaken.points
    assert np.array(p.equilibrium) == pytest.approx([0.078027, 0.411934], abs=1e-6)
    eigenvalues = sorted(np.array([complex(v) for v in p.equilibrium.eigenvalues]), key=lambda v: v.imag)
    assert eigenvalues == pytest.approx([0.044746 - 0.908028j, 0.044746 + 0.908028j], abs=1e-6)
    assert p.equilibrium.kind == "stable non-Nash"
    for name, m in by_name(forsaken).items():
        if name in ("Simultaneous", "Extragradient"):
            a = 0.1 * eigenvalues[1]
            assert m.rho == pytest.approx(abs(1 - a + (a**2 if name == "Extragradient" else 0)), abs=1e-9)


def test_local_game_has_the_step_jacobian_of_the_game_itself(forsaken):
    z = [float(x) for x in forsaken.points[0].equilibrium.point]
    for m in forsaken.methods:
        if m.name != "ProximalPoint":
            T = gd.StepMap(named(m.name, lr=0.1), gd.games.forsaken())
            assert m.rho == pytest.approx(np.abs(np.linalg.eigvals(T.jacobian(T.start(z)))).max(), abs=1e-9), m.name


@pytest.mark.parametrize("which", ["rotation", "wang", "forsaken"])
def test_the_screen_fits_and_shows_its_numbers(which, request):
    report = request.getfixturevalue(which)
    screen = str(report)
    assert max(map(len, screen.splitlines())) <= text.WIDTH
    assert len(screen.splitlines()) <= 50
    assert not re.search(r"Rational|CRootOf|sqrt|\*\*|Piecewise|nan", screen)
    assert all(m.name in screen and f"{m.rho:.6f}" in screen for m in report.methods)


def test_the_bilinear_screen_shows_the_published_forms(rotation):
    screen = str(rotation)
    for shown in (
        "√(1 + η²)",
        "√(1 - η² + η⁴)",
        "1/√(1 + η²)",
        "0 < η < √3/3 = 0.5774",
        "√2/2 = 0.70711",
        "none (neutral 0 < η < 2)",
    ):
        assert shown in screen


def test_json_round_trips(rotation, wang, forsaken):
    for report in (rotation, wang, forsaken):
        data = report.to_dict()
        assert json.loads(json.dumps(data, allow_nan=False)) == data
    data = rotation.to_dict()
    assert [m["name"] for m in data["methods"]] == [m.name for m in rotation.methods]
    assert data["equilibria"][0]["antisymmetric"][0][1] == {"exact": "1", "value": 1.0}


def test_latex_is_balanced(rotation, wang, forsaken):
    several = analyze(gd.games.adolphs(), methods=["Simultaneous", "Adam"])
    for report in (rotation, wang, forsaken, several):
        source = report.latex()
        body = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        assert body.count("{") == body.count("}")
        assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0
        opened = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", body):
            assert kind == "begin" or opened.pop() == name
            opened += [name] if kind == "begin" else []
        assert not opened
        assert body.count(r"\left") == body.count(r"\right")
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and line.count("&") == 7]
        assert len(rows) == 1 + sum(not m.reason for m in report.methods)
        assert "CRootOf" not in body


def test_a_method_without_an_answer_says_why_in_its_row():
    report = analyze(xy(), methods=["Simultaneous", "Adam"])
    adam = by_name(report)["Adam"]
    assert "no Jacobian" in adam.reason
    assert adam.rho is None
    assert report.ranked()[-1].name == "Adam"
    assert adam.reason[:30] in str(report)
    field = analyze(gd.field_game(["y", "-x"], players=[["x"], ["y"]]), methods=["Simultaneous", "Unrolled"])
    assert "without costs" in by_name(field)["Unrolled"].reason


def test_general_sum_unrolling_is_refused_where_cross_gradients_do_not_vanish():
    game = gd.Game(["x**2 + y", "y**2 + x*y + y**3"], players=["x", "y"])
    report = analyze(game, methods=["Simultaneous", "Unrolled"], box=(-0.1, 0.1))
    assert by_name(report)["Simultaneous"].verdict == "converges"
    assert "does not vanish" in by_name(report)["Unrolled"].reason


def test_the_most_interesting_equilibrium_is_chosen_and_at_overrides():
    game = gd.games.adolphs()
    report = analyze(game, methods=["Simultaneous"])
    assert report.points[report.at].equilibrium.kind == "strict local Nash"
    kinds = [p.equilibrium.kind for p in report.points]
    other = analyze(game, methods=["Simultaneous"], at=kinds.index("unstable"))
    assert other.methods[0].verdict == "diverges"
    with pytest.raises(ValueError, match="at=9 names no equilibrium"):
        analyze(game, methods=["Simultaneous"], at=9)


def test_free_parameters_give_conditions_and_binding_gives_numbers():
    game = gd.zero_sum("x*y + a*x**2", min="x", max="y")
    free = analyze(game, methods=["Alternating"])
    assert free.methods[0].rho is None
    assert free.methods[0].stable.kind == "conditions"
    assert "bind(" in str(free)
    assert json.dumps(free.to_dict())
    assert free.latex()
    bound = analyze(game, methods=["Alternating"], params={"a": 0.5})
    assert bound.methods[0].verdict == "converges"
    with pytest.raises(ValueError, match="bind"):
        analyze(gd.zero_sum("exp(a*x) - y**2", min="x", max="y"))


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), "fast", float("inf")])
def test_a_step_that_is_no_positive_number_is_refused(lr):
    with pytest.raises(ValueError, match="lr"):
        analyze(xy(), lr=lr)


def test_methods_may_be_names_objects_or_a_mapping():
    report = analyze(xy(), methods={"mine": gd.Extragradient(0.5), "EG": "Extragradient"})
    assert by_name(report)["mine"].rho == pytest.approx(math.sqrt(0.75**2 + 0.25))
    assert by_name(report)["EG"].rho == pytest.approx(math.sqrt(0.99**2 + 0.01))
    with pytest.raises(ValueError, match="more than once"):
        analyze(xy(), methods=["Extragradient", "Extragradient"])
    with pytest.raises(ValueError, match="no method 'Newton'"):
        analyze(xy(), methods=["Newton"])


def test_transformed_game_is_analysed_as_the_method_on_the_game():
    report = analyze(gd.consensus(1.0)(xy()), methods=["Simultaneous"])
    assert report.methods[0].rho == pytest.approx(math.sqrt(0.81 + 0.01), abs=1e-12)


@pytest.mark.parametrize("name", methods)
def test_every_named_method_is_built_and_priced(name):
    assert gd.step_cost(named(name, lr=0.1)).gradients >= 0
    assert named(name, lr=0.2, **{k: v for k, v in coefficients(name).items() if v is not None}) == named(name, lr=0.2)


def test_named_refuses_unknown_names_and_coefficients_with_the_list():
    with pytest.raises(ValueError, match="Simultaneous, Alternating"):
        named("GDA")
    with pytest.raises(ValueError, match="besides lr it has momentum"):
        named("HeavyBall", beta=0.3)
    assert set(CLASSICAL) <= set(methods)


def test_radius_takes_the_branch_of_the_given_step():
    T = gd.StepMap(gd.Alternating(0.1), xy())
    p, h, _ = step_polynomial(T, [0, 0])
    assert radius_near(p, h, sp.Rational(1)) == 1
    outside = radius_near(p, h, sp.Rational(5, 2))
    assert sp.simplify(outside.subs(h, sp.Rational(5, 2))) == 4  # M02


@pytest.mark.parametrize(("formula", "lr"), [("x*y", 0.5), ("5*x*y", 0.1)])
def test_a_step_with_a_repeated_eigenvalue_has_its_row(formula, lr):
    (row,) = analyze(gd.zero_sum(formula, min="x", max="y"), methods=["Optimistic"], lr=lr).methods
    assert row.rho == pytest.approx(math.sqrt(0.5), abs=1e-12)
    assert (row.verdict, row.formula) == ("converges", None)  # two branches of the radius meet at this step


def test_a_failure_of_the_root_finder_is_the_reason_of_one_row(monkeypatch):
    def fails(*_):
        raise mpmath.libmp.NoConvergence("no roots")

    monkeypatch.setattr("gamedyn.report.local.radius_near", fails)
    (row,) = analyze(xy(), methods=["Simultaneous"]).methods
    assert (row.reason, row.rho) == ("no roots", None)


def test_numbers_are_printed_as_a_paper_would():
    assert text.eigenvalues([sp.I, -sp.I]) == "±i"
    assert text.eigenvalues([1 + sp.sqrt(15) * sp.I, 1 - sp.sqrt(15) * sp.I]) == "1 ± i√15 = 1 ± 3.87298i"
    assert text.eigenvalues([2 * sp.sqrt(3) * sp.I, -2 * sp.sqrt(3) * sp.I]).startswith("±2i√3 = ")
    assert text.eigenvalues([sp.I / 2, -sp.I / 2]) == "±i/2 = ±0.5i"
    assert text.expression(sp.Symbol("x1") * sp.Symbol("y1") / 2) == "x₁y₁/2"
    assert text.with_decimal(sp.sqrt(3) / 2) == "√3/2 = 0.86603"
    assert text.decimal(1 - 1j) == "1-i"


def test_the_page_says_which_class_the_game_belongs_to():
    bowl = gd.analyze(gd.zero_sum("x**2 + x*y - y**2", min="x", max="y"), methods=["Simultaneous"])
    assert "mu = 2, L = √5" in str(bowl)
    assert "monotone (" in str(bowl)
    assert "not monotone" not in str(bowl)
    assert bowl.to_dict()["constants"].startswith("mu = 2, L = sqrt(5)")
    boxed = gd.analyze(gd.games.forsaken(), methods=["Simultaneous"], box=(-1.5, 1.5))
    assert "mu = -13/10" in str(boxed)
    assert "certified" in str(boxed)
    assert "not monotone" in str(boxed)


def test_a_stable_point_that_first_throws_far_is_called_not_normal():
    page = str(gd.analyze(gd.field_game(["x + 20*y", "y"], players=[["x"], ["y"]]), methods=["Simultaneous"]))
    assert "grows 7.38-fold by t = 0.995" in page
    assert "(Kreiss constant 5.05)" in page
    calm = str(gd.analyze(gd.zero_sum("x**2 + x*y - y**2", min="x", max="y"), methods=["Simultaneous"]))
    assert "not normal" not in calm


def test_a_manifold_of_zeros_is_shown_as_one():
    page = str(gd.analyze(gd.zero_sum("(x*y - 1)**2", min="x", max="y"), methods=["Simultaneous"]))
    assert "manifold of dimension 1: (1/s1, s1)" in page
