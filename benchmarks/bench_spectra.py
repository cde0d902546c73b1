"""Jacobian products and leading eigenvalues of neural games: python benchmarks/bench_spectra.py

Parts by name: products, dense, eigenvalues, memory.

The reference is the usual way (Berard et al., ICLR 2020): the gradients of both players with `create_graph=True`, a
product by one more backward pass through that graph, in float32, and `scipy.sparse.linalg.eigs` with its defaults on
it.  It gives Jᵀu, so its vectors are left ones; ours are right ones, from Ju, with a residual for each, computed from
products of its own; in the timed rows these products are left out (`verify=False`), because the reference makes none
either.  The unit of a product is one gradient of both players, by hand, with one forward pass of D on the
fakes.

Networks are tanh perceptrons after 200 steps of Adam, batch 256.  Both sides of an eigenvalue row start from the
parameters; building graphs and recording products is inside our time.  A row counts only if our largest residual is not
above the reference's: both are computed in double precision.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import ONE_THREAD, RESULTS, cpu_time, pin, ratio, save
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

import gamedyn as gd
from gamedyn import neural
from gamedyn.games.products import RetainedJacobian

SIZES = {
    "1e3": (8, 2, (16, 16), (24, 16)),
    "1e4": (16, 2, (64, 64), (64, 64)),
    "1e5": (32, 784, (64, 64), (64, 64)),
    "1e6": (64, 784, (400, 400), (400, 400)),
}
CASES = {  # size, order, our tolerance, our basis, the bar
    "1e4 SR": ("1e4", "SR", 3e-7, 100, 0.25),
    "1e5 LM": ("1e5", "LM", 1.5e-6, 70, 0.75),
    "1e5 SR": ("1e5", "SR", 3e-6, 70, 0.75),
    "1e6 LM": ("1e6", "LM", 3e-7, 60, 0.85),
}


class Images(nn.Module):
    """A DCGAN generator for 28 x 28 pixels."""

    in_features = 32

    def __init__(self, batch_norm: bool, channels: int = 32) -> None:
        super().__init__()
        norm = (lambda c: nn.BatchNorm2d(c, track_running_stats=False)) if batch_norm else (lambda c: nn.Identity())
        self.stem = nn.Linear(32, 2 * channels * 49)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (2 * channels, 7, 7)), norm(2 * channels), nn.ReLU(),
            nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1), norm(channels), nn.ReLU(),
            nn.ConvTranspose2d(channels, 1, 4, 2, 1), nn.Tanh(), nn.Flatten(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Images `(n, 784)`."""
        return self.layers(self.stem(z))


class Critic(nn.Module):
    """Its discriminator."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, channels, 4, 2, 1), nn.Conv2d(channels, 2 * channels, 4, 2, 1)
        self.head = nn.Linear(2 * channels * 49, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(n, 1)`."""
        h = leaky_relu(self.b(leaky_relu(self.a(x.view(-1, 1, 28, 28)), 0.2)), 0.2)
        return self.head(h.flatten(1))


def perceptrons(size: str, trained: bool = True) -> tuple[Any, Tensor]:
    """A GAN of about so many parameters, and its parameters after 200 steps."""
    latent, dim, g, d = SIZES[size]
    draws = torch.Generator().manual_seed(0)
    data = (
        neural.ring(n=2048)
        if dim == 2
        else neural.from_tensor(torch.tanh(torch.randn((2048, dim), generator=draws)), name="noise")
    )
    nets = neural.mlp_generator(latent, dim, g, activation="tanh"), neural.mlp_discriminator(dim, d, activation="tanh")
    gan = neural.GAN(*nets, data=data, evaluation_size=256)
    if not trained:
        return gan, gan.initial()
    method = gd.Method(gd.Simultaneous(lr=1e-3), gd.Adam(beta1=0.5))
    return gan, neural.train(gan, method, 200, every=200, progress=False).z


def images(batch_norm: bool) -> tuple[Any, Tensor]:
    """A DCGAN on noise, batch 64."""
    torch.manual_seed(0)
    data = neural.from_tensor(torch.tanh(torch.randn(512, 784)), name="noise")
    gan = neural.GAN(Images(batch_norm), Critic(), data=data, evaluation_size=64)
    return gan, gan.initial()


