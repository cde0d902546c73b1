"""All of the data: the accumulated Jacobian is that of one batch of all rows, however the rows are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gamedyn as gd
from gamedyn.neural.analysis.full_data import full_data_field, full_data_jacobian
from gamedyn.neural.data import digits, from_tensor, ring
from gamedyn.neural.gan import GAN
from gamedyn.neural.losses import GANLoss
from gamedyn.neural.networks import dcgan_discriminator, dcgan_generator, mlp_discriminator, mlp_generator

DOUBLE = torch.float64
ROWS = 50


def tiny(evaluation_size: int = 7, **kw: Any) -> GAN:
    g = mlp_generator(3, 2, (6,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (6,), activation="tanh", seed=4)
    options = {"data": ring(n=ROWS, seed=1), "batch_size": 8, "dtype": DOUBLE, **kw}
    return GAN(g, d, evaluation_size=evaluation_size, **options)


def vector(d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(d, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("keep", ["one", "all"])
@pytest.mark.parametrize("batch_size", [1, 16, 25, ROWS, 1000])
def test_jacobian_is_that_of_one_batch_of_all_rows(keep: str, batch_size: int) -> None:
    gan, whole = tiny(), tiny(evaluation_size=ROWS)
    z = gan.initial() + 0.1 * vector(gan.dim)
    mine, theirs = full_data_jacobian(gan, z, batch_size=batch_size, keep=keep), gd.jacobian(whole, z)
    torch.testing.assert_close(mine.to_dense(), theirs.to_dense(), rtol=0, atol=1e-12)
    u = vector(gan.dim, 2)
    torch.testing.assert_close(mine @ u, theirs @ u, rtol=0, atol=1e-12)
    torch.testing.assert_close(mine.T @ u, theirs.T @ u, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"basis": 30}], ids=["dense", "Krylov"])
def test_eigenvalues_are_those_of_one_batch_of_all_rows(options: dict[str, Any]) -> None:
    gan, whole = tiny(), tiny(evaluation_size=ROWS)
    mine = full_data_jacobian(gan, batch_size=16).eigenvalues(6, **options)
    theirs = gd.jacobian(whole, whole.initial()).eigenvalues(6)
    np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=0, atol=1e-12 * theirs.norm)


def test_players_blocks_and_measures_work_on_it() -> None:
    gan, whole = tiny(), tiny(evaluation_size=ROWS)
    J, z = full_data_jacobian(gan, batch_size=16), gan.initial()
    block = gd.jacobian(whole, z).to_dense()[gan.players[0].slice, gan.players[0].slice]
    torch.testing.assert_close(J.block("generator").to_dense(), block, rtol=0, atol=1e-12)
    assert gd.rotation(J).antisymmetric_share == pytest.approx(gd.rotation(whole, z).antisymmetric_share, rel=1e-12)


def test_field_is_that_of_one_batch_of_all_rows() -> None:
    gan, whole = tiny(), tiny(evaluation_size=ROWS)
    z = gan.initial()
    F = full_data_field(gan, batch_size=16)
    torch.testing.assert_close(F(z).detach(), whole.field()(z), rtol=0, atol=1e-13)
    assert len(F.parts) == 4
    with torch.no_grad():
        assert not F(z).requires_grad


def test_convolutional_networks_and_float32() -> None:
    def build(size: int) -> GAN:
        g, d = dcgan_generator(4, (8, 8), (4, 2), seed=1), dcgan_discriminator((8, 8), (2, 3), seed=2)
        return GAN(g, d, data=from_tensor(digits().x[:90], name="digits"), evaluation_size=size)

    gan, whole = build(8), build(90)
    u = vector(gan.dim).float()
    mine, theirs = full_data_jacobian(gan, batch_size=40), gd.jacobian(whole, whole.initial())
    assert (mine @ u).dtype == torch.float32
    torch.testing.assert_close(mine @ u, theirs @ u, rtol=1e-4, atol=1e-5)


def test_latents_are_a_function_of_the_seed_and_can_be_given() -> None:
    u = vector(tiny().dim)
    products = [full_data_jacobian(tiny(seed=s), batch_size=9) @ u for s in (0, 0, 1)]
    assert torch.equal(products[0], products[1])
    assert not torch.allclose(products[0], products[2])
    own = tiny(evaluation_size=ROWS, seed=1).evaluation_sample.latents
    given = full_data_jacobian(tiny(), batch_size=9, latents=own) @ u
    torch.testing.assert_close(given, products[2], rtol=0, atol=1e-14)


def test_rows_that_meet_in_batch_norm_are_refused_unless_it_is_one_batch() -> None:
    g = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Tanh(), nn.Linear(5, 2))
    gan = GAN(g, mlp_discriminator(2, (4,)), latent=3, data=ring(n=40), batch_size=8, dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"layers that compare rows: generator\.1.*evaluation_size"):
        full_data_jacobian(gan, gan.initial().double(), batch_size=10)
    full_data_jacobian(gan, gan.initial().double(), batch_size=40)


def test_batch_norm_with_frozen_statistics_is_accepted() -> None:
    g = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)).eval()
    gan = GAN(g, mlp_discriminator(2, (4,)), latent=3, data=ring(n=40), batch_size=8)
    full_data_jacobian(gan, gan.initial().double(), batch_size=10)


def test_a_loss_that_is_no_mean_over_rows_is_refused() -> None:
    odd = GANLoss("summed", lambda fake: -fake.sum(), lambda real, fake: fake.sum() - real.sum(), optimum="none")
    with pytest.raises(ValueError, match="the rows of a batch meet"):
        full_data_jacobian(tiny(loss=odd), batch_size=10)


def test_bad_input_is_named() -> None:
    gan = tiny()
    with pytest.raises(ValueError, match=r"needs a vector"):
        full_data_jacobian(gan, torch.zeros(3))
    with pytest.raises(ValueError, match="batch_size is 0"):
        full_data_jacobian(gan, batch_size=0)
    with pytest.raises(ValueError, match=rf"give \({ROWS}, 3\)"):
        full_data_jacobian(gan, latents=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="no mean over rows"):
        full_data_jacobian(gd.consensus(0.1)(gan))
    with pytest.raises(TypeError, match="no GAN"):
        full_data_jacobian(gd.games.bilinear(1))
    with pytest.raises(ValueError, match="not finite"):
        full_data_jacobian(gan, torch.full((gan.dim,), torch.nan, dtype=DOUBLE), batch_size=10)


def test_networks_that_turn_random_are_refused() -> None:
    d = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1)).eval()
    gan = GAN(mlp_generator(2, 2, (4,)), d, data=ring(n=30), batch_size=8)
    d.train()
    for size in (10, 30):
        with torch.random.fork_rng(), pytest.raises(ValueError, match="draw random numbers"):
            full_data_jacobian(gan, batch_size=size)
