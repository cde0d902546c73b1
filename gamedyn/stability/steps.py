"""Whether a step map settles: spectral radius, stability polynomial, stable and best steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.field import NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.linear import ScalarField
from gamedyn.maps.stepmap import StepMap, linear_jacobian
from gamedyn.rules.rule import is_scheduled
from gamedyn.stability.jacobian import as_point
from gamedyn.stability.modulus import dominant_modulus
from gamedyn.stability.regions import stable_region
from gamedyn.stability.stable_steps import StableSteps

ZETA = sp.Symbol("zeta")
FIXED = 1e-3  # how far one step may move what is called a fixed point: equilibria are often given to 4 digits
MAX_DIMENSION = 8  # extended dimension up to which regions are exact
SEARCH = (1e-4, 1e2)


def spectral_radius(T: StepMap, z: Any) -> Any:
    """The largest modulus of the eigenvalues of DT at a fixed point.

    Exact where the game, the method and the point are (no Python float anywhere), a float otherwise.

    Parameters
    ----------
    T : StepMap
    z : `(d,)`
        An equilibrium: integers or SymPy numbers for an exact answer.

    Returns
    -------
    sympy.Expr or float

    Raises
    ------
    NotInThisWorld
        For a preconditioned method, whose normalised step has no Jacobian at an equilibrium, and for
        an aperiodic schedule.
    ValueError
        If an exact answer has no closed form because of free symbols, or z is no fixed point.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.spectral_radius(gd.StepMap(gd.Simultaneous(1), gd.games.bilinear(1)), [0, 0])
    sqrt(2)
    """
    matrix = step_jacobian(T, z)
    if not isinstance(matrix, sp.MatrixBase):
        return float(np.max(np.abs(np.linalg.eigvals(matrix))))
    p = sp.Poly(matrix.charpoly(ZETA).as_expr(ZETA), ZETA)
    radius = dominant_modulus(p)
    if radius is not None:
        return radius
    if p.free_symbols_in_domain:
        raise ValueError(
            f"the spectral radius of {T!r} has no closed form with {sorted(map(str, p.free_symbols_in_domain))} free; "
            f"give them values, or use stable_steps"
        )
    return max(abs(complex(r)) for r in p.nroots(n=30, maxsteps=200))


def step_jacobian(T: StepMap, z: Any) -> Any:
    """DT at a fixed point: SymPy where everything is exact, NumPy otherwise; a period's product for a schedule."""
    if T.method.preconditioner is not None:
        name = type(T.method.preconditioner).__name__
        raise NotInThisWorld(
            "spectral_radius",
            "analysis",
            f"the step of {name} has no Jacobian at an equilibrium; analyse {name}.frozen(state)",
        )
    if is_scheduled(T.method.rule):
        return _period_jacobian(T, z)
    point = as_point(z)
    if isinstance(point, sp.MatrixBase) and T.is_exact:
        s = T.start(point)
        _check_fixed(T, s)
        return T.jacobian(s)
    s = T.start(_floats(point))
    _check_fixed(T, s)
    matrix = T.jacobian(s)
    return matrix if isinstance(matrix, np.ndarray) else matrix.detach().cpu().double().numpy()


def _check_fixed(T: StepMap, s: Any) -> None:
    """Refuse a point that one step moves by more than rounding of its digits explains."""
    moved = T(s) - s
    if isinstance(moved, sp.MatrixBase):
        sizes = [abs(float(m)) for m in moved if m.is_number]
    else:
        sizes = [float(abs(m)) for m in moved]
    if any(not size <= FIXED for size in sizes):
        raise ValueError(
            f"the point is not fixed: one step of {T!r} moves it by {max(sizes):.3g}. "
            f"Give an equilibrium (gd.equilibria), or take T.jacobian(s) for the Jacobian elsewhere"
        )


