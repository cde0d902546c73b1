"""Every method is the same map in every world, on every game of the conformance table."""

import numpy as np
import pytest
import sympy as sp
from conformance_table import (
    ADAPTIVE,
    FOR_GAME,
    GAMES,
    IMPLICIT,
    LR,
    METHODS,
    PRECONDITIONED,
    SHALLOW,
    SINGULAR,
    STARTS,
)

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.symbolic import zero_sum
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.basic import Extragradient, HeavyBall, Optimistic, ProximalPoint, Simultaneous
from gamedyn.testing.agreement import RELATIVE, SOLVED, check_jacobians_agree, check_orbits_agree

NAMES = (*METHODS, *FOR_GAME)
CELLS = [(m, g) for m in NAMES for g in GAMES if (m, g) not in SINGULAR]

NO_EXACT_ORBIT = {(m, g) for m in PRECONDITIONED for g in GAMES} | {(m, "dirac-gan") for m in IMPLICIT}
"""Cells that must refuse: normalised steps, and implicit steps where v is not affine."""

NO_JACOBIAN = {(m, g) for m in PRECONDITIONED for g in GAMES}
"""Cells that must refuse: a normalised step has no Jacobian at an equilibrium."""

TOO_LONG = {(m, "dirac-gan") for m in NAMES if m not in SHALLOW} - NO_EXACT_ORBIT - {("lookahead-nested", "dirac-gan")}
"""Exact steps that nest exponentials so deep that ten from the points of an orbit take minutes: one is compared."""

DEEP = (
    *("alternating-linearized-proximal", "linearized-proximal-consensus", "alternating-extragradient"),
    *("lookahead", "lookahead-alternating", "alternating-lookahead", "stop-gradient-lookahead"),
    *("unrolled", "optimistic-all-unrolled", "consensus-of-unrolled", "scheduled-unrolled"),
    *("runge-kutta-4", "local-symplectic-surgery"),
)
ONE_STEP = {m: ("0", "-1/2") for m in DEEP} | {"alternating-consensus": ("3/4", "0")}
"""Of these the one step starts on an axis, where half of the exponentials are 1; elsewhere it takes minutes.

The nested lookahead, four gradients deep, has none: from every start it takes minutes."""

KERNELS = {m: "dirac-gan" if m in SHALLOW else "three-players" for m in NAMES}
KERNELS |= {m: "bilinear" for m in (*PRECONDITIONED, "proximal-unrolled")} | {"proximal-point": "dirac-gan"}
"""The game on which each method is compiled (0.5 to 2 s a kernel)."""


def _case(method, game):
    g, equilibrium = GAMES[game]
    return (FOR_GAME[method](g) if method in FOR_GAME else METHODS[method]), g, equilibrium


def _tolerance(method):
    return SOLVED if method in IMPLICIT else RELATIVE


@pytest.mark.parametrize(("method", "game"), CELLS)
def test_worlds_agree(method, game):
    rule, g, equilibrium = _case(method, game)
    for k, start in enumerate(STARTS):
        z0 = start[: g.dim]
        check_orbits_agree(rule, g, z0, "array", _tolerance(method))
        if (
            k == 0 or method != "proximal-unrolled"
        ):  # second derivatives in every Newton step: seconds an orbit in torch
            check_orbits_agree(rule, g, z0, "neural", _tolerance(method))
        if (method, game) not in NO_EXACT_ORBIT | TOO_LONG | {("lookahead-nested", "dirac-gan")}:
            check_orbits_agree(rule, g, z0, "exact", _tolerance(method))
    if (method, game) not in NO_JACOBIAN:
        for world in ("exact", "neural", "array") if method in ADAPTIVE else ("exact", "test", "neural", "array"):
            check_jacobians_agree(rule, g, equilibrium, world)


@pytest.mark.parametrize("method", sorted(m for m, _ in TOO_LONG))
def test_one_exact_step_agrees_where_ten_are_too_long(method):
    rule, g, _ = _case(method, "dirac-gan")
    start = [sp.Rational(x) for x in ONE_STEP.get(method, ("3/4", "-1/2"))]
    T = StepMap(rule, g).at(0)
    exact = T(T.start(start))
    printed = T(T.start([float(x) for x in start]))
    assert np.max(np.abs(printed[: g.dim] - [float(x) for x in start])) > 1e-3  # it moves
    assert [float(sp.N(e, 20)) for e in exact] == pytest.approx(list(printed), rel=RELATIVE, abs=RELATIVE)


