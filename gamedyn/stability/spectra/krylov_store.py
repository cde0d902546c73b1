"""The state of a Krylov iteration in a file, so that a search for eigenvalues can stop and go on.

    A V = V S + v bᵀ      V, v and S, b as arrays of one .npz                               (1)

The file is written beside its place and then moved there, so whoever reads it finds the old state or the new one, never
half of one.  It holds plain arrays and no pickles: reading it runs no code.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import torch

from gamedyn.stability.spectra.krylov import KrylovState

__all__ = ["load_state", "save_state"]

FORMAT = "gamedyn Krylov state 1"
TYPES = {"float32": torch.float32, "float64": torch.float64}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError)


def save_state(path: str | os.PathLike[str], state: KrylovState) -> None:
    """Write a state to a file, in the place of what stood there.

    Parameters
    ----------
    path : path
        Its folder must exist; for a moment it holds both the old and the new file.
    state : KrylovState
        Of `search.snapshot()` or `eigenvalues.state()`, on any device; float32 or float64.

    Raises
    ------
    TypeError
        If the vectors are of another type.
    OSError
        If the file cannot be written; the old one is then untouched.

    Examples
    --------
    >>> import tempfile
    >>> state = KrylovState(torch.eye(3)[:2], np.array([[2.0], [0.5]]), products=7)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(f"{folder}/state.npz", state)
    ...     load_state(f"{folder}/state.npz").products
    7
    """
    kind = str(state.basis.dtype).removeprefix("torch.")
    if kind not in TYPES:
        raise TypeError(f"the vectors are {kind}; a state is saved in {' or '.join(TYPES)}")
    path = Path(path)
    aside = path.with_name(f".{path.name}.{token_hex(6)}")
    try:
        with open(aside, "xb") as file:
            np.savez(
                file,
                format=np.array(FORMAT),
                basis=state.basis.detach().cpu().numpy(),
                rayleigh=np.asarray(state.rayleigh, dtype=np.float64),
                counts=np.array([state.products, state.restarts], dtype=np.int64),
                norm=np.array(state.norm, dtype=np.float64),
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load_state(path: str | os.PathLike[str]) -> KrylovState:
    """Read what `save_state` wrote, on the CPU, in the type in which it was saved.

    Parameters
    ----------
    path : path

    Returns
    -------
    KrylovState

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is another one, is damaged, or its arrays do not fit together.
    """
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray) or str(arrays["format"]) != FORMAT:
                raise ValueError(f"it does not say '{FORMAT}'")
            basis, rayleigh, counts, norm = (arrays[name] for name in ("basis", "rayleigh", "counts", "norm"))
        except _BROKEN as error:
            raise _refused(path, error) from error
    if reason := _misfit(basis, rayleigh, counts, norm):
        raise _refused(path, reason)
    return KrylovState(torch.from_numpy(basis), rayleigh, int(counts[0]), int(counts[1]), float(norm))


def _misfit(basis: np.ndarray, rayleigh: np.ndarray, counts: np.ndarray, norm: np.ndarray) -> str:
    """Why the arrays are no state; empty where they are one."""
    if basis.dtype.name not in TYPES:
        return f"its vectors are {basis.dtype}"
    if basis.ndim != 2 or rayleigh.shape != (len(basis), len(basis) - 1) or counts.shape != (2,) or norm.shape:
        return f"its arrays have the shapes {basis.shape}, {rayleigh.shape}, {counts.shape}, {norm.shape}"
    if not (np.isfinite(rayleigh).all() and np.isfinite(norm) and np.isfinite(basis[:, 0]).all()):
        return "its numbers are not finite"
    return ""


def _refused(path: Any, reason: object) -> ValueError:
    return ValueError(
        f"'{path}' holds no state of a Krylov iteration, or a damaged one ({reason}); remove it to begin anew, or give "
        f"the file that save_state wrote"
    )
