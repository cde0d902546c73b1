"""What is certain of ‖v(z_N)‖² on every monotone 1-Lipschitz field: brackets of the worst case, step by step.

    extragradient, γ = 1/2     ‖v(z_N)‖² ≤ ‖z₀ - z*‖²/(γ²(1 - γ²)(N + 1)) = 16/(3(N + 1))
    fast extragradient, 1/L    ‖v(z_N)‖² ≤ 4‖z₀ - z*‖²/N²

The upper end of a bracket is the dual value of a semidefinite program, a proof for every dimension; the lower end is
attained by a linear field that a search found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import gamedyn as gd
from studies.runner import Check, Study


def methods() -> dict[str, Any]:
    """The methods at the steps of their papers, L = 1."""
    return {
        "Extragradient": gd.Extragradient(lr=0.5),
        "Optimistic": gd.Optimistic(lr=1 / 3),
        "EAGC": gd.EAGC(lr=0.125),
        "FEG": gd.FEG(lr=1.0),
    }


def compute(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The bracket of every method at every horizon."""
    found, horizons = methods(), parameters["horizons"]
    brackets = np.empty((len(found), len(horizons), 2))
    for k, (name, method) in enumerate(found.items()):
        for j, steps in enumerate(horizons):
            progress((k + j / len(horizons)) / len(found), f"{name}, N = {steps}")
            certificate = gd.certify(method, mu=0.0, L=1.0, steps=steps, metric="residual")
            brackets[k, j] = certificate.lower, certificate.value
    return {"names": np.array(list(found)), "horizons": np.array(horizons), "brackets": brackets}


def checks(data: dict[str, Any]) -> list[Check]:
    horizons = data["horizons"]
    pairs = zip(data["names"], data["brackets"], strict=True)
    upper = {str(name): dict(zip(horizons, b[:, 1], strict=True)) for name, b in pairs}
    rate = "Gorbunov, Loizou and Gidel (AISTATS 2022)"
    found = [
        Check(f"extragradient, N = {n}: worst case", upper["Extragradient"][n], value, 2e-5, source=rate)
        for n, value in ((1, 0.8125), (2, 0.674098), (5, 0.383012), (10, 0.181030))
    ]
    found += [
        Check(f"optimistic, N = {n}: worst case", upper["Optimistic"][n], value, 2e-5)
        for n, value in ((1, 1.11111), (2, 1.04938), (5, 0.748277), (10, 0.399074))
    ]
    eg, feg, eag = (np.array([upper[m][n] for n in horizons]) for m in ("Extragradient", "FEG", "EAGC"))
    found += [
        Check("extragradient: greatest share of 16/(3(N+1))", (eg * 3 * (horizons + 1) / 16).max(), 1.0, 0.0,
              kind="at_most", source=rate),
        Check("fast extragradient: greatest excess over 4/N²", (feg - 4 / horizons**2).max(), 0.0, 2e-5, kind="at_most",
              note="attained; known to the digits above", source="Lee and Kim (NeurIPS 2021)"),
        Check("EAG-C: greatest share of 260/(N+1)²", (eag * (horizons + 1) ** 2 / 260).max(), 1.0, 0.0,
              kind="at_most", source="Yoon and Ryu (ICML 2021)"),
        Check("least upper minus lower end of a bracket", np.diff(data["brackets"], axis=2).min(), 0.0, 1e-6,
              kind="at_least", note="solver's tolerance"),
    ]  # fmt: skip
    return found


_LABEL = {
    "Extragradient": "extragradient, γ = 1/2",
    "Optimistic": "optimistic, γ = 1/3",
    "EAGC": "EAG-C, α = 1/8",
    "FEG": "fast extragradient, α = 1",
}


def draw(data: dict[str, Any]) -> Figure:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    from gamedyn.plotting import style

    figure, ax = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    horizons = data["horizons"]
    for name, bracket in zip(data["names"], data["brackets"], strict=True):
        color = style.method_color(str(name))
        ax.fill_between(horizons, *bracket.T, color=color, alpha=0.18, linewidth=0)
        ax.plot(horizons, bracket[:, 1], "o-", color=color, markersize=3.5, label=_LABEL[str(name)])
        ax.plot(horizons, bracket[:, 0], "-", color=color, linewidth=0.6)
    fine = np.linspace(horizons[0], horizons[-1], 200)
    ax.plot(fine, 16 / (3 * (fine + 1)), "--", color="0.35", linewidth=0.9, label="16/(3(N+1))")
    ax.plot(fine, 4 / fine**2, ":", color="0.35", linewidth=1.1, label="4/N²")
    ax.set(xscale="log", yscale="log", xlabel="steps N", ylabel="worst ‖v(z_N)‖² / ‖z₀ - z*‖²,  L = 1")
    ax.set_xticks(horizons, [str(n) for n in horizons])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.legend(loc="lower left")
    return figure


STUDY = Study(
    name="fig20_certificates",
    title="Certified worst cases of the residual, and what is attained",
    source="Gorbunov, Loizou and Gidel (AISTATS 2022), arXiv:2110.04261, figure of the worst cases of extragradient",
    compute=compute,
    draw=draw,
    checks=checks,
    parameters={"horizons": [1, 2, 3, 5, 7, 10]},
    quick=False,
    needs=("PEPit",),
)
