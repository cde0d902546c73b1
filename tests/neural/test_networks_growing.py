"""Progressive growing: what is carried over, what a phase computes, and a game for each phase."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

import gamedyn as gd
from gamedyn.neural import GAN, Dataset, from_tensor, train
from gamedyn.neural.networks import (
    Growing,
    Resize,
    carry_over,
    dcgan_discriminator,
    downsampled,
    growing_pair,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "grey": {},
    "colours, pixel norm and standard deviation": {
        "image_shape": (3, 8, 16),
        "norm": "pixel",
        "minibatch": "standard_deviation",
    },
    "three phases, instance norm": {"channels": (5, 4, 3), "norm": "instance", "minibatch": "discrimination"},
}
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


def pair_of(**setting: Any) -> Growing:
    return growing_pair(setting.pop("latent", 6), setting.pop("image_shape", (8, 8)), **{"channels": (5, 3), **setting})


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module, seed: int) -> nn.Module:
    """The module as training might leave it: elsewhere than its initial weights."""
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            p.add_(0.1 * normal(*p.shape, seed=seed + k))
    return module


# --- what a phase computes


@every_setting
def test_a_network_that_has_grown_computes_at_alpha_zero_what_it_did(setting: dict[str, Any]) -> None:
    pair = pair_of(**setting)
    for k in range(1, pair.phases):
        old_g, old_d = (shaken(module, k) for module in pair.phase(k - 1))
        new_g, new_d = pair.phase(k, alpha=0.0)
        carry_over(old_g, new_g), carry_over(old_d, new_d)
        z, x = normal(4, 6), normal(4, new_d.in_features, seed=1)
        small = old_g(z).reshape(4, *pair.shape(k - 1))
        assert torch.equal(new_g(z), Resize(2)(small).flatten(1))
        halved = avg_pool2d(x.reshape(4, *pair.shape(k)), 2).flatten(1)
        assert torch.equal(new_d(x), old_d(halved))


@every_setting
def test_fading_in_is_linear_between_the_enlarged_and_the_new_picture(setting: dict[str, Any]) -> None:
    pair = pair_of(**setting, output=None)
    k, z = pair.phases - 1, normal(4, 6)
    old, new = pair.phase(k, 0.0)[0](z), pair.phase(k, 1.0)[0](z)
    assert (old - new).abs().max() > 1e-3
    for alpha in (0.25, 0.5, 1 - 1e-6):
        torch.testing.assert_close(pair.phase(k, alpha)[0](z), (1 - alpha) * old + alpha * new)


def test_pictures_fade_in_before_the_output_and_not_after() -> None:
    z, linear = normal(4, 6), pair_of(output=None)
    s = [linear.phase(1, alpha)[0](z) for alpha in (0.0, 1.0)]
    faded = pair_of(output="tanh").phase(1, 0.25)[0](z)
    torch.testing.assert_close(faded, torch.tanh(0.75 * s[0] + 0.25 * s[1]))
    assert (faded - 0.75 * s[0].tanh() - 0.25 * s[1].tanh()).abs().max() > 1e-4


def test_at_alpha_zero_exactly_the_newest_parts_stand_still() -> None:
    pair = pair_of(activation="tanh")
    data = from_tensor(normal(64, 64), name="pictures")
    data = Dataset("pictures", data.x, image_shape=(8, 8))
    gan = GAN(*pair.phase(1, 0.0), data=pair.data(data, 1, 0.0), dtype=torch.float64)
    v = gan.field("neural")(gan.initial())
    names = [
        f"{role} {name}"
        for role, m in zip("GD", (gan.generator, gan.discriminator), strict=True)
        for name, _ in m.named_parameters()
    ]
    pieces = [p for net in gan.split(v) for p in net]
    idle = {name for name, piece in zip(names, pieces, strict=True) if not piece.any()}
    assert idle == {name for name in names if ".1." in name}


@every_setting
def test_phases_have_doubling_shapes_and_one_logit_per_row(setting: dict[str, Any]) -> None:
    pair = pair_of(**setting)
    assert pair.shape(pair.phases - 1) == pair.image_shape
    for k in range(pair.phases):
        c, h, w = pair.shape(k)
        assert (h * 2 ** (pair.phases - 1 - k), w * 2 ** (pair.phases - 1 - k)) == pair.image_shape[1:]
        for alpha in (1.0,) if k == 0 else (0.5, 1.0):
            g, d = pair.phase(k, alpha)
            assert (g.out_features, d.in_features) == (c * h * w, c * h * w)
            assert d(g(normal(3, 6))).shape == (3, 1)
            assert g(normal(3, 6)).abs().max() <= 1


@every_setting
def test_no_phase_has_idle_parameters(setting: dict[str, Any]) -> None:
    pair = pair_of(**setting, activation="tanh")
    for k, alpha in ((0, 1.0), (1, 0.5), (1, 1.0)):
        g, d = (module.double() for module in pair.phase(k, alpha))
        d(g(normal(8, 6).double())).square().sum().backward()
        for module in (g, d):
            assert all(p.grad is not None and p.grad.abs().max() > 1e-9 for p in module.parameters())


# --- weights


def test_a_part_starts_from_the_same_weights_in_every_phase_and_from_nothing_else() -> None:
    before = torch.get_rng_state()
    pair = pair_of(channels=(5, 4, 3))
    first, last = pair.phase(0), pair.phase(2, alpha=0.5)
    assert torch.equal(torch.get_rng_state(), before)
    for role in range(2):
        early, late = (dict(phase[role].named_parameters()) for phase in (first, last))
        common = [name for name in early if name in late]
        assert common == [name for name in early if "image" not in name]  # fading from phase 1, not from phase 0
        assert all(torch.equal(early[name], late[name]) for name in common)
    one, other = pair.phase(1)[0], pair_of(channels=(5, 4, 3), seed=1).phase(1)[0]
    weights = [p for p in one.parameters() if p.ndim > 1]
    assert not any(
        torch.equal(a, b) for a, b in zip(weights, (p for p in other.parameters() if p.ndim > 1), strict=True)
    )


def test_carry_over_copies_by_name_says_what_is_new_and_leaves_alpha() -> None:
    pair = pair_of()
    old, new = shaken(pair.phase(0)[0], 5), pair.phase(1, alpha=0.25)[0]
    fresh = {name: p.detach().clone() for name, p in new.named_parameters()}
    met_not = carry_over(old, new)
    assert {name.rsplit(".", 2)[0] for name in met_not} == {"blocks.1", "to_image.1"}
    for name, p in new.named_parameters():
        expected = fresh[name] if name in met_not else old.get_parameter(name)
        assert torch.equal(p, expected)
    assert float(new.alpha) == 0.25
    assert carry_over(new, pair.phase(1)[0]) == ()  # the way around the new block is left behind


def test_modules_of_different_pairs_are_not_carried_over() -> None:
    with pytest.raises(ValueError, match=r"blocks\.0\.0\.weight \(80, 6\) and \(112, 6\)"):
        carry_over(pair_of().phase(0)[0], pair_of(channels=(7, 3)).phase(1)[0])
    with pytest.raises(ValueError, match="no parameter of the same name"):
        carry_over(dcgan_discriminator((8, 8)), pair_of().phase(1)[1])


# --- data


def pictures(*shape: int) -> Dataset:
    x = normal(20, *shape).clamp(-1, 1)
    return Dataset("noise", x.flatten(1), torch.arange(20) % 3, shape)


def test_downsampled_pictures_are_means_of_squares() -> None:
    data = pictures(3, 4, 8)
    small = downsampled(data, 2)
    assert (small.image_shape, small.dim, small.labels is data.labels) == ((3, 2, 4), 24, True)
    squares = data.x.reshape(20, 3, 2, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(small.x, squares.flatten(1))
    assert downsampled(data, 4) is data
    assert downsampled(pictures(4, 8), 1).image_shape == (1, 2)
    with pytest.raises(ValueError, match="resolution is 3"):
        downsampled(data, 3)
    with pytest.raises(ValueError, match="resolution is 8"):
        downsampled(data, 8)
    with pytest.raises(ValueError, match="no image_shape"):
        downsampled(from_tensor(normal(5, 4)), 2)


def test_the_data_of_a_phase_fades_in_like_its_generator() -> None:
    pair, data = pair_of(channels=(5, 4, 3)), pictures(8, 8)
    x = data.x.reshape(20, 1, 8, 8)
    assert torch.equal(pair.data(data, 0).x, downsampled(data, 2).x)
    assert pair.data(data, 2) is data
    middle = avg_pool2d(x, 2)
    mixed = 0.75 * Resize(2)(avg_pool2d(x, 4)) + 0.25 * middle
    torch.testing.assert_close(pair.data(data, 1, alpha=0.25).x, mixed.flatten(1))
    with pytest.raises(ValueError, match=r"these are for \(1, 8, 8\)"):
        pair.data(pictures(4, 4), 0)


# --- games


def test_every_phase_is_a_game_that_starts_where_the_last_one_ended() -> None:
    pair, data = pair_of(), pictures(8, 8)
    method = gd.Method(gd.Alternating(lr=1e-2), gd.Adam(beta1=0.5))
    old = pair.phase(0)
    gan = GAN(*old, data=pair.data(data, 0), batch_size=8)
    result = train(gan, method, steps=5, seed=1)
    gan.load(result.z)
    new = pair.phase(1, alpha=0.0)
    for before, after in zip(old, new, strict=True):
        carry_over(before, after)
    grown = GAN(*new, data=pair.data(data, 1, alpha=0.0), batch_size=8)
    small = gan.sample(result.z, 7).reshape(-1, 1, 4, 4)
    assert torch.equal(grown.sample(grown.initial(), 7), Resize(2)(small).flatten(1))
    assert train(grown, method, steps=5, seed=2).status == "finished"


def test_alpha_is_a_constant_of_the_game_and_no_coordinate() -> None:
    pair, data = pair_of(activation="tanh"), pictures(8, 8)
    gans = [GAN(*pair.phase(1, alpha), data=data, batch_size=8) for alpha in (0.25, 0.75)]
    z = gans[0].initial().double()
    assert all(
        player.size == sum(p.numel() for p in module.parameters())
        for player, module in zip(gans[0].players, pair.phase(1, 0.5), strict=True)
    )
    assert torch.equal(gans[0].initial(), gans[1].initial())
    fields = [gan.field("neural") for gan in gans]
    assert (fields[0](z) - fields[1](z)).norm() > 1e-3
    u = normal(gans[0].dim, seed=3).double() / gans[0].dim ** 0.5
    slope = (fields[0](z + 1e-6 * u) - fields[0](z - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(fields[0].jvp(z, u), slope, rtol=1e-5, atol=1e-8)


def test_impossible_pairs_and_phases_are_refused() -> None:
    with pytest.raises(ValueError, match=r"divisible by 4\. Use fewer channels"):
        growing_pair(4, (6, 6), (4, 4, 4))
    with pytest.raises(ValueError, match="use None, batch, instance"):
        pair_of(norm="group")
    with pytest.raises(ValueError, match="There is no minibatch layer"):
        pair_of(minibatch="similarity")
    with pytest.raises(ValueError, match="seed is -1"):
        pair_of(seed=-1)
    with pytest.raises(ValueError, match="There is no phase 2; channels has 2 entries: use 0 to 1"):
        pair_of().phase(2)
    with pytest.raises(ValueError, match=r"alpha is 1\.5 in phase 1; it must be in \[0, 1\]"):
        pair_of().phase(1, alpha=1.5)
    with pytest.raises(ValueError, match="phase 0 has no picture to fade from"):
        pair_of().phase(0, alpha=0.5)
