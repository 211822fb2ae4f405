"""Roles of a variant that become rows of tables, and the rows' names."""

from __future__ import annotations

from typing import Any

__all__ = ["Rows", "read_rows", "title", "titles", "write_rows"]

Rows = dict[str, str]
"""By role, in the order of the rows, the row's name; empty where tables make it from the variant's label."""


def read_rows(said: Any) -> Rows:
    """The value of `report` in a recipe or in `sweep.json`: a list of roles, or a table of row names by role.

    Raises:
        ValueError: it is neither, or two rows have the same name; the text is the message.
    """
    if isinstance(said, list | tuple) and all(isinstance(role, str) for role in said):
        return dict.fromkeys(said, "")
    if not isinstance(said, dict) or not all(isinstance(name, str) and name for name in said.values()):
        raise ValueError(f"must be a list of roles, or a table with a row name for each role, it is {said!r}")
    names = list(said.values())
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise ValueError(f"gives two rows the name {twice[0]!r}")
    return dict(said)


def titles(rows: Rows, label: str, predicts: str) -> list[str]:
    """The row names of a variant with this label; `predict` is its predicting role."""
    alone = list(rows) == [predicts]
    return [title(rows, role, label, alone=alone) for role in rows]


def title(rows: Rows, role: str, label: str, *, alone: bool) -> str:
    """The row name of a role; `alone`: the role predicts and has the only row of this run."""
    return rows.get(role) or (label if alone else f"{label}, {role}")


def write_rows(rows: Rows) -> list[str] | Rows:
    """The inverse of `read_rows`: a list if no row has a name."""
    return dict(rows) if any(rows.values()) else list(rows)
