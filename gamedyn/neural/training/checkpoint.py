"""A checkpoint: tensors in a safetensors file, everything else in plain JSON beside it.

    step_00001000.safetensors   z, memory of the method, average, replayed samples, records
    step_00001000.json          {"format", "sha256" of the rest, "content": {"step", "sha256" of the tensors, ...}}

The JSON file comes last, so that a checkpoint exists if and only if its JSON file does.  Reading one runs nothing that
is written in it, follows no path that it names, and believes none of its sizes: a file is data from somewhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gamedyn.neural.analysis.spectrum import Spectrum
from gamedyn.neural.training.files import TEMPORARY, sync_folder, write_whole

__all__ = ["Checkpoint", "find_checkpoints", "load_checkpoint", "write_checkpoint"]

FORMAT = "gamedyn checkpoint 1"
FOLDER = "checkpoints"
_STEM = r"step_([0-9]{8}|[1-9][0-9]{8,14})"
_NAME = re.compile(rf"{_STEM}\.json")
_MOST_JSON = 2**26  # bytes; what is written here has some thousands
_RECORDS = ("snapshots", "snapshot_steps", "field_norms", "costs", "cost_steps")
_STATE = re.compile(r"z|average|replay|memory\.(0|[1-9][0-9]{0,3})")
_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)
_CONTENT: dict[str, type | tuple[type, ...]] = {
    **{"step": int, "seed": int, "seconds": (float, int), "bytes": int, "sha256": str},
    **{"run": dict, "machine": dict, "schedule": str, "spectra": list},
}


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """The state of a run after a step, and its record so far.

    Attributes
    ----------
    step : int
        Steps made.  Every random draw of a run is a function of (seed, number of the step), so these two are the
        state of all its generators.
    seed : int
    z : Tensor `(d,)`
        The iterate, on the CPU: ``gan.load(checkpoint.z)`` writes it into the modules.
    memory : tuple of Tensor
        What the method and its preconditioner remember.
    average : Tensor `(d,)` or None
        The exponential average of the iterates.
    replay : Tensor `(k, d)` or None
        Samples in the replay buffer.
    records : mapping of str to Tensor
        Costs, snapshots and norms of the field, as in `TrainingResult`.
    spectra : tuple of Spectrum
    seconds : float
        Time of the steps.
    run, machine : mapping of str to str
        What the run is, and on what it ran.
    schedule : str
        A checksum of the method's coefficients so far, empty where they are constant.
    path : Path
        Of the JSON file.
    """

    step: int
    seed: int
    z: Tensor
    memory: tuple[Tensor, ...]
    average: Tensor | None
    replay: Tensor | None
    records: Mapping[str, Tensor]
    spectra: tuple[Spectrum, ...]
    seconds: float
    run: Mapping[str, str]
    machine: Mapping[str, str]
    schedule: str
    path: Path

    def __repr__(self) -> str:
        parts = f"{len(self.memory)} memory vectors"
        parts += "" if self.average is None else ", an average"
        parts += "" if self.replay is None else f", {len(self.replay)} samples for replay"
        lines = [f"Checkpoint: step {self.step:,}, d = {self.z.numel():,}, {parts}, seed {self.seed}", f"  {self.path}"]
        return "\n".join([*lines, *(f"  {name}: {text[:90]}" for name, text in self.run.items() if name == "method")])


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> Path:
    """Write a checkpoint of step content["step"]; gives the path of its JSON file.

    Parameters
    ----------
    folder : Path
    tensors : mapping
        On the CPU, none sharing memory with another.
    content : mapping
        JSON values: what `Checkpoint` has besides tensors.
    """
    from safetensors.torch import save

    path = checkpoint_path(folder, content["step"])
    path.unlink(missing_ok=True)  # of an earlier run of the same step: it must not vouch for the new tensors
    data = save({name: t.contiguous() for name, t in tensors.items()})
    write_whole(path.with_suffix(".safetensors"), data)
    whole = {**content, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    record = {"format": FORMAT, "sha256": _digest(whole), "content": whole}
    write_whole(path, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False).encode())
    sync_folder(folder)
    return path


def checkpoint_path(folder: Path, step: int) -> Path:
    """The JSON file of the checkpoint of a step."""
    return folder / f"step_{step:08d}.json"


def find_checkpoints(folder: Path) -> list[Path]:
    """The JSON files of a folder's checkpoints, by ascending step; unfinished ones are none."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)) and path.is_file()
    ]
    return [path for _, path in sorted(found)]


