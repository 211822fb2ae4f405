"""From a TOML file and overrides to a validated recipe, and back."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from gantk.errors import RecipeError, UsageError, nearest
from gantk.recipe.check import check
from gantk.recipe.data import DataSettings
from gantk.recipe.dotted import leaves, value_at
from gantk.recipe.explain import FILE_KEYS, explain
from gantk.recipe.locate import at
from gantk.recipe.model import BalanceSettings, LossSettings, MapSettings, Recipe, ScheduleSettings, TransformSettings
from gantk.recipe.origin import Error, File, Origins, Overrides, Place
from gantk.recipe.shipped import find_recipe
from gantk.recipe.toml import DEEPEST, Table, dotted, parse, read, shown, unfit
from gantk.recipe.translators import OptimizerSettings

Given = str | Path | Mapping[str, Any]
"""A recipe as it is given: a file, the name of one that comes with gantk, or its content."""
CONTENT = "(recipe)"
"""What errors call a recipe that is no file."""
Changes = Sequence[str] | Mapping[str, Any]
"""What is laid over a recipe: `key.of.table=value`, or values by dotted key."""


class SetOptions(tuple[str, ...]):
    """Overrides that were written as `--set` at a command line, so that errors say so."""

    __slots__ = ()


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
    """Validate a table as a recipe; what makes it a sweep is left out.

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
    """An error of a recipe or of what it names, with `file:line` or `--set` before the key that it is about."""
    return recipe.origins.locate(error)


def chain(given: Given) -> list[File]:
    """A recipe's file and, after it, the files that it extends, each with its content."""
    files: list[File] = []
    content = _copy(given) if isinstance(given, Mapping) else None
    path = Path(CONTENT) if isinstance(given, Mapping) else find_recipe(given)
    while True:
        table, content = (read(path) if content is None else content), None
        if path.resolve() in [file.path.resolve() for file in files]:
            raise RecipeError("recipes extend one another in a circle", where=path)
        parent = table.pop("extends", None)
        files.append(File(path, table))
        if parent is None:
            return files
        if not isinstance(parent, str):
            raise RecipeError("`extends` must be the path of one recipe", where=at(path, ("extends",)))
        path = path.parent / parent


def fold(files: Sequence[File]) -> Table:
    """The files of a chain laid over one another, the last at the bottom."""
    base: Table = {}
    for number, file in enumerate(reversed(files)):
        if number:
            leave_out(base, file.table.get("without", []), file.where(("without",)))
        own = {key: value for key, value in file.table.items() if key != "without" or not number}
        for key in NAMED:  # other headers without keys are harmless
            if own.get(key) == {} and base.get(key):
                raise _changes_nothing(key, file.where((key,)))
        merge(base, own)
    return base


def leave_out(base: Table, keys: Any, where: str | None) -> None:
    """Take inherited keys out: `without = ["losses.NAME"]`; `where` says where that stands."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise RecipeError("`without` must be a list of keys", where=where)
    for key in keys:
        *tables, last = key.split(".")
        table = value_at(base, tables)
        if not isinstance(table, dict) or last not in table:
            raise RecipeError(
                f"cannot leave out {key!r}: the parent has no such key",
                where=where,
                mend=nearest(last, table if isinstance(table, dict) else ()),
            )
        del table[last]


# Keys that belong to the table itself, whatever component it names; * is any name.
_OWN_KEYS = {
    ("balance",): set(BalanceSettings.model_fields),
    ("data",): set(DataSettings.model_fields),
    ("losses", "*"): set(LossSettings.model_fields),
    ("maps", "*"): set(MapSettings.model_fields),
    ("schedule",): set(ScheduleSettings.model_fields),
    ("transforms", "*"): set(TransformSettings.model_fields),
    ("translators", "*", "optimizer"): set(OptimizerSettings.model_fields),
}

#: Tables of things by name, in which a misspelt name would make a new thing.
NAMED = ("translators", "transforms", "maps", "losses")


def merge(base: Table, change: Mapping[str, Any], place: tuple[str, ...] = ()) -> None:
    """Lay `change` over `base`, table by table.

    A table that names another component than before starts afresh: the former component's parameters go.
    """
    selector = "dataset" if place == ("data",) else "use"
    if selector in change and selector in base and change[selector] != base[selector]:
        own = _OWN_KEYS.get((*place[:1], *("*" for _ in place[1:2]), *place[2:]), set())
        for key in [key for key in base if key not in own]:
            del base[key]
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value, (*place, key))
        else:
            base[key] = _copy(value)


def merged(base: Table, change: Table) -> Table:
    """`change` over a copy of `base`."""
    table = copy.deepcopy(base)
    merge(table, copy.deepcopy(change))
    return table


def nested(flat: Mapping[str, Any]) -> Table:
    """Dotted keys as tables in tables; in the order given, a later key over an earlier one."""
    nested: Table = {}
    for key, value in flat.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        merge(nested, value)
    return nested


def said_of(given: Given) -> str:
    """What errors call a recipe that is given as a whole."""
    return CONTENT if isinstance(given, Mapping) else str(given)


def said_as(overrides: Changes) -> str:
    """What errors call overrides: as the command line writes them, or the API's argument."""
    return "--set" if isinstance(overrides, SetOptions) else "overrides"


