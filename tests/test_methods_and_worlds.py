"""The table of methods and worlds: no silent gap, and the page in the documentation says what is measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gamedyn as gd
from gamedyn.testing.worlds import HEAD, WORLDS, worlds_page, worlds_row

PAGE = (Path(__file__).parents[1] / "docs" / "worlds.md").read_text("utf-8")
MEASURED = ("Extragradient", "Alternating", "AveragedExtragradient", "SOS", "OptimisticAdam", "MirrorProx")


def table(page: str) -> dict[str, list[str]]:
    """Method -> its cells, reasons written out."""
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", page, re.M))
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    return {name: [re.sub(r"— \[(\d+)\]", lambda m: reasons[m[1]], c) for c in cells] for name, *cells in rows[1:]}


def test_the_page_has_every_method_and_every_world_and_no_empty_cell():
    rows = table(PAGE)
    assert PAGE.startswith(HEAD)
    assert list(rows) == list(gd.methods)
    assert {len(cells) for cells in rows.values()} == {len(WORLDS)}
    assert all(cell and cell != "—" for cells in rows.values() for cell in cells)


def test_worlds_agree_to_the_standing_tolerance_wherever_the_page_has_a_number():
    for name, cells in table(PAGE).items():
        for world, cell in zip(WORLDS, cells, strict=True):
            if re.fullmatch(r"[\d.e+-]+", cell) and world != "certified":
                assert float(cell) <= (1e-9 if "Proximal" in name else 1e-11)


@pytest.mark.parametrize("name", MEASURED)
def test_what_the_page_says_of_a_method_is_measured_again(name):
    """Differences between worlds are rounding and vary by machine; a margin is printed with two digits."""
    agreed = 1e-9 if "Proximal" in name else 1e-11
    for (world, cell), shown in zip(worlds_row(name).items(), table(PAGE)[name], strict=True):
        if cell.gap is None:
            assert shown == cell.reason
        elif world == "certified":
            assert abs(float(shown) - cell.gap) <= 1e-4 + 1e-1 * float(shown)
        else:
            assert max(cell.gap, float(shown)) <= agreed


@pytest.mark.slow
def test_the_page_refuses_what_the_command_refuses():
    number = re.compile(r"[\d.e+-]+")
    here, there = ({n: [number.sub("n", c) if number.fullmatch(c) else c for c in r] for n, r in table(p).items()}
                   for p in (PAGE, worlds_page()))  # fmt: skip
    assert here == there
