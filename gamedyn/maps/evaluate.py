"""Evaluating a tape without printing it: exactly, or on float64 arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.linear import SINGULAR
from gamedyn.maps.tape import Inverse, Node, forward, reachable

NEWTON_STEPS = 12


class Evaluator:
    """Values of tape nodes in one arithmetic; each node is evaluated once.

    Parameters
    ----------
    values : mapping
        Node -> value of the inputs.
    """

    def __init__(self, values: Mapping[Node, Any]) -> None:
        self.values: dict[int, Any] = {node.index: v for node, v in values.items()}

    def __call__(self, outputs: Sequence[Node]) -> list[Any]:
        """The values of `outputs`."""
        for node in self._needed(outputs):
            self.values[node.index] = self.compute(node, [self.values[a.index] for a in node.args])
        return [self.values[o.index] for o in outputs]

    def child(self, values: Mapping[Node, Any], body: Node) -> Evaluator:
        """An evaluator with some nodes replaced, sharing every value that does not depend on them."""
        from gamedyn.maps.tape import depends_on

        moved = depends_on([body], values)
        other = type(self)(values)
        other.values = {k: v for k, v in self.values.items() if k not in moved} | other.values
        other.copy_settings(self)
        return other

    def copy_settings(self, other: Any) -> None:
        """Take over what is not a node value."""

    def _needed(self, outputs: Sequence[Node]) -> list[Node]:
        """Nodes to compute, without entering the bodies of equations."""
        seen: dict[int, Node] = {}
        stack = [o for o in outputs if o.index not in self.values]
        while stack:
            node = stack.pop()
            if node.index in seen:
                continue
            if node.op == "input":
                raise ValueError(f"the tape needs a value for its input '{node.data}'")
            seen[node.index] = node
            stack.extend(a for a in node.args if a.index not in self.values)
        return [seen[k] for k in sorted(seen)]

    def compute(self, node: Node, args: list[Any]) -> Any:
        """The value of one node."""
        raise NotImplementedError

    def matrix_nodes(self, body: Inverse) -> list[Node]:
        """Columns of D image/Dw as tape."""
        tape, w = body.w.tape, body.w
        return [forward([body.image], {w.index: tape.basis(w.size, k)})[0] for k in range(w.size)]


class ExactEvaluator(Evaluator):
    """Values are lists of SymPy expressions."""

    def compute(self, node: Node, args: list[Any]) -> list[sp.Expr]:
        op = node.op
        if op == "call":
            return node.data.exact(*args)
        if op == "zero":
            return [sp.S.Zero] * node.size
        if op == "basis":
            return [sp.Integer(k == node.data[1]) for k in range(node.size)]
        if op == "invert":
            return self._invert(node.data, args[0])
        if op == "diagonal":
            return [w * a for w, a in zip(node.data, args[0], strict=True)]
        if op == "dot":
            return [sp.expand(sp.Add(*(a * b for a, b in zip(*args, strict=True))))] * node.size
        if op in CHOICES:
            return [CHOICES[op](*parts) for parts in zip(*args, strict=True)]
        return [sp.expand(COMPONENT[op](node.data, *components)) for components in zip(*args, strict=True)]

    def _invert(self, body: Inverse, rhs: list[sp.Expr]) -> list[sp.Expr]:
        zero = [sp.S.Zero] * len(rhs)
        start = zero if body.linear else rhs  # a fixed point of the step solves its own equation
        inner = self.child({body.w: start}, body.image)
        (image,) = inner([body.image])
        residual = [r - e for r, e in zip(rhs, image, strict=True)]
        if not body.linear:
            if not all(map(_vanishes, residual)):
                raise NotInThisWorld(
                    "resolvent", "exact", "v is not affine here; use a float point, or the Jacobian at a fixed point"
                )
            return rhs
        columns = inner(self.matrix_nodes(body))
        matrix = sp.Matrix.hstack(*[sp.Matrix(c) for c in columns])
        try:
            return [sp.cancel(e) for e in matrix.LUsolve(sp.Matrix([sp.cancel(r) for r in residual]))]
        except ValueError as error:
            raise NotInThisWorld("invert", "exact", SINGULAR) from error


def _vanishes(value: sp.Expr) -> bool:
    """Whether an expression is 0; a number is looked at first, since simplifying a large one takes minutes."""
    if value.is_number and abs(sp.N(value, 30)) > sp.Float("1e-20"):
        return False
    return sp.simplify(value) == 0


class ArrayEvaluator(Evaluator):
    """Values are float64 arrays `(k,)` or `(k, …)`, broadcast over the trailing axes.

    Set `params` (Symbol -> float or array) before calling.
    """

    params: Mapping[sp.Symbol, Any] = {}

    def copy_settings(self, other: Any) -> None:
        self.params = other.params

    def compute(self, node: Node, args: list[Any]) -> np.ndarray:
        op, data = node.op, node.data
        if op == "call":
            return data.numpy(*args, [self.params[s] for s in data.parameters])
        if op == "zero":
            return np.zeros(node.size)
        if op == "basis":
            return np.eye(node.size)[data[1]]
        if op == "invert":
            return self._invert(data, args[0])
        if op == "diagonal":
            weights = _rows([self._number(w) for w in data], args[0])
            with np.errstate(all="ignore"):
                return np.where(weights == 0, 0.0, weights * args[0])  # a masked slot is 0 whatever stood there
        aligned = _align(args)
        if op == "dot":
            with np.errstate(all="ignore"):
                product = np.sum(aligned[0] * aligned[1], axis=0, keepdims=True)
            return np.repeat(product, node.size, axis=0)
        if op in ("maximum", "larger", "sign"):
            return ARRAY_CHOICES[op](*aligned)
        with np.errstate(all="ignore"):
            return np.asarray(COMPONENT[op](None if data is None else self._number(data), *aligned))

    def _number(self, value: sp.Expr) -> Any:
        if value.is_number:
            return float(value)
        symbols = sorted(value.free_symbols, key=lambda s: s.name)
        return sp.lambdify(symbols, value, "numpy")(*(self.params[s] for s in symbols))

    def _invert(self, body: Inverse, rhs: np.ndarray) -> np.ndarray:
        w = np.array(rhs, dtype=float)
        columns = self.matrix_nodes(body)
        for _ in range(1 if body.linear else NEWTON_STEPS):
            inner = self.child({body.w: w}, body.image)
            image, *matrix = inner([body.image, *columns])
            aligned = _align([rhs, image, *matrix])
            batch = np.broadcast_shapes(*(a.shape[1:] for a in aligned))
            rows = np.stack([np.broadcast_to(c, (len(rhs), *batch)) for c in aligned[2:]], axis=1)
            residual = np.broadcast_to(aligned[0] - aligned[1], (len(rhs), *batch))
            step = solve_batch(np.moveaxis(rows, (0, 1), (-2, -1)), np.moveaxis(residual, 0, -1)[..., None])
            w = _align([w, np.moveaxis(step[..., 0], -1, 0)])[0] + np.moveaxis(step[..., 0], -1, 0)
        return w


def solve_batch(matrices: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Solutions of many systems `(…, n, n)`, `(…, n, 1)`; NaN where one of many is singular.

    Raises
    ------
    NotInThisWorld
        If every one is singular: the method does not exist on this game.
    """
    try:
        return np.linalg.solve(matrices, rhs)
    except np.linalg.LinAlgError:
        flat = matrices.reshape(-1, *matrices.shape[-2:])
        regular = np.linalg.matrix_rank(np.nan_to_num(flat)) == matrices.shape[-1]
        if not regular.any():
            raise NotInThisWorld("invert", "array", SINGULAR) from None
        solution = np.full((len(flat), *rhs.shape[-2:]), np.nan)
        wanted = np.broadcast_to(rhs, (*matrices.shape[:-2], *rhs.shape[-2:])).reshape(solution.shape)
        solution[regular] = np.linalg.solve(flat[regular], wanted[regular])
        return solution.reshape(*matrices.shape[:-2], *rhs.shape[-2:])


