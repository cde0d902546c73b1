"""Orbits of step maps: arrays of initial points, blocked kernels, torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gamedyn.games.field import NotInThisWorld
from gamedyn.maps.random_step import COMPILED
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.checks import require_count

BOUND = 1e12  # an orbit farther out than this has diverged
SETTLED = 1e-10  # relative size of the last step of a converged orbit
NUMBA_WORK = 300_000  # orbit-steps from which a kernel is worth compiling


@dataclass(frozen=True, eq=False)
class Orbit:
    """What `simulate` returns.

    Attributes
    ----------
    z : ndarray `(records, d)` or `(records, d, batch)`
        Reported points, the start first.
    steps : ndarray `(records,)`
        The step number of each record.
    status : ndarray `()` or `(batch,)` of str
        "converged": the last step moved less than 1e-10 relative to the point; "diverged": not finite or
        beyond 1e12; "running" otherwise.
    state : array
        The last extended state; `simulate(..., state=orbit.state)` goes on from it.
    backend : str
        "numpy", "numba" or "torch".
    residual : float or None
        The largest relative residual of the linear systems that were solved by products (torch, d > 64); None where
        none was.
    """

    z: np.ndarray
    steps: np.ndarray
    status: np.ndarray
    state: Any
    backend: str
    residual: float | None = None

    def __repr__(self) -> str:
        names, counts = np.unique(self.status, return_counts=True)
        summary = ", ".join(f"{n} {s}" for s, n in zip(names, counts, strict=True))
        summary += "" if self.residual is None else f"; systems solved to {self.residual:.0e}"
        return (
            f"Orbit({self.steps[-1]} steps, {len(self.steps)} records, shape {self.z.shape}, {summary}; {self.backend})"
        )


def simulate(
    T: StepMap,
    z0: Any = None,
    steps: int = 1000,
    *,
    every: int = 1,
    state: Any = None,
    backend: str = "auto",
    first: int = 0,
) -> Orbit:
    """Run a step map.

    Parameters
    ----------
    T : StepMap
    z0 : array `(d,)` or `(d, batch)`, or torch vector
        Starting points; or give `state`.
    steps : int
        Number of steps, >= 0.
    every : int
        Record every so many steps (the last one always).
    state : array, optional
        An extended state to go on from, instead of `z0`.
    backend : {"auto", "numpy", "numba"}
        "auto" compiles a kernel where orbits times steps pay for it; a random step has none.
    first : int
        Number of the first step, for schedules and stochastic games.

    Returns
    -------
    Orbit
        Divergence is a status, not an error.

    Raises
    ------
    ValueError
        If neither or both of `z0` and `state` are given, or `steps`, `every` or `first` is no integer or too small.
    TypeError
        If `steps`, `every` or `first` is no number.
    NotInThisWorld
        If a kernel is asked for a map with an oracle.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Extragradient(lr=0.5), gd.games.bilinear(1))
    >>> orbit = gd.simulate(T, [1.0, 1.0], steps=300)
    >>> orbit
    Orbit(300 steps, 301 records, shape (301, 2), 1 converged; numpy)
    """
    if (z0 is None) == (state is None):
        raise ValueError("give either z0 (a starting point) or state (an extended state to go on from)")
    counts = (("steps", steps, 0), ("every", every, 1), ("first", first, 0))
    steps, every, first = (require_count("simulate", *count) for count in counts)
    if backend not in ("auto", "numpy", "numba"):
        raise ValueError(f"backend={backend!r} is not one of 'auto', 'numpy', 'numba'")
    s = T.start(z0) if state is None else state
    marks = [*range(0, steps, every), steps]
    if not isinstance(s, np.ndarray):
        return _run(T, s, marks, first, "torch")
    if backend == "numba" and T.oracle is not None:
        raise NotInThisWorld("simulate", "numba", COMPILED)
    if backend == "auto":
        pays = steps * int(np.prod(s.shape[1:])) >= NUMBA_WORK and T.array.printed
        backend = "numba" if pays else "numpy"
    return _run(T, s, marks, first, backend)


def _run(T: StepMap, s: Any, marks: list[int], first: int, backend: str) -> Orbit:
    points = [_numpy(T.point(s))]
    previous = s
    for a, b in pairwise(marks):
        previous, s = _advance(T, s, first + a, b - a, backend)
        points.append(_numpy(T.point(s)))
    status = _status(_numpy(previous), _numpy(s)) if len(marks) > 1 else np.full(tuple(s.shape[1:]), "running")
    residual = T.neural.residual if backend == "torch" else None
    return Orbit(np.stack(points), np.array(marks), status, s, backend, residual)


def _advance(T: StepMap, s: Any, first: int, steps: int, backend: str) -> tuple[Any, Any]:
    """The states before and after the last of `steps` steps."""
    if backend == "numba" and steps > 1:
        s = T.array.run(s, first, steps - 1, T.is_scheduled)
        first, steps = first + steps - 1, 1
    previous = s
    for k in range(steps):
        previous, s = s, T(s, first + k)
    return previous, s


def _status(previous: np.ndarray, s: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        size = np.max(np.abs(s), axis=0)
        move = np.max(np.abs(s - previous), axis=0)
        diverged = ~(size <= BOUND)
        settled = move <= SETTLED * (1 + size)
    return np.where(diverged, "diverged", np.where(settled, "converged", "running"))


def _numpy(value: Any) -> np.ndarray:
    return np.array(value) if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
