"""Constraint sets: projections are nearest points, derivatives are derivatives, and every world computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.games.arithmetic import SymbolicArithmetic
from gamedyn.games.constraints import Ball, Box, Simplex
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.geometry import Geometry
from gamedyn.maps.fingerprint import fingerprint
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Simultaneous

R = sp.Rational
SETS = {
    "box": Box((0, 1, 2), (R(-1), -sp.oo, R(0)), (R(1, 2), R(1), sp.oo)),
    "ball": Ball((0, 1, 2), (R(1), R(0), R(-1, 2)), R(3, 2)),
    "simplex": Simplex((0, 1, 2)),
    "simplex of size 2": Simplex((0, 1, 2), R(2)),
}
CORNERS = {
    "box": np.array([[-1, -50, 0], [0.5, 1, 50], [-1, 1, 0], [0.5, -50, 50]], dtype=float),
    "simplex": np.eye(3),
    "simplex of size 2": 2 * np.eye(3),
}
POINTS = st.lists(st.floats(-4, 4).map(lambda x: round(x, 3)), min_size=3, max_size=3)


def geometry(name: str) -> Geometry:
    return Geometry([SETS[name]], 3)


def project(name: str, x: object) -> np.ndarray:
    return geometry(name).project.numpy(np.asarray(x, dtype=float), [])


def members(name: str) -> np.ndarray:
    """Points of the set: its corners, or for the ball points of the sphere."""
    if name != "ball":
        return CORNERS[name]
    u = np.random.default_rng(0).normal(size=(50, 3))
    return np.array([1, 0, -0.5]) + 1.5 * u / np.linalg.norm(u, axis=1)[:, None]


@pytest.mark.parametrize("name", SETS)
@given(x=POINTS)
@settings(deadline=None, max_examples=60)
def test_projection_is_the_nearest_point(name, x):
    p = project(name, x)
    assert SETS[name].slack(_Floats, p).min() >= -1e-12
    if "simplex" in name:
        assert p.sum() == pytest.approx(float(SETS[name].size), abs=1e-12)
    for w in members(name):  # <x - p, w - p> <= 0 characterises the projection
        assert np.dot(np.array(x) - p, w - p) <= 1e-10


@pytest.mark.parametrize("name", SETS)
@given(x=POINTS, y=POINTS)
@settings(deadline=None, max_examples=40)
def test_projection_is_idempotent_and_nonexpansive(name, x, y):
    p, q = project(name, x), project(name, y)
    np.testing.assert_allclose(project(name, p), p, atol=1e-12)
    assert np.linalg.norm(p - q) <= np.linalg.norm(np.subtract(x, y)) + 1e-12


def test_projection_onto_the_simplex_is_the_best_of_all_supports():
    rng = np.random.default_rng(1)
    for x in rng.normal(size=(20, 4)):
        candidates = []
        for mask in range(1, 16):
            support = np.array([mask >> k & 1 for k in range(4)], dtype=bool)
            w = np.where(support, x - (x[support].sum() - 1) / support.sum(), 0.0)
            candidates.append(w if w.min() >= 0 else np.full(4, np.inf))
        best = min(candidates, key=lambda w: np.sum((w - x) ** 2))
        np.testing.assert_allclose(Geometry([Simplex((0, 1, 2, 3))], 4).project.numpy(x, []), best, atol=1e-13)


@pytest.mark.parametrize("name", SETS)
@given(x=POINTS)
@settings(deadline=None, max_examples=25)
def test_exact_and_torch_projections_are_the_array_one(name, x):
    g, expected = geometry(name), project(name, x)
    exact = g.project.exact([R(str(e)) for e in x])
    assert [float(e) for e in exact] == pytest.approx(list(expected), abs=1e-12)
    t = g.torch("project", torch.tensor([x, x], dtype=torch.float64).T)
    np.testing.assert_allclose(t.numpy(), np.stack([expected, expected], axis=1), atol=1e-12)


def test_projections_at_rational_points_are_exact():
    g = Geometry([Simplex((0, 1, 2)), Ball((3, 4), (R(0), R(0)), R(1))], 5)
    assert g.project.exact([R(1, 2), R(1, 3), R(-2), R(3), R(4)]) == [R(7, 12), R(5, 12), 0, R(3, 5), R(4, 5)]
    many = Geometry([Simplex(tuple(range(6)))], 6)
    assert many.project.exact([R(k, 7) for k in range(6)]) == [0, 0, R(1, 28), R(5, 28), R(9, 28), R(13, 28)]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_formula_of_a_symbolic_simplex_is_the_sorted_threshold(k):
    symbols = sp.symbols(f"x0:{k}", real=True)
    formula = Simplex(tuple(range(k))).project(SymbolicArithmetic(), SymbolicArithmetic().vector(symbols))
    for x in np.random.default_rng(k).normal(size=(5, k)):
        value = [float(e.xreplace(dict(zip(symbols, map(sp.Float, x), strict=True)))) for e in formula]
        np.testing.assert_allclose(value, Geometry([Simplex(tuple(range(k)))], k).project.numpy(x, []), atol=1e-12)


def test_a_large_symbolic_simplex_is_refused_and_projected_at_numbers():
    g = Geometry([Simplex(tuple(range(6)))], 6)
    with pytest.raises(NotInThisWorld, match="at numbers only"):
        g.project.exact(sp.symbols("x0:6", real=True))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["project", "primal"])
def test_tangents_are_derivatives_away_from_kinks(name, kind):
    if (name, kind) == ("ball", "primal"):
        pytest.skip("a ball has no entropic mirror map")
    g, rng, h = geometry(name), np.random.default_rng(3), 1e-6
    f = getattr(g, kind)
    for x in rng.normal(size=(8, 3)) * 1.7:
        t, c = rng.normal(size=(2, 3))
        slope = (f.numpy(x + h * t, []) - f.numpy(x - h * t, [])) / (2 * h)
        tangent = f.tangent(0).numpy(x, t, [])
        np.testing.assert_allclose(tangent, slope, atol=1e-8)
        assert np.dot(c, tangent) == pytest.approx(np.dot(t, f.cotangent(0).numpy(x, c, [])), abs=1e-12)
        leaf = torch.tensor(x, requires_grad=True)
        (pulled,) = torch.autograd.grad(g.torch(kind, leaf), leaf, torch.tensor(c))
        np.testing.assert_allclose(pulled.numpy(), f.cotangent(0).numpy(x, c, []), atol=1e-12)
        exact = f.tangent(0).exact([R(str(e)) for e in x], [R(str(e)) for e in t])
        np.testing.assert_allclose([float(e) for e in exact], tangent, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), [("ball", "project"), ("simplex", "primal"), ("box", "primal")])
def test_second_derivatives_are_derivatives_of_tangents(name, kind):
    g, rng, h = geometry(name), np.random.default_rng(4), 1e-6
    f = getattr(g, kind).tangent(0)
    for x in rng.normal(size=(5, 3)) * 2:
        t, u = rng.normal(size=(2, 3))
        slope = (f.numpy(x + h * u, t, []) - f.numpy(x - h * u, t, [])) / (2 * h)
        np.testing.assert_allclose(f.tangent(0).numpy(x, t, u, []), slope, atol=1e-7)


@pytest.mark.parametrize("name", ["box", "simplex", "simplex of size 2"])
@given(y=POINTS)
@settings(deadline=None, max_examples=30)
def test_the_mirror_map_undoes_the_dual_map_inside_the_set(name, y):
    g = geometry(name)
    z = g.primal.numpy(np.array(y), [])
    assert SETS[name].slack(_Floats, z).min() > 0
    back = g.dual.numpy(z, [])
    centred = np.array(y) - np.mean(y) if "simplex" in name else np.array(y)
    np.testing.assert_allclose(back, centred, atol=1e-9)
    np.testing.assert_allclose(g.torch("primal", torch.tensor(y, dtype=torch.float64)).numpy(), z, atol=1e-13)


def test_softmax_neither_overflows_nor_underflows():
    z = Geometry([Simplex((0, 1, 2))], 3).primal.numpy(np.array([800.0, -800.0, 799.0]), [])
    np.testing.assert_allclose(z, [1 / (1 + np.exp(-1)), 0, 1 / (1 + np.exp(1))], atol=1e-15)


# what a user writes ---------------------------------------------------------------------------------


def plain() -> gd.SymbolicGame:
    return gd.Game(
        ["x1*y1 - x2*y2 + x3*w", "-x1*y1 + x2*y2"],
        players={"row": ["x1", "x2", "x3"], "column": ["y1", "y2", "w"]},
        name="plain",
    )


def test_groups_are_players_variables_or_tuples_of_variables():
    g = plain().constrained({"w": (0, np.inf)}, ball={("y1", "y2"): ((1, 0), 2)}, simplex=["row"])
    assert g.constraints == (
        Box((5,), (0,), (sp.oo,)),
        Ball((3, 4), (1, 0), 2),
        Simplex((0, 1, 2), 1),
    )
    assert plain().constrained(simplex={0: 3, "column": R(1, 2)}).constraints == (
        Simplex((0, 1, 2), 3),
        Simplex((3, 4, 5), R(1, 2)),
    )
    assert plain().constrained({"row": (0, 1)}).constrained({"x2": (0, 2)}).constraints == (
        Box((0, 1, 2), (0, 0, 0), (1, 2, 1)),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"simplex": ["row", ("x1", "x2")]}, "overlap"),
        ({"box": {"x1": (0, 1)}, "ball": {"row": 1}}, "overlap"),
        ({"box": {"row": (0, 1), "x1": (0, 2)}}, "twice"),
        ({"simplex": ["nobody"]}, "simplex names"),
        ({"simplex": [7]}, "simplex names"),
        ({"simplex": [("x1", "x1")]}, "twice"),
        ({"simplex": {"row": 0}}, "positive"),
        ({"ball": {"row": -1}}, "positive"),
        ({"ball": {"row": ((0, 0), 1)}}, "a centre of 2 numbers for 3 variables"),
        ({"ball": {"row": sp.oo}}, "finite"),
        ({"box": {"x1": (0, sp.Symbol("a"))}}, "made of numbers"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plain().constrained(**arguments)


def test_a_callable_game_is_constrained_by_player():
    g = gd.callable_game(lambda z: [(z**2).sum(), -(z**2).sum()], sizes=[3, 2]).constrained(
        simplex=[0], ball={"player2": 1}
    )
    T = StepMap(Simultaneous(0.5), g)
    s = T(T.start(torch.tensor([0.2, 0.3, 0.5, 0.6, 0.7], dtype=torch.float64)))
    np.testing.assert_allclose(s[:3].numpy(), [1 / 3] * 3, atol=1e-15)
    assert float(s[3:].norm()) == pytest.approx(1)


def test_games_with_different_sets_have_different_fingerprints():
    sets = [{}, {"simplex": ["row"]}, {"simplex": {"row": 2}}, {"ball": {"row": 1}}, {"ball": {"row": ((1, 0, 0), 1)}}]
    prints = {fingerprint(plain().constrained(**s)) for s in sets}
    assert len(prints) == len(sets)
    assert "" not in prints


def test_large_simplices_run_on_the_tape_and_small_ones_as_printed_code():
    rng = np.random.default_rng(0)
    small, large = (gd.games.bimatrix(rng.integers(-3, 4, size=(k, k))) for k in (8, 12))
    assert StepMap(Simultaneous(0.1), small).array.printed
    T = StepMap(Simultaneous(0.1), large)
    assert not T.array.printed
    z = T.point(T(T.start(np.full((24, 5), 1 / 12))))
    np.testing.assert_allclose(z[:12].sum(axis=0), 1, atol=1e-13)
    assert z.shape == (24, 5)


class _Floats:
    """The float operations that slacks need."""

    stack = staticmethod(np.stack)
    sum = staticmethod(lambda x: x.sum(keepdims=True))
    constants = staticmethod(lambda values, like: np.array([float(v) for v in values]))
