"""Games from the literature on what a solution of a min-max problem is, and which of them descent finds.

Each is min over x, max over y of f, with critical points that tell apart local Nash equilibria, local
minimax points (∇²f_yy < 0 and positive Schur complement) and the attractors of descent.  τ is the factor on
the field of the maximising player; τ* the threshold beyond which a critical point attracts the flow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from gamedyn.games.functions import exact_number
from gamedyn.games.quadratics import zero_sum_quadratic
from gamedyn.games.symbolic import Facts, SymbolicGame, zero_sum

__all__ = [
    "adolphs",
    "daskalakis_stable",
    "daskalakis_unstable",
    "fiez_polynomial",
    "fiez_quadratic",
    "jin_cosine",
    "jin_nonsmooth",
    "jin_quadratic",
    "torus",
    "wang_missed_minimax",
    "wang_polynomial",
    "wang_spurious_attractor",
    "zhang_quadratic",
]

FIEZ = "Fiez and Ratliff, ICLR 2021, arXiv:2009.14820."
JIN = "Jin, Netrapalli and Jordan, ICML 2020, arXiv:1902.00618."
WANG = "Wang, Zhang and Ba, ICLR 2020, arXiv:1910.07512."
DASKALAKIS = "Daskalakis and Panageas, NeurIPS 2018, arXiv:1807.03907."

I = sp.I
ORIGIN = (sp.S.Zero, sp.S.Zero)


def fiez_quadratic(v: Any = 4) -> SymbolicGame:
    """The four-dimensional quadratic game on which the time scale decides.

        f = ½(-v x1² + (v/2) x2² - (v/2) y1² - v y2²) - v x1 y1 + (v/2) x2 y2

    For v = 4 the origin is a local minimax point that is no local Nash equilibrium; τ-descent is attracted by it iff
    τ > τ* = 2.

    Parameters
    ----------
    v : number or Symbol
        Scale of the whole game.

    References
    ----------
    .. [1] Fiez and Ratliff, ICLR 2021, arXiv:2009.14820.
    """
    v = exact_number(v)
    half = v / 2
    pairs = [(-v / 4, v * sp.sqrt(7) / 4), (3 * v / 4, v * sp.sqrt(3) / 4)]
    spectrum = tuple(a + s * I * b for a, b in pairs for s in (1, -1))
    game = zero_sum_quadratic(sp.diag(-v, half), sp.diag(-v, half), sp.diag(half, v))
    note = "Local minimax, not Nash; unstable at τ = 1, stable iff τ > 2."
    return _renamed(game, "Fiez-Ratliff quadratic", Facts(FIEZ, (ORIGIN * 2,), (spectrum,), note))


def fiez_polynomial() -> SymbolicGame:
    """The polynomial with a Gaussian envelope and several kinds of critical points.

        f = -exp(-(x² + y²)/100) ((0.3x² + y)² + (0.3y² + x)²)

    (-11.02974, -11.02974) and (-1.62165, -1.62165) attract τ-descent iff τ > 1; (10.57216, -8.95174) is a strict
    local Nash equilibrium and attracts for every τ.

    References
    ----------
    .. [1] Fiez and Ratliff, ICLR 2021, arXiv:2009.14820.
    """
    points = [("-11.02974", "-11.02974"), ("-1.62165", "-1.62165"), ("10.57216", "-8.95174")]
    return zero_sum(
        "-exp(-0.01*(x**2 + y**2))*((0.3*x**2 + y)**2 + (0.3*y**2 + x)**2)",
        min="x",
        max="y",
        name="Fiez-Ratliff polynomial",
        facts=Facts(FIEZ, tuple(decimals(*p) for p in points), (), "τ* = 1, 1 and 0, in this order."),
    )


def torus() -> SymbolicGame:
    """A game of two angles with two competing attractors.

        f = -0.15 cos x + cos(x - y) + 0.15 cos y

    (0, 0) attracts τ-descent iff τ > 0.85/1.15, (π, π) iff τ > 1.15/0.85, so that τ decides between one and both.
    The coordinates are angles, but orbits are not wrapped.

    References
    ----------
    .. [1] Fiez and Ratliff, ICLR 2021, arXiv:2009.14820.
    """
    eigenvalue = sp.Rational(3, 20)
    return zero_sum(
        "-0.15*cos(x) + cos(x - y) + 0.15*cos(y)",
        min="x",
        max="y",
        name="torus",
        facts=Facts(
            FIEZ,
            (ORIGIN, (sp.pi, sp.pi)),
            ((eigenvalue, eigenvalue), (-eigenvalue, -eigenvalue)),
            "Double real eigenvalues; τ* = 0.7391 and 1.3529.",
        ),
    )


def jin_quadratic() -> SymbolicGame:
    """A local minimax point that is no local Nash equilibrium, in two dimensions.

        f = -x² + 5xy - y²

    At the origin f_xx = -2, but the Schur complement f_xx - f_xy²/f_yy = 10.5 is positive.  At τ = 1 the
    eigenvalues are imaginary; descent is attracted iff τ > 1.

    References
    ----------
    .. [1] Jin, Netrapalli and Jordan, ICML 2020, arXiv:1902.00618.
    """
    root = sp.sqrt(21)
    return _quadratic(-2, 5, 2, "Jin quadratic", Facts(JIN, (ORIGIN,), ((I * root, -I * root),), "τ* = 1."))


def jin_cosine() -> SymbolicGame:
    """Global minimax points that are not stationary, on a box.

        f = 0.2xy - cos y,    x ∈ [-1, 1],  y ∈ [-2π, 2π]

    The global minimax points (0, ±π) have value 1, but f_x = ±0.2π there: they are no zeros of v, and no
    first-order method rests at them.  The zero of v at the origin repels.

    References
    ----------
    .. [1] Jin, Netrapalli and Jordan, ICML 2020, arXiv:1902.00618.
    """
    root = sp.sqrt(21) / 10
    facts = Facts(
        JIN,
        (ORIGIN,),
        ((root - sp.Rational(1, 2), -root - sp.Rational(1, 2)),),
        "Global minimax (0, ±π), not stationary.",
    )
    game = zero_sum("0.2*x*y - cos(y)", min="x", max="y", name="Jin cosine", facts=facts)
    return game.constrained({"x": (-1, 1), "y": (-2 * sp.pi, 2 * sp.pi)})


def jin_nonsmooth() -> SymbolicGame:
    """Global minimax points on the boundary, with a maximised function that has a kink.

        f = y² - 2xy,    x, y ∈ [-1, 1],    max over y of f = 1 + 2|x|

    The global minimax points are (0, ±1); the only zero of v, the origin, repels.

    References
    ----------
    .. [1] Jin, Netrapalli and Jordan, ICML 2020, arXiv:1902.00618.
    """
    root = I * sp.sqrt(3)
    facts = Facts(JIN, (ORIGIN,), ((-1 + root, -1 - root),), "Global minimax (0, ±1), on the boundary.")
    game = zero_sum("y**2 - 2*x*y", min="x", max="y", name="Jin nonsmooth", facts=facts)
    return game.constrained({"x": (-1, 1), "y": (-1, 1)})


def wang_missed_minimax() -> SymbolicGame:
    """A local minimax point that descent runs away from (g₁ of the paper).

        f = -3x² - y² + 4xy

    The trace of J is -4, so simultaneous descent diverges; Follow-the-Ridge has the real eigenvalues (2, 2).

    References
    ----------
    .. [1] Wang, Zhang and Ba, ICLR 2020, arXiv:1910.07512.
    """
    return _quadratic(
        -6, 4, 2, "Wang g1", Facts(WANG, (ORIGIN,), ((sp.Integer(-2),) * 2,), "Local minimax, repels descent.")
    )


def wang_spurious_attractor() -> SymbolicGame:
    """A point that attracts descent and is no local minimax point (g₂ of the paper).

        f = 3x² + y² + 4xy

    The maximising player sits at a minimum of its payoff.  Follow-the-Ridge has the eigenvalues (-2, -2).

    References
    ----------
    .. [1] Wang, Zhang and Ba, ICLR 2020, arXiv:1910.07512.
    """
    facts = Facts(WANG, (ORIGIN,), ((sp.Integer(2),) * 2,), "Not local minimax, attracts descent.")
    return _quadratic(6, 4, -2, "Wang g2", facts)


def wang_polynomial() -> SymbolicGame:
    """A nonquadratic game whose local minimax point at the origin descent misses (g₃ of the paper).

        f = (0.4x² - 0.1(y - 3x + 0.05x³)² - 0.01y⁴) exp(-(x² + y²)/100)

    From (7, 5) simultaneous descent with lr = 0.05 ends at (1.69, 2.37) after 1000 steps; Follow-the-Ridge
    converges to the origin.

    References
    ----------
    .. [1] Wang, Zhang and Ba, ICLR 2020, arXiv:1910.07512.
    """
    return zero_sum(
        "(0.4*x**2 - 0.1*(y - 3*x + 0.05*x**3)**2 - 0.01*y**4)*exp(-0.01*(x**2 + y**2))",
        min="x",
        max="y",
        name="Wang g3",
        facts=Facts(WANG, (ORIGIN,), ((sp.Rational(-2, 5),) * 2,), "Local minimax, repels descent."),
    )


def daskalakis_stable() -> SymbolicGame:
    """An attractor of simultaneous descent that is no local minimum in x.

        f = -x²/8 - y²/2 + 0.6xy

    Eigenvalues 0.2 and 0.55 although f_xx < 0: the coupling stabilises what each player alone would leave.

    References
    ----------
    .. [1] Daskalakis and Panageas, NeurIPS 2018, arXiv:1807.03907.
    """
    spectrum = (sp.Rational(1, 5), sp.Rational(11, 20))
    facts = Facts(DASKALAKIS, (ORIGIN,), (spectrum,), "Stable for descent, not a local min-max point.")
    return _quadratic(sp.Rational(-1, 4), sp.Rational(3, 5), 1, "Daskalakis-Panageas stable", facts)


def daskalakis_unstable() -> SymbolicGame:
    """A point with imaginary eigenvalues, stable for optimistic steps only.

        f = x²/2 + y²/2 + 4xy

    Eigenvalues ±i√15: simultaneous descent diverges for every lr, optimistic descent converges iff lr < 1/√45.

    References
    ----------
    .. [1] Daskalakis and Panageas, NeurIPS 2018, arXiv:1807.03907.
    """
    root = I * sp.sqrt(15)
    facts = Facts(DASKALAKIS, (ORIGIN,), ((root, -root),), "Optimistic descent is stable iff lr < 1/√45.")
    return _quadratic(1, 4, -1, "Daskalakis-Panageas unstable", facts)


def adolphs() -> SymbolicGame:
    """One Nash equilibrium, and a second attractor of descent that is none.

        f = 2x² + y² + 4xy + (4/3)y³ - y⁴/4

    The origin attracts descent although f_yy = 2 > 0; (-2 - √2, 2 + √2) is a local Nash equilibrium;
    (-2 + √2, 2 - √2) is unstable.

    References
    ----------
    .. [1] Adolphs et al., AISTATS 2019, arXiv:1805.05751.
    """
    r = sp.sqrt(2)
    far, near = I * sp.sqrt(1 + 2 * r), sp.sqrt(2 * r - 1)
    return zero_sum(
        "2*x**2 + y**2 + 4*x*y + 4/3*y**3 - y**4/4",
        min="x",
        max="y",
        name="Adolphs",
        facts=Facts(
            "Adolphs et al., AISTATS 2019, arXiv:1805.05751.",
            (ORIGIN, (-2 - r, 2 + r), (-2 + r, 2 - r)),
            (
                (1 + I * sp.sqrt(7), 1 - I * sp.sqrt(7)),
                (2 + 2 * r + 2 * far, 2 + 2 * r - 2 * far),
                (2 - 2 * r + 2 * near, 2 - 2 * r - 2 * near),
            ),
            "Stable non-Nash, Nash, unstable, in this order.",
        ),
    )


def zhang_quadratic(mu: Any = sp.Rational(1, 10)) -> SymbolicGame:
    """A strongly monotone quadratic whose condition number separates alternating from simultaneous steps.

        f = (μ/2)x² + xy - (μ/2)y²

    With the best step sizes, 1 - ρ falls like κ⁻² for simultaneous and like κ⁻¹ for alternating descent.

    Parameters
    ----------
    mu : number or Symbol
        μ; the condition number is of order 1/μ.

    References
    ----------
    .. [1] Zhang et al., AISTATS 2022, arXiv:2102.09468.
    """
    mu = exact_number(mu)
    source = "Zhang et al., AISTATS 2022, arXiv:2102.09468."
    return _quadratic(mu, 1, mu, "Zhang quadratic", Facts(source, (ORIGIN,), ((mu + I, mu - I),), "J = μI + rotation."))


# construction ----------------------------------------------------------------------------------------


def decimals(*texts: str) -> tuple[sp.Expr, ...]:
    """Decimals with the precision of their digits."""
    return tuple(sp.Float(text, "") for text in texts)


def _quadratic(p: Any, a: Any, q: Any, name: str, facts: Facts) -> SymbolicGame:
    """½px² + axy - ½qy²."""
    return _renamed(zero_sum_quadratic(p, a, q), name, facts)


def _renamed(game: SymbolicGame, name: str, facts: Facts) -> SymbolicGame:
    return replace(game, name=name, facts=facts)
