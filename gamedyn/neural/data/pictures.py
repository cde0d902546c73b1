"""Pictures as data: scaled to [-1, 1] and flattened row by row.  Nothing here downloads."""

from __future__ import annotations

import os

import numpy as np
import torch

from gamedyn.neural.data.checks import require_count
from gamedyn.neural.data.dataset import Dataset
from gamedyn.neural.data.idx import Checksum, load_mnist

__all__ = ["digits", "fashion_mnist", "mnist", "stacked_mnist"]


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
    return _pictures(name, *load_mnist(directory, train, checksum=checksum))


def fashion_mnist(directory: str | os.PathLike[str], train: bool = True, *, checksum: Checksum = "warn") -> Dataset:
    """Fashion-MNIST from a directory: x = pixel / 127.5 - 1, (n, 784), ten kinds of clothing.

    Its files have MNIST's names and layout, so they need a directory of their own.

    Parameters
    ----------
    directory, train, checksum
        As in `gamedyn.neural.data.idx.load_mnist`, whose errors and warning are this function's too.

    References
    ----------
    .. [1] Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning
       algorithms, arXiv:1708.07747.
    """
    images, labels = load_mnist(directory, train, checksum=checksum, original="Fashion-MNIST")
    return _pictures("fashion_mnist", images, labels)


def stacked_mnist(source: Dataset, n: int = 10_000, *, seed: int = 0) -> Dataset:
    """Three random pictures as the channels of one: 1000 modes that a classifier of the source can count.

        x = (s_i, s_j, s_k),   label = 100 y_i + 10 y_j + y_k,   i, j, k uniform and independent

    Parameters
    ----------
    source : Dataset
        Grey pictures (h, w) of ten classes 0 to 9: `mnist`, `fashion_mnist`, `digits`.
    n : int
        Number of stacks; all 1000 modes occur with probability 0.96 at n = 10,000 if the classes are balanced.
    seed : int
        Of the choice.

    Returns
    -------
    Dataset
        (n, 3 h w), `image_shape` (3, h, w), labels 0 to 999.

    Raises
    ------
    TypeError, ValueError
        n is not a positive int, or `source` is no such data set.

    References
    ----------
    .. [1] Metz, Poole, Pfau, Sohl-Dickstein (2017), Unrolled generative adversarial networks, ICLR.

    Examples
    --------
    >>> stacked_mnist(digits(), n=500)
    Dataset(stacked digits: 500 x 192, float32 on cpu, 3 x 8 x 8 pixels, 407 classes, seed 0)
    """
    require_count("n", n)
    shape, labels = source.image_shape, source.labels
    if shape is None or len(shape) != 2 or labels is None or labels.unique().tolist() != list(range(10)):
        raise ValueError(f"{source} cannot be stacked: grey pictures with the ten labels 0 to 9 are needed.")
    rows = torch.randint(len(source), (n, 3), generator=torch.Generator().manual_seed(seed)).to(source.x.device)
    digit = labels[rows].to(torch.int64)
    stacked = 100 * digit[:, 0] + 10 * digit[:, 1] + digit[:, 2]
    return Dataset(f"stacked {source.name}", source.x[rows].flatten(1), stacked, (3, *shape), seed=seed)


def _pictures(name: str, images: np.ndarray, labels: np.ndarray) -> Dataset:
    x = torch.from_numpy(images).reshape(len(images), -1).to(torch.float32).div_(127.5).sub_(1.0)
    return Dataset(name, x, torch.from_numpy(labels).to(torch.int64), (images.shape[1], images.shape[2]))
