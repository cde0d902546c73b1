"""Losses of GANs: what each states as its optimum is what minimising its costs finds."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance
from torch import Tensor

from gamedyn.neural.losses import (
    LOSSES,
    GANLoss,
    as_loss,
    divergence,
    f_gan,
    feature_matching,
    hinge,
    least_squares,
    least_squares_with,
    non_saturating,
    relativistic,
    saturating,
    smoothed,
    wasserstein,
)

DOUBLE = torch.float64
P, Q = torch.tensor([0.5, 0.3, 0.2], dtype=DOUBLE), torch.tensor([0.1, 0.3, 0.6], dtype=DOUBLE)
SMOOTH = [
    loss
    for name, loss in LOSSES.items()
    if name not in ("minimax", "wasserstein", "hinge", "relativistic_hinge", "fgan_total_variation")
]
SMOOTH += [smoothed("saturating"), smoothed("non_saturating", real=0.8, fake=0.3), least_squares_with(-1, 1, 0)]


def scene(real: Tensor, fake: Tensor) -> Any:
    return SimpleNamespace(real_logits=real, fake_logits=fake, shown_logits=fake)


def rows(p: Tensor) -> list[int]:
    """The points 0..k-1, each as often as its share of ten."""
    return [k for k, share in enumerate(p.tolist()) for _ in range(round(10 * share))]


def costs(loss: GANLoss, d: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Exact expectations over x ~ p, G(z) ~ q, independent, of a D with the value d[k] at point k."""
    pairs = torch.cartesian_prod(torch.tensor(rows(p)), torch.tensor(rows(q)))
    seen = scene(d[pairs[:, :1]], d[pairs[:, 1:]])
    return loss.generator_cost(seen), loss.discriminator_cost(seen)


def best_logits(loss: GANLoss, p: Tensor, q: Tensor) -> Tensor:
    """argmin over d of cost_D by Newton's method, halving steps that do not descend."""
    d = torch.full_like(p, 0.25)

    def cost(x: Tensor) -> Tensor:
        return costs(loss, x, p, q)[1]

    for _ in range(60):
        g = torch.func.grad(cost)(d)
        if g.norm() < 1e-13:
            break
        step = torch.linalg.lstsq(torch.autograd.functional.hessian(cost, d), g, driver="gelsd").solution
        while cost(d - step) > cost(d) + 1e-15:
            step = step / 2
        d = d - step
    return d


# --- the stated best discriminator


@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: loss.name)
def test_the_stated_discriminator_is_the_best(loss: GANLoss) -> None:
    found = best_logits(loss, P, Q)
    if loss.optimal_logit is None:
        assert loss is LOSSES["relativistic_average"]
        # p (σ(-a) + E_q σ(b)) = q (σ(b) + E_p σ(-a)) with a = D - E_q D, b = D - E_p D
        a, b = found - Q @ found, found - P @ found
        left, right = torch.sigmoid(-a), torch.sigmoid(b)
        torch.testing.assert_close(P * (left + Q @ right), Q * (right + P @ left), rtol=0, atol=1e-12)
        found = best_logits(loss, P, P)
        torch.testing.assert_close(found, found[:1].expand(3), rtol=0, atol=1e-9)
        return
    stated = loss.optimal_logit(P, Q)
    if loss is relativistic:  # differences alone count
        found, stated = found - found[1], stated - stated[1]
    torch.testing.assert_close(found, stated, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["hinge", "relativistic_hinge"])
def test_hinge_rests_at_its_kinks(name: str) -> None:
    """A convex cost that is linear between kinks has its minimum at one: no move on a fine grid is better."""
    axis = torch.linspace(-2, 2, 9, dtype=DOUBLE)
    grid = torch.cartesian_prod(axis, axis, axis)
    if name == "hinge":
        paid = torch.stack([costs(hinge, d, P, Q)[1] for d in grid])
        assert hinge.optimal_logit is not None
        assert paid.min() == pytest.approx(float(costs(hinge, hinge.optimal_logit(P, Q), P, Q)[1]), abs=1e-14)
        assert paid.min() == pytest.approx(2 - 2 * divergence("total_variation", P, Q), abs=1e-14)
    at_rest = torch.stack([costs(LOSSES[name], d, P, P)[1] for d in grid])
    assert at_rest.min() == pytest.approx(2, abs=1e-14)
    flat = grid.abs().amax(1) <= 1 if name == "hinge" else (grid - (grid @ P)[:, None]).abs().amax(1) <= 1
    assert bool(((at_rest - 2).abs()[flat] < 1e-14).all())
    assert bool((at_rest[~flat] > 2 + 1e-3).all())


