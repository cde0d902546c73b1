"""Pictures as data: scaled to [-1, 1] and flattened row by row.  Nothing here downloads."""

from __future__ import annotations

import os

import torch

from gamedyn.neural.data.dataset import Dataset
from gamedyn.neural.data.idx import Checksum, load_mnist

__all__ = ["digits", "mnist"]


def digits() -> Dataset:
    """The 1797 handwritten digits of 8x8 pixels that scikit-learn carries: x = pixel / 8 - 1 in [-1, 1].

    No download, seconds per experiment: the default real data set. Labels are the digits 0 to 9.

    References
    ----------
    .. [1] Alpaydin, Kaynak (1998), Optical recognition of handwritten digits, UCI Machine Learning Repository.

    Examples
    --------
    >>> digits()
    Dataset(digits: 1797 x 64, float32 on cpu, 8 x 8 pixels, 10 classes)
    """
    from sklearn.datasets import load_digits  # takes a second to import, and only this function needs it

    pixels, labels = load_digits(return_X_y=True)  # 0 = background, 16 = ink
    x = torch.from_numpy(pixels).to(torch.float32) / 8.0 - 1.0
    return Dataset("digits", x, torch.from_numpy(labels).to(torch.int64), (8, 8))


def mnist(
    directory: str | os.PathLike[str],
    train: bool = True,
    *,
    checksum: Checksum = "warn",
    name: str = "mnist",
) -> Dataset:
    """MNIST, or a data set with its files' layout, from a directory: x = pixel / 127.5 - 1, (n, 784).

    Parameters
    ----------
    directory, train, checksum
        As in `gamedyn.neural.data.idx.load_mnist`, whose errors and warning are this function's too.
    name : str
        For another data set of the same layout, with ``checksum="ignore"``.
    """
    images, labels = load_mnist(directory, train, checksum=checksum)
    x = torch.from_numpy(images).reshape(len(images), -1).to(torch.float32).div_(127.5).sub_(1.0)
    return Dataset(name, x, torch.from_numpy(labels).to(torch.int64), (images.shape[1], images.shape[2]))
