"""The Python API: what the command line does, as functions; `gantk` itself offers them by name."""
