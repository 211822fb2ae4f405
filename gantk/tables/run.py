"""The table of one run: its methods and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gantk.evaluation.results import Column, Evaluation, is_baseline
from gantk.tables.model import Table, TableRow
from gantk.tables.numbers import best_of, method_title

__all__ = ["rows_of", "table_of", "with_best"]


def table_of(evaluation: Evaluation) -> Table:
    """A run's methods × metrics, mean ± standard deviation over its patients."""
    columns, subjects = evaluation.columns, evaluation.subjects
    return Table(
        title=f"{subjects.measured.capitalize()}, mean ± standard deviation",
        columns=columns,
        rows=with_best(rows_of(evaluation, columns), columns),
        subjects=subjects,
        caption=f"{subjects.warning}." if subjects.warning else "",
    )


def rows_of(evaluation: Evaluation, columns: Mapping[str, Column]) -> list[TableRow]:
    """A row per method of one run, in the order of the evaluation."""
    return [
        TableRow(
            method=method,
            title=method_title(method),
            name=method_title(method),
            values={name: values[name] for name in columns},
            by_seed={0: evaluation.values(method)},
            baseline=is_baseline(method),
        )
        for method, values in evaluation.summary.items()
    ]


def with_best(rows: Sequence[TableRow], columns: Mapping[str, Column]) -> tuple[TableRow, ...]:
    """The rows with the best of them marked in each column; baselines are no rivals."""
    own = [row for row in rows if not row.baseline]
    best = {name: best_of({row: row.values[name].mean for row in own}, column) for name, column in columns.items()}
    return tuple(replace(row, best=frozenset(name for name in columns if row in best[name])) for row in rows)
