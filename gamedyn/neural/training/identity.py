"""What makes two runs the same run, and on what their last bits depend.

run = (start, networks, loss, penalties, data, method, seed, batches)   must agree, or a checkpoint is of another run
machine = (processor, threads, torch, device, parts of a batch)  may differ, but then the bits do
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn._version import __version__
from gamedyn.neural.flat import FlatNetwork
from gamedyn.rules.method import Method
from gamedyn.rules.rule import at, is_scheduled, period
from gamedyn.rules.wrappers import scheduled

__all__ = ["Schedule", "checksum", "describe", "differences", "machine", "run_identity"]

LONGEST = 400  # characters of a description; longer ones end in a checksum


def describe(thing: Any) -> str:
    """A text that tells settings apart: dataclasses by their fields, numbers to the last digit, arrays by checksums.

    Functions count by their names, which say nothing of what they do.
    """
    text = _described(thing)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... sha256 {_sha(text.encode())}"


def _described(thing: Any) -> str:
    if isinstance(thing, Method):
        return " ∘ ".join(_described(part) for part in thing.parts)
    if is_dataclass(thing) and not isinstance(thing, type):
        inner = ", ".join(f"{f.name}={_described(getattr(thing, f.name))}" for f in fields(thing))
        return f"{type(thing).__name__}({inner})"
    if isinstance(thing, Tensor | np.ndarray):
        return f"{type(thing).__name__} {tuple(thing.shape)} sha256 {checksum(torch.as_tensor(thing))}"
    if isinstance(thing, Mapping):
        return "{" + ", ".join(f"{key}: {_described(value)}" for key, value in thing.items()) + "}"
    if isinstance(thing, tuple | list):
        return "(" + ", ".join(map(_described, thing)) + ")"
    if callable(thing) and hasattr(thing, "__name__"):
        return str(thing.__name__)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))  # where an object lies is another place in every process


def checksum(x: Tensor) -> str:
    """The sha256 of a tensor's numbers."""
    flat = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return _sha(flat.numpy().data)


def _sha(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def run_identity(gan: Any, method: Method, transforms: tuple[Any, ...], **settings: Any) -> dict[str, str]:
    """Everything that a run is a function of.

    Parameters
    ----------
    gan : GAN
    method : Method
    transforms : tuple
        Of the game.
    **settings
        Seed, batch size, a checksum of the start, and the like.
    """
    found = {"method": describe(method), "transforms of the game": describe(transforms)}
    found |= {f"network {k}, {net.role}": _network(net) for k, net in enumerate(gan.networks)}
    found |= {f"layers of network {k}": _layers(net) for k, net in enumerate(gan.networks)}
    for name in ("loss", "penalties", "instance_noise", "combine", "autocast", "dtype", "evaluation_size"):
        found[name.replace("_", " ")] = describe(getattr(gan, name, None))
    found["seed of the evaluation sample"] = describe(gan.seed)
    found["data"] = f"{gan.data.name}, {len(gan.data)} x {gan.data.dim}, sha256 {checksum(gan.data.x)}"
    return found | {name.replace("_", " "): describe(value) for name, value in settings.items()}


def _network(net: FlatNetwork) -> str:
    return describe({name: tuple(shape) for name, shape in zip(net.names, net.shapes, strict=True)})


def _layers(net: FlatNetwork) -> str:
    still = [(name, checksum(t)) for name, t in net.fixed.items() if t.numel()]
    active = [name for name, layer in net.module.named_modules() if layer.training]
    return _sha(f"{_described(net.module)} {still} {active}".encode())


class Schedule:
    """Checksums of a method's coefficients at every step so far: functions count by their values.

    Parameters
    ----------
    method : Method

    Notes
    -----
    Each step is looked at once; of a schedule that repeats itself one period is.
    """

    def __init__(self, method: Method) -> None:
        self.method, self.scheduled = method, is_scheduled(method.rule)
        self._sum, self._seen = hashlib.sha256(), 0

    def until(self, step: int) -> str:
        """The checksum of the steps before `step`, which does not fall from call to call; empty without a schedule."""
        if not self.scheduled:
            return ""
        last = step if (repeats := period(self.method.rule)) is None else min(step, repeats)
        for k in range(self._seen, last):
            self._sum.update(f"{_coefficients(self.method.rule, k)};".encode())
        self._seen = max(self._seen, last)
        return self._sum.hexdigest()


def _coefficients(rule: Any, k: int) -> str:
    """The values of the schedules in a rule at step k; of one with a schedule of another kind all that it is then."""
    if type(rule) is scheduled:
        value = rule.values(k) if callable(rule.values) else rule.values[k % len(rule.values)]
        inner = f" {_coefficients(rule.rule, k)}" if is_scheduled(rule.rule) else ""
        return f"{value!r}{inner}" if type(value) is float else f"{_described(value)}{inner}"
    if getattr(rule, "at", None) is None and is_scheduled(rule.rule):
        return _coefficients(rule.rule, k)
    return _described(at(rule, k))


def machine(device: torch.device) -> dict[str, str]:
    """On what the last bits of a run depend."""
    built = f"{torch.__version__} {str(torch.version.git_version)[:12]}"
    return {
        "gamedyn": __version__,
        "torch": built,
        "threads": str(torch.get_num_threads()),
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }


@cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(errors="replace"), re.MULTILINE)
        if found:
            return found.group(1).strip()
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", "unknown")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs, one line each, with both values."""
    names = [*there, *(name for name in here if name not in there)]
    return [
        f"{name}: {there.get(name, 'nothing')} there, {here.get(name, 'nothing')} here"
        for name in names
        if there.get(name) != here.get(name)
    ]
