"""The Kreiss constant: the least growth that the resolvent proves, between two bounds.

flow   K = sup_{Re z > 0} Re z ‖(zI - M)⁻¹‖        K <= sup_t ‖exp(tM)‖ <= e d K
map    K = sup_{|z| > 1} (|z| - 1) ‖(zI - M)⁻¹‖    K <= sup_k ‖Mᵏ‖     <= e d K
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.stability.nonnormal.nonnormal import LinearMap, linear_map
from gamedyn.stability.nonnormal.resolvent import ProjectedResolvent
from gamedyn.stability.nonnormal.resolvent_peak import Peaks

__all__ = ["Kreiss", "kreiss_constant"]

NEUTRAL = 1e-9  # distance of the spectrum to the border of stability, relative to ‖M‖, that counts as none
CONTRACTION = "a contraction"
EVALUATIONS = 300  # of h
NEAREST = 1e-6  # where the spectrum touches the border: the least distance of z to it, relative to ‖M‖


@dataclass(frozen=True)
class Kreiss:
    """What `kreiss_constant` returns.

    Attributes
    ----------
    lower : float
        Attained at `point`, so certain up to rounding; inf where the spectrum is unstable.
    upper : float
        No z gives more; NaN where that is not known.
    point : complex
        Where `lower` is attained; infinite for a contraction, whose K is 1.
    dim : int
    kind : {"flow", "map"}
    method : str
        How the numbers were found, and what they are worth.
    """

    lower: float
    upper: float
    point: complex
    dim: int
    kind: str
    method: str

    @property
    def growth_bound(self) -> float:
        """e d K, which no transient growth exceeds (from `upper`)."""
        return float(np.e * self.dim * self.upper)

    def __float__(self) -> float:
        return self.lower

    def __repr__(self) -> str:
        where = f" at z = {self.point:.4g}" if np.isfinite(self.point) else ""
        top = "" if np.isnan(self.upper) else f" <= K <= {self.upper:.6g}"
        top = top if top else " <= K"
        return f"Kreiss({self.lower:.6g}{where}{top}; {self.kind}, d = {self.dim}, {self.method})"


def kreiss_constant(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    tolerance: float = 1e-4,
    krylov: int = 60,
    seed: int = 0,
) -> Kreiss:
    """The Kreiss constant of a matrix, or of a game's flow or a step map at a point.

        flow   K = sup_{Re z > 0} Re z ‖(zI - M)⁻¹‖
        map    K = sup_{|z| > 1} (|z| - 1) ‖(zI - M)⁻¹‖

    1 for a contraction; some perturbation grows at least K-fold before it decays, none more than e d K-fold.

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
    tolerance : float
        upper / lower - 1 at which the search ends.
    krylov : int
        Dimension of the Krylov space beyond d = 600, where only a lower bound is found.
    seed : int
        Of its first vector.

    Returns
    -------
    Kreiss

    Raises
    ------
    ValueError
        If the kind is "jacobian", the tolerance is not positive, or as in `linear_map`.

    Notes
    -----
    The largest resolvent norm h on each vertical line (circle) is found over the whole of it, by eigenvalues of a
    matrix of size 2d; between two lines log h is convex, which bounds the supremum from above. Intervals are halved
    where the bound is largest. Both bounds are computed in floating point, h to 1e-7.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005), chapters 14-18.
    .. [2] T. Mitchell, Computing the Kreiss constant of a matrix, SIAM J. Matrix Anal. Appl. 41 (2020).

    Examples
    --------
    >>> K = kreiss_constant([[-1.0, 20.0], [0.0, -1.0]])  # 20/4 + 1/20
    >>> K.lower <= 5.05 <= K.upper
    True
    >>> K
    Kreiss(5.0... at z = 1.01...+0j <= K <= 5.05...; flow, d = 2, bounds by three lines)
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance={tolerance:g} must be positive")
    linear = growing_map(M, z, params, kind)
    if linear.matrix is None:
        return _projected(linear, krylov, seed)
    return kreiss_of(linear, tolerance)


def growing_map(M: Any, z: Any, params: Any, kind: str | None) -> LinearMap:
    """The matrix whose powers or exponentials are meant."""
    if kind == "jacobian":
        raise ValueError("kind='jacobian', but what grows are exp(tM) and Mᵏ; give -J as kind='flow', or DT as 'map'")
    return linear_map(M, z, params, kind=kind, of_game="flow")


def kreiss_of(linear: LinearMap, tolerance: float) -> Kreiss:
    """Between two bounds, of a dense matrix."""
    kind, d, M = linear.kind, linear.dim, linear.dense
    edge, size = border_distance(linear), linear.norm
    far = float(np.linalg.eigvalsh(linear.symmetric)[-1]) if kind == "flow" else size - 1
    if edge > NEUTRAL * max(size, 1e-300):
        return Kreiss(np.inf, np.inf, complex(_outermost(M, kind)), d, kind, "unstable spectrum")
    if far <= d * np.finfo(float).eps * size:  # ‖exp(tM)‖ <= 1, or ‖M‖ <= 1
        return Kreiss(1.0, 1.0, complex(np.inf), d, kind, CONTRACTION)
    peaks = Peaks(M, kind)
    first, method = 1 / peaks(0.0)[0], f"bounds by three {'lines' if kind == 'flow' else 'circles'}"
    known = edge < -NEUTRAL * size and first > 0
    if not known:
        first, method = NEAREST * size, "the spectrum touches the border, up to rounding"
        while not np.isfinite(peaks(first)[0]):
            first *= 2
    lower, upper, point = _between(_Search(peaks, far), first, tolerance)
    return Kreiss(lower, upper if known else np.nan, point, d, kind, method)


