"""Interleaved pairs: a ratio of two CPU times in one run, with a bootstrap interval."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).with_name("results")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def pin() -> None:
    """One thread on one core."""
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def cpu_time(fn: Callable[[], Any]) -> float:
    """Process CPU seconds of one call."""
    start = time.process_time()
    fn()
    return time.process_time() - start


def child_cpu_time(code: str, env: Mapping[str, str] | None = None) -> float:
    """CPU seconds of a fresh interpreter that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **ONE_THREAD, **(env or {})})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def ratio(ours: Callable[[], float], theirs: Callable[[], float], pairs: int = 9, seed: int = 0) -> dict[str, Any]:
    """Median of ours/theirs over interleaved pairs, with a 95 % bootstrap interval of the median.

    Each callable returns the seconds of one run.  One unrecorded pair warms up; the order within a pair
    alternates.
    """
    ours()
    theirs()
    rows = []
    for k in range(pairs):
        if k % 2:
            b = theirs()
            a = ours()
        else:
            a = ours()
            b = theirs()
        rows.append((a, b))
    quotients = np.array([a / b for a, b in rows])
    draws = np.random.default_rng(seed).choice(quotients, (4000, pairs))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return {
        "ratio": float(np.median(quotients)),
        "interval": [float(low), float(high)],
        "pairs": pairs,
        "ours_s": float(np.median([a for a, _ in rows])),
        "theirs_s": float(np.median([b for _, b in rows])),
    }


def save(name: str, results: Mapping[str, Any]) -> None:
    """Write `results/<name>.json` and print it as a table."""
    from importlib.metadata import version

    RESULTS.mkdir(exist_ok=True)
    packages = ("numpy", "sympy", "numba", "torch")
    record = {
        "python": platform.python_version(),
        "versions": {p: version(p) for p in packages},
        "processor": _processor(),
        "results": dict(results),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    for key, value in results.items():
        print(f"{key}: {json.dumps(value)}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
