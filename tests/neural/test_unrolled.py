"""Unrolled GANs: the gradient through the answers, and the answers that an optimiser would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

import gamedyn as gd
from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.games.symbolic import Game
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.penalties.gradient import R2
from gamedyn.neural.training.preconditioners import TorchAdam
from gamedyn.rules.transforms import DifferentiableField
from gamedyn.testing.agreement import RELATIVE, check_orbits_agree

DOUBLE = torch.float64
STEPS, LR = 3, 0.1
INNER = ("gradient", "preconditioned")
TRANSFORMS = (gd.unrolled, gd.stop_gradient_lookahead)


@pytest.fixture(autouse=True)
def as_in_training() -> Any:
    """One thread, and no graph but those that a field makes for itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def small(activation: str = "tanh", **settings: Any) -> GAN:
    g = mlp_generator(2, 2, (4,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (4,), activation=activation, seed=4)
    return GAN(g, d, data=ring(n=64, seed=1), batch_size=16, evaluation_size=16, dtype=DOUBLE, **settings)


def warm(gan: GAN) -> tuple[Tensor, Tensor, Tensor]:
    """m, s and counts of Adam, the discriminator three evaluations ahead."""
    generator = torch.Generator().manual_seed(5)
    m = 0.1 * torch.randn(gan.dim, generator=generator, dtype=DOUBLE)
    return m, m**2 + 0.01, torch.tensor([2.0, 5.0], dtype=DOUBLE)


def spread(gan: GAN, state: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The same state with a count per coordinate."""
    m, s, t = state
    return m, s, torch.cat([t[i].expand(p.size) for i, p in enumerate(gan.players)])


def optimiser(kind: str, y: Tensor, state: tuple[Tensor, Tensor, Tensor], own: slice) -> Any:
    """torch's own optimiser on the discriminator, continuing from a copy of the state."""
    if kind == "gradient":
        return torch.optim.SGD([y], lr=LR)
    m, s, t = state
    opt = torch.optim.Adam([y], lr=LR, betas=(0.5, 0.99))
    opt.state[y] = {"step": t[1].clone(), "exp_avg": m[own].clone(), "exp_avg_sq": s[own].clone()}
    return opt


def answered(F: Field, z: Tensor, kind: str, state: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(x, y_K) by torch's own optimiser."""
    own = F.players[1].slice
    y = z[own].clone().requires_grad_()
    opt = optimiser(kind, y, state, own)
    for _ in range(STEPS):
        y.grad = F.grad(1, torch.cat([z[: own.start], y]))[own]
        opt.step()
    return torch.cat([z[: own.start], y])


def transformed(gan: GAN, transform: Any, adam: Any, state: tuple[Tensor, ...]) -> Any:
    """The transformed field on the evaluation sample, as the preconditioner evaluates it."""
    return transform.field(gan.field("neural")).informed(adam, state)


def layered(gan: GAN, adam: str) -> tuple[Any, tuple[Tensor, ...]]:
    """Adam as the worlds share it, or as training runs it, with a state that has seen gradients."""
    betas = {"beta1": 0.5, "beta2": 0.99}
    return (TorchAdam(**betas), warm(gan)) if adam == "in place" else (gd.Adam(**betas), spread(gan, warm(gan)))


@pytest.mark.parametrize(
    ("kind", "adam"), [("gradient", "shared"), ("preconditioned", "shared"), ("preconditioned", "in place")]
)
def test_unrolled_gradient_equals_central_differences_of_the_unrolled_cost(kind: str, adam: str) -> None:
    gan = small()
    z, F = gan.initial(), gan.field("neural")
    U = transformed(gan, gd.unrolled(STEPS, LR, inner=kind), *layered(gan, adam))

    def cost(w: Tensor) -> float:
        return float(F.all_costs(answered(F, w, kind, warm(gan)))[0])

    h = 1e-6
    differences = [(cost(z + h * e) - cost(z - h * e)) / (2 * h) for e in torch.eye(gan.dim, dtype=DOUBLE)]
    gradient = U.grad(0, z)
    torch.testing.assert_close(gradient, torch.tensor(differences, dtype=DOUBLE), rtol=0, atol=2e-9)
    own = gan.players[0].slice
    assert torch.equal(U.part(0, z)[own], gradient[own])
    held = transformed(gan, gd.stop_gradient_lookahead(STEPS, LR, inner=kind), *layered(gan, adam)).part(0, z)
    assert float((held - gradient)[own].norm() / gradient[own].norm()) > 0.01  # the answers' own slope is no small term


def test_slopes_at_the_samples_are_those_of_one_answer_and_not_of_earlier_ones() -> None:
    """R2 differentiates D at G(z), and every earlier answer was a function of G(z) as well."""
    gan = small(penalty=R2(1.0))
    z, F = gan.initial(), gan.field("neural")
    U = transformed(gan, gd.unrolled(STEPS, LR, inner="preconditioned"), *layered(gan, "in place"))
    u = torch.randn(gan.dim, generator=torch.Generator().manual_seed(6), dtype=DOUBLE)
    h = 1e-6
    ahead, behind = (F.all_costs(answered(F, z + t * u, "preconditioned", warm(gan)))[0] for t in (h, -h))
    assert float(U.grad(0, z) @ u) == pytest.approx(float(ahead - behind) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("adam", ["in place", "shared"])
def test_answers_are_the_steps_that_torch_adam_makes_from_a_copy_of_the_state(adam: str) -> None:
    gan = small()
    z, F = gan.initial(), gan.field("neural")
    ahead = transformed(gan, gd.unrolled(STEPS, LR, inner="preconditioned"), *layered(gan, adam))
    expected = answered(F, z, "preconditioned", warm(gan))
    torch.testing.assert_close(ahead.answer(0, z), expected, rtol=0, atol=1e-14)
    assert float((expected - answered(F, z, "gradient", warm(gan))).norm()) > 0.05


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("adam", ["in place", "shared"])
def test_the_look_ahead_leaves_the_state_of_the_other_player_alone(adam: str, transform: Any) -> None:
    gan = small()
    preconditioner, state = layered(gan, adam)
    before = [t.clone() for t in state]
    P = preconditioner.field(transform(STEPS, LR, inner="preconditioned").field(gan.field("neural")), state)
    P.part(0, gan.initial())
    own, other = (p.slice for p in gan.players)
    for now, then in zip(P.state[:2], before[:2], strict=True):
        assert torch.equal(now[other], then[other])
        assert not torch.equal(now[own], then[own])
    t = P.state[2]
    n = t if len(t) == 2 else t[[0, -1]]
    assert n.tolist() == [3.0, 5.0]  # one evaluation of the generator, none of the discriminator


@pytest.mark.parametrize("rule", [gd.Alternating(0.01, order=(1, 0)), gd.Extragradient(0.01)])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_training_makes_the_steps_of_the_step_map(transform: Any, rule: Any) -> None:
    gan = small()
    method = gd.Method(rule, gd.Adam(beta1=0.5), gd.consensus(0.1), transform(STEPS, LR, inner="preconditioned"))
    result = train(gan, method, 5, seed=3)
    T = gd.StepMap(method, gan, oracle=gan.oracle(seed=3))
    parts = T.start_parts(gan.initial())
    for k in range(5):
        parts = T.step_parts(parts, k)
    torch.testing.assert_close(result.z, parts[0], rtol=0, atol=1e-10)
    assert float((result.z - gan.initial()).norm()) > 0.01


def dead_unit(dtype: torch.dtype) -> tuple[GAN, Tensor]:
    """A discriminator one of whose ReLU units is never on, so that its gradients are exactly 0 at every step."""
    gan = small("relu")
    z = gan.initial()
    bias = gan.players[1].start + gan.networks[1].sizes[0]
    z[bias] = -50.0
    assert int((gan.field("neural").part(1, z)[gan.players[1].slice] == 0).sum()) >= 4
    return gan, z.to(dtype)


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
@pytest.mark.parametrize("preconditioner", [TorchAdam(), gd.Adam(), gd.RMSProp()])
def test_gradient_is_finite_and_right_where_a_second_moment_is_zero(preconditioner: Any, dtype: torch.dtype) -> None:
    gan, z = dead_unit(dtype)
    F = gan.field("neural")
    cold = preconditioner.init(F, z)
    U = transformed(gan, gd.unrolled(STEPS, 0.01, inner="preconditioned"), preconditioner, cold)
    g = U.grad(0, z)
    assert bool(torch.isfinite(g).all())
    if dtype == DOUBLE:
        u = torch.Generator().manual_seed(0)
        along = torch.randn(gan.players[0].size, generator=u, dtype=DOUBLE)
        along = torch.cat([along, torch.zeros(gan.players[1].size, dtype=DOUBLE)])
        h = 1e-7
        values = [F.all_costs(U.answer(0, z + step * along))[0] for step in (h, -h)]
        assert float(g @ along) == pytest.approx(float(values[0] - values[1]) / (2 * h), abs=2e-7)


def test_the_plain_root_would_make_it_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    gan, z = dead_unit(DOUBLE)
    adam = gd.Adam()
    monkeypatch.setattr(DifferentiableField, "root", Field.root)
    U = transformed(gan, gd.unrolled(2, 0.01, inner="preconditioned"), adam, adam.init(gan.field("neural"), z))
    assert bool(torch.isnan(U.grad(0, z)).any())


# --- games with formulas


def bilinear_quadratic() -> tuple[Game, Callable[[Any, Any, int, bool], list[list[Any]]]]:
    """c₁ = a x²/2 + xy, c₂ = -xy + b y²/2 with a = 1/2, b = 3/4, and the Jacobian of the field that is looked ahead.

    The answers y_{j+1} = y_j - η(b y_j - x) = q y_j + ηx with q = 1 - ηb have the fixed point x/b, so that

        y_K = qᴷ y + r x,   r = (1 - qᴷ)/b

    With y_K held, ∂₁c₁ = a x + y_K; through the answers dc₁/dx = a x + y_K + x ∂y_K/∂x, one r x more:

        J = [[a + r, qᴷ], [-1, b]]   and   [[a + 2r, qᴷ], [-1, b]]
    """
    a, b = sp.Rational(1, 2), sp.Rational(3, 4)
    game = Game(["x**2/4 + x*y", "-x*y + 3*y**2/8"], players=[["x"], ["y"]], name="bilinear-quadratic")

    def jacobian(eta: Any, steps: int, through: bool) -> list[list[Any]]:
        q = 1 - eta * b
        r = (1 - q**steps) / b
        return [[a + (2 if through else 1) * r, q**steps], [-1, b]]

    return game, jacobian  # type: ignore[return-value]


@pytest.mark.parametrize("weights", [None, (2.0, 0.25)])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_closed_form_on_the_bilinear_quadratic_game_in_every_world(transform: Any, weights: Any) -> None:
    """With a frozen diagonal w the answers step by η w₂ and the field itself is multiplied by w."""
    game, jacobian = bilinear_quadratic()
    eta, h = sp.Rational(1, 5), sp.Rational(1, 3)
    w = (1, 1) if weights is None else tuple(sp.Rational(x) for x in weights)
    J = sp.diag(*w) * sp.Matrix(jacobian(eta * w[1], 4, transform is gd.unrolled))
    expected = sp.eye(2) - h * J
    inner = "gradient" if weights is None else "preconditioned"
    layers = (
        [transform(4, eta, inner=inner)] if weights is None else [gd.frozen(weights), transform(4, eta, inner=inner)]
    )
    T = gd.StepMap(gd.Method(gd.Simultaneous(h), *layers), game)
    assert sp.simplify(T.jacobian(T.start([sp.Integer(0), sp.Integer(0)])) - expected) == sp.zeros(2)
    numbers = np.array(expected, dtype=float)
    z = [0.3, -0.7]
    assert np.allclose(T.jacobian(T.start(z)), numbers, rtol=0, atol=1e-14)
    assert np.allclose(T.test_jacobian([0.0, 0.0]), numbers, rtol=0, atol=1e-14)
    assert np.allclose(T.jacobian(T.start(torch.tensor(z, dtype=DOUBLE))).numpy(), numbers, rtol=0, atol=1e-14)


def test_on_a_bilinear_game_the_stop_gradient_is_neutral_where_unrolling_contracts() -> None:
    eta = sp.Rational(1, 2)
    game = gd.games.bilinear(1)
    held, through = (
        gd.StepMap(gd.Method(gd.Simultaneous(eta), t(1, eta)), game) for t in (TRANSFORMS[1], TRANSFORMS[0])
    )
    assert sp.simplify(gd.spectral_radius(held, [0, 0])) == 1
    assert sp.simplify(gd.spectral_radius(through, [0, 0]) - sp.sqrt(1 - eta**2)) == 0


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("preconditioner", [gd.Adam(), gd.AMSGrad(), gd.Clip(0.3)])
def test_preconditioned_answers_agree_between_arrays_and_torch(preconditioner: Any, transform: Any) -> None:
    game, _ = bilinear_quadratic()
    method = gd.Method(gd.Alternating(0.1), preconditioner, transform(2, 0.1, inner="preconditioned"))
    check_orbits_agree(method, game, [0.0, 1.0], "array", RELATIVE)
    check_orbits_agree(method, game, [0.75, -0.5], "neural", RELATIVE)
    T = gd.StepMap(method, game)
    assert np.all(np.isfinite(T(T.start([0.0, 0.0]))))  # every second moment is 0


def test_preconditioned_answers_cost_what_plain_ones_cost() -> None:
    for transform in TRANSFORMS:
        plain, own = (gd.Method(gd.Alternating(0.1), gd.Adam(), transform(5, 0.1, inner=i)) for i in INNER)
        assert gd.step_cost(plain) == gd.step_cost(own)


def test_without_a_preconditioner_the_error_says_what_to_write() -> None:
    gan, game = small(), gd.games.bilinear(1)
    for transform in TRANSFORMS:
        ahead = transform(2, 0.1, inner="preconditioned")
        for what, z in ((gan, gan.initial()), (game, np.array([1.0, 0.0]))):
            T = gd.StepMap(gd.Method(gd.Simultaneous(0.1), ahead), what)
            with pytest.raises(ValueError, match=r"write Method\(rule, Adam\(\), unrolled"):
                T(T.start(z))
        with pytest.raises(NotInThisWorld, match="nonlinear in the field; give the method its"):
            ahead.field(game.field("exact"))(sp.Matrix([1, 0]))
        with pytest.raises(NotInThisWorld, match="nonlinear in the field"):
            gd.StepMap(gd.Method(gd.Simultaneous(0.1), ahead), game).test_jacobian([0.0, 0.0])
        with pytest.raises(ValueError, match="inner='adam' is neither 'gradient' nor 'preconditioned'"):
            transform(2, 0.1, inner="adam")
