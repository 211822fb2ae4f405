"""From a TOML file and overrides to a validated recipe, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from gantk.errors import RecipeError, nearest
from gantk.recipe.check import check
from gantk.recipe.explain import FILE_KEYS, explain
from gantk.recipe.locate import at
from gantk.recipe.merge import copied, fold, merge, overlay
from gantk.recipe.model import Recipe
from gantk.recipe.origin import Error, File, Origins, Overrides
from gantk.recipe.overrides import Changes, recipe_change, said_as
from gantk.recipe.shipped import find_recipe
from gantk.recipe.toml import Table, dotted, read, shown, unfit

Given = str | Path | Mapping[str, Any]
"""A recipe as it is given: a file, the name of one that comes with gantk, or its content."""
CONTENT = "(recipe)"
"""What errors call a recipe that is no file."""


def load_recipe(given: Given, overrides: Changes = ()) -> Recipe:
    """The recipe that is given, with its parents (`extends`) below it and overrides above it.

    Raises:
        RecipeError: a file cannot be read, or a key, type or value is wrong.
        UsageError: an override is not of the form `key=value`, or of a key that only a file can say.
    """
    files = chain(given)
    table, changes = fold(files), Overrides(recipe_change(overrides), said_as(overrides))
    overlay(table, changes.table, changes.where)
    return recipe_from_table(table, Origins((changes, *files)))


def recipe_from_table(table: Table, origins: Origins | None = None, also: Collection[str] = ()) -> Recipe:
    """Validate a table as a recipe; the keys of sweeps are left out.

    Args:
        table: the recipe's keys.
        origins: where they come from, for errors now and later.
        also: keys that were understood before, for hints at a misspelt one.
    """
    origins = origins or Origins()
    of_sweep = ("variants", "sweep", "reference") if {"variants", "sweep"} & table.keys() else ()
    table = {key: value for key, value in table.items() if key not in ("extends", *of_sweep)}
    for place, reason in unfit(table):
        raise RecipeError(f"{dotted(place)}: {reason}", where=origins.where(place))
    _resolve_likes(table, origins)
    _resolve_words(table)
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise explain(error, table, origins, (*FILE_KEYS, *also)) from None
    recipe._origins = origins
    try:
        check(recipe)
    except RecipeError as error:
        raise origins.locate(error) from None
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as TOML; loading it gives an equal recipe."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json")))


def located(error: Error, recipe: Recipe) -> Error:
    """An error of a recipe or of something that it names, with `file:line` or `--set` before its key."""
    return recipe.origins.locate(error)


def chain(given: Given) -> list[File]:
    """A recipe's file and, after it, the files that it extends, each with its content."""
    files: list[File] = []
    content = copied(given) if isinstance(given, Mapping) else None
    path = Path(CONTENT) if isinstance(given, Mapping) else find_recipe(given)
    while True:
        table, content = (read(path) if content is None else content), None
        if path.resolve() in [file.path.resolve() for file in files]:
            raise RecipeError(
                "the recipe extends itself, directly or through its parents",
                where=path,
                mend="correct or remove extends",
            )
        parent = table.pop("extends", None)
        files.append(File(path, table))
        if parent is None:
            return files
        if not isinstance(parent, str):
            raise RecipeError("`extends` must be a string, the path of one recipe", where=at(path, ("extends",)))
        path = path.parent / parent


def said_of(given: Given) -> str:
    """The name of a recipe in errors if its content is given."""
    return CONTENT if isinstance(given, Mapping) else str(given)


#: Keys with which a translator copies another one's table, their description, and the keys that are not copied.
_MODELS = (
    ("like", "like", frozenset[str]()),
    ("average_of", "an average of", frozenset({"discriminator", "judges", "optimizer", "shown"})),
)


def _resolve_likes(table: Table, origins: Origins) -> None:
    """Replace `like = "ROLE"` in a translator by that role's table, with the translator's other keys laid over it, and
    `average_of` by the keys of the table that do not concern training."""
    translators = table.get("translators")
    if not isinstance(translators, dict):
        return
    resolved: Table = {}
    for role, settings in translators.items():
        merged: Table = {}
        for key, words, left_out in _MODELS:
            if not isinstance(settings, dict) or key not in settings:
                continue
            model = settings[key]
            if not isinstance(model, str) or not isinstance(resolved.get(model), dict):
                said = f"{dotted(('translators', role))} is {words} {shown(model)}"
                raise RecipeError(
                    f"{said}, which is not a name of a translator above it",
                    where=origins.where(("translators", role, key)),
                    mend=nearest(str(model), resolved),
                )
            merge(merged, {k: v for k, v in resolved[model].items() if k not in left_out})
        if merged:
            merge(merged, {k: v for k, v in settings.items() if k != "like"}, ("translators", role))
        resolved[role] = merged or settings
    table["translators"] = resolved


def _resolve_words(table: Table) -> None:
    """`takes = "targets"`, `gives = "inputs"` and the baseline `input` (the first) stand for the names in `[data]`."""
    data, translators, evaluation = (table.get(name) for name in ("data", "translators", "evaluation"))
    if not isinstance(data, dict):
        return
    names = {"inputs": data.get("inputs"), "targets": data.get("target")}
    names = {word: [said] if isinstance(said, str) else said for word, said in names.items()}
    for settings in translators.values() if isinstance(translators, dict) else ():
        for key in ("takes", "gives"):
            if isinstance(settings, dict) and settings.get(key) in ("inputs", "targets"):
                settings[key] = names[settings[key]]
    inputs = names["inputs"]
    if isinstance(evaluation, dict) and isinstance(evaluation.get("baselines"), list) and isinstance(inputs, list):
        first = f"input:{inputs[0]}" if inputs else "input"
        evaluation["baselines"] = [first if name == "input" else name for name in evaluation["baselines"]]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value


__all__ = ["dump_recipe", "load_recipe", "located", "recipe_from_table"]
