"""All Jacobians of a field over a box, enclosed by intervals.

    J(z) = C₀ + Σ_j p_j(z) C_j                                                   (1)
    J(z) ∈ J(c) + Σ_k δ_k ∂_kJ(c) ± ½ Σ r_k r_l |∂_k∂_lJ(X)|,   |δ_k| <= r_k        (2)

p are the entries of J that differ by more than a factor, so that what entries have in common (J₁₂ = -J₂₁ in a zero-sum
game) is kept.  (2) is closer on small boxes, the direct bounds of p on large ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import sympy as sp

from gamedyn.games.functions import fresh, partial_derivative
from gamedyn.stability.intervals.intervals import IntervalFunction

__all__ = ["JacobianFamily"]

Enclosure = tuple[np.ndarray, np.ndarray]  # middle and radius, (n, d, d)

_U = np.finfo(float).eps
_UP = 1 + 2e-14  # covers the rounding of sums of at most 80 positive terms
_TINY = np.finfo(float).tiny
_VERTICES = 5  # variables up to which (2) is taken at the 2^k vertices of the box
_KINKS = (sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise, sp.Max, sp.Min, sp.floor, sp.ceiling, sp.frac)
_SECOND = 400  # second derivatives up to which (2) is worth its formulas


class JacobianFamily:
    """J(z) over boxes, many at once.

    Parameters
    ----------
    entries : Matrix `(p, q)`
        Of expressions in z; a block of J, or all of it.
    z : sequence of Symbol `(d,)`

    Raises
    ------
    ValueError
        If an entry has a parameter, or a function that has no bounds.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> family = JacobianFamily(sp.Matrix([[x**2, 1 + y], [-1 - y, x**2]]), [x, y])
    >>> len(family.functions)
    2
    >>> middle, radius = family.enclose(np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]]))
    >>> middle.round(6).tolist(), radius.round(6).tolist()
    ([[[0.5, 1.5], [-1.5, 0.5]]], [[[0.5, 0.5], [0.5, 0.5]]])
    """

    def __init__(self, entries: sp.MatrixBase, z: Sequence[sp.Symbol]) -> None:
        self.z, self.shape = tuple(z), entries.shape
        self.functions, constant, parts = _separate(entries, self.z)
        self._constant, self._constant_error = _floats(constant)
        pairs = [_floats(C) for C in parts]
        self._parts = np.array([p for p, _ in pairs]).reshape(-1, *self.shape)
        self._part_errors = np.array([e for _, e in pairs]).reshape(-1, *self.shape)
        self._direct = IntervalFunction(self.functions, self.z)
        self.active = [k for k, s in enumerate(self.z) if any(p.has(s) for p in self.functions)]

    @property
    def is_constant(self) -> bool:
        """Whether J is the same everywhere."""
        return not self.functions

    def affine(self) -> JacobianFamily:
        """The family C₀ + Σ s_j C_j in free variables s_j: over a box of s every average of Jacobians is in it."""
        s = fresh(len(self.functions), "s")
        affine = object.__new__(JacobianFamily)
        affine.z, affine.shape, affine.functions = s, self.shape, list(s)
        affine._constant, affine._constant_error = self._constant, self._constant_error
        affine._parts, affine._part_errors = self._parts, self._part_errors
        affine._direct, affine.active = IntervalFunction(affine.functions, s), list(range(len(s)))
        return affine

    def ranges(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of p over boxes `(d, n)`, `(m, n)` each."""
        return self._direct(low, high)

    def at(self, points: np.ndarray) -> Enclosure:
        """J at points `(d, n)`, with what rounding leaves open."""
        return self._assemble(*_middle(*self.ranges(points, points)))

    def enclose(self, low: np.ndarray, high: np.ndarray, corners: Enclosure | None = None) -> Enclosure:
        """J(z) over boxes `(d, n)`: the intersection of the direct bounds and of (2), if its `corners` are given."""
        middle, radius = self._assemble(*_middle(*self.ranges(low, high)))
        if corners is None:
            return middle, radius
        vertices, rest = corners
        with np.errstate(all="ignore"):
            a = np.fmax(middle - radius, vertices.min(axis=0) - rest)
            b = np.fmin(middle + radius, vertices.max(axis=0) + rest)
            centre = a / 2 + b / 2
            return centre, (np.maximum(b - centre, centre - a) + 4 * _U * np.maximum(np.abs(a), np.abs(b))) * _UP

    def corners(self, low: np.ndarray, high: np.ndarray) -> Enclosure | None:
        """(2) as the 2^k matrices at the vertices of δ, `(2^k, n, p, q)`, and a radius `(n, p, q)` around their hull.

        Without second derivatives the 2^m at the vertices of the box of p; None where there are too many of either.
        """
        if not self._has_second:
            return self._vertices(low, high) if 0 < len(self.functions) <= _VERTICES else None
        c = low / 2 + high / 2
        r = np.maximum(np.nextafter(high - c, np.inf), np.nextafter(c - low, np.inf))[self.active]
        values, error = _middle(*self._direct(c, c))
        slopes, slope_error = _middle(*self._first(c, c))
        curvature = np.maximum(*(np.abs(b) for b in self._second(low, high)))
        k, m, n = len(self.active), len(self.functions), low.shape[1]
        slopes, slope_error = slopes.reshape(k, m, n), slope_error.reshape(k, m, n)
        with np.errstate(all="ignore"):
            rest = error + np.einsum("kmn,kn->mn", slope_error, r)
            for (i, j), bound in zip(self._pairs, curvature.reshape(-1, m, n), strict=True):
                rest = rest + bound * (r[i] * r[j] * (0.5 if i == j else 1.0))
            steps = np.array(list(itertools.product((-1.0, 1.0), repeat=k))).reshape(-1, k)
            shifts = np.einsum("vk,kmn->vmn", steps, slopes * r[:, None, :])
            size = np.abs(values) + np.abs(slopes * r[:, None, :]).sum(axis=0)
            middles, radius = self._assemble(values[None] + shifts, (rest + (k + 4) * _U * size) * _UP, size)
        return middles, radius

    def _vertices(self, low: np.ndarray, high: np.ndarray) -> Enclosure:
        a, b = self._direct(low, high)
        picks = np.array(list(itertools.product((False, True), repeat=len(a))))[:, :, None]
        return self._assemble(np.where(picks, b, a), np.zeros_like(a), np.maximum(np.abs(a), np.abs(b)))

    @property
    def _has_second(self) -> bool:
        k, m = len(self.active), len(self.functions)
        return 0 < k <= _VERTICES and m * k * (k + 1) // 2 <= _SECOND and self._derivatives is not None

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(itertools.combinations_with_replacement(range(len(self.active)), 2))

    @cached_property
    def _derivatives(self) -> tuple[IntervalFunction, IntervalFunction] | None:
        if any(p.has(*_KINKS) for p in self.functions):  # (2) needs two derivatives on the whole box
            return None
        symbols = [self.z[k] for k in self.active]
        first = [[partial_derivative(p, s) for p in self.functions] for s in symbols]
        second = [[partial_derivative(e, symbols[j]) for e in first[i]] for i, j in self._pairs]
        try:
            return tuple(IntervalFunction(list(itertools.chain(*rows)), self.z) for rows in (first, second))  # type: ignore[return-value]
        except ValueError:  # a function without bounds
            return None

    def _first(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self._derivatives is not None
        return self._derivatives[0](low, high)

    def _second(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self._derivatives is not None
        return self._derivatives[1](low, high)

    def _assemble(self, p: np.ndarray, p_radius: np.ndarray, size: np.ndarray | None = None) -> Enclosure:
        """(1) for p `(…, m, n)` with one radius `(m, n)`; `size` bounds |p| where p has several values."""
        size = np.abs(p) if size is None else size
        with np.errstate(all="ignore"):
            middle = self._constant + np.einsum("...mn,mpq->...npq", p, self._parts)
            absolute = np.einsum("mn,mpq->npq", size, np.abs(self._parts))
            rounding = (len(self._parts) + 4) * _U * (np.abs(self._constant) + absolute)
            inexact = self._constant_error + np.einsum("mn,mpq->npq", size + p_radius, self._part_errors)
            radius = np.einsum("mn,mpq->npq", p_radius, np.abs(self._parts)) + rounding + inexact + _TINY
        return middle, radius * _UP


def _separate(
    entries: sp.MatrixBase, z: Sequence[sp.Symbol]
) -> tuple[list[sp.Expr], sp.MatrixBase, list[sp.MatrixBase]]:
    """p, C₀ and C of (1)."""
    constant = sp.zeros(*entries.shape)
    parts: dict[sp.Expr, sp.MatrixBase] = {}
    for i, j in itertools.product(range(entries.rows), range(entries.cols)):
        e = entries[i, j]
        e = sp.expand(e) if e.is_polynomial(*z) else e
        constant[i, j], varying = e.as_independent(*z, as_Add=True)
        if varying == 0:
            continue
        factor, p = varying.as_content_primitive()
        if p.could_extract_minus_sign():
            factor, p = -factor, -p
        parts.setdefault(p, sp.zeros(*entries.shape))[i, j] = factor
    return list(parts), constant, list(parts.values())


def _floats(matrix: sp.MatrixBase) -> tuple[np.ndarray, np.ndarray]:
    """Floats and what they miss of the numbers."""
    values = np.array([[float(e) for e in matrix.row(i)] for i in range(matrix.rows)]).reshape(matrix.shape)
    exact = np.array([[bool(e.is_Integer and abs(e) < 2**53) for e in matrix.row(i)] for i in range(matrix.rows)])
    return values, np.where(exact.reshape(matrix.shape), 0.0, 2 * _U * np.abs(values))


def _middle(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles and radii; nan where a bound is infinite."""
    with np.errstate(all="ignore"):
        middle = low / 2 + high / 2
        return middle, np.nextafter(np.maximum(high - middle, middle - low), np.inf)
