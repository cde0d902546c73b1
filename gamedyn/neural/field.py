"""v of a GAN on one sample: each player's gradient in its own parameters, from passes that are shared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gamedyn.games.callable import TorchField
from gamedyn.games.field import Element
from gamedyn.neural.sample import OnSample, Sample
from gamedyn.neural.scene import Scene, combined

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN

__all__ = ["GANField"]

GENERATOR = 0
LOSS_SCALE = 2.0**10  # of float16, whose smallest number is 6e-8: gradients of a cost of 1e-5 are less
Parameters = Sequence[Sequence[Tensor]]  # one list of tensors per player


class GANField(OnSample, TorchField):
    """v of a GAN on one sample; each player's gradient in its own parameters, and no other.

    Parameters
    ----------
    gan : GAN
    sample : Sample

    Attributes
    ----------
    first_costs : list
        Per player the cost met first by this field, a scalar tensor, or None before.
    keeps_samples : bool
        Whether G runs once where the discriminators move before it: its pass is kept until then.
    """

    keeps_samples = False
    has_norms = False  # networks look after theirs

    def __init__(self, gan: GAN, sample: Sample) -> None:
        super().__init__(gan.players, self.all_costs, project=gan.project if gan.is_constrained else None)
        self.gan, self.sample = gan, sample
        self._cast = (sample, sample)  # a sample, and the same in the type that was asked for last
        self.first_costs: list[Tensor | None] = [None] * len(gan.players)
        self._kept: _Samples | None = None
        self._shown: Tensor | None = None  # G(z) for the next costs

    def with_old(self, old: Tensor | None) -> GANField:
        """The field in which the discriminators are shown earlier samples `(m, d)` in place of the last m new ones."""
        return type(self)(self.gan, replace(self.sample, old=old))

    def __call__(self, z: Element) -> Tensor:
        return self._moved(z, tuple(range(len(self.players))))

    def check_second_order(self) -> None:
        """Refuse weight norm, and norms in scripted modules.

        Raises
        ------
        ValueError
            torch's second derivative of its fused weight normalisation is wrong (`torch.autograd.gradgradcheck` fails),
            and so is the third one of its other norms, which penalties on slopes and unrolling need; these are replaced
            wherever Python calls them.
        """
        if found := [f"{net.role}.{name}" for net in self.gan.networks for name in net.weight_norms]:
            raise ValueError(
                f"weight_norm at {', '.join(found)}: torch's second derivative of it is wrong, and so would be every "
                f"product with J; use spectral_normalized, remove it (torch.nn.utils.remove_weight_norm), or write "
                f"v * g / v.norm() yourself"
            )
        if native := [f"the {net.role}'s {kernel}" for net in self.gan.networks for kernel in sorted(net.native_norms)]:
            raise ValueError(
                f"{', '.join(native)}: torch's third derivative of these norms is wrong, and they are called from "
                f"where they cannot be replaced; call torch.nn.functional, give modules as they are before torch.jit"
            )

    def part(self, i: int, z: Element) -> Tensor:
        return self._moved(z, (i,))

    def slope(self, i: int, z: Tensor) -> Tensor:
        """Player i's own part of v, `(size,)`, evaluated eagerly."""
        return _joined(self._gradients(z, (i,)))

    def _moved(self, z: Tensor, who: tuple[int, ...]) -> Tensor:
        graphs = self.gan.compiled
        if graphs is None or (torch.is_grad_enabled() and z.requires_grad):  # graphs have no second derivatives
            return self.eager(who, z)
        v = graphs(self, z, who)
        return self.eager(who, z) if v is None else v

    def eager(self, who: tuple[int, ...], z: Tensor) -> Tensor:
        """v of all players, or of one with 0 elsewhere `(d,)`, operation by operation: what `compile` records."""
        if len(who) == len(self.players):
            return _joined(self._gradients(z, who))
        (p,) = (self.players[i] for i in who)
        gradients = self._gradients(z, who)
        if any(g.requires_grad for g in gradients):
            return _joined([z.new_zeros(p.start), *gradients, z.new_zeros(len(z) - p.stop)])
        v = torch.empty_like(z)  # the others' zeros are written once
        v[: p.start].zero_()
        v[p.stop :].zero_()
        torch.cat([g.reshape(-1) for g in gradients], out=v[p.slice])
        return v

    def grad(self, i: int, z: Element) -> Tensor:
        create = torch.is_grad_enabled() and z.requires_grad
        with torch.enable_grad():
            w = z if z.requires_grad else z.detach().requires_grad_()
            (cost,) = self._costs_of((i,), self.gan.split(w))
            (g,) = self._slopes_of(cost, [w], create_graph=create)
        return g

    def _slopes_of(
        self, cost: Tensor, of: Sequence[Tensor], *, create_graph: bool, retain_graph: bool | None = None
    ) -> Sequence[Tensor]:
        """The gradients of a cost.

        Raises
        ------
        ValueError
            If it has none.
        """
        if not cost.requires_grad:
            raise ValueError(
                f"a cost of '{self.gan.name}' does not depend on the parameters of the player who pays it; the loss "
                f"{self.gan.loss.name!r} must compute it from logits by torch operations, without detach() or float()"
            )
        scaled = self.gan.autocast == torch.float16
        found = torch.autograd.grad(
            LOSS_SCALE * cost if scaled else cost,
            of,
            create_graph=create_graph,
            retain_graph=retain_graph,
            materialize_grads=True,
        )
        return [g / LOSS_SCALE for g in found] if scaled else found

    def _gradients(self, z: Tensor, who: tuple[int, ...]) -> list[Tensor]:
        """∇ᵢcᵢ of each player in `who`, one tensor for each of its own parameters."""
        create = torch.is_grad_enabled() and z.requires_grad
        parameters = self.gan.split(z if create else z.detach())
        if not create:
            for i in who:  # leaves of the moving players only: no gradient is formed for those who stand still
                parameters[i][:] = [p.requires_grad_() for p in parameters[i]]
            if self.keeps_samples:
                self._keep_samples(parameters, moving=GENERATOR in who)
        with torch.enable_grad():
            costs = self._costs_of(who, parameters)
            gradients: list[Tensor] = []
            for i, cost in zip(who, costs, strict=True):
                keep = create or i != who[-1]
                gradients.extend(self._slopes_of(cost, parameters[i], create_graph=create, retain_graph=keep))
        return gradients

    def _keep_samples(self, parameters: list[list[Tensor]], *, moving: bool) -> None:
        """Run G for the discriminators' moves so that its own move, from where it stood, can be made through that."""
        kept = self._kept
        if kept is not None and not kept.stands_at(parameters[GENERATOR]):
            kept = None
        if kept is None and not moving:
            leaves = [p.requires_grad_() for p in parameters[GENERATOR]]
            with torch.enable_grad(), self._precision(leaves[0]):
                kept = _Samples(leaves, leaves[0]._version, self._generated([leaves], self._sample_like(leaves[0])))
        if kept is not None and moving:
            parameters[GENERATOR][:] = kept.leaves
        self._kept = None if moving else kept  # the backward pass frees it
        self._shown = None if kept is None else kept.fake if moving else kept.fake.detach()

    def _costs_of(self, who: tuple[int, ...], parameters: Parameters) -> list[Tensor]:
        """The costs of the players in `who`, from one forward pass of G and one of each D on its samples."""
        with self._precision(parameters[GENERATOR][0]):
            scenes = self.scenes(parameters, who)
            costs = {
                i: self._discriminator_cost(scenes[i], tracked=parameters[i][0].requires_grad)
                for i in who
                if i != GENERATOR
            }
            if GENERATOR in who:
                loss, whose = self.gan.loss, f"the generator's cost in the loss {self.gan.loss.name!r}"
                against = [_scalar(loss.generator_cost(scene), whose) for scene in scenes.values()]
                costs[GENERATOR] = combined(against, self.gan.combine)
        for i, cost in costs.items():
            if self.first_costs[i] is None:
                self.first_costs[i] = cost.detach()
        return [costs[i] for i in who]

    def scenes(self, parameters: Parameters, who: tuple[int, ...]) -> dict[int, Scene]:
        """What each discriminator that the costs of `who` need is shown, by the number of the player."""
        sample, gan = self._sample_like(parameters[GENERATOR][0]), self.gan
        fake = self._generated(parameters, sample)
        x = sample.x
        if gan.instance_noise is not None:
            assert sample.noise[0] is not None
            on_data, on_samples = sample.noise[0].split(x.shape[1], dim=1)
            x, fake = x + on_data, fake + on_samples
        needed = range(1, len(self.players)) if GENERATOR in who else who
        return {i: self._scene(i, parameters[i], sample, x, fake) for i in needed}

    def _sample_like(self, p: Tensor) -> Sample:
        """The sample in the type and on the device of p, cast once."""
        source, cast = self._cast
        if source is not self.sample or cast.x.dtype != p.dtype or cast.x.device != p.device:
            cast = self.sample.like(p)
            self._cast = (self.sample, cast)
        return cast

    def _generated(self, parameters: Parameters, sample: Sample) -> Tensor:
        """G(z) `(n, d)`."""
        shown, self._shown = self._shown, None
        if shown is not None:
            return shown
        return self.gan.networks[GENERATOR].judged(parameters[GENERATOR], sample.latents, _key(sample, 0, 0))[0]

    def holding(self, i: int, z: Element) -> GANField:
        replayed = self.gan.compiled is not None and not (torch.is_grad_enabled() and z.requires_grad)
        return self if i != GENERATOR or replayed else _RestingGenerator(self, z)

    def _scene(self, i: int, own: Sequence[Tensor], sample: Sample, x: Tensor, fake: Tensor) -> Scene:
        network, layers = self.gan.networks[i], self.gan.loss.layers

        def judge(points: Tensor, which: int) -> tuple[Tensor, dict[str, Tensor]]:
            logits, kept = network.judged(own, points, _key(sample, i, which), layers)
            return (logits.float() if logits.dtype in _HALF else logits), kept

        return Scene(judge, x, fake, self.gan.data, sample.old)

    def _discriminator_cost(self, scene: Scene, *, tracked: bool) -> Tensor:
        gan = self.gan
        first = 0 if gan.instance_noise is None else 1
        noise = self._sample_like(scene.x).noise[first:] or (None,) * len(gan.penalties)
        # penalties first: they make the passes that can be differentiated in the points, and the loss takes those
        terms = [penalty.cost(scene, own) for penalty, own in zip(gan.penalties, noise, strict=True)]
        cost = _scalar(gan.loss.discriminator_cost(scene), f"the discriminator's cost in the loss {gan.loss.name!r}")
        for penalty, term in zip(gan.penalties, terms, strict=True):
            if term is None:
                continue
            cost = cost + _scalar(term, f"the cost of the penalty {penalty!r}")
            if tracked and torch.is_grad_enabled() and not term.requires_grad:
                raise ValueError(
                    f"the cost of the penalty {penalty!r} does not depend on the parameters; compute it by torch "
                    f"operations, without detach() or float(), and return None where nothing is paid"
                )
        return cost

    def all_costs(self, z: Tensor) -> list[Tensor]:
        """The costs of all players, scalars."""
        return self._costs_of(tuple(range(len(self.players))), self.gan.split(z))

    def _precision(self, p: Tensor) -> Any:
        if self.gan.autocast is None or p.dtype != torch.float32:
            return nullcontext()
        return torch.autocast(p.device.type, dtype=self.gan.autocast)


