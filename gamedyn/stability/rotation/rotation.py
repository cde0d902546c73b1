"""How much a game rotates at a point: measures of J = S + A and of its spectrum, each defined here and nowhere else.

imaginary share    |Im λ| / |λ|      in [0, 1]     0: no rotation; 1: nothing else
rotation angle     |arg λ|           in [0, π]     0: settles straight; π/2: goes round; beyond: moves away
antisymmetric      ‖A‖_F / ‖J‖_F     in [0, 1]     0: a potential game; 1: a Hamiltonian one
  share and ratio  ‖A‖_F / ‖S‖_F     in [0, ∞]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gamedyn.stability.jacobian import DENSE_DIMENSION, GameJacobian
from gamedyn.stability.nonnormal.nonnormal import jacobian_of
from gamedyn.stability.rotation.split_norms import dense_norms, probed_norms

__all__ = ["Rotation", "imaginary_share", "mean_imaginary_share", "rotation", "rotation_angle"]

ZERO = 1e-13  # an eigenvalue so small relative to the largest has no direction


def imaginary_share(values: ArrayLike) -> np.ndarray:
    """|Im λ| / |λ| of each eigenvalue, in [0, 1]; NaN where λ = 0 up to rounding, which has no direction.

    Parameters
    ----------
    values : array `(k,)`
        Eigenvalues of J; of -J they give the same.

    Returns
    -------
    ndarray `(k,)`

    Examples
    --------
    >>> imaginary_share([3 + 4j, -2, 1j, 0])
    array([0.8, 0. , 1. , nan])
    """
    values, known = _directed(values)
    modulus = np.abs(values)
    return np.divide(np.abs(values.imag), modulus, out=np.full(values.shape, np.nan), where=known)


def mean_imaginary_share(values: ArrayLike) -> float:
    """The mean of `imaginary_share` over eigenvalues other than 0; NaN where there are none.

    Examples
    --------
    >>> mean_imaginary_share([3 + 4j, 3 - 4j, 5, 0])
    0.5333333333333333
    """
    share = imaginary_share(values)
    known = share[~np.isnan(share)]
    return float(np.mean(known)) if len(known) else float("nan")


def rotation_angle(values: ArrayLike) -> np.ndarray:
    """|arg λ| of each eigenvalue of J in radians, in [0, π]; NaN where λ = 0 up to rounding.

    Under the flow ż = -v a displacement turns by tan(angle) radians while it shrinks by a factor e: 0 is no rotation,
    π/2 rotation alone, beyond that the flow expands.

    Parameters
    ----------
    values : array `(k,)`

    Returns
    -------
    ndarray `(k,)`

    Examples
    --------
    >>> np.degrees(rotation_angle([1, 1 + 1j, -2j, -1])).round(6)
    array([  0.,  45.,  90., 180.])
    """
    values, known = _directed(values)
    return np.where(known, np.abs(np.angle(values)), np.nan)


def _directed(values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Complex values, and which of them are not 0 up to rounding."""
    values = np.asarray(values, dtype=complex)
    modulus = np.abs(values)
    return values, modulus > ZERO * np.max(modulus, initial=0.0)


@dataclass(frozen=True, eq=False)
class Rotation:
    """Rotation measures at one point.

    Attributes
    ----------
    antisymmetric_share : float
        ‖A‖_F / ‖J‖_F in [0, 1]: 0 for a potential game, 1 for a Hamiltonian one.
    interval : tuple of float
        95 % interval of the share, where it comes from random probes; the value twice otherwise.
    imaginary_share : ndarray `(k,)`
        |Im λ| / |λ| of each eigenvalue, in [0, 1]; NaN where λ = 0.
    angle : float
        The largest |arg λ| in radians: 0 no rotation, π/2 pure rotation, more is expansion.
    eigenvalues : ndarray `(k,)`
    method : str
    antisymmetric_ratio : float
        ‖A‖_F / ‖S‖_F in [0, inf].
    ratio_interval : tuple of float
        95 % interval of it.
    """

    antisymmetric_share: float
    interval: tuple[float, float]
    imaginary_share: np.ndarray
    angle: float
    eigenvalues: np.ndarray
    method: str
    antisymmetric_ratio: float
    ratio_interval: tuple[float, float]

    @property
    def angles(self) -> np.ndarray:
        """|arg λ| of each eigenvalue, `(k,)`."""
        return rotation_angle(self.eigenvalues)

    @property
    def mean_imaginary_share(self) -> float:
        """The mean of `imaginary_share` over eigenvalues other than 0, NaN where none was found."""
        return mean_imaginary_share(self.eigenvalues)

    def __repr__(self) -> str:
        low, high = self.interval
        spread = f" [{low:.3g}, {high:.3g}]" if high > low else ""
        return (
            f"Rotation({self.method}): |A|/|J| = {self.antisymmetric_share:.3g}{spread}, "
            f"|A|/|S| = {self.antisymmetric_ratio:.3g}, mean |Im λ|/|λ| = {self.mean_imaginary_share:.3g}, "
            f"largest angle {np.degrees(self.angle):.1f}° of {len(self.eigenvalues)} eigenvalues"
        )


def rotation(game: Any, z: Any = None, params: Any = None, *, k: int = 20, probes: int = 32, seed: int = 0) -> Rotation:
    """Rotation measures of a game at z, dense or by random probes.

    Parameters
    ----------
    game : game or Field with z, GameJacobian or matrix `(d, d)` without
        A matrix is J.
    z : array `(d,)` or torch vector, optional
    params : mapping, optional
    k : int
        Leading eigenvalues by modulus, where d is too large for all of them.
    probes : int
        Gaussian probes for ‖A‖_F and ‖S‖_F there, at least 2; each costs a product with J and one with Jᵀ.
    seed : int
        Of the probes.

    Returns
    -------
    Rotation

    Raises
    ------
    ValueError
        If the point has another length than d, or there are too few probes.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.rotation(gd.games.bilinear(1), [0.0, 0.0])
    Rotation(dense): |A|/|J| = 1, |A|/|S| = inf, mean |Im λ|/|λ| = 1, largest angle 90.0° of 2 eigenvalues
    """
    J = jacobian_of(game, z, params)
    small = J.dim <= DENSE_DIMENSION
    values = np.asarray(J.eigenvalues(None if small else k))
    if small:
        norms, method = dense_norms(_dense(J)), "dense"
    else:
        norms, method = probed_norms(J, probes, seed), f"{probes} probes, leading {len(values)} eigenvalues"
    angles = rotation_angle(values)
    angle = float(np.max(angles, where=~np.isnan(angles), initial=0.0))
    share = imaginary_share(values)
    return Rotation(norms.share, norms.interval, share, angle, values, method, norms.ratio, norms.ratio_interval)


def _dense(J: GameJacobian) -> np.ndarray:
    matrix = J.to_dense()
    return matrix if J.world == "array" else matrix.detach().cpu().double().numpy()
