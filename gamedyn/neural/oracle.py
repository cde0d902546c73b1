"""Stochastic GANs: fields on fresh batches, a pure function of the seed, the step and the evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.games.random_field import RandomField
from gamedyn.games.stochastic import is_independent
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.sample import BATCHES, stream

__all__ = ["BatchField", "Oracle"]


@dataclass(frozen=True)
class Oracle:
    """Fields of a stochastic game: `draw(k)` is the field on the batch of step k.

    Attributes
    ----------
    gan : GAN
    batch_size : int
    seed : int
    sampling : str
        "same": whatever the rule asks of a step sees one batch.  "independent": every evaluation sees a batch of its
        own, the first one that of "same".
    """

    gan: GAN
    batch_size: int
    seed: int
    sampling: str = "same"

    def __post_init__(self) -> None:
        is_independent(self.sampling)

    @property
    def game(self) -> GAN:
        """The GAN."""
        return self.gan

    @property
    def mean_game(self) -> GAN:
        """The GAN, whose field is that on the evaluation sample."""
        return self.gan

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
        return RandomField(lambda e, z: self.batch_field(k, e) if e else like, self.gan.field, like, independent=True)

    def batch_field(self, k: int, e: int = 0) -> BatchField:
        """The field on the batch of evaluation e of step k."""
        key = (self.seed, BATCHES, k, e) if e else (self.seed, BATCHES, k)
        return BatchField(self.gan, self.gan.batch(self.batch_size, stream(*key), step=k))


class BatchField(GANField):
    """The field on a batch, whose mean is taken to be the field on the evaluation sample."""

    def expected(self) -> Field:
        return self.gan.field("neural")
