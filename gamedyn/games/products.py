"""Products with the Jacobian of a torch field at one point, from one graph that is kept or recorded.

    Jᵀu = ∂⟨v(w), u⟩/∂w,     Ju = ∂⟨Jᵀs, u⟩/∂s                                              (1)

The second line holds because s ↦ Jᵀs is linear: a product with J is the derivative of a product with Jᵀ, so
reverse mode alone gives both.  v and Jᵀs are recorded once; a product is then one backward pass.  Where many products
are wanted, that pass itself is recorded (`games/recorded.py`) and the graph let go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.plain_operations import twice_differentiable
from gamedyn.games.recorded import NotRecordable, RecordedMap

__all__ = ["PRODUCTS", "ProductCost", "RetainedJacobian", "refuse_random"]

ROWS_AT_ONCE = 64
RECORD_AFTER = 48  # products of one kind after which "auto" records it
PRODUCTS = ("auto", "retained", "recorded", "compiled")


@dataclass
class ProductCost:
    """What the products of one kind have taken, in seconds of wall time."""

    retained: int = 0
    retained_seconds: float = 0.0
    recorded: int = 0
    recorded_seconds: float = 0.0
    setup_seconds: float = 0.0
    reason: str = ""

    @property
    def pays_after(self) -> float:
        """Products after which the set-up is paid back; infinite if never, NaN where not both were measured."""
        if not (self.retained and self.recorded):
            return float("nan")
        saved = self.retained_seconds / self.retained - self.recorded_seconds / self.recorded
        return self.setup_seconds / saved if saved > 0 else float("inf")


class RetainedJacobian:
    """J = Dv(z) as a linear map, for any field of the neural world.

    The graph of v at z lives as long as this object, or until products are recorded: about the memory of a few forward
    and backward passes.

    Parameters
    ----------
    field : Field
        Of the neural world, deterministic.
    z : Tensor
        `(d,)`, the point, in the type and on the device of the computation.
    products : {"auto", "retained", "recorded", "compiled"}
        How a product is made: by a backward pass through the graph; by replaying that pass, recorded at the first
        product (seconds are in `costs`; falls back to the graph, with the reason, where the pass cannot be recorded);
        by the recorded pass compiled by `torch.compile`, which needs a C++ compiler and up to a minute; "auto"
        records after 48 products of one kind.

    Attributes
    ----------
    costs : dict
        "jvp" and "vjp" -> ProductCost.

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = gd.callable_game([lambda z: z[0] * z[1], lambda z: z[1] ** 2 - z[0] * z[1]], sizes=[1, 1])
    >>> J = RetainedJacobian(game.field(), torch.tensor([1.0, 2.0]))
    >>> J.to_dense()
    tensor([[ 0.,  1.],
            [-1.,  2.]])
    >>> J.jvp(torch.tensor([1.0, 0.0])), J.vjp(torch.tensor([1.0, 0.0]))
    (tensor([ 0., -1.]), tensor([0., 1.]))
    """

    def __init__(self, field: Any, z: Tensor, products: str = "auto") -> None:
        if not z.is_floating_point():
            raise TypeError(f"a Jacobian needs a point of floats, got {z.dtype}; convert it with z.double()")
        field.check_second_order()
        if z.ndim != 1:
            raise ValueError(f"a Jacobian belongs to one point (d,), got shape {tuple(z.shape)}")
        if products not in PRODUCTS:
            raise ValueError(f"products={products!r} is not one of {', '.join(map(repr, PRODUCTS))}")
        self.products = products
        self.costs = {"jvp": ProductCost(), "vjp": ProductCost()}
        self._field, self._z = field, z.detach().clone()
        self._graph: _Graph | None = None
        self._replays: dict[str, RecordedMap] = {}
        self.field_value = self._kept().value.detach()

    @property
    def dim(self) -> int:
        """Length d of the state."""
        return len(self._z)

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu `(d,)`."""
        return self._product("vjp", u)

    def jvp(self, u: Tensor) -> Tensor:
        """Ju `(d,)`."""
        return self._product("jvp", u)

    def block(self, kind: str, U: Tensor) -> Tensor:
        """JU or JᵀU for a block `(d, m)`, many columns in one batched pass."""
        if U.ndim != 2 or len(U) != self.dim:
            raise ValueError(f"a block has the shape ({self.dim}, m), got {tuple(U.shape)}")
        if not U.shape[1]:
            return torch.zeros_like(U)
        return torch.cat([self._rows(kind, rows) for rows in U.T.split(ROWS_AT_ONCE)]).T

    def to_dense(self) -> Tensor:
        """J `(d, d)`, from d products; d² numbers of memory.

        Recorded products are made one by one, the fastest way from some hundreds on; others many at once.
        """
        if self._ready("jvp", self.dim):
            return self._replays["jvp"].matrix().T
        return self.block("vjp", torch.eye(self.dim, dtype=self._z.dtype, device=self._z.device)).T

    def _product(self, kind: str, u: Tensor) -> Tensor:
        if u.shape != self._z.shape or u.dtype != self._z.dtype:
            raise ValueError(
                f"a product needs a vector ({self.dim},) of {self._z.dtype}, got {tuple(u.shape)} of {u.dtype}"
            )
        cost = self.costs[kind]
        recorded = self._ready(kind, cost.retained)
        began = time.perf_counter()
        if recorded:
            image = self._replays[kind](u)
            cost.recorded += 1
            cost.recorded_seconds += time.perf_counter() - began
        else:
            image = getattr(self._kept(), kind)(u)
            cost.retained += 1
            cost.retained_seconds += time.perf_counter() - began
        return image

    def _ready(self, kind: str, products: int) -> bool:
        """Whether a product is replayed, where so many were or will be made; records it when it is time."""
        wanted = products >= RECORD_AFTER if self.products == "auto" else self.products != "retained"
        if wanted and kind not in self._replays and not self.costs[kind].reason:
            self._record(kind, self.costs[kind])
        return kind in self._replays

    def _record(self, kind: str, cost: ProductCost) -> None:
        """Replace the graph by its recorded pass, or say why not."""
        graph = self._kept()
        if graph.is_constant(kind):
            cost.reason = "J = 0"
            return
        began = time.perf_counter()
        try:
            self._replays[kind] = RecordedMap(graph.function(kind), self._z, compiled=self.products == "compiled")
        except NotRecordable as error:
            cost.reason = str(error)
        else:
            self._graph = None  # built anew should the other kind be asked for
        cost.setup_seconds = time.perf_counter() - began

    def _rows(self, kind: str, rows: Tensor) -> Tensor:
        graph = self._kept()
        if graph.is_constant(kind):
            return torch.zeros_like(rows)
        try:
            return graph.rows(kind, rows)
        except RuntimeError:  # an operation that torch cannot batch over
            return torch.stack([self._product(kind, row) for row in rows])

    def _kept(self) -> _Graph:
        if self._graph is None:
            self._graph = _Graph(self._field, self._z)
        return self._graph

    def __repr__(self) -> str:
        return f"RetainedJacobian(d = {self.dim:,}, {self._z.dtype} on {self._z.device})"


