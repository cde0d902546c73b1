"""What is claimed about methods: worst cases over whole classes of fields, bracketed from both sides."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "gamedyn.claims.certificate": ("Certificate", "certify"),
    "gamedyn.claims.errors": ("CertificateError",),
    "gamedyn.claims.certified_field": ("CertifiedField",),
    "gamedyn.claims.lower_bound": ("WorstLinear", "worst_linear"),
    "gamedyn.claims.operators": (
        "Cocoercive",
        "Condition",
        "Monotone",
        "NegativelyComonotone",
        "OperatorClass",
        "WeakMinty",
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'gamedyn.claims' has no attribute '{name}'")
