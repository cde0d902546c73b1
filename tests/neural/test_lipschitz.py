"""Spectral normalisation and Lipschitz constants: exact norms, right derivatives, bounds that hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, spectrum, train
from gamedyn.neural.networks import MapNorm, Scale, dcgan_discriminator, dcgan_generator, mlp
from gamedyn.neural.penalties import lipschitz as lipschitz_module
from gamedyn.neural.penalties.lipschitz import Residual, Sum, lipschitz_bound, operator_norm
from gamedyn.neural.penalties.slope import largest_slope
from gamedyn.neural.penalties.spectral import (
    LinearMap,
    ReshapedKernel,
    exact_norm,
    iterated_norm,
    linear_map,
    spectral_normalized,
)

LAYERS: dict[str, tuple[type[nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "3x3": (nn.Conv2d, (2, 5, 6), {"kernel_size": 3, "padding": 1}),
    "no_padding": (nn.Conv2d, (2, 5, 6), {"kernel_size": 3}),
    "stride_2": (nn.Conv2d, (2, 6, 8), {"kernel_size": 4, "stride": 2, "padding": 1}),
    "stride_leaves_rows_out": (nn.Conv2d, (2, 6, 7), {"kernel_size": 2, "stride": 3}),
    "same": (nn.Conv2d, (2, 5, 5), {"kernel_size": (3, 5), "padding": "same"}),
    "dilated": (nn.Conv2d, (2, 7, 6), {"kernel_size": (2, 3), "dilation": (3, 2), "padding": (1, 0)}),
    "groups": (nn.Conv2d, (4, 5, 5), {"kernel_size": 3, "groups": 2}),
    "circular": (nn.Conv2d, (2, 5, 5), {"kernel_size": 3, "padding": 2, "padding_mode": "circular"}),
    "reflect": (nn.Conv2d, (2, 5, 5), {"kernel_size": 3, "padding": (2, 1), "padding_mode": "reflect"}),
    "replicate": (nn.Conv2d, (2, 5, 5), {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "stride": 2}),
    "transposed": (nn.ConvTranspose2d, (2, 4, 3), {"kernel_size": 4, "stride": 2, "padding": 1}),
    "transposed_grouped": (
        nn.ConvTranspose2d,
        (4, 3, 3),
        {"kernel_size": 3, "stride": 2, "output_padding": 1, "dilation": 2, "groups": 2},
    ),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolution(kind: type[nn.Module], n_in: int, n_out: int, seed: int = 0, **settings: Any) -> nn.Module:
    layer = nn.utils.skip_init(kind, n_in, n_out, **settings, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(normal(*layer.weight.shape, seed=seed))
    return layer


def dense(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """The layer's matrix (outputs, inputs), from the images of the unit vectors."""
    n = math.prod(shape)
    with torch.no_grad():
        return layer(torch.eye(n, dtype=torch.float64).view(n, *shape)).flatten(1).T


def thirds(**settings: Any) -> nn.Module:
    layer = convolution(nn.Conv2d, 1, 1, kernel_size=3, padding=1, **settings)
    nn.init.constant_(layer.weight, 1 / 3)
    return layer


# --- norms


@pytest.mark.parametrize(("kind", "shape", "settings"), LAYERS.values(), ids=LAYERS.keys())
def test_norm_of_a_convolution_is_that_of_its_dense_matrix(kind, shape, settings, monkeypatch) -> None:
    layer = convolution(kind, shape[0], 4, **settings)
    A, M = linear_map(layer, shape), dense(layer, shape)
    columns = A.transpose(layer.weight.detach(), torch.eye(len(M), dtype=torch.float64).view(-1, *A.outputs))
    assert torch.allclose(columns.flatten(1), M, rtol=0, atol=1e-13)
    norm = float(torch.linalg.matrix_norm(M, 2))
    assert operator_norm(layer, shape) == pytest.approx(norm, rel=1e-12)
    monkeypatch.setattr(lipschitz_module, "DENSE_LIMIT", 3)  # the Lanczos method of large images
    assert operator_norm(layer, shape) == pytest.approx(norm, rel=1e-10)