def prune(folder: Path, keep: list[Path]) -> None:
    """Delete the checkpoints that are not to be kept, and what was left unfinished; JSON files first."""
    names = {p.with_suffix(s).name for p in keep for s in (".json", ".safetensors")}
    ours = re.compile(rf"{_STEM}\.(json|safetensors)({re.escape(TEMPORARY)})?")
    old = [p for p in folder.iterdir() if ours.fullmatch(p.name) and p.name not in names]
    for path in sorted(old, key=lambda p: p.suffix != ".json"):
        path.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; nothing in it is executed.

    Parameters
    ----------
    path : path
        Its JSON or safetensors file, or a folder of `train(out=...)` for the last one in it.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a file is damaged, incomplete or of another kind; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        found = find_checkpoints(path) or find_checkpoints(path / FOLDER)
        if not found:
            raise FileNotFoundError(f"no checkpoint in {str(path)!r}; give a folder that train(out=...) wrote to")
        path = found[-1]
    path = path.with_suffix(".json")
    content = _read_content(path)
    tensors = _read_tensors(path.with_suffix(".safetensors"), content)
    memory = [name for name in tensors if name.startswith("memory.")]
    try:
        return Checkpoint(
            z=tensors["z"],
            memory=tuple(tensors[f"memory.{k}"] for k in range(len(memory))),
            average=tensors.get("average"),
            replay=tensors.get("replay"),
            records={name: tensors[name] for name in _RECORDS},
            spectra=_spectra(content, tensors["z"].numel()),
            path=path,
            **{name: content[name] for name in ("step", "seed", "seconds", "run", "machine", "schedule")},
        )
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise _refusal(path, f"it lacks or misstates {error}") from error


def _spectra(content: Mapping[str, Any], d: int) -> tuple[Spectrum, ...]:
    """The spectra, of ascending steps up to the checkpoint's, each of d coordinates."""
    found = tuple(Spectrum.from_json(text) for text in content["spectra"])
    steps = [s.step for s in found]
    if any(type(step) is not int or not 0 <= step <= content["step"] for step in steps):
        raise ValueError(f"the steps of its spectra, {steps[:5]}")
    if len(set(steps)) < len(steps) or any(type(s.dim) is not int or s.dim != d for s in found):
        raise ValueError("its spectra: two of one step, or of another dimension")
    if any(not len(s.eigenvalues) == len(s.residuals) == len(s.converged) for s in found):
        raise ValueError("the lengths of its spectra")
    return found


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _refusal(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{str(path)!r} is no usable checkpoint: {why}. Delete the files {path.stem}.json and {path.stem}.safetensors "
        f"to go on from the checkpoint before, or copy them anew"
    )


