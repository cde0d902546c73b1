"""The same orbit and the same Jacobian in every world, compared by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.maps.evaluate import ArrayEvaluator
from gamedyn.maps.stepmap import StepMap

WORLDS = ("exact", "test", "array", "numba", "neural")
RELATIVE = 1e-11  # of 1 + |z|, per step
SOLVED = 1e-9  # the same, for rules with a nonlinear resolvent
JACOBIAN = 1e-10  # per entry
REACH = 10.0  # orbits are compared while they stay within this distance


def check_worlds_agree(
    rule: Any,
    game: Any,
    z0: Sequence[float],
    *,
    equilibrium: Sequence[Any] | None = None,
    worlds: Sequence[str] = WORLDS,
) -> None:
    """The same orbit and, at an equilibrium, the same Jacobian in every world; see the two checks that it runs.

    Raises
    ------
    NotInThisWorld
        If the method does not exist in one of `worlds` on this game.
    """
    unknown = set(worlds) - set(WORLDS)
    if unknown:
        raise ValueError(f"unknown worlds {sorted(unknown)}; there are {WORLDS}")
    for world in worlds:
        if world != "test":
            check_orbits_agree(rule, game, z0, world)
        if world != "numba" and equilibrium is not None:
            check_jacobians_agree(rule, game, equilibrium, world)


def check_orbits_agree(rule: Any, game: Any, z0: Sequence[float], world: str, tolerance: float = RELATIVE) -> float:
    """One and ten steps in `world` against the printed NumPy step, within `tolerance` (1 + |s|) per step.

    Returns the largest difference found, relative to 1 + |s| and per step.

    Parameters
    ----------
    rule : Rule or Method
    game : SymbolicGame, without free parameters
    z0 : `(d,)`, the start of an orbit that stays within |z| <= 10
    world : str
        "array" compares with the tape evaluated node by node; "exact" takes one step from each point of
        the orbit; "numba" and "neural" run all ten.
    tolerance : float
    """
    T = StepMap(rule, game)
    orbit = [T.start(np.asarray(z0, float))]
    for k in range(10):
        orbit.append(T(orbit[-1], k))
    if not np.max(np.abs(np.array(orbit)[:, : game.dim])) <= REACH:
        raise AssertionError(f"the orbit from {list(z0)} leaves |z| <= {REACH}; compare worlds on a bounded orbit")
    if world == "array":
        return _compare(world, _tape_images(T, orbit), orbit[1:], tolerance)
    if world == "exact":
        return _compare(world, _exact_images(T, orbit), orbit[1:], tolerance)
    if world == "neural":
        return _compare(world, _neural_orbit(T, z0), orbit, tolerance)
    if world == "numba":
        starts = np.tile(orbit[0][:, None], (1, 3))
        pairs = [(image, steps) for steps in (1, 10) for image in kernel_steps(T, starts, steps).T]
        return max(_compare(world, [image], [orbit[steps]], steps * tolerance) / steps for image, steps in pairs)
    raise ValueError(f"orbits are compared in the worlds exact, array, numba and neural, not in '{world}'")


def check_jacobians_agree(rule: Any, game: Any, equilibrium: Sequence[Any], world: str) -> float:
    """DT of the extended state at an equilibrium in `world` against the array world, entrywise within 1e-10.

    Returns the largest difference of two entries.

    Parameters
    ----------
    rule : Rule or Method
    game : SymbolicGame
    equilibrium : `(d,)`
        A zero of v, exact where the world is.
    world : str
        "exact", "test", "neural", or "array" (against central differences, within 1e-6).
    """
    T = StepMap(rule, game)
    point = [exact_number(e) for e in equilibrium]
    z = np.array([float(e) for e in point])
    if T.method.preconditioner is not None:
        raise NotInThisWorld(
            "jacobian", world, "a normalised step has no Jacobian at an equilibrium; analyse .frozen(state)"
        )
    s, tolerance = T.start(z), JACOBIAN
    reference = T.jacobian(s)
    if world == "exact":
        one = T.at(0)
        matrix = np.array(one.jacobian(one.start(column(point))), dtype=float)
    elif world == "test":
        matrix = T.test_jacobian(z)
    elif world == "neural":
        import torch

        matrix = T.jacobian(T.start(torch.tensor(z))).numpy()
    else:
        h = 1e-5
        matrix = np.stack([(T(s + h * e) - T(s - h * e)) / (2 * h) for e in np.eye(len(s))], axis=1)
        tolerance = 1e-6
    gap = np.max(np.abs(matrix - reference))
    if not gap <= tolerance:
        raise AssertionError(
            f"the Jacobians of the {world} and array worlds differ by {gap:.3g} at {list(equilibrium)}"
        )
    return float(gap)


def _compare(world: str, images: Sequence[np.ndarray], orbit: Sequence[np.ndarray], tolerance: float) -> float:
    """The largest difference, relative to 1 + |s| and per step."""
    worst = 0.0
    for k, (image, reference) in enumerate(zip(images, orbit, strict=False)):
        if len(image) != len(reference):
            raise AssertionError(
                f"the {world} world has {len(image)} entries in its state, the array world {len(reference)}"
            )
        gap, size = np.max(np.abs(image - reference)), (k + 1) * (1 + np.linalg.norm(reference))
        if not gap <= tolerance * size:
            raise AssertionError(
                f"the {world} and array worlds differ by {gap:.3g} (allowed {tolerance * size:.3g}) at entry {k}"
            )
        worst = max(worst, float(gap / size))
    return worst


def _neural_orbit(T: StepMap, z0: Sequence[float]) -> list[np.ndarray]:
    import torch

    s = T.start(torch.tensor(list(z0), dtype=torch.float64))
    states = [s.numpy()]
    for k in range(10):
        s = T(s, k)
        states.append(s.numpy())
    return states


def _tape_images(T: StepMap, orbit: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One step from each point of the orbit, the tape evaluated node by node."""
    images = []
    for k, s in enumerate(orbit[:-1]):
        values = dict(zip(T.trace.inputs, np.split(s, np.cumsum(T.trace.sizes)[:-1]), strict=True))
        evaluator = ArrayEvaluator(values)
        evaluator.params = dict(zip(T.trace.parameters(), T.array.values(k), strict=True))
        images.append(np.concatenate(evaluator(T.trace.outputs)))
    return images


def _exact_images(T: StepMap, orbit: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One exact step from each point of the orbit; ten nested exact steps would grow without bound."""
    images = []
    for k, s in enumerate(orbit[:-1]):
        image = T.at(k)(column(exact_number(float(x)) for x in s))
        images.append(np.array([float(sp.N(e, 20)) for e in image]))
    return images


def kernel_steps(T: StepMap, S: np.ndarray, steps: int) -> np.ndarray:
    """States `(D, batch)` after `steps` steps of the compiled Numba kernel."""
    return T.array.run(np.asarray(S, dtype=float), 0, steps, T.is_scheduled)
