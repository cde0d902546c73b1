"""The Dirac-GAN with the R1 penalty when the discriminator is τ times as fast.

    λ(J_τ) = τμ/2 ± sqrt(τ²μ²/4 - τ/4)

Stable for every τ > 0, complex iff τ < 1/μ². Descent with step η contracts by max |1 - ηλ|, which is best at the
switch: a much faster discriminator (τ = 16) is slower than τ = 8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from studies.runner import Check, Study

MU, TAU = sp.Symbol("mu", positive=True), sp.Symbol("tau", positive=True)


def scaled_jacobian(mu: sp.Expr, tau: sp.Expr) -> sp.Matrix:
    """J_τ at the equilibrium, exactly."""
    game = gd.two_timescale(tau)(gd.games.dirac_gan(penalty=gd.games.R1(mu)))
    return gd.jacobian(game, sp.Matrix([0, 0])).to_dense()


def formula(mu: Any, tau: Any) -> tuple[sp.Expr, sp.Expr]:
    """The eigenvalues of J_τ in closed form, real numbers or symbols given."""
    root = sp.sqrt(tau**2 * mu**2 - tau)
    return (tau * mu + root) / 2, (tau * mu - root) / 2


def theory(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Eigenvalues by τ, the switch from complex to real, and the smallest stable τ, all from the exact Jacobian."""
    J = sp.Matrix(scaled_jacobian(MU, TAU))
    z = sp.Symbol("z")
    gap = sp.Poly(J.charpoly(z).as_expr() - sp.prod([z - e for e in formula(MU, TAU)]).expand(), z)
    (switch,) = [t for t in sp.solve(sp.discriminant(J.charpoly(z).as_expr(), z), TAU) if t != 0]
    t = sp.Symbol("t", real=True)  # stable iff trace and determinant are positive
    stable = [
        sp.solve_univariate_inequality(e.subs({TAU: t, MU: 1}) > 0, t, relational=False) for e in (J.trace(), J.det())
    ]
    mu = parameters["mu"][0]
    sweep = np.sort(np.append(np.geomspace(*parameters["sweep"]), 1 / mu**2))
    path = np.linalg.eigvals(np.array([[[0, 0.5], [-s / 2, s * mu]] for s in sweep]))
    return {
        "formula_gap": float(sum(abs(sp.simplify(c)) for c in gap.all_coeffs())),
        "switch": np.array([float(switch.subs(MU, sp.nsimplify(m))) for m in (mu, 1)]),
        "tau_star": float(sp.Intersection(*stable).inf),
        "sweep": sweep,
        "path": np.sort_complex(path),
    }


def orbits(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Descent from (1, 1), its measured rate, the spectral radius, and the flow on a grid."""
    axis = np.linspace(-parameters["box"], parameters["box"], parameters["arrows"])
    grid = np.stack([c.ravel() for c in np.meshgrid(axis, axis)])
    cases = list(zip(parameters["tau"], parameters["mu"], strict=True))
    points, flows, radii, values = [], [], [], []
    for k, (tau, mu) in enumerate(cases):
        progress(k / len(cases), f"tau {tau}, mu {mu}")
        game = gd.two_timescale(tau)(gd.games.dirac_gan(penalty=gd.games.R1(mu)))
        step = gd.StepMap(gd.Simultaneous(lr=parameters["lr"]), game)
        points.append(gd.simulate(step, parameters["start"], parameters["steps"]).z)
        flows.append(-gd.field(game, grid).reshape(2, len(axis), len(axis)))
        exact = gd.StepMap(gd.Simultaneous(lr=sp.nsimplify(parameters["lr"])), game)
        radii.append(float(gd.spectral_radius(exact, sp.Matrix([0, 0]))))
        values.append(np.asarray(gd.jacobian(game, [0.0, 0.0]).eigenvalues()))
    z = np.stack(points)
    return {
        "cases": np.array(cases, dtype=float),
        "z": z,
        "distance": np.linalg.norm(z, axis=2),
        "axis": axis,
        "flow": np.stack(flows),
        "radius": np.array(radii),
        "eigenvalues": np.stack(values),
    }


def measured_rate(distance: np.ndarray) -> float:
    """The factor per step, between the first and the last peak of the second half; between its ends if it has none.

    Peaks, because the distance on an elliptic spiral oscillates: between peaks lies a whole number of half turns.
    """
    d = np.log(distance)
    first = len(d) // 2
    peaks = np.flatnonzero(_peaks(d[first:])) + first + 1
    if len(peaks) > 1:
        a, b = peaks[0], peaks[-1]
    else:
        a, b = first, len(d) - 1
    return float(np.exp((d[b] - d[a]) / (b - a)))


def _peaks(d: np.ndarray) -> np.ndarray:
    """Where the slope, less the mean one, changes from rising to falling."""
    slope = np.diff(d)
    slope = slope - (d[-1] - d[0]) / (len(d) - 1)
    return (slope[:-1] > 0) & (slope[1:] <= 0) & (np.ptp(slope) > 1e-6)


def checks(data: dict[str, Any]) -> list[Check]:
    claim = "complex iff τ < 1/μ², stable for every τ > 0 (arXiv:2009.14820)"
    found = [
        Check("characteristic polynomial against the formula, exact", data["formula_gap"], 0.0, 0.0),
        Check(
            "real-complex switch of τ, μ = 0.3", data["switch"][0], 11.11, 5e-3, note="exact 1/μ² = 100/9", source=claim
        ),
        Check("real-complex switch of τ, μ = 1", data["switch"][1], 1.0, 0.0, note="exact 1/μ²", source=claim),
        Check("smallest stable τ", data["tau_star"], 0.0, 0.0, source=claim),
    ]
    for k, (tau, mu) in enumerate(data["cases"]):
        name = f"τ = {tau:g}, μ = {mu:g}"
        want = np.array([complex(sp.N(e, 20)) for e in formula(sp.nsimplify(mu), sp.Integer(int(tau)))])
        double = tau == 1 and mu == 1
        gap = max(np.abs(want - v).min() for v in data["eigenvalues"][k])
        found.append(Check(f"eigenvalues against the formula, {name}", gap, 0.0, 1e-7 if double else 1e-13))
        imaginary = float(np.abs(want.imag).max() > 0)
        found.append(Check(f"complex, {name}", imaginary, float(tau < 1 / mu**2), 0.0, source=claim))
        found.append(_rate_check(data, k, name, double=double))
    return found


def _rate_check(data: dict[str, Any], k: int, name: str, *, double: bool) -> Check:
    """The measured decay per step against max |1 - ηλ|."""
    distance, tolerance, note = data["distance"][k], 2e-6, "between peaks of the second half of the run"
    if double:
        # A double eigenvalue without a second eigenvector: (k + c) ρᵏ. Without c, the rest is c/k² at k = 2000.
        distance, tolerance = distance[1:] / np.arange(1, len(distance)), 1e-5
        note = "double eigenvalue: of distance / step, known to 1e-5"
    rate = measured_rate(distance)
    return Check(f"decay per step, {name}", rate, data["radius"][k], tolerance, note=note, source="max |1 - ηλ|")


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7.6, 4.8))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.5])
    axes = top.subplots(1, len(data["cases"]), sharex=True, sharey=True)
    for k, ax in enumerate(axes):
        _draw_orbit(ax, data, k)
    axes[0].set_ylabel("discriminator ψ")
    left, right = bottom.subplots(1, 2)
    _draw_distance(left, data)
    _draw_eigenvalues(right, data)
    handles, labels = left.get_legend_handles_labels()
    bottom.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _looks(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Colour and label of each case: one hue from dark to light as τ grows, and another for the other μ."""
    import matplotlib
    from matplotlib.colors import to_hex

    from gamedyn.plotting.style import OKABE_ITO

    shades = iter(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, len(data["cases"]) - 1)))
    first = data["cases"][0, 1]
    return [
        (to_hex(next(shades)) if mu == first else OKABE_ITO["vermillion"], f"τ = {tau:g}, μ = {mu:g}")
        for tau, mu in data["cases"]
    ]


