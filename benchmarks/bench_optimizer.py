"""GameOptimizer against hand-written loops and published optimizers: python benchmarks/bench_optimizer.py [NAME ...]

The unit is one hand-written simultaneous Adam step: `torch.optim.Adam` for both players, D(G(z)) computed once.
Peers (higher, torchopt, CGDs) are optional; before a comparison both sides take one step from the same point and
the updates are compared.  Networks: "mlp", 975,585 parameters, batch 256; "dcgan" and "dcgan-bn", 28 x 28 pixels,
batch 64.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from harness import pin, ratio, save
from torch import nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn.torch import GameOptimizer

LR = 1e-4
ANSWER_LR = 1e-2
STEPS = 5
LATENT = 64
PAIRS = 9


class Setting:
    """Two networks, one batch, and the costs of a GAN."""

    def __init__(self, name: str, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(0)
        self.G, self.D = mlp() if name == "mlp" else dcgan(norm=name == "dcgan-bn")
        shape = (256, 784) if name == "mlp" else (64, 1, 28, 28)
        self.x = (torch.rand(shape) * 2 - 1).to(dtype)
        self.noise = torch.randn(shape[0], LATENT).to(dtype)
        for net in (self.G, self.D):
            net.to(dtype)

    def cost_d(self, fake: torch.Tensor) -> torch.Tensor:
        return softplus(-self.D(self.x)).mean() + softplus(fake).mean()

    def closure(self, player: int | None = None) -> Any:
        """Costs of a non-saturating GAN."""
        fake = self.D(self.G(self.noise))
        if player == 0:
            return softplus(-fake).mean()
        return softplus(-fake).mean(), self.cost_d(fake)

    def zero_sum(self) -> tuple[torch.Tensor, torch.Tensor]:
        cost = -self.cost_d(self.D(self.G(self.noise)))
        return cost, -cost

    def parameters(self) -> list[Any]:
        return [self.G.parameters(), self.D.parameters()]

    def flat(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for net in (self.G, self.D) for p in net.parameters()])


def mlp() -> tuple[nn.Module, nn.Module]:
    def layers(*sizes: int) -> list[nn.Module]:
        found: list[nn.Module] = []
        for a, b in pairwise(sizes):
            found += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        return found[:-1]

    return nn.Sequential(*layers(LATENT, 400, 400, 784), nn.Tanh()), nn.Sequential(*layers(784, 400, 400, 1))


def dcgan(norm: bool) -> tuple[nn.Module, nn.Module]:
    def normed(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if norm else []

    G = nn.Sequential(
        nn.Linear(LATENT, 128 * 49),
        nn.Unflatten(1, (128, 7, 7)),
        *normed(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1),
        *normed(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1),
        *normed(128),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128 * 49, 1),
    )
    return G, D


# the sides of each comparison: setting -> a function that takes one step -------------------------------


def by_hand(s: Setting) -> Callable[[], Any]:
    """Simultaneous Adam as one writes it."""
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), lr=LR, betas=(0.5, 0.999)) for net in (s.G, s.D))
    params_g, params_d = list(s.G.parameters()), list(s.D.parameters())

    def step() -> None:
        fake = s.D(s.G(s.noise))
        grads_g = torch.autograd.grad(softplus(-fake).mean(), params_g, retain_graph=True)
        grads_d = torch.autograd.grad(s.cost_d(fake), params_d)
        for p, g in zip([*params_g, *params_d], [*grads_g, *grads_d], strict=True):
            p.grad = g
        opt_g.step()
        opt_d.step()

    return step


def ours(method: Any, **options: Any) -> Callable[[Setting], Callable[[], Any]]:
    def build(s: Setting) -> Callable[[], Any]:
        opt = GameOptimizer(s.parameters(), method, **options)
        return lambda: opt.step(s.closure)

    return build


def unrolled_ours(s: Setting) -> Callable[[], Any]:
    opt = GameOptimizer(s.parameters(), gd.Method(gd.Simultaneous(LR), gd.Adam(0.5), gd.unrolled(STEPS, ANSWER_LR)))

    def closure(player: int | None = None) -> Any:
        fake = s.D(opt.once(s.G, s.noise))
        if player is not None:
            return softplus(-fake).mean() if player == 0 else s.cost_d(fake)
        return softplus(-fake).mean(), s.cost_d(fake)

    return lambda: opt.step(closure)


def _adam_step(s: Setting, optimizers: Any, grads_g: Any, grads_d: Any) -> None:
    for p, g in zip([*s.G.parameters(), *s.D.parameters()], [*grads_g, *grads_d], strict=True):
        p.grad = g
    for opt in optimizers:
        opt.step()


def unrolled_higher(s: Setting) -> Callable[[], Any]:
    import higher

    optimizers = [torch.optim.Adam(net.parameters(), lr=LR, betas=(0.5, 0.999)) for net in (s.G, s.D)]
    inner = torch.optim.SGD(s.D.parameters(), lr=ANSWER_LR)

    def step() -> None:
        image = s.G(s.noise)
        with higher.innerloop_ctx(s.D, inner, copy_initial_weights=False) as (answer, moves):
            for _ in range(STEPS):
                moves.step(softplus(-answer(s.x)).mean() + softplus(answer(image)).mean())
            grads_g = torch.autograd.grad(softplus(-answer(image)).mean(), list(s.G.parameters()))
        grads_d = torch.autograd.grad(s.cost_d(s.D(image.detach())), list(s.D.parameters()))
        _adam_step(s, optimizers, grads_g, grads_d)

    return step


def unrolled_torchopt(s: Setting) -> Callable[[], Any]:
    import torchopt

    optimizers = [torch.optim.Adam(net.parameters(), lr=LR, betas=(0.5, 0.999)) for net in (s.G, s.D)]
    inner = torchopt.MetaSGD(s.D, lr=ANSWER_LR)

    def step() -> None:
        network, state = (torchopt.extract_state_dict(o, by="reference") for o in (s.D, inner))
        image = s.G(s.noise)
        for _ in range(STEPS):
            inner.step(softplus(-s.D(s.x)).mean() + softplus(s.D(image)).mean())
        grads_g = torch.autograd.grad(softplus(-s.D(image)).mean(), list(s.G.parameters()))
        torchopt.recover_state_dict(s.D, network)
        torchopt.recover_state_dict(inner, state)
        grads_d = torch.autograd.grad(s.cost_d(s.D(image.detach())), list(s.D.parameters()))
        _adam_step(s, optimizers, grads_g, grads_d)

    return step


def competitive_ours(s: Setting) -> Callable[[], Any]:
    opt = GameOptimizer(s.parameters(), gd.named("Competitive", lr=LR * 10), tolerance=1e-6)

    def step() -> Any:
        opt.step(s.zero_sum)
        return opt

    return step


def competitive_cgds(s: Setting) -> Callable[[], Any]:
    import CGDs

    opt = CGDs.BCGD(
        s.D.parameters(), s.G.parameters(), lr_max=LR * 10, lr_min=LR * 10, tol=1e-12, atol=0.0, collect_info=False
    )
    return lambda: opt.step(s.zero_sum()[0])


# measuring ------------------------------------------------------------------------------------------------


def seconds(build: Callable[[Setting], Callable[[], Any]], name: str, steps: int) -> Callable[[], float]:
    """CPU seconds per step of a run that goes on from call to call."""
    step = build(Setting(name))

    def run() -> float:
        start = time.process_time()
        for _ in range(steps):
            step()
        return (time.process_time() - start) / steps

    return run


def update_gap(a: Callable[[Setting], Any], b: Callable[[Setting], Any], name: str) -> float:
    """Largest difference of the first updates relative to the largest update, in float64."""
    moves = []
    for build in (a, b):
        s = Setting(name, torch.float64)
        before = s.flat()
        build(s)()
        moves.append(s.flat() - before)
    return float((moves[0] - moves[1]).abs().max() / moves[1].abs().max())


ADAM = gd.Adam(0.5)
METHODS: dict[str, tuple[Any, int, float]] = {
    "simultaneous Adam": (gd.Method(gd.Simultaneous(LR), ADAM), 12, 1.1),
    "ExtraAdam": (gd.Method(gd.Extragradient(LR), ADAM), 6, 2.1),
    "OptimisticAdam": (gd.Method(gd.Optimistic(LR), ADAM), 12, 1.1),
    "consensus, Adam": (gd.Method(gd.Simultaneous(LR), ADAM, gd.consensus(0.1)), 4, 3.2),
    "symplectic adjustment, Adam": (gd.Method(gd.Simultaneous(LR), ADAM, gd.symplectic_adjustment(0.1)), 3, 5.5),
}


def against_hand(name: str, results: dict[str, Any]) -> None:
    hand = seconds(by_hand, name, 12)
    for label, (method, steps, bar) in METHODS.items():
        row = ratio(seconds(ours(method), name, steps), hand, PAIRS)
        results[f"{name}: {label} / one step by hand"] = {**row, "bar": bar}
        print(name, label, row["ratio"], row["interval"], flush=True)


def against_peers(name: str, results: dict[str, Any]) -> None:
    for label, mine, theirs, bar, steps in (
        ("unrolled 5: ours / higher", unrolled_ours, unrolled_higher, 1.05, 2),
        ("unrolled 5: ours / torchopt", unrolled_ours, unrolled_torchopt, 1.05, 2),
        ("competitive: ours / CGDs", competitive_ours, competitive_cgds, 0.75, 2),
    ):
        try:
            gap = update_gap(mine, theirs, name)
        except ImportError as missing:
            print(f"{name}: {label} left out, {missing}")
            continue
        row = ratio(seconds(mine, name, steps), seconds(theirs, name, steps), PAIRS)
        unit = results[f"{name}: simultaneous Adam / one step by hand"]["theirs_s"]  # of another pair: a rough figure
        results[f"{name}: {label}"] = {**row, "bar": bar, "update_gap": gap, "steps_by_hand": row["ours_s"] / unit}
        print(name, label, row["ratio"], row["interval"], "gap", gap, flush=True)


if __name__ == "__main__":
    pin()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for setting in sys.argv[1:] or ("mlp", "dcgan", "dcgan-bn"):
        against_hand(setting, found)
        against_peers(setting, found)
    save("optimizer", found)
