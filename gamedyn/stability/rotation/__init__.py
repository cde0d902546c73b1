"""How much a game turns: at a point, along an orbit, along a path."""
