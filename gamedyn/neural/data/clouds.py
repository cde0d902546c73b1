"""Mixtures of Gaussians with known modes and density, so that lost modes can be counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from gamedyn.neural.data.checks import require_count, require_length
from gamedyn.neural.data.dataset import Dataset
from gamedyn.neural.data.density import mixture_density

__all__ = ["gaussians_1d", "grid", "line", "mixture", "ring"]


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
        (n, 2), with labels K, `modes` (m, 2) and, for std > 0, `log_density`.

    Raises
    ------
    TypeError, ValueError
        Counts or lengths out of range.
    """
    require_count("n_modes", n_modes)
    require_length("radius", radius)
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
    require_count("side", side)
    axis = _axis(side, spacing)
    return _mixture("grid", torch.cartesian_prod(axis, axis), std, n, seed)


def line(n_modes: int = 5, spacing: float = 1.0, std: float = 0.05, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """Equal Gaussians on a segment of the first axis, centred at 0 and `spacing` apart: (n, 2).

    Parameters, result and errors as in `ring`; the modes are listed from left to right.

    Examples
    --------
    >>> line(3, n=100).modes.tolist()
    [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    require_count("n_modes", n_modes)
    axis = _axis(n_modes, spacing)
    return _mixture("line", torch.stack([axis, torch.zeros_like(axis)], dim=1), std, n, seed)


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


def mixture(
    modes: Sequence[Sequence[float]] | torch.Tensor,
    std: float,
    weights: Sequence[float] | None = None,
    *,
    name: str = "mixture",
    n: int = 10_000,
    seed: int = 0,
) -> Dataset:
    """Gaussians of one width anywhere, equally or unequally likely.

        x ~ N(mu_K, std² I),   P(K = k) = w_k / sum_j w_j

    Parameters
    ----------
    modes : sequence or torch.Tensor
        (k, d): the centres mu.
    std : float
        >= 0.
    weights : sequence of float, optional
        (k,), positive; they are divided by their sum. Equal by default.
    name, n, seed
        As in `Dataset` and `ring`.

    Returns
    -------
    Dataset
        (n, d), with labels K, `modes` and, for std > 0, `log_density`.

    Raises
    ------
    TypeError, ValueError
        Shapes, counts or lengths out of range, or two modes at one place.

    Examples
    --------
    >>> data = mixture([[-2.0], [2.0]], std=0.5, weights=(3, 1), n=1000)
    >>> data.labels.bincount().tolist()
    [758, 242]
    """
    centres = torch.as_tensor(modes, dtype=torch.float64)
    if centres.ndim != 2 or 0 in centres.shape or not bool(centres.isfinite().all()):
        raise ValueError(f"modes have shape {tuple(centres.shape)}; they must be (k, d) and finite.")
    return _mixture(name, centres, std, n, seed, _probabilities(weights, len(centres)))


def _axis(count: int, spacing: float) -> torch.Tensor:
    require_length("spacing", spacing)
    return spacing * (torch.arange(count, dtype=torch.float64) - (count - 1) / 2.0)


def _probabilities(weights: Sequence[float] | None, k: int) -> torch.Tensor | None:
    if weights is None:
        return None
    w = torch.as_tensor(weights, dtype=torch.float64)
    if w.shape != (k,) or not bool(w.isfinite().all()) or not bool((w > 0).all()):
        raise ValueError(f"weights are {weights}; {k} positive numbers are needed, one per mode.")
    return w / w.sum()


def _mixture(
    name: str, modes: torch.Tensor, std: float, n: int, seed: int, weights: torch.Tensor | None = None
) -> Dataset:
    require_count("n", n)
    require_length("std", std, zero=True)
    if len(modes.unique(dim=0)) < len(modes):
        raise ValueError(
            f"{name}: two modes lie at one place: such a mode would be counted twice. Use `mixture` with a larger "
            f"weight of it."
        )
    generator = torch.Generator().manual_seed(seed)
    if weights is None:
        labels = torch.randint(len(modes), (n,), generator=generator)
    else:
        uniform = torch.rand(n, generator=generator, dtype=torch.float64)
        # the last boundary can round to below 1
        labels = torch.searchsorted(weights.cumsum(0), uniform, right=True).clamp(max=len(modes) - 1)
    noise = torch.randn((n, modes.shape[1]), generator=generator, dtype=torch.float64)
    x = (modes[labels] + std * noise).to(torch.float32)
    return Dataset(
        name,
        x,
        labels,
        modes=modes.to(torch.float32),
        std=float(std),
        seed=seed,
        log_density=mixture_density(modes, std, weights),
    )
