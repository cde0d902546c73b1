"""What networks are built of: activations by name, a fixed scale, layers that start from a seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "Network", "Scale"]

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


def linear(n_in: int, n_out: int) -> nn.Module:
    # skip_init: the layer's own initialisation would draw from, and so move, the global random state
    return nn.utils.skip_init(nn.Linear, n_in, n_out, device="cpu", dtype=torch.float32)


def activation_layer(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise ValueError(f"There is no activation {name!r}; use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def output_layers(name: str | None) -> list[nn.Module]:
    if name is None:
        return []
    if name not in _OUTPUTS:
        raise ValueError(f"There is no output {name!r}; use None, {', '.join(_OUTPUTS)}.")
    return [_OUTPUTS[name]()]


def initialise(network: Network, *, init: str, gain: float, seed: int) -> Network:
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
                bias.uniform_(-bound, bound, generator=generator)
                continue
            if init == "orthogonal":
                nn.init.orthogonal_(weight, gain, generator=generator)
            else:
                weight.normal_(0.0, gain, generator=generator)
            bias.zero_()
    return network


def affine(network: Network) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.bias is not None
            yield layer.weight, layer.bias


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