def _draw_orbit(ax: Axes, data: dict[str, Any], k: int) -> None:
    from gamedyn.plotting.displays import FieldDisplay

    color, label = _looks(data)[k]
    FieldDisplay(data["axis"], data["axis"], data["flow"][k]).plot(ax, kind="stream", color="0.75")
    z = data["z"][k]
    ax.plot(*z.T, color=color, zorder=3)
    ax.plot(*z[0], "o", color=color, markerfacecolor="white", markersize=4, zorder=4)
    ax.plot(0, 0, "*", color="black", markersize=6, zorder=4)
    box = data["axis"][[0, -1]]
    ax.set(xlim=box, ylim=box, xlabel="generator θ", ylabel="", title=label, aspect="equal")


def _draw_distance(ax: Axes, data: dict[str, Any]) -> None:
    for k, (color, label) in enumerate(_looks(data)):
        ax.semilogy(data["distance"][k], color=color, label=label)
        steps = np.arange(data["distance"].shape[1])
        middle = len(steps) // 2
        rate = data["distance"][k, middle] * data["radius"][k] ** (steps - middle)
        if data["cases"][k, 0] != 1 or data["cases"][k, 1] != 1:
            ax.semilogy(steps[middle:], rate[middle:], color="black", linestyle=":", linewidth=0.8, zorder=4)
    ax.plot([], [], color="black", linestyle=":", linewidth=0.8, label="slope log ρ")
    ax.set(xlabel="step", ylabel="distance to the equilibrium", ylim=(1e-16, 5))
    ax.margins(x=0)


def _draw_eigenvalues(ax: Axes, data: dict[str, Any]) -> None:
    path = data["path"]
    ax.plot(path.real, path.imag, color="0.6", linewidth=1.0, zorder=1)
    for k, (color, _) in enumerate(_looks(data)):
        values = data["eigenvalues"][k]
        ax.plot(values.real, values.imag, "o", color=color, markersize=5, zorder=3)
    switch = path.real[np.argmin(np.abs(data["sweep"] - data["switch"][0]))].mean()
    ax.annotate(
        f"τ = 1/μ² = {data['switch'][0]:.2f}", (switch, 0.0), (0.5, 0.9), textcoords="axes fraction",
        ha="center", arrowprops={"arrowstyle": "->", "color": "0.3", "linewidth": 0.8},
    )  # fmt: skip
    ax.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xlabel="Re λ(J)", ylabel="Im λ(J)")
    ax.set_title("grey: the path of μ = 0.3 as τ grows", color="0.3")


STUDY = Study(
    name="fig16_dirac_timescales",
    title="Dirac-GAN with R1: a faster discriminator, to a point",
    source="Fiez and Ratliff (ICLR 2021), arXiv:2009.14820, Dirac-GAN figure",
    compute={"theory": theory, "orbits": orbits},
    draw=draw,
    checks=checks,
    parameters={
        "tau": [1, 4, 8, 16, 1],
        "mu": [0.3, 0.3, 0.3, 0.3, 1],
        "lr": 0.01,
        "steps": 4000,
        "start": [1.0, 1.0],
        "sweep": [0.05, 18.0, 1200],
        "box": 2.0,
        "arrows": 25,
    },
)
