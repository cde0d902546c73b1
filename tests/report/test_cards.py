"""Method cards: every named method has one, and the page in the documentation is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gamedyn as gd
from gamedyn.report.cards import HEAD, cards_page, method_card

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text("utf-8")
SHOWN = (
    "Simultaneous",
    "Extragradient",
    "HeavyBall",
    "Optimistic",
    "Nesterov",
    "Consensus",
    "MirrorProx",
    "EAGC",
    "Adam",
)


def sections(page: str) -> dict[str, str]:
    """Name -> section of a page of cards."""
    return {s.splitlines()[0]: s for s in re.split(r"^## ", page, flags=re.M)[1:]}


def without_solver(section: str) -> str:
    """A section without the digits that depend on the solver's build."""
    return re.sub(r"^\| certified worst case .*$", "", section, flags=re.M)


def certified(section: str) -> list[float]:
    (line,) = re.findall(r"^\| certified worst case \|.*$", section, re.M)
    return [float(x) for x in re.findall(r"[≤≥] ([\d.]+)", line)]


def test_the_page_lists_every_named_method_in_order():
    assert list(sections(PAGE)) == list(gd.methods)
    assert PAGE.startswith(HEAD)


@pytest.mark.parametrize("name", SHOWN)
def test_the_card_on_the_page_is_the_one_that_the_code_gives(name):
    here, there = "## " + sections(PAGE)[name], method_card(name).markdown()
    assert without_solver(here).strip() == without_solver(there).strip()
    assert certified(here) == pytest.approx(certified(there), abs=5e-6)


@pytest.mark.slow
def test_the_page_is_what_the_command_writes():
    here, there = sections(PAGE), sections(cards_page())
    assert {n: without_solver(s).strip() for n, s in here.items()} == {
        n: without_solver(s).strip() for n, s in there.items()
    }
    for name in here:
        assert certified(here[name]) == pytest.approx(certified(there[name]), abs=5e-6)


@pytest.mark.parametrize("name", gd.methods)
def test_every_piece_of_a_method_states_its_equation_and_source(name):
    section = sections(PAGE)[name]
    assert section.count("```text") >= 1
    assert "## References" not in section
    if name not in ("Midpoint", "LinearizedProximalPoint"):
        assert re.search(r"^- .*(\(\d{4}\)|\d{4}, arXiv|\d{4})", section, re.M), "no reference"


def test_a_card_of_no_method_is_refused():
    with pytest.raises(ValueError, match="there is no method 'Foo'"):
        method_card("Foo")
