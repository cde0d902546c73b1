"""The methods by name, for reports and the command line: each is built from the pieces of this package."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from gamedyn.games.field import Scalar
from gamedyn.rules.anchored import EAGC, EAGV, FEG, AcceleratedProximalPoint, halpern
from gamedyn.rules.averaging import averaged, exponential_average
from gamedyn.rules.basic import (
    Extragradient,
    HeavyBall,
    LinearizedProximalPoint,
    Optimistic,
    PastExtragradient,
    ProximalPoint,
    Simultaneous,
)
from gamedyn.rules.integrators import Heun, Midpoint, RungeKutta4
from gamedyn.rules.method import Method
from gamedyn.rules.mirror import entropic
from gamedyn.rules.momentum import LEAD, Nesterov
from gamedyn.rules.opponent import competitive, lola, opponent_lookahead, sos
from gamedyn.rules.penalties import gradient_penalty, jacobian_regularization
from gamedyn.rules.preconditioners import Adam, AMSGrad, Clip, RMSProp, Sign
from gamedyn.rules.second_order import follow_the_ridge, local_symplectic_surgery, stackelberg
from gamedyn.rules.splitting import ForwardBackwardForward, ReflectedGradient
from gamedyn.rules.stochastic import variance_reduced
from gamedyn.rules.transforms import (
    consensus,
    hamiltonian_gradient,
    stop_gradient_lookahead,
    symplectic_adjustment,
    two_timescale,
    unrolled,
)
from gamedyn.rules.wrappers import Alternating, alternating, lookahead

__all__ = ["CLASSICAL", "Constructor", "ExtraAdam", "OptimisticAdam", "methods", "named"]

Constructor = Callable[..., Any]

CLASSICAL = (
    "Simultaneous",
    "Alternating",
    "Extragradient",
    "Optimistic",
    "AlternatingHeavyBall",
    "Lookahead",
    "Unrolled",
    "Consensus",
    "SymplecticAdjustment",
    "ProximalPoint",
)
"""What `analyze` compares where nothing else is asked for."""


def _eg_plus(lr: Scalar, ratio: Scalar = 2.0) -> Extragradient:
    return Extragradient(lr, extrapolation=ratio * lr)


def _nesterov(lr: Scalar, momentum: Scalar = 0.5) -> Nesterov:
    return Nesterov(lr, momentum)


def _halpern(lr: Scalar) -> halpern:
    return halpern(Simultaneous(lr))


def _averaged_extragradient(lr: Scalar) -> averaged:
    return averaged(Extragradient(lr))


def _averaged_alternating(lr: Scalar, decay: Scalar = 0.999) -> exponential_average:
    return exponential_average(Alternating(lr), decay)


def _svre(lr: Scalar, every: int = 5) -> variance_reduced:
    return variance_reduced(Extragradient(lr), every)


def _nested_lookahead(lr: Scalar, k: int = 5, alpha: Scalar = 0.5, outer: int = 5) -> lookahead:
    return lookahead(lookahead(Simultaneous(lr), k, alpha), outer, alpha)


def _heavy_ball(lr: Scalar, momentum: Scalar = 0.5) -> HeavyBall:
    return HeavyBall(lr, momentum)


def _alternating_heavy_ball(lr: Scalar, momentum: Scalar = -0.5) -> alternating:
    return alternating(HeavyBall(lr, momentum))


def _alternating_optimistic(lr: Scalar) -> alternating:
    return alternating(Optimistic(lr))


def _alternating_extragradient(lr: Scalar) -> alternating:
    return alternating(Extragradient(lr))


def _lookahead(lr: Scalar, k: int = 5, alpha: Scalar = 0.5) -> lookahead:
    return lookahead(Simultaneous(lr), k, alpha)


def _alternating_lookahead(lr: Scalar, k: int = 5, alpha: Scalar = 0.5) -> lookahead:
    return lookahead(Alternating(lr), k, alpha)


def _unrolled(lr: Scalar, steps: int = 5) -> Method:
    return Method(Simultaneous(lr), unrolled(steps, lr))


def _stop_gradient_lookahead(lr: Scalar, steps: int = 5) -> Method:
    return Method(Simultaneous(lr), stop_gradient_lookahead(steps, lr))


def _consensus(lr: Scalar, gamma: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), consensus(gamma))


def _symplectic_adjustment(lr: Scalar, strength: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), symplectic_adjustment(strength))


def _aligned_symplectic_adjustment(lr: Scalar, strength: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), symplectic_adjustment(strength, aligned=True))


def _hamiltonian_gradient(lr: Scalar) -> Method:
    return Method(Simultaneous(lr), hamiltonian_gradient())


def _jacobian_regularization(lr: Scalar, gamma: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), jacobian_regularization(gamma))


def _gradient_penalty(lr: Scalar, gamma: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), gradient_penalty(gamma))


def _competitive(lr: Scalar) -> Method:
    return Method(Simultaneous(lr), competitive(lr))


def _opponent_lookahead(lr: Scalar) -> Method:
    return Method(Simultaneous(lr), opponent_lookahead(lr))


def _lola(lr: Scalar, weight: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), lola(lr, weight))


def _sos(lr: Scalar, a: Scalar = 0.5, b: Scalar = 0.1) -> Method:
    return Method(Simultaneous(lr), sos(lr, a, b))


def _multiplicative_weights(lr: Scalar) -> Method:
    return Method(Simultaneous(lr), entropic())


def _optimistic_multiplicative_weights(lr: Scalar) -> Method:
    return Method(Optimistic(lr), entropic())


def _mirror_prox(lr: Scalar) -> Method:
    return Method(Extragradient(lr), entropic())


def _follow_the_ridge(lr: Scalar, damping: Scalar = 0) -> Method:
    return Method(Simultaneous(lr), follow_the_ridge(damping))


def _stackelberg(lr: Scalar, damping: Scalar = 0) -> Method:
    return Method(Simultaneous(lr), stackelberg(damping))


def _local_symplectic_surgery(lr: Scalar, regularization: Scalar = 0.1) -> Method:
    return Method(Simultaneous(lr), local_symplectic_surgery(regularization))


def _two_timescale(lr: Scalar, tau: Scalar = 2.0) -> Method:
    return Method(Simultaneous(lr), two_timescale(tau))


def _alternating_two_timescale(lr: Scalar, tau: Scalar = 2.0) -> Method:
    return Method(Alternating(lr), two_timescale(tau))


def _adam(lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.999) -> Method:
    return Method(Simultaneous(lr), Adam(beta1, beta2))


def _alternating_adam(lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.999) -> Method:
    return Method(Alternating(lr), Adam(beta1, beta2))


def _amsgrad(lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.999) -> Method:
    return Method(Simultaneous(lr), AMSGrad(beta1, beta2))


def _sign(lr: Scalar) -> Method:
    return Method(Simultaneous(lr), Sign())


def _clipped(lr: Scalar, bound: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), Clip(bound))


def ExtraAdam(lr: Scalar, beta1: Scalar = 0.5, beta2: Scalar = 0.9, eps: Scalar = 1e-8) -> Method:
    """Extragradient on Adam's direction; the moments advance at both evaluations.

        w  = P(z - lr d(v(z)))
        z+ = P(z - lr d(v(w))),  d Adam's direction

    Parameters
    ----------
    lr : float
        Step size η > 0.
    beta1, beta2, eps : float
        As in `Adam`.

    References
    ----------
    .. [1] G. Gidel et al., A variational inequality perspective on GANs, ICLR 2019, arXiv:1802.10551.
    """
    return Method(Extragradient(lr), Adam(beta1, beta2, eps))


def OptimisticAdam(lr: Scalar, beta1: Scalar = 0.5, beta2: Scalar = 0.9, eps: Scalar = 1e-8) -> Method:
    """Optimistic steps along Adam's direction.

        z+ = P(z - 2 lr d_k + lr d_{k-1}),  d_k Adam's direction at step k

    Parameters
    ----------
    lr : float
        Step size η > 0.
    beta1, beta2, eps : float
        As in `Adam`.

    References
    ----------
    .. [1] C. Daskalakis, A. Ilyas, V. Syrgkanis, H. Zeng, Training GANs with optimism, ICLR 2018, arXiv:1711.00141.
    """
    return Method(Optimistic(lr), Adam(beta1, beta2, eps))


def _rmsprop(lr: Scalar, decay: Scalar = 0.99) -> Method:
    return Method(Simultaneous(lr), RMSProp(decay))


def _alternating_rmsprop(lr: Scalar, decay: Scalar = 0.99) -> Method:
    return Method(Alternating(lr), RMSProp(decay))


methods: dict[str, Constructor] = {
    "Simultaneous": Simultaneous,
    "Alternating": Alternating,
    "Extragradient": Extragradient,
    "EGPlus": _eg_plus,
    "AlternatingExtragradient": _alternating_extragradient,
    "Optimistic": Optimistic,
    "AlternatingOptimistic": _alternating_optimistic,
    "PastExtragradient": PastExtragradient,
    "ReflectedGradient": ReflectedGradient,
    "ForwardBackwardForward": ForwardBackwardForward,
    "HeavyBall": _heavy_ball,
    "AlternatingHeavyBall": _alternating_heavy_ball,
    "Nesterov": _nesterov,
    "LEAD": LEAD,
    "Midpoint": Midpoint,
    "Heun": Heun,
    "RungeKutta4": RungeKutta4,
    "Lookahead": _lookahead,
    "AlternatingLookahead": _alternating_lookahead,
    "NestedLookahead": _nested_lookahead,
    "AveragedExtragradient": _averaged_extragradient,
    "AveragedAlternating": _averaged_alternating,
    "SVRE": _svre,
    "EAGC": EAGC,
    "EAGV": EAGV,
    "FEG": FEG,
    "Halpern": _halpern,
    "Unrolled": _unrolled,
    "StopGradientLookahead": _stop_gradient_lookahead,
    "OpponentLookahead": _opponent_lookahead,
    "LOLA": _lola,
    "SOS": _sos,
    "Competitive": _competitive,
    "FollowTheRidge": _follow_the_ridge,
    "Stackelberg": _stackelberg,
    "LocalSymplecticSurgery": _local_symplectic_surgery,
    "Consensus": _consensus,
    "SymplecticAdjustment": _symplectic_adjustment,
    "AlignedSymplecticAdjustment": _aligned_symplectic_adjustment,
    "HamiltonianGradient": _hamiltonian_gradient,
    "JacobianRegularization": _jacobian_regularization,
    "GradientPenalty": _gradient_penalty,
    "TwoTimescale": _two_timescale,
    "AlternatingTwoTimescale": _alternating_two_timescale,
    "MultiplicativeWeights": _multiplicative_weights,
    "OptimisticMultiplicativeWeights": _optimistic_multiplicative_weights,
    "MirrorProx": _mirror_prox,
    "ProximalPoint": ProximalPoint,
    "LinearizedProximalPoint": LinearizedProximalPoint,
    "AcceleratedProximalPoint": AcceleratedProximalPoint,
    "Adam": _adam,
    "AlternatingAdam": _alternating_adam,
    "ExtraAdam": ExtraAdam,
    "OptimisticAdam": OptimisticAdam,
    "AMSGrad": _amsgrad,
    "RMSProp": _rmsprop,
    "AlternatingRMSProp": _alternating_rmsprop,
    "Sign": _sign,
    "Clipped": _clipped,
}
"""name -> constructor(lr, **coefficients); where the others are expected to move, lr is that of their moves too."""


def coefficients(name: str) -> dict[str, Any]:
    """The coefficients of a named method besides `lr`, with their defaults."""
    parameters = inspect.signature(_constructor(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "lr"}


def named(name: str, lr: Scalar = 0.1, **given: Any) -> Any:
    """A method by its name.

    Parameters
    ----------
    name : str
        A key of `methods`.
    lr : float or Symbol
        Step size η > 0.
    **given
        Coefficients that differ from their defaults, as `coefficients(name)` lists them.

    Raises
    ------
    ValueError
        If there is no such method, or it has no such coefficient.

    Examples
    --------
    >>> named("AlternatingHeavyBall", lr=0.1, momentum=-0.25)
    alternating(rule=HeavyBall(lr=0.1, momentum=-0.25), order=None, steps=None)
    """
    known = coefficients(name)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(
            f"{name} has no coefficient {', '.join(unknown)}; besides lr it has {', '.join(known) or 'none'}"
        )
    return _constructor(name)(lr=lr, **given)


def _constructor(name: str) -> Constructor:
    if name not in methods:
        folded = {n.casefold(): n for n in methods}
        near = [folded[n] for n in difflib.get_close_matches(str(name).casefold(), folded, n=3)]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"there is no method '{name}'.{hint} The methods are: {', '.join(methods)}.")
    return methods[name]
