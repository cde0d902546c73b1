"""Potential, Hamiltonian, monotone: proofs, and witnesses that really refute."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.games.exact import column
from gamedyn.stability.constants.exact_minimum import exact_minimum
from gamedyn.stability.constants.field_formula import field_formula
from gamedyn.stability.constants.field_properties import is_hamiltonian, is_monotone, is_potential
from gamedyn.testing.strategies import bilinear_games, monotone_games, quadratic_games


def inner_product(game, pair):
    """⟨v(x) - v(y), x - y⟩ by the exact field, to 30 digits."""
    F = game.field("exact")
    x, y = (column(p) for p in pair)
    return float((F(x) - F(y)).dot(x - y).evalf(30))


def test_the_polar_game_is_not_monotone_and_a_pair_of_fractions_shows_it():
    """M40: ⟨v, z⟩ <= 0 between the cycles r = 3/4 and r = 1; the pair violates monotonicity in exact arithmetic."""
    game = gd.games.polar()
    found = is_monotone(game, (-1, 1))
    assert found.answer is False
    assert all(e.is_Rational and -1 <= e <= 1 for p in found.witness for e in p)
    assert inner_product(game, found.witness) < 0


@pytest.mark.parametrize("name", ["forsaken", "torus", "almost_bilinear", "dirac_gan", "jin_quadratic", "adolphs"])
def test_witnesses_violate_monotonicity(name):
    game = gd.games.names()[name]()
    found = is_monotone(game)
    assert found.answer is False
    assert inner_product(game, found.witness) < 0
    assert not found


@settings(max_examples=10)
@given(quadratic_games())
def test_monotone_quadratics_are_recognised_by_their_spectrum(game):
    J = np.array(field_formula(game).constant_jacobian.tolist(), dtype=float)
    least = np.linalg.eigvalsh((J + J.T) / 2)[0]
    found = is_monotone(game)
    if abs(least) > 1e-6:
        assert found.answer is bool(least > 0)
    if found.answer is False:
        assert inner_product(game, found.witness) < 0


@settings(max_examples=10)
@given(monotone_games())
def test_convex_concave_quadratics_are_monotone_up_to_their_rounded_entries(game):
    """Entries are rounded to 12 decimals, so an eigenvalue 0 may have become -1e-12: refuted is then right too."""
    found = is_monotone(game)
    if found.answer is False:
        assert -1e-9 < inner_product(game, found.witness) < 0
    else:
        assert found.answer is True


@settings(max_examples=10)
@given(bilinear_games())
def test_zero_sum_bilinear_games_are_hamiltonian_and_not_potential(game):
    assert is_hamiltonian(game)
    found = is_potential(game)
    assert found.answer is False
    i, j, _ = found.witness
    J = field_formula(game).constant_jacobian
    assert J[i, j] != J[j, i]


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6))
def test_games_with_one_common_cost_are_potential(c):
    x, y = sp.symbols("x y", real=True)
    f = sp.Add(*(k * m for k, m in zip(c, [x**2, x * y, y**2, x**3 * y, sp.sin(x * y), sp.exp(x)], strict=True)))
    assert is_potential(gd.Game([f, f], players=["x", "y"]))
    shifted = gd.Game([f + sp.cos(y), f - sp.exp(x)], players=["x", "y"])  # foreign terms do not enter v
    assert is_potential(shifted)


def test_an_entry_that_vanishes_in_disguise_is_zero():
    """A₁₂ = (sin² + cos² - 1)/2 is zero only after simplification."""
    x, y = sp.symbols("x y", real=True)
    twist = sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1
    assert is_potential(gd.field_game([x + y * twist, y], players=["x", "y"]))


def test_the_witness_of_an_entry_is_a_point_where_it_is_not_zero():
    found = is_hamiltonian(gd.zero_sum("x**3 + x*y", min="x", max="y"))
    i, j, point = found.witness
    assert (i, j) == (0, 0)
    assert 3 * 2 * point[0] / 1 != 0
    assert "S_11 = 6*x" in repr(found)


def test_monotone_everywhere_is_proven_by_principal_minors():
    assert is_monotone(gd.zero_sum("x**4 + x*y - y**6", min="x", max="y"))
    assert is_monotone(gd.zero_sum("cosh(x) + 3*x*y - exp(y)", min="x", max="y"))
    assert is_monotone(gd.Game(["(x**2 + y**2)**2", "(x**2 + y**2)**2"], players=["x", "y"]))


def test_monotone_on_a_box_and_not_beyond():
    """x⁴/12 - x²/2 is convex for |x| >= 1."""
    game = gd.zero_sum("x**4/12 - x**2/2 + x*y - y**2", min="x", max="y")
    inside, outside = is_monotone(game, {"x": (1, 3), "y": (-1, 1)}), is_monotone(game, {"x": (0.9, 3), "y": (-1, 1)})
    assert inside.answer is True
    assert outside.answer is False
    assert all(sp.Rational(9, 10) <= p[0] <= 3 for p in outside.witness)
    assert inner_product(game, outside.witness) < 0


def test_what_is_neither_proven_nor_refuted_is_left_open():
    """λ_min is 0 on the diagonal, but no bound of the minor det S shows a square."""
    game = gd.Game(["exp(x - y) + exp(y - x)"] * 2, players=["x", "y"])
    found = is_monotone(game)
    assert found.answer in (None, True)
    assert found.answer is True or (not found and "undecided" in repr(found))


def test_free_parameters_leave_the_sign_open():
    game = gd.zero_sum("a*x**2 + x*y - y**2", min="x", max="y")
    assert is_monotone(game).answer is None
    assert is_monotone(game, params={"a": 1}).answer is True
    assert is_monotone(game, params={"a": -1}).answer is False
    assert is_potential(game).answer is False


def test_transformed_games_and_matrices_are_asked_the_same_way():
    assert is_monotone(gd.consensus(0.3)(gd.games.bilinear(1)))
    assert is_potential(sp.Matrix([[1, 2], [2, 3]]))
    assert is_hamiltonian(np.array([[0.0, 1.5], [-1.5, 0.0]]))
    assert is_hamiltonian(gd.games.bilinear(1).field("exact"))


def test_torch_games_can_be_refuted_by_probes_and_are_never_proven():
    import torch

    def costs(z):
        f = z[0] ** 2 + 3 * z[0] * z[1] - z[1] ** 2
        return [f, -f]

    game, z = gd.callable_game(costs, sizes=[1, 1]), torch.zeros(2, dtype=torch.float64)
    assert is_potential(game, z=z).answer is False
    assert is_hamiltonian(game, z=z).answer is False
    assert is_monotone(game, z=z).answer is None
    common = gd.callable_game(lambda z: [(z**2).sum(), (z**2).sum()], sizes=[1, 1])
    assert is_potential(common, z=z).answer is None
    with pytest.raises(gd.NotInThisWorld):
        is_potential(game)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=6), st.integers(-3, 0), st.integers(1, 3))
def test_the_exact_minimum_of_a_polynomial_is_below_every_sample_and_taken(c, low, high):
    x = sp.Symbol("x", real=True)
    p = sp.Add(*(k * x**n for n, k in enumerate(c)))
    value, point = exact_minimum(p, [x], [(low, high)])
    grid = np.linspace(low, high, 401)
    values = np.polyval(c[::-1], grid)
    assert float(value) <= values.min() + 1e-12
    if point[0] is not None:
        assert np.polyval(c[::-1], point[0]) == pytest.approx(float(value), abs=1e-9)
