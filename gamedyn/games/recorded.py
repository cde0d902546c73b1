"""A linear map recorded as a list of tensor operations, simplified, and replayed in buffers of its own.

    u ↦ Jᵀu  or  u ↦ Ju     one backward pass through a graph that is kept                  (1)

An autograd engine walks the graph anew for every product; on small networks that walk costs more than the arithmetic.
Recording it once leaves the operations that depend on u: everything else is a constant.  What is left is simplified
(`record_passes`), every result gets a place in memory, views are taken once, and a product is then a loop over calls
`op(a, b, out=c)`.  Operations that are not known here run as they are, so any module works; a map that cannot be
recorded, or whose replay differs from it, is refused with the reason.
"""

from __future__ import annotations

import operator
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from gamedyn.games.record_passes import NotRecordable, Recording, is_view, simplify, users_last

__all__ = ["NotRecordable", "RecordedMap"]

aten = torch.ops.aten


class RecordedMap:
    """A linear map R^n -> R^m as a list of operations on fixed buffers.

    Parameters
    ----------
    fn : callable
        u `(n,)` -> `(m,)`, linear.
    like : Tensor `(n,)`
        For type and device.
    compiled : bool
        Hand the simplified list to `torch.compile` instead of replaying it.

    Attributes
    ----------
    operations : int
        Calls per product.
    buffer_bytes : int
        Memory of the buffers; constants not counted.
    setup_seconds : float
        What recording took.

    Raises
    ------
    NotRecordable
        See the module.

    Examples
    --------
    >>> A = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    >>> product = RecordedMap(lambda u: torch.tanh(A).t() @ u + 3 * u, torch.zeros(2))
    >>> product(torch.tensor([1.0, 0.0]))
    tensor([3.7616, 0.9640])
    """

    def __init__(self, fn: Callable[[Tensor], Tensor], like: Tensor, *, compiled: bool = False) -> None:
        began = time.perf_counter()
        self._lock = threading.Lock()  # the buffers serve one product at a time
        recording = _traced(fn, like)
        simplify(recording)
        if compiled:
            self._compile(recording, like)
        else:
            with torch.inference_mode():  # such tensors carry no counters: a third of a small operation
                plan = _Plan(recording, like)
            self._input, self._output, self._calls = plan.input, plan.output, plan.calls
            self.operations, self.buffer_bytes = len(plan.calls), plan.bytes
        self._check(fn, like)
        self.setup_seconds = time.perf_counter() - began

    def __call__(self, u: Tensor) -> Tensor:
        """The image of u, `(m,)`, in memory of its own."""
        with self._lock:
            return self.replay(u).clone()

    def replay(self, u: Tensor) -> Tensor:
        """The image of u in the map's own buffer, which the next call overwrites; for one thread."""
        with torch.inference_mode():
            self._input.copy_(u)
            for call in self._calls:
                call()
        return self._output

    def matrix(self) -> Tensor:
        """The images of the unit vectors as rows, `(n, m)`."""
        like = self._output
        rows = torch.empty((len(self._input), len(like)), dtype=like.dtype, device=like.device)
        with self._lock, torch.inference_mode():
            self._input.zero_()
            for k, row in enumerate(rows):
                self._input[k] = 1
                for call in self._calls:
                    call()
                row.copy_(self._output)
                self._input[k] = 0
        return rows

    def _compile(self, recording: Recording, like: Tensor) -> None:
        """The whole list as one compiled call."""
        module = torch.fx.GraphModule(recording.constants, recording.graph)
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the compiler about its own parts
                function = torch.compile(module, dynamic=False)
                self._output = function(like)
        except Exception as error:  # the compiler's errors are its own
            raise NotRecordable(f"torch.compile failed: {type(error).__name__}: {str(error)[:200]}") from error
        with torch.inference_mode():
            self._input = like.clone()
        self._calls = [lambda: self._output.copy_(function(self._input))]
        self.operations, self.buffer_bytes = 1, 0

    def _check(self, fn: Callable[[Tensor], Tensor], like: Tensor) -> None:
        """Two vectors against the map itself; the second shows whether the first left anything behind."""
        generator = torch.Generator().manual_seed(0)
        for _ in range(2):
            u = torch.randn(len(like), generator=generator, dtype=torch.float64).to(like)
            want = fn(u).detach()
            apart, size = float((self.replay(u) - want).norm()), float(want.norm())
            if not apart <= 1e4 * torch.finfo(like.dtype).eps * max(size, torch.finfo(like.dtype).tiny):
                raise NotRecordable(f"the replay differs from the map by {apart:.2g} of {size:.2g}")


