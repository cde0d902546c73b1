"""Displays draw the numbers they were given; the style leaves the global settings alone."""

import io
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from gamedyn.plotting import style
from gamedyn.plotting.displays import (
    DistanceDisplay,
    FieldDisplay,
    OrbitDisplay,
    RegionDisplay,
    SampleGridDisplay,
    SpectrumDisplay,
)

BOX = ((-1.0, 1.0), (-2.0, 2.0))


@pytest.fixture(autouse=True)
def _house_style():
    with style.context("paper"):
        yield
    plt.close("all")


def rotation_field(z):
    return np.stack([z[1], -z[0]])


def render(display):
    buffer = io.BytesIO()
    display.ax_.figure.savefig(buffer, format="png")
    return buffer.getbuffer().nbytes


class TestStyle:
    def test_context_restores_global_settings(self):
        before = dict(matplotlib.rcParams)
        with style.context("screen"):
            assert matplotlib.rcParams["font.size"] != before["font.size"]
        assert dict(matplotlib.rcParams) == before

    def test_unknown_context_names_the_known_ones(self):
        with pytest.raises(ValueError, match=r"'poster'.*paper, screen"), style.context("poster"):
            pass

    @pytest.mark.parametrize(
        "other", ["extragradient", "Extragradient(lr=0.1)", "EG", "Extra_Gradient", "extra-gradient"]
    )
    def test_spelling_does_not_change_a_methods_colour(self, other):
        assert style.method_color(other) == style.method_color("Extragradient")

    def test_the_listed_methods_have_distinct_colours(self):
        names = [
            "Simultaneous",
            "Alternating",
            "Extragradient",
            "Optimistic",
            "PastExtragradient",
            "HeavyBall",
            "ProximalPoint",
            "Adam",
            "Unrolled",
            "Consensus",
            "SymplecticAdjustment",
            "LinearizedProximalPoint",
            "flow",
        ]
        assert len({style.method_color(name) for name in names}) == len(names)

    def test_core_methods_stay_apart_without_red_or_green_cones(self):
        # Machado et al. (2009), severity 1, in linear RGB: protanopia, deuteranopia.
        simulations = (
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        )
        names = ["Simultaneous", "Alternating", "Extragradient", "Optimistic", "PastExtragradient", "ProximalPoint"]
        linear = [np.asarray(to_rgb(style.method_color(name))) ** 2.2 for name in names]
        for matrix in simulations:
            seen = [np.clip(np.asarray(matrix) @ color, 0, 1) ** (1 / 2.2) for color in linear]
            assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.15

    def test_unknown_methods_keep_their_colour_in_another_process(self):
        code = "from gamedyn.plotting import style; print(style.method_color('my own method'))"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert out == style.method_color("my own method")

    def test_colours_of_one_picture_are_all_different(self):
        names = ["EG(lr=0.1)", "EG(lr=0.5)", "a", "b", "c", "d", "e", "f"]
        colors = style.method_colors(names)
        assert list(colors) == names
        assert len(set(colors.values())) == len(names)
        assert colors["EG(lr=0.1)"] == style.method_color("EG")

    def test_regimes_have_distinct_lines(self):
        lines = {style.regime_line(regime) for regime in ("converges", "neutral", "cycles", "diverges")}
        assert len(lines) == 4
        with pytest.raises(ValueError, match="explodes"):
            style.regime_line("explodes")

    def test_phase_colours_are_cyclic_and_not_constant(self):
        angles = np.linspace(-np.pi, np.pi, 7)
        assert style.phase_color(angles).shape == (7, 4)
        np.testing.assert_allclose(style.phase_color(-np.pi), style.phase_color(np.pi))
        assert np.ptp(style.phase_color(angles)[:, 0]) > 0.2


class TestField:
    def test_arrows_point_along_minus_v(self):
        display = FieldDisplay.from_function(rotation_field, BOX, 5).plot()
        x, y = np.asarray(display.arrows_.get_offsets()).T
        drawn = np.stack([display.arrows_.U, display.arrows_.V])
        wanted = np.stack([-y, x])
        np.testing.assert_allclose(drawn[0] * wanted[1] - drawn[1] * wanted[0], 0, atol=1e-12)
        assert ((drawn * wanted).sum(axis=0)[np.hypot(x, y) > 0] > 0).all()

    def test_arrow_length_is_the_fourth_root_of_the_speed(self):
        display = FieldDisplay([0.0, 1.0], [0.0], [[[16.0, 1.0]], [[0.0, 0.0]]]).plot()
        np.testing.assert_allclose(display.arrows_.U, [2.0, 1.0])

    def test_not_finite_entries_are_left_out(self):
        display = FieldDisplay([0.0, 1.0], [0.0], [[[np.inf, 1.0]], [[0.0, 1.0]]]).plot()
        assert np.asarray(display.arrows_.Umask).tolist() == [True, False]
        assert render(display) > 1000

    def test_streamlines_render_with_labels(self):
        display = FieldDisplay.from_function(rotation_field, BOX, 12, names=("θ", "ψ")).plot(kind="stream")
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("θ", "ψ")
        assert len(display.arrows_.lines.get_segments()) > 10
        assert render(display) > 1000

    def test_wrong_shapes_and_kinds_are_refused(self):
        with pytest.raises(ValueError, match="keep the shape"):
            FieldDisplay.from_function(lambda z: z[0], BOX)
        with pytest.raises(ValueError, match=r"need \(2, 1, 2\)"):
            FieldDisplay([0.0, 1.0], [0.0], np.zeros((2, 2, 2)))
        with pytest.raises(ValueError, match="'arrows'"):
            FieldDisplay.from_function(rotation_field, BOX).plot(kind="arrows")


