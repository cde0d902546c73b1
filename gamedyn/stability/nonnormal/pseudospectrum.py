"""Pseudospectra: where eigenvalues can go when the matrix changes a little.

    Λ_ε(M) = {z : σ_min(zI - M) <= ε} = the eigenvalues of all M + E with ‖E‖ <= ε           (1)

For a normal matrix these are discs of radius ε around the eigenvalues; how much wider they are is how little the
eigenvalues alone say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gamedyn.stability.nonnormal.nonnormal import KINDS, LinearMap, linear_map
from gamedyn.stability.nonnormal.resolvent import ProjectedResolvent, Resolvent
from gamedyn.stability.nonnormal.resolvent_peak import Peaks

__all__ = ["Pseudospectrum", "pseudospectrum"]

Box = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Pseudospectrum:
    """What `pseudospectrum` returns: σ_min(zI - M) on a grid, and at any other point.

    Attributes
    ----------
    x : ndarray `(nx,)`
    y : ndarray `(ny,)`
        Real and imaginary parts of the grid.
    sigma : ndarray `(ny, nx)`
        σ_min(zI - M) at z = x + iy; from above where the operator is projected.
    eigenvalues : ndarray
        Of M, or Ritz values of the projection.
    linear : LinearMap
        The matrix and its kind: "jacobian", "flow" or "map".
    method : str
    resolvent : Resolvent or ProjectedResolvent
        What gives σ_min at further points.
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    eigenvalues: np.ndarray
    linear: LinearMap
    method: str
    resolvent: Resolvent | ProjectedResolvent

    @property
    def kind(self) -> str:
        """Which border of stability belongs to it."""
        return self.linear.kind

    @property
    def is_projected(self) -> bool:
        """Whether σ is only bounded from above: "inside" is then certain, "outside" is not."""
        return self.linear.matrix is None

    def smallest_singular_value(self, value: ArrayLike) -> np.ndarray:
        """σ_min(zI - M) at complex points of any shape."""
        return self.resolvent.smallest(value)

    def contains(self, value: ArrayLike, epsilon: ArrayLike) -> Any:
        """Whether a point lies in Λ_ε, up to rounding d · eps · ‖M‖.

        Parameters
        ----------
        value : complex, or array of them
        epsilon : float, or array that broadcasts with it
            An eigenvalue found with residual ‖Mx - λx‖ = r lies in Λ_r.

        Returns
        -------
        bool, or array of bool
            Of a projected operator True is certain and False is not.

        Raises
        ------
        ValueError
            If an ε is negative or not finite.
        """
        epsilon = np.asarray(epsilon, dtype=float)
        if not np.all(np.isfinite(epsilon) & (epsilon >= 0)):
            raise ValueError(f"epsilon = {epsilon} must be finite numbers, not negative")
        inside = self.smallest_singular_value(value) <= epsilon + self.resolvent.floor
        return bool(inside) if inside.ndim == 0 else inside

    @cached_property
    def _peaks(self) -> Peaks:
        kind = "map" if self.kind == "map" else "flow"
        return Peaks(-self.linear.dense if self.kind == "jacobian" else self.linear.dense, kind)

    def edge(self, epsilon: float) -> float:
        """How far Λ_ε reaches: the largest Re z ("flow"), the smallest Re z ("jacobian") or the largest |z| ("map").

        Of all changes ‖E‖ <= ε the one that does most harm puts an eigenvalue there.

        Raises
        ------
        ValueError
            If ε is not positive, or the operator is projected.
        """
        from scipy.optimize import brentq

        if not (np.isfinite(epsilon) and epsilon > 0):
            raise ValueError(f"epsilon = {epsilon:g} must be a positive number; the edge at 0 is that of the spectrum")
        values = self._peaks.resolvent.eigenvalues
        start = float(np.max(np.abs(values)) - 1 if self.kind == "map" else np.max(values.real))
        reach = epsilon + self.resolvent.floor
        while self._peaks(start + reach)[0] > 1 / epsilon:
            reach *= 2
        excess = lambda s: min(-np.log(epsilon * self._peaks(s)[0]), 700.0)  # noqa: E731
        low = start + 0.5 * epsilon
        while low > start and excess(low) > 0:  # only rounding puts it above
            low = start + (low - start) / 2
        s = float(brentq(excess, low, start + reach, xtol=1e-12 * max(1.0, abs(start)), rtol=1e-12))
        return {"map": 1 + s, "flow": s, "jacobian": -s}[self.kind]

    def __repr__(self) -> str:
        grid = f"{len(self.x)} x {len(self.y)} points"
        seen = "σ_min from above" if self.is_projected else "σ_min"
        low, high = float(self.sigma.min()), float(self.sigma.max())
        return (
            f"Pseudospectrum of {self.linear.name} ({KINDS[self.kind]}, d = {self.linear.dim}; {self.method}):\n"
            f"  Re z in [{self.x[0]:.4g}, {self.x[-1]:.4g}], Im z in [{self.y[0]:.4g}, {self.y[-1]:.4g}], {grid}; "
            f"{seen} from {low:.2g} to {high:.2g}"
        )


