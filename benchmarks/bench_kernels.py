"""Extragradient on the quartic game xy + 0.1(x⁴ - y⁴): python benchmarks/bench_kernels.py

Bars: the first kernel of a process, nothing cached, in at most 2.5 s (tracing, printing and compiling; the
imports of numba and sympy apart); a second kernel of a process, from disk, in at most 0.05 s.  Both are
timed as a user meets them: from a method and a game to the end of a short simulation.  The last rows compare
orbits with a plain NumPy loop and a torch.autograd loop of the same game.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from harness import ONE_THREAD, cpu_time, pin, ratio, save

KERNELS = """
import json, time
import numba, numpy, scipy.linalg, sympy
import gamedyn as gd
q = gd.zero_sum("x*y + (x**4 - y**4)/10", "x", "y")
times = []
for method in (gd.Extragradient(0.1), gd.Optimistic(0.1), gd.Extragradient(0.07)):
    start = time.perf_counter()
    gd.simulate(gd.StepMap(method, q), [[0.1, 0.2], [0.3, 0.4]], 100, every=100, backend="numba")
    times.append(time.perf_counter() - start)
print(json.dumps(times))
"""


def kernel_times(cache: str) -> list[float]:
    """Wall seconds of three kernels in a fresh process."""
    env = {**os.environ, **ONE_THREAD, "GAMEDYN_CACHE": cache}
    return json.loads(subprocess.run([sys.executable, "-c", KERNELS], env=env, check=True, capture_output=True).stdout)


def first_calls(runs: int = 9) -> dict[str, float]:
    """Medians over fresh processes, each with a cache of its own."""
    cold, warm = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(kernel_times(cache))
            warm.append(kernel_times(cache))
    return {
        "cold, first kernel of a process, s": float(np.median([t[0] for t in cold])),
        "cold, second kernel, s": float(np.median([t[1] for t in cold])),
        "from disk, first kernel of a process, s": float(np.median([t[0] for t in warm])),
        "from disk, second kernel, s": float(np.median([t[1] for t in warm])),
        "from disk, third kernel, s": float(np.median([t[2] for t in warm])),
        "runs": runs,
    }


def speed(batch: int, steps: int) -> dict[str, object]:
    """Orbits of the quartic game, as ratios of CPU time in one run."""
    import torch

    import gamedyn as gd

    torch.set_num_threads(1)
    T = gd.StepMap(gd.Extragradient(0.1), gd.zero_sum("x*y + (x**4 - y**4)/10", "x", "y"))
    z0 = np.random.default_rng(0).uniform(-1, 1, (2, batch))

    def kernel() -> None:
        gd.simulate(T, z0, steps, every=steps, backend="numba")

    def numpy_loop() -> None:
        x, y = z0.copy()
        h = 0.1
        for _ in range(steps):
            u, w = x - h * (y + 0.4 * x * x * x), y - h * (-x + 0.4 * y * y * y)  # x**3 would be much slower
            x, y = x - h * (w + 0.4 * u * u * u), y - h * (-u + 0.4 * w * w * w)

    def torch_loop() -> None:
        z = torch.tensor(z0)
        h, few = 0.1, max(steps // 10, 1)

        def v(z: torch.Tensor) -> torch.Tensor:
            z = z.detach().requires_grad_()
            f = (z[0] * z[1] + 0.1 * (z[0] ** 4 - z[1] ** 4)).sum()
            (g,) = torch.autograd.grad(f, z)
            return torch.stack([g[0], -g[1]])

        for _ in range(few):
            z = z - h * v(z - h * v(z))

    out: dict[str, object] = {}
    start = time.process_time()
    kernel()
    out["first call, s"] = time.process_time() - start
    against_numpy = ratio(lambda: cpu_time(numpy_loop), lambda: cpu_time(kernel))
    against_torch = ratio(lambda: cpu_time(torch_loop) * steps / max(steps // 10, 1), lambda: cpu_time(kernel))
    out["times faster than a NumPy loop"] = against_numpy
    out["times faster than a torch.autograd loop (a tenth of the steps, scaled)"] = against_torch
    out["steps per second"] = batch * steps / against_numpy["theirs_s"]
    return out


if __name__ == "__main__":
    pin()
    results: dict[str, object] = {"kernels": first_calls()}
    for batch, steps in ((1_000, 20_000), (100_000, 1_000)):
        results[f"quartic, {batch} orbits"] = speed(batch, steps)
    save("kernels", results)
