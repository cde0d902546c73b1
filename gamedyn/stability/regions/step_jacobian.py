"""DT at an equilibrium: exact, in floats, and with one coefficient of the method left free."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import Field, NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.maps.stepmap import StepMap
from gamedyn.rules.method import coefficients, map_numbers
from gamedyn.rules.rule import is_scheduled, period
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.points import as_point, enter

__all__ = ["ZETA", "float_radius", "require_equilibrium", "step_jacobian", "step_polynomial", "step_symbol"]

ZETA = sp.Symbol("zeta")
STATIONARY = 1e-3  # |v| of a zero relative to max(1, |J|): equilibria are often given to 4 digits
BATCH = 200_000  # entries of the Jacobians that are formed at once


# the point -------------------------------------------------------------------------------------------


def require_equilibrium(T: StepMap, z: Any) -> None:
    """Refuse a point at which v does not vanish, up to the digits in which points are written.

        max |v_k(z)| <= 1e-3 max(1, max |J_kl|)

    Entries with free symbols pass; of a method with transforms the zeros of the field that its rule sees count too.

    Raises
    ------
    ValueError
        If v(z) is larger.
    """
    F, point = _field_at(T, z)
    size, excess = _excess(F, point)
    if excess and _seen_vanishes(T, F, point):
        return
    if excess:
        raise ValueError(
            f"the point is no equilibrium: |v| = {size:.3g} there, and no step map of '{T.game.name}' rests at it. "
            f"Give a zero of v (gd.equilibria), or take T.jacobian(s) for the Jacobian elsewhere"
        )


def _field_at(T: StepMap, z: Any) -> tuple[Field, Any]:
    """The field and the point in floats, or exact where something has no number yet."""
    point = as_point(z)
    params = {n: v for n, v in T.params.items() if n in T.game.parameters}
    free = isinstance(point, sp.MatrixBase) and bool(point.free_symbols)
    if "exact" in T.game.worlds and (free or set(T.game.parameters) - set(params)):
        values = point if isinstance(point, sp.MatrixBase) else sp.Matrix([exact_number(float(e)) for e in point])
        return enter(T.game, values, params)
    return enter(T.game, floats(point), params)


def _excess(F: Field, point: Any) -> tuple[float, bool]:
    """max |v_k|, and whether it is too large for a zero."""
    point = F.enter(point)
    size = _largest(F.along(point, _value(F, point)))
    if size <= STATIONARY:
        return size, False
    try:
        scale = max(1.0, _largest(GameJacobian.of(F, point).to_dense()))
    except NotInThisWorld:  # a transformed field whose products need formulas
        scale = 1.0
    return size, not size <= STATIONARY * scale


def _value(F: Field, point: Any) -> Any:
    if F.world != "neural":
        return F(point)
    import torch

    with torch.no_grad():
        return F(point)


def _seen_vanishes(T: StepMap, F: Field, point: Any) -> bool:
    if not T.method.transforms:
        return False
    try:
        method = map_numbers(T.method, exact_number if F.world == "exact" else float)
        return not _excess(method.field(F), point)[1]
    except (NotInThisWorld, TypeError, ValueError):  # a coefficient without a number
        return False


def _largest(m: Any) -> float:
    """The largest modulus of the numeric entries; NaN where one is no number."""
    if isinstance(m, sp.MatrixBase):
        values = np.array([complex(sp.N(e, 15)) for e in m if e.is_number])
    else:
        values = np.asarray(m.detach().cpu().double() if hasattr(m, "detach") else m).ravel()
    return float(np.max(np.abs(values), initial=0.0))


def step_unit(T: StepMap, z: Any) -> float:
    """1/ρ(J), in which steps are measured where they are scanned; 1 where J has no numbers, or nothing but zeros."""
    params = {n: v for n, v in T.params.items() if n in T.game.parameters}
    try:
        J = GameJacobian.of(*enter(T.game, floats(as_point(z)), params)).to_dense()
    except (NotInThisWorld, TypeError, ValueError):  # a symbol without a value, a field that needs formulas
        return 1.0
    J = np.asarray(J.detach().cpu().double() if hasattr(J, "detach") else J, dtype=float)
    radius = float(np.abs(np.linalg.eigvals(J)).max()) if np.isfinite(J).all() else 0.0
    return 1 / radius if radius > 0 and np.isfinite(1 / radius) else 1.0


def scan_window(unit: float) -> tuple[float, float]:
    """The positive steps that are scanned: 1e-4 to 1e2, further down for a steep field, further up for a flat one."""
    return 1e-4 * min(1.0, unit), 1e2 * max(1.0, unit)


def floats(z: Any) -> Any:
    """The point as floats; a tensor as it is."""
    return z if hasattr(z, "requires_grad") else [float(e) for e in z]


# the matrix ------------------------------------------------------------------------------------------


def step_jacobian(T: StepMap, z: Any) -> Any:
    """DT at an equilibrium: SymPy where everything is exact, NumPy otherwise; a period's product for a schedule."""
    refuse_preconditioner(T)
    require_equilibrium(T, z)
    return _step_jacobian(T, z)


