"""Whether it settles: Jacobians, spectra, equilibria and exact regions of stable steps."""
