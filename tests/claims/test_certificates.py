"""Worst cases by certificate: the published figures (M44, M45 and those of PEPit), and that a bound is a bound."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import gamedyn as gd
from gamedyn.claims import CertificateError, CertifiedField, Cocoercive, Monotone, NegativelyComonotone, WeakMinty
from gamedyn.claims.lower_bound import violation
from gamedyn.testing.strategies import points, strongly_monotone_games

PRINTED = 1e-5  # relative: the printed figures carry six digits, the solver about eight
MU, L = 0.1, 1.0


# rules written here, as a user would -----------------------------------------------------------------


@dataclass(frozen=True)
class HalfBack:
    """w = z - lr v(z);  z+ = z - lr (v(z) + v(w))/2."""

    lr: float

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        v = F(z)
        return F.point(z - self.lr * ((v + F(F.point(z - self.lr * v))) / 2)), memory


@dataclass(frozen=True)
class Anchored:
    """Base: the memory is m = z0 - z, its weight depends on the step."""

    lr: float
    k: int = 0

    def at(self, k):
        return replace(self, k=k)

    def init(self, F, z):
        return (0 * z,)


@dataclass(frozen=True)
class FastExtragradient(Anchored):
    """w = z + m/(k+1) - (1 - 1/(k+1)) lr v(z);  z+ = z + m/(k+1) - lr v(w)."""

    def step(self, F, z, memory):
        (m,) = memory
        b = 1 / (self.k + 1)
        w = F.point(z + b * m - (1 - b) * self.lr * F(z))
        new = F.point(z + b * m - self.lr * F(w))
        return new, (m + (z - new),)


@dataclass(frozen=True)
class AnchoredExtragradient(Anchored):
    """w = z + m/(k+2) - lr v(z);  z+ = z + m/(k+2) - lr v(w)."""

    def step(self, F, z, memory):
        (m,) = memory
        b = 1 / (self.k + 2)
        w = F.point(z + b * m - self.lr * F(z))
        new = F.point(z + b * m - self.lr * F(w))
        return new, (m + (z - new),)


@dataclass(frozen=True)
class AcceleratedProximal:
    """x+ = resolvent of y;  y+ = x+ + k/(k+2) ((x+ - x) - (x - y₋)), y₋ what gave x; memory y - x and x - y₋."""

    lr: float
    k: int = 0

    def at(self, k):
        return replace(self, k=k)

    def init(self, F, z):
        return (0 * z, 0 * z)

    def step(self, F, z, memory):
        ahead, last = memory
        y = F.point(z + ahead)
        new = F.point(F.resolvent(self.lr, y))
        return new, (self.k / (self.k + 2) * ((new - z) - last), new - y)


# M44: strongly monotone Lipschitz games ----------------------------------------------------------------


def test_m44_one_extragradient_step_contracts_to_the_printed_worst_case():
    certificate = gd.certify(gd.Extragradient(0.25), mu=MU, L=L, steps=1, metric="distance")
    assert certificate.value == pytest.approx(0.952198, rel=PRINTED)
    assert certificate.interpolation == "necessary"
    assert certificate.checked
    bound = 1 - (MU / L + (MU / L) ** 2 / 16) / 4  # the claim's, with γ = μ on games without coupling
    assert certificate.value <= bound


def test_m44_gradient_descent_at_its_best_step_has_ratio_one_minus_mu_squared():
    certificate = gd.certify(gd.Simultaneous(MU / L**2), mu=MU, L=L)
    assert certificate.value == pytest.approx(1 - MU**2 / L**2, rel=PRINTED)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)


@pytest.mark.parametrize("lr", [0.02, 0.3])
def test_gradient_descent_in_closed_form(lr):
    """1 - 2ημ + η²L², attained by the normal matrix with real part mu and modulus L."""
    certificate = gd.certify(gd.Simultaneous(lr), mu=MU, L=L)
    assert certificate.value == pytest.approx(1 - 2 * lr * MU + lr**2 * L**2, rel=1e-6)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)


def test_three_extragradient_steps_are_bracketed_within_a_thousandth():
    certificate = gd.certify(gd.Extragradient(0.3), mu=MU, L=L, steps=3, metric="distance")
    assert certificate.lower <= certificate.value <= certificate.lower + 1e-3
    assert certificate.gap == certificate.value - certificate.lower


# M45: last iterates on monotone Lipschitz games --------------------------------------------------------

EXTRAGRADIENT = [
    (0.5, 1, 0.8125),
    (0.5, 2, 0.674098),
    (0.5, 5, 0.383012),
    pytest.param(0.5, 10, 0.181030, marks=pytest.mark.slow),
    (0.5**0.5, 1, 0.75),
    (0.5**0.5, 5, 0.284392),
]


@pytest.mark.parametrize(("lr", "steps", "printed"), EXTRAGRADIENT)
def test_m45a_extragradient_residual(lr, steps, printed):
    certificate = gd.certify(gd.Extragradient(lr), L=1.0, steps=steps, metric="residual")
    assert certificate.value == pytest.approx(printed, rel=PRINTED)
    assert certificate.value <= 1 / (lr**2 * (1 - lr**2) * (steps + 1)) * (1 + 1e-6)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize(("steps", "printed"), [(1, 1.11111), (2, 1.04938), (5, 0.748277), (10, 0.399074)])
def test_m45b_optimistic_residual(steps, printed):
    certificate = gd.certify(gd.Optimistic(1 / 3), L=1.0, steps=steps, metric="residual")
    assert certificate.value == pytest.approx(printed, rel=PRINTED)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize("steps", [2, 3, 5, 10])
@pytest.mark.parametrize("lr", [0.3, 2.0])
def test_m45c_proximal_point_last_step_is_attained_by_a_rotation(lr, steps):
    certificate = gd.certify(gd.ProximalPoint(lr), steps=steps, metric="last_step")
    worst = (1 - 1 / steps) ** (steps - 1) / steps
    assert certificate.value == pytest.approx(worst, rel=PRINTED)
    assert certificate.lower == pytest.approx(worst, rel=1e-7)
    assert certificate.interpolation == "exact"
    speed = 1 / (lr * np.sqrt(steps - 1))  # lr² a² = 1/(N - 1)
    assert abs(certificate.worst_jacobian) == pytest.approx(np.array([[0, speed], [speed, 0]]), abs=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_m45d_accelerated_proximal_point_residual_is_one_over_n_squared(steps):
    certificate = gd.certify(AcceleratedProximal(1.0), steps=steps, metric="residual")
    assert certificate.value == pytest.approx(1 / steps**2, rel=PRINTED)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_m45e_fast_extragradient_residual_is_four_over_k_squared(steps):
    certificate = gd.certify(FastExtragradient(1.0), L=1.0, steps=steps, metric="residual")
    assert certificate.value <= 4 / steps**2 * (1 + 1e-6)
    assert certificate.lower <= certificate.value


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_m45f_anchored_extragradient_residual_stays_below_its_bound(steps):
    certificate = gd.certify(AnchoredExtragradient(1 / 8), L=1.0, steps=steps, metric="residual")
    assert certificate.lower <= certificate.value <= 260 / (steps + 1) ** 2


# figures printed with PEPit ------------------------------------------------------------------------------


def test_proximal_point_ten_steps():
    certificate = gd.certify(gd.ProximalPoint(2.0), steps=10, metric="last_step")
    assert certificate.value == pytest.approx(0.038742, rel=PRINTED)


def test_accelerated_proximal_point_ten_steps():
    """The printed measure |x_n - y_n|² is lr² |v(x_n)|²."""
    certificate = gd.certify(AcceleratedProximal(1.0), steps=10, metric="residual")
    assert certificate.value == pytest.approx(0.01, rel=PRINTED)


def test_optimistic_gradient_five_steps_on_any_constraint_set():
    certificate = gd.certify(gd.Optimistic(0.25), L=1.0, steps=5, metric="last_step", constrained=True)
    assert certificate.value == pytest.approx(0.0663141, rel=PRINTED)
    assert not certificate.checked  # normals of unknown sets are not bounded


def test_past_extragradient_five_steps_on_any_constraint_set():
    """The printed measure compares the iterates, not the look-ahead points."""
    certificate = gd.certify(gd.PastExtragradient(0.25), L=1.0, steps=5, metric="last_step", constrained=True)
    assert certificate.value == pytest.approx(0.0602664, rel=PRINTED)


def test_refined_conditions_give_the_printed_value_of_one_optimistic_step():
    """1.0625 = 1 + γ² at γ = 1/4, without constraints; both kinds of conditions give it."""
    refined = gd.certify(gd.Optimistic(0.25), operator=Monotone(L=1.0, refined=True), steps=1)
    assert refined.value == pytest.approx(1.0625, rel=PRINTED)
    assert not refined.checked


# a certificate is a bound ----------------------------------------------------------------------------------

METHODS = {
    "simultaneous": gd.Simultaneous(0.2),
    "extragradient": gd.Extragradient(0.3),
    "optimistic": gd.Optimistic(0.3),
    "proximal": gd.ProximalPoint(0.5),
    "half-back": HalfBack(0.4),
    "heavy-ball": gd.HeavyBall(0.2, -0.3),
    "lookahead": gd.lookahead(gd.Simultaneous(0.2), 2, 0.5),
    "scheduled": gd.scheduled(gd.Extragradient(0.3), "lr", (0.3, 0.1)),
    "alternating": gd.Alternating(0.2),
    "alternating-twice": gd.Alternating(0.2, order=(1, 0), steps=(1, 2)),
    "alternating-proximal": gd.alternating(gd.ProximalPoint(0.5)),
    "two-timescale": gd.Method(gd.Simultaneous(0.1), gd.two_timescale(3.0)),
    "look-ahead answers": gd.Method(gd.Simultaneous(0.2), gd.stop_gradient_lookahead(1, 0.2)),
}


@cache
def certified(name, metric="distance"):
    return gd.certify(METHODS[name], mu=MU, L=L, steps=2, metric=metric)


@pytest.mark.parametrize("name", METHODS)
def test_the_bounds_of_every_method_bracket_its_worst_case(name):
    for metric in ("distance", "residual", "last_step"):
        certificate = certified(name, metric)
        assert certificate.checked
        assert 0 < certificate.lower <= certificate.value
        assert certificate.primal == pytest.approx(certificate.value, abs=1e-5)  # the margin of the proof


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=5)  # every example traces a game anew
@given(data=st.data())
def test_no_game_of_the_class_exceeds_its_certificate(name, data):
    game = data.draw(strongly_monotone_games(mu=MU, L=L))
    z0 = data.draw(points(game.dim))
    orbit = gd.simulate(gd.StepMap(METHODS[name], game), z0, 2)
    start = float(z0 @ z0)
    assert float(orbit.z[-1] @ orbit.z[-1]) <= certified(name).value * start + 1e-14
    v = gd.field(game, orbit.z[-1])
    assert float(v @ v) <= certified(name, "residual").value * start + 1e-14
    last = orbit.z[-1] - orbit.z[-2]
    assert float(last @ last) <= certified(name, "last_step").value * start + 1e-14


@pytest.mark.parametrize("name", METHODS)
def test_the_worst_linear_field_attains_the_lower_bound_in_a_game(name):
    certificate = certified(name)
    J, owners = certificate.worst_jacobian, certificate.worst_owners
    assert violation(certificate.operator.pairs, J[:, :, None])[0] <= 1e-12
    z = sp.symbols("x0:2", real=True)
    field = list(sp.Matrix(J) * sp.Matrix(z))
    idle = sp.Symbol("idle", real=True)  # a player who owns neither coordinate plays a game of its own
    groups = [[z[k] for k in range(2) if owners[k] == i] or [idle] for i in range(2)]
    values = {**dict(zip(z, field, strict=True)), idle: idle}
    order = [s for group in groups for s in group]
    game = gd.field_game([values[s] for s in order], players=groups)
    T = gd.StepMap(METHODS[name], game)
    keep = [k for k, s in enumerate(order) if s is not idle]
    columns = [gd.simulate(T, np.eye(len(order))[k], 2).z[-1][keep] for k in keep]
    assert np.linalg.norm(np.stack(columns, 1), 2) ** 2 == pytest.approx(certificate.lower, rel=1e-9)


@pytest.mark.parametrize("name", ["simultaneous", "extragradient", "optimistic", "proximal"])
def test_methods_that_do_not_tell_players_apart_need_no_partition(name):
    one, three = (gd.certify(METHODS[name], mu=MU, L=L, steps=2, players=n) for n in (1, 3))
    assert one.value == pytest.approx(three.value, rel=1e-12)


def test_two_timescale_steps_are_certified_through_block_partitions():
    """tau = 1 changes nothing, and with one player only the whole field is scaled."""
    plain = gd.certify(gd.Simultaneous(0.1), mu=MU, L=L).value
    assert gd.certify(gd.Method(gd.Simultaneous(0.1), gd.two_timescale(1.0)), mu=MU, L=L).value == pytest.approx(plain)
    scaled = gd.certify(gd.Method(gd.Simultaneous(0.1), gd.two_timescale(3.0)), mu=MU, L=L, players=1)
    assert scaled.value == pytest.approx(1 - 2 * 0.3 * MU + 0.3**2, rel=1e-6)


def test_proximal_steps_on_three_players():
    certificate = gd.certify(gd.alternating(gd.ProximalPoint(0.5)), mu=MU, L=L, players=3)
    assert certificate.checked
    assert certificate.lower <= certificate.value


# the classes --------------------------------------------------------------------------------------------------


def test_certificates_on_pairs_agree_with_the_operators_of_pepit():
    from PEPit import PEP
    from PEPit.operators import (
        CocoerciveOperator,
        CocoerciveStronglyMonotoneOperatorCheap,
        LipschitzStronglyMonotoneOperatorCheap,
    )

    cases = [
        (LipschitzStronglyMonotoneOperatorCheap, {"mu": 0.1, "L": 1.0}),
        (CocoerciveOperator, {"beta": 0.8}),
        (CocoerciveStronglyMonotoneOperatorCheap, {"mu": 0.1, "beta": 0.8}),
    ]
    for declared, constants in cases:
        problem = PEP()
        v = problem.declare_function(declared, **constants)
        z0, star = problem.set_initial_point(), v.stationary_point()
        problem.set_initial_condition((z0 - star) ** 2 <= 1)
        z = z0
        for _ in range(2):
            z = z - 0.4 * v.gradient(z - 0.4 * v.gradient(z))
        problem.set_performance_metric((z - star) ** 2)
        value = problem.solve(verbose=0, solver="CLARABEL")
        assert gd.certify(gd.Extragradient(0.4), steps=2, **constants).value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("lr", [0.5, 1.0, 1.9])
def test_descent_on_a_cocoercive_field_never_moves_away_below_two_beta(lr):
    certificate = gd.certify(gd.Simultaneous(lr), beta=1.0, steps=3)
    assert certificate.value == pytest.approx(1, abs=1e-6)
    assert certificate.interpolation == "exact"


def test_descent_on_a_cocoercive_field_diverges_above_two_beta():
    certificate = gd.certify(gd.Simultaneous(2.5), beta=1.0, steps=3)
    assert certificate.value == pytest.approx(1.5**6, rel=1e-6)
    assert certificate.lower == pytest.approx(1.5**6, rel=1e-9)


def test_cocoercive_and_strongly_monotone_descent_in_closed_form():
    """max of 1 - 2η a + η²|λ|² over the disc with a >= mu: -2η + η²/β < 0, so a = mu on the circle."""
    lr, mu, beta = 0.5, 0.2, 1.0
    certificate = gd.certify(gd.Simultaneous(lr), mu=mu, beta=beta)
    assert certificate.value == pytest.approx(1 - 2 * lr * mu + lr**2 * mu / beta, rel=1e-6)
    assert certificate.lower == pytest.approx(certificate.value, rel=1e-6)
    assert certificate.interpolation == "necessary"


def test_proximal_point_contracts_every_strongly_monotone_field():
    certificate = gd.certify(gd.ProximalPoint(2.0), mu=0.3, steps=3)
    assert certificate.value == pytest.approx((1 + 2.0 * 0.3) ** -6, rel=1e-5)
    assert certificate.interpolation == "exact"


def test_proximal_point_on_negatively_comonotone_fields_needs_steps_above_two_rho():
    assert gd.certify(gd.ProximalPoint(2.5), rho=1.0, steps=2).value == pytest.approx(1, abs=1e-5)
    short = gd.certify(gd.ProximalPoint(1.5), rho=1.0)
    assert short.lower == pytest.approx(4, rel=1e-6)  # λ = -1/rho
    assert short.value == pytest.approx(4, rel=1e-5)
    with pytest.raises(CertificateError, match="unbounded"):
        gd.certify(gd.ProximalPoint(0.9), rho=1.0)  # I + lr J may be singular


def test_extragradient_never_leaves_a_minty_solution_up_to_lr_one_over_l():
    certificate = gd.certify(gd.Extragradient(0.9), operator=WeakMinty(rho=0.0, L=1.0), steps=2)
    assert certificate.value == pytest.approx(1, abs=1e-6)
    weak = gd.certify(gd.Extragradient(0.9), operator=WeakMinty(rho=0.5, L=1.0), steps=2)
    assert weak.value > weak.lower > 1.01


@pytest.mark.slow
def test_refined_conditions_are_no_weaker_than_those_on_pairs():
    plain = gd.certify(gd.Extragradient(0.5), mu=MU, L=L)
    refined = gd.certify(gd.Extragradient(0.5), operator=Monotone(mu=MU, L=L, refined=True))
    assert refined.lower - 1e-6 <= refined.value <= plain.value + 1e-6


# refusals -------------------------------------------------------------------------------------------------------


def test_what_is_not_optimal_is_no_certificate():
    with pytest.raises(CertificateError, match="certifies nothing") as caught:
        gd.certify(gd.Simultaneous(0.1))  # v(z) is unbounded on monotone fields
    assert caught.value.status in ("unbounded", "unbounded_inaccurate", "infeasible_or_unbounded")


def test_an_inaccurate_solution_is_no_certificate(monkeypatch):
    from PEPit.wrappers.cvxpy_wrapper import CvxpyWrapper

    solve = CvxpyWrapper.solve
    monkeypatch.setattr(CvxpyWrapper, "solve", lambda self, **options: solve(self, **options, max_iter=4))
    with pytest.raises(CertificateError, match="certifies nothing") as caught:
        gd.certify(gd.Extragradient(0.25), mu=MU, L=L)
    assert caught.value.status != "optimal"


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (gd.Method(gd.Simultaneous(0.1), gd.Adam()), "Adam is nonlinear in the field"),
        (gd.Method(gd.Simultaneous(0.1), gd.consensus(0.1)), "not its derivatives"),
        (gd.Method(gd.Simultaneous(0.1), gd.symplectic_adjustment(0.1)), "not its derivatives"),
        (gd.Method(gd.Simultaneous(0.1), gd.unrolled(1, 0.1)), "not its derivatives"),
        (gd.LinearizedProximalPoint(0.1), "not its derivatives"),
        (gd.Method(gd.Simultaneous(0.1), gd.frozen((1.0, 2.0))), "no coordinates"),
    ],
)
def test_methods_that_cannot_be_expressed_are_refused_with_a_reason(method, reason):
    with pytest.raises(gd.NotInThisWorld, match=reason):
        gd.certify(method, mu=MU, L=L)


@dataclass(frozen=True)
class Decay:
    """z+ = z/2 - lr v(z): it draws towards the origin, wherever the equilibrium lies."""

    lr: float

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        return F.point(0.5 * z - self.lr * F(z)), memory


def test_a_rule_that_knows_the_origin_is_refused():
    with pytest.raises(gd.NotInThisWorld, match="where the origin lies"):
        gd.certify(Decay(0.1), mu=MU, L=L, steps=2)
    with pytest.raises(gd.NotInThisWorld, match="where the origin lies"):
        gd.certify(Decay(0.1), mu=MU, L=L, steps=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mu": 2.0, "L": 1.0}, "mu=2.0 > L=1.0"),
        ({"mu": -0.1, "L": 1.0}, "mu >= 0"),
        ({"L": 0.0}, "L > 0"),
        ({"beta": 0.0}, "beta > 0"),
        ({"beta": 2.0, "mu": 1.0}, "mu=1.0 > 1/beta"),
        ({"beta": 1.0, "L": 1.0}, "no operator class has the constants"),
        ({"rho": 1.0, "mu": 1.0}, "no operator class has the constants"),
        ({"mu": 0.1, "operator": Monotone(L=1.0)}, "not both"),
        ({"L": 1.0, "steps": 0}, "steps >= 1"),
        ({"L": 1.0, "steps": 1.5}, "steps >= 1"),
        ({"L": 1.0, "players": 0}, "players >= 1"),
        ({"L": 1.0, "metric": "energy"}, "none of"),
        ({"L": 1.0, "solver": "ORACLE"}, "not installed"),
    ],
)
def test_senseless_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gd.certify(gd.Simultaneous(0.1), **arguments)


def test_a_symbol_needs_a_value():
    with pytest.raises(ValueError, match="no number for"):
        gd.certify(gd.Simultaneous(sp.Symbol("eta", positive=True)), L=1.0)


def test_the_residual_of_a_constrained_game_is_refused():
    with pytest.raises(gd.NotInThisWorld, match="does not vanish"):
        gd.certify(gd.Simultaneous(0.1), L=1.0, metric="residual", constrained=True)


def test_the_missing_extra_is_named():
    code = (
        "import sys; sys.modules['PEPit'] = None\n"
        "import gamedyn as gd\n"
        "try:\n    gd.certify(gd.Simultaneous(0.1), L=1.0)\n"
        "except ImportError as e:\n    print(e)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "gamedyn[theory]"' in result.stdout


# the world ------------------------------------------------------------------------------------------------------


def test_the_field_answers_once_for_every_point():
    F = CertifiedField(Monotone(L=1.0))
    v = F(F.z0)
    assert F(F.z0 + 0 * v) is v
    assert F(F.z0 - 0.1 * v - 0.2 * v + 0.3 * v) is v
    assert F(F.z0 - v) is not v


def test_a_resolvent_lies_in_the_graph():
    F = CertifiedField(Cocoercive(1.0))
    w = F.resolvent(0.5, F.z0)
    assert (w + 0.5 * F(w) - F.z0).decomposition_dict == {}


def test_parts_add_up_and_are_projections():
    F = CertifiedField(NegativelyComonotone(1.0, L=2.0), players=3)
    u = F.z0 - 0.5 * F(F.z0)
    rest = F.mask(0, u) + F.mask(1, u) + F.mask(2, u) - u
    assert max(map(abs, rest.decomposition_dict.values()), default=0) <= 1e-15
    for i in range(3):
        again = F.mask(i, F.mask(i, u)) - F.mask(i, u)
        assert max(map(abs, again.decomposition_dict.values()), default=0) <= 1e-15
        other = F.mask((i + 1) % 3, F.mask(i, u))
        assert max(map(abs, other.decomposition_dict.values()), default=0) <= 1e-15


@pytest.mark.parametrize("operation", ["grad", "hvp", "jvp", "vjp", "solve", "derivative", "pullback", "diagonal"])
def test_operations_of_other_worlds_are_refused(operation):
    F = CertifiedField(Monotone(L=1.0))
    arguments = {
        "grad": (0, F.z0),
        "hvp": (0, F.z0, F.z0),
        "jvp": (F.z0, F.z0),
        "vjp": (F.z0, F.z0),
        "solve": (F.z0, 0.1, F.z0),
        "derivative": (F, F.z0, F.z0),
        "pullback": (F, F.z0, F.z0),
        "diagonal": ((1.0, 2.0), F.z0),
    }[operation]
    with pytest.raises(gd.NotInThisWorld, match=f"'{operation}' does not exist in the certified world"):
        getattr(F, operation)(*arguments)


def test_a_certificate_prints_its_bracket():
    text = repr(certified("extragradient"))
    assert "<= worst case of |z_N - z*|² / |z_0 - z*|² <=" in text
    assert "2 steps" in text
    assert len(text.splitlines()) <= 6
