"""From a recipe with `[variants.NAME]` and `[sweep]` to the recipes of its children."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantk.errors import RecipeError, UsageError
from gantk.names import apart
from gantk.recipe.child import SEED, Child, of_variant
from gantk.recipe.dotted import leaves, value_at
from gantk.recipe.load import Given, chain, load_recipe
from gantk.recipe.merge import fold, merged, nested
from gantk.recipe.model import Recipe
from gantk.recipe.origin import File, Origins
from gantk.recipe.overrides import Changes, recipe_change, said_as
from gantk.recipe.rows import titles
from gantk.recipe.toml import Table
from gantk.recipe.variant import MOST, Variant, read_axes, too_many

__all__ = ["SEED", "Child", "Sweep", "described", "is_sweep", "load_sweep"]

#: What makes a recipe a sweep.
KEYS = ("variants", "sweep")


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
        reference: the row that tables test the others against, by title or label; empty if none is named.
    """

    path: Path
    name: str
    description: str
    table: Table
    children: tuple[Child, ...]
    selected: tuple[Child, ...]
    reference: str = ""


def is_sweep(given: Given) -> bool:
    """Whether a recipe, or one that it extends, has variants or a grid.

    Raises:
        RecipeError: a file cannot be read.
    """
    return any(key in file.table for file in chain(given) for key in KEYS)


def described(given: Given, overrides: Changes = ()) -> Recipe | Sweep:
    """What a recipe describes, one run or several, with all that is known of it without its components.

    Raises:
        RecipeError: the recipe, or a run of it, is wrong.
        UsageError: an override cannot be.
    """
    return load_sweep(given, overrides) if is_sweep(given) else load_recipe(given, overrides)


def load_sweep(given: Given, overrides: Changes = ()) -> Sweep:
    """The product of variants and grid, each child validated.

    A variant's `extends` replaces the `extends` of the sweep's own file; the other keys of this file are laid over it,
    too. Overrides change every child, but an override of a key in the grid selects the children with its value.

    Raises:
        RecipeError: the sweep or one of its children is wrong; the variant is named.
        UsageError: an override is not of the form `key=value`, cannot be, or selects no child.
    """
    files = _from_where_written(chain(given))
    path = files[0].path
    lowest = max((i for i, file in enumerate(files) if set(KEYS) & file.table.keys()), default=0)
    table, said = fold(files), Origins(files)
    fixed = recipe_change(overrides)
    named = merged(table, fixed).get("name")
    if not isinstance(named, str):
        raise RecipeError("the sweep has no name", where=path, mend='write name = "…" at its top')
    variants = table.get("variants") or {named: {}}
    if not isinstance(variants, Mapping):
        raise RecipeError("`variants` must contain only tables, `[variants.NAME]`", where=said.where(("variants",)))
    try:
        apart(variants)
    except ValueError as error:
        raise RecipeError("names of variants clash", where=said.where(("variants",)), why=error) from None
    grid = read_axes(table.get("sweep", {}), said, ("sweep",))
    made: list[Variant] = []
    for name, own in variants.items():
        with _naming(name):
            made.append(Variant(name, own, named, files, files[: lowest + 1]))
    runs = sum(math.prod(len(values) for values in variant.over(grid).values()) for variant in made)
    if runs > MOST:
        raise too_many(runs, said.where(("sweep" if grid else "variants",)))
    pins, fixed = _parted(fixed, [*grid, *(key for variant in made for key, values in variant.axes.items() if values)])
    children: list[Child] = []
    rows: dict[str, Variant] = {}
    for variant in made:
        with _naming(variant.name):
            found = list(variant.children(grid, fixed, said_as(overrides)))
        _check_rows(variant, found, rows)
        children += found
    if not children:
        raise RecipeError("the sweep describes no runs", where=path, mend="add a variant or values to its grid")
    written = merged(table, fixed)
    return Sweep(
        path,
        named,
        str(written.get("description", "")),
        written,
        tuple(children),
        _selected(children, pins, said_as(overrides)),
        _reference(table, said),
    )


def _parted(fixed: Table, keys: Sequence[str]) -> tuple[dict[str, Any], Table]:
    """The overrides of the grid's keys, and the other overrides."""
    pins = {key: value for key in keys if (value := value_at(fixed, key)) is not None}
    return pins, nested({key: value for key, value in leaves(fixed) if not any(_is_in(key, pin) for pin in pins)})


def _is_in(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")


def in_turn(children: Sequence[Child]) -> list[Child]:
    """Children as they are run: every one with the first seed, then with the second, so that half a sweep is a whole
    table of fewer seeds."""
    seeds = list(dict.fromkeys(child.changes.get(SEED) for child in children))
    return sorted(children, key=lambda child: seeds.index(child.changes.get(SEED)))


def _selected(children: Sequence[Child], pins: Mapping[str, Any], given_as: str) -> tuple[Child, ...]:
    """The children that have these values, in their grid or, where it lacks a key, in their recipe."""

    def has(child: Child, key: str, value: Any) -> bool:
        own = child.changes[key] if key in child.changes else value_at(child.recipe.model_dump(mode="json"), key)
        return own == value and isinstance(own, bool) == isinstance(value, bool)

    selected = tuple(child for child in children if all(has(child, *pin) for pin in pins.items()))
    if not selected:
        grids = {key: [child.changes[key] for child in children if key in child.changes] for key in pins}
        known = [f"{key} = {', '.join(dict.fromkeys(map(json.dumps, values)))}" for key, values in grids.items()]
        raise UsageError(
            f"no run of the sweep has {' and '.join(f'{key} = {json.dumps(value)}' for key, value in pins.items())}",
            where=given_as,
            mend=f"the grid has {'; '.join(known)}; write another value in the recipe",
        )
    return selected


def _check_rows(variant: Variant, children: Sequence[Child], rows: dict[str, Variant]) -> None:
    """No row of tables is also another variant's, values of the grid but the seed included."""
    for child in children:
        changes = sorted((key, value) for key, value in child.changes.items() if key != SEED)
        for title in titles(child.report, variant.label, child.recipe.predict_role):
            other = rows.setdefault(json.dumps([title, changes]), variant)
            if other is not variant:
                raise RecipeError(
                    f"the variants {other.name!r} and {variant.name!r} both make the row {title!r}",
                    where=variant.where_named,
                    why="their rows in a table could not be told apart",
                    mend='give one of them another label, or name its rows with report = { ROLE = "NAME" }',
                )


def _reference(table: Mapping[str, Any], said: Origins) -> str:
    reference = table.get("reference")
    if reference is not None and (not isinstance(reference, str) or not reference):
        raise RecipeError(
            f"reference must be text, the title or label of a row of tables, it is {reference!r}",
            where=said.where(("reference",)),
        )
    return reference or ""


@contextmanager
def _naming(variant: str) -> Iterator[None]:
    """Errors of a recipe name the variant."""
    try:
        yield
    except RecipeError as error:
        raise of_variant(variant, error, error.where) from None


def _from_where_written(files: list[File]) -> list[File]:
    """The files with their variants' `extends` as paths from here, not from the file that they are written in."""
    for file in files:
        variants = file.table.get("variants")
        for said in variants.values() if isinstance(variants, dict) else ():
            if isinstance(said, dict) and isinstance(said.get("extends"), str):
                said["extends"] = str(file.path.parent / said["extends"])
    return files