CHOICES: dict[str, Any] = {
    "maximum": sp.Max,
    "sign": sp.sign,
    "larger": lambda a, b: sp.Piecewise((1, a > b), (0, True)),
}
"""Componentwise choices, on SymPy expressions."""

ARRAY_CHOICES: dict[str, Any] = {
    "maximum": np.maximum,
    "sign": np.sign,
    "larger": lambda a, b: (a > b).astype(float),
}

COMPONENT: dict[str, Any] = {
    "add": lambda data, a, b: a + b,
    "scale": lambda data, a: data * a,
    "shift": lambda data, a: a + data,
    "mul": lambda data, a, b: a * b,
    "div": lambda data, a, b: a / b,
    "pow": lambda data, a: a**data,
    "exp_base": lambda data, a: data**a,
}


def _align(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays with trailing axes of length 1 appended, so that `(k,)` and `(k, batch)` combine row by row."""
    rank = max(np.ndim(a) for a in arrays)
    return [np.reshape(a, np.shape(a) + (1,) * (rank - np.ndim(a))) for a in arrays]


def _rows(values: Sequence[Any], like: np.ndarray) -> np.ndarray:
    shape = (len(values),) + (1,) * (np.ndim(like) - 1)
    return np.asarray(values, dtype=float).reshape(shape)


def all_nodes(outputs: Sequence[Node]) -> list[Node]:
    """Every node under `outputs`, for inspection and tests."""
    return reachable(outputs)
