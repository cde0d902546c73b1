"""Distances between two samples, usually of features.

    precision = share of fakes in a ball around a real,      recall = share of reals in a ball around a fake
    density = mean number of real balls around a fake / k,   coverage = share of reals whose ball holds a fake
    Fréchet = ‖m - m′‖² + Tr(C + C′ - 2 (C C′)^½)                                                        (1)

The ball around a sample reaches to its k-th nearest neighbour among those of its own kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gamedyn.neural.measures.rows import as_rows

__all__ = ["SampleMeasures", "frechet_distance", "gaussian_frechet", "sample_measures"]

BLOCK = 2**22  # distances held at a time


@dataclass(frozen=True)
class SampleMeasures:
    """What `sample_measures` found.

    Attributes
    ----------
    precision, recall, density, coverage : float
        In [0, 1], the density in [0, n_real / k].
    frechet : float
        The squared Fréchet distance, >= 0, in the squared unit of the features.
    k : int
        Nearest neighbours.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    frechet: float
    k: int = 5

    def __repr__(self) -> str:
        return (
            f"SampleMeasures(precision {self.precision:.2f}, recall {self.recall:.2f}, density {self.density:.2f}, "
            f"coverage {self.coverage:.2f}, k = {self.k}; Fréchet {self.frechet:.3g})"
        )


