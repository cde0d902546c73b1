"""Which matrix is meant: that of a flow ż = Mz, of a map z⁺ = Mz, or a game's own Jacobian.

    "jacobian"   M = J = Dv(z)       stable where every Re λ > 0
    "flow"       M = -J              stable where every Re λ < 0
    "map"        M = DT(z)           stable where every |λ| < 1

Eigenvalues say what becomes of a small displacement in the end, not before. Where eigenvectors are far from orthogonal
it may first grow a thousandfold, and a small change of M may move the eigenvalues far. What says so are sets and
numbers of M itself: pseudospectra, the numerical range, the Kreiss constant and the transient growth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Field
from gamedyn.maps.stepmap import StepMap
from gamedyn.stability.jacobian import DENSE_DIMENSION, GameJacobian, jacobian
from gamedyn.stability.regions.step_jacobian import step_jacobian

__all__ = ["KINDS", "LinearMap", "jacobian_of", "linear_map"]

KINDS = {"jacobian": "a game Jacobian", "flow": "the flow matrix", "map": "the step matrix"}


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A matrix, or a real operator too large for one, with what it stands for.

    Attributes
    ----------
    kind : {"jacobian", "flow", "map"}
    dim : int
        d.
    operator : scipy.sparse.linalg.LinearOperator or ndarray `(d, d)`
        What products are taken with.
    matrix : ndarray `(d, d)` or None
        None beyond the dense limit, d = 600.
    name : str
        What it is, in words.
    """

    kind: str
    dim: int
    operator: Any
    matrix: np.ndarray | None
    name: str

    @property
    def is_real(self) -> bool:
        """Whether conjugate points are equivalent."""
        return self.matrix is None or np.isrealobj(self.matrix)

    @cached_property
    def symmetric(self) -> np.ndarray:
        """(M + M*)/2, dense."""
        return (self.dense + self.dense.conj().T) / 2

    @property
    def dense(self) -> np.ndarray:
        """The matrix.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.matrix is None:
            raise ValueError(
                f"{self.name} has d = {self.dim}, beyond the dense limit {DENSE_DIMENSION}; take the projected variant "
                f"(krylov=...), or M.to_dense() if the time is worth it"
            )
        return self.matrix

    @cached_property
    def norm(self) -> float:
        """‖M‖₂, of a dense one."""
        return float(np.linalg.norm(self.dense, 2))


def linear_map(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    of_game: str = "jacobian",
) -> LinearMap:
    """The matrix of a game, of a step map or of a field at a point, or one that is given.

    Parameters
    ----------
    M : array `(d, d)`, SymPy matrix, torch tensor, GameJacobian, LinearOperator, or game, Field or StepMap with z
        A given matrix is that of the flow ż = Mz unless `kind` says "map".
    z : `(d,)`, optional
        The point; an equilibrium for a StepMap.
    params : mapping, optional
        Values of the game's parameters.
    kind : {"jacobian", "flow", "map"}, optional
        What is wanted: of a game J (by default `of_game`) or -J.

    Raises
    ------
    ValueError
        If the kind does not fit, the matrix is not square or not finite, or a game comes without its point.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(KINDS)}")
    if isinstance(M, StepMap):
        return _of_step(M, z, params, kind)
    if z is None and not isinstance(M, GameJacobian):
        return _given(M, params, kind or "flow")
    kind = kind or of_game
    if kind == "map":
        raise ValueError("a game has no step matrix; give gd.StepMap(method, game) and its equilibrium")
    if isinstance(M, GameJacobian) and z is not None:
        raise ValueError("a GameJacobian belongs to a point already; leave out z")
    return _signed(M if isinstance(M, GameJacobian) else _jacobian_at(M, z, params), kind)


def _of_step(T: StepMap, z: Any, params: Any, kind: str | None) -> LinearMap:
    if z is None:
        raise ValueError("a step map has its step matrix at an equilibrium; give the point z")
    if params:
        raise ValueError(f"a step map has its parameters already, got params={dict(params)}; give them to gd.StepMap")
    if kind not in (None, "map"):
        raise ValueError(f"kind={kind!r}, but a step map gives the matrix of a map; give its game for that of the flow")
    matrix = _floats(step_jacobian(T, z))
    return _dense_or_not(matrix, "map", f"DT of {T.method!r} on '{T.game.name}'")


