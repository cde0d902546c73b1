"""Constants: closed forms, certified bounds against samples, and what theorems and certificates make of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.games.functions import compile_numpy
from gamedyn.stability.constants.branch_bound import minimum
from gamedyn.stability.constants.constants import constants
from gamedyn.stability.constants.field_formula import field_formula
from gamedyn.testing.strategies import bilinear_games, quadratic_games, strongly_monotone_games

POSITIVE = st.integers(1, 9)


def dense(game):
    return np.array(field_formula(game).constant_jacobian.tolist(), dtype=float)


# affine games ------------------------------------------------------------------------------------------


@given(POSITIVE, POSITIVE, POSITIVE)
def test_constants_of_a_strongly_monotone_quadratic_have_closed_forms(p, q, b):
    """J = [[p, b], [-b, q]]: the smallest root of each pencil."""
    found = constants(gd.zero_sum(f"{p}*x**2/2 + {b}*x*y - {q}*y**2/2", min="x", max="y"))
    det = p * q + b * b
    norm_square = (
        sp.Rational(p * p + q * q + 2 * b * b) / 2 + sp.sqrt((p * p - q * q) ** 2 + 4 * b * b * (p - q) ** 2) / 2
    )
    assert found.mu.value == min(p, q)
    assert sp.simplify(found.L.value**2 - norm_square) == 0
    assert found.comonotone.value == sp.Rational(min(p, q), det)  # J⁻¹ = [[q, -b], [b, p]]/det
    assert found.cocoercive.value == found.comonotone.value
    assert found.weak_minty.value == 0
    assert all(c.kind == "exact" for c in (found.mu, found.L, found.cocoercive, found.comonotone))
    assert [c.value for c in found.curvature] == [p, q]
    assert found.coupling[0, 1].value == found.coupling[1, 0].value == b


@settings(max_examples=10)
@given(bilinear_games())
def test_a_bilinear_game_is_monotone_with_the_largest_singular_value_and_not_cocoercive(game):
    found = constants(game)
    assert found.mu.value == 0
    assert float(found.L) == pytest.approx(np.linalg.norm(dense(game), 2), rel=1e-12)
    assert found.cocoercive.value == 0
    assert found.comonotone.value == 0
    assert found.weak_minty.value == 0


@settings(max_examples=10)
@given(quadratic_games())
def test_constants_of_drawn_quadratics_agree_with_dense_linear_algebra(game):
    J, found = dense(game), constants(game)
    assert float(found.mu) == pytest.approx(np.linalg.eigvalsh((J + J.T) / 2)[0], abs=1e-10)
    assert float(found.L) == pytest.approx(np.linalg.norm(J, 2), abs=1e-10)
    sigma = np.linalg.svd(J, compute_uv=False)
    if sigma[-1] > 1e-3:
        inverse = np.linalg.inv(J)
        assert float(found.comonotone) == pytest.approx(np.linalg.eigvalsh((inverse + inverse.T) / 2)[0], abs=1e-8)


def test_a_kernel_that_j_transposed_does_not_share_leaves_no_comonotonicity():
    """J = [[0, 1], [0, 1]]: ⟨u, Ju⟩/|Ju|² = (u₁ + u₂)/(2 u₂), unbounded below."""
    found = constants(sp.Matrix([[0, 1], [0, 1]]))
    assert found.comonotone.value == -sp.oo
    assert found.cocoercive.value == 0
    assert found.weak_minty.value == sp.oo
    assert not [t for t in found.theorems() if t.holds]


def test_a_shared_kernel_is_left_out():
    """The tandem game descends one function of x + y: J = 2 [[1, 1], [1, 1]], cocoercive with 1/4."""
    found = constants(gd.games.tandem())
    assert (found.cocoercive.value, found.comonotone.value, found.mu.value) == (sp.Rational(1, 4), sp.Rational(1, 4), 0)


def test_a_field_that_stands_still_is_cocoercive_with_every_constant():
    found = constants(sp.zeros(2, 2))
    assert (found.mu.value, found.L.value, found.cocoercive.value) == (0, 0, sp.oo)


def test_free_parameters_stay_in_the_constants():
    a = sp.Symbol("a", positive=True)
    game = gd.zero_sum("a*x**2/2 + x*y - a*y**2/2", min="x", max="y")
    found = constants(game)
    symbol = next(iter(found.mu.value.free_symbols))
    assert found.mu.value.subs(symbol, a) == a
    assert sp.simplify(found.L.value.subs(symbol, a) - sp.sqrt(a**2 + 1)) == 0
    assert sp.simplify(found.comonotone.value.subs(symbol, a) - a / (1 + a**2)) == 0
    assert float(constants(game, params={"a": 3}).mu) == 3


def test_roots_of_high_degree_are_exact_too():
    H = sp.Matrix(3, 3, lambda i, j: sp.Rational(1, i + j + 1) + int(i == j))
    found = constants(H)
    assert found.mu.kind == "exact"
    assert found.mu.value.has(sp.CRootOf)
    assert H.charpoly().as_expr().subs(sp.Symbol("lambda"), found.mu.value).evalf(30) == pytest.approx(0, abs=1e-25)
    assert float(found.mu) == pytest.approx(np.linalg.eigvalsh(np.array(H.tolist(), dtype=float))[0], rel=1e-13)


def test_large_matrices_are_exact_up_to_rounding_and_say_so():
    rng = np.random.default_rng(0)
    J = rng.standard_normal((20, 20)) + 8 * np.eye(20)
    found = constants(J)
    assert {found.mu.kind, found.L.kind, found.comonotone.kind} == {"numeric"}
    assert "exact up to rounding" in repr(found)
    assert float(found.mu) == pytest.approx(np.linalg.eigvalsh((J + J.T) / 2)[0], rel=1e-12)
    assert float(found.cocoercive) == pytest.approx(
        np.linalg.eigvalsh((np.linalg.inv(J) + np.linalg.inv(J).T) / 2)[0], rel=1e-9
    )


def test_transformed_games_have_the_constants_of_their_field():
    """Consensus with γ on xy adds γ JᵀJ = γ I."""
    found = constants(gd.consensus(0.25)(gd.games.bilinear(1)))
    assert found.mu.value == sp.Rational(1, 4)
    assert found.L.value == sp.sqrt(17) / 4


def test_games_on_simplices_are_taken_along_them():
    found = constants(gd.games.rock_paper_scissors())
    assert (found.mu.value, found.L.value) == (0, sp.sqrt(3))
    assert "along the simplices" in found.note


# boxes -------------------------------------------------------------------------------------------------


@st.composite
def polynomial_games(draw):
    """A game of degree 4 with small integer coefficients, and a box."""
    x, y = sp.symbols("x y", real=True)
    monomials = [x**i * y**j for i in range(5) for j in range(5 - i) if i + j >= 2]
    costs = [
        sp.Add(*(sp.Rational(draw(st.integers(-4, 4)), 4) * m for m in monomials)) for _ in range(2)
    ]  # fmt: skip
    a, b = draw(st.integers(-2, 1)), draw(st.integers(1, 2))
    return gd.Game(costs, players=["x", "y"]), (a, a + b)


@settings(max_examples=8)
@given(polynomial_games(), st.integers(0, 10**6))
def test_certified_bounds_contain_what_samples_find(game_and_box, seed):
    game, box = game_and_box
    found = constants(game, box, boxes=512)
    f = field_formula(game)
    rng = np.random.default_rng(seed)
    points = rng.uniform(*box, (2, 50))
    J = np.moveaxis(compile_numpy([f.z], [], list(f.jacobian))(points, []).reshape(2, 2, -1), 2, 0)
    S = (J + np.swapaxes(J, 1, 2)) / 2
    assert found.mu.low <= np.linalg.eigvalsh(S)[:, 0].min() + 1e-12
    assert found.L.high >= np.linalg.norm(J, 2, axis=(1, 2)).max() - 1e-12
    v = compile_numpy([f.z], [], list(f.v))
    x, y = points[:, :25], points[:, 25:]
    dv, dz = v(x, []) - v(y, []), x - y
    inner, square = (dv * dz).sum(axis=0), (dv**2).sum(axis=0)
    slack = 1e-11 * (1 + square)
    assert (inner >= found.mu.low * (dz**2).sum(axis=0) - slack).all()
    assert (square <= found.L.high**2 * (dz**2).sum(axis=0) + slack).all()
    if math.isfinite(found.comonotone.low):
        assert (inner >= found.comonotone.low * square - slack).all()
    if 0 < found.cocoercive.low < math.inf:
        assert (inner >= found.cocoercive.low * square - slack).all()


def test_mu_and_l_of_a_separable_game_are_the_extremes_of_its_curvatures():
    """f = x⁴/12 + 2xy - y⁴/12 on [1, 2]²: S = diag(x², y²), ‖J‖ is largest at (2, 1) and (1, 2)."""
    found = constants(gd.zero_sum("x**4/12 + 2*x*y - y**4/12", min="x", max="y"), (1, 2))
    assert (found.mu.kind, found.mu.value) == ("exact", 1)
    assert found.L.low <= math.sqrt((25 + math.sqrt(369)) / 2) <= found.L.high  # of [[4, 2], [-2, 1]]
    assert found.L.gap < 1e-3
    # ⟨u, Ju⟩/|Ju|² for J = [[a, 2], [-2, b]]: min(a, b)/(ab + 4), smallest at (1, 4) or (4, 1)
    assert found.cocoercive.low <= 1 / 8 <= found.cocoercive.high
    assert found.cocoercive.gap < 1e-3
    assert found.comonotone.low == found.cocoercive.low


def test_forsaken_curvature_is_exact_and_its_game_not_monotone():
    """M38: φ'' = 1/2 - 6z² + 5z⁴ is least at z² = 3/5, where it is -13/10."""
    found = constants(gd.games.forsaken(), (-1.5, 1.5), z=[0.0780267, 0.4119339])
    assert (found.mu.kind, found.mu.value) == ("exact", sp.Rational(-13, 10))
    assert found.cocoercive.value == 0
    assert 3.0 < found.weak_minty.low < found.weak_minty.high < 3.3
    # no published class covers it: weak Minty would need rho < 1/L
    assert found.weak_minty.low > 1 / found.L.low
    assert not [t for t in found.theorems() if t.holds]
    assert next(t for t in found.theorems() if t.method == "EG+").holds is False


def test_polar_game_is_weakly_minty_at_the_origin_and_bounded_away_from_monotone():
    """M40 on the unit box: ⟨v, z⟩ = (a/16) r²(r² - 1)(16r² - 9), |v|² = r² + (that/r)², a = 1/3."""
    found = constants(gd.games.polar(), (-1, 1), z=[0, 0])
    radial = -49 / 64 / 48  # the least value of (r² - 1)(16r² - 9)/48, at r² = 25/32
    rho = -2 * radial / (1 + radial**2)
    assert found.weak_minty.low <= rho <= found.weak_minty.high
    assert found.weak_minty.low == pytest.approx(rho, rel=1e-3)
    assert found.mu.high < -0.1787
    assert found.mu.gap < 1e-2


def test_a_potential_game_is_cocoercive_with_one_over_l():
    """Baillon-Haddad, where J is singular at the origin and no inverse bounds it."""
    game = gd.Game(["x**4/4 + x**2*y**2/2 + y**4/4"] * 2, players=["x", "y"])
    found = constants(game, (-1, 1), boxes=512)
    assert found.cocoercive.low == pytest.approx(1 / found.L.high, rel=1e-12)
    assert found.cocoercive.high == pytest.approx(1 / found.L.low, rel=1e-12)
    assert found.mu.high == pytest.approx(0, abs=1e-9)


def test_negative_comonotonicity_holds_for_pairs_far_apart():
    """Where Jensen's inequality fails, averages of J are enclosed: every sampled pair obeys the bound."""
    game = gd.games.almost_bilinear()
    found = constants(game, (-1, 1))
    assert -0.02 < found.comonotone.low < found.comonotone.high < 0
    points = np.random.default_rng(0).uniform(-1, 1, (2, 2, 4000))
    dv, dz = gd.field(game, points[0]) - gd.field(game, points[1]), points[0] - points[1]
    assert ((dv * dz).sum(axis=0) >= found.comonotone.low * (dv**2).sum(axis=0)).all()
    assert next(t for t in found.theorems() if t.method == "FEG").holds


