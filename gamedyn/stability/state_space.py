"""The linearisation of a game or of a method as a state space of python-control, with inputs and outputs.

    ẋ = -Jx + Bu,   y = Cx              the flow at an equilibrium, x the displacement from it           (1)
    x⁺ = DT x + Bu, y = Cx              one step of a method, memory included                            (2)

The poles are the eigenvalues of -J or of DT.  What python-control knows of such systems (frequency responses,
Gramians, observability, feedback on top) is then at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gamedyn.games.field import Player
from gamedyn.maps.stepmap import StepMap
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.nonnormal.nonnormal import jacobian_of, linear_map

__all__ = ["to_state_space"]


def to_state_space(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    inputs: Any = None,
    outputs: Any = None,
    dt: float | None = None,
) -> Any:
    """(1) of a game, or (2) of a step map, as a `control.StateSpace`.

    Parameters
    ----------
    M : game or Field or StepMap with z, GameJacobian or matrix `(d, d)` without
        A matrix is J.
    z : `(d,)`, optional
        The equilibrium.
    params : mapping, optional
        Values of the game's parameters.
    inputs : array `(d, m)`, player by name or number, or None
        B; a force on every coordinate of one player; by default on every coordinate.  For a step map of a method with
        memory, players' coordinates are those of z, and an array has one row per entry of the extended state.
    outputs : array `(p, d)`, player by name or number, or None
        C; the coordinates of one player; by default all.
    dt : float, optional
        The time of one step of a step map, 1 by default; the step size makes it that of the flow.

    Returns
    -------
    control.StateSpace
        States are named after the players' variables where they have names.  Dense: d² numbers.

    Raises
    ------
    ImportError
        If python-control is not installed.
    ValueError
        If B or C does not fit, dt is given for a flow or is not positive, or as `linear_map` does.

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = gd.zero_sum("2*x*y + 5*x**2/2", min="x", max="y")
    >>> system = to_state_space(game, [0.0, 0.0], inputs="x", outputs="y")
    >>> system.poles()
    array([-4.+0.j, -1.+0.j])
    """
    try:
        import control
    except ImportError as error:
        raise ImportError(
            'a state space needs python-control, which is not installed; pip install "gamedyn[control]"'
        ) from error
    matrix, players, names, step = _system(M, z, params, dt)
    d = len(matrix)
    B = _ports(inputs, players, d, "inputs", "(d, m)")
    C = _ports(outputs, players, d, "outputs", "(p, d)").T
    options = {"states": names} if names else {}
    return control.ss(matrix, B, C, np.zeros((len(C), B.shape[1])), *([] if step is None else [step]), **options)


def _system(M: Any, z: Any, params: Any, dt: float | None) -> tuple[np.ndarray, tuple[Player, ...], list[str], Any]:
    """The system matrix, the players, the names of the states and the time of a step."""
    if isinstance(M, StepMap):
        step = 1.0 if dt is None else float(dt)
        if not (np.isfinite(step) and step > 0):
            raise ValueError(f"dt={dt} must be a positive number, the time that one step stands for")
        matrix = linear_map(M, z, params).dense
        players = M.game.players
        memory = [f"memory[{k}]" for k in range(len(matrix) - players[-1].stop)]
        return matrix, players, [*_names(players), *memory], step
    if dt is not None:
        raise ValueError(f"dt={dt} belongs to a step map; a game's flow runs in continuous time. Give a StepMap")
    J = jacobian_of(M, z, params)
    players = M.players if isinstance(M, GameJacobian) or z is not None else ()
    return -J.dense_array(), players, _names(players), None


def _names(players: Sequence[Player]) -> list[str]:
    """A name for every coordinate; none where two would be the same."""
    names: list[str] = []
    for p in players:
        names += p.variables if len(p.variables) == p.size else [f"{p.name}[{k}]" for k in range(p.size)]
    names = [name.replace(".", "_") for name in names]
    return names if len(set(names)) == len(names) else []


def _ports(given: Any, players: Sequence[Player], d: int, what: str, shape: str) -> np.ndarray:
    """B, or Cᵀ, `(d, m)`."""
    if given is None:
        return np.eye(d)
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        named = [p for k, p in enumerate(players) if given in (k, p.name)]
        if not named:
            known = f"its players are {[p.name for p in players]}" if players else f"it knows no players; give {shape}"
            raise ValueError(f"{what}={given!r} is no player; {known}")
        return np.eye(d)[:, named[0].slice]
    matrix = np.asarray(given, dtype=float)
    matrix = matrix.T if what == "outputs" and matrix.ndim == 2 else matrix
    if matrix.ndim != 2 or len(matrix) != d or not np.isfinite(matrix).all():
        raise ValueError(f"{what} has shape {np.shape(given)}; give a finite array {shape} with d = {d}, or a player")
    return matrix
