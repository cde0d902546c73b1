"""The worst case as a semidefinite program, and the check of its dual as a proof.

The program maximises a squared norm over Gram matrices G of the unknown vectors, subject to ⟨C_k, G⟩ <= b_k.
Multipliers y_k >= 0 (of any sign for equations) with

    M = Σ y_k C_k - O  positive semidefinite                              (1)

prove ⟨O, G⟩ <= Σ y_k b_k for every G, whoever found them.  The solver meets (1) up to its tolerance only, so it
is asked for M - δI instead, and (1) is then checked as it stands.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PEPit import PEP, BlockPartition, Constraint, Expression, Point, PSDMatrix
from PEPit import Function as PEPFunction
from PEPit.tools.expressions_to_matrices import expression_to_matrices

from gamedyn.claims.certified_field import CertifiedField, leaves
from gamedyn.claims.errors import CertificateError
from gamedyn.games.field import total

TOLERANCES = (1e-8, 1e-7, 1e-6)  # asked of CLARABEL in turn; what it cannot reach it calls "optimal_inaccurate"
ATTEMPTS = 3  # each with δ raised by what the last proof missed; δ costs about δ tr(G) in the bound
GAP = 1e-5  # relative duality gap accepted where no margin is possible, so that the bound is unchecked

LOCK = threading.RLock()
STATE: tuple[tuple[Any, str], ...] = (
    *((c, "counter") for c in (BlockPartition, Constraint, Expression, PEPFunction, PEP, Point, PSDMatrix)),
    (BlockPartition, "list_of_partitions"),
    (Expression, "list_of_leaf_expressions"),
    (PEPFunction, "list_of_functions"),
    (Point, "list_of_leaf_points"),
)
"""Where PEPit keeps the one problem that it knows: attributes of its classes, which every new problem replaces."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Certificates one at a time, and what PEPit knew of another problem put back afterwards.

    A problem that the caller builds in the same thread goes on as if nothing had happened.  One in another thread
    does not: it shares PEPit's state meanwhile.
    """
    with LOCK:
        kept = [(owner, name, getattr(owner, name)) for owner, name in STATE]
        try:
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)


@dataclass(frozen=True)
class Solution:
    """What the program says.

    Attributes
    ----------
    value, primal : float
        Dual and primal value.
    status, solver : str
        In the solver's words.
    checked : bool
        Whether the multipliers were checked to prove `value`, in float64.
    """

    value: float
    primal: float
    status: str
    solver: str
    checked: bool


def worst_case(pose: Callable[[], tuple[CertifiedField, Any]], solver: str) -> Solution:
    """The largest |vector|² over the class of a field, with |z0| <= 1.

    Parameters
    ----------
    pose : callable
        () -> (field, vector), afresh at every call: PEPit solves a problem once.
    solver : str

    Raises
    ------
    CertificateError
        If the solver's status is not "optimal", or its multipliers are far from a proof.
    ValueError
        If the solver is not installed.
    """
    _refuse_missing(solver)
    with alone():
        return _worst_case(pose, solver)


def _worst_case(pose: Callable[[], tuple[CertifiedField, Any]], solver: str) -> Solution:
    if pose()[0].has_checkable_proof:
        solution = _checked(pose, solver)
        if solution is not None:
            return solution
    vector, value = _unchecked(pose, solver)
    gap = abs(value - _primal(vector))
    if gap > GAP * max(1.0, abs(value)):
        raise CertificateError("optimal", f"{solver} says 'optimal', but dual and primal value differ by {gap:.1e}")
    return Solution(value, _primal(vector), "optimal", solver, False)


def _unchecked(pose: Callable[[], tuple[CertifiedField, Any]], solver: str) -> tuple[Any, float]:
    """The solver's own answer at the tightest tolerance that it reaches, which the processor's rounding decides."""
    for tolerance in TOLERANCES:
        F, vector = pose()
        try:
            return vector, _solve(F, vector**2, solver, tolerance)
        except CertificateError as error:
            if tolerance == TOLERANCES[-1] or error.status != "optimal_inaccurate" or solver != "CLARABEL":
                raise
    raise AssertionError("there is a last tolerance")


def _checked(pose: Callable[[], tuple[CertifiedField, Any]], solver: str) -> Solution | None:
    """The bound with a proof; None where the program with a margin is unbounded.

    A looser tolerance is no weaker certificate: the proof is checked as it stands, and the bound only larger.
    """
    slack = 0.0
    for tolerance in TOLERANCES:
        margin = tolerance
        for _ in range(ATTEMPTS):
            F, vector = pose()
            try:
                _solve(F, vector**2 + margin * total(leaf**2 for leaf in leaves()), solver, tolerance)
            except CertificateError as error:
                if error.status.startswith(("unbounded", "infeasible")):
                    return None  # perhaps in some unknown vector alone that the metric does not see
                if tolerance == TOLERANCES[-1] or solver != "CLARABEL":
                    raise
                break
            value, slack = proof(F, vector**2)
            if slack >= 0:
                return Solution(value, _primal(vector), "optimal", solver, True)
            margin -= 2 * slack
    raise CertificateError(
        "optimal", f"{solver} says 'optimal', but its multipliers miss a proof by {-slack:.1e}; try another solver="
    )


def _refuse_missing(solver: str) -> None:
    import cvxpy

    if solver not in cvxpy.installed_solvers():
        raise ValueError(
            f"solver='{solver}' is not installed; cvxpy finds {cvxpy.installed_solvers()}, and CLARABEL comes with "
            f'pip install "gamedyn[theory]"'
        )


def _solve(F: CertifiedField, objective: Any, solver: str, tolerance: float) -> float:
    """PEPit's dual value of the problem; a status other than optimal is an error."""
    import cvxpy

    problem = F.problem
    problem.set_performance_metric(objective)
    options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance) if solver == "CLARABEL" else {}
    value, crashed = None, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "solution may be inaccurate": the status says so too
        try:
            value = problem.solve(wrapper="cvxpy", solver=solver, verbose=0, **options)
        except cvxpy.error.SolverError as error:
            crashed = str(error)
    status = f"solver error: {crashed}" if crashed else problem.wrapper.prob.status
    if status != "optimal" or value is None:
        raise CertificateError(status, f"{solver} answered '{status}', which certifies nothing. {_advice(status)}")
    return float(value)


