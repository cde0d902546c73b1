"""Stable transversally with exactly k neutral directions: spectra drawn, matrices assembled."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.equilibria.transversal import transversal_class
from gamedyn.stability.spectra.eigenvalues import Eigenvalues
from gamedyn.testing.strategies import orthogonal

EPS = 1e-6
real_parts = st.lists(st.floats(1e-3, 2), min_size=1, max_size=3)


@st.composite
def spectra(draw, low: float = 1e-3):
    """A matrix with k exact zeros, real eigenvalues and pairs, in a drawn orthonormal frame; and k and the frame."""
    k = draw(st.integers(0, 2))
    a, b = draw(st.floats(low, 2)), draw(st.floats(-2, 2))
    reals = draw(real_parts)
    d = k + 2 + len(reals)
    block = np.zeros((d, d))
    block[k : k + 2, k : k + 2] = [[a, b], [-b, a]]
    block[range(k + 2, d), range(k + 2, d)] = reals
    Q = draw(orthogonal(d))
    return Q @ block @ Q.T, k, Q


@given(spectra())
def test_k_zeros_and_the_rest_on_the_right_are_stable_transversally(drawn):
    J, k, Q = drawn
    result = transversal_class(J, tolerance=EPS, symmetries=Q[:, :k] if k else None)
    assert result.stable
    assert bool(result)
    assert (result.neutral, result.nullity, result.failing) == (k, k, ())
    if k:
        assert result.explained == k
        assert result.angle < 1e-6


@given(spectra(), st.floats(1e-3, 1))
def test_one_eigenvalue_on_the_left_fails_and_is_named(drawn, size):
    J, k, _ = drawn
    d = len(J)
    larger = np.zeros((d + 1, d + 1))
    larger[:d, :d], larger[d, d] = J, -size
    result = transversal_class(larger, tolerance=EPS)
    assert result.stable is False
    assert result.neutral == k
    np.testing.assert_allclose(result.failing, [-size], atol=1e-9)
    assert "not stable transversally" in result.summary


def test_pairs_on_the_axis_are_neither_neutral_nor_stable():
    result = transversal_class(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    assert (result.stable, result.neutral, len(result.failing)) == (False, 0, 2)
    exact = transversal_class(sp.Matrix([[0, 1], [-1, 0]]))
    assert (exact.stable, exact.neutral, exact.tolerance) == (False, 0, 0)
    assert set(exact.failing) == {sp.I, -sp.I}


def test_eigenvalues_between_the_tolerance_and_twice_it_fail_on_the_left_only():
    assert transversal_class([0.9e-3, 2e-3, 1.0], tolerance=1e-3).stable
    assert transversal_class([0.9e-3, -2e-3, 1.0], tolerance=1e-3).stable is False
    assert transversal_class([-0.9e-3, 1.0], tolerance=1e-3).neutral == 1


def test_a_defective_zero_is_undecided_and_not_neutral():
    for J in (sp.Matrix([[0, 1, 0], [0, 0, 0], [0, 0, 1]]), np.diag([0.0, 0.0, 1.0]) + np.eye(3, k=1) * [0, 1, 0]):
        result = transversal_class(J)
        assert result.stable is None
        assert (result.neutral, result.nullity) == (2, 1)
        assert "defective" in result.summary


def test_exact_matrices_are_decided_exactly():
    tiny = sp.Rational(1, 10**30)
    assert transversal_class(sp.diag(tiny, 0, 1)).neutral == 1
    assert transversal_class(sp.diag(tiny, 0, 1), tolerance=1e-9).neutral == 2
    a = sp.Symbol("a", real=True)
    assert transversal_class(sp.diag(a, 1, 1)).stable is None
    with pytest.raises(ValueError, match="free symbols"):
        transversal_class(sp.diag(a, 1), symmetries=[1, 0])


def test_part_of_a_spectrum_leaves_the_rest_unknown():
    result = transversal_class(Eigenvalues(np.array([1.0, 2.0 + 1j])), dim=10)
    assert result.stable is None
    assert "8 of 10" in result.summary
    assert transversal_class(np.array([-1.0, 2.0]), dim=10).stable is False


def test_the_part_with_the_smallest_real_parts_decides():
    part = [0.0, 0.5 - 1j, 0.5 + 1j]
    assert transversal_class(part, dim=100, tolerance=1e-6).stable is None
    assert transversal_class(part, dim=100, tolerance=1e-6, smallest=True).stable
    assert transversal_class([0.0, 0.0], dim=100, tolerance=1e-6, smallest=True).stable is None
    assert transversal_class([-1.0, *part], dim=100, tolerance=1e-6, smallest=True).stable is False


def test_symmetries_are_compared_by_products_where_the_matrix_is_too_large():
    J = gd.jacobian(gd.games.tandem(), [0.5, 0.5])
    found = transversal_class([0.0, 4.0], symmetries=[[1.0, 1.0], [-1.0, 1.0]], operator=J)
    assert (found.neutral, found.explained, found.angle) == (1, 1, None)
    assert found.outside == pytest.approx(4)


def test_symmetries_that_miss_part_of_the_null_space_explain_only_the_rest():
    J = np.diag([0.0, 0.0, 1.0, 2.0])
    one = transversal_class(J, symmetries=np.eye(4)[:, :1])
    assert (one.neutral, one.explained) == (2, 1)
    twice = transversal_class(J, symmetries=np.eye(4)[:, [0, 0]])
    assert twice.explained == 1
    wrong = transversal_class(J, symmetries=np.eye(4)[:, [0, 3]])
    assert wrong.explained == 1
    assert wrong.outside == pytest.approx(2)


def test_operators_are_taken_as_they_come():
    J = gd.jacobian(gd.zero_sum("x**2 - y**2", min="x", max="y"), [0.0, 0.0])
    assert transversal_class(J).stable
    torch = pytest.importorskip("torch")
    assert transversal_class(torch.diag(torch.tensor([0.0, 1.0], dtype=torch.float64))).neutral == 1


@pytest.mark.parametrize(
    ("J", "options", "message"),
    [
        (np.ones((2, 3)), {}, "square"),
        (np.full((2, 2), np.nan), {}, "finite"),
        ([1.0, np.inf], {}, "finite"),
        ([1.0], {"symmetries": np.ones((1, 1))}, "give J"),
        (np.eye(2), {"symmetries": np.ones((3, 1))}, "tangent vectors"),
        (np.eye(2), {"symmetries": np.full((2, 1), np.nan)}, "finite"),
        (np.eye(2), {"tolerance": -1.0}, "tolerance"),
        ([1.0, 2.0], {"dim": 1}, "dim is 1"),
    ],
)
def test_bad_input_is_refused(J, options, message):
    with pytest.raises(ValueError, match=message):
        transversal_class(J, **options)
