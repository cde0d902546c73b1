"""For which factors τ on the last player's speed is an equilibrium stable?

    J_τ = diag(1, …, 1, τ, …, τ) J,      ż = -J_τ z,      stable iff every Re λ(J_τ) > 0

Eigenvalues reach the imaginary axis only where the guardian map vanishes,

    ν(τ) = det J_τ · det(J_τ ⊕ J_τ),     J ⊕ J the second additive compound, whose eigenvalues are λᵢ + λⱼ, i < j   (1)

a polynomial in τ.  Its positive roots cut τ > 0 into cells, and one value decides each.  With exact J the second factor
of (1) is taken as the Hurwitz determinant of every irreducible factor of the characteristic polynomial, which has the
same zeros; with floats J ⊕ J = B₀ + τB₁ is a pencil and the roots are its eigenvalues.

References
----------
.. [1] L. Saydy, A. Tits, E. Abed, Guardian maps and the generalized stability of parametrized families of matrices and
   polynomials, Math. Control Signals Systems 3 (1990).
.. [2] T. Fiez, L. Ratliff, Local convergence analysis of gradient descent ascent with finite timescale separation,
   ICLR 2021, arXiv:2009.14820.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Literal

import numpy as np
import sympy as sp

from gamedyn.stability.points import as_point
from gamedyn.stability.regions.parameter_floats import flow_abscissae
from gamedyn.stability.regions.parameters import Parameter, Problem, scaled
from gamedyn.stability.regions.stable_region import MAX_DIMENSION, solve_region
from gamedyn.stability.regions.stable_steps import spell
from gamedyn.stability.second_order import second_order
from gamedyn.stability.spectrum_signs import TOLERANCE, is_exact, sign

__all__ = ["Timescales", "additive_compound", "stable_timescales", "timescale_threshold"]

TAU = sp.Symbol("tau", positive=True)
TIME_LIMIT = 2.0  # seconds for the exact set
LARGEST = 40  # dimensions up to which the pencil, of size d(d - 1)/2, is formed
NEAR = 1e-9  # roots closer than this, relative to their size, are one


@dataclass(frozen=True)
class Timescales:
    """The τ > 0 for which an equilibrium is stable.

    Attributes
    ----------
    kind : {"exact", "numeric"}
    stable : Set
        A union of open intervals: windows and, where there is one, a ray.
    neutral : Set
        Where eigenvalues on the imaginary axis are semisimple and no other is unstable; exact answers only.
    reason : str
        Why the set is empty or not exact.
    """

    kind: Literal["exact", "numeric"]
    stable: sp.Set
    neutral: sp.Set = sp.S.EmptySet
    reason: str = ""

    @property
    def threshold(self) -> Any:
        """τ*, the start of the final ray (τ*, ∞) of stability: 0 if every τ is stable, None where there is no ray."""
        pieces = self.stable.args if isinstance(self.stable, sp.Union) else (self.stable,)
        rays = [p.start for p in pieces if isinstance(p, sp.Interval) and p.end == sp.oo]
        if not rays:
            return None
        return rays[0] if self.kind == "exact" else float(rays[0])

    def __repr__(self) -> str:
        where = f"for {spell(self.stable, TAU)}" if self.stable is not sp.S.EmptySet else "for no tau > 0"
        lines = [f"Timescales ({self.kind}): stable {where}"]
        if self.neutral is not sp.S.EmptySet:
            lines.append(f"  neutral for {spell(self.neutral, TAU)}")
        return "\n".join([*lines, f"  ({self.reason})"] if self.reason else lines)


def stable_timescales(game_or_J: Any, z: Any = None, *, players: Sequence[Any] | None = None) -> Timescales:
    """The factors τ on the last player's field for which an equilibrium attracts the flow.

    Parameters
    ----------
    game_or_J : game or matrix `(d, d)`
        A game of at least two players, or J itself.
    z : `(d,)`
        An equilibrium of the game; left out with a matrix.
    players : sequence of int or Player, with a matrix
        How many coordinates each player has.

    Returns
    -------
    Timescales
        Exact for rational and algebraic J up to dimension 8, numeric otherwise.

    Raises
    ------
    ValueError
        If v does not vanish at z, sizes do not add up, or free symbols are left.

    Examples
    --------
    >>> import gamedyn as gd
    >>> stable_timescales(gd.games.fiez_quadratic(), [0, 0, 0, 0])
    Timescales (exact): stable for 2 < tau
      neutral for tau = 2
    """
    if z is None:
        if players is None:
            raise ValueError("a matrix needs players=(sizes), as in stable_timescales(J, players=(2, 2))")
        return _timescales(_matrix(game_or_J), players)
    data = second_order(game_or_J, z if as_point(z) is z else list(as_point(z)))
    if not data.vanishes:
        raise ValueError(f"v does not vanish at {tuple(z)}: time scales belong to equilibria; see gd.equilibria(game)")
    return _timescales(data.jacobian, data.players)


def timescale_threshold(J: Any, players: Sequence[Any]) -> Any:
    """τ*, the smallest τ₀ >= 0 such that the flow is stable for every τ > τ₀ times the last player's speed.

    Parameters
    ----------
    J : Matrix or ndarray `(d, d)`
    players : sequence of int or Player
        How many coordinates each player has.

    Returns
    -------
    number or None
        Exact where J is, up to dimension 8.  None where no τ₀ exists, or symbols leave it undecided.

    Notes
    -----
    For 1 + 1 coordinates, J = [[a, b], [c, d]]: stable iff ad > bc and a + τd > 0, hence τ* = max(0, -a/d).

    Examples
    --------
    >>> J = sp.Matrix([[-4, 0, -4, 0], [0, 2, 0, 2], [4, 0, 2, 0], [0, -2, 0, 4]])
    >>> timescale_threshold(J, (2, 2))
    2
    """
    sizes = _sizes(players, J)
    if sizes == [1, 1]:
        return _planar(J)
    if len(sizes) < 2 or (is_exact(J) and J.free_symbols):
        return None
    return _timescales(J, sizes).threshold


def additive_compound(A: Any) -> Any:
    """A ⊕ A, the second additive compound `(d(d-1)/2, d(d-1)/2)`: its eigenvalues are the λᵢ + λⱼ, i < j.

    Twice the bialternate product A ⊙ I; SymPy for SymPy, float64 otherwise.

    Examples
    --------
    >>> additive_compound(sp.Matrix([[1, 2, 0], [0, 3, 0], [0, 0, 5]]))
    Matrix([
    [4, 0, 0],
    [0, 6, 2],
    [0, 0, 8]])
    """
    pairs = list(combinations(range(A.shape[0]), 2))
    exact = isinstance(A, sp.MatrixBase)
    result = sp.zeros(len(pairs)) if exact else np.zeros((len(pairs), len(pairs)))
    for row, (i, j) in enumerate(pairs):
        for column, (k, m) in enumerate(pairs):
            # ⟨eᵢ∧eⱼ, Aeₖ∧eₘ + eₖ∧Aeₘ⟩
            if j == m:
                result[row, column] += A[i, k]
            if i == m:
                result[row, column] -= A[j, k]
            if i == k:
                result[row, column] += A[j, m]
            if j == k:
                result[row, column] -= A[i, m]
    return result


# --- exact ------------------------------------------------------------------------------------------------------------


def _matrix(J: Any) -> Any:
    J = J.to_dense() if hasattr(J, "to_dense") else J
    return sp.ImmutableMatrix(J) if isinstance(J, sp.MatrixBase) else np.array(J, dtype=float)


def _sizes(players: Sequence[Any], J: Any) -> list[int]:
    sizes = [p if isinstance(p, int) else p.size for p in players]
    if J.shape != (sum(sizes), sum(sizes)):
        raise ValueError(f"players of sizes {sizes} need J of shape {(sum(sizes),) * 2}, got {tuple(J.shape)}")
    return sizes


def _timescales(J: Any, players: Sequence[Any]) -> Timescales:
    sizes = _sizes(players, J)
    if len(sizes) < 2:
        raise ValueError(
            "one player has no time scale of its own: τ is the last player's speed relative to the others'"
        )
    if not is_exact(J) or J.has(sp.Float):
        return _numeric(np.array(J, dtype=float), sizes, "J has floats")
    if J.free_symbols:
        raise ValueError(
            f"J has the free symbols {J.free_symbols}: ask stable_region(game, z, ['tau', ...]) for conditions"
        )
    if J.rows > MAX_DIMENSION or J.has(sp.CRootOf):
        reason = f"dimension {J.rows} > {MAX_DIMENSION}" if J.rows > MAX_DIMENSION else "roots without radicals"
        return _numeric(_floats(J), sizes, reason)
    matrix = sp.ImmutableMatrix(scaled(sp.Matrix(J), sizes, TAU))
    parameter = Parameter("tau", TAU, (sp.S.Zero, sp.oo))
    evaluate = flow_abscissae(lambda: matrix, [TAU])
    found = solve_region(Problem("flow", (parameter,), lambda: matrix, evaluate, "J", J.rows), TIME_LIMIT)
    if found.kind != "exact":
        return _numeric(_floats(J), sizes, found.reason.split(";")[0])
    return Timescales("exact", found.stable, found.neutral, found.reason)


def _floats(J: sp.MatrixBase) -> np.ndarray:
    return np.array(J.evalf(30).tolist(), dtype=float)


def _planar(J: Any) -> Any:
    """max(0, -a/d), with whatever is known of the signs of symbols."""
    a, d, size = J[0, 0], J[1, 1], 1.0 if is_exact(J) else max(1.0, float(np.abs(J).max()))
    if sign(a * d - J[0, 1] * J[1, 0], size**2) != 1:
        return None
    signs = (sign(a, size), sign(d, size))
    zero = sp.S.Zero if is_exact(J) else 0.0
    if signs[1] == 1 and signs[0] is not None:
        return zero if signs[0] >= 0 else (sp.cancel(-a / d) if is_exact(J) else float(-a / d))
    return zero if signs == (1, 0) else None


# --- floats -----------------------------------------------------------------------------------------------------------


def _numeric(J: np.ndarray, sizes: Sequence[int], reason: str) -> Timescales:
    """The cells between the roots of the pencil, decided by spectra; the ends of stable cells bisected."""
    roots = _pencil_roots(J, sizes)
    samples = [roots[0] / 2, *(np.sqrt(a * b) for a, b in pairwise(roots)), roots[-1] * 2] if roots else [1.0]
    inside = [_is_stable(J, sizes, t) for t in samples]
    ends = [0.0] if inside[0] else []
    for (a, b), (left, right) in zip(pairwise(samples), pairwise(inside), strict=True):
        if left != right:
            ends.append(_bisected(J, sizes, a, b, left))
    pieces = [*ends, np.inf] if inside[-1] else ends
    intervals = [
        sp.Interval.open(sp.Float(a) if a else 0, sp.Float(b) if np.isfinite(b) else sp.oo)
        for a, b in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    return Timescales("numeric", sp.Union(*intervals), reason=reason)


def _pencil_roots(J: np.ndarray, sizes: Sequence[int]) -> list[float]:
    """Candidates τ > 0 for det(B₀ + τB₁) = 0, B₀ + τB₁ = J_τ ⊕ J_τ; a geometric grid beyond 40 dimensions."""
    if len(J) > LARGEST:
        return [float(t) for t in np.geomspace(1e-4, 1e4, 400)]
    from scipy.linalg import eigvals

    slow, fast = J.copy(), J.copy()
    slow[-sizes[-1] :] = 0
    fast[: -sizes[-1]] = 0
    with np.errstate(all="ignore"):  # a singular pencil: eigenvalues 0/0
        values = eigvals(-additive_compound(slow), additive_compound(fast))
    near = values[np.isfinite(values) & (np.abs(values.imag) <= 1e-6 * np.abs(values))].real
    kept: list[float] = []
    for t in np.sort(near[(near > 1e-8) & (near < 1e8)]):
        if not kept or t > kept[-1] * (1 + NEAR):
            kept.append(float(t))
    return kept


def _is_stable(J: np.ndarray, sizes: Sequence[int], tau: float, slack: float = TOLERANCE) -> bool:
    matrix = scaled(J, sizes, tau)
    return bool(np.linalg.eigvals(matrix).real.min() > slack * np.abs(matrix).max())


def _bisected(J: np.ndarray, sizes: Sequence[int], a: float, b: float, left: bool) -> float:
    while b - a > 1e-14 * b:
        middle = (a + b) / 2
        if not a < middle < b:
            break
        a, b = (middle, b) if _is_stable(J, sizes, middle, 0.0) == left else (a, middle)
    return (a + b) / 2
