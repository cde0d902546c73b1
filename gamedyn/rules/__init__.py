"""How players move: rules, wrappers, transforms, preconditioners and the methods composed of them."""
