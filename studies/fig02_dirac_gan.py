"""The Dirac-GAN under nine regularisers and three orders of play.

    v(θ, ψ) at (0, 0):  J = [[a, b], [-b, d]],    one step of θ, then n steps of ψ, all of size h

The generator θ moves first, as in the published code.  One round has determinant (1 - ha) r and trace
(1 - ha) + r - h²b²s, where r = (1 - hd)ⁿ and s = 1 + (1 - hd) + … + (1 - hd)ⁿ⁻¹; by both at once the eigenvalues are
1 - hλ(J).  Where J predicts decay, the rate is read off the orbit: a linear map is fitted to its tail.

Consensus is the gradient of ½γ‖v‖².  The published code halves the terms in f″, which leaves J as it is but changes
the picture: with five discriminator steps the true field carries the start (1, 1) away, the halved one carries it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.games.dirac import PSI, R1, THETA, Clip, Consensus, GradientPenalty, InstanceNoise, dirac_gan
from gamedyn.plotting import style
from gamedyn.plotting.displays import FieldDisplay, OrbitDisplay
from studies.runner import Check, Progress, Study
from studies.store import Data

REGULARISERS = {
    "gan": ("GAN", "gan", None),
    "nsgan": ("non-saturating", "non_saturating", None),
    "wgan": ("WGAN, clip 1", "wgan", Clip(1)),
    "wgan_gp": ("WGAN-GP, weight 0.7, g₀ = 1", "wgan", GradientPenalty(weight=0.7, target=1)),
    "noise": ("instance noise, σ = 0.7", "gan", InstanceNoise(0.7)),
    "r1": ("R1, γ = 0.3", "gan", R1(0.3)),
    "r1_critical": ("R1, γ = 1 (critical)", "gan", R1(1)),
    "consensus": ("consensus, γ = 1", "gan", Consensus(1)),
    "nsgan_r1": ("non-saturating, R1, γ = 0.3", "non_saturating", R1(0.3)),
}
METHODS = {"sim": "simultaneous", "alt1": "alternating 1 : 1", "alt5": "alternating 1 : 5"}
DISCRIMINATOR_STEPS = {"alt1": 1, "alt5": 5}
CONVERGENT = ("noise", "r1", "r1_critical", "consensus", "nsgan_r1")
WINDOW = (1e-10, 1e-5)  # distances at which the step is linear and roundoff is far away
RCOND = 1e-6  # directions of the tail below this share are dropped from the fit
MESCHEDER = "Mescheder et al. (ICML 2018)"


def games() -> dict[str, gd.SymbolicGame]:
    """The nine games, by the names of `REGULARISERS`."""
    return {name: dirac_gan(loss, penalty) for name, (_, loss, penalty) in REGULARISERS.items()}


def halved_consensus() -> gd.SymbolicGame:
    """The field of the published code: ½ before the terms of ∇½‖v‖² that contain f″."""
    slope = 1 / (1 + sp.exp(PSI * THETA))
    rest = (PSI**2 + THETA**2) * slope * -slope * (1 - slope) / 2
    generator = PSI * slope + THETA * slope**2 + PSI * rest
    return gd.field_game([generator, -THETA * slope + PSI * slope**2 + THETA * rest], players=["theta", "psi"])


def methods(h: Any) -> dict[str, Any]:
    """The three orders of play with step h, a float or a Rational."""
    alternate = {name: gd.Alternating(h, order=(0, 1), steps=(1, n)) for name, n in DISCRIMINATOR_STEPS.items()}
    return {"sim": gd.Simultaneous(h), **alternate}


def orbits(parameters: Mapping[str, Any], progress: Progress) -> Data:
    """Fields and orbits; convergent ones run on, so that their tails reach the linear regime."""
    start, steps, axis = parameters["start"], parameters["iterations"], np.linspace(-2, 2, 10)
    grid = np.stack([part.ravel() for part in np.meshgrid(axis, axis)])
    data: Data = {"h": float(parameters["h"]), "axis": axis, "steps": steps}
    for index, (name, game) in enumerate(games().items()):
        progress(index / 9, name)
        data[f"flow_{name}"] = -gd.field(game, grid).reshape(2, 10, 10)
        for order, method in methods(parameters["h"]).items():
            longer = 2 * steps if name in CONVERGENT and order != "alt5" else steps
            data[f"{name}_{order}"] = gd.simulate(gd.StepMap(method, game), start, longer).z
    five = methods(parameters["h"])["alt5"]
    data["consensus_near"] = gd.simulate(gd.StepMap(five, games()["consensus"]), parameters["near"], steps).z
    data["consensus_halved"] = gd.simulate(gd.StepMap(five, halved_consensus()), start, steps).z
    penalty = GradientPenalty(*parameters["long_wgan_gp"]["penalty"])
    T = gd.StepMap(gd.Simultaneous(parameters["long_wgan_gp"]["h"]), dirac_gan("wgan", penalty))
    data["wgan_gp_long"] = gd.simulate(T, start, parameters["long_wgan_gp"]["iterations"]).z[-5000:]
    return data


def spectra(parameters: Mapping[str, Any], progress: Progress) -> Data:
    """Exact eigenvalues of -J and spectral radii at (0, 0); WGAN-GP has neither, its v jumps there."""
    data: Data = {}
    for index, (name, game) in enumerate(games().items()):
        progress(index / 9, name)
        if name == "wgan_gp":
            continue
        eigenvalues = gd.jacobian(game, sp.zeros(2, 1)).eigenvalues()
        data[f"eig_{name}"] = np.array([-complex(value) for value in eigenvalues])
        for order, method in methods(sp.Rational(str(parameters["h"]))).items():
            data[f"rho_{name}_{order}"] = float(gd.spectral_radius(gd.StepMap(method, game), [0, 0]))
    return data


# checks ----------------------------------------------------------------------------------------------


PUBLISHED = {  # (a, b, d) of J at (0, 0), by hand from the formulas of the paper
    "gan": (0.0, 0.5, 0.0),
    "nsgan": (0.0, 0.5, 0.0),
    "wgan": (0.0, 1.0, 0.0),
    "noise": (0.0, 0.5, 0.7**2 / 2),
    "r1": (0.0, 0.5, 0.3),
    "r1_critical": (0.0, 0.5, 1.0),
    "consensus": (0.25, 0.5, 0.25),
    "nsgan_r1": (0.0, 0.5, 0.3),
}


def flow_eigenvalues(a: float, b: float, d: float) -> np.ndarray:
    """-(a + d)/2 ± √((a - d)²/4 - b²)."""
    root = np.emath.sqrt((a - d) ** 2 / 4 - b**2)
    return np.array([-(a + d) / 2 + root, -(a + d) / 2 - root])


def round_radius(a: float, b: float, d: float, h: float, n: int) -> float:
    """The spectral radius of one round of alternation, from its trace and determinant."""
    r, s = (1 - h * d) ** n, sum((1 - h * d) ** j for j in range(n))
    trace, determinant = (1 - h * a) + r - h**2 * b**2 * s, (1 - h * a) * r
    root = np.emath.sqrt(trace**2 / 4 - determinant)
    return float(max(abs(trace / 2 + root), abs(trace / 2 - root)))


def fitted_radius(orbit: np.ndarray) -> float:
    """max |ζ| of the matrix M with z_{k+1} ≈ M z_k over the part of the orbit inside `WINDOW`."""
    distance = np.linalg.norm(orbit, axis=1)
    inside = np.flatnonzero((distance[:-1] < WINDOW[1]) & (distance[1:] > WINDOW[0]))
    unit = distance[inside, None]
    # A direction that has died out must not be fitted to roundoff, hence rcond.
    matrix = np.linalg.lstsq(orbit[inside] / unit, orbit[inside + 1] / unit, rcond=RCOND)[0]
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def checks(data: Data) -> list[Check]:
    """Predictions at the equilibrium, then the orbits against them."""
    return [*_predictions(data), *_rates(data), *_consensus(data), *_no_convergence(data), *_non_saturating(data)]


def _predictions(data: Data) -> list[Check]:
    found, h = [], data["h"]
    for name, j in PUBLISHED.items():
        expected, label = flow_eigenvalues(*j), REGULARISERS[name][0]
        gap = np.abs(np.sort_complex(data[f"eig_{name}"]) - np.sort_complex(expected)).max()
        note = " and ".join(f"{value:.4g}" for value in expected)
        found.append(Check(f"{label}: eigenvalues of -J, error", gap, 0.0, 1e-14, note=note, source=MESCHEDER))
        sim = float(np.abs(1 + h * expected).max())
        found.append(Check(f"{label}: ρ, simultaneous", data[f"rho_{name}_sim"], sim, 1e-14))
        for order, n in DISCRIMINATOR_STEPS.items():
            radius = round_radius(*j, h, n)
            found.append(Check(f"{label}: ρ, {METHODS[order]}", data[f"rho_{name}_{order}"], radius, 1e-14))
    return found


def _rates(data: Data) -> list[Check]:
    found = []
    for name in CONVERGENT:
        for order, method in METHODS.items():
            orbit = data["consensus_near" if (name, order) == ("consensus", "alt5") else f"{name}_{order}"]
            # v is odd, so the step is linear up to O(‖z‖²) ≤ 1e-10; a direction that is dropped costs up to RCOND, and
            # a double root moves by the square root of the error of the matrix.
            tolerance, note = (2e-4, "double root") if (name, order) == ("r1_critical", "sim") else (RCOND, "")
            label, rho = f"{REGULARISERS[name][0]}: measured rate, {method}", data[f"rho_{name}_{order}"]
            found.append(Check(label, fitted_radius(orbit), rho, tolerance, note=note))
    return found


def _consensus(data: Data) -> list[Check]:
    label, final, start = "consensus, alternating 1 : 5", data["consensus_alt5"][-1], data["consensus_alt5"][0]
    rate, rho = fitted_radius(data["consensus_halved"]), data["rho_consensus_alt5"]
    leaves = "from (1, 1) it leaves, though ρ < 1; with the f″ terms halved it converges"
    return [
        Check(f"{label}, f″ terms halved: measured rate", rate, rho, RCOND, source=f"{MESCHEDER}, published code"),
        _away(f"{label}: final distance", float(np.linalg.norm(final)), float(np.linalg.norm(start)), 0.0, leaves),
    ]


def _away(label: str, distance: float, bound: float, tolerance: float, note: str) -> Check:
    return Check(label, distance, bound, tolerance, "at_least", note)


def _least(orbit: np.ndarray) -> float:
    return float(np.linalg.norm(orbit, axis=1).min())


def _no_convergence(data: Data) -> list[Check]:
    h, gan = data["h"], data["gan_sim"]
    square, slope = (gan**2).sum(axis=1), 1 / (1 + np.exp(gan[:-1].prod(axis=1)))
    growth = np.abs(square[1:] / square[:-1] / (1 + (h * slope) ** 2) - 1).max()
    clipped = "‖z‖ ≥ |ψ| = 1 once clipped, then it grows"
    found = [
        Check("GAN, simultaneous: ‖z₊‖²/‖z‖² off 1 + h²f′(ψθ)²", growth, 0.0, 1e-14, source=MESCHEDER),
        _away("WGAN, simultaneous: least distance", _least(data["wgan_sim"]), 1.0, 1e-12, clipped),
    ]
    for order, n in DISCRIMINATOR_STEPS.items():
        # Linear alternation conserves θ² + ψ²/n - hbθψ, a quadratic form with the matrix below.
        half, full = (np.array([[1, -h * b / 2], [-h * b / 2, 1 / n]]) for b in (0.5, 1.0))
        start, least = data[f"gan_{order}"][0], f"{METHODS[order]}: least distance"
        circle = np.sqrt(start @ half @ start / np.linalg.eigvalsh(half)[-1])
        corner = np.sqrt((1 / n - h**2 / 4) / np.linalg.eigvalsh(full)[-1])
        kept = "the linear map conserves an ellipse, the nonlinear one keeps it up to O(h²)"
        found.append(_away(f"GAN, {least}", _least(data[f"gan_{order}"]), circle, h**2, kept))
        found.append(_away(f"WGAN, {least}", _least(data[f"wgan_{order}"]), corner, 1e-12, "ellipse after a clip"))
    # Two points within r of 0 differ by at most 2r in ψ, and by h(w g₀ - r√(1 + w²)) or more.
    radius = h * 0.7 / (2 + h * np.hypot(1, 0.7))
    for order, method in METHODS.items():
        distance = _least(data[f"wgan_gp_{order}"])
        found.append(_away(f"WGAN-GP, {method}: least distance", distance, radius, 0.0, "v jumps at ψ = 0"))
    swing = np.ptp(data["wgan_gp_long"][:, 1])
    return [*found, Check("WGAN-GP, weight 1, g₀ = 0.3, h = 0.01: range of ψ in the tail", swing, 0.7908, 5e-5)]


def _non_saturating(data: Data) -> list[Check]:
    h, source = data["h"], "averaging to first order"
    cycle = (data["nsgan_sim"][-200:] ** 2).sum(axis=1).mean()
    found = [Check("non-saturating, simultaneous: mean ‖z‖² on the cycle", cycle, 2 * h, h, "rel", "2h", source)]
    for order, n in DISCRIMINATOR_STEPS.items():
        orbit, turn = data[f"nsgan_{order}"], round(4 * np.pi / (np.sqrt(n) * h))
        energy = orbit[:, 0] ** 2 + orbit[:, 1] ** 2 / n
        slow = 1 / (1 / energy[0] + n * h / 8 * (len(orbit) - 1 - turn / 2))
        name = f"non-saturating, {METHODS[order]}: θ²+ψ²/n at the end"
        found.append(Check(name, energy[-turn:].mean(), slow, h, "rel", "falls like 8/(n h k), no linear rate", source))
    return found


# the picture -------------------------------------------------------------------------------------------


def regime(name: str, order: str) -> str:
    """What the orbit from (1, 1) does."""
    if name in CONVERGENT:
        return "diverges" if (name, order) == ("consensus", "alt5") else "converges"
    if name == "gan":
        return "diverges" if order == "sim" else "neutral"
    if name == "nsgan":
        return "cycles" if order == "sim" else "converges"
    return "cycles"


def draw(data: Data) -> Figure:
    """One row per regulariser, one column per order of play."""
    figure, axes = plt.subplots(9, 3, figsize=(5.6, 15.6), sharex=True, sharey=True)
    for row, (name, (label, _, _)) in zip(axes, REGULARISERS.items(), strict=True):
        for ax, order in zip(row, METHODS, strict=True):
            _draw_panel(ax, data, name, order)
        row[0].set_ylabel(label.replace(", ", "\n", 1) + "\nψ")
    for ax, method in zip(axes[0], METHODS.values(), strict=True):
        ax.set_title(f"{method}\n{ax.get_title()}", color=style.method_color(method.split()[0]))
    for ax in axes[-1]:
        ax.set_xlabel("θ")
    return figure


def _draw_panel(ax: Axes, data: Data, name: str, order: str) -> None:
    arrows = FieldDisplay(data["axis"], data["axis"], data[f"flow_{name}"], names=("", "")).plot(ax).arrows_
    arrows.width = 0.006
    shown = OrbitDisplay(data[f"{name}_{order}"][: data["steps"] + 1], regime=regime(name, order), names=("", ""))
    shown.plot(ax, color=style.method_color(METHODS[order].split()[0])).lines_[0].set_linewidth(0.9)
    radius = data.get(f"rho_{name}_{order}")
    title = "v jumps at ψ = 0" if radius is None else f"ρ = {radius:.4f}"
    if (name, order) == ("consensus", "alt5"):
        title += ", yet it leaves"
        ax.plot(*data["consensus_halved"].T, color="black", linewidth=0.9)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        ax.text(0.0, -0.6, "published code", fontsize=7, ha="center", va="top", bbox=box)
    ax.set_title(title, color=style.GREY)
    ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal", xticks=(-2, 0, 2), yticks=(-2, 0, 2))


STUDY = Study(
    name="fig02_dirac_gan",
    title="The Dirac-GAN: nine regularisers, three orders of play",
    source="Mescheder, Geiger, Nowozin (ICML 2018), arXiv:1801.04406",
    compute={"orbits": orbits, "spectra": spectra},
    draw=draw,
    checks=checks,
    parameters={
        "start": [1.0, 1.0],
        "near": [0.3, 0.3],
        "h": 0.2,
        "iterations": 500,
        "long_wgan_gp": {"penalty": [1.0, 0.3], "h": 0.01, "iterations": 20000},
    },
)
