"""Averages are reports: of points of the game, through wrappers that keep them, refused inside those that do not."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

import gamedyn as gd

GAME = gd.zero_sum("x**2/4 + x*y - y**2/3", min="x", max="y")
Z0 = np.array([0.75, -0.5])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda r: gd.averaged(r),
        lambda r: gd.averaged(gd.alternating(r)),
        lambda r: gd.alternating(gd.averaged(r)),
        lambda r: gd.per_player(gd.averaged(r), (1.0, 0.5)),
        lambda r: gd.scheduled(gd.averaged(r), "lr", (0.1, 0.2)),
        lambda r: gd.averaged(gd.scheduled(r, "lr", (0.1, 0.2))),
        lambda r: gd.averaged(gd.lookahead(r, 2, 0.5)),
        lambda r: gd.averaged(gd.halpern(r)),
    ],
)
def test_the_reported_point_is_the_mean_of_the_iterates(wrap):
    T = gd.StepMap(wrap(gd.Optimistic(0.1)), GAME)
    s, points = T.start(Z0), [Z0]
    for k in range(9):
        s = T(s, k)
        points.append(s[:2])
        assert T.point(s) == pytest.approx(np.mean(points, axis=0), abs=1e-12)
    n = T.start(torch.tensor(Z0))
    for k in range(9):
        n = T(n, k)
    assert T.point(n).numpy() == pytest.approx(T.point(s), abs=1e-12)


def test_an_exponential_average_forgets_at_its_rate():
    T = gd.StepMap(gd.exponential_average(gd.Simultaneous(0.1), 0.8), GAME)
    s, mean = T.start(Z0), Z0
    for k in range(9):
        s = T(s, k)
        mean = 0.8 * mean + 0.2 * s[:2]
        assert T.point(s) == pytest.approx(mean, abs=1e-12)
    assert 0.8 in [pytest.approx(abs(e)) for e in np.linalg.eigvals(T.jacobian(T.start([0.0, 0.0])))]


@pytest.mark.parametrize("oracle", [False, True])
def test_under_a_mirror_map_strategies_are_averaged_and_not_dual_vectors(oracle):
    game = gd.games.rock_paper_scissors()
    z0 = np.array([0.6, 0.3, 0.1, 0.2, 0.2, 0.6])
    noise = gd.AdditiveNoise(game, 0.0) if oracle else None
    method = gd.Method(gd.averaged(gd.Simultaneous(0.2)), gd.entropic())
    plain = gd.simulate(gd.StepMap(gd.Method(gd.Simultaneous(0.2), gd.entropic()), game), z0, steps=40).z
    orbit = gd.simulate(gd.StepMap(method, game, oracle=noise), z0, steps=40)
    assert orbit.z[-1] == pytest.approx(plain.mean(axis=0), abs=1e-12)
    if not oracle:
        T = gd.StepMap(method, game)
        s = T.start(torch.tensor(z0))
        for k in range(40):
            s = T(s, k)
        assert T.point(s).numpy() == pytest.approx(plain.mean(axis=0), abs=1e-12)


def test_the_mean_strategy_of_multiplicative_weights_approaches_the_equilibrium_that_the_last_one_leaves():
    game, z0 = gd.games.rock_paper_scissors(), np.array([0.5, 0.3, 0.2, 0.3, 0.4, 0.3])
    method = gd.Method(gd.averaged(gd.Simultaneous(0.1)), gd.entropic())
    T = gd.StepMap(method, game)
    orbit = gd.simulate(T, z0, steps=2000)
    last = gd.simulate(gd.StepMap(gd.Method(gd.Simultaneous(0.1), gd.entropic()), game), z0, steps=2000)
    assert np.abs(orbit.z[-1] - 1 / 3).max() < 0.05 < np.abs(last.z[-1] - 1 / 3).max()


def test_exact_averages_are_fractions():
    T = gd.StepMap(gd.averaged(gd.Simultaneous(sp.Rational(1, 10))), gd.games.bilinear(1))
    first = T.at(0)
    one = first(first.start([sp.Integer(1), sp.Integer(0)]))
    assert list(T.at(1).point(one)) == [1, sp.Rational(1, 20)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda r: gd.lookahead(r, 2, 0.5),
        lambda r: gd.halpern(r),
        lambda r: gd.variance_reduced(r, 2),
        lambda r: gd.averaged(r),
        lambda r: gd.exponential_average(r, 0.9),
        lambda r: gd.lookahead(gd.alternating(r), 2, 0.5),
    ],
)
def test_a_wrapper_that_moves_the_point_refuses_an_average_inside(wrap):
    with pytest.raises(ValueError, match="averages stand outermost"):
        wrap(gd.averaged(gd.Simultaneous(0.1)))
