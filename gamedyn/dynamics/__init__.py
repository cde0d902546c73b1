"""What then happens: orbits."""
