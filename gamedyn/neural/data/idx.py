"""A strict reader of IDX files, the format of MNIST.

    header  = 0x00 0x00 0x08 D,  then D sizes as big-endian unsigned 32-bit integers
    payload = size_1 * ... * size_D unsigned bytes, row-major                              (1)

A file is data from somewhere else: its header is checked against its length before anything is
allocated, a compressed file is unpacked only as far as its header says, and nothing is guessed.

References
----------
.. [1] LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition,
   Proc. IEEE 86(11).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np

__all__ = ["FASHION_MNIST_MD5", "IMAGES_MAGIC", "LABELS_MAGIC", "MNIST_MD5", "load_mnist", "read_idx"]

IMAGES_MAGIC = 2051  # 0x00000803: unsigned bytes, three dimensions
LABELS_MAGIC = 2049  # 0x00000801: unsigned bytes, one dimension

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The md5 of each unpacked original, by file name."""

FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""The same of Fashion-MNIST, as published; its files have the names of MNIST's."""

Checksum = Literal["warn", "error", "ignore"]
Original = Literal["MNIST", "Fashion-MNIST"]

_ORIGINALS = {"MNIST": MNIST_MD5, "Fashion-MNIST": FASHION_MNIST_MD5}
_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 4
_MAX_ELEMENTS = 2**30
_MAX_MNIST_ELEMENTS = 2**26  # 85,598 images of 28 x 28: room for MNIST and its look-alikes
_CHUNK = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_MAX_RATIO = 1032  # no deflate stream unpacks to more than 1032 times its own length


def read_idx(
    path: str | os.PathLike[str],
    *,
    magic: int | None = None,
    md5: str | None = None,
    max_elements: int = _MAX_ELEMENTS,
) -> np.ndarray:
    """Read one IDX file of unsigned bytes, plain or gzip (told apart by content, not by name).

    Parameters
    ----------
    path : path
        The file. It must be a regular file.
    magic : int, optional
        The magic number that the header must have: 2051 for images, 2049 for labels. By default any
        IDX file of unsigned bytes with 1 to 4 dimensions.
    md5 : str, optional
        32 hexadecimal digits: the md5 that the unpacked content, header included, must have.
    max_elements : int
        Refuse headers that announce more elements (bytes) than this. Default 2**30.

    Returns
    -------
    np.ndarray
        uint8, of the header's sizes, e.g. (60000, 28, 28); writable, owned by the caller.

    Raises
    ------
    FileNotFoundError
        There is no such regular file.
    ValueError
        Not IDX, another magic number, a size of zero, more than `max_elements`, a payload shorter or
        longer than the header says, broken gzip, or another md5. Memory stays below the smaller of
        what the header announces and what the file holds, so a gzip bomb is refused unpacked.

    Examples
    --------
    >>> import struct, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "labels"
    ...     _ = file.write_bytes(struct.pack(">II", 2049, 3) + bytes([7, 2, 1]))
    ...     read_idx(file, magic=2049)
    array([7, 2, 1], dtype=uint8)
    """
    array, digest = _read(Path(path), magic, max_elements)
    if md5 is not None and digest != md5.lower():
        raise ValueError(
            f"{path}: the md5 of the unpacked content is {digest}, expected {md5.lower()}. "
            "The file is damaged or is another data set."
        )
    return array