def sample_measures(real: Tensor | np.ndarray, fake: Tensor | np.ndarray, k: int = 5) -> SampleMeasures:
    """Precision, recall [1]_, density, coverage [2]_ and Fréchet distance [3]_ of two samples.

        precision = meanⱼ 1[∃i: ‖yⱼ - xᵢ‖ <= rᵢ],     recall = meanᵢ 1[∃j: ‖xᵢ - yⱼ‖ <= sⱼ]
        density = (1/k) meanⱼ Σᵢ 1[‖yⱼ - xᵢ‖ <= rᵢ],   coverage = meanᵢ 1[∃j: ‖xᵢ - yⱼ‖ <= rᵢ]

    x are real, y fake, rᵢ and sⱼ the distances to the k-th neighbour among their own.  They depend on the features and
    on both sizes: compare only numbers of one feature space and one size, and calibrate on real against real.

    Parameters
    ----------
    real, fake : Tensor or ndarray `(n, d)`, `(m, d)`
        Features, or points of the data space.
    k : int
        Nearest neighbours, below n and m.

    Raises
    ------
    ValueError
        Shapes that do not fit, too few rows, or entries that are not finite.

    Notes
    -----
    Of two samples of one continuous distribution, n each, the expected coverage is 1 - Π (n - i)/(2n - i), i = 1 … k,
    about 1 - 2⁻ᵏ, whatever the distribution [2]_.  The expected density is 1.  The mean of the data copied m times has
    precision 1, and wide noise recall 1: trust density and coverage first.  All distances in float64 by differences, in
    blocks of rows: time n m d, memory n + m.

    References
    ----------
    .. [1] Kynkäänniemi, Karras, Laine, Lehtinen, Aila (2019), Improved precision and recall metric for assessing
       generative models, NeurIPS.
    .. [2] Naeem, Oh, Uh, Choi, Yoo (2020), Reliable fidelity and diversity metrics for generative models, ICML.
    .. [3] Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017), GANs trained by a two time-scale update rule
       converge to a local Nash equilibrium, NeurIPS.

    Examples
    --------
    >>> x = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    >>> sample_measures(x[:500], x[500:])
    SampleMeasures(precision 0.94, recall 0.94, density 0.94, coverage 0.97, k = 5; Fréchet 0.0808)
    >>> sample_measures(x[:500], 0.2 * x[500:])
    SampleMeasures(precision 1.00, recall 0.00, density 2.16, coverage 0.27, k = 5; Fréchet 5.02)
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k is {k!r}; it must be an int of at least 1.")
    x = as_rows("real", real, at_least=k + 1)
    y = as_rows("fake", fake, x.shape[1], at_least=k + 1).to(x.device)
    r, s = _reach(x, k), _reach(y, k)
    hits, covered, recalled = torch.zeros(len(y), device=x.device), [], []
    for rows, radius in zip(_blocks(x, y), r.split(_height(y)), strict=True):
        inside = rows <= radius[:, None]
        hits += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((rows <= s).any(1))
    return SampleMeasures(
        precision=float((hits > 0).double().mean()),
        recall=float(torch.cat(recalled).double().mean()),
        density=float(hits.double().mean() / k),
        coverage=float(torch.cat(covered).double().mean()),
        frechet=_frechet(x, y),
        k=k,
    )


def frechet_distance(real: Tensor | np.ndarray, fake: Tensor | np.ndarray) -> float:
    """The squared Fréchet distance between the Gaussians with the moments of two samples `(n, d)`, `(m, d)`.

        ‖m - m′‖² + min over orthogonal Q of ‖R - Q R′‖²,    Rᵀ R = C, R′ᵀ R′ = C′                      (1)

    The triangles R come from the centred samples by QR, so that no covariance is formed and no root of one is taken:
    small variances keep their digits, rank-deficient samples (n <= d) are no special case, and the value is never
    negative.  Q is the polar factor of R R′ᵀ.  Covariances have the divisor n - 1.

    Raises
    ------
    ValueError
        Fewer than two rows, shapes that do not fit, or entries that are not finite.

    Notes
    -----
    It is biased upwards: of two samples of N(0, σ² I), n rows each, it is σ² d (d + 5)/(2n) to leading order, not 0.

    References
    ----------
    .. [1] Dowson, Landau (1982), The Fréchet distance between multivariate normal distributions, J. Multivariate
       Analysis 12(3).
    .. [2] Bhatia, Jain, Lim (2019), On the Bures-Wasserstein distance between positive definite matrices,
       Expositiones Mathematicae 37(2).

    Examples
    --------
    >>> round(frechet_distance([[0.0], [2.0]], [[5.0], [9.0]]), 12)    # means 1, 7; variances 2, 8
    38.0
    """
    x = as_rows("real", real, at_least=2)
    return _frechet(x, as_rows("fake", fake, x.shape[1], at_least=2).to(x.device))


def gaussian_frechet(
    mean: Tensor | np.ndarray, cov: Tensor | np.ndarray, other_mean: Tensor | np.ndarray, other_cov: Tensor | np.ndarray
) -> float:
    """The squared Fréchet distance of N(mean, cov) and N(other_mean, other_cov): means `(d,)`, covariances `(d, d)`.

    The roots R of (1) in `frechet_distance` come from eigenvalues here, which know a variance to 1e-16 of the largest.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a covariance that is not symmetric or has a negative eigenvalue.

    Examples
    --------
    >>> I = torch.eye(2)
    >>> round(gaussian_frechet([0.0, 0.0], I, [3.0, 0.0], 4 * I), 12)
    11.0
    """
    m = as_rows("the means", torch.stack([torch.as_tensor(v).double() for v in (mean, other_mean)]))
    R, S = (_root(torch.as_tensor(C).detach().to(m), m.shape[1]) for C in (cov, other_cov))
    return float((m[0] - m[1]).square().sum() + _bures(R, S))


def _frechet(x: Tensor, y: Tensor) -> float:
    return float((x.mean(0) - y.mean(0)).square().sum() + _bures(_triangle(x), _triangle(y)))


def _triangle(x: Tensor) -> Tensor:
    """R with Rᵀ R the covariance of the rows, filled up to `(d, d)`."""
    n, d = x.shape
    R = torch.linalg.qr(x - x.mean(0), mode="r").R / (n - 1) ** 0.5
    return torch.nn.functional.pad(R, (0, 0, 0, d - len(R)))


def _root(C: Tensor, d: int) -> Tensor:
    if C.shape != (d, d) or not bool(C.isfinite().all()):
        raise ValueError(f"a covariance has shape {tuple(C.shape)}; it must be ({d}, {d}) and finite.")
    size = float(C.abs().max())
    values, V = torch.linalg.eigh(C)
    if float((C - C.T).abs().max()) > 1e-9 * size or float(values[0]) < -1e-9 * size:
        raise ValueError("a covariance is not symmetric, or has a negative eigenvalue")
    return values.clamp_min(0).sqrt()[:, None] * V.T


def _bures(R: Tensor, S: Tensor) -> Tensor:
    U, _, V = torch.linalg.svd(R @ S.T)
    return (R - U @ V @ S).square().sum()


def _height(other: Tensor) -> int:
    return max(1, BLOCK // len(other))


def _blocks(x: Tensor, y: Tensor) -> list[Tensor]:
    return [torch.cdist(b, y, compute_mode="donot_use_mm_for_euclid_dist") for b in x.split(_height(y))]


def _reach(x: Tensor, k: int) -> Tensor:
    """Distance `(n,)` of every row to its k-th nearest neighbour, itself not counted."""
    return torch.cat([rows.kthvalue(k + 1, dim=1).values for rows in _blocks(x, x)])
