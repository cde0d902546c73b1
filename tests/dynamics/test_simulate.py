"""Orbits: backends agree, batches keep their shape, divergence is a status."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gamedyn as gd

QUARTIC = gd.zero_sum("x*y + (x**4 - y**4)/10", "x", "y")
XY = gd.games.bilinear(1)


def test_numba_and_numpy_orbits_agree():
    z0 = np.random.default_rng(0).uniform(-1, 1, (2, 300))
    T = gd.StepMap(gd.Extragradient(0.1), QUARTIC)
    a = gd.simulate(T, z0, 200, every=50, backend="numpy")
    b = gd.simulate(T, z0, 200, every=50, backend="numba")
    assert a.z.shape == b.z.shape == (5, 2, 300)
    assert b.z == pytest.approx(a.z, abs=1e-12)
    assert b.state == pytest.approx(a.state, abs=1e-12)


def test_torch_orbits_agree_with_arrays():
    T = gd.StepMap(gd.Optimistic(0.1), QUARTIC)
    a = gd.simulate(T, [0.5, 0.2], 50)
    b = gd.simulate(T, torch.tensor([0.5, 0.2], dtype=torch.float64), 50)
    assert b.backend == "torch"
    assert b.z == pytest.approx(a.z, abs=1e-12)


def test_an_orbit_goes_on_from_its_state_as_if_never_stopped():
    T = gd.StepMap(gd.Optimistic(0.1), QUARTIC)
    whole = gd.simulate(T, [0.5, 0.2], 60)
    half = gd.simulate(T, [0.5, 0.2], 25)
    rest = gd.simulate(T, state=half.state, steps=35, first=25)
    assert np.array_equal(rest.z[-1], whole.z[-1])


def test_records_are_thinned_and_end_with_the_last_step():
    orbit = gd.simulate(gd.StepMap(gd.Extragradient(0.1), XY), [1.0, 0.0], 25, every=10)
    assert orbit.steps.tolist() == [0, 10, 20, 25]
    assert orbit.z.shape == (4, 2)


def test_status_tells_converged_diverged_and_running_apart_per_orbit():
    game = gd.field_game(["x**3 - x", "y"], players=[["x"], ["y"]])
    orbit = gd.simulate(gd.StepMap(gd.Simultaneous(0.5), game), np.array([[0.5, 5.0], [1.0, 1.0]]), 400)
    assert orbit.status.tolist() == ["converged", "diverged"]
    assert gd.simulate(gd.StepMap(gd.Alternating(0.5), XY), [1.0, 0.0], 100).status == "running"


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_divergence_is_a_status_in_every_backend(backend):
    orbit = gd.simulate(gd.StepMap(gd.Simultaneous(3.0), QUARTIC), np.full((2, 3), 4.0), 60, every=60, backend=backend)
    assert orbit.status.tolist() == ["diverged"] * 3


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_parameters_may_differ_from_orbit_to_orbit(backend):
    game = gd.zero_sum("a*x*y", "x", "y")
    speeds = np.array([0.5, 1.0, 2.0])
    T = gd.StepMap(gd.Extragradient(0.1), game, params={"a": speeds})
    batch = gd.simulate(T, np.ones((2, 3)), 50, every=50, backend=backend)
    for k, a in enumerate(speeds):
        alone = gd.simulate(gd.StepMap(gd.Extragradient(0.1), game.bind(a=float(a))), [1.0, 1.0], 50, every=50)
        assert batch.z[-1][:, k] == pytest.approx(alone.z[-1], abs=1e-13)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_schedule_steps_with_its_own_coefficients(backend):
    T = gd.StepMap(gd.scheduled(gd.Simultaneous(0.0), "lr", lambda k: 1.0 / (k + 2)), QUARTIC)
    orbit = gd.simulate(T, [0.5, 0.2], 12, backend=backend, every=12)
    z = np.array([0.5, 0.2])
    for k in range(12):
        z = z - gd.field(QUARTIC, z) / (k + 2)
    assert orbit.z[-1] == pytest.approx(z, abs=1e-14)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "either z0"),
        ({"z0": [1.0, 1.0], "steps": -1}, "steps must"),
        ({"z0": [1.0, 1.0], "backend": "jax"}, "numba"),
    ],
)
def test_bad_arguments_say_what_is_needed(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gd.simulate(gd.StepMap(gd.Extragradient(0.1), XY), **kwargs)


def test_unbound_parameters_are_named():
    with pytest.raises(ValueError, match="'a' has no value"):
        gd.simulate(gd.StepMap(gd.Extragradient(0.1), gd.zero_sum("a*x*y", "x", "y")), [1.0, 1.0], 3)


@pytest.mark.parametrize("layer", [gd.competitive(0.1), gd.local_symplectic_surgery(0.5)])
def test_orbit_of_a_large_game_reports_the_residual_of_its_linear_systems(layer):
    rng = np.random.default_rng(0)
    A = torch.tensor(rng.normal(size=(40, 40)) / 6)
    game = gd.callable_game(
        [lambda z: z[:40] @ A @ z[40:] + (z[:40] ** 2).sum() / 2, lambda z: -z[:40] @ A @ z[40:]], sizes=[40, 40]
    )
    method = gd.Method(gd.Simultaneous(0.1), layer)
    orbit = gd.simulate(gd.StepMap(method, game), torch.tensor(rng.normal(size=80)), steps=3)
    assert 0 < orbit.residual < 1e-11
    assert "systems solved to" in repr(orbit)
    assert (
        gd.simulate(gd.StepMap(gd.Simultaneous(0.1), game), torch.zeros(80, dtype=torch.float64), steps=1).residual
        is None
    )
