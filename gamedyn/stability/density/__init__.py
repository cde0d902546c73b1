"""How the eigenvalues of a large operator are distributed, from random products."""
