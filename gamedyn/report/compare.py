"""Methods run side by side: predicted and measured rates, and the race."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.dynamics.simulate import Orbit, simulate
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.transformed import require_game
from gamedyn.maps.stepmap import StepMap
from gamedyn.report import text
from gamedyn.report.local import MethodReport, local_game, pick, report_method
from gamedyn.rules.method import as_method, step_cost
from gamedyn.rules.named import named
from gamedyn.rules.rule import period
from gamedyn.stability.equilibria.equilibria import equilibria

__all__ = ["Comparison", "Race", "compare", "measured_rate"]

FLOOR = 1e-13  # distance, relative to the start and the target, below which an orbit may be rounding noise
UNDERFLOW = 1e-290
CEILING = 1e9  # distance beyond which an orbit that grows no longer says anything local


@dataclass(frozen=True, eq=False)
class Race:
    """One method's run.

    Attributes
    ----------
    name : str
    predicted : MethodReport or None
        The analysis at the equilibrium; None if there is none.
    measured : float or None
        Asymptotic contraction per step, from the orbit's tail; None if the tail is too short.
    gradients : float
        Per step.
    solves : int
    orbit : Orbit
    distance : ndarray `(records,)`
        ‖z - z*‖.
    """

    name: str
    predicted: MethodReport | None
    measured: float | None
    gradients: float
    solves: int
    orbit: Orbit
    distance: np.ndarray

    @property
    def status(self) -> str:
        """ "converged", "diverged" or "running"."""
        return str(self.orbit.status)

    @property
    def measured_per_gradient(self) -> float | None:
        """measured^(1/gradients), None for a method that solves equations."""
        if self.measured is None or self.solves or not self.gradients:
            return None
        return float(self.measured ** (1 / self.gradients))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        predicted = self.predicted
        last = float(self.distance[-1])
        return {
            "name": self.name,
            "predicted": None if predicted is None else predicted.rho,
            "measured": self.measured,
            "measured_per_gradient": self.measured_per_gradient,
            "gradients": self.gradients,
            "solves": self.solves,
            "steps_per_turn": None if predicted is None else predicted.turn,
            "e_folding_steps": None if predicted is None else predicted.e_folding,
            "final_distance": last if math.isfinite(last) else None,
            "final_point": [float(x) if math.isfinite(x) else None for x in self.orbit.z[-1]],
            "status": self.status,
            "reason": None if predicted is None else predicted.reason or None,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` returns; `print` it, `plot` it.

    Attributes
    ----------
    races : tuple of Race
        In the order given.
    z_star, z0 : ndarray `(d,)`
        The equilibrium that distances are measured from, and the start.
    steps : int
    """

    races: tuple[Race, ...]
    z_star: np.ndarray
    z0: np.ndarray
    steps: int

    def ranked(self) -> list[Race]:
        """By the measured rate per gradient; methods that solve equations last, those without a rate after them."""
        return sorted(self.races, key=_rank)

    def __str__(self) -> str:
        start, target = (text.point([float(x) for x in z]) for z in (self.z0, self.z_star))
        head = ["method", "predicted", "measured", "grads", "per grad", "turn", "e-fold", "distance", "status"]
        rows = [_row(r) for r in self.ranked()]
        notes = [
            f"{r.name}: {r.predicted.reason}" for r in self.races if r.predicted is not None and r.predicted.reason
        ]
        legend = (
            "predicted: spectral radius at the equilibrium; measured: contraction per step, from the slope of log "
            "distance over the tail; per grad: measured^(1/grads). turn and e-fold in steps, predicted."
        )
        lines = [
            f"{self.steps} steps from {start}, distance to {target}",
            *text.table(head, rows, left=(0, 8)),
            *textwrap.wrap(legend, text.WIDTH),
            *(line for note in notes for line in textwrap.wrap(note, text.WIDTH, subsequent_indent="    ")),
        ]
        return "\n".join(map(text.clip, lines))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<pre style="line-height: 1.25">{html.escape(str(self))}</pre>'

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "steps": self.steps,
            "z0": [float(x) for x in self.z0],
            "z_star": [float(x) for x in self.z_star],
            "methods": [r.to_dict() for r in self.races],
        }

    def latex(self) -> str:
        """The table as LaTeX, for amsmath and booktabs."""
        from gamedyn.report.latex import comparison_latex

        return comparison_latex(self)

    def plot(self, ax: Any = None) -> Any:
        """The race: distance against gradient evaluations; returns a `DistanceDisplay`.

        A method that solves equations is drawn as if a solve cost one gradient.
        """
        from gamedyn.plotting.displays import DistanceDisplay

        series = {r.name: (r.orbit.steps * (r.gradients + r.solves), r.distance) for r in self.races}
        regimes = {r.name: "diverges" for r in self.races if r.status == "diverged"}
        return DistanceDisplay(series, regimes=regimes, axis="gradient evaluations").plot(ax)


