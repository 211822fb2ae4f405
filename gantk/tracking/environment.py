"""The environment of a run: versions, machine, threads and the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Protocol

__all__ = ["environment", "git_state", "versions"]

PACKAGES = (
    "gantk",
    "torch",
    "torchvision",
    "timm",
    "kornia",
    "torchmetrics",
    "numpy",
    "scipy",
    "nibabel",
    "nilearn",
    "pydantic",
    "pluggy",
    "safetensors",
    "mlflow",
)


class PluginLike(Protocol):
    """The record of a plugin."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def distribution(self) -> str | None: ...
    @property
    def state(self) -> str: ...


def environment(plugins: Iterable[PluginLike] = ()) -> dict[str, Any]:
    """Versions, platform, threads, git state of the working directory and loaded plugins, as JSON.

    No package is imported: versions are those of the installed distributions, and the number of threads is torch's if
    torch is already loaded, else None.
    """
    torch = sys.modules.get("torch")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads() if torch is not None else None,
        "packages": versions(),
        "plugins": [
            {"name": p.name, "version": p.version, "distribution": p.distribution}
            for p in plugins
            if p.state == "loaded"
        ],
        "git": git_state(),
    }


def versions() -> dict[str, str | None]:
    """The versions of the packages that results may depend on; None for packages that are not installed."""
    return {name: _version(name) for name in PACKAGES}


def git_state() -> dict[str, Any] | None:
    """Commit and dirty flag of the repository around the working directory, or None."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=2.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
