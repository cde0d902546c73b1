"""Images per second of a DCGAN on MNIST, by method, compiled or not: python benchmarks/bench_gan_gpu.py

The width is the largest power of two with which `--steps` simultaneous steps fit into `--seconds`.  The pictures are
those of the directory that GAMEDYN_MNIST names, or uniform pixels of the same size; the speed does not depend on them.
Made for a CUDA device, which is named in the result; `--device cpu` tries the script.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import torch
from harness import save

import gamedyn as gd
from gamedyn import neural

LR, BATCH, PROBE = 2e-4, 256, 30
METHODS = {
    "simultaneous Adam": gd.Method(gd.Simultaneous(LR), gd.Adam(beta1=0.5)),
    "alternating Adam": gd.Method(gd.Alternating(LR, order=(1, 0)), gd.Adam(beta1=0.5)),
    "ExtraAdam": gd.Method(gd.Extragradient(LR), gd.Adam(beta1=0.5)),
    "consensus, Adam": gd.Method(gd.Simultaneous(LR), gd.Adam(beta1=0.5), gd.consensus(0.1)),
    "unrolled 5, Adam": gd.Method(gd.Simultaneous(LR), gd.Adam(beta1=0.5), gd.unrolled(5, lr=LR)),
}


def pictures() -> Any:
    """60,000 pictures of 28 x 28 pixels."""
    if folder := os.environ.get("GAMEDYN_MNIST"):
        return neural.mnist(folder)
    pixels = torch.rand(60_000, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return neural.from_tensor(pixels, name="pixels")


def gan(data: Any, width: int, device: str, **settings: Any) -> Any:
    """A DCGAN whose finest maps have `width` channels."""
    generator = neural.dcgan_generator(100, (28, 28), (2 * width, width), norm="batch", seed=0)
    discriminator = neural.dcgan_discriminator((28, 28), (width, 2 * width), seed=1)
    return neural.GAN(generator, discriminator, data=data, batch_size=BATCH, device=device, **settings)


def rate(game: Any, method: Any, steps: int) -> float:
    """Images per second, by the clock, after a run that warms up (and compiles)."""
    neural.train(game, method, 3)
    return neural.train(game, method, steps).steps_per_second * BATCH


def largest_width(data: Any, device: str, given: argparse.Namespace) -> int:
    """The largest power of two that fits."""
    width = 8
    while 2 * width <= given.most:
        per_second = rate(gan(data, 2 * width, device), METHODS["simultaneous Adam"], PROBE)
        if given.steps * BATCH / per_second > given.seconds:
            break
        width *= 2
    return width


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--steps", type=int, default=1000, help="that must fit into --seconds")
    parser.add_argument("--timed", type=int, default=100, help="steps that are timed")
    parser.add_argument("--most", type=int, default=4096, help="largest width")
    given = parser.parse_args()
    data = pictures()
    width = largest_width(data, given.device, given)
    on_gpu = given.device != "cpu"
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "width": width,
        "parameters": gan(data, width, given.device).dim,
        "batch": BATCH,
    }
    kinds = {
        "eager": {},
        "compiled": {"compile": True},
        "bfloat16, compiled": {"compile": True, "autocast": "bfloat16"},
    }
    for name, method in METHODS.items():
        for kind, settings in kinds.items():
            label = f"{name}, {kind}: images per second"
            results[label] = round(rate(gan(data, width, given.device, **settings), method, given.timed), 1)
            print(label, results[label], flush=True)
    if on_gpu:
        save("gan_gpu", results)
