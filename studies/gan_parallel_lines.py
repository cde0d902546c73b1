"""Two parallel segments: the divergence that a GAN measures is blind to their distance, Wasserstein's is not.

    P₀ the law of (0, U),  P_θ that of (θ, U),  U uniform on [0, 1]
    JSD(P₀, P_θ) = log 2  and  KL = ∞  for every θ ≠ 0, both 0 at θ = 0;   W(P₀, P_θ) = |θ|         (1)

The generator has one parameter, θ.  Discriminators are trained against a generator that stands still: of the minimax
loss, whose (log 4 - cost_D)/2 bounds JSD from below, and of the Wasserstein loss with spectral normalisation, whose
-cost_D bounds W from below, since such a critic is 1-Lipschitz (of the laws; a sample adds its noise).  Then θ follows
its gradient by Euler steps, with the discriminator trained again before each:

    θ' = -sign θ  under W, which reaches 0 at the time |θ₀|;   θ' = 0  under JSD
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

LOSSES = {"saturating": "vermillion", "wasserstein": "blue"}
NAMES = {"saturating": "minimax", "wasserstein": "Wasserstein"}
PAPER = "Arjovsky, Chintala, Bottou (ICML 2017), arXiv:1701.07875, Example 1"
OWN = "tolerance read off our own runs, held for seeds 0-4 and after a 1e-6 perturbation of the start"


def exact(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """(1) by the package's divergences on two laws of a coin, and by optimal transport between 50 points on each."""
    from scipy.optimize import linear_sum_assignment

    from gamedyn.neural.losses import divergence

    thetas = np.asarray(parameters["thetas"])
    heights = (np.arange(50) + 0.5) / 50
    jsd, kl, w = [], [], []
    for theta in thetas:
        p, q = (np.array([1.0, 0.0]), np.array([0.0, 1.0])) if theta else (np.ones(1), np.ones(1))
        jsd.append(divergence("js", p, q) / 2)  # "js" is 2 JSD
        kl.append(divergence("kl", p, q))
        cost = np.hypot(theta, heights[:, None] - heights)
        w.append(cost[linear_sum_assignment(cost)].mean())
    return {"thetas": thetas, "jsd": np.array(jsd), "kl": np.array(kl), "w": np.array(w)}


def segment(theta: float) -> Any:
    """The generator z ↦ (θ, Φ(z)), Φ the normal distribution function."""
    import torch

    class Segment(torch.nn.Module):
        in_features = 1

        def __init__(self) -> None:
            super().__init__()
            self.theta = torch.nn.Parameter(torch.tensor([float(theta)]))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.theta.expand(len(z), 1), torch.special.ndtr(z)], 1)

    return Segment()


def build(loss: str, theta: float, parameters: Mapping[str, Any], seed: int) -> Any:
    """The segment at θ against the one at 0."""
    from gamedyn import neural
    from gamedyn.neural.penalties.spectral import spectral_normalized

    hidden = parameters["hidden"][loss]
    D: Any = neural.mlp_discriminator(2, hidden, init="orthogonal", seed=seed)
    return neural.GAN(
        segment(theta),
        spectral_normalized(D) if loss == "wasserstein" else D,
        loss=loss,
        data=neural.parallel_lines(n=parameters["rows"]).only(0),
        batch_size=parameters["batch"],
        evaluation_size=parameters["rows"],
        seed=seed,
    )


def train(gan: Any, z: Any, loss: str, parameters: Mapping[str, Any], steps: int, seed: int) -> Any:
    """The discriminator alone."""
    from gamedyn import neural

    alone = gd.Method(gd.Alternating(parameters["lr"][loss], order=(1,)), gd.Adam(beta1=0.5))
    return neural.train(gan, alone, steps, seed=seed, every=steps, z0=z).z


def started(gan: Any, seed: int, perturb: float) -> Any:
    """The start, with θ as it is and the discriminator's parameters moved a little where that is asked for."""
    import torch

    z = gan.initial()
    if perturb:
        z[1:] += perturb * torch.randn(gan.dim - 1, generator=torch.Generator().manual_seed(seed))
    return z


def measured(loss: str, parameters: Mapping[str, Any], seed: int, perturb: float = 0.0) -> np.ndarray:
    """What a trained discriminator says of each θ: its bound of JSD or of W."""
    values = []
    for theta in parameters["thetas"]:
        gan = build(loss, theta, parameters, seed)
        z = train(gan, started(gan, seed, perturb), loss, parameters, parameters["steps"][loss], seed)
        cost = float(gan.field("neural").all_costs(z)[1])
        values.append(-cost if loss == "wasserstein" else (math.log(4) - cost) / 2)
    return np.array(values)


def flow(loss: str, parameters: Mapping[str, Any], seed: int, perturb: float = 0.0) -> np.ndarray:
    """θ along Euler steps of its gradient, the discriminator trained again before each."""
    gan = build(loss, parameters["start"], parameters, seed)
    z, path, steps = started(gan, seed, perturb), [parameters["start"]], parameters["steps"][loss]
    F = gan.oracle(parameters["batch"], seed=seed)
    for k in range(parameters["flow_steps"]):
        z = train(gan, z, loss, parameters, steps, seed=1000 * (seed + 1) + k)
        z[0] -= parameters["euler"] * F.draw(k).part(0, z)[0]
        path.append(float(z[0]))
        steps = parameters["again"]
    return np.array(path)


