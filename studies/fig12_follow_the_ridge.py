"""Six methods on three small minimax problems: a local minimax that descent leaves, a point that it should leave, both.

g₁ = -3x² - y² + 4xy           the origin is a local minimax, GDA runs away
g₂ = 3x² + y² + 4xy            the origin is no minimax, GDA is attracted by it
g₃ = (0.4x² - 0.1(y - 3x + 0.05x³)² - 0.01y⁴) exp(-0.01(x² + y²))
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from studies.runner import Check, Study

GAMES = {
    "g₁": gd.games.wang_missed_minimax,
    "g₂": gd.games.wang_spurious_attractor,
    "g₃": gd.games.wang_polynomial,
}


def methods(lr: float) -> dict[str, Any]:
    """The methods of the paper; the symplectic adjustment takes a fifth of the step, as there."""
    return {
        "GDA": gd.Simultaneous(lr),
        "OGDA": gd.Optimistic(lr),
        "EG": gd.Extragradient(lr),
        "CO": gd.Method(gd.Simultaneous(lr), gd.consensus(0.1)),
        "SGA": gd.Method(gd.Simultaneous(lr / 5), gd.symplectic_adjustment(1.0)),
        "FR": gd.Method(gd.Simultaneous(lr), gd.follow_the_ridge()),
    }


def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Orbits, field and eigenvalues at the origin, of the game and of the ridge method."""
    found = methods(parameters["lr"])
    orbits, flows, plain, ridge = [], [], [], []
    axis = np.linspace(-parameters["box"], parameters["box"], 23)
    grid = np.stack([c.ravel() for c in np.meshgrid(axis, axis)])
    for j, (name, build) in enumerate(GAMES.items()):
        game, start = build(), parameters["starts"][j]
        for k, (method, rule) in enumerate(found.items()):
            progress((j + k / len(found)) / len(GAMES), f"{method} on {name}")
            orbits.append(gd.simulate(gd.StepMap(rule, game), start, parameters["steps"]).z)
        flows.append(-gd.field(game, grid).reshape(2, len(axis), len(axis)))
        plain.append(np.asarray(gd.jacobian(game, [0.0, 0.0]).eigenvalues()))
        ridge.append(np.linalg.eigvals(gd.jacobian(gd.follow_the_ridge()(game), [0.0, 0.0]).to_dense()))
    return {
        "methods": np.array(list(found)),
        "orbits": np.stack(orbits).reshape(len(GAMES), len(found), -1, 2),
        "axis": axis,
        "flow": np.stack(flows),
        "plain": np.array(plain),
        "ridge": np.array(ridge),
    }


def checks(data: dict[str, Any]) -> list[Check]:
    claim = "follow-the-ridge settles at local minimax points only (arXiv:1910.07512)"
    ends = np.linalg.norm(data["orbits"][:, :, -1], axis=2)
    names = list(data["methods"])
    fr, gda = names.index("FR"), names.index("GDA")
    third = data["orbits"][2, gda, -1]
    return [
        Check("g₁: trace of J", data["plain"][0].sum().real, -4.0, 1e-9),
        Check("g₁: eigenvalues of FR, real part", data["ridge"][0].real.min(), 2.0, 1e-6, source=claim),
        Check("g₁: eigenvalues of FR, imaginary part", np.abs(data["ridge"][0].imag).max(), 0.0, 1e-6, source=claim),
        Check("g₁: FR, distance at the end", ends[0, fr], 0.0, 1e-9, source=claim),
        Check("g₁: GDA, distance at the end", min(ends[0, gda], 1e6), 1e3, 0.0, kind="at_least"),
        Check("g₂: eigenvalues of J, real part", data["plain"][1].real.min(), 2.0, 1e-6),
        Check("g₂: GDA, distance at the end", ends[1, gda], 0.0, 1e-9),
        Check("g₂: eigenvalues of FR, real part", data["ridge"][1].real.max(), -2.0, 1e-6, source=claim),
        Check("g₂: FR, distance at the end", min(ends[1, fr], 1e6), 1e3, 0.0, kind="at_least", source=claim),
        Check("g₃: FR, distance at the end", ends[2, fr], 1.9e-4, 1e-5, source=claim),
        Check("g₃: GDA ends at x", third[0], 1.69, 5e-3),
        Check("g₃: GDA ends at y", third[1], 2.37, 5e-3),
    ]


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(7.6, 5.0), layout="constrained", height_ratios=[1.25, 1])
    for j, name in enumerate(GAMES):
        _draw_orbits(axes[0, j], data, j, name)
        _draw_distance(axes[1, j], data, j)
    axes[0, 0].set_ylabel("y (maximises)")
    axes[1, 0].set_ylabel("distance to the origin")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


_COLOR = {"GDA": "gda", "OGDA": "ogda", "EG": "eg", "CO": "co", "SGA": "sga"}


def _looks(data: dict[str, Any], k: int) -> dict[str, Any]:
    from gamedyn.plotting import style

    name = str(data["methods"][k])
    ridge = name == "FR"
    color = "#000000" if ridge else style.method_color(_COLOR[name])
    width = {"FR": 1.6, "OGDA": 2.4}.get(name, 1.0)  # optimistic steps run under extragradient, nearly hidden
    return {"color": color, "label": name, "linewidth": width, "zorder": 5 if ridge else 3 + 0.1 * k}


def _draw_orbits(ax: Axes, data: dict[str, Any], j: int, name: str) -> None:
    from gamedyn.plotting.displays import FieldDisplay

    FieldDisplay(data["axis"], data["axis"], data["flow"][j]).plot(ax, kind="stream", color="0.85")
    for k in range(len(data["methods"])):
        z = data["orbits"][j, k]
        outside = np.flatnonzero(~(np.abs(z).max(axis=1) < 50))
        ax.plot(*z[: outside[0] + 1 if len(outside) else None].T, **_looks(data, k))
    ax.plot(*data["orbits"][j, 0, 0], "o", color="black", markerfacecolor="white", markersize=5, zorder=6)
    ax.plot(0, 0, "*", color="black", markersize=7, zorder=6)
    box = data["axis"][[0, -1]]
    ax.set(xlim=box, ylim=box, xlabel="x (minimises)", ylabel="", title=name, aspect="equal")


def _draw_distance(ax: Axes, data: dict[str, Any], j: int) -> None:
    for k in range(len(data["methods"])):
        with np.errstate(all="ignore"):
            distance = np.linalg.norm(data["orbits"][j, k], axis=1)
        ax.semilogy(np.where(distance < 1e4, distance, np.nan), **_looks(data, k))
    ax.set(xlabel="step", ylim=(1e-8, 1e2), xlim=(0, data["orbits"].shape[2] - 1))


STUDY = Study(
    name="fig12_follow_the_ridge",
    title="Follow-the-ridge and five other methods on three minimax problems",
    source="Wang, Zhang and Ba (ICLR 2020), arXiv:1910.07512, figure of the low-dimensional problems",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={"lr": 0.05, "steps": 1000, "starts": [[5.0, 7.0], [6.0, 5.0], [7.0, 5.0]], "box": 10.0},
)
