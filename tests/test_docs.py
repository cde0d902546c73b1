"""Every console block of the documentation that begins with `$ gamedyn` prints exactly what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gamedyn.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md"]


def blocks():
    params = []
    for page in PAGES:
        found = (
            re.findall(r"^```console\n\$ gamedyn (.*)\n((?:.*\n)*?)```$", page.read_text("utf-8"), re.M)
            if page.exists()
            else []
        )
        for command, output in found:
            params.append(pytest.param(command, output, id=f"{page.name}: {command}"))
    return params


@pytest.mark.parametrize(("command", "output"), blocks())
def test_documented_command_prints_what_the_page_says(command, output, capsys):
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command))
    assert stop.value.code == 0
    assert capsys.readouterr().out == output


def test_the_pages_have_blocks():
    assert len(blocks()) >= 4
