"""Strict readers of tensor files and picture folders: .npy, .safetensors and PNG.

    npy = "\\x93NUMPY" major minor length, a header of that length, the entries                  (1)

These files come from somewhere else. Nothing in them is executed or evaluated: the header (1) is matched against the
one form that arrays are written in, object arrays (pickles) are refused, and no size is believed before it has been
compared with the file.

References
----------
.. [1] Kern (2007), A simple file format for NumPy arrays, NumPy Enhancement Proposal 1.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

__all__ = ["MAX_ELEMENTS", "read_npy", "read_pngs", "read_safetensors"]

MAX_ELEMENTS = 2**28  # of one unpacked data set: 1 GiB as float32

_NPY_MAGIC = b"\x93NUMPY"
_NPY_LONGEST_HEADER = 10_000
_NPY_HEADER = re.compile(
    rb"\s*\{\s*'descr'\s*:\s*'(?P<dtype>[^']{1,16})'\s*,\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    rb"\s*'shape'\s*:\s*\((?P<shape>\s*(?:\d{1,18}\s*,\s*){0,4}(?:\d{1,18}\s*)?)\)\s*,?\s*\}\s*"
)
_NPY_DTYPES = {b"|u1", b"<u1", b">u1", b"<f2", b"<f4", b"<f8", b">f2", b">f4", b">f8"}
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file of bytes or floats, in the byte order of the machine; it belongs to the caller.

    Raises
    ------
    FileNotFoundError
        There is no such regular file.
    ValueError
        Not a .npy file, another type of entries (object arrays above all), or more or fewer bytes than the header says.
    """
    content = _regular(path).read_bytes()
    if not content.startswith(_NPY_MAGIC) or len(content) < 10:
        raise ValueError(f"{path} is not a .npy file: it starts with {content[:6].hex(' ')}. Write it with numpy.save.")
    wide = content[6] > 1  # versions 2 and 3 have a length of four bytes
    length = struct.unpack_from("<I" if wide else "<H", content.ljust(12, b"\0"), 8)[0]
    start = (12 if wide else 10) + length
    if length > _NPY_LONGEST_HEADER or start > len(content):
        raise ValueError(f"{path}: a header of {length} bytes in a file of {len(content)}. The file is damaged.")
    dtype, fortran, shape = _npy_header(path, content[start - length : start])
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        found = len(content) - start
        what = "truncated" if found < expected else "too long"
        raise ValueError(
            f"{path} is {what}: {shape} of {dtype} needs {expected} bytes after the header, found {found}."
        )
    flat = np.frombuffer(content, dtype=dtype, offset=start).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _npy_header(path: Path, header: bytes) -> tuple[np.dtype, bool, tuple[int, ...]]:
    match = _NPY_HEADER.fullmatch(header)
    if match is None:
        raise ValueError(f"{path}: the header {header[:80]!r} is not that of a plain array. Save one array, unnamed.")
    if match["dtype"] not in _NPY_DTYPES:
        pickled = " An object array is a pickle, which is never loaded." if b"O" in match["dtype"] else ""
        raise ValueError(
            f"{path} holds entries of type {match['dtype'].decode('latin1')!r}; it must be unsigned bytes or floats of "
            f"16, 32 or 64 bits.{pickled}"
        )
    sizes = tuple(map(int, re.findall(rb"\d+", match["shape"])))
    return np.dtype(match["dtype"].decode()), match["fortran"] == b"True", sizes


def read_safetensors(path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The only tensor of a .safetensors file, or those named "x" and, if there, "labels".

    Raises
    ------
    FileNotFoundError
        There is no such regular file.
    ValueError
        Not a safetensors file, damaged, or its tensors have other names.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_regular(path), framework="pt") as file:
            names = sorted(file.keys())
            if len(names) != 1 and not {"x"} <= set(names) <= {"x", "labels"}:
                raise ValueError(f"{path} holds {names[:8]}; it must be one tensor, or 'x' and 'labels'.")
            x = file.get_tensor(names[0] if len(names) == 1 else "x").clone()
            return x, file.get_tensor("labels").clone() if len(names) == 2 else None
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}. Get the file again.") from error


def read_pngs(paths: list[Path]) -> np.ndarray:
    """Pictures of one size, grey or colour with 8 bits: uint8 (n, h, w) or (n, 3, h, w).

    Raises
    ------
    FileNotFoundError
        One of them is not a regular file.
    ValueError
        Not a PNG, damaged, transparent, of another size or kind than the first, or too much in all.
    """
    first = _read_png(paths[0])
    if first.size * len(paths) > MAX_ELEMENTS:
        raise ValueError(f"{len(paths)} pictures of {first.size} bytes are above the limit of {MAX_ELEMENTS} bytes.")
    pictures = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for i, path in enumerate(paths):
        picture = first if i == 0 else _read_png(path)
        if picture.shape != first.shape:
            raise ValueError(
                f"{path} has shape {picture.shape}, {paths[0]} has {first.shape}. Scale all pictures to one size."
            )
        pictures[i] = picture
    return pictures


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    with _regular(path).open("rb") as file:
        start = file.read(24)
        if not start.startswith(_PNG_START) or len(start) < 24:
            raise ValueError(f"{path} is not a PNG picture: it starts with {start[:8].hex(' ')}.")
        width, height = struct.unpack(">II", start[16:])
        if not 0 < width * height <= MAX_ELEMENTS // 16:
            raise ValueError(f"{path} announces {height} x {width} pixels; 1 to {MAX_ELEMENTS // 16} are read.")
        file.seek(0)
        try:
            with Image.open(file, formats=("PNG",)) as picture:
                mode, pixels = picture.mode, np.asarray(picture)
        except (OSError, SyntaxError, ValueError, zlib.error, struct.error) as error:
            raise ValueError(f"{path} cannot be unpacked: {error}. Get the file again.") from error
    if mode not in ("L", "RGB"):
        raise ValueError(f"{path} is a PNG of mode {mode}; it must be grey or RGB with 8 bits and no transparency.")
    return pixels if mode == "L" else np.moveaxis(pixels, 2, 0)


def _regular(path: Path) -> Path:
    if not path.is_file():  # also keeps named pipes and devices from being opened, which could wait for ever
        raise FileNotFoundError(f"{path} is not a file.")
    return path