def test_wasserstein_is_the_earth_movers_distance_over_lipschitz_critics_and_unbounded_over_all() -> None:
    points = np.array([0.0, 1.0, 3.0])
    slopes = np.array([[1, -1, 0], [-1, 1, 0], [0, 1, -1], [0, -1, 1]])
    best = linprog(
        (Q - P).numpy(), A_ub=slopes, b_ub=np.repeat(np.diff(points), 2), bounds=[(0, 0), *[(None, None)] * 2]
    )
    cost = costs(wasserstein, torch.tensor(best.x, dtype=DOUBLE), P, Q)[1]
    assert float(cost) == pytest.approx(-wasserstein_distance(points, points, P.numpy(), Q.numpy()), abs=1e-12)
    assert wasserstein.optimal_logit is None
    assert costs(wasserstein, 1e6 * torch.sign(P - Q), P, Q)[1] < -1e5
    assert costs(wasserstein, torch.tensor([3.0, -5.0, 9.0], dtype=DOUBLE), P, P)[1] == pytest.approx(0, abs=1e-14)


# --- rest: p_G = p_data

LOG_2 = np.log(2)
REST: dict[str, tuple[float, float, float]] = {  # D, cost_G, cost_D
    "saturating": (0, -LOG_2, 2 * LOG_2),
    "non_saturating": (0, LOG_2, 2 * LOG_2),
    "wasserstein": (0, 0, 0),
    "hinge": (0, 0, 2),
    "least_squares": (0.5, 1 / 8, 1 / 4),
    "relativistic": (0, LOG_2, LOG_2),
    "relativistic_average": (0, 2 * LOG_2, 2 * LOG_2),
    "relativistic_hinge": (0, 2, 2),
    "fgan_kl": (1, -1, 0),
    "fgan_reverse_kl": (0, 1, 0),
    "fgan_js": (0, 0, 0),
    "fgan_gan": (0, -LOG_2, 2 * LOG_2),
    "fgan_pearson": (0, 0, 0),
    "fgan_hellinger": (0, 0, 0),
    "fgan_total_variation": (0, 0, 0),
}
ANY_CONSTANT = {
    "wasserstein",
    "hinge",
    "relativistic",
    "relativistic_average",
    "relativistic_hinge",
    "fgan_total_variation",
}


def field_on_a_line(loss: GANLoss, theta: float, slope: float, level: float) -> list[float]:
    """v = (∂cost_G/∂θ, ∂cost_D/∂w, ∂cost_D/∂b) of G(z) = z + θ, D(x) = wx + b, z on the same points as the data."""
    x = torch.tensor([[-1.0], [0.5], [2.0]], dtype=DOUBLE)
    w = torch.tensor([theta, slope, level], dtype=DOUBLE, requires_grad=True)
    seen = scene(w[1] * x + w[2], w[1] * (x + w[0]) + w[2])
    g = torch.autograd.grad(loss.generator_cost(seen), w, retain_graph=True)[0][:1]
    return [*g.tolist(), *torch.autograd.grad(loss.discriminator_cost(seen), w)[0][1:].tolist()]


def test_the_table_of_rest_is_complete() -> None:
    assert {*REST, "minimax"} == set(LOSSES)
    assert LOSSES["minimax"] is saturating


@pytest.mark.parametrize("name", REST)
def test_players_rest_where_the_loss_says_and_nowhere_near(name: str) -> None:
    loss, (level, cost_g, cost_d) = LOSSES[name], REST[name]
    paid = costs(loss, torch.full_like(P, level), P, P)
    assert [float(c) for c in paid] == pytest.approx([cost_g, cost_d], abs=1e-14)
    assert field_on_a_line(loss, 0, 0, level) == pytest.approx([0, 0, 0], abs=1e-15)
    elsewhere = np.linalg.norm(field_on_a_line(loss, 0, 0, level + 0.3))
    assert elsewhere == pytest.approx(0, abs=1e-15) if name in ANY_CONSTANT else elsewhere > 0.05
    assert np.linalg.norm(field_on_a_line(loss, 0.5, 0, level)) > 0.05  # D sees that p_G is elsewhere
    assert abs(field_on_a_line(loss, 0, 0.3, level)[0]) > 0.05  # and G follows a D that slopes


