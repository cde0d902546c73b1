"""Derivatives of the traced step: forward, reverse and finite differences are one linear map."""

import time

import numpy as np
import pytest
import sympy as sp
from conformance_table import METHODS, PRECONDITIONED, STARTS, dirac_gan, three_players

from gamedyn.games.symbolic import zero_sum
from gamedyn.maps.evaluate import ArrayEvaluator, all_nodes
from gamedyn.maps.stepmap import StepMap
from gamedyn.maps.tape import Tape, forward, reverse
from gamedyn.rules.basic import ProximalPoint, Simultaneous
from gamedyn.rules.method import Method
from gamedyn.rules.transforms import unrolled

GAMES = {"dirac": dirac_gan(), "three": three_players()[0]}
SMOOTH = [m for m in METHODS if m not in PRECONDITIONED]


def _generic_state(T):
    """A state off every special set: a start moved by one step, so that no memory vanishes."""
    d = T.game.dim
    return T(T.start(np.array(STARTS[1][:d]))) + 0.01 * np.arange(1, T.dim + 1)


def _evaluate(T, s, extra, outputs):
    evaluator = ArrayEvaluator(
        {**dict(zip(T.trace.inputs, np.split(s, np.cumsum(T.sizes)[:-1]), strict=True)), **extra}
    )
    evaluator.params = dict(zip(T.trace.parameters(), T.array.values(0), strict=True))
    return np.concatenate([np.broadcast_to(v, (o.size,)) for v, o in zip(evaluator(outputs), outputs, strict=True)])


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", SMOOTH)
def test_reverse_is_the_transpose_of_forward_and_both_match_differences(name, game):
    T = StepMap(METHODS[name], GAMES[game])
    s = _generic_state(T)
    rng = np.random.default_rng(0)
    u, w = rng.normal(size=(2, T.dim))
    cuts = np.cumsum(T.sizes)[:-1]
    directions, tangents = T.trace.tangents()
    covectors, cotangents = T.trace.cotangents()
    Ju = _evaluate(T, s, dict(zip(directions, np.split(u, cuts), strict=True)), tangents)
    wJ = _evaluate(T, s, dict(zip(covectors, np.split(w, cuts), strict=True)), cotangents)
    assert w @ Ju == pytest.approx(wJ @ u, abs=1e-12 * (1 + np.abs(Ju) @ np.abs(w)))
    h = 1e-5
    difference = (T(s + h * u) - T(s - h * u)) / (2 * h)
    np.testing.assert_allclose(Ju, difference, atol=2e-8 * (1 + np.abs(Ju).max()))
    np.testing.assert_allclose(T.jacobian(s) @ u, Ju, atol=1e-12)


def test_ten_unrolled_steps_of_the_dirac_gan_trace_fast_and_small():
    begin = time.process_time()
    T = StepMap(Method(Simultaneous(0.1), unrolled(10, 0.2)), dirac_gan())
    outputs = T.trace.outputs
    assert time.process_time() - begin < 1.0
    assert len(all_nodes(outputs)) < 150


def test_nodes_of_the_trace_grow_linearly_with_unrolling():
    counts = [
        len(all_nodes(StepMap(Method(Simultaneous(0.1), unrolled(k, 0.2)), dirac_gan()).trace.outputs))
        for k in (5, 10, 15)
    ]
    assert counts[2] - counts[1] == counts[1] - counts[0]


def test_equal_operations_on_equal_nodes_are_one_node():
    tape = Tape()
    z = tape.input("z", 2)
    assert z + z is z + z
    assert 2 * (3 * z) is 6 * z
    assert (0 * z).op == "zero"
    assert z + 0 * z is z


def test_quotients_and_powers_differentiate():
    tape = Tape()
    a = tape.input("a", 1)
    t = tape.input("t", 1)
    value = (a * a + 1) ** 0.5 / (2**a)
    (tangent,) = forward([value], {a.index: t})
    (cotangent,) = reverse([value], [t], [a])
    x = 0.7
    expected = sp.diff(sp.sqrt(sp.Symbol("q") ** 2 + 1) / 2 ** sp.Symbol("q")).subs(sp.Symbol("q"), x)
    for node in (tangent, cotangent):
        (result,) = ArrayEvaluator({a: np.array([x]), t: np.array([1.0])})([node])
        assert result[0] == pytest.approx(float(expected), rel=1e-14)


def test_an_affine_equation_with_zero_right_hand_side_is_still_solved():
    tape = Tape()
    rhs = tape.zero(1)
    solution = tape.invert(lambda w: 2 * w + 3, rhs, linear=True)
    (value,) = ArrayEvaluator({})([solution])
    assert value == pytest.approx([-1.5])


def test_the_implicit_step_solves_its_equation_across_a_kink():
    x, y = sp.symbols("x y", real=True)
    game = zero_sum(x * y + 2 * sp.Max(x - sp.Rational(1, 4), 0) ** 2, min="x", max="y")
    implicit = StepMap(ProximalPoint(0.5), game)
    z = np.array([0.4, 0.9])  # beyond the kink here, but not at the solution
    w = implicit(implicit.start(z))
    np.testing.assert_allclose(w + 0.5 * game.field("array")(w), z, atol=1e-12)
    assert w[0] < 0.25 < z[0]
