"""A table over the runs of one cohort; runs that were measured differently are not mixed in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.results import Column, Evaluation, Statistic
from gantk.evaluation.tables import best_of, column_title, decimals, method_title, write_statistic

__all__ = ["Comparison", "Line", "compare"]

EVERY_RUN = "(every run)"


@dataclass(frozen=True)
class Line:
    """One method of one run; baselines that are equal in all runs have one line for all of them."""

    run: str
    method: str
    values: dict[str, Statistic]


@dataclass(frozen=True)
class Comparison:
    """Methods × metrics over runs.

    Args:
        columns: by name, the columns that every run has.
        lines: in the order of the runs.
        differences: what keeps the numbers from being comparable, one sentence each; empty when they are.
    """

    columns: dict[str, Column]
    lines: list[Line]
    differences: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Says when the numbers do not compare."""
        if not self.differences:
            return "Mean ± standard deviation over test patients"
        return f"NOT COMPARABLE: {'; '.join(self.differences)}"

    def to_dict(self) -> dict[str, object]:
        """The comparison as JSON-like data."""
        return {
            "comparable": not self.differences,
            "differences": list(self.differences),
            "metrics": {name: vars(column) for name, column in self.columns.items()},
            "rows": [
                {
                    "run": line.run,
                    "method": line.method,
                    "values": {name: value.to_dict() for name, value in line.values.items()},
                }
                for line in self.lines
            ],
        }

    def tables(self) -> list[Table]:
        """The comparison for a terminal, one table per region, each column's best in bold."""
        regions = dict.fromkeys(column.region for column in self.columns.values())
        return [self._table(region) for region in regions]

    def _table(self, region: str) -> Table:
        columns = {name: column for name, column in self.columns.items() if column.region == region}
        style = "bold red" if self.differences else "bold"
        table = Table(title=f"{self.title}: {region}", title_justify="left", title_style=style)
        table.add_column("run", overflow="fold", min_width=20)
        table.add_column("method", no_wrap=True)
        for column in columns.values():
            table.add_column(column_title(column), justify="right", no_wrap=True)
        digits = {name: decimals(line.values[name].mean for line in self.lines) for name in columns}
        best = best_of([line.values for line in self.lines], columns)
        before = None
        for i, line in enumerate(self.lines):
            cells = [
                Text(write_statistic(line.values[n], digits[n]), style="bold" if best.get(n) == i else "")
                for n in columns
            ]
            table.add_row(Text("" if line.run == before else line.run), Text(method_title(line.method)), *cells)
            before = line.run
        return table


def compare(runs: Sequence[Path], *, force: bool = False) -> Comparison:
    """Put the evaluations of run folders side by side.

    Args:
        runs: run folders with an `evaluation` folder each.
        force: compare although splits or settings differ; the title says so.

    Raises:
        UsageError: without a run.
        EvaluationError: where a run has no evaluation, no column is common, or splits or settings differ.
    """
    if not runs:
        raise UsageError("there is no run to compare", mend="Name one run folder or more.")
    runs = list(dict.fromkeys(run.resolve() for run in runs))
    names = _names(runs)
    found = {name: Evaluation.read(run / "evaluation") for name, run in zip(names, runs, strict=True)}
    differences = tuple(_differences(found))
    if differences and not force:
        raise EvaluationError(
            "the runs cannot be compared: " + "; ".join(differences),
            mend="Evaluate them on one split with the same settings, or force the comparison.",
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
    return Comparison(columns, _merged(lines, len(runs)), differences)


def _names(runs: Sequence[Path]) -> list[str]:
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _differences(found: dict[str, Evaluation]) -> list[str]:
    said = []
    for what, attribute in (("split", "split"), ("evaluation settings", "settings")):
        by_hash: dict[str, list[str]] = {}
        for name, evaluation in found.items():
            by_hash.setdefault(getattr(evaluation, attribute), []).append(name)
        if len(by_hash) > 1:
            groups = ", ".join(f"{value} in {' and '.join(names)}" for value, names in by_hash.items())
            said.append(f"different {what} ({groups})")
    return said


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
