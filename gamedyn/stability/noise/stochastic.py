"""Mean-square stability and stationary moments of random steps.

s+ = A s + c,   M ↦ E[A M Aᵀ] + …
stable in mean square  ⇔  ρ(E[A ⊗ A]) < 1
then   μ = E[A] μ + E[c],   Σ = E[(s - μ)(s - μ)ᵀ],  additive noise:  Σ = DT Σ DTᵀ + Q
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.stochastic import AdditiveNoise, FiniteSum, is_independent
from gamedyn.games.transformed import unwrap
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.rule import period
from gamedyn.stability.noise.noise_response import Response, Sample, StepMoments, batches
from gamedyn.stability.regions.step_jacobian import refuse_preconditioner

__all__ = ["Stationary", "mean_square_radius", "stationary", "stationary_covariance"]

DENSE_MOMENTS = 40  # largest extended dimension D for operators on D x D moments
DENSE_STATE = 2000  # the same where A is deterministic and only D x D matrices are formed
RESTS = 1e-6  # |v| of an equilibrium of the mean field, relative to max(1, |J|)


@dataclass(frozen=True, eq=False)
class Stationary:
    """Stationary mean and covariance of a random step.

    Attributes
    ----------
    mean : ndarray `(d,)`
        Of z - z*; not 0 where one sample serves two evaluations that multiply.
    covariance : ndarray `(d, d)`
        Of z.
    full_mean, full_covariance : ndarray `(D,)`, `(D, D)`
        Of the extended state (z, *memory).
    radius : float
        ρ(E[A ⊗ A]) < 1: the factor per step (per period of a schedule) by which second moments settle.
    """

    mean: np.ndarray
    covariance: np.ndarray
    full_mean: np.ndarray
    full_covariance: np.ndarray
    radius: float

    def __repr__(self) -> str:
        spread = float(np.sqrt(max(np.trace(self.covariance), 0.0)))
        return (
            f"Stationary(d = {len(self.mean)}, rms distance {spread:.6g} from the mean, "
            f"mean off z* by {np.linalg.norm(self.mean):.3g}, mean-square radius {self.radius:.6g})"
        )


def mean_square_radius(T: StepMap, z: Any, noise: Any = None, *, sampling: str = "same") -> float:
    """ρ(E[A ⊗ A]) at an equilibrium of the mean field: E‖s - s*‖² settles iff it is below 1.

        E‖s_k‖² ~ radiusᵏ,   A = DT of the drawn step

    With additive noise A is that of the mean and the radius is ρ(DT)².  A periodic schedule counts by its period.

    Parameters
    ----------
    T : StepMap
        With an oracle, or give `noise`.
    z : array `(d,)`
        A zero of the mean field.
    noise, sampling
        As in `stationary`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If z is no equilibrium of the mean field, or the operator on second moments is too large.
    NotInThisWorld
        If the game has no formulas, for a preconditioner, or for an aperiodic schedule.

    Examples
    --------
    Stochastic extragradient on f = (x₁y₁ + x₂y₂)/2, one pair at a time:

    >>> import gamedyn as gd
    >>> g = gd.zero_sum("a*x1*y1 + b*x2*y2", min=["x1", "x2"], max=["y1", "y2"])
    >>> pairs = {"a": [1, 0], "b": [0, 1]}
    >>> for sampling in ("same", "independent"):
    ...     T = gd.StepMap(gd.Extragradient(0.2), g, oracle=gd.FiniteSum(g, pairs, sampling=sampling))
    ...     print(f"{gd.mean_square_radius(T, [0, 0, 0, 0]):.4f}")
    0.9808
    1.0004
    """
    return _Moments(T, z, noise, sampling).radius


def stationary(T: StepMap, z: Any, noise: Any = None, *, sampling: str = "same") -> Stationary:
    """Stationary mean and covariance around an equilibrium of the mean field.

    Exact where the field is affine; elsewhere of the step linearised at z, the leading order in the noise.
    In the middle of a periodic schedule moments differ; these are before its first step.

    Parameters
    ----------
    T : StepMap
        Its oracle is the noise unless `noise` is given.
    z : array `(d,)`
        A zero of the mean field.
    noise : float, array `(d, d)`, AdditiveNoise or FiniteSum, optional
        A variance, a covariance, or an oracle.
    sampling : {"same", "independent"}
        For a variance or covariance: one sample per step or one per evaluation.  An oracle has its own.

    Returns
    -------
    Stationary

    Raises
    ------
    ValueError
        If there is no stationary covariance: the mean-square radius is 1 or more, and the message says it.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Extragradient(0.5), gd.games.bilinear(1))
    >>> stationary(T, [0, 0], noise=0.01)
    Stationary(d = 2, rms distance 0.182574 from the mean, mean off z* by 0, mean-square radius 0.8125)
    """
    return _Moments(T, z, noise, sampling).stationary()


def stationary_covariance(
    T: StepMap, z: Any, noise: Any = None, *, sampling: str = "same", full: bool = False
) -> np.ndarray:
    """The stationary covariance of z around an equilibrium of the mean field.

        Σ = DT Σ DTᵀ + Q   (additive noise);   Σ = E[(s - μ)(s - μ)ᵀ]   (finite sums)

    Parameters
    ----------
    T, z, noise, sampling
        As in `stationary`, which raises the same errors and gives the mean as well.
    full : bool
        That of the extended state, `(D, D)`.

    Returns
    -------
    ndarray `(d, d)`

    Examples
    --------
    Gradient descent on x²/2 with variance 1: Σ = η²/(1 - (1 - η)²) = η/(2 - η).

    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Simultaneous(0.5), gd.Game(["x**2/2"], players=[["x"]]))
    >>> stationary_covariance(T, [0], noise=1.0)
    array([[0.33333333]])
    """
    result = stationary(T, z, noise, sampling=sampling)
    return result.full_covariance if full else result.covariance


class _Moments:
    """The moments of a period of random steps."""

    def __init__(self, T: StepMap, z: Any, noise: Any, sampling: str) -> None:
        refuse_preconditioner(T)
        base, _ = unwrap(T.game)
        if getattr(base, "constraints", ()):
            raise NotInThisWorld(
                "moments",
                "analysis",
                "a projected or mirrored step is no affine map of the noise; simulate a batch of orbits, or take the "
                "game without constraints where its equilibrium lies inside them",
            )
        self.T, self.d = T, T.game.dim
        self.z = np.array([float(e) for e in z])
        if self.z.shape != (self.d,):
            raise ValueError(f"'{T.game.name}' has d = {self.d} coordinates, got a point with {len(self.z)}")
        self.noise = T.oracle if noise is None else noise
        self.independent = is_independent(sampling)
        steps = period(T.method.rule)
        if steps is None:
            raise NotInThisWorld("moments", "analysis", "an aperiodic schedule has none; give a tuple, or simulate")
        _, self.transforms = unwrap(T.game)
        self.steps = self._steps(steps)
        self.D = len(self.steps[0].noise)
        self.deterministic = all(s.is_deterministic for s in self.steps)
        largest = DENSE_STATE if self.deterministic else DENSE_MOMENTS
        if self.D > largest:
            raise ValueError(
                f"the extended state has D = {self.D} coordinates, more than {largest}: the operator on its second "
                f"moments would be dense; simulate a batch of orbits instead"
            )

    def _steps(self, count: int) -> list[StepMoments]:
        methods = [self.T.at(k).method for k in range(count)]
        if isinstance(self.noise, FiniteSum):
            samples, weights, mean = batches(self.noise, self.z)
            self._require_equilibrium(mean)
            independent = self.noise.independent
            return [
                Response(m, self.transforms, mean.linear).finite(samples, weights, mean, independent) for m in methods
            ]
        mean = self._mean_sample()
        self._require_equilibrium(mean)
        covariance, independent = self._covariance()
        return [Response(m, self.transforms, mean.linear).additive(covariance, independent) for m in methods]

    def _mean_sample(self) -> Sample:
        base, _ = unwrap(self.T.game)
        if "exact" not in base.worlds:
            raise NotInThisWorld("moments", "analysis", "the game has no formulas; simulate a batch of orbits instead")
        params = {n: v for n, v in self.T.params.items() if n in base.parameters}
        return Sample.of(base.field("array", params), self.z)

    def _covariance(self) -> tuple[np.ndarray, bool]:
        if isinstance(self.noise, AdditiveNoise):
            return self.noise.covariance, self.noise.independent
        if self.noise is None:
            return np.zeros((self.d, self.d)), self.independent
        if callable(getattr(self.noise, "draw", None)):
            raise NotInThisWorld("moments", "analysis", f"{self.noise!r} does not say its moments; simulate instead")
        value = np.asarray(self.noise, dtype=float)
        if value.ndim == 0 and not value >= 0:
            raise ValueError(f"noise is a variance >= 0, a covariance ({self.d}, {self.d}) or an oracle, got {value}")
        covariance = value * np.eye(self.d) if value.ndim == 0 else value
        return _checked(covariance, self.d, self.T.game.name), self.independent

    def _require_equilibrium(self, mean: Sample) -> None:
        v = sum(mean.linear.mask(i, g) for i, g in enumerate(mean.slopes))
        size = float(np.max(np.abs(v)))
        if not size <= RESTS * max(1.0, float(np.max(np.abs(mean.linear.jacobian)))):
            raise ValueError(
                f"the point is no equilibrium of the mean field: |v| = {size:.3g} there. Give a zero of it, e.g. by "
                f"gd.equilibria(oracle.mean_game)"
            )

    @property
    def radius(self) -> float:
        """ρ(E[A ⊗ A]) of one period."""
        if self.deterministic:
            return _radius(self._product()) ** 2
        K = _chain([_kron(s.matrices, s.weights) for s in self.steps])
        return _radius(K)

    def _product(self) -> np.ndarray:
        return _chain([s.matrices[0] for s in self.steps])

    def stationary(self) -> Stationary:
        """The fixed point of the moments."""
        if self.noise is None:
            raise ValueError("give the noise: a variance, a covariance (d, d), an oracle, or a StepMap with an oracle")
        radius = self.radius
        if not radius < 1:
            raise ValueError(
                f"there is no stationary covariance: the mean-square radius is {radius:.8g}, and second moments "
                f"grow or stay unless it is below 1. Take another step size, see gd.mean_square_radius"
            )
        mean, covariance = self._lyapunov() if self.deterministic else self._homogeneous()
        d = self.d
        return Stationary(mean[:d], covariance[:d, :d], mean, covariance, radius)

    def _lyapunov(self) -> tuple[np.ndarray, np.ndarray]:
        """Σ = AΣAᵀ + Q over a period."""
        from scipy.linalg import solve_discrete_lyapunov

        noise = np.zeros((self.D, self.D))
        for s in self.steps:
            noise = s.matrices[0] @ noise @ s.matrices[0].T + s.noise
        covariance = solve_discrete_lyapunov(self._product(), noise)
        return np.zeros(self.D), (covariance + covariance.T) / 2

    def _homogeneous(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and second moment as the moment of (s, 1), fixed by E[Ã ⊗ Ã] with Ã = [[A, c], [0, 1]]."""
        size, operators = self.D + 1, []
        for s in self.steps:
            A = np.zeros((len(s.weights), size, size))
            A[:, :-1, :-1], A[:, :-1, -1], A[:, -1, -1] = s.matrices, s.constants, 1.0
            operators.append(_kron(A, s.weights))
        K = _chain(operators)
        free = size * size - 1  # the last entry of the moment is 1
        moment = np.linalg.solve(np.eye(free) - K[:free, :free], K[:free, free])
        M = np.append(moment, 1.0).reshape(size, size)
        mean = (M[:-1, -1] + M[-1, :-1]) / 2
        covariance = M[:-1, :-1] - np.outer(mean, mean)
        return mean, (covariance + covariance.T) / 2


def _checked(covariance: np.ndarray, d: int, name: str) -> np.ndarray:
    if covariance.shape != (d, d) or not np.allclose(covariance, covariance.T, rtol=1e-12, atol=0):
        raise ValueError(f"'{name}' needs a symmetric covariance ({d}, {d}), got shape {covariance.shape}")
    smallest = float(np.linalg.eigvalsh(covariance)[0])
    if smallest < -1e-12 * float(np.max(np.abs(covariance))):
        raise ValueError(f"a covariance is positive semidefinite; the smallest eigenvalue given is {smallest:.3g}")
    return covariance


def _kron(matrices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ w A ⊗ A `(D², D²)` for matrices `(m, D, D)`."""
    m, D, _ = matrices.shape
    rows = matrices.reshape(m, D * D)
    products = (rows.T @ (weights[:, None] * rows)).reshape(D, D, D, D)  # A_ij A_kl
    return products.transpose(0, 2, 1, 3).reshape(D * D, D * D)


def _chain(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The product of a period, its first step rightmost."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = matrix @ product
    return product


def _radius(matrix: np.ndarray) -> float:
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))
