"""The model of a table of results; `run`, `compare` and `paper` build such tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from gantk.evaluation.results import Column, Statistic
from gantk.evaluation.subjects import Subjects
from gantk.tables.grids import Cell, Grid, to_html
from gantk.tables.numbers import column_title, decimals, write_p, write_statistic
from gantk.tables.statistics import PairedDifference

__all__ = [
    "Significance",
    "Table",
    "TableRow",
    "digits_of",
    "grouped",
    "identity",
    "key_title",
    "region_title",
    "title_of",
    "written",
]


@dataclass(frozen=True, eq=False)
class TableRow:
    """One row: a method with its changes, over seeds.

    Args:
        method: the role, or a baseline's name.
        title: label and role, as shown.
        name: a name that is unique in the table.
        values: values by column; the deviation is over seeds or patients, see `Table.spread`, NaN without deviation.
        by_seed: individual values by seed, column and patient.
        by_run: means of the seeds' runs, by seed and column.
        folders: folders of the runs, in the order of their seeds.
        runs: folders of the runs by seed; several per seed if folds are pooled.
        source: the sweep's name, or the run's id.
        variant: the variant's name in the sweep.
        label: the variant's label.
        changes: changed values by dotted key; in a finished table, those shown next to the title.
        group: rows of one group follow each other.
        baseline: whether nothing was trained for it.
        best: the columns in which it is the best method.
        unbeaten: for a baseline, the columns in which the best method is not better.
        subjects: ids of the measured subjects.
    """

    method: str
    title: str
    name: str
    values: dict[str, Statistic]
    by_seed: dict[int, dict[str, dict[str, float]]] = field(repr=False)
    by_run: dict[int, dict[str, float]] = field(repr=False, default_factory=dict)
    folders: tuple[Path, ...] = ()
    runs: dict[int, tuple[Path, ...]] = field(default_factory=dict)
    source: str = ""
    variant: str = ""
    label: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    baseline: bool = False
    best: frozenset[str] = frozenset()
    unbeaten: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with results."""
        return tuple(self.by_seed)

    def patients(self, seeds: Sequence[int] | None = None) -> dict[str, dict[str, float]]:
        """The mean over some or all seeds, by column and patient; NaN if a seed has no value."""
        chosen = self.seeds if seeds is None else seeds
        first = self.by_seed[chosen[0]]
        return {
            column: {
                patient: math.fsum(self.by_seed[seed][column].get(patient, math.nan) for seed in chosen) / len(chosen)
                for patient in first[column]
            }
            for column in self.values
        }


