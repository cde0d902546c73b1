"""Which classes of labelled data a generator shows, as a classifier sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gamedyn.neural.measures.features import FeatureNet
from gamedyn.neural.measures.rows import as_rows, divergence_from

__all__ = ["ClassCoverage", "class_coverage"]

SHOWN = 0.01
BAR = 30


@dataclass(frozen=True, eq=False, repr=False)
class ClassCoverage:
    """What `class_coverage` found.

    Attributes
    ----------
    name : str
        Of the data.
    n : int
        Samples that were judged.
    classes : ndarray `(k,)`
        The labels.
    weights : ndarray `(k,)`
        Their shares of the data.
    histogram : ndarray `(k,)`
        Their shares of the samples.
    """

    name: str
    n: int
    classes: np.ndarray
    weights: np.ndarray
    histogram: np.ndarray

    @property
    def shown(self) -> int:
        """Classes with at least 1 % of the samples."""
        return int((self.histogram >= SHOWN - 1e-12).sum())

    @property
    def kl(self) -> float:
        """KL(histogram ‖ weights)."""
        return divergence_from(torch.from_numpy(self.weights), torch.from_numpy(self.histogram))

    def __repr__(self) -> str:
        k = len(self.classes)
        lines = [f"ClassCoverage({self.name}: {self.shown} of {k} classes, KL {self.kl:.3f}; {self.n} samples)"]
        if k > BAR:
            return lines[0]
        lines.append("  class    data  samples")
        top = max(self.histogram.max(), self.weights.max())
        for label, w, p in zip(self.classes, self.weights, self.histogram, strict=True):
            lines.append(f"  {label:>5} {w:>7.1%} {p:>8.1%}  {'#' * round(BAR * p / top)}".rstrip())
        return "\n".join(lines)


def class_coverage(net: FeatureNet, samples: Tensor | np.ndarray) -> ClassCoverage:
    """Count the classes among samples `(n, d)`: a class is shown if it has at least 1 % of them.

    A classifier names a class for everything, noise included: read the histogram together with a distance, or with
    precision and density.

    Raises
    ------
    ValueError
        Samples of another shape, or not finite.

    Examples
    --------
    >>> from gamedyn.neural import grid
    >>> from gamedyn.neural.measures import feature_net
    >>> data = grid(2, n=1000)
    >>> net = feature_net(data, epochs=10, cache=False)
    >>> class_coverage(net, data.only(0, 3).x)
    ClassCoverage(grid: 2 of 4 classes, KL 0.681; 506 samples)
      class    data  samples
          0   25.5%    50.4%  ##############################
          1   25.3%     0.0%
          2   24.1%     0.0%
          3   25.1%    49.6%  ##############################
    """
    rows = as_rows("samples", samples, net.network.in_features)
    return ClassCoverage(net.name, len(rows), net.classes, net.shares, net.histogram(rows))
