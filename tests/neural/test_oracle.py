"""Stochastic GANs: one batch per step or one per evaluation, and the mean that variance reduction uses."""

from __future__ import annotations

import pytest
import torch

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring


@pytest.fixture(scope="module")
def gan() -> GAN:
    torch.manual_seed(0)
    networks = mlp_generator(3, 2, (6,)), mlp_discriminator(2, (6,))
    return GAN(*networks, data=ring(n=64), batch_size=8, evaluation_size=64, dtype=torch.float64)


def step(gan: GAN, method: object, sampling: str, k: int = 2) -> torch.Tensor:
    T = gd.StepMap(method, gan, oracle=gan.oracle(seed=3, sampling=sampling))
    return T.point(T(T.start(gan.initial()), k))


def test_independent_sampling_draws_a_batch_for_every_evaluation(gan: GAN) -> None:
    z, oracle = gan.initial(), gan.oracle(seed=3, sampling="independent")
    with torch.no_grad():
        w = z - 0.1 * oracle.batch_field(2, 0)(z)
        expected = z - 0.1 * oracle.batch_field(2, 1)(w)
        same = z - 0.1 * oracle.batch_field(2, 0)(w)
    torch.testing.assert_close(step(gan, gd.Extragradient(0.1), "independent"), expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(step(gan, gd.Extragradient(0.1), "same"), same, rtol=0, atol=1e-15)
    assert float((expected - same).abs().max()) > 1e-4


def test_one_evaluation_per_step_sees_the_batch_of_the_same_sampling(gan: GAN) -> None:
    torch.testing.assert_close(
        step(gan, gd.Simultaneous(0.1), "independent"), step(gan, gd.Simultaneous(0.1), "same"), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("sampling", ["same", "independent"])
def test_the_expected_field_is_that_on_the_evaluation_sample(gan: GAN, sampling: str) -> None:
    z = gan.initial()
    F = gan.oracle(seed=3, sampling=sampling).draw(4)
    assert torch.equal(F.expected()(z), gan.field()(z))
    f = F.fixed()
    assert torch.equal(f(z), f(z))
    assert not torch.equal(f(z), F.expected()(z))


@pytest.mark.parametrize("sampling", ["same", "independent"])
def test_variance_reduced_steps_start_with_the_full_gradient(gan: GAN, sampling: str) -> None:
    rule = gd.variance_reduced(gd.Simultaneous(0.1), 3)
    with torch.no_grad():
        expected = gan.initial() - 0.1 * gan.field()(gan.initial())
    torch.testing.assert_close(step(gan, rule, sampling, k=0), expected, rtol=0, atol=1e-14)


def test_oracles_of_a_gan_refuse_other_worlds_and_samplings(gan: GAN) -> None:
    assert gan.oracle().mean_game is gan.oracle().game is gan
    with pytest.raises(gd.NotInThisWorld, match="without a formula"):
        gan.oracle().draw(0, "array")
    with pytest.raises(ValueError, match="sampling='each'"):
        gan.oracle(sampling="each")
