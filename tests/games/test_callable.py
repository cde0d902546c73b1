"""Games in torch: the same field as the formula, differentiable products, refusals."""

import numpy as np
import pytest
import torch
from conformance_table import GAMES, METHODS, dirac_gan

from gamedyn.games.callable import DENSE_LIMIT, TorchField, callable_game
from gamedyn.games.field import NotInThisWorld
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import LinearizedProximalPoint, ProximalPoint, Simultaneous


def _dirac():
    def payoff(z):
        return -torch.log1p(torch.exp(-z[0] * z[1])) - torch.log(torch.tensor(2.0, dtype=z.dtype))

    return callable_game([payoff, lambda z: -payoff(z) + 0.15 * z[1] ** 2], sizes=[1, 1])


@pytest.mark.parametrize("name", METHODS)
def test_a_callable_game_steps_like_its_formula(name):
    formula, torch_game = StepMap(METHODS[name], dirac_gan()), StepMap(METHODS[name], _dirac())
    z = torch.tensor([0.75, -0.5], dtype=torch.float64)
    s, t = formula.start(z), torch_game.start(z)
    assert torch_game.dim == formula.dim
    for k in range(3):
        s, t = formula(s, k), torch_game(t, k)
    np.testing.assert_allclose(t.numpy(), s.numpy(), atol=1e-12)


def test_one_callable_may_return_all_costs():
    g = callable_game(lambda z: [z[0] * z[1], -z[0] * z[1]], sizes=[1, 1])
    with torch.no_grad():
        np.testing.assert_allclose(g.field()(torch.tensor([1.0, 2.0])).numpy(), [2.0, -1.0])


@pytest.mark.parametrize("world", ["exact", "array", "test"])
def test_a_callable_has_no_formula(world):
    with pytest.raises(NotInThisWorld, match="without a formula"):
        _dirac().field(world)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="1 costs for 2 players"):
        callable_game([lambda z: z[0]], sizes=[1, 1])
    with pytest.raises(ValueError, match="positive integers"):
        callable_game([], sizes=[])
    with pytest.raises(ValueError, match="has no parameters"):
        _dirac().field("neural", {"a": 1})
    with pytest.raises(ValueError, match="one scalar per player"):
        callable_game(lambda z: [z[0]], sizes=[1, 1]).field()(torch.ones(2))


def test_products_are_adjoint_and_differentiable_again():
    F = _dirac().field()
    z = torch.tensor([0.75, -0.5], dtype=torch.float64, requires_grad=True)
    u, w = torch.tensor([0.3, 1.0], dtype=torch.float64), torch.tensor([-1.0, 0.2], dtype=torch.float64)
    assert torch.dot(w, F.jvp(z, u)).item() == pytest.approx(torch.dot(F.vjp(z, w), u).item(), abs=1e-15)
    assert torch.autograd.gradcheck(lambda x: F.jvp(x, u), (z,))
    assert torch.autograd.gradcheck(lambda x: F.vjp(x, w), (z,))


def test_stepping_builds_no_graph():
    T = StepMap(METHODS["unrolled"], _dirac())
    s = T(T.start(torch.tensor([0.75, -0.5], dtype=torch.float64)))
    assert not s.requires_grad


def test_float32_stays_float32():
    T = StepMap(METHODS["extragradient-adam"], _dirac())
    assert T(T.start(torch.tensor([0.75, -0.5]))).dtype == torch.float32


def _large(d):
    rng = np.random.default_rng(0)
    A = torch.tensor(rng.normal(size=(d, d)) / d**0.5, dtype=torch.float64)
    return callable_game(lambda z: [z[:d] @ A @ z[d:], -z[:d] @ A @ z[d:]], sizes=[d, d]), A


@pytest.mark.parametrize("rule", [ProximalPoint(0.5), LinearizedProximalPoint(0.5)])
def test_implicit_steps_above_the_dense_limit_solve_by_krylov(rule):
    d = DENSE_LIMIT // 2 + 1
    g, A = _large(d)
    z = torch.linspace(-1, 1, 2 * d, dtype=torch.float64)
    w = StepMap(rule, g)(z)
    v = torch.cat([A @ w[d:], -A.T @ w[:d]])
    assert torch.max(torch.abs(w + 0.5 * v - z)) < 1e-9


def test_a_resolvent_too_large_to_differentiate_says_so():
    g, _ = _large(DENSE_LIMIT)
    T = StepMap(ProximalPoint(0.5), g)
    with pytest.raises(NotInThisWorld, match="d <= 64"):
        T.jacobian(torch.zeros(2 * DENSE_LIMIT, dtype=torch.float64))


def test_a_batch_of_states_has_no_linear_solves():
    F = GAMES["dirac-gan"][0].field("neural")
    with pytest.raises(NotInThisWorld, match="one state at a time"):
        F.resolvent(0.1, torch.zeros(2, 3, dtype=torch.float64))


def test_a_batch_of_states_is_stepped_together():
    g = GAMES["dirac-gan"][0]
    F = g.field("neural")
    assert isinstance(F, TorchField)
    Z = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
    together = StepMap(Simultaneous(0.1), g)(Z)
    for k in range(4):
        np.testing.assert_allclose(together[:, k].numpy(), StepMap(Simultaneous(0.1), g)(Z[:, k]).numpy(), atol=1e-15)
