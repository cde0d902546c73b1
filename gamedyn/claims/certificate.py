"""Certificates: what a method does in N steps at worst, over every field of a class in every dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gamedyn.claims.iterates import METRICS, measured, numeric_methods
from gamedyn.claims.lower_bound import worst_linear
from gamedyn.claims.operators import OperatorClass, operator_class
from gamedyn.games.field import NotInThisWorld
from gamedyn.rules.method import Method, as_method

__all__ = ["Certificate", "certify"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """A bracket of the worst case of a metric over |z_0 - z*|².

    Attributes
    ----------
    value : float
        The certificate: the dual value of the semidefinite program, an upper bound for every field of the class,
        and so for every game whose field is in it.
    lower : float
        What the worst linear field found in the class attains, a lower bound of the worst case over fields.
    primal : float
        The program's primal value, equal to `value` up to the solver's tolerance.  It belongs to a point set that
        meets the conditions of the class, and to a member of the class if these are exact.
    interpolation : str
        "exact": the worst case is `value`.  "necessary": it may lie below.
    checked : bool
        Whether the multipliers behind `value` were checked to be a proof, in float64.  Not possible for conditions
        on triples, under constraints, and where an unknown that the metric does not see is unbounded; `value` is
        then the solver's dual value, which may miss the bound by its tolerance, about 1e-8.
    worst_jacobian : ndarray `(2, 2)`
        The linear field J behind `lower`.
    worst_owners : tuple of int
        The player who owns each of its coordinates.
    status, solver : str
        The solver's words; the status is always "optimal".
    method : Method
    operator : OperatorClass
    metric : str
    steps, players : int
    constrained : bool
    """

    value: float
    lower: float
    primal: float
    interpolation: str
    checked: bool
    worst_jacobian: np.ndarray
    worst_owners: tuple[int, int]
    status: str
    solver: str
    method: Method
    operator: OperatorClass
    metric: str
    steps: int
    players: int
    constrained: bool

    @property
    def gap(self) -> float:
        """`value - lower`: how much the two bounds leave open."""
        return self.value - self.lower

    def __repr__(self) -> str:
        count = f"{self.steps} step" + "s" * (self.steps > 1)
        sets = ", over any closed convex set" * self.constrained
        proof = "multipliers checked" if self.checked else "multipliers not checked"
        if self.interpolation == "exact":
            meaning = "conditions exact, so this is the worst case"
        else:
            meaning = "conditions necessary, so the worst case may lie below"
        return "\n".join(
            [
                f"Certificate of {self.method!r}, {count}{sets}",
                f"on {self.operator.name}, in every dimension:",
                f"  {self.lower:.6g} <= worst case of {METRICS[self.metric]} / |z_0 - z*|² <= {self.value:.6g}",
                f"upper  dual value ({self.solver}: {self.status}, {proof}); {meaning}",
                f"lower  the linear field with J = {np.round(self.worst_jacobian, 4).tolist()}",
            ]
        )


def certify(
    method: Any,
    *,
    mu: float | None = None,
    L: float | None = None,
    beta: float | None = None,
    rho: float | None = None,
    operator: OperatorClass | None = None,
    steps: int = 1,
    metric: str = "distance",
    players: int = 2,
    constrained: bool = False,
    solver: str = "CLARABEL",
) -> Certificate:
    """The N-step worst case of a method over every field of a class, and so every game, by semidefinite programming.

        sup  |z_N - z*|² / |z_0 - z*|²      over fields v of the class, starts z_0, dimensions

    The method object is the one that runs in every other world: the rule is stepped on unknown vectors, and what
    the class says about them is a semidefinite program.  Its size grows with the number of field evaluations,
    its time about with the fourth power.  Beside the upper bound stands what the worst linear field found in the
    class attains.  That field may be no game's, such as a rotation within the variables of one player, so that the
    worst case over games alone may be smaller than `lower`.

    Parameters
    ----------
    method : Rule or Method
        Transforms without derivatives, wrappers and schedules, periodic or not, are fine.
    mu, L, beta, rho : float, optional
        The class by its constants: strong monotonicity and Lipschitz constant (`Monotone`); cocoercivity
        (`Cocoercive`, with mu); negative comonotonicity (`NegativelyComonotone`, with L), positive here where `FEG`
        takes a negative rho.  None: monotone.
    operator : OperatorClass, optional
        The class itself, in place of constants.
    steps : int
        N >= 1.
    metric : str
        "distance" |z_N - z*|², "residual" |v(z_N)|² (units of v²/z²) or "last_step" |z_N - z_(N-1)|², of the
        points that the method reports.
    players : int
        Matters to methods that treat players apart, such as `alternating`.
    constrained : bool
        Also over closed convex sets C of constraints, from z_0 in C, with `F.point` the projection on C.  Not for
        methods with a resolvent.
    solver : str
        A solver of cvxpy for semidefinite programs.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        If the class, `steps`, `metric` or the solver make no sense, or a coefficient of the method is a symbol.
    NotInThisWorld
        If the method has a preconditioner, needs derivatives of the field, or has a resolvent under constraints.
    CertificateError
        If the solver's status is anything but "optimal"; e.g. the ratio is unbounded over the class.
    ImportError
        Without the extra `gamedyn[theory]`.

    Notes
    -----
    Threads may call it: programs are solved one after another, since PEPit keeps one problem per process.  A PEPit
    problem of the caller's own is left as it was, unless another thread works on it meanwhile.

    References
    ----------
    .. [1] Y. Drori, M. Teboulle, Performance of first-order methods for smooth convex minimization (2014).
    .. [2] B. Goujaud et al., PEPit: computer-assisted worst-case analyses of first-order optimization methods in
       Python (2024), arXiv:2201.04040.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.certify(gd.Extragradient(0.25), mu=0.1, L=1.0)
    Certificate of Extragradient(lr=0.25), 1 step
    on strongly monotone Lipschitz fields (mu = 0.1, L = 1), in every dimension:
      0.9... <= worst case of |z_N - z*|² / |z_0 - z*|² <= 0.952198
    upper  dual value (CLARABEL: optimal, multipliers checked); conditions necessary, so the worst case may lie below
    lower  the linear field with J = ...
    """
    chosen = operator_class(operator, mu=mu, L=L, beta=beta, rho=rho)
    _check(steps, metric, players, constrained)
    method = as_method(method)
    methods = numeric_methods(method, steps)
    from gamedyn.claims.certified_field import CertifiedField
    from gamedyn.claims.solve import worst_case

    def pose() -> tuple[CertifiedField, Any]:
        F = CertifiedField(chosen, players=players, constrained=constrained)
        return F, measured(metric, methods, F, F.z0)

    solution = worst_case(pose, solver)
    worst = worst_linear(method, chosen, steps=steps, metric=metric, players=players)
    return Certificate(
        value=solution.value,
        lower=worst.value,
        primal=solution.primal,
        interpolation=chosen.interpolation,
        checked=solution.checked,
        worst_jacobian=worst.jacobian,
        worst_owners=worst.owners,
        status=solution.status,
        solver=solution.solver,
        method=method,
        operator=chosen,
        metric=metric,
        steps=steps,
        players=players,
        constrained=constrained,
    )


def _check(steps: int, metric: str, players: int, constrained: bool) -> None:
    if int(steps) != steps or steps < 1:
        raise ValueError(f"a certificate needs steps >= 1, an integer, got steps={steps}")
    if int(players) != players or players < 1:
        raise ValueError(f"a certificate needs players >= 1, an integer, got players={players}")
    if metric not in METRICS:
        raise ValueError(f"metric='{metric}' is none of {list(METRICS)}")
    if constrained and metric == "residual":
        raise NotInThisWorld(
            "residual", "certified", "v does not vanish at a constrained equilibrium; use metric='last_step'"
        )
