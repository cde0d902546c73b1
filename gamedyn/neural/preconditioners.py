"""Adam on torch vectors, with one count of evaluations per player instead of one per coordinate.

    m ← m + (1 - beta1)(v - m),   s ← beta2 s + (1 - beta2) v²
    v ↦ (m / (1 - beta1ᵗ)) / (√(s / (1 - beta2ᵗ)) + eps)                                    (1)

The same directions as `gamedyn.Adam`, which must suit every world; on 240,000 parameters its powers of a whole
vector of counts cost more than the networks.  `gamedyn.neural.train` puts this one in its place.
"""

from __future__ import annotations

import math
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
    """`gamedyn.Adam` for torch vectors; parameters and source there."""

    def init(self, F: Field | None, z: Element) -> Memory:
        """m and s `(d,)`, zero, and the count of evaluations of each player's part `(n_players,)`."""
        n = 0 if F is None else len(F.players)  # a step map asks without a field how many vectors there are
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
    """A field with Adam's memory, advanced slice by slice."""

    preconditioner: TorchAdam

    def __call__(self, z: Element) -> Tensor:
        return self._advance(self.base(z), range(len(self.players)))

    def part(self, i: int, z: Element) -> Tensor:
        return self._advance(self.base.part(i, z), (i,))

    def _advance(self, v: Tensor, movers: Any) -> Tensor:
        """The direction of the players in `movers`, zero elsewhere; the state moves on for them alone."""
        adam, (m, s, t) = self.preconditioner, self.state
        t = t.clone()
        directions, moments, squares = [], [], []
        for i, p in enumerate(self.players):
            m_i, s_i, v_i = m[p.slice], s[p.slice], v[p.slice]
            if i in movers:
                t[i] += 1
                m_i = torch.lerp(m_i, v_i, 1 - adam.beta1)
                s_i = (adam.beta2 * s_i).addcmul_(v_i, v_i, value=1 - adam.beta2)
                v_i = adam.direction(m_i, s_i, float(t[i]))
            directions.append(v_i)  # the part of a player who stands still is zero already
            moments.append(m_i)
            squares.append(s_i)
        self.state = (torch.cat(moments), torch.cat(squares), t)
        return torch.cat(directions)
