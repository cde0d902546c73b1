"""A limit on the time that symbolic algebra may take."""

from __future__ import annotations

import _weakrefset
import gc
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Clock", "OutOfTime", "limited_time"]

_CALLS_BACK = (weakref.__file__, _weakrefset.__file__)  # what runs when an object with a weak reference is dropped


class OutOfTime(BaseException):
    """Raised inside a time limit; not an Exception, which SymPy's searches would swallow."""


class Clock:
    """What is left of a time limit."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 at the end."""
        return max(0.0, self.end - time.monotonic())

    def check(self) -> None:
        """Raise OutOfTime at the end: between sub-steps, for the threads that no timer interrupts."""
        if self.left == 0:
            raise OutOfTime


@contextmanager
def limited_time(seconds: float) -> Iterator[Clock]:
    """Interrupt the body after so many seconds, on the main thread and where signals exist.

    Elsewhere the body ends only where it asks the clock. The handler and the timer that were there before go on
    afterwards.
    """
    clock = Clock(seconds)
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield clock
        return

    running = True

    def interrupt(signum: int, frame: FrameType | None) -> None:
        if running and not _drops_exceptions(frame):
            raise OutOfTime

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    try:
        # It rings again where the first ring found the interpreter in a destructor or a callback.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), 0.2)
        yield clock
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler if handler is not None else signal.SIG_DFL)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), interval)


def _drops_exceptions(frame: FrameType | None) -> bool:
    """Whether the interpreter would only report an exception raised here: in a destructor or a callback of memory."""
    callbacks = {getattr(c, "__code__", None) for c in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        if code in callbacks or code.co_name == "__del__" or code.co_filename in _CALLS_BACK:
            return True
        frame = frame.f_back
    return False
