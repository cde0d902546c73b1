"""Displays of the plane: the field of a game of two numbers, and orbits in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from gamedyn.plotting import style

Box = tuple[tuple[float, float], tuple[float, float]]


class FieldDisplay:
    """Arrows of the flow ż = -v(z) of a planar field.

    Parameters
    ----------
    x, y : array (columns,), (rows,)
        The grid.
    flow : array (2, rows, columns)
        The velocity -v at each grid point; entries that are not finite are left out.
    names : (str, str)
        Axis labels.

    Attributes
    ----------
    arrows_ : Quiver or StreamplotSet
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, flow: ArrayLike, *, names: tuple[str, str] = ("x", "y")) -> None:
        self.x, self.y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        self.flow = np.asarray(flow, dtype=float)
        self.names = names
        if self.flow.shape != (2, self.y.size, self.x.size):
            raise ValueError(
                f"The flow has shape {self.flow.shape}; {self.x.size} columns and {self.y.size} rows need "
                f"(2, {self.y.size}, {self.x.size})."
            )

    @classmethod
    def from_function(
        cls,
        fn: Callable[[np.ndarray], ArrayLike],
        box: Box,
        resolution: int = 20,
        *,
        names: tuple[str, str] = ("x", "y"),
    ) -> FieldDisplay:
        """Evaluate the joint gradient field v, ``fn(z)`` with z and v(z) of shape (2, batch), on a grid of the box."""
        (left, right), (bottom, top) = box
        x, y = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
        z = np.stack([axis.ravel() for axis in np.meshgrid(x, y)])
        v = np.asarray(fn(z), dtype=float)
        if v.shape != z.shape:
            raise ValueError(
                f"The field returned shape {v.shape} on points of shape {z.shape}; it must keep the shape."
            )
        return cls(x, y, -v.reshape(2, resolution, resolution), names=names)

    def plot(self, ax: Axes | None = None, *, kind: str = "quiver", color: str = style.GREY) -> FieldDisplay:
        """Draw as ``kind`` "quiver" (arrows, their length the fourth root of the speed) or "stream" (stream lines)."""
        if kind not in ("quiver", "stream"):
            raise ValueError(f"There is no kind of field picture {kind!r}. Use 'quiver' or 'stream'.")
        self.ax_ = style.new_axes(ax)
        u, w = np.ma.masked_invalid(self.flow[0]), np.ma.masked_invalid(self.flow[1])
        if kind == "stream":
            self.arrows_: Any = self.ax_.streamplot(
                self.x, self.y, u, w, color=color, linewidth=0.6, density=0.9, arrowsize=0.7
            )
        else:
            # True lengths would hide every arrow near an equilibrium, the part one looks at.
            speed = np.ma.hypot(u, w)
            scale = np.ma.filled(np.ma.masked_equal(speed, 0.0) ** 0.75, 1.0)
            self.arrows_ = self.ax_.quiver(
                self.x, self.y, u / scale, w / scale, color=color, angles="xy", pivot="mid", width=0.0025, zorder=1
            )
        self.ax_.set(xlabel=self.names[0], ylabel=self.names[1])
        return self


class OrbitDisplay:
    """Orbits in the plane, from a hollow circle to a filled square.

    Parameters
    ----------
    z : array (steps, 2) or (steps, 2, batch)
        The points; an orbit is drawn up to its first entry that is not finite.
    label : str
        The method, which also gives the colour.
    regime : {"converges", "neutral", "cycles", "diverges"}
        Gives the line style.

    Attributes
    ----------
    lines_ : list of Line2D, one per orbit
    starts_, ends_ : Line2D, the marks
    """

    def __init__(
        self, z: ArrayLike, *, label: str = "", regime: str = "converges", names: tuple[str, str] = ("x", "y")
    ) -> None:
        self.z = np.asarray(z, dtype=float)
        if self.z.ndim == 2:
            self.z = self.z[:, :, None]
        if self.z.ndim != 3 or self.z.shape[1] != 2 or self.z.shape[0] == 0:
            raise ValueError(
                f"Orbits have shape {np.shape(z)}; give (steps, 2) or (steps, 2, batch), e.g. z[:, [0, 1]]."
            )
        self.label, self.regime, self.names = label, regime, names

    @classmethod
    def from_step(
        cls, step: Callable[[np.ndarray], ArrayLike], start: ArrayLike, steps: int, **kwargs: Any
    ) -> OrbitDisplay:
        """Iterate z+ = ``step(z)`` from ``start`` of shape (2,) or (2, batch); keywords as for the class."""
        points = [np.asarray(start, dtype=float)]
        for _ in range(steps):
            points.append(np.asarray(step(points[-1]), dtype=float))
        return cls(np.stack(points), **kwargs)

    def plot(self, ax: Axes | None = None, *, color: str | None = None) -> OrbitDisplay:
        """Draw the orbits; ``color`` replaces the method's."""
        self.ax_ = style.new_axes(ax)
        color = color or style.method_color(self.label)
        line = style.regime_line(self.regime)
        self.lines_, starts, ends = [], [], []
        for index in range(self.z.shape[2]):
            orbit = _finite_head(self.z[:, :, index])
            label = self.label if index == 0 and self.label else None
            self.lines_ += self.ax_.plot(orbit[:, 0], orbit[:, 1], color=color, linestyle=line, label=label, zorder=2)
            starts += list(orbit[:1])
            ends += list(orbit[-1:])
        self.starts_ = self._marks(starts, marker="o", edge=color, face="white")
        self.ends_ = self._marks(ends, marker="s", edge=color, face=color)
        self.ax_.set(xlabel=self.names[0], ylabel=self.names[1])
        self.legend_ = style.outside_legend(self.ax_)
        return self

    def _marks(self, points: list[np.ndarray], *, marker: str, edge: str, face: str) -> Any:
        at = np.reshape(points, (-1, 2))
        return self.ax_.plot(
            at[:, 0], at[:, 1], marker, markersize=4, markeredgecolor=edge, markerfacecolor=face, zorder=3
        )[0]


def _finite_head(orbit: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(orbit).all(axis=1)
    return orbit[: int(np.argmax(bad))] if bad.any() else orbit
