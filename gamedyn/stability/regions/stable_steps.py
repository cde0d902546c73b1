"""The answer to "for which steps is this map stable?", and how it prints itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sympy as sp

from gamedyn.games.functions import exact_number

__all__ = ["StableSteps", "spell"]


@dataclass(frozen=True)
class StableSteps:
    """The steps h > 0 at which a map is stable, and how this is known.

    Parameters
    ----------
    kind : {"exact", "conditions", "numeric"}
        ``"exact"``: exact sets. ``"conditions"``: free symbols are left, read `conditions`. ``"numeric"``: floats from
        a scan of a finite range of steps.
    stable : sympy.Set
        Union of open intervals; for ``"conditions"`` an interval with symbolic ends, or a ConditionSet.
    neutral : sympy.Set
        Steps with spectral radius exactly 1 and semisimple roots on the circle. Empty for the other kinds, where it
        is not decided.
    conditions : tuple of Boolean
        Inequalities that hold together iff h is stable.
    reason : str
        Why the set is empty or the answer not exact; otherwise "".
    parameter : sympy.Symbol
        h.
    """

    kind: Literal["exact", "conditions", "numeric"]
    stable: sp.Set
    neutral: sp.Set
    conditions: tuple[Any, ...] = ()
    reason: str = ""
    parameter: sp.Symbol = field(default_factory=lambda: sp.Symbol("h", positive=True))

    def contains(self, h: Any, values: Mapping[sp.Symbol, Any] | None = None) -> bool:
        """Whether the step h is stable.

        Parameters
        ----------
        h : number
            A float stands for its shortest decimal.
        values : mapping of Symbol to number, optional
            The free symbols, for ``kind="conditions"``.

        Raises
        ------
        ValueError
            If a free symbol has no value.
        """
        step = exact_number(h)
        if step <= 0:
            return False
        if self.kind != "conditions":
            return bool(self.stable.contains(step))
        at = {self.parameter: step} | {s: exact_number(v) for s, v in (values or {}).items()}
        truth = sp.And(*(c.subs(at) for c in self.conditions))
        if truth not in (sp.true, sp.false):
            raise ValueError(f"the step {h} is undecided: {truth} is left. Give values for {truth.free_symbols}.")
        return bool(truth)

    def latex(self) -> str:
        """The answer as LaTeX, without dollar signs."""
        h = sp.latex(self.parameter)
        if self.kind == "conditions":
            return r" \;\wedge\; ".join([f"{h} > 0", *(sp.latex(c) for c in self.conditions)])
        return f"{h} \\in {sp.latex(self.stable)}"

    def __repr__(self) -> str:
        h = self.parameter
        if self.kind == "conditions":
            body = f"{h} > 0" + "".join(f" and {c}" for c in self.conditions)
            lines = [f"StableSteps (conditions): {body}"]
        else:
            scanned = self.kind == "numeric" and self.stable is sp.S.EmptySet
            lines = [f"StableSteps ({self.kind}): stable for {'no scanned step' if scanned else spell(self.stable, h)}"]
        if self.neutral is not sp.S.EmptySet:
            lines.append(f"  neutral for {spell(self.neutral, h)}")
        return "\n".join([*lines, f"  ({self.reason})"] if self.reason else lines)


def spell(s: sp.Set, h: sp.Symbol) -> str:
    """One interval after the other, exact ends followed by their decimals."""
    if s is sp.S.EmptySet:
        return "no step" if h.name in ("h", "eta") else f"no {h} > 0"
    return " or ".join(_spell_part(part, h) for part in (s.args if isinstance(s, sp.Union) else (s,)))


def _spell_part(part: sp.Set, h: sp.Symbol) -> str:
    if isinstance(part, sp.FiniteSet):
        return f"{h} = " + ", ".join(_spell_number(x) for x in part)
    if not isinstance(part, sp.Interval):
        return str(part)
    if part == sp.S.Reals:
        return f"every {h}"
    low = "" if part.start == -sp.oo else f"{_spell_number(part.start)} {'<' if part.left_open else '<='} "
    high = "" if part.end == sp.oo else f" {'<' if part.right_open else '<='} {_spell_number(part.end)}"
    return low + str(h) + high


def _spell_number(x: sp.Expr) -> str:
    if x.is_Integer or x.is_Float:
        return str(x)
    if isinstance(x, sp.CRootOf):
        return f"{sp.N(x, 6)} [root of a polynomial of degree {x.poly.degree()}]"
    return f"{x} [{sp.N(x, 6)}]"
