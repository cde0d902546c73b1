"""Every zero of v in a box, with proof: boxes are split until each holds no zero, or exactly one.

    X is dropped        if 0 is outside the bounds of some v_k over X, or K(X) and X are disjoint
    X is settled        if K(X') lies inside X' for a box X' around X: then X' holds exactly one zero,
                        which is located by a tight box
    X is split          otherwise, after it was cut down to X ∩ K(X)

What cannot be settled (zeros with singular J, and whatever the time does not suffice for) is counted, never dropped.

References
----------
.. [1] E. Hansen, G. W. Walster, Global Optimization Using Interval Analysis, 2nd ed., Marcel Dekker (2004).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gamedyn.stability.equilibria.krawczyk import Enclosure, Krawczyk
from gamedyn.stability.time_limit import Clock

__all__ = ["Covering", "every_zero"]

_BATCH = 4096
_CUT = 0.484375  # where boxes are split: off the middle, where zeros of symmetric games would lie on the cut
_INFLATION = 1.25
_SMALLEST = 1e-9  # of the first box: narrower ones stay undecided
_MOST = 200_000  # boxes waiting at a time


@dataclass(frozen=True, eq=False)
class Covering:
    """What the search proved.

    Attributes
    ----------
    zeros : list of Enclosure
        One for each zero: distinct, and together all that are in the box, if `undecided` is empty.
    undecided : ndarray `(k, d, 2)`
        Boxes that may hold further zeros.
    boxes : int
        Boxes looked at.
    """

    zeros: list[Enclosure] = field(default_factory=list)
    undecided: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 2)))
    boxes: int = 0


def every_zero(krawczyk: Krawczyk, box: np.ndarray, clock: Clock) -> Covering:
    """All zeros in a box `(d, 2)`, as far as the clock allows.

    Examples
    --------
    >>> import sympy as sp
    >>> x, y = sp.symbols("x y", real=True)
    >>> found = every_zero(Krawczyk.of([sp.sin(x) - y, y], [x, y]), np.array([[-4.0, 4.0], [-2.0, 2.0]]), Clock(10))
    >>> len(found.zeros), len(found.undecided)
    (3, 0)
    """
    low, high = box[:, :1].astype(float), box[:, 1:].astype(float)
    smallest = _SMALLEST * (high - low)[:, 0]
    zeros: list[Enclosure] = []
    stuck: list[np.ndarray] = []
    seen = 0
    while low.shape[1] and clock.left > 0 and low.shape[1] <= _MOST:
        now, later = slice(None, _BATCH), slice(_BATCH, None)
        a, b, rest = low[:, now], high[:, now], (low[:, later], high[:, later])
        seen += a.shape[1]
        a, b = _without_excluded(krawczyk, a, b)
        a, b = _without_settled(krawczyk, a, b, zeros)
        tiny = ((b - a) <= smallest[:, None]).all(axis=0)
        stuck += [np.stack([a[:, k], b[:, k]], axis=1) for k in np.flatnonzero(tiny)]
        a, b = _halves(a[:, ~tiny], b[:, ~tiny], smallest[:, None])
        low, high = np.hstack([rest[0], a]), np.hstack([rest[1], b])
    stuck += [np.stack([low[:, k], high[:, k]], axis=1) for k in range(low.shape[1])]
    inside = [e for e in zeros if ((e.high >= box[:, 0]) & (e.low <= box[:, 1])).all()]
    undecided = np.array(stuck) if stuck else np.empty((0, len(box), 2))
    return Covering(inside, undecided, seen)


def _without_excluded(krawczyk: Krawczyk, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The boxes over which every v_k may vanish, cut down to K(X) where that is narrower."""
    below, above = krawczyk.value(low, high)
    keep = ((below <= 0) & (above >= 0)).all(axis=0)
    low, high = low[:, keep], high[:, keep]
    if not low.shape[1]:
        return low, high
    below, above = krawczyk.step(low, high)
    low, high = np.maximum(low, below), np.minimum(high, above)
    keep = (low <= high).all(axis=0)
    return low[:, keep], high[:, keep]


def _without_settled(
    krawczyk: Krawczyk, low: np.ndarray, high: np.ndarray, zeros: list[Enclosure]
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that are not settled; what the others hold is added to `zeros`."""
    if not low.shape[1]:
        return low, high
    m, radius = 0.5 * low + 0.5 * high, 0.5 * (high - low)
    radius = _INFLATION * radius + 1e-14 * (1 + np.abs(m))
    a, b = m - radius, m + radius
    below, above = krawczyk.step(a, b)
    settled = ((a < below) & (above < b)).all(axis=0)
    for k in np.flatnonzero(settled):
        outer = (a[:, k], b[:, k])
        if not any(_same(outer, e) for e in zeros):
            found = krawczyk.settle(below[:, k], above[:, k], outer)
            if found is None:
                settled[k] = False  # exactly one zero, but where is not known: split on
            elif not any(_same(e.outer, found) or _meet(krawczyk, e, found) for e in zeros):
                zeros.append(found)
    return low[:, ~settled], high[:, ~settled]


def _same(outer: tuple[np.ndarray, np.ndarray], zero: Enclosure) -> bool:
    """Whether the one zero of a box is this one: its tight box lies inside."""
    return bool(((outer[0] <= zero.low) & (zero.high <= outer[1])).all())


def _meet(krawczyk: Krawczyk, first: Enclosure, second: Enclosure) -> bool:
    """Whether tight boxes that overlap hold the same zero: some box around both holds exactly one."""
    if ((first.high < second.low) | (second.high < first.low)).any():
        return False
    proof = krawczyk.enclose(0.5 * first.low + 0.5 * second.high)
    return proof is not None and _same(proof.outer, first) and _same(proof.outer, second)


def _halves(low: np.ndarray, high: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every box split across its longest side, sides measured in `unit` (d, 1)."""
    if not low.shape[1]:
        return low, high
    longest = np.argmax((high - low) / unit, axis=0)
    columns = np.arange(low.shape[1])
    cut = low[longest, columns] + _CUT * (high - low)[longest, columns]
    first, second = high.copy(), low.copy()
    first[longest, columns] = cut
    second[longest, columns] = cut
    return np.hstack([low, second]), np.hstack([first, high])
