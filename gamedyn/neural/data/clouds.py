"""Point clouds with known modes, so that lost ones can be counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from gamedyn.neural.data.dataset import Dataset

__all__ = ["gaussians_1d", "grid", "ring"]


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
