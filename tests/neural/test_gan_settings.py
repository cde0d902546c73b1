"""Settings of a GAN: layers in training mode, several discriminators, instance noise, constraints, mixed precision."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn.neural.data import Dataset, ring
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.networks import mlp_discriminator, mlp_generator
from gamedyn.neural.penalties.clipping import WeightClipping
from gamedyn.neural.penalties.instance_noise import InstanceNoise
from gamedyn.neural.scene import combined


def build(generator: nn.Module | None = None, discriminator: nn.Module | None = None, **kw: Any) -> GAN:
    g = generator or mlp_generator(3, 2, (4,))
    d = discriminator or mlp_discriminator(2, (4,))
    data: Dataset = kw.pop("data", ring(n=40))
    return GAN(g, d, data=data, batch_size=8, **kw)


def test_batch_norm_in_training_uses_the_batch_and_leaves_its_running_statistics() -> None:
    def norm(**kw: Any) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, **kw), nn.Tanh(), nn.Linear(4, 1))

    kept, without = norm(), norm(track_running_stats=False)
    before = {name: t.clone() for name, t in kept.named_buffers()}
    gan, plain = build(discriminator=kept), build(discriminator=without)
    torch.testing.assert_close(gan.field()(gan.initial()), plain.field()(plain.initial()), rtol=0, atol=0)
    assert all(torch.equal(t, before[name]) for name, t in kept.named_buffers())
    assert kept[1].track_running_stats
    still = build(discriminator=norm().eval())  # in evaluation mode the running statistics are part of D
    assert not torch.allclose(still.field()(still.initial()), gan.field()(gan.initial()))


def test_loading_a_point_sets_the_running_statistics_of_the_modules() -> None:
    G = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    gan = build(generator=G, latent=3, evaluation_size=40)
    gan.load(gan.initial() + 0.1)
    hidden = G[0](gan.evaluation_sample.latents).detach()
    torch.testing.assert_close(G[1].running_mean, hidden.mean(0))
    torch.testing.assert_close(G[1].running_var, hidden.var(0))
    G.eval()
    normal = (hidden - hidden.mean(0)) / (hidden.var(0) + 1e-5).sqrt()
    expected = G[3](torch.tanh(normal * G[1].weight + G[1].bias))
    torch.testing.assert_close(G(gan.evaluation_sample.latents), expected)


def test_dropout_masks_are_a_function_of_the_sample() -> None:
    def noisy() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.5), nn.Linear(16, 1))

    state = torch.random.get_rng_state()
    gan = build(discriminator=noisy())
    z, oracle = gan.initial(), gan.oracle(seed=1)
    first, again, other = oracle.draw(0)(z), oracle.draw(0)(z), oracle.draw(1)(z)
    assert torch.equal(first, again)
    assert torch.equal(
        oracle.draw(0).part(1, z), torch.cat([torch.zeros(gan.players[1].start), first[gan.players[1].slice]])
    )
    assert not torch.allclose(first, other)
    still = gan.variant()
    gan.discriminator.eval()
    still = gan.variant()
    assert still.evaluation_sample.key is None
    assert not torch.allclose(still.field()(z), GANField(still, gan.evaluation_sample)(z) * 0)
    state_after = torch.random.get_rng_state()
    torch.random.set_rng_state(state)
    noisy()
    assert torch.equal(torch.random.get_rng_state(), state_after)


def test_a_layer_that_draws_by_itself_is_refused() -> None:
    class Drawing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.rand(1)

    with pytest.raises(ValueError, match="draws random numbers"):
        build(discriminator=Drawing(2, 1))


# --- several discriminators, instance noise, constraints, mixed precision


def pair(**kw: Any) -> GAN:
    judges = [mlp_discriminator(2, (4,), activation="tanh", seed=s) for s in (1, 2)]
    generator = mlp_generator(3, 2, (4,), activation="tanh")
    return GAN(generator, judges, data=ring(n=40), batch_size=8, dtype=torch.float64, **kw)


def test_every_discriminator_is_a_player_and_the_generator_meets_their_mean() -> None:
    gan = pair()
    assert [p.name for p in gan.players] == ["generator", "discriminator1", "discriminator2"]
    z, v = gan.initial(), gan.field()(gan.initial())
    parts = gan.split(z)
    alone = [GAN(gan.generator, judge, data=gan.data, batch_size=8, dtype=torch.float64) for judge in gan.discriminator]
    values = [a.field()(torch.cat([p.reshape(-1) for p in (*parts[0], *parts[k])])) for k, a in enumerate(alone, 1)]
    n = gan.players[0].size
    torch.testing.assert_close(v[:n], (values[0][:n] + values[1][:n]) / 2)
    torch.testing.assert_close(v[n:], torch.cat([u[n:] for u in values]))


@pytest.mark.parametrize(
    ("how", "expected"), [("hardest", 2.0), (0.0, 1.5), (1.0, (math.e + 2 * math.e**2) / (math.e + math.e**2))]
)
def test_the_generator_meets_the_hardest_discriminator_or_a_softmax_of_them(how: Any, expected: float) -> None:
    costs = [torch.tensor(1.0), torch.tensor(2.0)]
    assert float(combined(costs, how)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="'mean', 'hardest'"):
        pair(combine="best")


def test_a_game_of_three_players_trains_and_has_a_jacobian() -> None:
    gan = pair(combine=1.0)
    result = gd.neural.train(gan, gd.Method(gd.Alternating(1e-2, order=(1, 2, 0)), gd.Adam()), 3)
    assert result.status == "finished"
    u = torch.randn(gan.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    F, z, h = gan.field(), result.z, 1e-5
    torch.testing.assert_close(F.jvp(z, u).detach(), (F(z + h * u) - F(z - h * u)) / (2 * h), rtol=1e-6, atol=1e-8)


def test_instance_noise_blurs_what_discriminators_see_and_nothing_else() -> None:
    plain = build(evaluation_size=40)
    noisy = plain.variant(instance_noise=InstanceNoise(0.5))
    a, b = plain.evaluation_sample, noisy.evaluation_sample
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.latents, b.latents)
    on_data, on_samples = b.noise[0].split(2, dim=1)
    z = noisy.initial()
    theta_g, theta_d = noisy.split(z)
    fake = noisy.networks[0](theta_g, b.latents) + on_samples
    logits = [noisy.networks[1](theta_d, points) for points in (b.x + on_data, fake)]
    costs = [float(c) for c in noisy.field().all_costs(z)]
    assert costs == pytest.approx(
        [float(softplus(-logits[1]).mean()), float((softplus(-logits[0]) + softplus(logits[1])).mean())]
    )


def test_instance_noise_vanishes_along_a_training() -> None:
    gan = build(instance_noise=InstanceNoise(0.5, vanish=10))
    sizes = [float(gan.oracle(seed=3).draw(k).sample.noise[0].abs().max()) for k in (0, 5, 10)]
    assert sizes[0] > sizes[1] > sizes[2] == 0.0
    assert float(gan.evaluation_sample.noise[0].std()) == pytest.approx(0.5, rel=0.3)
    with pytest.raises(ValueError, match="sigma"):
        InstanceNoise(-1.0)


def test_a_constraint_is_kept_by_the_rule_for_the_discriminator_alone() -> None:
    gan = build().variant(penalty=WeightClipping(0.05))
    z = gan.field().point(10 * gan.initial())
    n = gan.players[0].size
    assert torch.equal(z[:n], 10 * gan.initial()[:n])
    assert float(z[n:].abs().max()) == pytest.approx(0.05)
    assert not build().field().is_constrained


def test_mixed_precision_keeps_parameters_and_gradients_in_float32() -> None:
    gan = build(evaluation_size=40)
    mixed, z = gan.variant(autocast="bfloat16"), gan.initial()
    v, exact = mixed.field()(z), gan.field()(z)
    assert v.dtype == torch.float32
    assert 0 < float((v - exact).norm() / exact.norm()) < 2e-2  # bfloat16 has 8 bits
    assert torch.equal(mixed.field()(z.double()), gan.field()(z.double()))
    with pytest.raises(ValueError, match="bfloat16"):
        build(autocast="float8")


def test_a_variant_shares_the_networks_and_names_what_it_does_not_know() -> None:
    gan = build()
    assert gan.variant(loss="saturating").generator is gan.generator
    assert gan.variant(loss="saturating").loss.name == "saturating"
    with pytest.raises(TypeError, match="lozz"):
        gan.variant(lozz="saturating")
