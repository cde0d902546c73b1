"""Bimatrix games: two players who mix over finitely many strategies, in and out as payoff arrays.

    the row player maximises xᵀA y over x in Δₙ,  the column player xᵀB y over y in Δₘ

Costs are -xᵀAy and -xᵀBy, and the simplices are constraints of the game, so that projected methods and
`entropic` ones run on it as it stands.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.affine import Quadratic
from gamedyn.games.constraints import Simplex
from gamedyn.games.field import Player
from gamedyn.games.quadratics import Matrix, exact_matrix, frozen, zeros
from gamedyn.games.symbolic import Facts, SymbolicGame

__all__ = ["bimatrix", "matching_pennies", "payoff_arrays", "prisoners_dilemma", "rock_paper_scissors"]


def bimatrix(A: Any, B: Any = None, *, name: str = "bimatrix", facts: Facts = Facts("Definition.")) -> SymbolicGame:
    """The bimatrix game (A, B) on mixed strategies; both arrays are payoffs, which their player maximises.

        c₁(x, y) = -xᵀA y,  c₂(x, y) = -xᵀB y,   x in Δₙ, y in Δₘ

    Parameters
    ----------
    A : array (n, m)
        Payoff of the row player: nested lists, a NumPy array or a SymPy matrix.  Floats become the rationals
        of their shortest decimals; symbols are parameters.
    B : array (n, m), optional
        Payoff of the column player; -A, a zero-sum game, by default.

    Raises
    ------
    ValueError
        If A is no matrix, B has another shape, or an entry is not finite.

    Notes
    -----
    v is not zero at an interior equilibrium: its parts are constant vectors, minus the players' values.

    See Also
    --------
    payoff_arrays : back to arrays.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])
    bimatrix: 2 players, d = 4
      row (x1, x2): min -3*x1*y1 - 5*x2*y1 - x2*y2
      column (y1, y2): min -3*x1*y1 - 5*x1*y2 - x2*y2
    """
    first = exact_matrix(A, "A")
    second = [[-e for e in row] for row in first] if B is None else exact_matrix(B, "B")
    n, m = len(first), len(first[0])
    if (len(second), len(second[0])) != (n, m):
        raise ValueError(f"A has shape ({n}, {m}), B ({len(second)}, {len(second[0])}); give payoffs of one shape")
    variables = tuple(f"x{k + 1}" for k in range(n)), tuple(f"y{k + 1}" for k in range(m))
    symbols = tuple(sp.Symbol(s, real=True) for group in variables for s in group)
    entries = [e for row in (*first, *second) for e in row if not e.is_Number]
    clash = {s.name for s in symbols} & {s.name for e in entries for s in e.free_symbols}
    if clash:
        raise ValueError(f"the payoffs use {sorted(clash)}, which are strategies of the game; rename these parameters")
    players = Player("row", 0, n, variables[0]), Player("column", n, n + m, variables[1])
    forms = _form(first), _form(second)
    simplices = Simplex(tuple(range(n))), Simplex(tuple(range(n, n + m)))
    costs = tuple(f.cost(symbols) for f in forms)
    return SymbolicGame(players, symbols, costs=costs, name=name, facts=facts, constraints=simplices, quadratics=forms)


def payoff_arrays(game: Any, exact: bool = False) -> tuple[Any, Any]:
    """The payoff arrays (A, B) of a bilinear game of two players, as Nashpy takes them.

    Parameters
    ----------
    game : SymbolicGame
        With costs -xᵀA y and -xᵀB y, x and y the players' own variables; constrained or not.
    exact : bool
        SymPy matrices instead of float64 arrays.

    Raises
    ------
    ValueError
        If the game has not two players, no costs, or a cost that is not bilinear; or, in floats, a free parameter.

    Examples
    --------
    >>> import gamedyn as gd
    >>> A, B = gd.games.payoff_arrays(gd.games.matching_pennies())
    >>> A
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    F = game.field("exact")
    if len(F.players) != 2 or F.costs is None:
        raise ValueError(f"'{game.name}' is not given by the costs of two players, so it has no payoff arrays")
    A, B = (_payoff(game.name, F, i) for i in range(2))
    if exact:
        return A, B
    free = sorted({s.name for a in (A, B) for s in a.free_symbols})
    if free:
        raise ValueError(f"the payoffs of '{game.name}' contain {free}; bind them, or ask for exact=True")
    return np.array(A.tolist(), dtype=float), np.array(B.tolist(), dtype=float)


