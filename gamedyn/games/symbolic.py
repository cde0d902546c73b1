"""Games given by formulas: costs of n players, or a field without costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import sympy as sp

from gamedyn.games.affine import Quadratic
from gamedyn.games.array import ArrayField
from gamedyn.games.constraints import Constraint
from gamedyn.games.exact import ExactField
from gamedyn.games.field import Field, NotInThisWorld, Player
from gamedyn.games.functions import exact_number
from gamedyn.games.geometry import combined, constraint_sets
from gamedyn.games.parser import parse_expression

Formula: TypeAlias = str | sp.Expr | int | float
Names: TypeAlias = str | sp.Symbol | Sequence[str | sp.Symbol]

LISTED = 12  # coordinates up to which formulas and names are printed in full


@dataclass(frozen=True)
class Facts:
    """What the literature says about a named game.

    Attributes
    ----------
    source : str
        Where the game was published.
    equilibria : tuple of tuple of Expr
        Known zeros of v, exact or decimal, in the order of the joint state.
    spectra : tuple of tuple of Expr
        Eigenvalues of J = Dv at each of them (field convention: stable iff every real part is positive).
    note : str
        What the game is known for.
    """

    source: str
    equilibria: tuple[tuple[sp.Expr, ...], ...] = ()
    spectra: tuple[tuple[sp.Expr, ...], ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class SymbolicGame:
    """An n-player game in formulas; build it with `Game`, `zero_sum` or `field_game`.

    Attributes
    ----------
    players : tuple of Player
        Names and slices of the joint state.
    symbols : tuple of Symbol
        The joint state `(d,)`, players in order, variables as listed.
    costs : tuple of Expr or None
        What each player minimises; None if the game is given by its field alone.
    components : tuple of Expr or None
        v itself, for a game without costs.
    bound : mapping
        Parameters that `bind` has given a value.
    constraints : tuple of Constraint
        Disjoint sets that `F.point` projects onto; see `constrained`.
    quadratics : tuple of Quadratic or None
        The costs again as matrices, where the game was built from matrices.
    """

    players: tuple[Player, ...]
    symbols: tuple[sp.Symbol, ...]
    costs: tuple[sp.Expr, ...] | None = None
    components: tuple[sp.Expr, ...] | None = None
    name: str = "game"
    facts: Facts | None = None
    bound: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    quadratics: tuple[Quadratic, ...] | None = None

    worlds = ("exact", "test", "array", "neural")

    # protocol ----------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Number of coordinates d of the joint state."""
        return len(self.symbols)

    @cached_property
    def _free(self) -> dict[str, sp.Symbol]:
        expressions = self.costs if self.costs is not None else self.components or ()
        free: set[Any] = set().union(*(e.free_symbols for e in expressions)) - set(self.symbols)
        return {s.name: s for s in sorted(free, key=lambda s: s.name)}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the symbols that are neither variables nor bound."""
        return tuple(n for n in self._free if n not in self.bound)

    def parameter_symbol(self, name: str) -> sp.Symbol:
        """The SymPy symbol of a parameter."""
        self._check_names([name])
        return self._free[name]

    def bind(self, **values: Any) -> SymbolicGame:
        """The game with parameters replaced by numbers.

        Raises
        ------
        ValueError
            If a name is no parameter of the game, or a value contains symbols.
        """
        self._check_names(values)
        open_values = [n for n, v in values.items() if isinstance(v, sp.Expr) and v.free_symbols]
        if open_values:
            raise ValueError(
                f"bind takes numbers, but {open_values} contain symbols; write the symbol into the formula"
            )
        return replace(self, bound={**self.bound, **values})

    def constrained(
        self,
        box: Mapping[Any, tuple[Any, Any]] | None = None,
        *,
        ball: Mapping[Any, Any] | None = None,
        simplex: Any = None,
    ) -> SymbolicGame:
        """The game on a product of boxes, balls and simplices.  `F.point` is the Euclidean projection.

        A group is a variable, a tuple of variables, or a player by name or number; groups are disjoint.

        Parameters
        ----------
        box : mapping group -> (low, high)
            Bounds of every variable of the group; infinite ones are none.  A bound given again replaces the old one.
        ball : mapping group -> radius or (centre, radius)
            Around 0 by default; the centre is one number per variable.
        simplex : list of groups, or mapping group -> size
            Nonnegative variables that sum to `size`, 1 by default.

        Raises
        ------
        ValueError
            If a group names nothing in the game, bounds or radii do not fit, or groups overlap.

        Examples
        --------
        >>> import gamedyn as gd
        >>> g = gd.zero_sum("x1*y - x2*y", min=["x1", "x2"], max="y").constrained({"y": (-1, 1)}, simplex=[0])
        >>> T = gd.StepMap(gd.Simultaneous(1.0), g)
        >>> T.point(T(T.start([0.5, 0.5, 0.25])))
        array([0.25, 0.75, 0.25])
        """
        sets = constraint_sets(self.name, self.players, box=box, ball=ball, simplex=simplex)
        return replace(self, constraints=combined(self.name, self.constraints, sets))

    def field(self, world: str = "exact", params: Mapping[str, Any] | None = None) -> Field:
        """The joint gradient field in one world: "exact", "array" or "neural".

        Parameters
        ----------
        world : str
        params : mapping, optional
            Parameter values on top of the bound ones; scalars, or arrays `(batch,)` in the array world.

        Raises
        ------
        NotInThisWorld
            If the game cannot supply that world.
        """
        values = {**self.bound, **(params or {})}
        self._check_names(values)
        if world == "exact":
            return self._exact({n: exact_number(v) for n, v in values.items()})
        self._check_complete(values)
        if world == "array":
            return ArrayField(self.symbolic_field, {self._free[n]: v for n, v in values.items()})
        if world == "neural":
            from gamedyn.games.callable import torch_field

            return torch_field(self._exact({n: exact_number(v) for n, v in values.items()}))
        raise NotInThisWorld("field", world, f"a symbolic game supplies {', '.join(self.worlds)}")

    @cached_property
    def symbolic_field(self) -> ExactField:
        """The exact field with every parameter left a symbol, the source of all printed code."""
        return ExactField(self.players, self.symbols, self.costs, self.components, self.constraints, self.quadratics)

    # helpers -----------------------------------------------------------------------------------

    def _exact(self, values: Mapping[str, sp.Expr]) -> ExactField:
        if not values:
            return self.symbolic_field
        table = {self._free[n]: v for n, v in values.items()}
        costs = None if self.costs is None else [c.xreplace(table) for c in self.costs]
        components = None if self.components is None else [c.xreplace(table) for c in self.components]
        quadratics = None if self.quadratics is None else [q.xreplace(table) for q in self.quadratics]
        return ExactField(self.players, self.symbols, costs, components, self.constraints, quadratics)

    def _check_names(self, names: Iterable[str]) -> None:
        unknown = [n for n in names if n not in self._free]
        if unknown:
            have = list(self._free) or "none"
            raise ValueError(f"'{self.name}' has no parameter {unknown}; its parameters are {have}")

    def _check_complete(self, values: Mapping[str, Any]) -> None:
        absent = [n for n in self._free if n not in values]
        if absent:
            raise ValueError(
                f"'{self.name}' has parameters without a value: {absent}. "
                f"Give them with bind({absent[0]}=...) or params={{'{absent[0]}': ...}}"
            )

    def __repr__(self) -> str:
        lines = []
        for i, p in enumerate(self.players):
            names = p.variables if p.size <= LISTED else (*p.variables[:2], "…", p.variables[-1])
            variables = ", ".join(names)
            if self.quadratics is not None and self.dim > LISTED:
                what = "min ½ zᵀHz + bᵀz"
            else:
                what = f"min {self.costs[i]}" if self.costs is not None else ""
            if self.costs is None and self.components is not None:
                what = "v = " + ", ".join(str(c) for c in self.components[p.slice])
            lines.append(f"  {p.name} ({variables}): {what if len(what) < 100 else what[:97] + '...'}")
        head = f"{self.name}: {len(self.players)} players, d = {self.dim}"
        if self.parameters:
            head += f", parameters {', '.join(self.parameters)}"
        if self.bound:
            head += ", with " + ", ".join(f"{k} = {v}" for k, v in self.bound.items())
        return "\n".join([head, *lines])


def Game(
    costs: Sequence[Formula],
    players: Sequence[Names] | Mapping[str, Names],
    *,
    name: str = "game",
    facts: Facts | None = None,
) -> SymbolicGame:
    """A general-sum game: player i minimises `costs[i]` over the variables `players[i]`.

    Parameters
    ----------
    costs : sequence of str or Expr
        Text goes through the safe parser.  Symbols that are no variables are parameters.
    players : sequence of names, or mapping name -> names
        The variables of each player; the joint state is players in order, variables as listed.
    name : str
    facts : Facts, optional

    Raises
    ------
    ValueError
        If counts differ, a variable belongs to two players, or a text is no formula.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.Game(["x*y + x**2", "-x*y"], players=[["x"], ["y"]])
    game: 2 players, d = 2
      x (x): min x**2 + x*y
      y (y): min -x*y
    """
    named = _players(players)
    if len(costs) != len(named[0]):
        raise ValueError(f"{len(costs)} costs for {len(named[0])} players; give one cost per player")
    expressions = _expressions(costs, named[1])
    return SymbolicGame(named[0], named[1], costs=expressions, name=name, facts=facts)


def zero_sum(f: Formula, min: Names, max: Names, *, name: str = "game", facts: Facts | None = None) -> SymbolicGame:
    """The game min over `min`, max over `max` of f: costs (f, -f).

    Parameters
    ----------
    f : str or Expr
        The payoff.  Text goes through the safe parser; symbols that are no variables are parameters.
    min, max : name or sequence of names
        The variables of the minimising (first) and of the maximising (last) player.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.field(gd.zero_sum("x*y + a*x**2", min="x", max="y").bind(a=2), [1.0, 3.0])
    array([ 7., -1.])
    """
    players, symbols = _players([min, max])
    (expression,) = _expressions([f], symbols)
    return SymbolicGame(players, symbols, costs=(expression, -expression), name=name, facts=facts)


def field_game(
    field: Sequence[Formula],
    players: Sequence[Names] | Mapping[str, Names],
    *,
    name: str = "field game",
    facts: Facts | None = None,
) -> SymbolicGame:
    """A game given by v alone: one component per variable, no costs (`grad` and `hvp` are missing).

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.field(gd.field_game(["y", "-x"], players=[["x"], ["y"]]), [1.0, 2.0])
    array([ 2., -1.])
    """
    named, symbols = _players(players)
    if len(field) != len(symbols):
        raise ValueError(f"{len(field)} components for {len(symbols)} variables; give one component per variable")
    return SymbolicGame(named, symbols, components=_expressions(field, symbols), name=name, facts=facts)


def _players(players: Sequence[Names] | Mapping[str, Names]) -> tuple[tuple[Player, ...], tuple[sp.Symbol, ...]]:
    labels: list[str | None] = list(players) if isinstance(players, Mapping) else [None] * len(players)
    groups = [_names(g) for g in (players.values() if isinstance(players, Mapping) else players)]
    flat = [n for g in groups for n in g]
    if not flat or not all(groups):
        raise ValueError(f"every player needs at least one variable, got {groups}")
    twice = sorted({n for n in flat if flat.count(n) > 1})
    if twice:
        raise ValueError(f"variables {twice} are listed more than once; each belongs to exactly one player")
    result, start = [], 0
    for k, (label, group) in enumerate(zip(labels, groups, strict=True)):
        name = label or (group[0] if len(group) == 1 else f"player {k + 1}")
        result.append(Player(name, start, start + len(group), tuple(group)))
        start += len(group)
    return tuple(result), tuple(sp.Symbol(n, real=True) for n in flat)


def _names(group: Names) -> list[str]:
    if isinstance(group, (str, sp.Symbol)):
        group = str(group).replace(",", " ").split()
    return [str(n) for n in group]


def _expressions(formulas: Sequence[Formula], symbols: Sequence[sp.Symbol]) -> tuple[sp.Expr, ...]:
    known = {s.name: s for s in symbols}
    result = []
    for formula in formulas:
        if isinstance(formula, str):
            expression = parse_expression(formula, known)
        else:
            expression = exact_number(formula)
            table = {s: known[s.name] for s in expression.free_symbols if s.name in known}
            expression = expression.xreplace(table)
        result.append(expression)
    by_name: dict[str, sp.Symbol] = dict(known)
    return tuple(  # one symbol per name across all costs, whichever text it came from
        e.xreplace({s: by_name.setdefault(s.name, s) for s in e.free_symbols}) for e in result
    )