@pytest.mark.parametrize("n", [3, 8, 28])
def test_kernel_of_thirds_has_reshaped_norm_1_and_true_norm_3_cos(n: int) -> None:
    layer, ringed = thirds(), thirds(padding_mode="circular")
    assert float(exact_norm(ReshapedKernel(layer), layer.weight.detach())) == pytest.approx(1.0, abs=1e-12)
    # A = T⊗T/3, T tridiagonal of ones
    assert operator_norm(layer, (1, n, n)) == pytest.approx((1 + 2 * math.cos(math.pi / (n + 1))) ** 2 / 3, abs=1e-11)
    assert operator_norm(ringed, (1, n, n)) == pytest.approx(3.0, abs=1e-11)


def test_circular_norm_is_the_largest_over_frequencies() -> None:
    n, layer = 6, convolution(nn.Conv2d, 3, 2, kernel_size=3, padding=1, padding_mode="circular")
    symbols = torch.fft.fft2(layer.weight.detach(), s=(n, n))  # [Sedghi, Gupta, Long 2019]
    expected = torch.linalg.matrix_norm(symbols.permute(2, 3, 0, 1), 2).max()
    assert operator_norm(layer, (3, n, n)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (4, 2), (5, 2)])
def test_true_norm_is_between_the_reshaped_one_and_its_multiple_by_the_overlap(kind, size: int, stride: int) -> None:
    for seed in range(5):
        layer = convolution(kind, 2, 3, seed=seed, kernel_size=size, stride=stride, padding=size // 2)
        reshaped = float(exact_norm(ReshapedKernel(layer), layer.weight.detach()))
        true = operator_norm(layer, (2, 9, 9))
        assert reshaped < true < math.ceil(size / stride) * reshaped


def test_a_transposed_convolution_is_bounded_by_the_matrix_of_its_transpose() -> None:
    each = nn.ConvTranspose2d(2, 1, 2, stride=2, bias=False, dtype=torch.float64)
    nn.init.zeros_(each.weight)
    each.weight.data[0, 0, 0, 0] = each.weight.data[1, 0, 1, 1] = 1.0  # either channel writes pixels of its own
    assert operator_norm(each, (2, 8, 8)) == pytest.approx(1.0, abs=1e-12)
    assert float(exact_norm(ReshapedKernel(each), each.weight.detach())) == pytest.approx(1.0, abs=1e-12)
    phases = nn.ConvTranspose2d(1, 4, 4, stride=2, padding=1, bias=False, dtype=torch.float64)
    nn.init.zeros_(phases.weight)
    for k in range(4):
        phases.weight.data[0, k, k // 2 :: 2, k % 2 :: 2] = 0.5
    reshaped = spectral_normalized(nn.Sequential(phases), convolutions="reshaped")[0]
    assert 1.9 < operator_norm(reshaped, (1, 16, 16)) < 2.0  # at most the root of how many windows see a pixel


# --- normalised layers


def test_derivatives_of_the_exact_norm_survive_coinciding_smaller_values() -> None:
    U, V = (torch.linalg.qr(normal(4, 4, seed=s)).Q for s in (1, 2))
    A, W = LinearMap((4,), (4,)), (U * torch.tensor([3.0, 1.0, 1.0, 0.0], dtype=torch.float64)) @ V

    def slope(W: Tensor) -> Tensor:
        return torch.autograd.grad(exact_norm(A, W), W, create_graph=True)[0]

    W = W.requires_grad_()
    assert torch.allclose(slope(W), torch.outer(U[:, 0], V[0]), atol=1e-12)
    assert torch.autograd.gradcheck(lambda W: exact_norm(A, W), W)
    assert torch.autograd.gradgradcheck(lambda W: exact_norm(A, W), W)
    assert torch.autograd.gradgradcheck(slope, W)  # the third derivative


def test_exact_norm_of_an_orthogonal_matrix_has_a_subgradient_of_nuclear_norm_1() -> None:
    W = (2 * torch.linalg.qr(normal(6, 6)).Q).requires_grad_()
    (g,) = torch.autograd.grad(exact_norm(LinearMap((6,), (6,)), W), W, create_graph=True)
    assert torch.linalg.matrix_norm(g, "nuc").item() == pytest.approx(1.0, abs=1e-10)
    assert torch.isfinite(torch.autograd.grad(g.square().sum(), W)[0]).all()


def test_iterated_norm_rises_to_the_exact_one_and_is_differentiated_as_it_stands() -> None:
    layer, shape = convolution(nn.Conv2d, 2, 3, kernel_size=2, padding=1, padding_mode="circular"), (2, 3, 4)
    A, start = linear_map(layer, shape), normal(24, seed=5)
    values = [float(iterated_norm(A, layer.weight.detach(), start, k)) for k in (1, 5, 20, 500)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(operator_norm(layer, shape), rel=1e-10)
    for norm in (lambda W: iterated_norm(A, W, start, 2), lambda W: exact_norm(A, W)):
        assert torch.autograd.gradgradcheck(norm, layer.weight)


@pytest.mark.parametrize("method", ["exact", "iterated"])
def test_a_weight_that_is_not_finite_gives_an_output_that_is_not_finite(method: str) -> None:
    f = spectral_normalized(mlp((3, 4, 1)), method=method)
    f.layers[0].parametrizations.weight.original.data[0, 0] = math.nan
    assert f(torch.ones(1, 3)).isnan().all()


@pytest.mark.parametrize("init", ["default", "orthogonal"])
def test_normalised_mlp_has_bound_1_and_leaves_the_original_alone(init: str) -> None:
    plain = mlp((5, 30, 20, 1), init=init, gain=3.0, input_scale=0.5)
    before = [p.clone() for p in plain.parameters()]
    assert lipschitz_bound(spectral_normalized(plain)) == pytest.approx(0.5, abs=1e-6)
    assert lipschitz_bound(spectral_normalized(plain, 2.0)) == pytest.approx(4.0, abs=4e-6)
    assert all(torch.equal(p, q) for p, q in zip(plain.parameters(), before, strict=True))
    assert lipschitz_bound(plain) > 4


def test_reshaped_normalisation_leaves_a_convolution_above_1_and_the_true_one_does_not() -> None:
    net = nn.Sequential(thirds(), nn.ReLU())
    reshaped = spectral_normalized(net, convolutions="reshaped")
    true = spectral_normalized(net, convolutions="true", input_shape=(1, 8, 8))
    assert lipschitz_bound(reshaped, (1, 8, 8)) == pytest.approx((1 + 2 * math.cos(math.pi / 9)) ** 2 / 3, rel=1e-12)
    assert lipschitz_bound(true, (1, 8, 8)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("build", [lambda: dcgan_discriminator((8, 8)), lambda: dcgan_generator(4, (8, 8))])
def test_dcgan_of_true_norms_has_bound_1_and_power_iterations_come_near(build) -> None:
    assert lipschitz_bound(spectral_normalized(build())) == pytest.approx(1.0, abs=2e-6)
    iterated = [lipschitz_bound(spectral_normalized(build(), method="iterated", iterations=k)) for k in (5, 80)]
    assert 1.01 < iterated[0] < 1.5
    assert 1.0 - 1e-6 < iterated[1] < 1.002


def test_gan_with_a_normalised_discriminator_trains_and_has_a_spectrum() -> None:
    D = spectral_normalized(mlp_discriminator(2, (8, 8), activation="tanh"))
    gan = GAN(mlp_generator(4, 2, (8,)), D, data=ring(n=256), batch_size=32, evaluation_size=64)
    start = gan.initial()
    result = train(gan, gd.Method(gd.Alternating(lr=1e-2), gd.Adam(beta1=0.5)), steps=40, progress=False)
    gan.load(result.z)
    assert lipschitz_bound(D) == pytest.approx(1.0, abs=2e-6)
    assert (result.z - start).norm() > 0.1
    assert spectrum(gan, result.z.double(), k=4).converged.all()


def test_field_is_orthogonal_to_a_normalised_weight_and_the_jacobian_maps_it_to_minus_its_field() -> None:
    D = spectral_normalized(mlp_discriminator(2, (6,), activation="tanh"))
    gan = GAN(mlp_generator(3, 2, (5,), activation="tanh"), D, data=ring(n=64))
    z = gan.initial().double()
    J, v = gd.jacobian(gan, z), gan.field("neural")(z)
    weight, own = torch.zeros_like(z), torch.zeros_like(z)
    start = gan.players[1].start
    for name, p in D.named_parameters():
        if name == "layers.0.parametrizations.weight.original":
            weight[start : start + p.numel()] = z[start : start + p.numel()]
            own[start : start + p.numel()] = v[start : start + p.numel()]
        start += p.numel()
    assert own.norm() > 1e-3
    assert abs(float(v @ weight)) < 1e-14
    assert torch.allclose(J @ weight, -own, rtol=0, atol=1e-13)


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 \(Conv1d\) has a weight that is not normalised"):
        spectral_normalized(nn.Sequential(nn.Linear(2, 2), nn.Conv1d(1, 1, 2)))
    for wrap in (nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm):
        with pytest.raises(ValueError, match="parametrized already"):
            spectral_normalized(wrap(nn.Linear(2, 2)))
    zero, twice = nn.Linear(2, 2), nn.Conv2d(1, 1, 3)
    nn.init.zeros_(zero.weight)
    with pytest.raises(ValueError, match="is 0"):
        spectral_normalized(zero)
    with pytest.raises(ValueError, match="pass input_shape"):
        spectral_normalized(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match="more than one norm"):
        spectral_normalized(nn.Sequential(twice, twice), input_shape=(1, 8, 8))
    for bound in ("1", True, None):
        with pytest.raises(TypeError, match="give a number"):
            spectral_normalized(nn.Linear(2, 2), bound)  # type: ignore[arg-type]
    for wrong in ({"bound": 0.0}, {"convolutions": "fft"}, {"method": "svd"}, {"iterations": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            spectral_normalized(nn.Linear(2, 2), **wrong)


# --- bounds of networks


def test_two_branches_of_bound_1_sum_to_2_and_attain_it() -> None:
    f = Residual(Sum(nn.Identity()))
    found = largest_slope(f, normal(3, 4))
    assert [row.constant for row in found.layers] == [1.0, 1.0, 1.0, 2.0]
    assert found.lower == pytest.approx(2.0, abs=1e-15)
    assert found.upper == 2.0
    # each branch normalised: the sum still is not 1-Lipschitz
    assert lipschitz_bound(spectral_normalized(Residual(mlp((3, 3))))) == pytest.approx(2.0, abs=1e-6)


def test_linear_networks_lie_between_the_slope_and_the_product() -> None:
    for seed in range(5):
        f = mlp((6, 5, 4, 3), activation="relu", seed=seed)
        linear = nn.Sequential(*(layer for layer in f.layers if isinstance(layer, nn.Linear)))
        W = linear[2].weight @ linear[1].weight @ linear[0].weight
        true = float(torch.linalg.matrix_norm(W.detach().double(), 2))
        found = largest_slope(linear, normal(2, 6), steps=2)
        assert found.lower == pytest.approx(true, rel=1e-6)
        assert found.lower < found.upper
        rectified = largest_slope(f, normal(100, 6), steps=20)
        assert 0 < rectified.on_points <= rectified.lower < rectified.upper
        assert rectified.upper == found.upper


def test_ascent_finds_where_a_function_is_steepest_and_a_box_keeps_it_out() -> None:
    f = nn.Sequential(Scale(3.0), nn.Tanh())
    start = torch.tensor([[0.8]])
    free, boxed = largest_slope(f, start), largest_slope(f, start, box=(0.5, 1.0))
    assert free.lower == pytest.approx(3.0, abs=1e-6)
    assert free.lower <= free.upper == 3.0
    assert abs(free.at.item()) < 1e-3
    assert boxed.lower == pytest.approx(3 * (1 - math.tanh(1.5) ** 2), rel=1e-12)
    assert boxed.on_points == pytest.approx(3 * (1 - math.tanh(2.4) ** 2), rel=1e-6)
    text = repr(free)
    assert "3 <= L <= 3" in text
    assert "Scale              3" in text


ACTIVATIONS = [
    nn.ReLU(),
    nn.LeakyReLU(1.5),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Softplus(2.0),
    nn.GELU(),
    nn.SiLU(),
    nn.ELU(2.0),
]
ACTIVATIONS += [nn.ReLU6(), nn.Hardtanh(), nn.Softsign(), nn.LogSigmoid(), nn.PReLU(init=-2.0)]
ACTIVATIONS += [nn.GELU(approximate="tanh"), nn.SELU(), nn.Mish(), nn.CELU(2.0), nn.Hardswish(), nn.Hardsigmoid()]
ACTIVATIONS += [nn.Tanhshrink(), nn.Softshrink(0.3)]


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=lambda layer: type(layer).__name__)
def test_constant_of_an_activation_is_its_largest_slope(layer: nn.Module) -> None:
    x = torch.linspace(-40, 40, 400_002, dtype=torch.float64, requires_grad=True)  # passes by 0 at 1e-4
    (slope,) = torch.autograd.grad(layer.double()(x).sum(), x)
    largest, bound = float(slope.abs().max()), lipschitz_bound(layer)
    assert largest <= bound * (1 + 1e-15)
    assert largest == pytest.approx(bound, rel=2e-4)


POOLS = [nn.AvgPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(3), nn.Upsample(scale_factor=2), nn.ZeroPad2d(1)]
POOLS += [nn.ReflectionPad2d(2), nn.Flatten(), nn.Unflatten(1, (2, 1)), nn.CircularPad2d(2), nn.ConstantPad2d(1, 0.0)]


@pytest.mark.parametrize("layer", POOLS, ids=lambda layer: type(layer).__name__)
def test_layers_without_weights_have_the_norm_of_their_matrix(layer: nn.Module) -> None:
    norm = float(torch.linalg.matrix_norm(dense(layer, (2, 6, 7)), 2))
    assert lipschitz_bound(layer, (2, 6, 7)) == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize(("settings", "constant"), [((2,), 1.0), ((3, 1), 3.0), ((3, 2), 2.0), ((2, 2, 0, 2), 2.0)])
def test_one_pixel_attains_the_constant_of_a_maximum(settings: tuple[int, ...], constant: float) -> None:
    layer, x = nn.MaxPool2d(*settings), torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1.0
    assert lipschitz_bound(layer, (1, 9, 9)) == constant
    assert float(layer(x).norm()) == constant


def test_batch_norm_counts_by_its_scale_and_is_refused_in_training() -> None:
    layer = nn.BatchNorm1d(3, eps=0.0)
    layer.running_var.copy_(torch.tensor([4.0, 1.0, 0.25]))
    nn.init.constant_(layer.weight, -3.0)
    with pytest.raises(ValueError, match=r"BatchNorm1d at '1' mixes the rows .* call \.eval\(\)"):
        lipschitz_bound(nn.Sequential(nn.Flatten(), layer), (3,))
    assert lipschitz_bound(layer.eval(), (3,)) == 6.0


NORMS = [nn.LayerNorm(6, eps=0.01), nn.GroupNorm(2, 6, eps=0.01), MapNorm("pixel", 6, eps=0.01)]


@pytest.mark.parametrize("layer", NORMS, ids=lambda layer: type(layer).__name__)
def test_normalised_rows_have_a_constant_that_constant_rows_attain(layer: nn.Module) -> None:
    shape = (6,) if isinstance(layer, nn.LayerNorm) else (6, 1, 1)
    found = largest_slope(layer, torch.cat([torch.zeros(1, *shape), normal(20, *shape)]), steps=5)
    assert found.upper == pytest.approx(10.0, rel=1e-6)
    assert found.lower <= found.upper * (1 + 1e-12)
    assert found.lower == pytest.approx(10.0, rel=1e-6)


def test_what_has_no_constant_is_said_with_the_reason() -> None:
    for layer, why in (
        (nn.LayerNorm(6, eps=0.0), "LayerNorm has no Lipschitz constant: with eps = 0 its slope grows without limit"),
        (nn.Softplus(threshold=0.5), r"Softplus has no Lipschitz constant: it jumps by 0\.47 at its threshold"),
        (MapNorm("batch", 6), "MapNorm has no Lipschitz constant: it mixes the rows"),
        (nn.CELU(-1.0), "no Lipschitz constant is known of CELU"),
    ):
        with pytest.raises(ValueError, match=why):
            lipschitz_bound(layer, (6,))


def test_a_hook_may_change_what_a_module_computes_so_it_has_no_bound() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net[1].register_forward_hook(lambda module, inputs, y: 3 * y)
    found = largest_slope(net, normal(20, 2), steps=2)
    assert found.upper == math.inf
    assert "ReLU at '1' has hooks" in repr(found)
    assert lipschitz_bound(net, constants={"1": 3.0}) >= found.lower * (1 - 1e-12)
    net.forward = lambda x: 5 * x  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="no Lipschitz constant is known of Sequential"):
        lipschitz_bound(net)


def test_branches_of_different_shapes_make_no_sum() -> None:
    uneven = Sum(nn.Linear(2, 1), nn.Linear(2, 16))
    with pytest.raises(ValueError, match=r"give \(4, 1\) and \(4, 16\)"):
        uneven(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"Sum at '1' give \[\(1,\), \(16,\)\]; give them outputs of one shape"):
        lipschitz_bound(nn.Sequential(nn.Linear(2, 2), uneven))


def test_a_kink_makes_no_slope_steeper_than_the_function() -> None:
    net = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))  # relu(x+1) - relu(x) + relu(-x) - relu(-x-1) - 1
    for p, values in zip(net.parameters(), ([1.0, 1, -1, -1], [1.0, 0, 0, -1], [1.0, -1, 1, -1], [0.0]), strict=True):
        p.data.copy_(torch.tensor(values).view_as(p))
    x = torch.linspace(-3, 3, 7)[:, None]
    assert len(net(x).unique()) == 1
    for kept in (None, (-1.0, 0.0)):  # a box ends the search at kinks
        found = largest_slope(net, x, box=kept)
        assert (found.lower, found.on_points) == (0.0, 0.0)
    right = largest_slope(nn.ReLU(), torch.zeros(1, 1), steps=0)
    assert right.lower == 1.0  # of one side of its kink


def test_a_layer_that_works_in_place_leaves_the_points_alone() -> None:
    points = normal(5, 2)
    before, W = points.clone(), torch.ones(1, 2)
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1))
    net[1].weight.data.copy_(W)
    assert largest_slope(net, points, steps=20).lower == pytest.approx(math.sqrt(2), rel=1e-6)
    assert torch.equal(points, before)


