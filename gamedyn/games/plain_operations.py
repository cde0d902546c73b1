"""Norms and attention by plain operations, for passes that are differentiated more often than torch's kernels allow.

    y = (x - E x) (Var x + ε)^(-1/2) · w + b                                                (1)

torch's kernels of layer, batch and instance normalisation keep E x and (Var x + ε)^(-1/2) for their derivatives and
count them as constants in the second one: a third is wrong, without a word.  Fused attention has no second derivative.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["ATTENTION", "NORMS", "NativeNorms", "PlainOperations", "plain_attention", "twice_differentiable"]

NORMS, ATTENTION = "norms", "attention"
_KERNELS = ("native_layer_norm", "native_batch_norm", "batch_norm_with_update", "cudnn_batch_norm", "miopen_batch_norm")
_HALF = (torch.float16, torch.bfloat16)


class PlainOperations(TorchFunctionMode):
    """While it lasts, norms are computed by (1), and attention without fused kernels, in modules as in functions.

    Values are those of the kernels up to rounding.

    Parameters
    ----------
    norms : bool
        Whether (1) is used; attention is always replaced.

    Attributes
    ----------
    met : set of str
        What was called: `NORMS`, `ATTENTION`.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 3.0]])
    >>> with PlainOperations() as plain:
    ...     F.layer_norm(x, (2,), eps=0.0), plain.met
    (tensor([[-1.,  1.]]), {'norms'})
    """

    def __init__(self, *, norms: bool = True) -> None:
        super().__init__()
        self.norms, self.met = norms, set[str]()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _PLAIN:
            self.met.add(NORMS)
            return _PLAIN[func](*args, **kwargs) if self.norms else func(*args, **kwargs)
        if func in _ATTENTION:
            self.met.add(ATTENTION)
            with plain_attention():
                return func(*args, **kwargs)
        return func(*args, **kwargs)


class NativeNorms(TorchDispatchMode):
    """Takes down which kernels of (1) are called, those of frozen statistics not counted.

    Attributes
    ----------
    met : set of str
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = set[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::").removeprefix("_")
        if name.startswith(_KERNELS) and "backward" not in name:
            given = dict(zip([a.name for a in func._schema.arguments], args, strict=False)) | kwargs
            if given.get("training", True):
                self.met.add(name)
        return func(*args, **kwargs)


_lock = threading.Lock()
_users: list[int] = [0]
_held = ExitStack()


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention without fused kernels.

    torch keeps the choice of kernels for all threads together: the first to come makes it, the last to go undoes it.
    """
    with _lock:
        if not _users[0]:
            _held.enter_context(sdpa_kernel(SDPBackend.MATH))
        _users[0] += 1
    try:
        yield
    finally:
        with _lock:
            _users[0] -= 1
            if not _users[0]:
                _held.close()


@contextmanager
def twice_differentiable(*, norms: bool = True) -> Iterator[set[str]]:
    """Attention by plain operations, and norms: torch's kernels have no second derivative, or a wrong third one.

    Parameters
    ----------
    norms : bool
        Whether they are looked for, which costs about a microsecond per operation.

    Yields
    ------
    set of str
        What was replaced so far; of norms and attention where norms are looked for.
    """
    with plain_attention():
        if not norms:
            yield set()
            return
        with PlainOperations() as plain:
            yield plain.met


def _normalised(x: Tensor, over: list[int], eps: float) -> Tensor:
    centred = x - x.mean(over, keepdim=True)
    return centred * (centred.square().mean(over, keepdim=True) + eps).rsqrt()


def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    x = input.float() if input.dtype in _HALF else input
    y = _normalised(x, list(range(x.ndim - len(normalized_shape), x.ndim)), eps)
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    # under mixed precision a GPU gives layer norm in float32
    return y if x.is_cuda and torch.is_autocast_enabled("cuda") else y.to(input.dtype)


def _per_channel(y: Tensor, weight: Tensor | None, bias: Tensor | None, like: Tensor) -> Tensor:
    shape = (-1, *(1,) * (y.ndim - 2))
    y = y if weight is None else y * weight.view(shape)
    y = y if bias is None else y + bias.view(shape)
    return y.to(like.dtype)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training or input.numel() == input.shape[1] or running_mean is not None:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not training):  # refuses, or moves running statistics
            native = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        if not training:
            return native
    x = input.float() if input.dtype in _HALF else input
    return _per_channel(_normalised(x, [0, *range(2, x.ndim)], eps), weight, bias, input)


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats or input[0, 0].numel() == 1 or running_mean is not None:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not use_input_stats):
            native = F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
        if not use_input_stats:
            return native
    x = input.float() if input.dtype in _HALF else input
    return _per_channel(_normalised(x, list(range(2, x.ndim)), eps), weight, bias, input)


_PLAIN: dict[Any, Callable[..., Tensor]] = {
    F.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
}
_ATTENTION = (F.scaled_dot_product_attention, F.multi_head_attention_forward)