def test_pairs_may_fall_short_of_every_pointwise_comonotonicity():
    """J = -1 + 3q, q turning from i to -i through j: -1/10 at every point, -1/(1 + 36/π²) for the ends of the turn."""
    t, a, b, c = sp.symbols("t a b c", real=True)
    cos, sin = sp.cos(t), sp.sin(t)
    Q = sp.Matrix([[0, -cos, -sin, 0], [cos, 0, 0, sin], [sin, 0, 0, -cos], [0, -sin, cos, 0]])  # left product with q
    assert (Q * Q + sp.eye(4)).applyfunc(sp.simplify).is_zero_matrix
    v = -sp.Matrix([t, a, b, c]) + 3 * Q[:, 0].applyfunc(lambda e: sp.integrate(e, t)) + 3 * Q * sp.Matrix([0, a, b, c])
    game = gd.field_game(list(v), players=[["t", "a"], ["b", "c"]])
    box = {"t": (0, 3.14159)} | dict.fromkeys("abc", (-1e-4, 1e-4))
    found = constants(game, box, boxes=512)
    assert found.comonotone.high == pytest.approx(-0.1, abs=1e-3)
    assert found.comonotone.low <= -1 / (1 + 36 / np.pi**2)


def test_more_boxes_close_the_gap():
    game = gd.games.polar()
    gaps = [constants(game, (-1, 1), boxes=n).mu.gap for n in (64, 512)]
    assert gaps[1] < gaps[0]


