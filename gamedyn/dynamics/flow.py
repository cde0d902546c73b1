"""The flow of a game, the limit of every method for small steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gamedyn.dynamics.simulate import BOUND
from gamedyn.games.transformed import unwrap
from gamedyn.maps.worlds import enter_point
from gamedyn.stability.points import enter

RECORDS = 201  # when only the final time is given


@dataclass(frozen=True, eq=False)
class Flow:
    """What `flow` returns.

    Attributes
    ----------
    t : ndarray `(records,)`
        Times, the starting time first.
    z : ndarray `(records, d)` or `(records, d, batch)`
        The solution; NaN from the time on that an orbit did not reach.
    status : ndarray `()` or `(batch,)` of str
        "reached": followed to the last time; "diverged": left 1e12, or blew up before.
    """

    t: np.ndarray
    z: np.ndarray
    status: np.ndarray

    def __repr__(self) -> str:
        names, counts = np.unique(self.status, return_counts=True)
        summary = ", ".join(f"{n} {s}" for s, n in zip(names, counts, strict=True))
        return f"Flow(t from {self.t[0]:g} to {self.t[-1]:g}, {len(self.t)} records, shape {self.z.shape}, {summary})"


def flow(
    game: Any,
    z0: Any,
    t: ArrayLike,
    *,
    params: Mapping[str, Any] | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    method: str = "DOP853",
) -> Flow:
    """Solutions of the flow of a game.

        ż = -v(z)

    Parameters
    ----------
    game : game
        Of any world but the exact one; transformed games as well.
    z0 : array `(d,)` or `(d, batch)`, or torch tensor
        Starting points at the first time. Orbits of a batch are integrated one by one, each with its own steps.
    t : float, or array `(records,)`
        The final time, with 201 records from 0 on; or the times themselves, in ascending or descending order. Backward
        in time what repels attracts, so that repelling cycles can be found.
    params : mapping, optional
        Values of the game's parameters.
    rtol, atol : float
        Tolerances of the local error, relative and absolute.
    method : str
        A method of `scipy.integrate.solve_ivp`, such as "DOP853" or, for stiff games, "LSODA".

    Returns
    -------
    Flow
        Divergence is a status, not an error.

    Raises
    ------
    ValueError
        If the times are not strictly monotone, the game is constrained, or z0 is exact or not finite.

    Notes
    -----
    The tolerances ask for double precision: give torch tensors as float64.

    Examples
    --------
    >>> import gamedyn as gd
    >>> rotation = flow(gd.games.bilinear(1), [1.0, 0.0], [0.0, np.pi / 2, np.pi])
    >>> rotation.z.round(6) + 0.0
    array([[ 1.,  0.],
           [ 0.,  1.],
           [-1.,  0.]])
    >>> rotation
    Flow(t from 0 to 3.14159, 3 records, shape (3, 2), 1 reached)
    """
    times = _times(t)
    base, transforms = unwrap(game)
    if getattr(base, "constraints", ()) and not any(t.changes_variables for t in transforms):
        raise ValueError(
            f"'{game.name}' is constrained, and its projected flow is not smooth at the boundary; use simulate, or the "
            f"flow of gd.entropic()(game), which stays inside"
        )
    F, start = enter(game, z0, params)
    start = enter_point(F, start)
    velocity, points = _velocity(F, start), _numpy(start)
    if not np.isfinite(points).all():
        raise ValueError(f"the starting point z0 = {points} is not finite; a flow needs numbers to start from")
    columns = points.reshape(len(points), -1).T
    options = {"rtol": rtol, "atol": atol, "method": method}
    solutions = [_solve(velocity, column, times, options) for column in columns]
    z = np.stack([s for s, _ in solutions], axis=-1).reshape(len(times), *points.shape)
    if any(t.changes_variables for t in transforms):
        z = np.stack([_numpy(F.leave(_like(record, start))) for record in z])
    status = np.where([reached for _, reached in solutions], "reached", "diverged")
    return Flow(times, z, status.reshape(points.shape[1:]))


def _times(t: ArrayLike) -> np.ndarray:
    times = np.array(t, dtype=float)
    if times.ndim == 0:
        times = np.linspace(0.0, float(times), RECORDS)
    steps = np.diff(times)
    ordered = times.ndim == 1 and len(times) > 1 and ((steps > 0).all() or (steps < 0).all())
    if not ordered or not np.isfinite(times).all():
        raise ValueError(f"t = {times} gives no times; give a final time other than 0, or at least two in strict order")
    return times


def _velocity(F: Any, start: Any) -> Callable[[float, np.ndarray], np.ndarray]:
    """-v on float64 arrays `(d,)`, whatever the world of the field."""
    if F.world == "array":
        return lambda t, z: -F(z)
    if F.world == "exact":
        raise ValueError("a flow is integrated in floating point; give a float starting point, [float(e) for e in z0]")
    import torch

    def velocity(t: float, z: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return -_numpy(F(_like(z, start)))

    return velocity


def _solve(
    velocity: Callable[[float, np.ndarray], np.ndarray], start: np.ndarray, times: np.ndarray, options: dict[str, Any]
) -> tuple[np.ndarray, bool]:
    """One orbit at the given times `(records, d)`, and whether it got to the last of them."""
    from scipy.integrate import solve_ivp

    def inside(t: float, z: np.ndarray) -> float:
        size = np.max(np.abs(z))
        return BOUND - size if np.isfinite(size) else -1.0

    inside.terminal = True  # type: ignore[attr-defined]
    integrate: Any = solve_ivp  # its stubs do not take the options as a mapping
    with np.errstate(all="ignore"):  # a flow that blows up is a result
        found = integrate(velocity, times[[0, -1]], start, t_eval=times, events=inside, **options)
    z = np.full((len(times), len(start)), np.nan)
    z[: len(found.t)] = np.reshape(found.y, (len(start), -1)).T  # a list of nothing where the first step failed
    z[0] = start
    return z, found.status == 0


def _like(z: np.ndarray, start: Any) -> Any:
    """A float64 array in the type of the starting point."""
    if isinstance(start, np.ndarray):
        return z
    import torch

    return torch.as_tensor(z, dtype=start.dtype, device=start.device)


def _numpy(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else value.detach().cpu().double().numpy()
