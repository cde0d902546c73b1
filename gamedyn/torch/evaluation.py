"""What a closure gives at one point: costs, gradients and contractions of higher derivatives, from one forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from gamedyn.torch.blocks import Term
from gamedyn.torch.lazy import Atom, Block, Sum, add, scale
from gamedyn.torch.parameters import ParameterBlocks
from gamedyn.torch.pool import empty_like
from gamedyn.torch.shared import SharedOutput, SharedOutputs

__all__ = ["Closure", "Evaluation", "Passes", "Request"]

Weights = tuple[int, ...]
Pieces = dict[int, list[Tensor | None]]  # player -> one tensor per parameter
Deferred = tuple[int, SharedOutput, Tensor]  # a player, what its gradient runs through, the gradient there


@dataclass
class Passes:
    """How often the networks were gone through.

    Attributes
    ----------
    forward : int
        Runs of the closure.
    backward : int
        Backward passes through the graph of one cost, or of one combination of costs, with the gradient of one or
        more players.
    products : int
        Backward passes through the graph of such a pass: one Hessian product of any number of players each.
    """

    forward: int = 0
    backward: int = 0
    products: int = 0


class Closure:
    """A user's closure with its answers checked.

    Parameters
    ----------
    fn : callable
        fn() or fn(player=None), returns one scalar per player; with player=i perhaps player i's scalar alone.
    parameters : ParameterBlocks
    passes : Passes
        Counts the runs.
    """

    def __init__(self, fn: Callable[..., Any], parameters: ParameterBlocks, passes: Passes) -> None:
        self.fn, self.parameters, self.passes = fn, parameters, passes
        self.takes_player = _takes_player(fn)
        self.first_costs: list[Tensor | None] = [None] * len(parameters.players)
        self.shared = SharedOutputs(parameters)
        self._grads: Any = parameters.gradients()

    def __call__(self, players: Sequence[int]) -> list[Tensor | None]:
        """The costs of at least `players`, with their graph, at the point that the parameters hold."""
        n = len(self.first_costs)
        alone = players[0] if len(players) == 1 and n > 1 and self.takes_player else None
        self.passes.forward += 1
        self.shared.used = []
        with torch.enable_grad():
            answer = self.fn(player=alone) if alone is not None else self.fn()
        if self._grads is not None:
            if self._grads != self.parameters.gradients():
                raise RuntimeError(
                    "the closure has called backward() (a parameter's .grad changed). It must only compute and return "
                    "the costs; the optimizer takes the gradients that its method needs"
                )
            self._grads = None  # once per step
        costs = self._as_list(answer, alone)
        for i, cost in enumerate(costs):
            if cost is not None or i in players:
                cost = _checked(cost, i)
                if self.first_costs[i] is None:
                    self.first_costs[i] = cost.detach()
        return costs

    def _as_list(self, answer: Any, alone: int | None) -> list[Tensor | None]:
        n = len(self.first_costs)
        if isinstance(answer, Tensor) and answer.ndim == 0:
            if alone is None and n > 1:
                raise ValueError(
                    f"the closure returned one scalar for {n} players; return one cost per player, e.g. "
                    f"(cost_generator, cost_discriminator)"
                )
            return [answer if i == (alone or 0) else None for i in range(n)]
        if isinstance(answer, Tensor) or not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
            given = f"a tensor of shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else repr(answer)
            raise ValueError(f"the closure returned {given}; return a tuple of {n} scalars, one cost per player")
        costs = list(answer)
        if len(costs) != n:
            raise ValueError(f"the closure returned {len(costs)} costs for {n} players; return one cost per player")
        return costs


def _checked(cost: Any, i: int) -> Tensor:
    if not isinstance(cost, Tensor) or cost.ndim != 0:
        given = f"a tensor of shape {tuple(cost.shape)}" if isinstance(cost, Tensor) else f"{cost!r}"
        raise ValueError(
            f"the cost of player {i} is {given}; it must be a scalar tensor of shape (), e.g. the mean over the batch"
        )
    return cost


_TAKES_PLAYER: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # code of a function -> the answer


def _takes_player(fn: Callable[..., Any]) -> bool:
    code = getattr(fn, "__code__", None)
    if code is None:
        return _signature_takes_player(fn)
    if code not in _TAKES_PLAYER:
        _TAKES_PLAYER[code] = _signature_takes_player(fn)
    return _TAKES_PLAYER[code]


def _signature_takes_player(fn: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "player" or p.kind is p.VAR_KEYWORD for p in parameters)


@dataclass(frozen=True)
class Request:
    """What a method asks of one point.

    Attributes
    ----------
    weights : tuple of int
        A combination Σ wᵢcᵢ of the costs.
    blocks : frozenset of int
        The players whose gradient of it is needed.
    twice : bool
        Whether that gradient is differentiated again.
    """

    weights: Weights
    blocks: frozenset[int]
    twice: bool


class Evaluation:
    """The costs at one point and what is differentiated there.

    A graph keeps the Parameter objects, not their values, so the parameters are pointed at this point again before
    every pass through its graph.

    Parameters
    ----------
    parameters : ParameterBlocks
    closure : Closure
    blocks : sequence of Tensor
        The point, one vector per player.
    requests : sequence of Request
        All that will be asked, so that one backward pass serves several questions.
    uses : int or None
        How many contractions will be asked for; None if unknown.  The last one frees the graph.
    """

    def __init__(
        self,
        parameters: ParameterBlocks,
        closure: Closure,
        blocks: Sequence[Tensor],
        requests: Sequence[Request],
        uses: int | None,
    ) -> None:
        self.parameters, self.passes, self.blocks, self.uses = parameters, closure.passes, list(blocks), uses
        parameters.point_to(self.blocks)
        self.costs = closure(sorted({i for r in requests for i, w in enumerate(r.weights) if w}))
        self.opposite = _are_opposite(self.costs)
        self._shared = list(closure.shared.used)
        self._held: list[Any] = []  # the graphs of second derivatives keep views of what these are
        self._gradients: dict[Weights, Pieces] = {}
        self._deferred: dict[Weights, list[Deferred]] = {}
        self._wanted: dict[Weights, tuple[set[int], bool]] = {}
        for r in requests:
            _, weights = self._canonical(r.weights)
            found, twice = self._wanted.get(weights, (set(), False))
            self._wanted[weights] = (found | r.blocks, twice or r.twice)

    def contract(
        self, terms: Sequence[Term], along: Sequence[list[Tensor | None]], demand: frozenset[int]
    ) -> list[Block]:
        """eq. (1) of `gamedyn.torch.blocks` at this point, for the players of `demand`; None for zero.

        Parameters
        ----------
        terms : sequence of Term
        along : sequence of list
            The arguments after z, one vector per player, or None for zero.
        demand : frozenset of int
        """
        self.uses = None if self.uses is None else self.uses - 1
        self._held.append(along)
        if all(not args for _, args in terms):
            ((weights, _),) = terms
            factor, pieces = self._gradient(weights)
            deferred = self._deferred[self._canonical(weights)[1]]
        else:
            factor, (pieces, deferred) = 1, self._product(terms, along, demand)
        values: list[Block] = [None] * len(self.blocks)
        for i in demand:
            if any(g is not None for g in pieces[i]):
                values[i] = Sum.of(self._flat(i, pieces[i]))
            for player, output, g in deferred:
                if player == i:
                    values[i] = add(values[i], Sum([(1.0, Atom(None, "shared", output, ([(1.0, g)], i)))]))
            values[i] = scale(float(factor), values[i])
        return values

    def _canonical(self, weights: Weights) -> tuple[int, Weights]:
        """A combination of costs as a number times another one: in a zero-sum game all are multiples of c₁."""
        return (weights[0] - weights[1], (1, 0)) if self.opposite else (1, weights)

    def _gradient(self, weights: Weights) -> tuple[int, Pieces]:
        """∇(Σ wᵢcᵢ) per player, one tensor per parameter; taken once for all requests."""
        factor, weights = self._canonical(weights)
        if weights not in self._gradients:
            blocks, twice = self._wanted[weights]
            order = sorted(blocks)
            cost = self._combined(weights)
            last = self.uses == 0 and len(self._gradients) + 1 == len(self._wanted)
            pieces, deferred = self._differentiate([cost], [None], order, twice, keep=twice or not last)
            self.passes.backward += 1
            self._gradients[weights], self._deferred[weights] = pieces, deferred
            for i in order:
                alone = all(bool(w) == (k == i) for k, w in enumerate(weights)) or self.opposite
                if alone and all(g is None for g in pieces[i]) and i not in (d[0] for d in deferred):
                    raise ValueError(_independent(i))
        return factor, self._gradients[weights]

    def _combined(self, weights: Weights) -> Tensor:
        with torch.enable_grad():
            parts = [w * c for w, c in zip(weights, self.costs, strict=True) if w and c is not None]
            return parts[0] if len(parts) == 1 else torch.stack(parts).sum()

    def _product(
        self, terms: Sequence[Term], along: Sequence[list[Tensor | None]], demand: frozenset[int]
    ) -> tuple[Pieces, list[Deferred]]:
        outputs: list[Tensor] = []
        seeds: list[Tensor] = []
        for weights, args in terms:
            if any(all(u is None for u in along[a - 1]) for a in args):
                continue
            found, along_found = self._chain(weights, args, along)
            outputs += found
            seeds += along_found
        order = sorted(demand)
        if not outputs:
            return {i: [None] for i in order}, []
        self.passes.products += 1
        return self._differentiate(outputs, seeds, order, twice=False, keep=self.uses != 0)

    def _chain(
        self, weights: Weights, args: Sequence[int], along: Sequence[list[Tensor | None]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """All but the last derivative of one term: tensors, and what they are multiplied with before the last one."""
        factor, pieces = self._gradient(weights)
        outputs, seeds = self._pair(pieces, along[args[0] - 1], factor)
        for a in args[1:]:
            if not outputs:
                break
            order = [i for i, u in enumerate(along[a - 1]) if u is not None]
            self.passes.products += 1
            found, _ = self._differentiate(outputs, seeds, order, twice=True, keep=True)
            outputs, seeds = self._pair(found, along[a - 1], 1)
        return outputs, seeds

    def _pair(self, pieces: Pieces, u: list[Tensor | None], factor: float) -> tuple[list[Tensor], list[Tensor]]:
        outputs: list[Tensor] = []
        seeds: list[Tensor] = []
        for i, block in enumerate(u):
            if block is None:
                continue
            views = self.parameters.views(i, block if factor == 1 else factor * block)
            for g, seed in zip(pieces[i], views, strict=True):
                if g is not None and g.requires_grad:
                    outputs.append(g)
                    seeds.append(seed)
        return outputs, seeds

    def _differentiate(
        self, outputs: list[Tensor], seeds: list[Any], order: Sequence[int], twice: bool, keep: bool
    ) -> tuple[Pieces, list[Deferred]]:
        """One backward pass, cut by player, and what still has to go through the graphs of shared outputs."""
        own = self.parameters.parameters
        pieces: Pieces = {i: [None] * len(own[i]) for i in order}
        if not any(o.requires_grad for o in outputs):
            return pieces, []
        self.parameters.point_to(self.blocks)
        shared = [s for s in self._shared if s.players & set(order)]
        at: dict[SharedOutput, Tensor] = {}
        deferred: list[Deferred] = []

        def backward(tensors: Any, seeds: Any, inner: Sequence[SharedOutput], keep: bool) -> None:
            inputs = [p for i in order for p in own[i]] + [s.leaf for s in inner]
            found = iter(torch.autograd.grad(tensors, inputs, seeds, keep or bool(shared), twice, allow_unused=True))
            for i in order:
                pieces[i] = [_sum(g, next(found)) for g in pieces[i]]
            for s in inner:
                total = _sum(at.get(s), next(found))
                if total is not None:
                    at[s] = total

        with torch.set_grad_enabled(twice):  # sums belong to the graph, too
            backward(outputs, seeds, shared, keep)
            for s in reversed(shared):
                if s not in at:
                    continue
                if not twice and not s.inner and len(s.players) == 1:
                    deferred.append((next(iter(s.players)), s, at[s]))
                else:
                    backward([s.output], [at[s]], [t for t in s.inner if t in shared], True)
        return pieces, deferred

    def _flat(self, i: int, pieces: Sequence[Tensor | None]) -> Tensor:
        """Gradients of one player as one fresh vector."""
        parameters = self.parameters.parameters[i]
        flat = [
            p.detach().new_zeros(p.numel()) if g is None else g.detach().reshape(-1)
            for g, p in zip(pieces, parameters, strict=True)
        ]
        return torch.cat(flat, out=empty_like(self.blocks[i]))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _are_opposite(costs: Sequence[Tensor | None]) -> bool:
    """Whether the second of two costs was written as minus the first."""
    if len(costs) != 2 or costs[0] is None or costs[1] is None:
        return False
    first, second = costs[0], costs[1]

    def negates(a: Tensor, b: Tensor) -> bool:
        # a node may have several outputs, such as the scalars of one vector
        return (
            a.grad_fn is not None
            and b.grad_fn is not None
            and a.grad_fn.name() == "NegBackward0"
            and a.grad_fn.next_functions[0] == (b.grad_fn, b.output_nr)
        )

    return negates(second, first) or negates(first, second)


def _independent(i: int) -> str:
    return (
        f"the cost of player {i} does not depend on any of its parameters; is something detached, under no_grad, or "
        f"are the closure's costs in another order than the groups?"
    )
