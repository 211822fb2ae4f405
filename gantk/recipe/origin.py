"""Where each key of a recipe comes from, for error messages: the line of a file, an override, a grid.

A recipe is a stack of sources, each laid over those below it. What an error is about was said by the source that has
most of its key; of several, by the topmost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from gantk.errors import GantkError
from gantk.recipe.locate import at
from gantk.recipe.toml import Table, dotted

__all__ = ["File", "Grid", "Origins", "Overrides", "Place", "Source"]

Place = tuple[str, ...]
"""The parts of a dotted key."""
Error = TypeVar("Error", bound=GantkError)


class Source(Protocol):
    """What one file, or all overrides, say of a recipe."""

    @property
    def table(self) -> Table:
        """The keys that it says."""
        ...

    def where(self, place: Place) -> str:
        """How people find one of its keys."""
        ...


@dataclass(frozen=True)
class File:
    """A file, or one of its tables."""

    path: Path
    table: Table
    below: Place = ()
    """Where in the file the table stands."""

    def where(self, place: Place) -> str:
        """`file:line`."""
        return at(self.path, (*self.below, *place))


@dataclass(frozen=True)
class Overrides:
    """What `--set` says, or `overrides` of the API; `word` is what errors call it."""

    table: Table
    word: str

    def where(self, place: Place) -> str:
        """`--set` with the key that was given."""
        return f"{self.word} {dotted((*place, *_first_leaf(self.table, place)))}"


@dataclass(frozen=True)
class Origins:
    """The sources of a recipe, the topmost first. They do not count in comparisons of recipes: all are equal."""

    sources: Sequence[Source] = field(default=(), compare=False)

    def where(self, place: Sequence[str]) -> str | None:
        """How people find a key, or the nearest table around it; None if no file or override sets it."""
        return self._find(tuple(place))[0]

    def name(self, place: Sequence[str], key: str) -> str:
        """`file:line: key` or `--set key`."""
        where = self.where(place)
        if where is None or not key:
            return where or key
        return where if where.endswith((f" {key}", f'"{key}"')) else f"{where}: {key}"

    def latest(self, *keys: str) -> str:
        """The dotted key that was set last, of keys that do not agree; the first key if one source set them all."""
        for source in self.sources:
            for key in keys:
                place = tuple(key.split("."))
                if _reach(source.table, place) == len(place):
                    return key
        return keys[0]

    def locate(self, error: Error) -> Error:
        """The error, with the place of the key that it is about; unchanged if no source has the key."""
        place = tuple((error.where or "").split("."))
        where, depth = self._find(place)
        if error.where is None or where is None or not depth:
            return error
        return type(error)(
            error.what, where=self.name(place, error.where), why=error.why, mend=error.mend, command=error.command
        )

    def _find(self, place: Place) -> tuple[str | None, int]:
        depths = [_reach(source.table, place) for source in self.sources]
        deepest = max(depths, default=0)
        if deepest:
            return self.sources[depths.index(deepest)].where(place[:deepest]), deepest
        file = next((source for source in self.sources if isinstance(source, File)), None)
        return (None if file is None else file.where(())), 0


@dataclass(frozen=True)
class Grid:
    """A point of a sweep's grid."""

    table: Table
    axes: Mapping[str, Place]
    """By dotted key, the table that its values stand in."""
    files: Origins
    """The files of the sweep."""

    def where(self, place: Place) -> str:
        """`file:line` of the grid's values, and their key."""
        found = ".".join((*place, *_first_leaf(self.table, place)))
        key = next(key for key in self.axes if found == key or found.startswith(f"{key}."))
        line = self.files.where((*self.axes[key], *key.split(".")))
        return f'{line}: {".".join(self.axes[key])}."{key}"'


def _reach(table: object, place: Place) -> int:
    """How many parts of a place lead into a table; its own keys may be dotted."""
    if not isinstance(table, Mapping):
        return 0
    for length in range(len(place), 0, -1):
        key = ".".join(place[:length])
        if key in table:
            return length + _reach(table[key], place[length:])
    return 0


def _first_leaf(table: Table, place: Place) -> Place:
    """What leads from a place to the first value below it."""
    inner: object = table
    for part in place:
        inner = inner[part] if isinstance(inner, Mapping) else None
    found: Place = ()
    while isinstance(inner, Mapping) and inner:
        part = next(iter(inner))
        found, inner = (*found, part), inner[part]
    return found
