"""Data sets: what they hold, how they are drawn from, and that nothing hidden is drawn."""

from __future__ import annotations

import dataclasses
import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gamedyn.neural.data import (
    Dataset,
    digits,
    fashion_mnist,
    from_tensor,
    gaussians_1d,
    grid,
    line,
    mixture,
    mnist,
    parallel_lines,
    ring,
    spiral,
    stacked_mnist,
    swiss_roll,
)

TOYS: list[Callable[..., Dataset]] = [ring, grid, line, gaussians_1d]
CURVES: list[Callable[..., Dataset]] = [spiral, swiss_roll, parallel_lines]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the container


def test_batch_has_distinct_rows_of_the_data() -> None:
    data = from_tensor(torch.arange(50.0))
    batch = data.batch(30, seeded())
    assert batch.shape == (30, 1)
    assert len(batch.unique()) == 30
    assert set(batch.flatten().tolist()) <= set(range(50))
    assert sorted(data.batch(50, seeded()).flatten().tolist()) == list(range(50))


def test_batches_follow_the_generator_and_differ_along_it() -> None:
    data, g = ring(n=500), seeded(3)
    first, second = data.batch(64, g), data.batch(64, g)
    assert torch.equal(first, data.batch(64, seeded(3)))
    assert not torch.equal(first, second)
    assert not torch.equal(first, data.batch(64, seeded(4)))


def test_batches_are_uniform_over_the_rows() -> None:
    n, size, repeats = 20, 5, 4000
    data, g = from_tensor(torch.arange(float(n))), seeded()
    counts = torch.bincount(torch.cat([data.batch(size, g) for _ in range(repeats)]).flatten().long(), minlength=n)
    expected = repeats * size / n
    spread = (repeats * size / n * (1 - size / n)) ** 0.5
    assert (counts - expected).abs().max() < 4.5 * spread


@pytest.mark.parametrize(("n", "size"), [(60_000, 128), (1_000, 50), (1_000, 51)])
def test_the_rows_of_a_generator_state_stay_what_committed_figures_were_made_with(n: int, size: int) -> None:
    data, g, same = from_tensor(torch.arange(float(n))), seeded(n + size), seeded(n + size)
    for _ in range(20):
        if size * 20 > n:
            expected = torch.randperm(n, generator=same)[:size].tolist()
        else:  # distinct rows in the order of their first draw, until there are enough
            expected = []
            while len(expected) < size:
                for row in torch.randint(n, (size - len(expected),), generator=same).tolist():
                    if row not in expected:
                        expected.append(row)
        assert data.batch(size, g).flatten().tolist() == expected


@pytest.mark.parametrize("size", [0, -1, 11])
def test_batch_of_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="use 1 to 10"):
        from_tensor(torch.zeros(10)).batch(size, seeded())


def test_split_gives_disjoint_parts_that_keep_labels_with_rows() -> None:
    data = from_tensor(torch.arange(40.0), labels=torch.arange(40) * 2)
    part, rest = data.split(15, seeded())
    assert (len(part), len(rest)) == (15, 25)
    assert sorted([*part.x.flatten().tolist(), *rest.x.flatten().tolist()]) == list(range(40))
    for piece in (part, rest):
        assert piece.labels is not None
        assert torch.equal(piece.labels, piece.x.flatten().long() * 2)
    with pytest.raises(ValueError, match="leaves no rest"):
        data.split(40, seeded())


def test_only_keeps_the_rows_of_the_labels_and_nothing_said_of_all_rows() -> None:
    data = ring(n=200)
    two = data.only(1, 5)
    assert data.labels is not None
    assert two.labels is not None
    assert set(two.labels.tolist()) == {1, 5}
    assert torch.equal(two.x, data.x[(data.labels == 1) | (data.labels == 5)])
    assert (two.modes, two.log_density) == (None, None)
    with pytest.raises(ValueError, match="no rows of label"):
        data.only(8)
    with pytest.raises(ValueError, match="has no labels"):
        swiss_roll(n=10).only(0)


