"""The statements of `gan_digits`, over five seeds and a 1e-6 perturbation of the start.

A trained quantity is worth what survives another seed.  Each column is a run of its own; the checks are the worst
value over all of them, and they are the thresholds that `gan_digits` uses for its single seed.  No paper prints them:
what tables of studies call "published" are here bounds that we chose after seeing these runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gamedyn.plotting import style
from studies import gan_digits
from studies.gan_digits import METHODS
from studies.runner import Check, Study

SEEDS = (0, 1, 2, 3, 4)
PERTURBED = "perturbed"
QUANTITIES = {
    "digits": "digits with ≥ 1 % of the samples",
    "growth": "‖J‖ at the end over the start",
    "curvature": "least eigenvalue of the\ngenerator's block",
    "share": "imaginary share of the\nten leading eigenvalues",
}


def part(seed: int, perturb: float) -> Any:
    """All four methods for one seed."""

    def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
        label = PERTURBED if perturb else f"seed{seed}"
        first = gan_digits.start({**parameters, "seed": seed}, progress)
        rows = []
        for k, name in enumerate(METHODS):
            progress(k / len(METHODS), f"{label}, {name}")
            r = gan_digits.run(name, parameters, seed, perturb)
            shown = np.sum(r["histogram"] >= 0.01)
            rows.append([shown, r["norm_end"] / first["norm"], r["generator_curvature"], r["share_end"], r["residual"]])
        return {label: np.array(rows), f"{label}_start_share": first["share"]}

    return compute


def table(data: Mapping[str, Any]) -> np.ndarray:
    """(runs, methods, quantities), the perturbed run last."""
    return np.stack([data[label] for label in (*(f"seed{s}" for s in SEEDS), PERTURBED)])


def checks(data: Mapping[str, Any]) -> list[Check]:
    values = table(data)
    note = f"worst of {len(values)} runs"
    source = "no paper: a threshold read off these runs"
    rows = [
        Check(
            "start: imaginary share",
            max(data[f"seed{s}_start_share"] for s in SEEDS),
            0.05,
            0.0,
            "at_most",
            note=note,
            source=source,
        )
    ]
    for k, name in enumerate(METHODS):
        digits, growth, curvature, _, residual = values[:, k].T
        spread = f"{note}: {', '.join(f'{d:.0f}' for d in digits)}"
        rows += [
            gan_digits.digits_check(name, digits.min(), digits.max(), source=source, note=spread),
            Check(
                f"{name}: ‖J‖ at the end over the start", growth.min(), 4.0, 0.0, "at_least", note=note, source=source
            ),
            Check(
                f"{name}: least eigenvalue of the generator's block",
                curvature.max(),
                0.0,
                0.0,
                "at_most",
                note=note,
                source=source,
            ),
            Check(f"{name}: ‖Jx - λx‖ over ‖J‖", residual.max(), 1e-8, 0.0, "at_most", note=note, source=source),
        ]
    return rows


def draw(data: Mapping[str, Any]) -> Figure:
    values = table(data)
    figure = Figure(figsize=(10, 3.2))
    panels = figure.subplots(1, len(QUANTITIES))
    for q, (axes, title) in enumerate(zip(panels, QUANTITIES.values(), strict=True)):
        for k, name in enumerate(METHODS):
            spread = np.linspace(-0.2, 0.2, len(values) - 1)
            color = style.method_color(name)
            axes.plot(k + spread, values[:-1, k, q], "o", color=color, label=name)
            axes.plot(k, values[-1, k, q], "x", color=color)
        axes.set(title=title, xticks=range(len(METHODS)), xlim=(-0.6, len(METHODS) - 0.4))
        axes.set_xticklabels(METHODS, rotation=35, ha="right")
    panels[0].set_ylim(0, 10.5)
    panels[1].set(yscale="log", ylim=(10, 300), yticks=[10, 30, 100, 300], yticklabels=["10", "30", "100", "300"])
    panels[1].minorticks_off()
    panels[2].set(yscale="symlog", ylim=(-200, 0.5), yticks=[-100, -10, -1, 0], yticklabels=["-100", "-10", "-1", "0"])
    panels[2].minorticks_off()
    panels[3].set_ylim(-0.03, 1)
    figure.supxlabel("●: seeds 0 to 4, ×: seed 0 after a 1e-6 perturbation of the start", fontsize=9)
    return figure


STUDY = Study(
    name="gan_digits_seeds",
    title="The GAN on digits: what survives another seed",
    source="the statements of gan_digits",
    compute={f"seed_{s}": part(s, 0.0) for s in SEEDS} | {PERTURBED: part(0, 1e-6)},
    checks=checks,
    draw=draw,
    quick=False,
    parameters={key: value for key, value in gan_digits.STUDY.parameters.items() if key != "seed"},
)
