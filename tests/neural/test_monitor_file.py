"""What a monitor leaves behind: a file of records that survives whatever ends a run, and TensorBoard."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.analysis.monitor_file import MonitorFile, TensorBoard, read_monitor

DOUBLE = torch.float64
SPIRAL = gd.zero_sum("x**2/2 + 2*x*y - y**2/2", min="x", max="y")  # J = [[1, 2], [-2, 1]]


def small(dtype: torch.dtype = DOUBLE, width: int = 8) -> GAN:
    g = mlp_generator(3, 2, (width,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (width,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, dtype=dtype)


# --- the file


def test_records_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    monitor = Monitor(every=5, k=3, share=None, file=path)
    train(small(), gd.Simultaneous(1e-2), 10, monitor=monitor)
    again = read_monitor(path)
    assert [r.to_dict() for r in again] == [r.to_dict() for r in monitor.records]
    assert [repr(r) for r in again] == [repr(r) for r in monitor.records]
    assert "NaN" not in path.read_text()


def test_every_line_is_in_the_file_before_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    monitor = Monitor(every=1, share=None, file=path)
    for step in range(3):
        monitor(step, SPIRAL, [1.0, 1.0])
        assert len(path.read_bytes().splitlines()) == step + 1


@pytest.mark.parametrize("cut", [1, 2, 40, 10_000])
def test_a_torn_last_line_is_dropped_and_the_file_goes_on(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.jsonl"
    first = Monitor(every=1, share=None, file=path)
    for step in range(3):
        first(step, SPIRAL, [1.0, 1.0])
    data = path.read_bytes()
    last = data.splitlines(keepends=True)[-1]
    cut = min(cut, len(last) - 1)
    path.write_bytes(data[:-cut])
    torn = cut > 1  # without its end alone, the line still is a whole record
    if torn:
        with pytest.warns(UserWarning, match="torn"):
            assert [r.step for r in read_monitor(path)] == [0, 1]
        with pytest.warns(UserWarning, match="torn.*dropped"):
            again = Monitor(every=1, share=None, file=path)
    else:
        again = Monitor(every=1, share=None, file=path)
    again(3, SPIRAL, [1.0, 1.0])
    assert [r.step for r in read_monitor(path)] == ([0, 1, 3] if torn else [0, 1, 2, 3])


def test_a_run_that_starts_again_replaces_its_later_records(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    for begin in (0, 2):
        monitor = Monitor(every=1, share=None, file=path)
        for step in range(begin, 4):
            monitor(step, SPIRAL, [1.0 + begin, 1.0])
    records = read_monitor(path)
    assert [r.step for r in records] == [0, 1, 2, 3]
    assert records[1].field_norms["x"] != records[2].field_norms["x"] == records[3].field_norms["x"]
    assert len(path.read_text().splitlines()) == 6  # nothing is deleted


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello\n",
        pytest.param("[" * 100_000 + "\n", id="deep"),
        '{"step": 1}\n[2]\n',
        '{"step": 1.5}\n',
        '{"stop": 1}\n',
        '{"step": 1, "other": 2}\n',
        "\n",
    ],
)
def test_files_of_another_kind_are_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    for use in (read_monitor, MonitorFile, lambda p: Monitor(every=1, file=p)):
        with pytest.raises(ValueError, match="no record of a monitor"):
            use(path)
    assert path.read_text() == text


def test_an_empty_file_and_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_monitor(tmp_path / "empty") == ()
    Monitor(every=1, file=tmp_path / "empty")(0, SPIRAL, [1.0, 1.0])
    assert len(read_monitor(tmp_path / "empty")) == 1
    with pytest.raises(FileNotFoundError, match="make it first"):
        Monitor(every=1, file=tmp_path / "none" / "run.jsonl")


# --- TensorBoard


class Writer:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.scalars: list[tuple[str, float, int]] = []
        self.args, self.kwargs, self.closed, self.flushes = args, kwargs, False, 0

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        self.flushes += 1

    def close(self) -> None:
        self.closed = True


def test_a_writer_of_ones_own_receives_the_scalars() -> None:
    writer = Writer()
    monitor = Monitor(every=1, share=None, tensorboard=writer)
    monitor(0, SPIRAL, [3.0, 4.0])
    monitor(1, SPIRAL, [2.0, 4.0])
    monitor(2, SPIRAL, [math.nan, 4.0])
    monitor.close()
    first = {name: value for name, value, step in writer.scalars if step == 0}
    assert first["eigen/real_min"] == first["eigen/real_max"] == pytest.approx(1.0)
    assert first["eigen/modulus_max"] == pytest.approx(5**0.5)
    assert first["rotation/antisymmetric_share"] == pytest.approx(2 / 5**0.5)
    assert (first["field/norm_x"], first["field/norm_y"]) == pytest.approx((11.0, 2.0))
    assert "path/cosine" not in first
    assert "path/cosine" in {name for name, _, step in writer.scalars if step == 1}
    assert all(math.isfinite(value) for _, value, _ in writer.scalars)
    assert writer.flushes >= 2
    assert not writer.closed


def test_a_directory_gets_a_writer_at_the_first_look_and_loses_it_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Writer] = []

    def make(*args: Any, **kwargs: Any) -> Writer:
        made.append(Writer(*args, **kwargs))
        return made[-1]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=make))
    monkeypatch.setattr("gamedyn.neural.analysis.monitor_file.find_spec", lambda name: object())
    monitor = Monitor(every=10, share=None, tensorboard=tmp_path)
    assert not made
    monitor(20, SPIRAL, [1.0, 1.0])
    assert made[0].args == (str(tmp_path),)
    assert made[0].kwargs == {"purge_step": 20}
    monitor.close()
    assert made[0].closed


def test_a_directory_without_tensorboard_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gamedyn.neural.analysis.monitor_file.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "gamedyn\[tensorboard\]"'):
        Monitor(every=1, tensorboard=tmp_path)
    Monitor(every=1, tensorboard=Writer())  # a writer of one's own needs no package
    with pytest.raises(TypeError, match="SummaryWriter"):
        TensorBoard(3)


def test_tensorboard_itself_reads_what_was_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monitor = Monitor(every=1, share=None, tensorboard=tmp_path)
    for step in range(3):
        monitor(step, SPIRAL, [1.0 + step, 1.0])
    monitor.close()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    found = [(e.step, e.value) for e in events.Scalars("eigen/modulus_max")]
    assert found == [(step, pytest.approx(5**0.5, rel=1e-6)) for step in range(3)]


@pytest.mark.slow
def test_a_killed_run_loses_no_look(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    code = f"""
import gamedyn as gd
from gamedyn.neural.analysis.monitor import Monitor
game = gd.zero_sum("x*y", min="x", max="y")
monitor, step = Monitor(every=1, share=None, file={str(path)!r}), 0
while True:
    monitor(step, game, [1.0, 1.0])
    print(step, flush=True)
    step += 1
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        said = [int(run.stdout.readline()) for _ in range(20)]
        run.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether the last line is torn depends on the moment
        again = Monitor(every=1, file=path)
    records = read_monitor(path)
    assert [r.step for r in records] == list(range(len(records)))
    assert len(records) > said[-1]
    again(len(records), SPIRAL, [1.0, 1.0])
    assert len(read_monitor(path)) == len(records) + 1
