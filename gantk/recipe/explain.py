"""Explanations of validation errors of recipes in plain words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gantk.errors import RecipeError, nearest
from gantk.recipe.model import Recipe
from gantk.recipe.origin import Origins
from gantk.recipe.schema import annotation_at, doc_of, keys_at
from gantk.recipe.toml import Table, dotted, shown

__all__ = ["FILE_KEYS", "explain"]

#: Keys of a recipe's file that are no keys of a run.
FILE_KEYS = ("extends", "without", "variants", "sweep", "reference")
#: Where to write keys that are no keys of a run.
PLACES = dict.fromkeys(FILE_KEYS, "at the top of a recipe") | {
    "without": "beside extends",
    "reference": "at the top of a recipe with [variants.NAME] or [sweep]",
    "label": "in [variants.NAME]",
    "report": "in [variants.NAME]",
}

#: Replacements of pydantic's messages.
WORDS = {
    "bool_type": "true or false is expected",
    "dict_type": "a table is expected",
    "list_type": "a list is expected",
    "model_type": "a table is expected",
    "string_type": "a text is expected",
    "too_short": "at least one is expected",
    "tuple_type": "a list is expected",
}


#: Names that pydantic inserts into a path for the member of a union that it tried; not keys of a recipe.
_TRIED = {"SplitSettings", "literal['none']"}
#: Beginnings of such names: tables with their own validator, and values with several possible types.
_OF_TYPES = ("function-after[", "constrained-", "tuple[")


def explain(error: ValidationError, table: Table, origins: Origins, also: Collection[str]) -> RecipeError:
    """Explain the first problem of a validation.

    Args:
        error: pydantic's error.
        table: the validated table.
        origins: the files and lines of the table's keys.
        also: known top-level keys besides the recipe's.
    """
    problem = _first(error)
    parts = tuple(part for part in problem["loc"] if part not in _TRIED and not str(part).startswith(_OF_TYPES))
    place, given = _given(table, parts)
    words = re.findall(r"'([^']*)'", str(problem.get("ctx", {}).get("expected", "")))
    if problem["type"] == "extra_forbidden":
        return _unknown(place, origins, {*keys_at(Recipe, place[:-1]), *(also if len(place) == 1 else ())})
    if parts[-1:] == ("[key]",) and words:
        return _unknown(place, origins, words)
    if problem["type"] == "missing" and isinstance(given, Mapping):
        missing = (*place, str(parts[-1]))
        return RecipeError(
            f"the key {dotted(missing)!r} is missing", where=origins.where(place), mend=_completion(missing, table)
        )
    reason = WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    value = "" if parts[-1:] == ("[key]",) or isinstance(given, Mapping) else f" (it is {shown(given)})"
    inside = parts[len(place) :]
    if isinstance(given, list) and len(inside) > 1:
        reason = f"{dotted(tuple(map(str, inside[1:])))!r} of number {int(inside[0]) + 1}: {reason}"
    elif isinstance(given, list) and problem["type"] in ("missing", "too_long") and (size := _size(place)):
        reason = f"{size} values are expected"
    close = nearest(problem["input"], words) if words and isinstance(problem["input"], str) else ""
    return RecipeError(
        reason,
        where=f"{origins.name(place, dotted(place) or 'the recipe')}{value}",
        why=doc_of(Recipe, place),
        mend=close if close.startswith("did") else None,
    )


def _first(error: ValidationError) -> ErrorDetails:
    """The problem to report. If a key may have several types, the problem is that of a value with one of them. If a
    table lacks a key and has an unknown key, the unknown key is reported, because it may be a misspelling."""
    first, *others = error.errors()
    beside = [other for other in others if other["loc"][: len(first["loc"]) - 1] == first["loc"][:-1]]
    if first["type"] == "missing":
        beside = [other for other in beside if other["type"] == "extra_forbidden"]
    elif first["type"].endswith("_type"):
        beside = [other for other in beside if not other["type"].endswith("_type")]
    else:
        beside = []
    return next(iter(beside), first)


def _unknown(place: tuple[str, ...], origins: Origins, known: Collection[str]) -> RecipeError:
    key, where = dotted(place), origins.where(place)
    if len(place) == 1 and key in PLACES:
        return RecipeError(f"{key!r} does not belong here", where=where, mend=f"write it {PLACES[key]}")
    return RecipeError(f"unknown key {key!r}", where=where, mend=nearest(place[-1], known))


def _given(table: Table, parts: Sequence[str | int]) -> tuple[tuple[str, ...], Any]:
    """The key with the problem, and its value; for an item of a list the whole list, without pydantic's names."""
    place: list[str] = []
    value: Any = table
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            break
        place.append(str(part))
        value = value[part]
    return tuple(place), value


def _size(place: Sequence[str]) -> int:
    """The length of the list at a path; 0 if the length is not fixed."""
    arguments = get_args(annotation_at(Recipe, place))
    return 0 if Ellipsis in arguments else len(arguments)


def _completion(place: tuple[str, ...], table: Table) -> str | None:
    """A suggestion for a table that lacks a key: in tables by name, a similar name may have been meant."""
    if len(place) != 3:
        return None
    group, name, key = place
    others = [other for other in table[group] if other != name]
    change = f"; or, to change one that is there, {nearest(name, others)}" if others else ""
    return f'write {key} = "…" in [{dotted((group, name))}]{change}'
