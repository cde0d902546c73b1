"""Linear-quadratic games of any size, from matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.affine import Quadratic
from gamedyn.games.field import Player
from gamedyn.games.functions import exact_number
from gamedyn.games.symbolic import Facts, SymbolicGame

__all__ = ["bilinear", "quadratic", "zero_sum_quadratic"]


def bilinear(A: Any = 1) -> SymbolicGame:
    """The bilinear game, min over x and max over y of

        f(x, y) = xᵀA y.

    The standard test of every method for min-max problems: J is antisymmetric with eigenvalues ±iσ for
    the singular values σ of A, so v rotates and never points at the equilibrium.  Simultaneous descent
    diverges for every step size, alternating descent circulates, extragradient converges.

    Parameters
    ----------
    A : number, symbol or matrix
        Scalar (variables x and y), or shape (n, m) (variables x1, …, xn and y1, …, ym) as nested lists,
        a NumPy array or a SymPy matrix.  Floats become the rationals of their shortest decimals.

    Raises
    ------
    ValueError
        If A is neither a scalar nor a matrix, or not finite.

    References
    ----------
    .. [1] Korpelevich (1976).
    .. [2] Gidel et al., ICLR 2019, arXiv:1802.10551.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.bilinear()
    bilinear: 2 players, d = 2
      x (x): min x*y
      y (y): min -x*y
    """
    rows = exact_matrix(A, "A")
    n, m = len(rows), len(rows[0])
    note = "J is antisymmetric with eigenvalues ±iσ, σ the singular values of A."
    facts = _bilinear_facts(rows[0][0], note) if n == m == 1 else Facts(_GIDEL, (zeros(n + m),), (), note)
    return _zero_sum(_zero_matrix(n, n), rows, _zero_matrix(m, m), name="bilinear", facts=facts)


def zero_sum_quadratic(P: Any, A: Any, Q: Any) -> SymbolicGame:
    """The convex-concave quadratic game, min over x and max over y of

        f(x, y) = ½ xᵀP x + xᵀA y - ½ yᵀQ y.

    J = [[P, A], [-Aᵀ, Q]]: its symmetric part is diag(P, Q), its antisymmetric part the coupling A.  With
    P, Q ⪰ μI the game is μ-strongly monotone.

    Parameters
    ----------
    P : number or matrix
        Symmetric, shape (n, n).
    A : number or matrix
        Shape (n, m).
    Q : number or matrix
        Symmetric, shape (m, m).  Variables are x and y if n = m = 1, else x1, …, xn and y1, …, ym.

    Raises
    ------
    ValueError
        If shapes do not fit, or P or Q is not symmetric.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.field(gd.games.zero_sum_quadratic(1, 2, 3), [1.0, 1.0])
    array([3., 1.])
    """
    p, a, q = exact_matrix(P, "P"), exact_matrix(A, "A"), exact_matrix(Q, "Q")
    n, m = len(a), len(a[0])
    _check_symmetric(p, n, "P")
    _check_symmetric(q, m, "Q")
    facts = Facts("Standard test problem.", (zeros(n + m),), (), "J = [[P, A], [-Aᵀ, Q]] everywhere.")
    return _zero_sum(p, a, q, name="zero-sum quadratic", facts=facts)


def quadratic(hessians: Sequence[Any], sizes: Sequence[int], linear: Sequence[Any] | None = None) -> SymbolicGame:
    """The n-player quadratic game in which player i minimises, over its own part of z,

        cᵢ(z) = ½ zᵀHᵢz + bᵢᵀz.

    Row block i of J is row block i of Hᵢ, so that every constant matrix is the Jacobian of some quadratic game.

    Parameters
    ----------
    hessians : sequence of symmetric matrices, each (d, d)
        One per player.
    sizes : sequence of int
        Coordinates per player; they sum to d.  The variables are z1, …, zd.
    linear : sequence of vectors `(d,)`, optional
        The bᵢ; zero by default.

    Raises
    ------
    ValueError
        If counts or shapes do not fit, or a matrix is not symmetric.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.quadratic([[[2, 1], [1, 0]], [[0, -1], [-1, 2]]], sizes=[1, 1])
    quadratic: 2 players, d = 2
      z1 (z1): min z1**2 + z1*z2
      z2 (z2): min -z1*z2 + z2**2
    """
    sizes = [int(s) for s in sizes]
    if len(hessians) != len(sizes) or min(sizes, default=0) < 1:
        raise ValueError(
            f"{len(hessians)} matrices for sizes {sizes}; give one matrix and one positive size per player"
        )
    d = sum(sizes)
    vectors = [[0] * d] * len(sizes) if linear is None else [list(b) for b in linear]
    if [len(b) for b in vectors] != [d] * len(sizes):
        raise ValueError(
            f"linear terms of lengths {[len(b) for b in vectors]}; give {len(sizes)} vectors of length {d}"
        )
    forms = []
    for i, (H, b) in enumerate(zip(hessians, vectors, strict=True)):
        rows = exact_matrix(H, f"hessians[{i}]")
        _check_symmetric(rows, d, f"hessians[{i}]")
        forms.append(Quadratic(frozen(rows), tuple(exact_number(entry) for entry in b)))
    names = [f"z{k + 1}" for k in range(d)]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    groups = [names[s : s + n] for s, n in zip(starts, sizes, strict=True)]
    costs = [form.cost(_symbols(groups)) for form in forms]
    return _game(forms, groups, costs, name="quadratic", facts=Facts("Definition."))


# construction ----------------------------------------------------------------------------------------

_GIDEL = "Korpelevich (1976); Gidel et al., ICLR 2019, arXiv:1802.10551."

Matrix = list[list[sp.Expr]]


def _bilinear_facts(a: sp.Expr, note: str) -> Facts:
    return Facts(_GIDEL, (zeros(2),), ((sp.I * a, -sp.I * a),), note)


def _zero_sum(P: Matrix, A: Matrix, Q: Matrix, *, name: str, facts: Facts) -> SymbolicGame:
    """f = ½ xᵀPx + xᵀAy - ½ yᵀQy, whose Hessian is [[P, A], [Aᵀ, -Q]]."""
    n, m = len(A), len(A[0])
    top = [[*p, *a] for p, a in zip(P, A, strict=True)]
    bottom = [[*column, *(-entry for entry in q)] for column, q in zip(zip(*A, strict=True), Q, strict=True)]
    payoff = Quadratic(frozen([*top, *bottom]), zeros(n + m))
    groups = [["x"], ["y"]] if n == m == 1 else [[f"x{k + 1}" for k in range(n)], [f"y{k + 1}" for k in range(m)]]
    symbols = _symbols(groups)
    f = payoff.cost(symbols)
    return _game([payoff, -payoff], groups, (f, -f), name=name, facts=facts)


def _game(
    forms: Sequence[Quadratic], groups: Sequence[Sequence[str]], costs: Sequence[sp.Expr], *, name: str, facts: Facts
) -> SymbolicGame:
    symbols = _symbols(groups)
    players, start = [], 0
    for k, group in enumerate(groups):
        label = group[0] if len(group) == 1 else f"player {k + 1}"
        players.append(Player(label, start, start + len(group), tuple(group)))
        start += len(group)
    entries = [e for form in forms for row in (*form.hessian, form.linear) for e in row if not e.is_Number]
    clash = {s.name for s in symbols} & {s.name for e in entries for s in e.free_symbols}
    if clash:
        raise ValueError(f"the matrices use {sorted(clash)}, which are variables of the game; rename these parameters")
    return SymbolicGame(tuple(players), symbols, costs=tuple(costs), name=name, facts=facts, quadratics=tuple(forms))


def _symbols(groups: Sequence[Sequence[str]]) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Symbol(n, real=True) for group in groups for n in group)


def exact_matrix(value: Any, name: str) -> Matrix:
    """Rows of exact numbers `(n, m)` from a number, nested lists, a NumPy array or a SymPy matrix.

    Raises
    ------
    ValueError
        If `value`, called `name` in the message, is no matrix, or an entry is not finite.
    """
    array = np.array(value.tolist() if isinstance(value, sp.MatrixBase) else value, dtype=object)
    if array.ndim == 1 and any(isinstance(row, (list, tuple, np.ndarray)) for row in array):
        lengths = ", ".join(str(len(row)) if hasattr(row, "__len__") else "none" for row in array)
        raise ValueError(f"{name} has rows of lengths {lengths}; give rows of one length, as in [[1, 2], [3, 4]]")
    if array.ndim == 0:
        array = array.reshape(1, 1)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; give a number or a matrix, as in [[1, 2]] for a single row")
    return [[exact_number(entry) for entry in row] for row in array]


def _check_symmetric(rows: Matrix, size: int, name: str) -> None:
    if (len(rows), len(rows[0])) != (size, size):
        raise ValueError(f"{name} has shape ({len(rows)}, {len(rows[0])}), but the game needs ({size}, {size})")
    if any(rows[i][j] != rows[j][i] for i in range(size) for j in range(i)):
        raise ValueError(f"{name} is not symmetric; give (M + Mᵀ)/2, which is the same quadratic form")


def frozen(rows: Matrix) -> tuple[tuple[sp.Expr, ...], ...]:
    """Rows as tuples, as a `Quadratic` keeps them."""
    return tuple(tuple(row) for row in rows)


def zeros(size: int) -> tuple[sp.Expr, ...]:
    """The exact zero vector `(size,)`."""
    return (sp.S.Zero,) * size


def _zero_matrix(n: int, m: int) -> Matrix:
    return [[sp.S.Zero] * m for _ in range(n)]
