"""The result of a training: its file, its page, and what no result is."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.neural import GAN, TrainingResult, mlp_discriminator, mlp_generator, ring, train

DOUBLE = torch.float64
ADAM = {"beta1": 0.5, "beta2": 0.99}


def small(dtype: torch.dtype = DOUBLE) -> GAN:
    g = mlp_generator(3, 2, (8,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, dtype=dtype)


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    result = train(
        small(torch.float32), gd.Method(gd.Extragradient(0.01), gd.Adam(**ADAM)), 10, spectrum_at=(0, 10), spectrum_k=3
    )
    path = tmp_path / "run.npz"
    result.save(path)
    again = TrainingResult.load(path)
    assert torch.equal(again.z, result.z)
    assert torch.equal(again.snapshots, result.snapshots)
    assert repr(again) == repr(result)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = train(small(torch.float32), gd.Simultaneous(0.1), 2)
    path = tmp_path / "run.npz"
    path.write_bytes(b"old")

    def full_disk(*args: Any, **kw: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="no space"):
        result.save(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    result = train(small(torch.float32), gd.Simultaneous(0.1), 2)
    result.save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:300])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "array.npz", x=np.zeros(3))
    np.savez(tmp_path / "objects.npz", format=np.array([{"a": 1}], dtype=object))
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("cut.npz", "text.npz", "array.npz", "objects.npz", "single.npy"):
        with pytest.raises(ValueError, match="gamedyn training result"):
            TrainingResult.load(tmp_path / name)


def test_an_average_survives_the_file_of_its_result(tmp_path: Path) -> None:
    result = train(small(), gd.Simultaneous(0.1), 3, average=0.9)
    result.save(tmp_path / "run.npz")
    assert torch.equal(TrainingResult.load(tmp_path / "run.npz").average, result.average)  # type: ignore[arg-type]


def test_a_result_whose_parts_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    import json

    path = tmp_path / "run.npz"
    train(small(torch.float32), gd.Simultaneous(0.1), 2, average=0.5).save(path)
    whole, data = dict(np.load(path)), path.read_bytes()
    record = json.loads(str(whole["record"]))
    changes: list[dict[str, Any]] = [
        *({"record": {**record, **bad}} for bad in ({"steps": "x"}, {"players": 5}, {"seconds": math.nan}, {"odd": 1})),
        {"record": "[" * 100_000},
        {"z": np.zeros(83, dtype=np.uint16)},
        {"costs": np.zeros(2)},
        {"snapshots": np.zeros((3, 4), dtype=np.float32)},
        {"average": whole["average"].astype(float)},
        {"cost_steps": np.zeros(3, dtype=int)},
    ]
    for change in changes:
        change |= {"record": np.array(json.dumps(change["record"]))} if isinstance(change.get("record"), dict) else {}
        np.savez(path, **{**whole, **change})
        with pytest.raises(ValueError, match="gamedyn training result"):
            TrainingResult.load(path)
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            TrainingResult.load(path)


def test_a_result_prints_on_one_screen_and_training_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    result = train(small(torch.float32), gd.Simultaneous(0.01), 60, every=1, spectrum_at=(0,), spectrum_k=2)
    assert len(repr(result).splitlines()) <= 24
    assert max(map(len, repr(result).splitlines())) <= 160
    assert capfd.readouterr() == ("", "")
