"""Layers through which a discriminator compares the rows of a batch, so that a generator without variety is found out.

    D(x_1, ..., x_n)_i = D(x_i, how x_i lies among x_1, ..., x_n)                           (1)

The rows of a batch meet in these layers: D is no longer a function of one row.  What is computed row by row then
means something else: a gradient penalty sees the slope of the sum of all logits, and accumulation over batches
(`full_data_jacobian`) refuses such a network.  Real and generated rows pass D in calls of their own, so the statistics
of the one never contain the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gamedyn.neural.networks.layers import initialise, linear, sizes_of

__all__ = ["MINIBATCH", "MinibatchDiscrimination", "MinibatchStandardDeviation"]

MINIBATCH = ("discrimination", "standard_deviation")


class MinibatchDiscrimination(nn.Module):
    """To every row its closeness to the other rows is appended, (n, A) -> (n, A + B) [1]_.

        M_i = T f_i in R^(B x C),   o_ib = mean over j != i of exp(-|M_ib - M_jb|_1) in (0, 1]

    The paper sums over all j. The mean over the others is the same feature up to a factor and a constant, and does
    not depend on the size of the batch, so that a network trained on 64 rows can be analysed on 512. A row alone has
    o = 0. Equal rows, where |.| has a kink, have the derivative 0, the mean of both sides; all derivatives are finite.

    |.| has a kink wherever two rows agree in one entry of M, n(n - 1) B C / 2 surfaces, and v jumps on each. J is the
    derivative between them and leaves the jumps out, also in a network of smooth activations: see
    `gamedyn.neural.kinks`. `MinibatchStandardDeviation` has none.

    One evaluation holds n^2 B C numbers.

    Parameters
    ----------
    in_features : int
        A, the width of the input.
    out_features : int
        B, how many closenesses are appended.
    kernel_dims : int
        C, in how many dimensions each is measured.
    seed : int
        Of T, uniform on ±1/sqrt(A); a network that contains the layer draws it again from its own seed.

    References
    ----------
    .. [1] Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen (2016), Improved techniques for training GANs,
       NeurIPS, section 3.2.

    Examples
    --------
    >>> layer = MinibatchDiscrimination(2, 3)
    >>> layer(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])).detach()[0]  # all rows equal: closeness 1
    tensor([1., 0., 1., 1., 1.])
    """

    def __init__(self, in_features: int, out_features: int = 16, kernel_dims: int = 4, *, seed: int = 0) -> None:
        super().__init__()
        shape = sizes_of("MinibatchDiscrimination", (in_features, out_features, kernel_dims), at_least=3)
        self.in_features, self.out_features, self.kernel_dims = shape
        self.projection = linear(in_features, out_features * kernel_dims, bias=False)
        initialise(self, seed=seed)

    def forward(self, f: Tensor) -> Tensor:
        if f.ndim == 1:
            return self(f[None])[0]
        n = len(f)
        m = self.projection(f).reshape(n, self.out_features, self.kernel_dims)
        closeness = torch.exp(-(m[:, None] - m[None]).abs().sum(-1))
        # the row itself, at distance 0, is taken out of the sum: exp(0) = 1 in every type
        return torch.cat([f, (closeness.sum(1) - 1) / max(n - 1, 1)], dim=-1)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.in_features} + {self.out_features}, kernel_dims={self.kernel_dims}"


class MinibatchStandardDeviation(nn.Module):
    """One number for the variety of a batch, appended to every row as one more feature [1]_.

        s = mean over features of sqrt(var over rows + eps);   (n, f) -> (n, f + 1),   (n, c, h, w) -> (n, c + 1, h, w)

    Equal rows give s = sqrt(eps) with derivative 0: finite, unlike that of sqrt at 0. (n, T, f) could be n sequences or
    one picture, and is refused unless `pictures` says which.

    Parameters
    ----------
    group : int, optional
        Rows among which the variance is taken, in the order of the batch; by default all. A batch with more rows
        must be a multiple of it.
    eps : float
    pictures : bool
        The rows are pictures (c, h, w); one of them may come without a batch axis.

    Raises
    ------
    ValueError
        Upon evaluation, if the rows do not fill the groups, or have three axes without being declared pictures.

    References
    ----------
    .. [1] Karras, Aila, Laine, Lehtinen (2018), Progressive growing of GANs for improved quality, stability, and
       variation, ICLR, section 3.

    Examples
    --------
    >>> MinibatchStandardDeviation()(torch.tensor([[1.0, 5.0], [-1.0, 1.0]]))  # standard deviations 1 and 2
    tensor([[ 1.0000,  5.0000,  1.5000],
            [-1.0000,  1.0000,  1.5000]])
    """

    def __init__(self, group: int | None = None, *, eps: float = 1e-8, pictures: bool = False) -> None:
        super().__init__()
        if group is not None:
            (group,) = sizes_of("group", (group,), at_least=1)
        if not eps > 0:
            raise ValueError(f"eps is {eps}; it must be > 0, or the derivative is not finite where rows are equal.")
        self.group, self.eps, self.pictures = group, eps, pictures

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 3 and not self.pictures:
            raise ValueError(
                f"the input has shape {tuple(x.shape)}; give rows (n, f) or pictures (n, c, h, w). For one picture "
                f"(c, h, w) say MinibatchStandardDeviation(pictures=True)."
            )
        if x.ndim in (1, 3):  # one row or one picture without a batch axis
            return self(x[None])[0]
        n = len(x)
        group = n if self.group is None else min(self.group, n)
        if n % group:
            raise ValueError(f"{n} rows do not fill groups of {group}. Use a multiple of it, or group=None.")
        grouped = x.reshape(n // group, group, -1)
        centred = grouped - grouped.mean(1, keepdim=True)
        s = (centred.square().mean(1) + self.eps).sqrt().mean(-1)
        maps = s[:, None].expand(-1, group).reshape(n, *(1,) * (x.ndim - 1)).expand(n, 1, *x.shape[2:])
        return torch.cat([x, maps], dim=1)

    def extra_repr(self) -> str:
        return f"group={self.group}"


def minibatch_layer(kind: str | None, features: int, *, flat: bool) -> tuple[list[nn.Module], int]:
    """The layer that a discriminator has before its logit, and how many features it adds.

    `flat` says whether the features are (n, features) or the channels of maps; closeness is measured on flat ones only.
    """
    if kind not in (None, *MINIBATCH):
        raise ValueError(f"There is no minibatch layer {kind!r}; use None, {', '.join(MINIBATCH)}.")
    if kind == "standard_deviation":
        return [MinibatchStandardDeviation(pictures=not flat)], 1
    if kind == "discrimination" and flat:
        layer = MinibatchDiscrimination(features)
        return [layer], layer.out_features
    return [], 0
