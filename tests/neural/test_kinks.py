"""Kinks: where J is what v does over a step, where it is not, and that a spectrum says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

import gamedyn as gd
from gamedyn.neural import GAN, R1, Spectrum, mlp_discriminator, mlp_generator, ring, spectrum
from gamedyn.neural.analysis.kinks import kinked_parts, kinks


def gan(activation: str, rows: int = 256, minibatch: str | None = None, **settings: Any) -> GAN:
    G = mlp_generator(4, 2, (16,), activation=activation)
    D = mlp_discriminator(2, (16,), activation=activation, minibatch=minibatch)
    return GAN(G, D, data=ring(n=rows, std=0.3), evaluation_size=rows, **settings)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu", "gelu"])
def test_jacobian_of_a_smooth_gan_is_the_change_of_v_up_to_the_square_of_the_step(activation: str) -> None:
    smooth = gan(activation)
    coarse, fine = kinks(smooth, step=1e-2), kinks(smooth, step=1e-3)
    assert coarse == pytest.approx(100 * fine, rel=0.1)
    assert fine < 2e-5
    assert kinks(smooth, step=1e-3) == fine
    assert kinked_parts(smooth) == ()


@pytest.mark.parametrize("rows", [256, 2048])
def test_jacobian_of_a_rectified_gan_stays_off_however_many_the_rows(rows: int) -> None:
    for activation, name in (("relu", "ReLU"), ("leaky_relu", "LeakyReLU")):
        kinked = gan(activation, rows)
        assert min(kinks(kinked, step=h) for h in (1e-2, 1e-3)) > 0.15
        assert kinked_parts(kinked) == (f"{name} in generator", f"{name} in discriminator")


def test_comparing_rows_by_their_absolute_distance_kinks_a_smooth_gan() -> None:
    compared = gan("tanh", 64, minibatch="discrimination")
    assert min(kinks(compared, step=h, directions=2) for h in (1e-2, 1e-3)) > 0.2
    assert kinked_parts(compared) == ("MinibatchDiscrimination in discriminator",)
    assert kinks(gan("tanh", minibatch="standard_deviation")) < 1e-4


def test_a_kink_of_the_slope_counts_under_a_penalty_on_slopes_only() -> None:
    layers = mlp_discriminator(2, (16,), activation="tanh").layers
    D = nn.Sequential(layers[0], nn.ELU(), layers[2])
    plain = GAN(mlp_generator(4, 2, (16,), activation="tanh"), D, data=ring(n=256, std=0.3))
    assert kinks(plain, step=3e-4) < 2e-4
    assert min(kinks(R1(10.0)(plain), step=h) for h in (1e-2, 3e-4)) > 0.01
    assert (kinked_parts(plain), kinked_parts(R1(10.0)(plain))) == ((), ("ELU in discriminator",))


def test_margins_of_the_loss_and_transformed_games_are_read_through() -> None:
    assert kinked_parts(gan("tanh", loss="hinge")) == ("the loss",)
    rectified = gd.consensus(0.1)(gan("relu"))
    assert kinked_parts(rectified) == kinked_parts(rectified.base)
    rotation = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    assert kinked_parts(rotation) == ()
    assert kinks(rotation, torch.ones(2)) < 1e-12


def test_a_spectrum_names_kinks_and_old_files_have_none() -> None:
    s = spectrum(gan("leaky_relu", 64), k=2)
    assert s.kinks == ("LeakyReLU in generator", "LeakyReLU in discriminator")
    assert "J leaves out the kinks of LeakyReLU in generator, LeakyReLU in discriminator" in repr(s)
    assert Spectrum.from_json(s.to_json()).kinks == s.kinks
    record = json.loads(s.to_json())
    del record["kinks"]
    old = Spectrum.from_json(json.dumps(record))
    assert old.kinks == ()
    assert "kinks" not in repr(old)
    assert "kinks" not in repr(spectrum(gan("tanh", 64), k=2))


def test_questions_without_an_answer_are_refused() -> None:
    for wrong in ({"step": 0.0}, {"step": float("nan")}, {"directions": 0}):
        with pytest.raises(ValueError, match="give a finite step > 0"):
            kinks(gan("tanh", 64), **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a vector"):
        kinks(gan("tanh", 64), torch.zeros(3))
