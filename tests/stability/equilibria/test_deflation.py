"""Deflated Newton iterations: what they find, and what they cannot return to."""

from __future__ import annotations

import numpy as np

from gamedyn.stability.equilibria.deflation import Deflation
from gamedyn.stability.equilibria.newton_zeros import further_zeros, newton_zeros

BOX = np.array([[-10.0, 10.0]])


def sines(z):
    return np.sin(z)


def cosines(z):
    return np.cos(z)[None]


def test_the_deflated_direction_is_newtons_direction_for_the_deflated_field():
    known, scale = np.array([[0.3, -0.2], [1.0, 2.0]]), np.array([1.0, 2.0])
    deflation = Deflation(known, scale)
    v = lambda z: np.stack([z[0] ** 2 - z[1], z[0] * z[1] - 0.3])  # noqa: E731
    z = np.array([0.7, 0.4])
    J = np.array([[2 * z[0], -1], [z[1], z[0]]])
    weighted = lambda p: deflation.weight(p[:, None])[0] * v(p)  # noqa: E731
    h = 1e-6
    numeric = np.stack([(weighted(z + h * e) - weighted(z - h * e)) / (2 * h) for e in np.eye(2)], axis=1)
    expected = np.linalg.solve(numeric, weighted(z))
    direction = np.linalg.solve(J, v(z))[:, None]
    np.testing.assert_allclose((direction * deflation.factor(z[:, None], direction))[:, 0], expected, rtol=1e-7)


def test_the_weight_is_infinite_at_known_zeros_and_one_far_away():
    deflation = Deflation(np.zeros((1, 2)), np.ones(2))
    assert deflation.weight(np.zeros((2, 1)))[0] == np.inf
    assert deflation.weight(np.full((2, 1), 1e6))[0] - 1 < 1e-11


def test_deflation_finds_zeros_that_the_starts_missed():
    few = newton_zeros(sines, cosines, BOX, starts=2, seed=0)
    assert len(few) < 7
    more, rounds = further_zeros(sines, cosines, few, BOX)
    np.testing.assert_allclose(more[:, 0], np.pi * np.arange(-3, 4), atol=1e-12)
    assert rounds >= 1


def test_a_narrow_second_zero_is_found_from_beside_the_first():
    v = lambda z: z * (z - 1e-3) * (1 + z**2)  # noqa: E731
    J = lambda z: ((2 * z - 1e-3) * (1 + z**2) + z * (z - 1e-3) * 2 * z)[None]  # noqa: E731
    found, _ = further_zeros(v, J, np.array([[0.0]]), BOX)
    np.testing.assert_allclose(found[:, 0], [0, 1e-3], atol=1e-12)


def test_where_nothing_is_left_nothing_is_found():
    v = lambda z: np.tanh(z)  # noqa: E731
    J = lambda z: (1 / np.cosh(z) ** 2)[None]  # noqa: E731
    found, rounds = further_zeros(v, J, np.array([[0.0]]), BOX)
    assert found.tolist() == [[0.0]]
    assert rounds == 1
    assert further_zeros(v, J, np.empty((0, 1)), BOX)[1] == 0