def test_functions_without_bounds_give_estimates_that_say_so():
    x, y = sp.symbols("x y", real=True)
    game = gd.field_game([x + sp.asin(y / 4), y - x], players=["x", "y"])
    found = constants(game, (-1, 1))
    assert {found.mu.kind, found.L.kind} == {"estimate"}
    assert "asin" in found.note
    assert (found.mu.low, found.L.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="proven, finite L"):
        found.certify_arguments()


def test_kinks_are_bounded_by_their_one_sided_slopes():
    """v = (|x| + 2x + y, y - x): J₁₁ is between 1 and 3."""
    found = constants(gd.field_game(["abs(x) + 2*x + y", "y - x"], players=["x", "y"]), (-1, 1))
    assert found.mu.low <= 1 <= found.mu.high
    assert found.mu.gap < 1e-9


def test_at_a_point_the_linearization_is_exact():
    found = constants(gd.games.polar(), z=[0, 0])
    assert (found.mu.value, found.where) == (sp.Rational(3, 16), "of the linearization at z")


def test_the_minimum_of_a_known_function_is_bracketed():
    def wave(z):
        return np.cos(3 * z[0]) + z[1] ** 2

    def below(a, b):
        return wave(a / 2 + b / 2) - 1.5 * (b[0] - a[0]) - 2 * (b[1] - a[1])  # Lipschitz

    found = minimum(
        below, wave, np.array([0.0, -1.0]), np.array([2.0, 1.0]), active=[0, 1], boxes=20000, tolerance=1e-3, scale=1
    )
    assert found.low <= -1 <= found.high
    assert found.high - found.low < 1e-2