class TestOrbit:
    def test_lines_and_marks_are_the_points(self):
        z = np.arange(12.0).reshape(3, 2, 2)
        display = OrbitDisplay(z, label="Extragradient", regime="cycles").plot()
        for index, line in enumerate(display.lines_):
            np.testing.assert_array_equal(line.get_xydata(), z[:, :, index])
            assert line.get_color() == style.method_color("Extragradient")
            assert line.get_linestyle() == "-."
        np.testing.assert_array_equal(display.starts_.get_xydata(), z[0].T)
        np.testing.assert_array_equal(display.ends_.get_xydata(), z[-1].T)
        assert [text.get_text() for text in display.legend_.get_texts()] == ["Extragradient"]
        assert render(display) > 1000

    def test_an_orbit_stops_where_it_is_no_longer_finite(self):
        display = OrbitDisplay([[1.0, 1.0], [2.0, 2.0], [np.inf, 3.0], [4.0, 4.0]]).plot()
        assert display.lines_[0].get_xydata().tolist() == [[1.0, 1.0], [2.0, 2.0]]
        assert display.legend_ is None

    def test_from_step_iterates_the_map(self):
        display = OrbitDisplay.from_step(lambda z: z / 2, [1.0, -4.0], 2)
        assert display.z[:, :, 0].tolist() == [[1.0, -4.0], [0.5, -2.0], [0.25, -1.0]]

    def test_displays_on_one_axes_share_the_legend(self):
        ax = OrbitDisplay([[0.0, 0.0], [1.0, 1.0]], label="Extragradient").plot().ax_
        display = OrbitDisplay([[0.0, 0.0], [1.0, 2.0]], label="Simultaneous").plot(ax)
        assert [text.get_text() for text in display.legend_.get_texts()] == ["Extragradient", "Simultaneous"]

    @pytest.mark.parametrize("shape", [(4,), (4, 3), (0, 2), (4, 2, 1, 1)])
    def test_other_shapes_are_refused(self, shape):
        with pytest.raises(ValueError, match=r"\(steps, 2\)"):
            OrbitDisplay(np.zeros(shape))


class TestSpectrum:
    def test_points_are_the_eigenvalues_of_the_matrices(self):
        display = SpectrumDisplay.from_matrices({"Simultaneous": [[1.0, -0.5], [0.5, 1.0]]}).plot()
        drawn = display.points_["Simultaneous"].get_xydata()
        np.testing.assert_allclose(sorted(map(tuple, drawn)), [(1.0, -0.5), (1.0, 0.5)])
        assert display.border_.radius == 1.0
        assert display.ax_.get_aspect() == 1.0
        assert render(display) > 1000

    def test_a_stack_of_matrices_gives_all_their_eigenvalues(self):
        stack = np.stack([np.diag([1.0, 2.0]), np.diag([3.0, 4.0])])
        assert sorted(SpectrumDisplay.from_matrices({"a": stack}).series["a"].real) == [1.0, 2.0, 3.0, 4.0]

    @pytest.mark.parametrize(("kind", "inside", "outside"), [("jacobian", 0.5, -0.5), ("flow", -0.5, 0.5)])
    def test_the_stable_half_plane_is_shaded(self, kind, inside, outside):
        display = SpectrumDisplay({"a": [-1.0 + 1j, 1.0 - 1j]}, kind=kind).plot()
        (shade,) = display.ax_.patches
        to_pixels = shade.get_transform().transform
        corners = to_pixels(shade.get_path().vertices)[:, 0]
        left, right = corners.min(), corners.max()
        at = display.ax_.transData.transform
        assert left < at((inside, 0))[0] < right
        assert not left < at((outside, 0))[0] < right
        assert list(display.border_.get_xdata()) == [0.0, 0.0]

    def test_unknown_kind_names_the_known_ones(self):
        with pytest.raises(ValueError, match="map, jacobian, flow"):
            SpectrumDisplay({}, kind="circle")


