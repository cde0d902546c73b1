"""What one random step does to first and second moments, from the rule itself.

Near an equilibrium z* of the mean field every sample is affine, F(z*+δ) = Jδ + b, and so is the step,

    s+ = A s + c,   s = (z - z*, memory)                                              (1)

A and c come from running the very same rule on the test field, its columns the identity and a constant (a
finite sum: one run per combination of samples), or the identity and one block per evaluation (additive noise).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.games.field import Element, Field, NotInThisWorld, Player, Seed, total
from gamedyn.games.linear import LinearField
from gamedyn.games.random_field import RandomField
from gamedyn.games.stochastic import FiniteSum
from gamedyn.maps.linear_step import as_float
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, map_numbers

CURVED = (
    "a sample's gradient does not vanish at the point and the costs are not quadratic, so third derivatives enter the "
    "step's Jacobian; take a rule without transforms, or a quadratic game"
)
COMBINATIONS = 20_000  # runs of the rule per step, beyond which a finite sum is refused


class OffsetField(LinearField):
    """The test field plus a constant per cost: ∇cᵢ = Hᵢδ + gᵢ, hence v = Jδ + Σ Pᵢgᵢ.

    Parameters
    ----------
    linear : LinearField
    slopes : sequence of `(d, m)`
        gᵢ of every player, one column per column of the state.
    curved : bool
        Whether third derivatives would enter Jacobian products, because v ≠ 0 here and v is not affine.
    """

    def __init__(self, linear: LinearField, slopes: Sequence[np.ndarray], *, curved: bool = False) -> None:
        super().__init__(linear.players, linear.hessians, linear.jacobian, linear.cross)
        self.slopes, self.curved = list(slopes), curved
        self.constant = total(self.mask(i, g) for i, g in enumerate(self.slopes))
        self._muted = False

    @contextmanager
    def _without_constants(self) -> Iterator[None]:
        outer, self._muted = self._muted, True
        try:
            yield
        finally:
            self._muted = outer

    def _refuse_curved(self, operation: str) -> None:
        if self.curved:
            raise self.missing(operation, CURVED)

    def __call__(self, z: Element) -> Element:
        value = super().__call__(z)
        return value if self._muted else value + self.constant

    def grad(self, i: int, z: Element) -> Element:
        value = super().grad(i, z)
        return value if self._muted else value + self.slopes[i]

    def jvp(self, z: Element, u: Element) -> Element:
        self._refuse_curved("jvp")
        return super().jvp(z, u)

    def vjp(self, z: Element, u: Element) -> Element:
        self._refuse_curved("vjp")
        return super().vjp(z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        with self._without_constants():
            return fn(u)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        with self._without_constants():
            matrix = fn(self._identity())
        return matrix.T @ (u(fn(z)) if callable(u) else u)

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        with self._without_constants():
            matrix = fn(self._identity())
        return np.linalg.solve(matrix, rhs if linear else rhs - fn(0 * rhs))


@dataclass(frozen=True, eq=False)
class StepMoments:
    """The random affine step (1), as a weighted list of outcomes and an additive part.

    Attributes
    ----------
    matrices : ndarray `(m, D, D)`
        A of every outcome.
    constants : ndarray `(m, D)`
        c of every outcome.
    weights : ndarray `(m,)`
        Their probabilities.
    noise : ndarray `(D, D)`
        Covariance of a further additive term, independent of the outcome.
    """

    matrices: np.ndarray
    constants: np.ndarray
    weights: np.ndarray
    noise: np.ndarray

    @property
    def is_deterministic(self) -> bool:
        """Whether A is always the same and c vanishes: nothing is random but the additive term."""
        return len(self.weights) == 1 and not self.constants.any()


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample at the equilibrium: its Hessians and the gradients of its costs there."""

    linear: LinearField
    slopes: tuple[np.ndarray, ...]
    curved: bool

    @classmethod
    def of(cls, source: Field, z: np.ndarray) -> Sample:
        """The sample that an array field is at z `(d,)`."""
        eye, players = np.eye(len(z)), source.players
        v = source(z)
        try:
            hessians = [np.stack([source.hvp(i, z, e) for e in eye], axis=1) for i in range(len(players))]
            slopes = tuple(source.grad(i, z) for i in range(len(players)))
            bent = not source.is_quadratic
            linear = LinearField(players, hessians=hessians, cross=CURVED if bent and _apart(slopes) else "")
        except NotInThisWorld:  # a game without costs
            linear = LinearField(players, jacobian=np.stack([source.jvp(z, e) for e in eye], axis=1))
            slopes = tuple(source.mask(i, v) for i in range(len(players)))
            bent = not source.is_quadratic
        return cls(linear, slopes, bent and _apart(v))

    def field(self, columns: int) -> OffsetField:
        """The test field whose last of `columns` columns is the constant."""
        shift = np.zeros((len(self.slopes), len(self.slopes[0]), columns))
        shift[:, :, -1] = self.slopes
        return OffsetField(self.linear, list(shift), curved=self.curved)


def _apart(values: Any) -> bool:
    """Whether a vector is more than rounding away from 0."""
    return bool(np.max(np.abs(values)) > 1e-8)


