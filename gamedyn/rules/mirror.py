"""Mirror maps: methods that run on dual variables, as a transform."""

from __future__ import annotations

from dataclasses import dataclass

from gamedyn.games.field import DerivedField, Element, Field
from gamedyn.rules.transforms import Transform


@dataclass(frozen=True)
class entropic(Transform):
    """Dual variables of the entropy ψ of the game's constraints.

        z = ∇ψ*(y):   softmax on a simplex,  logistic on an interval,  exp on a half-line
        v ↦ v(∇ψ*(y)),  the rule unchanged on y                        (1)

    The state is the dual vector y, kept with mean 0 on every simplex, because ∇ψ* does not see a constant.
    A start is a point z inside the constraints (∇ψ sends the boundary to infinity), and a point that the
    method reports is ∇ψ*(y).  Gradients remain those of the costs in z.  `Simultaneous` becomes
    multiplicative weights, `Optimistic` optimistic multiplicative weights, `Extragradient` the entropic
    mirror-prox, and the flow the replicator equation.  Costs no gradient.

    Notes
    -----
    Near an interior equilibrium the step has the Jacobian of the rule on J ∇²ψ*(y).

    References
    ----------
    .. [1] A. S. Nemirovski, D. B. Yudin, Problem complexity and method efficiency in optimization (1983).
    .. [2] A. Nemirovski, Prox-method with rate of convergence O(1/t) for variational inequalities,
       SIAM J. Optim. 15 (2004).
    .. [3] C. Daskalakis, I. Panageas, Last-iterate convergence: zero-sum games and constrained min-max
       optimization, ITCS 2019, arXiv:1807.04252.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Method(gd.Simultaneous(1.0), gd.entropic()), gd.games.matching_pennies())
    >>> T.point(T(T.start([0.5, 0.5, 0.25, 0.75]))).round(4)
    array([0.2689, 0.7311, 0.25  , 0.75  ])
    """

    changes_variables = True

    def field(self, F: Field) -> Field:
        """The field on dual variables."""
        return EntropicField(F)


class EntropicField(DerivedField):
    """v(∇ψ*(y))."""

    @property
    def is_constrained(self) -> bool:
        return False

    def __call__(self, z: Element) -> Element:
        return self.base(self.base.primal(z))

    def part(self, i: int, z: Element) -> Element:
        return self.base.part(i, self.base.primal(z))

    def point(self, z: Element) -> Element:
        return self.base.centre(z)

    def enter(self, z: Element) -> Element:
        return self.base.dual(self.base.enter(z))

    def leave(self, s: Element) -> Element:
        return self.base.leave(self.base.primal(s))

    def along(self, z: Element, u: Element) -> Element:
        return self.base.centre(u)

    def primal(self, y: Element) -> Element:
        raise self.missing("primal", _ONCE)

    def dual(self, z: Element) -> Element:
        raise self.missing("dual", _ONCE)

    def centre(self, u: Element) -> Element:
        raise self.missing("centre", _ONCE)


_ONCE = "the variables are dual already; apply entropic once"
