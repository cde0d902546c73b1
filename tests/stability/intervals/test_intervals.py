"""Interval bounds hold, checked against 60-digit values, and are as tight as interval arithmetic can be."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from gamedyn.stability.intervals.interval_arithmetic import multiply
from gamedyn.stability.intervals.intervals import IntervalFunction

x, y = sp.symbols("x y", real=True)

FORMULAS = {
    "polynomial": x**3 - 3 * x * y**2 + sp.Rational(1, 3) * y - 7,
    "odd power": x**7 - y**5,
    "even power": (x - y) ** 4,
    "quotient": (x + y) / (1 + x**2 + y**2),
    "negative power": (2 + x**2) ** (-3),
    "square root": sp.sqrt(x**2 + y**2),
    "rational power": (1 + x**2) ** sp.Rational(2, 3),
    "irrational power": (1 + x**2) ** sp.sqrt(2),
    "variable power": (1 + x**2) ** y,
    "exp": x * sp.exp(-(x**2) / 3 + y / 7),
    "log": sp.log(1 + sp.exp(x * y)),
    "sin": sp.sin(3 * x + y),
    "cos": sp.cos(5 * x * y),
    "tan": sp.tan(x / 5),
    "hyperbolic": sp.sinh(x) - sp.cosh(y / 2) + sp.tanh(x - y),
    "inverse": sp.atan(x * y) + sp.asinh(x),
    "sigmoid": 1 / (1 + sp.exp(-x * y)),
    "erf": sp.erf(x / 2),
    "kinks": sp.Abs(x - y) + sp.Max(x, y) * sp.Min(x, 2, y) + sp.sign(x + 10),
    "irrational constants": sp.pi * x + sp.sqrt(2) * y + sp.E,
}
ENDS = st.floats(-3, 3, allow_subnormal=False)


def value(e, a, b):
    """e at floats, to 60 digits."""
    return e.xreplace({x: sp.Float(a, 60), y: sp.Float(b, 60)}).evalf(60)


@pytest.mark.parametrize("name", FORMULAS)
@given(ENDS, ENDS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_bounds_contain_the_values_inside(name, a, b, width, height, s, t):
    low, high = np.array([[a], [b]]), np.array([[a + width], [b + height]])
    p, q = np.clip(a + s * width, a, a + width), np.clip(b + t * height, b, b + height)
    lowest, highest = IntervalFunction([FORMULAS[name]], [x, y])(low, high)
    exact = value(FORMULAS[name], float(p), float(q))
    assert lowest[0, 0] <= exact <= highest[0, 0]


@pytest.mark.parametrize("name", FORMULAS)
@given(ENDS, ENDS)
def test_a_point_has_bounds_that_are_close_and_true(name, a, b):
    """Rounding alone: the enclosure of one float point holds the 60-digit value and is at most 1e-12 wide."""
    z = np.array([[a], [b]])
    low, high = IntervalFunction([FORMULAS[name]], [x, y])(z, z)
    exact = value(FORMULAS[name], a, b)
    assert low[0, 0] <= exact <= high[0, 0]
    assert high[0, 0] - low[0, 0] <= 1e-12 * (1 + abs(float(exact)) + abs(a) ** 7 + abs(b) ** 7)


def test_formulas_that_name_each_variable_once_have_their_exact_range():
    e = [x * y, x**2, sp.sin(x), sp.cos(y), sp.Abs(x), 1 / (2 + x), sp.Max(x, y), sp.Heaviside(x), sp.cosh(x)]
    low, high = IntervalFunction(e, [x, y])(np.array([[-1.0], [1.0]]), np.array([[2.0], [4.0]]))
    expected = [
        (-4, 8), (0, 4), (np.sin(-1), 1), (-1, np.cos(1)), (0, 2), (0.25, 1), (1, 4), (0, 1), (1, np.cosh(2)),
    ]  # fmt: skip
    np.testing.assert_allclose(np.column_stack([low, high]), expected, rtol=0, atol=4e-14)


def test_boxes_are_independent_columns():
    f = IntervalFunction([x * y + sp.exp(x), sp.S(3)], [x, y])
    low = np.array([[0.0, -2.0, 1.0], [0.0, 1.0, -1.0]])
    high = low + np.array([[1.0, 0.5, 2.0]])
    together = f(low, high)
    for k in range(3):
        alone = f(low[:, k : k + 1], high[:, k : k + 1])
        np.testing.assert_array_equal(alone[0][:, 0], together[0][:, k])
        np.testing.assert_array_equal(alone[1][:, 0], together[1][:, k])
    np.testing.assert_array_equal(together[0][1], 3.0)


@pytest.mark.parametrize("e", [1 / x, sp.log(x), sp.sqrt(x), x ** sp.Rational(1, 3), sp.tan(2 * x), x**y, 1 / x**2])
def test_where_a_formula_may_be_undefined_nothing_is_claimed(e):
    low, high = IntervalFunction([e, 0 * y + x], [x, y])(np.array([[-1.0], [0.5]]), np.array([[1.0], [0.7]]))
    assert (low[0, 0], high[0, 0]) == (-np.inf, np.inf)
    assert (low[1, 0], high[1, 0]) == (-1, 1)


def test_overflow_does_not_make_a_false_bound():
    """exp(1000) is a finite number beyond the largest float."""
    z = np.array([[1000.0], [1.0]])
    low, high = IntervalFunction([sp.exp(x), x**200, sp.exp(-x)], [x, y])(z, z)
    assert (low[:2, 0] < np.inf).all()
    assert (high[:2, 0] == np.inf).all()
    assert 0 <= low[2, 0] <= high[2, 0] < 1e-300


def test_sine_of_a_wide_or_far_interval_is_bounded_by_one():
    low, high = IntervalFunction([sp.sin(x)], [x])(np.array([[-9.0, 1e9]]), np.array([[9.0, 1e9 + 1e-6]]))
    np.testing.assert_array_equal([low[0], high[0]], [[-1, -1], [1, 1]])


def test_angles_near_the_turning_points_are_on_the_safe_side():
    turn = sp.Rational(float(np.pi / 2))  # a float just below π/2, where sin has not reached 1
    z = np.array([[float(turn)]])
    low, high = IntervalFunction([sp.sin(x), sp.cos(x)], [x])(z, z)
    assert low[0, 0] <= sp.sin(turn).evalf(60) <= high[0, 0] == 1
    assert low[1, 0] <= sp.cos(turn).evalf(60) <= high[1, 0]


@pytest.mark.parametrize("half", [1e-4, 1e-9, 1e-14])
def test_a_turning_point_inside_a_narrow_interval_is_seen(half):
    low, high = IntervalFunction([sp.sin(x), sp.cos(x), 1 / sp.cos(x)], [x])(
        np.array([[np.pi / 2 - half]]), np.array([[np.pi / 2 + half]])
    )
    assert high[0, 0] == 1
    assert low[1, 0] < 0 < high[1, 0]
    assert (low[2, 0], high[2, 0]) == (-np.inf, np.inf)


def test_zero_times_anything_is_zero():
    null, wide = (np.zeros(1), np.zeros(1)), (np.array([-np.inf]), np.array([np.inf]))
    assert [float(end[0]) for end in multiply(null, wide)] == [0, 0]


def test_a_product_that_underflows_keeps_its_sign():
    tiny = (np.array([1e-200]), np.array([1e-200]))
    low, high = multiply(tiny, (-tiny[1], -tiny[0]))
    assert low[0] < 0
    assert high[0] == 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="interval bounds of LambertW are not known"):
        IntervalFunction([sp.LambertW(x)], [x])
    with pytest.raises(ValueError, match="'y' is no variable of the box"):
        IntervalFunction([x + y], [x])
    f = IntervalFunction([x], [x, y])
    with pytest.raises(ValueError, match=r"shape \(2, n\), got \(2,\)"):
        f(np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="low <= high"):
        f(np.ones((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="finite real numbers"):
        IntervalFunction([x + sp.I], [x])
