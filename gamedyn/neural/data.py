"""Data for neural games: pictures and point clouds as one flat tensor, with what is known of them.

    x_1, ..., x_n ~ p_data,   x_i in R^d                                                    (1)

Pictures (`digits`, `mnist`) are scaled to [-1, 1] and flattened row by row; point clouds (`ring`, `grid`,
`gaussians_1d`) keep their coordinates and their true `modes`, so that lost ones can be counted. Nothing here
downloads, and every draw comes from a seed or a generator that the caller gives.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gamedyn.neural.idx import Checksum, load_mnist

__all__ = ["Dataset", "digits", "from_tensor", "gaussians_1d", "grid", "mnist", "ring"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A finite sample of p_data, and draws from it.

    Parameters
    ----------
    name : str
        What it is, for tables and figures.
    x : torch.Tensor
        (n, d), floating point and finite: one sample per row. Pictures lie in [-1, 1].
    labels : torch.Tensor, optional
        (n,), integers: the class, or the mode that the row was drawn from.
    image_shape : (int, int), optional
        (h, w) with h w = d, where rows are pictures.
    modes : torch.Tensor, optional
        (k, d): the true centres of p_data.
    std : float, optional
        The standard deviation around each mode, in every coordinate.
    seed : int, optional
        The seed that x was drawn from.

    Raises
    ------
    TypeError, ValueError
        Shapes that do not belong together, or x not floating point or not finite.

    Examples
    --------
    >>> data = ring(seed=0)
    >>> data
    Dataset(ring: 10000 x 2, float32 on cpu, 8 modes, std 0.02, seed 0)
    >>> data.batch(128, torch.Generator().manual_seed(1)).shape
    torch.Size([128, 2])
    """

    name: str
    x: torch.Tensor
    labels: torch.Tensor | None = None
    image_shape: tuple[int, int] | None = None
    modes: torch.Tensor | None = None
    std: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        x = self.x
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            given = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise TypeError(f"{self.name}: x is {given}; it must be a floating-point tensor, e.g. bytes / 127.5 - 1.")
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"{self.name}: x has shape {tuple(x.shape)}; it must be (n, d). See from_tensor.")
        if not bool(x.isfinite().all()):
            raise ValueError(f"{self.name}: {int((~x.isfinite()).sum())} entries of x are not finite. Remove them.")
        self._check_companions()

    def _check_companions(self) -> None:
        n, d = self.x.shape
        if self.labels is not None and (self.labels.shape != (n,) or self.labels.is_floating_point()):
            given = f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            raise ValueError(f"{self.name}: labels are {given}; they must be integers of shape ({n},), one per row.")
        if self.image_shape is not None and (len(self.image_shape) != 2 or math.prod(self.image_shape) != d):
            raise ValueError(f"{self.name}: image_shape is {self.image_shape}; it must be (h, w) with h w = {d}.")
        if self.modes is not None and (self.modes.ndim != 2 or self.modes.shape[1] != d):
            raise ValueError(f"{self.name}: modes have shape {tuple(self.modes.shape)}; it must be (k, {d}).")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def dim(self) -> int:
        """The dimension d of one sample."""
        return self.x.shape[1]

    def batch(self, size: int, generator: torch.Generator) -> torch.Tensor:
        """`size` different rows, uniformly at random: (size, d).

        Rows are drawn without replacement inside the batch and afresh for the next one. Indices are drawn on the
        generator's device, so one CPU generator gives the same batches on every device.

        Raises
        ------
        ValueError
            `size` is below 1 or above n.
        """
        return self.x[self._draw(size, generator)]

    def split(self, size: int, generator: torch.Generator) -> tuple[Dataset, Dataset]:
        """A random part of `size` rows and the rest, disjoint: real against real calibrates a measure.

        Raises
        ------
        ValueError
            `size` is below 1 or leaves no rest.
        """
        if size >= len(self):
            raise ValueError(f"{self.name}: a part of {size} of {len(self)} rows leaves no rest; use a smaller size.")
        chosen = self._draw(size, generator)
        rest = torch.ones(len(self), dtype=torch.bool, device=self.x.device)
        rest[chosen] = False
        return self._rows(chosen), self._rows(rest)

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """The same data on another device or in another floating-point type; labels keep their type."""
        return replace(
            self,
            x=self.x.to(device=device, dtype=dtype),
            labels=None if self.labels is None else self.labels.to(device=device),
            modes=None if self.modes is None else self.modes.to(device=device, dtype=dtype),
        )

    def _draw(self, size: int, generator: torch.Generator) -> torch.Tensor:
        if not 1 <= size <= len(self):
            raise ValueError(f"{self.name}: {size} different rows of {len(self)} asked for; use 1 to {len(self)}.")
        if size * 20 > len(self):
            order = torch.randperm(len(self), generator=generator, device=generator.device)
            return order[:size].to(self.x.device)
        # a few rows of many: shuffling all n would cost more than a training step on them
        chosen: dict[int, None] = {}
        while len(chosen) < size:
            draws = torch.randint(len(self), (size - len(chosen),), generator=generator, device=generator.device)
            chosen.update(dict.fromkeys(draws.tolist()))
        return torch.tensor(list(chosen), device=self.x.device)

    def _rows(self, index: torch.Tensor) -> Dataset:
        return replace(self, x=self.x[index], labels=None if self.labels is None else self.labels[index])

    def __repr__(self) -> str:
        kind = str(self.x.dtype).removeprefix("torch.")
        parts = [f"{self.name}: {len(self)} x {self.dim}", f"{kind} on {self.x.device}"]
        if self.image_shape is not None:
            parts.append("{} x {} pixels".format(*self.image_shape))
        if self.modes is not None:
            parts.append(f"{len(self.modes)} modes")
        elif self.labels is not None:
            parts.append(f"{len(self.labels.unique())} classes")
        if self.std is not None:
            parts.append(f"std {self.std:g}")
        if self.seed is not None:
            parts.append(f"seed {self.seed}")
        return f"Dataset({', '.join(parts)})"


