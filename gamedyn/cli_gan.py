"""The command `gamedyn gan train`: a GAN on named or own data, in one line, with a picture of how it went."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gamedyn.report.console import show_page

if TYPE_CHECKING:  # torch takes a second to import, and `gamedyn --help` does without it
    from gamedyn.neural.gan import GAN
    from gamedyn.neural.training import TrainingResult
    from gamedyn.neural.training.settings import RunSettings
    from gamedyn.plotting.training_display import TrainingDisplay

__all__ = ["WITH_VALUE", "gan_app"]

gan_app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

WITH_VALUE = {
    *("--data", "--loss", "--penalty", "--method", "--lr", "--lr-d", "--n-d", "--beta1", "--beta2", "--preconditioner"),
    *("--unroll", "--steps", "--batch", "--seed", "--width", "--latent", "--network", "--instance-noise", "--average"),
    *("--replay", "--sampling", "--out", "--every", "--checkpoint-every", "--resume", "--device", "--autocast"),
}
SETTINGS, RESULT, PICTURES = "settings.json", "result.npz", ("progress.png", "progress.pdf")
BESIDE_RESUME = ("steps", "device")  # what may change when a run goes on
REPLAYED = 20  # batches in the replay buffer
DIVERGED = 1  # what the command exits with
DISK_TROUBLE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)

Data = Annotated[str | None, typer.Option(help="digits (default), ring, grid, mnist ($GAMEDYN_MNIST), or a directory")]
Loss = Annotated[
    str | None,
    typer.Option(
        help="non_saturating (default), saturating, wasserstein, hinge, least_squares, ... ; a wrong one lists all"
    ),
]
Penalty = Annotated[
    list[str] | None,
    typer.Option(help="R1, R2, GradientPenalty, DRAGAN or WeightClipping, as NAME or NAME:WEIGHT; repeatable"),
]
MethodName = Annotated[
    str | None, typer.Option(help="Alternating (default), Extragradient, Optimistic, ... ; see `gamedyn methods`")
]
Rate = Annotated[float | None, typer.Option(help="step size, 0.001 by default")]
RateD = Annotated[float | None, typer.Option(help="the discriminator's own step size")]
StepsD = Annotated[int | None, typer.Option(help="discriminator steps for one of the generator")]
Beta1 = Annotated[float | None, typer.Option(help="of Adam, 0.5 by default; 0.9 where --method brings its own Adam")]
Beta2 = Annotated[float | None, typer.Option(help="of Adam, 0.999 by default; the decay of rmsprop")]
Preconditioner = Annotated[str | None, typer.Option(help="adam (default), rmsprop or none")]
Unroll = Annotated[int | None, typer.Option(help="discriminator steps that the generator looks ahead")]
Steps = Annotated[int | None, typer.Option(help="3000 by default, 5000 for ring and grid")]
Batch = Annotated[int | None, typer.Option(help="rows per batch, 64 by default, 128 for ring and grid")]
Seed = Annotated[int | None, typer.Option(help="of weights and batches")]
Width = Annotated[int | None, typer.Option(help="of the hidden layers, or channels of the finest map")]
Latent = Annotated[int | None, typer.Option(help="dimension of z")]
NetworkKind = Annotated[str | None, typer.Option("--network", help="mlp (default) or dcgan")]
Noise = Annotated[float | None, typer.Option(help="standard deviation of noise on all that D is shown")]
SpectralNorm = Annotated[bool | None, typer.Option("--spectral-norm", help="divide D's layers by their norms")]
Average = Annotated[float | None, typer.Option(help="decay of an average of the iterates, as 0.999")]
ReplayShare = Annotated[float | None, typer.Option(help="share of old samples shown to D, as 0.5")]
Sampling = Annotated[
    str | None, typer.Option(help="same: one batch per step; independent: one per evaluation (default for --n-d > 1)")
]
Out = Annotated[str | None, typer.Option(metavar="DIR", help="where everything is written, gan-run by default")]
Every = Annotated[int | None, typer.Option(help="steps between snapshots, a tenth of the run by default")]
CheckpointEvery = Annotated[int | None, typer.Option(help="steps between checkpoints, a tenth of the run by default")]
Resume = Annotated[str | None, typer.Option(metavar="DIR", help="go on with the run in DIR; --steps may be larger")]
Device = Annotated[str | None, typer.Option(help="cpu (default), cuda, cuda:N or mps")]
Autocast = Annotated[str | None, typer.Option(help="bfloat16 or float16: passes in mixed precision")]
Compile = Annotated[bool | None, typer.Option("--compile", help="compile the passes")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON only")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be trained, and train nothing")]


@gan_app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    """Train GANs, and look at how it went."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@gan_app.command()
def train(
    data: Data = None,
    loss: Loss = None,
    penalty: Penalty = None,
    method: MethodName = None,
    lr: Rate = None,
    lr_d: RateD = None,
    n_d: StepsD = None,
    preconditioner: Preconditioner = None,
    beta1: Beta1 = None,
    beta2: Beta2 = None,
    unroll: Unroll = None,
    steps: Steps = None,
    batch: Batch = None,
    seed: Seed = None,
    network: NetworkKind = None,
    width: Width = None,
    latent: Latent = None,
    instance_noise: Noise = None,
    spectral_norm: SpectralNorm = None,
    average: Average = None,
    replay: ReplayShare = None,
    sampling: Sampling = None,
    every: Every = None,
    checkpoint_every: CheckpointEvery = None,
    device: Device = None,
    autocast: Autocast = None,
    compile: Compile = None,
    out: Out = None,
    resume: Resume = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Train a GAN; write a picture of its progress, the result and checkpoints.

    Exits with 0, with 1 if the training diverged, with 2 after an error, with 130 or 143 after Ctrl-C or SIGTERM.
    """
    command = ("out", "resume", "as_json", "dry_run")
    given = {name: value for name, value in locals().items() if name not in ("command", *command)}
    given = {name: value for name, value in given.items() if value is not None and value != []}
    if "penalty" in given:
        given["penalty"] = tuple(given["penalty"])
    from gamedyn.report.gan import page

    with _stopped_by_signals(), _named_failures():
        settings, folder = _settings(given, out, resume)
        with process_group(settings.device) as group, _one_line_warnings():
            gan, rule = settings.gan(), settings.rule()
            if dry_run:
                _rehearse(settings, gan, rule, group)
                found = {"game": repr(gan), "method": repr(rule), "steps": settings.steps}
            else:
                found = _run(settings, gan, rule, folder, resume=resume is not None, group=group)
    if found and _is_first():
        _say(found, as_json, f"{gan!r}\n  {rule!r}" if dry_run else page(found))
        if found.get("status") == "diverged":
            raise typer.Exit(DIVERGED)


def _settings(given: dict[str, Any], out: str | None, resume: str | None) -> tuple[RunSettings, Path]:
    """What to train, and where to write."""
    from gamedyn.neural.training.settings import read_settings, settings_for

    if resume is None:
        folder = Path(out or "gan-run")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out {str(folder)!r} is a file; give a directory, or a name that is not taken")
        if _is_first() and ((folder / RESULT).exists() or any((folder / "checkpoints").glob("*.json"))):
            raise ValueError(f"{str(folder)!r} holds a run; go on with --resume {folder}, or give another --out")
        return settings_for(**given), folder
    folder = Path(resume)
    odd = [f"--{name.replace('_', '-')}" for name in given if name not in BESIDE_RESUME] + ["--out"] * (out is not None)
    if odd:
        raise ValueError(f"--resume goes on with the settings of {resume!r}; leave out {', '.join(odd)}")
    if not (folder / SETTINGS).is_file():
        raise ValueError(f"--resume {resume!r} is no directory of a run (no {SETTINGS} in it); give the --out of one")
    return replace(read_settings(folder / SETTINGS), **given), folder


def _arguments(settings: RunSettings, group: str | None) -> dict[str, Any]:
    """What the run is made of besides the GAN and the method."""
    from gamedyn.neural.training import Replay

    replay = Replay(REPLAYED * settings.batch, settings.replay) if settings.replay else None
    return {"seed": settings.seed, "sampling": settings.sampling, "replay": replay, "group": group}


def _rehearse(settings: RunSettings, gan: GAN, rule: Any, group: str | None) -> None:
    """Everything that a run does before it writes: what cannot be trained is refused."""
    import torch

    from gamedyn.neural.training.run import Run

    run = Run(gan, rule, batch_size=None, **_arguments(settings, group))
    with torch.no_grad():
        run.start(None, settings.average or None)
        run.rehearse()


def _run(
    settings: RunSettings, gan: GAN, rule: Any, folder: Path, *, resume: bool, group: str | None
) -> dict[str, Any]:
    """Train and write; the summary, empty where another process writes."""
    from gamedyn.neural import training
    from gamedyn.report.gan import summary

    try:
        result = training.train(
            gan,
            rule,
            settings.steps,
            **_arguments(settings, group),
            average=settings.average or None,
            every=settings.every,
            spectrum_at=(0, settings.steps),
            out=folder,
            checkpoint_every=settings.checkpoint_every,
            resume=resume,
            begun=lambda: settings.write(folder / SETTINGS),  # what is refused leaves those of the run as they are
        )
    except KeyboardInterrupt as stop:
        kept = (folder / SETTINGS).exists()
        how = f"go on with --resume {folder}" if kept else "nothing was written"
        raise KeyboardInterrupt(f"{str(stop).partition(';')[0] or 'interrupted'}; {how}") from None
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        raise OSError(f"{error}; make room, and go on with --resume {folder}") from error
    if not _is_first():
        return {}
    result.save(folder / RESULT)
    display = _draw(gan, result, folder)
    return summary(gan, result, display, folder, [*PICTURES, RESULT, SETTINGS, "log.jsonl", "checkpoints"])


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command as a shell expects it, 130 and 143, after the state has been kept."""
    ended: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        ended.append(number)
        signal.raise_signal(signal.SIGINT)  # which `train` waits with until the step is done

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if main else None
    try:
        yield
    except KeyboardInterrupt as stop:
        said = " ".join(str(stop).split())  # nothing, where a library was just being imported
        print(f"gamedyn: {said or 'interrupted; nothing was written'}", file=sys.stderr)
        raise typer.Exit(128 + (ended or [signal.SIGINT])[0]) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _named_failures() -> Iterator[None]:
    """Too little memory, of this process or of a GPU, is an error that says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, MemoryError) and not re.search(r"out of memory|allocate memory", text, re.IGNORECASE):
            raise
        raise MemoryError(
            "there is not enough memory; take smaller networks (--width), a smaller --batch, or fewer snapshots "
            "(a larger --every)"
        ) from error


@contextmanager
def process_group(device: str) -> Iterator[str | None]:
    """Under torchrun "world", the processes that share the rows of every batch; None without it.

    With `_is_first` the only place of this command that knows of several processes.
    """
    if _processes() < 2:
        yield None
        return
    import torch
    import torch.distributed as dist

    on_gpu = device.startswith("cuda")
    if on_gpu and device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield "world"
    finally:
        dist.destroy_process_group()


def _is_first() -> bool:
    """Whether this process writes files and prints."""
    return _processes() < 2 or os.environ.get("RANK", "0") == "0"


def _processes() -> int:
    """How many torchrun has started."""
    count = os.environ.get("WORLD_SIZE", "1")
    if not count.isdecimal():
        raise ValueError(f"the environment has WORLD_SIZE={count!r}, which torchrun sets to a number; unset it")
    return int(count)


def _draw(gan: GAN, result: TrainingResult, folder: Path) -> TrainingDisplay:
    """Write the picture."""
    from gamedyn.plotting import style
    from gamedyn.plotting.training_display import TrainingDisplay

    display = TrainingDisplay.from_result(gan, result)
    with style.context("paper"):
        figure = display.plot().figure_
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both files
        for name in PICTURES:
            fixed: dict[str, Any] = {"metadata": {"CreationDate": None}} if name.endswith("pdf") else {}
            figure.savefig(folder / name, bbox_inches="tight", **fixed)
    return display


def _say(record: dict[str, Any], as_json: bool, page: str) -> None:
    if as_json:
        print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
        return
    show_page(page)


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """A warning is one line on stderr, as errors are."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: print(
            f"gamedyn: warning: {' '.join(str(message).split())}", file=sys.stderr
        )
        yield
