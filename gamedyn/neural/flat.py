"""A network as a function of a flat vector of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

__all__ = ["FlatNetwork"]


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
    names, shapes, sizes : list
        Of its trainable parameters, in the order of `named_parameters`.
    weight_norms : list of str
        Layers whose second derivatives torch computes wrongly.
    fixed : dict
        Copies of what is no coordinate: buffers and frozen parameters.
    """

    def __init__(self, role: str, module: nn.Module) -> None:
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError(f"the {role} has no trainable parameters, so it is no player")
        if odd := [name for name, p in named if not p.is_floating_point()]:
            raise TypeError(f"the {role}'s parameters {odd} are not real floating point")
        if odd := [name for name, layer in module.named_modules() if isinstance(layer, nn.RNNBase)]:
            raise ValueError(f"the {role}'s layers {odd} keep a second list of their weights; write them with cells")
        self.role, self.module = role, module
        self.names = [name for name, _ in named]
        self.shapes = [p.shape for _, p in named]
        self.sizes = [p.numel() for _, p in named]
        still = [(name, p) for name, p in module.named_parameters() if not p.requires_grad]
        self.fixed = {name: t.detach().clone() for name, t in (*still, *module.named_buffers())}
        self._slots = self._find_slots()
        self.weight_norms = [
            name
            for name, layer in module.named_modules()
            if type(layer).__name__ == "_WeightNorm"
            or any(type(hook).__name__ == "WeightNorm" for hook in layer._forward_pre_hooks.values())
        ]

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

    def __call__(self, parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
        # what torch.func.functional_call does, with the places looked up once: on small networks half of a step
        values = list(parameters) if not self.fixed else [*parameters, *self.fixed_like(inputs)]
        own = [table[key] for table, key, _ in self._slots]
        try:
            for table, key, k in self._slots:
                table[key] = values[k]
            return self.module(inputs)
        finally:
            for (table, key, _), tensor in zip(self._slots, own, strict=True):
                table[key] = tensor

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
        for name, t in self.fixed.items():
            dtype = like.dtype if t.is_floating_point() else t.dtype
            if t.dtype != dtype or t.device != like.device:
                self.fixed[name] = t.to(device=like.device, dtype=dtype)
        return list(self.fixed.values())


def refuse_shared(networks: Sequence[FlatNetwork]) -> None:
    first, second = ({id(p): name for name, p in net.module.named_parameters()} for net in networks)
    if shared := [first[key] for key in first.keys() & second.keys()]:
        raise ValueError(f"generator and discriminator share {sorted(shared)}; every parameter belongs to one player")