def from_tensor(
    x: torch.Tensor,
    *,
    name: str = "tensor",
    labels: torch.Tensor | None = None,
    modes: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """A data set from any floating-point tensor; later changes of `x` do not reach it.

    Parameters
    ----------
    x : torch.Tensor
        (n,) numbers, (n, d) points or (n, h, w) pictures. Values are kept: scale pictures to [-1, 1] yourself.
    name, labels, modes
        As in `Dataset`.
    dtype : torch.dtype
        Of the copy, float32 by default.

    Raises
    ------
    TypeError, ValueError
        x is not a floating-point tensor of 1 to 3 dimensions, or see `Dataset`.

    Examples
    --------
    >>> from_tensor(torch.zeros(5, 3, 4), name="blank")
    Dataset(blank: 5 x 12, float32 on cpu, 3 x 4 pixels)
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        given = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise TypeError(f"{name}: x is {given}; it must be a floating-point tensor, e.g. bytes / 127.5 - 1.")
    if not 1 <= x.ndim <= 3 or 0 in x.shape:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}; it must be (n,), (n, d) or (n, h, w), none of them 0.")
    image_shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else None
    flat = x.detach().reshape(len(x), -1).to(dtype, copy=True)
    return Dataset(name, flat, labels, image_shape, modes if modes is None else modes.detach().to(dtype, copy=True))


def digits() -> Dataset:
    """The 1797 handwritten digits of 8x8 pixels that scikit-learn carries: x = pixel / 8 - 1 in [-1, 1].

    No download, seconds per experiment: the default real data set. Labels are the digits 0 to 9.

    References
    ----------
    .. [1] Alpaydin, Kaynak (1998), Optical recognition of handwritten digits, UCI Machine Learning Repository.

    Examples
    --------
    >>> digits()
    Dataset(digits: 1797 x 64, float32 on cpu, 8 x 8 pixels, 10 classes)
    """
    from sklearn.datasets import load_digits  # takes a second to import, and only this function needs it

    pixels, labels = load_digits(return_X_y=True)  # 0 = background, 16 = ink
    x = torch.from_numpy(pixels).to(torch.float32) / 8.0 - 1.0
    return Dataset("digits", x, torch.from_numpy(labels).to(torch.int64), (8, 8))


def mnist(
    directory: str | os.PathLike[str],
    train: bool = True,
    *,
    checksum: Checksum = "warn",
    name: str = "mnist",
) -> Dataset:
    """MNIST, or a data set with its files' layout, from a directory: x = pixel / 127.5 - 1, (n, 784).

    Parameters
    ----------
    directory, train, checksum
        As in `gamedyn.neural.idx.load_mnist`, whose errors and warning are this function's too.
    name : str
        For another data set of the same layout, with ``checksum="ignore"``.
    """
    images, labels = load_mnist(directory, train, checksum=checksum)
    x = torch.from_numpy(images).reshape(len(images), -1).to(torch.float32).div_(127.5).sub_(1.0)
    return Dataset(name, x, torch.from_numpy(labels).to(torch.int64), (images.shape[1], images.shape[2]))


def ring(n_modes: int = 8, radius: float = 2.0, std: float = 0.02, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """Equal Gaussians on a circle.

        mu_k = radius (cos 2 pi k / m, sin 2 pi k / m),  k = 0, ..., m - 1;   x ~ N(mu_K, std² I),  K uniform

    The m = `n_modes` angles leave out the end point 2 pi: with it the first mode would be counted twice.

    Parameters
    ----------
    n_modes, radius, std
        m >= 1, radius > 0, std >= 0, in the units of x.
    n : int
        Number of samples.
    seed : int
        Of the samples.

    Returns
    -------
    Dataset
        (n, 2), with labels K and `modes` (m, 2).

    Raises
    ------
    TypeError, ValueError
        Counts or lengths out of range.
    """
    _count("n_modes", n_modes)
    _length("radius", radius, zero=False)
    angle = 2.0 * math.pi * torch.arange(n_modes, dtype=torch.float64) / n_modes
    modes = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return _mixture("ring", modes, std, n, seed)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """side x side equal Gaussians on a square grid centred at 0, `spacing` apart: (n, 2), with labels and `modes`.

    Parameters, errors and labels as in `ring`; the modes are listed row by row from the lowest coordinates.

    Examples
    --------
    >>> grid(side=2, n=100).modes.tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    _count("side", side)
    _length("spacing", spacing, zero=False)
    axis = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2.0)
    return _mixture("grid", torch.cartesian_prod(axis, axis), std, n, seed)


