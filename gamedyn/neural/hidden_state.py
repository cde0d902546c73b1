"""Is v a function of the parameters and of the sample, and of nothing else?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gamedyn.neural.field import GANField
from gamedyn.neural.sample import EVALUATION, Sample, stream

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN

__all__ = ["refuse_hidden_state"]


def refuse_hidden_state(gan: GAN) -> None:
    """Refuse networks of a wrong shape, and those that depend on more than parameters and input.

    Raises
    ------
    ValueError
        With what does not fit, or what is written to, or what draws.
    """
    gan.read_modes()
    sample = gan.batch(min(len(gan.data), 16), stream(gan.seed, EVALUATION)).rows(slice(0, 16))
    z = gan.initial()
    # counts of writes besides values: a power iteration that has converged here writes what stood there already
    before = [[(t._version, t.clone()) for t in net.fixed_like(sample.latents)] for net in gan.networks]
    devices = [gan.device] if gan.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        _check_shapes(gan, z, sample)
        field = GANField(gan, sample)
        once, twice = (torch.stack(field.all_costs(z)) for _ in range(2))
    for net, old in zip(gan.networks, before, strict=True):
        pairs = zip(net.fixed.items(), old, strict=True)
        if changed := [name for (name, t), (count, was) in pairs if t._version != count or not torch.equal(t, was)]:
            raise ValueError(
                f"evaluating the {net.role} writes to its buffers {changed}: state outside the parameters, so v is no "
                f"function of them. Call .eval() on the module, so that they stand still; for spectral normalisation "
                f"take gamedyn.neural.spectral_normalized"
            )
    # some GPU kernels add in a different order each time: rounding is no randomness
    if not torch.allclose(once, twice, rtol=1e3 * torch.finfo(once.dtype).eps, equal_nan=True):
        raise ValueError(
            f"two evaluations at the same parameters and sample give the costs {once.tolist()} and {twice.tolist()}: "
            f"{_random_layers(gan)}. v must be a function of the parameters; call .eval() on the module"
        )


def _random_layers(gan: GAN) -> str:
    found = [
        f"{net.role}.{name}"
        for net in gan.networks
        for name, layer in net.module.named_modules()
        if layer.training and "Dropout" in type(layer).__name__ and name not in net.dropouts
    ]
    return f"there is dropout at {', '.join(found)}" if found else "a layer draws random numbers or keeps hidden state"


def _check_shapes(gan: GAN, z: Tensor, sample: Sample) -> None:
    theta = gan.split(z)
    x, latents = sample.x, sample.latents
    fake = gan.networks[0](theta[0], latents, sample.key)
    if fake.shape != x.shape:
        raise ValueError(
            f"the generator maps {tuple(latents.shape)} to {tuple(fake.shape)}; '{gan.data.name}' has rows of "
            f"{gan.data.dim}, so it must give {tuple(x.shape)}"
        )
    for net, own in zip(gan.networks[1:], theta[1:], strict=True):
        logits = net(own, fake, sample.key)
        if logits.shape not in ((len(x), 1), (len(x),)):
            raise ValueError(
                f"the {net.role} maps {tuple(x.shape)} to {tuple(logits.shape)}; it must give one logit per row"
            )
