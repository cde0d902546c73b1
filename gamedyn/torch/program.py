"""A tape of player blocks, prepared once: what depends on what, which blocks are needed, what a point must supply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy as sp

from gamedyn.maps.tape import Node, Tape, forward
from gamedyn.torch.blocks import Contraction
from gamedyn.torch.evaluation import Request

__all__ = ["COMPONENTWISE", "Body", "Program"]

COMPONENTWISE = frozenset(
    ("zero", "add", "scale", "shift", "diagonal", "mul", "div", "pow", "exp_base", "maximum", "sign")
)


class Body:
    """The equation of one `invert` node: its image as a map of w, and, if it is not linear, the image's derivative.

    Attributes
    ----------
    w, image : Node
        The unknown and what must equal the right-hand side.
    u, tangent : Node or None
        A direction and the derivative of the image along it.
    steps, tangent_steps : list of Node
        What to evaluate for a new w, and for a new u at the same w.
    """

    def __init__(self, tape: Tape, node: Node) -> None:
        self.w, self.image, self.linear = node.data.w, node.data.image, node.data.linear
        self.cross = type(node.data).__name__ == "CrossInverse"
        self.u: Node | None = None
        self.tangent: Node | None = None
        if not self.linear:
            self.u = tape.placeholder(self.w.size)
            (self.tangent,) = forward([self.image], {self.w.index: self.u})
        self.steps: list[Node] = []
        self.tangent_steps: list[Node] = []

    @property
    def roots(self) -> list[Node]:
        """Nodes that evaluating the equation needs."""
        return [n for n in (self.w, self.image, self.u, self.tangent) if n is not None]


class Program:
    """What evaluates a list of outputs of a tape.

    Parameters
    ----------
    tape : Tape
    outputs : sequence of Node

    Attributes
    ----------
    steps : list of Node
        All nodes outside of equations, in an order in which they can be evaluated.
    code : list of tuple
        The same with what evaluation asks for: node, operation, indices of the arguments, players needed.
    demand : dict
        Index of a node -> the players whose block is needed.
    requests, uses : dict
        Index of a point -> what is asked of the closure there, and in how many contractions.
    bodies : dict
        Index of an `invert` node -> its `Body`.
    last : dict
        Position in `steps` -> indices of the nodes that are not needed afterwards.
    numbers : callable
        Values of the free symbols -> the numbers of every node that has some, by index.
    """

    def __init__(self, tape: Tape, outputs: Sequence[Node]) -> None:
        self.tape, self.outputs = tape, tuple(outputs)
        self.bodies: dict[int, Body] = {}
        self.nodes = self._close(self.outputs)
        self.free = self._free_placeholders()
        self.demand = self._demand()
        self.support = self._support()
        self.steps: list[Node] = []
        self._schedule()
        self.code = [(n, n.op, tuple(a.index for a in n.args), self.demand[n.index]) for n in self.steps]
        self.requests, self.uses = self._points()
        self.last = self._last_uses()
        self.symbols, self.numbers = self._numbers()
        self.segments: Any = None  # for torch.compile, found when first asked for

    def _close(self, roots: Iterable[Node]) -> list[Node]:
        """Every node that is needed, those of equations and of their derivatives included, by index."""
        seen: dict[int, Node] = {}
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node.index in seen:
                continue
            seen[node.index] = node
            stack.extend(node.args)
            if node.op == "invert":
                self.bodies[node.index] = Body(self.tape, node)
                stack.extend(self.bodies[node.index].roots)
        return [seen[k] for k in sorted(seen)]

    def _free_placeholders(self) -> dict[int, frozenset[int]]:
        """Index -> the unknowns and directions of equations that the node depends on."""
        bound = {p.index for b in self.bodies.values() for p in (b.w, b.u) if p is not None}
        free: dict[int, frozenset[int]] = {}
        for node in self.nodes:
            found = frozenset({node.index} & bound).union(*(free[a.index] for a in node.args))
            if node.op == "invert":
                body = self.bodies[node.index]
                found |= free[body.image.index] - {body.w.index}
            free[node.index] = found
        return free

    def _demand(self) -> dict[int, frozenset[int]]:
        n = self.outputs[0].size
        everyone = frozenset(range(n))
        demand: dict[int, frozenset[int]] = {node.index: frozenset() for node in self.nodes}
        for node in (*self.outputs, *(root for b in self.bodies.values() for root in b.roots)):
            demand[node.index] = everyone
        for node in reversed(self.nodes):
            own = demand[node.index]
            if not own:
                continue
            if node.op in ("call", "invert", "dot"):
                own = everyone
            elif node.op == "diagonal":
                own = frozenset(i for i in own if node.data[i] != 0)
            for a in node.args:
                demand[a.index] |= own
        return demand

    def _support(self) -> dict[int, frozenset[int]]:
        """Index -> the players whose block may differ from zero."""
        everyone = frozenset(range(self.outputs[0].size))
        support: dict[int, frozenset[int]] = {}
        for node in self.nodes:
            inner = [support[a.index] for a in node.args]
            if node.op == "zero":
                own: frozenset[int] = frozenset()
            elif node.op == "diagonal":
                own = frozenset(i for i in inner[0] if node.data[i] != 0)
            elif node.op == "mul":
                own = inner[0] & inner[1]
            elif node.op in ("scale", "div", "sign", "pow"):
                own = inner[0]
            elif node.op == "add":
                own = inner[0] | inner[1]
            else:
                own = everyone
            support[node.index] = own
        return support

    def _schedule(self) -> None:
        """Give every node to the innermost unknown that it depends on."""
        owner: dict[int, Body] = {}
        for body in self.bodies.values():
            owner.update({p.index: body for p in (body.w, body.u) if p is not None})
        depth: dict[int, int] = {}
        for index in sorted(self.bodies):
            self._set_depth(index, depth)
        for node in self._ordered():
            if not self.demand[node.index] or node.index in owner:
                continue
            free = self.free[node.index]
            if not free:
                self.steps.append(node)
                continue
            innermost = max(free, key=depth.__getitem__)
            body = owner[innermost]
            (body.steps if innermost == body.w.index else body.tangent_steps).append(node)

    def _set_depth(self, index: int, depth: dict[int, int]) -> None:
        """How deep the unknown and the direction of an equation are nested in others."""
        body = self.bodies[index]
        if body.w.index in depth:
            return
        for p in self.free[index]:
            for other, outer in self.bodies.items():
                if p in (r.index for r in (outer.w, outer.u) if r is not None):
                    self._set_depth(other, depth)
        depth[body.w.index] = 1 + max((depth[p] for p in self.free[index]), default=0)
        if body.u is not None:
            depth[body.u.index] = depth[body.w.index] + 1

    def _ordered(self) -> list[Node]:
        """All nodes, each after what it is computed from; an equation after all that it contains."""
        done: dict[int, Node] = {}
        stack: list[tuple[Node, bool]] = [(n, False) for n in reversed(self.nodes)]
        while stack:
            node, ready = stack.pop()
            if node.index in done:
                continue
            if ready:
                done[node.index] = node
                continue
            stack.append((node, True))
            inner = self.bodies[node.index].roots if node.op == "invert" else []
            stack.extend((n, False) for n in (*node.args, *inner) if n.index not in done)
        return list(done.values())

    def _points(self) -> tuple[dict[int, list[Request]], dict[int, int | None]]:
        requests: dict[int, list[Request]] = {}
        uses: dict[int, int | None] = {}
        outside = {n.index for n in self.steps}
        for node in self.nodes:
            if node.op != "call" or not self.demand[node.index]:
                continue
            z = node.args[0].index
            here = requests.setdefault(z, [])
            known = uses.get(z, 0)
            uses[z] = None if node.index not in outside or known is None else known + 1
            assert isinstance(node.data, Contraction)
            for weights, args in node.data.terms:
                blocks = self.support[node.args[args[0]].index] if args else self.demand[node.index]
                here.append(Request(weights, blocks, bool(args)))
        return requests, uses

    def _last_uses(self) -> dict[int, list[int]]:
        keep = {o.index for o in self.outputs}
        last: dict[int, int] = {}
        for position, node in enumerate(self.steps):
            users = [*node.args]
            if node.op == "invert":
                users += [n for n in self._under_all(node) if not self.free[n.index]]
            last[node.index] = position
            for a in users:
                last[a.index] = position
        dropped: dict[int, list[int]] = {}
        for index, position in last.items():
            if index not in keep:
                dropped.setdefault(position, []).append(index)
        return dropped

    def _under_all(self, node: Node) -> list[Node]:
        """All nodes of an equation, of those inside it and of their derivatives."""
        found: dict[int, Node] = {}
        stack = list(self.bodies[node.index].roots)
        while stack:
            n = stack.pop()
            if n.index not in found:
                found[n.index] = n
                stack.extend(n.args)
                if n.op == "invert":
                    stack.extend(self.bodies[n.index].roots)
        return list(found.values())

    def _numbers(self) -> tuple[list[sp.Symbol], Callable[..., dict[int, Any]]]:
        fixed: dict[int, Any] = {}
        changing: dict[int, tuple[Any, ...]] = {}
        for node in self.nodes:
            if node.op in ("scale", "shift", "pow", "exp_base"):
                data: tuple[Any, ...] = (node.data,)
            elif node.op == "diagonal":
                data = tuple(node.data)
            else:
                continue
            if any(sp.sympify(e).free_symbols for e in data):
                changing[node.index] = data
            else:
                fixed[node.index] = tuple(float(e) for e in data)
        symbols = sorted({s for d in changing.values() for e in d for s in sp.sympify(e).free_symbols}, key=str)
        flat = [e for d in changing.values() for e in d]
        function = sp.lambdify(symbols, flat, modules="math") if flat else None

        def numbers(*values: float) -> dict[int, Any]:
            if function is None:
                return fixed
            found = iter(function(*values))
            return {**fixed, **{index: tuple(float(next(found)) for _ in d) for index, d in changing.items()}}

        return symbols, numbers
