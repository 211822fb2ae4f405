"""The results table for a paper: methods × metrics over seeds, with notes on omitted runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gantk.errors import EvaluationError, UsageError, nearest
from gantk.evaluation.results import Column, Evaluation, Statistic
from gantk.evaluation.weights import light_in_tumours
from gantk.files import read_json
from gantk.runs.files import SWEEP
from gantk.runs.names import EVALUATION
from gantk.tables.alike import alike, differences, splits_of
from gantk.tables.captions import caption, undecided, uneven
from gantk.tables.folds import fold_of, pooled
from gantk.tables.members import Member, Members, answering, read_members, to_compare, trained
from gantk.tables.model import Table, TableRow, digits_of, identity, title_of, written
from gantk.tables.numbers import method_title
from gantk.tables.order import best_of_groups, keys_of, ordered, told_apart
from gantk.tables.significance import significance
from gantk.tables.untrained import beaten, with_unbeaten

__all__ = ["reference_of", "result_table"]

Spread = Literal["seeds", "patients"]
DIGITS = 4
"""Significant digits of a column's largest mean."""


def result_table(
    folders: Sequence[Path],
    *,
    roles: Sequence[str] = (),
    regions: Sequence[str] = (),
    metrics: Sequence[str] = (),
    by: str | None = None,
    reference: str | None = None,
    force: bool = False,
) -> Table:
    """The table of runs and sweeps.

    Runs that differ only in their fold are merged: their test patients are pooled, each once. Runs are comparable if
    they were measured with the same settings on the same test patients. The training and paired patients may differ, as
    they do between paired fractions; the caption then says so.

    Args:
        folders: run folders or a sweep's parent folders.
        roles: roles to show of every run that has them; empty: the sweep's reported roles, else the predicting role.
        regions: regions to show; empty: all.
        metrics: metrics to show, by name or title; empty: all.
        by: the dotted key that groups the rows, `none` for no groups; default: the first key of which several methods
            share a value.
        reference: a row's title, label or baseline name; the other rows are tested against it.
        force: combine runs that are not comparable; the table says so.

    Raises:
        UsageError: there is no folder, or a role, region, metric, key or reference is unknown.
        EvaluationError: nothing was evaluated, or splits or settings differ.
    """
    if not folders:
        raise UsageError("no run is named for the table", mend="name a sweep or runs")
    found = read_members(folders)
    evaluated, notes = _evaluated(found)
    evaluations = {_spoken(member, evaluated): evaluation for member, evaluation in evaluated}
    splits = splits_of(evaluations, {_spoken(member, evaluated): member.folder for member, _ in evaluated})
    folds = {_spoken(member, evaluated): fold_of(member) for member, _ in evaluated}
    said = tuple(differences(evaluations, splits, folds))
    if said and not force:
        raise EvaluationError(
            "the runs cannot be put into one table: " + "; ".join(said),
            mend=to_compare(said),
        )
    same_test = bool(splits) and all(len({splits[name].test for name in group}) == 1 for group in alike(splits, folds))
    evaluated, pooling = pooled(evaluated)
    found_in = [evaluation for _, evaluation in evaluated]
    columns = _columns(found_in, regions, metrics)
    groups = _groups(evaluated)
    spread: Spread = "seeds" if any(len(group) > 1 for group in groups) else "patients"
    rows = [row for group in groups for row in _method_rows(group, columns, roles, spread)]
    if not rows:
        raise EvaluationError("no run has a method to show")
    keys, by = keys_of(rows, found.grid, by)
    baselines = _baseline_rows(groups, columns, spread, keys)
    digits = digits_of([*rows, *baselines], columns, DIGITS)
    rows = [*best_of_groups(ordered(told_apart(rows, keys), by), columns, by, digits), *baselines]
    rows = [replace(row, name=title_of(row, keys)) for row in with_unbeaten(rows, columns, digits, by)]
    table = Table(
        title=found.title,
        columns=columns,
        rows=tuple(rows),
        subjects=found_in[0].subjects,
        keys=keys,
        spread=spread,
        significant=DIGITS,
        caption=caption(
            rows,
            found_in,
            columns,
            spread=spread,
            by=by,
            same_test=same_test,
        ),
        notes=(
            *beaten(rows, columns, digits, by),
            *light_in_tumours(member.folder / EVALUATION for member, _ in evaluated),
            *notes,
            *pooling,
            *uneven(rows, spread),
            *undecided(rows, by),
        ),
        differences=said,
    )
    return table if reference is None else replace(table, significance=significance(table, reference))


