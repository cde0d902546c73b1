"""Spectral normalisation: every layer divided by its norm, as a function of the parameters alone.

    W ↦ c W / σ(W),   σ(W) = max ‖A_W x‖ / ‖x‖,   A_W the layer's linear map                 (1)

Nothing is remembered from one evaluation to the next, so a normalised network has a Jacobian and a spectrum.  For a
convolution A_W is the map on images of the layer's own size ("true"), or the kernel as a matrix ("reshaped" [1]_),
whose norm is smaller: σ_reshaped <= σ_true <= σ_reshaped √(⌈k_h/s_h⌉⌈k_w/s_w⌉) for a kernel k, a stride s, zero
padding, no dilation, and images larger than the kernel; under the root stands how many windows see one pixel [2]_.
The matrix is (channels out, channels in · k_h · k_w) for a convolution.  A transposed one is the transpose of a
convolution from its outputs to its inputs, and has that one's matrix, (channels in, channels out · k_h · k_w): with in
and out exchanged, as some programs take it, its norm bounds nothing.

References
----------
.. [1] Miyato, Kataoka, Koyama, Yoshida (2018), Spectral normalization for generative adversarial networks, ICLR.
.. [2] Tsuzuku, Sato, Sugiyama (2018), Lipschitz-margin training, NeurIPS.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gamedyn.neural.data.checks import as_number

__all__ = ["EXACT_LIMIT", "LinearMap", "SpectralNormalization", "spectral_normalized"]

EXACT_LIMIT = 400  # smaller side up to which "auto" takes the exact norm: 12 ms on one core, and 60 ms at 784
CONVOLUTIONS, METHODS = ("true", "reshaped"), ("auto", "exact", "iterated")


class LinearMap:
    """x ↦ A_W x from (b, *inputs) to (b, *outputs), linear in x and in the weight W; here W is a matrix (out, in).

    Parameters
    ----------
    inputs, outputs : tuple of int
        Shapes of one row.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)

    @property
    def smaller(self) -> int:
        """min(dim inputs, dim outputs)."""
        return min(math.prod(self.inputs), math.prod(self.outputs))

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        """A x."""
        return x @ weight.mT

    def transpose(self, weight: Tensor, y: Tensor) -> Tensor:
        """Aᵀ y."""
        return y @ weight

    def up(self, weight: Tensor, u: Tensor) -> Tensor:
        """B u, from rows of the smaller space `(b, n)` to those of the larger one; B is A or Aᵀ."""
        if math.prod(self.inputs) == self.smaller:
            return self.apply(weight, u.view(-1, *self.inputs)).flatten(1)
        return self.transpose(weight, u.view(-1, *self.outputs)).flatten(1)

    def down(self, weight: Tensor, w: Tensor) -> Tensor:
        """Bᵀ w, back again."""
        if math.prod(self.inputs) == self.smaller:
            return self.transpose(weight, w.view(-1, *self.outputs)).flatten(1)
        return self.apply(weight, w.view(-1, *self.inputs)).flatten(1)

    def gram(self, weight: Tensor) -> Tensor:
        """BᵀB `(n, n)`, n the smaller side."""
        rows = self.up(weight, torch.eye(self.smaller, dtype=weight.dtype, device=weight.device))
        return rows @ rows.mT


class ReshapedKernel(LinearMap):
    """A kernel as a matrix (channels out, channels in · k_h · k_w), with in and out exchanged if it is transposed."""

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        # a transposed convolution keeps its weight as the convolution does whose transpose it is
        rows, columns = layer.weight.detach().flatten(1).shape
        super().__init__((columns,), (rows,))

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return x @ weight.flatten(1).mT

    def transpose(self, weight: Tensor, y: Tensor) -> Tensor:
        return y @ weight.flatten(1)


