"""The command `gamedyn gan train`: a GAN on named or own data, in one line, with a picture of how it went."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # torch takes a second to import, and `gamedyn --help` does without it
    from gamedyn.neural.gan import GAN
    from gamedyn.neural.settings import RunSettings
    from gamedyn.neural.training import TrainingResult
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
Beta1 = Annotated[float | None, typer.Option(help="of Adam, 0.5 by default")]
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
    """Train a GAN; write a picture of its progress, the result and checkpoints."""
    command = ("out", "resume", "as_json", "dry_run")
    given = {name: value for name, value in locals().items() if name not in ("command", *command)}
    given = {name: value for name, value in given.items() if value is not None and value != []}
    if "penalty" in given:
        given["penalty"] = tuple(given["penalty"])
    settings, folder = _settings(given, out, resume)
    with process_group(settings.device) as group, _one_line_warnings():
        gan, rule = settings.gan(), settings.rule()
        if dry_run:
            summary = {"game": repr(gan), "method": repr(rule), "steps": settings.steps}
            page = f"{gan!r}\n  {rule!r}"
        else:
            summary = _run(settings, gan, rule, folder, resume=resume is not None, group=group)
            page = _page(summary) if summary else ""
    if summary and _is_first():
        _say(summary, as_json, page)


def _settings(given: dict[str, Any], out: str | None, resume: str | None) -> tuple[RunSettings, Path]:
    """What to train, and where to write."""
    from gamedyn.neural.settings import read_settings, settings_for

    if resume is None:
        folder = Path(out or "gan-run")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out {str(folder)!r} is a file; give a directory, or a name that is not taken")
        if _is_first() and any((folder / name).exists() for name in (SETTINGS, "log.jsonl", "checkpoints")):
            raise ValueError(f"{str(folder)!r} holds a run; go on with --resume {folder}, or give another --out")
        return settings_for(**given), folder
    folder = Path(resume)
    odd = [f"--{name.replace('_', '-')}" for name in given if name not in BESIDE_RESUME] + ["--out"] * (out is not None)
    if odd:
        raise ValueError(f"--resume goes on with the settings of {resume!r}; leave out {', '.join(odd)}")
    if not (folder / SETTINGS).is_file():
        raise ValueError(f"--resume {resume!r} is no directory of a run (no {SETTINGS} in it); give the --out of one")
    return replace(read_settings(folder / SETTINGS), **given), folder


def _run(
    settings: RunSettings, gan: GAN, rule: Any, folder: Path, *, resume: bool, group: str | None
) -> dict[str, Any]:
    """Train and write; the summary, empty where another process writes."""
    from gamedyn.neural import training

    if _is_first():
        folder.mkdir(parents=True, exist_ok=True)
        settings.write(folder / SETTINGS)
    try:
        result = training.train(
            gan,
            rule,
            settings.steps,
            seed=settings.seed,
            sampling=settings.sampling,
            average=settings.average or None,
            replay=training.Replay(REPLAYED * settings.batch, settings.replay) if settings.replay else None,
            every=settings.every,
            spectrum_at=(0, settings.steps),
            out=folder,
            checkpoint_every=settings.checkpoint_every,
            resume=resume,
            group=group,
        )
    except KeyboardInterrupt:
        raise InterruptedError(f"interrupted; go on with --resume {folder}") from None
    if not _is_first():
        return {}
    result.save(folder / RESULT)
    return _summary(gan, result, _draw(gan, result, folder), folder)


@contextmanager
def process_group(device: str) -> Iterator[str | None]:
    """Under torchrun "world", the processes that share the rows of every batch; None without it.

    With `_is_first` the only place of this command that knows of several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
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
    return os.environ.get("RANK", "0") == "0"


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


# the summary --------------------------------------------------------------------------------------------------


