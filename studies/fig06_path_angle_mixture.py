"""The path-angle of a GAN on a mixture of two Gaussians, and its eigenvalues before and after training.

    w = z - ηv(z),   z⁺ = z - ηv(w),   η = 0.01 for the generator, 0.1 for the discriminator        (extragradient)

The discriminator's step is too long for extragradient: its sharpest eigenvalue times η is 2, and 1 is the limit.  The
iterates z do not reach an equilibrium.  They rest where v(w) = 0 and v(z) ≠ 0, at a zero of the step that is none of
the game, and the extrapolated points w settle near an equilibrium (four seeds of five).  The authors' code saves its
checkpoints right after the extrapolation, so its path-angles are those of w; both are drawn here.

Reduced: 2,000 samples instead of 10,000 and 10,000 steps instead of 100,000, full batch with fixed latents as there.
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

CHUNKS = 5  # of the long run: a stopped one goes on with the first missing chunk
SURVEY = (1, 2, 3, 4)  # seeds of the shorter runs
PAPER = "Berard et al. (ICLR 2020)"
OWN = "no paper: a threshold read off these runs"


def build(parameters: Mapping[str, Any], seed: int) -> Any:
    """The GAN of a seed; its evaluation sample is the whole data set with fixed latents."""
    from gamedyn import neural

    n, hidden = parameters["samples"], (parameters["width"],)
    return neural.GAN(
        neural.mlp_generator(parameters["latent"], 1, hidden, seed=2 * seed),
        neural.mlp_discriminator(1, hidden, activation="relu", seed=2 * seed + 1),
        data=neural.gaussians_1d(n=n, seed=seed),
        batch_size=n,
        evaluation_size=n,
        seed=seed,
    )


def advance(gan: Any, z: Any, steps: int, parameters: Mapping[str, Any], progress: Any) -> Any:
    """Extragradient on the full batch; every step sees the same field."""
    import torch

    step = gd.StepMap(gd.per_player(gd.Extragradient(1.0), tuple(parameters["lr"])), gan)
    parts = step.start_parts(z)
    with torch.no_grad():
        for k in range(steps):
            if k % 50 == 0:
                progress(k / steps, f"step {k}")
            parts = step.step_parts(parts, k)
    return parts[0]


def chunk(k: int) -> Any:
    """One part of the long run of seed 0."""

    @one_thread()
    def part(parameters: dict[str, Any], progress: Any, earlier: Mapping[str, Any]) -> dict[str, Any]:
        import torch

        gan = build(parameters, 0)
        z = torch.from_numpy(earlier[f"z{k}"]) if k else gan.initial()
        z = advance(gan, z, parameters["steps"] // CHUNKS, parameters, progress)
        return {f"z{k + 1}": z.numpy()}

    return part


def along(gan: Any, start: Any, z: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Path-angles from the start to the iterate z and to its extrapolated point w, and what both points are."""
    import torch

    with torch.no_grad():
        F = gan.field("neural")
        lr = torch.cat([torch.full((p.size,), step) for p, step in zip(gan.players, parameters["lr"], strict=True)])
        w = z - lr * F(z)
        found: dict[str, Any] = {"alphas": np.linspace(*parameters["alphas"])}
        for name, end in (("z", z), ("w", w)):
            path = gd.path_angle(gan, start.double(), end.double(), found["alphas"])
            found |= {
                f"cosine_{name}": path.cosine,
                f"norm_{name}": path.norm,
                f"field_{name}": float(F(end).norm()),
                f"cost_{name}": np.array([float(c) for c in F.all_costs(end)]),
                f"switch_{name}": float(path.sign_switches[-1]) if len(path.sign_switches) else float("nan"),
            }
    return found | {"field_start": float(F(start).norm()), "w": w.numpy()}