@dataclass(frozen=True)
class Significance:
    """Paired differences of rows from a reference.

    Args:
        reference: the reference's name.
        lines: (row, its reference, differences by column), in table order.
        caption: a description of the numbers.
        notes: rows that could not be compared, and why.
    """

    reference: str
    lines: tuple[tuple[TableRow, TableRow, dict[str, PairedDifference]], ...]
    caption: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table as data.

    Args:
        title: the title above the table.
        columns: metrics by column name.
        rows: the rows in order, group by group.
        subjects: the measured subjects.
        keys: the dotted keys shown next to the titles.
        spread: `seeds` or `patients`, over which the deviations are computed.
        significant: significant digits of a column's largest mean.
        caption: numbers of seeds and patients, spread, split, settings.
        notes: sentences on what is missing or unusual.
        differences: why the numbers are not comparable; empty unless forced.
        significance: the differences from a reference, if there is one.
    """

    title: str
    columns: dict[str, Column]
    rows: tuple[TableRow, ...]
    subjects: Subjects
    keys: tuple[str, ...] = ()
    spread: Literal["seeds", "patients"] = "patients"
    significant: int = 3
    caption: str = ""
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    significance: Significance | None = None

    @property
    def digits(self) -> dict[str, int]:
        """Decimals by column."""
        return digits_of(self.rows, self.columns, self.significant)

    def grid(self, columns: Sequence[str] | None = None) -> Grid:
        """The table as text, with all or some columns; each group of rows is a section."""
        names = list(self.columns if columns is None else columns)
        uneven = self.spread == "seeds" and len({row.seeds for row in self.rows if not row.baseline}) > 1
        digits = self.digits

        def cells(row: TableRow) -> Iterator[Cell]:
            yield from (Cell(written(key, row.changes[key]) if key in row.changes else "–") for key in self.keys)
            yield Cell(row.title)
            if uneven:
                yield Cell("–" if row.baseline else str(len(row.seeds)))
            for n in names:
                mark = "† " if n in row.unbeaten else ""
                yield Cell(f"{mark}{write_statistic(row.values[n], digits[n])}", n in row.best)

        left = (*(key_title(key, self.keys) for key in self.keys), "method")
        regions = {self.columns[name].region for name in names}
        title = self.title
        shown = [self.columns[name] for name in names]
        if len(regions) == 1:  # the title says it once for all columns
            title = f"{title}: {region_title(*regions)}"
            shown = [replace(column, region="image") for column in shown]
        return Grid(
            title=title,
            header=(*left, *(["seeds"] if uneven else []), *map(column_title, shown)),
            sections=tuple(
                tuple(tuple(cells(row)) for row in group) for _, group in groupby(self.rows, attrgetter("group"))
            ),
            words=len(left),
            caption=self.caption,
            notes=self.notes,
            warning="; ".join(self.differences),
        )

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        return to_html(self.grid())

    def grids(self) -> list[Grid]:
        """One grid per region, for narrow pages; only the last grid has caption and notes."""
        regions = dict.fromkeys(column.region for column in self.columns.values())
        grids = [self.grid([n for n, c in self.columns.items() if c.region == region]) for region in regions]
        return [replace(grid, caption="", notes=()) for grid in grids[:-1]] + grids[-1:]

    def significance_grid(self) -> Grid | None:
        """The differences from the reference as text; None if nothing is compared."""
        found = self.significance
        if found is None or not (found.lines or found.notes):
            return None
        several = len({other for _, other, _ in found.lines}) > 1
        remarks = dict.fromkeys(r for *_, by_column in found.lines for one in by_column.values() for r in one.remarks)
        marks = {remark: _mark(i) for i, remark in enumerate(remarks)}
        sections = [
            tuple(
                tuple(map(Cell, (title, column_title(self.columns[name]), *_difference_cells(one, marks))))
                for name, one in by_column.items()
            )
            for row, other, by_column in found.lines
            for title in [f"{row.title} − {other.name}" if several else row.name]
        ]
        return Grid(
            f"Difference from {found.reference}",
            ("method", "metric", "n", "difference", "95 % interval", "p", "p (Holm)"),
            tuple(sections),
            words=2,
            caption=found.caption,
            notes=(*(f"{mark}: {remark}" for remark, mark in marks.items()), *found.notes),
            warning="; ".join(self.differences),
            long=True,
        )


def digits_of(rows: Iterable[TableRow], columns: Iterable[str], significant: int = 3) -> dict[str, int]:
    """Decimals by column that give the largest mean of these rows `significant` significant digits."""
    means = [row.values for row in rows]
    return {name: decimals((values[name].mean for values in means), significant) for name in columns}


def grouped(rows: Sequence[TableRow], by: str | None) -> list[list[TableRow]]:
    """The rows grouped by the value of a key, rows without it in one group; without a key, one group of all rows."""
    groups: dict[str, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(identity(row.changes.get(by)) if by else "", []).append(row)
    return list(groups.values())


def title_of(row: TableRow, keys: Sequence[str]) -> str:
    """A row's title with its values of some keys."""
    said = ", ".join(f"{key_title(k, keys)} {written(k, row.changes[k])}" for k in keys if k in row.changes)
    return f"{row.title} ({said})" if said else row.title


def region_title(region: str) -> str:
    """A region's display name, as a heading of its columns."""
    return "whole image" if region == "image" else region


def key_title(key: str, keys: Sequence[str]) -> str:
    """The last part of a dotted key, or the whole key if another key has the same last part."""
    last = key.rpartition(".")[2]
    clash = sum(other.rpartition(".")[2] == last for other in keys) > 1
    return key if clash else last.replace("_", " ")


def written(key: str, value: object) -> str:
    """The display form of a recipe key's value; fractions in percent."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{100 * value:g} %" if key.endswith("fraction") and 0 <= value <= 1 else f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def identity(value: object) -> str:
    """A string that is equal for equal JSON-like values, independent of the order of their keys."""
    return json.dumps(value, sort_keys=True, default=str)


def _mark(number: int) -> str:
    """`a`, `b`, …, `z`, `aa`, `bb`, …."""
    rounds, letter = divmod(number, 26)
    return chr(ord("a") + letter) * (rounds + 1)


def _difference_cells(found: PairedDifference, marks: Mapping[str, str]) -> Iterator[str]:
    known = [abs(x) for x in (found.mean, found.low, found.high) if x is not None and math.isfinite(x)]
    digits = decimals([max(known, default=0)])

    def signed(value: float | None) -> str:
        return "–" if value is None or not math.isfinite(value) else f"{value:+.{digits}f}".replace("-", "−")

    yield f"{found.n} {','.join(marks[remark] for remark in found.remarks)}".strip()
    yield signed(found.mean)
    yield "–" if found.low is None else f"[{signed(found.low)}, {signed(found.high)}]"
    yield write_p(found.p)
    yield write_p(found.holm)
