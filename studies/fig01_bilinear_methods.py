"""The bilinear game with a clipped discriminator: which methods reach the equilibrium, and how fast.

    min over x, max over y in [-1, 1] of x y,    equilibrium (0, 0)

Inside the box a step is linear.  In the complex number w = x + iy the field is v(w) = -iw, so that extragradient is
w+ = ζ w and its past variant w++ = (ζ₁ + ζ₂) w+ - ζ₁ζ₂ w, where the ζ are the roots of the stability polynomial at
λ = -i: the spectral radius can be read off the orbit.  "Averaged" is gradient descent by both players with step
2/√t, its iterates weighted by their steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.plotting.displays import DistanceDisplay, FieldDisplay, OrbitDisplay
from studies.runner import Check, Progress, Study
from studies.store import Data

REGIMES = {
    "Simultaneous": "cycles",
    "Alternating": "neutral",
    "Averaged": "converges",
    "Adam": "cycles",
    "PastExtragradient": "converges",
    "Extragradient": "converges",
}
AUTONOMOUS = {
    "Simultaneous": gd.Simultaneous,
    "Alternating": gd.Alternating,
    "PastExtragradient": gd.PastExtragradient,
    "Extragradient": gd.Extragradient,
}
FIELD_GRID = (np.linspace(-2.2, 2.2, 23), np.linspace(-1.0, 1.0, 11))
GIDEL = "Gidel et al. (ICLR 2019)"


def methods(lr: Mapping[str, float]) -> dict[str, Any]:
    """The methods of the figure by name; "Averaged" is the descent whose iterates are averaged."""
    adam = gd.Adam(beta1=0.0, beta2=0.99, bias_correction=False)
    found: dict[str, Any] = {name: rule(lr[name]) for name, rule in AUTONOMOUS.items()}
    found["Averaged"] = gd.scheduled(gd.Simultaneous(1.0), "lr", lambda k: lr["Averaged"] / np.sqrt(k + 1))
    found["Adam"] = gd.Method(gd.Simultaneous(lr["Adam"]), adam)
    return {name: found[name] for name in REGIMES}


def compute(parameters: Mapping[str, Any], progress: Progress) -> Data:
    """Orbits on the box; exact spectral radii and stable steps at the equilibrium."""
    game, lr = gd.zero_sum("x*y", min="x", max="y", name="bilinear"), parameters["lr"]
    box = game.constrained({"y": (-1, 1)})
    data: Data = {f"lr_{name}": float(value) for name, value in lr.items()}
    for name, method in methods(lr).items():
        data[name] = gd.simulate(gd.StepMap(method, box), parameters["start"], parameters["iterations"]).z
    data["descent"], data["Averaged"] = data["Averaged"], running_average(data["Averaged"], lr["Averaged"])
    progress(0.5, "spectra")
    for name, rule in AUTONOMOUS.items():
        T = gd.StepMap(rule(sp.Rational(str(lr[name]))), game)
        data[f"radius_{name}"] = float(gd.spectral_radius(T, [0, 0]))
        region = gd.stable_steps(T, [0, 0])
        steps = sp.Union(region.stable, region.neutral)
        data[f"end_{name}"] = 0.0 if steps.is_empty else float(steps.sup)
    grid = np.stack(np.meshgrid(*FIELD_GRID))
    data["flow"] = -gd.field(game, grid.reshape(2, -1)).reshape(grid.shape)
    return data


def running_average(orbit: np.ndarray, scale: float) -> np.ndarray:
    """Averages of the first 1, 2, … points, each point weighted by the step taken from it."""
    weights = scale / np.sqrt(np.arange(1, len(orbit) + 1))[:, None]
    return np.cumsum(weights * orbit, axis=0) / np.cumsum(weights, axis=0)


# checks ----------------------------------------------------------------------------------------------


def free_steps(orbit: np.ndarray) -> np.ndarray:
    """Numbers k of the steps z_k → z_{k+1} that end inside the box, so that nothing was clipped."""
    return np.flatnonzero(np.abs(orbit[1:, 1]) < 1.0)


def first_free(orbit: np.ndarray, memory: int) -> int:
    """The step from which on neither the orbit nor its memory has met the box."""
    return int(np.flatnonzero(np.abs(orbit[:, 1]) >= 1.0)[-1]) + 1 + memory


def measured_radius(orbit: np.ndarray, order: int) -> float:
    """max |ζ| over the roots of the recurrence of that order which fits the orbit (steps, 2) best."""
    w = orbit[:, 0] + 1j * orbit[:, 1]
    rows = np.stack([w[order - 1 - j : len(w) - 1 - j] for j in range(order)], axis=1)
    # Late points count as much as early ones: without the weights only the first few would be fitted.
    weights = 1 / np.abs(rows[:, -1])
    coefficients = np.linalg.lstsq(rows * weights[:, None], w[order:] * weights, rcond=None)[0]
    return float(np.abs(np.roots([1.0, *-coefficients])).max())


def regret_bound(descent: np.ndarray, scale: float) -> float:
    """A bound on ‖average‖, from ½ max_u ‖z₀ - u‖² + ½ Σ η²‖v‖² over Σ η, where u runs over |u₁| = |u₂| = 1."""
    steps = scale / np.sqrt(np.arange(1, len(descent) + 1))
    corners = np.array([[sx, sy] for sx in (-1, 1) for sy in (-1, 1)])
    radius = ((descent[0] - corners) ** 2).sum(axis=1).max()
    return float((radius + (steps**2 * (descent**2).sum(axis=1)).sum()) / (2 * steps.sum()))


def final(orbit: np.ndarray) -> float:
    """The distance at the end."""
    return float(np.linalg.norm(orbit[-1]))


def checks(data: Data) -> list[Check]:
    """Exact radii, the same radii measured on the orbits, and who stays away from the equilibrium."""
    return [*_spectra(data), *_convergent(data), *_rotating(data)]


def _spectra(data: Data) -> list[Check]:
    s, e, p = (data[f"lr_{name}"] for name in ("Simultaneous", "Extragradient", "PastExtragradient"))
    past = np.sqrt((1 + np.sqrt(1 - 4 * p**2)) / 2)
    return [
        Check("ρ Simultaneous", data["radius_Simultaneous"], np.hypot(1, s), 1e-14, note="√(1+η²)", source=GIDEL),
        Check("ρ Alternating", data["radius_Alternating"], 1.0, 1e-14, note="both |ζ| = 1", source=GIDEL),
        Check(
            "ρ Extragradient",
            data["radius_Extragradient"],
            np.hypot(1 - e**2, e),
            1e-14,
            note="√((1-η²)²+η²)",
            source=GIDEL,
        ),
        Check(
            "ρ past extragradient",
            data["radius_PastExtragradient"],
            past,
            1e-14,
            note="ρ² = (1+√(1-4η²))/2",
            source=GIDEL,
        ),
        Check("Simultaneous: stable steps end", data["end_Simultaneous"], 0.0, 0.0, note="no step is stable"),
        Check("Alternating: neutral steps end", data["end_Alternating"], 2.0, 1e-15),
        Check("Extragradient: stable steps end", data["end_Extragradient"], 1.0, 1e-15, source="Korpelevich (1976)"),
        Check("past extragradient: stable steps end", data["end_PastExtragradient"], 1 / np.sqrt(3), 1e-14),
    ]


def _convergent(data: Data) -> list[Check]:
    eg, past, average = data["Extragradient"], data["PastExtragradient"], data["Averaged"]
    rho, start = data["radius_Extragradient"], first_free(eg, 0)
    # Off the box the distance shrinks by exactly ρ a step; before, a projected step of length < 1 never increases it.
    bound = np.linalg.norm(eg[0]) * rho ** (len(eg) - 1 - start)
    tail = past[first_free(past, 1) :]
    return [
        Check("Extragradient: measured rate", measured_radius(eg[start:], 1), rho, 1e-12, note="roundoff"),
        Check(
            "past extragradient: measured rate",
            measured_radius(tail, 2),
            data["radius_PastExtragradient"],
            1e-5,
            note="at η = ½ the roots coincide, and a double root moves by the square root of the roundoff",
        ),
        Check("Extragradient: final distance", final(eg), bound, 1e-12, "at_most", "start · ρ^(free steps)"),
        Check(
            "past extragradient: final distance",
            final(past),
            double_root_bound(tail, data["radius_PastExtragradient"]),
            1e-15,
            "at_most",
            "(|w₀| + k |w₁/ζ - w₀|) ρ^k, a double root ζ, from the first free step",
        ),
        Check(
            "Averaged: final distance",
            final(average),
            regret_bound(data["descent"], data["lr_Averaged"]),
            0.0,
            "at_most",
            "regret bound of projected descent, from the steps and the orbit's norms",
            GIDEL,
        ),
    ]


def double_root_bound(tail: np.ndarray, rho: float) -> float:
    """|w_k| ≤ (|w₀| + k |w₁/ζ - w₀|) ρᵏ for the recurrence with the double root ζ = (1 + i)/2."""
    w, zeta, k = tail[:2, 0] + 1j * tail[:2, 1], (1 + 1j) / 2, len(tail) - 1
    return float((abs(w[0]) + k * abs(w[1] / zeta - w[0])) * rho**k)


def _rotating(data: Data) -> list[Check]:
    sim, alt, adam = data["Simultaneous"], data["Alternating"], data["Adam"]
    s, a = data["lr_Simultaneous"], data["lr_Alternating"]
    length = np.linalg.norm(sim, axis=1)
    free = free_steps(sim)
    growth = length[free + 1] / length[free]
    energy = (alt**2).sum(axis=1) - a * alt[:, 0] * alt[:, 1]
    free_alt = free_steps(alt)
    drift = np.abs(energy[free_alt + 1] / energy[free_alt] - 1).max()
    clipped = int(np.flatnonzero(np.abs(sim[:, 1]) >= 1.0)[0])
    after = int(np.flatnonzero(np.abs(alt[:, 1]) >= 1.0)[0])
    norms = np.linalg.norm(alt, axis=1)
    return [
        Check("Simultaneous: growth per free step", growth.max(), np.hypot(1, s), 1e-14, note="greatest of them"),
        Check("Simultaneous: least growth per free step", growth.min(), np.hypot(1, s), 1e-14),
        Check(
            "Simultaneous: least distance",
            length[clipped:].min(),
            1.0,
            1e-12,
            "at_least",
            "‖z‖ ≥ |y| = 1 once clipped, then it grows",
        ),
        Check("Alternating: change of x²+y²-ηxy per free step", drift, 0.0, 1e-14, source="Bailey et al. (COLT 2020)"),
        Check(
            "Alternating: least distance",
            norms[after:].min(),
            np.sqrt(1 - a / 2),
            1e-12,
            "at_least",
            "energy ≥ 1-η²/4 once clipped",
        ),
        Check(
            "Alternating: greatest distance",
            norms.max(),
            np.sqrt(energy[0] / (1 - a / 2)),
            1e-12,
            "at_most",
            "clipping never raises the energy",
        ),
        Check(
            "Adam: length of the first step in x",
            abs(adam[1, 0] - adam[0, 0]),
            data["lr_Adam"] / np.sqrt(1 - 0.99),
            1e-7,
            note="η/√(1-β₂): the second moment is not bias-corrected",
        ),
    ]


# the picture -------------------------------------------------------------------------------------------


def draw(data: Data) -> Figure:
    """Orbits on the box, and the distance to the equilibrium."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 5.2))
    labels = {name: _label(name, data[f"lr_{name}"]) for name in REGIMES}
    race = DistanceDisplay.from_orbits(
        {labels[name]: data[name] for name in REGIMES}, (0.0, 0.0), regimes={labels[n]: r for n, r in REGIMES.items()}
    ).plot(bottom)
    bottom.get_legend().set_title("method (step size)")
    FieldDisplay(*FIELD_GRID, data["flow"]).plot(top, color="#B8B8B8")
    for name, regime in REGIMES.items():
        OrbitDisplay(data[name], regime=regime).plot(top, color=str(race.lines_[labels[name]].get_color()))
    top.set(xlim=(-2.25, 2.25), ylim=(-1.12, 1.12), aspect="equal", title="orbits in the flow, |y| ≤ 1")
    bottom.set(xlabel="iteration", ylim=(1e-13, 10.0))
    return figure


def _label(name: str, lr: float) -> str:
    return f"{name} (2/√t)" if name == "Averaged" else f"{name} ({lr:g})"


STUDY = Study(
    name="fig01_bilinear_methods",
    title="Six methods on the bilinear game",
    source="Gidel et al. (ICLR 2019), arXiv:1802.10551",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={
        "start": [2.0, 0.5],
        "iterations": 100,
        "lr": {
            "Simultaneous": 0.1,
            "Alternating": 0.1,
            "Averaged": 2.0,
            "Adam": 0.01,
            "PastExtragradient": 0.5,
            "Extragradient": 0.6,
        },
    },
)