def _period_jacobian(T: StepMap, z: Any) -> Any:
    values = T.method.rule.values
    if not isinstance(values, tuple):
        raise NotInThisWorld(
            "spectral_radius",
            "analysis",
            "an aperiodic schedule has none; give a tuple (one period), or measure the rate",
        )
    product = step_jacobian(T.at(0), z)
    for k in range(1, len(values)):
        product = step_jacobian(T.at(k), z) @ product
    return product


def _floats(z: Any) -> Any:
    return z if hasattr(z, "requires_grad") else [float(e) for e in z]


def stability_polynomial(T: StepMap) -> sp.Poly:
    """The characteristic polynomial in ζ of the method's step on the scalar field v(z) = λz.

    An eigenvalue λ of the game Jacobian contracts iff all roots ζ lie strictly inside the unit disc.
    The game of T plays no part.

    Parameters
    ----------
    T : StepMap, or a rule or method

    Returns
    -------
    sympy.Poly
        In ζ, with coefficients in λ and in the method's coefficients.

    Raises
    ------
    NotInThisWorld
        If the step is no function of J's eigenvalues alone (alternating updates, transposes, Hessians).

    Examples
    --------
    >>> import gamedyn as gd, sympy as sp
    >>> gd.stability_polynomial(gd.Extragradient(sp.Symbol("eta")))
    Poly(zeta - eta**2*lambda**2 + eta*lambda - 1, zeta, domain='ZZ[eta,lambda]')
    """
    from gamedyn.rules.method import as_method

    method = T.method if isinstance(T, StepMap) else as_method(T)
    if method.preconditioner is not None:
        raise NotInThisWorld(
            "stability_polynomial", "test", "a preconditioner is nonlinear in the field; use .frozen(state)"
        )
    matrix = linear_jacobian(method, ScalarField(sp.Symbol("lambda")), exact=True)
    p = sp.together(matrix.charpoly(ZETA).as_expr(ZETA))
    return sp.Poly(sp.fraction(p)[0], ZETA)


def step_symbol(parameter: str) -> sp.Symbol:
    """The positive symbol that stands for a method's coefficient: eta for a step size."""
    name = parameter.rpartition(".")[2]
    return sp.Symbol("eta" if name == "lr" else name, positive=True)


def step_polynomial(T: StepMap, z: Any, parameter: str = "lr") -> tuple[sp.Poly, sp.Symbol, Any]:
    """The characteristic polynomial in ζ of DT with one coefficient left free, its symbol and DT."""
    h = step_symbol(parameter)
    point = sp.ImmutableMatrix([exact_number(e) for e in np.ravel(np.asarray(z, dtype=object))])
    free = T.with_parameter(parameter, h)
    matrix = free.jacobian(free.start(point))
    if not _is_exact_point(z):
        matrix = matrix.applyfunc(
            lambda e: e.xreplace({n: sp.Float(n, 17) for n in e.atoms(sp.Rational) if not n.is_Integer})
        )
    return sp.Poly(matrix.charpoly(ZETA).as_expr(ZETA), ZETA), h, matrix


def _is_exact_point(z: Any) -> bool:
    return isinstance(as_point(z), sp.MatrixBase) and not any(sp.sympify(e).has(sp.Float) for e in z)


def stable_steps(T: StepMap, z: Any, parameter: str = "lr") -> StableSteps:
    """For which values of one coefficient the method settles at z.

    Parameters
    ----------
    T : StepMap
        Floats in it become the rationals of their shortest decimals.
    z : `(d,)`
        An equilibrium.  Exact numbers give an exact set; floats a numeric one.
    parameter : str
        The coefficient that is set free, as a positive symbol: "lr", "momentum", "unrolled.lr", "tau".

    Returns
    -------
    StableSteps
        Exact union of intervals; factored conditions where other symbols are free; a labelled numeric
        map beyond extended dimension 8 or 5 s.  Neutral steps are reported apart.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Optimistic(lr=0.1), gd.games.bilinear(1))
    >>> gd.stable_steps(T, [0, 0]).stable
    Interval.open(0, sqrt(3)/3)
    """
    if "exact" not in T.game.worlds or T.dim > MAX_DIMENSION or not _traceable(T):
        return _numeric_region(T, z, parameter)
    p, h, matrix = step_polynomial(T, z, parameter)
    check = _semisimple_check(matrix, h) if not p.free_symbols_in_domain - {h} else None
    return stable_region(p, h, semisimple_check=check)


