"""The random numbers of one evaluation of a GAN's field, and the streams they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

__all__ = ["BATCHES", "EVALUATION", "SAMPLES", "OnSample", "Sample", "stream"]

BATCHES, EVALUATION, SAMPLES, REPLAY = 0, 1, 2, 3  # what a stream of random numbers is for


@dataclass(frozen=True, eq=False)
class Sample:
    """n rows of the data, n latents, and what the random parts of the game draw for them.

    Attributes
    ----------
    x : Tensor `(n, d)`
    latents : Tensor `(n, latent)`
    noise : tuple of (Tensor or None)
        Of the instance noise, then of each penalty; first axis n.
    key : int, optional
        Seed of the masks of dropout layers; None where there are none.
    old : Tensor `(m, d)`, optional
        Earlier samples of the generator, shown to the discriminators in place of the last m new ones.
    """

    x: Tensor
    latents: Tensor
    noise: tuple[Tensor | None, ...] = ()
    key: int | None = None
    old: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def like(self, p: Tensor) -> Sample:
        """The same numbers in the type and on the device of p."""
        if self.x.dtype == p.dtype and self.x.device == p.device and self.latents.dtype == p.dtype:
            return self
        noise = tuple(None if t is None else t.to(p) for t in self.noise)
        old = None if self.old is None else self.old.to(p)
        return replace(self, x=self.x.to(p), latents=self.latents.to(p), noise=noise, old=old)

    def rows(self, part: slice) -> Sample:
        """A part of the rows, each with its own latent and noise; old samples are shared out alike.

        Raises
        ------
        ValueError
            If old samples cannot be shared out as the rows are.
        """
        noise = tuple(None if t is None else t[part] for t in self.noise)
        old = self.old
        if old is not None:
            start, stop, _ = part.indices(len(self))
            cuts = [k * len(old) / len(self) for k in (start, stop)]
            if any(c != int(c) for c in cuts):
                raise ValueError(f"{len(old)} old samples do not divide as {len(self)} rows do in {part}")
            old = old[int(cuts[0]) : int(cuts[1])]
        return replace(self, x=self.x[part], latents=self.latents[part], noise=noise, old=old)

    def split(self, size: int) -> list[Sample]:
        """Consecutive parts of at most `size` rows."""
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"a part of {size!r} rows; it must be an int of at least 1")
        return [self.rows(slice(k, k + int(size))) for k in range(0, len(self), int(size))]


class OnSample:
    """A field on a sample: its data and latents by name."""

    sample: Sample

    @property
    def x(self) -> Tensor:
        """The data `(n, d)`."""
        return self.sample.x

    @property
    def latents(self) -> Tensor:
        """z `(n, latent)`."""
        return self.sample.latents


def stream(*key: int) -> torch.Generator:
    """A generator on the CPU for one purpose: a pure function of non-negative integers."""
    if any(isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0 for k in key):
        raise ValueError(f"seeds and step numbers are integers >= 0, got {key}")
    word = np.random.SeedSequence([int(k) for k in key]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(word))
