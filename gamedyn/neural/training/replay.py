"""Experience replay: the discriminator is shown old samples among the new ones.

    of the n samples that D sees in step k,  round(share n)  come from a buffer of earlier ones        (1)
    after step k as many new ones G(z) enter it, in random places once it is full

A discriminator that has seen only the present generator forgets what it learnt of earlier ones, which may then come
back.  Only D's cost changes; the generator still sees D on its own new samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gamedyn.neural.sample import REPLAY, stream

__all__ = ["Buffer", "Replay"]


@dataclass(frozen=True)
class Replay:
    """How many samples are kept, and how many of them D is shown.

    Parameters
    ----------
    capacity : int
        Samples in the buffer.
    share : float
        Part of D's batch of samples that is old, in (0, 1).

    Raises
    ------
    ValueError
        Outside these ranges.

    Notes
    -----
    A step costs one more forward pass of the generator on share n latents, and memory for capacity samples.  A batch in
    parts (`accumulate`, `group`) has old samples in every part: other new ones give way than in a batch as a whole.

    References
    ----------
    .. [1] A. Shrivastava, T. Pfister, O. Tuzel, J. Susskind, W. Wang, R. Webb, Learning from simulated and unsupervised
       images through adversarial training, CVPR 2017, arXiv:1612.07828, section 2.3.

    Examples
    --------
    >>> Replay(capacity=512).rows(64)
    32
    """

    capacity: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.capacity, bool) or not isinstance(self.capacity, int) or self.capacity < 1:
            raise ValueError(f"Replay: capacity is {self.capacity!r}; it must be an int of at least 1")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 < self.share < 1:
            raise ValueError(f"Replay: share is {self.share!r}; it is the part of old samples, in (0, 1)")

    def rows(self, n: int) -> int:
        """How many of n samples are old.

        Raises
        ------
        ValueError
            If that is none or all of them, or more than the buffer holds.
        """
        m = round(self.share * n)
        if not 0 < m < n:
            raise ValueError(
                f"Replay: a share of {self.share:g} of {n} samples is {m}; use another share or batch size"
            )
        if m > self.capacity:
            raise ValueError(f"Replay: {m} of {n} samples are old, and the buffer holds {self.capacity}; enlarge it")
        return m


class Buffer:
    """The samples that are kept; what enters and what is shown is a function of (seed, step) and the iterates.

    Parameters
    ----------
    replay : Replay
    gan : GAN
    batch_size, seed : int
        Of the run.

    Attributes
    ----------
    samples : Tensor `(k, d)`
        What is in it, k up to the capacity.
    """

    def __init__(self, replay: Replay, gan: Any, batch_size: int, seed: int) -> None:
        if not isinstance(replay, Replay):
            raise TypeError(f"replay is {replay!r}; give Replay(capacity, share)")
        self.capacity, self.rows = replay.capacity, replay.rows(batch_size)
        self.gan, self.seed = gan, seed
        self._places = torch.empty((self.capacity, gan.data.dim), device=gan.device, dtype=gan.dtype)
        self._filled = 0

    @property
    def samples(self) -> Tensor:
        """What is in it."""
        return self._places[: self._filled]

    def fill(self, kept: Tensor) -> None:
        """Put samples of a checkpoint in place of what is in it.

        Raises
        ------
        ValueError
            If they are too many, or others than this GAN's.
        """
        if len(kept) > self.capacity or kept.shape[1:] != self._places.shape[1:] or kept.dtype != self._places.dtype:
            raise ValueError(
                f"a buffer for replay of {self.capacity} samples in {self._places.shape[1]} dimensions, "
                f"{self._places.dtype}, cannot hold {tuple(kept.shape)}, {kept.dtype}"
            )
        self._filled = len(kept)
        self._places[: self._filled] = kept.to(self._places.device)

    def draw(self, k: int, e: int = 0) -> Tensor | None:
        """The old samples `(m, d)` of evaluation e of step k, all different; None before there are enough."""
        if self._filled < self.rows:
            return None
        order = torch.randperm(self._filled, generator=stream(self.seed, REPLAY, k, e + 1))
        return self._places[order[: self.rows].to(self._places.device)]

    def insert(self, k: int, z: Tensor) -> None:
        """Samples of the generator after step k, z its iterate."""
        draws = stream(self.seed, REPLAY, k)
        new = self.gan.sample(z, self.rows, seed=int(torch.randint(2**62, (), generator=draws))).detach()
        room = min(self.capacity - self._filled, self.rows)
        if room < self.rows:
            places = torch.randperm(self._filled, generator=draws)[: self.rows - room]
            self._places[places.to(self._places.device)] = new[room:]
        self._places[self._filled : self._filled + room] = new[:room]
        self._filled += room
