"""Four ways to bound a critic's slopes, on fixed distributions: what each critic can still see.

    W₁ = max over 1-Lipschitz D of  E D(x) - E D(y),    y = x' + ξ,  ξ ~ N(0, I)                    (1)

The generator is held at data plus unit noise and the critic alone is trained, as in Figure 1 of [1]_.  W₁ between the
rows that the critics are judged on is known exactly, from an optimal assignment.  Clipping drives the weights to ±c;
the critic's slopes, and the distance that it reports, are then off by orders of magnitude in one direction or the
other, and divided by its steepest slope it finds less than half of the distance: its levels are nearly those of a cone
that sees no modes.  The penalised critics have slopes near 1, somewhat steeper in places, and ridges at the modes.  The
two-sided penalty asks for a slope of 1 where the optimum has none, so its levels are tilted; the one-sided one reports
the distance to 7 % on every seed.  Spectral normalisation keeps its bound of 1 for certain, and pays with slopes that
stay below 0.7, and little relief.

The thresholds are of no paper.  They were set on shorter runs, in which the two-sided critic of one seed was still
stuck far from the optimum.

References
----------
.. [1] I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville (2017), Improved training of Wasserstein GANs,
   NeurIPS, arXiv:1704.00028.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gamedyn.plotting import style
from studies._gan_critics import CLIPS, CRITICS, SHAPES, TICKS, WINDOW, cloud, run, share_at_extremes
from studies.runner import Check, Study

LABELS = {"ring": "8 Gaussians", "swiss_roll": "swiss roll", "grid": "25 Gaussians"}
TITLES = {
    "clip_small": "clipped to ±0.01",
    "clip_large": "clipped to ±0.1",
    "penalty": "gradient penalty",
    "one_sided": "one-sided penalty",
    "spectral": "spectrally normalised",
}
COLORS = {
    "clip_small": style.OKABE_ITO["vermillion"],
    "clip_large": style.OKABE_ITO["orange"],
    "penalty": style.OKABE_ITO["blue"],
    "one_sided": style.OKABE_ITO["sky"],
    "spectral": style.OKABE_ITO["green"],
}
SEEDS = (0, 1, 2, 3, 4)
SOURCE = "no paper: a threshold set on other runs"
QUANTITIES = {
    "share": "share of the weights within 1 % of ±c, or of the largest",
    "reported": "(E D(x) - E D(y)) / W₁",
    "found": "(E D(x) - E D(y)) / (L W₁), L the steepest slope",
    "certain": "(E D(x) - E D(y)) / (bound of the layers · W₁)",
    "relief": "relief between the modes over L",
    "steepest": "steepest slope",
    "bound": "bound of the layers",
    "median": "median slope between data and samples",
}
CERTAIN = {"certain": "Kantorovich and Rubinstein", "bound": "by construction"}
STATEMENTS: tuple[tuple[tuple[str, ...], str, str, float], ...] = (
    (("clip_small",), "share", "at_least", 0.8),
    (("clip_large",), "share", "at_least", 0.6),
    (("penalty", "one_sided"), "share", "at_most", 0.01),
    (("clip_small",), "reported", "at_most", 0.01),
    (("clip_large",), "reported", "at_least", 10),
    (("penalty",), "reported", "at_least", 0.75),
    (("penalty", "one_sided"), "reported", "at_most", 1.1),
    (("clip_small", "clip_large"), "found", "at_most", 0.5),
    (("penalty", "spectral"), "found", "at_least", 0.5),
    (("one_sided",), "found", "at_least", 0.7),
    (("clip_small", "clip_large"), "relief", "at_most", 0.1),
    (("penalty",), "relief", "at_least", 0.2),
    (("one_sided",), "relief", "at_least", 0.35),
    (("spectral",), "relief", "at_most", 0.25),
    (("penalty",), "median", "at_least", 0.9),
    (("penalty",), "median", "at_most", 1.15),
    (("spectral",), "steepest", "at_most", 0.8),
    (("spectral",), "bound", "at_most", 1.00001),
    (CRITICS, "certain", "at_most", 1),
)


def part(shape: str, critic: str, seed: int) -> Any:
    def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
        found = run(shape, critic, parameters, seed)
        if seed != SEEDS[0]:
            found.pop("values")
        found["share"] = share_at_extremes(found["weights"], CLIPS.get(critic))
        if seed != SEEDS[0] or shape != "ring":
            found.pop("weights")
        return {f"{shape}_{critic}_{seed}_{key}": value for key, value in found.items()}

    return compute


def points(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Some rows of the data for the picture."""
    return {f"{shape}_points": cloud(shape, 0).x[:300].numpy() for shape in SHAPES}


def runs_of(data: Mapping[str, Any], critic: str, key: str) -> np.ndarray:
    """A number of every seed on the ring."""
    return np.array([data[f"ring_{critic}_{seed}_{key}"] for seed in SEEDS])


