"""For which values of several parameters is a flow or a step stable?

    flow   ż = -v(z; a)       stable iff every Re λ(J) > 0
    step   z+ = T(z; η, β)    stable iff every |ζ(DT)| < 1

In one parameter the answer is a union of intervals with exact ends (:mod:`regions`), in several the inequalities of
Liénard and Chipart, freed of what the others imply (:mod:`region_conditions`); beyond extended dimension 8, the time
limit or exact numbers, a map in floats that says so. A flow is treated as a step through ζ = (1 - λ)/(1 + λ).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.regions.number_fields import Bounds
from gamedyn.stability.regions.parameters import Parameter, Problem, Ranges, pose
from gamedyn.stability.regions.region_conditions import region_conditions
from gamedyn.stability.regions.region_result import Grid, StableRegion
from gamedyn.stability.regions.regions import polynomial_region
from gamedyn.stability.regions.semisimple import semisimple_check
from gamedyn.stability.regions.step_jacobian import ZETA
from gamedyn.stability.regions.step_scan import scan_count, scan_steps
from gamedyn.stability.time_limit import Clock, OutOfTime, limited_time

__all__ = ["StableRegion", "solve_region", "stable_region"]

MAX_DIMENSION = 8
GRID_POINTS = 40_000  # of a numeric map, all axes together


def stable_region(source: Any, z: Any = None, parameters: Ranges = "lr", *, time_limit: float = 5.0) -> StableRegion:
    """The values of one or several parameters for which a flow or a step is stable at z.

    Parameters
    ----------
    source : StepMap, game or SymPy matrix
        A step map: |ζ(DT)| < 1.  A game, transformed or not: Re λ(J) > 0, for the flow ż = -v(z).  A matrix `(d, d)`: J
        itself, z is then left out.
    z : `(d,)`
        An equilibrium, which may contain the parameters.  Exact numbers give an exact answer; floats a numeric one.
    parameters : str, sequence of str, or mapping of str to (low, high)
        Coefficients of the method ("lr", "momentum", "consensus.gamma"), parameters of the game, symbols in either;
        "tau": the factor of the last player's field, also of a method without that coefficient.  Without a range,
        coefficients are positive, "momentum" is in (-1, 1), and symbols have the range of their assumptions.
        None is an end without bound.
    time_limit : float
        Seconds of algebra; then the answer is numeric.

    Returns
    -------
    StableRegion
        Symbols that are neither bound nor among the parameters are left in its conditions.

    Raises
    ------
    TypeError
        If the source is none of the three.
    ValueError
        If a parameter does not exist or has no range, or v does not vanish at z; if a numeric answer needs the values
        of other symbols.
    NotInThisWorld
        For a preconditioned or a scheduled method.
    TimeoutError
        If symbols beside the parameters remain and the conditions are not found in time.

    References
    ----------
    .. [1] Schur (1917), Cohn (1922); Liénard and Chipart (1914).

    Examples
    --------
    Negative momentum damps alternating descent on xy:

    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.alternating(gd.HeavyBall(1, 0)), gd.games.bilinear(1))
    >>> stable_region(T, [0, 0], ["lr", "momentum"])
    StableRegion (conditions): eta > 0, -1 < momentum < 0, eta < 2*momentum + 2
    """
    return solve_region(pose(source, z, parameters), time_limit)


def solve_region(problem: Problem, time_limit: float = 5.0) -> StableRegion:
    """The region of a problem that is already posed."""
    if not problem.exact:
        return _mapped(problem, problem.reason)
    if problem.dim > MAX_DIMENSION:
        return _mapped(problem, f"dimension {problem.dim} > {MAX_DIMENSION}")
    try:
        with limited_time(time_limit) as clock:
            return _exact(problem, clock)
    except OutOfTime:
        late = f"the exact answer takes more than {time_limit:g} s"
    try:
        return _mapped(problem, late)
    except ValueError as error:  # a map needs values that conditions do not
        raise TimeoutError(f"{late}, and {error}") from None


# --- exact ------------------------------------------------------------------------------------------------------------


def _exact(problem: Problem, clock: Clock) -> StableRegion:
    numerator = sp.expand(sp.fraction(sp.together(problem.characteristic))[0])
    shown = [p.symbol for p in problem.parameters]
    others = sorted(numerator.free_symbols - {ZETA, *shown}, key=str)
    everything = (*problem.parameters, *(Parameter(s.name, s, _assumed(s)) for s in others))
    work = {p.symbol: p.work for p in everything}
    if not numerator.is_polynomial(ZETA, *work):
        if others:
            raise ValueError(f"the coefficients are not rational in {others}; give these symbols values")
        return _mapped(problem, "the entries are not rational functions of the parameters")
    inside = numerator.xreplace(work)
    if len(everything) == 1:
        return _one(problem, everything[0], work[everything[0].symbol], clock)
    return _several(problem, inside, everything, work, clock)


def _assumed(s: sp.Symbol) -> Bounds:
    return (sp.S.Zero if s.is_nonnegative else -sp.oo, sp.S.Zero if s.is_nonpositive else sp.oo)


def _one(problem: Problem, p: Parameter, h: sp.Dummy, clock: Clock) -> StableRegion:
    matrix = problem.matrix.xreplace({p.symbol: h})
    found = polynomial_region(
        sp.Poly(problem.polynomial.xreplace({p.symbol: h}), ZETA),
        h,
        time_limit=clock.left,
        bounds=p.bounds,
        semisimple_check=semisimple_check(matrix, h, problem.kind),
        fallback=lambda: scan_steps(problem.evaluate, h, p.window, "too slow"),
    )
    if found.kind == "numeric":
        return _mapped(problem, found.reason.split(";")[0])
    reason = found.reason and _nowhere(problem.kind)
    return StableRegion(problem, solve_region, "exact", stable=found.stable, neutral=found.neutral, reason=reason)


def _nowhere(kind: str) -> str:
    return (
        "some eigenvalue of the step has modulus >= 1 everywhere"
        if kind == "step"
        else "some eigenvalue of J has real part <= 0 everywhere"
    )


def _several(
    problem: Problem, numerator: sp.Expr, everything: Sequence[Parameter], work: Mapping[Any, Any], clock: Clock
) -> StableRegion:
    symbols = [work[p.symbol] for p in everything]
    _, factored = sp.Poly(numerator, ZETA, *symbols, extension=True).factor_list()
    factors = [sp.Poly(f.as_expr(), ZETA) for f, _ in factored if f.degree(ZETA) > 0 and f.as_expr() != ZETA]
    clock.check()
    found = region_conditions(factors, symbols, [p.bounds for p in everything], clock, problem.kind)
    back = {new: old for old, new in work.items()}
    nothing = sp.false in found.inequalities
    return StableRegion(
        problem,
        solve_region,
        "conditions",
        conditions=tuple(c.xreplace(back) for c in found.solved),
        inequalities=tuple(c.xreplace(back) for c in found.inequalities),
        boundary=tuple(f.xreplace(back) for f in found.boundary),
        cells=found.cells,
        others=tuple(everything[len(problem.parameters) :]),
        reason=_nowhere(problem.kind) if nothing else "",
    )


# --- numeric ----------------------------------------------------------------------------------------------------------


def _mapped(problem: Problem, reason: str) -> StableRegion:
    """The numeric answer: a scan in one parameter, a grid in several."""
    if len(problem.parameters) == 1:
        (p,) = problem.parameters
        shifted = lambda h: problem.evaluate(h) - problem.limit + 1  # noqa: E731
        found = scan_steps(shifted, p.symbol, p.window, reason, scan_count(p.window, problem.batched))
        return StableRegion(problem, solve_region, "numeric", stable=found.stable, reason=found.reason)
    count = len(problem.parameters)
    per_axis = max(3, round((GRID_POINTS if problem.batched else GRID_POINTS // 40) ** (1 / count)))
    axes = tuple(_axis(p, per_axis) for p in problem.parameters)
    mesh = np.meshgrid(*axes, indexing="ij")
    values = problem.evaluate(*(m.ravel() for m in mesh)).reshape(mesh[0].shape)
    return StableRegion(problem, solve_region, "numeric", grid=Grid(axes, values, problem.limit), reason=reason)


def _axis(p: Parameter, points: int) -> np.ndarray:
    low, high = p.window
    return np.geomspace(low, high, points) if low > 0 and p.bounds[1] == sp.oo else np.linspace(low, high, points)