def matching_pennies() -> SymbolicGame:
    """Matching pennies: the row player wins when the coins agree.

        A = [[1, -1], [-1, 1]],  B = -A

    Its one equilibrium, both coins fair, is interior; every method turns around it.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.matching_pennies().facts.equilibria
    ((1/2, 1/2, 1/2, 1/2),)
    """
    half, two_i = sp.Rational(1, 2), 2 * sp.I
    note = "Zero-sum; the only equilibrium is uniform, and v vanishes there."
    facts = Facts(_NEUMANN, ((half,) * 4,), ((two_i, -two_i, sp.S.Zero, sp.S.Zero),), note)
    return bimatrix([[1, -1], [-1, 1]], name="matching pennies", facts=facts)


def rock_paper_scissors() -> SymbolicGame:
    """Rock, paper, scissors, with payoffs 1, 0 and -1.

        A = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]],  B = -A

    Its one equilibrium is uniform.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.games.rock_paper_scissors().dim
    6
    """
    turn = sp.sqrt(3) * sp.I
    note = "Zero-sum; the only equilibrium is uniform, and v vanishes there."
    spectrum = (turn, turn, -turn, -turn, sp.S.Zero, sp.S.Zero)
    facts = Facts(_NEUMANN, ((sp.Rational(1, 3),) * 6,), (spectrum,), note)
    return bimatrix([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], name="rock paper scissors", facts=facts)


def prisoners_dilemma(temptation: Any = 5, reward: Any = 3, punishment: Any = 1, sucker: Any = 0) -> SymbolicGame:
    """The prisoner's dilemma; strategy 1 cooperates, strategy 2 defects.

        A = [[R, S], [T, P]],  B = Aᵀ,   T > R > P > S

    General-sum.  Defection dominates, so the one equilibrium is the vertex (0, 1; 0, 1), where v does not vanish.

    Parameters
    ----------
    temptation, reward, punishment, sucker : number
        T, R, P and S.

    Raises
    ------
    ValueError
        If not T > R > P > S.

    Examples
    --------
    >>> import gamedyn as gd
    >>> T = gd.StepMap(gd.Simultaneous(0.1), gd.games.prisoners_dilemma())
    >>> gd.simulate(T, [0.9, 0.1, 0.9, 0.1], steps=100).z[-1]
    array([0., 1., 0., 1.])
    """
    (values,) = exact_matrix([[temptation, reward, punishment, sucker]], "the payoffs")
    T, R, P, S = values
    if not all(a > b for a, b in pairwise(values)):
        raise ValueError(f"a prisoner's dilemma has temptation > reward > punishment > sucker, got {values}")
    facts = Facts(
        "A. Rapoport, A. M. Chammah, Prisoner's Dilemma (1965).",
        note="The only equilibrium is the vertex (0, 1, 0, 1), mutual defection; v does not vanish there.",
    )
    return bimatrix([[R, S], [T, P]], [[R, T], [S, P]], name="prisoner's dilemma", facts=facts)


_NEUMANN = "J. von Neumann, Zur Theorie der Gesellschaftsspiele, Math. Ann. 100 (1928)."


def _form(payoff: Matrix) -> Quadratic:
    """-xᵀMy, whose Hessian is [[0, -M], [-Mᵀ, 0]]."""
    n, m = len(payoff), len(payoff[0])
    top = [[*zeros(n), *(-e for e in row)] for row in payoff]
    bottom = [[*(-e for e in column), *zeros(m)] for column in zip(*payoff, strict=True)]
    return Quadratic(frozen([*top, *bottom]), zeros(n + m))


def _payoff(name: str, F: Any, i: int) -> sp.ImmutableMatrix:
    """M of the cost -xᵀMy of player i."""
    d, split = F.players[1].stop, F.players[0].stop
    if F.quadratics is not None:
        H, b = F.quadratics[i].hessian, F.quadratics[i].linear
    else:
        gradient = F.gradient_function(i)
        rows = gradient.jacobian(0)
        table = dict(zip(gradient.inputs[0], F.symbols, strict=True))
        H = tuple(tuple(e.xreplace(table) for e in row) for row in rows)
        cost = sp.Matrix(F.symbols).T * sp.Matrix(H) * sp.Matrix(F.symbols) / 2
        rest = sp.expand(F.costs[i] - cost[0])
        b = (rest,) if any(e.has(*F.symbols) for row in H for e in row) or rest != 0 else ()
    own = [H[r][c] for lo, hi in ((0, split), (split, d)) for r in range(lo, hi) for c in range(lo, hi)]
    if any(e != 0 for e in (*own, *b)):
        raise ValueError(f"cost {i} of '{name}' is not bilinear in the strategies of the two players")
    return sp.ImmutableMatrix([[-H[r][c] for c in range(split, d)] for r in range(split)])