def _given(M: Any, params: Any, kind: str) -> LinearMap:
    if params:
        raise ValueError(f"a matrix has no parameters, got params={dict(params)}")
    if callable(getattr(M, "matvec", None)):  # a LinearOperator
        if len(M.shape) != 2 or M.shape[0] != M.shape[1]:
            raise ValueError(f"the operator has shape {M.shape}; give a square one")
        if M.shape[0] <= DENSE_DIMENSION:
            return _dense_or_not(M @ np.eye(M.shape[0]), kind, "the operator")
        return LinearMap(kind, M.shape[0], M, None, "the operator")
    if hasattr(M, "field"):
        raise ValueError(f"'{M.name}' is a game; give the point z at which its Jacobian is taken")
    return _dense_or_not(_floats(M), kind, "the matrix")


def jacobian_of(M: Any, z: Any = None, params: Any = None) -> GameJacobian:
    """The float Jacobian of a game or Field at z, of a GameJacobian, or of a matrix that is J.

    Raises
    ------
    ValueError
        As in `linear_map`.
    """
    if z is None and not isinstance(M, GameJacobian):
        matrix = _given(M, params, "jacobian").dense
        if np.iscomplexobj(matrix):
            raise ValueError("the matrix is complex, and a game Jacobian is real; give its real form")
        return _of_matrix(matrix)
    J = M if isinstance(M, GameJacobian) else _jacobian_at(M, z, params)
    if z is not None and J is M:
        raise ValueError("a GameJacobian belongs to a point already; leave out z")
    return _of_matrix(_floats(J.to_dense())) if J.world == "exact" else J


def _of_matrix(matrix: np.ndarray) -> GameJacobian:
    d = len(matrix)
    return GameJacobian(lambda u: matrix @ u, lambda u: matrix.T @ u, d, "array", np.zeros(d), dense=matrix.copy)


def _jacobian_at(game: Any, z: Any, params: Any) -> GameJacobian:
    if isinstance(game, (np.ndarray, list, tuple, sp.MatrixBase)):
        raise ValueError("a matrix has no point; leave out z, or give a game with it")
    if not isinstance(game, Field):
        return jacobian(game, z, params)
    if params:
        raise ValueError(f"a field has its parameters already, got params={dict(params)}; give them to game.field")
    return GameJacobian.of(game, z if game.world == "neural" else np.asarray(z, dtype=float))


def _signed(J: GameJacobian, kind: str) -> LinearMap:
    sign, name = (-1.0, "-J") if kind == "flow" else (1.0, "J")
    if J.world == "exact" or J.dim <= DENSE_DIMENSION:
        return _dense_or_not(sign * _floats(J.to_dense()), kind, name)
    operator = J.to_scipy()
    return LinearMap(kind, J.dim, -operator if kind == "flow" else operator, None, name)


def _dense_or_not(matrix: np.ndarray, kind: str, name: str) -> LinearMap:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} has shape {matrix.shape}; give a square matrix (d, d)")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} has {int(np.sum(~np.isfinite(matrix)))} entries that are not finite")
    kept = matrix if len(matrix) <= DENSE_DIMENSION else None
    if kept is not None:
        return LinearMap(kind, len(matrix), matrix, kept, name)
    from scipy.sparse.linalg import aslinearoperator

    return LinearMap(kind, len(matrix), aslinearoperator(matrix), None, name)


def _floats(matrix: Any) -> np.ndarray:
    """float64 or complex128."""
    if isinstance(matrix, sp.MatrixBase):
        if matrix.free_symbols:
            raise ValueError(f"{sorted(map(str, matrix.free_symbols))} are free in the matrix; give them values")
        found = np.array(matrix.tolist(), dtype=complex)
    else:
        found = np.array(matrix.detach().cpu().numpy() if hasattr(matrix, "detach") else matrix)
    if np.iscomplexobj(found):
        found = found.astype(complex)
        return found if np.any(found.imag) else found.real.copy()
    return found.astype(float)
