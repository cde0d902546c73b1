"""Real GANs as games: networks, data, losses, training, and the spectrum of the game Jacobian.

    gan = GAN(generator, discriminator, loss="non_saturating", data=digits())
    result = train(gan, Method(Alternating(lr=1e-3), Adam(beta1=0.5)), steps=3000)
    spectrum(gan, result.z)

A GAN follows the protocol of every other game, so the rules and transforms are those of `gamedyn`.
"""

from gamedyn.games.products import RetainedJacobian
from gamedyn.neural.analysis.full_data import full_data_field, full_data_jacobian
from gamedyn.neural.analysis.kinks import kinks
from gamedyn.neural.analysis.measurement import MonitorRecord
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.analysis.monitor_file import read_monitor
from gamedyn.neural.analysis.parallel import parallel_jacobian
from gamedyn.neural.analysis.spectrum import Spectrum, spectrum
from gamedyn.neural.analysis.symmetries import Symmetries, symmetries
from gamedyn.neural.data import (
    Dataset,
    GaussianMixture,
    digits,
    fashion_mnist,
    from_directory,
    from_tensor,
    gaussians_1d,
    grid,
    line,
    mixture,
    mnist,
    parallel_lines,
    ring,
    spiral,
    stacked_mnist,
    swiss_roll,
)
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.losses import (
    DIVERGENCES,
    LOSSES,
    GANLoss,
    as_loss,
    divergence,
    f_gan,
    feature_matching,
    hinge,
    least_squares,
    least_squares_with,
    non_saturating,
    relativistic,
    relativistic_average,
    relativistic_hinge,
    saturating,
    smoothed,
    wasserstein,
)
from gamedyn.neural.measures import (
    ClassCoverage,
    FeatureNet,
    ModeCoverage,
    SampleMeasures,
    class_coverage,
    feature_net,
    frechet_distance,
    gaussian_frechet,
    mode_coverage,
    sample_measures,
)
from gamedyn.neural.networks import (
    Growing,
    MapNorm,
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    Network,
    Resize,
    Scale,
    carry_over,
    checkerboard_energy,
    dcgan_discriminator,
    dcgan_generator,
    downsampled,
    growing_pair,
    kernel_overlap,
    mlp,
    mlp_discriminator,
    mlp_generator,
    overlap_unevenness,
)
from gamedyn.neural.oracle import Oracle
from gamedyn.neural.penalties import DRAGAN, R1, R2, GradientPenalty, Penalty, WeightClipping
from gamedyn.neural.penalties.instance_noise import InstanceNoise
from gamedyn.neural.penalties.lipschitz import Residual, Sum, lipschitz_bound, operator_norm
from gamedyn.neural.penalties.slope import Lipschitz, largest_slope
from gamedyn.neural.penalties.spectral import spectral_normalized
from gamedyn.neural.sample import Sample
from gamedyn.neural.scene import Scene
from gamedyn.neural.training import Checkpoint, Replay, TrainingResult, load_checkpoint, read_log, train
from gamedyn.neural.training.settings import RunSettings, read_settings, settings_for

__all__ = [
    "DIVERGENCES",
    "DRAGAN",
    "GAN",
    "LOSSES",
    "R1",
    "R2",
    "Checkpoint",
    "ClassCoverage",
    "Dataset",
    "FeatureNet",
    "GANField",
    "GANLoss",
    "GaussianMixture",
    "GradientPenalty",
    "Growing",
    "InstanceNoise",
    "Lipschitz",
    "MapNorm",
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "ModeCoverage",
    "Monitor",
    "MonitorRecord",
    "Network",
    "Oracle",
    "Penalty",
    "Replay",
    "Residual",
    "Resize",
    "RetainedJacobian",
    "RunSettings",
    "Sample",
    "SampleMeasures",
    "Scale",
    "Scene",
    "Spectrum",
    "Sum",
    "Symmetries",
    "TrainingResult",
    "WeightClipping",
    "as_loss",
    "carry_over",
    "checkerboard_energy",
    "class_coverage",
    "dcgan_discriminator",
    "dcgan_generator",
    "digits",
    "divergence",
    "downsampled",
    "f_gan",
    "fashion_mnist",
    "feature_matching",
    "feature_net",
    "frechet_distance",
    "from_directory",
    "from_tensor",
    "full_data_field",
    "full_data_jacobian",
    "gaussian_frechet",
    "gaussians_1d",
    "grid",
    "growing_pair",
    "hinge",
    "kernel_overlap",
    "kinks",
    "largest_slope",
    "least_squares",
    "least_squares_with",
    "line",
    "lipschitz_bound",
    "load_checkpoint",
    "mixture",
    "mlp",
    "mlp_discriminator",
    "mlp_generator",
    "mnist",
    "mode_coverage",
    "non_saturating",
    "operator_norm",
    "overlap_unevenness",
    "parallel_jacobian",
    "parallel_lines",
    "read_log",
    "read_monitor",
    "read_settings",
    "relativistic",
    "relativistic_average",
    "relativistic_hinge",
    "ring",
    "sample_measures",
    "saturating",
    "settings_for",
    "smoothed",
    "spectral_normalized",
    "spectrum",
    "spiral",
    "stacked_mnist",
    "swiss_roll",
    "symmetries",
    "train",
    "wasserstein",
]
