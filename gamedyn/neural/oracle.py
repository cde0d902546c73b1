"""Stochastic GANs: fields on fresh batches, a pure function of the seed, the step and the evaluation.

    v = Σ_b (n_b/n) v_b                                                                     (1)

on the batch of a step, whose n rows may be cut into parts: one after the other in a process (accumulation), and shared
between processes.  Every method stays what it is, because (1) holds for all that it asks of a field.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from gamedyn.games.accumulated import AccumulatedField
from gamedyn.games.field import Element, Field, NotInThisWorld
from gamedyn.games.random_field import RandomField
from gamedyn.games.stochastic import is_independent
from gamedyn.neural.analysis.full_data import refuse_rows_that_meet
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.ranks import Ranks, checksum
from gamedyn.neural.sample import BATCHES, OnSample, Sample, stream

if TYPE_CHECKING:
    from gamedyn.neural.training.distributed import SharedField

__all__ = ["BatchField", "Oracle", "PartsField"]

PROBE = 64  # rows on which (1) is tried


@dataclass(frozen=True)
class Oracle:
    """Fields of a stochastic game: `draw(k)` is the field on the batch of step k.

    Attributes
    ----------
    gan : GAN
    batch_size : int
        Rows of a batch, all parts and processes together.
    seed : int
    sampling : str
        "same": whatever the rule asks of a step sees one batch.  "independent": every evaluation sees a batch of its
        own, the first one that of "same".
    accumulate : int
        Parts into which a process cuts its rows; it holds the graph of one at a time, unless a method differentiates
        through the field.
    group : "world" or ProcessGroup, optional
        The processes of torch.distributed that share the rows: all, or some.  Building the oracle is then a collective
        call, as every evaluation is.  Afterwards a `Ranks`, or None.

    Raises
    ------
    ValueError, TypeError
        Settings out of range; a GAN whose rows meet, cut into parts; GANs or settings that differ between processes.
    RuntimeError
        If torch.distributed is not initialised, or this process is not in the group.
    """

    gan: GAN
    batch_size: int
    seed: int
    sampling: str = "same"
    accumulate: int = 1
    group: Any = None

    def __post_init__(self) -> None:
        is_independent(self.sampling)
        if self.group is None or isinstance(self.group, Ranks):  # Ranks: a copy of an oracle that has been checked
            self._check_parts()
            return
        every = None if isinstance(self.group, str) and self.group == "world" else self.group
        ranks = Ranks(every, caller="gan.oracle(group=...)", alone="group=None")
        object.__setattr__(self, "group", ranks)
        with ranks.together():
            self._check_parts()
        self._check_ranks(ranks)

    def _check_parts(self) -> None:
        """Refuse cuts that leave a part without rows, or that change v."""
        m, processes = self.accumulate, 1 if self.group is None else self.group.count
        if isinstance(m, bool) or not isinstance(m, int | np.integer):
            raise TypeError(f"accumulate is {m!r}; it must be an int")
        if m < 1 or m * processes > self.batch_size:
            raise ValueError(
                f"accumulate is {m}; with {self.batch_size} rows on {processes} process{'es' if processes > 1 else ''} "
                f"it must be at least 1 and at most {self.batch_size // processes}"
            )
        if m * processes > 1:
            refuse_parts(self.gan)

    def _check_ranks(self, ranks: Ranks) -> None:
        """Refuse games and batches that differ between the processes."""
        gan, z = self.gan, self.gan.initial()
        settings = (self.batch_size, self.seed, self.sampling, self.accumulate, gan.evaluation_size, gan.seed)
        named = "(batch_size, seed, sampling, accumulate, evaluation_size, seed of the GAN)"
        ranks.refuse_other(f"the oracle's {named}", settings)
        ranks.refuse_other_point(gan, z)
        batch = gan.batch(self.batch_size, stream(self.seed, BATCHES, 0), step=0)
        ranks.refuse_other_networks(gan, z, batch)
        drawn = [gan.data.x, batch.x, batch.latents, *(t for t in batch.noise if t is not None)]
        ranks.refuse_other("the data, or what is drawn,", [checksum(t) for t in drawn])

    @property
    def game(self) -> GAN:
        """The GAN."""
        return self.gan

    @property
    def mean_game(self) -> GAN:
        """The GAN, whose field is that on the evaluation sample."""
        return self.gan

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes files and shows progress."""
        return self.group is None or self.group.rank == 0

    def draw(self, k: int, world: str = "neural") -> Field:
        """The random field of step k; its `expected()` is the field on the evaluation sample.

        Raises
        ------
        NotInThisWorld
            For any world but "neural".
        """
        if world != "neural":
            raise NotInThisWorld("field", world, "the costs of a GAN are networks without a formula")
        if not is_independent(self.sampling):
            return self.batch_field(k)
        like = self.batch_field(k)
        return RandomField(lambda e, z: self.batch_field(k, e) if e else like, self.mean_field, like, independent=True)

    def batch_field(self, k: int, e: int = 0) -> BatchField | PartsField | SharedField:
        """The field on the batch of evaluation e of step k."""
        key = (self.seed, BATCHES, k, e) if e else (self.seed, BATCHES, k)
        return self.field_on(self.gan.batch(self.batch_size, stream(*key), step=k))

    def mean_field(self) -> Field:
        """The field on the evaluation sample, cut into parts of the same size."""
        if self.accumulate == 1 and self.group is None:
            return self.gan.field("neural")
        return self.field_on(self.gan.evaluation_sample)

    def field_on(self, sample: Sample) -> BatchField | PartsField | SharedField:
        """The field on a sample of any size, cut into parts and shared as the oracle says."""
        if self.group is None or self.group.count == 1 or len(sample) < self.group.count:
            return self._own_field(sample)
        from gamedyn.neural.training.distributed import SharedField  # whose package is built on this module

        shares = cut(sample, self.group.count)  # all of them, so that what cannot be cut fails on every rank
        own = shares[self.group.rank]
        weight = len(own) / len(sample)
        return SharedField(
            self._own_field(own), weight, sample, ranks=self.group, make=self.field_on, mean=self.mean_field
        )

    def _own_field(self, sample: Sample) -> BatchField | PartsField:
        """That on rows of this process."""
        processes = 1 if self.group is None else self.group.count
        most = math.ceil(self.batch_size / (processes * self.accumulate))  # rows of a part of a step's batch
        parts = 1 if self.accumulate == 1 else min(len(sample), max(self.accumulate, math.ceil(len(sample) / most)))
        if parts == 1:
            return BatchField(self.gan, sample)
        return PartsField(self.gan, sample, parts, mean=self.mean_field)


