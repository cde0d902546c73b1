"""Manifolds of equilibria: exactly for polynomial fields, by their points for others."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from gamedyn.games.symbolic import Game, field_game, zero_sum
from gamedyn.stability.equilibria.continua import continua
from gamedyn.stability.equilibria.equilibria import equilibria
from gamedyn.stability.equilibria.newton_zeros import newton_zeros
from gamedyn.stability.equilibria.polynomial_components import dimension, parametrize, real_components

x, y, w = sp.symbols("x y w", real=True)
s1, s2 = sp.symbols("s1 s2", real=True)


def components(*v: sp.Expr, centre: tuple[int, ...] = (0, 0, 0)):
    symbols = (x, y, w)[: len(v)]
    return real_components([sp.expand(e) for e in v], symbols, centre[: len(v)])


# polynomial fields ---------------------------------------------------------------------------------------


def test_a_curve_and_the_point_beside_it_are_told_apart():
    points, (piece,) = components((x * y - 1) * y, -(x * y - 1) * x)
    assert points == [(0, 0)]
    assert (piece.dimension, piece.equations, piece.parametrization) == (1, (x * y - 1,), (1 / s1, s1))
    assert piece.point == (1, 1)


def test_a_point_on_a_curve_is_not_listed_beside_it():
    points, (piece,) = components(x * y, x * (y - 1))
    assert points == []
    assert piece.equations == (x,)


def test_crossing_lines_are_shown_away_from_their_crossing():
    points, pieces = components(x * y, x * y)
    assert points == []
    assert {p.equations for p in pieces} == {(x,), (y,)}
    for p in pieces:
        assert p.point != (0, 0)


def test_a_circle_has_no_parametrization_and_a_point_on_it_is_shown():
    points, (circle,) = components(x * (x**2 + y**2 - 1), y * (x**2 + y**2 - 1))
    assert points == [(0, 0)]
    assert circle.parametrization is None
    assert sp.simplify(sum(e**2 for e in circle.point)) == 1


def test_the_point_shown_is_the_nearest_to_the_centre():
    _, (line,) = components((x - y) * x, (x - y) * (y - 3), centre=(2, 0))
    assert line.point == (1, 1)
    _, (circle,) = components(x * (x**2 + y**2 - 1), y * (x**2 + y**2 - 1), centre=(2, 0))
    assert circle.point == (1, 0)


def test_real_points_of_a_complex_curve_are_points():
    assert components(x * (x**2 + y**2), y * (x**2 + y**2)) == ([(0, 0)], [])
    assert components((x**2 + y**2 + 1) * x, (x**2 + y**2 + 1) * (y - 1)) == ([(0, 1)], [])
    isolated = y**2 - x**2 * (x - 1)  # a curve with an isolated real point, which is on it over the complex numbers
    points, (curve,) = components(isolated * x, isolated * (y + 7))
    assert (0, -7) in points
    assert curve.dimension == 1
    assert curve.point != (0, 0)


def test_surfaces_and_curves_together():
    points, pieces = components(x * w, y * w, 0 * x)
    assert points == []
    assert sorted((p.dimension, p.equations) for p in pieces) == [(1, (x, y)), (2, (w,))]
    _, (sphere,) = components(*(a * (x**2 + y**2 + w**2 - 1) for a in (x, y, w)))
    assert sphere.dimension == 2


def test_multiplicity_does_not_hide_a_line():
    points, (line,) = components((x - y) ** 2, (x - y) ** 3)
    assert points == []
    assert (line.equations, line.parametrization) == ((x - y,), (s1, s1))


def test_parametrizations_satisfy_the_equations():
    for equations in ([x - y**2 + w], [x * y - 1, w - x], [x + 2 * y - 3, w - y**3]):
        k = 3 - len(equations)
        form = parametrize(equations, (x, y, w), (s1, s2)[:k])
        table = dict(zip((x, y, w), form, strict=True))
        assert all(sp.simplify(e.xreplace(table)) == 0 for e in equations)
    assert parametrize([x**2 + y**2 - 1], (x, y), (s1,)) is None
    assert parametrize([x * y - x], (x, y), (s1,)) is None  # solving for y would lose x = 0


@pytest.mark.parametrize(("exprs", "k"), [([x * y], 1), ([x, y], 0), ([x**2 - y, y**2 - x], 0), ([x * y * w], 2)])
def test_dimensions(exprs: list[sp.Expr], k: int):
    symbols = (x, y, w) if any(e.has(w) for e in exprs) else (x, y)
    assert dimension(sp.groebner(exprs, *symbols, order="grevlex")) == k


# games ---------------------------------------------------------------------------------------------------


def test_a_line_of_equilibria_of_the_tandem_game_is_one_manifold_with_its_class():
    found = equilibria(Game(["(x + y)**2 - 2*x", "(x + y)**2 - 2*y"], players=["x", "y"]))
    (e,) = found.manifolds
    assert e.manifold.equations == (x + y - 1,)
    assert e.manifold.parametrization == (1 - s1, s1)
    assert e.manifold.stable
    assert e.manifold.transversal.neutral == 1
    assert found.covered
    assert not found.complete


def test_a_singular_bilinear_game_has_a_flat():
    found = equilibria(zero_sum("x1*y1 + x1*y2 + x2*y1 + x2*y2", min=["x1", "x2"], max=["y1", "y2"]))
    (e,) = found
    assert e.manifold.dimension == 2
    assert e.manifold.stable is False  # ±2i across it
    assert "failing: ±2i" in repr(e)


def test_defective_zeros_leave_the_class_across_undecided():
    found = equilibria(zero_sum("(x*y - 1)**2", min="x", max="y"))
    centre, curve = found
    assert centre.kind == "center"
    assert curve.manifold.transversal.neutral == 2
    assert curve.manifold.stable is None


def test_three_lines_of_a_dirac_gan_with_a_deep_discriminator():
    found = equilibria(zero_sum("-log(1 + exp(-t*p*q))", min="t", max=["p", "q"]))
    assert found.covered
    assert {e.manifold.parametrization for e in found} == {(s1, 0, 0), (0, s1, 0), (0, 0, s1)}
    assert [e.flow for e in found] == ["degenerate", "degenerate", "unstable"]


def test_a_manifold_outside_the_box_is_not_listed_and_the_note_says_so():
    found = equilibria(zero_sum("(x*y - 1)**2", min="x", max="y"), box={"x": (2, 3), "y": (-1, 0)})
    assert len(found) == 0
    assert not found.covered
    assert "outside the box" in found.note


def test_a_class_that_changes_along_a_manifold_is_said_of_the_point_shown():
    across, along = equilibria(field_game(["x*y", "0"], players=["x", "y"]))
    assert across.manifold.parametrization == (0, s1)  # with the eigenvalue s1 across it
    assert not across.manifold.everywhere
    assert "at the shown point: stable transversally" in repr(across)
    assert "at the shown point" in repr(along)


@pytest.mark.parametrize("v", [["x*(y**2 + 1)", "0"], ["x + y", "0"], ["x + x**2*y", "x*y**2"]])
def test_a_class_that_is_proven_along_a_manifold_is_said_of_all_of_it(v: list[str]):
    found = next(e for e in equilibria(field_game(v, players=["x", "y"])).manifolds if e.manifold.everywhere)
    assert found.manifold.stable
    assert "at the shown point" not in repr(found)


def test_a_manifold_without_a_parametrization_has_a_class_at_a_point_only():
    found = equilibria(field_game(["x*(x**2 + y**2 - 1)", "y*(x**2 + y**2 - 1)"], players=["x", "y"]))
    assert "at the shown point" in repr(found.manifolds[0])


# by their points -----------------------------------------------------------------------------------------


def test_a_line_of_a_transcendental_field_is_one_manifold():
    g = field_game(["(x - y)*exp(x)*(2 + cos(x))", "(y - x)*(2 + sin(y))"], players=["x", "y"])
    found = equilibria(g)
    (e,) = found
    assert e.manifold.dimension == 1
    assert e.manifold.equations == ()
    np.testing.assert_allclose(np.asarray(e), 0, atol=1e-9)
    assert "continuum" in found.note
    assert e.manifold.stable


def test_the_numeric_search_agrees_with_algebra_about_a_circle():
    g = field_game(["x*(x**2 + y**2 - 1)", "y*(x**2 + y**2 - 1)"], players=["x", "y"])
    exact, numeric = equilibria(g), equilibria(g, time_limit=1e-4)
    assert "Newton" in numeric.method
    assert len(exact.manifolds) == len(numeric.manifolds) == 1
    assert len(exact) == len(numeric) == 2
    assert np.hypot(*np.asarray(numeric.manifolds[0])) == pytest.approx(1, abs=1e-9)


def test_two_branches_of_a_hyperbola_are_two_pieces():
    v = lambda z: (z[0] * z[1] - 1) * np.stack([z[1], z[0]])  # noqa: E731

    def J(z):
        u, n = np.stack([z[1], z[0]]), z.shape[1]
        swap = np.broadcast_to(np.array([[0.0, 1.0], [1.0, 0.0]])[:, :, None], (2, 2, n))
        return u[:, None] * u[None] + (z[0] * z[1] - 1) * swap

    box = np.array([[-3.0, 3.0]] * 2)
    zeros = newton_zeros(v, J, box)
    alone, pieces = continua(v, J, zeros, box, 1e-10)
    np.testing.assert_allclose(alone, [[0, 0]], atol=1e-9)
    ends = sorted(np.round(p.point, 6).tolist() for p in pieces)
    assert ends == [[-1, -1], [1, 1]]
    assert sum(p.members for p in pieces) == len(zeros) - 1


def test_a_degenerate_point_is_no_manifold():
    for f in ("x**3 + sin(y) - y", "x**7 + sin(y) - y"):
        found = equilibria(field_game([f, "y**3 + 0*cos(x)"], players=["x", "y"]), time_limit=1e-3)
        assert found.manifolds == ()


def test_a_zero_of_order_nine_is_no_manifold():
    v = lambda z: np.stack([z[0] + z[1], (z[0] - z[1]) ** 9])  # noqa: E731

    def J(z):
        slope = 9 * (z[0] - z[1]) ** 8
        return np.array([[np.ones_like(slope), np.ones_like(slope)], [slope, -slope]])

    alone, pieces = continua(v, J, np.zeros((1, 2)), np.array([[-2.0, 2.0]] * 2), 1e-10)
    assert pieces == []
    assert alone.tolist() == [[0, 0]]


def test_a_point_where_the_rank_drops_on_a_line_belongs_to_the_line():
    found = equilibria(zero_sum("sin(x)*y**2", min="x", max="y"))
    (e,) = found
    assert e.manifold.dimension == 1
    assert abs(float(e.point[1])) < 1e-9
