"""GAN: the field is that of two real networks, and its products are those of its Jacobian."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

import gamedyn as gd
from gamedyn.games.field import NotInThisWorld
from gamedyn.games.products import RetainedJacobian
from gamedyn.neural.data import Dataset, digits, from_tensor, ring
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.losses import GANLoss, as_loss, non_saturating, saturating
from gamedyn.neural.networks import dcgan_discriminator, dcgan_generator, mlp_discriminator, mlp_generator
from gamedyn.neural.sample import Sample

DOUBLE = torch.float64


def tiny(loss: str = "non_saturating", **kw: Any) -> GAN:
    g = mlp_generator(3, 2, (5,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (6,), activation="tanh", seed=4)
    return GAN(g, d, loss=loss, data=ring(n=40, seed=1), batch_size=8, evaluation_size=20, **{"dtype": DOUBLE, **kw})


def vector(d: int, seed: int = 0) -> Tensor:
    return torch.randn(d, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def costs_by_hand(gan: GAN, z: Tensor, x: Tensor, latents: Tensor) -> list[Tensor]:
    """log σ written out, networks called with named slices cut by hand."""
    first, named = 0, []
    for module in (gan.generator, gan.discriminator):
        values = {}
        for name, p in module.named_parameters():
            values[name] = z[first : first + p.numel()].reshape(p.shape)
            first += p.numel()
        named.append(values)
    fake = functional_call(gan.generator, named[0], (latents,))
    believed = functional_call(gan.discriminator, named[1], (fake,)).sigmoid()
    real = functional_call(gan.discriminator, named[1], (x,)).sigmoid()
    cost_d = -(real.log().mean() + (1 - believed).log().mean())
    cost_g = (1 - believed).log().mean() if gan.loss is saturating else -believed.log().mean()
    return [cost_g, cost_d]


def field_by_hand(gan: GAN, z: Tensor) -> Tensor:
    w = z.detach().clone().requires_grad_()
    costs = costs_by_hand(gan, w, gan.evaluation_sample.x, gan.evaluation_sample.latents)
    gradients = [torch.autograd.grad(c, w, retain_graph=True)[0] for c in costs]
    return torch.cat([g[p.slice] for g, p in zip(gradients, gan.players, strict=True)])


# --- losses


def test_every_loss_pays_at_a_blind_discriminator_what_it_states() -> None:
    blind = torch.zeros(6, 1, dtype=DOUBLE)
    for loss, generator in ((saturating, -np.log(2)), (non_saturating, np.log(2))):
        assert float(loss.generator(blind)) == pytest.approx(generator, abs=1e-15)
        assert float(loss.discriminator(blind, blind)) == pytest.approx(np.log(4), abs=1e-15)


def test_loss_is_found_by_name_and_unknown_names_list_the_known() -> None:
    assert as_loss("saturating") is saturating
    with pytest.raises(ValueError, match=r"saturating.*non_saturating"):
        as_loss("wasser")
    with pytest.raises(TypeError, match="GANLoss"):
        as_loss(3)  # type: ignore[arg-type]


def test_saturating_field_is_that_of_the_zero_sum_game() -> None:
    gan = tiny("saturating")
    z = gan.initial()
    w = z.clone().requires_grad_()
    cost_d = costs_by_hand(gan, w, gan.evaluation_sample.x, gan.evaluation_sample.latents)[1]
    (g,) = torch.autograd.grad(cost_d, w)
    g[gan.players[0].slice] *= -1
    torch.testing.assert_close(gan.field()(z), g, rtol=0, atol=1e-14)


# --- the field


@pytest.mark.parametrize("loss", ["saturating", "non_saturating"])
def test_field_equals_hand_written_autograd(loss: str) -> None:
    gan = tiny(loss)
    z = gan.initial() + 0.3 * vector(gan.dim)
    F = gan.field("neural")
    expected = field_by_hand(gan, z)
    with torch.no_grad():
        torch.testing.assert_close(F(z), expected, rtol=0, atol=1e-12)
        parts = [F.part(i, z) for i in range(2)]
    torch.testing.assert_close(parts[0] + parts[1], expected, rtol=0, atol=1e-12)
    for p, part in zip(gan.players, parts, strict=True):
        outside = torch.ones(gan.dim, dtype=torch.bool)
        outside[p.slice] = False
        assert bool((part[outside] == 0).all())
    w = z.clone().requires_grad_()
    torch.testing.assert_close(F(w).detach(), expected, rtol=0, atol=1e-12)


def test_grad_is_in_all_variables() -> None:
    gan = tiny()
    z, F = gan.initial(), gan.field()
    for i in range(2):
        w = z.clone().requires_grad_()
        (expected,) = torch.autograd.grad(
            costs_by_hand(gan, w, gan.evaluation_sample.x, gan.evaluation_sample.latents)[i], w
        )
        torch.testing.assert_close(F.grad(i, z), expected, rtol=0, atol=1e-13)
        other = gan.players[1 - i].slice
        assert float(expected[other].abs().max()) > 1e-4


def test_field_of_convolutional_networks_equals_hand_written_autograd() -> None:
    g, d = dcgan_generator(4, (8, 8), (4, 2), seed=1), dcgan_discriminator((8, 8), (2, 3), seed=2)
    gan = GAN(g, d, data=digits(), evaluation_size=16, dtype=DOUBLE)
    z = gan.initial()
    torch.testing.assert_close(gan.field()(z), field_by_hand(gan, z), rtol=0, atol=1e-12)


def test_field_follows_the_type_of_the_vector() -> None:
    gan = tiny(dtype=torch.float32)
    v = gan.field()(gan.initial().double())
    assert v.dtype == DOUBLE
    torch.testing.assert_close(v, field_by_hand(tiny(), gan.initial().double()), rtol=0, atol=1e-12)


def test_field_does_not_touch_the_modules() -> None:
    gan = tiny()
    before = copy.deepcopy(gan.generator.state_dict())
    own = list(gan.generator.parameters())
    z = (2 * gan.initial()).requires_grad_()
    gan.field()(z).sum().backward()
    assert all(a is b for a, b in zip(own, gan.generator.parameters(), strict=True))
    assert all(torch.equal(before[k], v) for k, v in gan.generator.state_dict().items())
    assert all(p.grad is None for p in own)


def test_a_network_that_raises_gets_its_parameters_back() -> None:
    gan = tiny()
    own = list(gan.generator.parameters())
    x, latents = gan.evaluation_sample.x, gan.evaluation_sample.latents
    with pytest.raises(RuntimeError):
        GANField(gan, Sample(x, latents[:, :1]))(gan.initial())
    assert all(a is b for a, b in zip(own, gan.generator.parameters(), strict=True))


# --- products


def test_products_satisfy_the_adjoint_identity() -> None:
    gan = tiny()
    z, u, w = gan.initial(), vector(gan.dim, 1), vector(gan.dim, 2)
    F = gan.field()
    J = RetainedJacobian(F, z)
    with torch.no_grad():
        for jvp, vjp in ((F.jvp(z, u), F.vjp(z, w)), (J.jvp(u), J.vjp(w))):
            assert float(w @ jvp) == pytest.approx(float(vjp @ u), abs=1e-10)
        torch.testing.assert_close(J.jvp(u), F.jvp(z, u), rtol=0, atol=1e-12)
        torch.testing.assert_close(J.vjp(u), F.vjp(z, u), rtol=0, atol=1e-12)


def test_dense_jacobian_equals_finite_differences() -> None:
    gan = tiny()
    z, F, h = gan.initial(), gan.field(), 1e-6
    with torch.no_grad():
        columns = [(F(z + h * e) - F(z - h * e)) / (2 * h) for e in torch.eye(gan.dim, dtype=DOUBLE)]
    torch.testing.assert_close(RetainedJacobian(F, z).to_dense(), torch.stack(columns, dim=1), rtol=0, atol=1e-8)


def test_retained_jacobian_serves_any_field_of_the_neural_world() -> None:
    game = gd.callable_game([lambda z: z[0] * z[1] + z[0] ** 3, lambda z: -z[0] * z[1]], sizes=[1, 1])
    J = RetainedJacobian(game.field(), torch.tensor([2.0, 1.0], dtype=DOUBLE))
    assert J.to_dense().tolist() == [[12.0, 1.0], [-1.0, 0.0]]
    assert torch.stack([J.jvp(e) for e in torch.eye(2, dtype=DOUBLE)], dim=1).tolist() == [[12.0, 1.0], [-1.0, 0.0]]
    flat = gd.callable_game([lambda z: z[0], lambda z: z[1]], sizes=[1, 1])
    assert RetainedJacobian(flat.field(), torch.zeros(2)).to_dense().tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match="one point"):
        RetainedJacobian(game.field(), torch.zeros(2, 3))


# --- unrolling


def unrolled_cost(gan: GAN, z: Tensor, steps: int, lr: float) -> Tensor:
    """cost_G after the discriminator took `steps` gradient steps, gradients of the cost by hand."""
    sample, d = gan.evaluation_sample, gan.players[1].slice
    for _ in range(steps):
        w = z.detach().clone().requires_grad_()
        (g,) = torch.autograd.grad(costs_by_hand(gan, w, sample.x, sample.latents)[1], w)
        z = z.detach().clone()
        z[d] -= lr * g[d]
    return costs_by_hand(gan, z, sample.x, sample.latents)[0]


def test_unrolled_gradient_equals_finite_differences_of_the_unrolled_cost() -> None:
    gan, steps, lr, h = tiny(), 3, 0.5, 1e-5
    z, p = gan.initial(), gan.players[0]
    v = gd.unrolled(steps, lr=lr).field(gan.field())(z).detach()
    for k in range(0, p.stop, 4):
        e = torch.zeros_like(z)
        e[k] = h
        slope = float(unrolled_cost(gan, z + e, steps, lr) - unrolled_cost(gan, z - e, steps, lr)) / (2 * h)
        assert float(v[k]) == pytest.approx(slope, abs=1e-8)
    torch.testing.assert_close(v[gan.players[1].slice], gan.field()(z)[gan.players[1].slice], rtol=0, atol=1e-13)


def test_stopping_the_gradient_gives_another_field_than_unrolling() -> None:
    gan = tiny()
    z = gan.initial()
    through = gd.unrolled(3, lr=0.5).field(gan.field())(z).detach()
    stopped = gd.stop_gradient_lookahead(3, lr=0.5).field(gan.field())(z)
    g, d = (p.slice for p in gan.players)
    assert float((through[g] - stopped[g]).norm()) > 1e-3 * float(through[g].norm())
    torch.testing.assert_close(through[d], stopped[d], rtol=0, atol=1e-13)


# --- samples


def test_draws_are_a_function_of_seed_and_step() -> None:
    gan = tiny()
    first, again = gan.oracle(8, seed=5), gan.oracle(8, seed=5)
    later = [first.draw(k) for k in range(4)][2]
    alone = again.draw(2)
    assert torch.equal(later.x, alone.x)
    assert torch.equal(later.latents, alone.latents)
    for other in (gan.oracle(8, seed=6).draw(2), first.draw(3)):
        assert not torch.equal(other.x, alone.x)
        assert not torch.equal(other.latents, alone.latents)


def test_draws_leave_the_global_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    gan = tiny()
    gan.oracle().draw(0)(gan.initial())
    gan.sample(gan.initial(), 5)
    assert torch.equal(state, torch.random.get_rng_state())


def test_evaluation_sample_is_fixed_and_whole_where_the_data_are_few() -> None:
    gan = tiny()
    z = gan.initial()
    assert torch.equal(gan.field()(z), gan.field()(z))
    assert len(gan.evaluation_sample.x) == 20
    whole = tiny(seed=9)
    assert torch.equal(gan.initial(), whole.initial())
    assert not torch.equal(gan.evaluation_sample.x, whole.evaluation_sample.x)
    few = GAN(gan.generator, gan.discriminator, data=ring(n=10), batch_size=5)
    assert torch.equal(few.evaluation_sample.x, few.data.x)


def test_load_and_initial_are_inverse_and_sample_uses_the_vector() -> None:
    gan = tiny()
    gan.generator, gan.discriminator = gan.networks[0].module, gan.networks[1].module
    z = vector(gan.dim)
    drawn = gan.sample(z, 7, seed=2)
    gan.load(z)
    torch.testing.assert_close(gan.initial(), z.float().double(), rtol=0, atol=0)
    torch.testing.assert_close(drawn.float(), gan.sample(gan.initial(), 7, seed=2).float(), rtol=1e-5, atol=1e-5)
    assert drawn.shape == (7, 2)
    with pytest.raises(ValueError, match="d = "):
        gan.load(z[:-1])


# --- what is refused


def build(generator: nn.Module | None = None, discriminator: nn.Module | None = None, **kw: Any) -> GAN:
    g = generator or mlp_generator(3, 2, (4,))
    d = discriminator or mlp_discriminator(2, (4,))
    data: Dataset = kw.pop("data", ring(n=40))
    return GAN(g, d, data=data, batch_size=8, **kw)


def test_power_iteration_is_refused_and_accepted_when_frozen() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))
    with pytest.raises(ValueError, match=r"writes to its buffers.*_u"):
        build(discriminator=layer)
    gan = build(discriminator=layer.eval())
    assert gan.field()(gan.initial()).shape == (gan.dim,)


def test_networks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of 2"):
        build(generator=mlp_generator(3, 5, (4,)))
    with pytest.raises(ValueError, match="one logit"):
        build(discriminator=nn.Linear(2, 3))
    with pytest.raises(ValueError, match="latent"):
        build(generator=nn.Sequential(nn.Linear(3, 2)))
    with pytest.raises(ValueError, match="no player"):
        build(discriminator=nn.Flatten())
    with pytest.raises(TypeError, match="from_tensor"):
        build(data=torch.zeros(4, 2))
    shared = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="share"):
        build(
            generator=nn.Sequential(shared),
            discriminator=nn.Sequential(shared, nn.Linear(2, 1)),
            latent=2,
        )
    with pytest.raises(ValueError, match="at most 40"):
        build().oracle(41)


def test_frozen_and_tied_parameters_are_no_coordinates_of_their_own() -> None:
    tied = nn.Linear(2, 2, bias=False)
    d = nn.Sequential(tied, nn.Tanh(), tied, nn.Linear(2, 1))
    d[3].bias.requires_grad_(False)
    gan = build(discriminator=d)
    assert gan.players[1].size == 4 + 2
    z = gan.initial().double()
    J = RetainedJacobian(gan.field(), z)
    h, e = 1e-6, vector(gan.dim)
    with torch.no_grad():
        F = gan.field()
        torch.testing.assert_close(J.jvp(e), (F(z + h * e) - F(z - h * e)) / (2 * h), rtol=0, atol=1e-7)


def test_only_the_neural_world_is_supplied() -> None:
    gan = tiny()
    assert gan.worlds == ("neural",)
    with pytest.raises(NotInThisWorld, match="without a formula"):
        gan.field("exact")
    with pytest.raises(ValueError, match="no parameters"):
        gan.field("neural", {"a": 1})
    with pytest.raises(ValueError, match=r"d = \d+ parameters"):
        gan.field()(torch.zeros(3))


def test_own_loss_is_a_pair_of_functions() -> None:
    squares = GANLoss(
        "least_squares",
        lambda fake: (fake - 1).square().mean(),
        lambda r, f: (r - 1).square().mean() + f.square().mean(),
        "D = 1/2",
    )
    gan = build(loss=squares)
    assert "least_squares" in repr(gan)
    assert bool(gan.field()(gan.initial()).isfinite().all())


def test_a_gan_plays_like_every_other_game() -> None:
    gan = build(data=from_tensor(torch.randn(30, 2, generator=torch.Generator().manual_seed(0))))
    T = gd.StepMap(gd.Extragradient(0.1), gan)
    z = gan.initial()
    s = T(T.start(z))
    F = gan.field()
    torch.testing.assert_close(s, z - 0.1 * F(z - 0.1 * F(z)), rtol=0, atol=1e-7)
