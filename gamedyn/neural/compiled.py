"""Compiled gradients: the pass of some players, recorded once and compiled into one graph.

    (w, sample) ↦ (v_who(w), costs)

It is recorded by make_fx, in which gradients, also those inside of penalties, are plain operations like all others.
A graph belongs to the moving players and to the shapes, type and device of what it is given.  Whatever is a number of
the GAN, as the weight of a penalty, is a constant in it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gamedyn.neural.sample import Sample

if TYPE_CHECKING:
    from gamedyn.neural.field import GANField
    from gamedyn.neural.flat import FlatNetwork

__all__ = ["CompiledGradients", "compiler"]

Graph = Callable[..., Sequence[Tensor]]
ELSEWHERE = (0.8, 1.2)  # by what a graph's inputs are multiplied, first to last entry, where it is tried
AGREEMENT = {torch.float64: 1e-8, torch.float32: 1e-3}  # of v there, relative to its largest entry
OWN_BACKENDS = ("aot_eager", "eager")  # those that torch does not list
AGREEMENT_HALF = 0.1  # inside fused kernels intermediate numbers keep more digits than bfloat16 has


class CompiledGradients:
    """The graphs of one GAN.

    Every graph is compared with the eager pass, once, at other parameters and another sample than those it was recorded
    at: whatever it took for a constant shows.  If recording or compiling fails, or the two differ, the reason is given
    as a warning and the GAN goes on eagerly.

    Only what a training evaluates is compiled, not the evaluation sample, nor points of another type than the GAN's.

    Parameters
    ----------
    backend : str
        Of torch.compile.  "inductor" writes kernels, and needs a C++ compiler on the CPU and Triton on a GPU, where it
        replays the graph with one call (CUDA graphs).  "eager" runs the recorded operations one by one, and "aot_eager"
        what torch.compile makes of them: for tests.

    Attributes
    ----------
    reason : str or None
        Why the GAN goes on eagerly.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.reason: str | None = None
        self._graphs: dict[Any, Graph] = {}

    def __len__(self) -> int:
        return len(self._graphs)

    def __call__(self, field: GANField, z: Tensor, who: tuple[int, ...]) -> Tensor | None:
        """v of the players in `who` `(d,)`, 0 elsewhere, a fresh vector; None where it must be computed eagerly."""
        if self.reason is not None or z.dtype != field.gan.dtype or field.sample is field.gan.evaluation_sample:
            return None
        z, sample = z.detach(), field.sample.like(z)
        if sample.key is not None:
            self._give_up("the masks of dropout are drawn anew at every step, and a graph would keep the first")
            return None
        inputs = (z, *_tensors(sample))
        key = (who, z.dtype, z.device, tuple(None if t is None else t.shape for t in _slots(sample)), *_modes(field))
        try:
            graph = self._graphs.get(key)
            if graph is None:
                graph = self._graphs[key] = self._made(field, who, sample, inputs)
        except Exception as error:  # compilers raise whatever they like
            self._graphs.clear()
            self._give_up(f"{type(error).__name__}: {error}")
            return None
        v, *costs = self._run(graph, inputs)
        for i, cost in zip(who, costs, strict=True):
            if field.first_costs[i] is None:
                field.first_costs[i] = cost
        return v

    def _give_up(self, reason: str) -> None:
        self.reason = reason.strip()
        first = self.reason.splitlines()[0]
        warnings.warn(
            f"compile={self.backend!r}: gradients are computed eagerly; {first}", RuntimeWarning, stacklevel=5
        )

    def _made(self, field: GANField, who: tuple[int, ...], sample: Sample, inputs: Sequence[Tensor]) -> Graph:
        """The graph for inputs like these, compiled and tried."""
        from torch.fx.experimental.proxy_tensor import make_fx

        passes = _passes(field, who, sample)
        # the backward pass in this thread, where it is recorded
        with torch.no_grad(), torch.autograd.set_multithreading_enabled(False):
            recorded = make_fx(passes)(*inputs)
        graph: Graph = recorded
        if self.backend != "eager":
            settings: dict[str, Any] = {"mode": "reduce-overhead"} if self._replays(inputs[0]) else {}
            graph = torch.compile(recorded, fullgraph=True, dynamic=False, backend=self.backend, **settings)
        elsewhere = [_elsewhere(t) for t in inputs]
        with torch.no_grad():
            self._compare(self._run(graph, elsewhere)[0], passes(*elsewhere)[0], field)
        return graph

    def _run(self, graph: Graph, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        with torch.no_grad():
            if not self._replays(inputs[0]):
                return graph(*inputs)
            torch.compiler.cudagraph_mark_step_begin()
            return [t.clone() for t in graph(*inputs)]  # a replay writes over what the last one gave

    def _replays(self, z: Tensor) -> bool:
        return self.backend == "inductor" and z.device.type == "cuda"

    @staticmethod
    def _compare(v: Tensor, eager: Tensor, field: GANField) -> None:
        half = field.gan.autocast is not None and v.dtype == torch.float32
        most = AGREEMENT_HALF if half else AGREEMENT.get(v.dtype, AGREEMENT_HALF)
        off, size = float((v - eager).abs().max()), float(eager.abs().max())
        if not off <= most * size:
            raise ValueError(
                f"at other parameters the graph gives a v that is off by {off:.2g}, where |v| is {size:.2g}"
            )


def compiler(backend: bool | str) -> CompiledGradients | None:
    """What `GAN(compile=...)` stands for.

    Raises
    ------
    TypeError, ValueError
        If it is neither a bool nor a backend of torch.compile.
    """
    if isinstance(backend, bool):
        return CompiledGradients("inductor") if backend else None
    if not isinstance(backend, str):
        raise TypeError(f"compile is {backend!r}; give True, False, or the name of a backend of torch.compile")
    if backend not in OWN_BACKENDS and backend not in (known := torch.compiler.list_backends()):
        raise ValueError(f"compile is {backend!r}; torch.compile has the backends {', '.join((*OWN_BACKENDS, *known))}")
    return CompiledGradients(backend)


def _slots(sample: Sample) -> tuple[Tensor | None, ...]:
    return (sample.x, sample.latents, *sample.noise, sample.old)


def _tensors(sample: Sample) -> list[Tensor]:
    return [t for t in _slots(sample) if t is not None]


def _elsewhere(t: Tensor) -> Tensor:
    return t * torch.linspace(*ELSEWHERE, max(1, t.numel()), dtype=t.dtype, device=t.device).reshape(t.shape)


def _passes(field: GANField, who: tuple[int, ...], like: Sample) -> Graph:
    """The eager pass as a function of tensors: (z, those of a sample like this one) -> (v, costs)."""

    def passes(z: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
        x, latents, *rest = tensors
        given = iter(rest)
        *noise, old = (None if t is None else next(given) for t in (*like.noise, like.old))
        own = copy.copy(field)
        own.sample = replace(like, x=x, latents=latents, noise=tuple(noise), old=old)
        own.first_costs, own.keeps_samples = [None] * len(own.players), False
        return own.eager(who, z), *(cost for cost in own.first_costs if cost is not None)

    return passes


def _modes(field: GANField) -> tuple[tuple[bool, ...], ...]:
    """Which layers are in training mode; what they compute depends on it."""
    nets: Sequence[FlatNetwork] = field.gan.networks
    return tuple(tuple(layer.training for layer in net.layers) for net in nets)
