"""``python -m studies list | run | check``: redraw the field's figures and check every number in them."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from studies.gallery import committed_verdict, verify_committed
from studies.runner import Outcome, Study, load_studies, run_studies, study_names
from studies.runner import Progress as Watch
from studies.store import Store, default_root

FIGURES = Path(__file__).resolve().parent.parent / "figures"

app = typer.Typer(
    help="The field's published figures, redrawn and checked.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Studies; all quick ones by default.")]
Out = Annotated[Path, typer.Option(help="Folder of the figures.", show_default="figures/")]
All = Annotated[bool, typer.Option("--all", help="Also those that take long.")]
Force = Annotated[bool, typer.Option("--force", help="Compute again what is cached.")]
Traceback = Annotated[bool, typer.Option("--traceback", help="Where a study raised, on standard error.")]


def _package(ctx: typer.Context) -> ModuleType:
    # Tests put the name of a package of their own into the context.
    return importlib.import_module(ctx.obj or "studies")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _check_names(package: ModuleType, names: Sequence[str]) -> None:
    known = study_names(package)
    if unknown := [name for name in names if name not in known]:
        typer.echo(f"No study is called {', '.join(unknown)}. The studies: {', '.join(known) or 'none'}.", err=True)
        raise typer.Exit(2)


def _selected(package: ModuleType, names: Sequence[str], everything: bool) -> tuple[list[Study], list[Outcome]]:
    _check_names(package, names)
    studies, broken = load_studies(package, names or study_names(package))
    return [study for study in studies if names or everything or study.quick], broken


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[Study], Watch]]:
    """A progress bar on a terminal, nothing in a pipe; gives the ``progress`` of ``run_studies``."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def watch_study(study: Study) -> Watch:
            for finished in bar.task_ids:
                bar.remove_task(finished)
            task = bar.add_task(study.name, total=1.0)

            def watch(fraction: float, message: str = "") -> None:
                bar.update(task, completed=fraction, description=f"{study.name} {message}".rstrip())

            return watch

        yield watch_study


def _execute(
    ctx: typer.Context, names: Sequence[str], *, figures: Path | None, everything: bool, force: bool, trace: bool
) -> None:
    console = Console()
    studies, broken = _selected(_package(ctx), names, everything)

    def report(outcome: Outcome) -> None:
        for line in outcome.lines():
            _say(console, line)
        if trace and outcome.error is not None:
            traceback.print_exception(outcome.error, file=sys.stderr)

    for outcome in broken:
        report(outcome)
    with _progress_bar(console) as watch_study:
        outcomes = run_studies(
            studies,
            Store(default_root()),
            figures=figures,
            force=force,
            report=report,
            progress=watch_study,
        )
    # A study that was asked for by name and could not run is a failure; one of many is not.
    bad = {"failed", "error", "skipped"} if names else {"failed", "error"}
    if any(outcome.status in bad for outcome in (*broken, *outcomes)):
        raise typer.Exit(1)


@app.command("list")
def list_studies(ctx: typer.Context, out: Out = FIGURES) -> None:
    """Name, title, source, whether quick, and the committed verdict of every study."""
    console, package = Console(), _package(ctx)
    studies, broken = load_studies(package, study_names(package))
    rows = [(s.name, s.title, s.source, "yes" if s.quick else "no", committed_verdict(out, s.name)) for s in studies]
    rows += [(outcome.name, outcome.message, "", "", "error") for outcome in broken]
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
    else:
        table = Table("name", "figure", "source", "quick", "committed")
        for row in rows:
            table.add_row(*(cell.replace("[", "\\[") for cell in row))
        console.print(table)
    if broken:
        raise typer.Exit(1)


@app.command()
def run(
    ctx: typer.Context,
    names: Names = None,
    everything: All = False,
    force: Force = False,
    out: Out = FIGURES,
    trace: Traceback = False,
) -> None:
    """Compute, check and draw; fails when a number leaves its tolerance."""
    _execute(ctx, names or [], figures=out, everything=everything, force=force, trace=trace)


@app.command()
def check(
    ctx: typer.Context,
    names: Names = None,
    everything: All = False,
    force: Force = False,
    committed: Annotated[
        bool, typer.Option("--committed", help="Compute nothing: verify the numbers beside the committed figures.")
    ] = False,
    out: Out = FIGURES,
    trace: Traceback = False,
) -> None:
    """Compute and compare, draw nothing; fails when a number leaves its tolerance."""
    if not committed:
        _execute(ctx, names or [], figures=None, everything=everything, force=force, trace=trace)
        return
    _check_names(_package(ctx), names or [])
    problems = verify_committed(out, names or [])
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"ok      {len(names or list(out.glob('*.json')))} committed figures")


if __name__ == "__main__":
    app(prog_name="python -m studies")
