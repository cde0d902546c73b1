"""Eigenvalues with their accuracy, the orders they come in, and their closed forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["ILL_CONDITIONED", "ORDER", "Eigenvalues", "exact_eigenvalues", "first_exact", "leading"]

ILL_CONDITIONED = 1e4  # of κ(λ): beyond, a forward error of 1e-6 is not promised


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """Eigenvalues with what is known of their accuracy.

    Attributes
    ----------
    values : ndarray `(k,)` complex, or tuple of SymPy expressions
        In the order asked for; exact ones with free symbols in the order of the factors.
    residuals : ndarray `(k,)` or None
        ‖Jx - λx‖ of unit right eigenvectors x, from products of their own; None where the values are exact.
    conditions : ndarray `(k,)` or None
        κ(λ) = 1 / |yᴴx|, y the unit left eigenvector: a perturbation of J by E moves λ by κ(λ)‖E‖ to first order.  NaN
        where no left eigenvector was found; None where they were not asked for.
    norm : float
        ‖J‖₂, or a lower bound of it (Krylov).
    tolerance : float
        The largest `backward_errors` of an eigenvalue that has converged.
    method : str
        How they were computed.
    note : str
        What did not converge, if anything.
    products : int
        Products with J or Jᵀ spent.
    right, left : callable
        i -> the i-th right or left eigenvector `(d,)`, an array; `vectors` and `left_vectors` are all of them.
    state : KrylovState or None
        What a larger or longer search goes on from.
    """

    values: Any
    residuals: Any = None
    conditions: Any = None
    norm: float = float("nan")
    tolerance: float = 0.0
    method: str = "dense"
    note: str = ""
    products: int = 0
    right: Callable[[int], np.ndarray] | None = None
    left: Callable[[int], np.ndarray] | None = None
    state: Any = None

    @cached_property
    def vectors(self) -> np.ndarray | None:
        """Right eigenvectors `(d, k)`, of norm 1; 16 d k bytes.  None where the values are exact."""
        return None if self.right is None else _columns(self.right, len(self))

    @cached_property
    def left_vectors(self) -> np.ndarray | None:
        """Left eigenvectors `(d, k)`, of norm 1, yᴴJ = λyᴴ; None where they were not asked for."""
        return None if self.left is None else _columns(self.left, len(self))

    @property
    def backward_errors(self) -> Any:
        """‖Jx - λx‖ / ‖J‖: each value is exact for a matrix that is so near to J; None where the values are exact."""
        return None if self.residuals is None else self.residuals / max(self.norm, np.finfo(float).tiny)

    @property
    def converged(self) -> np.ndarray:
        """Which values have a backward error of at most `tolerance`; all where they are exact."""
        errors = self.backward_errors
        return np.ones(len(self), dtype=bool) if errors is None else np.asarray(errors <= self.tolerance)

    @property
    def ill_conditioned(self) -> np.ndarray:
        """Which values have κ(λ) > 1e4, or an unknown one: they are points of the ε-pseudospectrum, ε the residual."""
        if self.conditions is None:
            return np.zeros(len(self), dtype=bool)
        return ~(np.asarray(self.conditions) <= ILL_CONDITIONED)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Any:
        return iter(self.values)

    def __getitem__(self, k: Any) -> Any:
        return self.values[k]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([complex(v) for v in self.values], dtype=dtype or complex)

    def __repr__(self) -> str:
        shown = ", ".join(str(v) if isinstance(v, sp.Expr) else f"{complex(v):.6g}" for v in self.values[:8])
        more = f", … ({len(self)} in all)" if len(self) > 8 else ""
        worst = "" if self.residuals is None or not len(self) else f"; largest residual {np.max(self.residuals):.1e}"
        ill = int(self.ill_conditioned.sum())
        shaky = f"; {ill} ill-conditioned, κ > {ILL_CONDITIONED:g}" if ill else ""
        return f"Eigenvalues({shown}{more}; {self.method}{worst}{shaky}{'; ' + self.note if self.note else ''})"


def _columns(vector: Callable[[int], np.ndarray], k: int) -> np.ndarray:
    return np.stack([vector(i) for i in range(k)], axis=1)


ORDER: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "LM": lambda v: -np.abs(v),
    "LR": lambda v: -v.real,
    "SR": lambda v: v.real,
    "LI": lambda v: -np.abs(v.imag),
}


def leading(values: np.ndarray, which: str, k: int | None) -> np.ndarray:
    """Positions of the first k values in an order, k + 1 where the k-th value's conjugate would be cut off."""
    key = ORDER[which](values)
    size = float(np.max(np.abs(values), initial=0.0))
    # The halves of a pair differ in the last digits: equal keys keep the order in which they came.
    order = np.argsort(np.round(key / size, 12) if size > 0 else key, kind="stable")
    if k is None or k >= len(values):
        return order
    last = values[order[k - 1]]
    alone = abs(last.imag) > 1e-12 * size and not np.any(np.isclose(values[order[: k - 1]], np.conj(last), rtol=1e-9))
    return order[: k + 1 if alone else k]


def first_exact(values: tuple[sp.Expr, ...], k: int | None, which: str) -> tuple[sp.Expr, ...]:
    """Closed forms in an order, cut after k without splitting a pair."""
    if all(v.is_number for v in values):
        return tuple(values[i] for i in leading(np.array([complex(v) for v in values]), which, k))
    if k is not None and k < len(values):
        raise ValueError(f"{k} of {len(values)} eigenvalues with free symbols: give the symbols values, or leave out k")
    return values


def exact_eigenvalues(matrix: sp.MatrixBase) -> tuple[sp.Expr, ...]:
    """Eigenvalues with multiplicity: radicals for factors of degree <= 2, algebraic numbers beyond.

    Raises
    ------
    ValueError
        If a factor of degree > 2 has symbolic coefficients.
    """
    x = sp.Dummy("x")
    values: list[sp.Expr] = []
    for factor, multiplicity in sp.factor_list(sp.Matrix(matrix).charpoly(x).as_expr(x), x)[1]:
        p = sp.Poly(factor, x)
        if p.degree() <= 2:
            roots = list(sp.roots(p, multiple=True))
        elif all(c.is_Rational for c in p.all_coeffs()):
            roots = p.all_roots(radicals=False)
        elif not p.free_symbols_in_domain:
            roots = [sp.nsimplify(r) if r.is_Rational else r for r in p.nroots(n=30)]
        else:
            raise ValueError(f"the eigenvalues solve {factor} = 0, of degree {p.degree()}; give the symbols values")
        values += [sp.radsimp(r) for r in roots for _ in range(multiplicity)]
    if all(v.is_number for v in values):
        values.sort(key=lambda v: (-abs(complex(v)), -complex(v).imag))
    return tuple(values)
