"""What `train` is given, checked before anything is built: an error says what was given and what is needed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.neural.analysis.monitor import Monitor

__all__ = ["check_objects", "checked_average", "checked_count", "checked_folder", "checked_start", "checked_steps"]


def checked_count(what: str, value: Any, *, needed: bool = False) -> Any:
    """An int of at least 1; None stays, unless it is needed."""
    if value is None and not needed:
        return None
    count = _integer(value)
    if count is None or count < 1:
        raise ValueError(f"{what} is {value!r}; it must be an int of at least 1")
    return count


def checked_steps(what: str, values: Any) -> tuple[int, ...]:
    """Several steps."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{what} is {values!r}; give a sequence of steps, as in {what}=(0, 1000)")
    steps = [_integer(value) for value in values]
    if None in steps:
        raise TypeError(f"{what} is {values!r}; its steps must be ints")
    return tuple(s for s in steps if s is not None)


def _integer(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        return None


def checked_average(value: Any) -> float | None:
    """A decay, None for none."""
    if value is None:
        return None
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value < 1:
        raise ValueError(f"average is {value!r}; it is the decay of an exponential average, in [0, 1), as 0.999")
    return float(value)


def checked_start(z0: Any) -> Tensor | None:
    """A vector of floating numbers, None for the modules' own."""
    if z0 is None:
        return None
    try:
        z = torch.as_tensor(z0)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"z0 is of type {type(z0).__name__}; give a tensor or array (d,)") from error
    if not z.is_floating_point():
        raise TypeError(f"z0 has numbers of type {z.dtype}; give floating ones, as gan.initial() has")
    return z


def checked_folder(out: Any, resume: Any) -> Path | None:
    """A folder, or what can become one."""
    if not isinstance(resume, bool):
        raise TypeError(f"resume is {resume!r}; it must be True or False")
    if out is None:
        return None
    if not isinstance(out, str | os.PathLike):
        raise TypeError(f"out is {out!r}; give the path of a folder")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"out {str(folder)!r} is a file; give a folder, or a name that is not taken")
    return folder


def check_objects(callback: Any, monitor: Any, progress: Any) -> None:
    """Refuse what cannot be called, looked through or shown."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}; give a function callback(step, z)")
    if monitor is not None and not isinstance(monitor, Monitor):
        raise TypeError(f"monitor is {monitor!r}; give Monitor(every=...) of gamedyn.neural")
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress is {progress!r}; it must be True, False or None")
