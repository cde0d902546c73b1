"""Every rule of the table conforms, and every check can fail."""

from dataclasses import dataclass
from typing import Any

import pytest
from conformance_table import ADAPTIVE, METHODS, PRECONDITIONED, RULES

from gamedyn.games.field import NotInThisWorld
from gamedyn.rules.basic import Extragradient, HeavyBall, Simultaneous
from gamedyn.rules.method import Method
from gamedyn.rules.preconditioners import Adam
from gamedyn.rules.transforms import two_timescale
from gamedyn.rules.wrappers import Alternating
from gamedyn.testing import (
    check_memory,
    check_operations,
    check_player_permutation,
    check_protocol,
    check_rule,
    check_superposition,
    check_zero_step,
)


@dataclass(frozen=True)
class Broken:
    """Simultaneous descent with one promise broken."""

    lr: Any = 0.1
    fault: str = "none"

    def init(self, F, z):
        return {"old point": (z,), "list": []}.get(self.fault, ())

    def step(self, F, z, memory):
        v = F(z)
        if self.fault == "squares":
            return F.point(z - self.lr * (v * v)), memory
        if self.fault == "divides":
            return F.point(z - v / 10), memory
        if self.fault == "no point":
            return z - self.lr * v, memory
        if self.fault == "evaluates elsewhere":
            return F.point(z - self.lr * F(z - self.lr * v)), memory
        if self.fault == "shrinks":
            return F.point(0.9 * z - self.lr * v), memory
        if self.fault == "moves anyway":
            return F.point(z - 0.1 * v), memory
        if self.fault == "old point":
            return F.point(z - self.lr * v), (z,)
        if self.fault == "forgets":
            return F.point(z - self.lr * v), (v,)
        if self.fault == "one player":
            return F.point(z - self.lr * F.only(0)(z)), memory
        return F.point(z - self.lr * v), memory


@pytest.mark.parametrize("name", METHODS)
def test_method_conforms(name):
    report = check_rule(METHODS[name], worlds=("test",))
    expected = "does not apply" if name in PRECONDITIONED | ADAPTIVE else "passed"
    assert report.outcomes["superposition"].startswith(expected)
    assert report.outcomes["operations"] == "passed"
    assert report.outcomes["protocol"] == "passed"
    assert "superposition" in repr(report)


@pytest.mark.parametrize("name", RULES)
def test_every_bundled_rule_rests_at_step_size_zero(name):
    outcome = check_rule(RULES[name], worlds=()).outcomes["zero step"]
    assert outcome == "passed"


def test_unbroken_rule_conforms_in_every_world_but_numba():
    outcomes = check_rule(Broken()).outcomes
    assert set(outcomes.values()) == {"passed"}
    assert {f"{w} world on bilinear" for w in ("exact", "test", "array", "neural")} <= set(outcomes)


@pytest.mark.parametrize(
    ("fault", "check", "message"),
    [
        ("squares", check_operations, "scalar"),
        ("divides", check_operations, "another operation"),
        ("no point", check_operations, "F.point"),
        ("evaluates elsewhere", check_operations, "did not come out of F.point"),
        ("shrinks", check_operations, "weights of its points"),
        ("old point", check_operations, "contains a point"),
        ("squares", check_superposition, "not linear"),
        ("moves anyway", check_zero_step, "z moved"),
        ("old point", check_memory, "does not vanish"),
        ("list", check_protocol, "must return a tuple"),
        ("forgets", check_protocol, "0 memory vectors"),
        ("one player", check_player_permutation, "treats players apart"),
    ],
)
def test_broken_rule_is_caught(fault, check, message):
    with pytest.raises(AssertionError, match=message):
        check(Broken(fault=fault))


def test_check_rule_lists_every_failure():
    with pytest.raises(AssertionError, match=r"(?s)operations: .*memory: "):
        check_rule(Broken(fault="old point"), worlds=())


def test_rule_that_is_no_frozen_dataclass_is_caught():
    class Plain:
        init, step = Broken.init, Broken.step
        lr, fault = 0.1, "none"

    with pytest.raises(AssertionError, match="frozen dataclass"):
        check_protocol(Plain())


@pytest.mark.parametrize("rule", [Simultaneous(0.1), Extragradient(0.1), HeavyBall(0.1, 0.5)])
def test_relabelling_players_relabels_a_symmetric_step(rule):
    check_player_permutation(rule)


@pytest.mark.parametrize("method", [Alternating(0.1), Method(Simultaneous(0.1), two_timescale(2.0))])
def test_relabelling_players_changes_alternation_and_two_time_scales(method):
    with pytest.raises(AssertionError, match="treats players apart"):
        check_player_permutation(method)


def test_superposition_does_not_apply_to_a_preconditioner():
    with pytest.raises(NotInThisWorld, match="nonlinear in the field"):
        check_superposition(Method(Simultaneous(0.1), Adam()))
