"""Label smoothing: the cross-entropy with labels that are not quite 0 and 1."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gamedyn.neural.data.checks import as_number
from gamedyn.neural.losses.adversarial import cross_entropy
from gamedyn.neural.losses.base import GANLoss
from gamedyn.neural.losses.table import as_loss

__all__ = ["smoothed"]


def _smooth_cross_entropy(real: Tensor, fake: Tensor, alpha: float, beta: float) -> Tensor:
    # softplus(D) - tD = -t log σ(D) - (1 - t) log(1 - σ(D))
    return (softplus(real) - alpha * real).mean() + (softplus(fake) - beta * fake).mean()


def _smooth_logit(p: Tensor, q: Tensor, alpha: float, beta: float) -> Tensor:
    return (alpha * p + beta * q).log() - ((1 - alpha) * p + (1 - beta) * q).log()


def smoothed(base: str | GANLoss = "non_saturating", *, real: float = 0.9, fake: float = 0.0) -> GANLoss:
    """A cross-entropy loss with the labels α for data and β for samples; the generator pays as before.

        cost_D = -E[α log σ(D(x)) + (1 - α) log(1 - σ(D(x)))]
                 -E[β log σ(D(G(z))) + (1 - β) log(1 - σ(D(G(z))))]
        σ(D) = (α p + β p_G)/(p + p_G) at the best D                                        (1)

    One-sided, β = 0: (1) is a multiple of p/(p + p_G), and D on data is held at log(α/(1 - α)).  Two-sided, β > 0, is
    harmful: where p is small beside p_G, (1) is nearly the constant β, and ∇ₓD nearly 0 where it was ∇ log(p/p_G),
    so samples far from the data are no longer drawn to them.

    Parameters
    ----------
    base : str or GANLoss
        ``"saturating"``, ``"non_saturating"``, or a loss of one's own with their cost of D.
    real, fake : float
        α and β, 0 <= β < α <= 1.

    Raises
    ------
    TypeError, ValueError
        Labels that are no numbers or out of range, or a base whose D does not pay the cross-entropy.

    References
    ----------
    .. [1] Salimans et al. (2016), arXiv:1606.03498, section 3.4.
    .. [2] Goodfellow (2016), "NIPS 2016 tutorial: generative adversarial networks", arXiv:1701.00160, section 4.2.

    Examples
    --------
    >>> smoothed("non_saturating")
    GANLoss(smoothed(non_saturating, real=0.9, fake=0): p_G = p_data, D = -0.2007, cost_D = 1.376, cost_G = 0.7985)
    """
    loss = as_loss(base)
    if loss.discriminator is not cross_entropy or type(loss) is not GANLoss:
        raise ValueError(
            f"the base is {loss.name!r}; labels are smoothed in the cross-entropy, so give 'saturating' or "
            f"'non_saturating' (and smooth the base of feature matching: feature_matching(layer, smoothed(...)))"
        )
    real, fake = as_number("real", real), as_number("fake", fake)
    if not 0 <= fake < real <= 1:
        raise ValueError(f"real = {real} and fake = {fake}; labels are probabilities with 0 <= fake < real <= 1")
    mean = torch.tensor((real + fake) / 2, dtype=torch.float64)
    logit = torch.logit(mean)
    cost_d, cost_g = _smooth_cross_entropy(logit, logit, real, fake), loss.generator(logit)
    return replace(
        loss,
        name=f"smoothed({loss.name}, real={real:g}, fake={fake:g})",
        discriminator=partial(_smooth_cross_entropy, alpha=real, beta=fake),
        optimum=f"p_G = p_data, D = {logit:.4g}, cost_D = {cost_d:.4g}, cost_G = {cost_g:.4g}",
        zero_sum=loss.zero_sum and fake == 0,
        optimal_logit=partial(_smooth_logit, alpha=real, beta=fake),
    )
