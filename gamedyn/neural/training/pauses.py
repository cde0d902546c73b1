"""After which steps a run pauses: every so many, and at single ones, without a list of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Pauses", "Times"]


@dataclass(frozen=True)
class Times:
    """The multiples of `gap` from `first` to `last`, and the steps in `single`, which ascend."""

    gap: int | None
    first: int
    last: int
    single: tuple[int, ...] = ()

    @classmethod
    def at(cls, steps: Iterable[int]) -> Times:
        """Single steps alone."""
        return cls(None, 0, -1, tuple(sorted(set(steps))))

    def __contains__(self, step: object) -> bool:
        return isinstance(step, int) and self.after(step) == step

    def after(self, step: int) -> int | None:
        """The first of them from `step` on."""
        found = self.single[bisect_left(self.single, step) :][:1]
        if self.gap is not None:
            regular = max(self.first, -(-step // self.gap) * self.gap)
            found += (regular,) if regular <= self.last else ()
        return min(found, default=None)


class Pauses:
    """The pauses of a run by their purpose.

    Parameters
    ----------
    steps : int
        Of the run.
    every : int or None
        Steps between snapshots; the start and the end are added.
    spectrum_at : sequence of int
    monitor : Monitor or None
    checkpoint_every : int or None
        Steps between checkpoints; the end is added.
    checkpoints : bool
        Whether there are any.

    Attributes
    ----------
    last : int
        The end.

    Raises
    ------
    ValueError
        If a spectrum is asked for outside the run.
    """

    def __init__(
        self,
        steps: int,
        every: int | None,
        spectrum_at: Iterable[int],
        monitor: Any,
        checkpoint_every: int | None,
        *,
        checkpoints: bool,
    ) -> None:
        spectrum_at = list(spectrum_at)
        if odd := [s for s in spectrum_at if not 0 <= s <= steps]:
            raise ValueError(f"spectrum_at={spectrum_at}: {odd} are no steps of this run, which has 0 to {steps}")
        self.last = steps
        tenth = max(1, steps // 10)
        self.snapshots = Times(every or tenth, 0, steps, (steps,))
        self.spectra = Times.at(spectrum_at)
        gap = checkpoint_every or tenth
        self.checkpoints = Times(gap, gap, steps, (steps,)) if checkpoints else Times.at(())
        if monitor is None:
            self.looks = Times.at(())
        elif monitor.every is None:
            self.looks = Times.at(monitor.stops(steps))
        else:
            self.looks = Times(monitor.every, 0, steps)

    def after(self, step: int) -> int | None:
        """The first pause from `step` on."""
        kinds = (self.snapshots, self.spectra, self.looks, self.checkpoints)
        return min((s for s in (kind.after(step) for kind in kinds) if s is not None), default=None)
