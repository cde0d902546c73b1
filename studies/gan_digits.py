"""A GAN on real handwritten digits, trained with four methods at the same number of gradient evaluations.

For each method: the path of the parameters, the leading eigenvalues of the game Jacobian at the start, half way and
at the end, samples of the generator, and how many of the ten digits they show.  Every method starts from the same
networks and is preconditioned by Adam.

No paper prints these numbers.  The thresholds of the checks, which tables of studies call "published", are read off
our own runs: each held for every one of the five seeds that `gan_digits_seeds` runs, and after a 1e-6 perturbation of
the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

import gamedyn as gd
from gamedyn.plotting import displays, style
from studies.runner import Check, Study

METHODS = ("Simultaneous", "Alternating", "Extragradient", "Unrolled")
FEWEST = {"Simultaneous": 8, "Alternating": 8, "Extragradient": 6}  # digits shown: below the least of all seeds
COLLAPSED = {"Unrolled": 9}  # digits shown: above the most of all seeds
SOURCE = "statement that held for seeds 0-4 and after a 1e-6 perturbation (gan_digits_seeds)"


def method(name: str, lr: float, unrolled_lr: float) -> gd.Method:
    """The method of a row, preconditioned by Adam."""
    adam = gd.Adam(beta1=0.5)
    if name == "Simultaneous":
        return gd.Method(gd.Simultaneous(lr), adam)
    if name == "Alternating":
        return gd.Method(gd.Alternating(lr, order=(1, 0)), adam)  # the discriminator first, as GANs are trained
    if name == "Extragradient":
        return gd.Method(gd.Extragradient(lr), adam)
    return gd.Method(gd.Simultaneous(lr), adam, gd.unrolled(5, lr=unrolled_lr))


def build(parameters: Mapping[str, Any], seed: int) -> Any:
    """The GAN of a seed: two perceptrons on scikit-learn's bundled digits."""
    from gamedyn import neural

    hidden = (parameters["width"],) * 2
    return neural.GAN(
        neural.mlp_generator(parameters["latent"], 64, hidden, output="tanh", seed=2 * seed),
        neural.mlp_discriminator(64, hidden, seed=2 * seed + 1),
        data=neural.digits(),
        batch_size=parameters["batch"],
        seed=seed,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks are fastest on one thread, and several of them wait for each other on a busy machine."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def run(name: str, parameters: Mapping[str, Any], seed: int, perturb: float = 0.0) -> dict[str, Any]:
    """Train one method and look at where it got to."""
    import torch

    from gamedyn import neural

    gan = build(parameters, seed)
    m = method(name, parameters["lr"], parameters["unrolled_lr"])
    steps = int(parameters["gradients"] / gd.step_cost(m).gradients)
    z0 = gan.initial()
    if perturb:
        z0 = z0 + perturb * torch.randn(gan.dim, generator=torch.Generator().manual_seed(seed))
    result = neural.train(gan, m, steps, seed=seed, every=max(1, steps // parameters["snapshots"]), z0=z0)
    half = result.snapshots[len(result.snapshots) // 2]
    images = gan.sample(result.z, parameters["samples"], seed=1).numpy()
    spectra = [neural.spectrum(gan, z.double(), parameters["eigenvalues"]) for z in (half, result.z)]
    return {
        "steps": steps,
        "status": result.status,
        "snapshots": result.snapshots.numpy(),
        "images": images[:40],
        "histogram": digit_histogram(images),
        "eigenvalues_half": spectra[0].eigenvalues[: parameters["eigenvalues"]],
        "eigenvalues_end": spectra[1].eigenvalues[: parameters["eigenvalues"]],
        "residual": max(float(np.max(s.residuals) / s.norm) for s in spectra),
        "norm_end": spectra[1].norm,
        "share_end": spectra[1].imaginary_share,
        "generator_curvature": least_generator_curvature(gan, result.z.double()),
    }


def digit_histogram(images: np.ndarray) -> np.ndarray:
    """Shares `(10,)` of the digits among images `(n, 64)`, by the 5 nearest real images."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    pixels, labels = load_digits(return_X_y=True)
    votes = KNeighborsClassifier(5).fit(pixels / 8 - 1, labels).predict(images)
    return np.bincount(votes, minlength=10) / len(images)


def least_generator_curvature(gan: Any, z: Any) -> float:
    """The least eigenvalue of the generator's own Hessian block P₁∇²c₁P₁: negative where z is no local Nash point."""
    import torch
    from scipy.sparse.linalg import LinearOperator, eigsh

    F, n = gan.field("neural"), gan.players[0].size

    def product(u: np.ndarray) -> np.ndarray:
        w = torch.zeros_like(z)
        w[:n] = torch.from_numpy(np.ravel(u).copy())
        with torch.no_grad():
            return F.hvp(0, z, w)[:n].numpy()

    block = LinearOperator((n, n), matvec=product, dtype=np.float64)
    return float(eigsh(block, k=1, which="SA", v0=np.ones(n), tol=1e-3, return_eigenvectors=False)[0])


@one_thread()
def start(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The spectrum that all methods start from, and real images to compare with."""
    from gamedyn import neural

    gan = build(parameters, parameters["seed"])
    s = neural.spectrum(gan, gan.initial().double(), parameters["eigenvalues"])
    return {
        "eigenvalues": s.eigenvalues[: parameters["eigenvalues"]],
        "share": s.imaginary_share,
        "norm": s.norm,
        "real": neural.digits().x[:40].numpy(),
        "dim": gan.dim,
    }


def trained(name: str) -> Any:
    """The part of one method."""

    def part(parameters: dict[str, Any], progress: Any) -> dict[str, Any]:
        progress(0.0, name)
        return {f"{name}_{key}": value for key, value in run(name, parameters, parameters["seed"]).items()}

    return part


def digits_check(name: str, least: float, most: float, **text: str) -> Check:
    """Nearly all digits are shown, or fewer than all where the method collapses."""
    label = f"{name}: digits with at least 1 % of the samples"
    if name in COLLAPSED:
        return Check(label, most, COLLAPSED[name], 0, "at_most", **text)
    return Check(label, least, FEWEST[name], 0, "at_least", **text)


def checks(data: Mapping[str, Any]) -> list[Check]:
    source = f"no paper: a threshold read off our own runs, a {SOURCE}"
    rows = [
        Check("leading eigenvalues at the start: imaginary share", data["share"], 0.05, 0.0, "at_most", source=source)
    ]
    for name in METHODS:
        shown = int(np.sum(data[f"{name}_histogram"] >= 0.01))
        rows += [
            digits_check(name, shown, shown, source=source),
            Check(
                f"{name}: ‖J‖ at the end over the start",
                data[f"{name}_norm_end"] / data["norm"],
                4.0,
                0.0,
                "at_least",
                source=source,
            ),
            Check(
                f"{name}: least eigenvalue of the generator's block",
                data[f"{name}_generator_curvature"],
                0.0,
                0.0,
                "at_most",
                note="negative: the end is no local Nash point",
                source=source,
            ),
            Check(
                f"{name}: ‖Jx - λx‖ over ‖J‖",
                data[f"{name}_residual"],
                1e-8,
                0.0,
                "at_most",
                source="no paper: an own bound on the backward error",
            ),
        ]
    return rows


def path_plane(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The snapshots of all methods in the plane of their two leading principal directions, start at 0."""
    origin = data["Simultaneous_snapshots"][0]
    moves = {name: data[f"{name}_snapshots"] - origin for name in METHODS}
    _, _, axes = np.linalg.svd(np.concatenate(list(moves.values())), full_matrices=False)
    return {name: move @ axes[:2].T for name, move in moves.items()}


def draw(data: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(10.5, 8.2))
    outer = figure.add_gridspec(2, 1, height_ratios=(1.15, 1))
    top = outer[0].subgridspec(1, 2, width_ratios=(1, 1.25))
    draw_path(figure, top[0], data)
    draw_spectra(figure, top[1], data)
    bottom = outer[1].subgridspec(1, 5)
    for k, name in enumerate((*METHODS, "real digits")):
        axes = figure.add_subplot(bottom[k])
        images = data["real"] if name == "real digits" else data[f"{name}_images"]
        displays.SampleGridDisplay.from_flat(images, (8, 8), columns=5, limits=(-1, 1)).plot(axes)
        axes.set_title(name if name == "real digits" else f"{name}\n{data[f'{name}_steps']} steps")
    return figure


def draw_path(figure: Figure, place: SubplotSpec, data: Mapping[str, Any]) -> None:
    axes = figure.add_subplot(place)
    for name, path in path_plane(data).items():
        axes.plot(*path.T, "-", marker="o", markersize=2.5, color=style.method_color(name), label=name)
    axes.plot(0, 0, "o", markerfacecolor="white", markeredgecolor="black", label="start")
    axes.set(xlabel="first principal direction", ylabel="second principal direction", title="paths of the parameters")
    axes.legend(loc="best")


def draw_spectra(figure: Figure, place: SubplotSpec, data: Mapping[str, Any]) -> None:
    axes = figure.add_subplot(place)
    s = data["eigenvalues"]
    axes.plot(s.real, s.imag, "o", color="black", markerfacecolor="white", label="start, all methods")
    for name in METHODS:
        color = style.method_color(name)
        for when, marker in (("half", "x"), ("end", "o")):
            e = data[f"{name}_eigenvalues_{when}"]
            label = name if when == "end" else None
            axes.plot(e.real, e.imag, marker, color=color, markersize=4.5, alpha=0.9, label=label)
    axes.axhline(0, color=style.GREY, linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("symlog", linthresh=1)
    reach = max(10.0, 2 * max(abs(data[f"{n}_eigenvalues_{w}"].imag).max() for n in METHODS for w in ("half", "end")))
    axes.set_ylim(-reach, reach)
    axes.set(xlabel="Re λ(J)", ylabel="Im λ(J)", title="leading eigenvalues: × half way, ● at the end")
    axes.legend(loc="best")


STUDY = Study(
    name="gan_digits",
    title="A GAN on handwritten digits under four methods",
    source="scikit-learn's bundled digits (UCI); methods of Gidel et al. (ICLR 2019) and Metz et al. (ICLR 2017)",
    compute={"start": start} | {name.lower(): trained(name) for name in METHODS},
    checks=checks,
    draw=draw,
    parameters={
        "seed": 0,
        "width": 64,
        "latent": 16,
        "batch": 64,
        "lr": 1e-3,
        "unrolled_lr": 0.01,
        "gradients": 6000,
        "snapshots": 40,
        "samples": 1000,
        "eigenvalues": 10,
    },
)