class BatchField(GANField):
    """The field on a batch, whose mean is taken to be the field on the evaluation sample."""

    keeps_samples = True

    def expected(self) -> Field:
        return self.gan.field("neural")


class PartsField(OnSample, AccumulatedField):
    """v = Σ (n_b/n) v_b, by one part of a batch after the other.

    Parameters
    ----------
    gan : GAN
        Whose rows do not meet: see `refuse_parts`.
    sample : Sample
        The whole batch.
    count : int
        Of the parts.
    mean : callable
        () -> the mean field.
    """

    def __init__(self, gan: GAN, sample: Sample, count: int, *, mean: Callable[[], Field]) -> None:
        self.gan, self.sample, self._mean = gan, sample, mean
        self.fields = [GANField(gan, part) for part in cut(sample, count)]
        super().__init__([(field, len(field.sample) / len(sample)) for field in self.fields])

    @property
    def first_costs(self) -> list[Tensor | None]:
        """Per player the cost on the whole batch, met first by this field, or None before."""
        met = zip(*(field.first_costs for field in self.fields), strict=True)
        weights = [weight for _, weight in self.parts]
        return [_mean(weights, costs) for costs in met]

    def with_old(self, old: Tensor | None) -> PartsField:
        """The field in which the discriminators are shown earlier samples `(m, d)`, as many in each part by share."""
        return PartsField(self.gan, replace(self.sample, old=old), len(self.fields), mean=self._mean)

    def expected(self) -> Field:
        return self._mean()

    def holding(self, i: int, z: Element) -> Field:
        held: list[Any] = [field.holding(i, z) for field in self.fields]
        if held == self.fields:
            return self
        twin = copy.copy(self)
        twin.fields = held
        twin.parts = tuple((field, weight) for field, (_, weight) in zip(held, self.parts, strict=True))
        twin._field = twin._value
        return twin


def cut(sample: Sample, count: int) -> list[Sample]:
    """Consecutive parts of a sample, as even as possible."""
    ends = [round(k * len(sample) / count) for k in range(count + 1)]
    return [sample.rows(slice(start, stop)) for start, stop in pairwise(ends)]


def refuse_parts(gan: GAN) -> None:
    """Refuse a GAN whose v on a batch is not the mean of v on parts of it.

    Raises
    ------
    ValueError
        Dropout, whose masks are drawn for a batch as a whole; a generator that does not take the mean of its
        discriminators; batch normalisation and whatever else lets rows meet, found by evaluating v on halves.
    """
    no = "accumulate and group cut a batch into parts, and v of the batch is not the mean of theirs: "
    if found := [f"{net.role}.{name}" for net in gan.networks for name in net.dropouts]:
        raise ValueError(
            f"{no}dropout at {', '.join(found)} draws its masks for a batch as a whole; call .eval() on the module "
            f"before it is given to the GAN"
        )
    if len(gan.players) > 2 and gan.combine != "mean":
        raise ValueError(f"{no}combine={gan.combine!r} weighs the discriminators by their costs; take combine='mean'")
    rows = gan.batch(min(PROBE, len(gan.data)), stream(gan.seed, BATCHES))
    try:
        refuse_rows_that_meet(gan, gan.initial(), rows)
    except ValueError as error:
        raise ValueError(f"{no}{error}") from error


def _mean(weights: Sequence[float], costs: Sequence[Tensor | None]) -> Tensor | None:
    total: Tensor | None = None
    for weight, cost in zip(weights, costs, strict=True):
        if cost is None:
            return None
        total = weight * cost if total is None else total + weight * cost
    return total
