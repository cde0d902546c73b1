"""Checkpoints and logs come back whole, or are refused by name; nothing in them is executed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.training import Replay, load_checkpoint, read_log
from gamedyn.neural.training.checkpoint import _digest, find_checkpoints

METHOD = gd.Method(gd.Alternating(0.01), gd.Adam(beta1=0.5))
SETTINGS: dict[str, Any] = {"average": 0.9, "replay": Replay(40, 0.25), "checkpoint_every": 2, "seed": 5}


def small() -> GAN:
    g = mlp_generator(3, 2, (8,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def eight_steps(one_thread: None) -> torch.Tensor:
    """The point of a run that nothing interrupted."""
    return train(small(), METHOD, 8, **{**SETTINGS, "checkpoint_every": None}).z


@pytest.fixture(scope="module")
def original(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run of six steps, by their names under its folder."""
    out = tmp_path_factory.mktemp("run")
    train(small(), METHOD, 6, out=out, spectrum_at=(0,), spectrum_k=2, **SETTINGS)
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


@pytest.fixture
def out(original: dict[str, bytes], tmp_path: Path) -> Path:
    """A copy of them."""
    (tmp_path / "checkpoints").mkdir()
    for name, data in original.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_a_checkpoint_holds_the_state_of_the_run(out: Path) -> None:
    checkpoint = load_checkpoint(out)
    result = train(small(), METHOD, 6, spectrum_at=(0,), spectrum_k=2, **{**SETTINGS, "checkpoint_every": None})
    assert (checkpoint.step, checkpoint.seed) == (6, 5)
    assert torch.equal(checkpoint.z, result.z)
    assert torch.equal(checkpoint.average, result.average)  # type: ignore[arg-type]
    m, s, counts = checkpoint.memory
    assert torch.equal(m, result.preconditioner_state[0])
    assert torch.equal(s, result.preconditioner_state[1])
    assert counts.tolist() == [6, 6]
    assert checkpoint.replay is not None
    assert checkpoint.replay.shape == (6 * 4, 2)
    assert checkpoint.spectra[0].to_json() == result.spectra[0].to_json()
    assert {"torch", "threads", "processor", "device"} <= set(checkpoint.machine)
    assert "step 6, d = 83" in repr(checkpoint)
    gan = small()
    gan.load(checkpoint.z)
    assert torch.equal(gan.initial(), result.z)


def test_every_path_to_a_checkpoint_finds_it(out: Path) -> None:
    paths = [
        out,
        out / "checkpoints",
        *(out / "checkpoints" / f"step_00000006.{end}" for end in ("json", "safetensors")),
    ]
    assert [load_checkpoint(path).step for path in paths] == [6] * 4
    assert load_checkpoint(out / "checkpoints" / "step_00000004.json").step == 4
    for nothing in (out / "elsewhere", out / "checkpoints" / "step_00000002.json"):
        with pytest.raises(FileNotFoundError, match="no checkpoint"):
            load_checkpoint(nothing)


# --- damage and malice

Files = tuple[Path, Path]


def flipped(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


def rewritten(files: Files, change: Callable[[dict[str, Any]], None]) -> None:
    """Another content under a checksum that fits it."""
    record = json.loads(files[0].read_text())
    change(record["content"])
    record["sha256"] = _digest(record["content"])
    files[0].write_text(json.dumps(record))


def replaced(files: Files, data: bytes) -> None:
    """Other tensors under checksums that fit them."""
    files[1].write_bytes(data)
    rewritten(files, lambda c: c.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))


def changed(files: Files, **tensors: torch.Tensor | None) -> None:
    new = {**load(files[1].read_bytes()), **tensors}
    replaced(files, save({name: t for name, t in new.items() if t is not None}))


