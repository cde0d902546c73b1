"""gamedyn: a dynamical-systems toolkit for adversarial games.

Every name is loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from gamedyn._version import __version__

_MODULES = ("games", "neural", "plotting", "testing", "torch")
_NAMES = {
    "gamedyn.games.field": ("Field", "NotInThisWorld", "Player"),
    "gamedyn.games.parser": ("ParseError",),
    "gamedyn.games.symbolic": ("Facts", "Game", "SymbolicGame", "field_game", "zero_sum"),
    "gamedyn.games.callable": ("CallableGame", "callable_game"),
    "gamedyn.rules.basic": (
        "Extragradient",
        "HeavyBall",
        "LinearizedProximalPoint",
        "Optimistic",
        "PastExtragradient",
        "ProximalPoint",
        "Simultaneous",
    ),
    "gamedyn.rules.wrappers": ("Alternating", "alternating", "lookahead", "scheduled"),
    "gamedyn.rules.transforms": (
        "Transform",
        "consensus",
        "stop_gradient_lookahead",
        "symplectic_adjustment",
        "two_timescale",
        "unrolled",
    ),
    "gamedyn.rules.preconditioners": ("Adam", "Preconditioner", "RMSProp", "frozen"),
    "gamedyn.rules.named": ("methods", "named"),
    "gamedyn.rules.method": ("Method", "StepCost", "step_cost"),
    "gamedyn.maps.stepmap": ("StepMap",),
    "gamedyn.stability.jacobian": ("Eigenvalues", "GameJacobian", "field", "jacobian"),
    "gamedyn.stability.rotation": ("Rotation", "rotation"),
    "gamedyn.stability.steps": ("best_step", "spectral_radius", "stability_polynomial", "stable_steps"),
    "gamedyn.stability.stable_steps": ("StableSteps",),
    "gamedyn.stability.equilibria": ("Equilibrium", "EquilibriumList", "equilibria"),
    "gamedyn.stability.classify": ("classify", "is_local_minimax", "is_strict_local_nash"),
    "gamedyn.stability.path_angle": ("PathAngle", "path_angle"),
    "gamedyn.dynamics.flow": ("Flow", "flow"),
    "gamedyn.dynamics.simulate": ("Orbit", "simulate"),
    "gamedyn.report.analyze": ("Analysis", "analyze"),
    "gamedyn.report.compare": ("Comparison", "compare"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_MODULES, *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"gamedyn.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gamedyn' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