@one_thread()
def path(parameters: dict[str, Any], progress: Any, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of the long run, the data, and what the generator makes of its own latents and of fresh ones."""
    import torch

    gan = build(parameters, 0)
    found = along(gan, gan.initial(), torch.from_numpy(earlier[f"z{CHUNKS}"]), parameters)
    w, sample = torch.from_numpy(found["w"]), gan.evaluation_sample
    gan.load(w)
    with torch.no_grad():
        drawn = {
            "data": sample.x,
            "fitted": gan.generator(sample.latents),
            "fresh": gan.sample(w, len(sample), seed=1),
        }
    return found | {name: points.numpy()[:, 0] for name, points in drawn.items()}


@one_thread()
def spectra(parameters: dict[str, Any], progress: Any, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Leading eigenvalues of J and of each player's own Hessian, at the start and at w."""
    import torch

    from gamedyn import neural

    gan = build(parameters, 0)
    found: dict[str, Any] = {}
    for k, (when, z) in enumerate((("start", gan.initial()), ("end", torch.from_numpy(earlier["w"])))):
        progress(k / 2, f"spectrum at the {when}")
        s = neural.spectrum(gan, z.double(), k=parameters["eigenvalues"], which="LM")
        found[f"eigenvalues_{when}"] = s.eigenvalues[: parameters["eigenvalues"]]
        found[f"residual_{when}"] = float(np.max(s.residuals) / s.norm)
        for player, name in enumerate(("G", "D")):
            found[f"block_{name}_{when}"], found[f"least_{name}_{when}"] = block(gan, player, z, parameters["block"])
    return found


def block(gan: Any, i: int, z: Any, k: int) -> tuple[np.ndarray, float]:
    """The k eigenvalues of largest modulus of player i's own Hessian, descending, and its least eigenvalue."""
    import torch
    from scipy.sparse.linalg import LinearOperator, eigsh

    own, n, J = gan.players[i].slice, gan.players[i].size, gd.jacobian(gan, z.double())

    def product(u: np.ndarray) -> np.ndarray:
        x = torch.zeros(gan.dim, dtype=torch.float64)
        x[own] = torch.from_numpy(np.ravel(u).copy())
        return (J @ x)[own].numpy()

    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)
    largest = eigsh(operator, k=k, which="LM", v0=start, tol=1e-6, return_eigenvectors=False)
    least = eigsh(operator, k=1, which="SA", v0=start, tol=1e-3, return_eigenvectors=False)
    return np.sort(largest)[::-1], float(least[0])


