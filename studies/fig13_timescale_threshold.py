"""The quadratic game on which the time scale decides: the origin attracts τ-descent iff τ > τ* = 2.

    f = ½(-v x₁² + (v/2) x₂² - (v/2) y₁² - v y₂²) - v x₁y₁ + (v/2) x₂y₂,   v = 4
    det(λ - J_τ) = (λ² - 2(τ-2) λ + 8τ)(λ² - 2(2τ+1) λ + 12τ)

The origin is a local minimax point that is no local Nash equilibrium (∇²f_xx is indefinite).  The first factor belongs
to (x₁, y₁) and leaves the imaginary axis at τ = 2; the second is stable for every τ.  As τ grows, two eigenvalues tend
to the Schur complement diag(4, 3), the others to τ times the curvature diag(2, 4) of the maximising player.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from studies.runner import Check, Study

TAU, LAMBDA = sp.Symbol("tau", positive=True), sp.Symbol("lambda")
PAPER = "Fiez and Ratliff (ICLR 2021)"
NOTEBOOK = "printed in the authors' notebook, nine digits"

# z = (x₁, x₂, y₁, y₂) after 10,000 and 20,000 steps, as the authors' notebook prints it
PRINTED = {
    2: (
        (9.53276806, 1.21215376e-08, -1.08588467e01, 1.21213587e-08),
        (2.73389560, 2.44893353e-17, -1.21646086e01, 2.44893353e-17),
    ),
    2.5: (
        (-5.60959831e-01, 8.54325903e-08, 3.42652830e-02, 6.62320538e-08),
        (5.64020185e-02, 1.64035157e-15, -2.68301625e-02, 1.27169097e-15),
    ),
    3: (
        (-3.41787880e-02, 1.77000748e-07, 1.07136463e-01, 1.23409234e-07),
        (-4.36852761e-04, 7.42610669e-15, 4.73620550e-04, 5.17766250e-15),
    ),
    5: (
        (-4.33538787e-07, 4.73499679e-07, -3.49318005e-06, 2.81673199e-07),
        (-2.42640893e-13, 5.53777839e-14, 1.73216839e-12, 3.29428682e-14),
    ),
    10: (
        (7.45615164e-17, 7.98196998e-07, -2.18523301e-16, 4.32434052e-07),
        (1.18962191e-34, 1.58909192e-13, -6.31218256e-34, 8.60912107e-14),
    ),
}


def characteristic(tau: Any = TAU) -> sp.Poly:
    """det(λ - J_τ) at the origin, exactly."""
    game = gd.two_timescale(tau)(gd.games.fiez_quadratic(4))
    return sp.Matrix(gd.jacobian(game, sp.zeros(4, 1)).to_dense()).charpoly(LAMBDA)


def stable_set(polynomial: sp.Poly) -> sp.Set:
    """The τ > 0 for which every root has a positive real part, by Hurwitz's determinants of p(-λ)."""
    t = sp.Symbol("t", real=True)
    a = sp.Poly(polynomial.as_expr().subs(LAMBDA, -LAMBDA), LAMBDA).all_coeffs()
    n = len(a) - 1
    hurwitz = sp.Matrix(n, n, lambda i, j: a[2 * (j + 1) - (i + 1)] if 0 <= 2 * (j + 1) - (i + 1) <= n else 0)
    sets: list[sp.Set] = [sp.Interval.open(0, sp.oo)]
    for k in range(1, n + 1):
        minor = sp.factor(hurwitz[:k, :k].det()).subs(TAU, t)
        sets.append(sp.solve_univariate_inequality(minor > 0, t, relational=False))
    return sp.Intersection(*sets)


