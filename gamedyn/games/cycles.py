"""Games from the literature whose orbits need not converge: cycles, repelling equilibria, selfish drift."""

from __future__ import annotations

from typing import Any

import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.minimax import ORIGIN, decimals
from gamedyn.games.symbolic import Facts, Game, SymbolicGame, field_game, zero_sum

__all__ = [
    "almost_bilinear",
    "forsaken",
    "global_forsaken",
    "market",
    "no_convergence",
    "polar",
    "quartic",
    "tandem",
]

LETCHER = "Letcher, ICLR 2021, arXiv:2005.12649."
HSIEH = "Hsieh, Mertikopoulos and Cevher, ICML 2021, arXiv:2006.09065."
PETHICK = "Pethick et al., ICLR 2022, arXiv:2302.09831."

I = sp.I


def quartic(a: Any = sp.Rational(1, 10)) -> SymbolicGame:
    """A rotation that a quartic slowly damps.

        f = xy + a(x⁴ - y⁴)

    The eigenvalues at the origin are ±i whatever a is: linear analysis decides nothing there, the flow spirals
    inwards for a > 0.  A cheap nonlinear benchmark.

    Parameters
    ----------
    a : number or Symbol
        Weight of the quartic terms.
    """
    a, x, y = exact_number(a), *_xy()
    facts = Facts("Standard test problem.", (ORIGIN,), ((I, -I),), "Damped by the quartic terms only.")
    return zero_sum(x * y + a * (x**4 - y**4), min="x", max="y", name="quartic", facts=facts)


def tandem() -> SymbolicGame:
    """Two players who share the work and each prefer the other to do it.

        c₁ = (x + y)² - 2x,    c₂ = (x + y)² - 2y

    Every point with x + y = 1 is an equilibrium, with eigenvalues 0 and 4.  Methods that shape the opponent (LOLA
    with step α) overshoot and rest at x + y = (1 - 2α)/(1 - 4α), which is worse for both.

    References
    ----------
    .. [1] Letcher et al., ICLR 2019, arXiv:1811.08469.
    """
    half = sp.Rational(1, 2)
    return Game(
        ["(x + y)**2 - 2*x", "(x + y)**2 - 2*y"],
        players=["x", "y"],
        name="tandem",
        facts=Facts(
            "Letcher et al., ICLR 2019, arXiv:1811.08469.",
            ((half, half),),
            ((sp.S.Zero, sp.Integer(4)),),
            "The line x + y = 1 consists of equilibria.",
        ),
    )


def no_convergence() -> SymbolicGame:
    """A zero-sum game with bounded orbits on which no reasonable method converges.

        f = xy - x²/2 + y²/2 + x⁴/4 - y⁴/4

    The only critical point, the origin, has the eigenvalues -1 ± i: every method that avoids strict maxima must
    avoid it, and orbits cycle.

    References
    ----------
    .. [1] Letcher, ICLR 2021, arXiv:2005.12649.
    """
    facts = Facts(LETCHER, (ORIGIN,), ((-1 + I, -1 - I),), "The only critical point repels; orbits are bounded.")
    f = "x*y - x**2/2 + y**2/2 + x**4/4 - y**4/4"
    return zero_sum(f, min="x", max="y", name="no convergence", facts=facts)


def market() -> SymbolicGame:
    """A general-sum game of two firms whose only critical point repels.

        c₁ = x⁶/6 - x²/2 + xy + ¼(y⁴/(1 + x²) - x⁴/(1 + y²))
        c₂ = y⁶/6 - y²/2 - xy - ¼(y⁴/(1 + x²) - x⁴/(1 + y²))

    Eigenvalues -1 ± i at the origin, and each cost grows without bound in the player's own variable: orbits have
    nothing to converge to.

    References
    ----------
    .. [1] Letcher, ICLR 2021, arXiv:2005.12649.
    """
    trade = "(y**4/(1 + x**2) - x**4/(1 + y**2))/4"
    return Game(
        [f"x**6/6 - x**2/2 + x*y + {trade}", f"y**6/6 - y**2/2 - x*y - {trade}"],
        players=["x", "y"],
        name="market",
        facts=Facts(LETCHER, (ORIGIN,), ((-1 + I, -1 - I),), "The only critical point repels."),
    )


