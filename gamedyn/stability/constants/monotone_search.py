"""The proof that a field is monotone, or a pair of points that says it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.functions import compile_numpy, exact_number
from gamedyn.stability.constants.box_constants import BoxConstants
from gamedyn.stability.constants.box_report import check_regular
from gamedyn.stability.constants.continuity import Jump, jump_text, jumps, one_side
from gamedyn.stability.constants.exact_minimum import connected
from gamedyn.stability.constants.field_formula import FieldFormula, box_ends, outward
from gamedyn.stability.constants.principal_minors import is_semidefinite
from gamedyn.stability.intervals.intervals import IntervalFunction
from gamedyn.stability.number_text import format_number
from gamedyn.stability.spectrum_signs import definiteness

__all__ = ["monotone_answer", "violation"]

Answer = tuple[bool | None, str, tuple[Any, ...] | None]

_REACH = 10  # of the search for a violating pair, without a box
_DIGITS = 64  # denominators of a witness
_COARSE = (1, 8, _DIGITS, _DIGITS**2, _DIGITS**4)
_STEPS = (*((s, _COARSE) for s in (1.0, 0.25, 1 / 16, 1 / 256)), *((2.0**-k, (_DIGITS**8,)) for k in (16, 24, 32)))
_TRIED = 16  # points on a jump


def monotone_answer(f: FieldFormula, box: Any, *, samples: int, boxes: int, seed: int) -> Answer:
    """True, False or None with evidence and, for False, the violating pair.

    S >= 0 is decided by exact numbers for affine fields; by bounds of the principal minors of the parts of S, or by
    the search for mu, for others.  Directions of negative curvature at samples are rounded to rational pairs, whose
    inner product is then computed exactly or enclosed.
    """
    if f.is_affine:
        return _affine(f)
    if f.parameters:
        raise ValueError(f"{list(f.parameters)} of '{f.name}' have no value; bind them, or give params=")
    ends = None if box is None else box_ends(f, box)
    S = sp.ImmutableMatrix((f.jacobian + f.jacobian.T) / 2)
    refuted = _sampled_violation(f, S, ends, samples, seed, [])
    if refuted is not None:
        return refuted
    found = jumps(f, *_space(f, ends))
    if found:
        pairs = (_across(f, jump, ends, seed) for jump in found)
        return next((p for p in pairs if p is not None), (None, jump_text(f, found[0]), None))
    where = "everywhere" if box is None else "on the box"
    try:
        if is_semidefinite(S, f.z, *_space(f, ends)):
            return True, f"all principal minors of S are >= 0 {where}", None
        if ends is None:
            return None, f"no violating pair in [-{_REACH}, {_REACH}], and no proof; give a box", None
        low, high = outward(ends)
        check_regular(f, low, high)
        mu, point = BoxConstants(f, low, high, ends, np.empty((f.dim, 0)), boxes).mu
    except ValueError as unknown:
        return None, f"no violating pair among {samples} samples, seed {seed}; {unknown}", None
    if mu.low >= 0:
        return True, f"mu {mu.text} on the box", None
    refuted = _sampled_violation(f, S, ends, 0, seed, [point])
    if refuted is None:  # an exact number is taken at a point of the box
        return (False if mu.kind == "exact" else None), f"mu {mu.text} on the box", None
    return refuted


def _affine(f: FieldFormula) -> Answer:
    J = f.constant_jacobian
    S = sp.ImmutableMatrix((J + J.T) / 2)
    states = [definiteness(S.extract(k, k))[0] for k in connected(S)]
    if all(s in ("positive", "semidefinite") for s in states):
        return True, "S >= 0 in exact numbers", None
    if S.free_symbols:
        if "indefinite" in states:
            return False, "a principal minor of S is negative for all values of the parameters", None
        return None, "the sign depends on the parameters; bind them", None
    M = np.array(S.evalf(30).tolist(), dtype=float)
    _, vectors = np.linalg.eigh(M)
    found = violation(f, np.zeros(f.dim), vectors[:, 0], None)
    return (None, "S has a negative minor, but no pair of short numbers shows it", None) if found is None else found


def _space(f: FieldFormula, ends: Sequence[tuple[Any, Any]] | None) -> tuple[np.ndarray, np.ndarray]:
    return (np.full(f.dim, -np.inf), np.full(f.dim, np.inf)) if ends is None else outward(ends)


# refutation --------------------------------------------------------------------------------------------


def _sampled_violation(
    f: FieldFormula,
    S: sp.MatrixBase,
    ends: Sequence[tuple[Any, Any]] | None,
    samples: int,
    seed: int,
    more: list[np.ndarray],
) -> Answer | None:
    """A violating pair around the sample with the most negative curvature."""
    d = f.dim
    low, high = (np.full(d, -_REACH), np.full(d, _REACH)) if ends is None else outward(ends)
    rng = np.random.default_rng(seed)
    points = low[:, None] + (high - low)[:, None] * rng.random((d, samples))
    points = np.concatenate([(low / 2 + high / 2)[:, None], points, *(p[:, None] for p in more)], axis=1)
    points = points[:, np.isfinite(compile_numpy([f.z], [], [*f.costs, *f.v])(points, [])).all(axis=0)]
    if not points.shape[1]:
        return None
    entries = compile_numpy([f.z], [], list(S))
    matrices = np.moveaxis(entries(points, []).reshape(d, d, -1), 2, 0)
    good = np.isfinite(matrices).all(axis=(1, 2))
    if not good.any():
        return None
    points, matrices = points[:, good], matrices[good]
    values, vectors = np.linalg.eigh(matrices)
    for k in np.argsort(values[:, 0], kind="stable")[:3]:
        if values[k, 0] < 0:
            found = violation(f, points[:, k], vectors[k, :, 0], ends)
            if found is not None:
                return found
    return None


def violation(
    f: FieldFormula, point: np.ndarray, direction: np.ndarray, ends: Sequence[tuple[Any, Any]] | None
) -> Answer | None:
    """A pair (x, y) near a point, y - x along a direction, with ⟨v(x) - v(y), x - y⟩ < 0 proven; None if none is."""
    u = direction / direction[np.abs(direction).argmax()]
    for step, denominators in _STEPS:
        for denominator in denominators:
            y = [_clipped(_short(x, denominator), k, ends) for k, x in enumerate(point)]
            x = [
                _clipped(b + _short(step * e, denominator), k, ends) for k, (b, e) in enumerate(zip(y, u, strict=True))
            ]
            product = _product(f, x, y)
            if product is not None:
                text = f"<v(z) - v(w), z - w> = {product} at z = {_text(x)}, w = {_text(y)}"
                return False, text, (tuple(x), tuple(y))
    return None


def _short(x: float, denominator: int) -> sp.Rational:
    return sp.Rational(round(float(x) * denominator), denominator)


def _clipped(x: sp.Rational, k: int, ends: Sequence[tuple[Any, Any]] | None) -> sp.Rational:
    return x if ends is None else sp.Min(sp.Max(x, ends[k][0]), ends[k][1])


def _product(f: FieldFormula, x: Sequence[sp.Rational], y: Sequence[sp.Rational]) -> str | None:
    """⟨v(x) - v(y), x - y⟩ as text if it is negative for certain."""
    if not (f.is_real_at(x) and f.is_real_at(y)):
        return None
    at = [dict(zip(f.z, [exact_number(e) for e in p], strict=True)) for p in (x, y)]
    terms = [(e.xreplace(at[0]) - e.xreplace(at[1])) * (a - b) for e, a, b in zip(f.v, x, y, strict=True)]
    value = sp.expand(sp.Add(*terms))
    if value.is_Rational:
        return format_number(value) if value < 0 else None
    try:
        high = IntervalFunction([value], [sp.Dummy("t")])(np.zeros((1, 1)), np.zeros((1, 1)))[1]
    except ValueError:
        return None
    return f"{float(value.evalf(20)):.6g}" if high[0, 0] < 0 else None


def _across(f: FieldFormula, jump: Jump, ends: Sequence[tuple[Any, Any]] | None, seed: int) -> Answer | None:
    """A violating pair on the two sides of a jump: w the jump of v, n the normal, along n/|n| - w/|w| or n."""
    if jump.solved is None:
        return None
    s, value = jump.solved
    slope = compile_numpy([f.z], [], [sp.diff(jump.surface, t) for t in f.z])
    sides = [compile_numpy([f.z], [], [one_side(e, jump.surface, k, f.z) for e in f.v]) for k in (1, -1)]
    low, high = (np.full(f.dim, -_REACH), np.full(f.dim, _REACH)) if ends is None else outward(ends)
    at, rng = list(f.z).index(s), np.random.default_rng(seed)
    for p in [low / 2 + high / 2, *(low + (high - low) * rng.random((_TRIED, f.dim)))]:
        point = [sp.Rational(round(float(x) * _DIGITS), _DIGITS) for x in p]
        point[at] = value.xreplace(dict(zip(f.z, point, strict=True)))
        here = np.array([float(x) for x in point])
        n, w = slope(here, []), sides[0](here, []) - sides[1](here, [])
        if not (np.isfinite(w).all() and w.any() and n.any()):
            continue
        n, w = n / np.linalg.norm(n), w / np.linalg.norm(w)
        for u in (n, n - w):
            for k in (4, 8, 16, 24):
                ray = [sp.Rational(round(float(e) * 2**10), 2 ** (10 + k)) for e in u]
                x, y = (
                    [_clipped(c + g * r, j, ends) for j, (c, r) in enumerate(zip(point, ray, strict=True))]
                    for g in (1, -1)
                )
                product = _product(f, x, y)
                if product is not None:
                    return (
                        False,
                        f"<v(z) - v(w), z - w> = {product} at z = {_text(x)}, w = {_text(y)}",
                        (tuple(x), tuple(y)),
                    )
    return None


def _text(point: Sequence[Any]) -> str:
    return f"({', '.join(map(format_number, point))})"
