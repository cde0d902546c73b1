"""Simplifications of a recorded linear map: the same map in fewer operations.

f(c) → c'                                 what does not depend on u is computed once
tanh'(y)·x, σ'(y)·x, relu'(y)·x → c·x     derivatives at kept activations are factors
c₂·(c₁·x) → (c₁c₂)·x
x·A + y·A → (x + y)·A                     products with one matrix
y + c·x → addcmul,  y + AB → addmm        one pass over memory instead of two
Σ pad(xᵢ) → (x₁, x₂, …)                   gradients of disjoint slices are laid side by side
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["NotRecordable", "Recording", "is_view", "simplify", "users_last"]

aten = torch.ops.aten


class NotRecordable(Exception):
    """The map draws random numbers, branches on values, or uses what cannot be traced."""


@dataclass
class Recording:
    """Operations on one tensor, and the constants that they use."""

    graph: fx.Graph
    constants: dict[str, Tensor]
    device: torch.device


_VIEWS = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.t.default,
    aten.transpose.int,
    aten.permute.default,
    aten.slice.Tensor,
    aten.select.int,
    aten.expand.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.detach.default,
    aten.alias.default,
    aten.as_strided.default,
    operator.getitem,
}
_WITHOUT_WRITE = {
    aten.add_.Tensor: aten.add.Tensor,
    aten.sub_.Tensor: aten.sub.Tensor,
    aten.mul_.Tensor: aten.mul.Tensor,
    aten.mul_.Scalar: aten.mul.Scalar,
    aten.div_.Tensor: aten.div.Tensor,
    aten.div_.Scalar: aten.div.Scalar,
    aten.neg_.default: aten.neg.default,
}
_RANDOM = ("rand", "dropout", "bernoulli", "multinomial", "normal_", "native_dropout")


def _writes(op: Any) -> bool:
    schema = getattr(op, "_schema", None)
    return schema is not None and schema.is_mutable


def is_view(node: fx.Node) -> bool:
    """Whether the node is the same memory seen otherwise."""
    return node.op == "call_function" and node.target in _VIEWS


def users_last(nodes: list[fx.Node]) -> tuple[dict[fx.Node, fx.Node], dict[fx.Node, int]]:
    """The node that owns the memory of each node, and the position at which each owner is read last."""
    root: dict[fx.Node, fx.Node] = {}
    last: dict[fx.Node, int] = {}
    for position, node in enumerate(nodes):
        source: Any = node.args[0] if is_view(node) else None
        root[node] = node if source is None else root[source]
        last[root[node]] = position
        for read in node.all_input_nodes:
            last[root[read]] = len(nodes) if node.op == "output" else position
    return root, last


def simplify(recording: Recording) -> None:
    """All of the above, in place, until nothing changes."""
    graph = _Graph(recording)
    graph.without_writes()
    graph.fold_constants()
    for _ in range(8):
        changed = [graph.rewrite(rule) for rule in (_derivative, _scaled, _side_by_side, _distributed)]
        graph.fold_constants()
        if not any(changed):
            break
    graph.share()
    graph.rewrite(_fused)


class _Graph:
    """A recording, and the few edits that rules need."""

    def __init__(self, recording: Recording) -> None:
        self.graph, self.constants, self.device = recording.graph, recording.constants, recording.device
        self._names = count()

    def is_constant(self, node: Any) -> bool:
        return isinstance(node, fx.Node) and node.op == "get_attr"

    def value(self, node: fx.Node) -> Tensor:
        return self.constants[str(node.target)]

    def constant(self, value: Tensor, before: fx.Node) -> fx.Node:
        """A new constant."""
        name = f"_kept{next(self._names)}"
        self.constants[name] = value.detach()
        with self.graph.inserting_before(before):
            node = self.graph.create_node("get_attr", name)
        node.meta["val"] = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        return node

    def call(self, target: Any, args: tuple[Any, ...], before: fx.Node, like: Tensor) -> fx.Node:
        """A new operation whose result has the layout of `like`."""
        with self.graph.inserting_before(before):
            node = self.graph.call_function(target, args)
        node.meta["val"] = like
        return node

    def rewrite(self, rule: Callable[[_Graph, Any], fx.Node | None]) -> bool:
        """Apply a rule to every node; a rule gives what stands for the node, or None."""
        changed = False
        for node in list(self.graph.nodes):
            if node.op != "call_function" or not node.users:
                continue
            new = rule(self, node)
            if new is not None and new is not node:
                node.replace_all_uses_with(new)
                changed = True
        self.sweep()
        return changed

    def sweep(self) -> None:
        """Drop what nobody reads, constants as well."""
        for node in reversed(list(self.graph.nodes)):
            if not node.users and node.op in ("call_function", "get_attr"):
                if node.op == "get_attr":
                    del self.constants[str(node.target)]
                self.graph.erase_node(node)

    def without_writes(self) -> None:
        """`x.add_(y)` as a new value that stands for x, and for the views of x, from there on."""
        nodes = list(self.graph.nodes)
        place = {node: k for k, node in enumerate(nodes)}
        for node in nodes:
            plain = _WITHOUT_WRITE.get(node.target) if node.op == "call_function" else None
            if plain is None:
                if node.op == "call_function" and _writes(node.target):
                    raise NotRecordable(f"{node.target} writes into its argument")
                continue
            old = node.args[0]
            if is_view(old):
                raise NotRecordable(f"{node.target} writes into a view")
            later = lambda user, k=place[node]: place.get(user, -1) > k  # noqa: E731
            new = self.call(plain, node.args, node, node.meta["val"])
            new.kwargs = node.kwargs
            node.replace_all_uses_with(new)
            self._stand_in(old, new, node, later)
            self.graph.erase_node(node)

    def _stand_in(self, old: fx.Node, new: fx.Node, before: fx.Node, later: Callable[[fx.Node], bool]) -> None:
        """`new` for `old` in all later uses, and views of `new` for the views of `old`."""
        for user in list(old.users):
            if is_view(user) and user is not new and not later(user):
                again = self.call(user.target, (new, *user.args[1:]), before, user.meta["val"])
                self._stand_in(user, again, before, later)
        old.replace_all_uses_with(new, delete_user_cb=later)

    def fold_constants(self) -> None:
        """Evaluate what depends on constants only."""
        for node in list(self.graph.nodes):
            if node.op != "call_function" or not node.users:
                continue
            if any(word in str(node.target) for word in _RANDOM):
                raise NotRecordable(f"{node.target} draws random numbers")
            if node.target is aten.zeros_like.default or node.target is aten.new_zeros.default:
                like = node.meta["val"]
                zeros = torch.zeros(like.shape, dtype=like.dtype, device=self.device)
                node.replace_all_uses_with(self.constant(zeros, node))
            elif all(self.is_constant(n) for n in node.all_input_nodes) and isinstance(node.meta.get("val"), Tensor):
                get = lambda n: self.value(n)  # noqa: E731
                with torch.no_grad():
                    value = node.target(*fx.node.map_arg(node.args, get), **fx.node.map_arg(node.kwargs, get))
                node.replace_all_uses_with(self.constant(value, node))
        self.sweep()

    def share(self) -> None:
        """One node for equal operations on equal arguments."""
        seen: dict[Any, fx.Node] = {}
        for node in list(self.graph.nodes):
            if node.op != "call_function":
                continue
            try:
                key = (node.target, _frozen(node.args), _frozen(node.kwargs))
                hash(key)
            except TypeError:
                continue
            if key in seen:
                node.replace_all_uses_with(seen[key])
            else:
                seen[key] = node
        self.sweep()


def _frozen(args: Any) -> Any:
    if isinstance(args, list | tuple):
        return tuple(_frozen(a) for a in args)
    if isinstance(args, dict):
        return tuple(sorted((k, _frozen(v)) for k, v in args.items()))
    return args


def _alone(node: Any, target: Any) -> bool:
    """Whether the node is such an operation, read once."""
    return isinstance(node, fx.Node) and node.target is target and len(node.users) == 1


def _factor(graph: _Graph, node: Any) -> tuple[Any, Any] | None:
    """(x, c) of a product with a constant: a tensor node, or a number."""
    if not isinstance(node, fx.Node):
        return None
    if node.target is aten.mul.Tensor and not node.kwargs:
        a, b = node.args
        if graph.is_constant(b) or isinstance(b, int | float):
            return a, b
        if graph.is_constant(a):
            return b, a
    if node.target is aten.mul.Scalar:
        return node.args[0], node.args[1]
    if node.target in (aten.div.Tensor, aten.div.Scalar) and not node.kwargs:
        a, b = node.args
        if isinstance(b, int | float):
            return a, 1.0 / b
        if graph.is_constant(b):
            number: Any = b
            return a, graph.constant(1.0 / graph.value(number), node)
    if node.target is aten.neg.default:
        return node.args[0], -1.0
    return None


def _derivative(graph: _Graph, node: Any) -> fx.Node | None:
    """g · f'(y) with y kept, as a product with a constant."""
    if node.target not in _SLOPES:
        return None
    g, y, *rest = node.args
    if not graph.is_constant(y) or not isinstance(g, fx.Node):
        return None
    slope = _SLOPES[node.target](graph.value(y), *rest)
    return graph.call(aten.mul.Tensor, (g, graph.constant(slope, node)), node, node.meta["val"])


