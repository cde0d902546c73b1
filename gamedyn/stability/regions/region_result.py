"""The answer to "for which parameters is this stable?", and how it prints itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.stability.regions.parameters import Parameter, Problem
from gamedyn.stability.regions.stable_steps import spell

__all__ = ["Grid", "StableRegion"]


@dataclass(frozen=True, eq=False)
class Grid:
    """A numeric map.

    Attributes
    ----------
    axes : tuple of ndarray
        One per parameter.
    values : ndarray, one axis per parameter
        The spectral radius ρ(DT) of a step, -min Re λ(J) of a flow; inf where the matrix is not finite.
    limit : float
        Stable below it: 1 for a step, 0 for a flow.
    """

    axes: tuple[np.ndarray, ...]
    values: np.ndarray
    limit: float

    @property
    def stable(self) -> np.ndarray:
        """Where the map is stable, bool."""
        return self.values < self.limit - 1e-12


@dataclass(frozen=True, eq=False)
class StableRegion:
    """The parameters for which a flow or a step is stable, and how this is known.

    Attributes
    ----------
    problem : Problem
        The matrix, its parameters and their ranges.
    solve : callable
        (problem, seconds) -> StableRegion, for slices.
    kind : {"exact", "conditions", "numeric"}
        "exact": one parameter, a union of intervals with exact ends.  "conditions": inequalities.  "numeric": floats.
    stable, neutral : Set or None
        One parameter: where it is stable, and where eigenvalues on the boundary of stability are semisimple.
    conditions : tuple of Boolean
        Inequalities that hold together, inside the ranges, iff the parameters are stable; solved for a parameter where
        this is easy.
    inequalities : tuple of Boolean
        The same as polynomials, q > 0.
    boundary : tuple of Expr
        Irreducible polynomials whose zeros contain the boundary of the region.
    cells : tuple of (point, bool) or None
        A rational point in every open piece into which the boundary polynomials and their projections cut the ranges,
        and whether that piece is stable; proof of the conditions.
    grid : Grid or None
        The numeric map of several parameters.
    others : tuple of Parameter
        Symbols that were not asked for and remain in the conditions.
    reason : str
        Why the region is empty, or the answer not exact.
    """

    problem: Problem
    solve: Callable[[Problem, float], StableRegion]
    kind: Literal["exact", "conditions", "numeric"]
    stable: sp.Set | None = None
    neutral: sp.Set | None = None
    conditions: tuple[Any, ...] = ()
    inequalities: tuple[Any, ...] = ()
    boundary: tuple[sp.Expr, ...] = ()
    cells: tuple[Any, ...] | None = None
    grid: Grid | None = None
    others: tuple[Parameter, ...] = ()
    reason: str = ""

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols of the parameters, in the order asked for."""
        return tuple(p.symbol for p in self.problem.parameters)

    @property
    def is_empty(self) -> bool | None:
        """Whether nothing is stable; None where this is not decided."""
        if self.kind == "exact":
            return self.stable is sp.S.EmptySet
        if self.kind == "conditions":
            if sp.false in self.inequalities:
                return True
            return False if self.cells is not None else None
        return None

    def contains(self, values: Mapping[Any, Any] | None = None, **named: Any) -> bool:
        """Whether the flow or step is stable at a point of the ranges.

        Parameters
        ----------
        values : mapping of Symbol or str to number, optional
        **named
            The same by name: as asked for ("lr") or as shown ("eta").  Floats stand for their shortest decimals.

        Raises
        ------
        ValueError
            If a parameter has no value, or a name is none of its parameters.
        """
        every = (*self.problem.parameters, *self.others)
        at = _assigned(every, {**{str(k): v for k, v in (values or {}).items()}, **named})
        absent = [p.symbol.name for p in every if p not in at]
        if absent:
            raise ValueError(f"the region has parameters without a value: {absent}; give {absent[0]}=...")
        if not all(low < at[p] < high for p in every for low, high in [p.bounds]):
            return False
        if self.kind == "exact":
            assert self.stable is not None
            return bool(self.stable.contains(at[every[0]]))
        if self.kind == "conditions":
            return all(bool(c.subs({p.symbol: v for p, v in at.items()})) for c in self.inequalities)
        value = self.problem.evaluate(*(np.array([float(at[p])]) for p in self.problem.parameters))
        return bool(value[0] < self.problem.limit - 1e-12)

    def slice(self, *, time_limit: float = 5.0, **named: Any) -> StableRegion:
        """The region with some parameters fixed: exact intervals where one is left.

        Raises
        ------
        ValueError
            If a name is none of the parameters, or none would be left.
        """
        at = _assigned(self.problem.parameters, named)
        if len(at) == len(self.problem.parameters):
            raise ValueError("no parameter is left; ask contains(...) at a point")
        return self.solve(self.problem.sliced(at), time_limit)

    def latex(self) -> str:
        """The answer as LaTeX, without dollar signs."""
        if self.stable is not None:
            return rf"{sp.latex(self.parameters[0])} \in {sp.latex(self.stable)}"
        if self.kind == "numeric":
            raise ValueError(f"a numeric map has no LaTeX ({self.reason}); plot region.grid")
        if sp.false in self.conditions:
            return rf"({', '.join(map(sp.latex, self.parameters))}) \in \emptyset"
        return r" \;\wedge\; ".join(self._statements(sp.latex))

    def _repr_latex_(self) -> str | None:
        return None if self.grid is not None else f"${self.latex()}$"

    def _statements(self, write: Callable[[Any], str]) -> list[str]:
        """Ranges, tightened by the conditions on one parameter alone, then the other conditions."""
        ranges = {p.symbol: p.bounds for p in (*self.problem.parameters, *self.others)}
        rest = []
        for c in self.conditions:
            plain = isinstance(c, (sp.StrictLessThan, sp.StrictGreaterThan)) and c.lhs in ranges and c.rhs.is_number
            if not plain:
                rest.append(c)
            elif isinstance(c, sp.StrictLessThan):
                ranges[c.lhs] = (ranges[c.lhs][0], sp.Min(ranges[c.lhs][1], c.rhs))
            else:
                ranges[c.lhs] = (sp.Max(ranges[c.lhs][0], c.rhs), ranges[c.lhs][1])
        words = [_range(s, low, high, write) for s, (low, high) in ranges.items()]
        return [w for w in (*words, *map(write, rest)) if w]

    def _nowhere(self) -> str:
        if self.kind == "exact":
            return "nowhere"
        (p,) = self.problem.parameters
        return f"nowhere among the scanned values, {p.window[0]:.4g} <= {p.symbol} <= {p.window[1]:.4g}"

    def __repr__(self) -> str:
        if self.kind == "conditions":
            words = "stable nowhere" if sp.false in self.conditions else ", ".join(self._statements(str))
            lines = [f"StableRegion (conditions): {words or 'stable everywhere'}"]
        elif self.stable is not None:
            where = spell(self.stable, self.parameters[0]) if self.stable is not sp.S.EmptySet else ""
            lines = [f"StableRegion ({self.kind}): stable {f'for {where}' if where else self._nowhere()}"]
            if self.neutral is not None and self.neutral is not sp.S.EmptySet:
                lines.append(f"  neutral for {spell(self.neutral, self.parameters[0])}")
        else:
            lines = [_map_text(self.grid, self.parameters)]
        return "\n".join([*lines, f"  ({self.reason})"] if self.reason else lines)


