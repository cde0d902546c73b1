"""Ten methods on a two-player game that no method solves: all of them cycle around its only equilibrium.

    min over x, max over y:  f = xy - x²/2 + y²/2 + x⁴/4 - y⁴/4,   J(0) has the eigenvalues -1 ± i

Every reasonable method avoids the unstable zero and stays bounded, so it cannot converge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from studies.runner import Check, Study


def methods(lr: float) -> dict[str, Any]:
    """The ten methods of the paper by their abbreviations there, every coefficient equal to the step."""
    plain = gd.Simultaneous(lr)
    return {
        "GD": plain,
        "AGD": gd.Alternating(lr),
        "EG": gd.Extragradient(lr),
        "OMD": gd.Optimistic(lr),
        "SGA": gd.Method(plain, gd.symplectic_adjustment(1.0, aligned=True)),
        "CO": gd.Method(plain, gd.consensus(lr, "full")),
        "CGD": gd.Method(plain, gd.competitive(lr)),
        "LA": gd.Method(plain, gd.opponent_lookahead(lr)),
        "LOLA": gd.Method(plain, gd.lola(lr)),
        "SOS": gd.Method(plain, gd.sos(lr)),
    }


def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Orbits from the same starts under every method, and the size of the field along them."""
    game = gd.games.no_convergence()
    starts = np.column_stack(
        [parameters["start"], *np.random.default_rng(parameters["seed"]).normal(size=(parameters["random"], 2))]
    )
    found = methods(parameters["lr"])
    orbits, sizes = [], []
    for k, (name, method) in enumerate(found.items()):
        progress(k / len(found), name)
        z = gd.simulate(gd.StepMap(method, game), starts, parameters["steps"]).z
        orbits.append(z[:: parameters["every"]])
        late = z[parameters["steps"] // 2 :]
        v = gd.field(game, np.moveaxis(late, 1, 0).reshape(2, -1)).reshape(2, *late[:, 0].shape)
        sizes.append([np.abs(z[:, :, 0]).max(), np.linalg.norm(v, axis=0)[:, 0].min(), np.linalg.norm(v, axis=0).min()])
    axis = np.linspace(-1.6, 1.6, 17)
    grid = np.stack([c.ravel() for c in np.meshgrid(axis, axis)])
    values = np.asarray(gd.jacobian(game, [0.0, 0.0]).eigenvalues())
    return {
        "names": np.array(list(found)),
        "orbits": np.stack(orbits),
        "sizes": np.array(sizes),
        "axis": axis,
        "flow": -gd.field(game, grid).reshape(2, len(axis), len(axis)),
        "eigenvalues": values,
        "equilibria": np.array([[float(x) for x in e.point] for e in gd.equilibria(game)]),
    }


def checks(data: dict[str, Any]) -> list[Check]:
    claim = "no method converges (arXiv:2005.12649)"
    found = [
        Check("equilibria", len(data["equilibria"]), 1, 0.0, source=claim),
        Check("Re λ(J) at the equilibrium", data["eigenvalues"].real.max(), -1.0, 1e-12, source=claim),
        Check("|Im λ(J)| at the equilibrium", np.abs(data["eigenvalues"].imag).max(), 1.0, 1e-12, source=claim),
    ]
    for name, (reach, least, least_of_all) in zip(data["names"], data["sizes"], strict=True):
        found += [
            Check(f"{name}: greatest coordinate from (0.8, -0.3)", reach, 1.23, 0.0, kind="at_most"),
            Check(f"{name}: least ‖v‖ in the second half, from (0.8, -0.3)", least, 0.776, 0.0, kind="at_least"),
            Check(
                f"{name}: least ‖v‖ in the second half, all starts", least_of_all, 0.1, 0.0, kind="at_least",
                note="9 starts; the aligned SGA comes nearest, it turns over where its sign changes",
            ),
        ]  # fmt: skip
    return found


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 5, figsize=(7.6, 3.5), sharex=True, sharey=True, layout="constrained")
    for k, ax in enumerate(axes.flat):
        _panel(ax, data, k)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    for ax in axes[:, 0]:
        ax.set_ylabel("y")
    return figure


_COLOR = {
    "GD": "gda", "AGD": "alt", "EG": "eg", "OMD": "ogda", "SGA": "sga",
    "CO": "co", "CGD": "cgd", "LA": "opponent_lookahead", "LOLA": "lola", "SOS": "sos",
}  # fmt: skip


def _panel(ax: Axes, data: dict[str, Any], k: int) -> None:
    from gamedyn.plotting import style
    from gamedyn.plotting.displays import FieldDisplay

    name = str(data["names"][k])
    color = style.method_color(_COLOR[name])
    FieldDisplay(data["axis"], data["axis"], data["flow"]).plot(ax, kind="quiver", color="0.82")
    orbits = data["orbits"][k]
    for j in range(orbits.shape[2]):
        ax.plot(*orbits[:, :, j].T, color=color, linewidth=0.7, zorder=3)
    ax.plot(*orbits[0, :, 0], "o", color=color, markerfacecolor="white", markersize=4, zorder=5)
    ax.plot(0, 0, "*", color="black", markersize=6, zorder=4)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xlabel="", ylabel="", title=name, aspect="equal")


STUDY = Study(
    name="fig11_no_convergence",
    title="Ten methods around an equilibrium that none of them reaches",
    source="Letcher (ICLR 2021), arXiv:2005.12649, figure 1",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={"lr": 0.01, "steps": 6000, "every": 10, "start": [0.8, -0.3], "random": 8, "seed": 0},
)
