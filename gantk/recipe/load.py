"""From a TOML file and overrides to a validated recipe, and back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from gantk.errors import RecipeError, UsageError, nearest
from gantk.recipe.locate import where
from gantk.recipe.model import (
    DataSettings,
    LossSettings,
    MapSettings,
    OptimizerSettings,
    Recipe,
    TransformSettings,
)
from gantk.recipe.schema import keys_at, place_of

Table = dict[str, Any]
Locate = Callable[[Sequence[str]], str | None]
"""From the parts of a key to `file:line`."""

#: What a recipe's file says of itself and of its runs; no key of a run.
FILE_KEYS = ("extends", "without", "variants", "sweep", "reference")
#: Where keys stand that are no run's.
PLACES = dict.fromkeys(FILE_KEYS, "at the top of a recipe") | {
    "without": "beside extends",
    "reference": "at the top of a recipe with [variants.NAME] or [sweep]",
    "label": "in [variants.NAME]",
    "report": "in [variants.NAME]",
}


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, with its parents (`extends`) below it and `a.b=1` overrides above it.

    Raises:
        RecipeError: the file cannot be read, or a key, type or value is wrong.
        UsageError: an override is not of the form `key=value`, or of a key that only a file can say.
    """
    path = Path(path)
    table = fold(chain(path))
    merge(table, recipe_change(overrides))
    return recipe_from_table(table, path)


def recipe_from_table(
    table: Table, path: Path | None = None, locate: Locate | None = None, also: Collection[str] = ()
) -> Recipe:
    """Validate a table as a recipe; what makes it a sweep is left out.

    Args:
        table: the recipe's keys.
        path: its file, which errors name.
        locate: says where a key stands, for a table that is not of one file.
        also: keys that were understood before, for hints at a misspelt one.
    """
    locate = locate or _in_file(path)
    of_sweep = ("variants", "sweep", "reference") if {"variants", "sweep"} & table.keys() else ()
    table = {key: value for key, value in table.items() if key not in ("extends", *of_sweep)}
    _resolve_likes(table, locate)
    _resolve_words(table)
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise _explain(error, table, locate, (*FILE_KEYS, *also)) from None
    _check_measured(recipe, locate)
    return recipe


def _check_measured(recipe: Recipe, locate: Locate) -> None:
    """Something must be measured, and some translator make it."""
    known = {"missing": recipe.data.inputs, "targets": recipe.data.targets}
    for key, names in known.items():
        for name in getattr(recipe.evaluation, key) or ():
            if name not in names:
                kind = "input" if key == "missing" else "target"
                raise RecipeError(
                    f"evaluation.{key} names {name!r}, which is no {kind}",
                    where=locate(("evaluation", key)),
                    mend=nearest(name, names),
                )
    shown = set(recipe.data.inputs) - set(recipe.evaluation.missing)
    trivial = [name for name in recipe.measured or recipe.data.targets if name in shown]
    if trivial:
        name = trivial[0]
        raise RecipeError(
            f"the target {name!r} is also an input",
            where=locate(("data", "target")),
            mend=f"hide it at test with evaluation.missing = [{name!r}], or name another target",
        )
    if not recipe.answering:
        raise RecipeError(
            f"no translator gives {', '.join(recipe.measured)}, which is to be measured",
            where=locate(("translators",)),
            mend="say with evaluation.targets what is to be measured",
        )


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as TOML; loading it gives an equal recipe."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json")))


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise RecipeError("no such recipe", where=path, mend=nearest(path.name, near)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError("the recipe cannot be read", where=path, why=error) from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError("the recipe is not valid TOML", where=path, why=error) from None


def chain(path: Path) -> list[tuple[Path, Table]]:
    """A recipe's file and, after it, the files that it extends, each with its content."""
    files: list[tuple[Path, Table]] = []
    while True:
        if path.resolve() in [file.resolve() for file, _ in files]:
            raise RecipeError("recipes extend one another in a circle", where=path)
        table = _read(path)
        parent = table.pop("extends", None)
        files.append((path, table))
        if parent is None:
            return files
        if not isinstance(parent, str):
            raise RecipeError("`extends` must be the path of one recipe", where=path)
        path = path.parent / parent


def fold(files: Sequence[tuple[Path, Table]]) -> Table:
    """The files of a chain laid over one another, the last at the bottom."""
    base: Table = {}
    for number, (path, table) in enumerate(reversed(files)):
        if number:
            leave_out(base, table.get("without", []), path)
        merge(base, {key: value for key, value in table.items() if key != "without" or not number})
    return base


def leave_out(base: Table, keys: Any, path: Path, place: tuple[str, ...] = ()) -> None:
    """Take inherited keys out; `path` and `place` say where they are listed."""
    if not isinstance(keys, list):
        raise RecipeError("`without` must be a list of keys", where=_where(path, (*place, "without")))
    for key in keys:
        _remove(base, key, path, place)


def _remove(base: Table, key: str, path: Path, place: tuple[str, ...] = ()) -> None:
    """Take an inherited key or table out: `without = ["losses.NAME"]`."""
    *tables, last = str(key).split(".")
    for table in tables:
        base = base.get(table, {}) if isinstance(base, dict) else {}
    if not isinstance(base, dict) or last not in base:
        raise RecipeError(
            f"cannot leave out {key!r}: the parent has no such key",
            where=_where(path, (*place, "without")),
            mend=nearest(last, base if isinstance(base, dict) else ()),
        )
    del base[last]


# Keys that belong to the table itself, whatever component it names.
_OWN_KEYS = {
    "data": set(DataSettings.model_fields),
    "losses": set(LossSettings.model_fields),
    "maps": set(MapSettings.model_fields),
    "transforms": set(TransformSettings.model_fields),
}

_OPTIMIZER_KEYS = set(OptimizerSettings.model_fields)


def merge(base: Table, change: Mapping[str, Any], place: tuple[str, ...] = ()) -> None:
    """Lay `change` over `base`, table by table.

    A table that names another component than before starts afresh: the former component's parameters go.
    """
    selector = "dataset" if place == ("data",) else "use"
    if selector in change and selector in base and change[selector] != base[selector]:
        own = _OPTIMIZER_KEYS if place[-1:] == ("optimizer",) else _OWN_KEYS.get(place[0], set()) if place else set()
        for key in [key for key in base if key not in own]:
            del base[key]
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value, (*place, key))
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def change_of(overrides: Sequence[str]) -> Table:
    """The overrides as one change, in whatever order: `x.epochs=3` and `x.use=y` belong together."""
    change: Table = {}
    for override in overrides:
        merge(change, _override(override))
    return change


