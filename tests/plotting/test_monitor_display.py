"""The picture of a monitor draws the numbers of its records, at their steps."""

from __future__ import annotations

import io
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gamedyn.neural.analysis.measurement import MonitorRecord
from gamedyn.plotting import style
from gamedyn.plotting.monitor_display import MonitorDisplay


@pytest.fixture(autouse=True)
def _house_style() -> Any:
    with style.context("paper"):
        yield
    plt.close("all")


def records(rotation: bool = True) -> list[MonitorRecord]:
    found = []
    for i, step in enumerate((0, 10, 25)):
        values = np.array([3 + i + 1j, 3 + i - 1j, -1.0 - i])[: 3 - i % 2]
        measures = {"antisymmetric_share": 0.1 * i, "imaginary_share": 0.5, "angle": np.pi / 2} if rotation else {}
        found.append(
            MonitorRecord(
                step,
                eigenvalues=values,
                path_cosine=np.nan if i == 0 else 0.2 * i,
                field_norms={"G": 1.0 + i, "D": 2.0},
                **measures,
            )
        )
    return [found[0], MonitorRecord(5, skipped="budget"), *found[1:], MonitorRecord(40, nonfinite="v of G")]


def test_every_line_holds_the_numbers_of_its_records() -> None:
    display = MonitorDisplay.from_records(records()).plot()
    np.testing.assert_array_equal(display.steps, [0, 10, 25])
    np.testing.assert_allclose(display.modulus_.get_ydata(), np.abs([3 + 1j, 4 + 1j, 5 + 1j]))
    np.testing.assert_allclose(display.smallest_real_.get_ydata(), [-1, 4, -3])
    np.testing.assert_allclose(display.real_parts_.get_xdata(), [0, 0, 0, 10, 10, 25, 25, 25])
    np.testing.assert_allclose(display.real_parts_.get_ydata(), [3, 3, -1, 4, 4, 5, 5, -3])
    np.testing.assert_allclose(display.rotation_["‖A‖ / ‖J‖"].get_ydata(), [0, 0.1, 0.2])
    np.testing.assert_allclose(display.rotation_["largest |arg λ| / π"].get_ydata(), [0.5] * 3)
    np.testing.assert_allclose(display.cosine_.get_ydata(), [np.nan, 0.2, 0.4])
    np.testing.assert_allclose(display.norms_["G"].get_ydata(), [1, 2, 3])
    for ax in display.axes_:
        assert any(np.all(np.asarray(line.get_xdata()) == 40) for line in ax.lines)
    buffer = io.BytesIO()
    display.axes_[0].figure.savefig(buffer, format="png")
    assert buffer.getbuffer().nbytes > 10_000


def test_measures_that_were_left_out_are_not_drawn() -> None:
    assert MonitorDisplay.from_records(records(rotation=False)).plot().rotation_ == {}


def test_axes_may_be_given_and_a_wrong_number_is_refused() -> None:
    axes = plt.subplots(4, 1)[1]
    assert MonitorDisplay.from_records(records()).plot(axes).axes_[2] is axes[2]
    with pytest.raises(ValueError, match="needs 4"):
        MonitorDisplay.from_records(records()).plot(axes[:3])


def test_records_without_a_finite_look_are_refused() -> None:
    with pytest.raises(ValueError, match="no look at a finite point"):
        MonitorDisplay.from_records([MonitorRecord(0, nonfinite="v of G"), MonitorRecord(1, skipped="budget")])
    with pytest.raises(ValueError, match="give one for each"):
        MonitorDisplay([0, 1], [np.ones(1)] * 2, rotation={}, path_cosine=np.zeros(1), field_norms={})
