"""Launchers: where the runs of a sweep are carried out."""

from gantk.launching.job import Handle, Job, Launcher

__all__ = ["Handle", "Job", "Launcher"]
