"""Published critical points and their classes (M27, M30-M32, M34, M36-M38, M40, M42), proven to be all."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.stability.equilibria.stackelberg import is_differential_stackelberg


def printed(e, values, decimals):
    """The eigenvalues are `values`, whose parts are printed with so many decimals."""
    gap = np.array([complex(v) for v in e.eigenvalues]) - np.array(values)
    assert max(np.abs(gap.real).max(), np.abs(gap.imag).max()) <= 0.5 * 10.0**-decimals


def at(found, point, tolerance=1e-5):
    (match,) = [e for e in found if np.abs(np.asarray(e) - point).max() < tolerance]
    return match


@pytest.fixture(scope="module")
def fiez():
    return gd.equilibria(gd.games.fiez_polynomial(), time_limit=60)


def test_m27_three_critical_points_attract_for_large_tau_and_eight_never_do(fiez):
    assert fiez.complete
    assert len(fiez) == 11
    assert sorted(float(e.tau) for e in fiez if e.tau is not None) == pytest.approx([0, 1, 1], abs=1e-12)
    for point, tau, kind in [
        ((-11.02974, -11.02974), 1, "local minimax"),
        ((-1.62165, -1.62165), 1, "local minimax"),
        ((10.57216, -8.95174), 0, "strict local Nash"),
    ]:
        e = at(fiez, point)
        assert (e.kind, e.exact) == (kind, True)
        assert float(e.tau) == pytest.approx(tau, abs=1e-12)
        assert "differential Stackelberg" in e.classes


def test_m27_no_other_point_is_stable_or_minimax(fiez):
    assert sum(e.kind in ("strict local Nash", "local minimax", "stable non-Nash") for e in fiez) == 3
    assert sum(e.flow == "stable" for e in fiez) == 1


@pytest.mark.slow
def test_m27_branch_and_prune_confirms_the_eleven_points(fiez):
    inside = _by_intervals(gd.games.fiez_polynomial(), 15.0)
    assert len(inside) == len(fiez) == 11
    np.testing.assert_allclose(np.sort(inside, axis=0), np.sort([np.asarray(e) for e in fiez], axis=0), atol=1e-9)


def _by_intervals(game, half):
    """Zeros by branch and prune alone, whatever algebra could do."""
    from gamedyn.games.exact import column
    from gamedyn.games.functions import exact_number
    from gamedyn.stability.equilibria.branch_prune import every_zero
    from gamedyn.stability.equilibria.krawczyk import Krawczyk
    from gamedyn.stability.time_limit import Clock

    z = sp.symbols("z:2", real=True)
    v = [exact_number(sp.expand(e)) for e in game.field("exact")(column(z))]
    covering = every_zero(Krawczyk.of(v, z), np.array([[-half, half]] * 2), Clock(30))
    assert len(covering.undecided) == 0
    return np.array([(e.low + e.high) / 2 for e in covering.zeros])


def test_m30_the_minimax_point_has_its_schur_complement_as_evidence():
    (e,) = gd.equilibria(gd.games.jin_quadratic())
    assert (e.kind, e.tau) == ("local minimax", 1)
    assert "Schur complement for x 21/2 > 0" in e.evidence
    assert e.hyperbolic is False  # eigenvalues on the axis at τ = 1


def test_m31_the_only_critical_point_of_the_cosine_game_is_no_minimax():
    game = gd.games.jin_cosine()
    found = gd.equilibria(game, box={"x": (-1, 1), "y": (-7, 7)}, exhaustive=True)
    assert found.complete
    assert [e.point for e in found] == [(0, 0)]
    assert not gd.is_local_minimax(game, [0, 0])


def test_m32_the_nonsmooth_game_has_no_local_minimax_point():
    (e,) = gd.equilibria(gd.games.jin_nonsmooth())
    assert e.point == (0, 0)
    assert e.hyperbolic
    assert not gd.is_local_minimax(gd.games.jin_nonsmooth(), [0, 0])  # f_yy = 2 > 0
    # inside, y must be stationary and f_yy < 0; on y = ±1 the follower stays, and x pays 1 ∓ 2x, which some
    # neighbouring x lowers unless x = ±1, where y = ±1 is a minimum of (y - x)² - x² in y and no maximum
    f = lambda x, y: y**2 - 2 * x * y  # noqa: E731
    for side in (1.0, -1.0):
        for x in np.linspace(-0.999, 0.999, 21):
            h = min(1e-4, (1 - abs(x)) / 4)
            near = np.linspace(side, side - np.sign(side) * h, 51)
            assert f(x, side) == f(x, near).max()
            assert f(x + side * h / 2, near).max() < f(x, side)
        assert f(side, side) < f(side, side - side * 1e-3)


def test_m34_the_spurious_attractor_is_listed_as_what_it_is():
    (e,) = gd.equilibria(gd.games.wang_spurious_attractor())
    assert e.classes == ("local maximin", "stable non-Nash", "stable")
    assert not is_differential_stackelberg(gd.games.wang_spurious_attractor(), [0, 0])


def test_m36_the_origin_is_the_only_critical_point_by_algebra_and_by_intervals():
    found = gd.equilibria(gd.games.no_convergence())
    assert found.complete
    (e,) = found
    assert e.point == (0, 0)
    assert set(e.eigenvalues) == {-1 - sp.I, -1 + sp.I}
    np.testing.assert_allclose(_by_intervals(gd.games.no_convergence(), 10.0), [[0, 0]], atol=1e-14)


def test_m37_the_market_has_one_critical_point_in_the_whole_plane():
    found = gd.equilibria(gd.games.market())
    assert found.complete
    (e,) = found
    assert e.point == (0, 0)
    assert set(e.eigenvalues) == {-1 - sp.I, -1 + sp.I}
    np.testing.assert_allclose(_by_intervals(gd.games.market(), 10.0), [[0, 0]], atol=1e-14)


@pytest.mark.parametrize(
    ("game", "point", "eigenvalue", "decimals"),
    [
        (gd.games.forsaken, (0.078027, 0.411934), 0.044746 + 0.908028j, 6),
        (gd.games.global_forsaken, (0.17672, 0.33945), 0.394 + 0.989j, 3),
    ],
)
def test_m38_m40_the_forsaken_point_is_the_only_one_and_stable(game, point, eigenvalue, decimals):
    found = gd.equilibria(game())
    assert found.complete
    (e,) = found
    assert e.flow == "stable"
    assert e.hyperbolic
    np.testing.assert_allclose(np.asarray(e), point, atol=5e-6)
    printed(e, [eigenvalue.conjugate(), eigenvalue], decimals)


def test_m42_three_points_of_three_kinds():
    found = gd.equilibria(gd.games.adolphs())
    assert found.complete
    nash, unstable, trap = found
    r = sp.sqrt(2)
    assert [e.point for e in found] == [(-2 - r, 2 + r), (-2 + r, 2 - r), (0, 0)]
    assert (nash.kind, nash.flow, nash.tau) == ("strict local Nash", "stable", 0)
    printed(nash, [4.828 - 3.913j, 4.828 + 3.913j], 3)
    assert (unstable.kind, unstable.tau) == ("unstable", None)
    printed(unstable, [-3.533, 1.876], 3)
    assert (trap.kind, trap.flow) == ("stable non-Nash", "stable")
    printed(trap, [1 - 2.6458j, 1 + 2.6458j], 4)
    assert trap.jacobian[1, 1] == -2  # f_yy = 2: the maximising player is at a minimum
    assert not gd.is_strict_local_nash(gd.games.adolphs(), [0, 0])
