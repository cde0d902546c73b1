"""A point of a game: the world that it belongs to, and v there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import Field
from gamedyn.games.functions import exact_number
from gamedyn.maps.worlds import state_world, world_field

__all__ = ["as_point", "enter", "field"]


def enter(game: Any, z: Any, params: Any = None) -> tuple[Field, Any]:
    """The field of the world that z belongs to, and z in that world's type.

    Raises
    ------
    ValueError
        If z does not have the game's dimension.
    """
    if isinstance(game, Field):
        return game, _field_point(game, z, params)
    world, z = state_world(z)
    if len(z) != game.dim:
        raise ValueError(f"'{game.name}' has d = {game.dim} coordinates, got a point with {len(z)}")
    if world == "array" and "array" not in game.worlds:
        import torch

        world, z = "neural", torch.as_tensor(z)
    return world_field(game, world, params), z


def _field_point(field: Field, z: Any, params: Any) -> Any:
    """z in the type of a field's world."""
    if params:
        raise ValueError(f"a field has its parameters already, got params={dict(params)}; give them to game.field")
    if field.world == "neural":
        import torch

        z = torch.as_tensor(z)
    elif field.world == "exact":
        z = column([exact_number(x) for x in z])
    else:
        z = np.asarray(z, dtype=float)
    d = field.players[-1].stop
    if len(z) != d:
        raise ValueError(f"the field has d = {d} coordinates, got a point with {len(z)}")
    return z


def field(game: Any, z: Any, params: Any = None) -> Any:
    """The joint gradient field v(z) = (∇₁c₁, …, ∇ₙcₙ).

    Parameters
    ----------
    game : game, or Field
    z : array `(d,)` or `(d, batch)`, SymPy column, or torch vector
    params : mapping, optional
        Values of the game's parameters.

    Returns
    -------
    ndarray, SymPy column or tensor of the shape of z.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.field(gd.games.bilinear(1), [1.0, 2.0])
    array([ 2., -1.])
    """
    F, z = enter(game, z, params)
    if F.world != "neural" or z.requires_grad:
        return F(z)
    import torch

    with torch.no_grad():
        return F(z)


def as_point(z: Any) -> Any:
    """z as a SymPy column if it is exact (integers or SymPy numbers throughout), else unchanged."""
    if isinstance(z, sp.MatrixBase):
        return z
    if isinstance(z, Sequence) and all(isinstance(e, (int, sp.Expr)) and not isinstance(e, bool) for e in z):
        return column(exact_number(e) for e in z)
    return z
