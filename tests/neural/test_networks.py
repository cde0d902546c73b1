"""Networks: shapes, seeded initialisation, and the settings that the GAN studies use."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn

from gamedyn.neural.networks import (
    ACTIVATIONS,
    Network,
    Scale,
    dcgan_discriminator,
    dcgan_generator,
    mlp,
    mlp_discriminator,
    mlp_generator,
)

BUILDERS: dict[str, Callable[..., Network]] = {
    "mlp": lambda **kw: mlp((5, 7, 3), **kw),
    "mlp_generator": lambda **kw: mlp_generator(16, 64, **kw),
    "mlp_discriminator": lambda **kw: mlp_discriminator(64, **kw),
    "dcgan_generator_28": lambda **kw: dcgan_generator(32, (28, 28), **kw),
    "dcgan_discriminator_28": lambda **kw: dcgan_discriminator((28, 28), **kw),
    "dcgan_generator_8": lambda **kw: dcgan_generator(16, (8, 8), **kw),
    "dcgan_discriminator_8": lambda **kw: dcgan_discriminator((8, 8), **kw),
}
every_network = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def flat(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach()


# --- every network


@every_network
def test_network_maps_flat_batches_to_flat_batches(build: Callable[..., Network]) -> None:
    network = build()
    x = normal(4, network.in_features)
    y = network(x)
    assert y.shape == (4, network.out_features)
    assert y.isfinite().all()
    for row in range(4):  # samples do not influence each other
        torch.testing.assert_close(network(x[row]), y[row], rtol=1e-4, atol=1e-6)


@every_network
@pytest.mark.parametrize("init", ["default", "orthogonal", "normal"])
def test_weights_are_a_function_of_the_seed(build: Callable[..., Network], init: str) -> None:
    assert torch.equal(flat(build(init=init, seed=3)), flat(build(init=init, seed=3)))
    assert not torch.equal(flat(build(init=init, seed=3)), flat(build(init=init, seed=4)))


@every_network
@pytest.mark.parametrize("init", ["default", "orthogonal", "normal"])
def test_weights_ignore_and_leave_alone_the_global_random_state(build: Callable[..., Network], init: str) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = flat(build(init=init))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert torch.equal(flat(build(init=init)), one)


@every_network
def test_gradient_reaches_every_parameter(build: Callable[..., Network]) -> None:
    network = build(activation="tanh", seed=2)
    (network(normal(8, network.in_features)) ** 2).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@every_network
def test_networks_work_under_functional_transforms(build: Callable[..., Network]) -> None:
    network = build()
    parameters = dict(network.named_parameters())
    x = normal(3, network.in_features)

    def norm(p: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return (torch.func.functional_call(network, p, (row,)) ** 2).sum()

    per_sample = torch.func.vmap(torch.func.grad(norm), in_dims=(None, 0))(parameters, x)
    together = torch.func.grad(lambda p: (torch.func.functional_call(network, p, (x,)) ** 2).sum())(parameters)
    for name in parameters:
        torch.testing.assert_close(per_sample[name].sum(0), together[name], rtol=1e-3, atol=1e-5)


@every_network
def test_networks_are_float32_on_the_cpu_whatever_the_defaults(build: Callable[..., Network]) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        network = build()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert torch.equal(flat(network), flat(build()))


# --- fully connected networks


def test_mlp_computes_affine_maps_and_activations() -> None:
    network = mlp((3, 4, 2), activation="tanh", output="sigmoid", input_scale=0.5, seed=1)
    w1, b1, w2, b2 = (p.detach() for p in network.parameters())
    x = normal(6, 3)
    expected = torch.sigmoid(torch.tanh(0.5 * x @ w1.T + b1) @ w2.T + b2)
    torch.testing.assert_close(network(x), expected)


def test_default_init_is_that_of_torch() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        reference = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 2))
    torch.testing.assert_close(flat(mlp((16, 64, 2), seed=9)), flat(reference), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(flat(mlp((16, 64, 2), seed=9, gain=0.5)), flat(reference) / 2, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("gain", [0.8, 1.0, 2.0])
def test_orthogonal_init_has_singular_values_gain_and_zero_bias(gain: float) -> None:
    network = mlp((2, 64, 64, 1), init="orthogonal", gain=gain)
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            singular = torch.linalg.svdvals(layer.weight.detach().double())
            torch.testing.assert_close(singular, torch.full_like(singular, gain), rtol=1e-5, atol=0)
            assert torch.equal(layer.bias, torch.zeros_like(layer.bias))


def test_normal_init_has_standard_deviation_gain_and_zero_bias() -> None:
    weight, bias = mlp((200, 200), init="normal", gain=0.02).parameters()
    assert abs(weight.std().item() - 0.02) < 4.5 * 0.02 / math.sqrt(2 * weight.numel())
    assert torch.equal(bias, torch.zeros_like(bias))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_used_between_layers_and_not_after_the_last(name: str) -> None:
    network = mlp((4, 5, 6, 3), activation=name)
    kinds = [type(layer) for layer in network.layers]
    kind = type(ACTIVATIONS[name]())
    assert kinds == [nn.Linear, kind, nn.Linear, kind, nn.Linear]


def test_leaky_relu_has_the_slope_of_the_gan_literature() -> None:
    assert ACTIVATIONS["leaky_relu"]()(torch.tensor(-1.0)).item() == pytest.approx(-0.2)


def test_tanh_generator_stays_in_the_range_of_pictures() -> None:
    network = mlp_generator(8, 64, output="tanh", init="normal", gain=1.0)
    y = network(normal(50, 8))
    assert y.abs().max() <= 1
    assert y.std() > 0.1


def test_ring_setting_has_the_sizes_of_its_description() -> None:
    g = mlp_generator(16, 2, (64, 64), init="orthogonal", gain=0.8)
    d = mlp_discriminator(2, (64, 64), activation="relu", init="orthogonal", gain=0.8, input_scale=0.25)
    for network, widths in ((g, (16, 64, 64, 2)), (d, (2, 64, 64, 1))):
        assert len(flat(network)) == sum(n_in * n_out + n_out for n_in, n_out in pairwise(widths))
    assert isinstance(d.layers[0], Scale)
    x = normal(5, 2)
    plain = mlp((2, 64, 64, 1), init="orthogonal", gain=0.8, seed=1)
    torch.testing.assert_close(d(x), plain(x / 4))


def test_players_of_default_seed_do_not_share_numbers() -> None:
    g, d = mlp_generator(16, 16, (16,)), mlp_discriminator(16, (16,))
    assert not torch.equal(next(g.parameters()), next(d.parameters()))


# --- convolutional networks


@pytest.mark.parametrize(
    ("shape", "channels"), [((28, 28), (16, 8)), ((8, 8), (16, 8)), ((8, 8), (4,)), ((8, 16), (6, 4, 2))]
)
def test_dcgan_generator_doubles_the_picture_once_per_entry(shape: tuple[int, int], channels: tuple[int, ...]) -> None:
    network = dcgan_generator(12, shape, channels)
    sides = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, y: sides.append(tuple(y.shape[-3:])))
        for layer in network.layers
        if isinstance(layer, nn.ConvTranspose2d)
    ]
    y = network(normal(3, 12))
    for hook in hooks:
        hook.remove()
    k = len(channels)
    maps = (*channels[1:], 1)
    assert sides == [(maps[i], shape[0] >> (k - 1 - i), shape[1] >> (k - 1 - i)) for i in range(k)]
    assert y.shape == (3, math.prod(shape))
    assert y.abs().max() <= 1


@pytest.mark.parametrize(("shape", "channels"), [((28, 28), (8, 16)), ((8, 8), (8, 16)), ((8, 16), (2, 4, 6))])
def test_dcgan_discriminator_halves_the_picture_once_per_entry(
    shape: tuple[int, int], channels: tuple[int, ...]
) -> None:
    network = dcgan_discriminator(shape, channels)
    last = network.layers[-1]
    assert isinstance(last, nn.Linear)
    assert last.in_features == channels[-1] * math.prod(shape) // 4 ** len(channels)
    assert network(normal(3, math.prod(shape))).shape == (3, 1)


def test_flat_pixels_are_read_row_by_row() -> None:
    network = dcgan_discriminator((8, 16), (4, 4), seed=5)
    conv = network.layers[1]
    assert isinstance(conv, nn.Conv2d)
    picture = normal(1, 8, 16)
    through = network.layers[:2](picture.reshape(1, -1))
    torch.testing.assert_close(through[0], conv(picture))


def test_batch_norm_is_off_by_default_and_goes_where_it_should() -> None:
    def norms(network: Network) -> list[int]:
        return [layer.num_features for layer in network.layers if isinstance(layer, nn.BatchNorm2d)]

    assert norms(dcgan_generator(8, (28, 28))) == []
    assert norms(dcgan_discriminator((28, 28))) == []
    assert norms(dcgan_generator(8, (28, 28), batch_norm=True)) == [16, 8]
    assert norms(dcgan_discriminator((28, 28), batch_norm=True)) == [16]  # never the first feature map


def test_batch_norm_is_frozen_by_eval() -> None:
    network = dcgan_generator(8, (8, 8), batch_norm=True).eval()
    z = normal(6, 8)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert torch.equal(network(z), network(z))
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


# --- errors


def test_impossible_networks_are_refused_with_what_is_possible() -> None:
    with pytest.raises(ValueError, match="use one of relu, leaky_relu, tanh"):
        mlp((2, 2), activation="swish")
    with pytest.raises(ValueError, match="use None, tanh, sigmoid"):
        mlp((2, 2), output="relu")
    with pytest.raises(ValueError, match="use one of default, orthogonal, normal"):
        mlp((2, 2), init="xavier")
    with pytest.raises(ValueError, match="at least 2 entries"):
        mlp((2,))
    with pytest.raises(ValueError, match="at least 1"):
        mlp((2, 0, 1))
    with pytest.raises(TypeError, match=r"2\.5"):
        mlp((2, 2.5))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="seed is None"):
        mlp((2, 2), seed=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gain is 0"):
        mlp((2, 2), gain=0.0)
    with pytest.raises(ValueError, match="scale factor is nan"):
        mlp((2, 2), input_scale=math.nan)


def test_picture_that_cannot_be_halved_so_often_is_refused() -> None:
    for build in (lambda: dcgan_generator(8, (28, 28), (8, 8, 8)), lambda: dcgan_discriminator((28, 28), (8, 8, 8))):
        with pytest.raises(ValueError, match=r"both divisible by 8\. Use fewer channels"):
            build()
    with pytest.raises(ValueError, match=r"must be \(h, w\) or \(c, h, w\)"):
        dcgan_discriminator((1, 1, 8, 8))