def load_mnist(
    directory: str | os.PathLike[str],
    train: bool = True,
    *,
    checksum: Checksum = "warn",
    original: Original = "MNIST",
) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and labels of MNIST, or of a data set with its layout, from a directory.

    Parameters
    ----------
    directory : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, each plain or with ``.gz`` (the plain one is read where both lie there).
    train : bool
        True for the ``train`` pair (60000 in the original), False for the ``t10k`` pair (10000).
    checksum : {"warn", "error", "ignore"}
        What to do when a file's unpacked content is not the original by its md5. Others have the same layout and
        names, hence "warn" by default and "ignore" for them.
    original : {"MNIST", "Fashion-MNIST"}
        Whose md5 that is.

    Returns
    -------
    images : np.ndarray
        uint8 (n, 28, 28), 0 = background, 255 = ink.
    labels : np.ndarray
        uint8 (n,), 0 to 9.

    Raises
    ------
    FileNotFoundError
        A file is missing; the message names all four.
    ValueError
        A file is malformed (see `read_idx`), counts differ, images are not 28 x 28, a label exceeds 9, or an
        md5 differs and ``checksum="error"``.

    Warns
    -----
    UserWarning
        An md5 differs and ``checksum="warn"``.
    """
    if checksum not in ("warn", "error", "ignore"):
        raise ValueError(f"checksum is {checksum!r}; use 'warn', 'error' or 'ignore'.")
    if original not in _ORIGINALS:
        raise ValueError(f"original is {original!r}; use {' or '.join(map(repr, _ORIGINALS))}.")
    folder, part = Path(directory), "train" if train else "t10k"
    paths = [_find(folder, f"{part}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    arrays = []
    for path, magic in zip(paths, (IMAGES_MAGIC, LABELS_MAGIC), strict=True):
        array, digest = _read(path, magic, _MAX_MNIST_ELEMENTS)
        _check_original(path, digest, checksum, original)
        arrays.append(array)
    images, labels = arrays
    _check_pair(folder, images, labels)
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    what = f"has no {name}" if folder.is_dir() else "is not a directory"
    raise FileNotFoundError(
        f"{folder} {what}. Name a directory with the four MNIST files, each plain or with .gz: {', '.join(MNIST_MD5)}."
    )


def _check_original(path: Path, digest: str, checksum: Checksum, original: Original) -> None:
    expected = _ORIGINALS[original][path.name.removesuffix(".gz")]
    if checksum == "ignore" or digest == expected:
        return
    message = (
        f"{path} is not the {original} original: md5 of the unpacked content {digest}, expected {expected}. If another "
        "data set of the same layout is meant (KMNIST, a subset), pass checksum='ignore'; otherwise replace the file."
    )
    if checksum == "error":
        raise ValueError(message)
    warnings.warn(message, UserWarning, stacklevel=3)


def _check_pair(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    if images.shape[1:] != (28, 28):
        raise ValueError(f"{folder}: images are {images.shape[1]} x {images.shape[2]}, expected 28 x 28. Use read_idx.")
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images)} images but {len(labels)} labels. Take both files from one source.")
    if labels.max() > 9:
        raise ValueError(f"{folder}: label {labels.max()} at index {labels.argmax()}; labels must lie in 0..9.")


def _read(path: Path, magic: int | None, max_elements: int) -> tuple[np.ndarray, str]:
    """The array and the md5 of the unpacked content."""
    if not path.is_file():  # also keeps named pipes and devices from being opened, which could wait for ever
        raise FileNotFoundError(f"{path} is not a file. Name an IDX file, plain or gzip.")
    with path.open("rb") as raw:
        length = os.fstat(raw.fileno()).st_size
        packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        raw.seek(0)
        if not packed:
            return _parse(path, raw, magic, max_elements, (length, "the file holds"))
        limit = (length * _DEFLATE_MAX_RATIO, f"{length} bytes of gzip unpack to at most")
        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse(path, cast(BinaryIO, unpacked), magic, max_elements, limit)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path} starts as gzip but cannot be unpacked: {error}. Get the file again.") from error


def _parse(
    path: Path, stream: BinaryIO, magic: int | None, max_elements: int, limit: tuple[int, str]
) -> tuple[np.ndarray, str]:
    """Header, then exactly the payload it announces; `limit` is the most bytes the file can hold, and why."""
    header, shape = _header(path, stream, magic)
    count = math.prod(shape)
    sizes = " x ".join(map(str, shape))
    if count > max_elements:
        raise ValueError(
            f"{path}: the header announces {sizes} = {count} elements, above the limit of {max_elements}. "
            "The header is damaged, or raise max_elements."
        )
    expected, (available, why) = len(header) + count, limit
    if expected > available:
        raise ValueError(f"{path} is truncated: {sizes} needs {expected} bytes with the header, {why} {available}.")
    payload = _read_at_most(stream, count + 1)
    if len(payload) < count:
        found = len(header) + len(payload)
        raise ValueError(f"{path} is truncated: {sizes} needs {expected} bytes with the header, found {found}.")
    if len(payload) > count:
        raise ValueError(f"{path} is too long: {sizes} needs {expected} bytes with the header, the content goes on.")
    digest = hashlib.md5(header, usedforsecurity=False)
    digest.update(payload)
    return np.frombuffer(payload, dtype=np.uint8).reshape(shape), digest.hexdigest()


def _header(path: Path, stream: BinaryIO, magic: int | None) -> tuple[bytes, tuple[int, ...]]:
    start = bytes(_read_at_most(stream, 4))
    if len(start) < 4:
        raise ValueError(f"{path} is truncated: the IDX header starts with 4 bytes, found {len(start)}.")
    (found,) = struct.unpack(">I", start)
    dimensions = found & 0xFF
    if found >> 8 != _UNSIGNED_BYTE or not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes in 1 to {_MAX_DIMENSIONS} dimensions: it starts with "
            f"{start.hex(' ')}, expected 00 00 08 and the number of dimensions."
        )
    if magic is not None and found != magic:
        raise ValueError(f"{path}: magic number {found}, expected {magic}. Images have 2051, labels 2049.")
    sizes = bytes(_read_at_most(stream, 4 * dimensions))
    if len(sizes) < 4 * dimensions:
        raise ValueError(
            f"{path} is truncated: the header of {dimensions} dimensions has {4 + 4 * dimensions} bytes, "
            f"found {4 + len(sizes)}."
        )
    shape = struct.unpack(f">{dimensions}I", sizes)
    if 0 in shape:
        raise ValueError(f"{path}: the header announces {' x '.join(map(str, shape))}, expected sizes of at least 1.")
    return start + sizes, shape


def _read_at_most(stream: BinaryIO, count: int) -> bytearray:
    """Up to `count` bytes, in chunks, so that memory follows what is there and not what was announced."""
    content = bytearray()
    while len(content) < count:
        chunk = stream.read(min(_CHUNK, count - len(content)))
        if not chunk:
            break
        content += chunk
    return content
