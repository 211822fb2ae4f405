"""A variant: a named set of changes to a base recipe, and its runs at the points of a grid."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, nearest
from gantk.names import check_id
from gantk.recipe.child import SEED, Child, identify, shown
from gantk.recipe.dotted import leaves, value_at
from gantk.recipe.explain import FILE_KEYS
from gantk.recipe.load import chain, recipe_from_table
from gantk.recipe.merge import NAMED, fold, leave_out, merge, nested, overlay
from gantk.recipe.origin import File, Grid, Origins, Overrides, Source
from gantk.recipe.rows import Rows, read_rows
from gantk.recipe.toml import Table
from gantk.recipe.toml import shown as brief

__all__ = ["MOST", "Variant", "read_axes", "recipe_keys", "too_many"]

#: The largest number of runs of a sweep.
MOST = 10_000

#: A variant's own keys; all other keys are the recipe's.
OWN = {"label", "report", "extends", "without", "sweep"}


class Variant:
    """One variant: its changes and its base recipe.

    Args:
        name: of the variant.
        said: its table in the recipe.
        sweep: the sweep's name.
        files: the files that describe the sweep, the topmost first; each may set keys of the variant.
        own: the files that the variant's own `extends` does not replace.
    """

    def __init__(self, name: str, said: Any, sweep: str, files: Sequence[File], own: Sequence[File]) -> None:
        self.sweep, self.name = sweep, name
        self.files, self.place = Origins(files), ("variants", name)
        try:
            check_id(name)
        except ValueError as error:
            raise RecipeError(
                "this is not a valid name of a variant",
                where=self._where(),
                why=error,
                mend="choose another name, and set the name for tables as the variant's label",
            ) from None
        if not isinstance(said, Mapping):
            raise RecipeError("a variant must be a table", where=self._where())
        self.label = self._text(said, "label", name)
        self.report = self._rows(said.get("report", []))
        self.axes = read_axes(said.get("sweep", {}), self.files, (*self.place, "sweep"), may_be_empty=True)
        extends = self._text(said, "extends", "")
        below = chain(Path(extends)) if extends else files
        self.base = recipe_keys(fold(below))
        leave_out(self.base, said.get("without", []), self._where("without"))
        if extends:
            for file in reversed(own):
                merge(self.base, recipe_keys(file.table))
            below = [*own, *below]
        self.change = _change(said)
        changes = [(file, file.table.get("variants", {}).get(name)) for file in files]
        mine = [File(file.path, _change(one), self.place) for file, one in changes if isinstance(one, Mapping)]
        self.sources: tuple[Source, ...] = (*mine, *(File(file.path, recipe_keys(file.table)) for file in below))
        self._check_names()

    @property
    def where_named(self) -> str | None:
        """The place of its label; without a label, of its table."""
        return self._where("label")

    def _where(self, *place: str) -> str | None:
        return self.files.where((*self.place, *place))

    def _text(self, said: Mapping[str, Any], key: str, default: str) -> str:
        value = said.get(key, default)
        if not isinstance(value, str):
            raise RecipeError(f"{key} must be text, it is {brief(value)}", where=self._where(key))
        return value

    def _rows(self, said: Any) -> Rows:
        try:
            return read_rows(said)
        except ValueError as error:
            raise RecipeError(f"report {error}", where=self._where("report")) from None

    def _check_names(self) -> None:
        """Check that changed terms exist; a change of a missing term would create an incomplete one."""
        for kind in NAMED:
            there, changes = self.base.get(kind, {}), self.change.get(kind, {})
            if not isinstance(there, Mapping) or not isinstance(changes, Mapping):
                continue  # validation reports the expected type
            for name, settings in changes.items():
                if not isinstance(settings, Mapping):
                    continue
                if name not in there and not {"use", "generator", "like"} & settings.keys():
                    raise RecipeError(
                        f"there is no '{kind}.{name}' to change",
                        where=self._where(kind, name, *next(leaves(settings), ("", 0))[0].split(".")),
                        mend=nearest(name, there),
                    )

    def over(self, grid: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The variant's grid: the sweep's grid, with the variant's own axes in place of the sweep's."""
        axes = {key: self.axes.get(key, values) for key, values in grid.items()} | self.axes
        return {key: values for key, values in axes.items() if values}

    def children(self, grid: Mapping[str, list[Any]], fixed: Table, word: str) -> Iterator[Child]:
        """The runs of the variant, one at every point of the grid."""
        axes = self.over(grid)
        for key in axes:
            if value_at(self.change, key) is not None:
                raise RecipeError(
                    f"it sets {key}, which the grid also sets",
                    where=self._where(*key.split(".")),
                    mend=f'set the values for this variant: sweep = {{ "{key}" = […] }}',
                )
        for values in itertools.product(*axes.values()):
            yield self._child(dict(zip(axes, values, strict=True)), fixed, word)

    def _child(self, changes: dict[str, Any], fixed: Table, word: str) -> Child:
        axes = {key: (*self.place, "sweep") if key in self.axes else ("sweep",) for key in changes}
        point = nested(changes)
        origins = Origins((Grid(point, axes, self.files), Overrides(fixed, word), *self.sources))
        table = copy.deepcopy(self.base)
        for change in (self.change, fixed, point):
            overlay(table, change, origins.where)
        title = ", ".join([self.label, *(shown(key, value) for key, value in changes.items() if key != SEED)])
        table |= {"name": f"{self.sweep}-{self.name}", "description": title}
        recipe = recipe_from_table(table, origins, also=OWN)
        for role in self.report:
            if role not in recipe.evaluated:
                raise RecipeError(
                    f"it reports {role!r}, which is not evaluated",
                    where=self._where("report", role),
                    mend=nearest(role, recipe.evaluated),
                )
        report = self.report or {recipe.predict_role: ""}
        return Child(identify(self.name, changes, recipe), self.name, changes, title, report, recipe)


def read_axes(
    table: Any, files: Origins, place: tuple[str, ...], *, may_be_empty: bool = False
) -> dict[str, list[Any]]:
    """A grid's keys, dotted, with their values."""
    if not isinstance(table, Mapping):
        raise RecipeError("sweep must be a table of dotted keys, each with a list of values", where=files.where(place))
    axes: dict[str, list[Any]] = {}
    for key, values in leaves(table):
        there = (*place, *key.split("."))
        if not isinstance(values, list) or not (values or may_be_empty):
            raise RecipeError(
                f"the grid's {key} must be a list of values, it is {brief(values)}", where=files.where(there)
            )
        if len(values) > MOST:
            raise too_many(len(values), files.where(there))
        if any(value in values[:number] for number, value in enumerate(values)):
            raise RecipeError(
                f"the grid repeats a value of {key}", where=files.where(there), mend="remove the repeated value"
            )
        axes[key] = values
    return axes


def too_many(runs: int, where: str | None) -> RecipeError:
    return RecipeError(
        f"the sweep describes {runs:,} runs or more; the maximum is {MOST:,}",
        where=where,
        mend="give the grid fewer values, or write several sweeps",
    )


def _change(said: Mapping[str, Any]) -> Table:
    """The changes of the recipe in a variant's table."""
    return nested({key: value for key, value in said.items() if key not in OWN})


def recipe_keys(table: Mapping[str, Any]) -> Table:
    return {key: value for key, value in table.items() if key not in FILE_KEYS}
