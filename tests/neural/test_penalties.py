"""Penalties: closed forms on the Dirac-GAN, the points they look at, and derivatives of every order that is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.games.products import RetainedJacobian
from gamedyn.neural.data import from_tensor, ring
from gamedyn.neural.gan import GAN
from gamedyn.neural.losses import GANLoss
from gamedyn.neural.networks import mlp_discriminator, mlp_generator
from gamedyn.neural.penalties.base import Penalty
from gamedyn.neural.penalties.clipping import WeightClipping
from gamedyn.neural.penalties.gradient import DRAGAN, R1, R2, GradientPenalty
from gamedyn.neural.penalties.instance_noise import InstanceNoise
from gamedyn.neural.sample import EVALUATION, stream
from gamedyn.neural.scene import Scene
from gamedyn.neural.training import train

DOUBLE = torch.float64
LEVEL = 1e-3  # of the Kolmogorov-Smirnov tests

WASSERSTEIN = GANLoss(
    "by hand", lambda fake: -fake.mean(), lambda real, fake: fake.mean() - real.mean(), "p_G = p_data", zero_sum=True
)
LOSSES = {"gan": "saturating", "non_saturating": "non_saturating", "wgan": WASSERSTEIN}
COSTS = [
    R1(0.7),
    R2(0.7),
    GradientPenalty(0.6, target=0.8),
    GradientPenalty(0.6, target=0.1, one_sided=True),
    GradientPenalty(0.6, target=0),
    DRAGAN(0.6, target=0.8),
    DRAGAN(0.6, gaussian=True),
]


class PointMass(nn.Module):
    """G(z) = θ."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.theta = 1, nn.Parameter(torch.tensor([[0.4]]))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


