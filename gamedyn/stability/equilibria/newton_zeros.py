"""Zeros of a field by Newton's method from many seeded starts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import VectorFunction
from gamedyn.rules.basic import Simultaneous
from gamedyn.stability.equilibria.deflation import Deflation
from gamedyn.stability.second_order import tidy

__all__ = [
    "compiled_field",
    "further_zeros",
    "jacobian_formula",
    "newton_zeros",
    "recognise",
    "thin_singular",
    "traced_field",
]

_ITERATIONS = 100
_DAMPING = tuple(0.5**k for k in range(8))
_STEP = 1e-7  # a zero is where Newton's step vanishes as well: ‖v‖ alone is small far out where v decays
_MANY = 5  # singular zeros that suggest a continuum
_ROUNDS = 10
_DEFLATED_STARTS = 40
_DEFLATED_ITERATIONS = 40
_BESIDE = 1e-2  # of the half sides of the box: how far from known zeros deflated iterations start
_MOST_DEFLATED = 100

Batch = Callable[[np.ndarray], np.ndarray]


def newton_zeros(
    value: Batch, jacobian: Batch, box: np.ndarray, *, starts: int = 200, seed: int = 0, tolerance: float = 1e-10
) -> np.ndarray:
    """Distinct zeros of v in a box found by damped Newton iterations; no proof that they are all.

        z⁺ = z - α J(z)⁺ v(z),   α the first of 1, 1/2, …, 1/128 that decreases ‖v‖

    Parameters
    ----------
    value, jacobian : callable
        v and Dv on batches: `(d, n)` -> `(d, n)` and `(d, d, n)`.
    box : ndarray `(d, 2)`
        Low and high end of every coordinate: of the starts and of the zeros kept.
    starts : int
        Uniform random starts, besides the centre of the box.
    seed : int
        Of the starts.
    tolerance : float
        Largest |v_k| of a zero.

    Returns
    -------
    ndarray `(m, d)`
        In lexicographic order.
    """
    z = _starts(box, starts, seed)
    z, residual = _iterated(value, jacobian, z, box, tolerance)
    return _distinct(z.T, residual)


def further_zeros(
    value: Batch, jacobian: Batch, known: np.ndarray, box: np.ndarray, *, seed: int = 0, tolerance: float = 1e-10
) -> tuple[np.ndarray, int]:
    """The known zeros `(m, d)` and those that deflated Newton iterations find besides, until a round finds none.

    Each round starts beside every known zero, on either side, and at a few random places.

    Returns
    -------
    zeros : ndarray `(m', d)`
        In lexicographic order.
    rounds : int
    """
    half = 0.5 * (box[:, 1] - box[:, 0])
    for k in range(_ROUNDS):
        beside = known.T if len(known) <= _MOST_DEFLATED else np.empty((len(box), 0))
        if not beside.shape[1]:
            return known, k
        shift = _BESIDE * half[:, None] * np.random.default_rng([seed, k]).uniform(-1, 1, beside.shape)
        z = np.concatenate([beside + shift, beside - shift, _starts(box, _DEFLATED_STARTS, seed + k + 1)], axis=1)
        z, _ = _iterated(value, jacobian, z, box, tolerance, Deflation(known, half), _DEFLATED_ITERATIONS)
        z, residual = _iterated(value, jacobian, z, box, tolerance, None, 4)
        found = _distinct(np.concatenate([known, z.T]), np.concatenate([np.zeros(len(known)), residual]))
        singular = _singular(found, jacobian)
        if (~singular).sum() == (~_singular(known, jacobian)).sum():  # a continuum has always more to find
            return (found if singular.sum() <= _MANY else known), k + 1
        known = found
    return known, _ROUNDS


def _starts(box: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The centre of the box and uniform random points `(d, 1 + count)`."""
    low, high = box[:, :1], box[:, 1:]
    uniform = np.random.default_rng(seed).random((len(box), count))
    return np.concatenate([(low + high) / 2, low + (high - low) * uniform], axis=1)


