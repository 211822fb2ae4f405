"""Baselines without training: tables mark a baseline if the best method is not better, and add a note."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gantk.evaluation.results import NO_TARGET, REAL_TARGET, Column
from gantk.tables.model import TableRow, grouped, identity, key_title, written
from gantk.tables.numbers import column_title, method_title

__all__ = ["beaten", "with_unbeaten"]


def with_unbeaten(
    rows: Sequence[TableRow], columns: Mapping[str, Column], digits: Mapping[str, int], by: str | None = None
) -> tuple[TableRow, ...]:
    """The rows with baselines marked in each column in which the best method, after rounding, is not better.

    Args:
        rows: methods and baselines.
        columns: the columns to check.
        digits: decimals by column.
        by: the dotted key that groups the methods; a baseline is then marked if it holds against any group's best.
    """
    unbeaten: dict[TableRow, set[str]] = {}
    for baseline, group in _pairs(rows, by):
        for name, column in columns.items():
            gain = _gain(baseline, group, name, column, digits[name])
            if gain is not None and gain >= 0:
                unbeaten.setdefault(baseline, set()).add(name)
    return tuple(replace(row, unbeaten=frozenset(unbeaten.get(row, ()))) for row in rows)


def beaten(
    rows: Sequence[TableRow], columns: Mapping[str, Column], digits: Mapping[str, int], by: str | None = None
) -> Iterator[str]:
    """One sentence for each baseline and group whose best method is not better in some column."""
    titles = Counter(row.title for row in rows if row.baseline)
    for baseline, group in _pairs(rows, by):
        gains = {name: _gain(baseline, group, name, column, digits[name]) for name, column in columns.items()}
        above = [column_title(columns[name]) for name, gain in gains.items() if gain is not None and gain > 0]
        equal = [column_title(columns[name]) for name, gain in gains.items() if gain == 0]
        everywhere = len(above) == len(gains) > 3  # up to three columns are named
        said = [f"better than the best method in {'every column' if everywhere else ', '.join(above)}"] if above else []
        said += [f"the same as the best method in {', '.join(equal)}"] if equal else []
        if said:
            value = group[0].changes.get(by) if by else None
            where = f" for {key_title(by, [by])} {written(by, value)}" if by and value is not None else ""
            called = baseline.name if by is None and titles[baseline.title] > 1 else baseline.title
            yield f"† {_act(baseline.method)} ({called}) scores{where} {', and '.join(said)}"


def _pairs(rows: Sequence[TableRow], by: str | None) -> Iterator[tuple[TableRow, list[TableRow]]]:
    """Each baseline with each group of methods to compare it with; the real target is a bound, not a baseline."""
    for baseline in rows:
        if not baseline.baseline or baseline.method == REAL_TARGET:
            continue
        for group in grouped([row for row in rows if not row.baseline], by):
            if by not in baseline.changes or identity(baseline.changes[by]) == identity(group[0].changes.get(by)):
                yield baseline, group


def _gain(baseline: TableRow, group: Sequence[TableRow], name: str, column: Column, digits: int) -> float | None:
    """By how much a baseline is better than a group's best, both rounded; None if either has no number."""
    sign = 1 if column.higher_is_better else -1
    own, *rivals = (sign * round(row.values[name].mean, digits) for row in (baseline, *group))
    known = [rival for rival in rivals if not math.isnan(rival)]
    return None if math.isnan(own) or not known else own - max(known)


def _act(method: str) -> str:
    """A description of what the baseline does, as the subject of a sentence."""
    kind, _, name = method.partition(":")
    if kind == "input":
        return f"copying the {name}"
    acts = {
        "training_mean": "predicting the training mean",
        "linear_fit": "a linear fit of the inputs",
        NO_TARGET: "omitting the target",
    }
    return acts.get(method, method_title(method))
