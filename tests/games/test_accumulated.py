"""Sums of fields: v, its products and blocks are the weighted sums of those of the parts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.games.accumulated import KEEP, AccumulatedField, AccumulatedJacobian
from gamedyn.games.products import RetainedJacobian

D = 6
WEIGHTS = (0.5, 0.2, 0.3)


def vector(seed, d=D):
    return torch.randn(d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def game(seed):
    A = torch.randn(D, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return gd.callable_game([lambda z: torch.tanh(A @ z).sum(), lambda z: (A.T @ z).sin().prod()], sizes=[2, 4])


@pytest.fixture
def games():
    return [game(k) for k in range(3)]


@pytest.fixture
def parts(games):
    return [(g.field(), w) for g, w in zip(games, WEIGHTS, strict=True)]


@pytest.fixture
def whole(games):
    costs = [lambda z, i=i: sum(w * g.costs(z)[i] for g, w in zip(games, WEIGHTS, strict=True)) for i in (0, 1)]
    return gd.callable_game(costs, sizes=[2, 4]).field()


def test_every_operation_is_that_of_the_summed_costs(parts, whole):
    F, z, u = AccumulatedField(parts), vector(10), vector(11)
    for mine, theirs in [
        (F(z), whole(z)),
        (F.jvp(z, u), whole.jvp(z, u)),
        (F.vjp(z, u), whole.vjp(z, u)),
        *[(F.grad(i, z), whole.grad(i, z)) for i in (0, 1)],
        *[(F.hvp(i, z, u), whole.hvp(i, z, u)) for i in (0, 1)],
        *[(F.part(i, z), whole.part(i, z)) for i in (0, 1)],
    ]:
        torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=0, atol=1e-13)


def test_the_sum_can_be_differentiated_and_transformed(parts, whole):
    z = vector(1)
    for transform in (gd.consensus(0.3), gd.unrolled(2, 0.1)):
        mine, theirs = transform.field(AccumulatedField(parts)), transform.field(whole)
        torch.testing.assert_close(mine(z).detach(), theirs(z).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("keep", KEEP)
def test_products_and_blocks_are_those_of_the_dense_sum(parts, keep):
    z = vector(2)
    J = AccumulatedJacobian(parts, z, keep=keep)
    dense = sum(w * RetainedJacobian(F, z).to_dense() for F, w in parts)
    U = torch.stack([vector(k) for k in range(3)], dim=1)
    torch.testing.assert_close(J.to_dense(), dense, rtol=0, atol=1e-14)
    torch.testing.assert_close(J.jvp(U[:, 0]), dense @ U[:, 0], rtol=0, atol=1e-13)
    torch.testing.assert_close(J.vjp(U[:, 0]), dense.T @ U[:, 0], rtol=0, atol=1e-13)
    torch.testing.assert_close(J.block("jvp", U), dense @ U, rtol=0, atol=1e-13)
    torch.testing.assert_close(J.block("vjp", U), dense.T @ U, rtol=0, atol=1e-13)
    torch.testing.assert_close(J.field_value, sum(w * F(z).detach() for F, w in parts), rtol=0, atol=1e-14)


@given(st.integers(0, 2**31))
def test_adjoint_identity(seed):
    J = AccumulatedJacobian([(game(seed % 7).field, 0.4), (game(5).field, 0.6)], vector(seed))
    u, w = vector(seed + 1), vector(seed + 2)
    assert float(w @ J.jvp(u)) == pytest.approx(float(J.vjp(w) @ u), rel=1e-10, abs=1e-12)


def test_parts_made_on_demand_are_made_anew_and_let_go(games):
    made, alive = [], []

    class Watched(type(games[0].field())):
        def __del__(self):
            alive.remove(id(self))

    def maker(g):
        def make():
            F = g.field()
            F.__class__ = Watched
            made.append(g)
            alive.append(id(F))
            most.append(len(alive))
            return F

        return make

    most = []
    J = AccumulatedJacobian([(maker(g), 1.0) for g in games], vector(0))
    before = len(made)
    J.jvp(vector(1))
    assert len(made) == before + 3
    assert max(most) <= 2  # the one in use, and the one about to be let go
    assert not alive


def test_a_sum_of_one_part_is_that_part(games):
    z, u = vector(3), vector(4)
    J, R = AccumulatedJacobian([(games[0].field(), 1.0)], z), RetainedJacobian(games[0].field(), z)
    assert torch.equal(J.field_value, R.field_value)
    torch.testing.assert_close(J.jvp(u), R.jvp(u), rtol=0, atol=1e-14)


def test_bad_parts_are_named(parts, games):
    with pytest.raises(ValueError, match="at least one part"):
        AccumulatedField([])
    with pytest.raises(ValueError, match=r"weights \[nan\]"):
        AccumulatedField([(games[0].field(), float("nan"))])
    other = gd.callable_game([lambda z: z.sum(), lambda z: z.sum()], sizes=[3, 3])
    with pytest.raises(ValueError, match="same coordinates"):
        AccumulatedField([*parts, (other.field(), 1.0)])(vector(0))
    with pytest.raises(ValueError, match="'some' is not one of 'one', 'all'"):
        AccumulatedJacobian(parts, vector(0), keep="some")
    with pytest.raises(ValueError, match=r"one point \(d,\)"):
        AccumulatedJacobian(parts, torch.zeros(D, 2))
