"""The game Jacobian of a GAN on data that several processes share.

    J = Σ_ranks Σ_b (n_b/n) J_b          a product: every rank its rows, then one sum over the ranks        (1)

Every rank calls with the same z and gets an operator of the same J.  Iterations run on every rank alike, so all must
ask for the same products in the same order and see the same numbers: the sum is formed on the first rank and sent from
there, bit for bit the same everywhere, and each product compares a checksum of its vector beforehand.  A product sends
2d numbers; a basis of Krylov vectors lies on every rank.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gamedyn.games.accumulated import AccumulatedJacobian
from gamedyn.games.products import refuse_random
from gamedyn.neural.analysis.full_data import batch_parts, refuse_rows_that_meet, require_point, require_rows
from gamedyn.neural.ranks import Ranks
from gamedyn.stability.jacobian import GameJacobian

__all__ = ["ROWS", "parallel_jacobian"]

BATCH = 512
ROWS = ("split", "own")


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
    >>> import torch.distributed as dist
    >>> from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), data=ring(n=1000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=0, world_size=1)
    ...     values = parallel_jacobian(gan, batch_size=300).eigenvalues(3)
    ...     dist.destroy_process_group()
    >>> len(values)
    3
    """
    ranks = Ranks(group, caller="parallel_jacobian", alone="full_data_jacobian")
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

    def __init__(self, ranks: Ranks, own: AccumulatedJacobian | None, z: Tensor) -> None:
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
