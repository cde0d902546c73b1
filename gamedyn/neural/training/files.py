"""Files that are there whole or not at all, whatever interrupts the writing of them.

write a temporary name, fsync it, rename it, fsync the folder (once for several files)   (1)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TEMPORARY", "named", "sync_folder", "write_whole"]

TEMPORARY = ".tmp"  # ending of what is not finished


def write_whole(path: Path, data: bytes) -> None:
    """Write a file by (1) but for the folder's fsync; an old one of this name is replaced in one go."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        temporary.unlink(missing_ok=True)  # what lies there is a leftover, or a link to someone else's file
        with named(path), open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """An error of the system inside, such as a full disk, says which file it is about."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make what happened to the names in a folder last; other systems than POSIX cannot be asked to."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
