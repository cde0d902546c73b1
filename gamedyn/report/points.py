"""One equilibrium as a block of text and as data: J = S + A, spectrum, rotation."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.report import text
from gamedyn.report.local import number
from gamedyn.stability.equilibria.equilibria import Equilibrium
from gamedyn.stability.nonnormal.transient import TransientGrowth, transient_growth

MATRIX_DIMENSION = 4  # up to here J, S and A are shown
GROWTH_DIMENSION = 12  # up to here transient growth takes milliseconds
GROWTH = 2.0  # from here on it is mentioned


@dataclass(frozen=True, eq=False)
class PointReport:
    """An equilibrium with its J = S + A.

    Attributes
    ----------
    equilibrium : Equilibrium
    share : float or None
        ‖A‖/‖J‖ in the Frobenius norm: 0 for a potential game, 1 for a Hamiltonian one; None with free parameters.
    angle : float or None
        The largest |arg λ(J)| in radians.
    growth : TransientGrowth or None
        How far the flow grows before it decays, where it is stable; None elsewhere, and with free parameters.
    """

    equilibrium: Equilibrium
    share: float | None
    angle: float | None
    growth: TransientGrowth | None = None

    @property
    def symmetric(self) -> Any:
        """S = (J + Jᵀ)/2, the potential part `(d, d)`."""
        return (self.equilibrium.jacobian + self.equilibrium.jacobian.T) / 2

    @property
    def antisymmetric(self) -> Any:
        """A = (J - Jᵀ)/2, the Hamiltonian part `(d, d)`."""
        return (self.equilibrium.jacobian - self.equilibrium.jacobian.T) / 2

    def lines(self) -> list[str]:
        """The block of the screen."""
        e = self.equilibrium
        algebraic = any(isinstance(x, sp.Expr) and x.has(sp.CRootOf) for x in e.point)
        known = "algebraic numbers" if algebraic else "exact" if e.exact else f"residual {e.residual:.0e}"
        flow = {"center": "neutral (a center)"}.get(e.flow, e.flow)
        about = [f"λ(J) = {text.eigenvalues(e.eigenvalues)}", f"flow: {flow}"]
        if e.tau is not None:
            about[1] += f", stable for τ > {text.with_decimal(e.tau)}"
        if self.share is not None and self.angle is not None:
            about.append(f"|A|/|J| = {self.share:.3g}, |arg λ| ≤ {np.degrees(self.angle):.3g}°")
        why = textwrap.wrap(text.prose(_evidence(e)), text.WIDTH - 4)
        head = [f"{text.point(e.point)}   {e.kind}   [{known}]", *(f"  {line}" for line in why)]
        if len(e.point) > MATRIX_DIMENSION:
            return [*head, *(f"  {line}" for line in about), *self._more_lines()]
        named = (("J =", e.jacobian), ("S =", self.symmetric), ("A =", self.antisymmetric))
        blocks = [
            [f"{name} {line}" if k == 0 else f"    {line}" for k, line in enumerate(text.matrix(m))]
            for name, m in named
        ]
        side = text.beside(*blocks, gap="  ")
        whole = text.beside(side, about, gap="   ")
        if max(map(len, whole)) > text.WIDTH - 2:
            whole = [*side, *about]
        if max(map(len, whole)) > text.WIDTH - 2:
            whole = [*(line for block in blocks for line in block), *about]
        return [*head, *(f"  {line}" for line in whole), *self._more_lines()]

    def _more_lines(self) -> list[str]:
        """What only some points have: a manifold of zeros, growth before decay."""
        parts = [] if self.equilibrium.manifold is None else [repr(self.equilibrium.manifold)]
        if self.growth is not None and self.growth.growth > GROWTH:
            g = self.growth
            parts.append(
                f"not normal: a displacement grows {g.growth:.3g}-fold by t = {g.time:.3g} before it decays "
                f"(Kreiss constant {g.kreiss.lower:.3g})"
            )
        return [f"  {line}" for part in parts for line in textwrap.wrap(text.prose(part), text.WIDTH - 4)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        e = self.equilibrium
        matrices = {"jacobian": e.jacobian, "symmetric": self.symmetric, "antisymmetric": self.antisymmetric}
        return {
            "point": [number(x) for x in e.point],
            "exact": e.exact,
            "residual": e.residual,
            "class": e.kind,
            "evidence": e.evidence,
            "flow": e.flow,
            "eigenvalues": [number(v) for v in e.eigenvalues],
            "tau": None if e.tau is None else number(e.tau),
            "antisymmetric_share": self.share,
            "transient_growth": None if self.growth is None else self.growth.growth,
            "rotation_degrees": None if self.angle is None else float(np.degrees(self.angle)),
            **{
                name: [[number(m[i, j]) for j in range(m.shape[1])] for i in range(m.shape[0])]
                for name, m in matrices.items()
            },
        }


def point_report(e: Equilibrium) -> PointReport:
    """An equilibrium with its rotation measures, left out where symbols are free."""
    if any(isinstance(x, sp.Expr) and x.free_symbols for x in (*e.point, *e.eigenvalues)):
        return PointReport(e, None, None)
    rows = range(e.jacobian.shape[0])  # fewer than coordinates on a simplex
    J = np.array([[float(e.jacobian[i, j]) for j in rows] for i in rows])
    values = [complex(sp.N(v, 20)) if isinstance(v, sp.Expr) else complex(v) for v in e.eigenvalues]
    size = np.linalg.norm(J)
    angle = max((abs(float(np.angle(v))) for v in values if v), default=0.0)
    stable = e.flow == "stable" and len(J) <= GROWTH_DIMENSION
    share = float(np.linalg.norm(J - J.T) / 2 / size) if size else 0.0
    return PointReport(e, share, angle, transient_growth(-J) if stable else None)


def _evidence(e: Equilibrium) -> str:
    """What decides the class, without the spectrum and the flow, which stand beside the matrices."""
    return "; ".join(part for part in e.evidence.split("; ") if not part.startswith(("eigenvalues ", "flow ")))
