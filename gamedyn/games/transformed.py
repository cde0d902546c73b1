"""A game seen through transforms, by the same protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gamedyn.games.field import Field, Player


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
        """The parameters of the base game."""
        return self.base.parameters

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds of the base game."""
        return self.base.worlds

    @property
    def name(self) -> str:
        """The base game's name with the transforms."""
        return " of ".join([*(type(t).__name__ for t in reversed(self.transforms)), self.base.name])

    def bind(self, **values: Any) -> TransformedGame:
        """The game with parameters of the base game replaced by values."""
        return replace(self, base=self.base.bind(**values))

    def field(self, world: str, params: Mapping[str, Any] | None = None) -> Field:
        """The transformed field in one world."""
        F = self.base.field(world, params)
        for transform in self.transforms:
            F = transform.field(F)
        return F

    def __repr__(self) -> str:
        return f"{self.name}\n{self.base!r}"


def unwrap(game: Any) -> tuple[Any, tuple[Any, ...]]:
    """The untransformed game and the transforms on it, the first one first."""
    return (game.base, game.transforms) if isinstance(game, TransformedGame) else (game, ())
