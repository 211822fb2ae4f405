"""From a recipe with `[variants.NAME]` and `[sweep]` to the recipes of its children."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, UsageError, nearest
from gantk.recipe.load import (
    FILE_KEYS,
    Locate,
    Table,
    _merge,
    chain,
    fold,
    leave_out,
    leaves,
    recipe_change,
    recipe_from_table,
)
from gantk.recipe.locate import find, where
from gantk.recipe.model import Recipe
from gantk.recipe.rows import Rows, read_rows, titles

__all__ = ["SEED", "Child", "Sweep", "is_sweep", "load_sweep"]

SEED = "run.seed"
#: What makes a recipe a sweep.
KEYS = ("variants", "sweep")
#: A variant's own keys; every other one is the recipe's.
OWN = {"label", "report", "extends", "without", "sweep"}
#: Tables of things by name, in which a misspelt name would make a new thing.
NAMED = ("translators", "transforms", "maps", "losses")
#: What a child computes does not depend on these.
TOLD = {"name", "description", "tracking"}


@dataclass(frozen=True)
class Child:
    """One run of a sweep.

    Args:
        id: variant, values and 8 hex digits of what it computes: stable, whatever else the sweep contains.
        variant: the variant's name.
        changes: the values of the grid, by key.
        label: how tables call it: the variant's label and the grid's values but the seed.
        report: the roles that become rows of tables, with the rows' names.
        recipe: its own recipe.
        locate: says where a key of the recipe stands.
    """

    id: str
    variant: str
    changes: dict[str, Any]
    label: str
    report: Rows
    recipe: Recipe
    locate: Locate = field(repr=False, compare=False)

    def explain(self, error: RecipeError) -> RecipeError:
        """An error of the recipe's content, with the variant and `file:line` of the key that it is about."""
        place = self.locate((error.where or "").split("."))
        key = f": {error.where}" if error.where else ""
        return _of_variant(self.variant, error, f"{place}{key}")


@dataclass(frozen=True)
class Sweep:
    """A recipe that describes several runs.

    Args:
        path: its file.
        name: of the sweep.
        description: of the sweep.
        table: the recipe as written, after `extends` and overrides.
        children: in the order of tables: variant by variant, the last key of the grid fastest.
        selected: those of them that overrides of the grid's keys leave; all where there are none.
        reference: the row that tables test the others against, by title or label; empty where none is named.
    """

    path: Path
    name: str
    description: str
    table: Table
    children: tuple[Child, ...]
    selected: tuple[Child, ...]
    reference: str = ""


def is_sweep(path: str | Path) -> bool:
    """Whether a recipe, or one that it extends, has variants or a grid.

    Raises:
        RecipeError: a file cannot be read.
    """
    return any(key in table for _, table in chain(Path(path)) for key in KEYS)


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """The product of variants and grid, each child validated.

    A variant's `extends` takes the place of what the sweep's own file extends; what that file itself says is laid
    over it as well. Overrides change every child; one of a key in the grid changes none and selects those that have
    its value.

    Raises:
        RecipeError: the sweep or one of its children is wrong; the variant is named.
        UsageError: an override is not of the form `key=value`, cannot be, or selects no child.
    """
    files = _from_where_written(chain(Path(path)))
    lowest = max((i for i, (_, table) in enumerate(files) if set(KEYS) & table.keys()), default=0)
    table = fold(files)
    fixed = recipe_change(overrides)
    named = _merged(table, fixed).get("name")
    if not isinstance(named, str):
        raise RecipeError("the sweep has no name", where=path, mend='write name = "…" at its top')
    body: Table = {}
    for _, own in reversed(files[: lowest + 1]):
        _merge(body, _recipe_keys(own))
    variants = table.get("variants") or {named: {}}
    if not isinstance(variants, Mapping):
        raise RecipeError("variants must be tables `[variants.NAME]`", where=where(Path(path), ("variants",)))
    grid = _axes(table.get("sweep", {}), Path(path), ("sweep",))
    made: list[_Variant] = []
    for name, said in variants.items():
        with _naming(name):
            made.append(_Variant(Path(path), named, name, said, _recipe_keys(table), body))
    pins, fixed = _parted(fixed, [*grid, *(key for variant in made for key, values in variant.axes.items() if values)])
    children: list[Child] = []
    rows: dict[str, _Variant] = {}
    for variant in made:
        with _naming(variant.name):
            found = list(variant.children(grid, fixed))
        _check_rows(variant, found, rows)
        children += found
    if not children:
        raise RecipeError("the sweep has no children", where=path)
    written = _merged(table, fixed)
    return Sweep(
        Path(path),
        named,
        str(written.get("description", "")),
        written,
        tuple(children),
        _selected(children, pins),
        _reference(table, Path(path)),
    )


