"""Data for neural games: point clouds with what is known of them, pictures, and any tensor."""

from gamedyn.neural.data.clouds import gaussians_1d, grid, ring
from gamedyn.neural.data.dataset import Dataset, from_tensor
from gamedyn.neural.data.pictures import digits, mnist

__all__ = ["Dataset", "digits", "from_tensor", "gaussians_1d", "grid", "mnist", "ring"]