def forsaken() -> SymbolicGame:
    """A stable equilibrium that orbits from outside never reach: a repelling cycle shields it.

        f = x(y - 0.45) + φ(x) - φ(y),    φ(z) = z²/4 - z⁴/2 + z⁶/6

    The equilibrium attracts (eigenvalues 0.0447 ± 0.908i), an unstable cycle surrounds it, and the orbits outside
    settle on a larger stable cycle.

    References
    ----------
    .. [1] Hsieh, Mertikopoulos and Cevher, ICML 2021, arXiv:2006.09065.
    """
    return zero_sum(
        "x*(y - 0.45) + x**2/4 - x**4/2 + x**6/6 - (y**2/4 - y**4/2 + y**6/6)",
        min="x",
        max="y",
        name="forsaken",
        facts=Facts(
            HSIEH,
            (decimals("0.078027", "0.411934"),),
            (_conjugates("0.044746", "0.908028"),),
            "Two cycles: the inner one repels, the outer one attracts.",
        ),
    )


def almost_bilinear(epsilon: Any = sp.Rational(1, 100)) -> SymbolicGame:
    """A bilinear game with a small perturbation that creates a stable cycle.

        f = xy + ε(y²/2 - y⁴/4)

    For small ε the cycle is the circle x² + y² = 4/3.  The origin repels.

    Parameters
    ----------
    epsilon : number or Symbol
        ε > 0, small.

    References
    ----------
    .. [1] Hsieh, Mertikopoulos and Cevher, ICML 2021, arXiv:2006.09065.
    """
    e, x, y = exact_number(epsilon), *_xy()
    root = sp.sqrt(e**2 / 4 - 1)
    facts = Facts(HSIEH, (ORIGIN,), ((-e / 2 + root, -e / 2 - root),), "Stable cycle of radius √(4/3) as ε → 0.")
    f = x * y + e * (y**2 / 2 - y**4 / 4)
    return zero_sum(f, min="x", max="y", name="almost bilinear", facts=facts)


def polar(a: Any = sp.Rational(1, 3)) -> SymbolicGame:
    """A field with an attracting and a repelling cycle, both circles.

        v = (ψ(x, y) - y, ψ(y, x) + x),    ψ(x, y) = (a/16) x (r² - 1)(16r² - 9),    r² = x² + y²

    ⟨z, v⟩ vanishes on r = 1, which attracts, and on r = 3/4, which repels; the origin attracts from inside.
    Given by its field: grad and hvp are missing.

    Parameters
    ----------
    a : number or Symbol
        a > 0.

    References
    ----------
    .. [1] Pethick et al., ICLR 2022, arXiv:2302.09831.
    """
    a, x, y = exact_number(a), *_xy()
    r2 = x**2 + y**2
    radial = a / 16 * (r2 - 1) * (16 * r2 - 9)
    damping = 9 * a / 16
    facts = Facts(PETHICK, (ORIGIN,), ((damping + I, damping - I),), "Cycles r = 1 (attracts) and r = 3/4 (repels).")
    return field_game([x * radial - y, y * radial + x], players=["x", "y"], name="polar", facts=facts)


def global_forsaken() -> SymbolicGame:
    """The forsaken game with other wells: again cycles around a stable equilibrium.

        f = x(y - 0.45) + φ(x) - φ(y),    φ(z) = 2z⁶/21 - z⁴/3 + z²/3

    References
    ----------
    .. [1] Pethick et al., ICLR 2022, arXiv:2302.09831.
    """
    return zero_sum(
        "x*(y - 0.45) + 2*x**6/21 - x**4/3 + x**2/3 - (2*y**6/21 - y**4/3 + y**2/3)",
        min="x",
        max="y",
        name="global forsaken",
        facts=Facts(
            PETHICK, (decimals("0.17672", "0.33945"),), (_conjugates("0.394", "0.989"),), "The equilibrium attracts."
        ),
    )


def _xy() -> tuple[sp.Symbol, sp.Symbol]:
    return sp.Symbol("x", real=True), sp.Symbol("y", real=True)


def _conjugates(real: str, imaginary: str) -> tuple[sp.Expr, sp.Expr]:
    a, b = decimals(real, imaginary)
    return a + I * b, a - I * b