class Reference:
    """The game of a GAN in plain torch, with the products of the reference."""

    def __init__(self, gan: Any, z: Tensor) -> None:
        gan.load(z)
        self.G, self.D = gan.generator, gan.discriminator
        self.x, self.latents = gan.evaluation_sample.x, gan.evaluation_sample.latents
        self.params = [*self.G.parameters(), *self.D.parameters()]
        self.cut = len(list(self.G.parameters()))

    def gradients(self, create_graph: bool = False) -> list[Tensor]:
        """Both players' gradients."""
        fake = self.D(self.G(self.latents))
        cost_d, cost_g = softplus(-self.D(self.x)).mean() + softplus(fake).mean(), softplus(-fake).mean()
        first = torch.autograd.grad(cost_g, self.params[: self.cut], create_graph=create_graph, retain_graph=True)
        return [*first, *torch.autograd.grad(cost_d, self.params[self.cut :], create_graph=create_graph)]

    def keep(self) -> Reference:
        """The graph of v."""
        self.v = torch.cat([g.reshape(-1) for g in self.gradients(create_graph=True)])
        return self

    def transposed(self, u: Tensor) -> Tensor:
        """Jᵀu."""
        rows = torch.autograd.grad(self.v, self.params, u, retain_graph=True)
        return torch.cat([r.reshape(-1) for r in rows])

    def eigs(self, k: int, which: str) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and (left) eigenvectors as the reference computes them."""
        from scipy.sparse.linalg import LinearOperator, eigs

        self.keep()
        d = sum(p.numel() for p in self.params)
        multiply = lambda u: self.transposed(torch.from_numpy(np.ravel(u).astype(np.float32))).numpy()  # noqa: E731
        return eigs(LinearOperator((d, d), matvec=multiply, dtype=np.float32), k=k, which=which)


def repeated(fn: Callable[[], Any], times: int) -> Callable[[], float]:
    """CPU seconds of some calls in a row."""
    return lambda: cpu_time(lambda: [fn() for _ in range(times)])


def products() -> dict[str, Any]:
    """One product in units of one gradient."""
    results: dict[str, Any] = {}
    games = {size: (lambda s=size: perceptrons(s, trained=False)) for size in SIZES}
    games |= {"DCGAN": lambda: images(False), "DCGAN with BatchNorm": lambda: images(True)}
    for name, make in games.items():
        gan, z = make()
        reference, u = Reference(gan, z), torch.randn(gan.dim, generator=torch.Generator().manual_seed(1))
        times = 20 if name in ("1e3", "1e4") else 3
        for mode in ("retained", "recorded"):
            J = RetainedJacobian(gan.field("neural"), z, mode)
            for kind in ("jvp", "vjp"):
                product = getattr(J, kind)
                began = time.process_time()
                product(u)
                setup = time.process_time() - began
                row = ratio(repeated(lambda p=product, u=u: p(u), times), repeated(reference.gradients, times))
                row["parameters"] = gan.dim
                if mode == "recorded":
                    row["setup_s"] = setup
                    slow = results[f"{name}: {kind}, retained / one gradient"]["ours_s"]
                    saved = (slow - row["ours_s"]) / times
                    row["pays_after_products"] = round(setup / saved) if saved > 0 else None
                    row["reason"] = J.costs[kind].reason
                results[f"{name}: {kind}, {mode} / one gradient"] = row
    return results


def dense() -> dict[str, Any]:
    """The whole matrix, or its first rows, against a loop over rows."""
    results = {}
    for size, rows in (("1e3", None), ("1e4", 2048)):
        gan, z = perceptrons(size, trained=False)
        count = rows or gan.dim
        eye = torch.eye(gan.dim)[:count]

        def ours(gan: Any = gan, z: Tensor = z, whole: bool = rows is None, eye: Tensor = eye) -> Any:
            J = RetainedJacobian(gan.field("neural"), z)
            if whole:
                return J.to_dense()
            J.products = "recorded"
            return [J.vjp(e) for e in eye]

        def loop(gan: Any = gan, z: Tensor = z, eye: Tensor = eye) -> Any:
            reference = Reference(gan, z).keep()
            return torch.stack([reference.transposed(e) for e in eye])

        results[f"{size}: {'dense J' if rows is None else f'{count} rows of J'} / row loop"] = ratio(
            lambda f=ours: cpu_time(f), lambda f=loop: cpu_time(f)
        )
    return results


def residuals(values: np.ndarray, vectors: np.ndarray, product: Callable[[Tensor], Tensor]) -> np.ndarray:
    """‖Jx - λx‖ of unit vectors, in double precision."""
    found = []
    for value, x in zip(values, vectors.T, strict=True):
        x = x / np.linalg.norm(x)
        parts = [product(torch.from_numpy(part.astype(float).copy())).numpy() for part in (x.real, x.imag)]
        found.append(np.linalg.norm(parts[0] + 1j * parts[1] - value * x))
    return np.array(found)


def eigenvalues() -> dict[str, Any]:
    """The leading twenty against the reference, set-up included, at a residual that is not larger."""
    results = {}
    for name, (size, which, tolerance, basis, bar) in CASES.items():
        gan, z = perceptrons(size)
        exact = RetainedJacobian(gan.field("neural"), z.double())
        kept: dict[str, Any] = {}

        def ours(gan: Any = gan, z: Tensor = z, a: Any = (which, tolerance, basis), kept: Any = kept) -> None:
            J = gd.jacobian(gan, z, products="recorded")
            kept["ours"], kept["J"] = J.eigenvalues(20, a[0], tolerance=a[1], basis=a[2], verify=False), J

        def theirs(gan: Any = gan, z: Tensor = z, which: str = which, kept: Any = kept) -> None:
            kept["theirs"] = Reference(gan, z).eigs(20, which)

        row = ratio(lambda f=ours: cpu_time(f), lambda f=theirs: cpu_time(f))
        found, (values, vectors) = kept["ours"], kept["theirs"]
        size_of = float(np.abs(values).max())
        row["our_residual"] = float(residuals(found.values, found.vectors, exact.jvp).max() / size_of)
        row["their_residual"] = float(residuals(values, vectors, exact.vjp).max() / size_of)
        row["equal_residual"] = row["our_residual"] <= row["their_residual"]
        distance = np.abs(np.asarray(found)[:, None] - values[None, :]).min(axis=0)  # ours may complete a pair
        row["largest_difference"] = float(distance.max() / size_of)
        row |= {
            "parameters": gan.dim,
            "bar": bar,
            "our_products": found.products,
            "setup_s": kept["J"].costs["jvp"].setup_seconds,
        }
        results[f"leading 20, {name}: ours / reference"] = row
    return results


MEASURE = """
import json, sys
sys.path.insert(0, "benchmarks")
from harness import pin
pin()
import torch
torch.set_num_threads(1)
import numpy, scipy.linalg, scipy.linalg.lapack
import gamedyn as gd
from bench_spectra import perceptrons
def peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0]) * 1024
gan, z = perceptrons("1e6", trained=False)
small, w = perceptrons("1e4", trained=False)
gd.jacobian(small, w, products="recorded").eigenvalues(5, basis=20, tolerance=1e-3)
gan.field("neural")(z)
before = peak()
J = gd.jacobian(gan, z, products="retained")
J.product(z)
graph = peak() - before
del J
before = peak() if {graph_only} else before
if not {graph_only}:
    gd.jacobian(gan, z, products="recorded").eigenvalues(20, basis={basis}, tolerance=1e-6)
