"""Where v vanishes: points and manifolds, found, proven and classified."""
