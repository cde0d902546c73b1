"""A certificate is a bound: the bracket of every method, random games and the worst linear field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.claims.lower_bound import violation
from gamedyn.testing.strategies import points, strongly_monotone_games

MU, L = 0.1, 1.0


@dataclass(frozen=True)
class HalfBack:
    """w = z - lr v(z);  z+ = z - lr (v(z) + v(w))/2."""

    lr: float

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        v = F(z)
        return F.point(z - self.lr * ((v + F(F.point(z - self.lr * v))) / 2)), memory


METHODS = {
    "simultaneous": gd.Simultaneous(0.2),
    "extragradient": gd.Extragradient(0.3),
    "optimistic": gd.Optimistic(0.3),
    "proximal": gd.ProximalPoint(0.5),
    "half-back": HalfBack(0.4),
    "heavy-ball": gd.HeavyBall(0.2, -0.3),
    "lookahead": gd.lookahead(gd.Simultaneous(0.2), 2, 0.5),
    "scheduled": gd.scheduled(gd.Extragradient(0.3), "lr", (0.3, 0.1)),
    "alternating": gd.Alternating(0.2),
    "alternating-twice": gd.Alternating(0.2, order=(1, 0), steps=(1, 2)),
    "alternating-proximal": gd.alternating(gd.ProximalPoint(0.5)),
    "two-timescale": gd.Method(gd.Simultaneous(0.1), gd.two_timescale(3.0)),
    "look-ahead answers": gd.Method(gd.Simultaneous(0.2), gd.stop_gradient_lookahead(1, 0.2)),
}


@cache
def certified(name, metric="distance"):
    return gd.certify(METHODS[name], mu=MU, L=L, steps=2, metric=metric)


@pytest.mark.parametrize("name", METHODS)
def test_the_bounds_of_every_method_bracket_its_worst_case(name):
    for metric in ("distance", "residual", "last_step"):
        certificate = certified(name, metric)
        assert certificate.checked
        assert 0 < certificate.lower <= certificate.value
        assert certificate.primal == pytest.approx(certificate.value, abs=1e-5)  # the margin of the proof


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=5)  # every example traces a game anew
@given(data=st.data())
def test_no_game_of_the_class_exceeds_its_certificate(name, data):
    game = data.draw(strongly_monotone_games(mu=MU, L=L))
    z0 = data.draw(points(game.dim))
    orbit = gd.simulate(gd.StepMap(METHODS[name], game), z0, 2)
    start = float(z0 @ z0)
    assert float(orbit.z[-1] @ orbit.z[-1]) <= certified(name).value * start + 1e-14
    v = gd.field(game, orbit.z[-1])
    assert float(v @ v) <= certified(name, "residual").value * start + 1e-14
    last = orbit.z[-1] - orbit.z[-2]
    assert float(last @ last) <= certified(name, "last_step").value * start + 1e-14


@pytest.mark.parametrize("name", METHODS)
def test_the_worst_linear_field_attains_the_lower_bound_in_a_game(name):
    certificate = certified(name)
    J, owners = certificate.worst_jacobian, certificate.worst_owners
    assert violation(certificate.operator.pairs, J[:, :, None])[0] <= 1e-12
    z = sp.symbols("x0:2", real=True)
    field = list(sp.Matrix(J) * sp.Matrix(z))
    idle = sp.Symbol("idle", real=True)  # a player who owns neither coordinate plays a game of its own
    groups = [[z[k] for k in range(2) if owners[k] == i] or [idle] for i in range(2)]
    values = {**dict(zip(z, field, strict=True)), idle: idle}
    order = [s for group in groups for s in group]
    game = gd.field_game([values[s] for s in order], players=groups)
    T = gd.StepMap(METHODS[name], game)
    keep = [k for k, s in enumerate(order) if s is not idle]
    columns = [gd.simulate(T, np.eye(len(order))[k], 2).z[-1][keep] for k in keep]
    assert np.linalg.norm(np.stack(columns, 1), 2) ** 2 == pytest.approx(certificate.lower, rel=1e-9)


@pytest.mark.parametrize("name", ["simultaneous", "extragradient", "optimistic", "proximal"])
def test_methods_that_do_not_tell_players_apart_need_no_partition(name):
    one, three = (gd.certify(METHODS[name], mu=MU, L=L, steps=2, players=n) for n in (1, 3))
    assert one.value == pytest.approx(three.value, rel=1e-12)


def test_two_timescale_steps_are_certified_through_block_partitions():
    """tau = 1 changes nothing, and with one player only the whole field is scaled."""
    plain = gd.certify(gd.Simultaneous(0.1), mu=MU, L=L).value
    assert gd.certify(gd.Method(gd.Simultaneous(0.1), gd.two_timescale(1.0)), mu=MU, L=L).value == pytest.approx(plain)
    scaled = gd.certify(gd.Method(gd.Simultaneous(0.1), gd.two_timescale(3.0)), mu=MU, L=L, players=1)
    assert scaled.value == pytest.approx(1 - 2 * 0.3 * MU + 0.3**2, rel=1e-6)


def test_proximal_steps_on_three_players():
    certificate = gd.certify(gd.alternating(gd.ProximalPoint(0.5)), mu=MU, L=L, players=3)
    assert certificate.checked
    assert certificate.lower <= certificate.value


def test_a_certificate_prints_its_bracket():
    text = repr(certified("extragradient"))
    assert "<= worst case of |z_N - z*|² / |z_0 - z*|² <=" in text
    assert "2 steps" in text
    assert len(text.splitlines()) <= 6


@pytest.mark.parametrize("constant", [0.3, 0.5, 1.0])
def test_a_class_of_one_field_has_a_certificate_and_a_lower_bound(constant):
    found = gd.certify(gd.Simultaneous(lr=0.5), mu=constant, L=constant)
    assert found.value == pytest.approx((1 - 0.5 * constant) ** 2, abs=1e-5)
    assert found.lower == pytest.approx(found.value, abs=1e-5)
