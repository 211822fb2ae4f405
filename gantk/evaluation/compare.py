"""A table over the runs of one cohort; runs that were measured differently are not mixed in silence.

Below it, the paired differences of every method from a reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from gantk.errors import EvaluationError, UsageError, nearest
from gantk.evaluation.grids import Cell, Grid
from gantk.evaluation.members import differences, predicting, read_recipe
from gantk.evaluation.result_table import difference_grid, region_title
from gantk.evaluation.results import Column, Evaluation, Statistic, Subjects
from gantk.evaluation.significance import holm_words, unseen_words
from gantk.evaluation.statistics import METHOD, PairedDifference, paired_differences
from gantk.evaluation.tables import best_of, column_title, decimals, is_baseline, method_title, write_statistic
from gantk.runs.files import is_sweep, warn_of_damage

__all__ = ["Comparison", "Line", "compare"]

EVERY_RUN = "(every run)"


@dataclass(frozen=True)
class Line:
    """One method of one run; baselines that are equal in all runs have one line for all of them."""

    run: str
    method: str
    values: dict[str, Statistic]

    @property
    def title(self) -> str:
        """`student of RUN`, or a baseline's name alone."""
        return method_title(self.method) + ("" if self.run == EVERY_RUN else f" of {self.run}")


@dataclass(frozen=True)
class Comparison:
    """Methods × metrics over runs.

    Args:
        columns: by name, the columns that every run has.
        lines: in the order of the runs.
        differences: what keeps the numbers from being comparable, one sentence each; empty when they are.
        reference: index of the line that the others are tested against; None where there is no other.
        tests: by line and column, the paired difference from the reference; of the whole image's columns, or of all.
        subjects: what was measured.
    """

    columns: dict[str, Column]
    lines: list[Line]
    differences: tuple[str, ...] = ()
    reference: int | None = None
    tests: dict[int, dict[str, PairedDifference]] = field(default_factory=dict)
    subjects: Subjects = field(default_factory=Subjects)

    def to_dict(self) -> dict[str, object]:
        """The comparison as JSON-like data."""
        against = None if self.reference is None else self.lines[self.reference]
        return {
            "comparable": not self.differences,
            "differences": list(self.differences),
            "metrics": {name: column.to_dict() for name, column in self.columns.items()},
            "rows": [
                {
                    "run": line.run,
                    "method": line.method,
                    "values": {name: value.to_dict() for name, value in line.values.items()},
                    "differences": {name: found.to_dict() for name, found in self.tests.get(i, {}).items()},
                }
                for i, line in enumerate(self.lines)
            ],
            "reference": against and {"run": against.run, "method": against.method},
        }

    def grids(self) -> list[Grid]:
        """The comparison as text, one table per region, each column's best in bold."""
        regions = dict.fromkeys(column.region for column in self.columns.values())
        return [self._grid(region) for region in regions]

    def difference_grid(self) -> Grid | None:
        """The paired differences as text, a row per method and metric; None where there is nothing to compare."""
        lines = [(self.lines[i].title, by_column) for i, by_column in self.tests.items() if by_column]
        if self.reference is None or not lines:
            return None
        corrected = holm_words(self.tests.values(), self.columns)
        unseen = unseen_words(self.tests.values(), self.columns)
        method = METHOD.format(self.subjects.noun)
        caption = f"Method − reference, mean over n {self.subjects.plural}, paired. {method}; {corrected}.{unseen}"
        grid = difference_grid(lines, self.columns, self.lines[self.reference].title, caption)
        return replace(grid, warning="; ".join(self.differences))

    def _grid(self, region: str) -> Grid:
        columns = {name: column for name, column in self.columns.items() if column.region == region}
        digits = {name: decimals(line.values[name].mean for line in self.lines) for name in columns}
        methods = [i for i, line in enumerate(self.lines) if not is_baseline(line.method)]
        found = best_of([self.lines[i].values for i in methods], columns, digits)
        best = {name: {methods[i] for i in those} for name, those in found.items()}
        rows = []
        for i, line in enumerate(self.lines):
            cells = [Cell(write_statistic(line.values[n], digits[n]), i in best.get(n, ())) for n in columns]
            rows.append((Cell(line.run), Cell(method_title(line.method)), *cells))
        return Grid(
            title=f"Mean ± standard deviation over {self.subjects.measured}: {region_title(region)}",
            header=("run", "method", *(column_title(column) for column in columns.values())),
            sections=tuple(tuple(same) for _, same in groupby(rows, key=lambda row: row[0].text)),
            words=2,
            warning="; ".join(self.differences),
        )


