"""Critics of `gan_lipschitz`: trained alone between fixed distributions, and judged on rows they have not seen.

x ~ data,  y = x' + ξ,  ξ ~ N(0, I)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import gamedyn as gd

CRITICS = ("clip_small", "clip_large", "penalty", "one_sided", "spectral")
CLIPS = {"clip_small": 0.01, "clip_large": 0.1}
SHAPES = ("ring", "swiss_roll", "grid")
WINDOW = {"ring": 2.2, "swiss_roll": 2.4, "grid": 2.2}
TICKS = 81


def cloud(shape: str, seed: int) -> Any:
    """The three data sets of Gulrajani et al. (2017) in their units."""
    from gamedyn import neural

    if shape == "ring":
        return neural.ring(radius=2 / 1.414, std=0.02 / 1.414, seed=seed)
    if shape == "grid":
        return neural.grid(spacing=2 / 2.828, std=0.05 / 2.828, seed=seed)
    return neural.swiss_roll(seed=seed)


def noisy_data(rows: Any) -> Any:
    """A generator that stands still: z ↦ a row of the data + unit noise, with a shift for its only parameters."""
    import torch
    from torch import nn

    class NoisyData(nn.Module):
        rows: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rows", rows.clone())
            self.shift = nn.Parameter(torch.zeros(rows.shape[1]))
            self.in_features, self.out_features = 1 + rows.shape[1], rows.shape[1]

        def forward(self, z: Any) -> Any:
            row = (torch.special.ndtr(z[:, 0]) * len(self.rows)).long().clamp(max=len(self.rows) - 1)
            return self.rows[row] + z[:, 1:] + self.shift

    return NoisyData()


def build(shape: str, critic: str, parameters: Mapping[str, Any], seed: int) -> Any:
    from gamedyn import neural

    data = cloud(shape, seed)
    D: Any = neural.mlp_discriminator(2, (parameters["width"],) * 3, activation="relu", seed=seed)
    penalty: Any = None
    if critic in CLIPS:
        penalty = neural.WeightClipping(CLIPS[critic])
    elif critic in ("penalty", "one_sided"):
        penalty = neural.GradientPenalty(parameters["weight"], one_sided=critic == "one_sided")
    else:
        D = neural.spectral_normalized(D)
    return neural.GAN(
        noisy_data(data.x), D, loss="wasserstein", penalty=penalty, data=data, batch_size=parameters["batch"], seed=seed
    )


def run(shape: str, critic: str, parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train the critic alone and judge it on rows that it has not seen."""
    import torch
    from threadpoolctl import threadpool_limits

    from gamedyn import neural

    gan, steps = build(shape, critic, parameters, seed), parameters["steps"]
    lr = parameters["lr"]
    # the generator has no turn; the rate falls to 0, so that the critics come to rest
    rule = gd.scheduled(gd.Alternating(lr, order=(1,)), "lr", lambda k: lr * (1 - k / steps))
    method = gd.Method(rule, gd.Adam(beta1=0.0, beta2=0.9))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks are fastest on one
    try:
        with threadpool_limits(1):
            result = neural.train(gan, method, steps, seed=seed, every=steps)
            gan.load(result.z)
            fresh = cloud(shape, 100 + seed).x[: parameters["rows"]]
            return judged(gan.discriminator, fresh, gan.sample(result.z, parameters["rows"], seed=1), shape)
    finally:
        torch.set_num_threads(threads)


def judged(D: Any, x: Any, y: Any, shape: str) -> dict[str, Any]:
    """What the critic reports, how steep it is, its weights, and its values on a grid."""
    import torch

    from gamedyn import neural

    u = torch.rand((len(x), 1), generator=torch.Generator().manual_seed(0))
    points = torch.cat([x, y])
    box = (float(points.min()), float(points.max()))
    bracket = neural.largest_slope(D, points, box=box)
    weights = torch.cat([layer.weight.detach().flatten() for layer in D.layers if hasattr(layer, "weight")]).numpy()
    ticks = torch.linspace(-WINDOW[shape], WINDOW[shape], TICKS)
    window = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        gap, values = float(D(x).mean() - D(y).mean()), D(window).reshape(81, TICKS).T.numpy()
    return {
        "gap": gap,
        "distance": exact_distance(x.numpy(), y.numpy()),
        "steepest": bracket.lower,
        "bound": bracket.upper,
        "slopes": slopes(D, u * x + (1 - u) * y),
        "slopes_at_data": slopes(D, x),
        "weights": weights,
        "values": values,
        "relief": relief(D) if shape == "ring" else 0.0,
    }


def exact_distance(x: np.ndarray, y: np.ndarray) -> float:
    """W₁ between two sets of n points: the mean distance of an optimal assignment."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(x, y)
    return float(cost[linear_sum_assignment(cost)].mean())


def slopes(D: Any, points: Any) -> np.ndarray:
    """‖∇D‖ at points, `(n,)`."""
    import torch

    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(points).sum(), points)
    return gradient.norm(dim=1).numpy()


def relief(D: Any) -> float:
    """On the ring: how much higher D is at the eight modes than half way between them, over the distance to there.

    A cone and a plane have none; in the optimal one the value falls at slope 1 from every mode.
    """
    import torch

    angle, radius = torch.arange(16) * (torch.pi / 8), 2 / 1.414
    with torch.no_grad():
        values = D(radius * torch.stack([angle.cos(), angle.sin()], 1)).flatten()
    return float(values[::2].mean() - values[1::2].mean()) / (2 * radius * np.sin(np.pi / 16))


def share_at_extremes(weights: np.ndarray, c: float | None) -> float:
    """The share of weights within 1 % of ±c; c the largest of them where nothing is clipped."""
    size = np.abs(weights)
    return float(np.mean(size >= 0.99 * (size.max() if c is None else c)))
