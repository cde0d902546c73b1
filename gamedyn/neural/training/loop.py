"""Training: the iterates of a method on a GAN's stochastic game.

    s₀ = (z₀, memory),   s_{k+1} = T_k(s_k),   T_k one step of the method on the batch of step k    (1)

A run is a function of (GAN, method, seed, steps): no global random state is read or moved, and what is drawn in a step
depends on no step before.  So a run can stop anywhere and go on.  Divergence is a result, with the step and the player.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.transformed import TransformedGame, unwrap
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.gan import GAN
from gamedyn.neural.hidden_state import refuse_hidden_state
from gamedyn.neural.training.arguments import (
    check_objects,
    checked_average,
    checked_count,
    checked_folder,
    checked_start,
    checked_steps,
)
from gamedyn.neural.training.folder import RunFolder
from gamedyn.neural.training.interrupt import Interrupt
from gamedyn.neural.training.pauses import Pauses
from gamedyn.neural.training.replay import Replay
from gamedyn.neural.training.result import TrainingResult
from gamedyn.neural.training.run import Run

__all__ = ["TrainingResult", "train"]


def train(
    gan: GAN | TransformedGame,
    method: Any,
    steps: int,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    sampling: str = "same",
    accumulate: int = 1,
    group: Any = None,
    average: float | None = None,
    replay: Replay | None = None,
    z0: Tensor | None = None,
    every: int | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
    spectrum_at: Sequence[int] = (),
    spectrum_k: int = 10,
    monitor: Monitor | None = None,
    progress: bool | None = None,
    out: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    log_every: int | None = None,
    tensorboard: Any = None,
    begun: Callable[[], None] | None = None,
) -> TrainingResult:
    """Run a method on a GAN.

    Parameters
    ----------
    gan : GAN
        Or a transformed one, ``two_timescale(2.0)(gan)``.  Left as it is: write a result into the modules with
        ``gan.load(result.z)``.
    method : Rule or Method
        Any rule, wrapped, preconditioned and on transformed fields: ``Method(Alternating(lr=1e-3), Adam(beta1=0.5))``,
        ``Method(Simultaneous(lr=1e-3), Adam(beta1=0.5), unrolled(5, lr=1e-3))``.
    steps : int
        How many, those before a resumed checkpoint included.
    seed : int
        Of the batches; step k sees the same batch whatever came before.
    batch_size : int, optional
        By default the GAN's own.
    sampling : {"same", "independent"}
        One batch for the whole step, or a fresh one whenever the method evaluates the field, as loops do that update D
        several times for each update of G.
    accumulate : int
        Parts in which a batch is evaluated, one after the other, in the memory of one.
    group : "world" or ProcessGroup, optional
        Processes of torch.distributed that share the rows of every batch, all or some; they all call `train`, with a
        folder that all can read.  The first of them writes.
    average : float, optional
        Decay of an exponential average of the iterates, as 0.999: ``result.average``.  It starts at the start.
    replay : Replay, optional
        Show D old samples among the new ones.
    z0 : Tensor or array, optional
        The start `(d,)`, by default the modules' parameters.
    every : int, optional
        Steps between snapshots, by default a tenth of the run.  The start and the end are always kept.
    callback : callable, optional
        callback(step, z) at every snapshot.
    spectrum_at : sequence of int
        Steps after which the spectrum of the game Jacobian is taken, 0 the start and `steps` the end.
    spectrum_k : int
        Eigenvalues per spectrum.
    monitor : Monitor, optional
        Follows eigenvalues, rotation and the path at its own steps, for a bounded share of the time; also at the point
        at which a run has diverged.
    progress : bool, optional
        A progress bar: by default on a terminal, never in a pipe.
    out : path, optional
        The run's folder, for ``log.jsonl`` (`read_log`) and ``checkpoints/`` (`load_checkpoint`).
    checkpoint_every : int, optional
        Steps between checkpoints, by default a tenth of the run; one at the end always.  The last two are kept.
    resume : bool
        Go on from the last checkpoint in `out`, from the start if there is none.  The result is that of a run with
        these arguments without interruption, bit for bit on the same machine with the same torch and number of threads.
    log_every : int, optional
        Steps between two lines of costs in the log, by default a hundredth of the run.
    tensorboard : path or SummaryWriter, optional
        The numbers of the log also there; a path needs ``pip install "gamedyn[tensorboard]"``.
    begun : callable, optional
        begun() once, in the process that writes, when the run has been accepted and has its folder.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError, TypeError
        Counts or steps out of range, z0 of a wrong length, no method; a checkpoint that is damaged or of another run.
    FileExistsError
        If there is a run with a checkpoint in `out`, and `resume` is not asked for.
    BlockingIOError
        If another run is going on in `out`.
    KeyboardInterrupt
        By Ctrl-C; a run with a folder, in one process, first finishes the step and writes a checkpoint of it.  A second
        Ctrl-C does not wait.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(4, 2, (8,)), mlp_discriminator(2, (8,)), data=ring(n=256))
    >>> result = train(gan, gd.Method(gd.Alternating(lr=1e-3), gd.Adam(beta1=0.5)), steps=20, seed=1)
    >>> result.status, result.steps, result.z.shape
    ('finished', 20, torch.Size([91]))
    """
    if not isinstance(unwrap(gan)[0], GAN):
        raise TypeError(
            f"{type(gan).__name__} is no GAN, and no transformed one; build GAN(generator, discriminator, data=...)"
        )
    steps, every = checked_count("steps", steps, needed=True), checked_count("every", every)
    checkpoint_every = checked_count("checkpoint_every", checkpoint_every)
    log_every = checked_count("log_every", log_every) or max(1, steps // 100)
    average, z0, out = checked_average(average), checked_start(z0), checked_folder(out, resume)
    check_objects(callback, monitor, progress)
    spectra = checked_steps("spectrum_at", spectrum_at)
    pauses = Pauses(steps, every, spectra, monitor, checkpoint_every, checkpoints=out is not None)
    if checkpoint_every is not None and out is None:
        raise ValueError(f"checkpoint_every={checkpoint_every} needs a folder to write to; give out=DIR")
    rows = {"sampling": sampling, "accumulate": accumulate, "group": group}
    run = Run(gan, method, batch_size=batch_size, seed=seed, replay=replay, **rows)
    refuse_hidden_state(run.gan)  # modules may have been put into training mode since they were given
    folder = RunFolder(out, resume, tensorboard, writes=run.writes)
    with folder, _bar(steps, progress if run.writes else False) as report, torch.no_grad():
        run.start(z0, average)
        if out is not None:
            run.rehearse()
        with run.together():
            folder.begin(run, steps)
            if begun is not None and run.writes:
                begun()
        run.agree()
        with Interrupt(out is not None and run.group is None) as interrupt:
            _go(run, pauses, folder, _Looks(callback, spectrum_k, monitor, report, log_every, interrupt))
        folder.end(run)
        return run.result()


@dataclass(frozen=True)
class _Looks:
    """What is done and said at the pauses."""

    callback: Callable[[int, Tensor], None] | None
    spectrum_k: int
    monitor: Monitor | None
    report: Callable[[int, list[float]], None]
    log_every: int
    interrupt: Interrupt


def _go(run: Run, pauses: Pauses, folder: RunFolder, looks: _Looks) -> None:
    """From where the run is to its end, or to the first number that is not finite."""
    begun = run.done
    run.keep_records(pauses.snapshots, pauses.spectra)
    kept = [s.step for s in run.spectra]
    if lost := [step for step in pauses.spectra.single if step < begun and step not in kept]:
        warnings.warn(
            f"the record has no spectra of the steps {lost}, which lie before the checkpoint of step {begun} that the "
            f"run goes on from and were not asked for then",
            stacklevel=3,
        )
    log = folder.costs_of(run)
    stop = pauses.after(begun)
    while stop is not None:
        run.advance(stop, looks.report, log, looks.log_every, looks.interrupt)
        if not run.message:
            run.check_memory()
        if run.message:
            if looks.monitor is not None:
                looks.monitor.look(run.done, run.game, run.parts[0], seconds=run.seconds)
            return
        if run.done < stop:  # interrupted
            raise KeyboardInterrupt(folder.stop(run))
        if stop in pauses.snapshots and stop not in run.snapshot_steps:
            folder.norms(stop, run.snapshot(looks.callback), run.seconds)
        if stop in pauses.spectra and stop not in [s.step for s in run.spectra]:
            run.take_spectrum(looks.spectrum_k)
        if stop in pauses.looks and looks.monitor is not None and (stop > begun or stop == 0):
            looks.monitor(stop, run.game, run.parts[0], seconds=run.seconds)
        if stop in pauses.checkpoints:
            folder.checkpoint(run)
        if looks.interrupt.noted and stop < pauses.last:
            raise KeyboardInterrupt(folder.stop(run))
        stop = pauses.after(stop + 1)


@contextmanager
def _bar(steps: int, wanted: bool | None) -> Iterator[Callable[[int, list[float]], None]]:
    """A progress bar on a terminal; gives report(step, costs)."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield lambda step, row: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=steps)
        stride = max(1, steps // 200)

        def report(step: int, row: list[float]) -> None:
            if step % stride == 0 or step == steps:
                bar.update(task, completed=step, description=f"cost G {row[0]:.3f}  D {row[1]:.3f}")

        yield report
