"""Quadrature rules of a measure from the tridiagonal matrix of its orthogonal polynomials, and bounds for its mass.

    ∫ f dμ ≈ Σ_k w_k f(θ_k),   θ_k the eigenvalues of T, w_k = (e₁ᵀy_k)²     exact for degree up to 2m - 1    (1)

With one node moved to x, by a last row of T chosen for it, the rule is exact for degree up to 2m and its weights still
add up on both sides of x like the measure (Chebyshev, Markov, Stieltjes):

    Σ_{θ_k < x} w_k  <=  μ(-∞, x)  <=  μ(-∞, x]  <=  Σ_{θ_k <= x} w_k                                      (2)

References
----------
.. [1] G. H. Golub, J. H. Welsch, Calculation of Gauss quadrature rules, Math. Comp. 23 (1969) 221-230.
.. [2] G. H. Golub, Some modified matrix eigenvalue problems, SIAM Review 15 (1973) 318-334.
.. [3] N. I. Akhiezer, The Classical Moment Problem (1965), section 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["GaussRule"]

SAME = 1e-10  # relative distance at which a node is the point itself


@dataclass(frozen=True, eq=False)
class GaussRule:
    """A measure of mass 1, as far as its quadrature rule knows it.

    Attributes
    ----------
    nodes, weights : ndarray `(m,)`
        Nodes ascending, weights >= 0 of sum 1.
    matrix : tuple of ndarray `(m,)`, `(m,)`, or None
        T's diagonal, and the entries beside it with the length left over behind the last; None where the rule is the
        measure itself.

    Examples
    --------
    >>> rule = GaussRule.of(np.zeros(2), np.array([1.0, 1.0]))
    >>> rule.nodes.round(6), rule.weights.round(6)
    (array([-1.,  1.]), array([0.5, 0.5]))
    >>> tuple(round(bound, 6) for bound in rule.mass(0.0))
    (0.25, 0.75)
    """

    nodes: np.ndarray
    weights: np.ndarray
    matrix: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, diagonal: np.ndarray, side: np.ndarray, *, invariant: bool = False) -> GaussRule:
        """The rule (1) of T.

        Parameters
        ----------
        diagonal : ndarray `(m,)`
        side : ndarray `(m,)`
            What stands beside the diagonal, then the length that was left over.
        invariant : bool
            Whether nothing was: the rule is then exact.
        """
        nodes, weights = _rule(diagonal, side[: len(diagonal) - 1])
        return cls(nodes, weights, None if invariant else (diagonal, side))

    @property
    def degree(self) -> float:
        """The largest degree of polynomials that the rule integrates exactly; inf where it is the measure itself."""
        return np.inf if self.matrix is None else 2 * len(self.nodes) - 1

    @property
    def behind(self) -> float:
        """What a rule of one node misses of ∫ x² dμ: its degree is 1."""
        return float(self.matrix[1][0] ** 2) if self.matrix is not None and len(self.nodes) == 1 else 0.0

    def mass(self, x: float) -> tuple[float, float]:
        """Bounds of the mass left of x, that of x itself not counted and counted, by (2)."""
        nodes, weights = self.nodes, self.weights
        size = max(float(np.max(np.abs(nodes))), abs(x))
        if self.matrix is not None:
            diagonal, side = self.matrix
            last = _last_entry(diagonal, side, x)
            if abs(last) <= 1e12 * size:  # else x is a node of the rule already
                nodes, weights = _rule(np.append(diagonal, last), side)
        low, high = weights[nodes < x - SAME * size].sum(), weights[nodes <= x + SAME * size].sum()
        return float(min(low, 1.0)), float(min(high, 1.0))


def _rule(diagonal: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh_tridiagonal

    nodes, vectors = eigh_tridiagonal(diagonal, side)
    return nodes, vectors[0] ** 2


def _last_entry(diagonal: np.ndarray, side: np.ndarray, x: float) -> float:
    """The last entry of the diagonal for which x is a node: x + β²/δ, δ the last pivot of T - x."""
    pivot = float(diagonal[0]) - x
    for a, b in zip(diagonal[1:].tolist(), side.tolist(), strict=False):
        pivot = a - x - (b * b / pivot if pivot else np.inf)
    return x + float(side[-1]) ** 2 / pivot if pivot else np.inf