# neural games ------------------------------------------------------------------------------------------


def test_estimates_of_a_torch_game_meet_its_dense_constants():
    import torch

    scale = torch.linspace(0.5, 2, 40, dtype=torch.float64)

    def costs(z):
        x, y = z[:40], z[40:]
        f = 0.15 * (x**2).sum() + (scale * x * y).sum() - 0.15 * (y**2).sum()
        return [f, -f]

    found = constants(gd.callable_game(costs, sizes=[40, 40]), z=torch.zeros(80, dtype=torch.float64), samples=3)
    assert found.mu.kind == "estimate"
    assert float(found.mu) == pytest.approx(0.3, abs=1e-9)
    assert float(found.L) == pytest.approx(math.hypot(0.3, 2), abs=1e-9)
    assert float(found.comonotone) == pytest.approx(0.3 / (0.09 + 4), abs=1e-9)
    assert "3 samples, seed 0" in repr(found)


def test_large_games_are_estimated_by_products():
    import torch

    n = 350
    scale = torch.linspace(0.5, 2, n, dtype=torch.float64)

    def costs(z):
        x, y = z[:n], z[n:]
        f = 0.15 * (scale * x**2).sum() + (scale * x * y).sum() - 0.15 * (y**2).sum()
        return [f, -f]

    found = constants(gd.callable_game(costs, sizes=[n, n]), z=torch.zeros(2 * n, dtype=torch.float64), samples=1)
    assert float(found.mu) == pytest.approx(0.15, rel=1e-4)
    s = 2.0
    assert float(found.L) == pytest.approx(np.linalg.norm([[0.3 * s, s], [-s, 0.3]], 2), rel=1e-4)


