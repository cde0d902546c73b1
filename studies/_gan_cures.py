"""Runs of `gan_cures_digits` and `gan_cures_mnist`: perceptrons in three settings, and how good their samples are.

| setting | loss | rates | steps of D per step of G |
|---|---|---|---|
| equal | non-saturating | 1e-3 for both | 1 |
| slow_d | non-saturating | 1e-3 for G, 1e-4 for D | 1 |
| wgan_gp | Wasserstein, gradient penalty | 1e-3 for both | 3 or 2, on one batch |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import gamedyn as gd

SETTINGS = ("equal", "slow_d", "wgan_gp")
MEASURES = ("precision", "recall", "density", "coverage", "frechet")
PICTURES = 40


def method(setting: str, parameters: Mapping[str, Any]) -> gd.Method:
    """Alternating Adam with the discriminator first; `per_player` scales what Adam returns: a rate of D's own."""
    lr = parameters["lr"]
    if setting == "wgan_gp":
        rule = gd.Alternating(lr, order=(1, 0), steps=(parameters["critic_steps"], 1))
        return gd.Method(rule, gd.Adam(beta1=0.0, beta2=0.9))
    plain = gd.Alternating(lr, order=(1, 0))
    scaled = gd.per_player(plain, (1.0, parameters["slowdown"]))
    return gd.Method(scaled if setting == "slow_d" else plain, gd.Adam(beta1=0.5))


def build(setting: str, data: Any, parameters: Mapping[str, Any], seed: int) -> Any:
    """The GAN of a setting and a seed."""
    from gamedyn import neural
    from gamedyn.neural.penalties import GradientPenalty

    critic = setting == "wgan_gp"
    return neural.GAN(
        neural.mlp_generator(parameters["latent"], data.dim, output="tanh", seed=2 * seed),
        neural.mlp_discriminator(data.dim, seed=2 * seed + 1),
        loss="wasserstein" if critic else "non_saturating",
        penalty=GradientPenalty(parameters["weight"]) if critic else None,
        data=data,
        batch_size=parameters["batch"],
        seed=seed,
    )


def run(setting: str, judge: Any, parameters: Mapping[str, Any], seed: int, perturb: float = 0.0) -> dict[str, Any]:
    """Train one setting and judge it.  `judge` is (data, feature net, real rows)."""
    import torch
    from threadpoolctl import threadpool_limits

    from gamedyn import neural
    from gamedyn.neural.measures import class_coverage, sample_measures

    data, net, real = judge
    gan = build(setting, data, parameters, seed)
    z0 = gan.initial()
    if perturb:
        z0 = z0 + perturb * torch.randn(gan.dim, generator=torch.Generator().manual_seed(seed))
    steps, threads = parameters["critic_run" if setting == "wgan_gp" else "steps"], torch.get_num_threads()
    torch.set_num_threads(1)  # small networks are fastest on one
    try:
        with threadpool_limits(1):
            result = neural.train(gan, method(setting, parameters), steps, seed=seed, every=steps, z0=z0)
            x = gan.sample(result.z, len(real), seed=1)
            found = sample_measures(net.features(real), net.features(x))
            classes = class_coverage(net, x).histogram
    finally:
        torch.set_num_threads(threads)
    row = np.array([getattr(found, name) for name in MEASURES])
    return {"status": result.status, "measures": row, "histogram": classes, "images": x[:PICTURES].numpy()}


def parts(load: Any, seeds: tuple[int, ...], perturbed: bool) -> dict[str, Any]:
    """One part per run.  `load(parameters)` gives data, feature net and real rows first."""

    def trained(setting: str, label: str, seed: int, perturb: float) -> Any:
        def part(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
            found = run(setting, load(parameters)[:3], parameters, seed, perturb)
            return {f"{setting}_{label}_{key}": value for key, value in found.items()}

        return part

    labels = [(f"seed{s}", s, 0.0) for s in seeds] + [("perturbed", seeds[0], 1e-6)] * perturbed
    return {f"{setting}_{label}": trained(setting, label, s, e) for label, s, e in labels for setting in SETTINGS}


def real_against_real(net: Any, real: Any, other: Any) -> dict[str, Any]:
    """The measures of two samples of the data, as good as they get."""
    from gamedyn.neural.measures import class_coverage, sample_measures

    found = sample_measures(net.features(real), net.features(other))
    return {
        "accuracy": net.accuracy,
        "real_measures": np.array([getattr(found, name) for name in MEASURES]),
        "real_histogram": class_coverage(net, real).histogram,
        "real_images": real[:PICTURES].numpy(),
    }
