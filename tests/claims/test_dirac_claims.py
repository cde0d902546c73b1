"""Published claims on the Dirac-GAN, with their numbers (M20-M24)."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import gamedyn as gd

ORIGIN = [0, 0]
GAMMA = sp.Symbol("gamma", positive=True)


def flow_eigenvalues(game):
    """Eigenvalues of the flow's matrix -J, the papers' sign, sorted by imaginary part."""
    values = [sp.simplify(-v) for v in gd.jacobian(game, sp.Matrix([0, 0])).eigenvalues()]
    return set(values)


R1 = gd.games.dirac_gan("gan", penalty=gd.games.R1(GAMMA))
NOISE = gd.games.dirac_gan("gan", penalty=gd.games.InstanceNoise(sp.Symbol("sigma", positive=True)))


def numeric_eigenvalues(game, **params):
    """The same in floats, for values of the game's parameters, sorted."""
    T = gd.StepMap(gd.Simultaneous(1.0), game, params=params)  # DT = I - J
    return np.sort_complex(np.linalg.eigvals(T.jacobian(T.start([0.0, 0.0])) - np.eye(2)))


@pytest.mark.parametrize(("loss", "speed"), [("gan", "1/2"), ("non_saturating", "1/2"), ("wgan", "1")])
def test_m20_the_unregularised_dirac_gan_only_rotates(loss, speed):
    w = sp.Rational(speed)
    assert flow_eigenvalues(gd.games.dirac_gan(loss)) == {sp.I * w, -sp.I * w}


def test_m21_r1_eigenvalues_and_critical_weight():
    game = gd.games.dirac_gan("gan", penalty=gd.games.R1(GAMMA))
    root = sp.sqrt(GAMMA**2 / 4 - sp.Rational(1, 4))
    expected = {-GAMMA / 2 + root, -GAMMA / 2 - root}
    assert {sp.simplify(v) for v in flow_eigenvalues(game)} == {sp.simplify(v) for v in expected}
    J = gd.jacobian(game, sp.Matrix([0, 0])).to_dense()
    discriminant = sp.discriminant(J.charpoly(sp.Symbol("x")).as_expr(), sp.Symbol("x"))
    assert [r for r in sp.solve(discriminant, GAMMA) if r > 0] == [1]


@given(st.floats(0.01, 3))
def test_m21_players_circle_under_r1_iff_its_weight_is_below_one(gamma):
    assume(abs(gamma - 1) > 1e-3)
    values = numeric_eigenvalues(R1, gamma=gamma)
    root = np.emath.sqrt(gamma**2 / 4 - 1 / 4)
    assert values == pytest.approx(np.sort_complex([-gamma / 2 - root, -gamma / 2 + root]), abs=1e-9)
    assert (np.max(np.abs(values.imag)) > 0) == (gamma < 1)
    assert np.max(values.real) < 0


def test_m22_instance_noise_eigenvalues_and_critical_variance():
    s = sp.Symbol("sigma", positive=True)
    game = gd.games.dirac_gan("gan", penalty=gd.games.InstanceNoise(s))
    root = sp.sqrt(s**4 / 16 - sp.Rational(1, 4))
    x = sp.Symbol("x")
    p = (-gd.jacobian(game, sp.Matrix([0, 0])).to_dense()).charpoly(x).as_expr()
    assert sp.expand(p - (x - (-(s**2) / 4 + root)) * (x - (-(s**2) / 4 - root))) == 0
    assert [r for r in sp.solve(sp.discriminant(p, x), s) if r.is_positive] == [sp.sqrt(2)]


@given(st.floats(0.1, 2.5))
def test_m22_players_circle_under_instance_noise_iff_its_variance_is_below_two(sigma):
    assume(abs(sigma**2 - 2) > 1e-3)
    values = numeric_eigenvalues(NOISE, sigma=sigma)
    root = np.emath.sqrt(sigma**4 / 16 - 1 / 4)
    assert values == pytest.approx(np.sort_complex([-(sigma**2) / 4 - root, -(sigma**2) / 4 + root]), abs=1e-9)
    assert (np.max(np.abs(values.imag)) > 0) == (sigma**2 < 2)
    assert np.max(values.real) < 0


def test_m23_consensus_eigenvalues_are_never_critical():
    game = gd.games.dirac_gan("gan", penalty=gd.games.Consensus(GAMMA))
    assert flow_eigenvalues(game) == {-GAMMA / 4 + sp.I / 2, -GAMMA / 4 - sp.I / 2}


def test_m23_the_consensus_penalty_is_the_consensus_transform():
    penalised = gd.games.dirac_gan("gan", penalty=gd.games.Consensus(0.7))
    transformed = gd.consensus(0.7)(gd.games.dirac_gan("gan"))
    z = [0.7, 1.3]
    T = gd.StepMap(gd.Simultaneous(1.0), transformed)
    assert gd.field(penalised, z) == pytest.approx(z - T(T.start(z)), abs=1e-13)


def test_m24_simultaneous_gda_diverges_for_every_step():
    h = sp.Symbol("eta", positive=True)
    T = gd.StepMap(gd.Simultaneous(h), gd.games.dirac_gan("gan"))
    assert sp.simplify(gd.spectral_radius(T, ORIGIN) - sp.sqrt(1 + h**2 / 4)) == 0


@pytest.mark.parametrize("counts", [(1, 1), (1, 5), (2, 3)])
def test_m24_alternating_multipliers_lie_on_the_circle_iff_alpha_is_at_most_two(counts):
    n_g, n_d = counts
    for h in (0.2, 1.0, 3.9 / np.sqrt(n_g * n_d), 4.1 / np.sqrt(n_g * n_d)):
        alpha = np.sqrt(n_g * n_d) * h / 2
        T = gd.StepMap(gd.Alternating(h, steps=counts), gd.games.dirac_gan("gan"))
        values = np.linalg.eigvals(T.jacobian(T.start([0.0, 0.0])))
        root = np.emath.sqrt((1 - alpha**2 / 2) ** 2 - 1)
        expected = np.array([1 - alpha**2 / 2 + root, 1 - alpha**2 / 2 - root])
        assert np.sort_complex(values) == pytest.approx(np.sort_complex(expected), abs=1e-7)
        assert (np.max(np.abs(values)) > 1 + 1e-6) == (alpha > 2)


@given(st.integers(1, 3), st.integers(1, 3), st.floats(0.01, 4))
def test_m24_alternating_steps_stay_on_the_circle_iff_alpha_is_below_two(n_g, n_d, alpha):
    assume(abs(alpha - 2) > 1e-3)
    h = 2 * alpha / np.sqrt(n_g * n_d)
    T = gd.StepMap(gd.Alternating(h, steps=(n_g, n_d)), gd.games.dirac_gan("gan"))
    moduli = np.abs(np.linalg.eigvals(T.jacobian(T.start([0.0, 0.0]))))
    if alpha < 2:
        assert moduli == pytest.approx([1, 1], abs=1e-9)
    else:
        assert max(moduli) > 1 + 1e-3


def test_m24_the_neutral_steps_of_alternating_gda_are_exact():
    region = gd.stable_steps(gd.StepMap(gd.Alternating(1), gd.games.dirac_gan("gan")), ORIGIN)
    assert region.stable is sp.S.EmptySet
    assert region.neutral == sp.Interval.open(0, 4)
