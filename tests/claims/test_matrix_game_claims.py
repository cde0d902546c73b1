"""Published statements about zero-sum matrix games with an interior equilibrium, each computed here."""

from __future__ import annotations

import numpy as np
import pytest

import gamedyn as gd

PENNIES, RPS = gd.games.matching_pennies(), gd.games.rock_paper_scissors()
BOTH = pytest.mark.parametrize("game", [PENNIES, RPS], ids=["pennies", "rps"])
STARTS = 8


def interior_starts(game, seed=0):
    """Mixed strategies of both players, `(d, STARTS)`, away from the equilibrium."""
    k, rng = game.dim // 2, np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet([2.0] * k, STARTS).T, rng.dirichlet([2.0] * k, STARTS).T])


def equilibrium(game):
    """The uniform strategies."""
    return np.full(game.dim, 2 / game.dim)


def divergence(game, z):
    """KL(x*‖x) + KL(y*‖y) of records `(records, d, batch)`."""
    p = equilibrium(game)[:, None]
    return (p * np.log(p / z)).sum(axis=1)


def entropic(rule):
    return gd.Method(rule, gd.entropic())


def run(rule, game, steps, seed=0):
    return gd.simulate(gd.StepMap(rule, game), interior_starts(game, seed), steps=steps, backend="numpy").z


@BOTH
@pytest.mark.parametrize("lr", [0.05, 0.2])
def test_multiplicative_weights_move_away_from_the_equilibrium_at_every_step(game, lr):
    """Bailey, Piliouras, Multiplicative weights update in zero-sum games, EC 2018: KL increases, to the boundary."""
    kl = divergence(game, run(entropic(gd.Simultaneous(lr)), game, 1000))
    assert (np.diff(kl, axis=0) > 0).all()
    late = run(entropic(gd.Simultaneous(lr)), game, 8000)[-1]
    assert (late.min(axis=0) < 1e-2).all()


@BOTH
def test_alternating_multiplicative_weights_neither_approach_nor_leave(game):
    """A finding beside Wibisono, Tao, Piliouras, NeurIPS 2022, arXiv:2206.04160, who bound the regret by a modified
    energy: over 10,000 steps the divergence oscillates about its first level without drift.
    """
    kl = divergence(game, run(entropic(gd.Alternating(0.1)), game, 10_000))
    assert (kl.max(axis=0) < 1.25 * kl[0] + 0.02).all()
    assert (kl.min(axis=0) > 0.75 * kl[0] - 0.02).all()
    late, early = kl[-1000:], kl[:1000]
    np.testing.assert_allclose(late.max(axis=0), early.max(axis=0), rtol=0.02)


@BOTH
def test_alternation_preserves_dual_volume_and_simultaneous_weights_expand_it(game):
    """Cheung, Piliouras, COLT 2019, arXiv:1905.08396: volume expands under simultaneous weights."""
    k = game.dim // 2
    along = np.linalg.qr(np.eye(k) - 1 / k)[0][:, : k - 1]
    Q = np.kron(np.eye(2), along)
    simultaneous, alternating = (
        gd.StepMap(entropic(rule), game) for rule in (gd.Simultaneous(0.3), gd.Alternating(0.3))
    )
    for z in interior_starts(game).T:
        for T, expands in ((simultaneous, True), (alternating, False)):
            volume = np.linalg.det(Q.T @ T.jacobian(T.start(z)) @ Q)
            assert (volume > 1 + 1e-4) if expands else volume == pytest.approx(1, abs=1e-12)


@BOTH
@pytest.mark.parametrize(
    "rule", [gd.Optimistic(0.2), gd.PastExtragradient(0.2), gd.Extragradient(0.2)], ids=["omwu", "past", "mirror-prox"]
)
def test_optimistic_weights_and_mirror_prox_converge_in_the_last_iterate(game, rule):
    """Daskalakis, Panageas, ITCS 2019, arXiv:1807.04252 (optimistic); Nemirovski 2004 (mirror-prox)."""
    z = run(entropic(rule), game, 4000)
    assert np.max(np.abs(z[-1] - equilibrium(game)[:, None])) < 1e-7


@BOTH
@pytest.mark.parametrize("lr", [0.05, 0.3])
def test_mirror_prox_approaches_in_divergence_at_every_step(game, lr):
    """Nemirovski 2004: for lr L <= 1 the divergence to an equilibrium never grows; max |A_ij| = 1 bounds L here."""
    kl = divergence(game, run(entropic(gd.Extragradient(lr)), game, 1000))
    assert (np.diff(kl, axis=0) < 1e-14).all()
    assert (kl[-1] < kl[0]).all()


@BOTH
def test_projected_extragradient_converges_and_its_distance_never_grows(game):
    """Korpelevich 1976: for lr |A| < 1 the distance to the equilibrium decreases from any start."""
    z = run(gd.Extragradient(0.4), game, 1500)
    distance = np.linalg.norm(z - equilibrium(game)[:, None], axis=1)
    assert (np.diff(distance, axis=0) < 1e-14).all()
    assert distance[-1].max() < 1e-10


@BOTH
def test_projected_descent_is_driven_to_the_boundary_and_stays_away_from_the_equilibrium(game):
    """Simultaneous descent leaves along spirals until it slides along the faces."""
    z = run(gd.Simultaneous(0.1), game, 3000)
    distance = np.linalg.norm(z - equilibrium(game)[:, None], axis=1)
    assert (z[500:].min(axis=(0, 1)) == 0).all()
    assert (distance[500:].min(axis=0) > 0.3).all()


@BOTH
def test_replicator_flow_conserves_the_divergence(game):
    """Hofbauer, J. Math. Biol. 34 (1996): KL to an interior equilibrium of a zero-sum game is a constant of motion."""
    flow = gd.flow(gd.entropic()(game), interior_starts(game), 100.0)
    assert (flow.status == "reached").all()
    kl = divergence(game, flow.z)
    assert np.ptp(kl, axis=0).max() < 1e-8
    assert np.ptp(flow.z[:, 0], axis=0).min() > 0.1  # it moves


@BOTH
def test_local_rate_of_mirror_prox_is_the_spectral_radius_of_its_step(game):
    """J∇²ψ* has eigenvalues ±iσ/k, with σ the singular value of A along the simplex and k strategies a player."""
    lr, k = 0.5, game.dim // 2
    sigma = 2.0 if game is PENNIES else np.sqrt(3)
    T = gd.StepMap(entropic(gd.Extragradient(lr)), game)
    rho = gd.spectral_radius(T, equilibrium(game))
    turn = lr * sigma / k
    assert rho == pytest.approx(np.sqrt((1 - turn**2) ** 2 + turn**2), abs=1e-12)
    assert np.max(np.abs(np.linalg.eigvals(T.jacobian(T.start(equilibrium(game)))))) == pytest.approx(rho, abs=1e-12)
    z = gd.simulate(T, interior_starts(game), steps=1500, backend="numpy").z
    distance = np.linalg.norm(z - equilibrium(game)[:, None], axis=1)
    window = slice(80, 161) if game is PENNIES else slice(400, 601)
    steps = np.arange(window.start, window.stop)
    for d in distance.T:
        assert 1e-12 < d[window.stop] < 1e-3
        assert np.exp(np.polyfit(steps, np.log(d[window]), 1)[0]) == pytest.approx(rho, abs=1e-4)
