"""Classes of equilibria against published examples, and exact decisions against floats."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from gamedyn.games.exact import ExactField
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.symbolic import Game, SymbolicGame, field_game, zero_sum
from gamedyn.rules.transforms import consensus, two_timescale, unrolled
from gamedyn.stability.equilibria.classify import classify, is_local_minimax, is_strict_local_nash, timescale_threshold
from gamedyn.stability.equilibria.stackelberg import is_differential_stackelberg
from gamedyn.stability.second_order import second_order
from gamedyn.stability.spectrum_signs import definiteness, eigenvalues, sign, spectrum_signs

ORIGIN = [0, 0]


def planar(f: str) -> SymbolicGame:
    return zero_sum(f, min="x", max="y")


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        ("x*y", "center"),
        ("x**2 + 3*x*y - y**2", "strict local Nash"),
        ("-x**2 + 5*x*y - y**2", "local minimax"),
        ("-3*x**2 - y**2 + 4*x*y", "local minimax"),
        ("3*x**2 + y**2 + 4*x*y", "stable non-Nash"),
        ("-x**2/8 - y**2/2 + 0.6*x*y", "local minimax"),
        ("x**2/2 + y**2/2 + 4*x*y", "local maximin"),
        ("x*y - x**2/2 + y**2/2", "unstable"),
        ("x*y - y**2", "local minimax"),
        ("x**2 + x*y", "local maximin"),
        ("x**2 + y**4", "degenerate"),
        ("x**3 + y**3", "degenerate"),
        ("-x**2 + y**3", "unstable"),
    ],
)
@pytest.mark.parametrize("point", [[0, 0], [0.0, 0.0]], ids=["exact", "float"])
def test_kind_of_the_origin(f: str, kind: str, point: list[float]) -> None:
    assert classify(planar(f), point).kind == kind


def test_bilinear_center_is_called_neutral_rotation() -> None:
    assert classify(planar("x*y"), ORIGIN).evidence == "eigenvalues ±i: neutral rotation"


def test_local_minimax_of_the_concave_concave_quadratic_has_schur_complement_21_halves() -> None:
    g = planar("-x**2 + 5*x*y - y**2")
    kind, evidence = classify(g, ORIGIN)
    assert kind == "local minimax"
    assert "Schur complement for x 21/2 > 0" in evidence
    assert not is_strict_local_nash(g, ORIGIN)
    assert is_local_minimax(g, ORIGIN)
    assert not is_local_minimax(g, ORIGIN, order="max first")


def test_local_maximin_is_minimax_with_the_players_exchanged() -> None:
    g = planar("3*x**2 + y**2 + 4*x*y")
    exchanged = planar("-(3*y**2 + x**2 + 4*x*y)")
    assert is_local_minimax(g, ORIGIN, order="max first")
    assert is_local_minimax(exchanged, ORIGIN)
    assert not is_local_minimax(g, ORIGIN)


def test_two_timescales_keep_the_minimax_point_and_make_it_stable_beyond_the_threshold() -> None:
    g = planar("-x**2 + 5*x*y - y**2")
    for tau, flow in [(sp.Rational(1, 2), "unstable"), (1, "center"), (2, "stable")]:
        kind, evidence = classify(two_timescale(tau)(g), ORIGIN)
        assert kind == "local minimax"
        assert f"flow {flow}" in evidence


def test_strict_nash_of_a_general_sum_game_may_be_unstable_and_says_so() -> None:
    g = Game(["x**2 - 5*x*y", "y**2 - 5*x*y"], players=[["x"], ["y"]])
    kind, evidence = classify(g, ORIGIN)
    assert kind == "strict local Nash"
    assert "flow unstable" in evidence
    assert "general sum" in evidence


def test_strict_nash_of_a_zero_sum_game_is_reported_flow_stable() -> None:
    assert (
        "flow stable (as at every strict Nash of a zero-sum game)" in classify(planar("x**2 - y**2"), ORIGIN).evidence
    )


def test_general_sum_games_have_no_minimax_points() -> None:
    g = Game(["x**2 + x*y", "y**2 + x*y"], players=[["x"], ["y"]])
    with pytest.raises(ValueError, match="zero-sum"):
        is_local_minimax(g, ORIGIN)


def test_a_point_where_the_field_does_not_vanish_has_no_class() -> None:
    g = planar("x**2 - y**2")
    with pytest.raises(ValueError, match="does not vanish"):
        classify(g, [1, 0])
    assert not is_strict_local_nash(g, [1, 0])
    assert not is_local_minimax(g, [1, 0])


def test_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="min first"):
        is_local_minimax(planar("x*y"), ORIGIN, order="x first")


def test_a_field_without_costs_has_only_the_class_of_its_flow() -> None:
    g = field_game(["x + y", "y - x"], players=[["x"], ["y"]])
    assert classify(g, ORIGIN).kind == "stable"
    assert classify(consensus(0.5)(planar("x*y")), ORIGIN).kind == "stable"
    with pytest.raises(NotInThisWorld):
        is_strict_local_nash(g, ORIGIN)


def test_a_field_is_classified_like_its_game() -> None:
    g = planar("-x**2 + 5*x*y - y**2")
    assert isinstance(g.field("exact"), ExactField)
    assert classify(g.field("exact"), ORIGIN) == classify(g, ORIGIN)
    assert classify(g.field("array"), [0.0, 0.0]).kind == "local minimax"


def test_transforms_without_array_derivatives_are_classified_at_float_points() -> None:
    g = unrolled(1, 0.5)(planar("x**2/10 + x*y - y**2/2"))
    exact, floats = classify(g, ORIGIN), classify(g, [0.0, 0.0])
    assert exact.kind == floats.kind == "strict local Nash"


def test_free_parameters_give_the_condition_instead_of_a_class() -> None:
    g = planar("x*y + a*x**2/2 - b*y**2/2")
    kind, evidence = classify(g, ORIGIN)
    assert kind == "undecided"
    assert "a + b > 0" in evidence
    assert "a*b + 1 > 0" in evidence
    assert classify(g, ORIGIN, params={"a": 1, "b": 2}).kind == "strict local Nash"


def test_block_games_use_eigenvalues_of_whole_blocks() -> None:
    f = "x1**2 + 3*x1*x2 + x2**2 + x1*y - y**2"  # each diagonal entry positive, the block indefinite
    g = zero_sum(f, min=["x1", "x2"], max="y")
    assert not is_strict_local_nash(g, [0, 0, 0])
    assert classify(g, [0, 0, 0]).kind == "unstable"


def test_center_of_a_larger_game_is_proven_from_an_even_factor() -> None:
    g = zero_sum("x1*y1 + 2*x2*y2 + x2**2 - y2**2", min=["x1", "x2"], max=["y1", "y2"])
    assert spectrum_signs(second_order(g, [0] * 4).jacobian) == (2, 0, 2, 0, 0)
    assert classify(g, [0] * 4).kind == "center"
    assert classify(g, [0.0] * 4).kind == "center"


@pytest.mark.parametrize(
    ("f", "tau"),
    [
        ("-x**2 + 5*x*y - y**2", 1),
        ("-3*x**2 - y**2 + 4*x*y", 3),
        ("x**2 - y**2", 0),
        ("x**2 + x*y", 0),  # the last player's own block vanishes, stable for every tau
        ("3*x**2 + y**2 + 4*x*y", None),  # stable only below a tau
        ("x*y", None),
        ("-x**2 - y**2", None),
    ],
)
def test_timescale_threshold(f: str, tau: int | None) -> None:
    for point in ([0, 0], [0.0, 0.0]):
        assert timescale_threshold(second_order(planar(f), point)) == tau


def test_timescale_threshold_separates_stable_from_unstable_flows() -> None:
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(150):
        a, b, c = (int(k) for k in rng.integers(-5, 6, 3))
        g = planar(f"{a}*x**2 + {b}*x*y + {c}*y**2")
        tau = timescale_threshold(second_order(g, ORIGIN))
        stable = [np.linalg.eigvals(np.diag([1, t]) @ [[2 * a, b], [-b, -2 * c]]).real.min() > 1e-9 for t in (1e3, 1e4)]
        assert (tau is not None) == all(stable)
        if tau is not None and tau > 0:
            below = np.diag([1, float(tau) - 1e-3]) @ np.array([[2 * a, b], [-b, -2 * c]])
            assert np.linalg.eigvals(below).real.min() < 0
            seen += 1
    assert seen > 3


# signs ---------------------------------------------------------------------------------------------------


def test_signs_of_algebraic_numbers_are_proven() -> None:
    t = sp.Symbol("t")
    root = sp.CRootOf(t**5 - t - 1, 0)
    assert sign(root**5 - root - 1) == 0
    assert sign(root - sp.Rational(11673, 10000)) == 1
    assert sign(sp.Rational(1, 10**40) * root) is None  # 50 digits call it small, and it is not zero
    assert sign(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_exact_spectrum_signs_agree_with_floats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for d in (1, 2, 3, 4):
        entries = rng.integers(-4, 5, (d, d))
        exact = spectrum_signs(sp.ImmutableMatrix(entries.tolist()))
        values = np.linalg.eigvals(entries.astype(float))
        assert exact.positive == (values.real > 1e-7).sum()
        assert exact.negative == (values.real < -1e-7).sum()
        assert exact.undecided == 0


def test_a_jordan_block_at_zero_is_found_exactly_where_floats_fail() -> None:
    shift = sp.Matrix(4, 4, lambda i, j: int(j == i + 1))
    basis = sp.Matrix([[1, 2, 0, 1], [0, 1, 3, 1], [1, 0, 1, 2], [2, 1, 1, 1]])
    m = sp.ImmutableMatrix(basis * shift * basis.inv())
    assert spectrum_signs(m) == (0, 4, 0, 0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_definiteness_is_the_sign_of_the_smallest_eigenvalue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.integers(-3, 4, (3, 3))
    for matrix, state in [
        (half @ half.T + np.eye(3, dtype=int), "positive"),
        (-(half @ half.T) - np.eye(3, dtype=int), "indefinite"),
    ]:
        assert definiteness(sp.ImmutableMatrix(matrix.tolist()))[0] == state
        assert definiteness(matrix.astype(float))[0] == state
    v = rng.integers(1, 4, (3, 1))
    assert definiteness(sp.ImmutableMatrix((v @ v.T).tolist()))[0] == "semidefinite"


def test_eigenvalues_are_radicals_where_factors_are_quadratic_and_numbers_otherwise() -> None:
    assert eigenvalues(sp.ImmutableMatrix([[4, 4], [-4, -2]])) == (1 - sp.sqrt(7) * sp.I, 1 + sp.sqrt(7) * sp.I)
    cubic = sp.ImmutableMatrix([[0, 1, 0], [0, 0, 1], [1, 1, 0]])  # s^3 - s - 1
    values = eigenvalues(cubic)
    assert all(isinstance(v, complex) for v in values)
    np.testing.assert_allclose([v**3 - v - 1 for v in values], 0, atol=1e-12)


def test_a_local_minimax_point_needs_two_players_even_where_the_first_has_no_second_derivatives():
    game = Game(["0*x", "y**2", "w**2"], players=[["x"], ["y"], ["w"]])
    with pytest.raises(ValueError, match="two players"):
        is_local_minimax(game, [0, 0, 0])


@pytest.mark.parametrize("ask", [classify, is_strict_local_nash, is_local_minimax, is_differential_stackelberg])
@pytest.mark.parametrize("point", [[0], [0, 0, 0], [0.0]])
def test_points_of_another_length_are_refused(ask, point):
    with pytest.raises(ValueError, match=f"d = 2 coordinates, got a point with {len(point)}"):
        ask(zero_sum("x*y", min="x", max="y"), point)
