"""Quadratic costs kept as matrices, so that large linear-quadratic games cost nothing symbolic.

    c(z) = ½ zᵀHz + bᵀz,    ∇c(z) = Hz + b,    ∇²c = H

Differentiating the expanded cost of a bilinear game with a 100 × 100 matrix takes minutes; here the
derivatives are read off the matrices, and float evaluation is one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import VectorFunction, dot, fresh

EXPANDED = 1_000  # SymPy needs seconds to sort and multiply 10,000 terms

Rows = tuple[tuple[sp.Expr, ...], ...]


class AffineFunction(VectorFunction):
    """(…, a, …) ↦ M a + b: affine in one argument, independent of the others.

    Parameters
    ----------
    name : str
        How the function is called in printed traces.
    inputs : sequence of sequences of Symbol
        One tuple of distinct symbols per argument.
    matrix : rows of Expr
        M, shape (m, k), free of the inputs.
    offset : sequence of Expr
        b, shape (m,), free of the inputs.
    argument : int
        Which argument M acts on.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Sequence[sp.Symbol]],
        matrix: Rows,
        offset: Sequence[sp.Expr],
        *,
        argument: int = 0,
    ) -> None:
        self.name = name
        self.inputs = tuple(tuple(symbols) for symbols in inputs)
        self.linear = frozenset() if any(b != 0 for b in offset) else frozenset([argument])
        self.matrix = matrix
        self.offset = tuple(offset)
        self.argument = argument
        self._derived = {}

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.matrix)

    @cached_property
    def outputs(self) -> tuple[sp.Expr, ...]:  # type: ignore[override]  # d² terms, built only where they are printed
        """The components as expressions."""
        a = self.inputs[self.argument]
        return tuple(sp.Add(dot(row, a), b) for row, b in zip(self.matrix, self.offset, strict=True))

    @cached_property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Free symbols of M and b, by name."""
        entries = [e for row in (*self.matrix, self.offset) for e in row if not e.is_Number]
        return tuple(sorted(set().union(*(e.free_symbols for e in entries)), key=lambda s: s.name))

    def jacobian(self, argument: int = 0) -> Rows:  # type: ignore[override]  # read off, needs no cache
        """Rows of ∂outputs/∂inputs[argument]."""
        if argument == self.argument:
            return self.matrix
        return tuple((sp.S.Zero,) * len(self.inputs[argument]) for _ in self.matrix)

    def tangent(self, argument: int) -> VectorFunction:
        """The function (…, d) ↦ M d."""
        return self._product(("tangent", argument), f"d{self.name}", self.jacobian(argument), "d")

    def cotangent(self, argument: int) -> VectorFunction:
        """The function (…, w) ↦ Mᵀ w."""
        transposed = tuple(zip(*self.jacobian(argument), strict=True))
        return self._product(("cotangent", argument), f"{self.name}T", transposed, "w")

    def _product(self, key: tuple[str, int], name: str, matrix: Rows, letter: str) -> VectorFunction:
        if key not in self._derived:
            new = len(self.inputs)
            inputs = (*self.inputs, fresh(len(matrix[0]), f"{letter}{new}_"))
            self._derived[key] = AffineFunction(name, inputs, matrix, [sp.S.Zero] * len(matrix), argument=new)
        return self._derived[key]

    @cached_property
    def numpy(self) -> Callable[..., np.ndarray]:
        """The float64 version, one matrix product; with parameters in M or b the compiled expressions."""
        if self.parameters:
            return super().numpy
        matrix = np.array([[float(entry) for entry in row] for row in self.matrix])
        offset = np.array([float(b) for b in self.offset])

        def evaluate(*arguments: Any) -> np.ndarray:
            vectors = [np.asarray(v, dtype=float) for v in arguments[:-1]]
            batch = np.broadcast_shapes(*(v.shape[1:] for v in vectors))
            with np.errstate(all="ignore"):  # a diverged orbit is a result, not a warning
                value = np.tensordot(matrix, vectors[self.argument], axes=1)
            value = (value.T + offset).T
            value = value.reshape(value.shape + (1,) * (1 + len(batch) - value.ndim))
            return np.broadcast_to(value, (len(value), *batch)).copy()

        return evaluate


@dataclass(frozen=True)
class Quadratic:
    """The cost ½ zᵀHz + bᵀz.

    Attributes
    ----------
    hessian : rows of Expr
        H, shape (d, d), symmetric.
    linear : tuple of Expr
        b, shape (d,).
    """

    hessian: Rows
    linear: tuple[sp.Expr, ...]

    def cost(self, symbols: Sequence[sp.Symbol]) -> sp.Expr:
        """The cost in `symbols` `(d,)`, expanded up to EXPANDED terms and grouped as Σ zᵢ(…) above."""
        groups = []
        for i, (row, b) in enumerate(zip(self.hessian, self.linear, strict=True)):
            lower = [row[j] * symbols[j] for j in range(i) if row[j] != 0]
            diagonal = row[i] * symbols[i] / 2 if row[i] != 0 else sp.S.Zero
            groups.append((symbols[i], [*lower, diagonal, b]))
        if sum(len(terms) for _, terms in groups) <= EXPANDED:
            return sp.Add(*(s * term for s, terms in groups for term in terms))
        return sp.Add(*(s * sp.Add(*terms) for s, terms in groups))

    def gradient(self, name: str, symbols: Sequence[sp.Symbol]) -> AffineFunction:
        """z ↦ Hz + b."""
        return AffineFunction(name, [symbols], self.hessian, self.linear)

    def xreplace(self, table: Mapping[sp.Symbol, sp.Expr]) -> Quadratic:
        """The cost with parameters replaced."""
        rows = tuple(tuple(entry.xreplace(table) for entry in row) for row in self.hessian)
        return Quadratic(rows, tuple(b.xreplace(table) for b in self.linear))

    def __neg__(self) -> Quadratic:
        return Quadratic(tuple(tuple(-entry for entry in row) for row in self.hessian), tuple(-b for b in self.linear))