class _Graph:
    """v and Jᵀs with their autograd history."""

    def __init__(self, field: Any, z: Tensor) -> None:
        with torch.inference_mode(False), torch.enable_grad(), twice_differentiable():
            self.w = z.detach().clone().requires_grad_()
            self.value = field(self.w)
            self.seed = torch.zeros_like(self.value, requires_grad=True)
            self.transposed = self._transpose()

    def vjp(self, u: Tensor) -> Tensor:
        if self.is_constant("vjp"):
            return torch.zeros_like(u)
        return torch.autograd.grad(self.value, self.w, u, retain_graph=True, materialize_grads=True)[0]

    def jvp(self, u: Tensor) -> Tensor:
        if self.transposed is None:
            return torch.zeros_like(u)
        return torch.autograd.grad(self.transposed, self.seed, u, retain_graph=True, materialize_grads=True)[0]

    def function(self, kind: str) -> Callable[[Tensor], Tensor]:
        return self.jvp if kind == "jvp" else self.vjp

    def is_constant(self, kind: str) -> bool:
        """Whether the product is zero whatever u is."""
        return not self.value.requires_grad if kind == "vjp" else self.transposed is None

    def rows(self, kind: str, block: Tensor) -> Tensor:
        """Images of the rows of a block `(m, d)`."""
        output: Any = self.value if kind == "vjp" else self.transposed
        source = self.w if kind == "vjp" else self.seed
        return torch.autograd.grad(
            output, source, block, retain_graph=True, materialize_grads=True, is_grads_batched=True
        )[0]

    def _transpose(self) -> Tensor | None:
        """Jᵀs with its graph, s the seed; None where v does not depend on w."""
        if not self.value.requires_grad:
            return None
        (product,) = torch.autograd.grad(self.value, self.w, self.seed, create_graph=True, materialize_grads=True)
        return product if product.requires_grad else None


def refuse_random(field: Any, z: Tensor, value: Tensor | None = None) -> None:
    """Evaluate v once more: a Jacobian and its spectrum belong to a function.

    Parameters
    ----------
    field : Field
    z : Tensor `(d,)`
    value : Tensor `(d,)`, optional
        v(z), if it is known.

    Raises
    ------
    ValueError
        If v is not finite, or the two values differ by more than rounding.
    """
    with torch.no_grad():
        once = field(z) if value is None else value
        if not bool(once.isfinite().all()):
            lost = [p.name for p in field.players if not bool(once[p.slice].isfinite().all())]
            raise ValueError(
                f"v is not finite at this point (in the part of {', '.join(lost)}), so it has no Jacobian there; "
                f"take an earlier snapshot, or look at the costs"
            )
        apart, size = float((field(z) - once).norm()), float(once.norm())
    # some GPU kernels add in another order each time: rounding is no randomness
    if apart > 1e3 * torch.finfo(z.dtype).eps * max(1.0, size):
        raise ValueError(
            f"two evaluations of v at the same point differ by {apart:.3g}: the costs draw random numbers or keep "
            f"hidden state (dropout, statistics of batch norm, power iterations of spectral norm, a fresh sample of "
            f"data); fix the sample and call .eval() on the networks before taking a Jacobian or a spectrum"
        )
