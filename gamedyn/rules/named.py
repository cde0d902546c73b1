"""The methods by name, for reports and the command line: each is built from the pieces of this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gamedyn.games.field import Scalar
from gamedyn.rules.basic import (
    Extragradient,
    HeavyBall,
    LinearizedProximalPoint,
    Optimistic,
    PastExtragradient,
    ProximalPoint,
    Simultaneous,
)
from gamedyn.rules.method import Method
from gamedyn.rules.preconditioners import Adam, RMSProp
from gamedyn.rules.transforms import (
    consensus,
    stop_gradient_lookahead,
    symplectic_adjustment,
    two_timescale,
    unrolled,
)
from gamedyn.rules.wrappers import Alternating, alternating, lookahead

__all__ = ["CLASSICAL", "Constructor", "methods", "named"]

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


def _heavy_ball(lr: Scalar, momentum: Scalar = 0.5) -> HeavyBall:
    return HeavyBall(lr, momentum)


def _alternating_heavy_ball(lr: Scalar, momentum: Scalar = -0.5) -> alternating:
    return alternating(HeavyBall(lr, momentum))


def _alternating_optimistic(lr: Scalar) -> alternating:
    return alternating(Optimistic(lr))


def _alternating_extragradient(lr: Scalar) -> alternating:
    return alternating(Extragradient(lr))


def _lookahead(lr: Scalar, k: int = 5, alpha: Scalar = 0.5) -> lookahead:
    return lookahead(Simultaneous(lr), int(k), alpha)


def _alternating_lookahead(lr: Scalar, k: int = 5, alpha: Scalar = 0.5) -> lookahead:
    return lookahead(Alternating(lr), int(k), alpha)


def _unrolled(lr: Scalar, steps: int = 5) -> Method:
    return Method(Simultaneous(lr), unrolled(int(steps), lr))


def _stop_gradient_lookahead(lr: Scalar, steps: int = 5) -> Method:
    return Method(Simultaneous(lr), stop_gradient_lookahead(int(steps), lr))


def _consensus(lr: Scalar, gamma: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), consensus(gamma))


def _symplectic_adjustment(lr: Scalar, strength: Scalar = 1.0) -> Method:
    return Method(Simultaneous(lr), symplectic_adjustment(strength))


def _two_timescale(lr: Scalar, tau: Scalar = 2.0) -> Method:
    return Method(Simultaneous(lr), two_timescale(tau))


def _alternating_two_timescale(lr: Scalar, tau: Scalar = 2.0) -> Method:
    return Method(Alternating(lr), two_timescale(tau))


def _adam(lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.999) -> Method:
    return Method(Simultaneous(lr), Adam(beta1, beta2))


def _alternating_adam(lr: Scalar, beta1: Scalar = 0.9, beta2: Scalar = 0.999) -> Method:
    return Method(Alternating(lr), Adam(beta1, beta2))


def _extra_adam(lr: Scalar, beta1: Scalar = 0.5, beta2: Scalar = 0.9) -> Method:
    return Method(Extragradient(lr), Adam(beta1, beta2))


def _optimistic_adam(lr: Scalar, beta1: Scalar = 0.5, beta2: Scalar = 0.9) -> Method:
    return Method(Optimistic(lr), Adam(beta1, beta2))


def _rmsprop(lr: Scalar, decay: Scalar = 0.99) -> Method:
    return Method(Simultaneous(lr), RMSProp(decay))


def _alternating_rmsprop(lr: Scalar, decay: Scalar = 0.99) -> Method:
    return Method(Alternating(lr), RMSProp(decay))


methods: dict[str, Constructor] = {
    "Simultaneous": Simultaneous,
    "Alternating": Alternating,
    "Extragradient": Extragradient,
    "AlternatingExtragradient": _alternating_extragradient,
    "Optimistic": Optimistic,
    "AlternatingOptimistic": _alternating_optimistic,
    "PastExtragradient": PastExtragradient,
    "HeavyBall": _heavy_ball,
    "AlternatingHeavyBall": _alternating_heavy_ball,
    "Lookahead": _lookahead,
    "AlternatingLookahead": _alternating_lookahead,
    "Unrolled": _unrolled,
    "StopGradientLookahead": _stop_gradient_lookahead,
    "Consensus": _consensus,
    "SymplecticAdjustment": _symplectic_adjustment,
    "TwoTimescale": _two_timescale,
    "AlternatingTwoTimescale": _alternating_two_timescale,
    "ProximalPoint": ProximalPoint,
    "LinearizedProximalPoint": LinearizedProximalPoint,
    "Adam": _adam,
    "AlternatingAdam": _alternating_adam,
    "ExtraAdam": _extra_adam,
    "OptimisticAdam": _optimistic_adam,
    "RMSProp": _rmsprop,
    "AlternatingRMSProp": _alternating_rmsprop,
}
"""name -> constructor(lr, **coefficients); in `Unrolled` and `StopGradientLookahead` lr is that of the answers, too."""


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
        raise ValueError(f"there is no method '{name}'. The methods are: {', '.join(methods)}.")
    return methods[name]
