"""The players' own blocks of J: does a player sit at the bottom of its own cost, or on a saddle?

    Hᵢ = ∂vᵢ/∂zᵢ = ∇²ᵢᵢcᵢ        λ₁(Hᵢ) <= … <= λₙ(Hᵢ)                                      (1)

An eigenvalue of a symmetric matrix lies within ‖Hx - λx‖ of every λ, x of norm 1: a residual proves a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.games.field import Player
from gamedyn.stability.jacobian import GameJacobian, jacobian

__all__ = ["BlockCurvature", "block_curvature"]

SLACK = 1e3  # times the precision and the size of the block: rounding of the products themselves


@dataclass(frozen=True, eq=False)
class BlockCurvature:
    """The ends of the spectrum of one player's own block.

    Attributes
    ----------
    player : str
    size : int
    smallest, largest : float
        Its extreme eigenvalues.
    residuals : tuple of float
        ‖Hx - λx‖ of each.
    verdict : str
        "indefinite" and "negative" are proven by the residuals; "positive" rests on the iteration having found the
        smallest eigenvalue (it is certain where the block is small and solved densely); "undecided" otherwise.
    """

    player: str
    size: int
    smallest: float
    largest: float
    residuals: tuple[float, float]
    verdict: str

    def __repr__(self) -> str:
        low, high = self.residuals
        return (
            f"{self.player} ({self.size:,}): {self.verdict}, eigenvalues from {self.smallest:.6g} ± {low:.1e} "
            f"to {self.largest:.6g} ± {high:.1e}"
        )


def block_curvature(game: Any, z: Any = None, params: Any = None, **options: Any) -> tuple[BlockCurvature, ...]:
    """The extreme eigenvalues of every player's own block, and whether it is positive definite or indefinite.

    A player whose block is indefinite is at no minimum of its own cost, whatever the flow does there.

    Parameters
    ----------
    game : game, or GameJacobian
        Of any size: the ends of a large block come from products.
    z : array `(d,)` or torch vector
        The point; of floats.
    params : mapping, optional
    **options
        Of `GameJacobian.eigenvalues`, for large blocks.

    Returns
    -------
    tuple of BlockCurvature
        One per player.

    Raises
    ------
    ValueError
        If z has not the game's dimension or v is not finite there.

    References
    ----------
    .. [1] H. Berard et al., A closer look at the optimization landscapes of generative adversarial networks,
       ICLR 2020, arXiv:1906.04848.

    Examples
    --------
    >>> import gamedyn as gd
    >>> block_curvature(gd.zero_sum("x**2 + 3*x*y + y**2/2", min="x", max="y"), [0.0, 0.0])
    (x (1): positive, eigenvalues from 2 ± 4.4e-16 to 2 ± 4.4e-16,
     y (1): negative, eigenvalues from -1 ± 2.2e-16 to -1 ± 2.2e-16)
    """
    J = game if isinstance(game, GameJacobian) else jacobian(game, z, params)
    return tuple(_curvature(J.block(k).symmetric, p, options) for k, p in enumerate(J.players))


def _curvature(H: GameJacobian, player: Player, options: dict[str, Any]) -> BlockCurvature:
    ends = [H.eigenvalues(1, which, **options) for which in ("SR", "LR")]
    low, high = (float(np.real(e.values[0])) for e in ends)
    below, above = (float(e.residuals[0]) for e in ends)
    slack = SLACK * H.precision * max(abs(low), abs(high))
    rounding = H.precision * max(abs(low), abs(high))  # of the products, which the residuals do not see
    below, above = below + rounding, above + rounding
    if low + below + slack < 0:
        verdict = "indefinite" if high - above - slack > 0 else "negative" if high + above + slack < 0 else "undecided"
    else:
        verdict = "positive" if low - below - slack > 0 and all(e.converged.all() for e in ends) else "undecided"
    name = player.variables[0] if player.size == 1 and player.variables else player.name
    return BlockCurvature(name, player.size, low, high, (below, above), verdict)
