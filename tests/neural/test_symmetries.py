"""Rescalings of hidden units: what they leave alone, and what they do to v and J."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import gamedyn as gd
from gamedyn.neural import GAN, from_tensor, mlp_discriminator, mlp_generator, ring
from gamedyn.neural.analysis.symmetries import symmetries
from gamedyn.stability.equilibria.transversal import transversal_class


def relu_gan(**options) -> GAN:
    return GAN(mlp_generator(3, 2, (5,)), mlp_discriminator(2, (4, 4)), data=ring(n=64), dtype=torch.float64, **options)


def equilibrium() -> tuple[GAN, torch.Tensor]:
    """A GAN whose data are the generator's own samples, with a discriminator whose last layer is 0: v = 0 there."""
    G, D = mlp_generator(2, 1, (3,)), mlp_discriminator(1, (2,))
    with torch.no_grad():
        D.layers[-1].weight.zero_()
        D.layers[-1].bias.zero_()
    n = 16
    options = {"dtype": torch.float64, "batch_size": n}
    first = GAN(G, D, data=from_tensor(torch.zeros(n, 1)), **options)
    z = first.initial()
    latents = first.evaluation_sample.latents
    samples = first.networks[0](first.split(z)[0], latents)
    return GAN(G, D, data=from_tensor(samples.detach()), **options), z


def test_a_rescaling_changes_no_cost():
    gan = relu_gan()
    z, found = gan.initial(), symmetries(gan)
    costs = torch.stack(gan.field().all_costs(z))
    moved = z.clone()
    for k in range(len(found)):
        moved = moved * torch.exp((0.3 + 0.1 * k) * found.generators[:, k])
    assert torch.linalg.vector_norm(moved - z) > 1
    torch.testing.assert_close(torch.stack(gan.field().all_costs(moved)), costs, rtol=1e-12, atol=1e-12)


def test_the_field_is_equivariant_and_so_the_tangents_are_no_null_vectors_where_it_does_not_vanish():
    gan = relu_gan()
    z, found = gan.initial(), symmetries(gan)
    v, J = gan.field()(z), gd.jacobian(gan, z)
    assert found.defect(J, v).max() < 1e-13
    products = torch.stack([J @ t for t in found.tangents.T], dim=1)
    assert torch.linalg.vector_norm(products, dim=0).min() > 1e-4


def test_at_an_equilibrium_the_tangents_are_in_the_null_space_and_explain_part_of_it():
    gan, z = equilibrium()
    assert torch.linalg.vector_norm(gan.field()(z)) < 1e-9  # data sets are kept in float32
    found = symmetries(gan, z)
    J = gd.jacobian(gan, z)
    result = transversal_class(J, tolerance=1e-8, symmetries=found.tangents)
    assert len(found) == 5
    assert result.explained == np.linalg.matrix_rank(found.tangents.numpy()) == 5
    assert result.neutral > result.explained  # a discriminator that is 0 everywhere leaves its first layer free
    assert result.angle < 1e-7
    assert result.outside == 0


def test_directions_that_are_no_symmetries_are_reported():
    gan, z = equilibrium()
    found = symmetries(gan, z)
    wrong = torch.zeros(gan.dim, 1, dtype=z.dtype)
    wrong[-1] = 1  # the last bias of the discriminator
    result = transversal_class(gd.jacobian(gan, z), tolerance=1e-8, symmetries=torch.cat([found.tangents, wrong], 1))
    assert result.explained == 5
    assert result.outside > 0.1
    assert "not in the null space" in repr(result)


def test_only_homogeneous_activations_between_affine_layers_count():
    smooth = GAN(mlp_generator(3, 2, (5,), activation="tanh"), mlp_discriminator(2, (4,)), data=ring(n=64))
    assert [label.split()[0] for label in symmetries(smooth).labels] == ["discriminator"] * 4
    single = GAN(mlp_generator(3, 2, ()), mlp_discriminator(2, (4,), activation="tanh"), data=ring(n=64))
    assert len(symmetries(single)) == 0
    assert symmetries(single).tangents.shape == (single.dim, 0)


def test_convolutions_rescale_their_channels():
    from gamedyn.neural import dcgan_discriminator, dcgan_generator, digits

    gan = GAN(
        dcgan_generator(4, (8, 8), (4, 3), activation="relu"),
        dcgan_discriminator((8, 8), (3, 4)),
        data=digits(),
        dtype=torch.float64,
        evaluation_size=16,
    )
    found = symmetries(gan)
    assert len(found) == 3 + 3
    z = gan.initial()
    assert found.defect(gd.jacobian(gan, z), gan.field()(z)).max() < 1e-12


def test_frozen_layers_and_unknown_orders_have_no_rescalings():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first = nn.Linear(4, 1), nn.Linear(2, 4)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    G = mlp_generator(3, 2, (5,))
    G.layers[0].weight.requires_grad_(False)
    found = symmetries(GAN(G, Backwards(), data=ring(n=64)))
    assert len(found) == 0
    assert found.skipped == ("discriminator",)
    assert "not looked at" in repr(found)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="parameters"):
        symmetries(relu_gan(), torch.zeros(3))


def test_symmetries_are_taken_by_the_transversal_class_as_they_are():
    gan = GAN(
        mlp_generator(2, 2, (3,), activation="relu"), mlp_discriminator(2, (3,), activation="relu"), data=ring(n=64)
    )
    z = gan.initial().double()
    found = symmetries(gan, z)
    assert np.asarray(found).shape == (gan.dim, len(found))
    assert gd.transversal_class(gd.jacobian(gan, z), symmetries=found) is not None
