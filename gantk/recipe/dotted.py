"""Tables and dotted keys: `data.crop` for the key `crop` of the table `data`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gantk.recipe.load import merge
from gantk.recipe.toml import Table

__all__ = ["at", "merged", "nested"]


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


def at(table: Mapping[str, Any], key: str, values: Any) -> Any:
    """The one value that a table gives a dotted key, as a list; `values` where it gives none."""
    found: Any = table
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return values
        found = found[part]
    return [found]