_SLOPES: dict[Any, Callable[..., Tensor]] = {
    aten.tanh_backward.default: lambda y: 1 - y * y,
    aten.sigmoid_backward.default: lambda y: y * (1 - y),
    aten.threshold_backward.default: lambda y, threshold: (y > threshold).to(y.dtype),
    aten.leaky_relu_backward.default: lambda y, slope, is_result: torch.ones_like(y).masked_fill(y <= 0, slope),
}


def _scaled(graph: _Graph, node: Any) -> fx.Node | None:
    """c₂·(c₁·x) as one product, and c₁·x as a product of tensors if c₁ is one."""
    outer = _factor(graph, node)
    if outer is None or not _alone(outer[0], getattr(outer[0], "target", None)):
        return None
    inner = _factor(graph, outer[0])
    if inner is None:
        return None
    (x, first), second = inner, outer[1]
    values: list[Any] = [graph.value(c) if isinstance(c, fx.Node) else c for c in (first, second)]
    product = values[0] * values[1]
    if isinstance(product, Tensor):
        whole = node.meta["val"].shape
        if x.meta["val"].shape != whole and torch.broadcast_shapes(x.meta["val"].shape, product.shape) != whole:
            return None
        return graph.call(aten.mul.Tensor, (x, graph.constant(product, node)), node, node.meta["val"])
    return graph.call(aten.mul.Scalar, (x, product), node, node.meta["val"])


