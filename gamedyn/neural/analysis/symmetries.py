"""Continuous symmetries of the networks of a GAN, as tangent vectors at a parameter vector.

    (w_in, b, w_out) -> (a w_in, a b, w_out/a),   a > 0          for every hidden unit behind ReLU or LeakyReLU    (1)

does not change what a network computes, because these functions are positively homogeneous.  With B the diagonal matrix
of +1 on w_in and b, -1 on w_out and 0 elsewhere, the orbit of (1) has the tangent vector t = Bw, and for every cost

    v(e^{sB} w) = e^{-sB} v(w),   so that   J t = -B v                                                             (2)

The field is equivariant, not invariant: only where v = 0 is t in the null space of J, an eigenvector with λ = 0 that
says nothing about the game.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gamedyn.neural.flat import FlatNetwork
from gamedyn.neural.gan import GAN
from gamedyn.neural.networks import Network

__all__ = ["Symmetries", "symmetries"]

_HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU)
_OUT_FIRST = (nn.Linear, nn.Conv2d)  # weight (out, in, ...); transposed convolutions have (in, out, ...)
_AFFINE = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True, eq=False)
class Symmetries:
    """The one-parameter groups (1) of both networks.

    Attributes
    ----------
    tangents : Tensor `(d, m)`
        t of every group, as columns; not normalised.
    generators : Tensor `(d, m)`
        The diagonals of B.
    labels : tuple of str
        "discriminator layers.0 unit 3": the network, the layer that feeds the unit, its number.
    skipped : tuple of str
        Networks whose order of layers is not known, so that nothing was looked for in them.
    """

    tangents: Tensor
    generators: Tensor
    labels: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """The tangents, for `transversal_class(J, symmetries=...)`."""
        return np.array(self.tangents.detach().cpu().numpy(), dtype=dtype)

    def defect(self, J: Any, v: Tensor) -> Tensor:
        """‖J t + B v‖ of every group `(m,)`, which (2) says is 0 at every point.

        Parameters
        ----------
        J : operator with `J @ u`
            The game Jacobian at the point.
        v : Tensor `(d,)`
            The field there.
        """
        if not len(self):
            return v.new_zeros(0)
        products = torch.stack([J @ t for t in self.tangents.T], dim=1)
        return torch.linalg.vector_norm(products + self.generators * v[:, None], dim=0)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for label in self.labels:
            layer = label.rsplit(" unit ", 1)[0]
            counts[layer] = counts.get(layer, 0) + 1
        lines = [f"{len(self)} rescalings of hidden units, d = {self.tangents.shape[0]}"]
        lines += [f"  {layer}: {n} unit{'' if n == 1 else 's'}" for layer, n in counts.items()]
        lines += [f"  {name}: not looked at, its order of layers is not known" for name in self.skipped]
        return "\n".join(lines)


def symmetries(gan: GAN, z: Tensor | None = None) -> Symmetries:
    """The rescalings (1) of a GAN's hidden units at a parameter vector.

    Found are units between two affine layers (linear, or convolutions of one kind after another) with ReLU or LeakyReLU
    and nothing else in between, in a `Network` or a `nn.Sequential`.

    Parameters
    ----------
    gan : GAN
    z : Tensor `(d,)`, optional
        By default the networks' present parameters.

    Returns
    -------
    Symmetries

    Raises
    ------
    ValueError
        If z has another length.

    Examples
    --------
    >>> from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring
    >>> from gamedyn.neural.analysis.symmetries import symmetries
    >>> symmetries(GAN(mlp_generator(4, 2, (8,)), mlp_discriminator(2, (6, 6)), data=ring(n=256)))
    20 rescalings of hidden units, d = 125
      generator layers.0: 8 units
      discriminator layers.0: 6 units
      discriminator layers.2: 6 units
    """
    w = gan.initial() if z is None else z
    if w.shape != (gan.dim,):
        raise ValueError(f"'{gan.name}' has d = {gan.dim} parameters, got a vector of shape {tuple(w.shape)}")
    columns, labels, skipped = [], [], []
    for net, player in zip(gan.networks, gan.players, strict=True):
        layers = _in_order(net.module)
        if layers is None:
            skipped.append(net.role)
            continue
        offsets = _offsets(net, player.start)
        for first, second in _pairs(layers):
            for unit, diagonal in _rescalings(w, offsets, first, second):
                columns.append(diagonal)
                labels.append(f"{net.role} {first[0]} unit {unit}")
    generators = torch.stack(columns, dim=1) if columns else w.new_zeros((gan.dim, 0))
    return Symmetries(generators * w.detach()[:, None], generators, tuple(labels), tuple(skipped))


Named = tuple[str, nn.Module]


def _in_order(module: nn.Module, prefix: str = "") -> list[Named] | None:
    """The layers with their names in the order of evaluation, None if that is not known."""
    if type(module) is Network:
        return _in_order(module.layers, f"{prefix}layers.")
    if type(module) is not nn.Sequential:
        return None
    layers: list[Named] = []
    for name, child in module.named_children():
        inner = _in_order(child, f"{prefix}{name}.")
        layers += [(f"{prefix}{name}", child)] if inner is None else inner
    return layers


def _pairs(layers: list[Named]) -> Iterator[tuple[Named, Named]]:
    """Affine layers with a homogeneous activation between them."""
    for first, between, second in zip(layers, layers[1:], layers[2:], strict=False):
        plain = type(first[1]) in _AFFINE and type(second[1]) in _AFFINE and isinstance(between[1], _HOMOGENEOUS)
        same = isinstance(first[1], nn.Linear) == isinstance(second[1], nn.Linear)
        grouped = any(getattr(layer, "groups", 1) != 1 for _, layer in (first, second))
        once = sum(layer is first[1] or layer is second[1] for _, layer in layers) == 2
        if plain and same and not grouped and once:
            yield first, second


def _offsets(net: FlatNetwork, start: int) -> dict[str, tuple[int, torch.Size]]:
    """Where every trainable parameter stands in the vector, and its shape."""
    table = {}
    for name, shape, size in zip(net.names, net.shapes, net.sizes, strict=True):
        table[name] = (start, shape)
        start += size
    return table


def _rescalings(
    w: Tensor, offsets: dict[str, tuple[int, torch.Size]], first: Named, second: Named
) -> Iterator[tuple[int, Tensor]]:
    """The diagonal of B for every unit between two layers; none if a parameter that it needs is no coordinate."""
    needed = [f"{first[0]}.weight", f"{second[0]}.weight"]
    if first[1].bias is not None:
        needed.append(f"{first[0]}.bias")
    if any(name not in offsets for name in needed):
        return
    out_axis = 0 if isinstance(first[1], _OUT_FIRST) else 1
    in_axis = 1 if isinstance(second[1], _OUT_FIRST) else 0
    units = offsets[needed[0]][1][out_axis]
    for unit in range(units):
        diagonal = w.new_zeros(len(w))
        _view(diagonal, offsets[needed[0]]).select(out_axis, unit).fill_(1)
        _view(diagonal, offsets[needed[1]]).select(in_axis, unit).fill_(-1)
        if len(needed) == 3:
            _view(diagonal, offsets[needed[2]]).select(0, unit).fill_(1)
        yield unit, diagonal


def _view(vector: Tensor, place: tuple[int, torch.Size]) -> Tensor:
    start, shape = place
    return vector[start : start + shape.numel()].view(shape)
