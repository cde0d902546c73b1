"""The game Jacobian of a GAN on data that several processes share.

    J = Σ_ranks Σ_b (n_b/n) J_b          a product: every rank its rows, then one sum over the ranks        (1)

Every rank calls with the same z and gets an operator of the same J.  Iterations run on every rank alike, so all must
ask for the same products in the same order and see the same numbers: the sum is formed on the first rank and sent from
there, bit for bit the same everywhere, and each product compares a checksum of its vector beforehand.  A product sends
2d numbers; a basis of Krylov vectors lies on every rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gamedyn.games.accumulated import AccumulatedJacobian
from gamedyn.games.products import refuse_random
from gamedyn.neural.analysis.full_data import batch_parts, refuse_rows_that_meet, require_point, require_rows
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.sample import Sample
from gamedyn.stability.jacobian import GameJacobian

__all__ = ["ROWS", "parallel_jacobian"]

BATCH = 512
PROBE = 16  # rows on which the ranks' networks are compared
ROWS = ("split", "own")
_KINDS = ("jvp", "vjp", "dense")
_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def parallel_jacobian(
    gan: Any,
    z: Tensor | None = None,
    *,
    batch_size: int = BATCH,
    rows: str = "split",
    latents: Tensor | None = None,
    keep: str = "one",
    products: str = "auto",
    group: Any = None,
) -> GameJacobian:
    """J = Dv(z) on the rows of all ranks, the same operator on every rank; a collective call, as its products are.

    Equal to `full_data_jacobian` of all rows up to the order of the sum.

    Parameters
    ----------
    gan : GAN
        The same networks and loss on every rank, on the device of the rank (NCCL: one GPU each).
    z : Tensor, optional
        `(d,)`, the same on every rank; the modules' present parameters by default.
    batch_size : int
        Rows per graph.
    rows : {"split", "own"}
        "split": every rank holds all the data and takes its part of the rows, as even as possible.  "own": the data of
        each rank are its rows, of any number; give its `latents`, or ranks of the same seed draw the same ones.
    latents : Tensor, optional
        One `(latent,)` for each row of this rank's data.
    keep, products
        As for `full_data_jacobian`.
    group : ProcessGroup, optional
        All processes by default.

    Returns
    -------
    GameJacobian

    Raises
    ------
    RuntimeError
        If torch.distributed is not initialised or the process is not in the group; by a product, if the ranks ask for
        different ones.
    TypeError, ValueError
        As `full_data_jacobian`; or if z, or v on the same rows, differs between ranks.  What is found out by comparing
        is raised on every rank, so that none is left waiting.

    Examples
    --------
    >>> import tempfile
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), data=ring(n=1000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=0, world_size=1)
    ...     values = parallel_jacobian(gan, batch_size=300).eigenvalues(3)
    ...     dist.destroy_process_group()
    >>> len(values)
    3
    """
    ranks = _Ranks(group)
    with ranks.together():
        if rows not in ROWS:
            raise ValueError(f"rows={rows!r} is not one of {', '.join(map(repr, ROWS))}")
        z = require_point(gan, z)
        own = require_rows(gan, latents)
    ranks.refuse_other_point(gan, z)
    ranks.refuse_other_networks(gan, z, own)
    if rows == "split":
        cuts = [round(k * len(own) / ranks.count) for k in range(ranks.count + 1)]
        own = own.rows(slice(cuts[ranks.rank], cuts[ranks.rank + 1]))
    n = ranks.total(len(own))
    with ranks.together():
        parts = batch_parts(gan, own, batch_size, n)
        if ranks.count > 1 or len(parts) > 1:
            refuse_rows_that_meet(gan, z, own.rows(slice(0, 64)))
        J = AccumulatedJacobian(parts, z, keep=keep, products=products) if parts else None
        if J is not None:
            refuse_random(J.field, z, J.field_value)
    shared = _SharedJacobian(ranks, J, z)
    zero = torch.zeros_like(z)
    return GameJacobian(shared.jvp, shared.vjp, len(z), "neural", zero, dense=shared.to_dense, players=gan.players)


class _SharedJacobian:
    """J = Σ J_rank: the products of `AccumulatedJacobian`, summed over the ranks."""

    def __init__(self, ranks: _Ranks, own: AccumulatedJacobian | None, z: Tensor) -> None:
        self.ranks, self.own, self.z = ranks, own, z

    def jvp(self, u: Tensor) -> Tensor:
        """Ju `(d,)`."""
        self.ranks.require_step("jvp", u)
        return self.ranks.sum(torch.zeros_like(u) if self.own is None else self.own.jvp(u))

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu `(d,)`."""
        self.ranks.require_step("vjp", u)
        return self.ranks.sum(torch.zeros_like(u) if self.own is None else self.own.vjp(u))

    def to_dense(self) -> Tensor:
        """J `(d, d)`."""
        self.ranks.require_step("dense", self.z)
        nothing = self.z.new_zeros((len(self.z), len(self.z)))
        return self.ranks.sum(nothing if self.own is None else self.own.to_dense())


