"""The method of a run's settings, and which settings go together.

Method(rule, preconditioner, unrolled(K), *transforms of the named method)                        (1)
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from gamedyn.rules.method import Method, as_method
from gamedyn.rules.named import coefficients, named
from gamedyn.rules.preconditioners import Adam, RMSProp
from gamedyn.rules.transforms import two_timescale, unrolled
from gamedyn.rules.wrappers import alternating, per_player

if TYPE_CHECKING:
    from gamedyn.neural.training.settings import RunSettings

__all__ = ["method_of"]

ON_STRATEGIES = ("MultiplicativeWeights", "OptimisticMultiplicativeWeights", "MirrorProx")
NEED_V = ("LEAD", "SVRE", "ProximalPoint", "LinearizedProximalPoint", "AcceleratedProximalPoint")
"""Rules that ask for Jv, a resolvent or the mean of v, which a direction of Adam has none of."""
KEEP_COSTS = (unrolled, two_timescale)
"""Transforms of costs; what the others give is a field without costs, which nobody can unroll."""


def method_of(settings: RunSettings) -> Method:
    """The method, in which the discriminator goes first wherever players take turns.

    Raises
    ------
    ValueError
        If settings do not go together.
    """
    given = {"beta1": settings.beta1, "beta2": settings.beta2}
    betas = {name: value for name, value in given.items() if value is not None}
    own = {k: v for k, v in betas.items() if k in coefficients(settings.method)}
    base = as_method(named(settings.method, settings.lr, **own))
    rule = _turns(base.rule, settings.n_d)
    if settings.n_d > 1 and rule == base.rule:
        raise ValueError(f"n_d = {settings.n_d} needs a method in which the players take turns, as in Alternating")
    if settings.lr_d != settings.lr:
        rule = per_player(rule, (1.0, settings.lr_d / settings.lr))
    preconditioner = _preconditioner(settings, base.preconditioner, betas, own)
    _check_together(settings, base, preconditioner)
    inner = "gradient" if preconditioner is None else "preconditioned"
    ahead = (unrolled(settings.unroll, lr=settings.lr_d, inner=inner),) if settings.unroll else ()
    return Method(rule, *(p for p in (preconditioner,) if p is not None), *ahead, *base.transforms)


def _check_together(settings: RunSettings, base: Method, preconditioner: Any) -> None:
    """Refuse a method that cannot train two networks, or not with these settings."""
    name = settings.method
    if name in ON_STRATEGIES:
        raise ValueError(f"method {name} plays on probabilities, which networks are not; see `gamedyn methods`")
    if name in NEED_V and preconditioner is not None:
        raise ValueError(
            f"method {name} needs v itself, its derivative or its mean, and a preconditioner gives a direction alone; "
            f"give preconditioner none (--preconditioner none)"
        )
    if settings.unroll and not all(isinstance(t, KEEP_COSTS) for t in base.transforms):
        raise ValueError(
            f"method {name} changes the field, and unrolling needs the costs behind it; leave out unroll (--unroll), "
            f"or take a method such as Alternating"
        )


def _preconditioner(settings: RunSettings, present: Any, betas: dict[str, float], own: dict[str, float]) -> Any:
    """The method's own, or that of the settings."""
    asked = settings.preconditioner
    if present is not None and asked is not None:
        raise ValueError(f"method {settings.method} has its own preconditioner; leave preconditioner out")
    has = {None: {"beta1", "beta2"}, "adam": {"beta1", "beta2"}, "rmsprop": {"beta2"}}.get(asked, set())
    if unused := set(betas) - (set(own) if present is not None else has):
        raise ValueError(
            f"{' and '.join(sorted(unused))} belongs to no part of {settings.method} with preconditioner "
            f"{asked or 'of its own'}; adam has beta1 and beta2, rmsprop beta2"
        )
    if present is not None or asked == "none":
        return present
    if asked == "rmsprop":
        return RMSProp(betas.get("beta2", 0.99))
    return Adam(betas.get("beta1", 0.5), betas.get("beta2", 0.999))


def _turns(rule: Any, n_d: int) -> Any:
    """The rule with the discriminator first, n_d times, wherever players take turns in it."""
    if isinstance(rule, alternating):
        return replace(rule, order=(1, 0), steps=(n_d, 1))
    if is_dataclass(rule) and not isinstance(rule, type) and any(f.name == "rule" for f in fields(rule)):
        return replace(rule, rule=_turns(getattr(rule, "rule"), n_d))  # noqa: B009
    return rule
