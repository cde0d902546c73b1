"""The processes of torch.distributed that share the rows of a GAN's data.

All of them hold the same z and do the same computations on it; only what is a mean over rows is split.  So they must
ask for the same sums in the same order and see the same numbers: a sum is formed on the first rank and sent from there,
bit for bit the same everywhere.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.sample import Sample

__all__ = ["Ranks", "checksum"]

GPU_LAG = 32  # sums whose marks are looked at together
PROBE = 16  # rows on which the ranks' networks are compared
_KINDS = ("jvp", "vjp", "dense")
_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class Ranks:
    """The processes of a group: sums that are the same on all of them, and failures that are everyone's.

    Parameters
    ----------
    group : ProcessGroup or None
        None for all processes.
    caller, alone : str
        What the messages call the function that is used, and what to take in one process.

    Raises
    ------
    RuntimeError
        If torch.distributed is not initialised, or this process is not in the group.
    """

    def __init__(self, group: Any, *, caller: str, alone: str) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "torch.distributed is not initialised: start the script by `torchrun --nproc-per-node=2 script.py` and "
                'call torch.distributed.init_process_group("gloo") first ("nccl" for GPUs); for one process take '
                f"{alone}"
            )
        self.group, self.rank, self.count = group, dist.get_rank(group), dist.get_world_size(group)
        if self.rank < 0:
            raise RuntimeError(f"this process does not belong to the group; call {caller} in its members only")
        self.first = 0 if group is None else dist.get_global_rank(group, 0)
        self._marks: list[Tensor] = []
        nccl = dist.get_backend(group) == "nccl"
        self.device = torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails on one rank inside (which must not communicate) is raised on all of them."""
        mine: Exception | None = None
        try:
            yield
        except Exception as error:  # whatever it is, the others must not be left waiting
            mine = error
        failed = [k for k, bad in enumerate(self.gathered([mine is not None])) if bad[0]]
        if mine is not None:
            raise mine
        if failed:
            raise RuntimeError(f"rank {failed[0]} refused its part, see its message; no rank can go on without it")

    def sum(self, term: Tensor) -> Tensor:
        """The sum over the ranks, formed on the first and sent from there."""
        total = term.contiguous().to(self.device, copy=True)
        dist.reduce(total, dst=self.first, group=self.group)
        dist.broadcast(total, src=self.first, group=self.group)
        return total.to(term.device)

    def total(self, n: int) -> int:
        """The sum of an int."""
        return sum(row[0] for row in self.gathered([n]))

    def require_step(self, kind: str, u: Tensor) -> None:
        """Refuse a product that is not the same on every rank."""
        mine = [_KINDS.index(kind), len(u), checksum(u)]
        rows = self.gathered(mine)
        if odd := [k for k, row in enumerate(rows) if row != rows[0]]:
            asked = ", ".join(f"rank {k} {_KINDS[rows[k][0]]} of {rows[k][1]}" for k in (0, odd[0]))
            raise RuntimeError(
                f"the ranks are out of step: {asked}, of different vectors. Every rank must make the same calls with "
                f"the same arguments, on machines and with thread counts that round alike"
            )

    def mark(self, asked: int, vectors: Sequence[Tensor]) -> Tensor:
        """(c, c²) for what this rank asks for, c an integer that its type and that of the sum hold exactly.

        Sent along with a sum it costs two numbers, and the sums of c and c² tell every rank whether all c are the same:
        R Σc² = (Σc)².
        """
        like = vectors[0]
        seen = torch.stack([(k + 1) * _bits(u) for k, u in enumerate(vectors)]).sum()
        c = (seen + asked) % int(math.sqrt(2 / torch.finfo(like.dtype).eps / self.count))
        return torch.stack([c, c * c]).to(like.dtype)

    def require_marks(self, marks: Tensor) -> None:
        """Refuse sums of marks that are not all the same; on a GPU some calls later, for each look waits for it."""
        self._marks.append(marks)
        if marks.device.type == "cuda" and len(self._marks) < GPU_LAG:
            return
        rows, self._marks = torch.stack(self._marks).double().tolist(), []
        if any(self.count * int(squares) != int(total) ** 2 for total, squares in rows):
            raise RuntimeError(
                "the ranks are out of step: they asked for different things, or at different z. Every rank must start "
                "at the same z and make the same calls, on machines and with thread counts that round alike"
            )

    def refuse_other(self, what: str, value: Any) -> None:
        """Refuse a value whose text differs between ranks."""
        rows = self.gathered([zlib.crc32(str(value).encode())])
        if odd := [k for k, row in enumerate(rows) if row != rows[0]]:
            raise ValueError(
                f"{what} on {_named(odd)} is not that of rank 0 (here: {value}); build the same GAN on every rank, "
                f"with the same settings"
            )

    def refuse_other_point(self, gan: GAN, z: Tensor) -> None:
        """Refuse games of other sizes, and other z."""
        self.refuse_other("the number of players", len(gan.players))
        sizes = [*(p.size for p in gan.players), gan.data.dim, gan.latent, _TYPES.index(z.dtype)]
        rows = self.gathered(sizes)
        if odd := [k for k, row in enumerate(rows) if row != rows[0]]:
            raise ValueError(
                f"the GANs differ: [generator, discriminator, data, latent, type of z] is {rows[0]} on rank 0 and "
                f"{rows[odd[0]]} on rank {odd[0]}; build the same GAN on every rank"
            )
        sums = self.gathered([checksum(z)])
        if odd := [k for k, row in enumerate(sums) if row != sums[0]]:
            raise ValueError(
                f"z on {_named(odd)} is not that of rank 0; build the networks from one seed, or "
                f"torch.distributed.broadcast(z, src=0)"
            )

    def refuse_other_networks(self, gan: GAN, z: Tensor, rows: Sample) -> None:
        """Refuse networks and losses that give another v at z on the first rows of the first rank."""
        random = [None if t is None else (tuple(t.shape[1:]), t.dtype) for t in rows.noise]
        self.refuse_other("what the penalties and the instance noise draw", random)
        count = min(PROBE, self.gathered([len(rows)])[0][0])
        x, latents, *noise = (
            None if t is None else self._of_first(t, (count, *t.shape[1:])) for t in (rows.x, rows.latents, *rows.noise)
        )
        assert x is not None
        assert latents is not None
        with self.together(), torch.no_grad():
            mine = GANField(gan, replace(rows, x=x, latents=latents, noise=tuple(noise)))(z)
        other = self._of_first(mine, mine.shape)
        apart, size = float((mine - other).norm()), float(other.norm())
        limit = 1e4 * torch.finfo(z.dtype).eps * max(1.0, size)
        bad = self.gathered([apart > limit])  # false where v is not finite, which is refused for that reason
        if odd := [k for k, row in enumerate(bad) if row[0]]:
            raise ValueError(
                f"v at the same z and rows on {_named(odd)} is not that of rank 0: the networks (buffers, layers) "
                f"or the loss differ, or v is random; build the same GAN on every rank and call .eval() on its networks"
            )

    def _of_first(self, t: Tensor, shape: Sequence[int]) -> Tensor:
        """The first rank's leading rows of t."""
        sent = torch.zeros(tuple(shape), dtype=t.dtype, device=self.device)
        if self.rank == 0:
            sent.copy_(t[: shape[0]])
        dist.broadcast(sent, src=self.first, group=self.group)
        return sent.to(t.device)

    def gathered(self, numbers: Sequence[int]) -> list[list[int]]:
        """As many integers from every rank, by rank."""
        mine = torch.tensor([int(n) for n in numbers], dtype=torch.int64, device=self.device)
        rows = [torch.zeros_like(mine) for _ in range(self.count)]
        dist.all_gather(rows, mine, group=self.group)
        return [row.tolist() for row in rows]

    def __repr__(self) -> str:
        return f"Ranks(rank {self.rank} of {self.count}, {dist.get_backend(self.group)})"


def checksum(u: Tensor) -> int:
    """The sum of the bit patterns: no order of adding changes it, and no rounding."""
    return int(_bits(u))


def _bits(u: Tensor) -> Tensor:
    integers = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    return u.detach().contiguous().view(integers[u.element_size()]).sum(dtype=torch.int64)


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
