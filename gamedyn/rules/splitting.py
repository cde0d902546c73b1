"""Splitting methods: one gradient or one projection less than extragradient, the same fixed points.

Without constraints some of them coincide with rules of `basic`; the docstrings say with which.
"""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory, Memoryless


@dataclass(frozen=True)
class ReflectedGradient:
    """The field taken at the last point reflected in the present one.

        z+ = P(z - lr v(P(2z - z₋)))

    One gradient and one projection onto the constraints for the update; the reflected point, which the original
    lets lie outside of them, is projected too.  Memory: the last displacement z - z₋, zero at the start.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ² - (1 - 2ηλ)ζ - ηλ, that of `Optimistic`: on affine fields they differ by the start
    alone.  Contracts a rotation of speed σ iff lr σ < 1/√3.

    References
    ----------
    .. [1] Y. Malitsky, Projected reflected gradient methods for monotone variational inequalities,
       SIAM J. Optim. 2015, arXiv:1502.04968.
    """

    lr: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """At rest."""
        return (0 * z,)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (u,) = memory
        new = F.point(z - self.lr * F(F.point(z + u)))
        return new, (new - z,)


@dataclass(frozen=True)
class ForwardBackwardForward(Memoryless):
    """Extragradient with the second projection replaced by a correction.

        w  = P(z - lr v(z))
        z+ = P(w - lr (v(w) - v(z)))

    Two gradients per step.  Without constraints it is `Extragradient`.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ + η²λ²).

    References
    ----------
    .. [1] P. Tseng, A modified forward-backward splitting method for maximal monotone mappings,
       SIAM J. Control Optim. 38 (2000).
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        v = F(z)
        w = F.point(z - self.lr * v)
        return F.point(w - self.lr * (F(w) - v)), memory