class _Ranks:
    """The processes of a group: sums that are the same on all of them, and failures that are everyone's."""

    def __init__(self, group: Any) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "torch.distributed is not initialised: start the script by `torchrun --nproc-per-node=2 script.py` and "
                'call torch.distributed.init_process_group("gloo") first ("nccl" for GPUs); for one process take '
                "full_data_jacobian"
            )
        self.group, self.rank, self.count = group, dist.get_rank(group), dist.get_world_size(group)
        if self.rank < 0:
            raise RuntimeError("this process does not belong to the group; call parallel_jacobian in its members only")
        self.first = 0 if group is None else dist.get_global_rank(group, 0)
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
        failed = [k for k, bad in enumerate(self._gathered([mine is not None])) if bad[0]]
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
        return sum(row[0] for row in self._gathered([n]))

    def require_step(self, kind: str, u: Tensor) -> None:
        """Refuse a product that is not the same on every rank."""
        mine = [_KINDS.index(kind), len(u), _checksum(u)]
        rows = self._gathered(mine)
        if odd := [k for k, row in enumerate(rows) if row != rows[0]]:
            asked = ", ".join(f"rank {k} {_KINDS[rows[k][0]]} of {rows[k][1]}" for k in (0, odd[0]))
            raise RuntimeError(
                f"the ranks are out of step: {asked}, of different vectors. Every rank must make the same calls with "
                f"the same arguments, on machines and with thread counts that round alike"
            )

    def refuse_other_point(self, gan: GAN, z: Tensor) -> None:
        """Refuse games of other sizes, and other z."""
        sizes = [*(p.size for p in gan.players), gan.data.dim, gan.latent, _TYPES.index(z.dtype)]
        rows = self._gathered(sizes)
        if odd := [k for k, row in enumerate(rows) if row != rows[0]]:
            raise ValueError(
                f"the GANs differ: [generator, discriminator, data, latent, type of z] is {rows[0]} on rank 0 and "
                f"{rows[odd[0]]} on rank {odd[0]}; build the same GAN on every rank"
            )
        sums = self._gathered([_checksum(z)])
        if odd := [k for k, row in enumerate(sums) if row != sums[0]]:
            raise ValueError(
                f"z on {_named(odd)} is not that of rank 0; build the networks from one seed, or "
                f"torch.distributed.broadcast(z, src=0)"
            )

    def refuse_other_networks(self, gan: GAN, z: Tensor, rows: Sample) -> None:
        """Refuse networks and losses that give another v at z on the first rows of the first rank."""
        count = min(PROBE, self._gathered([len(rows)])[0][0])
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
        bad = self._gathered([apart > limit])  # false where v is not finite, which is refused for that reason
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

    def _gathered(self, numbers: Sequence[int]) -> list[list[int]]:
        """The integers of every rank, by rank."""
        mine = torch.tensor([int(n) for n in numbers], dtype=torch.int64, device=self.device)
        rows = [torch.zeros_like(mine) for _ in range(self.count)]
        dist.all_gather(rows, mine, group=self.group)
        return [row.tolist() for row in rows]


def _checksum(u: Tensor) -> int:
    """The sum of the bit patterns: no order of adding changes it, and no rounding."""
    integers = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    return int(u.detach().contiguous().view(integers[u.element_size()]).sum(dtype=torch.int64))


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
