"""A network as a function of a flat vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gamedyn.games.plain_operations import ATTENTION, PlainOperations

__all__ = ["FlatNetwork"]

_BATCH_NORM, _DROPOUT = nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd


class FlatNetwork:
    """A module that is called with given parameters.

    Its own are not touched, apart from the moment of a call, in which they are out of their places: so one module
    serves one thread.

    Parameters
    ----------
    role : str
        What error messages call it.
    module : nn.Module

    Attributes
    ----------
    layers : list of nn.Module
        All of them, the module first.
    names, shapes, sizes : list
        Of its trainable parameters, in the order of `named_parameters`.
    weight_norms : list of str
        Layers whose second derivatives torch computes wrongly.
    fixed : dict
        Copies of what is no coordinate: buffers and frozen parameters.
    batch_norms : list of nn.Module
        Batch normalisation in training mode that keeps running statistics: it normalises by the batch, and what it
        keeps is neither read nor written.
    dropouts : list of str
        Layers in training mode that draw: dropout, RReLU, and what else has a rate `dropout` > 0.  Their numbers are
        drawn from the key of a call.
    writes_input : bool
        Whether the module works in place on what it is given, which is then a copy.
    rewritten : set of str
        What `PlainOperations` replaces where a pass is differentiated again: the module calls it.
    native_norms : set of str
        Kernels without a third derivative that it calls and that cannot be replaced.
    takes_slopes : bool
        Whether costs contain derivatives of the module.
    """

    writes_input = takes_slopes = False
    rewritten: frozenset[str] | set[str] = frozenset()
    native_norms: frozenset[str] | set[str] = frozenset()

    def __init__(self, role: str, module: nn.Module) -> None:
        if lazy := [name for name, p in module.named_parameters() if is_lazy(p)]:
            raise ValueError(f"the {role}'s parameters {lazy} have no shape yet; call the module once on a batch")
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError(f"the {role} has no trainable parameters, so it is no player")
        if odd := [name for name, p in named if not p.is_floating_point()]:
            raise TypeError(f"the {role}'s parameters {odd} are not real floating point")
        if odd := [name for name, layer in module.named_modules() if isinstance(layer, nn.RNNBase)]:
            raise ValueError(f"the {role}'s layers {odd} keep a second list of their weights; write them with cells")
        self.role, self.module, self.layers = role, module, list(module.modules())
        self.names = [name for name, _ in named]
        self.shapes = [p.shape for _, p in named]
        self.sizes = [p.numel() for _, p in named]
        still = [(name, p) for name, p in module.named_parameters() if not p.requires_grad]
        self.fixed = {name: t.detach().clone() for name, t in (*still, *module.named_buffers())}
        self._converted: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        self._overwritten: set[str] = set()  # layers whose output a later one works on in place
        self._slots = self._find_slots()
        self.read_modes()
        self.weight_norms = [
            name
            for name, layer in module.named_modules()
            if type(layer).__name__ == "_WeightNorm"
            or any(type(hook).__name__ == "WeightNorm" for hook in layer._forward_pre_hooks.values())
        ]

    def read_modes(self) -> None:
        """Look anew which layers are in training mode."""
        training = [(name, layer) for name, layer in self.module.named_modules() if layer.training]
        norms = [layer for _, layer in training if isinstance(layer, _BATCH_NORM)]
        self.batch_norms = [layer for layer in norms if layer.running_mean is not None]
        self.dropouts = [name for name, layer in training if _draws(layer)]

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(self.sizes)

    def parameters(self) -> list[Tensor]:
        """The module's own trainable parameters."""
        return [self.module.get_parameter(name) for name in self.names]

    def shaped(self, pieces: Sequence[Tensor]) -> list[Tensor]:
        """Flat pieces as views in the parameters' shapes."""
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def __call__(self, parameters: Sequence[Tensor], inputs: Tensor, key: int | None = None) -> Tensor:
        # what torch.func.functional_call does, with the places looked up once: on small networks half of a step
        values = list(parameters) if not self.fixed else [*parameters, *self.fixed_like(parameters[0])]
        inputs = inputs.clone() if self.writes_input else inputs
        own = [table[key] for table, key, _ in self._slots]
        for layer in self.batch_norms:
            layer.__dict__["track_running_stats"] = False  # past the checks of nn.Module
        try:
            for table, name, k in self._slots:
                table[name] = values[k]
            with self._masks(key, inputs) if self.dropouts else nullcontext():
                if not self.rewritten:
                    return self.module(inputs)
                with self._operations(parameters[0]):
                    return self.module(inputs)
        finally:
            for (table, name, _), tensor in zip(self._slots, own, strict=True):
                table[name] = tensor
            for layer in self.batch_norms:
                layer.__dict__["track_running_stats"] = True

    def _operations(self, p: Tensor) -> Any:
        """Other operations where those of torch have too few derivatives for what is to come."""
        if torch.is_grad_enabled() and p.grad_fn is not None:  # a part of a vector that has a graph of its own
            return PlainOperations()
        return PlainOperations(norms=False) if self.takes_slopes and ATTENTION in self.rewritten else nullcontext()

    def judged(
        self, parameters: Sequence[Tensor], inputs: Tensor, key: int | None = None, layers: Sequence[str] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The output, and what the submodules of these names gave on the way.

        Raises
        ------
        ValueError
            If there is no such submodule.
        """
        if not layers:
            return self(parameters, inputs, key), {}
        modules, kept = dict(self.module.named_modules()), {}
        if unknown := [name for name in layers if name not in modules or not name]:
            named = ", ".join(name for name in modules if name)
            raise ValueError(f"the {self.role} has no layer {', '.join(map(repr, unknown))}; it has {named}")

        def keeper(name: str) -> Callable[..., None]:
            def keep(module: nn.Module, args: Any, output: Any) -> None:
                if not isinstance(output, Tensor):
                    kind = type(output).__name__
                    raise ValueError(
                        f"layer {name!r} of the {self.role} gives a {kind}; features are one tensor, take a layer in it"
                    )
                kept[name] = output.clone() if name in self._overwritten else output
                versions[name] = output._version

            return keep

        versions: dict[str, int] = {}
        handles = [modules[name].register_forward_hook(keeper(name)) for name in layers]
        try:
            output = self(parameters, inputs, key)
            if late := {name for name, t in kept.items() if t._version != versions[name]} - self._overwritten:
                self._overwritten |= late
                output = self(parameters, inputs, key)
            return output, kept
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _masks(self, key: int | None, inputs: Tensor) -> Iterator[None]:
        """Random numbers that are a function of the key; torch's own generators go on as if nothing had been drawn."""
        if key is None:
            found = ", ".join(f"{self.role}.{name}" for name in self.dropouts)
            raise ValueError(
                f"layers draw random numbers at {found}, and this sample has no key for them; evaluate fields that "
                f"the GAN made, or call .eval() on the module"
            )
        with torch.random.fork_rng(devices=[inputs.device] if inputs.device.type == "cuda" else []):
            torch.manual_seed(key)
            yield

    def statistics(self, parameters: Sequence[Tensor], batches: Sequence[Tensor]) -> None:
        """Set the running statistics of the module's batch normalisation to averages over batches."""
        if not self.batch_norms:
            return
        layers = self.batch_norms
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # torch's cumulative average
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                for batch in batches:
                    self.module(batch.clone() if self.writes_input else batch)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum

    def _find_slots(self) -> list[tuple[dict[str, Any], str, int]]:
        """Every place that holds a tensor, and the number of what belongs there; tied weights have several places."""
        tensors = {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}
        number = {id(tensors[name]): k for k, name in enumerate((*self.names, *self.fixed))}
        places = [
            (table, key, tensor)
            for layer in self.module.modules()
            for table in (layer._parameters, layer._buffers)
            for key, tensor in table.items()
            if tensor is not None
        ]
        return [(table, key, number[id(tensor)]) for table, key, tensor in places]

    def fixed_like(self, like: Tensor) -> list[Tensor]:
        """What is no coordinate, buffers and frozen parameters, in the type and on the device of `like`."""
        key = (like.dtype, like.device)
        if key not in self._converted:
            self._converted[key] = [
                t.to(device=like.device, dtype=like.dtype if t.is_floating_point() else t.dtype)
                for t in self.fixed.values()
            ]
        return self._converted[key]


def _draws(layer: nn.Module) -> bool:
    if isinstance(layer, _DROPOUT):
        return layer.p > 0
    if isinstance(layer, nn.RReLU):
        return layer.lower < layer.upper
    rate = getattr(layer, "dropout", 0.0)  # of attention, and of layers of the user's own
    return isinstance(rate, float) and rate > 0


def refuse_shared(networks: Sequence[FlatNetwork]) -> None:
    """Refuse networks with a trainable parameter in common.

    Raises
    ------
    ValueError
        With the players and the names.
    """
    tables = [{id(p): name for name, p in net.module.named_parameters() if p.requires_grad} for net in networks]
    for k, later in enumerate(tables):
        for j in range(k):
            if shared := [tables[j][key] for key in tables[j].keys() & later.keys()]:
                raise ValueError(
                    f"{networks[j].role} and {networks[k].role} share {sorted(shared)}; every parameter belongs to "
                    f"one player"
                )