def test_to_converts_floats_and_keeps_labels_integer() -> None:
    data = ring(n=20).to(dtype=torch.float64)
    assert data.x.dtype == torch.float64
    assert data.modes is not None
    assert data.labels is not None
    assert data.modes.dtype == torch.float64
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.x.float(), ring(n=20).x)


def test_dataset_is_frozen_and_prints_on_one_line() -> None:
    data = grid(n=30, seed=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
    assert repr(data) == "Dataset(grid: 30 x 2, float32 on cpu, 25 modes, std 0.05, seed 7)"
    assert "\n" not in repr(digits())


def test_data_that_do_not_belong_together_are_refused() -> None:
    x = torch.zeros(6, 4)
    with pytest.raises(ValueError, match="labels are"):
        Dataset("bad", x, torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"labels are torch\.float32"):
        Dataset("bad", x, torch.zeros(6))
    with pytest.raises(ValueError, match="h w = 4"):
        Dataset("bad", x, image_shape=(2, 3))
    with pytest.raises(ValueError, match="c h w = 4"):
        Dataset("bad", x, image_shape=(1, 1, 2, 2))
    with pytest.raises(TypeError, match="log_density is float"):
        Dataset("bad", x, log_density=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="modes have shape"):
        Dataset("bad", x, modes=torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"must be \(n, d\)"):
        Dataset("bad", torch.zeros(6))
    with pytest.raises(ValueError, match="2 entries of x are not finite"):
        Dataset("bad", torch.tensor([[0.0, torch.nan], [torch.inf, 1.0]]))
    with pytest.raises(TypeError, match=r"torch\.uint8"):
        Dataset("bad", torch.zeros(6, 4, dtype=torch.uint8))


# --- any tensor


def test_from_tensor_copies_and_flattens() -> None:
    x = torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4)
    data = from_tensor(x, name="pictures")
    assert (data.x.shape, data.x.dtype, data.image_shape, data.dim) == ((2, 12), torch.float32, (3, 4), 12)
    x.zero_()
    assert data.x[1, 0] == 12.0
    same_type = torch.ones(3, 2)
    kept = from_tensor(same_type)
    same_type.zero_()
    assert torch.equal(kept.x, torch.ones(3, 2))
    assert from_tensor(torch.ones(3, requires_grad=True)).x.requires_grad is False
    assert from_tensor(torch.ones(3), dtype=torch.float64).x.dtype == torch.float64


