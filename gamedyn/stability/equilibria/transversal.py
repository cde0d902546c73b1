"""Stability across a manifold of equilibria: all eigenvalues in the right half-plane but those along the manifold.

    stable transversally, k neutral directions   iff   |λ| <= ε for exactly k eigenvalues of J = Dv,
                                                       Re λ > ε for all the others,
                                                       and Ju = 0 for k independent vectors u                 (1)

Where the zeros of v form a manifold of dimension k, its tangent vectors are in the null space of J.  A symmetry of the
costs makes such a manifold out of every equilibrium, so its tangent vectors explain neutral directions; those that none
explains are degenerate.  A defective eigenvalue 0 is no neutral direction: along it the linear flow grows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.number_text import format_eigenvalues
from gamedyn.stability.spectrum_signs import eigenvalues, evaluated, is_exact, spectrum_signs

__all__ = ["TOLERANCE", "Transversal", "transversal_class"]

TOLERANCE = 1e-9  # of floats, relative to max(1, max |J_kl|) or to the largest |λ|
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Transversal:
    """What (1) says of a spectrum, and what symmetries say of its neutral part.

    Attributes
    ----------
    stable : bool or None
        Whether (1) holds with k = `neutral`; None where signs are undecided, where some of the spectrum is unknown, and
        where 0 is defective.  Eigenvalues alone do not show the latter.
    neutral : int
        k, the number of eigenvalues with |λ| <= `tolerance`.
    known, dim : int
        Eigenvalues looked at, and d.
    tolerance : float
        ε in the units of λ; 0 where the signs are exact.
    failing : tuple
        Eigenvalues that are neither neutral nor have Re λ > ε.
    nullity : int or None
        Dimension of the null space of J (singular values <= ε), where the matrix is at hand.
    explained : int or None
        Neutral directions that the symmetries given span; None if none were given.
    outside : float or None
        The largest ‖Jt‖/‖t‖ of the symmetry directions t that are not in the null space; 0 if all are.
    angle : float or None
        Largest principal angle, in radians, between the symmetries that are in the null space and that space.
    """

    stable: bool | None
    neutral: int
    known: int
    dim: int
    tolerance: float
    failing: tuple[Any, ...] = ()
    nullity: int | None = None
    explained: int | None = None
    outside: float | None = None
    angle: float | None = None

    def __bool__(self) -> bool:
        return bool(self.stable)

    @property
    def summary(self) -> str:
        """The class in one line."""
        directions = f"{self.neutral} neutral direction{'' if self.neutral == 1 else 's'}"
        if self.stable:
            return f"stable transversally, {directions}"
        if self.failing:
            more = f" and {len(self.failing) - _SHOWN} more" if len(self.failing) > _SHOWN else ""
            shown = format_eigenvalues(self.failing[:_SHOWN]) or ", ".join(f"{v:.6g}" for v in self.failing[:_SHOWN])
            verdict = "undecided" if self.stable is None else "not stable transversally"
            return f"{verdict}, {directions}; failing: {shown}{more}"
        if self.nullity is not None and self.nullity < self.neutral:
            return f"undecided: 0 is a defective eigenvalue, {self.neutral} times with {self.nullity} eigenvectors"
        unknown = f"; {self.dim - self.known} of {self.dim} eigenvalues are not known" if self.known < self.dim else ""
        return f"undecided, {directions}{unknown}"

    def __repr__(self) -> str:
        limit = "signs are exact" if self.tolerance == 0 else f"neutral up to |λ| = {self.tolerance:.3g}"
        lines = [self.summary, f"  {self.known} of {self.dim} eigenvalues, {limit}"]
        if self.nullity is not None and self.nullity > self.neutral:
            lines.append(
                f"  the null space has dimension {self.nullity}, up to ε: J is far from normal, or ε too small"
            )
        if self.explained is not None:
            lines.append(f"  symmetries explain {self.explained} of {self.neutral}")
            if self.angle is not None:
                lines[-1] += f", largest angle to the null space {self.angle:.1e}"
            if self.outside:
                lines.append(
                    f"  some symmetry is not in the null space: ‖Jt‖/‖t‖ = {self.outside:.3g} (is v = 0 here?)"
                )
        return "\n".join(lines)


def transversal_class(
    J_or_eigenvalues: Any,
    *,
    tolerance: float | None = None,
    symmetries: Any = None,
    dim: int | None = None,
    smallest: bool = False,
    operator: Any = None,
) -> Transversal:
    """The class of an equilibrium across its neutral directions.

    Parameters
    ----------
    J_or_eigenvalues : matrix `(d, d)`, GameJacobian, or sequence `(m,)`
        J, dense or an operator that becomes dense; or eigenvalues alone, for instance of `gd.neural.spectrum`.
    tolerance : float, optional
        ε of (1), absolute; by default 1e-9 max(1, |J|).  Exact matrices are decided exactly where it is not given.
    symmetries : array `(d, m)`, optional
        Tangent vectors of known symmetries, as columns; needs J, or `operator`.
    dim : int, optional
        d, where only some eigenvalues are given: then the rest of the spectrum stays unknown.
    smallest : bool
        The eigenvalues given are those with the smallest real parts ("SR"), so that all others lie right of them.
    operator : with `J @ t`, optional
        J for the symmetries alone, where only eigenvalues are given: of a network too large for a dense matrix.

    Returns
    -------
    Transversal

    Raises
    ------
    ValueError
        If J is not square or not finite, symmetries are given without J or have other lengths, ε < 0, or `dim` is
        below the number of eigenvalues.

    Examples
    --------
    >>> import sympy as sp
    >>> transversal_class(sp.ImmutableMatrix([[2, 2], [2, 2]]))
    stable transversally, 1 neutral direction
      2 of 2 eigenvalues, signs are exact
    >>> transversal_class([0.0, 1e-3, 2.0], tolerance=1e-2).neutral
    2
    """
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; give ε >= 0, in the units of the eigenvalues")
    matrix = _matrix(J_or_eigenvalues)
    if matrix is None:
        found = _of_spectrum(tuple(J_or_eigenvalues), tolerance, dim, smallest)
        return found if symmetries is None else _by_products(found, operator, symmetries)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"J has shape {tuple(matrix.shape)}; give a square matrix, or a sequence of eigenvalues")
    if is_exact(matrix) and tolerance is None:
        found = _exact(matrix)
    else:
        numbers = _numbers(matrix)
        if not np.isfinite(numbers).all():
            raise ValueError("J has entries that are not finite; the costs overflow at this point")
        limit = TOLERANCE * max(1.0, float(np.abs(numbers).max(initial=0.0))) if tolerance is None else float(tolerance)
        found = _of_spectrum(tuple(np.linalg.eigvals(numbers)), limit, None, False)
    return _explained(found, matrix, symmetries)


def _matrix(given: Any) -> Any:
    """J as a SymPy or NumPy matrix, None if eigenvalues were given."""
    if is_exact(given) and getattr(given, "shape", None) is not None:
        return sp.ImmutableMatrix(given)
    dense = getattr(given, "to_dense", None)
    array = dense() if dense is not None else given
    if is_exact(array):
        return sp.ImmutableMatrix(array)
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return array if getattr(array, "ndim", 1) == 2 else None


def _exact(matrix: sp.ImmutableMatrix) -> Transversal:
    signs = spectrum_signs(matrix)
    bad = signs.negative + signs.imaginary
    stable = False if bad else None if signs.undecided else True
    failing: tuple[Any, ...] = ()
    if bad and not matrix.free_symbols:
        failing = tuple(sorted(eigenvalues(matrix), key=_real)[:bad] if not signs.imaginary else _off(matrix))
    return Transversal(stable, signs.zero, matrix.rows, matrix.rows, 0.0, failing)


def _off(matrix: sp.ImmutableMatrix) -> list[Any]:
    """Eigenvalues on the axis or left of it, without zero."""
    return [v for v in eigenvalues(matrix) if _real(v) < 1e-12 and abs(complex(v)) > 1e-12]


def _numbers(matrix: Any) -> np.ndarray:
    return np.array(evaluated(matrix).tolist() if is_exact(matrix) else matrix, dtype=float)


def _real(v: Any) -> float:
    return complex(v.evalf(30) if isinstance(v, sp.Expr) else v).real


def _of_spectrum(given: tuple[Any, ...], tolerance: float | None, dim: int | None, smallest: bool) -> Transversal:
    values = np.array([complex(v.evalf(30) if isinstance(v, sp.Expr) else v) for v in given])
    if not np.isfinite(values).all():
        raise ValueError("some eigenvalues are not finite; the costs overflow at this point")
    d = len(values) if dim is None else dim
    if d < len(values):
        raise ValueError(f"dim is {dim}, but {len(values)} eigenvalues are given; give the dimension d of J")
    limit = TOLERANCE * max(1.0, float(np.abs(values).max(initial=0.0))) if tolerance is None else float(tolerance)
    neutral = np.abs(values) <= limit
    failing = values[~neutral & ~(values.real > limit)]
    known = len(values) == d or (smallest and values.real.max(initial=-np.inf) > limit)
    stable = False if len(failing) else True if known else None
    ordered = tuple(complex(v) for v in sorted(failing, key=lambda v: (v.real, v.imag)))
    return Transversal(stable, int(neutral.sum()), len(values), d, limit, ordered)


def _explained(found: Transversal, matrix: Any, symmetries: Any) -> Transversal:
    """The result with the null space of J, and with the symmetries compared to it."""
    if is_exact(matrix) and matrix.free_symbols:
        if symmetries is not None:
            raise ValueError(f"J has the free symbols {sorted(map(str, matrix.free_symbols))}; give them values first")
        return found
    numbers = _numbers(matrix)
    _, sizes, right = np.linalg.svd(numbers)
    limit = found.tolerance or TOLERANCE * max(1.0, float(sizes[0]))
    null = right[sizes <= limit].T
    defective = null.shape[1] < found.neutral
    found = replace(found, nullity=null.shape[1], stable=None if found.stable and defective else found.stable)
    if symmetries is None:
        return found
    tangents = _unit(_tangents(symmetries, numbers.shape[0]))
    basis, outside = _inside(tangents, numbers @ tangents, limit)
    if not basis.shape[1]:
        return replace(found, explained=0, outside=outside)
    cosines = np.linalg.svd(null.T @ basis, compute_uv=False)
    sine = np.linalg.norm(basis - null @ (null.T @ basis), 2)
    angle = float(np.arctan2(sine, cosines.min(initial=1.0)))
    return replace(found, explained=basis.shape[1], outside=outside, angle=angle)


def _by_products(found: Transversal, operator: Any, symmetries: Any) -> Transversal:
    """The result with the symmetries for which J t = 0, up to ε."""
    if operator is None:
        raise ValueError("symmetries need J, and only eigenvalues were given; give J, or operator=gd.jacobian(game, z)")
    tangents = _unit(_tangents(symmetries, found.dim))
    products = [_array(operator @ _like(symmetries, t)) for t in tangents.T]
    images = np.stack(products, axis=1) if products else np.empty((found.dim, 0))
    basis, outside = _inside(tangents, images, found.tolerance)
    return replace(found, explained=basis.shape[1], outside=outside)


def _inside(tangents: np.ndarray, images: np.ndarray, limit: float) -> tuple[np.ndarray, float]:
    """An orthonormal basis of the unit tangents that J maps to 0, up to ten times `limit`; the largest other image."""
    errors = np.linalg.norm(images, axis=0)
    inside = errors <= 10 * max(limit, 1e-12)
    return _orthonormal(tangents[:, inside]), float(errors[~inside].max(initial=0.0))


def _unit(tangents: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(tangents, axis=0)
    return tangents[:, lengths > 0] / lengths[lengths > 0]


def _like(given: Any, t: np.ndarray) -> Any:
    """A vector in the type of the symmetries given."""
    return given.new_tensor(t) if hasattr(given, "new_tensor") else t


def _array(x: Any) -> np.ndarray:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x, dtype=float)


def _tangents(symmetries: Any, d: int) -> np.ndarray:
    if hasattr(symmetries, "detach"):
        symmetries = symmetries.detach().cpu().numpy()
    columns = np.array(symmetries.tolist() if is_exact(symmetries) else symmetries, dtype=float)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or columns.shape[0] != d:
        raise ValueError(
            f"symmetries have shape {columns.shape}; J needs tangent vectors as columns, (d, m) with d = {d}"
        )
    if not np.isfinite(columns).all():
        raise ValueError("symmetries have entries that are not finite")
    return columns


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    if not columns.shape[1]:
        return columns
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-8 * sizes[0]]
