"""What eigenvalues do not say: pseudospectra, numerical range, Kreiss constant, transient growth."""