@pytest.mark.parametrize(("method", "game"), KERNELS.items())
def test_compiled_kernel_agrees_with_printed_numpy(method, game):
    rule, g, _ = _case(method, game)
    for start in STARTS:
        check_orbits_agree(rule, g, start[: g.dim], "numba", _tolerance(method))


@pytest.mark.parametrize(("method", "game"), sorted(NO_EXACT_ORBIT))
def test_exact_orbit_that_cannot_exist_is_refused(method, game):
    rule, g, _ = _case(method, game)
    with pytest.raises(NotInThisWorld):
        check_orbits_agree(rule, g, STARTS[0][: g.dim], "exact")


@pytest.mark.parametrize(("method", "game"), sorted(NO_JACOBIAN))
def test_jacobian_of_a_normalised_step_is_refused_on_the_test_field(method, game):
    rule, g, equilibrium = _case(method, game)
    with pytest.raises(NotInThisWorld):
        StepMap(rule, g).test_jacobian([float(e) for e in equilibrium])
    with pytest.raises(NotInThisWorld):
        StepMap(rule, g).start([sp.Rational(e) for e in equilibrium])


@pytest.mark.parametrize(("method", "game"), sorted(SINGULAR))
def test_method_that_solves_a_singular_system_is_refused_in_every_world(method, game):
    rule, g, equilibrium = _case(method, game)
    T = StepMap(rule, g)
    z = STARTS[0][: g.dim]
    import torch

    points = (z, [sp.Rational(x) for x in z], torch.tensor(z, dtype=torch.float64))
    for step in (
        *(lambda p=p: T(T.start(p)) for p in points),
        lambda: T.test_jacobian([float(e) for e in equilibrium]),
    ):
        with pytest.raises(NotInThisWorld, match="singular"):
            step()


@pytest.mark.parametrize("method", sorted(ADAPTIVE))
def test_weights_that_are_inner_products_have_no_test_field(method):
    g, _ = GAMES["general-sum"]
    with pytest.raises(NotInThisWorld, match="nonlinear in the field"):
        StepMap(METHODS[method], g).test_jacobian([0.0] * g.dim)


@pytest.mark.parametrize("method", IMPLICIT)
def test_newton_leaves_no_residual(method):
    g, _ = GAMES["dirac-gan"]
    T = StepMap(METHODS[method], g)
    z = np.array([0.9, -0.7])
    w = T(T.start(z))
    if method == "proximal-point":
        residual = w + LR * g.field("array")(w) - z
        assert np.max(np.abs(residual)) < 1e-12
    import torch

    torch_w = T(T.start(torch.tensor(z))).numpy()
    assert np.max(np.abs(torch_w - w)) < SOLVED


@pytest.mark.parametrize(
    "rule", [Simultaneous(LR), Extragradient(LR), Optimistic(LR), HeavyBall(LR, 0.3), ProximalPoint(LR)]
)
def test_measured_contraction_is_the_spectral_radius_where_the_leading_eigenvalue_is_simple(rule):
    g = zero_sum("x**2 + x*y/10 - y**2/4", min="x", max="y")
    T = StepMap(rule, g)
    s = T.start([0.5, 0.5])
    moduli = np.sort(np.abs(np.linalg.eigvals(T.jacobian(s))))
    assert moduli[-1] - moduli[-2] > 0.05  # simple and dominant
    for _ in range(200):
        s, last = T(s), s
    assert np.linalg.norm(s) / np.linalg.norm(last) == pytest.approx(moduli[-1], abs=1e-8)
    exact = T.jacobian(T.start([sp.Rational(1, 2)] * 2))
    assert max(abs(complex(e)) for e in np.linalg.eigvals(np.array(exact, dtype=float))) == pytest.approx(
        moduli[-1], abs=1e-12
    )
