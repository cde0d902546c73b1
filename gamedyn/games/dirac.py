"""The Dirac-GAN, the smallest GAN: a point mass learns to sit on a point mass.

The data lie at 0, the generator puts its sample at θ, the discriminator is D(x) = ψx.  With a concave f,

    L(θ, ψ) = f(ψθ) + f(0)                                                             (1)

is minimised over θ and maximised over ψ.  The equilibrium is (0, 0).  Everything the stability of GAN
training is about can be computed on it: J has the eigenvalues ±i f′(0), and a penalty helps by adding to
their real parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.symbolic import Facts, Game, SymbolicGame

__all__ = ["R1", "R2", "Clip", "Consensus", "GradientPenalty", "InstanceNoise", "Penalty", "dirac_gan"]

THETA, PSI = sp.Symbol("theta", real=True), sp.Symbol("psi", real=True)
SOURCE = "Mescheder et al., ICML 2018, arXiv:1801.04406."

Costs = tuple[sp.Expr, sp.Expr]
Spectrum = tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Loss:
    """One choice of f, and whether the generator minimises the discriminator's objective.

    Attributes
    ----------
    f : callable
        Expr -> Expr.
    slope, curvature : Expr
        f′(0) and f″(0).
    saturating : bool
        True: the generator minimises f(ψθ).  False: -f(-ψθ).
    """

    f: Callable[[sp.Expr], sp.Expr]
    slope: sp.Expr
    curvature: sp.Expr
    saturating: bool = True

    def generator(self, fake: sp.Expr) -> sp.Expr:
        """The generator's cost of a sample that the discriminator scores `fake`."""
        return self.f(fake) if self.saturating else -self.f(-fake)

    def discriminator(self, fake: sp.Expr, real: sp.Expr) -> sp.Expr:
        """The discriminator's cost: -L."""
        return -self.f(fake) - self.f(-real)


def _logistic(t: sp.Expr) -> sp.Expr:
    return -sp.log(1 + sp.exp(-t))


LOSSES = {
    "gan": Loss(_logistic, sp.Rational(1, 2), sp.Rational(-1, 4)),
    "non_saturating": Loss(_logistic, sp.Rational(1, 2), sp.Rational(-1, 4), saturating=False),
    "wgan": Loss(lambda t: t, sp.S.One, sp.S.Zero),
}


class Penalty:
    """What a regulariser changes in the Dirac-GAN; without a change, the plain game.

    Subclasses are frozen dataclasses that override `costs` or `constrain`, and `spectrum`.
    """

    def costs(self, loss: Loss) -> Costs:
        """The costs of generator and discriminator in THETA and PSI."""
        fake = PSI * THETA
        constant = loss.f(sp.S.Zero) if loss.saturating else sp.S.Zero
        return loss.generator(fake) + constant, loss.discriminator(fake, sp.S.Zero)

    def constrain(self, game: SymbolicGame) -> SymbolicGame:
        """The game with its constraints."""
        return game

    def spectrum(self, loss: Loss) -> Spectrum:
        """Eigenvalues of J at (0, 0); empty if v is not differentiable there."""
        return sp.I * loss.slope, -sp.I * loss.slope


@dataclass(frozen=True)
class R1(Penalty):
    """The zero-centred gradient penalty on the data, (γ/2) E_data‖∇D‖² = (γ/2)ψ², paid by the discriminator.

        λ(J) = γ/2 ± sqrt(γ²/4 - f′(0)²)

    Locally stable for every γ > 0; critically damped at γ = 2f′(0), which is 1 for the GAN losses.

    Parameters
    ----------
    gamma : number or Symbol
        γ >= 0.
    """

    gamma: Any = 1

    def costs(self, loss: Loss) -> Costs:
        generator, discriminator = super().costs(loss)
        return generator, discriminator + _weight(self, "gamma") / 2 * PSI**2

    def spectrum(self, loss: Loss) -> Spectrum:
        return _pair(_weight(self, "gamma") / 2, loss.slope)