def test_unknown_layers_are_named_and_take_a_constant_of_the_users() -> None:
    class Square(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    net = nn.Sequential(Scale(2.0), Square(), nn.Softmax(1))
    with pytest.raises(ValueError, match="no Lipschitz constant is known of Square at '1'"):
        lipschitz_bound(net, (2,))
    with pytest.raises(ValueError, match="Softmax at '2'"):
        lipschitz_bound(net, (2,), constants={"1": 5.0})
    assert lipschitz_bound(net, (2,), constants={"1": 5.0, "2": 3.0}) == 30.0
    with pytest.raises(ValueError, match=r"\['3'\], which are no submodules"):
        lipschitz_bound(net, (2,), constants={"3": 1.0})
    for wrong in (-2.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a finite number >= 0"):
            lipschitz_bound(net, (2,), constants={"1": 5.0, "2": wrong})
    with pytest.raises(TypeError, match="the constant of '1' is 'a'"):
        lipschitz_bound(net, (2,), constants={"1": "a"})  # type: ignore[dict-item]
    found = largest_slope(net[:2], torch.ones(1, 2), steps=1)
    assert found.upper == math.inf
    assert "Square" in repr(found)


def test_torch_spectral_norm_in_training_is_refused_and_read_in_evaluation() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=200)
    with pytest.raises(ValueError, match="use spectral_normalized"):
        lipschitz_bound(layer)
    assert lipschitz_bound(layer.eval()) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="a hook renews"):
        lipschitz_bound(nn.utils.spectral_norm(nn.Linear(4, 3)))


def test_bad_questions_are_answered_with_what_is_needed() -> None:
    with pytest.raises(TypeError, match="needs a Linear"):
        operator_norm(nn.Tanh())
    with pytest.raises(ValueError, match="2 channels"):
        operator_norm(nn.Conv2d(2, 1, 3), (1, 8, 8))
    with pytest.raises(ValueError, match="pass input_shape"):
        lipschitz_bound(nn.Conv2d(2, 1, 3))
    with pytest.raises(ValueError, match="rows of points"):
        largest_slope(nn.Linear(2, 1), torch.zeros(2))
    with pytest.raises(ValueError, match="2 of 3 points are not finite"):
        largest_slope(nn.Linear(2, 1), torch.tensor([[0.0, 0.0], [math.nan, 0.0], [0.0, math.inf]]))
