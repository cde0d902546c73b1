"""Two games with a stable cycle that holds no critical point, and methods that end on it.

Forsaken: f = x(y - 0.45) + φ(x) - φ(y), φ(z) = z²/4 - z⁴/2 + z⁶/6. The equilibrium attracts, but a repelling cycle
shields it, and orbits from outside end on a cycle without any critical point.
Almost bilinear: f = xy + ε(y²/2 - y⁴/4). The origin repels, and the flow ends on the circle of radius √(4/3).

Stochastic extragradient (SEG) is extragradient with Gaussian noise added to both evaluations of v and with steps that
shrink as Robbins and Monro ask, Σ ηₖ = ∞, Σ ηₖ² < ∞. At a constant step η extragradient damps by about η/2 per unit of
time against the growth ε/2, so that it turns on a circle of r² = (4/3)(1 - η/ε), and for η > ε reaches the origin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.dynamics.flow import flow
from studies.runner import Check, Study

HSIEH = "Hsieh et al. 2021, recomputed"
TURN = 12.0  # longer than one turn on either cycle of the forsaken game
TIGHT = {"rtol": 1e-11, "atol": 1e-13}


def forsaken_cycles(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The equilibrium, and the cycle that the flow ends on: forward the attracting, backward the repelling one."""
    game = gd.games.forsaken()
    z = np.array(parameters["near"])
    for _ in range(20):  # Newton
        J = gd.jacobian(game, z)
        z = z - np.linalg.solve(J.to_dense(), gd.field(game, z))
    cycles = []
    for k, sign in enumerate((1, -1)):
        progress(k / 3, "cycles")
        settled = flow(game, parameters["start"], [0.0, sign * parameters["settle"]], **TIGHT).z[-1]
        cycles.append(flow(game, settled, np.linspace(0.0, sign * TURN, 12001), **TIGHT).z)
    progress(0.7, "the border of the basin")
    up = np.array([0.0, _height_above(cycles[1], z)])
    return {
        "equilibrium": z,
        "eigenvalues": np.asarray(gd.jacobian(game, z).eigenvalues()),
        "attracting": cycles[0],
        "repelling": cycles[1],
        "border": _border(game, z),
        "ray": up[1],
        "forsaken_flow": _grid_flow(game, parameters["forsaken_box"], parameters["arrows"]),
        "shield_flow": _grid_flow(game, parameters["shield_box"], parameters["arrows"]),
        "inside": flow(game, z + 0.97 * up, np.linspace(0, 70, 2001)).z,
        "outside": flow(game, z + 1.03 * up, np.linspace(0, 60, 2001)).z,
    }


def _border(game: Any, z: np.ndarray) -> float:
    """How far above the equilibrium forward orbits stop coming home, by bisection."""
    low, high = 0.05, 0.5
    for _ in range(17):
        middle = (low + high) / 2
        last = flow(game, z + np.array([0.0, middle]), [0.0, 150.0]).z[-1]
        home = np.linalg.norm(last - z) < 0.5
        low, high = (middle, high) if home else (low, middle)
    return (low + high) / 2


def _height_above(cycle: np.ndarray, z: np.ndarray) -> float:
    """Where a cycle crosses the ray upwards from z."""
    x, y = (cycle - z).T
    k = np.flatnonzero((x[:-1] * x[1:] <= 0) & (y[:-1] > 0))[0]
    return float(y[k] - x[k] * (y[k + 1] - y[k]) / (x[k + 1] - x[k]))


def _grid_flow(game: Any, box: list[float], count: int) -> np.ndarray:
    grid = np.stack([c.ravel() for c in np.meshgrid(np.linspace(*box[:2], count), np.linspace(*box[2:], count))])
    return -gd.field(game, grid).reshape(2, count, count)


