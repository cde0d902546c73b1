"""What the two players of a GAN minimise."""

from gamedyn.neural.losses.adversarial import (
    hinge,
    least_squares,
    least_squares_with,
    non_saturating,
    saturating,
    wasserstein,
)
from gamedyn.neural.losses.base import GANLoss
from gamedyn.neural.losses.divergences import DIVERGENCES, FDivergence, divergence
from gamedyn.neural.losses.f_gan import f_gan
from gamedyn.neural.losses.features import FeatureMatching, feature_matching
from gamedyn.neural.losses.relativistic import Relativistic, relativistic, relativistic_average, relativistic_hinge
from gamedyn.neural.losses.smoothing import smoothed
from gamedyn.neural.losses.table import LOSSES, as_loss

__all__ = [
    "DIVERGENCES",
    "LOSSES",
    "FDivergence",
    "FeatureMatching",
    "GANLoss",
    "Relativistic",
    "as_loss",
    "divergence",
    "f_gan",
    "feature_matching",
    "hinge",
    "least_squares",
    "least_squares_with",
    "non_saturating",
    "relativistic",
    "relativistic_average",
    "relativistic_hinge",
    "saturating",
    "smoothed",
    "wasserstein",
]
