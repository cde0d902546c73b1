"""One picture of a training: what the generator gave on the way, the costs, what it covers, and eigenvalues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from gamedyn.plotting import style
from gamedyn.plotting.displays import SpectrumDisplay

__all__ = ["TrainingDisplay", "TrainingSeries"]

JUDGED = 2500  # samples in which modes and classes are counted
DRAWN = 1000  # of them, in a cloud
COLUMNS = 16  # pictures in a row
STRIP = 6  # clouds in a row, at least the room for them
FEW = 50  # costs that are also drawn as dots, so that a single one is seen
_COLORS = style.OKABE_ITO
_PLAYERS = (_COLORS["blue"], _COLORS["vermillion"], _COLORS["green"], _COLORS["purple"])


@dataclass(frozen=True)
class TrainingSeries:
    """Numbers against the step: one array `(n,)` for every name."""

    steps: np.ndarray
    values: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, values in self.values.items():
            if np.shape(values) != np.shape(self.steps) or np.ndim(values) != 1:
                raise ValueError(
                    f"{name}: {np.shape(values)} values for {np.shape(self.steps)} steps; give one for each"
                )


class TrainingDisplay:
    """Samples through a training in a strip; below it costs, coverage, and eigenvalues of J.

    Clouds are drawn over the data; of pictures, row after row, every column is one latent vector.

    Parameters
    ----------
    samples : mapping of title to array (n, d)
        In the order of the training.
    data : array (m, d)
        To compare with.
    image_shape : (h, w) or (c, h, w), optional
        Where rows are pictures.
    modes : array (k, d), optional
        Centres of the data.
    costs : TrainingSeries
        Of every player.
    found : TrainingSeries, optional
        Modes found; `classes`, where given, takes its place, and where neither is, `norms` does.
    classes : (labels, shares of the data, shares of the samples), optional
        Each (k,).
    norms : TrainingSeries, optional
        ‖v‖ of every player.
    spectra : mapping of title to complex array
        One panel each.

    Attributes
    ----------
    coverage : ModeCoverage, ClassCoverage or None
        What the samples of `judged` cover, by `from_result`.
    judged : str
        Title of the last samples.
    figure_ : Figure
    strip_ : list of Axes
    points_ : list of Line2D
        Of the clouds.
    image_ : AxesImage
        Of the pictures.
    costs_, found_, norms_ : dict of name to Line2D
    bars_ : BarContainer
    spectra_ : list of SpectrumDisplay
    """

    def __init__(
        self,
        samples: Mapping[str, ArrayLike],
        *,
        data: ArrayLike,
        image_shape: Sequence[int] | None = None,
        modes: ArrayLike | None = None,
        costs: TrainingSeries,
        found: TrainingSeries | None = None,
        classes: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
        norms: TrainingSeries | None = None,
        spectra: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.samples = {title: np.asarray(rows, dtype=float) for title, rows in samples.items()}
        self.data = np.asarray(data, dtype=float)
        self.image_shape = None if image_shape is None else tuple(image_shape)
        self.modes = None if modes is None else np.asarray(modes, dtype=float)
        if not self.samples:
            raise ValueError("there are no samples; give those of one step at least")
        for title, rows in self.samples.items():
            if rows.ndim != 2 or rows.shape[1] != self.data.shape[1]:
                raise ValueError(f"{title}: samples {rows.shape} for data {self.data.shape}; give (n, d) of the same d")
        self.costs, self.found, self.norms = costs, found, norms
        self.classes = None if classes is None else tuple(np.asarray(part) for part in classes)
        self.spectra = {title: np.asarray(values, dtype=complex) for title, values in (spectra or {}).items()}
        self.coverage: Any = None
        self.judged = list(self.samples)[-1]

    @classmethod
    def from_result(cls, gan: Any, result: Any, *, panels: int = 6, seed: int = 0) -> TrainingDisplay:
        """From a GAN and what `train` gave; `panels` of the snapshots, the start and the end among them.

        The samples are the generator's, from one set of latent vectors; an average of the iterates, where there is one,
        comes last and is what is judged.  `coverage` is None where the data have neither modes nor labels; a classifier
        is trained where there are labels.
        """
        steps, points = [int(s) for s in result.snapshot_steps], list(result.snapshots)
        draw = lambda z: gan.sample(z.to(gan.device), JUDGED, seed).cpu()  # noqa: E731
        kept = np.unique(np.linspace(0, len(steps) - 1, panels).round().astype(int))
        shown = {f"step {steps[k]:,}": draw(points[k]) for k in kept}
        if result.average is not None and bool(result.average.isfinite().all()):
            shown["average"] = draw(result.average)
        last = list(shown.values())[-1]
        data = gan.data.to(device="cpu")
        more: dict[str, Any] = {}
        if data.modes is not None and data.std:
            found = [_modes(data, draw(z)) for z in points]
            coverage = _modes(data, last)
            more["found"] = TrainingSeries(np.array(steps), {"modes found": np.array([c.m5 for c in found])})
        else:
            coverage = _classes(data, last)
        if hasattr(coverage, "histogram"):
            more["classes"] = (coverage.classes, coverage.weights, coverage.histogram)
        columns = lambda rows: dict(zip(result.players, np.asarray(rows).T, strict=True))  # noqa: E731
        display = cls(
            {title: rows.numpy() for title, rows in shown.items()},
            data=data.x[:JUDGED].numpy(),
            image_shape=data.image_shape,
            modes=None if data.modes is None else data.modes.numpy(),
            costs=TrainingSeries(result.cost_steps, columns(result.costs)),
            norms=TrainingSeries(result.snapshot_steps, columns(result.field_norms)),
            spectra={f"step {s.step:,}": s.eigenvalues for s in result.spectra},
            **more,
        )
        display.coverage = coverage
        return display

    def plot(self, figure: Figure | None = None) -> TrainingDisplay:
        """Draw on a figure, a new one unless it is given."""
        pictures = self.image_shape is not None
        tall = (0.62 * (len(self.samples) + 1) if pictures else 2.4) + 2.9
        self.figure_ = Figure(figsize=(11.0, tall), layout="constrained") if figure is None else figure
        outer = self.figure_.add_gridspec(2, 1, height_ratios=(tall - 2.9, 2.9), hspace=0.06)
        self.strip_: list[Axes] = []
        (self._draw_pictures if pictures else self._draw_clouds)(outer[0])
        below = outer[1].subgridspec(1, 2 + max(len(self.spectra), 1))
        self._draw_costs(self.figure_.add_subplot(below[0]))
        self._draw_coverage(self.figure_.add_subplot(below[1]))
        self.spectra_ = [
            self._draw_spectrum(self.figure_.add_subplot(below[2 + k]), title, values)
            for k, (title, values) in enumerate(self.spectra.items())
        ]
        return self

    # the strip ------------------------------------------------------------------------------------------------

    def _draw_clouds(self, place: SubplotSpec) -> None:
        cells = place.subgridspec(
            1, max(len(self.samples), STRIP)
        )  # a run that ended early has panels of the same size
        low, high = self.data.min(0), self.data.max(0)
        margin = 0.25 * np.maximum(high - low, 1e-12)
        low, high = low - margin, high + margin
        self.points_: list[Any] = []
        for k, (title, rows) in enumerate(self.samples.items()):
            ax = self.figure_.add_subplot(cells[k])
            self.strip_.append(ax)
            lost = float(np.mean(((rows < low) | (rows > high)).any(1)))
            ax.set_title(title)
            if lost >= 0.005:
                look = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1.0}
                ax.text(0.02, 0.98, f"{lost:.0%} outside", transform=ax.transAxes, va="top", zorder=4, bbox=look)
            if self.data.shape[1] == 1:
                self._draw_histogram(ax, rows, (low[0], high[0]))
                continue
            self._draw_cloud(ax, rows)
            ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
            if k:
                ax.set_yticklabels([])
        self.strip_[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, markerscale=1.5)
        if self.data.shape[1] > 2:
            self.strip_[0].set(xlabel="first coordinate", ylabel="second coordinate")

    def _draw_cloud(self, ax: Axes, rows: np.ndarray) -> None:
        """The samples over the data, and the modes over both."""
        ax.plot(
            *self.data[:DRAWN, :2].T,
            ".",
            color=style.GREY,
            markersize=1.5,
            alpha=0.5,
            label="data",
            zorder=1,
            rasterized=True,
        )
        (points,) = ax.plot(
            *rows[:DRAWN, :2].T,
            ".",
            color=_COLORS["blue"],
            markersize=2.0,
            alpha=0.6,
            label="samples",
            zorder=2,
            rasterized=True,
        )
        self.points_.append(points)
        if self.modes is not None:
            rings: dict[str, Any] = {"color": "black", "markerfacecolor": "none", "markeredgewidth": 0.6}
            ax.plot(*self.modes[:, :2].T, "o", markersize=7, label="modes", zorder=3, **rings)

    def _draw_histogram(self, ax: Axes, rows: np.ndarray, span: tuple[float, float]) -> None:
        look: dict[str, Any] = {"bins": 60, "range": span, "density": True}
        ax.hist(self.data[:, 0], color=style.GREY, alpha=0.5, label="data", **look)
        ax.hist(rows[:, 0], histtype="step", color=_COLORS["blue"], label="samples", **look)
        ax.set(xlim=span, xlabel="x", yticks=[])

    def _draw_pictures(self, place: SubplotSpec) -> None:
        """One mosaic: a row of pictures per step, and one of the data."""
        assert self.image_shape is not None
        rows = {**self.samples, "data": self.data}
        shape = (1, *self.image_shape) if len(self.image_shape) == 2 else self.image_shape
        c, h, w = shape
        gap = max(1, h // 14)
        mosaic = np.full((len(rows) * (h + gap) - gap, COLUMNS * (w + gap) - gap, c), np.nan)
        low, high = self.data.min(), self.data.max()
        for i, values in enumerate(rows.values()):
            for j, picture in enumerate(values[:COLUMNS].reshape(-1, *shape)):
                top, left = i * (h + gap), j * (w + gap)
                mosaic[top : top + h, left : left + w] = picture.transpose(1, 2, 0)
        mosaic = np.nan_to_num(np.clip((mosaic - low) / max(high - low, 1e-12), 0, 1), nan=1.0)
        colours = mosaic if c == 3 else mosaic[..., 0]
        ax = self.figure_.add_subplot(place)
        self.strip_.append(ax)
        self.image_ = ax.imshow(colours, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_yticks([i * (h + gap) + (h - 1) / 2 for i in range(len(rows))], list(rows))
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)

    # the panels below -----------------------------------------------------------------------------------------

    def _draw_costs(self, ax: Axes) -> None:
        """Every cost faintly, its running mean over a fiftieth of the record as a line."""
        self.costs_ = {}
        window = max(1, len(self.costs.steps) // 50)
        for (name, values), color in zip(self.costs.values.items(), _cycle(_PLAYERS), strict=False):
            if window > 1:
                ax.plot(self.costs.steps, values, color=color, alpha=0.25, linewidth=0.5)
            mean = np.convolve(values, np.full(window, 1 / window), "valid")
            steps = self.costs.steps[window - 1 :]
            dots = "." if len(steps) <= FEW else ""
            (self.costs_[name],) = ax.plot(steps, mean, color=color, label=name, marker=dots)
        wide = _log_from_one(ax, np.concatenate([np.ravel(values) for values in self.costs.values.values()]))
        ax.set(title=f"cost on the batch{', logarithmic from 1 on' if wide else ''}")
        _step_axis(ax, self.costs.steps)
        _legend_above(ax)

    def _draw_coverage(self, ax: Axes) -> None:
        if self.classes is not None:
            labels, weights, histogram = self.classes
            where = np.arange(len(labels))
            self.bars_ = ax.bar(where, histogram, color=_COLORS["blue"], label="samples")
            ax.plot(where, weights, "_", color="black", markersize=max(3.0, 90 / len(labels)), label="data")
            step = -(-len(labels) // 12)
            ax.set_xticks(where[::step], [str(label) for label in labels[::step]])
            ax.set(xlabel="class", title=f"share of the classes, {self.judged}", ylim=(0, None))
            _legend_above(ax)
        elif self.found is not None:
            self.found_ = _lines(ax, self.found, (_COLORS["green"],))
            if self.modes is not None:
                ax.axhline(len(self.modes), color=style.GREY, linewidth=0.8, linestyle="--")
                ax.set_ylim(-0.03 * len(self.modes), 1.08 * len(self.modes))
            total = "" if self.modes is None else f", of {len(self.modes)}"
            ax.set(title=f"modes found{total}")
            _step_axis(ax, self.found.steps)
        elif self.norms is not None:
            self.norms_ = _lines(ax, self.norms, _PLAYERS)
            if all((values > 0).all() for values in self.norms.values.values()):
                ax.set_yscale("log")
            ax.set(title="‖v‖ on the evaluation sample")
            _step_axis(ax, self.norms.steps)
            _legend_above(ax)

    def _draw_spectrum(self, ax: Axes, title: str, values: np.ndarray) -> SpectrumDisplay:
        drawn = SpectrumDisplay({title: values}, kind="jacobian").plot(ax)
        drawn.points_[title].set_color(_COLORS["purple"])
        if drawn.legend_ is not None:
            drawn.legend_.remove()
        turning, largest = np.abs(values.imag).max(initial=0.0), np.abs(values).max(initial=1e-12)
        reach = 1.15 * max(turning, 0.05 * largest)  # real eigenvalues lie on a line, not on a blown-up rounding error
        ax.set_ylim(-reach, reach)
        ax.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
        ax.set_title(f"leading λ(J) at {title}", color="black")
        ax.set_xlabel("Re λ, stable side shaded")
        return drawn


def _legend_above(ax: Axes) -> None:
    """Over the drawing and under the title, where no curve can run through it."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.2, columnspacing=1.2)
    ax.set_title(ax.get_title(), pad=17)


