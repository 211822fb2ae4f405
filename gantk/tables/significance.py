"""Paired tests of the rows of a table against a reference row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gantk.errors import GantkError, UsageError, nearest
from gantk.evaluation.results import Column
from gantk.tables.model import Significance, Table, TableRow, identity, key_title
from gantk.tables.numbers import column_title, listed
from gantk.tables.statistics import METHOD, PairedDifference, Values, paired_differences

__all__ = ["compared", "significance", "with_tests"]


def with_tests(table: Table, reference: str) -> Table:
    """The table with the differences from a reference, or with a note on why nothing was tested."""
    try:
        return replace(table, significance=significance(table, reference))
    except GantkError as error:
        return replace(table, notes=(*table.notes, f"Nothing was tested: {error}"))


def significance(table: Table, reference: str) -> Significance:
    """Compare each row with the reference, paired by patient, after averaging each patient's values over common seeds.

    Args:
        table: the table.
        reference: a row's title with or without its changes, its label, `label/role`, or a baseline's own name. If it
            names one row for each value of a key, every row is compared with the reference row of the same values.

    Raises:
        UsageError: no row has this name, several rows have it and cannot be distinguished, or no other row can be
            compared.
    """
    references = _named(table, reference)
    keys = ", ".join(key_title(key, table.keys) for key in table.keys)
    pairs: dict[TableRow, tuple[TableRow, Values, Values]] = {}
    notes = []
    for row in table.rows:
        if row in references:
            continue
        rivals = references
        if len(references) > 1:
            rivals = [other for other in references if other.changes == row.changes]
        if not rivals:
            notes.append(f"{row.name}: not compared because no {reference} has the same {keys}")
            continue
        other = rivals[0]
        if row.baseline or other.baseline or table.spread == "patients":
            mine, theirs = row.seeds, other.seeds  # a baseline does not depend on the seed, and each run has one
            if not (row.baseline or other.baseline) and mine != theirs:
                notes.append(f"{row.name}: seed {listed(mine)}, but the reference has seed {listed(theirs)}")
        else:
            mine = theirs = tuple(seed for seed in row.seeds if seed in other.seeds)
            if not mine:
                notes.append(f"{row.name}: not compared because it has no seed in common with {other.name}")
                continue
            if set(row.seeds) != set(other.seeds):
                notes.append(f"{row.name}: compared over the common seeds {listed(mine)} only")
        pairs[row] = (other, row.patients(mine), other.patients(theirs))
    kind = references[0].name if len(references) == 1 else f"{reference} of the same {keys}"
    averaged = f"each {table.subjects.noun}'s values averaged over seeds; " if table.spread == "seeds" else ""
    found = compared(table, kind, pairs, averaged, notes)
    if not found.lines:
        raise UsageError(
            f"no row can be compared with {reference!r}",
            where="reference",
            why="; ".join(found.notes) or "there is no other row",
            mend="name another row, or add more runs to the table",
        )
    return found


def compared(
    table: Table,
    reference: str,
    pairs: Mapping[TableRow, tuple[TableRow, Values, Values]],
    averaged: str = "",
    notes: Sequence[str] = (),
    columns: Sequence[str] | None = None,
) -> Significance:
    """The differences of rows from a reference, with caption and notes.

    Args:
        table: the table of the rows.
        reference: the reference's name.
        pairs: by row, the reference row, the row's values and the reference's values.
        averaged: a description of how values were averaged before.
        notes: rows that could not be compared, and why.
        columns: the columns to compare; default: all.
    """
    names = list(table.columns) if columns is None else columns
    found = paired_differences({row: pair[1:] for row, pair in pairs.items()}, names, table.subjects.noun)
    without = [row for row, by_column in found.items() if not by_column]
    return Significance(
        reference=reference,
        lines=tuple((row, pairs[row][0], by_column) for row, by_column in found.items() if by_column),
        caption=f"Row − reference, mean over n {table.subjects.plural}, paired; {averaged}"
        f"{METHOD.format(table.subjects.noun)}; "
        f"{_holm(found.values(), table.columns)}.{_unseen(found.values(), table.columns)}",
        notes=(*notes, *(f"{r.name}: not compared because it shares no metric with the reference" for r in without)),
    )


def _holm(found: Iterable[Mapping[str, PairedDifference]], columns: Mapping[str, Column]) -> str:
    """The correction for multiple comparisons: `corrected for the 10 comparisons of a metric (9 of Dice ↑)`."""
    counts = Counter(name for by_column in found for name, difference in by_column.items() if difference.p is not None)
    usual = Counter(counts.values()).most_common(1)[0][0] if counts else 1
    others: dict[int, list[str]] = {}
    for name, count in counts.items():
        if count != usual:
            others.setdefault(count, []).append(column_title(columns[name]))
    if usual == 1 and not others:
        return "one comparison per metric"
    noun = "comparison" if usual == 1 else "comparisons"
    apart = "; ".join(f"{count} of {', '.join(titles)}" for count, titles in others.items())
    return f"p (Holm): corrected for the {usual} {noun} of a metric" + (f" ({apart})" if apart else "")


def _unseen(found: Iterable[Mapping[str, PairedDifference]], columns: Mapping[str, Column]) -> str:
    """A sentence, after a space, for each source of randomness that patients do not cover; empty if there is none."""
    compared = {name for by_column in found for name in by_column}
    titles: dict[str, dict[str, None]] = {}
    for name, column in columns.items():
        if name in compared and column.unseen:
            titles.setdefault(column.unseen, {})[column.title] = None
    return "".join(
        f" For {', '.join(those)}, {unseen} is another source of random variation, which the test does not include."
        for unseen, those in titles.items()
    )


def _named(table: Table, name: str) -> list[TableRow]:
    def called(row: TableRow, names: Sequence[str]) -> bool:
        return name.casefold() in [one.casefold() for one in names]

    for found in (
        [row for row in table.rows if called(row, [row.name])],
        [row for row in table.rows if called(row, [row.title, f"{row.label}/{row.method}"])],
        [row for row in table.rows if called(row, [row.label, *([row.method] if row.baseline else [])])],
    ):
        if not found:
            continue
        if len({identity(row.changes) for row in found}) == len(found):
            return found
        raise UsageError(
            f"{name!r} names {len(found)} rows",
            where="reference",
            mend=f"choose one: {', '.join(repr(row.name) for row in found)}",
        )
    raise UsageError(
        f"no row is called {name!r}", where="reference", mend=nearest(name, {row.title for row in table.rows})
    )
