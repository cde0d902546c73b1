"""What networks do besides giving an output: it is allowed for, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.neural.data import Dataset, from_tensor, ring
from gamedyn.neural.gan import GAN
from gamedyn.neural.losses import GANLoss, feature_matching, non_saturating
from gamedyn.neural.networks import mlp_discriminator, mlp_generator
from gamedyn.neural.penalties.base import Penalty
from gamedyn.neural.penalties.gradient import R1
from gamedyn.neural.scene import Scene

DOUBLE = torch.float64


def build(discriminator: Any = None, generator: nn.Module | None = None, **kw: Any) -> GAN:
    data: Dataset = kw.pop("data", ring(n=40))
    G, D = generator or mlp_generator(3, 2, (4,)), discriminator or mlp_discriminator(2, (4,))
    return GAN(G, D, data=data, **{"batch_size": 8, **kw})


def judge(*layers: nn.Module, seed: int = 0, outputs: int = 1) -> nn.Sequential:
    """Layers, then a linear one to a logit, with weights of a seed."""
    net, generator = nn.Sequential(*layers, nn.Linear(2, outputs)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    return net


# --- layers that work in place


@pytest.mark.parametrize("layer", [nn.ReLU, nn.ELU])
def test_a_first_layer_in_place_gives_the_field_of_one_that_is_not(layer: type[nn.Module]) -> None:
    rows = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    kept = rows.clone()
    settings = {"data": from_tensor(rows), "evaluation_size": 40, "penalty": R1(0.1), "latent": 2, "dtype": DOUBLE}
    gan, plain = (
        build(
            [judge(layer(inplace=inplace), seed=s) for s in (1, 2)],
            judge(layer(inplace=inplace), seed=3, outputs=2),
            **settings,
        )
        for inplace in (True, False)
    )
    z = gan.initial()
    x, latents = gan.evaluation_sample.x.clone(), gan.evaluation_sample.latents.clone()
    torch.testing.assert_close(gan.field()(z), plain.field()(z), rtol=0, atol=1e-14)
    method = gd.Method(gd.Alternating(1e-2, order=(1, 2, 0)))
    ends = [gd.neural.train(game, method, 2).z for game in (gan, plain)]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-14)
    assert torch.equal(gan.evaluation_sample.x, x)
    assert torch.equal(gan.evaluation_sample.latents, latents)
    assert torch.equal(rows, kept)


def test_only_networks_that_write_to_their_input_get_a_copy_of_it() -> None:
    gan = build(nn.Sequential(nn.Linear(2, 4), nn.ReLU(inplace=True), nn.Linear(4, 1)))
    assert not gan.networks[1].writes_input
    assert build(judge(nn.ReLU(inplace=True))).networks[1].writes_input


def test_features_are_what_a_layer_gave_before_the_next_one_wrote_over_it() -> None:
    nets = [nn.Sequential(judge()[0], nn.ReLU(inplace=inplace), nn.Linear(1, 1)) for inplace in (True, False)]
    nets[1].load_state_dict(nets[0].state_dict())
    gans = [build(net, loss=feature_matching("0")) for net in nets]
    z = gans[0].initial()
    torch.testing.assert_close(gans[0].field()(z), gans[1].field()(z), rtol=0, atol=0)


def test_features_of_a_layer_without_one_tensor_are_refused_by_its_name() -> None:
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), x

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Pair(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)[0]

    with pytest.raises(ValueError, match="'inner' of the discriminator gives a tuple"):
        build(Net(), loss=feature_matching("inner"))
    with pytest.raises(TypeError, match="discriminator gives a tuple"):
        build(Pair(2, 1))


# --- parameters and buffers


def test_parameters_used_from_a_second_place_are_refused_and_unused_ones_are_not() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.idle = nn.Linear(2, 4), nn.Linear(4, 1), nn.Linear(1, 1)
            self.weights = [self.a.weight]

        def forward(self, x: Tensor) -> Tensor:
            return self.b((x @ self.weights[0].T).tanh())

    with pytest.raises(ValueError, match=r"discriminator keeps its parameters \['a.weight'\] in a second place"):
        build(Listed())
    net = Listed()
    net.weights = nn.ParameterList([net.a.weight])
    gan = build(net)
    v = gan.field()(gan.initial())[gan.players[1].slice]
    assert float(v[:8].abs().min()) > 0  # the listed weight
    assert not bool(v[-2:].any())  # the idle layer


def test_the_field_does_not_remember_in_which_type_it_was_evaluated_before() -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 1)
            self.register_buffer("scale", torch.tensor(1 / 3, dtype=DOUBLE))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * self.scale)

    gan = build(Scaled(), dtype=DOUBLE)
    z, F = gan.initial(), gan.field()
    before = F(z)
    F(z.float())
    assert torch.equal(F(z), before)


def test_a_frozen_extractor_may_be_shared_and_a_trained_one_may_not() -> None:
    extractor = nn.Linear(2, 2).requires_grad_(False)
    gan = build([judge(extractor, nn.Tanh()), judge(extractor, nn.Tanh())])
    assert [p.size for p in gan.players[1:]] == [3, 3]
    extractor.requires_grad_(True)
    with pytest.raises(ValueError, match="share"):
        build([judge(extractor, nn.Tanh()), judge(extractor, nn.Tanh())])


@dataclass(frozen=True)
class Projected(Penalty):
    how: str

    def project(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        if self.how == "short":
            return list(parameters)[:-1]
        return [p.clamp_(-0.1, 0.1) for p in parameters]


def test_a_projection_may_work_in_place_and_must_give_every_tensor() -> None:
    gan = build(penalty=Projected("in place"))
    z = gan.initial() + 1
    own = z.clone()
    for w in (z, z.clone().requires_grad_()):
        projected = gan.field().point(w)
        assert float(projected[gan.players[1].slice].detach().abs().max()) == pytest.approx(0.1)
    assert torch.equal(z, own)
    with pytest.raises(ValueError, match=r"Projected\(how='short'\).project gives tensors of the shapes"):
        build(penalty=Projected("short")).field().point(z)


# --- random numbers


def test_layers_that_say_they_draw_get_their_numbers_from_the_sample() -> None:
    gan = build(nn.Sequential(nn.Linear(2, 4), nn.RReLU(), nn.Linear(4, 1)))
    assert gan.networks[1].dropouts == ["1"]
    z, oracle = gan.initial(), gan.oracle(seed=1)
    assert torch.equal(oracle.draw(0)(z), oracle.draw(0)(z))
    assert not torch.equal(oracle.draw(0)(z), oracle.draw(1)(z))


def test_a_layer_that_draws_without_saying_so_is_named() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    with pytest.raises(ValueError, match=r"discriminator.1.0 \(Noisy\) draws random numbers.*instance_noise"):
        build(nn.Sequential(nn.Linear(2, 4), nn.Sequential(Noisy()), nn.Linear(4, 1)))


# --- settings and costs that do not fit


def test_misfits_are_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(ValueError, match=r"discriminator cannot be called on 16 rows of 2, torch.float32 on cpu"):
        build(mlp_discriminator(3, (4,)))
    with pytest.raises(ValueError, match="no shape yet"):
        build(nn.LazyLinear(1))
    with pytest.raises(TypeError, match="discriminator is dict"):
        build({"a": nn.Linear(2, 1)})
    with pytest.raises(TypeError, match="generator is ModuleList"):
        build(generator=nn.ModuleList([nn.Linear(3, 2)]), latent=3)
    with pytest.raises(TypeError, match="dtype is 'float64'; give"):
        build(dtype="float64")
    with pytest.raises(ValueError, match="combine is None"):
        build(combine=None)
    assert len(build(nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])).players) == 3


@dataclass(frozen=True)
class Paying(Penalty):
    how: str

    def cost(self, scene: Scene, noise: Tensor | None) -> Any:
        slopes = scene.slopes(scene.x).square().sum(1)
        return {"rows": slopes, "float": 1.0, "detached": slopes.mean().detach()}[self.how]


@pytest.mark.parametrize(
    ("how", "message"), [("rows", r"shape \(16,\)"), ("float", "float 1.0"), ("detached", "does not depend")]
)
def test_a_cost_that_is_no_scalar_of_the_parameters_is_refused_with_its_penalty(how: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"the cost of the penalty Paying\(how='{how}'\).*{message}"):
        build(penalty=Paying(how))


def test_a_cost_that_is_no_scalar_of_the_parameters_is_refused_with_its_loss() -> None:
    ours = non_saturating.discriminator
    with pytest.raises(ValueError, match=r"the generator's cost in the loss 'rows' is of shape \(16, 1\)"):
        build(loss=GANLoss("rows", lambda f: -f, ours, "none"))
    with pytest.raises(ValueError, match=r"the discriminator's cost in the loss 'rows' is of shape \(16, 1\)"):
        build(loss=GANLoss("rows", non_saturating.generator, lambda r, f: f - r, "none"))
    with pytest.raises(ValueError, match=r"does not depend on the parameters.*'detached'"):
        build(loss=GANLoss("detached", lambda f: f.detach().mean(), ours, "none"))
