"""How much a game rotates at a point: measures of J = S + A and of its spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.stability.jacobian import DENSE_DIMENSION, jacobian


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
        |Im λ| / |λ| of each eigenvalue, in [0, 1].
    angle : float
        The largest |arg λ| in radians: 0 no rotation, π/2 pure rotation, more is expansion.
    eigenvalues : ndarray `(k,)`
    method : str
    """

    antisymmetric_share: float
    interval: tuple[float, float]
    imaginary_share: np.ndarray
    angle: float
    eigenvalues: np.ndarray
    method: str

    @property
    def mean_imaginary_share(self) -> float:
        """The mean of `imaginary_share`, NaN where no eigenvalue was found."""
        return float(np.mean(self.imaginary_share)) if len(self.imaginary_share) else float("nan")

    def __repr__(self) -> str:
        low, high = self.interval
        spread = f" [{low:.3g}, {high:.3g}]" if high > low else ""
        return (
            f"Rotation({self.method}): |A|/|J| = {self.antisymmetric_share:.3g}{spread}, "
            f"mean |Im λ|/|λ| = {self.mean_imaginary_share:.3g}, "
            f"largest angle {np.degrees(self.angle):.1f}° of {len(self.eigenvalues)} eigenvalues"
        )


def rotation(game: Any, z: Any, params: Any = None, *, k: int = 20, probes: int = 32, seed: int = 0) -> Rotation:
    """Rotation measures of a game at z, dense or by random probes.

    Parameters
    ----------
    game : game
    z : array `(d,)` or torch vector
    params : mapping, optional
    k : int
        Leading eigenvalues by modulus, where d is too large for all of them.
    probes : int
        Gaussian probes for ‖A‖_F and ‖J‖_F there.
    seed : int
        Of the probes.

    Returns
    -------
    Rotation

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.rotation(gd.games.bilinear(1), [0.0, 0.0])
    Rotation(dense): |A|/|J| = 1, mean |Im λ|/|λ| = 1, largest angle 90.0° of 2 eigenvalues
    """
    J = jacobian(game, z, params)
    if J.world == "exact":
        J = jacobian(game, [float(e) for e in z], params)
    values = np.asarray(J.eigenvalues(k if J.dim > DENSE_DIMENSION else None))
    modulus = np.abs(values)
    share = np.divide(np.abs(values.imag), modulus, out=np.zeros(len(values)), where=modulus > 0)
    angle = float(np.max(np.abs(np.angle(values)), where=modulus > 0, initial=0.0))
    if J.dim <= DENSE_DIMENSION:
        matrix = J.to_dense()
        matrix = matrix if J.world == "array" else matrix.detach().cpu().double().numpy()
        norm = np.linalg.norm(matrix)
        ratio = float(np.linalg.norm(matrix - matrix.T) / 2 / norm) if norm > 0 else 0.0
        return Rotation(ratio, (ratio, ratio), share, angle, values, "dense")
    ratio, interval = _probed_share(J, probes, seed)
    return Rotation(ratio, interval, share, angle, values, f"{probes} probes, leading {len(values)} eigenvalues")


def _probed_share(J: Any, probes: int, seed: int) -> tuple[float, tuple[float, float]]:
    """‖A‖_F/‖J‖_F from E‖Au‖² and E‖Ju‖², with a bootstrap interval."""
    rng = np.random.default_rng(seed)
    operator = J.to_scipy()
    skew, whole = [], []
    for _ in range(probes):
        u = rng.standard_normal(J.dim)
        forward, backward = operator @ u, operator.rmatvec(u)
        skew.append(np.sum((forward - backward) ** 2) / 4)
        whole.append(np.sum(forward**2))
    a, b = np.array(skew), np.array(whole)
    draws = rng.integers(0, probes, (2000, probes))
    ratios = np.sqrt(a[draws].mean(1) / b[draws].mean(1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(np.sqrt(a.mean() / b.mean())), (float(low), float(high))
