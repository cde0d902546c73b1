"""Consensus optimisation and the eigenvalues of a GAN on eight Gaussians, before and after training.

    J = Dv,    R = J + γ JᵀJ,    γ = 10

R is the Jacobian of v + γJᵀv where v = 0, and the matrix whose eigenvalues the paper draws.  Its eigenvalues cannot
be anywhere: with a unit eigenvector x, λ = x*Jx + γ‖Jx‖² and |x*Jx| ≤ ‖Jx‖, so for every real J

    Re λ(R) ≥ γ (Im λ(R))² - 1/(4γ)                                                         (1)

No eigenvalue reaches further left than -1/(4γ), and fast rotation is impossible without fast attraction.  Away from
equilibria the Jacobian of v + γJᵀv has one more term, with third derivatives of the costs; it is measured here too.

The setting is that of the authors' notebook (two ReLU networks of four hidden layers of 16, z of 16, batches of 512,
RMSProp) with 10,000 steps instead of 50,000.  Signs are those of the field that is descended: what the paper has left
of the imaginary axis is on the right here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.plotting import style
from studies.gan_digits import one_thread
from studies.runner import Check, Study

SEEDS = (0, 1, 2)
WHEN = ("start", "end")
LEADING = 0.05  # eigenvalues below this modulus are many, tiny and of either sign: neutral directions of the networks
PAPER = "Mescheder, Nowozin and Geiger (NeurIPS 2017)"
OWN = "no paper: a threshold read off these runs"


def build(parameters: Mapping[str, Any], seed: int) -> Any:
    """The GAN of a seed, with Glorot's uniform weights and zero biases."""
    from gamedyn import neural

    hidden, latent = (parameters["width"],) * 4, parameters["latent"]
    return neural.GAN(
        glorot(neural.mlp_generator(latent, 2, hidden), 2 * seed),
        glorot(neural.mlp_discriminator(2, hidden, activation="relu"), 2 * seed + 1),
        data=neural.ring(8, parameters["radius"], parameters["std"], seed=seed),
        batch_size=parameters["batch"],
        evaluation_size=parameters["batch"],
        seed=seed,
    )


def glorot(network: Any, seed: int) -> Any:
    """The same network with W uniform on ±√(6 / (fan in + fan out)) and b = 0."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            if p.ndim == 2:
                torch.nn.init.xavier_uniform_(p, generator=generator)
            else:
                p.zero_()
    return network


def trained(seed: int) -> Any:
    """The part of one seed: training, and both spectra at its start and end."""

    @one_thread()
    def part(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
        from gamedyn import neural

        gan, steps = build(parameters, seed), parameters["steps"]
        rule = gd.Simultaneous(parameters["lr"])
        method = gd.Method(rule, gd.RMSProp(0.9, 1e-10), gd.consensus(parameters["gamma"]))

        def watch(step: int, z: Any) -> None:
            progress(0.1 + 0.8 * step / steps, f"step {step}")

        result = neural.train(gan, method, steps, seed=seed, every=steps // 50, callback=watch, progress=False)
        found: dict[str, Any] = {"status": result.status}
        for when, z in zip(WHEN, (result.snapshots[0], result.z), strict=True):
            progress(0.05 if when == "start" else 0.92, f"spectrum at the {when}")
            found |= {f"{key}_{when}": value for key, value in look(gan, z, parameters).items()}
        return {f"seed{seed}_{key}": value for key, value in found.items()}

    return part


def look(gan: Any, z: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Eigenvalues of J and R at a point, ‖v‖, samples, and the occupancy of the modes."""
    J, gamma = dense(gan, z), parameters["gamma"]
    samples = gan.sample(z, parameters["samples"], seed=1).numpy()
    distances = np.linalg.norm(samples[:, None] - gan.data.modes.numpy(), axis=2)
    return {
        "J": np.linalg.eigvals(J),
        "R": np.linalg.eigvals(J + gamma * J.T @ J),
        "field": float(gd.field(gan, z.double()).norm()),
        "samples": samples[:1000],
        "occupancy": np.bincount(distances.argmin(axis=1), minlength=8) / len(samples),
        "distance": float(np.median(distances.min(axis=1))),
        "z": z.numpy(),
    }


