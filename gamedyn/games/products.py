"""Products with the Jacobian of a torch field at one point, from one graph that is kept.

    Jᵀu = ∂⟨v(w), u⟩/∂w,     Ju = ∂⟨Jᵀs, u⟩/∂s                                              (1)

The second line holds because s ↦ Jᵀs is linear: a product with J is the derivative of a product with Jᵀ, so
reverse mode alone gives both.  v and Jᵀs are recorded once; a product is then one backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["RetainedJacobian"]

ROWS_AT_ONCE = 64


class RetainedJacobian:
    """J = Dv(z) as a linear map, for any field of the neural world.

    The graph of v at z lives as long as this object: about the memory of a few forward and backward passes.

    Parameters
    ----------
    field : Field
        Of the neural world, deterministic.
    z : Tensor
        `(d,)`, the point, in the type and on the device of the computation.

    Examples
    --------
    >>> import gamedyn as gd
    >>> game = gd.callable_game([lambda z: z[0] * z[1], lambda z: z[1] ** 2 - z[0] * z[1]], sizes=[1, 1])
    >>> J = RetainedJacobian(game.field(), torch.tensor([1.0, 2.0]))
    >>> J.to_dense()
    tensor([[ 0.,  1.],
            [-1.,  2.]])
    >>> J.jvp(torch.tensor([1.0, 0.0])), J.vjp(torch.tensor([1.0, 0.0]))
    (tensor([ 0., -1.]), tensor([0., 1.]))
    """

    def __init__(self, field: Any, z: Tensor) -> None:
        if z.ndim != 1:
            raise ValueError(f"a Jacobian belongs to one point (d,), got shape {tuple(z.shape)}")
        with torch.enable_grad():
            self._w = z.detach().clone().requires_grad_()
            self._v = field(self._w)
            self._seed = torch.zeros_like(self._v, requires_grad=True)
            self._transposed = self._transpose()
        self.field_value = self._v.detach()

    @property
    def dim(self) -> int:
        """Length d of the state."""
        return len(self._w)

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu `(d,)`."""
        if not self._v.requires_grad:
            return torch.zeros_like(u)
        return torch.autograd.grad(self._v, self._w, u, retain_graph=True, materialize_grads=True)[0]

    def jvp(self, u: Tensor) -> Tensor:
        """Ju `(d,)`."""
        if self._transposed is None:
            return torch.zeros_like(u)
        return torch.autograd.grad(self._transposed, self._seed, u, retain_graph=True, materialize_grads=True)[0]

    def to_dense(self) -> Tensor:
        """J `(d, d)`, one product with Jᵀ per row, many rows at a time; d² numbers of memory."""
        eye = torch.eye(self.dim, dtype=self._w.dtype, device=self._w.device)
        if not self._v.requires_grad:
            return torch.zeros_like(eye)
        try:
            return torch.cat([self._rows(block) for block in eye.split(ROWS_AT_ONCE)])
        except RuntimeError:  # an operation that torch cannot batch over
            return torch.stack([self.vjp(row) for row in eye])

    def _rows(self, block: Tensor) -> Tensor:
        return torch.autograd.grad(
            self._v, self._w, block, retain_graph=True, materialize_grads=True, is_grads_batched=True
        )[0]

    def _transpose(self) -> Tensor | None:
        """Jᵀs with its graph, s the seed; None where v does not depend on w."""
        if not self._v.requires_grad:
            return None
        (product,) = torch.autograd.grad(self._v, self._w, self._seed, create_graph=True, materialize_grads=True)
        return product if product.requires_grad else None

    def __repr__(self) -> str:
        return f"RetainedJacobian(d = {self.dim:,}, {self._w.dtype} on {self._w.device})"