def survey(seed: int) -> Any:
    """A shorter run of another seed: what the statements are worth."""

    @one_thread()
    def part(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
        import torch

        from gamedyn import neural

        start = (gan := build(parameters, seed)).initial()
        z = advance(gan, start, parameters["survey_steps"], parameters, lambda f, m="": progress(0.85 * f, m))
        found = along(gan, start, z, parameters)
        w = torch.from_numpy(found.pop("w"))
        for when, point in (("start", start), ("end", w)):
            progress(0.85 if when == "start" else 0.9, f"spectrum at the {when}")
            s = neural.spectrum(gan, point.double(), k=parameters["block"], which="LM")
            found[f"eigenvalues_{when}"] = s.eigenvalues[: parameters["block"]]
        found["block_G_end"], found["least_G_end"] = block(gan, 0, w, parameters["block"])
        return {f"seed{seed}_{key}": value for key, value in found.items()}

    return part


def checks(data: Mapping[str, Any]) -> list[Check]:
    prefixes = ("", *(f"seed{s}_" for s in SURVEY))
    every = [{k.removeprefix(p): v for k, v in data.items() if k.startswith(p)} for p in prefixes]
    found = [
        Check("seed 0: ‖v(w)‖ after, over ‖v‖ before", data["field_w"] / data["field_start"], 0.02, 0.0, "at_most"),
        Check("seed 0: the generator's cost at w", data["cost_w"][0], np.log(2), 0.01, note="log 2 at equilibria"),
        Check("seed 0: the discriminator's cost at w", data["cost_w"][1], np.log(4), 0.01, note="log 4 at equilibria"),
        Check("after: ‖Jx - λx‖ over ‖J‖, greatest of 100", data["residual_end"], 0.0, 1e-10),
    ]
    real, fitted, fresh = (float(np.mean(np.abs(data[name]) < 1)) for name in ("data", "fitted", "fresh"))
    note = "the generator fits the latents of the training, and no others"
    found.append(Check("seed 0: share of |x| < 1, training latents over data", fitted / real, 1.0, 0.15, source=OWN))
    found.append(Check("seed 0: the same, fresh latents over data", fresh / real, 1.8, 0.0, "at_least", note, OWN))

    def all_seeds(name: str, values: list[float], bound: float, kind: str, source: str, note: str = "") -> None:
        worst = min(values) if kind == "at_least" else max(values)
        spread = f"worst of {', '.join(f'{v:.3g}' for v in values)}"
        found.append(Check(name, worst, bound, 0.0, kind, note="; ".join(filter(None, (note, spread))), source=source))

    switch = f"{PAPER}: a sign switch at α = 1 is attraction"
    all_seeds("sign switch on the line to w, |α - 1|", [abs(r["switch_w"] - 1) for r in every], 0.03, "at_most", switch)
    bumps = [k for k, r in enumerate(every) if 0.95 <= r["alphas"][np.argmax(r["cosine_w"])] <= 1.01]
    note, rotation = f"seeds {bumps}; seed 1 does not settle", f"{PAPER}: a bump before α = 1 is rotation"
    found.append(Check("runs of 5 with a peak at 0.95 ≤ α ≤ 1.01", len(bumps), 4, 0.0, "at_least", note, rotation))
    leading = {w: [r[f"eigenvalues_{w}"][:20] for r in every] for w in ("start", "end")}  # by modulus
    shares = [[float(np.mean(np.abs(e.imag) / np.abs(e))) for e in values] for values in leading.values()]
    all_seeds("before: imaginary share of the 20 leading eigenvalues", shares[0], 0.12, "at_most", OWN)
    all_seeds("after: imaginary share of the 20 leading eigenvalues", shares[1], 0.25, "at_least", OWN)
    heights = [e.imag.max() / s.imag.max() for s, e in zip(*leading.values(), strict=True)]
    against = "the imaginary parts fall; it is their share that grows, because the small real eigenvalues vanish"
    all_seeds("greatest |Im λ| after, over before", heights, 0.7, "at_most", OWN, against)
    least, flat = [r["least_G_end"] for r in every], "small: D is nearly constant, and with it the generator's cost"
    saddle = f"{PAPER}: the generator rests at a saddle of its own cost"
    all_seeds("after: least eigenvalue of the generator's Hessian", least, 0.0, "at_most", saddle, flat)
    sharpest = [STUDY.parameters["lr"][1] * r["eigenvalues_end"].real.max() for r in every]
    limit = "extragradient on a real λ > 0 is stable iff ηλ < 1"
    all_seeds("after: largest eigenvalue, the discriminator's, times its η", sharpest, 1.0, "at_least", limit)
    all_seeds("‖v(z)‖ over ‖v(w)‖, after", [r["field_z"] / r["field_w"] for r in every], 20.0, "at_least", OWN)
    ends = [float(np.interp(1.0, r["alphas"], r["cosine_z"])) for r in every]
    all_seeds("path-angle at the iterate z", ends, -0.1, "at_most", OWN, "no sign switch at z: it is no equilibrium")
    return found


def draw(data: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(9.6, 5.2))
    (angle, norm, density), (before, after, blocks) = figure.subplots(2, 3)
    _draw_lines(angle, norm, data)
    bins = np.linspace(-6, 6, 41)
    density.hist(data["data"], bins, density=True, color="0.85", label="data")
    for name, latents, line in (("fitted", "training", "-"), ("fresh", "fresh", ":")):
        counts = np.histogram(data[name], bins, density=True)[0]
        density.stairs(counts, bins, color=COLORS["w"], linestyle=line, label=f"generator, {latents} latents")
    density.set(xlabel="x", ylabel="density", title="samples", ylim=(0, 0.36))
    density.legend()
    _draw_plane(before, data["eigenvalues_start"], "100 leading eigenvalues before", "black")
    _draw_plane(after, data["eigenvalues_end"], "100 leading eigenvalues at w", COLORS["w"])
    _draw_blocks(blocks, data)
    return figure


COLORS = {"w": style.OKABE_ITO["blue"], "z": style.OKABE_ITO["vermillion"], "D": style.OKABE_ITO["green"]}


def _draw_lines(angle: Axes, norm: Axes, data: Mapping[str, Any]) -> None:
    for s in SURVEY:
        label = f"other seeds, {STUDY.parameters['survey_steps']:,} steps" if s == SURVEY[0] else None
        angle.plot(data["alphas"], data[f"seed{s}_cosine_w"], color=COLORS["w"], alpha=0.3, linewidth=0.7, label=label)
    for name, text, line in (("w", "to the extrapolated point w", "-"), ("z", "to the iterate z", "--")):
        angle.plot(data["alphas"], data[f"cosine_{name}"], line, color=COLORS[name], label=text)
        norm.semilogy(data["alphas"], data[f"norm_{name}"], line, color=COLORS[name], label=text)
    angle.axhline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    for ax, name in ((angle, "path-angle cos"), (norm, "path-norm ‖v‖")):
        ax.axvline(1.0, color=style.GREY, linewidth=0.8, zorder=0)
        ax.set(xlabel="position on the line α", ylabel=name, title="from the start to the end", xlim=(-0.1, 1.1))
    angle.set_ylim(-0.4, 0.55)
    angle.legend(loc="upper left")


def _draw_plane(ax: Axes, values: np.ndarray, title: str, color: str) -> None:
    ax.axvspan(-10, 0, facecolor=style.GREY, alpha=0.12, linewidth=0)
    ax.axvline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.plot(values.real, values.imag, "o", color=color, markerfacecolor="none", markersize=3.5, markeredgewidth=0.7)
    _symlog(ax, "xy")
    ax.set(xlim=(-3, 60), ylim=(-6, 6), xlabel="Re λ(J)", ylabel="Im λ(J)", title=title)


def _symlog(ax: Axes, axes: str) -> None:
    ticks = [-1, -0.1, 0, 0.1, 1, 10]
    for axis in axes:
        getattr(ax, f"set_{axis}scale")("symlog", linthresh=0.01, linscale=0.7)
        getattr(ax, f"set_{axis}ticks")(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def _draw_blocks(ax: Axes, data: Mapping[str, Any]) -> None:
    for name, who, color in (("G", "generator", COLORS["w"]), ("D", "discriminator", COLORS["D"])):
        for when, face, line in (("start", "white", ":"), ("end", color, "-")):
            values, label = data[f"block_{name}_{when}"], f"{who}, {'before' if when == 'start' else 'at w'}"
            looks: Any = {"color": color, "markerfacecolor": face, "markersize": 3, "linestyle": line, "label": label}
            ax.plot(np.arange(1, len(values) + 1), values, marker="o", **looks)
    ax.axhline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    _symlog(ax, "y")
    ax.set(xlabel="rank", ylabel="eigenvalue", title="each player's own Hessian", xticks=[1, 5, 10, 15, 20])
    ax.set_ylim(-2, 3000)
    ax.legend(loc="upper right")


SEEDS = {f"seed_{s}": survey(s) for s in SURVEY}
STUDY = Study(
    name="fig06_path_angle_mixture",
    title="A GAN on two Gaussians rotates around the point that attracts it",
    source="Berard et al. (ICLR 2020), arXiv:1906.04848, path-angle and eigenvalues on the mixture of Gaussians",
    compute={f"train_{k + 1}": chunk(k) for k in range(CHUNKS)} | {"path": path, "spectra": spectra} | SEEDS,
    draw=draw,
    checks=checks,
    quick=False,
    parameters={
        "samples": 2000,
        "latent": 100,
        "width": 100,
        "lr": [0.01, 0.1],
        "steps": 10_000,
        "alphas": [-0.1, 1.1, 100],
        "eigenvalues": 100,
        "block": 20,
        "survey_steps": 5000,
    },
)
