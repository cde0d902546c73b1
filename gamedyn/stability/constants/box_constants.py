"""The constants of a field over a box, between bounds that are proven.

    mu   = min over z of λ_min(S(z))        L = max over z of ‖J(z)‖₂
    beta = min over z of inf_u ⟨u, Ju⟩/|Ju|²                                       (1)

A box is convex, so the first two are strong monotonicity and the Lipschitz constant themselves.  So is (1) where it is
not negative, by Jensen's inequality; for negative comonotonicity, where that fails, the averages of J along
segments are enclosed instead: they lie in every box of p that holds its range (see `jacobian_family`).
λ_min, -‖·‖ and membership in {J : ⟨u, Ju⟩ >= beta |Ju|²}, beta >= 0, are concave in J, so vertices decide.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.stability.constants import matrix_bounds
from gamedyn.stability.constants.branch_bound import Minimum, minimum
from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.constants.exact_minimum import connected, exact_minimum
from gamedyn.stability.constants.field_formula import FieldFormula
from gamedyn.stability.constants.jacobian_family import JacobianFamily
from gamedyn.stability.constants.matrix_constants import matrix_norm
from gamedyn.stability.constants.principal_minors import is_semidefinite
from gamedyn.stability.intervals.intervals import IntervalFunction

__all__ = ["BoxConstants"]

_TOLERANCE = 1e-4  # relative gap at which a search ends; below it work is better spent on a smaller box
_SECONDS = 5.0  # for the exact norm of a constant block
_GRID = 1024  # boxes from which the range of p is read
_U = np.finfo(float).eps

Functional = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def curvature(middle: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """λ_min of the symmetric part."""
    M, R = (middle + np.swapaxes(middle, 1, 2)) / 2, (radius + np.swapaxes(radius, 1, 2)) / 2
    return matrix_bounds.smallest_eigenvalue(M, R * (1 + 4 * _U) + 2 * _U * np.abs(M))


def minus_norm(middle: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-‖J‖₂."""
    low, high = matrix_bounds.norm(middle, radius)
    return -high, -low


