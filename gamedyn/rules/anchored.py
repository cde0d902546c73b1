"""Anchored methods: every step is pulled back towards the start, less and less.

An anchor is kept as the memory m = z₀ - z, a displacement like any other memory, so that it composes with
alternation (every player has its own), resumes with the state and needs nothing of a step map.  The
coefficients depend on the step: `at(k)`, k = 0, 1, 2, …, an aperiodic schedule, which has rates and
certificates but no spectral radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory, Timed, at, refuse_report

ONE = Fraction(1)
RECURSION = 400  # steps from one remembered step to the next, well below Python's limit


@dataclass(frozen=True)
class AnchoredExtragradient:
    """One step of an anchored extragradient method with given coefficients.

        w  = P(z + beta (z₀ - z) - ahead v(z))
        z+ = P(z + beta (z₀ - z) - lr v(w) - again v(z))

    Parameters
    ----------
    beta : float or Symbol
        Weight of the anchor, in [0, 1].
    ahead, lr, again : float or Symbol
        Steps along v(z) before the look-ahead, along v(w), and along v(z) in the update.
    """

    beta: Scalar
    ahead: Scalar
    lr: Scalar
    again: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """The anchor is the start itself."""
        return (0 * z,)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (m,) = memory
        v = F(z)
        w = F.point(z + self.beta * m - self.ahead * v)
        new = F.point(z + self.beta * m - self.lr * F(w) - self.again * v)
        return new, (m + z - new,)


@dataclass(frozen=True)
class EAGC(Timed):
    """Extra anchored gradient with a constant step (EAG-C).

        w  = P(z + (z₀ - z)/(k+2) - lr v(z))
        z+ = P(z + (z₀ - z)/(k+2) - lr v(w))

    Two gradients per step; memory: z₀ - z.  On a monotone L-Lipschitz field and lr = 1/(8L),
    ‖v(z_k)‖² <= 260 L² ‖z₀ - z*‖²/(k+1)²; smaller steps have a larger constant.

    Parameters
    ----------
    lr : float or Symbol
        Step size α > 0.

    References
    ----------
    .. [1] T. Yoon, E. K. Ryu, Accelerated algorithms for smooth convex-concave minimax problems with O(1/k²) rate
       on squared gradient norm, ICML 2021, arXiv:2102.07922.

    Examples
    --------
    >>> import gamedyn as gd
    >>> orbit = gd.simulate(gd.StepMap(gd.EAGC(lr=0.125), gd.games.bilinear(1)), [1.0, 0.0], steps=100)
    >>> bool((gd.field(gd.games.bilinear(1), orbit.z.T) ** 2).sum(0)[-1] < 260 / 101**2)
    True
    """

    lr: Scalar

    def at(self, k: int) -> AnchoredExtragradient:
        """The autonomous rule of step k."""
        lr = ONE * self.lr
        return AnchoredExtragradient(Fraction(1, k + 2), lr, lr, 0 * lr)


@dataclass(frozen=True)
class EAGV(Timed):
    """Extra anchored gradient with a varying step (EAG-V).

        α₀ = lr,  α_{k+1} = α_k (1 - (k+2)²α_k²L²/((k+1)(k+3)))/(1 - α_k²L²)
        w  = P(z + (z₀ - z)/(k+2) - α_k v(z))
        z+ = P(z + (z₀ - z)/(k+2) - α_k v(w))

    Two gradients per step; memory: z₀ - z.  On a monotone L-Lipschitz field and lr = 0.618/L,
    ‖v(z_k)‖² <= 27 L² ‖z₀ - z*‖²/((k+1)(k+2)).

    Parameters
    ----------
    lr : float or Symbol
        First step α₀, in (0, 3/(4L)).
    L : float or Symbol
        Lipschitz constant of the field.

    References
    ----------
    .. [1] T. Yoon, E. K. Ryu, ICML 2021, arXiv:2102.07922.
    """

    lr: Scalar
    L: Scalar = 1

    def at(self, k: int) -> AnchoredExtragradient:
        """The autonomous rule of step k."""
        lr = ONE * varying_step(ONE * self.lr, ONE * self.L, k)
        return AnchoredExtragradient(Fraction(1, k + 2), lr, lr, 0 * lr)


@lru_cache(maxsize=100_000)
def varying_step(first: Scalar, L: Scalar, k: int) -> Scalar:
    """α_k of `EAGV`; the steps before it are remembered, so that an orbit costs one recursion per step."""
    for j in range(RECURSION, k, RECURSION):
        varying_step(first, L, j)
    if k == 0:
        return first
    step = varying_step(first, L, k - 1)
    square = step * step * L * L
    return step * (1 - Fraction((k + 1) ** 2, k * (k + 2)) * square) / (1 - square)


@dataclass(frozen=True)
class FEG(Timed):
    """Fast extragradient: anchored, and fast on negatively comonotone fields too.

        β = 1/(k+1)
        w  = P(z + β(z₀ - z) - (1-β)(lr + 2 rho) v(z))
        z+ = P(z + β(z₀ - z) - lr v(w) - 2(1-β) rho v(z))

    Two gradients per step; memory: z₀ - z.  With lr = 1/L on a rho-comonotone L-Lipschitz field, rho > -1/(2L),
    ‖v(z_k)‖² <= 4‖z₀ - z*‖²/((1/L + 2 rho)² k²).

    Parameters
    ----------
    lr : float or Symbol
        Step size, 1/L.
    rho : float or Symbol
        Comonotonicity, signed: ⟨v(z) - v(w), z - w⟩ >= rho ‖v(z) - v(w)‖²; 0 for a monotone field, negative for one
        that is not.  `gd.certify(..., rho=r)` takes the same class as r = -rho > 0.

    References
    ----------
    .. [1] S. Lee, D. Kim, Fast extra gradient methods for smooth structured nonconvex-nonconcave minimax problems,
       NeurIPS 2021, arXiv:2106.02326.
    """

    lr: Scalar
    rho: Scalar = 0

    def at(self, k: int) -> AnchoredExtragradient:
        """The autonomous rule of step k."""
        rest, lr, rho = Fraction(k, k + 1), ONE * self.lr, ONE * self.rho
        return AnchoredExtragradient(1 - rest, rest * (lr + 2 * rho), lr, 2 * rest * rho)


@dataclass(frozen=True)
class AnchoredStep:
    """One step of `halpern` with a given weight of the anchor.

    z+ = P(z + beta (z₀ - z) + (1 - beta)(rule(z) - z))
    """

    rule: Any
    beta: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """The anchor is the start itself; then the rule's memory."""
        return (0 * z, *self.rule.init(F, z))

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        m, *own = memory
        w, after = self.rule.step(F, z, tuple(own))
        new = F.point(z + self.beta * m + (1 - self.beta) * (w - z))
        return new, (m + z - new, *after)


