"""What is known of one zero of v, and of all that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.stability.equilibria.transversal import Transversal
from gamedyn.stability.number_text import format_eigenvalues, format_number

__all__ = ["Equilibrium", "EquilibriumList", "Manifold"]

_ROWS = 20
_CELL = 60  # characters of a table's cell
_LINE = 100


@dataclass(frozen=True, eq=False)
class Manifold:
    """A connected or algebraic piece of the zero set that is no isolated point, seen from one of its points.

    Attributes
    ----------
    dimension : int
        k, of the zero set near the point that stands for it.
    equations : tuple of Expr
        What vanishes on it, in the game's variables; empty where it was found by Newton's method.
    parametrization : tuple of Expr `(d,)` or None
        The coordinates as functions of s1, …, sk, where all equations can be solved for variables.
    transversal : Transversal
        The class across the manifold, at the point that stands for it.
    everywhere : bool
        Whether that class is proven along the whole parametrization.
    """

    dimension: int
    equations: tuple[Any, ...]
    parametrization: tuple[Any, ...] | None
    transversal: Transversal
    everywhere: bool = False

    def __repr__(self) -> str:
        form = "found by its points"
        if self.parametrization is not None:
            form = f"({', '.join(map(str, self.parametrization))})"
        elif self.equations:
            form = ", ".join(f"{e} = 0" for e in self.equations)
        across = self.transversal.summary
        if self.transversal.neutral > self.dimension:
            across = f"{self.transversal.neutral} neutral directions, so undecided across it"
        where = "" if self.everywhere else "at the shown point: "
        return _cut(f"manifold of dimension {self.dimension}: {form}", _LINE) + f"; {where}{across}"

    @property
    def stable(self) -> bool | None:
        """Whether the flow is attracted across the manifold at this point; None if linearly undecided."""
        if self.transversal.stable and self.transversal.neutral > self.dimension:
            return None
        return self.transversal.stable


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A zero of v.

    Attributes
    ----------
    point : tuple `(d,)`
        SymPy numbers if `exact`, floats otherwise.
    exact : bool
        Whether v(point) = 0 is proven of the point as written.
    residual : float
        max |v_k(point)|; 0 if exact.
    eigenvalues : tuple
        Of J: SymPy numbers where they are radicals of degree at most 2, complex numbers otherwise.
    jacobian : Matrix or ndarray `(d, d)`
    kind : str
        "strict local Nash", "local minimax", "differential Stackelberg", "stable non-Nash", "local maximin", "stable",
        "unstable", "center", "degenerate" or "undecided"; see `gamedyn.stability.equilibria.classify`.
    flow : str
        What the flow alone does: "stable", "unstable", "center", "degenerate" or "undecided".
    evidence : str
        The minors and eigenvalues that decide.
    tau : number or None
        Smallest τ₀ such that the flow is stable for every τ > τ₀, up to 8 variables.
    isolation : tuple of (low, high) `(d,)`, or None
        A box that is proven to contain exactly one zero of v: rational numbers where the zero is algebraic, floats
        from Krawczyk's test otherwise.
    classes : tuple of str
        Every class that holds, `kind` among them.
    hyperbolic : bool or None
        Whether no eigenvalue lies on the imaginary axis; None if undecided.
    manifold : Manifold or None
        What the point stands for, if it is not isolated.
    """

    point: tuple[Any, ...]
    exact: bool
    residual: float
    eigenvalues: tuple[Any, ...]
    jacobian: Any
    kind: str
    flow: str
    evidence: str
    tau: Any = None
    isolation: tuple[tuple[Any, Any], ...] | None = None
    classes: tuple[str, ...] = ()
    hyperbolic: bool | None = None
    manifold: Manifold | None = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([float(x) for x in self.point], dtype=dtype or float)

    @property
    def certified(self) -> bool:
        """Whether a zero is proven to exist here: exactly, or inside `enclosure`."""
        return self.exact or self.isolation is not None

    @property
    def enclosure(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(low, high) `(d,)` of `isolation` as floats, rounded outward; None if nothing is proven."""
        if self.isolation is None:
            return None
        low = [_rounded(a, -np.inf) for a, _ in self.isolation]
        return np.array(low), np.array([_rounded(b, np.inf) for _, b in self.isolation])

    def row(self) -> dict[str, str]:
        """The line of the table, as text."""
        return {
            "point": _cut(f"({', '.join(format_number(x) for x in self.point)})"),
            "class": self.kind,
            "flow": self.flow,
            "eigenvalues": _cut(format_eigenvalues(self.eigenvalues)),
            "residual": "exact" if self.exact else f"{self.residual:.1e}",
            "tau*": "-" if self.tau is None else format_number(self.tau),
        }

    def __repr__(self) -> str:
        r = self.row()
        threshold = "" if self.tau is None else f", tau* = {r['tau*']}"
        lines = [
            f"{r['point']}: {self.kind}, eigenvalues {r['eigenvalues']}, residual {r['residual']}{threshold}",
            f"  {self.evidence}",
        ]
        return "\n".join(lines if self.manifold is None else [*lines, f"  {self.manifold!r}"])


class EquilibriumList(tuple[Equilibrium, ...]):
    """Equilibria, in lexicographic order of their points.

    Attributes
    ----------
    complete : bool
        Whether these points are proven to be all the real zeros of v (in the box, if one was given).  Never where zeros
        form manifolds, which no list of points exhausts; see `covered`.
    covered : bool
        Whether every real zero (in the box, if one was given) is proven to be one of these points, or to satisfy the
        equations of one of these manifolds.
    method : str
        How they were found.
    note : str
        What the reader has to know: a continuum of zeros, a search cut short.
    undecided : int
        Sub-boxes that an exhaustive search could neither exclude nor settle; 0 otherwise.
    """

    complete: bool
    covered: bool
    method: str
    note: str
    undecided: int

    def __new__(
        cls,
        items: Sequence[Equilibrium],
        *,
        complete: bool,
        method: str,
        note: str = "",
        covered: bool = False,
        undecided: int = 0,
    ) -> EquilibriumList:
        self = super().__new__(cls, items)
        self.complete, self.covered = complete, complete or covered
        self.method, self.note, self.undecided = method, note, undecided
        return self

    @property
    def manifolds(self) -> tuple[Equilibrium, ...]:
        """Those that stand for a manifold."""
        return tuple(e for e in self if e.manifold is not None)

    def __repr__(self) -> str:
        known = "all real zeros" if self.complete else "others may exist"
        head = f"{len(self)} equilibri{'um' if len(self) == 1 else 'a'} by {self.method} ({known})"
        rows = [e.row() for e in self[:_ROWS]]
        lines = [head, *_table(rows)]
        if len(self) > _ROWS:
            lines.append(f"… and {len(self) - _ROWS} more")
        lines += [f"{e.row()['point']}: {e.manifold!r}" for e in self.manifolds]
        return "\n".join([*lines, f"note: {self.note}"] if self.note else lines)


def in_order(items: Sequence[Equilibrium]) -> list[Equilibrium]:
    """In lexicographic order of the points."""
    return sorted(items, key=_order)


def _order(e: Equilibrium) -> tuple[Any, ...]:
    if any(isinstance(x, sp.Expr) and x.free_symbols for x in e.point):
        return ()
    return tuple(round(float(x), 9) for x in e.point)


def _rounded(x: Any, towards: float) -> float:
    value = float(x)
    return value if isinstance(x, float) or sp.sympify(x) == sp.Rational(value) else float(np.nextafter(value, towards))


def _cut(text: str, length: int = _CELL) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _table(rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return []
    widths = {k: max(len(k), *(len(r[k]) for r in rows)) for k in rows[0]}
    return [
        "  " + "  ".join(r[k].ljust(w) for k, w in widths.items()).rstrip() for r in ({k: k for k in widths}, *rows)
    ]
