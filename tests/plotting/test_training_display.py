"""The picture of a training draws the samples, costs, coverage and eigenvalues that it is given."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.measures import mode_coverage
from gamedyn.plotting import style
from gamedyn.plotting.training_display import TrainingDisplay, TrainingSeries


@pytest.fixture(autouse=True)
def _house_style() -> Any:
    with style.context("paper"):
        yield


STEPS = np.array([1, 2, 3])
COSTS = TrainingSeries(STEPS, {"generator": np.array([1.0, 2.0, 4.0]), "discriminator": np.array([3.0, 2.0, 1.0])})


def png(figure: Figure) -> int:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getbuffer().nbytes


def test_clouds_costs_modes_and_eigenvalues_are_those_given() -> None:
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]])
    samples = {"step 0": np.zeros((4, 2)), "step 3": np.array([[-1.0, -1.0], [1.0, 1.0], [0.0, 9.0], [9.0, 0.0]])}
    found = TrainingSeries(np.array([0, 3]), {"modes found": np.array([0, 2])})
    display = TrainingDisplay(
        samples,
        data=corners,
        modes=corners,
        costs=COSTS,
        found=found,
        spectra={"step 0": [1 + 2j, 1 - 2j], "step 3": [-3.0, 5.0]},
    ).plot()
    for points, rows in zip(display.points_, samples.values(), strict=True):
        np.testing.assert_array_equal(points.get_xydata(), rows)
    np.testing.assert_array_equal(display.costs_["generator"].get_xydata(), np.c_[STEPS, [1, 2, 4]])
    np.testing.assert_array_equal(display.found_["modes found"].get_ydata(), [0, 2])
    np.testing.assert_array_equal(display.spectra_[0].points_["step 0"].get_ydata(), [2, -2])
    np.testing.assert_array_equal(display.spectra_[1].points_["step 3"].get_xdata(), [-3, 5])
    assert [ax.get_title() for ax in display.strip_] == ["step 0", "step 3"]
    assert [text.get_text() for text in display.strip_[1].texts] == ["50% outside"]
    assert png(display.figure_) > 10_000


def test_the_line_of_a_cost_is_its_running_mean_over_a_fiftieth_of_the_record() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    costs = TrainingSeries(np.arange(1, 201), {"generator": values})
    line = TrainingDisplay({"step 0": np.zeros((2, 2))}, data=np.ones((2, 2)), costs=costs).plot().costs_["generator"]
    means = [values[k : k + 4].mean() for k in range(197)]
    np.testing.assert_allclose(line.get_xydata(), np.c_[np.arange(4, 201), means], atol=1e-14)


def test_a_run_that_diverged_at_once_has_axes_that_can_be_read() -> None:
    costs = TrainingSeries(
        np.array([1, 2, 3]), {"generator": np.array([0.7, 1e12, np.nan]), "other": np.array([1, -2, 1e33])}
    )
    display = TrainingDisplay(
        {"step 0": np.zeros((4, 2)), "average": np.full((4, 2), 1e9)},
        data=np.array([[-1.0, -1.0], [1.0, 1.0]]),
        costs=costs,
        found=TrainingSeries(np.array([0]), {"modes found": np.array([0])}),
    ).plot()
    first, second = display.strip_
    assert first.get_position().width == pytest.approx(second.get_position().width)
    display.figure_.draw_without_rendering()
    drawn, legend = (artist.get_window_extent() for artist in (second.texts[0], second.get_legend()))
    assert not drawn.overlaps(legend)
    gap = second.get_window_extent().x0 - first.get_window_extent().x1
    assert gap < 0.5 * first.get_window_extent().width
    below, coverage = (line.axes for line in (display.costs_["generator"], display.found_["modes found"]))
    assert (below.get_yscale(), below.get_title()) == ("symlog", "cost on the batch, logarithmic from 1 on")
    ticks = [below.transData.transform((0, t))[1] for t in below.get_yticks()]
    assert min(np.diff(sorted(ticks))) > 8  # points, as high as a label
    assert coverage.get_xlim() == pytest.approx((-0.04, 1.04))
    assert all(tick == int(tick) for tick in coverage.get_xticks())


@pytest.mark.parametrize("last", [9_000, 12_000, 1_000_000])
def test_the_numbers_of_long_runs_stand_apart(last: int) -> None:
    steps = np.linspace(1, last, 200)
    costs = TrainingSeries(steps, {"generator": np.ones(200)})
    spectra = {f"step {k}": [1.0] for k in range(3)}
    display = TrainingDisplay({"step 0": np.zeros((2, 2))}, data=np.eye(2), costs=costs, spectra=spectra).plot()
    display.figure_.draw_without_rendering()
    ax = display.costs_["generator"].axes
    labels = [label for label in ax.get_xticklabels() if 0 <= label.get_position()[0] <= last]
    assert 3 <= len(labels) <= 6
    for left, right in pairwise(labels):
        assert right.get_window_extent().x0 - left.get_window_extent().x1 > 4
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 3)])
def test_pictures_stand_in_rows_of_steps_above_the_data(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    d = int(np.prod(shape))
    rows = {"step 0": rng.uniform(-1, 1, (20, d)), "step 9": rng.uniform(-1, 1, (20, d))}
    data = np.concatenate([-np.ones((1, d)), np.ones((1, d)), rng.uniform(-1, 1, (18, d))])
    display = TrainingDisplay(rows, data=data, image_shape=shape, costs=COSTS).plot()
    image = np.asarray(display.image_.get_array())
    assert image.shape[:2] == (3 * 3 - 1, 16 * 4 - 1)
    for i, values in enumerate([*rows.values(), data]):
        for j in (0, 15):
            cell = image[3 * i : 3 * i + 2, 4 * j : 4 * j + 3]
            picture = values[j].reshape(shape) if len(shape) == 2 else values[j].reshape(shape).transpose(1, 2, 0)
            np.testing.assert_allclose(cell, (picture + 1) / 2, atol=1e-14)
    np.testing.assert_array_equal(image[2], 1.0)
    assert [label.get_text() for label in display.strip_[0].get_yticklabels()] == ["step 0", "step 9", "data"]


def test_classes_are_bars_and_take_the_place_of_modes_and_norms() -> None:
    display = TrainingDisplay(
        {"step 0": np.zeros((2, 1))},
        data=np.linspace(0, 1, 5)[:, None],
        costs=COSTS,
        norms=TrainingSeries(STEPS, {"generator": np.ones(3)}),
        classes=([3, 7], [0.5, 0.5], [0.25, 0.75]),
    ).plot()
    np.testing.assert_array_equal([bar.get_height() for bar in display.bars_], [0.25, 0.75])
    assert not hasattr(display, "norms_")
    assert png(display.figure_) > 10_000


def test_from_result_shows_start_and_end_and_judges_the_average() -> None:
    data = ring(4, n=256)
    gan = GAN(mlp_generator(4, 2, (8,)), mlp_discriminator(2, (8,)), data=data, evaluation_size=64)
    method = gd.Method(gd.Alternating(1e-2, order=(1, 0)), gd.Adam(0.5))
    result = train(gan, method, 30, every=3, average=0.9, spectrum_at=(0, 30), spectrum_k=4)
    display = TrainingDisplay.from_result(gan, result, panels=4)
    assert list(display.samples) == ["step 0", "step 9", "step 21", "step 30", "average"]
    assert result.average is not None
    samples = gan.sample(result.average, 2500)
    np.testing.assert_array_equal(display.samples["average"], samples.numpy())
    assert display.coverage.kl == mode_coverage(data, samples).kl
    last = mode_coverage(data, gan.sample(result.z, 2500))
    assert display.found is not None
    assert display.found.values["modes found"][-1] == last.m5
    assert list(display.spectra) == ["step 0", "step 30"]
    np.testing.assert_array_equal(display.costs.values["discriminator"], result.costs[:, 1])


def test_data_without_modes_and_labels_show_the_norm_of_the_field() -> None:
    from gamedyn.neural import from_tensor

    data = from_tensor(torch.rand((64, 3), generator=torch.Generator().manual_seed(0)))
    gan = GAN(mlp_generator(2, 3, (4,)), mlp_discriminator(3, (4,)), data=data, batch_size=8)
    result = train(gan, gd.Simultaneous(1e-2), 4)
    display = TrainingDisplay.from_result(gan, result).plot()
    assert display.coverage is None
    np.testing.assert_array_equal(display.norms_["generator"].get_ydata(), result.field_norms[:, 0])


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) values for \(3,\) steps"):
        TrainingSeries(STEPS, {"x": np.zeros(2)})
    with pytest.raises(ValueError, match="no samples"):
        TrainingDisplay({}, data=np.zeros((3, 2)), costs=COSTS)
    with pytest.raises(ValueError, match="of the same d"):
        TrainingDisplay({"step 0": np.zeros((3, 1))}, data=np.zeros((3, 2)), costs=COSTS)
