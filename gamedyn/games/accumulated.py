"""A field that is a weighted sum of fields, and its Jacobian with one graph in memory at a time.

    v = Σ_b w_b v_b,    J = Σ_b w_b J_b                                                     (1)

A cost that is a mean over n rows is a sum over batches of n_b rows, with w_b = n_b / n.  v and J of all the data then
need the memory of one batch.  (1) is only true where rows do not meet in the cost: not with batch normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.callable import TorchField
from gamedyn.games.field import Element, Field
from gamedyn.games.products import RetainedJacobian

__all__ = ["KEEP", "AccumulatedField", "AccumulatedJacobian"]

KEEP = ("one", "all")

Part = tuple[Field | Callable[[], Field], float]


class AccumulatedField(TorchField):
    """v = Σ w_b v_b, by one part after the other.

    Without gradients enabled, every operation holds the graph of one part at a time.

    Parameters
    ----------
    parts : sequence of (Field or callable, float)
        Fields of the neural world on the same players, or what makes them (called anew for every operation, so that a
        batch need not stay in memory), each with its weight; the weights are used as they are.

    Raises
    ------
    ValueError
        If there are no parts, a weight is not finite, or the players differ.

    Examples
    --------
    >>> import gamedyn as gd
    >>> halves = [gd.callable_game([lambda z, a=a: a * z[0] ** 2], sizes=[1]).field() for a in (1.0, 3.0)]
    >>> AccumulatedField([(half, 0.5) for half in halves])(torch.tensor([1.0])).detach()
    tensor([4.])
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple((part, float(weight)) for part, weight in parts)
        if not self.parts:
            raise ValueError("a sum of fields needs at least one part, got none")
        if odd := [weight for _, weight in self.parts if not math.isfinite(weight)]:
            raise ValueError(f"the weights {odd} are not finite; give n_b / n, the share of the rows of each part")
        first = _made(self.parts[0][0])
        super().__init__(first.players, field=self._value, project=first.point if first.is_constrained else None)

    def jvp(self, z: Element, u: Element) -> Tensor:
        return self.sum(lambda F: F.jvp(z, u))

    def vjp(self, z: Element, u: Element) -> Tensor:
        return self.sum(lambda F: F.vjp(z, u))

    def check_second_order(self) -> None:
        _made(self.parts[0][0]).check_second_order()

    def part(self, i: int, z: Element) -> Tensor:
        return self.sum(lambda F: F.part(i, z))

    def grad(self, i: int, z: Element) -> Tensor:
        return self.sum(lambda F: F.grad(i, z))

    def hvp(self, i: int, z: Element, u: Element) -> Tensor:
        return self.sum(lambda F: F.hvp(i, z, u))

    def sum(self, operation: Callable[[Field], Tensor]) -> Tensor:
        """Σ w_b operation(F_b), in the order of the parts."""
        total: Tensor | None = None
        for part, weight in self.parts:
            field = _made(part)
            if field.players != self.players:
                raise ValueError(
                    f"the parts have the players {[tuple(p) for p in self.players]} and "
                    f"{[tuple(p) for p in field.players]}; only fields on the same coordinates can be added"
                )
            term = weight * operation(field)
            total = term if total is None else total + term
        assert total is not None
        return total

    def _value(self, z: Tensor) -> Tensor:
        return self.sum(lambda F: F(z))

    def __repr__(self) -> str:
        return f"AccumulatedField(d = {self.players[-1].stop:,}, {len(self.parts)} parts)"


class AccumulatedJacobian:
    """J = Σ w_b Dv_b(z) as a linear map, in the place of a `RetainedJacobian`.

    Parameters
    ----------
    parts : sequence of (Field or callable, float)
        See `AccumulatedField`.
    z : Tensor
        `(d,)`, the point, in the type and on the device of the computation.
    keep : {"one", "all"}
        "one": the graph of a part lives while its share of a product is made, and is built anew for the next product;
        memory of one part, a product with J takes about 4 gradients of v and one with Jᵀ about 3, over all rows.
        "all": the graphs of all parts are kept (memory of all rows at once), a product takes about 2 gradients.
    products : {"auto", "retained", "recorded", "compiled"}
        Of each part where all are kept; see `RetainedJacobian`.

    Attributes
    ----------
    field : AccumulatedField
    field_value : Tensor `(d,)`
        v(z).

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = lambda a: gd.callable_game([lambda z: z[0] * z[1], lambda z: a * z[1] ** 2 - z[0] * z[1]], sizes=[1, 1])
    >>> J = AccumulatedJacobian([(game(1.0).field, 0.25), (game(5.0).field, 0.75)], torch.tensor([1.0, 2.0]))
    >>> J.to_dense()
    tensor([[ 0.,  1.],
            [-1.,  8.]])
    >>> J.jvp(torch.tensor([0.0, 1.0])), J.vjp(torch.tensor([1.0, 0.0]))
    (tensor([1., 8.]), tensor([0., 1.]))
    """

    def __init__(self, parts: Sequence[Part], z: Tensor, *, keep: str = "one", products: str = "auto") -> None:
        if z.ndim != 1:
            raise ValueError(f"a Jacobian belongs to one point (d,), got shape {tuple(z.shape)}")
        if keep not in KEEP:
            raise ValueError(f"keep={keep!r} is not one of {', '.join(map(repr, KEEP))}")
        self.keep, self.field, self._z = keep, AccumulatedField(parts), z.detach().clone()
        self._kept: list[tuple[RetainedJacobian, float]] = []
        if keep == "all":
            self._kept = [(RetainedJacobian(_made(F), self._z, products), w) for F, w in self.field.parts]
        with torch.no_grad():
            self.field_value = self.field(self._z)

    @property
    def dim(self) -> int:
        """Length d of the state."""
        return len(self._z)

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu `(d,)`."""
        if self._kept:
            return _sum(weight * J.vjp(u) for J, weight in self._kept)
        with torch.no_grad():
            return self.field.vjp(self._z, u)

    def jvp(self, u: Tensor) -> Tensor:
        """Ju `(d,)`."""
        if self._kept:
            return _sum(weight * J.jvp(u) for J, weight in self._kept)
        with torch.no_grad():
            return self.field.jvp(self._z, u)

    def block(self, kind: str, U: Tensor) -> Tensor:
        """JU ("jvp") or JᵀU ("vjp") for a block `(d, m)`; one graph per part for the whole block."""
        if self._kept:
            return _sum(weight * J.block(kind, U) for J, weight in self._kept)
        return self.field.sum(lambda F: RetainedJacobian(F, self._z, "retained").block(kind, U))

    def to_dense(self) -> Tensor:
        """J `(d, d)`; d² numbers of memory, twice."""
        return self.block("vjp", torch.eye(self.dim, dtype=self._z.dtype, device=self._z.device)).T

    def __repr__(self) -> str:
        graphs = "one graph at a time" if self.keep == "one" else "all graphs kept"
        return f"AccumulatedJacobian(d = {self.dim:,}, {len(self.field.parts)} parts, {graphs}, {self._z.dtype})"


def _made(part: Field | Callable[[], Field]) -> Field:
    return part if isinstance(part, Field) else part()


def _sum(terms: Any) -> Tensor:
    total: Tensor | None = None
    for term in terms:
        total = term if total is None else total + term
    assert total is not None
    return total
