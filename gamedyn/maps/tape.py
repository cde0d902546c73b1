"""The tape: what one step of a method computes, as a graph of vector operations.

A rule runs once on `Node`s instead of numbers; each field call becomes a node with fresh symbols for
its argument.  The tape is differentiated node by node, forward or backward, and the result is again
tape, so derivatives nest and nothing is ever expanded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy as sp

from gamedyn.games.functions import VectorFunction, exact_number


class Node:
    """One vector on a tape.  Rules combine nodes with `+`, `-` and scalar `*`.

    Preconditioners use componentwise `*`, `/`, `**` and scalar `+` as well.
    """

    __slots__ = ("args", "data", "index", "op", "size", "tape")
    __array_ufunc__ = None  # so that a NumPy scalar on the left defers to __rmul__

    def __init__(self, tape: Tape, op: str, args: tuple[Node, ...], data: Any, size: int, index: int) -> None:
        self.tape, self.op, self.args, self.data, self.size, self.index = tape, op, args, data, size, index

    def __repr__(self) -> str:
        return f"%{self.index} = {self.op}({', '.join(f'%{a.index}' for a in self.args)}; {self.data})"

    def __add__(self, other: Any) -> Node:
        if isinstance(other, Node):
            return self.tape.add(self, other)
        return self.tape.shift(self, exact_number(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Node:
        if isinstance(other, Node):
            return self.tape.add(self, self.tape.scale(sp.S.NegativeOne, other))
        return self.tape.shift(self, -exact_number(other))

    def __rsub__(self, other: Any) -> Node:
        return self.tape.shift(-self, exact_number(other))

    def __neg__(self) -> Node:
        return self.tape.scale(sp.S.NegativeOne, self)

    def __mul__(self, other: Any) -> Node:
        if isinstance(other, Node):
            return self.tape.make("mul", (self, other), None, self.size)
        return self.tape.scale(exact_number(other), self)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Node:
        if isinstance(other, Node):
            return self.tape.make("div", (self, other), None, self.size)
        return self.tape.scale(1 / exact_number(other), self)

    def __pow__(self, exponent: Any) -> Node:
        return self.tape.make("pow", (self,), exact_number(exponent), self.size)

    def __rpow__(self, base: Any) -> Node:
        return self.tape.make("exp_base", (self,), exact_number(base), self.size)


class Tape:
    """A graph of nodes without repeats: equal operations on equal nodes are one node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Node] = {}

    def make(self, op: str, args: tuple[Node, ...], data: Any, size: int) -> Node:
        """The node with this operation, created if new."""
        if (op == "mul" and any(a.op == "zero" for a in args)) or (op == "div" and args[0].op == "zero"):
            return self.zero(size)
        key = (op, tuple(a.index for a in args), data if not isinstance(data, (VectorFunction, Inverse)) else id(data))
        if key not in self._known:
            node = Node(self, op, args, data, size, len(self.nodes))
            self.nodes.append(node)
            self._known[key] = node
        return self._known[key]

    def input(self, name: str, size: int) -> Node:
        """A free vector; every call with a new name is a new one."""
        return self.make("input", (), name, size)

    def placeholder(self, size: int) -> Node:
        """A free vector with a name of its own."""
        return self.input(f"free{len(self.nodes)}", size)

    def basis(self, size: int, k: int) -> Node:
        """The k-th unit vector."""
        return self.make("basis", (), (size, k), size)

    def zero(self, size: int) -> Node:
        """The zero vector."""
        return self.make("zero", (), size, size)

    def add(self, a: Node, b: Node) -> Node:
        """a + b."""
        if a.op == "zero":
            return b
        if b.op == "zero":
            return a
        return self.make("add", (a, b), None, a.size)

    def scale(self, factor: sp.Expr, a: Node) -> Node:
        """factor a."""
        if factor == 0 or a.op == "zero":
            return self.zero(a.size)
        if factor == 1:
            return a
        if a.op == "scale":
            return self.scale(factor * a.data, a.args[0])
        return self.make("scale", (a,), factor, a.size)

    def shift(self, a: Node, constant: sp.Expr) -> Node:
        """a + constant in every component."""
        return a if constant == 0 else self.make("shift", (a,), constant, a.size)

    def diagonal(self, weights: tuple[sp.Expr, ...], a: Node) -> Node:
        """diag(weights) a."""
        if a.op == "zero" or not any(weights):
            return self.zero(a.size)
        if a.op == "diagonal":
            weights, a = tuple(w * x for w, x in zip(weights, a.data, strict=True)), a.args[0]
        if all(w == 1 for w in weights):
            return a
        return self.make("diagonal", (a,), weights, a.size)

    def dot(self, a: Node, b: Node) -> Node:
        """⟨a, b⟩ in every component."""
        if a.op == "zero" or b.op == "zero":
            return self.zero(a.size)
        return self.make("dot", (a, b), None, a.size)

    def call(self, function: VectorFunction, *args: Node) -> Node:
        """function(*args); zero where it is linear in a zero argument."""
        if any(args[k].op == "zero" for k in function.linear):
            return self.zero(function.size)
        return self.make("call", args, function, function.size)

    def invert(self, fn: Callable[[Node], Node], rhs: Node, linear: bool) -> Node:
        """The w with fn(w) = rhs."""
        if linear and rhs.op == "zero" and fn(rhs).op == "zero":  # fn may be affine
            return rhs
        w = self.placeholder(rhs.size)
        body = Inverse(w, fn(w), linear)
        return self.make("invert", (rhs,), body, rhs.size)


