"""Training: the iterates of a method on a GAN's stochastic game.

    s₀ = (z₀, memory),   s_{k+1} = T_k(s_k),   T_k one step of the method on the batch of step k    (1)

A run is a function of (GAN, method, steps, seed): no global random state is read or moved.  Divergence is a
result, with the step and the player.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.maps.stepmap import StepMap
from gamedyn.neural.gan import GAN, GANField, Oracle
from gamedyn.neural.preconditioners import for_torch
from gamedyn.neural.result import TrainingResult
from gamedyn.neural.spectrum import Spectrum, spectrum
from gamedyn.rules.method import as_method

__all__ = ["TrainingResult", "train"]

COST_RECORDS = 2000  # rows of the cost history that are kept
GPU_LAG = 32  # steps between two looks at a GPU's numbers; each look waits for it


def train(
    gan: GAN,
    method: Any,
    steps: int,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    every: int | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
    spectrum_at: Sequence[int] = (),
    spectrum_k: int = 10,
    progress: bool | None = None,
    z0: Tensor | None = None,
) -> TrainingResult:
    """Run a method on a GAN.

    Parameters
    ----------
    gan : GAN
        Left as it is: write a result into the modules with ``gan.load(result.z)``.
    method : Rule or Method
        Any rule, wrapped, preconditioned and on transformed fields: ``Method(Alternating(lr=1e-3), Adam(beta1=0.5))``,
        ``Method(Simultaneous(lr=1e-3), Adam(beta1=0.5), unrolled(5, lr=1e-3))``.
    steps : int
        How many.
    seed : int
        Of the batches; step k sees the same batch whatever came before.
    batch_size : int, optional
        By default the GAN's own.
    every : int, optional
        Steps between snapshots, by default a tenth of the run.  The start and the end are always kept.
    callback : callable, optional
        callback(step, z) at every snapshot.
    spectrum_at : sequence of int
        Steps after which the spectrum of the game Jacobian is taken, 0 the start and `steps` the end.
    spectrum_k : int
        Eigenvalues per spectrum.
    progress : bool, optional
        A progress bar: by default on a terminal, never in a pipe.
    z0 : Tensor, optional
        The start `(d,)`, by default the modules' parameters.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError, TypeError
        Counts or steps out of range, z0 of a wrong length, no method.

    Examples
    --------
    >>> import gamedyn as gd
    >>> from gamedyn.neural import mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(4, 2, (8,)), mlp_discriminator(2, (8,)), data=ring(n=256))
    >>> result = train(gan, gd.Method(gd.Alternating(lr=1e-3), gd.Adam(beta1=0.5)), steps=20, seed=1)
    >>> result.status, result.steps, result.z.shape
    ('finished', 20, torch.Size([91]))
    """
    if not isinstance(gan, GAN):
        raise TypeError(
            f"{type(gan).__name__} is no GAN; transforms go into the method: Method(rule, Adam(), unrolled(5, lr))"
        )
    snapshots, stops = _stops(steps, every, spectrum_at)
    run = _Run(gan, method, gan.oracle(batch_size, seed))
    run.start(gan.initial() if z0 is None else z0)
    with _bar(steps, progress) as report, torch.no_grad():
        for stop in stops:
            run.advance(stop, max(1, steps // COST_RECORDS), report)
            if run.message:
                break
            if stop in snapshots:
                run.snapshot(callback)
            if stop in spectrum_at:
                run.take_spectrum(spectrum_k)
    return run.result(seed)


def _stops(steps: int, every: int | None, spectrum_at: Sequence[int]) -> tuple[set[int], list[int]]:
    """The steps of the snapshots, and all steps after which a run pauses."""
    for what, value in (("steps", steps), ("every", every)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{what} is {value!r}; it must be an int of at least 1")
    if odd := [s for s in spectrum_at if not 0 <= s <= steps]:
        raise ValueError(f"spectrum_at={list(spectrum_at)}: {odd} are no steps of this run, which has 0 to {steps}")
    snapshots = {*range(0, steps, every or max(1, steps // 10)), steps}
    return snapshots, sorted(snapshots.union(spectrum_at))


class _Watch:
    """An oracle that remembers the field it gave out, where the costs of the step can be read."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.field: GANField | None = None

    def draw(self, k: int) -> GANField:
        self.field = self.oracle.draw(k)
        return self.field


