"""Random fields: a field that draws its sample, and the fields that a sample is.

A random field counts its evaluations and asks a sampler for the field of each.  One call of `F(z)`,
`F.part`, `F.grad`, `F.hvp` or a Jacobian product (whole, across players, antisymmetric) is one evaluation;
`derivative`, `pullback` and `invert`, which evaluate a map of their own any number of times, hold one sample
meanwhile and are one evaluation too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gamedyn.games.field import DerivedField, Element, Field, Seed, total

Shape = tuple[int, ...]


class RandomField(Field):
    """The field of one step of a stochastic game.

        F(z) = v(z; s_e),   e = 0, 1, 2, … the number of the evaluation within the step

    Parameters
    ----------
    sampler : callable
        (e, z) -> the deterministic field of evaluation e at states like z; called once per shape of z.
    mean : callable
        () -> the mean field.
    like : Field
        Any field of the game in this world: its players, projection and masks.
    independent : bool
        Whether every evaluation draws (`sampling="independent"`), or evaluation 0 serves the whole step.
    """

    def __init__(
        self,
        sampler: Callable[[int, Element], Field],
        mean: Callable[[], Field],
        like: Field,
        *,
        independent: bool,
    ) -> None:
        self._sampler, self._mean, self._like = sampler, mean, like
        self.world, self.players, self.independent = like.world, like.players, independent
        self.evaluations = 0
        self._held: int | None = None
        self._drawn: dict[tuple[int, Shape], Field] = {}

    @property
    def is_quadratic(self) -> bool:
        return self._like.is_quadratic

    @property
    def is_constrained(self) -> bool:
        return self._like.is_constrained

    # samples ---------------------------------------------------------------------------------------

    def _next(self) -> int:
        """The number of the sample that the next evaluation sees."""
        if self._held is not None:
            return self._held
        self.evaluations += 1
        return self.evaluations - 1 if self.independent else 0

    def _sample(self, e: int, z: Element) -> Field:
        key = (e, tuple(z.shape[1:]))
        if key not in self._drawn:
            self._drawn[key] = self._sampler(e, z)
        return self._drawn[key]

    def _at(self, z: Element) -> Field:
        return self._sample(self._next(), z)

    @contextmanager
    def _hold(self) -> Iterator[int]:
        outer = self._held
        self._held = held = self._next()
        try:
            yield held
        finally:
            self._held = outer

    def expected(self) -> Field:
        return self._mean()

    def fixed(self) -> Field:
        if not self.independent or self._held is not None:
            return self
        twin = copy.copy(self)  # shares the samples drawn
        twin._held = self._next()
        return twin

    # the Field protocol ------------------------------------------------------------------------------

    def __call__(self, z: Element) -> Element:
        return self._at(z)(z)

    def part(self, i: int, z: Element) -> Element:
        return self._at(z).part(i, z)

    def grad(self, i: int, z: Element) -> Element:
        return self._at(z).grad(i, z)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self._at(z).hvp(i, z, u)

    def jvp(self, z: Element, u: Element) -> Element:
        return self._at(z).jvp(z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        return self._at(z).vjp(z, u)

    def cross_jvp(self, z: Element, u: Element) -> Element:
        return self._at(z).cross_jvp(z, u)

    def cross_vjp(self, z: Element, u: Element) -> Element:
        return self._at(z).cross_vjp(z, u)

    def skew(self, z: Element, u: Element) -> Element:
        return self._at(z).skew(z, u)

    def mask(self, i: int, u: Element) -> Element:
        return self._like.mask(i, u)

    def maximum(self, u: Element, w: Element) -> Element:
        return self._like.maximum(u, w)

    def sign(self, u: Element) -> Element:
        return self._like.sign(u)

    def dot(self, u: Element, w: Element) -> Element:
        return self._like.dot(u, w)

    def primal(self, y: Element) -> Element:
        return self._like.primal(y)

    def dual(self, z: Element) -> Element:
        return self._like.dual(z)

    def centre(self, u: Element) -> Element:
        return self._like.centre(u)

    def along(self, z: Element, u: Element) -> Element:
        return self._like.along(z, u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        return self._like.diagonal(weights, u)

    def point(self, z: Element) -> Element:
        return self._like.point(z)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        with self._hold() as e:
            return self._sample(e, z).derivative(fn, z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        with self._hold() as e:
            return self._sample(e, z).pullback(fn, z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        with self._hold() as e:
            return self._sample(e, rhs).invert(fn, rhs, linear=linear)


class ShiftedField(DerivedField):
    """v + ξ, the game with costs cᵢ(z) + ⟨Pᵢξ, z⟩: ∇cᵢ shifts by Pᵢξ, second derivatives not at all.

    Parameters
    ----------
    base : Field
    shift : vector
        ξ, of the shape of the state.
    """

    def __init__(self, base: Field, shift: Element) -> None:
        super().__init__(base)
        self.shift = shift

    @property
    def is_quadratic(self) -> bool:
        return self.base.is_quadratic

    def __call__(self, z: Element) -> Element:
        return self.base(z) + self.shift

    def part(self, i: int, z: Element) -> Element:
        return self.base.part(i, z) + self.mask(i, self.shift)

    def grad(self, i: int, z: Element) -> Element:
        return self.base.grad(i, z) + self.mask(i, self.shift)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self.base.hvp(i, z, u)

    def jvp(self, z: Element, u: Element) -> Element:
        return self.base.jvp(z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, u)


class AverageField(Field):
    """The average of some fields of one world: every product is the average of theirs.

    Parameters
    ----------
    fields : sequence of Field
        At least one, all of the same game.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.world, self.players = self.fields[0].world, self.fields[0].players

    @property
    def is_quadratic(self) -> bool:
        return all(f.is_quadratic for f in self.fields)

    @property
    def is_constrained(self) -> bool:
        return self.fields[0].is_constrained

    def _mean(self, values: Any) -> Element:
        return total(values) / len(self.fields)

    def __call__(self, z: Element) -> Element:
        return self._mean(f(z) for f in self.fields)

    def part(self, i: int, z: Element) -> Element:
        return self._mean(f.part(i, z) for f in self.fields)

    def grad(self, i: int, z: Element) -> Element:
        return self._mean(f.grad(i, z) for f in self.fields)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self._mean(f.hvp(i, z, u) for f in self.fields)

    def jvp(self, z: Element, u: Element) -> Element:
        return self._mean(f.jvp(z, u) for f in self.fields)

    def vjp(self, z: Element, u: Element) -> Element:
        return self._mean(f.vjp(z, u) for f in self.fields)

    def mask(self, i: int, u: Element) -> Element:
        return self.fields[0].mask(i, u)

    def maximum(self, u: Element, w: Element) -> Element:
        return self.fields[0].maximum(u, w)

    def sign(self, u: Element) -> Element:
        return self.fields[0].sign(u)

    def dot(self, u: Element, w: Element) -> Element:
        return self.fields[0].dot(u, w)

    def primal(self, y: Element) -> Element:
        return self.fields[0].primal(y)

    def dual(self, z: Element) -> Element:
        return self.fields[0].dual(z)

    def centre(self, u: Element) -> Element:
        return self.fields[0].centre(u)

    def along(self, z: Element, u: Element) -> Element:
        return self.fields[0].along(z, u)

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        return self.fields[0].diagonal(weights, u)

    def point(self, z: Element) -> Element:
        return self.fields[0].point(z)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        return self.fields[0].derivative(fn, z, u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        return self.fields[0].pullback(fn, z, u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        return self.fields[0].invert(fn, rhs, linear=linear)


class SampleAxisField(DerivedField):
    """The average over the last axis of an array field's parameters, at states without that axis.

        F(z) = mean over j of base(z; a[..., j])

    Parameters
    ----------
    base : ArrayField
        With parameters of shape `(batch, n)` or `(n,)`.
    """

    @property
    def is_quadratic(self) -> bool:
        return self.base.is_quadratic

    def _mean(self, product: Callable[..., Element], *arguments: Element) -> Element:
        return product(*(a[..., None] for a in arguments)).mean(axis=-1)

    def __call__(self, z: Element) -> Element:
        return self._mean(self.base, z)

    def grad(self, i: int, z: Element) -> Element:
        return self._mean(lambda w: self.base.grad(i, w), z)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self._mean(lambda w, d: self.base.hvp(i, w, d), z, u)

    def jvp(self, z: Element, u: Element) -> Element:
        return self._mean(self.base.jvp, z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        return self._mean(self.base.vjp, z, u)
