"""The state of a training run, its steps, and its record.

    s_k = (z_k, memory, a_k, buffer),   a_{k+1} = average a_k + (1 - average) z_{k+1},   a₀ = z₀          (1)

The average starts at z₀ instead of 0, so that its weights add up to 1 at every step without a correction.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.games.field import Field
from gamedyn.games.transformed import TransformedGame, unwrap
from gamedyn.maps.stepmap import StepMap
from gamedyn.neural.analysis.spectrum import Spectrum, spectrum
from gamedyn.neural.gan import GAN
from gamedyn.neural.oracle import Oracle
from gamedyn.neural.training.checkpoint import Checkpoint
from gamedyn.neural.training.fitting import check_state, refuse_beyond, refuse_uneven
from gamedyn.neural.training.identity import Schedule, checksum, machine, run_identity
from gamedyn.neural.training.interrupt import Interrupt
from gamedyn.neural.training.preconditioners import TorchAdam, for_torch, spread_counts
from gamedyn.neural.training.replay import Buffer, Replay
from gamedyn.neural.training.result import TrainingResult
from gamedyn.rules.method import as_method, map_numbers

__all__ = ["Run", "Watch"]

COST_RECORDS = 2000  # rows of the cost history that are kept at most
GPU_LAG = 32  # steps between two looks at a GPU's numbers; each look waits for it


class Watch(Oracle):
    """An oracle that remembers the fields of a step, where its costs can be read, and shows D old samples."""

    transforms: tuple[Any, ...]
    buffer: Buffer | None
    drawn: list[Any]

    @classmethod
    def of(cls, oracle: Oracle, transforms: Sequence[Any], buffer: Buffer | None) -> Watch:
        """The same oracle, watched."""
        watch = object.__new__(cls)  # its checks have been made, some of them together with other processes
        vars(watch).update(vars(oracle), transforms=tuple(transforms), buffer=buffer, drawn=[])
        return watch

    def draw(self, k: int, world: str = "neural") -> Field:
        """The field of step k through the transforms of the game."""
        self.drawn.clear()
        return self.transformed(super().draw(k, world))

    def transformed(self, field: Field) -> Field:
        """A field through the transforms of the game."""
        for transform in self.transforms:
            field = transform.field(field)
        return field

    def batch_field(self, k: int, e: int = 0) -> Any:
        """That of an evaluation, with old samples where there are some."""
        field: Any = super().batch_field(k, e)
        old = None if self.buffer is None else self.buffer.draw(k, e)
        if old is not None:
            field = field.with_old(old)
        self.drawn.append(field)
        return field

    def first_costs(self) -> list[Tensor | None]:
        """Each player's cost as the method met it first in the present step."""
        if len(self.drawn) == 1:
            costs: list[Tensor | None] = self.drawn[0].first_costs
            return costs
        met = zip(*(field.first_costs for field in self.drawn), strict=True)
        return [next((cost for cost in row if cost is not None), None) for row in met]


