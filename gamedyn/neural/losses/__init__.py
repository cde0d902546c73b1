"""What the two players of a GAN minimise."""

from gamedyn.neural.losses.base import LOSSES, GANLoss, as_loss, non_saturating, saturating

__all__ = ["LOSSES", "GANLoss", "as_loss", "non_saturating", "saturating"]
