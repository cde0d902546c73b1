"""The table of the optimizer's benchmark is the one that its results give."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_page_shows_the_recorded_ratios_and_says_which_bars_are_missed():
    spec = importlib.util.spec_from_file_location("benchmark_report", BENCHMARKS / "report.py")
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    results = json.loads((BENCHMARKS / "results" / "optimizer.json").read_text())["results"]
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    assert report.table(results) in page
    missed = [k for k, r in results.items() if r.get("bar") and r["ratio"] > r["bar"]]
    assert report.table(results).count("**missed**") == len(missed)
