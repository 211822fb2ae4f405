"""A table of several runs of one cohort, with the paired differences of every method from a reference.

Runs that were measured differently are an error, or are combined with a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gantk.errors import EvaluationError, UsageError, nearest
from gantk.evaluation.results import Evaluation
from gantk.evaluation.weights import light_in_tumours
from gantk.runs.files import RunFiles, is_sweep, warn_of_damage
from gantk.runs.names import EVALUATION
from gantk.tables.alike import differences, other_training, splits_of
from gantk.tables.members import answering, to_compare, trained
from gantk.tables.model import Significance, Table, TableRow, digits_of
from gantk.tables.run import rows_of, with_best
from gantk.tables.significance import compared
from gantk.tables.untrained import beaten

__all__ = ["compare", "to_dict"]

RUN = "run"

EVERY_RUN = "(every run)"


def compare(
    runs: Sequence[Path],
    *,
    force: bool = False,
    reference: tuple[Path, str | None] | None = None,
    all_regions: bool = False,
) -> Table:
    """Put the evaluations of run folders side by side and test each method against a reference.

    The test parts must be equal: patients, images and settings of the metrics. Different training patients are
    reported below the table.

    Args:
        runs: run folders with an `evaluation` folder each.
        force: compare even if splits or settings differ; the title says so.
        reference: a run and one of its methods (None: the predicting role); default: the first run. A run
            that is not among `runs` is put before them.
        all_regions: whether to test in every region and not only in the whole image; a metric that is not
            measured in the whole image is always tested in its regions.

    Raises:
        UsageError: there is no run, or the reference has no such method.
        EvaluationError: a run has no evaluation, no column is common, or splits or settings differ.
    """
    if not runs:
        raise UsageError("there is no run to compare", mend="name one or more runs")
    of, method = reference or (runs[0], None)
    for run in (*runs, of):
        if is_sweep(run):
            raise UsageError(
                "this is a sweep, not a run", where=run, mend="use `gantk table`, or name runs of the sweep"
            )
    runs = list(dict.fromkeys(run.resolve() for run in runs))
    if of.resolve() not in runs:
        runs = [of.resolve(), *runs]
    names = _names(runs)
    warn_of_damage(*runs)
    found = {name: Evaluation.read(run / EVALUATION) for name, run in zip(names, runs, strict=True)}
    splits = splits_of(found, dict(zip(names, runs, strict=True)))
    said = tuple(differences(found, splits))
    if said and not force:
        raise EvaluationError(
            "the runs cannot be compared: " + "; ".join(said),
            mend=to_compare(said),
        )
    first = next(iter(found.values()))
    columns = {name: c for name, c in first.columns.items() if all(name in e.columns for e in found.values())}
    if not columns:
        raise EvaluationError("the runs have no metric in common")
    rows = _merged(
        [
            replace(row, name=f"{row.title} of {name}", changes={RUN: name}, group=name)
            for name, evaluation in found.items()
            for row in rows_of(evaluation, columns, trained({}, evaluation.methods))
        ],
        len(runs),
    )
    rows = list(with_best(rows, columns))
    table = Table(
        title=f"Mean ± standard deviation over {first.subjects.measured}",
        columns=columns,
        rows=tuple(rows),
        subjects=first.subjects,
        keys=(RUN,),
        notes=(
            *other_training(splits),
            *beaten(rows, columns, digits_of(rows, columns)),
            *light_in_tumours(run / EVALUATION for run in runs),
        ),
        differences=said,
    )
    name = names[runs.index(of.resolve())]
    if method is None:
        method = answering(RunFiles(of).recipe(), found[name].methods) or found[name].methods[0]
    elif method not in found[name].methods:
        raise UsageError(
            f"{name} has no method {method!r}", where="reference", mend=nearest(method, found[name].methods)
        )
    return replace(table, significance=_tests(table, (name, method), all_regions=all_regions))


def to_dict(table: Table) -> dict[str, object]:
    """A comparison as JSON-like data."""
    tests = table.significance
    found = {row: by_column for row, _, by_column in tests.lines} if tests else {}
    against = next((row for row in table.rows if tests and row.name == tests.reference), None)
    return {
        "comparable": not table.differences,
        "differences": list(table.differences),
        "notes": list(table.notes),
        "metrics": {name: column.to_dict() for name, column in table.columns.items()},
        "rows": [
            {
                "run": row.changes[RUN],
                "method": row.method,
                "values": {name: value.to_dict() for name, value in row.values.items()},
                "differences": {name: one.to_dict() for name, one in found.get(row, {}).items()},
            }
            for row in table.rows
        ],
        "reference": against and {"run": against.changes[RUN], "method": against.method},
    }


def _tests(table: Table, reference: tuple[str, str], *, all_regions: bool) -> Significance:
    """The differences of each row from the reference."""
    run, method = reference
    other = next(row for row in table.rows if row.method == method and row.changes[RUN] in (run, EVERY_RUN))
    in_image = {column.title for column in table.columns.values() if column.region == "image"}
    columns = [
        name
        for name, column in table.columns.items()
        if all_regions or column.region == "image" or column.title not in in_image
    ]
    pairs = {row: (other, row.patients(), other.patients()) for row in table.rows if row is not other}
    return compared(table, other.name, pairs, columns=columns)


def _names(runs: Sequence[Path]) -> list[str]:
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _merged(rows: list[TableRow], runs: int) -> list[TableRow]:
    """Merge rows with the same numbers in every run, such as a baseline's, into one row after all others."""
    if runs < 2:
        return rows
    same: dict[str, list[TableRow]] = {}
    for row in rows:
        same.setdefault(f"{row.method}|{row.values}", []).append(row)
    shared = [group[0] for group in same.values() if len(group) == runs]
    methods = {row.method for row in shared}
    return [row for row in rows if row.method not in methods] + [
        replace(row, name=row.title, changes={RUN: EVERY_RUN}, group=EVERY_RUN) for row in shared
    ]
