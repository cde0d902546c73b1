"""GANs that minimise an f-divergence: the formulas of `divergences`, written stably in torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import sympy as sp
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gamedyn.neural.losses.base import GANLoss
from gamedyn.neural.losses.divergences import as_divergence, t, u

__all__ = ["SCORES", "Scores", "f_gan"]

LOG_2 = float(sp.log(2))


@dataclass(frozen=True)
class Scores:
    """g(v) and f*(g(v)) on logits v, and the best logit for densities p and q."""

    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]
    logit: Callable[[Tensor, Tensor], Tensor]


def _same(v: Tensor) -> Tensor:
    return v


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return p.log() - q.log()


def _half_tanh(v: Tensor) -> Tensor:
    return torch.tanh(v) / 2


SCORES: dict[str, Scores] = {
    "kl": Scores(_same, lambda v: torch.exp(v - 1), lambda p, q: 1 + _log_ratio(p, q)),
    "reverse_kl": Scores(lambda v: -torch.exp(-v), lambda v: v - 1, _log_ratio),
    "js": Scores(lambda v: LOG_2 - softplus(-v), lambda v: softplus(v) - LOG_2, _log_ratio),
    "gan": Scores(lambda v: -softplus(-v), softplus, _log_ratio),
    "pearson": Scores(_same, lambda v: v.square() / 4 + v, lambda p, q: 2 * (p / q - 1)),
    "hellinger": Scores(lambda v: -torch.expm1(-v), torch.expm1, lambda p, q: _log_ratio(p, q) / 2),
    "total_variation": Scores(_half_tanh, _half_tanh, lambda p, q: torch.atanh(torch.sign(p - q))),
}
"""By hand: softplus(v) keeps the digits that -log(1 - exp(-log(1 + exp(-v)))) loses."""


def _critic(real: Tensor, fake: Tensor, name: str) -> Tensor:
    scores = SCORES[name]
    return scores.conjugate(fake).mean() - scores.activation(real).mean()


def _minimax(fake: Tensor, name: str) -> Tensor:
    return -SCORES[name].conjugate(fake).mean()


def _heuristic(fake: Tensor, name: str) -> Tensor:
    return -SCORES[name].activation(fake).mean()


def _best_logit(p: Tensor, q: Tensor, name: str) -> Tensor:
    return SCORES[name].logit(p, q)


def f_gan(name: str, *, saturating: bool = True) -> GANLoss:
    """The game whose discriminator measures an f-divergence.

        cost_D = -E g(D(x)) + E f*(g(D(G(z))))                                              (1)
        cost_G = -E f*(g(D(G(z)))),   or the heuristic  -E g(D(G(z)))                       (2)

    At the best D, cost_D = -D_f(p || p_G), and the generator of the first cost in (2) descends D_f: a zero-sum game.
    The heuristic descends something else: for "kl" it is KL(p_G || p).  "kl", "reverse_kl" and "hellinger" have costs
    that grow exponentially in a logit, beyond float32 from |D| about 89 on.

    Parameters
    ----------
    name : str
        A name in `DIVERGENCES`.
    saturating : bool
        Which cost in (2).

    Raises
    ------
    ValueError
        If there is no such divergence.

    References
    ----------
    .. [1] Nowozin, Cseke and Tomioka (2016), "f-GAN: training generative neural samplers using variational divergence
       minimization", arXiv:1606.00709.

    Examples
    --------
    >>> f_gan("hellinger")
    GANLoss(fgan_hellinger: p_G = p_data, D = 0, cost_D = 0, cost_G = 0)
    """
    which = as_divergence(name)
    paid = which.conjugate if saturating else t
    cost_g = -paid.subs(t, which.witness.subs(u, 1))
    rest = f"D = {which.logit.subs(u, 1)}" if name != "total_variation" else "D constant"
    return GANLoss(
        name=f"fgan_{name}" if saturating else f"fgan_{name}_non_saturating",
        generator=partial(_minimax if saturating else _heuristic, name=name),
        discriminator=partial(_critic, name=name),
        optimum=f"p_G = p_data, {rest}, cost_D = {-which.f.subs(u, 1)}, cost_G = {cost_g}",
        zero_sum=saturating or which.activation == which.conjugate.subs(t, which.activation),
        optimal_logit=partial(_best_logit, name=name),
    )
