"""The neural world: a flat torch vector, and a field by autograd.

Every product is built so that it can be differentiated again when gradients are enabled: a transform
such as `unrolled` differentiates through the field, a spectrum differentiates through the transform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from gamedyn.games.affine import Quadratic
from gamedyn.games.constraints import Constraint
from gamedyn.games.exact import NO_SETS, ExactField
from gamedyn.games.field import Element, Field, NotInThisWorld, Player, Seed
from gamedyn.games.geometry import Geometry, combined, constraint_sets
from gamedyn.games.torch_solve import linear_solve

if TYPE_CHECKING:
    from torch import Tensor

DENSE_LIMIT = 64  # up to this dimension linear systems are solved densely
NEWTON_STEPS = 12
SCALAR_COSTS = 16  # up to this dimension a quadratic cost is printed term by term


class TorchField(Field):
    """v and its Jacobian products by automatic differentiation.

    Parameters
    ----------
    players : sequence of Player
    costs : callable, optional
        z -> one scalar per player.  With a batch `(d, batch)` it returns the sums over the batch.
    field : callable, optional
        z -> v(z), for a game without costs.
    geometry : Geometry, optional
        The constraint sets.
    project : callable, optional
        A projection of the caller's own instead.

    Attributes
    ----------
    residual : float or None
        The largest relative residual that a matrix-free linear system was left with; None where none was solved.
    """

    world = "neural"
    has_norms: bool | None = None  # among the operations of the costs; None where nobody has looked

    def __init__(
        self,
        players: Sequence[Player],
        costs: Callable[[Tensor], Sequence[Tensor]] | None = None,
        field: Callable[[Tensor], Tensor] | None = None,
        project: Callable[[Tensor], Tensor] | None = None,
        geometry: Geometry | None = None,
    ) -> None:
        self.players = tuple(players)
        self.costs = costs
        self._field = field
        self._project = project
        self.residual: float | None = None
        self.geometry = Geometry((), self.players[-1].stop) if geometry is None else geometry

    @property
    def is_constrained(self) -> bool:
        return bool(self.geometry.sets) or self._project is not None

    def mask(self, i: int, u: Element) -> Tensor:
        import torch

        p = self.players[i]
        shape = u.shape[1:]
        return torch.cat([u.new_zeros((p.start, *shape)), u[p.slice], u.new_zeros((u.shape[0] - p.stop, *shape))])

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Tensor:
        return u.new_tensor(weights) * u

    def __call__(self, z: Element) -> Tensor:
        import torch

        if self._field is not None:
            return self._field(z)
        create = torch.is_grad_enabled()
        with torch.enable_grad():
            w = _variable(z)
            costs = self._costs(w)
            parts = []
            for i, (p, cost) in enumerate(zip(self.players, costs, strict=True)):
                (g,) = torch.autograd.grad(
                    cost, w, create_graph=create, retain_graph=create or i + 1 < len(costs), materialize_grads=True
                )
                parts.append(g[p.slice])
            return torch.cat(parts)

    def part(self, i: int, z: Element) -> Tensor:
        return self.mask(i, self(z) if self._field is not None else self.grad(i, z))

    def grad(self, i: int, z: Element) -> Tensor:
        import torch

        if self.costs is None:
            raise self.missing("grad", "the game is given by its field alone, without costs")
        create = torch.is_grad_enabled()
        with torch.enable_grad():
            w = _variable(z)
            (g,) = torch.autograd.grad(self._costs(w)[i], w, create_graph=create, materialize_grads=True)
        return g

    def hvp(self, i: int, z: Element, u: Element) -> Tensor:
        return self.pullback(lambda w: self.grad(i, w), z, u)  # a Hessian is its own transpose

    def jvp(self, z: Element, u: Element) -> Tensor:
        return self.derivative(self, z, u)

    def vjp(self, z: Element, u: Element) -> Tensor:
        return self.pullback(self, z, u)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Tensor:
        import torch

        self.check_second_order()
        create = torch.is_grad_enabled()
        with torch.enable_grad(), self._differentiated():  # two reverse passes: the transpose is linear in its seed
            w = _variable(z)
            image = fn(w)
            seed = torch.zeros_like(image, requires_grad=True)
            if not image.requires_grad:
                return torch.zeros_like(u)
            (transposed,) = torch.autograd.grad(image, w, seed, create_graph=True, materialize_grads=True)
            if not transposed.requires_grad:
                return torch.zeros_like(u)
            (product,) = torch.autograd.grad(transposed, seed, u, create_graph=create, materialize_grads=True)
        return product

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Tensor:
        import torch

        self.check_second_order()
        create = torch.is_grad_enabled()
        with torch.enable_grad(), self._differentiated():
            w = _variable(z)
            image = fn(w)
            with torch.set_grad_enabled(create):  # a seed that is not differentiated again needs no graph
                seed = u(image if create else image.detach()) if callable(u) else u
            if not image.requires_grad:
                return torch.zeros_like(seed)
            (product,) = torch.autograd.grad(image, w, seed, create_graph=create, materialize_grads=True)
        return product

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Tensor:
        import torch

        def newton(w: Tensor) -> Tensor:
            """One Newton step; differentiable to first order at the solution."""
            track = torch.is_grad_enabled()
            with torch.enable_grad():
                residual = fn(w) - rhs
            residual = residual if track else residual.detach()
            with torch.no_grad():
                base = w.detach()
                apply = (lambda u: fn(u)) if linear else (lambda u: self.derivative(fn, base, u))
                step = linear_solve(apply, self._note_residual)
            return w - step(residual)

        with torch.no_grad():
            w = rhs.detach()
            for _ in range(1 if linear else NEWTON_STEPS):
                w = newton(w).detach()
        return newton(w) if torch.is_grad_enabled() else w

    def maximum(self, u: Element, w: Element) -> Tensor:
        import torch

        return torch.maximum(u, w)

    def sign(self, u: Element) -> Tensor:
        return u.sign()

    def dot(self, u: Element, w: Element) -> Tensor:
        return (u * w).sum(0, keepdim=True).expand_as(u)

    def _note_residual(self, left: float) -> None:
        self.residual = left if self.residual is None else max(left, self.residual)

    def point(self, z: Element) -> Tensor:
        if self._project is not None:
            return self._project(z)
        return self.geometry.torch("project", z) if self.geometry.sets else z

    def primal(self, y: Element) -> Tensor:
        return self._mirrored("primal", y)

    def dual(self, z: Element) -> Tensor:
        return self._mirrored("dual", z)

    def centre(self, u: Element) -> Tensor:
        return self._mirrored("centre", u)

    def _mirrored(self, kind: str, z: Tensor) -> Tensor:
        if not self.geometry.sets:
            raise self.missing("primal", NO_SETS)
        return self.geometry.torch(kind, z)

    def along(self, z: Element, u: Element) -> Element:
        if not self.geometry.sets:
            return u
        return u.new_tensor(self.geometry.along(*(a.detach().cpu().double().numpy() for a in (z, u))))

    @contextmanager
    def _differentiated(self) -> Iterator[None]:
        """For passes that are differentiated again; looks at the first whether there are norms to replace."""
        from gamedyn.games.plain_operations import twice_differentiable

        with twice_differentiable(norms=self.has_norms is not False) as met:
            yield
        if self.has_norms is None:
            self.has_norms = bool(met)

    def _costs(self, z: Tensor) -> Sequence[Tensor]:
        assert self.costs is not None
        costs = self.costs(z)
        if len(costs) != len(self.players):
            raise ValueError(f"{len(costs)} costs for {len(self.players)} players; return one scalar per player")
        return [c if c.requires_grad else c + z[:0].sum() for c in costs]  # a constant cost has gradient 0


def _variable(z: Tensor) -> Tensor:
    """z itself if it is part of a graph, else a fresh leaf."""
    return z if z.requires_grad else z.detach().requires_grad_()


@dataclass(frozen=True, eq=False)
class CallableGame:
    """A game whose costs are torch callables of the joint vector `(d,)`; build it with `callable_game`.

    Attributes
    ----------
    players : tuple of Player
    costs : callable
        z -> one scalar per player.
    """

    players: tuple[Player, ...]
    costs: Callable[[Any], Sequence[Any]]
    name: str = "callable game"
    parameters: tuple[str, ...] = ()
    project: Callable[[Any], Any] | None = field(default=None)
    constraints: tuple[Constraint, ...] = ()

    worlds = ("neural",)

    @property
    def dim(self) -> int:
        """Number of coordinates d of the joint state."""
        return self.players[-1].stop

    def field(self, world: str = "neural", params: Mapping[str, Any] | None = None) -> Field:
        """The joint gradient field; only the neural world is supplied.

        Raises
        ------
        NotInThisWorld
            For every other world: a Python callable has no formula.
        ValueError
            If `params` is not empty.
        """
        if params:
            raise ValueError(f"'{self.name}' has no parameters, got {list(params)}; close over them in the callables")
        if world != "neural":
            raise NotInThisWorld("field", world, "the costs are torch callables without a formula")
        return TorchField(self.players, self.costs, project=self.project, geometry=Geometry(self.constraints, self.dim))

    def constrained(
        self,
        box: Mapping[Any, tuple[Any, Any]] | None = None,
        *,
        ball: Mapping[Any, Any] | None = None,
        simplex: Any = None,
    ) -> CallableGame:
        """The game on a product of sets, as `SymbolicGame.constrained`; a group is a player, by name or number."""
        sets = constraint_sets(self.name, self.players, box=box, ball=ball, simplex=simplex)
        return replace(self, constraints=combined(self.name, self.constraints, sets))


def callable_game(
    costs: Sequence[Callable[[Any], Any]] | Callable[[Any], Sequence[Any]],
    sizes: Sequence[int],
    *,
    name: str = "callable game",
) -> CallableGame:
    """A game from torch callables.

    Parameters
    ----------
    costs : sequence of callables, or one callable
        `costs[i](z)` is the scalar that player i minimises, z the joint vector `(d,)`.  A single
        callable returns all costs at once, so that work can be shared between players.
    sizes : sequence of int
        Coordinates per player, in order.

    Raises
    ------
    ValueError
        If counts differ or a size is not positive.

    Examples
    --------
    >>> import gamedyn as gd, torch
    >>> g = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    >>> gd.field(g, torch.tensor([1.0, 2.0]))
    tensor([ 2., -1.])
    """
    sizes = [int(s) for s in sizes]
    if not sizes or min(sizes) < 1:
        raise ValueError(f"sizes must be positive integers, one per player, got {sizes}")
    if callable(costs):
        together = costs
    else:
        functions = list(costs)
        if len(functions) != len(sizes):
            raise ValueError(f"{len(functions)} costs for {len(sizes)} players; give one callable per player")

        def together(z: Any) -> Sequence[Any]:
            return [c(z) for c in functions]

    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    players = tuple(Player(f"player{k + 1}", s, s + n) for k, (s, n) in enumerate(zip(starts, sizes, strict=True)))
    return CallableGame(players, together, name=name)


def torch_field(source: ExactField) -> TorchField:
    """The neural world of a symbolic game: its formulas printed as torch code."""
    import torch

    table = {s: sp.Symbol(f"a{k}", real=True) for k, s in enumerate(source.symbols)}

    def printed(expressions: Sequence[sp.Expr]) -> Callable[..., Sequence[Any]]:
        # floats, because torch has no rationals and lambdify would print sqrt(2) and log(2) as calls on an int
        numeric = [sp.sympify(e).xreplace(table) for e in expressions]
        numeric = [e.xreplace({n: sp.Float(n, 17) for n in e.atoms(sp.NumberSymbol)}) for e in numeric]
        numeric = [
            e.replace(lambda t: t.is_number and (t.is_Pow or t.is_Function), lambda t: sp.N(t, 17)) for e in numeric
        ]
        extremes = {"max": _folded(torch.maximum), "min": _folded(torch.minimum)}  # SymPy prints Max as Python's max
        namespace = [{"Abs": torch.abs, "sign": torch.sign, **extremes}, torch]
        function = sp.lambdify(list(table.values()), numeric, modules=namespace, cse=True)
        return lambda z: [v if isinstance(v, torch.Tensor) else torch.full_like(z[0], float(v)) for v in function(*z)]

    geometry = source.geometry
    if source.quadratics is not None and len(source.symbols) > SCALAR_COSTS:
        forms = [_tensors(q) for q in source.quadratics]
        return TorchField(source.players, lambda z: [_quadratic_cost(H, b, z) for H, b in forms], geometry=geometry)
    if source.costs is None:
        components = printed(source.field_function.outputs)
        return TorchField(source.players, field=lambda z: torch.stack(list(components(z))), geometry=geometry)
    costs = printed(source.costs)
    return TorchField(source.players, lambda z: [c.sum() for c in costs(z)], geometry=geometry)


def _folded(pair: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of two tensors for any number of tensors and numbers."""

    def fold(*args: Any) -> Tensor:
        import torch

        like = next(a for a in args if isinstance(a, torch.Tensor))
        tensors = [a if isinstance(a, torch.Tensor) else torch.full_like(like, float(a)) for a in args]
        result = tensors[0]
        for t in tensors[1:]:
            result = pair(result, t)
        return result

    return fold


def _tensors(form: Quadratic) -> tuple[Tensor, Tensor]:
    """H and b of a quadratic cost as float64 tensors."""
    import torch

    rows = [[float(e) for e in row] for row in form.hessian]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor([float(b) for b in form.linear], dtype=torch.float64)


def _quadratic_cost(H: Tensor, b: Tensor, z: Tensor) -> Tensor:
    """½ zᵀHz + bᵀz, summed over a batch."""
    slope = b.to(z) if z.ndim == 1 else b.to(z)[:, None]
    return (z * ((H.to(z) @ z) / 2 + slope)).sum()
