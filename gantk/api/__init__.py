"""The Python API: the functions behind the command line; `gantk` exports them."""