def pseudospectrum(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    box: Box | None = None,
    resolution: int = 80,
    krylov: int = 60,
    seed: int = 0,
) -> Pseudospectrum:
    """Pseudospectra of a matrix, of a game's Jacobian at a point, or of a step map's.

        Λ_ε(M) = {z : σ_min(zI - M) <= ε}

    Up to d = 600 from one Schur form and inverse Lanczos steps at all grid points together, about 10 d² each. Beyond,
    on a Krylov space: `krylov` products, and then Λ_ε is seen from inside.

    Parameters
    ----------
    M : matrix `(d, d)`, GameJacobian, LinearOperator, or game, Field or StepMap with z
    z : `(d,)`, optional
        The point.
    params : mapping, optional
        Values of the game's parameters.
    kind : {"jacobian", "flow", "map"}, optional
        Of a game or a GameJacobian: J itself (default), or "flow" for -J. Of a given matrix: what it stands for
        ("flow" by default); it decides which border of stability is drawn.
    box : ((x0, x1), (y0, y1)), optional
        Real and imaginary parts of the grid; by default around the spectrum, wider where the numerical range is.
    resolution : int
        Points of the grid each way.
    krylov, seed : int
        Dimension of the Krylov space beyond d = 600, and the seed of its first vector.

    Returns
    -------
    Pseudospectrum

    Raises
    ------
    ValueError
        If the box or the resolution is no grid, or as in `linear_map`.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005).
    .. [2] T. G. Wright, EigTool (2002).

    Examples
    --------
    >>> P = pseudospectrum([[-1.0, 20.0], [0.0, -1.0]])
    >>> P.contains(0.5, 0.11), P.contains(0.5, 0.12)  # σ_min(0.5 - M) = 0.1119
    (False, True)
    >>> print(f"{P.edge(0.1):.4f}")  # changed by 0.1 the double eigenvalue -1 may become positive
    0.4177
    """
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 2:
        raise ValueError(f"resolution={resolution!r} must be an int of at least 2")
    linear = linear_map(M, z, params, kind=kind)
    resolvent: Resolvent | ProjectedResolvent
    if linear.matrix is None:
        if isinstance(krylov, bool) or not isinstance(krylov, int) or krylov < 1:
            raise ValueError(f"krylov={krylov!r} must be a positive int")
        resolvent = ProjectedResolvent(linear.operator, min(krylov, linear.dim - 1), seed)
        square, method = resolvent.hessenberg[:-1], f"Krylov space of dimension {len(resolvent.eigenvalues)}"
    else:
        resolvent = Resolvent(linear.matrix)
        square, method = linear.matrix, "dense"
    x, y = _grid(_default_box(resolvent.eigenvalues, square) if box is None else box, resolution)
    return Pseudospectrum(
        x, y, _on_grid(resolvent, x, y, linear.is_real), resolvent.eigenvalues, linear, method, resolvent
    )


def _grid(box: Box, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.asarray(box, dtype=float)
    if edges.shape != (2, 2) or not np.isfinite(edges).all() or (edges[:, 0] >= edges[:, 1]).any():
        raise ValueError(f"box={box} must be ((x0, x1), (y0, y1)) with finite x0 < x1 and y0 < y1")
    (x0, x1), (y0, y1) = edges
    return np.linspace(x0, x1, resolution), np.linspace(y0, y1, resolution)


def _on_grid(resolvent: Resolvent | ProjectedResolvent, x: np.ndarray, y: np.ndarray, is_real: bool) -> np.ndarray:
    """σ_min at x + iy; half of it where the other half is its mirror image."""
    if is_real and abs(y[0] + y[-1]) <= 1e-12 * (y[-1] - y[0]):
        upper = y >= -1e-12 * y[-1]
        half = resolvent.smallest(x + 1j * y[upper][:, None])
        below = half[::-1] if len(y) % 2 == 0 else half[:0:-1]
        return np.concatenate([below, half])
    return resolvent.smallest(x + 1j * y[:, None])


def _default_box(values: np.ndarray, square: np.ndarray) -> Box:
    """A square around the spectrum, towards the size of the numerical range where that is larger."""
    symmetric, skew = (square + square.conj().T) / 2, (square - square.conj().T) / 2j
    wide = max(float(np.ptp(np.linalg.eigvalsh(part))) / 2 for part in (symmetric, skew))
    low, high = (np.array([f(values.real), f(values.imag)]) for f in (np.min, np.max))
    middle, near = (low + high) / 2, float(np.max(high - low)) / 2
    size = float(np.max(np.abs(values), initial=0.0))
    half = max(1.3 * near, float(np.sqrt(max(near, wide / 10) * wide)), size / 10) or 1.0
    return (middle[0] - half, middle[0] + half), (middle[1] - half, middle[1] + half)
