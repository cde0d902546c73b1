"""`gamedyn gan train`, run in this process on small networks."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gamedyn import cli_gan
from gamedyn.cli import main
from gamedyn.neural import TrainingResult, train
from gamedyn.neural.networks.defaults import default_networks
from gamedyn.neural.training import read_log
from gamedyn.neural.training.settings import RunSettings, read_settings, settings_for

SMALL = ("--data", "ring", "--width", "6", "--batch", "16", "--every", "4", "--checkpoint-every", "4")


@pytest.fixture
def no_pictures(monkeypatch):
    """Writing a picture takes longer than a small training."""
    monkeypatch.setattr(cli_gan, "PICTURES", ())
    return monkeypatch


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["gan", "train", *map(str, arguments)])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


def same(a, b):
    arrays = ("costs", "cost_steps", "snapshot_steps", "field_norms")
    assert torch.equal(a.z, b.z)
    assert torch.equal(a.snapshots, b.snapshots)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)
    assert [s.step for s in a.spectra] == [s.step for s in b.spectra]
    assert all(np.array_equal(s.eigenvalues, t.eigenvalues) for s, t in zip(a.spectra, b.spectra, strict=True))


def test_a_run_that_is_extended_equals_a_longer_one(run, tmp_path, no_pictures):
    more = ("--penalty", "R1:0.2", "--average", "0.9", "--replay", "0.5", "--n-d", "2", "--lr-d", "0.002")
    code, out, err = run(*SMALL, *more, "--steps", 8, "--out", tmp_path / "a")
    assert (code, err) == (0, "")
    assert "finished after 8 steps" in out
    assert run("--resume", tmp_path / "a", "--steps", 12)[0] == 0
    no_pictures.undo()
    code, out, err = run(*SMALL, *more, "--steps", 12, "--out", tmp_path / "b", "--json")
    assert (code, err) == (0, "")
    a, b = (TrainingResult.load(tmp_path / name / "result.npz") for name in "ab")
    same(a, b)
    assert torch.equal(a.average, b.average)
    assert read_settings(tmp_path / "a" / "settings.json") == read_settings(tmp_path / "b" / "settings.json")
    summary = json.loads(out)
    assert summary["files"] == [
        *("progress.png", "progress.pdf", "result.npz", "settings.json", "log.jsonl", "checkpoints")
    ]
    assert (tmp_path / "b" / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "b" / "progress.pdf").read_bytes().startswith(b"%PDF")
    assert (summary["status"], summary["steps"], summary["coverage"]["judged"]) == ("finished", 12, "average")
    assert [[s["step"], len(s["eigenvalues"]) >= 10] for s in summary["spectra"]] == [[0, True], [12, True]]
    assert [line["event"] for line in read_log(tmp_path / "b") if "event" in line][-1] == "finished"


def test_the_run_is_that_of_the_library(run, tmp_path, no_pictures):
    assert run(*SMALL, "--steps", 6, "--loss", "hinge", "--seed", 3, "--out", tmp_path / "run")[0] == 0
    settings = read_settings(tmp_path / "run" / "settings.json")
    assert (settings.loss, settings.seed, settings.every) == ("hinge", 3, 4)
    result = train(settings.gan(), settings.rule(), 6, seed=3, every=4, spectrum_at=(0, 6))
    same(TrainingResult.load(tmp_path / "run" / "result.npz"), result)


def test_pictures_of_a_directory_show_their_classes(run, tmp_path, no_pictures):
    from safetensors.torch import save_file

    (tmp_path / "data").mkdir()
    labels = torch.arange(60) % 2
    x = torch.rand((60, 4, 4), generator=torch.Generator().manual_seed(0)) * 0.1 - 0.9 + 1.5 * labels[:, None, None]
    save_file({"x": x, "labels": labels}, tmp_path / "data" / "two.safetensors")
    given = ("--data", tmp_path / "data", "--width", 4, "--batch", 8, "--steps", 4)
    code, out, err = run(*given, "--out", tmp_path / "run", "--json")
    assert (code, err) == (0, "")
    coverage = json.loads(out)["coverage"]
    assert (coverage["kind"], coverage["of"]) == ("classes", 2)
    assert sum(coverage["shares"].values()) == pytest.approx(1)
    assert " of 2 shown, from " in run("--resume", tmp_path / "run", "--steps", 5)[1]


def test_a_diverged_run_is_a_result(run, tmp_path, no_pictures):
    given = (*SMALL, "--steps", 8, "--lr", "1e30", "--preconditioner", "none", "--out", tmp_path / "run")
    code, out, _ = run(*given)
    assert code == 1
    assert "diverged after" in out
    assert "non-finite" in out
    assert "modes     step 0:" in out
    given = (*given[:-1], tmp_path / "json", "--json")
    assert json.loads(run(*given)[1])["field_norms"]["step"] == 0
    assert "holds a run" in run(*given)[2]  # one that left no checkpoint, but a result


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--data", "ring", "--unroll", 5, "--lr-d", "1e-4", "--dry-run")
    assert (code, err) == (0, "")
    assert "non_saturating GAN on ring, d = 9,795" in out
    assert "unrolled(steps=5, lr=0.0001, inner=preconditioned)" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss", "best"], "use one of saturating, non_saturating"),
        (["--penalty", "R7"], "the penalties are R1, R2, GradientPenalty, DRAGAN, WeightClipping"),
        (["--penalty", "R1:x"], "write R1:0.1"),
        (["--penalty", "R1:-1"], "R1: gamma is -1.0"),
        (["--method", "Newton"], "there is no method 'Newton'"),
        (["--data", "nowhere"], "neither a directory nor one of digits, ring, grid, mnist"),
        (["--data", "mnist"], "set GAMEDYN_MNIST"),
        (["--data", "ring", "--network", "dcgan"], "ring holds no pictures"),
        (["--lr", "-1"], "lr is -1.0; give a positive number"),
        (["--lr", "nan"], "lr is nan; give a finite number"),
        (["--steps", "0"], "steps is 0; give a number from 1 to 1000000000"),
        (["--lr", "1e39"], "lr is 1e+39; give a positive number below 3e+38"),
        (["--lr", "1e-300", "--lr-d", "1e38"], "the method has the coefficient inf"),
        (["--replay", "0.001"], "Replay: a share of 0.001 of 64 samples is 0"),
        (["--replay", "0.001", "--dry-run"], "Replay: a share of 0.001 of 64 samples is 0"),
        (["--method", "LEAD"], "give preconditioner none (--preconditioner none)"),
        (["--method", "SVRE", "--preconditioner", "rmsprop", "--dry-run"], "give preconditioner none"),
        (["--method", "LOLA", "--unroll", "2"], "leave out unroll (--unroll)"),
        (["--method", "MirrorProx"], "plays on probabilities"),
        (["--every", "1", "--steps", "20000"], "every is 1; give at least 2, for 20000 steps"),
        (["--steps", "many"], "--steps"),
        (["--seed", "-1"], "seed is -1; give a number from 0 to"),
        (["--beta1", "1"], "beta1 is 1.0; give a number from 0 to below 1"),
        (["--beta1", "0.5", "--preconditioner", "rmsprop"], "rmsprop beta2"),
        (["--method", "ExtraAdam", "--preconditioner", "adam"], "has its own preconditioner"),
        (["--method", "Extragradient", "--n-d", "2"], "take turns, as in Alternating"),
        (["--batch", "1798"], "batch_size is 1798"),
        (["--device", "abacus"], "give cpu, cuda, cuda:N or mps"),
        (["--autocast", "int8"], "give one of bfloat16, float16"),
        (["--resume", "nowhere"], "no directory of a run"),
        (["--resume", ".", "--lr", "0.1", "--out", "x"], "leave out --lr, --out"),
    ],
)
def test_errors_are_one_line_and_leave_no_file(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAMEDYN_MNIST", raising=False)
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gamedyn: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_a_run_is_not_used_again(run, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_00000001.json").write_text("")
    assert f"go on with --resume {tmp_path}" in run("--out", tmp_path)[2]
    (tmp_path / "file").write_text("")
    assert "is a file" in run("--out", tmp_path / "file")[2]


def test_what_fails_at_the_start_leaves_nothing_in_the_way_and_a_refused_resume_no_other_settings(
    run, tmp_path, no_pictures
):
    out = tmp_path / "run"
    assert run(*SMALL, "--replay", "0.001", "--out", out)[0] == 2
    assert run(*SMALL, "--method", "LEAD", "--out", out)[0] == 2
    out.mkdir()
    settings_for("grid").write(out / "settings.json")  # as a run leaves it that was killed before its first checkpoint
    assert run(*SMALL, "--steps", 8, "--out", out)[0] == 0
    before = (out / "settings.json").read_bytes()
    assert "steps=4 is less" in run("--resume", out, "--steps", 4)[2]
    assert (out / "settings.json").read_bytes() == before
    assert run("--resume", out)[0] == 0


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_keeps_the_state_and_says_how_to_go_on(run, tmp_path, no_pictures, number, code):
    from gamedyn.neural import training

    whole = train(*(getattr(settings_for("ring", width=6, batch=16), name)() for name in ("gan", "rule")), 12, every=4)
    really, stopped = training.train, []

    def signalled(step, z):
        if step == 4 and not stopped:
            stopped.append(step)
            signal.raise_signal(getattr(signal, number))

    no_pictures.setattr(training, "train", lambda *a, **kw: really(*a, callback=signalled, **kw))
    given = (*SMALL, "--steps", 12, "--checkpoint-every", 12, "--out", tmp_path / "run")
    expected = f"gamedyn: interrupted after step 4, whose state is kept; go on with --resume {tmp_path / 'run'}\n"
    assert run(*given) == (code, "", expected)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert run("--resume", tmp_path / "run")[0] == 0
    assert torch.equal(TrainingResult.load(tmp_path / "run" / "result.npz").z, whole.z)


def test_trouble_with_memory_and_disks_is_said_in_words(run, tmp_path, monkeypatch):
    from gamedyn.neural import training

    def fails(error):
        def train(*_, **__):
            raise error

        monkeypatch.setattr(training, "train", train)
        code, _, err = run(*SMALL, "--out", tmp_path / "run")
        assert (code, err.count("\n")) == (2, 1)
        return err

    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")):
        assert "not enough memory; take smaller networks (--width), a smaller --batch" in fails(error)
    full = fails(OSError(errno.ENOSPC, "No space left on device", "log.jsonl"))
    assert f"'log.jsonl'; make room, and go on with --resume {tmp_path / 'run'}" in full


def test_a_rank_without_a_world_writes(run, tmp_path, monkeypatch, no_pictures):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    code, out, _ = run(*SMALL, "--steps", 4, "--out", tmp_path / "run")
    assert (code, "finished after 4 steps" in out, (tmp_path / "run" / "result.npz").exists()) == (0, True, True)
    monkeypatch.setenv("WORLD_SIZE", "two")
    assert "WORLD_SIZE='two'" in run(*SMALL, "--out", tmp_path / "other")[2]


HOSTILE = {
    "no JSON": lambda record: "{",
    "deep": lambda record: "[" * 100_000,
    "large": lambda record: " " * 2**21,
    "a list": lambda record: [],
    "another format": lambda record: {**record, "format": "x"},
    "unknown name": lambda record: {**record, "__class__": "os.system"},
    "missing name": lambda record: {k: v for k, v in record.items() if k != "loss"},
    "wrong type": lambda record: {**record, "steps": "8"},
    "a truth for a number": lambda record: {**record, "seed": True},
    "not finite": lambda record: {**record, "lr": float("nan")},
    "out of range": lambda record: {**record, "beta1": -0.5},
    "too large": lambda record: {**record, "width": 10**9},
    "endless": lambda record: {**record, "steps": 10**12, "every": 10**12},
    "too many snapshots": lambda record: {**record, "steps": 10**9, "every": 1},
    "too many turns": lambda record: {**record, "n_d": 10**9},
    "too far ahead": lambda record: {**record, "unroll": 10**6},
    "too many penalties": lambda record: {**record, "penalty": ["R1:0.1"] * 3000},
    "too wide": lambda record: {**record, "data": "digits", "network": "dcgan", "width": 4096},
    "null": lambda record: {**record, "loss": None},
    "no names": lambda record: {**record, "penalty": "R1"},
    "no strings": lambda record: {**record, "penalty": [["R1"]]},
    "a device": lambda record: {**record, "device": "cpu; rm"},
    "code for a loss": lambda record: {**record, "loss": "__import__('os').system('true')"},
    "code for a penalty": lambda record: {**record, "penalty": ["__builtins__:1"]},
    "code for a method": lambda record: {**record, "method": "named.__globals__"},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_settings_that_are_none_are_refused(run, tmp_path, kind):
    settings_for("ring", width=6).write(tmp_path / "settings.json")
    made = HOSTILE[kind](json.loads((tmp_path / "settings.json").read_text()))
    (tmp_path / "settings.json").write_text(made if isinstance(made, str) else json.dumps(made))
    code, out, err = run("--resume", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert len(err) < 1000
    assert not (tmp_path / "log.jsonl").exists()


def test_settings_survive_a_file_and_fill_in_what_suits_the_data(tmp_path):
    settings = settings_for("grid", penalty=("R1", "WeightClipping:0.5"), n_d=3, lr=0.01)
    settings.write(tmp_path / "s.json")
    assert read_settings(tmp_path / "s.json") == settings
    assert (settings.lr_d, settings.sampling, settings.batch, settings.steps) == (0.01, "independent", 128, 5000)
    assert [repr(p) for p in settings.penalties()] == ["R1(gamma=0.1)", "WeightClipping(c=0.5)"]
    with pytest.raises(TypeError):
        RunSettings()


@pytest.mark.parametrize("method", ["Alternating", "Simultaneous", "Consensus"])
def test_each_player_moves_at_its_own_rate_under_adam(method):
    # the first direction of Adam is the sign of the gradient, so the largest move is the rate
    settings = settings_for("ring", width=6, method=method, lr=1e-3, lr_d=4e-3, steps=1)
    gan = settings.gan()
    move = (train(gan, settings.rule(), 1).z - gan.initial()).abs()
    assert float(move[gan.players[0].slice].max()) == pytest.approx(1e-3, rel=2e-3)
    assert float(move[gan.players[1].slice].max()) == pytest.approx(4e-3, rel=2e-3)


def refusal_or(call):
    try:
        return call()
    except ValueError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GMRES stopped")
@pytest.mark.parametrize("given", [{}, {"preconditioner": "none"}, {"preconditioner": "rmsprop", "unroll": 2}])
def test_every_method_trains_or_is_refused_by_the_name_of_a_setting(given):
    from gamedyn.rules.named import methods

    for name in methods:
        settings = settings_for("ring", width=4, batch=16, method=name, **given)
        rule = refusal_or(settings.rule)
        if isinstance(rule, str):
            assert any(word in rule for word in ("preconditioner", "unroll", "probabilities")), name
        else:
            assert train(settings.gan(), rule, 1).status == "finished", name


def test_the_discriminator_moves_first_and_n_d_times_wherever_players_take_turns():
    rule = settings_for("ring", method="AlternatingLookahead", n_d=3).rule().rule
    assert (rule.rule.order, rule.rule.steps) == ((1, 0), (3, 1))
    assert repr(settings_for("ring", method="Consensus", preconditioner="none").rule()) == (
        "Simultaneous(lr=0.001) ∘ consensus(gamma=1)"
    )
    assert settings_for("ring", method="ExtraAdam", beta1=0.25).rule().preconditioner.beta1 == 0.25


def test_convolutions_halve_the_picture_to_four_to_seven_pixels():
    from gamedyn.neural import from_tensor

    for size, maps in ((8, [3]), (28, [3, 6]), (32, [3, 6, 12]), (40, [3, 6, 12])):
        data = from_tensor(torch.zeros(2, size, size))
        _, discriminator = default_networks(data, "dcgan", width=3, latent=4)
        assert [layer.out_channels for layer in discriminator.modules() if isinstance(layer, torch.nn.Conv2d)] == maps
    with pytest.raises(ValueError, match="cannot be halved"):
        default_networks(from_tensor(torch.zeros(2, 27, 27)), "dcgan")


def test_the_package_runs_as_the_command_does(monkeypatch, capsys):
    import runpy

    monkeypatch.setattr(sys, "argv", ["gamedyn", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("gamedyn", run_name="__main__")
    assert (stop.value.code, capsys.readouterr().out.startswith("gamedyn ")) == (0, True)


def test_the_command_line_loads_no_torch_before_it_trains():
    code = "import sys, gamedyn.cli; gamedyn.cli._protect(['gan']); print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_two_processes_of_torchrun_train_as_one(run, tmp_path):
    assert run(*SMALL, "--steps", 8, "--out", tmp_path / "one")[0] == 0
    (tmp_path / "go.py").write_text("from gamedyn.cli import main\nmain()\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [str(tmp_path / "go.py"), "gan", "train", *SMALL, "--steps", "8", "--out", str(tmp_path / "two")]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished after 8 steps") == 1
    one, two = (TrainingResult.load(tmp_path / name / "result.npz") for name in ("one", "two"))
    assert float((one.z - two.z).abs().max()) < 1e-4


WGAN_GP = "--data digits --loss wasserstein --penalty GradientPenalty:1"
CURES = {  # least and most modes or classes found, least and most KL, over seeds 0 to 2
    "--data digits": (9, 10, 0.0, 0.2),
    "--data digits --lr-d 1e-4": (0, 6, 0.8, 3.0),
    f"{WGAN_GP} --n-d 3 --beta1 0 --beta2 0.9 --steps 1200": (10, 10, 0.0, 0.1),
    "--data ring": (7, 8, 0.0, 0.1),
    "--data ring --lr-d 1e-4": (0, 2, 0.8, 3.0),
    "--data ring --lr-d 1e-4 --unroll 10 --steps 1500": (0, 8, 0.0, 0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("line", CURES)
def test_the_lines_of_the_page_collapse_and_cure_as_it_says(run, tmp_path, line):
    page = (Path(__file__).parents[1] / "docs" / "train-a-gan.md").read_text("utf-8")
    assert f"| `{line}` |" in page
    fewest, most, least, largest = CURES[line]
    for seed in range(3):
        code, out, _ = run(*line.split(), "--seed", seed, "--json", "--out", tmp_path / str(seed))
        found = json.loads(out)["coverage"]
        assert code == 0
        assert fewest <= found["found"] <= most
        assert least <= found["kl"] <= largest
