"""Where a field jumps, and where its Jacobian has no bound: no constant of J speaks for pairs of points across.

    v jumps at f(z) = 0 where the limits of v from f > 0 and from f < 0 differ                        (1)

f are the polynomials, without factors, whose sign v asks for by sign, Heaviside, Abs or the conditions of a Piecewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from gamedyn.stability.constants.field_formula import FieldFormula
from gamedyn.stability.intervals.intervals import IntervalFunction

__all__ = ["Jump", "jump_text", "jumps", "unbounded"]

_STEPS = (sp.floor, sp.ceiling, sp.frac)
_ASKING = (sp.sign, sp.Heaviside, sp.Abs, Relational)
_DEPTH = 2.0**-20  # of the box; where J has no bound on so small a part, it has none
_BOXES = 4096
_AT_ONCE = 8  # few, so that depth comes first


class Jump(NamedTuple):
    """The surface f = 0, and where f is of degree 1 in a variable: that variable and its value there."""

    surface: sp.Expr
    solved: tuple[sp.Symbol, sp.Expr] | None = None


def jumps(f: FieldFormula, low: np.ndarray, high: np.ndarray) -> list[Jump]:
    """Surfaces that meet a box `(d,)`, `(d,)` and across which v is not shown to be continuous.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.stability.constants.field_formula import field_formula
    >>> everywhere = np.full(2, -np.inf), np.full(2, np.inf)
    >>> kink, step = (field_formula(gd.zero_sum(c, min="x", max="y")) for c in ("abs(x)**3 - y**2", "abs(x) - y**2"))
    >>> jumps(kink, *everywhere), jump_text(step, jumps(step, *everywhere)[0])
    ([], 'v jumps where x = 0')
    """
    found: dict[sp.Expr, Jump] = {}
    for e in f.v:
        for surface, certain in _surfaces(e, f.z).items():
            if surface not in found and not _excluded(surface, f.z, low, high):
                jump = _solved(surface, f.z)
                if not _continuous(e, jump, f.z, certain):
                    found[surface] = jump
    return list(found.values())


def jump_text(f: FieldFormula, jump: Jump) -> str:
    """In words, with the names of the game."""
    names = dict(zip(f.z, map(sp.Symbol, f.names), strict=True))
    left, right = (jump.surface, sp.S.Zero) if jump.solved is None else jump.solved
    verb = "may jump" if jump.solved is None else "jumps"
    return f"v {verb} where {left.xreplace(names)} = {right.xreplace(names)}"


def _surfaces(e: sp.Expr, z: Sequence[sp.Symbol]) -> dict[sp.Expr, bool]:
    """The surfaces of (1), and whether something other than Abs asks for their sign."""
    found: dict[sp.Expr, bool] = {}
    for node in e.atoms(*_STEPS):
        found[sp.sin(sp.pi * node.args[0])] = True
    for node in e.atoms(*_ASKING):
        g, stepping = _asked(node), not isinstance(node, sp.Abs)
        if not g.has(*z):
            continue
        if not g.is_polynomial(*z):
            if stepping:
                found[g] = True
            continue
        for factor, _ in sp.factor_list(g, *z)[1]:
            found[factor] = found.get(factor, False) or stepping
    return found


def _asked(node: Any) -> sp.Expr:
    return node.lhs - node.rhs if isinstance(node, Relational) else node.args[0]


def _excluded(surface: sp.Expr, z: Sequence[sp.Symbol], low: np.ndarray, high: np.ndarray) -> bool:
    try:
        a, b = IntervalFunction([surface], z)(low[:, None], high[:, None])
    except ValueError:
        return False
    return bool(a[0, 0] > 0 or b[0, 0] < 0)


def _solved(surface: sp.Expr, z: Sequence[sp.Symbol]) -> Jump:
    if surface.is_polynomial(*z):
        for s in z:
            p = sp.Poly(surface, s)
            if p.degree() == 1 and not p.nth(1).has(*z):
                return Jump(surface, (s, sp.expand(-p.nth(0) / p.nth(1))))
    return Jump(surface)


def _continuous(e: sp.Expr, jump: Jump, z: Sequence[sp.Symbol], certain: bool) -> bool:
    """Whether the two limits of (1) are shown to be equal; kinks on unsolved surfaces pass."""
    if not jump.surface.is_polynomial(*z):
        return not certain
    difference = one_side(e, jump.surface, 1, z) - one_side(e, jump.surface, -1, z)
    if jump.solved is not None:
        s, value = jump.solved
        difference = sp.expand(difference)
        return bool(sp.simplify(difference.xreplace({s: value})) == 0)
    if not certain:
        return True
    difference = sp.expand(difference)
    return bool(difference.is_polynomial(*z) and sp.div(difference, jump.surface, *z)[1] == 0)


def one_side(e: sp.Expr, surface: sp.Expr, side: int, z: Sequence[sp.Symbol]) -> sp.Expr:
    """e where the surface's polynomial has the sign `side`."""
    table: dict[Any, Any] = {}
    for node in e.atoms(*_ASKING):
        g, k = _asked(node), 0
        if not (g.has(*z) and g.is_polynomial(*z)):
            continue
        while True:
            quotient, rest = sp.div(g, surface, *z)
            if rest != 0:
                break
            g, k = quotient, k + 1
        if k and isinstance(node, sp.Abs):
            table[node] = (side * surface) ** k * sp.Abs(g)
        elif k:
            g *= side**k
            table[node] = node.func(g, 0) if isinstance(node, Relational) else node.func(g)
    return e.xreplace(table)


