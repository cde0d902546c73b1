"""The constants of a linear field v = Jz, exact where the matrix is.

    mu   = λ_min((J + Jᵀ)/2)              L = ‖J‖₂
    beta = inf over Ju ≠ 0 of ⟨u, Ju⟩/|Ju|²                                        (1)

(1) is -inf if some u has Ju = 0 and Jᵀu ≠ 0; otherwise the smallest root of a pencil on the orthogonal complement of
the kernel, which J maps one to one.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.spectrum_signs import eigenvalues, evaluated
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["matrix_comonotone", "matrix_mu", "matrix_norm"]

_EXACT = 12  # rows up to which characteristic polynomials are factored
_RANK = 1e-10  # singular values of floats below this, relative, count as zero


def matrix_mu(J: sp.MatrixBase, seconds: float) -> Constant:
    """λ_min of the symmetric part.

    Examples
    --------
    >>> matrix_mu(sp.Matrix([[2, 1], [0, 1]]), 5.0)
    3/2 - sqrt(2)/2 exact
    """
    root = _extreme((J + J.T) / 2, least=True, seconds=seconds)
    if root is not None:
        return Constant.exact(root, cautious="low")
    M = _array(J)
    return Constant.numeric(np.linalg.eigvalsh((M + M.T) / 2)[0], cautious="low")


def matrix_norm(J: sp.MatrixBase, seconds: float) -> Constant:
    """‖J‖₂ = √λ_max(JᵀJ).

    Examples
    --------
    >>> matrix_norm(sp.Matrix([[0, 2], [-2, 0]]), 5.0)
    2 exact
    """
    square = J.T * J if J.rows >= J.cols else J * J.T
    root = _extreme(square.applyfunc(sp.expand), least=False, seconds=seconds)
    if root is not None:
        return Constant.exact(_root(root), cautious="high")
    return Constant.numeric(float(np.linalg.norm(_array(J), 2)), cautious="high")


def matrix_comonotone(J: sp.MatrixBase, seconds: float) -> Constant:
    """The largest rho of ⟨u, Ju⟩ >= rho |Ju|²: inf for J = 0, -inf if there is none.

    Examples
    --------
    >>> matrix_comonotone(sp.Matrix([[1, 2], [-2, 1]]), 5.0)
    1/5 exact
    >>> matrix_comonotone(sp.Matrix([[0, 1], [0, 0]]), 5.0)
    -inf exact (Ju = 0 for some u with Jᵀu ≠ 0)
    """
    if J.free_symbols or J.rows > _EXACT:
        return _float_comonotone(J) if not J.free_symbols else _regular_comonotone(J, seconds)
    try:
        with limited_time(seconds):
            if J.is_zero_matrix:
                return Constant.exact(sp.oo, cautious="low")
            kernel = J.nullspace()
            if any(not (J.T * n).applyfunc(sp.simplify).is_zero_matrix for n in kernel):
                return Constant.exact(-sp.oo, cautious="low", note="Ju = 0 for some u with Jᵀu ≠ 0")
            Q = sp.eye(J.rows) if not kernel else sp.Matrix.hstack(*sp.Matrix.hstack(*kernel).T.nullspace())
            symmetric, square = Q.T * (J + J.T) * Q / 2, (J * Q).T * (J * Q)
            pencil = (square.inv() * symmetric).applyfunc(sp.cancel)
    except OutOfTime:
        return _float_comonotone(J)
    root = _extreme(pencil, least=True, seconds=seconds)
    return _float_comonotone(J) if root is None else Constant.exact(root, cautious="low")


def _regular_comonotone(J: sp.MatrixBase, seconds: float) -> Constant:
    """(1) with free symbols, for values that leave J regular: λ_min of the symmetric part of J⁻¹."""
    try:
        with limited_time(seconds):
            inverse = None if J.det().equals(0) else J.inv().applyfunc(sp.cancel)
    except OutOfTime:
        inverse = None
    root = None
    if inverse is not None:
        root = _extreme(((inverse + inverse.T) / 2).applyfunc(sp.cancel), least=True, seconds=seconds)
    if root is None:
        raise ValueError(_unbound(J))
    return Constant.exact(root, cautious="low", note="for values of the parameters that leave J regular")


def _float_comonotone(J: sp.MatrixBase) -> Constant:
    M = _array(J)
    U, sigma, W = np.linalg.svd(M)
    rank = int((sigma > _RANK * sigma[0]).sum()) if sigma[0] > 0 else 0
    if not rank:
        return Constant.numeric(np.inf, cautious="low")
    if rank < len(M) and np.linalg.norm(M.T @ W[rank:].T) > _RANK * sigma[0]:
        return Constant.numeric(-np.inf, cautious="low", note="Ju = 0 for some u with Jᵀu ≠ 0")
    inverse = W[:rank].T @ np.diag(1 / sigma[:rank]) @ U[:, :rank].T
    form = U[:, :rank].T @ inverse @ U[:, :rank]
    return Constant.numeric(np.linalg.eigvalsh((form + form.T) / 2)[0], cautious="low")


def _extreme(matrix: sp.MatrixBase, *, least: bool, seconds: float) -> sp.Expr | None:
    """The smallest or largest eigenvalue of a matrix with real eigenvalues, None if it is out of reach."""
    if matrix.rows > _EXACT:
        if matrix.free_symbols:
            raise ValueError(_unbound(matrix))
        return None
    try:
        with limited_time(seconds):
            if matrix.is_diagonal():
                return _choose([matrix[k, k] for k in range(matrix.rows)], least)
            if matrix.free_symbols:
                values = eigenvalues(sp.ImmutableMatrix(matrix))
                if not values:
                    raise ValueError(_unbound(matrix))
                return _choose(list(values), least)
            return _extreme_number(sp.ImmutableMatrix(matrix), least)
    except OutOfTime:
        if matrix.free_symbols:
            raise ValueError(_unbound(matrix)) from None
        return None


def _extreme_number(matrix: sp.ImmutableMatrix, least: bool) -> sp.Expr | None:
    if all(x.is_Rational for x in matrix):
        factors = [f for f, _ in matrix.charpoly().factor_list()[1]]
        return _choose([r for f in factors for r in _real_roots(f)], least)
    values = eigenvalues(matrix)
    exact = all(isinstance(v, sp.Expr) for v in values)
    return _choose(list(values), least) if exact else None


def _real_roots(f: sp.Poly) -> list[sp.Expr]:
    """The real roots of an irreducible polynomial: radicals up to degree 2, roots without radicals beyond."""
    if f.degree() > 2:
        return list(f.real_roots(radicals=False))
    return [sp.expand(sp.sqrtdenest(sp.radsimp(r))) for r in sp.roots(f.as_expr(), *f.gens, multiple=True)]


def _choose(values: list[sp.Expr], least: bool) -> sp.Expr:
    values = list(dict.fromkeys(values))
    if len(values) == 1:
        return values[0]
    if any(v.free_symbols for v in values):
        return (sp.Min if least else sp.Max)(*values)
    return sorted(values, key=lambda v: sp.re(evaluated(sp.sympify(v))))[0 if least else -1]


def _root(square: sp.Expr) -> sp.Expr:
    return square if square == 0 else sp.sqrtdenest(sp.sqrt(square))


def _array(J: sp.MatrixBase) -> np.ndarray:
    return np.array(J.evalf(30).tolist(), dtype=float).reshape(J.shape)


def _unbound(matrix: sp.MatrixBase) -> str:
    names = sorted(str(s) for s in matrix.free_symbols)
    return f"no closed form was found while {names} are free; bind them, or give params="
