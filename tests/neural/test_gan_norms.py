"""Norms and attention, whose kernels have too few derivatives: products of a GAN are those of its v all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gamedyn as gd
from gamedyn.games.plain_operations import NORMS, PlainOperations
from gamedyn.games.products import RetainedJacobian
from gamedyn.neural.data import ring
from gamedyn.neural.gan import GAN
from gamedyn.neural.networks import mlp_generator
from gamedyn.neural.penalties.base import Penalty
from gamedyn.neural.penalties.gradient import R1, GradientPenalty

DOUBLE = torch.float64


class Between(nn.Module):
    """A function between two layers."""

    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x)


class OneChannel(nn.Module):
    """A layer of channels on rows as one channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[:, None])[:, 0]


def by_hand(dim: int) -> nn.Module:
    def norm(x: Tensor) -> Tensor:
        c = x - x.mean(dim, keepdim=True)
        return c / (c.square().mean(dim, keepdim=True) + 1e-5).sqrt()

    return Between(norm)


# a layer, and the same by hand
PAIRS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "layer": (lambda: nn.LayerNorm(4, elementwise_affine=False), 1),
    "instance": (lambda: OneChannel(nn.InstanceNorm1d(1)), 1),
    "batch": (lambda: nn.BatchNorm1d(4, affine=False), 0),
    "function": (lambda: Between(lambda x: F.layer_norm(x, (4,))), 1),
}


def with_norm(norm: nn.Module, penalty: Penalty | None = None, **kw: Any) -> GAN:
    first, last = nn.Linear(2, 4), nn.Linear(4, 1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in (*first.parameters(), *last.parameters()):
            p.copy_(torch.randn(p.shape, generator=generator))
    G = mlp_generator(2, 2, (3,), activation="tanh", seed=2)
    D = nn.Sequential(first, norm, nn.Tanh(), last)
    settings = {"data": ring(n=16, seed=1), "batch_size": 8, "dtype": DOUBLE, **kw}
    return GAN(G, D, penalty=penalty, **settings)


def off(field: Any, z: Tensor) -> list[float]:
    """How far products with J are from differences of v: at once, retained, recorded."""
    u = torch.randn(len(z), dtype=DOUBLE, generator=torch.Generator().manual_seed(3))

    def slope(h: float) -> Tensor:
        return ((field(z + h * u) - field(z - h * u)) / (2 * h)).detach()

    expected = (4 * slope(1e-4) - slope(2e-4)) / 3
    products = [field.jvp(z, u), *(RetainedJacobian(field, z, kind).jvp(u) for kind in ("retained", "recorded"))]
    return [float((J.detach() - expected).norm() / expected.norm()) for J in products]


@pytest.mark.parametrize("norm", PAIRS)
@pytest.mark.parametrize("penalty", [R1(1.0), GradientPenalty(0.5)])
def test_products_under_penalties_on_slopes_are_differences_of_v_with_every_norm(norm: str, penalty: Penalty) -> None:
    gan = with_norm(PAIRS[norm][0](), penalty)
    assert max(off(gan.field(), gan.initial())) < 1e-8


@pytest.mark.parametrize("norm", PAIRS)
@pytest.mark.parametrize("transform", [gd.unrolled(2, lr=0.1), gd.consensus(0.5)])
def test_products_of_transformed_fields_are_differences_of_v_with_every_norm(norm: str, transform: Any) -> None:
    gan = with_norm(PAIRS[norm][0]())
    assert max(off(transform.field(gan.field()), gan.initial())) < 1e-8


@pytest.mark.parametrize("norm", PAIRS)
def test_a_spectrum_with_a_norm_is_that_of_the_norm_by_hand(norm: str) -> None:
    layer, dim = PAIRS[norm]
    gans = [with_norm(module, R1(1.0)) for module in (layer(), by_hand(dim))]
    J, expected = (RetainedJacobian(gan.field(), gan.initial()).to_dense() for gan in gans)
    torch.testing.assert_close(J, expected, rtol=0, atol=1e-12)


def test_unrolled_gradients_under_penalties_are_those_of_the_norm_by_hand() -> None:
    """v itself holds a third derivative here."""
    transform = gd.unrolled(2, lr=0.1)
    gans = [with_norm(module, R1(1.0)) for module in (nn.LayerNorm(4, elementwise_affine=False), by_hand(1))]
    v, expected = (transform.field(gan.field())(gan.initial()).detach() for gan in gans)
    torch.testing.assert_close(v, expected, rtol=0, atol=1e-12)


def test_v_alone_keeps_the_kernels_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = with_norm(nn.LayerNorm(4), R1(1.0))
    assert gan.networks[1].rewritten == {NORMS}
    assert not gan.networks[0].rewritten
    entered: list[int] = []
    enter = PlainOperations.__enter__
    monkeypatch.setattr(PlainOperations, "__enter__", lambda self: (entered.append(1), enter(self))[1])
    z, field = gan.initial(), gan.field()
    field(z)
    assert not entered
    field(z.requires_grad_())
    assert entered


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.LayerNorm((3, 2)), (4, 3, 2)),
        (nn.BatchNorm2d(3), (4, 3, 2, 2)),
        (nn.BatchNorm1d(3).eval(), (4, 3)),
        (nn.BatchNorm1d(3, momentum=None), (4, 3, 5)),
        (nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (4, 3, 2, 2)),
        (nn.InstanceNorm3d(3), (2, 3, 2, 2, 2)),
    ],
)
def test_plain_norms_have_the_values_and_the_running_statistics_of_the_kernels(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    state = {name: t.clone() for name, t in layer.double().state_dict().items()}
    expected, moved = layer(x), {name: t.clone() for name, t in layer.state_dict().items()}
    layer.load_state_dict(state)
    with PlainOperations() as plain:
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-14)
    assert plain.met == {NORMS}
    assert all(torch.equal(t, moved[name]) for name, t in layer.state_dict().items())


