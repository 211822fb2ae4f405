"""Sweeps: the runs that one recipe describes, carried out together; `gantk` itself offers its functions by name."""
