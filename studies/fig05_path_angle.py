"""The archetypes of the path-angle: attraction, rotation and both, on linear fields of the plane.

J = aI + bS, S a quarter turn. A line whose end lies a little beside the equilibrium shows attraction as a switch of
sign and rotation as a bump; on a line into the equilibrium itself the cosine is ±a/√(a² + b²), without any bump.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.stability.rotation.path_angle import PathAngle, path_angle
from studies.runner import Check, Study

SOURCE = "closed form of the archetype, worked out independently to two digits"
TWO_DIGITS = 5e-3

BESIDE = {  # field -> α -> cosine, the end 0.15 beside the centre
    "rotation": dict(
        zip(
            np.linspace(0.5, 1.5, 11).round(1),
            [0.10, 0.12, 0.17, 0.24, 0.46, 1.0, 0.44, 0.24, 0.16, 0.12, 0.10],
            strict=True,
        )
    ),
    "attraction": {0.5: 1.0, 1.0: -0.05, 1.5: -1.0},
    "mostly rotation": {0.5: 0.20, 0.7: 0.26, 0.9: 0.54, 1.0: 0.99, 1.1: 0.35, 1.3: 0.06, 1.5: 0.0},
}


def linear_game(a: float, b: float) -> Any:
    """v = (aI + bS) z: a potential and a rotation."""
    return gd.field_game([f"{a}*x + {b}*y", f"-{b}*x + {a}*y"], players=[["x"], ["y"]], name="linear")


def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    alphas = np.linspace(*parameters["alphas"])
    axis = np.linspace(-parameters["box"], parameters["box"], parameters["arrows"])
    grid = np.stack([c.ravel() for c in np.meshgrid(axis, axis)])
    cosine, norm, into, flows, switches = [], [], [], [], []
    for name, (a, b) in parameters["fields"].items():
        progress(len(flows) / len(parameters["fields"]), name)
        game = linear_game(a, b)
        beside: PathAngle = path_angle(game, parameters["start"], parameters["beside"], alphas)
        exact: PathAngle = path_angle(game, parameters["start"], [0.0, 0.0], alphas)
        cosine.append(beside.cosine)
        norm.append(np.stack([beside.norm, exact.norm]))
        into.append(exact.cosine)
        switches.append(exact.sign_switches[0] if a > 0 else np.nan)
        flows.append(-gd.field(game, grid).reshape(2, len(axis), len(axis)))
    return {
        "names": np.asarray(list(parameters["fields"])),
        "rates": np.asarray(list(parameters["fields"].values()), dtype=float),
        "line": np.asarray([parameters["start"], parameters["beside"]], dtype=float),
        "alphas": alphas,
        "axis": axis,
        "flow": np.stack(flows),
        "beside": np.stack(cosine),
        "into": np.stack(into),
        "norm": np.stack(norm),
        "switch": np.asarray(switches),
    }


def checks(data: dict[str, Any]) -> list[Check]:
    def at(rows: np.ndarray, field: int, alpha: float) -> float:
        return float(rows[field, np.argmin(np.abs(data["alphas"] - alpha))])

    index = {str(name): k for k, name in enumerate(data["names"])}
    found = [
        Check(f"{name}, end beside, α = {a:g}", at(data["beside"], index[name], a), c, TWO_DIGITS, source=SOURCE)
        for name, known in BESIDE.items()
        for a, c in known.items()
    ]
    for name, k in index.items():
        a, b = data["rates"][k]
        for alpha, sign in ((0.5, 1), (1.5, -1)):
            c = sign * a / np.hypot(a, b)
            found.append(
                Check(f"{name}, end exact, α = {alpha:g}", at(data["into"], k, alpha), c, 1e-12, note="±a/√(a² + b²)")
            )
        if a > 0:
            found.append(Check(f"{name}, end exact, sign switch at α", data["switch"][k], 1.0, 1e-12))
    rise = np.nanmax(np.abs(np.diff(np.abs(data["into"]), axis=1)), where=data["alphas"][1:] < 0.999, initial=0.0)
    found.append(Check("bump on the line into the exact zero", rise, 0.0, 1e-12, note="the cosine is constant"))
    known = Check("(a, b) = (1, 2), end exact", at(data["into"], index["both"], 0.5), 0.447214, 5e-7)
    return [*found, known]


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(data["names"]), figsize=(7.4, 5.6), height_ratios=[1.25, 1, 1], sharey="row")
    for k, name in enumerate(data["names"]):
        _draw_field(axes[0, k], data, k)
        a, b = data["rates"][k]
        axes[0, k].set_title(f"{name}\n(a, b) = ({a:g}, {b:g})")
        _draw_curves(axes[1, k], data["alphas"], data["beside"][k], _broken(data["into"][k]))
        _draw_curves(axes[2, k], data["alphas"], *data["norm"][k])
        axes[1, k].set(ylim=(-1.1, 1.1), xticklabels=[])
        axes[1, k].axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        axes[2, k].set_xlabel("position on the line α")
    axes[1, 0].set_ylabel("path-angle cos")
    axes[2, 0].set(ylabel="path-norm ‖v‖", ylim=(0, None))
    axes[0, 0].set_ylabel("y")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _broken(cosine: np.ndarray) -> np.ndarray:
    """The curve without the vertical stroke where it changes its sign."""
    shown = cosine.copy()
    shown[np.append(np.abs(np.diff(cosine)) > 1e-6, False)] = np.nan
    return shown


def _draw_field(ax: Axes, data: dict[str, Any], k: int) -> None:
    from gamedyn.plotting.displays import FieldDisplay
    from gamedyn.plotting.style import OKABE_ITO

    FieldDisplay(data["axis"], data["axis"], data["flow"][k]).plot(ax, color="0.4")
    start, beside = data["line"]
    reach = np.array([data["alphas"][0], data["alphas"][-1]])[:, None]
    for end, color, line in ((beside, OKABE_ITO["blue"], "-"), (0 * beside, OKABE_ITO["vermillion"], "--")):
        x, y = (start + reach * (end - start)).T
        ax.plot(x, y, color=color, linestyle=line)
    ax.plot(*beside, "o", color=OKABE_ITO["blue"], markersize=4)
    ax.plot(0, 0, "*", color="black", markersize=7)
    ax.set_aspect("equal")
    ax.set(ylabel="", xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def _draw_curves(ax: Axes, alphas: np.ndarray, beside: np.ndarray, into: np.ndarray) -> None:
    from gamedyn.plotting.style import OKABE_ITO

    ax.plot(alphas, into, "--", color=OKABE_ITO["vermillion"], label="end on the equilibrium (star)")
    ax.plot(alphas, beside, color=OKABE_ITO["blue"], label="end 0.15 beside it (dot)")
    ax.axvline(1.0, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xticks=[0.6, 1.0, 1.4])
    ax.margins(x=0)


STUDY = Study(
    name="fig05_path_angle",
    title="Path-angle: attraction switches its sign, rotation makes a bump",
    source="Berard et al. (ICLR 2020), arXiv:1906.04848, Figure 1",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={
        "fields": {"attraction": [1, 0], "rotation": [0, 1], "mostly rotation": [0.1, 1], "both": [1, 2]},
        "start": [3.0, 0.0],
        "beside": [0.0, 0.15],
        "alphas": [0.5, 1.5, 401],
        "box": 1.6,
        "arrows": 10,
    },
)