def test_from_tensor_takes_labels_and_modes_as_lists_and_the_std_around_them() -> None:
    labels = np.array([0, 1, 0])
    data = from_tensor(torch.zeros(3, 1), labels=[0, 1, 0], modes=[[0.0], [1.0]], std=np.float32(0.5))
    assert (data.labels.tolist(), data.modes.tolist(), data.std) == ([0, 1, 0], [[0.0], [1.0]], 0.5)
    kept = from_tensor(torch.zeros(3, 1), labels=labels)
    labels[:] = 7
    assert kept.labels.tolist() == [0, 1, 0]
    with pytest.raises(TypeError, match=r"x: labels are list; they must be a tensor\. See from_tensor"):
        Dataset("x", torch.zeros(2, 1), labels=[0, 1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="std is -1"):
        from_tensor(torch.zeros(2, 1), std=-1)
    with pytest.raises(TypeError, match="std is '1'; give a number"):
        ring(std="1")  # type: ignore[arg-type]


def test_channels_come_first_in_a_row() -> None:
    x = torch.arange(48.0).reshape(2, 3, 2, 4)
    data = from_tensor(x, name="colour")
    assert data.image_shape == (3, 2, 4)
    assert torch.equal(data.x[1].reshape(3, 2, 4), x[1])
    assert repr(data) == "Dataset(colour: 2 x 24, float32 on cpu, 3 x 2 x 4 pixels)"


def test_from_tensor_refuses_what_is_no_sample() -> None:
    with pytest.raises(TypeError, match=r"bytes / 127\.5 - 1"):
        from_tensor(torch.zeros(3, 2, dtype=torch.uint8))
    with pytest.raises(TypeError, match="ndarray"):
        from_tensor(np.zeros((3, 2)))  # type: ignore[arg-type]
    for shape in ((), (0, 2), (2, 0), (2, 3, 4, 5, 6)):
        with pytest.raises(ValueError, match=r"it must be \(n,\), \(n, d\), \(n, h, w\) or \(n, c, h, w\)"):
            from_tensor(torch.zeros(shape))


# --- point clouds


def test_ring_has_distinct_equally_spaced_modes_on_the_circle() -> None:
    data = ring(8, 2.0, n=10)
    assert data.modes is not None
    modes = data.modes.double()
    assert modes.shape == (8, 2)
    torch.testing.assert_close(modes.norm(dim=1), torch.full((8,), 2.0, dtype=torch.float64), rtol=1e-6, atol=0)
    neighbours = (modes - modes.roll(1, 0)).norm(dim=1)
    side = 2 * 2.0 * np.sin(np.pi / 8)
    torch.testing.assert_close(neighbours, torch.full((8,), side, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("data", [ring(8, n=10), ring(1, n=10), grid(4, n=10), line(7, n=10)], ids=repr)
def test_modes_are_counted_once(data: Dataset) -> None:
    assert data.modes is not None
    n_modes = {"ring": len(data.modes), "grid": 16, "line": 7}[data.name]
    distances = torch.cdist(data.modes.double(), data.modes.double()).fill_diagonal_(torch.inf)
    assert len(data.modes) == n_modes
    assert distances.min() > 0.9  # a circle closed by linspace(0, 2 pi, 8) has only 7 places


def test_grid_is_centred_with_the_given_spacing() -> None:
    data = grid(side=5, spacing=2.0, n=10)
    assert data.modes is not None
    assert data.modes.shape == (25, 2)
    assert torch.equal(data.modes.mean(0), torch.zeros(2))
    assert sorted(set(data.modes.flatten().tolist())) == [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert len({tuple(mode) for mode in data.modes.tolist()}) == 25


def test_gaussians_1d_have_the_given_means() -> None:
    data = gaussians_1d((-2.0, 0.0, 3.0), std=0.1, n=30)
    assert data.modes is not None
    assert data.modes.tolist() == [[-2.0], [0.0], [3.0]]
    assert data.x.shape == (30, 1)


@pytest.mark.parametrize("toy", TOYS)
def test_samples_scatter_around_their_modes_with_the_given_std(toy: Callable[..., Dataset]) -> None:
    n, std = 20_000, 0.3
    data = toy(std=std, n=n, seed=1)
    assert data.labels is not None
    assert data.modes is not None
    noise = (data.x - data.modes[data.labels]).double()
    count = noise.numel()
    assert abs(noise.mean()) < 4.5 * std / count**0.5
    assert abs(noise.std() - std) < 4.5 * std / (2 * count) ** 0.5
    shares = torch.bincount(data.labels, minlength=len(data.modes)) / n
    p = 1 / len(data.modes)
    assert (shares - p).abs().max() < 4.5 * (p * (1 - p) / n) ** 0.5


def test_weights_are_the_shares_of_the_modes() -> None:
    n, w = 20_000, torch.tensor([0.7, 0.2, 0.1])
    data = mixture([[0.0, 1.0], [2.0, 2.0], [-1.0, 0.0]], 0.1, (7, 2, 1), n=n, seed=3)
    assert data.labels is not None
    shares = data.labels.bincount(minlength=3) / n
    assert bool(((shares - w).abs() < 4.5 * (w * (1 - w) / n).sqrt()).all())
    equal = mixture([[-2.0], [2.0]], 1.0, n=50, seed=4)
    assert torch.equal(equal.x, gaussians_1d(n=50, seed=4).x)


def test_spiral_runs_evenly_along_its_arms() -> None:
    n, arms, turns = 5_000, 3, 1.25
    data = spiral(arms, turns, 2.0, 0.0, n=n)
    assert data.labels is not None
    x, k = data.x.double(), data.labels
    s = x.norm(dim=1) / 2.0
    angle = 2 * np.pi * (turns * s + k / arms)
    torch.testing.assert_close(x, 2.0 * s[:, None] * torch.stack([angle.cos(), angle.sin()], 1), rtol=0, atol=1e-5)
    assert abs((s**2).mean() - 0.5) < 4.5 * (1 / 12 / n) ** 0.5  # s² is uniform
    assert data.labels.bincount(minlength=arms).min() > n / arms - 4.5 * (n / arms) ** 0.5


def test_swiss_roll_is_the_section_that_scikit_learn_makes() -> None:
    n = 5_000
    x = swiss_roll(scale=1.0, std=0.0, n=n).x.double()
    t = x.norm(dim=1)
    torch.testing.assert_close(x, t[:, None] * torch.stack([t.cos(), t.sin()], 1), rtol=0, atol=1e-4)
    u = (t / (1.5 * np.pi) - 1) / 2
    assert -1e-6 < u.min() < u.max() < 1 + 1e-6
    assert abs(u.mean() - 0.5) < 4.5 * (1 / 12 / n) ** 0.5


def test_parallel_lines_are_two_uniform_segments() -> None:
    n = 5_000
    data = parallel_lines(-0.3, n=n)
    for k in (0, 1):
        x = data.only(k).x.double()
        assert x[:, 0].unique().tolist() == [pytest.approx(-0.3 * k)]
        assert (x[:, 1].min() >= 0) & (x[:, 1].max() <= 1)
        assert abs(x[:, 1].mean() - 0.5) < 4.5 * (1 / 12 / len(x)) ** 0.5
        assert abs(len(x) - n / 2) < 4.5 * (n / 4) ** 0.5


@pytest.mark.parametrize("curve", CURVES)
def test_noise_around_a_curve_has_the_given_std(curve: Callable[..., Dataset]) -> None:
    noise = (curve(std=0.4, n=20_000, seed=2).x - curve(std=0.0, n=20_000, seed=2).x).double()
    assert abs(noise.std() - 0.4) < 4.5 * 0.4 / (2 * noise.numel()) ** 0.5
    assert abs(noise.mean()) < 4.5 * 0.4 / noise.numel() ** 0.5


@pytest.mark.parametrize("toy", TOYS + CURVES)
def test_toy_data_are_a_function_of_the_seed(toy: Callable[..., Dataset]) -> None:
    assert torch.equal(toy(n=50, seed=5).x, toy(n=50, seed=5).x)
    assert not torch.equal(toy(n=50, seed=5).x, toy(n=50, seed=6).x)
    assert toy(n=50, seed=5).seed == 5


def test_global_random_state_is_left_alone() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    toys = [toy(n=40) for toy in TOYS + CURVES]
    for data in (*toys, mixture([[0.0], [1.0]], 1.0, (1, 2), n=40), stacked_mnist(digits(), 40)):
        data.batch(8, seeded())
        data.split(8, seeded())
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_std_of_zero_puts_every_sample_on_a_mode() -> None:
    data = ring(std=0.0, n=100)
    assert data.modes is not None
    assert data.labels is not None
    assert torch.equal(data.x, data.modes[data.labels])


def test_impossible_parameters_are_refused() -> None:
    for make in (
        lambda: ring(0),
        lambda: ring(radius=0.0),
        lambda: ring(std=-1.0),
        lambda: ring(n=0),
        lambda: grid(side=0),
        lambda: grid(spacing=float("nan")),
        lambda: gaussians_1d(()),
        lambda: gaussians_1d((0.0, float("inf"))),
        lambda: gaussians_1d((0.0, 0.0)),
        lambda: mixture([0.0, 1.0], 1.0),  # type: ignore[list-item]
        lambda: mixture([[0.0], [1.0]], 1.0, (1.0,)),
        lambda: mixture([[0.0], [1.0]], 1.0, (1.0, 0.0)),
        lambda: mixture([[0.0], [0.0]], 1.0),
        lambda: spiral(0),
        lambda: spiral(turns=0.0),
        lambda: spiral(std=-1.0),
        lambda: swiss_roll(scale=0.0),
        lambda: swiss_roll(n=0),
        lambda: parallel_lines(float("nan")),
        lambda: line(spacing=0.0),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(TypeError, match=r"n_modes is 8\.0"):
        ring(8.0)  # type: ignore[arg-type]


# --- pictures


def test_digits_are_scaled_to_minus_one_one_and_complete() -> None:
    data = digits()
    assert (data.x.shape, data.x.dtype, data.image_shape) == ((1797, 64), torch.float32, (8, 8))
    assert (data.x.min(), data.x.max()) == (-1.0, 1.0)
    assert torch.equal((data.x + 1) * 8, ((data.x + 1) * 8).round())  # whole numbers of ink, 0 to 16
    assert data.labels is not None
    assert data.labels.unique().tolist() == list(range(10))


def test_digits_rows_are_pictures_of_their_labels() -> None:
    data = digits()
    assert data.labels is not None
    x, labels = data.x, data.labels
    centres = torch.stack([x[:900][labels[:900] == k].mean(0) for k in range(10)])
    guess = torch.cdist(x[900:], centres).argmin(1)
    assert (guess == labels[900:]).float().mean() > 0.8  # the nearest class mean; chance is 0.1


def test_mnist_scales_bytes_to_minus_one_one(tmp_path: Path) -> None:
    images = np.arange(2 * 784, dtype=np.uint8)  # every byte value, both ends included
    images_file = struct.pack(">4I", 2051, 2, 28, 28) + images.tobytes()
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images_file))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 2) + bytes([4, 9]))
    data = mnist(tmp_path, train=False, checksum="ignore", name="look-alike")
    assert (data.name, data.image_shape, data.x.dtype) == ("look-alike", (28, 28), torch.float32)
    assert data.labels is not None
    assert data.labels.tolist() == [4, 9]
    expected = torch.from_numpy(images.astype(np.float64)).reshape(2, 784) / 127.5 - 1
    torch.testing.assert_close(data.x.double(), expected, rtol=0, atol=1e-6)
    assert (data.x.min(), data.x.max()) == (-1.0, 1.0)


def test_fashion_mnist_says_whose_checksum_is_missed(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 1, 28, 28) + bytes(784))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 1) + bytes([9]))
    with pytest.raises(ValueError, match=r"not the Fashion-MNIST original: md5 .* expected f4a8712d"):
        fashion_mnist(tmp_path, checksum="error")
    with pytest.warns(UserWarning, match="not the Fashion-MNIST original"):
        data = fashion_mnist(tmp_path)
    assert (data.name, data.image_shape) == ("fashion_mnist", (28, 28))


