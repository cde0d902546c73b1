"""A frozen preconditioner is the diagonal of a state that has seen gradients, and no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.games.field import Field
from gamedyn.rules.preconditioners import Preconditioner

GAME = gd.zero_sum("x**2 + x*y - y**2", min="x", max="y")


@pytest.mark.parametrize("preconditioner", [gd.Adam(), gd.Adam(bias_correction=False), gd.RMSProp()])
def test_a_state_without_gradients_has_no_diagonal(preconditioner):
    empty = preconditioner.init(None, np.zeros(2))
    with pytest.raises(ValueError, match="has seen no gradient yet"):
        preconditioner.frozen(empty)
    v = np.array([3.0, -4.0])
    _, state = preconditioner.advance(Field(), empty, v)
    assert preconditioner.frozen(state).weights[0] > preconditioner.frozen(state).weights[1] > 0


def test_one_player_without_gradients_is_enough_to_refuse():
    state = (np.zeros(2), np.array([0.04, 0.0]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"Adam\.frozen"):
        gd.Adam().frozen(state)


def test_the_first_state_of_adam_divides_by_the_size_of_the_first_gradient():
    T = gd.StepMap(gd.Method(gd.Simultaneous(0.1), gd.Adam()), GAME)
    s = T(T.start([1.0, 2.0]))
    state = tuple(np.split(s[2:], 3))
    v = gd.field(GAME, [1.0, 2.0])
    assert gd.Adam().frozen(state).weights == pytest.approx(1 / np.abs(v), rel=1e-6)


@dataclass(frozen=True)
class Sign(Preconditioner):
    """v ↦ v/|v|, a preconditioner of one's own."""

    def init(self, F, z):
        return ()

    def advance(self, F, state, v):
        return v / (v * v) ** 0.5, state


def test_a_preconditioner_of_ones_own_runs_in_both_worlds():
    T = gd.StepMap(gd.Method(gd.Extragradient(0.125), Sign()), gd.zero_sum("x*y + x**2", "x", "y"))
    for z in ([0.75, -0.5], torch.tensor([0.75, -0.5])):
        assert T(T.start(z)).tolist() == [0.625, -0.375]
    with pytest.raises(NotImplementedError, match="Sign"):
        Sign().frozen(())