def refuse_preconditioner(T: StepMap) -> None:
    """Refuse a method whose normalised step has no Jacobian at an equilibrium."""
    if T.method.preconditioner is not None:
        name = type(T.method.preconditioner).__name__
        raise NotInThisWorld(
            "spectral_radius",
            "analysis",
            f"the step of {name} has no Jacobian at an equilibrium; analyse {name}.frozen(state)",
        )


def _step_jacobian(T: StepMap, z: Any) -> Any:
    if is_scheduled(T.method.rule):
        return _period_jacobian(T, z)
    point = as_point(z)
    if isinstance(point, sp.MatrixBase) and T.is_exact:
        return T.jacobian(T.start(point))
    matrix = T.jacobian(T.start(floats(point)))
    return matrix if isinstance(matrix, np.ndarray) else matrix.detach().cpu().double().numpy()


def _period_jacobian(T: StepMap, z: Any) -> Any:
    steps = period(T.method.rule)
    if steps is None:
        raise NotInThisWorld(
            "spectral_radius",
            "analysis",
            "an aperiodic schedule has none; give a tuple (one period), or measure the rate",
        )
    product = _step_jacobian(T.at(0), z)
    for k in range(1, steps):
        product = _step_jacobian(T.at(k), z) @ product
    return product


# one coefficient free --------------------------------------------------------------------------------


def step_symbol(parameter: str, taken: Iterable[str] = ()) -> sp.Symbol:
    """The positive symbol that stands for a method's coefficient: eta for a step size, eta_1 where eta is taken."""
    last = parameter.rpartition(".")[2]
    name = base = "eta" if last == "lr" else last
    taken, count = {*taken, ZETA.name}, 0
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return sp.Symbol(name, positive=True)


def free_map(T: StepMap, parameter: str) -> tuple[StepMap, sp.Symbol]:
    """The map with one coefficient left free, and its symbol, which nothing else in the map is called."""
    h = step_symbol(parameter, free_names(T.with_parameter(parameter, sp.Integer(1))))
    return T.with_parameter(parameter, h), h


def free_names(T: StepMap, z: Any = ()) -> set[str]:
    """The names of the symbols in the game, in the method and in a point."""
    inside = [c for c in (*coefficients(T.method), *z) if isinstance(c, sp.Expr)]
    return {*T.game.parameters, *(s.name for c in inside for s in c.free_symbols)}


def step_polynomial(T: StepMap, z: Any, parameter: str = "lr") -> tuple[sp.Poly, sp.Symbol, Any]:
    """The characteristic polynomial in ζ of DT with one coefficient left free, its symbol and DT."""
    point = sp.ImmutableMatrix([exact_number(e) for e in np.ravel(np.asarray(z, dtype=object))])
    free, h = free_map(T, parameter)
    matrix = free.jacobian(free.start(point))
    if not _is_exact_point(z):
        matrix = matrix.applyfunc(
            lambda e: e.xreplace({n: sp.Float(n, 17) for n in e.atoms(sp.Rational) if not n.is_Integer})
        )
    return sp.Poly(matrix.charpoly(ZETA).as_expr(ZETA), ZETA), h, matrix


def _is_exact_point(z: Any) -> bool:
    return isinstance(as_point(z), sp.MatrixBase) and not any(sp.sympify(e).has(sp.Float) for e in z)


def float_radius(T: StepMap, z: Any, parameter: str) -> Callable[[np.ndarray], np.ndarray]:
    """h of shape `(m,)` -> ρ(DT) in floats, inf where DT is not finite; one trace for all where there are formulas."""
    point = floats(as_point(z))
    if "exact" not in T.game.worlds or is_scheduled(T.method.rule):
        return lambda steps: np.array(
            [_radii(_step_jacobian(T.with_parameter(parameter, float(x)), point)) for x in steps]
        )
    free, h = free_map(T, parameter)
    chunk = max(1, BATCH // free.dim**2)

    def radius(steps: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.split(steps, range(chunk, len(steps), chunk)):
            free.params[h.name] = part
            s = free.start(np.tile(np.array(point)[:, None], len(part)))
            with np.errstate(all="ignore"):  # poles and overflow are results
                parts.append(_radii(np.moveaxis(free.jacobian(s), -1, 0)))
        return np.concatenate(parts)

    return radius


def _radii(matrices: np.ndarray) -> np.ndarray:
    """Spectral radii of matrices `(..., D, D)`."""
    usable = np.isfinite(matrices).all(axis=(-2, -1))
    rho = np.full(usable.shape, np.inf)
    rho[usable] = np.abs(np.linalg.eigvals(matrices[usable])).max(axis=-1)
    return rho
