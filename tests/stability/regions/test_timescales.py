"""The factors τ on the last player's speed for which an equilibrium is stable."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.parameters import scaled
from gamedyn.stability.regions.timescales import additive_compound, stable_timescales, timescale_threshold

TAU = sp.Symbol("tau", positive=True)
OPEN = sp.Interval.open


@given(st.lists(st.integers(-4, 4), min_size=3, max_size=3), st.lists(st.integers(-4, 4), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_the_compound_has_the_sums_of_pairs_of_eigenvalues(diagonal, above):
    A = sp.diag(*diagonal) + sp.Matrix(3, 3, lambda i, j: above[(i + j) % 3] if j > i else 0)
    Q = sp.Matrix([[1, 0, 0], [2, 1, 0], [0, -1, 1]])
    sums = sorted([diagonal[0] + diagonal[1], diagonal[0] + diagonal[2], diagonal[1] + diagonal[2]])
    x = sp.Symbol("x")
    p = additive_compound(Q * A * Q.inv()).charpoly(x).as_expr()
    assert sp.expand(p - sp.prod([x - s for s in sums])) == 0


def test_the_compound_of_floats_is_that_of_exact_numbers():
    A = sp.Matrix(4, 4, lambda i, j: (3 * i - j) ** 2 % 7 - 3)
    assert additive_compound(np.array(A, dtype=float)) == pytest.approx(np.array(additive_compound(A), dtype=float))


def test_boundaries_are_zeros_of_the_guardian_map():
    J = sp.Matrix([[-4, 0, -4, 0], [0, 2, 0, 2], [4, 0, 2, 0], [0, -2, 0, 4]])
    J_tau = scaled(J, (2, 2), TAU)
    guardian = sp.factor(J_tau.det() * additive_compound(J_tau).det())
    assert guardian.subs(TAU, 2) == 0
    assert stable_timescales(J, players=(2, 2)).stable == OPEN(2, sp.oo)


def test_a_window_is_returned_as_such_and_has_no_threshold():
    found = stable_timescales(sp.Matrix([[-2, -3, 1], [3, -2, 2], [0, -3, 2]]), players=(2, 1))
    assert found.stable == OPEN(sp.Rational(13, 4), 4)
    assert found.neutral == sp.FiniteSet(sp.Rational(13, 4), 4)
    assert found.threshold is None


def test_a_ray_beside_a_window_starts_at_the_threshold():
    found = stable_timescales(sp.Matrix([[0, -2, 2], [1, 3, 3], [-2, 2, 2]]), players=(2, 1))
    assert found.stable == sp.Union(OPEN(0, sp.Rational(1, 2)), OPEN(sp.Rational(3, 2), sp.oo))
    assert found.threshold == sp.Rational(3, 2)


def test_numeric_windows_have_the_ends_of_the_exact_ones():
    J = sp.Matrix([[1, 0, 1, -3], [1, 0, 0, 2], [-2, 2, 1, -1], [3, 1, 3, 0]])
    exact, numeric = (stable_timescales(m, players=(2, 2)).stable for m in (J, np.array(J, dtype=float)))
    ends = [[float(e) for piece in s.args for e in (piece.start, piece.end)] for s in (exact, numeric)]
    assert len(ends[0]) == 4
    assert ends[1] == pytest.approx(ends[0], rel=1e-9)


@given(
    st.lists(st.integers(-3, 3), min_size=16, max_size=16),
    st.integers(0, 3),
    st.lists(st.floats(-2, 2), min_size=10, max_size=10),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_exact_and_numeric_sets_agree_with_computed_spectra(entries, shift, exponents):
    assume(any(entries))
    J = sp.Matrix(4, 4, entries) + shift * sp.eye(4)
    exact = stable_timescales(J, players=(2, 2))
    floats = np.array(J, dtype=float)
    numeric = stable_timescales(floats, players=(2, 2))
    assert (exact.kind, numeric.kind) == ("exact", "numeric")
    for exponent in exponents:
        tau = 10.0**exponent
        matrix = scaled(floats, (2, 2), tau)
        least = np.linalg.eigvals(matrix).real.min() / np.abs(matrix).max()
        if abs(least) > 1e-4:
            assert bool(exact.stable.contains(sp.Rational(repr(tau)))) == (least > 0)
            assert bool(numeric.stable.contains(tau)) == (least > 0)
    if exact.threshold is not None and numeric.threshold is not None:
        assert numeric.threshold == pytest.approx(float(exact.threshold), rel=1e-6, abs=1e-9)


def test_more_than_two_players_scale_the_last_one():
    J = sp.Matrix([[1, 0, 2], [0, -1, 3], [0, -2, 2]])
    assert timescale_threshold(J, (1, 1, 1)) == sp.Rational(1, 2)  # block [[-1, 3], [-2τ, 2τ]]: 2τ > 1
    assert timescale_threshold(J, (1, 2)) == 0  # the block as a whole is stable


def test_planar_thresholds_are_the_closed_form():
    a, b, d = sp.symbols("a b d", positive=True)
    assert timescale_threshold(sp.Matrix([[a, b], [-b, d]]), (1, 1)) == 0
    assert timescale_threshold(sp.Matrix([[-a, b], [-b, d]]), (1, 1)) is None  # ad < b² is not known
    assert timescale_threshold(sp.Matrix([[-6, 4], [-4, 2]]), (1, 1)) == 3
    assert timescale_threshold(np.array([[-6.0, 4], [-4, 2]]), (1, 1)) == pytest.approx(3, abs=1e-14)
    assert timescale_threshold(sp.Matrix([[1, 4], [-4, 2]]), (1, 1)) == 0
    assert timescale_threshold(sp.Matrix([[1, 4], [-4, -2]]), (1, 1)) is None


def test_a_planar_matrix_has_the_same_threshold_as_a_set():
    J = sp.Matrix([[-6, 4], [-4, 2]])
    assert stable_timescales(J, players=(1, 1)).threshold == timescale_threshold(J, (1, 1))


def test_symbols_leave_larger_thresholds_open():
    J = sp.diag(sp.Symbol("a", real=True), 1, 2, 1)
    assert timescale_threshold(J, (2, 2)) is None
    with pytest.raises(ValueError, match="stable_region"):
        stable_timescales(J, players=(2, 2))


def test_a_degenerate_or_neutral_equilibrium_is_stable_for_no_tau():
    assert timescale_threshold(sp.diag(0, 1, 1, 1), (2, 2)) is None
    center = np.array(gd.jacobian(gd.games.bilinear([[1, 2], [0, 1]]), [0.0] * 4).to_dense())
    assert stable_timescales(center, players=(2, 2)).stable is sp.S.EmptySet
    assert stable_timescales(gd.games.bilinear(1), [0, 0]).neutral == OPEN(0, sp.oo)


def test_large_matrices_are_numeric_and_say_so():
    J = sp.Matrix(10, 10, lambda i, j: 3 if i == j else (1 if j == i + 5 else -1 if i == j + 5 else 0))
    found = stable_timescales(J, players=(5, 5))
    assert "dimension 10 > 8" in repr(found)
    assert found.threshold == 0


def test_a_double_root_of_the_pencil_is_found_by_bisection():
    J = np.kron(np.array([[-1.0, 2.0], [-2.0, 0.5]]), np.eye(2))  # τ* = 2, twice
    assert timescale_threshold(J, (2, 2)) == pytest.approx(2, rel=1e-9)


def test_bad_input_says_what_is_needed():
    J = sp.eye(3)
    with pytest.raises(ValueError, match=r"players=\(sizes\)"):
        stable_timescales(J)
    with pytest.raises(ValueError, match="shape"):
        timescale_threshold(J, (1, 1))
    with pytest.raises(ValueError, match="one player"):
        stable_timescales(J, players=(3,))
    with pytest.raises(ValueError, match="does not vanish"):
        stable_timescales(gd.games.jin_quadratic(), [1, 0])
