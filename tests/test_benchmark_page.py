"""The tables of the benchmarks' page are the ones that the results give."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def report():
    spec = importlib.util.spec_from_file_location("benchmark_report", BENCHMARKS / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_recorded_ratios(report):
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    for table in report.tables():
        assert table in page


def test_the_tables_say_which_bars_are_missed(report):
    optimizer, spectra = (
        json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())["results"]
        for name in ("optimizer", "spectra")
    )
    missed = [k for k, r in optimizer.items() if r.get("bar") and r["ratio"] > r["bar"]]
    assert report.table(optimizer).count("**missed**") == len(missed)
    rows = [r for k, r in spectra.items() if k.startswith("leading 20")]
    bars = [(r["ratio"], r["bar"]) for r in rows] + [(spectra[k]["ratio"], bar) for k, bar in report.DENSE.items()]
    bars.append((spectra["memory of the leading 20 at 1e6 / (1.2 basis + one graph)"]["ratio"], 1.0))
    assert report.spectra(spectra).count("**missed**") == sum(ratio > bar for ratio, bar in bars)
    assert report.spectra(spectra).count("**larger**") == sum(not r["equal_residual"] for r in rows)
