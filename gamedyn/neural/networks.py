"""Small networks for neural games, initialised from a seed and from nothing else.

    G : R^latent -> R^dim,   z -> x          (generator)
    D : R^dim -> R,          x -> logit      (discriminator)                               (1)

Every network maps flat vectors (n, in_features) to flat vectors (n, out_features), images included, so that the
same game code serves points on a ring and pictures. All use torch.nn layers only; all start in float32 on the
CPU (convert with ``.to``) and never touch the global random state.

The settings that learn rings, digits and MNIST within a minute of one core:

- ring of 8: ``mlp_generator(16, 2, (64, 64), init="orthogonal", gain=0.8)`` against
  ``mlp_discriminator(2, (64, 64), activation="relu", init="orthogonal", gain=0.8, input_scale=0.25)``;
- 8x8 digits: ``mlp_generator(16, 64, output="tanh")`` against ``mlp_discriminator(64)``;
- MNIST: ``mlp_generator(32, 784, output="tanh")`` against ``mlp_discriminator(784)``, or the two dcgan networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import nn

__all__ = [
    "ACTIVATIONS",
    "Network",
    "Scale",
    "dcgan_discriminator",
    "dcgan_generator",
    "mlp",
    "mlp_discriminator",
    "mlp_generator",
]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # the slope of the GAN literature, not torch's 0.01
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}
"""Activations by name. The last four are smooth: with relu the game Jacobian jumps between linear pieces."""

_OUTPUTS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_INITS = ("default", "orthogonal", "normal")


class Scale(nn.Module):
    """x -> factor * x, with a fixed factor: brings data of known size to order one, as input/4 on the ring."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        if not (math.isfinite(factor) and factor != 0):
            raise ValueError(f"The scale factor is {factor}; it must be finite and not 0.")
        self.factor = float(factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"{self.factor}"


class Network(nn.Module):
    """Layers that map flat vectors (..., in_features) to flat vectors (..., out_features).

    Parameters
    ----------
    layers : sequence of nn.Module
        Applied in this order.
    in_features, out_features : int
        Widths of the flat input and output; a game reads the latent dimension off ``in_features``.
    """

    def __init__(self, layers: Sequence[nn.Module], *, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}"


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "relu",
    output: str | None = None,
    init: str = "default",
    gain: float = 1.0,
    input_scale: float = 1.0,
    seed: int = 0,
) -> Network:
    """A fully connected network.

        h_0 = input_scale * x;   h_{k+1} = activation(W_k h_k + b_k);   last layer: output(W h + b)

    Parameters
    ----------
    sizes : sequence of int
        Widths, input and output included: (16, 64, 64, 2) has three linear layers.
    activation : str
        Between linear layers: a name in `ACTIVATIONS` ("leaky_relu" has slope 0.2).
    output : {None, "tanh", "sigmoid"}
        After the last linear layer; None leaves it linear.
    init : {"default", "orthogonal", "normal"}
        "default": W and b uniform on ±gain/sqrt(fan in), torch's own for gain 1. "orthogonal": W = gain * Q with
        orthonormal rows or columns, b = 0. "normal": W ~ N(0, gain²), b = 0 (DCGAN: gain 0.02).
    gain : float
        Factor of the initial weights, > 0.
    input_scale : float
        Fixed factor on the input; 1 adds no layer.
    seed : int
        Of the initial weights. Give the two players of a game different seeds, or they draw the same numbers.

    Returns
    -------
    Network
        float32, on the CPU.

    Raises
    ------
    TypeError, ValueError
        Sizes, names, gain or seed that make no sense, with the ones that do.

    Examples
    --------
    >>> G = mlp((16, 64, 64, 2), init="orthogonal", gain=0.8, seed=0)
    >>> G(torch.zeros(5, 16)).shape, sum(p.numel() for p in G.parameters())
    (torch.Size([5, 2]), 5378)
    """
    widths = _sizes("sizes", sizes, at_least=2)
    layers: list[nn.Module] = [] if input_scale == 1.0 else [Scale(input_scale)]
    for k, (n_in, n_out) in enumerate(pairwise(widths)):
        if k > 0:
            layers.append(_activation(activation))
        layers.append(_linear(n_in, n_out))
    layers += _output(output)
    _activation(activation)  # a wrong name is an error even where no hidden layer uses it
    network = Network(layers, in_features=widths[0], out_features=widths[-1])
    return _initialise(network, init=init, gain=gain, seed=seed)


