"""Launchers: they start the runs of a sweep."""

from gantk.launching.job import Handle, Job, Launcher

__all__ = ["Handle", "Job", "Launcher"]
