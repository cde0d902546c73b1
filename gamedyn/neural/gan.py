"""A GAN as a game: networks, one flat vector, and a joint gradient field.

    w = (θ_G, θ_D),   v(w) = (∇_G cost_G(w), ∇_D cost_D(w))                                 (1)

The networks are evaluated on slices of w without copies and without touching the modules, so everything that
is said of a field (rules, transforms, Jacobian products, spectra) holds for real networks as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gamedyn.games.field import NotInThisWorld, Player
from gamedyn.neural.accepted import (
    combination,
    count,
    half_type,
    judges_of,
    latent_dimension,
    real_type,
    refuse_misfits,
)
from gamedyn.neural.compiled import compiler
from gamedyn.neural.data import Dataset
from gamedyn.neural.field import GANField
from gamedyn.neural.flat import FlatNetwork, refuse_shared
from gamedyn.neural.hidden_state import refuse_hidden_state
from gamedyn.neural.losses import GANLoss, as_loss
from gamedyn.neural.penalties.base import Penalty, as_penalties
from gamedyn.neural.penalties.instance_noise import InstanceNoise
from gamedyn.neural.sample import EVALUATION, SAMPLES, Sample, stream

if TYPE_CHECKING:
    from gamedyn.neural.oracle import Oracle

__all__ = ["GAN", "GANField"]

GENERATOR = 0


class GAN:
    """Networks that play a game on a data set.

        z ~ N(0, I),  x ~ data;   cost_G(D(G(z))),  cost_D(D(x), D(G(z))) + penalties

    It follows the protocol of every game: `players` (the generator first), `dim`, `worlds`, `field`.  The field
    follows the type and device of the vector it is given, so a float32 GAN is analysed in float64 by
    passing a float64 vector.

    Parameters
    ----------
    generator : nn.Module
        R^latent -> R^d.  Its trainable parameters are the player's coordinates, in the order of `named_parameters`;
        parameters that do not require gradients, and buffers, stay as they are.
    discriminator : nn.Module, nn.ModuleList or sequence of nn.Module
        R^d -> one logit.  Several are as many players, each with the loss and the penalties for itself.
    loss : str or GANLoss
        A name in `gamedyn.neural.LOSSES`, or a pair of costs.
    penalty : Penalty or sequence of Penalty, optional
        Terms of every discriminator's cost, and constraints of its parameters.
    instance_noise : InstanceNoise, optional
        Noise on everything that a discriminator is shown.
    combine : {"mean", "hardest"} or float
        The generator's cost against several discriminators: their mean, the largest, or λ >= 0 between the two,
        Σ wⱼcⱼ with w = softmax(λc) [1]_.
    data : Dataset
    latent : int, optional
        Dimension of z; by default the generator's `in_features`.
    batch_size : int
        Rows per draw of the oracle.
    evaluation_size : int
        Rows of the fixed sample on which `field` is defined; the whole data set if it has no more.
    autocast : {None, "bfloat16", "float16"}
        Mixed precision: passes of a float32 vector are made in this type where torch deems it safe; parameters,
        gradients, losses and norms of slopes stay float32.  "float16" has more digits and less range, of which its
        gradients, computed 2^10 times as large, use the lower end: where costs or slopes of D are large they overflow,
        and the run ends as divergent.  Prefer "bfloat16" where the hardware has it.
    compile : bool or str
        Whether the gradients of a training are compiled (torch.compile), once per shape of a batch: a start of
        seconds to minutes, for faster steps.  A string is a backend, by default "inductor".  What cannot be compiled,
        as dropout, goes on eagerly with a warning, and so do second derivatives and the evaluation sample without one.
    device, dtype
        Of `initial()` and of the draws.
    seed : int
        Of the evaluation sample.

    Raises
    ------
    TypeError, ValueError
        Networks that do not fit together or the data, that share parameters, or whose output depends on more than
        parameters and input (running statistics, power iteration, random numbers of their own): see the message.

    Notes
    -----
    Layers in training mode: batch normalisation uses the statistics of the batch and leaves its running ones as they
    are, until `load` sets them; dropout, also of attention, and RReLU draw from the sample, so that v is one function
    per sample.

    torch's kernels of layer, instance and batch normalisation have a wrong third derivative, which J needs under
    penalties on slopes and through `unrolled`, and fused attention has no second one: where a pass is differentiated so
    often, both are made of plain operations, with the same values up to rounding.  A network that works in place on its
    input gets a copy of it.

    References
    ----------
    .. [1] I. Durugkar, I. Gemp, S. Mahadevan, Generative multi-adversarial networks, ICLR 2017, arXiv:1611.01673.

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
        discriminator: nn.Module | Sequence[nn.Module],
        *,
        loss: str | GANLoss = "non_saturating",
        penalty: Penalty | Sequence[Penalty] | None = None,
        instance_noise: InstanceNoise | None = None,
        combine: str | float = "mean",
        data: Dataset,
        latent: int | None = None,
        batch_size: int = 64,
        evaluation_size: int = 512,
        autocast: str | None = None,
        compile: bool | str = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        if not isinstance(data, Dataset):
            raise TypeError(f"data is {type(data).__name__}; it must be a Dataset. For a tensor: from_tensor(x).")
        if instance_noise is not None and not isinstance(instance_noise, InstanceNoise):
            raise TypeError(f"instance_noise is {instance_noise!r}; give InstanceNoise(sigma), or None")
        self.generator, self.discriminator, self.loss = generator, discriminator, as_loss(loss)
        self.penalties, self.instance_noise = as_penalties(penalty), instance_noise
        self.combine, self.autocast, self.compiled = combination(combine), half_type(autocast), compiler(compile)
        self.device, self.dtype, self.seed = torch.device(device), real_type(dtype), seed
        self.data = data.to(device=self.device, dtype=dtype)
        self.latent = latent_dimension(generator, latent)
        self.batch_size = count("batch_size", batch_size, len(data))
        self.evaluation_size = min(count("evaluation_size", evaluation_size), len(data))
        judges = judges_of(generator, discriminator)
        roles = ["discriminator"] if len(judges) == 1 else [f"discriminator{k}" for k in range(1, len(judges) + 1)]
        nets = zip(["generator", *roles], [generator, *judges], strict=True)
        self.networks = tuple(FlatNetwork(role, module) for role, module in nets)
        refuse_shared(self.networks)
        for net in self.networks[1:]:  # a loss of the user's own class may take slopes as well
            net.takes_slopes = type(self.loss) is not GANLoss or any(
                type(p).cost is not Penalty.cost for p in self.penalties
            )
        ends = np.cumsum([0, *(net.size for net in self.networks)]).tolist()
        self.players = tuple(
            Player(net.role, start, stop) for net, start, stop in zip(self.networks, ends, ends[1:], strict=False)
        )
        self._settings: dict[str, Any] = {
            **{"loss": loss, "penalty": self.penalties, "instance_noise": instance_noise, "combine": combine},
            **{"data": self.data, "latent": self.latent, "batch_size": batch_size, "evaluation_size": evaluation_size},
            **{"autocast": autocast, "compile": compile, "device": device, "dtype": dtype, "seed": seed},
        }
        refuse_hidden_state(self)

    def variant(self, **settings: Any) -> GAN:
        """The same networks under other settings: `gan.variant(loss="hinge", penalty=R1(0.1))`.

        Raises
        ------
        TypeError
            If a setting is no keyword of `GAN`.
        """
        if unknown := [name for name in settings if name not in self._settings]:
            raise TypeError(f"GAN has no settings {unknown}; it has {', '.join(self._settings)}")
        return GAN(self.generator, self.discriminator, **{**self._settings, **settings})

    @property
    def name(self) -> str:
        """The loss, what is added to it, and the data."""
        added = [repr(part) for part in (self.instance_noise, *self.penalties) if part is not None]
        return f"{self.loss.name} GAN{''.join(f' + {part}' for part in added)} on {self.data.name}"

    @property
    def is_constrained(self) -> bool:
        """Whether a penalty is a constraint of the discriminators' parameters."""
        return any(type(p).project is not Penalty.project for p in self.penalties)

    def project(self, z: Tensor) -> Tensor:
        """z `(d,)` with the discriminators' parameters projected onto what the penalties allow.

        Raises
        ------
        ValueError
            If a penalty does not give one tensor for each that it was given, of the same shape.
        """
        tracked = z.requires_grad
        pieces = self.split(z if tracked else z.clone())  # penalties may work in place on what they are given
        for penalty in self.penalties:
            if type(penalty).project is Penalty.project:
                continue
            for k in range(1, len(pieces)):
                allowed = penalty.project([p.clone() for p in pieces[k]] if tracked else pieces[k])
                if allowed is not None:
                    refuse_misfits(penalty, self.networks[k].shapes, allowed)
                    pieces[k] = list(allowed)
        return torch.cat([piece.reshape(-1) for own in pieces for piece in own])

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
        return GANField(self, self.evaluation_sample)

    def read_modes(self) -> None:
        """Look anew which layers are in training mode: modules may have been switched since they were given."""
        before = [net.dropouts for net in self.networks]
        for net in self.networks:
            net.read_modes()
        if before != [net.dropouts for net in self.networks]:
            self.__dict__.pop("evaluation_sample", None)  # which has masks, or has none

    @cached_property
    def evaluation_sample(self) -> Sample:
        """The fixed sample on which `field` is defined."""
        return self.batch(self.evaluation_size, stream(self.seed, EVALUATION))

    def oracle(
        self,
        batch_size: int | None = None,
        seed: int = 0,
        sampling: str = "same",
        *,
        accumulate: int = 1,
        group: Any = None,
    ) -> Oracle:
        """Fields on fresh batches: `oracle(...).draw(k)` is that of step k, a function of (seed, k) alone.

        Parameters
        ----------
        batch_size : int, optional
            By default the GAN's own.
        seed : int
            Of the batches.
        sampling : {"same", "independent"}
            One batch for the whole step, or one per evaluation of the field.
        accumulate : int
            Parts in which a batch is evaluated, one after the other, in the memory of one.
        group : "world" or ProcessGroup, optional
            Processes of torch.distributed that share the rows of a batch: all, or some.
        """
        from gamedyn.neural.oracle import Oracle  # which is built on this module

        size = self.batch_size if batch_size is None else count("batch_size", batch_size, len(self.data))
        return Oracle(self, size, seed, sampling, accumulate, group)

    def batch(self, size: int, generator: torch.Generator, step: int | None = None) -> Sample:
        """`size` rows of the data and all that is drawn for them, from a generator on the CPU.

        Parameters
        ----------
        size : int
        generator : torch.Generator
        step : int, optional
            Of a training, for what changes with it.
        """
        x = self.data.x if size >= len(self.data) else self.data.batch(size, generator)
        latents, noise = self._latents(len(x), generator), []
        if self.instance_noise is not None:
            noise.append(self._placed(self.instance_noise.noise(len(x), self.data.dim, generator, step)))
        noise += [self._placed(penalty.noise(len(x), self.data.dim, generator)) for penalty in self.penalties]
        key = None
        if any(net.dropouts for net in self.networks):
            key = int(torch.randint(2**60, (), generator=generator))
        return Sample(x, latents, tuple(noise), key)

    def _placed(self, t: Tensor | None) -> Tensor | None:
        return None if t is None else t.to(device=self.device, dtype=self.dtype)

    def initial(self) -> Tensor:
        """The modules' present parameters as one vector `(d,)`."""
        pieces = [p.detach().reshape(-1) for net in self.networks for p in net.parameters()]
        return torch.cat([p.to(device=self.device, dtype=self.dtype) for p in pieces])

    def load(self, z: Tensor) -> None:
        """Write a vector `(d,)` into the modules.

        Running statistics of batch normalisation in training mode become those of the evaluation sample, so that the
        modules can be used in evaluation mode.

        Raises
        ------
        ValueError
            If z is not a vector of this GAN.
        """
        with torch.no_grad():
            pieces = self.split(z)
            for net, values in zip(self.networks, pieces, strict=True):
                for parameter, value in zip(net.parameters(), values, strict=True):
                    parameter.copy_(value)
            if any(net.batch_norms for net in self.networks):
                self._load_statistics(pieces)

    def _load_statistics(self, pieces: Sequence[Sequence[Tensor]]) -> None:
        like = self.networks[GENERATOR].parameters()[0]
        sample = self.evaluation_sample.like(like)
        fake, _ = self.networks[GENERATOR].judged([p.to(like) for p in pieces[GENERATOR]], sample.latents, sample.key)
        self.networks[GENERATOR].statistics(pieces[GENERATOR], [sample.latents])
        for net, own in zip(self.networks[1:], pieces[1:], strict=True):
            net.statistics(own, [sample.x, fake])

    def sample(self, z: Tensor, n: int, seed: int = 0) -> Tensor:
        """`n` samples `(n, d)` of the generator with the parameters in z."""
        with torch.no_grad():
            latents = self._latents(count("n", n), stream(seed, SAMPLES)).to(z)
            return self.networks[GENERATOR](self.split(z)[GENERATOR], latents, seed)

    def split(self, z: Tensor) -> list[list[Tensor]]:
        """The parameters of every network as views of z `(d,)`."""
        if z.shape != (self.dim,):
            raise ValueError(f"'{self.name}' has d = {self.dim} parameters, got a vector of shape {tuple(z.shape)}")
        # one node in the graph, whatever their number
        pieces = z.split([n for net in self.networks for n in net.sizes])
        shaped, start = [], 0
        for net in self.networks:
            shaped.append(net.shaped(pieces[start : start + len(net.sizes)]))
            start += len(net.sizes)
        return shaped

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
