"""The f-divergences in formulas: f, its conjugate, and what a discriminator must say.

    D_f(p || q) = E_q f(p/q) = sup_T  E_p T - E_q f*(T),   f*(t) = sup_u  ut - f(u)          (1)
    best T = f'(p/q);   T = g(D) keeps T in the domain of f*, for any logit D                (2)

p is the density of the data and q that of G(z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from sympy import Expr, Interval, S, exp, log, oo, sqrt

__all__ = ["DIVERGENCES", "FDivergence", "as_divergence", "divergence", "t", "u", "v"]

u = sp.Symbol("u", positive=True)
t, v = sp.symbols("t v", real=True)


@dataclass(frozen=True, repr=False)
class FDivergence:
    """One f-divergence as SymPy expressions.

    Parameters
    ----------
    name, title : str
    f : Expr
        In u = p/q > 0, convex.
    conjugate : Expr
        f*(t) on the domain.
    domain : Set
        Where f* is finite.
    activation : Expr
        g(v), increasing, from R into the domain.
    witness : Expr
        T*(u) = f'(u).
    logit : Expr
        g⁻¹(T*(u)), the best D.

    Examples
    --------
    >>> DIVERGENCES["hellinger"]
    FDivergence(squared Hellinger: f = (sqrt(u) - 1)**2, f* = t/(1 - t) on (-oo, 1), g = 1 - exp(-v))
    """

    name: str
    title: str
    f: Expr
    conjugate: Expr
    domain: sp.Set
    activation: Expr
    witness: Expr
    logit: Expr

    def __repr__(self) -> str:
        where = "R" if self.domain == S.Reals else _printed(self.domain)
        return f"FDivergence({self.title}: f = {self.f}, f* = {self.conjugate} on {where}, g = {self.activation})"

    @cached_property
    def limits(self) -> tuple[Expr, Expr]:
        """f(0+) and lim f(u)/u at infinity: what a point costs where p = 0, and where q = 0, per unit of the other."""
        return sp.limit(self.f, u, 0, "+"), sp.limit(self.f / u, u, oo)


def _printed(interval: Any) -> str:
    left, right = "(" if interval.left_open else "[", ")" if interval.right_open else "]"
    return f"{left}{interval.start}, {interval.end}{right}"


_below = Interval.open
_half = sp.Rational(1, 2)

DIVERGENCES: dict[str, FDivergence] = {
    entry.name: entry
    for entry in (
        FDivergence("kl", "KL(p || q)", u * log(u), exp(t - 1), S.Reals, v, log(u) + 1, log(u) + 1),
        FDivergence("reverse_kl", "KL(q || p)", -log(u), -1 - log(-t), _below(-oo, 0), -exp(-v), -1 / u, log(u)),
        FDivergence(
            "js",
            "2 JSD(p, q)",
            u * log(u) - (u + 1) * log((u + 1) / 2),
            -log(2 - exp(t)),
            _below(-oo, log(2)),
            log(2) - log(1 + exp(-v)),
            log(2 * u / (u + 1)),
            log(u),
        ),
        FDivergence(
            "gan",
            "2 JSD(p, q) - log 4",
            u * log(u) - (u + 1) * log(u + 1),
            -log(1 - exp(t)),
            _below(-oo, 0),
            -log(1 + exp(-v)),
            log(u / (u + 1)),
            log(u),
        ),
        FDivergence("pearson", "Pearson χ²", (u - 1) ** 2, t**2 / 4 + t, S.Reals, v, 2 * (u - 1), 2 * (u - 1)),
        FDivergence(
            "hellinger",
            "squared Hellinger",
            (sqrt(u) - 1) ** 2,
            t / (1 - t),
            _below(-oo, 1),
            1 - exp(-v),
            1 - 1 / sqrt(u),
            log(u) / 2,
        ),
        FDivergence(
            "total_variation",
            "total variation",
            sp.Abs(u - 1) / 2,
            t,
            Interval(-_half, _half),
            sp.tanh(v) / 2,
            sp.sign(u - 1) / 2,
            sp.Piecewise((oo, u > 1), (0, sp.Eq(u, 1)), (-oo, True)),
        ),
    )
}
"""The divergences of Nowozin et al. (2016), arXiv:1606.00709, tables 1, 2 and 6.