@dataclass(frozen=True)
class halpern(Timed):
    """The Halpern iteration of a rule: its step, pulled back towards the start.

        z+ = P(β z₀ + (1 - β) rule(z)),  β = 1/(k+2)

    Costs the rule's gradients; memory: z₀ - z and the rule's.  Where the rule's step is nonexpansive (a gradient
    step with lr <= 2β on a β-cocoercive field, a proximal step on a monotone one),
    ‖z_k - rule(z_k)‖² <= 4‖z₀ - z*‖²/(k+1)².

    Parameters
    ----------
    rule : Rule

    References
    ----------
    .. [1] B. Halpern, Fixed points of nonexpanding maps, Bull. AMS 73 (1967).
    .. [2] F. Lieder, On the convergence rate of the Halpern-iteration, Optim. Lett. 15 (2021).
    """

    rule: Any

    def __post_init__(self) -> None:
        refuse_report("halpern", self.rule)

    def at(self, k: int) -> AnchoredStep:
        """The autonomous rule of step k."""
        return AnchoredStep(at(self.rule, k), Fraction(1, k + 2))


@dataclass(frozen=True)
class AcceleratedStep:
    """One step of `AcceleratedProximalPoint` with a given weight of the anchor."""

    lr: Scalar
    beta: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """At rest, at the anchor."""
        return (0 * z, 0 * z)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        u, m = memory
        y = F.point(z + u)
        new = F.point(F.resolvent(self.lr, y))
        ahead = self.beta * (z + m) + (1 - self.beta) * (2 * new - y)
        return new, (ahead - new, m + z - new)


@dataclass(frozen=True)
class AcceleratedProximalPoint(Timed):
    """The proximal point method at twice the order (APPM, an anchored resolvent).

        z+ = the w with w + lr v(w) = y
        y+ = z₀/(k+2) + (1 - 1/(k+2))(2z+ - y)

    One implicit equation per step; memory: y - z and z₀ - z.  On a monotone field
    lr²‖v(z_k)‖² <= ‖z₀ - z*‖²/k², and the bound is attained.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    References
    ----------
    .. [1] D. Kim, Accelerated proximal point method for maximally monotone operators, Math. Program. 190 (2021),
       arXiv:1905.05149.
    """

    lr: Scalar

    def at(self, k: int) -> AcceleratedStep:
        """The autonomous rule of step k."""
        return AcceleratedStep(ONE * self.lr, Fraction(1, k + 2))