def mlp_generator(
    latent: int,
    dim: int,
    hidden: Sequence[int] = (128, 128),
    *,
    activation: str = "relu",
    output: str | None = None,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 0,
) -> Network:
    """G : R^latent -> R^dim, fully connected; keywords as in `mlp`.

    Pass ``output="tanh"`` for data in [-1, 1] such as images; leave it linear for point clouds.

    Examples
    --------
    >>> mlp_generator(16, 64, output="tanh")(torch.zeros(3, 16)).shape
    torch.Size([3, 64])
    """
    sizes = (latent, *hidden, dim)
    return mlp(sizes, activation=activation, output=output, init=init, gain=gain, seed=seed)


def mlp_discriminator(
    dim: int,
    hidden: Sequence[int] = (128, 128),
    *,
    activation: str = "leaky_relu",
    init: str = "default",
    gain: float = 1.0,
    input_scale: float = 1.0,
    seed: int = 1,
) -> Network:
    """D : R^dim -> R, fully connected, one logit without a sigmoid; keywords as in `mlp`.

    The default seed differs from the generator's, so that the players do not start from the same numbers.

    Examples
    --------
    >>> mlp_discriminator(2, (64, 64), input_scale=0.25)(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    sizes = (dim, *hidden, 1)
    return mlp(sizes, activation=activation, init=init, gain=gain, input_scale=input_scale, seed=seed)


def dcgan_generator(
    latent: int,
    image_shape: tuple[int, int],
    channels: Sequence[int] = (16, 8),
    *,
    activation: str = "relu",
    output: str | None = "tanh",
    batch_norm: bool = False,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 0,
) -> Network:
    """G : R^latent -> R^(h w), transposed convolutions of kernel 4, stride 2 and padding 1 [1]_.

        z -> linear -> (channels[0], h/2^k, w/2^k) -> ... -> (1, h, w) -> output -> flat,   k = len(channels)

    Parameters
    ----------
    latent : int
        Dimension of z.
    image_shape : (int, int)
        (h, w), both divisible by 2^k: 28x28 and 8x8 allow k = 1 or 2 (8x8 also 3).
    channels : sequence of int
        Channels of the hidden feature maps in the order of the data's way, coarse to fine.
    batch_norm : bool
        Normalise every hidden feature map. Its running statistics are state outside the parameters: call
        ``.eval()`` before any spectrum. Off by default.
    activation, output, init, gain, seed
        As in `mlp`.

    References
    ----------
    .. [1] Radford, Metz, Chintala (2016), Unsupervised representation learning with deep convolutional
       generative adversarial networks, ICLR.

    Examples
    --------
    >>> dcgan_generator(32, (28, 28))(torch.zeros(3, 32)).shape
    torch.Size([3, 784])
    """
    (latent,), maps = _sizes("latent", (latent,), at_least=1), _sizes("channels", channels, at_least=1)
    h, w = _coarse_shape(image_shape, len(maps))
    layers: list[nn.Module] = [_linear(latent, maps[0] * h * w), nn.Unflatten(-1, (maps[0], h, w))]
    for n_in, n_out in pairwise((*maps, 1)):
        layers += _norm(n_in, batch_norm)
        layers += [_activation(activation), _conv(nn.ConvTranspose2d, n_in, n_out)]
    layers += [*_output(output), nn.Flatten(-3)]
    network = Network(layers, in_features=latent, out_features=math.prod(image_shape))
    return _initialise(network, init=init, gain=gain, seed=seed)


def dcgan_discriminator(
    image_shape: tuple[int, int],
    channels: Sequence[int] = (8, 16),
    *,
    activation: str = "leaky_relu",
    batch_norm: bool = False,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 1,
) -> Network:
    """D : R^(h w) -> R, convolutions of kernel 4, stride 2 and padding 1, then one linear logit.

        x -> (1, h, w) -> ... -> (channels[-1], h/2^k, w/2^k) -> flat -> linear,   k = len(channels)

    Parameters and source as in `dcgan_generator`; `channels` again in the order of the data's way, here fine to
    coarse. With `batch_norm` every feature map but the first is normalised; the samples of a batch then
    influence each other, so penalties on the gradient per sample (R1, gradient penalty) lose their meaning.

    Examples
    --------
    >>> dcgan_discriminator((8, 8))(torch.zeros(3, 64)).shape
    torch.Size([3, 1])
    """
    maps = _sizes("channels", channels, at_least=1)
    h, w = _coarse_shape(image_shape, len(maps))
    layers: list[nn.Module] = [nn.Unflatten(-1, (1, *image_shape))]
    for k, (n_in, n_out) in enumerate(pairwise((1, *maps))):
        layers += [_conv(nn.Conv2d, n_in, n_out), *_norm(n_out, batch_norm and k > 0), _activation(activation)]
    layers += [nn.Flatten(-3), _linear(maps[-1] * h * w, 1)]
    network = Network(layers, in_features=math.prod(image_shape), out_features=1)
    return _initialise(network, init=init, gain=gain, seed=seed)


def _linear(n_in: int, n_out: int) -> nn.Module:
    # skip_init: the layer's own initialisation would draw from, and so move, the global random state
    return nn.utils.skip_init(nn.Linear, n_in, n_out, device="cpu", dtype=torch.float32)


def _conv(kind: type[nn.Module], n_in: int, n_out: int) -> nn.Module:
    return nn.utils.skip_init(kind, n_in, n_out, 4, stride=2, padding=1, device="cpu", dtype=torch.float32)


def _norm(channels: int, wanted: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, device="cpu", dtype=torch.float32)] if wanted else []


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise ValueError(f"There is no activation {name!r}; use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def _output(name: str | None) -> list[nn.Module]:
    if name is None:
        return []
    if name not in _OUTPUTS:
        raise ValueError(f"There is no output {name!r}; use None, {', '.join(_OUTPUTS)}.")
    return [_OUTPUTS[name]()]


def _initialise(network: Network, *, init: str, gain: float, seed: int) -> Network:
    if init not in _INITS:
        raise ValueError(f"There is no init {init!r}; use one of {', '.join(_INITS)}.")
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"gain is {gain}; it must be finite and > 0.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed is {seed!r}; it must be an int, so that the network can be made again.")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight, bias in _affine(network):
            if init == "default":
                bound = gain / math.sqrt(weight[0].numel())
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)
                continue
            if init == "orthogonal":
                nn.init.orthogonal_(weight, gain, generator=generator)
            else:
                weight.normal_(0.0, gain, generator=generator)
            bias.zero_()
    return network


def _affine(network: Network) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.bias is not None
            yield layer.weight, layer.bias


def _sizes(what: str, values: Sequence[int], at_least: int) -> tuple[int, ...]:
    values = tuple(values)
    if len(values) < at_least:
        raise ValueError(f"{what} is {values}; it needs at least {at_least} entries.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{what} has the entry {value!r}; every entry must be an int.")
        if value < 1:
            raise ValueError(f"{what} has the entry {value}; every entry must be at least 1.")
    return values


def _coarse_shape(image_shape: tuple[int, int], stages: int) -> tuple[int, int]:
    shape = _sizes("image_shape", image_shape, at_least=2)
    if len(shape) != 2 or any(side % 2**stages for side in shape):
        raise ValueError(
            f"image_shape is {shape} and channels has {stages} entries: each entry halves the image once, so "
            f"image_shape must be (h, w) with both divisible by {2**stages}. Use fewer channels."
        )
    return shape[0] // 2**stages, shape[1] // 2**stages