def _distributed(graph: _Graph, node: Any) -> fx.Node | None:
    """x·A + y·A and A·x + A·y with one constant matrix A, or one constant factor."""
    if node.target is not aten.add.Tensor or node.kwargs or not all(isinstance(a, fx.Node) for a in node.args):
        return None
    a, b = node.args
    if not (_alone(a, aten.mm.default) and _alone(b, aten.mm.default)):
        return None
    for side in (0, 1):
        shared, other = a.args[side], a.args[1 - side]
        if shared is b.args[side]:
            addend = b.args[1 - side]
            inner = graph.call(aten.add.Tensor, (other, addend), node, other.meta["val"])
            pair = (shared, inner) if side == 0 else (inner, shared)
            return graph.call(aten.mm.default, pair, node, node.meta["val"])
    return None


def _side_by_side(graph: _Graph, node: Any) -> fx.Node | None:
    """A sum of zero-padded pieces of a vector as one concatenation."""
    if node.target is not aten.add.Tensor or node.meta["val"].ndim != 1:
        return None
    if any(_alone(node, u.target) and u.target is aten.add.Tensor for u in node.users):
        return None  # an inner node of a longer sum
    leaves = list(_addends(node, top=True))
    pieces: list[tuple[int, int, Any]] = []
    for leaf in leaves:
        if leaf.target is not aten.slice_backward.default:
            return None
        arguments: Any = leaf.args
        x, sizes, dim, start, stop, step = arguments
        if dim != 0 or step != 1:
            return None
        first, last, length = int(start), int(stop), int(sizes[0])
        first, last = (k + length if k < 0 else min(k, length) for k in (first, last))
        pieces.append((first, last, x))
    pieces.sort(key=lambda p: p[0])
    merged: list[tuple[int, int, Any]] = []
    for start, stop, x in pieces:
        if merged and merged[-1][:2] == (start, stop):
            both = graph.call(aten.add.Tensor, (merged[-1][2], x), node, x.meta["val"])
            merged[-1] = (start, stop, both)
        elif merged and start < merged[-1][1]:
            return None
        else:
            merged.append((start, stop, x))
    parts, at = [], 0
    for start, stop, x in merged:
        if start > at:
            parts.append(_zeros(graph, node, start - at))
        parts.append(x)
        at = stop
    if at < node.meta["val"].shape[0]:
        parts.append(_zeros(graph, node, node.meta["val"].shape[0] - at))
    return graph.call(aten.cat.default, (parts,), node, node.meta["val"])


def _zeros(graph: _Graph, node: fx.Node, n: int) -> fx.Node:
    return graph.constant(torch.zeros(n, dtype=node.meta["val"].dtype, device=graph.device), node)


def _addends(node: Any, top: bool = False) -> Iterator[fx.Node]:
    if node.target is aten.add.Tensor and not node.kwargs and (top or len(node.users) == 1):
        for a in node.args:
            yield from _addends(a)
    else:
        yield node


def _fused(graph: _Graph, node: Any) -> fx.Node | None:
    """y + AB and y + c·x in one operation."""
    if node.target is not aten.add.Tensor or node.kwargs or not all(isinstance(a, fx.Node) for a in node.args):
        return None
    shape, (first, second) = node.meta["val"].shape, node.args
    pairs: tuple[tuple[Any, Any], ...] = ((first, second), (second, first))
    for x, y in pairs:
        if y.meta["val"].shape != shape or graph.is_constant(y):
            continue
        if _alone(x, aten.mm.default):
            return graph.call(aten.addmm.default, (y, *x.args), node, node.meta["val"])
    for x, y in pairs:
        if y.meta["val"].shape == shape and _alone(x, aten.mul.Tensor):
            a, b = x.args
            if all(isinstance(f, fx.Node) and f.meta["val"].shape == shape for f in (a, b)):
                return graph.call(aten.addcmul.default, (y, a, b), node, node.meta["val"])
    return None
