"""Eigenvalues of any size: closed forms, dense, by products; densities, blocks, checkpoints."""