# what they are for -------------------------------------------------------------------------------------


@settings(max_examples=3)
@given(strongly_monotone_games(mu=0.2, L=1.5))
def test_a_certificate_with_these_constants_bounds_the_measured_contraction(game):
    arguments = constants(game).certify_arguments()
    assume(arguments["mu"] < 0.99 * arguments["L"])  # J = cI is a class of one linear field
    assert arguments["mu"] >= 0.2
    assert arguments["L"] <= 1.5 + 1e-9
    method = gd.Extragradient(lr=0.4)
    certificate = gd.certify(method, steps=1, **arguments)
    T = gd.StepMap(method, game)
    contraction = np.linalg.norm(np.array(T.jacobian(np.zeros(game.dim)), dtype=float), 2) ** 2
    assert contraction <= certificate.value + 1e-7


def test_the_step_of_a_weak_minty_theorem_passes_through_a_cycle_that_small_steps_end_in():
    """EG+ at its theorem's step reaches the origin of the polar game from outside the cycles; η = 0.01 does not."""
    game = gd.games.polar()
    found = constants(game, (-1, 1), z=[0, 0], boxes=1024)
    theorem = next(t for t in found.theorems() if t.method == "EG+")
    assert theorem.holds
    lr = theorem.steps[0]
    start = 0.95 * np.array([np.cos(0.3), np.sin(0.3)])
    covered = gd.simulate(gd.StepMap(gd.Extragradient(lr=lr, extrapolation=2 * lr), game), start, steps=3000)
    assert np.abs(covered.z).max() <= 1  # the iterates stay in the box
    assert np.linalg.norm(np.ravel(gd.field(game, covered.z[-1]))) < 1e-12
    small = gd.simulate(gd.StepMap(gd.Extragradient(lr=0.01), game), start, steps=3000)
    assert np.linalg.norm(np.ravel(small.z[-1])) > 0.9


@pytest.mark.parametrize("lr_share", [0.5, 0.99])
def test_the_steps_of_a_theorem_contract(lr_share):
    """Simultaneous descent within η < 2 mu/L² contracts the distance of any two points of a box game."""
    game = gd.zero_sum("x**2/2 + x**4/24 + x*y - y**2/2 - y**4/24", min="x", max="y")
    found = constants(game, (-1, 1))
    theorem = next(t for t in found.theorems() if "mu > 0" in t.condition)
    assert theorem.holds
    lr = lr_share * theorem.steps[1]
    a, b = np.random.default_rng(1).uniform(-1, 1, (2, 2, 500))
    before = np.linalg.norm(a - b, axis=0)
    after = np.linalg.norm(a - lr * gd.field(game, a) - b + lr * gd.field(game, b), axis=0)
    factor = math.sqrt(1 - 2 * lr * found.mu.low + lr**2 * found.L.high**2)
    assert factor < 1
    assert (after <= factor * before + 1e-12).all()


def test_the_line_is_short_and_names_its_label():
    boxed = constants(gd.games.polar(), (-1, 1), boxes=256)
    exact = constants(gd.games.bilinear(1))
    assert exact.line() == "mu = 0, L = 1, comonotone 0, exact (everywhere)"
    assert all(len(c.line()) <= 100 for c in (boxed, exact))
    assert "certified" in boxed.line()
    assert "mu >= -0.2" in boxed.line()


# bad input ---------------------------------------------------------------------------------------------


def test_bad_input_is_named():
    game = gd.games.forsaken()
    with pytest.raises(ValueError, match="give box="):
        constants(game)
    with pytest.raises(ValueError, match=r"the variables of 'forsaken' are \['x', 'y'\]"):
        constants(game, {"x": (0, 1)})
    with pytest.raises(ValueError, match="low < high"):
        constants(game, (1, -1))
    with pytest.raises(ValueError, match="no zero of v is proven near"):
        constants(game, (-1, 1), z=[0.5, 0.5], boxes=64)
    with pytest.raises(ValueError, match="have no value"):
        constants(gd.zero_sum("a*x**4 + x*y - y**2", min="x", max="y"), (-1, 1))
    with pytest.raises(ValueError, match="square"):
        constants(np.ones((2, 3)))
    with pytest.raises(gd.NotInThisWorld):
        constants(gd.callable_game([lambda z: z.sum(), lambda z: -z.sum()], sizes=[1, 1]))
