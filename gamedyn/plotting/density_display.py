"""How eigenvalues are distributed: a density with its band on the real line, Ritz values in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from gamedyn.plotting import style

__all__ = ["DensityDisplay", "RitzCloudDisplay"]

FLOOR = 1e-5  # of the highest density, where the axis of a logarithmic picture ends


class DensityDisplay:
    """Densities of real eigenvalues with their 95 % bands; what lies left of zero is shaded.

    Parameters
    ----------
    series : mapping of label to (x, density, low, high)
        All `(n,)`, as `DensityCurve` holds them.
    eigenvalues : array, optional
        Exact ones, drawn as a histogram of the same area.
    log : bool
        Logarithmic density: a few eigenvalues far from many are then seen.

    Attributes
    ----------
    lines_, bands_ : dict of label to Line2D, to FillBetweenPolyCollection
    bars_ : StepPatch or None
    """

    def __init__(
        self,
        series: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]],
        *,
        eigenvalues: ArrayLike | None = None,
        log: bool = False,
    ) -> None:
        self.series = {label: tuple(np.asarray(a, dtype=float) for a in arrays) for label, arrays in series.items()}
        for label, arrays in self.series.items():
            if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1 or len(arrays) != 4:
                raise ValueError(
                    f"{label}: shapes {[a.shape for a in arrays]}; give x, density, low and high of one shape (n,)."
                )
        self.eigenvalues = None if eigenvalues is None else np.asarray(eigenvalues, dtype=float).ravel()
        self.log = log

    @classmethod
    def from_densities(
        cls,
        densities: Mapping[str, Any],
        *,
        width: float | None = None,
        eigenvalues: ArrayLike | None = None,
        log: bool = False,
    ) -> DensityDisplay:
        """Of what `gd.spectral_density` returns for symmetric operators, each smoothed with `width`."""
        curves = {label: density.curve(width=width) for label, density in densities.items()}
        series = {label: (c.x, c.density, c.low, c.high) for label, c in curves.items()}
        return cls(series, eigenvalues=eigenvalues, log=log)

    def plot(self, ax: Axes | None = None) -> DensityDisplay:
        """Draw the histogram, the bands and the curves."""
        self.ax_ = style.new_axes(ax)
        self.bars_ = self._draw_bars()
        self.lines_, self.bands_ = {}, {}
        colors = style.method_colors(list(self.series))
        for label, (x, density, low, high) in self.series.items():
            (self.lines_[label],) = self.ax_.plot(x, density, color=colors[label], label=label, zorder=3)
            self.bands_[label] = self.ax_.fill_between(
                x, low, high, color=colors[label], alpha=0.25, linewidth=0, zorder=2
            )
        self._limit()
        self.ax_.axvline(0.0, color=style.GREY, linewidth=1.0, zorder=1)
        left, right = self.ax_.get_xlim()
        if left < 0:
            self.ax_.axvspan(left, min(0.0, right), facecolor=style.GREY, alpha=0.12, linewidth=0, zorder=0)
        self.ax_.set_xlim(left, right)
        self.ax_.set(xlabel="eigenvalue λ", ylabel="share per unit of λ")
        self.legend_ = style.outside_legend(self.ax_)
        return self

    def _draw_bars(self) -> Any:
        if self.eigenvalues is None:
            return None
        counts, edges = np.histogram(self.eigenvalues, bins="fd", density=True)
        return self.ax_.stairs(
            counts, edges, fill=True, facecolor=style.GREY, alpha=0.4, label="all eigenvalues", zorder=1
        )

    def _limit(self) -> None:
        top = max((float(a[1].max()) for a in self.series.values()), default=1.0)
        if self.log:
            self.ax_.set_yscale("log")
            self.ax_.set_ylim(FLOOR * top, 2 * max(top, *(float(a[3].max()) for a in self.series.values())))
        else:
            self.ax_.set_ylim(bottom=0.0)
        self.ax_.margins(x=0)


class RitzCloudDisplay:
    """Ritz values in the complex plane, their area proportional to their share: a picture, no density.

    Parameters
    ----------
    values : complex array `(n,)`
    shares : array `(n,)`
        Of sum 1.
    eigenvalues : complex array, optional
        Exact ones, drawn as small crosses.

    Attributes
    ----------
    points_ : PathCollection
    crosses_ : Line2D or None
    """

    def __init__(self, values: ArrayLike, shares: ArrayLike, *, eigenvalues: ArrayLike | None = None) -> None:
        self.values, self.shares = np.asarray(values, dtype=complex), np.asarray(shares, dtype=float)
        if self.values.shape != self.shares.shape or self.values.ndim != 1:
            raise ValueError(f"values {self.values.shape} and shares {self.shares.shape} must be one shape (n,).")
        self.eigenvalues = None if eigenvalues is None else np.asarray(eigenvalues, dtype=complex).ravel()

    @classmethod
    def from_cloud(cls, cloud: Any, *, eigenvalues: ArrayLike | None = None) -> RitzCloudDisplay:
        """Of what `gd.spectral_density(..., part="full")` returns."""
        return cls(cloud.values, cloud.shares, eigenvalues=eigenvalues)

    def plot(self, ax: Axes | None = None) -> RitzCloudDisplay:
        """Draw the values; the half plane of growth under the flow, Re λ < 0, is shaded."""
        self.ax_ = style.new_axes(ax)
        areas = 1500 * self.shares
        self.points_ = self.ax_.scatter(
            self.values.real,
            self.values.imag,
            s=np.clip(areas, 8.0, 200.0),
            color=style.OKABE_ITO["blue"],
            alpha=0.4,
            linewidths=0,
            label="Ritz values",
            zorder=2,
        )
        self.crosses_ = None
        if self.eigenvalues is not None:
            (self.crosses_,) = self.ax_.plot(
                self.eigenvalues.real,
                self.eigenvalues.imag,
                "x",
                color="black",
                markersize=2.0,
                markeredgewidth=0.4,
                label="all eigenvalues",
                zorder=3,
            )
        self.ax_.axvline(0.0, color=style.GREY, linewidth=1.0, zorder=1)
        self.ax_.margins(0.08)
        left, right = self.ax_.get_xlim()
        if left < 0:
            self.ax_.axvspan(left, min(0.0, right), facecolor=style.GREY, alpha=0.12, linewidth=0, zorder=0)
        self.ax_.set_xlim(left, right)
        self.ax_.set(xlabel="Re λ", ylabel="Im λ")
        self.ax_.set_title("a picture of the spectrum, no density", color=style.GREY)
        self.legend_ = style.outside_legend(self.ax_)
        return self