def border_distance(linear: LinearMap) -> float:
    """max Re λ, or max |λ| - 1: negative where the spectrum is stable."""
    values = np.linalg.eigvals(linear.dense)
    return float(np.max(values.real) if linear.kind == "flow" else np.max(np.abs(values)) - 1)


def _outermost(M: np.ndarray, kind: str) -> complex:
    values = np.linalg.eigvals(M)
    return complex(values[np.argmax(values.real if kind == "flow" else np.abs(values))])


# the search over the distance to the border ---------------------------------------------------------


class _Search:
    """g(s) = s h(s), and bounds of it between and beyond points where h is known.

    `far` is ω(M) or ‖M‖ - 1, so that s h(s) <= s / (s - far) beyond it.
    """

    def __init__(self, peaks: Peaks, far: float) -> None:
        self.peaks, self.far, self.count = peaks, far, 0
        self.best, self.point = 1.0, complex(np.inf)

    def log_peak(self, s: float) -> float:
        """log h(s); the best g so far is kept."""
        height, z = self.peaks(s)
        self.count += 1
        if s * height > self.best:
            self.best, self.point = s * height, z
        return float(np.log(height))

    def between(self, a: float, b: float, at_a: float, at_b: float) -> tuple[float, float]:
        """The largest s exp(log h) on [a, b] with log h on its chord (it is convex), and where."""
        shift = 0.0 if self.peaks.kind == "flow" else 1.0
        u, w = (a, b) if not shift else (np.log1p(a), np.log1p(b))
        slope = (at_b - at_a) / (w - u)  # in s, or in log(1 + s)
        falling = -slope - shift  # s exp(log h) turns where this is 1/s
        s = 1 / falling if falling > 0 else b
        s = min(max(s, a), b)
        height = at_a + slope * ((np.log1p(s) if shift else s) - u)
        return float(s * np.exp(height)), s

    def beyond(self, s: float) -> float:
        """No g further out is larger."""
        return s / (s - self.far) if s > self.far else np.inf


def _between(search: _Search, first: float, tolerance: float) -> tuple[float, float, complex]:
    """Lower and upper bound of sup g, and where the lower one is attained.

    g <= 1 up to `first` where that is 1/h(0).
    """
    last = max(4 * search.far, 4 * first)
    nodes = list(np.geomspace(first, last, max(3, int(np.ceil(2 * np.log10(last / first))) + 1)))
    heights = [search.log_peak(s) for s in nodes]
    while search.beyond(nodes[-1]) > search.best * (1 + tolerance) and search.count < EVALUATIONS:
        nodes.append(2 * nodes[-1])
        heights.append(search.log_peak(nodes[-1]))
    heap: list[tuple[float, float, float, float, float, float]] = []

    def push(a: float, b: float, at_a: float, at_b: float) -> None:
        bound, s = search.between(a, b, at_a, at_b)
        heapq.heappush(heap, (-bound, s, a, b, at_a, at_b))

    for k in range(len(nodes) - 1):
        push(nodes[k], nodes[k + 1], heights[k], heights[k + 1])
    while -heap[0][0] > search.best * (1 + tolerance) and search.count < EVALUATIONS:
        _, s, a, b, at_a, at_b = heapq.heappop(heap)
        inside = min(max(s, a + 0.1 * (b - a)), b - 0.1 * (b - a))
        at = search.log_peak(inside)
        push(a, inside, at_a, at)
        push(inside, b, at, at_b)
    upper = max(-heap[0][0], search.beyond(nodes[-1]), 1.0) * (1 + 1e-7)
    return search.best, float(upper), search.point


# large operators -------------------------------------------------------------------------------------


def _projected(linear: LinearMap, krylov: int, seed: int) -> Kreiss:
    """A lower bound: σ_min on a subspace is never too small."""
    from scipy.optimize import minimize

    projected = ProjectedResolvent(linear.operator, min(krylov, linear.dim - 1), seed)
    flow, values = linear.kind == "flow", projected.eigenvalues
    size = float(np.linalg.norm(projected.hessenberg, 2))
    places = np.unique(np.abs(values.imag if flow else np.angle(values)))
    distances = np.geomspace(1e-4, 4, 25) * size

    def points(s: Any, place: Any) -> Any:
        return s + 1j * place if flow else (1 + s) * np.exp(1j * place)

    grid = distances[:, None] / projected.smallest(points(distances[:, None], places))
    i, j = np.unravel_index(int(np.argmax(grid)), grid.shape)

    def lost(q: np.ndarray) -> float:
        s = float(np.exp(q[0]))
        return -float(np.log(s / projected.smallest(points(s, q[1]))))

    start = np.array([np.log(distances[i]), places[j]])
    found = minimize(lost, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 400})
    lower, point = float(np.exp(-found.fun)), complex(points(float(np.exp(found.x[0])), found.x[1]))
    method = f"lower bound on a Krylov space of dimension {projected.hessenberg.shape[1]}"
    beyond = values.real if flow else np.abs(values) - 1
    if beyond.max() > 0:  # near an unstable eigenvalue the resolvent has no bound
        method += ", whose Ritz values are unstable"
        worst = values[beyond > 0]
        heights = beyond[beyond > 0] / np.maximum(projected.smallest(worst), projected.floor)
        k = int(np.argmax(heights))
        lower, point = max((lower, point), (float(heights[k]), complex(worst[k])), key=lambda pair: pair[0])
    if lower <= 1:
        lower, point = 1.0, complex(np.inf)
    return Kreiss(lower, np.nan, point, linear.dim, linear.kind, method)
