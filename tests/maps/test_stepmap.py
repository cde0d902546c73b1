"""Step maps: parameters mean the same in every world, and transformed games are games."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

import gamedyn as gd

GAME = gd.zero_sum("a*x**2/2 + x*y - a*y**2/2", "x", "y")
LR = sp.Symbol("rate", positive=True)
POINT = [0.5, -0.25]


def test_parameters_have_the_same_values_in_every_world():
    params = {"a": 2, "rate": sp.Rational(1, 10)}
    T = gd.StepMap(gd.Extragradient(LR), GAME, params=params)
    bound = gd.StepMap(gd.Extragradient(sp.Rational(1, 10)), GAME.bind(a=2))
    exact = bound(bound.start(sp.Matrix([sp.Rational(1, 2), sp.Rational(-1, 4)])))
    assert T(T.start(sp.Matrix([sp.Rational(1, 2), sp.Rational(-1, 4)]))) == exact
    numbers = np.array(exact, dtype=float).ravel()
    np.testing.assert_allclose(T(T.start(POINT)), numbers, atol=1e-15)
    np.testing.assert_allclose(T(T.start(torch.tensor(POINT, dtype=torch.float64))).numpy(), numbers, atol=1e-15)


def test_spectral_radius_with_params_is_that_of_the_bound_game():
    T = gd.StepMap(gd.Simultaneous(sp.Rational(1, 10)), GAME, params={"a": 2})
    assert gd.spectral_radius(T, [0, 0]) == gd.spectral_radius(
        gd.StepMap(gd.Simultaneous(sp.Rational(1, 10)), GAME.bind(a=2)), [0, 0]
    )
    assert gd.stable_steps(T, [0, 0]).stable == sp.Interval.open(0, sp.Rational(4, 5))


def test_an_unknown_parameter_is_named_at_once():
    with pytest.raises(ValueError, match=r"'typo'.*\['a'\]"):
        gd.StepMap(gd.Simultaneous(0.1), GAME, params={"typo": 5})
    with pytest.raises(ValueError, match="'a'"):
        gd.StepMap(gd.Simultaneous(0.1), GAME.bind(a=2), params={"a": 5})


def test_a_symbol_of_the_method_may_not_bear_the_name_of_a_parameter():
    with pytest.raises(ValueError, match="rename"):
        gd.StepMap(gd.Simultaneous(sp.Symbol("a")), GAME)


def test_a_point_spreads_over_an_array_of_parameters():
    T = gd.StepMap(gd.Optimistic(0.1), GAME, params={"a": np.array([0.5, 1.0, 2.0])})
    orbit = gd.simulate(T, POINT, 20)
    assert orbit.z.shape == (21, 2, 3)
    assert orbit.status.shape == (3,)
    assert gd.simulate(T, POINT, 0).status.shape == (3,)
    assert T.jacobian(T.start(POINT)).shape == (4, 4, 3)
    for k, a in enumerate((0.5, 1.0, 2.0)):
        alone = gd.simulate(gd.StepMap(gd.Optimistic(0.1), GAME.bind(a=a)), POINT, 20)
        np.testing.assert_allclose(orbit.z[:, :, k], alone.z, atol=1e-14)


TRANSFORMS = [gd.consensus(0.3), gd.unrolled(2, 0.1), gd.symplectic_adjustment(0.5), gd.two_timescale(3.0)]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_a_transformed_game_answers_like_any_game(transform):
    game = transform(gd.zero_sum("x*y + x**3/3 - y**2*x", "x", "y"))
    z = np.array([0.4, -0.3])
    v = gd.field(game, z)
    torch_v = gd.field(game, torch.tensor(z)).numpy()
    np.testing.assert_allclose(v, torch_v, atol=1e-14)
    differences = [(gd.field(game, z + h) - gd.field(game, z - h)) / 2e-6 for h in 1e-6 * np.eye(2)]
    J = gd.jacobian(game, z)
    np.testing.assert_allclose(J.to_dense(), np.stack(differences, axis=1), atol=1e-8)
    np.testing.assert_allclose(J.T.to_dense(), J.to_dense().T, atol=1e-14)
    assert gd.field(game, np.stack([z, z, z], axis=1)).shape == (2, 3)
    assert gd.rotation(game, z).eigenvalues.shape == (2,)
    assert gd.flow(game, z, 0.1).z.shape[-1] == 2


def test_floats_in_a_transform_become_rationals_in_the_exact_world():
    values = gd.jacobian(gd.two_timescale(0.1)(gd.games.bilinear(1)), sp.Matrix([0, 0])).eigenvalues()
    assert {sp.simplify(v**2) for v in values} == {sp.Rational(-1, 10)}


def test_symbols_in_a_transform_are_parameters_of_the_game():
    tau = sp.Symbol("tau", positive=True)
    game = gd.two_timescale(tau)(gd.games.jin_quadratic())
    assert game.parameters == ("tau",)
    np.testing.assert_allclose(gd.field(game, [1.0, 1.0], params={"tau": 2.0}), gd.field(game.bind(tau=2), [1.0, 1.0]))
    np.testing.assert_allclose(
        gd.field(game.bind(tau=2), [1.0, 1.0]), gd.field(gd.two_timescale(2)(gd.games.jin_quadratic()), [1.0, 1.0])
    )
    with pytest.raises(ValueError, match="sigma"):
        game.bind(sigma=1)