"js" is 2 JSD with their f, and "gan" has f(1) = -log 4, not 0.  The sup of (1) is over u > 0, for "pearson" and
"total_variation" over all real u: over u > 0 their f* would go on as -f(0) below the t where f'(0) = t.
"""


def as_divergence(name: str) -> FDivergence:
    """The divergence of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not isinstance(name, str) or name not in DIVERGENCES:
        raise ValueError(f"There is no f-divergence {name!r}; use one of {', '.join(DIVERGENCES)}.")
    return DIVERGENCES[name]


def divergence(name: str, p: Any, q: Any, weights: Any = 1.0) -> Any:
    """D_f(p || q) of two discrete laws, or of two densities on the nodes of a quadrature.

        D_f = Σ w q f(p/q),   with  q f(0+) where p = 0  and  p lim f(u)/u where q = 0

    Parameters
    ----------
    name : str
        A name in `DIVERGENCES`.
    p, q : array_like `(n,)`
        Not negative.  With SymPy entries the result is exact.
    weights : array_like `(n,)` or float
        Of the quadrature.

    Returns
    -------
    float or Expr
        Infinite where f says so.

    Raises
    ------
    ValueError
        An unknown name, shapes that differ, or negative entries.

    Examples
    --------
    >>> divergence("total_variation", [0.5, 0.5, 0], [0.25, 0.25, 0.5])
    0.5
    >>> divergence("js", sp.Matrix([1, 0]), sp.Matrix([0, 1]))          # disjoint: 2 JSD = log 4
    log(4)
    """
    which = as_divergence(name)
    exact = [_symbolic(x) for x in (p, q)]
    if any(exact):
        return _exact(which, list(p), list(q), weights)
    p, q = (np.asarray(x, dtype=np.float64) for x in (p, q))
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(f"p has the shape {p.shape} and q {q.shape}; give two vectors of one length")
    if not ((p >= 0).all() and (q >= 0).all()):
        raise ValueError("p and q must be >= 0 everywhere (and not nan)")
    f = sp.lambdify(u, which.f, "numpy")
    terms = np.zeros_like(p)
    both, no_p, no_q = (p > 0) & (q > 0), (p == 0) & (q > 0), (p > 0) & (q == 0)
    terms[both] = q[both] * f(p[both] / q[both])
    for where, mass, limit in ((no_p, q, 0), (no_q, p, 1)):
        if where.any():
            terms[where] = mass[where] * float(which.limits[limit])
    return float(np.sum(terms * weights))


def _symbolic(x: Any) -> bool:
    return isinstance(x, sp.MatrixBase) or (isinstance(x, Sequence) and any(isinstance(e, sp.Basic) for e in x))


def _exact(which: FDivergence, p: list[Any], q: list[Any], weights: Any) -> Expr:
    if len(p) != len(q):
        raise ValueError(f"p has {len(p)} entries and q {len(q)}; give two vectors of one length")
    p, q = ([sp.sympify(e) for e in x] for x in (p, q))
    if any(e.is_negative for e in p + q):
        raise ValueError("p and q must be >= 0 everywhere")
    w = list(weights) if isinstance(weights, Sequence) else [sp.nsimplify(weights)] * len(p)
    terms = []
    for a, b in zip(p, q, strict=True):
        if a == 0 or b == 0:
            f_at_0, slope = which.limits
            terms.append((b * f_at_0 if b != 0 else 0) + (a * slope if a != 0 else 0))
        else:
            terms.append(b * which.f.subs(u, a / b))
    return sp.simplify(sum(c * term for c, term in zip(w, terms, strict=True)))
