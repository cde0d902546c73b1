"""The parameters at which nothing turns."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.real_spectrum import real_spectrum

A = sp.Symbol("a", real=True)


def test_a_single_value_between_two_rotating_cells_is_found():
    # discriminant (a - 1)² (-3 - 4a)
    J = sp.Matrix([[A, 1 - A**2], [A - 1, 1]])
    assert real_spectrum(J, parameter="a") == sp.Union(sp.FiniteSet(1), sp.Interval(-sp.oo, sp.Rational(-3, 4)))


def test_boundaries_beyond_radicals_are_decided_in_their_field():
    # λ² = a³ + a - 3
    found = real_spectrum(sp.Matrix([[0, A**3 + A - 3], [1, 0]]), parameter="a")
    assert isinstance(found.start, sp.CRootOf)
    assert not found.left_open


def test_boundaries_over_a_number_field():
    found = real_spectrum(sp.Matrix([[0, A - sp.sqrt(2)], [1, 0]]), parameter="a")
    assert found == sp.Interval(sp.sqrt(2), sp.oo)


def test_a_step_turns_where_its_eigenvalues_are_complex():
    # momentum on λ = 1: (1 + β - η)² = 4β, η = 1
    T = gd.StepMap(gd.HeavyBall(1, 0), gd.Game(["x**2/2"], players=["x"]))
    assert real_spectrum(T, [0], "momentum") == sp.Interval(-1, 0, True, False)


@given(st.lists(st.integers(-3, 3), min_size=9, max_size=9), st.lists(st.floats(-3, 3), min_size=12, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_set_agrees_with_computed_spectra(entries, values):
    assume(any(entries))
    J = sp.Matrix(3, 3, entries) + A * sp.Matrix(3, 3, entries[::-1]) / 2
    found = real_spectrum(J, parameter={"a": (-5, 5)})
    for a in values:
        values = np.linalg.eigvals(np.array(J.subs(A, a), dtype=float))
        apart = min(abs(u - v) for u, v in combinations(values, 2))
        if apart > 1e-3:  # a rounded double eigenvalue may be a pair
            assert bool(found.contains(sp.Rational(repr(a)))) == (np.max(np.abs(values.imag)) == 0)


def test_bad_questions_are_refused():
    B = sp.Symbol("b", real=True)
    with pytest.raises(ValueError, match="one parameter"):
        real_spectrum(sp.Matrix([[A, B], [1, 0]]), parameter=["a", "b"])
    with pytest.raises(ValueError, match="bind"):
        real_spectrum(sp.Matrix([[A, B], [1, 0]]), parameter="a")
    with pytest.raises(ValueError, match="rational functions"):
        real_spectrum(sp.Matrix([[sp.exp(A)]]), parameter="a")
    with pytest.raises(ValueError, match="exact numbers"):
        real_spectrum(gd.zero_sum("a*x**2 + x*y", min="x", max="y"), [0.0, 0.0], "a")
    with pytest.raises(TimeoutError):
        real_spectrum(sp.Matrix(6, 6, lambda i, j: A ** (i + 1) + j), parameter="a", time_limit=1e-4)
