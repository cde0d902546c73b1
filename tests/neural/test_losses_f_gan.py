"""f-GANs: conjugates, domains and best discriminators, checked in formulas; torch against the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from sympy import oo

from gamedyn.neural.losses import DIVERGENCES, LOSSES, FDivergence, divergence, f_gan
from gamedyn.neural.losses.divergences import t, u, v
from gamedyn.neural.losses.f_gan import SCORES

s = sp.Symbol("s", positive=True)
SMOOTH = [d for name, d in DIVERGENCES.items() if name != "total_variation"]
TV = DIVERGENCES["total_variation"]
P = [sp.Rational(k, 10) for k in (5, 3, 2)]
Q = [sp.Rational(k, 10) for k in (1, 3, 6)]

smooth = pytest.mark.parametrize("d", SMOOTH, ids=lambda d: d.name)
every = pytest.mark.parametrize("d", DIVERGENCES.values(), ids=lambda d: d.name)


def zero(e: sp.Expr) -> bool:
    return sp.simplify(sp.expand_log(e, force=True)) == 0


@smooth
def test_conjugate_is_the_supremum_of_ut_minus_f(d: FDivergence) -> None:
    """u solved from t = f'(u), the maximiser since f'' > 0; equal derivatives in t, and equal values at one t."""
    assert sp.simplify(sp.diff(d.f, u, 2)).is_positive
    inside = d.domain.end - s if d.domain.end != oo else t
    (best,) = sp.solve(sp.Eq(sp.diff(d.f, u), inside), u)
    apart = best * inside - d.f.subs(u, best) - d.conjugate.subs(t, inside)
    (free,) = apart.free_symbols
    assert sp.simplify(sp.diff(apart, free)) == 0
    t_1 = sp.diff(d.f, u).subs(u, 1)  # the t whose u is 1
    assert zero(apart.subs(free, t_1 if inside == t else d.domain.end - t_1))


@smooth
def test_supremum_is_infinite_beyond_the_domain(d: FDivergence) -> None:
    if d.domain.end != oo:
        assert sp.limit(u * (d.domain.end + 1) - d.f, u, oo) == oo
    else:
        assert sp.limit(sp.diff(d.f, u), u, oo) == oo  # f' exceeds every t


def test_conjugate_of_total_variation_by_cases() -> None:
    """ut - |u - 1|/2 is linear on both sides of u = 1: the sup is t at u = 1 iff it rises before and falls after."""
    right, left = u * t - (u - 1) / 2, u * t - (1 - u) / 2
    assert sp.solveset(sp.diff(right, u) <= 0, t, sp.S.Reals) == sp.Interval(-oo, sp.Rational(1, 2))
    assert sp.solveset(sp.diff(left, u) >= 0, t, sp.S.Reals) == sp.Interval(-sp.Rational(1, 2), oo)
    assert right.subs(u, 1) == left.subs(u, 1) == TV.conjugate == t
    assert TV.domain == sp.Interval(-sp.Rational(1, 2), sp.Rational(1, 2))
    assert sp.limit(right.subs(t, 1), u, oo) == oo


@every
def test_activation_maps_all_logits_into_the_domain(d: FDivergence) -> None:
    assert sp.simplify(sp.diff(d.activation, v).rewrite(sp.exp)).is_positive
    assert sp.Interval.open(sp.limit(d.activation, v, -oo), sp.limit(d.activation, v, oo)).is_subset(d.domain)


@smooth
def test_witness_is_the_derivative_where_young_is_an_equality_and_the_logit_reaches_it(d: FDivergence) -> None:
    slope = sp.diff(d.f, u)
    assert zero(d.witness - slope)
    assert zero(d.conjugate.subs(t, slope) - (u * slope - d.f))
    assert zero(d.activation.subs(v, d.logit) - d.witness)


def test_witness_of_total_variation_is_the_sign_reached_at_infinite_logits() -> None:
    for r in (sp.Rational(1, 3), sp.Integer(1), sp.Integer(4)):
        assert TV.witness.subs(u, r) == (sp.diff(sp.Abs(s - 1) / 2, s).subs(s, r) if r != 1 else 0)
        assert sp.limit(TV.activation, v, TV.logit.subs(u, r)) == TV.witness.subs(u, r)
        assert TV.conjugate.subs(t, TV.witness.subs(u, r)) == r * TV.witness.subs(u, r) - TV.f.subs(u, r)


