"""The cache of studies: finished results under a name that says what they were computed from.

One result is one ``.npz`` file: its arrays, and its numbers and texts as JSON in one more array. Nothing is pickled,
nothing that is read is executed, and a file that cannot be read is computed again.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

Data = dict[str, Any]
"""What a study computes: ``np.ndarray | float | int | bool | str`` by name."""

_SCALARS = "scalars.json"
# Keeps the names of a study's arrays apart from the keywords of np.savez and from the scalars.
_ARRAY = "array:"
_LIBRARIES = ("numpy", "scipy", "sympy", "torch")
_NOT_COMPUTING = ("plotting", "cli.py")


def default_root() -> Path:
    """``$GAMEDYN_CACHE/studies``, or ``~/.cache/gamedyn/studies``."""
    root = os.environ.get("GAMEDYN_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "gamedyn") / "studies"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file in one move, so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; figures and caches have ordinary permissions.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def code_digest(source: str, without: Iterable[str] = ()) -> str:
    """SHA-256 of Python code as the interpreter sees it: comments, layout and docstrings do not count.

    Parameters
    ----------
    source : str
        A module's text.
    without : iterable of str
        Top-level functions to leave out.
    """
    tree, left_out = ast.parse(source), set(without)
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name in left_out)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@functools.cache
def package_digest() -> str:
    """SHA-256 over the code of gamedyn, without what only draws or prints: another package computes again."""
    import gamedyn

    root = Path(next(iter(gamedyn.__path__)))
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in _NOT_COMPUTING:
            total.update(f"{inside.as_posix()} {code_digest(path.read_text('utf-8'))}\n".encode())
    return total.hexdigest()


@functools.cache
def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def versions() -> dict[str, str]:
    """Versions of gamedyn and of the libraries whose numbers a study shows; none of them is imported."""
    from gamedyn._version import __version__

    return {"gamedyn": __version__, **{name: _installed(name) for name in _LIBRARIES}}


def result_key(*, code: str, parameters: Mapping[str, Any], functions: Mapping[str, str]) -> str:
    """SHA-256 over everything a result depends on: code, parameters, package, libraries."""
    facts = {
        "code": code,
        "parameters": dict(parameters),
        "functions": dict(functions),
        "package": package_digest(),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def check_data(data: Any) -> Data:
    """The result with NumPy scalars made Python's, or an error that names the entry that cannot be stored.

    Raises
    ------
    TypeError
        On anything but a dictionary of text to array, number or text.
    """
    if not isinstance(data, dict):
        raise TypeError(f"compute returned {type(data).__name__}; return a dict of arrays, numbers and texts.")
    plain: Data = {}
    for name, value in data.items():
        value = value.item() if isinstance(value, np.generic) else value
        storable = isinstance(value, bool | int | float | str) or (
            isinstance(value, np.ndarray) and value.dtype.kind in "biufcUS"
        )
        if not isinstance(name, str) or not storable:
            kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(
                f"compute returned {name!r}: {kind}; a result holds arrays of numbers or texts, numbers and texts. "
                "Turn it into an array, e.g. np.asarray(...)."
            )
        plain[name] = value
    return plain


class Store:
    """Results of studies in ``root``, one file per (study, key, part)."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, study: str, key: str, part: str) -> Path:
        """Where a part's result lies."""
        return self.root / study / key[:24] / f"{part}.npz"

    def save(self, study: str, key: str, part: str, data: Data) -> None:
        """Write a checked result; an unwritable cache warns, because losing the result would be worse."""
        arrays = {_ARRAY + name: value for name, value in data.items() if isinstance(value, np.ndarray)}
        scalars = {name: value for name, value in data.items() if _ARRAY + name not in arrays}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, **{_SCALARS: np.asarray(json.dumps(scalars))})  # type: ignore[arg-type]
        try:
            write_atomically(self.path(study, key, part), buffer.getvalue())
        except OSError as error:
            warnings.warn(
                f"{study}: the result was not cached ({error}). Set GAMEDYN_CACHE to a folder you can write.",
                RuntimeWarning,
                stacklevel=2,
            )

    def load(self, study: str, key: str, part: str) -> Data | None:
        """The result, or None where there is none or (with a warning) where it cannot be read."""
        path = self.path(study, key, part)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                data: Data = {name.removeprefix(_ARRAY): archive[name] for name in archive.files if name != _SCALARS}
                data.update(json.loads(archive[_SCALARS].item()))
                return data
        except (FileNotFoundError, NotADirectoryError):
            return None
        # A broken archive can fail in a dozen ways (zip, zlib, headers, JSON), and all of them mean the same.
        except Exception as error:
            warnings.warn(
                f"{study}: the cached part {part!r} cannot be read ({type(error).__name__}); computing it again.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
