"""Lipschitz constants of layers that are no linear maps: activations, maxima, normalisations."""

from __future__ import annotations

import math

from torch import nn

from gamedyn.neural.networks import MapNorm, Scale
from gamedyn.neural.penalties.spectral import pair

__all__ = ["constant_of"]

_SILU_AT = 2.399357280515468  # x tanh(x/2) = 2, where silu is steepest
_CONSTANTS: dict[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.Flatten: 1.0,
    nn.Unflatten: 1.0,
    nn.PixelShuffle: 1.0,
    nn.PixelUnshuffle: 1.0,
    nn.ConstantPad1d: 1.0,
    nn.ConstantPad2d: 1.0,
    nn.ConstantPad3d: 1.0,
    nn.ZeroPad1d: 1.0,
    nn.ZeroPad3d: 1.0,
    nn.Dropout: 1.0,  # evaluated; in training it is refused
    nn.ReLU: 1.0,
    nn.ReLU6: 1.0,
    nn.Hardtanh: 1.0,
    nn.Tanh: 1.0,
    nn.Tanhshrink: 1.0,
    nn.Softshrink: 1.0,
    nn.Softsign: 1.0,
    nn.LogSigmoid: 1.0,
    nn.Sigmoid: 0.25,
    nn.Hardsigmoid: 0.16666668,  # 1/6, which torch rounds to float32
    nn.Hardswish: 1.5,  # at 3
    nn.SELU: 1.7580993408473769,  # αλ, at 0 from below
    nn.SiLU: 0.5 + _SILU_AT / 4,
    nn.Mish: 1.0884981612517277,  # at 1.4906
}
_GELU = 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)  # at √2
_GELU_TANH = 1.12899307  # 1.12899306861 at 1.4185, and what torch's kernel rounds its constants by
_SOFTPLUS_THRESHOLD = 20.0  # torch's own, where the jump is 2e-9


def constant_of(layer: nn.Module) -> float | str:
    """The constant of a layer without a linear map, or why it has none; empty where it is not known here."""
    if type(layer) in _CONSTANTS:
        return _CONSTANTS[type(layer)]
    if isinstance(layer, Scale):
        return abs(layer.factor)
    if isinstance(layer, nn.GELU):
        return _GELU if layer.approximate == "none" else _GELU_TANH
    if isinstance(layer, nn.MaxPool2d):
        rules = zip(*(pair(r) for r in (layer.kernel_size, layer.stride, layer.dilation)), strict=True)
        # how many windows see one pixel, at most
        return math.sqrt(math.prod(math.ceil(k / s) if d == 1 else k for k, s, d in rules))
    if isinstance(layer, nn.LayerNorm | nn.GroupNorm | MapNorm | nn.modules.instancenorm._InstanceNorm):
        return _of_norm(layer)
    return _of_slope(layer)


def _of_slope(layer: nn.Module) -> float | str:
    """Of activations with a parameter."""
    if isinstance(layer, nn.LeakyReLU):
        return max(1.0, abs(layer.negative_slope))
    if isinstance(layer, nn.PReLU):
        return max(1.0, float(layer.weight.abs().max()))
    if isinstance(layer, nn.ELU):
        return max(1.0, abs(layer.alpha))
    if isinstance(layer, nn.CELU) and layer.alpha > 0:
        return 1.0
    if isinstance(layer, nn.Softplus) and layer.beta > 0:
        if layer.threshold >= _SOFTPLUS_THRESHOLD:
            return 1.0
        jump = math.log1p(math.exp(-layer.threshold)) / layer.beta
        return f"it jumps by {jump:.2g} at its threshold of {layer.threshold:g}; leave that at {_SOFTPLUS_THRESHOLD:g}"
    return ""


def _of_norm(layer: nn.Module) -> float | str:
    """Of a normalisation of every row by itself: γ/√ε, which it attains at rows that are constant.

    y = γ (x - m)/s + β,  s² = var x + ε:   ‖∂y‖ = ‖γ (P - x̂x̂ᵀ/n)‖/s <= max|γ|/√ε
    """
    if isinstance(layer, MapNorm) and layer.kind == "batch":
        return "it mixes the rows of a batch"
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
        return "it keeps running statistics"
    eps = float(layer.eps)  # type: ignore[arg-type]
    if not eps > 0:
        return "with eps = 0 its slope grows without limit towards rows that are constant"
    weight = getattr(layer, "gain" if isinstance(layer, MapNorm) else "weight", None)
    scale = 1.0 if weight is None else float(weight.detach().abs().max())
    return scale / math.sqrt(eps)
