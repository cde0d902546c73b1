"""Measures of samples: modes, classes, neighbours, the Fréchet distance, and the network that gives features."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from gamedyn.neural.data import Dataset, digits, from_tensor, grid, mixture, ring
from gamedyn.neural.measures import (
    FeatureNet,
    class_coverage,
    feature_net,
    features,
    frechet_distance,
    gaussian_frechet,
    mode_coverage,
    sample_measures,
    samples,
)


@pytest.fixture(scope="module")
def digit_net() -> FeatureNet:
    torch.set_num_threads(1)
    return feature_net(digits(), epochs=20, cache=False)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((n, d), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at_modes(data: Dataset, counts: list[int]) -> torch.Tensor:
    assert data.modes is not None
    return data.modes.repeat_interleave(torch.tensor(counts), 0)


# --- modes


@pytest.mark.parametrize(("visited", "kl"), [(1, math.log(8)), (2, math.log(4)), (8, 0.0)])
def test_kl_of_equally_visited_modes_is_log_of_the_share(visited: int, kl: float) -> None:
    data = ring()
    found = mode_coverage(data, at_modes(data, [24 // visited] * visited + [0] * (8 - visited)))
    assert (found.m5, found.high_quality) == (visited, 1.0)
    assert found.kl == pytest.approx(kl, abs=1e-12)


def test_a_mode_is_found_from_five_per_cent_of_its_share_of_all_samples() -> None:
    data = ring()  # of 2500 samples 5 % of an eighth is 15.6
    assert mode_coverage(data, at_modes(data, [2485, 15, 0, 0, 0, 0, 0, 0])).m5 == 1
    assert mode_coverage(data, at_modes(data, [2484, 16, 0, 0, 0, 0, 0, 0])).m5 == 2
    far = torch.cat([at_modes(data, [0, 16, 0, 0, 0, 0, 0, 0]), torch.full((2484, 2), 0.1)])
    assert (mode_coverage(data, far).m5, mode_coverage(data, far).high_quality) == (1, 16 / 2500)


def test_high_quality_ends_at_three_standard_deviations() -> None:
    data = ring(std=0.02)
    assert data.modes is not None
    step = 0.02 * torch.tensor([[0.6, 0.8]])
    assert mode_coverage(data, data.modes + 2.999 * step).high_quality == 1.0
    assert mode_coverage(data, data.modes + 3.001 * step).high_quality == 0.0


def test_samples_of_the_data_have_the_share_of_a_disc_of_three_sigma() -> None:
    found = mode_coverage(grid(n=20_000), grid(n=20_000, seed=1).x)
    assert (found.m5, found.kl < 0.002) == (25, True)
    expected = 1 - math.exp(-4.5)
    assert found.high_quality == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 20_000))


def test_unequal_modes_are_judged_by_their_own_shares() -> None:
    data = mixture([[-2.0], [2.0]], std=0.5, weights=(3, 1))
    asked = at_modes(data, [75, 25])
    assert mode_coverage(data, asked).kl == pytest.approx(0.0, abs=1e-12)
    assert mode_coverage(data, asked, weights=(1, 1)).kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_modes_of_a_tensor_are_counted_with_its_std() -> None:
    x = torch.tensor([[0.0], [0.1], [5.0], [9.0]])
    found = mode_coverage(from_tensor(x, modes=[[0.0], [5.0]], std=0.5), x)
    assert (found.m5, found.high_quality, found.occupancy.tolist()) == (2, 0.75, [0.5, 0.5])


def test_what_has_no_modes_or_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="digits has no modes"):
        mode_coverage(digits(), digits().x)
    with pytest.raises(ValueError, match="spread"):
        mode_coverage(ring(std=0.0), ring().x)
    with pytest.raises(ValueError, match="tensor has modes without a spread around them"):
        mode_coverage(from_tensor(torch.zeros(4, 2), modes=[[0.0, 0.0]]), ring().x)
    with pytest.raises(ValueError, match="1 of 2 rows of samples are not finite"):
        mode_coverage(ring(), torch.tensor([[0.0, 1.0], [0.0, math.nan]]))
    with pytest.raises(ValueError, match="8 positive numbers"):
        mode_coverage(ring(), ring().x, weights=(1, 2))


@pytest.mark.parametrize(("side", "lines"), [(5, 27), (10, 1)])
def test_a_report_of_modes_fits_a_screen(side: int, lines: int) -> None:
    data = grid(side)
    assert len(repr(mode_coverage(data, data.x)).splitlines()) == lines


# --- neighbours


def by_the_definitions(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, ...]:
    """Precision, recall, density and coverage, ball by ball."""
    r = [sorted(math.dist(a, b) for b in x)[k] for a in x]  # the first is the point itself
    s = [sorted(math.dist(a, b) for b in y)[k] for a in y]
    d = [[math.dist(a, b) for b in y] for a in x]
    n, m = len(x), len(y)
    return (
        sum(any(d[i][j] <= r[i] for i in range(n)) for j in range(m)) / m,
        sum(any(d[i][j] <= s[j] for j in range(m)) for i in range(n)) / n,
        sum(d[i][j] <= r[i] for i in range(n) for j in range(m)) / (k * m),
        sum(any(d[i][j] <= r[i] for j in range(m)) for i in range(n)) / n,
    )


def four(found: samples.SampleMeasures) -> tuple[float, ...]:
    return found.precision, found.recall, found.density, found.coverage


@pytest.mark.parametrize("k", [1, 5])
def test_neighbour_measures_are_their_definitions(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(40, 3), 0.7 * normal(29, 3, seed=1) + 0.5
    expected = by_the_definitions(x.numpy(), y.numpy(), k)
    assert four(sample_measures(x, y, k)) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(samples, "BLOCK", 64)  # two rows at a time
    assert four(sample_measures(x, y, k)) == pytest.approx(expected, abs=1e-12)


def test_of_one_distribution_density_is_one_and_coverage_as_in_the_lemma() -> None:
    n, k = 40, 5
    found = [sample_measures(normal(n, 3, 2 * s), normal(n, 3, 2 * s + 1), k) for s in range(150)]
    for values, expected in (
        ([f.density for f in found], 1.0),
        ([f.coverage for f in found], 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))),
    ):
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / math.sqrt(len(values)))


def test_copies_of_one_point_on_both_sides_have_every_measure_one() -> None:
    assert four(sample_measures(torch.ones(10, 2), torch.ones(12, 2))) == (1.0, 1.0, 2.0, 1.0)


def test_the_mean_picture_fools_precision_but_not_coverage() -> None:
    x = digits().x
    found = sample_measures(x, x.mean(0) + 0.02 * normal(700, 64))
    assert (found.precision, found.recall) == (1.0, 0.0)
    assert found.coverage < 0.05


def test_too_few_rows_and_other_shapes_are_refused() -> None:
    x = normal(20, 2)
    with pytest.raises(ValueError, match="fake are 5 rows; at least 6"):
        sample_measures(x, x[:5])
    with pytest.raises(ValueError, match=r"must be \(n, 2\)"):
        sample_measures(x, normal(20, 3))
    with pytest.raises(ValueError, match="k is 0"):
        sample_measures(x, x, 0)


# --- Fréchet


def test_frechet_of_commuting_covariances_is_the_distance_of_standard_deviations() -> None:
    a, b = torch.tensor([1.0, 4.0, 0.0]), torch.tensor([9.0, 0.25, 1e-12])
    expected = 1.0 + (a.double().sqrt() - b.double().sqrt()).square().sum()
    found = gaussian_frechet(torch.zeros(3), a.diag(), torch.tensor([0.0, 1.0, 0.0]), b.diag())
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_frechet_of_rank_one_is_the_distance_of_lines() -> None:
    u, v = normal(6, 1), normal(6, 1, seed=1)
    expected = float(u.norm() ** 2 + v.norm() ** 2 - 2 * (u * v).sum().abs())
    assert gaussian_frechet(torch.zeros(6), u @ u.T, torch.zeros(6), v @ v.T) == pytest.approx(expected, rel=1e-12)


def test_frechet_of_samples_is_that_of_their_moments() -> None:
    x, y = normal(50, 6) @ normal(6, 6, 1), normal(80, 6, 2) @ normal(6, 6, 3) + 1
    m, n, C, D = x.mean(0), y.mean(0), np.cov(x.T), np.cov(y.T)
    expected = float((m - n).square().sum()) + float(np.trace(C + D - 2 * sqrtm(C @ D).real))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)
    assert gaussian_frechet(m, C, n, D) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [200, 5])
def test_frechet_of_equal_samples_is_zero_also_with_fewer_rows_than_features(n: int) -> None:
    x = normal(n, 12) * torch.logspace(-6, 2, 12, dtype=torch.float64)
    assert 0 <= frechet_distance(x, x.flip(0)) < 1e-15 * float(x.var(0).sum())


def test_frechet_of_one_distribution_is_biased_as_stated() -> None:
    n, d = 400, 6
    values = [frechet_distance(normal(n, d, 2 * s), normal(n, d, 2 * s + 1)) for s in range(100)]
    assert np.mean(values) == pytest.approx(d * (d + 5) / (2 * n), rel=0.1)


def test_what_is_no_covariance_is_refused() -> None:
    I, o = torch.eye(2), torch.zeros(2)
    for wrong in (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.diag(torch.tensor([1.0, -1.0]))):
        with pytest.raises(ValueError, match="not symmetric, or has a negative"):
            gaussian_frechet(o, I, o, wrong)
    with pytest.raises(ValueError, match=r"must be \(2, 2\)"):
        gaussian_frechet(o, I, o, torch.eye(3))


# --- features and classes


def test_real_digits_against_real_ones_are_as_good_as_the_measures_get(digit_net: FeatureNet) -> None:
    assert digit_net.accuracy > 0.95
    a, rest = digits().split(700, torch.Generator().manual_seed(0))
    found = sample_measures(digit_net.features(a.x), digit_net.features(rest.x[:700]))
    assert min(found.precision, found.recall, found.coverage) > 0.9
    assert found.density == pytest.approx(1.0, abs=0.1)
    assert found.frechet < 8


def test_classes_of_some_digits_are_those_digits(digit_net: FeatureNet) -> None:
    assert class_coverage(digit_net, digits().x).shown == 10
    assert class_coverage(digit_net, digits().x).kl < 1e-3
    found = class_coverage(digit_net, digits().only(2, 5).x)
    assert found.histogram[[2, 5]].sum() > 0.97
    assert found.kl == pytest.approx(math.log(5), rel=0.05)
    assert (
        class_coverage(digit_net, digits().x[:50].numpy()).histogram.tolist()
        == digit_net.histogram(digits().x[:50]).tolist()
    )
    with pytest.raises(ValueError, match=r"it must be \(n, 64\)"):
        class_coverage(digit_net, torch.zeros(5, 3))


def test_pictures_of_sixteen_pixels_get_a_convolutional_network() -> None:
    bright = torch.rand((60, 1, 1, 1), generator=torch.Generator().manual_seed(0)) > 0.5
    data = from_tensor(bright.expand(60, 3, 17, 19) * 1.0, labels=bright.flatten().int() + 6)
    net = feature_net(data, epochs=20, cache=False)
    assert net.features(data.x).shape == (60, 64)
    assert set(net.predict(data.x)) == {6, 7}
    assert net.accuracy == 1.0


def small(seed: int = 0, rows: int = 300) -> FeatureNet:
    return feature_net(ring(n=rows), seed=seed, epochs=1)


def test_a_network_is_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path))
    before = torch.random.get_rng_state()
    first = small()
    other = {small(seed=1).digest, small(rows=301).digest, feature_net(ring(n=300), epochs=2).digest}
    assert len(other - {first.digest}) == 3
    assert torch.equal(before, torch.random.get_rng_state())
    assert {file.suffix for file in (tmp_path / "features").iterdir()} == {".safetensors"}
    monkeypatch.setattr(features, "_fit", None)  # calling it would raise
    again = small()
    assert torch.equal(again.features(ring().x), first.features(ring().x))
    assert again.accuracy == first.accuracy


@pytest.mark.parametrize("damage", ["flip", "truncate", "other", "pickle"])
def test_a_damaged_network_is_trained_anew(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path))
    first = small()
    (file,) = (tmp_path / "features").iterdir()
    content = file.read_bytes()
    if damage == "other":
        small(seed=1)
        (other,) = set((tmp_path / "features").iterdir()) - {file}
        file.write_bytes(other.read_bytes())
    else:
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        file.write_bytes({"flip": flipped, "truncate": content[:-100], "pickle": b"\x80\x04N."}[damage])
    with pytest.warns(RuntimeWarning, match="training the feature network anew"):
        again = small()
    assert torch.equal(again.features(ring().x), first.features(ring().x))
    monkeypatch.setattr(features, "_fit", None)  # what was written in its place is read without a warning
    assert torch.equal(small().features(ring().x), first.features(ring().x))


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="Set GAMEDYN_CACHE"):
        assert small().accuracy > 0


def test_data_without_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="no labels of two classes"):
        feature_net(from_tensor(torch.zeros(5, 2)))
    with pytest.raises(ValueError, match="at least 1"):
        feature_net(digits(), epochs=0)
