"""Pseudospectra as contours of log₁₀ σ_min, with the eigenvalues and the border of stability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from gamedyn.plotting import style

__all__ = ["PseudospectrumDisplay"]

_STABLE_SIDE = {
    "map": "stable inside the unit circle",
    "jacobian": "stable right of the imaginary axis",
    "flow": "stable left of the imaginary axis",
}
MOST_LEVELS = 8


class PseudospectrumDisplay:
    """Level lines of the resolvent: inside the line ε lie the eigenvalues of all M + E with ‖E‖ <= ε.

    Parameters
    ----------
    x, y : array (nx,), (ny,)
        Real and imaginary parts of the grid.
    sigma : array (ny, nx)
        σ_min(zI - M).
    eigenvalues : complex array
    kind : {"map", "jacobian", "flow"}
        Which border of stability is drawn.
    levels : sequence of float, optional
        The ε, positive; by default powers of ten, at most eight.
    outline : complex array, optional
        The boundary of the numerical range, drawn dashed.

    Attributes
    ----------
    contours_ : QuadContourSet
    points_, outline_ : Line2D
        outline_ is None without one.
    border_ : Circle or Line2D
    bar_ : Colorbar
        None for a single level.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sigma: ArrayLike,
        eigenvalues: ArrayLike,
        *,
        kind: str = "flow",
        levels: Sequence[float] | None = None,
        outline: ArrayLike | None = None,
    ) -> None:
        if kind not in _STABLE_SIDE:
            raise ValueError(f"There is no pseudospectrum of kind {kind!r}. Use one of: {', '.join(_STABLE_SIDE)}.")
        self.x, self.y, self.sigma = (np.asarray(a, dtype=float) for a in (x, y, sigma))
        if self.sigma.shape != (len(self.y), len(self.x)):
            raise ValueError(
                f"sigma has shape {self.sigma.shape} on {len(self.x)} x and {len(self.y)} y; give (ny, nx)."
            )
        self.eigenvalues = np.asarray(eigenvalues, dtype=complex).ravel()
        self.kind = kind
        self.levels = np.sort(_powers(self.sigma) if levels is None else np.asarray(levels, dtype=float))
        if not len(self.levels) or not (self.levels > 0).all():
            raise ValueError(f"levels = {levels} must be positive numbers ε, at least one.")
        self.outline = None if outline is None else np.asarray(outline, dtype=complex)

    @classmethod
    def from_pseudospectrum(
        cls, P: Any, *, levels: Sequence[float] | None = None, outline: ArrayLike | None = None
    ) -> PseudospectrumDisplay:
        """Of what `gd.pseudospectrum` returns; `outline` takes the points of `gd.numerical_range`."""
        return cls(P.x, P.y, P.sigma, P.eigenvalues, kind=P.kind, levels=levels, outline=outline)

    def plot(self, ax: Axes | None = None) -> PseudospectrumDisplay:
        """Draw the level lines, the eigenvalues as dots, the border in grey and its stable side shaded."""
        self.ax_ = style.new_axes(ax)
        heights = np.log10(np.maximum(self.sigma, 1e-300))
        # The colours stop short of the map's yellow end, too pale for a line on white paper.
        shades = colormaps["viridis"](np.linspace(0.0, 0.85, len(self.levels)))
        self.contours_ = self.ax_.contour(
            self.x, self.y, heights, levels=np.log10(self.levels), colors=shades, linestyles="solid", zorder=2
        )
        (self.points_,) = self.ax_.plot(
            self.eigenvalues.real,
            self.eigenvalues.imag,
            "o",
            color="black",
            markersize=3.0,
            label="eigenvalues",
            zorder=4,
        )
        self.outline_ = self._draw_outline()
        self._draw_border()
        self.ax_.set(xlabel="Re z", ylabel="Im z", xlim=self.x[[0, -1]], ylim=self.y[[0, -1]])
        self.ax_.set_aspect("equal")
        self.ax_.set_title(_STABLE_SIDE[self.kind], color=style.GREY)
        self.bar_ = self._draw_levels()
        below: dict[str, Any] = {
            "loc": "upper center",
            "bbox_to_anchor": (0.5, -0.16),
            "ncols": 2,
            "borderaxespad": 0.0,
        }
        title = f"line: ε = {self.levels[0]:g}" if self.bar_ is None else None
        self.legend_ = self.ax_.legend(title=title, **below)
        return self

    def _draw_outline(self) -> Any:
        if self.outline is None:
            return None
        closed = np.append(self.outline, self.outline[:1])
        (line,) = self.ax_.plot(
            closed.real, closed.imag, "--", color=style.GREY, linewidth=1.0, label="numerical range", zorder=1
        )
        return line

    def _draw_levels(self) -> Any:
        """The levels as a bar with one tick each; none for a single level, which the title of the legend names."""
        if len(self.levels) == 1:
            return None
        bar = self.ax_.figure.colorbar(self.contours_, ax=self.ax_, shrink=0.85)
        bar.set_ticks(np.log10(self.levels).tolist(), labels=[_power_text(e) for e in self.levels])
        bar.set_label("ε")
        for line in bar.ax.collections:
            line.set_linewidth(2.0)
        return bar

    def _draw_border(self) -> None:
        if self.kind == "map":
            self.border_: Any = style.unit_circle(self.ax_)
            return
        self.border_ = self.ax_.axvline(0.0, color=style.GREY, linewidth=1.0, zorder=1)
        far = 2 * float(np.abs(self.x[[0, -1]]).max())
        self.ax_.axvspan(*((0.0, far) if self.kind == "jacobian" else (-far, 0.0)), **style.SHADE)


def _powers(sigma: np.ndarray) -> np.ndarray:
    """Powers of ten within the grid's values, halves of a decade where there are few, at most eight."""
    positive = sigma[sigma > 0]
    low, high = np.log10(positive.min()), np.log10(positive.max())
    low = max(low, high - 16)  # what lies lower is rounding
    step = next((s for s in (0.25, 0.5, 1, 2) if (high - low) / s <= MOST_LEVELS), 4)
    exponents = step * np.arange(np.ceil(low / step + 1e-9), np.floor(high / step) + 1)
    return 10.0 ** (exponents if len(exponents) else np.array([(low + high) / 2]))


def _power_text(epsilon: float) -> str:
    exponent = np.log10(epsilon)
    shown = f"{exponent:.2f}".rstrip("0").rstrip(".")
    return f"$10^{{{shown}}}$"
