"""Printed steps: the rule itself, batches, parameters, and no name that a user typed."""

import math

import numpy as np
import pytest
import sympy as sp
from conformance_table import GAMES, RULES, STARTS, dirac_gan

from gamedyn.games.functions import VectorFunction
from gamedyn.games.symbolic import Game, zero_sum
from gamedyn.maps.kernels import load_numpy
from gamedyn.maps.printed import Printout
from gamedyn.maps.scalar import shared_terms
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Extragradient, LinearizedProximalPoint, ProximalPoint, Simultaneous
from gamedyn.rules.method import map_numbers
from gamedyn.rules.rule import at
from gamedyn.testing import kernel_steps

DIRECT = [n for n in RULES if "proximal" not in n]


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", DIRECT)
def test_printed_step_equals_the_rule_run_on_arrays(name, game):
    g, _ = GAMES[game]
    T, F = StepMap(RULES[name], g), g.field("array")
    rule = map_numbers(at(RULES[name], 0), float)
    for start in STARTS:
        z = np.array(start[: g.dim])
        s, memory = T.start(z), rule.init(F, z)
        np.testing.assert_allclose(s, np.concatenate([z, *memory]), atol=1e-14)
        w, memory = rule.step(F, z, memory)
        np.testing.assert_allclose(T(s), np.concatenate([w, *memory]), atol=1e-14)


def test_linearized_proximal_step_prints_the_linear_solve_of_a_transcendental_game():
    g = dirac_gan()
    z = np.array([0.75, -0.5])
    F, T = g.field("array"), StepMap(LinearizedProximalPoint(0.1), g)
    J = np.stack([F.jvp(z, e) for e in np.eye(2)], axis=1)
    np.testing.assert_allclose(T(z), z - 0.1 * np.linalg.solve(np.eye(2) + 0.1 * J, F(z)), rtol=1e-14)


def test_common_subexpressions_keep_the_value():
    x, y, u = sp.symbols("x y u", real=True)
    outputs = [
        u * y**2 * sp.exp(-2 * x * y) / (sp.exp(-x * y) + 1) ** 2 + x * y * sp.exp(-x * y),
        x**2 * sp.exp(-2 * x * y) + u * x * y + (x + y) ** 5 + (x + y) ** 2,
    ]
    replacements, reduced = shared_terms(VectorFunction("f", [(x, y, u)], outputs))
    table = {x: sp.Rational(3, 4), y: sp.Rational(-1, 2), u: sp.Rational(1, 3)}
    values = dict(table)
    for name, value in replacements:
        values[name] = value.xreplace(values)
    for before, after in zip(outputs, reduced, strict=True):
        assert float(after.xreplace(values)) == pytest.approx(float(before.xreplace(table)), rel=1e-14)


@pytest.mark.parametrize(
    "rule", [Simultaneous(0.1), Extragradient(0.1), ProximalPoint(0.1), LinearizedProximalPoint(0.1)]
)
def test_batch_axis_survives_constant_components(rule):
    g = Game(["x + y", "3*y - 2*x"], players=[["x"], ["y"]])  # v is constant
    T = StepMap(rule, g)
    Z = np.arange(14.0).reshape(2, 7)
    S = T(T.start(Z))
    assert S.shape == (2, 7)
    np.testing.assert_allclose(S, Z - 0.1 * np.array([[1.0], [3.0]]), atol=1e-14)
    assert T.jacobian(T.start(Z)).shape == (2, 2, 7)


@pytest.mark.parametrize("rule", [Extragradient(0.1), ProximalPoint(0.1)])
def test_a_batch_of_parameters_is_a_batch_of_games(rule):
    g = zero_sum("x*y + a*x**2 - b*y**2", min="x", max="y")
    a, b = np.array([0.0, 0.5, 1.0]), 0.25
    together = StepMap(rule, g, params={"a": a, "b": b})
    S = together(together.start(np.array([0.75, -0.5])))
    J = together.jacobian(np.tile([[0.75], [-0.5]], 3))
    assert S.shape == (2, 3)
    for k in range(3):
        alone = StepMap(rule, g.bind(a=float(a[k]), b=b))
        np.testing.assert_allclose(S[:, k], alone(np.array([0.75, -0.5])), rtol=1e-14)
        np.testing.assert_allclose(J[:, :, k], alone.jacobian(np.array([0.75, -0.5])), rtol=1e-13)
    np.testing.assert_allclose(kernel_steps(together, np.tile([[0.75], [-0.5]], 3), 1), S, rtol=1e-13)


def test_blocks_of_a_kernel_cover_a_batch_that_is_no_multiple_of_them():
    T = StepMap(Extragradient(0.1), GAMES["dirac-gan"][0])
    S = np.random.default_rng(0).uniform(-1, 1, (2, 517))
    np.testing.assert_allclose(kernel_steps(T, S, 1), T(S), rtol=1e-13)


NAMES = ["import_os", "lambda_", "np", "step", "run", "t1", "x0", "__class__"]


@pytest.mark.parametrize("name", NAMES)
def test_names_a_user_typed_never_reach_the_printed_source(name):
    odd, own = sp.Symbol("q " + name + "'); boom(", real=True), sp.Symbol(name, real=True)
    g = Game([odd * own**2, sp.exp(odd) * own], players=[[own], ["other_variable"]])
    T = StepMap(Extragradient(sp.Symbol("rate_of_" + name)), g, params={odd.name: 0.5, "rate_of_" + name: 0.1})
    printed = Printout.of(T.trace)
    for source in (printed.start, printed.step, printed.kernel):
        assert not any(text in source for text in ("boom", "q ", "rate_of", "other_variable"))
    if len(name) > 4:
        assert name not in printed.step
    image = T(T.start([1.0, 1.0]))
    np.testing.assert_allclose(image, [1 - 0.1 * 2 * 0.5 * 0.9, 1.0], rtol=1e-14)


def test_a_variable_called_lambda_steps():
    g = zero_sum("lambda*import_os", min="lambda", max="import_os")
    T = StepMap(Simultaneous(0.5), g)
    np.testing.assert_allclose(T(T.start([1.0, 2.0])), [0.0, 2.5])


def test_a_function_that_has_no_printed_form_steps_on_the_tape():
    x, y = sp.symbols("x y", real=True)
    T = StepMap(Simultaneous(0.1), zero_sum(sp.erf(x) * y, min="x", max="y"))
    slope = 2 / np.sqrt(np.pi) * np.exp(-0.25)
    np.testing.assert_allclose(T(T.start([0.5, 0.5])), [0.5 - 0.05 * slope, 0.5 + 0.1 * math.erf(0.5)], rtol=1e-14)
    with pytest.raises(ValueError, match="cannot be printed"):
        _ = T.kernel


def test_printed_source_is_plain_arithmetic():
    source = Printout.of(StepMap(Extragradient(0.1), GAMES["dirac-gan"][0]).trace).step
    assert callable(load_numpy(source))
    assert "import" not in source
