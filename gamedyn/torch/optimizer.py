"""`GameOptimizer`: any method of the package on the parameters of networks that one already has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gamedyn.games.coefficients import free_symbols
from gamedyn.maps.tape import Node
from gamedyn.rules.method import Method, as_method
from gamedyn.rules.named import named
from gamedyn.rules.rule import reporter
from gamedyn.torch.evaluation import Closure, Passes
from gamedyn.torch.lazy import Block, Sum
from gamedyn.torch.machine import Machine
from gamedyn.torch.parameters import ParameterBlocks
from gamedyn.torch.plan import Plan, base_lr, symbols
from gamedyn.torch.pool import Pool, pooled
from gamedyn.torch.shared import SharedOutputs
from gamedyn.torch.solvers import Solve

__all__ = ["GameOptimizer"]

Costs = tuple[Tensor | None, ...]
Groups = Sequence[Iterable[Tensor] | Mapping[str, Any]]


class GameOptimizer(torch.optim.Optimizer):
    """One step of a method on the parameters of existing networks.

        z+, m+ = T(z, m),   z the parameters of all players, T one step of the method              (1)

    A `torch.optim.Optimizer` with one parameter group per player.  The closure computes the costs and never calls
    backward: the method decides at which points it is run and what is differentiated there.  Questions at one point
    share one forward pass; graphs for second derivatives are built only where the method takes some.  `p.grad` is
    not used, and nothing of the user's is kept by reference.

    Parameters
    ----------
    params : sequence
        One iterable of Parameters per player, or a dict ``{"params": ..., "lr": ...}``.  Those that require no
        gradient are left alone.
    method : Rule, Method or str
        ``gd.Extragradient(1e-3)``, ``gd.Method(gd.Optimistic(1e-3), gd.Adam(0.5))``, or a name such as "ExtraAdam".
    lr : float, optional
        Step size η > 0: of a method given by name, by default 0.1; else it replaces the method's own as below.
    tolerance : float, optional
        Relative residual at which a linear system is taken as solved, by default 1e-6, in float64 1e-12.
    compile : bool
        Whether the arithmetic between evaluations runs under `torch.compile`.
    backend : str
        Of `torch.compile`.

    Attributes
    ----------
    passes : Passes
        Forward and backward passes of the last step.
    solves : list of Solve
        How the last step's equations were solved, with their residuals.
    players : tuple of Player
        The slice of each player in the flat state.

    Raises
    ------
    ValueError
        A parameter in two groups, a group without trainable parameters, a method with free symbols.
    TypeError
        Parameters of several types or devices, sparse ones, no method.

    Notes
    -----
    Where all groups have the same `lr`, every step size of the rule is multiplied by lr/η, η the method's own; where
    they differ, player i's field is multiplied by lrᵢ/η after the preconditioner, and what a rule remembers of the
    field keeps the factor of its step.  So `torch.optim.lr_scheduler` works, on all groups or on one.  Step sizes in
    transforms are left alone.  A method without `lr` takes lrᵢ as the factor.

    A rule is traced once, so that its formulas must not branch on values.  Layers with hidden state work: the running
    statistics of batch norm move at every run of the closure, and dropout draws anew at every run, so that an
    extragradient step sees two masks.  Seed inside the closure for the same.

    Examples
    --------
    >>> import torch, gamedyn as gd
    >>> x, y = (torch.nn.Parameter(torch.tensor(v)) for v in (1.0, 0.0))
    >>> opt = GameOptimizer([[x], [y]], gd.Extragradient(lr=0.5))
    >>> costs = opt.step(lambda: (x * y, -x * y))
    >>> x.item(), y.item(), opt.passes
    (0.75, 0.5, Passes(forward=2, backward=4, products=0))
    """

    def __init__(
        self,
        params: Groups,
        method: Any,
        *,
        lr: float | None = None,
        tolerance: float | None = None,
        compile: bool = False,
        backend: str = "inductor",
    ) -> None:
        if isinstance(method, str):
            method = named(method, **({} if lr is None else {"lr": lr}))
        self.method: Method = as_method(method)
        if unknown := sorted(free_symbols(self.method.parts)):
            raise ValueError(f"{self.method!r} has the symbols {unknown}; an optimizer needs numbers for them")
        groups = _as_groups(params)
        self.parameters = ParameterBlocks([g["params"] for g in groups])
        self.players = self.parameters.players
        self.tolerance, self.compile, self.backend = tolerance, compile, backend
        self.own_lr = base_lr(self.method) or 1.0
        self.steps_done = 0
        self.passes, self.solves = Passes(), list[Solve]()
        self._memory: list[list[Any]] | None = None
        self._plans: dict[str, Plan] = {}
        self._pool = Pool()
        self._shared: SharedOutputs | None = None
        self._complete = False
        super().__init__(groups, {"lr": self.own_lr if lr is None else lr})
        self._complete = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused after construction: the players of a game are given at once.

        Raises
        ------
        ValueError
        """
        if self._complete:
            raise ValueError("a player cannot join a running game; build a new GameOptimizer with all groups")
        super().add_param_group(param_group)

    @property
    def last_solve(self) -> Solve | None:
        """How the last equation of the last step was solved, with its residual; None where there was none."""
        return self.solves[-1] if self.solves else None

    @property
    def residuals(self) -> list[float]:
        """Relative residuals of the equations that the last step solved, in their order."""
        return [solve.residual for solve in self.solves]

    # the step ------------------------------------------------------------------------------------------

    def step(self, closure: Callable[..., Any]) -> Costs:  # type: ignore[override]
        """One step of the method.

        Parameters
        ----------
        closure : callable
            closure() or closure(player=None) returns the costs, one scalar per player, each to be minimised by its
            player.  Called with player=i it may return player i's alone.  It is run with gradients enabled, as often
            as the method needs, with the parameters at the points that the method visits.

        Returns
        -------
        tuple of Tensor
            The costs as each was first met in the step, without graph; None for a player whose cost was not needed.
            Numbers that are not finite are a result as any other.

        Raises
        ------
        ValueError
            A wrong number of costs, one that is no scalar, or one that does not depend on its player.
        RuntimeError
            If the closure called backward.
        """
        self._refresh()
        scales = [float(g["lr"]) / self.own_lr for g in self.param_groups]
        kind = "own" if all(s == 1.0 for s in scales) else "common" if len(set(scales)) == 1 else "apart"
        plan = self._plan(kind)
        self.passes, self.solves = Passes(), []
        run = Closure(closure, self.parameters, self.passes)
        self._shared = run.shared
        program = plan.later if self._memory is not None else plan.first
        machine = Machine(
            program,
            self.parameters,
            run,
            symbols=symbols(self.method, self.steps_done, scales),
            constants=plan.constants,
            tolerance=self.tolerance,
            backend=self.backend if self.compile else None,
            pool=self._pool,
        )
        inputs: dict[Node, list[Block]] = {plan.z: [Sum.of(b) for b in self.parameters.blocks]}
        for node, blocks in zip(plan.memory, self._memory or (), strict=False):
            inputs[node] = [Sum.of(b) if isinstance(b, Tensor) else b for b in blocks]
        try:
            z, *memory = machine.run(inputs)
            with torch.no_grad(), pooled(self._pool):
                kept = [[self._settled(b) for b in blocks] for blocks in memory]
                self._move(z)
        finally:
            self._shared = None
            self.parameters.restore()
        self._memory = kept
        self.solves = machine.solves
        self.steps_done += 1
        return tuple(run.first_costs)

    def once(self, module: Any, *args: Any) -> Any:
        """module(*args), for use in a closure: computed again only once its parameters have moved.

        A method such as `unrolled` evaluates the discriminator at several points while the generator stands still.
        ``fake = opt.once(G, noise)`` in the place of ``fake = G(noise)`` then runs the generator forward and backward
        once per step.  Outside of a step it is module(*args).  Hidden state of the module, such as the running
        statistics of batch norm, moves only when it is computed, and it must not draw random numbers that the closure
        wants anew.  Switch between train() and eval() outside of the closure.

        Parameters
        ----------
        module : nn.Module
            Must return one tensor.
        *args
            Tensors or plain values; the same objects in every run of the closure.
        """
        if self._shared is None or not torch.is_grad_enabled():
            return module(*args)
        return self._shared.once(module, *args)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Within it the parameters hold the point that the method reports, such as an average of its iterates.

        >>> import torch, gamedyn as gd
        >>> x, y = (torch.nn.Parameter(torch.tensor(v)) for v in (1.0, 0.0))
        >>> opt = GameOptimizer([[x], [y]], gd.averaged(gd.Alternating(lr=0.5)))
        >>> for _ in range(1000):
        ...     costs = opt.step(lambda: (x * y, -x * y))
        >>> with opt.reported():
        ...     abs(x.item()) + abs(y.item()) < 1e-2
        True
        """
        report = reporter(self.method.rule)
        if report is None or self._memory is None:
            yield
            return
        with torch.no_grad():
            own = self._memory[: self._plan("own").rule_memory]
            kept = [b.clone() for b in self.parameters.blocks]
            memory = tuple(torch.cat([_filled(b, like) for b, like in zip(m, kept, strict=True)]) for m in own)
            shown = report(torch.cat(kept), memory).split([len(b) for b in kept])
            self._put(shown)
        try:
            yield
        finally:
            with torch.no_grad():
                self._put(kept)

    def _put(self, blocks: Sequence[Tensor]) -> None:
        for target, block in zip(self.parameters.blocks, blocks, strict=True):
            target.copy_(block)
        self.parameters.mark_changed()

    def _settled(self, block: Any) -> Any:
        """A block of memory as a vector of its own, a float or None."""
        if not isinstance(block, Sum):
            return block
        vector = block.tensor()
        inside = any(vector is b for b in self.parameters.blocks)  # the buffer is about to move on
        return vector.clone() if inside else vector

    def _move(self, z: Sequence[Any]) -> None:
        for block in z:
            if isinstance(block, Sum):
                block.resolve()
        for target, block in zip(self.parameters.blocks, z, strict=True):
            if isinstance(block, Sum):
                block.write_over(target)
            else:
                target.fill_(block or 0.0)
        self.parameters.mark_changed()

    def _plan(self, kind: str) -> Plan:
        if kind not in self._plans:
            self._plans[kind] = Plan(self.method, self.players, steps=kind)
        return self._plans[kind]

    def _refresh(self) -> None:
        """Take over parameters that were moved or replaced since the last step."""
        frozen = [i for i, group in enumerate(self.parameters.parameters) if not all(p.requires_grad for p in group)]
        if frozen:
            raise ValueError(
                f"parameters of player {frozen[0]} no longer require a gradient; a closure needs no such switch, since "
                f"each player's gradient is taken in its own parameters alone. Leave requires_grad as it was"
            )
        if not self.parameters.is_current:
            self.parameters.gather()
            like, self._pool = self.parameters.buffer, Pool()
            if self._memory is not None:
                self._memory = [[b.to(like) if isinstance(b, Tensor) else b for b in m] for m in self._memory]

    # checkpoints ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state of the method besides the parameters, of tensors and plain types: fit for `torch.save`.

        Returns
        -------
        dict
            "param_groups" as in torch; "state" with the method, the step number, the sizes of the parameters and the
            memory, per vector and player a tensor `(size,)`, a float (the same in every slot) or None (zero).
        """
        saved = super().state_dict()
        saved["state"] = {
            "method": repr(self.method),
            "sizes": [list(sizes) for sizes in self.parameters.sizes],
            "steps": self.steps_done,
            "memory": _copied(self._memory, self.parameters.buffer),
        }
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, of an optimizer with the same method and sizes.

        Raises
        ------
        ValueError
            If it is of another method, of other sizes, or of another optimizer.
        """
        state = state_dict.get("state")
        if not isinstance(state, Mapping) or set(state) != {"method", "sizes", "steps", "memory"}:
            raise ValueError("this is no state of a GameOptimizer; give what its state_dict() returned")
        if state["method"] != repr(self.method):
            raise ValueError(f"the state is of the method {state['method']}, this optimizer has {self.method!r}")
        sizes = [list(s) for s in self.parameters.sizes]
        if state["sizes"] != sizes:
            raise ValueError(
                f"the state is of players with {_counts(state['sizes'])} parameters, these have {_counts(sizes)}"
            )
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        self._memory = _copied(state["memory"], self.parameters.buffer)
        self.steps_done = int(state["steps"])


def _filled(block: Any, like: Tensor) -> Tensor:
    """A block of memory as a vector: itself, or the float in every slot."""
    return block if isinstance(block, Tensor) else torch.full_like(like, block or 0.0)


def _copied(memory: Any, like: Tensor) -> list[list[Any]] | None:
    """Memory with tensors of its own, in the type of `like`."""
    if memory is None:
        return None
    return [[b.to(like, copy=True) if isinstance(b, Tensor) else b for b in blocks] for blocks in memory]


def _counts(sizes: Sequence[Sequence[int]]) -> str:
    return " and ".join(f"{sum(s):,} (in {len(s)})" for s in sizes)


def _as_groups(params: Groups) -> list[dict[str, Any]]:
    if isinstance(params, Tensor | Mapping):
        raise TypeError("give one group of parameters per player, [G.parameters(), D.parameters()]")
    groups = []
    for i, entry in enumerate(params):
        if isinstance(entry, Tensor):
            raise TypeError(
                f"entry {i} is a parameter; give one group of parameters per player, [G.parameters(), D.parameters()]"
            )
        group = dict(entry) if isinstance(entry, Mapping) else {"params": entry}
        if unknown := sorted(set(group) - {"params", "lr", "name"}):
            raise ValueError(f"group {i} has the settings {unknown}; give lr and name only, all else is the method's")
        group["params"] = list(group["params"])
        if odd := [p for p in group["params"] if not isinstance(p, Tensor) or not p.is_leaf]:
            raise TypeError(f"group {i} contains {type(odd[0]).__name__} objects that are no leaf tensors: {odd[0]!r}")
        groups.append(group)
    if not groups:
        raise ValueError("there are no players; give one group of parameters per player")
    return groups
