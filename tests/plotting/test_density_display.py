"""Displays of densities draw the numbers that they were given."""

import io

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gamedyn.plotting import style
from gamedyn.plotting.density_display import DensityDisplay, RitzCloudDisplay
from gamedyn.stability.density.spectral_density import spectral_density

A = np.random.default_rng((5, 5)).standard_normal((120, 120)) / 120**0.5


@pytest.fixture(autouse=True)
def _house_style():
    with style.context("paper"):
        yield
    plt.close("all")


def render(display):
    buffer = io.BytesIO()
    display.ax_.figure.savefig(buffer, format="png")
    return buffer.getbuffer().nbytes


def test_the_curve_and_the_histogram_are_those_of_the_density():
    s = spectral_density(A, probes=4, steps=20)
    values = np.linalg.eigvalsh((A + A.T) / 2)
    display = DensityDisplay.from_densities({"S": s}, width=0.1, eigenvalues=values).plot()
    curve = s.curve(width=0.1)
    np.testing.assert_array_equal(display.lines_["S"].get_ydata(), curve.density)
    counts, edges, _ = display.bars_.get_data()
    assert np.sum(counts * np.diff(edges)) == pytest.approx(1)
    assert display.ax_.get_xlim()[0] < 0
    assert render(display) > 5000


def test_a_logarithmic_picture_ends_at_its_floor():
    s = spectral_density(A + 3 * np.eye(120), probes=4, steps=20)
    display = DensityDisplay.from_densities({"S": s, "again": s}, log=True).plot()
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_ylim()[0] > 0
    assert display.bars_ is None
    assert render(display) > 5000


def test_areas_of_ritz_values_follow_their_shares():
    cloud = spectral_density(A, part="full", probes=3, steps=15)
    display = RitzCloudDisplay.from_cloud(cloud, eigenvalues=np.linalg.eigvals(A)).plot()
    offsets = np.asarray(display.points_.get_offsets())
    np.testing.assert_array_equal(offsets[:, 0], cloud.values.real)
    sizes = display.points_.get_sizes()
    assert sizes[np.argmax(cloud.shares)] == sizes.max()
    assert len(display.crosses_.get_xdata()) == 120
    assert RitzCloudDisplay.from_cloud(cloud).plot().crosses_ is None
    assert render(display) > 5000


def test_shapes_that_differ_are_refused():
    x = np.zeros(3)
    with pytest.raises(ValueError, match=r"one shape \(n,\)"):
        DensityDisplay({"S": (x, x, x, np.zeros(2))})
    with pytest.raises(ValueError, match="one shape"):
        RitzCloudDisplay(x, np.zeros(2))
