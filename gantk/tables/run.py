"""The table of one run: its methods and baselines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gantk.evaluation.results import Column, Evaluation
from gantk.evaluation.weights import light_in_tumours
from gantk.runs.files import RunFiles
from gantk.runs.names import EVALUATION
from gantk.tables.members import trained
from gantk.tables.model import Table, TableRow, digits_of
from gantk.tables.numbers import best_of, method_title
from gantk.tables.untrained import beaten, with_unbeaten

__all__ = ["rows_of", "run_table", "table_of", "with_best"]


def run_table(run: Path) -> Table:
    """The table of a run's folder, with warnings and notes.

    Raises:
        EvaluationError: a file of the evaluation is missing or damaged.
        RecipeError: the recipe is damaged and there is no checkpoint to restore it from.
    """
    table = table_of(Evaluation.read(run / EVALUATION), RunFiles(run).recipe())
    return replace(table, notes=(*table.notes, *light_in_tumours([run / EVALUATION])))


def table_of(evaluation: Evaluation, recipe: Mapping[str, Any]) -> Table:
    """A run's methods × metrics, mean ± standard deviation over its patients; untrained methods are baselines."""
    columns, subjects = evaluation.columns, evaluation.subjects
    rows = with_best(rows_of(evaluation, columns, trained(recipe, evaluation.methods)), columns)
    return Table(
        title=f"{subjects.measured.capitalize()}, mean ± standard deviation",
        columns=columns,
        rows=rows,
        subjects=subjects,
        caption=" ".join(f"{said}." for said in (subjects.warning, subjects.omitted) if said),
        notes=tuple(beaten(rows, columns, digits_of(rows, columns))),
    )


def rows_of(evaluation: Evaluation, columns: Mapping[str, Column], trained: Collection[str]) -> list[TableRow]:
    """A row per method of one run, in the order of the evaluation; untrained methods are baselines."""
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
    """The rows with the best method marked in each column, and the baselines that are not worse than it."""
    own = [row for row in rows if not row.baseline]
    digits = digits_of(rows, columns)
    best = {
        name: best_of({row: row.values[name].mean for row in own}, column, digits[name])
        for name, column in columns.items()
    }
    marked = [replace(row, best=frozenset(name for name in columns if row in best[name])) for row in rows]
    return with_unbeaten(marked, columns, digits)
