"""The update rules, each a few lines over an abstract field.

Notation: v the joint gradient field, P the projection onto the constraints (`F.point`), η = `lr`.
The stability polynomial of a rule is the characteristic polynomial of its step on the scalar field
v(z) = λz; an eigenvalue λ of the game Jacobian contracts iff all its roots ζ lie in the unit disc.
"""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import Element, Field, Scalar
from gamedyn.rules.rule import Memory, Memoryless


@dataclass(frozen=True)
class Simultaneous(Memoryless):
    """Gradient descent by all players at once.

        z+ = P(z - lr v(z))

    One gradient per step.  On a rotation (λ = ±iσ) it spirals out for every step size; on a potential
    game (λ > 0) it contracts iff lr λ < 2.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ).

    References
    ----------
    .. [1] K. J. Arrow, L. Hurwicz, H. Uzawa, Studies in linear and non-linear programming (1958).

    Examples
    --------
    >>> import gamedyn as gd, sympy as sp
    >>> eta = sp.Symbol("eta", positive=True)
    >>> gd.spectral_radius(gd.StepMap(gd.Simultaneous(eta), gd.games.bilinear(1)), [0, 0])
    sqrt(eta**2 + 1)
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        return F.point(z - self.lr * F(z)), memory


@dataclass(frozen=True)
class Extragradient(Memoryless):
    """Look ahead along the field, then step from the old point along the field found there.

        w  = P(z - extrapolation v(z))
        z+ = P(z - lr v(w))

    Two gradients per step.  With equal steps it contracts a rotation of speed σ iff lr σ < 1; a longer
    look-ahead (EG+, double step sizes) settles more games with a smaller update.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0 of the update.
    extrapolation : float or Symbol, optional
        Step size γ > 0 of the look-ahead; by default lr.

    Notes
    -----
    Stability polynomial ζ - (1 - ηλ + ηγλ²).

    References
    ----------
    .. [1] G. M. Korpelevich, The extragradient method for finding saddle points (1976).
    .. [2] Y.-G. Hsieh, F. Iutzeler, J. Malick, P. Mertikopoulos, Explore aggressively, update conservatively,
       NeurIPS 2020, arXiv:2003.10162.
    .. [3] J. Diakonikolas, C. Daskalakis, M. I. Jordan, Efficient methods for structured nonconvex-nonconcave
       min-max optimization (EG+), AISTATS 2021, arXiv:2011.00364.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.spectral_radius(gd.StepMap(gd.Extragradient(lr=0.5), gd.games.bilinear(1)), [0, 0])
    0.901...
    >>> gd.stable_steps(gd.StepMap(gd.Extragradient(lr=1, extrapolation=1), gd.games.bilinear(1)), [0, 0])
    StableSteps (exact): stable for 0 < eta < 1
      neutral for eta = 1
    """

    lr: Scalar
    extrapolation: Scalar | None = None

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        gamma = self.lr if self.extrapolation is None else self.extrapolation
        w = F.point(z - gamma * F(z))
        return F.point(z - self.lr * F(w)), memory


@dataclass(frozen=True)
class Optimistic:
    """Gradient descent with the last field value as a prediction of the next.

        z+ = P(z - lr v(z) - correction (v(z) - v(z₋)))

    One gradient per step; memory: v(z₋).  With constraints this is the forward-reflected-backward method [2]_.  The
    first step takes z₋ = z, so that it is a plain gradient step.  Contracts a rotation of speed σ, with
    correction = lr, iff lr σ < 1/√3.  Under a preconditioner the evaluation at the start advances its state too, so
    that Adam counts it as its first.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.
    correction : float or Symbol, optional
        Weight κ of the change of the field; by default lr.

    Notes
    -----
    Stability polynomial ζ² - (1 - (η + κ)λ)ζ - κλ.

    References
    ----------
    .. [1] C. Daskalakis, A. Ilyas, V. Syrgkanis, H. Zeng, Training GANs with optimism, ICLR 2018,
       arXiv:1711.00141.
    .. [2] Y. Malitsky, M. K. Tam, A forward-backward splitting method for monotone inclusions without
       cocoercivity, SIAM J. Optim. 2020, arXiv:1808.04162.
    .. [3] A. Mokhtari, A. Ozdaglar, S. Pattathil, A unified analysis of extra-gradient and optimistic gradient
       methods for saddle point problems (generalised OGDA), AISTATS 2020, arXiv:1901.08511.
    """

    lr: Scalar
    correction: Scalar | None = None

    def init(self, F: Field, z: Element) -> Memory:
        """The field at the start, as if the point before it were the same."""
        return (F(z),)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (previous,) = memory
        v = F(z)
        kappa = self.lr if self.correction is None else self.correction
        return F.point(z - (self.lr + kappa) * v + kappa * previous), (v,)


@dataclass(frozen=True)
class PastExtragradient:
    """Extragradient whose look-ahead reuses the last field value.

        w  = P(z - lr g)
        g+ = v(w)
        z+ = P(z - lr g+)

    One gradient per step; memory: g, the field at the last look-ahead point.  Without constraints the
    look-ahead points w are the iterates of `Optimistic`.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial ζ² - (1 - 2ηλ)ζ - ηλ, that of `Optimistic`.

    References
    ----------
    .. [1] L. D. Popov, A modification of the Arrow-Hurwicz method for search of saddle points (1980).
    .. [2] G. Gidel et al., A variational inequality perspective on GANs, ICLR 2019, arXiv:1802.10551.
    """

    lr: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """The field at the start."""
        return (F(z),)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (g,) = memory
        w = F.point(z - self.lr * g)
        g = F(w)
        return F.point(z - self.lr * g), (g,)


@dataclass(frozen=True)
class HeavyBall:
    """Gradient descent with momentum of either sign.

        u+ = momentum u - lr v(z)
        z+ = P(z + u+)

    One gradient per step; memory: the velocity u, zero at the start.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.
    momentum : float or Symbol
        β in (-1, 1); negative momentum damps rotation under alternating updates.

    Notes
    -----
    Stability polynomial ζ² - (1 + β - ηλ)ζ + β.

    References
    ----------
    .. [1] B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964).
    .. [2] G. Gidel et al., Negative momentum for improved game dynamics, AISTATS 2019, arXiv:1807.04740.
    """

    lr: Scalar
    momentum: Scalar

    def init(self, F: Field, z: Element) -> Memory:
        """At rest."""
        return (0 * z,)

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        (u,) = memory
        u = self.momentum * u - self.lr * F(z)
        return F.point(z + u), (u,)


@dataclass(frozen=True)
class ProximalPoint(Memoryless):
    """The implicit step.

        z+ = the w with w + lr v(w) = z

    Contracts every monotone game for every step size.  Its cost is that of solving the equation: the
    inverse where v is affine, Newton's method elsewhere.  Refused under constraints, whose normal cone belongs into
    the equation; under `entropic` it is the mirror step.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial (1 + ηλ)ζ - 1, up to the factor 1 + ηλ.

    References
    ----------
    .. [1] R. T. Rockafellar, Monotone operators and the proximal point algorithm (1976).
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        return F.point(F.resolvent(self.lr, z)), memory


@dataclass(frozen=True)
class LinearizedProximalPoint(Memoryless):
    """One Newton step towards the implicit one.

        z+ = P(z - lr (I + lr J(z))⁻¹ v(z))

    The same as `ProximalPoint` where v is affine, another method elsewhere.

    Parameters
    ----------
    lr : float or Symbol
        Step size η > 0.

    Notes
    -----
    Stability polynomial (1 + ηλ)ζ - 1, up to the factor 1 + ηλ.
    """

    lr: Scalar

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        return F.point(z - self.lr * F.solve(z, self.lr, F(z))), memory
