"""A run that was killed goes on as if it had not been, to the last bit."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.training import Replay, TrainingResult, load_checkpoint, read_log
from gamedyn.neural.training import folder as folder_module
from gamedyn.neural.training.files import write_whole
from gamedyn.neural.training.log import LogLine, RunLog

METHOD = gd.Method(gd.Alternating(0.01, order=(1, 0), steps=(2, 1)), gd.Adam(beta1=0.5))


def small(seed: int = 3, **settings: Any) -> GAN:
    g = mlp_generator(3, 2, (8,), activation="tanh", seed=seed)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, **settings)


class Stopped(Exception):
    """What interrupts a run in these tests."""


def interrupted(out: Path, at: int, steps: int, method: Any, **settings: Any) -> None:
    """A run that ends in an exception at the snapshot of a step."""

    def stop(step: int, z: torch.Tensor) -> None:
        if step >= at:
            raise Stopped

    with pytest.raises(Stopped):
        train(small(), method, steps, out=out, callback=stop, **settings)


def assert_same(ours: TrainingResult, whole: TrainingResult) -> None:
    assert torch.equal(ours.z, whole.z)
    assert torch.equal(ours.snapshots, whole.snapshots)
    assert ours.steps == whole.steps
    for name in ("costs", "cost_steps", "snapshot_steps", "field_norms"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))
    for one, other in zip(ours.preconditioner_state, whole.preconditioner_state, strict=True):
        assert torch.equal(one, other)
    assert [s.to_json() for s in ours.spectra] == [s.to_json() for s in whole.spectra]
    assert (ours.average is None) == (whole.average is None)
    assert ours.average is None or torch.equal(ours.average, whole.average)  # type: ignore[arg-type]


def without_times(folder: Path) -> list[dict[str, Any]]:
    """A log without clocks and without the lines that say where it went on."""
    clocks = ("time", "seconds", "steps_per_second")
    lines = [line for line in read_log(folder) if line.get("event") != "resume"]
    return [{name: value for name, value in line.items() if name not in clocks} for line in lines]


RUNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam, average": (METHOD, {"average": 0.9}),
    "adam, replay": (METHOD, {"replay": Replay(40, 0.25)}),
    "independent batches": (METHOD, {"sampling": "independent"}),
    "optimistic": (gd.Optimistic(0.05), {}),
    "look-ahead, RMSProp": (gd.Method(gd.lookahead(gd.HeavyBall(0.01, 0.5), 3, 0.5), gd.RMSProp()), {}),
    "variance reduced": (gd.variance_reduced(gd.Simultaneous(0.05), 4), {}),
    "schedule": (gd.Method(gd.scheduled(gd.Simultaneous(0.05), "lr", lambda k: 0.05 / (1 + k)), gd.Adam()), {}),
    "period": (gd.scheduled(gd.Alternating(0.05), "lr", (0.05, 0.02, 0.1)), {}),
    "extragradient, unrolled": (gd.Method(gd.Extragradient(0.01), gd.Adam(), gd.unrolled(2, lr=0.1)), {}),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_interrupted_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    method, settings = RUNS[name]
    settings = {"every": 5, "log_every": 3, "checkpoint_every": 4, "seed": 2, **settings}
    whole = train(small(), method, 20, out=tmp_path / "whole", **settings)
    interrupted(tmp_path / "cut", 15, 20, method, **settings)
    assert load_checkpoint(tmp_path / "cut").step == 12
    ours = train(small(), method, 20, out=tmp_path / "cut", resume=True, **settings)
    assert_same(ours, whole)
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")
    events = [(line["event"], line["step"]) for line in read_log(tmp_path / "cut") if "event" in line]
    marks = [("checkpoint", step) for step in (4, 8, 12)]
    assert events == [("start", 0), *marks, ("resume", 12), ("checkpoint", 16), ("checkpoint", 20), ("finished", 20)]
    assert sorted(p.name for p in (tmp_path / "cut" / "checkpoints").iterdir()) == [
        f"step_000000{step}.{end}" for step in (16, 20) for end in ("json", "safetensors")
    ]


def test_a_run_without_a_folder_is_the_same_run(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    settings: dict[str, Any] = {"average": 0.9, "replay": Replay(40, 0.25), "spectrum_at": (0, 10), "spectrum_k": 3}
    whole = train(small(), METHOD, 10, out=tmp_path, resume=True, checkpoint_every=3, **settings)
    assert_same(whole, train(small(), METHOD, 10, **settings))
    assert_same(train(small(), METHOD, 10, out=tmp_path, resume=True, **settings), whole)  # nothing is left to do
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_finished_run_is_extended_as_if_it_had_been_longer(tmp_path: Path) -> None:
    train(small(), METHOD, 10, out=tmp_path, average=0.9)
    longer = train(small(), METHOD, 30, out=tmp_path, average=0.9, resume=True)
    whole = train(small(), METHOD, 30, average=0.9)
    assert torch.equal(longer.z, whole.z)
    assert torch.equal(longer.average, whole.average)  # type: ignore[arg-type]
    np.testing.assert_array_equal(longer.costs, whole.costs)
    assert set(longer.snapshot_steps) <= set(whole.snapshot_steps)
    assert [line["step"] for line in read_log(tmp_path) if line.get("event") == "finished"] == [30]
    with pytest.warns(UserWarning, match=r"no spectra of the steps \[5\], which lie before .* step 30"):
        spectra = train(small(), METHOD, 33, out=tmp_path, average=0.9, resume=True, spectrum_at=(5, 30), spectrum_k=1)
    assert [s.step for s in spectra.spectra] == [30]
    with pytest.raises(ValueError, match="steps=20 is less"):
        train(small(), METHOD, 20, out=tmp_path, average=0.9, resume=True)


def test_an_extended_run_has_the_record_of_a_longer_one_where_its_spacing_is_given(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"every": 4, "log_every": 2, "checkpoint_every": 4, "resume": True}
    train(small(), METHOD, 12, out=tmp_path / "a", **settings)
    assert_same(
        train(small(), METHOD, 20, out=tmp_path / "a", **settings),
        train(small(), METHOD, 20, out=tmp_path / "b", **settings),
    )
    assert without_times(tmp_path / "a") == without_times(tmp_path / "b")


def test_what_is_recorded_of_the_costs_does_not_depend_on_the_steps_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    from gamedyn.neural.training import run as run_module

    monkeypatch.setattr(run_module, "COST_RECORDS", 6)
    short, long = (train(small(), METHOD, n) for n in (17, 40))
    assert short.cost_steps.tolist() == [1, 5, 9, 13, 17]
    assert long.cost_steps.tolist() == [1, 9, 17, 25, 33]


# --- killed by the operating system

CHILDREN = """
    import os, signal, sys, time, random, warnings
    import torch
    torch.set_num_threads(1)
    import gamedyn as gd
    from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
    from gamedyn.neural.training import Replay

    def run(out, resume, kill=None, pipe=None):
        G, D = mlp_generator(3, 2, (8,), seed=3), mlp_discriminator(2, (8,), seed=4)
        gan = GAN(G, D, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32)
        method = gd.Method(gd.Alternating(0.01, order=(1, 0)), gd.Adam(beta1=0.5))
        calls, replace = [0], os.replace
        def deadly(*names):
            calls[0] += 1
            if calls[0] == kill: os.kill(os.getpid(), signal.SIGKILL)
            replace(*names)
        os.replace = deadly
        tell = None if pipe is None else lambda step, z: os.write(pipe, b".")
        settings = dict(average=0.99, replay=Replay(40, 0.25), every=10, log_every=5, callback=tell)
        result = train(gan, method, STEPS, out=out, resume=resume, checkpoint_every=out and EVERY, **settings)
        if out: torch.save(dict(z=result.z, average=result.average, costs=torch.tensor(result.costs)), out + ".pt")

    import safetensors.torch
    STEPS, EVERY = 1, 1
    run(None, False)  # what children share

    def child(*arguments):
        number = os.fork()
        if number: return number
        try:
            run(*arguments)
            os._exit(0)
        finally:
            os._exit(1)

    def ended(number):
        return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
