"""The certified world: the state is a point of a performance-estimation problem, v an unknown field of a class.

A rule that runs here states, in inner products of unknown vectors, everything that its steps could do on any
field of the class in any dimension.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from gamedyn.claims.operators import Cocoercive, Condition, Monotone, OperatorClass
from gamedyn.games.field import Element, Field, Player, Seed, total

try:
    import cvxpy  # noqa: F401  (PEPit needs it and says so only when it solves)
    from PEPit import PEP, Expression, Point
    from PEPit import Function as PEPFunction
    from PEPit.functions import ConvexIndicatorFunction
    from PEPit.operators import CocoerciveStronglyMonotoneOperatorExpensive, LipschitzStronglyMonotoneOperatorExpensive
except ImportError as error:
    raise ImportError('certificates need PEPit, cvxpy and Clarabel: pip install "gamedyn[theory]"') from error

SAME = 1e-12  # coefficients closer than this belong to one point
NO_DERIVATIVES = "a class of operators constrains values of v at points, not its derivatives"
NO_COSTS = "a class of operators is given by the field alone, without costs"
NO_ORIGIN = (
    "the method depends on where the origin lies, and a class of operators has none; form every point as an earlier "
    "point plus field values and velocities"
)
NO_RESOLVENT = (
    "with constraints the resolvent of a game is that of v alone, projected afterwards, which need not rest at an "
    "equilibrium on the constraints; leave constrained=True out, or certify a method that evaluates v"
)
NO_COORDINATES = "the dimension is not fixed, so a vector has no coordinates"


class SilentProblem(PEP):
    """A PEPit problem without the warnings that PEPit prints when asked for none; `solve` judges them itself.

    Only the check after the solver writes them, so that standard output is away for milliseconds.
    """

    def check_feasibility(self, *args: Any, **kwargs: Any) -> Any:
        """PEPit's dual value."""
        with contextlib.redirect_stdout(io.StringIO()):
            return super().check_feasibility(*args, **kwargs)


class PairwiseOperator(PEPFunction):
    """An operator that meets the conditions of a class on every pair of its points.

    Parameters
    ----------
    operator : OperatorClass
    """

    def __init__(self, operator: OperatorClass, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "reuse_gradient": True})
        self.operator = operator

    def add_class_constraints(self) -> None:
        """The conditions on pairs, then those on the equilibrium, which is the first point."""
        for (z, v, _), (w, u, _) in combinations(self.list_of_points, 2):
            self.list_of_class_constraints += [holds(c, z - w, v - u) for c in self.operator.pairs]
        origin = self.list_of_points[0][0]
        for z, v, _ in self.list_of_points[1:]:
            self.list_of_class_constraints += [holds(c, z - origin, v) for c in self.operator.at_equilibrium]


def holds(condition: Condition, dz: Any, dv: Any) -> Any:
    """Condition (1) of `operators` as a constraint between PEPit points."""
    return condition.a * dz**2 + condition.b * (dz * dv) + condition.c * dv**2 >= 0


def declare(problem: Any, operator: OperatorClass) -> Any:
    """The PEPit operator of a class."""
    if operator.triples and isinstance(operator, Monotone):
        return problem.declare_function(LipschitzStronglyMonotoneOperatorExpensive, mu=operator.mu, L=operator.L)
    if operator.triples and isinstance(operator, Cocoercive):
        constants = {"mu": operator.mu, "beta": operator.beta}
        return problem.declare_function(CocoerciveStronglyMonotoneOperatorExpensive, **constants)
    return problem.declare_function(PairwiseOperator, operator=operator)


def origin() -> Any:
    """The vector 0; PEPit's own `null_point` is one object that all problems share."""
    return Point(is_leaf=False, decomposition_dict={})


def same(p: Any, q: Any) -> bool:
    """Whether two points are the same combination of unknown vectors."""
    return all(abs(c) <= SAME for c in (p - q).decomposition_dict.values())


