"""A table of results as data, and as text in cells; how it came about is `gantk.evaluation.sweep_table`'s affair."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gantk.evaluation.grids import Cell, Grid
from gantk.evaluation.results import Column, Statistic, Subjects
from gantk.evaluation.statistics import PairedDifference
from gantk.evaluation.tables import column_title, decimals, write_p, write_statistic

__all__ = [
    "ResultTable",
    "Significance",
    "TableRow",
    "difference_grid",
    "grouped",
    "identity",
    "key_title",
    "region_title",
    "title_of",
    "to_csv",
    "written",
]

DIGITS = 4
"""Significant digits of a column's largest mean, as in the paper's tables."""


@dataclass(frozen=True, eq=False)
class TableRow:
    """One row: a method with its changes, over seeds.

    Args:
        label: what the variant is called.
        method: the role, or a baseline's name.
        title: label and role, as shown.
        changes: by dotted key; of a finished table, those shown beside the title.
        values: by column; the deviation is over what `ResultTable.spread` says, NaN where there is none.
        by_seed: by seed, column and patient, every single value.
        by_run: by seed and column, the mean of the seed's run.
        folders: of the runs, in the order of their seeds.
        source: the sweep's name, or the run's id.
        variant: which of the sweep's it is.
        baseline: whether nothing was trained for it.
        best: the columns in which it is the best method of its group.
        subjects: ids of what was measured.
    """

    label: str
    method: str
    title: str
    changes: dict[str, Any]
    values: dict[str, Statistic]
    by_seed: dict[int, dict[str, dict[str, float]]] = field(repr=False)
    by_run: dict[int, dict[str, float]] = field(repr=False)
    folders: tuple[Path, ...]
    source: str
    variant: str
    baseline: bool = False
    best: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those with results."""
        return tuple(self.by_seed)

    def patients(self, seeds: Sequence[int] | None = None) -> dict[str, dict[str, float]]:
        """By column and patient, the mean over some or all seeds; NaN where one of them has no value."""
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
        reference: its title.
        lines: (row, its reference, by column the difference), in table order.
        caption: what the numbers are.
        notes: rows that could not be compared, and why.
    """

    reference: str
    lines: tuple[tuple[TableRow, TableRow, dict[str, PairedDifference]], ...]
    caption: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultTable:
    """A table as data.

    Args:
        title: of the sweep.
        columns: metrics by column name, those of a region side by side.
        keys: the dotted keys shown beside the titles.
        by: the key whose values group the rows, the first of `keys`; None for one group.
        rows: in order, baselines last.
        spread: what the deviations are over.
        caption: numbers of seeds and patients, spread, split, settings.
        notes: what is missing or odd, one sentence each.
        differences: what keeps the numbers from being compared; empty unless forced.
        significance: where a reference was named.
        subjects: what was measured.
    """

    title: str
    columns: dict[str, Column]
    keys: tuple[str, ...]
    by: str | None
    rows: tuple[TableRow, ...]
    spread: Literal["seeds", "patients"]
    caption: str
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    significance: Significance | None = None
    subjects: Subjects = field(default_factory=Subjects)

    @property
    def digits(self) -> dict[str, int]:
        """Decimals by column."""
        return {name: decimals((row.values[name].mean for row in self.rows), DIGITS) for name in self.columns}

    def text(self, row: TableRow, column: str) -> str:
        """A cell as written: `0.8947 ± 0.0012`."""
        return write_statistic(row.values[column], self.digits[column])

    def named(self, row: TableRow) -> str:
        """A row's title with its changes, as no other row is called."""
        return title_of(row, self.keys)

    def grid(self, columns: Sequence[str] | None = None) -> Grid:
        """The table as text, of all columns or some; a group of rows is a section, the baselines are the last one."""
        names = list(self.columns if columns is None else columns)
        uneven = self.spread == "seeds" and len({row.seeds for row in self.rows if not row.baseline}) > 1
        digits = self.digits
        sections: list[list[tuple[Cell, ...]]] = []
        before: str | None = None
        for row in self.rows:
            here = "baseline" if row.baseline else identity(row.changes.get(self.by or ""))
            if here != before:
                sections.append([])
            before = here
            keys = [Cell(written(key, row.changes[key]) if key in row.changes else "–") for key in self.keys]
            seeds = [Cell("–" if row.baseline else str(len(row.seeds)))] if uneven else []
            cells = [Cell(write_statistic(row.values[n], digits[n]), n in row.best) for n in names]
            sections[-1].append((*keys, Cell(row.title), *seeds, *cells))
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
            sections=tuple(map(tuple, sections)),
            words=len(left),
            caption=self.caption,
            notes=self.notes,
            warning="; ".join(self.differences),
        )

    def grids(self) -> list[Grid]:
        """One grid per region, for pages that are narrow; caption and notes with the last one alone."""
        regions = dict.fromkeys(column.region for column in self.columns.values())
        grids = [self.grid([n for n, c in self.columns.items() if c.region == region]) for region in regions]
        return [replace(grid, caption="", notes=()) for grid in grids[:-1]] + grids[-1:]

    def significance_grid(self) -> Grid | None:
        """The differences from the reference as text, None where no reference was named."""
        found = self.significance
        if found is None:
            return None
        several = len({other for _, other, _ in found.lines}) > 1
        lines = [
            (f"{row.title} − {self.named(other)}" if several else self.named(row), by_column)
            for row, other, by_column in found.lines
        ]
        grid = difference_grid(lines, self.columns, found.reference, found.caption)
        return replace(grid, notes=(*grid.notes, *found.notes), warning="; ".join(self.differences))

    def to_dict(self) -> dict[str, object]:
        """The table as JSON-like data; numbers that do not exist are null."""
        tests = self.significance
        return {
            "title": self.title,
            "comparable": not self.differences,
            "differences": list(self.differences),
            "metrics": {name: column.to_dict() for name, column in self.columns.items()},
            "spread": self.spread,
            "caption": self.caption,
            "notes": list(self.notes),
            "rows": [
                {
                    "title": row.title,
                    "label": row.label,
                    "method": row.method,
                    "changes": row.changes,
                    "baseline": row.baseline,
                    "seeds": list(row.seeds),
                    "by_seed": {
                        str(seed): {name: mean if math.isfinite(mean) else None for name, mean in means.items()}
                        for seed, means in row.by_run.items()
                    },
                    "runs": [folder.name for folder in row.folders],
                    "best": [name for name in self.columns if name in row.best],
                    "values": {name: value.to_dict() for name, value in row.values.items()},
                }
                for row in self.rows
            ],
            "significance": tests
            and {
                "reference": tests.reference,
                "caption": tests.caption,
                "notes": list(tests.notes),
                "rows": [
                    {
                        "title": row.title,
                        "changes": row.changes,
                        "reference": {"title": other.title, "changes": other.changes},
                        "values": {name: found.to_dict() for name, found in by_column.items()},
                    }
                    for row, other, by_column in tests.lines
                ],
            },
        }