def _traceable(T: StepMap) -> bool:
    return T.method.preconditioner is None and not is_scheduled(T.method.rule)


def _semisimple_check(matrix: sp.MatrixBase, h: sp.Symbol) -> Callable[[sp.Expr], bool]:
    """Whether every repeated root of the characteristic polynomial on the circle has a full eigenspace."""

    def check(value: sp.Expr) -> bool:
        at = sp.Matrix(matrix.subs(h, value))
        for factor, multiplicity in sp.factor_list(at.charpoly(ZETA).as_expr(ZETA), ZETA)[1]:
            f = sp.Poly(factor, ZETA)
            on_circle = any(abs(abs(complex(r)) - 1) < 1e-12 for r in f.nroots(n=20))
            if multiplicity > 1 and on_circle:
                image = sp.zeros(*at.shape)
                for c in f.all_coeffs():
                    image = image * at + c * sp.eye(at.rows)
                if image.applyfunc(sp.simplify).rank() != at.rows - f.degree() * multiplicity:
                    return False
        return True

    return check


def _numeric_region(T: StepMap, z: Any, parameter: str, samples: int = 400) -> StableSteps:
    """A scan of the spectral radius over SEARCH with bisected ends, labelled numeric."""
    h = step_symbol(parameter)
    radius = _radius_of(T, z, parameter)
    grid = np.geomspace(*SEARCH, samples)
    stable = np.array([radius(x) < 1 for x in grid])
    edges = [_bisect(radius, grid[k], grid[k + 1]) for k in range(samples - 1) if stable[k] != stable[k + 1]]
    ends = ([grid[0]] if stable[0] else []) + edges + ([grid[-1]] if stable[-1] else [])
    pieces = [sp.Interval.open(float(a), float(b)) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    why = f"extended dimension {T.dim} > {MAX_DIMENSION}" if T.dim > MAX_DIMENSION else "no formulas"
    return StableSteps("numeric", sp.Union(*pieces), sp.S.EmptySet, reason=f"{why}; scanned {SEARCH}", parameter=h)


def _radius_of(T: StepMap, z: Any, parameter: str) -> Callable[[float], float]:
    """h -> ρ(DT), in floats."""

    def radius(value: float) -> float:
        moved = T.with_parameter(parameter, float(value))
        matrix = step_jacobian(moved, _floats(as_point(z)))
        if not np.all(np.isfinite(matrix)):
            return np.inf
        return float(np.max(np.abs(np.linalg.eigvals(matrix))))

    return radius


def _bisect(radius: Callable[[float], float], a: float, b: float) -> float:
    inside = radius(a) < 1
    for _ in range(60):
        middle = np.sqrt(a * b)
        a, b = (middle, b) if (radius(middle) < 1) == inside else (a, middle)
    return float(np.sqrt(a * b))


# the best step ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BestStep:
    """The coefficient with the smallest spectral radius, and that radius.

    Attributes
    ----------
    step, rate : sympy.Expr or float
        Exact where a closed form was found, floats otherwise.
    """

    step: Any
    rate: Any

    @property
    def exact(self) -> bool:
        """Whether both are closed forms."""
        return isinstance(self.step, sp.Expr) and isinstance(self.rate, sp.Expr)


def best_step(T: StepMap, z: Any, parameter: str = "lr", region: StableSteps | None = None) -> BestStep | None:
    """The stable step with the fastest asymptotic rate, or None where no step is stable.

    Parameters
    ----------
    T, z, parameter
        As in `stable_steps`.
    region : StableSteps, optional
        The stable set, if already known.

    Returns
    -------
    BestStep or None
        None as well if the radius keeps falling towards the end of an unbounded set (a resolvent).

    Notes
    -----
    The minimum over the stable intervals is bracketed on a grid and refined; its closed form, if any, is
    looked for among the zeros of the discriminant in ζ (where eigenvalues meet) and of the derivative of
    the squared radius.
    """
    region = stable_steps(T, z, parameter) if region is None else region
    if region.kind == "conditions" or region.stable is sp.S.EmptySet:
        return None
    numeric = _numeric_radius(T, z, parameter)
    found = _minimise(numeric, region.stable)
    if found is None:
        return None
    step, rate = found
    if region.kind == "exact":
        for candidate in _candidates(T, z, parameter, step):
            radius = dominant_modulus(_poly_at(T, z, parameter, candidate))
            if radius is not None and float(radius) <= rate + 1e-9:
                return BestStep(candidate, sp.radsimp(sp.sqrtdenest(radius)))
    return BestStep(step, rate)


def _numeric_radius(T: StepMap, z: Any, parameter: str) -> Callable[[float], float]:
    """h -> ρ from the matrix printed once, where the game has formulas."""
    if "exact" not in T.game.worlds:
        return _radius_of(T, z, parameter)
    _, h, matrix = step_polynomial(T, z, parameter)
    function = sp.lambdify(h, sp.Matrix(matrix), "numpy")
    return lambda x: float(np.max(np.abs(np.linalg.eigvals(np.array(function(x), dtype=float)))))


def _minimise(radius: Callable[[float], float], stable: sp.Set) -> tuple[float, float] | None:
    from scipy.optimize import minimize_scalar

    best: tuple[float, float] | None = None
    for piece in stable.args if isinstance(stable, sp.Union) else (stable,):
        low = max(float(piece.start), 0.0)
        unbounded = piece.end == sp.oo
        high = SEARCH[1] if unbounded else float(piece.end)
        grid = np.linspace(low, high, 401)[1:-1] if not unbounded else np.geomspace(SEARCH[0], high, 400)
        values = [radius(x) for x in grid]
        k = int(np.argmin(values))
        if unbounded and k == len(grid) - 1:
            return None
        bracket = (grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)])
        result = minimize_scalar(radius, bounds=bracket, method="bounded", options={"xatol": 1e-12})
        pair = (float(result.x), float(result.fun)) if result.fun < values[k] else (float(grid[k]), values[k])
        best = pair if best is None or pair[1] < best[1] else best
    return best


