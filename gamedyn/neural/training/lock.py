"""One process at a time in a run's folder.

The lock belongs to the process and not to the file: the kernel lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FolderLock"]

NAME = ".lock"


class FolderLock:
    """Holds a folder, until it is closed.

    Parameters
    ----------
    folder : Path
        An existing one.

    Raises
    ------
    BlockingIOError
        If another run holds it.

    Notes
    -----
    By flock on an empty file in the folder.  Where there is no flock (Windows, some network file systems) nothing is
    held, and two runs in one folder are the user's to avoid.
    """

    def __init__(self, folder: Path) -> None:
        self._handle: int | None = None
        try:
            import fcntl
        except ImportError:
            return
        handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise BlockingIOError(
                f"a run is going on in {str(folder)!r}, in another process or here; wait for its end, or give another "
                f"folder"
            ) from None
        except OSError:  # a file system without locks
            os.close(handle)
            return
        self._handle = handle

    def close(self) -> None:
        """Let go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
