"""Penalties on the slopes of the discriminator.

    cost_D ↦ cost_D + weight E (‖∇D(x̂)‖ - target)²,    x̂ a random point near data and samples    (1)

What tells them apart is where x̂ lies and what slope they ask for.  A penalty on the samples depends on the generator
through x̂; that dependence moves no generator (which does not pay), but it is part of the game Jacobian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import relu

from gamedyn.neural.data.checks import as_number
from gamedyn.neural.penalties.base import Penalty

if TYPE_CHECKING:
    from gamedyn.neural.scene import Scene

__all__ = ["DRAGAN", "R1", "R2", "GradientPenalty"]


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """The gradient penalty of WGAN-GP, on the segments between data and samples.

        cost_D ↦ cost_D + weight E (‖∇D(x̂)‖ - target)²,    x̂ = u x + (1 - u) G(z),  u ~ U[0, 1]
        one_sided:       weight E max(0, ‖∇D(x̂)‖ - target)²

    One u per row.  A normal u, which some notes draw, leaves the segment with probability 0.66.  With target > 0 the
    slopes of D are held away from 0, so the equilibrium D = 0 of the GAN losses is none any more; on the Dirac-GAN v
    jumps there.  With target = 0 the penalty is smooth, that of [3]_.  One-sided it bounds the slopes by the target and
    leaves those below alone, the Lipschitz penalty of [2]_.  A step costs one more forward pass of D, its gradient in
    x̂, and a second derivative.

    Parameters
    ----------
    weight : float
        >= 0, the λ of [1]_.  The (w/2)(|ψ| - target)² of ``gd.games.GradientPenalty(w)`` is weight = w/2.
    target : float
        >= 0, the slope asked for.
    one_sided : bool
        Whether slopes below the target go free.

    Raises
    ------
    ValueError
        A weight or target that is negative or not finite.

    Notes
    -----
    The norm has no derivative at 0; the one taken is 0, in every order, for norms up to the rounding unit of the type.

    References
    ----------
    .. [1] I. Gulrajani et al., Improved training of Wasserstein GANs, NeurIPS 2017, arXiv:1704.00028.
    .. [2] H. Petzka, A. Fischer, D. Lukovnikov, On the regularization of Wasserstein GANs, ICLR 2018, arXiv:1709.08894.
    .. [3] H. Thanh-Tung, T. Tran, S. Venkatesh, Improving generalization and stability of generative adversarial
       networks, ICLR 2019, arXiv:1902.03984.

    Examples
    --------
    >>> GradientPenalty(target=0)
    GradientPenalty(weight=10.0, target=0, one_sided=False)
    >>> GradientPenalty().noise(3, 2, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1])
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False

    def __post_init__(self) -> None:
        refuse_negative(self)

    def noise(self, n: int, d: int, generator: torch.Generator) -> Tensor:
        """u `(n, 1)`, uniform in [0, 1)."""
        return torch.rand((n, 1), generator=generator)

    def points(self, scene: Scene, noise: Tensor) -> Tensor:
        """x̂ `(n, d)`, on the segments from the samples (u = 0) to the data (u = 1)."""
        u = noise.to(scene.x)
        return u * scene.x + (1 - u) * scene.fake

    def cost(self, scene: Scene, noise: Tensor | None) -> Tensor:
        """The penalty, a scalar."""
        return self.weight * _misfit(scene.slopes(self.points(scene, _drawn(self, noise))), self.target, self.one_sided)


@dataclass(frozen=True)
class R1(Penalty):
    """The zero-centred gradient penalty on the data.

        cost_D ↦ cost_D + (gamma/2) E ‖∇D(x)‖²

    It keeps the equilibrium and damps the rotation around it: on the Dirac-GAN, whose plain eigenvalues are
    ±i f′(0), they are γ/2 ± sqrt(γ²/4 - f′(0)²).  A step costs one gradient of D in x, from the forward pass
    that the loss needs anyway, and a second derivative.

    Parameters
    ----------
    gamma : float
        γ >= 0.

    Raises
    ------
    ValueError
        A γ that is negative or not finite.

    References
    ----------
    .. [1] L. Mescheder, A. Geiger, S. Nowozin, Which training methods for GANs do actually converge?, ICML 2018,
       arXiv:1801.04406.

    Examples
    --------
    >>> R1(0.1)
    R1(gamma=0.1)
    >>> R1(-1)
    Traceback (most recent call last):
    ValueError: R1: gamma is -1; give a finite number >= 0
    """

    gamma: float

    def __post_init__(self) -> None:
        refuse_negative(self)

    def cost(self, scene: Scene, noise: Tensor | None) -> Tensor:
        """The penalty, a scalar."""
        return self.gamma / 2 * _squares(scene.slopes(scene.x)).mean()


