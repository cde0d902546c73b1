"""The test field: a quadratic game H₁, …, Hₙ, on which every step map is linear.

Its state is a matrix Z, one column per test vector: `grad(i, Z) = HᵢZ` and so `F(Z) = JZ`.  Fed with
the identity, one step of a rule *is* its Jacobian at an equilibrium; no autodiff is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Element, Field, Player, Seed
from gamedyn.games.functions import exact_number

SINGULAR = "the linear system that the method solves is singular here"


class LinearField(Field):
    """The field of a quadratic game, on NumPy or SymPy matrices.

    Parameters
    ----------
    players : sequence of Player
    hessians : sequence of (d, d) matrices, optional
        H₁, …, Hₙ.  Absent for a game known by its field alone.
    jacobian : (d, d) matrix, optional
        J = Dv; derived from `hessians` where they are given.
    cross : str, optional
        Why transforms that differentiate costs are not valid here, if they are not (the point is no
        critical point of every cost, so third derivatives enter).
    centring, mirror : (d, d) matrices, optional
        The projection onto the constraints and their mirror map, linearised at an interior point.
    """

    world = "test"

    def __init__(
        self,
        players: Sequence[Player],
        hessians: Sequence[Any] | None = None,
        jacobian: Any = None,
        cross: str = "",
        *,
        centring: Any = None,
        mirror: Any = None,
    ) -> None:
        self.players = tuple(players)
        self.centring, self.mirror = centring, mirror
        self.hessians = None if hessians is None else list(hessians)
        self.cross = cross
        if jacobian is None:
            if self.hessians is None:
                raise ValueError("a test field needs the Hessians of the costs or the Jacobian of the field")
            jacobian = self.mask(0, self.hessians[0])
            for i in range(1, len(self.players)):
                jacobian = jacobian + self.mask(i, self.hessians[i])
        self.jacobian = jacobian

    def mask(self, i: int, u: Element) -> Element:
        p = self.players[i]
        if isinstance(u, np.ndarray):
            result = np.zeros_like(u)
            result[p.slice] = u[p.slice]
            return result
        return sp.ImmutableMatrix(u.rows, u.cols, lambda r, c: u[r, c] if p.start <= r < p.stop else 0)

    def __call__(self, z: Element) -> Element:
        return self.jacobian @ z

    def part(self, i: int, z: Element) -> Element:
        return self.mask(i, self(z))

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        if isinstance(u, np.ndarray):
            return np.asarray(weights, dtype=float)[:, None] * u
        return sp.ImmutableMatrix(sp.diag(*map(exact_number, weights)) * u)

    def grad(self, i: int, z: Element) -> Element:
        return self._hessian(i) @ z

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self._hessian(i) @ u

    def jvp(self, z: Element, u: Element) -> Element:
        return self.jacobian @ u

    def vjp(self, z: Element, u: Element) -> Element:
        return self.jacobian.T @ u

    @property
    def is_constrained(self) -> bool:
        return self.centring is not None and self.mirror is None

    def point(self, z: Element) -> Element:
        return z if self.centring is None else self.centring @ z

    def centre(self, u: Element) -> Element:
        if self.centring is None:
            raise self.missing("centre", "the game has no constraints")
        return self.centring @ u

    def primal(self, y: Element) -> Element:
        if self.mirror is None:
            raise self.missing("primal", "the constraints have no mirror map")
        return self.mirror @ y

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        return fn(u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        return fn(self._identity()).T @ (u(fn(z)) if callable(u) else u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        matrix = fn(self._identity())
        try:
            if isinstance(rhs, np.ndarray):
                return np.linalg.solve(matrix, rhs)
            return sp.ImmutableMatrix(sp.Matrix(matrix).LUsolve(sp.Matrix(rhs)).applyfunc(sp.cancel))
        except ValueError as error:  # LinAlgError and SymPy's NonInvertibleMatrixError
            raise self.missing("invert", SINGULAR) from error

    def _identity(self) -> Element:
        d = self.players[-1].stop
        return np.eye(d) if isinstance(self.jacobian, np.ndarray) else sp.ImmutableMatrix(sp.eye(d))

    def _hessian(self, i: int) -> Any:
        if self.hessians is None:
            raise self.missing("grad", "the game is given by its field alone, without costs")
        if self.cross:
            raise self.missing("grad", self.cross)
        return self.hessians[i]


class ScalarField(LinearField):
    """J = λ with one player: what a rule does to one eigenvalue of the game Jacobian."""

    def __init__(self, eigenvalue: sp.Expr) -> None:
        super().__init__([Player("all", 0, 1)], jacobian=sp.ImmutableMatrix([[eigenvalue]]))

    def __call__(self, z: Element) -> Element:
        return (self.jacobian * z).applyfunc(sp.expand)  # nested products double at every step

    def only(self, i: int) -> Field:
        raise self.missing("only", "updates that treat players apart are no function of J's eigenvalues alone")

    def mask(self, i: int, u: Element) -> Element:
        raise self.missing("mask", "a method that treats players apart is no function of J's eigenvalues alone")

    def part(self, i: int, z: Element) -> Element:
        raise self.missing("part", "a method that treats players apart is no function of J's eigenvalues alone")

    def grad(self, i: int, z: Element) -> Element:
        raise self.missing("grad", "the method sees the players' costs, not J's eigenvalues alone")

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        raise self.missing("hvp", "the method sees the players' costs, not J's eigenvalues alone")

    def vjp(self, z: Element, u: Element) -> Element:
        raise self.missing("vjp", "the method uses Jᵀ, whose action is no function of J's eigenvalues alone")

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        raise self.missing("pullback", "the method uses transposes, no function of J's eigenvalues alone")


def linearize(source: Any, z: Any, exact: bool = False) -> LinearField:
    """The test field of a game at an equilibrium.

    Parameters
    ----------
    source : ArrayField or ExactField
        An array field (float z) or an exact field (SymPy z) of a symbolic game.
    z : array or column `(d,)`
        A point with v(z) = 0.
    exact : bool
        SymPy matrices instead of float64.

    Raises
    ------
    ValueError
        If v(z) is not zero, or in a game with constraints not zero along them; or z is not in their interior.
    """
    d = source.players[-1].stop
    eye = sp.eye(d) if exact else np.eye(d)
    point = sp.ImmutableMatrix(list(z)) if exact else np.asarray(z, dtype=float)
    residual = source.along(point, source(point))
    size = max((abs(sp.N(r)) for r in residual), default=0) if exact else float(np.max(np.abs(residual)))
    if not size <= 1e-8:
        raise ValueError(f"the test field needs an equilibrium, but |v(z)| = {float(size):.3g} at z = {list(z)}")

    def matrix(columns: list[Any]) -> Any:
        return sp.ImmutableMatrix(sp.Matrix.hstack(*map(sp.Matrix, columns))) if exact else np.stack(columns, axis=1)

    basis = [sp.ImmutableMatrix(eye[:, k]) if exact else eye[:, k] for k in range(d)]
    centring, mirror = source.geometry.linearized(point)
    try:
        hessians = [matrix([source.hvp(i, point, e) for e in basis]) for i in range(len(source.players))]
    except NotImplementedError:
        jacobian = matrix([source.jvp(point, e) for e in basis])
        return LinearField(source.players, jacobian=jacobian, centring=centring, mirror=mirror)
    slopes = [abs(sp.N(g)) for i in range(len(source.players)) for g in source.grad(i, point)]
    cross = ""
    if max(slopes) > 1e-8 and not source.is_quadratic:
        cross = (
            "the gradient of some cost in another player's variables does not vanish here, so third "
            "derivatives enter; use the array or exact world"
        )
    return LinearField(source.players, hessians=hessians, cross=cross, centring=centring, mirror=mirror)
