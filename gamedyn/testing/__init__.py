"""What a user's own rule is put through, and random games with known spectra.

`check_rule(rule)` runs every check; each check is a function of its own.  `strategies` needs Hypothesis
and is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

from gamedyn.testing.agreement import (
    check_jacobians_agree,
    check_orbits_agree,
    check_worlds_agree,
    kernel_steps,
)
from gamedyn.testing.conformance import (
    Report,
    check_memory,
    check_operations,
    check_player_permutation,
    check_protocol,
    check_rule,
    check_superposition,
    check_zero_step,
)

__all__ = [
    "Report",
    "check_jacobians_agree",
    "check_memory",
    "check_operations",
    "check_orbits_agree",
    "check_player_permutation",
    "check_protocol",
    "check_rule",
    "check_superposition",
    "check_worlds_agree",
    "check_zero_step",
    "kernel_steps",
    "strategies",
]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return importlib.import_module("gamedyn.testing.strategies")
    raise AttributeError(f"module 'gamedyn.testing' has no attribute '{name}'")