class Convolution(LinearMap):
    """A Conv2d on images `(c, h, w)`, with its stride, dilation, groups and padding of any mode."""

    def __init__(self, layer: nn.Conv2d, shape: Sequence[int]) -> None:
        self.mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        self.pads = list(layer._reversed_padding_repeated_twice)  # (left, right, top, bottom), as F.pad takes them
        self.settings: dict[str, Any] = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
        c, h, w = shape
        left, right, top, bottom = self.pads
        padded = (h + top + bottom, w + left + right)
        reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        size = [(n - r) // s + 1 for n, r, s in zip(padded, reach, layer.stride, strict=True)]
        self.extra = [n - (m - 1) * s - r for n, m, r, s in zip(padded, size, reach, layer.stride, strict=True)]
        super().__init__((c, h, w), (layer.out_channels, *size))

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, self.pads, mode=self.mode), weight, **self.settings)

    def transpose(self, weight: Tensor, y: Tensor) -> Tensor:
        # rows and columns that a stride leaves out at the far side see nothing
        x = F.pad(F.conv_transpose2d(y, weight, **self.settings), (0, self.extra[1], 0, self.extra[0]))
        (_, h, w), (left, _, top, _) = self.inputs, self.pads
        if self.mode == "constant":
            return x[..., top : top + h, left : left + w]
        places = torch.arange(h * w, dtype=torch.float64, device=y.device).view(1, 1, h, w)
        copies = F.pad(places, self.pads, mode=self.mode).long().flatten()  # which pixel each padded one is a copy of
        return x.new_zeros(*x.shape[:2], h * w).index_add(-1, copies, x.flatten(-2)).unflatten(-1, (h, w))


class TransposedConvolution(LinearMap):
    """A ConvTranspose2d on images `(c, h, w)`."""

    def __init__(self, layer: nn.ConvTranspose2d, shape: Sequence[int]) -> None:
        self.settings: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }
        self.extra = layer.output_padding
        rules = zip(shape[1:], layer.stride, pair(layer.padding), layer.dilation, layer.kernel_size, strict=True)
        size = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in rules]
        size = [n + e for n, e in zip(size, pair(layer.output_padding), strict=True)]
        super().__init__(shape, (layer.out_channels, *size))

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, output_padding=self.extra, **self.settings)

    def transpose(self, weight: Tensor, y: Tensor) -> Tensor:
        _, h, w = self.inputs
        return F.conv2d(y, weight, **self.settings)[..., :h, :w]


def linear_map(layer: nn.Module, shape: Sequence[int] | None) -> LinearMap:
    """The map of a Linear, Conv2d or ConvTranspose2d layer on inputs of a shape (c, h, w)."""
    if isinstance(layer, nn.Linear):
        return LinearMap((layer.in_features,), (layer.out_features,))
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    if shape is None or len(shape) != 3 or shape[0] != layer.in_channels:
        raise ValueError(
            f"the norm of {type(layer).__name__} depends on the images it sees: the shape is "
            f"{None if shape is None else tuple(shape)}; give (channels, height, width) with {layer.in_channels} "
            f"channels"
        )
    return Convolution(layer, shape) if isinstance(layer, nn.Conv2d) else TransposedConvolution(layer, shape)


