"""Vectors that are used again: on a million parameters a fresh vector costs as much as a pass over it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["Pool", "empty_like", "pooled"]

_COUNTED = hasattr(sys, "getrefcount") and sys.implementation.name == "cpython"


class Pool:
    """Hands out vectors, and hands a vector out again once nobody holds it.

    Whoever keeps a view of a vector must hold the vector too.
    """

    def __init__(self) -> None:
        self._vectors: dict[tuple[int, torch.dtype, torch.device], list[Tensor]] = {}
        self._unheld = 0
        if _COUNTED:
            probe = [torch.empty(0)]
            self._unheld = self._holders(probe, 0)

    def take(self, like: Tensor) -> Tensor:
        """A vector of the size and type of another one, with any content."""
        vectors = self._vectors.setdefault((like.numel(), like.dtype, like.device), [])
        if _COUNTED:
            for k in range(len(vectors)):
                if self._holders(vectors, k) == self._unheld:
                    return vectors[k]
        fresh = torch.empty(like.numel(), dtype=like.dtype, device=like.device)
        if _COUNTED:
            vectors.append(fresh)
        return fresh

    @staticmethod
    def _holders(vectors: list[Tensor], k: int) -> int:
        return sys.getrefcount(vectors[k])


_local = threading.local()


@contextmanager
def pooled(pool: Pool) -> Iterator[None]:
    """Let `empty_like` take from a pool."""
    before = getattr(_local, "pool", None)
    _local.pool = pool
    try:
        yield
    finally:
        _local.pool = before


def empty_like(like: Tensor) -> Tensor:
    """A vector for a result, from the pool that is in use."""
    pool: Pool | None = getattr(_local, "pool", None)
    return torch.empty_like(like) if pool is None else pool.take(like)
