"""A discriminator that is always right teaches a generator of the minimax loss nothing.

The generator of a fresh GAN stands still, and the discriminator alone is trained against it.  Data and samples do not
overlap, so their Jensen-Shannon divergence is log 2 whatever the generator does, and

    (log 4 - cost_D)/2 → log 2,   ‖∇_G E log(1 - σ(D(G(z))))‖ → 0,   ‖∇_G E -log σ(D(G(z)))‖ does not

On a logit a the two losses have the slopes -σ(a) and -σ(-a): equal at a = 0, where the discriminator starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.plotting import style
from studies.gan_digits import one_thread
from studies.runner import Check, Study

LOSSES = {"saturating": "vermillion", "non_saturating": "blue"}
PAPER = "Arjovsky and Bottou (2017), arXiv:1701.04862"
OWN = "no paper: a threshold read off our own runs, which held for seeds 0-4 and after a 1e-6 perturbation of the start"


def build(parameters: Mapping[str, Any], seed: int) -> Any:
    """Two perceptrons on the ring of eight Gaussians."""
    from gamedyn import neural

    hidden = (parameters["width"],) * 2
    start: dict[str, Any] = {"init": "orthogonal", "gain": parameters["gain"]}
    return neural.GAN(
        neural.mlp_generator(parameters["latent"], 2, hidden, seed=2 * seed, **start),
        neural.mlp_discriminator(2, hidden, activation="relu", input_scale=0.25, seed=2 * seed + 1, **start),
        data=neural.ring(),
        batch_size=parameters["batch"],
        evaluation_size=parameters["evaluation"],
        seed=seed,
    )


def run(parameters: Mapping[str, Any], seed: int, perturb: float = 0.0) -> dict[str, Any]:
    """Train the discriminator alone; the divergence that it proves and the generator's gradients along the way."""
    import torch

    from gamedyn import neural

    gan = build(parameters, seed)
    z0 = gan.initial()
    if perturb:
        z0 = z0 + perturb * torch.randn(gan.dim, generator=torch.Generator().manual_seed(seed))
    alone = gd.Method(gd.Alternating(parameters["lr"], order=(1,)), gd.Adam(beta1=parameters["beta1"]))
    result = neural.train(gan, alone, parameters["steps"], seed=seed, every=parameters["every"], z0=z0)
    fields = {loss: gan.variant(loss=loss).field("neural") for loss in LOSSES}
    rows = [
        [(math.log(4) - float(fields["saturating"].all_costs(z)[1])) / 2]
        + [float(F.part(0, z).norm()) for F in fields.values()]
        for z in result.snapshots
    ]
    own = gan.players[0].slice
    return {
        "rows": np.array(rows),
        "steps": np.asarray(result.snapshot_steps),
        "moved": float((result.z - z0)[own].abs().max()),
        "gap": float(gan.data.x.norm(dim=1).min() - gan.sample(z0, 10_000, seed=1).norm(dim=1).max()),
    }


@one_thread()
def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    runs = []
    for k, seed in enumerate(parameters["seeds"]):
        progress(k / len(parameters["seeds"]), f"seed {seed}")
        runs.append(run(parameters, seed))
    estimate, *norms = np.moveaxis(np.stack([r["rows"] for r in runs]), 2, 0)
    return {
        "seeds": np.asarray(parameters["seeds"]),
        "steps": runs[0]["steps"],
        "estimate": estimate,
        **dict(zip(LOSSES, norms, strict=True)),
        "moved": max(r["moved"] for r in runs),
        "gap": min(r["gap"] for r in runs),
    }


def checks(data: Mapping[str, Any]) -> list[Check]:
    end = int(data["steps"][-1])
    ratio = data["saturating"] / data["non_saturating"]
    found = [
        Check("generator: greatest move", data["moved"], 0.0, 0.0, note="it stands still"),
        Check("radius: least of the data - greatest of G(z)", data["gap"], 1.0, 0.0, "at_least", source=OWN),
        Check(
            "saturating/non-saturating gradient at the start, furthest from 1",
            1 + np.abs(ratio[:, 0] - 1).max(),
            1.0,
            0.01,
            note="equal slopes at D = 0; D starts near 0. " + OWN,
            source="σ(0) = σ(-0)",
        ),
    ]
    for k, seed in enumerate(data["seeds"]):
        found += [
            Check(
                f"seed {seed}: (log 4 - cost_D)/2 after {end} steps of D",
                data["estimate"][k, -1],
                math.log(2),
                0.002,
                note="JSD of laws that do not overlap; " + OWN,
                source=PAPER,
            ),
            Check(
                f"seed {seed}: saturating/non-saturating gradient after {end} steps",
                ratio[k, -1],
                1 / 200,
                0.0,
                "at_most",
                note="Theorem 2.4: the saturating gradient vanishes as D gets right",
                source=OWN,
            ),
            Check(
                f"seed {seed}: non-saturating gradient, end/start",
                data["non_saturating"][k, -1] / data["non_saturating"][k, 0],
                50.0,
                0.0,
                "at_least",
                note="it grows with the slopes of D",
                source=OWN,
            ),
        ]
    return found


def draw(data: Mapping[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    kept = log_spaced(data["steps"])
    steps = data["steps"][kept]
    for row in data["estimate"]:
        left.plot(steps, row[kept], color=style.OKABE_ITO["green"])
    left.axhline(math.log(2), color=style.GREY, linestyle="--", linewidth=0.9)
    left.text(steps[0], math.log(2) + 0.012, "log 2, the JSD of laws that do not overlap", color="0.35")
    left.set(title="what the discriminator proves", ylabel="(log 4 - cost$_D$)/2", ylim=(0, 0.76))
    draw_gradients(right, data, kept)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="steps of the discriminator")
        ax.margins(x=0.02)
    return figure


def draw_gradients(ax: Axes, data: Mapping[str, Any], kept: np.ndarray) -> None:
    steps = data["steps"][kept]
    for loss, color in LOSSES.items():
        for k, row in enumerate(data[loss]):
            label = loss.replace("_", "-") if k == 0 else None
            ax.plot(steps, row[kept], color=style.OKABE_ITO[color], label=label)
    ratio = data["non_saturating"][:, -1] / data["saturating"][:, -1]
    low, high = ratio.min(), ratio.max()
    middle = math.sqrt(data["non_saturating"][:, -1].mean() * data["saturating"][:, -1].mean())
    ax.text(0.97 * steps[-1], middle, f"ratio at the end:\n{low:.0f} to {high:.0f}", ha="right", va="center")
    ax.set(title="what the generator is told", ylabel="norm of the generator's gradient", yscale="log")
    ax.legend(loc="upper left", title=f"loss ({len(ratio)} seeds each)")


def log_spaced(steps: np.ndarray, count: int = 40) -> np.ndarray:
    """Indices of about `count` steps, evenly spaced on a logarithmic axis, without step 0."""
    wanted = np.geomspace(steps[1], steps[-1], count)
    return np.unique([int(np.argmin(np.abs(steps - w))) for w in wanted])


STUDY = Study(
    name="gan_vanishing_gradient",
    title="A sure discriminator: the minimax generator's gradient vanishes",
    source="Goodfellow et al. (2014), arXiv:1406.2661, section 3; Arjovsky and Bottou (ICLR 2017), arXiv:1701.04862",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={
        "seeds": [0, 1, 2],
        "latent": 16,
        "width": 64,
        "gain": 0.8,
        "batch": 128,
        "evaluation": 1000,
        "lr": 1e-3,
        "beta1": 0.5,
        "steps": 1000,
        "every": 10,
    },
)
