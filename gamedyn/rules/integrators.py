"""Numerical integrators of the flow ż = -v(z), used as update rules."""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory, Memoryless


@dataclass(frozen=True)
class Midpoint(Memoryless):
    """The explicit midpoint method.

        w  = P(z - (lr/2) v(z))
        z+ = P(z - lr v(w))

    Two gradients per step.  It follows the flow to second order, and so turns with it: on a rotation it
    spirals out, with ρ = 1 + (lr σ)⁴/8 + …

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ + η²λ²/2).  It is `Extragradient` with half the look-ahead.
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        w = F.point(z - self.lr / 2 * F(z))
        return F.point(z - self.lr * F(w)), memory


@dataclass(frozen=True)
class Heun(Memoryless):
    """The explicit trapezoidal method.

        w  = P(z - lr v(z))
        z+ = P(z - (lr/2)(v(z) + v(w)))

    Two gradients per step.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ + η²λ²/2), that of `Midpoint`.

    References
    ----------
    .. [1] C. Qin et al., Training generative adversarial networks by solving ordinary differential equations,
       NeurIPS 2020, arXiv:2010.15040.
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        v = F(z)
        w = F.point(z - self.lr * v)
        return F.point(z - self.lr / 2 * (v + F(w))), memory


@dataclass(frozen=True)
class RungeKutta4(Memoryless):
    """The classical Runge-Kutta method of order four.

        k₁ = v(z),  k₂ = v(P(z - (lr/2) k₁)),  k₃ = v(P(z - (lr/2) k₂)),  k₄ = v(P(z - lr k₃))
        z+ = P(z - (lr/6)(k₁ + 2k₂ + 2k₃ + k₄))

    Four gradients per step.  On a rotation of speed σ it contracts, barely, iff lr σ < 2√2.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ + (ηλ)²/2 - (ηλ)³/6 + (ηλ)⁴/24); on λ = ±iσ, with x = ησ,
    ρ² = 1 - x⁶/72 + x⁸/576.

    References
    ----------
    .. [1] C. Qin et al., Training generative adversarial networks by solving ordinary differential equations,
       NeurIPS 2020, arXiv:2010.15040.
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        k1 = F(z)
        k2 = F(F.point(z - self.lr / 2 * k1))
        k3 = F(F.point(z - self.lr / 2 * k2))
        k4 = F(F.point(z - self.lr * k3))
        return F.point(z - self.lr / 6 * (k1 + 2 * k2 + 2 * k3 + k4)), memory
