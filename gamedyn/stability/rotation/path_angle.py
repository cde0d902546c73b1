"""Path-angle and path-norm: what the field does along a straight line between two states.

ω(α) = start + α (end - start)
cos(α) = ⟨-v(ω(α)), end - start⟩ / (‖v(ω(α))‖ ‖end - start‖)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from gamedyn.stability.points import enter

if TYPE_CHECKING:
    from gamedyn.games.field import Field

POINTS = 121  # of the default path, α from -0.1 to 1.1


@dataclass(frozen=True, eq=False)
class PathAngle:
    """What `path_angle` returns.

    Attributes
    ----------
    alphas : ndarray `(n,)`
        Positions on the line: 0 the start, 1 the end.
    cosine : ndarray `(n,)`
        The path-angle as its cosine; NaN where v = 0, where there is no direction.
    norm : ndarray `(n,)`
        The path-norm ‖v(ω(α))‖.
    """

    alphas: np.ndarray
    cosine: np.ndarray
    norm: np.ndarray

    @property
    def sign_switches(self) -> np.ndarray:
        """The α, interpolated, where the cosine goes from positive to negative: the flow arrives from both sides."""
        known = np.isfinite(self.cosine)
        a, c = self.alphas[known], self.cosine[known]
        k = np.flatnonzero((c[:-1] > 0) & (c[1:] <= 0))
        return a[k] + (a[k + 1] - a[k]) * c[k] / (c[k] - c[k + 1])

    def __repr__(self) -> str:
        if not np.isfinite(self.cosine).any():
            return f"PathAngle({len(self.alphas)} points, v = 0 at all of them)"
        low, high = np.nanargmin(self.cosine), np.nanargmax(self.cosine)
        switches = ", ".join(f"{a:.4g}" for a in self.sign_switches) or "nowhere"
        return (
            f"PathAngle({len(self.alphas)} points): cosine {self.cosine[high]:.4g} at α = {self.alphas[high]:.4g}, "
            f"{self.cosine[low]:.4g} at α = {self.alphas[low]:.4g}; from + to - {switches}"
        )


def path_angle(
    game: Any, start: Any, end: Any, alphas: ArrayLike | None = None, *, params: Mapping[str, Any] | None = None
) -> PathAngle:
    """The angle between the flow and a straight path, and the size of the field on it.

        ω(α) = start + α (end - start)
        cos(α) = ⟨-v(ω(α)), end - start⟩ / (‖v(ω(α))‖ ‖end - start‖)

    Positive where the flow ż = -v moves along with the path, towards the end. With the end at or near an
    equilibrium, the shape around α = 1 tells the archetypes apart: a switch of sign from + to - is attraction, a bump
    is rotation, a bump with a switch is both. A bump needs an end that is *not* exactly the equilibrium: on a line
    into the zero of a linear field the cosine is constant on either side. Costs one field evaluation for each α.

    Parameters
    ----------
    game : game or Field
        A game, also a transformed one, or a field such as ``game.field("neural")``.
    start, end : array `(d,)` or torch vector
        Two states, for instance the parameters at initialisation and after training.
    alphas : array `(n,)`, optional
        Positions on the line; 121 from -0.1 to 1.1 by default.
    params : mapping, optional
        Values of the game's parameters.

    Returns
    -------
    PathAngle

    Raises
    ------
    ValueError
        If the two states do not have the game's dimension, coincide or are not finite, or the positions are not
        one array of finite numbers.

    Notes
    -----
    On J = aI + bS, S a quarter turn, and a line into the zero: cos = ±a/√(a² + b²), switching its sign at α = 1.

    The published code takes v and the direction start - end, which is the same number.

    References
    ----------
    .. [1] H. Berard, G. Gidel, A. Almahairi, P. Vincent, S. Lacoste-Julien, A closer look at the optimization
       landscapes of generative adversarial networks, ICLR 2020, arXiv:1906.04848.

    Examples
    --------
    >>> import gamedyn as gd
    >>> path_angle(gd.zero_sum("x**2/2 + 2*x*y - y**2/2", min="x", max="y"), [3, 0], [0, 0], [0.5, 0.9, 1.1]).cosine
    array([ 0.4472136,  0.4472136, -0.4472136])
    """
    positions = np.linspace(-0.1, 1.1, POINTS) if alphas is None else np.array(alphas, dtype=float)
    if positions.ndim != 1 or positions.size == 0 or not np.isfinite(positions).all():
        raise ValueError(f"alphas of shape {positions.shape} must be one array (n,) of finite numbers, n > 0")
    F, first, last = _entered(game, start, end, params)
    if getattr(F, "world", "") == "neural":
        from gamedyn.games.products import refuse_random

        refuse_random(F, first)
    if first.ndim != 1 or first.shape != last.shape:
        raise ValueError(f"a path joins two points (d,), got shapes {tuple(first.shape)} and {tuple(last.shape)}")
    direction = last - first
    length = float((direction * direction).sum()) ** 0.5
    if not 0 < length < np.inf:
        raise ValueError(f"start and end are {length:g} apart; a path needs two different finite points")
    pairs = np.array(list(_measured(F, first, direction / length, positions * length)))
    inner, norm = pairs.T
    cosine = np.divide(inner, norm, out=np.full(norm.shape, np.nan), where=norm > 0)
    return PathAngle(positions, np.clip(cosine, -1.0, 1.0), norm)


def _measured(F: Callable[[Any], Any], first: Any, unit: Any, distances: np.ndarray) -> Iterator[tuple[float, float]]:
    """⟨-v, unit⟩ and ‖v‖ at each distance from the first point; one point at a time, because states may be networks."""
    for s in distances:
        v = _plain(F(first + float(s) * unit))
        yield -float((v * unit).sum()), float((v * v).sum()) ** 0.5


def _entered(game: Any, start: Any, end: Any, params: Any) -> tuple[Field | Callable[[Any], Any], Any, Any]:
    """The field, and the two points in the type of its world."""
    start, end = _plain(start), _plain(end)
    if not hasattr(game, "field"):  # a Field
        if params:
            raise ValueError(f"a field has its parameters already, got params={dict(params)}; give them to game.field")
        return game, start, end
    if len(end) != len(start):
        raise ValueError(f"start has {len(start)} coordinates and end has {len(end)}; give two states of one game")
    F, first = enter(game, start, params)
    return F, first, enter(game, end, params)[1]


def _plain(z: Any) -> Any:
    """A float array, or the torch vector without its graph."""
    if type(z).__module__.startswith("torch"):
        return z.detach()
    return np.array(list(z) if isinstance(z, sp.MatrixBase) else z, dtype=float)
