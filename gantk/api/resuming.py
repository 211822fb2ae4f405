"""The check that a run is resumed with the recipe with which it began."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, UsageError
from gantk.recipe import Recipe, dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.data import DataSettings
from gantk.recipe.load import Given
from gantk.recipe.overrides import Changes
from gantk.runs.files import RECIPE, RunFiles, missing_settings
from gantk.runs.folders import recipe_of, spoken


def resumed_recipe(folder: Path, path: Given | None, overrides: Changes) -> Recipe:
    """The recipe of a run that is resumed.

    Args:
        folder: of the run.
        path: a recipe that the user names, too; default: the run's recipe.
        overrides: changes that the user names, too.

    Raises:
        UsageError: the user's recipe differs from the run's.
        RecipeError: the recipe in the folder is damaged.
    """
    recipe = recipe_of(folder)
    files = RunFiles(folder)
    if not files.checkpoint and (lacking := missing_settings(files.recipe(), dump_recipe(recipe))):
        raise RecipeError(
            f"the run's recipe is truncated: {lacking[0]!r} is missing",
            where=folder / RECIPE,
            why="the run has no checkpoint to take it from",
            mend="restore it from a copy, or start a new run: nothing was trained yet",
        )
    given = recipe_of(folder, overrides) if path is None else load_recipe(path, overrides)
    if dump_recipe(given) != dump_recipe(recipe):
        raise _another_recipe(folder, f"resume with `gantk run --resume {spoken(folder)}` alone, or start a new run")
    if files.checkpoint and _trained(recipe) != _trained(recipe_from_table(tomllib.loads(files.checkpoint["recipe"]))):
        raise _another_recipe(
            folder / RECIPE, "undo the change (the checkpoint's checkpoint.json holds the recipe), or start a new run"
        )
    return recipe


def _trained(recipe: Recipe) -> dict[str, Any]:
    """The part of a recipe that the weights depend on; the data is compared by content, wherever it lies."""
    table = recipe.model_dump(exclude={"description", "predict", "evaluation", "inference", "tracking"})
    return table | {"data": {key: value for key, value in table["data"].items() if key in DataSettings.model_fields}}


def _another_recipe(where: Path, mend: str) -> UsageError:
    return UsageError(
        "the recipe differs from the one with which this run began",
        where=where,
        why="a resumed run must give the same result as an uninterrupted run",
        mend=mend,
    )
