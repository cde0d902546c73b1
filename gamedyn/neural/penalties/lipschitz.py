"""Norms of layers, and the bound of a network's Lipschitz constant that they give.

    L(f ∘ g) <= L(f) L(g),   L(f + g) <= L(f) + L(g)                                         (1)

L is the smallest number with ‖f(x) - f(y)‖ <= L ‖x - y‖ for all x and y.  All is computed in float64, on a copy.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from gamedyn.neural.data.checks import as_number
from gamedyn.neural.networks import Network
from gamedyn.neural.penalties.layer_constants import constant_of
from gamedyn.neural.penalties.spectral import LinearMap, linear_map

__all__ = ["LayerBound", "NoBound", "Residual", "Sum", "lipschitz_bound", "operator_norm"]

DENSE_LIMIT = 1024  # smaller side of a map up to which its Gram matrix is formed
_LINEAR = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Upsample)
_CHANNELWISE = (*_POOLS, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


_ONE_SHAPE = "give them outputs of one shape"


class NoBound(ValueError):
    """A layer of which no constant is known."""


class Sum(nn.Module):
    """x ↦ Σᵢ fᵢ(x): its Lipschitz constant is at most the sum of theirs, and two 1-Lipschitz branches attain 2.

    Raises
    ------
    ValueError
        No branch, or, upon evaluation, branches whose outputs differ in shape.

    Examples
    --------
    >>> Sum(nn.Identity(), nn.Identity())(torch.ones(1))
    tensor([2.])
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        if not branches:
            raise ValueError("a sum needs at least one branch")
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch(x) for branch in self.branches)
        for y in others:
            if y.shape != first.shape:
                # added by broadcasting, f + g would repeat the smaller and be steeper than L(f) + L(g)
                raise ValueError(f"the branches of a sum give {tuple(first.shape)} and {tuple(y.shape)}; {_ONE_SHAPE}")
            first = first + y
        return first


