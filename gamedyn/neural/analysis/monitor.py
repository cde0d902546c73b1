"""Following the spectrum and the rotation of a game while it is trained, for a stated share of the time.

    look at step s   iff   s is due  and  M <= share (T + M)                                           (1)

M is the time of all looks so far, with what it takes to log them, and T that of training.  So M never exceeds
share (T + M) by more than one look.  Of due steps that come too early the first is logged, and the next look says
how many there were.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np

from gamedyn.neural.analysis.measurement import Look, MonitorRecord
from gamedyn.neural.analysis.monitor_file import MonitorFile, TensorBoard
from gamedyn.stability.spectra.eigenvalues import ORDER

__all__ = ["Monitor"]


class Monitor:
    """Leading eigenvalues, rotation measures and the path's angle at chosen steps of a training.

    Give it to `train(..., monitor=...)`, or call it in a loop of one's own.  A look costs some dozens of products with
    J; from the second on it starts from the eigenvectors of the last.  `MonitorRecord` says what it measures.  Training
    is not changed by it: no random state is moved and nothing is written into networks.

    Parameters
    ----------
    every : int, optional
        A look at the steps 0, every, 2 every, …
    steps : sequence of int, optional
        Or at these.
    k : int
        How many eigenvalues; all where the game has fewer coordinates.
    which : {"LM", "LR", "SR", "LI"}
        Largest modulus, largest or smallest real part, largest imaginary part.  "LM" takes the fewest products.
    share : float or None
        Bound of (1) in (0, 1]; None for none, so that what is measured depends on no clock.
    file : path, optional
        JSON lines are appended to it, one per look, each written at once; `read_monitor` reads them.
    tensorboard : path or SummaryWriter, optional
        A log directory, which needs `pip install "gamedyn[tensorboard]"`, or a writer of one's own.
    rotation, path_angle : bool
        Whether these are measured.
    probes : int
        Random vectors for ‖A‖_F/‖J‖_F, two products each; above 64 coordinates, below it is exact.
    tolerance : float, optional
        ‖Jx - λx‖ / ‖J‖ of an eigenvalue that has converged, by default 1e-6 in float64 and 1e-5 in float32.
    warm : bool
        Whether a search starts from the last eigenvectors.
    seed : int
        Of the probes and of the first start.
    clock : callable
        Gives seconds.

    Attributes
    ----------
    records : list of MonitorRecord
        Of this object's own looks; the file may hold earlier ones.
    spent : float
        M, seconds.

    Raises
    ------
    ValueError
        Arguments out of range, a file of another kind.
    ImportError
        A log directory without TensorBoard.

    Notes
    -----
    In a loop with `gamedyn.torch.GameOptimizer` the game is `ClosureField(groups, closure)`, built anew for each look,
    because the optimizer moves the parameters: see the page on monitors.  Its products are made by running the closure,
    a few forward and backward passes each, so that the look costs more than that of a `GAN`.

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = gd.zero_sum("x**2/2 + 2*x*y - y**2/2", min="x", max="y")
    >>> monitor, T = Monitor(every=10, share=None), gd.StepMap(gd.Simultaneous(lr=0.1), game)
    >>> z = T.start([1.0, 0.0])
    >>> for step in range(21):
    ...     record = monitor(step, game, z)
    ...     z = T(z)
    >>> monitor.records[0].eigenvalues
    array([1.+2.j, 1.-2.j])
    >>> monitor
    Monitor(k = 6, 'LM'): 3 looks and 0 skipped to step 20; ... products, ... s, ... % of the time (no bound)
    """

    def __init__(
        self,
        *,
        every: int | None = None,
        steps: Sequence[int] | None = None,
        k: int = 6,
        which: str = "LM",
        share: float | None = 0.1,
        file: str | os.PathLike[str] | None = None,
        tensorboard: Any = None,
        rotation: bool = True,
        path_angle: bool = True,
        probes: int = 4,
        tolerance: float | None = None,
        warm: bool = True,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        _check(every, steps, k, which, share, probes)
        self.every, self.steps = every, None if steps is None else frozenset(int(s) for s in steps)
        self.k, self.which, self.share, self.seed = k, which, share, seed
        self._look = Look(
            k,
            which,
            rotation=rotation,
            path_angle=path_angle,
            probes=probes,
            tolerance=tolerance,
            warm=warm,
            seed=seed,
        )
        board = None if tensorboard is None else TensorBoard(tensorboard)
        self._sinks = [sink for sink in (None if file is None else MonitorFile(file), board) if sink is not None]
        self._board, self._clock = board, clock
        self._began: float | None = None
        self.records: list[MonitorRecord] = []
        self.spent, self._total, self._passed = 0.0, 0.0, 0

    def due(self, step: int) -> bool:
        """Whether the schedule has a look at this step; the budget is asked when the look is taken."""
        return step in self.steps if self.steps is not None else step % self._every == 0

    def stops(self, steps: int) -> list[int]:
        """The steps from 0 to `steps` that are due."""
        if self.steps is not None:
            return sorted(s for s in self.steps if s <= steps)
        return list(range(0, steps + 1, self._every))

    def __call__(
        self, step: int, game: Any, z: Any, *, params: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> MonitorRecord | None:
        """Look at a point, if the step is due and there is time for it.

        Parameters
        ----------
        step : int
        game : game or Field
            Also a transformed game; a field such as ``ClosureField(groups, closure)``.
        z : array `(d,)` or torch vector
            In the type of the analysis.
        params : mapping, optional
            Values of the game's parameters.
        seconds : float, optional
            T, the time of training so far; by default that since the first call, the looks left out.

        Returns
        -------
        MonitorRecord or None
            None where the step is not due.

        Raises
        ------
        ValueError
            If z has another length than the game, or v is random.
        """
        began = self._start()
        if not self.due(step):
            return None
        step = index(step)
        total = self._time(began, seconds)
        if self.share is not None and self.spent > self.share * total:
            return self._skip(step, began, total)
        return self.look(step, game, z, params=params, seconds=seconds)

    def look(
        self, step: int, game: Any, z: Any, *, params: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> MonitorRecord:
        """Look at a point, whether it is due or not; arguments as for a call."""
        began = self._start()
        total = self._time(began, seconds)
        if (number := index(step)) < 0:
            raise ValueError(f"step is {step}; steps are counted from 0")
        return self._keep(self._look.at(number, game, z, params), began, total)

    def close(self) -> None:
        """Close the TensorBoard writer that this object opened; files are closed after every line."""
        if self._board is not None:
            self._board.close()

    @property
    def time_share(self) -> float:
        """M / (T + M) at the last due step, NaN before the first."""
        return self.spent / self._total if self._total > 0 else math.nan

    @property
    def _every(self) -> int:
        assert self.every is not None
        return self.every

    def _start(self) -> float:
        now = self._clock()
        if self._began is None:
            self._began = now
        return now

    def _time(self, now: float, seconds: float | None) -> float:
        """T + M before this look."""
        assert self._began is not None
        return now - self._began if seconds is None else seconds + self.spent

    def _keep(self, record: MonitorRecord, began: float, total: float) -> MonitorRecord:
        """Log a look, with its time in it."""
        seconds = self._clock() - began
        share = (self.spent + seconds) / (total + seconds) if total + seconds > 0 else math.nan
        record = replace(record, seconds=seconds, time_share=share, skipped_before=self._passed)
        self._passed = 0
        self._write(record, began, total)
        return record

    def _skip(self, step: int, began: float, total: float) -> MonitorRecord:
        """Note a due step that is over the budget; only the first of several is written, which costs time."""
        record = MonitorRecord(step, skipped="budget")
        self._passed += 1
        self._write(record if self._passed == 1 else None, began, total)
        return record

    def _write(self, record: MonitorRecord | None, began: float, total: float) -> None:
        """Hand a record on, and count the time since `began`."""
        if record is not None:
            for sink in self._sinks:
                sink.write(record)
            self.records.append(record)
        cost = self._clock() - began
        self.spent += cost
        self._total = total + cost

    def __repr__(self) -> str:
        name = f"Monitor(k = {self.k}, {self.which!r})"
        if not self.records:
            when = f"every {self.every} steps" if self.steps is None else f"at {len(self.steps)} steps"
            return f"{name}: no look yet, {when}"
        looks = [r for r in self.records if not r.skipped]
        skipped, lost = self._passed + sum(r.skipped_before for r in looks), sum(bool(r.nonfinite) for r in looks)
        bound = "no bound" if self.share is None else f"bound {100 * self.share:g} %"
        return (
            f"{name}: {len(looks)} looks and {skipped} skipped to step {self.records[-1].step}; "
            f"{sum(r.products for r in looks)} products, {self.spent:.2g} s, {100 * self.time_share:.1f} % of the time "
            f"({bound})" + (f"; {lost} not finite" if lost else "")
        )


def _check(every: Any, steps: Any, k: Any, which: str, share: Any, probes: Any) -> None:
    if (every is None) == (steps is None):
        raise ValueError(f"every={every!r} and steps={steps!r}; give one of them")
    if steps is not None and any(isinstance(s, bool) or not isinstance(s, int | np.integer) or s < 0 for s in steps):
        raise ValueError(f"steps={steps!r} must be integers of at least 0")
    for what, value, least in (("every", every, 1), ("k", k, 1), ("probes", probes, 2)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ValueError(f"{what} is {value!r}; it must be an int of at least {least}")
    if which not in ORDER:
        raise ValueError(f"which={which!r} is not one of {sorted(ORDER)}")
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"share is {share!r}; it is the largest part of the time for looks, in (0, 1], or None")