def theory(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """τ*, the switches from complex to real, the limits of the slow eigenvalues, and all eigenvalues by τ."""
    p = characteristic()
    claimed = (LAMBDA**2 - 2 * (TAU - 2) * LAMBDA + 8 * TAU) * (LAMBDA**2 - 2 * (2 * TAU + 1) * LAMBDA + 12 * TAU)
    stable = stable_set(p)
    # The factor of (x₂, y₂) first: its eigenvalues are real from a smaller τ on.
    factors = sorted((factor for factor, _ in sp.factor_list(p.as_expr(), LAMBDA)[1]), key=switch)
    slow = [float(sp.limit(min_root(f), TAU, sp.oo)) for f in factors]
    low, high, points = parameters["sweep"]
    sweep = np.linspace(low, high, points)
    paths = [np.stack([np.roots(row) for row in coefficients(f, sweep)]) for f in factors]
    return {
        "formula_gap": float(sum(abs(c) for c in sp.Poly(sp.expand(p.as_expr() - claimed), LAMBDA).all_coeffs())),
        "tau_star": float(stable.inf),
        "stable_above": float(stable == sp.Interval.open(stable.inf, sp.oo)),
        "switches": np.array([float(switch(f)) for f in factors]),
        "schur": np.array(slow),
        "sweep": sweep,
        "path": np.concatenate(paths, axis=1).astype(complex),
    }


def switch(factor: sp.Expr) -> sp.Expr:
    """The τ from which the roots of a factor are real."""
    return max(sp.solve(sp.discriminant(factor, LAMBDA), TAU))


def min_root(factor: sp.Expr) -> sp.Expr:
    """The smaller root, real for large τ."""
    return min(sp.solve(factor, LAMBDA), key=lambda r: float(r.subs(TAU, 1000)))


def coefficients(factor: sp.Expr, sweep: np.ndarray) -> np.ndarray:
    """The coefficients of a factor in λ at each τ, `(n, 3)`."""
    columns = [sp.lambdify(TAU, c, "numpy")(sweep) for c in sp.Poly(factor, LAMBDA).all_coeffs()]
    return np.stack([np.broadcast_to(np.asarray(c, dtype=float), sweep.shape) for c in columns], axis=1)


def orbits(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Descent from (5, 4, 3, 2) for each τ, and the spectral radius of its step."""
    points, radii, values = [], [], []
    for k, tau in enumerate(parameters["tau"]):
        progress(k / len(parameters["tau"]), f"tau {tau}")
        game = gd.two_timescale(tau)(gd.games.fiez_quadratic(4))
        step = gd.StepMap(gd.Simultaneous(lr=parameters["lr"]), game)
        points.append(gd.simulate(step, parameters["start"], parameters["steps"]).z)
        values.append(np.asarray(gd.jacobian(game, np.zeros(4)).eigenvalues()))
        radii.append(np.abs(1 - parameters["lr"] * values[-1]).max())
    block = gd.jacobian(gd.games.fiez_quadratic(4), np.zeros(4)).to_dense()[:2, :2]
    return {
        "tau": np.array(parameters["tau"], dtype=float),
        "z": np.stack(points),
        "distance": np.linalg.norm(np.stack(points), axis=2),
        "radius": np.array(radii),
        "eigenvalues": np.stack(values),
        "curvature": float(np.linalg.eigvalsh(block)[0]),
    }


def checks(data: dict[str, Any]) -> list[Check]:
    switches, least = data["switches"], data["path"].real.min(axis=1)
    below, above = data["sweep"] < 1.995, data["sweep"] > 2.005
    found = [
        Check("characteristic polynomial against its factors, exact", data["formula_gap"], 0.0, 0.0),
        Check("τ*, exact", data["tau_star"], 2.0, 0.0, source=f"{PAPER}, section on the quadratic game"),
        Check("stable for every τ > τ*, exact", data["stable_above"], 1.0, 0.0, source=PAPER),
        Check("least eigenvalue of ∇²f_xx", data["curvature"], -4.0, 1e-14, note="negative: no local Nash equilibrium"),
        Check("complex until τ, eigenvalues of (x₁, y₁)", switches[1], 6 + 4 * np.sqrt(2), 1e-14, note="6 + 4√2"),
        Check("complex until τ, eigenvalues of (x₂, y₂)", switches[0], 1 + np.sqrt(3) / 2, 1e-14, note="1 + √3/2"),
        Check("slow eigenvalue of (x₁, y₁) as τ → ∞, exact", data["schur"][1], 4.0, 0.0, note="Schur complement"),
        Check("slow eigenvalue of (x₂, y₂) as τ → ∞, exact", data["schur"][0], 3.0, 0.0, note="Schur complement"),
        Check("least real part on the sweep, τ < 2, greatest", least[below].max(), 0.0, 0.0, "at_most"),
        Check("least real part on the sweep, τ > 2, least", least[above].min(), 0.0, 0.0, "at_least"),
    ]
    for k, tau in enumerate(data["tau"]):
        for steps, printed in zip((10_000, 20_000), PRINTED[float(tau)], strict=True):
            error = np.abs(data["z"][k, steps] / np.array(printed) - 1).max()
            name = f"τ = {tau:g}, all coordinates after {steps:,} steps, greatest relative error"
            found.append(Check(name, error, 0.0, 6e-9, note=NOTEBOOK, source=PAPER))
    growth = data["radius"][0] - 1
    neutral = "the flow is neutral at τ*; the step is not, and grows by 4 % in 20,000 steps"
    found.append(Check("τ = 2: ρ of the step, less 1", growth, np.hypot(1, 4 * 5e-4) - 1, 1e-14, note=neutral))
    return found


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7.4, 5.0))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    left, middle, right = top.subplots(1, 3)
    _draw_plane(left, data, (0, 2))
    _draw_plane(middle, data, (1, 3))
    _draw_distance(right, data)
    plane, parts = bottom.subplots(1, 2)
    _draw_path(plane, data)
    _draw_real_parts(parts, data)
    handles, labels = right.get_legend_handles_labels()
    bottom.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _looks(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Colour and label of each τ: one hue from dark to light as τ grows."""
    import matplotlib
    from matplotlib.colors import to_hex

    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, len(data["tau"])))
    return [(to_hex(shade), f"τ = {tau:g}") for shade, tau in zip(shades, data["tau"], strict=True)]


