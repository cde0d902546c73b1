"""The game Jacobian of a GAN on all of its data, by accumulation over batches.

    v = Σ_b (n_b/n) v_b,   J = Σ_b (n_b/n) J_b                                              (1)

Every row of the data has a latent of its own, a pure function of the seed, so that v is one function; it does not
depend on how the rows are cut into batches.  (1) needs costs that are means over rows, and networks that treat a row
without looking at the others; what breaks it (batch normalisation on the statistics of the batch, minibatch
discrimination, losses that compare rows) is found by evaluating, and refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.games.accumulated import AccumulatedField, AccumulatedJacobian
from gamedyn.games.products import refuse_random
from gamedyn.games.transformed import unwrap
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.sample import EVALUATION, Sample, stream
from gamedyn.stability.jacobian import GameJacobian

__all__ = ["batch_parts", "full_data_field", "full_data_jacobian", "refuse_rows_that_meet", "require_rows"]

BATCH = 512
PROBE = 64  # rows on which (1) is tried


def full_data_jacobian(
    gan: Any,
    z: Tensor | None = None,
    *,
    batch_size: int = BATCH,
    latents: Tensor | None = None,
    keep: str = "one",
    products: str = "auto",
) -> GameJacobian:
    """J = Dv(z) of a GAN whose costs are means over all rows of its data.

    Equal to `gd.jacobian` of the same GAN with `evaluation_size=len(data)`, in the memory of one batch.

    Parameters
    ----------
    gan : GAN
        Without transforms: the field of a transformed game is no mean over rows.
    z : Tensor, optional
        `(d,)`; the modules' present parameters by default.  Its type is that of the computation.
    batch_size : int
        Rows per graph.
    latents : Tensor, optional
        `(n, latent)`, one for each row of the data; those of the GAN's evaluation sample by default.
    keep : {"one", "all"}
        Graphs in memory: see `AccumulatedJacobian`.
    products : {"auto", "retained", "recorded", "compiled"}
        Where all graphs are kept.

    Returns
    -------
    GameJacobian

    Raises
    ------
    TypeError, ValueError
        If `gan` is no plain GAN, sizes do not fit, v is random or not finite, or the rows of a batch meet in the
        networks or the loss, so that v of all rows is no mean of v of batches.

    Examples
    --------
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), data=ring(n=1000))
    >>> J = full_data_jacobian(gan, batch_size=300)
    >>> J, len(J.eigenvalues(3))
    (GameJacobian(d = 39, neural), 3)
    """
    z = require_point(gan, z)
    rows = require_rows(gan, latents)
    parts = batch_parts(gan, rows, batch_size, len(rows))
    if len(parts) > 1:
        refuse_rows_that_meet(gan, z, rows.rows(slice(0, PROBE)))
    J = AccumulatedJacobian(parts, z, keep=keep, products=products)
    refuse_random(J.field, z, J.field_value)
    return GameJacobian(J.jvp, J.vjp, J.dim, "neural", torch.zeros_like(z), dense=J.to_dense, players=gan.players)


def full_data_field(gan: Any, *, batch_size: int = BATCH, latents: Tensor | None = None) -> AccumulatedField:
    """v of a GAN whose costs are means over all rows of its data, for whatever takes a field.

    Parameters
    ----------
    gan, batch_size, latents
        As for `full_data_jacobian`.

    Examples
    --------
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), data=ring(n=1000))
    >>> full_data_field(gan, batch_size=300)
    AccumulatedField(d = 39, 4 parts)
    """
    z = require_point(gan, None)
    rows = require_rows(gan, latents)
    parts = batch_parts(gan, rows, batch_size, len(rows))
    if len(parts) > 1:
        refuse_rows_that_meet(gan, z, rows.rows(slice(0, PROBE)))
    return AccumulatedField(parts)


def require_point(gan: Any, z: Tensor | None) -> Tensor:
    """z `(d,)` without history, or the modules' parameters; refuses what is no plain GAN."""
    base, transforms = unwrap(gan)
    if not isinstance(base, GAN):
        raise TypeError(f"{type(gan).__name__} is no GAN; build GAN(generator, discriminator, data=...)")
    if transforms:
        raise ValueError(
            f"'{gan.name}' is transformed, and the field of a transform is no mean over rows (J enters it); take the "
            f"Jacobian of the GAN itself, or gd.jacobian on one large evaluation sample"
        )
    z = (gan.initial() if z is None else z).detach()
    if z.shape != (gan.dim,):
        raise ValueError(f"z has shape {tuple(z.shape)}; '{gan.name}' needs a vector ({gan.dim},)")
    return z


def require_rows(gan: GAN, latents: Tensor | None) -> Sample:
    """All rows of the data, and a latent and noise for each."""
    rows = gan.batch(len(gan.data), stream(gan.seed, EVALUATION))
    if latents is None:
        return rows
    if latents.shape != (len(rows), gan.latent):
        raise ValueError(
            f"latents have shape {tuple(latents.shape)}; '{gan.data.name}' has {len(rows)} rows, so give "
            f"({len(rows)}, {gan.latent})"
        )
    return replace(rows, latents=latents.to(rows.x.device))


def batch_parts(gan: GAN, rows: Sample, batch_size: int, n: int) -> list[tuple[GANField, float]]:
    """Fields on batches of the rows, each with its share of n rows."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; it must be an int of at least 1")
    return [(GANField(gan, part), len(part) / n) for part in rows.split(int(batch_size))]


def refuse_rows_that_meet(gan: GAN, z: Tensor, rows: Sample) -> None:
    """Refuse a GAN whose v on some rows is not the mean of v on both halves of them.

    Raises
    ------
    ValueError
        With the distance of the two; or if v is random or not finite.
    """
    if len(rows) < 2:
        return
    w, half = z.double(), len(rows) // 2
    parts = [rows.rows(slice(0, half)), rows.rows(slice(half, len(rows)))]
    with torch.no_grad():
        whole = GANField(gan, rows)(w)
        refuse_random(GANField(gan, rows), w, whole)
        mean = sum(len(part) / len(rows) * GANField(gan, part)(w) for part in parts)
        apart, size = float((whole - mean).norm()), float(whole.norm())
    if not apart <= 1e-9 * max(1.0, size):
        raise ValueError(
            f"v on {len(rows)} rows differs by {apart:.3g} from the mean of v on its halves (‖v‖ = {size:.3g}): the "
            f"rows of a batch meet in the networks or the loss{_batch_layers(gan)}, so v of all data is no sum of "
            f"theirs. Call .eval() on the networks, use layers and losses that treat every row alone, or take the "
            f"Jacobian on one batch (evaluation_size)"
        )


def _batch_layers(gan: GAN) -> str:
    found = [
        f"{net.role}.{name}"
        for net in gan.networks
        for name, layer in net.module.named_modules()
        if "Minibatch" in type(layer).__name__
        or ("BatchNorm" in type(layer).__name__ and (layer.training or layer.running_mean is None))
        or getattr(layer, "kind", None) == "batch"
    ]
    return f" (layers that compare rows: {', '.join(found)})" if found else ""