class _Run:
    """The state of a run and its record."""

    def __init__(self, gan: GAN, method: Any, oracle: Oracle) -> None:
        self.gan, self.method, self.oracle = gan, as_method(method), oracle
        self.watch = _Watch(oracle)
        self.map = StepMap(for_torch(self.method), gan, oracle=self.watch)
        self.lag = 1 if gan.device.type == "cpu" else GPU_LAG
        self.done, self.seconds, self.message = 0, 0.0, ""
        self.costs: list[list[float]] = []
        self.cost_steps: list[int] = []
        self.snapshots: list[tuple[int, Tensor, list[float]]] = []
        self.spectra: list[Spectrum] = []

    def start(self, z: Tensor) -> None:
        if z.shape != (self.gan.dim,):
            raise ValueError(f"z0 has shape {tuple(z.shape)}; '{self.gan.name}' needs ({self.gan.dim},)")
        z = z.detach().to(device=self.gan.device, dtype=self.gan.dtype).clone()
        self.parts = self.map.start_parts(z)

    def advance(self, until: int, thin: int, report: Callable[[int, list[float]], None]) -> None:
        """Steps up to `until`, or to the first number that is not finite."""
        pending: list[Tensor] = []
        began = time.perf_counter()
        while self.done < until and not self.message:
            self.parts = self.map.step_parts(self.parts, self.done)
            self.done += 1
            pending.append(self._numbers())
            if len(pending) >= self.lag or self.done == until:
                rows = torch.stack(pending).tolist()
                self._read(rows, thin)
                report(self.done, rows[-1])
                pending.clear()
        self.seconds += time.perf_counter() - began

    def _numbers(self) -> Tensor:
        """Costs of the step and sums of the players' parameters: finite iff what they are made of is."""
        assert self.watch.field is not None
        z = self.parts[0]
        costs = [z.new_zeros(()) if c is None else c for c in self.watch.field.first_costs]
        sums = [z[p.slice].sum(dtype=torch.float64) for p in self.gan.players]
        return torch.stack([t.double() for t in (*costs, *sums)])

    def _read(self, rows: list[list[float]], thin: int) -> None:
        n = len(self.gan.players)
        for step, row in enumerate(rows, start=self.done - len(rows) + 1):
            finite = [math.isfinite(value) for value in row]
            if (step - 1) % thin == 0 or not all(finite):
                self.costs.append(row[:n])
                self.cost_steps.append(step)
            if not all(finite):
                names = [p.name for p in self.gan.players]
                lost = [f"the parameters of the {name}" for name, ok in zip(names, finite[n:], strict=True) if not ok]
                lost += [f"the cost of the {name}" for name, ok in zip(names, finite[:n], strict=True) if not ok]
                self.done, self.message = step, f"step {step} made {', '.join(lost)} non-finite"
                return

    def snapshot(self, callback: Callable[[int, Tensor], None] | None) -> None:
        """The iterate, and |v| on the evaluation sample."""
        z = self.parts[0]
        v = self.gan.field("neural")(z)
        self.snapshots.append((self.done, z.cpu().clone(), [float(v[p.slice].norm()) for p in self.gan.players]))
        if callback is not None:
            callback(self.done, z.clone())

    def take_spectrum(self, k: int) -> None:
        """The leading eigenvalues at the iterate."""
        self.spectra.append(spectrum(self.gan, self.parts[0], k, step=self.done))

    def result(self, seed: int) -> TrainingResult:
        device = self.gan.device
        name = (
            torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
        )
        n = len(self.gan.players)
        return TrainingResult(
            z=self.parts[0],
            status="diverged" if self.message else "finished",
            message=self.message,
            steps=self.done,
            costs=np.array(self.costs, dtype=float).reshape(-1, n),
            cost_steps=np.array(self.cost_steps, dtype=int),
            snapshots=torch.stack([z for _, z, _ in self.snapshots]),
            snapshot_steps=np.array([step for step, _, _ in self.snapshots], dtype=int),
            field_norms=np.array([norms for _, _, norms in self.snapshots], dtype=float),
            spectra=tuple(self.spectra),
            seconds=self.seconds,
            seed=seed,
            batch_size=self.oracle.batch_size,
            method=repr(self.method),
            game=self.gan.name,
            players=tuple(p.name for p in self.gan.players),
            device=name,
        )


@contextmanager
def _bar(steps: int, wanted: bool | None) -> Iterator[Callable[[int, list[float]], None]]:
    """A progress bar on a terminal; gives report(step, costs)."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield lambda step, row: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=steps)
        stride = max(1, steps // 200)

        def report(step: int, row: list[float]) -> None:
            if step % stride == 0 or step == steps:
                bar.update(task, completed=step, description=f"cost G {row[0]:.3f}  D {row[1]:.3f}")

        yield report