print(json.dumps([graph, peak() - before, gan.dim]))
"""


def memory() -> dict[str, Any]:
    """Peak memory of the leading twenty at 1e6 parameters, against the basis and one graph.

    Resident memory in a fresh process; the C library is told to give freed blocks back at once
    (MALLOC_MMAP_THRESHOLD_), so that what is resident is what is held.
    """
    basis = CASES["1e6 LM"][3]
    rows = []
    for only in (True, False):
        code = MEASURE.replace("{graph_only}", str(only)).replace("{basis}", str(basis))
        env = {**os.environ, **ONE_THREAD, "MALLOC_MMAP_THRESHOLD_": "65536"}
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env).stdout
        rows.append(json.loads(out.splitlines()[-1]))
    graph, (_, extra, d) = rows[0][0], rows[1]
    space = 4 * d * (basis + 1)
    limit = 1.2 * space + graph
    return {
        "memory of the leading 20 at 1e6 / (1.2 basis + one graph)": {
            "ratio": extra / limit, "extra_bytes": extra, "basis_bytes": space, "graph_bytes": graph, "parameters": d
        }
    }  # fmt: skip


PARTS = {"products": products, "dense": dense, "eigenvalues": eigenvalues, "memory": memory}

if __name__ == "__main__":
    pin()
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or list(PARTS)
    path = RESULTS / "spectra.json"
    results = json.loads(path.read_text())["results"] if path.exists() and sys.argv[1:] else {}
    for part in wanted:
        results |= PARTS[part]()
        save("spectra", results)
