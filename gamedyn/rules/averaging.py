"""Averages of the iterates: what is reported, never what is stepped from.

The average z̄ is kept as the memory z̄ - z.  It is the average of points of the game: under a mirror map, of
strategies and not of the dual vectors that the rule steps on.  Inside a wrapper that moves the point after the rule
(lookahead, halpern, variance reduction, another average) these are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory, Timed, at, refuse_report


@dataclass(frozen=True)
class exponential_average:
    """The rule, reporting an exponential average of its iterates.

        z̄+ = decay z̄ + (1 - decay) z+

    Costs what the rule costs; memory: z̄ - z, then the rule's.  Adds the eigenvalue `decay` (once per coordinate) to
    those of the step.

    Parameters
    ----------
    rule : Rule
    decay : float or Symbol
        In [0, 1).

    References
    ----------
    .. [1] Y. Yazıcı et al., The unusual effectiveness of averaging in GAN training, ICLR 2019, arXiv:1806.04498.
    """

    rule: Any
    decay: Scalar

    def __post_init__(self) -> None:
        refuse_report("exponential_average", self.rule)

    def init(self, F: Field, z: Element) -> Memory:
        """The average is the start."""
        return (0 * z, *self.rule.init(F, z))

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        offset, *own = memory
        new, after = self.rule.step(F, z, tuple(own))
        return new, (self.decay * (offset + F.leave(z) - F.leave(new)), *after)

    def report(self, z: Element, memory: Memory) -> Element:
        """z̄."""
        return z + memory[0]


@dataclass(frozen=True)
class averaged(Timed):
    """The rule, reporting the mean of all its iterates, the start included.

        z̄_k = (z₀ + … + z_k)/(k + 1)

    Costs what the rule costs; memory: z̄ - z, then the rule's.  The weights depend on the step, so that the map has
    no spectral radius; that of the rule is unchanged by it.

    Parameters
    ----------
    rule : Rule

    References
    ----------
    .. [1] R. E. Bruck, On the weak convergence of an ergodic iteration for the solution of variational inequalities
       (1977).
    .. [2] A. Nemirovski, Prox-method with rate of convergence O(1/t), SIAM J. Optim. 15 (2004).

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.averaged(gd.Alternating(lr=0.5)), gd.games.bilinear(1))
    >>> float(abs(gd.simulate(T, [1.0, 0.0], steps=2000).z[-1]).max()) < 1e-3
    True
    """

    rule: Any

    def __post_init__(self) -> None:
        refuse_report("averaged", self.rule)

    def at(self, k: int) -> exponential_average:
        """The autonomous rule of step k."""
        return exponential_average(at(self.rule, k), Fraction(k + 1, k + 2))

    def report(self, z: Element, memory: Memory) -> Element:
        """z̄."""
        return z + memory[0]
