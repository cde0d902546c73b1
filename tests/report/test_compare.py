"""`compare`: measured rates agree with predicted ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gamedyn as gd
from gamedyn.report.compare import compare, measured_rate

NAMES = ["Simultaneous", "Alternating", "Extragradient", "Optimistic", "AlternatingHeavyBall", "Lookahead", "Unrolled",
         "Consensus", "SymplecticAdjustment", "ProximalPoint"]  # fmt: skip
LINEAR = {
    "rotation": "x*y",
    "damped rotation": "x*y + 0.3*x**2 - 0.1*y**2",
    "saddle": "x**2 - y**2 + 0.5*x*y",
}


@pytest.mark.parametrize("formula", LINEAR.values(), ids=LINEAR)
def test_measured_rate_agrees_with_the_spectral_radius_on_linear_games(formula):
    result = compare(gd.zero_sum(formula, min="x", max="y"), NAMES, [1.0, 0.7], steps=1500)
    for race in result.races:
        assert race.predicted.rho is not None
        assert race.measured == pytest.approx(race.predicted.rho, abs=5e-4), race.name


def test_measured_rate_of_a_geometric_curve_is_exact_also_beyond_the_floor():
    assert measured_rate(0.9 ** np.arange(2000)) == pytest.approx(0.9, abs=1e-12)
    assert measured_rate(np.maximum(0.5 ** np.arange(400), 1e-16)) == pytest.approx(0.5, abs=1e-12)
    assert measured_rate(3.0 ** np.arange(300)) == pytest.approx(3.0, abs=1e-9)
    assert measured_rate(np.ones(5)) is None


def test_a_target_away_from_the_origin_ends_the_window_at_its_rounding_error():
    k = np.arange(400)
    rounding = 1e-15 * 0.97**k  # noise that goes on shrinking, and says nothing about the rate
    assert measured_rate(0.5**k + rounding, scale=3.0) == pytest.approx(0.5, abs=1e-3)
    assert measured_rate(1e-3 * 0.5**k + 1e-11, scale=1e4) == pytest.approx(0.5, abs=1e-2)


def test_measured_rate_sees_through_the_ripple_of_a_rotation():
    k = np.arange(1000)
    assert measured_rate(0.99**k * (1 + 0.3 * np.sin(0.2 * k))) == pytest.approx(0.99, abs=1e-5)


def test_distance_is_taken_to_the_equilibrium_that_orbits_reach():
    game = gd.zero_sum("(x**2 - 1)**2 - y**2", min="x", max="y")
    result = compare(game, ["Simultaneous"], [-0.8, 0.3], steps=400)
    assert result.z_star == pytest.approx([-1.0, 0.0])
    assert result.races[0].status == "converged"
    assert result.races[0].measured == pytest.approx(0.8, abs=1e-3)  # 1 - lr 2 along y


def test_a_diverging_method_is_a_result():
    result = compare(gd.zero_sum("x*y", min="x", max="y"), ["Simultaneous"], [1.0, 1.0], steps=20_000)
    (race,) = result.races
    assert race.status == "diverged"
    assert race.measured == pytest.approx(np.sqrt(1.01), abs=1e-6)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["methods"][0]["status"] == "diverged"


def test_ranking_is_per_gradient_with_solves_last():
    result = compare(gd.zero_sum("x*y", min="x", max="y"), ["ProximalPoint", "Extragradient", "Optimistic"], [1.0, 1.0])
    assert [r.name for r in result.ranked()] == ["Optimistic", "Extragradient", "ProximalPoint"]
    assert max(map(len, str(result).splitlines())) <= 100


def test_adam_has_a_measurement_and_a_reason_instead_of_a_prediction():
    result = compare(gd.zero_sum("x**2 - y**2", min="x", max="y"), ["Adam"], [1.0, 1.0], steps=50)
    (race,) = result.races
    assert race.predicted.rho is None
    assert "Adam: " in str(result)
    assert "frozen" in str(result)


def test_latex_has_the_rows_of_the_table_in_its_order():
    game = gd.zero_sum("x*y", min="x", max="y")
    result = compare(game, ["ProximalPoint", "Extragradient", "Simultaneous", "Adam"], [1.0, 1.0], steps=20_000)
    page = result.latex()
    body = page.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in body.strip().splitlines()]
    assert [row[0] for row in rows] == [r.name for r in result.ranked()]
    assert {len(row) for row in rows} == {9}
    cells = {row[0]: row for row in rows}
    assert float(cells["Extragradient"][1]) == pytest.approx(np.sqrt(0.99**2 + 0.01), abs=1e-4)
    assert float(cells["Extragradient"][2]) == pytest.approx(np.sqrt(0.99**2 + 0.01), abs=1e-4)
    assert cells["ProximalPoint"][3:5] == ["1 solve", ""]
    assert cells["Simultaneous"][-1] == "diverged"
    mantissa, exponent = cells["Extragradient"][7].strip("$}").split(r" \cdot 10^{")
    assert float(f"{mantissa}e{exponent}") == pytest.approx(result.races[1].distance[-1], rel=0.1, abs=0)
    assert cells["Adam"][1] == ""
    assert "% Adam: " in page
    assert page.startswith("% needs")
    assert page.isascii()


def test_bad_points_are_refused():
    with pytest.raises(ValueError, match="z0 needs 2 finite numbers"):
        compare(gd.zero_sum("x*y", min="x", max="y"), ["Simultaneous"], [1.0])


def test_plot_races_against_gradient_evaluations():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    result = compare(gd.zero_sum("x*y", min="x", max="y"), ["Extragradient", "Optimistic"], [1.0, 1.0], steps=50)
    display = result.plot()
    assert display.lines_["Extragradient"].get_xdata()[-1] == 100
    assert display.lines_["Optimistic"].get_xdata()[-1] == 50
    plt.close("all")
