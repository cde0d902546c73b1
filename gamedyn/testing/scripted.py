"""A field that watches a rule: which operations it uses, and where it evaluates the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Element, Field, OnlyField, Player


class Probe:
    """A vector that knows `+`, `-` and scalar `*`, and nothing else.

    Parameters
    ----------
    value : array (d,)
    weight : array (d,)
        How often a point is contained in each coordinate: 1 for a point, 0 for a field value.
    is_point : bool
        Whether it came out of `F.point`, or is the start.
    """

    __slots__ = ("is_point", "value", "weight")
    __array_ufunc__ = None

    def __init__(self, value: Any, weight: Any, is_point: bool = False) -> None:
        self.value, self.weight, self.is_point = np.asarray(value, float), np.asarray(weight, float), is_point

    def __add__(self, other: Any) -> Probe:
        if not isinstance(other, Probe):
            raise AssertionError(f"a rule may add vectors only, but added {other!r}")
        return Probe(self.value + other.value, self.weight + other.weight)

    def __sub__(self, other: Any) -> Probe:
        if not isinstance(other, Probe):
            raise AssertionError(f"a rule may subtract vectors only, but subtracted {other!r}")
        return Probe(self.value - other.value, self.weight - other.weight)

    def __neg__(self) -> Probe:
        return self * -1

    def __mul__(self, factor: Any) -> Probe:
        if not isinstance(factor, (int, float, np.number, sp.Expr)):
            raise AssertionError(f"a rule may multiply a vector by a scalar only, but multiplied by {factor!r}")
        return Probe(float(factor) * self.value, float(factor) * self.weight)

    __rmul__ = __mul__

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a rule may use +, - and scalar * only, but asked for '{name}'")

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("a rule may use +, - and scalar * only, but used another operation on a vector")

    __radd__ = __rsub__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = _refuse
    __abs__ = __getitem__ = __len__ = __iter__ = __bool__ = __float__ = __array__ = _refuse


class ScriptedField(Field):
    """A fixed nonlinear field on `Probe`s; it accepts only points that came out of `point`."""

    world = "scripted"

    def __init__(self, sizes: tuple[int, ...] = (2, 1), seed: int = 0) -> None:
        stops = np.cumsum(sizes)
        self.players = tuple(
            Player(f"p{i}", int(s) - n, int(s)) for i, (s, n) in enumerate(zip(stops, sizes, strict=True))
        )
        d = int(stops[-1])
        self.matrix = np.random.default_rng(seed).normal(size=(d, d)) / d
        self.calls = 0

    def start(self) -> Probe:
        """The start of an orbit."""
        d = len(self.matrix)
        return Probe(np.linspace(-0.5, 0.75, d), np.ones(d), is_point=True)

    def _point(self, z: Element, what: str) -> np.ndarray:
        if not isinstance(z, Probe) or not z.is_point:
            raise AssertionError(
                f"{what} was evaluated at a vector that did not come out of F.point; write F.point(...)"
            )
        self.calls += 1
        return z.value

    def __call__(self, z: Element) -> Probe:
        return Probe(np.sin(self.matrix @ self._point(z, "the field")), 0 * z.weight)

    def _slope(self, z: np.ndarray) -> np.ndarray:
        return np.cos(self.matrix @ z)[:, None] * self.matrix

    def part(self, i: int, z: Element) -> Probe:
        return self.mask(i, self(z))

    def mask(self, i: int, u: Element) -> Probe:
        own = np.zeros(len(self.matrix))
        own[self.players[i].slice] = 1
        return Probe(own * u.value, own * u.weight)

    def jvp(self, z: Element, u: Element) -> Probe:
        return Probe(self._slope(self._point(z, "the Jacobian")) @ u.value, 0 * u.weight)

    def vjp(self, z: Element, u: Element) -> Probe:
        return Probe(self._slope(self._point(z, "the Jacobian")).T @ u.value, 0 * u.weight)

    def point(self, z: Element) -> Probe:
        if not isinstance(z, Probe) or not np.allclose(z.weight, 1, rtol=0, atol=1e-12):
            raise AssertionError(
                "F.point was given no point: a new point is an old one plus multiples of field values "
                "(the weights of its points must add to 1)"
            )
        return Probe(z.value, z.weight, is_point=True)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Probe:
        """The script's answer is the right-hand side itself; `fn` is run once, so that it is watched too."""
        fn(Probe(rhs.value, rhs.weight, is_point=True))
        return Probe(rhs.value, rhs.weight)

    def only(self, i: int) -> Field:
        return OnlyField(self, i)
