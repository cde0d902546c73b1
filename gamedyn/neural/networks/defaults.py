"""A pair of networks that learns a data set without tuning."""

from __future__ import annotations

from torch import nn

from gamedyn.neural.data import Dataset
from gamedyn.neural.networks import dcgan_discriminator, dcgan_generator, mlp_discriminator, mlp_generator

__all__ = ["default_networks"]

SCALES = {
    "ring": 0.25,
    "grid": 0.25,
}  # of the discriminator's input; for other clouds half of the largest coordinate is 1


def default_networks(
    data: Dataset,
    kind: str = "mlp",
    *,
    width: int = 128,
    latent: int = 16,
    seed: int = 0,
    spectral_norm: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for a data set.

    Parameters
    ----------
    data : Dataset
        Pictures, or clouds of points.
    kind : {"mlp", "dcgan"}
        Two hidden layers, or convolutions that halve the picture down to 4 to 7 pixels a side.
    width : int
        Of the hidden layers; of the finest feature map of convolutions, twice as many on each coarser one.
    latent : int
        Dimension of z.
    seed : int
        Of the initial weights: 2 seed for the generator, 2 seed + 1 for the discriminator.
    spectral_norm : bool
        Whether every layer of the discriminator is divided by its norm; its input is then not scaled.

    Raises
    ------
    ValueError
        Another kind, or convolutions for data that are no pictures or cannot be halved.

    Examples
    --------
    >>> from gamedyn.neural import digits
    >>> G, D = default_networks(digits())
    >>> G.in_features, G.out_features, D.in_features
    (16, 64, 64)
    """
    if kind not in ("mlp", "dcgan"):
        raise ValueError(f"there is no network {kind!r}; use mlp or dcgan")
    output = "tanh" if data.image_shape is not None and float(data.x.abs().max()) <= 1 else None
    if kind == "dcgan":
        maps, shape = _maps(data, width), data.image_shape or ()
        generator: nn.Module = dcgan_generator(latent, shape, maps[::-1], output=output, seed=2 * seed)
        discriminator: nn.Module = dcgan_discriminator(shape, maps, seed=2 * seed + 1)
    elif data.image_shape is not None:
        generator = mlp_generator(latent, data.dim, (width, width), output=output, seed=2 * seed)
        discriminator = mlp_discriminator(data.dim, (width, width), seed=2 * seed + 1)
    else:
        generator, discriminator = _for_clouds(data, width, latent, seed, spectral_norm)
    if spectral_norm:
        from gamedyn.neural.penalties.spectral import spectral_normalized

        discriminator = spectral_normalized(discriminator)
    return generator, discriminator


def _for_clouds(data: Dataset, width: int, latent: int, seed: int, unscaled: bool) -> tuple[nn.Module, nn.Module]:
    scale = 1.0 if unscaled else SCALES.get(data.name) or 0.5 / max(float(data.x.abs().max()), 1e-12)
    hidden = (width, width)
    generator = mlp_generator(latent, data.dim, hidden, init="orthogonal", gain=0.8, seed=2 * seed)
    discriminator = mlp_discriminator(
        data.dim, hidden, activation="relu", init="orthogonal", gain=0.8, input_scale=scale, seed=2 * seed + 1
    )
    return generator, discriminator


def _maps(data: Dataset, width: int) -> list[int]:
    """Channels from fine to coarse, one halving each."""
    if data.image_shape is None:
        raise ValueError(f"{data.name} holds no pictures, which network 'dcgan' is for; use mlp")
    *_, h, w = data.image_shape
    maps: list[int] = []
    while h % 2 == w % 2 == 0 and min(h, w) >= 8:
        h, w = h // 2, w // 2
        maps.append(width * 2 ** len(maps))
    if not maps:
        shape = " x ".join(map(str, data.image_shape))
        raise ValueError(f"pictures of {shape} pixels cannot be halved to at least 4 a side, as 'dcgan' does; use mlp")
    return maps