def _assigned(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[Parameter, sp.Expr]:
    known = {n: p for p in parameters for n in (p.symbol.name, p.name)}
    unknown = [n for n in values if n not in known]
    if unknown:
        raise ValueError(f"{unknown} are no parameters of the region; it has {[p.symbol.name for p in parameters]}")
    return {known[n]: exact_number(v) for n, v in values.items()}


def _range(s: sp.Symbol, low: sp.Expr, high: sp.Expr, write: Callable[[Any], str]) -> str:
    if low == -sp.oo and high == sp.oo:
        return ""
    if low == -sp.oo or high == sp.oo:
        return write(sp.Gt(s, low, evaluate=False) if high == sp.oo else sp.Lt(s, high, evaluate=False))
    return f"{write(low)} < {write(s)} < {write(high)}"


def _map_text(grid: Grid | None, symbols: Sequence[sp.Symbol]) -> str:
    assert grid is not None
    share = 100 * float(np.mean(grid.stable))
    size = " x ".join(str(len(a)) for a in grid.axes)
    box = ", ".join(f"{s} in [{a[0]:.4g}, {a[-1]:.4g}]" for s, a in zip(symbols, grid.axes, strict=True))
    return f"StableRegion (numeric): {share:.1f}% of {size} points are stable, {box}"
