"""Training: any method on a GAN's stochastic game."""

from gamedyn.neural.training.loop import train
from gamedyn.neural.training.result import TrainingResult

__all__ = ["TrainingResult", "train"]