"""

KILLED = """
    STEPS, EVERY = 250, 20
    assert ended(child(sys.argv[1] + "/whole", False)) == 0
    moments, kills, reached = random.Random(5), 0, []
    for k in range(10):
        ours, theirs = os.pipe()
        number = child(sys.argv[1] + "/cut", True, None, theirs)
        os.close(theirs)
        for _ in range(moments.randint(1, 4)):  # tens of steps
            os.read(ours, 1)
        time.sleep(moments.uniform(0, 0.01))
        os.kill(number, signal.SIGKILL)
        kills += ended(number) == -signal.SIGKILL
        os.close(ours)
        done = [int(name[5:13]) for name in os.listdir(sys.argv[1] + "/cut/checkpoints") if name.endswith(".json")]
        reached.append(max([0, *done]))
    assert ended(child(sys.argv[1] + "/cut", True)) == 0
    print(kills, *reached)

    STEPS, EVERY = 20, 10
    assert ended(child(sys.argv[1] + "/short", False)) == 0
    for kill in range(1, 5):  # two files of each of two checkpoints, written and not renamed yet
        assert ended(child(sys.argv[1] + f"/short{kill}", False, kill)) == -signal.SIGKILL
        assert ended(child(sys.argv[1] + f"/short{kill}", True)) == 0
