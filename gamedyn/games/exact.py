"""The exact world: SymPy columns, and the symbolic functions that the traced worlds print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import sympy as sp

from gamedyn.games.affine import AffineFunction, Quadratic
from gamedyn.games.constraints import Constraint
from gamedyn.games.field import Element, Field, Player, Seed
from gamedyn.games.functions import VectorFunction, exact_number, fresh, partial_derivative
from gamedyn.games.geometry import Geometry

NO_SETS = "the game has no constraints, so there is no mirror map; write game.constrained(simplex=...) or box=..."


class ExactField(Field):
    """v and its derivatives by symbolic differentiation.

    Parameters
    ----------
    players : sequence of Player
    symbols : sequence of Symbol
        The joint state, players in order.
    costs : sequence of Expr, optional
        One per player.
    field : sequence of Expr, optional
        v itself, for a game without costs; exactly one of `costs` and `field` is given.
    constraints : sequence of Constraint, optional
        What `point` projects onto.
    quadratics : sequence of Quadratic, optional
        The costs again as matrices, if all are quadratic: derivatives are then read off.
    """

    world = "exact"

    def __init__(
        self,
        players: Sequence[Player],
        symbols: Sequence[sp.Symbol],
        costs: Sequence[sp.Expr] | None = None,
        field: Sequence[sp.Expr] | None = None,
        constraints: Sequence[Constraint] = (),
        quadratics: Sequence[Quadratic] | None = None,
    ) -> None:
        self.players = tuple(players)
        self.symbols = tuple(symbols)
        self.costs = None if costs is None else tuple(costs)
        self._field = field
        self.geometry = Geometry(constraints, len(self.symbols))
        self.quadratics = None if quadratics is None else tuple(quadratics)
        self._grads: dict[int, VectorFunction] = {}

    # symbolic functions, differentiated on first use -----------------------------------------

    def gradient_function(self, i: int) -> VectorFunction:
        """z ↦ ∇cᵢ(z), all d components."""
        if self.costs is None:
            raise self.missing("grad", "the game is given by its field alone, without costs")
        if i not in self._grads:
            if self.quadratics is not None:
                self._grads[i] = self.quadratics[i].gradient(f"grad{i}", self.symbols)
            else:
                outputs = [partial_derivative(self.costs[i], s) for s in self.symbols]
                self._grads[i] = VectorFunction(f"grad{i}", [self.symbols], outputs)
        return self._grads[i]

    def hessian_function(self, i: int) -> VectorFunction:
        """(z, u) ↦ ∇²cᵢ(z)u."""
        return self.gradient_function(i).tangent(0)

    @cached_property
    def field_function(self) -> VectorFunction:
        """z ↦ v(z)."""
        if self.quadratics is not None:
            own = [(q, k) for q, p in zip(self.quadratics, self.players, strict=True) for k in range(p.start, p.stop)]
            rows, offset = tuple(q.hessian[k] for q, k in own), [q.linear[k] for q, k in own]
            return AffineFunction("v", [self.symbols], rows, offset)
        if self._field is not None:
            outputs = list(self._field)
        else:
            assert self.costs is not None
            outputs = [
                partial_derivative(self.costs[i], self.symbols[k])
                for i, p in enumerate(self.players)
                for k in range(p.start, p.stop)
            ]
        return VectorFunction("v", [self.symbols], outputs)

    @property
    def is_quadratic(self) -> bool:
        return self._is_quadratic

    @cached_property
    def _is_quadratic(self) -> bool:
        if self.quadratics is not None:
            return True
        if self.costs is None:
            return is_affine(column(self.field_function.outputs), column(self.symbols))
        return all(
            is_affine(column(self.gradient_function(i).outputs), column(self.symbols)) for i in range(len(self.players))
        )

    @property
    def is_constrained(self) -> bool:
        return bool(self.geometry.sets)

    # the Field protocol ------------------------------------------------------------------------

    def mask(self, i: int, u: Element) -> Element:
        p = self.players[i]
        return column([u[k] if p.start <= k < p.stop else 0 for k in range(len(u))])

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        return column([exact_number(w) * x for w, x in zip(weights, u, strict=True)])

    def grad(self, i: int, z: Element) -> Element:
        return column(self.gradient_function(i).exact(z))

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return column(self.hessian_function(i).exact(z, u))

    def __call__(self, z: Element) -> Element:
        return column(self.field_function.exact(z))

    def part(self, i: int, z: Element) -> Element:
        return self.mask(i, self(z))

    def jvp(self, z: Element, u: Element) -> Element:
        return column(self.field_function.tangent(0).exact(z, u))

    def vjp(self, z: Element, u: Element) -> Element:
        return column(self.field_function.cotangent(0).exact(z, u))

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        return self._jacobian_at(fn, z) * u

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        seed = u(fn(z)) if callable(u) else u
        return self._jacobian_at(fn, z).T * seed

    def _jacobian_at(self, fn: Callable[[Element], Element], z: Element) -> sp.ImmutableMatrix:
        s = column(fresh(len(self.symbols), "s"))
        jacobian = fn(s).jacobian(s)
        return jacobian.xreplace(dict(zip(s, z, strict=True))).applyfunc(sp.expand)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        w = column(fresh(len(rhs), "w"))
        image = fn(w)
        if not linear and not is_affine(image, w):
            raise self.missing("resolvent", "v is not affine; use a float point, or the Jacobian at a fixed point")
        matrix = image.jacobian(w)
        offset = image.xreplace(dict.fromkeys(w, sp.S.Zero))
        return column(sp.Matrix(matrix).LUsolve(sp.Matrix(rhs - offset)).applyfunc(sp.cancel))

    def point(self, z: Element) -> Element:
        return column(self.geometry.project.exact(list(z))) if self.geometry.sets else z

    def primal(self, y: Element) -> Element:
        return column(self.mirror_geometry().primal.exact(list(y)))

    def dual(self, z: Element) -> Element:
        return column(self.mirror_geometry().dual.exact(list(z)))

    def centre(self, u: Element) -> Element:
        return column(self.mirror_geometry().centre.exact(list(u)))

    def along(self, z: Element, u: Element) -> Element:
        return self.geometry.along(z, u)

    def mirror_geometry(self) -> Geometry:
        """The constraint sets, if there are any to have a mirror map."""
        if not self.geometry.sets:
            raise self.missing("primal", NO_SETS)
        return self.geometry


def column(entries: Any) -> sp.ImmutableMatrix:
    """An immutable SymPy column."""
    entries = list(entries)
    return sp.ImmutableMatrix(len(entries), 1, entries)


def is_affine(image: sp.ImmutableMatrix, variables: sp.ImmutableMatrix) -> bool:
    """Whether every component of `image` is a polynomial of degree at most 1 in `variables`."""
    for component in image:
        inside = [s for s in variables if component.has(s)]
        if inside and not (component.is_polynomial(*inside) and sp.Poly(component, *inside).total_degree() <= 1):
            return False
    return True
