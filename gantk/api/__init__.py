"""The Python API: what the command line does, as functions."""

from gantk.api.checks import dry_run, validate
from gantk.api.model import Model, load
from gantk.api.runner import RunResult, run
from gantk.api.runs import resolve_run
from gantk.api.sweep import SweepResult, list_sweep, run_sweep

__all__ = [
    "Model",
    "RunResult",
    "SweepResult",
    "dry_run",
    "list_sweep",
    "load",
    "resolve_run",
    "run",
    "run_sweep",
    "validate",
]
