"""What `constants` returns: the constants of a game, their labels, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gamedyn.stability.constants.constant import Constant
from gamedyn.stability.constants.convergence_theorems import Theorem, theorems

__all__ = ["GameConstants"]


@dataclass(frozen=True, eq=False)
class GameConstants:
    """The constants of a game, each with its label.

    Attributes
    ----------
    name : str
    where : str
        Where they hold.
    mu, L : Constant
        (1); mu < 0 is hypomonotone.
    cocoercive : Constant
        The largest beta of (2) if positive, else 0: none.
    comonotone : Constant
        The largest rho of (2), of any sign; -inf if there is none.
    weak_minty : Constant or None
        The smallest rho of (3); None if no solution z* was named.
    curvature : tuple of Constant
        Of every player's cost in its own variables, λ_min of its block of S.
    coupling : mapping (i, j) -> Constant
        Norms of the blocks of J: how much player i's gradient follows player j.
    players : tuple of str
    note : str
    """

    name: str
    where: str
    mu: Constant
    L: Constant
    cocoercive: Constant
    comonotone: Constant
    weak_minty: Constant | None
    curvature: tuple[Constant, ...]
    coupling: Mapping[tuple[int, int], Constant]
    players: tuple[str, ...]
    note: str = ""

    def theorems(self) -> list[Theorem]:
        """Which published conditions of convergence hold, and for which steps."""
        return theorems(self.mu, self.L, self.cocoercive, self.comonotone, self.weak_minty)

    def certify_arguments(self) -> dict[str, float]:
        """The class as keywords of `gd.certify`: monotone (mu, L), else negatively comonotone (rho, L).

        Raises
        ------
        ValueError
            If nothing of the kind is proven.

        Examples
        --------
        >>> import gamedyn as gd
        >>> from gamedyn.stability.constants.constants import constants
        >>> constants(gd.zero_sum("x**2/2 + x*y - y**2/2", min="x", max="y")).certify_arguments()
        {'mu': 1.0, 'L': 1.41421...}
        """
        if not self.L.proven or not math.isfinite(self.L.high):
            raise ValueError(f"a certificate needs a proven, finite L, and this one is {self.L!r}")
        if self.mu.proven and self.mu.low >= 0:
            L = max(self.L.high, self.mu.low)
            return {"mu": self.mu.low, "L": L} if self.mu.low > 0 else {"L": L}
        if self.comonotone.proven and -math.inf < self.comonotone.low < 0:
            return {"rho": -self.comonotone.low, "L": self.L.high}
        raise ValueError(
            f"no class of `certify` is proven: mu {self.mu.text}, comonotone {self.comonotone.text}; take a smaller "
            f"box, or an operator of gd.claims"
        )

    def line(self) -> str:
        """The constants on one line of at most 100 characters."""
        parts = [f"mu = {self.mu.short}", f"L = {self.L.short}"]
        if math.isinf(self.comonotone.low) and self.comonotone.kind == "certified":
            parts.append(f"comonotone <= {self.comonotone.high:.6g}")
        else:
            parts.append(f"comonotone {self.comonotone.short}")
        kinds = {c.kind for c in (self.mu, self.L, self.comonotone)}
        order = ("estimate", "certified", "numeric", "exact")
        parts.append(next(k for k in order if k in kinds))
        return f"{', '.join(parts)} ({self.where})".replace("= >=", ">= ").replace("= <=", "<= ")[:100]

    def __repr__(self) -> str:
        rows = [
            ("mu", self.mu), ("L", self.L), ("cocoercive", self.cocoercive), ("comonotone", self.comonotone),
        ]  # fmt: skip
        if self.weak_minty is not None:
            rows.append(("weak Minty", self.weak_minty))
        rows += [(f"curvature of {n}", c) for n, c in zip(self.players, self.curvature, strict=True)]
        rows += [(f"norm of {self.players[i]}, {self.players[j]}", c) for (i, j), c in self.coupling.items()]
        width = max(len(label) for label, _ in rows)
        lines = [f"Constants of '{self.name}', {self.where}"]
        lines += [f"  {label:<{width}}  {value!r}" for label, value in rows]
        lines += [f"  {t!r}" for t in self.theorems() if t.holds]
        return "\n".join([*lines, f"note: {self.note}"] if self.note else lines)
