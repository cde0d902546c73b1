"""Small networks for neural games, initialised from a seed and from nothing else.

    G : R^latent -> R^dim,   z -> x          (generator)
    D : R^dim -> R,          x -> logit      (discriminator)                               (1)

Every network maps flat vectors (n, in_features) to flat vectors (n, out_features), images included, so that the
same game code serves points on a ring and pictures; pictures of several colours are flattened as (c, h, w). All use
torch.nn layers only; all start in float32 on the CPU (convert with ``.to``) and never touch the global random state.

The settings that learn rings, digits and MNIST within a minute of one core:

- ring of 8: ``mlp_generator(16, 2, (64, 64), init="orthogonal", gain=0.8)`` against
  ``mlp_discriminator(2, (64, 64), activation="relu", init="orthogonal", gain=0.8, input_scale=0.25)``;
- 8x8 digits: ``mlp_generator(16, 64, output="tanh")`` against ``mlp_discriminator(64)``;
- MNIST: ``mlp_generator(32, 784, output="tanh")`` against ``mlp_discriminator(784)``, or the two dcgan networks.
"""

from gamedyn.neural.networks.checkerboard import checkerboard_energy, kernel_overlap, overlap_unevenness
from gamedyn.neural.networks.dcgan import UPSAMPLINGS, dcgan_discriminator, dcgan_generator
from gamedyn.neural.networks.growing import (
    Growing,
    GrowingDiscriminator,
    GrowingGenerator,
    carry_over,
    downsampled,
    growing_pair,
)
from gamedyn.neural.networks.layers import ACTIVATIONS, NORMS, MapNorm, Network, Resize, Scale
from gamedyn.neural.networks.minibatch import MINIBATCH, MinibatchDiscrimination, MinibatchStandardDeviation
from gamedyn.neural.networks.mlp import mlp, mlp_discriminator, mlp_generator

__all__ = [
    "ACTIVATIONS",
    "MINIBATCH",
    "NORMS",
    "UPSAMPLINGS",
    "Growing",
    "GrowingDiscriminator",
    "GrowingGenerator",
    "MapNorm",
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "Network",
    "Resize",
    "Scale",
    "carry_over",
    "checkerboard_energy",
    "dcgan_discriminator",
    "dcgan_generator",
    "downsampled",
    "growing_pair",
    "kernel_overlap",
    "mlp",
    "mlp_discriminator",
    "mlp_generator",
    "overlap_unevenness",
]
