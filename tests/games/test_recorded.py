"""Recorded products: the same numbers as the backward pass that they were recorded from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gamedyn as gd
from gamedyn import neural
from gamedyn.games.products import RetainedJacobian
from gamedyn.games.recorded import NotRecordable, RecordedMap, _traced
from gamedyn.stability.jacobian import GameJacobian


class Reshaped(nn.Module):
    in_features = 6

    def __init__(self, *layers: nn.Module, shape: tuple[int, ...] = (-1,)) -> None:
        super().__init__()
        self.layers, self.shape = nn.Sequential(*layers), shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.reshape(len(x), *self.shape)).flatten(1)


def convolutional(batch_norm: bool) -> nn.Module:
    norm = nn.BatchNorm2d(3, track_running_stats=False) if batch_norm else nn.Identity()
    layers = (
        nn.Linear(6, 48),
        nn.Unflatten(1, (3, 4, 4)),
        norm,
        nn.ReLU(),
        nn.ConvTranspose2d(3, 1, 4, 2, 1),
        nn.Tanh(),
    )
    return Reshaped(*layers)


def critic(kind: str) -> nn.Module:
    if kind == "spectral norm":
        wrap = nn.utils.parametrizations.spectral_norm
        return Reshaped(wrap(nn.Linear(64, 9)), nn.ELU(), wrap(nn.Linear(9, 1))).eval()
    if kind == "layer norm":
        return Reshaped(nn.Linear(64, 9), nn.LayerNorm(9), nn.GELU(), nn.Linear(9, 1))
    convolution = (nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, 1))
    return Reshaped(*convolution, shape=(1, 8, 8))


NETWORKS = {
    "tanh": (
        neural.mlp_generator(6, 64, (11,), activation="tanh"),
        neural.mlp_discriminator(64, (7,), activation="tanh"),
    ),
    "relu": (
        neural.mlp_generator(6, 64, (11,), activation="relu"),
        neural.mlp_discriminator(64, (7,), activation="relu"),
    ),
    "convolution": (convolutional(False), critic("convolution")),
    "batch norm": (convolutional(True), critic("convolution")),
    "spectral norm": (convolutional(False), critic("spectral norm")),
    "layer norm": (convolutional(False), critic("layer norm")),
}
LOSSES = ("non_saturating", "saturating")


def field_and_point(name: str, loss: str = "non_saturating", dtype: torch.dtype = torch.float64):
    data = neural.from_tensor(torch.rand((40, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1, name="noise")
    gan = neural.GAN(*NETWORKS[name], data=data, loss=loss, evaluation_size=32, batch_size=8)
    return gan.field("neural"), gan.initial().to(dtype)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_recorded_product_equals_the_backward_pass(name, loss):
    F, z = field_and_point(name, loss)
    kept, recorded = RetainedJacobian(F, z, "retained"), RetainedJacobian(F, z, "recorded")
    for seed in range(3):
        u = torch.randn(len(z), generator=torch.Generator().manual_seed(seed), dtype=z.dtype)
        for kind in ("jvp", "vjp"):
            want = getattr(kept, kind)(u)
            assert torch.allclose(getattr(recorded, kind)(u), want, rtol=0, atol=1e-12 * float(want.norm()))
    for kind in ("jvp", "vjp"):
        assert (recorded.costs[kind].reason, recorded.costs[kind].recorded) == ("", 3)


@pytest.mark.parametrize("name", ["tanh", "batch norm"])
def test_recorded_products_are_adjoint_to_each_other(name):
    F, z = field_and_point(name)
    J = RetainedJacobian(F, z, "recorded")
    generator = torch.Generator().manual_seed(0)
    u, w = (torch.randn(len(z), generator=generator, dtype=z.dtype) for _ in range(2))
    forward, backward = w @ J.jvp(u), J.vjp(w) @ u
    assert abs(float(forward - backward)) <= 1e-10 * float(u.norm() * w.norm())


def test_a_replay_needs_far_fewer_operations_than_the_pass_that_it_records():
    F, z = field_and_point("tanh")
    graph = RetainedJacobian(F, z)._kept()
    replay = RecordedMap(graph.jvp, z)
    calls = [n for n in _traced(graph.jvp, z).graph.nodes if n.op == "call_function"]
    assert replay.operations < len(calls) / 3
    assert torch.allclose(replay(z), graph.jvp(z), atol=1e-12)


def test_products_are_recorded_once_many_are_asked_for(monkeypatch):
    monkeypatch.setattr("gamedyn.games.products.RECORD_AFTER", 3)
    F, z = field_and_point("tanh")
    J = RetainedJacobian(F, z)
    first = [J.jvp(z) for _ in range(6)]
    cost = J.costs["jvp"]
    assert (cost.retained, cost.recorded) == (3, 3)
    assert cost.setup_seconds > 0
    assert cost.pays_after > 0
    assert all(torch.allclose(x, first[0], atol=1e-13) for x in first)
    assert J.costs["vjp"].recorded == 0
    assert torch.allclose(J.vjp(z), RetainedJacobian(F, z).vjp(z))  # the graph is built anew


def test_an_image_belongs_to_the_caller():
    F, z = field_and_point("tanh")
    J = RetainedJacobian(F, z, "recorded")
    first = J.jvp(z)
    kept = first.clone()
    J.jvp(2 * z)
    assert torch.equal(first, kept)


def test_blocks_are_the_products_of_their_columns():
    F, z = field_and_point("relu")
    J = RetainedJacobian(F, z)
    U = torch.randn((len(z), 5), generator=torch.Generator().manual_seed(2), dtype=z.dtype)
    for kind in ("jvp", "vjp"):
        columns = torch.stack([getattr(J, kind)(u) for u in U.T], dim=1)
        assert torch.allclose(J.block(kind, U), columns, atol=1e-12)


def test_transformed_fields_are_recorded_too():
    F, z = field_and_point("tanh")
    for transform in (gd.consensus(0.3), gd.two_timescale(2.0), gd.unrolled(2, lr=0.1)):
        G = transform.field(F)
        want = RetainedJacobian(G, z, "retained").jvp(z)
        J = RetainedJacobian(G, z, "recorded")
        assert torch.allclose(J.jvp(z), want, rtol=0, atol=1e-11 * float(want.norm()))
        assert J.costs["jvp"].recorded == 1, J.costs["jvp"].reason


def test_a_constant_field_has_a_zero_jacobian_whatever_the_products():
    game = gd.callable_game([lambda z: z[0] + 0 * z[1], lambda z: 2 * z[1]], sizes=[1, 1])
    J = RetainedJacobian(game.field(), torch.ones(2), "recorded")
    assert J.jvp(torch.ones(2)).tolist() == [0, 0]
    assert J.vjp(torch.ones(2)).tolist() == [0, 0]
    assert J.costs["jvp"].reason == "J = 0"


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (lambda u: u * torch.rand(3), "random"),
        (lambda u: u * float(u.sum()), "number|differs|traced"),
        (lambda u: torch.ones(3), "does not depend"),
    ],
)
def test_what_is_no_fixed_linear_map_is_refused_with_the_reason(fn, why):
    if why == "random":  # a constant of the recording, not of the map
        with pytest.raises(NotRecordable, match="differs"):
            RecordedMap(fn, torch.zeros(3))
        return
    with pytest.raises(NotRecordable, match=why):
        RecordedMap(fn, torch.zeros(3))


def test_operations_that_write_into_their_argument_are_replaced():
    A = torch.tensor([1.0, 2.0, 3.0])

    def fn(u: torch.Tensor) -> torch.Tensor:
        x = u * A
        y = x.view(3, 1)
        x.add_(u)
        return (y * 2).view(3) + x

    assert RecordedMap(fn, torch.zeros(3))(torch.ones(3)).tolist() == [6, 9, 12]


def test_unknown_ways_of_making_products_are_refused():
    F, z = field_and_point("tanh")
    with pytest.raises(ValueError, match="'auto', 'retained'"):
        RetainedJacobian(F, z, "fast")


@pytest.mark.slow
def test_compiled_products_equal_the_backward_pass():
    F, z = field_and_point("tanh", dtype=torch.float32)
    J = RetainedJacobian(F, z, "compiled")
    want = RetainedJacobian(F, z, "retained").jvp(z)
    assert torch.allclose(J.jvp(z), want, rtol=0, atol=1e-5 * float(want.norm()))
    if J.costs["jvp"].reason:
        pytest.skip(J.costs["jvp"].reason)


def test_two_threads_share_a_recorded_product():
    from concurrent.futures import ThreadPoolExecutor

    F, z = field_and_point("tanh")
    J = RetainedJacobian(F, z, "recorded")
    vectors = [torch.randn(len(z), generator=torch.Generator().manual_seed(k), dtype=z.dtype) for k in range(8)]
    want = [J.jvp(u) for u in vectors]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda k: (k % 8, J.jvp(vectors[k % 8])), range(400)))
    assert all(torch.equal(image, want[k]) for k, image in found)


def test_slices_counted_from_the_end_are_laid_side_by_side():
    def fn(u: torch.Tensor) -> torch.Tensor:
        w = torch.zeros(5, requires_grad=True)
        with torch.enable_grad():
            (g,) = torch.autograd.grad((w[-3:] * u[:3]).sum() + (w[:2] * u[3:]).sum(), w)
        return g

    grads = RecordedMap(lambda u: torch.ops.aten.slice_backward(u[:3], [5], 0, -3, 5, 1)
                        + torch.ops.aten.slice_backward(u[3:], [5], 0, 0, 2, 1), torch.zeros(5))  # fmt: skip
    u = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    assert grads(u).tolist() == fn(u).tolist() == [4, 5, 1, 2, 3]


def test_sums_of_products_keep_the_layout_that_later_views_need():
    g = neural.dcgan_generator(8, (8, 8), (8, 4), activation="tanh", seed=0)
    d = neural.dcgan_discriminator((8, 8), (4, 8), activation="tanh", seed=1)
    gan = neural.GAN(g, d, data=neural.digits(), evaluation_size=16, dtype=torch.float64)
    z, u = gan.initial(), torch.linspace(-1, 1, gan.dim, dtype=torch.float64)
    recorded, retained = (gd.jacobian(gan, z, products=kind) for kind in ("recorded", "retained"))
    torch.testing.assert_close(recorded @ u, retained @ u, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(recorded.T @ u, retained.T @ u, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("products", ["retained", "recorded"])
@pytest.mark.parametrize("u", [torch.ones(1), torch.ones(3), torch.ones(1, 2), torch.ones((), dtype=torch.float64)])
def test_vectors_of_another_shape_are_refused_whatever_the_products(products, u):
    F, z = field_and_point("tanh")
    J = GameJacobian.of(F, z, products)
    for part in (J, J.T, J.symmetric, J.block(0)):
        with pytest.raises(ValueError, match="products need vectors"):
            part @ u
    with pytest.raises(ValueError, match="complex"):
        J @ torch.ones(len(z), dtype=torch.complex128)
    with pytest.raises(ValueError, match="a product needs a vector"):
        RetainedJacobian(F, z, products).jvp(torch.ones(1, dtype=z.dtype))


def test_arrays_and_other_types_are_converted():
    F, z = field_and_point("tanh")
    J = GameJacobian.of(F, z)
    assert torch.equal(J @ z.numpy(), J @ z)
    assert (J @ torch.zeros((len(z), 0))).shape == (len(z), 0)
    with pytest.raises(TypeError, match="a point of floats"):
        RetainedJacobian(F, torch.zeros(len(z), dtype=torch.int64))


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_whose_second_derivative_is_wrong_in_torch_is_refused(wrap):
    v, g = torch.randn((3, 2), dtype=torch.float64, requires_grad=True), torch.rand((3, 1), dtype=torch.float64)
    assert not torch.autograd.gradgradcheck(lambda w: torch._weight_norm(w, g, 0), v, raise_exception=False)
    critic = nn.Sequential(wrap(nn.Linear(2, 5)), nn.Tanh(), nn.Linear(5, 1))
    gan = neural.GAN(neural.mlp_generator(2, 2, (4,)), critic, data=neural.ring(n=64))
    assert gan.field("neural")(gan.initial()).isfinite().all()  # first derivatives are right
    for ask in (gd.jacobian, gd.rotation, gd.block_curvature):
        with pytest.raises(ValueError, match=r"weight_norm at discriminator\.0"):
            ask(gan, gan.initial())
    with pytest.raises(ValueError, match="weight_norm"):
        gd.consensus(0.1)(gan).field("neural")(gan.initial())


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.mix, self.down = nn.Linear(1, 4), nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.up(x[:, :, None])
        return self.down(self.mix(h, h, h, need_weights=False)[0].flatten(1))


def test_fused_attention_is_replaced_where_second_derivatives_are_taken():
    gan = neural.GAN(neural.mlp_generator(2, 2, (4,), activation="tanh"), Attentive(), data=neural.ring(n=64))
    F, z = gan.field("neural"), gan.initial().double()
    u = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=z.dtype)
    h = 1e-5
    with torch.no_grad():
        difference = (F(z + h * u) - F(z - h * u)) / (2 * h)
    for products in ("retained", "recorded"):
        product = gd.jacobian(gan, z, products=products) @ u
        assert torch.allclose(product, difference, atol=1e-6 * float(difference.norm()))
