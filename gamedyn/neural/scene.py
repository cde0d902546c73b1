"""One sample as the generator and one discriminator see it: what losses and penalties are written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gamedyn.neural.data import Dataset

__all__ = ["Scene"]

Judge = Callable[[Tensor, int], tuple[Tensor, dict[str, Tensor]]]
FAKE, REAL, ELSEWHERE = 1, 2, 3  # which pass of a network it is: each has its own masks where there is dropout


class Scene:
    """D and the points it is shown; everything is computed once, on first use.

    Parameters
    ----------
    judge : callable
        (points `(m, d)`, which pass) -> logits, and outputs of the layers that the loss asked for.
    x, fake : Tensor `(n, d)`
        Data and G(z), as D sees them.
    data : Dataset
    old : Tensor `(m, d)`, optional
        Earlier samples, which D is shown in place of the last m rows of `fake`.

    Attributes
    ----------
    x, fake : Tensor `(n, d)`
    data : Dataset
    """

    def __init__(self, judge: Judge, x: Tensor, fake: Tensor, data: Dataset, old: Tensor | None = None) -> None:
        self._judge, self.data = judge, data
        self.x, self.fake, self._old = x.detach(), fake, old
        self._passes: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}
        self._slopes: dict[int, Tensor] = {}

    @property
    def scale(self) -> float:
        """The standard deviation of all entries of the data set."""
        return _scale(self.data)

    @property
    def real_logits(self) -> Tensor:
        """D(x) `(n, 1)`."""
        return self._pass(REAL)[0]

    @property
    def fake_logits(self) -> Tensor:
        """D(G(z)) `(n, 1)`."""
        return self._pass(FAKE)[0]

    @property
    def shown_logits(self) -> Tensor:
        """D at the samples that it learns from: G(z), the last rows replaced by earlier samples if there are some."""
        if self._old is None or not len(self._old):
            return self.fake_logits
        return torch.cat([self.fake_logits[: len(self.fake) - len(self._old)], self.logits(self._old)])

    def logits(self, points: Tensor) -> Tensor:
        """D(points) `(m, 1)`."""
        if points is self.x or points is self.fake:
            return self._pass(REAL if points is self.x else FAKE)[0]
        return self._judge(points, ELSEWHERE)[0]

    def features(self, layer: str) -> tuple[Tensor, Tensor]:
        """Outputs of a submodule of D on data and on samples, `(n, f)` each.

        Raises
        ------
        ValueError
            If the loss does not list the layer in its `layers`.
        """
        real, fake = (self._pass(which)[1] for which in (REAL, FAKE))
        if layer not in real:
            raise ValueError(
                f"the features of layer {layer!r} were not kept; a loss that uses them names them in its `layers`"
            )
        return real[layer].flatten(1), fake[layer].flatten(1)

    def slopes(self, points: Tensor) -> Tensor:
        """∇ₓD at points `(m, d)`, differentiable in all parameters; D must treat every row alone."""
        which = REAL if points is self.x else FAKE if points is self.fake else ELSEWHERE
        if which in self._slopes:
            return self._slopes[which]
        with torch.enable_grad():
            if which == ELSEWHERE:
                points = points if points.requires_grad else points.detach().requires_grad_()
                logits = self._judge(points, ELSEWHERE)[0]
            else:
                logits, points = self._tracked(which)
            if not logits.requires_grad:  # D is constant in its input
                return torch.zeros_like(points)
            (slopes,) = torch.autograd.grad(logits.sum(), points, create_graph=True, materialize_grads=True)
        if which != ELSEWHERE:
            self._slopes[which] = slopes
        return slopes

    def _tracked(self, which: int) -> tuple[Tensor, Tensor]:
        """Logits and the points they are a function of, in one graph; shared with the costs where they came first."""
        points = self.x if which == REAL else self.fake
        if which in self._passes and (not points.requires_grad or not self._passes[which][0].requires_grad):
            points = points.detach().requires_grad_()  # the pass was made without a graph to the points
            return self._judge(points, which)[0], points
        if not points.requires_grad:
            points.requires_grad_()
        return self._pass(which)[0], points

    def _pass(self, which: int) -> tuple[Tensor, dict[str, Tensor]]:
        if which not in self._passes:
            self._passes[which] = self._judge(self.x if which == REAL else self.fake, which)
        return self._passes[which]


@lru_cache(maxsize=8)
def _scale(data: Dataset) -> float:
    return float(data.x.double().std(correction=0))


def combined(costs: Sequence[Tensor], how: str | float) -> Tensor:
    """The generator's cost against several discriminators: their mean, the hardest, or between.

    mean     Σ cⱼ / k
    hardest  max cⱼ
    λ        Σ wⱼcⱼ,  w = softmax(λc)      λ = 0 the mean, λ → ∞ the hardest
    """
    if len(costs) == 1:
        return costs[0]
    stacked = torch.stack(list(costs))
    if how == "mean":
        return stacked.mean()
    if how == "hardest":
        return stacked.max()
    return (torch.softmax(float(how) * stacked, 0) * stacked).sum()
