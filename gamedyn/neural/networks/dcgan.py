"""Convolutional networks that halve or double the image at every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from gamedyn.neural.networks.layers import Network, activation_layer, initialise, linear, output_layers, sizes_of

__all__ = ["dcgan_discriminator", "dcgan_generator"]


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
    (latent,), maps = sizes_of("latent", (latent,), at_least=1), sizes_of("channels", channels, at_least=1)
    h, w = _coarse_shape(image_shape, len(maps))
    layers: list[nn.Module] = [linear(latent, maps[0] * h * w), nn.Unflatten(-1, (maps[0], h, w))]
    for n_in, n_out in pairwise((*maps, 1)):
        layers += _norm(n_in, batch_norm)
        layers += [activation_layer(activation), _conv(nn.ConvTranspose2d, n_in, n_out)]
    layers += [*output_layers(output), nn.Flatten(-3)]
    network = Network(layers, in_features=latent, out_features=math.prod(image_shape))
    return initialise(network, init=init, gain=gain, seed=seed)


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
    maps = sizes_of("channels", channels, at_least=1)
    h, w = _coarse_shape(image_shape, len(maps))
    layers: list[nn.Module] = [nn.Unflatten(-1, (1, *image_shape))]
    for k, (n_in, n_out) in enumerate(pairwise((1, *maps))):
        layers += [_conv(nn.Conv2d, n_in, n_out), *_norm(n_out, batch_norm and k > 0), activation_layer(activation)]
    layers += [nn.Flatten(-3), linear(maps[-1] * h * w, 1)]
    network = Network(layers, in_features=math.prod(image_shape), out_features=1)
    return initialise(network, init=init, gain=gain, seed=seed)


def _conv(kind: type[nn.Module], n_in: int, n_out: int) -> nn.Module:
    return nn.utils.skip_init(kind, n_in, n_out, 4, stride=2, padding=1, device="cpu", dtype=torch.float32)


def _norm(channels: int, wanted: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, device="cpu", dtype=torch.float32)] if wanted else []


def _coarse_shape(image_shape: tuple[int, int], stages: int) -> tuple[int, int]:
    shape = sizes_of("image_shape", image_shape, at_least=2)
    if len(shape) != 2 or any(side % 2**stages for side in shape):
        raise ValueError(
            f"image_shape is {shape} and channels has {stages} entries: each entry halves the image once, so "
            f"image_shape must be (h, w) with both divisible by {2**stages}. Use fewer channels."
        )
    return shape[0] // 2**stages, shape[1] // 2**stages