@dataclass(frozen=True)
class R2(R1):
    """The zero-centred gradient penalty on the samples, (γ/2) E_generator‖∇D‖² = (γ/2)ψ².

    D is linear, so its gradient is the same everywhere and the game is that of `R1`.

    Parameters
    ----------
    gamma : number or Symbol
        γ >= 0.
    """


@dataclass(frozen=True)
class InstanceNoise(Penalty):
    """Gaussian noise of standard deviation σ on data and samples alike.

        L(θ, ψ) = E f(ψ(θ + σξ)) + E f(-ψσξ′),    ξ, ξ′ ~ N(0, 1)                      (1)

        λ(J) = -f″(0)σ² ± sqrt(f″(0)²σ⁴ - f′(0)²)

    For the logistic f the expectations have no closed form.  They are taken by the five-point Gauss-Hermite
    rule, which is exact on polynomials up to degree 9: J at (0, 0) needs second moments only and is that of (1)
    exactly.  (The second-order expansion of (1) in σ has the same J, but distorts v at large ψ.)  The eigenvalues are
    σ²/4 ± sqrt(σ⁴/16 - 1/4) for the GAN losses, critically damped at σ² = 2.

    Parameters
    ----------
    sigma : number or Symbol
        σ >= 0.
    """

    sigma: Any = 1

    def costs(self, loss: Loss) -> Costs:
        sigma = _weight(self, "sigma")
        noise = [(weight, sigma * node) for node, weight in _gauss_hermite()]
        generator = sp.Add(*(w * loss.generator(PSI * (THETA + e)) for w, e in noise))
        return generator, sp.Add(*(w * loss.discriminator(PSI * (THETA + e), PSI * e) for w, e in noise))

    def spectrum(self, loss: Loss) -> Spectrum:
        return _pair(-loss.curvature * _weight(self, "sigma") ** 2, loss.slope)


@dataclass(frozen=True)
class Consensus(Penalty):
    """½γ‖v‖² added to both costs, v the field of the unpenalised game: v + γJᵀv.

        λ(J) = γf′(0)² ± i f′(0)

    The imaginary parts stay: consensus never critically damps the Dirac-GAN.

    Parameters
    ----------
    gamma : number or Symbol
        γ >= 0.

    Notes
    -----
    Both parts of the gradient of ½‖v‖² carry the weight 1.  An implementation in circulation halves one of them;
    the eigenvalues at the equilibrium agree, trajectories do not.
    """

    gamma: Any = 1

    def costs(self, loss: Loss) -> Costs:
        generator, discriminator = super().costs(loss)
        v = sp.diff(generator, THETA), sp.diff(discriminator, PSI)
        extra = _weight(self, "gamma") / 2 * (v[0] ** 2 + v[1] ** 2)
        return generator + extra, discriminator + extra

    def spectrum(self, loss: Loss) -> Spectrum:
        damping, rotation = _weight(self, "gamma") * loss.slope**2, sp.I * loss.slope
        return damping + rotation, damping - rotation


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """The gradient penalty of WGAN-GP, (weight/2)(‖∇D‖ - target)² = (weight/2)(|ψ| - target)².

    v jumps where ψ changes sign, in particular at the equilibrium, and simultaneous descent does not converge
    to it.  At ψ = 0 the derivative is taken from the right.

    Parameters
    ----------
    weight : number or Symbol
        >= 0.
    target : number or Symbol
        The gradient norm g₀ that is asked for.
    """

    weight: Any = 1
    target: Any = 1

    def costs(self, loss: Loss) -> Costs:
        generator, discriminator = super().costs(loss)
        norm = sp.Piecewise((-PSI, PSI < 0), (PSI, True))  # Abs would leave a DiracDelta in J
        return generator, discriminator + _weight(self, "weight") / 2 * (norm - _weight(self, "target")) ** 2

    def spectrum(self, loss: Loss) -> Spectrum:
        return ()