def _traced(fn: Callable[[Tensor], Tensor], like: Tensor) -> Recording:
    u = torch.zeros_like(like)
    tracer = _Tracer(u)
    try:
        with tracer:
            image = fn(u)
    except NotRecordable:
        raise
    except Exception as error:  # tracing raises whatever the traced code meets
        raise NotRecordable(f"it cannot be traced: {type(error).__name__}: {str(error)[:200]}") from error
    return tracer.finish(image)


class _Tracer(TorchDispatchMode):
    """Writes down every operation that depends on one tensor; all other tensors are constants."""

    def __init__(self, u: Tensor) -> None:
        super().__init__()
        self.graph = torch.fx.Graph()
        self._constants: dict[str, Tensor] = {}
        self._nodes: Any = WeakIdKeyDictionary()
        self._nodes[u] = self._met(self.graph.placeholder("u"), u)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        result = func(*args, **kwargs)
        if not any(t in self._nodes for t in tensors):
            return result
        if not all(isinstance(t, Tensor) for t in tree_leaves(result) if t is not None):
            raise NotRecordable(f"{func} reads a number out of a tensor")
        places = tree_map(self._node, args)
        node = self.graph.call_function(func, places, tree_map(self._node, kwargs))
        if isinstance(result, Tensor):
            self._nodes[result] = self._met(node, result)
        else:
            node.meta["val"] = tree_map(_layout, tuple(result))
            for k, t in enumerate(result):
                if isinstance(t, Tensor):
                    self._nodes[t] = self._met(self.graph.call_function(operator.getitem, (node, k)), t)
        return result

    def finish(self, image: Any) -> Recording:
        """The operations up to a result."""
        if image not in self._nodes:
            raise NotRecordable("the result does not depend on the vector")
        self.graph.output(self._nodes[image])
        return Recording(self.graph, self._constants, image.device)

    def _met(self, node: torch.fx.Node, value: Tensor) -> torch.fx.Node:
        node.meta["val"] = _layout(value)
        return node

    def _node(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value not in self._nodes:
            name = f"_constant{len(self._constants)}"
            self._constants[name] = value.detach()
            self._nodes[value] = self._met(self.graph.create_node("get_attr", name), value)
        return self._nodes[value]


def _layout(t: Any) -> Any:
    """A tensor's shape, strides and type without its memory."""
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="meta") if isinstance(t, Tensor) else t


