"""The results of the benchmarks as Markdown tables: python benchmarks/report.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SETTINGS = {"mlp": "MLP, 1e6 parameters", "dcgan": "DCGAN 28 x 28", "dcgan-bn": "DCGAN with BatchNorm"}
NETWORKS = ("1e3", "1e4", "1e5", "1e6", "DCGAN", "DCGAN with BatchNorm")
EVERY, SMALL = 2.4, {"1e3": 1.0, "1e4": 1.0}  # bars of a product in gradients: of any module, of perceptrons up to 1e4
TRAINING = 1.05  # of a step by hand
DENSE = {"1e3: dense J / row loop": 0.33, "1e4: 2048 rows of J / row loop": 0.6}


def table(results: dict[str, Any]) -> str:
    """The optimizer: a row per comparison, a column per network, with whether it meets the bar."""
    labels = list(dict.fromkeys(key.split(": ", 1)[1] for key in results))
    lines = [f"| | bar | {' | '.join(SETTINGS.values())} |", "|---|---|" + "---|" * len(SETTINGS)]
    for label in labels:
        rows = [results.get(f"{name}: {label}") for name in SETTINGS]
        bar = next((r["bar"] for r in rows if r and r.get("bar")), None)
        cells = [_cell(r, bar) for r in rows]
        lines.append(f"| {label} | {'≤ ' + format(bar, 'g') if bar else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def products(results: dict[str, Any]) -> str:
    """One product with J, in gradients of both players: a row per network."""
    head = "| | parameters | graph: Ju | graph: Jᵀu | recorded: Ju | recorded: Jᵀu | set-up | pays after |"
    lines = [head, "|---|---|" + "---|" * 6]
    for name in NETWORKS:
        rows = {
            (mode, kind): results[f"{name}: {kind}, {mode} / one gradient"]
            for mode in ("retained", "recorded")
            for kind in ("jvp", "vjp")
        }
        cells = [_cell(row, _product_bar(name, mode)) for (mode, _), row in rows.items()]
        forward = rows["recorded", "jvp"]
        after = forward["pays_after_products"]
        last = [f"{forward['setup_s']:.2f} s", "never" if after is None else f"{after} products"]
        lines.append(f"| {name} | {forward['parameters']:,} | {' | '.join([*cells, *last])} |")
    return "\n".join(lines)


def spectra(results: dict[str, Any]) -> str:
    """Dense matrices, leading eigenvalues and memory against their references."""
    lines = ["| | bar | ratio | our residual | its residual | our products |", "|---|---|---|---|---|---|"]
    for key, bar in DENSE.items():
        lines.append(f"| {key} | ≤ {bar:g} | {_cell(results[key], bar)} | | | |")
    for key, row in results.items():
        if not key.startswith("leading 20"):
            continue
        equal = "" if row["equal_residual"] else " **larger**"
        cells = [_cell(row, row["bar"]), f"{row['our_residual']:.1e}{equal}", f"{row['their_residual']:.1e}"]
        lines.append(f"| {key} | ≤ {row['bar']:g} | {' | '.join(cells)} | {row['our_products']} |")
    key = "memory of the leading 20 at 1e6 / (1.2 basis + one graph)"
    ratio = results[key]["ratio"]
    lines.append(f"| {key} | ≤ 1 | {ratio:.3f}{' **missed**' if ratio > 1 else ''} | | | |")
    return "\n".join(lines)


def training(results: dict[str, Any]) -> str:
    """A step of a training: a row per network, a column per kind of step."""
    kinds = ("simultaneous", "alternating")
    lines = ["| ours / by hand | bar | simultaneous Adam | alternating Adam |", "|---|---|---|---|"]
    for name in dict.fromkeys(key.split(f", {kinds[0]}")[0] for key in results if f", {kinds[0]}" in key):
        cells = [_cell(results[f"{name}, {kind} Adam: ours / by hand"], TRAINING) for kind in kinds]
        lines.append(f"| {name} | ≤ {TRAINING:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _product_bar(name: str, mode: str) -> float | None:
    """The bar on a product as it is made when many are wanted, that is, recorded."""
    return None if mode == "retained" else SMALL.get(name, EVERY)


def _cell(row: dict[str, Any] | None, bar: float | None) -> str:
    if row is None:
        return "not measured"
    low, high = row["interval"]
    missed = bar is not None and row["ratio"] > bar
    return f"{row['ratio']:.3f} [{low:.2f}, {high:.2f}]{' **missed**' if missed else ''}"


def tables() -> list[str]:
    """Every table of the page."""
    optimizer, spectrum, gan = (
        json.loads((RESULTS / f"{name}.json").read_text())["results"] for name in ("optimizer", "spectra", "gan")
    )
    return [table(optimizer), products(spectrum), spectra(spectrum), training(gan)]


if __name__ == "__main__":
    print("\n\n".join(tables()))
