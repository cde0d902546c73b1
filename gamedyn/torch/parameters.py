"""The parameters of the players as one flat buffer, and the moves of their `data` between points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from gamedyn.games.field import Player

__all__ = ["ParameterBlocks"]


class ParameterBlocks:
    """Parameters of n players, as views of one buffer `(d,)`.

    `p.data` of every parameter is a view: of the buffer between steps, of any other point while a closure is run
    there.  The Parameter objects themselves stay, so the modules need not know.

    Parameters
    ----------
    groups : sequence of sequences of Parameter
        One group per player; those that require no gradient are no coordinates.

    Attributes
    ----------
    parameters : list of list of Parameter
        Per player, the coordinates only.
    players : tuple of Player
    buffer : Tensor
        The point `(d,)` that the parameters hold between steps.
    blocks : list of Tensor
        Its slices per player.
    """

    def __init__(self, groups: Sequence[Sequence[Tensor]]) -> None:
        self.parameters = [[p for p in group if p.requires_grad] for group in groups]
        _check(groups, self.parameters)
        self.sizes = [[p.numel() for p in group] for group in self.parameters]
        starts = [0]
        for sizes in self.sizes:
            starts.append(starts[-1] + sum(sizes))
        pairs = pairwise(starts)
        self.players = tuple(Player(f"player{i + 1}", a, b) for i, (a, b) in enumerate(pairs))
        self.gather()

    @property
    def dim(self) -> int:
        """Number of coordinates d."""
        return self.players[-1].stop

    def gather(self) -> None:
        """Copy what the parameters hold into a fresh buffer, and let them be views of it."""
        _check_type([p for group in self.parameters for p in group])
        with torch.no_grad():
            self.buffer = torch.cat([p.detach().reshape(-1) for group in self.parameters for p in group])
        self.blocks = [self.buffer[p.slice] for p in self.players]
        self._places: list[Tensor | None] = [None] * len(self.players)
        self.point_to(self.blocks)
        self._addresses = [[p.data_ptr() for p in group] for group in self.parameters]

    @property
    def is_current(self) -> bool:
        """Whether every parameter still is the view that it was made, so that no one has replaced its data."""
        return all(
            p.data_ptr() == address and p.dtype == self.buffer.dtype
            for group, addresses in zip(self.parameters, self._addresses, strict=True)
            for p, address in zip(group, addresses, strict=True)
        )

    def point_to(self, blocks: Sequence[Tensor]) -> None:
        """Let the parameters be views of one vector per player; nothing is copied."""
        for i, block in enumerate(blocks):
            if self._places[i] is not block:
                for p, view in zip(self.parameters[i], self.views(i, block), strict=True):
                    p.data = view
                self._places[i] = block

    @property
    def places(self) -> tuple[Tensor, ...]:
        """The vectors, one per player, of which the parameters are views now."""
        return tuple(p for p in self._places if p is not None)

    def owners(self, module: Any) -> frozenset[int]:
        """The players that have parameters in a module."""
        inside = {id(p) for p in module.parameters()}
        return frozenset(i for i, group in enumerate(self.parameters) if any(id(p) in inside for p in group))

    def views(self, i: int, block: Tensor) -> list[Tensor]:
        """A vector of player i, cut into the shapes of its parameters."""
        return [v.view(p.shape) for v, p in zip(block.split(self.sizes[i]), self.parameters[i], strict=True)]

    def restore(self) -> None:
        """Let the parameters hold the buffer again."""
        self.point_to(self.blocks)

    def mark_changed(self) -> None:
        """Count a write, so that a backward pass through a graph from before it is refused by torch."""
        for group in self.parameters:
            for p in group:
                increment_version(p)

    def gradients(self) -> list[tuple[int, int] | None]:
        """Identity and version of every `p.grad`, to notice a backward pass."""
        found = (p.grad for group in self.parameters for p in group)
        return [None if g is None else (id(g), g._version) for g in found]


def _check(groups: Sequence[Sequence[Tensor]], own: Sequence[Sequence[Tensor]]) -> None:
    owners: dict[int, int] = {}
    for i, (group, coordinates) in enumerate(zip(groups, own, strict=True)):
        if not coordinates:
            raise ValueError(
                f"group {i} has {len(group)} parameters and none of them requires a gradient, so player {i} cannot "
                f"move; give each player at least one trainable parameter"
            )
        for p in coordinates:
            if owners.setdefault(id(p), i) != i:
                raise ValueError(
                    f"a parameter of shape {tuple(p.shape)} is in the groups of player {owners[id(p)]} and player {i}; "
                    f"every parameter belongs to one player"
                )
        if len({id(p) for p in coordinates}) != len(coordinates):
            raise ValueError(f"group {i} lists a parameter twice; list each once")


def _check_type(parameters: Sequence[Any]) -> None:
    kinds = {(p.dtype, p.device) for p in parameters}
    if any(p.layout != torch.strided for p in parameters):
        raise TypeError("a parameter is sparse; its gradient cannot be part of a flat vector. Use dense parameters")
    if len(kinds) > 1:
        listed = sorted(f"{str(dtype).removeprefix('torch.')} on {device}" for dtype, device in kinds)
        raise TypeError(
            f"the parameters are of several types ({', '.join(listed)}); the state is one flat vector, so move all "
            f"networks to one device and dtype first"
        )
    if not next(iter(kinds))[0].is_floating_point:
        raise TypeError(f"the parameters are {next(iter(kinds))[0]}; they must be real floating point")
