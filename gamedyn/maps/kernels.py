"""Compiled steps: NumPy functions in memory, Numba kernels in a cache on disk.

Generated source goes to `$GAMEDYN_CACHE/kernels/<digest>.py`, is registered as a module under that name
before it runs, and is compiled with Numba's own file cache.  A second index remembers which source a
(game, method, version) leads to, so that a later process neither traces nor compiles.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gamedyn._version import __version__
from gamedyn.maps.evaluate import solve_batch


def cache_directory() -> Path:
    """`$GAMEDYN_CACHE`, or `~/.cache/gamedyn`."""
    return Path(os.environ.get("GAMEDYN_CACHE") or Path.home() / ".cache" / "gamedyn")


def load_numpy(source: str) -> Callable[..., list[Any]]:
    """The `step` of generated NumPy source."""
    namespace: dict[str, Any] = {"np": np, "solve_stacked": solve_stacked}
    exec(compile(source, "<gamedyn step>", "exec"), namespace)  # our own printer's output: names x0, t1, p0 and numbers
    return namespace["step"]


def solve_stacked(rows: Sequence[Sequence[Any]], rhs: Sequence[Any]) -> np.ndarray:
    """Solutions `(n, …)` of the n x n systems whose entries are arrays of a common batch shape."""
    entries = [e for row in rows for e in row]
    shape = np.broadcast_shapes(*(np.shape(e) for e in (*entries, *rhs)))
    n = len(rhs)
    matrix = np.stack([np.broadcast_to(e, shape) for e in entries], axis=-1).reshape(*shape, n, n)
    vector = np.stack([np.broadcast_to(e, shape) for e in rhs], axis=-1)
    return np.moveaxis(solve_batch(matrix, vector[..., None])[..., 0], -1, 0)


@lru_cache(maxsize=1)
def _environment() -> str:
    """What a compiled kernel depends on besides its source.

    Read without importing numba: the versions from package metadata, the processor from the platform.
    """
    from importlib.metadata import version

    features = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        with cpuinfo.open() as lines:
            features = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return "|".join([version("numba"), version("llvmlite"), platform.machine(), platform.processor(), features])


def digest(*parts: str) -> str:
    """The SHA-256 of some text."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load_numba(source: str) -> ModuleType:
    """The module of generated Numba source, from the cache on disk where that works.

    A cache that cannot be written, or a corrupt entry, costs a compilation and one warning.
    """
    name = f"gamedyn_kernel_{digest(source, _environment())}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        path = _stored(source, name)
        return _load(path, name)
    except Exception as error:  # whatever the file system or Numba's cache says, compiling in memory still works
        warnings.warn(f"kernel cache {cache_directory()} is not usable ({error}); compiling in memory", stacklevel=3)
        module = ModuleType(name)
        exec(compile(source.replace("cache=True, ", ""), f"<{name}>", "exec"), module.__dict__)
        sys.modules[name] = module
        return module


def _stored(source: str, name: str) -> Path:
    path = cache_directory() / "kernels" / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        write_atomically(path, source)
    return path


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before execution: a compiled kernel names its module
    try:
        spec.loader.exec_module(module)
        module.run(np.zeros((module.DIM, 1)), np.zeros((1, module.PARAMETERS, 1)), 0)  # compile or read the cache now
    except Exception:
        sys.modules.pop(name, None)
        raise
    return module


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# the index from (game, method) to source -----------------------------------------------------------


TEXTS, LISTS = ("start", "step", "kernel"), ("sizes", "parameters")


def remembered(key: str) -> dict[str, Any] | None:
    """The stored printout of a key, or None where there is none or it is damaged."""
    try:
        entry = json.loads(_entry_path(key).read_text())
        content = entry["printout"]
        sound = entry["sha"] == digest(json.dumps(content, sort_keys=True))
        typed = all(isinstance(content[n], str) for n in TEXTS) and all(isinstance(content[n], list) for n in LISTS)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {n: content[n] for n in (*TEXTS, *LISTS)} if sound and typed else None


def remember(key: str, content: dict[str, Any]) -> None:
    """Store a printout; a cache that cannot be written costs one warning."""
    content = json.loads(json.dumps(content))
    entry = {"printout": content, "sha": digest(json.dumps(content, sort_keys=True))}
    try:
        write_atomically(_entry_path(key), json.dumps(entry))
    except OSError as error:
        warnings.warn(f"kernel cache {cache_directory()} cannot be written ({error})", stacklevel=3)


def _entry_path(key: str) -> Path:
    return cache_directory() / "traces" / f"{digest(key, __version__)}.json"
