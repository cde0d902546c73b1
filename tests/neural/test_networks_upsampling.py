"""Convolutional networks: ways to double a picture, the checkerboards they leave, colours and normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as torchf

import gamedyn as gd
from gamedyn.neural import GAN, digits, from_tensor, train
from gamedyn.neural.networks import (
    MapNorm,
    Network,
    Resize,
    checkerboard_energy,
    dcgan_discriminator,
    dcgan_generator,
    kernel_overlap,
    overlap_unevenness,
)

SHAPE = (28, 28)
UPSAMPLINGS: dict[str, dict[str, object]] = {
    "kernel 3": {"kernel": 3},
    "kernel 4": {},
    "resize": {"upsampling": "resize"},
}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolutions(network: nn.Module) -> Iterator[nn.Conv2d | nn.ConvTranspose2d]:
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))


# --- overlap


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6, 9])
def test_overlap_counts_the_taps_of_every_remainder(kernel: int, stride: int) -> None:
    counts = [sum(tap % stride == r for tap in range(kernel)) for r in range(stride)]
    along = kernel_overlap(kernel, stride, dims=1)
    assert along.tolist() == counts
    assert torch.equal(kernel_overlap(kernel, stride), along[:, None] * along[None])
    uneven = max(counts) / min(counts) if min(counts) else math.inf
    assert overlap_unevenness(kernel, stride) == uneven**2
    assert (uneven == 1) == (kernel % stride == 0)


def test_kernel_three_writes_up_to_four_times_as_often_and_kernel_four_evenly() -> None:
    assert (overlap_unevenness(3, 2), overlap_unevenness(4, 2)) == (4.0, 1.0)
    assert (overlap_unevenness(3, 2, dims=1), overlap_unevenness(1, 2)) == (2.0, math.inf)


@pytest.mark.parametrize(("name", "pattern"), [("kernel 3", {1.0, 2.0, 4.0}), ("kernel 4", {4.0}), ("resize", {9.0})])
def test_unit_weights_paint_the_overlap_far_from_the_border(name: str, pattern: set[float]) -> None:
    layers = dcgan_generator(2, (16, 16), (1,), output=None, **UPSAMPLINGS[name]).layers[3:-1]  # type: ignore[arg-type]
    for layer in convolutions(layers):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    painted = layers(torch.ones(1, 1, 8, 8))[0, 0, 4:-4, 4:-4]
    assert set(painted.flatten().tolist()) == pattern


# --- spectral energy


def test_a_board_has_energy_one_whatever_its_stride() -> None:
    for stride in (2, 3, 4):
        board = normal(stride, stride).repeat(12 // stride, 24 // stride)
        assert checkerboard_energy(board, stride) == pytest.approx(1.0, abs=1e-12)
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(8, 8)
    assert checkerboard_energy(stripes) == checkerboard_energy(stripes.T) == pytest.approx(1.0)


def test_energy_of_stride_two_is_that_of_alternating_sums() -> None:
    x = normal(5, 8, 12)
    h, w = x.shape[1:]
    sign_h, sign_w = (-1.0) ** torch.arange(h), (-1.0) ** torch.arange(w)
    down, across = torch.einsum("nij,i->nj", x, sign_h.double()), torch.einsum("nij,j->ni", x, sign_w.double())
    both = torch.einsum("nij,i,j->n", x, sign_h.double(), sign_w.double())
    board = w * down.square().sum() + h * across.square().sum() - both.square().sum()
    total = h * w * (x - x.mean((1, 2), keepdim=True)).square().sum()
    assert checkerboard_energy(x) == pytest.approx(float(board / total), rel=1e-12)


@pytest.mark.parametrize(("h", "w", "stride"), [(28, 28, 2), (8, 16, 2), (12, 24, 3)])
def test_white_noise_has_the_share_of_the_waves_that_count(h: int, w: int, stride: int) -> None:
    waves = (stride - 1) * (h + w - stride + 1)
    share, n = waves / (h * w - 1), 400
    error = 4.5 * math.sqrt(2 * share * (1 - share) / (n * h * w))  # of a ratio of chi squares, at most
    assert abs(checkerboard_energy(normal(n, h, w), stride) - share) < error


def test_smooth_pictures_have_next_to_none() -> None:
    t = torch.linspace(-1, 1, 28, dtype=torch.float64)
    blob = torch.exp(-((t[:, None] - 0.1) ** 2 + (t[None] + 0.2) ** 2) / 0.1)
    assert checkerboard_energy(blob) < 1e-5
    ramp = torch.arange(28.0).expand(28, 28)
    assert checkerboard_energy(ramp) == pytest.approx(3 / (28**2 - 1))  # the price of its jump at the border
    assert checkerboard_energy(torch.full((8, 8), 0.1)) == 0.0


def test_brightness_contrast_flips_shifts_and_order_do_not_matter() -> None:
    x = normal(4, 8, 12)
    energy = checkerboard_energy(x)
    shift = normal(4, 1, 1, seed=1)
    for other in (-3 * x, x + shift, x.flip(1), x.flip(2), x.mT, x.roll((1, 3), (1, 2)), x[[2, 0, 3, 1]]):
        assert checkerboard_energy(other) == pytest.approx(energy, rel=1e-10)


def test_colours_count_as_pictures_and_flat_rows_need_their_shape() -> None:
    x = normal(5, 3, 4, 6)
    energy = checkerboard_energy(x.reshape(15, 4, 6))
    assert checkerboard_energy(x) == energy
    assert checkerboard_energy(x.flatten(1), image_shape=(3, 4, 6)) == energy
    with pytest.raises(ValueError, match=r"need \(n, 24\)"):
        checkerboard_energy(x.flatten(1), image_shape=(4, 6))
    with pytest.raises(ValueError, match="stride is 4"):
        checkerboard_energy(x, 4)
    with pytest.raises(ValueError, match="stride is 1"):
        checkerboard_energy(x, 1)
    with pytest.raises(ValueError, match="1 values of the pictures are not finite"):
        checkerboard_energy(torch.where(x == x.max(), math.nan, x))


def generated(seed: int, weights: Callable[[torch.Tensor], torch.Tensor], **upsampling: object) -> float:
    """The energy of an untrained generator whose convolutions were changed."""
    network = dcgan_generator(16, SHAPE, init="normal", gain=0.02, seed=seed, **upsampling)  # type: ignore[arg-type]
    with torch.no_grad():
        for layer in convolutions(network):
            layer.weight.copy_(weights(layer.weight))
        return checkerboard_energy(network(normal(32, 16, seed=100 + seed).float()), image_shape=SHAPE)


def energies(weights: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
    return [
        torch.tensor([generated(seed, weights, **kw) for seed in range(8)], dtype=torch.float64)
        for kw in UPSAMPLINGS.values()
    ]


def test_weights_of_one_sign_paint_kernel_three_worst_then_kernel_four_then_resize() -> None:
    three, four, resize = energies(torch.abs)
    assert (three > four).all()
    assert (four > 10 * resize).all()


def test_kernels_without_detail_paint_a_board_only_where_they_overlap_unevenly() -> None:
    three, four, resize = energies(lambda w: w.mean((-2, -1), keepdim=True).expand_as(w))
    assert three.mean() > 0.1
    assert max(four.max(), resize.max()) < 0.01


def test_independent_weights_paint_boards_through_any_transposed_convolution() -> None:
    three, four, resize = energies(lambda w: w)
    white = (28 + 28 - 1) / (28 * 28 - 1)
    assert min(three.min(), four.min()) > white
    assert resize.max() < white / 5
    assert abs(three.mean() - four.mean()) < 0.25 * three.mean()  # an even overlap alone does not help


@pytest.mark.slow
def test_over_sixty_seeds_kernel_four_is_no_better_than_kernel_three() -> None:
    def energy(seed: int, **upsampling: object) -> float:
        network = dcgan_generator(16, SHAPE, seed=seed, **upsampling)  # type: ignore[arg-type]
        with torch.no_grad():
            return checkerboard_energy(network(normal(32, 16, seed=100 + seed).float()), image_shape=SHAPE)

    three, four, resize = (
        torch.tensor([energy(seed, **kw) for seed in range(60)], dtype=torch.float64) for kw in UPSAMPLINGS.values()
    )
    assert 20 <= int((three > four).sum()) <= 40
    assert abs(three.mean() - 0.35) < 0.06
    assert abs(four.mean() - 0.37) < 0.06
    assert abs(resize.mean() - 0.002) < 0.001


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least", "most"), [("kernel 3", 0.06, 1), ("kernel 4", 0.06, 1), ("resize", 0, 0.05)])
def test_after_500_steps_on_the_digits_only_resize_is_as_smooth_as_they_are(
    name: str, least: float, most: float
) -> None:
    # seen for seeds 0-4: kernel 3 0.07-0.11, kernel 4 0.09-0.44, resize 0.03-0.04; the digits have 0.03
    method = gd.Method(gd.Alternating(lr=1e-3), gd.Adam(beta1=0.5))
    for seed in range(5):
        g = dcgan_generator(16, (8, 8), seed=seed, **UPSAMPLINGS[name])  # type: ignore[arg-type]
        gan = GAN(g, dcgan_discriminator((8, 8), seed=100 + seed), data=digits())
        z = train(gan, method, steps=500, seed=seed, every=500).z
        assert least < checkerboard_energy(gan.sample(z, 500), image_shape=(8, 8)) < most


# --- networks


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_every_kernel_doubles_and_halves_exactly(kernel: int) -> None:
    g, d = dcgan_generator(3, (8, 12), (4, 2), kernel=kernel), dcgan_discriminator((8, 12), (2, 4), kernel=kernel)
    assert g(torch.zeros(2, 3)).shape == (2, 96)
    assert d(torch.zeros(2, 96)).shape == (2, 1)
    assert all(layer.kernel_size == (kernel, kernel) for n in (g, d) for layer in convolutions(n))


def test_resize_is_nearest_interpolation_and_never_meets_the_batch_axis() -> None:
    x = normal(2, 3, 4, 5)
    assert torch.equal(Resize(3)(x), torchf.interpolate(x, scale_factor=3, mode="nearest"))
    assert torch.equal(Resize(2)(x[0]), Resize(2)(x)[0])


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_colours_are_flattened_first(upsampling: str) -> None:
    g = dcgan_generator(5, (3, 8, 8), (4,), upsampling=upsampling, seed=2)
    pictures = g.layers[:-1](torch.ones(2, 5))
    assert pictures.shape == (2, 3, 8, 8)
    assert torch.equal(g(torch.ones(2, 5)), pictures.flatten(1))
    d = dcgan_discriminator((3, 8, 8), (4, 6))
    assert torch.equal(d.layers[0](g(torch.ones(2, 5))), pictures)
    grey = (dcgan_discriminator((1, 8, 8)), dcgan_discriminator((8, 8)))
    assert torch.equal(*(nn.utils.parameters_to_vector(network.parameters()) for network in grey))


REFERENCES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "batch": lambda x: torchf.batch_norm(x, None, None, training=True),
    "instance": torchf.instance_norm,
    "layer": lambda x: torchf.group_norm(x, 1),
    "pixel": lambda x: x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt(),
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_map_norm_is_the_normalisation_of_its_name(kind: str) -> None:
    x, layer = 3 * normal(4, 5, 3, 3) + 1, MapNorm(kind, 5).double()
    torch.testing.assert_close(layer(x), REFERENCES[kind](x))
    if kind != "pixel":
        nn.init.constant_(layer.gain, 2.0)
        nn.init.constant_(layer.shift, 0.5)
        torch.testing.assert_close(layer(x), 2 * REFERENCES[kind](x) + 0.5)
    if kind != "batch":  # the others treat every row alone
        torch.testing.assert_close(layer(x[1]), layer(x)[1])
    assert torch.autograd.gradgradcheck(MapNorm(kind, 2).double(), normal(2, 2, 2, 2).requires_grad_())


@pytest.mark.parametrize("kind", REFERENCES)
def test_normalised_networks_are_players_without_idle_parameters(kind: str) -> None:
    g = dcgan_generator(4, (8, 8), (4, 3), activation="tanh", norm=kind)
    d = dcgan_discriminator((8, 8), (3, 4), activation="tanh", norm=kind)
    gan = GAN(g, d, data=from_tensor(normal(32, 8, 8)), batch_size=8, evaluation_size=16)
    v = gan.field("neural")(gan.initial().double())
    pieces = gan.split(v)
    assert all(piece.abs().max() > 1e-9 for player in pieces for piece in player)


def test_impossible_upsamplings_and_norms_are_refused() -> None:
    def refuses(message: str, build: Callable[[], Network]) -> None:
        with pytest.raises(ValueError, match=message):
            build()

    refuses("use one of transposed, resize", lambda: dcgan_generator(4, (8, 8), upsampling="bilinear"))
    refuses("must be odd", lambda: dcgan_generator(4, (8, 8), upsampling="resize", kernel=4))
    refuses("kernel is 1", lambda: dcgan_generator(4, (8, 8), kernel=1))
    refuses("use None, batch, instance, layer, pixel", lambda: dcgan_generator(4, (8, 8), norm="group"))
    refuses("use None, batch, instance, layer, pixel", lambda: dcgan_discriminator((8, 8), (4,), norm="group"))
    refuses("two normalisations", lambda: dcgan_generator(4, (8, 8), norm="batch", batch_norm=True))
    refuses("map of one pixel", lambda: dcgan_generator(4, (8, 8), (4, 4, 4), norm="instance"))