class Inverse:
    """The equation image(w) = rhs of an `invert` node: a placeholder w and the image as tape."""

    def __init__(self, w: Node, image: Node, linear: bool) -> None:
        self.w, self.image, self.linear = w, image, linear

    def __repr__(self) -> str:
        return f"%{self.image.index} as a map of %{self.w.index}"


# walking the graph ---------------------------------------------------------------------------------


def reachable(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs need, bodies of equations included, in order of creation."""
    seen: dict[int, Node] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.index in seen:
            continue
        seen[node.index] = node
        stack.extend(node.args)
        if node.op == "invert":
            stack.append(node.data.image)
            stack.append(node.data.w)
    return [seen[k] for k in sorted(seen)]


def depends_on(outputs: Iterable[Node], sources: Iterable[Node]) -> set[int]:
    """Indices of the nodes under `outputs` that depend on one of `sources`."""
    found = {s.index for s in sources}
    for node in reachable(outputs):
        inner = (node.data.image,) if node.op == "invert" else ()
        if any(a.index in found for a in (*node.args, *inner)):
            found.add(node.index)
    return found


def substitute(output: Node, table: dict[int, Node]) -> Node:
    """`output` with nodes replaced (index -> node)."""
    tape = output.tape
    done = dict(table)
    affected = depends_on([output], [tape.nodes[k] for k in table])
    for node in reachable([output]):
        if node.index in done:
            continue
        if node.index not in affected:
            done[node.index] = node
            continue
        args = tuple(done[a.index] for a in node.args)
        data = node.data
        if node.op == "invert":
            w = tape.placeholder(data.w.size)
            data = Inverse(w, substitute(data.image, {**table, data.w.index: w}), data.linear)
        done[node.index] = _rebuild(tape, node, args, data)
    return done[output.index]


def _rebuild(tape: Tape, node: Node, args: tuple[Node, ...], data: Any) -> Node:
    if node.op == "add":
        return tape.add(*args)
    if node.op == "scale":
        return tape.scale(data, args[0])
    if node.op == "call":
        return tape.call(data, *args)
    return tape.make(node.op, args, data, node.size)


# forward ---------------------------------------------------------------------------------------------


def forward(outputs: Sequence[Node], seeds: dict[int, Node]) -> list[Node]:
    """Tangents of `outputs` along `seeds` (index of a node -> its tangent).

    Every node that is reached only through seeded nodes moves with them; seeded nodes take the given
    tangent whatever they were computed from.
    """
    if not outputs:
        return []
    tape = outputs[0].tape
    tangents = dict(seeds)
    moving = depends_on(outputs, [tape.nodes[k] for k in seeds])
    for node in reachable(outputs):
        if node.index in tangents:
            continue
        if node.index not in moving:
            tangents[node.index] = tape.zero(node.size)
            continue
        tangents[node.index] = _tangent(node, tangents)
    return [tangents[o.index] for o in outputs]


def _tangent(node: Node, tangents: dict[int, Node]) -> Node:
    tape = node.tape
    if node.op == "call":
        result = tape.zero(node.size)
        for k, a in enumerate(node.args):
            da = tangents[a.index]
            if da.op == "zero":
                continue
            function = node.data.tangent(k)
            args = (*node.args, da)
            result = tape.add(result, tape.call(function, *args))
        return result
    if node.op == "invert":
        return _inverse_tangent(node, tangents)
    result = tape.zero(node.size)
    for k, a in enumerate(node.args):
        t = tangents[a.index]
        result = tape.add(result, tape.dot(t, node.args[1 - k]) if node.op == "dot" else _local(node, k, t))
    return result


def _inverse_tangent(node: Node, tangents: dict[int, Node]) -> Node:
    """image(w) = rhs  ⇒  D image · dw = d rhs - (∂image along everything but w)."""
    tape, body = node.tape, node.data
    (rhs,) = node.args
    drift = substitute(tangents[body.image.index], {body.w.index: node})
    right = tape.add(tangents[rhs.index], tape.scale(sp.S.NegativeOne, drift))
    return tape.invert(_linearised(body, node), right, linear=True)


def _linearised(body: Inverse, at: Node) -> Callable[[Node], Node]:
    def apply(u: Node) -> Node:
        (image,) = forward([body.image], {body.w.index: u})
        return substitute(image, {body.w.index: at})

    return apply


def _local(node: Node, k: int, t: Node) -> Node:
    """(∂node/∂args[k]) t for a componentwise or linear operation; these are all self-adjoint."""
    tape = node.tape
    if t.op == "zero":
        return tape.zero(node.size)
    if node.op in ("add", "shift"):
        return t
    if node.op == "scale":
        return tape.scale(node.data, t)
    if node.op == "diagonal":
        return tape.diagonal(node.data, t)
    if node.op == "mul":
        return t * node.args[1 - k]
    if node.op == "div":
        a, b = node.args
        return t / b if k == 0 else -1 * (t * a / (b * b))
    if node.op == "pow":
        return node.data * (t * node.args[0] ** (node.data - 1))
    if node.op == "exp_base":
        return sp.log(node.data) * (t * node)
    if node.op == "maximum":
        first = tape.make("larger", node.args, None, node.size)
        return t * first if k == 0 else t * (1 - first)
    if node.op in ("sign", "larger"):  # constant but for jumps
        return tape.zero(node.size)
    raise ValueError(f"no derivative for the tape operation '{node.op}'")


# reverse ---------------------------------------------------------------------------------------------


def reverse(outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]) -> list[Node]:
    """Σ (∂output/∂w)ᵀ cotangent for every w of `wrt`, by one sweep from the outputs to them."""
    tape = outputs[0].tape
    live = depends_on(outputs, wrt)
    sums: dict[int, Node] = {}

    def accumulate(node: Node, value: Node) -> None:
        if node.index in live:
            sums[node.index] = tape.add(sums.get(node.index, tape.zero(node.size)), value)

    for output, seed in zip(outputs, cotangents, strict=True):
        accumulate(output, seed)
    stop = {w.index for w in wrt}
    for node in reversed(reachable(outputs)):
        c = sums.get(node.index)
        if c is None or c.op == "zero" or node.index in stop:
            continue
        if node.op == "call":
            for k, a in enumerate(node.args):
                if a.index in live:
                    accumulate(a, tape.call(node.data.cotangent(k), *node.args, c))
        elif node.op == "invert":
            _reverse_inverse(node, c, live, accumulate)
        elif node.op == "dot":  # every slot holds the product, so every slot of the cotangent counts
            for k, a in enumerate(node.args):
                accumulate(a, tape.dot(c, tape.shift(tape.zero(node.size), sp.S.One)) * node.args[1 - k])
        else:
            for k, a in enumerate(node.args):
                accumulate(a, _local(node, k, c))
    return [sums.get(w.index, tape.zero(w.size)) for w in wrt]


def _reverse_inverse(node: Node, c: Node, live: set[int], accumulate: Callable[[Node, Node], None]) -> None:
    """λ = (D image)⁻ᵀ c flows to the right-hand side, and -(∂image)ᵀλ to what the image is made of."""
    tape, body = node.tape, node.data
    (rhs,) = node.args

    def transposed(u: Node) -> Node:
        (image,) = reverse([body.image], [u], [body.w])
        return substitute(image, {body.w.index: node})

    adjoint = tape.invert(transposed, c, linear=True)
    accumulate(rhs, adjoint)
    inside = depends_on([body.image], [body.w])
    boundary = [
        n
        for n in reachable([body.image])
        if n.index in live and n.index not in inside and _feeds(n, body.image, inside)
    ]
    if boundary:
        at_solution = substitute(body.image, {body.w.index: node})
        grads = reverse([at_solution], [adjoint], [*boundary, node])[:-1]  # the solution itself stands still
        for n, g in zip(boundary, grads, strict=True):
            accumulate(n, tape.scale(sp.S.NegativeOne, g))


def _feeds(node: Node, image: Node, inside: set[int]) -> bool:
    """Whether `node` is used directly by the w-dependent part of the image, or is the image itself."""
    return node is image or any(
        node in user.args for user in reachable([image]) if user.index in inside or user is image
    )


# maps written with field operations ------------------------------------------------------------------


def derivative_of(fn: Callable[[Node], Node], z: Node, u: Node) -> Node:
    """Dfn(z) u, for a map from nodes of a tape to nodes of it."""
    w = z.tape.placeholder(z.size)
    (tangent,) = forward([fn(w)], {w.index: u})
    return substitute(tangent, {w.index: z})


def pullback_of(fn: Callable[[Node], Node], z: Node, u: Node | Callable[[Node], Node]) -> Node:
    """Dfn(z)ᵀ u; u may be a function of the image."""
    w = z.tape.placeholder(z.size)
    image = fn(w)
    (cotangent,) = reverse([image], [u(image) if callable(u) else u], [w])
    return substitute(cotangent, {w.index: z})
