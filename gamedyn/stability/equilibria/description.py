"""From a zero of v to an `Equilibrium`: second derivatives, class, spectrum, and the manifold that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import fresh
from gamedyn.stability.equilibria.classify import decide, timescale_threshold
from gamedyn.stability.equilibria.equilibrium import Equilibrium, Manifold
from gamedyn.stability.equilibria.newton_zeros import compiled_field, jacobian_formula, traced_field
from gamedyn.stability.equilibria.polynomial_components import Piece
from gamedyn.stability.equilibria.transversal import Transversal, transversal_class
from gamedyn.stability.second_order import SecondOrder, second_order
from gamedyn.stability.spectrum_signs import eigenvalues
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["Describer", "Zero"]

_CLOSE = 1e-5  # |λ| of floats, relative, at points known by Newton's method to be on a manifold


@dataclass(frozen=True, eq=False)
class Zero:
    """A zero of v before it is classified.

    Attributes
    ----------
    point : tuple `(d,)`
        SymPy numbers, or floats.
    isolation : tuple of (low, high), or None
    piece : Piece or None
        The manifold that the point stands for.
    """

    point: tuple[Any, ...]
    isolation: tuple[tuple[Any, Any], ...] | None = None
    piece: Piece | None = None


@dataclass(frozen=True, eq=False)
class Describer:
    """What is computed once for all zeros of one game.

    Attributes
    ----------
    game : game
        Exact: floats of its transforms are rational numbers.
    v : list of Expr or None
        Its field as formulas in `z`, if they are in reach.
    z : sequence of Symbol
    seconds : float
        Time for each zero.
    """

    game: Any
    v: list[sp.Expr] | None
    z: Sequence[sp.Symbol]
    seconds: float

    @cached_property
    def numeric(self) -> tuple[Any, Any]:
        """v and Dv on batches."""
        return compiled_field(self.v, self.z) if self.v is not None else traced_field(self.game)

    @cached_property
    def _jacobian(self) -> Callable[[Sequence[sp.Expr]], sp.ImmutableMatrix]:
        assert self.v is not None
        return jacobian_formula(self.v, self.z)

    def equilibrium(self, zero: Zero) -> Equilibrium:
        """The zero with its class."""
        exact = all(isinstance(x, sp.Expr) for x in zero.point)
        try:
            if self.v is None:
                raise OutOfTime
            with limited_time(self.seconds):
                return self._described(zero, exact, self._second_order(zero.point, exact))
        except (OutOfTime, NotInThisWorld):  # the costs are out of reach here, the flow is not
            z = np.array([[float(x)] for x in zero.point])
            value, jacobian = self.numeric
            return self._described(zero, exact, SecondOrder(self.game.players, value(z)[:, 0], jacobian(z)[:, :, 0]))

    def _second_order(self, point: tuple[Any, ...], exact: bool) -> SecondOrder:
        if not exact:
            jacobian = self.numeric[1](np.array(point)[:, None])[:, :, 0]
            return second_order(self.game, point, jacobian=jacobian)
        jacobian = self._jacobian(point)
        if not any(x.has(sp.CRootOf) for x in point):
            return second_order(self.game, point, jacobian=jacobian)
        # roots without radicals make long numbers: the formulas are differentiated once, and nothing is expanded
        table = dict(zip(self._symbolic[0], point, strict=True))
        _, gradients, hessians = self._symbolic
        at = None if gradients is None else tuple(g.xreplace(table) for g in gradients)
        curved = None if hessians is None else tuple(h.xreplace(table) for h in hessians)
        return SecondOrder(self.game.players, sp.zeros(len(point), 1), jacobian, at, curved)

    @cached_property
    def _symbolic(self) -> tuple[Any, Any, Any]:
        """Symbols, every cost's gradient and Hessian in them, for zeros of v; None for a field without costs."""
        F = self.game.field("exact")
        z = column(fresh(self.game.dim, "z"))
        basis = [column([int(j == k) for j in range(len(z))]) for k in range(len(z))]
        try:
            v = {*(w := F(z)), *(sp.expand(-e) for e in w)}
            gradients = [
                column([sp.S.Zero if e in v else e for e in F.grad(i, z)]) for i in range(len(F.players))
            ]  # what is ±v_k vanishes wherever they are used
            hessians = [
                sp.ImmutableMatrix(sp.Matrix.hstack(*[sp.Matrix(F.hvp(i, z, e)) for e in basis]))
                for i in range(len(F.players))
            ]
        except NotInThisWorld as absent:
            if "cost" not in absent.reason:
                raise
            return z, None, None
        return z, gradients, hessians

    def _described(self, zero: Zero, exact: bool, data: SecondOrder) -> Equilibrium:
        found = decide(data)
        manifold = None if zero.piece is None else self._manifold(zero.piece, data.jacobian)
        if manifold is not None and manifold.transversal.neutral and not manifold.transversal.failing:
            # rounding moves zeros of a spectrum to either side; on a manifold they are neutral
            found = replace(found, kind="degenerate", flow="degenerate", classes=("degenerate",), hyperbolic=False)
        return Equilibrium(
            zero.point,
            exact,
            0.0 if exact else float(np.max(np.abs(data.value))),
            eigenvalues(data.jacobian),
            data.jacobian,
            found.kind,
            found.flow,
            found.evidence,
            timescale_threshold(data),
            zero.isolation,
            found.classes,
            found.hyperbolic,
            manifold,
        )

    def _manifold(self, piece: Piece, jacobian: Any) -> Manifold:
        names = [sp.Symbol(n, real=True) for p in self.game.players for n in p.variables]
        table = dict(zip(self.z, names, strict=True))
        equations = tuple(e.xreplace(table) for e in piece.equations)
        exact = isinstance(jacobian, sp.MatrixBase)
        tolerance = None if exact else _CLOSE * max(1.0, float(np.abs(jacobian).max()))
        shown = transversal_class(jacobian, tolerance=tolerance)
        everywhere = exact and self._holds_along(piece, shown)
        return Manifold(piece.dimension, equations, piece.parametrization, shown, everywhere)

    def _holds_along(self, piece: Piece, shown: Transversal) -> bool:
        """Whether the class at one point is that of every point of the parametrization."""
        if self.v is None or piece.parametrization is None:
            return False
        try:
            jacobian = self._jacobian(piece.parametrization)
            parameters = set().union(*(e.free_symbols for e in piece.parametrization))
            if not jacobian.free_symbols & parameters:
                return True
            along = transversal_class(jacobian)
        except OutOfTime:
            return False
        return bool(shown.stable and along.stable and along.neutral == shown.neutral == piece.dimension)