def gaussians_1d(means: Sequence[float] = (-2.0, 2.0), std: float = 1.0, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """Equal Gaussians on the line, x ~ N(means[K], std²) with K uniform: (n, 1), with labels and `modes`.

    The default is the mixture on which Berard et al. look at the rotation of a GAN's game. Errors as in `ring`.

    References
    ----------
    .. [1] Berard, Gidel, Almahairi, Vincent, Lacoste-Julien (2020), A closer look at the optimization landscapes of
       generative adversarial networks, ICLR.
    """
    modes = torch.tensor([[float(mean)] for mean in means], dtype=torch.float64)
    if not len(modes) or not bool(modes.isfinite().all()):
        raise ValueError(f"means are {tuple(means)}; at least one is needed and all must be finite.")
    return _mixture("gaussians_1d", modes, std, n, seed)


def _mixture(name: str, modes: torch.Tensor, std: float, n: int, seed: int) -> Dataset:
    _count("n", n)
    _length("std", std, zero=True)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(modes), (n,), generator=generator)
    noise = torch.randn((n, modes.shape[1]), generator=generator, dtype=torch.float64)
    x = (modes[labels] + std * noise).to(torch.float32)
    return Dataset(name, x, labels, modes=modes.to(torch.float32), std=float(std), seed=seed)


def _count(what: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is {value!r}; it must be an int.")
    if value < 1:
        raise ValueError(f"{what} is {value}; it must be at least 1.")


def _length(what: str, value: float, *, zero: bool) -> None:
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{what} is {value}; it must be finite and {'>= 0' if zero else '> 0'}.")
