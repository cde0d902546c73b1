"""Methods on simplices and balls, projected and entropic, are the same maps in every world."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.games.field import NotInThisWorld
from gamedyn.maps.stepmap import StepMap
from gamedyn.testing.agreement import check_jacobians_agree, check_orbits_agree

LR = 0.1
RULES = {
    "simultaneous": gd.Simultaneous(LR),
    "extragradient": gd.Extragradient(LR),
    "optimistic": gd.Optimistic(LR),
    "past-extragradient": gd.PastExtragradient(LR),
    "heavy-ball": gd.HeavyBall(LR, -0.3),
    "alternating": gd.Alternating(LR),
    "alternating-extragradient": gd.alternating(gd.Extragradient(LR)),
    "lookahead": gd.lookahead(gd.Simultaneous(LR), 2, 0.5),
}
LAYERS = {"projected": (), "entropic": (gd.entropic(),), "entropic-timescale": (gd.entropic(), gd.two_timescale(2.0))}


def ball_game():
    """A simplex for one player, a ball and a free variable for the other; equilibrium inside."""
    game = gd.Game(
        ["x1*y1 - x2*y2 + x3*w + x1**2/2 + x2**2/2 + x3**2/2", "-x1*y1 + x2*y2 - x3*w + y1**2 + y2**2 + w**2"],
        players={"row": ["x1", "x2", "x3"], "column": ["y1", "y2", "w"]},
        name="simplex and ball",
    )
    return game.constrained(simplex=["row"], ball={("y1", "y2"): ((0, 0), sp.Rational(1, 4))})


def box_game():
    """An interval, a half-line and a simplex of size 2."""
    game = gd.Game(
        ["(x1 - x2)*y + x1**2 + x2**2", "-(x1 - x2)*y + (y - 1/4)**2 + w**2/2 - w"],
        players={"row": ["x1", "x2"], "column": ["y", "w"]},
        name="boxes",
    )
    return game.constrained({"y": (-1, 1), "w": (0, sp.oo)}, simplex={"row": 2})


GAMES = {
    "rps": (gd.games.rock_paper_scissors(), [[0.5, 0.3, 0.2, 0.2, 0.2, 0.6], [0.9, 0.05, 0.05, 0.1, 0.8, 0.1]]),
    "ball": (ball_game(), [[0.5, 0.3, 0.2, 0.1, 0.05, 0.6], [0.9, 0.05, 0.05, -0.2, 0.125, -0.5]]),
    "boxes": (box_game(), [[1.5, 0.5, 0.5, 2.0], [0.25, 1.75, -0.75, 0.5]]),
}
CELLS = [
    (r, k, g)
    for r in RULES
    for k in LAYERS
    for g in GAMES
    if (k, g) not in (("entropic", "ball"), ("entropic-timescale", "ball"))
]


def rest(name):
    """An equilibrium inside the constraints, exact for the matrix game."""
    if name == "rps":
        return [sp.Rational(1, 3)] * 6
    (e,) = gd.equilibria(GAMES[name][0])
    return list(e.point)


@pytest.mark.parametrize(("rule", "layer", "game"), CELLS)
def test_worlds_agree(rule, layer, game):
    method = gd.Method(RULES[rule], *LAYERS[layer])
    g, starts = GAMES[game]
    for z0 in starts:
        check_orbits_agree(method, g, z0, "array")
        check_orbits_agree(method, g, z0, "neural")
    if layer == "projected" and "lookahead" not in rule:
        check_orbits_agree(method, g, starts[0], "exact")
    for world in ("test", "neural", "array"):
        check_jacobians_agree(method, g, rest(game), world)
    if layer == "projected":
        check_jacobians_agree(method, g, rest(game), "exact")


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize(("rule", "layer"), [("extragradient", "projected"), ("optimistic", "entropic")])
def test_compiled_kernels_agree(rule, layer, game):
    if (layer, game) == ("entropic", "ball"):
        pytest.skip("a ball has no entropic mirror map")
    g, starts = GAMES[game]
    check_orbits_agree(gd.Method(RULES[rule], *LAYERS[layer]), g, starts[0], "numba")


@pytest.mark.parametrize("layer", ["projected", "entropic"])
def test_one_exact_entropic_step_and_jacobian_agree_with_the_array_ones(layer):
    g = gd.games.matching_pennies()
    T = StepMap(gd.Method(gd.Extragradient(sp.Rational(1, 10)), *LAYERS[layer]), g)
    z = [sp.Rational(1, 3), sp.Rational(2, 3), sp.Rational(3, 5), sp.Rational(2, 5)]
    s, f = T.start(z), T.start([float(e) for e in z])
    np.testing.assert_allclose([float(e) for e in T(s)], T(f), atol=1e-13)
    np.testing.assert_allclose(np.array(T.jacobian(s), dtype=float), T.jacobian(f), atol=1e-13)
    assert [sp.simplify(a - b) for a, b in zip(T.point(s), z, strict=True)] == [0] * 4


@pytest.mark.parametrize("game", ["ball", "rps"])
def test_step_jacobians_away_from_rest_are_derivatives(game):
    g, starts = GAMES[game]
    for method in (gd.Extragradient(0.7), gd.Method(gd.Simultaneous(0.4), gd.unrolled(2, 0.3))):
        T = StepMap(method, g)
        for z0 in starts:
            s, h = T.start(z0), 1e-6
            slope = np.stack([(T(s + h * e) - T(s - h * e)) / (2 * h) for e in np.eye(len(s))], axis=1)
            np.testing.assert_allclose(T.jacobian(s), slope, atol=1e-6)


def test_a_batch_of_starts_is_projected_orbit_by_orbit():
    g, starts = GAMES["ball"]
    T = StepMap(gd.Extragradient(0.5), g)
    batch = T(T.start(np.array(starts).T))
    for k, z0 in enumerate(starts):
        np.testing.assert_allclose(batch[:, k], T(T.start(z0)), atol=1e-15)


def test_an_entropic_method_without_constraints_or_on_a_ball_says_why():
    free = gd.zero_sum("x*y", min="x", max="y")
    with pytest.raises(NotInThisWorld, match="constrained"):
        StepMap(gd.Method(gd.Simultaneous(0.1), gd.entropic()), free).start([1.0, 1.0])
    with pytest.raises(NotInThisWorld, match="Ball"):
        StepMap(gd.Method(gd.Simultaneous(0.1), gd.entropic()), ball_game()).start(GAMES["ball"][1][0])
    with pytest.raises(NotInThisWorld, match="once"):
        StepMap(gd.Method(gd.Simultaneous(0.1), gd.entropic(), gd.entropic()), GAMES["rps"][0]).dim  # noqa: B018


@pytest.mark.parametrize(
    "rule", [gd.ProximalPoint(2.0), gd.AcceleratedProximalPoint(2.0), gd.alternating(gd.ProximalPoint(2.0))]
)
def test_a_resolvent_under_constraints_is_refused_in_every_world(rule):
    import sympy as sp
    import torch

    game = gd.zero_sum("x*y", min="x", max="y").constrained({"x": (1, 2), "y": (-1, 1)})
    for z in ([1.5, 0.5], [sp.Rational(3, 2), sp.Rational(1, 2)], torch.tensor([1.5, 0.5], dtype=torch.float64)):
        T = gd.StepMap(rule, game)
        with pytest.raises(gd.NotInThisWorld, match="normal cone"):
            (T.at(0))(T.at(0).start(z))