@dataclass(frozen=True)
class R2(Penalty):
    """The zero-centred gradient penalty on the samples.

        cost_D ↦ cost_D + (gamma/2) E ‖∇D(G(z))‖²

    The generator does not pay, but moves the points: unlike that of `R1`, its term in J has a block of
    discriminator against generator, 0 where D = 0.

    Parameters
    ----------
    gamma : float
        γ >= 0.

    Raises
    ------
    ValueError
        A γ that is negative or not finite.

    References
    ----------
    .. [1] L. Mescheder, A. Geiger, S. Nowozin, Which training methods for GANs do actually converge?, ICML 2018,
       arXiv:1801.04406.

    Examples
    --------
    >>> R2(0.1)
    R2(gamma=0.1)
    """

    gamma: float

    def __post_init__(self) -> None:
        refuse_negative(self)

    def cost(self, scene: Scene, noise: Tensor | None) -> Tensor:
        """The penalty, a scalar."""
        return self.gamma / 2 * _squares(scene.slopes(scene.fake)).mean()


@dataclass(frozen=True)
class DRAGAN(Penalty):
    """The gradient penalty of DRAGAN, in a neighbourhood of the data.

        cost_D ↦ cost_D + weight E (‖∇D(x̂)‖ - target)²
        x̂ = x + spread std u ξ,    u ~ U[0, 1],  ξ ~ U[0, 1]ᵈ         the authors' program
        gaussian: x̂ = x + spread std ξ,    ξ ~ N(0, I)                 the text of the paper, c = (spread std)²

    One u per row.  The program's ξ has no negative entries, so its neighbourhood lies on one side of the data; with
    `gaussian` it lies around them.  std is the standard deviation of all entries of the data set, a constant
    (the program takes that of the batch).  A step costs what one with `GradientPenalty` does; the generator has
    no part in the penalty.

    Parameters
    ----------
    weight : float
        >= 0, the λ of [1]_.
    target : float
        >= 0, the k of [1]_.
    spread : float
        >= 0, the reach in standard deviations of the data.
    gaussian : bool
        Which of the two published neighbourhoods.

    Raises
    ------
    ValueError
        A number that is negative or not finite.

    References
    ----------
    .. [1] N. Kodali, J. Abernethy, J. Hays, Z. Kira, On convergence and stability of GANs, 2017, arXiv:1705.07215;
       the authors' program: github.com/kodalinaveen3/DRAGAN.

    Examples
    --------
    >>> DRAGAN().noise(3, 2, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    """

    weight: float = 10.0
    target: float = 1.0
    spread: float = 0.5
    gaussian: bool = False

    def __post_init__(self) -> None:
        refuse_negative(self)

    def noise(self, n: int, d: int, generator: torch.Generator) -> Tensor:
        """u ξ, or ξ with `gaussian`: `(n, d)`."""
        if self.gaussian:
            return torch.randn((n, d), generator=generator)
        u = torch.rand((n, 1), generator=generator)
        return u * torch.rand((n, d), generator=generator)

    def points(self, scene: Scene, noise: Tensor) -> Tensor:
        """x̂ `(n, d)`."""
        return scene.x + self.spread * scene.scale * noise.to(scene.x)

    def cost(self, scene: Scene, noise: Tensor | None) -> Tensor:
        """The penalty, a scalar."""
        return self.weight * _misfit(scene.slopes(self.points(scene, _drawn(self, noise))), self.target)


def refuse_negative(penalty: Penalty) -> None:
    """Refuse numbers that are negative or not finite, and switches that are no bool; make numbers Python's own."""
    name = type(penalty).__name__
    for f in fields(penalty):  # type: ignore[arg-type]  # every subclass is a dataclass
        value = getattr(penalty, f.name)
        if isinstance(f.default, bool):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {f.name} is {value!r}; give True or False")
            continue
        number = as_number(f"{name}: {f.name}", value)
        if not 0 <= number < math.inf:
            raise ValueError(f"{name}: {f.name} is {value!r}; give a finite number >= 0")
        object.__setattr__(penalty, f.name, number)


def _drawn(penalty: Penalty, noise: Tensor | None) -> Tensor:
    if noise is None:
        raise ValueError(f"{type(penalty).__name__} needs random numbers; give cost(scene, noise) what noise(...) drew")
    return noise


def _squares(slopes: Tensor) -> Tensor:
    """‖g‖² of each row, `(n,)`, never summed in half precision."""
    return slopes.to(torch.promote_types(slopes.dtype, torch.float32)).square().sum(1)


def _misfit(slopes: Tensor, target: float, one_sided: bool = False) -> Tensor:
    """E (‖g‖ - target)², or E max(0, ‖g‖ - target)²."""
    squares = _squares(slopes)
    if target == 0:  # smooth, as its root is not
        return squares.mean()
    # ‖g‖ with derivative 0 at g = 0; below ε² the second derivatives of the root would overflow in float32
    there = squares > torch.finfo(squares.dtype).eps ** 2
    norm = torch.where(there, squares, 1).sqrt().where(there, 0)
    return (relu(norm - target) if one_sided else norm - target).square().mean()
