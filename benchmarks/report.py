"""The results of the optimizer's benchmark as a Markdown table: python benchmarks/report.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "optimizer.json"
SETTINGS = {"mlp": "MLP, 1e6 parameters", "dcgan": "DCGAN 28 x 28", "dcgan-bn": "DCGAN with BatchNorm"}


def table(results: dict[str, Any]) -> str:
    """A row per comparison, a column per network: the median ratio, its interval, and whether it meets the bar."""
    labels = list(dict.fromkeys(key.split(": ", 1)[1] for key in results))
    lines = [f"| | bar | {' | '.join(SETTINGS.values())} |", "|---|---|" + "---|" * len(SETTINGS)]
    for label in labels:
        rows = [results.get(f"{name}: {label}") for name in SETTINGS]
        bar = next((r["bar"] for r in rows if r and r.get("bar")), None)
        cells = [_cell(r, bar) for r in rows]
        lines.append(f"| {label} | {'≤ ' + format(bar, 'g') if bar else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None, bar: float | None) -> str:
    if row is None:
        return "not measured"
    low, high = row["interval"]
    missed = bar is not None and row["ratio"] > bar
    return f"{row['ratio']:.3f} [{low:.2f}, {high:.2f}]{' **missed**' if missed else ''}"


if __name__ == "__main__":
    print(table(json.loads(RESULTS.read_text())["results"]))
