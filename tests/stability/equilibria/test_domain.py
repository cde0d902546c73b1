"""Zeros of v at which the game is not defined, and zeros that are not real for any parameter value."""

from __future__ import annotations

import pytest
import sympy as sp

from gamedyn.games.symbolic import field_game, zero_sum
from gamedyn.stability.equilibria.domain import is_defined, is_real_nowhere
from gamedyn.stability.equilibria.equilibria import equilibria

x, y, a, b = sp.symbols("x y a b", real=True)


def test_a_zero_at_which_the_cost_is_complex_is_left_out_and_the_note_says_so():
    found = equilibria(zero_sum("log(x) + x - y**2", min="x", max="y"))  # 1/x + 1 = 0 at -1, where log is not real
    assert len(found) == 0
    assert "1 zero of v left out" in found.note
    kept = equilibria(zero_sum("log(x**2) + x**2 - 4*x - y**2", min="x", max="y"))
    assert [e.point for e in kept] == [(1, 0)]
    assert "left out" not in kept.note


@pytest.mark.parametrize("exhaustive", [False, True])
def test_numeric_zeros_outside_the_domain_are_left_out(exhaustive: bool):
    f = zero_sum("log(x) + x + cos(y)", min="x", max="y")
    found = equilibria(f, box={"x": (-2, -0.5), "y": (-1, 1)}, exhaustive=exhaustive)
    assert len(found) == 0
    assert "left out" in found.note
    assert "left out" not in equilibria(f, box={"x": (0.5, 2), "y": (-1, 1)}, exhaustive=exhaustive).note


def test_a_field_is_not_defined_where_it_divides_by_zero():
    found = equilibria(field_game(["(x**2 - x)/x", "y"], players=["x", "y"]))
    assert [e.point for e in found] == [(1, 0)]


def test_the_domain_of_expressions():
    assert is_defined([sp.sqrt(x) + y], [x, y], [0, 0])
    assert not is_defined([sp.sqrt(x) + y], [x, y], [-1e-3, 0.0])
    assert not is_defined([x, 1 / x], [x, y], [0, 1])
    assert not is_defined([x * sp.log(x)], [x], [0])
    assert is_defined([sp.log(x) * y], [x, y], [a, b])  # open
    assert not is_defined([sp.log(x) * y], [x, y], [-(a**2) - 1, 1])


@pytest.mark.parametrize("number", [sp.I, sp.I * a, a + sp.I * b, 1 + sp.I * sp.Abs(a), sp.I * sp.sqrt(a**2 + 1)])
def test_numbers_that_are_real_for_exceptional_parameters_alone(number: sp.Expr):
    assert is_real_nowhere(number)


@pytest.mark.parametrize("number", [a, sp.sqrt(a), sp.sqrt(-a), sp.sqrt(a**2 - b), sp.I * sp.sqrt(a), sp.S.Zero])
def test_numbers_that_are_real_for_some_parameters(number: sp.Expr):
    assert not is_real_nowhere(number)


def test_points_that_are_complex_for_real_parameters_are_not_listed():
    found = equilibria(zero_sum("x**3 - 3*x*y**2 + x*y*a", min="x", max="y"))
    assert {e.point for e in found} == {(0, 0), (0, a / 3)}
    some = equilibria(zero_sum("x**3/3 - a*x - y**2", min="x", max="y"))
    assert {e.point for e in some} == {(sp.sqrt(a), 0), (-sp.sqrt(a), 0)}
