"""Input that no method, map or report can use says what was given, what is needed and what to do."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.rules.method import as_method

RULE = gd.Simultaneous(0.1)
XY = gd.zero_sum("x*y", min="x", max="y")
METHOD = gd.Method(RULE, gd.Adam())
TAU = sp.Symbol("tau", positive=True)


@dataclass(frozen=True)
class Twice:
    """A user's wrapper, without checks of its own."""

    rule: Any

    def init(self, F, z):
        return self.rule.init(F, z)

    def step(self, F, z, memory):
        return self.rule.step(F, *self.rule.step(F, z, memory))


WRAPPERS = {
    "alternating": gd.alternating,
    "lookahead": lambda rule: gd.lookahead(rule, 2, 0.5),
    "per_player": lambda rule: gd.per_player(rule, (1.0, 0.5)),
    "scheduled": lambda rule: gd.scheduled(rule, "lr", (0.1, 0.2)),
    "variance_reduced": lambda rule: gd.variance_reduced(rule, 2),
    "halpern": lambda rule: as_method(gd.halpern(rule)),
    "averaged": lambda rule: as_method(gd.averaged(rule)),
    "Twice": lambda rule: as_method(Twice(rule)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (METHOD, r"no rule but a method.* write Method\({0}\(Simultaneous\(\.\.\.\), \.\.\.\), Adam\(\.\.\.\)\)$"),
        (gd.consensus(0.1), r"consensus\(.*no rule but a layer.* write Method\({0}\(rule, \.\.\.\), consensus\("),
        (gd.Adam(), r"no rule but a layer of methods; write Method\({0}\(rule, \.\.\.\), Adam\(\.\.\.\)\)$"),
        (gd.Extragradient, r"Extragradient is no rule but what makes one; call it: Extragradient\(\.\.\.\)"),
        (gd.Alternating, r"Alternating is no rule but what makes one"),
        ("Extragradient", "'Extragradient' is no rule: a rule has init"),
        (0.1, "0.1 is no rule: a rule has init"),
    ],
)
def test_a_wrapper_refuses_what_is_no_rule(wrapper, thing, message):
    with pytest.raises(TypeError, match=rf"(?s)^{wrapper}: .*" + message.replace("{0}", wrapper)):
        WRAPPERS[wrapper](thing)