def compare(
    runs: Sequence[Path],
    *,
    force: bool = False,
    reference: tuple[Path, str | None] | None = None,
    all_regions: bool = False,
) -> Comparison:
    """Put the evaluations of run folders side by side and test each method against a reference.

    Args:
        runs: run folders with an `evaluation` folder each.
        force: compare although splits or settings differ; the title says so.
        reference: a run and one of its methods, the one that predicts where None; default: of the first run. A run
            that is not among `runs` is put before them.
        all_regions: whether the differences are of every region, not of the whole image alone; a metric that is not
            measured in the whole image is tested in its regions anyway.

    Raises:
        UsageError: without a run, or where the reference has no such method.
        EvaluationError: where a run has no evaluation, no column is common, or splits or settings differ.
    """
    if not runs:
        raise UsageError("there is no run to compare", mend="Name one run folder or more.")
    of, method = reference or (runs[0], None)
    for run in (*runs, of):
        if is_sweep(run):
            raise UsageError("this is a sweep, not a run", where=run, mend="Use `gantk table`, or name its children.")
    runs = list(dict.fromkeys(run.resolve() for run in runs))
    if of.resolve() not in runs:
        runs = [of.resolve(), *runs]
    names = _names(runs)
    warn_of_damage(*runs)
    found = {name: Evaluation.read(run / "evaluation") for name, run in zip(names, runs, strict=True)}
    said = tuple(differences(found))
    if said and not force:
        raise EvaluationError(
            "the runs cannot be compared: " + "; ".join(said),
            mend="Measure them alike with `gantk evaluate` where their split is one, or force the comparison.",
        )
    first = next(iter(found.values()))
    columns = {name: c for name, c in first.columns.items() if all(name in e.columns for e in found.values())}
    if not columns:
        raise EvaluationError("the runs have no metric in common")
    lines = [
        Line(name, method, {column: values[column] for column in columns})
        for name, evaluation in found.items()
        for method, values in evaluation.summary.items()
    ]
    comparison = Comparison(columns, _merged(lines, len(runs)), said, subjects=first.subjects)
    name = names[runs.index(of.resolve())]
    if method is None:
        method = predicting(read_recipe(of), found[name]) or found[name].methods[0]
    elif method not in found[name].methods:
        raise UsageError(
            f"{name} has no method {method!r}", where="reference", mend=nearest(method, found[name].methods)
        )
    return _tested(comparison, found, (name, method), all_regions=all_regions)


def _tested(
    comparison: Comparison, found: dict[str, Evaluation], reference: tuple[str, str], *, all_regions: bool
) -> Comparison:
    """The comparison with each line's differences from the reference."""
    lines = comparison.lines
    index = next(i for i, x in enumerate(lines) if x.method == reference[1] and x.run in (reference[0], EVERY_RUN))
    in_image = {column.title for column in comparison.columns.values() if column.region == "image"}
    columns = [
        name
        for name, column in comparison.columns.items()
        if all_regions or column.region == "image" or column.title not in in_image
    ]

    def values(line: Line) -> dict[str, dict[str, float]]:
        run = next(iter(found)) if line.run == EVERY_RUN else line.run
        return found[run].values(line.method)

    against = values(lines[index])
    pairs = {i: (values(line), against) for i, line in enumerate(lines) if i != index}
    return replace(comparison, reference=index, tests=paired_differences(pairs, columns, comparison.subjects.noun))


def _names(runs: Sequence[Path]) -> list[str]:
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _merged(lines: list[Line], runs: int) -> list[Line]:
    """One line for a method whose numbers are the same in every run, such as a baseline, after all others."""
    if runs < 2:
        return lines
    same: dict[str, list[Line]] = {}
    for line in lines:
        same.setdefault(f"{line.method}|{line.values}", []).append(line)
    shared = [group[0] for group in same.values() if len(group) == runs]
    shared_methods = {line.method for line in shared}
    own = [line for line in lines if line.method not in shared_methods]
    return own + [Line(EVERY_RUN, line.method, line.values) for line in shared]