def _summary(gan: GAN, result: TrainingResult, display: TrainingDisplay, folder: Path) -> dict[str, Any]:
    """Everything that is printed, as JSON has it."""
    names = result.players
    pairs = lambda row: {n: _finite(v) for n, v in zip(names, row, strict=True)}  # noqa: E731
    written = [*PICTURES, RESULT, SETTINGS, "log.jsonl", "checkpoints"]
    return {
        "game": result.game,
        "dim": gan.dim,
        "method": result.method,
        "status": result.status,
        "message": result.message,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "steps_per_second": _finite(round(result.steps_per_second, 1)),
        "batch": result.batch_size,
        "seed": result.seed,
        "device": result.device,
        "costs": pairs(result.costs[-1]) if len(result.costs) else None,
        "field_norms": pairs(result.field_norms[-1]),
        "coverage": _covered(display.coverage, display.judged),
        "spectra": [
            {
                "step": s.step,
                "eigenvalues": [[float(v.real), float(v.imag)] for v in s.eigenvalues],
                "imaginary_share": _finite(s.imaginary_share),
                "not_converged": s.missing,
            }
            for s in result.spectra
        ],
        "out": str(folder),
        "files": [name for name in written if (folder / name).exists()],
    }


def _covered(coverage: Any, judged: str) -> dict[str, Any] | None:
    if coverage is None:
        return None
    at = {"judged": judged, "samples": coverage.n}
    if hasattr(coverage, "histogram"):
        shares = {str(label): round(float(p), 4) for label, p in zip(coverage.classes, coverage.histogram, strict=True)}
        found = {"kind": "classes", "found": coverage.shown, "of": len(shares), "kl": coverage.kl}
        return {**found, "shares": shares, **at}
    found = {"kind": "modes", "found": coverage.m5, "of": len(coverage.weights), "kl": coverage.kl}
    return {**found, "high_quality": coverage.high_quality, **at}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _page(s: dict[str, Any]) -> str:
    """One screen."""
    rate = s["steps_per_second"] or 0.0
    speed = f"{rate:.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"
    lines = [
        f"{s['game']}, d = {s['dim']:,}",
        f"  method    {s['method']}",
        f"  status    {s['status']} after {s['steps']:,} steps in {s['seconds']:.1f} s ({speed}), batch {s['batch']}, "
        f"seed {s['seed']}, {s['device']}",
    ]
    lines += [f"            {s['message']}"] if s["message"] else []
    if s["costs"]:
        lines.append("  costs     " + ", ".join(f"{name} {_number(value)}" for name, value in s["costs"].items()))
    lines += _coverage_line(s["coverage"])
    for k, spectrum in enumerate(s["spectra"]):
        values = [complex(*pair) for pair in spectrum["eigenvalues"]]
        shown = ", ".join(_eigenvalue(v) for v in values if v.imag >= 0) or "none found"
        note = f"; {spectrum['not_converged']} not converged" if spectrum["not_converged"] else ""
        lines.append(f"  {'λ of J' if k == 0 else '':<8}  step {spectrum['step']:,}: {shown}{note}")
    return "\n".join([*lines, f"  written   {s['out']}: {', '.join(s['files'])}"])


def _coverage_line(c: dict[str, Any] | None) -> list[str]:
    if c is None:
        return []
    if c["kind"] == "modes":
        near = f"{c['high_quality']:.0%} of the samples within 3 std"
        return [f"  modes     {c['judged']}: {c['found']} of {c['of']} found, {near}, KL {c['kl']:.3f}"]
    ranked = sorted(c["shares"].items(), key=lambda item: item[1])
    (least, low), (most, high) = ranked[0], ranked[-1]
    share = f"from {low:.1%} ({least}) to {high:.1%} ({most}) of the samples"
    return [f"  classes   {c['judged']}: {c['found']} of {c['of']} shown, {share}, KL {c['kl']:.3f}"]


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3f}"


def _eigenvalue(value: complex) -> str:
    return f"{value.real:.3g}" if value.imag == 0 else f"{value.real:.3g} ± {value.imag:.3g}i"


def _say(record: dict[str, Any], as_json: bool, page: str) -> None:
    if as_json:
        print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from gamedyn.cli import _print

    _print(page)


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """A warning is one line on stderr, as errors are."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: print(
            f"gamedyn: warning: {' '.join(str(message).split())}", file=sys.stderr
        )
        yield
