"""Every method of the package as a torch optimizer for networks that one already has."""

from gamedyn.torch.closure_field import ClosureField
from gamedyn.torch.evaluation import Passes
from gamedyn.torch.optimizer import GameOptimizer
from gamedyn.torch.solvers import Solve

__all__ = ["ClosureField", "GameOptimizer", "Passes", "Solve"]