def _parted(fixed: Table, keys: Sequence[str]) -> tuple[dict[str, Any], Table]:
    """What overrides say of the grid's keys, and what they say of others."""
    pins = {key: found[0] for key in keys if (found := _at(fixed, key, None))}
    return pins, _nested({key: value for key, value in leaves(fixed) if not any(_is_in(key, pin) for pin in pins)})


def _is_in(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")


def _selected(children: Sequence[Child], pins: Mapping[str, Any]) -> tuple[Child, ...]:
    """The children that have these values, in their grid or, where it lacks a key, in their recipe."""

    def has(child: Child, key: str, value: Any) -> bool:
        own = [child.changes[key]] if key in child.changes else _at(child.recipe.model_dump(mode="json"), key, [])
        return any(one == value and isinstance(one, bool) == isinstance(value, bool) for one in own)

    selected = tuple(child for child in children if all(has(child, *pin) for pin in pins.items()))
    if not selected:
        grids = {key: [child.changes[key] for child in children if key in child.changes] for key in pins}
        known = [f"{key} = {', '.join(dict.fromkeys(map(json.dumps, values)))}" for key, values in grids.items()]
        raise UsageError(
            f"no run of the sweep has {' and '.join(f'{key} = {json.dumps(value)}' for key, value in pins.items())}",
            where="--set",
            mend=f"the grid has {'; '.join(known)}; write another value in the recipe",
        )
    return selected


def _check_rows(variant: _Variant, children: Sequence[Child], rows: dict[str, _Variant]) -> None:
    """No row of tables is also another variant's, values of the grid but the seed included."""
    for child in children:
        changes = sorted((key, value) for key, value in child.changes.items() if key != SEED)
        for title in titles(child.report, variant.label, child.recipe.predict_role):
            other = rows.setdefault(json.dumps([title, changes]), variant)
            if other is not variant:
                raise RecipeError(
                    f"the variants {other.name!r} and {variant.name!r} both make the row {title!r}",
                    where=variant.where_named,
                    why="nobody could tell their rows in a table apart",
                    mend='give one another label, or name its rows with report = { ROLE = "NAME" }',
                )


def _reference(table: Mapping[str, Any], path: Path) -> str:
    reference = table.get("reference")
    if reference is not None and (not isinstance(reference, str) or not reference):
        raise RecipeError(
            f"reference must be text, the title or label of a row of tables, it is {reference!r}",
            where=where(path, ("reference",)),
        )
    return reference or ""


class _Variant:
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
        self.axes = _axes(said.get("sweep", {}), path, (*self.place, "sweep"), may_be_empty=True)
        self.base_path = path
        if extends := self._own(said, "extends", ""):
            self.base_path = Path(extends)
            self.base = _merged(_recipe_keys(fold(chain(self.base_path))), {})
        else:
            self.base = copy.deepcopy(table)
        leave_out(self.base, said.get("without", []), path, self.place)
        if extends:
            _merge(self.base, copy.deepcopy(body))
        self.change = _nested({key: value for key, value in said.items() if key not in OWN})
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
            if _at(self.change, key, None) is not None:
                raise RecipeError(
                    f"it sets {key}, which the grid sets too",
                    where=self.locate(key.split(".")),
                    mend=f'give it its own values: sweep = {{ "{key}" = […] }}',
                )
        for values in itertools.product(*axes.values()):
            yield self._child(dict(zip(axes, values, strict=True)), fixed)

    def _child(self, changes: dict[str, Any], fixed: Table) -> Child:
        change = copy.deepcopy(self.change)
        _merge(change, copy.deepcopy(fixed))
        _merge(change, _nested(changes))
        title = ", ".join([self.label, *(_shown(key, value) for key, value in changes.items() if key != SEED)])
        table = _merged(self.base, change) | {"name": f"{self.sweep}-{self.name}", "description": title}
        recipe = recipe_from_table(table, locate=self.locate, also=OWN)
        for role in self.report:
            if role not in recipe.evaluated:
                raise RecipeError(
                    f"it reports {role!r}, which is not evaluated",
                    where=where(self.path, (*self.place, "report", role)),
                    mend=nearest(role, recipe.evaluated),
                )
        report = self.report or {recipe.predict_role: ""}
        return Child(_id(self.name, changes, recipe), self.name, changes, title, report, recipe, self.locate)

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


@contextmanager
def _naming(variant: str) -> Iterator[None]:
    """Errors of a recipe name the variant."""
    try:
        yield
    except RecipeError as error:
        raise _of_variant(variant, error, error.where) from None


def _of_variant(name: str, error: RecipeError, where: object) -> RecipeError:
    return type(error)(f"variant {name!r}: {error.what}", where=where, why=error.why, mend=error.mend)


def _recipe_keys(table: Mapping[str, Any]) -> Table:
    return {key: value for key, value in table.items() if key not in FILE_KEYS}


def _merged(base: Table, change: Table) -> Table:
    """`change` over a copy of `base`."""
    table = copy.deepcopy(base)
    _merge(table, copy.deepcopy(change))
    return table


def _from_where_written(files: list[tuple[Path, Table]]) -> list[tuple[Path, Table]]:
    """The files with their variants' `extends` as paths from here, not from the file that they are written in."""
    for path, table in files:
        variants = table.get("variants")
        for said in variants.values() if isinstance(variants, dict) else ():
            if isinstance(said, dict) and isinstance(said.get("extends"), str):
                said["extends"] = str(path.parent / said["extends"])
    return files


def _nested(flat: Mapping[str, Any]) -> Table:
    """Dotted keys as tables in tables; in the order given, a later key over an earlier one."""
    nested: Table = {}
    for key, value in flat.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(nested, value)
    return nested


def _at(table: Mapping[str, Any], key: str, values: Any) -> Any:
    """The one value that a table gives a dotted key, as a list; `values` where it gives none."""
    found: Any = table
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return values
        found = found[part]
    return [found]


def _axes(table: Any, path: Path, place: tuple[str, ...], *, may_be_empty: bool = False) -> dict[str, list[Any]]:
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


def _shown(key: str, value: Any) -> str:
    """`5 %` for a fraction, `weight 10` for anything else."""
    last = key.rpartition(".")[2]
    if last.endswith("fraction") and isinstance(value, int | float):
        return f"{100 * value:g} %"
    return f"{last.replace('_', ' ')} {value}"


def _id(variant: str, changes: Mapping[str, Any], recipe: Recipe) -> str:
    """Sorted by key, so that the order in which a grid is written says nothing."""
    values = [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in sorted(changes.items())]
    return "-".join([variant, *values, _digest(recipe)])


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_")[:16]


def _digest(recipe: Recipe) -> str:
    """8 hex digits of what a recipe computes.

    Defaults are left out, so that a key that a later release adds changes nothing. The order of named tables
    counts, because sums of floating-point numbers depend on it.
    """
    said = recipe.model_dump(mode="json", exclude_defaults=True, exclude=TOLD)
    order = [list(getattr(recipe, kind)) for kind in NAMED]
    return hashlib.sha256(json.dumps([said, order], sort_keys=True).encode()).hexdigest()[:8]
