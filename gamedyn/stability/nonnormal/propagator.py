"""exp(tM) and Mᵏ at many times by products, and the largest norm among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["Propagator", "measure"]

PER_OCTAVE = 8
FINE = 64  # samples between two coarse ones, first powers of a map
PEAKS = 5  # neighbourhoods that are looked at more finely


class Propagator:
    """E(t) = exp(tM), or Mᵏ at integers.

    Parameters
    ----------
    matrix : array `(d, d)`
    is_map : bool
    """

    def __init__(self, matrix: np.ndarray, is_map: bool) -> None:
        self.matrix, self.is_map = matrix, is_map

    def at(self, t: float) -> np.ndarray:
        """E(t) from scratch."""
        if self.is_map:
            return np.linalg.matrix_power(self.matrix, int(t))
        from scipy.linalg import expm

        return np.asarray(expm(t * self.matrix))

    def norm(self, t: float) -> float:
        """‖E(t)‖₂."""
        return float(np.linalg.norm(self.at(t), 2))

    def coarse(self, last: float) -> Iterator[tuple[float, float]]:
        """(t, ‖E(t)‖): a linear start, then octaves by repeated products, `last` the last of them."""
        step: float = 1 if self.is_map else 1 / (8 * max(float(np.linalg.norm(self.matrix, 2)), 1e-300))
        count = FINE if self.is_map else PER_OCTAVE
        factor = self.at(step)
        E, t = np.eye(len(self.matrix)), 0.0
        while t < last:
            for _ in range(count):
                E, t = E @ factor, t + step
                if t >= last or not np.isfinite(E).all():
                    break
                yield t, float(np.linalg.norm(E, 2))
            if t >= last:
                yield last, self.norm(last)
            if t >= last or not np.isfinite(E).all():
                return
            grown = t / PER_OCTAVE  # the next octave [t, 2t] in 8 steps
            factor, step, count = self.at(grown), grown, PER_OCTAVE

    def between(self, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        """Times in [a, b], at most 65 of them, and the norms there."""
        stride = max(1.0, np.ceil((b - a) / FINE)) if self.is_map else (b - a) / FINE
        times = a + stride * np.arange(int((b - a) / stride + 1e-9) + 1)
        factor = self.at(stride)
        E, norms = self.at(float(times[0])), []
        for _ in times:
            norms.append(float(np.linalg.norm(E, 2)))
            E = E @ factor
        return times, np.array(norms)


def measure(propagator: Propagator, last: float) -> tuple[float, float, bool]:
    """The largest norm, its time, and whether a later norm of at most 1 proves that nothing larger follows."""
    times, norms, ended = [0.0], [1.0], False
    for t, norm in propagator.coarse(last):
        times.append(t)
        norms.append(norm)
        if norm <= 1:  # ‖E(s + t)‖ <= ‖E(s)‖
            ended = True
            break
    at, height = np.array(times), np.array(norms)
    around = np.concatenate([[-np.inf], height, [-np.inf]])
    tops = np.flatnonzero((height >= around[:-2]) & (height >= around[2:]))
    peaks = [int(k) for k in tops[np.argsort(-height[tops])[:PEAKS]]]
    found = [_refined(propagator, float(at[max(k - 1, 0)]), float(at[min(k + 1, len(at) - 1)])) for k in peaks]
    found += [(float(height[k]), float(at[k])) for k in peaks]
    top = max(norm for norm, _ in found)
    growth, time = min((f for f in found if f[0] >= top * (1 - 1e-9)), key=lambda f: f[1])  # of equal ones the first
    return growth, round(time) if propagator.is_map else time, ended


def _refined(propagator: Propagator, a: float, b: float) -> tuple[float, float]:
    """The largest norm between two times and where."""
    while True:
        times, norms = propagator.between(a, b)
        k = int(np.argmax(norms))
        best = float(norms[k]), float(times[k])
        a, b = float(times[max(k - 1, 0)]), float(times[k + 1]) if k + 1 < len(times) else b
        known = len(times) < 2 or times[1] - times[0] <= 1 if propagator.is_map else b - a <= 1e-6 * b
        if known:
            return best
