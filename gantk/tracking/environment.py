"""The environment of a run: versions, machine, threads and the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

__all__ = ["environment", "git_state"]

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

    Nothing is imported: versions are those of the installed distributions, and thread counts are torch's
    where torch is loaded already.
    """
    torch = sys.modules.get("torch")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads() if torch is not None else None,
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": [
            {"name": p.name, "version": p.version, "distribution": p.distribution}
            for p in plugins
            if p.state == "loaded"
        ],
        "git": git_state(),
    }


def git_state(folder: Path | None = None, timeout: float = 2.0) -> dict[str, Any] | None:
    """Commit and dirty flag of the repository around `folder` (default: the working directory), or None."""
    commit = _git(["rev-parse", "HEAD"], folder, timeout)
    if not commit:
        return None
    status = _git(["status", "--porcelain", "--untracked-files=no"], folder, timeout)
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _git(arguments: list[str], folder: Path | None, timeout: float) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=timeout, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
