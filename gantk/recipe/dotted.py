"""Dotted keys: `data.crop` for the key `crop` of the table `data`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["leaves", "value_at"]


def leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys of a table with their values; an empty table is a value."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def value_at(table: Any, key: str | Sequence[str]) -> Any:
    """What a table has at a dotted key, or at its parts; None where it has nothing."""
    for part in key.split(".") if isinstance(key, str) else key:
        table = table.get(part) if isinstance(table, Mapping) else None
    return table
