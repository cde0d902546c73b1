"""Symbolic vector functions: the leaves of every trace, with their own derivatives.

A `VectorFunction` is a map (a₁, …, aₖ) ↦ (e₁, …, eₘ) whose arguments are vectors of fresh symbols
and whose outputs are SymPy expressions in those symbols and in the parameters of the game.  Its
derivatives are again `VectorFunction`s, so they nest: v, Dv·u, D(Dv·u)·w, …
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp


class NotPrintable(ValueError):
    """A function that has no form in the printed languages."""


class VectorFunction:
    """A vector-valued symbolic function of vector arguments.

    Parameters
    ----------
    name : str
        How the function is called in printed traces.
    inputs : sequence of sequences of Symbol
        One tuple of distinct symbols per argument.
    outputs : sequence of Expr
        The components.  Free symbols that are no inputs are parameters.
    linear : sequence of int
        Arguments in which the function is known to be linear; their derivative is the function itself.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Sequence[sp.Symbol]],
        outputs: Sequence[sp.Expr],
        linear: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.inputs = tuple(tuple(symbols) for symbols in inputs)
        self.outputs = tuple(sp.sympify(e) for e in outputs)
        self.linear = frozenset(linear)
        self._derived: dict[tuple[str, int], VectorFunction] = {}

    def __repr__(self) -> str:
        return f"VectorFunction({self.name}: {[len(s) for s in self.inputs]} -> {len(self.outputs)})"

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.outputs)

    @cached_property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Free symbols that are not inputs, by name."""
        free: set[Any] = set().union(*(e.free_symbols for e in self.outputs)) if self.outputs else set()
        free -= {s for group in self.inputs for s in group}
        return tuple(sorted(free, key=lambda s: s.name))

    @lru_cache(maxsize=8)  # noqa: B019 - functions live as long as their game
    def jacobian(self, argument: int = 0) -> tuple[tuple[sp.Expr, ...], ...]:
        """Rows of ∂outputs/∂inputs[argument]."""
        wrt = self.inputs[argument]
        return tuple(
            tuple(partial_derivative(e, s) if e.has(s) else sp.S.Zero for s in wrt)  # `has` is far cheaper than diff
            for e in self.outputs
        )

    def tangent(self, argument: int) -> VectorFunction:
        """The function (…, d) ↦ (∂f/∂a) d, linear in the appended argument d."""
        if argument in self.linear:
            return self._swapped(argument)
        key = ("tangent", argument)
        if key not in self._derived:
            d = fresh(len(self.inputs[argument]), f"d{len(self.inputs)}_")
            rows = self.jacobian(argument)
            outputs = [dot(row, d) for row in rows]
            self._derived[key] = VectorFunction(
                f"d{self.name}", (*self.inputs, d), outputs, (*self.linear, len(self.inputs))
            )
        return self._derived[key]

    def cotangent(self, argument: int) -> VectorFunction:
        """The function (…, w) ↦ (∂f/∂a)ᵀ w, linear in the appended argument w."""
        key = ("cotangent", argument)
        if key not in self._derived:
            w = fresh(len(self.outputs), f"w{len(self.inputs)}_")
            rows = self.jacobian(argument)
            columns = zip(*rows, strict=True) if rows else ()
            self._derived[key] = VectorFunction(
                f"{self.name}T",
                (*self.inputs, w),
                [dot(c, w) for c in columns],
                (*(k for k in self.linear if k != argument), len(self.inputs)),
            )
        return self._derived[key]

    def _swapped(self, argument: int) -> VectorFunction:
        key = ("swapped", argument)
        if key not in self._derived:
            old = self.inputs[argument]
            d = fresh(len(old), f"d{len(self.inputs)}_")
            table = dict(zip(old, d, strict=True))
            outputs = [e.xreplace(table) for e in self.outputs]
            linear = (*(k for k in self.linear if k != argument), len(self.inputs))
            self._derived[key] = VectorFunction(f"d{self.name}", (*self.inputs, d), outputs, linear)
        return self._derived[key]

    def exact(self, *arguments: Sequence[sp.Expr]) -> list[sp.Expr]:
        """Value at exact arguments, by simultaneous substitution."""
        table = {
            s: v for group, value in zip(self.inputs, arguments, strict=True) for s, v in zip(group, value, strict=True)
        }
        return [sp.expand(e.xreplace(table)) for e in self.outputs]

    def scalar(
        self, arguments: Sequence[Sequence[sp.Expr]], name: Callable[[sp.Expr], sp.Expr]
    ) -> list[sp.Expr] | None:
        """Value as printed code, intermediate values named by `name`; None where the outputs say it all."""
        return None

    @cached_property
    def numpy(self) -> Callable[..., np.ndarray]:
        """The compiled float64 version `f(*arguments, params)`: arrays (k,) or (k, batch) in, (m,) or (m, batch) out.

        `params` is a sequence aligned with `parameters`; each entry a float or an array `(batch,)`.
        """
        return compile_numpy(self.inputs, self.parameters, self.outputs)


def fresh(size: int, prefix: str) -> tuple[sp.Symbol, ...]:
    """`size` real symbols that differ from every other symbol."""
    return tuple(sp.Dummy(f"{prefix}{k}", real=True) for k in range(size))


def partial_derivative(e: sp.Expr, s: sp.Symbol) -> sp.Expr:
    """∂e/∂s almost everywhere: the jump of a sign contributes nothing."""
    derivative = sp.diff(e, s)
    if derivative.has(sp.DiracDelta):
        derivative = derivative.replace(sp.DiracDelta, lambda *_: sp.S.Zero)
    if derivative.has(sp.Heaviside):  # the derivative of a maximum, in a form that every printer knows
        derivative = derivative.replace(sp.Heaviside, lambda a, *_: sp.Piecewise((0, a < 0), (1, True)))
    return derivative


def dot(row: Sequence[sp.Expr], column: Sequence[sp.Expr]) -> sp.Expr:
    """Σ rowₖ columnₖ, skipping zeros."""
    return sp.Add(*(a * b for a, b in zip(row, column, strict=True) if a != 0 and b != 0))


def compile_numpy(
    inputs: Sequence[Sequence[sp.Symbol]], parameters: Sequence[sp.Symbol], outputs: Sequence[sp.Expr]
) -> Callable[..., np.ndarray]:
    """NumPy function of SymPy outputs that keeps the batch axis of constant components."""
    names = [s for group in inputs for s in group] + list(parameters)
    table = {s: sp.Symbol(f"a{k}", real=True) for k, s in enumerate(names)}  # printed names are ours, never the user's
    renamed = [sp.sympify(e).xreplace(table) for e in outputs]
    function = sp.lambdify(
        list(table.values()), renamed, modules=["scipy", "numpy"] if needs_scipy(renamed) else "numpy", cse=True
    )
    size = len(renamed)

    def evaluate(*arguments: Any) -> np.ndarray:
        *vectors, params = arguments
        arrays = [np.asarray(v, dtype=float) for v in vectors]
        batch = np.broadcast_shapes(*(a.shape[1:] for a in arrays), *(np.shape(p) for p in params))
        result = np.empty((size, *batch))
        with np.errstate(all="ignore"):  # a diverged orbit is a result, not a warning
            values = function(*(component for a in arrays for component in a), *params)
        for k, value in enumerate(values):
            result[k] = value
        return result

    return evaluate


def needs_scipy(expressions: Sequence[sp.Expr]) -> bool:
    """Whether a special function outside NumPy occurs."""
    return any(e.has(sp.erf, sp.gamma, sp.loggamma, sp.LambertW) for e in expressions)


def exact_number(value: Any) -> sp.Expr:
    """A number at the door of the exact world: a float becomes the rational of its shortest decimal.

    Raises
    ------
    TypeError
        If `value` is no number and no SymPy expression.
    ValueError
        If it is not finite.
    """
    if isinstance(value, sp.Expr):
        if value.has(sp.Float):
            return value.xreplace({f: exact_number(float(f)) for f in value.atoms(sp.Float)})
        return value
    if isinstance(value, bool) or not np.isscalar(value) or isinstance(value, (str, bytes)):
        raise TypeError(f"expected a real number or a SymPy expression, got {value!r} of type {type(value).__name__}")
    if isinstance(value, (int, np.integer)):
        return sp.Integer(int(value))
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    number = float(value)  # type: ignore[arg-type]  # a NumPy or Python scalar
    if not np.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return sp.Rational(repr(number))
