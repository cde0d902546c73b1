"""v of a GAN on one sample: each player's gradient in its own parameters, from passes that are shared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gamedyn.games.callable import TorchField
from gamedyn.games.field import Element
from gamedyn.neural.sample import Sample
from gamedyn.neural.scene import Scene, combined

if TYPE_CHECKING:
    from gamedyn.neural.gan import GAN

__all__ = ["GANField"]

GENERATOR = 0
Parameters = Sequence[Sequence[Tensor]]  # one list of tensors per player


class GANField(TorchField):
    """v of a GAN on one sample; each player's gradient in its own parameters, and no other.

    Parameters
    ----------
    gan : GAN
    sample : Sample

    Attributes
    ----------
    first_costs : list
        Per player the cost met first by this field, a scalar tensor, or None before.
    """

    def __init__(self, gan: GAN, sample: Sample) -> None:
        super().__init__(gan.players, self.all_costs, project=gan.project if gan.is_constrained else None)
        self.gan, self.sample = gan, sample
        self.first_costs: list[Tensor | None] = [None] * len(gan.players)

    @property
    def x(self) -> Tensor:
        """The data `(n, d)`."""
        return self.sample.x

    @property
    def latents(self) -> Tensor:
        """z `(n, latent)`."""
        return self.sample.latents

    def with_old(self, old: Tensor | None) -> GANField:
        """The field in which the discriminators are shown earlier samples `(m, d)` in place of the last m new ones."""
        return type(self)(self.gan, replace(self.sample, old=old))

    def __call__(self, z: Element) -> Tensor:
        return _joined(self._gradients(z, tuple(range(len(self.players)))))

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
                f"product with J; use spectral_normalized, remove it (torch.nn.utils.remove_weight_norm), or write "
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

    def _costs_of(self, who: tuple[int, ...], parameters: Parameters) -> list[Tensor]:
        """The costs of the players in `who`, from one forward pass of G and one of each D on its samples."""
        with self._precision(parameters[GENERATOR][0]):
            scenes = self.scenes(parameters, who)
            costs = {i: self._discriminator_cost(scenes[i]) for i in who if i != GENERATOR}
            if GENERATOR in who:
                costs[GENERATOR] = combined(
                    [self.gan.loss.generator_cost(scene) for scene in scenes.values()], self.gan.combine
                )
        for i, cost in costs.items():
            if self.first_costs[i] is None:
                self.first_costs[i] = cost.detach()
        return [costs[i] for i in who]

    def scenes(self, parameters: Parameters, who: tuple[int, ...]) -> dict[int, Scene]:
        """What each discriminator that the costs of `who` need is shown, by the number of the player."""
        sample, gan = self.sample.like(parameters[GENERATOR][0]), self.gan
        fake, _ = gan.networks[GENERATOR].judged(parameters[GENERATOR], sample.latents, _key(sample, 0, 0))
        x = sample.x
        if gan.instance_noise is not None:
            assert sample.noise[0] is not None
            on_data, on_samples = sample.noise[0].split(x.shape[1], dim=1)
            x, fake = x + on_data, fake + on_samples
        needed = range(1, len(self.players)) if GENERATOR in who else who
        return {i: self._scene(i, parameters[i], sample, x, fake) for i in needed}

    def _scene(self, i: int, own: Sequence[Tensor], sample: Sample, x: Tensor, fake: Tensor) -> Scene:
        network, layers = self.gan.networks[i], self.gan.loss.layers

        def judge(points: Tensor, which: int) -> tuple[Tensor, dict[str, Tensor]]:
            logits, kept = network.judged(own, points, _key(sample, i, which), layers)
            return (logits.float() if logits.dtype in _HALF else logits), kept

        return Scene(judge, x, fake, self.gan.data, sample.old)

    def _discriminator_cost(self, scene: Scene) -> Tensor:
        gan = self.gan
        first = 0 if gan.instance_noise is None else 1
        noise = self.sample.like(scene.x).noise[first:] or (None,) * len(gan.penalties)
        # penalties first: they make the passes that can be differentiated in the points, and the loss takes those
        terms = [penalty.cost(scene, own) for penalty, own in zip(gan.penalties, noise, strict=True)]
        cost = gan.loss.discriminator_cost(scene)
        for term in terms:
            if term is not None:
                cost = cost + term
        return cost

    def all_costs(self, z: Tensor) -> list[Tensor]:
        """The costs of all players, scalars."""
        return self._costs_of(tuple(range(len(self.players))), self.gan.split(z))

    def _precision(self, p: Tensor) -> Any:
        if self.gan.autocast is None or p.dtype != torch.float32:
            return nullcontext()
        return torch.autocast(p.device.type, dtype=self.gan.autocast)


_HALF = (torch.float16, torch.bfloat16)


def _key(sample: Sample, player: int, which: int) -> int | None:
    return None if sample.key is None else sample.key + 4 * player + which


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Tensors of any shape as one fresh vector, in one copy."""
    return torch.cat([piece.reshape(-1) for piece in pieces])
