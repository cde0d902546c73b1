"""What a training run leaves behind: numbers, snapshots, spectra, and a file of them."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.neural.analysis.spectrum import Spectrum
from gamedyn.neural.training.files import write_whole

__all__ = ["TrainingResult"]

FORMAT = "gamedyn training result 1"
_ARRAYS = ("costs", "cost_steps", "snapshot_steps", "field_norms")
_STATE = "preconditioner_state_"
_RECORD = (
    *("status", "message", "steps", "seconds", "seed", "batch_size", "sampling", "method", "game", "players", "device"),
)


_DAMAGE: tuple[type[Exception], ...] = (  # what zip files, NumPy and JSON raise over bytes that are none of theirs
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, ArithmeticError, MemoryError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """A run of `train`.

    Attributes
    ----------
    z : Tensor `(d,)`
        The last iterate, on the GAN's device.
    status : str
        "finished" or "diverged".
    message : str
        Where and for whom it diverged, and the last good checkpoint of a run with a folder; else empty.
    steps : int
        Steps made; of a diverged run the step that gave the first number that is not finite.
    costs : ndarray `(m, n_players)`
        Each player's cost on the batch of the step, as the method met it first; 0 for a player it never asked.
    cost_steps : ndarray `(m,)`
        The steps of `costs`, 1 the first; every one, every second, fourth, ... of a longer run, at most 2000 of them.
    snapshots : Tensor `(s, d)`
        Iterates, on the CPU; the first is the start.
    snapshot_steps : ndarray `(s,)`
    field_norms : ndarray `(s, n_players)`
        ‖vᵢ‖ at the snapshots, on the evaluation sample.
    spectra : tuple of Spectrum
    seconds : float
        Time of the steps alone.
    preconditioner_state : tuple of Tensor
        What the method's preconditioner remembers at the end: m, s and t `(d,)` of Adam, s of RMSProp; empty without
        one.  `method.preconditioner.frozen(result.preconditioner_state)(gan)` is the game to analyse at `z`.
    seed, batch_size : int
    method, game, device : str
    players : tuple of str
    average : Tensor `(d,)` or None
        The exponential average of the iterates, where `average=` was given.
    sampling : str
        "same" or "independent".
    """

    z: Tensor
    status: str
    message: str
    steps: int
    costs: np.ndarray
    cost_steps: np.ndarray
    snapshots: Tensor
    snapshot_steps: np.ndarray
    field_norms: np.ndarray
    spectra: tuple[Spectrum, ...]
    seconds: float
    seed: int
    batch_size: int
    method: str
    game: str
    players: tuple[str, ...]
    device: str
    preconditioner_state: tuple[Tensor, ...] = ()
    average: Tensor | None = None
    sampling: str = "same"

    @property
    def steps_per_second(self) -> float:
        """Speed of the steps alone, snapshots and spectra left out."""
        return self.steps / self.seconds if self.seconds > 0 else float("nan")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a NumPy archive (.npz) without pickled objects.

        The file appears whole or not at all: it is written beside its place and then renamed.
        """
        path = Path(path)
        record = {name: getattr(self, name) for name in _RECORD}
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {} if self.average is None else {"average": self.average.cpu().numpy()}
        arrays |= {f"{_STATE}{k}": t.cpu().numpy() for k, t in enumerate(self.preconditioner_state)}
        file = io.BytesIO()
        np.savez(
            file,
            format=np.array(FORMAT),
            record=np.array(json.dumps(record)),
            spectra=np.array([s.to_json() for s in self.spectra], dtype=np.str_),
            z=self.z.cpu().numpy(),
            snapshots=self.snapshots.numpy(),
            **arrays,
        )
        write_whole(path, file.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainingResult:
        """Read a file of `save`; nothing in it is executed.

        Raises
        ------
        ValueError
            If it is no such file.
        """
        try:
            # an open file of our own: np.load leaves the one it opens to the garbage collector where it fails
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                if str(archive["format"]) != FORMAT:
                    raise ValueError("another format")
                record = json.loads(str(archive["record"]))
                state = [f"{_STATE}{k}" for k in range(len(archive.files)) if f"{_STATE}{k}" in archive.files]
                _check_record(record)
                _check_arrays({name: archive[name] for name in archive.files}, record, state)
                record["players"] = tuple(record["players"])
                return cls(
                    preconditioner_state=tuple(torch.from_numpy(archive[name]) for name in state),
                    z=torch.from_numpy(archive["z"]),
                    average=torch.from_numpy(archive["average"]) if "average" in archive.files else None,
                    snapshots=torch.from_numpy(archive["snapshots"]),
                    spectra=tuple(Spectrum.from_json(str(text)) for text in archive["spectra"]),
                    **{name: archive[name] for name in _ARRAYS},
                    **record,
                )
        except _DAMAGE as error:
            raise ValueError(
                f"{os.fspath(path)!r} is no '{FORMAT}' ({error}); write one with result.save(path)"
            ) from error

    def __repr__(self) -> str:
        outcome = self.status if not self.message else f"{self.status}: {self.message};"
        lines = [
            f"TrainingResult: {self.game}, d = {self.z.numel():,}",
            f"  {self.method}",
            f"  {outcome} after {self.steps:,} steps in {self.seconds:.1f} s ({self.steps_per_second:.0f} steps/s), "
            f"batch {self.batch_size}, seed {self.seed}, {self.device}",
            "    step" + "".join(f"{what + ' ' + name:>20}" for what in ("cost", "‖v‖") for name in self.players),
        ]
        shown = np.unique(np.linspace(0, len(self.snapshot_steps) - 1, 12).round().astype(int))
        for row in shown:
            step = self.snapshot_steps[row]
            met = int(np.searchsorted(self.cost_steps, max(step, 1), side="right")) - 1
            costs = self.costs[met] if met >= 0 else [float("nan")] * len(self.players)
            cells = [f"{value:20.4f}" for value in costs] + [f"{value:20.3e}" for value in self.field_norms[row]]
            lines.append(f"{step:8d}" + "".join(cells))
        for s in self.spectra:
            head = max(s.eigenvalues, key=abs) if len(s.eigenvalues) else complex("nan")
            lines.append(
                f"  spectrum at step {s.step}: {len(s.eigenvalues)} eigenvalues, largest {head:.4g}, "
                f"imaginary share {s.imaginary_share:.3f}, {s.missing} not converged"
            )
        return "\n".join(lines)


def _check_record(record: Any) -> None:
    """Refuse values of other types than a run has."""
    if not isinstance(record, dict) or sorted(record) != sorted(_RECORD):
        raise ValueError("its record has other names")
    texts = [record[name] for name in ("status", "message", "sampling", "method", "game", "device")]
    counts = [record[name] for name in ("steps", "seed", "batch_size")]
    seconds, players = record["seconds"], record["players"]
    good = all(isinstance(text, str) for text in texts) and record["status"] in ("finished", "diverged")
    good &= all(type(count) is int and count >= 0 for count in counts)
    good &= type(seconds) in (int, float) and math.isfinite(seconds) and seconds >= 0
    good &= isinstance(players, list) and all(isinstance(name, str) for name in players)
    if not good:
        raise ValueError("its record has values of other types, or that cannot be")


def _check_arrays(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any], state: Sequence[str]) -> None:
    """Refuse arrays that do not belong together."""
    z, shots, rows, n = arrays["z"], arrays["snapshot_steps"], arrays["cost_steps"], len(record["players"])
    d = z.shape
    shapes = {
        "costs": (*rows.shape, n),
        "field_norms": (*shots.shape, n),
        "snapshots": (*shots.shape, *d),
        "average": d,
    }
    good = z.ndim == shots.ndim == rows.ndim == 1
    good &= all(arrays[name].shape == shape for name, shape in shapes.items() if name in arrays)
    good &= all(arrays[name].dtype == z.dtype for name in ("snapshots", "average") if name in arrays)
    good &= z.dtype in (np.float16, np.float32, np.float64) and all(a.dtype.kind == "i" for a in (shots, rows))
    good &= all(arrays[name].dtype.kind == "f" for name in ("costs", "field_norms"))
    good &= all(arrays[name].dtype.kind in "fi" for name in state)
    if not good:
        found = ", ".join(f"{name} {a.shape} {a.dtype}" for name, a in arrays.items() if a.ndim)
        raise ValueError(f"its arrays do not belong together: {found}")
