"""Zeros of two polynomials by resultants, against those that are known or found by bases."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from gamedyn.stability.equilibria import polynomial_zeros
from gamedyn.stability.equilibria.plane_zeros import plane_zeros
from gamedyn.stability.equilibria.polynomial_zeros import real_zeros

x, y = sp.symbols("x y", real=True)


def zeros(p: sp.Expr, q: sp.Expr):
    return plane_zeros([sp.Poly(p, x, y), sp.Poly(q, x, y)])


def test_pairs_that_are_roots_of_both_resultants_but_no_zeros_are_left_out():
    found = zeros(x**2 - 1, x * y - 1 + (y**2 - 1))
    assert set(found) == {(1, -2), (1, 1), (-1, 2), (-1, -1)}


def test_circle_and_line():
    r = 1 / sp.sqrt(2)
    assert {tuple(map(sp.nsimplify, z)) for z in zeros(x**2 + y**2 - 1, x - y)} == {(r, r), (-r, -r)}
    assert zeros(x**2 + y**2 - 1, x - y - 5) == []


def test_tangencies_are_left_to_another_method_which_finds_them():
    assert zeros(x**2 + y**2 - 1, y - 1) is None
    assert real_zeros([x**2 + y**2 - 1, y - 1], [x, y]) == [(0, 1)]


def test_common_factors_and_missing_variables():
    assert zeros(x * y, x * (y - 1)) is None
    assert zeros(x**2 - 2, x - 1) is None
    assert real_zeros([x**2 - 2, x - 1], [x, y]) == []
    assert zeros(y**2 + y * x + x**2 + 1, x - y) == []


@pytest.mark.parametrize("seed", range(8))
def test_resultants_and_bases_agree(seed: int, monkeypatch):
    rng = np.random.default_rng(seed)
    monomials = [x**i * y**j for i in range(4) for j in range(4) if i + j <= 3]
    v = [sum(int(c) * m for c, m in zip(rng.integers(-3, 4, len(monomials)), monomials, strict=True)) for _ in range(2)]
    by_resultants = zeros(*v)
    assert by_resultants is not None
    monkeypatch.setattr(polynomial_zeros, "plane_zeros", lambda _: None)
    assert set(real_zeros(v, [x, y])) == set(by_resultants)


def test_degrees_beyond_the_limit_of_bases():
    found = real_zeros([x**101 - y, y**2 - x], [x, y])  # the product of the degrees is 202
    assert set(found) == {(0, 0), (1, 1)}