def test_a_method_refuses_what_is_no_rule_at_any_depth():
    with pytest.raises(TypeError, match=r"^Twice: .* write Method\(Twice\(Simultaneous"):
        gd.Method(gd.lookahead(Twice(METHOD), 2, 0.5), gd.consensus(0.1))
    with pytest.raises(TypeError, match=r"no rule but a layer of methods; write Method\(rule, consensus\(\.\.\.\)\)"):
        gd.Method(gd.consensus(0.1), gd.Adam())
    with pytest.raises(TypeError, match="call it: Extragradient"):
        gd.StepMap(gd.Extragradient, XY)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gd.lookahead(RULE, 2.5, 0.5), "lookahead: k must be an integer >= 1, such as 2, got 2.5"),
        (lambda: gd.lookahead(RULE, 0, 0.5), "lookahead: k must be an integer >= 1, such as 2, got 0"),
        (lambda: gd.named("Lookahead", k=2.5), "lookahead: k must be an integer"),
        (lambda: gd.named("NestedLookahead", outer=1.5), "lookahead: k must be an integer"),
        (lambda: gd.named("SVRE", every=1.5), "variance_reduced: every must be an integer >= 1"),
        (lambda: gd.named("Unrolled", steps=2.5), "unrolled: steps must be an integer >= 0"),
        (lambda: gd.unrolled(2.5, 0.1), "unrolled: steps must be an integer >= 0, such as 1, got 2.5"),
        (lambda: gd.unrolled(-1, 0.1), "unrolled: steps must be an integer >= 0, such as 1, got -1"),
        (lambda: gd.unrolled(float("inf"), 0.1), "unrolled: steps must be an integer >= 0, such as 1, got inf"),
        (lambda: gd.stop_gradient_lookahead(2.5, 0.1), "stop_gradient_lookahead: steps must be an integer"),
        (lambda: gd.stop_gradient_lookahead(-1, 0.1), "stop_gradient_lookahead: steps must be an integer"),
        (lambda: gd.two_timescale(-2), "two_timescale: tau must be a positive ratio, such as 2, got -2"),
        (lambda: gd.two_timescale(0.0), "two_timescale: tau must be a positive ratio"),
        (lambda: gd.two_timescale(float("nan")), "two_timescale: tau must be a positive ratio"),
        (lambda: gd.two_timescale(sp.Rational(-1, 2)), "two_timescale: tau must be a positive ratio"),
        (lambda: gd.Adam(beta1=1.5), r"Adam: beta1 must be a decay in \[0, 1\), such as 0.9, got 1.5"),
        (lambda: gd.Adam(beta2=1), r"Adam: beta2 must be a decay in \[0, 1\)"),
        (lambda: gd.Adam(beta1=-0.1), r"Adam: beta1 must be a decay in \[0, 1\)"),
        (lambda: gd.Adam(eps=0), "Adam: eps must be a positive number, got 0"),
        (lambda: gd.AMSGrad(beta1=1.5), r"AMSGrad: beta1 must be a decay in \[0, 1\)"),
        (lambda: gd.AMSGrad(eps=-1e-8), "AMSGrad: eps must be a positive number"),
        (lambda: gd.RMSProp(decay=2), r"RMSProp: decay must be a decay in \[0, 1\)"),
        (lambda: gd.RMSProp(eps=0.0), "RMSProp: eps must be a positive number"),
        (lambda: gd.named("Adam", beta1=2), "Adam: beta1 must be"),
        (lambda: gd.Clip(-1), "Clip: bound must be a positive number, got -1"),
        (lambda: gd.alternating(RULE, steps=(1, -1)), "alternating: an entry of steps must be an integer >= 0"),
        (lambda: gd.alternating(RULE, steps=(1, 1.5)), "alternating: an entry of steps must be an integer >= 0"),
        (
            lambda: gd.scheduled(gd.lookahead(RULE, 2, 0.5), "learning_rate", (0.1,)),
            "has no coefficient 'learning_rate'; it has alpha, lr",
        ),
        (lambda: gd.scheduled(gd.lookahead(RULE, 2, 0.5), "k", (2, 3)), "has no coefficient 'k'; it has alpha, lr"),
        (lambda: gd.scheduled(gd.Alternating(0.1), "steps", ((1, 1), (1, 5))), "has no coefficient 'steps'; it has lr"),
        (lambda: gd.scheduled(gd.Alternating(0.1), "order", ((0, 1), (1, 0))), "has no coefficient 'order'; it has lr"),
        (lambda: gd.scheduled(RULE, "lr", ()), "values must be a function of the step, or one period .* got no value"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused_at_construction(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gd.lookahead(RULE, "2", 0.5), "lookahead: k must be an integer >= 1, such as 2, got '2'"),
        (lambda: gd.unrolled(TAU, 0.1), "unrolled: steps must be an integer >= 0, such as 1, got tau"),
        (lambda: gd.unrolled(True, 0.1), "unrolled: steps must be an integer >= 0, such as 1, got True"),
        (lambda: gd.unrolled(1, 0.1, players=0), r"unrolled: players lists players by their numbers.* got 0"),
        (lambda: gd.unrolled(1, 0.1, players=("x",)), "unrolled: players lists players by their numbers.* got 'x'"),
        (lambda: gd.two_timescale("2"), "two_timescale: tau must be a positive ratio.* got the text '2'"),
        (
            lambda: gd.alternating(RULE, order=("x", "y")),
            r"order lists players by their numbers.* order=\(1, 0\); got 'x'",
        ),
        (lambda: gd.alternating(RULE, order="xy"), "order lists players by their numbers.* got 'xy'"),
        (lambda: gd.alternating(RULE, steps=2), r"steps lists one count per move.* got 2"),
        (lambda: gd.per_player(RULE, {0: 1.0}), r"scales lists one factor per player.* got \{0: 1.0\}"),
        (lambda: gd.per_player(RULE, 0.5), "scales lists one factor per player.* got 0.5"),
        (lambda: gd.scheduled(RULE, "lr", 0.1), "values must be a function of the step.* got 0.1"),
        (lambda: gd.scheduled(RULE, "lr", {0: 0.1}), "values must be a function of the step"),
    ],
)
def test_things_of_the_wrong_kind_are_refused_at_construction(build, message):
    with pytest.raises(TypeError, match=message):
        build()


def test_symbols_and_every_kind_of_integer_pass():
    b, eps = sp.symbols("b eps")
    gd.Adam(b, b, eps), gd.RMSProp(b, eps), gd.AMSGrad(b, b, eps), gd.Clip(b)
    assert gd.two_timescale(TAU).tau is TAU
    assert gd.two_timescale(Fraction(1, 2)).tau == Fraction(1, 2)
    for five in (5, np.int64(5), sp.Integer(5), 5.0):
        assert type(gd.unrolled(five, 0.1).steps) is int
        assert gd.lookahead(RULE, five, 0.5) == gd.lookahead(RULE, 5, 0.5)
    assert gd.unrolled(0, 0.1).steps == 0


