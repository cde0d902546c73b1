"""Existence, uniqueness and exclusion of zeros by interval arithmetic, against zeros that are known."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from gamedyn.stability.equilibria.branch_prune import every_zero
from gamedyn.stability.equilibria.krawczyk import Krawczyk
from gamedyn.stability.time_limit import Clock

x, y, w = sp.symbols("x y w", real=True)


def box(half: float, d: int = 2) -> np.ndarray:
    return np.array([[-half, half]] * d)


def holds(found: object, point: list[float]) -> bool:
    return bool((found.low <= np.array(point)).all() and (np.array(point) <= found.high).all())  # type: ignore[attr-defined]


def test_the_enclosure_of_a_square_root_is_a_few_units_in_the_last_place_wide():
    found = Krawczyk.of([x**2 - 2], [x]).enclose(np.array([1.41421]))
    low, high = sp.Rational(float(found.low[0])), sp.Rational(float(found.high[0]))
    assert low**2 < 2 < high**2
    assert high - low < 4e-15


def test_the_outer_box_has_no_second_zero():
    a = sp.Rational(1, 1000)
    found = Krawczyk.of([x * (x - a)], [x]).enclose(np.array([1e-9]))
    assert holds(found, [0.0])
    assert found.outer[0][0] <= 0 <= found.outer[1][0] < 1e-3


def test_nothing_is_proven_where_there_is_no_zero_or_a_double_one():
    assert Krawczyk.of([x**2 + sp.Rational(1, 10**8)], [x]).enclose(np.array([0.0])) is None
    assert Krawczyk.of([x**2], [x]).enclose(np.array([1e-12])) is None
    assert Krawczyk.of([x * y, y], [x, y]).enclose(np.array([0.0, 0.0])) is None


def test_unbounded_formulas_prove_nothing():
    assert Krawczyk.of([1 / x], [x]).enclose(np.array([0.0])) is None
    assert Krawczyk.of([sp.exp(x * 10**6) - 1 + x], [x]).enclose(np.array([0.5])) is None


@pytest.mark.parametrize("v", [sp.sign(x), sp.Piecewise((x - 1, x > 0), (x + 1, True)), sp.Heaviside(x) - x])
def test_fields_that_jump_are_refused(v: sp.Expr):
    with pytest.raises(ValueError, match="jump"):
        Krawczyk.of([v], [x])


def test_kinks_are_no_jumps():
    found = Krawczyk.of([2 * x + sp.Abs(x) - 3], [x]).enclose(np.array([1.0]))
    assert holds(found, [1.0])
    assert len(every_zero(Krawczyk.of([2 * x + sp.Abs(x)], [x]), box(2, 1), Clock(5)).zeros) == 1


roots = st.lists(st.integers(-20, 20), min_size=1, max_size=4, unique=True)


@settings(max_examples=15, deadline=None)
@given(roots, roots, st.floats(-1, 1, allow_nan=False))
def test_branch_and_prune_finds_exactly_the_roots_drawn(first: list[int], second: list[int], slope: float):
    s = sp.Rational(round(slope, 3)).limit_denominator(1000)
    p = sp.Mul(*(x - sp.Rational(r, 10) for r in first))
    q = sp.Mul(*(y + s * x - sp.Rational(r, 10) for r in second))
    covering = every_zero(Krawczyk.of([p, q], [x, y]), box(5), Clock(20))
    assert len(covering.undecided) == 0
    expected = {(sp.Rational(a, 10), sp.Rational(b, 10) - s * sp.Rational(a, 10)) for a in first for b in second}
    inside = [z for z in expected if abs(z[1]) <= 5]
    assert len(covering.zeros) == len(inside)
    for z in inside:
        (match,) = [e for e in covering.zeros if all(abs(float(c) - m) < 1e-9 for c, m in zip(z, e.low, strict=True))]
        assert all(
            sp.Rational(float(a)) <= c <= sp.Rational(float(b))
            for a, c, b in zip(match.low, z, match.high, strict=True)
        )


def test_zeros_on_cuts_and_faces_are_found_once():
    covering = every_zero(Krawczyk.of([sp.sin(sp.pi * x), y], [x, y]), box(2), Clock(20))
    assert sorted(round(float(e.low[0])) for e in covering.zeros) == [-2, -1, 0, 1, 2]
    assert len(covering.undecided) == 0


def test_a_box_without_zeros_is_proven_empty():
    covering = every_zero(Krawczyk.of([x**2 + y**2 + sp.Rational(1, 100), x - y], [x, y]), box(3), Clock(20))
    assert (len(covering.zeros), len(covering.undecided)) == (0, 0)


def test_double_zeros_and_lack_of_time_are_counted_as_undecided():
    double = every_zero(Krawczyk.of([x**2, y - x], [x, y]), box(3), Clock(5))
    assert len(double.zeros) == 0
    assert len(double.undecided) > 0
    middles = double.undecided.mean(axis=2)
    assert np.abs(middles).max() < 1e-6
    late = every_zero(Krawczyk.of([sp.sin(50 * x) * y, sp.cos(50 * y) - x], [x, y]), box(3), Clock(0))
    assert len(late.undecided) == 1


def test_three_variables():
    v = [x * y - w, x**2 + y**2 + w**2 - 1, x - 2 * y + w]
    covering = every_zero(Krawczyk.of(v, [x, y, w]), box(2, 3), Clock(20))
    assert len(covering.undecided) == 0
    exact = sp.Poly(sp.resultant(sp.expand((2 * y - w) * y - w), sp.expand((2 * y - w) ** 2 + y**2 + w**2 - 1), w), y)
    assert len(covering.zeros) == exact.count_roots()


def test_a_box_in_which_the_operator_stalls_is_tightened_by_newton():
    """K maps this box into itself, and shrinks it by less than 1 %."""
    proof = Krawczyk.of([sp.exp(x) - 2 + y, x - 2 * y], [x, y])
    (found,) = every_zero(proof, box(5), Clock(5)).zeros
    assert (found.high - found.low).max() < 1e-12
    zero = sp.nsolve(sp.exp(x) - 2 + x / 2, x, 0.5)
    assert holds(found, [float(zero), float(zero) / 2])


def test_a_box_whose_zero_is_not_located_is_split_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Krawczyk, "newton", lambda self, low, high: high + 5)
    covering = every_zero(Krawczyk.of([sp.exp(x) - 2 + y, x - 2 * y], [x, y]), box(5), Clock(5))
    (found,) = covering.zeros
    assert (found.high - found.low).max() < 1e-7
    assert len(covering.undecided) == 0
