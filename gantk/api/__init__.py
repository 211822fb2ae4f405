"""The Python API: what the command line does, as functions."""

from gantk.api.checks import dry_run, validate
from gantk.api.model import Model, load
from gantk.api.runner import RunResult, run
from gantk.api.runs import resolve_run

__all__ = ["Model", "RunResult", "dry_run", "load", "resolve_run", "run", "validate"]