def change_of(overrides: Changes) -> Table:
    """The overrides as one change, in whatever order: `x.epochs=3` and `x.use=y` belong together."""
    change: Table = {}
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            merge(change, nested({key: value}))
        return change
    for override in overrides:
        merge(change, _override(override, said_as(overrides)))
    return change


def recipe_change(overrides: Changes) -> Table:
    """The overrides as one change of a recipe.

    Raises:
        UsageError: one is not of the form `key=value`, or of a key that only a file can say.
    """
    change = change_of(overrides)
    for key, _ in leaves({key: value for key, value in change.items() if key in FILE_KEYS}):
        raise UsageError(
            f"{key!r} cannot be set",
            where=said_as(overrides),
            why="only a recipe's file says what it extends and which runs it describes",
            mend="write it in the file, or in one that extends it; to run a part of a sweep, set a key of its grid, "
            "as in run.seed=0",
        )
    for place, reason in unfit(change):
        raise UsageError(reason, where=f"{said_as(overrides)} {dotted(place)}")
    return change


def overlay(base: Table, change: Table, where: Callable[[Place], str | None]) -> None:
    """Lay what overrides, a variant or a grid say over a base; `where` says where a key of it stands.

    Raises:
        RecipeError: a table of the base would be emptied, which an empty table does not do.
    """
    for key, value in leaves(change):
        place = tuple(key.split("."))
        if value == {} and value_at(base, place):
            raise _changes_nothing(key, where(place))
    merge(base, change)


def _changes_nothing(key: str, where: str | None) -> RecipeError:
    return RecipeError(
        f"the empty table {key!r} changes nothing",
        where=where,
        mend='set keys of the table; to take inherited ones out, extend the recipe and write without = ["…"]',
    )


def _override(text: str, word: str) -> Table:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[\w:/-]+(\.[\w:/-]+)*", key):
        raise UsageError(
            f"cannot read the override {shown(text)}", where=word, mend="write key.of.table=value, as in run.seed=1"
        )
    parts = key.split(".")
    try:
        parsed = parse(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string: shells eat the quotes that TOML wants
    except ValueError as error:
        raise UsageError(f"cannot read the override {shown(text)}", where=word, why=error) from None
    if len(parts) > DEEPEST:
        raise UsageError(f"cannot read the override {shown(text)}", where=word, why="no key has so many parts")
    for part in reversed(parts):
        parsed = {part: parsed}
    return parsed


#: Keys by which a translator takes over another's table, in words, and what it leaves of that.
_MODELS = (
    ("like", "like", frozenset[str]()),
    ("average_of", "an average of", frozenset({"discriminator", "judges", "optimizer", "shown"})),
)


def _resolve_likes(table: Table, origins: Origins) -> None:
    """`like = "ROLE"` in a translator stands for that role's table, with what follows laid over it, and `average_of`
    for what of the table is not of training."""
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


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value


__all__ = ["dump_recipe", "load_recipe", "located", "recipe_from_table"]
