"""What a study leaves behind: the picture in three formats, its numbers beside it, and the page that shows them all."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.runner import Check, Study
from studies.store import Data, versions, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 1
# Without these entries a rerun on another day gives the same bytes.
_UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
PNG_DPI = 150


def write_figure(study: Study, data: Data, checks: Sequence[Check], folder: Path) -> None:
    """Draw the study in the house style; write ``<name>.svg``, ``.pdf``, ``.png`` and ``.json``."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from gamedyn.plotting import style

    with style.context("paper"), matplotlib.rc_context({"svg.hashsalt": study.name}):
        figure = study.draw(data)
        if figure is None:
            raise TypeError("draw returned None; return the Figure.")
        try:
            pictures = {suffix: _rendered(figure, suffix) for suffix in _UNDATED}
        finally:
            plt.close(figure)
    for suffix, content in pictures.items():
        write_atomically(folder / f"{study.name}.{suffix}", content)
    text = json.dumps(record(study, checks), indent=2, ensure_ascii=False, allow_nan=False, sort_keys=True)
    write_atomically(folder / f"{study.name}.json", (text + "\n").encode())


def _rendered(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=PNG_DPI, metadata=_UNDATED[suffix])
    return buffer.getvalue()


def record(study: Study, checks: Sequence[Check]) -> dict[str, Any]:
    """The numbers beside the picture: measured and published, parameters, versions; no date, no machine."""
    return {
        "schema": SCHEMA,
        "name": study.name,
        "title": study.title,
        "source": study.source,
        "command": f"python -m studies run {study.name}",
        "quick": study.quick,
        "parameters": dict(study.parameters),
        "versions": versions(),
        "checks": [{**asdict(c), "measured": _number(c.measured), "ok": c.ok} for c in checks],
        "ok": all(check.ok for check in checks),
    }


def _number(value: float) -> float | str:
    # JSON has no inf and no nan; float() reads them back from text.
    return value if math.isfinite(value) else str(value)


def read_record(path: Path) -> tuple[dict[str, Any], list[Check]]:
    """A committed record and its checks.

    Raises
    ------
    ValueError
        If the file is not such a record.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        for entry in ("name", "title", "source", "command", "ok"):
            found[entry]
        entries = [{k: v for k, v in entry.items() if k != "ok"} for entry in found["checks"]]
        checks = [Check(**{**entry, "measured": float(entry["measured"])}) for entry in entries]
        verdicts = [entry["ok"] for entry in found["checks"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a study's record ({error}); draw the study again.") from error
    if found.get("schema") != SCHEMA:
        raise ValueError(f"{path.name} has schema {found.get('schema')!r}, not {SCHEMA}; draw the study again.")
    wrong = [check.name for check, said in zip(checks, verdicts, strict=True) if check.ok is not said]
    if wrong or found["ok"] is not all(verdicts) or not checks:
        raise ValueError(f"{path.name} states a verdict its numbers do not give ({', '.join(wrong) or 'ok'}).")
    return found, checks


def verify_committed(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """What is wrong with the committed figures (those of ``names``, else all), one line each; empty when all is well.

    Every number must be within its tolerance, every stated verdict must follow from its numbers, and every picture
    must be there.
    """
    problems = []
    for path in sorted(folder / f"{name}.json" for name in names) if names else sorted(folder.glob("*.json")):
        absent = [s for s in ("json", *_UNDATED) if not path.with_suffix(f".{s}").is_file()]
        if absent:
            problems.append(f"{path.stem}: no {', '.join(absent)} in {folder.name}; draw the study")
        if "json" in absent:
            continue
        try:
            found, checks = read_record(path)
        except ValueError as error:
            problems.append(f"{path.stem}: {error}")
            continue
        if found["name"] != path.stem:
            problems.append(f"{path.stem}: the record is of {found['name']!r}")
        problems += [f"{path.stem}: {check}" for check in checks if not check.ok]
    return problems


def committed_verdict(folder: Path, name: str) -> str:
    """ "ok", "failed", "invalid", or "-" where nothing is committed."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return "-"
    try:
        return "ok" if read_record(path)[0]["ok"] else "failed"
    except ValueError:
        return "invalid"


def write_gallery(folder: Path) -> None:
    """Write the folder's README.md anew from its records; a record that cannot be read is named there."""
    pages = [
        "# Figures\n\nDrawn by `python -m studies run --all`; `python -m studies check --committed` verifies the "
        "numbers below.\nThis page is generated. Every number is measured here and compared with the published one."
    ]
    for path in sorted(folder.glob("*.json")):
        try:
            pages.append(_section(*read_record(path)))
        except ValueError as error:
            pages.append(f"## {path.stem}\n\n{error}")
    write_atomically(folder / "README.md", ("\n\n".join(pages) + "\n").encode())


def _section(found: dict[str, Any], checks: Sequence[Check]) -> str:
    name = found["name"]
    rows = [
        f"| {_cell(c.name)} | {c.measured:.6g} | {_published(c)} | {_tolerance(c)} | {'yes' if c.ok else '**no**'} | "
        f"{_cell(' '.join(filter(None, (c.note, c.source))))} |"
        for c in checks
    ]
    return "\n".join(
        [
            f"## {found['title']}\n",
            f"![{found['title']}]({name}.png)\n",
            f"{found['source']}. Also as [SVG]({name}.svg), [PDF]({name}.pdf) and [numbers]({name}.json).\n",
            "| | measured | published | tolerance | ok | note |",
            "|-|-|-|-|-|-|",
            *rows,
            f"\n`{found['command']}`",
        ]
    )


def _published(check: Check) -> str:
    return {"at_most": "≤ ", "at_least": "≥ "}.get(check.kind, "") + f"{check.published:.6g}"


def _tolerance(check: Check) -> str:
    return f"{100 * check.tolerance:g} %" if check.kind == "rel" else f"{check.tolerance:g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
