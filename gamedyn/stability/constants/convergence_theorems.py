"""Published conditions of convergence, read off the constants of a game."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gamedyn.stability.constants.constant import Constant

__all__ = ["Theorem", "theorems"]

CONTRACTION = "Facchinei & Pang 2003, 12.1"
AVERAGED = "Bauschke & Combettes 2017, 26.1"


@dataclass(frozen=True)
class Theorem:
    """One published condition and what the constants say about it.

    Attributes
    ----------
    method : str
    condition : str
        On the field and the step η.
    holds : bool or None
        True and False where the constants prove it, None where they do not decide.
    steps : tuple of float, or None
        (low, high): steps between them are covered; None unless it holds.
    source : str
    """

    method: str
    condition: str
    holds: bool | None
    steps: tuple[float, float] | None
    source: str

    def __repr__(self) -> str:
        verdict = {True: "holds", False: "fails", None: "undecided"}[self.holds]
        steps = ""
        if self.steps is not None:
            low, high = self.steps
            if low == high:
                steps = f", η = {high:.6g}"
            else:
                steps = f", {low:.6g} < η" + (f" < {high:.6g}" if math.isfinite(high) else "")
        return f"{verdict:<9} {self.method}: {self.condition}{steps} [{self.source}]"


def theorems(
    mu: Constant, L: Constant, cocoercive: Constant, comonotone: Constant, weak: Constant | None
) -> list[Theorem]:
    """The list, from the strongest assumption to the weakest.

    Weak Minty in the convention ⟨v(z), z - z*⟩ >= -(rho/2)|v(z)|².

    Examples
    --------
    >>> c = [Constant.exact(x, cautious=end) for x, end in ((0, "low"), (2, "high"), (0, "low"), (0, "low"))]
    >>> [t for t in theorems(*c, None) if t.method == "Extragradient"]
    [holds     Extragradient: monotone, η < 1/L, 0 < η < 0.5 [Korpelevich 1976]]
    """
    above, below = _inverse(L.high if L.proven else math.inf), _inverse(L.low)  # 1/L lies between them
    monotone = _decide(mu.low >= 0, mu.high < 0)
    found = [
        _row("Simultaneous", "mu > 0, η < 2 mu/L²", _above(mu, 0.0), (0.0, 2 * mu.low * above**2), CONTRACTION, L),
        _row("Simultaneous", "beta > 0, η < 2 beta", _above(cocoercive, 0.0), (0.0, 2 * cocoercive.low), AVERAGED),
        _row("Extragradient", "monotone, η < 1/L", monotone, (0.0, above), "Korpelevich 1976", L),
        _row("Optimistic", "monotone, η < 1/(2L)", monotone, (0.0, above / 2), "Malitsky & Tam 2020", L),
        _row(
            "ProximalPoint", "rho-comonotone", _above(comonotone, -math.inf),
            (max(0.0, -2 * comonotone.low), math.inf), "Bauschke et al. 2021",
        ),
        _row(
            "FEG", "rho-comonotone, rho > -1/(2L)",
            _decide(comonotone.low > -above / 2, comonotone.high <= -below / 2), (above, above), "Lee & Kim 2021", L,
        ),
    ]  # fmt: skip
    if weak is not None:
        found.append(
            _row(
                "EG+", "weak Minty, rho < 1/(4L), extrapolation 2η",
                _decide(weak.high < above / 4, weak.low >= below / 4), (above / 2, above / 2),
                "Diakonikolas et al. 2021", L,
            )
        )  # fmt: skip
    return found


def _row(
    method: str,
    condition: str,
    holds: bool | None,
    steps: tuple[float, float],
    source: str,
    L: Constant | None = None,
) -> Theorem:
    """One line; a condition with L in it also needs a proven, finite L."""
    if holds and L is not None and not (L.proven and math.isfinite(L.high)):
        holds = None
    return Theorem(method, condition, holds, steps if holds else None, source)


def _inverse(L: float) -> float:
    if math.isnan(L):
        return math.nan
    return 1 / L if L > 0 else math.inf


def _above(c: Constant, bound: float) -> bool | None:
    return _decide(c.low > bound, c.high <= bound)


def _decide(proven: bool, refuted: bool) -> bool | None:
    return True if proven else False if refuted else None