def _iterated(
    value: Batch,
    jacobian: Batch,
    z: np.ndarray,
    box: np.ndarray,
    tolerance: float,
    deflation: Deflation | None = None,
    iterations: int = _ITERATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """The zeros in the box to which damped iterations from the columns of z lead, and their residuals."""
    low, high = box[:, :1], box[:, 1:]
    step = np.full(z.shape[1], np.inf)
    for _ in range(iterations):
        with np.errstate(all="ignore"):  # far starts overflow and are dropped
            z, step = _damped_step(value, jacobian, z, deflation)
        keep = np.isfinite(step)
        z, step = z[:, keep], step[keep]
        if not len(step) or (step <= 1e-15 * (1 + np.abs(z).max(axis=0))).all():
            break
    residual = np.abs(value(z)).max(axis=0) if z.shape[1] else np.empty(0)
    slack = 1e-9 * (high - low)
    good = (residual <= tolerance) & (step <= _STEP * (1 + np.abs(z).max(axis=0, initial=0.0)))
    good &= ((z >= low - slack) & (z <= high + slack)).all(axis=0)
    return z[:, good], residual[good]


def _damped_step(
    value: Batch, jacobian: Batch, z: np.ndarray, deflation: Deflation | None
) -> tuple[np.ndarray, np.ndarray]:
    """One step for every column, and the length of the full step; nan where v or J is not finite."""
    v, J = value(z), jacobian(z)
    finite = np.isfinite(v).all(axis=0) & np.isfinite(J).all(axis=(0, 1))
    length = np.full(z.shape[1], np.nan)
    if not finite.any():
        return z, length
    direction = np.zeros_like(z)
    direction[:, finite] = _solve(J[:, :, finite], v[:, finite])
    length[finite] = np.abs(direction[:, finite]).max(axis=0)
    size, best = np.abs(v).max(axis=0), z
    if deflation is not None:
        direction = direction * deflation.factor(z, direction)
        size = size * deflation.weight(z)
    waiting = finite & (size > 0)
    for alpha in _DAMPING:
        trial = z - alpha * direction
        after = np.abs(value(trial)).max(axis=0)
        better = waiting & ((after if deflation is None else after * deflation.weight(trial)) < size)
        best = np.where(better, trial, best)
        waiting &= ~better
        if not waiting.any():
            break
    return best, length


def _solve(J: np.ndarray, v: np.ndarray) -> np.ndarray:
    matrices, columns = np.moveaxis(J, 2, 0), v.T[:, :, None]
    try:
        return np.linalg.solve(matrices, columns)[:, :, 0].T
    except np.linalg.LinAlgError:  # some column has an exactly singular J: least-norm steps for all
        return (np.linalg.pinv(matrices, rcond=1e-12) @ columns)[:, :, 0].T


def _distinct(points: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """One point of each cluster, the one with the smallest residual."""
    kept: list[np.ndarray] = []
    for k in np.argsort(residual, kind="stable"):
        if all(np.abs(points[k] - p).max() > 1e-5 * (1 + np.abs(p).max()) for p in kept):
            kept.append(points[k])
    kept.sort(key=lambda p: [round(float(x), 9) for x in p])
    return np.array(kept).reshape(len(kept), points.shape[1])


# the field and its zeros as numbers --------------------------------------------------------------------


def compiled_field(v: list[sp.Expr], z: Sequence[sp.Symbol]) -> tuple[Any, Any]:
    """v and Dv on batches, `(d, n)` and `(d, d, n)`, compiled from the formula of v."""
    function = VectorFunction("v", [z], v)
    if function.parameters:
        names = [s.name for s in function.parameters]
        raise ValueError(f"Newton's method needs numbers, but {names} have no value. Bind them, or give params=")
    d, entries = len(z), [e for row in function.jacobian(0) for e in row]
    table = VectorFunction("J", [z], entries).numpy
    jacobian = lambda points: table(points, []).reshape(d, d, -1)  # noqa: E731
    return lambda points: function.numpy(points, []), jacobian


def jacobian_formula(v: list[sp.Expr], z: Sequence[sp.Symbol]) -> Any:
    """point -> Dv(point), exactly."""
    rows = VectorFunction("v", [z], v).jacobian(0)

    def at(point: Sequence[sp.Expr]) -> sp.ImmutableMatrix:
        return sp.ImmutableMatrix(rows).xreplace(dict(zip(z, point, strict=True))).applyfunc(tidy)

    return at


def traced_field(game: Any) -> tuple[Any, Any]:
    """v = z - T(z) and Dv = I - DT with T the gradient step of size 1, which is traced and never expanded.

    Under constraints the step is projected, and a zero on the boundary may be one of the projected field only.
    """
    from gamedyn.maps.stepmap import StepMap

    T = StepMap(Simultaneous(1.0), game)
    return lambda z: z - T(z), lambda z: np.eye(len(z))[:, :, None] - T.jacobian(z)


def thin_singular(zeros: np.ndarray, jacobian: Any, centre: np.ndarray) -> tuple[np.ndarray, bool]:
    """Of many zeros with singular Jacobian only the one nearest to the centre."""
    singular = _singular(zeros, jacobian) if len(zeros) > _MANY else np.zeros(len(zeros), dtype=bool)
    if singular.sum() <= _MANY:
        return zeros, False
    distance = np.where(singular, np.abs(zeros - centre).max(axis=1), np.inf)
    keep = ~singular
    keep[np.argmin(distance)] = True
    return zeros[keep], True


def _singular(zeros: np.ndarray, jacobian: Any) -> np.ndarray:
    """Which zeros `(m, d)` have a Jacobian that is singular up to 1e-6 of its size."""
    if not len(zeros):
        return np.zeros(0, dtype=bool)
    values = np.linalg.svd(np.moveaxis(jacobian(zeros.T), 2, 0), compute_uv=False)
    return values[:, -1] <= 1e-6 * np.maximum(1.0, values[:, 0])


def recognise(point: np.ndarray, v: list[sp.Expr], z: Sequence[sp.Symbol]) -> tuple[Any, ...]:
    """The point with simple fractions, or simple fractions of π, in place of floats, if v vanishes there exactly."""
    guesses = [_simple_number(float(x)) for x in point]
    if all(g is not None for g in guesses):
        table = dict(zip(z, guesses, strict=True))
        if all(sp.simplify(e.xreplace(table)) == 0 for e in v):
            return tuple(guesses)
    return tuple(float(x) for x in point)


def _simple_number(x: float) -> sp.Expr | None:
    for unit in (sp.S.One, sp.pi):
        ratio = sp.Rational(round(12 * x / float(unit)), 12)
        if abs(x - float(ratio * unit)) < 1e-7:
            return ratio * unit
    return None
