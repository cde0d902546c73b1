"""What certificates refuse, what the certified field answers, and certificates beside other problems."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import sympy as sp

import gamedyn as gd
from gamedyn.claims import CertificateError, CertifiedField, Cocoercive, Monotone, NegativelyComonotone

MU, L = 0.1, 1.0


def test_what_is_not_optimal_is_no_certificate():
    with pytest.raises(CertificateError, match="certifies nothing") as caught:
        gd.certify(gd.Simultaneous(0.1))  # v(z) is unbounded on monotone fields
    assert caught.value.status in ("unbounded", "unbounded_inaccurate", "infeasible_or_unbounded")


def test_an_inaccurate_solution_is_no_certificate_and_prints_nothing(monkeypatch, capfd):
    from PEPit.wrappers.cvxpy_wrapper import CvxpyWrapper

    solve = CvxpyWrapper.solve
    monkeypatch.setattr(CvxpyWrapper, "solve", lambda self, **options: solve(self, **options, max_iter=4))
    with pytest.raises(CertificateError, match="certifies nothing") as caught:
        gd.certify(gd.Extragradient(0.25), mu=MU, L=L)
    assert caught.value.status != "optimal"
    assert capfd.readouterr() == ("", "")


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


@pytest.mark.parametrize(
    "method", [gd.ProximalPoint(0.5), gd.alternating(gd.ProximalPoint(0.5)), gd.AcceleratedProximalPoint(0.5)]
)
def test_resolvents_under_constraints_are_refused(method):
    with pytest.raises(gd.NotInThisWorld, match="resolvent of a game is that of v alone"):
        gd.certify(method, L=1.0, metric="last_step", constrained=True)


def test_a_projected_resolvent_need_not_rest_at_an_equilibrium():
    """min over x >= 0, max over y of xy + x: at (0, 0), -v = (-1, 0) is a normal, but P∘(I + lr v)⁻¹ moves y."""
    game = gd.Game(["x*y + x", "-x*y - x"], players=[["x"], ["y"]])
    cone = game.constrained(box={"x": (0, sp.oo)})
    assert gd.field(cone, [0.0, 0.0]) == pytest.approx([1, 0])
    lr = 0.5
    assert gd.StepMap(gd.Extragradient(lr), cone)([0.0, 0.0]) == pytest.approx([0, 0])
    unconstrained = gd.StepMap(gd.ProximalPoint(lr), game)([0.0, 0.0])
    projected = [max(unconstrained[0], 0.0), unconstrained[1]]
    assert projected == pytest.approx([0, -(lr**2) / (1 + lr**2)])
    with pytest.raises(gd.NotInThisWorld, match="normal cone"):
        gd.StepMap(gd.ProximalPoint(lr), cone).start([0.0, 0.0])


def test_the_missing_extra_is_named():
    code = (
        "import sys; sys.modules['PEPit'] = None\n"
        "import gamedyn as gd\n"
        "try:\n    gd.certify(gd.Simultaneous(0.1), L=1.0)\n"
        "except ImportError as e:\n    print(e)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "gamedyn[theory]"' in result.stdout


# the field ------------------------------------------------------------------------------------------


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


# other problems meanwhile ---------------------------------------------------------------------------------------


def test_four_threads_certify_what_one_does():
    methods = [gd.Simultaneous(0.1), gd.Extragradient(0.25), gd.Optimistic(0.3), gd.Alternating(0.2)]

    def value(method):
        return gd.certify(method, mu=MU, L=L, steps=2).value

    alone = [value(m) for m in methods]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(value, methods)) == alone


def test_a_problem_that_the_caller_builds_outlives_a_certificate():
    """Gradient descent on 1-smooth convex functions: (f - f*)/|x_0 - x*|² <= 1/6 for one step of length 1."""
    from PEPit import PEP
    from PEPit.functions import SmoothConvexFunction

    problem = PEP()
    f = problem.declare_function(SmoothConvexFunction, L=1.0)
    star = f.stationary_point()
    x0 = problem.set_initial_point()
    problem.set_initial_condition((x0 - star) ** 2 <= 1)
    gd.certify(gd.Alternating(0.2), mu=MU, L=L)
    with pytest.raises(CertificateError):
        gd.certify(gd.Simultaneous(0.1))
    problem.set_performance_metric(f(x0 - f.gradient(x0)) - f(star))
    assert problem.solve(verbose=0, solver="CLARABEL") == pytest.approx(1 / 6, rel=1e-6)
