"""Who of all processes does a thing that only one is to do (L1)."""
