"""What `spectral_density` returns: a density with intervals for symmetric operators, a picture for others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gamedyn.stability.density.gauss_quadrature import GaussRule

__all__ = ["DensityCurve", "Estimate", "RitzCloud", "SpectralDensity"]

LEVEL = 0.95  # of every interval
POINTS = 400


class Estimate(NamedTuple):
    """A number with its 95 % interval; three times the same where it is exact."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DensityCurve:
    """A density on a grid, smoothed by a Gaussian.

    Attributes
    ----------
    x, density : ndarray `(n,)`
        Eigenvalues, and their share per unit of x.
    low, high : ndarray `(n,)`
        95 % interval of the smoothed density at each x, from the spread between probes.
    width : float
        Standard deviation of the Gaussian: what is closer together than that is not told apart.
    name : str
        Of the operator.
    """

    x: np.ndarray
    density: np.ndarray
    low: np.ndarray
    high: np.ndarray
    width: float
    name: str

    def __repr__(self) -> str:
        return (
            f"DensityCurve of {self.name}: {len(self.x)} points from {self.x[0]:.3g} to {self.x[-1]:.3g}, "
            f"width {self.width:.2g}, highest {self.density.max():.3g}"
        )


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """The distribution of the eigenvalues of a symmetric operator.

    Attributes
    ----------
    rules : tuple of GaussRule
        One per probe; a single exact one where all eigenvalues were computed.
    dim : int
    name : str
        Of the operator.
    steps : int
        Lanczos steps asked for; 0 where all eigenvalues were computed.
    products : int
        With J or Jᵀ.
    seed : int
    """

    rules: tuple[GaussRule, ...]
    dim: int
    name: str
    steps: int
    products: int
    seed: int

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest node: between the extreme eigenvalues, mostly close to them."""
        return float(min(r.nodes[0] for r in self.rules)), float(max(r.nodes[-1] for r in self.rules))

    def mass(self, below: float = 0.0) -> Estimate:
        """The share of eigenvalues smaller than a number.

        The interval covers the spread between probes and the sharp bounds of each, between which eigenvalues at the
        number itself, where there are many, make the difference: compare `mass(-tol)` and `mass(tol)`.
        """
        return self._share(below, counted=False)

    def _share(self, x: float, *, counted: bool) -> Estimate:
        """The share left of x, eigenvalues at x itself counted or not, where all are known."""
        bounds = np.array([rule.mass(x) for rule in self.rules])
        low, high = (_interval(bounds[:, k]) for k in (0, 1))
        known = all(rule.matrix is None for rule in self.rules)
        value = float(bounds[:, int(counted)].mean() if known else bounds.mean())
        return Estimate(value, max(0.0, low.low), min(1.0, high.high))

    def signs(self, tolerance: float | None = None) -> tuple[Estimate, Estimate]:
        """The shares of eigenvalues below -tolerance and above it; by default 1e-3 of the largest modulus met.

        The Hessians of networks have many eigenvalues that are almost 0, whose signs no number of steps tells.
        """
        limit = 1e-3 * max(map(abs, self.range)) if tolerance is None else float(tolerance)
        below = self._share(limit, counted=True)
        return self.mass(-limit), Estimate(1 - below.value, 1 - below.high, 1 - below.low)

    def moment(self, k: int) -> Estimate:
        """tr(Aᵏ)/d, unbiased.

        Raises
        ------
        ValueError
            If k is larger than 2 steps - 1, up to where the rules are exact.
        """
        degree = min(rule.degree for rule in self.rules)
        if not 0 <= k <= degree:
            raise ValueError(
                f"the rules are exact up to degree {degree:.0f}; for moment {k} take steps >= {k // 2 + 1}"
            )
        return _interval(np.array([rule.weights @ rule.nodes**k for rule in self.rules]))

    @property
    def trace(self) -> Estimate:
        """tr A."""
        return Estimate(*(self.dim * value for value in self.moment(1)))

    @property
    def root_mean_square(self) -> Estimate:
        """√(tr A²/d) = ‖A‖_F / √d; of one Lanczos step as well, since ‖Au‖² is known."""
        squares = [rule.weights @ rule.nodes**2 + rule.behind for rule in self.rules]
        return Estimate(*np.sqrt(np.maximum(_interval(np.array(squares)), 0.0)).tolist())

    @property
    def resolution(self) -> float:
        """The default width: the range divided by the number of nodes."""
        low, high = self.range
        count = max(len(rule.nodes) for rule in self.rules) if self.steps else 60
        return (high - low) / max(count, 20) or 1e-2 * max(abs(high), 1e-300)

    def curve(self, x: ArrayLike | None = None, *, width: float | None = None) -> DensityCurve:
        """The density, smoothed by a Gaussian.

        Parameters
        ----------
        x : array `(n,)`, optional
            400 points over the range and 4 widths beyond, by default.
        width : float, optional
            Standard deviation; `resolution` by default, about what the steps can tell apart.  A few outlying
            eigenvalues make that coarse for the others: give a smaller width, and more steps.
        """
        width = self.resolution if width is None else float(width)
        if not (np.isfinite(width) and width > 0):
            raise ValueError(f"width={width} must be a positive number, the resolution of the curve")
        low, high = self.range
        grid = np.linspace(low - 4 * width, high + 4 * width, POINTS) if x is None else np.asarray(x, dtype=float)
        values = np.array([_smoothed(rule, grid, width) for rule in self.rules])
        middle, half = values.mean(axis=0), _half_width(values)
        return DensityCurve(grid, middle, np.maximum(middle - half, 0.0), middle + half, width, self.name)

    def __repr__(self) -> str:
        low, high = self.range
        left, mean, square, (down, up) = self.mass(), self.moment(1), self.root_mean_square, self.signs()
        how = f"{len(self.rules)} probes of {self.steps} Lanczos steps" if self.steps else "all eigenvalues"
        reach = "reach from" if self.steps else "from"
        further, note = (" or further", "; 95 % intervals") if self.steps else ("", "")
        return (
            f"SpectralDensity of {self.name}, d = {self.dim:,}: {how}, {self.products} products\n"
            f"  eigenvalues {reach} {low:.3g} to {high:.3g}{further}; left of zero {_text(left)} of them\n"
            f"  beyond 1e-3 of the largest modulus: negative {_text(down)}, positive {_text(up)}\n"
            f"  mean {_text(mean)}, root mean square {_text(square)}{note}"
        )


@dataclass(frozen=True, eq=False)
class RitzCloud:
    """A picture of the spectrum of J, not an estimate of its density.

    The Ritz values of m Arnoldi steps from a random u with the weights w_k = (e₁ᵀx_k)(y_kᴴe₁), of sum 1.  They
    reproduce uᵀp(J)u for polynomials of degree up to m (half of what a Gauss rule does), so that traces and moments
    are estimates with intervals.  The density is not: J is not normal, so its eigenvectors are not orthogonal, the
    weights are complex and of any size, moments of z alone do not determine a measure on the plane, and Ritz values may
    lie anywhere in the numerical range, far from every eigenvalue.  Extreme eigenvalues are seen first.

    Attributes
    ----------
    matrices : tuple of ndarray `(m, m)`
        H of each probe.
    left : ndarray `(probes,)`
        What was left over after the last step, 0 where the space was invariant.
    dim, steps, products, seed : int
    """

    matrices: tuple[np.ndarray, ...]
    left: np.ndarray
    dim: int
    steps: int
    products: int
    seed: int

    @cached_property
    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Values, weights and residuals of each probe."""
        found = []
        for H, left in zip(self.matrices, self.left, strict=True):
            values, X = np.linalg.eig(H)
            first = np.zeros(len(H), dtype=complex)
            first[0] = 1.0
            weights = X[0] * np.linalg.lstsq(X, first, rcond=None)[0]
            found.append((values.astype(complex), weights, left * np.abs(X[-1])))
        return found

    @property
    def values(self) -> np.ndarray:
        """Ritz values of all probes, complex `(n,)`."""
        return np.concatenate([values for values, _, _ in self._pairs])

    @property
    def weights(self) -> np.ndarray:
        """Their complex weights; those of a probe add up to 1."""
        return np.concatenate([weights for _, weights, _ in self._pairs])

    @property
    def residuals(self) -> np.ndarray:
        """‖Jx - θx‖ of the unit Ritz vectors: θ is an eigenvalue of a matrix that is so near to J."""
        return np.concatenate([residuals for _, _, residuals in self._pairs])

    @property
    def shares(self) -> np.ndarray:
        """|w_k| scaled to sum 1 over all probes: what the picture draws."""
        sizes = [np.abs(weights) for _, weights, _ in self._pairs]
        return np.concatenate([size / (size.sum() * len(sizes)) for size in sizes])

    def moment(self, k: int) -> Estimate:
        """tr(Jᵏ)/d, unbiased.

        Raises
        ------
        ValueError
            If k is larger than the number of steps, up to where the moments are exact.
        """
        degree = min((np.inf if left == 0 else len(H)) for H, left in zip(self.matrices, self.left, strict=True))
        if not 0 <= k <= degree:
            raise ValueError(f"the moments are exact up to degree {degree:.0f}; for moment {k} take steps >= {k}")
        return _interval(np.array([np.linalg.matrix_power(H, k)[0, 0] for H in self.matrices]))

    @property
    def trace(self) -> Estimate:
        """tr J."""
        return Estimate(*(self.dim * value for value in self.moment(1)))

    def __repr__(self) -> str:
        values = self.values
        return (
            f"RitzCloud of J, d = {self.dim:,}: {len(self.matrices)} probes of {self.steps} Arnoldi steps, "
            f"{self.products} products\n"
            f"  a heuristic picture, no density: J is not normal, and no quadrature theorem holds for its eigenvalues\n"
            f"  Re from {values.real.min():.3g} to {values.real.max():.3g}, |Im| up to "
            f"{np.abs(values.imag).max():.3g}; mean eigenvalue {_text(self.moment(1))}, 95 % interval"
        )


def _interval(samples: np.ndarray) -> Estimate:
    """The mean of independent samples with Student's interval; of a single one, which is exact, itself."""
    mean = float(samples.mean())
    half = float(_half_width(samples))
    return Estimate(mean, mean - half, mean + half)


def _half_width(samples: np.ndarray) -> np.ndarray:
    """Of Student's interval of the mean over the first axis."""
    n = len(samples)
    if n == 1:
        return np.zeros(samples.shape[1:])
    from scipy.special import stdtrit

    return np.asarray(stdtrit(n - 1, (1 + LEVEL) / 2) * samples.std(axis=0, ddof=1) / n**0.5)


def _smoothed(rule: GaussRule, grid: np.ndarray, width: float) -> np.ndarray:
    away = (grid[:, None] - rule.nodes) / width
    smoothed: np.ndarray = np.exp(-(away**2) / 2) @ rule.weights / (width * (2 * np.pi) ** 0.5)
    return smoothed


def _text(estimate: Estimate) -> str:
    value, low, high = estimate
    return f"{value:.3g} [{low:.3g}, {high:.3g}]" if high > low else f"{value:.3g}"