def dense(game: Any, z: Any) -> np.ndarray:
    """J by rows, in float64."""
    import torch

    transposed = gd.jacobian(game, z.double()).T
    return torch.stack([transposed @ row for row in torch.eye(game.dim, dtype=torch.float64)]).numpy()


@one_thread()
def second_order(parameters: dict[str, Any], progress: Any, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """How far R is from the Jacobian of v + γJᵀv itself, at the start and the end of seed 0."""
    import torch

    gan, gamma = build(parameters, 0), parameters["gamma"]
    found: dict[str, Any] = {}
    for when in WHEN:
        progress(0.0 if when == "start" else 0.5, f"exact Jacobian at the {when}")
        z = torch.from_numpy(earlier[f"seed0_z_{when}"])
        J, W = dense(gan, z), dense(gd.consensus(gamma)(gan), z)
        found[f"exact_{when}"] = np.linalg.eigvals(W)
        found[f"apart_{when}"] = float(np.linalg.norm(W - J - gamma * J.T @ J) / np.linalg.norm(W))
    return found


def leading(values: np.ndarray) -> np.ndarray:
    """Those of modulus above `LEADING`."""
    return values[np.abs(values) > LEADING]


def steepest(values: np.ndarray) -> float:
    """The greatest |Im λ| / |Re λ| among the leading eigenvalues."""
    chosen = leading(values)
    return float((np.abs(chosen.imag) / np.maximum(np.abs(chosen.real), 1e-300)).max())


def unstable(values: np.ndarray) -> float:
    """The share of leading eigenvalues with Re λ < 0."""
    return float(np.mean(leading(values).real < 0))


def margin(values: np.ndarray, gamma: float) -> float:
    """By how much (1) holds, for the eigenvalue that is closest to violating it."""
    return float((values.real - gamma * values.imag**2 + 1 / (4 * gamma)).min())


def checks(data: Mapping[str, Any]) -> list[Check]:
    gamma = STUDY.parameters["gamma"]
    J, R = ({w: [data[f"seed{s}_{m}_{w}"] for s in SEEDS] for w in WHEN} for m in "JR")
    slack = min(margin(e, gamma) for w in WHEN for e in R[w])
    found = [Check("R: Re λ - γ (Im λ)² + 1/(4γ), least", slack, 0.0, 1e-12, "at_least", note="(1), all seeds")]

    def all_seeds(name: str, values: list[float], bound: float, kind: str, source: str = PAPER) -> None:
        worst = min(values) if kind == "at_least" else max(values)
        note = "worst of " + ", ".join(f"{v:.3g}" for v in values)
        found.append(Check(name, worst, bound, 0.0, kind, note=note, source=f"{source}; bound read off these seeds"))

    axis = f"{PAPER}: near the equilibrium v has eigenvalues close to the imaginary axis, the regularised field not"
    all_seeds("before: least Re λ(J)", [e.real.min() for e in J["start"]], -0.2, "at_most")
    all_seeds("after: least Re λ(J)", [e.real.min() for e in J["end"]], -0.03, "at_most")
    all_seeds("before: leading λ(J) with Re < 0, share", [unstable(e) for e in J["start"]], 0.3, "at_least")
    all_seeds("after: leading λ(J) with Re < 0, share", [unstable(e) for e in J["end"]], 0.2, "at_most")
    all_seeds("before: leading λ(R) with Re < 0, share", [unstable(e) for e in R["start"]], 0.0, "at_most")
    all_seeds("after: leading λ(R) with Re < 0, share", [unstable(e) for e in R["end"]], 0.0, "at_most")
    all_seeds("after: greatest |Im| / |Re| of leading λ(J)", [steepest(e) for e in J["end"]], 10.0, "at_least", axis)
    all_seeds("after: greatest |Im| / |Re| of leading λ(R)", [steepest(e) for e in R["end"]], 2.0, "at_most", axis)
    fields = [data[f"seed{s}_field_end"] / data[f"seed{s}_field_start"] for s in SEEDS]
    all_seeds("‖v‖ after, over before", fields, 0.3, "at_most", OWN)
    all_seeds("least share of a mode", [data[f"seed{s}_occupancy_end"].min() for s in SEEDS], 0.05, "at_least", OWN)
    for when, bound in zip(WHEN, (0.5, 0.1), strict=True):
        name = f"{'before' if when == 'start' else 'after'}: ‖Dw - R‖ / ‖Dw‖, w = v + γJᵀv, seed 0"
        found.append(Check(name, data[f"apart_{when}"], bound, 0.0, "at_most", note="third derivatives", source=OWN))
    return found


def draw(data: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(9.6, 4.9))
    panels = figure.subplots(2, 4, width_ratios=(0.95, 1.1, 1.2, 1.1))
    for row, when, label in zip(panels, WHEN, ("before training", "after training"), strict=True):
        _draw_samples(row[0], data[f"seed0_samples_{when}"], label)
        J, R = data[f"seed0_J_{when}"], data[f"seed0_R_{when}"]
        _draw_plane(row[1], J, style.method_color("Simultaneous"))
        _draw_plane(row[2], R, style.method_color("Consensus"))
        _draw_border(row[2], STUDY.parameters["gamma"])
        _draw_histogram(row[3], J, R)
    for ax, title in zip(panels[0], ("samples", "J = Dv", "R = J + γ JᵀJ", "all eigenvalues"), strict=True):
        ax.set_title(title)
    for ax, name in zip(panels[1], ("x₁", "Re λ", "Re λ", "Re λ"), strict=True):
        ax.set_xlabel(name)
    panels[0, 3].legend(loc="upper right")
    border = "dashed, the border:\nRe λ = γ (Im λ)² - 1/(4γ)"
    panels[0, 2].text(0.97, 0.65, border, ha="right", transform=panels[0, 2].transAxes)
    return figure


def _draw_samples(ax: Axes, samples: np.ndarray, label: str) -> None:
    angle = 2 * np.pi * np.arange(8) / 8
    ax.plot(np.cos(angle), np.sin(angle), "+", color="black", markersize=7, zorder=3)
    ax.plot(*samples.T, ".", color=style.OKABE_ITO["blue"], markersize=1.5, rasterized=True)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", ylabel=f"{label}\nx₂")


def _draw_plane(ax: Axes, values: np.ndarray, color: str) -> None:
    ax.axvspan(-2, 0, facecolor=style.GREY, alpha=0.12, linewidth=0)
    ax.axvline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.plot(values.real, values.imag, "o", color=color, markerfacecolor="none", markersize=3.2, markeredgewidth=0.7)
    room = 0.05 * np.ptp(values.real)
    ax.set(xlim=(values.real.min() - room, values.real.max() + room), ylim=(-0.7, 0.7), ylabel="Im λ")


def _draw_border(ax: Axes, gamma: float) -> None:
    """The parabola (1), which no eigenvalue of R can be left of."""
    y = np.linspace(-0.7, 0.7, 200)
    ax.plot(gamma * y**2 - 1 / (4 * gamma), y, "--", color="black", linewidth=0.8)


def _draw_histogram(ax: Axes, J: np.ndarray, R: np.ndarray) -> None:
    edges = np.concatenate([-np.geomspace(1, 1e-2, 13), np.linspace(-1e-2, 1e-2, 9)[1:-1], np.geomspace(1e-2, 20, 21)])
    for values, name, method in ((J, "J", "Simultaneous"), (R, "R", "Consensus")):
        counts = np.histogram(values.real, edges)[0]
        ax.stairs(counts, edges, color=style.method_color(method), linewidth=1.1, label=f"λ({name})")
    ax.axvline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.set_xscale("symlog", linthresh=1e-2, linscale=0.6)
    ax.set(yscale="log", ylim=(0.7, 4000), ylabel="eigenvalues per bin", xlim=(-1, 20))
    ax.set_xticks([-0.1, 0, 0.1, 1, 10], ["-0.1", "0", "0.1", "1", "10"])
    ax.minorticks_off()


STUDY = Study(
    name="fig04_eigenvalues_mixture",
    title="Consensus optimisation moves the eigenvalues of a GAN off the imaginary axis",
    source="Mescheder, Nowozin and Geiger (NeurIPS 2017), arXiv:1705.10461, eigenvalues on the mixture of Gaussians",
    compute={f"seed_{s}": trained(s) for s in SEEDS} | {"second_order": second_order},
    draw=draw,
    checks=checks,
    quick=False,
    parameters={
        "width": 16,
        "latent": 16,
        "radius": 1.0,
        "std": 0.01,
        "batch": 512,
        "lr": 1e-4,
        "gamma": 10.0,
        "steps": 10_000,
        "samples": 2500,
    },
)
