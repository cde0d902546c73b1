"""Rotation measures against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd


@given(st.floats(0.1, 3), st.floats(-3, 3))
def test_a_linear_field_has_the_angle_of_its_eigenvalue(a, b):
    import sympy as sp

    x, y = sp.symbols("x y")
    b = round(b, 6)
    game = gd.field_game([a * x + b * y, a * y - b * x], players=[["x"], ["y"]])
    r = gd.rotation(game, [0.0, 0.0])
    assert r.angle == pytest.approx(abs(np.arctan2(b, a)), abs=1e-9)
    assert r.antisymmetric_share == pytest.approx(abs(b) / np.hypot(a, b), abs=1e-12)
    assert r.mean_imaginary_share == pytest.approx(abs(b) / np.hypot(a, b), abs=1e-9)


def test_a_potential_game_does_not_rotate():
    game = gd.Game(["x**2 + x*y", "y**2 + x*y"], players=[["x"], ["y"]])
    r = gd.rotation(game, [0.4, 0.1])
    assert (r.antisymmetric_share, r.angle, r.mean_imaginary_share) == (0, 0, 0)


def test_random_probes_cover_the_dense_share():
    n = 400
    scale = torch.linspace(0.2, 2, n, dtype=torch.float64)

    def costs(z):
        x, y = z[:n], z[n:]
        f = (scale * x * y).sum() + 0.3 * (x**2).sum() - 0.3 * (y**2).sum()
        return [f, -f]

    r = gd.rotation(gd.callable_game(costs, sizes=[n, n]), torch.zeros(2 * n, dtype=torch.float64), k=4, probes=64)
    share = float(torch.sqrt((scale**2).sum() / ((scale**2).sum() + n * 0.36)))
    low, high = r.interval
    assert low <= share <= high
    assert high - low < 0.05