@one_thread()
def trained(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    found = {}
    for k, loss in enumerate(LOSSES):
        progress(k / 2, NAMES[loss])
        found[f"{loss}_measured"] = measured(loss, parameters, parameters["seed"])
        found[f"{loss}_flow"] = flow(loss, parameters, parameters["seed"])
    return {**found, "euler": parameters["euler"]}


def checks(data: Mapping[str, Any]) -> list[Check]:
    found = []
    for theta, *numbers in zip(data["thetas"], data["jsd"], data["kl"], data["w"], strict=True):
        jsd, kl, w = numbers
        apart = f"θ = {theta:g}"
        found += [
            Check(f"{apart}: JSD", jsd, math.log(2) if theta else 0.0, 1e-15, source=PAPER),
            Check(f"{apart}: KL = ∞", float(math.isinf(kl)), float(theta != 0), 0.0, note="1 is yes", source=PAPER),
            Check(f"{apart}: W, by optimal transport", w, abs(theta), 1e-15, source=PAPER),
        ]
    for theta, jsd, w in zip(data["thetas"], data["saturating_measured"], data["wasserstein_measured"], strict=True):
        exact_jsd, noise = (math.log(2), 0.005) if theta else (0.0, 0.015)  # at 0 the samples differ, the laws do not
        found += [
            Check(f"θ = {theta:g}: JSD, by a trained D", jsd, exact_jsd, 0.005, note=OWN, source=PAPER),
            Check(f"θ = {theta:g}: W, by a trained critic", w, abs(theta), noise, note=OWN, source=PAPER),
        ]
    h, start = data["euler"], data["wasserstein_flow"][0]
    times = h * np.arange(len(data["wasserstein_flow"]))
    line = np.abs(data["wasserstein_flow"] - np.maximum(0, start - times)).max()
    return [
        *found,
        Check(
            "flow of W: greatest distance from max(0, θ₀ - t)",
            line,
            0.0,
            h,
            note="one Euler step; " + OWN,
            source=PAPER,
        ),
        Check(
            f"flow of JSD: greatest move up to t = {times[-1]:g}",
            np.abs(data["saturating_flow"] - start).max(),
            0.0,
            0.005,
            note=OWN,
            source=PAPER,
        ),
    ]


def draw(data: Mapping[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, (one, two, three) = plt.subplots(1, 3, figsize=(7.6, 2.8), width_ratios=(1, 1, 1.1))
    theta = data["thetas"]
    reach = 1.1 * np.abs(theta).max()
    draw_jsd(one, data, reach)
    line = np.linspace(-reach, reach, 201)
    two.plot(line, np.abs(line), color="black", label="|θ|")
    two.plot(theta, data["wasserstein_measured"], "o", color=style.OKABE_ITO["blue"], label="trained critic")
    two.set(title="Wasserstein distance", ylim=(-0.04, reach))
    two.legend(loc="upper center")
    for ax in (one, two):
        ax.set_xlabel("distance θ of the segments")
    draw_flows(three, data)
    return figure


def draw_jsd(ax: Axes, data: Mapping[str, Any], reach: float) -> None:
    for side in (-1, 1):
        ax.plot(
            [0, side * reach], [math.log(2)] * 2, color="black", label="log 2, and 0 at θ = 0" if side > 0 else None
        )
    ax.plot(0, math.log(2), "o", color="black", markerfacecolor="white", markersize=5, zorder=3)
    ax.plot(0, 0, "o", color="black", markersize=5)
    told = data["saturating_measured"]
    ax.plot(data["thetas"], told, "o", color=style.OKABE_ITO["vermillion"], zorder=4, label="trained discriminator")
    ax.text(0.5, 0.32, "KL = ∞ for θ ≠ 0", transform=ax.transAxes, ha="center", color="0.35")
    ax.set(title="Jensen-Shannon divergence", ylim=(-0.04, reach))
    ax.legend(loc="upper center")


def draw_flows(ax: Axes, data: Mapping[str, Any]) -> None:
    for loss, color in LOSSES.items():
        path = data[f"{loss}_flow"]
        times = data["euler"] * np.arange(len(path))
        ideal = np.maximum(0, path[0] - times) if loss == "wasserstein" else np.full_like(path, path[0])
        ax.plot(times, ideal, color="black", label="in closed form" if loss == "wasserstein" else None)
        label = f"{NAMES[loss]}, trained"
        ax.plot(times, path, "o", markersize=3.5, color=style.OKABE_ITO[color], label=label)
    ax.set(title="θ along its gradient flow", xlabel="time", ylabel="θ", ylim=(-0.08, 1.15 * path[0]))
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.86))


STUDY = Study(
    name="gan_parallel_lines",
    title="Parallel lines: JSD is blind to their distance, W is the distance",
    source=PAPER,
    compute={"exact": exact, "trained": trained},
    draw=draw,
    checks=checks,
    parameters={
        "thetas": [-0.5, 0.0, 0.25, 0.5, 1.0],
        "seed": 0,
        "rows": 40_000,
        "batch": 256,
        "hidden": {"saturating": [32, 32], "wasserstein": [32]},
        "lr": {"saturating": 3e-3, "wasserstein": 1e-2},
        "steps": {"saturating": 300, "wasserstein": 200},
        "start": 0.52,
        "euler": 0.05,
        "flow_steps": 16,
        "again": 40,
    },
)
