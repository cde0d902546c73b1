"""What networks are built of: activations by name, fixed maps, normalisations, layers that start from a seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "NORMS", "MapNorm", "Network", "Resize", "Scale"]

Module = TypeVar("Module", bound=nn.Module)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # the slope of the GAN literature, not torch's 0.01
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}
"""Activations by name. The last four are smooth; with the first two the field v jumps, which J leaves out."""

_OUTPUTS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_INITS = ("default", "orthogonal", "normal")

NORMS: dict[str, tuple[int, ...]] = {
    "batch": (0, -2, -1),
    "instance": (-2, -1),
    "layer": (-3, -2, -1),
    "pixel": (-3,),
}
"""Normalisations of feature maps (n, c, h, w) by name: the axes whose statistics are taken."""

SHIFTS_LOST = ("batch", "instance")
"""Normalisations that take out what a bias before them adds, so that such layers are built without one."""


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


class Resize(nn.Module):
    """(..., h, w) -> (..., factor h, factor w): every pixel becomes a square of factor x factor equal ones.

    Examples
    --------
    >>> Resize(2)(torch.tensor([[1.0, 2.0]]))
    tensor([[1., 1., 2., 2.],
            [1., 1., 2., 2.]])
    """

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        (self.factor,) = sizes_of("factor", (factor,), at_least=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # not nn.Upsample: that one takes a picture without a batch axis for a signal, and stretches one axis only
        *lead, h, w = x.shape
        k = self.factor
        return x[..., :, None, :, None].expand(*lead, h, k, w, k).reshape(*lead, h * k, w * k)

    def extra_repr(self) -> str:
        return f"{self.factor}"


class MapNorm(nn.Module):
    """Feature maps (n, c, h, w) brought to mean 0 and variance 1 over some axes; nothing is remembered.

        y = gain_c * (x - mean x) / sqrt(var x + eps) + shift_c      "batch", "instance", "layer"
        y = x / sqrt(mean_c x^2 + eps)                               "pixel" [1]_, without parameters

    "batch" takes its statistics from the rows at hand at every call, in training and in analysis alike: it has no
    running statistics, so a game may contain it, but the rows of a batch meet. The others treat every row alone.

    Parameters
    ----------
    kind : {"batch", "instance", "layer", "pixel"}
        The axes of the statistics: (n, h, w), (h, w), (c, h, w) or (c,).
    channels : int
        c, for gain and shift, which start at 1 and 0.

    References
    ----------
    .. [1] Karras, Aila, Laine, Lehtinen (2018), Progressive growing of GANs for improved quality, stability, and
       variation, ICLR.

    Examples
    --------
    >>> y = MapNorm("instance", 3)(torch.arange(48.0).reshape(1, 3, 4, 4))
    >>> y.mean((-2, -1)).abs().max() < 1e-6, y.std((-2, -1), correction=0)
    (tensor(True), tensor([[1.0000, 1.0000, 1.0000]], grad_fn=<StdBackward0>))
    """

    def __init__(self, kind: str, channels: int, *, eps: float | None = None) -> None:
        super().__init__()
        check_norm(kind)
        self.kind, self.channels = kind, channels
        self.eps = eps if eps is not None else 1e-8 if kind == "pixel" else 1e-5
        if kind != "pixel":
            self.gain = nn.Parameter(torch.ones(channels, 1, 1, device="cpu", dtype=torch.float32))
            self.shift = nn.Parameter(torch.zeros(channels, 1, 1, device="cpu", dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = tuple(axis for axis in NORMS[self.kind] if axis != 0 or x.ndim == 4)
        if self.kind == "pixel":
            return x * (x.square().mean(axes, keepdim=True) + self.eps).rsqrt()
        centred = x - x.mean(axes, keepdim=True)
        return centred * (centred.square().mean(axes, keepdim=True) + self.eps).rsqrt() * self.gain + self.shift

    def extra_repr(self) -> str:
        return f"{self.kind}, {self.channels}"


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


def linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Module:
    # skip_init: the layer's own initialisation would draw from, and so move, the global random state
    return nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias, device="cpu", dtype=torch.float32)


def activation_layer(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise ValueError(f"There is no activation {name!r}; use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def check_norm(name: str | None) -> None:
    if name is not None and name not in NORMS:
        raise ValueError(f"There is no normalisation {name!r}; use None, {', '.join(NORMS)}.")


def norm_layers(name: str | None, channels: int, pixels: int) -> list[nn.Module]:
    if name == "instance" and pixels == 1:
        raise ValueError("norm='instance' would set a map of one pixel to 0. Use fewer channels or another norm.")
    return [] if name is None else [MapNorm(name, channels)]


def output_layers(name: str | None) -> list[nn.Module]:
    if name is None:
        return []
    if name not in _OUTPUTS:
        raise ValueError(f"There is no output {name!r}; use None, {', '.join(_OUTPUTS)}.")
    return [_OUTPUTS[name]()]


def initialise(network: Module, *, init: str = "default", gain: float = 1.0, seed: int) -> Module:
    if init not in _INITS:
        raise ValueError(f"There is no init {init!r}; use one of {', '.join(_INITS)}.")
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"gain is {gain}; it must be finite and > 0.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed is {seed!r}; it must be an int, so that the network can be made again.")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight, bias in affine(network):
            if init == "default":
                bound = gain / math.sqrt(weight[0].numel())
                weight.uniform_(-bound, bound, generator=generator)
                if bias is not None:
                    bias.uniform_(-bound, bound, generator=generator)
                continue
            if init == "orthogonal":
                nn.init.orthogonal_(weight, gain, generator=generator)
            else:
                weight.normal_(0.0, gain, generator=generator)
            if bias is not None:
                bias.zero_()
    return network


def affine(network: nn.Module) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            yield layer.weight, layer.bias


def picture_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """(c, h, w) of an image shape (h, w) or (c, h, w)."""
    shape = sizes_of("image_shape", image_shape, at_least=2)
    if len(shape) > 3:
        raise ValueError(f"image_shape is {shape}; it must be (h, w) or (c, h, w).")
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, shape[0], shape[1])


def sizes_of(what: str, values: Sequence[int], at_least: int) -> tuple[int, ...]:
    values = tuple(values)
    if len(values) < at_least:
        raise ValueError(f"{what} is {values}; it needs at least {at_least} entries.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{what} has the entry {value!r}; every entry must be an int.")
        if value < 1:
            raise ValueError(f"{what} has the entry {value}; every entry must be at least 1.")
    return values
