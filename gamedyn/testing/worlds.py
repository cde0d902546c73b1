"""All methods against all worlds: measured agreement in every cell, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.matrix_games import matching_pennies
from gamedyn.games.symbolic import Game
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.method import as_method, step_cost
from gamedyn.rules.named import methods, named
from gamedyn.testing.agreement import RELATIVE, SOLVED, check_jacobians_agree, check_orbits_agree

__all__ = ["WORLDS", "Cell", "worlds_page", "worlds_row"]

LR = 0.1
EVALUATIONS = 10  # gradients per step up to which a certificate takes seconds
START = (0.75, -0.5, 0.25)
COSTS = ("x**2/2 + x*y - x*w/2 + w**2/8", "y**2/4 + w**2/3 - y*w/5 - x*y/2 + x*w")


HEAD = """# Methods and worlds

Written by `gamedyn methods --worlds`, which measures every cell anew and fails where two worlds disagree.

Every method at the step 0.1 on a general-sum quadratic game of two players and three variables. A number is the
largest difference from the array world over ten steps, relative to 1 + |s| and per step; for the test field it is
that of the entries of the step's Jacobian at the equilibrium. Compiled kernels (Numba) run the same ten steps; the
optimizer is `gd.torch.GameOptimizer` on the same costs. In the certified column it is the margin between the
certificate for one step on 0.1-strongly monotone, 1-Lipschitz fields and what was measured on the worst field
found. A dash is a refusal, or says what stopped the computation, with the reason below. Methods on strategies are
compared on matching pennies.
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


@dataclass(frozen=True)
class Comparison:
    """A method, the game on which it is compared, a start and an equilibrium."""

    method: Any
    game: Any
    start: tuple[float, ...]
    equilibrium: tuple[Any, ...]

    @classmethod
    def of(cls, name: str) -> Comparison:
        """A named method on a general-sum quadratic game; on matching pennies where it needs constraints."""
        method = as_method(named(name, lr=LR))
        if any(getattr(t, "changes_variables", False) for t in method.transforms):
            return cls(method, matching_pennies(), (0.6, 0.4, 0.3, 0.7), (sp.S.Half,) * 4)
        game = Game(list(COSTS), players=[["x"], ["y", "w"]], name="general-sum quadratic")
        return cls(method, game, START, (0, 0, 0))

    @property
    def tolerance(self) -> float:
        """What is allowed per step: more where equations are solved by iteration."""
        return SOLVED if "Proximal" in repr(self.method) else RELATIVE


def _orbit(world: str) -> Callable[[Comparison], float]:
    return lambda c: check_orbits_agree(c.method, c.game, c.start, world, c.tolerance)


def _test(c: Comparison) -> float:
    return check_jacobians_agree(c.method, c.game, c.equilibrium, "test")


def _optimizer(c: Comparison) -> float:
    """The points reported over ten steps of the torch optimizer, against those of the step map."""
    import torch

    from gamedyn.torch import GameOptimizer

    parts = [torch.tensor(c.start[p.slice], dtype=torch.float64, requires_grad=True) for p in c.game.players]
    costs = c.game.field("neural").costs
    optimizer = GameOptimizer([[p] for p in parts], c.method)
    T, worst = StepMap(c.method, c.game), 0.0
    s = T.start(np.array(c.start))
    for k in range(10):
        optimizer.step(lambda player=None: costs(torch.cat(parts)))
        s = T(s, k)
        with optimizer.reported():
            here = torch.cat(parts).detach().numpy()
        size = (k + 1) * (1 + float(np.linalg.norm(s)))
        worst = max(worst, float(np.max(np.abs(here - T.point(s)))) / size)
    if not worst <= c.tolerance:
        raise AssertionError(f"the torch optimizer and the array world differ by {worst:.3g} per step")
    return worst


def _certified(c: Comparison) -> float:
    from gamedyn.claims import CertificateError, certify

    if step_cost(c.method).gradients > EVALUATIONS:
        raise NotInThisWorld("certificate", "certified", f"a step has more than {EVALUATIONS} gradients")
    try:
        certificate = certify(c.method, mu=0.1, L=1.0, steps=1)
    except CertificateError as error:
        raise NotInThisWorld(
            "certificate", "certified", f"the solver ended with '{error.status.partition(':')[0]}'"
        ) from error
    margin = certificate.value - certificate.lower
    if not margin >= -1e-6:
        raise AssertionError(f"the certificate {certificate.value:.6f} lies below a measured {certificate.lower:.6f}")
    return margin


WORLDS: dict[str, Callable[[Comparison], float]] = {
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
    comparison, row = Comparison.of(name), {}
    for world in worlds:
        try:
            row[world] = Cell(WORLDS[world](comparison))
        except NotInThisWorld as refusal:
            row[world] = Cell(None, refusal.reason)
    return row


def worlds_page(names: Iterable[str] = tuple(methods)) -> str:
    """The whole table as a Markdown page; reasons are numbered below it."""
    reasons: list[str] = []
    lines = [f"| method | {' | '.join(WORLDS)} |", "|---|" + "---|" * len(WORLDS)]
    for name in names:
        cells = []
        for world, cell in worlds_row(name).items():
            if cell.gap is None and cell.reason not in reasons:
                reasons.append(cell.reason)
            digits = 1 if world == "certified" else 0  # a margin is a result, a difference between worlds rounding
            shown = "0" if cell.gap == 0 else "" if cell.gap is None else f"{cell.gap:.{digits}e}"
            cells.append(shown or f"— [{reasons.index(cell.reason) + 1}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    notes = [f"{k + 1}. {reason}" for k, reason in enumerate(reasons)]
    return "\n".join([HEAD, *lines, "", *notes]) + "\n"
