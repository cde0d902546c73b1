"""What the studies of eigenvalues state in their own words: a border that eigenvalues cannot cross, and τ*."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.stability.regions.timescales import stable_timescales
from studies import fig04_eigenvalues_mixture as fig04
from studies import fig13_timescale_threshold as fig13


def regularised(J: np.ndarray, gamma: float) -> np.ndarray:
    return np.linalg.eigvals(J + gamma * J.T @ J)


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=4),
    st.floats(0.1, 20),
    st.integers(0, 2**32 - 1),
)
def test_no_eigenvalue_of_the_regularised_matrix_crosses_the_parabola(spectrum, gamma, seed):
    n = 2 * len(spectrum)
    blocks = np.zeros((n, n))
    for k, (a, b) in enumerate(spectrum):
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[a, b], [-b, a]]
    basis = np.eye(n) + 0.5 * np.random.default_rng(seed).uniform(-1, 1, (n, n)) / n  # not normal, and invertible
    J = basis @ blocks @ np.linalg.inv(basis)
    # Eigenvalues that coincide are known to the square root of the roundoff only.
    scale = gamma * np.linalg.norm(J, 2) ** 2 + np.linalg.norm(J, 2) + 1 / gamma
    assert fig04.margin(regularised(J, gamma), gamma) >= -1e-6 * scale


@pytest.mark.parametrize("b", [0.0, 0.3, 2.0])
def test_the_parabola_is_attained(b):
    gamma = 10.0
    a = -1 / (2 * gamma)
    values = regularised(np.array([[a, b], [-b, a]]), gamma)
    np.testing.assert_allclose(values.real, gamma * b**2 - 1 / (4 * gamma), atol=1e-13)
    assert abs(fig04.margin(values, gamma)) < 1e-12


def test_a_matrix_without_the_regulariser_crosses_the_parabola():
    assert fig04.margin(np.linalg.eigvals(np.array([[-1.0, 0.5], [-0.5, -1.0]])), 10.0) < 0


def test_hurwitz_determinants_and_guardian_map_agree_on_tau_star():
    own = fig13.stable_set(fig13.characteristic())
    assert own == sp.Interval.open(2, sp.oo)
    assert stable_timescales(gd.games.fiez_quadratic(4), sp.zeros(4, 1)).stable == own


@pytest.mark.parametrize(
    ("polynomial", "stable"),
    [
        ((fig13.LAMBDA - 1) * (fig13.LAMBDA - fig13.TAU), sp.Interval.open(0, sp.oo)),
        ((fig13.LAMBDA - 1) * (fig13.LAMBDA + fig13.TAU), sp.S.EmptySet),
        (fig13.LAMBDA**2 - (3 - fig13.TAU) * fig13.LAMBDA + 1, sp.Interval.open(0, 3)),
    ],
)
def test_stable_set_of_polynomials_with_known_roots(polynomial, stable):
    assert fig13.stable_set(sp.Poly(sp.expand(polynomial), fig13.LAMBDA)) == stable
