"""All methods against all worlds: measured agreement in every cell, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.symbolic import Game
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.named import methods, named
from gamedyn.testing.conformance import RELATIVE, SOLVED, check_jacobians_agree, check_orbits_agree

__all__ = ["WORLDS", "Cell", "worlds_page", "worlds_row"]

LR = 0.1
START = (0.75, -0.5, 0.25)
COSTS = ("x**2/2 + x*y - x*w/2 + w**2/8", "y**2/4 + w**2/3 - y*w/5 - x*y/2 + x*w")


HEAD = """# Methods and worlds

Written by `gamedyn methods --worlds`, which measures every cell anew and fails where two worlds disagree.

Every method at the step 0.1 on a general-sum quadratic game of two players and three variables. A number is the
largest difference from the array world over ten steps, relative to 1 + |s| and per step; for the test field it is
that of the entries of the step's Jacobian at the equilibrium. Compiled kernels (Numba) run the same ten steps; the
optimizer is `gd.torch.GameOptimizer` on the same costs. In the certified column it is the margin between the
certificate for two steps on 0.1-strongly monotone, 1-Lipschitz fields and what was measured on the worst field
found. A dash is a refusal, with its reason below.
"""


@dataclass(frozen=True)
class Cell:
    """One method in one world.

    Attributes
    ----------
    gap : float or None
        The largest difference from the array world, relative to 1 + |s| and per step (entrywise for a Jacobian);
        in the certified world the margin of the certificate over the contraction measured on the worst field found.
    reason : str
        Why there is none.
    """

    gap: float | None
    reason: str = ""


def comparison_game() -> Any:
    """The general-sum quadratic game of two unequal players on which methods are compared."""
    return Game(list(COSTS), players=[["x"], ["y", "w"]], name="general-sum quadratic")


def _tolerance(method: Any) -> float:
    return SOLVED if "Proximal" in repr(method) else RELATIVE


def _orbit(world: str) -> Callable[[Any, Any], float]:
    return lambda method, game: check_orbits_agree(method, game, START, world, _tolerance(method))


def _test(method: Any, game: Any) -> float:
    return check_jacobians_agree(method, game, [0, 0, 0], "test")


def _optimizer(method: Any, game: Any) -> float:
    """Ten steps of the torch optimizer against the step map."""
    import torch

    from gamedyn.torch import GameOptimizer

    x, w = (torch.tensor(START[s], dtype=torch.float64, requires_grad=True) for s in (slice(0, 1), slice(1, 3)))
    costs = game.field("neural").costs
    optimizer = GameOptimizer([[x], [w]], method)
    T, worst = StepMap(method, game), 0.0
    s = T.start(np.array(START))
    for k in range(10):
        optimizer.step(lambda player=None: costs(torch.cat([x, w])))
        s = T(s, k)
        here = torch.cat([x, w]).detach().numpy()
        size = (k + 1) * (1 + float(np.linalg.norm(s)))
        worst = max(worst, float(np.max(np.abs(here - s[:3]))) / size)
    if not worst <= _tolerance(method):
        raise AssertionError(f"the torch optimizer and the array world differ by {worst:.3g} per step")
    return worst


def _certified(method: Any, game: Any) -> float:
    from gamedyn.claims import certify

    certificate = certify(method, mu=0.1, L=1.0, steps=2)
    if certificate.lower is None:
        raise NotInThisWorld("lower bound", "certified", "no field of the class was searched")
    margin = certificate.value - certificate.lower
    if not margin >= -1e-6:
        raise AssertionError(f"the certificate {certificate.value:.6f} lies below a measured {certificate.lower:.6f}")
    return margin


WORLDS: dict[str, Callable[[Any, Any], float]] = {
    "exact": _orbit("exact"),
    "test field": _test,
    "array": _orbit("array"),
    "Numba": _orbit("numba"),
    "neural": _orbit("neural"),
    "optimizer": _optimizer,
    "certified": _certified,
}
"""World -> what is measured in it for a method on a game."""


def worlds_row(name: str, worlds: Iterable[str] = tuple(WORLDS)) -> dict[str, Cell]:
    """One named method in some worlds.

    Parameters
    ----------
    name : str
        A key of `gd.methods`.
    worlds : iterable of str
        Keys of `WORLDS`.

    Raises
    ------
    AssertionError
        If two worlds disagree.

    Examples
    --------
    >>> row = worlds_row("Adam", ["array", "exact"])
    >>> row["array"].gap < 1e-11, row["exact"].reason
    (True, 'a preconditioner is nonlinear in the field; analyse .frozen(state)')
    """
    method, game, row = named(name, lr=LR), comparison_game(), {}
    for world in worlds:
        try:
            row[world] = Cell(WORLDS[world](method, game))
        except NotInThisWorld as refusal:
            row[world] = Cell(None, refusal.reason)
    return row


def worlds_page(names: Iterable[str] = tuple(methods)) -> str:
    """The whole table as a Markdown page; reasons are numbered below it."""
    reasons: list[str] = []
    lines = [f"| method | {' | '.join(WORLDS)} |", "|---|" + "---|" * len(WORLDS)]
    for name in names:
        cells = []
        for cell in worlds_row(name).values():
            if cell.gap is None and cell.reason not in reasons:
                reasons.append(cell.reason)
            cells.append(f"{cell.gap:.0e}" if cell.gap is not None else f"— [{reasons.index(cell.reason) + 1}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    notes = [f"{k + 1}. {reason}" for k, reason in enumerate(reasons)]
    return "\n".join([HEAD, *lines, "", *notes]) + "\n"