def _advice(status: str) -> str:
    if status.startswith(("unbounded", "infeasible")):
        return (
            "The ratio is unbounded over this class: a shorter step, a smaller class (L=, mu=) or another metric "
            "may bound it."
        )
    return "Fewer steps, a class with better-scaled constants or another solver= may be solved to its tolerance."


def _primal(vector: Any) -> float:
    return float(np.sum(vector.eval() ** 2))


def proof(F: CertifiedField, objective: Any) -> tuple[float, float]:
    """The bound Σ y_k b_k that the solved problem's multipliers prove, and the least eigenvalue of M in (1).

    Multipliers of inequalities that the solver left below 0 are set to 0.  A nonnegative eigenvalue, less what
    float64 may have lost, means that the bound holds.
    """
    problem = F.problem
    metric, *constraints = problem._list_of_prepared_constraints
    scale = metric.eval_dual()  # 1 up to the solver's tolerance
    matrix, _, _ = expression_to_matrices(objective)
    slack, bound = -matrix, 0.0
    for constraint in constraints:
        y = constraint.eval_dual() / scale
        if constraint.equality_or_inequality == "inequality":
            y = max(y, 0.0)
        matrix, values, constant = expression_to_matrices(constraint.expression)
        if not np.any(values):
            slack, bound = slack + y * matrix, bound - y * constant
    slack = (slack + slack.T) / 2
    eigenvalues = np.linalg.eigvalsh(slack)
    rounding = len(slack) * np.finfo(float).eps * float(np.abs(eigenvalues).max())
    return float(bound), float(eigenvalues.min()) - rounding
