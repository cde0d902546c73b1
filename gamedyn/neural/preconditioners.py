"""Adam on torch vectors, with one count of evaluations per player instead of one per coordinate.

    m ← m + (1 - beta1)(v - m),   s ← beta2 s + (1 - beta2) v²
    v ↦ (m / (1 - beta1ᵗ)) / (√(s / (1 - beta2ᵗ)) + eps)                                    (1)

The same directions as `gamedyn.Adam`, which must suit every world; on 240,000 parameters its powers of a whole
vector of counts cost more than the networks.  `gamedyn.neural.train` puts this one in its place.  It writes m, s
and t in place, so the memory that a step is given belongs to that step: keep a copy, not the tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.field import Element, Field
from gamedyn.rules.method import Method, as_method
from gamedyn.rules.preconditioners import Adam, PreconditionedField
from gamedyn.rules.rule import Memory

__all__ = ["TorchAdam", "for_torch"]


def for_torch(method: Any) -> Method:
    """The method with `TorchAdam` for `Adam`; every other part as it is."""
    method = as_method(method)
    if type(method.preconditioner) is not Adam:
        return method
    adam = TorchAdam(**{f.name: getattr(method.preconditioner, f.name) for f in fields(Adam)})
    return Method(method.rule, adam, *method.transforms)


@dataclass(frozen=True)
class TorchAdam(Adam):
    """`gamedyn.Adam` for torch vectors, with its memory written in place; parameters and source there."""

    def init(self, F: Field, z: Element) -> Memory:
        """m and s `(d,)`, zero, and the count of evaluations of each player's part `(n_players,)`."""
        n = len(F.players)
        # counts stay on the CPU: reading them must not wait for a GPU
        return (torch.zeros_like(z), torch.zeros_like(z), torch.zeros(n, dtype=torch.float64))

    def field(self, F: Field, state: Memory) -> PreconditionedField:
        """The preconditioned field, holding its state."""
        return TorchAdamField(F, self, state)

    def direction(self, m: Tensor, s: Tensor, t: float) -> Tensor:
        """The direction for moments after t evaluations."""
        first = 1 - self.beta1**t if self.bias_correction else 1.0
        second = math.sqrt(1 - self.beta2**t) if self.bias_correction else 1.0
        return m / s.sqrt().mul_(first / second).add_(self.eps * first)


class TorchAdamField(PreconditionedField):
    """A field with Adam's memory, advanced slice by slice and in place."""

    preconditioner: TorchAdam

    def __call__(self, z: Element) -> Tensor:
        return self._advance(self.base(z), range(len(self.players)))

    def part(self, i: int, z: Element) -> Tensor:
        return self._advance(self.base.part(i, z), (i,))

    def _advance(self, v: Tensor, movers: Sequence[int]) -> Tensor:
        """The direction of the players in `movers`; the state moves on for them alone."""
        adam, (m, s, t) = self.preconditioner, self.state
        directions = []
        for i, p in enumerate(self.players):
            v_i = v[p.slice]
            if i in movers:
                t[i] += 1
                m_i = m[p.slice].lerp_(v_i, 1 - adam.beta1)
                s_i = s[p.slice].mul_(adam.beta2).addcmul_(v_i, v_i, value=1 - adam.beta2)
                v_i = adam.direction(m_i, s_i, float(t[i]))
            directions.append(v_i)  # zero already for a player who stands still
        return torch.cat(directions)
