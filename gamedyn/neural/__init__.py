"""Real GANs as games: networks, data, losses, training, and the spectrum of the game Jacobian.

    gan = GAN(generator, discriminator, loss="non_saturating", data=digits())
    result = train(gan, Method(Alternating(lr=1e-3), Adam(beta1=0.5)), steps=3000)
    spectrum(gan, result.z)

A GAN follows the protocol of every other game, so the rules and transforms are those of `gamedyn`.
"""

from gamedyn.games.products import RetainedJacobian
from gamedyn.neural.analysis.full_data import full_data_field, full_data_jacobian
from gamedyn.neural.analysis.measurement import MonitorRecord
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.analysis.monitor_file import read_monitor
from gamedyn.neural.analysis.parallel import parallel_jacobian
from gamedyn.neural.analysis.spectrum import Spectrum, spectrum
from gamedyn.neural.analysis.symmetries import Symmetries, symmetries
from gamedyn.neural.data import Dataset, digits, from_tensor, gaussians_1d, grid, mnist, ring
from gamedyn.neural.gan import GAN, GANField
from gamedyn.neural.losses import LOSSES, GANLoss, non_saturating, saturating
from gamedyn.neural.networks import (
    Network,
    Scale,
    dcgan_discriminator,
    dcgan_generator,
    mlp,
    mlp_discriminator,
    mlp_generator,
)
from gamedyn.neural.oracle import Oracle
from gamedyn.neural.training import TrainingResult, train

__all__ = [
    "GAN",
    "LOSSES",
    "Dataset",
    "GANField",
    "GANLoss",
    "Monitor",
    "MonitorRecord",
    "Network",
    "Oracle",
    "RetainedJacobian",
    "Scale",
    "Spectrum",
    "Symmetries",
    "TrainingResult",
    "dcgan_discriminator",
    "dcgan_generator",
    "digits",
    "from_tensor",
    "full_data_field",
    "full_data_jacobian",
    "gaussians_1d",
    "grid",
    "mlp",
    "mlp_discriminator",
    "mlp_generator",
    "mnist",
    "non_saturating",
    "parallel_jacobian",
    "read_monitor",
    "ring",
    "saturating",
    "spectrum",
    "symmetries",
    "train",
]
