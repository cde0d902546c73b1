"""What a run leaves on disk while it goes: a log, and checkpoints from which it goes on bit for bit.

    DIR/log.jsonl                                JSON lines
    DIR/checkpoints/step_00001000.safetensors    tensors
    DIR/checkpoints/step_00001000.json           everything else

Nothing that is drawn depends on what was drawn before: every draw is a function of (seed, step).  So the seed and the
step are the state of all generators, and the rest of a run's state is tensors.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gamedyn.neural.analysis.monitor_file import TensorBoard
from gamedyn.neural.training.checkpoint import (
    FOLDER,
    Checkpoint,
    checkpoint_path,
    find_checkpoints,
    load_checkpoint,
    prune,
    write_checkpoint,
)
from gamedyn.neural.training.identity import differences
from gamedyn.neural.training.lock import FolderLock
from gamedyn.neural.training.log import LogLine, RunLog

if TYPE_CHECKING:
    from gamedyn.neural.training.run import Run

__all__ = ["RunFolder"]

KEPT = 2  # checkpoints


class RunFolder:
    """The log, the checkpoints and TensorBoard of a run; each of them only where it is wanted.

    Parameters
    ----------
    out : path or None
        The run's folder; None for no files.
    resume : bool
        Whether to go on from the last checkpoint in it.
    tensorboard : path or writer, optional
    writes : bool
        Whether this process writes, the first of several that train together.
    """

    def __init__(
        self, out: str | os.PathLike[str] | None, resume: bool, tensorboard: Any, *, writes: bool = True
    ) -> None:
        if resume and out is None:
            raise ValueError("resume=True needs the folder of the run; give out=DIR")
        self.out, self.resume = None if out is None else Path(out), resume
        self._board = None if tensorboard is None or not writes else TensorBoard(tensorboard)
        self._log = None if self.out is None or not writes else RunLog(self.out)
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._good: list[Path] = []
        self._lock: FolderLock | None = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            self._wait()
        finally:
            for part in (self._log, self._board):
                if part is not None:
                    part.close()
            if self._writer is not None:
                self._writer.shutdown()
            if self._lock is not None:
                self._lock.close()

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        assert self.out is not None
        return self.out / FOLDER

    def begin(self, run: Run, steps: int) -> None:
        """Start a new run in the folder, or bring `run` to where its last checkpoint was.

        Raises
        ------
        FileExistsError
            If there is a run in the folder that is not to go on.  One without a checkpoint is none.
        BlockingIOError
            If it is going on there.
        ValueError
            If its checkpoints are all damaged, or of another run.
        """
        if self.out is None:
            return
        if self._log is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.out)
        old = find_checkpoints(self.checkpoints) if self.resume or self._log is not None else []
        if self._log is not None and not self.resume and old:
            raise FileExistsError(
                f"there is a run in {str(self.out)!r}; go on from its last checkpoint with resume=True, or give "
                f"another folder"
            )
        step = None
        if old:
            checkpoint = _newest(old)
            _check_same(checkpoint, run, steps)
            run.restore(checkpoint)
            self._good, step = [checkpoint.path], checkpoint.step
        if self._log is not None:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._log.begin() if step is None else self._log.go_on(step)
        self._event(run, "start" if step is None else "resume", run=run.identity, machine=run.machine)

    def costs_of(self, run: Run) -> Callable[[int, list[float]], None] | None:
        """What logs the costs of a step; None where nothing is logged."""
        if self._log is None and self._board is None:
            return None

        def log(step: int, costs: list[float]) -> None:
            seconds = run.seconds
            named = dict(zip(run.names, costs, strict=True))
            self._write(LogLine(step, costs=named, seconds=seconds, steps_per_second=step / max(seconds, 1e-9)))

        return log

    def norms(self, step: int, norms: Mapping[str, float], seconds: float) -> None:
        """‖v‖ of each player at a snapshot."""
        self._write(LogLine(step, field_norms=norms, seconds=seconds))

    def checkpoint(self, run: Run) -> None:
        """Write the state of a run, in the background; at most one at a time is being written."""
        self._wait()
        if self.out is None or (self._good and self._good[-1] == checkpoint_path(self.checkpoints, run.done)):
            return
        if self._log is None:  # another process writes it
            self._good = [checkpoint_path(self.checkpoints, run.done)]
            return
        # logged first, so that wherever there is a checkpoint the log reaches up to it
        self._event(run, "checkpoint")
        tensors, content = run.state()
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending = self._writer.submit(self._keep, tensors, content)

    def stop(self, run: Run) -> str:
        """Keep the state of an interrupted run; says how it goes on."""
        self.checkpoint(run)
        self._event(run, "interrupted")
        self._wait()
        return (
            f"interrupted after step {run.done}, whose state is kept; go on with resume=True and out={str(self.out)!r}"
        )

    def end(self, run: Run) -> None:
        """Note how the run ended; of a diverged one, name its last good checkpoint."""
        self._wait()
        if run.message and self.out is not None:
            last = (
                f"the last good checkpoint is {str(self._good[-1])!r}" if self._good else "there is no checkpoint yet"
            )
            run.message += f"; {last}"
        self._event(run, "diverged" if run.message else "finished", **({"message": run.message} if run.message else {}))

    def _keep(self, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
        assert self._log is not None
        self._log.sync()
        self._good = [*self._good, write_checkpoint(self.checkpoints, tensors, content)][-KEPT:]
        prune(self.checkpoints, self._good)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _event(self, run: Run, event: str, /, **more: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._write(LogLine(run.done, event=event, time=now, seconds=run.seconds, **more))

    def _write(self, line: LogLine) -> None:
        if self._log is not None:
            self._log.write(line)
        if self._board is not None:
            self._board.write(line)  # type: ignore[arg-type]


def _newest(paths: Sequence[Path]) -> Checkpoint:
    """The last checkpoint that can be read."""
    refusals = []
    for path in reversed(paths):
        try:
            checkpoint = load_checkpoint(path)
        except ValueError as error:
            refusals.append(str(error))
            continue
        for refusal in refusals:
            warnings.warn(f"{refusal}. The run goes on from the checkpoint of step {checkpoint.step}", stacklevel=4)
        return checkpoint
    raise ValueError(
        "no checkpoint can be read, so the run cannot go on; start it anew in another folder. " + "; ".join(refusals)
    )


def _check_same(checkpoint: Checkpoint, run: Run, steps: int) -> None:
    """Refuse a checkpoint of another run; say what differs in the machine."""
    where = str(checkpoint.path)
    if odd := differences(checkpoint.run, run.identity):
        raise ValueError(f"{where!r} is of another run; use the same settings or another folder. " + "; ".join(odd))
    if checkpoint.step > steps:
        raise ValueError(f"{where!r} is of step {checkpoint.step}, steps={steps} is less; give at least as many")
    if checkpoint.schedule != run.schedule.until(checkpoint.step):
        raise ValueError(f"{where!r} is of another run: the method's schedule gave other coefficients up to its step")
    if odd := differences(checkpoint.machine, run.machine):
        warnings.warn(
            f"the run goes on elsewhere than {where!r} was written, so its last bits will not be those of one without "
            f"interruption: " + "; ".join(odd),
            stacklevel=4,
        )
