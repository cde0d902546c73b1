"""The points of an orbit in the world of a game, with their times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gamedyn.games.field import Field
from gamedyn.stability.points import enter

__all__ = ["orbit_points", "time_weights"]


def orbit_points(
    game: Any, orbit: Any, params: Mapping[str, Any] | None = None, *, least: int = 1
) -> tuple[Field, list[Any], np.ndarray]:
    """The field, its points along an orbit and their times; what follows a point that is not finite is left out.

    Parameters
    ----------
    game : game or Field
    orbit : Orbit, Flow, array `(n, d)`, or sequence of n torch vectors `(d,)`
        Times are steps, times, or 0, 1, 2, … for plain points.
    params : mapping, optional
        Values of the game's parameters.
    least : int
        How many finite points are needed.

    Raises
    ------
    ValueError
        If the orbit is a batch, has other dimensions than the game, or has too few finite points.
    """
    points = getattr(orbit, "z", orbit)
    if isinstance(points, np.ndarray) and points.ndim == 3:
        raise ValueError(
            f"the orbit has shape {points.shape}, a batch of {points.shape[2]}; give one, orbit.z[:, :, 0]"
        )
    times = getattr(orbit, "steps", getattr(orbit, "t", None))
    if not len(points) or np.ndim(points[0]) != 1:
        raise ValueError("an orbit is n points (d,), one after another; give an array (n, d) or a list of vectors")
    count = 0
    while count < len(points) and bool(abs(points[count]).max() < np.inf):  # NaN compares false
        count += 1
    if count < least:
        raise ValueError(
            f"{count} points of the orbit, up to the first that is not finite; at least {least} are needed"
        )
    times = np.arange(len(points)) if times is None else np.asarray(times)
    entered = [_enter(game, p, params) for p in points[:count]]
    return entered[0][0], [p for _, p in entered], times[:count].astype(float)


def _enter(game: Any, z: Any, params: Any) -> tuple[Field, Any]:
    F, point = enter(game, z, params)
    return F, point.detach() if F.world == "neural" else point


def time_weights(times: np.ndarray) -> np.ndarray:
    """Weights `(n,)` of the mean over time by trapezoids; they add to 1."""
    if len(times) == 1:
        return np.ones(1)
    gaps = np.diff(times)
    weights: np.ndarray = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    return weights / weights.sum()