class _Plan:
    """The graph with a place in memory for every result."""

    def __init__(self, recording: Recording, like: Tensor) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.bytes = 0
        self._free: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self._values: dict[torch.fx.Node, Any] = {}
        self._storage: dict[torch.fx.Node, list[Tensor]] = {}  # of nodes that own memory
        nodes = list(recording.graph.nodes)
        root, last = users_last(nodes)
        for position, node in enumerate(nodes):
            if node.op == "placeholder":
                self.input = self._values[node] = torch.zeros_like(like)
            elif node.op == "get_attr":
                self._values[node] = recording.constants[node.target]
            elif node.op == "output":
                self._finish(node)
            elif is_view(node):
                self._values[node] = node.target(*self._args(node.args), **self._args(node.kwargs))
            else:
                self._place(node, position, root, last)
            for dead in [r for r in self._storage if last[r] == position]:
                self._release(dead)

    def _place(self, node: Any, position: int, root: Mapping[Any, Any], last: Mapping[Any, int]) -> None:
        """An instruction, its result in a fresh buffer or, entry by entry, in that of an input that ends here."""
        like = node.meta["val"]
        writer, inplace = _WRITERS.get(node.target, (None, False))
        args, kwargs = self._args(node.args), self._args(node.kwargs)
        out = self._reused(node, args, position, root, last) if inplace else None
        if out is None:
            self._storage[node] = []
            out = tree_map(lambda t: self._buffer(node, t) if isinstance(t, Tensor) else t, like)
        self._values[node] = out
        if writer is not None:
            call = writer(args, kwargs, out)
        elif isinstance(like, Tensor):
            call = partial(_copied, node.target, args, kwargs, out)
        else:
            call = partial(_copied_each, node.target, args, kwargs, out)
        self.calls.append(call)

    def _buffer(self, node: Any, like: Tensor) -> Tensor:
        size = max(1, like.untyped_storage().nbytes() // like.element_size() if _dense(like) else like.numel())
        key = (size, like.dtype)
        pool = self._free.setdefault(key, [])
        if pool:
            flat = pool.pop()
        else:
            flat = torch.empty(size, dtype=like.dtype, device=self.input.device)
            self.bytes += flat.nbytes
        self._storage[node].append(flat)
        stride = like.stride() if _dense(like) else torch.empty(like.shape, device="meta").stride()
        return flat.as_strided(like.shape, stride)

    def _reused(self, node: Any, args: Any, position: int, root: Mapping[Any, Any], last: Mapping[Any, int]) -> Any:
        """The buffer of an argument that nobody reads later, if its layout is that of the result."""
        like = node.meta["val"]
        source, value, others = node.args[0], args[0], [a for a in args[1:] if isinstance(a, Tensor)]
        if not isinstance(source, torch.fx.Node):
            return None
        owner = root[source]
        held = self._storage.get(owner, [])
        if len(held) != 1 or last[owner] != position or held[0].dtype != like.dtype:
            return None
        flat = held[0]
        same = value.shape == like.shape and value.stride() == like.stride() and value.numel() == flat.numel()
        if not same or any(o.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr() for o in others):
            return None
        self._storage[node] = self._storage.pop(owner)
        return value

    def _release(self, node: Any) -> None:
        for flat in self._storage.pop(node):
            self._free[(flat.numel(), flat.dtype)].append(flat)

    def _finish(self, node: Any) -> None:
        (result,) = node.args
        self.output = self._values[result]

    def _args(self, args: Any) -> Any:
        return torch.fx.node.map_arg(args, lambda n: self._values[n])


def _dense(t: Tensor) -> bool:
    """Whether the strides are those of a permuted contiguous tensor: no holes, nothing shared."""
    expected = 1
    for size, stride in sorted(zip(t.shape, t.stride(), strict=True), key=lambda p: (p[1], p[0])):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def _copied(op: Any, args: Any, kwargs: Any, out: Tensor) -> None:
    out.copy_(op(*args, **kwargs))


def _copied_each(op: Any, args: Any, kwargs: Any, out: Any) -> None:
    for place, value in zip(out, op(*args, **kwargs), strict=True):
        if isinstance(place, Tensor):
            place.copy_(value)


def _with_out(function: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    return lambda args, kwargs, out: partial(function, *args, **kwargs, out=out)


def _addmm(args: Any, kwargs: Any, out: Tensor) -> Callable[[], Any]:
    y, a, b = args
    if y is out:
        return partial(out.addmm_, a, b)
    return partial(torch.addmm, y, a, b, out=out)


def _addcmul(args: Any, kwargs: Any, out: Tensor) -> Callable[[], Any]:
    y, a, b = args
    return partial(out.addcmul_, a, b) if y is out else partial(torch.addcmul, y, a, b, out=out)


def _scalar(function: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """`op(x, number)`, which torch writes as an operation on a tensor without dimensions."""

    def write(args: Any, kwargs: Any, out: Tensor) -> Callable[[], Any]:
        x, s = args
        return partial(function, x, torch.as_tensor(s, dtype=x.dtype, device="cpu"), out=out)

    return write


def _sum(args: Any, kwargs: Any, out: Tensor) -> Callable[[], Any]:
    x, dims, *rest = args
    return partial(torch.sum, x, dims, bool(rest and rest[0]), out=out)


# operation -> (how to call it with a place for the result, whether that may be the place of its first argument)
_WRITERS: dict[Any, tuple[Any, bool]] = {
    aten.mm.default: (_with_out(torch.mm), False),
    aten.bmm.default: (_with_out(torch.bmm), False),
    aten.addmm.default: (_addmm, True),
    aten.addcmul.default: (_addcmul, True),
    aten.add.Tensor: (_with_out(torch.add), True),
    aten.sub.Tensor: (_with_out(torch.sub), True),
    aten.mul.Tensor: (_with_out(torch.mul), True),
    aten.mul.Scalar: (_scalar(torch.mul), True),
    aten.div.Tensor: (_with_out(torch.div), True),
    aten.neg.default: (_with_out(torch.neg), True),
    aten.sum.dim_IntList: (_sum, False),
    aten.cat.default: (_with_out(torch.cat), False),
}
