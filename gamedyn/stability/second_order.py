"""v, J = Dv and the second derivatives of every cost at one point, exact or in floats: what classes are read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.chart import simplex_chart
from gamedyn.games.exact import column
from gamedyn.games.field import Field, NotInThisWorld, Player
from gamedyn.games.functions import exact_number, fresh
from gamedyn.stability.spectrum_signs import TOLERANCE, is_exact, sign

__all__ = ["SecondOrder", "second_order", "tidy"]

_STATIONARY = 1e-6  # ‖v‖ up to which a float point counts as a zero, relative to max(1, ‖J‖)


@dataclass(frozen=True, eq=False)
class SecondOrder:
    """What the classes are read from.

    Attributes
    ----------
    players : tuple of Player
    value : Matrix `(d, 1)` or ndarray `(d,)`
        v(z).
    jacobian : Matrix or ndarray `(d, d)`
        J = Dv(z); SymPy where the point is exact.
    gradients, hessians : tuple or None
        ∇cᵢ(z) and ∇²cᵢ(z) in all variables, one per player; None for a field without costs.
    """

    players: tuple[Player, ...]
    value: Any
    jacobian: Any
    gradients: tuple[Any, ...] | None = None
    hessians: tuple[Any, ...] | None = None

    @property
    def is_zero_sum(self) -> bool:
        """Whether, to second order here, c₂ = -k c₁ with k > 0 (k = τ under two timescales)."""
        if self.hessians is None or len(self.hessians) != 2 or not self._is_stationary:
            return False
        first, second = (entries(h) for h in self.hessians)
        pairs = list(zip(first, second, strict=True))
        scale = 1 if all(a + b == 0 for a, b in pairs) else self._opposition(pairs)
        return scale is not None and all(sign(b + scale * a, self.size) == 0 for a, b in pairs)

    @property
    def size(self) -> float:
        """What tolerances of floats are relative to: max(1, max |J_kl|)."""
        return 1.0 if is_exact(self.jacobian) else max(1.0, float(np.abs(self.jacobian).max()))

    @property
    def vanishes(self) -> bool:
        """Whether v = 0: not refuted with 50 digits if exact, up to 1e-6 of the size of J for floats."""
        return all(self._is_small(x) for x in entries(self.value))

    @property
    def _is_stationary(self) -> bool:
        assert self.gradients is not None
        return all(self._is_small(x) for g in self.gradients for x in entries(g))

    def _is_small(self, x: Any) -> bool:
        slack = 1.0 if is_exact(self.jacobian) else self.size * _STATIONARY / TOLERANCE
        return sign(x, slack) in (0, None)

    def _opposition(self, pairs: list[tuple[Any, Any]]) -> Any:
        """k of c₂ = -k c₁, from the largest entry of H₁."""
        a, b = max(pairs, key=lambda pair: modulus(pair[0]))
        if sign(a, self.size) == 0 or sign(a, self.size) == sign(b, self.size):
            return None
        return tidy(-b / a) if is_exact(self.jacobian) else -b / a


def second_order(
    game_or_field: Any, point: Sequence[Any], *, params: Mapping[str, Any] | None = None, jacobian: Any = None
) -> SecondOrder:
    """v, J and, where there are costs, every gradient and Hessian at a point.

    Exact points (SymPy numbers, integers) are taken in the exact world, floats in the array world, or, for products
    that the array world lacks, by the formulas of the exact world.  `jacobian` is J if the caller has it.  Of a game on
    simplices everything is taken along them, in the coordinates of `games/chart.py`.
    """
    exact = all(isinstance(x, (int, np.integer)) or (isinstance(x, sp.Expr) and not x.has(sp.Float)) for x in point)
    if isinstance(game_or_field, Field):
        F = game_or_field
        return (_exact_data if F.world == "exact" else _float_data)(F, point, jacobian)
    chart = simplex_chart(game_or_field)
    if chart is not None:  # on a simplex, v and J count along it only
        return second_order(chart.game, chart.coordinates(point), params=params)
    if exact:
        return _exact_data(game_or_field.field("exact", params), point, jacobian)
    try:
        return _float_data(game_or_field.field("array", params), point, jacobian)
    except NotInThisWorld:
        return _evaluated(game_or_field.field("exact", params), point)


def _exact_data(F: Field, point: Sequence[Any], jacobian: Any = None) -> SecondOrder:
    z = column([exact_number(x) for x in point])
    return _collect(F, z, _basis(len(z)), lambda columns: _beside(columns).applyfunc(tidy), jacobian)


def _basis(d: int) -> list[sp.ImmutableMatrix]:
    return [column([int(j == k) for j in range(d)]) for k in range(d)]


def _beside(columns: list[Any]) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(sp.Matrix.hstack(*[sp.Matrix(c) for c in columns]))


def _float_data(F: Field, point: Sequence[Any], jacobian: Any = None) -> SecondOrder:
    z = np.array([float(x) for x in point])
    return _collect(F, z, list(np.eye(len(z))), lambda columns: np.stack(columns, axis=1), jacobian)


def _collect(F: Field, z: Any, basis: list[Any], matrix: Any, jacobian: Any = None) -> SecondOrder:
    value = F(z) if F.world != "exact" else matrix([F(z)])
    jacobian = matrix([F.jvp(z, e) for e in basis]) if jacobian is None else jacobian
    count = range(len(F.players))
    try:
        gradients = tuple(F.grad(i, z) if F.world != "exact" else matrix([F.grad(i, z)]) for i in count)
        hessians = tuple(matrix([F.hvp(i, z, e) for e in basis]) for i in count)
    except NotInThisWorld as absent:
        if "cost" not in absent.reason:  # the game has costs, this world cannot differentiate them twice
            raise
        return SecondOrder(F.players, value, jacobian)
    return SecondOrder(F.players, value, jacobian, gradients, hessians)


def _evaluated(F: Field, point: Sequence[Any]) -> SecondOrder:
    """The derivatives as formulas of the exact world, evaluated at floats with 30 digits."""
    z = column(fresh(len(point), "z"))
    table = {s: sp.Float(float(x), 30) for s, x in zip(z, point, strict=True)}
    data = _collect(F, z, _basis(len(point)), _beside)

    def number(m: Any) -> np.ndarray:
        return np.array(m.xreplace(table).evalf(30).tolist(), dtype=float)

    if data.gradients is None or data.hessians is None:
        return SecondOrder(data.players, number(data.value)[:, 0], number(data.jacobian))
    return SecondOrder(
        data.players,
        number(data.value)[:, 0],
        number(data.jacobian),
        tuple(number(g)[:, 0] for g in data.gradients),
        tuple(number(h) for h in data.hessians),
    )


def tidy(x: sp.Expr) -> sp.Expr:
    """A short equal form of a number; what contains roots without radicals is left as it is."""
    if x.is_Rational or x.has(sp.CRootOf):
        return x
    if x.free_symbols:
        return sp.cancel(x)
    return sp.sqrtdenest(sp.radsimp(sp.expand(x))) if x.is_algebraic else sp.simplify(x)


def entries(m: Any) -> list[Any]:
    return list(m) if is_exact(m) else list(np.ravel(m))


def modulus(x: Any) -> float:
    if isinstance(x, sp.Expr) and x.free_symbols:
        return float("inf")
    return abs(complex(x))
