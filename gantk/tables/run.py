"""The table of one run: its methods and baselines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gantk.evaluation.results import Column, Evaluation
from gantk.tables.members import methods_of
from gantk.tables.model import Table, TableRow, digits_of
from gantk.tables.numbers import best_of, method_title

__all__ = ["rows_of", "table_of", "with_best"]


def table_of(evaluation: Evaluation, recipe: Mapping[str, Any]) -> Table:
    """A run's methods × metrics, mean ± standard deviation over its patients; what its recipe trains is no baseline."""
    columns, subjects = evaluation.columns, evaluation.subjects
    return Table(
        title=f"{subjects.measured.capitalize()}, mean ± standard deviation",
        columns=columns,
        rows=with_best(rows_of(evaluation, columns, methods_of(recipe, evaluation)), columns),
        subjects=subjects,
        caption=f"{subjects.warning}." if subjects.warning else "",
    )


def rows_of(evaluation: Evaluation, columns: Mapping[str, Column], trained: Collection[str]) -> list[TableRow]:
    """A row per method of one run, in the order of the evaluation; those that were not trained are baselines."""
    return [
        TableRow(
            method=method,
            title=method_title(method),
            name=method_title(method),
            values={name: values[name] for name in columns},
            by_seed={0: evaluation.values(method)},
            baseline=method not in trained,
        )
        for method, values in evaluation.summary.items()
    ]


def with_best(rows: Sequence[TableRow], columns: Mapping[str, Column]) -> tuple[TableRow, ...]:
    """The rows with the best of them marked in each column; baselines are no rivals."""
    own = [row for row in rows if not row.baseline]
    digits = digits_of(rows, columns)
    best = {
        name: best_of({row: row.values[name].mean for row in own}, column, digits[name])
        for name, column in columns.items()
    }
    return tuple(replace(row, best=frozenset(name for name in columns if row in best[name])) for row in rows)
