"""Outputs of modules that are computed once for all runs of a closure at which their parameters stand still.

    s = M(θ, x),   c = c(s, …):   ∇_θ c = ∂c/∂θ + (∂s/∂θ)ᵀ ∂c/∂s                                (1)

The closure goes on from a leaf that holds s, so that the graph of M is entered separately, by the second term of
(1): as often as derivatives must be differentiated again, and otherwise once for a whole sum of ∂c/∂s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gamedyn.torch.parameters import ParameterBlocks
from gamedyn.torch.pool import empty_like

__all__ = ["SharedOutput", "SharedOutputs"]


class SharedOutput:
    """One output s and the leaf that stands for it.

    Attributes
    ----------
    output, leaf : Tensor
        s with the graph of the module behind it, and s as the closure sees it.
    inner : list of SharedOutput
        Those whose leaves are arguments of the module.
    owners, players : frozenset of int
        Whose parameters the module has, and on whose parameters s depends in all.
    blocks : tuple of Tensor
        Where the parameters of all players stood.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        args: Sequence[Any],
        parameters: ParameterBlocks,
        known: Sequence[SharedOutput],
    ) -> None:
        self.module, self.args, self.parameters = module, tuple(args), parameters
        self.versions = _versions(args)
        self.leaf: Tensor
        self.players: frozenset[int]
        self.inner = [s for s in known if any(a is s.leaf for a in args)]
        self.owners = parameters.owners(module)
        self.players = self.owners.union(*(s.players for s in self.inner))
        self.blocks = parameters.places
        self.output = module(*args)
        if not isinstance(self.output, Tensor):
            raise TypeError(f"once(module, ...) shares one tensor; the module returned {type(self.output).__name__}")
        self.leaf = self.output.detach().requires_grad_() if self.output.requires_grad else self.output

    def serves(self, module: Callable[..., Any], args: Sequence[Any]) -> bool:
        """Whether it is what the module gives for these arguments where the parameters stand now."""
        same = len(args) == len(self.args) and all(a is b or _equal(a, b) for a, b in zip(args, self.args, strict=True))
        now = self.parameters.places
        still = all(now[i] is self.blocks[i] for i in self.players)
        return module is self.module and same and still and self.versions == _versions(args)

    def pull(self, parts: Sequence[tuple[float, Tensor]], player: int) -> Tensor:
        """(∂s/∂θ)ᵀ Σ cⱼgⱼ in the parameters of one player, as a vector."""
        (c, g), *rest = parts
        total = g.detach() * c
        for c, g in rest:
            total.add_(g.detach(), alpha=c)
        self.parameters.point_to(self.blocks)
        own = self.parameters.parameters[player]
        found = torch.autograd.grad(self.output, own, total, retain_graph=True, allow_unused=True)
        flat = [p.new_zeros(p.numel()) if f is None else f.reshape(-1) for p, f in zip(own, found, strict=True)]
        return torch.cat(flat, out=empty_like(self.blocks[player]))


class SharedOutputs:
    """The shared outputs of one step."""

    def __init__(self, parameters: ParameterBlocks) -> None:
        self.parameters = parameters
        self.known: list[SharedOutput] = []
        self.used: list[SharedOutput] = []

    def once(self, module: Callable[..., Any], *args: Any) -> Tensor:
        """module(*args), from the store where it is there."""
        found = next((s for s in self.known if s.serves(module, args)), None)
        if found is None:
            found = SharedOutput(module, args, self.parameters, self.known)
            self.known.append(found)
        if found.leaf is not found.output and found not in self.used:
            self.used.append(found)
        return found.leaf


def _versions(args: Sequence[Any]) -> list[int]:
    return [a._version for a in args if isinstance(a, Tensor)]


def _equal(a: Any, b: Any) -> bool:
    return isinstance(a, int | float | str | bool | None) and type(a) is type(b) and a == b
