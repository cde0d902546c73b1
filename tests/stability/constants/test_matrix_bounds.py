"""Bounds of eigenvalues, norms and ratios hold for every matrix of an interval, and are close for one matrix."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from gamedyn.stability.constants import matrix_bounds
from gamedyn.stability.constants.box_constants import lower_bound, minus_norm
from gamedyn.stability.constants.jacobian_family import JacobianFamily

DIMENSIONS = st.integers(1, 5)
SEEDS = st.integers(0, 10**6)


def assembled(spectrum, rng):
    Q = np.linalg.qr(rng.standard_normal((len(spectrum), len(spectrum))))[0]
    M = Q @ np.diag(spectrum) @ Q.T
    return (M + M.T) / 2


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5), st.floats(0, 0.3), SEEDS)
def test_the_smallest_eigenvalue_of_every_member_lies_between_the_bounds(spectrum, size, seed):
    rng = np.random.default_rng(seed)
    M = assembled(spectrum, rng)
    R = size * np.abs(assembled(rng.random(len(spectrum)), rng))
    low, high = matrix_bounds.smallest_eigenvalue(M[None], R[None])
    for _ in range(5):
        E = R * rng.choice([-1, 1], R.shape)
        member = M + np.triu(E) + np.triu(E, 1).T
        assert low[0] - 1e-13 <= np.linalg.eigvalsh(member)[0] <= high[0] + 1e-13
    exact = matrix_bounds.smallest_eigenvalue(M[None], 0 * M[None])
    assert exact[0][0] <= min(spectrum) + 1e-13
    assert exact[1][0] - exact[0][0] < 1e-11


def test_the_bounds_hold_for_a_rational_matrix_in_exact_arithmetic():
    """An integer matrix whose λ_min is known: no rounding of the reference to hide behind."""
    n = 6
    M = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    low, high = matrix_bounds.smallest_eigenvalue(M[None], 0 * M[None])
    exact = (2 - 2 * sp.cos(sp.pi / (n + 1))).evalf(40)
    assert low[0] <= exact <= high[0]
    assert high[0] - low[0] < 1e-12


@given(DIMENSIONS, DIMENSIONS, st.floats(0, 0.3), SEEDS)
def test_the_norm_of_every_member_lies_between_the_bounds(p, q, size, seed):
    rng = np.random.default_rng(seed)
    M, R = rng.standard_normal((p, q)), size * rng.random((p, q))
    low, high = matrix_bounds.norm(M[None], R[None])
    for _ in range(5):
        assert low[0] - 1e-13 <= np.linalg.norm(M + R * rng.choice([-1, 1], (p, q)), 2) <= high[0] + 1e-13


@given(st.integers(1, 4), st.floats(0, 0.05), SEEDS)
def test_the_ratio_of_every_member_lies_between_the_bounds(d, size, seed):
    rng = np.random.default_rng(seed)
    M, R = 2 * np.eye(d) + rng.uniform(-1, 1, (d, d)) / d, size * rng.random((d, d))
    low, high = matrix_bounds.ratio(M[None], R[None])
    for _ in range(5):
        inverse = np.linalg.inv(M + R * rng.choice([-1, 1], (d, d)))
        assert low[0] - 1e-12 <= np.linalg.eigvalsh((inverse + inverse.T) / 2)[0] <= high[0] + 1e-12


def test_a_singular_matrix_has_no_ratio_and_an_infinite_entry_no_bound():
    singular = np.array([[[1.0, 1.0], [1.0, 1.0]], [[np.inf, 0.0], [0.0, 1.0]]])
    low, high = matrix_bounds.ratio(singular, 0 * np.ones((2, 2, 2)))
    np.testing.assert_array_equal(low, -np.inf)
    np.testing.assert_array_equal(high, np.inf)
    assert matrix_bounds.smallest_eigenvalue(singular, 0 * np.ones((2, 2, 2)))[0][1] == -np.inf


@given(st.lists(st.integers(-3, 3), min_size=10, max_size=10), st.floats(-1, 1), st.floats(0.01, 1), SEEDS)
def test_a_family_contains_every_jacobian_of_its_box(coefficients, centre, width, seed):
    x, y = sp.symbols("x y", real=True)
    monomials = [x, y, x**2, x * y, y**2]
    a, b = (
        sp.Add(*(c * m for c, m in zip(part, monomials, strict=True))) for part in (coefficients[:5], coefficients[5:])
    )
    J = sp.Matrix([[a, b + 1], [-b - 1, sp.exp(x / 2) * y]])
    family = JacobianFamily(J, [x, y])
    low = np.array([[centre - width], [centre]])
    high = np.array([[centre], [centre + width]])
    corners = family.corners(low, high)
    middle, radius = family.enclose(low, high, corners)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        z = low + (high - low) * rng.random((2, 1))
        value = np.array(J.subs({x: float(z[0, 0]), y: float(z[1, 0])}).evalf().tolist(), dtype=float)
        assert (np.abs(value - middle[0]) <= radius[0] + 1e-13 * (1 + np.abs(value))).all()
        bound = lower_bound(family, minus_norm, low, high, -np.inf)[0]
        assert bound <= -np.linalg.norm(value, 2) + 1e-12


def test_second_order_bounds_close_quadratically():
    """Halving a box divides the error of (2) by four, that of the direct bounds by two."""
    x, y = sp.symbols("x y", real=True)
    family = JacobianFamily(sp.Matrix([[sp.exp(x * y) - x * sp.exp(x * y)]]), [x, y])
    radii = []
    for width in (0.002, 0.001):
        low, high = np.full((2, 1), 0.5 - width), np.full((2, 1), 0.5 + width)
        _, rest = family.corners(low, high)
        radii.append(rest[0, 0, 0])
    assert radii[0] / radii[1] == pytest.approx(4, rel=0.05)