class CertifiedField(Field):
    """An unknown field of an operator class, with its equilibrium z* at 0.

        F(z)                 a new vector v(z), tied to all others by the conditions of the class
        F.resolvent(lr, z)   w = z - lr g with (w, g) in the graph of v; absent under constraints
        F.mask(i, u)         the part of u in the subspace of player i; parts of different players are orthogonal
        F.point(z)           z, or the projection on an unknown closed convex set

    Making one starts a new PEPit problem, and PEPit knows one problem at a time: use a field before the next
    one is made.

    Parameters
    ----------
    operator : OperatorClass
    players : int
        How many players share the space, at least 1.
    constrained : bool
        Whether the worst case is taken over closed convex sets C of constraints too.  The start lies in C, and z*
        is an equilibrium on C: v(z*) is minus a normal of C at z*.

    Attributes
    ----------
    problem : PEPit.PEP
    z0 : PEPit.Point
        The start, with |z0|² <= 1.
    """

    world = "certified"

    def __init__(self, operator: OperatorClass, *, players: int = 2, constrained: bool = False) -> None:
        if int(players) < 1:
            raise ValueError(f"a certified field needs players >= 1, got {players}")
        self.players = tuple(Player(f"player {i}", i, i + 1) for i in range(int(players)))
        self.operator = operator
        self.problem = SilentProblem()
        self.v = declare(self.problem, operator)
        self.z0 = self.problem.set_initial_point(name="z0")
        self.problem.set_initial_condition(self.z0**2 <= 1)
        self.set: Any = self.problem.declare_function(ConvexIndicatorFunction) if constrained else None
        at_equilibrium = Point() if constrained else origin()
        self._put(origin(), at_equilibrium)
        if self.set is not None:
            self.set.add_point((origin(), -at_equilibrium, Expression()))
            self.set.add_point((self.z0, origin(), Expression()))
        self._partition: Any = None
        self._owner: dict[Any, int] = {}
        self._parts_of_start: list[Any] = []
        self._unknown: tuple[Any, Any] | None = None

    # values of the field ---------------------------------------------------------------------------

    def __call__(self, z: Element) -> Element:
        if self._unknown is not None and self._unknown[0] in z.decomposition_dict:
            unknown, value = self._unknown
            if same(z, unknown):
                return value
            raise self.missing("resolvent", "the implicit equation asks for v at another point than its unknown")
        z = self._position(z)
        for point, value, _ in self.v.list_of_points:
            if same(point, z):
                return value
        return self._put(z, Point())

    def part(self, i: int, z: Element) -> Element:
        return self.mask(i, self(z))

    def invert(self, fn: Callable[[Element], Element], rhs: Element, *, linear: bool) -> Element:
        """The w with fn(w) = rhs, for fn(w) = w + a combination of v(w) and of its parts.

        The unknown stands for itself in the linear algebra of points, without a row in the problem, until
        the equation has said which point it is.
        """
        if linear:
            raise self.missing("solve", NO_DERIVATIVES)
        if self.set is not None:
            raise self.missing("resolvent", NO_RESOLVENT)
        unknown = origin()
        unknown.decomposition_dict = {unknown: 1}
        value = Point()
        outer, self._unknown = self._unknown, (unknown, value)
        try:
            rest = fn(unknown) - unknown
        finally:
            self._unknown = outer
        if abs(rest.decomposition_dict.get(unknown, 0)) > SAME:
            raise self.missing("invert", "only equations w + (a combination of v(w) and its parts) = z are expressible")
        w = self._position(rhs - rest)
        self._put(w, value)
        return w

    def point(self, z: Element) -> Element:
        z = self._position(z)
        if self.set is None:
            return z
        for point, _, _ in self.set.list_of_points:
            if same(point, z):
                return point
        normal = Point()
        w = z - normal
        self.set.add_point((w, normal, Expression()))
        return w

    def _put(self, z: Any, value: Any) -> Any:
        """Declare v(z) = value."""
        self.v.add_point((z, value, Expression(is_leaf=False, decomposition_dict={})))
        return value

    def _position(self, z: Any) -> Any:
        """z, refused unless it moves along when start and equilibrium are moved together."""
        weights = z.decomposition_dict
        moved = [weights.get(self.z0, 0) - 1, *(weights.get(part, 0) for part in self._parts_of_start)]
        if any(abs(c) > SAME for c in moved):
            raise self.missing("position", NO_ORIGIN)
        return z

    # players -----------------------------------------------------------------------------------------

    def mask(self, i: int, u: Element) -> Element:
        if len(self.players) == 1:
            return u
        return total([origin(), *(c * self._part(leaf, i) for leaf, c in u.decomposition_dict.items() if c)])

    def _part(self, leaf: Any, i: int) -> Any:
        """The part of one unknown vector in player i's subspace; vectors are split on demand, once."""
        if self._unknown is not None and leaf is self._unknown[0]:
            raise self.missing("invert", "the unknown of an implicit equation cannot be split among players")
        if leaf in self._owner:
            return leaf if self._owner[leaf] == i else origin()
        if self._partition is None:
            self._partition = self.problem.declare_block_partition(d=len(self.players))
        parts = [self._partition.get_block(leaf, k) for k in range(len(self.players))]
        self._owner.update({part: k for k, part in enumerate(parts[:-1])})  # the last one is the rest, no new vector
        if leaf is self.z0:
            self._parts_of_start = parts[:-1]
        return parts[i]

    @property
    def treats_players_apart(self) -> bool:
        """Whether some vector was split among the players."""
        return self._partition is not None

    @property
    def has_checkable_proof(self) -> bool:
        """Whether multipliers can be checked: no matrix inequalities, and no normals, which nothing bounds."""
        return self.set is None and not self.operator.triples

    # what this world does not have -----------------------------------------------------------------

    def diagonal(self, weights: tuple[float, ...], u: Element) -> Element:
        raise self.missing("diagonal", NO_COORDINATES)

    def grad(self, i: int, z: Element) -> Element:
        raise self.missing("grad", NO_COSTS)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        raise self.missing("hvp", NO_COSTS)

    def jvp(self, z: Element, u: Element) -> Element:
        raise self.missing("jvp", NO_DERIVATIVES)

    def vjp(self, z: Element, u: Element) -> Element:
        raise self.missing("vjp", NO_DERIVATIVES)

    def cross_jvp(self, z: Element, u: Element) -> Element:
        """Absent: derivatives."""
        raise self.missing("cross_jvp", NO_DERIVATIVES)

    def skew(self, z: Element, u: Element) -> Element:
        """Absent: derivatives."""
        raise self.missing("skew", NO_DERIVATIVES)

    def solve(self, z: Element, lr: Any, u: Element, cross: bool = False) -> Element:
        raise self.missing("solve", NO_DERIVATIVES)

    def derivative(self, fn: Callable[[Element], Element], z: Element, u: Element) -> Element:
        raise self.missing("derivative", NO_DERIVATIVES)

    def pullback(self, fn: Callable[[Element], Element], z: Element, u: Element | Seed) -> Element:
        raise self.missing("pullback", NO_DERIVATIVES)

    def maximum(self, u: Element, w: Element) -> Element:
        """Absent: coordinates."""
        raise self.missing("maximum", NO_COORDINATES)

    def sign(self, u: Element) -> Element:
        """Absent: coordinates."""
        raise self.missing("sign", NO_COORDINATES)

    def dot(self, u: Element, w: Element) -> Element:
        """Absent: a step may be no quadratic function of unknown vectors."""
        raise self.missing("dot", "an inner product as a coefficient makes the step nonlinear in unknown vectors")

    def primal(self, y: Element) -> Element:
        """Absent: entropies."""
        raise self.missing("primal", "a class of operators has no mirror map")


def leaves() -> Sequence[Any]:
    """Every unknown vector of the present problem."""
    return Point.list_of_leaf_points
