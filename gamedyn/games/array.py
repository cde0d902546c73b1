"""The field in float64 arrays `(d,)` or `(d, batch)`, by compiled symbolic expressions.

Step maps in the array world run on the printed trace instead (`gamedyn.maps`); this field serves
pointwise questions: v(z), Jacobians, Newton's method, the flow.
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
        raise self.missing("derivative", "composite maps are differentiated on their trace; use a StepMap")

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        raise self.missing("pullback", "composite maps are differentiated on their trace; use a StepMap")

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        if not linear:
            raise self.missing("resolvent", "Newton's method runs on the trace; use a StepMap")
        identity = np.eye(len(rhs))
        matrix = np.stack([fn(column) for column in identity], axis=1)
        return np.linalg.solve(matrix, rhs)

    def point(self, z: Element) -> Element:
        return self.geometry.project.numpy(z, []) if self.geometry.sets else z

    def along(self, z: Element, u: Element) -> Element:
        return self.geometry.along(z, u)
