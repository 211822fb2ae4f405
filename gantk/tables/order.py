"""The rows of a table: the changes they show, their names and order, and the best of each group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from gantk.errors import UsageError, nearest
from gantk.evaluation.results import Column
from gantk.tables.model import TableRow, grouped, identity, written
from gantk.tables.numbers import best_of

__all__ = ["best_of_groups", "keys_of", "ordered", "told_apart"]


def keys_of(rows: Sequence[TableRow], grid: Sequence[str], by: str | None) -> tuple[tuple[str, ...], str | None]:
    """The varying grid keys to show, and the key that groups the rows, which comes first."""
    keys = [key for key in grid if len({identity(row.changes.get(key)) for row in rows}) > 1]
    if by == "none":
        return tuple(keys), None
    if by is None:
        by = next((key for key in keys if _shared(rows, key)), None)
    elif all(by not in row.changes for row in rows):
        known = {key for row in rows for key in row.changes}
        raise UsageError(f"no run changes {by!r}", mend=nearest(by, known))
    return ((by, *(key for key in keys if key != by)), by) if by else (tuple(keys), None)


def _shared(rows: Sequence[TableRow], key: str) -> bool:
    """Whether a key has several values and several methods share one of them."""
    titles: dict[str, set[str]] = {}
    for row in rows:
        if key in row.changes:
            titles.setdefault(identity(row.changes[key]), set()).add(row.title)
    return len(titles) > 1 and any(len(group) > 1 for group in titles.values())


def told_apart(rows: Sequence[TableRow], keys: Sequence[str]) -> list[TableRow]:
    """Rows with only the shown changes; titles of otherwise equal rows get their hidden changes or their origin."""
    told = []
    for row in rows:
        shown = {key: row.changes[key] for key in keys if key in row.changes}
        twins = [r for r in rows if r.title == row.title and all(r.changes.get(k) == row.changes.get(k) for k in keys)]
        title = row.title
        if len(twins) > 1:
            hidden = [k for k, v in row.changes.items() if any(r.changes.get(k) != v for r in twins)]
            said = [f"{key} {written(key, row.changes[key])}" for key in hidden]
            alike = [r for r in twins if r.changes == row.changes]
            if len(alike) > 1 or not said:
                said.append(_origin(row, alike if len(alike) > 1 else twins))
            title = f"{title} ({', '.join(said)})"
        told.append(replace(row, title=title, changes=shown))
    return told


def _origin(row: TableRow, twins: Sequence[TableRow]) -> str:
    """A row's origin: the first of its names that no equal row shares."""
    names = [(r.source, r.variant, r.method, f"{r.method} of {r.folders[0]}") for r in twins]
    own = names[twins.index(row)]
    return next(name for i, name in enumerate(own) if sum(other[i] == name for other in names) == 1)


def ordered(rows: Sequence[TableRow], by: str | None) -> list[TableRow]:
    """Rows grouped by value, ascending if all are numbers; rows without a value stay first, or else come last."""
    if by is None:
        return list(rows)
    values = [row.changes[by] for row in rows if by in row.changes]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values.sort()
    order = list(dict.fromkeys(map(identity, values)))
    without = -1 if by not in rows[0].changes else len(order)
    return sorted(rows, key=lambda row: order.index(identity(row.changes[by])) if by in row.changes else without)


def best_of_groups(
    rows: Sequence[TableRow], columns: Mapping[str, Column], by: str | None, digits: Mapping[str, int]
) -> list[TableRow]:
    """Mark each column's best rows per group, over the common seeds; rounded means that tie are all best."""
    best: dict[TableRow, set[str]] = {row: set() for row in rows}
    for group in grouped(rows, by):
        for name, column in columns.items():
            runs = {row: {s: m[name] for s, m in row.by_run.items() if math.isfinite(m[name])} for row in group}
            rivals = {row: means for row, means in runs.items() if means}
            common = set.intersection(*map(set, rivals.values())) if rivals else ()
            means = {row: fmean(own[seed] for seed in common) for row, own in rivals.items()} if common else {}
            for row in best_of(means, column, digits[name]):
                best[row].add(name)
    return [replace(row, best=frozenset(best[row]), group=identity(row.changes.get(by or ""))) for row in rows]
