"""gamedyn: a dynamical-systems toolkit for adversarial games.

Every name is loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from gamedyn._version import __version__

_MODULES = ("claims", "games", "neural", "plotting", "testing", "torch")
_NAMES = {
    "gamedyn.games.field": ("Field", "NotInThisWorld", "Player"),
    "gamedyn.games.parser": ("ParseError",),
    "gamedyn.games.symbolic": ("Facts", "Game", "SymbolicGame", "field_game", "zero_sum"),
    "gamedyn.games.callable": ("CallableGame", "callable_game"),
    "gamedyn.games.stochastic": ("AdditiveNoise", "FiniteSum"),
    "gamedyn.rules.basic": (
        "Extragradient",
        "HeavyBall",
        "LinearizedProximalPoint",
        "Optimistic",
        "PastExtragradient",
        "ProximalPoint",
        "Simultaneous",
    ),
    "gamedyn.rules.anchored": ("AcceleratedProximalPoint", "EAGC", "EAGV", "FEG", "halpern"),
    "gamedyn.rules.averaging": ("averaged", "exponential_average"),
    "gamedyn.rules.integrators": ("Heun", "Midpoint", "RungeKutta4"),
    "gamedyn.rules.momentum": ("LEAD", "Nesterov"),
    "gamedyn.rules.opponent": ("competitive", "lola", "opponent_lookahead", "sos"),
    "gamedyn.rules.penalties": ("gradient_penalty", "jacobian_regularization"),
    "gamedyn.rules.second_order": ("follow_the_ridge", "local_symplectic_surgery", "stackelberg"),
    "gamedyn.rules.splitting": ("ForwardBackwardForward", "ReflectedGradient"),
    "gamedyn.rules.wrappers": ("Alternating", "alternating", "lookahead", "per_player", "scheduled"),
    "gamedyn.rules.stochastic": ("variance_reduced",),
    "gamedyn.rules.transforms": (
        "Transform",
        "consensus",
        "hamiltonian_gradient",
        "stop_gradient_lookahead",
        "symplectic_adjustment",
        "two_timescale",
        "unrolled",
    ),
    "gamedyn.rules.preconditioners": ("AMSGrad", "Adam", "Clip", "Preconditioner", "RMSProp", "Sign", "frozen"),
    "gamedyn.rules.named": ("ExtraAdam", "OptimisticAdam", "methods", "named"),
    "gamedyn.rules.mirror": ("entropic",),
    "gamedyn.rules.method": ("Method", "StepCost", "step_cost"),
    "gamedyn.maps.stepmap": ("StepMap",),
    "gamedyn.stability.points": ("field",),
    "gamedyn.stability.jacobian": ("GameJacobian", "jacobian"),
    "gamedyn.stability.spectra.eigenvalues": ("Eigenvalues",),
    "gamedyn.stability.rotation.rotation": (
        "Rotation",
        "imaginary_share",
        "mean_imaginary_share",
        "rotation",
        "rotation_angle",
    ),
    "gamedyn.stability.rotation.curl_energy": ("Circulation", "CurlEnergy", "circulation", "curl_energy"),
    "gamedyn.stability.rotation.hamiltonian_drift": ("HamiltonianDrift", "hamiltonian_drift", "quadratic_invariants"),
    "gamedyn.stability.nonnormal.pseudospectrum": ("Pseudospectrum", "pseudospectrum"),
    "gamedyn.stability.nonnormal.numerical_range": ("NumericalRange", "numerical_range"),
    "gamedyn.stability.nonnormal.kreiss": ("Kreiss", "kreiss_constant"),
    "gamedyn.stability.nonnormal.transient": ("TransientGrowth", "transient_growth"),
    "gamedyn.stability.regions.steps": (
        "best_step",
        "floquet_multipliers",
        "spectral_radius",
        "stability_polynomial",
        "stable_steps",
    ),
    "gamedyn.stability.regions.stable_steps": ("StableSteps",),
    "gamedyn.stability.regions.stable_region": ("StableRegion", "stable_region"),
    "gamedyn.stability.regions.timescales": ("Timescales", "stable_timescales", "timescale_threshold"),
    "gamedyn.stability.regions.real_spectrum": ("real_spectrum",),
    "gamedyn.stability.regions.best_parameters": ("BestParameters", "best_parameters"),
    "gamedyn.stability.density.spectral_density": ("spectral_density",),
    "gamedyn.stability.density.density_results": ("RitzCloud", "SpectralDensity"),
    "gamedyn.stability.state_space": ("to_state_space",),
    "gamedyn.stability.constants.constants": ("Constant", "GameConstants", "Theorem", "constants"),
    "gamedyn.stability.constants.field_properties": ("Property", "is_hamiltonian", "is_monotone", "is_potential"),
    "gamedyn.stability.blocks": ("BlockCurvature", "block_curvature"),
    "gamedyn.stability.equilibria.equilibria": ("Equilibrium", "EquilibriumList", "Manifold", "equilibria"),
    "gamedyn.stability.equilibria.stackelberg": ("is_differential_stackelberg",),
    "gamedyn.stability.equilibria.transversal": ("Transversal", "transversal_class"),
    "gamedyn.stability.equilibria.classify": ("classify", "is_local_minimax", "is_strict_local_nash"),
    "gamedyn.stability.noise.stochastic": ("Stationary", "mean_square_radius", "stationary", "stationary_covariance"),
    "gamedyn.stability.rotation.path_angle": ("PathAngle", "path_angle"),
    "gamedyn.dynamics.flow": ("Flow", "flow"),
    "gamedyn.dynamics.simulate": ("Orbit", "simulate"),
    "gamedyn.claims.certificate": ("Certificate", "certify"),
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
