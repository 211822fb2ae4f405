"""The recipes that come with gantk, by name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gantk.errors import RecipeError, nearest

__all__ = ["find_recipe", "is_shipped", "shipped_recipes"]


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with gantk, by their path without `.toml`; in a wheel they lie in `gantk/scaffold`."""
    package = Path(__file__).parents[1]
    root = next((root for root in (package / "scaffold/recipes", package.parent / "recipes") if root.is_dir()), None)
    if root is None:
        return {}
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.toml"))}


def find_recipe(named: str | Path) -> Path:
    """The file that a recipe's name stands for: a file of that path, with or without `.toml`, else a recipe that comes
    with gantk.

    Raises:
        RecipeError: there is neither, and the name is not a path to a TOML file.
    """
    path = Path(named)
    for own in (path, Path(f"{path}.toml")):
        if os.path.isfile(own):  # noqa: PTH113 - unlike Path.is_file, also where no file can be called so
            return own
    known = shipped_recipes()
    name = path.as_posix().removesuffix(".toml")
    if name in known:
        return known[name]
    if os.path.exists(path):  # noqa: PTH110 - for a folder, reading raises the error
        return path
    if path.suffix == ".toml" or path.is_absolute():  # the error of reading names similar files
        return path
    raise RecipeError(
        "no such recipe",
        where=name,
        why="there is no such file, and gantk has no recipe of this name",
        mend=_meant(name, known),
    )


def _meant(name: str, known: Iterable[str]) -> str:
    """The recipes whose names contain the name; if there is none, the most similar."""
    holding = [other for other in known if name and name in other]
    return f"did you mean one of {', '.join(map(repr, holding))}?" if len(holding) > 1 else nearest(name, known)


def is_shipped(path: Path) -> bool:
    """Whether a file is a recipe that comes with gantk."""
    return path in shipped_recipes().values()