class Residual(Sum):
    """x ↦ x + f(x), at most 1 + L(f) steep."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__(nn.Identity(), branch)


@dataclass(frozen=True)
class LayerBound:
    """What one layer, or one sum of branches, may stretch a distance by.

    Attributes
    ----------
    name, kind : str
        Dotted name in the module, and class.
    constant : float
    """

    name: str
    kind: str
    constant: float


def operator_norm(layer: nn.Module, input_shape: Sequence[int] | None = None) -> float:
    """The norm of a layer's linear map, exact to rounding.

        max ‖A x‖ / ‖x‖

    For a convolution A acts on images of the given size, with the layer's stride and padding.  Up to 1024 coordinates
    on the smaller side the map's Gram matrix is formed; beyond, the Lanczos method finds its largest eigenvalue.

    Parameters
    ----------
    layer : nn.Linear, nn.Conv2d or nn.ConvTranspose2d
        The weight as it is used: behind a normalisation the normalised one.
    input_shape : (int, int, int), optional
        (channels, height, width) of a convolution's input.

    Raises
    ------
    TypeError, ValueError
        A layer of another kind, or a missing or wrong shape.

    Examples
    --------
    A kernel of nine times 1/3 is a unit vector as a matrix, and triples a constant image:

    >>> layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    >>> _ = nn.init.constant_(layer.weight, 1 / 3)
    >>> round(float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)), 6)
    1.0
    >>> round(operator_norm(layer, (1, 8, 8)), 6)
    3.0
    """
    if not isinstance(layer, _LINEAR):
        raise TypeError(f"operator_norm needs a Linear, Conv2d or ConvTranspose2d layer, got {type(layer).__name__}")
    refuse_moving(layer)
    with torch.no_grad():
        return _norm_of(linear_map(layer, input_shape), layer.weight.detach().double())


def lipschitz_bound(
    module: nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    constants: Mapping[str, float] | None = None,
) -> float:
    """An upper bound of a network's Lipschitz constant.

        L(f ∘ g) <= L(f) L(g),   L(f + g) <= L(f) + L(g)

    Parameters
    ----------
    module : nn.Module
        A `Network`, `nn.Sequential`, `Sum`, `Residual`, or one layer.
    input_shape : sequence of int, optional
        Of one input without the batch; by default the module's `in_features`.
    constants : mapping, optional
        Bounds by dotted name, of modules that are not known here: ``{"layers.3": 2.0}``.

    Raises
    ------
    TypeError, ValueError
        For a layer of which no constant is known, with its name, for modules with hooks, which may change what they
        compute, for layers in training that mix rows or draw, and for constants that are no finite numbers >= 0.

    Examples
    --------
    >>> from gamedyn.neural.networks import mlp_discriminator
    >>> from gamedyn.neural.penalties.spectral import spectral_normalized
    >>> D = mlp_discriminator(2, (16, 16), init="orthogonal", gain=2.0)
    >>> round(lipschitz_bound(D), 5), round(lipschitz_bound(spectral_normalized(D)), 5)
    (8.0, 1.0)
    """
    return bound_of(module, input_shape, constants or {})[0]


def bound_of(
    module: nn.Module, shape: Sequence[int] | None, constants: Mapping[str, float]
) -> tuple[float, list[LayerBound]]:
    names = {name for name, _ in module.named_modules()}
    if unknown := sorted(set(constants) - names):
        raise ValueError(f"constants names {unknown}, which are no submodules; there are {sorted(names - {''})}")
    constants = {name: as_number(f"the constant of '{name}'", value) for name, value in constants.items()}
    if bad := {name: value for name, value in constants.items() if not 0 <= value < math.inf}:
        raise ValueError(f"constants are {bad}; a Lipschitz constant is a finite number >= 0")
    rows: list[LayerBound] = []
    probe = copy.deepcopy(module).double()
    if shape is None and isinstance(width := getattr(module, "in_features", None), int):
        shape = (width,)
    with torch.no_grad():
        constant, _ = _walk(probe, None if shape is None else tuple(shape), "", constants, rows)
    return constant, rows


_Shape = tuple[int, ...] | None


def _walk(
    module: nn.Module, shape: _Shape, name: str, constants: Mapping[str, float], rows: list[LayerBound]
) -> tuple[float, _Shape]:
    """The bound of a module on inputs of a shape, and the shape of its outputs."""
    prefix = f"{name}." if name else ""
    if name not in constants and (module._forward_hooks or module._forward_pre_hooks):
        refuse_moving(module, name)  # which has the better advice where a hook renews a weight
        raise NoBound(f"{_where(module, name)} has hooks, which may change what it computes; remove them")
    known = name not in constants and _has_known_forward(module)
    if known and isinstance(module, Network):
        return _walk(module.layers, shape, f"{prefix}layers", constants, rows)
    if known and isinstance(module, nn.Sequential):
        product = 1.0
        for key, layer in module.named_children():
            constant, shape = _walk(layer, shape, f"{prefix}{key}", constants, rows)
            product *= constant
        return product, shape
    if known and isinstance(module, Sum):
        pairs = [_walk(b, shape, f"{prefix}branches.{k}", constants, rows) for k, b in enumerate(module.branches)]
        shapes = {after for _, after in pairs if after is not None}
        if len(shapes) > 1:
            raise ValueError(f"the branches of {_where(module, name)} give {sorted(shapes)}; {_ONE_SHAPE}")
        total = sum(constant for constant, _ in pairs)
        rows.append(LayerBound(name, type(module).__name__, total))
        return total, pairs[-1][1]
    constant = constants[name] if name in constants else _layer_bound(module, shape, name)
    rows.append(LayerBound(name, type(module).__name__, constant))
    return constant, _shape_after(module, shape)


def _layer_bound(layer: nn.Module, shape: _Shape, name: str) -> float:
    where = _where(layer, name)
    refuse_moving(layer, name)
    if not _has_known_forward(layer):
        raise NoBound(_no_constant(where, name))
    if isinstance(layer, nn.Linear):
        return operator_norm(layer)
    if shape is None and isinstance(layer, (*_LINEAR, *_CHANNELWISE)):
        raise ValueError(f"the norm of {where} depends on the images it sees; pass input_shape=...")
    if isinstance(layer, _LINEAR):
        return operator_norm(layer, shape)
    if isinstance(layer, _CHANNELWISE):
        assert shape is not None
        return _norm_of(_Channelwise(layer, shape), torch.zeros((), dtype=torch.float64))
    if isinstance(layer, _BATCH_NORMS):
        assert layer.running_var is not None
        scale = 1.0 if layer.weight is None else layer.weight.abs()
        return float((scale / (layer.running_var + layer.eps).sqrt()).max())
    constant = constant_of(layer)
    if isinstance(constant, str):
        raise NoBound(_no_constant(where, name, constant))
    return constant


def _where(module: nn.Module, name: str) -> str:
    kind = type(module).__name__
    return f"{kind} at '{name}'" if name else kind


def _no_constant(where: str, name: str, why: str = "") -> str:
    if why:
        return f"{where} has no Lipschitz constant: {why}"
    return (
        f"no Lipschitz constant is known of {where}; pass constants={{'{name}': ...}} if you know one, or build the "
        f"network of nn.Sequential, Sum and Residual"
    )


def _has_known_forward(layer: nn.Module) -> bool:
    # a user's subclass may compute something else; parametrized layers are subclasses that do not
    if "forward" in vars(layer):
        return False
    owner = next(kind for kind in type(layer).__mro__ if "forward" in vars(kind))
    return owner.__module__.startswith(("torch.nn.", "gamedyn."))


class _Channelwise(LinearMap):
    """A layer without weights that does the same to every channel, on one of them."""

    def __init__(self, layer: nn.Module, shape: Sequence[int]) -> None:
        self.layer = layer
        one = (1, *shape[-2:])
        super().__init__(one, layer(torch.zeros((1, *one), dtype=torch.float64)).shape[1:])

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return self.layer(x)

    def transpose(self, weight: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = torch.zeros((len(y), *self.inputs), dtype=y.dtype, device=y.device, requires_grad=True)
            return torch.autograd.grad(self.layer(x), x, y)[0]


def _norm_of(A: LinearMap, weight: Tensor) -> float:
    n = A.smaller
    if n <= DENSE_LIMIT:
        return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(A.gram(weight))[-1])))

    def product(u: np.ndarray) -> np.ndarray:
        row = torch.as_tensor(u, dtype=weight.dtype, device=weight.device).reshape(1, n)
        return A.down(weight, A.up(weight, row))[0].cpu().numpy()

    if not bool(weight.any()):
        return 0.0
    start = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    return math.sqrt(float(eigsh(operator, k=1, which="LA", v0=start, tol=1e-12, return_eigenvectors=False)[0]))


def _shape_after(layer: nn.Module, shape: _Shape) -> _Shape:
    if shape is None:
        return (layer.out_features,) if isinstance(layer, nn.Linear) else None
    like = next((p for p in layer.parameters()), torch.zeros((), dtype=torch.float64))
    return tuple(layer.eval()(torch.zeros((1, *shape), dtype=like.dtype, device=like.device)).shape[1:])


def refuse_moving(layer: nn.Module, name: str = "") -> None:
    where = _where(layer, name)
    if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or layer.running_var is None):
        raise ValueError(f"{where} mixes the rows of a batch, so no row has a slope; call .eval() on the module")
    if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.training and layer.p > 0:
        raise ValueError(f"{where} draws at random; call .eval() on the module")
    if hasattr(layer, "weight_orig") or hasattr(layer, "weight_g"):
        raise ValueError(
            f"{where} keeps a copy of its weight that a hook renews; use spectral_normalized, or the forms of torch in "
            f"torch.nn.utils.parametrizations"
        )
    states = [layer, *(p for chain in getattr(layer, "parametrizations", {}).values() for p in chain)]
    if layer.training and any(type(s).__name__ == "_SpectralNorm" for s in states):
        raise ValueError(
            f"{where} has torch's spectral norm, which moves whenever the weight is read; call .eval() on the module, "
            f"or use spectral_normalized"
        )
