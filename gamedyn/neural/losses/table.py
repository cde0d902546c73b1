"""The losses that have names."""

from __future__ import annotations

from gamedyn.neural.losses.adversarial import hinge, least_squares, non_saturating, saturating, wasserstein
from gamedyn.neural.losses.base import GANLoss
from gamedyn.neural.losses.divergences import DIVERGENCES
from gamedyn.neural.losses.f_gan import f_gan
from gamedyn.neural.losses.relativistic import relativistic, relativistic_average, relativistic_hinge

__all__ = ["LOSSES", "as_loss"]

_PLAIN = (saturating, non_saturating, wasserstein, hinge, least_squares)
_RELATIVISTIC = (relativistic, relativistic_average, relativistic_hinge)

LOSSES: dict[str, GANLoss] = {
    **{loss.name: loss for loss in _PLAIN},
    "minimax": saturating,
    **{loss.name: loss for loss in _RELATIVISTIC},
    **{f"fgan_{name}": f_gan(name) for name in DIVERGENCES},
}
"""The losses that `GAN(loss=...)` knows by name.

Those with parameters are functions: `least_squares_with`, `f_gan`, `feature_matching`, `smoothed`.
"""


def as_loss(loss: str | GANLoss) -> GANLoss:
    """A loss given by name or as it is.

    Raises
    ------
    ValueError, TypeError
        A name that is not in `LOSSES`, or neither a name nor a `GANLoss`.

    Examples
    --------
    >>> as_loss("saturating")
    GANLoss(saturating: p_G = p_data, D = 0, cost_D = log 4, cost_G = -log 2)
    """
    if isinstance(loss, GANLoss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(f"loss is {loss!r}; give a GANLoss or one of the names {', '.join(LOSSES)}.")
    if loss not in LOSSES:
        raise ValueError(f"There is no loss {loss!r}; use one of {', '.join(LOSSES)}, or a GANLoss of your own.")
    return LOSSES[loss]
