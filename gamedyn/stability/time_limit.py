"""A limit on the time that symbolic algebra may take."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["OutOfTime", "limited_time"]


class OutOfTime(BaseException):
    """Raised inside a time limit; not an Exception, which SymPy's searches would swallow."""


@contextmanager
def limited_time(seconds: float) -> Iterator[None]:
    """Interrupt the body after so many seconds, on the main thread and where signals exist.

    The handler and the timer that were there before go on afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise OutOfTime

    handler = signal.signal(signal.SIGALRM, interrupt)
    began = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), interval)
