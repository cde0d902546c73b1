"""Layers in which the rows of a batch meet: closed forms, derivatives of every order, and who refuses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gamedyn.neural import GAN, full_data_jacobian, ring
from gamedyn.neural.networks import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    Network,
    dcgan_discriminator,
    mlp_discriminator,
    mlp_generator,
)

BUILDERS: dict[str, Callable[..., Network]] = {
    "mlp discrimination": lambda **kw: mlp_discriminator(64, (12,), minibatch="discrimination", **kw),
    "mlp standard deviation": lambda **kw: mlp_discriminator(64, (12,), minibatch="standard_deviation", **kw),
    "dcgan discrimination": lambda **kw: dcgan_discriminator((8, 8), minibatch="discrimination", **kw),
    "dcgan standard deviation": lambda **kw: dcgan_discriminator((8, 8), minibatch="standard_deviation", **kw),
}
every_network = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
LAYERS = {
    "discrimination": lambda: MinibatchDiscrimination(3, 2, 4).double(),
    "standard deviation": lambda: MinibatchStandardDeviation(group=2),
}
every_layer = pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS.keys())


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_discrimination_appends_the_mean_closeness_to_the_other_rows() -> None:
    layer, f = MinibatchDiscrimination(3, 2, 4).double(), normal(5, 3)
    tensor = layer.projection.weight.detach().reshape(2, 4, 3)
    m = torch.einsum("bca,ia->ibc", tensor, f)
    y = layer(f)
    assert torch.equal(y[:, :3], f)
    for i in range(5):
        for b in range(2):
            c = [torch.exp(-(m[i, b] - m[j, b]).abs().sum()) for j in range(5) if j != i]
            torch.testing.assert_close(y[i, 3 + b], sum(c) / 4)  # type: ignore[arg-type]


def test_discrimination_tells_a_collapsed_batch_from_a_spread_one_at_any_size() -> None:
    layer = MinibatchDiscrimination(3).double()
    for n in (2, 7, 64):
        assert torch.allclose(layer(normal(1, 3).expand(n, 3))[:, 3:], torch.ones((), dtype=torch.float64))
        assert layer(1e3 * normal(n, 3))[:, 3:].max() < 0.2  # 1e3 apart: as good as never close
    assert torch.equal(layer(normal(1, 3))[:, 3:], torch.zeros(1, 16, dtype=torch.float64))  # alone: nobody near


def test_closeness_of_the_same_law_does_not_depend_on_the_size_of_the_batch() -> None:
    layer = MinibatchDiscrimination(3, 4).double()
    small = torch.stack([layer(normal(8, 3, seed=s))[:, 3:].mean(0) for s in range(200)])
    large = layer(normal(800, 3, seed=500))[:, 3:].mean(0)
    error = 4.5 * (small.std(0) / 200**0.5 + small.std(0) / 10)  # 800 rows are as good as at least 100 batches of 8
    assert ((small.mean(0) - large).abs() < error).all()


def test_standard_deviation_appends_its_mean_over_features_of_every_group() -> None:
    x = normal(6, 3, 2, 2)
    y = MinibatchStandardDeviation(group=3)(x)
    assert y.shape == (6, 4, 2, 2)
    assert torch.equal(y[:, :3], x)
    for rows in (slice(0, 3), slice(3, 6)):
        s = x[rows].std(0, correction=0).mean()
        torch.testing.assert_close(y[rows, 3], s.expand(3, 2, 2), rtol=1e-7, atol=0)
    torch.testing.assert_close(MinibatchStandardDeviation(group=50)(x), MinibatchStandardDeviation()(x))


@every_layer
def test_derivatives_to_the_second_order_are_right(build: Callable[[], nn.Module]) -> None:
    layer, x = build(), normal(4, 3).requires_grad_()
    parameters = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *parameters))
    assert torch.autograd.gradgradcheck(lambda x, *_: layer(x), (x, *parameters))


@every_layer
def test_equal_rows_have_the_derivative_zero_and_finite_further_ones(build: Callable[[], nn.Module]) -> None:
    layer, x = build(), normal(1, 3).repeat(4, 1).requires_grad_()
    appended = layer(x)[:, 3:]
    (slope,) = torch.autograd.grad((appended * normal(*appended.shape)).sum(), x, create_graph=True)
    assert slope.abs().max() < 1e-12
    (curvature,) = torch.autograd.grad((slope * normal(4, 3, seed=1)).sum(), x, materialize_grads=True)
    assert curvature.isfinite().all()


@every_network
def test_rows_meet_and_their_order_does_not_matter(build: Callable[..., Network]) -> None:
    network, x = build().double(), normal(6, 64)
    y, other = network(x), x.clone()
    assert y.shape == (6, 1)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(network(x[order]), y[order])
    other[0] += 1.0
    assert (network(other) - y)[1:].abs().min() > 1e-9
    assert network(x[0]).shape == (1,)


@every_network
def test_weights_come_from_the_seed_and_reach_the_logit(build: Callable[..., Network]) -> None:
    before = torch.get_rng_state()
    networks = [build(seed=seed).double() for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    one, again, another = (nn.utils.parameters_to_vector(network.parameters()) for network in networks)
    assert torch.equal(one, again)
    assert not torch.equal(one, another)
    (networks[0](normal(8, 64)) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in networks[0].parameters())


def test_without_the_layer_a_discriminator_has_the_weights_it_always_had() -> None:
    def flat(network: nn.Module) -> torch.Tensor:
        return nn.utils.parameters_to_vector(network.parameters())

    plain, measured = mlp_discriminator(2, (8,), seed=1), mlp_discriminator(2, (8,), seed=1, minibatch="discrimination")
    assert torch.equal(flat(measured)[:24], flat(plain)[:24])  # the hidden layer: 2 * 8 + 8


@pytest.mark.parametrize("kind", ["discrimination", "standard_deviation"])
def test_a_game_with_such_a_discriminator_has_a_jacobian_but_no_sum_over_batches(kind: str) -> None:
    d = mlp_discriminator(2, (6,), activation="tanh", minibatch=kind)
    gan = GAN(mlp_generator(2, 2, (4,), activation="tanh"), d, data=ring(n=100), evaluation_size=12)
    z, field = gan.initial().double(), gan.field("neural")
    u = normal(gan.dim) / gan.dim**0.5
    slope = (field(z + 1e-6 * u) - field(z - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(field.jvp(z, u), slope, rtol=1e-5, atol=1e-8)
    with pytest.raises(ValueError, match="rows of a batch meet"):
        full_data_jacobian(gan, batch_size=50)


def test_impossible_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="use None, discrimination, standard_deviation"):
        mlp_discriminator(2, minibatch="similarity")
    with pytest.raises(ValueError, match="use None, discrimination, standard_deviation"):
        dcgan_discriminator((8, 8), minibatch="similarity")
    with pytest.raises(ValueError, match="5 rows do not fill groups of 2"):
        MinibatchStandardDeviation(2)(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="at least 1"):
        MinibatchStandardDeviation(0)
    with pytest.raises(ValueError, match=r"shape \(6, 5, 3\).*pictures=True"):
        MinibatchStandardDeviation()(torch.zeros(6, 5, 3))
    assert MinibatchStandardDeviation(pictures=True)(torch.zeros(6, 5, 3)).shape == (7, 5, 3)
    with pytest.raises(ValueError, match="eps is 0"):
        MinibatchStandardDeviation(eps=0.0)
    with pytest.raises(ValueError, match="at least 1"):
        MinibatchDiscrimination(3, 0)
