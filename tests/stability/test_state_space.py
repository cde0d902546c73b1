"""State spaces: poles are the eigenvalues, responses are those of the flow and of the steps."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.linalg
import sympy as sp
import torch

import gamedyn as gd
from gamedyn.stability.state_space import to_state_space

ORIGIN = [0.0, 0.0]


@pytest.fixture
def control():
    return pytest.importorskip("control")


@pytest.fixture
def game():
    return gd.zero_sum("x*y + x**2 - y**2/4", min="x", max="y")


def sorted_values(values):
    return np.sort_complex(np.round(np.asarray(values, dtype=complex), 12))


def test_poles_are_the_eigenvalues_of_minus_J(control, game):
    system = to_state_space(game, ORIGIN)
    matrix = gd.jacobian(game, ORIGIN).to_dense()
    np.testing.assert_array_equal(system.A, -matrix)
    np.testing.assert_allclose(sorted_values(system.poles()), sorted_values(np.linalg.eigvals(-matrix)), atol=1e-12)
    assert system.isctime()
    assert system.state_labels == ["x", "y"]


@pytest.mark.parametrize("source", ["game", "exact", "field", "jacobian", "matrix", "torch"])
def test_every_way_to_give_J_gives_the_same_system(control, game, source):
    J = gd.jacobian(game, ORIGIN)
    system = {
        "game": lambda: to_state_space(game, ORIGIN),
        "exact": lambda: to_state_space(game, [0, 0]),
        "field": lambda: to_state_space(game.field("array"), ORIGIN),
        "jacobian": lambda: to_state_space(J),
        "matrix": lambda: to_state_space(J.to_dense()),
        "torch": lambda: to_state_space(game, torch.zeros(2, dtype=torch.float64)),
    }[source]()
    np.testing.assert_allclose(system.A, -J.to_dense(), atol=1e-14)


def test_impulse_response_is_the_flow_of_a_displacement(control, game):
    t = np.linspace(0, 4, 30)
    system = to_state_space(game, ORIGIN, inputs="x", outputs="y")
    response = control.impulse_response(system, t).outputs.ravel()
    J = gd.jacobian(game, ORIGIN).to_dense()
    expected = [scipy.linalg.expm(-J * s)[1, 0] for s in t]
    np.testing.assert_allclose(response, expected, atol=1e-10)


def test_transfer_function_of_the_bilinear_game_is_an_oscillator(control):
    system = to_state_space(gd.games.bilinear(1), ORIGIN, inputs=0, outputs=0)
    for omega in (0.5, 3.0):
        assert system(1j * omega) == pytest.approx(1j * omega / (1 - omega**2), rel=1e-12)


@pytest.mark.parametrize("method", [gd.Simultaneous(0.1), gd.Optimistic(0.1), gd.alternating(gd.HeavyBall(0.1, -0.2))])
def test_a_step_map_is_a_discrete_system_with_its_memory(control, game, method):
    T = gd.StepMap(method, game)
    system = to_state_space(T, ORIGIN, dt=0.1)
    assert system.dt == 0.1
    assert system.nstates == T.dim
    np.testing.assert_allclose(max(abs(system.poles())), gd.spectral_radius(T, ORIGIN), rtol=1e-10)
    s = T.start(ORIGIN)
    s[:2] = [1.0, -0.5]
    steps = 12
    response = control.initial_response(system, np.arange(steps) * 0.1, s).states
    for k in range(steps):
        np.testing.assert_allclose(response[:, k], s, atol=1e-12)
        s = T(s, k)


def test_exact_step_maps_and_unit_time(control):
    T = gd.StepMap(gd.Extragradient(sp.Rational(1, 2)), gd.games.bilinear(1))
    system = to_state_space(T, [0, 0], outputs=[[1.0, 1.0]])
    assert system.dt == 1.0
    np.testing.assert_allclose(abs(system.poles()), np.sqrt(0.75**2 + 0.25), rtol=1e-12)
    assert system.C.tolist() == [[1.0, 1.0]]


def test_blocks_of_players_of_several_coordinates(control):
    game = gd.callable_game(
        [lambda z: (z[:2] * z[2:4]).sum() + (z[:2] ** 2).sum(), lambda z: (z[2:] ** 2).sum()], [2, 3]
    )
    z = torch.zeros(5, dtype=torch.float64)
    system = to_state_space(gd.jacobian(game, z), inputs="player2", outputs=0)
    assert system.state_labels == ["player1[0]", "player1[1]", "player2[0]", "player2[1]", "player2[2]"]
    np.testing.assert_array_equal(system.B, np.eye(5)[:, 2:])
    np.testing.assert_array_equal(system.C, np.eye(5)[:2])


def test_bad_input_is_named(control, game):
    with pytest.raises(ValueError, match=r"'w' is no player; its players are \['x', 'y'\]"):
        to_state_space(game, ORIGIN, inputs="w")
    with pytest.raises(ValueError, match=r"it knows no players; give \(d, m\)"):
        to_state_space(np.eye(2), inputs=0)
    with pytest.raises(ValueError, match=r"shape \(3, 1\).*d = 2"):
        to_state_space(game, ORIGIN, inputs=np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"outputs has shape \(1, 3\)"):
        to_state_space(game, ORIGIN, outputs=np.ones((1, 3)))
    with pytest.raises(ValueError, match="belongs to a step map"):
        to_state_space(game, ORIGIN, dt=0.1)
    T = gd.StepMap(gd.Simultaneous(0.1), game)
    with pytest.raises(ValueError, match="positive number"):
        to_state_space(T, ORIGIN, dt=0.0)
    with pytest.raises(ValueError, match="give the point z"):
        to_state_space(T)


def test_without_python_control_the_extra_is_named(monkeypatch, game):
    monkeypatch.setitem(sys.modules, "control", None)
    with pytest.raises(ImportError, match=r'pip install "gamedyn\[control\]"'):
        to_state_space(game, ORIGIN)
