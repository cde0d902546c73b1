"""Open cells of polynomials, and points at which they touch zero."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gamedyn.stability.regions.cells import integral, irreducibles, may_touch_zero, open_cells
from gamedyn.stability.time_limit import Clock, OutOfTime, limited_time

X, Y = sp.symbols("x y")
PLANE = [(-sp.oo, sp.oo)] * 2


def cells(expressions, bounds=PLANE, symbols=(X, Y)):
    polys = [sp.Poly(e, *symbols, domain=sp.QQ) for e in expressions]
    return list(open_cells(polys, symbols, bounds, Clock(20)))


def signs(expressions, points, symbols=(X, Y)):
    return {tuple(int(sp.sign(e.subs(dict(zip(symbols, p, strict=True))))) for e in expressions) for p in points}


def test_a_circle_and_a_line_cut_the_plane_into_four_kinds_of_cells():
    curves = [X**2 + Y**2 - 1, Y - X]
    assert signs(curves, cells(curves)) == {(-1, -1), (-1, 1), (1, -1), (1, 1)}


def test_thin_cells_are_not_missed():
    curves = [Y - X**2, Y - X**2 - sp.Rational(1, 10**8)]
    assert (1, -1) in signs(curves, cells(curves))


def test_samples_stay_inside_the_box():
    box = [(sp.S.Zero, sp.Rational(1, 3)), (sp.S.NegativeOne, sp.oo)]
    points = cells([X**2 + Y**2 - sp.Rational(1, 9)], box)
    assert all(0 < x < sp.Rational(1, 3) and y > -1 for x, y in points)
    assert signs([X**2 + Y**2 - sp.Rational(1, 9)], points) == {(-1,), (1,)}


def test_curves_that_leave_through_the_side_of_the_box_are_seen():
    # y = x meets the upper end y = 1 at x = 1: beyond it, no root is left between the ends
    points = cells([Y - X], [(sp.S.Zero, sp.Integer(2)), (sp.S.Zero, sp.Integer(1))])
    assert len(points) == 3


def test_three_variables():
    z = sp.Symbol("z")
    sphere = X**2 + Y**2 + z**2 - 1
    points = cells([sphere], [(-sp.oo, sp.oo)] * 3, (X, Y, z))
    assert signs([sphere], points, (X, Y, z)) == {(-1,), (1,)}


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.lists(st.integers(-3, 3), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_combination_of_signs_on_a_grid_has_a_cell(first, second):
    monomials = [1, X, Y, X**2, X * Y, Y**2]
    curves = [sum(c * m for c, m in zip(row, monomials, strict=True)) for row in (first, second)]
    curves = [sp.sympify(c) for c in curves if sp.sympify(c).free_symbols]
    if not curves:
        return
    found = signs(curves, cells(curves))
    evaluate = sp.lambdify((X, Y), curves)
    xs, ys = np.meshgrid(np.linspace(-2.9, 3.1, 41), np.linspace(-3.05, 2.95, 41))
    values = [np.broadcast_to(v, xs.shape).ravel() for v in evaluate(xs, ys)]
    for column in zip(*values, strict=True):
        if all(abs(v) > 1e-6 for v in column):
            assert tuple(int(np.sign(v)) for v in column) in found


def test_the_clock_is_asked():
    def work():
        curves = [sp.Poly(X**k + Y ** (k + 1) - k, X, Y, domain=sp.QQ) for k in range(2, 9)]
        with limited_time(0.02) as clock:
            return list(open_cells(curves, (X, Y), PLANE, clock))

    with pytest.raises(OutOfTime):
        work()


def test_factors_are_listed_once_with_integer_coefficients():
    assert {f.as_expr() for f in irreducibles([(X - Y / 2) ** 2 * X, 3 * X], (X, Y))} == {X, 2 * X - Y}
    assert integral(sp.Poly(-X / 2 + Y / 3, X, Y)).as_expr() == 3 * X - 2 * Y


@pytest.mark.parametrize(
    ("f", "positive", "touches"),
    [
        (X**2 + Y**2, [], True),
        (X**2 + Y**2, [X], False),
        (X**2 + Y**2 - 1, [], False),
        ((X + 1) ** 2 + Y**2, [], True),
        (X**3 - Y**2, [], True),
        (X * Y - 1, [], False),
    ],
)
def test_touching_needs_a_singular_point(f, positive, touches):
    assert may_touch_zero(sp.Poly(f, X, Y, domain=sp.QQ), (X, Y), PLANE, positive) == touches


def test_a_singular_point_outside_the_box_does_not_count():
    box = [(sp.S.Zero, sp.oo), (-sp.oo, sp.oo)]
    assert not may_touch_zero(sp.Poly((X + 1) ** 2 + Y**2, X, Y, domain=sp.QQ), (X, Y), box)