def reference_of(folders: Sequence[Path]) -> str | None:
    """The reference that the recipes of the sweeps among `folders` name; None unless they name exactly one."""
    named = [read_json(folder / SWEEP).get("reference") for folder in folders]
    found = {name for name in named if isinstance(name, str) and name}
    return found.pop() if len(found) == 1 else None


Evaluated = tuple[Member, Evaluation]


def _evaluated(found: Members) -> tuple[list[Evaluated], list[str]]:
    """The members with results, each variant and seed once, and notes on the others."""
    evaluated: list[Evaluated] = []
    notes = list(found.notes)
    seen: dict[str, Member] = {}
    for member in found.members:
        if member.problem:
            changed = [f"{key.rpartition('.')[2]} {written(key, value)}" for key, value in member.changes.items()]
            notes.append(f"{', '.join([member.label, *changed])}, seed {member.seed} ({member.id}): {member.problem}")
        if member.evaluation is None:
            continue
        key = identity([member.sweep, member.variant, member.changes, member.seed])
        if key in seen:
            notes.append(f"{member.id}: left out because it has the same recipe and seed as {seen[key].id}")
            continue
        seen[key] = member
        evaluated.append((member, member.evaluation))
    if not evaluated:
        raise EvaluationError(
            "nothing was evaluated yet",
            where=found.title,
            why="; ".join(notes),
            mend="wait until the runs have finished, or correct the problems of their evaluations",
        )
    return evaluated, notes


def _spoken(member: Member, evaluated: Sequence[Evaluated]) -> str:
    alone = sum(other.id == member.id for other, _ in evaluated) == 1
    return member.id if alone else str(member.folder)


def _columns(found: Sequence[Evaluation], regions: Sequence[str], metrics: Sequence[str]) -> dict[str, Column]:
    """The requested common columns, grouped by region."""
    columns = {n: c for n, c in found[0].columns.items() if all(n in e.columns for e in found)}
    if not columns:
        raise EvaluationError("the runs have no metric in common")
    known = {column.region for column in columns.values()}
    for region in regions:
        if region not in known:
            raise UsageError(f"no region {region!r} was measured", mend=nearest(region, known))
    # a column's name is the metric's name, followed by the region
    names = {n: {n.removesuffix(f"_{c.region}").lower(), c.title.lower()} for n, c in columns.items()}
    for metric in metrics:
        if not any(metric.lower() in called for called in names.values()):
            known = set().union(*names.values())
            raise UsageError(f"no metric {metric!r} was measured", mend=nearest(metric, known))
    wanted = {metric.lower() for metric in metrics}
    shown = {
        n: c for n, c in columns.items() if (not regions or c.region in regions) and (not metrics or names[n] & wanted)
    }
    order = list(dict.fromkeys(column.region for column in shown.values()))
    return dict(sorted(shown.items(), key=lambda item: order.index(item[1].region)))


def _groups(evaluated: Sequence[Evaluated]) -> list[list[Evaluated]]:
    """Groups of members that differ only in their seed, sorted by seed."""
    groups: dict[str, list[Evaluated]] = {}
    for member, evaluation in evaluated:
        key = identity([member.sweep, member.variant, member.changes])
        groups.setdefault(key, []).append((member, evaluation))
    return [sorted(group, key=lambda pair: pair[0].seed) for group in groups.values()]


