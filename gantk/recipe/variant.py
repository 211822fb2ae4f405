"""A variant: a named set of changes over a base, and its runs at the points of a grid."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, nearest
from gantk.recipe.child import NAMED, SEED, Child, identify, shown
from gantk.recipe.dotted import at, merged, nested
from gantk.recipe.load import FILE_KEYS, Table, chain, fold, leave_out, leaves, merge, recipe_from_table
from gantk.recipe.locate import find, where
from gantk.recipe.rows import Rows, read_rows

__all__ = ["Variant", "read_axes", "recipe_keys"]

#: A variant's own keys; every other one is the recipe's.
OWN = {"label", "report", "extends", "without", "sweep"}


class Variant:
    """One variant: what it says, and over which base."""

    def __init__(self, path: Path, sweep: str, name: str, said: Any, table: Table, body: Table) -> None:
        self.path, self.sweep, self.name = path, sweep, name
        self.place = ("variants", name)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise RecipeError(
                "a variant cannot be called so",
                where=where(path, self.place),
                mend="use letters, digits, `_`, `.` and `-`, and give it a label",
            )
        if not isinstance(said, Mapping):
            raise RecipeError("it must be a table", where=where(path, self.place))
        self.label = self._own(said, "label", name)
        self.report = self._rows(said.get("report", []))
        self.axes = read_axes(said.get("sweep", {}), path, (*self.place, "sweep"), may_be_empty=True)
        self.base_path = path
        if extends := self._own(said, "extends", ""):
            self.base_path = Path(extends)
            self.base = merged(recipe_keys(fold(chain(self.base_path))), {})
        else:
            self.base = copy.deepcopy(table)
        leave_out(self.base, said.get("without", []), path, self.place)
        if extends:
            merge(self.base, copy.deepcopy(body))
        self.change = nested({key: value for key, value in said.items() if key not in OWN})
        self._check_names()

    @property
    def where_named(self) -> str:
        """Where its label stands; without one, where it begins."""
        return where(self.path, (*self.place, "label"))

    def _own(self, said: Mapping[str, Any], key: str, default: str) -> str:
        value = said.get(key, default)
        if not isinstance(value, str):
            raise RecipeError(f"{key} must be text, it is {value!r}", where=where(self.path, (*self.place, key)))
        return value

    def _rows(self, said: Any) -> Rows:
        try:
            return read_rows(said)
        except ValueError as error:
            raise RecipeError(f"report {error}", where=where(self.path, (*self.place, "report"))) from None

    def _check_names(self) -> None:
        """A change of a term that is not there would make half a new one."""
        for kind in NAMED:
            there = self.base.get(kind, {})
            for name, settings in self.change.get(kind, {}).items():
                if not isinstance(settings, Mapping):
                    continue  # validation says what it must be
                if name not in there and not {"use", "generator", "like"} & settings.keys():
                    raise RecipeError(
                        f"there is no '{kind}.{name}' to change",
                        where=self.locate([kind, name, *next(leaves(settings), ("", 0))[0].split(".")]),
                        mend=nearest(name, there),
                    )

    def children(self, grid: Mapping[str, list[Any]], fixed: Table) -> Iterator[Child]:
        """The variant at every point of the grid."""
        axes = {key: self.axes.get(key, values) for key, values in grid.items()} | self.axes
        axes = {key: values for key, values in axes.items() if values}
        for key in axes:
            if at(self.change, key, None) is not None:
                raise RecipeError(
                    f"it sets {key}, which the grid sets too",
                    where=self.locate(key.split(".")),
                    mend=f'give it its own values: sweep = {{ "{key}" = […] }}',
                )
        for values in itertools.product(*axes.values()):
            yield self._child(dict(zip(axes, values, strict=True)), fixed)

    def _child(self, changes: dict[str, Any], fixed: Table) -> Child:
        change = copy.deepcopy(self.change)
        merge(change, copy.deepcopy(fixed))
        merge(change, nested(changes))
        title = ", ".join([self.label, *(shown(key, value) for key, value in changes.items() if key != SEED)])
        table = merged(self.base, change) | {"name": f"{self.sweep}-{self.name}", "description": title}
        recipe = recipe_from_table(table, locate=self.locate, also=OWN)
        for role in self.report:
            if role not in recipe.evaluated:
                raise RecipeError(
                    f"it reports {role!r}, which is not evaluated",
                    where=where(self.path, (*self.place, "report", role)),
                    mend=nearest(role, recipe.evaluated),
                )
        report = self.report or {recipe.predict_role: ""}
        return Child(identify(self.name, changes, recipe), self.name, changes, title, report, recipe, self.locate)

    def locate(self, place: Sequence[str]) -> str:
        """`file:line` of a key: in the variant, in its grid or the common one, or in what it extends."""
        best, most = where(self.path, self.place), 0
        inline = ((*self.place, "sweep"), ".".join(place) in self.axes)
        prefixes: list[tuple[str, ...]] = [(*self.place, "sweep"), ("sweep",)]
        if not place or place[0] not in OWN:  # the variant's own key of that name is another
            prefixes.insert(0, self.place)
        for prefix in prefixes:
            found, depth = find(self.path, (*prefix, *place))
            if depth - len(prefix) > most:
                best, most = found, depth - len(prefix)
        found, depth = find(self.base_path, place)
        if depth > most:
            best, most = found, depth
        return where(self.path, inline[0]) if inline[1] and most < len(place) else best


def read_axes(table: Any, path: Path, place: tuple[str, ...], *, may_be_empty: bool = False) -> dict[str, list[Any]]:
    """A grid's keys, dotted, with their values."""
    if not isinstance(table, Mapping):
        raise RecipeError("a sweep is a table of keys with lists of values", where=where(path, place))
    axes: dict[str, list[Any]] = {}
    for key, values in leaves(table):
        there = where(path, (*place, *key.split(".")))
        if not isinstance(values, list) or not (values or may_be_empty):
            raise RecipeError(f"the grid's {key} must be a list of values, it is {values!r}", where=there)
        if any(value in values[:number] for number, value in enumerate(values)):
            raise RecipeError(f"the grid's {key} has a value twice", where=there)
        axes[key] = values
    return axes


def recipe_keys(table: Mapping[str, Any]) -> Table:
    return {key: value for key, value in table.items() if key not in FILE_KEYS}
