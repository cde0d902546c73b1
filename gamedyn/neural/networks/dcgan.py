"""Convolutional networks that halve or double the image at every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from gamedyn.neural.networks.layers import (
    SHIFTS_LOST,
    Network,
    Resize,
    activation_layer,
    check_norm,
    initialise,
    linear,
    norm_layers,
    output_layers,
    picture_shape,
    sizes_of,
)
from gamedyn.neural.networks.minibatch import minibatch_layer

__all__ = ["UPSAMPLINGS", "dcgan_discriminator", "dcgan_generator"]

UPSAMPLINGS = ("transposed", "resize")
KERNEL, RESIZE_KERNEL = 4, 3


def dcgan_generator(
    latent: int,
    image_shape: Sequence[int],
    channels: Sequence[int] = (16, 8),
    *,
    activation: str = "relu",
    output: str | None = "tanh",
    upsampling: str = "transposed",
    kernel: int | None = None,
    norm: str | None = None,
    batch_norm: bool = False,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 0,
) -> Network:
    """G : R^latent -> R^(c h w), transposed convolutions of kernel 4, stride 2 and padding 1 [1]_.

        z -> linear -> (channels[0], h/2^k, w/2^k) -> ... -> (c, h, w) -> output -> flat,   k = len(channels)

    Parameters
    ----------
    latent : int
        Dimension of z.
    image_shape : (int, int) or (int, int, int)
        (h, w), or (c, h, w) for c colours, flattened in this order; h and w divisible by 2^k: 28x28 and 8x8 allow
        k = 1 or 2 (8x8 also 3).
    channels : sequence of int
        Channels of the hidden feature maps in the order of the data's way, coarse to fine.
    upsampling : {"transposed", "resize"}
        "resize": every pixel becomes a square of 2x2, then a convolution of stride 1. It writes every output pixel
        equally often with the same weights, where a transposed convolution leaves a checkerboard [2]_.
    kernel : int, optional
        By default 4 for transposed convolutions and 3 for "resize", which needs an odd one. An odd kernel of a
        transposed convolution overlaps unevenly: see `overlap_unevenness`.
    norm : {None, "batch", "instance", "layer", "pixel"}
        `MapNorm` of every hidden feature map, without running statistics.
    batch_norm : bool
        Normalise every hidden feature map by torch's layer. Its running statistics are state outside the parameters:
        call ``.eval()`` before any spectrum. ``norm="batch"`` has none. Off by default.
    activation, output, init, gain, seed
        As in `mlp`.

    References
    ----------
    .. [1] Radford, Metz, Chintala (2016), Unsupervised representation learning with deep convolutional
       generative adversarial networks, ICLR.
    .. [2] Odena, Dumoulin, Olah (2016), Deconvolution and checkerboard artifacts, Distill.

    Examples
    --------
    >>> dcgan_generator(32, (28, 28))(torch.zeros(3, 32)).shape
    torch.Size([3, 784])
    >>> dcgan_generator(32, (3, 28, 28), upsampling="resize")(torch.zeros(3, 32)).shape
    torch.Size([3, 2352])
    """
    (latent,), maps = sizes_of("latent", (latent,), at_least=1), sizes_of("channels", channels, at_least=1)
    colours, h, w = _coarse_shape(image_shape, len(maps))
    up = _Upsampling(upsampling, kernel)
    layers: list[nn.Module] = [linear(latent, maps[0] * h * w), nn.Unflatten(-1, (maps[0], h, w))]
    for k, (n_in, n_out) in enumerate(pairwise((*maps, colours))):
        layers += _norms(n_in, norm, batch_norm, (h << k) * (w << k))
        bias = k == len(maps) - 1 or norm not in SHIFTS_LOST  # the last map is not normalised
        layers += [activation_layer(activation), *up.layers(n_in, n_out, bias)]
    layers += [*output_layers(output), nn.Flatten(-3)]
    network = Network(layers, in_features=latent, out_features=math.prod(image_shape))
    return initialise(network, init=init, gain=gain, seed=seed)


def dcgan_discriminator(
    image_shape: Sequence[int],
    channels: Sequence[int] = (8, 16),
    *,
    activation: str = "leaky_relu",
    kernel: int = KERNEL,
    norm: str | None = None,
    batch_norm: bool = False,
    minibatch: str | None = None,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 1,
) -> Network:
    """D : R^(c h w) -> R, convolutions of kernel 4, stride 2 and padding 1, then one linear logit.

        x -> (c, h, w) -> ... -> (channels[-1], h/2^k, w/2^k) -> flat -> linear,   k = len(channels)

    Parameters and source as in `dcgan_generator`; `channels` again in the order of the data's way, here fine to
    coarse. With `norm` or `batch_norm` every feature map but the first is normalised. Under batch normalisation of
    either kind, and with `minibatch`, the samples of a batch influence each other, so penalties on the gradient
    per sample (R1, gradient penalty) lose their meaning.

    Parameters
    ----------
    minibatch : {None, "discrimination", "standard_deviation"}
        Before the logit a layer that compares the rows of a batch: `MinibatchDiscrimination` of the flat features, or
        one more map from `MinibatchStandardDeviation`.

    Examples
    --------
    >>> dcgan_discriminator((8, 8))(torch.zeros(3, 64)).shape
    torch.Size([3, 1])
    """
    maps = sizes_of("channels", channels, at_least=1)
    colours, h, w = _coarse_shape(image_shape, len(maps))
    layers: list[nn.Module] = [nn.Unflatten(-1, picture_shape(image_shape))]
    for k, (n_in, n_out) in enumerate(pairwise((colours, *maps))):
        bias = k == 0 or norm not in SHIFTS_LOST
        layers.append(strided(nn.Conv2d, n_in, n_out, kernel, bias=bias))
        stage = len(maps) - 1 - k
        between = _norms(n_out, norm, batch_norm, (h << stage) * (w << stage))
        layers += between if k else []
        layers.append(activation_layer(activation))
    layers += to_logit(maps[-1], h * w, minibatch)
    network = Network(layers, in_features=math.prod(image_shape), out_features=1)
    return initialise(network, init=init, gain=gain, seed=seed)


def to_logit(channels: int, pixels: int, minibatch: str | None) -> list[nn.Module]:
    """(n, channels, h, w) -> (n, 1): comparison of the rows if wanted, then one linear layer."""
    on_maps, more = minibatch_layer(minibatch, channels, flat=False)
    features = (channels + more) * pixels
    on_rows, more = minibatch_layer(minibatch, features, flat=True) if not on_maps else ([], 0)
    return [*on_maps, nn.Flatten(-3), *on_rows, linear(features + more, 1)]


class _Upsampling:
    """The layers that double a picture."""

    def __init__(self, kind: str, kernel: int | None) -> None:
        if kind not in UPSAMPLINGS:
            raise ValueError(f"There is no upsampling {kind!r}; use one of {', '.join(UPSAMPLINGS)}.")
        self.resize = kind == "resize"
        self.kernel = kernel if kernel is not None else RESIZE_KERNEL if self.resize else KERNEL
        if self.resize and self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}; after a resize it must be odd, so that the size stays. Use 3.")

    def layers(self, n_in: int, n_out: int, bias: bool) -> list[nn.Module]:
        if self.resize:
            return [Resize(2), same_size(n_in, n_out, self.kernel, bias=bias)]
        return [strided(nn.ConvTranspose2d, n_in, n_out, self.kernel, bias=bias)]


def strided(kind: type[nn.Module], n_in: int, n_out: int, kernel: int, *, bias: bool = True) -> nn.Module:
    """A convolution of stride 2 that halves the picture exactly, or a transposed one that doubles it."""
    (kernel,) = sizes_of("kernel", (kernel,), at_least=1)
    if kernel < 2:
        raise ValueError("kernel is 1; with stride 2 it must be at least 2, or pixels are left out.")
    odd = kernel % 2
    padding = (kernel - 2 + odd) // 2
    more = {"output_padding": odd} if kind is nn.ConvTranspose2d else {}
    return nn.utils.skip_init(
        kind, n_in, n_out, kernel, stride=2, padding=padding, bias=bias, device="cpu", dtype=torch.float32, **more
    )


def same_size(n_in: int, n_out: int, kernel: int = RESIZE_KERNEL, *, bias: bool = True) -> nn.Module:
    """A convolution of odd kernel and stride 1 that keeps the picture's size."""
    return nn.utils.skip_init(
        nn.Conv2d, n_in, n_out, kernel, padding=kernel // 2, bias=bias, device="cpu", dtype=torch.float32
    )


def _norms(channels: int, norm: str | None, batch_norm: bool, pixels: int) -> list[nn.Module]:
    check_norm(norm)
    if not batch_norm:
        return norm_layers(norm, channels, pixels)
    if norm is not None:
        raise ValueError(f"norm={norm!r} and batch_norm=True are two normalisations; give one of them.")
    return [nn.BatchNorm2d(channels, device="cpu", dtype=torch.float32)]


def _coarse_shape(image_shape: Sequence[int], stages: int) -> tuple[int, int, int]:
    colours, h, w = picture_shape(image_shape)
    if h % 2**stages or w % 2**stages:
        raise ValueError(
            f"image_shape is {tuple(image_shape)} and channels has {stages} entries: each entry halves the image once, "
            f"so image_shape must be (h, w) or (c, h, w) with h and w both divisible by {2**stages}. "
            f"Use fewer channels."
        )
    return colours, h // 2**stages, w // 2**stages