class Run:
    """The state of a run and its record."""

    def __init__(
        self, game: Any, method: Any, *, batch_size: int | None, seed: int, replay: Replay | None, **sampling: Any
    ) -> None:
        self.method, self.seed, self.replay = as_method(method), seed, replay
        gan, transforms = unwrap(game)
        self.transforms = tuple(map_numbers(t, float) for t in transforms)  # torch has no exact numbers
        self.game: Any = TransformedGame(gan, self.transforms) if self.transforms else gan
        self.gan: GAN = gan
        oracle = gan.oracle(batch_size, seed, **sampling)
        self.batch_size, self.sampling, self.accumulate = oracle.batch_size, oracle.sampling, oracle.accumulate
        self.group, self.writes = oracle.group, oracle.writes
        refuse_beyond(self.method, self.transforms, gan.dtype)
        self.buffer = None if replay is None else Buffer(replay, gan, self.batch_size, seed)
        if self.buffer is not None:
            refuse_uneven(self.buffer.rows, self.batch_size, oracle)
        self.watch = Watch.of(oracle, self.transforms, self.buffer)
        self.torch_method = for_torch(self.method)
        self.map = StepMap(self.torch_method, self.game, oracle=self.watch)
        self.lag = 1 if gan.device.type == "cpu" else GPU_LAG
        self.names = [p.name for p in gan.players]
        self.schedule = Schedule(self.method)
        self.done, self.message, self.thin = 0, "", 1
        self._seconds = 0.0
        self._began: float | None = None  # when the steps that are being made began
        self.costs: list[list[float]] = []
        self.cost_steps: list[int] = []
        self.snapshots: list[tuple[int, Tensor, list[float]]] = []
        self.spectra: list[Spectrum] = []

    def start(self, z: Tensor | None, average: float | None) -> None:
        """The state before the first step."""
        z = self.gan.initial() if z is None else z
        if z.shape != (self.gan.dim,):
            raise ValueError(f"z0 has shape {tuple(z.shape)}; '{self.gan.name}' needs ({self.gan.dim},)")
        z = z.detach().to(device=self.gan.device, dtype=self.gan.dtype).clone()
        self.origin = checksum(z)
        self.parts = self.map.start_parts(z)
        self.decay, self.average = average, None if average is None else self.parts[0].clone()

    def rehearse(self) -> None:
        """A step that is thrown away: what cannot be evaluated fails before anything is written.

        Raises
        ------
        NotInThisWorld, ValueError
            Of the method, the networks or the costs.
        """
        with _overflow(self):
            self.map.step_parts(self.map.start_parts(self.parts[0].clone()), 0)
        self.message, self.done = "", 0

    def together(self) -> AbstractContextManager[None]:
        """What fails on one of several processes inside is raised on all of them."""
        manager: AbstractContextManager[None] = nullcontext() if self.group is None else self.group.together()
        return manager

    def agree(self) -> None:
        """Refuse processes that would go on from different points."""
        if self.group is not None:
            self.group.refuse_other("the step to go on from", self.done)
            self.group.refuse_other_point(self.gan, self.parts[0])

    @property
    def seconds(self) -> float:
        """Time of the steps alone."""
        return self._seconds + (0.0 if self._began is None else time.perf_counter() - self._began)

    def advance(
        self,
        until: int,
        report: Callable[[int, list[float]], None],
        log: Callable[[int, list[float]], None] | None = None,
        log_every: int = 1,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Steps up to `until`, to an interruption, or to the first number that is not finite.

        log(step, costs) every so many.
        """
        with _overflow(self):
            self._steps(until, report, log, log_every, interrupt or Interrupt(False))
        self._seconds, self._began = self.seconds, None

    def _steps(self, until: int, report: Any, log: Any, log_every: int, interrupt: Interrupt) -> None:
        pending: list[Any] = []
        self._began = time.perf_counter()
        while self.done < until and not self.message and not (interrupt.noted and not pending):
            self.parts = self.map.step_parts(self.parts, self.done)
            if self.average is not None and self.decay is not None:
                self.average.lerp_(self.parts[0], 1 - self.decay)
            if self.buffer is not None:
                self.buffer.insert(self.done, self.parts[0])
            self.done += 1
            pending.append(self._row() if self.lag == 1 else self._numbers())
            if len(pending) >= self.lag or self.done == until or interrupt.noted:
                rows = pending if self.lag == 1 else torch.stack(pending).tolist()
                first = self.done - len(rows) + 1
                self._read(rows)
                if log is not None:
                    for step in range(first, self.done + 1):
                        if step % log_every == 0:
                            log(step, rows[step - first][: len(self.names)])
                report(self.done, rows[-1])
                pending = []

    def _numbers(self) -> Tensor:
        """Costs of the step, and extremes of the players' parameters added up: finite iff all of them are."""
        z = self.parts[0]
        costs = [z.new_zeros(()) if c is None else c for c in self.watch.first_costs()]
        extremes = [torch.aminmax(z[p.slice]) for p in self.gan.players]
        return torch.stack([*(c.double() for c in costs), *(e.min.double() + e.max.double() for e in extremes)])

    def _row(self) -> list[float]:
        """The same where no device must be waited for: one sum, which is finite only if all parameters are."""
        costs = [0.0 if cost is None else float(cost) for cost in self.watch.first_costs()]
        if math.isfinite(float(self.parts[0].sum())):
            return [*costs, *(0.0 for _ in costs)]
        row: list[float] = self._numbers().tolist()
        return row

    def _read(self, rows: list[list[float]]) -> None:
        n = len(self.names)
        for step, row in enumerate(rows, start=self.done - len(rows) + 1):
            finite = [math.isfinite(value) for value in row]
            if (step - 1) % self.thin == 0 or not all(finite):
                self.costs.append(row[:n])
                self.cost_steps.append(step)
            if not all(finite):
                lost = [
                    f"the parameters of the {name}" for name, ok in zip(self.names, finite[n:], strict=True) if not ok
                ]
                lost += [f"the cost of the {name}" for name, ok in zip(self.names, finite[:n], strict=True) if not ok]
                self.done, self.message = step, f"step {step} made {', '.join(lost)} non-finite"
                return
            # thinned as a function of the steps made, not of those to come: runs may be extended
            if len(self.costs) > COST_RECORDS:
                self.costs, self.cost_steps, self.thin = self.costs[::2], self.cost_steps[::2], 2 * self.thin

    def check_memory(self) -> None:
        """Stop where what the run remembers is not finite; a second moment of ∞ hides behind finite parameters."""
        for k, part in enumerate(self.parts[1:]):
            if bool(part.isfinite().all()):
                continue
            owners = [
                p.name for p in self.gan.players if len(part) == self.gan.dim and not part[p.slice].isfinite().all()
            ]
            whose = f" of the {', '.join(owners)}" if owners else ""
            self.message = f"at step {self.done} memory vector {k} of the method{whose} is non-finite"
            return
        if self.buffer is not None and not bool(self.buffer.samples.isfinite().all()):
            self.message = f"at step {self.done} the samples of the generator for replay are non-finite"

    def snapshot(self, callback: Callable[[int, Tensor], None] | None) -> dict[str, float]:
        """Keep the iterate, and |v| on the evaluation sample, which it gives by player."""
        z = self.parts[0]
        v = self.watch.transformed(self.watch.mean_field())(z)
        self.snapshots.append((self.done, z.cpu().clone(), [float(v[p.slice].norm()) for p in self.gan.players]))
        if callback is not None:
            callback(self.done, z.clone())
        return dict(zip(self.names, self.snapshots[-1][2], strict=True))

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps of the snapshots."""
        return [step for step, _, _ in self.snapshots]

    def keep_records(self, snapshots: Container[int], spectra: Container[int]) -> None:
        """Keep of a checkpoint's record what is asked for, as if it had been asked for from the start."""
        self.snapshots = [kept for kept in self.snapshots if kept[0] in snapshots]
        self.spectra = [kept for kept in self.spectra if kept.step in spectra]

    def take_spectrum(self, k: int) -> None:
        """The leading eigenvalues at the iterate."""
        self.spectra.append(spectrum(self.game, self.parts[0], k, step=self.done))

    # checkpoints -------------------------------------------------------------------------------------

    @cached_property
    def identity(self) -> dict[str, str]:
        """What makes another run another one."""
        settings = {"seed": self.seed, "batch_size": self.batch_size, "sampling": self.sampling}
        settings |= {"average": self.decay, "replay": self.replay}
        settings |= {} if self.replay is None else self._cuts  # which share out old samples in another way
        return run_identity(
            self.gan, self.method, self.transforms, **settings, **{"start (z0, or what the modules hold)": self.origin}
        )

    @property
    def _cuts(self) -> dict[str, int]:
        """Into what a batch is cut."""
        return {"accumulate": self.accumulate, "processes": 1 if self.group is None else self.group.count}

    @property
    def machine(self) -> dict[str, str]:
        """On what it runs."""
        backend = getattr(self.gan.compiled, "backend", None)
        found = {**machine(self.gan.device), "compiled": "no" if backend is None else f"by {backend}"}
        return found | {name: str(count) for name, count in self._cuts.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of the tensors, and the rest as JSON has it."""
        z, *memory = self.parts
        tensors = {"z": z, **{f"memory.{k}": part for k, part in enumerate(memory)}}
        tensors |= {} if self.average is None else {"average": self.average}
        tensors |= {} if self.buffer is None else {"replay": self.buffer.samples}
        tensors = {name: t.detach().to("cpu", copy=True) for name, t in tensors.items()}
        content = {"step": self.done, "seed": self.seed, "seconds": self.seconds, "run": self.identity}
        content |= {"machine": self.machine, "schedule": self.schedule.until(self.done)}
        content |= {"spectra": [s.to_json() for s in self.spectra]}
        records = {name: torch.as_tensor(value) for name, value in self._records().items()}
        return tensors | records, content

    def _records(self) -> dict[str, Any]:
        """The record as arrays."""
        n = len(self.names)
        return {
            "costs": np.array(self.costs, dtype=float).reshape(-1, n),
            "cost_steps": np.array(self.cost_steps, dtype=int),
            "snapshots": torch.stack([z for _, z, _ in self.snapshots]),
            "snapshot_steps": np.array([step for step, _, _ in self.snapshots], dtype=int),
            "field_norms": np.array([norms for _, _, norms in self.snapshots], dtype=float),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same run.

        Raises
        ------
        ValueError
            If its tensors do not fit the method's memory.
        """
        found, records = (checkpoint.z, *checkpoint.memory), checkpoint.records
        check_state(checkpoint, self)
        self.parts = tuple(t.to(own.device, copy=True) for t, own in zip(found, self.parts, strict=True))
        if checkpoint.average is not None:
            self.average = checkpoint.average.to(self.parts[0], copy=True)
        if self.buffer is not None and checkpoint.replay is not None:
            self.buffer.fill(checkpoint.replay)
        self.done, self._seconds = checkpoint.step, checkpoint.seconds
        self.costs, self.cost_steps = records["costs"].tolist(), records["cost_steps"].tolist()
        self.thin = self.cost_steps[1] - self.cost_steps[0] if len(self.cost_steps) > 1 else 1
        rows = zip(*(records[name] for name in ("snapshot_steps", "snapshots", "field_norms")), strict=True)
        self.snapshots = [(int(step), z.clone(), norms.tolist()) for step, z, norms in rows]
        self.spectra = list(checkpoint.spectra)

    # the result --------------------------------------------------------------------------------------

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
        return TrainingResult(
            z=self.parts[0],
            average=self.average,
            status="diverged" if self.message else "finished",
            message=self.message,
            steps=self.done,
            spectra=tuple(self.spectra),
            seconds=self.seconds,
            preconditioner_state=self.preconditioner_state(),
            seed=self.seed,
            batch_size=self.batch_size,
            sampling=self.sampling,
            method=repr(self.method),
            game=self.game.name,
            players=tuple(self.names),
            device=name,
            **self._records(),
        )


@contextmanager
def _overflow(run: Run) -> Iterator[None]:
    """A number of a schedule that the type cannot hold makes a step impossible: the run has diverged there."""
    try:
        yield
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        run.done += 1
        run.message = f"step {run.done} has a coefficient that {run.gan.dtype} cannot hold"
