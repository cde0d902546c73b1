"""What a study is, and how it is run and checked.

    data = compute(parameters)      cached, part by part
    checks(data)                    measured against published, each with its tolerance
    draw(data)                      the figure

A study is a module of this package with a module-level ``STUDY``; README.md says how to write one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import math
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from studies.store import Data, Store, check_data, code_digest, result_key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[..., None]
"""``progress(fraction, message="")``: how far the running part has come, from 0 to 1."""

Compute = Callable[..., Data]

RUNNER_MODULES = frozenset({"gallery", "runner", "store"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_EXTRAS = {"PEPit": "theory", "cvxpy": "theory", "xarray": "sweep", "dask": "sweep"}


@dataclass(frozen=True)
class Check:
    """One number of the paper against the one measured here.

    Parameters
    ----------
    name : str
    measured, published : float
    tolerance : float
        Finite, ≥ 0.
    kind : {"abs", "rel", "at_most", "at_least"}
        |m - p| ≤ tol; |m - p| ≤ tol·|p|; m ≤ p + tol; m ≥ p - tol.
    note, source : str
        What the number is; where it is printed.
    """

    name: str
    measured: float
    published: float
    tolerance: float
    kind: str = "abs"
    note: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for number in ("measured", "published", "tolerance"):
            object.__setattr__(self, number, float(getattr(self, number)))
        if self.kind not in ("abs", "rel", "at_most", "at_least"):
            raise ValueError(f"{self.name}: no kind of check {self.kind!r}. Use abs, rel, at_most or at_least.")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ValueError(f"{self.name}: the tolerance is {self.tolerance}; give a finite number ≥ 0.")
        if not math.isfinite(self.published):
            raise ValueError(f"{self.name}: the published value is {self.published}; give a finite number.")
        if self.kind == "rel" and self.published == 0:
            raise ValueError(f"{self.name}: nothing is relative to a published 0. Use kind='abs'.")

    @property
    def allowed(self) -> float:
        """The tolerance in the unit of the number."""
        return self.tolerance * abs(self.published) if self.kind == "rel" else self.tolerance

    @property
    def excess(self) -> float:
        """By how much the number leaves its tolerance; 0 if it does not, inf where nothing was measured (NaN)."""
        if math.isnan(self.measured):
            return math.inf
        gap = self.measured - self.published
        distance = {"at_most": gap, "at_least": -gap}.get(self.kind, abs(gap))
        return max(0.0, distance - self.allowed)

    @property
    def ok(self) -> bool:
        """Whether the number is within its tolerance; NaN never is."""
        return self.excess == 0.0

    def __str__(self) -> str:
        verdict = "ok" if self.ok else f"off by {self.excess:.3g}"
        sign = {"at_most": "≤ ", "at_least": "≥ "}.get(self.kind, "")
        return (
            f"{self.name}: measured {self.measured:.8g}, published {sign}{self.published:.8g} "
            f"(tolerance {self.tolerance:g} {self.kind}), {verdict}"
        )


@dataclass(frozen=True)
class Study:
    """One published figure.

    Parameters
    ----------
    name : str
        The module's name, ``fig02_dirac_gan``.
    title, source : str
        What is shown; the paper, with its year and arXiv number.
    compute : callable or mapping of part name to callable
        ``compute(parameters, progress) -> dict`` of arrays, numbers and texts. As a mapping, each part's result is
        cached as soon as it is finished, and a run that was stopped goes on with the first missing part; a part with
        a third argument ``earlier`` gets the results before it.
    draw : callable
        ``draw(data) -> Figure``.
    checks : callable
        ``checks(data) -> list[Check]``.
    quick : bool
        Whether it is run when no name is given: some ten seconds at most.
    parameters : mapping
        What JSON can hold.
    needs : tuple of str
        Modules beyond gamedyn's own dependencies, or "cuda"; a study is skipped where one is absent.
    """

    name: str
    title: str
    source: str
    compute: Compute | Mapping[str, Compute]
    draw: Callable[[Data], Figure]
    checks: Callable[[Data], list[Check]]
    quick: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *self.parts):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a study or part; use small letters, digits and underscores.")
        if not self.parts:
            raise ValueError(f"{self.name}: compute has no parts. Give a function or at least one named part.")
        try:
            json.dumps(dict(self.parameters), sort_keys=True)
        except TypeError as error:
            raise TypeError(f"{self.name}: the parameters must be what JSON can hold ({error}).") from error

    @property
    def parts(self) -> dict[str, Compute]:
        """The named parts, in order; a single function is the part "all"."""
        return dict(self.compute) if isinstance(self.compute, Mapping) else {"all": self.compute}

    @property
    def key(self) -> str:
        """What the results depend on, as SHA-256: the module's code but ``draw`` and ``checks``, private helper
        modules beside it (``_*.py``), the parameters, the package and the libraries."""
        functions = {part: _plain(fn) for part, fn in self.parts.items()}
        file = Path(inspect.getsourcefile(next(iter(functions.values()))) or "")
        unused = [_plain(self.draw).__name__, _plain(self.checks).__name__]
        helpers = sorted(file.parent.glob("_[!_]*.py"))
        digests = [code_digest(file.read_text("utf-8"), unused), *(code_digest(h.read_text("utf-8")) for h in helpers)]
        return result_key(
            code=" ".join(digests),
            parameters=self.parameters,
            functions={part: fn.__qualname__ for part, fn in functions.items()},
        )

    def missing(self) -> list[str]:
        """What it needs and this machine has not, with the way to get it."""
        return [_how_to_get(need) for need in self.needs if not _available(need)]


def _plain(fn: Callable[..., Any]) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _available(need: str) -> bool:
    if need != "cuda":
        return importlib.util.find_spec(need) is not None
    import torch

    return bool(torch.cuda.is_available())


def _how_to_get(need: str) -> str:
    return f'{need} (pip install "gamedyn[{_EXTRAS[need]}]")' if need in _EXTRAS else need


def _silent(fraction: float, message: str = "") -> None:
    """Progress that nobody watches."""


def compute_study(study: Study, store: Store, *, force: bool = False, progress: Progress = _silent) -> Data:
    """The study's data, from the cache where it is there.

    With ``force`` every part is computed again. ``progress`` hears how far the whole study has come.

    Raises
    ------
    ValueError
        If two parts give a result the same name.
    TypeError
        If a part returns what cannot be stored.
    """
    key, parts, renewed = study.key, study.parts, force
    data: Data = {}
    for index, (part, compute) in enumerate(parts.items()):
        follows = "earlier" in inspect.signature(compute).parameters
        # A part that was computed from a result that is now another one is out of date.
        result = None if force or (renewed and follows) else store.load(study.name, key, part)
        if result is None:
            renewed = True
            watch = _scaled(progress, index, len(parts), "" if len(parts) == 1 else part)
            watch(0.0)
            more = {"earlier": dict(data)} if follows else {}
            result = check_data(compute(study.parameters, watch, **more))
            store.save(study.name, key, part, result)
        if twice := sorted(set(result) & set(data)):
            raise ValueError(f"{study.name}: part {part!r} gives {', '.join(twice)} again; rename it.")
        data.update(result)
    progress(1.0)
    return data


def _scaled(progress: Progress, index: int, count: int, part: str) -> Progress:
    def watch(fraction: float, message: str = "") -> None:
        progress((index + min(max(fraction, 0.0), 1.0)) / count, " ".join(filter(None, (part, message))))

    return watch


@dataclass(frozen=True)
class Outcome:
    """What became of one study: "ok", "failed" (a number left its tolerance), "error" (it raised) or "skipped"."""

    name: str
    status: str
    checks: tuple[Check, ...] = ()
    message: str = ""
    error: BaseException | None = None

    def lines(self) -> list[str]:
        """One line for the study, and one for each check that failed."""
        good = sum(check.ok for check in self.checks)
        said = self.message or f"{good}/{len(self.checks)} checks"
        failed = [f"        {check}" for check in self.checks if not check.ok]
        return [f"{self.status:<7} {self.name}: {said}", *failed]


def run_studies(
    studies: Sequence[Study],
    store: Store,
    *,
    figures: Path | None,
    force: bool = False,
    report: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[Study], Progress] = lambda study: _silent,
) -> list[Outcome]:
    """Compute and check every study, and draw it into ``figures``; with None nothing is drawn.

    A study that raises becomes an outcome, and the others still run.
    """
    outcomes = []
    for study in studies:
        outcome = _run_one(study, store, figures=figures, force=force, progress=progress(study))
        outcomes.append(outcome)
        report(outcome)
    if figures is not None:
        from studies.gallery import write_gallery

        write_gallery(figures)
    return outcomes


def _run_one(study: Study, store: Store, *, figures: Path | None, force: bool, progress: Progress) -> Outcome:
    if missing := study.missing():
        return Outcome(study.name, "skipped", message=f"needs {', '.join(missing)}")
    try:
        data = compute_study(study, store, force=force, progress=progress)
        checks = tuple(study.checks(data))
        if not checks:
            raise ValueError("checks returned nothing; a study compares at least one number with the published one.")
        if figures is not None:
            from studies.gallery import write_figure

            write_figure(study, data, checks, figures)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(study.name, "error", message=said, error=error)
    return Outcome(study.name, "ok" if all(check.ok for check in checks) else "failed", checks)


def study_names(package: ModuleType) -> list[str]:
    """The names of the studies in a package: every module that is neither the runner's nor private."""
    names = (module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)
    return sorted(name for name in names if name not in RUNNER_MODULES and not name.startswith("_"))


def load_study(package: ModuleType, name: str) -> Study:
    """The ``STUDY`` of a module of the package.

    Raises
    ------
    TypeError
        If the module has none.
    ValueError
        If it has another name than its module.
    """
    study = getattr(importlib.import_module(f"{package.__name__}.{name}"), "STUDY", None)
    if not isinstance(study, Study):
        raise TypeError(f"{name}.py has no STUDY = Study(...) at its end.")
    if study.name != name:
        raise ValueError(f"{name}.py calls its study {study.name!r}; call it {name!r}, like the file.")
    return study


def load_studies(package: ModuleType, names: Sequence[str]) -> tuple[list[Study], list[Outcome]]:
    """The studies of these names, and an error outcome for each that cannot be imported."""
    studies, broken = [], []
    for name in names:
        try:
            studies.append(load_study(package, name))
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            broken.append(Outcome(name, "error", message=said, error=error))
    return studies, broken