def test_stacked_channels_are_pictures_of_the_digits_of_the_label() -> None:
    source = digits()
    data = stacked_mnist(source, 300, seed=1)
    assert (data.x.shape, data.image_shape) == ((300, 192), (3, 8, 8))
    assert source.labels is not None
    assert data.labels is not None
    digit_of = {tuple(row.tolist()): int(label) for row, label in zip(source.x, source.labels, strict=True)}
    for row, label in zip(data.x.reshape(300, 3, 64), data.labels.tolist(), strict=True):
        a, b, c = (digit_of[tuple(channel.tolist())] for channel in row)
        assert label == 100 * a + 10 * b + c
    assert torch.equal(data.x, stacked_mnist(source, 300, seed=1).x)
    assert not torch.equal(data.x, stacked_mnist(source, 300, seed=2).x)


def test_what_has_no_ten_classes_of_grey_pictures_is_not_stacked() -> None:
    for source in (ring(n=50), digits().only(0, 1), stacked_mnist(digits(), 50), from_tensor(torch.zeros(9, 4, 4))):
        with pytest.raises(ValueError, match="cannot be stacked"):
            stacked_mnist(source)


@pytest.mark.skipif("GAMEDYN_MNIST" not in os.environ, reason="GAMEDYN_MNIST names no directory with MNIST")
def test_real_mnist_is_flat_and_scaled() -> None:
    data = mnist(os.environ["GAMEDYN_MNIST"], train=False, checksum="error")
    assert (data.x.shape, data.image_shape) == ((10_000, 784), (28, 28))
    assert (data.x.min(), data.x.max()) == (-1.0, 1.0)
    assert data.labels is not None
    assert data.labels.bincount().min() > 800  # the ten digits are nearly balanced