class Bomb:
    """What would leave a trace if it were unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("executed",))


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def renamed(files: Files) -> None:
    for path in files:
        path.rename(path.with_name(path.name.replace("06", "09")))


def respelt(content: dict[str, Any], old: str, new: str) -> None:
    content["spectra"] = [text.replace(old, new) for text in content["spectra"]]


def terabyte(files: Files) -> None:
    """A file with nothing in it for the most part, whose size is the one that is said."""
    os.truncate(files[1], 2**40)
    rewritten(files, lambda c: c.update(bytes=2**40))


ATTACKS: dict[str, tuple[Callable[[Files], None], str]] = {
    "a byte of the tensors": (lambda f: flipped(f[1], 0.9), "checksum"),
    "a byte of their header": (lambda f: flipped(f[1], 0.02), "checksum"),
    "a byte of the JSON": (lambda f: flipped(f[0], 0.5), "JSON|checksum|UTF"),
    "tensors cut": (lambda f: f[1].write_bytes(f[1].read_bytes()[:-100]), "bytes instead of"),
    "tensors empty": (lambda f: f[1].write_bytes(b""), "0 bytes instead of"),
    "tensors missing": (lambda f: f[1].unlink(), "missing"),
    "JSON cut": (lambda f: f[0].write_bytes(f[0].read_bytes()[:-100]), "no JSON"),
    "JSON empty": (lambda f: f[0].write_bytes(b""), "no JSON"),
    "JSON of null bytes": (lambda f: f[0].write_bytes(bytes(1000)), "no JSON"),
    "JSON nested deeply": (lambda f: f[0].write_bytes(b"[" * 200_000), "no JSON"),
    "JSON with a lone surrogate": (lambda f: f[0].write_bytes(b'{"content": "\\ud800"}'), "no JSON"),
    "JSON with NaN": (lambda f: f[0].write_bytes(b'{"content": NaN}'), "NaN is no JSON"),
    "JSON with a number of a million digits": (lambda f: f[0].write_bytes(b"9" * 10**6), "no JSON"),
    "JSON of another kind": (lambda f: f[0].write_bytes(b"[1, 2]"), "format"),
    "a step of text": (lambda f: rewritten(f, lambda c: c.update(step="6")), "'step' is of type str"),
    "a step of true": (lambda f: rewritten(f, lambda c: c.update(step=True)), "'step' is of type bool"),
    "another step": (lambda f: rewritten(f, lambda c: c.update(step=7)), "not that of its name"),
    "no seed": (lambda f: rewritten(f, lambda c: c.pop("seed")), "'seed' is of type NoneType"),
    "a negative seed": (lambda f: rewritten(f, lambda c: c.update(seed=-1)), "seed"),
    "a run of numbers": (lambda f: rewritten(f, lambda c: c["run"].update(method=1)), "more than texts"),
    "spectra of objects": (lambda f: rewritten(f, lambda c: c.update(spectra=[{}])), "more than texts"),
    "spectra of other text": (lambda f: rewritten(f, lambda c: c.update(spectra=["[]"])), "misstates"),
    "another name": (lambda f: renamed(f), "not that of its name"),
    "a pickle": (lambda f: f[1].write_bytes(pickle.dumps(Bomb())), "bytes instead of"),
    "a pickle with its checksum": (lambda f: replaced(f, pickle.dumps(Bomb())), "no safetensors"),
    "a header beyond the file": (lambda f: replaced(f, header(b"{}", 2**62)), "no safetensors"),
    "a header of a gigabyte": (lambda f: replaced(f, header(b"{}", 2**30)), "no safetensors"),
    "a tensor beyond the file": (
        lambda f: replaced(f, header(b'{"z":{"dtype":"F32","shape":[1073741824],"data_offsets":[0,4294967296]}}')),
        "no safetensors",
    ),
    "an overflowing shape": (
        lambda f: replaced(f, header(b'{"z":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}')),
        "no safetensors",
    ),
    "a name with a path": (lambda f: changed(f, **{"../../z": torch.zeros(2)}), "which no checkpoint has"),
    "no z": (lambda f: changed(f, z=None), r"lacks \['z'\]"),
    "no costs": (lambda f: changed(f, costs=None), "lacks"),
    "a hole in the memory": (lambda f: changed(f, **{"memory.1": None}), "lacks or misstates 'memory.1'"),
    "NaN": (lambda f: changed(f, z=torch.full((83,), torch.nan)), "z has numbers that are not finite"),
    "infinite memory": (lambda f: changed(f, **{"memory.0": torch.full((83,), torch.inf)}), "not finite"),
    "bytes for numbers": (lambda f: changed(f, z=torch.zeros(83, dtype=torch.uint8)), "type torch.uint8"),
    "a matrix for z": (lambda f: changed(f, z=torch.zeros(83, 1)), "do not belong together"),
    "steps that stand still": (lambda f: changed(f, cost_steps=torch.ones(6, dtype=torch.int64)), "do not ascend"),
    "costs with a gap": (
        lambda f: changed(f, costs=torch.zeros(3, 2, dtype=torch.float64), cost_steps=torch.tensor([1, 3, 6])),
        "every first, second, fourth",
    ),
    "costs of every third step": (
        lambda f: changed(f, costs=torch.zeros(2, 2, dtype=torch.float64), cost_steps=torch.tensor([1, 4])),
        "every first, second, fourth",
    ),
    "half costs": (lambda f: changed(f, costs=torch.zeros(6, 2, dtype=torch.float16)), "costs are of type"),
    "no snapshot": (
        lambda f: changed(
            f,
            snapshots=torch.zeros(0, 83),
            snapshot_steps=torch.zeros(0, dtype=torch.int64),
            field_norms=torch.zeros(0, 2, dtype=torch.float64),
        ),
        "no snapshot of step 0",
    ),
    "snapshots of integers": (
        lambda f: changed(f, snapshots=torch.zeros(7, 83, dtype=torch.int64)),
        "snapshots are of type torch.int64",
    ),
    "an average of double": (lambda f: changed(f, average=torch.zeros(83, dtype=torch.float64)), "average are of type"),
    "a spectrum three times": (lambda f: rewritten(f, lambda c: c.update(spectra=c["spectra"] * 3)), "two of one step"),
    "a spectrum of step -7": (lambda f: rewritten(f, lambda c: respelt(c, '"step": 0', '"step": -7')), r"\[-7\]"),
    "a spectrum of more": (lambda f: rewritten(f, lambda c: respelt(c, '"dim": 83', '"dim": 1e999')), "dimension"),
    "a terabyte": (lambda f: terabyte(f), "more than the memory"),
    "more steps than costs": (lambda f: changed(f, cost_steps=torch.arange(99)), "do not belong together"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_taken(
    name: str, out: Path, eight_steps: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    attack, words = ATTACKS[name]
    attack((out / "checkpoints/step_00000006.json", out / "checkpoints/step_00000006.safetensors"))
    damaged = find_checkpoints(out / "checkpoints")[-1]
    with pytest.raises(ValueError, match=words) as caught:
        load_checkpoint(damaged)
    assert damaged.stem in str(caught.value)
    assert "Delete the files" in str(caught.value)
    with pytest.warns(UserWarning, match=r"goes on from the checkpoint of step 4"):
        result = train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    assert torch.equal(result.z, eight_steps)
    assert not (out / "executed").exists()
    assert [path.stem for path in find_checkpoints(out / "checkpoints")] == ["step_00000006", "step_00000008"]
    assert load_checkpoint(out).step == 8


def test_a_run_with_only_damaged_checkpoints_is_not_started_anew(out: Path) -> None:
    for path in (out / "checkpoints").glob("*.safetensors"):
        flipped(path, 0.5)
    before = (out / "log.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"no checkpoint can be read.*step_00000006.*step_00000004"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    assert (out / "log.jsonl").read_bytes() == before


def test_tensors_of_another_size_are_refused_before_they_are_used(out: Path) -> None:
    files = (out / "checkpoints/step_00000006.json", out / "checkpoints/step_00000006.safetensors")
    changed(files, **{"memory.2": torch.zeros(83, dtype=torch.float64)})
    with pytest.raises(ValueError, match="are not those of the method"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    changed(files, **{"memory.2": torch.zeros(2, dtype=torch.float64), "replay": torch.zeros(41, 2)})
    with pytest.raises(ValueError, match="replay"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("memory.2", torch.tensor([-5.0, 6.0]), "a negative or a broken number of steps"),
        ("memory.2", torch.tensor([0.5, 6.0]), "a negative or a broken number of steps"),
        ("memory.1", torch.full((83,), -1.0), "a mean of squares is negative"),
    ],
)
def test_a_memory_that_adam_cannot_have_is_refused(name: str, values: torch.Tensor, words: str, out: Path) -> None:
    files = (out / "checkpoints/step_00000006.json", out / "checkpoints/step_00000006.safetensors")
    changed(files, **{name: values.to(load(files[1].read_bytes())[name].dtype)})
    with pytest.raises(ValueError, match=rf"step_00000006.json.*{words}.*delete it"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)


# --- the log


def test_the_log_has_costs_norms_and_events(out: Path) -> None:
    lines = read_log(out)
    result = train(small(), METHOD, 6, **{**SETTINGS, "checkpoint_every": None})
    costs = [line for line in lines if "costs" in line]
    assert [line["step"] for line in costs] == [1, 2, 3, 4, 5, 6]
    assert [list(line["costs"].values()) for line in costs] == result.costs.tolist()
    norms = [list(line["field_norms"].values()) for line in lines if "field_norms" in line]
    assert norms == result.field_norms.tolist()
    assert [(line["event"], line["step"]) for line in lines if "event" in line] == [
        *[("start", 0), ("checkpoint", 2), ("checkpoint", 4), ("checkpoint", 6), ("finished", 6)]
    ]
    assert lines[0]["run"]["seed"] == "5"
    assert all(line["seconds"] >= 0 for line in lines)
    assert all(line["steps_per_second"] > 0 for line in costs)


def test_a_torn_line_of_the_log_is_dropped_and_a_foreign_file_refused(out: Path) -> None:
    whole = read_log(out)
    with open(out / "log.jsonl", "ab") as file:
        file.write(b'{"step": 7, "co')
    with pytest.warns(UserWarning, match="torn"):
        assert read_log(out / "log.jsonl") == whole
    with pytest.warns(UserWarning, match="torn"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    assert [line["step"] for line in read_log(out) if "costs" in line] == list(range(1, 9))
    odd = (b'{"step": 1, "x": "\\ud800"}\n', b'{"step": 1, "costs": NaN}\n')
    for foreign in (b"hello\n", b"[1]\n", b'{"step": -1}\n', b'{"step": true}\n', b"[" * 100_000 + b"\n", *odd):
        (out / "log.jsonl").write_bytes(foreign)
        with pytest.raises(ValueError, match=r"line 1 of .* is none of a run's log"):
            read_log(out)
    with pytest.raises(FileNotFoundError, match="no log"):
        read_log(out / "checkpoints")


def test_costs_that_are_not_finite_are_null_in_the_log(tmp_path: Path) -> None:
    result = train(small(), gd.scheduled(gd.Simultaneous(1.0), "lr", lambda k: 1e38), 5, out=tmp_path)
    assert result.status == "diverged"
    costs = [line["costs"] for line in read_log(tmp_path) if "costs" in line]
    assert costs[-1]["discriminator"] is None


def test_a_log_that_is_a_link_or_a_folder_is_left_alone(out: Path, tmp_path: Path) -> None:
    log, other = out / "log.jsonl", tmp_path / "precious"
    other.write_bytes(log.read_bytes())
    log.unlink()
    log.symlink_to(other)
    before = other.read_bytes()
    with pytest.raises(ValueError, match=r"is a symbolic link.*move it away"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="is a symbolic link"):
        train(small(), METHOD, 8, out=out, **SETTINGS)
    log.unlink()
    log.mkdir()
    with pytest.raises(ValueError, match="is no plain file"):
        train(small(), METHOD, 8, out=out, resume=True, **SETTINGS)
    log.rmdir()
    log.write_text("a diary of mine\n")
    with pytest.raises(ValueError, match="none of a run's log"):
        train(small(), METHOD, 8, out=out, **SETTINGS)
    assert (other.read_bytes(), log.read_text()) == (before, "a diary of mine\n")


class Writer:
    """What is asked of a SummaryWriter."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        pass


def test_tensorboard_gets_the_numbers_of_the_log_with_and_without_a_folder(tmp_path: Path) -> None:
    writer, alone = Writer(), Writer()
    result = train(small(), METHOD, 4, out=tmp_path, tensorboard=writer)
    train(small(), METHOD, 4, tensorboard=alone)
    ours, theirs = ([entry for entry in w.scalars if not entry[0].startswith("time/")] for w in (writer, alone))
    assert ours == theirs
    assert [entry for entry in ours if entry[0] == "cost/generator"] == [
        ("cost/generator", cost, step) for step, cost in enumerate(result.costs[:, 0].tolist(), start=1)
    ]
    assert [step for name, _, step in ours if name == "field/norm_discriminator"] == [0, 1, 2, 3, 4]
    with pytest.raises(TypeError, match="SummaryWriter"):
        train(small(), METHOD, 4, tensorboard=3)