def difference_grid(
    lines: Sequence[tuple[str, Mapping[str, PairedDifference]]],
    columns: Mapping[str, Column],
    reference: str,
    caption: str,
) -> Grid:
    """Differences as text, a row per method and metric, a section per method; remarks are notes.

    Args:
        lines: a method's title and its differences by column.
        columns: what the differences' columns are.
        reference: the reference's title.
        caption: what the numbers are.
    """
    remarks = dict.fromkeys(r for _, by_column in lines for found in by_column.values() for r in found.remarks)
    marks = {remark: _mark(i) for i, remark in enumerate(remarks)}
    sections = [
        tuple(
            tuple(map(Cell, (title, column_title(columns[name]), *_difference_cells(found, marks))))
            for name, found in by_column.items()
        )
        for title, by_column in lines
    ]
    return Grid(
        f"Difference from {reference}",
        ("method", "metric", "n", "difference", "95 % interval", "p", "p (Holm)"),
        tuple(sections),
        words=2,
        caption=caption,
        notes=tuple(f"{mark}: {remark}" for remark, mark in marks.items()),
        long=True,
    )


def to_csv(table: ResultTable) -> str:
    """One line per row in full precision: `NAME_mean`, `NAME_std`, `NAME_n` per column.

    `n` counts what the deviation is over (`std_over`); with a reference follow `NAME_difference`, `NAME_low`,
    `NAME_high`, `NAME_p`, `NAME_p_holm` and `NAME_patients`, empty where a row was not compared.
    """
    tests = {row: by_column for row, _, by_column in table.significance.lines} if table.significance else {}
    tested = ("difference", "low", "high", "p", "p_holm", "patients") if table.significance else ()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("title", "label", "method", "baseline", "comparable", "seeds", "std_over")
    parts = ("mean", "std", "n", *tested)
    writer.writerow([*table.keys, *head, *(f"{name}_{part}" for name in table.columns for part in parts)])
    comparable = "no" if table.differences else "yes"
    for row in table.rows:
        cells: list[object] = [row.changes.get(key, "") for key in table.keys]
        cells += [row.title, row.label, row.method, "yes" if row.baseline else "no", comparable]
        cells += [" ".join(map(str, row.seeds)), table.spread]
        for name in table.columns:
            value = row.values[name]
            cells += [_exact(value.mean), _exact(value.std), value.n]
            found = tests.get(row, {}).get(name)
            if found:
                cells += [*map(_exact, (found.mean, found.low, found.high, found.p, found.holm)), found.n]
            else:
                cells += [""] * len(tested)
        writer.writerow(cells)
    return out.getvalue()


def grouped(rows: Sequence[TableRow], by: str | None) -> list[list[TableRow]]:
    """The rows of each value of a key, those without it together; all of them where there is no key."""
    groups: dict[str, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(identity(row.changes.get(by)) if by else "", []).append(row)
    return list(groups.values())


def title_of(row: TableRow, keys: Sequence[str]) -> str:
    """A row's title with its changes of some keys."""
    said = ", ".join(f"{key_title(k, keys)} {written(k, row.changes[k])}" for k in keys if k in row.changes)
    return f"{row.title} ({said})" if said else row.title


def region_title(region: str) -> str:
    """A region for readers, over its columns."""
    return "whole image" if region == "image" else region


def key_title(key: str, keys: Sequence[str]) -> str:
    """The last part of a dotted key, or all of it where another key ends so too."""
    last = key.rpartition(".")[2]
    clash = sum(other.rpartition(".")[2] == last for other in keys) > 1
    return key if clash else last.replace("_", " ")


def written(key: str, value: object) -> str:
    """A recipe's value for readers; fractions in percent."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{100 * value:g} %" if key.endswith("fraction") and 0 <= value <= 1 else f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def identity(value: object) -> str:
    """Equal for JSON-like values that are equal, whatever the order of their keys."""
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


def _exact(value: float | None) -> str:
    return repr(float(value)) if value is not None and math.isfinite(value) else ""
