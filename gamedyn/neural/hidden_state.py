"""Is v a function of the parameters and of the sample, and of nothing else?

Networks are tried once, where a GAN is built: on a few rows, at their own parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gamedyn.games.plain_operations import NativeNorms, PlainOperations
from gamedyn.neural.field import GANField
from gamedyn.neural.flat import FlatNetwork
from gamedyn.neural.sample import EVALUATION, Sample, stream

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN

__all__ = ["refuse_hidden_state"]

ROWS = 16


def refuse_hidden_state(gan: GAN) -> None:
    """Refuse networks of a wrong shape, and those that depend on more than parameters and input.

    What a network does that its calls must allow for is noted in it: see the attributes of `FlatNetwork`.

    Raises
    ------
    TypeError, ValueError
        With what does not fit, or what is written to, or what draws.
    """
    gan.read_modes()
    sample = gan.batch(min(len(gan.data), ROWS), stream(gan.seed, EVALUATION)).rows(slice(0, ROWS))
    z = gan.initial()
    # counts of writes besides values: a power iteration that has converged here writes what stood there already
    before = [[(t._version, t.clone()) for t in net.fixed_like(z)] for net in gan.networks]
    devices = [gan.device] if gan.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        points = _try_networks(gan, z, sample)
        with torch.no_grad():
            once, twice = (torch.stack(GANField(gan, sample).all_costs(z)) for _ in range(2))
    for net, old in zip(gan.networks, before, strict=True):
        now = zip(net.fixed, net.fixed_like(z), old, strict=True)
        if changed := [name for name, t, (count, was) in now if t._version != count or not torch.equal(t, was)]:
            raise ValueError(
                f"evaluating the {net.role} writes to its buffers {changed}: state outside the parameters, so v is no "
                f"function of them. Call .eval() on the module, so that they stand still; for spectral normalisation "
                f"take gamedyn.neural.spectral_normalized"
            )
    # some GPU kernels add in a different order each time: rounding is no randomness
    if not torch.allclose(once, twice, rtol=1e3 * torch.finfo(once.dtype).eps, equal_nan=True):
        raise ValueError(
            f"two evaluations at the same parameters and sample give the costs {once.tolist()} and {twice.tolist()}: "
            f"{_random_layers(gan, z, points, sample.key)}"
        )
    with torch.random.fork_rng(devices=devices):
        field = GANField(gan, sample)
        field.eager(tuple(range(len(gan.players))), z)  # are there gradients?


def _try_networks(gan: GAN, z: Tensor, sample: Sample) -> list[Tensor]:
    """Every network alone on a few rows, with a look at what it does; the inputs that it was given."""
    theta, x = gan.split(z), sample.x
    fake = _tried(gan.networks[0], theta[0], sample.latents, sample.key)
    if fake.shape != x.shape:
        raise ValueError(
            f"the generator maps {tuple(sample.latents.shape)} to {tuple(fake.shape)}; '{gan.data.name}' has rows of "
            f"{gan.data.dim}, so it must give {tuple(x.shape)}"
        )
    for net, own in zip(gan.networks[1:], theta[1:], strict=True):
        logits = _tried(net, own, fake, sample.key)
        if logits.shape not in ((len(x), 1), (len(x),)):
            raise ValueError(
                f"the {net.role} maps {tuple(x.shape)} to {tuple(logits.shape)}; it must give one logit per row"
            )
    return [sample.latents, *(fake for _ in gan.networks[1:])]


def _tried(net: FlatNetwork, own: Sequence[Tensor], points: Tensor, key: int | None) -> Tensor:
    """The output `(n, ...)`, without a graph; notes in the network what it does."""
    net.writes_input, net.rewritten, net.native_norms = False, set(), set()  # layers may have been switched since
    shown = points.clone()
    with torch.no_grad():
        _called(net, own, shown, key)
    net.writes_input = shown._version > 0 or not torch.equal(shown, points)
    leaves = [p.detach().requires_grad_() for p in own]
    with torch.enable_grad():
        with PlainOperations() as plain, NativeNorms() as native:
            output = _called(net, leaves, points.clone().requires_grad_(), key)
        net.rewritten, net.native_norms = plain.met, native.met
        if output.requires_grad:
            _refuse_other_places(net, output)
    return output.detach()


def _called(net: FlatNetwork, own: Sequence[Tensor], points: Tensor, key: int | None) -> Tensor:
    try:
        output = net(own, points, key)
    except (RuntimeError, IndexError, TypeError, AttributeError) as error:  # as networks raise that do not fit
        raise ValueError(
            f"the {net.role} cannot be called on {len(points)} rows of {points.shape[1]}, {points.dtype} on "
            f"{points.device}: {error}"
        ) from error
    if not isinstance(output, Tensor):
        raise TypeError(f"the {net.role} gives a {type(output).__name__}; it must give one tensor")
    return output


def _refuse_other_places(net: FlatNetwork, output: Tensor) -> None:
    """A network that holds on to its own parameters does not use those that it is given."""
    gradients = torch.autograd.grad(output.float().sum(), net.parameters(), allow_unused=True)
    if kept := [name for name, g in zip(net.names, gradients, strict=True) if g is not None]:
        raise ValueError(
            f"the {net.role} keeps its parameters {kept} in a second place, a list or a variable, and uses them from "
            f"there, where they cannot be moved; keep them in nn.ParameterList or nn.ModuleList, or take them from "
            f"their layers in forward"
        )


def _random_layers(gan: GAN, z: Tensor, points: Sequence[Tensor], key: int | None) -> str:
    found = [
        f"{net.role}{'.' if name else ''}{name} ({type(net.module.get_submodule(name)).__name__})"
        for net, own, inputs in zip(gan.networks, gan.split(z), points, strict=True)
        for name in _drawing(net, own, inputs, key)
    ]
    if not found:
        return (
            "a layer draws random numbers of its own, or keeps hidden state; v must be a function of the parameters, "
            "so take that out of the networks"
        )
    return (
        f"{', '.join(found)} draws random numbers. Noise on what discriminators are shown is GAN(instance_noise=...); "
        f"a layer with an attribute `dropout`, a float > 0, gets torch's random numbers from the sample"
    )


def _drawing(net: FlatNetwork, own: Sequence[Tensor], points: Tensor, key: int | None) -> list[str]:
    """Names of the innermost layers that draw from torch's generators."""
    found: list[str] = []
    with _watched(net.module, points.device, found.append), torch.no_grad():
        devices = [points.device] if points.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            net(own, points, key)
    return found


@contextmanager
def _watched(module: nn.Module, device: torch.device, tell: Callable[[str], None]) -> Iterator[None]:
    running: list[list[Any]] = []  # of every call that goes on: the state at its start, whether an inner one drew

    def state() -> Tensor:
        own = torch.get_rng_state()
        return torch.cat([own, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else own

    def begins(layer: nn.Module, args: Any) -> None:
        running.append([state(), False])

    def ends(name: str) -> Callable[..., None]:
        def end(layer: nn.Module, args: Any, output: Any) -> None:
            start, inside = running.pop()
            drew = not torch.equal(start, state())
            if drew and not inside:
                tell(name)
            if drew and running:
                running[-1][1] = True

        return end

    handles = [layer.register_forward_pre_hook(begins) for layer in module.modules()]
    handles += [layer.register_forward_hook(ends(name)) for name, layer in module.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
