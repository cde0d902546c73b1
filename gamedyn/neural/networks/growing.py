"""Progressive growing: small pictures first, then twice the size, the parameters carried over [1]_.

    phase k:   G_k : R^latent -> R^(c h_k w_k),   D_k : R^(c h_k w_k) -> R,   h_k = h / 2^(K - 1 - k)
    fading in: G_k = out((1 - a) up(s_(k-1)) + a s_k)                                       (1)

s_j is the picture of phase j before `out`, the output (tanh, sigmoid or none): mixed is what goes into it.  Data are
mixed as they are, so that half-way a generator of tanh mixes in another way than its data.

Every pair (k, a) is a game of its own: a is a constant of it, not a clock that runs in the networks, so the field
stays a function of the parameters and its spectrum can be taken in every phase.

References
----------
.. [1] Karras, Aila, Laine, Lehtinen (2018), Progressive growing of GANs for improved quality, stability, and variation,
   ICLR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from gamedyn.neural.data import Dataset
from gamedyn.neural.networks.dcgan import same_size, to_logit
from gamedyn.neural.networks.layers import (
    SHIFTS_LOST,
    Resize,
    activation_layer,
    check_norm,
    initialise,
    linear,
    norm_layers,
    output_layers,
    picture_shape,
    sizes_of,
)

__all__ = ["Growing", "GrowingDiscriminator", "GrowingGenerator", "carry_over", "downsampled", "growing_pair"]

_GENERATOR, _DISCRIMINATOR = 0, 1
_BLOCK, _IMAGE = 0, 1  # the kinds of parts, each of which starts from a seed of its own


@dataclass(frozen=True)
class Growing:
    """The networks and data of every phase; made by `growing_pair`.

    Attributes
    ----------
    latent : int
    image_shape : (int, int, int)
        (c, h, w) of the last phase.
    channels : tuple of int
        Of the feature maps at each resolution, coarse to fine; one phase each.
    seed : int
    """

    latent: int
    image_shape: tuple[int, int, int]
    channels: tuple[int, ...]
    activation: str = "leaky_relu"
    output: str | None = "tanh"
    norm: str | None = None
    minibatch: str | None = None
    init: str = "default"
    gain: float = 1.0
    seed: int = 0

    @property
    def phases(self) -> int:
        """K."""
        return len(self.channels)

    def shape(self, k: int) -> tuple[int, int, int]:
        """(c, h_k, w_k), the pictures of phase k."""
        self._check(k, 1.0)
        c, h, w = self.image_shape
        return c, h >> (self.phases - 1 - k), w >> (self.phases - 1 - k)

    def phase(self, k: int, alpha: float = 1.0) -> tuple[GrowingGenerator, GrowingDiscriminator]:
        """The networks of phase k, flat vectors to flat vectors, as they start.

        The same part starts from the same weights in every phase. With alpha = 1 the way around the newest block is
        left out: it would add parameters on which nothing depends.

        Parameters
        ----------
        k : int
            0 to K - 1.
        alpha : float
            a in [0, 1]: with 0 the pictures are those of phase k - 1, enlarged; with 1 all of them is new. Phase 0
            has nothing to fade in. At 0 exactly nothing depends on the newest parts: v is 0 there, and J has as many
            rows and columns of zeros.

        Raises
        ------
        ValueError
            k or alpha out of range.
        """
        self._check(k, alpha)
        return GrowingGenerator(self, k, alpha), GrowingDiscriminator(self, k, alpha)

    def data(self, dataset: Dataset, k: int, alpha: float = 1.0) -> Dataset:
        """Pictures of the last phase at the resolution of phase k; fading in, mixed with what phase k - 1 saw.

        x_k = (1 - a) up(down x) + a x
        """
        self._check(k, alpha)
        if dataset.image_shape is None or picture_shape(dataset.image_shape) != self.image_shape:
            raise ValueError(
                f"'{dataset.name}' has pictures of {dataset.image_shape}; these are for {self.image_shape}."
            )
        fine = downsampled(dataset, self.shape(k)[1])
        if alpha == 1.0:
            return fine
        pictures = fine.x.reshape(-1, *self.shape(k))
        mixed = (1 - alpha) * Resize(2)(avg_pool2d(pictures, 2)) + alpha * pictures
        return Dataset(f"{fine.name}, faded {alpha:g}", mixed.flatten(1), fine.labels, fine.image_shape)

    def _check(self, k: int, alpha: float) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < self.phases:
            raise ValueError(
                f"There is no phase {k!r}; channels has {self.phases} entries: use 0 to {self.phases - 1}."
            )
        if not 0.0 <= alpha <= 1.0 or (k == 0 and alpha != 1.0):
            allowed = "1, phase 0 has no picture to fade from" if k == 0 else "in [0, 1]"
            raise ValueError(f"alpha is {alpha} in phase {k}; it must be {allowed}.")

    def _made(self, layers: Sequence[nn.Module], *key: int) -> nn.Sequential:
        """Layers that start from a seed of their own, the same in every phase."""
        word = np.random.SeedSequence([self.seed, *key]).generate_state(1, np.uint64)[0]
        return initialise(nn.Sequential(*layers), init=self.init, gain=self.gain, seed=int(word))


class GrowingGenerator(nn.Module):
    """z -> block 0 -> up, block 1 -> ... -> up, block k -> 1x1 convolution to the picture -> output -> flat.

    Parameters
    ----------
    spec : Growing
    k : int
    alpha : float
        Fixed, as a buffer.
    """

    alpha: Tensor

    def __init__(self, spec: Growing, k: int, alpha: float) -> None:
        super().__init__()
        (_, h, w), maps = spec.shape(0), spec.channels
        self.in_features, self.out_features, self.fading = spec.latent, math.prod(spec.shape(k)), alpha < 1.0

        def act(channels: int) -> list[nn.Module]:
            return [*norm_layers(spec.norm, channels, h * w), activation_layer(spec.activation)]

        def conv(n_in: int, n_out: int) -> list[nn.Module]:
            return [same_size(n_in, n_out, bias=spec.norm not in SHIFTS_LOST), *act(n_out)]

        first = [linear(spec.latent, maps[0] * h * w), nn.Unflatten(-1, (maps[0], h, w)), *act(maps[0])]
        blocks = [[*first, *conv(maps[0], maps[0])]]
        blocks += [[Resize(2), *conv(n_in, n_out), *conv(n_out, n_out)] for n_in, n_out in pairwise(maps)]
        made = [spec._made(layers, _GENERATOR, _BLOCK, j) for j, layers in enumerate(blocks[: k + 1])]
        self.blocks = nn.ModuleList(made)
        self.to_image = nn.ModuleDict(
            {
                str(j): spec._made([same_size(maps[j], spec.image_shape[0], 1)], _GENERATOR, _IMAGE, j)
                for j in ((k - 1, k) if self.fading else (k,))
            }
        )
        self.enlarge, self.output = Resize(2), nn.Sequential(*output_layers(spec.output))
        self.register_buffer("alpha", torch.tensor(alpha, dtype=torch.float32))

    def forward(self, z: Tensor) -> Tensor:
        k = len(self.blocks) - 1
        before = features = z
        for block in self.blocks:
            before, features = features, block(features)
        image = self.to_image[str(k)](features)
        if self.fading:
            old = self.enlarge(self.to_image[str(k - 1)](before))
            image = (1 - self.alpha) * old + self.alpha * image
        return self.output(image).flatten(-3)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, alpha={float(self.alpha):g}"


class GrowingDiscriminator(nn.Module):
    """x -> 1x1 convolution from the picture -> block k, down -> ... -> block 1, down -> block 0 -> logit.

    Parameters
    ----------
    spec : Growing
    k : int
    alpha : float
        Fixed, as a buffer.
    """

    alpha: Tensor

    def __init__(self, spec: Growing, k: int, alpha: float) -> None:
        super().__init__()
        (_, h, w), maps = spec.shape(0), spec.channels
        self.in_features, self.out_features, self.fading = math.prod(spec.shape(k)), 1, alpha < 1.0

        def act() -> nn.Module:
            return activation_layer(spec.activation)

        blocks = [[same_size(maps[0], maps[0]), act(), *to_logit(maps[0], h * w, spec.minibatch)]]
        for n_out, n_in in pairwise(maps):
            blocks.append([same_size(n_in, n_in), act(), same_size(n_in, n_out), act(), nn.AvgPool2d(2)])
        made = [spec._made(layers, _DISCRIMINATOR, _BLOCK, j) for j, layers in enumerate(blocks[: k + 1])]
        self.blocks = nn.ModuleList(made)
        self.from_image = nn.ModuleDict(
            {
                str(j): spec._made([same_size(spec.image_shape[0], maps[j], 1), act()], _DISCRIMINATOR, _IMAGE, j)
                for j in ((k - 1, k) if self.fading else (k,))
            }
        )
        self.picture, self.shrink = nn.Unflatten(-1, spec.shape(k)), nn.AvgPool2d(2)
        self.register_buffer("alpha", torch.tensor(alpha, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        k, picture = len(self.blocks) - 1, self.picture(x)
        features = self.from_image[str(k)](picture)
        for j in range(k, -1, -1):
            features = self.blocks[j](features)
            if self.fading and j == k:
                old = self.from_image[str(k - 1)](self.shrink(picture))
                features = (1 - self.alpha) * old + self.alpha * features
        return features

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, alpha={float(self.alpha):g}"


def growing_pair(
    latent: int,
    image_shape: Sequence[int],
    channels: Sequence[int] = (16, 8),
    *,
    activation: str = "leaky_relu",
    output: str | None = "tanh",
    norm: str | None = None,
    minibatch: str | None = None,
    init: str = "default",
    gain: float = 1.0,
    seed: int = 0,
) -> Growing:
    """Generators and discriminators that grow, one phase for each entry of `channels`.

    The learning rates scaled per layer of [1]_ are left out: here they would be a preconditioner of the game.

    Parameters
    ----------
    latent : int
        Dimension of z.
    image_shape : (int, int) or (int, int, int)
        (h, w) or (c, h, w) of the last phase, h and w divisible by 2^(K - 1).
    channels : sequence of int
        Channels at each of the K resolutions, coarse to fine, the same for both networks.
    activation, output, init, gain
        As in `mlp`.
    norm : {None, "pixel", "layer", "instance", "batch"}
        `MapNorm` after every convolution of the generator; the paper has "pixel".
    minibatch : {None, "standard_deviation", "discrimination"}
        As in `dcgan_discriminator`; the paper has "standard_deviation".
    seed : int
        Of all initial weights.

    Returns
    -------
    Growing
        `phase(k, alpha)` gives the networks, `data(dataset, k, alpha)` their pictures.

    Examples
    --------
    >>> pair = growing_pair(16, (8, 8), channels=(16, 8))
    >>> [pair.phase(k)[0](torch.zeros(5, 16)).shape for k in range(pair.phases)]
    [torch.Size([5, 16]), torch.Size([5, 64])]
    """
    (latent,), maps = sizes_of("latent", (latent,), at_least=1), sizes_of("channels", channels, at_least=1)
    c, h, w = picture_shape(image_shape)
    factor = 2 ** (len(maps) - 1)
    if h % factor or w % factor:
        raise ValueError(
            f"image_shape is {tuple(image_shape)} and channels has {len(maps)} entries: each but the first doubles the "
            f"picture, so h and w must both be divisible by {factor}. Use fewer channels."
        )
    check_norm(norm)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is {seed!r}; it must be an int >= 0.")
    pair = Growing(
        latent, (c, h, w), maps, activation, output, norm=norm, minibatch=minibatch, init=init, gain=gain, seed=seed
    )
    pair.phase(0)  # a wrong name is an error here
    return pair


def carry_over(old: nn.Module, new: nn.Module) -> tuple[str, ...]:
    """Copy every parameter of `old` that `new` has by the same name; the names in `new` that were not met.

    Buffers stay: alpha belongs to the phase. Write a trained vector into the old modules first, ``gan.load(z)``, and
    build the GAN of the next phase from the new ones; `initial()` then is its start.

    Raises
    ------
    ValueError
        If a name stands for different shapes, or none is met.

    Examples
    --------
    >>> pair = growing_pair(4, (8, 8), channels=(6, 3))
    >>> carry_over(pair.phase(1, alpha=0.5)[0], pair.phase(1)[0])
    ()
    >>> carry_over(pair.phase(0)[1], pair.phase(1)[1])[-2:]
    ('from_image.1.0.weight', 'from_image.1.0.bias')
    """
    source, target = dict(old.named_parameters()), dict(new.named_parameters())
    common = [name for name in target if name in source]
    if not common:
        raise ValueError("The two modules have no parameter of the same name. Take both from one growing_pair.")
    if odd := [name for name in common if source[name].shape != target[name].shape]:
        pairs = ", ".join(f"{n} {tuple(source[n].shape)} and {tuple(target[n].shape)}" for n in odd)
        raise ValueError(f"Parameters of one name differ in shape: {pairs}. Take both modules from one growing_pair.")
    with torch.no_grad():
        for name in common:
            target[name].copy_(source[name])
    return tuple(name for name in target if name not in source)


def downsampled(dataset: Dataset, resolution: int) -> Dataset:
    """A picture data set with `resolution` rows per picture, by averages over equal squares.

    What else is known of p_data (modes, densities) is left out: it is of another distribution.

    Parameters
    ----------
    dataset : Dataset
        With an `image_shape`, (h, w) or (c, h, w).
    resolution : int
        Rows h' of the small pictures; h/h' must be whole and divide w as well.

    Raises
    ------
    ValueError
        No pictures, or a resolution that does not fit.

    Examples
    --------
    >>> from gamedyn.neural import digits
    >>> downsampled(digits(), 4)
    Dataset(digits at 4 x 4: 1797 x 16, float32 on cpu, 4 x 4 pixels, 10 classes)
    """
    if dataset.image_shape is None:
        raise ValueError(f"'{dataset.name}' has no image_shape; only pictures can be made smaller.")
    c, h, w = picture_shape(dataset.image_shape)
    (resolution,) = sizes_of("resolution", (resolution,), at_least=1)
    factor = h // resolution
    if factor == 0 or h % resolution or w % factor:
        raise ValueError(f"resolution is {resolution}; pictures of {h} x {w} need one that divides both sides alike.")
    if factor == 1:
        return dataset
    small = avg_pool2d(dataset.x.reshape(-1, c, h, w), factor)
    shape = (*dataset.image_shape[:-2], *small.shape[-2:])
    name = f"{dataset.name} at {small.shape[-2]} x {small.shape[-1]}"
    return Dataset(name, small.flatten(1), dataset.labels, shape)
