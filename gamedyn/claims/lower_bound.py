"""Bad games by search: the worst linear field of a class, on two coordinates, for a given method.

What any member of the class does bounds the worst case from below, so that the distance to a certificate says
how much either leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from gamedyn.claims.iterates import measured, numeric_methods
from gamedyn.claims.operators import Condition, OperatorClass
from gamedyn.games.field import Element, Player
from gamedyn.games.linear import LinearField

FAR = 1e4  # largest |λ| looked at in a class without Lipschitz constant
KEPT = 6  # candidates that a refinement starts from
SCANNED = 2048  # directions in which the boundary of a class of 2x2 matrices is scanned
INSIDE = 1e-12  # relative violation of a condition that counts as rounding


@dataclass(frozen=True, eq=False)
class WorstLinear:
    """The worst linear field found.

    Attributes
    ----------
    value : float
        The metric over |z0 - z*|², from the worst start.
    jacobian : ndarray `(2, 2)`
        v(z) = J z.
    owners : tuple of int
        The player who owns each coordinate.
    normal_value : float
        The same over normal matrices aI + bR alone, R the rotation by 90 degrees.
    """

    value: float
    jacobian: np.ndarray
    owners: tuple[int, int]
    normal_value: float


class LinearFields(LinearField):
    """Many test fields at once: J `(2, 2, batch)`, states `(2, columns, batch)`.

    Parameters
    ----------
    jacobians : ndarray `(2, 2, batch)`
    owners : tuple of int
        Which player owns each coordinate, in ascending order.
    players : int
        Those who own no coordinate are there all the same.
    """

    def __init__(self, jacobians: np.ndarray, owners: tuple[int, int], players: int) -> None:
        edges = [sum(o < i for o in owners) for i in range(players + 1)]
        super().__init__([Player(f"player {i}", edges[i], edges[i + 1]) for i in range(players)], jacobian=jacobians)
        self.treats_players_apart = False

    def mask(self, i: int, u: Element) -> Element:
        self.treats_players_apart = True
        return super().mask(i, u)

    def __call__(self, z: Element) -> Element:
        return np.einsum("ijb,jkb->ikb", self.jacobian, z)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        (p, q), (r, s) = fn(self.identity())
        return np.stack([s * rhs[0] - q * rhs[1], p * rhs[1] - r * rhs[0]]) / (p * s - q * r)

    def identity(self) -> np.ndarray:
        """The start: one column for each coordinate."""
        return np.broadcast_to(np.eye(2)[:, :, None], self.jacobian.shape).copy()


def worst_linear(
    method: Any, operator: OperatorClass, *, steps: int, metric: str = "distance", players: int = 2
) -> WorstLinear:
    """A bad linear field of a class on two coordinates, the worst that a deterministic search finds.

    Normal matrices aI + bR are scanned along the rays of the plane of a + ib and refined; then the boundary of all
    2x2 matrices of the class is scanned and the best of either are refined.  Where the method treats players
    apart, every way in which players may own the two coordinates is tried.

    Parameters
    ----------
    method : Rule or Method
    operator : OperatorClass
    steps : int
        N >= 1.
    metric : str
        "distance", "residual" or "last_step".
    players : int

    Returns
    -------
    WorstLinear

    Examples
    --------
    >>> import gamedyn as gd
    >>> worst = gd.claims.worst_linear(gd.Simultaneous(0.1), gd.claims.Monotone(mu=0.1, L=1.0), steps=1)
    >>> round(worst.value, 6)  # 1 - mu²/L²
    0.99
    """
    methods = numeric_methods(method, steps)
    conditions = (*operator.pairs, *operator.at_equilibrium)

    def growth(J: np.ndarray, owners: tuple[int, int]) -> tuple[np.ndarray, bool]:
        F = LinearFields(J, owners, players)
        with np.errstate(all="ignore"):
            value = _largest_singular_value_squared(measured(metric, methods, F, F.identity()))
        return np.where(np.isfinite(value), value, -np.inf), F.treats_players_apart

    first = (0, min(1, players - 1))
    apart = growth(np.eye(2)[:, :, None], first)[1]
    found = []
    for owners in combinations_with_replacement(range(players), 2) if apart else [first]:

        def on_owners(J: np.ndarray, owners: tuple[int, int] = owners) -> np.ndarray:
            return growth(J, owners)[0]

        normal = _scan_normal(on_owners, conditions)
        value, J = _search_general(on_owners, conditions, normal[1])
        found.append(WorstLinear(value, J, owners, normal[0]))
    return max(found, key=lambda worst: worst.value)


def _largest_singular_value_squared(M: np.ndarray) -> np.ndarray:
    """σ₁² of 2x2 matrices `(2, 2, batch)`: σ₁ is the modulus of the part λz plus that of the part w z̄ of z ↦ Mz.

    The root of a difference of squares would be off by 1e-8 where both singular values agree.
    """
    (p, q), (r, s) = M
    return ((np.hypot(p + s, r - q) + np.hypot(p - s, r + q)) / 2) ** 2


def violation(conditions: Sequence[Condition], J: np.ndarray) -> np.ndarray:
    """How far matrices `(2, 2, batch)` are from the class, relative to their size; <= 0 inside.

    The least eigenvalue of a I + b (J + Jᵀ)/2 + c JᵀJ, with its sign turned.
    """
    squares = np.einsum("jib,jkb->ikb", J, J)
    size = 1 + squares[0, 0] + squares[1, 1]
    worst = np.full(J.shape[2], -np.inf)
    for a, b, c in conditions:
        p = a + b * J[0, 0] + c * squares[0, 0]
        s = a + b * J[1, 1] + c * squares[1, 1]
        q = b * (J[0, 1] + J[1, 0]) / 2 + c * squares[0, 1]
        least = (p + s) / 2 - np.hypot((p - s) / 2, q)
        worst = np.maximum(worst, -least / (abs(a) + abs(b) + abs(c)) / size)
    return worst


def _normal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[a, -b], [b, a]])


def _scan_normal(growth: Callable[[np.ndarray], np.ndarray], conditions: Sequence[Condition]) -> tuple[float, Any]:
    """The best value over aI + bR and the best few such matrices `(2, 2, kept)`.

    On the ray of angle θ a condition is a quadratic in the radius, whose roots are where it binds; between
    them radii are scanned, and both windows shrink around the best.
    """
    angles = np.linspace(-np.pi, np.pi, 257)
    radii = np.geomspace(1e-4, FAR, 81)
    best_value, best = np.empty(0), _members(conditions, np.zeros((2, 2, 1)))  # the field 0 attains many a supremum
    for width in (None, *0.25 ** np.arange(1, 15)):
        if width is not None:
            centre = best[0, 0] + 1j * best[1, 0]
            angles = (np.angle(centre) + width * np.linspace(-1, 1, 17)[:, None]).ravel()
            radii = (np.abs(centre) * (1 + width * np.linspace(-1, 1, 9)[:, None])).ravel()
        r = np.concatenate([_binding_radii(conditions, angles), np.broadcast_to(radii, (len(angles), len(radii)))], 1)
        theta = np.broadcast_to(angles[:, None], r.shape)
        candidates = _normal((r * np.cos(theta)).ravel(), (r * np.sin(theta)).ravel())
        candidates = np.concatenate([best, _members(conditions, candidates)], axis=2)
        best_value, best = _keep_best(growth, candidates)
    return float(best_value[0]), best


def _binding_radii(conditions: Sequence[Condition], angles: np.ndarray) -> np.ndarray:
    """Radii r > 0 with a + b r cos θ + c r² = 0, `(angles, roots)`; nan where there is none."""
    roots = []
    with np.errstate(all="ignore"):
        for a, b, c in conditions:
            slope = b * np.cos(angles)
            if c == 0:
                roots.append(-a / slope)
                continue
            root = np.sqrt(slope**2 - 4 * a * c)
            roots += [(-slope + root) / (2 * c), (-slope - root) / (2 * c)]
    r = np.stack(roots, axis=1)
    return np.where(np.isfinite(r) & (r > 0) & (r <= FAR), r, np.nan)


def _members(conditions: Sequence[Condition], J: np.ndarray) -> np.ndarray:
    J = J[:, :, np.isfinite(J).all(axis=(0, 1))]
    return J[:, :, violation(conditions, J) <= INSIDE]


def _keep_best(growth: Callable[[np.ndarray], np.ndarray], J: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = growth(J)
    order = np.argsort(-value, kind="stable")[:KEPT]
    return value[order], J[:, :, order]


def _search_general(
    growth: Callable[[np.ndarray], np.ndarray], conditions: Sequence[Condition], normal: np.ndarray
) -> tuple[float, np.ndarray]:
    """The best 2x2 matrix of the class: a scan of its boundary, then shrinking steps from the best ones.

    A step that leaves the class is shortened until it does not, which puts candidates on the boundary.
    """
    directions = _directions(SCANNED)
    size = _extent(conditions, normal)
    inner = np.repeat(_inner_member(conditions)[:, :, None], SCANNED, axis=2)
    candidates = [normal, *(_shorten(conditions, inner, reach * size * directions) for reach in (0.5, 2.0))]
    best_value, best = _keep_best(growth, np.concatenate(candidates, axis=2))
    steps = np.tile(directions[:, :, :64], KEPT)
    for width in 0.7 ** np.arange(36):
        centre = np.repeat(best, 64, axis=2)
        moved = _shorten(conditions, centre, size * width * steps[:, :, : centre.shape[2]])
        best_value, best = _keep_best(growth, np.concatenate([best, moved], axis=2))
    return float(best_value[0]), best[:, :, 0]


def _directions(count: int) -> np.ndarray:
    """Points `(2, 2, count)` that fill the cube [-1, 1]⁴ evenly, the same ones every time."""
    from scipy.stats import qmc

    return 2 * qmc.Halton(4, scramble=False).random(count + 1)[1:].T.reshape(2, 2, count) - 1


def _extent(conditions: Sequence[Condition], normal: np.ndarray) -> float:
    """The largest |λ| of normal members; in a class without Lipschitz constant the largest of the given ones."""
    angles = np.linspace(-np.pi, np.pi, 65)[:, None]
    radii = np.broadcast_to(np.geomspace(1e-4, FAR, 401), (65, 401))
    members = _members(conditions, _normal((radii * np.cos(angles)).ravel(), (radii * np.sin(angles)).ravel()))
    members = np.concatenate([members, normal], axis=2)  # a class of one field falls between the points of the grid
    largest = float(np.hypot(members[0, 0], members[1, 0]).max())
    return largest if largest < FAR * 0.99 else max(float(np.hypot(normal[0, 0], normal[1, 0]).max()), 1.0)


def _inner_member(conditions: Sequence[Condition]) -> np.ndarray:
    """The multiple of the identity that is deepest in the class."""
    scalars = np.eye(2)[:, :, None] * np.geomspace(1e-4, FAR, 401)
    return scalars[:, :, np.argmin(violation(conditions, scalars))]


def _shorten(conditions: Sequence[Condition], centre: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """centre + t steps, t in [0, 1] the largest that bisection finds in the class."""
    low, high = np.zeros(centre.shape[2]), np.ones(centre.shape[2])
    inside = violation(conditions, centre + steps) <= 0
    for _ in range(20):
        middle = (low + high) / 2
        good = violation(conditions, centre + middle * steps) <= 0
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return centre + np.where(inside, 1.0, low) * steps
