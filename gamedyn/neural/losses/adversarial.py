"""The losses that judge every point alone: cost_D = E a(D(x)) + E b(D(G(z))), cost_G = E c(D(G(z)))."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gamedyn.neural.data.checks import as_number
from gamedyn.neural.losses.base import GANLoss

__all__ = [
    "cross_entropy",
    "hinge",
    "least_squares",
    "least_squares_with",
    "non_saturating",
    "saturating",
    "wasserstein",
]


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E log σ(D(x)) - E log(1 - σ(D(G(z))))."""
    return softplus(-real).mean() + softplus(fake).mean()


def _probability_of_being_found_out(fake: Tensor) -> Tensor:
    """E log(1 - σ(D(G(z))))."""
    return -softplus(fake).mean()


def _surprise_of_being_believed(fake: Tensor) -> Tensor:
    """-E log σ(D(G(z)))."""
    return softplus(-fake).mean()


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """σ(D) = p / (p + q)."""
    return p.log() - q.log()


saturating = GANLoss(
    name="saturating",
    generator=_probability_of_being_found_out,
    discriminator=cross_entropy,
    optimum="p_G = p_data, D = 0, cost_D = log 4, cost_G = -log 2",
    zero_sum=True,
    optimal_logit=_log_ratio,
)
"""The minimax game of Goodfellow et al. (2014), arXiv:1406.2661.

    cost_D = -E log σ(D(x)) - E log(1 - σ(D(G(z)))),   cost_G = E log(1 - σ(D(G(z))))

D = log(p/p_G), σ(D) = p/(p + p_G) is best, 1/2 where p_G = p.  cost_G = -cost_D - E log σ(D(x)), and the generator
does not move the last term: v is that of a zero-sum game.  At the best D the generator's gradient is that of
2 JSD(p, p_G); it vanishes where D is sure.
"""

non_saturating = GANLoss(
    name="non_saturating",
    generator=_surprise_of_being_believed,
    discriminator=cross_entropy,
    optimum="p_G = p_data, D = 0, cost_D = log 4, cost_G = log 2",
    optimal_logit=_log_ratio,
)
"""The generator's cost with the gradient that survives a sure discriminator; Goodfellow et al. (2014), section 3.

    cost_D = -E log σ(D(x)) - E log(1 - σ(D(G(z)))),   cost_G = -E log σ(D(G(z)))

The same equilibria as `saturating`, but not zero-sum: on one logit a the two generators' slopes are -σ(-a) here
and -σ(a) there, equal at D = 0 only.  At the best D the generator's gradient is that of
KL(p_G || p) - 2 JSD(p, p_G) (Arjovsky and Bottou, 2017, arXiv:1701.04862).
"""


def _wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def _minus_mean(fake: Tensor) -> Tensor:
    return -fake.mean()


wasserstein = GANLoss(
    name="wasserstein",
    generator=_minus_mean,
    discriminator=_wasserstein_critic,
    optimum="p_G = p_data, D constant, cost_D = 0; cost_D = -W(p_data, p_G) at the best D of Lipschitz constant 1",
    zero_sum=True,
)
"""The difference of means; Arjovsky, Chintala and Bottou (2017), arXiv:1701.07875.

    cost_D = E D(G(z)) - E D(x),   cost_G = -E D(G(z))

Over all D of Lipschitz constant K, min cost_D = -K W(p, p_G), the earth mover's distance; the loss itself bounds
nothing: without clipping, a penalty or spectral normalisation cost_D has no minimum unless p_G = p.  Only -cost_D is
a distance; the level of cost_G means nothing, as a constant added to D shows.
"""


def _hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def _sign(p: Tensor, q: Tensor) -> Tensor:
    return torch.sign(p - q)


hinge = GANLoss(
    name="hinge",
    generator=_minus_mean,
    discriminator=_hinge_critic,
    optimum="p_G = p_data, D constant in [-1, 1], cost_D = 2, cost_G = -D",
    optimal_logit=_sign,
)
"""The margins of a support vector machine; Lim and Ye (2017), arXiv:1705.02894; Tran et al. (2017), arXiv:1702.08896.

    cost_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))),   cost_G = -E D(G(z))

D = sign(p - p_G) is best and cost_D = 2 - 2 TV(p, p_G) there; where p = p_G every D in [-1, 1] is.  Not zero-sum: D
stops learning from points beyond its margin, G does not.
"""


def _squares_critic(real: Tensor, fake: Tensor, a: float, b: float) -> Tensor:
    return ((real - b).square().mean() + (fake - a).square().mean()) / 2


def _squares_generator(fake: Tensor, c: float) -> Tensor:
    return (fake - c).square().mean() / 2


def _mean_label(p: Tensor, q: Tensor, a: float, b: float) -> Tensor:
    return (b * p + a * q) / (p + q)


def least_squares_with(a: float, b: float, c: float) -> GANLoss:
    """Least squares with labels of one's own.

        cost_D = ½E(D(x) - b)² + ½E(D(G(z)) - a)²,   cost_G = ½E(D(G(z)) - c)²

    D = (b p + a p_G)/(p + p_G) is best.  With b - c = 1 and b - a = 2, such as a, b, c = -1, 1, 0, the value
    ½E(D(x) - c)² + ½E(D(G(z)) - c)² at the best D is half Pearson's χ² of 2p_G from p + p_G, and 0 at p_G = p.

    Parameters
    ----------
    a, b : float
        What D is to say of G(z) and of data.
    c : float
        What G wants D to say.

    Raises
    ------
    TypeError, ValueError
        Labels that are no numbers, or a = b: D could not tell anything.

    References
    ----------
    .. [1] Mao et al. (2017), "Least squares generative adversarial networks", arXiv:1611.04076, section 3.

    Examples
    --------
    >>> least_squares_with(-1, 1, 0)
    GANLoss(least_squares(-1, 1, 0): p_G = p_data, D = 0, cost_D = 1, cost_G = 0)
    """
    a, b, c = (as_number(name, value) for name, value in (("a", a), ("b", b), ("c", c)))
    if a == b:
        raise ValueError(
            f"a and b are both {a}; give D two different labels, a for G(z) and b for data, such as 0 and 1"
        )
    d = (a + b) / 2
    costs = f"D = {d:g}, cost_D = {(b - a) ** 2 / 4:g}, cost_G = {(d - c) ** 2 / 2:g}"
    return GANLoss(
        name=f"least_squares({a:g}, {b:g}, {c:g})",
        generator=partial(_squares_generator, c=c),
        discriminator=partial(_squares_critic, a=a, b=b),
        optimum=f"p_G = p_data, {costs}",
        optimal_logit=partial(_mean_label, a=a, b=b),
    )


least_squares = GANLoss(
    name="least_squares",
    generator=partial(_squares_generator, c=1),
    discriminator=partial(_squares_critic, a=0, b=1),
    optimum="p_G = p_data, D = 1/2, cost_D = 1/4, cost_G = 1/8",
    optimal_logit=partial(_mean_label, a=0, b=1),
)
"""Squared distance to the labels 0 and 1, without σ; Mao et al. (2017), arXiv:1611.04076, equation (9).

    cost_D = ½E(D(x) - 1)² + ½E D(G(z))²,   cost_G = ½E(D(G(z)) - 1)²

D = p/(p + p_G) is best.  These labels are not those that make cost_G a Pearson χ²: see `least_squares_with`.
"""
