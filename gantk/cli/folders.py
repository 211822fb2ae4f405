"""The folder of a run or sweep that a user names."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder_of"]


def folder_of(name: str) -> Path:
    """A run's or sweep's folder by its path, its id, or the unique beginning of its id under `./runs`.

    What is named in full is found without loading torch, and goes before ids that only begin so.

    Raises:
        UsageError: there is none, or more than one.
    """
    for path in (Path(name), Path("runs") / name):
        if (path / "recipe.toml").is_file():
            return path.absolute()
    import gantk

    return gantk.resolve_run(name)
