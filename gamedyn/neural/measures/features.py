"""A small classifier of a data set, for features to compare samples in and classes to count.

    x -> h(x) in R^64 -> logits W h(x) + b                                                  (1)

It is trained on the data at hand, in seconds, so that pictures of any kind can be judged without a download.  Distances
in its features have its own scale: compare them with those of the same network only.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gamedyn.maps.kernels import cache_directory
from gamedyn.neural.data import Dataset
from gamedyn.neural.data.checks import require_count
from gamedyn.neural.networks import Network
from gamedyn.neural.networks.dcgan import strided
from gamedyn.neural.networks.layers import initialise, linear, picture_shape

__all__ = ["FeatureNet", "feature_net"]

FORMAT = "gamedyn feature net 1"
FEATURES = 64
WIDTH = 128  # of the fully connected network
CHANNELS, KERNEL = (16, 32), 5  # of the convolutional one
SMALL = 16  # pixels a side below which pictures go to the fully connected network
HELD_OUT = 0.2
MOST_HELD_OUT = 10_000
ROWS = 1024  # evaluated at a time


@dataclass(frozen=True)
class _Settings:
    """What a network is, besides its data."""

    convolutional: bool
    epochs: int
    batch: int
    lr: float
    seed: int


@dataclass(frozen=True, eq=False, repr=False)
class FeatureNet:
    """A trained classifier of a data set: features `(n, 64)` and classes of rows `(n, d)`.

    Attributes
    ----------
    name : str
        Of the data.
    network : Network
        R^d -> logits, float32 on the CPU.
    classes : ndarray `(k,)`
        The labels, ascending.
    shares : ndarray `(k,)`
        Of the classes in the data.
    accuracy : float
        On the rows held out of training.
    digest : str
        SHA-256 of data and settings.
    """

    name: str
    network: Network
    classes: np.ndarray
    shares: np.ndarray
    accuracy: float
    digest: str

    def features(self, x: Tensor) -> Tensor:
        """h(x) `(n, 64)`: the last hidden layer after its activation, float32 on the CPU."""
        return self._through(x, features=True)

    def predict(self, x: Tensor) -> np.ndarray:
        """The label of every row, `(n,)`."""
        return self.classes[self._through(x).argmax(1).numpy()]

    def histogram(self, x: Tensor) -> np.ndarray:
        """Share of every class among the rows, `(k,)`."""
        return np.bincount(np.searchsorted(self.classes, self.predict(x)), minlength=len(self.classes)) / len(x)

    def _through(self, x: Tensor, *, features: bool = False) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.network.in_features or not len(x):
            raise ValueError(f"x has shape {tuple(x.shape)}; this network needs (n, {self.network.in_features})")
        with torch.no_grad():
            layers = self.network.layers[:-1] if features else self.network.layers
            rows = x.detach().to(device="cpu", dtype=torch.float32)
            return torch.cat([layers(part) for part in rows.split(ROWS)])

    def __repr__(self) -> str:
        kind = "convolutional" if isinstance(self.network.layers[0], nn.Unflatten) else "fully connected"
        return (
            f"FeatureNet({self.name}: {kind}, {self.network.in_features} -> {FEATURES} -> {len(self.classes)} classes, "
            f"{self.accuracy:.1%} right on held-out rows)"
        )


def feature_net(data: Dataset, *, seed: int = 0, epochs: int | None = None, cache: bool = True) -> FeatureNet:
    """Train a classifier of a data set, or get it from the cache.

        pictures of 16 x 16 pixels and more:  conv 16 - conv 32 (5 x 5, stride 2) - 64 - classes
        others:                               d - 128 - 64 - classes;    ReLU, Adam

    A fifth of the rows, 10,000 at most, is held out for the accuracy.  The result is a function of data, seed and
    epochs, up to the rounding of the machine, and is kept as `$GAMEDYN_CACHE/features/<digest>.safetensors`.

    Parameters
    ----------
    data : Dataset
        With `labels`, of at least two classes.
    seed : int
        Of the split, the initial weights and the batches.
    epochs : int, optional
        By default 60 for the fully connected network (`digits`: 2 s, 98 % right) and 2 for the convolutional one
        (`mnist`: 20 s, 98 %).
    cache : bool
        Whether to look there and write there.

    Raises
    ------
    ValueError, TypeError
        Data without labels or of one class; counts that make no sense.

    Warns
    -----
    RuntimeWarning
        If a cached file is damaged, which is then replaced, or the cache cannot be written.

    Examples
    --------
    >>> from gamedyn.neural import digits
    >>> net = feature_net(digits(), epochs=5, cache=False)
    >>> net.features(digits().x).shape, net.accuracy > 0.8
    (torch.Size([1797, 64]), True)
    """
    if data.labels is None or len(data.labels.unique()) < 2:
        raise ValueError(f"{data.name} has no labels of two classes or more; a classifier needs them.")
    if epochs is not None:
        require_count("epochs", epochs)
    settings = _settings(data, epochs, seed)
    labels, data = data.labels.cpu().numpy(), data.to(device="cpu", dtype=torch.float32)
    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    network, digest = _network(data, len(classes), settings), _digest(data, settings)
    path = cache_directory() / "features" / f"{digest[:32]}.safetensors"
    accuracy = _load(path, network, digest) if cache else None
    if accuracy is None:
        accuracy = _fit(network, data.x, torch.from_numpy(index), settings)
        if cache:
            _save(path, network, digest, accuracy)
    return FeatureNet(data.name, network.eval(), classes, counts / len(data), accuracy, digest)


def _settings(data: Dataset, epochs: int | None, seed: int) -> _Settings:
    if data.image_shape is not None and min(picture_shape(data.image_shape)[1:]) >= SMALL:
        return _Settings(convolutional=True, epochs=epochs or 2, batch=128, lr=1e-3, seed=seed)
    return _Settings(convolutional=False, epochs=epochs or 60, batch=64, lr=1e-3, seed=seed)


def _network(data: Dataset, classes: int, settings: _Settings) -> Network:
    layers: list[nn.Module] = [linear(data.dim, WIDTH), nn.ReLU(), linear(WIDTH, FEATURES)]
    if settings.convolutional:
        assert data.image_shape is not None
        colours, h, w = shape = picture_shape(data.image_shape)
        first, second = CHANNELS
        pixels = math.ceil(h / 4) * math.ceil(w / 4)
        maps = [strided(nn.Conv2d, a, b, KERNEL) for a, b in ((colours, first), (first, second))]
        layers = [nn.Unflatten(-1, shape), maps[0], nn.ReLU(), maps[1], nn.ReLU(), nn.Flatten()]
        layers.append(linear(second * pixels, FEATURES))
    layers += [nn.ReLU(), linear(FEATURES, classes)]
    return initialise(Network(layers, in_features=data.dim, out_features=classes), seed=settings.seed)


def _fit(network: Network, x: Tensor, index: Tensor, settings: _Settings) -> float:
    """Train in place; the share of held-out rows that are classified rightly."""
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(x), generator=generator)
    held, rows = order.split([n := min(int(HELD_OUT * len(x)), MOST_HELD_OUT), len(x) - n])
    adam = torch.optim.Adam(network.parameters(), lr=settings.lr)
    for _ in range(settings.epochs):
        for part in rows[torch.randperm(len(rows), generator=generator)].split(settings.batch):
            adam.zero_grad()
            cross_entropy(network(x[part]), index[part]).backward()
            adam.step()
    network.requires_grad_(False)
    right = [network(x[part]).argmax(1) == index[part] for part in held.split(ROWS)]
    return float(torch.cat(right).double().mean()) if n else math.nan


def _digest(data: Dataset, settings: _Settings) -> str:
    assert data.labels is not None
    facts = {"format": FORMAT, "shape": data.image_shape, "labels": str(data.labels.dtype), **asdict(settings)}
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for t in (data.x, data.labels):
        total.update(repr(tuple(t.shape)).encode())
        total.update(t.numpy().tobytes())
    return total.hexdigest()


def _content(tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].numpy().tobytes())
    return total.hexdigest()


def _save(path: Path, network: Network, digest: str, accuracy: float) -> None:
    from safetensors.torch import save

    tensors = {name: t.detach().contiguous() for name, t in network.state_dict().items()}
    facts = {"format": FORMAT, "digest": digest, "accuracy": repr(accuracy), "content": _content(tensors)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(save(tensors, facts))
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"the feature network was not kept ({error}). Set GAMEDYN_CACHE to a folder you can write."
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _load(path: Path, network: Network, digest: str) -> float | None:
    """Read the cached weights into the network; its accuracy, or None where they are absent or damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts, tensors = file.metadata() or {}, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        accuracy = float(facts["accuracy"])
        wanted = {name: (t.shape, t.dtype) for name, t in network.state_dict().items()}
        if {name: (t.shape, t.dtype) for name, t in tensors.items()} != wanted:
            raise ValueError("its tensors are those of another network")
        if (facts["format"], facts["digest"], facts["content"]) != (FORMAT, digest, _content(tensors)):
            raise ValueError("its content does not match its digest")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} cannot be used ({type(error).__name__}: {error}); training the feature network anew."
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        return None
    network.load_state_dict(tensors)
    network.requires_grad_(False)
    return accuracy
