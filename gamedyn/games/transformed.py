"""A game seen through transforms, by the same protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from gamedyn.games.coefficients import free_symbols, map_coefficients
from gamedyn.games.field import Field, Player
from gamedyn.games.functions import exact_number


@dataclass(frozen=True, eq=False)
class TransformedGame:
    """`base` with `transforms` applied to its field, the first one first.

    Attributes
    ----------
    base : game
        An untransformed game.
    transforms : tuple
        Objects with `field(F) -> Field`.
    """

    base: Any
    transforms: tuple[Any, ...]

    @classmethod
    def of(cls, game: Any, transform: Any) -> TransformedGame:
        """`game`, itself possibly transformed, seen through one more transform."""
        base, transforms = unwrap(game)
        return cls(base, (*transforms, transform))

    @property
    def players(self) -> tuple[Player, ...]:
        """The players of the base game."""
        return self.base.players

    @property
    def dim(self) -> int:
        """Number of coordinates d of the joint state."""
        return self.base.dim

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of the base game, then the symbols in the transforms."""
        own = self.base.parameters
        return (*own, *(n for n in free_symbols(self.transforms) if n not in own))

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds of the base game."""
        return self.base.worlds

    @property
    def name(self) -> str:
        """The base game's name with the transforms."""
        return " of ".join([*(type(t).__name__ for t in reversed(self.transforms)), self.base.name])

    def bind(self, **values: Any) -> TransformedGame:
        """The game with parameters replaced by values, those of the transforms included."""
        own = {n: v for n, v in values.items() if n in self.base.parameters}
        inside = free_symbols(self.transforms)
        if set(values) - set(own) <= set(inside):
            return replace(self, base=self.base.bind(**own) if own else self.base, transforms=self._filled(values))
        return replace(self, base=self.base.bind(**{n: v for n, v in values.items() if n not in inside}))

    def field(self, world: str, params: Mapping[str, Any] | None = None) -> Field:
        """The transformed field in one world."""
        params = dict(params or {})
        inside = free_symbols(self.transforms)
        F = self.base.field(world, {n: v for n, v in params.items() if n not in inside or n in self.base.parameters})
        for transform in self._filled(params):
            F = map_coefficients(transform, exact_number if world == "exact" else _number).field(F)
        return F

    def _filled(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The transforms with values for their symbols."""
        table = {s: values[n] for n, s in free_symbols(self.transforms).items() if n in values}
        if not table:
            return self.transforms

        def fill(c: Any) -> Any:
            if not isinstance(c, sp.Expr) or not c.free_symbols & set(table):
                return c
            filled = c.subs({s: exact_number(v) for s, v in table.items()})
            floats = any(isinstance(table[s], float) for s in c.free_symbols if s in table)
            return float(filled) if floats and filled.is_number else filled

        return tuple(map_coefficients(t, fill) for t in self.transforms)

    def __repr__(self) -> str:
        return f"{self.name}\n{self.base!r}"


def _number(c: Any) -> Any:
    """A coefficient at the door of the float worlds; one with symbols stays, and fails where it is used."""
    return c if isinstance(c, sp.Expr) and c.free_symbols else float(c)


def require_game(game: Any, owner: str) -> None:
    """Refuse what is no game.

    Parameters
    ----------
    game : object
    owner : str
        Who asks.

    Raises
    ------
    TypeError
        If it has no `field` and `parameters`, or is a class that has them.
    """
    if callable(getattr(game, "field", None)) and hasattr(game, "parameters") and not isinstance(game, type):
        return
    if isinstance(game, str):
        raise TypeError(f"""{owner} needs a game, got the text {game!r}; build it: zero_sum("x*y", min="x", max="y")""")
    if callable(game) and hasattr(game, "__name__"):
        raise TypeError(f"{owner} needs a game, got what makes one; call it: {game.__name__}(...)")
    raise TypeError(f"{owner} needs a game, got {game!r}; build one with zero_sum, Game or a function of games")


def unwrap(game: Any) -> tuple[Any, tuple[Any, ...]]:
    """The untransformed game and the transforms on it, the first one first."""
    return (game.base, game.transforms) if isinstance(game, TransformedGame) else (game, ())
