"""Ctrl-C between two steps: a step that is begun is finished, so that the state which stands can be kept.

first signal: noted;   second: KeyboardInterrupt at once                                    (1)
"""

from __future__ import annotations

import signal
import threading
from typing import Any

__all__ = ["Interrupt"]


class Interrupt:
    """Notes SIGINT while it is entered.

    Parameters
    ----------
    wanted : bool
        Whether to; also not outside the main thread, and where the signal has a handler of the user's own.

    Attributes
    ----------
    noted : bool
        Whether the signal has come.
    """

    def __init__(self, wanted: bool) -> None:
        self.noted, self._wanted = False, wanted
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        main = threading.current_thread() is threading.main_thread()
        if self._wanted and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        self.noted = True
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def __exit__(self, *exception: Any) -> None:
        self._restore()
