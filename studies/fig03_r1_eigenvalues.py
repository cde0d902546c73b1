"""How the R1 penalty damps the Dirac-GAN: the eigenvalues of the flow's matrix -J at (0, 0) against γ.

    λ = -γ/2 ± √(γ²/4 - f′(0)²),    f′(0) = 1/2,    critical at γ = 2 f′(0) = 1

Below the critical γ the pair moves on the circle |λ| = 1/2 from ±i/2 to -1/2: det J = 1/4 does not depend on γ.
Above, it splits along the real axis, and the slower mode slows down again.  Every value comes from the Jacobian of
the game, with γ a number or a symbol; the formula serves the checks alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.games.dirac import R1, dirac_gan
from gamedyn.plotting import style
from studies.runner import Check, Progress, Study
from studies.store import Data

MESCHEDER = "Mescheder et al. (ICML 2018)"
GAMMA = sp.Symbol("gamma", nonnegative=True)


def compute(parameters: Mapping[str, Any], progress: Progress) -> Data:
    """Eigenvalues on a grid of γ, once with γ a float and once from the exact ones; the critical γ both ways."""
    game = dirac_gan("gan", R1(GAMMA))
    gammas = np.linspace(0.0, parameters["gamma_max"], parameters["points"])
    numeric = np.array([ordered(gd.jacobian(game.bind(gamma=float(g)), np.zeros(2)).eigenvalues()) for g in gammas])
    progress(0.5, "exact")
    jacobian = gd.jacobian(game, sp.zeros(2, 1))
    exact = jacobian.eigenvalues()
    non_saturating = gd.jacobian(dirac_gan("non_saturating", R1(GAMMA)), sp.zeros(2, 1))
    return {
        "gammas": gammas,
        "numeric": numeric,
        "exact": np.array([ordered([complex(e.subs(GAMMA, sp.Rational(str(g)))) for e in exact]) for g in gammas]),
        "critical_exact": float(critical_exact(game)),
        "critical_numeric": critical_numeric(game),
        "critical_wgan": float(critical_exact(dirac_gan("wgan", R1(GAMMA)))),
        "same_jacobian": non_saturating.to_dense() == jacobian.to_dense(),
    }


def ordered(eigenvalues: Any) -> np.ndarray:
    """The pair of -J, first the branch +√: the upper one of a complex pair, the right one of a real pair."""
    pair = -np.array([complex(value) for value in eigenvalues])
    return pair[np.argsort(-(pair.real + pair.imag))]


def critical_exact(game: gd.SymbolicGame) -> sp.Expr:
    """The γ > 0 at which the characteristic polynomial of J has a double root."""
    matrix, x = gd.jacobian(game, sp.zeros(2, 1)).to_dense(), sp.Symbol("x")
    discriminant = sp.discriminant((x * sp.eye(2) - matrix).det(), x)
    (critical,) = (root for root in sp.roots(discriminant, GAMMA) if root.is_positive)
    return critical


def critical_numeric(game: gd.SymbolicGame) -> float:
    """The zero of the discriminant tr²J - 4 det J of the float Jacobian, by bracketing."""
    from scipy.optimize import brentq

    def discriminant(gamma: float) -> float:
        matrix = gd.jacobian(game.bind(gamma=gamma), np.zeros(2)).to_dense()
        return float((matrix[0, 0] - matrix[1, 1]) ** 2 + 4 * matrix[0, 1] * matrix[1, 0])

    return float(brentq(discriminant, 0.1, 1.9, xtol=1e-15))


def checks(data: Data) -> list[Check]:
    """The formula of the paper against the Jacobian of the game."""
    gammas, numeric, exact = data["gammas"], data["numeric"], data["exact"]
    root = np.emath.sqrt(gammas**2 / 4 - 0.25)
    formula = np.stack([-gammas / 2 + root, -gammas / 2 - root], axis=1)
    complex_part = gammas <= 1.0
    slowest = numeric.real.max(axis=1)
    return [
        Check(
            "eigenvalues with γ a symbol, greatest error", np.abs(exact - formula).max(), 0.0, 1e-14, source=MESCHEDER
        ),
        Check(
            "eigenvalues with γ a float, greatest error",
            np.abs(numeric - formula).max(),
            0.0,
            1e-7,
            note="a double root is known to the square root of the roundoff",
            source=MESCHEDER,
        ),
        Check("critical γ, exact", data["critical_exact"], 1.0, 0.0, note="2 f′(0)", source=MESCHEDER),
        Check("critical γ, by root finding", data["critical_numeric"], 1.0, 1e-14, source=MESCHEDER),
        Check("critical γ of the Wasserstein loss, exact", data["critical_wgan"], 2.0, 0.0, note="2 f′(0), f′ = 1"),
        Check("γ of the fastest decay on the grid", gammas[slowest.argmin()], 1.0, 1e-12, note="least max Re λ"),
        Check("max Re λ there", slowest.min(), -0.5, 1e-7, note="-f′(0)"),
        Check("|λ| - 1/2 for γ ≤ 1, greatest", np.abs(np.abs(numeric[complex_part]) - 0.5).max(), 0.0, 1e-7),
        Check("λ at γ = 0, imaginary part", numeric[0, 0].imag, 0.5, 1e-14, note="±i f′(0)", source=MESCHEDER),
        Check("non-saturating loss: the same J", float(data["same_jacobian"]), 1.0, 0.0, note="1: identical in γ"),
    ]


def draw(data: Data) -> Figure:
    """Real and imaginary parts against γ, and the path in the complex plane."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.6), width_ratios=(1.0, 1.45))
    _draw_parts(left, data["gammas"], data["numeric"], data["critical_numeric"])
    path = _draw_path(right, data["gammas"], data["numeric"])
    figure.colorbar(path, ax=right, shrink=0.7, aspect=14, label="γ", ticks=(0, 0.5, 1, 1.5, 2))
    return figure


