"""A page on the standard output."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

__all__ = ["show_page"]

_STATUS = {"converges": "green", "converged": "green", "diverges": "red", "diverged": "red", "neutral": "yellow"}


def show_page(page: str) -> None:
    """The page as it is, verdicts coloured on a terminal only."""
    if not sys.stdout.isatty():
        print(page)
        return
    colored = Text(page)
    for word, color in _STATUS.items():
        colored.highlight_regex(rf"\b{word}\b", color)
    Console(highlight=False, soft_wrap=True).print(colored)
