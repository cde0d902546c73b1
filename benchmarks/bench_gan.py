"""A training step against a hand-written torch loop: python benchmarks/bench_gan.py

Both sides draw batches of the same size from the same data, share the forward pass of D on fakes, and use
Adam with the same coefficients; the hand-written side uses torch.optim.Adam.  With a CUDA device the last row
compares steps per second there with the processor.
"""

from __future__ import annotations

from typing import Any

import torch
from harness import cpu_time, pin, ratio, save
from torch import nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn import neural

STEPS = 150


def networks(latent: int, dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """The same two perceptrons for both sides."""
    generator = neural.mlp_generator(latent, dim, (width, width), output="tanh", seed=0)
    return generator, neural.mlp_discriminator(dim, (width, width), seed=1)


def by_hand(data: Any, latent: int, width: int, batch: int, simultaneous: bool) -> None:
    """What one would write in torch."""
    generator, discriminator = networks(latent, data.dim, width)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    draws = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        x, z = data.batch(batch, draws), torch.randn((batch, latent), generator=draws)
        if simultaneous:
            fake = discriminator(generator(z))
            cost_d = softplus(-discriminator(x)).mean() + softplus(fake).mean()
            cost_g = softplus(-fake).mean()
            grads_g = torch.autograd.grad(cost_g, list(generator.parameters()), retain_graph=True)
            grads_d = torch.autograd.grad(cost_d, list(discriminator.parameters()))
            for p, g in zip([*generator.parameters(), *discriminator.parameters()], [*grads_g, *grads_d], strict=True):
                p.grad = g
            opt_g.step()
            opt_d.step()
            continue
        with torch.no_grad():
            image = generator(z)
        opt_d.zero_grad()
        (softplus(-discriminator(x)).mean() + softplus(discriminator(image)).mean()).backward()
        opt_d.step()
        grads = torch.autograd.grad(softplus(-discriminator(generator(z))).mean(), list(generator.parameters()))
        for p, g in zip(generator.parameters(), grads, strict=True):
            p.grad = g
        opt_g.step()


def ours(data: Any, latent: int, width: int, batch: int, simultaneous: bool, device: str = "cpu") -> Any:
    """The same with this package."""
    gan = neural.GAN(*networks(latent, data.dim, width), data=data, batch_size=batch, device=device)
    rule = gd.Simultaneous(lr=1e-3) if simultaneous else gd.Alternating(lr=1e-3, order=(1, 0))
    return neural.train(gan, gd.Method(rule, gd.Adam(beta1=0.5)), STEPS, every=STEPS)


if __name__ == "__main__":
    pin()
    torch.set_num_threads(1)
    digits = neural.digits()
    wide = neural.from_tensor(torch.rand(4096, 784) * 2 - 1, name="784 uniform pixels")
    results: dict[str, Any] = {}
    for name, setting in {
        "digits, 52 thousand parameters": (digits, 16, 128, 64),
        "784 pixels, 1.1 million parameters": (wide, 64, 400, 64),
    }.items():
        for simultaneous in (True, False):
            label = f"{name}, {'simultaneous' if simultaneous else 'alternating'} Adam: ours / by hand"
            results[label] = ratio(
                lambda s=setting, u=simultaneous: cpu_time(lambda: ours(*s, u)),
                lambda s=setting, u=simultaneous: cpu_time(lambda: by_hand(*s, u)),
            )
    if torch.cuda.is_available():
        fast, slow = (ours(wide, 64, 400, 64, True, d).steps_per_second for d in ("cuda", "cpu"))
        results[f"steps per second on {torch.cuda.get_device_name()}"] = {"cuda": fast, "cpu": slow}
    save("gan", results)
