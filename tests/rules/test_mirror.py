"""Entropic methods are the textbook multiplicative-weights methods."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

import gamedyn as gd
from gamedyn.maps.stepmap import StepMap

LR = 0.3
A = np.array([[1.0, -2.0, 0.5], [0.0, 1.5, -1.0]])
B = np.array([[-0.5, 1.0, 2.0], [1.0, 0.0, -1.5]])
GAME = gd.games.bimatrix(A, B)
X0, Y0 = np.array([0.25, 0.75]), np.array([0.5, 0.3, 0.2])


def weights(x, payoff):
    """x multiplied by e^payoff, normalised."""
    w = x * np.exp(payoff)
    return w / w.sum()


def multiplicative_weights(steps):
    x, y = X0, Y0
    for _ in range(steps):
        x, y = weights(x, LR * A @ y), weights(y, LR * B.T @ x)
    return x, y


def alternating_weights(steps):
    x, y = X0, Y0
    for _ in range(steps):
        x = weights(x, LR * A @ y)
        y = weights(y, LR * B.T @ x)
    return x, y


def optimistic_weights(steps):
    x, y = X0, Y0
    gx, gy = A @ y, B.T @ x
    for _ in range(steps):
        hx, hy = A @ y, B.T @ x
        x, y = weights(x, LR * (2 * hx - gx)), weights(y, LR * (2 * hy - gy))
        gx, gy = hx, hy
    return x, y


def mirror_prox(steps):
    x, y = X0, Y0
    for _ in range(steps):
        u, w = weights(x, LR * A @ y), weights(y, LR * B.T @ x)
        x, y = weights(x, LR * A @ w), weights(y, LR * B.T @ u)
    return x, y


TEXTBOOK = [
    (gd.Simultaneous(LR), multiplicative_weights),
    (gd.Alternating(LR), alternating_weights),
    (gd.Optimistic(LR), optimistic_weights),
    (gd.Extragradient(LR), mirror_prox),
]


@pytest.mark.parametrize(("rule", "textbook"), TEXTBOOK)
def test_entropic_rule_is_its_textbook_method(rule, textbook):
    T = StepMap(gd.Method(rule, gd.entropic()), GAME)
    s = T.start(np.concatenate([X0, Y0]))
    for k in range(31):
        np.testing.assert_allclose(T.point(s), np.concatenate(textbook(k)), atol=1e-12)
        s = T(s)


@pytest.mark.parametrize("rule", [rule for rule, _ in TEXTBOOK])
def test_a_transformed_game_and_a_transformed_method_are_the_same_step(rule):
    z0 = np.concatenate([X0, Y0])
    inside, outside = StepMap(gd.Method(rule, gd.entropic()), GAME), StepMap(rule, gd.entropic()(GAME))
    a, b = inside.start(z0), outside.start(z0)
    np.testing.assert_allclose(inside.point(inside(a)), outside.point(outside(b)), atol=1e-15)
    assert outside.changes_variables


@pytest.mark.parametrize("bad", [[1.0, 0.0, 0.5, 0.3, 0.2], [0.3, 0.3, 0.5, 0.3, 0.2], [1.25, -0.25, 0.5, 0.3, 0.2]])
def test_a_start_on_the_boundary_or_off_the_simplex_is_refused_in_every_world(bad):
    T = StepMap(gd.Method(gd.Simultaneous(LR), gd.entropic()), GAME)
    for z in (bad, torch.tensor(bad, dtype=torch.float64), [sp.Rational(str(e)) for e in bad]):
        with pytest.raises(ValueError, match="interior of the constraints"):
            T.start(z)


def test_single_precision_starts_are_accepted():
    T = StepMap(gd.Method(gd.Simultaneous(LR), gd.entropic()), GAME)
    s = T(T.start(torch.tensor([*X0, *Y0], dtype=torch.float32)))
    np.testing.assert_allclose(T.point(s).numpy(), np.concatenate(multiplicative_weights(1)), atol=1e-6)


def test_a_batch_of_starts_gives_the_orbits_of_its_members():
    T = StepMap(gd.Method(gd.Optimistic(LR), gd.entropic()), GAME)
    z0 = np.array([[*X0, *Y0], [0.9, 0.1, 0.1, 0.1, 0.8]])
    both = gd.simulate(T, z0.T, steps=20).z
    for k in range(2):
        np.testing.assert_allclose(both[:, :, k], gd.simulate(T, z0[k], steps=20).z, atol=1e-15)
    np.testing.assert_allclose(both[0], z0.T, atol=1e-15)


def test_mirror_maps_of_boxes_keep_iterates_inside():
    game = gd.zero_sum("x*y + (x - 3/10)**2 - (y - 2)**2/10", min="x", max="y").constrained(
        {"x": (0, 1), "y": (0, sp.oo)}
    )
    T = StepMap(gd.Method(gd.Extragradient(0.5), gd.entropic()), game)
    orbit = gd.simulate(T, [0.999, 9.0], steps=3000).z
    assert (orbit[:200] > 0).all()
    assert (orbit[:200, 0] < 1).all()
    assert (orbit >= 0).all()  # e⁻ʸ underflows in the end
    v = gd.field(game, orbit[-1])
    assert abs(v[1]) < 1e-8  # y rests inside, x is driven to its bound
    assert orbit[-1, 0] < 1e-8
    assert v[0] > 0


def test_the_flow_of_an_entropic_game_is_the_replicator_equation():
    z0, t = np.concatenate([X0, Y0]), np.linspace(0, 2, 201)
    z = gd.flow(gd.entropic()(GAME), z0, t).z
    np.testing.assert_allclose(z[0], z0, atol=1e-15)
    slope = (z[2:] - z[:-2]) / (t[2:] - t[:-2])[:, None]
    x, y = z[1:-1, :2], z[1:-1, 2:]
    p, q = y @ A.T, x @ B
    replicator = np.concatenate(
        [x * (p - (x * p).sum(axis=1, keepdims=True)), y * (q - (y * q).sum(axis=1, keepdims=True))], axis=1
    )
    np.testing.assert_allclose(slope, replicator, atol=1e-4)


def test_constrained_games_without_a_mirror_map_still_have_no_flow():
    with pytest.raises(ValueError, match=r"gd\.entropic"):
        gd.flow(GAME, np.concatenate([X0, Y0]), 1.0)


def test_neural_optimizers_see_the_primal_point():
    g = gd.callable_game(
        lambda z: [-(z[:2] @ torch.tensor(A) @ z[2:]), -(z[:2] @ torch.tensor(B) @ z[2:])], sizes=[2, 3]
    )
    T = StepMap(gd.Method(gd.Extragradient(LR), gd.entropic()), g.constrained(simplex=[0, 1]))
    s = T.start(torch.tensor([*X0, *Y0], dtype=torch.float64))
    np.testing.assert_allclose(T.point(T(T(s))).numpy(), np.concatenate(mirror_prox(2)), atol=1e-12)


def test_entropic_costs_no_gradient():
    assert gd.step_cost(gd.Method(gd.Extragradient(LR), gd.entropic())).gradients == 2
