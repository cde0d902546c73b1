"""Instance noise: the discriminator sees data and samples through the same blur."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gamedyn.neural.data.checks import as_number

__all__ = ["InstanceNoise"]


@dataclass(frozen=True)
class InstanceNoise:
    """Gaussian noise on everything a discriminator is shown.

        D is given x + σξ and G(z) + σξ′,   ξ, ξ′ ~ N(0, I)
        σₖ = σ max(0, 1 - k / vanish)       at step k of a training, where `vanish` is given

    Two distributions that do not overlap do once both are blurred, so that D cannot tell them apart for sure and its
    slope says which way to go.  The optimum is unchanged: equal blurs, p_G = p_data.

    Parameters
    ----------
    sigma : float
        σ > 0 in the units of the data.
    vanish : int, optional
        Steps after which the noise is gone; by default it stays.  The field on the evaluation sample has the full σ.

    Raises
    ------
    TypeError, ValueError
        If σ is no positive finite number, or `vanish` no positive count.

    References
    ----------
    .. [1] C. K. Sønderby, J. Caballero, L. Theis, W. Shi, F. Huszár, Amortised MAP inference for image
       super-resolution, ICLR 2017, arXiv:1610.04490.
    .. [2] M. Arjovsky, L. Bottou, Towards principled methods for training generative adversarial networks,
       ICLR 2017, arXiv:1701.04862.

    Examples
    --------
    >>> InstanceNoise(0.5, vanish=100).at(75)
    0.125
    """

    sigma: float
    vanish: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", as_number("InstanceNoise: sigma", self.sigma))
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ValueError(f"InstanceNoise: sigma={self.sigma!r}; give a finite number > 0, or no instance noise")
        bad = self.vanish is not None and (isinstance(self.vanish, bool) or not isinstance(self.vanish, int))
        if bad or (self.vanish is not None and self.vanish < 1):
            raise ValueError(f"InstanceNoise: vanish={self.vanish!r}; give a number of steps >= 1, or None")

    def at(self, k: int | None) -> float:
        """σ at step k; None is outside a training, with the full σ."""
        if k is None or self.vanish is None:
            return self.sigma
        return self.sigma * max(0.0, 1 - k / self.vanish)

    def noise(self, n: int, d: int, generator: torch.Generator, k: int | None = None) -> Tensor:
        """σₖξ and σₖξ′ side by side `(n, 2d)`, float32 on the CPU."""
        return self.at(k) * torch.randn((n, 2 * d), generator=generator)
