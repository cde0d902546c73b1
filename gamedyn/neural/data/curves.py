"""Curves in the plane: supports without modes, thin or singular.

    x = c(T) + std e,   e ~ N(0, I)                                                            (1)

With std > 0 the density is known by quadrature along c (`density.py`), unless std is below about 1e-5 of the length of
c, where that would be too many nodes. With std = 0 p_data sits on a curve, a set of area zero, and no function is its
density.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from gamedyn.neural.data.checks import require_count, require_length
from gamedyn.neural.data.dataset import Dataset
from gamedyn.neural.data.density import GaussianMixture, curve_density

__all__ = ["parallel_lines", "spiral", "swiss_roll"]


def spiral(
    n_arms: int = 2,
    turns: float = 1.0,
    radius: float = 2.0,
    std: float = 0.05,
    *,
    n: int = 10_000,
    seed: int = 0,
) -> Dataset:
    """Arms of an Archimedean spiral from the origin outwards, turned evenly against each other.

        c_k(s) = radius s (cos φ, sin φ),   φ = 2 pi (turns s + k / n_arms),   s = √U,  U uniform,  k uniform

    s has the density 2s, so that samples are spread nearly evenly along an arm.

    Parameters
    ----------
    n_arms, turns, radius, std
        n_arms >= 1, turns > 0 of each arm, radius > 0 of its end, std >= 0 of the noise.
    n, seed
        Number of samples, and their seed.

    Returns
    -------
    Dataset
        (n, 2), with labels k and, for std > 0, `log_density`.

    Raises
    ------
    TypeError, ValueError
        Counts or lengths out of range.
    """
    require_count("n_arms", n_arms)
    require_length("turns", turns)
    require_length("radius", radius)

    def arm(s: torch.Tensor, k: torch.Tensor | int) -> torch.Tensor:
        return _polar(radius * s, 2.0 * math.pi * (turns * s + k / n_arms))

    def draw(g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        k = torch.randint(n_arms, (n,), generator=g)
        return arm(_uniform(n, g).sqrt(), k), k

    def density_of(k: int) -> GaussianMixture | None:
        bends = 2.0 * math.pi * turns
        return curve_density(lambda s: arm(s, k), lambda s: 2.0 * s, (0.0, 1.0), std, resolution=bends)

    def density() -> GaussianMixture | None:
        return _together([density_of(k) for k in range(n_arms)])

    return _noisy("spiral", draw, density, n=n, std=std, seed=seed)


def swiss_roll(scale: float = 7.5, std: float = 1.0 / 30.0, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """The section of the swiss roll, as Gulrajani et al. use it: 1.5 turns of an Archimedean spiral.

        c(t) = t (cos t, sin t) / scale,   t uniform on [3 pi / 2, 9 pi / 2]

    The defaults are theirs: noise 0.25, then everything divided by 7.5. The outer turns are thinner, since t is
    uniform and not the length.

    Parameters
    ----------
    scale, std
        scale > 0; std >= 0 of the noise, in the units of x.
    n, seed
        Number of samples, and their seed.

    Returns
    -------
    Dataset
        (n, 2), without labels, with `log_density` for std > 0.

    Raises
    ------
    TypeError, ValueError
        Counts or lengths out of range.

    References
    ----------
    .. [1] Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville (2017), Improved training of Wasserstein GANs, NeurIPS.
    """
    require_length("scale", scale)
    start, length = 1.5 * math.pi, 3.0 * math.pi

    def curve(t: torch.Tensor) -> torch.Tensor:
        return _polar(t / scale, t)

    def density() -> GaussianMixture | None:
        return curve_density(
            curve, lambda t: torch.full_like(t, 1.0 / length), (start, start + length), std, resolution=length
        )

    return _noisy(
        "swiss_roll", lambda g: (curve(start + length * _uniform(n, g)), None), density, n=n, std=std, seed=seed
    )


def parallel_lines(theta: float = 1.0, std: float = 0.0, *, n: int = 10_000, seed: int = 0) -> Dataset:
    """Two parallel vertical segments, a distance |theta| apart, half of the samples on each.

        x = (theta K, U),   K uniform on {0, 1},  U uniform on [0, 1]

    With P_k the law of the rows of label k (`data.only(k)`), and std = 0 and theta ≠ 0: W(P_0, P_1) = |theta|, but
    JS(P_0, P_1) = log 2 and KL = ∞ for every theta, so only W has a gradient that brings them together.

    Parameters
    ----------
    theta, std
        theta finite, of either sign; std >= 0 of Gaussian noise on both coordinates, which makes JS smooth.
    n, seed
        Number of samples, and their seed.

    Returns
    -------
    Dataset
        (n, 2), with labels K. `log_density` is None at std = 0: both segments have area zero.

    Raises
    ------
    TypeError, ValueError
        Counts or lengths out of range.

    References
    ----------
    .. [1] Arjovsky, Chintala, Bottou (2017), Wasserstein generative adversarial networks, ICML. Example 1.

    Examples
    --------
    >>> data = parallel_lines(theta=0.5, n=1000)
    >>> data.only(1).x[:, 0].unique()
    tensor([0.5000])
    >>> data.log_density is None
    True
    """
    if not math.isfinite(theta):
        raise ValueError(f"theta is {theta}; it must be finite.")

    def draw(g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        k = torch.randint(2, (n,), generator=g)
        return torch.stack([theta * k, _uniform(n, g)], dim=1), k

    def density() -> GaussianMixture | None:
        def segment(k: int) -> GaussianMixture | None:
            return curve_density(
                lambda t: torch.stack([torch.full_like(t, theta * k), t], dim=1),
                torch.ones_like,
                (0.0, 1.0),
                std,
                resolution=1.0,
            )

        return _together([segment(0), segment(1)])

    return _noisy("parallel_lines", draw, density, n=n, std=std, seed=seed)


def _noisy(
    name: str,
    draw: Callable[[torch.Generator], tuple[torch.Tensor, torch.Tensor | None]],
    density: Callable[[], GaussianMixture | None],
    *,
    n: int,
    std: float,
    seed: int,
) -> Dataset:
    """The data set (1) of `draw`, which gives points c(T) and labels."""
    require_count("n", n)
    require_length("std", std, zero=True)
    generator = torch.Generator().manual_seed(seed)
    points, labels = draw(generator)
    noise = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    x = (points + std * noise).to(torch.float32)
    return Dataset(name, x, labels, std=float(std), seed=seed, log_density=density())


def _together(parts: list[GaussianMixture | None]) -> GaussianMixture | None:
    """Equal shares of several mixtures of one std."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    means, weights = torch.cat([part.means for part in known]), torch.cat([part.weights for part in known])
    return GaussianMixture(means, known[0].std, weights / len(known))


def _polar(r: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    return r[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


def _uniform(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64)