def test_a_player_may_move_twice():
    twice = gd.StepMap(gd.alternating(RULE, order=(0, 0)), XY)
    once = gd.StepMap(gd.alternating(RULE, order=(0,)), XY)
    np.testing.assert_array_equal(twice([1.0, 1.0]), once(once([1.0, 1.0])))


@pytest.mark.parametrize(
    "use", [gd.analyze, lambda g: gd.compare(g, ["Extragradient"]), lambda g: gd.StepMap(RULE, g)],
    ids=["analyze", "compare", "StepMap"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("x*y", r"needs a game, got the text 'x\*y'; build it: zero_sum\(\"x\*y\", min=\"x\", max=\"y\"\)"),
        (gd.games.forsaken, r"needs a game, got what makes one; call it: forsaken\(\.\.\.\)"),
        (gd.SymbolicGame, r"needs a game, got what makes one; call it: SymbolicGame"),
        (RULE, r"needs a game, got Simultaneous\(lr=0.1\); build one with zero_sum"),
        (3, "needs a game, got 3; build one with zero_sum"),
    ],
)
def test_what_is_no_game_is_refused(use, thing, message):
    with pytest.raises(TypeError, match=message):
        use(thing)


@pytest.mark.parametrize("run", [lambda m: gd.analyze(XY, methods=m), lambda m: gd.compare(XY, m)])
@pytest.mark.parametrize(
    "chosen", [gd.Extragradient, [gd.Extragradient], {"EG": gd.Extragradient}, [RULE, gd.consensus]]
)
def test_a_class_among_the_methods_of_a_report_is_refused(run, chosen):
    with pytest.raises(TypeError, match=r"(Extragradient|consensus) is no rule but what makes one; call it"):
        run(chosen)


def test_one_composed_method_is_compared_without_a_list():
    method = gd.Method(RULE, gd.consensus(0.5))
    (race,) = gd.compare(XY, method, steps=50).races
    assert race.name == "Simultaneous(lr=0.1) ∘ consensus(gamma=0.5)"


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ({"steps": 3.5}, ValueError, "simulate: steps must be an integer >= 0, such as 1, got 3.5"),
        ({"steps": "3"}, TypeError, "simulate: steps must be an integer >= 0, such as 1, got '3'"),
        ({"steps": float("nan")}, ValueError, "simulate: steps must be an integer"),
        ({"every": 0}, ValueError, "simulate: every must be an integer >= 1"),
        ({"first": -1}, ValueError, "simulate: first must be an integer >= 0"),
    ],
)
def test_simulate_refuses_counts_that_are_none(counts, error, message):
    with pytest.raises(error, match=message):
        gd.simulate(gd.StepMap(RULE, XY), [1.0, 1.0], **counts)


@pytest.mark.parametrize("start", [[1.0, float("nan")], [[1.0, 2.0], [float("inf"), 1.0]]])
def test_a_start_must_be_finite(start):
    with pytest.raises(ValueError, match=r"a start needs finite numbers, 1 of its \d entries are not"):
        gd.simulate(gd.StepMap(RULE, XY), np.array(start), 3)


@pytest.mark.parametrize(
    ("A", "message"),
    [
        ([[1, 2], [3]], "A has rows of lengths 2, 1; give rows of one length"),
        ([[1, 2], 3], "A has rows of lengths 2, none; give rows of one length"),
        ([1, 2], r"A has shape \(2,\)"),
    ],
)
def test_ragged_payoffs_are_refused(A, message):
    with pytest.raises(ValueError, match=message):
        gd.games.bimatrix(A)


@pytest.mark.parametrize(
    ("name", "near"),
    [("Extragradent", "Extragradient"), ("adam", "Adam"), ("multiplicativeweights", "MultiplicativeWeights")],
)
def test_an_unknown_method_name_suggests_those_that_are_near(name, near):
    with pytest.raises(
        ValueError, match=rf"there is no method '{name}'\. Did you mean .*{near}.*\? The methods are: Sim"
    ):
        gd.named(name)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"there is no method 'Qqq'\. The methods are"):
        gd.named("Qqq")


def test_a_schedule_of_integer_factors_runs_with_the_factors_of_its_step():
    signs = ((1, -1), (-1, 1))
    rule = gd.scheduled(gd.per_player(RULE, (1.0, 1.0)), "scales", signs)
    T = gd.StepMap(rule, XY)
    for k in range(4):
        expected = gd.StepMap(gd.per_player(RULE, signs[k % 2]), XY)([1.0, 0.5])
        np.testing.assert_allclose(T([1.0, 0.5], k), expected, rtol=1e-15)
