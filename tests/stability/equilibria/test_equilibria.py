"""Equilibria of games in formulas against the published critical points."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.symbolic import Game, SymbolicGame, field_game, zero_sum
from gamedyn.rules.transforms import consensus, two_timescale, unrolled
from gamedyn.stability.equilibria.equilibria import EquilibriumList, equilibria
from gamedyn.stability.equilibria.polynomial_zeros import PositiveDimensional, real_zeros
from gamedyn.stability.regions.stable_region import stable_region
from gamedyn.stability.regions.timescales import stable_timescales
from gamedyn.stability.time_limit import OutOfTime, limited_time

x, y, w = sp.symbols("x y w", real=True)


def planar(f: str, **kwargs: str) -> SymbolicGame:
    return zero_sum(f, min="x", max="y", **kwargs)


def near(found: EquilibriumList, point: tuple[float, ...], tolerance: float = 1e-5) -> object:
    (match,) = [e for e in found if np.abs(np.asarray(e) - point).max() < tolerance]
    return match


def spectrum(e: object) -> np.ndarray:
    return np.array([complex(v) for v in e.eigenvalues])  # type: ignore[attr-defined]


# published games ------------------------------------------------------------------------------------------


def test_torus_game_thresholds() -> None:
    found = equilibria(planar("-0.15*cos(x) + cos(x - y) + 0.15*cos(y)"), box=(-1, 4))
    assert not found.complete
    assert "Newton" in found.method
    origin, corner = near(found, (0, 0)), near(found, (np.pi, np.pi))
    assert (origin.point, origin.tau, origin.kind) == ((0, 0), sp.Rational(85, 115), "local minimax")
    assert (corner.point, corner.tau) == ((sp.pi, sp.pi), sp.Rational(115, 85))
    assert all(e.residual <= 1e-10 for e in found)


def test_concave_concave_quadratic_is_minimax_with_threshold_one() -> None:
    (e,) = equilibria(planar("-x**2 + 5*x*y - y**2"))
    assert (e.kind, e.tau, e.flow) == ("local minimax", 1, "center")


def test_wang_quadratics() -> None:
    (g1,) = equilibria(planar("-3*x**2 - y**2 + 4*x*y"))
    assert (g1.kind, g1.flow, g1.eigenvalues) == ("local minimax", "unstable", (-2, -2))
    (g2,) = equilibria(planar("3*x**2 + y**2 + 4*x*y"))
    assert (g2.kind, g2.flow, g2.eigenvalues) == ("stable non-Nash", "stable", (2, 2))


def test_letcher_game_has_one_equilibrium_and_it_is_unstable() -> None:
    found = equilibria(planar("x*y - x**2/2 + y**2/2 + x**4/4 - y**4/4"))
    assert found.complete
    (e,) = found
    assert (e.point, e.kind) == ((0, 0), "unstable")
    assert set(e.eigenvalues) == {-1 - sp.I, -1 + sp.I}


def test_forsaken_game_has_one_stable_equilibrium() -> None:
    found = equilibria(planar("x*(y - 0.45) + x**2/4 - x**4/2 + x**6/6 - (y**2/4 - y**4/2 + y**6/6)"))
    assert found.complete
    (e,) = found
    assert e.exact
    assert e.flow == "stable"
    np.testing.assert_allclose(np.asarray(e), [0.078027, 0.411934], atol=1e-6)
    np.testing.assert_allclose(spectrum(e), [0.044746 - 0.908028j, 0.044746 + 0.908028j], atol=1e-6)


def test_optimistic_example_quadratics() -> None:
    (stable,) = equilibria(planar("-x**2/8 - y**2/2 + 0.6*x*y"))
    assert (stable.eigenvalues, stable.flow, stable.kind) == (
        (sp.Rational(1, 5), sp.Rational(11, 20)),
        "stable",
        "local minimax",
    )
    (neutral,) = equilibria(planar("x**2/2 + y**2/2 + 4*x*y"))
    assert set(neutral.eigenvalues) == {-sp.sqrt(15) * sp.I, sp.sqrt(15) * sp.I}
    assert neutral.flow == "center"


def test_curvature_exploitation_example_has_three_points_of_three_kinds() -> None:
    found = equilibria(planar("2*x**2 + y**2 + 4*x*y + 4*y**3/3 - y**4/4"))
    assert found.complete
    nash, unstable, trap = found
    r = sp.sqrt(2)
    assert nash.point == (-2 - r, 2 + r)
    assert nash.kind == "strict local Nash"
    np.testing.assert_allclose(spectrum(nash), [4.828 - 3.913j, 4.828 + 3.913j], atol=1e-3)
    assert unstable.point == (-2 + r, 2 - r)
    assert unstable.kind == "unstable"
    np.testing.assert_allclose(spectrum(unstable), [-3.533, 1.876], atol=5e-4)
    assert trap.point == (0, 0)
    assert trap.kind == "stable non-Nash"
    assert set(trap.eigenvalues) == {1 - sp.sqrt(7) * sp.I, 1 + sp.sqrt(7) * sp.I}


def test_tandem_game_has_a_line_of_degenerate_equilibria() -> None:
    g = Game(["(x + y)**2 - 2*x", "(x + y)**2 - 2*y"], players=[["x"], ["y"]])
    found = equilibria(g)
    (e,) = found
    assert sum(e.point) == 1
    assert e.kind == "degenerate"
    assert not found.complete
    assert "flat of dimension 1" in found.note
    (shifted,) = equilibria(g, box={"x": (2, 4), "y": (-4, 0)})
    assert sum(shifted.point) == 1
    assert len(equilibria(g, box=(2, 4))) == 0


def test_three_player_general_sum_game() -> None:
    g = Game(["x**2 + x*y - x*w", "y**2 - x*y + 2*y*w", "w**2/2 + x*w - y*w + w"], players=[["x"], ["y"], ["w"]])
    found = equilibria(g)
    assert found.complete
    (e,) = found
    assert e.point == (sp.Rational(-1, 3), sp.Rational(1, 4), sp.Rational(-5, 12))
    assert e.kind == "strict local Nash"
    assert e.tau == 0
    np.testing.assert_allclose(g.field("array")(np.asarray(e)), 0, atol=1e-15)


# algebra --------------------------------------------------------------------------------------------------


def test_every_real_zero_is_found_when_no_coordinate_separates_them() -> None:
    grid = real_zeros([x**2 - 1, y**2 - 1], [x, y])
    assert set(grid) == {(a, b) for a in (-1, 1) for b in (-1, 1)}


def test_multiple_zeros_are_found_once() -> None:
    assert real_zeros([x**2 * (x - 1), (y - x) ** 3], [x, y]) == [(0, 0), (1, 1)]
    assert set(real_zeros([(x**2 - 1) ** 2, (y**2 - 1) ** 2], [x, y])) == {(a, b) for a in (-1, 1) for b in (-1, 1)}


def test_complex_zeros_are_left_out() -> None:
    assert real_zeros([x**2 + 1, y - x], [x, y]) == []
    assert real_zeros([x**3 - x * y, y - 1 - x**2], [x, y]) == [(0, 1)]
    assert real_zeros([x * y - 1, x], [x, y]) == []


def test_radical_coefficients_are_exact() -> None:
    assert set(real_zeros([x**2 - sp.sqrt(2) * x, y - sp.sqrt(2) * x], [x, y])) == {(0, 0), (sp.sqrt(2), 2)}


def test_zeros_of_numerators_where_denominators_vanish_are_none() -> None:
    assert real_zeros([(x**2 - 1) / (x - 1), y], [x, y]) == [(-1, 0)]
    assert real_zeros([x * (x - 2) / (x**2 + y**2), y], [x, y]) == [(2, 0)]


def test_curves_of_zeros_are_reported() -> None:
    with pytest.raises(PositiveDimensional):
        real_zeros([x * y, x * (y - 1)], [x, y])
    found = equilibria(field_game(["x*(x**2 + y**2 - 1)", "y*(x**2 + y**2 - 1)"], players=[["x"], ["y"]]))
    assert "not isolated" in found.note
    assert not found.complete
    assert [e.kind for e in found].count("degenerate") == 1
    assert near(found, (0, 0)).kind == "unstable"


@pytest.mark.parametrize("seed", range(6))
def test_elimination_finds_every_zero_that_newton_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    monomials = [x**i * y**j for i in range(4) for j in range(4) if i + j <= 3]
    v = [sum(int(c) * m for c, m in zip(rng.integers(-3, 4, len(monomials)), monomials, strict=True)) for _ in range(2)]
    g = field_game([str(e) for e in v], players=[["x"], ["y"]])
    exact = equilibria(g, box=(-2, 2))
    newton = equilibria(g, box=(-2, 2), time_limit=1e-4)
    assert exact.complete
    assert not newton.complete
    assert "Newton" in newton.method
    assert len(exact) >= len(newton)
    for e in newton:
        near(exact, tuple(np.asarray(e)), 1e-6)


def test_exact_zeros_of_high_degree_have_vanishing_residuals() -> None:
    g = planar("x**5/5 - x + x*y**3 - y**4/4 + y")
    found = equilibria(g)
    assert found.complete
    assert len(found) > 0
    for e in found:
        assert e.residual == 0
        z, F = np.asarray(e), g.field("array")
        step = np.linalg.solve(np.stack([F.jvp(z, u) for u in np.eye(2)], axis=1), F(z))
        np.testing.assert_allclose(step, 0, atol=1e-14 * (1 + np.abs(z).max()))


# parameters, boxes, transforms -----------------------------------------------------------------------------


def test_affine_games_are_solved_for_free_parameters() -> None:
    g = planar("x*y + a*x**2/2 - x")
    found = equilibria(g)
    a = g.parameter_symbol("a")
    (e,) = found
    assert e.point == (0, 1)
    assert e.eigenvalues[0] + e.eigenvalues[1] == a
    assert "parameters" in found.note
    (bound,) = equilibria(g, params={"a": 1})
    assert bound.kind == "local maximin"


def test_newton_asks_for_parameters_by_name() -> None:
    found = equilibria(planar("a*sin(x)*y + x**2/2"), time_limit=5)
    assert not found.complete
    assert "a" in found.note


def test_box_restricts_the_result() -> None:
    g = planar("2*x**2 + y**2 + 4*x*y + 4*y**3/3 - y**4/4")
    assert [e.point for e in equilibria(g, box={"x": (-0.1, 1), "y": (-1, 1)})] == [(0, 0)]
    assert len(equilibria(g, box=(-1, 1))) == 2


@pytest.mark.parametrize("box", [{"q": (0, 1)}, (1, 1), (2, 1), {"x": (0, 1, 2)}])
def test_bad_boxes_are_refused(box: object) -> None:
    with pytest.raises(ValueError, match="box"):
        equilibria(planar("x*y"), box=box)  # type: ignore[arg-type]


def test_constrained_games_say_what_was_not_searched() -> None:
    g = planar("x*y").constrained({"x": (-1, 1)})
    assert "boundary" in equilibria(g).note


def test_transformed_games_are_solved_through_their_field() -> None:
    base = planar("x*y - x**2/2 + y**2/2 + x**4/4 - y**4/4")
    found = equilibria(consensus(0.1)(base))
    assert near(found, (0, 0)).flow == "unstable"
    (tau,) = equilibria(two_timescale(2)(planar("-x**2 + 5*x*y - y**2")))
    assert (tau.kind, tau.flow, tau.tau) == ("local minimax", "stable", sp.Rational(1, 2))


def test_consensus_on_a_nonpolynomial_field_keeps_every_zero_of_the_base() -> None:
    base = planar("sin(x)*y + x**2/4 - y**2/4")
    zeros = equilibria(base)
    both = equilibria(consensus(0.2)(base))
    assert len(zeros) > 0
    for e in zeros:
        assert near(both, tuple(np.asarray(e)), 1e-6).flow in ("stable", "unstable")


def test_same_seed_same_zeros() -> None:
    g = planar("sin(x)*cos(y) + x*y/3")
    first, second = (np.array([np.asarray(e) for e in equilibria(g, seed=3)]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) > 1


def test_newton_does_not_return_places_where_the_field_only_decays() -> None:
    found = equilibria(field_game(["exp(-x)*(2 + sin(y))", "y"], players=[["x"], ["y"]]), box=(0, 60))
    assert len(found) == 0


# results and time -------------------------------------------------------------------------------------------


def test_the_table_fits_one_screen() -> None:
    found = equilibria(planar("x*(y - 0.45) + x**2/4 - x**4/2 + x**6/6 - (y**2/4 - y**4/2 + y**6/6)"))
    lines = repr(found).splitlines()
    assert lines[0] == "1 equilibrium by elimination (all real zeros)"
    assert max(map(len, lines)) < 120
    assert "0.044746±0.908028i" in lines[2]
    assert "0.044746±0.908028i" in repr(found[0])
    assert found[0].row()["residual"] == "exact"


def test_long_spectra_are_cut_in_the_table() -> None:
    names = [[f"{p}{k}" for k in range(10)] for p in "xy"]
    f = " + ".join(f"x{k}*y{k} + {k}*x{k}**2/2" for k in range(10))
    found = equilibria(zero_sum(f, min=names[0], max=names[1]))
    assert len(found[0].eigenvalues) == 20
    assert max(map(len, repr(found).splitlines())) < 160


def test_fields_with_kinks_say_where_classes_mean_nothing() -> None:
    assert "kinks" in equilibria(planar("abs(x)*y")).note
    assert "kinks" not in equilibria(planar("sin(x)*y")).note


def test_a_field_whose_formula_is_out_of_reach_is_solved_on_its_trace() -> None:
    g = unrolled(10, 0.3)(planar("-log(1 + exp(-x*y))"))
    found = equilibria(g, time_limit=0.2)
    (e,) = found
    assert "formula" in found.note
    np.testing.assert_allclose(np.asarray(e), 0, atol=1e-9)
    assert e.flow == "stable"


def test_a_time_limit_interrupts_and_restores_the_previous_handler() -> None:
    before = signal.getsignal(signal.SIGALRM)
    began = time.monotonic()
    with pytest.raises(OutOfTime), limited_time(0.05):
        time.sleep(10)
    assert time.monotonic() - began < 2
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_games_without_formulas_are_refused() -> None:
    torch = pytest.importorskip("torch")
    from gamedyn.games.callable import callable_game

    g = callable_game([lambda z: torch.sum(z**2), lambda z: -torch.sum(z**2)], sizes=[1, 1])
    with pytest.raises(NotInThisWorld, match="formula"):
        equilibria(g)


def test_equilibria_work_off_the_main_thread() -> None:
    results: list[EquilibriumList] = []
    thread = threading.Thread(target=lambda: results.append(equilibria(planar("x*y"))))
    thread.start()
    thread.join()
    assert results[0][0].kind == "center"


def test_zeros_outside_a_constrained_game_or_on_its_boundary_are_left_out():
    inside = zero_sum("x*y", "x", "y").constrained({"x": (-1, 1)})
    assert [e.point for e in equilibria(inside)] == [(0, 0)]
    on_boundary = zero_sum("x*y", "x", "y").constrained({"x": (0, 1)})
    outside = zero_sum("x*y + 2*x", "x", "y").constrained({"y": (-1, 1)})
    for game in (on_boundary, outside):
        found = equilibria(game)
        assert len(found) == 0
        assert "boundary" in found.note


def test_a_box_may_be_a_pair_for_every_variable_in_order():
    g = zero_sum("x*y**2 + x**2*y - x - y", min="x", max="y")
    named = equilibria(g, box={"x": (-1, 1), "y": (0, 2)})
    for box in ([(-1, 1), (0, 2)], np.array([[-1, 1], [0, 2]])):
        assert [e.point for e in equilibria(g, box=box)] == [e.point for e in named]
    for box in ([(-1, 1)], [(-1, 1), 2], [(-1, 1), (0, 2), (0, 1)]):
        with pytest.raises(ValueError, match="a pair for each"):
            equilibria(g, box=box)


def test_equilibria_with_radicals_in_their_jacobian_are_classified():
    low, high = equilibria(field_game(["x**2 - 2", "y*x", "3*x*z"], players=["x", "y", "z"]))
    assert (low.flow, high.flow) == ("unstable", "stable")
    assert high.point == (sp.sqrt(2), 0, 0)
    assert high.tau == 0


def test_radicals_and_parameters_meet_in_the_characteristic_polynomial():
    root = sp.sqrt(2)
    assert "0 < tau" in repr(stable_timescales(sp.Matrix([[root, 0], [0, root]]), players=(1, 1)))
    game = field_game(["x**2 - 2", "y*x", "3*x*z"], players=["x", "y", "z"])
    assert "0 < tau" in repr(stable_region(game, [root, 0, 0], {"tau": (0, sp.oo)}))