def quantity(data: Mapping[str, Any], critic: str, name: str) -> np.ndarray:
    """One of `QUANTITIES` for every seed on the ring.  L is the steepest slope found; the optimum has relief L."""
    gap, distance, steepest = (runs_of(data, critic, key) for key in ("gap", "distance", "steepest"))
    if name == "median":
        return np.median([data[f"ring_{critic}_{seed}_slopes"] for seed in SEEDS], axis=1)
    return {
        "share": runs_of(data, critic, "share"),
        "reported": gap / distance,
        "found": gap / (steepest * distance),
        "certain": gap / (runs_of(data, critic, "bound") * distance),
        "relief": runs_of(data, critic, "relief") / steepest,
        "steepest": steepest,
        "bound": runs_of(data, critic, "bound"),
    }[name]


def checks(data: Mapping[str, Any]) -> list[Check]:
    rows = []
    for critics, name, kind, limit in STATEMENTS:
        for critic in critics:
            values = quantity(data, critic, name)
            note = f"worst of {len(values)} seeds: {', '.join(f'{v:.3g}' for v in values)}"
            measured = values.min() if kind == "at_least" else values.max()
            source = CERTAIN.get(name, SOURCE)
            rows.append(
                Check(f"{TITLES[critic]}: {QUANTITIES[name]}", measured, limit, 0, kind, note=note, source=source)
            )
    return rows


def draw(data: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(10, 9.4))
    outer = figure.add_gridspec(2, 1, height_ratios=(3, 1.15))
    surfaces = outer[0].subgridspec(len(SHAPES), len(CRITICS))
    for row, shape in enumerate(SHAPES):
        for column, critic in enumerate(CRITICS):
            axes = figure.add_subplot(surfaces[row, column])
            draw_surface(axes, data, shape, critic)
            axes.set_title(TITLES[critic] if row == 0 else "")
            axes.set_ylabel(LABELS[shape] if column == 0 else "")
    bottom = outer[1].subgridspec(1, 4, width_ratios=(1.15, 1.15, 1, 1))
    draw_weights(figure.add_subplot(bottom[0]), data)
    draw_slopes(figure.add_subplot(bottom[1]), data)
    draw_shares(figure.add_subplot(bottom[2]), data, "found", "share of W₁ found")
    draw_shares(figure.add_subplot(bottom[3]), data, "relief", "relief between modes")
    return figure


def draw_surface(axes: Any, data: Mapping[str, Any], shape: str, critic: str) -> None:
    """Levels of D, dark low and light high, under rows of the data."""
    ticks = np.linspace(-WINDOW[shape], WINDOW[shape], TICKS)
    values = data[f"{shape}_{critic}_0_values"]
    axes.contourf(ticks, ticks, values, 20, cmap="viridis", alpha=0.55).set_rasterized(True)
    axes.contour(ticks, ticks, values, 20, cmap="viridis", linewidths=0.6).set_rasterized(True)
    (dots,) = axes.plot(*data[f"{shape}_points"].T, ".", color="black", markersize=1.6, markeredgewidth=0)
    dots.set_rasterized(True)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[], aspect="equal", xlim=(ticks[0], ticks[-1]), ylim=(ticks[0], ticks[-1]))


def draw_weights(axes: Any, data: Mapping[str, Any]) -> None:
    for critic in CRITICS:
        weights = data[f"ring_{critic}_0_weights"]
        shares, edges = np.histogram(weights / np.abs(weights).max(), bins=41, range=(-1, 1))
        axes.stairs(shares / len(weights), edges, color=COLORS[critic], label=TITLES[critic])
    axes.set(yscale="log", ylim=(1e-4, 1), xlabel="weight over the largest", title="share of the weights")


def draw_slopes(axes: Any, data: Mapping[str, Any]) -> None:
    for critic in CRITICS:
        values = np.sort(data[f"ring_{critic}_0_slopes"])
        axes.plot(values, np.linspace(0, 1, len(values)), color=COLORS[critic], label=TITLES[critic])
    axes.axvline(1.0, color=style.GREY, linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="‖∇D‖ between data and samples", title="share of points below")


def draw_shares(axes: Any, data: Mapping[str, Any], name: str, title: str) -> None:
    for row, critic in enumerate(CRITICS):
        axes.plot(
            quantity(data, critic, name), np.full(len(SEEDS), row), "o", color=COLORS[critic], markersize=4, alpha=0.8
        )
    axes.set(xlim=(-0.05, 1.05), ylim=(len(CRITICS) - 0.5, -0.5), yticks=range(len(CRITICS)), title=title)
    axes.set_yticklabels([TITLES[critic] for critic in CRITICS])
    axes.set_xlabel("over that of the optimum")
    axes.grid(axis="x", alpha=0.3)


STUDY = Study(
    name="gan_lipschitz",
    title="Critics of bounded slope: clipped, penalised, spectrally normalised",
    source="Gulrajani et al. (NeurIPS 2017), Figure 1, arXiv:1704.00028",
    compute={"points": points}
    | {
        f"{shape}_{critic}_{seed}": part(shape, critic, seed)
        for shape in SHAPES
        for critic in CRITICS
        for seed in (SEEDS if shape == "ring" else SEEDS[:1])
    },
    checks=checks,
    draw=draw,
    quick=False,
    parameters={"width": 128, "steps": 2000, "lr": 2e-3, "batch": 256, "weight": 10.0, "rows": 1000},
)
