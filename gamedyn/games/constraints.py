"""Constraint sets: boxes, balls and simplices on groups of coordinates.

    P(x) = argmin over w in the set of |w - x|          the projection that `F.point` applies
    ∇ψ*(y) = argmax over w in the set of yᵀw - ψ(w)     the mirror map of the set's entropy ψ, and ∇ψ back

A set is one class: it writes both maps and their derivatives once, over the operations `o` of
`games/arithmetic.py`, and so exists in every world.  Both derivatives are symmetric matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from gamedyn.games.field import NotInThisWorld

Arithmetic = Any  # FloatArithmetic, TorchArithmetic or SymbolicArithmetic
Vector = Any  # (k,) or (k, …): object array, float64 array or tensor


class Constraint:
    """A closed convex set in the coordinates `slots`.

    A new set is a frozen dataclass with `slots`, `project`, `project_tangent` and `slack`; with `primal`,
    `primal_tangent` and `dual` it serves `entropic` as well.  Vectors hold the coordinates `slots` only.
    """

    slots: tuple[int, ...]
    curved = False  # whether DP varies between the kinks of P
    thin = False  # whether the set has fewer dimensions than coordinates, so that v may keep a part across it

    def project(self, o: Arithmetic, x: Vector) -> Vector:
        """P(x)."""
        raise NotImplementedError(f"{type(self).__name__} defines no project(o, x)")

    def project_tangent(self, o: Arithmetic, x: Vector, t: Vector) -> Vector:
        """DP(x) t, almost everywhere."""
        raise NotImplementedError(f"{type(self).__name__} defines no project_tangent(o, x, t)")

    def slack(self, o: Arithmetic, x: Vector) -> Vector:
        """Numbers that are all positive exactly in the relative interior of the set."""
        raise NotImplementedError(f"{type(self).__name__} defines no slack(o, x)")

    def centre(self, o: Arithmetic, u: Vector) -> Vector:
        """The part of u along the affine hull of the set."""
        return u

    def primal(self, o: Arithmetic, y: Vector) -> Vector:
        """∇ψ*(y), a point in the relative interior."""
        raise NotInThisWorld("primal", "any", f"a {type(self).__name__} has no entropic mirror map here")

    def primal_tangent(self, o: Arithmetic, y: Vector, t: Vector) -> Vector:
        """∇²ψ*(y) t."""
        raise NotInThisWorld("primal", "any", f"a {type(self).__name__} has no entropic mirror map here")

    def dual(self, o: Arithmetic, x: Vector) -> Vector:
        """∇ψ(x) for x in the relative interior."""
        raise NotInThisWorld("dual", "any", f"a {type(self).__name__} has no entropic mirror map here")


@dataclass(frozen=True)
class Box(Constraint):
    """low ≤ x ≤ high, componentwise; infinite bounds are none.

        P(x)   = max(low, min(high, x))
        ∇ψ*(y) = low + (high - low)/(1 + e⁻ʸ)      between two bounds
                 low + eʸ,  high - e⁻ʸ,  y         with one bound, with none

    Attributes
    ----------
    slots : tuple of int
    low, high : tuple of Expr
        Numbers, one per slot.
    """

    slots: tuple[int, ...]
    low: tuple[sp.Expr, ...]
    high: tuple[sp.Expr, ...]

    def project(self, o: Arithmetic, x: Vector) -> Vector:
        """P(x)."""
        return o.maximum(o.constants(self.low, x), o.minimum(o.constants(self.high, x), x))

    def project_tangent(self, o: Arithmetic, x: Vector, t: Vector) -> Vector:
        """The components of t whose bounds do not act."""
        return o.positive(self.slack(o, x)[: len(self.slots)]) * o.positive(self.slack(o, x)[len(self.slots) :]) * t

    def slack(self, o: Arithmetic, x: Vector) -> Vector:
        """x - low, then high - x."""
        below, above = x - o.constants(self.low, x), o.constants(self.high, x) - x
        return o.stack([*below, *above])

    def primal(self, o: Arithmetic, y: Vector) -> Vector:
        """∇ψ*(y)."""
        rows = []
        for row, low, high in zip(y, self.low, self.high, strict=True):
            if low.is_finite and high.is_finite:
                rows.append(o.number(low) + o.number(high - low) / (1 + o.exp(-row)))
            elif low.is_finite:
                rows.append(o.number(low) + o.exp(row))
            else:
                rows.append(o.number(high) - o.exp(-row) if high.is_finite else row)
        return o.stack(rows)

    def primal_tangent(self, o: Arithmetic, y: Vector, t: Vector) -> Vector:
        """∇²ψ*(y) t."""
        rows = []
        for x, low, high, d in zip(self.primal(o, y), self.low, self.high, t, strict=True):
            if low.is_finite and high.is_finite:
                rows.append((x - o.number(low)) * (o.number(high) - x) / o.number(high - low) * d)
            elif low.is_finite:
                rows.append((x - o.number(low)) * d)
            else:
                rows.append((o.number(high) - x) * d if high.is_finite else d)
        return o.stack(rows)

    def dual(self, o: Arithmetic, x: Vector) -> Vector:
        """∇ψ(x)."""
        rows = []
        for row, low, high in zip(x, self.low, self.high, strict=True):
            if low.is_finite and high.is_finite:
                rows.append(o.log((row - o.number(low)) / (o.number(high) - row)))
            elif low.is_finite:
                rows.append(o.log(row - o.number(low)))
            else:
                rows.append(-o.log(o.number(high) - row) if high.is_finite else row)
        return o.stack(rows)


@dataclass(frozen=True)
class Ball(Constraint):
    """|x - centre| ≤ radius.

        P(x)  = c + r u / max(|u|, r),  u = x - c
        DP(x) = (r/|u|)(I - uuᵀ/|u|²)  outside,  I  inside

    Attributes
    ----------
    slots : tuple of int
    middle : tuple of Expr
        The centre c, one number per slot.
    radius : Expr
        r > 0.
    """

    slots: tuple[int, ...]
    middle: tuple[sp.Expr, ...]
    radius: sp.Expr
    curved = True

    def _offset(self, o: Arithmetic, x: Vector) -> tuple[Vector, Vector, Vector]:
        """u, max(|u|², r²) and r/max(|u|, r)."""
        u = x - o.constants(self.middle, x)
        square = o.maximum(o.sum(u * u), o.constants([self.radius**2], x))
        return u, square, o.number(self.radius) / o.sqrt(square)

    def project(self, o: Arithmetic, x: Vector) -> Vector:
        """P(x)."""
        u, _, factor = self._offset(o, x)
        return o.constants(self.middle, x) + factor * u

    def project_tangent(self, o: Arithmetic, x: Vector, t: Vector) -> Vector:
        """DP(x) t."""
        u, square, factor = self._offset(o, x)
        outside = o.positive(-self.slack(o, x))
        return factor * (t - outside * o.sum(u * t) / square * u)

    def slack(self, o: Arithmetic, x: Vector) -> Vector:
        """r² - |u|²."""
        u = x - o.constants(self.middle, x)
        return o.constants([self.radius**2], x) - o.sum(u * u)


@dataclass(frozen=True)
class Simplex(Constraint):
    """x ≥ 0, Σ xₖ = size.

        P(x)   = max(x - τ, 0),  τ = max over sets S of coordinates of (Σ_S x - size)/|S|
        DP(x)  = t - mean over the support of t, on the support; 0 off it
        ∇ψ*(y) = size · softmax(y),   ∇ψ(x) = log x up to a constant

    The mirror map does not see a constant added to y: y is kept with mean 0.

    Attributes
    ----------
    slots : tuple of int
    size : Expr
        > 0.

    References
    ----------
    .. [1] J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, Efficient projections onto the l1-ball
       for learning in high dimensions, ICML 2008.
    """

    slots: tuple[int, ...]
    size: sp.Expr = sp.S.One
    thin = True

    def project(self, o: Arithmetic, x: Vector) -> Vector:
        """P(x)."""
        return o.maximum(x - o.threshold(x, o.number(self.size)), o.constants([sp.S.Zero], x))

    def project_tangent(self, o: Arithmetic, x: Vector, t: Vector) -> Vector:
        """DP(x) t."""
        support = o.positive(x - o.threshold(x, o.number(self.size)))
        return support * (t - o.sum(support * t) / o.sum(support))

    def slack(self, o: Arithmetic, x: Vector) -> Vector:
        """x."""
        return x

    def centre(self, o: Arithmetic, u: Vector) -> Vector:
        """u - mean u."""
        return u - o.sum(u) / len(self.slots)

    def primal(self, o: Arithmetic, y: Vector) -> Vector:
        """∇ψ*(y)."""
        return o.number(self.size) * o.softmax(y)

    def primal_tangent(self, o: Arithmetic, y: Vector, t: Vector) -> Vector:
        """∇²ψ*(y) t."""
        p = o.softmax(y)
        return o.number(self.size) * p * (t - o.sum(p * t))

    def dual(self, o: Arithmetic, x: Vector) -> Vector:
        """∇ψ(x), with mean 0."""
        return self.centre(o, o.log(x / o.number(self.size)))
