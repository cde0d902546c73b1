"""Spectra as functions of parameters, in floats: what is mapped where algebra does not reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.maps.stepmap import StepMap
from gamedyn.stability.jacobian import jacobian
from gamedyn.stability.points import as_point
from gamedyn.stability.regions.step_jacobian import BATCH, floats, step_jacobian

__all__ = ["float_jacobian", "flow_abscissae", "matrix_function", "matrix_radii", "plain_radii", "step_radii"]

Values = Callable[..., np.ndarray]


def step_radii(free: StepMap, z: Any, parameters: Sequence[Any]) -> Values:
    """Arrays `(m,)`, one per parameter -> ρ(DT) `(m,)`, by one trace of a map in which the parameters are symbols."""
    names = [p.symbol.name for p in parameters]

    def radii(*arrays: np.ndarray) -> np.ndarray:
        point = np.array(floats(as_point(z)), dtype=float)
        chunk = max(1, BATCH // free.dim**2)
        parts = []
        for k in range(0, len(arrays[0]), chunk):
            values = {n: np.asarray(a[k : k + chunk], dtype=float) for n, a in zip(names, arrays, strict=True)}
            T = StepMap(free.method, free.game, params={**free.params, **values})
            s = T.start(np.tile(point[:, None], len(values[names[0]])))
            with np.errstate(all="ignore"):  # poles and overflow are results
                parts.append(_largest(np.moveaxis(T.jacobian(s), -1, 0), np.abs))
        return np.concatenate(parts)

    return radii


def plain_radii(T: StepMap, z: Any, names: Sequence[str]) -> Values:
    """The same for a game without formulas, one Jacobian after the other."""

    def radii(*arrays: np.ndarray) -> np.ndarray:
        found = []
        for values in zip(*arrays, strict=True):
            at = T
            for name, value in zip(names, values, strict=True):
                at = at.with_parameter(name, float(value))
            found.append(np.array(step_jacobian(at, z), dtype=float))
        return _largest(np.array(found), np.abs)

    return radii


def flow_abscissae(build: Callable[[], sp.MatrixBase], symbols: Sequence[sp.Symbol]) -> Values:
    """Arrays `(m,)`, one per symbol -> -min Re λ(J) `(m,)`, J a matrix of formulas that is built once."""
    entries = cache(lambda: matrix_function(build(), symbols))
    return lambda *arrays: _largest(entries()(*arrays), lambda values: -values.real)


def matrix_radii(matrix: sp.MatrixBase, symbols: Sequence[sp.Symbol]) -> Values:
    """Arrays `(m,)`, one per symbol -> ρ `(m,)` of a matrix of formulas."""
    entries = matrix_function(matrix, symbols)
    return lambda *arrays: _largest(entries(*arrays), np.abs)


def matrix_function(matrix: sp.MatrixBase, symbols: Sequence[sp.Symbol]) -> Values:
    """Arrays `(m,)`, one per symbol -> matrices `(m, D, D)`.

    Raises
    ------
    ValueError
        If other symbols are left.
    """
    left = sorted(s.name for s in matrix.free_symbols - set(symbols))
    if left:
        raise ValueError(f"the free symbols {left} have no values; bind them, or add them to the parameters")
    entries = sp.lambdify(list(symbols), list(matrix), "numpy")

    def matrices(*arrays: np.ndarray) -> np.ndarray:
        result = np.empty((len(arrays[0]), *matrix.shape))
        with np.errstate(all="ignore"):  # poles and overflow are results
            for k, entry in enumerate(entries(*(np.asarray(a, dtype=float) for a in arrays))):
                result[:, k // matrix.cols, k % matrix.cols] = entry
        return result

    return matrices


def _largest(matrices: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest measure of the eigenvalues of matrices `(m, D, D)`; inf where an entry is not finite."""
    usable = np.isfinite(matrices).all(axis=(-2, -1))
    found = np.full(usable.shape, np.inf)
    found[usable] = measure(np.linalg.eigvals(matrices[usable])).max(axis=-1)
    return found


def float_jacobian(game: Any, z: Any) -> np.ndarray:
    """J of a game without formulas, as a float64 array."""
    dense = jacobian(game, z).to_dense()
    return dense if isinstance(dense, np.ndarray) else dense.detach().cpu().double().numpy()