# bounds ------------------------------------------------------------------------------------------------


def unbounded(
    expressions: Sequence[sp.Expr], z: Sequence[sp.Symbol], low: np.ndarray, high: np.ndarray
) -> dict[sp.Symbol, float] | None:
    """A place in a box near which an expression has no bound however small the part; None if none was met.

    Raises
    ------
    ValueError
        If an expression has a parameter, or a function without interval bounds.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> unbounded([1 / x, x * y], [x, y], np.array([-1.0, -1]), np.array([2.0, 1]))
    {x: 0.0}
    >>> unbounded([1 / (x**2 - x + 1)], [x, y], np.array([-1.0, -1]), np.array([2.0, 1])) is None
    True
    """
    bounds = IntervalFunction(expressions, z)
    a, b, count = low[:, None], high[:, None], 1
    active: list[int] | None = None
    while a.shape[1]:
        few = slice(-_AT_ONCE, None)
        below, above = bounds(a[:, few], b[:, few])
        finite = np.isfinite(below) & np.isfinite(above)
        if active is None:
            active = [
                k
                for k, s in enumerate(z)
                if any(e.has(s) for e, ok in zip(expressions, finite, strict=True) if not ok[0])
            ]
        bad = ~finite.all(axis=0)
        left, right = a[:, few][:, bad], b[:, few][:, bad]
        a, b = a[:, :-_AT_ONCE], b[:, :-_AT_ONCE]
        if not left.shape[1]:
            continue
        shares = ((right - left) / (high - low)[:, None])[active]
        last = shares.max(axis=0, initial=0.0) <= _DEPTH
        if last.any():
            point = (left / 2 + right / 2)[:, last.argmax()]
            unit = 1e-5 * (high - low)
            return {z[k]: float(np.round(point[k] / unit[k]) * unit[k]) + 0.0 for k in active}
        if count >= _BOXES:
            return None
        k, n = np.array(active)[shares.argmax(axis=0)], np.arange(left.shape[1])
        cut, upper, lower = left[k, n] / 2 + right[k, n] / 2, right.copy(), left.copy()
        upper[k, n] = lower[k, n] = cut
        a, b = np.concatenate([a, left, lower], axis=1), np.concatenate([b, upper, right], axis=1)
        count += 2 * left.shape[1]
    return None