def compare(
    game: Any,
    methods: Any,
    z0: Any = None,
    *,
    steps: int = 1000,
    z_star: Any = None,
    lr: Any = 0.1,
    params: Mapping[str, Any] | None = None,
) -> Comparison:
    """Run methods from one start and hold their measured rates against the predicted ones.

    Parameters
    ----------
    game : game
    methods : sequence of names or methods, or mapping name -> name or method
        Names run at the step `lr`; methods at their own.
    z0 : array `(d,)`, optional
        The start; by default one unit from the equilibrium in every coordinate.
    steps : int
    z_star : array `(d,)`, optional
        The equilibrium; by default the one nearest to where the orbits end (those that diverge left aside).
    lr : float
    params : mapping, optional

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If no equilibrium is known or found, or shapes do not fit.
    TypeError
        If `game` is no game, or a method is none.

    Examples
    --------
    >>> import gamedyn as gd
    >>> race = gd.compare(gd.games.bilinear(1), ["Extragradient"], [1.0, 1.0], steps=300)
    >>> f"{race.races[0].predicted.rho:.4f} {race.races[0].measured:.4f}"
    '0.9950 0.9950'
    """
    require_game(game, "compare")
    game = game.bind(**params) if params else game
    chosen = {n: named(m, lr=lr) if isinstance(m, str) else m for n, m in pick(methods).items()}
    known = None if z_star is None else _vector(z_star, game.dim, "z_star")
    candidates = [] if known is not None else [np.array([float(x) for x in e.point]) for e in equilibria(game)]
    if known is None and not candidates:
        raise ValueError(f"no equilibrium of '{game.name}' was found; give z_star=...")
    start = (known if known is not None else candidates[0]) + 1.0 if z0 is None else _vector(z0, game.dim, "z0")
    orbits = {n: simulate(StepMap(m, game), start, steps) for n, m in chosen.items()}
    target = known if known is not None else _nearest(candidates, list(orbits.values()), start)
    races = tuple(_race(n, m, orbits[n], game, target) for n, m in chosen.items())
    return Comparison(races, target, start, steps)


def measured_rate(distance: np.ndarray, steps: np.ndarray | None = None, *, scale: float = 0.0) -> float | None:
    """The asymptotic contraction per step of a distance curve.

        exp of the slope of log distance over the second half of the usable window

    Parameters
    ----------
    distance : array `(records,)`
    steps : array `(records,)`, optional
        Step numbers; 0, 1, 2, … by default.
    scale : float
        ‖z*‖, the size of the point that the distance is taken to.

    Returns
    -------
    float or None
        None where fewer than 10 records lie between rounding noise and overflow.

    Notes
    -----
    The window ends where the curve falls below 1e-13 of its start or of `scale`, whichever is larger, or rises above
    1e9 of its start.  An orbit that shrinks towards the origin (`scale` 0) keeps its relative precision far below
    that: a curve that goes on falling is used down to 1000 times its last value.
    A rotation makes the curve ripple, so the slope is fitted by least squares with a Hann weight, which suppresses
    the ripple as the cube of the number of turns.
    """
    d = np.asarray(distance, dtype=float)
    t = np.arange(len(d)) if steps is None else np.asarray(steps)
    floor = FLOOR * max(1.0, d[0], scale)
    if scale == 0 and d[-1] < floor:
        floor = min(floor, max(1e3 * d[-1], UNDERFLOW))
    with np.errstate(all="ignore"):
        good = np.isfinite(d) & (d > floor) & (d < CEILING * max(d[0], FLOOR))
    end = len(d) if good.all() else int(np.argmin(good))
    first = end // 2
    if end - first < 10:
        return None
    x, y = t[first:end].astype(float), np.log(d[first:end])
    w = np.hanning(end - first + 2)[1:-1]
    x = x - np.average(x, weights=w)
    return float(np.exp(np.sum(w * x * y) / np.sum(w * x * x)))


def _race(name: str, method: Any, orbit: Orbit, game: Any, target: np.ndarray) -> Race:
    with np.errstate(all="ignore"):
        distance = np.sqrt(np.sum((orbit.z - target) ** 2, axis=1))
    cost = step_cost(method, len(game.players))
    predicted = None
    if "exact" in game.worlds:
        try:
            predicted = report_method(
                name, method, local_game(game, tuple(float(x) for x in target)), 0.1, rates_only=True
            )
        except (NotInThisWorld, ValueError) as error:
            predicted = MethodReport(name, float(cost.gradients), cost.solves, reason=str(error).splitlines()[0])
    endless = period(as_method(method).rule) is None  # weights that never repeat: no rate to approach
    measured = None if endless else measured_rate(distance, orbit.steps, scale=float(np.linalg.norm(target)))
    return Race(name, predicted, measured, float(cost.gradients), cost.solves, orbit, distance)


def _nearest(candidates: Sequence[np.ndarray], orbits: Sequence[Orbit], start: np.ndarray) -> np.ndarray:
    """The equilibrium nearest to an end of an orbit, to the start where every orbit diverged."""
    ends = [o.z[-1] for o in orbits if str(o.status) != "diverged" and np.all(np.isfinite(o.z[-1]))] or [start]
    return min(candidates, key=lambda c: min(float(np.linalg.norm(c - e)) for e in ends))


def _vector(z: Any, dim: int, name: str) -> np.ndarray:
    vector = np.asarray([float(x) for x in np.ravel(np.asarray(z, dtype=object))])
    if vector.shape != (dim,) or not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} needs {dim} finite numbers, got {list(np.ravel(z))}")
    return vector


def _rank(r: Race) -> tuple[Any, ...]:
    rate = r.measured_per_gradient if not r.solves else r.measured
    return (bool(r.solves), rate is None, round(rate, 12) if rate is not None else 0.0)


def _row(r: Race) -> list[str]:
    p = r.predicted
    price = f"{r.gradients:g}" if not r.solves else f"{r.solves} solve"
    last = float(r.distance[-1])
    return [
        r.name,
        text.fixed(None if p is None else p.rho),
        text.fixed(r.measured),
        price,
        text.fixed(r.measured_per_gradient) if not r.solves else "",
        text.count(None if p is None else p.turn),
        text.count(None if p is None else p.e_folding),
        f"{last:.1e}" if math.isfinite(last) else "∞",
        r.status,
    ]
