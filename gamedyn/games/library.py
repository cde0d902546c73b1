"""The library of named games.

Every constructor returns a `SymbolicGame` whose `facts` hold the source, the known equilibria and their
eigenvalues.  Nothing symbolic happens before a constructor is called.
"""

from __future__ import annotations

from collections.abc import Callable

from gamedyn.games import cycles, dirac, matrix_games, minimax, quadratics
from gamedyn.games.cycles import *  # noqa: F403
from gamedyn.games.dirac import *  # noqa: F403
from gamedyn.games.matrix_games import *  # noqa: F403
from gamedyn.games.minimax import *  # noqa: F403
from gamedyn.games.quadratics import *  # noqa: F403
from gamedyn.games.symbolic import SymbolicGame

_MODULES = (quadratics, dirac, minimax, cycles, matrix_games)
_NO_GAMES = ("payoff_arrays",)  # functions of the library that make no game

__all__ = ["names", *(name for module in _MODULES for name in module.__all__)]


def names() -> dict[str, Callable[..., SymbolicGame]]:
    """The named games: name -> constructor, in alphabetical order.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.names()["jin_quadratic"]().name
    'Jin quadratic'
    """
    pairs = {name: getattr(module, name) for module in _MODULES for name in module.__all__}
    return {name: value for name, value in sorted(pairs.items()) if not (isinstance(value, type) or name in _NO_GAMES)}
