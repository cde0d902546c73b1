"""How every figure looks: colour means method, line style means regime, the same everywhere.

The colours are Okabe and Ito's, which stay apart under the three common colour deficiencies; methods beyond those
seven take darker hues from Tol's muted scheme. Nothing here touches the global ``rcParams``:

    with style.context("paper"):
        fig, ax = plt.subplots()
        ax.plot(steps, distance, **style.method_style("Extragradient", "converges"))

References
----------
.. [1] Okabe and Ito, Color Universal Design (2008).
.. [2] Tol, Colour Schemes, SRON/EPS/TN/09-002 (2021).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.colors import to_hex, to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

OKABE_ITO = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
}
"""Okabe and Ito's palette without its yellow, which is too pale for a line on white paper."""

PHASE_CMAP = "twilight"
"""Cyclic, perceptually uniform: equal at -π and π."""

GREY = "#8A8A8A"
"""For what is not a method: fields, axes through zero, unit circles."""

SHADE: dict[str, Any] = {"facecolor": GREY, "alpha": 0.12, "linewidth": 0, "zorder": 0}
"""A region in which an eigenvalue is stable."""

_METHOD_COLORS = {
    "simultaneous": OKABE_ITO["vermillion"],
    "alternating": OKABE_ITO["orange"],
    "extragradient": OKABE_ITO["blue"],
    "optimistic": OKABE_ITO["green"],
    "pastextragradient": OKABE_ITO["sky"],
    "heavyball": OKABE_ITO["purple"],
    "proximalpoint": OKABE_ITO["black"],
    "unrolled": "#332288",
    "consensus": "#999933",
    "symplecticadjustment": "#882255",
    "linearizedproximalpoint": "#6F6F6F",
    "adam": "#8C510A",
    "lookahead": "#117733",
    "competitive": "#AA4499",
    "lola": "#44AA99",
    "averaged": "#AA4466",
    "eagc": "#CC6677",
    "feg": "#661100",
    "flow": "#4D4D4D",
}

_ALIASES = {
    "sim": "simultaneous",
    "gda": "simultaneous",
    "simgda": "simultaneous",
    "alt": "alternating",
    "altgda": "alternating",
    "eg": "extragradient",
    "ogda": "optimistic",
    "ppm": "proximalpoint",
    "co": "consensus",
    "sga": "symplecticadjustment",
    "cgd": "competitive",
    "unroll": "unrolled",
}

_FALLBACK = ("#6699CC", "#AA4466", "#4477AA", "#DDAA33", "#228833", "#004488")

_REGIME_LINES: dict[str, Any] = {
    "converges": "-",
    "neutral": "--",
    "cycles": "-.",
    "diverges": ":",
}

_SIZES = {
    "paper": {"font.size": 8.0, "figure.figsize": (5.5, 3.4), "lines.linewidth": 1.2, "figure.dpi": 150.0},
    "screen": {"font.size": 11.0, "figure.figsize": (8.0, 5.0), "lines.linewidth": 1.8, "figure.dpi": 100.0},
}


def _settings(kind: str) -> Any:
    size = _SIZES[kind]
    return {
        **size,
        "axes.titlesize": size["font.size"],
        "axes.labelsize": size["font.size"],
        "legend.fontsize": 0.9 * float(size["font.size"]),  # type: ignore[arg-type]
        "xtick.labelsize": 0.9 * float(size["font.size"]),  # type: ignore[arg-type]
        "ytick.labelsize": 0.9 * float(size["font.size"]),  # type: ignore[arg-type]
        "axes.prop_cycle": cycler(color=list(OKABE_ITO.values())),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "figure.constrained_layout.use": True,
        "image.cmap": "viridis",
        "legend.frameon": False,
        # Type 42 keeps text selectable; many publishers refuse the default Type 3.
        "pdf.fonttype": 42,
    }


@contextmanager
def context(kind: str = "paper") -> Iterator[None]:
    """Draw in the house style inside a ``with`` block; leave the global ``rcParams`` alone.

    Parameters
    ----------
    kind : {"paper", "screen"}
        Small type for a column of text, or large for a slide and a notebook.

    Raises
    ------
    ValueError
        On another kind.
    """
    if kind not in _SIZES:
        raise ValueError(f"There is no plotting style {kind!r}. Use one of: {', '.join(_SIZES)}.")
    with matplotlib.rc_context(_settings(kind)):
        yield