"""


def in_children(script: str, folder: Path) -> str:
    """Run a script whose children can be killed, in an interpreter that has no other threads."""
    code = textwrap.dedent(CHILDREN) + textwrap.dedent(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def final(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path.with_name(path.name + ".pt"), weights_only=True)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are made by fork")
def test_kills_at_random_moments_and_before_every_rename_change_no_bit(tmp_path: Path) -> None:
    kills, *reached = map(int, in_children(KILLED, tmp_path).split())
    assert kills == 10
    assert reached == sorted(reached)
    assert 0 < reached[-1] < 250
    for whole, cuts in (("whole", ["cut"]), ("short", [f"short{kill}" for kill in range(1, 5)])):
        expected, log = final(tmp_path / whole), without_times(tmp_path / whole)
        for cut in cuts:
            ours = final(tmp_path / cut)
            assert all(torch.equal(expected[name], ours[name]) for name in expected)
            assert without_times(tmp_path / cut) == log
            assert len(list((tmp_path / cut / "checkpoints").iterdir())) == 4


# --- several processes


def shared(rank: int, folder: str) -> None:
    """One of two processes that train, stop, and go on together."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    settings: dict[str, Any] = {"average": 0.9, "replay": Replay(40, 0.25), "checkpoint_every": 4, "group": "world"}
    whole = train(small(), METHOD, 12, **{**settings, "checkpoint_every": None})
    train(small(), METHOD, 8, out=f"{folder}/run", **settings)
    ours = train(small(), METHOD, 12, out=f"{folder}/run", resume=True, **settings)
    torch.save({"ours": ours.z, "whole": whole.z}, f"{folder}/{rank}.pt")
    expected = FileExistsError if rank == 0 else RuntimeError  # the first refuses, and the other does not wait for it
    with pytest.raises(expected, match="resume=True" if rank == 0 else "rank 0 refused"):
        train(small(), METHOD, 20, out=f"{folder}/run", **settings)
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_go_on_together_and_one_of_them_writes(tmp_path: Path) -> None:
    mp.spawn(shared, (str(tmp_path),), nprocs=2)
    ends = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(torch.equal(end[name], ends[0]["whole"]) for end in ends for name in end)
    events = [(line["event"], line["step"]) for line in read_log(tmp_path / "run") if "event" in line]
    assert events == [
        *[("start", 0), ("checkpoint", 4), ("checkpoint", 8), ("resume", 8), ("checkpoint", 12), ("finished", 12)]
    ]


# --- another run, another machine


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    train(small(), METHOD, 4, out=tmp_path, seed=1)
    wider = GAN(mlp_generator(3, 2, (9,)), mlp_discriminator(2, (8,)), data=ring(n=100, seed=1), batch_size=16)
    others: dict[str, tuple[GAN, Any, dict[str, Any]]] = {
        "seed: 1 there, 2 here": (small(), METHOD, {"seed": 2}),
        "batch size: 16 there, 8 here": (small(), METHOD, {"batch_size": 8}),
        "sampling": (small(), METHOD, {"sampling": "independent"}),
        "average: None there, 0.9 here": (small(), METHOD, {"average": 0.9}),
        "replay": (small(), METHOD, {"replay": Replay(64)}),
        "method": (small(), gd.Simultaneous(0.01), {}),
        "lr=0.0100000001": (small(), gd.Method(gd.Alternating(0.0100000001, (1, 0), (2, 1)), gd.Adam(beta1=0.5)), {}),
        "loss": (small(loss="saturating"), METHOD, {}),
        "dtype": (small(dtype=torch.float64), METHOD, {}),
        "data": (GAN(small().generator, small().discriminator, data=ring(n=100, seed=2), batch_size=16), METHOD, {}),
        "network 0, generator": (wider, METHOD, {}),
        "transforms of the game": (gd.two_timescale(2.0)(small()), METHOD, {}),  # type: ignore[dict-item]
    }
    for words, (gan, method, settings) in others.items():
        with pytest.raises(ValueError, match="of another run") as caught:
            train(gan, method, 8, out=tmp_path, resume=True, **{"seed": 1, **settings})
        assert words in str(caught.value)
    for gan, z0 in ((small(seed=9), None), (small(), torch.zeros(small().dim))):
        with pytest.raises(ValueError, match=r"another run.* start \(z0, or what the modules hold\): '\w{64}' there"):
            train(gan, METHOD, 8, out=tmp_path, seed=1, resume=True, z0=z0)
    start = small().initial()
    assert train(small(seed=9), METHOD, 4, out=tmp_path, seed=1, resume=True, z0=start).steps == 4


