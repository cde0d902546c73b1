"""A training step against a hand-written torch loop: python benchmarks/bench_gan.py

Both sides draw the same batches in the same way and use Adam with the same coefficients.  The hand-written side does
what can be shared once: D(G(z)) for both costs where the players move together, G(z) for both updates where D moves
first.  It forms no gradient that is not used, and steps with the fastest of torch's implementations of Adam.  Both
sides end at the same parameters.  With a CUDA device the last row compares steps per second there with the processor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from harness import cpu_time, pin, ratio, save
from torch import Tensor, nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn import neural
from gamedyn.neural.sample import BATCHES, stream

LR, BETAS, LATENT = 1e-3, (0.5, 0.999), 64
Run = Callable[[int], Tensor]
Networks = Callable[[], tuple[nn.Module, nn.Module]]


def perceptrons() -> tuple[nn.Module, nn.Module]:
    """975,585 parameters."""
    generator = neural.mlp_generator(LATENT, 784, (400, 400), activation="tanh", output="tanh", seed=0)
    return generator, neural.mlp_discriminator(784, (400, 400), activation="tanh", seed=1)


def convolutional(batch_norm: bool) -> tuple[nn.Module, nn.Module]:
    """A small DCGAN on 28x28 pixels."""
    generator = neural.dcgan_generator(LATENT, (28, 28), batch_norm=batch_norm, seed=0)
    return generator, neural.dcgan_discriminator((28, 28), batch_norm=batch_norm, seed=1)


def by_hand(make: Networks, data: Any, batch: int, *, simultaneous: bool, adam: dict[str, bool]) -> Run:
    """What one would write in torch; gives the parameters."""
    G, D = make()
    of_G, of_D = list(G.parameters()), list(D.parameters())
    move_G, move_D = (torch.optim.Adam(own, lr=LR, betas=BETAS, **adam) for own in (of_G, of_D))

    def run(steps: int) -> Tensor:
        for k in range(steps):
            draws = stream(0, BATCHES, k)
            x, fake = data.batch(batch, draws), G(torch.randn((batch, LATENT), generator=draws))
            if simultaneous:
                logits = D(fake)
                cost_D = softplus(logits).mean() + softplus(-D(x)).mean()
                gradients = torch.autograd.grad(cost_D, of_D, retain_graph=True)
                _give(of_G, torch.autograd.grad(softplus(-logits).mean(), of_G))
                _give(of_D, gradients)
                move_D.step()
            else:
                cost_D = softplus(D(fake.detach())).mean() + softplus(-D(x)).mean()
                _give(of_D, torch.autograd.grad(cost_D, of_D))
                move_D.step()
                _give(of_G, torch.autograd.grad(softplus(-D(fake)).mean(), of_G))
            move_G.step()
        return torch.cat([p.detach().reshape(-1) for p in (*of_G, *of_D)])

    return run


def _give(parameters: list[Tensor], gradients: tuple[Tensor, ...]) -> None:
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g


def ours(make: Networks, data: Any, batch: int, *, simultaneous: bool, device: str = "cpu") -> Run:
    """The same with this package."""
    gan = neural.GAN(*make(), data=data, batch_size=batch, evaluation_size=16, device=device)
    rule = gd.Simultaneous(lr=LR) if simultaneous else gd.Alternating(lr=LR, order=(1, 0))
    method = gd.Method(rule, gd.Adam(*BETAS))
    return lambda steps: neural.train(gan, method, steps, every=steps).z


def seconds(run: Run, steps: int) -> float:
    """CPU seconds of some steps; the networks are there already."""
    return cpu_time(lambda: run(steps))


def fastest_adam(setting: tuple[Networks, Any, int]) -> dict[str, bool]:
    """The keywords of torch's Adam with which a short run takes least time."""
    kinds = [{"fused": True}, {"foreach": True}, {"foreach": False}]
    build = lambda kind: by_hand(*setting, simultaneous=True, adam=kind)  # noqa: E731
    times = [min(seconds(build(kind), 10) for _ in range(5)) for kind in kinds]
    return kinds[times.index(min(times))]


def speed(data: Any, device: str) -> float:
    """Steps per second of the perceptrons, by the clock."""
    gan = neural.GAN(*perceptrons(), data=data, batch_size=256, evaluation_size=16, device=device)
    method = gd.Method(gd.Simultaneous(lr=LR), gd.Adam(*BETAS))
    return [neural.train(gan, method, 100, every=100) for _ in range(2)][-1].steps_per_second


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="part of the names of the rows to run")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of steps")
    given = parser.parse_args()
    pin()
    torch.set_num_threads(1)
    pixels = neural.from_tensor(
        torch.rand(4096, 784, generator=torch.Generator().manual_seed(0)) * 2 - 1, name="pixels"
    )
    settings: dict[str, tuple[Networks, int, int]] = {
        "MLP, 975,585 parameters, batch 256": (perceptrons, 256, 150),
        "DCGAN 28x28, batch 64": (lambda: convolutional(False), 64, 150),
        "DCGAN 28x28 with BatchNorm, batch 64": (lambda: convolutional(True), 64, 150),
    }
    results: dict[str, Any] = {}
    for name, (make, batch, steps) in settings.items():
        count, setting = max(2, round(given.scale * steps)), (make, pixels, batch)
        adam = fastest_adam(setting)
        for simultaneous in (True, False):
            label = f"{name}, {'simultaneous' if simultaneous else 'alternating'} Adam: ours / by hand"
            if given.only not in label:
                continue
            left = lambda s=setting, u=simultaneous: ours(*s, simultaneous=u)  # noqa: E731
            right = lambda s=setting, u=simultaneous, o=adam: by_hand(*s, simultaneous=u, adam=o)  # noqa: E731
            z, hand = left()(count), right()(count)
            row = ratio(lambda f=left, n=count: seconds(f(), n), lambda f=right, n=count: seconds(f(), n), pairs=9)
            results[label] = row | {"adam": next(iter(adam)), "apart": float((z - hand).norm() / hand.norm())}
            print(label, results[label], flush=True)
    if torch.cuda.is_available():
        results[f"steps per second on {torch.cuda.get_device_name()}"] = {d: speed(pixels, d) for d in ("cuda", "cpu")}
    if not given.only:
        save("gan", results)