@dataclass(frozen=True, eq=False)
class BoxConstants:
    """Searches over one box.

    Attributes
    ----------
    formula : FieldFormula
    low, high : ndarray `(d,)`
    ends : sequence of (Expr, Expr)
        The box in exact numbers.
    points : ndarray `(d, k)`
        Samples inside, whose values bound every extremum from the attained side.
    boxes : int
        Budget of every search.
    """

    formula: FieldFormula
    low: np.ndarray
    high: np.ndarray
    ends: Sequence[tuple[sp.Expr, sp.Expr]]
    points: np.ndarray
    boxes: int

    @cached_property
    def family(self) -> JacobianFamily:
        """All of J."""
        return JacobianFamily(self.formula.jacobian, self.formula.z)

    @cached_property
    def mu(self) -> tuple[Constant, np.ndarray]:
        """Strong monotonicity, and a point with the smallest value met."""
        found, point = self._least_curvature(self._symmetric)
        if found.low < 0 <= found.high and is_semidefinite(self._symmetric, self.formula.z, self.low, self.high):
            found = replace(found, low=0.0)
        return found, point

    @cached_property
    def _symmetric(self) -> sp.ImmutableMatrix:
        return sp.ImmutableMatrix((self.formula.jacobian + self.formula.jacobian.T) / 2)

    def _least_curvature(self, S: sp.MatrixBase) -> tuple[Constant, np.ndarray]:
        """min λ_min(S), the least over the parts of S that do not couple: each sees its own variables only."""
        parts = [self._part(S.extract(k, k)) for k in connected(S)]
        constants = [c for c, _ in parts]
        k = int(np.argmin([c.high for c in constants]))
        if all(c.kind == "exact" for c in constants):
            return parts[k]
        notes = {c.note for c in constants if c.note}
        low, high = min(c.low for c in constants), constants[k].high
        return Constant.certified(low, high, cautious="low", note="; ".join(sorted(notes))), parts[k][1]

    def _part(self, S: sp.MatrixBase) -> tuple[Constant, np.ndarray]:
        if S.shape == (1, 1):
            found = exact_minimum(S[0, 0], self.formula.z, self.ends)
            if found is not None:
                point = self.low / 2 + self.high / 2
                point = np.array([p if s is None else s for p, s in zip(point, found[1], strict=True)])
                return Constant.exact(found[0], cautious="low"), np.clip(point, self.low, self.high)
        family = JacobianFamily(S, self.formula.z)
        single = IntervalFunction([S[0, 0]], self.formula.z) if S.shape == (1, 1) else None
        found_ = self._search(family, curvature, self.scale, single=single)
        return Constant.certified(found_.low, found_.high, cautious="low", note=_note(found_)), found_.point

    @cached_property
    def lipschitz(self) -> Constant:
        """L."""
        found = self._search(self.family, minus_norm)
        return Constant.certified(-found.high, max(-found.low, 0.0), cautious="high", note=_note(found))

    def curvature(self, rows: slice) -> Constant:
        """The least curvature of one player's cost in its own variables."""
        return self._least_curvature(self._symmetric[rows, rows])[0]

    def norm(self, rows: slice, columns: slice) -> Constant:
        """The largest norm of a block of J."""
        block = self.formula.jacobian[rows, columns]
        if not block.has(*self.formula.z):
            return matrix_norm(block, _SECONDS)
        found = self._search(JacobianFamily(block, self.formula.z), minus_norm)
        return Constant.certified(max(-found.high, 0.0), max(-found.low, 0.0), cautious="high", note=_note(found))

    @cached_property
    def pointwise(self) -> Minimum:
        """(1): of v itself if not negative."""
        return self._search(self.family, matrix_bounds.ratio, 1 / max(self.scale, 1e-300), concave_above=0.0)

    @cached_property
    def averaged(self) -> Minimum:
        """(1) over every matrix that an average of J along a segment may be: a lower bound of comonotonicity."""
        affine, (low, high) = self.family.affine(), self.ranges
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            return Minimum(-np.inf, np.inf, np.empty(0), 0, False)
        return self._search_in(
            affine, matrix_bounds.ratio, low, high, None, 1 / max(self.scale, 1e-300), concave_above=0.0
        )

    @cached_property
    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the functions p over the box, `(m,)` each, from a partition."""
        parts = _partition(self.low, self.high, self.family.active)
        low, high = self.family.ranges(*parts)
        return low.min(axis=1), high.max(axis=1)

    def toward(self, solution: tuple[np.ndarray, np.ndarray]) -> Minimum:
        """inf over z of ⟨v(z), z - z*⟩/|v(z)|², z* within `solution`; 0 < |v| away from it."""
        return _Toward(self, solution).search()

    @cached_property
    def scale(self) -> float:
        """The size of J somewhere in the box, which tolerances are relative to."""
        middle = (self.low / 2 + self.high / 2)[:, None]
        norms = matrix_bounds.norm(*self.family.at(middle))[0]
        return float(norms[0]) if np.isfinite(norms[0]) else 0.0

    def _search(
        self,
        family: JacobianFamily,
        functional: Functional,
        scale: float = 0.0,
        concave_above: float = -np.inf,
        single: IntervalFunction | None = None,
    ) -> Minimum:
        return self._search_in(family, functional, self.low, self.high, self.points, scale, concave_above, single)

    def _search_in(
        self,
        family: JacobianFamily,
        functional: Functional,
        low: np.ndarray,
        high: np.ndarray,
        points: np.ndarray | None,
        scale: float,
        concave_above: float = -np.inf,
        single: IntervalFunction | None = None,
    ) -> Minimum:
        def bound(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            below = lower_bound(family, functional, a, b, concave_above)
            return below if single is None else np.maximum(below, single(a, b)[0][0])

        def value(z: np.ndarray) -> np.ndarray:
            return functional(*family.at(z))[1]

        return minimum(
            bound, value, low, high,
            active=family.active, boxes=self.boxes, tolerance=_TOLERANCE, scale=scale, starts=points,
        )  # fmt: skip


def lower_bound(
    family: JacobianFamily, functional: Functional, low: np.ndarray, high: np.ndarray, concave_above: float
) -> np.ndarray:
    """A bound over boxes from the enclosure of J and, where the functional is concave, from its vertices."""
    corners = family.corners(low, high)
    direct = functional(*family.enclose(low, high, corners))[0]
    if corners is None:
        return direct
    vertices, radius = corners
    shape = (-1, *vertices.shape[2:])
    spread_out = np.broadcast_to(radius, vertices.shape).reshape(shape)
    least = functional(vertices.reshape(shape), spread_out)[0].reshape(len(vertices), -1).min(axis=0)
    return np.maximum(direct, np.where(least >= concave_above, least, -np.inf))


@dataclass(frozen=True, eq=False)
class _Toward:
    """⟨v(z), z - z*⟩/|v(z)|² over boxes: as a quotient away from z*, near it by v(z) = J̄ (z - z*)."""

    constants: BoxConstants
    solution: tuple[np.ndarray, np.ndarray]

    def search(self) -> Minimum:
        c = self.constants
        low, high = _split_at(c.low, c.high, self._middle)
        return minimum(
            self._bound, lambda z: self._quotient(z, z)[1], low, high,
            active=range(len(c.low)), boxes=c.boxes, tolerance=1e-3, scale=1e-2 / max(c.scale, 1e-300),
            starts=c.points,
        )  # fmt: skip

    @cached_property
    def _middle(self) -> np.ndarray:
        return self.solution[0] / 2 + self.solution[1] / 2

    @cached_property
    def _terms(self) -> JacobianFamily:
        """⟨v(z), z - m⟩ and |v(z)|², m the middle of the enclosure of z*."""
        f, m = self.constants.formula, [exact_number(x) for x in self._middle]
        top = sp.Add(*(e * (s - x) for e, s, x in zip(f.v, f.z, m, strict=True)))
        return JacobianFamily(sp.Matrix([[top, sp.Add(*(e**2 for e in f.v))]]), f.z)

    def _bound(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        below, above = (e[:, None] for e in self.solution)
        hull = np.minimum(low, below), np.maximum(high, above)
        family = self.constants.family
        averages = matrix_bounds.ratio(*family.enclose(*hull, family.corners(*hull)))[0]
        return np.maximum(averages, self._quotient(low, high)[0])

    def _quotient(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Interval bounds of the ratio."""
        enclosure = self._terms.enclose(low, high, None if low is high else self._terms.corners(low, high))
        middle, radius = (e[:, 0, :] for e in enclosure)
        off = np.linalg.norm(np.maximum(self._middle - self.solution[0], self.solution[1] - self._middle)) * (
            1 + 8 * _U
        )
        with np.errstate(all="ignore"):
            slack = radius * (1 + 4 * _U) + 2 * _U * np.abs(middle)
            least, largest = middle[:, 1] - slack[:, 1], middle[:, 1] + slack[:, 1]
            shift = off * np.sqrt(np.maximum(largest, 0.0)) * (1 + 4 * _U)  # |⟨v, m - z*⟩|
            a, b = middle[:, 0] - slack[:, 0] - shift, middle[:, 0] + slack[:, 0] + shift
            lows, highs = np.where(a >= 0, a / largest, a / least), np.where(b >= 0, b / least, b / largest)
        known = (least > 0) & np.isfinite(lows) & np.isfinite(highs)
        return np.where(known, lows - 4 * _U * np.abs(lows), -np.inf), np.where(
            known, highs + 4 * _U * np.abs(highs), np.inf
        )


