"""gantk: image-translation GANs from recipes, with every part a plugin.

Names are resolved on first use, so that `import gantk` and `gantk --help` load neither torch nor MLflow.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("gantk")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"

_PUBLIC = {
    # running
    "run": "gantk.api.runner",
    "run_sweep": "gantk.api.sweep",
    "list_sweep": "gantk.api.sweep",
    "dry_run": "gantk.api.checks",
    "validate": "gantk.api.checks",
    "load": "gantk.api.model",
    "resolve_run": "gantk.api.runs",
    "RunResult": "gantk.api.runner",
    "SweepResult": "gantk.api.sweep",
    "Model": "gantk.api.model",
    # writing plugins
    "hookimpl": "gantk.plugins.hookspecs",
    "View": "gantk.translation",
    "Needs": "gantk.translation",
    "Role": "gantk.translation",
    "ImageRef": "gantk.translation",
    "Translation": "gantk.translation",
    "Judgement": "gantk.translation",
    "Moment": "gantk.translation",
    "Scheduler": "gantk.training.scheduler",
    "Stage": "gantk.training.scheduler",
    "Control": "gantk.training.scheduler",
    # data
    "Group": "gantk.data.batch",
    "Subject": "gantk.data.volumes",
    "Volumes": "gantk.data.volumes",
    # errors
    "GantkError": "gantk.errors",
    "RecipeError": "gantk.errors",
    "PluginError": "gantk.errors",
    "DataError": "gantk.errors",
    "TrainingError": "gantk.errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in ("plugins", "recipe", "data", "translation", "training", "evaluation", "tracking", "report"):
        return import_module(f"gantk.{name}")
    raise AttributeError(f"module 'gantk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
