"""The library of named games.

Every constructor returns a `SymbolicGame` whose `facts` hold the source, the known equilibria and their
eigenvalues.  Nothing symbolic happens before a constructor is called.
"""

from __future__ import annotations

from collections.abc import Callable

from gamedyn.games import cycles, dirac, minimax, quadratics
from gamedyn.games.cycles import *  # noqa: F403
from gamedyn.games.dirac import *  # noqa: F403
from gamedyn.games.minimax import *  # noqa: F403
from gamedyn.games.quadratics import *  # noqa: F403
from gamedyn.games.symbolic import SymbolicGame

_MODULES = (quadratics, dirac, minimax, cycles)

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
    return {name: value for name, value in sorted(pairs.items()) if not isinstance(value, type)}
