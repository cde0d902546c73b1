"""The log of a run: JSON lines, each handed over at once, and the same numbers for TensorBoard.

{"step": 0, "event": "start", "time": ..., "seconds": ..., "run": {...}, "machine": {...}}
{"step": 50, "costs": {"generator": ..., ...}, "seconds": ..., "steps_per_second": ...}
{"step": 100, "field_norms": {"generator": ..., ...}, "seconds": ...}
{"step": 100, "event": "checkpoint", "time": ..., "seconds": ...}
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gamedyn.neural.training.files import named, sync_folder, write_whole

__all__ = ["LogLine", "RunLog", "read_log"]

NAME = "log.jsonl"
_END = ("finished", "diverged", "interrupted")


class LogLine:
    """One line: a step, and numbers by their names; what is not finite is null in the file."""

    def __init__(self, step: int, **content: Any) -> None:
        self.step, self.content = step, content

    @property
    def scalars(self) -> dict[str, float]:
        """The finite numbers by the names that TensorBoard shows."""
        groups = {"costs": "cost/", "field_norms": "field/norm_"}
        found = {
            f"{prefix}{name}": value
            for group, prefix in groups.items()
            for name, value in self.content.get(group, {}).items()
        }
        if "steps_per_second" in self.content:
            found["time/steps_per_second"] = self.content["steps_per_second"]
        return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}

    def encoded(self) -> bytes:
        """The line as it stands in the file."""
        record = {"step": self.step, **{name: _plain(value) for name, value in self.content.items()}}
        return (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RunLog:
    """Appends lines to a run's log.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._file: Any = None

    def begin(self) -> None:
        """An empty log, in place of one of a run that left no checkpoint.

        Raises
        ------
        ValueError
            If there is a file of this name that is no log.
        """
        self._read()
        write_whole(self.path, b"")
        self._open()

    def go_on(self, step: int) -> None:
        """Drop what was logged after the checkpoint of a step, in one go.

        Raises
        ------
        ValueError
            If the file is no log.
        """
        kept: list[dict[str, Any]] = []
        for line in self._read():
            if line["step"] > step or line.get("event") in _END:
                break
            kept.append(line)
            if line.get("event") == "checkpoint" and line["step"] == step:
                break
        write_whole(self.path, b"".join((json.dumps(line, ensure_ascii=False) + "\n").encode() for line in kept))
        sync_folder(self.path.parent)
        self._open()

    def _read(self) -> tuple[dict[str, Any], ...]:
        """What is there, nothing if there is none; what is no file of a run's own is left alone."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            kind = "a symbolic link" if self.path.is_symlink() else "no plain file"
            raise ValueError(f"{str(self.path)!r} is {kind}, a run's log is a file of its own; move it away")
        return read_log(self.path) if self.path.exists() else ()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(self.path, flags), "ab", buffering=0)

    def write(self, line: LogLine) -> None:
        """One line, handed to the operating system before this returns."""
        left = line.encoded()
        with named(self.path):
            while left:  # a disk that becomes full takes a part first, and refuses the next
                left = left[self._file.write(left) :]

    def sync(self) -> None:
        """Everything written so far, on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_log(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """The lines of a run's log, in their order; nothing in it is executed.

    Parameters
    ----------
    path : path
        The file, or the folder given to `train(out=...)`.

    Returns
    -------
    tuple of dict
        Each with an int "step"; events have an "event": start, resume, checkpoint, interrupted, diverged, finished.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    ValueError
        If a whole line is none of a log.  A torn last line, of a run that was killed while it wrote, is left out with a
        warning.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = RunLog(Path(folder))
    ...     log.begin()
    ...     log.write(LogLine(50, costs={"generator": 0.7}))
    ...     log.close()
    ...     read_log(folder)
    ({'step': 50, 'costs': {'generator': 0.7}},)
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no log {str(path)!r}; give a folder that train(out=...) wrote to")
    *whole, torn = path.read_bytes().split(b"\n")
    if torn:
        warnings.warn(
            f"the last line of {str(path)!r} is torn, as a killed run leaves it; it is left out", stacklevel=2
        )
    lines = []
    for number, text in enumerate(whole, start=1):
        try:
            line = json.loads(text, parse_constant=_no_constant)
            if b"\\u" in text:
                json.dumps(line, ensure_ascii=False).encode()  # half a character cannot be written again
        except (ValueError, RecursionError) as error:
            raise _refusal(path, number, str(error)) from error
        step = line.get("step") if isinstance(line, dict) else None
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise _refusal(path, number, "no object with a step")
        lines.append(line)
    return tuple(lines)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _refusal(path: Path, number: int, why: str) -> ValueError:
    return ValueError(f"line {number} of {str(path)!r} is none of a run's log ({why}); move the file away or mend it")
