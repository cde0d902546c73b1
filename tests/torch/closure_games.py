"""Symbolic games written as closures over parameters, for the tests of the torch optimizer."""

import torch

from gamedyn.games.symbolic import Game
from gamedyn.torch import GameOptimizer

Z0 = (0.75, -0.5, 0.25, 0.5)


def general_game():
    """Two players with two variables each, general-sum, with third derivatives in both players' variables."""
    costs = [
        "x1*y1 + x1*y2/2 - x2*y1/4 + x1**2/4 + x1**2*y1/10 + x2**4/10",
        "-x1*y1 + x2*y2/2 - x2*y1/4 + y1**2/4 + y2**2/8 - sin(x1*y2)/3",
    ]
    return Game(costs, players=[["x1", "x2"], ["y1", "y2"]], name="general")


def as_parameters(game, z0):
    """One float64 parameter per player, at z0."""
    z = torch.tensor(list(z0)[: game.dim], dtype=torch.float64)
    return [torch.nn.Parameter(z[p.slice].clone()) for p in game.players]


def as_closure(game, parameters):
    """The game's costs as a closure over `parameters`."""
    costs = game.field("neural").costs
    return lambda: costs(torch.cat(parameters))


def optimizer_on(game, method, z0=Z0, **options):
    """(optimizer, closure, the present point)."""
    parameters = as_parameters(game, z0)
    opt = GameOptimizer([[p] for p in parameters], method, **options)
    return opt, as_closure(game, parameters), lambda: torch.cat([p.detach() for p in parameters])