class Response:
    """A method on a test field, run on the identity.

    Parameters
    ----------
    method : Method
        Autonomous.
    transforms : sequence
        Those of the game, the first one first.
    mean : LinearField
        The mean field at the equilibrium.
    """

    def __init__(self, method: Method, transforms: Sequence[Any], mean: LinearField) -> None:
        self.method = map_numbers(method, as_float)
        self.transforms = [map_numbers(t, as_float) for t in transforms]
        self.mean, self.d = mean, mean.players[-1].stop
        self.count = len(start(self.method, self._seen(mean), np.zeros((self.d, 1))))

    @property
    def dim(self) -> int:
        """D of the extended state."""
        return self.d * self.count

    def _seen(self, F: Field) -> Field:
        for transform in self.transforms:
            F = transform.field(F)
        return self.method.field(F)

    def run(self, F: Field, further: int) -> np.ndarray:
        """The step `(D, D + further)` on a field: its columns the identity, then `further` columns from 0."""
        width = self.dim + further
        parts = [np.eye(self.d, width, k * self.d) for k in range(self.count)]
        z, rest, _ = run_step(self.method, self._seen(F), parts[0], tuple(parts[1:]), self.count - 1)
        return np.concatenate([z, *rest])

    def evaluations(self) -> int:
        """How often a step evaluates the field."""
        F = RandomField(lambda e, z: self.mean, lambda: self.mean, self.mean, independent=True)
        self.run(F, 0)
        return F.evaluations

    def additive(self, covariance: np.ndarray, independent: bool) -> StepMoments:
        """v + ξ: Q = Σₑ Bₑ C Bₑᵀ, Bₑ the response of the step to ξ in evaluation e."""
        count, d, D = (self.evaluations() if independent else 1), self.d, self.dim
        width = D + count * d
        fields = []
        for e in range(count):
            xi = np.eye(d, width, D + e * d)
            slopes = [self.mean.mask(i, xi) for i in range(len(self.mean.players))]
            fields.append(OffsetField(self.mean, slopes))
        quiet = OffsetField(self.mean, [np.zeros((d, width))] * len(self.mean.players))
        F = RandomField(lambda e, z: fields[e], lambda: quiet, self.mean, independent=independent)
        image = self.run(F, count * d)
        blocks = [image[:, D + e * d : D + (e + 1) * d] for e in range(count)]
        noise = total(B @ covariance @ B.T for B in blocks) if blocks else np.zeros((D, D))
        return StepMoments(image[None, :, :D], np.zeros((1, D)), np.ones(1), noise)

    def finite(self, samples: Sequence[Sample], weights: np.ndarray, mean: Sample, independent: bool) -> StepMoments:
        """One of some samples: every outcome of a step, `len(samples)` or that to the power of the evaluations."""
        count = self.evaluations() if independent else 1
        if len(samples) ** count > COMBINATIONS:
            raise ValueError(
                f"{len(samples)} outcomes per evaluation and {count} evaluations make {len(samples) ** count:.3g} "
                f"combinations per step, more than {COMBINATIONS}; take fewer samples, a batch_size of 1, or simulate"
            )
        fields = [s.field(self.dim + 1) for s in samples]
        average = mean.field(self.dim + 1)
        images, chances = [], []
        for choice in itertools.product(range(len(samples)), repeat=count):
            F = RandomField(
                lambda e, z, choice=choice: fields[choice[e]],  # type: ignore[misc]
                lambda: average,
                self.mean,
                independent=independent,
            )
            images.append(self.run(F, 1))
            chances.append(math.prod(weights[j] for j in choice))
        stack, D = np.stack(images), self.dim
        return StepMoments(stack[:, :, :D], stack[:, :, D], np.array(chances), np.zeros((D, D)))


def batches(oracle: FiniteSum, z: np.ndarray) -> tuple[list[Sample], np.ndarray, Sample]:
    """The distinct mini-batches of a finite sum at z with their probabilities, and the mean."""
    n, b = oracle.n, oracle.batch_size
    if math.comb(n + b - 1, b) > COMBINATIONS:
        raise ValueError(
            f"{n} samples in batches of {b} make {math.comb(n + b - 1, b):.3g} different batches, more than "
            f"{COMBINATIONS}; take fewer samples or a batch_size of 1"
        )
    single = [Sample.of(oracle.sample_field("array", j), z) for j in range(n)]
    chosen, weights = [], []
    for batch in itertools.combinations_with_replacement(range(n), b):
        repeats = [batch.count(j) for j in set(batch)]
        orders = math.factorial(b) // math.prod(math.factorial(r) for r in repeats)
        chosen.append(_average([single[j] for j in batch]))
        weights.append(orders / n**b)
    return chosen, np.array(weights), _average(single)


def _average(samples: Sequence[Sample]) -> Sample:
    if len(samples) == 1:
        return samples[0]
    first, n = samples[0], len(samples)
    players: Sequence[Player] = first.linear.players
    slopes = tuple(total(s.slopes[i] for s in samples) / n for i in range(len(players)))
    v = total(first.linear.mask(i, g) for i, g in enumerate(slopes))
    curved = _apart(v) and any(s.curved for s in samples)
    if first.linear.hessians is None:
        linear = LinearField(players, jacobian=total(s.linear.jacobian for s in samples) / n)
        return Sample(linear, slopes, curved)
    hessians = [total(s.linear.hessians[i] for s in samples) / n for i in range(len(players))]  # type: ignore[index]
    cross = max(s.linear.cross for s in samples) if _apart(slopes) else ""
    return Sample(LinearField(players, hessians=hessians, cross=cross), slopes, curved)
