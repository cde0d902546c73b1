"""Adam and the gradient step on torch vectors, without copies of the parameters.

    m ← m + (1 - beta1)(v - m),   s ← beta2 s + (1 - beta2) v²
    v ↦ (m / (1 - beta1ᵗ)) / (√(s / (1 - beta2ᵗ)) + eps)                                    (1)

The same directions as `gamedyn.Adam`, which must suit every world, with one count of evaluations per player instead
of one per coordinate.  `gamedyn.neural.train` puts this one in its place.  It writes m, s and t in place, so the
memory that a step is given belongs to that step: keep a copy, not the tensor.  On a million parameters a fresh
vector costs as much as a layer, so the field value becomes the direction, and the direction the next point, where
they stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from gamedyn.games.field import Element, Field, Player
from gamedyn.neural.gan import GANField
from gamedyn.rules.basic import Simultaneous
from gamedyn.rules.method import Method, as_method
from gamedyn.rules.preconditioners import Adam, PreconditionedField, PreconditionedPart, frozen
from gamedyn.rules.rule import Memory
from gamedyn.rules.wrappers import alternating

__all__ = ["TorchAdam", "TorchAlternating", "TorchSimultaneous", "for_torch"]

FUSED = 1 << 16  # coordinates of a player from which one pass over memory is worth the call


def for_torch(method: Any) -> Method:
    """A method with `Adam`, with the rules and the Adam of this module in the places of theirs; others as they are."""
    method = as_method(method)
    if type(method.preconditioner) is not Adam:
        return method
    adam = TorchAdam(**{f.name: getattr(method.preconditioner, f.name) for f in fields(Adam)})
    return Method(_in_place(method.rule), adam, *method.transforms)


def _in_place(rule: Any) -> Any:
    """The rule with `TorchSimultaneous` for `Simultaneous`, also inside wrappers, and `TorchAlternating` around it."""
    if type(rule) is Simultaneous:
        return TorchSimultaneous(rule.lr)
    if type(rule) is alternating:
        return TorchAlternating(_in_place(rule.rule), rule.order, rule.steps)
    if is_dataclass(rule) and not isinstance(rule, type) and any(f.name == "rule" for f in fields(rule)):
        return replace(rule, rule=_in_place(getattr(rule, "rule")))  # noqa: B009
    return rule


@dataclass(frozen=True)
class TorchSimultaneous(Simultaneous):
    """`gamedyn.Simultaneous` that writes the next point over a direction of Adam, which nobody else holds."""

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One update."""
        v = F(z)
        source = F.parent if isinstance(F, PreconditionedPart) else F
        own = isinstance(source, TorchAdamField) and not (v.requires_grad or z.requires_grad)
        return F.point(torch.sub(z, v, alpha=float(self.lr), out=v if own else None)), memory


@dataclass(frozen=True)
class TorchAlternating(alternating):
    """`gamedyn.alternating` that makes the moves of a step with Adam in one copy of the point, player by player."""

    def step(self, F: Field, z: Element, memory: Memory) -> tuple[Element, Memory]:
        """One round."""
        if type(self.rule) is not TorchSimultaneous or not isinstance(F, TorchAdamField) or not F.moves_slices(z):
            return super().step(F, z, memory)
        z = z.clone()
        for i in self._moves(F):
            F.move_in(z, i, float(self.rule.lr))
            z = F.point(z)
        return z, memory