def _canonical(name: str) -> str:
    """The bare method name: what stands before the first bracket, letters and digits only, lower case."""
    bare = re.sub(r"[^a-z0-9]", "", name.split("(", 1)[0].lower())
    return _ALIASES.get(bare, bare)


def method_color(name: str) -> str:
    """The colour of a method, the same in every figure.

    Case, underscores, spaces and arguments do not count: ``"symplectic_adjustment"`` and
    ``"SymplecticAdjustment(lr=0.1)"`` are one method. A name that is not in the list gets a colour that depends on
    the name alone.

    Returns
    -------
    str
        ``"#rrggbb"``.

    Examples
    --------
    >>> method_color("Extragradient(lr=0.1)") == method_color("extragradient")
    True
    """
    bare = _canonical(name)
    if bare in _METHOD_COLORS:
        return _METHOD_COLORS[bare]
    # Not hash(): Python salts it per process, and a figure must not change its colours between runs.
    return _FALLBACK[hashlib.sha256(bare.encode()).digest()[0] % len(_FALLBACK)]


def method_colors(names: Sequence[str]) -> dict[str, str]:
    """Colours for the methods of one picture, no two alike.

    Known methods keep the colour of :func:`method_color`. Unknown names that would share one move on to the next that
    is free. The same method with other arguments (``"Extragradient(lr=0.1)"``, ``"Extragradient(lr=0.5)"``) keeps its
    hue and gets paler.

    Returns
    -------
    dict of str to str
        ``{name: "#rrggbb"}`` in the order given.

    Examples
    --------
    >>> len(set(method_colors(["EG(lr=0.1)", "EG(lr=0.5)", "mine", "yours"]).values()))
    4
    """
    colors: dict[str, str] = {}
    seen: dict[str, tuple[str, int]] = {}
    for name in names:
        bare = _canonical(name)
        base, times = seen.get(bare, (method_color(name), 0))
        if times == 0 and bare not in _METHOD_COLORS:
            free = [color for color in _FALLBACK if color not in colors.values()]
            base = base if base in free or not free else free[0]
        seen[bare] = (base, times + 1)
        colors[name] = _paler(base, min(0.3 * times, 0.6))
    return colors


def _paler(color: str, share: float) -> str:
    red, green, blue = ((1 - share) * part + share for part in to_rgb(color))
    return to_hex((red, green, blue)).upper()


def regime_line(regime: str) -> str:
    """The line style of a regime: solid converges, dashed neutral, dash-dotted cycles, dotted diverges.

    Raises
    ------
    ValueError
        On another regime.

    Examples
    --------
    >>> regime_line("cycles")
    '-.'
    """
    if regime not in _REGIME_LINES:
        raise ValueError(f"There is no regime {regime!r}. Use one of: {', '.join(_REGIME_LINES)}.")
    return _REGIME_LINES[regime]


def method_style(name: str, regime: str = "converges") -> dict[str, str]:
    """Colour by method and line style by regime, as keywords of ``Axes.plot``.

    Examples
    --------
    >>> method_style("Simultaneous", "diverges")
    {'color': '#D55E00', 'linestyle': ':'}
    """
    return {"color": method_color(name), "linestyle": regime_line(regime)}


def phase_color(angle: Any) -> np.ndarray:
    """The cyclic colour of an angle in radians: ``angle`` of shape (...), colours of shape (..., 4) in RGBA.

    Examples
    --------
    >>> bool(np.allclose(phase_color(-3.0), phase_color(-3.0 + 2 * np.pi)))
    True
    """
    turn = np.mod(np.asarray(angle, dtype=float) / (2 * np.pi), 1.0)
    return np.asarray(matplotlib.colormaps[PHASE_CMAP](turn))


def new_axes(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure."""
    # Inside the function: colours alone should not load pyplot, which chooses a backend.
    import matplotlib.pyplot as plt

    return plt.subplots()[1] if ax is None else ax


def outside_legend(ax: Axes) -> Legend | None:
    """A legend to the right of the axes, where it can cover nothing; none when nothing has a label."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return None
    return ax.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def unit_circle(ax: Axes) -> Any:
    """The unit circle, inside which a step contracts, shaded; the patch of its border."""
    from matplotlib.patches import Circle

    border = Circle((0, 0), 1.0, fill=False, edgecolor=GREY, linewidth=1.0, zorder=1)
    ax.add_patch(Circle((0, 0), 1.0, **SHADE))
    ax.add_patch(border)
    return border
