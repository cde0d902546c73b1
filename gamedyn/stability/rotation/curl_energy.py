"""How much a game rotates along an orbit: the energy of the field's curl, and the work around the closed orbit.

    curl energy     ⟨‖A(z)‖_F²⟩ over time, and its share of ⟨‖J(z)‖_F²⟩                            (1)
    circulation     -∮⟨v, dz⟩ / ∮‖v‖‖dz‖, the orbit closed by the chord from its end to its start   (2)

A holds half the exterior derivative of v, Aᵢⱼ = (∂ⱼvᵢ - ∂ᵢvⱼ)/2, so that ‖dv‖² = Σ_{i<j} (∂ᵢvⱼ - ∂ⱼvᵢ)² = 2‖A‖_F².
By Stokes (2) is the flux of dv through any surface that the loop bounds: both are 0 in a potential game.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.rotation.orbit_points import orbit_points, time_weights
from gamedyn.stability.rotation.split_norms import SplitNorms, dense_norms, probed_norms

__all__ = ["Circulation", "CurlEnergy", "circulation", "curl_energy"]

DENSE = 64  # up to this d the matrix is formed at every point
PROBES = 16


@dataclass(frozen=True, eq=False)
class CurlEnergy:
    """What `curl_energy` returns.

    Attributes
    ----------
    times : ndarray `(n,)`
        Steps or times of the points.
    energy : ndarray `(n,)`
        ‖A(z)‖_F² at each point, an estimate where probes were used.
    share_along : ndarray `(n,)`
        ‖A‖_F / ‖J‖_F at each point, in [0, 1].
    mean : float
        ⟨‖A‖_F²⟩, the mean of `energy` over time; the mean of ‖dv‖² is twice that.
    share : float
        √(⟨‖A‖_F²⟩ / ⟨‖J‖_F²⟩) in [0, 1]: 0 in a potential game, 1 where S vanishes along the orbit.
    interval : tuple of float
        95 % interval of the share; the value twice where matrices were formed.
    method : str
    """

    times: np.ndarray
    energy: np.ndarray
    share_along: np.ndarray
    mean: float
    share: float
    interval: tuple[float, float]
    method: str

    def __repr__(self) -> str:
        low, high = self.interval
        spread = f" [{low:.3g}, {high:.3g}]" if high > low else ""
        return (
            f"CurlEnergy({len(self.times)} points, {self.method}): mean |A|² = {self.mean:.4g}, "
            f"share of |J| {self.share:.4g}{spread}, from {self.share_along.min():.3g} to {self.share_along.max():.3g} "
            f"along the orbit"
        )


def curl_energy(
    game: Any,
    orbit: Any,
    params: Mapping[str, Any] | None = None,
    *,
    probes: int | None = None,
    seed: int = 0,
) -> CurlEnergy:
    """The energy of the field's curl along an orbit, and its share of the whole Jacobian's.

        ⟨‖A(z)‖_F²⟩  and  √(⟨‖A‖_F²⟩ / ⟨‖J‖_F²⟩),  means over time by trapezoids

    Parameters
    ----------
    game : game or Field
    orbit : Orbit, Flow, array `(n, d)`, or sequence of n torch vectors `(d,)`
        One orbit; snapshots of a training run will do.
    params : mapping, optional
        Values of the game's parameters.
    probes : int, optional
        Random products at each point, at least 2. By default matrices up to d = 64, 16 probes beyond.
    seed : int
        Of the probes.

    Returns
    -------
    CurlEnergy

    Raises
    ------
    ValueError
        If the orbit does not fit the game, has no finite point, or there are too few probes.

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = gd.zero_sum("x*y + a*x**2/2 - a*y**2/2", min="x", max="y").bind(a=1)
    >>> curl_energy(game, gd.flow(game, [1.0, 0.0], 3.0))  # J = [[1, 1], [-1, 1]] everywhere
    CurlEnergy(201 points, dense): mean |A|² = 2, share of |J| 0.7071, from 0.707 to 0.707 along the orbit
    """
    F, points, times = orbit_points(game, orbit, params)
    count = PROBES if probes is None and len(points[0]) > DENSE else probes
    found = [_at(GameJacobian.of(F, z), count, (seed, k)) for k, z in enumerate(points)]
    antisymmetric, symmetric = (
        np.concatenate([getattr(norms, part) for norms in found]) for part in ("antisymmetric", "symmetric")
    )
    whole = SplitNorms(antisymmetric, symmetric, time_weights(times))
    share = np.array([norms.share for norms in found])
    method = "dense" if count is None else f"{count} probes at each"
    return CurlEnergy(times, antisymmetric.mean(axis=1), share, whole.squares[0], whole.share, whole.interval, method)


def _at(J: GameJacobian, probes: int | None, seed: tuple[int, int]) -> SplitNorms:
    if probes is not None:
        return probed_norms(J, probes, seed)
    matrix = J.to_dense()
    return dense_norms(matrix if J.world == "array" else matrix.detach().cpu().double().numpy())


# the loop --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Circulation:
    """What `circulation` returns.

    Attributes
    ----------
    work : float
        ∫⟨v, dz⟩ along the orbit: what the players climb, negative while they descend.
    closing : float
        ∫⟨v, dz⟩ along the chord from the end back to the start.
    effort : float
        ∮‖v‖‖dz‖ around the loop.
    """

    work: float
    closing: float
    effort: float

    @property
    def total(self) -> float:
        """∮⟨v, dz⟩."""
        return self.work + self.closing

    @property
    def share(self) -> float:
        """-∮⟨v, dz⟩ / ∮‖v‖‖dz‖ in [-1, 1]: 0 in a potential game, 1 for a loop that follows -v all the way."""
        return -self.total / self.effort if self.effort > 0 else 0.0

    def __repr__(self) -> str:
        return (
            f"Circulation(share {self.share:.4g}: work {self.work:.4g} along the orbit, {self.closing:.4g} back on the "
            f"chord, of {self.effort:.4g})"
        )


def circulation(game: Any, orbit: Any, params: Mapping[str, Any] | None = None, *, nodes: int = 3) -> Circulation:
    """The work of the field around an orbit that is closed by its chord.

        -∮⟨v, dz⟩ / ∮‖v‖‖dz‖

    In a potential game the work back undoes the work there, whatever the orbit. A loop of players that always descend
    and come back where they started has share 1.

    Parameters
    ----------
    game : game or Field
    orbit : Orbit, Flow, array `(n, d)`, or sequence of n torch vectors `(d,)`
        Joined by straight lines.
    params : mapping, optional
        Values of the game's parameters.
    nodes : int
        Gauss points on each straight line: exact for fields of degree 2 nodes - 1. The chord has ten times as many.

    Returns
    -------
    Circulation

    Raises
    ------
    ValueError
        If the orbit has fewer than two finite points or `nodes` is not positive.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.games.bilinear(1)
    >>> circulation(g, gd.flow(g, [1.0, 0.0], 2 * np.pi)).share > 0.9999
    True
    """
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise ValueError(f"nodes={nodes!r} must be a positive int")
    F, points, _ = orbit_points(game, orbit, params, least=2)
    if F.world == "neural":
        from gamedyn.games.products import refuse_random

        refuse_random(F, points[0])
    work = effort = 0.0
    for start, end in pairwise(points):
        w, e = _line(F, start, end, nodes)
        work, effort = work + w, effort + e
    closing, back = _line(F, points[-1], points[0], 10 * nodes)
    return Circulation(work, closing, effort + back)


def _line(F: Any, start: Any, end: Any, nodes: int) -> tuple[float, float]:
    """∫⟨v, dz⟩ and ∫‖v‖‖dz‖ on a straight line."""
    at, weights = np.polynomial.legendre.leggauss(nodes)
    direction = end - start
    length = float((direction * direction).sum()) ** 0.5
    work = effort = 0.0
    for a, w in zip(((at + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
        v = F(start + a * direction)
        v = v.detach() if F.world == "neural" else v
        work += w * float((v * direction).sum())
        effort += w * float((v * v).sum()) ** 0.5 * length
    return work, effort
