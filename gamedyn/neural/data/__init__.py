"""Data for neural games: point clouds with what is known of them, pictures, and any tensor."""

from gamedyn.neural.data.clouds import gaussians_1d, grid, line, mixture, ring
from gamedyn.neural.data.curves import parallel_lines, spiral, swiss_roll
from gamedyn.neural.data.dataset import Dataset, from_tensor
from gamedyn.neural.data.density import GaussianMixture
from gamedyn.neural.data.directory import from_directory
from gamedyn.neural.data.pictures import digits, fashion_mnist, mnist, stacked_mnist

__all__ = [
    "Dataset",
    "GaussianMixture",
    "digits",
    "fashion_mnist",
    "from_directory",
    "from_tensor",
    "gaussians_1d",
    "grid",
    "line",
    "mixture",
    "mnist",
    "parallel_lines",
    "ring",
    "spiral",
    "stacked_mnist",
    "swiss_roll",
]