@pytest.mark.parametrize("loss", [*LOSSES.values(), smoothed("saturating"), smoothed("saturating", fake=0.1)], ids=repr)
def test_zero_sum_is_said_where_the_costs_add_up_to_what_no_generator_moves(loss: GANLoss) -> None:
    real, fake = (3 * torch.randn(5, 1, dtype=DOUBLE, generator=torch.Generator().manual_seed(k)) for k in (0, 1))

    def total(fake: Tensor) -> Tensor:
        return loss.generator_cost(scene(real, fake)) + loss.discriminator_cost(scene(real, fake))

    assert bool(torch.func.grad(total)(fake).abs().max() < 1e-14) == loss.zero_sum


# --- slopes and values


def test_saturating_gradient_vanishes_where_the_discriminator_is_sure_and_the_other_does_not() -> None:
    sigma = 1 / (1 + np.exp(10.0))
    sure = torch.full((1, 1), -10.0, dtype=DOUBLE)
    slopes = {loss.name: float(torch.func.grad(loss.generator)(sure)) for loss in (saturating, non_saturating)}
    assert slopes["saturating"] == pytest.approx(-sigma, rel=1e-12)
    assert slopes["non_saturating"] == pytest.approx(-(1 - sigma), rel=1e-12)


def test_costs_stay_finite_where_the_discriminator_is_sure() -> None:
    exponential = {"fgan_kl", "fgan_reverse_kl", "fgan_hellinger"}
    for name, loss in LOSSES.items():
        size = 80.0 if name in exponential else 1e4
        for sure in (torch.full((3, 1), size), torch.full((3, 1), -size)):
            assert bool(loss.generator_cost(scene(-sure, sure)).isfinite()), name
            assert bool(loss.discriminator_cost(scene(-sure, sure)).isfinite()), name


def test_non_saturating_generator_at_the_best_discriminator_descends_reverse_kl_minus_two_jsd() -> None:
    """Both gradients in the masses q, up to a constant, which the sum over q does not feel."""
    assert non_saturating.optimal_logit is not None
    logits = non_saturating.optimal_logit(P, Q)
    pays = torch.nn.functional.softplus(-logits)
    kl = torch.func.grad(lambda q: (q * (q / P).log()).sum())(Q)
    jsd = torch.func.grad(lambda q: (P * (2 * P / (P + q)).log() + q * (2 * q / (P + q)).log()).sum())(Q)
    apart = pays - (kl - jsd)
    torch.testing.assert_close(apart, apart[:1].expand(3), rtol=0, atol=1e-14)


def test_least_squares_labels_minimise_pearson_where_b_minus_c_is_one_and_b_minus_a_two() -> None:
    p, q = P.tolist(), Q.tolist()
    for a, b, c in ((-1, 1, 0), (0, 2, 1), (0, 1, 1)):
        loss = least_squares_with(a, b, c)
        assert loss.optimal_logit is not None
        d = loss.optimal_logit(P, Q)
        both = float(((P + Q) * (d - c) ** 2).sum() / 2)
        half = divergence("pearson", [2 * e for e in q], [e + f for e, f in zip(p, q, strict=True)]) / 2
        assert (both == pytest.approx(half, abs=1e-14)) == ((b - c, b - a) == (1, 2))
    with pytest.raises(ValueError, match="two different labels"):
        least_squares_with(1, 1, 0)


# --- relativistic, features, smoothing


def test_relativistic_generator_pays_for_data_that_look_real() -> None:
    real, fake = torch.zeros(2, 1, dtype=DOUBLE), torch.zeros(2, 1, dtype=DOUBLE)
    for name in ("relativistic", "relativistic_average", "relativistic_hinge"):
        slope = torch.func.grad(lambda r, loss=LOSSES[name]: loss.generator_cost(scene(r, fake)))(real)
        assert bool((slope > 0.1).all())
        with pytest.raises(TypeError, match="generator_cost"):
            LOSSES[name].generator(fake)
        assert LOSSES[name].generator_cost(scene(real + 7, fake + 7)) == LOSSES[name].generator_cost(scene(real, fake))