class TestDistance:
    orbits = {
        "Extragradient": np.array([[3.0, 4.0], [0.3, 0.4], [0.03, 0.04]]),
        "Simultaneous": np.array([[3.0, 4.0], [30.0, 40.0], [3e9, 4e9]]),
    }

    def test_curves_are_distances_against_gradient_evaluations(self):
        cost = {"Extragradient": 2, "Simultaneous": 1}
        display = DistanceDisplay.from_orbits(self.orbits, [0.0, 0.0], gradients_per_step=cost).plot()
        line = display.lines_["Extragradient"]
        assert line.get_xdata().tolist() == [0.0, 2.0, 4.0]
        np.testing.assert_allclose(line.get_ydata(), [5.0, 0.5, 0.05])
        assert display.ax_.get_xlabel() == "gradient evaluations"
        assert display.ax_.get_yscale() == "log"
        assert render(display) > 1000

    def test_legend_stands_beside_the_axes_in_the_order_of_the_curves_ends(self):
        display = DistanceDisplay.from_orbits(self.orbits, [0.0, 0.0]).plot()
        assert [text.get_text() for text in display.legend_.get_texts()] == ["Simultaneous", "Extragradient"]
        display.ax_.figure.canvas.draw()
        assert display.legend_.get_window_extent().x0 >= display.ax_.get_window_extent().x1

    def test_a_diverging_curve_does_not_flatten_the_others(self):
        display = DistanceDisplay.from_orbits(self.orbits, [0.0, 0.0]).plot(limit=10.0)
        assert display.ax_.get_ylim()[1] == pytest.approx(50.0)

    def test_zero_and_overflow_are_gaps(self):
        display = DistanceDisplay({"a": ([0, 1, 2], [1.0, 0.0, np.inf])}, regimes={"a": "diverges"}).plot()
        assert np.isnan(display.lines_["a"].get_ydata()).tolist() == [False, True, True]
        assert display.lines_["a"].get_linestyle() == ":"

    def test_a_missing_cost_is_named(self):
        with pytest.raises(ValueError, match="Simultaneous"):
            DistanceDisplay.from_orbits(self.orbits, [0.0, 0.0], gradients_per_step={"Extragradient": 2})

    def test_unequal_lengths_are_refused(self):
        with pytest.raises(ValueError, match="a: cost"):
            DistanceDisplay({"a": ([0, 1], [1.0])})


class TestRegion:
    def test_only_the_part_below_one_is_shaded(self):
        eta = np.linspace(0.1, 1.5, 15)
        display = RegionDisplay.from_functions({"a": lambda step: 0.5 + step / 2}, eta).plot()
        np.testing.assert_allclose(display.lines_["a"].get_ydata(), 0.5 + eta / 2)
        (path,) = display.shades_["a"].get_paths()
        assert path.vertices[:, 0].max() == pytest.approx(1.0)
        assert path.vertices[:, 1].max() == pytest.approx(1.0)
        assert display.ax_.get_ylabel() == "spectral radius ρ"
        assert render(display) > 1000

    def test_an_unstable_method_has_no_shade(self):
        display = RegionDisplay([0.1, 0.2], {"a": [1.1, 1.2]}).plot()
        assert display.shades_["a"].get_paths() == []

    def test_the_axis_ends_at_the_limit(self):
        assert RegionDisplay([0.1, 0.2], {"a": [1.0, 50.0]}).plot(limit=2.0).ax_.get_ylim()[1] == 2.0

    def test_bad_arrays_are_refused(self):
        with pytest.raises(ValueError, match="ascending"):
            RegionDisplay([0.2, 0.1], {})
        with pytest.raises(ValueError, match="a:"):
            RegionDisplay([0.1, 0.2], {"a": [1.0]})


class TestSampleGrid:
    def test_images_stand_row_by_row_with_a_line_between(self):
        images = np.arange(3.0)[:, None, None] * np.ones((3, 2, 3))
        display = SampleGridDisplay(images, columns=2).plot()
        assert display.mosaic.shape == (5, 7)
        np.testing.assert_array_equal(display.mosaic[:2, :3], images[0])
        np.testing.assert_array_equal(display.mosaic[:2, 4:], images[1])
        np.testing.assert_array_equal(display.mosaic[3:, :3], images[2])
        assert np.isnan(display.mosaic[2]).all()
        assert np.isnan(display.mosaic[:, 3]).all()
        assert display.image_.get_clim() == (0.0, 2.0)
        assert display.ax_.get_xlabel() == "3 samples of 2 × 3 pixels"
        assert render(display) > 1000

    def test_flat_rows_are_reshaped(self):
        assert SampleGridDisplay.from_flat(np.zeros((4, 6)), (2, 3), limits=(0, 1)).images.shape == (4, 2, 3)

    def test_other_shapes_are_refused(self):
        with pytest.raises(ValueError, match=r"\(n, h, w\)"):
            SampleGridDisplay(np.zeros((4, 9)))
