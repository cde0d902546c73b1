"""Which modes of a mixture a generator has found.

k(x) = argminₖ ‖x - μₖ‖,   pₖ = share of samples with k(x) = k,   KL(p ‖ w) = Σ pₖ log(pₖ/wₖ)    (1)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gamedyn.neural.data import Dataset
from gamedyn.neural.data.density import GaussianMixture
from gamedyn.neural.measures.rows import as_rows, divergence_from

__all__ = ["ModeCoverage", "mode_coverage"]

NEAR = 3.0  # standard deviations within which a sample is one of the mode's
FOUND = 0.05  # share of what the mode ought to get
BAR = 30


@dataclass(frozen=True, eq=False, repr=False)
class ModeCoverage:
    """What `mode_coverage` found.

    Attributes
    ----------
    name : str
        Of the data.
    n : int
        Samples that were judged.
    weights : ndarray `(k,)`
        w, the share that each mode has of the data.
    occupancy : ndarray `(k,)`
        p, the share of samples whose nearest mode it is.
    near : ndarray `(k,)`
        The share of samples within 3 std of it.
    """

    name: str
    n: int
    weights: np.ndarray
    occupancy: np.ndarray
    near: np.ndarray

    @property
    def high_quality(self) -> float:
        """Share of samples within 3 std of a mode."""
        return float(self.near.sum())

    @property
    def m5(self) -> int:
        """Modes found: those with at least 5 % of their share w of all samples within 3 std."""
        return int((self.near * self.n >= FOUND * self.weights * self.n - 1e-9).sum())

    @property
    def kl(self) -> float:
        """KL(p ‖ w) of the nearest modes: 0 for all alike, log k for one of k equal modes."""
        return divergence_from(torch.from_numpy(self.weights), torch.from_numpy(self.occupancy))

    def __repr__(self) -> str:
        k = len(self.weights)
        lines = [
            f"ModeCoverage({self.name}: {self.m5} of {k} modes, KL {self.kl:.3f}, "
            f"{self.high_quality:.1%} within {NEAR:g} std; {self.n} samples)"
        ]
        if k > BAR:
            return lines[0]
        lines.append("  mode   weight  nearest  within 3 std")
        top = max(self.occupancy.max(), self.weights.max())
        for i, (w, p, h) in enumerate(zip(self.weights, self.occupancy, self.near, strict=True)):
            lines.append(f"  {i:>4} {w:>8.1%} {p:>8.1%} {h:>8.1%}  {'#' * round(BAR * p / top)}".rstrip())
        return "\n".join(lines)


def mode_coverage(data: Dataset, samples: Tensor | np.ndarray, weights: Sequence[float] | None = None) -> ModeCoverage:
    """Count the modes of a mixture among samples.

    A sample belongs to the nearest mode, and is of high quality within 3 standard deviations of it [1]_.  A mode is
    found if at least 5 % of its share of the samples lie that close.  The KL divergence looks at all samples: it tells
    modes that are lost from modes that are not yet hit sharply.

    Parameters
    ----------
    data : Dataset
        With `modes` and `std`: `ring`, `grid`, `line`, `mixture`, `gaussians_1d`, `from_tensor(x, modes=..., std=...)`.
    samples : Tensor or ndarray `(n, d)`
        2500 make a share of 1/8 known to 0.7 %.
    weights : sequence of float, optional
        `(k,)`, positive: the share of every mode, divided by their sum.  By default those of the data's density, equal
        where it has none.

    Raises
    ------
    ValueError
        Data without modes or std, weights or samples of another shape, or samples that are not finite.

    Notes
    -----
    Of the data themselves a share 1 - exp(-9/2) = 0.989 is of high quality in two dimensions, 0.997 in one.

    References
    ----------
    .. [1] Srivastava, Valkov, Russell, Gutmann, Sutton (2017), VEEGAN: reducing mode collapse in GANs using implicit
       variational learning, NeurIPS.

    Examples
    --------
    >>> from gamedyn.neural import ring
    >>> data = ring(4)
    >>> mode_coverage(data, data.x[data.labels < 2])
    ModeCoverage(ring: 2 of 4 modes, KL 0.693, 99.2% within 3 std; 5069 samples)
      mode   weight  nearest  within 3 std
         0    25.0%    49.5%    49.0%  #############################
         1    25.0%    50.5%    50.1%  ##############################
         2    25.0%     0.0%     0.0%
         3    25.0%     0.0%     0.0%
    """
    if data.modes is None or not data.std:
        lacks = "has no modes" if data.modes is None else f"has modes without a spread around them (std is {data.std})"
        raise ValueError(
            f"{data.name} {lacks}. Modes are counted on ring, grid, line, mixture, gaussians_1d with std > 0, and on "
            f"from_tensor(x, modes=..., std=...)."
        )
    x = as_rows("samples", samples, data.dim)
    modes = data.modes.to(x)
    k = len(modes)
    w = _weights(data, weights, k)
    nearest, distance = _nearest(x, modes)
    close = distance <= NEAR * data.std
    occupancy, near = (torch.bincount(i, minlength=k).cpu().numpy() / len(x) for i in (nearest, nearest[close]))
    return ModeCoverage(data.name, len(x), w, occupancy, near)


def _nearest(x: Tensor, modes: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the nearest mode and the distance to it, both `(n,)`."""
    distance, index = torch.cdist(x, modes, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    return index, distance


def _weights(data: Dataset, given: Sequence[float] | None, k: int) -> np.ndarray:
    if given is None:
        known = data.log_density
        return known.weights.cpu().numpy() if isinstance(known, GaussianMixture) else np.full(k, 1 / k)
    w = np.asarray(given, dtype=float)
    if w.shape != (k,) or not np.all(w > 0) or not math.isfinite(w.sum()):
        raise ValueError(f"weights are {given!r}; {data.name} needs {k} positive numbers, one per mode.")
    return w / w.sum()
