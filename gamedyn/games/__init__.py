"""What is played: the Field protocol, games in formulas and in torch, and the library of named games."""

from __future__ import annotations

from gamedyn.games.library import *  # noqa: F403
from gamedyn.games.library import __all__ as __all__
