"""Published claims on games with several kinds of rest points (M30-M37, M41, M43)."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.rules.named import named

ETA = sp.Symbol("eta", positive=True)


def test_m30_the_origin_is_a_local_minimax_and_no_nash():
    (point,) = gd.equilibria(gd.games.jin_quadratic())
    assert point.kind == "local minimax"
    assert gd.is_local_minimax(gd.games.jin_quadratic(), [0, 0])
    assert not gd.is_strict_local_nash(gd.games.jin_quadratic(), [0, 0])
    J = gd.jacobian(gd.games.jin_quadratic(), sp.Matrix([0, 0])).to_dense()
    f_xx, f_xy, f_yy = J[0, 0], J[0, 1], -J[1, 1]
    assert f_xx - f_xy**2 / f_yy == sp.Rational(21, 2)


def test_m31_the_global_minimax_of_the_cosine_game_is_not_stationary():
    game = gd.games.jin_cosine()
    x, y = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-2 * np.pi, 2 * np.pi, 4001), indexing="ij")
    worst = (0.2 * x * y - np.cos(y)).max(axis=1)
    assert x[np.argmin(worst), 0] == pytest.approx(0, abs=1e-12)
    assert worst.min() == pytest.approx(1, abs=1e-6)
    v = gd.field(game, np.array([[0.0, 0.0], [np.pi, -np.pi]]))
    assert v[0] == pytest.approx([0.2 * np.pi, -0.2 * np.pi], abs=1e-12)


def test_m32_the_global_minimax_of_the_nonsmooth_game():
    x = np.linspace(-1, 1, 201)
    y = np.linspace(-1, 1, 2001)
    worst = (y[None, :] ** 2 - 2 * x[:, None] * y[None, :]).max(axis=1)
    assert worst == pytest.approx(1 + 2 * np.abs(x), abs=1e-12)
    v = gd.field(gd.games.jin_nonsmooth(), np.array([[0.0, 0.0], [1.0, -1.0]]))
    assert v[0] == pytest.approx([-2, 2], abs=1e-12)  # not stationary at the minimax points (0, ±1)


def test_m33_follow_the_ridge_settles_without_rotation_where_descent_leaves():
    game = gd.games.wang_missed_minimax()
    ridge = gd.jacobian(gd.follow_the_ridge()(game), [0.0, 0.0]).to_dense()
    assert np.sort(np.linalg.eigvals(ridge)) == pytest.approx([2, 2], abs=1e-6)
    J = gd.jacobian(game, [0.0, 0.0]).to_dense()
    assert np.trace(J) == pytest.approx(-4, abs=1e-12)
    assert gd.is_local_minimax(game, [0, 0])


def test_m33_the_eigenvalues_are_the_schur_complement_and_the_followers_curvature():
    a, b, c = sp.symbols("a b c", real=True)
    game = gd.zero_sum("a*x**2/2 + b*x*y + c*y**2/2", min="x", max="y")
    T = gd.StepMap(gd.Method(gd.Simultaneous(ETA), gd.follow_the_ridge()), game)
    matrix = T.jacobian(T.start(sp.Matrix([0, 0])))
    values = {sp.simplify((1 - e) / ETA) for e in matrix.eigenvals()}
    expected = {sp.simplify(a - b**2 / c), -c}
    assert all(any(sp.simplify(v - e) == 0 for e in expected) for v in values)
    assert len(values) == 2


def test_m34_descent_is_attracted_by_what_is_no_minimax_and_the_ridge_method_is_not():
    game = gd.games.wang_spurious_attractor()
    assert np.sort(gd.jacobian(game, [0.0, 0.0]).eigenvalues().values.real) == pytest.approx([2, 2], abs=1e-6)
    assert not gd.is_local_minimax(game, [0, 0])
    ridge = gd.jacobian(gd.follow_the_ridge()(game), [0.0, 0.0]).to_dense()
    assert np.sort(np.linalg.eigvals(ridge).real) == pytest.approx([-2, -2], abs=1e-6)


def test_m35_follow_the_ridge_reaches_the_minimax_of_the_polynomial_and_descent_does_not():
    game = gd.games.wang_polynomial()
    ridge = gd.Method(gd.Simultaneous(0.05), gd.follow_the_ridge())
    ends = {
        name: gd.simulate(gd.StepMap(rule, game), [7.0, 5.0], steps=1000, every=1000).z[-1]
        for name, rule in (("ridge", ridge), ("descent", gd.Simultaneous(0.05)))
    }
    assert np.linalg.norm(ends["ridge"]) == pytest.approx(1.9e-4, rel=0.05)
    assert ends["descent"] == pytest.approx([1.69, 2.37], abs=0.01)


M36_METHODS = {
    "GD": gd.Simultaneous(0.01),
    "AGD": gd.Alternating(0.01),
    "EG": gd.Extragradient(0.01),
    "OMD": gd.Optimistic(0.01),
    "SGA": gd.Method(gd.Simultaneous(0.01), gd.symplectic_adjustment(1.0, aligned=True)),
    "CO": gd.Method(gd.Simultaneous(0.01), gd.consensus(0.01, "full")),
    "CGD": gd.Method(gd.Simultaneous(0.01), gd.competitive(0.01)),
    "LA": gd.Method(gd.Simultaneous(0.01), gd.opponent_lookahead(0.01)),
    "LOLA": gd.Method(gd.Simultaneous(0.01), gd.lola(0.01)),
    "SOS": gd.Method(gd.Simultaneous(0.01), gd.sos(0.01)),
}


@pytest.mark.parametrize("name", M36_METHODS)
def test_m36_no_method_of_ten_converges_and_all_stay_bounded(name):
    game = gd.games.no_convergence()
    T = gd.StepMap(M36_METHODS[name], game)
    orbit = gd.simulate(T, [0.8, -0.3], steps=6000)
    late = orbit.z[3000:]
    assert np.abs(orbit.z).max() < 1.23
    assert np.linalg.norm(gd.field(game, late.T), axis=0).min() >= 0.776


def test_m36_the_only_rest_point_is_the_origin_and_it_repels():
    game = gd.games.no_convergence()
    points = gd.equilibria(game)
    assert [tuple(map(float, p.point)) for p in points] == [(0.0, 0.0)]
    assert sorted(gd.jacobian(game, [0.0, 0.0]).eigenvalues().values, key=lambda e: e.imag) == pytest.approx(
        [-1 - 1j, -1 + 1j], abs=1e-9
    )


def test_m37_the_market_has_one_rest_point_and_it_repels():
    game = gd.games.market()
    eigenvalues = sorted(gd.jacobian(game, [0.0, 0.0]).eigenvalues().values, key=lambda e: e.imag)
    assert eigenvalues == pytest.approx([-1 - 1j, -1 + 1j], abs=1e-9)
    from scipy.optimize import root

    starts = np.random.default_rng(0).uniform(-3, 3, (400, 2))
    found = [root(lambda z: gd.field(game, z), start, method="lm").x for start in starts]
    zeros = [z for z in found if np.abs(gd.field(game, z)).max() < 1e-9]
    assert len(zeros) > 20  # elsewhere |v| has other minima
    assert np.abs(zeros).max() < 1e-4


def test_m41_descent_settles_where_there_is_no_nash():
    game = gd.games.daskalakis_stable()
    values = np.sort(gd.jacobian(game, [0.0, 0.0]).eigenvalues().values.real)
    assert values == pytest.approx([0.2, 0.55], abs=1e-9)
    (point,) = gd.equilibria(game)
    # the paper's "local min-max" is the local Nash point; in the sense of Jin et al. this one is a local minimax
    assert not gd.is_strict_local_nash(game, [0, 0])
    assert point.kind == "local minimax"


def test_m41_optimism_settles_where_descent_never_does():
    game = gd.games.daskalakis_unstable()
    values = sorted(gd.jacobian(game, [0.0, 0.0]).eigenvalues().values, key=lambda e: e.imag)
    assert values == pytest.approx([-1j * np.sqrt(15), 1j * np.sqrt(15)], abs=1e-9)
    assert gd.stable_steps(gd.StepMap(gd.Simultaneous(1), game), [0, 0]).stable is sp.S.EmptySet
    stable = gd.stable_steps(gd.StepMap(gd.Optimistic(1), game), [0, 0]).stable
    assert stable.end == 1 / sp.sqrt(45)
    assert float(stable.end) == pytest.approx(0.14907, abs=5e-6)


def slowness(constructor, kappa):
    """1 - ρ at the best step on (μ/2)x² + xy - (μ/2)y² with L = 1: μ = 1/√(κ² - 1)."""
    mu = 1 / np.sqrt(kappa**2 - 1)
    game = gd.zero_sum("m*x**2/2 + x*y - m*y**2/2", min="x", max="y").bind(m=mu)
    best = gd.best_step(gd.StepMap(constructor(1.0), game), [0.0, 0.0])
    return 1 - float(best.rate)


@pytest.mark.parametrize(("name", "slope"), [("Simultaneous", -1.998), ("Alternating", -0.978)])
def test_m43_alternation_needs_of_order_kappa_steps_where_simultaneous_descent_needs_its_square(name, slope):
    kappas = np.array([10.0, 100.0, 1000.0])
    rates = np.array([slowness(lambda lr: named(name, lr), k) for k in kappas])
    fitted = np.polyfit(np.log(kappas), np.log(rates), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.02)
