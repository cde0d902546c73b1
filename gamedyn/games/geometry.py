"""The constraint sets of a game together: their projection and mirror map in every world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.arithmetic import FloatArithmetic, SymbolicArithmetic, TorchArithmetic
from gamedyn.games.constraints import Ball, Box, Constraint, Simplex
from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.games.functions import VectorFunction, exact_number, fresh, partial_derivative

INTERIOR = 1e-9  # a coordinate closer to its bound than this is on the boundary
MEMBER = 1e-3  # distance to the set up to which a point counts as given with few digits


class Geometry:
    """A product of constraint sets on disjoint groups of d coordinates; the others are free.

    Parameters
    ----------
    sets : sequence of Constraint
    dim : int
        d.
    """

    def __init__(self, sets: Sequence[Constraint], dim: int) -> None:
        self.sets, self.dim = tuple(sets), dim

    def apply(self, kind: str, o: Any, x: Any, t: Any = None) -> Any:
        """One map of every set, or with `t` its derivative along t; the identity on free coordinates.

        Parameters
        ----------
        kind : {"project", "primal", "dual", "centre"}
        o : arithmetic
        x, t : vectors `(d,)` or `(d, …)` of that arithmetic
        """
        copy = "clone" if isinstance(o, TorchArithmetic) else "copy"
        result = getattr(x if t is None else t, copy)()
        for s in self.sets:
            k = list(s.slots)
            result[k] = getattr(s, kind)(o, x[k]) if t is None else getattr(s, f"{kind}_tangent")(o, x[k], t[k])
        return result

    @cached_property
    def project(self) -> SetMap:
        """P as a symbolic function."""
        return SetMap(self, "project", [fresh(self.dim, "z")])

    @cached_property
    def primal(self) -> SetMap:
        """∇ψ* as a symbolic function."""
        return SetMap(self, "primal", [fresh(self.dim, "y")])

    @cached_property
    def dual(self) -> SetMap:
        """∇ψ as a symbolic function; it has no derivative here, since only starting points pass it."""
        return SetMap(self, "dual", [fresh(self.dim, "z")])

    @cached_property
    def centre(self) -> SetMap:
        """The linear map onto the directions along the affine hulls, as a symbolic function."""
        return SetMap(self, "centre", [fresh(self.dim, "u")], along=0)

    def torch(self, kind: str, z: Any) -> Any:
        """One map on a tensor `(d,)` or `(d, batch)`, differentiable."""
        return self.apply(kind, TorchArithmetic(), z)

    def along(self, z: Any, u: Any) -> Any:
        """The part of u that moves z within the sets, at a point in their relative interior.

        Parameters
        ----------
        z, u : column or float64 array `(d,)`

        Raises
        ------
        ValueError
            If z is on the boundary of a set, where steps have no derivative and v need not vanish, or off it.
        """
        if not self.sets:
            return u
        if isinstance(z, sp.MatrixBase) and z.free_symbols:
            return sp.ImmutableMatrix(self.centre.exact(list(u)))
        point = np.array([float(e) for e in z])
        off = np.max(np.abs(self.project.numpy(point, []) - point))
        if not off <= MEMBER:
            raise ValueError(
                f"the point {point.tolist()} is {off:.3g} away from the constraints of the game; give one in them"
            )
        if not self.slack(point) > INTERIOR:
            raise ValueError(
                f"the point {point.tolist()} lies on the boundary of the constraints, where a step may have no "
                f"derivative and v need not vanish; equilibria are analysed in the interior. Measure a rate with "
                f"simulate, or take T.jacobian(s) at a state whose projections are not at a kink"
            )
        return (
            sp.ImmutableMatrix(self.centre.exact(list(u))) if isinstance(u, sp.MatrixBase) else self.centre.numpy(u, [])
        )

    def contains(self, z: Sequence[Any]) -> bool:
        """Whether a point lies in the interior of every set; exactly, at exact numbers."""
        exact = any(isinstance(e, sp.Expr) for e in z)
        o: Any = SymbolicArithmetic() if exact else FloatArithmetic()
        x = o.vector(list(z)) if exact else np.array(z, dtype=float)
        return all(bool(e > 0) for s in self.sets for e in s.slack(o, x[list(s.slots)]))

    def linearized(self, z: Any) -> tuple[Any, Any]:
        """DP and ∇²ψ*(∇ψ(z)) as matrices `(d, d)` at an interior point; None for what does not act or exist."""
        if not self.sets:
            return None, None
        exact, d = isinstance(z, sp.MatrixBase), self.dim
        o: Any = SymbolicArithmetic() if exact else FloatArithmetic()
        point = o.vector(list(z)) if exact else z[:, None]
        basis = [o.vector(list(sp.eye(d)[:, k])) for k in range(d)] if exact else [np.eye(d)]

        def matrix(columns: Sequence[Any]) -> Any:
            return sp.ImmutableMatrix(np.stack(columns, axis=1).tolist()) if exact else columns[0]

        centring = matrix([self.apply("centre", o, t) for t in basis])
        try:
            y = self.apply("dual", o, point)
            return centring, matrix([self.apply("primal", o, y + 0 * t, t) for t in basis])
        except NotInThisWorld:
            return centring, None

    def slack(self, z: np.ndarray) -> float:
        """The smallest slack of any set at a float point `(d,)`; infinite without sets."""
        o = FloatArithmetic()
        return min((float(np.min(s.slack(o, z[list(s.slots)]))) for s in self.sets), default=np.inf)


class SetMap(VectorFunction):
    """(a₀, …) ↦ f(a₀), or Df(a₀) aₖ, for a map f that acts on every constraint set by itself.

    Derivatives of projections and of mirror maps are symmetric, so tangent and cotangent are one function.

    Parameters
    ----------
    geometry : Geometry
    kind : {"project", "primal", "dual", "centre"}
    inputs : sequence of sequences of Symbol
    along : int, optional
        k; for the linear map "centre" the argument that it acts on.
    """

    def __init__(
        self, geometry: Geometry, kind: str, inputs: Sequence[Sequence[sp.Symbol]], along: int | None = None
    ) -> None:
        self.geometry, self.kind, self.along = geometry, kind, along
        self.name = kind
        self.inputs = tuple(tuple(symbols) for symbols in inputs)
        self.linear = frozenset() if along is None else frozenset([along])
        self._derived = {}

    @property
    def size(self) -> int:
        return self.geometry.dim

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:  # sets are made of numbers
        return ()

    @cached_property
    def outputs(self) -> tuple[sp.Expr, ...]:  # type: ignore[override]  # formulas only where they are asked for
        """The components as expressions."""
        return tuple(self._value(SymbolicArithmetic(), self.inputs))

    def _value(self, o: Any, arguments: Sequence[Any]) -> Any:
        if isinstance(o, SymbolicArithmetic):
            arguments = [o.vector(list(a)) for a in arguments]
        if self.along is None:
            return self.geometry.apply(self.kind, o, arguments[0])
        if self.kind == "centre":
            return self.geometry.apply("centre", o, arguments[self.along])
        return self.geometry.apply(self.kind, o, arguments[0], arguments[self.along])

    def exact(self, *arguments: Sequence[sp.Expr]) -> list[sp.Expr]:
        return [sp.expand(e) for e in self._value(SymbolicArithmetic(), arguments)]

    def scalar(self, arguments: Sequence[Sequence[sp.Expr]], name: Callable[[sp.Expr], sp.Expr]) -> list[sp.Expr]:
        return [name(e) for e in self._value(SymbolicArithmetic(name), arguments)]

    @cached_property
    def numpy(self) -> Callable[..., np.ndarray]:
        def evaluate(*arguments: Any) -> np.ndarray:
            vectors = [np.asarray(a, dtype=float) for a in arguments[:-1]]
            batch = np.broadcast_shapes(*(v.shape[1:] for v in vectors))
            aligned = [v.reshape(v.shape + (1,) * (1 + len(batch) - v.ndim)) for v in vectors]
            with np.errstate(all="ignore"):  # a diverged orbit is a result, not a warning
                return self._value(FloatArithmetic(), [np.broadcast_to(v, (len(v), *batch)) for v in aligned])

        return evaluate

    def tangent(self, argument: int) -> VectorFunction:
        """The derivative along an appended argument."""
        if argument not in self._derived:
            self._derived[argument] = self._tangent(argument)  # type: ignore[index]
        return self._derived[argument]  # type: ignore[index]

    cotangent = tangent

    def _tangent(self, argument: int) -> VectorFunction:
        if self.kind == "dual":
            raise NotInThisWorld("derivative", "any", "the map of a starting point to its dual is not differentiated")
        new = len(self.inputs)
        inputs = (*self.inputs, fresh(self.size, f"d{new}_"))
        if argument == (self.along or 0):
            return SetMap(self.geometry, self.kind, inputs, along=new)
        outputs = [sp.S.Zero] * self.size
        if argument == 0 and self.kind != "centre":
            outputs = self._second(inputs[-1])
        return VectorFunction(f"d{self.name}", inputs, outputs, (*self.linear, new))

    def _second(self, d: Sequence[sp.Symbol]) -> list[sp.Expr]:
        """D²f(a₀)[aₖ, d]; projections onto polyhedra bend only at kinks."""
        o, outputs = SymbolicArithmetic(), [sp.S.Zero] * self.size
        assert self.along is not None
        for s in self.geometry.sets:
            if self.kind == "project" and not s.curved:
                continue
            x, t = (o.vector([self.inputs[k][j] for j in s.slots]) for k in (0, self.along))
            for j, e in zip(s.slots, getattr(s, f"{self.kind}_tangent")(o, x, t), strict=True):
                outputs[j] = sp.Add(*(partial_derivative(e, self.inputs[0][i]) * d[i] for i in s.slots))
        return outputs


# sets from what a user writes --------------------------------------------------------------------------

Group = str | int | Sequence[str]


def constraint_sets(
    name: str,
    players: Sequence[Player],
    *,
    box: Mapping[Any, tuple[Any, Any]] | None = None,
    ball: Mapping[Any, Any] | None = None,
    simplex: Any = None,
) -> tuple[Constraint, ...]:
    """The sets that `game.constrained` describes.

    Raises
    ------
    ValueError
        If a group names nothing in the game, bounds or radii do not fit, or groups overlap.
    """
    sets: list[Constraint] = []
    if box:
        sets.append(_box(name, players, box))
    for group, value in (ball or {}).items():
        slots = _slots(name, players, group, "ball")
        middle, radius = value if isinstance(value, (tuple, list)) else ([0] * len(slots), value)
        centre = tuple(_finite(c, "ball") for c in middle)
        if len(centre) != len(slots):
            raise ValueError(f"ball of {group!r}: a centre of {len(centre)} numbers for {len(slots)} variables")
        sets.append(Ball(slots, centre, _positive(radius, f"the radius of the ball of {group!r}")))
    for group, size in _groups(simplex):
        sets.append(Simplex(_slots(name, players, group, "simplex"), _positive(size, f"the size of simplex {group!r}")))
    return disjoint(name, sets)


def disjoint(name: str, sets: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """The sets, if no coordinate belongs to two of them."""
    slots = [k for s in sets for k in s.slots]
    twice = sorted({k for k in slots if slots.count(k) > 1})
    if twice:
        raise ValueError(
            f"the constraints of '{name}' overlap in the coordinates {twice} of the joint state; a projection onto an "
            f"intersection is not the composition of projections, so give disjoint groups"
        )
    return tuple(sets)


def combined(name: str, old: Sequence[Constraint], new: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """The sets of both lists; bounds of a new box replace old bounds of the same coordinates."""
    bounds: dict[int, tuple[sp.Expr, sp.Expr]] = {}
    for s in (*old, *new):
        if isinstance(s, Box):
            bounds |= {k: (low, high) for k, low, high in zip(s.slots, s.low, s.high, strict=True)}
    boxes = [_box_of(bounds)] if bounds else []
    return disjoint(name, [*boxes, *(s for s in (*old, *new) if not isinstance(s, Box))])


def _box_of(bounds: Mapping[int, tuple[sp.Expr, sp.Expr]]) -> Box:
    slots = tuple(sorted(bounds))
    return Box(slots, tuple(bounds[k][0] for k in slots), tuple(bounds[k][1] for k in slots))


def _groups(simplex: Any) -> list[tuple[Any, Any]]:
    if simplex is None:
        return []
    if isinstance(simplex, Mapping):
        return list(simplex.items())
    return [(g, 1) for g in ([simplex] if isinstance(simplex, (str, int)) else simplex)]


def _box(name: str, players: Sequence[Player], box: Mapping[Any, tuple[Any, Any]]) -> Box:
    bounds: dict[int, tuple[sp.Expr, sp.Expr]] = {}
    for group, pair in box.items():
        low, high = (_bound(b) for b in pair)
        if not low < high:
            raise ValueError(f"box of '{group}' is ({low}, {high}); give low < high")
        for k in _slots(name, players, group, "box"):
            if k in bounds:
                raise ValueError(f"box bounds coordinate {k} of '{name}' twice; give one pair per variable")
            bounds[k] = (low, high)
    return _box_of(bounds)


def _slots(name: str, players: Sequence[Player], group: Any, what: str) -> tuple[int, ...]:
    """The coordinates of a player (name or number), a variable, or a tuple of variables."""
    index = {v: p.start + k for p in players for k, v in enumerate(p.variables)}
    own = {p.name: tuple(range(p.start, p.stop)) for p in players}
    if isinstance(group, int) and not isinstance(group, bool) and 0 <= group < len(players):
        return own[players[group].name]
    if isinstance(group, str) and group in own:
        if group in index and own[group] != (index[group],):
            raise ValueError(f"{what} names '{group}', a player and a variable of '{name}'; give a tuple of variables")
        return own[group]
    members = (group,) if isinstance(group, (str, sp.Symbol, int)) else tuple(group)
    names = [str(g) for g in members]
    unknown = [n for n in names if n not in index]
    if unknown or not names:
        raise ValueError(
            f"{what} names {unknown or group}, but the variables of '{name}' are {list(index)} "
            f"and its players {list(own)}"
        )
    if len(set(names)) != len(names):
        raise ValueError(f"{what} names a variable twice in {names}")
    return tuple(index[n] for n in names)


def _bound(value: Any) -> sp.Expr:
    if isinstance(value, float) and np.isinf(value):
        return sp.oo if value > 0 else -sp.oo
    return _number(value, "a bound")


def _finite(value: Any, what: str) -> sp.Expr:
    number = _number(value, what)
    if not number.is_finite:
        raise ValueError(f"{what} needs finite numbers, got {value}")
    return number


def _positive(value: Any, what: str) -> sp.Expr:
    number = _finite(value, what)
    if not number > 0:
        raise ValueError(f"{what} is {value}; give a positive number")
    return number


def _number(value: Any, what: str) -> sp.Expr:
    number = exact_number(value)
    if number.free_symbols:
        raise ValueError(
            f"{what} is {value}; constraints are made of numbers, bind {sorted(map(str, number.free_symbols))}"
        )
    return number