def test_norms_that_cannot_be_replaced_are_refused_where_a_jacobian_is_asked_for() -> None:
    raw = Between(lambda x: torch.native_layer_norm(x, (4,), None, None, 1e-5)[0])
    gan = with_norm(raw, R1(1.0))
    z = gan.initial()
    assert bool(gan.field()(z).isfinite().all())
    with pytest.raises(ValueError, match=r"discriminator's native_layer_norm.*third derivative"):
        gan.field().jvp(z, z)


def test_a_callable_game_with_a_norm_has_products_that_are_differences_of_v() -> None:
    W = torch.randn(4, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))

    def costs(z: Tensor) -> list[Tensor]:
        a = F.layer_norm((W @ z[:3])[None], (4,)).tanh()[0]
        return [a.sum() * z[3] + z[0] ** 2, a[0] * z[3] - a.square().sum() * z[3] + z[3] ** 2]

    base = gd.callable_game(costs, sizes=[3, 1]).field()
    z = torch.tensor([0.3, -0.5, 0.8, 0.4], dtype=DOUBLE)
    assert max(off(gd.consensus(0.5).field(base), z)) < 1e-8


class Attention(nn.Module):
    """A discriminator of two tokens."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 4), nn.Linear(4, 1)
        self.attention = nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x[..., None])
        return self.last(self.attention(h, h, h, need_weights=False)[0].mean(1))


@pytest.mark.parametrize("settings", [{}, {"compile": "eager"}])
def test_attention_trains_and_has_a_jacobian_under_penalties_on_slopes(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    G = mlp_generator(2, 2, (3,), activation="tanh", seed=2)
    gan = GAN(G, Attention(), penalty=R1(1.0), data=ring(n=16, seed=1), batch_size=8, dtype=DOUBLE, **settings)
    result = gd.neural.train(gan, gd.Method(gd.Alternating(1e-2)), 2)
    assert result.status == "finished"
    assert max(off(gan.field(), gan.initial())) < 1e-8


def test_masks_of_dropout_in_attention_are_a_function_of_the_sample() -> None:
    gan = GAN(mlp_generator(2, 2, (3,)), Attention(0.3), data=ring(n=16), batch_size=8)
    assert gan.networks[1].dropouts == ["attention"]
    z, oracle = gan.initial(), gan.oracle(seed=1)
    assert torch.equal(oracle.draw(0)(z), oracle.draw(0)(z))
    assert not torch.equal(oracle.draw(0)(z), oracle.draw(1)(z))
