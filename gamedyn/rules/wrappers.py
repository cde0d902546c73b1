"""Wrappers: from a rule to a rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gamedyn.games.field import Element, Field, Scalar, total
from gamedyn.rules.basic import Simultaneous
from gamedyn.rules.checks import require_count, require_players, require_rule
from gamedyn.rules.rule import Memory, Timed, at, coefficient_names, period, refuse_report, replace_in_rule
from gamedyn.rules.scaling import ScaledField


@dataclass(frozen=True)
class alternating:
    """The rule run player after player, each seeing the moves made before.

        for i in order, steps[i] times:  z ← rule on the field Pᵢv

    Every player keeps a memory of its own (its slots of the rule's memory vectors).  With one step per
    player a step costs as many gradients as the rule's.

    Parameters
    ----------
    rule : Rule
        Run on `F.only(i)`.
    order : tuple of int, optional
        Players in the order of their moves; by default as the game lists them.
    steps : tuple of int, optional
        Updates of each entry of `order`; by default one.

    Raises
    ------
    TypeError
        If `rule` is no rule, or `order` does not list player numbers.
    ValueError
        If a count of steps is no integer >= 0, or, with the game, `order` and `steps` do not fit its players.

    Notes
    -----
    On f = xy plain alternation is neutral for 0 < lr < 2: both |ζ| = 1.

    References
    ----------
    .. [1] J. P. Bailey, G. Gidel, G. Piliouras, Finite regret and cycles with fixed step-size via alternating gradient
       descent-ascent, COLT 2020, arXiv:1907.04392.
    """

    rule: Any
    order: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    hands_on_report = True

    def __post_init__(self) -> None:
        require_rule(self.rule, "alternating")
        if self.order is not None:
            object.__setattr__(self, "order", require_players("alternating", "order", self.order))
        if self.steps is None:
            return
        if not isinstance(self.steps, (tuple, list)):
            raise TypeError(f"alternating: steps lists one count per move, as in steps=(1, 5); got {self.steps!r}")
        steps = tuple(require_count("alternating", "an entry of steps", count, 0) for count in self.steps)
        object.__setattr__(self, "steps", steps)

    def _moves(self, F: Field) -> list[int]:
        n = len(F.players)
        if n < 2:
            raise ValueError(f"alternating needs at least 2 players, this game has {n}. Use the rule itself.")
        order = tuple(range(n)) if self.order is None else self.order
        steps = (1,) * len(order) if self.steps is None else self.steps
        if not order or not all(0 <= i < n for i in order) or len(steps) != len(order) or min(steps) < 0:
            raise ValueError(
                f"order={order} and steps={steps} do not fit {n} players: order lists players 0 to {n - 1}, "
                f"steps one count >= 0 per entry"
            )
        return [i for i, count in zip(order, steps, strict=True) for _ in range(count)]

    def init(self, F: Field, z: Element) -> Memory:
        """Each player's memory, in its own slots."""
        n = len(F.players)
        memories = [self.rule.init(F.only(i), z) for i in range(n)]
        return tuple(total(F.mask(i, memories[i][k]) for i in range(n)) for k in range(len(memories[0])))

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One round."""
        for i in self._moves(F):
            own = tuple(F.mask(i, m) for m in memory)
            z, new = self.rule.step(F.only(i), z, own)
            memory = tuple(m - o + F.mask(i, p) for m, o, p in zip(memory, own, new, strict=True))
        return z, memory


def Alternating(lr: Scalar, order: tuple[int, ...] | None = None, steps: tuple[int, ...] | None = None) -> alternating:
    """Alternating gradient descent: the short name of `alternating(Simultaneous(lr), order, steps)`.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.
    order, steps : tuple of int, optional
        As in `alternating`.
    """
    return alternating(Simultaneous(lr), order, steps)


@dataclass(frozen=True)
class lookahead:
    """One step of every k inner steps is kept.

        w  = k steps of the rule from z
        z+ = P(z + alpha (w - z))

    Costs k times the rule's gradients.  The rule's memory runs on through the inner steps; a schedule inside counts the
    outer ones.  On random fields the inner steps see one sample each step of the whole, or draw at every evaluation.

    Parameters
    ----------
    rule : Rule
    k : int
        Inner steps, at least 1.
    alpha : float or Symbol
        Share of the way that is kept, in (0, 1].

    Raises
    ------
    TypeError
        If `rule` is no rule, or `k` no number.
    ValueError
        If `k` is no integer >= 1.

    References
    ----------
    .. [1] T. Chavdarova et al., Taming GANs with Lookahead-Minmax, ICLR 2021, arXiv:2006.14567.
    """

    rule: Any
    k: int
    alpha: Scalar

    def __post_init__(self) -> None:
        require_rule(self.rule, "lookahead")
        object.__setattr__(self, "k", require_count("lookahead", "k", self.k, 1))
        refuse_report("lookahead", self.rule)

    def init(self, F: Field, z: Element) -> Memory:
        """The rule's memory."""
        return self.rule.init(F, z)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        w = z
        for _ in range(self.k):
            w, memory = self.rule.step(F, w, memory)
        return F.point(z + self.alpha * (w - z)), memory


@dataclass(frozen=True)
class per_player:
    """The rule with a step of each player's own, of either sign.

        the rule on the field Σ scales[i] Pᵢv

    Costs what the rule costs.  Schedules of negative steps make plain descent converge where no positive ones
    do [1]_.

    Parameters
    ----------
    rule : Rule
    scales : tuple of float or Symbol
        One factor per player on its part of the field.

    Raises
    ------
    TypeError
        If `rule` is no rule, or `scales` is no sequence.

    References
    ----------
    .. [1] H. Shugart, J. M. Altschuler, Negative stepsizes make gradient-descent-ascent converge (2025),
       arXiv:2505.01423.

    Examples
    --------
    >>> import gamedyn as gd
    >>> swing = gd.per_player(gd.Simultaneous(lr=1), (0.5, 0.0))
    >>> slingshot = gd.scheduled(swing, "scales", ((0.5, -0.5), (-0.5, 0.5)))
    >>> round(gd.spectral_radius(gd.StepMap(slingshot, gd.games.bilinear(1)), [0, 0]), 6)
    0.75
    """

    rule: Any
    scales: tuple[Scalar, ...]
    hands_on_report = True

    def __post_init__(self) -> None:
        require_rule(self.rule, "per_player")
        if isinstance(self.scales, (str, Mapping)) or not hasattr(self.scales, "__getitem__"):
            raise TypeError(
                f"per_player: scales lists one factor per player, in the order of the game, as in (1.0, -0.5); "
                f"got {self.scales!r}"
            )

    def init(self, F: Field, z: Element) -> Memory:
        """The rule's memory."""
        return self.rule.init(ScaledField(F, self.scales), z)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        return self.rule.step(ScaledField(F, self.scales), z, memory)


@dataclass(frozen=True)
class scheduled(Timed):
    """A rule one of whose coefficients depends on the step.

        step k uses  rule with `parameter` = values(k),  k = 0, 1, 2, …

    Parameters
    ----------
    rule : Rule
        Wrapped or not.
    parameter : str
        A field of the rule, or of a rule that it wraps; no count, order or flag.
    values : callable or tuple
        values(k), or one period of values.

    Raises
    ------
    TypeError
        If `rule` is no rule, or `values` neither a function nor a sequence.
    ValueError
        If the rule has no coefficient `parameter`, or `values` is empty.

    Notes
    -----
    A tuple is a periodic schedule, analysed as its p-step map; a callable has no spectral radius.
    """

    rule: Any
    parameter: str
    values: Callable[[int], Scalar] | tuple[Scalar, ...]
    hands_on_report = True

    def __post_init__(self) -> None:
        require_rule(self.rule, "scheduled")
        names = coefficient_names(self.rule)
        if self.parameter not in names:
            known = ", ".join(names) or "none"
            raise ValueError(f"scheduled: {self.rule!r} has no coefficient '{self.parameter}'; it has {known}")
        what = "values must be a function of the step, or one period of values, as in (0.1, 0.2)"
        if isinstance(self.values, (str, Mapping)) or not (
            callable(self.values) or hasattr(self.values, "__getitem__")
        ):
            raise TypeError(f"scheduled: {what}; got {self.values!r}")
        if not callable(self.values) and len(self.values) == 0:
            raise ValueError(f"scheduled: {what}; got no value")

    def at(self, k: int) -> Any:
        """The autonomous rule of step k."""
        value = self.values(k) if callable(self.values) else self.values[k % len(self.values)]
        rule = replace_in_rule(self.rule, "", self.parameter, _as_coefficient(value))
        return at(rule, k)

    @property
    def period(self) -> int | None:
        """Steps after which everything repeats, None where `values` is a function of the step."""
        inner = period(self.rule)
        return None if callable(self.values) or inner is None else math.lcm(len(self.values), inner)


def _as_coefficient(value: Any) -> Any:
    """An int as a float, in tuples too: ints are counts, which a trace holds fixed."""
    if isinstance(value, tuple):
        return tuple(map(_as_coefficient, value))
    return value * 1.0 if isinstance(value, int) else value
