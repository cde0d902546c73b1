"""One notation for vectors of SymPy expressions, float64 arrays and torch tensors.

A constraint set writes its projection and its mirror map once, on `(k,)` or `(k, …)` vectors with `+ - * /`
and the few operations below; each world brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import NotPrintable

SUBSETS = 4  # coordinates up to which the threshold of a simplex is one formula: a maximum over 2^k - 1 sums
PRINTED = 8  # coordinates up to which it is printed: a sorting network of k(k - 1)/2 comparisons

Name = Callable[[sp.Expr], sp.Expr]


class FloatArithmetic:
    """Operations on float64 arrays `(k, …)`."""

    exp, log, sqrt = staticmethod(np.exp), staticmethod(np.log), staticmethod(np.sqrt)
    maximum, minimum = staticmethod(np.maximum), staticmethod(np.minimum)

    def constants(self, values: Sequence[sp.Expr], like: np.ndarray) -> np.ndarray:
        """Exact numbers as a vector that combines with `like` row by row."""
        return np.array([float(v) for v in values]).reshape((-1,) + (1,) * (like.ndim - 1))

    def number(self, value: sp.Expr) -> float:
        """An exact number as a scalar."""
        return float(value)

    def stack(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """The vector of some components."""
        return np.stack(list(rows))

    def sum(self, x: np.ndarray) -> np.ndarray:
        """Σ xₖ, kept as one row."""
        return x.sum(axis=0, keepdims=True)

    def positive(self, x: np.ndarray) -> np.ndarray:
        """1 where x > 0, else 0."""
        return (x > 0).astype(float)

    def softmax(self, y: np.ndarray) -> np.ndarray:
        """exp(yₖ)/Σ exp(yⱼ)."""
        e = np.exp(y - y.max(axis=0, keepdims=True))
        return e / e.sum(axis=0, keepdims=True)

    def threshold(self, x: np.ndarray, size: float) -> np.ndarray:
        """The τ with Σ max(xₖ - τ, 0) = size, as one row."""
        ordered = -np.sort(-x, axis=0)
        counts = np.arange(1, len(x) + 1).reshape((-1,) + (1,) * (x.ndim - 1))
        return ((np.cumsum(ordered, axis=0) - size) / counts).max(axis=0, keepdims=True)


class TorchArithmetic:
    """Operations on torch tensors `(k, …)`, differentiable."""

    def __getattr__(self, name: str) -> Any:
        import torch

        return getattr(torch, name)  # exp, log, sqrt

    def maximum(self, a: Any, b: Any) -> Any:
        """The larger one, componentwise."""
        return self._extreme("maximum", a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        """The smaller one, componentwise."""
        return self._extreme("minimum", a, b)

    def _extreme(self, name: str, a: Any, b: Any) -> Any:
        import torch

        tensor = a if isinstance(a, torch.Tensor) else b
        return getattr(torch, name)(torch.as_tensor(a).to(tensor), torch.as_tensor(b).to(tensor))

    def constants(self, values: Sequence[sp.Expr], like: Any) -> Any:
        """Exact numbers as a vector that combines with `like` row by row."""
        return like.new_tensor([float(v) for v in values]).reshape((-1,) + (1,) * (like.ndim - 1))

    def number(self, value: sp.Expr) -> float:
        """An exact number as a scalar."""
        return float(value)

    def stack(self, rows: Sequence[Any]) -> Any:
        """The vector of some components."""
        import torch

        return torch.stack(list(rows))

    def sum(self, x: Any) -> Any:
        """Σ xₖ, kept as one row."""
        return x.sum(dim=0, keepdim=True)

    def positive(self, x: Any) -> Any:
        """1 where x > 0, else 0."""
        return (x > 0).to(x)

    def softmax(self, y: Any) -> Any:
        """exp(yₖ)/Σ exp(yⱼ)."""
        return y.softmax(dim=0)

    def threshold(self, x: Any, size: float) -> Any:
        """The τ with Σ max(xₖ - τ, 0) = size, as one row."""
        import torch

        ordered = x.sort(dim=0, descending=True).values
        counts = torch.arange(1, len(x) + 1).to(x).reshape((-1,) + (1,) * (x.ndim - 1))
        return ((ordered.cumsum(dim=0) - size) / counts).max(dim=0, keepdim=True).values


class SymbolicArithmetic:
    """Operations on object arrays `(k,)` of SymPy expressions.

    Parameters
    ----------
    name : callable, optional
        Gives an intermediate value a name in printed code.  Without it results are single formulas, and
        exact numbers are worked out.
    """

    def __init__(self, name: Name | None = None) -> None:
        self._name = name

    def vector(self, values: Sequence[sp.Expr]) -> np.ndarray:
        """Expressions as a vector."""
        result = np.empty(len(values), dtype=object)
        result[:] = [sp.sympify(v) for v in values]
        return result

    def named(self, values: Sequence[sp.Expr]) -> np.ndarray:
        """Expressions as a vector, each under a name in printed code."""
        return self.vector([v if self._name is None else self._name(sp.sympify(v)) for v in values])

    def exp(self, x: np.ndarray) -> np.ndarray:
        """eˣ."""
        return self.named([sp.exp(e) for e in x]) if isinstance(x, np.ndarray) else sp.exp(x)

    def log(self, x: np.ndarray) -> np.ndarray:
        """log x."""
        return self.named([sp.log(e) for e in x]) if isinstance(x, np.ndarray) else sp.log(x)

    def sqrt(self, x: np.ndarray) -> np.ndarray:
        """√x."""
        return self.named([sp.sqrt(e) for e in x])

    def maximum(self, a: Any, b: Any) -> np.ndarray:
        """The larger one, componentwise."""
        pairs = zip(*np.broadcast_arrays(a, b), strict=True)
        return self.named([sp.Max(*p, evaluate=not any(sp.sympify(e).has(sp.Max) for e in p)) for p in pairs])

    def minimum(self, a: Any, b: Any) -> np.ndarray:
        """The smaller one, componentwise."""
        return self.named([sp.Min(*pair) for pair in zip(*np.broadcast_arrays(a, b), strict=True)])

    def constants(self, values: Sequence[sp.Expr], like: np.ndarray) -> np.ndarray:
        """Exact numbers as a vector."""
        return self.vector(values)

    def number(self, value: sp.Expr) -> sp.Expr:
        """An exact number as it is."""
        return value

    def stack(self, rows: Sequence[Any]) -> np.ndarray:
        """The vector of some components."""
        return self.vector(list(rows))

    def sum(self, x: np.ndarray) -> np.ndarray:
        """Σ xₖ, as one row."""
        return self.named([sp.Add(*x)])

    def positive(self, x: np.ndarray) -> np.ndarray:
        """1 where x > 0, else 0."""
        return self.named([sp.Piecewise((1, e > 0), (0, True)) for e in x])

    def softmax(self, y: np.ndarray) -> np.ndarray:
        """exp(yₖ)/Σ exp(yⱼ), with differences in the exponents."""
        if self._name is None:
            return self.vector([1 / sp.Add(*(sp.exp(other - own) for other in y)) for own in y])
        largest = y[:1]
        for row in y[1:]:
            largest = self.maximum(largest, self.vector([row]))
        e = self.exp(y - largest)
        return e / self.sum(e)

    def threshold(self, x: np.ndarray, size: sp.Expr) -> np.ndarray:
        """The τ with Σ max(xₖ - τ, 0) = size, as one row."""
        entries = list(x)
        if self._name is not None:
            ordered = self._network(entries)
        elif all(e.is_number for e in entries):
            ordered = sorted(entries, reverse=True)
        elif len(entries) <= SUBSETS:
            groups = [g for k in range(1, len(entries) + 1) for g in combinations(entries, k)]
            return self.vector([sp.Max(*((sp.Add(*g) - size) / len(g) for g in groups))])
        else:
            raise NotInThisWorld(
                "point", "exact", f"a simplex of {len(entries)} > {SUBSETS} coordinates is projected at numbers only"
            )
        total: sp.Expr = sp.S.Zero
        candidates: list[sp.Expr] = []
        for k, e in enumerate(ordered):
            (total,) = self.named([total + e])
            candidates.extend(self.named([(total - size) / (k + 1)]))
        return self.named([sp.Max(*candidates)])

    def _network(self, entries: list[sp.Expr]) -> list[sp.Expr]:
        """The entries in descending order, by comparisons of neighbours."""
        if len(entries) > PRINTED:
            raise NotPrintable(f"a simplex of {len(entries)} > {PRINTED} coordinates is not printed as scalar code")
        ordered = list(entries)
        for end in range(len(ordered) - 1, 0, -1):
            for k in range(end):
                high, low = sp.Max(ordered[k], ordered[k + 1]), sp.Min(ordered[k], ordered[k + 1])
                ordered[k], ordered[k + 1] = self.named([high, low])
        return ordered
