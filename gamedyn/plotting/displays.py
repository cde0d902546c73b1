"""One Display per kind of picture: data in, artists out.

``__init__`` holds the data, ``from_...`` computes it from plain arrays and callables, ``plot(ax=None)`` draws, keeps
its artists as attributes ending in an underscore and returns the display. Draw inside ``style.context()`` for the
house style. A second display drawn on the same axes shares its legend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from gamedyn.plotting import style
from gamedyn.plotting.planar import FieldDisplay, OrbitDisplay

__all__ = [
    "DistanceDisplay",
    "FieldDisplay",
    "OrbitDisplay",
    "RegionDisplay",
    "SampleGridDisplay",
    "SpectrumDisplay",
]

_STABLE_SIDE = {
    "map": "stable inside the unit circle",
    "jacobian": "stable right of the imaginary axis",
    "flow": "stable left of the imaginary axis",
}


class SpectrumDisplay:
    """Eigenvalues in the complex plane, with the border of stability and its stable side shaded.

    Parameters
    ----------
    series : mapping of label to complex array
        Eigenvalues of each series, any shape.
    kind : {"map", "jacobian", "flow"}
        A step map (stable iff every |λ| < 1), the game Jacobian J (iff every Re λ > 0) or the flow's matrix -J
        (iff every Re λ < 0).

    Attributes
    ----------
    points_ : dict of label to Line2D
    border_ : Circle or Line2D
    """

    def __init__(self, series: Mapping[str, ArrayLike], *, kind: str = "map") -> None:
        if kind not in _STABLE_SIDE:
            raise ValueError(f"There is no spectrum of kind {kind!r}. Use one of: {', '.join(_STABLE_SIDE)}.")
        self.series = {label: np.asarray(values, dtype=complex).ravel() for label, values in series.items()}
        self.kind = kind

    @classmethod
    def from_matrices(cls, matrices: Mapping[str, ArrayLike], *, kind: str = "map") -> SpectrumDisplay:
        """All eigenvalues of each matrix (d, d) or stack of matrices (n, d, d)."""
        return cls({label: np.linalg.eigvals(np.asarray(m)) for label, m in matrices.items()}, kind=kind)

    def plot(self, ax: Axes | None = None) -> SpectrumDisplay:
        """Draw the series, colours by label, markers in turn so that they differ in grey as well."""
        self.ax_ = style.new_axes(ax)
        self.points_ = {}
        colors = style.method_colors(list(self.series))
        for (label, values), marker in zip(self.series.items(), _markers(len(self.series)), strict=True):
            (self.points_[label],) = self.ax_.plot(
                values.real,
                values.imag,
                marker,
                color=colors[label],
                markerfacecolor="none",
                markersize=4.5,
                label=label,
                zorder=3,
            )
        self._draw_border()
        self.ax_.set(xlabel="Re λ", ylabel="Im λ")
        self.ax_.set_title(_STABLE_SIDE[self.kind], color=style.GREY)
        self.legend_ = style.outside_legend(self.ax_)
        return self

    def _draw_border(self) -> None:
        if self.kind == "map":
            self.border_: Any = style.unit_circle(self.ax_)
            self.ax_.set_aspect("equal", adjustable="datalim")
            self.ax_.autoscale_view()
            return
        self.border_ = self.ax_.axvline(0.0, color=style.GREY, linewidth=1.0, zorder=1)
        self.ax_.margins(0.1)
        left, right = self.ax_.get_xlim()
        span = (0.0, right) if self.kind == "jacobian" else (left, 0.0)
        self.ax_.axvspan(*span, **style.SHADE)
        self.ax_.set_xlim(left, right)


def _markers(count: int) -> list[str]:
    return [("o", "s", "^", "D", "v", "P", "X", "*")[index % 8] for index in range(count)]


class DistanceDisplay:
    """The race: distance to the equilibrium, on a logarithmic axis, for several methods.

    Parameters
    ----------
    series : mapping of label to (cost, distance)
        Both of shape (steps,).
    regimes : mapping of label to regime, optional
        Line styles; "converges" where nothing is said.
    axis : str
        What the horizontal axis counts.

    Attributes
    ----------
    lines_ : dict of label to Line2D
        In the order of the legend, which is that of the curves' right ends, from above.
    """

    def __init__(
        self,
        series: Mapping[str, tuple[ArrayLike, ArrayLike]],
        *,
        regimes: Mapping[str, str] | None = None,
        axis: str = "step",
    ) -> None:
        self.series = {
            label: (np.asarray(cost, dtype=float), np.asarray(distance, dtype=float))
            for label, (cost, distance) in series.items()
        }
        self.regimes, self.axis = dict(regimes or {}), axis
        for label, (cost, distance) in self.series.items():
            if cost.shape != distance.shape or cost.ndim != 1 or cost.size == 0:
                raise ValueError(f"{label}: cost {cost.shape} and distance {distance.shape} must be one (steps,) > 0.")

    @classmethod
    def from_orbits(
        cls,
        orbits: Mapping[str, ArrayLike],
        equilibrium: ArrayLike,
        *,
        gradients_per_step: Mapping[str, float] | None = None,
        regimes: Mapping[str, str] | None = None,
    ) -> DistanceDisplay:
        """‖z_k - z*‖ of orbits (steps, d), against the step or, where its cost is given, the gradient evaluations."""
        if gradients_per_step is not None and (missing := sorted(set(orbits) - set(gradients_per_step))):
            raise ValueError(f"gradients_per_step says nothing of {', '.join(missing)}; give it for every orbit.")
        series = {}
        for label, orbit in orbits.items():
            z = np.asarray(orbit, dtype=float)
            price = 1.0 if gradients_per_step is None else gradients_per_step[label]
            series[label] = (
                price * np.arange(len(z)),
                np.linalg.norm(z - np.asarray(equilibrium, dtype=float), axis=1),
            )
        return cls(series, regimes=regimes, axis="step" if gradients_per_step is None else "gradient evaluations")

    def plot(self, ax: Axes | None = None, *, limit: float = 1e3) -> DistanceDisplay:
        """Draw every curve; the axis ends at ``limit`` times the largest distance at the start."""
        self.ax_ = style.new_axes(ax)
        ordered = sorted(self.series, key=lambda label: _last_height(self.series[label][1]), reverse=True)
        # Colours follow the order given, so that a longer run, which ends in another order, keeps them.
        colors, self.lines_ = style.method_colors(list(self.series)), {}
        for label in ordered:
            cost, distance = self.series[label]
            shown = np.where(np.isfinite(distance) & (distance > 0), distance, np.nan)
            line = style.regime_line(self.regimes.get(label, "converges"))
            (self.lines_[label],) = self.ax_.semilogy(cost, shown, label=label, color=colors[label], linestyle=line)
        top = limit * max(distance[0] for _, distance in self.series.values())
        if np.isfinite(top) and top > 0 and self.ax_.get_ylim()[1] > top:
            self.ax_.set_ylim(top=top)
        self.ax_.set(xlabel=self.axis, ylabel="distance to the equilibrium")
        self.ax_.margins(x=0)
        self.legend_ = style.outside_legend(self.ax_)
        return self


def _last_height(distance: np.ndarray) -> float:
    return float(distance[-1]) if np.isfinite(distance[-1]) else np.inf


class RegionDisplay:
    """The spectral radius over a step size, its stable part (below one) shaded.

    Parameters
    ----------
    values : array (n,)
        Step sizes, ascending.
    radii : mapping of label to array (n,)
        The spectral radius ρ of each method.

    Attributes
    ----------
    lines_, shades_ : dict of label to Line2D, to FillBetweenPolyCollection
    """

    def __init__(self, values: ArrayLike, radii: Mapping[str, ArrayLike], *, parameter: str = "step size η") -> None:
        self.values = np.asarray(values, dtype=float)
        self.radii = {label: np.asarray(radius, dtype=float) for label, radius in radii.items()}
        self.parameter = parameter
        if self.values.ndim != 1 or (np.diff(self.values) <= 0).any():
            raise ValueError("The step sizes must be one ascending array (n,); sort them and drop repetitions.")
        for label, radius in self.radii.items():
            if radius.shape != self.values.shape:
                raise ValueError(
                    f"{label}: {radius.shape} radii for {self.values.shape} step sizes; give one for each."
                )

    @classmethod
    def from_functions(
        cls,
        radii: Mapping[str, Callable[[float], float]],
        values: ArrayLike,
        *,
        parameter: str = "step size η",
    ) -> RegionDisplay:
        """Evaluate ρ(η) of each method at each step size."""
        grid = np.asarray(values, dtype=float)
        return cls(grid, {name: [float(rho(eta)) for eta in grid] for name, rho in radii.items()}, parameter=parameter)

    def plot(self, ax: Axes | None = None, *, limit: float = 2.0) -> RegionDisplay:
        """Draw the curves, up to the spectral radius ``limit``."""
        self.ax_ = style.new_axes(ax)
        self.lines_, self.shades_ = {}, {}
        colors = style.method_colors(list(self.radii))
        for label, radius in self.radii.items():
            color = colors[label]
            (self.lines_[label],) = self.ax_.plot(self.values, radius, color=color, label=label, zorder=2)
            self.shades_[label] = self.ax_.fill_between(
                self.values, radius, 1.0, where=radius < 1.0, interpolate=True, color=color, alpha=0.15, linewidth=0
            )
        self.ax_.axhline(1.0, color=style.GREY, linewidth=1.0, zorder=1)
        if self.ax_.get_ylim()[1] > limit:
            self.ax_.set_ylim(top=limit)
        self.ax_.set(xlabel=self.parameter, ylabel="spectral radius ρ")
        self.ax_.margins(x=0)
        self.legend_ = style.outside_legend(self.ax_)
        return self


class SampleGridDisplay:
    """Grayscale images side by side.

    Parameters
    ----------
    images : array (n, h, w)
    limits : (float, float), optional
        Values of black and white; by default the least and the greatest of all images.

    Attributes
    ----------
    mosaic : array (rows (h + 1) - 1, columns (w + 1) - 1)
        One line of NaN, drawn white, between images.
    image_ : AxesImage
    """

    def __init__(
        self, images: ArrayLike, *, columns: int | None = None, limits: tuple[float, float] | None = None
    ) -> None:
        self.images = np.asarray(images, dtype=float)
        if self.images.ndim != 3 or 0 in self.images.shape:
            raise ValueError(f"Images have shape {self.images.shape}; give (n, h, w), none of them 0.")
        self.columns = columns or int(np.ceil(np.sqrt(len(self.images))))
        self.limits = limits or (float(np.nanmin(self.images)), float(np.nanmax(self.images)))
        self.mosaic = self._assemble()

    @classmethod
    def from_flat(cls, rows: ArrayLike, shape: tuple[int, int], **kwargs: Any) -> SampleGridDisplay:
        """Images given as rows of pixels (n, h·w); keywords as for the class."""
        flat = np.asarray(rows, dtype=float)
        return cls(flat.reshape(len(flat), *shape), **kwargs)

    def _assemble(self) -> np.ndarray:
        count, height, width = self.images.shape
        rows = -(-count // self.columns)
        cells = np.full((rows * self.columns, height + 1, width + 1), np.nan)
        cells[:count, :height, :width] = self.images
        grid = cells.reshape(rows, self.columns, height + 1, width + 1)
        return grid.transpose(0, 2, 1, 3).reshape(rows * (height + 1), -1)[:-1, :-1]

    def plot(self, ax: Axes | None = None) -> SampleGridDisplay:
        """Draw the mosaic without ticks."""
        self.ax_ = style.new_axes(ax)
        low, high = self.limits
        self.image_ = self.ax_.imshow(self.mosaic, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        self.ax_.set(xticks=[], yticks=[])
        self.ax_.spines[:].set_visible(False)
        count, height, width = self.images.shape
        self.ax_.set_xlabel(f"{count} samples of {height} × {width} pixels")
        return self