def _method_rows(
    group: Sequence[Evaluated], columns: Mapping[str, Column], roles: Sequence[str], spread: Spread
) -> Iterator[TableRow]:
    first, evaluation = group[0]
    known = trained(first.recipe, evaluation.methods)
    predicts = answering(first.recipe, evaluation.methods)
    asked = [role for role in roles if role in known] if roles else list(first.report)
    for role in asked:
        if role not in known:
            raise UsageError(f"{first.label} has no role {role!r}", where=first.folder, mend=nearest(role, known))
    if roles and not asked and len(known) > 1:
        raise UsageError(f"{first.label} has none of these roles: {', '.join(roles)}", mend=nearest(roles[0], known))
    for role in asked or ([predicts] if predicts else []):
        row = _row(group, role, columns, spread)
        alone = role == predicts and len(asked) < 2
        yield replace(row, title=first.title(role, alone=alone), changes=dict(first.changes))


def _row(group: Sequence[Evaluated], method: str, columns: Mapping[str, Column], spread: Spread) -> TableRow:
    """One method over a group's seeds."""
    having = [(member, evaluation) for member, evaluation in group if method in evaluation.methods]
    by_seed = {}
    for member, evaluation in having:
        values = evaluation.values(method)
        by_seed[member.seed] = {name: values[name] for name in columns}
    summaries = {member.seed: evaluation.summary[method] for member, evaluation in having}
    values_of = {}
    for name in columns:
        runs = [summary[name] for summary in summaries.values()]
        values_of[name] = Statistic.of(run.mean for run in runs) if spread == "seeds" else runs[0]
    member = group[0][0]
    return TableRow(
        method=method,
        title=method_title(method),
        name="",
        label=member.label,
        values=values_of,
        by_seed=by_seed,
        by_run={seed: {name: summary[name].mean for name in columns} for seed, summary in summaries.items()},
        folders=tuple(folder for member, _ in having for folder in member.folders),
        runs={member.seed: member.folders for member, _ in having},
        subjects=frozenset(row.subject for _, evaluation in having for row in evaluation.rows),
        source=member.source,
        variant=member.variant,
    )


def _baseline_rows(
    groups: Sequence[Sequence[Evaluated]], columns: Mapping[str, Column], spread: Spread, keys: Sequence[str]
) -> list[TableRow]:
    """The rows of baselines, one per baseline if its numbers are the same in all runs that have it."""
    same: dict[str, dict[str, list[tuple[TableRow, Member]]]] = {}
    for group in groups:
        own = {role for member, evaluation in group for role in trained(member.recipe, evaluation.methods)}
        methods = dict.fromkeys(m for _, evaluation in group for m in evaluation.methods if m not in own)
        for method in methods:
            row = _row(group, method, columns, spread)
            if spread == "seeds" and not any(value.std > 0 for value in row.values.values()):
                fixed = {name: replace(value, std=math.nan) for name, value in row.values.items()}
                row = replace(row, values=fixed)
            numbers = identity([f"{value.mean:.9g} {value.std:.6g}" for value in row.values.values()])
            same.setdefault(method, {}).setdefault(numbers, []).append((row, group[0][0]))
    rows = []
    for by_numbers in same.values():
        for found in by_numbers.values():
            row, member = found[0]
            changes = {}
            if len(by_numbers) > 1:  # name its runs
                changes = {
                    key: member.changes[key]
                    for key in keys
                    if key in member.changes and all(m.changes.get(key) == member.changes[key] for _, m in found)
                }
            labels = " / ".join(dict.fromkeys(m.label for _, m in found))
            rows.append(
                replace(
                    row,
                    label=row.title,
                    title=f"{row.title} (of {labels})" if len(by_numbers) > 1 and not changes else row.title,
                    changes=changes,
                    group="baseline",
                    folders=tuple(folder for other, _ in found for folder in other.folders),
                    baseline=True,
                )
            )
    return rows