@dataclass(frozen=True)
class TorchAdam(Adam):
    """`gamedyn.Adam` for torch vectors, with its memory written in place; parameters and source there."""

    def init(self, F: Field, z: Element) -> Memory:
        """m and s `(d,)`, zero, and the count of evaluations of each player's part `(n_players,)`."""
        n = len(F.players)
        # counts stay on the CPU: reading them must not wait for a GPU
        return (torch.zeros_like(z), torch.zeros_like(z), torch.zeros(n, dtype=torch.float64))

    def field(self, F: Field, state: Memory) -> PreconditionedField:
        """The preconditioned field, holding its state."""
        return TorchAdamField(F, self, state)

    def frozen(self, state: Memory, players: Sequence[Player] = ()) -> frozen:
        """The diagonal 1/(√ŝ + eps) of a state, as a transform.

        Parameters
        ----------
        state : tuple of Tensor
            m, s `(d,)`, and t per coordinate or per player.
        players : sequence of Player
            Whose counts t holds; not needed where t is `(d,)`.

        Raises
        ------
        ValueError
            If a player has not been evaluated yet, or t fits neither coordinates nor players.
        """
        return super().frozen(spread_counts(state, players))

    def turn(self, v: Tensor, m: Tensor, s: Tensor, t: float) -> None:
        """The direction for moments after t evaluations, written into v."""
        first, second = self._corrections(t)
        torch.sqrt(s, out=v).mul_(first / second).add_(self.eps * first)
        torch.div(m, v, out=v)

    def move(self, F: Field, state: Memory, v: Element, movers: Sequence[int]) -> tuple[Element, Memory]:
        """The direction and the next state of some players, in fresh tensors and differentiable."""
        m, s, t = state
        t, columns = t.clone(), []
        for i, p in enumerate(F.players):
            own = v[p.slice], m[p.slice], s[p.slice]
            if i in movers:
                t[i] += 1
                columns.append(self._moved(*own, float(t[i])))
            else:
                columns.append((torch.zeros_like(own[0]), *own[1:]))
        direction, m, s = (torch.cat(row) for row in zip(*columns, strict=True))
        return direction, (m, s, t)

    def _moved(self, v: Tensor, m: Tensor, s: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
        """One player's direction and next moments; t counts this evaluation."""
        m = torch.lerp(m, v, 1 - self.beta1)
        s = torch.addcmul(self.beta2 * s, v, v, value=1 - self.beta2)
        first, second = self._corrections(t)
        # at s = 0 the slope of √ is infinite, that of the direction is not: a dead unit stands there, and 0 · ∞ is no
        # number.  From below the smallest normal number no slope comes back, and none is needed where m is as small
        root = s.clamp_min(torch.finfo(s.dtype).tiny).sqrt()
        return m / (root * (first / second) + self.eps * first), m, s

    def _corrections(self, t: float) -> tuple[float, float]:
        if not self.bias_correction:
            return 1.0, 1.0
        return 1 - self.beta1**t, math.sqrt(1 - self.beta2**t)


def spread_counts(state: Memory, players: Sequence[Player]) -> Memory:
    """The state with the counts per player written out per coordinate, as in the state of `gamedyn.Adam`.

    Raises
    ------
    ValueError
        If there are as many counts neither as coordinates nor as players.
    """
    m, s, t = state
    if len(t) == len(s):
        return state
    if len(t) != len(players):
        raise ValueError(
            f"the state has {len(t)} counts for {len(s)} coordinates and {len(players)} players; give the players of "
            f"the game, frozen(state, gan.players)"
        )
    return (m, s, torch.cat([s.new_full((p.size,), float(count)) for p, count in zip(players, t, strict=True)]))


class TorchAdamField(PreconditionedField):
    """A field with Adam's memory, advanced slice by slice and in place; every value is a fresh vector."""

    preconditioner: TorchAdam

    def __call__(self, z: Element) -> Tensor:
        return self._advance(self.present(z), range(len(self.players)))

    def part(self, i: int, z: Element) -> Tensor:
        return self._advance(self.present.part(i, z), (i,))

    def _advance(self, v: Tensor, movers: Sequence[int]) -> Tensor:
        """The direction of the players in `movers`, v = 0 for the others; the state moves on for the movers alone."""
        if not isinstance(self.base, GANField):
            v = v.clone()  # a transform may hold on to what it returns; the networks' gradients are fresh
        for i in movers:
            self._turn(i, v[self.players[i].slice])
        return v

    def moves_slices(self, z: Tensor) -> bool:
        """Whether a player's part of v comes as a slice, which needs no pass over the others' zeros."""
        return isinstance(self.present, GANField) and self.present.gan.compiled is None and not z.requires_grad

    def move_in(self, z: Tensor, i: int, lr: float) -> None:
        """The step of player i, written into z."""
        field = self.present
        assert isinstance(field, GANField)
        v = field.slope(i, z)
        own = z.data[self.players[i].slice]  # a pass through the resting players may be kept: their slices stay
        if self._is_large(v):
            self._in_one_pass(i, own, v, lr)
        else:
            self._turn(i, v)
            own.sub_(v, alpha=lr)

    def _is_large(self, v: Tensor) -> bool:
        return self.preconditioner.bias_correction and v.device.type == "cpu" and len(v) >= FUSED

    def _turn(self, i: int, v: Tensor) -> None:
        """Player i's own part v as its direction, in place; its state moves on."""
        if self._is_large(v):
            g = v.clone()
            self._in_one_pass(i, v.zero_(), g, -1.0)  # the step -1 from the point 0 leads to the direction
            return
        adam, (m, s, t), own = self.preconditioner, self.state, self.players[i].slice
        t[i] += 1
        m_i = m[own].lerp_(v, 1 - adam.beta1)
        s_i = s[own].mul_(adam.beta2).addcmul_(v, v, value=1 - adam.beta2)
        adam.turn(v, m_i, s_i, float(t[i]))

    def _in_one_pass(self, i: int, z: Tensor, v: Tensor, lr: float) -> None:
        """torch's own step from player i's z, in place; its state moves on."""
        adam, (m, s, t), own = self.preconditioner, self.state, self.players[i].slice
        fused_adam(
            [z],
            [v],
            [m[own]],
            [s[own]],
            [],
            [torch.tensor(float(t[i]))],
            lr=lr,
            beta1=float(adam.beta1),
            beta2=float(adam.beta2),
            eps=float(adam.eps),
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            foreach=False,
            fused=True,
        )
        t[i] += 1
