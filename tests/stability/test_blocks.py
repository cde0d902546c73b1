"""The players' own blocks: signs proven by residuals, on formulas and on networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn import neural
from gamedyn.stability.blocks import block_curvature

GAME = gd.zero_sum("a**2 - b**2 + a*x + b*y - x**2 - 2*y**2", min=["a", "b"], max=["x", "y"])


def test_blocks_of_a_formula_are_those_of_its_hessians():
    first, second = block_curvature(GAME, [0.0, 0.0, 0.0, 0.0])
    assert (first.verdict, second.verdict) == ("indefinite", "positive")
    assert (first.smallest, first.largest) == (-2, 2)
    assert (second.smallest, second.largest) == (2, 4)


def test_a_flat_block_is_undecided():
    assert [b.verdict for b in block_curvature(gd.games.bilinear(np.eye(2)), np.zeros(4))] == ["undecided"] * 2


def test_a_negative_block_is_a_maximum():
    (only,) = block_curvature(gd.Game(["-x**2 - 3*y**2"], players=[["x", "y"]]), [0.0, 0.0])
    assert only.verdict == "negative"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_of_a_gan_by_products_agree_with_the_dense_ones(dtype, monkeypatch):
    gan = neural.GAN(neural.mlp_generator(3, 2, (9,)), neural.mlp_discriminator(2, (9,)), data=neural.ring(n=64))
    z = gan.initial().to(dtype)
    dense = gd.jacobian(gan, z.double()).dense_array()
    monkeypatch.setattr("gamedyn.stability.jacobian.DENSE_DIMENSION", 5)
    found = block_curvature(gan, z)
    for block, p in zip(found, gan.players, strict=True):
        H = dense[p.slice, p.slice]
        values = np.linalg.eigvalsh((H + H.T) / 2)
        scale = np.abs(values).max()
        assert block.smallest == pytest.approx(values[0], abs=1e-5 * scale)
        assert block.largest == pytest.approx(values[-1], abs=1e-5 * scale)
        assert block.size == p.size
        assert p.name in repr(block)


def test_the_generator_of_a_fresh_gan_is_on_a_saddle_of_its_own_cost():
    gan = neural.GAN(neural.mlp_generator(3, 2, (9,)), neural.mlp_discriminator(2, (9,)), data=neural.ring(n=64))
    generator, _ = block_curvature(gan, gan.initial().double())
    assert generator.verdict == "indefinite"
    assert generator.smallest + generator.residuals[0] < 0 < generator.largest - generator.residuals[1]
