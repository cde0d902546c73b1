"""How good samples are: modes found, classes shown, and distances between samples in a feature space."""

from gamedyn.neural.measures.classes import ClassCoverage, class_coverage
from gamedyn.neural.measures.features import FeatureNet, feature_net
from gamedyn.neural.measures.modes import ModeCoverage, mode_coverage
from gamedyn.neural.measures.samples import SampleMeasures, frechet_distance, gaussian_frechet, sample_measures

__all__ = [
    "ClassCoverage",
    "FeatureNet",
    "ModeCoverage",
    "SampleMeasures",
    "class_coverage",
    "feature_net",
    "frechet_distance",
    "gaussian_frechet",
    "mode_coverage",
    "sample_measures",
]
