"""The numerical range of a matrix: what one product can do to a length.

    W(M) = {x*Mx : ‖x‖ = 1},    h(θ) = max Re e^{-iθ}w over W = λ_max((e^{-iθ}M + e^{iθ}M*)/2)           (1)

It is convex and contains the eigenvalues; of a normal matrix it is their convex hull. Its real parts are the interval
between the eigenvalues of S, its imaginary parts that between those of A/i: all of S + A that lengths see at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.stability.nonnormal.nonnormal import KINDS, LinearMap, linear_map

__all__ = ["NumericalRange", "numerical_range"]


@dataclass(frozen=True, eq=False)
class NumericalRange:
    """What `numerical_range` returns.

    Attributes
    ----------
    angles : ndarray `(n,)`
        Directions θ in which the support was computed, ascending in [0, 2π).
    points : ndarray `(n,)`, complex
        Points x*Mx of the boundary, anticlockwise: their hull lies inside W.
    support : ndarray `(n,)`
        h(θ): the half planes Re e^{-iθ}w <= h(θ) contain W.
    linear : LinearMap
    method : str
    """

    angles: np.ndarray
    points: np.ndarray
    support: np.ndarray
    linear: LinearMap
    method: str

    @property
    def kind(self) -> str:
        """ "jacobian", "flow" or "map"."""
        return self.linear.kind

    @property
    def abscissa(self) -> float:
        """ω = λ_max(S), the largest Re w: d/dt ‖exp(tM)‖ at t = 0."""
        return float(self.support[0])

    @property
    def real_interval(self) -> tuple[float, float]:
        """[λ_min(S), λ_max(S)]; a game whose J has it in [0, ∞) everywhere is monotone."""
        return 0.0 - float(self.support[len(self.angles) // 2]), float(self.support[0])

    @property
    def imaginary_interval(self) -> tuple[float, float]:
        """The eigenvalues of A/i lie between these."""
        quarter = len(self.angles) // 4
        return 0.0 - float(self.support[3 * quarter]), float(self.support[quarter])

    @property
    def radius(self) -> tuple[float, float]:
        """The numerical radius max |w|, from below and from above.

        ‖Mᵏ‖ <= 2 rᵏ for every k; r <= 1 excludes transient growth beyond 2.
        """
        step = np.pi / len(self.angles)
        return float(np.max(np.abs(self.points))), float(np.max(self.support) / np.cos(step))

    @property
    def grows_at_once(self) -> bool:
        """Whether some displacement is farther out right after the start: ω > 0, of a map ‖M‖ > 1."""
        if self.kind == "map":
            return bool(self.linear.norm > 1)
        low, high = self.real_interval
        return bool((-low if self.kind == "jacobian" else high) > 0)

    def contains(self, value: complex) -> bool | None:
        """Whether a point lies in W; None where it is between the inner and the outer polygon."""
        if np.any((np.exp(-1j * self.angles) * value).real > self.support + 1e-12 * np.abs(self.support).max()):
            return False
        edge = np.roll(self.points, -1) - self.points
        side = (edge.conj() * (value - self.points)).imag
        return True if np.all(side >= 0) else None

    def __repr__(self) -> str:
        (a, b), (c, e) = self.real_interval, self.imaginary_interval
        return (
            f"NumericalRange of {self.linear.name} ({KINDS[self.kind]}, d = {self.linear.dim}; {self.method}): "
            f"Re w in [{a:.6g}, {b:.6g}], Im w in [{c:.6g}, {e:.6g}]"
        )


def numerical_range(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    angles: int = 64,
) -> NumericalRange:
    """The numerical range of a matrix, of a game's Jacobian at a point, or of a step map's.

        W(M) = {x*Mx : ‖x‖ = 1}

    Johnson's algorithm: the largest eigenvalue of the Hermitian part of e^{-iθ}M and its vector x give a support line
    and a point x*Mx of the boundary. The extreme real and imaginary parts are exact up to rounding. Beyond d = 600 by
    Lanczos steps on products.

    Parameters
    ----------
    M : matrix `(d, d)`, GameJacobian, LinearOperator, or game, Field or StepMap with z
    z : `(d,)`, optional
        The point.
    params : mapping, optional
        Values of the game's parameters.
    kind : {"jacobian", "flow", "map"}, optional
        Of a game J itself by default, "flow" for -J.
    angles : int
        Directions, a multiple of 4.

    Returns
    -------
    NumericalRange

    Raises
    ------
    ValueError
        If `angles` is no positive multiple of 4, or as in `linear_map`.

    References
    ----------
    .. [1] C. R. Johnson, Numerical determination of the field of values of a general complex matrix, SIAM J. Numer.
       Anal. 15 (1978).

    Examples
    --------
    >>> import gamedyn as gd
    >>> W = numerical_range([[0.0, 2.0], [0.0, 0.0]])  # a disc of radius 1
    >>> W.abscissa, W.contains(0.9), W.contains(1.1j)
    (1.0, True, False)
    >>> numerical_range(gd.games.bilinear(1), [0.0, 0.0])
    NumericalRange of J (a game Jacobian, d = 2; dense): Re w in [0, 0], Im w in [-1, 1]
    """
    if isinstance(angles, bool) or not isinstance(angles, int) or angles < 4 or angles % 4:
        raise ValueError(f"angles={angles!r} must be a positive multiple of 4")
    linear = linear_map(M, z, params, kind=kind)
    theta = 2 * np.pi * np.arange(angles) / angles
    wanted = theta[: angles // 2 + 1] if linear.is_real else theta
    found = [(_dense if linear.matrix is not None else _lanczos)(linear, t) for t in wanted]
    support, points = (np.array(part) for part in zip(*found, strict=True))
    if linear.is_real:  # W is its own mirror image
        support = np.concatenate([support, support[-2:0:-1]])
        points = np.concatenate([points, points[-2:0:-1].conj()])
    return NumericalRange(theta, points, support + 0.0, linear, "dense" if linear.matrix is not None else "Lanczos")


def _dense(linear: LinearMap, theta: float) -> tuple[float, complex]:
    """h(θ) and a boundary point."""
    M = linear.dense
    turn = complex(round(np.cos(theta), 15), -round(np.sin(theta), 15))  # exact on the axes
    values, vectors = np.linalg.eigh((turn * M + (turn * M).conj().T) / 2)
    x = vectors[:, -1]
    return float(values[-1]), complex(x.conj() @ M @ x)


def _lanczos(linear: LinearMap, theta: float) -> tuple[float, complex]:
    from scipy.sparse.linalg import LinearOperator, eigsh

    M, turn = linear.operator, np.exp(-1j * theta)

    def product(u: np.ndarray) -> np.ndarray:
        forward, backward = _complex(M.matvec, u), _complex(M.rmatvec, u)
        return (turn * forward + np.conj(turn) * backward) / 2

    operator: Any = LinearOperator((linear.dim, linear.dim), matvec=product, dtype=complex)
    start = np.random.default_rng(0).standard_normal(linear.dim).astype(complex)
    values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=1e-10)
    x = vectors[:, 0]
    return float(values[0]), complex(np.vdot(x, _complex(M.matvec, x)))


def _complex(product: Any, u: np.ndarray) -> np.ndarray:
    """A real product of a complex vector."""
    u = np.ravel(u)
    return product(u.real.copy()) + 1j * product(u.imag.copy())
