"""What is measured on a GAN: the spectrum of the game Jacobian, rotation, symmetries, in training and after it."""