def _split_at(low: np.ndarray, high: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of a box whose corners meet at a point, `(d, n)` each."""
    cuts = [[a, m, b] if a < m < b else [a, b] for a, m, b in zip(low, point, high, strict=True)]
    sides = [list(itertools.pairwise(c)) for c in cuts]
    grids = np.meshgrid(*[np.arange(len(s)) for s in sides], indexing="ij")
    picked = [[s[k] for k in g.ravel()] for s, g in zip(sides, grids, strict=True)]
    ends = np.array(picked)
    return ends[:, :, 0], ends[:, :, 1]


def _partition(low: np.ndarray, high: np.ndarray, active: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A box cut into at most 1024 equal parts along the coordinates that matter."""
    pieces = max(int(_GRID ** (1 / max(len(active), 1))), 1)
    edges = [
        np.linspace(a, b, pieces + 1 if k in active else 2) for k, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    grids = np.meshgrid(*[np.arange(len(e) - 1) for e in edges], indexing="ij")
    index = [g.ravel() for g in grids]
    return (
        np.array([e[k] for e, k in zip(edges, index, strict=True)]),
        np.array([e[k + 1] for e, k in zip(edges, index, strict=True)]),
    )


def _note(found: Minimum) -> str:
    return "" if found.closed else f"the search ended after {found.boxes} boxes"