def _log_from_one(ax: Axes, values: np.ndarray) -> bool:
    """A logarithmic axis beyond ±1, if the largest numbers hide all others, as in a run that diverges; says whether."""
    values = values[np.isfinite(values)]
    sizes = np.abs(values)
    if not sizes.size or sizes.max() < 1e3 or sizes.max() < 100 * np.median(sizes):
        return False
    ax.set_yscale("symlog", linthresh=1.0)
    top = int(np.log10(sizes.max()))
    powers = [10.0**e for e in range(-(-top // 4), top + 1, -(-top // 4))]
    ax.yaxis.set_major_locator(FixedLocator([*(-p for p in powers if values.min() < -1), 0.0, *powers]))
    ax.yaxis.set_minor_locator(NullLocator())
    return True


def _step_axis(ax: Axes, steps: np.ndarray) -> None:
    """From 0 to the last step, with few whole numbers; thousands are written short."""
    last = max(1.0, float(np.max(steps, initial=1.0)))
    ax.set(xlabel="step", xlim=(-0.04 * last, 1.04 * last))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if last >= 10_000:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1000:,g}k" if step else "0"))


def _cycle(colors: Sequence[str]) -> list[str]:
    return list(colors) * 8


def _lines(ax: Axes, series: TrainingSeries, colors: Sequence[str]) -> dict[str, Any]:
    drawn = {}
    for (name, values), color in zip(series.values.items(), _cycle(colors), strict=False):
        (drawn[name],) = ax.plot(series.steps, values, color=color, marker=".", label=name)
    return drawn


def _modes(data: Any, samples: Any) -> Any:
    from gamedyn.neural.measures import mode_coverage

    return mode_coverage(data, samples)


def _classes(data: Any, samples: Any) -> Any:
    """Of labelled data; None for others."""
    if data.labels is None or len(data.labels.unique()) < 2:
        return None
    from gamedyn.neural.measures import class_coverage, feature_net

    return class_coverage(feature_net(data), samples)
