"""Shell completion of recipes, runs, kinds, components and devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantk.errors import GantkError

__all__ = ["components", "devices", "kinds", "recipes", "runs"]


def recipes(incomplete: str) -> list[str]:
    """The recipes that come with gantk, and the TOML files and folders that match the path so far."""
    from gantk.recipe.shipped import shipped_recipes

    return _beginning([*_paths(incomplete), *shipped_recipes()], incomplete)


def runs(ctx: Any, incomplete: str) -> list[str]:
    """The runs and sweeps under `--runs`, and folders."""
    from gantk.runs.files import is_run, is_sweep

    parent = Path(ctx.params.get("below") or ctx.params.get("runs") or "runs")
    with suppress(OSError):
        found = [path.name for path in sorted(parent.iterdir()) if is_run(path) or is_sweep(path)]
        return _beginning(found, incomplete)
    return []


def kinds(incomplete: str) -> list[str]:
    """The kinds of components."""
    from gantk.plugins.kinds import KINDS

    return _beginning([kind.plural for kind in KINDS.values()], incomplete)


def components(ctx: Any, incomplete: str) -> list[str]:
    """The components of the kind that precedes on the command line."""
    from gantk.plugins import load_plugins

    with suppress(GantkError):
        return _beginning(load_plugins(strict=False).registry.names(ctx.params.get("kind") or ""), incomplete)
    return []


def devices(incomplete: str) -> list[str]:
    """The devices of this machine; a device of another machine can be typed in full."""
    return _beginning(["auto", "cpu", "cuda", "mps"], incomplete)


def _beginning(names: Iterable[str], start: str) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _paths(incomplete: str) -> Iterator[str]:
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield f"{path.as_posix()}/"
            elif path.suffix == ".toml":
                yield path.as_posix()
