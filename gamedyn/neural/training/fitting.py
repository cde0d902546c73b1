"""Whether the parts of a run fit each other: rates and types, old samples and parts of a batch, files and method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gamedyn.neural.training.checkpoint import Checkpoint
from gamedyn.neural.training.preconditioners import TorchAdam
from gamedyn.rules.method import Method, coefficients
from gamedyn.rules.preconditioners import RMSProp

if TYPE_CHECKING:
    from gamedyn.neural.training.run import Run

__all__ = ["check_state", "refuse_beyond", "refuse_uneven"]


def refuse_beyond(method: Method, transforms: Iterable[Any], dtype: torch.dtype) -> None:
    """Refuse a coefficient that the numbers of z cannot hold; those of a schedule are met in their step.

    Raises
    ------
    ValueError
        With the coefficient and the largest number of the type.
    """
    most = torch.finfo(dtype).max
    for value in (c for part in (method, *transforms) for c in coefficients(part)):
        try:
            number = abs(float(value))
        except (TypeError, ValueError):  # a symbol is refused elsewhere
            continue
        except OverflowError:
            number = float("inf")
        if number > most:
            raise ValueError(f"the method has the coefficient {value}; the numbers of {dtype} end at {most:.3g}")


def refuse_uneven(old: int, n: int, oracle: Any) -> None:
    """Refuse parts of a batch whose shares of the old samples are no whole numbers.

    Parameters
    ----------
    old, n : int
        Old samples among those of a batch, and rows of it.
    oracle : Oracle
        Which cuts it.

    Raises
    ------
    ValueError
        With the shares that can be had.
    """
    processes = 1 if oracle.group is None else oracle.group.count
    if processes * oracle.accumulate == 1 or _divides(old, n, processes, oracle.accumulate):
        return
    good = [m for m in range(1, n) if _divides(m, n, processes, oracle.accumulate)]
    near = sorted(sorted(good, key=lambda m: abs(m - old))[:4])
    cure = (
        f"use a share of {', '.join(f'{m / n:g}' for m in near)}" if near else "use a batch size with common divisors"
    )
    raise ValueError(
        f"Replay: {old} old samples in a batch of {n} cannot be shared out to the parts of it (accumulate = "
        f"{oracle.accumulate}, processes = {processes}); {cure}"
    )


def _divides(old: int, n: int, processes: int, parts: int) -> bool:
    """Whether every part has a whole number of old samples, as its share of the rows."""
    for k in range(processes):
        start, stop = (round(j * n / processes) for j in (k, k + 1))
        if (start * old) % n or (stop * old) % n:
            return False
        rows, own = stop - start, (stop - start) * old // n
        if any((round(j * rows / parts) * own) % rows for j in range(parts + 1)):
            return False
    return True


def check_state(checkpoint: Checkpoint, run: Run) -> None:
    """Refuse a checkpoint whose tensors are none that the run can have.

    Raises
    ------
    ValueError
        With the file and what is odd.
    """
    where = repr(str(checkpoint.path))
    found = (checkpoint.z, *checkpoint.memory)
    kinds = [[(tuple(t.shape), t.dtype) for t in parts] for parts in (run.parts, found)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{where}: its tensors {kinds[1]} are not those of the method, {kinds[0]}")
    if {checkpoint.records[name].shape[1] for name in ("costs", "field_norms")} != {len(run.names)}:
        raise ValueError(f"{where}: its records are not those of {len(run.names)} players")
    if (checkpoint.average is None) != (run.average is None) or (checkpoint.replay is None) != (run.buffer is None):
        raise ValueError(f"{where}: its average or its samples for replay are missing, or too many")
    if odd := _impossible(run.torch_method.preconditioner, checkpoint.memory):
        raise ValueError(
            f"{where}: {odd}, which cannot be, so the file was changed; delete it to go on from the checkpoint before"
        )


def _impossible(preconditioner: Any, memory: tuple[Tensor, ...]) -> str:
    """What no step of Adam or RMSProp can have left behind."""
    if isinstance(preconditioner, TorchAdam):
        squares, counts = memory[-2:]
        if bool((counts < 0).any()) or bool((counts != counts.round()).any()):
            return "Adam has made a negative or a broken number of steps"
    elif isinstance(preconditioner, RMSProp):
        squares = memory[-1]
    else:
        return ""
    return "a mean of squares is negative" if bool((squares < 0).any()) else ""
