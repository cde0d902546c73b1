"""What `gamedyn gan train` says at the end: one screen, or the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN
    from gamedyn.neural.training import TrainingResult
    from gamedyn.plotting.training_display import TrainingDisplay

__all__ = ["page", "summary"]


def summary(
    gan: GAN, result: TrainingResult, display: TrainingDisplay, folder: Path, written: Sequence[str]
) -> dict[str, Any]:
    """Everything that is printed, as JSON has it."""
    names = result.players
    pairs = lambda row: {n: _finite(v) for n, v in zip(names, row, strict=True)}  # noqa: E731
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
        "field_norms": {"step": int(result.snapshot_steps[-1]), **pairs(result.field_norms[-1])},
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


def page(s: dict[str, Any]) -> str:
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
