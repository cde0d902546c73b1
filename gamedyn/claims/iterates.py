"""A method run from the start, in whatever world the field belongs to, and what is measured at the end."""

from __future__ import annotations

from typing import Any

from gamedyn.games.field import Element, Field, NotInThisWorld
from gamedyn.maps.linear_step import as_float
from gamedyn.maps.trace import run_step, start
from gamedyn.rules.method import Method, as_method, map_numbers
from gamedyn.rules.rule import report

METRICS = {
    "distance": "|z_N - z*|²",
    "residual": "|v(z_N)|²",
    "last_step": "|z_N - z_(N-1)|²",
}
"""What a certificate may bound by |z_0 - z*|², with z_k the point that the method reports after k steps."""


def numeric_methods(method: Any, steps: int) -> list[Method]:
    """The autonomous methods of the first `steps` steps, their coefficients floats.

    Raises
    ------
    NotInThisWorld
        For a preconditioner.
    ValueError
        If a coefficient is a symbol.
    """
    method = as_method(method)
    if method.preconditioner is not None:
        name = type(method.preconditioner).__name__
        raise NotInThisWorld(
            "preconditioner", "certified", f"{name} is nonlinear in the field; certify the rule without it"
        )
    return [map_numbers(method.at(k), as_float) for k in range(steps)]


def measured(metric: str, methods: list[Method], F: Field, z: Element) -> Element:
    """The vector whose squared norm the metric is, for a field with its equilibrium at 0.

    Parameters
    ----------
    metric : str
        A key of `METRICS`.
    methods : list of Method
        From `numeric_methods`, one per step.
    F : Field
    z : element of F's world
        The start.
    """
    z, *initial = start(methods[0], methods[0].field(F), z)
    memory = tuple(initial)
    reported = last = report(methods[0].rule, z, memory)
    for method in methods:
        z, memory, _ = run_step(method, method.field(F), z, memory, len(memory))
        reported, last = report(method.rule, z, memory), reported
    if metric == "residual":
        return F(reported)
    return reported - last if metric == "last_step" else reported
