"""Data-parallel training: v of a batch whose rows several processes share.

    v = Σ_r (n_r/n) v_r,     every rank r its rows, then one sum over the ranks             (1)

z, the method's memory and every vector in between lie on all ranks alike; only v_r does not.  Two maps lead from one
kind to the other, and each is the adjoint of the other:

    Copy   u ↦ u on every rank,      transposed: the sum over the ranks
    Sum    u_r ↦ Σ_r u_r,            transposed: Copy                                       (2)

So autograd differentiates (1) as often as it likes, with a sum over the ranks wherever one belongs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gamedyn.games.callable import TorchField
from gamedyn.games.field import Element, Field
from gamedyn.neural.ranks import Ranks
from gamedyn.neural.sample import OnSample

if TYPE_CHECKING:
    from gamedyn.neural.sample import Sample

__all__ = ["SharedField"]

_OPERATIONS = ("v", "part", "grad", "hvp", "jvp", "vjp", "cross_jvp", "cross_vjp", "skew")


class _Copy(torch.autograd.Function):
    """u, which lies on every rank alike, where each goes on with its own rows."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return u.view_as(u)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Sum.apply(g, ctx.ranks), None


class _Sum(torch.autograd.Function):
    """Σ_r u_r, on every rank alike."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(u)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Copy.apply(g, ctx.ranks), None


class SharedField(OnSample, TorchField):
    """v of a batch of which this process evaluates some rows; the same on every rank, bit for bit.

    Every operation is one sum over the ranks, and so is its derivative.  The costs of the rows are summed along with
    it, and marks of what was asked for: ranks that ask for different things are all told so.

    Parameters
    ----------
    own : TorchField
        v on the rows of this rank, with `first_costs`.
    weight : float
        n_r/n, their share.
    sample : Sample
        The whole batch.
    ranks : Ranks
    make : callable
        Sample -> the field on another sample of all ranks.
    mean : callable
        () -> the mean field.

    Attributes
    ----------
    first_costs : list
        Per player the cost on the whole batch, met first by this field, a scalar tensor, or None before.
    """

    def __init__(
        self,
        own: Any,
        weight: float,
        sample: Sample,
        *,
        ranks: Ranks,
        make: Callable[[Sample], Any],
        mean: Callable[[], Field],
    ) -> None:
        super().__init__(own.players, field=self._value, project=own.point if own.is_constrained else None)
        self.own, self.weight, self.sample, self.ranks = own, weight, sample, ranks
        self._make, self._mean = make, mean
        self.first_costs: list[Tensor | None] = [None] * len(own.players)

    def with_old(self, old: Tensor | None) -> Any:
        """The field in which the discriminators are shown earlier samples `(m, d)`, as many on every rank by share."""
        return self._make(replace(self.sample, old=old))

    def expected(self) -> Field:
        return self._mean()

    def check_second_order(self) -> None:
        self.own.check_second_order()

    def holding(self, i: int, z: Element) -> Field:
        own = self.own.holding(i, _Copy.apply(z, self.ranks))
        if own is self.own:
            return self
        twin = copy.copy(self)
        twin.own, twin._field = own, twin._value
        return twin

    def part(self, i: int, z: Element) -> Tensor:
        p = self.players[i]
        moving = self._shared(("part", i), lambda w: self.own.part(i, w)[p.slice], z)  # the others' zeros are not sent
        return torch.cat([z.new_zeros(p.start), moving, z.new_zeros(len(z) - p.stop)])

    def grad(self, i: int, z: Element) -> Tensor:
        return self._shared(("grad", i), lambda w: self.own.grad(i, w), z)

    def hvp(self, i: int, z: Element, u: Element) -> Tensor:
        return self._shared(("hvp", i), lambda w, d: self.own.hvp(i, w, d), z, u)

    def jvp(self, z: Element, u: Element) -> Tensor:
        return self._shared(("jvp", 0), self.own.jvp, z, u)

    def vjp(self, z: Element, u: Element) -> Tensor:
        return self._shared(("vjp", 0), self.own.vjp, z, u)

    def cross_jvp(self, z: Element, u: Element) -> Tensor:
        return self._shared(("cross_jvp", 0), self.own.cross_jvp, z, u)

    def cross_vjp(self, z: Element, u: Element) -> Tensor:
        return self._shared(("cross_vjp", 0), self.own.cross_vjp, z, u)

    def skew(self, z: Element, u: Element) -> Tensor:
        return self._shared(("skew", 0), self.own.skew, z, u)

    def _value(self, z: Tensor) -> Tensor:
        return self._shared(("v", 0), self.own, z)

    def _shared(self, asked: tuple[str, int], operation: Callable[..., Tensor], *vectors: Tensor) -> Tensor:
        """Σ_r (n_r/n) operation_r(vectors), in one message with the costs and the mark."""
        own = operation(*(_Copy.apply(u, self.ranks) for u in vectors))
        met = self.own.first_costs
        costs = torch.stack([own.new_zeros(()) if c is None else c.to(own) for c in met])
        mark = self.ranks.mark(_OPERATIONS.index(asked[0]) + len(_OPERATIONS) * asked[1], vectors)
        sent = torch.cat([self.weight * own, self.weight * costs, mark])
        value, of_all, marks = _Sum.apply(sent, self.ranks).split([len(own), len(met), len(mark)])
        self.ranks.require_marks(marks.detach().clone())  # clones let go of the message
        for i, cost in enumerate(of_all.detach().clone()):
            if self.first_costs[i] is None and met[i] is not None:
                self.first_costs[i] = cost
        return value

    def __repr__(self) -> str:
        return f"SharedField(d = {self.players[-1].stop:,}, {len(self.sample)} rows on {self.ranks.count} ranks)"