def _read_content(path: Path) -> dict[str, Any]:
    """The content of the JSON file, types checked."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {str(path)!r}; give a file or folder that train(out=...) wrote")
    if _NAME.fullmatch(path.name) is None:
        raise _refusal(path, "its name is not step_NNNNNNNN.json")
    if path.stat().st_size > _MOST_JSON:
        raise _refusal(path, f"{path.stat().st_size} bytes of JSON are more than any checkpoint has")
    try:
        record = json.loads(path.read_bytes(), parse_constant=_no_constant)
        digest = _digest(record["content"]) if isinstance(record, dict) and "content" in record else ""
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"it is no JSON ({type(error).__name__}: {error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _refusal(path, f"it does not say that its format is {FORMAT!r}")
    content = record.get("content")
    if not isinstance(content, dict) or record.get("sha256") != digest:
        raise _refusal(path, "its content does not have the checksum that it gives, so it was changed or damaged")
    _check_content(path, content)
    return content


def _check_content(path: Path, content: Mapping[str, Any]) -> None:
    for name, kind in _CONTENT.items():
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _refusal(path, f"its {name!r} is of type {type(value).__name__}")
    texts = [*content["run"].values(), *content["machine"].values(), *content["spectra"]]
    if not all(isinstance(text, str) for text in texts):
        raise _refusal(path, "its 'run', 'machine' or 'spectra' hold more than texts")
    step = int(path.stem.removeprefix("step_"))
    if content["step"] != step or content["seed"] < 0 or not 0 <= content["seconds"] < float("inf"):
        raise _refusal(path, "its step is not that of its name, or its seed or its time cannot be")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _read_tensors(path: Path, content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors, the checksum looked at before anything is parsed."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        raise _refusal(path, "the file with its tensors is missing")
    if path.stat().st_size != content["bytes"]:
        raise _refusal(
            path, f"it has {path.stat().st_size} bytes instead of {content['bytes']}, so it was cut or changed"
        )
    try:
        data = path.read_bytes()
    except (MemoryError, OverflowError) as error:
        raise _refusal(path, f"its {content['bytes']} bytes are more than the memory of this machine") from error
    if hashlib.sha256(data).hexdigest() != content["sha256"]:
        raise _refusal(path, "its checksum is another one than its JSON file says, so it was changed or damaged")
    try:
        tensors: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AssertionError) as error:
        raise _refusal(path, f"it is no safetensors file ({error})") from error
    if odd := sorted(name for name in tensors if name not in _RECORDS and not _STATE.fullmatch(name)):
        raise _refusal(path, f"it holds {odd[:3]}, which no checkpoint has")
    if missing := [name for name in ("z", *_RECORDS) if name not in tensors]:
        raise _refusal(path, f"it lacks {missing}")
    for name, t in tensors.items():
        if t.dtype not in _TYPES:
            raise _refusal(path, f"{name} is of type {t.dtype}")
        if not bool(t.isfinite().all()) and name != "field_norms":
            raise _refusal(path, f"{name} has numbers that are not finite")
    _check_shapes(path, tensors)
    for name in ("snapshot_steps", "cost_steps"):
        steps = tensors[name]
        if bool((steps.diff() <= 0).any()) or bool((steps < 0).any()) or bool((steps > content["step"]).any()):
            raise _refusal(path, f"{name} do not ascend from 0 to {content['step']}")
    _check_records(path, tensors, content["step"])
    return {name: t.clone() for name, t in tensors.items()}  # into memory that is torch's own, aligned as at the start


def _check_records(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    """Refuse a record that no run leaves: snapshots from the start on, and costs of every 2^j-th step"""
    if not tensors["snapshot_steps"][:1].eq(0).sum():
        raise _refusal(path, "it has no snapshot of step 0")
    costs = tensors["cost_steps"]
    thin = int(costs[1] - costs[0]) if len(costs) > 1 else max(step, 1)
    evenly = len(costs) == -(-step // thin) and bool((costs == 1 + thin * torch.arange(len(costs))).all())
    if not evenly or (len(costs) > 1 and thin & (thin - 1)):
        raise _refusal(path, f"its costs are not those of every first, second, fourth, ... step up to {step}")
    kinds = {name: tensors["z"].dtype for name in ("snapshots", "average", "replay")}
    kinds |= {"costs": torch.float64, "field_norms": torch.float64}
    if odd := [name for name, dtype in kinds.items() if name in tensors and tensors[name].dtype != dtype]:
        raise _refusal(path, f"{odd[0]} are of type {tensors[odd[0]].dtype}, not {kinds[odd[0]]}")
    if not tensors["z"].is_floating_point():
        raise _refusal(path, f"z is of type {tensors['z'].dtype}")


def _check_shapes(path: Path, tensors: Mapping[str, Tensor]) -> None:
    d = tensors["z"].shape
    shots, rows = (tensors[name].shape for name in ("snapshot_steps", "cost_steps"))
    good = len(d) == len(shots) == len(rows) == 1 and tensors["snapshots"].shape == (*shots, *d)
    good &= all(tensors[name].ndim == 2 for name in ("field_norms", "costs"))
    good &= tensors["field_norms"].shape[:1] == shots and tensors["costs"].shape[:1] == rows
    good &= all(tensors[name].dtype == torch.int64 for name in ("snapshot_steps", "cost_steps"))
    good &= "average" not in tensors or tensors["average"].shape == d
    good &= "replay" not in tensors or tensors["replay"].ndim == 2
    if not good:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in sorted(tensors.items()))
        raise _refusal(path, f"its shapes do not belong together: {shapes}")
