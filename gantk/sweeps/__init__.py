"""Sweeps: executing the runs that one recipe describes; `gantk` exports the functions."""
