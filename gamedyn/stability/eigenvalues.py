"""Eigenvalues with their accuracy, their orders, and the two ways to them: closed forms and Arnoldi's method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["ORDER", "Eigenvalues", "arnoldi", "exact_eigenvalues", "first_exact", "leading"]


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """Eigenvalues with what is known of their accuracy.

    Attributes
    ----------
    values : ndarray `(k,)` complex, or tuple of SymPy expressions
        In the order asked for; exact ones with free symbols in the order of the factors.
    residuals : ndarray `(k,)` or None
        ‖Jv - λv‖ of unit right eigenvectors; None where the values are exact.
    vectors : ndarray `(d, k)` or None
        Right eigenvectors.
    method : str
        How they were computed.
    note : str
        What did not converge, if anything.
    """

    values: Any
    residuals: Any = None
    vectors: Any = None
    method: str = "dense"
    note: str = ""

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
        return f"Eigenvalues({shown}{more}; {self.method}{worst}{'; ' + self.note if self.note else ''})"


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


def arnoldi(operator: Any, k: int, which: Any, ncv: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Eigenvalues, right eigenvectors and what did not converge."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    d = operator.shape[0]
    start = np.random.default_rng(0).standard_normal(d)
    try:
        values, vectors = eigs(operator, k=min(k + 1, d - 2), which=which, v0=start, ncv=min(d, ncv))
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
        return values, vectors, f"{min(len(values), k)} of {k} converged"
    return values, vectors, ""


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
