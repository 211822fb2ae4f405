"""TOML for recipes: UTF-8 text, and the values that a run can use and record."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, nearest

__all__ = ["DEEPEST", "Table", "dotted", "parse", "read", "read_text", "shown", "unfit"]

Table = dict[str, Any]

#: Bytes of the largest file that may be a recipe.
LARGEST = 2**20
#: Tables and lists within one another.
DEEPEST = 32


def read(path: Path) -> Table:
    """The content of a recipe's file.

    Raises:
        RecipeError: there is no such file, it cannot be read, or it is no TOML.
    """
    text = read_text(path)
    try:
        return parse(text)
    except ValueError as error:
        raise RecipeError("the recipe is not valid TOML", where=path, why=error) from None


def read_text(path: Path) -> str:
    """The text of a recipe's file; a byte-order mark at its head, which editors on Windows write, is passed over.

    Raises:
        RecipeError: there is no such file, it cannot be read, or it is no text in UTF-8.
    """
    try:
        if path.is_dir():
            raise RecipeError(
                "the recipe cannot be read", where=path, why="it is a folder", mend="name a recipe, a TOML file"
            )
        if path.exists() and not path.is_file():
            raise RecipeError("the recipe cannot be read", where=path, why="it is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        mend = nearest(path.name, near) if near else "name a TOML file, or a recipe that `gantk recipes` lists"
        raise RecipeError("no such recipe", where=path, mend=mend) from None
    except (OSError, ValueError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else error
        raise RecipeError("the recipe cannot be read", where=repr(str(path)), why=why) from None
    if len(content) > LARGEST:
        raise RecipeError(
            "the recipe cannot be read", where=path, why="it is larger than a megabyte, so it is not a recipe"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without a mark is valid UTF-8
        raise RecipeError(
            "the recipe cannot be read", where=path, why="it is not text in UTF-8", mend="save it as UTF-8"
        )
    return text


def parse(text: str) -> Table:
    """A TOML document.

    Raises:
        ValueError: it is none, or is nested deeper than any recipe.
    """
    too_deep = f"tables and lists are nested more than {DEEPEST} deep"
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError(too_deep) from None
    level: list[Any] = [table]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(too_deep)
    return table


def dotted(place: Sequence[str]) -> str:
    """A key in TOML, shortened if it is too long."""
    return ".".join(part if re.fullmatch(r"[\w-]{1,64}", part) else _cut(json.dumps(part)) for part in place)


def shown(value: Any) -> str:
    """A value in a message, shortened if it is too long."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:60]}…{text[-20:]}"


def unfit(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The places of values that TOML has and no recipe can have, each with the reason."""
    for key, value in table.items():
        if reason := _unfit_text(key):
            yield (key,), f"its name {reason}"
        elif isinstance(value, Mapping):
            yield from (((key, *place), reason) for place, reason in unfit(value))
        else:
            yield from (((key,), reason) for reason in _unfit_values(value))


def _unfit_values(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _unfit_values(item)
    elif isinstance(value, Mapping):
        yield from (reason for _, reason in unfit(value))
    elif isinstance(value, str):
        if reason := _unfit_text(value):
            yield f"the text {reason}"
    elif isinstance(value, float):
        if math.isnan(value):
            yield "nan is not a number"
    elif isinstance(value, int):  # true and false too
        if not -(2**63) <= value < 2**63:
            yield "the number has more than 64 bits"
    elif isinstance(value, date | time):
        yield "a recipe has no dates and times; quote it if it is text"


def _unfit_text(text: str) -> str | None:
    return "cannot be written in UTF-8" if any("\ud800" <= sign <= "\udfff" for sign in text) else None


def _inside(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict | list)]
