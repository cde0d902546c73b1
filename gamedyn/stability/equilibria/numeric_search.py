"""Zeros of v by numbers: Newton's method with deflation and Krawczyk's test, or branch and prune in a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.stability.equilibria.branch_prune import every_zero
from gamedyn.stability.equilibria.continua import continua
from gamedyn.stability.equilibria.description import Describer, Zero
from gamedyn.stability.equilibria.krawczyk import Krawczyk
from gamedyn.stability.equilibria.newton_zeros import further_zeros, newton_zeros, recognise, thin_singular
from gamedyn.stability.equilibria.polynomial_components import Piece
from gamedyn.stability.time_limit import Clock, OutOfTime, limited_time

__all__ = ["Exhausted", "NumericSearch"]

_KINKS = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Piecewise, sp.Heaviside)
_POLISHING = 20
_ONE_SIDED = "v has kinks, where J is one-sided and classes mean nothing"


@dataclass(frozen=True, eq=False)
class Exhausted:
    """What a search by branch and prune leaves."""

    zeros: list[Zero] = field(default_factory=list)
    undecided: int = 0
    boxes: int = 0
    note: str = ""


@dataclass(frozen=True, eq=False)
class NumericSearch:
    """A search for the zeros of one field in a box.

    Attributes
    ----------
    describer : Describer
        The field.
    bounds : list of (low, high)
    tolerance : float
        Largest |v_k| of a zero.
    starts, seed : int
    seconds : float
    """

    describer: Describer
    bounds: Sequence[tuple[Any, Any]]
    tolerance: float
    starts: int
    seed: int
    seconds: float

    def newton(self) -> tuple[list[Zero], list[str]]:
        """Zeros from many starts and from deflation, isolated ones with the box that Krawczyk's test proves; notes."""
        value, jacobian = self.describer.numeric
        zeros = newton_zeros(value, jacobian, self._box, starts=self.starts, seed=self.seed, tolerance=self.tolerance)
        zeros, _ = further_zeros(value, jacobian, zeros, self._box, seed=self.seed, tolerance=self.tolerance)
        alone, manifolds = continua(value, jacobian, zeros, self._box, self.tolerance)
        alone, thinned = thin_singular(alone, jacobian, self._box.mean(axis=1))
        found = [Zero(self._recognised(p), self._proven(p)) for p in alone]
        for m in manifolds:
            point = self._recognised(m.point)
            found.append(Zero(point, piece=Piece(m.dimension, (), None, point)))
        notes = [
            f"{_count(len(manifolds))} of zeros, shown by the point nearest to the centre" if manifolds else "",
            "zeros with singular J are many; the one nearest to the centre is shown" if thinned else "",
            _ONE_SIDED if self._has_kinks else "",
        ]
        return found, notes

    def exhaustive(self) -> Exhausted:
        """Every zero in the box, as far as the time allows.

        Raises
        ------
        ValueError
            If v has no formula, or one without interval bounds.
        """
        if self.describer.v is None:
            raise ValueError("an exhaustive search needs v as a formula; leave out exhaustive=True to search by Newton")
        proof = Krawczyk.of(self.describer.v, self.describer.z)
        covering = every_zero(proof, self._outer_box, Clock(self.seconds))
        zeros = [Zero(self._recognised(self._polished(e.low, e.high)), _pairs(e.low, e.high)) for e in covering.zeros]
        notes = [_ONE_SIDED if self._has_kinks else ""]
        if len(covering.undecided):
            notes.append(
                f"{len(covering.undecided)} of the sub-boxes are undecided: zeros with singular J, or too little time"
            )
            more, further = self.newton()
            notes += further
            for e in more:
                point = np.array([float(x) for x in e.point])
                if not any(((f.low <= point + 1e-9) & (point - 1e-9 <= f.high)).all() for f in covering.zeros):
                    zeros.append(e)
        return Exhausted(zeros, len(covering.undecided), covering.boxes, "; ".join(filter(None, notes)))

    @cached_property
    def _box(self) -> np.ndarray:
        return np.array([[float(low), float(high)] for low, high in self.bounds])

    @property
    def _outer_box(self) -> np.ndarray:
        return np.stack([np.nextafter(self._box[:, 0], -np.inf), np.nextafter(self._box[:, 1], np.inf)], axis=1)

    @property
    def _has_kinks(self) -> bool:
        v = self.describer.v
        return v is not None and bool(column(v).has(*_KINKS))

    @cached_property
    def _krawczyk(self) -> Krawczyk | None:
        if self.describer.v is None:
            return None
        try:
            with limited_time(self.seconds):
                return Krawczyk.of(self.describer.v, self.describer.z)
        except (ValueError, OutOfTime):  # some function has no interval bounds, or the formulas are long
            return None

    def _proven(self, point: np.ndarray) -> tuple[tuple[float, float], ...] | None:
        found = None if self._krawczyk is None else self._krawczyk.enclose(point)
        return None if found is None else _pairs(found.low, found.high)

    def _polished(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Newton's iterations from the middle of a tight box, kept inside, while they make |v| smaller."""
        value, jacobian = self.describer.numeric
        m = 0.5 * low + 0.5 * high
        v = value(m[:, None])[:, 0]
        for _ in range(_POLISHING):
            try:
                step = np.linalg.solve(jacobian(m[:, None])[:, :, 0], v)
            except np.linalg.LinAlgError:
                break
            after = np.clip(m - step, low, high)
            w = value(after[:, None])[:, 0]
            if not np.abs(w).max() < np.abs(v).max():
                break
            m, v = after, w
        return m

    def _recognised(self, zero: np.ndarray) -> tuple[Any, ...]:
        try:
            with limited_time(self.seconds):
                v = self.describer.v
                return tuple(map(float, zero)) if v is None else recognise(zero, v, self.describer.z)
        except OutOfTime:
            return tuple(map(float, zero))


def _pairs(low: np.ndarray, high: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))


def _count(manifolds: int) -> str:
    return "a continuum" if manifolds == 1 else f"{manifolds} continua"
