"""Constraints and penalties of the discriminator."""
