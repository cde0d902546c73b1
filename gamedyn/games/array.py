"""The field in float64 arrays `(d,)` or `(d, batch)`, by compiled symbolic expressions.

Deterministic step maps in the array world run on the printed trace instead (`gamedyn.maps`); this field
serves random steps, and pointwise questions: v(z), Jacobians, Newton's method, the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import ExactField
from gamedyn.games.field import Element, Field, Seed
from gamedyn.games.functions import VectorFunction


class ArrayField(Field):
    """v, its Jacobian products and the gradients of the costs on NumPy arrays.

    Parameters
    ----------
    source : ExactField
        The symbolic functions.
    params : mapping
        Symbol -> float or array `(batch,)`.
    """

    world = "array"

    def __init__(self, source: ExactField, params: Mapping[sp.Symbol, Any]) -> None:
        self.source = source
        self.players = source.players
        self.geometry = source.geometry
        self.params = {s: np.asarray(v, dtype=float) for s, v in params.items()}

    @property
    def is_quadratic(self) -> bool:
        return self.source.is_quadratic

    @property
    def is_constrained(self) -> bool:
        return bool(self.geometry.sets)

    def _call(self, function: VectorFunction, *arguments: Element) -> np.ndarray:
        return function.numpy(*arguments, [self.params[s] for s in function.parameters])

    def __call__(self, z: Element) -> np.ndarray:
        return self._call(self.source.field_function, z)

    def mask(self, i: int, u: Element) -> np.ndarray:
        result = np.zeros_like(u)
        result[self.players[i].slice] = u[self.players[i].slice]
        return result

    def diagonal(self, weights: tuple[float, ...], u: Element) -> np.ndarray:
        return (np.asarray(weights) * np.asarray(u).T).T

    def grad(self, i: int, z: Element) -> np.ndarray:
        return self._call(self.source.gradient_function(i), z)

    def hvp(self, i: int, z: Element, u: Element) -> np.ndarray:
        return self._call(self.source.hessian_function(i), z, u)

    def part(self, i: int, z: Element) -> np.ndarray:
        return self.mask(i, self(z))

    def jvp(self, z: Element, u: Element) -> np.ndarray:
        return self._call(self.source.field_function.tangent(0), z, u)

    def vjp(self, z: Element, u: Element) -> np.ndarray:
        return self._call(self.source.field_function.cotangent(0), z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        raise self.missing(
            "derivative",
            "composite maps are differentiated on a trace: a StepMap without an oracle, or the neural world",
        )

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        raise self.missing(
            "pullback", "composite maps are differentiated on a trace: a StepMap without an oracle, or the neural world"
        )

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        if not linear and (not self.is_quadratic or self.geometry.sets):
            raise self.missing(
                "resolvent", "v is not affine, and Newton's method runs on a trace: a StepMap without an oracle"
            )
        rhs = np.asarray(rhs, dtype=float)
        offset = np.zeros_like(rhs) if linear else fn(np.zeros_like(rhs))
        basis = (np.zeros_like(rhs) for _ in rhs)
        columns = []
        for k, e in enumerate(basis):
            e[k] = 1.0
            columns.append(fn(e) - offset)
        matrix = np.moveaxis(np.stack(columns, axis=1), (0, 1), (-2, -1))  # (..., d, d), one per orbit
        solution = np.linalg.solve(matrix, np.moveaxis(rhs - offset, 0, -1)[..., None])
        return np.moveaxis(solution[..., 0], -1, 0)

    def maximum(self, u: Element, w: Element) -> np.ndarray:
        return np.maximum(u, w)

    def sign(self, u: Element) -> np.ndarray:
        return np.sign(u)

    def dot(self, u: Element, w: Element) -> np.ndarray:
        return np.repeat(np.sum(u * w, axis=0, keepdims=True), len(u), axis=0)

    def point(self, z: Element) -> Element:
        return self.geometry.project.numpy(z, []) if self.geometry.sets else z

    def primal(self, y: Element) -> np.ndarray:
        return self.source.mirror_geometry().primal.numpy(y, [])

    def dual(self, z: Element) -> np.ndarray:
        return self.source.mirror_geometry().dual.numpy(z, [])

    def centre(self, u: Element) -> np.ndarray:
        return self.source.mirror_geometry().centre.numpy(u, [])

    def along(self, z: Element, u: Element) -> Element:
        return self.geometry.along(z, u)
