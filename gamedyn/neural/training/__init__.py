"""Training: any method on a GAN's stochastic game."""

from gamedyn.neural.training.checkpoint import Checkpoint, load_checkpoint
from gamedyn.neural.training.log import read_log
from gamedyn.neural.training.loop import train
from gamedyn.neural.training.replay import Replay
from gamedyn.neural.training.result import TrainingResult

__all__ = ["Checkpoint", "Replay", "TrainingResult", "load_checkpoint", "read_log", "train"]