def recipe_change(overrides: Sequence[str]) -> Table:
    """The overrides as one change of a recipe.

    Raises:
        UsageError: one is not of the form `key=value`, or of a key that only a file can say.
    """
    change = change_of(overrides)
    for key, _ in leaves({key: value for key, value in change.items() if key in FILE_KEYS}):
        raise UsageError(
            f"{key!r} cannot be set",
            where="--set",
            why="only a recipe's file says what it extends and which runs it describes",
            mend="write it in the file, or in one that extends it; to run a part of a sweep, set a key of its grid, "
            "as in run.seed=0",
        )
    return change


def leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys of a table with their values; an empty table is a value."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _override(text: str) -> Table:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        raise UsageError(
            f"cannot read the override {text!r}", where="--set", mend="write key.of.table=value, as in run.seed=1"
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string: shells eat the quotes that TOML wants
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    return parsed


def _resolve_likes(table: Table, locate: Locate) -> None:
    """`like = "ROLE"` in a translator stands for that role's table, with what follows laid over it."""
    translators = table.get("translators")
    if not isinstance(translators, dict):
        return
    resolved: Table = {}
    for role, settings in translators.items():
        if isinstance(settings, dict) and "like" in settings:
            model = settings["like"]
            if model not in resolved:
                raise RecipeError(
                    f"translators.{role} is like {model!r}, which is no translator above it",
                    where=locate(("translators", role, "like")),
                    mend=nearest(str(model), resolved),
                )
            merged = _copy(resolved[model])
            merge(merged, {k: v for k, v in settings.items() if k != "like"}, ("translators", role))
            resolved[role] = merged
        else:
            resolved[role] = settings
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
    if isinstance(evaluation, dict) and isinstance(evaluation.get("baselines"), list) and names["inputs"]:
        first = f"input:{names['inputs'][0]}"
        evaluation["baselines"] = [first if name == "input" else name for name in evaluation["baselines"]]


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def _explain(error: ValidationError, table: Table, locate: Locate, also: Collection[str]) -> RecipeError:
    """The first problem of a validation, in a researcher's words; `also`: more keys at the top."""
    problem = error.errors()[0]
    place = place_of(Recipe, problem["loc"])
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        if len(place) == 1 and key in PLACES:
            return RecipeError(f"{key!r} does not belong here", where=locate(place), mend=f"write it {PLACES[key]}")
        known = {*keys_at(Recipe, place[:-1]), *(also if len(place) == 1 else ())}
        return RecipeError(f"unknown key {key!r}", where=locate(place), mend=nearest(place[-1], known))
    if problem["type"] == "missing":
        return RecipeError(f"the key {key!r} is missing", where=locate(place[:-1]), mend=_completion(place, table))
    reason = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = "" if isinstance(given, (dict, BaseModel)) else f" (it is {given!r})"
    return RecipeError(f"{key or 'the recipe'}{shown}: {reason}", where=locate(place))


def _completion(place: tuple[str, ...], table: Table) -> str | None:
    """What may have been meant by a table that lacks a key: among tables by name, perhaps one of another name."""
    if len(place) != 3:
        return None
    group, name, key = place
    others = [other for other in table[group] if other != name]
    change = f"; or, to change one that is there, {nearest(name, others)}" if others else ""
    return f'write {key} = "…" in [{group}.{name}]{change}'


def located(error: RecipeError, path: str | Path | None) -> RecipeError:
    """The error with `file:line` before the key that it is about."""
    if path is None or error.where is None:
        return error
    place = where(Path(path), error.where.split("."))
    return type(error)(error.what, where=f"{place}: {error.where}", why=error.why, mend=error.mend)


def _where(path: Path | None, place: Sequence[str]) -> str | None:
    return None if path is None else where(path, place)


def _in_file(path: Path | None) -> Locate:
    return lambda place: _where(path, place)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value


__all__ = ["dump_recipe", "load_recipe", "located", "recipe_from_table"]
