"""The display of pseudospectra draws the numbers it was given."""

import io

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import gamedyn as gd
from gamedyn.plotting import style
from gamedyn.plotting.pseudospectra import PseudospectrumDisplay
from gamedyn.stability.nonnormal.numerical_range import numerical_range
from gamedyn.stability.nonnormal.pseudospectrum import pseudospectrum


@pytest.fixture(autouse=True)
def _house_style():
    with style.context("paper"):
        yield
    plt.close("all")


def test_a_normal_matrix_has_circles_of_radius_epsilon():
    P = pseudospectrum([[0.0, 1.0], [-1.0, 0.0]], box=((-1, 1), (-2, 2)), resolution=201)
    shown = PseudospectrumDisplay.from_pseudospectrum(P, levels=[0.5]).plot()
    line = shown.contours_.get_paths()[0].vertices
    distance = np.abs(line[:, 0] + 1j * np.abs(line[:, 1]) - 1j)
    np.testing.assert_allclose(distance, 0.5, atol=2e-3)
    np.testing.assert_allclose(np.sort(shown.points_.get_ydata()), [-1, 1], atol=1e-14)
    assert shown.outline_ is None


@pytest.mark.parametrize("kind", ["flow", "map", "jacobian"])
def test_every_kind_is_drawn_with_its_border_and_outline(kind):
    matrix = np.triu(np.ones((6, 6)), 1) * 0.5
    P = pseudospectrum(matrix, kind=kind, resolution=30)
    shown = PseudospectrumDisplay.from_pseudospectrum(P, outline=numerical_range(matrix).points).plot()
    assert "stable" in shown.ax_.get_title()
    assert len(shown.outline_.get_xdata()) == 65
    buffer = io.BytesIO()
    shown.ax_.figure.savefig(buffer, format="png")
    assert buffer.getbuffer().nbytes > 5000


def test_levels_are_powers_of_ten_within_the_grid_and_never_more_than_eight():
    P = pseudospectrum(np.eye(40, k=1), resolution=20)
    levels = PseudospectrumDisplay.from_pseudospectrum(P).levels
    assert 1 < len(levels) <= 8
    assert P.sigma.min() < levels[0]
    assert levels[-1] <= P.sigma.max()
    np.testing.assert_allclose(np.log10(levels) % 1, 0, atol=1e-9)


def test_of_a_game_the_stable_side_is_the_right_one():
    P = pseudospectrum(gd.games.bilinear(1), [0.0, 0.0], resolution=10)
    assert PseudospectrumDisplay.from_pseudospectrum(P).plot().ax_.get_title() == "stable right of the imaginary axis"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "spiral"}, "map, jacobian, flow"),
        ({"levels": [-1.0]}, "positive"),
        ({"sigma": np.ones((2, 2))}, "give .ny, nx."),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, said):
    data = {"x": [0, 1, 2], "y": [0, 1], "sigma": np.ones((2, 3)), "eigenvalues": [0], **change}
    with pytest.raises(ValueError, match=said):
        PseudospectrumDisplay(data.pop("x"), data.pop("y"), data.pop("sigma"), data.pop("eigenvalues"), **data)
