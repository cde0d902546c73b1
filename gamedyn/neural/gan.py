"""A GAN as a game: two networks, one flat vector, and a joint gradient field.

    w = (θ_G, θ_D),   v(w) = (∇_G cost_G(w), ∇_D cost_D(w))                                 (1)

The networks are evaluated on slices of w without copies and without touching the modules, so everything that
is said of a field (rules, transforms, Jacobian products, spectra) holds for two real networks as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gamedyn.games.callable import TorchField
from gamedyn.games.field import Element, NotInThisWorld, Player
from gamedyn.neural.data import Dataset
from gamedyn.neural.flat import FlatNetwork, refuse_shared
from gamedyn.neural.losses import GANLoss, as_loss

if TYPE_CHECKING:
    from gamedyn.neural.oracle import Oracle

__all__ = ["GAN", "GANField"]

GENERATOR, DISCRIMINATOR = 0, 1
BATCHES, EVALUATION, _SAMPLES = 0, 1, 2  # what a stream of random numbers is for


class GAN:
    """Two networks that play a game on a data set.

        z ~ N(0, I),  x ~ data;   cost_G(D(G(z))),  cost_D(D(x), D(G(z)))

    It follows the protocol of every game: `players` (the generator first), `dim`, `worlds`, `field`.  The field
    follows the type and device of the vector it is given, so a float32 GAN is analysed in float64 by
    passing a float64 vector.

    Parameters
    ----------
    generator, discriminator : nn.Module
        R^latent -> R^d and R^d -> one logit.  Their trainable parameters are the players' coordinates, in the
        order of `named_parameters`; parameters that do not require gradients, and buffers, stay as they are.
    loss : str or GANLoss
        A name in `gamedyn.neural.LOSSES`, or a pair of costs.
    data : Dataset
    latent : int, optional
        Dimension of z; by default the generator's `in_features`.
    batch_size : int
        Rows per draw of the oracle.
    evaluation_size : int
        Rows of the fixed sample on which `field` is defined; the whole data set if it has no more.
    device, dtype
        Of `initial()` and of the draws.
    seed : int
        Of the evaluation sample.

    Raises
    ------
    TypeError, ValueError
        Networks that do not fit together or the data, that share parameters, or whose output depends on more than
        their parameters (dropout, running statistics, power iteration): see the message.

    Examples
    --------
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(4, 2, (8,)), mlp_discriminator(2, (8,)), data=ring(n=256))
    >>> gan.dim, [player.name for player in gan.players]
    (91, ['generator', 'discriminator'])
    >>> gan.field("neural")(gan.initial()).shape
    torch.Size([91])
    """

    worlds = ("neural",)
    parameters: tuple[str, ...] = ()

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: str | GANLoss = "non_saturating",
        data: Dataset,
        latent: int | None = None,
        batch_size: int = 64,
        evaluation_size: int = 512,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        if not isinstance(data, Dataset):
            raise TypeError(f"data is {type(data).__name__}; it must be a Dataset. For a tensor: from_tensor(x).")
        self.generator, self.discriminator, self.loss = generator, discriminator, as_loss(loss)
        self.device, self.dtype, self.seed = torch.device(device), dtype, seed
        self.data = data.to(device=self.device, dtype=dtype)
        self.latent = _latent(generator, latent)
        self.batch_size = _count("batch_size", batch_size, len(data))
        self.evaluation_size = min(_count("evaluation_size", evaluation_size), len(data))
        self.networks = (FlatNetwork("generator", generator), FlatNetwork("discriminator", discriminator))
        refuse_shared(self.networks)
        n_g, n_d = (net.size for net in self.networks)
        self.players = (Player("generator", 0, n_g), Player("discriminator", n_g, n_g + n_d))
        refuse_hidden_state(self)

    @property
    def name(self) -> str:
        """The loss and the data."""
        return f"{self.loss.name} GAN on {self.data.name}"

    @property
    def dim(self) -> int:
        """Number of parameters d of both networks together."""
        return self.players[-1].stop

    def field(self, world: str = "neural", params: Mapping[str, Any] | None = None) -> GANField:
        """v on the fixed evaluation sample: the same function at every call.

        Raises
        ------
        NotInThisWorld
            For any world but "neural".
        ValueError
            If `params` is not empty.
        """
        if world != "neural":
            raise NotInThisWorld("field", world, "the costs of a GAN are networks without a formula")
        if params:
            raise ValueError(f"'{self.name}' has no parameters, got {list(params)}")
        return GANField(self, *self.evaluation_sample)

    @cached_property
    def evaluation_sample(self) -> tuple[Tensor, Tensor]:
        """The fixed x `(n, d)` and z `(n, latent)`."""
        return self.batch(self.evaluation_size, stream(self.seed, EVALUATION))

    def oracle(self, batch_size: int | None = None, seed: int = 0, sampling: str = "same") -> Oracle:
        """Fields on fresh batches: `oracle(...).draw(k)` is that of step k, a function of (seed, k) alone.

        Parameters
        ----------
        batch_size : int, optional
            By default the GAN's own.
        seed : int
            Of the batches.
        sampling : {"same", "independent"}
            One batch for the whole step, or one per evaluation of the field.
        """
        from gamedyn.neural.oracle import Oracle  # which is built on this module

        size = self.batch_size if batch_size is None else _count("batch_size", batch_size, len(self.data))
        return Oracle(self, size, seed, sampling)

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`size` rows x of the data and as many latents z, from a generator on the CPU."""
        if size >= len(self.data):
            return self.data.x, self._latents(size, generator)
        return self.data.batch(size, generator), self._latents(size, generator)

    def initial(self) -> Tensor:
        """The modules' present parameters as one vector `(d,)`."""
        pieces = [p.detach().reshape(-1) for net in self.networks for p in net.parameters()]
        return torch.cat([p.to(device=self.device, dtype=self.dtype) for p in pieces])

    def load(self, z: Tensor) -> None:
        """Write a vector `(d,)` into the modules.

        Raises
        ------
        ValueError
            If z is not a vector of this GAN.
        """
        with torch.no_grad():
            for net, values in zip(self.networks, self.split(z), strict=True):
                for parameter, value in zip(net.parameters(), values, strict=True):
                    parameter.copy_(value)

    def sample(self, z: Tensor, n: int, seed: int = 0) -> Tensor:
        """`n` samples `(n, d)` of the generator with the parameters in z."""
        with torch.no_grad():
            latents = self._latents(_count("n", n), stream(seed, _SAMPLES)).to(z)
            return self.networks[GENERATOR](self.split(z)[GENERATOR], latents)

    def split(self, z: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The parameters of both networks as views of z `(d,)`."""
        if z.shape != (self.dim,):
            raise ValueError(f"'{self.name}' has d = {self.dim} parameters, got a vector of shape {tuple(z.shape)}")
        pieces = z.split(
            [n for net in self.networks for n in net.sizes]
        )  # one node in the graph, whatever their number
        cut = len(self.networks[GENERATOR].sizes)
        return self.networks[GENERATOR].shaped(pieces[:cut]), self.networks[DISCRIMINATOR].shaped(pieces[cut:])

    def _latents(self, size: int, generator: torch.Generator) -> Tensor:
        # always drawn in float32 on the CPU, so that every device and type sees the same numbers
        return torch.randn((size, self.latent), generator=generator).to(device=self.device, dtype=self.dtype)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{p.name} {p.size:,}" for p in self.players)
        kind = str(self.dtype).removeprefix("torch.")
        return (
            f"GAN({self.name}, d = {self.dim:,}: {sizes}; latent {self.latent}, batch {self.batch_size}, "
            f"{self.evaluation_size} evaluation rows, {kind} on {self.device}, seed {self.seed})"
        )


class GANField(TorchField):
    """v of a GAN on one sample; each player's gradient in its own parameters, and no other.

    Parameters
    ----------
    gan : GAN
    x, latents : Tensor
        `(n, d)` and `(n, latent)`.

    Attributes
    ----------
    first_costs : list
        Per player the cost met first by this field, a scalar tensor, or None before.
    """

    def __init__(self, gan: GAN, x: Tensor, latents: Tensor) -> None:
        super().__init__(gan.players, self.all_costs)
        self.gan, self.x, self.latents = gan, x, latents
        self._cast = (x, latents)
        self.first_costs: list[Tensor | None] = [None, None]

    def __call__(self, z: Element) -> Tensor:
        return _joined(self._gradients(z, (GENERATOR, DISCRIMINATOR)))

    def check_second_order(self) -> None:
        """Refuse weight norm.

        Raises
        ------
        ValueError
            torch's second derivative of its fused weight normalisation is wrong (`torch.autograd.gradgradcheck` fails).
        """
        if found := [f"{net.role}.{name}" for net in self.gan.networks for name in net.weight_norms]:
            raise ValueError(
                f"weight_norm at {', '.join(found)}: torch's second derivative of it is wrong, and so would be every "
                f"product with J; use spectral_norm, remove it (torch.nn.utils.remove_weight_norm), or write "
                f"v * g / v.norm() yourself"
            )

    def part(self, i: int, z: Element) -> Tensor:
        p = self.players[i]
        before, after = z.new_zeros(p.start), z.new_zeros(len(z) - p.stop)
        return _joined([before, *self._gradients(z, (i,)), after])

    def grad(self, i: int, z: Element) -> Tensor:
        create = torch.is_grad_enabled() and z.requires_grad
        with torch.enable_grad():
            w = z if z.requires_grad else z.detach().requires_grad_()
            (cost,) = self._costs_of((i,), self.gan.split(w))
            (g,) = torch.autograd.grad(cost, w, create_graph=create, materialize_grads=True)
        return g

    def _gradients(self, z: Tensor, who: tuple[int, ...]) -> list[Tensor]:
        """∇ᵢcᵢ of each player in `who`, one tensor for each of its own parameters."""
        create = torch.is_grad_enabled() and z.requires_grad
        parameters = self.gan.split(z if create else z.detach())
        if not create:
            for i in who:  # leaves of the moving players only: no gradient is formed for those who stand still
                parameters[i][:] = [p.requires_grad_() for p in parameters[i]]
        with torch.enable_grad():
            costs = self._costs_of(who, parameters)
            gradients: list[Tensor] = []
            for i, cost in zip(who, costs, strict=True):
                keep = create or i != who[-1]
                gs = torch.autograd.grad(
                    cost, parameters[i], create_graph=create, retain_graph=keep, materialize_grads=True
                )
                gradients.extend(gs)
        return gradients

    def _costs_of(self, who: tuple[int, ...], parameters: Sequence[list[Tensor]]) -> list[Tensor]:
        """The costs of the players in `who`, from one forward pass of G and one of D on its samples."""
        g, d = self.gan.networks
        x, latents = self._sample_like(parameters[GENERATOR][0])
        fake = d(parameters[DISCRIMINATOR], g(parameters[GENERATOR], latents))
        costs = []
        for i in who:
            if i == GENERATOR:
                cost = self.gan.loss.generator(fake)
            else:
                cost = self.gan.loss.discriminator(d(parameters[DISCRIMINATOR], x), fake)
            if self.first_costs[i] is None:
                self.first_costs[i] = cost.detach()
            costs.append(cost)
        return costs

    def all_costs(self, z: Tensor) -> list[Tensor]:
        """The costs of both players, scalars."""
        return self._costs_of((GENERATOR, DISCRIMINATOR), self.gan.split(z))

    def _sample_like(self, p: Tensor) -> tuple[Tensor, Tensor]:
        if self._cast[0].dtype != p.dtype or self._cast[0].device != p.device:
            self._cast = (self.x.to(p), self.latents.to(p))
        return self._cast


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Tensors of any shape as one fresh vector, in one copy."""
    return torch.cat([piece.reshape(-1) for piece in pieces])


def stream(*key: int) -> torch.Generator:
    """A generator on the CPU for one purpose: a pure function of non-negative integers."""
    if any(isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0 for k in key):
        raise ValueError(f"seeds and step numbers are integers >= 0, got {key}")
    word = np.random.SeedSequence([int(k) for k in key]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(word))


def _latent(generator: nn.Module, latent: int | None) -> int:
    value = getattr(generator, "in_features", None) if latent is None else latent
    if value is None:
        raise ValueError("the generator does not say its input dimension (in_features); pass latent=...")
    return _count("latent", value)


def _count(what: str, value: int, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{what} is {value!r}; it must be an int")
    if value < 1 or (most is not None and value > most):
        raise ValueError(f"{what} is {value}; it must be at least 1{'' if most is None else f' and at most {most}'}")
    return int(value)


def refuse_hidden_state(gan: GAN) -> None:
    """Refuse networks of a wrong shape, and those that depend on more than parameters and input."""
    sample = gan.batch(min(len(gan.data), 16), stream(gan.seed, EVALUATION))
    x, latents = (t[:16] for t in sample)
    z = gan.initial()
    # counts of writes besides values: a power iteration that has converged here writes what stood there already
    before = [[(t._version, t.clone()) for t in net.fixed_like(latents)] for net in gan.networks]
    devices = [gan.device] if gan.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        _check_shapes(gan, z, x, latents)
        field = GANField(gan, x, latents)
        once, twice = (torch.stack(field.all_costs(z)) for _ in range(2))
    for net, old in zip(gan.networks, before, strict=True):
        pairs = zip(net.fixed.items(), old, strict=True)
        if changed := [name for (name, t), (count, was) in pairs if t._version != count or not torch.equal(t, was)]:
            raise ValueError(
                f"evaluating the {net.role} writes to its buffers {changed}: state outside the parameters, so v is no "
                f"function of them. Build batch norm with track_running_stats=False, or call .eval() on the module, "
                f"so that they stand still"
            )
    # some GPU kernels add in a different order each time: rounding is no randomness
    if not torch.allclose(once, twice, rtol=1e3 * torch.finfo(once.dtype).eps, equal_nan=True):
        raise ValueError(
            f"two evaluations at the same parameters and sample give the costs {once.tolist()} and {twice.tolist()}: "
            f"{_random_layers(gan)}. v must be a function of the parameters; call .eval() on the module"
        )


def _random_layers(gan: GAN) -> str:
    found = [
        f"{net.role}.{name}"
        for net in gan.networks
        for name, layer in net.module.named_modules()
        if layer.training and "Dropout" in type(layer).__name__
    ]
    return f"there is dropout at {', '.join(found)}" if found else "a layer draws random numbers or keeps hidden state"


def _check_shapes(gan: GAN, z: Tensor, x: Tensor, latents: Tensor) -> None:
    (g, d), (theta_g, theta_d) = gan.networks, gan.split(z)
    fake = g(theta_g, latents)
    if fake.shape != x.shape:
        raise ValueError(
            f"the generator maps {tuple(latents.shape)} to {tuple(fake.shape)}; '{gan.data.name}' has rows of "
            f"{gan.data.dim}, so it must give {tuple(x.shape)}"
        )
    logits = d(theta_d, fake)
    if logits.shape not in ((len(x), 1), (len(x),)):
        raise ValueError(
            f"the discriminator maps {tuple(x.shape)} to {tuple(logits.shape)}; it must give one logit per row"
        )