def test_another_cut_of_the_batches_is_another_machine_unless_old_samples_are_shared_out(tmp_path: Path) -> None:
    train(small(), METHOD, 4, out=tmp_path / "a", accumulate=2)
    with pytest.warns(UserWarning, match="accumulate: 2 there, 4 here"):
        ours = train(small(), METHOD, 8, out=tmp_path / "a", accumulate=4, resume=True)
    torch.testing.assert_close(ours.z, train(small(), METHOD, 8).z, rtol=0, atol=1e-5)
    train(small(), METHOD, 4, out=tmp_path / "b", accumulate=2, replay=Replay(40, 0.25))
    with pytest.raises(ValueError, match=r"another run.* accumulate: 2 there, 4 here"):
        train(small(), METHOD, 8, out=tmp_path / "b", accumulate=4, replay=Replay(40, 0.25), resume=True)


def test_a_schedule_with_other_values_is_refused(tmp_path: Path) -> None:
    def method(late: float) -> Any:
        return gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1 if k < 3 else late)

    for last in (70, 90):  # between the steps that a sample of them would look at
        late = gd.scheduled(
            gd.per_player(gd.Simultaneous(0.1), (1.0, 2.0)), "lr", lambda k, s=last: 0.1 / (1 + (k > s))
        )
        if last == 70:
            train(small(), late, 100, out=tmp_path / "long", every=100)
        else:
            with pytest.raises(ValueError, match="schedule gave other coefficients"):
                train(small(), late, 120, out=tmp_path / "long", resume=True)
    train(small(), method(0.05), 3, out=tmp_path)
    assert train(small(), method(0.02), 6, out=tmp_path, resume=True).steps == 6  # the same up to the checkpoint
    with pytest.raises(ValueError, match="schedule gave other coefficients"):
        train(small(), method(0.05), 9, out=tmp_path, resume=True)


