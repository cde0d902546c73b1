"""What is conserved and how fast it drifts: H = ½‖v‖², quadratic invariants, or any quantity along an orbit.

In a Hamiltonian game, S = 0, the flow ż = -v conserves H = ½‖v‖², since dH/dt = -vᵀSv; on other games that is its rate.
Steps of finite size drift: simultaneous descent on f = xy multiplies H by 1 + η², alternating descent conserves
another quantity close to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gamedyn.stability.nonnormal.nonnormal import linear_map
from gamedyn.stability.rotation.orbit_points import orbit_points

__all__ = ["HamiltonianDrift", "hamiltonian_drift", "quadratic_invariants"]

MAX_DIMENSION = 40  # of the matrices whose invariants are looked for: d²(d + 1)²/4 numbers
CONSERVED = 1e-10  # relative size of ‖MᵀQM - Q‖ for an invariant


@dataclass(frozen=True, eq=False)
class HamiltonianDrift:
    """What `hamiltonian_drift` returns.

    Attributes
    ----------
    times : ndarray `(n,)`
        Steps or times.
    values : ndarray `(n,)`
        H at each point.
    quantity : str
        What H is.
    """

    times: np.ndarray
    values: np.ndarray
    quantity: str

    @property
    def largest(self) -> float:
        """max |H - H₀| / |H₀| in [0, inf]; NaN where H₀ = 0 stays 0."""
        start, away = float(abs(self.values[0])), float(np.max(np.abs(self.values - self.values[0])))
        return away / start if start > 0 else (np.inf if away > 0 else np.nan)

    @property
    def rate(self) -> float:
        """log(H_n/H₀) / (t_n - t₀), the mean relative drift per step or unit of time; NaN where H changes its sign.

        0 where H is conserved, positive where players gain, negative where they lose.
        """
        first, last, span = self.values[0], self.values[-1], self.times[-1] - self.times[0]
        return float(np.log(last / first) / span) if first * last > 0 and span != 0 else np.nan

    def __repr__(self) -> str:
        return (
            f"HamiltonianDrift of {self.quantity} over {self.times[-1] - self.times[0]:g} steps or units of time: "
            f"{self.values[0]:.4g} -> {self.values[-1]:.4g}, rate {self.rate:.3g}, largest drift {self.largest:.3g}"
        )


def hamiltonian_drift(
    game: Any,
    orbit: Any,
    quantity: Callable[[Any], Any] | ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    centre: ArrayLike | None = None,
) -> HamiltonianDrift:
    """How a quantity drifts along an orbit.

        H(z) = ½‖v(z)‖²,    or ½ (z - c)ᵀQ(z - c),    or any function of z

    Parameters
    ----------
    game : game or Field
    orbit : Orbit, Flow, array `(n, d)`, or sequence of n torch vectors `(d,)`
    quantity : callable z -> float, or symmetric matrix Q `(d, d)`, optional
        ½‖v‖² by default; `quadratic_invariants` gives matrices.
    params : mapping, optional
        Values of the game's parameters.
    centre : `(d,)`, optional
        c, of a quadratic quantity; 0 by default.

    Returns
    -------
    HamiltonianDrift

    Raises
    ------
    ValueError
        If the orbit has fewer than two finite points, or Q is not symmetric of the game's dimension.

    References
    ----------
    .. [1] D. Balduzzi, S. Racanière, J. Martens, J. Foerster, K. Tuyls, T. Graepel, The mechanics of n-player
       differentiable games, ICML 2018, arXiv:1802.05642.
    .. [2] J. P. Bailey, G. Gidel, G. Piliouras, Finite regret and cycles with fixed step-size via alternating gradient
       descent-ascent, COLT 2020, arXiv:1907.04392.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Simultaneous(lr=0.1), gd.games.bilinear(1))
    >>> drift = hamiltonian_drift(T.game, gd.simulate(T, [1.0, 0.0], steps=100))
    >>> drift
    HamiltonianDrift of |v|²/2 over 100 steps or units of time: 0.5 -> 1.352, rate 0.00995, largest drift 1.7
    >>> bool(np.isclose(np.exp(drift.rate), 1 + 0.1**2))
    True
    """
    F, points, times = orbit_points(game, orbit, params, least=2)
    if quantity is None:
        values, name = [_half_square(F(z)) for z in points], "|v|²/2"
    elif callable(quantity):
        values, name = [float(quantity(z)) for z in points], getattr(quantity, "__name__", "a function")
    else:
        Q, c = _quadratic(quantity, centre, len(points[0]))
        offsets = [_array(z) - c for z in points]
        values, name = [float(u @ Q @ u) / 2 for u in offsets], "a quadratic form"
    return HamiltonianDrift(times, np.array(values), name)


def _half_square(v: Any) -> float:
    v = v.detach() if hasattr(v, "detach") else v
    return float((v * v).sum()) / 2


def _array(z: Any) -> np.ndarray:
    return z if isinstance(z, np.ndarray) else z.detach().cpu().double().numpy()


def _quadratic(quantity: ArrayLike, centre: ArrayLike | None, d: int) -> tuple[np.ndarray, np.ndarray]:
    Q = np.asarray(quantity, dtype=float)
    c = np.zeros(d) if centre is None else np.asarray(centre, dtype=float)
    if Q.shape != (d, d) or c.shape != (d,):
        raise ValueError(f"a quadratic quantity needs Q ({d}, {d}) and a centre ({d},), got {Q.shape} and {c.shape}")
    if not np.allclose(Q, Q.T, rtol=0, atol=1e-12 * np.abs(Q).max(initial=0.0)):
        raise ValueError("Q is not symmetric; give (Q + Q.T)/2, the form is the same")
    return Q, c


def quadratic_invariants(
    M: Any, z: Any = None, params: Mapping[str, Any] | None = None, *, kind: str | None = None
) -> np.ndarray:
    """The quadratic forms that a linear flow or map conserves.

        flow   MᵀQ + QM = 0        map   MᵀQM = Q,        Q = Qᵀ

    Parameters
    ----------
    M : matrix `(d, d)`, GameJacobian, or game, Field or StepMap with z
        Of a game the flow's matrix -J is meant. d <= 40, the method's memory included.
    z : `(d,)`, optional
        The point.
    params : mapping, optional
        Values of the game's parameters.
    kind : {"flow", "map"}, optional
        Of a given matrix; "flow" by default.

    Returns
    -------
    ndarray `(k, d, d)`
        An orthonormal basis of them; k = 0 where nothing is conserved.

    Raises
    ------
    ValueError
        If d > 40, or as in `linear_map`.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Alternating(lr=0.5), gd.games.bilinear(1))
    >>> Q = quadratic_invariants(T, [0.0, 0.0])[0]
    >>> (Q / Q[0, 0]).round(12)  # x² + y² - η xy
    array([[ 1.  , -0.25],
           [-0.25,  1.  ]])
    """
    if kind == "jacobian":
        raise ValueError("kind='jacobian', but what conserves is a flow or a map; give -J as kind='flow'")
    linear = linear_map(M, z, params, kind=kind, of_game="flow")
    d, matrix = linear.dim, linear.matrix
    if d > MAX_DIMENSION or matrix is None:
        raise ValueError(f"invariants of {linear.name} with d = {d}: they are looked for up to d = {MAX_DIMENSION}")
    rows, columns = np.triu_indices(d)
    basis = np.zeros((len(rows), d, d))
    size = np.where(rows == columns, 1.0, np.sqrt(0.5))
    basis[np.arange(len(rows)), rows, columns] = size
    basis[np.arange(len(rows)), columns, rows] = size
    if linear.kind == "flow":
        images = matrix.T @ basis + basis @ matrix
        scale = max(float(np.linalg.norm(matrix, 2)), 1e-300)
    else:
        images = matrix.T @ basis @ matrix - basis
        scale = max(float(np.linalg.norm(matrix, 2)) ** 2, 1.0)
    _, singular, right = np.linalg.svd(images.reshape(len(rows), -1).T, full_matrices=False)
    found: np.ndarray = np.tensordot(right[singular <= CONSERVED * scale], basis, axes=1)
    return found
