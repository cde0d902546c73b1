"""Data of one's own, from a directory or a file.  What is not certainly data is refused; nothing is executed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import torch

from gamedyn.neural.data.arrays import MAX_ELEMENTS, read_npy, read_pngs, read_safetensors
from gamedyn.neural.data.dataset import Dataset, from_tensor
from gamedyn.neural.data.idx import LABELS_MAGIC, read_idx

__all__ = ["from_directory"]

_WHAT = (
    "IDX files with MNIST's names (train-images-idx3-ubyte and, if there, train-labels-idx1-ubyte; each plain or .gz), "
    "or one .npy or .safetensors file, or PNG pictures of one size"
)
_PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".npz", ".ckpt", ".bin", ".joblib"}
_CHANNELS = (1, 3, 4)


def from_directory(path: str | os.PathLike[str]) -> Dataset:
    """A data set from a directory or from one file.

    A directory holds one of these, and a file is one of the first three:

    - IDX files with MNIST's names: the `train` part, or where there is none the `t10k` part, with its labels if there;
    - a .npy file: (n,) numbers, (n, d) points, (n, h, w) or (n, c, h, w) pictures;
    - a .safetensors file with one such tensor, or with `x` and integer `labels`;
    - PNG pictures of one size, grey or RGB with 8 bits, in the natural order of their names (2 before 10).

    Bytes are pixels and become pixel / 127.5 - 1; floats are kept, as float32. Of other files in a directory nothing
    is read.

    Parameters
    ----------
    path : path
        The directory or the file.

    Returns
    -------
    Dataset
        Named like the directory or the file.

    Raises
    ------
    FileNotFoundError
        There is nothing at `path`, or nothing of the above in it.
    ValueError
        More than one kind of the above, a pickle, a damaged file, entries that are not finite, or shapes that fit
        no data set.
    TypeError
        A tensor of other entries than bytes and floats.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "points.npy", np.zeros((5, 2)))
    ...     from_directory(Path(folder) / "points.npy")
    Dataset(points: 5 x 2, float32 on cpu)
    """
    where = Path(path)
    if where.is_dir():
        return _folder(where)
    if not where.is_file():
        raise FileNotFoundError(f"{where} is neither a directory nor a file. Name a directory with {_WHAT}.")
    if where.suffix.lower() == ".png":
        raise ValueError(f"{where} is one picture. Name the directory that holds the pictures.")
    return _file(where, where.name.split(".")[0])


def _folder(folder: Path) -> Dataset:
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    tensors = [file for file in files if file.suffix.lower() in (".npy", ".safetensors")]
    pictures = [file for file in files if file.suffix.lower() == ".png"]
    parts = [found for part in ("train", "t10k") if (found := _either(folder / f"{part}-images-idx3-ubyte"))]
    candidates = tensors + parts[:1]
    if len(candidates) + bool(pictures) > 1:
        names = ", ".join(file.name for file in (candidates + pictures)[:6])
        raise ValueError(f"{folder} holds more than one data set: {names}. Name the file, or keep one kind only.")
    if pictures:
        return _dataset(folder.name, read_pngs(sorted(pictures, key=_natural)), None)
    if not candidates:
        names = ", ".join(file.name for file in files[:6]) or "no files"
        raise FileNotFoundError(f"{folder} holds {names}. It must hold {_WHAT}.")
    return _file(candidates[0], folder.name)


def _file(path: Path, name: str) -> Dataset:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _dataset(name, read_npy(path), None)
    if suffix == ".safetensors":
        return _dataset(name, *read_safetensors(path))
    if suffix in _PICKLES:
        raise ValueError(
            f"{path} may hold pickles, and loading a pickle can run any code. Save the array with numpy.save as .npy, "
            "or the tensor with safetensors."
        )
    if suffix not in ("", ".gz") and "idx" not in suffix:
        raise ValueError(f"{path} is of no kind that is read. Use {_WHAT}.")
    images, labels = read_idx(path, max_elements=MAX_ELEMENTS), None
    beside = _either(path.with_name(path.name.removesuffix(".gz").replace("images-idx3", "labels-idx1")))
    if beside is not None and "images-idx3" in path.name:
        labels = read_idx(beside, magic=LABELS_MAGIC, max_elements=MAX_ELEMENTS)
    return _dataset(name, images, labels)


def _dataset(name: str, array: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor | None) -> Dataset:
    x = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
    if x.ndim == 4 and x.shape[1] not in _CHANNELS and x.shape[3] in _CHANNELS:
        raise ValueError(
            f"{name}: pictures of shape {tuple(x.shape)} have their channels last. Save them as (n, c, h, w), "
            "by array.transpose(0, 3, 1, 2)."
        )
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]  # one channel is a grey picture (h, w)
    if x.dtype == torch.uint8:
        x = x.to(torch.float32).div_(127.5).sub_(1.0)
    if labels is None:
        return from_tensor(x, name=name)
    y = torch.from_numpy(labels) if isinstance(labels, np.ndarray) else labels
    return from_tensor(x, name=name, labels=y if y.is_floating_point() else y.to(torch.int64))


def _either(path: Path) -> Path | None:
    return next((found for found in (path, path.with_name(f"{path.name}.gz")) if found.is_file()), None)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Digits by their value: 2.png before 10.png."""
    return [(int(part[:18]), part) if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