@every
def test_divergence_vanishes_on_equal_laws_but_for_the_games_own(d: FDivergence) -> None:
    assert d.f.subs(u, 1) == (-2 * sp.log(2) if d.name == "gan" else 0)
    assert zero(divergence(d.name, P, P) - d.f.subs(u, 1))


@every
def test_bound_at_the_best_discriminator_is_the_divergence(d: FDivergence) -> None:
    best = [d.witness.subs(u, a / b) for a, b in zip(P, Q, strict=True)]
    bound = sum(a * T - b * d.conjugate.subs(t, T) for a, b, T in zip(P, Q, best, strict=True))
    assert zero(bound - divergence(d.name, P, Q))
    assert divergence(d.name, [float(a) for a in P], [float(b) for b in Q]) == pytest.approx(float(bound), abs=1e-14)
    p, q = (torch.tensor([float(e) for e in x], dtype=torch.float64) for x in (P, Q))
    loss = LOSSES[f"fgan_{d.name}"]
    assert loss.optimal_logit is not None
    logits = loss.optimal_logit(p, q)
    paid = q @ SCORES[d.name].conjugate(logits) - p @ SCORES[d.name].activation(logits)
    assert float(paid) == pytest.approx(-float(bound), abs=1e-14)


@every
def test_torch_costs_are_the_formulas(d: FDivergence) -> None:
    logits = torch.linspace(-8, 8, 9, dtype=torch.float64)
    symbolic = d.conjugate.subs(t, d.activation)
    real, fake = f_gan(d.name, saturating=False), f_gan(d.name)
    for a in logits:
        exact = {e: float(e.subs(v, sp.Rational(str(float(a)))).evalf(30)) for e in (d.activation, symbolic)}
        assert -float(fake.generator(a)) == pytest.approx(exact[symbolic], rel=1e-13, abs=1e-15)
        assert -float(real.generator(a)) == pytest.approx(exact[d.activation], rel=1e-13, abs=1e-15)
        paid = exact[symbolic] - exact[d.activation]
        assert float(fake.discriminator(a, a)) == pytest.approx(paid, rel=1e-12, abs=1e-12)


def test_heuristic_generator_of_kl_descends_reverse_kl() -> None:
    p, q = sp.symbols("p q", positive=True)
    kl = DIVERGENCES["kl"]
    pays = -kl.activation.subs(v, kl.logit).subs(u, p / q)  # per unit of mass q at a point, D held
    assert sp.simplify(sp.expand_log(pays - sp.diff(q * sp.log(q / p), q), force=True)).is_number


def test_divergences_of_gaussians_by_quadrature_and_of_disjoint_laws() -> None:
    x = np.linspace(-20, 20, 4001)
    p, q = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0.0, 1.0))
    exact = {"kl": 0.5, "reverse_kl": 0.5, "pearson": np.e - 1, "hellinger": 2 - 2 * np.exp(-1 / 8)}
    for name, value in exact.items():
        assert divergence(name, p, q, weights=x[1] - x[0]) == pytest.approx(value, abs=1e-12)
    apart = {"kl": oo, "reverse_kl": oo, "js": sp.log(4), "gan": 0, "pearson": oo, "hellinger": 2, "total_variation": 1}
    for name, value in apart.items():
        assert zero(divergence(name, sp.Matrix([1, 0]), sp.Matrix([0, 1])) - value) or value == oo
        assert divergence(name, [1, 0], [0, 1]) == pytest.approx(float(value))
    assert divergence("total_variation", [0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]) == 0.5


def test_divergence_refuses_what_is_no_pair_of_laws() -> None:
    with pytest.raises(ValueError, match="kl, reverse_kl, js, gan"):
        divergence("kullback", [1], [1])
    with pytest.raises(ValueError, match="kl, reverse_kl"):
        f_gan("chi")
    with pytest.raises(ValueError, match="one length"):
        divergence("kl", [1.0], [0.5, 0.5])
    with pytest.raises(ValueError, match="one length"):
        divergence("kl", [sp.Integer(1)], [sp.Rational(1, 2), sp.Rational(1, 2)])
    for bad in ([-0.1, 1.1], [float("nan"), 1.0], [sp.Rational(-1, 2), sp.Rational(3, 2)]):
        with pytest.raises(ValueError, match=">= 0"):
            divergence("kl", bad, [0.5, 0.5])