def test_feature_matching_pays_the_squared_distance_of_the_means_and_nothing_where_they_agree() -> None:
    loss = feature_matching("body.1", base=smoothed("saturating"))
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, -1.0], [2.0, 1.0]])
    seen = scene(torch.zeros(2, 1), torch.zeros(3, 1))
    seen.features = {"body.1": (real, fake)}.__getitem__
    assert loss.generator_cost(seen) == 1 + 1
    assert loss.layers == ("body.1",)
    seen.features = {"body.1": (real, fake + 1)}.__getitem__
    assert loss.generator_cost(seen) == 0
    assert loss.discriminator_cost(seen) == smoothed("saturating").discriminator_cost(seen)
    with pytest.raises(ValueError, match="named_modules"):
        feature_matching("")
    with pytest.raises(TypeError, match="named_modules"):
        feature_matching(1)  # type: ignore[arg-type]


def test_two_sided_smoothing_flattens_the_discriminator_at_samples_far_from_the_data() -> None:
    """p = N(0, 1), q = N(6, 1): log(p/q) slopes by -6 everywhere."""

    def slope(loss: GANLoss, x: float) -> float:
        def logit(x: Tensor) -> Tensor:
            p, q = (-(x**2) / 2).exp(), (-((x - 6) ** 2) / 2).exp()
            assert loss.optimal_logit is not None
            return loss.optimal_logit(p, q)

        return float(torch.func.grad(logit)(torch.tensor(x, dtype=DOUBLE)))

    assert slope(non_saturating, 6.0) == pytest.approx(-6, abs=1e-9)
    assert slope(smoothed(real=0.9), 6.0) == pytest.approx(-6, abs=1e-6)
    assert abs(slope(smoothed(real=0.9, fake=0.1), 6.0)) < 1e-5
    top = smoothed(real=0.9).optimal_logit
    assert top is not None
    assert float(top(torch.ones(()), torch.zeros(()))) == pytest.approx(np.log(9), rel=1e-6)  # however sure D may be


def test_smoothing_with_sharp_labels_is_the_base_and_keeps_the_generator() -> None:
    real, fake = torch.randn(2, 6, 1, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    sharp = smoothed("saturating", real=1.0)
    torch.testing.assert_close(sharp.discriminator(real, fake), saturating.discriminator(real, fake))
    assert smoothed("saturating", fake=0.2).generator is saturating.generator
    for wrong in ({"real": 1.1}, {"fake": -0.1}, {"real": 0.2, "fake": 0.2}, {"real": float("nan")}):
        with pytest.raises(ValueError, match="0 <= fake < real <= 1"):
            smoothed(**wrong)
    with pytest.raises(TypeError, match="real is 'a'; give a number"):
        smoothed(real="a")
    with pytest.raises(TypeError, match="b is None; give a number"):
        least_squares_with(0, None, 1)  # type: ignore[arg-type]
    assert smoothed(real=torch.tensor(0.75)).name == smoothed(real=0.75).name
    for base in ("hinge", "relativistic", feature_matching("1"), smoothed()):
        with pytest.raises(ValueError, match="cross-entropy"):
            smoothed(base)


def test_where_both_densities_vanish_no_discriminator_is_better_than_another() -> None:
    nothing = torch.zeros(1, dtype=DOUBLE)
    levels = {name: loss.optimal_logit(nothing, nothing) for name, loss in LOSSES.items() if loss.optimal_logit}
    levels |= {"smoothed": smoothed().optimal_logit(nothing, nothing)}
    assert {name for name, D in levels.items() if not D.isnan()} == {"hinge", "fgan_total_variation"}
    assert all(levels[name] == 0 for name in ("hinge", "fgan_total_variation"))


# --- names


def test_losses_are_found_by_name_and_unknown_names_list_the_known() -> None:
    assert all(as_loss(name) is loss for name, loss in LOSSES.items())
    assert as_loss(least_squares) is least_squares
    with pytest.raises(ValueError, match=r"saturating, non_saturating.*hinge.*fgan_total_variation"):
        as_loss("logistic")
    with pytest.raises(TypeError, match="GANLoss"):
        as_loss(3)  # type: ignore[arg-type]


def test_losses_travel_to_other_processes() -> None:
    for loss in (*LOSSES.values(), smoothed(), feature_matching("2"), least_squares_with(-1, 1, 0), f_gan("kl")):
        again = pickle.loads(pickle.dumps(loss))
        assert again.name == loss.name
        assert float(again.discriminator(P, Q)) == float(loss.discriminator(P, Q))
