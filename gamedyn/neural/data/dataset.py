"""A finite sample of p_data as one flat tensor, with what is known of it.

    x_1, ..., x_n ~ p_data,   x_i in R^d                                                    (1)

Every draw comes from a seed or a generator that the caller gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from gamedyn.neural.data.checks import as_number, require_length

__all__ = ["Dataset", "from_tensor"]


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
    image_shape : (int, int) or (int, int, int), optional
        (h, w) with h w = d, or (c, h, w) with c h w = d, where rows are pictures: channel after channel, row by row.
    modes : torch.Tensor, optional
        (k, d): the true centres of p_data.
    std : float, optional
        The standard deviation around each mode, or of the noise around a curve, in every coordinate.
    seed : int, optional
        The seed that x was drawn from.
    log_density : callable, optional
        log p_data: (m, d) -> (m,) in float64, where p_data has a density that is known (see `density.py`).

    Raises
    ------
    TypeError, ValueError
        Shapes that do not belong together, or x not floating point or not finite.

    Examples
    --------
    >>> from gamedyn.neural import ring
    >>> data = ring(seed=0)
    >>> data
    Dataset(ring: 10000 x 2, float32 on cpu, 8 modes, std 0.02, seed 0)
    >>> data.batch(128, torch.Generator().manual_seed(1)).shape
    torch.Size([128, 2])
    """

    name: str
    x: torch.Tensor
    labels: torch.Tensor | None = None
    image_shape: tuple[int, ...] | None = None
    modes: torch.Tensor | None = None
    std: float | None = None
    seed: int | None = None
    log_density: Callable[[torch.Tensor], torch.Tensor] | None = None

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
        for what, t in (("labels", self.labels), ("modes", self.modes)):
            if t is not None and not isinstance(t, torch.Tensor):
                raise TypeError(f"{self.name}: {what} are {type(t).__name__}; they must be a tensor. See from_tensor.")
        if self.labels is not None and (self.labels.shape != (n,) or self.labels.is_floating_point()):
            given = f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            raise ValueError(f"{self.name}: labels are {given}; they must be integers of shape ({n},), one per row.")
        if self.image_shape is not None and (len(self.image_shape) not in (2, 3) or math.prod(self.image_shape) != d):
            raise ValueError(
                f"{self.name}: image_shape is {self.image_shape}; it must be (h, w) with h w = {d}, "
                f"or (c, h, w) with c h w = {d}."
            )
        if self.log_density is not None and not callable(self.log_density):
            raise TypeError(f"{self.name}: log_density is {type(self.log_density).__name__}; it must be callable.")
        if self.std is not None:
            require_length(f"{self.name}: std", self.std, zero=True)
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
        return self.x.index_select(0, self._draw(size, generator))  # several times faster than x[rows] on wide rows

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

    def only(self, *labels: int) -> Dataset:
        """The rows of these labels. What is known of p_data as a whole, its modes and density, is left out.

        Raises
        ------
        ValueError
            The data have no labels, or no row of these.

        Examples
        --------
        >>> from gamedyn.neural import digits
        >>> digits().only(3, 8)
        Dataset(digits: 357 x 64, float32 on cpu, 8 x 8 pixels, 2 classes)
        """
        if self.labels is None:
            raise ValueError(f"{self.name} has no labels to choose by. Pass them to from_tensor or Dataset.")
        chosen = torch.isin(self.labels, torch.tensor(labels, dtype=self.labels.dtype, device=self.labels.device))
        if not bool(chosen.any()):
            raise ValueError(f"{self.name} has no rows of label {labels}; it has {self.labels.unique().tolist()[:20]}.")
        return replace(self._rows(chosen.nonzero().flatten()), modes=None, log_density=None)

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
        draws = torch.randint(len(self), (size,), generator=generator, device=generator.device)
        chosen = dict.fromkeys(draws.tolist())
        if len(chosen) == size:
            return draws.to(self.x.device)
        while len(chosen) < size:
            draws = torch.randint(len(self), (size - len(chosen),), generator=generator, device=generator.device)
            chosen.update(dict.fromkeys(draws.tolist()))
        rows = np.array(list(chosen), dtype=np.int64)  # half the time of torch.tensor of a list
        return torch.from_numpy(rows).to(self.x.device)

    def _rows(self, index: torch.Tensor) -> Dataset:
        return replace(self, x=self.x[index], labels=None if self.labels is None else self.labels[index])

    def __repr__(self) -> str:
        kind = str(self.x.dtype).removeprefix("torch.")
        parts = [f"{self.name}: {len(self)} x {self.dim}", f"{kind} on {self.x.device}"]
        if self.image_shape is not None:
            parts.append(f"{' x '.join(map(str, self.image_shape))} pixels")
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
    labels: torch.Tensor | Sequence[int] | None = None,
    modes: torch.Tensor | Sequence[Sequence[float]] | None = None,
    std: float | None = None,
    log_density: Callable[[torch.Tensor], torch.Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """A data set from any floating-point tensor; later changes of `x` do not reach it.

    Parameters
    ----------
    x : torch.Tensor
        (n,) numbers, (n, d) points, (n, h, w) or (n, c, h, w) pictures, channels first. Values are kept: scale
        pictures to [-1, 1] yourself.
    name, labels, modes, std, log_density
        As in `Dataset`; labels and modes also as lists or arrays. Modes are counted only where std is given.
    dtype : torch.dtype
        Of the copy, float32 by default.

    Raises
    ------
    TypeError, ValueError
        x is not a floating-point tensor of 1 to 4 dimensions, or see `Dataset`.

    Examples
    --------
    >>> from_tensor(torch.zeros(5, 3, 4), name="blank")
    Dataset(blank: 5 x 12, float32 on cpu, 3 x 4 pixels)
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        given = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise TypeError(f"{name}: x is {given}; it must be a floating-point tensor, e.g. bytes / 127.5 - 1.")
    if not 1 <= x.ndim <= 4 or 0 in x.shape:
        raise ValueError(
            f"{name}: x has shape {tuple(x.shape)}; it must be (n,), (n, d), (n, h, w) or (n, c, h, w), none of them 0."
        )
    flat = x.detach().reshape(len(x), -1).to(dtype, copy=True)
    return Dataset(
        name,
        flat,
        None if labels is None else torch.as_tensor(labels).clone(),
        tuple(x.shape[1:]) if x.ndim > 2 else None,
        modes=None if modes is None else torch.as_tensor(modes).detach().to(dtype, copy=True),
        std=std if std is None else as_number(f"{name}: std", std),
        log_density=log_density,
    )
