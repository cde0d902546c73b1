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

from gamedyn.games.field import Field
from gamedyn.games.transformed import TransformedGame, unwrap
from gamedyn.maps.stepmap import StepMap
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.analysis.spectrum import Spectrum, spectrum
from gamedyn.neural.gan import GAN, GANField, refuse_hidden_state
from gamedyn.neural.oracle import Oracle
from gamedyn.neural.training.preconditioners import TorchAdam, for_torch, spread_counts
from gamedyn.neural.training.result import TrainingResult
from gamedyn.rules.method import as_method, map_numbers

__all__ = ["TrainingResult", "train"]

COST_RECORDS = 2000  # rows of the cost history that are kept
GPU_LAG = 32  # steps between two looks at a GPU's numbers; each look waits for it


def train(
    gan: GAN | TransformedGame,
    method: Any,
    steps: int,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    every: int | None = None,
    callback: Callable[[int, Tensor], None] | None = None,
    spectrum_at: Sequence[int] = (),
    spectrum_k: int = 10,
    monitor: Monitor | None = None,
    progress: bool | None = None,
    z0: Tensor | None = None,
) -> TrainingResult:
    """Run a method on a GAN.

    Parameters
    ----------
    gan : GAN
        Or a transformed one, ``two_timescale(2.0)(gan)``.  Left as it is: write a result into the modules with
        ``gan.load(result.z)``.
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
    monitor : Monitor, optional
        Follows eigenvalues, rotation and the path at its own steps, for a bounded share of the time; also at the point
        at which a run has diverged.
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
    if not isinstance(unwrap(gan)[0], GAN):
        raise TypeError(
            f"{type(gan).__name__} is no GAN, and no transformed one; build GAN(generator, discriminator, data=...)"
        )
    snapshots, stops = _stops(steps, every, spectrum_at, () if monitor is None else monitor.stops(steps))
    run = _Run(gan, method, batch_size, seed)
    run.start(run.gan.initial() if z0 is None else z0)
    if monitor is not None:
        refuse_hidden_state(run.gan)  # modules may have been put into training mode since they were given
    with _bar(steps, progress) as report, torch.no_grad():
        for stop in stops:
            run.advance(stop, max(1, steps // COST_RECORDS), report)
            if run.message:
                if monitor is not None:
                    monitor.look(run.done, run.game, run.parts[0], seconds=run.seconds)
                break
            if stop in snapshots:
                run.snapshot(callback)
            if stop in spectrum_at:
                run.take_spectrum(spectrum_k)
            if monitor is not None:
                monitor(stop, run.game, run.parts[0], seconds=run.seconds)
    return run.result()


def _stops(
    steps: int, every: int | None, spectrum_at: Sequence[int], looks: Sequence[int]
) -> tuple[set[int], list[int]]:
    """The steps of the snapshots, and all steps after which a run pauses."""
    for what, value in (("steps", steps), ("every", every)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{what} is {value!r}; it must be an int of at least 1")
    if odd := [s for s in spectrum_at if not 0 <= s <= steps]:
        raise ValueError(f"spectrum_at={list(spectrum_at)}: {odd} are no steps of this run, which has 0 to {steps}")
    snapshots = {*range(0, steps, every or max(1, steps // 10)), steps}
    return snapshots, sorted(snapshots.union(spectrum_at, looks))


class _Watch:
    """An oracle that remembers the field it gave out, where the costs of the step can be read."""

    def __init__(self, oracle: Oracle, transforms: Sequence[Any]) -> None:
        self.oracle = oracle
        self.transforms = transforms
        self.field: GANField | None = None

    def draw(self, k: int) -> Field:
        """The field of step k through the transforms of the game."""
        self.field = self.oracle.batch_field(k)
        field: Field = self.field
        for transform in self.transforms:
            field = transform.field(field)
        return field


class _Run:
    """The state of a run and its record."""

    def __init__(self, game: Any, method: Any, batch_size: int | None, seed: int) -> None:
        self.method, self.seed = as_method(method), seed
        gan, transforms = unwrap(game)
        transforms = tuple(map_numbers(t, float) for t in transforms)  # torch has no exact numbers
        self.game: Any = TransformedGame(gan, transforms) if transforms else gan
        self.gan: GAN = gan
        self.oracle = gan.oracle(batch_size, seed)
        self.watch = _Watch(self.oracle, transforms)
        self.torch_method = for_torch(self.method)
        self.map = StepMap(self.torch_method, self.game, oracle=self.watch)
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
        """Costs of the step, and extremes of the players' parameters added up: finite iff all of them are."""
        assert self.watch.field is not None
        z = self.parts[0]
        costs = [z.new_zeros(()) if c is None else c for c in self.watch.field.first_costs]
        extremes = [torch.aminmax(z[p.slice]) for p in self.gan.players]
        return torch.stack([*(c.double() for c in costs), *(e.min.double() + e.max.double() for e in extremes)])

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
        v = self.game.field("neural")(z)
        self.snapshots.append((self.done, z.cpu().clone(), [float(v[p.slice].norm()) for p in self.gan.players]))
        if callback is not None:
            callback(self.done, z.clone())

    def take_spectrum(self, k: int) -> None:
        """The leading eigenvalues at the iterate."""
        self.spectra.append(spectrum(self.game, self.parts[0], k, step=self.done))

    def preconditioner_state(self) -> tuple[Tensor, ...]:
        """The last entries of the state, in the layout of the method's own preconditioner."""
        preconditioner = self.torch_method.preconditioner
        if preconditioner is None:
            return ()
        count = len(preconditioner.init(self.gan.field("neural"), self.parts[0]))
        state = tuple(self.parts[len(self.parts) - count :])
        return spread_counts(state, self.gan.players) if isinstance(preconditioner, TorchAdam) else state

    def result(self) -> TrainingResult:
        """The record."""
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
            preconditioner_state=self.preconditioner_state(),
            seed=self.seed,
            batch_size=self.oracle.batch_size,
            method=repr(self.method),
            game=self.game.name,
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
