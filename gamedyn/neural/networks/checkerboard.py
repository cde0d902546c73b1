"""Checkerboards: how unevenly a transposed convolution writes, and how much of a picture repeats with its stride.

    n(i) = #{(j, k) : i = stride j + k, 0 <= k < kernel}       writes to output pixel i       (1)

Where n is uneven, a generator with equal weights already paints a pattern of the stride's period, and training has to
work against it [1]_.

References
----------
.. [1] Odena, Dumoulin, Olah (2016), Deconvolution and checkerboard artifacts, Distill.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv_transpose1d, conv_transpose2d

from gamedyn.neural.networks.layers import picture_shape, sizes_of

__all__ = ["checkerboard_energy", "kernel_overlap", "overlap_unevenness"]


def kernel_overlap(kernel: int, stride: int, *, dims: int = 2) -> Tensor:
    """n(i) of (1) over one period, far from the border: how often a transposed convolution writes each output pixel.

    Found by applying one with unit weights to a picture of ones.

    Parameters
    ----------
    kernel, stride : int
        The same along every axis.
    dims : {1, 2}

    Returns
    -------
    Tensor
        `(stride,)` or `(stride, stride)`, integers; the first pixel is one that the kernel's first entry meets.

    Examples
    --------
    >>> kernel_overlap(3, 2)
    tensor([[4, 2],
            [2, 1]])
    >>> kernel_overlap(4, 2, dims=1)
    tensor([2, 2])
    """
    kernel, stride = sizes_of("kernel and stride", (kernel, stride), at_least=2)
    if dims not in (1, 2):
        raise ValueError(f"dims is {dims!r}; it must be 1 or 2.")
    reach = -(-kernel // stride)  # inputs whose kernels meet at one output pixel
    n = 2 * reach + 1
    ones, weight = torch.ones((1, 1, *(n,) * dims)), torch.ones((1, 1, *(kernel,) * dims))
    written = (conv_transpose1d if dims == 1 else conv_transpose2d)(ones, weight, stride=stride)
    period = slice(stride * reach, stride * (reach + 1))
    inside = written[0, 0, period] if dims == 1 else written[0, 0, period, period]
    return inside.round().to(torch.int64)


def overlap_unevenness(kernel: int, stride: int, *, dims: int = 2) -> float:
    """max n / min n of `kernel_overlap`: 1 is even, inf means that pixels are left out (kernel < stride).

    It is 1 exactly if the stride divides the kernel, and in two dimensions the square of that in one.

    Examples
    --------
    >>> overlap_unevenness(3, 2), overlap_unevenness(4, 2)
    (4.0, 1.0)
    """
    n = kernel_overlap(kernel, stride, dims=dims)
    return float(n.max() / n.min())


def checkerboard_energy(images: Tensor, stride: int = 2, *, image_shape: Sequence[int] | None = None) -> float:
    """Share of the pictures' variance in waves that return after `stride` pixels along an axis.

        X = DFT of a picture in both axes,   A = {(u, v) : s u = 0 mod h and u != 0, or s v = 0 mod w and v != 0}
        energy = Σ_A |X|^2 / Σ_{(u,v) != 0} |X|^2,   sums over all pictures and colours                (1)

    0 for a picture of slow waves alone, 1 for one that alternates with the stride along an axis. White noise has
    |A|/(h w - 1), for stride 2 the share (h + w - 1)/(h w - 1): compare with that, and with the data. Brightness,
    contrast, flips, transposition, cyclic shifts and the order of the pictures do not matter. A picture that is no
    cyclic one leaks: a ramp of n pixels has 3/(n^2 - 1).

    Parameters
    ----------
    images : Tensor
        (..., h, w); or rows (n, c h w) together with `image_shape`.
    stride : int
        s >= 2; it must divide h and w.
    image_shape : (int, int) or (int, int, int), optional
        (h, w) or (c, h, w) of flat rows.

    Returns
    -------
    float
        In [0, 1]; 0 for pictures without contrast.

    Raises
    ------
    ValueError
        Shapes that the stride does not divide, or values that are not finite.

    Examples
    --------
    >>> board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)
    >>> checkerboard_energy(board)
    1.0
    >>> waves = torch.cos(torch.arange(8.0) * torch.pi / 4).expand(8, 8)
    >>> round(checkerboard_energy(waves), 6)
    0.0
    """
    x = _pictures(images, image_shape)
    h, w = x.shape[-2:]
    (stride,) = sizes_of("stride", (stride,), at_least=1)
    if stride < 2 or h % stride or w % stride:
        raise ValueError(f"stride is {stride}; it must be at least 2 and divide both sides of {h} x {w} pictures.")
    if not bool(x.isfinite().all()):
        raise ValueError(f"{int((~x.isfinite()).sum())} values of the pictures are not finite.")
    contrast = x - x.mean((-2, -1), keepdim=True)
    power = torch.fft.fft2(contrast).abs().square().sum(0)
    power[0, 0] = 0.0  # what rounding left of the mean
    total = float(power.sum())
    if total <= h * w * torch.finfo(x.dtype).eps ** 2 * float(x.square().sum()):  # rounding of the mean, no contrast
        return 0.0
    on = torch.zeros((h, w), dtype=torch.bool, device=x.device)
    on[h // stride :: h // stride, :] = True
    on[:, w // stride :: w // stride] = True
    return float(power[on].sum()) / total


def _pictures(images: Tensor, image_shape: Sequence[int] | None) -> Tensor:
    """(m, h, w) in double precision, colours as pictures of their own."""
    x = images.detach().double()
    if image_shape is None:
        if x.ndim < 2 or 0 in x.shape:
            raise ValueError(f"images have shape {tuple(x.shape)}; they must be (..., h, w), or give image_shape.")
        return x.reshape(-1, *x.shape[-2:])
    c, h, w = picture_shape(image_shape)
    if x.ndim < 1 or 0 in x.shape or x.shape[-1] != c * h * w:
        raise ValueError(f"rows have shape {tuple(x.shape)}; pictures of {tuple(image_shape)} need (n, {c * h * w}).")
    return x.reshape(-1, h, w)