def _draw_plane(ax: Axes, data: dict[str, Any], pair: tuple[int, int]) -> None:
    for k, (color, _) in enumerate(_looks(data)):
        ax.plot(*data["z"][k, ::10, pair].reshape(2, -1), color=color, linewidth=0.7, zorder=3 + k)
    start = data["z"][0, 0, list(pair)]
    ax.plot(*start, "o", color="black", markerfacecolor="white", markersize=4, zorder=10)
    ax.plot(0, 0, "*", color="black", markersize=6, zorder=10)
    name = "₁₂"[pair[0]]
    ax.set(xlabel=f"minimiser x{name}", ylabel=f"maximiser y{name}")


def _draw_distance(ax: Axes, data: dict[str, Any]) -> None:
    for k, (color, label) in enumerate(_looks(data)):
        ax.semilogy(data["distance"][k], color=color, label=label)
    ax.set(xlabel="step", ylabel="distance to the origin", xticks=[0, 10_000, 20_000])
    ax.margins(x=0)


def _draw_path(ax: Axes, data: dict[str, Any]) -> None:
    """The eigenvalues in the plane as τ grows, those of the orbits marked."""
    from gamedyn.plotting import style

    ax.axvspan(-4, 0, facecolor=style.GREY, alpha=0.12, linewidth=0)
    ax.axvline(0.0, color=style.GREY, linewidth=0.8, zorder=0)
    for branch in data["path"].T:
        ax.plot(branch.real, branch.imag, ".", color="0.7", markersize=1.5, zorder=1, rasterized=True)
    for k, (color, _) in enumerate(_looks(data)):
        values = data["eigenvalues"][k]
        ax.plot(values.real, values.imag, "o", color=color, markersize=4.5, zorder=3)
    ax.annotate(
        "τ* = 2", (0.0, 4.0), (14, 7.0), ha="center", arrowprops={"arrowstyle": "->", "color": "0.3", "linewidth": 0.8}
    )
    ax.set(xlim=(-4, 45), ylim=(-8.5, 8.5), xlabel="Re λ(J)", ylabel="Im λ(J)")
    ax.set_title("grey: the path for τ from 1 to 16.5", color="0.3")


def _draw_real_parts(ax: Axes, data: dict[str, Any]) -> None:
    from gamedyn.plotting.style import GREY, OKABE_ITO

    sweep, real = data["sweep"], data["path"].real
    for branch, color in zip(real.T, [OKABE_ITO["blue"]] * 2 + [OKABE_ITO["vermillion"]] * 2, strict=True):
        ax.plot(sweep, branch, color=color, linewidth=1.0)
    ax.text(4.2, 13.4, "(x₂, y₂)", color=OKABE_ITO["blue"])
    ax.text(9.0, 5.0, "(x₁, y₁)", color=OKABE_ITO["vermillion"])
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.axvline(data["tau_star"], color=GREY, linewidth=0.8, linestyle=":")
    ax.annotate("τ*", (data["tau_star"], 13.4), (-4, 0), textcoords="offset points", ha="right", color="0.3")
    for limit in data["schur"]:
        ax.axhline(limit, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    ax.set(xlabel="τ", ylabel="Re λ(J)", ylim=(-2, 15), xlim=sweep[[0, -1]], xticks=[1, 2, 4, 8, 12, 16])
    ax.set_title("dotted: the Schur complement's 3 and 4", color="0.3")


STUDY = Study(
    name="fig13_timescale_threshold",
    title="A faster maximiser makes a local minimax point attract",
    source="Fiez and Ratliff (ICLR 2021), arXiv:2009.14820, quadratic game",
    compute={"theory": theory, "orbits": orbits},
    draw=draw,
    checks=checks,
    parameters={
        "tau": [2, 2.5, 3, 5, 10],
        "lr": 5e-4,
        "steps": 20_000,
        "start": [5.0, 4.0, 3.0, 2.0],
        "sweep": [1.0, 16.5, 1551],
    },
)