def forsaken_methods(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Extragradient from outside and inside the shield, and SEG from both for several seeds."""
    game = gd.games.forsaken()
    starts = np.array([parameters["start"], parameters["sheltered"]]).T
    eg = gd.simulate(gd.StepMap(gd.Extragradient(lr=parameters["lr"]), game), starts, parameters["steps"])
    progress(0.5, "stochastic extragradient")
    return {"eg": eg.z, **stochastic_extragradient(game, starts, parameters["seg"])}


def stochastic_extragradient(game: Any, starts: np.ndarray, seg: dict[str, Any]) -> dict[str, Any]:
    """w = z - ηₖ(v(z) + σξ), z⁺ = z - ηₖ(v(w) + σξ′), ηₖ = η₀ (1 + k/decay)^-power, ξ and ξ′ standard normal."""
    F = game.field("array")
    rng = np.random.default_rng(seg["seed"])
    z = np.repeat(starts, seg["seeds"], axis=1)
    eta = seg["lr"] * (1 + np.arange(seg["steps"]) / seg["decay"]) ** -seg["power"]
    points = [z]
    for step in eta:
        w = z - step * (F(z) + seg["sigma"] * rng.standard_normal(z.shape))
        z = z - step * (F(w) + seg["sigma"] * rng.standard_normal(z.shape))
        points.append(z)
    orbits = np.stack(points).reshape(len(points), 2, starts.shape[1], seg["seeds"])
    return {"seg": orbits[:: seg["every"]], "seg_time": np.append(0.0, np.cumsum(eta))[:: seg["every"]]}


def almost_bilinear(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """r² of the flow over its last turns, and extragradient with steps below and above ε."""
    epsilon, settle = parameters["epsilon"], parameters["almost_settle"]
    game = gd.games.almost_bilinear(epsilon)
    times = np.append(0.0, np.linspace(settle, settle + 40 * np.pi, 8001))
    end = flow(game, parameters["start"], times).z[1:]
    found: dict[str, Any] = {"circle": end[:401], "r2_flow": float((end[:-1] ** 2).sum(axis=1).mean())}
    for k, (name, lr) in enumerate(parameters["almost_lr"].items()):
        progress((k + 1) / 4, f"extragradient, lr {lr}")
        step = gd.StepMap(gd.Extragradient(lr=lr), game)
        first = gd.simulate(step, parameters["start"], int(settle / lr), every=int(settle / lr))
        last = gd.simulate(step, first.z[-1], int(40 * np.pi / lr))
        found[f"almost_{name}"] = last.z[: int(2.2 * np.pi / lr)]
        found[f"r2_{name}"] = float((last.z**2).sum(axis=1).mean())
    found["almost_path"] = gd.simulate(gd.StepMap(gd.Extragradient(lr=0.05), game), parameters["start"], 4000).z
    found["almost_flow"] = _grid_flow(game, parameters["almost_box"], parameters["arrows"])
    return found


def checks(data: dict[str, Any]) -> list[Check]:
    z = data["equilibrium"]
    eig = data["eigenvalues"]
    found = [
        Check("forsaken, equilibrium x", z[0], 0.078027, 5e-7, source=HSIEH),
        Check("forsaken, equilibrium y", z[1], 0.411934, 5e-7, source=HSIEH),
        Check("forsaken, Re λ", eig.real.min(), 0.044746, 5e-7, note="positive: it attracts"),
        Check("forsaken, |Im λ|", np.abs(eig.imag).max(), 0.908028, 5e-7),
    ]
    tail = data["eg"][len(data["eg"]) // 2 :, :, 0]
    # The catalogue's 0.1211 does not hold: 0.120979 at tighter tolerances, on longer runs and by the border below.
    finding = "FINDING: the catalogued 0.1211 fails by 1.2e-4; 0.1210 is our own value, not a published one"
    bands = {"attracting cycle": (0.9226, 1.9172), "repelling cycle": (0.1210, 0.2989), "EG": (0.9224, 1.9118)}
    for name, points in {
        "attracting cycle": data["attracting"],
        "repelling cycle": data["repelling"],
        "EG": tail,
    }.items():
        distance = np.linalg.norm(points - z, axis=1)
        for word, value, known in (
            ("least", distance.min(), bands[name][0]),
            ("greatest", distance.max(), bands[name][1]),
        ):
            note = finding if (name, word) == ("repelling cycle", "least") else ""
            found.append(Check(f"{name}, {word} distance to the equilibrium", value, known, 5e-5, note=note))
    gap = _gap_to_cycle(data)
    spread = ", ".join(f"{g:.3f}" for g in gap)
    home = np.linalg.norm(data["eg"][-1, :, 1] - z)
    return [
        *found,
        Check("border of the basin against the backward cycle", data["border"], data["ray"], 1e-5, note="bisection"),
        Check("EG from inside the shield, last distance", home, 0.0, 1e-3, "at_most", note="it converges"),
        Check("SEG, greatest distance to the attracting cycle, last quarter", gap.max(), 0.0, 0.1, "at_most",
              note=f"5 seeds from outside and 5 from inside the shield: {spread}", source=HSIEH),
        Check("almost bilinear, r² of the flow's cycle", data["r2_flow"], 4 / 3, 5e-5, note="4/3 + O(ε²)"),
        Check("almost bilinear, r² of EG, η = ε/4", data["r2_below"], 1.0, 5e-4, note="(4/3)(1 - η/ε), averaged"),
        Check("almost bilinear, r² of EG, η = 5ε", data["r2_above"], 0.0, 1e-12, "at_most", note="EG escapes: η > ε"),
    ]  # fmt: skip


def _gap_to_cycle(data: dict[str, Any]) -> np.ndarray:
    """The greatest distance of each SEG orbit to the attracting cycle in the last quarter `(orbits,)`."""
    seg = data["seg"]
    last = seg[3 * len(seg) // 4 :].reshape(-1, 2, seg.shape[2] * seg.shape[3])[::5]
    cycle = data["attracting"][::10]
    return np.array([
        np.linalg.norm(cycle[None] - last[:, None, :, k], axis=2).min(axis=1).max() for k in range(last.shape[2])
    ])  # fmt: skip


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(7.4, 7.0))
    _draw_forsaken(axes[0, 0], data)
    _draw_shield(axes[0, 1], data)
    _draw_almost(axes[1, 0], data)
    _draw_distances(axes[1, 1], data)
    entries: dict[str, Any] = {}
    for ax in axes.flat:
        entries |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3)
    return figure


def _colors() -> dict[str, str]:
    from gamedyn.plotting.style import OKABE_ITO, method_color

    names = {"attracting": "black", "repelling": "purple", "seg": "orange"}
    return {key: OKABE_ITO[name] for key, name in names.items()} | {"eg": method_color("extragradient")}


def _stream(ax: Axes, data: dict[str, Any], which: str) -> None:
    from gamedyn.plotting.displays import FieldDisplay

    box = STUDY.parameters[f"{which}_box"]
    values = data[f"{which}_flow"]
    x, y = np.linspace(*box[:2], values.shape[2]), np.linspace(*box[2:], values.shape[1])
    FieldDisplay(x, y, values).plot(ax, kind="stream", color="0.8")
    ax.set(xlim=box[:2], ylim=box[2:], aspect="equal")


def _draw_cycles(ax: Axes, data: dict[str, Any]) -> None:
    colors = _colors()
    ax.plot(*data["attracting"].T, color=colors["attracting"], linewidth=2.6, label="attracting cycle", zorder=3)
    ax.plot(*data["repelling"].T, "--", color=colors["repelling"], linewidth=1.6, label="repelling cycle", zorder=3)
    ax.plot(*data["equilibrium"], "*", color="black", markersize=7, zorder=5)


def _draw_forsaken(ax: Axes, data: dict[str, Any]) -> None:
    colors = _colors()
    _stream(ax, data, "forsaken")
    ax.plot(*data["seg"][:, :, 1, 0].T, color=colors["seg"], linewidth=0.6, label="stochastic extragradient")
    ax.plot(*data["eg"][:1500, :, 0].T, color=colors["eg"], linewidth=0.9, label="extragradient", zorder=4)
    _draw_cycles(ax, data)
    for k in range(2):
        ax.plot(*data["eg"][0, :, k], "o", color="black", markerfacecolor="white", markersize=4, zorder=5)
    ax.set_title("forsaken game")


def _draw_shield(ax: Axes, data: dict[str, Any]) -> None:
    _stream(ax, data, "shield")
    for name, color in (("inside", "#009E73"), ("outside", "#D55E00")):
        ax.plot(*data[name].T, color=color, linewidth=0.9, label=f"flow from just {name}", zorder=2)
    _draw_cycles(ax, data)
    ax.set_title("forsaken game, the shield")


def _draw_almost(ax: Axes, data: dict[str, Any]) -> None:
    colors = _colors()
    _stream(ax, data, "almost")
    ax.plot(*data["circle"].T, color=colors["attracting"], linewidth=1.6, zorder=3)
    ax.plot(*data["almost_below"].T, "-.", color=colors["eg"], label="extragradient, η = ε/4, its cycle", zorder=3)
    ax.plot(*data["almost_path"].T, color=colors["eg"], linewidth=0.5, zorder=2)
    ax.plot(*data["almost_path"][0], "o", color="black", markerfacecolor="white", markersize=4, zorder=5)
    ax.plot(0, 0, "*", color="black", markersize=7, zorder=5)
    ax.set_title("almost bilinear game, ε = 0.01; inner spiral: η = 5ε")


def _draw_distances(ax: Axes, data: dict[str, Any]) -> None:
    colors, z = _colors(), data["equilibrium"]
    for name in ("attracting", "repelling"):
        d = np.linalg.norm(data[name] - z, axis=1)
        ax.axhspan(d.min(), d.max(), color=colors[name], alpha=0.15, linewidth=0)
    seg = np.linalg.norm(data["seg"] - z[:, None, None], axis=1)
    ax.semilogy(data["seg_time"], seg[:, 1], color=colors["seg"], linewidth=0.5)
    eg = np.linalg.norm(data["eg"] - z[:, None], axis=1)
    time = STUDY.parameters["lr"] * np.arange(len(eg))
    ax.semilogy(time, eg[:, 0], color=colors["eg"], zorder=3)
    ax.semilogy(time, eg[:, 1], "--", color=colors["eg"], label="extragradient from inside the shield", zorder=3)
    ax.set(xlabel="time, the sum of the steps", ylabel="distance to the equilibrium", xlim=(0, data["seg_time"][-1]))
    ax.set(ylim=(1e-3, 4), title="forsaken game; bands: distances on the cycles")


STUDY = Study(
    name="fig17_forsaken",
    title="A forsaken equilibrium, and cycles that attract methods with small steps",
    source="Hsieh, Mertikopoulos and Cevher (ICML 2021), arXiv:2006.09065",
    compute={"cycles": forsaken_cycles, "methods": forsaken_methods, "almost": almost_bilinear},
    draw=draw,
    checks=checks,
    parameters={
        "near": [0.08, 0.41],
        "start": [0.5, 0.5],
        "sheltered": [0.1, 0.45],
        "settle": 300.0,
        "lr": 0.01,
        "steps": 20000,
        "seg": {
            "lr": 0.02,
            "decay": 1000,
            "power": 0.75,
            "sigma": 0.5,
            "steps": 20000,
            "every": 10,
            "seed": 0,
            "seeds": 5,
        },
        "epsilon": 0.01,
        "almost_settle": 1500.0,
        "almost_lr": {"below": 0.0025, "above": 0.05},
        "forsaken_box": [-1.9, 1.9, -1.9, 1.9],
        "shield_box": [-0.35, 0.5, 0.0, 0.85],
        "almost_box": [-1.6, 1.6, -1.6, 1.6],
        "arrows": 40,
    },
)