def exact_norm(A: LinearMap, weight: Tensor, pairs: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """σ₁(A) with derivatives that are right up to the third, where σ₁ is simple.

        v = v₀ + Σᵢ vᵢ vᵢᵀBᵀB v₀ / (λ₁ - λᵢ),   σ = ‖B v‖ / ‖v‖                              (2)

    The eigenpairs (λᵢ, vᵢ) of BᵀB at the present weight, `pairs`, are constants.  To second order in a change of the
    weight v is the eigenvector, so that the quotient is σ₁ up to the fourth.  Smaller values that coincide, which make
    the derivative of a singular value decomposition infinite, do no harm; directions that belong to σ₁ itself are left
    out.
    """
    λ, V = eigenpairs(A, weight) if pairs is None else pairs
    gaps = λ[-1] - λ[:-1]
    equal = gaps <= 4 * len(λ) * torch.finfo(λ.dtype).eps * λ[-1]
    inverse = torch.where(equal, 0.0, 1 / torch.where(equal, 1.0, gaps))
    v0, rest = V[:, -1], V[:, :-1]
    change = A.down(weight, A.up(weight, v0[None]))[0]
    v = v0 + rest @ (inverse * (rest.mT @ change))
    return torch.linalg.vector_norm(A.up(weight, v[None])) / torch.linalg.vector_norm(v)


def eigenpairs(A: LinearMap, weight: Tensor) -> tuple[Tensor, Tensor]:
    """λ `(n,)`, ascending, and V `(n, n)` of BᵀB, without derivatives."""
    with torch.no_grad():
        # eigh raises on what is not finite, where a run has only diverged
        λ, V = torch.linalg.eigh(torch.nan_to_num(A.gram(weight.detach()), posinf=0.0, neginf=0.0))
    return λ, V


def iterated_norm(A: LinearMap, weight: Tensor, start: Tensor, iterations: int) -> Tensor:
    """‖B v_k‖ <= σ₁ after k power iterations v ← BᵀB v / ‖BᵀB v‖ from a fixed start, differentiated as it stands."""
    v = start[None]
    for _ in range(iterations):
        v = A.down(weight, A.up(weight, v))
        v = v / torch.linalg.vector_norm(v)
    return torch.linalg.vector_norm(A.up(weight, v))


class SpectralNormalization(nn.Module):
    """W ↦ bound W / σ(W), a parametrization of a layer's weight without state that moves.

    Parameters
    ----------
    A : LinearMap
    bound : float
    method : {"exact", "iterated"}
    iterations : int
        Of the iterated norm.
    """

    start: Tensor

    def __init__(self, A: LinearMap, *, bound: float, method: str, iterations: int) -> None:
        super().__init__()
        self.A, self.bound, self.method, self.iterations = A, bound, method, iterations
        self._last: tuple[Tensor, tuple[Tensor, Tensor]] | None = None
        if method == "iterated":
            # a function of the shape alone, so it belongs to the network and not to what has been learned
            start = torch.randn(A.smaller, generator=torch.Generator().manual_seed(0))
            self.register_buffer("start", start / start.norm(), persistent=False)

    def norm(self, weight: Tensor) -> Tensor:
        """σ(W), a scalar."""
        if self.method == "exact":
            return exact_norm(self.A, weight, self._pairs(weight))
        return iterated_norm(self.A, weight, self.start, self.iterations)

    def _pairs(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The eigenpairs, kept while the weight's values stay: a step uses it three times and changes it once."""
        w = weight.detach()
        if torch._C._functorch.is_functorch_wrapped_tensor(w):  # which values it has is not known under vmap
            return eigenpairs(self.A, w)
        if self._last is not None:
            old, pairs = self._last
            if old.dtype == w.dtype and old.device == w.device and torch.equal(old, w):
                return pairs
        self._last = w.clone(), eigenpairs(self.A, w)
        return self._last[1]

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (self.bound / self.norm(weight))

    def extra_repr(self) -> str:
        how = "exact" if self.method == "exact" else f"{self.iterations} iterations"
        return f"{type(self.A).__name__} {self.A.inputs} -> {self.A.outputs}, bound {self.bound:g}, {how}"


def spectral_normalized(
    module: nn.Module,
    bound: float = 1.0,
    *,
    convolutions: str = "true",
    method: str = "auto",
    iterations: int = 20,
    input_shape: Sequence[int] | None = None,
) -> nn.Module:
    """A copy of a network whose Linear, Conv2d and ConvTranspose2d weights have the norm `bound`.

        W ↦ bound W / σ(W)

    With "exact" and "true" norms every such layer is `bound`-Lipschitz (between its own sizes of images), and by
    activations of slope at most 1 a chain of m of them bound^m-Lipschitz.  Scaling a weight w changes nothing: v is
    orthogonal to it and Jw = -v_w, so each normalised layer adds an eigenvalue 0 at an equilibrium.

    Parameters
    ----------
    module : nn.Module
        Left as it is.  Biases and the scales of normalising layers stay as they are in the copy too.
    bound : float
        c > 0, per layer.
    convolutions : {"true", "reshaped"}
        The norm of the map on the images that the layer sees, or of its kernel as a matrix [1]_.
    method : {"auto", "exact", "iterated"}
        "exact": the eigenvalues of BᵀB; where σ₁ is multiple, as after an orthogonal start, σ has a kink and the
        gradient is one of its subgradients.  "iterated": power iterations from a fixed start, which give a lower bound
        of σ and so a layer somewhat above `bound`.  "auto": exact for layers with a side of at most 400.
    iterations : int
        Power iterations of the iterated norm.
    input_shape : sequence of int, optional
        Of one input without the batch, where there are convolutions; by default the module's `in_features`.

    Returns
    -------
    nn.Module
        Its parameters have the shapes of the original's and are called ``…parametrizations.weight.original``.

    Raises
    ------
    TypeError, ValueError
        A bound, method or shape that makes no sense; a weight of norm 0; weights that are normalised already, or that
        belong to a layer of another kind.

    References
    ----------
    .. [1] Miyato, Kataoka, Koyama, Yoshida (2018), Spectral normalization for generative adversarial networks, ICLR.

    Examples
    --------
    >>> from gamedyn.neural.networks import mlp_discriminator
    >>> D = spectral_normalized(mlp_discriminator(2, (8,)))
    >>> [round(float(torch.linalg.matrix_norm(D.layers[k].weight.detach(), 2)), 5) for k in (0, 2)]
    [1.0, 1.0]
    """
    bound = as_number("bound", bound)
    _check(bound, convolutions, method, iterations)
    result = copy.deepcopy(module)
    layers = _layers(result)
    shapes = _image_shapes(result, input_shape) if convolutions == "true" else {}
    for name, layer in layers:
        if convolutions == "reshaped" and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            A: LinearMap = ReshapedKernel(layer)
        else:
            A = linear_map(layer, shapes.get(name))
        exact = method == "exact" or (method == "auto" and A.smaller <= EXACT_LIMIT)
        kind = "exact" if exact else "iterated"
        norm = SpectralNormalization(A, bound=float(bound), method=kind, iterations=iterations)
        parametrize.register_parametrization(layer, "weight", norm.to(layer.weight.device, layer.weight.dtype))
    return result


def _layers(module: nn.Module) -> list[tuple[str, nn.Linear | nn.Conv2d | nn.ConvTranspose2d]]:
    """Every layer that is normalised, with its name."""
    found = []
    for name, layer in module.named_modules():
        where = f"{name or 'the module'} ({type(layer).__name__})"
        if parametrize.is_parametrized(layer) or hasattr(layer, "weight_orig") or hasattr(layer, "weight_g"):
            raise ValueError(f"the weight of {where} is parametrized already; give spectral_normalized the plain layer")
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if not bool(layer.weight.detach().any()):
                raise ValueError(f"the weight of {where} is 0, so it has no norm to be divided by; start it elsewhere")
            found.append((name, layer))
        elif any(p.ndim > 1 for p in layer.parameters(recurse=False)):
            raise ValueError(
                f"{where} has a weight that is not normalised: only Linear, Conv2d and ConvTranspose2d are. Write the "
                f"layer with them"
            )
    if not found:
        raise ValueError(f"{type(module).__name__} has no Linear, Conv2d or ConvTranspose2d layer to normalise")
    return found


def _image_shapes(module: nn.Module, input_shape: Sequence[int] | None) -> dict[str, tuple[int, ...]]:
    """The shape `(c, h, w)` that every convolution sees, from one pass of zeros."""
    probe = copy.deepcopy(module).eval()
    names: dict[nn.Module, str] = {
        m: name for name, m in probe.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    }
    if not names:
        return {}
    shape = (module.in_features,) if input_shape is None and hasattr(module, "in_features") else input_shape
    if shape is None:
        raise ValueError("the norm of a convolution depends on the images it sees; pass input_shape=...")
    seen: dict[str, tuple[int, ...]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        new = tuple(inputs[0].shape[1:])
        if seen.setdefault(names[layer], new) != new:
            raise ValueError(f"{names[layer]} sees images {seen[names[layer]]} and {new}: it has more than one norm")

    for layer in names:
        layer.register_forward_pre_hook(note)
    like = next(probe.parameters())
    with torch.no_grad():
        probe(torch.zeros((1, *shape), dtype=like.dtype, device=like.device))
    return seen


def _check(bound: float, convolutions: str, method: str, iterations: int) -> None:
    if not (math.isfinite(bound) and bound > 0):
        raise ValueError(f"bound is {bound}; it must be finite and > 0")
    if convolutions not in CONVOLUTIONS:
        raise ValueError(f"convolutions is {convolutions!r}; use one of {', '.join(CONVOLUTIONS)}")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; use one of {', '.join(METHODS)}")
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
        raise ValueError(f"iterations is {iterations!r}; it must be an integer >= 1")


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