def _poly_at(T: StepMap, z: Any, parameter: str, value: sp.Expr) -> sp.Poly:
    p, h, _ = step_polynomial(T, z, parameter)
    return sp.Poly(sp.expand(p.as_expr().subs(h, value)), ZETA, extension=True)


def _candidates(T: StepMap, z: Any, parameter: str, near: float) -> list[sp.Expr]:
    """Closed forms close to the numeric optimum, the simplest first."""
    p, h, _ = step_polynomial(T, z, parameter)
    if p.free_symbols_in_domain - {h}:
        return []
    conditions: list[sp.Expr] = []
    for factor, _ in sp.factor_list(sp.fraction(sp.together(p.as_expr()))[0], ZETA)[1]:
        f = sp.Poly(factor, ZETA)
        if f.degree() >= 2:
            conditions.append(f.discriminant())
        if f.degree() == 1:  # ζ = -b/a real: the modulus is least at 0, or where two branches meet
            conditions.append(f.all_coeffs()[1])
        if f.degree() == 2:  # a complex pair: |ζ|² = c/a
            a, _, c = f.all_coeffs()
            conditions.append(sp.numer(sp.together(sp.diff(c / a, h))))
    roots: set[sp.Expr] = set()
    for condition in conditions:
        condition = sp.Poly(sp.numer(sp.together(condition)), h, extension=True)
        if 1 <= condition.degree() <= 8:
            for g, _ in condition.factor_list()[1]:
                if g.degree() <= 2:
                    roots.update(sp.roots(g))
    close = [r for r in roots if r.is_real and abs(float(r) - near) < 1e-4 * max(1.0, near)]
    return sorted(close, key=sp.count_ops)
