"""Where a monitor writes: a file of JSON lines that survives a kill, and TensorBoard.

    one record, one line, written and flushed at once; a line without its end is no record

A file is only ever appended to.  A record of step s replaces, for the reader, those of steps >= s before it, so that
a run that goes on from a checkpoint may repeat steps.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gamedyn.neural.analysis.measurement import MonitorRecord

__all__ = ["MonitorFile", "TensorBoard", "read_monitor"]

_BEGINNING = b'{"step": '  # of every line


def read_monitor(path: str | os.PathLike[str]) -> tuple[MonitorRecord, ...]:
    """The records of a monitor's file, by ascending step; nothing in it is executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of MonitorRecord

    Raises
    ------
    ValueError
        If a whole line is no record.  A torn last line, of a run that was killed while it wrote, is left out with a
        warning.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     MonitorFile(f"{folder}/run.jsonl").write(MonitorRecord(100, field_norms={"x": 0.5, "y": 0.25}))
    ...     read_monitor(f"{folder}/run.jsonl")[0].field_norms
    {'x': 0.5, 'y': 0.25}
    """
    path = Path(path)
    data = path.read_bytes()
    records, whole = _parsed(data, path)
    if whole < len(data):
        _warn_torn(path, "left out")
    return _latest(records)


class MonitorFile:
    """Appends records to a file; its last line, if torn, is dropped first.

    Parameters
    ----------
    path : path
        A file of records, or none yet; its folder must exist.

    Attributes
    ----------
    records : tuple of MonitorRecord
        What the file held when it was opened.

    Raises
    ------
    ValueError
        If there is a file of another kind.
    FileNotFoundError
        If the folder does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"no folder {str(self.path.parent)!r} for the monitor's file; make it first")
        self.records: tuple[MonitorRecord, ...] = ()
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        found, whole = _parsed(data, self.path)
        self.records = _latest(found)
        if whole < len(data):
            _warn_torn(self.path, "dropped")
            os.truncate(self.path, whole)
        elif data and not data.endswith(b"\n"):  # a whole record that lacks only the end of its line
            with open(self.path, "ab") as file:
                file.write(b"\n")

    def write(self, record: MonitorRecord) -> None:
        """One line, handed to the operating system before this returns."""
        line = json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        with open(self.path, "ab") as file:  # closed again at once: nothing is held between the looks
            file.write(line.encode())


class TensorBoard:
    """Scalars of records for TensorBoard.

    Parameters
    ----------
    target : path or writer
        A log directory, or a `SummaryWriter` of one's own (anything with `add_scalar`), which is left open.

    Raises
    ------
    ImportError
        If a directory is given and TensorBoard is not installed.
    """

    def __init__(self, target: Any) -> None:
        self._own = isinstance(target, str | os.PathLike)
        self._folder: Any = target
        self._writer: Any = None if self._own else target
        if self._own and find_spec("tensorboard") is None:
            raise ImportError('tensorboard= needs TensorBoard, pip install "gamedyn[tensorboard]"')
        if not self._own and not callable(getattr(target, "add_scalar", None)):
            raise TypeError(f"tensorboard is {target!r}; give a log directory or a SummaryWriter")

    def write(self, record: MonitorRecord) -> None:
        """Every finite number of a record; nothing of a skipped step."""
        if not record.scalars:
            return
        if self._writer is None:
            self._writer = _summary_writer(self._folder, record.step)
        for name, value in record.scalars.items():
            self._writer.add_scalar(name, value, record.step)
        self._writer.flush()

    def close(self) -> None:
        """Close a writer of our own."""
        if self._own and self._writer is not None:
            self._writer.close()
            self._writer = None


def _summary_writer(folder: Any, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    # a run that starts again at this step hides what it logged from there on
    return SummaryWriter(os.fspath(folder), purge_step=step)


def _parsed(data: bytes, path: Path) -> tuple[list[MonitorRecord], int]:
    """The records, and the length of the part of the file that holds them."""
    records, whole = [], 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        try:
            records.append(MonitorRecord.from_dict(json.loads(line)))
        except (ValueError, RecursionError) as error:
            start = _BEGINNING[: len(line)]
            if line.startswith(start) and not line.endswith(b"\n"):
                break
            raise ValueError(
                f"line {number} of {str(path)!r} is no record of a monitor ({error}); give another file"
            ) from error
        whole += len(line)
    return records, whole


def _latest(records: Iterable[MonitorRecord]) -> tuple[MonitorRecord, ...]:
    """Each record without those that a later one of the same or an earlier step replaces."""
    kept: list[MonitorRecord] = []
    for record in records:
        while kept and kept[-1].step >= record.step:
            kept.pop()
        kept.append(record)
    return tuple(kept)


def _warn_torn(path: Path, what: str) -> None:
    warnings.warn(
        f"the last line of {str(path)!r} is torn, as a run that was killed leaves it; it is {what}", stacklevel=3
    )
