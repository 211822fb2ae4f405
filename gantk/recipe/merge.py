"""Tables of recipes laid over one another: parents below, changes above."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gantk.errors import RecipeError, nearest
from gantk.recipe.data import DataSettings
from gantk.recipe.dotted import leaves, value_at
from gantk.recipe.model import BalanceSettings, LossSettings, MapSettings, ScheduleSettings, TransformSettings
from gantk.recipe.origin import File, Place
from gantk.recipe.toml import Table
from gantk.recipe.translators import OptimizerSettings

__all__ = ["NAMED", "copied", "fold", "leave_out", "merge", "merged", "nested", "overlay"]

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

    Naming a different component discards the former component's parameters.
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
            base[key] = copied(value)


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
    """Remove inherited keys: `without = ["losses.NAME"]`; `where` is the place of this key."""
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
        mend='set keys of the table; to remove inherited keys, extend the recipe and write without = ["…"]',
    )


def copied(value: Any) -> Any:
    """A value with its tables copied."""
    return {k: copied(v) for k, v in value.items()} if isinstance(value, Mapping) else value
