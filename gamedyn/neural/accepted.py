"""What a GAN accepts as its settings: each is checked where it comes in, and refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn

from gamedyn.neural.penalties.base import Penalty

__all__ = ["combination", "count", "half_type", "judges_of", "latent_dimension", "real_type", "refuse_misfits"]


def judges_of(generator: nn.Module, discriminator: nn.Module | Sequence[nn.Module]) -> list[nn.Module]:
    """The discriminators, one or several, as a list."""
    judges = list(discriminator) if isinstance(discriminator, nn.ModuleList | Sequence) else [discriminator]
    for role, module in (("generator", generator), *(("discriminator", judge) for judge in judges)):
        if not isinstance(module, nn.Module) or isinstance(module, nn.ModuleList | nn.ModuleDict):
            raise TypeError(f"{role} is {type(module).__name__}; give a module, or a list of modules as discriminators")
    if not judges:
        raise ValueError("discriminator is an empty sequence; give at least one network")
    return judges


def refuse_misfits(penalty: Penalty, shapes: Sequence[torch.Size], allowed: Sequence[Tensor]) -> None:
    """Refuse a projection that gives other tensors than a network has."""
    given = [p.shape for p in allowed]
    if given != list(shapes):
        raise ValueError(
            f"{penalty!r}.project gives tensors of the shapes {[*map(tuple, given)]} for parameters of the shapes "
            f"{[*map(tuple, shapes)]}; it must give one for each, of the same shape"
        )


def real_type(dtype: torch.dtype) -> torch.dtype:
    """A type of floating-point numbers."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype is {dtype!r}; give torch.float32 or torch.float64")
    return dtype


def combination(how: str | float) -> str | float:
    """How a generator's costs against several discriminators are made one."""
    if isinstance(how, str) and how in ("mean", "hardest"):
        return how
    if isinstance(how, bool) or not (isinstance(how, Real) and math.isfinite(how) and how >= 0):
        raise ValueError(f"combine is {how!r}; give 'mean', 'hardest', or a number >= 0")
    return float(how)


def half_type(name: str | None) -> torch.dtype | None:
    """The type of mixed precision, None for none."""
    types = {None: None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in types:
        raise ValueError(f"autocast is {name!r}; give None, 'bfloat16' or 'float16'")
    return types[name]


def latent_dimension(generator: nn.Module, latent: int | None) -> int:
    """Entries of a latent, as given, or as the generator says."""
    value = getattr(generator, "in_features", None) if latent is None else latent
    if value is None:
        raise ValueError("the generator does not say its input dimension (in_features); pass latent=...")
    return count("latent", value)


def count(what: str, value: int, most: int | None = None) -> int:
    """A number of rows or entries, at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{what} is {value!r}; it must be an int")
    if value < 1 or (most is not None and value > most):
        raise ValueError(f"{what} is {value}; it must be at least 1{'' if most is None else f' and at most {most}'}")
    return int(value)
