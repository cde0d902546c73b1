"""Feature matching: the generator copies the mean of a layer of D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from gamedyn.neural.losses.base import GANLoss, needs_scene
from gamedyn.neural.losses.table import as_loss

if TYPE_CHECKING:
    from gamedyn.neural.scene import Scene

__all__ = ["FeatureMatching", "feature_matching"]


@dataclass(frozen=True, repr=False, kw_only=True)
class FeatureMatching(GANLoss):
    """See `feature_matching`."""

    layer: str
    base: GANLoss

    def generator_cost(self, scene: Scene) -> Tensor:
        real, fake = scene.features(self.layer)
        return (real.mean(0) - fake.mean(0)).square().sum()

    def discriminator_cost(self, scene: Scene) -> Tensor:
        return self.base.discriminator_cost(scene)


def feature_matching(layer: str, base: str | GANLoss = "non_saturating") -> FeatureMatching:
    """The generator matches the mean of features f of D, which learns as in another loss.

        cost_G = |E f(x) - E f(G(z))|²,   cost_D that of the base                           (1)

    General sum.  cost_G is 0 wherever the means agree, also at p_G ≠ p; D then moves on to features that tell them
    apart.  On batches of n rows (1) is too large by (tr Cov f(x) + tr Cov f(G(z)))/n on average, and the cost of two
    batches is not the mean of their costs.

    Parameters
    ----------
    layer : str
        A submodule of D, as in `named_modules`; its outputs are flattened to `(n, f)`.
    base : str or GANLoss
        Whose cost D pays.  Smoothed labels go here: ``feature_matching(layer, smoothed("non_saturating"))``.

    Raises
    ------
    TypeError, ValueError
        If the layer is no name, or there is no such base.

    References
    ----------
    .. [1] Salimans et al. (2016), "Improved techniques for training GANs", arXiv:1606.03498, section 3.1.

    Examples
    --------
    >>> feature_matching("2")
    GANLoss(feature_matching(2, non_saturating): p_G = p_data, cost_G = 0, D that of non_saturating)
    """
    if not isinstance(layer, str):
        raise TypeError(f"layer is {layer!r}; give the name of a submodule of the discriminator, as in named_modules()")
    if not layer:
        raise ValueError("layer is ''; give the name of a submodule of the discriminator, as in named_modules()")
    loss = as_loss(base)
    return FeatureMatching(
        name=f"feature_matching({layer}, {loss.name})",
        generator=needs_scene,
        discriminator=loss.discriminator,
        optimum=f"p_G = p_data, cost_G = 0, D that of {loss.name}",
        optimal_logit=loss.optimal_logit,
        layers=tuple(dict.fromkeys((layer, *loss.layers))),
        layer=layer,
        base=loss,
    )