@dataclass(frozen=True)
class Clip(Penalty):
    """Weight clipping, |ψ| <= c: a box, no penalty; near the equilibrium nothing changes.

    Parameters
    ----------
    c : number
        c > 0.
    """

    c: Any = 1

    def constrain(self, game: SymbolicGame) -> SymbolicGame:
        c = exact_number(self.c)
        if not c.is_positive:
            raise ValueError(f"Clip(c={self.c}) needs a positive c, as in Clip(1)")
        return game.constrained({PSI.name: (-c, c)})


def dirac_gan(loss: str = "gan", penalty: Penalty | None = None) -> SymbolicGame:
    """The Dirac-GAN: generator θ against discriminator D(x) = ψx, data at 0.

        L(θ, ψ) = f(ψθ) + f(0),    f(t) = -log(1 + exp(-t))

    The generator (first player) minimises L, or -f(-ψθ) with the non-saturating loss, the discriminator
    maximises L; f(t) = t for the Wasserstein GAN.  Without a penalty the eigenvalues are ±i f′(0), that is
    ±i/2, ±i/2 and ±i: simultaneous descent diverges for every step size.

    Parameters
    ----------
    loss : {"gan", "non_saturating", "wgan"}
        Which f, and what the generator minimises.
    penalty : Penalty, optional
        `R1`, `R2`, `InstanceNoise`, `Consensus`, `GradientPenalty` or `Clip`; their numbers may be SymPy
        symbols, which become parameters of the game.

    Raises
    ------
    ValueError
        If the loss is unknown, or a number of the penalty is out of range.

    References
    ----------
    .. [1] Mescheder, Geiger, Nowozin, ICML 2018, arXiv:1801.04406.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.games.dirac_gan(penalty=gd.games.R1(0.3))
    >>> gd.field(g, [1.0, 0.0])
    array([ 0. , -0.5])
    >>> g.facts.spectra
    ((3/20 + sqrt(91)*I/20, 3/20 - sqrt(91)*I/20),)
    """
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown; give one of {list(LOSSES)}")
    if penalty is not None and not isinstance(penalty, Penalty):
        raise TypeError(f"penalty={penalty!r} is no penalty; give for example gd.games.R1(0.3)")
    kind = penalty or Penalty()
    spectrum = kind.spectrum(LOSSES[loss])
    equilibria, spectra = (((sp.S.Zero, sp.S.Zero),), (spectrum,)) if spectrum else ((), ())
    note = "Without a penalty a pure rotation at the equilibrium."
    name = f"Dirac-GAN ({loss})" if penalty is None else f"Dirac-GAN ({loss}, {penalty})"
    game = Game(
        kind.costs(LOSSES[loss]),
        players={"generator": THETA, "discriminator": PSI},
        name=name,
        facts=Facts(SOURCE, equilibria, spectra, note),
    )
    return kind.constrain(game)


def _weight(penalty: Penalty, name: str) -> sp.Expr:
    value = exact_number(getattr(penalty, name))
    if value.is_negative:
        raise ValueError(f"{penalty} has a negative {name}; give a number >= 0 or a symbol")
    return value


def _pair(damping: sp.Expr, rotation: sp.Expr) -> Spectrum:
    """The roots of λ² - 2·damping·λ + rotation²."""
    root = sp.sqrt(damping**2 - rotation**2)
    return damping + root, damping - root


def _gauss_hermite() -> list[tuple[sp.Expr, sp.Expr]]:
    """Nodes and weights with Σ w p(node) = E p(ξ), ξ ~ N(0, 1), for every polynomial p of degree <= 9."""
    rule = [(sp.S.Zero, sp.Rational(8, 15))]
    for sign in (1, -1):
        node, weight = sp.sqrt(5 - sign * sp.sqrt(10)), (7 + sign * 2 * sp.sqrt(10)) / 60
        rule += [(node, weight), (-node, weight)]
    return rule
