"""Constraints and penalties of the discriminator."""

from gamedyn.neural.penalties.base import Penalty, as_penalties
from gamedyn.neural.penalties.clipping import WeightClipping
from gamedyn.neural.penalties.gradient import DRAGAN, R1, R2, GradientPenalty

__all__ = ["DRAGAN", "R1", "R2", "GradientPenalty", "Penalty", "WeightClipping", "as_penalties"]