def _draw_parts(ax: Any, gammas: np.ndarray, pair: np.ndarray, critical: float) -> None:
    blue, vermillion = style.OKABE_ITO["blue"], style.OKABE_ITO["vermillion"]
    for branch, width in ((0, 1.4), (1, 1.4)):
        ax.plot(gammas, pair[:, branch].real, color=blue, linewidth=width, label="Re λ" if branch == 0 else None)
        ax.plot(
            gammas, pair[:, branch].imag, "--", color=vermillion, linewidth=width, label="Im λ" if branch == 0 else None
        )
    ax.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
    ax.axvline(critical, color=style.GREY, linewidth=0.8, linestyle=":")
    ax.annotate(f"γ = {critical:g}", (critical, 0.52), xytext=(4, 0), textcoords="offset points", color=style.GREY)
    ax.set(xlabel="γ", ylabel="eigenvalues of -J", title="real and imaginary part", xticks=(0, 0.5, 1, 1.5, 2))
    ax.margins(x=0)
    ax.legend(loc="lower left")


def _draw_path(ax: Any, gammas: np.ndarray, pair: np.ndarray) -> LineCollection:
    for branch in (0, 1):
        points = np.stack([pair[:, branch].real, pair[:, branch].imag], axis=1)
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        path = LineCollection(list(pieces), cmap="viridis", linewidth=2.2, capstyle="round")
        path.set_array((gammas[:-1] + gammas[1:]) / 2)
        path.set_clim(gammas[0], gammas[-1])
        ax.add_collection(path)
    ax.axvline(0.0, color=style.GREY, linewidth=1.0, zorder=0)
    ax.axhline(0.0, color=style.GREY, linewidth=0.5, zorder=0)
    ax.set(
        xlim=(-2.0, 0.25),
        ylim=(-0.65, 0.65),
        xlabel="Re λ",
        ylabel="Im λ",
        title="path as γ grows",
        xticks=(-2, -1.5, -1, -0.5, 0),
    )
    ax.set_aspect("equal", adjustable="box")
    return path


STUDY = Study(
    name="fig03_r1_eigenvalues",
    title="Eigenvalues of the Dirac-GAN with the R1 penalty",
    source="Mescheder, Geiger, Nowozin (ICML 2018), arXiv:1801.04406",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={"gamma_max": 2.0, "points": 201},
)
