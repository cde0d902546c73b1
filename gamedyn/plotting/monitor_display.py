"""What a monitor has seen, against the training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gamedyn.plotting import style

__all__ = ["MonitorDisplay"]

_COLORS = style.OKABE_ITO
_DASHES = ("-", "--", "-.")
_MARKS: dict[str, Any] = {"marker": ".", "markersize": 3.5}  # the looks, which need not be evenly spaced


class MonitorDisplay:
    """Eigenvalues, rotation, path and field of a training, one panel each, over the steps.

    Parameters
    ----------
    steps : array (n,)
        Of the looks at finite points.
    eigenvalues : sequence of complex arrays (m,)
        m may differ from look to look.
    rotation : mapping of label to array (n,)
        Measures in [0, 1].
    path_cosine : array (n,)
    field_norms : mapping of player to array (n,)
    nonfinite : array
        Steps at which something was not finite.

    Attributes
    ----------
    axes_ : array (4,) of Axes
    real_parts_, smallest_real_, modulus_ : Line2D
    rotation_, norms_ : dict of label to Line2D
    cosine_ : Line2D
    """

    def __init__(
        self,
        steps: Any,
        eigenvalues: Sequence[np.ndarray],
        *,
        rotation: dict[str, np.ndarray],
        path_cosine: np.ndarray,
        field_norms: dict[str, np.ndarray],
        nonfinite: Any = (),
    ) -> None:
        self.steps = np.asarray(steps, dtype=float)
        self.eigenvalues = [np.asarray(values, dtype=complex) for values in eigenvalues]
        self.rotation, self.path_cosine, self.field_norms = rotation, np.asarray(path_cosine, dtype=float), field_norms
        self.nonfinite = np.asarray(nonfinite, dtype=float)
        if len(self.steps) == 0:
            raise ValueError("there is no look at a finite point among these records; nothing can be drawn")
        for label, values in {"path_cosine": self.path_cosine, **rotation, **field_norms}.items():
            if np.shape(values) != self.steps.shape:
                raise ValueError(f"{label}: {np.shape(values)} values for {self.steps.shape} steps; give one for each")
        if len(self.eigenvalues) != len(self.steps):
            raise ValueError(f"{len(self.eigenvalues)} sets of eigenvalues for {len(self.steps)} steps; give one each")

    @classmethod
    def from_records(cls, records: Sequence[Any]) -> MonitorDisplay:
        """From the records of a monitor or of its file, `read_monitor(path)`; skipped steps leave no mark."""
        seen = [r for r in records if r.is_measured]
        column: Callable[[str], np.ndarray] = lambda name: np.array([getattr(r, name) for r in seen])  # noqa: E731
        return cls(
            column("step"),
            [r.eigenvalues for r in seen],
            rotation={
                "‖A‖ / ‖J‖": column("antisymmetric_share"),
                "mean |Im λ| / |λ|": column("imaginary_share"),
                "largest |arg λ| / π": column("angle") / np.pi,
            },
            path_cosine=column("path_cosine"),
            field_norms={
                name: np.array([r.field_norms.get(name, np.nan) for r in seen])
                for name in dict.fromkeys(name for r in seen for name in r.field_norms)
            },
            nonfinite=[r.step for r in records if r.nonfinite],
        )

    def plot(self, axes: Sequence[Axes] | None = None) -> MonitorDisplay:
        """Draw the four panels, on axes of a new figure unless four are given."""
        self.axes_ = np.asarray(_new_axes() if axes is None else list(axes), dtype=object)
        if self.axes_.shape != (4,):
            raise ValueError(f"axes of shape {self.axes_.shape} are given; this picture needs 4")
        self._draw_eigenvalues(self.axes_[0])
        self._draw_rotation(self.axes_[1])
        self._draw_cosine(self.axes_[2])
        self._draw_norms(self.axes_[3])
        for ax in self.axes_:
            for step in self.nonfinite:
                ax.axvline(step, color=_COLORS["vermillion"], linestyle=style.regime_line("diverges"))
            if ax.get_legend_handles_labels()[0]:
                style.outside_legend(ax)
        self.axes_[-1].set_xlabel("step")
        return self

    def _draw_eigenvalues(self, ax: Axes) -> None:
        """Every real part as a point, the largest modulus and the smallest real part as lines."""
        each = np.concatenate([values.real for values in self.eigenvalues])
        where = np.repeat(self.steps, [len(values) for values in self.eigenvalues])
        modulus = [np.max(np.abs(values)) if len(values) else np.nan for values in self.eigenvalues]
        smallest = [np.min(values.real) if len(values) else np.nan for values in self.eigenvalues]
        (self.real_parts_,) = ax.plot(where, each, ".", color=style.GREY, markersize=2.5, label="Re λ", zorder=1)
        (self.modulus_,) = ax.plot(self.steps, modulus, color=_COLORS["blue"], label="largest |λ|", **_MARKS)
        (self.smallest_real_,) = ax.plot(
            self.steps, smallest, color=_COLORS["vermillion"], linestyle="--", label="smallest Re λ", **_MARKS
        )
        ax.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
        ax.set_ylabel("leading λ(J)")

    def _draw_rotation(self, ax: Axes) -> None:
        colors = (_COLORS["green"], _COLORS["orange"], _COLORS["purple"])
        self.rotation_ = self._lines(ax, self.rotation, colors)
        ax.set(ylabel="rotation", ylim=(-0.03, 1.03))

    def _draw_cosine(self, ax: Axes) -> None:
        (self.cosine_,) = ax.plot(self.steps, self.path_cosine, color=_COLORS["black"], label="cos(-v, path)", **_MARKS)
        ax.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
        ax.set(ylabel="path cosine", ylim=(-1.05, 1.05))

    def _draw_norms(self, ax: Axes) -> None:
        self.norms_ = self._lines(ax, self.field_norms, tuple(_COLORS.values()))
        if any((values > 0).any() for values in self.field_norms.values()):
            ax.set_yscale("log")
        ax.set_ylabel("‖v‖")

    def _lines(self, ax: Axes, series: dict[str, np.ndarray], colors: Sequence[str]) -> dict[str, Any]:
        """One line for each series that has a number, colours and dashes in turn."""
        drawn = {}
        for i, (label, values) in enumerate(series.items()):
            if np.isfinite(values).any():
                look: dict[str, Any] = {"color": colors[i % len(colors)], "linestyle": _DASHES[i % len(_DASHES)]}
                (drawn[label],) = ax.plot(self.steps, values, label=label, **look, **_MARKS)
        return drawn


def _new_axes() -> Any:
    # Inside the function: see style.new_axes.
    import matplotlib.pyplot as plt

    width, height = plt.rcParams["figure.figsize"]
    return plt.subplots(4, 1, sharex=True, figsize=(1.25 * width, 2 * height), layout="constrained")[1]