class _RestingGenerator(GANField):
    """The field at points that all have the generator of z: it runs once, and so does the backward pass into it."""

    def __init__(self, field: GANField, z: Tensor) -> None:
        super().__init__(field.gan, field.sample)
        self.first_costs = field.first_costs
        with self._precision(z):
            self._fake = field._generated(field.gan.split(z), field.sample.like(z))

    def _generated(self, parameters: Parameters, sample: Sample) -> Tensor:
        # a name of its own: a slope of D at G(z) must not count that earlier answers were functions of G(z) too
        return self._fake.view_as(self._fake)


@dataclass(frozen=True, eq=False)
class _Samples:
    """G(z) as a function of leaves."""

    leaves: list[Tensor]
    version: int  # of the vector of which the leaves are parts
    fake: Tensor

    def stands_at(self, parameters: Sequence[Tensor]) -> bool:
        """Whether the generator of these parameters is this one."""
        same = self.leaves[0]._version == self.version and self.leaves[0].dtype == parameters[0].dtype
        pairs = zip(parameters, self.leaves, strict=True)
        return same and all(p.data_ptr() == own.data_ptr() or torch.equal(p, own) for p, own in pairs)


_HALF = (torch.float16, torch.bfloat16)


def _key(sample: Sample, player: int, which: int) -> int | None:
    return None if sample.key is None else sample.key + 4 * player + which


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Tensors of any shape as one fresh vector, in one copy."""
    return torch.cat([piece.reshape(-1) for piece in pieces])


def _scalar(cost: Tensor, whose: str) -> Tensor:
    if not isinstance(cost, Tensor) or cost.ndim:
        given = f"of shape {tuple(cost.shape)}" if isinstance(cost, Tensor) else f"{type(cost).__name__} {cost!r}"
        raise ValueError(f"{whose} is {given}; return a scalar tensor, as a mean over the rows: (...).mean()")
    return cost
