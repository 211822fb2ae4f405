"""Captions and notes of tables: numbers of seeds and patients, spread, split, and irregularities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from gantk.evaluation.results import Column, Evaluation
from gantk.tables.model import TableRow, grouped, key_title, region_title, title_of, written
from gantk.tables.numbers import listed

__all__ = ["caption", "undecided", "uneven"]


def caption(
    rows: Sequence[TableRow],
    evaluations: Sequence[Evaluation],
    columns: Mapping[str, Column],
    *,
    spread: str,
    by: str | None,
    same_test: bool,
) -> str:
    """The caption of a table.

    Args:
        rows: all rows.
        evaluations: the evaluations of all runs.
        columns: the columns shown.
        spread: `seeds` or `patients`.
        by: the key that groups the rows.
        same_test: whether different splits still test the same patients.
    """
    best = f"Bold: the best method{f' of each {key_title(by, [by])}' if by else ''}"
    baselines = ", excluding baselines" if any(row.baseline for row in rows) else ""
    splits = sorted({evaluation.split for evaluation in evaluations})
    split = f"Split {splits[0]}"
    if len(splits) > 1:
        split = f"Splits {', '.join(splits)}"
        if same_test:
            plural = evaluations[0].subjects.plural
            split += f", which have the same test {plural} but differ in the training or paired {plural}"
    settings = ", ".join(sorted({evaluation.settings for evaluation in evaluations}))
    spoken = _spread(rows, _patients(rows, evaluations, columns), spread)
    warning = "".join(dict.fromkeys(f"{e.subjects.warning}. " for e in evaluations if e.subjects.warning))
    sizes = "".join(f" {said}." for said in dict.fromkeys(e.subjects.measured_at for e in evaluations) if said)
    sizes += "".join(f" {said}." for said in dict.fromkeys(e.subjects.omitted for e in evaluations) if said)
    return f"{warning}{spoken}.{sizes} {best}{baselines}. {split}; evaluation settings {settings}."


def uneven(rows: Sequence[TableRow], spread: str) -> Iterator[str]:
    """A note for each row that lacks seeds of the table."""
    every = sorted({seed for row in rows if not row.baseline for seed in row.seeds})
    for row in rows:
        if spread == "seeds" and not row.baseline and sorted(row.seeds) != every:
            missing = [seed for seed in every if seed not in row.seeds]
            noun = "seed" if len(missing) == 1 else "seeds"
            yield f"{title_of(row, tuple(row.changes))}: {noun} {listed(missing)} missing"


def undecided(rows: Sequence[TableRow], by: str | None) -> Iterator[str]:
    """A note on the seeds over which the best was decided, for each group whose rows have different seeds."""
    for group in grouped([row for row in rows if not row.baseline], by):
        every = {seed for row in group for seed in row.seeds}
        common = sorted(every.intersection(*(row.seeds for row in group)))
        if len(common) == len(every):
            continue
        value = group[0].changes.get(by) if by else None
        where = f" for {key_title(by, [by])} {written(by, value)}" if by and value is not None else ""
        noun = "seed" if len(common) == 1 else "seeds"
        if common:
            yield f"Bold{where} is decided over {noun} {listed(common)} only, which all methods have"
        else:
            yield f"No bold{where}: the methods have no seed in common"


def _spread(rows: Sequence[TableRow], patients: str, spread: str) -> str:
    seeds = {row.seeds for row in rows if not row.baseline}
    if spread == "patients":
        which = f"seed {next(iter(seeds))[0]}" if len(seeds) == 1 else "seeds differ between rows"
        several = any(len(folders) > 1 for row in rows for folders in row.runs.values())
        each = "One run per row and fold" if several else "One run per row"
        return f"{each} ({which}): mean ± sample standard deviation over {patients}, not over seeds"
    fixed = "; a baseline that does not depend on the seed has no deviation" if any(r.baseline for r in rows) else ""
    if len(seeds) == 1:
        only = next(iter(seeds))
        over = f"{len(only)} seeds ({listed(only)})"
        return f"Mean ± sample standard deviation over {over} of the mean over {patients}{fixed}"
    single = "; one seed has no deviation" if any(len(found) == 1 for found in seeds) else ""
    return (
        f"Mean ± sample standard deviation of the mean over {patients}, over the number of seeds given in each row"
        f"{single}{fixed}"
    )


def _patients(rows: Sequence[TableRow], evaluations: Sequence[Evaluation], columns: Mapping[str, Column]) -> str:
    """Such as `20 test patients (tumour: 18)` if only 18 have the region or a finite value in it."""
    measured = evaluations[0].subjects.measured
    counts = {len({row.patient for row in evaluation.rows}) for evaluation in evaluations}
    if len(counts) > 1:
        return f"{min(counts)} to {max(counts)} {measured}"
    (count,) = counts
    fewer: dict[str, set[int]] = {}
    for row in rows:
        for name, values in row.patients().items():
            known = sum(map(math.isfinite, values.values()))
            if 0 < known != count:
                fewer.setdefault(columns[name].region, set()).add(known)
    said = [f"{region_title(region)}: {_range(found)}" for region, found in fewer.items()]
    return f"{count} {measured}" + (f" ({'; '.join(said)})" if said else "")


def _range(counts: set[int]) -> str:
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
