"""Transient growth: how far the worst displacement gets before it decays, measured and bounded.

    flow   sup_t ‖exp(tM)‖        map   sup_k ‖Mᵏ‖                                              (1)
    1 <= K <= sup <= e d K,   ‖exp(tM)‖ <= exp(ω t),   sup <= κ(V) for M = VΛV⁻¹ stable

K is the Kreiss constant, ω the numerical abscissa, V unit eigenvectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.stability.nonnormal.kreiss import CONTRACTION, NEUTRAL, Kreiss, border_distance, growing_map, kreiss_of
from gamedyn.stability.nonnormal.nonnormal import KINDS, LinearMap
from gamedyn.stability.nonnormal.propagator import Propagator, measure

__all__ = ["TransientGrowth", "transient_growth"]


@dataclass(frozen=True, eq=False)
class TransientGrowth:
    """What `transient_growth` returns.

    Attributes
    ----------
    growth : float
        The measured supremum: ‖exp(tM)‖ or ‖Mᵏ‖ at `time`; inf for an unstable spectrum without a horizon.
    time : float or int
        Where it is attained; 0 where nothing grows.
    start : ndarray `(d,)` or None
        The unit displacement that grows most; None where growth has no bound.
    end : ndarray `(d,)` or None
        What becomes of it at `time`, of length `growth`.
    kreiss : Kreiss
        K from below and above.
    abscissa : float
        ω = λ_max(S) for a flow, log ‖M‖ for a map.
    condition : float
        κ(V) of unit eigenvectors.
    horizon : float or None
        The times that were looked at end here; None where ‖exp(tM)‖ <= 1 (‖Mᵏ‖ <= 1) at some later time proves that
        nothing follows.
    linear : LinearMap
    method : str
    """

    growth: float
    time: float
    start: np.ndarray | None
    end: np.ndarray | None
    kreiss: Kreiss
    abscissa: float
    condition: float
    horizon: float | None
    linear: LinearMap
    method: str

    @property
    def lower(self) -> float:
        """K, which the supremum over all times cannot fall short of."""
        return self.kreiss.lower

    @property
    def upper(self) -> float:
        """The smaller of e d K and κ(V) where the spectrum is stable, 1 for a contraction; inf if unknown."""
        if self.kreiss.method == CONTRACTION:
            return 1.0
        stable = border_distance(self.linear) <= 0
        return float(np.fmin(self.kreiss.growth_bound, self.condition if stable else np.inf))

    @property
    def abscissa_bound(self) -> float:
        """exp(ω t) at `time`: no faster growth is possible."""
        if self.time == 0:
            return 1.0
        return float(np.exp(min(self.abscissa * self.time, 700.0))) if np.isfinite(self.time) else np.inf

    def __repr__(self) -> str:
        unit = "t" if self.linear.kind == "flow" else "k"
        until = "" if self.horizon is None else f", of all times up to {self.horizon:.4g}"
        by_then = f"; by then at most {min(self.abscissa_bound, self.upper):.4g}" if 0 < self.time < np.inf else ""
        linear = self.linear
        return (
            f"TransientGrowth of {linear.name} ({KINDS[linear.kind]}, d = {linear.dim}; {self.method}):\n"
            f"  {self.growth:.6g}-fold at {unit} = {self.time:.4g}{until}\n"
            f"  over all times at least K = {self.lower:.4g} and at most {self.upper:.4g}{by_then}"
        )


def transient_growth(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    horizon: float | None = None,
    modes: int = 30,
) -> TransientGrowth:
    """The largest growth of a displacement over all starts and times, with the bounds on it.

        flow   sup_t ‖exp(tM)‖        map   sup_k ‖Mᵏ‖

    Norms are sampled eight times an octave (a map's first powers one by one) until one is no larger than 1, after
    which nothing exceeds what was seen; then more finely around the largest. The start is the leading right singular
    vector there.

    Parameters
    ----------
    M : matrix `(d, d)`, GameJacobian, LinearOperator, or game, Field or StepMap with z
        Of a game or a GameJacobian the flow's matrix -J is meant.
    z : `(d,)`, optional
        The point.
    params : mapping, optional
        Values of the game's parameters.
    kind : {"flow", "map"}, optional
        Of a given matrix; "flow" by default.
    horizon : float, optional
        The last time, or step, that counts. Needed for a finite answer where the spectrum is unstable.
    modes : int
        Beyond d = 600: starts in the span of so many leading eigenvectors (rightmost, of a map largest), which gives
        a lower bound of the growth.

    Returns
    -------
    TransientGrowth

    Raises
    ------
    ValueError
        If the horizon is not positive, the kind is "jacobian", or as in `linear_map`.

    Notes
    -----
    The sampled supremum of a flow is a lower bound: between samples a narrower peak may hide. The Kreiss matrix theorem
    bounds it from both sides.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005), chapters 14-18.
    .. [2] S. C. Reddy, P. J. Schmid, D. S. Henningson, Pseudospectra of the Orr-Sommerfeld operator, SIAM J. Appl.
       Math. 53 (1993): restriction to leading eigenvectors.

    Examples
    --------
    >>> found = transient_growth([[-1.0, 20.0], [0.0, -1.0]])
    >>> found
    TransientGrowth of the matrix (the flow matrix, d = 2; dense):
      7.37603-fold at t = 0.995
      over all times at least K = 5.05 and at most 27.46; by then at most 27.46
    >>> found.start.round(3)  # ‖exp(tM) start‖ = 7.376 then
    array([0.05 , 0.999])
    """
    if horizon is not None and not (np.isfinite(horizon) and horizon > 0):
        raise ValueError(f"horizon={horizon!r} must be a positive time or number of steps")
    whole = growing_map(M, z, params, kind)
    basis = None if whole.matrix is not None else _leading_span(whole, modes)
    linear = whole if basis is None else _restricted(whole, basis)
    kreiss = kreiss_of(linear, 1e-3)
    growth, time, start, end, until = _measured(linear, kreiss, horizon)
    method = "dense"
    if basis is not None:
        start, end = (None if v is None else basis @ v for v in (start, end))
        method = f"starts in the span of {basis.shape[1]} leading eigenvectors: a lower bound"
    return TransientGrowth(
        growth, time, start, end, kreiss, _abscissa(linear), _condition(linear), until, linear, method
    )


def _measured(linear: LinearMap, kreiss: Kreiss, horizon: float | None) -> tuple[Any, ...]:
    """Growth, time, start, end and the horizon that was needed."""
    M, size = linear.dense, max(linear.norm, 1e-300)
    if kreiss.method == CONTRACTION:
        start = _least_damped(linear)
        return 1.0, 0, start, start.copy(), None
    edge = border_distance(linear)
    if horizon is None and edge > NEUTRAL * size:
        return np.inf, np.inf, None, None, None
    propagator = Propagator(M, linear.kind == "map")
    last = horizon if horizon is not None else _patience(linear, edge, size)
    growth, time, ended = measure(propagator, last)
    _, _, right = np.linalg.svd(propagator.at(time))
    start = right[0].conj()
    return growth, time, start, propagator.at(time) @ start, None if ended else last


def _patience(linear: LinearMap, edge: float, size: float) -> float:
    """The last time looked at: ‖exp(tM)‖ <= 1 should have come before; 1000 turns where the spectrum is neutral."""
    slow = max(-edge, 1e-12 * size)
    if edge < -NEUTRAL * size:
        return float(np.ceil(1e4 * linear.dim / slow))
    values = np.linalg.eigvals(linear.dense)
    turns = np.abs(values.imag) if linear.kind == "flow" else np.abs(np.angle(values))
    turning = turns[turns > NEUTRAL * size]
    return float(np.ceil(2000 * np.pi / turning.min())) if len(turning) else float(np.ceil(1e3 / size))


def _least_damped(linear: LinearMap) -> np.ndarray:
    if linear.kind == "flow":
        return np.linalg.eigh(linear.symmetric)[1][:, -1]
    vector: np.ndarray = np.linalg.svd(linear.dense)[2][0].conj()
    return vector


def _abscissa(linear: LinearMap) -> float:
    if linear.kind == "flow":
        return float(np.linalg.eigvalsh(linear.symmetric)[-1])
    return float(np.log(linear.norm)) if linear.norm > 0 else -np.inf


def _condition(linear: LinearMap) -> float:
    """κ(V), inf for a matrix without a full set of eigenvectors."""
    singular = np.linalg.svd(np.linalg.eig(linear.dense)[1], compute_uv=False)
    exists = singular[-1] > linear.dim * np.finfo(float).eps * singular[0]
    return float(singular[0] / singular[-1]) if exists else np.inf


# large operators -------------------------------------------------------------------------------------


def _leading_span(linear: LinearMap, modes: int) -> np.ndarray:
    """An orthonormal real basis `(d, k)` of the span of leading eigenvectors."""
    if isinstance(modes, bool) or not isinstance(modes, int) or not 1 <= modes <= linear.dim - 2:
        raise ValueError(f"modes={modes!r} must be an int from 1 to d - 2 = {linear.dim - 2}")
    vectors = _leading_vectors(linear, modes)
    both = np.concatenate([vectors.real, vectors.imag], axis=1)
    left, singular, _ = np.linalg.svd(both, full_matrices=False)
    return left[:, singular > 1e-8 * singular[0]]


def _leading_vectors(linear: LinearMap, modes: int) -> np.ndarray:
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    which: Any = "LR" if linear.kind == "flow" else "LM"
    start = np.random.default_rng(0).standard_normal(linear.dim)
    try:
        vectors = eigs(linear.operator, k=modes, which=which, v0=start, ncv=min(linear.dim, max(3 * modes, 40)))[1]
    except ArpackNoConvergence as error:
        vectors = error.eigenvectors
    if not vectors.shape[1]:
        raise ValueError(f"none of {modes} leading eigenvectors of {linear.name} converged; try other modes")
    return np.asarray(vectors)


def _restricted(linear: LinearMap, basis: np.ndarray) -> LinearMap:
    images = np.stack([np.asarray(linear.operator @ q) for q in basis.T], axis=1)
    matrix = basis.T @ images
    return LinearMap(linear.kind, basis.shape[1], matrix, matrix, f"{linear.name} (d = {linear.dim}) restricted")