class Slope(nn.Module):
    """The logit -ψx: the sign of the symbolic game, whose discriminator scores samples high."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([0.9]))

    def forward(self, x: Tensor) -> Tensor:
        return -self.psi * x


def dirac(loss: str = "gan", penalty: Any = None) -> GAN:
    data = from_tensor(torch.zeros(4, 1), name="zero")
    return GAN(PointMass(), Slope(), loss=LOSSES[loss], penalty=penalty, data=data, batch_size=2, dtype=DOUBLE)


def tiny(penalty: Any = None, **kw: Any) -> GAN:
    g = mlp_generator(3, 2, (5,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (6,), activation="tanh", seed=4)
    settings = {"dtype": DOUBLE, "batch_size": 8, "evaluation_size": 20, **kw}
    return GAN(g, d, data=ring(n=40, seed=1), penalty=penalty, **settings)


def vector(d: int, seed: int = 0) -> Tensor:
    return torch.randn(d, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def scene(w: Tensor, n: int = 500) -> Scene:
    """D(x) = w·x on a batch around (2, 2), of data three times as wide, and on samples around (-1, -1)."""
    x, fake = vector(2 * n, 1).view(n, 2) + 2, vector(2 * n, 2).view(n, 2) - 1
    return Scene(lambda points, which: (points @ w[:, None], {}), x, fake, from_tensor(3 * x, dtype=DOUBLE))


def cost(penalty: Penalty, s: Scene, seed: int = 0) -> Tensor:
    noise = penalty.noise(len(s.x), 2, torch.Generator().manual_seed(seed))
    value = penalty.cost(s, noise)
    assert value is not None
    return value


def eigenvalues(game: Any, z: Any) -> np.ndarray:
    J = RetainedJacobian(game.field("neural"), torch.as_tensor(z, dtype=DOUBLE)).to_dense()
    return np.sort_complex(np.linalg.eigvals(J.numpy()))


# --- the Dirac-GAN, whose spectrum is known

REGULARISED = [
    (R1(0.3), gd.games.R1(0.3)),
    (R2(0.3), gd.games.R2(0.3)),
    (GradientPenalty(0.3, target=0.7), gd.games.GradientPenalty(0.6, 0.7)),
    (DRAGAN(0.3, target=0.7), gd.games.GradientPenalty(0.6, 0.7)),  # the data are a point: the neighbourhood too
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("penalty", "symbolic"), REGULARISED)
def test_worlds_agree_on_the_dirac_gan(loss: str, penalty: Penalty, symbolic: Any) -> None:
    game, gan = gd.games.dirac_gan(loss, symbolic), dirac(loss, penalty)
    assert gan.dim == 2
    for z in ([0.3, 0.2], [-1.0, 2.0], [1.5, -0.4]):
        v = gan.field("neural")(torch.tensor(z, dtype=DOUBLE))
        np.testing.assert_allclose(v, gd.field(game, z), rtol=0, atol=1e-12)
        J = RetainedJacobian(gan.field("neural"), torch.tensor(z, dtype=DOUBLE)).to_dense()
        np.testing.assert_allclose(J, gd.jacobian(game, z).to_dense(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("penalise", [R1, R2, lambda gamma: GradientPenalty(gamma / 2, target=0)])
@pytest.mark.parametrize("gamma", [0.0, 0.4, 1.6])
def test_zero_centred_penalties_give_the_dirac_gan_gamma_half_plus_minus_a_root(penalise: Any, gamma: float) -> None:
    root = np.sqrt(complex(gamma**2 / 4 - 1 / 4))
    expected = np.sort_complex([gamma / 2 - root, gamma / 2 + root])
    for loss in ("gan", "non_saturating"):
        np.testing.assert_allclose(eigenvalues(dirac(loss, penalise(gamma)), [0, 0]), expected, rtol=0, atol=1e-12)


def test_r1_adds_gamma_half_to_the_real_part_below_critical_damping_and_no_imaginary_part_is_left_above() -> None:
    plain, damped, critical = (eigenvalues(dirac(penalty=p), [0, 0]) for p in (None, R1(0.8), R1(1.2)))
    np.testing.assert_allclose(plain.real, 0, atol=1e-14)
    np.testing.assert_allclose(damped.real, 0.4, rtol=1e-12)
    assert np.abs(damped.imag).min() == pytest.approx(0.3, rel=1e-12)
    np.testing.assert_allclose(critical.imag, 0, atol=1e-14)


def test_gradient_penalty_of_target_one_makes_v_jump_at_the_equilibrium() -> None:
    F = dirac(penalty=GradientPenalty(0.5)).field("neural")
    left, at, right = (float(F(torch.tensor([0.0, psi], dtype=DOUBLE))[1]) for psi in (-1e-9, 0.0, 1e-9))
    assert right == pytest.approx(-1, abs=1e-8)
    assert left == pytest.approx(1, abs=1e-8)
    assert at == 0


# --- what each penalty is


def test_gradient_penalty_of_a_linear_discriminator_is_the_misfit_of_its_norm() -> None:
    w = torch.tensor([1.2, -1.6], dtype=DOUBLE)  # of norm 2
    for penalty in (GradientPenalty(3.0, target=2.0), DRAGAN(3.0, target=2.0), DRAGAN(3.0, 2.0, gaussian=True)):
        assert float(cost(penalty, scene(w))) == pytest.approx(0, abs=1e-28)
    for penalty in (GradientPenalty(3.0, target=0.5), DRAGAN(3.0, target=0.5)):
        assert float(cost(penalty, scene(w))) == pytest.approx(3 * 1.5**2, rel=1e-14)
    assert float(cost(GradientPenalty(3.0, target=0.5, one_sided=True), scene(w))) == pytest.approx(6.75, rel=1e-14)
    assert float(cost(GradientPenalty(3.0, target=2.5), scene(w))) == pytest.approx(0.75, rel=1e-14)
    assert float(cost(GradientPenalty(3.0, target=2.5, one_sided=True), scene(w))) == 0
    assert float(cost(R1(3.0), scene(w))) == pytest.approx(6, rel=1e-14)
    assert float(cost(R2(3.0), scene(w))) == pytest.approx(6, rel=1e-14)


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-9, 1e-5])
def test_first_and_second_derivatives_are_finite_where_the_slope_vanishes(dtype: torch.dtype, size: float) -> None:
    w = torch.tensor([size, -size], dtype=dtype, requires_grad=True)
    s = Scene(lambda points, which: (points @ w[:, None], {}), torch.ones(3, 2).to(w), torch.zeros(3, 2).to(w), ring())
    for penalty in (GradientPenalty(), GradientPenalty(one_sided=True), DRAGAN()):
        (g,) = torch.autograd.grad(cost(penalty, s), w, create_graph=True)
        (h,) = torch.autograd.grad(g.square().sum() + g.sum(), w)
        assert bool(g.isfinite().all())
        assert bool(h.isfinite().all())
        if size == 0:
            assert bool((g == 0).all())


def test_interpolates_lie_on_the_segments_and_u_is_uniform() -> None:
    n, penalty = 20_000, GradientPenalty()
    s, u = scene(torch.ones(2, dtype=DOUBLE), n), penalty.noise(n, 2, stream(0, EVALUATION))
    points = penalty.points(s, u)
    to_data, to_fake, whole = ((a - b).norm(dim=1) for a, b in ((s.x, points), (points, s.fake), (s.x, s.fake)))
    torch.testing.assert_close(to_data + to_fake, whole, rtol=1e-12, atol=0)  # one u for both coordinates, in [0, 1]
    assert kstest((to_fake / whole).numpy(), "uniform").pvalue > LEVEL
    normal = torch.randn((n, 1), generator=stream(0, EVALUATION))
    assert float(((normal < 0) | (normal > 1)).double().mean()) == pytest.approx(0.6587, abs=0.01)  # off the segment
    ends = [penalty.points(s, torch.full((n, 1), u)) for u in (0.0, 1.0)]
    assert torch.equal(ends[0], s.fake)
    assert torch.equal(ends[1], s.x)


def test_dragan_looks_around_the_data_within_spread_standard_deviations_of_the_data_set() -> None:
    n = 20_000
    s = scene(torch.ones(2, dtype=DOUBLE), n)
    noise = [p.noise(n, 2, stream(0, EVALUATION)) for p in (DRAGAN(), DRAGAN(gaussian=True))]
    std = float(s.data.x.std(correction=0))
    uniform = (DRAGAN(spread=0.25).points(s, noise[0]) - s.x) / (0.25 * std)
    assert 0 <= float(uniform.min()) < float(uniform.max()) < 1
    # u ξ of independent uniform u and ξ: P(u ξ <= t) = t - t log t
    assert kstest(uniform[:, 0].numpy(), lambda t: t - t * np.log(t)).pvalue > LEVEL
    gaussian = (DRAGAN(spread=0.25, gaussian=True).points(s, noise[1]) - s.x) / (0.25 * std)
    assert kstest(gaussian[:, 1].numpy(), "norm").pvalue > LEVEL


def test_noise_is_a_function_of_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    for penalty in (GradientPenalty(), DRAGAN(), DRAGAN(gaussian=True)):
        once, twice, other = (penalty.noise(5, 3, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
        assert torch.equal(once, twice)
        assert not torch.equal(once, other)
        assert (once.dtype, once.device.type, len(once)) == (torch.float32, "cpu", 5)
    assert torch.equal(state, torch.random.get_rng_state())
    assert R1(1.0).noise(5, 3, torch.Generator()) is None


# --- as part of the game


@pytest.mark.parametrize("penalty", COSTS)
def test_field_and_its_products_equal_finite_differences_of_the_costs(penalty: Penalty) -> None:
    gan, h = tiny(penalty), 1e-5
    F, z, u = gan.field("neural"), gan.initial() + 0.3 * vector(gan.dim), vector(gan.dim, 1)
    g, d = gan.players

    def difference(f: Any, h: float = h) -> Any:
        return (f(z + h * u) - f(z - h * u)) / (2 * h)

    assert not torch.equal(F.part(1, z), tiny().field("neural").part(1, z))  # the penalty is there
    assert torch.equal(F.part(0, z), tiny().field("neural").part(0, z))  # and the generator does not pay
    slope = difference(lambda w: F.all_costs(w)[1].detach())
    assert float(F.grad(1, z) @ u) == pytest.approx(float(slope), rel=1e-7, abs=1e-8)
    v = F(z)
    torch.testing.assert_close(v[d.slice], F.grad(1, z)[d.slice], rtol=0, atol=1e-14)
    torch.testing.assert_close(v[g.slice], F.grad(0, z)[g.slice], rtol=0, atol=1e-14)
    torch.testing.assert_close(F.jvp(z, u), difference(F), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(F.hvp(1, z, u), difference(lambda w: F.grad(1, w)), rtol=1e-6, atol=1e-7)
    w = vector(gan.dim, 2)
    torch.testing.assert_close(F.vjp(z, w) @ u, w @ F.jvp(z, u), rtol=0, atol=1e-11)


@pytest.mark.parametrize("penalty", [R1(0.7), R2(0.7), GradientPenalty(0.6)])
def test_unrolling_differentiates_through_the_penalty_a_third_time(penalty: Penalty) -> None:
    gan, h = tiny(penalty, evaluation_size=8), 1e-5
    F, z, u = gd.unrolled(2, lr=0.3)(gan).field("neural"), gan.initial(), vector(gan.dim, 1)
    difference = (F(z + h * u) - F(z - h * u)) / (2 * h)
    torch.testing.assert_close(F.jvp(z, u), difference, rtol=1e-6, atol=1e-7)


@torch.no_grad()
def test_only_penalties_on_samples_let_the_generator_move_the_discriminators_slope() -> None:
    plain = tiny().field("neural")
    z, u = tiny().initial() + 0.3 * vector(tiny().dim), plain.mask(0, vector(tiny().dim))
    for penalty, moves in ((R1(0.7), False), (R2(0.7), True), (GradientPenalty(0.6), True), (DRAGAN(0.6), False)):
        F = tiny(penalty).field("neural")
        extra = F.mask(1, F.jvp(z, u)) - plain.mask(1, plain.jvp(z, u))
        assert float(extra.abs().max()) > 1e-4 if moves else float(extra.abs().max()) < 1e-14


def test_penalties_add_and_applying_one_adds_it() -> None:
    z = tiny().initial()
    plain, one, other, both = (tiny(p).field("neural")(z) for p in (None, R1(0.7), R2(0.4), [R1(0.7), R2(0.4)]))
    torch.testing.assert_close(both, one + other - plain, rtol=0, atol=1e-14)
    assert torch.equal(R2(0.4)(R1(0.7)(tiny())).field("neural")(z), both)


def test_consensus_composes_with_a_penalty_and_agrees_with_the_symbolic_game() -> None:
    network, game = (
        gd.consensus(0.5)(g) for g in (dirac(penalty=R1(0.3)), gd.games.dirac_gan(penalty=gd.games.R1(0.3)))
    )
    for z in ([0.3, 0.2], [-1.0, 2.0]):
        v = network.field("neural")(torch.tensor(z, dtype=DOUBLE)).detach()
        np.testing.assert_allclose(v, game.field("array")(np.array(z)), rtol=0, atol=1e-12)
    # γ JᵀJ is added at the equilibrium: J + J'J/2 with J = [[0, 1/2], [-1/2, 3/10]] up to signs
    J = np.array([[0, 0.5], [-0.5, 0.3]])
    np.testing.assert_allclose(
        eigenvalues(network, [0, 0]), np.sort_complex(np.linalg.eigvals(J + 0.5 * J.T @ J)), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("penalty", "passes"), [(None, 2), (R1(0.7), 2), (R2(0.7), 2), (GradientPenalty(), 3), (DRAGAN(), 3)]
)
def test_zero_centred_penalties_need_no_forward_pass_of_their_own(penalty: Any, passes: int) -> None:
    gan, seen = dirac(penalty=penalty), []
    gan.discriminator.register_forward_hook(lambda *a: seen.append(1))
    gan.field("neural")(gan.initial())
    assert len(seen) == passes


# --- clipping


def test_clipping_projects_the_discriminator_alone_and_twice_is_once() -> None:
    gan = tiny(WeightClipping(0.1))
    F, z = gan.field("neural"), 3 * vector(gan.dim)
    assert F.is_constrained
    w = F.point(z)
    g, d = gan.players
    assert torch.equal(w[g.slice], z[g.slice])
    assert torch.equal(w[d.slice], z[d.slice].clamp(-0.1, 0.1))
    assert torch.equal(F.point(w), w)
    assert torch.equal(F(z), tiny().field("neural")(z))  # a constraint, no cost


def test_clipping_agrees_with_the_symbolic_game() -> None:
    F, z = gd.games.dirac_gan(penalty=gd.games.Clip(0.5)).field("array"), [2.0, -3.0]
    own = dirac(penalty=WeightClipping(0.5)).field("neural")
    np.testing.assert_array_equal(own.point(torch.tensor(z, dtype=DOUBLE)), F.point(np.array(z)))
    np.testing.assert_allclose(own(torch.tensor(z, dtype=DOUBLE)), F(np.array(z)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "method",
    [gd.Simultaneous(lr=0.5), gd.Method(gd.Alternating(lr=0.05), gd.Adam(beta1=0.5)), gd.Extragradient(lr=0.5)],
)
def test_every_step_of_training_keeps_the_discriminator_clipped(method: Any) -> None:
    gan, seen = tiny([WeightClipping(0.05), R1(0.1)], dtype=torch.float32), []
    train(gan, method, 12, every=1, z0=gan.field("neural").point(gan.initial()), callback=lambda k, z: seen.append(z))
    at = torch.stack(seen)
    g, d = gan.players
    assert len(at) >= 12
    assert float(at[:, d.slice].abs().max()) <= float(torch.tensor(0.05))
    assert bool((at[-1, d.slice].abs() == torch.tensor(0.05)).any())  # the bound acts
    assert float(at[:, g.slice].abs().max()) > 0.05


def test_numbers_of_numpy_and_torch_become_plain_ones() -> None:
    for number in (np.float32(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5)):
        assert repr(R1(number)) == "R1(gamma=0.5)"
        assert repr(InstanceNoise(number)) == "InstanceNoise(sigma=0.5, vanish=None)"
    assert repr(GradientPenalty(target=np.int64(0))) == "GradientPenalty(weight=10.0, target=0, one_sided=False)"


def test_bad_numbers_are_refused_by_name() -> None:
    for make, message in (
        (lambda: R1(-0.1), "R1: gamma is -0.1; give a finite number >= 0"),
        (lambda: R2(float("nan")), "R2: gamma is nan"),
        (lambda: GradientPenalty(target=float("inf")), "target is inf"),
        (lambda: DRAGAN(spread=-1), "spread is -1"),
        (lambda: WeightClipping(0), "c is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    for make in (lambda: R1("1"), lambda: R1(True), lambda: GradientPenalty(one_sided=1)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="give"):
            make()
    for make in (
        lambda: InstanceNoise("a"),
        lambda: InstanceNoise(True),
        lambda: R1(torch.ones((), requires_grad=True)),
    ):
        with pytest.raises(TypeError, match="give a number"):
            make()
    with pytest.raises(ValueError, match="needs random numbers"):
        GradientPenalty().cost(scene(torch.ones(2, dtype=DOUBLE)), None)
