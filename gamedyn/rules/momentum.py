"""Rules with a velocity besides heavy ball: momentum that looks ahead, and momentum that couples the players."""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory


@dataclass(frozen=True)
class Nesterov:
    """Momentum with the field taken where the velocity leads.

        u+ = momentum u - lr v(P(z + momentum u))
        z+ = P(z + u+)

    One gradient per step; memory: the velocity u, zero at the start.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.
    momentum : float or Symbol
        β in (-1, 1).

    Notes
    -----
    Stability polynomial ζ² - (1 + β)(1 - ηλ)ζ + β(1 - ηλ).  Like simultaneous descent it spirals out on a
    rotation for every step size and every momentum >= 0.

    References
    ----------
    .. [1] Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²) (1983).
    """

    lr: Scalar
    momentum: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """At rest."""
        return (0 * z,)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (u,) = memory
        w = F.point(z + self.momentum * u)
        u = self.momentum * u - self.lr * F(w)
        return F.point(z + u), (u,)


@dataclass(frozen=True)
class LEAD:
    """Momentum with a force that couples the players' velocities.

        z+ = P(z + momentum u - lr v(z) - coupling J_off(z) u)
        u+ = z+ - z

    One gradient and one product with J_off, the blocks of J between players: counted as three gradients.
    Memory: the last displacement u, zero at the start.  On f = xy with momentum 0 and coupling = lr it is
    `Optimistic`.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.
    momentum : float or Symbol
        β in (-1, 1).
    coupling : float or Symbol, optional
        Weight α of the coupling force; by default lr.

    References
    ----------
    .. [1] R. Askari Hemmat, A. Mitra, G. Lajoie, I. Mitliagkas, LEAD: min-max optimization from a physical
       perspective, TMLR 2023, arXiv:2010.13846.
    """

    lr: Scalar
    momentum: Scalar = 0
    coupling: Scalar | None = None

    def init(self, F: Field, z: Element) -> Memory:
        """At rest."""
        return (0 * z,)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (u,) = memory
        alpha = self.lr if self.coupling is None else self.coupling
        new = F.point(z + self.momentum * u - self.lr * F(z) - alpha * F.cross_jvp(z, u))
        return new, (new - z,)
