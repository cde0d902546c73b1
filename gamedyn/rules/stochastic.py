"""Variance reduction: a wrapper that corrects every evaluation by a snapshot's full gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gamedyn.games.field import DerivedField, Element, Field, Scalar
from gamedyn.rules.checks import require_count, require_rule
from gamedyn.rules.rule import Memory, Timed, at, period, refuse_report


@dataclass(frozen=True)
class variance_reduced(Timed):
    """A rule on a field whose variance vanishes as the iterate and a snapshot approach each other.

        every `every` steps:  z̃ ← z,  g̃ ← E v(z̃)                                         (1)
        v̂(w) = f(w) - f(z̃) + g̃,  f = the field of one sample                             (2)
        (z, …) ← rule on v̂

    Around `Extragradient` it is SVRE.  An evaluation costs two gradients of a sample, a snapshot one full
    gradient; memory: z̃ - z, g̃ and the rule's own.  Where nothing is random v̂ = v, and it is the rule itself.
    Alternation goes inside, `variance_reduced(alternating(rule), every)`: all players share the snapshot.

    Parameters
    ----------
    rule : Rule
        Wrapped or not.
    every : int
        Steps between snapshots, at least 1; the first step takes one.

    Raises
    ------
    ValueError
        If `every` is no positive integer, or the wrapper stands inside `alternating`.
    TypeError
        If `rule` is no rule, or `every` no number.
    NotInThisWorld
        Under a preconditioner, which normalises after the difference (2) would have to be formed.

    References
    ----------
    .. [1] T. Chavdarova, G. Gidel, F. Fleuret, S. Lacoste-Julien, Reducing noise in GAN training with variance
       reduced extragradient, NeurIPS 2019, arXiv:1904.08598.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.zero_sum("a*x*y", min="x", max="y")
    >>> oracle = gd.FiniteSum(g, {"a": [0.5, 1.5]}, sampling="independent")
    >>> T = gd.StepMap(gd.variance_reduced(gd.Extragradient(0.5), 2), g, oracle=oracle)
    >>> gd.simulate(T, [1.0, 1.0], steps=600).status
    array('converged', dtype='<U9')
    """

    rule: Any
    every: int

    def __post_init__(self) -> None:
        require_rule(self.rule, "variance_reduced")
        object.__setattr__(self, "every", require_count("variance_reduced", "every", self.every, 1))
        refuse_report("variance_reduced", self.rule)

    def at(self, k: int) -> corrected:
        """The autonomous rule of step k: with a fresh snapshot or the one in memory."""
        return corrected(at(self.rule, k), 0.0 if k % self.every == 0 else 1.0)

    @property
    def period(self) -> int | None:
        """Steps after which everything repeats, None where the rule's own schedule does not."""
        inner = period(self.rule)
        return None if inner is None else math.lcm(self.every, inner)


@dataclass(frozen=True)
class corrected:
    """One step of `variance_reduced`: `keep` is 1 where the snapshot in memory serves, 0 where a fresh one does.

    A number instead of a flag, so that one trace with `keep` as a symbol serves every step.
    """

    rule: Any
    keep: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """z̃ - z = 0, g̃ = E v(z), and the rule's memory."""
        _refuse_inside_alternating(F)
        full = F.expected()(z)
        return (0 * z, full, *self.rule.init(CorrectedField(F, z, full), z))

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        _refuse_inside_alternating(F)
        away, full, *own = memory
        if self.keep != 1:
            away, full = self.keep * away, self.keep * full + (1 - self.keep) * F.expected()(z)
        field = CorrectedField(F, F.point(z + away), full)
        z_next, own_next = self.rule.step(field, z, tuple(own))
        return z_next, (away + (z - z_next), full, *own_next)


class CorrectedField(DerivedField):
    """v̂(w) = f(w) - f(z̃) + g̃, a fresh sample for each evaluation where the field draws at each."""

    def __init__(self, base: Field, snapshot: Element, full: Element) -> None:
        super().__init__(base)
        self.snapshot, self.full = snapshot, full

    def __call__(self, z: Element) -> Element:
        f = self.base.fixed()
        return f(z) - f(self.snapshot) + self.full

    def part(self, i: int, z: Element) -> Element:
        f = self.base.fixed()
        return f.part(i, z) - f.part(i, self.snapshot) + self.mask(i, self.full)

    def only(self, i: int) -> Field:
        return CorrectedField(self.base.only(i), self.snapshot, self.mask(i, self.full))

    def jvp(self, z: Element, u: Element) -> Element:
        return self.base.jvp(z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, u)

    def resolvent(self, lr: Scalar, z: Element) -> Element:
        f = self.base.fixed()
        return f.resolvent(lr, z - lr * (self.full - f(self.snapshot)))


def _refuse_inside_alternating(F: Field) -> None:
    if not F.is_whole:
        raise ValueError(
            "variance_reduced stands inside alternating, where each player would compare with a snapshot of its own "
            "coordinates and the present ones of the others; write variance_reduced(alternating(rule), every)"
        )
