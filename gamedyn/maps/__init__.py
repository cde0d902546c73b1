"""One step of a method as a map, in every world."""
