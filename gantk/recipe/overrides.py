"""Overrides of a recipe: `key.of.table=value` from the command line, or values by dotted key from Python."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from gantk.errors import UsageError
from gantk.recipe.dotted import leaves
from gantk.recipe.explain import FILE_KEYS
from gantk.recipe.merge import merge, nested
from gantk.recipe.toml import DEEPEST, Table, dotted, parse, shown, unfit

__all__ = ["Changes", "SetOptions", "change_of", "recipe_change", "said_as"]

Changes = Sequence[str] | Mapping[str, Any]
"""What is laid over a recipe: `key.of.table=value`, or values by dotted key."""


class SetOptions(tuple[str, ...]):
    """Overrides that were written as `--set` at a command line, so that errors say so."""

    __slots__ = ()


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
            why="only a recipe's file can set what it extends and which runs it describes",
            mend="set it in the file, or in a file that extends it; to run a part of a sweep, set a key of its grid, "
            "such as run.seed=0",
        )
    for place, reason in unfit(change):
        raise UsageError(reason, where=f"{said_as(overrides)} {dotted(place)}")
    return change


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
