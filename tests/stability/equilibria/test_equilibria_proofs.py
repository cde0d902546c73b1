"""What is proven of equilibria: isolating boxes, exhaustive searches, classes."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from gamedyn.games.library import market
from gamedyn.games.symbolic import Game, SymbolicGame, field_game, zero_sum
from gamedyn.rules.transforms import unrolled
from gamedyn.stability.equilibria.equilibria import equilibria


def planar(f: str) -> SymbolicGame:
    return zero_sum(f, min="x", max="y")


def contains(e: object, point: tuple[object, ...]) -> bool:
    return all(a <= x <= b for (a, b), x in zip(e.isolation, point, strict=True))  # type: ignore[attr-defined]


def test_every_coordinate_of_an_exact_zero_has_an_isolating_interval():
    found = equilibria(planar("x**5/5 - x + x*y**3 - y**4/4 + y"))
    for e in found:
        assert e.certified
        assert all(isinstance(a, sp.Rational) for side in e.isolation for a in side)
        assert contains(e, e.point)
        assert sum(contains(e, other.point) for other in found) == 1
        low, high = e.enclosure
        assert (low <= np.asarray(e)).all()
        assert (np.asarray(e) <= high).all()


def test_close_zeros_have_disjoint_boxes():
    gap = sp.Rational(1, 10**20)
    found = equilibria(field_game([f"x**2 - 1/{10**40}", "y"], players=["x", "y"]))
    (first, second) = found
    assert first.isolation[0][1] < second.isolation[0][0]
    assert (first.isolation[0], second.isolation[0]) == ((-gap, -gap), (gap, gap))
    irrational = equilibria(field_game([f"x**2 - 2/{10**40}", "y"], players=["x", "y"]))
    assert irrational[0].isolation[0][1] < 0 < irrational[1].isolation[0][0]


def test_rational_zeros_are_their_own_boxes_and_free_parameters_have_none():
    assert equilibria(planar("x*y - x"))[0].isolation == ((0, 0), (1, 1))
    assert equilibria(planar("x*y + a*x"))[0].isolation is None


def test_zeros_found_by_newton_are_proven():
    found = equilibria(planar("sin(x)*cos(y) + x*y/3"), box=(-5, 5))
    assert len(found) == 9
    assert all(e.certified for e in found)
    assert not found.complete
    for e in found:
        low, high = e.enclosure
        assert (high - low).max() < 1e-13
        assert ((low - 1e-15 <= np.asarray(e)) & (np.asarray(e) <= high + 1e-15)).all()


def test_an_exhaustive_search_proves_that_there_are_no_others():
    found = equilibria(planar("sin(x)*cos(y) + x*y/3"), box=(-10, 10), exhaustive=True)
    assert found.complete
    assert found.undecided == 0
    assert "branch and prune" in found.method
    newton = equilibria(planar("sin(x)*cos(y) + x*y/3"), box=(-10, 10))
    np.testing.assert_allclose([np.asarray(e) for e in found], [np.asarray(e) for e in newton], atol=1e-12)


@pytest.mark.parametrize(
    ("f", "half", "point"),
    [
        ("exp(x) - 2*x + x*y - y**2", 5, (0.546299, 0.273150)),
        ("exp(x) + x*y - y**2", 4, (-0.852606, -0.426303)),
        ("2*cosh(x) - x - cosh(y) + x*y", 9, (0.331199, 0.325425)),
    ],
)
def test_zeros_settled_in_wide_boxes_are_still_zeros(f: str, half: int, point: tuple[float, float]):
    (e,) = equilibria(planar(f), box=(-half, half), exhaustive=True)
    assert e.certified
    assert e.residual < 1e-14
    np.testing.assert_allclose(np.asarray(e), point, atol=1e-6)
    low, high = e.enclosure
    assert (high - low).max() < 1e-8


def test_an_exhaustive_search_adds_what_newton_missed():
    g = field_game(["sin(12*x)", "y"], players=["x", "y"])
    few = equilibria(g, box=(-3, 3), starts=2)
    every = equilibria(g, box=(-3, 3), starts=2, exhaustive=True)
    assert every.complete
    assert len(every) == 2 * int(3 * 12 / np.pi) + 1
    assert len(few) <= len(every)


def test_an_exhaustive_search_says_how_much_stayed_undecided():
    g = field_game(["x**3*exp(x) - sin(x)**3", "y"], players=["x", "y"])
    found = equilibria(g, exhaustive=True, time_limit=2, box=(-1, 1))
    assert not found.complete
    assert found.undecided > 0
    assert f"{found.undecided} of the sub-boxes are undecided" in found.note


def test_an_exhaustive_search_without_a_box_is_complete_only_there():
    found = equilibria(planar("sin(x)*y + x**2/4 - y**2/4"), exhaustive=True)
    assert not found.complete
    assert "all zeros in [-3, 3]" in found.note


def test_an_exhaustive_search_needs_a_formula_with_bounds():
    g = unrolled(10, 0.3)(planar("-log(1 + exp(-x*y))"))
    with pytest.raises(ValueError, match="formula"):
        equilibria(g, time_limit=0.2, exhaustive=True)
    with pytest.raises(ValueError, match="jump"):
        equilibria(planar("abs(x)*y + x**2"), exhaustive=True)


def test_resultants_reach_where_bases_do_not():
    found = equilibria(market())
    assert found.complete
    assert [e.point for e in found] == [(0, 0)]
    assert found.method == "elimination"


def test_hyperbolicity_is_stated():
    assert equilibria(planar("x*y"))[0].hyperbolic is False
    assert equilibria(planar("x**2 - y**2"))[0].hyperbolic is True
    assert equilibria(planar("x*y + a*x**2/2"))[0].hyperbolic is None
    assert equilibria(Game(["(x + y)**2 - 2*x", "(x + y)**2 - 2*y"], players=["x", "y"]))[0].hyperbolic is False


def test_all_classes_that_hold_are_listed():
    assert equilibria(planar("x**2 - y**2"))[0].classes == (
        "strict local Nash",
        "local minimax",
        "differential Stackelberg",
        "local maximin",
        "stable",
    )
    (trap,) = equilibria(planar("3*x**2 + y**2 + 4*x*y"))
    assert trap.classes == ("local maximin", "stable non-Nash", "stable")
