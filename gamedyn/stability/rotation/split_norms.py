"""‖A‖_F² and ‖S‖_F² of J = S + A, from its matrix or from products with random vectors.

E‖Au‖² = ‖A‖_F²,  E‖Su‖² = ‖S‖_F²  for standard normal u;   Au = (Ju - Jᵀu)/2,  Su = (Ju + Jᵀu)/2     (1)
‖J‖_F² = ‖A‖_F² + ‖S‖_F²
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.stability.jacobian import GameJacobian

__all__ = ["SplitNorms", "dense_norms", "probed_norms"]

LEVEL = 0.95  # of every interval
STREAM = 0x5911  # keeps the probes apart from whatever a user draws with the same seed


@dataclass(frozen=True, eq=False)
class SplitNorms:
    """Squared Frobenius norms of A and S at n points of weights that add to 1.

    Attributes
    ----------
    antisymmetric, symmetric : ndarray `(n, m)`
        One sample per probe: m values whose mean is ‖A‖_F² or ‖S‖_F², or the value itself (m = 1).
    weights : ndarray `(n,)`
    """

    antisymmetric: np.ndarray
    symmetric: np.ndarray
    weights: np.ndarray

    @property
    def squares(self) -> tuple[float, float]:
        """Weighted means of ‖A‖_F² and ‖S‖_F²."""
        return (
            float(self.weights @ self.antisymmetric.mean(axis=1)),
            float(self.weights @ self.symmetric.mean(axis=1)),
        )

    @property
    def ratio(self) -> float:
        """‖A‖/‖S‖ in [0, inf]; NaN where J = 0."""
        a, s = np.sqrt(self.squares)
        return float(a / s) if s > 0 else (np.inf if a > 0 else np.nan)

    @property
    def share(self) -> float:
        """‖A‖/‖J‖ in [0, 1]; 0 where J = 0."""
        a, s = self.squares
        return float(np.sqrt(a / (a + s))) if a + s > 0 else 0.0

    @property
    def ratio_interval(self) -> tuple[float, float]:
        """95 % interval of the ratio; the ratio twice where it is exact.

        Student's t for log ‖A‖² - log ‖S‖² with the jackknife's variance: where few singular values are large the
        samples are skew, their logarithms hardly. Covers 92 to 95 % for 8 to 32 probes (Welch's degrees of freedom for
        several points).
        """
        a, s = self.squares
        m = self.antisymmetric.shape[1]
        if m == 1 or not (a > 0 and s > 0):
            return self.ratio, self.ratio
        from scipy.special import stdtrit

        logs = np.log(self._without_one(self.antisymmetric) / self._without_one(self.symmetric))
        parts = (m - 1) * logs.var(axis=1)  # of each point
        variance = float(parts.sum())
        freedom = (m - 1) * variance**2 / float((parts**2).sum()) if variance > 0 else m - 1.0
        width = float(stdtrit(freedom, (1 + LEVEL) / 2)) * variance**0.5
        return self.ratio * float(np.exp(-width / 2)), self.ratio * float(np.exp(width / 2))

    def _without_one(self, samples: np.ndarray) -> np.ndarray:
        """The weighted mean with one probe of one point left out, `(n, m)`."""
        means = samples.mean(axis=1, keepdims=True)
        change = (means - samples) / (samples.shape[1] - 1)
        whole: np.ndarray = self.weights @ means + self.weights[:, None] * change
        return whole

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share."""
        if self.antisymmetric.shape[1] == 1:
            return self.share, self.share
        low, high = (1.0 if np.isinf(r) else float(r / np.hypot(1, r)) for r in self.ratio_interval)
        return low, high


def dense_norms(matrix: np.ndarray) -> SplitNorms:
    """Of a matrix `(d, d)`."""
    a, s = (float(np.sum((matrix + sign * matrix.T) ** 2)) / 4 for sign in (-1, 1))
    return SplitNorms(np.array([[a]]), np.array([[s]]), np.ones(1))


def probed_norms(J: GameJacobian, probes: int, seed: Any) -> SplitNorms:
    """From `probes` products with J and as many with Jᵀ.

    Raises
    ------
    ValueError
        If there are fewer than two probes: one says nothing of its error.
    """
    if isinstance(probes, bool) or not isinstance(probes, int) or probes < 2:
        raise ValueError(f"probes={probes!r} must be an int of at least 2, so that they give an interval")
    rng = np.random.default_rng((STREAM, *np.atleast_1d(seed).tolist()))
    operator = J.to_scipy()
    skew, plain = np.zeros((1, probes)), np.zeros((1, probes))
    for k in range(probes):
        u = rng.standard_normal(J.dim)
        forward, backward = operator @ u, operator.rmatvec(u)
        skew[0, k], plain[0, k] = np.sum((forward - backward) ** 2) / 4, np.sum((forward + backward) ** 2) / 4
    return SplitNorms(skew, plain, np.ones(1))