def test_a_run_that_goes_on_elsewhere_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gamedyn.neural.training import run as run_module

    train(small(), METHOD, 4, out=tmp_path)
    here = run_module.machine(torch.device("cpu"))
    monkeypatch.setattr(run_module, "machine", lambda device: {**here, "threads": "64"})
    with pytest.warns(UserWarning, match="threads: 1 there, 64 here"):
        result = train(small(), METHOD, 8, out=tmp_path, resume=True)
    assert torch.equal(result.z, train(small(), METHOD, 8).z)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train(small(), METHOD, 4, out=tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(FileExistsError, match="resume=True"):
        train(small(), METHOD, 4, out=tmp_path)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    def second(step: int, z: torch.Tensor) -> None:
        for resume in (True, False):
            with pytest.raises(BlockingIOError, match="a run is going on in"):
                train(small(), METHOD, 20, out=tmp_path, resume=resume)

    train(small(), METHOD, 10, out=tmp_path, callback=second)
    assert train(small(), METHOD, 12, out=tmp_path, resume=True).steps == 12


def test_what_cannot_be_trained_leaves_no_file_and_a_refused_run_is_not_begun(tmp_path: Path) -> None:
    begun: list[Any] = []
    calls: dict[str, Any] = {"begun": lambda: begun.append(sorted(p.name for p in tmp_path.iterdir()))}
    with pytest.raises(gd.NotInThisWorld):
        train(small(), gd.Method(gd.ProximalPoint(0.1), gd.Adam()), 4, out=tmp_path / "run", **calls)
    assert list(tmp_path.iterdir()) == begun == []
    train(small(), METHOD, 4, out=tmp_path, **calls)
    with pytest.raises(ValueError, match="steps=2 is less"):
        train(small(), METHOD, 2, out=tmp_path, resume=True, **calls)
    assert begun == [[".lock", "checkpoints", "log.jsonl"]]


@pytest.mark.parametrize("at", [0, 7, 8])
def test_ctrl_c_waits_for_the_step_and_keeps_its_state(at: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"every": 7, "checkpoint_every": 4, "average": 0.9, "replay": Replay(40, 0.25)}
    whole = train(small(), METHOD, 20, **{**settings, "checkpoint_every": None})

    class Asked(type(METHOD.rule)):  # type: ignore[misc]
        def step(self, F: Any, z: Any, memory: Any) -> Any:
            made.append(0)
            if len(made) == at + 1:  # the first is the rehearsal
                signal.raise_signal(signal.SIGINT)
            return super().step(F, z, memory)

    made: list[int] = []
    rule = Asked(METHOD.rule.rule, METHOD.rule.order, METHOD.rule.steps)
    handler = signal.getsignal(signal.SIGINT)
    if at == 0:  # before the first step it is an ordinary one
        with pytest.raises(KeyboardInterrupt):
            train(small(), gd.Method(rule, gd.Adam(beta1=0.5)), 20, out=tmp_path / "early", **settings)
        assert not (tmp_path / "early").exists()
        return
    asked = gd.Method(rule, gd.Adam(beta1=0.5))
    with pytest.raises(
        KeyboardInterrupt, match=rf"interrupted after step {at}, whose state is kept; go on with resume"
    ):
        train(small(), asked, 20, out=tmp_path, **settings)
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_checkpoint(tmp_path).step == at
    assert [(line["event"], line["step"]) for line in read_log(tmp_path) if "event" in line][-1] == ("interrupted", at)
    assert_same(train(small(), asked, 20, out=tmp_path, resume=True, **settings), whole)
    assert {line.get("event") for line in read_log(tmp_path)} == {None, "start", "checkpoint", "resume", "finished"}


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def twice(step: int, z: torch.Tensor) -> None:
        if step == 6:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train(small(), METHOD, 12, out=tmp_path, every=3, checkpoint_every=5, callback=twice)
    assert load_checkpoint(tmp_path).step == 5


def test_a_killed_run_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    interrupted(tmp_path, 1, 20, METHOD, every=1, checkpoint_every=20)
    interrupted(tmp_path, 1, 20, METHOD, every=1, checkpoint_every=20)  # nor is it a run that another may not replace
    assert_same(train(small(), METHOD, 20, out=tmp_path, resume=True), train(small(), METHOD, 20))
    assert [line["event"] for line in read_log(tmp_path) if line["step"] == 0 and "event" in line] == ["start"]


# --- divergence


def test_a_diverged_run_names_its_last_good_checkpoint(tmp_path: Path) -> None:
    growing = gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1 if k < 7 else 1e38)
    result = train(small(), growing, 40, out=tmp_path, checkpoint_every=3)
    assert result.status == "diverged"
    assert f"step {result.steps} made the cost of the discriminator non-finite; " in result.message
    assert result.message.endswith(f"the last good checkpoint is {str(tmp_path / 'checkpoints/step_00000006.json')!r}")
    assert load_checkpoint(tmp_path).step == 6
    last = read_log(tmp_path)[-1]
    assert (last["event"], last["step"], last["message"]) == ("diverged", result.steps, result.message)
    again = train(small(), growing, 40, out=tmp_path, checkpoint_every=3, resume=True)
    assert (again.message, again.steps) == (result.message, result.steps)


def test_infinite_memory_behind_finite_parameters_stops_the_run_unsaved(tmp_path: Path) -> None:
    huge = gd.per_player(gd.Simultaneous(1.0), (1e-3, 1e-3))
    method = gd.Method(huge, gd.Adam(), gd.two_timescale(1e25))  # v² is beyond float32, the step of Adam is 0
    result = train(small(), method, 10, out=tmp_path, checkpoint_every=5)
    assert bool(result.z.isfinite().all())
    assert result.status == "diverged"
    assert "memory vector 1 of the method of the discriminator is non-finite" in result.message
    assert result.message.endswith("there is no checkpoint yet")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_full_disk_is_reported_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = folder_module.write_checkpoint, []

    def full(*arguments: Any) -> Path:
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError("no space left")
        return write(*arguments)

    monkeypatch.setattr(folder_module, "write_checkpoint", full)
    with pytest.raises(OSError, match="no space left"):
        train(small(), METHOD, 12, out=tmp_path, checkpoint_every=4)
    assert load_checkpoint(tmp_path).step == 4


def no_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A file on a disk that takes ten more bytes."""

        taken = 0

        def write(self, data: bytes) -> int:
            if self.taken == 10:
                no_space()
            self.taken = 10
            return 10

    log = RunLog(tmp_path)
    log._file = Full()
    with pytest.raises(OSError, match=r"No space left on device: '.*log.jsonl'"):
        log.write(LogLine(50, costs={"generator": 0.7}))
    monkeypatch.setattr(os, "fsync", lambda handle: no_space())
    with pytest.raises(OSError, match=r"No space left on device: '.*run.bin'"):
        write_whole(tmp_path / "run.bin", b"x")
    assert list(tmp_path.iterdir()) == []
