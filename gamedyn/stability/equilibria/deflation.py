"""Newton's method that cannot return to zeros that are known.

    w(z) = M(z) v(z),   M(z) = Π_r (1 + 1/‖z - r‖²)

has the zeros of v without the known ones r, near which ‖w‖ does not vanish.  Its Newton direction is that of v times a
number, so a deflated step costs as much as a plain one.

References
----------
.. [1] P. Farrell, A. Birkisson, S. Funke, Deflation techniques for finding distinct solutions of nonlinear partial
   differential equations, SIAM J. Sci. Comput. 37 (2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Deflation"]

_LARGEST = 1e3  # of the factor: a direction whose denominator vanishes has no meaning


@dataclass(frozen=True, eq=False)
class Deflation:
    """M for known zeros.

    Attributes
    ----------
    known : ndarray `(m, d)`
    scale : ndarray `(d,)`
        Half sides of the box, in which distances are measured.
    """

    known: np.ndarray
    scale: np.ndarray

    def weight(self, z: np.ndarray) -> np.ndarray:
        """M(z) of columns `(d, n)`, `(n,)`.

        Examples
        --------
        >>> Deflation(np.zeros((1, 1)), np.ones(1)).weight(np.array([[1.0, 0.5]])).tolist()
        [2.0, 5.0]
        """
        with np.errstate(all="ignore"):
            return np.prod(1 + 1 / self._squares(z), axis=0)

    def factor(self, z: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """What the direction J⁻¹v is multiplied by: 1/(1 + ∇log M · J⁻¹v)."""
        with np.errstate(all="ignore"):
            squares = self._squares(z)
            gap = (z[None] - self.known[:, :, None]) / (self.scale**2)[None, :, None]
            slope = np.sum(-2 * gap / (squares * (1 + squares))[:, None], axis=0)
            factor = 1 / (1 + np.sum(slope * direction, axis=0))
        return np.where(np.isfinite(factor), np.clip(factor, -_LARGEST, _LARGEST), 1.0)

    def _squares(self, z: np.ndarray) -> np.ndarray:
        """‖z - r‖² `(m, n)`."""
        return np.sum(((z[None] - self.known[:, :, None]) / self.scale[None, :, None]) ** 2, axis=1)
