"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from gamedyn.neural.networks.layers import Network, Scale, activation_layer, initialise, linear, output_layers, sizes_of
from gamedyn.neural.networks.minibatch import minibatch_layer

__all__ = ["mlp", "mlp_discriminator", "mlp_generator"]


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
    >>> import torch
    >>> G = mlp((16, 64, 64, 2), init="orthogonal", gain=0.8, seed=0)
    >>> G(torch.zeros(5, 16)).shape, sum(p.numel() for p in G.parameters())
    (torch.Size([5, 2]), 5378)
    """
    widths = sizes_of("sizes", sizes, at_least=2)
    layers = [*_layers(widths, activation, input_scale), *output_layers(output)]
    network = Network(layers, in_features=widths[0], out_features=widths[-1])
    return initialise(network, init=init, gain=gain, seed=seed)


def _layers(widths: Sequence[int], activation: str, input_scale: float) -> list[nn.Module]:
    """The input's scale, then linear layers with activations between them."""
    layers: list[nn.Module] = [] if input_scale == 1.0 else [Scale(input_scale)]
    for k, (n_in, n_out) in enumerate(pairwise(widths)):
        if k > 0:
            layers.append(activation_layer(activation))
        layers.append(linear(n_in, n_out))
    activation_layer(activation)  # a wrong name is an error even where no hidden layer uses it
    return layers


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
    >>> import torch
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
    minibatch: str | None = None,
    seed: int = 1,
) -> Network:
    """D : R^dim -> R, fully connected, one logit without a sigmoid; keywords as in `mlp`.

    The default seed differs from the generator's, so that the players do not start from the same numbers.

    Parameters
    ----------
    minibatch : {None, "discrimination", "standard_deviation"}
        A layer before the logit that compares the rows of a batch: `MinibatchDiscrimination` or
        `MinibatchStandardDeviation`.

    Examples
    --------
    >>> import torch
    >>> mlp_discriminator(2, (64, 64), input_scale=0.25)(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    sizes = sizes_of("dim and hidden", (dim, *hidden, 1), at_least=2)
    layers = _layers(sizes[:-1], activation, input_scale)
    if len(sizes) > 2:
        layers.append(activation_layer(activation))
    extra, more = minibatch_layer(minibatch, sizes[-2], flat=True)
    network = Network([*layers, *extra, linear(sizes[-2] + more, 1)], in_features=dim, out_features=1)
    return initialise(network, init=init, gain=gain, seed=seed)
