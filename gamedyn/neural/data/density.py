"""True densities, so that what a generator has learned can be compared with p_data itself.

    mixture   p(x) = sum_k w_k N(x; mu_k, std² I)                                              (1)
    curve     p(x) = ∫ q(t) N(x; c(t), std² I) dt  ≈  sum_j w_j N(x; c(t_j), std² I)           (2)

A point on a curve plus Gaussian noise has the density (2), and Gauss-Legendre quadrature makes it a mixture again, with
the nodes as means and eight nodes per `std` of length.  Without noise p_data lives on a set of measure zero and has
no density: `mixture_density` and `curve_density` then give None.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

__all__ = ["GaussianMixture", "curve_density", "mixture_density"]

_NODES = 16  # on a panel of two std: on the curve the rule's error is then below rounding
_MAX_PANELS = 2**16
_CHUNK = 2**17  # squared distances at a time: 1 MiB, which stays in the cache


class GaussianMixture:
    """The logarithm of the density (1), as a function of points.

        log p(x) = logsumexp_k [log w_k - ||x - mu_k||² / (2 std²)] - d log(std √(2π))

    Everything is computed in float64, whatever the type of the points, and can be differentiated by autograd.

    Parameters
    ----------
    means : torch.Tensor
        (k, d).
    std : float
        The standard deviation around each mean in every coordinate, > 0.
    weights : torch.Tensor, optional
        (k,), positive with sum 1; equal by default.

    Raises
    ------
    ValueError
        Shapes or values out of range; on a call, points that are not (m, d).

    Examples
    --------
    >>> log_density = GaussianMixture(torch.tensor([[-2.0], [2.0]]), std=0.5)
    >>> log_density(torch.tensor([[2.0]])).exp()
    tensor([0.3989], dtype=torch.float64)
    """

    def __init__(self, means: torch.Tensor, std: float, weights: torch.Tensor | None = None) -> None:
        if means.ndim != 2 or 0 in means.shape:
            raise ValueError(f"means have shape {tuple(means.shape)}; it must be (k, d).")
        if not (math.isfinite(std) and std > 0):
            raise ValueError(f"std is {std}; a density needs it finite and > 0.")
        equal = torch.full((len(means),), 1.0 / len(means), dtype=torch.float64)
        self.means, self.std = means.detach().to(torch.float64, copy=True), float(std)
        self.weights = equal if weights is None else weights.detach().to(torch.float64, copy=True)
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights.shape != (len(self.means),):
            raise ValueError(f"weights have shape {tuple(self.weights.shape)}; it must be ({len(self.means)},).")
        if not bool((self.weights > 0).all()) or abs(float(self.weights.sum()) - 1.0) > 1e-6:
            raise ValueError(f"weights must be positive with sum 1; their sum is {float(self.weights.sum())}.")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """log p at x, (m, d) -> (m,), float64 on the device of x."""
        k, d = self.means.shape
        if x.ndim != 2 or x.shape[1] != d:
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (m, {d}).")
        means = (self.means / self.std).to(x.device)
        log_weights = self.weights.log().to(x.device) - d * math.log(self.std * math.sqrt(2.0 * math.pi))
        parts = []
        for rows in (x.to(torch.float64) / self.std).split(max(1, _CHUNK // k)):
            # differences, not ||x||² - 2 <x, mu> + ||mu||²: that cancels where std is small
            squares = (rows[:, :1] - means[:, 0]).square()
            for j in range(1, d):
                squares = squares + (rows[:, j, None] - means[:, j]).square()
            parts.append(torch.logsumexp(log_weights - 0.5 * squares, dim=1))
        return torch.cat(parts)

    def __repr__(self) -> str:
        return f"GaussianMixture({len(self.means)} means in {self.means.shape[1]} dimensions, std {self.std:g})"


def mixture_density(means: torch.Tensor, std: float, weights: torch.Tensor | None = None) -> GaussianMixture | None:
    """The log density (1), or None for std = 0, where every sample is a mean."""
    return GaussianMixture(means, std, weights) if std > 0 else None


def curve_density(
    curve: Callable[[torch.Tensor], torch.Tensor],
    density: Callable[[torch.Tensor], torch.Tensor],
    interval: tuple[float, float],
    std: float,
    *,
    resolution: float,
) -> GaussianMixture | None:
    """The log density (2) of c(t) + std e with t ~ q and e ~ N(0, I), or None for std = 0 or a million nodes.

    It is exact to rounding near the curve and loses digits beyond a far end, along its tangent: there the relative
    error of p is 1e-14 at ten std, 1e-11 at twenty and 3e-6 at forty.

    Parameters
    ----------
    curve : callable
        c: (k,) -> (k, d), smooth.
    density : callable
        q: (k,) -> (k,), the density of t on the interval, smooth and positive inside.
    interval : (float, float)
        The range of t.
    std : float
        The standard deviation of the noise.
    resolution : float
        At least this many panels, where the curve bends within one std.
    """
    if std == 0:
        return None
    start, end = interval
    fine = curve(torch.linspace(start, end, 2001, dtype=torch.float64))
    longest = float((fine[1:] - fine[:-1]).norm(dim=1).max()) * 2000.0  # max |c'| times the length of the interval
    if (needed := max(1.0, resolution, longest / (2.0 * std))) > _MAX_PANELS:
        return None
    panels = math.ceil(needed)
    nodes, rule = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(_NODES))
    width = (end - start) / panels
    left = start + width * torch.arange(panels, dtype=torch.float64)
    t = (left[:, None] + 0.5 * width * (nodes + 1.0)).flatten()
    weights = (0.5 * width * rule).repeat(panels) * density(t)
    return GaussianMixture(curve(t), std, weights)
