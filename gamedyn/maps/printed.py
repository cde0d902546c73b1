"""What a (game, method) is printed as, and where printouts are remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gamedyn.maps.kernels import load_numba, load_numpy, remember, remembered
from gamedyn.maps.printers import numba_source, numpy_source
from gamedyn.maps.scalar import scalarize
from gamedyn.maps.trace import Trace


@dataclass(frozen=True)
class Printout:
    """The source code of a step, for NumPy and for Numba.

    Attributes
    ----------
    sizes : tuple of int
        Lengths of z and of the memory vectors.
    parameters : tuple of str
        Names of the symbols that a step takes values for, in order.
    start, step, kernel : str
        NumPy source of the memory at the start and of a step; Numba source of many steps.
    """

    sizes: tuple[int, ...]
    parameters: tuple[str, ...]
    start: str
    step: str
    kernel: str

    @classmethod
    def of(cls, trace: Trace) -> Printout:
        """Print a trace."""
        symbols = trace.parameters()
        step = scalarize(trace.inputs, trace.outputs, symbols)
        first = scalarize(trace.inputs[:1], trace.initial, symbols)
        names = tuple(p.name for p in symbols)
        return cls(trace.sizes, names, numpy_source(first), numpy_source(step), numba_source(step))

    @cached_property
    def run_start(self) -> Callable[[Any, Sequence[Any]], list[Any]]:
        """z and parameter values to the components of the memory."""
        return load_numpy(self.start)

    @cached_property
    def run_step(self) -> Callable[[Any, Sequence[Any]], list[Any]]:
        """A state and parameter values to the components of the next state."""
        return load_numpy(self.step)

    @cached_property
    def module(self) -> Any:
        """The compiled kernel: `module.run(S, P, steps)` advances states `(D, batch)` in place."""
        return load_numba(self.kernel)


def printout(key: str, trace: Callable[[], Trace]) -> Printout:
    """The printout of a (game, method) by its fingerprint; printed from its trace where none is remembered.

    Parameters
    ----------
    key : str
        Empty for things without a fingerprint: they are printed anew in every process.
    trace : callable
        Gives the trace if it is needed.
    """
    entry = remembered(key + code_digest()) if key else None
    if entry is not None:
        return Printout(**{**entry, "sizes": tuple(entry["sizes"]), "parameters": tuple(entry["parameters"])})
    result = Printout.of(trace())
    if key:
        remember(key + code_digest(), asdict(result))
    return result


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of the code that printouts depend on: games, rules and maps."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for folder in ("games", "rules", "maps"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def components(values: Sequence[Any], batch: tuple[int, ...]) -> np.ndarray:
    """Components of any shape as one array `(k, *batch)`."""
    result = np.empty((len(values), *batch))
    for j, value in enumerate(values):
        result[j] = value
    return result
